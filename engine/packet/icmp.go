package packet

import "encoding/binary"

// ICMP message types (RFC 792; RFC 4443) that the package tells apart.
const (
	icmp4EchoReply       = 0
	icmp4Unreachable     = 3
	icmp4SourceQuench    = 4
	icmp4Redirect        = 5
	icmp4EchoRequest     = 8
	icmp4RouterAdvert    = 9
	icmp4TimeExceeded    = 11
	icmp4ParameterError  = 12
	icmp4Timestamp       = 13
	icmp4TimestampReply  = 14
	icmp4InfoRequest     = 15
	icmp4AddressReply    = 18
	icmp6Unreachable     = 1
	icmp6ParameterError  = 4
	icmp6EchoRequest     = 128
	icmp6EchoReply       = 129
	icmp6MLDQuery        = 130
	icmp6MLDDone         = 132
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
func (p *Packet) decodeICMP(b []byte) {
	small, sum := EventICMPv4PacketTooSmall, FaultICMPv4Checksum
	if p.Proto == ProtoICMPv6 {
		small, sum = EventICMPv6PacketTooSmall, FaultICMPv6Checksum
	}
	if len(b) < 8 {
		p.bad(small)
		return
	}
	p.L4, p.Tracked = b, true
	p.setICMP(b)
	p.Payload = b[8:]
	if p.Proto == ProtoICMPv6 {
		p.checkICMP6()
	} else {
		p.checkICMP4()
	}
	switch {
	case p.Proto == ProtoICMPv6:
		p.verify(b, sum)
	case p.opt.VerifyChecksums && checksum(0, b) != 0:
		p.wrongSum(sum)
	}
}

// checkICMP4 notes what is odd about an ICMP message. Errors have no flow of their own.
func (p *Packet) checkICMP4() {
	maxCode := uint8(0)
	isError := false
	switch t := p.ICMP.Type; t {
	case icmp4Unreachable:
		maxCode, isError = 15, true
	case icmp4Redirect:
		maxCode, isError = 3, true
	case icmp4TimeExceeded:
		maxCode, isError = 1, true
	case icmp4SourceQuench, icmp4ParameterError:
		isError = true
	case icmp4RouterAdvert:
		maxCode = 255
	case icmp4EchoReply, icmp4EchoRequest, icmp4Timestamp, icmp4TimestampReply:
	default:
		if t < icmp4InfoRequest || t > icmp4AddressReply {
			p.note(EventICMPv4UnknownType)
			return
		}
	}
	if p.ICMP.Code > maxCode {
		p.note(EventICMPv4UnknownCode)
	}
	switch {
	case isError:
		p.Tracked = false
		// Nothing at all may be quoted, but for source quench.
		if p.ICMP.Code <= maxCode && (len(p.Payload) > 0 || p.ICMP.Type == icmp4SourceQuench) {
			p.checkQuote(20, 4, EventICMPv4IPv4TruncatedPacket, EventICMPv4IPv4UnknownVersion)
		}
	case p.ICMP.Type == icmp4RouterAdvert && int(p.L4[4])*int(p.L4[5])*4 > len(p.Payload): // addresses, of so many words
		p.note(EventICMPv4IPv4TruncatedPacket) // as in Suricata
	case p.ICMP.Type == icmp4Timestamp || p.ICMP.Type == icmp4TimestampReply:
		if len(p.Payload) < 12 { // three times
			p.note(EventICMPv4IPv4TruncatedPacket) // as in Suricata
		} else {
			p.Payload = p.Payload[12:]
		}
	}
}

// icmp6Codes is the highest code of the ICMPv6 types from 128 on (IANA). It is 255
// where any will do.
var icmp6Codes = [32]uint8{
	138 - 128: 2, 139 - 128: 2, 140 - 128: 2,
	150 - 128: 255, 151 - 128: 255, 152 - 128: 255, 153 - 128: 255,
	155 - 128: 3,
}

// checkICMP6 notes what is odd about an ICMPv6 message.
func (p *Packet) checkICMP6() {
	t, code := p.ICMP.Type, p.ICMP.Code
	whole := false // the header of 8 bytes is known
	switch {
	case t == 0 || t == 127:
		p.note(EventICMPv6UnknownType)
	case t == 100 || t == 101 || t == 200 || t == 201:
		p.note(EventICMPv6ExperimentationType)
	case t <= icmp6ParameterError:
		if code > [icmp6ParameterError + 1]uint8{1: 6, 2: 0, 3: 1, 4: 2}[t] {
			p.note(EventICMPv6UnknownCode)
		} else {
			whole = true
			p.checkQuote(40, 6, EventICMPv6IPv6TruncatedPacket, EventICMPv6IPv6UnknownVersion)
		}
	case t < icmp6EchoRequest || int(t-icmp6EchoRequest) >= len(icmp6Codes):
		p.note(EventICMPv6UnassignedType)
	default:
		if code > icmp6Codes[t-icmp6EchoRequest] && !(t == 138 && code == 255) {
			p.note(EventICMPv6UnknownCode)
		} else {
			whole = t == icmp6EchoRequest || t == icmp6EchoReply
		}
		if t >= icmp6MLDQuery && t <= icmp6MLDDone && p.TTL != 1 {
			p.note(EventICMPv6MLDMessageWithInvalidHL)
		}
	}
	if !whole {
		// For Suricata the header of all other messages ends with the checksum, and the
		// message 8 bytes early.
		if p.Payload = nil; len(p.L4) > 12 {
			p.Payload = p.L4[4 : len(p.L4)-8]
		}
	}
}

// checkQuote checks the IP header that an error quotes.
func (p *Packet) checkQuote(header int, version uint8, truncated, unknownVersion Event) {
	switch {
	case len(p.Payload) < header:
		p.bad(truncated)
	case p.Payload[0]>>4 != version:
		p.bad(unknownVersion)
	}
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
		rest, ok := inner.quotedTransport(b[6], b[40:])
		if !ok {
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
