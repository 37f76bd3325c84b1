package stream

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// DefaultDepth is how many bytes of a direction are looked at, Suricata's
	// stream.reassembly.depth.
	DefaultDepth = 1 << 20

	// Boundless is a depth that is never reached.
	Boundless = math.MaxInt

	// maxWindow is how many bytes one direction can hold, from the first that is still
	// of interest.
	maxWindow = 1 << maxClass

	// maxAhead is how far behind a hole bytes are taken: a single byte makes room for all
	// before it.
	maxAhead = 128 << 10

	// maxSegments bounds the work that tiny segments can cause.
	maxSegments = 4096
)

// Config sets up one direction.
type Config struct {
	Acked  bool   // parsers and rules see bytes only when they are acknowledged: the engine only looks on
	Policy Policy // whose bytes count where segments overlap; First where packets wait for a verdict
	Depth  int    // bytes of the stream that are taken; 0 is DefaultDepth, and there may be none: Boundless
}

// Inserted says what became of a segment.
type Inserted struct {
	New      int  // bytes that were missing and are now held
	Overlap  int  // bytes that came before
	Conflict bool // some of those differ from the ones held
	Modified bool // with the policy First: the segment was given the bytes that came before
	Gap      bool // it begins behind a hole
	Old      bool // all of it lies before what is held
	Deep     bool // bytes beyond the depth were not taken
	Limit    bool // bytes were not taken for want of room
	Memory   bool // it was the pool that had none
}

// segment is a segment that came, by the bytes of it that were taken.
type segment struct{ from, to packet.Seq }

// Reassembly puts the bytes of one direction in order. Get it from a Pool, then Reset it.
//
//	start    base      app, raw        next        acked
//	 |--------|-----------|--------------|---hole----|---held---
//	          what is held, in one buffer, each byte at its distance from base
//
// Parsers are given the bytes from app on, rules those from raw on; both at most up to
// next, and with Config.Acked up to acked. What both have seen and the receiver has
// acknowledged goes; until then it stays, so that whoever sends other bytes in its place
// is found out.
type Reassembly struct {
	pool *Pool
	cfg  Config

	start, base, app, raw, next, acked packet.Seq

	told packet.Seq // acked, as far as the receiver said so itself

	stop bool // memory was refused, or the depth is reached

	buf    []byte // the byte base is at off
	off    int
	segs   []segment // by from, then to
	few    [minSegments]segment
	nested bool // some of them overlap
}

// Reset prepares for the direction whose first byte has number first.
func (r *Reassembly) Reset(first uint32, cfg Config) {
	if cfg.Depth == 0 {
		cfg.Depth = DefaultDepth
	}
	r.release()
	n := packet.Seq(first)
	r.cfg, r.stop = cfg, false
	r.start, r.base, r.app, r.raw, r.next, r.acked, r.told = n, n, n, n, n, n, n
}

// Boundless lets all bytes be taken that come from now on, of protocols that go on for long.
func (r *Reassembly) Boundless() { r.cfg.Depth = Boundless }

// Base returns the number of the first byte that is held, or would be.
func (r *Reassembly) Base() packet.Seq { return r.base }

// Next returns the number of the first byte that is still missing.
func (r *Reassembly) Next() uint32 { return uint32(r.next) }

// Stopped reports that no more bytes will be taken, because the depth is reached or the
// pool refused memory.
func (r *Reassembly) Stopped() bool { return r.stop }

// Untouched reports that nothing was consumed yet.
func (r *Reassembly) Untouched() bool { return r.app == r.start }

// Deep reports that all bytes are taken that ever will be.
func (r *Reassembly) Deep() bool { return r.next.Diff(r.start) >= r.cfg.Depth }

// Holding reports whether bytes are held that parsers or rules have not seen.
func (r *Reassembly) Holding() bool {
	n := len(r.segs)
	return n > 0 && (r.raw.Less(r.segs[n-1].to) || r.app.Less(r.segs[n-1].to))
}

