package smb

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

func parser() applayer.Parser { return &Parser{} }

// framed puts the length before a message.
func framed(m string) string {
	return string([]byte{0, byte(len(m) >> 16), byte(len(m) >> 8), byte(len(m))}) + m
}

// message2 makes a message of SMB 2 (MS-SMB2, 2.2.1) of one tree and session.
func message2(command uint16, id uint64, status uint32, body string) string {
	b := make([]byte, header2)
	copy(b, "\xfeSMB\x40")
	le.PutUint32(b[8:], status)
	le.PutUint16(b[12:], command)
	le.PutUint64(b[24:], id)
	le.PutUint32(b[36:], 5)
	le.PutUint64(b[40:], 0x1234)
	return framed(string(b) + body)
}

func utf16le(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// ntlm is an AUTHENTICATE_MESSAGE (MS-NLMP, 2.2.1.3) with Unicode names and a version.
func ntlm(domain, user, host string) string {
	b := make([]byte, 72)
	copy(b, "NTLMSSP\x00\x03")
	rest := ""
	for i, s := range []string{domain, user, host} {
		s = utf16le(s)
		at := 28 + 8*i
		le.PutUint16(b[at:], uint16(len(s)))
		le.PutUint32(b[at+4:], uint32(len(b)+len(rest)))
		rest += s
	}
	le.PutUint32(b[60:], 0x02000001)
	copy(b[64:], "\x0a\x00\x5a\x29\x00\x00\x00\x0f")
	return string(b) + rest
}

// treeConnect asks for a share (MS-SMB2, 2.2.9).
func treeConnect(path string) string {
	path = utf16le(path)
	return "\x09\x00\x00\x00\x48\x00" + string([]byte{byte(len(path)), 0}) + path
}

func sessionSetup(blob string) string {
	body := make([]byte, 24)
	body[0] = 25
	le.PutUint16(body[12:], header2+24)
	le.PutUint16(body[14:], uint16(len(blob)))
	return string(body) + blob
}

func TestSMB2(t *testing.T) {
	turns := []apptest.Turn{
		apptest.C(message2(sessionSetup2, 1, 0, sessionSetup(ntlm("CORP", "alice", "PC")))), apptest.S(message2(sessionSetup2, 1, 0, "\x09\x00")),
		apptest.C(message2(treeConnect2, 2, 0, treeConnect(`\\srv\IPC$`)) + message2(treeConnect2, 3, 0, treeConnect(`\\srv\data`))),
		apptest.S(message2(treeConnect2, 2, 0, "\x10\x00\x02\x00") + message2(treeConnect2, 3, 0xc00000cc, "\x09\x00")),
	}
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1<<20, turns...)
	if pieces := apptest.Follow(t, parser(), packet.ProtoTCP, 3, turns...); pieces != got {
		t.Fatalf("in pieces:\n%s\nwhole:\n%s", pieces, got)
	}
	for _, want := range []string{
		`smb_request to_server #0 smb.ntlmssp_user="alice" smb.ntlmssp_domain="CORP"`,
		`smb_request to_server #1 smb.named_pipe="\\\\srv\\IPC$"`, `smb_request to_server #2 smb.share="\\\\srv\\data"`,
		"smb_response to_client #1", "tx_done to_server #2",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if n := readNTLM([]byte(ntlm("D", "U", "H"))); n == nil || n.Version != "10.0 build 10586 rev 15" || string(n.Host) != "H" {
		t.Errorf("NTLM %+v", n)
	}
}

// A negotiation of SMB 1 (MS-CIFS, 2.2.4.52).
func TestSMB1(t *testing.T) {
	head := func(command byte) string {
		return "\xffSMB" + string(command) + strings.Repeat("\x00", 27)
	}
	p := parser().(*Parser)
	got := apptest.Follow(t, p, packet.ProtoTCP, 5,
		apptest.C(framed(head(negotiate1)+"\x00\x0c\x00\x02NT LM 0.12\x00")), apptest.S(framed(head(negotiate1)+"\x01\x00\x00\x00\x00")))
	if !strings.Contains(got, "smb_response to_client #0 smb.version=1") || p.dialect != "NT LM 0.12" {
		t.Errorf("dialect %q\n%s", p.dialect, got)
	}
}

// Of a long message the beginning is read, and what follows it.
func TestLongMessage(t *testing.T) {
	long := message2(write2, 1, 0, strings.Repeat("x", 100_000))
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1448, apptest.C(long+message2(treeConnect2, 2, 0, treeConnect(`\\srv\data`))))
	if !strings.Contains(got, `smb.share="\\\\srv\\data"`) {
		t.Errorf("got\n%s", got)
	}
}

func FuzzSMB(f *testing.F) {
	apptest.Fuzz(f, parser, 4<<20,
		[2]string{message2(sessionSetup2, 1, 0, sessionSetup(ntlm("CORP", "alice", "PC"))), message2(sessionSetup2, 1, 0, "\x09\x00")},
		[2]string{message2(treeConnect2, 2, 0, treeConnect(`\\srv\IPC$`)), message2(treeConnect2, 2, 0, "\x10\x00\x02\x00")},
		[2]string{framed("\xffSMB\x73" + strings.Repeat("\x00", 27) + "\x0c" + strings.Repeat("\x00", 24) + "\x04\x00a\x00b\x00"), framed("\xffSMB\x72")})
}
