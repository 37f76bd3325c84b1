package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stateless"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

func TestTCPConnection(t *testing.T) {
	r := newRig(t, program(t, ""))
	c := newConn("40000")
	r.open(c)
	r.accepts("data", c.c2s(data, "hello"))
	r.accepts("answer", c.s2c(data, "world"))
	r.accepts("a segment far out of the window, which nobody uses", packettest.TCP(c.server, c.client, data, c.serverSeq+1<<30, c.clientSeq, []byte("x")))
	r.drops("a SYN in the middle", packettest.TCP(c.client, c.server, syn, c.clientSeq+1<<20, 0, nil))
	r.dropped(ReasonStream, 1)
	r.accepts("FIN", c.c2s(fin, ""))
	r.accepts("FIN", c.s2c(fin, ""))
	r.accepts("last ACK", c.c2s(ack, ""))
	if r.w.table.Len() != 1 {
		t.Fatal("a closed flow must wait for late packets")
	}
	r.pass(10.5)
	r.sweep()
	if r.w.table.Len() != 0 || len(r.rec.flows) != 1 {
		t.Fatalf("%d flows, %d records", r.w.table.Len(), len(r.rec.flows))
	}
	f := r.rec.flows[0]
	if f.Reason != eve.ReasonTimeout || f.State != "closed" || f.TCPState != "closed" ||
		f.ToServer.Packets != 6 || f.ToClient.Packets != 4 || f.ToServer.TCPFlags != syn|fin|data {
		t.Errorf("record %+v", f)
	}
	r.counter(cEnded+int(flow.Closed), 1)
	r.counter(cEnded+int(flow.Timeout), 0)
	r.drops("a packet after the closed timeout", c.c2s(ack, ""))
	r.midstream(detect.ExceptionDrop, CauseClosed, 1)
}

func TestIdleTimeouts(t *testing.T) {
	type step struct {
		after float64
		known bool // the packet still finds its flow
	}
	udp := packettest.UDP("10.0.0.1:1", "192.0.2.1:2", []byte("x"))
	echo := packettest.ICMPEcho("10.0.0.1", "192.0.2.1", false, 1, 1, nil)
	c := newConn("1")
	half := newConn("2")
	for name, test := range map[string]struct {
		start []([]byte)
		next  []byte
		steps []step
	}{
		"TCP, established": {[][]byte{c.syn(), c.s2c(synAck, ""), c.c2s(ack, "")}, c.c2s(ack, ""), []step{{350, true}, {350.1, false}}},
		"TCP, only a SYN":  {[][]byte{half.syn()}, half.s2c(synAck, ""), []step{{60.1, false}}},
		"UDP":              {[][]byte{udp}, udp, []step{{120, true}, {120.1, false}}},
		"ICMP":             {[][]byte{echo}, echo, []step{{30, true}, {30.1, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, program(t, ""))
			for _, p := range test.start {
				r.accepts("start", p)
			}
			for _, s := range test.steps {
				before := r.w.n[cEnded+int(flow.Timeout)]
				r.pass(s.after)
				r.packet(test.next)
				if ended := r.w.n[cEnded+int(flow.Timeout)] > before; ended == s.known {
					t.Errorf("after %v s the flow was known: %v", s.after, !ended)
				}
			}
		})
	}
}

// TestIdleTimeoutsOfSuricata: where rules stand alone, timeouts are over with a second of the clock.
func TestIdleTimeoutsOfSuricata(t *testing.T) {
	r := newRig(t, programWith(t, "", detect.Options{}, func(p *detect.Program) { p.Suricata = true }))
	r.pass(1 - float64(r.now%1e9)/1e9 + 0.25) // a quarter past
	for n, step := range []struct {
		after float64
		ended uint64
	}{{0, 0}, {30.5, 0}, {30.25, 1}} { // at .75, and on the second
		r.pass(step.after)
		r.packet(packettest.UDP("10.0.0.1:1", "192.0.2.1:2", []byte("x")))
		if got := r.w.n[cEnded+int(flow.Timeout)]; got != step.ended {
			t.Errorf("packet %d: %d flows timed out, want %d", n+1, got, step.ended)
		}
	}
}

// TestInvalidPacketsDoNotKeepAFlow: what does not belong to a connection is
// dropped and must not put its timeout off.
func TestInvalidPacketsDoNotKeepAFlow(t *testing.T) {
	r := newRig(t, program(t, ""))
	c := newConn("1")
	r.open(c)
	for range 4 {
		r.pass(100)
		r.drops("a forged reset", packettest.TCP(c.client, c.server, rst, c.clientSeq-1<<30, 0, nil))
	}
	r.counter(cEnded+int(flow.Timeout), 1)
	r.dropped(ReasonStream, 3)
	r.dropped(ReasonException, 1)
	r.midstream(detect.ExceptionDrop, CauseIdle, 1)
}