// Insert takes in a segment. With the policy First, data gets the bytes that came before
// it in its place: it is what the receiver must see.
func (r *Reassembly) Insert(seq uint32, data []byte) (in Inserted) {
	from := packet.Seq(seq)
	if from.Less(r.start) && r.cfg.Acked {
		// Suricata takes nothing of what begins before the stream. Where packets wait for a
		// verdict that would hide bytes that the receiver takes.
		in.Overlap = len(data)
		return in
	}
	if old := min(r.base.Diff(from), len(data)); old > 0 {
		in.Overlap, in.Old = old, old == len(data)
		data, from = data[old:], from.Add(old)
	}
	if r.cfg.Depth == Boundless && from.Diff(r.start) > 1<<30 {
		r.start = r.start.Add(1 << 29) // numbers wrap around
	}
	if deep := from.Diff(r.start) + len(data) - r.cfg.Depth; deep > 0 {
		in.Deep = true
		data = data[:max(len(data)-deep, 0)]
	}
	if len(data) == 0 {
		return in
	}
	if r.stop {
		in.Limit = true
		return in
	}
	in.Gap = r.next.Less(from)
	room := maxWindow - from.Diff(r.base)
	if from.Diff(r.next) >= maxAhead {
		room = 0
	}
	if len(data) > room {
		in.Limit = true
		data = data[:max(room, 0)]
	}
	if len(r.segs) >= maxSegments {
		r.merge()
	}
	if len(data) == 0 || len(r.segs) >= maxSegments && in.Gap {
		in.Limit = true
		return in
	}
	if !r.grow(from.Diff(r.base)+len(data)) || !r.room() {
		in.Limit, in.Memory, r.stop = true, true, true
		return in
	}
	r.store(segment{from, from.Add(len(data))}, data, &in)
	return in
}

// store puts data, for which there is room, in its place.
func (r *Reassembly) store(s segment, data []byte, in *Inserted) {
	last := len(r.segs) - 1
	if last < 0 || !s.from.Less(r.segs[last].to) && !r.nested {
		// It follows all others, as most do.
		copy(r.at(s.from, len(data)), data)
		r.segs = append(r.segs, s)
		in.New = len(data)
		if s.from == r.next {
			r.next = s.to
		}
		return
	}
	place := last + 1
	for ; place > 0; place-- {
		if old := r.segs[place-1]; old.from.Less(s.from) || old.from == s.from && old.to.LessEq(s.to) {
			break
		}
	}
	mine := r.pool.scratch(len(data))
	copy(mine, data)
	covered := 0 // bytes of s up to at came before, counted once
	at := s.from
	for _, old := range r.segs[r.reaching(s, place):] {
		if !old.from.Less(s.to) {
			break
		}
		both := segment{packet.MaxSeq(s.from, old.from), old.to}
		if s.to.Less(both.to) {
			both.to = s.to
		}
		n := both.to.Diff(both.from)
		if n <= 0 {
			continue
		}
		if at.Less(both.to) {
			covered += both.to.Diff(packet.MaxSeq(at, both.from))
			at = both.to
		}
		held, k := r.at(both.from, n), both.from.Diff(s.from)
		if !bytes.Equal(held, data[k:k+n]) {
			in.Conflict = true
		}
		if !r.cfg.Policy.prefersNew(s, old) {
			copy(mine[k:], held)
		}
	}
	copy(r.at(s.from, len(data)), mine)
	if r.cfg.Policy == First && in.Conflict {
		copy(data, mine)
		in.Modified = true
	}
	in.Overlap += covered
	in.New = len(data) - covered
	if place > 0 && r.segs[place-1] == s {
		return
	}
	r.nested = r.nested || covered > 0
	r.segs = append(r.segs, segment{})
	copy(r.segs[place+1:], r.segs[place:])
	r.segs[place] = s
	r.advance()
}

// reaching returns the first of the segments that are compared with s, which goes to place. A
// packet that waits for its verdict is compared with all. Else Suricata goes back until one
// ends before s begins, and misses longer ones before that.
func (r *Reassembly) reaching(s segment, place int) int {
	if r.cfg.Policy == First {
		return 0
	}
	for place > 0 && s.from.Less(r.segs[place-1].to) {
		place--
	}
	return place
}

// merge makes one segment of those without a hole between them.
func (r *Reassembly) merge() {
	kept := r.segs[:0]
	for _, s := range r.segs {
		if last := len(kept) - 1; last >= 0 && s.from.LessEq(kept[last].to) {
			kept[last].to = packet.MaxSeq(kept[last].to, s.to)
		} else {
			kept = append(kept, s)
		}
	}
	r.segs, r.nested = kept, false
}

