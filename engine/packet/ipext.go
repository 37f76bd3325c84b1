package packet

import "encoding/binary"

// What can follow an IPv6 header beside transport protocols (IANA).
const (
	extHopByHop    = 0
	protoIPIP      = 4
	extRouting     = 43
	extFragment    = 44
	extAuth        = 51
	extNone        = 59
	extDestination = 60
	extMobility    = 135
	extHIP         = 139
	extShim6       = 140
)

// isExtHeader says whether more headers can follow one of this kind.
func isExtHeader(kind uint8) bool {
	switch kind {
	case extHopByHop, extRouting, extFragment, extAuth, extDestination, extMobility, extHIP, extShim6:
		return true
	}
	return false
}

// decodeNextHeaders walks the extension headers in b, the first of which is of
// kind next, and decodes what follows them. All but two kinds share the first two
// bytes (RFC 8200, 4.2):
//
//	options, routing  | next header | length-1 in 8s | ... | (routing:) type at 2, segments left at 3 |
//	fragment          | next header | reserved | offset 13 | 0 0 M | identification 32     |
//	authentication    | next header | length-2 in 4s | reserved 16 | ...        (RFC 4302) |
//
// ESP hides what follows it and ends the chain as a protocol of its own. Where a chain
// ends without a protocol, Proto is that of the last header that Suricata takes for one.
func (p *Packet) decodeNextHeaders(next uint8, b []byte) {
	var seen uint64   // kinds, as bits
	destinations := 0 // of which two may be there: one is for the routers on the way
	for first := true; ; first = false {
		if len(b) < 2 && next != extNone && (!first || isExtHeader(next) || next == ProtoESP) {
			p.bad(EventIPv6TruncatedExtHeader)
			return
		}
		size := 8
		switch next {
		case ProtoTCP, ProtoUDP, ProtoICMPv6, ProtoSCTP, ProtoESP:
			p.Proto = next
			p.decodeTransport(b)
			return
		case ProtoICMP:
			p.note(EventIPv6ICMPv4)
			return
		case extNone:
			if len(b) > 0 {
				p.note(EventIPv6DataAfterNoneHeader)
			}
			return
		case protoIPIP:
			p.Proto, p.L4 = next, b
			p.decodeInIPv6(b, 4, innerIPv4)
			return
		case extMobility, extHIP, extShim6:
			size = 8 + int(b[1])*8
		case extHopByHop, extDestination, extRouting:
			p.Proto = next
			size = 8 + int(b[1])*8
		case extAuth:
			p.Proto = next
			if size = 12; b[1] > 0 {
				size = 8 + int(b[1])*4
			}
		case extFragment:
			p.Proto = next
		default:
			p.Proto, p.L4 = next, b
			p.note(EventIPv6UnknownNextHeader)
			return
		}
		if len(b) < size {
			p.bad(EventIPv6TruncatedExtHeader)
			return
		}
		header, duplicate := b[:size], seen&(1<<(next&63)) != 0
		seen |= 1 << (next & 63)
		switch next {
		case extHopByHop:
			if duplicate {
				p.note(EventIPv6ExtHeaderDuplicateHH)
			} else {
				p.decodeIPv6Options(header[2:], EventIPv6HopoptsUnknownOption, EventIPv6HopoptsOnlyPadding)
			}
		case extDestination:
			if destinations++; destinations > 2 {
				p.note(EventIPv6ExtHeaderDuplicateDH)
			} else {
				p.decodeIPv6Options(header[2:], EventIPv6DstoptsUnknownOption, EventIPv6DstoptsOnlyPadding)
			}
		case extRouting:
			p.decodeRouting(header, duplicate)
		case extAuth:
			if header[2]|header[3] != 0 {
				p.note(EventIPv6ExtHeaderAHResNotNull)
			}
			if duplicate {
				p.note(EventIPv6ExtHeaderDuplicateAH)
			}
		case extFragment:
			if header[1] != 0 {
				p.note(EventIPv6FHNonZeroReservedField)
			}
			if duplicate {
				p.note(EventIPv6ExtHeaderDuplicateFH)
				break
			}
			if p.setFragment(header); !p.Fragment {
				p.note(EventIPv6ExtHeaderUselessFH)
				break
			}
			if p.MoreFrags && len(b)%8 != 0 {
				p.note(EventIPv6FragmentInvalidLength)
			}
			p.Proto = header[0]
			p.decodeFragment(b[size:])
			return
		}
		next, b = header[0], b[size:]
	}
}

