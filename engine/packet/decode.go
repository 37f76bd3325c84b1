package packet

import "encoding/binary"

// maxLayers bounds the headers of a packet, those of the packets around it
// included. It is Suricata's decoder.max-layers.
const maxLayers = 16

// Options are what Decode needs to know beside the bytes.
type Options struct {
	// VerifyChecksums makes a wrong checksum of IPv4, TCP, UDP, ICMP or
	// ICMPv6 invalidate the packet. Leave it off for packets whose sums are
	// not filled in yet (offload). Transport checksums of fragments cover
	// bytes that are not there and are never verified.
	VerifyChecksums bool

	// Unfilled says that checksums are still to be filled in, by a card: whatever stands there is right.
	Unfilled bool

	// Mapped lets packets of IPv6 have addresses that stand for those of IPv4 (RFC 4291, 2.5.5.2).
	Mapped bool

	// Tunnels makes Decode look for packets inside of the packet: see Inner.
	Tunnels bool
}

// Decode sets every field of p from data, whose first byte is that of link's
// header. It keeps no copy: p's slices are data's. Packets that are not IP
// (ARP, LLC) are valid, with IPVersion 0. What is odd about a packet is in
// p.Events; if it is more than odd p.Invalid says so, and the fields in front of
// the damage are set.
//
// A packet that a capture cut short is invalid like one that was cut on the
// wire, as it is in Suricata.
func (p *Packet) Decode(link LinkType, data []byte, opt Options) {
	p.reset(data, link, opt)
	p.decodeLink(data)
}

// reset forgets the packet before. It does without a literal, which the compiler
// would fill somewhere else and copy.
func (p *Packet) reset(data []byte, link LinkType, opt Options) {
	*p = Packet{}
	p.Data, p.Link, p.opt = data, link, opt
}

// note adds an event that leaves the packet valid.
func (p *Packet) note(e Event) { p.Events.Add(e) }

// bad adds an event that makes the packet invalid. It returns false, for its
// caller to return.
func (p *Packet) bad(e Event) bool {
	p.Events.Add(e)
	return p.fault(e)
}

// fault makes the packet invalid. The first reason counts; a wrong checksum does if it is the only one.
func (p *Packet) fault(e Event) bool {
	if p.Invalid == Valid || p.Invalid.Checksum() && !e.Checksum() {
		p.Invalid = e
	}
	return false
}

// layer counts a header, and reports whether the packet may have it.
func (p *Packet) layer() bool {
	p.layers++
	return p.layers < maxLayers || p.bad(EventTooManyLayers)
}

// Ethernet types (IEEE 802 numbers) that Decode acts on.
const (
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherBridge  = 0x6558 // Ethernet frames in GRE and GENEVE
	etherVLAN    = 0x8100 // IEEE 802.1Q customer tag
	etherIPv6    = 0x86dd
	etherMPLS    = 0x8847
	etherMPLSUp  = 0x8848 // MPLS with a label that the next hop has assigned
	etherPPPoED  = 0x8863 // discovery
	etherPPPoES  = 0x8864 // session
	etherQinQ    = 0x88a8 // IEEE 802.1ad service tag
	etherPBB     = 0x88e7 // IEEE 802.1ah service instance tag
	etherDCE     = 0x8903 // Cisco FabricPath
	etherVNTag   = 0x8926
	etherETag    = 0x893f // IEEE 802.1BR
	etherNSH     = 0x894f
	etherQinQ91  = 0x9100 // the service tag before it was standardized
	etherMin     = 0x0600 // below it the field is a length (IEEE 802.3, 3.2.6)
	ethernetSize = 14
)

// decodeEtherType decodes b, which starts with the header of etherType. It
// reports whether the type is one that it knows, which does not say that the
// header is intact, nor that there is more behind it that it knows.
func (p *Packet) decodeEtherType(etherType uint16, b []byte) bool {
	for known := false; ; known = true {
		p.EtherType, p.LinkLen = etherType, len(p.Data)-len(b)
		switch etherType {
		case etherIPv4:
			p.decodeIPv4(b)
		case etherIPv6:
			p.decodeIPv6(b)
		case etherVLAN, etherQinQ, etherQinQ91:
			p.decodeVLAN(b)
		case etherPBB:
			// A service instance tag brings a header of its own with it. Suricata
			// does not count it as a layer, so that it must not nest the calls.
			if len(b) < 18 {
				p.bad(EventIEEE8021ahHeaderTooSmall)
				return true
			}
			etherType, b = binary.BigEndian.Uint16(b[16:]), b[18:]
			continue
		case etherMPLS, etherMPLSUp:
			p.decodeMPLS(b)
		case etherPPPoES:
			p.decodePPPoESession(b)
		case etherPPPoED:
			p.decodePPPoEDiscovery(b)
		case etherDCE:
			if len(b) < 16 {
				p.bad(EventDCEPacketTooSmall)
				return true
			}
			p.decodeEthernet(b[2:])
		case etherVNTag:
			p.decodeVNTag(b)
		case etherETag:
			p.decodeETag(b)
		case etherNSH:
			p.decodeNSH(b)
		case etherARP:
		default:
			if etherType < etherMin {
				p.EtherType = 0
			}
			return known
		}
		return true
	}
}
