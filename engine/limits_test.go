package engine

import (
	"strconv"
	"testing"

	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// fate is what becomes of the packet that met a limit, and of the next one of its flow.
type fate struct{ now, next pktio.Verdict }

// fates are those of each policy. Auto is the last: it differs from limit to limit.
var fates = [NumLimitPolicies]fate{
	LimitIgnore:     {pktio.Accept, pktio.Accept},
	LimitPassPacket: {pktio.Accept, pktio.Accept},
	LimitPassFlow:   {pktio.Accept, pktio.Accept},
	LimitBypass:     {pktio.Accept, pktio.Accept},
	LimitDropPacket: {pktio.Drop, pktio.Accept},
	LimitDropFlow:   {pktio.Drop, pktio.Drop},
	LimitReject:     {pktio.Drop, pktio.Drop},
}

// limited is a rig with a policy for one limit.
func limited(t *testing.T, p *detect.Program, l Limit, policy LimitPolicy, change ...func(*Options)) *rig {
	return newRig(t, p, append(change, func(o *Options) { o.Limits[l] = policy })...)
}

// met checks that a limit was met once under a policy, and whether the sender got an answer.
func (r *rig) met(l Limit, policy LimitPolicy) {
	r.Helper()
	r.counter(cLimits+int(policy)*int(NumLimits)+int(l), 1)
	if answered := len(r.injected()) > 0; answered != (policy == LimitReject) {
		r.Errorf("%v: answered: %v", policy, answered)
	}
}

// TestStreamLimit: streams that there is no memory for meet their policy.
func TestStreamLimit(t *testing.T) {
	for policy, want := range fates {
		p := LimitPolicy(policy)
		if p == LimitAuto {
			want = fates[LimitIgnore]
		}
		r := limited(t, program(t, `drop tcp any any -> any any (content:"evil"; sid:1;)`), LimitStreams, p, func(o *Options) { o.StreamMemory = 1 })
		c := newConn("1")
		r.open(c)
		r.want(want.now, p.String(), c.c2s(data, "first"))
		r.met(LimitStreams, p)
		r.want(want.next, p.String()+", next", c.c2s(data, "second"))
		if want.next == pktio.Accept {
			want.next = pktio.Drop // by the rule, which looks at packets then
			if p == LimitPassFlow || p == LimitBypass {
				want.next = pktio.Accept
			}
			r.want(want.next, p.String()+", a rule", c.c2s(data, "evil"))
		}
	}
}

// TestParserLimit: bytes that their protocol does not allow meet their policy. A default action waits
// for the protocol, so only a policy lets them pass.
func TestParserLimit(t *testing.T) {
	for policy, want := range fates {
		p := LimitPolicy(policy)
		if p == LimitAuto {
			want = fates[LimitIgnore]
		}
		r := limited(t, program(t, ""), LimitParsers, p)
		c := newConn("1")
		r.open(c)
		sent := hello(t, "good.example")
		r.accepts("a hello", c.c2s(data, sent))
		r.want(want.now, p.String(), c.c2s(data, "this is no record of TLS, and none follows it"))
		r.met(LimitParsers, p)
		r.want(want.next, p.String()+", next", c.c2s(data, "more"))
	}
}

// TestFlowLimit: packets of flows that there is no room for meet their policy, one by one.
func TestFlowLimit(t *testing.T) {
	for policy, want := range fates {
		p := LimitPolicy(policy)
		if p == LimitAuto {
			want = fates[LimitDropFlow]
		}
		r := limited(t, program(t, ""), LimitFlows, p, func(o *Options) { o.FlowLimit = 4 })
		for i := range 4 {
			r.open(newConn(strconv.Itoa(1 + i)))
		}
		r.want(want.now, p.String(), newConn("9").syn())
		r.met(LimitFlows, p)
	}
}

// TestFragmentLimit: fragments that there is no room for meet their policy.
func TestFragmentLimit(t *testing.T) {
	for policy, want := range fates {
		p := LimitPolicy(policy)
		if p == LimitAuto {
			want = fates[LimitDropFlow]
		}
		r := limited(t, program(t, ""), LimitFragments, p, func(o *Options) { o.Fragments = defrag.Options{Datagrams: 1} })
		first := func(host string) []byte {
			whole := packettest.UDP(host+":5", "10.0.0.2:53", make([]byte, 64))
			return packettest.Fragments(whole, 44)[0]
		}
		r.accepts("the first", first("10.0.0.1"))
		r.want(want.now, p.String(), first("10.0.0.3"))
		r.counter(cLimits+int(p)*int(NumLimits)+int(LimitFragments), 1)
	}
}
