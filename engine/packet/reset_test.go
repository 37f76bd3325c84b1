package packet_test

import (
	"bytes"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// hosts are two ends of a connection in either IP version.
var hosts = [][2]string{
	{"10.0.0.1:1234", "10.0.0.2:80"},
	{"[2001:db8::1]:1234", "[2001:db8::2]:80"},
}

func TestReset(t *testing.T) {
	for _, test := range []struct {
		name     string
		flags    uint8
		seq, ack uint32
		data     string
		back     bool
		want     packet.Reset
	}{
		// RFC 9293, 3.10.7.1: "SEQ=SEG.ACK, CTL=RST" or "SEQ=0, ACK=SEG.SEQ+SEG.LEN, CTL=RST,ACK".
		{"data, to its sender", packet.PSH | packet.ACK, 1000, 2000, "abc", true, packet.Reset{Seq: 2000, Flags: packet.RST}},
		{"SYN, to its sender", packet.SYN, 1000, 0, "", true, packet.Reset{Ack: 1001, Flags: packet.RST | packet.ACK}},
		{"SYN at the wrap", packet.SYN, 0xffffffff, 0, "", true, packet.Reset{Ack: 0, Flags: packet.RST | packet.ACK}},
		{"FIN with data and no ACK", packet.FIN, 1000, 0, "abc", true, packet.Reset{Ack: 1004, Flags: packet.RST | packet.ACK}},
		// In place of the segment.
		{"data, to its receiver", packet.PSH | packet.ACK, 1000, 2000, "abc", false, packet.Reset{Seq: 1000, Ack: 2000, Flags: packet.RST | packet.ACK}},
		{"SYN ACK, to its receiver", packet.SYN | packet.ACK, 1000, 2000, "", false, packet.Reset{Seq: 1000, Ack: 2000, Flags: packet.RST | packet.ACK}},
		{"SYN, to its receiver", packet.SYN, 1000, 0, "", false, packet.Reset{Seq: 1000, Flags: packet.RST}},
	} {
		for _, host := range hosts {
			t.Run(test.name+" "+host[0], func(t *testing.T) {
				seg := decode(packet.LinkRaw, packettest.TCP(host[0], host[1], test.flags, test.seq, test.ack, []byte(test.data)), verify)
				reset := packet.ResetFor(seg, test.back)
				if reset != test.want {
					t.Errorf("ResetFor = %+v, want %+v", reset, test.want)
				}
				got := decode(packet.LinkRaw, packet.AppendReset(nil, seg, test.back, reset), verify)
				from, to := host[0], host[1]
				if test.back {
					from, to = to, from
				}
				want := decode(packet.LinkRaw, packettest.TCP(from, to, test.want.Flags, test.want.Seq, test.want.Ack, nil, packettest.Window(0)), verify)
				for _, p := range []*packet.Packet{want, got} {
					p.Data, p.Net, p.L4 = nil, nil, nil
				}
				if d := diff(want, got); d != "" {
					t.Errorf("AppendReset (-want +got):\n%s", d)
				}
			})
		}
	}
}

// TestResetAppends keeps what is in the buffer and takes the caller's numbers.
func TestResetAppends(t *testing.T) {
	seg := decode(packet.LinkRaw, packettest.TCP(hosts[0][0], hosts[0][1], packet.ACK, 1, 2, nil), verify)
	buf := append(make([]byte, 0, 64), "kept"...)
	copy(buf[4:cap(buf)], bytes.Repeat([]byte{0xaa}, 60)) // what an earlier packet left
	out := packet.AppendReset(buf, seg, true, packet.Reset{Seq: 77, Ack: 88, Flags: packet.RST | packet.ACK})
	if string(out[:4]) != "kept" || &out[0] != &buf[0] {
		t.Error("the buffer was not kept")
	}
	p := decode(packet.LinkRaw, out[4:], verify)
	if p.Invalid != packet.Valid || p.TCP.Seq != 77 || p.TCP.Ack != 88 {
		t.Errorf("%v, Seq %d, Ack %d", p.Invalid, p.TCP.Seq, p.TCP.Ack)
	}
}

func TestNoReset(t *testing.T) {
	late := packettest.Fragments(packettest.TCP(hosts[0][0], hosts[0][1], packet.ACK, 1, 2, make([]byte, 200)), 100)[1]
	broken := packettest.TCP(hosts[0][0], hosts[0][1], packet.ACK, 1, 2, nil)
	broken[36]++ // checksum
	for name, ip := range map[string][]byte{
		"a reset":        packettest.TCP(hosts[0][0], hosts[0][1], packet.RST|packet.ACK, 1, 2, nil),
		"UDP":            packettest.UDP(hosts[0][0], hosts[0][1], nil),
		"later fragment": late,
		"wrong checksum": broken,
	} {
		p := decode(packet.LinkRaw, ip, verify)
		if out := packet.AppendReset(nil, p, true, packet.ResetFor(p, true)); len(out) != 0 {
			t.Errorf("%s: made a reset", name)
		}
	}
}

func TestUnreachable(t *testing.T) {
	for _, test := range []struct {
		name     string
		ip       []byte
		src, dst string
		message  packet.ICMP
		total    int
	}{
		{"short UDP", packettest.UDP(hosts[0][0], hosts[0][1], []byte("abc")), "10.0.0.2", "10.0.0.1", packet.ICMP{Type: 3, Code: 3}, 20 + 8 + 31},
		{"long UDP", packettest.UDP(hosts[0][0], hosts[0][1], make([]byte, 1400)), "10.0.0.2", "10.0.0.1", packet.ICMP{Type: 3, Code: 3}, 576},
		{"echo", packettest.ICMPEcho("10.0.0.1", "10.0.0.2", false, 1, 2, nil), "10.0.0.2", "10.0.0.1", packet.ICMP{Type: 3, Code: 3}, 20 + 8 + 28},
		{"short UDP, IPv6", packettest.UDP(hosts[1][0], hosts[1][1], []byte("abc")), "2001:db8::2", "2001:db8::1", packet.ICMP{Type: 1, Code: 1}, 40 + 8 + 51},
		{"long UDP, IPv6", packettest.UDP(hosts[1][0], hosts[1][1], make([]byte, 1400)), "2001:db8::2", "2001:db8::1", packet.ICMP{Type: 1, Code: 1}, 1280},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := decode(packet.LinkRaw, test.ip, verify)
			out := packet.AppendUnreachable(nil, p)
			got := decode(packet.LinkRaw, out, verify)
			if got.Invalid != packet.Valid || got.Src != addr(test.src) || got.Dst != addr(test.dst) || got.ICMP != test.message || len(out) != test.total {
				t.Errorf("%v, %v > %v, %+v, %d bytes", got.Invalid, got.Src, got.Dst, got.ICMP, len(out))
			}
			if !bytes.HasPrefix(test.ip, got.Payload) {
				t.Error("it does not quote the packet")
			}
			var inner packet.Packet
			if !got.Embedded(&inner) || inner.Src != p.Src || inner.SrcPort != p.SrcPort || inner.DstPort != p.DstPort {
				t.Errorf("it quotes %v port %d > %v port %d", inner.Src, inner.SrcPort, inner.Dst, inner.DstPort)
			}
		})
	}
}