func TestProtocols(t *testing.T) {
	r := newRig(t, program(t, ""))
	for _, p := range []struct {
		name  string
		ip    []byte
		vlan  []uint16
		flows int // afterwards
	}{
		{"UDP", packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil), nil, 1},
		{"UDP reply", packettest.UDP("10.0.0.2:2", "10.0.0.1:1", nil), nil, 1},
		{"the same on a VLAN", packettest.UDP("10.0.0.2:2", "10.0.0.1:1", nil), []uint16{5}, 2},
		{"and on two", packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil), []uint16{5, 6}, 3},
		{"and back", packettest.UDP("10.0.0.2:2", "10.0.0.1:1", nil), []uint16{5, 6}, 3},
		{"echo", packettest.ICMPEcho("10.0.0.1", "10.0.0.2", false, 1, 1, nil), nil, 4},
		{"echo reply", packettest.ICMPEcho("10.0.0.2", "10.0.0.1", true, 1, 1, nil), nil, 4},
		{"IPv6 UDP", packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", nil), nil, 5},
		{"IPv6 echo", packettest.ICMPEcho("2001:db8::1", "2001:db8::2", false, 1, 1, nil), nil, 6},
		{"IPv6 echo reply", packettest.ICMPEcho("2001:db8::2", "2001:db8::1", true, 1, 1, nil), nil, 6},
		{"IPv6 SYN", packettest.TCP("[2001:db8::1]:1", "[2001:db8::2]:2", syn, 1, 0, nil), nil, 7},
		{"GRE", packettest.IP("10.0.0.1", "10.0.0.2", 47, make([]byte, 20)), nil, 8},
	} {
		if v := r.raw(pktio.Packet{Data: packettest.Ethernet(p.ip, p.vlan...), Link: packet.LinkEthernet}); v != pktio.Accept {
			t.Errorf("%s: dropped", p.name)
		}
		if n := r.w.table.Len(); n != p.flows {
			t.Errorf("%s: %d flows, want %d", p.name, n, p.flows)
		}
	}
	arp := append(packettest.Ethernet(packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil))[:12], 0x08, 0x06, 0, 1)
	if v := r.raw(pktio.Packet{Data: arp, Link: packet.LinkEthernet}); v != pktio.Accept {
		t.Error("ARP dropped")
	}
	r.counter(cNotIP, 1)
	r.addsUp()
}

// addsUp compares what was received with what became of it.
func (r *rig) addsUp() {
	r.Helper()
	n := r.w.n
	sum := n[cNotIP] + n[cStatelessPassed] + n[cStatefulPassed]
	for reason := NotDropped + 1; reason < NumReasons; reason++ {
		sum += n[cDropped+int(reason)-1]
	}
	if sum != n[cStatelessPackets] {
		r.Errorf("%d packets received, %d passed or dropped", n[cStatelessPackets], sum)
	}
}

func TestICMPError(t *testing.T) {
	rules := "pass tcp any any -> any 443 (sid:1;)"
	r := newRig(t, program(t, rules, dropDefault(detect.Strict)))
	c := newConn("1")
	r.open(c)
	sent := c.c2s(data, "too big")
	r.accepts("data", sent)
	unreachable := func(dst string, quoted []byte) []byte {
		return packettest.ICMP("10.9.9.9", dst, 3, 4, 1400, quoted[:28])
	}
	r.drops("about no flow", unreachable("10.0.0.1", packettest.TCP("10.0.0.1:7", "192.0.2.1:443", ack, 1, 1, nil)))
	r.accepts("about a passed flow, after one about none", unreachable("10.0.0.1", sent))
	r.drops("to somebody else", unreachable("10.0.0.5", sent))
	r.drops("a query", packettest.ICMPEcho("10.9.9.9", "10.0.0.1", false, 1, 1, sent[:28]))
	r.addsUp()
}

func TestInvalidPackets(t *testing.T) {
	r := newRig(t, program(t, ""))
	bad := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("x"))
	bad[len(bad)-1]++
	r.drops("wrong checksum", bad)
	r.counter(cInvalid+int(packet.FaultUDPChecksum)-1, 1)
	if v := r.raw(pktio.Packet{Data: bad, Link: packet.LinkRaw, Offload: true}); v != pktio.Accept {
		t.Error("the checksum of an offloaded packet was verified")
	}
	r.drops("cut", packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil)[:25])
	r.counter(cInvalid+int(packet.EventIPv4TruncatedPacket)-1, 1)
	r.drops("nothing", nil)
	r.dropped(ReasonInvalid, 3)
	if len(r.rec.drops) != 3 || r.rec.drops[0].Reason != "decode error" {
		t.Errorf("%+v", r.rec.drops)
	}
	r.addsUp()
}

func TestWithoutProgram(t *testing.T) {
	udp := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil)
	r := newRig(t, nil)
	r.drops("fail closed", udp)
	r.dropped(ReasonNoProgram, 1)
	r.addsUp()
	r = newRig(t, nil, func(o *Options) { o.FailOpen = true })
	r.accepts("fail open", udp)
	r.drops("invalid all the same", udp[:10])
	r.addsUp()
}

