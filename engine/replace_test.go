package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// TestReplace: a packet goes on with other bytes and the right checksum, each time that it comes.
func TestReplace(t *testing.T) {
	rules := `pass udp any any -> any 99 (content:"evil"; sid:1;)
alert ip any any -> any any (content:"EV"; nocase; replace:"go"; content:"il"; distance:0; within:2; replace:"od"; sid:2;)
drop ip any any -> any any (content:"worse"; sid:3;)`
	udp := func(src, dst, text string) []byte { return packettest.UDP(src, dst, []byte(text)) }
	for _, test := range []struct {
		name string
		ip   []byte
		want string // "" for a packet that is dropped
	}{
		{"UDP", udp("10.0.0.1:1", "10.0.0.2:2", "some evil bytes"), "some good bytes"},
		{"in another case", udp("10.0.0.1:1", "10.0.0.2:2", "Evil bytes"), "good bytes"},
		{"in part", udp("10.0.0.1:1", "10.0.0.2:2", "ev-il bytes, evil ones"), "ev-il bytes, good ones"},
		{"not", udp("10.0.0.1:1", "10.0.0.2:2", "ev-il bytes"), "ev-il bytes"},
		{"UDP over IPv6", udp("[2001:db8::1]:1", "[2001:db8::2]:2", "evil"), "good"},
		{"ping", packettest.ICMPEcho("10.0.0.1", "10.0.0.2", false, 1, 1, []byte("evil")), "good"},
		{"ping over IPv6", packettest.ICMPEcho("2001:db8::1", "2001:db8::2", false, 1, 1, []byte("evil")), "good"},
		{"passed", udp("10.0.0.1:1", "10.0.0.2:99", "evil"), "evil"},
		{"dropped", udp("10.0.0.1:1", "10.0.0.2:2", "evil and worse"), ""},
		{"SCTP", packettest.IP("10.0.0.1", "10.0.0.2", packet.ProtoSCTP, append(make([]byte, 12), "\x00\x03\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00evil"...)), ""},
	} {
		for _, inline := range []bool{true, false} {
			r := newRig(t, program(t, rules), func(o *Options) { o.Inline = inline })
			got, p := r.judged(test.ip, false)
			var before packet.Packet
			before.Decode(packet.LinkRaw, test.ip, packet.Options{VerifyChecksums: true})
			want := test.want
			if !inline || want == "" {
				want = string(before.Payload)
			}
			if string(p.Payload) != want || p.Invalid != before.Invalid || got.Modified != (want != string(before.Payload)) || (got.Verdict == pktio.Drop) != (inline && test.want == "") {
				t.Errorf("%s, inline %v: verdict %d, modified %v, %v, %q", test.name, inline, got.Verdict, got.Modified, p.Invalid, p.Payload)
			}
		}
	}
}

// TestReplaceInConnections: a segment is replaced again when it is sent again, whoever fills in its checksum, and nobody can
// tell from what came that it was not what went on.
func TestReplaceInConnections(t *testing.T) {
	for name, offload := range map[string]bool{"checksums": false, "offload": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, program(t, `alert tcp any any -> any any (content:"evil"; replace:"good"; sid:1;)`))
			c := newConn("1")
			r.open(c)
			segment := packettest.TCP(c.client, c.server, data, c.clientSeq, c.serverSeq, []byte("some evil bytes"))
			for range 2 {
				if out, p := r.judged(segment, offload); out.Verdict != pktio.Accept || !out.Modified || p.Invalid != packet.Valid || string(p.Payload) != "some good bytes" {
					t.Errorf("verdict %d, modified %v, %v, %q", out.Verdict, out.Modified, p.Invalid, p.Payload)
				}
			}
			r.counter(cReplaced, 2)
			r.addsUp()
		})
	}
}

// TestReplaceInFragments: a datagram that came in fragments cannot be changed any more, so it is dropped.
func TestReplaceInFragments(t *testing.T) {
	r := newRig(t, program(t, `alert udp any any -> any any (content:"evil"; replace:"good"; sid:1;)`))
	parts := packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("bytes, many of them, evil bytes")), 44)
	for _, part := range parts[:len(parts)-1] {
		r.accepts("a fragment", part)
	}
	r.drops("the last fragment", parts[len(parts)-1])
	r.dropped(ReasonRule, 1)
	r.counter(cReplaced, 0)
}
