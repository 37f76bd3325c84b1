package stream

import "github.com/sluicefw/sluice/engine/packet"

const synAck = packet.SYN | packet.ACK

// none judges a packet without a connection.
func (a *arrival) none() Outcome {
	switch {
	case a.isSet(packet.RST):
		return a.refuse(packet.StreamRSTButNoSession) | Unknown
	case a.isSet(packet.FIN):
		if !a.env.Midstream || a.n == 0 {
			return a.refuse(packet.StreamFINButNoSession) | Unknown
		}
		a.enter(StateFinWait1)
		a.pickUp()
		return Segment
	case a.flags&synAck == synAck:
		if !a.env.Midstream && !a.env.AsyncOneSide {
			return Unknown
		}
		a.pickUpAnswer()
		return 0
	case a.isSet(packet.SYN):
		return a.open()
	case a.isSet(packet.ACK):
		if !a.env.Midstream {
			return Unknown
		}
		a.enter(StateEstablished)
		a.pickUp()
		return Segment
	}
	return Unknown
}

// open starts a connection with its first SYN.
func (a *arrival) open() Outcome {
	h := &a.p.TCP
	a.enter(StateSynSent)
	a.me.isn, a.me.next = a.seq, a.seq+1
	a.grant()
	a.offerStamp()
	if h.HasWScale {
		a.put(scaling, true)
		a.setScale(a.dir.Reverse(), h.WScale)
	}
	if !h.FastOpen {
		return 0
	}
	a.put(fastOpen, true)
	if a.n == 0 {
		return 0
	}
	a.me.next = a.me.next.Add(a.n)
	return Segment
}

// offerStamp keeps the timestamp of a first SYN.
func (a *arrival) offerStamp() {
	if h := &a.p.TCP; h.HasTS {
		a.me.stamp = h.TSVal
		a.put(stampOffer, true)
		a.put(sideZero<<a.dir, h.TSVal == 0)
	}
}

// pickUp starts a connection with a packet from its middle, of whichever side sent
// it. What the SYNs would have said is assumed at its most generous.
func (a *arrival) pickUp() {
	h := &a.p.TCP
	a.put(midstream|unanswered<<a.dir.Reverse(), true)
	a.put(oneSided, a.env.AsyncOneSide)
	a.setScale(packet.ToServer, maxScale)
	a.setScale(packet.ToClient, maxScale)
	a.me.isn, a.me.acked, a.me.next = a.seq-1, a.seq, a.end
	a.allow(a.dir, h.Window, true)
	a.limit(a.dir)
	a.you.isn, a.you.acked, a.you.next = a.ack-1, a.ack, a.ack
	a.you.edge = a.ack
	if h.HasTS {
		a.me.stamp, a.you.stamp = h.TSVal, h.TSEcr
		a.put(stamped, true)
		a.put(sideZero<<a.dir, h.TSVal == 0)
		a.put(sideZero<<a.dir.Reverse(), h.TSEcr == 0)
	}
}

// pickUpAnswer starts a connection whose SYN was not seen with the SYN-ACK, which
// the caller has to see coming from the server.
func (a *arrival) pickUpAnswer() {
	h := &a.p.TCP
	a.enter(StateSynRecv)
	a.put(midstream, a.env.Midstream)
	a.put(midstreamSA, true)
	a.put(oneSided, a.env.AsyncOneSide)
	a.me.isn, a.me.next = a.seq, a.seq+1
	a.you.isn, a.you.next, a.you.acked = a.ack-1, a.ack, a.ack
	a.allow(a.dir, h.Window, false)
	a.grant()
	a.me.acked = a.seq
	a.limit(a.dir)
	if h.HasWScale {
		a.setScale(a.dir.Reverse(), h.WScale)
		a.setScale(a.dir, maxScale)
	}
	if h.HasTS {
		a.me.stamp, a.you.stamp = h.TSVal, h.TSEcr
		a.put(stamped, true)
		a.put(sideZero<<a.dir, h.TSVal == 0)
		a.put(sideZero<<a.dir.Reverse(), h.TSEcr == 0)
	}
}