func TestLookingOn(t *testing.T) {
	r := newRig(t, program(t, `reject udp any any -> any any (sid:1;)`), func(o *Options) { o.Inline = false })
	r.accepts("a packet that would be dropped", packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil))
	r.dropped(ReasonRule, 1)
	r.addsUp()
	if len(r.injected()) != 0 || len(r.rec.alerts) != 1 || r.rec.alerts[0].Action != "blocked" || r.rec.alerts[0].Verdict != "alert" {
		t.Errorf("%v, alerts %+v", r.q.injected, r.rec.alerts)
	}
}

func TestStateless(t *testing.T) {
	custom := func(i ...uint16) []uint16 { return i }
	table := stateless.New([]stateless.Rule{
		{Protos: []uint8{17}, DstPorts: []stateless.PortRange{{From: 53, To: 53}}, Decision: stateless.Decision{Action: stateless.Pass, Custom: custom(1)}},
		{Protos: []uint8{17}, DstPorts: []stateless.PortRange{{From: 54, To: 54}}, Decision: stateless.Decision{Action: stateless.Drop, Custom: custom(0, 1)}},
	}, stateless.Decision{Action: stateless.Forward}, stateless.Decision{Action: stateless.Pass})
	r := newRig(t, program(t, "", func(p *detect.Program) { p.Stateless, p.Custom = table, []string{"One", "Two"} }))
	r.accepts("passed", packettest.UDP("10.0.0.1:1", "10.0.0.2:53", nil))
	r.drops("dropped", packettest.UDP("10.0.0.1:1", "10.0.0.2:54", nil))
	r.accepts("forwarded", packettest.UDP("10.0.0.1:1", "10.0.0.2:55", nil))
	if r.w.table.Len() != 1 {
		t.Errorf("%d flows: only what is forwarded has one", r.w.table.Len())
	}
	frags := packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:99", make([]byte, 200)), 100)
	for _, f := range frags {
		r.accepts("UDP fragment, by its default", f)
	}
	for _, f := range packettest.Fragments(packettest.TCP("10.0.0.1:1", "10.0.0.2:99", syn, 1, 0, make([]byte, 200)), 100) {
		r.drops("TCP fragment", f)
	}
	got := map[string]uint64{}
	for name, n := range r.w.opt.Custom.All {
		got[name] = n
	}
	if len(got) != 2 || got["One"] != 1 || got["Two"] != 2 {
		t.Errorf("custom actions %v", got)
	}
	r.counter(cStatelessPassed, 1+uint64(len(frags)))
	r.addsUp()
}

func TestOffloadedPacketsCount(t *testing.T) {
	r := newRig(t, program(t, ""))
	udp := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", make([]byte, 3000))
	for _, c := range []struct {
		offload bool
		mss     uint16
		want    uint64
	}{{false, 0, 1}, {true, 1000, 3}, {true, 1448, 3}, {true, 0, 3}} {
		before := r.w.n[cStatelessPackets]
		r.raw(pktio.Packet{Data: udp, Link: packet.LinkRaw, Offload: c.offload, MSS: c.mss})
		if got := r.w.n[cStatelessPackets] - before; got != c.want {
			t.Errorf("%+v: counted as %d", c, got)
		}
	}
	for f := range r.w.table.All {
		if f.Packets(packet.ToServer) != 10 {
			t.Errorf("the flow has %d packets", f.Packets(packet.ToServer))
		}
	}
	r.addsUp()
}

func TestFlowTableFull(t *testing.T) {
	r := newRig(t, program(t, ""), func(o *Options) { o.FlowLimit = 4 })
	for i := range 4 {
		src := packettest.UDP("10.0.0.1:"+string(rune('1'+i)), "10.0.0.2:2", nil)
		r.accepts("new flow", src)
		if i > 0 {
			r.accepts("reply", packettest.UDP("10.0.0.2:2", "10.0.0.1:"+string(rune('1'+i)), nil))
		}
	}
	syn := newConn("77").syn()
	r.accepts("takes the place of the flow that had no reply", syn)
	r.counter(cEnded+int(flow.Evicted), 1)
	r.accepts("takes the place of the half-open one", newConn("78").syn())
	r.pass(1)
	r.drops("a late answer to what was evicted", packettest.TCP("192.0.2.1:443", "10.0.0.1:77", synAck, 1, 1001, nil))
	r.midstream(detect.ExceptionDrop, CauseEvicted, 1)
	r.accepts("reply", packettest.TCP("192.0.2.1:443", "10.0.0.1:78", synAck, 1, 1001, nil))
	r.accepts("last ACK", packettest.TCP("10.0.0.1:78", "192.0.2.1:443", ack, 1001, 2, nil))
	r.drops("nothing can be evicted", packettest.UDP("10.0.0.9:1", "10.0.0.2:2", nil))
	r.dropped(ReasonFlowLimit, 1)
	r.addsUp()
}
