package packet

import "encoding/binary"

// decodeLink strips the link-layer header. Those that are not explained
// elsewhere, each row 4 bytes:
//
//	SLL (cooked v1)                SLL2 (cooked v2)               Cisco HDLC
//	 0 | packet type | ARPHRD   |   0 | protocol    | 0        |   0 | address | 0 | protocol |
//	 4 | addr length | address  |   4 | interface index        |
//	 8 | address                |   8 | ARPHRD      | type|len |
//	12 | address     | protocol |  12 | address (8 bytes)      |
func (p *Packet) decodeLink(data []byte) {
	switch p.Link {
	case LinkEthernet:
		p.decodeEthernet(data)
	case LinkRaw, LinkRaw12, LinkRaw14, LinkIPv4, LinkIPv6:
		p.decodeRaw(data)
	case LinkSLL:
		p.layer()
		if len(data) < 16 {
			p.bad(EventSLLPacketTooSmall)
			return
		}
		p.decodeEtherType(binary.BigEndian.Uint16(data[14:]), data[16:])
	case LinkSLL2:
		p.layer()
		if len(data) < 20 {
			p.bad(EventSLLPacketTooSmall)
			return
		}
		p.decodeEtherType(binary.BigEndian.Uint16(data), data[20:])
	case LinkCHDLC:
		p.layer()
		if len(data) < 4 {
			p.bad(EventCHDLCPacketTooSmall)
			return
		}
		p.decodeEtherType(binary.BigEndian.Uint16(data[2:]), data[4:])
	case LinkNull, LinkLoop:
		p.decodeLoopback(data)
	case LinkPPP:
		p.decodePPP(data)
	default:
		p.fault(FaultLinkType)
	}
}

// decodeEthernet decodes a frame (IEEE 802.3):
//
//	 0 | destination               |
//	 4 | destination  | source     |
//	 8 | source                    |
//	12 | type         |
func (p *Packet) decodeEthernet(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < ethernetSize {
		return p.bad(EventEthernetPacketTooSmall)
	}
	p.decodeEtherType(binary.BigEndian.Uint16(b[12:]), b[ethernetSize:])
	return true
}

// decodeRaw tells IPv4 from IPv6 by the first nibble.
func (p *Packet) decodeRaw(b []byte) bool {
	switch {
	case len(b) < 20:
		return p.bad(EventIPv4PacketTooSmall)
	case b[0]>>4 == 4:
		return p.decodeEtherType(etherIPv4, b)
	case b[0]>>4 == 6:
		return p.decodeEtherType(etherIPv6, b)
	}
	return p.bad(EventIPRawInvalidIPVersion)
}

// decodeLoopback handles BSD loopback captures. The 4-byte address family is in
// the byte order of the capturing host, which only the value itself gives away,
// and IPv6's number is each system's own.
func (p *Packet) decodeLoopback(b []byte) bool {
	if len(b) < 4 {
		return p.bad(EventLTNullPacketTooSmall)
	}
	family := binary.LittleEndian.Uint32(b)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(b)
	}
	switch family {
	case 2:
		return p.decodeEtherType(etherIPv4, b[4:])
	case 10, 23, 24, 26, 28, 30: // Linux; Windows; NetBSD, OpenBSD; Solaris; FreeBSD; macOS
		return p.decodeEtherType(etherIPv6, b[4:])
	}
	p.LinkLen = 4
	return p.bad(EventLTNullUnsupportedType)
}
