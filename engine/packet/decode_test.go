package packet_test

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

var verify = packet.Options{VerifyChecksums: true}

// diff compares what callers can see of two decoded packets or parts of them.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(packet.Packet{}, packet.TCP{}, packet.Inner{}),
		cmp.Comparer(func(a, b packet.Events) bool { return slices.Equal(a.All(), b.All()) }))
}

func events(list ...packet.Event) packet.Events {
	var e packet.Events
	for _, x := range list {
		e.Add(x)
	}
	return e
}

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// decode decodes into a Packet in which every field is already set, so that a
// field that Decode leaves alone shows.
func decode(link packet.LinkType, data []byte, opt packet.Options) *packet.Packet {
	p := &packet.Packet{
		Data: []byte{1}, Net: []byte{1}, L4: []byte{1}, Payload: []byte{1},
		Src: packet.Addr{1}, Dst: packet.Addr{1}, SrcPort: 1, DstPort: 1,
		SPI: 1, LinkLen: 1, Link: 1, EtherType: 1, VLAN: [packet.MaxVLANs]uint16{1, 1}, VLANs: 2, IPVersion: 1, Proto: 1, Tracked: true, TTL: 1, TOS: 1, IPID: 1,
		Fragment: true, FragOffset: 8, MoreFrags: true,
		TCP:     packet.TCP{Seq: 1, Ack: 1, Window: 1, Urgent: 1, Flags: 1, Reserved: 1, WScale: 1, MSS: 1, TSVal: 1, TSEcr: 1, HasMSS: true, HasWScale: true, HasTS: true, SACKOK: true, FastOpen: true, SACKs: 1},
		ICMP:    packet.ICMP{Type: 1, Code: 1, ID: 1, Seq: 1},
		Invalid: packet.FaultLinkType, Depth: 1, From: 1, Inner: packet.Inner{Data: []byte{1}, From: 1},
	}
	p.Decode(link, data, opt)
	return p
}

// ipv4TCP is a SYN as Linux sends it, behind two VLAN tags, with Ethernet padding.
var ipv4TCP = []byte{
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, // Ethernet destination
	0x02, 0x00, 0x00, 0x00, 0x00, 0x01, // Ethernet source
	0x88, 0xa8, // 802.1ad service tag follows
	0x20, 0x64, // priority 1, VLAN 100
	0x81, 0x00, // 802.1Q customer tag follows
	0x00, 0x0a, // priority 0, VLAN 10
	0x08, 0x00, // IPv4 follows

	0x45,       // version 4, header length 5*4
	0x10,       // type of service: low delay
	0x00, 0x3c, // total length 60
	0xbe, 0xef, // identification
	0x40, 0x00, // don't fragment, offset 0
	0x3f,       // TTL 63
	0x06,       // TCP
	0x68, 0xba, // header checksum
	0x0a, 0x00, 0x00, 0x01, // source 10.0.0.1
	0x0a, 0x00, 0x00, 0x02, // destination 10.0.0.2

	0x9c, 0x40, // source port 40000
	0x01, 0xbb, // destination port 443
	0x11, 0x22, 0x33, 0x44, // sequence number
	0x00, 0x00, 0x00, 0x00, // acknowledgment number
	0xa0,       // data offset 10*4, nothing reserved
	0xc2,       // CWR, ECE, SYN
	0xfa, 0xf0, // window 64240
	0x45, 0xd0, // checksum
	0x00, 0x07, // urgent pointer
	0x02, 0x04, 0x05, 0xb4, // MSS 1460
	0x04, 0x02, // SACK permitted
	0x08, 0x0a, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, // timestamps
	0x01,             // no operation
	0x03, 0x03, 0x07, // window scale 7

	0x00, 0x00, 0x00, 0x00, // padding that is not IP's
}

// ipv6UDP has every extension header that is skipped.
var ipv6UDP = []byte{
	0x6a, 0xb1, 0x23, 0x45, // version 6, traffic class 0xab, flow label
	0x00, 0x40, // payload length 64
	0x00,                                                       // hop-by-hop options follow
	0x40,                                                       // hop limit 64
	0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source 2001:db8::1
	0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // destination 2001:db8::2

	43, 0, 1, 4, 0, 0, 0, 0, // hop-by-hop: routing follows, 8 bytes, PadN 4
	60, 0, 4, 0, 0, 0, 0, 0, // routing: destination options follow, 8 bytes, type 4, no segments left
	44, 0, 1, 4, 0, 0, 0, 0, // destination options: fragment follows, 8 bytes, PadN 4
	51, 0, 0x00, 0x00, 0xde, 0xad, 0xbe, 0xef, // fragment: AH follows, offset 0, last; identification
	17, 4, 0, 0, 0, 0, 0, 1, // AH: UDP follows, (4+2)*4 bytes, SPI 1
	0, 0, 0, 1, 1, 2, 3, 4, // AH: sequence number, check value
	5, 6, 7, 8, 9, 10, 11, 12, // AH: check value

	0x00, 0x35, // source port 53
	0xc0, 0x00, // destination port 49152
	0x00, 0x08, // length 8
	0xe4, 0x33, // checksum
}

