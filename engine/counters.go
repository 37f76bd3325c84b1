package engine

import (
	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/metrics"
)

// Reason says why a packet was dropped (or, where the engine only looks on,
// would have been). Every drop has exactly one.
type Reason uint8

const (
	NotDropped       Reason = iota
	ReasonInvalid           // failed packet validation
	ReasonNoProgram         // no policy is in force yet
	ReasonStateless         // a stateless rule or default action
	ReasonFlowLimit         // the flow table is full of established flows
	ReasonStream            // not a packet of its TCP connection
	ReasonException         // midstream, by the stream exception policy
	ReasonRule              // a rule
	ReasonFlow              // its flow was dropped before
	ReasonDefault           // a stateful default action
	ReasonReassembly        // its bytes are too far ahead, or behind too many holes, to be inspected; sent again they will fit
	ReasonParser            // its bytes are not what their protocol allows, and the policy drops them
	ReasonFragment          // a fragment of a datagram that cannot be inspected, or was refused
	ReasonPanic             // the engine failed on it
	NumReasons

	reasonTunnel = NumReasons // in records: what it carries is dropped, which is counted as that
)

var reasonNames = [NumReasons]string{"", "invalid", "no_policy", "stateless", "flow_limit", "stream", "stream_exception", "rule", "flow", "default_action", "reassembly", "parser", "fragment", "panic"}

// String is the reason's metric label.
func (r Reason) String() string { return reasonNames[r] }

// Cause says why a TCP packet was midstream.
type Cause uint8

const (
	CauseUnknown Cause = iota // no flow of it was ever seen, or too long ago
	CauseFlushed
	CauseIdle
	CauseClosed
	CauseEvicted
	CauseRestart // the engine is so young that the flow may be older
	NumCauses
)

var causeNames = [NumCauses]string{"never_seen", "flushed", "idle_timeout", "closed", "evicted", "restart"}

// String is the cause's metric label.
func (c Cause) String() string { return causeNames[c] }

// The counters of a worker, as indices into its block. Groups that belong to an
// enumeration begin at their first member.
const (
	cStatelessPackets = iota
	cStatelessBytes
	cStatelessPassed
	cStatelessDropped
	cStatefulPackets
	cStatefulBytes
	cStatefulPassed
	cStatefulRejected
	cNotIP
	cFlows
	cAlerts
	cResets
	cResetErrors
	cResetsLimited
	cInspectionRefused
	cNormalised
	cReplaced
	cVarsRefused
	cCapturesRefused
	cTagsRefused
	cRegexGaveUp
	cAlertsDiscarded
	cRepinned
	cDriverErrors
	cPanics
	cFragments                   // of IPv4, then of IPv6
	cReassembled      = iota + 1 // the same
	cFragmentTimeouts = iota + 2
	cFragmentOverlaps = iota + 2
	cInvalid          = cFragmentOverlaps + 1
	cDropped          = cInvalid + packet.NumDecoderEvents - 1
	cStream           = cDropped + int(NumReasons) - 1
	cEnded            = cStream + stream.Reasons - 1
	cException        = cEnded + int(flow.NumReasons)
	cFragmentsDropped = cException + int(detect.NumExceptions)*int(NumCauses)
	cLimits           = cFragmentsDropped + int(defrag.NumStatus-defrag.Malformed)
	numCounters       = cLimits + int(NumLimitPolicies)*int(NumLimits)
)

// Counters is the table of what every worker counts, by firewall and zone.
// AWS publishes the ones before the dash under CloudWatch names.
type Counters struct{ *metrics.Set }

