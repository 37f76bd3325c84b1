// Package stream follows TCP connections: Tracker says which packets belong to
// a connection and what state it is in, Reassembly turns segments into ordered
// bytes and gaps. Neither keeps time, and neither takes a lock: a flow belongs
// to one worker.
package stream

import "github.com/sluicefw/sluice/engine/packet"

const (
	// maxScale is the largest window shift (RFC 7323, 2.3). It is also what a
	// connection is given whose SYNs were not seen.
	maxScale = 14

	// maxAckBehind is how far an ACK may lag, beyond a window, behind what its
	// receiver sent: the segment that began at the edge of the window. The
	// figure is van Rooij's ("Real Stateful TCP Packet Filtering in IP Filter",
	// 2000).
	maxAckBehind = 66000

	// hugeWindow stands for a window that was not seen, in bytes.
	hugeWindow = 65535 << maxScale

	// noScale marks a first SYN without the window scale option.
	noScale = 0xff
)

// Flags of a Tracker.
const (
	flagMidstream   uint8 = 1 << iota // picked up without its SYN
	flagEstablished                   // the handshake was completed at some time
	flagAcked                         // the client's SYN is acknowledged; shifted by Dir for the server's
	_
	flagFIN // the client sent a FIN; shifted by Dir for the server's
	_
)

// What is known of a side.
const (
	sideUnknown uint8 = iota // nothing: neither it nor an ACK for it was seen
	sideImplied              // its numbers are known from the ACKs of the other side
	sideSeen
)

// side is what one end sent and may send. The names follow the windows of van
// Rooij's paper, which pf and the kernel's conntrack use too:
//
//	      una          end                maxEnd
//	-------|------------|-------------------|-------> sequence space
//	 acked   in flight    may be sent
type side struct {
	una    packet.Seq // the highest ACK of the peer, first the SYN's number + 1
	end    packet.Seq // one past the highest byte sent
	maxEnd packet.Seq // the highest ACK + window of the peer: what may be sent ends here
	maxWin uint32     // largest window that this side offered, in bytes, at least 1
}

// Tracker is the state of one TCP connection: what its two ends have sent,
// acknowledged and offered. It holds no pointers, and its zero value waits for
// Open or OpenMidstream.
//
// It expects to see the packets in about the order in which their senders sent
// them, and after them nothing that changes their numbers.
type Tracker struct {
	sides [2]side // by the packet.Dir of what the side sends
	scale [2]uint8
	known [2]uint8
	state State
	flags uint8
}

// State returns the state that the last accepted packet led to.
func (t *Tracker) State() State { return t.state }

// String returns the name of the state.
func (t *Tracker) String() string { return t.state.String() }

// Established reports whether the handshake was completed, or the connection
// was picked up midstream. It stays true when the connection closes, as
// Suricata's flow:established does.
func (t *Tracker) Established() bool { return t.flags&flagEstablished != 0 }

// Closed reports whether the connection is over: only the last ACK, and
// packets that were under way, can still come.
func (t *Tracker) Closed() bool { return t.state >= StateTimeWait }

// Midstream reports whether the connection was picked up without its SYN.
func (t *Tracker) Midstream() bool { return t.flags&flagMidstream != 0 }

// Open starts a connection with its first SYN, which dir sent. Data in it is
// taken (RFC 7413).
func (t *Tracker) Open(p *packet.Packet, dir packet.Dir) {
	*t = Tracker{state: StateSynSent}
	t.takeSYN(p, dir)
}

// OpenMidstream starts a connection with a packet from its middle. Whatever
// the SYNs would have said is assumed at its most generous: the largest window
// scale, and an unknown window as the largest there is.
func (t *Tracker) OpenMidstream(p *packet.Packet, dir packet.Dir) {
	*t = Tracker{flags: flagMidstream, scale: [2]uint8{maxScale, maxScale}}
	h := &p.TCP
	if h.Flags&packet.ACK != 0 {
		t.imply(dir.Reverse(), packet.Seq(h.Ack))
	}
	if h.Flags&packet.SYN != 0 {
		t.takeSYN(p, dir)
		t.state = StateSynRecv
		t.flags |= flagAcked << dir.Reverse()
		return
	}
	t.imply(dir, packet.Seq(h.Seq))
	t.state = StateEstablished
	t.flags |= flagEstablished | flagAcked | flagAcked<<1
	if h.Flags&packet.RST != 0 {
		t.state = StateClosed
		return
	}
	t.record(p, dir)
	t.advance()
}