func TestDecode(t *testing.T) {
	syn := ipv4TCP
	v6 := ipv6UDP
	for _, test := range []struct {
		name string
		link packet.LinkType
		data []byte
		want packet.Packet
	}{{
		name: "IPv4 TCP with options, two tags",
		link: packet.LinkEthernet, data: syn,
		want: packet.Packet{
			Data: syn, Net: syn[22:82], L4: syn[42:82], Payload: syn[82:82],
			Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), SrcPort: 40000, DstPort: 443,
			LinkLen: 22, Link: packet.LinkEthernet, EtherType: 0x0800, Tracked: true, VLAN: [packet.MaxVLANs]uint16{100, 10}, VLANs: 2,
			IPVersion: 4, Proto: packet.ProtoTCP, TTL: 63, TOS: 0x10, IPID: 0xbeef,
			TCP: packet.TCP{Seq: 0x11223344, Window: 64240, Urgent: 7, Flags: packet.SYN | packet.ECE | packet.CWR,
				MSS: 1460, HasMSS: true, WScale: 7, HasWScale: true, SACKOK: true,
				TSVal: 0x01020304, TSEcr: 0x05060708, HasTS: true},
		},
	}, {
		name: "IPv6 UDP behind extension headers",
		link: packet.LinkRaw, data: v6,
		want: packet.Packet{
			Data: v6, Net: v6, L4: v6[96:], Payload: v6[104:],
			Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"), SrcPort: 53, DstPort: 49152,
			Link: packet.LinkRaw, EtherType: 0x86dd, IPVersion: 6, Proto: packet.ProtoUDP, TTL: 64, TOS: 0xab, IPID: 0xdeadbeef, Tracked: true,
			Events: events(packet.EventIPv6HopoptsOnlyPadding, packet.EventIPv6DstoptsOnlyPadding, packet.EventIPv6ExtHeaderUselessFH),
		},
	}, {
		name: "ARP",
		link: packet.LinkEthernet, data: []byte{12: 0x08, 13: 0x06, 14: 0x00, 15: 0x01},
		want: packet.Packet{
			Data: []byte{12: 0x08, 13: 0x06, 14: 0x00, 15: 0x01}, LinkLen: 14, Link: packet.LinkEthernet, EtherType: 0x0806,
		},
	}, {
		name: "LLC",
		link: packet.LinkEthernet, data: []byte{13: 0x03, 14: 0x42, 15: 0x42, 16: 0x03},
		want: packet.Packet{
			Data: []byte{13: 0x03, 14: 0x42, 15: 0x42, 16: 0x03}, LinkLen: 14, Link: packet.LinkEthernet,
		},
	}} {
		t.Run(test.name, func(t *testing.T) {
			got := decode(test.link, test.data, verify)
			if d := diff(&test.want, got); d != "" {
				t.Errorf("Decode (-want +got):\n%s", d)
			}
		})
	}
}

