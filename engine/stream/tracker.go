// Package stream follows TCP connections: Tracker says which packets belong to
// a connection and what state it is in, Reassembly turns segments into ordered
// bytes and gaps. Neither keeps time, and neither takes a lock: a flow belongs
// to one worker.
//
// What is accepted, in which state, and with which events, is as in Suricata 7:
// rules are written for what it sees.
package stream

import "github.com/sluicefw/sluice/engine/packet"

const (
	// maxScale is the largest window shift (RFC 7323, 2.3). It is also what a
	// connection is given whose SYNs were not seen.
	maxScale = 14
)

// Env is what a worker's trackers share.
type Env struct {
	Inline       bool // packets wait for their verdict: what is invalid does not reach the receiver
	Midstream    bool // connections are picked up without their start
	AsyncOneSide bool // connections are followed of which only one side is seen
	Policies     *Policies
	Handshakes   *Handshakes

	// Unread says of the packet at hand that nobody reads its connection's bytes any more.
	Unread bool
}

// side is what one end has sent, as far as this is known, and may send.
//
//	isn      acked          next             edge
//	 |---------|--------------|----------------|-----> sequence space
//	 SYN  .. acknowledged  in flight    may be sent
type side struct {
	isn   packet.Seq // number of its SYN
	acked packet.Seq // the highest ACK of the peer
	next  packet.Seq // follows the last byte that was seen; only a first FIN of the server counts
	edge  packet.Seq // the furthest that the peer has let it send
	stamp uint32     // of its last timestamp option
}

// Tracker is the state of one TCP connection. It holds no pointers, and its zero
// value waits for the first packet.
type Tracker struct {
	sides   [2]side   // by the packet.Dir of what the side sends
	windows [2]uint16 // that the peers let them send now, as in the packets
	flags   flags     // and State and window shifts
}

// flags of a Tracker. Those of a side are shifted left by its packet.Dir.
type flags uint32

const (
	stateMask  flags = 0xf
	scaleShift       = 4 // of the shift of windows that limit the client; the server's follows
	scaleMask  flags = 0xf

	sideGap     flags = 1 << 12 // bytes are missing from its stream for good
	sideKeep    flags = 1 << 14 // its last packet was a keep-alive
	sideReset   flags = 1 << 16 // a reset was sent to it in answer to a SYN
	sideZero    flags = 1 << 18 // its timestamps began with 0
	stamped     flags = 1 << 20 // both sides use timestamps
	midstream   flags = 1 << 21 // picked up without its SYN
	midstreamSA flags = 1 << 22 // picked up with the SYN-ACK
	oneSided    flags = 1 << 23 // only one side is seen
	fastOpen    flags = 1 << 24 // RFC 7413
	sideScaled  flags = 1 << 30 // the window that limits it is to be shifted

	// Of the handshake.
	scaling    flags = 1 << 25 // the side that speaks first offered to scale windows
	stampOffer flags = 1 << 26 // it did so with timestamps
	fourWay    flags = 1 << 27 // both sent a SYN (split handshake)
	evasion    flags = 1 << 28 // the ACK of the handshake acknowledged something else
	queued     flags = 1 << 29 // the Handshakes know other SYNs or SYN-ACKs of it

	// After it.
	sideProbed flags = 1 << 25 // it sent a byte into a closed window
	unanswered flags = 1 << 27 // picked up, and nothing came from that side yet

	ofHandshake = scaling | stampOffer | fourWay | evasion
)

// State returns the state that the last accepted packet led to.
func (t *Tracker) State() State { return State(t.flags & stateMask) }

// String returns the name of the state.
func (t *Tracker) String() string { return t.State().String() }

func (t *Tracker) has(f flags) bool { return t.flags&f != 0 }

// put sets or clears f.
func (t *Tracker) put(f flags, on bool) {
	t.flags &^= f
	if on {
		t.flags |= f
	}
}

