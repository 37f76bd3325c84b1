// Package packettest builds packets for tests: complete, with correct lengths
// and checksums, from a few arguments. Its functions panic on arguments that
// make no packet, since those are mistakes of the test.
//
// It shares no code with the decoder, so that one can test the other.
package packettest

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Protocol numbers (IANA) and link-layer types that the builders put in headers.
const (
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoFragment = 44
	protoICMPv6   = 58

	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
)

// header is what Options change.
type header struct {
	ttl, tos uint8
	id       uint16 // IPv4 only
	window   uint16
	urgent   uint16
	tcpOpts  []byte
	ipOpts   []byte
}

// An Option changes one header field from its default.
type Option func(*header)

// TTL sets the TTL or hop limit; the default is 64.
func TTL(n uint8) Option { return func(h *header) { h.ttl = n } }

// TOS sets the TOS or traffic class; the default is 0.
func TOS(n uint8) Option { return func(h *header) { h.tos = n } }

// ID sets the IPv4 identification; the default is 0.
func ID(n uint16) Option { return func(h *header) { h.id = n } }

// Window sets the TCP window; the default is 65535.
func Window(n uint16) Option { return func(h *header) { h.window = n } }

// Urgent sets the urgent pointer; the default is 0.
func Urgent(n uint16) Option { return func(h *header) { h.urgent = n } }

// TCPOptions sets the bytes between TCP header and payload, padded here to a
// multiple of 4 with end-of-options.
func TCPOptions(b ...byte) Option { return func(h *header) { h.tcpOpts = pad4(b) } }

// IPOptions sets the options of an IPv4 header, padded like TCPOptions.
func IPOptions(b ...byte) Option { return func(h *header) { h.ipOpts = pad4(b) } }

func pad4(b []byte) []byte {
	return append(append([]byte{}, b...), make([]byte, -len(b)&3)...)
}

func apply(opts []Option) header {
	h := header{ttl: 64, window: 65535}
	for _, o := range opts {
		o(&h)
	}
	return h
}

// TCP returns an IP packet with one TCP segment. src and dst are written
// "10.0.0.1:1234" or "[2001:db8::1]:443"; flags are byte 13 of the header.
func TCP(src, dst string, flags uint8, seq, ack uint32, payload []byte, opts ...Option) []byte {
	h := apply(opts)
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	l4 := make([]byte, 20, 20+len(h.tcpOpts)+len(payload))
	binary.BigEndian.PutUint16(l4[0:], s.Port())
	binary.BigEndian.PutUint16(l4[2:], d.Port())
	binary.BigEndian.PutUint32(l4[4:], seq)
	binary.BigEndian.PutUint32(l4[8:], ack)
	l4[12] = byte(20+len(h.tcpOpts)) / 4 << 4
	l4[13] = flags
	binary.BigEndian.PutUint16(l4[14:], h.window)
	binary.BigEndian.PutUint16(l4[18:], h.urgent)
	l4 = append(append(l4, h.tcpOpts...), payload...)
	binary.BigEndian.PutUint16(l4[16:], transportSum(s.Addr(), d.Addr(), protoTCP, l4))
	return ip(s.Addr(), d.Addr(), protoTCP, l4, h)
}

// UDP returns an IP packet with one UDP datagram; addresses as for TCP.
func UDP(src, dst string, payload []byte, opts ...Option) []byte {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	l4 := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(l4[0:], s.Port())
	binary.BigEndian.PutUint16(l4[2:], d.Port())
	binary.BigEndian.PutUint16(l4[4:], uint16(8+len(payload)))
	l4 = append(l4, payload...)
	sum := transportSum(s.Addr(), d.Addr(), protoUDP, l4)
	if sum == 0 {
		sum = 0xffff // 0 means "no checksum" (RFC 768)
	}
	binary.BigEndian.PutUint16(l4[6:], sum)
	return ip(s.Addr(), d.Addr(), protoUDP, l4, apply(opts))
}

// ICMPEcho returns an echo request or reply between two addresses written
// without ports, in ICMP or ICMPv6 as the addresses say.
func ICMPEcho(src, dst string, reply bool, id, seq uint16, payload []byte, opts ...Option) []byte {
	typ := uint8(8)
	if reply {
		typ = 0
	}
	if netip.MustParseAddr(src).Is6() {
		typ = 128
		if reply {
			typ = 129
		}
	}
	return ICMP(src, dst, typ, 0, uint32(id)<<16|uint32(seq), payload, opts...)
}

// ICMP returns any ICMP or ICMPv6 message; rest is the second word of its
// header. An error message has the packet that it quotes as its body.
func ICMP(src, dst string, typ, code uint8, rest uint32, body []byte, opts ...Option) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	l4 := make([]byte, 8, 8+len(body))
	l4[0], l4[1] = typ, code
	binary.BigEndian.PutUint32(l4[4:], rest)
	l4 = append(l4, body...)
	proto := uint8(protoICMP)
	if s.Is6() {
		proto = protoICMPv6
		binary.BigEndian.PutUint16(l4[2:], transportSum(s, d, proto, l4))
	} else {
		binary.BigEndian.PutUint16(l4[2:], ^sum(l4))
	}
	return ip(s, d, proto, l4, apply(opts))
}

