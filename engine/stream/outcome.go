package stream

import "github.com/sluicefw/sluice/engine/packet"

// Outcome is what Tracker.Update found out about one packet: a set of the bits
// below and, when Invalid is set, a Reason.
type Outcome uint32

const (
	Segment         Outcome = 1 << iota // its bytes belong to the stream, and its ACK counts
	Invalid                             // not a packet of this connection
	StateChanged                        // State returns something new
	JustEstablished                     // the handshake was completed by this packet
	JustClosed                          // this packet closed the connection, by FINs or by a reset
	Unknown                             // belongs to no connection, and opens none
)

const reasonShift = 16

// Has reports whether all bits of b are set.
func (o Outcome) Has(b Outcome) bool { return o&b == b }

// Reason says why the packet is invalid; it is Valid unless Invalid is set.
func (o Outcome) Reason() Reason { return Reason(o >> reasonShift) }

func invalid(r Reason) Outcome { return Invalid | Outcome(r)<<reasonShift }

// Reason says why a packet does not belong to its connection: the event that it
// met, or that it is a reset which its receiver would not take. Its String is a
// metric label.
type Reason uint8

const (
	Valid     Reason = iota
	BadReset         // no event says so
	someEvent        // the first stream event, and so on

	// Reasons is the number of reasons, for arrays of counters.
	Reasons = int(someEvent) + packet.NumEvents - int(packet.FirstStreamEvent)
)

func reasonOf(e packet.Event) Reason { return someEvent + Reason(e-packet.FirstStreamEvent) }

// String returns the label of r, such as "est_packet_out_of_window".
func (r Reason) String() string {
	switch {
	case r == Valid:
		return "valid"
	case r == BadReset:
		return "reset"
	case int(r) < Reasons:
		return (packet.FirstStreamEvent + packet.Event(r-someEvent)).String()[len("stream."):]
	}
	return "unknown"
}

// State is the state of a connection, in the words of RFC 9293, 3.3.2, as the
// server sees it: that is how Suricata reports it (EVE tcp.state).
type State uint8

const (
	StateNone State = iota
	StateSynSent
	StateSynRecv
	StateEstablished
	StateFinWait1 // the server sent its FIN
	StateFinWait2 // and it was acknowledged
	StateTimeWait // both sent a FIN, the server first

	// A SYN with another number takes the ports over from here on.
	StateLastAck   // both sent a FIN, the client first
	StateCloseWait // the client sent its FIN
	StateClosing   // the server repeated its FIN before it was acknowledged
	StateClosed
)

var stateNames = [...]string{
	"none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2",
	"time_wait", "last_ack", "close_wait", "closing", "closed",
}

// String returns Suricata's name of the state, such as "fin_wait1".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}
