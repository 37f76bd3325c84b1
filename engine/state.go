package engine

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
)

// decision is what was settled for a whole flow.
type decision uint8

const (
	undecided decision = iota
	passed
	dropped
)

// Bits of state.flags.
const (
	untracked    uint8 = 1 << iota // TCP without its context: picked up under CONTINUE
	midstream                      // its start was not seen
	alerted                        // a rule wrote an alert
	appKnown                       // what the application-layer default actions wait for is known
	named                          // ext is a name and not an inspector
	noInspection                   // no inspector any more: done, or none was to be had
	answered                       // not TCP: both sides have spoken
	encrypted                      // what its packets carry tells rules nothing
)

// state is what the engine hangs on a flow. It holds no pointers, and with it a
// flow takes 152 bytes, with flow.Flow.Seen: the TCP flags of all packets, by direction, and
// of ICMP first the code of the packet that opened the flow.
type state struct {
	tcp stream.Tracker

	// ext is 0, or index+1 of the flow's inspector, or with the named flag of its name: a flow
	// has a name only when its inspector is done. Above its 22 bits there is one for each
	// side: see setDetected.
	ext [3]uint8

	// verdict is what was decided, in its upper two bits, and below 1 + the index of the
	// rule that did, in the rule set of the flow's generation.
	verdict [3]uint8

	// pinned is that generation's place in worker.programs, in the lower four bits, and in the
	// upper ones the families of default actions whose alert is written.
	pinned uint8

	app    applayer.Proto
	protos protos
	flags  uint8
	quiet  uint8 // header rules have nothing to say, by stage: see stageBit
	ttl    [2]ttlRange
}

const (
	extBits = 22
	maxExt  = 1<<extBits - 1
)

func (s *state) extension() uint32 {
	return (uint32(s.ext[0]) | uint32(s.ext[1])<<8 | uint32(s.ext[2])<<16) & maxExt
}

func (s *state) setExt(n uint32) {
	s.ext = [3]uint8{uint8(n), uint8(n >> 8), uint8(n>>16) | s.ext[2]&^(maxExt>>16)}
}

// setDetected notes that the protocol of a side was detected, or given up, since that side's last packet.
func (s *state) setDetected(dir packet.Dir) { s.ext[2] |= 1 << (extBits - 16 + dir) }

// takeDetected reports whether setDetected was called for dir, and forgets it.
func (s *state) takeDetected(dir packet.Dir) bool {
	bit := uint8(1) << (extBits - 16 + dir)
	was := s.ext[2]&bit != 0
	s.ext[2] &^= bit
	return was
}

// setName keeps the flow's name, if it has a number.
func (s *state) setName(n uint32) {
	if s.setExt(n); n != 0 {
		s.flags |= named
	}
}

func (s *state) slot() uint8 { return s.pinned & (maxGenerations - 1) }

// pin puts the flow on the generation in slot.
func (s *state) pin(slot uint8) { s.pinned = s.pinned&^(maxGenerations-1) | slot }

// alertDefault notes that the alert of a family is written, and reports whether it was.
func (s *state) alertDefault(family detect.Family) (before bool) {
	bit := uint8(maxGenerations) << family
	before = s.pinned&bit != 0
	s.pinned |= bit
	return before
}

// Both fit into state.pinned.
var _ = [1]struct{}{}[maxGenerations<<detect.NumFamilies-1<<8]

type ttlRange struct{ min, max uint8 }

func (r *ttlRange) add(ttl uint8) {
	if r.max == 0 && r.min == 0 {
		r.min = ttl
	}
	r.min, r.max = min(r.min, ttl), max(r.max, ttl)
}

const (
	ruleBits = 22
	noRule   = ^uint32(0)
)

func (s *state) decision() decision { return decision(s.verdict[2] >> (ruleBits - 16)) }

// decide settles d for the flow.
func (s *state) decide(d decision) {
	s.verdict[2] = s.verdict[2]&(1<<(ruleBits-16)-1) | uint8(d)<<(ruleBits-16)
}

// setRule notes the rule that decides; of more rules than fit the last ones are not told.
func (s *state) setRule(i uint32) {
	if i++; i >= 1<<ruleBits {
		i = 0
	}
	s.verdict = [3]uint8{uint8(i), uint8(i >> 8), uint8(i>>16) | s.verdict[2]&^(1<<(ruleBits-16)-1)}
}

// decidedBy returns the rule that decided the flow, or nil.
func (w *worker) decidedBy(f *flowEntry) *detect.Rule {
	s := &f.State
	i := (uint32(s.verdict[0]) | uint32(s.verdict[1])<<8 | uint32(s.verdict[2])<<16) & (1<<ruleBits - 1)
	if i == 0 {
		return nil
	}
	return &w.programs[s.slot()].program.Rules.Rules()[i-1]
}

func (s *state) has(flag uint8) bool { return s.flags&flag != 0 }

type flowEntry = flow.Flow[state]

// established is Suricata's flow:established: the handshake was complete
// before this packet, or for other protocols both sides have spoken.
func established(f *flowEntry) bool {
	if f.Key.Proto == packet.ProtoTCP {
		return !f.State.has(untracked) && f.State.tcp.Established()
	}
	return f.State.has(answered)
}

// FlowState is how far a flow has come, in the words of EVE records.
type FlowState uint8

const (
	FlowNew FlowState = iota
	FlowEstablished
	FlowClosed
)

var flowStateNames = [...]string{"new", "established", "closed"}

// String returns the state's name in records, such as "established".
func (s FlowState) String() string { return flowStateNames[s] }

func flowState(f *flowEntry) FlowState {
	switch {
	case f.Key.Proto == packet.ProtoTCP && f.State.tcp.Closed():
		return FlowClosed
	case established(f):
		return FlowEstablished
	}
	return FlowNew
}