func (t *Tracker) enter(s State) {
	if s >= StateEstablished && t.State() < StateEstablished {
		t.flags &^= ofHandshake
	}
	t.flags = t.flags&^stateMask | flags(s)
}

// scale returns by how much windows are shifted that limit what dir sends.
func (t *Tracker) scale(dir packet.Dir) uint8 {
	return uint8(t.flags >> (scaleShift + 4*dir) & scaleMask)
}

func (t *Tracker) setScale(dir packet.Dir, n uint8) {
	at := scaleShift + 4*dir
	t.flags = t.flags&^(scaleMask<<at) | flags(min(n, maxScale))<<at
}

// window returns how many bytes the other side lets dir send now.
func (t *Tracker) window(dir packet.Dir) uint32 {
	n := uint32(t.windows[dir])
	if t.has(sideScaled << dir) {
		n <<= t.scale(dir)
	}
	return n
}

// Window returns how many bytes the other side lets dir send now, or 4096 if none.
func (t *Tracker) Window(dir packet.Dir) uint32 {
	if n := t.window(dir); n > 0 {
		return n
	}
	return 4096
}

// allow notes the window that the other side offers dir.
func (t *Tracker) allow(dir packet.Dir, window uint16, scaled bool) {
	t.windows[dir] = window
	t.put(sideScaled<<dir, scaled)
}

// limit puts the edge of dir at the end of its window.
func (t *Tracker) limit(dir packet.Dir) {
	s := &t.sides[dir]
	s.edge = s.acked.Add(int(t.window(dir)))
}

// Established reports whether the handshake was completed, or the connection was
// picked up midstream. It stays true when the connection closes. With fast open the answer is enough,
// as in Suricata: data can follow it.
func (t *Tracker) Established() bool {
	return t.State() >= StateEstablished || t.State() == StateSynRecv && t.has(fastOpen)
}

// Closed reports whether the connection is over: only the last ACK, and packets
// that were under way, can still come.
func (t *Tracker) Closed() bool {
	switch t.State() {
	case StateTimeWait, StateLastAck, StateClosed:
		return true
	}
	return false
}

// Finishing reports whether a side has sent its FIN, which an ACK may count.
func (t *Tracker) Finishing() bool { return t.State() >= StateFinWait1 }

// Ending reports whether the client has sent its FIN, or both have, or there was a reset.
func (t *Tracker) Ending() bool { return t.State() > StateTimeWait }

// Tracked reports whether there is a connection at all.
func (t *Tracker) Tracked() bool { return t.State() != StateNone }

// Midstream reports whether the connection was picked up without its SYN.
func (t *Tracker) Midstream() bool { return t.has(midstream) }

// Size returns how many numbers dir has used, its SYN included: what the rule
// keyword stream_size compares.
func (t *Tracker) Size(dir packet.Dir) uint32 {
	s := &t.sides[dir]
	return uint32(s.next - s.isn)
}

// Next returns the number that follows all that dir has sent.
func (t *Tracker) Next(dir packet.Dir) uint32 { return uint32(t.sides[dir].next) }

// Start returns the number of the first byte of what dir sends.
func (t *Tracker) Start(dir packet.Dir) uint32 { return uint32(t.sides[dir].isn + 1) }

// Acked returns the number that follows the last byte of dir that the other
// side has acknowledged.
func (t *Tracker) Acked(dir packet.Dir) uint32 { return uint32(t.sides[dir].acked) }

// SetGap notes that bytes are missing from what dir sent.
func (t *Tracker) SetGap(dir packet.Dir) { t.flags |= sideGap << dir }

// Gap reports whether bytes are missing from what dir sent.
func (t *Tracker) Gap(dir packet.Dir) bool { return t.has(sideGap << dir) }

