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
)

// state is what the engine hangs on a flow. It holds no pointers, and with it a
// flow takes 160 bytes.
type state struct {
	tcp stream.Tracker

	// ext is 0, or index+1 of the flow's inspector, or with the named flag of
	// its name: a flow has a name only when its inspector is done.
	ext uint32

	// rule is 1 + the index, in the rule set of the flow's generation, of the
	// rule that decided; slot is that generation's place in worker.programs.
	rule [3]uint8
	slot uint8

	decision decision
	app      applayer.Proto
	sides    [2]applayer.Proto // as each side was recognised, as far as that is known, by direction
	flags    uint8
	quiet    uint8    // header rules have nothing to say, by stage: see stageBit
	tcpFlags [2]uint8 // of all packets, by direction
	ttl      [2]ttlRange

	icmpCode      uint8 // of the packet that opened the flow
	defaultAlerts uint8 // default action families whose alert is written, as bits
}

type ttlRange struct{ min, max uint8 }

func (r *ttlRange) add(ttl uint8) {
	if r.max == 0 && r.min == 0 {
		r.min = ttl
	}
	r.min, r.max = min(r.min, ttl), max(r.max, ttl)
}

func (s *state) setRule(i uint32) {
	i++
	s.rule = [3]uint8{uint8(i), uint8(i >> 8), uint8(i >> 16)}
}

// decidedBy returns the rule that decided the flow, or nil.
func (w *worker) decidedBy(f *flowEntry) *detect.Rule {
	s := &f.State
	i := uint32(s.rule[0]) | uint32(s.rule[1])<<8 | uint32(s.rule[2])<<16
	if i == 0 {
		return nil
	}
	return &w.programs[s.slot].program.Rules.Rules()[i-1]
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