func TestNoUnreachable(t *testing.T) {
	udp := packettest.UDP(hosts[0][0], hosts[0][1], make([]byte, 200))
	for name, ip := range map[string][]byte{
		"an ICMP error":      packettest.ICMP("10.0.0.2", "10.0.0.1", 3, 3, 0, udp),
		"an ICMPv6 error":    packettest.ICMP("2001:db8::1", "2001:db8::2", 1, 4, 0, nil),
		"an ICMPv6 redirect": packettest.ICMP("2001:db8::1", "2001:db8::2", 137, 0, 0, nil),
		"later fragment":     packettest.Fragments(udp, 100)[1],
		"to multicast":       packettest.UDP("10.0.0.1:1", "224.0.0.251:5353", nil),
		"to broadcast":       packettest.UDP("10.0.0.1:1", "255.255.255.255:67", nil),
		"from nobody":        packettest.UDP("0.0.0.0:68", "10.0.0.2:67", nil),
		"to multicast, v6":   packettest.UDP("[2001:db8::1]:1", "[ff02::1]:2", nil),
		"from nobody, v6":    packettest.UDP("[::]:1", "[2001:db8::2]:2", nil),
		"cut":                udp[:100],
	} {
		p := decode(packet.LinkRaw, ip, verify)
		if out := packet.AppendUnreachable(nil, p); len(out) != 0 {
			t.Errorf("%s: made an error", name)
		}
	}
	arp := decode(packet.LinkEthernet, []byte{12: 0x08, 13: 0x06}, verify)
	if out := packet.AppendUnreachable(nil, arp); len(out) != 0 {
		t.Error("ARP: made an error")
	}
}
