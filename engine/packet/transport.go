package packet

import "encoding/binary"

// decodeTransport decodes b, what follows the IP header and its extensions.
// Protocols that it does not know keep all of b as L4 and Payload.
func (p *Packet) decodeTransport(b []byte, opt Options) Invalid {
	if p.FragOffset != 0 {
		p.Payload = b
		return Valid
	}
	if p.Fragment {
		opt.VerifyChecksums = false
	}
	p.L4 = b
	var invalid Invalid
	switch p.Proto {
	case ProtoTCP:
		invalid = p.decodeTCP(b, opt)
	case ProtoUDP:
		invalid = p.decodeUDP(b, opt)
	case ProtoICMP:
		invalid = p.decodeICMP(b, opt, ICMPv4TooShort, ICMPv4Checksum)
	case ProtoICMPv6:
		invalid = p.decodeICMP(b, opt, ICMPv6TooShort, ICMPv6Checksum)
	case ProtoSCTP:
		invalid = p.decodeSCTP(b)
	default:
		p.Payload = b
	}
	if p.Fragment && invalid != Valid && p.Payload == nil {
		// A first fragment too small for its transport header may still
		// belong to a good datagram; only reassembly can tell.
		p.L4, p.Payload = nil, b
		p.SrcPort, p.DstPort, p.TCP = 0, 0, TCP{}
		return Valid
	}
	return invalid
}

// verify reports whether b, a transport header and what it covers, has the
// right checksum over pseudo-header and bytes.
func (p *Packet) verify(b []byte) bool {
	return transportSum(p.IPVersion, p.Src, p.Dst, p.Proto, b) == 0
}

// decodeTCP decodes a segment (RFC 9293, 3.1):
//
//	 0 |          source port          |       destination port        |
//	 4 |                        sequence number                        |
//	 8 |                    acknowledgment number                      |
//	12 |offset | rsrvd |     flags     |            window             |
//	16 |           checksum            |        urgent pointer         |
//	20 |                            options                            |
func (p *Packet) decodeTCP(b []byte, opt Options) Invalid {
	if len(b) < 20 {
		return TCPTooShort
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.TCP = TCP{
		Seq:      binary.BigEndian.Uint32(b[4:]),
		Ack:      binary.BigEndian.Uint32(b[8:]),
		Reserved: b[12] & 0x0f,
		Flags:    b[13],
		Window:   binary.BigEndian.Uint16(b[14:]),
		Urgent:   binary.BigEndian.Uint16(b[18:]),
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) {
		return TCPDataOffset
	}
	p.Payload = b[header:]
	if !p.TCP.decodeOptions(b[20:header]) {
		return TCPOptionLength
	}
	if opt.VerifyChecksums && !p.verify(b) {
		return TCPChecksum
	}
	return Valid
}

// TCP option kinds (RFC 9293, 3.2; RFC 7323; RFC 2018).
const (
	optEnd           = 0
	optNop           = 1
	optMSS           = 2
	optWindowScale   = 3
	optSACKPermitted = 4
	optTimestamps    = 8
)

// decodeOptions reads a list of options, each | kind | length | value |, where
// length counts all three; the two of a single byte have the kind only. It
// reports whether every length is possible. A known option of the wrong length
// is passed over, as hosts do.
func (t *TCP) decodeOptions(b []byte) bool {
	for len(b) > 0 {
		switch b[0] {
		case optEnd:
			return true
		case optNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return false
		}
		kind, value := b[0], b[2:b[1]]
		b = b[b[1]:]
		switch {
		case kind == optMSS && len(value) == 2:
			t.MSS = binary.BigEndian.Uint16(value)
		case kind == optWindowScale && len(value) == 1:
			t.WScale = min(value[0], 14) // more counts as 14 (RFC 7323, 2.3)
			t.HasWScale = true
		case kind == optSACKPermitted && len(value) == 0:
			t.SACKOK = true
		case kind == optTimestamps && len(value) == 8:
			t.TSVal = binary.BigEndian.Uint32(value)
			t.TSEcr = binary.BigEndian.Uint32(value[4:])
			t.HasTS = true
		}
	}
	return true
}

// decodeUDP decodes a datagram (RFC 768). The length covers header and data;
// bytes beyond it belong to nobody and are cut off the payload.
//
//	0 |          source port          |       destination port        |
//	4 |            length             |           checksum            |
func (p *Packet) decodeUDP(b []byte, opt Options) Invalid {
	if len(b) < 8 {
		return UDPTooShort
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	length := int(binary.BigEndian.Uint16(b[4:]))
	if p.Fragment {
		length = len(b) // the field counts the other fragments too
	}
	if length < 8 {
		return UDPLength
	}
	if length > len(b) {
		return UDPTruncated
	}
	p.Payload = b[8:length]
	// No checksum (0) is for IPv4 only (RFC 8200, 8.1).
	unsummed := p.IPVersion == 4 && b[6]|b[7] == 0
	if opt.VerifyChecksums && !unsummed && (b[6]|b[7] == 0 || !p.verify(b[:length])) {
		return UDPChecksum
	}
	return Valid
}

// decodeSCTP decodes the common header (RFC 9260, 3.1). Its CRC32c is left to
// the hosts: the firewall does not interpret chunks.
//
//	0 |          source port          |       destination port        |
//	4 |                       verification tag                        |
//	8 |                            CRC32c                             |
func (p *Packet) decodeSCTP(b []byte) Invalid {
	if len(b) < 12 {
		return SCTPTooShort
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.Payload = b[12:]
	return Valid
}
