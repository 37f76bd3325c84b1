package packet

import "encoding/binary"

// decodeIPv4 decodes b, which starts with an IPv4 header (RFC 791, 3.1):
//
//	 0 |version|hdr len| type of svc   |         total length          |
//	 4 |        identification         |0 DF MF|   fragment offset     |
//	 8 | time to live  |   protocol    |        header checksum        |
//	12 |                        source address                         |
//	16 |                      destination address                      |
//	20 |                            options                            |
//
// It reports whether the header is intact, as the decoders of IPv6 and of what may
// stand in front of them do.
func (p *Packet) decodeIPv4(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < 20 {
		return p.bad(EventIPv4PacketTooSmall)
	}
	if b[0]>>4 != 4 {
		return p.bad(EventIPv4WrongIPVersion)
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case header < 20:
		return p.bad(EventIPv4HeaderLenTooSmall)
	case total < header:
		return p.bad(EventIPv4IPLenSmallerThanHeaderLen)
	case total > len(b):
		return p.bad(EventIPv4TruncatedPacket)
	}
	p.LinkLen, p.EtherType = len(p.Data)-len(b), etherIPv4
	b = b[:total:total] // the rest is padding of the link layer
	if header > 20 && !p.decodeIPv4Options(b[20:header]) {
		return false
	}
	p.Net, p.IPVersion = b, 4
	p.setIPv4(b)
	if p.opt.VerifyChecksums && checksum(0, b[:header]) != 0 {
		p.fault(FaultIPv4Checksum)
	}
	b = b[header:]
	switch {
	case p.Fragment:
		p.decodeFragment(b)
	case p.Proto == ProtoIPv6:
		p.L4, p.Tracked = b, true
		p.carry(b, innerIPv6, FromIPv4)
	case p.Proto == ProtoGRE:
		p.L4 = b
		p.decodeGRE(b)
	case p.Proto == ProtoICMPv6:
		p.bad(EventIPv4ICMPv6)
	default:
		p.decodeTransport(b)
	}
	return true
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
func (p *Packet) decodeIPv6(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < 40 {
		return p.fault(EventIPv6PacketTooSmall) // Suricata has the event, and never sets it
	}
	if b[0]>>4 != 6 {
		return p.bad(EventIPv6WrongIPVersion)
	}
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return p.bad(EventIPv6TruncatedPacket)
	}
	p.LinkLen, p.EtherType = len(p.Data)-len(b), etherIPv6
	b = b[:total:total]
	p.Net, p.IPVersion = b, 6
	p.setIPv6(b)
	// Addr keeps addresses of IPv4 so: such a packet would pass for one of them.
	if !p.opt.Mapped && (p.Src.mapped() || p.Dst.mapped()) {
		return p.fault(FaultMappedAddress)
	}
	next, rest := b[6], b[40:]
	switch next {
	case ProtoTCP, ProtoUDP, ProtoICMPv6:
		p.Proto = next
		p.decodeTransport(rest)
	case protoIPIP:
		p.Proto, p.L4 = next, rest
		p.decodeInIPv6(rest, 4, innerIPv4)
	case ProtoIPv6:
		p.Proto, p.L4 = next, rest
		p.decodeInIPv6(rest, 6, innerIPv6)
	case ProtoGRE:
		p.Proto, p.L4 = next, rest
		p.decodeGRE(rest)
	default:
		p.decodeNextHeaders(next, rest)
	}
	return true
}

// setIPv6 sets the fields that the 40 bytes of an IPv6 header give.
func (p *Packet) setIPv6(b []byte) {
	p.TOS = b[0]<<4 | b[1]>>4
	p.TTL = b[7]
	p.Src = Addr(b[8:24])
	p.Dst = Addr(b[24:40])
}

// decodeInIPv6 notes the IP packet b that IPv6 carries.
func (p *Packet) decodeInIPv6(b []byte, version uint8, kind innerKind) {
	header, small, wrong := 40, EventIPv6IPv6InIPv6TooSmall, EventIPv6IPv6InIPv6WrongVersion
	if version == 4 {
		header, small, wrong = 20, EventIPv6IPv4InIPv6TooSmall, EventIPv6IPv4InIPv6WrongVersion
	}
	switch {
	case len(b) < header:
		p.bad(small)
	case b[0]>>4 != version:
		p.note(wrong)
	default:
		p.carry(b, kind, FromIPv6)
	}
}
