package packet

import (
	"encoding/binary"
	"slices"
)

// replyTTL is the TTL or hop limit of every packet made here.
const replyTTL = 64

// Reset is the part of a RST segment that decides whether its receiver
// believes it.
type Reset struct {
	Seq, Ack uint32
	Flags    uint8 // RST, or RST|ACK
}

// ResetFor derives a reset from the offending segment seg alone. With back it is
// for seg's sender and looks as if it came from seg's receiver; without, it is
// for seg's receiver and looks as if it came from seg's sender.
//
// To the sender it answers as a host without a connection does (RFC 9293,
// 3.10.7.1): with the sequence number that seg acknowledges, or else, acknowledging
// all of seg. A sender that is ahead of its acknowledgments may take
// the first for a challenge (RFC 5961, 3.2); a caller that tracks the connection
// puts the exact number into Seq.
//
// To the receiver it takes seg's place: its sequence number is the one that
// the receiver waits for if seg was in order (RFC 5961 wants exactly that), and
// it keeps seg's acknowledgment, without which a host in SYN-SENT ignores a
// reset (RFC 9293, 3.10.7.3).
func ResetFor(seg *Packet, back bool) Reset {
	acks := seg.TCP.Flags&ACK != 0
	switch {
	case back && acks:
		return Reset{Seq: seg.TCP.Ack, Flags: RST}
	case back:
		return Reset{Ack: uint32(Seq(seg.TCP.Seq).Add(seg.SegLen())), Flags: RST | ACK}
	case acks:
		return Reset{Seq: seg.TCP.Seq, Ack: seg.TCP.Ack, Flags: RST | ACK}
	}
	return Reset{Seq: seg.TCP.Seq, Flags: RST}
}

// AppendReset appends to buf the whole IP packet of reset r for the sender
// (back) or the receiver of seg. It allocates only if buf lacks room; 60 bytes
// are enough. buf comes back unchanged if seg is invalid, has no TCP header, or is
// a reset itself: a reset is never answered (RFC 9293, 3.5.2).
func AppendReset(buf []byte, seg *Packet, back bool, r Reset) []byte {
	if seg.Invalid != Valid || seg.Proto != ProtoTCP || seg.L4 == nil || seg.TCP.Flags&RST != 0 {
		return buf
	}
	src, dst, sport, dport := seg.Src, seg.Dst, seg.SrcPort, seg.DstPort
	if back {
		src, dst, sport, dport = dst, src, dport, sport
	}
	buf, l4 := appendIP(buf, seg.IPVersion, src, dst, ProtoTCP, 20)
	binary.BigEndian.PutUint16(l4[0:], sport)
	binary.BigEndian.PutUint16(l4[2:], dport)
	binary.BigEndian.PutUint32(l4[4:], r.Seq)
	binary.BigEndian.PutUint32(l4[8:], r.Ack)
	l4[12] = 20 / 4 << 4
	l4[13] = r.Flags
	binary.BigEndian.PutUint16(l4[16:], transportSum(seg.IPVersion, src, dst, ProtoTCP, l4))
	return buf
}

// AppendEmpty appends to buf the TCP segment that Suricata makes up for a flow that has ended, with the
// addresses and ports of p and the number seq: it has neither flags nor data. 60 bytes are enough.
func AppendEmpty(buf []byte, p *Packet, seq uint32) []byte {
	start := len(buf)
	buf, l4 := appendIP(buf, p.IPVersion, p.Src, p.Dst, ProtoTCP, 20)
	if h := buf[start : len(buf)-20]; p.IPVersion == 4 {
		h[6], h[10], h[11] = 0, 0, 0 // without "don't fragment"
		binary.BigEndian.PutUint16(h[10:], checksum(0, h))
	}
	binary.BigEndian.PutUint16(l4[0:], p.SrcPort)
	binary.BigEndian.PutUint16(l4[2:], p.DstPort)
	binary.BigEndian.PutUint32(l4[4:], seq)
	l4[12] = 20 / 4 << 4
	l4[14] = 10 // of the window
	binary.BigEndian.PutUint16(l4[16:], transportSum(p.IPVersion, p.Src, p.Dst, ProtoTCP, l4))
	return buf
}

