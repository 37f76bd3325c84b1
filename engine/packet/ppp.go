package packet

import "encoding/binary"

// PPP protocols (IANA) that Decode acts on. Their first byte is 0, so that
// they can be compressed to the second (RFC 1661, 6.5).
const (
	pppIPv4 = 0x0021
	pppVJ   = 0x002f // TCP/IPv4 whose header is whole, though compression was agreed on (RFC 1144)
	pppIPv6 = 0x0057
)

// pppKnown says whether a protocol is one that Suricata knows and does not decode.
func pppKnown(proto uint16) bool {
	switch proto {
	case 0x0023, 0x0025, 0x0027, 0x0029, 0x002b, 0x002d, 0x0031, 0x0033, 0x0035, 0x0201, 0x0231, 0x0233, 0x0281, 0x0283,
		0x8021, 0x8023, 0x8025, 0x8027, 0x8029, 0x802b, 0x8033, 0x8035, 0x8057, 0x8281, 0xc021, 0xc023, 0xc025, 0xc223:
		return true
	}
	return false
}

// decodePPP handles PPP with and without the address and control bytes of
// HDLC framing (RFC 1662, 3.1).
func (p *Packet) decodePPP(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) > 0 && b[0] == 0xff {
		if len(b) < 2 {
			return p.bad(EventPPPPacketTooSmall)
		}
		b = b[2:]
	}
	proto, rest := pppProto(b)
	if rest == nil {
		return p.bad(EventPPPPacketTooSmall)
	}
	compressed := len(b)-len(rest) == 1
	small := EventPPPIPv4PacketTooSmall
	if compressed {
		small = EventPPPVJUPacketTooSmall // as in Suricata
	}
	known, ok := p.pppNext(proto, rest, small)
	switch {
	case known:
		return ok
	case compressed || pppKnown(proto) || proto == 0x00fd || proto == 0x80fd || proto == 0xc029:
		// Here, not in PPPoE, every compressed protocol and some more are known to exist.
		p.note(EventPPPUnsupportedProtocol)
	default:
		p.bad(EventPPPWrongType)
	}
	return true
}

// pppProto takes off the protocol number. One whose first byte is odd is compressed
// to that byte. rest is nil if it is not all there.
func pppProto(b []byte) (proto uint16, rest []byte) {
	switch {
	case len(b) > 0 && b[0]&1 != 0:
		return uint16(b[0]), b[1:]
	case len(b) >= 2:
		return binary.BigEndian.Uint16(b), b[2:]
	}
	return 0, nil
}

// pppNext decodes what PPP carries; small is the event of IPv4 that is not all there.
// It reports whether it knows the protocol, and then whether its header is intact.
func (p *Packet) pppNext(proto uint16, b []byte, small Event) (known, ok bool) {
	p.LinkLen = len(p.Data) - len(b)
	switch proto {
	case pppVJ:
		switch {
		case len(b) < 20:
			return true, p.bad(EventPPPVJUPacketTooSmall)
		case b[0]>>4 != 4:
			return true, false
		}
		return true, p.decodeIPv4(b)
	case pppIPv4:
		if len(b) < 20 {
			return true, p.bad(small)
		}
		return true, p.decodeIPv4(b)
	case pppIPv6:
		if len(b) < 40 {
			return true, p.bad(EventPPPIPv6PacketTooSmall)
		}
		return true, p.decodeIPv6(b)
	}
	return false, false
}

// decodePPPoESession decodes a frame of a session (RFC 2516, 4), whose payload is
// PPP without framing:
//
//	0 | version 4 | type 4 | code 8 | session id 16 |
//	4 | length 16                   |
func (p *Packet) decodePPPoESession(b []byte) bool {
	if len(b) < 7 {
		return p.bad(EventPPPoEPacketTooSmall)
	}
	if binary.BigEndian.Uint16(b[4:]) == 0 {
		return true
	}
	b = b[6:]
	proto, rest := pppProto(b)
	if rest == nil {
		return p.bad(EventPPPoEPacketTooSmall)
	}
	known, ok := p.pppNext(proto, rest, EventPPPIPv4PacketTooSmall)
	switch {
	case known:
		return ok
	case pppKnown(proto):
		p.note(EventPPPUnsupportedProtocol)
		return true
	}
	return p.bad(EventPPPWrongType)
}

// Codes of PPPoE discovery (RFC 2516, 5).
const (
	pppoePADO = 0x07
	pppoePADI = 0x09
	pppoePADR = 0x19
	pppoePADS = 0x65
	pppoePADT = 0xa7
)

// decodePPPoEDiscovery checks a frame of the discovery stage, which has the same
// header and then tags.
func (p *Packet) decodePPPoEDiscovery(b []byte) bool {
	if len(b) < 6 {
		return p.bad(EventPPPoEPacketTooSmall)
	}
	switch b[1] {
	case pppoePADO, pppoePADI, pppoePADR, pppoePADS, pppoePADT:
	default:
		p.bad(EventPPPoEWrongCode)
		return true
	}
	if int(binary.BigEndian.Uint16(b[4:])) > len(b)-6 {
		return p.bad(EventPPPoEMalformedTags)
	}
	return true
}
