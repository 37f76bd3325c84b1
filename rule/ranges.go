package rule

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
)

// Range is every value from From to To, both included.
type Range[T any] struct{ From, To T }

// AddrRange is a range of addresses of one family.
type AddrRange = Range[netip.Addr]

// PortRange is a range of ports.
type PortRange = Range[uint16]

// AddrSet is a set of addresses: sorted, disjoint, non-adjacent ranges of each
// family. An IPv4-mapped IPv6 address belongs to V6.
type AddrSet struct{ V4, V6 []AddrRange }

// Contains reports whether the address is in the set.
func (s AddrSet) Contains(a netip.Addr) bool {
	ranges := s.V6
	if a.Is4() {
		ranges = s.V4
	}
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].To.Compare(a) >= 0 })
	return i < len(ranges) && ranges[i].From.Compare(a) <= 0
}

var (
	wholeV4    = AddrRange{netip.AddrFrom4([4]byte{}), netip.AddrFrom4([4]byte{255, 255, 255, 255})}
	wholeV6    = AddrRange{netip.IPv6Unspecified(), lastAddr(netip.PrefixFrom(netip.IPv6Unspecified(), 0))}
	wholePorts = PortRange{0, 65535}
)

// line is what range arithmetic needs to know of a totally ordered type with
// a first and a last value. next and prev are only called where there is one.
type line[T any] struct {
	cmp        func(a, b T) int
	next, prev func(T) T
}

var (
	addrLine = line[netip.Addr]{netip.Addr.Compare, netip.Addr.Next, netip.Addr.Prev}
	portLine = line[uint16]{cmp.Compare[uint16], func(p uint16) uint16 { return p + 1 }, func(p uint16) uint16 { return p - 1 }}
)

// normalize sorts ranges in place and merges those that overlap or touch.
func (l line[T]) normalize(ranges []Range[T]) []Range[T] {
	slices.SortFunc(ranges, func(a, b Range[T]) int { return l.cmp(a.From, b.From) })
	out := ranges[:0]
	for _, r := range ranges {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if l.cmp(r.From, last.To) <= 0 || l.cmp(l.prev(r.From), last.To) == 0 {
				if l.cmp(r.To, last.To) > 0 {
					last.To = r.To
				}
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// subtract returns what is in from and not in less; both are normalized, and
// so is the result.
func (l line[T]) subtract(from, less []Range[T]) []Range[T] {
	var out []Range[T]
	i := 0
	for _, r := range from {
		for i < len(less) && l.cmp(less[i].To, r.From) < 0 {
			i++
		}
		gone := false
		for j := i; j < len(less) && l.cmp(less[j].From, r.To) <= 0; j++ {
			if l.cmp(less[j].From, r.From) > 0 {
				out = append(out, Range[T]{r.From, l.prev(less[j].From)})
			}
			if l.cmp(less[j].To, r.To) >= 0 {
				gone = true
				break
			}
			r.From = l.next(less[j].To)
			i = j + 1
		}
		if !gone {
			out = append(out, r)
		}
	}
	return out
}

// signed collects the positive and the negative ranges of one family.
type signed[T any] struct{ pos, neg []Range[T] }

func (s *signed[T]) add(negated bool, ranges ...Range[T]) {
	if negated {
		s.neg = append(s.neg, ranges...)
	} else {
		s.pos = append(s.pos, ranges...)
	}
}

func (s *signed[T]) join(o signed[T]) {
	s.pos = append(s.pos, o.pos...)
	s.neg = append(s.neg, o.neg...)
}

// result is the positive ranges less the negative ones; where there are only
// negative ones, the whole less those.
func (s signed[T]) result(l line[T], whole Range[T]) []Range[T] {
	pos := s.pos
	if len(pos) == 0 && len(s.neg) > 0 {
		pos = []Range[T]{whole}
	}
	return l.subtract(l.normalize(slices.Clone(pos)), l.normalize(slices.Clone(s.neg)))
}

// tidy merges what overlaps, so that variables that use each other many times
// over stay small.
func (s signed[T]) tidy(l line[T]) signed[T] {
	return signed[T]{l.normalize(s.pos), l.normalize(s.neg)}
}

// lastAddr returns the last address of a masked prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		switch host := (i+1)*8 - p.Bits(); {
		case host >= 8:
			b[i] = 0xff
		case host > 0:
			b[i] |= 1<<host - 1
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
