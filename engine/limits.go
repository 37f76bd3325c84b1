package engine

import (
	"fmt"
	"slices"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// LimitPolicy says what happens to a packet that met a Limit, and to its flow: the exception policies
// of Suricata.
type LimitPolicy uint8

const (
	LimitAuto       LimitPolicy = iota // see Limit; for rule files drop-flow where packets can be dropped, as in Suricata
	LimitIgnore                        // it goes on to the rules
	LimitPassPacket                    // it passes
	LimitPassFlow                      // so do all that follow, uninspected
	LimitBypass                        // the same: there is nothing below the engine that could pass them
	LimitDropPacket
	LimitDropFlow
	LimitReject // with an answer to its sender, and its flow is dropped

	NumLimitPolicies
)

var limitPolicyNames = [NumLimitPolicies]string{"auto", "ignore", "pass-packet", "pass-flow", "bypass", "drop-packet", "drop-flow", "reject"}

// String returns the name of the policy in configurations, Suricata's.
func (p LimitPolicy) String() string { return limitPolicyNames[p] }

// ParseLimitPolicy returns the policy of that name.
func ParseLimitPolicy(name string) (LimitPolicy, error) {
	if i := slices.Index(limitPolicyNames[:], name); i >= 0 {
		return LimitPolicy(i), nil
	}
	return 0, fmt.Errorf("no policy is named %q", name)
}

// Limit is what the engine can come upon that keeps it from following a flow.
type Limit uint8

const (
	LimitFlows     Limit = iota // no room for a flow; auto drops the packet
	LimitStreams                // no memory for a stream; auto inspects its packets one by one
	LimitFragments              // no room for a fragment; auto drops it
	LimitParsers                // bytes that are not what their protocol allows; auto goes on without a parser
	NumLimits
)

var limitNames = [NumLimits]string{"flows", "streams", "fragments", "parsers"}

// String is the limit's label in metrics.
func (l Limit) String() string { return limitNames[l] }

// Limits are the policies of all limits. The zero value is LimitAuto for each.
type Limits [NumLimits]LimitPolicy

var limitReasons = [NumLimits]Reason{ReasonFlowLimit, ReasonReassembly, ReasonFragment, ReasonParser}

// meet counts that the packet at hand met a limit and returns the policy for it.
func (w *worker) meet(l Limit) LimitPolicy {
	policy := w.opt.Limits[l]
	if policy == LimitAuto && w.program.Suricata {
		if policy = LimitIgnore; w.opt.Inline {
			policy = LimitDropFlow
		}
	}
	w.n[cLimits+int(policy)*int(NumLimits)+int(l)] += uint64(w.packets)
	return policy
}

// metLimit is a limit that the packet at hand met.
type metLimit struct {
	met    bool
	which  Limit
	policy LimitPolicy
}

// meets notes a limit that is met while a packet is inspected: see obey. A parser that cannot go on after a
// hole is no fault of the packet's, but for rule files, which Suricata reads so.
func (w *worker) meets(l Limit) {
	if !w.ending && (w.program.Suricata || !w.inGap || l != LimitParsers) {
		w.limit = metLimit{true, l, w.meet(l)}
	}
}

// obey applies the policy for the limit that was met while the packet was inspected. What rules say of
// the packet goes before a policy that lets it pass.
func (w *worker) obey(in *pktio.Packet, f *flowEntry, dir packet.Dir) {
	if !w.limit.met {
		return
	}
	s, res := &f.State, &w.result
	switch p := w.limit.policy; p {
	case LimitPassPacket, LimitPassFlow, LimitBypass:
		if res.Action != detect.None {
			return
		}
		res.Action = detect.Pass
		if p != LimitPassPacket {
			s.decide(passed)
		}
	case LimitDropPacket, LimitDropFlow, LimitReject:
		w.deny(in, f, dir, limitReasons[w.limit.which], nil)
		if p != LimitDropPacket {
			s.decide(dropped)
		}
		if p == LimitReject {
			w.n[cStatefulRejected] += uint64(w.packets)
			w.reject(in, detect.Reject)
		}
	}
}

// noFlow is the fate of a packet for whose flow there is no room.
func (w *worker) noFlow(in *pktio.Packet) {
	switch w.meet(LimitFlows) {
	case LimitIgnore, LimitPassPacket, LimitPassFlow, LimitBypass:
		w.flowless(in)
	case LimitReject:
		w.n[cStatefulRejected] += uint64(w.packets)
		w.reject(in, detect.Reject)
		fallthrough
	default:
		w.deny(in, nil, 0, ReasonFlowLimit, nil)
	}
}
