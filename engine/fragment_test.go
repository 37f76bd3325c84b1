package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// query53 is a DNS query in fragments of 24 bytes.
func query53(name string) [][]byte {
	return packettest.Fragments(packettest.UDP("10.0.0.1:5", "10.0.0.2:53", query(name)), 44)
}

// pieces sends fragments: all but the last must pass.
func (r *rig) pieces(what string, last pktio.Verdict, frags [][]byte) {
	r.Helper()
	for i, f := range frags {
		verdict := pktio.Accept
		if i == len(frags)-1 {
			verdict = last
		}
		r.want(verdict, what, f)
	}
}

// TestFragmentsReassembled: rules see the datagram, when its last missing
// fragment arrives, and a datagram that may not pass is never complete.
func TestFragmentsReassembled(t *testing.T) {
	r := newRig(t, program(t, `drop dns any any -> any 53 (dns.query; content:"evil.example"; sid:1;)
drop tcp any any -> any 99 (flags:S; sid:2;)`))
	r.pieces("a good query", pktio.Accept, query53("www.good.example"))
	if len(r.rec.alerts) != 0 || r.w.table.Len() != 1 {
		t.Fatalf("%d alerts, %d flows", len(r.rec.alerts), r.w.table.Len())
	}
	for f := range r.w.table.All {
		if f.Packets(packet.ToServer) != 1 || f.Key.DstPort != 53 {
			t.Errorf("the flow has %d packets to port %d", f.Packets(packet.ToServer), f.Key.DstPort)
		}
	}
	evil := packettest.Fragments(packettest.UDP("10.0.0.1:6", "10.0.0.2:53", query("www.evil.example"), packettest.ID(1)), 44)
	slices.Reverse(evil)
	r.pieces("a bad query, backwards", pktio.Drop, evil)
	if len(r.rec.alerts) != 1 || r.rec.alerts[0].SrcPort != 6 || r.rec.alerts[0].FlowID == 0 {
		t.Fatalf("alerts %+v", r.rec.alerts)
	}
	for _, f := range evil {
		r.drops("a fragment of a refused datagram, sent again", f)
	}
	r.pass(61)
	r.pieces("again, later", pktio.Drop, evil)
	r.dropped(ReasonRule, 1)
	r.dropped(ReasonFlow, 1)
	r.dropped(ReasonFragment, uint64(len(evil)))
	r.counter(cFragmentsDropped+int(defrag.Condemned-defrag.Malformed), uint64(len(evil)))

	r.pieces("SYN", pktio.Drop, packettest.Fragments(packettest.TCP("10.0.0.1:7", "10.0.0.2:99", syn, 1, 0, nil, packettest.ID(2)), 28))
	r.pieces("SYN, IPv6", pktio.Drop, packettest.Fragments(packettest.TCP("[2001:db8::1]:7", "[2001:db8::2]:99", syn, 1, 0, nil), 56))
	r.pieces("SYN to another port", pktio.Accept, packettest.Fragments(packettest.TCP("10.0.0.1:7", "10.0.0.2:98", syn, 1, 0, nil, packettest.ID(3)), 28))
	r.counter(cReassembled, 5)
	r.counter(cReassembled+1, 1)
	r.addsUp()
}

// TestFragmentConnection: a connection may have some of its packets in fragments.
func TestFragmentConnection(t *testing.T) {
	r := newRig(t, program(t, `drop tcp any any -> any any (content:"evil"; sid:1;)`))
	c := newConn("1")
	for i, ip := range [][]byte{c.syn(), c.s2c(synAck, ""), c.c2s(ack, ""), c.c2s(data, "good bytes and more"), c.s2c(data, "ev"), c.s2c(data, "il and the rest")} {
		if i%2 == 1 {
			verdict := pktio.Accept
			if i == 5 {
				verdict = pktio.Drop
			}
			r.pieces("fragments", verdict, packettest.Fragments(ip, 28))
			continue
		}
		r.accepts("segment", ip)
	}
	r.drops("more of it", c.c2s(data, "more"))
	r.addsUp()
}

