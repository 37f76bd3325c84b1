package packet_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/sluicefw/sluice/engine/packet"
)

// TestAgainstGopacket lets gopacket build random packets and read them back,
// and compares its reading with Decode's.
func TestAgainstGopacket(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		data := randomPacket(t, r)
		p := decode(packet.LinkEthernet, data, verify)
		if p.Invalid != packet.Valid {
			t.Fatalf("%v: %x", p.Invalid, data)
		}
		compare(t, p, gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.Default))
		if t.Failed() {
			t.Fatalf("packet: %x", data)
		}
	}
}

func randomPacket(t *testing.T, r *rand.Rand) []byte {
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	etherType := layers.EthernetTypeIPv4
	proto := []layers.IPProtocol{layers.IPProtocolTCP, layers.IPProtocolUDP, layers.IPProtocolICMPv4}[r.IntN(3)]
	var network gopacket.SerializableLayer
	var sums gopacket.NetworkLayer
	if r.IntN(2) == 0 {
		ip := &layers.IPv4{Version: 4, TTL: uint8(r.Uint32()), TOS: uint8(r.Uint32()), Id: uint16(r.Uint32()), Protocol: proto, SrcIP: random(4), DstIP: random(4)}
		if r.IntN(2) == 0 {
			ip.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert
		}
		network, sums = ip, ip
	} else {
		etherType = layers.EthernetTypeIPv6
		if proto == layers.IPProtocolICMPv4 {
			proto = layers.IPProtocolICMPv6
		}
		ip := &layers.IPv6{Version: 6, HopLimit: uint8(r.Uint32()), TrafficClass: uint8(r.Uint32()), FlowLabel: r.Uint32N(1 << 20), NextHeader: proto, SrcIP: random(16), DstIP: random(16)}
		network, sums = ip, ip
	}
	stack := []gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: random(6), DstMAC: random(6), EthernetType: etherType}}
	if r.IntN(2) == 0 {
		stack[0].(*layers.Ethernet).EthernetType = layers.EthernetTypeDot1Q
		stack = append(stack, &layers.Dot1Q{VLANIdentifier: uint16(r.IntN(4096)), Priority: uint8(r.IntN(8)), Type: etherType})
	}
	stack = append(stack, network)
	switch proto {
	case layers.IPProtocolTCP:
		tcp := &layers.TCP{SrcPort: layers.TCPPort(r.Uint32()), DstPort: layers.TCPPort(r.Uint32()), Seq: r.Uint32(), Ack: r.Uint32(),
			Window: uint16(r.Uint32()), Urgent: uint16(r.Uint32()), SYN: r.IntN(2) == 0, ACK: r.IntN(2) == 0, FIN: r.IntN(2) == 0,
			RST: r.IntN(2) == 0, PSH: r.IntN(2) == 0, URG: r.IntN(2) == 0, ECE: r.IntN(2) == 0, CWR: r.IntN(2) == 0}
		for _, o := range []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: random(2)},
			{OptionType: layers.TCPOptionKindNop, OptionLength: 1},
			{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{byte(r.IntN(15))}},
			{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2},
			{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: random(8)},
		} {
			if r.IntN(2) == 0 {
				tcp.Options = append(tcp.Options, o)
			}
		}
		tcp.SetNetworkLayerForChecksum(sums)
		stack = append(stack, tcp)
	case layers.IPProtocolUDP:
		udp := &layers.UDP{SrcPort: layers.UDPPort(r.Uint32()), DstPort: layers.UDPPort(r.Uint32())}
		udp.SetNetworkLayerForChecksum(sums)
		stack = append(stack, udp)
	case layers.IPProtocolICMPv4:
		stack = append(stack, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: uint16(r.Uint32()), Seq: uint16(r.Uint32())})
	case layers.IPProtocolICMPv6:
		icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
		icmp.SetNetworkLayerForChecksum(sums)
		stack = append(stack, icmp, &layers.ICMPv6Echo{Identifier: uint16(r.Uint32()), SeqNumber: uint16(r.Uint32())})
	}
	stack = append(stack, gopacket.Payload(random(r.IntN(100))))
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func compare(t *testing.T, p *packet.Packet, want gopacket.Packet) {
	equal := func(field string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %v, gopacket says %v", field, got, want)
		}
	}
	address := func(b []byte) packet.Addr {
		ip, _ := netip.AddrFromSlice(b)
		return packet.AddrFrom(ip)
	}
	if tag, ok := want.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		equal("VLANs", p.VLANs, uint8(1))
		equal("VLAN", p.VLAN[0], tag.VLANIdentifier)
	}
	if ip, ok := want.NetworkLayer().(*layers.IPv4); ok {
		equal("IPVersion", p.IPVersion, uint8(4))
		equal("Src", p.Src, address(ip.SrcIP))
		equal("Dst", p.Dst, address(ip.DstIP))
		equal("TTL", p.TTL, ip.TTL)
		equal("TOS", p.TOS, ip.TOS)
		equal("IPID", p.IPID, uint32(ip.Id))
		equal("Proto", p.Proto, uint8(ip.Protocol))
	}
	if ip, ok := want.NetworkLayer().(*layers.IPv6); ok {
		equal("IPVersion", p.IPVersion, uint8(6))
		equal("Src", p.Src, address(ip.SrcIP))
		equal("Dst", p.Dst, address(ip.DstIP))
		equal("TTL", p.TTL, ip.HopLimit)
		equal("TOS", p.TOS, ip.TrafficClass)
		equal("Proto", p.Proto, uint8(ip.NextHeader))
	}
	if tcp, ok := want.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
		equal("SrcPort", p.SrcPort, uint16(tcp.SrcPort))
		equal("DstPort", p.DstPort, uint16(tcp.DstPort))
		equal("Seq", p.TCP.Seq, tcp.Seq)
		equal("Ack", p.TCP.Ack, tcp.Ack)
		equal("Window", p.TCP.Window, tcp.Window)
		equal("Urgent", p.TCP.Urgent, tcp.Urgent)
		for bit, set := range map[uint8]bool{packet.FIN: tcp.FIN, packet.SYN: tcp.SYN, packet.RST: tcp.RST, packet.PSH: tcp.PSH,
			packet.ACK: tcp.ACK, packet.URG: tcp.URG, packet.ECE: tcp.ECE, packet.CWR: tcp.CWR} {
			equal("flag", p.TCP.Flags&bit != 0, set)
		}
		var options packet.TCP
		for _, o := range tcp.Options {
			switch b := o.OptionData; o.OptionType {
			case layers.TCPOptionKindMSS:
				options.MSS, options.HasMSS = uint16(b[0])<<8|uint16(b[1]), true
			case layers.TCPOptionKindWindowScale:
				options.WScale, options.HasWScale = b[0], true
			case layers.TCPOptionKindSACKPermitted:
				options.SACKOK = true
			case layers.TCPOptionKindTimestamps:
				options.HasTS = true
				options.TSVal = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
				options.TSEcr = uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])
			}
		}
		got := p.TCP
		got.Seq, got.Ack, got.Window, got.Urgent, got.Flags = 0, 0, 0, 0, 0
		equal("options", got, options)
		equal("Payload", string(p.Payload), string(tcp.Payload))
	}
	if udp, ok := want.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
		equal("SrcPort", p.SrcPort, uint16(udp.SrcPort))
		equal("DstPort", p.DstPort, uint16(udp.DstPort))
		equal("Payload", string(p.Payload), string(udp.Payload))
	}
	if icmp, ok := want.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
		equal("ICMP", p.ICMP, packet.ICMP{Type: 8, ID: icmp.Id, Seq: icmp.Seq})
		equal("Payload", string(p.Payload), string(icmp.Payload))
	}
	if echo, ok := want.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo); ok {
		equal("ICMP", p.ICMP, packet.ICMP{Type: 128, ID: echo.Identifier, Seq: echo.SeqNumber})
	}
}
