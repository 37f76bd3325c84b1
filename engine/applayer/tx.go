package applayer

import (
	"slices"

	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// Tx is one transaction of a protocol: a request with its response, a message,
// or the whole of a handshake. It belongs to its Parser; what it returns is valid until
// the parser's next call, the Tx itself until Session.Release.
type Tx interface {
	// State returns what every transaction has.
	State() *TxState

	// Value returns value i, from 0, of a buffer as of the event at hand. Buffers with
	// several values are asked until ok is false. An empty value that is there is not nil.
	Value(b Buffer, i int) (value []byte, ok bool)

	// Piece says which part of a whole Value has returned, of buffers that are looked into
	// as they grow: the offset of its first byte, and whether its last is the last of all.
	Piece(b Buffer, i int) (offset int, last bool)

	// File returns file i, from 0, that the transaction carries in a direction, or nil.
	File(dir packet.Dir, i int) *file.File

	// Number is Value for a number.
	Number(n Number, i int) (value uint64, ok bool)
}

// TxState is what every transaction has, whatever its protocol. Parsers embed it.
type TxState struct {
	ID        uint64    // number of the transaction in its flow, from 0
	Anomalies []Anomaly // what is wrong with it, in the order of discovery, at most maxAnomalies
	Told      int       // how many of Anomalies are in records
	Guessed   int       // alerts that show it because it was under way

	matched []uint32 // rules
}

// maxAnomalies bounds what a transaction remembers of its faults.
const maxAnomalies = 16

// State implements Tx for the transactions that embed it.
func (s *TxState) State() *TxState { return s }

// Piece implements Tx for transactions whose buffers come whole.
func (s *TxState) Piece(Buffer, int) (offset int, last bool) { return 0, true }

// File implements Tx for transactions without files.
func (s *TxState) File(packet.Dir, int) *file.File { return nil }

// Number implements Tx for the transactions that have none.
func (s *TxState) Number(Number, int) (value uint64, ok bool) { return 0, false }

// Reset prepares for another transaction, number id of its flow.
func (s *TxState) Reset(id uint64) {
	*s = TxState{ID: id, Anomalies: s.Anomalies[:0], matched: s.matched[:0]}
}

// Note adds an anomaly, once. It reports whether it is new: then the parser emits AnomalySeen.
func (s *TxState) Note(a Anomaly) bool {
	if len(s.Anomalies) == maxAnomalies || slices.Contains(s.Anomalies, a) {
		return false
	}
	s.Anomalies = append(s.Anomalies, a)
	return true
}

// NoteAgain adds an anomaly, or one more time if it was noted before: Suricata logs some that often.
func (s *TxState) NoteAgain(a Anomaly) {
	if len(s.Anomalies) < maxAnomalies {
		s.Anomalies = append(s.Anomalies, a)
	}
}

// Once reports whether a rule has not matched in the transaction before, and notes that it has now. The number
// stands for the rule and a direction: in each it may match once, as a rule about a body is looked at
// with each of its pieces.
func (s *TxState) Once(rule uint32) bool {
	if slices.Contains(s.matched, rule) {
		return false
	}
	s.matched = append(s.matched, rule)
	return true
}

// Parser follows one protocol on one flow. It belongs to one worker. Parsers are reused:
// New of package parsers makes them, a Pool lends them.
type Parser interface {
	// Reset prepares for another flow over the transport packet.ProtoTCP or ProtoUDP,
	// giving up all but a little memory.
	Reset(transport uint8)

	// Data takes bytes of one direction in order, those that were not consumed before
	// first, and returns how many it consumed: at most up to the end of what raised
	// events, so that buffers are still those of the events. The others, never more
	// than MaxUnconsumed, come again with more behind them. For UDP, data is one
	// datagram, and what is not consumed is lost.
	Data(out *Sink, dir packet.Dir, data []byte) (consumed int)

	// Gap tells that n bytes of a direction are lost; those that were presented but not
	// consumed are among them. A parser that cannot go on emits ParserFailed.
	Gap(out *Sink, dir packet.Dir, n int)

	// End tells that a direction has sent its last byte. Parsers emit TxDone for what will
	// not be completed any more when both have.
	End(out *Sink, dir packet.Dir)

	// Release lets transactions that are done be used again: the packet is over.
	Release()

	// Done reports that nothing more of interest will come.
	Done() bool

	// Memory returns how many bytes the parser holds, its own size included.
	Memory() int

	// Last returns the newest transaction, for records of packets that belong to no certain
	// one; nil before the first.
	Last() Tx

	// Name returns what to show for the flow in lists, such as a server's name, or nothing.
	Name() []byte
}

// Heir is a Parser that goes on with a transaction of the protocol before: HTTP/2 answers the request that
// asked for it.
type Heir interface {
	// Inherit takes in a transaction of another protocol, before the first call of Data. It is valid
	// during the call.
	Inherit(out *Sink, from Tx)
}

// Event is one moment at which rules are evaluated, or something is logged.
type Event struct {
	Hook Hook
	Dir  packet.Dir
	Tx   Tx // nil for ProtocolDetected and ParserFailed, and for AnomalySeen about a flow

	// App is the protocol of the session when the event was raised: it can be another when rules look.
	// Session.Next sets it.
	App Proto

	Anomaly Anomaly    // of AnomalySeen about a flow
	File    *file.File // of FileDone
}

// maxEvents is about how many events one call of a parser raises.
const maxEvents = 24

// Sink takes the events of one call of a parser.
type Sink struct {
	Digests bool // somebody wants the digests of files
	Inline  bool // packets wait for what rules say: nothing is put off that they could look at

	events []Event
	head   int

	change bool // see Change
	expect Proto
	port   uint16
}

// EmitFile raises FileDone.
func (s *Sink) EmitFile(dir packet.Dir, tx Tx, f *file.File) {
	s.events = append(s.events, Event{Hook: FileDone, Dir: dir, Tx: tx, File: f})
}

// Emit raises an event. A parser returns from its call when it has emitted about maxEvents; only
// where many transactions end at once there are more.
func (s *Sink) Emit(hook Hook, dir packet.Dir, tx Tx) {
	s.events = append(s.events, Event{Hook: hook, Dir: dir, Tx: tx})
}

// EmitAnomaly raises AnomalySeen about the flow.
func (s *Sink) EmitAnomaly(dir packet.Dir, a Anomaly) {
	s.events = append(s.events, Event{Hook: AnomalySeen, Dir: dir, Anomaly: a})
}

// Change tells that another protocol follows on the connection: one that is expected, or Unknown for
// any. It may be the protocol of a port of servers; 0 stands for the flow's own. The parser is Done; its
// transactions are, too.
func (s *Sink) Change(expect Proto, port uint16) {
	s.change, s.expect, s.port = true, expect, port
}

// PortTLS is the port of Change where TLS follows.
const PortTLS = 443

// Room reports how many more events should be emitted.
func (s *Sink) Room() int { return maxEvents - len(s.events) }

// Take yields the events and forgets them.
func (s *Sink) Take(yield func(Event) bool) {
	defer s.clear()
	for _, ev := range s.events[s.head:] {
		if !yield(ev) {
			return
		}
	}
}

func (s *Sink) clear() {
	if s.events, s.head = s.events[:0], 0; cap(s.events) > 4*maxEvents {
		s.events = nil
	}
	s.change = false
}
