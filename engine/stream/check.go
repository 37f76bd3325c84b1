package stream

import "github.com/sluicefw/sluice/engine/packet"

// opensOrEnds says whether SYN, FIN or RST is set.
func (a *arrival) opensOrEnds() bool {
	return a.isSet(packet.SYN | packet.FIN | packet.RST)
}

// offered is the window in the packet, for what the receiver sends.
func (a *arrival) offered() uint32 {
	return uint32(a.p.TCP.Window) << a.scale(a.peer())
}

// idle finds the packets that say nothing new: keep-alives, their answers, and
// ACKs that are older than others. done is false for all other packets.
func (a *arrival) idle() (o Outcome, done bool) {
	keep := sideKeep << a.dir
	if a.n <= 1 && !a.opensOrEnds() && a.ack == a.you.acked && a.seq == a.me.next-1 {
		a.put(keep, true)
		return 0, true
	}
	answers := a.n == 0 && !a.opensOrEnds() && a.p.TCP.Window != 0 && a.offered() == a.window(a.peer()) &&
		a.has(sideKeep<<a.dir.Reverse()) && a.ack == a.you.acked && a.seq == a.me.next
	a.put(keep, false)
	if answers {
		a.put(sideKeep<<a.dir.Reverse(), false)
		return 0, true
	}
	if a.refusesProbe() {
		return 0, true
	}
	if !a.acksFIN() && !a.updatesWindow() && (a.badUpdate() || a.outdated()) {
		return 0, true
	}
	if old := a.beforeBase(); old || a.n > 0 && a.end.LessEq(a.me.acked) {
		a.event(packet.StreamPacketSpuriousRetransmission)
		return 0, old
	}
	return 0, false
}

// beforeBase says whether all bytes of the packet lie before those that are still of interest.
func (a *arrival) beforeBase() bool {
	if a.n == 0 || a.env.Unread {
		return false
	}
	base := a.me.isn + 1
	switch {
	case a.bytes != nil:
		base = a.bytes.Base()
	case *a.me == (side{}):
		base = 0
	}
	return a.end.LessEq(base)
}

// refusesProbe finds the ACK of a receiver whose window is still closed.
func (a *arrival) refusesProbe() bool {
	return a.State() >= StateEstablished && a.has(sideProbed<<a.dir.Reverse()) && a.n == 0 && !a.opensOrEnds() && a.p.TCP.Window == 0 &&
		a.ack == a.you.acked && a.seq == a.me.next
}

// acksFIN finds the ACK of a FIN after the sender's own.
func (a *arrival) acksFIN() bool {
	switch a.State() {
	case StateTimeWait, StateCloseWait, StateLastAck:
		return a.n == 0 && !a.opensOrEnds() && a.isSet(packet.ACK) && a.seq == a.me.next+1 && a.ack == a.you.next+1
	}
	return false
}

// updatesWindow finds an ACK that changes nothing but the window.
func (a *arrival) updatesWindow() bool {
	return a.State() >= StateEstablished && a.n == 0 && !a.opensOrEnds() && a.p.TCP.Window != 0 &&
		a.offered() != a.window(a.peer()) && a.ack == a.you.acked && a.seq == a.me.next
}

// badUpdate finds a packet that takes back more of the window than it has bytes,
// while both of its numbers are ahead of what was seen: some middleboxes send them.
func (a *arrival) badUpdate() bool {
	if a.State() < StateEstablished || a.State() == StateClosed || a.opensOrEnds() || a.offered() >= a.window(a.peer()) {
		return false
	}
	if a.window(a.peer())-a.offered() <= uint32(a.n) || !a.you.next.Less(a.ack) || !a.me.next.Less(a.seq) {
		return false
	}
	a.event(packet.StreamPacketBadWindowUpdate)
	return true
}

// outdated finds an ACK without data that a later one has overtaken.
func (a *arrival) outdated() bool {
	return a.State() >= StateEstablished && a.n == 0 && !a.opensOrEnds() && a.seq == a.me.next && a.ack.Less(a.you.acked)
}