// imply notes that dir has sent everything up to at, and nothing else of it.
func (t *Tracker) imply(dir packet.Dir, at packet.Seq) {
	t.sides[dir] = side{una: at, end: at, maxEnd: at.Add(hugeWindow), maxWin: hugeWindow}
	t.known[dir] = sideImplied
}

// Update judges the next packet of the connection, sent by dir, and records it
// unless it is invalid or asks for Reuse.
func (t *Tracker) Update(p *packet.Packet, dir packet.Dir) Outcome {
	before := *t
	o := t.judge(p, dir)
	if o&(Invalid|Reuse) != 0 {
		*t = before
		return o
	}
	if t.state != before.state {
		o |= StateChanged
	}
	if t.Established() && !before.Established() {
		o |= JustEstablished
	}
	if t.Closed() && !before.Closed() {
		o |= JustClosed
	}
	return o
}

func (t *Tracker) judge(p *packet.Packet, dir packet.Dir) Outcome {
	switch flags := p.TCP.Flags; {
	case flags&packet.SYN != 0 && flags&(packet.RST|packet.FIN) != 0:
		return invalid(BadFlags)
	case flags&packet.RST != 0:
		return t.reset(p, dir)
	case flags&packet.SYN != 0:
		return t.syn(p, dir)
	case flags&packet.ACK == 0:
		return invalid(BadFlags)
	default:
		return t.segment(p, dir)
	}
}

// syn judges a SYN or SYN-ACK on a connection that is already known.
func (t *Tracker) syn(p *packet.Packet, dir packet.Dir) Outcome {
	h := &p.TCP
	synAck := h.Flags&packet.ACK != 0
	me, you := &t.sides[dir], &t.sides[dir.Reverse()]
	repeated := t.known[dir] == sideSeen && packet.Seq(h.Seq)+1 == me.una

	switch t.state {
	case StateSynSent, StateSynRecv:
	case StateTimeWait, StateClosed:
		if !synAck {
			return Reuse
		}
		return invalid(BadSYN)
	default:
		// The client's last ACK was lost, so the server repeats its SYN-ACK.
		if synAck && t.oldSYN(p, dir) {
			return Retransmission
		}
		return invalid(SYNOnEstablished)
	}

	if synAck {
		// It must acknowledge the other SYN, and at most the data in it.
		ack := packet.Seq(h.Ack)
		if t.known[dir.Reverse()] == sideUnknown || ack.Less(you.una) || you.end.Less(ack) {
			return invalid(BadAck)
		}
	}
	switch {
	case t.known[dir] != sideSeen:
		t.takeSYN(p, dir) // the answer, or the other half of a simultaneous open
		t.state = StateSynRecv
	case !repeated && !synAck && t.state == StateSynSent:
		return Reuse
	case !repeated:
		return invalid(BadSYN)
	}
	o := Accept
	if repeated {
		o = Retransmission
	}
	if synAck {
		t.acknowledge(packet.Seq(h.Ack), dir.Reverse())
		t.advance()
	}
	return o
}

// oldSYN reports whether the SYN-ACK can be an old one of dir: all that it
// carries was acknowledged, and not longer ago than a window.
func (t *Tracker) oldSYN(p *packet.Packet, dir packet.Dir) bool {
	me, you := &t.sides[dir], &t.sides[dir.Reverse()]
	end := packet.Seq(p.TCP.Seq).Add(p.SegLen())
	return end.LessEq(me.una) && me.end.Add(-int(you.maxWin)).LessEq(end)
}