// IP returns an IP packet with any payload between two addresses written
// without ports.
func IP(src, dst string, proto uint8, payload []byte, opts ...Option) []byte {
	return ip(netip.MustParseAddr(src), netip.MustParseAddr(dst), proto, payload, apply(opts))
}

func ip(s, d netip.Addr, proto uint8, l4 []byte, h header) []byte {
	if s.Is4() != d.Is4() {
		panic(fmt.Sprintf("packettest: %v and %v are of different IP versions", s, d))
	}
	if s.Is4() {
		p := make([]byte, 20, 20+len(h.ipOpts)+len(l4))
		p[0] = 4<<4 | byte(20+len(h.ipOpts))/4
		p[1] = h.tos
		binary.BigEndian.PutUint16(p[2:], uint16(20+len(h.ipOpts)+len(l4)))
		binary.BigEndian.PutUint16(p[4:], h.id)
		p[8], p[9] = h.ttl, proto
		copy(p[12:], s.AsSlice())
		copy(p[16:], d.AsSlice())
		p = append(p, h.ipOpts...)
		binary.BigEndian.PutUint16(p[10:], ^sum(p))
		return append(p, l4...)
	}
	p := make([]byte, 40, 40+len(l4))
	binary.BigEndian.PutUint32(p, 6<<28|uint32(h.tos)<<20)
	binary.BigEndian.PutUint16(p[4:], uint16(len(l4)))
	p[6], p[7] = proto, h.ttl
	copy(p[8:], s.AsSlice())
	copy(p[24:], d.AsSlice())
	return append(p, l4...)
}

// Ethernet puts an Ethernet header before an IP packet, with VLAN tags
// (802.1Q) from the outer to the inner.
func Ethernet(ip []byte, vlans ...uint16) []byte {
	p := []byte{
		0x02, 0, 0, 0, 0, 0x02, // destination
		0x02, 0, 0, 0, 0, 0x01, // source
	}
	for _, v := range vlans {
		p = binary.BigEndian.AppendUint16(p, etherVLAN)
		p = binary.BigEndian.AppendUint16(p, v)
	}
	etherType := uint16(etherIPv4)
	if ip[0]>>4 == 6 {
		etherType = etherIPv6
	}
	return append(binary.BigEndian.AppendUint16(p, etherType), ip...)
}

// Fragments cuts an IP packet into fragments of at most mtu bytes each. IPv4
// options must be absent; an IPv6 packet must have no extension header.
func Fragments(ip []byte, mtu int) [][]byte {
	v6 := ip[0]>>4 == 6
	header, room := 20, mtu-20
	if v6 {
		header, room = 40, mtu-40-8
	}
	room &^= 7 // offsets count units of 8 bytes
	if room < 8 {
		panic(fmt.Sprintf("packettest: an mtu of %d leaves no room for a fragment", mtu))
	}
	var frags [][]byte
	body := ip[header:]
	for off := 0; off < len(body); off += room {
		part := body[off:min(off+room, len(body))]
		more := off+room < len(body)
		f := append([]byte{}, ip[:header]...)
		if v6 {
			word := uint16(off)
			if more {
				word |= 1
			}
			f[6] = protoFragment
			f = append(f, ip[6], 0)
			f = binary.BigEndian.AppendUint16(f, word)
			f = binary.BigEndian.AppendUint32(f, 0x1234)
			binary.BigEndian.PutUint16(f[4:], uint16(8+len(part)))
		} else {
			word := uint16(off / 8)
			if more {
				word |= 0x2000
			}
			binary.BigEndian.PutUint16(f[2:], uint16(header+len(part)))
			binary.BigEndian.PutUint16(f[6:], word)
			f[10], f[11] = 0, 0
			binary.BigEndian.PutUint16(f[10:], ^sum(f))
		}
		frags = append(frags, append(f, part...))
	}
	return frags
}

// transportSum is the checksum over pseudo-header and segment (RFC 9293, 3.1;
// RFC 8200, 8.1), whose own checksum field must be 0.
func transportSum(s, d netip.Addr, proto uint8, l4 []byte) uint16 {
	pseudo := append(s.AsSlice(), d.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(l4)))
	pseudo = append(pseudo, 0, 0, 0, proto)
	return ^sum(append(pseudo, l4...))
}

// sum is the ones' complement sum of 16-bit words (RFC 1071), one at a time.
func sum(b []byte) uint16 {
	var s uint32
	for i, c := range b {
		if i%2 == 0 {
			s += uint32(c) << 8
		} else {
			s += uint32(c)
		}
		s = s&0xffff + s>>16
	}
	return uint16(s)
}