// TestLinkTypes puts the same IP packets behind every link-layer header.
func TestLinkTypes(t *testing.T) {
	v4 := packettest.UDP("10.0.0.1:53", "10.0.0.2:1000", []byte("data"))
	v6 := packettest.UDP("[2001:db8::1]:53", "[2001:db8::2]:1000", []byte("data"))
	sll := func(proto uint16) []byte { return binary.BigEndian.AppendUint16(make([]byte, 14), proto) }
	sll2 := func(proto uint16) []byte {
		return append(binary.BigEndian.AppendUint16(nil, proto), make([]byte, 18)...)
	}
	tag := []byte{0x00, 0x05, 0x08, 0x00} // VLAN 5, IPv4 follows
	for _, test := range []struct {
		name  string
		link  packet.LinkType
		head  []byte
		ip    []byte
		vlans uint8
	}{
		{"Ethernet", packet.LinkEthernet, packettest.Ethernet(v4)[:14], v4, 0},
		{"Ethernet IPv6", packet.LinkEthernet, packettest.Ethernet(v6)[:14], v6, 0},
		{"Ethernet, one tag", packet.LinkEthernet, packettest.Ethernet(v4, 5)[:18], v4, 1},
		{"Ethernet, three tags", packet.LinkEthernet, packettest.Ethernet(v4, 5, 6, 7)[:26], v4, 3},
		{"raw", packet.LinkRaw, nil, v4, 0},
		{"raw IPv6", packet.LinkRaw, nil, v6, 0},
		{"raw 12", packet.LinkRaw12, nil, v4, 0},
		{"raw 14", packet.LinkRaw14, nil, v6, 0},
		{"IPv4", packet.LinkIPv4, nil, v4, 0},
		{"IPv6", packet.LinkIPv6, nil, v6, 0},
		{"null, little endian", packet.LinkNull, []byte{2, 0, 0, 0}, v4, 0},
		{"null, big endian", packet.LinkNull, []byte{0, 0, 0, 2}, v4, 0},
		{"null, macOS IPv6", packet.LinkNull, []byte{30, 0, 0, 0}, v6, 0},
		{"loop, OpenBSD IPv6", packet.LinkLoop, []byte{0, 0, 0, 24}, v6, 0},
		{"SLL", packet.LinkSLL, sll(0x0800), v4, 0},
		{"SLL IPv6", packet.LinkSLL, sll(0x86dd), v6, 0},
		{"SLL, one tag", packet.LinkSLL, append(sll(0x8100), tag...), v4, 1},
		{"SLL2", packet.LinkSLL2, sll2(0x0800), v4, 0},
		{"SLL2 IPv6", packet.LinkSLL2, sll2(0x86dd), v6, 0},
		{"PPP", packet.LinkPPP, []byte{0x00, 0x21}, v4, 0},
		{"PPP IPv6", packet.LinkPPP, []byte{0x00, 0x57}, v6, 0},
		{"PPP, HDLC framing", packet.LinkPPP, []byte{0xff, 0x03, 0x00, 0x21}, v4, 0},
		{"PPP, compressed protocol", packet.LinkPPP, []byte{0x21}, v4, 0},
		{"Cisco HDLC", packet.LinkCHDLC, []byte{0x0f, 0x00, 0x08, 0x00}, v4, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := append(append([]byte{}, test.head...), test.ip...)
			p := decode(test.link, data, verify)
			if p.Invalid != packet.Valid || p.SrcPort != 53 || string(p.Payload) != "data" {
				t.Errorf("%v, source port %d, payload %q", p.Invalid, p.SrcPort, p.Payload)
			}
			if p.LinkLen != len(test.head) || p.VLANs != test.vlans {
				t.Errorf("LinkLen %d, want %d; VLANs %d, want %d", p.LinkLen, len(test.head), p.VLANs, test.vlans)
			}
			if test.vlans > 0 && p.VLAN[0] != 5 {
				t.Errorf("outer VLAN %d, want 5", p.VLAN[0])
			}
			for n := range test.head { // every cut of the header is noticed
				if p := decode(test.link, data[:n], verify); p.Invalid == packet.Valid || p.Net != nil {
					t.Errorf("cut to %d bytes: %v", n, p.Invalid)
				}
			}
		})
	}
}

// edit returns a copy of b with bytes from at on replaced.
func edit(b []byte, at int, with ...byte) []byte {
	b = append([]byte{}, b...)
	copy(b[at:], with)
	return b
}

