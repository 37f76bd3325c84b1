package ssh

import (
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

// message makes a binary packet (RFC 4253, 6) without padding.
func message(kind byte, payload string) string {
	n := len(payload) + 2
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), 0, kind}) + payload
}

// kexInit offers one algorithm of each kind, named after what it is for.
func kexInit(who string) string {
	b := strings.Repeat("c", 16)
	for _, list := range []string{"kex", "key", "enc-cs", "enc-sc", "mac-cs", "mac-sc", "comp-cs", "comp-sc", "", ""} {
		list = strings.TrimSuffix(list+"@"+who, "@")
		b += string([]byte{0, 0, 0, byte(len(list))}) + list
	}
	return message(msgKexInit, b+"\x00\x00\x00\x00\x00")
}

func parser() applayer.Parser { return &Parser{} }

func TestConnection(t *testing.T) {
	turns := []apptest.Turn{
		apptest.S("SSH-2.0-server_1.0 some comment\r\n"), apptest.C("SSH-1.99-client-2\n"),
		apptest.C(kexInit("c")), apptest.S(kexInit("s") + message(msgNewKeys, "")), apptest.C(message(30, "x") + message(msgNewKeys, "")),
	}
	got := apptest.Follow(t, parser(), packet.ProtoTCP, 1<<20, turns...)
	for step := range 40 {
		if pieces := apptest.Follow(t, parser(), packet.ProtoTCP, step+1, turns...); pieces != got {
			t.Fatalf("in pieces of %d:\n%s\nwant\n%s", step+1, pieces, got)
		}
	}
	lines := strings.Split(strings.TrimSpace(got), "\n")
	want := []string{
		`ssh_server_banner to_client #0 ssh.proto="2.0" ssh.software="server_1.0"`,
		`ssh_client_banner to_server #0 ssh.proto="1.99" ssh.proto="2.0" ssh.software="client-2" ssh.software="server_1.0"`,
	}
	for i, w := range want {
		if i >= len(lines) || lines[i] != w {
			t.Fatalf("line %d of\n%s\nis not %s", i, got, w)
		}
	}
	for _, w := range []string{`ssh.hassh.string="kex@c;enc-cs@c;mac-cs@c;comp-cs@c"`, `ssh.hassh.server.string="kex@s;enc-sc@s;mac-sc@s;comp-sc@s"`, "tx_done"} {
		if !strings.Contains(lines[len(lines)-1], w) {
			t.Errorf("the last line lacks %s:\n%s", w, got)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct{ data, want string }{
		"long banner":    {"SSH-2.0-" + strings.Repeat("x", 300), "ssh.long_banner"},
		"a line before":  {"Welcome\r\nSSH-2.0-x\r\n", "ssh.invalid_banner"},
		"no version":     {"SSH-2.0\r\n", "ssh.invalid_banner"},
		"packet of 1 GB": {"SSH-2.0-x\r\n\x40\x00\x00\x00\x00\x14", "ssh.invalid_record"},
		"lists cut":      {"SSH-2.0-x\r\n" + message(msgKexInit, strings.Repeat("c", 17)), "ssh.invalid_record"},
	} {
		if got := apptest.Follow(t, parser(), packet.ProtoTCP, 7, apptest.C(test.data)); !strings.Contains(got, test.want) {
			t.Errorf("%s: no %s in\n%s", name, test.want, got)
		}
	}
}

func FuzzSSH(f *testing.F) {
	apptest.Fuzz(f, parser, 3*maxPacket,
		[2]string{"SSH-2.0-a b\r\n" + kexInit("c"), "x\nSSH-2.0-b\n" + kexInit("s") + message(msgNewKeys, "")},
		[2]string{"SSH-1\n\x00\x00\x00\x02\x00\x15", "SSH-"})
}
