package stream

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// DefaultWindow is how many bytes, from the first not yet consumed, one
	// direction can hold: two of the largest packets that offloads make.
	DefaultWindow = 128 << 10

	// DefaultDepth is how many bytes of a direction are looked at, Suricata's
	// stream.reassembly.depth.
	DefaultDepth = 1 << 20

	// maxHoles bounds the work that tiny out-of-order segments can cause.
	maxHoles = 64
)

// Config sets up one direction. The zero value watches inline with the
// defaults.
type Config struct {
	Window  int  // bytes held at most, at most 1 MiB; 0 is DefaultWindow
	Depth   int  // bytes taken in order at most, from Reset on; 0 is DefaultDepth
	Acked   bool // release bytes only when acknowledged, for a tap that may see what the receiver does not
	Overlap Policy
}

// Inserted says what became of a segment.
type Inserted struct {
	New      int  // bytes that were taken in
	Overlap  int  // bytes that had come before
	Conflict bool // some of those differ from the ones held
	Gap      bool // the segment begins behind a hole
	Limit    bool // some bytes were not taken: window, depth, holes or memory
}

// span is a run of held bytes behind a hole, [from, to).
type span struct{ from, to packet.Seq }

// Reassembly puts the bytes of one direction in order. Get it from a Pool,
// then Reset it.
//
// Held bytes live in one buffer at their distance from the first byte not yet
// consumed, so a segment is copied once and filling a hole moves nothing. The
// buffer is returned to the pool whenever nothing is held.
type Reassembly struct {
	pool *Pool
	cfg  Config

	base  packet.Seq // number of the first byte not consumed
	next  packet.Seq // base + the contiguous bytes
	acked packet.Seq // one past the last acknowledged byte
	depth int        // bytes that may still be taken in order
	stop  bool       // memory was refused, or the depth is reached

	buf      []byte // the byte base is at off
	off      int
	borrowed []byte // the contiguous bytes, when they are still in the packet

	spans  [maxHoles]span // sorted, apart from each other and from next
	nspans int
}

// Reset prepares for the direction whose next byte has number next.
func (r *Reassembly) Reset(next uint32, cfg Config) {
	if cfg.Window == 0 {
		cfg.Window = DefaultWindow
	}
	if cfg.Depth == 0 {
		cfg.Depth = DefaultDepth
	}
	cfg.Window = min(cfg.Window, 1<<maxClass)
	r.release()
	r.cfg = cfg
	r.base, r.next, r.acked = packet.Seq(next), packet.Seq(next), packet.Seq(next)
	r.depth, r.stop = cfg.Depth, false
}

// Next returns the number of the first byte that is still missing.
func (r *Reassembly) Next() uint32 { return uint32(r.next) }

// Stopped reports that no more bytes will be taken, because the depth is
// reached or the pool refused memory.
func (r *Reassembly) Stopped() bool { return r.stop }

// Holding reports whether bytes wait behind a hole.
func (r *Reassembly) Holding() bool { return r.nspans > 0 }

// Bytes returns the bytes in order that are not yet consumed, and, with
// Config.Acked, acknowledged. They are valid until the next call of any other
// method.
func (r *Reassembly) Bytes() []byte {
	n := r.next.Diff(r.base)
	if r.cfg.Acked {
		n = max(min(n, r.acked.Diff(r.base)), 0)
	}
	if r.borrowed != nil {
		return r.borrowed[:n]
	}
	return r.buf[r.off : r.off+n]
}

// Insert takes in a segment, copying what has to be kept.
func (r *Reassembly) Insert(seq uint32, data []byte) Inserted {
	in := r.Borrow(seq, data)
	if !r.settle() {
		return Inserted{Overlap: in.Overlap, Limit: true}
	}
	return in
}

// Borrow is Insert without a copy in the usual case: when data is next in order
// and nothing is held, Bytes returns a part of data itself. The caller must
// then call Consume, with 0 if need be, while data is still valid; only what is
// left unconsumed is copied.
func (r *Reassembly) Borrow(seq uint32, data []byte) Inserted {
	r.settle()
	var in Inserted
	first := packet.Seq(seq)

	// Bytes before base are gone and cannot be compared.
	if old := min(r.base.Diff(first), len(data)); old > 0 {
		in.Overlap += old
		data, first = data[old:], first.Add(old)
	}
	if len(data) == 0 {
		return in
	}
	if r.stop {
		in.Limit = true
		return in
	}
	in.Gap = r.next.Less(first)
	if room := r.cfg.Window - first.Diff(r.base); len(data) > room {
		in.Limit = true
		data = data[:max(room, 0)]
	}
	if room := r.depth - first.Diff(r.next); len(data) > room {
		in.Limit = true
		data = data[:max(room, 0)]
	}
	if len(data) == 0 {
		return in
	}
	if first == r.next && r.next == r.base && r.nspans == 0 && !r.cfg.Acked {
		r.borrowed = data
		in.New = len(data)
		r.take(len(data))
		return in
	}
	r.store(first, data, &in)
	return in
}