func TestInvalid(t *testing.T) {
	tcp4 := packettest.TCP("10.0.0.1:1", "10.0.0.2:2", packet.ACK, 1, 2, []byte("abcd"))
	tcp6 := packettest.TCP("[2001:db8::1]:1", "[2001:db8::2]:2", packet.ACK, 1, 2, []byte("abcd"))
	udp4 := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("abcd"))
	mapped := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}
	udp6 := packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", []byte("abcd"))
	icmp4 := packettest.ICMPEcho("10.0.0.1", "10.0.0.2", false, 1, 2, []byte("abcd"))
	icmp6 := packettest.ICMPEcho("2001:db8::1", "2001:db8::2", false, 1, 2, []byte("abcd"))
	ip6 := func(next uint8, body ...byte) []byte { return packettest.IP("2001:db8::1", "2001:db8::2", next, body) }

	for _, test := range []struct {
		name string
		link packet.LinkType
		data []byte
		want packet.Event
	}{
		{"unknown link type", 4711, tcp4, packet.FaultLinkType},
		{"empty Ethernet", packet.LinkEthernet, nil, packet.EventEthernetPacketTooSmall},
		{"cut tag", packet.LinkEthernet, packettest.Ethernet(tcp4, 1)[:17], packet.EventVLANHeaderTooSmall},
		{"four tags", packet.LinkEthernet, packettest.Ethernet(tcp4, 1, 2, 3, 4), packet.EventVLANTooManyLayers},
		{"empty raw", packet.LinkRaw, nil, packet.EventIPv4PacketTooSmall},
		{"raw version 5", packet.LinkRaw, edit(tcp4, 0, 0x55), packet.EventIPRawInvalidIPVersion},

		{"19 bytes", packet.LinkIPv4, tcp4[:19], packet.EventIPv4PacketTooSmall},
		{"version 6", packet.LinkEthernet, edit(packettest.Ethernet(tcp4), 14, 0x65), packet.EventIPv4WrongIPVersion},
		{"header length 0", packet.LinkRaw, edit(tcp4, 0, 0x40), packet.EventIPv4HeaderLenTooSmall},
		{"header length 16", packet.LinkRaw, edit(tcp4, 0, 0x44), packet.EventIPv4HeaderLenTooSmall},
		{"header beyond the total length", packet.LinkRaw, edit(tcp4, 0, 0x4f), packet.EventIPv4IPLenSmallerThanHeaderLen},
		{"total length 0", packet.LinkRaw, edit(tcp4, 2, 0, 0), packet.EventIPv4IPLenSmallerThanHeaderLen},
		{"total length 19", packet.LinkRaw, edit(tcp4, 2, 0, 19), packet.EventIPv4IPLenSmallerThanHeaderLen},
		{"cut by a byte", packet.LinkRaw, tcp4[:len(tcp4)-1], packet.EventIPv4TruncatedPacket},
		{"header checksum", packet.LinkRaw, edit(tcp4, 10, 0, 0), packet.FaultIPv4Checksum},

		{"39 bytes", packet.LinkIPv6, tcp6[:39], packet.EventIPv6PacketTooSmall},
		{"version 4", packet.LinkEthernet, edit(packettest.Ethernet(tcp6), 14, 0x40), packet.EventIPv6WrongIPVersion},
		{"IPv6 from an address of IPv4", packet.LinkRaw, edit(tcp6, 8, mapped...), packet.FaultMappedAddress},
		{"IPv6 to an address of IPv4", packet.LinkRaw, edit(tcp6, 24, mapped...), packet.FaultMappedAddress},
		{"IPv6 cut by a byte", packet.LinkRaw, tcp6[:len(tcp6)-1], packet.EventIPv6TruncatedPacket},
		{"extension header of 7 bytes", packet.LinkRaw, ip6(0, 17, 0, 0, 0, 0, 0, 0), packet.EventIPv6TruncatedExtHeader},
		{"extension header too long", packet.LinkRaw, ip6(60, 17, 1, 0, 0, 0, 0, 0, 0), packet.EventIPv6TruncatedExtHeader},
		{"AH too long", packet.LinkRaw, ip6(51, 17, 1, 0, 0, 0, 0, 0, 0), packet.EventIPv6TruncatedExtHeader},
		{"jumbogram", packet.LinkRaw, edit(ip6(0, 17, 0, 0xc2, 4, 0, 1, 0, 0), 4, 0, 0), packet.EventIPv6TruncatedExtHeader},

		{"TCP of 19 bytes", packet.LinkRaw, packettest.IP("10.0.0.1", "10.0.0.2", 6, make([]byte, 19)), packet.EventTCPPacketTooSmall},
		{"data offset 16", packet.LinkRaw, edit(tcp4, 32, 0x40), packet.EventTCPInvalidOptlen},
		{"data offset beyond the end", packet.LinkRaw, edit(tcp4, 32, 0x70), packet.EventTCPHeaderLenTooSmall},
		{"TCP checksum", packet.LinkRaw, edit(tcp4, 43, 'x'), packet.FaultTCPChecksum},
		{"TCP checksum, IPv6", packet.LinkRaw, edit(tcp6, 63, 'x'), packet.FaultTCPChecksum},

		{"UDP of 7 bytes", packet.LinkRaw, packettest.IP("10.0.0.1", "10.0.0.2", 17, make([]byte, 7)), packet.EventUDPHeaderLenTooSmall},
		{"UDP length 0", packet.LinkRaw, edit(udp4, 24, 0, 0), packet.EventUDPLenInvalid},
		{"UDP length 7", packet.LinkRaw, edit(udp4, 24, 0, 7), packet.EventUDPLenInvalid},
		{"UDP length beyond the end", packet.LinkRaw, edit(udp4, 24, 0, 13), packet.EventUDPPacketTooSmall},
		{"UDP checksum", packet.LinkRaw, edit(udp4, 28, 'x'), packet.FaultUDPChecksum},
		{"UDP checksum, IPv6", packet.LinkRaw, edit(udp6, 48, 'x'), packet.FaultUDPChecksum},
		{"UDP without checksum, IPv6", packet.LinkRaw, edit(udp6, 46, 0, 0), packet.FaultUDPChecksum},

		{"SCTP of 11 bytes", packet.LinkRaw, packettest.IP("10.0.0.1", "10.0.0.2", 132, make([]byte, 11)), packet.EventSCTPPacketTooSmall},
		{"ICMP of 7 bytes", packet.LinkRaw, packettest.IP("10.0.0.1", "10.0.0.2", 1, make([]byte, 7)), packet.EventICMPv4PacketTooSmall},
		{"ICMP checksum", packet.LinkRaw, edit(icmp4, 28, 'x'), packet.FaultICMPv4Checksum},
		{"ICMPv6 of 7 bytes", packet.LinkRaw, ip6(58, make([]byte, 7)...), packet.EventICMPv6PacketTooSmall},
		{"ICMPv6 checksum", packet.LinkRaw, edit(icmp6, 48, 'x'), packet.FaultICMPv6Checksum},
	} {
		t.Run(test.name, func(t *testing.T) {
			if p := decode(test.link, test.data, verify); p.Invalid != test.want {
				t.Errorf("Invalid = %v, want %v", p.Invalid, test.want)
			}
			switch test.want {
			case packet.FaultIPv4Checksum, packet.FaultTCPChecksum, packet.FaultUDPChecksum, packet.FaultICMPv4Checksum, packet.FaultICMPv6Checksum:
				if !test.want.Checksum() {
					t.Errorf("%v is no checksum", test.want)
				}
				if p := decode(test.link, test.data, packet.Options{}); p.Invalid != packet.Valid {
					t.Errorf("without verification Invalid = %v, want valid", p.Invalid)
				}
			}
		})
	}
}

