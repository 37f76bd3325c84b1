// Package stateless judges each packet alone, before any flow is looked up: the
// first engine of a firewall policy. Rules are tried in order of priority and
// the first match ends the search; nothing is logged, custom actions count.
//
// Rules are found by tuple-space search: all rules whose source and destination
// prefixes have the same two lengths share one hash table, so the cost of a
// packet grows with the number of different length pairs and not with the
// number of rules.
package stateless

import (
	"net/netip"
	"slices"

	"github.com/sluicefw/sluice/engine/packet"
)

// Action is what becomes of a packet.
type Action uint8

const (
	Drop    Action = iota // the zero value, so that nothing passes by omission
	Pass                  // no further inspection
	Forward               // to the stateful engine
)

// PortRange is inclusive.
type PortRange struct{ From, To uint16 }

// FlagMatch compares TCP flags under a mask.
type FlagMatch struct{ Flags, Mask uint8 }

// Decision is an action with the custom actions that count beside it.
type Decision struct {
	Action Action
	Custom []uint16 // indices of the policy's custom actions; shared, not to be changed
}

// Rule is one stateless rule; an empty list matches everything.
type Rule struct {
	Src, Dst []netip.Prefix
	SrcPorts []PortRange
	DstPorts []PortRange
	Protos   []uint8
	Flags    []FlagMatch
	Decision Decision
}

// Table is an immutable, compiled set of stateless rules.
type Table struct {
	rules    []compiled
	tuples   []tuple // ordered by first
	deflt    Decision
	fragment Decision
}

type compiled struct {
	srcPorts, dstPorts []PortRange
	protos             [4]uint64 // all bits set when any protocol matches
	flags              []FlagMatch
	decision           Decision
}

type tuple struct {
	src, dst mask
	first    uint32 // lowest rule in this tuple: a match before it makes the tuple moot
	rules    map[addrPair][]uint32
}

type addrPair struct{ src, dst packet.Addr }

// mask is a prefix length over the 16-byte address form; none matches both families.
type mask struct {
	none bool
	v4   bool
	bits int
}

// New compiles rules, which are in order of priority. deflt applies to what no
// rule matches, fragment to UDP fragments that no rule matches. As on AWS,
// fragments of other protocols that no rule matches are dropped.
func New(rules []Rule, deflt, fragment Decision) *Table {
	t := &Table{deflt: deflt, fragment: fragment}
	index := map[[2]mask]int{}
	for i, r := range rules {
		c := compiled{srcPorts: r.SrcPorts, dstPorts: r.DstPorts, flags: r.Flags, decision: r.Decision}
		if len(r.Protos) == 0 {
			c.protos = [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
		}
		for _, p := range r.Protos {
			c.protos[p>>6] |= 1 << (p & 63)
		}
		t.rules = append(t.rules, c)
		for _, src := range orAny(r.Src) {
			for _, dst := range orAny(r.Dst) {
				srcMask, srcAddr := maskOf(src)
				dstMask, dstAddr := maskOf(dst)
				at, ok := index[[2]mask{srcMask, dstMask}]
				if !ok {
					at = len(t.tuples)
					index[[2]mask{srcMask, dstMask}] = at
					t.tuples = append(t.tuples, tuple{src: srcMask, dst: dstMask, first: uint32(i), rules: map[addrPair][]uint32{}})
				}
				pair := addrPair{srcAddr, dstAddr}
				t.tuples[at].rules[pair] = append(t.tuples[at].rules[pair], uint32(i))
			}
		}
	}
	slices.SortStableFunc(t.tuples, func(a, b tuple) int { return int(a.first) - int(b.first) })
	return t
}

func orAny(p []netip.Prefix) []netip.Prefix {
	if len(p) == 0 {
		return []netip.Prefix{{}}
	}
	return p
}

func maskOf(p netip.Prefix) (mask, packet.Addr) {
	if !p.IsValid() {
		return mask{none: true}, packet.Addr{}
	}
	m := mask{v4: p.Addr().Is4(), bits: p.Bits()}
	if m.v4 {
		m.bits += 96
	}
	return m, m.apply(packet.AddrFrom(p.Addr()))
}

func (m mask) apply(a packet.Addr) packet.Addr {
	if m.none {
		return packet.Addr{}
	}
	whole := m.bits / 8
	if whole < len(a) {
		a[whole] &= ^byte(0) << (8 - m.bits%8)
		clear(a[whole+1:])
	}
	return a
}

func (m mask) family(p *packet.Packet) bool { return m.none || m.v4 == (p.IPVersion == 4) }

// Match judges a valid IP packet.
func (t *Table) Match(p *packet.Packet) Decision {
	best := uint32(len(t.rules))
	for i := range t.tuples {
		u := &t.tuples[i]
		if u.first >= best {
			break
		}
		if !u.src.family(p) || !u.dst.family(p) {
			continue
		}
		for _, r := range u.rules[addrPair{u.src.apply(p.Src), u.dst.apply(p.Dst)}] {
			if r >= best {
				break
			}
			if t.rules[r].match(p) {
				best = r
				break
			}
		}
	}
	if best < uint32(len(t.rules)) {
		return t.rules[best].decision
	}
	if !p.Fragment {
		return t.deflt
	}
	if p.Proto == packet.ProtoUDP {
		return t.fragment
	}
	return Decision{Action: Drop}
}

// match compares everything but the addresses. Ports and flags match only
// packets that carry them, so later fragments match rules without them.
func (c *compiled) match(p *packet.Packet) bool {
	if c.protos[p.Proto>>6]&(1<<(p.Proto&63)) == 0 {
		return false
	}
	if len(c.srcPorts) > 0 && !hasPort(c.srcPorts, p, p.SrcPort) || len(c.dstPorts) > 0 && !hasPort(c.dstPorts, p, p.DstPort) {
		return false
	}
	if len(c.flags) == 0 {
		return true
	}
	if p.Proto != packet.ProtoTCP || p.L4 == nil {
		return false
	}
	for _, f := range c.flags {
		if p.TCP.Flags&f.Mask == f.Flags {
			return true
		}
	}
	return false
}

func hasPort(ranges []PortRange, p *packet.Packet, port uint16) bool {
	if p.L4 == nil || p.Proto != packet.ProtoTCP && p.Proto != packet.ProtoUDP {
		return false
	}
	for _, r := range ranges {
		if r.From <= port && port <= r.To {
			return true
		}
	}
	return false
}
