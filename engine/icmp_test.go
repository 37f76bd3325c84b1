package engine

import (
	"encoding/binary"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/internal/packettest"
)

// suricata compiles rules as those of a file, without a policy around them.
func suricata(t testing.TB, rules string) *detect.Program {
	return programWith(t, rules, detect.Options{}, func(p *detect.Program) { p.Suricata = true })
}

// ended ends all flows and returns their records.
func (r *rig) ended() {
	r.w.table.EndAll(flow.Shutdown)
}

// TestUnreachableBelongsToFlow: where flows are made as Suricata makes them, an unreachable counts
// to the flow that it quotes, but answers nothing; other errors have no flow.
func TestUnreachableBelongsToFlow(t *testing.T) {
	r := newRig(t, suricata(t, `alert icmp any any -> any any (sid:1;)
alert udp any any -> any any (flow:established; sid:2;)`))
	ask := packettest.UDP("10.0.0.1:1000", "10.0.0.2:5000", []byte("question"))
	quote := ask[:28]
	r.accepts("a datagram", ask)
	r.accepts("port unreachable", packettest.ICMP("10.0.0.2", "10.0.0.1", 3, 3, 0, quote))
	r.accepts("host unreachable, from a router", packettest.ICMP("10.0.0.9", "10.0.0.1", 3, 1, 0, quote))
	r.accepts("time exceeded", packettest.ICMP("10.0.0.9", "10.0.0.1", 11, 0, 0, quote))
	r.accepts("about no flow", packettest.ICMP("10.0.0.9", "10.0.0.1", 3, 1, 0, packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil)))
	r.accepts("another datagram", ask)
	r.ended()
	if len(r.rec.flows) != 1 {
		t.Fatalf("flows %+v", r.rec.flows)
	}
	f := r.rec.flows[0]
	if f.ToServer.Packets != 2 || f.ToClient.Packets != 2 || f.State != "new" || f.DstPort != 5000 {
		t.Errorf("flow %+v", f)
	}
	var with, without int
	for _, a := range r.rec.alerts {
		switch {
		case a.SID != 1:
			t.Errorf("alert %+v", a)
		case a.FlowID == f.FlowID:
			with++
		case a.FlowID == 0 && a.Flow == nil:
			without++
		}
	}
	if with != 1 || without != 2 { // a rule of addresses alone is asked once for each direction of a flow
		t.Errorf("%d alerts of the flow, %d of none", with, without)
	}
}

// TestDroppedFlowsUnreachable: an unreachable shares the fate of its flow.
func TestDroppedFlowsUnreachable(t *testing.T) {
	r := newRig(t, suricata(t, `drop udp any any -> any 5000 (sid:1;)`))
	ask := packettest.UDP("10.0.0.1:1000", "10.0.0.2:5000", nil)
	r.drops("a datagram", ask)
	r.drops("port unreachable", packettest.ICMP("10.0.0.2", "10.0.0.1", 3, 3, 0, ask))
	r.accepts("time exceeded", packettest.ICMP("10.0.0.2", "10.0.0.1", 11, 0, 0, ask))
	r.dropped(ReasonFlow, 1)
}

// TestFlowsOfProtocols: which packets share a flow.
func TestFlowsOfProtocols(t *testing.T) {
	esp := func(src, dst string, spi uint32) []byte {
		return packettest.IP(src, dst, 50, binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, spi), 1))
	}
	icmp := func(src, dst string, typ, code uint8) []byte {
		return packettest.ICMP(src, dst, typ, code, 0, make([]byte, 12))
	}
	const a, b = "10.0.0.1", "10.0.0.2"
	r := newRig(t, suricata(t, ""))
	for _, p := range [][]byte{
		icmp(a, b, 8, 0), icmp(b, a, 0, 0), icmp(a, b, 8, 0), // one flow
		icmp(a, b, 10, 7), icmp(b, a, 10, 0), // two: nothing answers a solicitation but an advertisement
		esp(a, b, 0x10001), esp(a, b, 0x10001), esp(b, a, 0x10001), esp(a, b, 2), // three
		packettest.IP(a, b, 47, make([]byte, 8)), // none
	} {
		r.accepts("a packet", p)
	}
	r.ended()
	got := map[[4]uint64]int{}
	for _, f := range r.rec.flows {
		got[[4]uint64{uint64(f.Proto), uint64(f.ICMPType)<<8 | uint64(f.ICMPCode) | uint64(f.SPI), f.ToServer.Packets, f.ToClient.Packets}]++
	}
	want := map[[4]uint64]int{
		{1, 0x0800, 2, 1}: 1, {1, 0x0a07, 1, 0}: 1, {1, 0x0a00, 1, 0}: 1,
		{50, 0x10001, 2, 0}: 1, {50, 0x10001, 1, 0}: 1, {50, 2, 1, 0}: 1,
	}
	if len(got) != len(want) || len(r.rec.flows) != 6 {
		t.Errorf("flows %v", got)
	}
	for k := range want {
		if got[k] != 1 {
			t.Errorf("no flow like %v in %v", k, got)
		}
	}
}
