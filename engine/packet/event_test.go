package packet_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// join makes one slice of bytes, numbers below 256 and other slices.
func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func zeros(n int) []byte { return make([]byte, n) }

// ether puts an Ethernet header in front of parts.
func ether(etherType int, parts ...any) []byte {
	return join(zeros(12), etherType>>8, etherType, join(parts...))
}

func v4(proto uint8, parts ...any) []byte {
	return packettest.IP("10.0.0.1", "10.0.0.2", proto, join(parts...))
}

func v6(next uint8, parts ...any) []byte {
	return packettest.IP("2001:db8::1", "2001:db8::2", next, join(parts...))
}

// withIPOptions is IPv4 with these options, which must be padded.
func withIPOptions(options ...byte) []byte {
	return packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil, packettest.IPOptions(options...))
}

func withTCPOptions(options ...byte) []byte {
	return packettest.TCP("10.0.0.1:1", "10.0.0.2:2", packet.SYN, 0, 0, nil, packettest.TCPOptions(options...))
}

// label is an MPLS label at the bottom of the stack.
func label(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n<<12|0x1ff) }

// inTunnel is what decoding a frame and everything in it says.
func inTunnel(link packet.LinkType, data []byte) (events []packet.Event, packets []packet.Packet) {
	p := decode(link, data, packet.Options{Tunnels: true})
	for {
		var inner packet.Packet
		found := p.Inner.Data != nil && inner.DecodeInner(p)
		events = append(events, p.Events.All()...)
		packets = append(packets, *p)
		if !found {
			return events, packets
		}
		p = &inner
	}
}