// How long an ICMP error may be: for IPv4 as much as every host must accept
// (RFC 1812, 4.3.2.3), for IPv6 the least MTU (RFC 4443, 2.4 c).
const (
	maxICMP4Error = 576
	maxICMP6Error = 1280
)

// AppendUnreachable appends to buf the ICMP error that refuses p to its sender
// in the name of its destination: "port unreachable" (RFC 792), at which hosts
// give up at once, or for IPv6 "administratively prohibited" (RFC 4443, 3.1). It
// quotes as much of p as fits. It allocates only if buf lacks room; 1280 bytes
// are enough.
//
// buf comes back unchanged where no error may be sent (RFC 1122, 3.2.2; RFC 4443,
// 2.4 e): about invalid packets, ICMP errors and redirects, later fragments,
// packets to several hosts, and senders that are no single host. Limiting the rate is the caller's duty.
func AppendUnreachable(buf []byte, p *Packet) []byte {
	redirect := p.Proto == ProtoICMPv6 && p.ICMP.Type == icmp6Redirect
	if p.Invalid != Valid || p.IPVersion == 0 || p.FragOffset != 0 || redirect || p.ICMPError() ||
		!singleHost(p.Src) || !singleHost(p.Dst) {
		return buf
	}
	header, limit, proto := 20, maxICMP4Error, uint8(ProtoICMP)
	typ, code := uint8(icmp4Unreachable), uint8(icmp4PortUnreachable)
	if p.IPVersion == 6 {
		header, limit, proto = 40, maxICMP6Error, ProtoICMPv6
		typ, code = icmp6Unreachable, icmp6Prohibited
	}
	quote := p.Net[:min(len(p.Net), limit-header-8)]
	buf, l4 := appendIP(buf, p.IPVersion, p.Dst, p.Src, proto, 8+len(quote))
	l4[0], l4[1] = typ, code
	copy(l4[8:], quote)
	sum := checksum(0, l4)
	if p.IPVersion == 6 {
		sum = transportSum(6, p.Dst, p.Src, proto, l4)
	}
	binary.BigEndian.PutUint16(l4[2:], sum)
	return buf
}

// singleHost reports whether a can be the address of one host: not unspecified,
// multicast or the limited broadcast address. Directed broadcast cannot be told
// without the netmask.
func singleHost(a Addr) bool {
	ip := a.Netip()
	return !ip.IsUnspecified() && !ip.IsMulticast() && a != Addr{10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: 0xff, 15: 0xff}
}

// appendIP appends an IP header and size zero bytes for its payload, and returns
// the buffer and the payload. IPv4 packets have "don't fragment" set, so that an
// identification of 0 is allowed (RFC 6864, 4.1).
func appendIP(buf []byte, version uint8, src, dst Addr, proto uint8, size int) (grown, payload []byte) {
	header := 20
	if version == 6 {
		header = 40
	}
	start := len(buf)
	buf = slices.Grow(buf, header+size)[:start+header+size]
	clear(buf[start:])
	h := buf[start : start+header]
	if version == 6 {
		h[0] = 6 << 4
		binary.BigEndian.PutUint16(h[4:], uint16(size))
		h[6], h[7] = proto, replyTTL
		copy(h[8:], src[:])
		copy(h[24:], dst[:])
	} else {
		h[0] = 4<<4 | 20/4
		binary.BigEndian.PutUint16(h[2:], uint16(header+size))
		h[6] = 0x40 // don't fragment
		h[8], h[9] = replyTTL, proto
		copy(h[12:], src[12:])
		copy(h[16:], dst[12:])
		binary.BigEndian.PutUint16(h[10:], checksum(0, h))
	}
	return buf, buf[start+header:]
}