func TestEventNames(t *testing.T) {
	seen := map[string]bool{}
	for i := range packet.NumEvents {
		e := packet.Event(i)
		name := e.String()
		if name == "" || e.Name() == "" || seen[name] {
			t.Errorf("Event(%d) is called %q, which is empty or taken", i, name)
		}
		seen[name] = true
		decoder, isDecoder := packet.DecoderEvent(e.Name())
		stream, isStream := packet.StreamEvent(e.Name())
		switch {
		case isDecoder && (decoder != e || e.Stream()), isStream && (stream != e || !e.Stream()):
			t.Errorf("the name of %v stands for %v, %v", e, decoder, stream)
		case (isDecoder || isStream) == (e == packet.Valid || e == packet.FaultLinkType || e == packet.FaultMappedAddress || e.Checksum()):
			t.Errorf("rules may name %v: %v", e, isDecoder || isStream)
		}
	}
}

func TestUDPLength(t *testing.T) {
	// The IP packet has 4 bytes more than the datagram says.
	ip := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("abcd"))
	longer := append(ip[:len(ip):len(ip)], "tail"...)
	longer[3] += 4
	binary.BigEndian.PutUint16(longer[10:], binary.BigEndian.Uint16(longer[10:])-4)
	p := decode(packet.LinkRaw, longer, verify)
	if p.Invalid != packet.Valid || string(p.Payload) != "abcd" {
		t.Errorf("%v, payload %q; want valid, \"abcd\"", p.Invalid, p.Payload)
	}
	// No checksum is allowed for IPv4.
	p = decode(packet.LinkRaw, edit(ip, 26, 0, 0), verify)
	if p.Invalid != packet.Valid {
		t.Errorf("UDP without checksum: %v, want valid", p.Invalid)
	}
}

func TestTCPOptions(t *testing.T) {
	for _, test := range []struct {
		name string
		opts []byte
		want packet.TCP
	}{
		{"wrong lengths are passed over", []byte{2, 3, 1, 3, 4, 1, 1, 4, 3, 0, 8, 3, 1, 1}, packet.TCP{}},
		{"nothing counts after the end", []byte{0, 2, 4, 5, 0xb4}, packet.TCP{}},
		{"scale above 14", []byte{3, 3, 15}, packet.TCP{WScale: 14, HasWScale: true}},
		{"unknown option in front", []byte{254, 4, 1, 2, 2, 4, 5, 0xb4}, packet.TCP{MSS: 1460, HasMSS: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := decode(packet.LinkRaw, packettest.TCP("10.0.0.1:1", "10.0.0.2:2", packet.SYN, 0, 0, nil,
				packettest.TCPOptions(test.opts...), packettest.Window(0)), verify)
			test.want.Flags = packet.SYN
			if d := diff(test.want, p.TCP); d != "" || p.Invalid != packet.Valid {
				t.Errorf("%v (-want +got):\n%s", p.Invalid, d)
			}
		})
	}
}

