package smtp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

func parser() applayer.Parser { return &Parser{} }

// transactions follows a conversation and returns what was logged, and the events' names.
func transactions(t *testing.T, turns ...apptest.Turn) (all []Tx, events []string) {
	t.Helper()
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	take := func() {
		for ev := range out.Take {
			switch ev.Hook {
			case applayer.TxDone:
				all = append(all, *ev.Tx.(*Tx))
			case applayer.AnomalySeen:
				events = append(events, "anomaly")
			case applayer.FileDone:
				events = append(events, string(ev.File.Name))
			}
		}
	}
	for _, tn := range turns {
		for data := []byte(tn.Data); len(data) > 0 && !p.Done(); {
			data = data[p.Data(&out, tn.Dir, data):]
			take()
		}
	}
	p.End(&out, packet.ToServer)
	take()
	return all, events
}

// mail is a session in which a message is sent.
func mail(lines ...string) []apptest.Turn {
	return []apptest.Turn{
		apptest.S("220-a\r\n220 b\r\n"), apptest.C("EHLO me\r\n"), apptest.S("250-x\r\n250 y\r\n"),
		apptest.C("MAIL FROM:<a@b> SIZE=3\r\nRCPT TO:<c@d>\r\nRCPT TO: <e@f>\r\nDATA\r\n"), apptest.S("250 a\r\n250 b\r\n250 c\r\n354 d\r\n"),
		apptest.C(strings.Join(lines, "\r\n") + "\r\n.\r\n"), apptest.S("250 ok\r\n"), apptest.C("QUIT\r\n"), apptest.S("221 bye\r\n"),
	}
}

func TestMessage(t *testing.T) {
	got, events := transactions(t, mail(
		"From: One <a@b>", "To: c@d,", " \"e, f\" <e@f>", "CC: g@h", "", "See HTTP://Example.com/x.exe?y", "..", "and http://1.2.3.4/")...)
	if len(got) != 2 || len(events) != 0 {
		t.Fatalf("%d transactions, events %q", len(got), events)
	}
	tx, e := got[0], got[0].Email
	if string(tx.Helo) != "me" || string(tx.From) != "<a@b>" || fmt.Sprintf("%s", tx.To) != "[<c@d> <e@f>]" {
		t.Errorf("helo %s, from %s, to %s", tx.Helo, tx.From, tx.To)
	}
	if e.Status != "PARSE_DONE" || string(e.From) != "One <a@b>" || fmt.Sprintf("%s|%s", e.To, e.CC) != `[c@d "e, f" <e@f>]|[g@h]` {
		t.Errorf("%s: from %s, to %s, cc %s", e.Status, e.From, e.To, e.CC)
	}
	if fmt.Sprintf("%s", e.URLs) != "[1.2.3.4/ example.com/x.exe?y]" || !e.ProgramURL || !e.AddressURL {
		t.Errorf("addresses %s, of a program %v, with an address %v", e.URLs, e.ProgramURL, e.AddressURL)
	}
	if quit := got[1]; quit.HasEmail || quit.From != nil || string(quit.Helo) != "me" {
		t.Errorf("QUIT: %+v", quit)
	}
}

// TestAttachments compares the digests of attachments with those of what they hold.
func TestAttachments(t *testing.T) {
	for _, c := range []struct {
		encoding string
		lines    []string
		want     string
	}{
		{"7bit", []string{"one", "..two", "", ""}, "one\r\n.two\r\n\r\n"},
		{"base64", []string{"YWJ", "jZA", "=="}, "abcd"},
		{"base64", []string{"Y!W Jj"}, "abc"},
		{"quoted-printable", []string{"a=3Db=", "c=ZZ"}, "a=bcZZ\r\n"},
	} {
		lines := append([]string{"Content-Type: multipart/mixed;", " boundary=\"=_x\"", "", "--=_x", "Content-Type: application/x; name=other",
			"Content-Transfer-Encoding: " + c.encoding, "Content-Disposition: attachment; filename=\"f x\"", ""}, c.lines...)
		got, events := transactions(t, mail(append(lines, "--=_x--", "")...)...)
		if len(got) != 2 || len(got[0].Email.Files) != 1 || len(events) == 0 || events[len(events)-1] != "f x" {
			t.Errorf("%s: %d transactions, events %q", c.encoding, len(got), events)
			continue
		}
		var want file.File
		want.Start([]byte("f x"), true)
		want.Write([]byte(c.want))
		want.Close(file.Closed)
		f := got[0].Email.Files[0]
		if f.Size != want.Size || f.State != file.Closed {
			t.Errorf("%s %q: %d bytes, want %d", c.encoding, c.lines, f.Size, want.Size)
		}
	}
}

