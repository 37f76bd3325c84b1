package flow

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluicefw/sluice/engine/packet"
)

// Key names a flow: the 5-tuple in the direction of its first packet, the VLAN
// stack it was seen in and the tunnel it was found in. It holds no pointer and
// no padding, so two keys are compared as memory.
//
// ICMP has no ports. As in Suricata, SrcPort is the message type and DstPort
// the type of its counterpart, so that an echo reply finds the echo's flow. ESP
// has none either: they are the halves of its security parameters index, which each
// direction has for itself.
type Key struct {
	Src, Dst         packet.Addr
	SrcPort, DstPort uint16
	Proto            uint8
	Place            Place
}

// Place is where a flow is seen: three VLAN ids of 12 bits, the outer one first, and in 4 bits
// how many packets are around those of the flow.
type Place [5]uint8

// PlaceOf returns the place of a packet with these VLAN ids, and so many packets around it.
func PlaceOf(vlan [packet.MaxVLANs]uint16, depth uint8) (l Place) {
	if vlan == [packet.MaxVLANs]uint16{} && depth == 0 {
		return l
	}
	n := uint64(depth) << tunnelShift
	for i, id := range vlan {
		n |= uint64(id&vlanMask) << (vlanBits * i)
	}
	binary.LittleEndian.PutUint32(l[:], uint32(n))
	l[4] = uint8(n >> 32)
	return l
}

const (
	vlanBits    = 12
	vlanMask    = 1<<vlanBits - 1
	tunnelShift = vlanBits * packet.MaxVLANs

	// noTunnel is a number of packets around it that no packet has.
	noTunnel = 15
)

var _ [noTunnel - 1 - packet.MaxDepth]struct{} // or it does not fit

func (l *Place) bits() uint64 { return uint64(binary.LittleEndian.Uint32(l[:])) | uint64(l[4])<<32 }

// VLAN returns the VLAN ids, outer first, 0 for none.
func (l Place) VLAN() (ids [packet.MaxVLANs]uint16) {
	for i := range ids {
		ids[i] = uint16(l.bits()>>(vlanBits*i)) & vlanMask
	}
	return ids
}

// Tunnel returns how many packets are around those of the flow.
func (l Place) Tunnel() uint8 { return l[4] >> (tunnelShift - 32) }

// either reports whether k and o are of the same flow.
func (k *Key) either(o *Key) bool {
	return *k == *o || k.Src == o.Dst && k.Dst == o.Src && *k == o.Reverse()
}

// Reverse returns the key as the other side's packets carry it. No packet has that of ESP, where
// each direction has an index of its own.
func (k *Key) Reverse() Key {
	r := *k
	if k.Proto == packet.ProtoESP {
		r.Place[4] |= noTunnel << (tunnelShift - 32)
	}
	r.Src, r.Dst = k.Dst, k.Src
	r.SrcPort, r.DstPort = k.DstPort, k.SrcPort
	return r
}

// KeyOf fills k from a valid IP packet.
func KeyOf(k *Key, p *packet.Packet) {
	k.Src, k.Dst = p.Src, p.Dst
	k.Proto = p.Proto
	k.Place = PlaceOf(p.VLAN, p.Depth)
	switch p.Proto {
	case packet.ProtoICMP:
		k.SrcPort, k.DstPort = uint16(p.ICMP.Type), uint16(counterpart4(p.ICMP.Type))
	case packet.ProtoICMPv6:
		k.SrcPort, k.DstPort = uint16(p.ICMP.Type), uint16(counterpart6(p.ICMP.Type))
	case packet.ProtoESP:
		k.SrcPort, k.DstPort = uint16(p.SPI>>16), uint16(p.SPI)
	default:
		k.SrcPort, k.DstPort = p.SrcPort, p.DstPort
	}
}

// SPI is the security parameters index of an ESP flow.
func (k *Key) SPI() uint32 { return uint32(k.SrcPort)<<16 | uint32(k.DstPort) }

// HasPorts says whether SrcPort and DstPort of this protocol are ports.
func HasPorts(proto uint8) bool {
	return proto == packet.ProtoTCP || proto == packet.ProtoUDP || proto == packet.ProtoSCTP
}

// counterpart4 pairs the queries and replies of RFC 792, 950 and 1256. Other types have no
// counterpart, which is 0 here: each direction is a flow.
func counterpart4(t uint8) uint8 {
	switch t {
	case 0, 8: // echo
		return 8 - t
	case 13, 15, 17: // timestamp, information, address mask requests
		return t + 1
	case 14, 16, 18:
		return t - 1
	case 9: // router advertisement
		return 10
	case 10:
		return 9
	}
	return 0
}

// counterpart6 pairs the queries and replies of RFC 4443, 2710, 4861, 4620, 6275, 3971, 4286 and 6775.
func counterpart6(t uint8) uint8 {
	switch t {
	case 128, 130, 133, 135, 139: // echo, listener, router, neighbour, node information
		return t + 1
	case 144, 146, 148, 151, 157: // home agent, mobile prefix, certification path, multicast router, duplicate address
		return t + 1
	case 129, 131, 134, 136, 140, 145, 147, 149, 152, 158:
		return t - 1
	}
	return 0
}

// hash is equal for a key and its reverse. The seed is secret, so nobody
// outside can aim at one bucket.
func (k *Key) hash(seed *[2]uint64) uint64 {
	src := mix(binary.LittleEndian.Uint64(k.Src[:8])^seed[0], binary.LittleEndian.Uint64(k.Src[8:])^seed[1]+uint64(k.SrcPort)<<17)
	dst := mix(binary.LittleEndian.Uint64(k.Dst[:8])^seed[0], binary.LittleEndian.Uint64(k.Dst[8:])^seed[1]+uint64(k.DstPort)<<17)
	rest := uint64(k.Proto) | k.Place.bits()<<8
	return mix(src+dst+seed[1], src^dst^rest^seed[0])
}

// ID is the Flow.ID of the flow of this key whose first packet came at first.
func (k *Key) ID(first int64) uint64 {
	return max(1, mix(k.hash(&[2]uint64{}), uint64(first))>>11)
}

// mix multiplies to 128 bits and folds, as wyhash does.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xd1b54a32d192ed03)
	return hi ^ lo
}