// NewCounters makes the table; register it once in a process.
func NewCounters() Counters {
	series := make([]metrics.Series, numCounters)
	one := func(i int, name, help string, labels ...string) {
		series[i] = metrics.Series{Name: "sluice_" + name + "_total", Help: help, Labels: labels}
	}
	one(cStatelessPackets, "stateless_received_packets", "Packets that arrived at the stateless engine.")
	one(cStatelessBytes, "stateless_received_bytes", "Bytes that arrived at the stateless engine.")
	one(cStatelessPassed, "stateless_passed_packets", "Packets that the stateless engine let through without further inspection.")
	one(cStatelessDropped, "stateless_dropped_packets", "Packets that stateless rules and default actions dropped.")
	one(cStatefulPackets, "stateful_received_packets", "Packets that arrived at the stateful engine.")
	one(cStatefulBytes, "stateful_received_bytes", "Bytes that arrived at the stateful engine.")
	one(cStatefulPassed, "stateful_passed_packets", "Packets that the stateful engine let through.")
	one(cStatefulRejected, "stateful_rejected_packets", "Packets that were dropped and answered with a reset or an unreachable message.")
	one(cNotIP, "not_ip_packets", "Frames that are not IP, which no rule sees and which pass.")
	one(cFlows, "flows_created", "Flows that entered the flow table.")
	one(cAlerts, "alerts", "Alerts of rules and default actions.")
	one(cResets, "resets_sent", "Resets and unreachable messages sent.")
	one(cResetErrors, "reset_errors", "Resets and unreachable messages that could not be sent.")
	one(cInspectionRefused, "inspection_refused_flows", "Flows whose stream was not inspected because the memory for it was in use.")
	one(cNormalised, "stream_normalised_packets", "TCP packets that got the bytes which came before in the place of theirs.")
	one(cReplaced, "replaced_packets", "Packets in which a rule's replace put other bytes.")
	one(cVarsRefused, "flow_variables_refused", "Flowbits and flowints that were not set because too many were.")
	one(cCapturesRefused, "captures_refused", "What pcre captured and was not kept, or not whole: more than 4096 bytes, more than 16 variables of a flow, no room.")
	one(cTagsRefused, "tags_refused", "Flows and hosts whose packets are not logged, as a rule's tag asks, because too many are.")
	one(cAlertsDiscarded, "alerts_discarded", "Alerts that were not logged because their packet had 15 already.")
	one(cRegexGaveUp, "pcre_gave_up", "Regular expressions that did not match because they would have taken too long.")
	one(cRepinned, "flows_repinned", "Flows that were moved to newer rules because too many generations were alive.")
	one(cDriverErrors, "driver_errors", "Batches whose verdicts the driver could not deliver.")
	one(cResetsLimited, "unreachables_suppressed", "Unreachable messages that were not sent because too many were in one second.")
	one(cPanics, "worker_panics", "Panics of workers, each of which cost a packet and its flow. Please report the stack in the log.")
	for i, ip := range []string{"4", "6"} {
		one(cFragments+i, "fragments", "Fragments that arrived at the stateful engine.", "ip", ip)
		one(cReassembled+i, "fragments_reassembled_datagrams", "Datagrams that were put together from their fragments and inspected.", "ip", ip)
	}
	one(cFragmentTimeouts, "fragments_timed_out_datagrams", "Datagrams of which fragments were missing for too long.")
	one(cFragmentOverlaps, "fragments_overlapping", "Fragments with bytes that an earlier fragment had, too.")
	for s := defrag.Malformed; s < defrag.NumStatus; s++ {
		one(cFragmentsDropped+int(s-defrag.Malformed), "fragments_dropped", "Fragments that could not be part of a datagram that is inspected.", "reason", s.String())
	}
	for e := packet.Valid + 1; int(e) < packet.NumDecoderEvents; e++ {
		one(cInvalid+int(e)-1, "invalid_dropped_packets", "Packets that failed validation, by Suricata's name for what is wrong.", "reason", e.Name())
	}
	for r := NotDropped + 1; r < NumReasons; r++ {
		one(cDropped+int(r)-1, "dropped_packets", "Dropped packets of both engines, each with its one reason.", "reason", r.String())
	}
	for r := 1; r < stream.Reasons; r++ {
		one(cStream+r-1, "stream_invalid_packets", "TCP packets that do not belong to their connection.", "reason", stream.Reason(r).String())
	}
	for r := range flow.NumReasons {
		one(cEnded+int(r), "flows_ended", "Flows that left the flow table.", "reason", r.String())
	}
	for p := range NumLimitPolicies {
		for l := range NumLimits {
			one(cLimits+int(p)*int(NumLimits)+int(l), "limit_policy_packets", "Packets that met a limit of the engine, by the policy that was applied to them.", "policy", p.String(), "limit", l.String())
		}
	}
	for e := range detect.NumExceptions {
		for c := range NumCauses {
			one(cException+int(e)*int(NumCauses)+int(c), "stream_exception_policy_packets", "TCP packets that belong to no tracked flow, by what the policy did and why they were midstream.", "policy", e.String(), "cause", c.String())
		}
	}
	return Counters{metrics.MustSet([]string{"account", "firewall", "zone"}, series...)}
}