// decodeRouting notes what is odd about a routing header.
func (p *Packet) decodeRouting(header []byte, duplicate bool) {
	p.routed = p.routed || header[3] != 0
	switch {
	case duplicate:
		p.note(EventIPv6ExtHeaderDuplicateRH)
	case header[2] == 0:
		p.note(EventIPv6RHType0)
	}
}

// setFragment sets the fragment fields from an IPv6 fragment header. One that
// holds a whole datagram ("atomic", RFC 6946) does not make a fragment.
func (p *Packet) setFragment(b []byte) {
	word := binary.BigEndian.Uint16(b[2:])
	p.FragOffset = word &^ 7
	p.MoreFrags = word&1 != 0
	p.Fragment = p.MoreFrags || p.FragOffset != 0
	p.IPID = binary.BigEndian.Uint32(b[4:])
}

// Options of IPv6 (IANA) with a length of their own.
const (
	ip6Pad1        = 0x00
	ip6PadN        = 0x01
	ip6RouterAlert = 0x05 // RFC 2711: 2 bytes
	ip6Jumbo       = 0xc2 // RFC 2675: 4 bytes
	ip6HomeAddress = 0xc9 // RFC 6275: an address
)

// decodeIPv6Options checks the options of a hop-by-hop or destination options header
// (RFC 8200, 4.2), each | type | length of value | value |; Pad1 is the type only.
func (p *Packet) decodeIPv6Options(b []byte, unknown, onlyPadding Event) {
	padding, others := false, false
	for len(b) > 0 {
		if b[0] == ip6Pad1 {
			padding, b = true, b[1:]
			continue
		}
		// Suricata lets a value end one byte late.
		if len(b) < 2 || 1+int(b[1]) > len(b) {
			p.bad(EventIPv6ExtHeaderInvalidOptlen)
			break
		}
		kind, size := b[0], int(b[1])
		least := 0
		switch kind {
		case ip6PadN:
			if padding = true; size == 0 {
				p.note(EventIPv6ZeroLenPadN)
			}
		case ip6RouterAlert:
			least = 2
		case ip6Jumbo:
			least = 4
		case ip6HomeAddress:
			least = 16
		default:
			p.note(unknown)
		}
		if size < least {
			p.bad(EventIPv6ExtHeaderInvalidOptlen)
			break
		}
		others = others || kind != ip6PadN && kind != ip6Jumbo
		b = b[min(2+size, len(b)):]
	}
	if padding && !others {
		p.note(onlyPadding)
	}
}

// quotedTransport skips the extension headers in b, the first of which is of kind
// next, and returns what is there of the transport header. ok is false if b ends before.
func (p *Packet) quotedTransport(next uint8, b []byte) (rest []byte, ok bool) {
	for {
		p.Proto = next
		size := 8
		switch next {
		case extHopByHop, extDestination, extRouting:
			if len(b) >= 2 {
				size = 8 + int(b[1])*8
			}
		case extAuth:
			if len(b) >= 2 {
				size = 8 + int(b[1])*4
			}
		case extFragment:
			if len(b) >= 8 {
				p.setFragment(b)
			}
		default:
			return b, true
		}
		if len(b) < size {
			return nil, false
		}
		next, b = b[0], b[size:]
		if p.FragOffset != 0 { // what follows is the middle of something
			p.Proto = next
			return nil, true
		}
	}
}