// takeSYN records the first SYN of dir.
func (t *Tracker) takeSYN(p *packet.Packet, dir packet.Dir) {
	h := &p.TCP
	me, you := &t.sides[dir], &t.sides[dir.Reverse()]
	me.una = packet.Seq(h.Seq) + 1
	me.end = packet.Seq(h.Seq).Add(p.SegLen())
	me.maxWin = max(uint32(h.Window), 1) // never scaled in a SYN (RFC 7323, 2.2)
	t.known[dir] = sideSeen

	// Scaling is on if both SYNs offer it, and the other may yet come.
	t.scale[dir] = noScale
	if h.HasWScale {
		t.scale[dir] = min(h.WScale, maxScale)
	}
	if t.known[dir.Reverse()] == sideUnknown {
		me.maxEnd = me.end
		return
	}
	if t.scale[dir] == noScale || t.scale[dir.Reverse()] == noScale {
		t.scale = [2]uint8{}
	}
	me.maxEnd = packet.MaxSeq(me.end, me.una.Add(int(min(you.maxWin, 65535))))
	you.maxEnd = packet.MaxSeq(you.end, you.una.Add(int(h.Window)))
}

// segment judges a packet with ACK and neither SYN nor RST.
func (t *Tracker) segment(p *packet.Packet, dir packet.Dir) Outcome {
	if t.state <= StateSynSent {
		return invalid(NoHandshake)
	}
	peer := dir.Reverse()
	first, ack := packet.Seq(p.TCP.Seq), packet.Seq(p.TCP.Ack)
	if t.known[dir] == sideUnknown {
		t.imply(dir, first)
	}
	if t.known[peer] == sideUnknown {
		t.imply(peer, ack)
	}
	if r := t.check(p, dir); r != Valid {
		return invalid(r)
	}
	o := t.describe(p, dir)
	t.record(p, dir)
	t.advance()
	return o
}

// check compares the numbers of a segment with what its sender may send and
// acknowledge. These are the four bounds of van Rooij's paper; the upper bound
// looks at the first byte only, as receivers do, so that a probe or FIN at the
// edge of the window passes, and so does an ACK behind those.
func (t *Tracker) check(p *packet.Packet, dir packet.Dir) Reason {
	peer := dir.Reverse()
	me, you := &t.sides[dir], &t.sides[peer]
	first, ack := packet.Seq(p.TCP.Seq), packet.Seq(p.TCP.Ack)
	end := first.Add(p.SegLen())

	last := me.maxEnd
	if len(p.Payload) == 0 {
		last = packet.MaxSeq(me.maxEnd, me.end)
	}
	if last.Less(first) || end.Less(me.end.Add(-int(you.maxWin))) {
		return OutOfWindow
	}
	highest := you.end
	if t.Midstream() && !t.sentFIN(peer) {
		highest = packet.MaxSeq(you.end, you.maxEnd) // it may acknowledge what passed before the pick-up
	}
	if highest.Less(ack) || ack.Less(you.end.Add(-int(me.maxWin)-maxAckBehind)) {
		return BadAck
	}
	if t.state == StateSynRecv && ack.Less(you.una) {
		return BadAck // must acknowledge the SYN
	}
	fin := p.TCP.Flags&packet.FIN != 0
	if t.sentFIN(dir) && me.end.Less(end) || fin && end.Less(me.end) {
		return AfterFIN
	}
	return Valid
}

// describe tells what an acceptable segment is for. It must be called before
// record.
func (t *Tracker) describe(p *packet.Packet, dir packet.Dir) Outcome {
	me := &t.sides[dir]
	first, n := packet.Seq(p.TCP.Seq), p.SegLen()
	fin := p.TCP.Flags&packet.FIN != 0
	o := Accept
	if n > 0 && first.Add(n).LessEq(me.end) {
		o |= Retransmission
	}
	if first+1 == me.end && !fin && (n == 0 || n == 1 && me.una == me.end) {
		o |= KeepAlive
	}
	if first == me.maxEnd && first == me.end && !fin && n == 1 {
		o |= WindowProbe
	}
	return o
}

