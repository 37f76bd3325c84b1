package packet

import "encoding/binary"

// What stands between a link-layer header and the packet: tags, labels and
// service headers. Each decoder takes what follows the type that named it.

// decodeVLAN takes off a tag (IEEE 802.1Q), of which the second half says what
// follows:
//
//	| priority 3 | drop eligible 1 | VLAN id 12 | type 16 |
func (p *Packet) decodeVLAN(b []byte) bool {
	if !p.layer() {
		return false
	}
	if int(p.VLANs) == MaxVLANs {
		return p.bad(EventVLANTooManyLayers)
	}
	if len(b) < 4 {
		return p.bad(EventVLANHeaderTooSmall)
	}
	p.addVLAN(binary.BigEndian.Uint16(b))
	return p.decodeEtherType(binary.BigEndian.Uint16(b[2:]), b[4:]) || p.bad(EventVLANUnknownType)
}

// addVLAN keeps the id of a tag; there must be room.
func (p *Packet) addVLAN(tag uint16) {
	p.VLAN[p.VLANs] = tag & 0x0fff
	p.VLANs++
}

// decodeVNTag takes off the tag that Cisco's VN-Link puts between adapter and switch:
//
//	0 | direction 1 | pointer 1 | destination 14 | looped 1 | - 3 | source 12 |
//	4 | type 16     |
func (p *Packet) decodeVNTag(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < 6 {
		return p.bad(EventVNTagHeaderTooSmall)
	}
	return p.decodeEtherType(binary.BigEndian.Uint16(b[4:]), b[6:]) || p.bad(EventVNTagUnknownType)
}

// decodeETag takes off the tag between a bridge and its port extenders (IEEE 802.1BR, 7.5),
// which names the port that a frame came in by, and the one or the group that it goes to:
//
//	0 | priority 3 | drop eligible 1 | ingress port 12   | - 2 | group 2 | port 12 |
//	4 | ingress port, upper 8        | port, upper 8     | type 16                 |
//
// Its events have the names of Suricata 8, which is the first to decode it.
func (p *Packet) decodeETag(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < 8 {
		return p.bad(EventETagHeaderTooSmall)
	}
	return p.decodeEtherType(binary.BigEndian.Uint16(b[6:]), b[8:]) || p.bad(EventETagUnknownType)
}

// MPLS labels with a meaning of their own (RFC 3032, 2.1). Those below 16 are reserved;
// the last of them is the extension label of RFC 7274.
const (
	labelIPv4Null     = 0
	labelRouterAlert  = 1
	labelIPv6Null     = 2
	labelImplicitNull = 3
	labelExtension    = 15
)

// decodeMPLS takes off a stack of labels (RFC 3032, 2.1). Nothing says what
// follows the last, but the first nibble tells IP from a pseudowire's control word
// (RFC 4385, 3).
//
//	| label 20 | traffic class 3 | bottom of stack 1 | TTL 8 |
func (p *Packet) decodeMPLS(b []byte) bool {
	if !p.layer() {
		return false
	}
	var entry uint32
	for entry&0x100 == 0 {
		if len(b) < 4 {
			return p.bad(EventMPLSHeaderTooSmall)
		}
		entry, b = binary.BigEndian.Uint32(b), b[4:]
	}
	switch label := entry >> 12; {
	case label == labelIPv4Null:
		return p.decodeEtherType(etherIPv4, b)
	case label == labelIPv6Null:
		return p.decodeEtherType(etherIPv6, b)
	case label == labelRouterAlert:
		return p.bad(EventMPLSBadLabelRouterAlert)
	case label == labelImplicitNull:
		return p.bad(EventMPLSBadLabelImplicitNull)
	case label < labelExtension:
		return p.bad(EventMPLSBadLabelReserved)
	}
	if len(b) < 4 {
		return p.bad(EventMPLSPacketTooSmall)
	}
	switch b[0] >> 4 {
	case 0:
		return p.decodeEthernet(b[4:])
	case 4:
		return p.decodeEtherType(etherIPv4, b)
	case 6:
		return p.decodeEtherType(etherIPv6, b)
	}
	return p.bad(EventMPLSUnknownPayloadType)
}

// Network service headers: kinds of metadata (RFC 8300, 2.2) and what can follow.
const (
	nshFixed    = 1 // 16 bytes
	nshVariable = 2
	nshReserved = 15

	nshIPv4     = 1
	nshIPv6     = 2
	nshEthernet = 3
	nshMPLS     = 5
)

// decodeNSH takes off a network service header (RFC 8300, 2.2). The length
// counts words of 4 bytes, the first included.
//
//	0 | version 2 | OAM 1 | - 1 | TTL 6 | length 6 | - 4 | MD type 4 | next protocol 8 |
//	4 | service path 24                                          | service index 8     |
//	8 | metadata                                                                       |
func (p *Packet) decodeNSH(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < 8 {
		return p.bad(EventNSHHeaderTooSmall)
	}
	if b[0]>>6 != 0 {
		p.note(EventNSHUnsupportedVersion)
		return true
	}
	size := int(b[1]&0x3f) * 4
	if size >= len(b) {
		return p.bad(EventNSHBadHeaderLength)
	}
	switch b[2] {
	case 0, nshReserved:
		p.note(EventNSHReservedType)
		return true
	case nshFixed:
		if size != 24 {
			return p.bad(EventNSHBadHeaderLength)
		}
	case nshVariable: // no length is too short for Suricata
	default:
		p.note(EventNSHUnsupportedType)
		return true
	}
	next := b[3]
	b = b[size:]
	switch next {
	case nshIPv4:
		return p.decodeEtherType(etherIPv4, b)
	case nshIPv6:
		return p.decodeEtherType(etherIPv6, b)
	case nshEthernet:
		return p.decodeEthernet(b)
	case nshMPLS:
		return p.decodeMPLS(b)
	}
	p.note(EventNSHUnknownPayload)
	return true
}
