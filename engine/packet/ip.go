package packet

import "encoding/binary"

// maxExtHeaders bounds the IPv6 extension headers of a packet. Each kind but
// destination options may stand once (RFC 8200, 4.1), so honest packets stay
// below it.
const maxExtHeaders = 8

// maxDatagram is the most that fragments may add up to, header excluded for
// IPv6: what a 16-bit length can say.
const maxDatagram = 65535

// IPv6 extension headers, and what ends their chain (IANA protocol numbers).
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extAuth        = 51
	extNone        = 59
	extDestination = 60
)

// decodeIPv4 decodes b, which starts with an IPv4 header (RFC 791, 3.1):
//
//	 0 |version|hdr len| type of svc   |         total length          |
//	 4 |        identification         |0 DF MF|   fragment offset     |
//	 8 | time to live  |   protocol    |        header checksum        |
//	12 |                        source address                         |
//	16 |                      destination address                      |
//	20 |                            options                            |
func (p *Packet) decodeIPv4(b []byte, opt Options) Invalid {
	p.IPVersion = 4
	if len(b) < 20 {
		return IPv4TooShort
	}
	if b[0]>>4 != 4 {
		return IPv4WrongVersion
	}
	p.setIPv4(b)
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || header > len(b) {
		return IPv4HeaderLength
	}
	if total < header {
		return IPv4TotalLength
	}
	if total > len(b) {
		return IPv4Truncated
	}
	b = b[:total:total] // the rest is padding of the link layer
	p.Net = b
	if opt.VerifyChecksums && checksum(0, b[:header]) != 0 {
		return IPv4Checksum
	}
	if int(p.FragOffset)+total > maxDatagram {
		return IPv4FragTooLong
	}
	return p.decodeTransport(b[header:], opt)
}

// setIPv4 sets the fields that the fixed 20 bytes of an IPv4 header give.
func (p *Packet) setIPv4(b []byte) {
	p.TOS = b[1]
	p.IPID = uint32(binary.BigEndian.Uint16(b[4:]))
	p.TTL = b[8]
	p.Proto = b[9]
	p.Src = addr4(b[12:16])
	p.Dst = addr4(b[16:20])
	word := binary.BigEndian.Uint16(b[6:])
	p.FragOffset = word & 0x1fff * 8
	p.MoreFrags = word&0x2000 != 0
	p.Fragment = p.MoreFrags || p.FragOffset != 0
}

// addr4 maps the 4 bytes of an IPv4 address into an Addr.
func addr4(b []byte) Addr {
	return Addr{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
}

// decodeIPv6 decodes b, which starts with an IPv6 header (RFC 8200, 3):
//
//	 0 |version| traffic class |              flow label               |
//	 4 |        payload length         |  next header  |   hop limit   |
//	 8 |                  source address (16 bytes)                    |
//	24 |                destination address (16 bytes)                 |
//
// Jumbograms (RFC 2675) are not supported: their payload length of 0 leaves
// the hop-by-hop header cut.
func (p *Packet) decodeIPv6(b []byte, opt Options) Invalid {
	p.IPVersion = 6
	if len(b) < 40 {
		return IPv6TooShort
	}
	if b[0]>>4 != 6 {
		return IPv6WrongVersion
	}
	p.setIPv6(b)
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return IPv6Truncated
	}
	b = b[:total:total]
	p.Net = b
	rest, routed, invalid := p.skipExtHeaders(b[6], b[40:])
	if invalid != Valid {
		return invalid
	}
	if p.Fragment && int(p.FragOffset)+len(rest) > maxDatagram {
		return IPv6FragTooLong
	}
	if routed {
		// The pseudo-header holds the final destination, which only the
		// routing header's own type could tell (RFC 8200, 8.1).
		opt.VerifyChecksums = false
	}
	return p.decodeTransport(rest, opt)
}

// setIPv6 sets the fields that the 40 bytes of an IPv6 header give.
func (p *Packet) setIPv6(b []byte) {
	p.TOS = b[0]<<4 | b[1]>>4
	p.TTL = b[7]
	p.Src = Addr(b[8:24])
	p.Dst = Addr(b[24:40])
}

// skipExtHeaders walks the extension headers in b, the first of which is of
// kind next, sets Proto and the fragment fields, and returns what follows
// them. routed says that a routing header has segments left. All but two kinds
// share the first two bytes (RFC 8200, 4.2):
//
//	options, routing  | next header | length-1 in 8s | ... | (routing:) segments left at 3 |
//	fragment          | next header | reserved | offset 13 | 0 0 M | identification 32     |
//	authentication    | next header | length-2 in 4s | ...                      (RFC 4302) |
//
// ESP hides what follows it and ends the chain as a protocol of its own.
func (p *Packet) skipExtHeaders(next uint8, b []byte) (rest []byte, routed bool, invalid Invalid) {
	sawFragment := false
	for n := 0; ; n++ {
		p.Proto = next
		size := 8
		switch next {
		case extHopByHop, extDestination, extRouting, extFragment, extAuth:
			if n == maxExtHeaders {
				return nil, routed, IPv6ExtTooMany
			}
			if len(b) < 8 {
				return nil, routed, IPv6ExtTruncated
			}
		default:
			return b, routed, Valid
		}
		switch next {
		case extHopByHop, extDestination:
			size = 8 + int(b[1])*8
		case extRouting:
			size = 8 + int(b[1])*8
			routed = routed || b[3] != 0
		case extAuth:
			size = 8 + int(b[1])*4
		case extFragment:
			if sawFragment {
				return nil, routed, IPv6FragDuplicate
			}
			sawFragment = true
			p.setFragment(b)
		}
		if size > len(b) {
			return nil, routed, IPv6ExtTruncated
		}
		next, b = b[0], b[size:]
		if p.FragOffset != 0 { // what follows is the middle of something
			p.Proto = next
			return b, routed, Valid
		}
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
