package flow

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
)

// Filter chooses flows by their own direction: Src is the side that sent the
// first packet. All of its parts must match; the zero value matches every flow.
type Filter struct {
	src, dst         prefix
	srcPort, dstPort portRange
	protos           [4]uint64 // bit set of protocol numbers, unless anyProto
	someProto        bool
}

// prefix is an address prefix as masks over the 16-byte form. family keeps
// IPv4 apart from IPv6 prefixes shorter than /96, which contain the mapped form.
type prefix struct {
	hi, lo, maskHi, maskLo uint64
	family                 uint8 // 0 matches both, 4, 6
}

type portRange struct {
	from, to uint16
	some     bool // false matches every flow, also of protocols without ports
}

// NewFilter builds a filter. An empty src or dst, and an empty or "ANY" port,
// matches everything; an address may be bare or a CIDR, a port may be a range
// "from:to"; protocols are IANA numbers, none for all. Errors name the member
// as the AWS API calls it.
func NewFilter(src, dst, srcPort, dstPort string, protos []string) (Filter, error) {
	var f Filter
	var err error
	if f.src, err = parsePrefix("SourceAddress", src); err != nil {
		return Filter{}, err
	}
	if f.dst, err = parsePrefix("DestinationAddress", dst); err != nil {
		return Filter{}, err
	}
	if f.srcPort, err = parsePorts("SourcePort", srcPort); err != nil {
		return Filter{}, err
	}
	if f.dstPort, err = parsePorts("DestinationPort", dstPort); err != nil {
		return Filter{}, err
	}
	for _, p := range protos {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return Filter{}, fmt.Errorf("Protocols: %q is not an IANA protocol number from 0 to 255", p)
		}
		f.protos[n>>6] |= 1 << (n & 63)
		f.someProto = true
	}
	return f, nil
}

func parsePrefix(member, s string) (prefix, error) {
	if s == "" {
		return prefix{}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, aerr := netip.ParseAddr(s)
		if aerr != nil || a.Zone() != "" {
			return prefix{}, fmt.Errorf("%s: %q is neither an IP address nor a CIDR", member, s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	bits := p.Bits()
	out := prefix{family: 6}
	if p.Addr().Is4() {
		bits += 96
		out.family = 4
	} else if p.Addr().Is4In6() && bits >= 96 {
		out.family = 4
	}
	a := p.Addr().As16()
	out.maskHi, out.maskLo = maskOf(bits)
	out.hi = binary.BigEndian.Uint64(a[:8]) & out.maskHi
	out.lo = binary.BigEndian.Uint64(a[8:]) & out.maskLo
	return out, nil
}

func maskOf(bits int) (hi, lo uint64) {
	if bits <= 64 {
		return ^uint64(0) << (64 - bits), 0
	}
	return ^uint64(0), ^uint64(0) << (128 - bits)
}

func parsePorts(member, s string) (portRange, error) {
	if s == "" || strings.EqualFold(s, "any") {
		return portRange{}, nil
	}
	from, to, isRange := strings.Cut(s, ":")
	if !isRange {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || a > b {
		return portRange{}, fmt.Errorf("%s: %q is not a port (443), a range (1000:2000) or ANY", member, s)
	}
	return portRange{from: uint16(a), to: uint16(b), some: true}, nil
}

// Match reports whether the flow of this key is chosen.
func (f *Filter) Match(k *Key) bool {
	if f.someProto && f.protos[k.Proto>>6]&(1<<(k.Proto&63)) == 0 {
		return false
	}
	return f.src.match(&k.Src) && f.dst.match(&k.Dst) &&
		f.srcPort.match(k.Proto, k.SrcPort) && f.dstPort.match(k.Proto, k.DstPort)
}

func (p *prefix) match(a *packet.Addr) bool {
	if p.family == 0 {
		return true
	}
	hi, lo := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	if is4 := hi == 0 && lo>>32 == 0xffff; is4 != (p.family == 4) {
		return false
	}
	return hi&p.maskHi == p.hi && lo&p.maskLo == p.lo
}

func (r *portRange) match(proto uint8, port uint16) bool {
	return !r.some || HasPorts(proto) && r.from <= port && port <= r.to
}