// advance moves next over the bytes that are in order.
func (r *Reassembly) advance() {
	for _, s := range r.segs {
		if r.next.Less(s.from) {
			return
		}
		r.next = packet.MaxSeq(r.next, s.to)
	}
}

// visible is where the bytes end that parsers and rules may see.
func (r *Reassembly) visible() packet.Seq {
	if r.cfg.Acked && r.acked.Less(r.next) {
		return r.acked
	}
	return r.next
}

// Bytes returns the bytes for the parsers: those in order that are not consumed yet, and,
// with Config.Acked, acknowledged. They are valid until the next call of Insert or Prune.
func (r *Reassembly) Bytes() []byte {
	n := r.visible().Diff(r.app)
	if n <= 0 {
		return nil
	}
	return r.at(r.app, n)
}

// Consume gives up the first n of Bytes, n being at most their number.
func (r *Reassembly) Consume(n int) { r.app = r.app.Add(n) }

// Fresh returns how many bytes rules have not seen yet.
func (r *Reassembly) Fresh() int { return max(r.visible().Diff(r.raw), 0) }

// Raw returns the bytes that rules have not seen yet, after at most before of those that
// they have, and the place of the first of all in the stream. They are valid as Bytes are.
func (r *Reassembly) Raw(before int) (data []byte, old, offset int) {
	return r.part(r.raw, r.visible(), before)
}

// Saw notes that rules have seen what Raw returned.
func (r *Reassembly) Saw() { r.raw = packet.MaxSeq(r.raw, r.visible()) }

// Around returns the bytes of a segment, after at most before of those before it, with
// all that follow it without a hole. They count as seen by rules if they are in order.
func (r *Reassembly) Around(seq uint32, n, before int) (data []byte, old, offset int) {
	from := packet.MaxSeq(packet.Seq(seq), r.base)
	end := from
	for _, s := range r.segs {
		if end.Less(s.from) {
			break
		}
		end = packet.MaxSeq(end, s.to)
	}
	if !from.Less(packet.Seq(seq).Add(n)) {
		end = from
	}
	data, old, offset = r.part(from, end, before)
	if r.raw.Less(end) && end.LessEq(r.next) {
		r.raw = end
	}
	return data, old, offset
}

// part returns the bytes [from, end), and those before them that are held without a hole.
func (r *Reassembly) part(from, end packet.Seq, before int) (data []byte, old, offset int) {
	n := end.Diff(from)
	if n <= 0 {
		return nil, 0, from.Diff(r.start)
	}
	first, to := r.base, r.base // of the run that from is in
	for _, s := range r.segs {
		if from.Less(s.from) {
			break
		}
		if to.Less(s.from) {
			first = s.from
		}
		to = packet.MaxSeq(to, s.to)
	}
	old = min(before, from.Diff(first))
	return r.at(from.Add(-old), old+n), old, from.Diff(r.start) - old
}

// Repeats reports whether what came of these n bytes before came in segments of just them.
func (r *Reassembly) Repeats(first uint32, n int) bool {
	one := segment{packet.Seq(first), packet.Seq(first).Add(n)}
	return !slices.ContainsFunc(r.segs, func(s segment) bool { return s != one && s.from.Less(one.to) && one.from.Less(s.to) })
}

// AppendHeld appends what is held and was acknowledged by the receiver to dst, as far as dst has room: its capacity is not
// exceeded. In place of a hole stands how many bytes are missing.
func (r *Reassembly) AppendHeld(dst []byte) []byte {
	at := r.base
	for _, s := range r.segs {
		if !s.from.Less(r.told) {
			return dst
		}
		if r.told.Less(s.to) {
			s.to = r.told
		}
		if gap := s.from.Diff(at); gap > 0 {
			if cap(dst)-len(dst) < len("[2147483647 bytes missing]") {
				return dst
			}
			dst = append(strconv.AppendInt(append(dst, '['), int64(gap), 10), " bytes missing]"...)
		}
		if from := packet.MaxSeq(at, s.from); from.Less(s.to) {
			n := min(s.to.Diff(from), cap(dst)-len(dst))
			dst = append(dst, r.at(from, n)...)
			at = s.to
		}
	}
	return dst
}

