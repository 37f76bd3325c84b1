package detect

import (
	"math/bits"

	"github.com/sluicefw/sluice/engine/packet"
)

// headerIndex finds the rules of a list that a packet's addresses and ports may match, so that
// thousands of rules about single hosts cost what ten do. A rule is filed under the narrowest
// thing that it asks for: few networks on one of its sides, or few destination ports.
type headerIndex struct {
	always   []uint32
	src, dst addrIndex
	dstPort  map[uint16][]uint32
}

const (
	// maxFiled is under how many networks or ports a rule is filed. One that names more
	// of them is likely to match anyway.
	maxFiled = 64

	// wideNetwork is how many bits a prefix must have, of 32 for IPv4, to say much.
	wideNetwork = 8
)

// addrIndex lists rules by networks: one table for each length of a prefix.
type addrIndex []prefixTable

type prefixTable struct {
	bits  int // of the 16-byte form of addresses
	rules map[packet.Addr][]uint32
}

// add files rule i.
func (h *headerIndex) add(i uint32, r *Rule) {
	src, srcOK := r.src.prefixes()
	dst, dstOK := r.dst.prefixes()
	switch {
	case dstOK && (!srcOK || widest(dst) >= widest(src)):
		h.dst.add(i, dst)
	case srcOK:
		h.src.add(i, src)
	default:
		ports, ok := r.dstPort.few()
		if !ok {
			h.always = append(h.always, i)
			return
		}
		if h.dstPort == nil {
			h.dstPort = map[uint16][]uint32{}
		}
		for _, p := range ports {
			h.dstPort[p] = append(h.dstPort[p], i)
		}
	}
}

// widest returns the shortest prefix of networks, in bits.
func widest(networks []network) int {
	least := 128
	for _, n := range networks {
		least = min(least, n.bits)
	}
	return least
}

// visit calls yield for each rule that p may match.
func (h *headerIndex) visit(p *packet.Packet, yield func(uint32)) {
	for _, i := range h.always {
		yield(i)
	}
	h.dst.visit(&p.Dst, yield)
	h.src.visit(&p.Src, yield)
	for _, i := range h.dstPort[p.DstPort] {
		yield(i)
	}
}

func (x *addrIndex) add(i uint32, networks []network) {
	for _, n := range networks {
		t := x.table(n.bits)
		t.rules[n.addr] = append(t.rules[n.addr], i)
	}
}

func (x *addrIndex) table(bits int) *prefixTable {
	for i := range *x {
		if (*x)[i].bits == bits {
			return &(*x)[i]
		}
	}
	*x = append(*x, prefixTable{bits, map[packet.Addr][]uint32{}})
	return &(*x)[len(*x)-1]
}

func (x addrIndex) visit(a *packet.Addr, yield func(uint32)) {
	for i := range x {
		for _, r := range x[i].rules[masked(*a, x[i].bits)] {
			yield(r)
		}
	}
}

// masked clears all but the first n bits of a.
func masked(a packet.Addr, n int) packet.Addr {
	if whole := n / 8; whole < len(a) {
		a[whole] &= ^(byte(0xff) >> (n % 8))
		clear(a[whole+1:])
	}
	return a
}

// network is a prefix of addresses in their 16-byte form.
type network struct {
	addr packet.Addr
	bits int
}

// prefixes returns the networks that make up the set. ok is false where they are too many or too
// wide to be of use; a nil set is every address.
func (s *addrSet) prefixes() (networks []network, ok bool) {
	if s == nil {
		return nil, false
	}
	for _, r := range s.v4 {
		for from, to := uint64(r.from), uint64(r.to); from <= to; {
			size := min(bits.TrailingZeros64(from|1<<32), bits.Len64(to-from+1)-1)
			if 32-size < wideNetwork || len(networks) == maxFiled {
				return nil, false
			}
			networks = append(networks, network{packet.Addr{10: 0xff, 11: 0xff, 12: byte(from >> 24), 13: byte(from >> 16), 14: byte(from >> 8), 15: byte(from)}, 128 - size})
			from += 1 << size
		}
	}
	for _, r := range s.v6 {
		for from := r.from; ; {
			size := from.block(r.to)
			if 128-size < wideNetwork || len(networks) == maxFiled {
				return nil, false
			}
			networks = append(networks, network{from.addr(), 128 - size})
			next, wrapped := from.add(size)
			if wrapped || next.cmp(r.to) > 0 {
				break
			}
			from = next
		}
	}
	return networks, true
}

// block returns the size, as a power of two, of the largest network that begins at a and does not
// go beyond to.
func (a addr6) block(to addr6) int {
	align := 64 + bits.TrailingZeros64(a.hi)
	if a.lo != 0 {
		align = bits.TrailingZeros64(a.lo)
	}
	lo, borrow := bits.Sub64(to.lo, a.lo, 0)
	hi, _ := bits.Sub64(to.hi, a.hi, borrow)
	// hi:lo is one less than the number of addresses.
	lo, carry := bits.Add64(lo, 1, 0)
	hi, over := bits.Add64(hi, 0, carry)
	switch {
	case over != 0:
		return 128
	case hi != 0:
		return min(align, 64+bits.Len64(hi)-1)
	}
	return min(align, bits.Len64(lo)-1)
}

// add returns the address 2^size beyond a.
func (a addr6) add(size int) (sum addr6, wrapped bool) {
	if size >= 64 {
		hi, carry := bits.Add64(a.hi, 1<<(size-64), 0)
		return addr6{hi, a.lo}, carry != 0 || size >= 128
	}
	lo, carry := bits.Add64(a.lo, 1<<size, 0)
	hi, over := bits.Add64(a.hi, 0, carry)
	return addr6{hi, lo}, over != 0
}

func (a addr6) addr() (out packet.Addr) {
	for i := range 8 {
		out[i], out[8+i] = byte(a.hi>>(56-8*i)), byte(a.lo>>(56-8*i))
	}
	return out
}

// few returns the ports of the set, if it names some, and not too many.
func (s portSet) few() (ports []uint16, ok bool) {
	for _, r := range s {
		if int(r.To)-int(r.From)+1+len(ports) > maxFiled {
			return nil, false
		}
		for p := int(r.From); p <= int(r.To); p++ {
			ports = append(ports, uint16(p))
		}
	}
	return ports, len(ports) > 0
}
