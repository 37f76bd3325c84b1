package applayer

import "github.com/sluicefw/sluice/engine/packet"

const (
	// maxOneSided is how many bytes a side that is not recognised can send until detection fails
	// although not enough has come of the other. Suricata's figure.
	maxOneSided = 100_000

	// maxChange is how many bytes are looked at where another protocol has to follow. Suricata's figure.
	maxChange = 4096

	// MaxUnconsumed is how many bytes a parser can leave to be presented again: a
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
// MaxUnconsumed bytes, or maxOneSided before the protocol is recognised. When Opposing says so, the other
// side's bytes come first. Get a Session from a Pool.
type Session struct {
	pool   *Pool
	memory int // charged to pool

	transport  uint8
	clientPort uint16
	serverPort uint16

	proto Proto
	final bool
	done  bool
	begun bool        // the parser has been given bytes
	over  bool        // it has ended, but not what the other side is recognised as
	first uint8       // the side that has sent the first bytes, as its direction + 1
	asked bool        // the other side's bytes were presented after those that told the protocol
	sides [2]struct { // of detection
		proto    Proto // as the side was recognised; Failed when it was not, and that counts
		detected bool  // just now: see Detected
		closed   bool  // nothing more is expected, or of use
		lost     bool  // there is a gap in what it sent before it was recognised
		examined bool  // it has sent enough to know that it is not recognised
		seen     int   // bytes that it has sent
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
	s.proto, s.final, s.begun, s.over, s.asked, s.first = Unknown, false, false, false, false, 0
	s.changing, s.orig, s.expect = false, Unknown, Unknown
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

// Expected returns what the protocol was to become when it last changed, Unknown when it did not or that was not said.
func (s *Session) Expected() Proto { return s.expect }

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
	s.current.App = s.proto
	s.sink.head++
	*ev = s.current
	return true
}

// Side returns as what a side was recognised: Unknown while that is open, Failed when it was not and that counts.
func (s *Session) Side(dir packet.Dir) Proto {
	if s.changing {
		return s.proto
	}
	return s.sides[dir].proto
}

// Detected reports whether a side was recognised, or was not and it counts, since Detected was called last.
func (s *Session) Detected(dir packet.Dir) bool {
	side := &s.sides[dir]
	was := side.detected
	side.detected = false
	return was
}

// Opposing reports whether the bytes of a side have to wait for those of the other, which came first: these are to
// be presented now, then those again.
func (s *Session) Opposing(dir packet.Dir) bool {
	return !s.done && !s.begun && !s.asked && s.sides[dir].proto > Failed && s.first == uint8(dir.Reverse())+1
}

// Data presents bytes of one direction in order, those not consumed before
// first. It returns how many are consumed, up to the end of what caused an
// event.
func (s *Session) Data(dir packet.Dir, data []byte) (consumed int) {
	s.sink.clear()
	side, other := &s.sides[dir], &s.sides[dir.Reverse()]
	open := side.proto == Unknown
	s.asked = s.asked || other.proto > Failed
	switch {
	case len(data) == 0:
		return 0
	case s.done || side.closed:
		return len(data)
	case open && !side.lost && !s.detect(dir, data), !s.begun && !s.begin(dir):
		if s.done {
			return len(data)
		}
		return 0
	case s.parser == nil || s.over:
		s.done = other.proto != Unknown || other.lost
		return len(data)
	}
	consumed = s.parser.Data(&s.sink, dir, data)
	if s.parser.Done() {
		s.over, s.done = true, other.proto != Unknown || other.lost || other.closed
		if open && side.proto == Failed { // as in Suricata the side stays unknown if its first bytes break the parser
			side.proto, side.detected, side.lost = Unknown, false, true
		}
	}
	s.change()
	s.charge()
	return consumed
}

// detect looks at the first bytes of a side. It reports whether they can be given to the parser.
func (s *Session) detect(dir packet.Dir, data []byte) bool {
	side, other := &s.sides[dir], &s.sides[dir.Reverse()]
	if s.first == 0 {
		s.first = uint8(dir) + 1
	}
	side.seen = len(data)
	p := recogniseTCP(opening{data: data, dir: dir, serverPort: s.serverPort, other: other.proto})
	side.examined = p == Failed
	switch {
	case p > Failed:
		s.recognised(p, dir)
		return true
	case other.proto > Failed && !s.begun && !s.proto.startedBy(dir):
		s.giveUp(dir)
	case other.proto > Failed && p == Failed:
		side.proto, side.detected, s.begun = Failed, true, true
		s.sink.EmitAnomaly(dir, AnomalyDetectProtocolOnlyOneDirection)
		return true
	case other.proto > Failed:
	case s.changing && len(data) < maxChange:
		s.unexpected(dir)
	case s.changing, p == Failed && other.examined:
		s.giveUp(dir)
	case p == Failed && side.seen > maxOneSided, other.examined && other.seen > maxOneSided:
		s.giveUp(dir)
		s.sink.EmitAnomaly(dir, AnomalyProtoDetectionSkipped)
	}
	return false
}

// recognised notes the protocol of a side, which is that of the session unless the other has another.
func (s *Session) recognised(p Proto, dir packet.Dir) {
	s.sides[dir].proto, s.sides[dir].detected = p, true
	if s.final && !s.changing {
		if p != s.proto {
			s.sink.EmitAnomaly(dir, AnomalyMismatchProtocolBothDirections)
		}
		return
	}
	changed := s.changing
	s.old = s.parser // one before it, whose transactions somebody may still look at, is the collector's
	s.settle(p)
	s.sink.Emit(ProtocolDetected, dir, nil)
	if changed {
		s.unexpected(dir)
	}
	s.parses = p
	if s.parser = s.pool.getParser(p); s.parser != nil {
		s.parser.Reset(s.transport)
		s.inherit()
	}
}

// inherit gives the last transaction of the parser before to the one that goes on with it.
func (s *Session) inherit() {
	heir, ok := s.parser.(Heir)
	if !ok || s.old == nil {
		return
	}
	if last := s.old.Last(); last != nil {
		heir.Inherit(&s.sink, last)
	}
}

// unexpected notes that the protocol is another than the one that was announced.
func (s *Session) unexpected(dir packet.Dir) {
	if s.expect == Unknown || s.expect == s.proto {
		return
	}
	s.sink.EmitAnomaly(dir, AnomalyUnexpectedProtocol)
	if s.expect == TLS {
		s.sink.EmitAnomaly(dir, AnomalyNoTLSAfterStarttls)
	}
}

// begin lets the parser begin with a side, if it is the one that was first, or the other was asked, and if the protocol
// can begin with it.
func (s *Session) begin(dir packet.Dir) bool {
	switch first := packet.Dir(s.first - 1); {
	case s.Opposing(dir):
		return false
	case !s.proto.startedBy(first):
		s.sink.EmitAnomaly(dir, AnomalyWrongDirectionFirstData)
		s.giveUp(dir)
		return false
	case !s.proto.startedBy(dir):
		return false
	}
	s.begun = true
	return true
}

// startedBy says whether the protocol can begin with a side's bytes.
func (p Proto) startedBy(dir packet.Dir) bool { return p != TLS || dir == packet.ToServer }

// giveUp ends detection without a protocol that could be followed.
func (s *Session) giveUp(dir packet.Dir) {
	for i := range s.sides {
		side := &s.sides[i]
		side.detected = side.detected || side.proto != Failed
		if side.proto == Unknown {
			side.proto = Failed
		}
	}
	s.settle(Failed)
	s.done = true
	s.sink.Emit(ProtocolDetected, dir, nil)
}

// change starts to look for another protocol if the parser has said that one follows.
func (s *Session) change() {
	if !s.sink.change {
		return
	}
	s.done, s.over = false, false
	s.changing, s.expect = true, s.sink.expect
	if s.sink.port != 0 {
		s.serverPort = s.sink.port
	}
	clear(s.sides[:])
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
			return
		}
		s.recognised(p, dir)
	}
	if s.parser == nil {
		s.done = true
		return
	}
	s.parser.Data(&s.sink, dir, data)
	s.done = s.parser.Done()
	s.charge()
}

// Gap tells that n bytes of a direction are lost, those presented but not
// consumed among them. What follows a gap tells no protocol.
func (s *Session) Gap(dir packet.Dir, n int) {
	s.sink.clear()
	switch {
	case s.done:
	case s.over:
		s.done = true
	case !s.final || s.changing:
		s.giveUp(dir)
	default:
		s.sides[dir].lost = true
		if s.begun = true; s.parser != nil {
			s.parser.Gap(&s.sink, dir, n)
			s.done = s.parser.Done()
		}
		if s.pool.Strict && !s.proto.takesGaps() {
			s.fail(dir)
		}
	}
	s.sides[dir].closed = s.done
}

// End tells that a side has sent its last byte.
func (s *Session) End(dir packet.Dir) {
	s.sink.clear()
	switch {
	case s.changing:
		s.giveUp(dir)
	case s.parser != nil && !s.sides[dir].closed && !s.over:
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