// synSent judges a packet of a connection of which SYNs were seen only.
func (a *arrival) synSent() Outcome {
	switch {
	case a.flags&synAck == synAck:
		return a.answer()
	case !a.toServer() && a.p.TCP.HasTS && !a.echoes():
		return a.refuse(packet.StreamPacketInvalidTimestamp)
	case a.isSet(packet.RST):
		return a.refused()
	case a.isSet(packet.SYN):
		return a.anotherSYN()
	case a.isSet(packet.FIN):
		return 0
	case a.isSet(packet.ACK) && a.env.AsyncOneSide:
		return a.oneSidedACK()
	}
	return 0
}

// refused judges a reset in answer to a SYN. Only one that the receiver would
// take counts, but should another answer come, it was injected.
func (a *arrival) refused() Outcome {
	if !a.goodReset() {
		return invalid(BadReset)
	}
	if a.toServer() && (a.seq != a.me.isn || a.p.TCP.Window != 0 || a.ack != a.me.isn+1) {
		return 0
	}
	a.put(sideReset<<a.dir.Reverse(), true)
	a.enter(StateClosed)
	return 0
}

// answer judges the SYN-ACK.
func (a *arrival) answer() Outcome {
	if a.toServer() {
		return a.splitAnswer()
	}
	h := &a.p.TCP
	client := a.you
	if h.FastOpen || a.has(fastOpen) {
		switch a.ack {
		case client.next:
		case client.isn + 1:
			client.next = client.isn
			a.event(packet.Stream3WHSSYNACKTFODataIgnored)
		default:
			return a.refuse(packet.Stream3WHSSYNACKWithWrongACK)
		}
		a.put(fastOpen, true)
	} else {
		if a.ack != client.isn+1 {
			return a.refuse(packet.Stream3WHSSYNACKWithWrongACK)
		}
		if h.HasTS && !a.echoes() {
			return a.refuse(packet.StreamPacketInvalidTimestamp)
		}
	}
	a.takeAnswer(synAckOf(a.p))
	if a.n == 0 || !a.has(fastOpen) {
		return 0
	}
	a.me.next = a.me.next.Add(a.n)
	return Segment
}

// echoes says whether the timestamp that the SYN-ACK repeats is one of the SYN,
// or of another that was sent for it.
func (a *arrival) echoes() bool {
	client, echo := a.you, a.p.TCP.TSEcr
	if echo == 0 || echo == client.stamp {
		return true
	}
	if a.has(queued) && a.env.Handshakes.hasStamp(a.Tracker, echo) {
		client.stamp = echo
		a.put(stampOffer, true)
		return true
	}
	return false
}

// answerFields are what a SYN-ACK says, whether it is at hand or was kept.
type answerFields struct {
	seq, ack packet.Seq
	window   uint16
	scale    uint8
	scaled   bool
	stamped  bool
	stamp    uint32
}

func synAckOf(p *packet.Packet) answerFields {
	h := &p.TCP
	return answerFields{
		seq: packet.Seq(h.Seq), ack: packet.Seq(h.Ack), window: h.Window,
		scale: h.WScale, scaled: h.HasWScale, stamped: h.HasTS, stamp: h.TSVal,
	}
}

// takeAnswer records the server's SYN-ACK.
func (t *Tracker) takeAnswer(f answerFields) {
	client, server := &t.sides[packet.ToServer], &t.sides[packet.ToClient]
	t.enter(StateSynRecv)
	server.isn, server.next = f.seq, f.seq+1
	t.allow(packet.ToServer, f.window, false)
	t.put(stamped, f.stamped && t.has(stampOffer))
	if t.has(stamped) {
		server.stamp = f.stamp
		t.put(sideZero<<packet.ToClient, f.stamp == 0)
	} else {
		client.stamp, server.stamp = 0, 0
		t.put(sideZero, false)
	}
	client.acked = f.ack
	server.acked = f.seq + 1
	scale := uint8(0)
	if f.scaled && t.has(scaling) {
		scale = f.scale
	}
	t.setScale(packet.ToServer, scale)
	t.limit(packet.ToServer)
	t.limit(packet.ToClient)
	t.put(fourWay, false)
}

