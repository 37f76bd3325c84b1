package packet_test

import (
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// udpTo is a datagram to a port of a tunnel.
func udpTo(port string, parts ...any) []byte {
	return packettest.UDP("10.0.0.1:1", "10.0.0.2:"+port, join(parts...))
}

func TestTunnels(t *testing.T) {
	v4in := packettest.UDP("10.9.9.1:53", "10.9.9.2:1000", []byte("data"))
	v6in := packettest.UDP("[2001:db8:9::1]:53", "[2001:db8:9::2]:1000", []byte("data"))
	vxlan := []byte{8, 0, 0, 0, 0, 0, 9, 0}
	for _, test := range []struct {
		name  string
		data  []byte
		from  []packet.From // of the packets within
		vlans []uint16      // of the innermost
	}{
		{"GRE with IPv4", v4(47, 0, 0, 8, 0, v4in), []packet.From{packet.FromGRE}, nil},
		{"GRE with IPv6, in IPv6", v6(47, 0, 0, 0x86, 0xdd, v6in), []packet.From{packet.FromGRE}, nil},
		{"GRE with checksum, key and sequence number", v4(47, 0xb0, 0, 8, 0, zeros(12), v4in), []packet.From{packet.FromGRE}, nil},
		{"GRE with a route", v4(47, 0x40, 0, 8, 0, zeros(4), 8, 0, 0, 4, zeros(4), zeros(4), v4in), []packet.From{packet.FromGRE}, nil},
		{"PPTP", v4(47, 0x30, 0x81, 0x88, 0x0b, zeros(12), 0xff, 3, 0x21, v4in), []packet.From{packet.FromGRE}, nil},
		{"GRE with a frame", v4(47, 0, 0, 0x65, 0x58, packettest.Ethernet(v4in, 7)), []packet.From{packet.FromGRE}, []uint16{7}},
		{"GRE with a tag", v4(47, 0, 0, 0x81, 0, 0, 7, 8, 0, v4in), []packet.From{packet.FromGRE}, []uint16{7}},
		{"ERSPAN I", v4(47, 0, 0, 0x88, 0xbe, packettest.Ethernet(v4in)), []packet.From{packet.FromGRE}, nil},
		{"ERSPAN II", v4(47, 0x10, 0, 0x88, 0xbe, zeros(4), 0x10, 9, zeros(6), packettest.Ethernet(v4in, 7)), []packet.From{packet.FromGRE}, []uint16{9, 7}},
		{"IPv6 in IPv4", v4(41, v6in), []packet.From{packet.FromIPv4}, nil},
		{"IPv4 in IPv6", v6(4, v4in), []packet.From{packet.FromIPv6}, nil},
		{"IPv4 behind an extension header", v6(60, 4, 0, 5, 2, zeros(4), v4in), []packet.From{packet.FromIPv6}, nil},
		{"IPv6 in IPv6", v6(41, v6in), []packet.From{packet.FromIPv6}, nil},
		{"Teredo", udpTo("3544", v6in), []packet.From{packet.FromTeredo}, nil},
		{"Teredo with an origin", udpTo("3544", zeros(8), v6in), []packet.From{packet.FromTeredo}, nil},
		{"VXLAN", udpTo("4789", vxlan, packettest.Ethernet(v4in)), []packet.From{packet.FromVXLAN}, nil},
		{"VXLAN with a tag", udpTo("4789", vxlan, packettest.Ethernet(v4in, 7)), []packet.From{packet.FromVXLAN}, []uint16{7}},
		{"GENEVE", udpTo("6081", 0, 0, 0x65, 0x58, zeros(4), packettest.Ethernet(v6in)), []packet.From{packet.FromGENEVE}, nil},
		{"GENEVE with options, and IPv4", udpTo("6081", 3, 0x40, 8, 0, zeros(4), 1, 2, 3, 1, zeros(4), zeros(4), v4in), []packet.From{packet.FromGENEVE}, nil},
		{"IPv6 in IPv4 in GRE", v4(47, 0, 0, 8, 0, v4(41, v6in)), []packet.From{packet.FromGRE, packet.FromIPv4}, nil},

		// What looks like a tunnel and is none.
		{"IPv4 in IPv4", v4(4, v4in), nil, nil}, // as in Suricata 7
		{"GRE with what is cut", v4(47, 0, 0, 8, 0, v4in[:20]), nil, nil},
		{"GRE with ARP", v4(47, 0, 0, 8, 6, zeros(28)), nil, nil},
		{"Teredo authentication", udpTo("3544", 0, 1, zeros(11), v6in), nil, nil},
		{"Teredo with too much", udpTo("3544", v6in, 0), nil, nil},
		{"Teredo with a broken datagram", udpTo("3544", edit(v6in, 45, 99)), nil, nil},
		{"Teredo without a hop limit", udpTo("3544", edit(v6in, 7, 0)), nil, nil},
		{"VXLAN without an identifier", udpTo("4789", zeros(8), packettest.Ethernet(v4in)), nil, nil},
		{"VXLAN with ARP", udpTo("4789", vxlan, ether(0x806, zeros(28))), nil, nil},
		{"GENEVE version 1", udpTo("6081", 0x40, 0, 8, 0, zeros(4), v4in), nil, nil},
		{"GENEVE with options beyond their end", udpTo("6081", 1, 0, 8, 0, zeros(4), 1, 2, 3, 1, v4in), nil, nil},
		{"GENEVE cut", udpTo("6081", zeros(7)), nil, nil},
		{"another port", udpTo("4790", vxlan, packettest.Ethernet(v4in)), nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, packets := inTunnel(packet.LinkEthernet, packettest.Ethernet(test.data, 3))
			outer, inner := packets[0], packets[len(packets)-1]
			var from []packet.From
			for i, p := range packets[1:] {
				if from = append(from, p.From); int(p.Depth) != i+1 || p.Link != packet.LinkRaw12 {
					t.Errorf("packet %d: depth %d, link type %d", i+1, p.Depth, p.Link)
				}
			}
			if !slices.Equal(from, test.from) {
				t.Fatalf("packets from %v, want %v", from, test.from)
			}
			if outer.Src != addr("10.0.0.1") && outer.Src != addr("2001:db8::1") || outer.VLANs != 1 || outer.From != packet.FromWire {
				t.Errorf("outer: from %v, %d tags, %v", outer.Src, outer.VLANs, outer.From)
			}
			if test.from == nil {
				return
			}
			if inner.Invalid != packet.Valid || inner.SrcPort != 53 || string(inner.Payload) != "data" || !slices.Equal(inner.VLAN[:inner.VLANs], test.vlans) {
				t.Errorf("inner: %v, port %d, payload %q, VLAN %v", inner.Invalid, inner.SrcPort, inner.Payload, inner.VLAN[:inner.VLANs])
			}
			if p := decode(packet.LinkRaw, test.data, packet.Options{}); p.Inner.Data != nil {
				t.Error("an inner packet without Options.Tunnels")
			}
		})
	}
}

