package applayer

import "github.com/sluicefw/sluice/engine/packet"

const (
	// maxOneSided is how many bytes one side of a connection can send without
	// being recognised, while the other is silent, until detection fails.
	// Suricata's figure.
	maxOneSided = 100_000

	// maxDatagrams is the same for UDP, in datagrams.
	maxDatagrams = 8

	// MaxUnconsumed is how many bytes Data can leave to be presented again: a
	// DNS message over TCP.
	MaxUnconsumed = 2 + 65535
)

// Session follows the application protocol of one flow. It recognises the
// protocol from what the two sides send, then gives the bytes to its parser.
//
// Usage, for the bytes of a direction that are in order:
//
//	for {
//		n := s.Data(dir, data)
//		for s.Next(&ev) {
//			// ev.Tx and s.Buffer are valid here
//		}
//		data = data[n:]
//		if n == 0 || len(data) == 0 {
//			break
//		}
//	}
//
// and Release when all is done that is to be done with the transactions.
//
// What is left of data has to be presented again when more has come, at most
// MaxUnconsumed bytes. Get a Session from a Pool.
type Session struct {
	pool   *Pool
	memory int // charged to pool

	transport  uint8
	clientPort uint16
	serverPort uint16

	proto Proto
	final bool
	done  bool
	sides [2]struct { // of detection
		failed bool  // not recognised
		closed bool  // nothing more is expected, or of use
		seen   int   // bytes, or datagrams, since it failed
		begun  bool  // enough has come to see whether it speaks the protocol
		proto  Proto // that it speaks, if it is another than that of the session
	}

	sink    Sink
	current Event
	parser  Parser // of parses, nil without one
	parses  Proto

	changing bool   // the parser has said that another protocol follows: it is looked for
	expect   Proto  // which one, Unknown for any
	orig     Proto  // before the protocol changed, else Unknown
	old      Parser // of orig, until Release
}

// Reset prepares for a flow of the transport packet.ProtoTCP or ProtoUDP, whose
// client sent from srcPort.
func (s *Session) Reset(transport uint8, srcPort, dstPort uint16) {
	s.transport, s.clientPort, s.serverPort = transport, srcPort, dstPort
	s.done = false
	clear(s.sides[:])
	s.sink.clear()
	s.sink.Inline, s.sink.Digests = s.pool.Inline, s.pool.Digests
	s.current = Event{}
	s.dropOld()
	if s.parser != nil {
		s.pool.putParser(s.parses, s.parser)
		s.parser = nil
	}
	s.proto, s.final = Unknown, false
	s.changing, s.orig = false, Unknown
	s.charge()
}

// dropOld gives the parser back that was at work before the protocol changed.
func (s *Session) dropOld() {
	if s.old != nil {
		s.pool.putParser(s.orig, s.old)
		s.old = nil
	}
}

// Proto returns the protocol: Unknown until ProtoFinal.
func (s *Session) Proto() Proto { return s.proto }

// ProtoFinal reports that detection has ended: the protocol is recognised, or
// it is Failed.
func (s *Session) ProtoFinal() bool { return s.final }

// Orig returns what the protocol was before it changed, or Unknown.
func (s *Session) Orig() Proto { return s.orig }

// Changing reports that the connection goes on with another protocol, which is not recognised yet.
func (s *Session) Changing() bool { return s.changing }

// Done reports that no more events will come, once those of Next are taken:
// the session can be given back.
func (s *Session) Done() bool { return s.done }

// Next takes the next event of the last call of Data, Datagram, Gap or End.
// Events that are not taken are lost with the next such call.
func (s *Session) Next(ev *Event) bool {
	if s.sink.head == len(s.sink.events) {
		return false
	}
	s.current = s.sink.events[s.sink.head]
	s.sink.head++
	*ev = s.current
	return true
}

// Data presents bytes of one direction in order, those not consumed before
// first. It returns how many are consumed, up to the end of what caused an
// event.
func (s *Session) Data(dir packet.Dir, data []byte) (consumed int) {
	s.sink.clear()
	side := &s.sides[dir]
	switch {
	case len(data) == 0:
		return 0
	case s.done || side.closed:
		return len(data)
	case side.failed:
		s.miss(dir, len(data), maxOneSided)
		return len(data)
	case !s.final || s.changing:
		o := opening{data: data, dir: dir, serverPort: s.serverPort}
		switch p := recogniseTCP(o); {
		case p == Unknown, s.old != nil:
			return 0
		case p == Failed:
			s.miss(dir, len(data), maxOneSided)
			return len(data)
		default:
			s.recognised(p, dir)
		}
	}
	if !side.begun {
		s.compare(dir, data)
	}
	if !s.done {
		consumed = s.parser.Data(&s.sink, dir, data)
		s.done = s.parser.Done()
		side.begun = side.begun || consumed > 0
		s.change()
	}
	s.charge()
	return consumed
}

// compare looks at what the second side sends first: it may be of another protocol.
func (s *Session) compare(dir packet.Dir, data []byte) {
	side := &s.sides[dir]
	p := recogniseTCP(opening{data: data, dir: dir, serverPort: s.serverPort})
	if side.begun = p != Unknown; p > Failed && p != s.proto {
		side.proto = p
		s.sink.EmitAnomaly(dir, AnomalyMismatchProtocolBothDirections)
	}
}

