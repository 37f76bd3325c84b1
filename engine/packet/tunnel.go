package packet

import "encoding/binary"

// From says what a packet came out of. It is the pkt_src of records.
type From uint8

const (
	FromWire From = iota
	FromGRE
	FromIPv4
	FromIPv6
	FromTeredo
	FromVXLAN
	FromGENEVE
	FromDefrag // put together from fragments
)

// fromNames are Suricata's words.
var fromNames = [...]string{"wire/pcap", "gre tunnel", "ipv4 tunnel", "ipv6 tunnel", "teredo tunnel", "vxlan encapsulation", "geneve encapsulation", "defrag"}

// String returns Suricata's word for it.
func (f From) String() string { return fromNames[f] }

// MaxDepth bounds Packet.Depth: an inner packet has two layers at least, itself and
// its IP header.
const MaxDepth = maxLayers/2 - 1

// Inner is a packet that another one carries, not decoded.
type Inner struct {
	Data []byte // borrowed like the outer packet's; nil: there is none
	From From
	kind innerKind
}

// innerKind is what Inner.Data starts with.
type innerKind uint8

const (
	innerIPv4 innerKind = iota
	innerIPv6
	innerTeredo // IPv6 that is only worth believing when it is intact
	innerEthernet
	innerERSPAN // type II; type I is an Ethernet frame
	innerVLAN
	innerPPP
)

// carry notes the packet that p carries.
func (p *Packet) carry(b []byte, kind innerKind, from From) {
	if !p.opt.Tunnels {
		return
	}
	if p.layers+1 >= maxLayers {
		p.bad(EventTooManyLayers)
		return
	}
	p.Inner = Inner{Data: b[:len(b):len(b)], From: from, kind: kind}
}

// DecodeInner decodes the packet that outer carries. It reports false, and p is
// nothing, if the bytes are no packet after all; then outer's content is its payload
// like any other. Callers that see false set outer.Inner to nothing, so that it is not taken for
// a tunnel.
func (p *Packet) DecodeInner(outer *Packet) bool {
	in := &outer.Inner
	p.reset(in.Data, LinkRaw12, outer.opt)
	p.layers, p.Depth, p.From = outer.layers+1, outer.Depth+1, in.From
	switch in.kind {
	case innerIPv4:
		return p.decodeIPv4(in.Data)
	case innerIPv6:
		return p.decodeIPv6(in.Data)
	case innerTeredo:
		return p.decodeIPv6(in.Data) && (p.Invalid == Valid || p.Invalid.Checksum())
	case innerEthernet:
		return p.decodeEthernet(in.Data)
	case innerERSPAN:
		return p.decodeERSPAN(in.Data)
	case innerVLAN:
		return p.decodeVLAN(in.Data)
	}
	return p.decodePPP(in.Data)
}

// DecodeDatagram decodes the packet that frag has completed: data, whose IP header is at link, and
// which came the same way as frag. It reports false if that header is not intact.
func (p *Packet) DecodeDatagram(frag *Packet, data []byte, link int) bool {
	p.reset(data, frag.Link, frag.opt)
	p.Depth, p.From = frag.Depth, FromDefrag
	p.VLAN, p.VLANs = frag.VLAN, frag.VLANs
	if frag.IPVersion == 6 {
		return p.decodeIPv6(data[link:])
	}
	return p.decodeIPv4(data[link:])
}

// UDP ports of tunnels (IANA).
const (
	portTeredo = 3544
	portVXLAN  = 4789
	portGENEVE = 6081
)

// decodeUDPTunnel looks for a packet in the datagram p. Not everything that goes
// to one of the ports is a tunnel: what does not look like one is left alone.
func (p *Packet) decodeUDPTunnel() {
	uses := func(port uint16) bool { return p.SrcPort == port || p.DstPort == port }
	switch {
	case uses(portTeredo) && p.decodeTeredo(p.Payload):
	case uses(portGENEVE) && p.decodeGENEVE(p.Payload):
	case uses(portVXLAN) && p.decodeVXLAN(p.Payload):
	}
}

func tunnelPort(port uint16) bool {
	return port == portTeredo || port == portVXLAN || port == portGENEVE
}

// decodeTeredo finds IPv6 in UDP (RFC 4380, 5.1.1), which nothing but its own
// header makes known, and a hop limit. An origin indication may be in front of it:
//
//	0 | 0 | 0 | obscured port | obscured address |
func (p *Packet) decodeTeredo(b []byte) bool {
	if len(b) < 40 {
		return false
	}
	if b[0] == 0 {
		if b[1] != 0 || len(b) < 48 {
			return false
		}
		b = b[8:]
	}
	if b[0]>>4 != 6 || b[7] == 0 || len(b) != 40+int(binary.BigEndian.Uint16(b[4:])) {
		return false
	}
	p.carry(b, innerTeredo, FromTeredo)
	return true
}

// decodeVXLAN takes off a VXLAN header (RFC 7348, 5) and the Ethernet header
// behind it. Of other frames than those with IP and tags nothing is taken:
//
//	0 | R R R R I R R R | reserved 24 |
//	4 | network identifier 24         | reserved 8 |
func (p *Packet) decodeVXLAN(b []byte) bool {
	if len(b) < 8+ethernetSize {
		return false
	}
	if b[0]&0x08 == 0 || b[7] != 0 || !p.layer() {
		return false
	}
	etherType, frame := binary.BigEndian.Uint16(b[8+12:]), b[8+ethernetSize:]
	switch etherType {
	case etherIPv4:
		p.carry(frame, innerIPv4, FromVXLAN)
	case etherIPv6:
		p.carry(frame, innerIPv6, FromVXLAN)
	case etherVLAN, etherQinQ, etherQinQ91:
		p.carry(frame, innerVLAN, FromVXLAN)
	case etherARP:
	default:
		p.bad(EventVXLANUnknownPayloadType)
	}
	return true
}

// decodeGENEVE takes off a GENEVE header (RFC 8926, 3.4), with as many options as
// its length says in words of 4 bytes:
//
//	0 | version 2 | options length 6 | O C reserved 6 | protocol type 16 |
//	4 | network identifier 24                         | reserved 8       |
func (p *Packet) decodeGENEVE(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	size := 8 + int(b[0]&0x3f)*4
	if b[0]>>6 != 0 || b[1]&0x3f != 0 || b[7] != 0 || size > len(b) || !geneveOptions(b[8:size]) || !p.layer() {
		return false
	}
	etherType, rest := binary.BigEndian.Uint16(b[2:]), b[size:]
	switch etherType {
	case etherIPv4:
		p.carry(rest, innerIPv4, FromGENEVE)
	case etherIPv6:
		p.carry(rest, innerIPv6, FromGENEVE)
	case etherBridge:
		p.carry(rest, innerEthernet, FromGENEVE)
	case etherARP:
	default:
		p.bad(EventGeneveUnknownPayloadType)
	}
	return true
}

// geneveOptions reports whether options fill b (RFC 8926, 3.5), each
// | class 16 | type 8 | reserved 3 | length 5, in words of 4 bytes | value |.
func geneveOptions(b []byte) bool {
	for len(b) > 0 {
		size := 4 + int(b[3]&0x1f)*4
		if size > len(b) {
			return false
		}
		b = b[size:]
	}
	return true
}
