package detect

import (
	"slices"

	"github.com/sluicefw/sluice/rule"
)

// What a rule asks of, or does to, what rules remember. It is judged in Decide,
// when all that matched is known, so that the order of rules counts and not that of the
// lists which found them.
type (
	condition func(in *Input, res *Result) bool
	effect    func(in *Input)
)

// addState compiles flowbits, flowint, flowvar, pktvar, xbits, hostbits, threshold,
// detection_filter and tag; it reports whether the keyword is one of them.
func (r *Rule) addState(o *rule.Option) bool {
	switch arg := o.Arg.(type) {
	case *rule.FlowBits:
		r.addFlowBits(arg)
	case *rule.FlowInt:
		r.addFlowInt(arg)
	case *rule.HostBits:
		if arg.Op == rule.BitNoAlert {
			r.Log = false
			return true
		}
		name := hashOf("host", arg.Name)
		do := func(in *Input, _ *Result) bool { return in.Hosts.bit(in, arg, name) }
		if arg.Op.Reads() {
			r.conditions = append(r.conditions, do)
		} else {
			r.effects = append(r.effects, func(in *Input) { do(in, nil) })
		}
		// Suricata sees those hostbits that change something, and those xbits that ask for it.
		switch reads := arg.Op.Reads(); {
		case reads == (o.Name == "hostbits"):
		case arg.Track == rule.TrackBoth:
			r.order(orderPairBits, reads)
		default:
			r.order(orderHostBits, reads)
		}
	case *rule.VarTest:
		r.addVarTest(o.Name, arg)
	case *rule.Threshold:
		r.threshold = arg
	case *rule.Tag:
		r.tags = append(r.tags, arg)
	default:
		return false
	}
	return true
}

func (r *Rule) addFlowBits(b *rule.FlowBits) {
	if b.Op == rule.BitNoAlert {
		r.Log = false
		return
	}
	var names []uint64
	for _, n := range b.Names {
		names = append(names, hashOf("flowbit", n))
	}
	r.order(orderFlowBits, b.Op.Reads())
	if b.Op.Reads() {
		want := b.Op == rule.BitIsSet
		r.conditions = append(r.conditions, func(in *Input, _ *Result) bool {
			return in.Vars != nil && slices.ContainsFunc(names, func(n uint64) bool {
				_, set := in.Vars.get(in.FlowID, n)
				return set == want
			})
		})
		return
	}
	name, op := names[0], b.Op
	r.effects = append(r.effects, func(in *Input) {
		if in.Vars == nil {
			return
		}
		_, set := in.Vars.get(in.FlowID, name)
		if op == rule.BitUnset || op == rule.BitToggle && set {
			in.Vars.unset(in.FlowID, name)
		} else {
			in.Vars.set(in.FlowID, name, 1)
		}
	})
}

// addFlowInt follows Suricata: a variable that is not set satisfies notset only; it can be
// added to, but nothing can be taken from it. On the right it counts as 0.
func (r *Rule) addFlowInt(i *rule.FlowInt) {
	name, other := hashOf("flowint", i.Name), hashOf("flowint", i.Value.Var)
	op, fixed, isVar := i.Op, uint32(i.Value.Value), i.Value.Var != ""
	r.order(orderFlowInt, i.Reads())
	do := func(in *Input, _ *Result) bool {
		if in.Vars == nil {
			return false
		}
		have, set := in.Vars.get(in.FlowID, name)
		value := fixed
		if isVar {
			value, _ = in.Vars.get(in.FlowID, other)
		}
		switch op {
		case "isset":
			return set
		case "notset":
			return !set
		case "=":
			in.Vars.set(in.FlowID, name, value)
			return true
		case "+":
			in.Vars.set(in.FlowID, name, have+value)
			return true
		}
		if !set {
			return false
		}
		switch op {
		case "-":
			in.Vars.set(in.FlowID, name, have-value)
		case ">":
			return have > value
		case "<":
			return have < value
		case ">=":
			return have >= value
		case "<=":
			return have <= value
		case "==":
			return have == value
		case "!=":
			return have != value
		}
		return true
	}
	if i.Reads() {
		r.conditions = append(r.conditions, do)
	} else {
		r.effects = append(r.effects, func(in *Input) { do(in, nil) })
	}
}

// Unless rules run as written, those that set something come before those that
// ask for it, as Suricata orders them within an action.
const (
	orderFlowBits = iota
	orderFlowInt
	orderFlowVar
	orderPacketVar
	orderHostBits
	orderPairBits
	numOrders
)

const (
	orderUnused = iota
	orderReads
	orderBoth
	orderSets
)

func (r *Rule) order(what int, reads bool) {
	kind := uint8(orderSets)
	if reads {
		kind = orderReads
	}
	if was := r.orders[what]; was != orderUnused && was != kind {
		kind = orderBoth
	}
	r.orders[what] = kind
}

// phase is when Suricata looks at a rule within a packet, and so what another
// rule's flowbits can already be seen by it.
func (r *Rule) phase() int {
	switch r.Kind {
	case KindIPOnly:
		return 0
	case KindAppTx:
		return 2
	}
	return 1
}

// remember judges the conditions of the rules that were hit, lets the others
// take effect, and forgets the hits of the former. What a rule captures it does not see itself, but those after it do.
func (p *RuleSet) remember(in *Input, res *Result) {
	slices.SortFunc(res.hits, func(a, b Hit) int {
		if d := p.rules[a.Rule].phase() - p.rules[b.Rule].phase(); d != 0 {
			return d
		}
		return int(a.Rule) - int(b.Rule)
	})
	kept := res.hits[:0]
	last, holds := int64(-1), false
	for _, h := range res.hits {
		if int64(h.Rule) != last {
			last = int64(h.Rule)
			r := &p.rules[h.Rule]
			holds = true
			for _, c := range r.conditions {
				holds = holds && c(in, res)
			}
			if holds {
				for _, e := range r.effects {
					e(in)
				}
			}
		}
		if holds {
			res.capture(in, &h)
			kept = append(kept, h)
		}
	}
	res.hits = kept
}
