package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrMatchesNothing is Resolve's error for an expression that holds no value.
var ErrMatchesNothing = errors.New("the expression matches nothing: what it negates covers all that it names; use any, or negate less")

// AddrsOf returns the expression for a set of prefixes: the value of a
// reference set. One for no prefix at all is something that no text can say:
// unlike terms that are not there, it does not make the rest of its list one of
// negative terms only, and its negation holds all addresses.
func AddrsOf(prefixes []netip.Prefix) Addrs {
	list := make([]Addr, len(prefixes))
	for i, p := range prefixes {
		p = p.Masked()
		list[i] = Addr{Prefix: p, From: p.Addr(), To: lastAddr(p)}
	}
	return Addrs{Terms: []Addr{{List: list}}}
}

// Resolve works out the addresses that the expression stands for. lookup finds
// variables by the names in Addr.Var; it may be nil where there are none.
//
// As in Suricata, a plain list or variable inside a list adds its positive and
// its negative terms to those around it, while a negated one is worked out
// first and then taken away as a whole. A family with negative terms only
// starts from all addresses of that family, and a family with no terms at all
// has none: !10.0.0.0/8 holds no IPv6 address.
//
// Variables that are unknown or use themselves are errors, and so is, with
// ErrMatchesNothing, an expression that matches nothing.
func (a Addrs) Resolve(lookup func(name string) (Addrs, bool)) (AddrSet, error) {
	r := addrResolver{vars: newVariables[Addrs, addrRanges](lookup, func(a Addrs) bool { return !a.Any && len(a.Terms) == 0 })}
	ranges, err := r.expression(a)
	if err != nil {
		return AddrSet{}, err
	}
	set := ranges.set()
	if len(set.V4) == 0 && len(set.V6) == 0 {
		return AddrSet{}, ErrMatchesNothing
	}
	return set, nil
}

// Resolve works out the ports that the expression stands for, sorted and
// disjoint, under the same rules as Addrs.Resolve.
func (p Ports) Resolve(lookup func(name string) (Ports, bool)) ([]PortRange, error) {
	r := portResolver{vars: newVariables[Ports, signed[uint16]](lookup, func(p Ports) bool { return !p.Any && len(p.Terms) == 0 })}
	ranges, err := r.expression(p)
	if err != nil {
		return nil, err
	}
	set := ranges.result(portLine, wholePorts)
	if len(set) == 0 {
		return nil, ErrMatchesNothing
	}
	return set, nil
}

// variables looks up variables of expression type E and remembers the ranges R
// that each came to, so that every one is worked out once.
type variables[E, R any] struct {
	lookup func(string) (E, bool)
	empty  func(E) bool
	done   map[string]R
	open   map[string]bool // being worked out: meeting one again is a cycle
}

func newVariables[E, R any](lookup func(string) (E, bool), empty func(E) bool) *variables[E, R] {
	return &variables[E, R]{lookup, empty, map[string]R{}, map[string]bool{}}
}

func (v *variables[E, R]) resolve(name string, expression func(E) (R, error)) (R, error) {
	var none R
	if r, ok := v.done[name]; ok {
		return r, nil
	}
	if v.open[name] {
		return none, fmt.Errorf("variable %s is defined by itself; remove the circle", varText(name))
	}
	var value E
	ok := v.lookup != nil
	if ok {
		value, ok = v.lookup(name)
	}
	if !ok {
		return none, fmt.Errorf("variable %s is not defined; define it or correct its name", varText(name))
	}
	if v.empty(value) {
		return none, fmt.Errorf("variable %s is empty; give it a value", varText(name))
	}
	v.open[name] = true
	r, err := expression(value)
	delete(v.open, name)
	if err == nil {
		v.done[name] = r
	}
	return r, err
}

// addrRanges keeps the families apart. A set without addresses belongs to
// neither: none says that one is added, notNone that one is taken away.
type addrRanges struct {
	v4, v6        signed[netip.Addr]
	none, notNone bool
}

type addrResolver struct{ vars *variables[Addrs, addrRanges] }

