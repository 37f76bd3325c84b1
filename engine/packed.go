package engine

import (
	"encoding/binary"
	"iter"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
)

// packedFlows keeps flow records as bytes. A good part of what an operation costs a worker
// is memory that is touched for the first time, one page fault for 4 kB: a flow of IPv4
// takes 56 bytes here, and twice that as a FlowRecord.
//
// What most flows do not need is left out. All numbers are little-endian:
//
//	form 1 | protocol 1 | ports 2+2 | state, action and state of the connection 1 | protocols 3 |
//	TCP flags 2 | TTLs 4 | first 8 | last 8 | addresses 4+4 or 16+16 | packets and bytes 16 or 32 |
//	place 0 or 5
type packedFlows struct {
	chunks [][]byte
}

const (
	packedChunk = 128 << 10 // bytes that are allocated at a time
	packedHead  = 32        // up to the addresses
	packedMax   = packedHead + 32 + 32 + len(flow.Place{})
)

// Bits of a record's form.
const (
	longAddrs  = 1 << iota // not both are of IPv4
	longCounts             // some counter takes more than 32 bits
	longPlace              // in a VLAN or a tunnel
	packedMidstream
	packedAlerted
	packedGap // and the next bit: gap, by direction
)

func (p *packedFlows) add(r *FlowRecord) {
	last := len(p.chunks) - 1
	if last < 0 || cap(p.chunks[last])-len(p.chunks[last]) < packedMax {
		p.chunks = append(p.chunks, make([]byte, 0, packedChunk))
		last++
	}
	chunk := p.chunks[last]
	p.chunks[last] = chunk[:len(chunk)+r.pack((*[packedMax]byte)(chunk[len(chunk):len(chunk)+packedMax]))]
}

// unpack yields the records of a chunk, all in the same FlowRecord.
func unpack(chunk []byte) iter.Seq[*FlowRecord] {
	return func(yield func(*FlowRecord) bool) {
		for len(chunk) > 0 {
			var r FlowRecord
			chunk = chunk[r.unpack(chunk):]
			if !yield(&r) {
				return
			}
		}
	}
}

// pack writes r into b and returns how many bytes it takes.
func (r *FlowRecord) pack(b *[packedMax]byte) int {
	var form uint8
	if r.Midstream {
		form |= packedMidstream
	}
	if r.Alerted {
		form |= packedAlerted
	}
	for dir, gap := range r.gap {
		if gap {
			form |= packedGap << dir
		}
	}
	le := binary.LittleEndian
	k := &r.Key
	b[1] = k.Proto
	le.PutUint16(b[2:], k.SrcPort)
	le.PutUint16(b[4:], k.DstPort)
	b[6] = uint8(r.State)<<6 | uint8(r.Action)<<4 | uint8(r.TCPState)
	b[7], b[8], b[9] = uint8(r.App), r.protos[0], r.protos[1]
	b[10], b[11] = r.tcpFlags[0], r.tcpFlags[1]
	b[12], b[13], b[14], b[15] = r.ttl[0].min, r.ttl[0].max, r.ttl[1].min, r.ttl[1].max
	le.PutUint64(b[16:], uint64(r.First))
	le.PutUint64(b[24:], uint64(r.Last))
	n := packedHead
	if is4(&k.Src) && is4(&k.Dst) {
		copy(b[n:], k.Src[12:])
		copy(b[n+4:], k.Dst[12:])
		n += 8
	} else {
		form |= longAddrs
		copy(b[n:], k.Src[:])
		copy(b[n+16:], k.Dst[:])
		n += 32
	}
	if (r.Packets[0]|r.Packets[1]|r.Bytes[0]|r.Bytes[1])>>32 == 0 {
		le.PutUint32(b[n:], uint32(r.Packets[0]))
		le.PutUint32(b[n+4:], uint32(r.Packets[1]))
		le.PutUint32(b[n+8:], uint32(r.Bytes[0]))
		le.PutUint32(b[n+12:], uint32(r.Bytes[1]))
		n += 16
	} else {
		form |= longCounts
		le.PutUint64(b[n:], r.Packets[0])
		le.PutUint64(b[n+8:], r.Packets[1])
		le.PutUint64(b[n+16:], r.Bytes[0])
		le.PutUint64(b[n+24:], r.Bytes[1])
		n += 32
	}
	if k.Place != (flow.Place{}) {
		form |= longPlace
		n += copy(b[n:], k.Place[:])
	}
	b[0] = form
	return n
}

// unpack reads into r, which is zero, what pack wrote at the beginning of b, and returns how
// many bytes that were.
func (r *FlowRecord) unpack(b []byte) int {
	form := b[0]
	r.Midstream, r.Alerted = form&packedMidstream != 0, form&packedAlerted != 0
	for dir := range r.gap {
		r.gap[dir] = form&(packedGap<<dir) != 0
	}
	le := binary.LittleEndian
	k := &r.Key
	k.Proto, k.SrcPort, k.DstPort = b[1], le.Uint16(b[2:]), le.Uint16(b[4:])
	r.State, r.Action, r.TCPState = FlowState(b[6]>>6), detect.Action(b[6]>>4&3), stream.State(b[6]&15)
	r.App, r.protos = applayer.Proto(b[7]), protos{b[8], b[9]}
	r.tcpFlags = [2]uint8{b[10], b[11]}
	r.ttl = [2]ttlRange{{b[12], b[13]}, {b[14], b[15]}}
	r.First, r.Last = int64(le.Uint64(b[16:])), int64(le.Uint64(b[24:]))
	n := packedHead
	if form&longAddrs == 0 {
		k.Src[10], k.Src[11], k.Dst[10], k.Dst[11] = 0xff, 0xff, 0xff, 0xff
		copy(k.Src[12:], b[n:])
		copy(k.Dst[12:], b[n+4:])
		n += 8
	} else {
		copy(k.Src[:], b[n:])
		copy(k.Dst[:], b[n+16:])
		n += 32
	}
	if form&longCounts == 0 {
		for i := range 2 {
			r.Packets[i], r.Bytes[i] = uint64(le.Uint32(b[n+4*i:])), uint64(le.Uint32(b[n+8+4*i:]))
		}
		n += 16
	} else {
		for i := range 2 {
			r.Packets[i], r.Bytes[i] = le.Uint64(b[n+8*i:]), le.Uint64(b[n+16+8*i:])
		}
		n += 32
	}
	if form&longPlace != 0 {
		n += copy(k.Place[:], b[n:])
	}
	return n
}

// is4 says whether a is an IPv4 address in its mapped form.
func is4(a *packet.Addr) bool {
	return binary.BigEndian.Uint64(a[:8]) == 0 && binary.BigEndian.Uint32(a[8:12]) == 0xffff
}
