package engine

import (
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// replace lets the packet at hand go on with the bytes that rules put in the place of what they found, in every packet
// that has it: a segment that is sent again is looked at again. What parsers and the stream were given is as it came. A packet
// that cannot be changed is dropped: one in a tunnel, a datagram that came in fragments, and SCTP.
func (w *worker) replace(in *pktio.Packet, f *flowEntry, dir packet.Dir, rules *detect.RuleSet) {
	found := w.result.Replacements
	if len(found) == 0 || !w.opt.Inline || w.denied {
		return
	}
	if w.level > 0 || w.pkt.Proto == packet.ProtoSCTP {
		w.deny(in, f, dir, ReasonRule, &rules.Rules()[found[0].Rule])
		return
	}
	payload := w.pkt.RulePayload()
	for _, r := range found {
		copy(payload[r.At:], r.With)
	}
	w.n[cReplaced] += uint64(w.packets)
	w.modified = true
	if !w.offload {
		w.pkt.FixChecksum()
	}
}