// record takes an acceptable segment into the windows of both sides.
func (t *Tracker) record(p *packet.Packet, dir packet.Dir) {
	h, peer := &p.TCP, dir.Reverse()
	me, you := &t.sides[dir], &t.sides[peer]
	window := uint32(h.Window) << t.scale[dir]

	me.end = packet.MaxSeq(me.end, packet.Seq(h.Seq).Add(p.SegLen()))
	if t.known[peer] != sideSeen {
		me.maxEnd = packet.MaxSeq(me.maxEnd, me.end.Add(hugeWindow))
	}
	if h.Flags&packet.FIN != 0 {
		t.flags |= flagFIN << dir
	}
	if h.Flags&packet.ACK == 0 {
		return
	}
	edge := packet.Seq(h.Ack).Add(int(window))
	if t.known[dir] != sideSeen { // now its window is known
		t.known[dir] = sideSeen
		me.maxWin, you.maxEnd = 1, you.end
	}
	me.maxWin = max(me.maxWin, window)
	you.maxEnd = packet.MaxSeq(you.maxEnd, edge)
	t.acknowledge(packet.Seq(h.Ack), peer)
}

// acknowledge records an ACK for what dir sent.
func (t *Tracker) acknowledge(ack packet.Seq, dir packet.Dir) {
	s := &t.sides[dir]
	s.una = packet.MaxSeq(s.una, ack)
	s.end = packet.MaxSeq(s.end, ack)
	t.flags |= flagAcked << dir
}

func (t *Tracker) sentFIN(dir packet.Dir) bool { return t.flags&(flagFIN<<dir) != 0 }

// advance moves the state on to what SYNs, FINs and ACKs allow. One packet can
// allow several steps.
func (t *Tracker) advance() {
	const acked = flagAcked | flagAcked<<1
	if t.state == StateSynRecv && t.flags&acked == acked {
		t.state = StateEstablished
		t.flags |= flagEstablished
	}
	client, server := t.sentFIN(packet.ToServer), t.sentFIN(packet.ToClient)
	finished := server && t.sides[packet.ToClient].una == t.sides[packet.ToClient].end

	if t.state == StateEstablished && server {
		t.state = StateFinWait1
	}
	if t.state == StateEstablished && client {
		t.state = StateCloseWait
	}
	if t.state == StateCloseWait && server {
		t.state = StateLastAck
	}
	if t.state == StateFinWait1 && finished {
		t.state = StateFinWait2
	}
	if t.state == StateFinWait1 && client {
		t.state = StateClosing
	}
	if t.state == StateFinWait2 && client || t.state == StateClosing && finished {
		t.state = StateTimeWait
	}
	if t.state == StateLastAck && finished {
		t.state = StateClosed
	}
}

// reset judges a RST. It must lie between what the receiver has acknowledged
// and the end of its window (RFC 9293, 3.10.7.4); a receiver that follows RFC
// 5961 answers all but an exact one with an ACK, and then gets an exact one.
func (t *Tracker) reset(p *packet.Packet, dir packet.Dir) Outcome {
	me, you := &t.sides[dir], &t.sides[dir.Reverse()]
	first, ack := packet.Seq(p.TCP.Seq), packet.Seq(p.TCP.Ack)
	var ok bool
	switch {
	case t.state == StateSynSent && t.known[dir] == sideUnknown:
		// Refused: the SYN must be acknowledged (RFC 9293, 3.10.7.3).
		ok = p.TCP.Flags&packet.ACK != 0 && you.una.LessEq(ack) && ack.LessEq(you.end)
	case t.state == StateSynSent:
		ok = me.una.LessEq(first+1) && first.LessEq(me.end)
	case t.known[dir] != sideUnknown:
		ok = me.una.LessEq(first) && first.LessEq(me.maxEnd)
	}
	if !ok {
		return invalid(BadRST)
	}
	t.state = StateClosed
	return Accept
}

// ResetSeq returns the numbers for a RST with ACK that is sent as if by dir, so
// that its receiver takes it: the sequence number follows the last byte of dir
// that was let through. When packets of dir were dropped after Update, use the
// sequence number of the first of them instead. ok is false when nothing is
// known of dir.
func (t *Tracker) ResetSeq(dir packet.Dir) (seq, ack uint32, ok bool) {
	me, you := &t.sides[dir], &t.sides[dir.Reverse()]
	if t.known[dir] == sideUnknown {
		return 0, uint32(you.end), t.state == StateSynSent
	}
	return uint32(me.end), uint32(you.end), true
}

// Unacked returns the sequence number that follows the last byte of dir that
// its receiver has acknowledged: before any data, the first byte of the stream.
func (t *Tracker) Unacked(dir packet.Dir) uint32 { return uint32(t.sides[dir].una) }