type portResolver struct {
	vars *variables[Ports, signed[uint16]]
}

func (r addrRanges) set() AddrSet {
	switch {
	case r.none: // no family starts from all addresses
		if len(r.v4.pos) == 0 {
			r.v4.neg = nil
		}
		if len(r.v6.pos) == 0 {
			r.v6.neg = nil
		}
	case r.notNone && len(r.v4.pos) == 0 && len(r.v6.pos) == 0: // both do
		r.v4.add(false, wholeV4)
		r.v6.add(false, wholeV6)
	}
	return AddrSet{V4: r.v4.result(addrLine, wholeV4), V6: r.v6.result(addrLine, wholeV6)}
}

func (r *addrResolver) expression(a Addrs) (addrRanges, error) {
	if a.Any {
		return r.terms([]Addr{{Any: true}})
	}
	return r.terms(a.Terms)
}

func (r *addrResolver) terms(terms []Addr) (addrRanges, error) {
	var out addrRanges
	for _, t := range terms {
		var inner addrRanges
		var err error
		switch {
		case t.Any:
			out.v4.add(t.Negated, wholeV4)
			out.v6.add(t.Negated, wholeV6)
			continue
		case t.Var != "":
			inner, err = r.vars.resolve(t.Var, r.expression)
		case t.List != nil && len(t.List) == 0:
			inner.none = true
		case t.List != nil:
			inner, err = r.terms(t.List)
		case t.From.Is4():
			out.v4.add(t.Negated, AddrRange{t.From, t.To})
			continue
		default:
			out.v6.add(t.Negated, AddrRange{t.From, t.To})
			continue
		}
		if err != nil {
			return out, err
		}
		if t.Negated {
			set := inner.set()
			out.v4.add(true, set.V4...)
			out.v6.add(true, set.V6...)
			out.notNone = out.notNone || inner.none
		} else {
			out.none = out.none || inner.none
			out.notNone = out.notNone || inner.notNone
			out.v4.join(inner.v4)
			out.v6.join(inner.v6)
		}
	}
	out.v4, out.v6 = out.v4.tidy(addrLine), out.v6.tidy(addrLine)
	return out, nil
}

func (r *portResolver) expression(p Ports) (signed[uint16], error) {
	if p.Any {
		return r.terms([]Port{{Any: true}})
	}
	return r.terms(p.Terms)
}

func (r *portResolver) terms(terms []Port) (signed[uint16], error) {
	var out signed[uint16]
	for _, t := range terms {
		var inner signed[uint16]
		var err error
		switch {
		case t.Any:
			out.add(t.Negated, wholePorts)
			continue
		case t.Var != "":
			inner, err = r.vars.resolve(t.Var, r.expression)
		case t.List != nil:
			inner, err = r.terms(t.List)
		default:
			out.add(t.Negated, PortRange{t.From, t.To})
			continue
		}
		if err != nil {
			return out, err
		}
		if t.Negated {
			out.add(true, inner.result(portLine, wholePorts)...)
		} else {
			out.join(inner)
		}
	}
	return out.tidy(portLine), nil
}

// Negated reports whether a negation stands anywhere in the expression, or in
// a variable that it uses. lookup may be nil: then variables are not looked
// into, as is one that is not defined.
func (a Addrs) Negated(lookup func(name string) (Addrs, bool)) bool {
	seen := map[string]bool{}
	var negated func(terms []Addr) bool
	negated = func(terms []Addr) bool {
		for _, t := range terms {
			if t.Negated || negated(t.List) {
				return true
			}
			if t.Var == "" || lookup == nil || seen[t.Var] {
				continue
			}
			seen[t.Var] = true
			if value, ok := lookup(t.Var); ok && negated(value.Terms) {
				return true
			}
		}
		return false
	}
	return negated(a.Terms)
}

// varText spells a variable as rules do; the names of reference sets already
// have their @.
func varText(name string) string {
	if strings.HasPrefix(name, "@") {
		return name
	}
	return "$" + name
}