// store copies data, which is within the window, to its place.
func (r *Reassembly) store(first packet.Seq, data []byte, in *Inserted) {
	if !r.grow(first.Diff(r.base) + len(data)) {
		in.Limit = true
		return
	}
	end := first.Add(len(data))

	// In-order bytes may have been looked at, so there the first always stay.
	if held := min(r.next.Diff(first), len(data)); held > 0 {
		in.Overlap += held
		in.Conflict = in.Conflict || !bytes.Equal(r.at(first, held), data[:held])
		data, first = data[held:], r.next
		if len(data) == 0 {
			return
		}
	}
	i := 0
	for i < r.nspans && r.spans[i].to.Less(first) {
		i++
	}
	// Spans i to j-1 overlap or touch the segment: they become one with it.
	j, merged, at := i, span{first, end}, first
	touches := func(k int) bool { return k < r.nspans && r.spans[k].from.LessEq(end) }
	if !touches(i) && first != r.next && r.nspans == maxHoles {
		in.Limit = true
		return
	}
	for ; touches(j); j++ {
		s := r.spans[j]
		if at.Less(s.from) {
			in.New += copy(r.at(at, s.from.Diff(at)), data[at.Diff(first):])
		}
		from, to := packet.MaxSeq(s.from, first), s.to
		if end.Less(to) {
			to = end
		}
		if n := to.Diff(from); n > 0 {
			r.overlap(from, data[from.Diff(first):][:n], in)
		}
		at = packet.MaxSeq(at, s.to)
		if s.from.Less(merged.from) {
			merged.from = s.from
		}
		merged.to = packet.MaxSeq(merged.to, s.to)
	}
	if at.Less(end) {
		in.New += copy(r.at(at, end.Diff(at)), data[at.Diff(first):])
	}
	r.replace(i, j, merged)
}

// overlap resolves bytes that are held behind a hole and come again.
func (r *Reassembly) overlap(from packet.Seq, data []byte, in *Inserted) {
	held := r.at(from, len(data))
	in.Overlap += len(data)
	if !bytes.Equal(held, data) {
		in.Conflict = true
		if r.cfg.Overlap == Last {
			copy(held, data)
		}
	}
}

// replace puts s in place of the spans i to j-1, or in order if it is next.
func (r *Reassembly) replace(i, j int, s span) {
	if s.from == r.next {
		r.take(s.to.Diff(r.next))
		r.nspans = copy(r.spans[:], r.spans[j:r.nspans])
		return
	}
	if i == j {
		copy(r.spans[i+1:], r.spans[i:r.nspans])
		r.nspans++
	} else {
		copy(r.spans[i+1:], r.spans[j:r.nspans])
		r.nspans -= j - i - 1
	}
	r.spans[i] = s
}

// take moves next over n bytes.
func (r *Reassembly) take(n int) {
	r.next = r.next.Add(n)
	r.depth -= n
	r.stop = r.stop || r.depth <= 0
}

// Consume gives up the first n of Bytes, n being at most their number. It
// reports false when the rest was borrowed and no memory was left to keep it;
// the direction is then stopped.
func (r *Reassembly) Consume(n int) bool {
	r.base = r.base.Add(n)
	if r.borrowed != nil {
		r.borrowed = r.borrowed[n:]
		return r.settle()
	}
	r.off += n
	if r.base == r.next && r.nspans == 0 {
		r.release()
	}
	return true
}

// Ack notes that the receiver has everything before seq. It matters only with
// Config.Acked.
func (r *Reassembly) Ack(seq uint32) {
	r.settle()
	r.acked = packet.MaxSeq(r.acked, packet.Seq(seq))
}

// Missing returns how many bytes are in the first hole: up to the first byte
// held behind it, or up to what was acknowledged without being seen. It is 0
// when there is no hole.
func (r *Reassembly) Missing() int {
	if r.nspans > 0 {
		return r.spans[0].from.Diff(r.next)
	}
	return max(r.acked.Diff(r.next), 0)
}

// Skip gives up the bytes that are in order but not consumed, and the first
// hole behind them, and returns how many are Missing there.
func (r *Reassembly) Skip() int {
	r.settle()
	n := r.Missing()
	r.Consume(r.next.Diff(r.base))
	if n == 0 {
		return 0
	}
	// Without a buffer there is nothing to keep an offset into.
	if r.buf != nil {
		r.off += n
	}
	r.base = r.base.Add(n)
	r.take(n)
	if r.nspans > 0 {
		s := r.spans[0]
		r.nspans = copy(r.spans[:], r.spans[1:r.nspans])
		r.take(s.to.Diff(s.from))
	}
	return n
}

// settle copies borrowed bytes into a buffer of the pool.
func (r *Reassembly) settle() bool {
	data := r.borrowed
	r.borrowed = nil
	if len(data) == 0 {
		return true
	}
	if r.buf = r.pool.buffer(len(data)); r.buf == nil {
		r.next, r.stop = r.base, true
		return false
	}
	r.off = 0
	copy(r.buf, data)
	return true
}

// at returns the n held bytes from number from on.
func (r *Reassembly) at(from packet.Seq, n int) []byte {
	i := r.off + from.Diff(r.base)
	return r.buf[i : i+n]
}

// grow makes room for n bytes from base on, n being at most the window.
func (r *Reassembly) grow(n int) bool {
	if r.off+n <= len(r.buf) {
		return true
	}
	held := r.next.Diff(r.base)
	if r.nspans > 0 {
		held = r.spans[r.nspans-1].to.Diff(r.base)
	}
	if n <= len(r.buf) {
		copy(r.buf, r.buf[r.off:r.off+held])
		r.off = 0
		return true
	}
	bigger := r.pool.buffer(n)
	if bigger == nil {
		r.stop = true
		return false
	}
	if r.buf != nil {
		copy(bigger, r.buf[r.off:r.off+held])
		r.pool.putBuffer(r.buf)
	}
	r.buf, r.off = bigger, 0
	return true
}

// release gives up everything held.
func (r *Reassembly) release() {
	if r.buf != nil {
		r.pool.putBuffer(r.buf)
	}
	r.buf, r.off, r.borrowed, r.nspans = nil, 0, nil, 0
}