// splitAnswer judges a SYN-ACK from the client, which is right only if the
// server answered its SYN with another (split handshake).
func (a *arrival) splitAnswer() Outcome {
	if !a.has(fourWay) {
		return a.refuse(packet.Stream3WHSSYNACKInWrongDirection)
	}
	if a.ack != a.you.isn+1 {
		return a.refuse(packet.Stream4WHSSYNACKWithWrongACK)
	}
	if a.seq != a.me.isn {
		return a.refuse(packet.Stream4WHSSYNACKWithWrongSYN)
	}
	h := &a.p.TCP
	a.enter(StateSynRecv)
	a.me.isn, a.me.next = a.seq, a.seq+1
	a.grant()
	a.put(stamped, h.HasTS && a.has(stampOffer))
	if a.has(stamped) {
		a.me.stamp = h.TSVal
		a.put(sideZero<<a.dir, h.TSVal == 0)
	} else {
		a.me.stamp, a.you.stamp = 0, 0
		a.put(sideZero|sideZero<<1, false)
	}
	a.you.acked = a.ack
	a.me.acked = a.me.isn + 1
	scale := uint8(0)
	if h.HasWScale && a.has(scaling) {
		scale = h.WScale
	}
	a.setScale(a.dir.Reverse(), scale)
	a.limit(a.dir)
	a.limit(a.peer())
	return 0
}

// anotherSYN judges a SYN after the first.
func (a *arrival) anotherSYN() Outcome {
	h := &a.p.TCP
	if a.toServer() {
		// The server may answer either, and shows with its timestamp which.
		if !a.env.Handshakes.addStamp(a.Tracker, h.TSVal, h.HasTS) {
			return a.refuse(packet.Stream3WHSSYNFlood)
		}
		return 0
	}
	a.put(fourWay, true)
	a.me.isn, a.me.next = a.seq, a.seq+1
	a.offerStamp()
	a.allow(a.dir, h.Window, false)
	a.put(scaling, h.HasWScale)
	scale := uint8(0)
	if h.HasWScale {
		scale = h.WScale
	}
	a.setScale(a.dir, scale)
	return 0
}

// oneSidedACK judges an ACK of the client that answers a SYN-ACK which is not seen.
func (a *arrival) oneSidedACK() Outcome {
	h := &a.p.TCP
	if a.seq != a.me.next {
		return a.refuse(packet.Stream3WHSAsyncWrongSeq)
	}
	a.put(oneSided, true)
	a.enter(StateEstablished)
	a.allow(a.dir, h.Window, true)
	a.me.acked = a.seq
	a.you.isn, a.you.next, a.you.acked = a.ack-1, a.ack, a.ack
	a.limit(a.dir)
	a.limit(a.peer())
	a.put(stamped, h.HasTS && a.has(stampOffer))
	if a.has(stamped) {
		a.put(sideZero<<a.dir, h.TSVal == 0)
	} else {
		a.me.stamp = 0
		a.put(sideZero<<a.dir, false)
	}
	a.setScale(packet.ToServer, maxScale)
	a.setScale(packet.ToClient, maxScale)
	return Segment
}

// synReceived judges a packet of a connection that waits for the last step of
// its handshake.
func (a *arrival) synReceived() Outcome {
	switch {
	case a.isSet(packet.RST):
		return a.resetHandshake()
	case a.isSet(packet.FIN):
		if !a.goodStamp() {
			return invalid(reasonOf(packet.StreamPacketInvalidTimestamp))
		}
		return a.fin()
	case a.flags&synAck == synAck:
		return a.anotherAnswer()
	case a.isSet(packet.SYN):
		if !a.toServer() {
			return a.refuse(packet.Stream3WHSSYNToclientOnSYNRecv)
		}
		if a.seq != a.me.isn {
			return a.refuse(packet.Stream3WHSSYNResendDifferentSeqOnSYNRecv)
		}
		return 0
	case a.isSet(packet.ACK):
		return a.lastStep()
	}
	return 0
}

// resetHandshake judges a reset before the connection is established. After a
// wrong ACK some systems stay in this state, as that ACK was not theirs.
func (a *arrival) resetHandshake() Outcome {
	if !a.goodReset() {
		return invalid(BadReset)
	}
	if a.has(evasion) {
		switch a.receiver() {
		case Linux, OldLinux, Solaris:
			return 0
		}
	}
	a.enter(StateClosed)
	return 0
}

