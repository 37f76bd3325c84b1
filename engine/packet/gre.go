package packet

import "encoding/binary"

// Bits of the first word of a GRE header.
const (
	greChecksum    = 0x8000
	greRouting     = 0x4000
	greKey         = 0x2000
	greSequence    = 0x1000
	greStrictRoute = 0x0800
	greRecursion   = 0x0700
	greReserved    = 0x0078
	greAck         = 0x0080 // of version 1
	greVersion     = 0x0007
)

// Protocols in GRE that are no Ethernet types (IANA).
const (
	grePPP    = 0x880b
	greERSPAN = 0x88be
)

// decodeGRE takes off a GRE header, of version 0 (RFC 2784, with the fields of RFC
// 1701) or of version 1, which carries PPP (PPTP: RFC 2637, 4.1). Except for the first
// word each is there if its flag is set:
//
//	| C R K S s recursion 3 | flags 5 | version 3 | protocol 16 |
//	| checksum 16 (C or R)              | offset 16 (C or R)    |
//	| key 32 (K)                                                |
//	| sequence number 32 (S)                                    |
//	| routing: source route entries (R), or acknowledgment number 32 (A, version 1) |
func (p *Packet) decodeGRE(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < 4 {
		return p.bad(EventGREPacketTooSmall)
	}
	flags, proto := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	size := 0
	switch flags & greVersion {
	case 0:
		size = p.greSize0(b, flags)
	case 1:
		size = p.greSize1(b, flags, proto)
	default:
		p.bad(EventGREWrongVersion)
	}
	if size == 0 {
		return true // as in Suricata
	}
	rest := b[size:]
	switch proto {
	case etherIPv4:
		p.carry(rest, innerIPv4, FromGRE)
	case etherIPv6:
		p.carry(rest, innerIPv6, FromGRE)
	case grePPP:
		p.carry(rest, innerPPP, FromGRE)
	case etherVLAN:
		p.carry(rest, innerVLAN, FromGRE)
	case etherBridge:
		p.carry(rest, innerEthernet, FromGRE)
	case greERSPAN:
		// Type II has a sequence number, type I no field at all.
		if flags&greSequence != 0 {
			p.carry(rest, innerERSPAN, FromGRE)
		} else {
			p.carry(rest, innerEthernet, FromGRE)
		}
	}
	return true
}

// greSize0 checks a header of version 0 and returns its length, or 0.
func (p *Packet) greSize0(b []byte, flags uint16) int {
	switch {
	case flags&greRecursion != 0:
		p.bad(EventGREVersion0Recur)
		return 0
	case flags&greReserved != 0:
		p.bad(EventGREVersion0Flags)
		return 0
	}
	size := 4
	if flags&(greChecksum|greRouting) != 0 {
		size += 4
	}
	if flags&greKey != 0 {
		size += 4
	}
	if flags&greSequence != 0 {
		size += 4
	}
	if size > len(b) {
		p.bad(EventGREVersion0HeaderTooBig)
		return 0
	}
	if flags&greRouting == 0 {
		return size
	}
	// Source route entries: | family 16 | offset 8 | length 8 | addresses |, the last
	// one of family and length 0.
	for {
		if size+4 > len(b) {
			p.bad(EventGREVersion0MalformedSREHeader)
			return 0
		}
		family, length := binary.BigEndian.Uint16(b[size:]), int(b[size+3])
		size += 4
		if family == 0 && length == 0 {
			return size
		}
		if size += length; size > len(b) {
			p.bad(EventGREVersion0MalformedSREHeader)
			return 0
		}
	}
}

// greSize1 checks a header of version 1 and returns its length, or 0.
func (p *Packet) greSize1(b []byte, flags, proto uint16) int {
	wrong := Valid
	switch {
	case flags&greChecksum != 0:
		wrong = EventGREVersion1Chksum
	case flags&greRouting != 0:
		wrong = EventGREVersion1Route
	case flags&greStrictRoute != 0:
		wrong = EventGREVersion1SSR
	case flags&greRecursion != 0:
		wrong = EventGREVersion1Recur
	case flags&greReserved != 0:
		wrong = EventGREVersion1Flags
	case proto != grePPP:
		wrong = EventGREVersion1WrongProtocol
	case flags&greKey == 0:
		wrong = EventGREVersion1NoKey
	}
	size := 8
	if flags&greSequence != 0 {
		size += 4
	}
	if flags&greAck != 0 {
		size += 4
	}
	if wrong == Valid && size > len(b) {
		wrong = EventGREVersion1HeaderTooBig
	}
	if wrong != Valid {
		p.bad(wrong)
		return 0
	}
	return size
}

// decodeERSPAN takes off the header of ERSPAN type II (draft-foschiano-erspan, 4.2):
//
//	0 | version 4 | VLAN id 12 | class 3 | encapsulation 2 | truncated 1 | session 10 |
//	4 | reserved 12            | port index 20                                       |
func (p *Packet) decodeERSPAN(b []byte) bool {
	if !p.layer() {
		return false
	}
	if len(b) < 8 {
		return p.bad(EventERSPANHeaderTooSmall)
	}
	word := binary.BigEndian.Uint16(b)
	if word>>12 != 1 {
		return p.bad(EventERSPANUnsupportedVersion)
	}
	if word&0x0fff != 0 {
		if int(p.VLANs) == MaxVLANs {
			return p.bad(EventERSPANTooManyVLANLayers)
		}
		p.addVLAN(word)
	}
	return p.decodeEthernet(b[8:])
}