// goodAck says whether the packet acknowledges something that the receiver can
// have sent, and not something that is long past.
func (a *arrival) goodAck() bool {
	y := a.you
	switch {
	case !a.isSet(packet.ACK), a.ack == y.acked:
		return true
	case y.acked.Less(a.ack) && a.ack.LessEq(y.edge):
		return true
	case a.ack.Less(y.acked):
		if w := a.window(a.peer()); w == 0 || !a.ack.Less(y.acked.Add(-int(w))) {
			return true
		}
	case a.has(oneSided):
		return true
	case a.State() == StateSynSent && !a.toServer() && a.isSet(packet.RST) && a.ack == y.isn+1:
		return true // the SYN is refused
	}
	a.event(packet.StreamPacketInvalidACK)
	return false
}

// goodReset says whether the receiver would take the reset. Most systems want
// exactly the next number (RFC 5961, 3.2).
func (a *arrival) goodReset() bool {
	if a.has(sideGap | sideGap<<1) {
		return true // too little is known to tell
	}
	if !a.goodStamp() {
		return false
	}
	if a.n > 0 {
		a.event(packet.StreamRSTWithData)
	}
	if a.isSet(packet.ACK) && a.ack != 0 && !a.goodAck() {
		a.event(packet.StreamRSTInvalidACK)
		return false
	}
	if a.has(oneSided) {
		return a.me.next.LessEq(a.seq)
	}
	switch a.receiver() {
	case HPUX11:
		return a.me.next.LessEq(a.seq)
	case OldLinux, Linux, Solaris:
		return a.me.acked.LessEq(a.end) && a.seq.Less(a.me.next.Add(int(a.window(a.dir))))
	}
	return a.seq == a.me.next
}

// receiver is what system the receiver is taken for.
func (a *arrival) receiver() Policy { return a.env.Policies.Of(&a.p.Dst) }

// goodStamp says whether the receiver would take the packet for what its
// timestamp says (RFC 7323, 5).
func (a *arrival) goodStamp() bool {
	if !a.has(stamped) || !a.p.TCP.HasTS {
		return true
	}
	stamp, last, check := a.p.TCP.TSVal, a.me.stamp, true
	system := a.receiver()
	if zero := sideZero << a.dir; a.has(zero) {
		switch system {
		case Linux, Windows2K3:
			a.put(stamped, false)
			check = false
		case OldLinux, Windows, Vista:
			a.put(zero, false)
			if a.seq == a.me.next {
				last, check = stamp, false
			}
		}
	}
	if system == HPUX11 && a.seq != a.me.next {
		check = false
	}
	if stamp == 0 {
		switch system {
		case OldLinux, Windows, Windows2K3, Vista, Solaris:
		default:
			check = true
			last = stamp + 2
		}
	}
	if check {
		// One less is let through, as Linux does.
		if int32(stamp-last) < -1 {
			a.event(packet.StreamPacketInvalidTimestamp)
			return false
		}
	}
	return true
}

// takeStamp keeps the timestamp of an acceptable packet, if it is in order.
func (a *arrival) takeStamp() {
	if a.has(stamped) && a.p.TCP.HasTS && a.seq == a.me.next && a.goodStamp() {
		a.me.stamp = a.p.TCP.TSVal
	}
}

// resent says whether the packet has bytes that came before, in which case it
// moves the connection nowhere.
func (a *arrival) resent() bool {
	if a.n == 0 || a.me.acked.LessEq(a.seq) && a.me.next.Less(a.end) {
		return false
	}
	a.event(packet.StreamPacketRetransmission)
	return true
}

// afterReset finds packets of a side after it had refused the connection:
// another one has, it seems.
func (a *arrival) afterReset() {
	if refused := sideReset << a.dir.Reverse(); !a.isSet(packet.RST) && a.has(refused) {
		a.put(refused, false)
		a.event(packet.StreamSuspectedRSTInject)
	}
}