// anotherAnswer judges a SYN-ACK after the first. The client's ACK will show
// which one it took.
func (a *arrival) anotherAnswer() Outcome {
	if a.toServer() {
		return a.refuse(packet.Stream3WHSSYNACKToserverOnSYNRecv)
	}
	if a.ack != a.you.acked {
		return a.refuse(packet.Stream3WHSSYNACKResendWithDifferentACK)
	}
	if a.seq != a.me.isn && !a.env.Handshakes.addAnswer(a.Tracker, synAckOf(a.p)) {
		return a.refuse(packet.Stream3WHSSYNACKFlood)
	}
	return 0
}

// lastStep judges an ACK that may complete the handshake.
func (a *arrival) lastStep() Outcome {
	if a.has(queued) {
		if f, ok := a.env.Handshakes.answer(a.Tracker, a.ack); ok && a.toServer() {
			a.takeAnswer(f)
		}
	}
	if !a.goodStamp() {
		return invalid(reasonOf(packet.StreamPacketInvalidTimestamp))
	}
	if a.has(fourWay) && !a.toServer() {
		return a.splitLastStep()
	}
	missed := false // the client's ACK, it seems
	if !a.toServer() && !a.has(midstreamSA|fastOpen) {
		if a.env.Inline {
			if a.n > 0 && a.ack == a.you.acked && a.seq == a.me.next {
				return a.refuse(packet.Stream3WHSACKDataInject)
			}
			return a.refuse(packet.Stream3WHSACKInWrongDir)
		}
		missed = true
	}
	client, server := &a.sides[packet.ToServer], &a.sides[packet.ToClient]
	switch {
	case a.seq == client.next && a.ack == server.next:
		return a.establish(a.seq)
	case a.env.AsyncOneSide && a.seq == server.next:
		return a.oneSidedAnswer()
	case a.seq == client.next:
		a.put(evasion, true)
		return a.refuse(packet.Stream3WHSRightSeqWrongACKEvasion)
	case client.next.Less(a.seq) && a.seq.LessEq(client.edge) && a.ack == server.next:
		return a.establish(a.seq)
	case (missed || a.has(fastOpen)) && a.ack == client.acked && a.seq == server.next:
		a.me.edge = a.me.acked.Add(int(a.p.TCP.Window) << a.scale(a.dir))
		return a.missedACK()
	case (missed || !a.toServer() && a.has(midstreamSA)) && client.acked.Less(a.ack) && client.next.Less(a.seq):
		o := a.missedACK()
		a.limit(a.peer())
		return o
	}
	return a.refuse(packet.Stream3WHSWrongSeqWrongACK)
}

// splitLastStep judges the server's ACK in a split handshake.
func (a *arrival) splitLastStep() Outcome {
	if a.seq != a.me.next {
		return a.refuse(packet.Stream4WHSWrongSeq)
	}
	if !a.goodAck() {
		return a.refuse(packet.Stream4WHSInvalidACK)
	}
	a.takeStamp()
	a.grant()
	a.you.acked = packet.MaxSeq(a.you.acked, a.ack)
	a.me.next = a.me.next.Add(a.n)
	a.limit(a.dir)
	a.widen()
	a.enter(StateEstablished)
	return Segment
}

// establish completes the handshake with the client's packet.
func (a *arrival) establish(first packet.Seq) Outcome {
	a.takeStamp()
	a.grant()
	a.me.next = first.Add(a.n)
	if a.has(midstream) {
		a.allow(a.dir, a.p.TCP.Window, false)
		a.limit(a.dir)
	}
	a.you.acked = packet.MaxSeq(a.you.acked, a.ack)
	a.limit(a.peer())
	a.enter(StateEstablished)
	return Segment
}

// missedACK completes the handshake with the server's packet: the client's was
// not seen.
func (a *arrival) missedACK() Outcome {
	a.grant()
	a.me.next = a.end
	a.you.acked = packet.MaxSeq(a.you.acked, a.ack)
	a.widen()
	a.enter(StateEstablished)
	return Segment
}

// oneSidedAnswer goes on with the server's side alone.
func (a *arrival) oneSidedAnswer() Outcome {
	server, client := &a.sides[packet.ToClient], &a.sides[packet.ToServer]
	a.put(oneSided, true)
	server.next = server.next.Add(a.n)
	a.allow(packet.ToServer, a.p.TCP.Window, true)
	client.acked = a.ack
	if a.has(midstreamSA) {
		a.allow(packet.ToClient, a.p.TCP.Window, true)
		client.next = packet.MaxSeq(client.next, a.ack)
	}
	a.enter(StateEstablished)
	return Segment
}