// TestAttachmentsAreShown: rules get a file's name when it begins, and its bytes in parts that overlap; at once where
// packets wait for them. What they have seen is given up.
func TestAttachmentsAreShown(t *testing.T) {
	for _, inline := range []bool{false, true} {
		p := &Parser{}
		p.Reset(packet.ProtoTCP)
		out := applayer.Sink{Inline: inline}
		var all, shown []byte // all bytes of the file, and those that events were about
		names, parts, most := 0, 0, 0
		say := func(dir packet.Dir, text string) {
			for data := []byte(text); len(data) > 0; {
				data = data[p.Data(&out, dir, data):]
				for ev := range out.Take {
					if ev.Hook != applayer.SMTPFile {
						continue
					}
					if name, ok := ev.Tx.Value(applayer.SMTPFileName, 0); !ok || string(name) != "f" {
						t.Fatalf("name %q", name)
					}
					value, ok := ev.Tx.Value(applayer.SMTPFileData, 0)
					if !ok {
						names++
						continue
					}
					from, last := ev.Tx.Piece(applayer.SMTPFileData, 0)
					if from > len(shown) || last != (ev.Tx.File(packet.ToServer, 0).State == file.Closed) {
						t.Fatalf("inline %v: a part from %d, after %d bytes; the last: %v", inline, from, len(shown), last)
					}
					shown = append(shown[:from], value...)
					parts++
				}
			}
			p.Release()
			if p.tx != nil {
				most = max(most, p.tx.Email.memory())
			}
		}
		say(packet.ToServer, "HELO a\r\nDATA\r\n")
		say(packet.ToClient, "250 a\r\n354 b\r\n")
		say(packet.ToServer, "Content-Type: x/y; name=f\r\n\r\n")
		for i := range 1000 {
			line := fmt.Sprintf("line %d %s", i, strings.Repeat("x", 80))
			say(packet.ToServer, line+"\r\n")
			all = append(all, line+"\r\n"...)
		}
		say(packet.ToServer, ".\r\n")
		all = all[:len(all)-2] // the last line's end is not the file's
		if string(shown) != string(all) || names != 1 || inline != (parts == 1001) || !inline && parts != len(all)/contentPart+1 || most > contentPart+contentBefore+64<<10 {
			t.Errorf("inline %v: %d of %d bytes shown in %d parts, %d names, %d bytes held", inline, len(shown), len(all), parts, names, most)
		}
	}
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name  string
		turns []apptest.Turn
		want  string
	}{
		{"reset", []apptest.Turn{apptest.S("220 x\r\n"), apptest.C("HELO a\r\nMAIL FROM:<b>\r\nRSET\r\n"), apptest.S("250 a\r\n250 b\r\n250 c\r\n"), apptest.C("MAIL FROM:<c>\r\n")}, "a <b>  0; a <c>  0; "},
		{"chunks", []apptest.Turn{apptest.S("220 x\r\n"), apptest.C("HELO a\r\nMAIL FROM:<b>\r\nBDAT 12\r\nQUIT\r\nRSET\r\nRCPT TO:<c>\r\n")}, "a <b> <c> 0; "},
		{"no welcome", []apptest.Turn{apptest.C("HELO a\r\n")}, "a   1; "},
		{"STARTTLS", []apptest.Turn{apptest.S("220 x\r\n"), apptest.C("EHLO a\r\nSTARTTLS\r\n"), apptest.S("250 a\r\n220 b\r\nEHLO"), apptest.C("EHLO b\r\n")}, "a   0; "},
		{"STARTTLS refused", []apptest.Turn{apptest.S("220 x\r\n"), apptest.C("EHLO a\r\nSTARTTLS\r\n"), apptest.S("250 a\r\n500 b\r\n"), apptest.C("EHLO b\r\n")}, "b   1; "},
		{"second DATA", []apptest.Turn{apptest.S("220 x\r\n"), apptest.C("HELO a\r\nDATA\r\nDATA\r\n"), apptest.S("250 a\r\n500 a\r\n500 b\r\n")}, "a   2; "},
	} {
		got, events := transactions(t, c.turns...)
		text := ""
		for _, tx := range got {
			to := ""
			if len(tx.To) > 0 {
				to = string(tx.To[0])
			}
			text += fmt.Sprintf("%s %s %s %d; ", tx.Helo, tx.From, to, len(events))
		}
		if text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

func TestLongBoundary(t *testing.T) {
	got, events := transactions(t, mail("Content-Type: multipart/mixed; boundary="+strings.Repeat("a", maxBoundary+1), "", "x")...)
	if got[0].Email.Status != "PARSE_ERROR" || len(events) != 2 {
		t.Errorf("%s, events %q", got[0].Email.Status, events)
	}
}

func FuzzSMTP(f *testing.F) {
	seed := func(turns []apptest.Turn) (s [2]string) {
		for _, tn := range turns {
			s[tn.Dir] += tn.Data
		}
		return s
	}

	apptest.Fuzz(f, parser, 1<<20, seed(mail("From: a", "", "http://a.b/c")),
		seed(mail("Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Disposition: attachment; filename=f", "Content-Transfer-Encoding: base64", "", "YWJj", "YQ==", "--b--")),
		seed(mail("Content-Transfer-Encoding: quoted-printable", "", "a=3D=", "b")),
		[2]string{"EHLO a\r\nBDAT 3\r\nabcSTARTTLS\r\nRSET\r\n", "220 a\r\n250-b\r\n250 c\r\nx\r\n"})
}
