package stream

import "github.com/sluicefw/sluice/engine/packet"

// dispatch judges the packet by the state of its connection.
func (a *arrival) dispatch(s State) Outcome {
	switch s {
	case StateSynSent:
		return a.synSent()
	case StateSynRecv:
		return a.synReceived()
	case StateClosed:
		return a.closed()
	}
	switch {
	case a.isSet(packet.RST):
		return a.reset()
	case a.isSet(packet.FIN) && s != StateClosing:
		return a.finIn(s)
	case a.isSet(packet.SYN):
		return a.synIn(s)
	case !a.isSet(packet.ACK):
		return 0
	case !a.goodStamp():
		return invalid(reasonOf(packet.StreamPacketInvalidTimestamp))
	}
	switch s {
	case StateEstablished:
		return a.established()
	case StateFinWait1:
		return a.finWait1()
	case StateFinWait2:
		return a.finWait2()
	case StateCloseWait:
		return a.closeWait()
	case StateClosing:
		return a.closing()
	case StateLastAck:
		return a.lastACK()
	}
	return a.timeWait()
}

// closed judges a packet after the end. A connection that was refused lives on
// if its server goes on all the same.
func (a *arrival) closed() Outcome {
	if a.isSet(packet.RST) || a.has(sideReset<<a.dir) || !a.has(sideReset<<a.dir.Reverse()) {
		return 0
	}
	o := a.dispatch(StateSynSent)
	if a.State() == StateClosed && !o.Has(Invalid) {
		a.enter(StateSynSent)
	}
	return o
}

// reset judges a RST on an established connection.
func (a *arrival) reset() Outcome {
	if !a.goodReset() {
		return invalid(BadReset)
	}
	a.enter(StateClosed)
	a.you.next = a.ack
	a.me.next = a.end
	a.allow(a.dir, a.p.TCP.Window, true)
	if a.isSet(packet.ACK) && a.goodAck() {
		a.acknowledge()
	}
	a.me.acked = packet.MaxSeq(a.me.acked, a.seq)
	a.takeStamp()
	return Segment
}

// acknowledge takes the packet's ACK.
func (a *arrival) acknowledge() {
	if a.isSet(packet.ACK) {
		a.you.acked = packet.MaxSeq(a.you.acked, a.ack)
	}
}

// widen moves the edge on with the window, but never back.
func (a *arrival) widen() {
	a.you.edge = packet.MaxSeq(a.you.edge, a.you.acked.Add(int(a.window(a.peer()))))
}

// synIn judges a SYN or SYN-ACK on a connection that has been established.
func (a *arrival) synIn(s State) Outcome {
	synAck := a.isSet(packet.ACK)
	switch {
	case s != StateEstablished:
		return a.refuse(packet.StreamShutdownSYNResend)
	case synAck && a.toServer():
		return a.refuse(packet.StreamEstSYNACKToserver)
	case synAck && a.ack != a.you.acked:
		return a.refuse(packet.StreamEstSYNACKResendWithDifferentACK)
	case synAck && a.seq != a.me.isn:
		return a.refuse(packet.StreamEstSYNACKResendWithDifferentSeq)
	case synAck && a.me.next == a.me.isn+1 && a.you.acked == a.you.isn+1:
		return 0 // the last step of the handshake was lost
	case synAck:
		return a.refuse(packet.StreamEstSYNACKResend)
	case !a.toServer():
		return a.refuse(packet.StreamEstSYNToclient)
	case a.seq != a.me.isn:
		return a.refuse(packet.StreamEstSYNResendDifferentSeq)
	}
	return a.refuse(packet.StreamEstSYNResend)
}