// Reuses reports whether the packet of a flow, sent by dir, opens another
// connection on the same ports, for which the caller has to start a fresh Tracker.
func (t *Tracker) Reuses(p *packet.Packet, dir packet.Dir, env *Env) bool {
	switch p.TCP.Flags & (packet.SYN | packet.ACK | packet.RST | packet.FIN) {
	case packet.SYN:
		if t.Tracked() && packet.Seq(p.TCP.Seq) == t.sides[dir].isn {
			return false
		}
	case packet.SYN | packet.ACK:
		if !env.Midstream && !env.AsyncOneSide || !t.Tracked() && dir == packet.ToClient {
			return false
		}
		if t.Tracked() && packet.Seq(p.TCP.Seq) == t.sides[dir].isn {
			return false
		}
	default:
		return false
	}
	return !t.Tracked() || t.State() >= StateLastAck
}

// arrival is a packet at the connection that it belongs to.
type arrival struct {
	*Tracker
	p        *packet.Packet
	env      *Env
	dir      packet.Dir
	me, you  *side // the sender, and the receiver
	seq, ack packet.Seq
	end      packet.Seq // seq + n
	n        int        // bytes of payload
	flags    uint8
	bytes    *Reassembly // of the sender, or nil
}

// Update judges the next packet of the connection, sent by dir, sets its events
// and takes it into account unless it is invalid. r is where the bytes of dir go, or nil.
func (t *Tracker) Update(p *packet.Packet, dir packet.Dir, env *Env, r *Reassembly) Outcome {
	h := &p.TCP
	a := arrival{
		Tracker: t, p: p, env: env, dir: dir, me: &t.sides[dir], you: &t.sides[dir.Reverse()],
		seq: packet.Seq(h.Seq), ack: packet.Seq(h.Ack), n: len(p.Payload), flags: h.Flags, bytes: r,
	}
	a.end = a.seq.Add(a.n)
	if a.flags&packet.ACK == 0 && a.ack != 0 {
		a.event(packet.StreamPacketBrokenACK)
	}
	before := t.State()
	o := a.judge()
	now := t.State()
	if now == before {
		return o
	}
	o |= StateChanged
	if now >= StateEstablished {
		t.forget(env)
	}
	if now == StateEstablished {
		o |= JustEstablished
	}
	if t.Closed() {
		o |= JustClosed
	}
	return o
}

// forget gives back what Handshakes keep of the connection. The owner of the
// tracker calls Release when its flow ends.
func (t *Tracker) forget(env *Env) {
	if t.has(queued) {
		env.Handshakes.release(t)
		t.flags &^= queued
	}
}

// Release gives back what is kept of the connection outside of the Tracker.
func (t *Tracker) Release(env *Env) { t.forget(env) }

func (a *arrival) event(e packet.Event) { a.p.Events.Add(e) }

// refuse is the outcome of a packet that met e and does not belong here.
func (a *arrival) refuse(e packet.Event) Outcome {
	a.event(e)
	return invalid(reasonOf(e))
}

// overlook is the outcome of a packet that met e and changes nothing.
func (a *arrival) overlook(e packet.Event) Outcome {
	a.event(e)
	return 0
}

func (a *arrival) isSet(f uint8) bool { return a.flags&f != 0 }

func (a *arrival) peer() packet.Dir { return a.dir.Reverse() }

// grant takes the packet's window, which is never scaled in a SYN (RFC 7323, 2.2).
func (a *arrival) grant() { a.allow(a.peer(), a.p.TCP.Window, !a.isSet(packet.SYN)) }

func (a *arrival) toServer() bool { return a.dir == packet.ToServer }

// judge looks at what packets of every state have in common, then at the state.
func (a *arrival) judge() Outcome {
	if a.State() == StateNone {
		return a.none()
	}
	if a.has(oneSided) && a.toServer() == a.has(midstreamSA) {
		a.put(oneSided, false) // here is the other one
	}
	o, done := a.idle()
	if !done {
		o = a.dispatch(a.State())
	}
	if !o.Has(Invalid) {
		a.afterReset()
	}
	return o
}
