// Package packet turns bytes into headers, and headers into bytes for resets.
// It keeps no state between packets: one Packet is reused for every packet of
// a worker, and Decode sets every field of it.
//
// A packet may carry another one. Tags and headers that only say how a packet
// travels (VLAN, MPLS, PPPoE and their like) are taken off on the way to its IP
// header. What is behind an IP header of its own is a packet of its own: the
// outer one's Inner, which DecodeInner decodes.
package packet

import (
	"encoding/binary"
	"net/netip"
)

// LinkType says what the first byte of a packet is. The numbers are those of
// the pcap link-type registry, so a capture's value can be used as it is.
type LinkType uint16

const (
	LinkNull     LinkType = 0   // BSD loopback: 4-byte address family, host order
	LinkEthernet LinkType = 1   // IEEE 802.3
	LinkPPP      LinkType = 9   // PPP, with or without HDLC framing
	LinkRaw12    LinkType = 12  // raw IP, as some systems number it
	LinkRaw14    LinkType = 14  // raw IP, as some systems number it
	LinkRaw      LinkType = 101 // raw IPv4 or IPv6
	LinkCHDLC    LinkType = 104 // Cisco HDLC
	LinkLoop     LinkType = 108 // OpenBSD loopback: 4-byte address family, network order
	LinkSLL      LinkType = 113 // Linux cooked capture v1
	LinkIPv4     LinkType = 228 // raw IPv4
	LinkIPv6     LinkType = 229 // raw IPv6
	LinkSLL2     LinkType = 276 // Linux cooked capture v2
)

// IANA protocol numbers that the engine knows by name.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoIPv6   = 41
	ProtoGRE    = 47
	ProtoESP    = 50
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// TCP flag bits as they stand in byte 13 of the header (RFC 9293, 3.1).
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Addr is an IP address without pointers, so that flow keys stay invisible to
// the garbage collector. IPv4 is stored as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
type Addr [16]byte

// AddrFrom converts ip; the zone, if any, is dropped.
func AddrFrom(ip netip.Addr) Addr { return ip.As16() }

// Netip returns the address with IPv4 unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// mapped says whether the address is one of IPv4.
func (a Addr) mapped() bool {
	return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff}
}

// String prints the address in its usual form.
func (a Addr) String() string { return a.Netip().String() }

// TCP holds the fields of a TCP header. It is set when Packet.Proto is ProtoTCP
// and L4 is not nil.
type TCP struct {
	Seq, Ack uint32
	Window   uint16 // as on the wire, not scaled
	Urgent   uint16
	Flags    uint8
	Reserved uint8  // the 4 reserved bits, low nibble
	WScale   uint8  // shift of the window scale option; see HasWScale
	MSS      uint16 // see HasMSS
	TSVal    uint32 // timestamp option; see HasTS
	TSEcr    uint32
	SACKs    uint8 // blocks of the SACK option; see Packet.SACK
	sackAt   uint8 // where they are in L4

	HasMSS, HasWScale, HasTS, SACKOK bool
	FastOpen                         bool // the option of RFC 7413, in its experimental forms, too
}

// ICMP holds the first words of an ICMPv4 or ICMPv6 header.
type ICMP struct {
	Type, Code uint8
	ID, Seq    uint16 // of echo messages, else 0
}

// MaxVLANs is how many VLAN tags a packet can have; Suricata's figure. Networks use two.
const MaxVLANs = 3

// Packet is one decoded packet. All slices are borrowed from the bytes given to
// Decode and live exactly as long as those do.
type Packet struct {
	Data    []byte // everything that was given to Decode
	Net     []byte // the IP packet from its first header byte to its last byte by its own length field; nil without an IP header that can be trusted
	L4      []byte // the transport header and what follows, within Net; nil for later fragments, and where the header is broken
	Payload []byte // what follows the transport header, within Net

	Src, Dst         Addr
	SrcPort, DstPort uint16 // TCP, UDP, SCTP; 0 for everything else
	SPI              uint32 // of ESP

	LinkLen   int              // bytes in front of Net: link-layer header, tags, labels
	Link      LinkType         // of Data
	EtherType uint16           // the last one in front of the IP header; 0x0800 or 0x86dd for all IP; 0 when there is none (IEEE 802.3 with a length)
	VLAN      [MaxVLANs]uint16 // 12-bit VLAN ids, outer first
	VLANs     uint8            // how many of VLAN are set
	IPVersion uint8            // 4, 6, or 0 when the packet is not IP
	Proto     uint8            // transport protocol, after IPv6 extension headers
	TTL       uint8            // TTL or hop limit
	TOS       uint8            // TOS or traffic class
	IPID      uint32           // IPv4 identification, or the IPv6 fragment header's

	Fragment   bool   // one of several fragments of a datagram
	FragOffset uint16 // in bytes
	MoreFrags  bool

	// Tracked says that Suricata has flows for packets like this one. Packets of other
	// protocols, and ICMP errors, have none there.
	Tracked bool

	TCP  TCP
	ICMP ICMP

	ChecksumBad bool // the transport checksum is wrong, so far as it was verified

	Events  Events // what decoding, and then connection tracking, noticed
	Invalid Event  // why the packet cannot be trusted, or Valid

	Inner Inner // the packet that this one carries, if any
	Depth uint8 // how many packets are around this one
	From  From  // what it came out of

	opt    Options
	layers uint8 // headers so far, those around it included
	routed bool  // a routing header has segments left
}

// RulePayload is the payload as rules see it: not that of a packet that carries another one, which is
// judged by itself.
func (p *Packet) RulePayload() []byte {
	if p.Inner.Data != nil {
		return nil
	}
	return p.Payload
}

// SACK returns block i, below TCP.SACKs, of the SACK option (RFC 2018, 3).
func (p *Packet) SACK(i int) (left, right uint32) {
	b := p.L4[int(p.TCP.sackAt)+8*i:]
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
}
