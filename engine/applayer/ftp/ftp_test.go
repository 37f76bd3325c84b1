package ftp

import (
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
)

func parser() applayer.Parser { return &Parser{} }

func TestConversation(t *testing.T) {
	got := apptest.Transactions[Tx](t, &Parser{},
		apptest.S("220-Welcome\r\n to this\r\n220 server\r\n"), apptest.C("user anonymous\r\n"), apptest.S("331 Password?\r\n"),
		apptest.C("PORT 10,0,0,1,234,10\r\n"), apptest.S("200 OK\r\n"), apptest.C("PASV\r\n"), apptest.S("227 Passive (10,0,0,2,185,13).\r\n"),
		apptest.C("RETR a b\r\n"), apptest.S("150 Coming\r\n226 Done\r\n"), apptest.C("QUIT\r\n"))
	if len(got) != 6 {
		t.Fatalf("%d transactions", len(got))
	}
	if w := got[0]; len(w.Command) > 0 || len(w.Replies) != 3 || string(w.Replies[0].Code) != "220" || string(w.Replies[1].Text) != " to this" {
		t.Errorf("welcome %q", w.Replies)
	}
	if u := got[1]; string(u.Command) != "USER" || string(u.Argument) != "anonymous" || string(u.Replies[0].Text) != "Password?" {
		t.Errorf("%s %s: %q", u.Command, u.Argument, u.Replies)
	}
	if got[2].Port != 234<<8|10 || !got[2].Active || got[3].Port != 185<<8|13 || got[3].Active {
		t.Errorf("ports %d %v, %d %v", got[2].Port, got[2].Active, got[3].Port, got[3].Active)
	}
	if r := got[4]; string(r.Argument) != "a b" || len(r.Replies) != 2 {
		t.Errorf("RETR %q: %q", r.Argument, r.Replies)
	}
	if q := got[5]; string(q.Command) != "QUIT" || q.HasArgument || len(q.Replies) != 0 {
		t.Errorf("%s: %q", q.Command, q.Replies)
	}
}

func TestLongLine(t *testing.T) {
	got := apptest.Transactions[Tx](t, &Parser{}, apptest.C("RETR "+strings.Repeat("a", 10_000)+"\r\nRETR b\r\n"))
	if len(got) != 2 || len(got[0].Argument) != maxLine-5 || !got[0].CommandCut || string(got[1].Argument) != "b" {
		t.Errorf("%d transactions, the first argument of %d bytes", len(got), len(got[0].Argument))
	}
}

func FuzzFTP(f *testing.F) {
	apptest.Fuzz(f, parser, 4<<20, [2]string{"USER a\r\nEPRT |1|1.2.3.4|5|\r\nQUIT\n", "220-a\r\n220 b\r\n229 x (|||7|)\r\n1\r\n"},
		[2]string{"PORT 1,2,3,4,5,6\n", "227 (1,2,3,4,5,6)\n150 x\n226 y\n"})
}
