package applayer

import "unsafe"

const (
	sessionSize = int64(unsafe.Sizeof(Session{}))

	// maxSpareParsers is how many parsers of a protocol are kept for reuse.
	maxSpareParsers = 64
)

// Pool lends Sessions, up to a number of bytes that they hold together. It
// belongs to one worker and must not be used by two goroutines at once.
type Pool struct {
	Inline  bool // see Sink.Inline
	Strict  bool // sessions whose parser does not take holes fail at one, as in Suricata
	Digests bool // see Sink.Digests, of sessions that are Reset from now on

	limit    int64
	used     int64 // bytes of sessions that are lent, and their parsers
	spare    int64 // bytes of sessions that are kept for reuse
	refusals uint64
	free     []*Session

	make    func(Proto) Parser
	parsers [numProtos][]Parser // for reuse, nearly empty
}

// NewPool returns a pool of at most limit bytes, lent and spare sessions together. parser
// makes a parser, or returns nil where a protocol has none: see package parsers.
func NewPool(limit int64, parser func(Proto) Parser) *Pool {
	return &Pool{limit: limit, make: parser}
}

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
		p.spare -= sessionSize
		p.used += sessionSize
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
	p.used -= sessionSize
	if p.used+p.spare+sessionSize > p.limit {
		return // the collector's
	}
	p.spare += sessionSize
	p.free = append(p.free, s)
}

// getParser returns a parser of proto, nil where there is none.
func (p *Pool) getParser(proto Proto) Parser {
	if spare := p.parsers[proto]; len(spare) > 0 {
		parser := spare[len(spare)-1]
		p.parsers[proto] = spare[:len(spare)-1]
		return parser
	}
	return p.make(proto)
}

func (p *Pool) putParser(proto Proto, parser Parser) {
	if parser.Reset(0); len(p.parsers[proto]) < maxSpareParsers {
		p.parsers[proto] = append(p.parsers[proto], parser)
	}
}

// charge accounts for what the parser holds. A session that goes over the
// limit is ended, and gives back what it holds.
func (s *Session) charge() {
	p := s.pool
	memory := 0
	if s.parser != nil {
		memory = s.parser.Memory()
	}
	if s.old != nil {
		memory += s.old.Memory()
	}
	p.used += int64(memory - s.memory)
	s.memory = memory
	if p.used+p.spare > p.limit {
		p.free, p.spare = nil, 0
	}
	if p.used <= p.limit || s.done {
		return
	}
	p.refusals++
	s.sink.clear()
	s.fail(s.current.Dir)
	s.current, s.parser, s.old = Event{}, nil, nil
	p.used -= int64(s.memory)
	s.memory = 0
}

// Recycle returns s without elements for another transaction, or nil when it has room for more than most.
func Recycle[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	return s[:0]
}
