package packet

import "encoding/binary"

// Ethernet types (IEEE 802 numbers) that Decode acts on.
const (
	etherIPv4   = 0x0800
	etherVLAN   = 0x8100 // IEEE 802.1Q customer tag
	etherIPv6   = 0x86dd
	etherQinQ   = 0x88a8 // IEEE 802.1ad service tag
	etherQinQ91 = 0x9100 // the same before it was standardized
	etherMin    = 0x0600 // below it the field is a length (IEEE 802.3, 3.2.6)
)

// maxVLANTags bounds the tags that are skipped. Networks use two.
const maxVLANTags = 8

// Options are what Decode needs to know beside the bytes.
type Options struct {
	// VerifyChecksums makes a wrong checksum of IPv4, TCP, UDP, ICMP or
	// ICMPv6 invalidate the packet. Leave it off for packets whose sums are
	// not filled in yet (offload). Transport checksums of fragments cover
	// bytes that are not there and are never verified.
	VerifyChecksums bool
}

// Decode sets every field of p from data, whose first byte is that of link's
// header. It keeps no copy: p's slices are data's. Packets that are not IP
// (ARP, LLC) are valid, with IPVersion 0. Otherwise p.Invalid says what is
// wrong, and the fields in front of the damage are set.
//
// A packet that a capture cut short is invalid like one that was cut on the
// wire, as it is in Suricata.
func (p *Packet) Decode(link LinkType, data []byte, opt Options) {
	*p = Packet{Data: data}
	p.Invalid = p.decodeLink(link, data, opt)
}

// decodeLink strips the link-layer header. The headers, each row 4 bytes:
//
//	Ethernet                       SLL (cooked v1)                SLL2 (cooked v2)
//	 0 | destination            |   0 | packet type | ARPHRD   |   0 | protocol    | 0        |
//	 4 | destination  | source  |   4 | addr length | address  |   4 | interface index        |
//	 8 | source                 |   8 | address                |   8 | ARPHRD      | type|len |
//	12 | type                   |  12 | address     | protocol |  12 | address (8 bytes)      |
func (p *Packet) decodeLink(link LinkType, data []byte, opt Options) Invalid {
	switch link {
	case LinkEthernet:
		if len(data) < 14 {
			return LinkTooShort
		}
		return p.decodeEtherType(binary.BigEndian.Uint16(data[12:]), 14, opt)
	case LinkRaw, LinkRaw12, LinkRaw14:
		return p.decodeRaw(0, opt)
	case LinkIPv4:
		return p.decodeEtherType(etherIPv4, 0, opt)
	case LinkIPv6:
		return p.decodeEtherType(etherIPv6, 0, opt)
	case LinkSLL:
		if len(data) < 16 {
			return LinkTooShort
		}
		return p.decodeEtherType(binary.BigEndian.Uint16(data[14:]), 16, opt)
	case LinkSLL2:
		if len(data) < 20 {
			return LinkTooShort
		}
		return p.decodeEtherType(binary.BigEndian.Uint16(data), 20, opt)
	case LinkNull, LinkLoop:
		return p.decodeLoopback(opt)
	case LinkPPP:
		return p.decodePPP(opt)
	}
	return LinkUnknown
}

// decodeEtherType goes on at offset at, where the header of etherType starts.
// A VLAN tag has 4 bytes, of which the second half says what follows it:
//
//	| priority 3 | drop eligible 1 | VLAN id 12 | type 16 |
func (p *Packet) decodeEtherType(etherType uint16, at int, opt Options) Invalid {
	data := p.Data
	for tags := 0; etherType == etherVLAN || etherType == etherQinQ || etherType == etherQinQ91; tags++ {
		p.EtherType, p.LinkLen = etherType, at
		if tags == maxVLANTags {
			return VLANTooMany
		}
		if len(data)-at < 4 {
			return VLANTooShort
		}
		if int(p.VLANs) < len(p.VLAN) {
			p.VLAN[p.VLANs] = binary.BigEndian.Uint16(data[at:]) & 0x0fff
			p.VLANs++
		}
		etherType = binary.BigEndian.Uint16(data[at+2:])
		at += 4
	}
	p.EtherType, p.LinkLen = etherType, at
	switch {
	case etherType == etherIPv4:
		return p.decodeIPv4(data[at:], opt)
	case etherType == etherIPv6:
		return p.decodeIPv6(data[at:], opt)
	case etherType < etherMin:
		p.EtherType = 0
	}
	return Valid
}

// decodeRaw tells IPv4 from IPv6 by the first nibble at offset at.
func (p *Packet) decodeRaw(at int, opt Options) Invalid {
	p.LinkLen = at
	if len(p.Data) > at {
		switch p.Data[at] >> 4 {
		case 4:
			return p.decodeEtherType(etherIPv4, at, opt)
		case 6:
			return p.decodeEtherType(etherIPv6, at, opt)
		}
	}
	return IPVersionUnknown
}

// decodeLoopback handles BSD loopback captures. The 4-byte address family is in
// the byte order of the capturing host, which only the value itself gives away,
// and IPv6's number is each system's own.
func (p *Packet) decodeLoopback(opt Options) Invalid {
	if len(p.Data) < 4 {
		return LinkTooShort
	}
	family := binary.LittleEndian.Uint32(p.Data)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(p.Data)
	}
	switch family {
	case 2:
		return p.decodeEtherType(etherIPv4, 4, opt)
	case 10, 24, 28, 30: // Linux; NetBSD and OpenBSD; FreeBSD; macOS
		return p.decodeEtherType(etherIPv6, 4, opt)
	}
	p.LinkLen = 4
	return Valid
}

// decodePPP handles PPP with and without the address and control bytes of
// HDLC framing (RFC 1662, 3.1). A protocol number whose first byte is odd is
// compressed to that byte (RFC 1661, 6.5).
func (p *Packet) decodePPP(opt Options) Invalid {
	at := 0
	if len(p.Data) >= 2 && p.Data[0] == 0xff && p.Data[1] == 0x03 {
		at = 2
	}
	if len(p.Data)-at < 2 {
		return LinkTooShort
	}
	proto := uint16(p.Data[at])
	at++
	if proto&1 == 0 {
		proto = proto<<8 | uint16(p.Data[at])
		at++
	}
	switch proto {
	case 0x0021:
		return p.decodeEtherType(etherIPv4, at, opt)
	case 0x0057:
		return p.decodeEtherType(etherIPv6, at, opt)
	}
	p.LinkLen = at
	return Valid
}
