package detect

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// addrSet is a set of addresses as sorted, disjoint, inclusive ranges.
type addrSet struct {
	v4 []range4
	v6 []range6
}

type range4 struct{ from, to uint32 }

type range6 struct{ from, to addr6 }

type addr6 struct{ hi, lo uint64 }

func (a addr6) cmp(b addr6) int {
	if c := cmp.Compare(a.hi, b.hi); c != 0 {
		return c
	}
	return cmp.Compare(a.lo, b.lo)
}

func newAddrSet(s rule.AddrSet) *addrSet {
	out := &addrSet{}
	for _, r := range s.V4 {
		out.v4 = append(out.v4, range4{from4(r.From), from4(r.To)})
	}
	for _, r := range s.V6 {
		out.v6 = append(out.v6, range6{from6(r.From), from6(r.To)})
	}
	return out
}

func from4(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }

func from6(a netip.Addr) addr6 {
	b := a.As16()
	return addr6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (s *addrSet) has(a *packet.Addr) bool {
	if s == nil {
		return true
	}
	x := addr6{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
	if x.hi == 0 && x.lo>>32 == 0xffff {
		ip := uint32(x.lo)
		i, found := slices.BinarySearchFunc(s.v4, ip, func(r range4, ip uint32) int { return cmp.Compare(r.from, ip) })
		return found || i > 0 && ip <= s.v4[i-1].to
	}
	i, found := slices.BinarySearchFunc(s.v6, x, func(r range6, x addr6) int { return r.from.cmp(x) })
	return found || i > 0 && x.cmp(s.v6[i-1].to) <= 0
}

// portSet is a set of ports as sorted, disjoint, inclusive ranges; nil is every port.
type portSet []rule.PortRange

func (s portSet) has(port uint16) bool {
	for _, r := range s {
		if port <= r.To {
			return port >= r.From
		}
	}
	return false
}