// Other returns the protocol that a side speaks where it is not that of the session, else Unknown.
func (s *Session) Other(dir packet.Dir) Proto { return s.sides[dir].proto }

// change starts to look for another protocol if the parser has said that one follows.
func (s *Session) change() {
	if !s.sink.change {
		return
	}
	s.done = false
	s.changing, s.expect = true, s.sink.expect
	if s.sink.port != 0 {
		s.serverPort = s.sink.port
	}
	clear(s.sides[:])
}

// Guess returns the protocol that Data would recognise by the same bytes, or Unknown.
func (s *Session) Guess(dir packet.Dir, data []byte) Proto {
	if s.final || s.sides[dir].failed || len(data) == 0 {
		return s.proto
	}
	p := recogniseTCP(opening{data: data, dir: dir, serverPort: s.serverPort})
	if p == Failed {
		return Unknown
	}
	return p
}

// Datagram presents the payload of a UDP datagram.
func (s *Session) Datagram(dir packet.Dir, data []byte) {
	s.sink.clear()
	if len(data) == 0 || s.done {
		return
	}
	if !s.final {
		o := opening{data: data, dir: dir, serverPort: s.serverPort}
		p := recogniseUDP(o, s.clientPort)
		if p == Failed {
			s.miss(dir, 1, maxDatagrams)
			return
		}
		s.recognised(p, dir)
	}
	if !s.done {
		s.parser.Data(&s.sink, dir, data)
		s.done = s.parser.Done()
	}
	s.charge()
}

// Gap tells that n bytes of a direction are lost, those presented but not
// consumed among them.
func (s *Session) Gap(dir packet.Dir, n int) {
	s.sink.clear()
	switch {
	case s.done:
	case !s.final || s.changing:
		s.miss(dir, 0, maxOneSided)
	default:
		s.parser.Gap(&s.sink, dir, n)
		s.done = s.parser.Done()
	}
	s.sides[dir].closed = s.done
}

// End tells that a side has sent its last byte.
func (s *Session) End(dir packet.Dir) {
	s.sink.clear()
	if !s.final || s.changing {
		s.miss(dir, 0, maxOneSided)
	} else if s.parser != nil && !s.sides[dir].closed {
		s.parser.End(&s.sink, dir)
	}
	s.sides[dir].closed = true
	if s.sides[dir.Reverse()].closed {
		s.done = true
	}
}

// Release lets the parser use what is done again: nobody looks at the transactions of
// earlier events any more.
func (s *Session) Release() {
	s.current = Event{}
	if s.old != nil {
		s.dropOld()
		s.charge()
	}
	if s.parser != nil {
		s.parser.Release()
	}
}

// miss notes that a side was not recognised, and n more bytes or datagrams of
// it. Detection fails when both are so, or the other stays silent for limit.
func (s *Session) miss(dir packet.Dir, n, limit int) {
	if s.final && !s.changing {
		return
	}
	if s.changing && s.expect != Unknown {
		s.sink.EmitAnomaly(dir, AnomalyUnexpectedProtocol)
	}
	side := &s.sides[dir]
	side.failed = true
	side.seen += n
	if s.sides[dir.Reverse()].failed || side.seen > limit {
		s.settle(Failed)
		s.done = true
		s.sink.Emit(ProtocolDetected, dir, nil)
	}
}

// recognised ends detection with a protocol.
func (s *Session) recognised(p Proto, dir packet.Dir) {
	if s.changing && s.expect != Unknown && s.expect != p {
		s.sink.EmitAnomaly(dir, AnomalyUnexpectedProtocol)
	}
	s.old = s.parser
	s.settle(p)
	s.sides[dir].begun = true
	s.sink.Emit(ProtocolDetected, dir, nil)
	s.parses = p
	if s.parser = s.pool.getParser(p); s.parser == nil {
		s.done = true
		return
	}
	s.parser.Reset(s.transport)
	// What a failed side sent was not kept: its parser has a gap there.
	for side := packet.ToServer; side <= packet.ToClient; side++ {
		if s.transport == packet.ProtoTCP && s.sides[side].failed {
			s.sides[side].closed = true
			s.parser.Gap(&s.sink, side, s.sides[side].seen)
			s.done = s.parser.Done()
		}
	}
}

// settle ends detection. A flow whose protocol fails to change keeps the parser that it had, for what is still
// to be looked at.
func (s *Session) settle(p Proto) {
	if s.changing {
		s.orig, s.changing = s.proto, false
	}
	s.proto, s.final = p, true
}

// fail ends the session without its parser.
func (s *Session) fail(dir packet.Dir) {
	s.sink.Emit(ParserFailed, dir, nil)
	s.done = true
}

// Buffer returns the first value of a buffer as of the event that Next returned last. ok is
// false when there is no such thing in the protocol, or not yet.
func (s *Session) Buffer(b Buffer) (value []byte, ok bool) {
	if s.current.Tx == nil {
		return nil, false
	}
	return s.current.Tx.Value(b, 0)
}

// Last returns the newest transaction, nil when there is none. It is valid until Release.
func (s *Session) Last() Tx {
	if s.parser == nil {
		return nil
	}
	return s.parser.Last()
}

// Name returns what to show for the flow: the SNI, the Host of the last
// request, or the name that was last asked for. It is empty when there is none
// and valid until the next call of Data, Datagram, Gap, End or Reset.
func (s *Session) Name() []byte {
	if s.parser == nil {
		return nil
	}
	return s.parser.Name()
}