// established judges an ACK, with or without data. What does not fit is not used,
// but it is let through, as in Suricata: the receiver will not use it, either.
func (a *arrival) established() Outcome {
	me, you := a.me, a.you
	if a.has(sideProbed<<a.dir.Reverse()) && a.ack == you.next+1 {
		a.event(packet.StreamEstACKZeroWindowProbeData)
	} else if !a.goodAck() {
		return a.overlook(packet.StreamEstInvalidACK)
	}
	if a.has(unanswered << a.dir) {
		a.allow(a.dir, a.p.TCP.Window, true)
		a.limit(a.dir)
		a.put(unanswered<<a.dir, false)
	}
	if (a.n > 1 || a.seq != me.next-1) && a.end.Less(me.acked) {
		switch {
		case a.has(oneSided):
			me.acked = a.seq
		case me.next.Less(me.acked) && me.next.Less(a.end):
		default:
			return a.overlook(packet.StreamEstPacketBeforeLastACK)
		}
	}
	probe := a.n == 1 && a.seq == me.next && a.window(a.dir) == 0
	switch {
	case probe:
		a.put(sideProbed<<a.dir, true)
	case a.env.Inline && !a.inWindow():
		// It may be forged. Suricata counts it as sent, and so drops the FIN later.
	case me.next.Less(a.end), me.next.Less(me.acked):
		me.next = a.end
	}
	if !probe && !a.inWindow() {
		return a.overlook(packet.StreamEstPacketOutOfWindow)
	}
	a.grant()
	a.acknowledge()
	a.takeStamp()
	a.widen()
	return Segment
}

// inWindow says whether the packet ends within what its sender may send.
func (a *arrival) inWindow() bool {
	return a.end.LessEq(a.me.edge) || a.has(midstream|oneSided)
}

// beyond says whether a FIN is not the next in order or beyond the window.
func (a *arrival) misplaced() bool {
	return a.seq.Less(a.me.next) || a.me.acked.Add(int(a.window(a.dir))).Less(a.end)
}

// take records a packet of a connection that is closing.
func (a *arrival) take() Outcome {
	a.grant()
	a.acknowledge()
	a.takeStamp()
	a.you.next = packet.MaxSeq(a.you.next, a.ack)
	if a.seq == a.me.next {
		a.me.next = a.end
	}
	return Segment
}

// finIn judges a FIN.
func (a *arrival) finIn(s State) Outcome {
	if s == StateLastAck || s == StateTimeWait {
		return 0
	}
	if !a.goodStamp() {
		return invalid(reasonOf(packet.StreamPacketInvalidTimestamp))
	}
	resent := false
	switch s {
	case StateEstablished:
		return a.fin()
	case StateFinWait1:
		again := a.seq == a.me.next-1
		if resent = a.resent() || again && !a.toServer() && a.ack == a.you.acked; !resent && !again && a.misplaced() {
			return a.refuse(packet.StreamFin1FINWrongSeq)
		}
		if !a.goodAck() {
			return a.refuse(packet.StreamFin1InvalidACK)
		}
		if !resent {
			a.enter(StateClosing)
			if a.isSet(packet.ACK) {
				a.enter(StateTimeWait)
			}
			if again && !a.toServer() {
				a.me.next = a.end
			}
		}
	case StateFinWait2:
		if resent = a.resent() || a.seq == a.me.next-1 && a.ack == a.you.acked; !resent && a.misplaced() {
			return a.refuse(packet.StreamFin2FINWrongSeq)
		}
		if !a.goodAck() {
			return a.refuse(packet.StreamFin2InvalidACK)
		}
		if !resent {
			a.enter(StateTimeWait)
		}
	case StateCloseWait:
		if resent = a.resent(); !resent && a.misplaced() {
			return a.refuse(packet.StreamClosewaitFINOutOfWindow)
		}
		if !a.goodAck() {
			return a.refuse(packet.StreamClosewaitInvalidACK)
		}
		if !resent && !a.toServer() {
			a.enter(StateLastAck)
		}
	}
	// The number of a FIN itself does not count here.
	next := a.me.next
	o := a.take()
	if a.n > 0 && !a.toServer() || s == StateCloseWait {
		a.me.next = next
	}
	return o
}