// TestFragmentOverlap: bytes that an overlap hides from one host are seen with
// that host's policy, and only with it.
func TestFragmentOverlap(t *testing.T) {
	good := packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:99", []byte("harmless bytes, all of them."), packettest.ID(9)), 28)
	evil := packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:99", []byte("evil----bytes, all of them."), packettest.ID(9)), 28)
	// Both at once: the second overwrites the bytes of the first, or does not.
	frags := [][]byte{good[0], good[1], evil[1], good[2], good[3], good[4]}
	for policy, want := range map[defrag.Policy]pktio.Verdict{
		defrag.Windows: pktio.Accept, defrag.First: pktio.Accept, defrag.BSD: pktio.Accept, defrag.Solaris: pktio.Accept,
		defrag.Last: pktio.Drop, defrag.Linux: pktio.Drop,
	} {
		r := newRig(t, program(t, `drop udp any any -> any 99 (content:"evil"; sid:1;)`), func(o *Options) {
			o.Fragments.Policy = policy
			o.VerifyChecksums = false // the two differ
		})
		r.pieces("overlap", want, frags)
		r.counter(cFragmentOverlaps, 1)
	}
	r := newRig(t, program(t, ""), func(o *Options) { o.Fragments.Policy = defrag.Last })
	r.pieces("a wrong checksum", pktio.Drop, frags)
	r.dropped(ReasonInvalid, 1)
	r.addsUp()
}

// TestFragmentRules: what Suricata 7 answers to rules about fragments by
// themselves: they have a protocol (fragment, for IPv6) but no ports and no payload.
func TestFragmentRules(t *testing.T) {
	udp4 := packettest.Fragments(packettest.UDP("10.0.0.1:1000", "10.0.0.2:99", []byte("AAAAAAAAevilAAAAAAAA"), packettest.ID(7)), 36)
	udp6 := packettest.Fragments(packettest.UDP("[2001:db8::1]:1000", "[2001:db8::2]:99", []byte("AAAAAAAAevilAAAAAAAA")), 64)
	for _, test := range []struct {
		rule             string
		alerts4, alerts6 int // of two fragments and the datagram
	}{
		{rule: `ip any any -> any any (sid:1;)`, alerts4: 3, alerts6: 3},
		{rule: `udp any any -> any any (sid:1;)`, alerts4: 3, alerts6: 1},
		{rule: `udp any any -> any 99 (sid:1;)`, alerts4: 1, alerts6: 1},
		{rule: `ip any any -> any any (fragbits:M; sid:1;)`, alerts4: 1},
		{rule: `ip any any -> any any (fragoffset:>0; sid:1;)`, alerts4: 1, alerts6: 1},
		{rule: `udp any any -> any any (content:"evil"; sid:1;)`, alerts4: 1, alerts6: 1},
		{rule: `ip any any -> any any (ttl:64; sid:1;)`, alerts4: 3, alerts6: 3},
	} {
		for version, frags := range map[int][][]byte{4: udp4, 6: udp6} {
			want := test.alerts4
			if version == 6 {
				want = test.alerts6
			}
			r := newRig(t, program(t, "alert "+test.rule))
			if len(frags) != 2 {
				t.Fatalf("%d fragments", len(frags))
			}
			r.pieces(test.rule, pktio.Accept, frags)
			if len(r.rec.alerts) != want {
				t.Errorf("IPv%d, %s: %d alerts, want %d", version, test.rule, len(r.rec.alerts), want)
			}
		}
	}
	r := newRig(t, program(t, `drop ip any any -> any any (fragbits:M; sid:1;)`))
	r.drops("first fragment", udp4[0])
	r.accepts("last fragment", udp4[1])
	r.dropped(ReasonRule, 1)
	// The datagram is judged even so: whoever sends the fragments need not wait for them to pass.
	if r.w.table.Len() != 1 || len(r.rec.drops) != 1 || r.rec.drops[0].SrcPort != 0 {
		t.Errorf("%d flows, drops %+v", r.w.table.Len(), r.rec.drops)
	}
	r.addsUp()
}

