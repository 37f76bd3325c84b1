package flow

import (
	"encoding/binary"
	"net/netip"

	"github.com/sluicefw/sluice/engine/packet"
)

// Filter chooses flows by their own direction: Src is the side that sent the
// first packet. All of its parts must match; the zero value matches every flow.
type Filter struct {
	src, dst         prefix
	srcPort, dstPort portRange
	protos           [4]uint64 // bit set of protocol numbers, if someProto
	someProto        bool
}

// PortRange is an inclusive range of ports. A filter with one chooses only flows
// of protocols that have ports.
type PortRange struct{ From, To uint16 }

// AnyPort matches every flow, also of protocols without ports.
var AnyPort = PortRange{0, 65535}

type portRange struct {
	PortRange
	some bool // false is AnyPort
}

// prefix is an address prefix as masks over the 16-byte form. family keeps
// IPv4 apart from IPv6 prefixes shorter than /96, which contain the mapped form.
type prefix struct {
	hi, lo, maskHi, maskLo uint64
	family                 uint8 // 0 matches both, 4, 6
}

// NewFilter builds a filter. The zero Prefix matches all addresses; protocols
// are IANA numbers, none for all.
func NewFilter(src, dst netip.Prefix, srcPorts, dstPorts PortRange, protocols []uint8) Filter {
	f := Filter{src: newPrefix(src), dst: newPrefix(dst), srcPort: portRange{srcPorts, srcPorts != AnyPort}, dstPort: portRange{dstPorts, dstPorts != AnyPort}, someProto: len(protocols) > 0}
	for _, p := range protocols {
		f.protos[p>>6] |= 1 << (p & 63)
	}
	return f
}

func newPrefix(p netip.Prefix) prefix {
	if !p.IsValid() {
		return prefix{}
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
	return out
}

func maskOf(bits int) (hi, lo uint64) {
	if bits <= 64 {
		return ^uint64(0) << (64 - bits), 0
	}
	return ^uint64(0), ^uint64(0) << (128 - bits)
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
	return !r.some || HasPorts(proto) && r.From <= port && port <= r.To
}
