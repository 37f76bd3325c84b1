package engine

import (
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
)

// Stats returns the counters of a stats record: Suricata's, where Sluice counts the same
// thing. What it counts otherwise is left out, and on the metrics page.
func (e *Engine) Stats() []eve.Counter {
	n := e.opt.Counters.Sums(e.opt.Account, e.opt.Firewall, e.opt.Zone)
	if n == nil {
		n = make([]uint64, numCounters) // no worker yet
	}
	sum := func(from, to int) (total uint64) {
		for _, v := range n[from:to] {
			total += v
		}
		return total
	}
	invalid := func(event packet.Event) uint64 { return n[cInvalid+int(event)-1] }
	dropped := func(reason Reason) uint64 { return n[cDropped+int(reason)-1] }
	pickedUp := cException + int(detect.ExceptionPickUp)*int(NumCauses)
	counters := []eve.Counter{
		{Name: "decoder.pkts", Value: n[cStatelessPackets]},
		{Name: "decoder.invalid", Value: sum(cInvalid, cInvalid+int(packet.FaultIPv4Checksum)-1)},
		{Name: "defrag.ipv4.fragments", Value: n[cFragments]},
		{Name: "defrag.ipv4.reassembled", Value: n[cReassembled]},
		{Name: "defrag.ipv6.fragments", Value: n[cFragments+1]},
		{Name: "defrag.ipv6.reassembled", Value: n[cReassembled+1]},
		{Name: "detect.alert", Value: n[cAlerts]},
		{Name: "flow.active", Value: uint64(e.Flows())},
		{Name: "flow.memcap", Value: dropped(ReasonFlowLimit)},
		{Name: "flow.tcp_reuse", Value: n[cEnded+int(flow.Reused)]},
		{Name: "flow.total", Value: n[cFlows]},
	}
	if e.opt.Inline {
		lost := sum(cDropped, cStream)
		counters = append(counters,
			eve.Counter{Name: "ips.accepted", Value: n[cStatelessPackets] - lost},
			eve.Counter{Name: "ips.blocked", Value: lost},
			eve.Counter{Name: "ips.drop_reason.decode_error", Value: dropped(ReasonInvalid)},
			eve.Counter{Name: "ips.drop_reason.defrag_error", Value: dropped(ReasonFragment)},
			eve.Counter{Name: "ips.drop_reason.flow_drop", Value: dropped(ReasonFlow)},
			eve.Counter{Name: "ips.drop_reason.flow_memcap", Value: dropped(ReasonFlowLimit)},
			eve.Counter{Name: "ips.drop_reason.rules", Value: dropped(ReasonRule) + dropped(ReasonDefault) + dropped(ReasonStateless)},
			eve.Counter{Name: "ips.drop_reason.stream_error", Value: dropped(ReasonStream)},
			eve.Counter{Name: "ips.drop_reason.stream_midstream", Value: dropped(ReasonException)},
			eve.Counter{Name: "ips.drop_reason.stream_reassembly", Value: dropped(ReasonReassembly)},
			eve.Counter{Name: "ips.rejected", Value: n[cStatefulRejected]},
		)
	}
	return append(counters,
		eve.Counter{Name: "tcp.invalid_checksum", Value: invalid(packet.FaultTCPChecksum)},
		eve.Counter{Name: "tcp.midstream_pickups", Value: sum(pickedUp, pickedUp+int(NumCauses))},
	)
}