// fin judges the first FIN.
func (a *arrival) fin() Outcome {
	if !a.goodAck() {
		return a.refuse(packet.StreamFINInvalidACK)
	}
	if a.seq.Less(a.me.acked) || a.me.edge.Less(a.end) {
		return a.refuse(packet.StreamFINOutOfWindow)
	}
	if a.isSet(packet.SYN) && a.toServer() {
		return a.refuse(packet.StreamFINSYN)
	}
	a.enter(StateFinWait1)
	if a.toServer() {
		a.enter(StateCloseWait)
	}
	if a.me.next = a.end; !a.toServer() {
		a.me.next++ // the server's counts
	}
	a.grant()
	a.acknowledge()
	a.takeStamp()
	a.you.next = packet.MaxSeq(a.you.next, a.ack)
	return Segment
}

func (a *arrival) finWait1() Outcome {
	if !a.goodAck() {
		return a.refuse(packet.StreamFin1InvalidACK)
	}
	resent := a.resent()
	if !a.inWindow() {
		return a.refuse(packet.StreamFin1ACKWrongSeq)
	}
	switch {
	case resent:
	case a.toServer() && a.seq == a.me.next && a.ack == a.you.next:
		a.enter(StateFinWait2)
	case !a.toServer() && a.seq == a.me.next-1:
		a.enter(StateFinWait2)
		a.me.next = a.end
	}
	next := a.me.next
	o := a.take()
	if !a.toServer() {
		a.me.next = next
	}
	a.widen()
	return o
}

func (a *arrival) finWait2() Outcome {
	if !a.goodAck() {
		return a.refuse(packet.StreamFin2InvalidACK)
	}
	a.resent()
	if !a.inWindow() {
		return a.refuse(packet.StreamFin2ACKWrongSeq)
	}
	next := a.you.next
	o := a.take()
	a.you.next = next
	a.widen()
	return o
}

func (a *arrival) closeWait() Outcome {
	a.resent()
	if a.n > 0 && a.end.LessEq(a.me.acked) {
		return a.refuse(packet.StreamClosewaitPacketBeforeLastACK)
	}
	if a.me.acked.Add(int(a.window(a.dir))).Less(a.seq) {
		return a.refuse(packet.StreamClosewaitACKOutOfWindow)
	}
	if !a.goodAck() {
		return a.refuse(packet.StreamClosewaitInvalidACK)
	}
	return a.take()
}

func (a *arrival) closing() Outcome {
	resent := a.resent()
	if a.seq != a.me.next {
		return a.refuse(packet.StreamClosingACKWrongSeq)
	}
	if !a.goodAck() {
		return a.refuse(packet.StreamClosingInvalidACK)
	}
	if !resent {
		a.enter(StateTimeWait)
	}
	return a.take()
}

func (a *arrival) lastACK() Outcome {
	if !a.toServer() {
		return 0
	}
	resent := a.resent()
	if !a.goodAck() {
		return a.refuse(packet.StreamLastackInvalidACK)
	}
	switch {
	case a.seq.Less(a.me.next):
	case a.seq != a.me.next && a.seq != a.me.next+1:
		return a.refuse(packet.StreamLastackACKWrongSeq)
	case !resent:
		a.enter(StateClosed)
	}
	return a.take()
}

func (a *arrival) timeWait() Outcome {
	resent := a.resent()
	other := a.me.next - 1
	if a.toServer() {
		other = a.me.next + 1
	}
	if !resent && a.seq != a.me.next && a.seq != other {
		if a.n > 0 && a.seq == a.me.acked {
			return 0
		}
		return a.refuse(packet.StreamTimewaitACKWrongSeq)
	}
	if !a.goodAck() {
		return a.refuse(packet.StreamTimewaitInvalidACK)
	}
	if !resent {
		a.enter(StateClosed)
	}
	return a.take()
}
