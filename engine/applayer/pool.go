package applayer

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer/http"
	"github.com/sluicefw/sluice/engine/applayer/tls"
)

const sessionSize = int64(unsafe.Sizeof(Session{}))

// Pool lends Sessions, up to a number of bytes that they hold together. It
// belongs to one worker and must not be used by two goroutines at once.
type Pool struct {
	limit    int64
	used     int64 // bytes of sessions that are lent
	spare    int64 // bytes of sessions that are kept for reuse
	refusals uint64
	free     []*Session
}

// NewPool returns a pool of at most limit bytes, lent and spare together.
func NewPool(limit int64) *Pool { return &Pool{limit: limit} }

// InUse returns how many bytes are lent.
func (p *Pool) InUse() int64 { return p.used }

// Refusals returns how many times a session was refused, or ended with
// ParserFailed, because of the limit.
func (p *Pool) Refusals() uint64 { return p.refusals }

// Get lends a Session, which must be Reset before use, or nil at the limit.
func (p *Pool) Get() *Session {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		size := sessionSize + int64(s.memory)
		p.spare -= size
		p.used += size
		return s
	}
	if p.used+sessionSize > p.limit {
		p.refusals++
		return nil
	}
	p.used += sessionSize
	return &Session{pool: p}
}

// Put takes s back.
func (p *Pool) Put(s *Session) {
	s.Reset(0, 0, 0)
	size := sessionSize + int64(s.memory)
	p.used -= size
	if p.used+p.spare+size > p.limit {
		return // the collector's
	}
	p.spare += size
	p.free = append(p.free, s)
}

// charge accounts for what the parsers hold. A session that goes over the
// limit is ended, and gives back what it holds.
func (s *Session) charge() {
	p := s.pool
	memory := s.tls.Memory() + s.http.Memory()
	p.used += int64(memory - s.memory)
	s.memory = memory
	if p.used+p.spare > p.limit {
		p.free, p.spare = nil, 0
	}
	if p.used <= p.limit || s.done {
		return
	}
	p.refusals++
	s.head, s.tail = 0, 0
	s.fail(s.current.Dir)
	s.tls, s.http = tls.Conn{}, http.Conn{}
	p.used -= int64(s.memory)
	s.memory = 0
}
