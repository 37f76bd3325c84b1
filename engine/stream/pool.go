package stream

import (
	"math/bits"
	"unsafe"
)

const (
	minClass   = 11 // 2 KiB, room for a segment
	maxClass   = 20 // 1 MiB
	numClasses = maxClass - minClass + 1

	reassemblySize = int64(unsafe.Sizeof(Reassembly{}))
	segmentSize    = int64(unsafe.Sizeof(segment{}))
	minSegments    = 16 // that a Reassembly always has room for
)

// Pool lends Reassemblies and the buffers in them, up to a number of bytes. It
// belongs to one worker and must not be used by two goroutines at once.
type Pool struct {
	limit    int64
	used     int64 // bytes lent
	spare    int64 // bytes kept for reuse
	refusals uint64

	overlap []byte // scratch, see Reassembly.store
	free    []*Reassembly
	buffers [numClasses][][]byte // by size: 2 KiB << index
}

// NewPool returns a pool of at most limit bytes, lent and spare together.
func NewPool(limit int64) *Pool { return &Pool{limit: limit} }

// InUse returns how many bytes are lent.
func (p *Pool) InUse() int64 { return p.used }

// Limit returns the number of bytes given to NewPool.
func (p *Pool) Limit() int64 { return p.limit }

// Refusals returns how many times the limit stood against a request.
func (p *Pool) Refusals() uint64 { return p.refusals }

// Get lends a Reassembly, which must be Reset before use, or nil when the pool
// is at its limit.
func (p *Pool) Get() *Reassembly {
	if n := len(p.free); n > 0 {
		r := p.free[n-1]
		p.free = p.free[:n-1]
		p.spare -= reassemblySize
		p.used += reassemblySize
		return r
	}
	if !p.reserve(reassemblySize) {
		return nil
	}
	return &Reassembly{pool: p}
}

// Put takes r back, with its buffer.
func (p *Pool) Put(r *Reassembly) {
	r.release()
	p.used -= reassemblySize
	p.spare += reassemblySize
	p.free = append(p.free, r)
}

// buffer lends n bytes or more, n being at most 1 MiB, or nil at the limit.
func (p *Pool) buffer(n int) []byte {
	class := classOf(n)
	if free := p.buffers[class]; len(free) > 0 {
		b := free[len(free)-1]
		p.buffers[class] = free[:len(free)-1]
		p.spare -= int64(len(b))
		p.used += int64(len(b))
		return b
	}
	size := 1 << (class + minClass)
	if !p.reserve(int64(size)) {
		return nil
	}
	return make([]byte, size)
}

func (p *Pool) putBuffer(b []byte) {
	class := classOf(len(b))
	p.used -= int64(len(b))
	p.spare += int64(len(b))
	p.buffers[class] = append(p.buffers[class], b)
}

// scratch lends n bytes until the next call.
func (p *Pool) scratch(n int) []byte {
	if n > len(p.overlap) {
		p.overlap = make([]byte, max(n, 1<<minClass))
	}
	return p.overlap[:n]
}

// giveUp takes back n bytes that were reserved.
func (p *Pool) giveUp(n int64) { p.used -= n }

// reserve makes room for n more bytes, at the cost of what is spare.
func (p *Pool) reserve(n int64) bool {
	if p.used+n > p.limit {
		p.refusals++
		return false
	}
	for class := numClasses - 1; class >= 0 && p.used+p.spare+n > p.limit; class-- {
		p.spare -= int64(len(p.buffers[class])) << (class + minClass)
		p.buffers[class] = nil
	}
	if p.used+p.spare+n > p.limit {
		p.free, p.spare = nil, 0
	}
	p.used += n
	return true
}

func classOf(n int) int { return max(bits.Len(uint(n-1)), minClass) - minClass }