// TestTunnelsInTunnels has more packets within packets than anybody follows.
func TestTunnelsInTunnels(t *testing.T) {
	data := v4(47, 0, 0, 8, 0)
	for range 300 {
		data = v4(47, 0, 0, 8, 0, data)
	}
	events, packets := inTunnel(packet.LinkEthernet, packettest.Ethernet(data))
	if len(packets) != 5 || !slices.Equal(events, []packet.Event{packet.EventTooManyLayers}) {
		t.Errorf("%d packets, events %v", len(packets), events)
	}
}

// TestHeadersInFront puts everything that can be taken off in front of a packet.
func TestHeadersInFront(t *testing.T) {
	ip := packettest.UDP("10.0.0.1:53", "10.0.0.2:1000", []byte("data"))
	for name, data := range map[string][]byte{
		"802.1ad and 802.1Q": ether(0x88a8, 0, 1, 0x91, 0, 0, 2, 0x81, 0, 0, 3, 8, 0, ip),
		"802.1ah":            ether(0x88e7, zeros(16), 8, 0, ip),
		"PPPoE":              ether(0x8864, 0x11, 0, 0, 1, 0, 1, 0, 0x21, ip),
		"PPPoE, compressed":  ether(0x8864, 0x11, 0, 0, 1, 0, 1, 0x21, ip),
		"MPLS":               ether(0x8847, 0, 1, 0, 0, label(99), ip),
		"MPLS explicit null": ether(0x8847, label(0), ip),
		"MPLS pseudowire":    ether(0x8848, label(99), zeros(4), ether(0x800, ip)),
		"FabricPath":         ether(0x8903, 0, 0, ether(0x800, ip)),
		"VN-Tag":             ether(0x8926, zeros(4), 8, 0, ip),
		"E-Tag":              ether(0x893f, zeros(6), 8, 0, ip),
		"E-Tag in a VLAN":    ether(0x8100, 0, 1, 0x89, 0x3f, zeros(6), 8, 0, ip),
		"NSH":                ether(0x894f, 0, 6, 1, 1, zeros(20), ip),
		"NSH with metadata":  ether(0x894f, 0, 3, 2, 3, zeros(8), ether(0x800, ip)),
		"NSH with labels":    ether(0x894f, 0, 6, 1, 5, zeros(20), label(99), ip),
	} {
		p := decode(packet.LinkEthernet, data, verify)
		if p.Invalid != packet.Valid || len(p.Events.All()) != 0 || string(p.Payload) != "data" {
			t.Errorf("%s: %v, events %v, payload %q", name, p.Invalid, p.Events.All(), p.Payload)
		}
		if p.LinkLen != len(data)-len(ip) || p.EtherType != 0x0800 || p.Depth != 0 {
			t.Errorf("%s: LinkLen %d of %d, type %#x, depth %d", name, p.LinkLen, len(data), p.EtherType, p.Depth)
		}
	}
}
