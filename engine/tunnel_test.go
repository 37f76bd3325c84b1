package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

func tunnels(o *Options) { o.Tunnels, o.CountPackets, o.PacketSource = true, true, "wire/pcap" }

// gre puts an IPv4 packet into GRE between two gateways.
func gre(ip []byte) []byte {
	return packettest.IP("192.0.2.1", "192.0.2.2", packet.ProtoGRE, append([]byte{0, 0, 0x08, 0x00}, ip...))
}

// vxlan puts an IP packet into VXLAN between two gateways.
func vxlan(ip []byte) []byte {
	return packettest.UDP("192.0.2.1:999", "192.0.2.2:4789", append([]byte{8, 7: 0}, packettest.Ethernet(ip)...))
}

// numbered sends the packet with a number.
func (r *rig) numbered(n uint64, ip []byte) pktio.Verdict {
	return r.raw(pktio.Packet{Data: ip, Link: packet.LinkRaw, Cookie: n})
}

// TestTunnel: the packet in a tunnel has its flow and its rules, and the tunnel's packet has its
// own, without payload.
func TestTunnel(t *testing.T) {
	evil := packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("evil"))
	rules := `alert udp any any -> any any (content:"evil"; sid:1;)
alert udp 192.0.2.0/24 any -> any 4789 (sid:2;)
alert ip any any -> any any (ip_proto:47; sid:3;)`
	for name, test := range map[string]struct {
		ip    []byte
		outer uint32 // the rule about the tunnel
		proto uint8
		src   string
	}{
		"VXLAN": {vxlan(evil), 2, packet.ProtoUDP, "vxlan encapsulation"},
		"GRE":   {gre(evil), 3, packet.ProtoGRE, "gre tunnel"},
	} {
		r := newRig(t, program(t, rules), tunnels)
		if r.numbered(7, test.ip) != pktio.Accept {
			t.Fatalf("%s: dropped", name)
		}
		if len(r.rec.alerts) != 2 {
			t.Fatalf("%s: %d alerts", name, len(r.rec.alerts))
		}
		in, out := r.rec.alerts[0], r.rec.alerts[1]
		if in.SID != 1 || in.SrcPort != 1000 || in.PktSrc != test.src || in.PcapCnt != 0 || in.Flow.PktsToServer != 1 {
			t.Errorf("%s: the alert within: %+v", name, in)
		}
		if tun := in.Tunnel; tun.Depth != 1 || tun.Proto != test.proto || tun.PcapCnt != 7 || tun.PktSrc != "wire/pcap" || tun.Src.String() != "192.0.2.1" || tun.Dst.String() != "192.0.2.2" {
			t.Errorf("%s: the tunnel: %+v", name, tun)
		}
		if out.SID != test.outer || out.Tunnel != nil || out.PcapCnt != 7 || out.PktSrc != "wire/pcap" {
			t.Errorf("%s: the alert about the tunnel: %+v", name, out)
		}
		if r.w.table.Len() != 2 {
			t.Errorf("%s: %d flows, want those of tunnel and packet", name, r.w.table.Len())
		}
		for f := range r.w.table.All {
			if inner := f.Key.DstPort == 2000; (f.Key.Place.Tunnel() == 1) != inner {
				t.Errorf("%s: flow to port %d is in %d tunnels", name, f.Key.DstPort, f.Key.Place.Tunnel())
			}
		}
		r.addsUp()

		r = newRig(t, program(t, rules))
		r.accepts(name, test.ip)
		if r.w.table.Len() != 1 || slices.ContainsFunc(r.rec.alerts, func(a eve.Alert) bool { return a.SID == 3 && test.outer != 3 }) {
			t.Errorf("%s, not looked into: %d flows, alerts %+v", name, r.w.table.Len(), r.rec.alerts)
		}
	}
}

// TestTunnelDrop: what is dropped in a tunnel drops the packet around it, once.
func TestTunnelDrop(t *testing.T) {
	r := newRig(t, program(t, `reject udp 10.0.0.0/8 any -> any any (content:"evil"; sid:1;)
alert ip 192.0.2.0/24 any -> any any (sid:2;)`), tunnels)
	evil := packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("evil"))
	r.drops("in two tunnels", vxlan(gre(evil)))
	r.drops("its flow", vxlan(gre(packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("good")))))
	r.accepts("the same outside of any tunnel has another flow", packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("good")))
	if len(r.rec.alerts) != 1 {
		t.Errorf("alerts %+v: nothing is asked about what is around", r.rec.alerts)
	}
	var got []string
	for _, d := range r.rec.drops {
		got = append(got, d.PktSrc+": "+d.Reason)
	}
	want := []string{
		"gre tunnel: rules", "vxlan encapsulation: ", "wire/pcap: tunnel packet drop",
		"gre tunnel: flow drop", "vxlan encapsulation: ", "wire/pcap: tunnel packet drop",
	}
	if !slices.Equal(got, want) {
		t.Errorf("drops %q, want %q", got, want)
	}
	r.dropped(ReasonRule, 1)
	r.dropped(ReasonFlow, 1)
	if len(r.q.injected) != 0 {
		t.Errorf("%d packets were sent to hosts in a tunnel", len(r.q.injected))
	}
	r.addsUp()
}