var eventTests = []struct {
	name string
	link packet.LinkType
	data []byte
	want []packet.Event // of all packets, the outermost first
}{
	{"HDLC cut", packet.LinkCHDLC, zeros(3), []packet.Event{packet.EventCHDLCPacketTooSmall}},
	{"SLL cut", packet.LinkSLL, zeros(15), []packet.Event{packet.EventSLLPacketTooSmall}},
	{"Ethernet cut", packet.LinkEthernet, zeros(13), []packet.Event{packet.EventEthernetPacketTooSmall}},
	{"null cut", packet.LinkNull, zeros(3), []packet.Event{packet.EventLTNullPacketTooSmall}},
	{"null, no family", packet.LinkNull, zeros(30), []packet.Event{packet.EventLTNullUnsupportedType}},
	{"raw, version 5", packet.LinkRaw, join(0x50, zeros(30)), []packet.Event{packet.EventIPRawInvalidIPVersion}},
	{"raw cut", packet.LinkRaw, zeros(19), []packet.Event{packet.EventIPv4PacketTooSmall}},

	{"FabricPath cut", packet.LinkEthernet, ether(0x8903, zeros(15)), []packet.Event{packet.EventDCEPacketTooSmall}},
	{"PBB cut", packet.LinkEthernet, ether(0x88e7, zeros(17)), []packet.Event{packet.EventIEEE8021ahHeaderTooSmall}},
	{"tag cut", packet.LinkEthernet, ether(0x8100, zeros(3)), []packet.Event{packet.EventVLANHeaderTooSmall}},
	{"tag, then nothing known", packet.LinkEthernet, ether(0x8100, 0, 1, 0x12, 0x34), []packet.Event{packet.EventVLANUnknownType}},
	{"four tags", packet.LinkEthernet, packettest.Ethernet(v4(17, zeros(8)), 1, 2, 3, 4), []packet.Event{packet.EventVLANTooManyLayers}},
	{"E-Tag cut", packet.LinkEthernet, ether(0x893f, zeros(7)), []packet.Event{packet.EventETagHeaderTooSmall}},
	{"E-Tag, then nothing known", packet.LinkEthernet, ether(0x893f, zeros(8)), []packet.Event{packet.EventETagUnknownType}},
	{"VN-Tag cut", packet.LinkEthernet, ether(0x8926, zeros(5)), []packet.Event{packet.EventVNTagHeaderTooSmall}},
	{"VN-Tag, then nothing known", packet.LinkEthernet, ether(0x8926, zeros(6)), []packet.Event{packet.EventVNTagUnknownType}},
	{"sixteen layers", packet.LinkEthernet, join(bytes.Repeat(ether(0x8903, 0, 0), 16), zeros(20)), []packet.Event{packet.EventTooManyLayers}},

	{"label cut", packet.LinkEthernet, ether(0x8847, 0, 0, 0), []packet.Event{packet.EventMPLSHeaderTooSmall}},
	{"no bottom of the stack", packet.LinkEthernet, ether(0x8847, 0, 0, 0, 0), []packet.Event{packet.EventMPLSHeaderTooSmall}},
	{"nothing behind labels", packet.LinkEthernet, ether(0x8847, label(99), 0x45), []packet.Event{packet.EventMPLSPacketTooSmall}},
	{"router alert at the bottom", packet.LinkEthernet, ether(0x8847, label(1), zeros(20)), []packet.Event{packet.EventMPLSBadLabelRouterAlert}},
	{"implicit null on the wire", packet.LinkEthernet, ether(0x8847, label(3), zeros(20)), []packet.Event{packet.EventMPLSBadLabelImplicitNull}},
	{"reserved label", packet.LinkEthernet, ether(0x8848, label(14), zeros(20)), []packet.Event{packet.EventMPLSBadLabelReserved}},
	{"neither IP nor pseudowire", packet.LinkEthernet, ether(0x8847, label(99), 0x70, zeros(20)), []packet.Event{packet.EventMPLSUnknownPayloadType}},

	{"NSH cut", packet.LinkEthernet, ether(0x894f, zeros(7)), []packet.Event{packet.EventNSHHeaderTooSmall}},
	{"NSH version 1", packet.LinkEthernet, ether(0x894f, 0x40, 6, 1, 1, zeros(24)), []packet.Event{packet.EventNSHUnsupportedVersion}},
	{"NSH length of all", packet.LinkEthernet, ether(0x894f, 0, 6, 1, 1, zeros(20)), []packet.Event{packet.EventNSHBadHeaderLength}},
	{"NSH type 1 of another length", packet.LinkEthernet, ether(0x894f, 0, 5, 1, 1, zeros(24)), []packet.Event{packet.EventNSHBadHeaderLength}},
	{"NSH type 0", packet.LinkEthernet, ether(0x894f, 0, 6, 0, 1, zeros(24)), []packet.Event{packet.EventNSHReservedType}},
	{"NSH type 3", packet.LinkEthernet, ether(0x894f, 0, 6, 3, 1, zeros(24)), []packet.Event{packet.EventNSHUnsupportedType}},
	{"NSH, then nothing known", packet.LinkEthernet, ether(0x894f, 0, 6, 1, 9, zeros(24)), []packet.Event{packet.EventNSHUnknownPayload}},

	{"PPP cut", packet.LinkPPP, []byte{0xff, 3, 0}, []packet.Event{packet.EventPPPPacketTooSmall}},
	{"PPP IPv4 cut", packet.LinkPPP, join(0, 0x21, zeros(19)), []packet.Event{packet.EventPPPIPv4PacketTooSmall}},
	{"PPP IPv6 cut", packet.LinkPPP, join(0, 0x57, zeros(39)), []packet.Event{packet.EventPPPIPv6PacketTooSmall}},
	{"PPP Van Jacobson cut", packet.LinkPPP, join(0, 0x2f, zeros(19)), []packet.Event{packet.EventPPPVJUPacketTooSmall}},
	{"PPP link control", packet.LinkPPP, join(0xc0, 0x21, zeros(9)), []packet.Event{packet.EventPPPUnsupportedProtocol}},
	{"PPP, a protocol of nobody", packet.LinkPPP, join(0x12, 0x34, zeros(9)), []packet.Event{packet.EventPPPWrongType}},
	{"PPPoE cut", packet.LinkEthernet, ether(0x8864, zeros(6)), []packet.Event{packet.EventPPPoEPacketTooSmall}},
	{"PPPoE discovery cut", packet.LinkEthernet, ether(0x8863, zeros(5)), []packet.Event{packet.EventPPPoEPacketTooSmall}},
	{"PPPoE discovery, no code", packet.LinkEthernet, ether(0x8863, zeros(6)), []packet.Event{packet.EventPPPoEWrongCode}},
	{"PPPoE discovery, tags beyond the end", packet.LinkEthernet, ether(0x8863, 0x11, 9, 0, 0, 0, 5, zeros(4)), []packet.Event{packet.EventPPPoEMalformedTags}},
	{"PPPoE session, a protocol of nobody", packet.LinkEthernet, ether(0x8864, 0x11, 0, 0, 1, 0, 9, 0, 0xfd, zeros(7)), []packet.Event{packet.EventPPPWrongType}},

	{"GRE cut", packet.LinkRaw, v4(47, 0, 0, 8), []packet.Event{packet.EventGREPacketTooSmall}},
	{"GRE version 2", packet.LinkRaw, v4(47, 0, 2, 8, 0), []packet.Event{packet.EventGREWrongVersion}},
	{"GRE recursion", packet.LinkRaw, v4(47, 1, 0, 8, 0), []packet.Event{packet.EventGREVersion0Recur}},
	{"GRE flags", packet.LinkRaw, v4(47, 0, 8, 8, 0), []packet.Event{packet.EventGREVersion0Flags}},
	{"GRE key cut", packet.LinkRaw, v4(47, 0x20, 0, 8, 0, zeros(3)), []packet.Event{packet.EventGREVersion0HeaderTooBig}},
	{"GRE route without end", packet.LinkRaw, v4(47, 0x40, 0, 8, 0, zeros(4), 0, 1, 0, 4, zeros(4)), []packet.Event{packet.EventGREVersion0MalformedSREHeader}},
	{"PPTP with a checksum", packet.LinkRaw, v4(47, 0x80, 1, 0x88, 0x0b), []packet.Event{packet.EventGREVersion1Chksum}},
	{"PPTP with a route", packet.LinkRaw, v4(47, 0x40, 1, 0x88, 0x0b), []packet.Event{packet.EventGREVersion1Route}},
	{"PPTP with a strict route", packet.LinkRaw, v4(47, 0x08, 1, 0x88, 0x0b), []packet.Event{packet.EventGREVersion1SSR}},
	{"PPTP recursion", packet.LinkRaw, v4(47, 1, 1, 0x88, 0x0b), []packet.Event{packet.EventGREVersion1Recur}},
	{"PPTP flags", packet.LinkRaw, v4(47, 0, 9, 0x88, 0x0b), []packet.Event{packet.EventGREVersion1Flags}},
	{"PPTP with IPv4", packet.LinkRaw, v4(47, 0x20, 1, 8, 0), []packet.Event{packet.EventGREVersion1WrongProtocol}},
	{"PPTP without a key", packet.LinkRaw, v4(47, 0, 1, 0x88, 0x0b), []packet.Event{packet.EventGREVersion1NoKey}},
	{"PPTP cut", packet.LinkRaw, v4(47, 0x30, 0x81, 0x88, 0x0b, zeros(11)), []packet.Event{packet.EventGREVersion1HeaderTooBig}},
	{"ERSPAN version 2", packet.LinkRaw, v4(47, 0x10, 0, 0x88, 0xbe, zeros(4), 0x20, zeros(30)), nil},
	{"ERSPAN, four tags", packet.LinkRaw, v4(47, 0x10, 0, 0x88, 0xbe, zeros(4), 0x10, 1, zeros(6), packettest.Ethernet(v4(17, zeros(8)), 1, 2, 3)), []packet.Event{packet.EventVLANTooManyLayers}},
	{"VXLAN with LLDP", packet.LinkRaw, packettest.UDP("10.0.0.1:1", "10.0.0.2:4789", join(8, zeros(7), ether(0x88cc, zeros(9)))), []packet.Event{packet.EventVXLANUnknownPayloadType}},
	{"GENEVE with LLDP", packet.LinkRaw, packettest.UDP("10.0.0.1:1", "10.0.0.2:6081", join(0, 0, 0x88, 0xcc, zeros(9))), []packet.Event{packet.EventGeneveUnknownPayloadType}},
	{"ESP cut", packet.LinkRaw, v4(50, zeros(7)), []packet.Event{packet.EventESPPacketTooSmall}},

	{"IPv4, version 5", packet.LinkEthernet, ether(0x800, 0x50, zeros(19)), []packet.Event{packet.EventIPv4WrongIPVersion}},
	{"IPv4 cut", packet.LinkEthernet, ether(0x800, 0x45, zeros(18)), []packet.Event{packet.EventIPv4PacketTooSmall}},
	{"IPv4 header of 16 bytes", packet.LinkRaw, edit(v4(17, zeros(8)), 0, 0x44), []packet.Event{packet.EventIPv4HeaderLenTooSmall}},
	{"IPv4 length within its header", packet.LinkRaw, edit(v4(17, zeros(8)), 3, 19), []packet.Event{packet.EventIPv4IPLenSmallerThanHeaderLen}},
	{"IPv4 truncated", packet.LinkRaw, v4(17, zeros(8))[:27], []packet.Event{packet.EventIPv4TruncatedPacket}},
	{"IPv4 with ICMPv6", packet.LinkRaw, v4(58, zeros(8)), []packet.Event{packet.EventIPv4ICMPv6}},
	{"options of 12 bytes", packet.LinkRaw, withIPOptions(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), []packet.Event{packet.EventIPv4OptionPadRequired}},
	{"option runs out", packet.LinkRaw, withIPOptions(1, 1, 1, 1, 7, 5, 4, 0), []packet.Event{packet.EventIPv4OptionInvalidLen}},
	{"option without length", packet.LinkRaw, withIPOptions(1, 1, 1, 1, 1, 1, 1, 7), []packet.Event{packet.EventIPv4OptionEOLRequired}},
	{"unknown option", packet.LinkRaw, withIPOptions(99, 8, 0, 0, 0, 0, 0, 0), []packet.Event{packet.EventIPv4OptionInvalid}},
	{"router alert twice", packet.LinkRaw, withIPOptions(148, 4, 0, 0, 148, 4, 0, 0), []packet.Event{packet.EventIPv4OptionDuplicate}},
	{"router alert of 3 bytes", packet.LinkRaw, withIPOptions(148, 3, 0, 1, 1, 1, 1, 1), []packet.Event{packet.EventIPv4OptionInvalidLen}},
	{"route that points into its header", packet.LinkRaw, withIPOptions(131, 7, 3, 0, 0, 0, 0, 1), []packet.Event{packet.EventIPv4OptionMalformed}},
	{"route that points beyond its end", packet.LinkRaw, withIPOptions(137, 7, 12, 0, 0, 0, 0, 1), []packet.Event{packet.EventIPv4OptionMalformed}},
	{"time stamp between two entries", packet.LinkRaw, withIPOptions(68, 8, 6, 0, 0, 0, 0, 0), []packet.Event{packet.EventIPv4OptionMalformed}},
	{"CIPSO with a reserved tag", packet.LinkRaw, withIPOptions(134, 10, 0, 0, 0, 1, 0, 4, 0, 0, 1, 1, 1, 1, 1, 1), []packet.Event{packet.EventIPv4OptionMalformed}},

	{"IPv6, version 5", packet.LinkEthernet, ether(0x86dd, 0x50, zeros(39)), []packet.Event{packet.EventIPv6WrongIPVersion}},
	{"IPv6 truncated", packet.LinkRaw, v6(17, zeros(8))[:47], []packet.Event{packet.EventIPv6TruncatedPacket}},
	{"IPv6 with ICMPv4", packet.LinkRaw, v6(1, zeros(8)), []packet.Event{packet.EventIPv6ICMPv4}},
	{"IPv6 with an unknown protocol", packet.LinkRaw, v6(99, zeros(8)), []packet.Event{packet.EventIPv6UnknownNextHeader}},
	{"data after no next header", packet.LinkRaw, v6(59, 0), []packet.Event{packet.EventIPv6DataAfterNoneHeader}},
	{"IPv4 in IPv6 cut", packet.LinkRaw, v6(4, zeros(19)), []packet.Event{packet.EventIPv6IPv4InIPv6TooSmall}},
	{"IPv4 in IPv6, version 5", packet.LinkRaw, v6(4, 0x50, zeros(19)), []packet.Event{packet.EventIPv6IPv4InIPv6WrongVersion}},
	{"IPv6 in IPv6 cut", packet.LinkRaw, v6(41, zeros(39)), []packet.Event{packet.EventIPv6IPv6InIPv6TooSmall}},
	{"IPv6 in IPv6, version 5", packet.LinkRaw, v6(41, 0x50, zeros(39)), []packet.Event{packet.EventIPv6IPv6InIPv6WrongVersion}},
	{"extension header cut", packet.LinkRaw, v6(60, 59, 1, zeros(13)), []packet.Event{packet.EventIPv6TruncatedExtHeader}},
	{"hop-by-hop twice", packet.LinkRaw, v6(0, 0, 0, 5, 2, zeros(4), 59, 0, 5, 2, zeros(4)), []packet.Event{packet.EventIPv6ExtHeaderDuplicateHH}},
	{"routing twice", packet.LinkRaw, v6(43, 43, 0, 2, zeros(5), 59, 0, 2, zeros(5)), []packet.Event{packet.EventIPv6ExtHeaderDuplicateRH}},
	{"routing of type 0", packet.LinkRaw, v6(43, 59, zeros(7)), []packet.Event{packet.EventIPv6RHType0}},
	{"destination options three times", packet.LinkRaw, v6(60, 60, 0, 5, 2, zeros(4), 60, 0, 5, 2, zeros(4), 59, 0, 5, 2, zeros(4)), []packet.Event{packet.EventIPv6ExtHeaderDuplicateDH}},
	{"AH twice", packet.LinkRaw, v6(51, 51, 1, zeros(10), 59, 1, zeros(10)), []packet.Event{packet.EventIPv6ExtHeaderDuplicateAH}},
	{"AH, reserved bits", packet.LinkRaw, v6(51, 59, 1, 0, 1, zeros(8)), []packet.Event{packet.EventIPv6ExtHeaderAHResNotNull}},
	{"fragment header without need, twice", packet.LinkRaw, v6(44, 44, 0, zeros(6), 59, 0, zeros(6)), []packet.Event{packet.EventIPv6ExtHeaderUselessFH, packet.EventIPv6ExtHeaderDuplicateFH}},
	{"fragment header, reserved bits", packet.LinkRaw, v6(44, 59, 1, 0, 8, zeros(4), zeros(8)), []packet.Event{packet.EventIPv6FHNonZeroReservedField}},
	{"fragment of 9 bytes, and more", packet.LinkRaw, v6(44, 17, 0, 0, 1, zeros(4), zeros(9)), []packet.Event{packet.EventIPv6FragmentInvalidLength}},
	{"only padding, hop-by-hop", packet.LinkRaw, v6(0, 59, 0, 1, 4, zeros(4)), []packet.Event{packet.EventIPv6HopoptsOnlyPadding}},
	{"only padding, destination", packet.LinkRaw, v6(60, 59, 0, zeros(6)), []packet.Event{packet.EventIPv6DstoptsOnlyPadding}},
	{"padding of no length", packet.LinkRaw, v6(60, 59, 0, 1, 0, 5, 2, 0, 0), []packet.Event{packet.EventIPv6ZeroLenPadN}},
	{"unknown option, hop-by-hop", packet.LinkRaw, v6(0, 59, 0, 99, 4, zeros(4)), []packet.Event{packet.EventIPv6HopoptsUnknownOption}},
	{"unknown option, destination", packet.LinkRaw, v6(60, 59, 0, 99, 4, zeros(4)), []packet.Event{packet.EventIPv6DstoptsUnknownOption}},
	{"option that runs out, IPv6", packet.LinkRaw, v6(60, 59, 0, 5, 6, zeros(4)), []packet.Event{packet.EventIPv6ExtHeaderInvalidOptlen}},
	{"jumbo option of 2 bytes", packet.LinkRaw, v6(0, 59, 0, 0xc2, 2, zeros(4)), []packet.Event{packet.EventIPv6ExtHeaderInvalidOptlen}},

	{"ICMP cut", packet.LinkRaw, v4(1, zeros(7)), []packet.Event{packet.EventICMPv4PacketTooSmall}},
	{"ICMP type 1", packet.LinkRaw, v4(1, 1, zeros(7)), []packet.Event{packet.EventICMPv4UnknownType}},
	{"echo with a code", packet.LinkRaw, v4(1, 8, 1, zeros(6)), []packet.Event{packet.EventICMPv4UnknownCode}},
	{"unreachable, code 16", packet.LinkRaw, v4(1, 3, 16, zeros(6)), []packet.Event{packet.EventICMPv4UnknownCode}},
	{"unreachable quotes 19 bytes", packet.LinkRaw, v4(1, 3, 1, zeros(6), zeros(19)), []packet.Event{packet.EventICMPv4IPv4TruncatedPacket}},
	{"unreachable quotes version 5", packet.LinkRaw, v4(1, 3, 1, zeros(6), 0x50, zeros(19)), []packet.Event{packet.EventICMPv4IPv4UnknownVersion}},
	{"time stamp cut", packet.LinkRaw, v4(1, 13, 0, zeros(6), zeros(11)), []packet.Event{packet.EventICMPv4IPv4TruncatedPacket}},
	{"router advertisement cut", packet.LinkRaw, v4(1, 9, 0, 0, 0, 1, 2, 0, 0, zeros(7)), []packet.Event{packet.EventICMPv4IPv4TruncatedPacket}},
	{"ICMPv6 cut", packet.LinkRaw, v6(58, zeros(7)), []packet.Event{packet.EventICMPv6PacketTooSmall}},
	{"ICMPv6 type 0", packet.LinkRaw, v6(58, zeros(8)), []packet.Event{packet.EventICMPv6UnknownType}},
	{"ICMPv6 type 99", packet.LinkRaw, v6(58, 99, zeros(7)), []packet.Event{packet.EventICMPv6UnassignedType}},
	{"ICMPv6 type 200", packet.LinkRaw, v6(58, 200, zeros(7)), []packet.Event{packet.EventICMPv6ExperimentationType}},
	{"ICMPv6 echo with a code", packet.LinkRaw, v6(58, 128, 1, zeros(6)), []packet.Event{packet.EventICMPv6UnknownCode}},
	{"too big quotes 39 bytes", packet.LinkRaw, v6(58, 2, 0, zeros(6), zeros(39)), []packet.Event{packet.EventICMPv6IPv6TruncatedPacket}},
	{"too big quotes version 5", packet.LinkRaw, v6(58, 2, 0, zeros(6), 0x50, zeros(39)), []packet.Event{packet.EventICMPv6IPv6UnknownVersion}},
	{"listener report from far away", packet.LinkRaw, v6(58, 131, zeros(7)), []packet.Event{packet.EventICMPv6MLDMessageWithInvalidHL}},

	{"TCP cut", packet.LinkRaw, v4(6, zeros(19)), []packet.Event{packet.EventTCPPacketTooSmall}},
	{"TCP header beyond the end", packet.LinkRaw, v4(6, zeros(12), 0x60, zeros(7)), []packet.Event{packet.EventTCPHeaderLenTooSmall}},
	{"TCP header of 16 bytes", packet.LinkRaw, v4(6, zeros(12), 0x40, zeros(7)), []packet.Event{packet.EventTCPInvalidOptlen}},
	{"TCP option of length 1", packet.LinkRaw, withTCPOptions(99, 1, 1, 1), []packet.Event{packet.EventTCPOptionInvalidLen}},
	{"MSS of 3 bytes", packet.LinkRaw, withTCPOptions(2, 5, 1, 1, 1, 0), []packet.Event{packet.EventTCPOptionInvalidLen}},
	{"MSS twice", packet.LinkRaw, withTCPOptions(2, 4, 5, 0xb4, 2, 4, 5, 0xb4), []packet.Event{packet.EventTCPOptionDuplicate}},
	{"UDP cut", packet.LinkRaw, v4(17, zeros(7)), []packet.Event{packet.EventUDPHeaderLenTooSmall}},
	{"UDP length beyond the end", packet.LinkRaw, v4(17, 0, 1, 0, 2, 0, 9, 0, 0), []packet.Event{packet.EventUDPPacketTooSmall}},
	{"UDP length 7", packet.LinkRaw, v4(17, 0, 1, 0, 2, 0, 7, 0, 0), []packet.Event{packet.EventUDPLenInvalid}},
	{"SCTP cut", packet.LinkRaw, v4(132, zeros(11)), []packet.Event{packet.EventSCTPPacketTooSmall}},
}

