package packet

import "encoding/binary"

// ICMP message types (RFC 792; RFC 4443) that the package tells apart.
const (
	icmp4EchoReply       = 0
	icmp4Unreachable     = 3
	icmp4SourceQuench    = 4
	icmp4Redirect        = 5
	icmp4EchoRequest     = 8
	icmp4TimeExceeded    = 11
	icmp4ParameterError  = 12
	icmp6Unreachable     = 1
	icmp6EchoRequest     = 128
	icmp6EchoReply       = 129
	icmp6Redirect        = 137
	icmp4PortUnreachable = 3 // a code
	icmp6Prohibited      = 1 // a code
)

// decodeICMP decodes an ICMP (RFC 792) or ICMPv6 (RFC 4443, 2.1) message:
//
//	0 |     type      |     code      |           checksum            |
//	4 |    echo: identifier           |    echo: sequence number      |
//
// ICMPv6's checksum covers a pseudo-header, ICMP's does not.
func (p *Packet) decodeICMP(b []byte, opt Options, short, sum Invalid) Invalid {
	if len(b) < 8 {
		return short
	}
	p.setICMP(b)
	p.Payload = b[8:]
	if opt.VerifyChecksums {
		good := checksum(0, b) == 0
		if p.Proto == ProtoICMPv6 {
			good = p.verify(b)
		}
		if !good {
			return sum
		}
	}
	return Valid
}

// setICMP sets the fields that the first 8 bytes of a message give.
func (p *Packet) setICMP(b []byte) {
	p.ICMP.Type, p.ICMP.Code = b[0], b[1]
	echo := p.ICMP.Type == icmp4EchoRequest || p.ICMP.Type == icmp4EchoReply
	if p.Proto == ProtoICMPv6 {
		echo = p.ICMP.Type == icmp6EchoRequest || p.ICMP.Type == icmp6EchoReply
	}
	if echo {
		p.ICMP.ID = binary.BigEndian.Uint16(b[4:])
		p.ICMP.Seq = binary.BigEndian.Uint16(b[6:])
	}
}

// ICMPError reports whether p is an ICMP or ICMPv6 error message, one that
// quotes the packet it is about.
func (p *Packet) ICMPError() bool {
	if p.L4 == nil || p.Invalid != Valid {
		return false
	}
	switch p.Proto {
	case ProtoICMP:
		switch p.ICMP.Type {
		case icmp4Unreachable, icmp4SourceQuench, icmp4Redirect, icmp4TimeExceeded, icmp4ParameterError:
			return p.IPVersion == 4
		}
	case ProtoICMPv6:
		return p.IPVersion == 6 && p.ICMP.Type > 0 && p.ICMP.Type < 128 // RFC 4443, 2.1
	}
	return false
}

// Embedded decodes into inner the packet that the ICMP error p quotes, so that
// the error can be counted to that packet's flow. It reports false when p is no
// error or quotes no whole IP header.
//
// A quotation may stop anywhere (RFC 792 asks for 8 bytes after the header), and
// nothing of it is verified: lengths that point beyond it are not held against
// it. Net is the quotation. Addresses and Proto are always set; L4 is nil when
// the first 8 bytes of the transport header are not there, and then ports and
// ICMP fields are 0. Of TCP only Seq is set. Payload stays nil.
func (p *Packet) Embedded(inner *Packet) bool {
	if !p.ICMPError() {
		return false
	}
	b := p.Payload
	*inner = Packet{Data: b, Net: b, IPVersion: p.IPVersion}
	var l4 []byte
	if p.IPVersion == 4 {
		if len(b) < 20 || b[0]>>4 != 4 {
			return false
		}
		inner.EtherType = etherIPv4
		inner.setIPv4(b)
		header := int(b[0]&0x0f) * 4
		if header < 20 {
			return false
		}
		l4 = b[min(header, len(b)):]
	} else {
		if len(b) < 40 || b[0]>>4 != 6 {
			return false
		}
		inner.EtherType = etherIPv6
		inner.setIPv6(b)
		rest, _, invalid := inner.skipExtHeaders(b[6], b[40:])
		if invalid != Valid {
			return false
		}
		l4 = rest
	}
	if inner.FragOffset == 0 && len(l4) >= 8 {
		inner.setQuoted(l4)
	}
	return true
}

// setQuoted sets what the first 8 bytes of a transport header tell.
func (p *Packet) setQuoted(b []byte) {
	p.L4 = b
	switch p.Proto {
	case ProtoTCP:
		p.TCP.Seq = binary.BigEndian.Uint32(b[4:])
		fallthrough
	case ProtoUDP, ProtoSCTP:
		p.SrcPort = binary.BigEndian.Uint16(b)
		p.DstPort = binary.BigEndian.Uint16(b[2:])
	case ProtoICMP, ProtoICMPv6:
		p.setICMP(b)
	}
}