// TestTunnelDropUnderRuleFiles: a dropped packet's tunnel still has its rules if it is of a flow.
func TestTunnelDropUnderRuleFiles(t *testing.T) {
	r := newRig(t, suricata(t, `drop udp 10.0.0.0/8 any -> any any (content:"evil"; sid:1;)
alert ip 192.0.2.0/24 any -> any any (ttl:>0; sid:2;)`), tunnels)
	evil := packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("evil"))
	r.drops("in VXLAN, which is UDP", vxlan(evil))
	r.drops("in GRE, which has no flow", gre(evil))
	var got []string
	for _, a := range r.rec.alerts {
		got = append(got, fmt.Sprintf("%d %s %s", a.SID, a.PktSrc, a.Action))
	}
	if want := []string{"1 vxlan encapsulation blocked", "2 wire/pcap allowed", "1 gre tunnel blocked"}; !slices.Equal(got, want) {
		t.Errorf("alerts %q, want %q", got, want)
	}
	if d := r.rec.drops[1]; d.Reason != "tunnel packet drop" || d.FlowID == 0 {
		t.Errorf("drop %+v", d)
	}
	if r.w.table.Len() != 2 {
		t.Errorf("%d flows, want those of the datagram and of VXLAN", r.w.table.Len())
	}
	r.addsUp()
}

// TestOddOptions: what is wrong with an option takes neither flow nor payload from a packet under
// rule files, and is the end of it under a policy.
func TestOddOptions(t *testing.T) {
	udp := packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("evil"))
	odd := append(append([]byte{}, udp[:20]...), 148, 3, 0, 0, 0, 0, 0, 0) // a router alert has 4 bytes
	odd = append(odd, udp[20:]...)
	odd[0], odd[3] = 0x47, byte(len(odd))
	rules := `alert udp any any -> any 2000 (content:"evil"; sid:1;)`
	r := newRig(t, suricata(t, rules), func(o *Options) { o.VerifyChecksums = false })
	r.accepts("rule file", odd)
	if len(r.rec.alerts) != 1 || r.rec.alerts[0].FlowID == 0 {
		t.Errorf("alerts %+v", r.rec.alerts)
	}
	r = newRig(t, program(t, rules), func(o *Options) { o.VerifyChecksums = false })
	r.drops("policy", odd)
	r.dropped(ReasonInvalid, 1)
	r.addsUp()
}

// TestTunnelFragments: tunnels in fragments, and fragments in tunnels.
func TestTunnelFragments(t *testing.T) {
	evil := packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("a datagram that has evil in it, and more"))
	var cut [][]byte
	for _, f := range packettest.Fragments(evil, 44) {
		cut = append(cut, gre(f))
	}
	for name, frags := range map[string][][]byte{
		"a tunnel in fragments": packettest.Fragments(gre(evil), 44),
		"fragments in a tunnel": cut,
	} {
		r := newRig(t, program(t, `drop udp any any -> any any (content:"evil"; sid:1;)`), tunnels)
		r.pieces(name, pktio.Drop, frags)
		if len(r.rec.alerts) != 1 || r.rec.alerts[0].Tunnel.Depth != 1 || r.rec.alerts[0].SrcPort != 1000 {
			t.Errorf("%s: alerts %+v", name, r.rec.alerts)
		}
		r.drops(name+", the last again", frags[len(frags)-1])
		r.dropped(ReasonRule, 1)
		r.dropped(ReasonFragment, 1)
		r.addsUp()
	}
}

// TestTunnelInvalid: a packet that cannot be trusted drops its tunnel, but under rule files it
// only alerts.
func TestTunnelInvalid(t *testing.T) {
	bad := gre(packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("evil"))[:28])
	rules := `alert ip any any -> any any (decode-event:udp.pkt_too_small; sid:1;)`
	short := packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("evil"))
	short[25]++ // the length of the datagram
	r := newRig(t, program(t, rules), tunnels)
	r.drops("wrong length", gre(short))
	r.dropped(ReasonInvalid, 1)
	r.accepts("no packet after all", bad)
	r.addsUp()
	if len(r.rec.alerts) != 1 || r.rec.alerts[0].PktSrc != "gre tunnel" {
		t.Errorf("alerts %+v", r.rec.alerts)
	}
	r = newRig(t, suricata(t, rules), tunnels)
	r.accepts("wrong length", gre(short))
	if len(r.rec.alerts) != 1 {
		t.Errorf("alerts %+v", r.rec.alerts)
	}
}

// TestWrongChecksums: rules of a file see packets with wrong checksums, and no connection does.
func TestWrongChecksums(t *testing.T) {
	r := newRig(t, suricata(t, `alert ip any any -> any any (content:"evil"; sid:1;)`))
	c := newConn("1")
	r.open(c)
	segment := c.c2s(data, "evil")
	segment[36]++
	before := r.w.table.Len()
	r.accepts("a segment", segment)
	r.accepts("data instead", c.c2s(data, "good"))
	udp := packettest.UDP("10.0.0.1:1000", "10.0.0.2:2000", []byte("evil"))
	udp[26]++
	r.accepts("a datagram", udp)
	stray := packettest.TCP("10.0.0.7:1", "10.0.0.2:2", ack, 1, 1, []byte("evil"))
	stray[36]++
	r.accepts("a segment of no connection", stray)
	if got := r.w.table.Len() - before; got != 2 {
		t.Errorf("%d flows more, want those of the datagram and of the stray segment", got)
	}
	r.counter(cInvalid+int(packet.FaultTCPChecksum)-1, 2)
	r.counter(cInvalid+int(packet.FaultUDPChecksum)-1, 1)
	r.addsUp()
	if len(r.rec.alerts) != 3 || r.rec.alerts[0].FlowID == 0 || r.rec.alerts[2].FlowID == 0 {
		t.Errorf("alerts %+v", r.rec.alerts)
	}
}