// unset are the events that decoding never sets: those of drivers, of putting
// fragments together, those that Suricata 7 never sets either, and those about a packet in a
// tunnel that are lost with it.
var unset = []packet.Event{
	packet.EventAFPacketTruncatedPacket,
	packet.EventIPv4FragmentIgnored, packet.EventIPv4FragmentOverlap, packet.EventIPv4FragmentPacketTooLarge,
	packet.EventIPv6FragmentIgnored, packet.EventIPv6FragmentOverlap, packet.EventIPv6FragmentPacketTooLarge,
	packet.EventIPv4OptionUnknown, packet.EventIPv6PacketTooSmall, packet.EventIPv6ExtHeaderDuplicateEH, packet.EventUDPHeaderLenInvalid,
	packet.EventGREVersion1MalformedSREHeader, packet.EventERSPANHeaderTooSmall, packet.EventERSPANUnsupportedVersion, packet.EventERSPANTooManyVLANLayers,
}

func TestEvents(t *testing.T) {
	seen := map[packet.Event]bool{}
	for _, test := range eventTests {
		got, _ := inTunnel(test.link, test.data)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		for _, e := range test.want {
			seen[e] = true
		}
	}
	for i := 1; i < packet.NumDecoderEvents; i++ {
		e := packet.Event(i)
		if _, ok := packet.DecoderEvent(e.Name()); ok && seen[e] == slices.Contains(unset, e) {
			t.Errorf("%v: set by a test: %v", e, seen[e])
		}
	}
}

