package engine

import (
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/eve"
)

// takesTags says whether tags that rules set are of use: somebody logs the packets.
func (w *worker) takesTags(rules *detect.RuleSet) bool {
	return rules.Tags() && w.opt.Wants.Wants(TaggedPackets)
}

// tagged logs the packet at hand, once, if a tag of its flow or its hosts asks for it. Packets that rules do not
// look at, such as those of a flow that was passed or dropped whole, are neither logged nor counted, as in Suricata.
func (w *worker) tagged(f *flowEntry) {
	hosts := w.opt.hostTags
	if w.tags.Len() == 0 && hosts.Len() == 0 && w.result.Untagged() == w.n[cTagsRefused] {
		return
	}
	w.n[cTagsRefused] = w.result.Untagged()
	size := len(w.frame.Data)
	wanted := f != nil && w.tags.Packet(detect.FlowOwner(f.ID()), size, w.now)
	wanted = hosts.Packet(w.pkt.Src, size, w.now) || wanted
	wanted = hosts.Packet(w.pkt.Dst, size, w.now) || wanted
	if wanted && w.opt.Wants.Wants(TaggedPackets) {
		w.taggedRecord = eve.Tagged{Tuple: w.tuple(f), Frame: w.frame}
		w.records.Tagged(&w.taggedRecord)
	}
}
