package packet

import "encoding/binary"

// decodeTransport decodes b, what follows the IP header and its extensions. Of
// protocols that it does not know all of b is L4, and there is no payload.
func (p *Packet) decodeTransport(b []byte) {
	switch p.Proto {
	case ProtoTCP:
		p.decodeTCP(b)
	case ProtoUDP:
		p.decodeUDP(b)
	case ProtoICMP, ProtoICMPv6:
		p.decodeICMP(b)
	case ProtoSCTP:
		p.decodeSCTP(b)
	case ProtoESP:
		p.decodeESP(b)
	default:
		p.L4 = b
	}
}

// decodeFragment reads the transport header of a first fragment, for those who
// decide by ports alone. Nothing is said about it, and nothing of it is verified: it may not be
// all there, and only the whole datagram can tell what is wrong.
func (p *Packet) decodeFragment(b []byte) {
	if p.FragOffset == 0 {
		events, invalid, opt := p.Events, p.Invalid, p.opt
		p.opt = Options{}
		p.decodeTransport(b)
		p.Events, p.Invalid, p.opt, p.Tracked = events, invalid, opt, false
	}
	if p.L4 == nil {
		p.Payload = b
		p.SrcPort, p.DstPort, p.TCP = 0, 0, TCP{}
	}
}

// verify makes the packet invalid if b, a transport header and what it covers, has the
// wrong checksum over pseudo-header and bytes. Where segments of a route are left the
// pseudo-header holds the final destination, which only the routing header's own type could tell
// (RFC 8200, 8.1).
func (p *Packet) verify(b []byte, fault Event) {
	if p.opt.VerifyChecksums && !p.routed && transportSum(p.IPVersion, p.Src, p.Dst, p.Proto, b) != 0 {
		p.wrongSum(fault)
	}
}

// wrongSum notes that the transport checksum is wrong.
func (p *Packet) wrongSum(fault Event) {
	p.ChecksumBad = true
	p.fault(fault)
}

// decodeTCP decodes a segment (RFC 9293, 3.1):
//
//	 0 |          source port          |       destination port        |
//	 4 |                        sequence number                        |
//	 8 |                    acknowledgment number                      |
//	12 |offset | rsrvd |     flags     |            window             |
//	16 |           checksum            |        urgent pointer         |
//	20 |                            options                            |
func (p *Packet) decodeTCP(b []byte) {
	if len(b) < 20 {
		p.bad(EventTCPPacketTooSmall)
		return
	}
	header := int(b[12]>>4) * 4
	switch {
	case header > len(b):
		p.bad(EventTCPHeaderLenTooSmall)
		return
	case header < 20:
		p.bad(EventTCPInvalidOptlen)
		return
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	t := &p.TCP
	t.Seq = binary.BigEndian.Uint32(b[4:])
	t.Ack = binary.BigEndian.Uint32(b[8:])
	t.Reserved, t.Flags = b[12]&0x0f, b[13]
	t.Window = binary.BigEndian.Uint16(b[14:])
	t.Urgent = binary.BigEndian.Uint16(b[18:])
	p.L4, p.Payload, p.Tracked = b, b[header:], true
	if header > 20 {
		p.decodeTCPOptions(b[20:header])
	}
	p.verify(b, FaultTCPChecksum)
}

// decodeUDP decodes a datagram (RFC 768). The length covers header and data;
// bytes beyond it belong to nobody and are cut off the payload.
//
//	0 |          source port          |       destination port        |
//	4 |            length             |           checksum            |
func (p *Packet) decodeUDP(b []byte) {
	if len(b) < 8 {
		p.bad(EventUDPHeaderLenTooSmall)
		return
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if p.Fragment {
		length = len(b) // the field counts the other fragments too
	}
	switch {
	case length > len(b):
		p.bad(EventUDPPacketTooSmall)
		return
	case length < 8:
		p.bad(EventUDPLenInvalid)
		return
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.L4, p.Payload, p.Tracked = b, b[8:length], true
	if p.opt.Tunnels && (tunnelPort(p.SrcPort) || tunnelPort(p.DstPort)) {
		p.decodeUDPTunnel()
	}
	// No checksum (0) is for IPv4 only (RFC 8200, 8.1).
	switch {
	case b[6]|b[7] != 0:
		p.verify(b[:length], FaultUDPChecksum)
	case p.IPVersion == 6 && p.opt.VerifyChecksums && !p.routed:
		p.wrongSum(FaultUDPChecksum)
	}
}

// decodeSCTP decodes the common header (RFC 9260, 3.1). Its CRC32c is left to
// the hosts: the firewall does not interpret chunks.
//
//	0 |          source port          |       destination port        |
//	4 |                       verification tag                        |
//	8 |                            CRC32c                             |
func (p *Packet) decodeSCTP(b []byte) {
	if len(b) < 12 {
		p.bad(EventSCTPPacketTooSmall)
		return
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.L4, p.Payload, p.Tracked = b, b[12:], true
}

// decodeESP decodes the part of a packet that is not encrypted (RFC 4303, 2):
//
//	0 | security parameters index |
//	4 | sequence number           |
func (p *Packet) decodeESP(b []byte) {
	if !p.layer() {
		return
	}
	if len(b) < 8 {
		p.bad(EventESPPacketTooSmall)
		return
	}
	p.SPI = binary.BigEndian.Uint32(b)
	p.L4, p.Payload, p.Tracked = b, b[8:], true
}