// TestSound has packets that look odd and are not.
func TestSound(t *testing.T) {
	for name, data := range map[string][]byte{
		"route recorded to the end":               withIPOptions(7, 7, 8, 10, 0, 0, 1, 0),
		"time stamps with addresses":              withIPOptions(68, 12, 5, 1, 10, 0, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1),
		"CIPSO":                                   withIPOptions(134, 10, 0, 0, 0, 1, 1, 4, 0, 0, 1, 1, 1, 1, 1, 1),
		"fast open without a cookie":              withTCPOptions(34, 2, 1, 1),
		"fast open by experiment":                 withTCPOptions(254, 12, 0xf9, 0x89, 1, 2, 3, 4, 5, 6, 7, 8),
		"another experiment twice":                withTCPOptions(254, 4, 1, 2, 254, 4, 1, 2),
		"SACK without blocks":                     withTCPOptions(5, 2, 1, 1),
		"a kind without length at the end":        withTCPOptions(1, 1, 1, 99),
		"unreachable that quotes nothing":         v4(1, 3, 1, zeros(6)),
		"listener report":                         packettest.ICMP("2001:db8::1", "2001:db8::2", 131, 0, 0, nil, packettest.TTL(1)),
		"router alert, destination options twice": v6(0, 60, 0, 5, 2, zeros(4), 60, 0, 5, 2, zeros(4), 59, 0, 5, 2, zeros(4)),
		"no next header":                          v6(59),
		"UDP with bytes behind it":                v4(17, 0, 1, 0, 2, 0, 8, 0, 0, 1, 2, 3),
	} {
		if p := decode(packet.LinkRaw, data, packet.Options{}); p.Invalid != packet.Valid || len(p.Events.All()) > 0 {
			t.Errorf("%s: %v, events %v", name, p.Invalid, p.Events.All())
		}
	}
}
