package engine

import (
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
)

// outer is the packet as it came, while one that was in it, or was put together with it, is
// at hand.
type outer struct {
	inside bool
	pkt    packet.Packet
	flow   *flowEntry
	frame  eve.Frame
	tunnel eve.Tunnel // how records of the other one tell of it
}

// enter notes the packet at hand as the outermost around those that come out of it.
func (w *worker) enter() {
	if w.outer.inside {
		return
	}
	p := &w.pkt
	t := w.tuple(nil)
	w.outer = outer{
		inside: true, pkt: *p, flow: w.flow, frame: w.frame,
		tunnel: eve.Tunnel{Src: p.Src, Dst: p.Dst, SrcPort: p.SrcPort, DstPort: p.DstPort, Proto: p.Proto, PcapCnt: t.PcapCnt, PktSrc: t.PktSrc},
	}
	w.flow = nil
}

// tunnel is what records of the packet at hand tell of the one around it, nil for the outermost.
func (w *worker) tunnel() *eve.Tunnel {
	if !w.outer.inside {
		return nil
	}
	w.outer.tunnel.Depth = w.pkt.Depth
	return &w.outer.tunnel
}

// leave makes the outermost packet the one at hand again. If what was in it was dropped so is it,
// which records tell like Suricata's.
func (w *worker) leave() {
	o := &w.outer
	if !o.inside {
		return
	}
	o.inside = false
	w.pkt, w.flow, w.frame, w.rebuilt = o.pkt, o.flow, o.frame, false
	w.pkt.Events = packet.Events{} // told before
	if w.denied && w.opt.Inline && w.opt.Wants.Wants(Drops) {
		d := &w.drop
		w.fillDrop(d, o.flow)
		d.Reason = eve.ReasonInside
		w.records.Drop(d)
	}
}