// Ack notes that the receiver has everything before seq.
func (r *Reassembly) Ack(seq uint32) {
	r.told = packet.MaxSeq(r.told, packet.Seq(seq))
	r.acked = packet.MaxSeq(r.acked, r.told)
}

// AckAll takes all that came for acknowledged: nothing more will come.
func (r *Reassembly) AckAll() {
	r.acked = packet.MaxSeq(r.acked, r.next)
	for _, s := range r.segs {
		r.acked = packet.MaxSeq(r.acked, s.to)
	}
}

// Missing returns how many bytes are in the first hole, if others came behind it and the
// receiver has acknowledged what is missing: it will not come any more. fin says that an ACK may
// count a FIN.
func (r *Reassembly) Missing(fin bool) int {
	end := r.acked
	switch {
	case fin && r.base == r.start && !r.base.Less(r.acked):
		end = r.next.Add(maxWindow) // Suricata takes all for acknowledged then
	case fin:
		end--
	}
	for _, s := range r.segs {
		if r.next.Less(s.from) {
			if s.from.Less(end) {
				end = s.from
			}
			return max(end.Diff(r.next), 0)
		}
	}
	return 0
}

// Skip goes on behind n bytes that are missing.
func (r *Reassembly) Skip(n int) {
	r.next = r.next.Add(n)
	r.app, r.raw = r.next, r.next
	r.advance()
	r.stop = r.stop || r.Deep()
}

// Looked notes that parsers and rules have seen what they can; rules says whether there are any about
// bytes of streams.
func (r *Reassembly) Looked(rules bool) {
	if !rules {
		r.raw = packet.MaxSeq(r.raw, r.visible())
	}
	if r.Deep() && r.app == r.next && r.raw == r.next {
		r.stop = true
	}
}

// Prune gives up the bytes that are no longer needed. keep is how many bytes before those
// that are new to them rules look at; more is how many bytes are kept beside, because other
// bytes in their place are of interest. A segment goes as a whole.
func (r *Reassembly) Prune(keep, more int) {
	left := r.app
	if raw := r.raw.Add(-min(keep, max(r.raw.Diff(r.base), 0))); raw.Less(left) {
		left = raw
	}
	if r.acked.Less(left) {
		left = r.acked
	}
	left = left.Add(-min(more, max(left.Diff(r.base), 0)))
	for _, s := range r.segs {
		if left.Less(s.to) {
			if s.from.Less(left) {
				left = s.from
			}
			break
		}
	}
	if r.base.Less(left) {
		r.drop(left)
	}
}

// drop moves base to left.
func (r *Reassembly) drop(left packet.Seq) {
	n := left.Diff(r.base)
	r.base = left
	kept := r.segs[:0]
	for _, s := range r.segs {
		if left.Less(s.to) {
			kept = append(kept, s)
		}
	}
	if r.segs = kept; len(kept) == 0 {
		r.release()
		return
	}
	r.off += n
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
	held := 0
	for _, s := range r.segs {
		held = max(held, s.to.Diff(r.base))
	}
	if n <= len(r.buf) {
		copy(r.buf, r.buf[r.off:r.off+held])
		r.off = 0
		return true
	}
	bigger := r.pool.buffer(n)
	if bigger == nil {
		return false
	}
	if r.buf != nil {
		copy(bigger, r.buf[r.off:r.off+held])
		r.pool.putBuffer(r.buf)
	}
	r.buf, r.off = bigger, 0
	return true
}

// room makes room for one more segment.
func (r *Reassembly) room() bool {
	if len(r.segs) < cap(r.segs) {
		return true
	}
	n := 2 * cap(r.segs)
	if !r.pool.reserve(int64(n) * segmentSize) {
		return false
	}
	segs := append(make([]segment, 0, n), r.segs...)
	r.shrink()
	r.segs = segs
	return true
}

// shrink gives up the room for segments beyond the few that there always is.
func (r *Reassembly) shrink() {
	if n := cap(r.segs); n > minSegments {
		r.pool.giveUp(int64(n) * segmentSize)
	}
	r.segs = r.few[:0]
}

// free gives the buffer back: nothing is held.
func (r *Reassembly) free() {
	if r.buf != nil {
		r.pool.putBuffer(r.buf)
	}
	r.buf, r.off, r.nested = nil, 0, false
}

// release gives up everything held.
func (r *Reassembly) release() {
	r.shrink()
	r.free()
}