func TestFragments(t *testing.T) {
	payload := make([]byte, 300)
	for i := range payload {
		payload[i] = byte(i)
	}
	for _, test := range []struct {
		name string
		ip   []byte
	}{
		{"IPv4 UDP", packettest.UDP("10.0.0.1:53", "10.0.0.2:1000", payload, packettest.ID(0x1234))},
		{"IPv6 UDP", packettest.UDP("[2001:db8::1]:53", "[2001:db8::2]:1000", payload)},
		{"IPv4 TCP", packettest.TCP("10.0.0.1:53", "10.0.0.2:1000", packet.ACK, 1, 2, payload, packettest.ID(0x1234))},
		{"IPv6 TCP", packettest.TCP("[2001:db8::1]:53", "[2001:db8::2]:1000", packet.ACK, 1, 2, payload)},
	} {
		t.Run(test.name, func(t *testing.T) {
			whole := decode(packet.LinkRaw, test.ip, verify)
			frags := packettest.Fragments(test.ip, 136)
			var body []byte
			for i, f := range frags {
				p := decode(packet.LinkRaw, f, verify)
				if p.Invalid != packet.Valid || !p.Fragment || p.Proto != whole.Proto || p.IPID != 0x1234 {
					t.Fatalf("fragment %d: %v, Fragment %v, Proto %d, IPID %#x", i, p.Invalid, p.Fragment, p.Proto, p.IPID)
				}
				if int(p.FragOffset) != len(body) || p.MoreFrags != (i < len(frags)-1) {
					t.Errorf("fragment %d: offset %d, more %v; want %d", i, p.FragOffset, p.MoreFrags, len(body))
				}
				if i == 0 {
					if p.SrcPort != 53 || p.DstPort != 1000 {
						t.Errorf("first fragment: ports %d, %d", p.SrcPort, p.DstPort)
					}
					body = append(body, p.L4...)
				} else {
					if p.L4 != nil || p.SrcPort != 0 {
						t.Errorf("fragment %d: L4 of %d bytes, port %d", i, len(p.L4), p.SrcPort)
					}
					body = append(body, p.Payload...)
				}
			}
			if diff := cmp.Diff(whole.L4, body); diff != "" {
				t.Errorf("the fragments do not add up (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTinyFragment has a first fragment that ends within the TCP header.
func TestTinyFragment(t *testing.T) {
	ip := packettest.TCP("10.0.0.1:53", "10.0.0.2:1000", packet.ACK, 1, 2, []byte("data"))
	p := decode(packet.LinkRaw, packettest.Fragments(ip, 36)[0], verify)
	if p.Invalid != packet.Valid || !p.Fragment || p.L4 != nil || p.SrcPort != 0 || len(p.Payload) != 16 {
		t.Errorf("%v, Fragment %v, L4 %v, port %d, payload of %d bytes", p.Invalid, p.Fragment, p.L4, p.SrcPort, len(p.Payload))
	}
}

// TestRoutedChecksum has a routing header with a segment left, so that the
// address in the IP header is not the one in the checksum.
func TestRoutedChecksum(t *testing.T) {
	udp := packettest.UDP("[2001:db8::1]:1", "[2001:db8::9]:2", []byte("abcd"))[40:]
	for _, left := range []byte{0, 1} {
		p := decode(packet.LinkRaw, packettest.IP("2001:db8::1", "2001:db8::2", 43, append([]byte{17, 0, 4, left, 0, 0, 0, 0}, udp...)), verify)
		if want := []packet.Event{packet.FaultUDPChecksum, packet.Valid}[left]; p.Invalid != want {
			t.Errorf("%d segments left: %v, want %v", left, p.Invalid, want)
		}
	}
}

func TestEmbedded(t *testing.T) {
	tcp4 := packettest.TCP("10.0.0.1:1234", "10.0.0.2:80", packet.ACK, 77, 2, []byte("abcd"))
	udp6 := packettest.UDP("[2001:db8::1]:53", "[2001:db8::2]:1000", []byte("abcd"))
	echo4 := packettest.ICMPEcho("10.0.0.1", "10.0.0.2", false, 7, 9, nil)
	for _, test := range []struct {
		name   string
		packet []byte
		ok     bool
		want   packet.Packet // what Embedded sets, slices apart
		l4     bool
	}{
		{"RFC 792: 8 bytes of TCP", packettest.ICMP("10.0.0.9", "10.0.0.1", 3, 1, 0, tcp4[:28]), true,
			packet.Packet{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), SrcPort: 1234, DstPort: 80, EtherType: 0x0800, IPVersion: 4, Proto: 6, TTL: 64, TCP: packet.TCP{Seq: 77}}, true},
		{"7 bytes of TCP", packettest.ICMP("10.0.0.9", "10.0.0.1", 11, 0, 0, tcp4[:27]), true,
			packet.Packet{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), EtherType: 0x0800, IPVersion: 4, Proto: 6, TTL: 64}, false},
		{"19 bytes of IP", packettest.ICMP("10.0.0.9", "10.0.0.1", 3, 1, 0, tcp4[:19]), false, packet.Packet{}, false},
		{"quoted echo", packettest.ICMP("10.0.0.9", "10.0.0.1", 3, 1, 0, echo4), true,
			packet.Packet{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), EtherType: 0x0800, IPVersion: 4, Proto: 1, TTL: 64, ICMP: packet.ICMP{Type: 8, ID: 7, Seq: 9}}, true},
		{"ICMPv6: UDP", packettest.ICMP("2001:db8::9", "2001:db8::1", 1, 4, 0, udp6), true,
			packet.Packet{Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"), SrcPort: 53, DstPort: 1000, EtherType: 0x86dd, IPVersion: 6, Proto: 17, TTL: 64}, true},
		{"ICMPv6: cut extension header", packettest.ICMP("2001:db8::9", "2001:db8::1", 2, 0, 1280,
			packettest.IP("2001:db8::1", "2001:db8::2", 60, []byte{17, 0, 1, 4})), false, packet.Packet{}, false},
		{"an echo quotes nothing", packettest.ICMPEcho("10.0.0.9", "10.0.0.1", false, 1, 1, tcp4), false, packet.Packet{}, false},
		{"a UDP packet quotes nothing", udp6, false, packet.Packet{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := decode(packet.LinkRaw, test.packet, verify)
			var inner packet.Packet
			if ok := p.Embedded(&inner); ok != test.ok {
				t.Fatalf("Embedded = %v, want %v", ok, test.ok)
			}
			if !test.ok {
				return
			}
			if (inner.L4 != nil) != test.l4 {
				t.Errorf("L4 = %v", inner.L4)
			}
			inner.Data, inner.Net, inner.L4 = nil, nil, nil
			if d := diff(test.want, inner); d != "" {
				t.Errorf("Embedded (-want +got):\n%s", d)
			}
		})
	}
}

// within reports whether s lies in data.
func within(s, data []byte) bool {
	if len(s) == 0 {
		return true
	}
	at := uintptr(unsafe.Pointer(&s[0])) - uintptr(unsafe.Pointer(&data[0]))
	return at < uintptr(len(data)) && at+uintptr(len(s)) <= uintptr(len(data))
}

// samples are packets of every kind, with their link types.
func samples() map[packet.LinkType][][]byte {
	tcp4 := packettest.TCP("10.0.0.1:1", "10.0.0.2:2", packet.PSH|packet.ACK, 1, 2, []byte("abcd"), packettest.IPOptions(1, 1, 1))
	udp6 := packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", make([]byte, 100))
	return map[packet.LinkType][][]byte{
		packet.LinkEthernet: {ipv4TCP, packettest.Ethernet(tcp4), packettest.Ethernet(udp6, 7)},
		packet.LinkRaw: {
			ipv6UDP, tcp4, udp6,
			packettest.Fragments(udp6, 100)[0], packettest.Fragments(udp6, 100)[1],
			packettest.ICMPEcho("10.0.0.1", "10.0.0.2", true, 1, 2, nil),
			packettest.ICMP("10.0.0.9", "10.0.0.1", 3, 3, 0, tcp4),
			packettest.ICMP("2001:db8::9", "2001:db8::1", 1, 4, 0, ipv6UDP),
			packettest.IP("10.0.0.1", "10.0.0.2", packet.ProtoSCTP, make([]byte, 16)),
			packettest.IP("10.0.0.1", "10.0.0.2", 47, append([]byte{0, 0, 8, 0}, tcp4...)),
			packettest.UDP("10.0.0.1:1", "10.0.0.2:4789", append([]byte{8, 7: 0}, packettest.Ethernet(udp6)...)),
			packettest.UDP("10.0.0.1:1", "10.0.0.2:3544", udp6),
		},
		packet.LinkPPP:  {{0xff, 0x03, 0x00, 0x21, 0x45}},
		packet.LinkNull: {append([]byte{2, 0, 0, 0}, tcp4...)},
		packet.LinkSLL:  {append([]byte{14: 0x08, 15: 0x00}, tcp4...)},
		packet.LinkSLL2: {append([]byte{0: 0x86, 1: 0xdd, 19: 0}, udp6...)},
	}
}

func FuzzDecode(f *testing.F) {
	for link, packets := range samples() {
		for _, data := range packets {
			f.Add(uint16(link), data, true)
		}
	}
	for _, test := range eventTests {
		f.Add(uint16(test.link), test.data, false)
	}
	f.Fuzz(func(t *testing.T, link uint16, data []byte, sums bool) {
		var packets [packet.MaxDepth + 2]packet.Packet
		p := &packets[0]
		p.Decode(packet.LinkType(link), data, packet.Options{VerifyChecksums: sums, Tunnels: true})
		for depth := 0; ; depth++ {
			checkDecoded(t, p)
			inner := &packets[depth+1]
			if p.Inner.Data == nil {
				return
			}
			if !within(p.Inner.Data, p.Data) {
				t.Error("an inner packet leaves its packet")
			}
			if !inner.DecodeInner(p) {
				return
			}
			if inner.Depth != p.Depth+1 || inner.Depth > packet.MaxDepth {
				t.Errorf("depth %d in %d", inner.Depth, p.Depth)
			}
			p = inner
		}
	})
}

// checkDecoded checks what must hold for every packet, whatever its bytes.
func checkDecoded(t *testing.T, p *packet.Packet) {
	t.Helper()
	if !within(p.Net, p.Data) || !within(p.L4, p.Net) || !within(p.Payload, p.Net) {
		t.Error("a slice leaves its packet")
	}
	if p.LinkLen > len(p.Data) || (p.Net != nil && &p.Net[0] != &p.Data[p.LinkLen]) {
		t.Errorf("LinkLen is %d", p.LinkLen)
	}
	if int(p.Invalid) >= packet.NumDecoderEvents || p.VLANs > packet.MaxVLANs {
		t.Errorf("Invalid %d, VLANs %d", p.Invalid, p.VLANs)
	}
	if (p.IPVersion != 0) != (p.Net != nil) {
		t.Errorf("IP version %d with %d bytes", p.IPVersion, len(p.Net))
	}
	if p.Tracked && p.L4 == nil {
		t.Error("a flow without a transport header")
	}
	for i := range p.TCP.SACKs {
		p.SACK(int(i))
	}
	var inner packet.Packet
	if p.Embedded(&inner) && (!within(inner.Net, p.Payload) || !within(inner.L4, p.Payload)) {
		t.Error("a slice leaves the quotation")
	}
	for _, back := range []bool{true, false} {
		check(t, packet.AppendReset(nil, p, back, packet.ResetFor(p, back)))
	}
	check(t, packet.AppendUnreachable(nil, p))
}

// check fails unless ip is empty or a valid packet.
func check(t *testing.T, ip []byte) {
	t.Helper()
	if len(ip) == 0 {
		return
	}
	if p := decode(packet.LinkRaw, ip, verify); p.Invalid != packet.Valid {
		t.Errorf("made a packet that is invalid: %v\n%x", p.Invalid, ip)
	}
}

func TestNoAllocs(t *testing.T) {
	var p, inner packet.Packet
	buf := make([]byte, 0, 2048)
	for link, packets := range samples() {
		for _, data := range packets {
			allocs := testing.AllocsPerRun(100, func() {
				p.Decode(link, data, packet.Options{VerifyChecksums: true, Tunnels: true})
				if p.Inner.Data != nil {
					inner.DecodeInner(&p)
				}
				p.Embedded(&inner)
				packet.AppendReset(buf, &p, true, packet.ResetFor(&p, true))
				packet.AppendUnreachable(buf, &p)
			})
			if allocs != 0 {
				t.Errorf("%v allocations for link type %d, %x", allocs, link, data)
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	payload := make([]byte, 1460)
	for _, bench := range []struct {
		name string
		link packet.LinkType
		data []byte
	}{
		{"IPv4TCP", packet.LinkEthernet, packettest.Ethernet(packettest.TCP("10.0.0.1:1", "10.0.0.2:2", packet.ACK, 1, 2, payload,
			packettest.TCPOptions(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2)))},
		{"IPv6UDP", packet.LinkEthernet, packettest.Ethernet(packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", payload))},
	} {
		for _, opt := range []packet.Options{{Tunnels: true}, {VerifyChecksums: true, Tunnels: true}} {
			name := bench.name
			if opt.VerifyChecksums {
				name += "/verify"
			}
			b.Run(name, func(b *testing.B) {
				var p packet.Packet
				b.ReportAllocs()
				for b.Loop() {
					p.Decode(bench.link, bench.data, opt)
				}
			})
		}
	}
}

// TestMappedAddresses: those who want them get packets of IPv6 with addresses of IPv4.
func TestMappedAddresses(t *testing.T) {
	data := packettest.TCP("[2001:db8::1]:1", "[2001:db8::2]:2", packet.ACK, 1, 2, nil)
	copy(data[8:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1})
	var p packet.Packet
	for _, mapped := range []bool{false, true} {
		p.Decode(packet.LinkRaw, data, packet.Options{Mapped: mapped})
		if (p.Invalid == packet.Valid) != mapped || p.IPVersion != 6 {
			t.Errorf("mapped %v: %v, version %d", mapped, p.Invalid, p.IPVersion)
		}
	}
}
