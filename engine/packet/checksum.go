package packet

import (
	"encoding/binary"
	"math/bits"
)

// onesSum adds the bytes of b, as 16-bit words padded with a zero byte, to the
// partial sum acc in ones' complement (RFC 1071). The sum does not depend on the
// order of bytes (section 2, B), so it takes eight at a time as they lie in
// memory; fold puts the result right. A partial sum ends at an even offset.
func onesSum(acc uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b[24:]), carry)
		acc = addCarry(acc, carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.LittleEndian.Uint64(b), 0)
		acc = addCarry(acc, carry)
		b = b[8:]
	}
	var tail uint64 // at most 3 words, which cannot overflow
	if len(b) >= 4 {
		tail = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		tail += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		tail += uint64(b[0])
	}
	acc, carry = bits.Add64(acc, tail, 0)
	return addCarry(acc, carry)
}

// addCarry brings the carry of a chain of additions around to the low end, and
// the one that this may cause.
func addCarry(acc, carry uint64) uint64 {
	acc, carry = bits.Add64(acc, carry, 0)
	return acc + carry
}

// fold reduces a partial sum to 16 bits in network order.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	acc = acc>>16 + acc&0xffff
	return bits.ReverseBytes16(uint16(acc))
}

// checksum is what goes into a header's checksum field, which must be 0 in b.
// Over bytes whose field is already filled in it is 0 exactly when it is right.
func checksum(acc uint64, b []byte) uint16 { return ^fold(onesSum(acc, b)) }

// transportSum is the checksum of a TCP segment, UDP datagram or ICMPv6 message
// over its pseudo-header and bytes: what goes into a checksum field that is 0 in
// l4, and 0 exactly when a field that is filled in is right. The pseudo-header's
// shapes for IPv4 (RFC 9293, 3.1) and IPv6 (RFC 8200, 8.1) give the same sum:
//
//	| source address | destination address | upper-layer length | 0 0 0 | next header |
func transportSum(version uint8, src, dst Addr, proto uint8, l4 []byte) uint16 {
	s, d := src[:], dst[:]
	if version == 4 {
		s, d = src[12:], dst[12:]
	}
	var tail [8]byte
	binary.BigEndian.PutUint32(tail[:], uint32(len(l4)))
	tail[7] = proto
	return checksum(onesSum(onesSum(onesSum(0, s), d), tail[:]), l4)
}

// FixChecksum sets the checksum of TCP, UDP, ICMP or ICMPv6 whose bytes were changed; other protocols are left as
// they are, and so is UDP over IPv4 that has none. The datagram must be whole.
func (p *Packet) FixChecksum() {
	b, at := p.L4, 16
	switch p.Proto {
	case ProtoTCP:
	case ProtoUDP:
		if at = 6; p.IPVersion == 4 && b[6]|b[7] == 0 {
			return
		}
		b = b[:min(len(p.Payload)+8, len(b))]
	case ProtoICMP, ProtoICMPv6:
		at = 2
	default:
		return
	}
	b[at], b[at+1] = 0, 0
	sum := uint16(0)
	if p.Proto == ProtoICMP {
		sum = checksum(0, b)
	} else {
		sum = transportSum(p.IPVersion, p.Src, p.Dst, p.Proto, b)
	}
	if sum == 0 && p.Proto == ProtoUDP { // RFC 768: 0 stands for none
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], sum)
}

// HeaderSum says whether the header of an IPv4 packet has the right checksum, which it has where
// checksums are Unfilled.
func (p *Packet) HeaderSum() bool {
	if p.opt.Unfilled {
		return true
	}
	n := min(int(p.Net[0]&15)*4, len(p.Net))
	return checksum(0, p.Net[:n]) == 0
}

// TransportSum says whether TCP, UDP, ICMP or ICMPv6 has the right checksum, as HeaderSum does; UDP
// over IPv4 need not have one. L4 must not be nil.
func (p *Packet) TransportSum() bool {
	if p.opt.Unfilled {
		return true
	}
	b := p.L4
	switch p.Proto {
	case ProtoUDP:
		if len(b) < 8 || p.IPVersion == 4 && b[6]|b[7] == 0 {
			return true
		}
		b = b[:min(len(p.Payload)+8, len(b))]
	case ProtoICMP:
		return checksum(0, b) == 0
	}
	return transportSum(p.IPVersion, p.Src, p.Dst, p.Proto, b) == 0
}
