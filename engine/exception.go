package engine

import (
	"time"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// exception applies the stream exception policy to a midstream TCP packet. It
// reports whether the packet may open a flow.
func (w *worker) exception(in *pktio.Packet) bool {
	if !w.refusesMidstream() || w.program.Suricata && !w.opt.Inline {
		return true
	}
	w.refuseMidstream(in, w.openDropped(), packet.ToServer)
	return false
}

// refusesMidstream says whether the policy drops a midstream packet, and counts that.
func (w *worker) refusesMidstream() bool {
	var flush flushed
	w.cause, flush = w.causeOf()
	w.causeOperation = flush.id
	policy := w.program.Exception
	if flush.exception != nil {
		policy = *flush.exception
	}
	w.n[cException+int(policy)*int(NumCauses)+int(w.cause)] += uint64(w.packets)
	w.rejected = policy == detect.ExceptionReject
	return w.rejected || policy == detect.ExceptionDrop
}

// refuseMidstream drops a midstream packet, with the flow that it has, if it has one.
func (w *worker) refuseMidstream(in *pktio.Packet, f *flowEntry, dir packet.Dir) {
	if w.pkt.TCP.Flags&packet.FIN != 0 && f != nil {
		w.pkt.Events.Add(packet.StreamFINButNoSession)
	}
	w.deny(in, f, dir, ReasonException, nil)
	if w.rejected {
		w.rejectMidstream(in)
	}
}

// openDropped makes the packet at hand, which is dropped, the first of a dropped flow, where flows
// are made as Suricata makes them. It returns nil elsewhere, and when there is no room.
func (w *worker) openDropped() *flowEntry {
	if !w.program.Suricata {
		return nil
	}
	f := w.admit()
	if f == nil {
		return nil
	}
	f.State.decide(dropped)
	f.State.flags |= midstream | untracked | noInspection | appKnown
	f.Count(packet.ToServer, w.packets, w.size(), w.now)
	f.State.ttl[packet.ToServer].add(w.pkt.TTL)
	w.flow = f
	return f
}

// maxResets is how many packets of a side are answered with a reset: more than
// one, because a reset can be lost, and few, because then there has to be silence.
const maxResets = 3

// rejectMidstream resets the connection of a midstream packet. The first packet
// of either side resets both ends. Its own sender takes that reset for sure: it
// has the number that the sender has acknowledged. The other end may not, if the
// packet was out of order or a keep-alive (RFC 5961, 3.2), so that each side's own packets
// are answered too.
func (w *worker) rejectMidstream(in *pktio.Packet) {
	if w.pkt.TCP.Flags&packet.RST != 0 {
		return
	}
	own, all := w.table.CountReset(&w.key)
	if own >= maxResets {
		return
	}
	w.n[cStatefulRejected] += uint64(w.packets)
	if all == 0 {
		w.reject(in, detect.RejectBoth)
	} else {
		w.reject(in, detect.Reject)
	}
}

// causeOf says why the packet at hand belongs to no flow, and by which flush.
func (w *worker) causeOf() (Cause, flushed) {
	if g, ok := w.table.Grave(&w.key); ok {
		switch g.Reason {
		case flow.Flushed:
			return CauseFlushed, w.flushOf(g.Op)
		case flow.Timeout:
			return CauseIdle, flushed{}
		case flow.Closed, flow.Reused:
			return CauseClosed, flushed{}
		case flow.Evicted:
			return CauseEvicted, flushed{}
		}
	}
	if !w.opt.PacketClock && w.now-w.started < int64(w.program.TCPIdle) {
		return CauseRestart, flushed{}
	}
	return CauseUnknown, flushed{}
}

// reject answers the packet at hand as action says.
func (w *worker) reject(in *pktio.Packet, action detect.Action) {
	if !w.opt.Inline || w.pkt.Depth > 0 {
		return
	}
	p := &w.pkt
	if p.Proto != packet.ProtoTCP {
		if action != detect.RejectDst && w.mayRefuse() {
			w.inject(packet.AppendUnreachable(w.resetBuf[:0], p), in, true)
		}
		return
	}
	if action != detect.RejectDst {
		w.inject(packet.AppendReset(w.resetBuf[:0], p, true, packet.ResetFor(p, true)), in, true)
	}
	if action != detect.Reject {
		w.inject(packet.AppendReset(w.resetBuf[:0], p, false, packet.ResetFor(p, false)), in, false)
	}
}

// maxUnreachables is how many ICMP errors a worker sends in a second: their
// receivers may be forged, so they must be limited (RFC 1812, 4.3.2.8; RFC 4443,
// 2.4 f). The figure is what Linux allows a host.
const maxUnreachables = 1000

func (w *worker) mayRefuse() bool {
	if w.now-w.refusing >= int64(time.Second) {
		w.refusing, w.refused = w.now, 0
	}
	if w.refused == maxUnreachables {
		w.n[cResetsLimited]++
		return false
	}
	w.refused++
	return true
}

func (w *worker) inject(ip []byte, like *pktio.Packet, back bool) {
	if len(ip) == 0 {
		return
	}
	if err := w.queue.Inject(ip, like, back); err != nil {
		w.n[cResetErrors]++
		return
	}
	w.n[cResets]++
}