// TestFragmentDefaults: default actions are about datagrams.
func TestFragmentDefaults(t *testing.T) {
	for family := range detect.NumFamilies {
		r := newRig(t, program(t, "pass udp any any -> any 99 (sid:1;)", dropDefault(family)))
		r.pieces("passed by a rule", pktio.Accept, packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:99", make([]byte, 200)), 100))
		if family == detect.Strict || family == detect.Established {
			r.pieces("no rule", pktio.Drop, packettest.Fragments(packettest.ICMPEcho("10.0.0.1", "10.0.0.2", false, 1, 1, make([]byte, 200)), 100))
		}
		r.addsUp()
	}
}

// TestFragmentLimits: what cannot be put together does not pass, and what is
// never complete is forgotten.
func TestFragmentLimits(t *testing.T) {
	r := newRig(t, program(t, ""), func(o *Options) { o.Fragments = defrag.Options{Datagrams: 1, Timeout: 10 * time.Second} })
	one, two := query53("one.example"), packettest.Fragments(packettest.UDP("10.0.0.3:5", "10.0.0.2:53", query("two.example")), 44)
	r.accepts("the first datagram", one[0])
	r.drops("has the only place", two[0])
	r.counter(cFragmentsDropped+int(defrag.Full-defrag.Malformed), 1)
	r.pass(10)
	r.w.now = r.now
	r.w.sweep()
	r.counter(cFragmentTimeouts, 1)
	r.pieces("the second, later", pktio.Accept, two)
	r.addsUp()
}

// TestFragmentInFragments: an overlap may put a fragment header where a
// harmless one was; what is rebuilt is no datagram then.
func TestFragmentInFragments(t *testing.T) {
	r := newRig(t, program(t, ""), func(o *Options) { o.Fragments.Policy = defrag.Last })
	options := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	header := func(next, offset, more byte) []byte { return []byte{next, 0, 0, offset | more, 0, 0, 0, 1} }
	const destination, fragment, udp = 60, 44, 17
	r.pieces("a fragment in fragments", pktio.Drop, [][]byte{
		packettest.IP("2001:db8::1", "2001:db8::2", fragment, slices.Concat(header(destination, 0, 1), options(destination), options(udp))),
		packettest.IP("2001:db8::1", "2001:db8::2", fragment, slices.Concat(header(destination, 8, 0), options(fragment), header(udp, 0, 1), make([]byte, 8))),
	})
	r.counter(cFragmentsDropped, 1)
	r.addsUp()
}

// TestFragmentPanic: a datagram that made the engine panic is not completed later.
func TestFragmentPanic(t *testing.T) {
	r := newRig(t, program(t, `alert udp any any -> any 53 (sid:1;)`))
	r.w.records = &broken{}
	frags := query53("www.example.com")
	r.pieces("panics", pktio.Drop, frags)
	r.dropped(ReasonPanic, 1)
	r.drops("again", frags[len(frags)-1])
	r.addsUp()
}

// TestFragmentsLookedAt: where the engine only looks on nothing is refused, and
// records tell the packet that completed the datagram.
func TestFragmentsLookedAt(t *testing.T) {
	r := newRig(t, program(t, `drop udp any any -> any 53 (sid:1;)`), func(o *Options) {
		o.Inline, o.CountPackets, o.CountFrames, o.PacketSource = false, true, true, "wire/pcap"
	})
	frags := query53("www.example.com")
	for i, f := range append(slices.Clone(frags), frags...) {
		r.raw(pktio.Packet{Data: packettest.Ethernet(f, 7), Link: packet.LinkEthernet, Cookie: uint64(i + 1)})
	}
	if len(r.rec.alerts) != 1 {
		t.Fatalf("%d alerts", len(r.rec.alerts))
	}
	a := r.rec.alerts[0]
	if a.PcapCnt != 0 || a.Tunnel == nil || a.Tunnel.PcapCnt != uint64(len(frags)) || a.Tunnel.PktSrc != "wire/pcap" || a.PktSrc != "defrag" || a.VLANs != 1 || a.VLAN[0] != 7 {
		t.Errorf("alert %+v", a)
	}
	if want := uint64(18 + 20 + 8 + len(query("www.example.com"))); a.Flow.BytesToServer != want {
		t.Errorf("%d bytes, want those of the whole datagram, %d", a.Flow.BytesToServer, want)
	}
	r.counter(cReassembled, 2)
}
