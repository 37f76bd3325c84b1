package stream

// Outcome is what Tracker.Update found out about one packet: a set of the bits
// below and, when Invalid is set, a Reason. The zero Outcome is Accept.
type Outcome uint32

const (
	Accept          Outcome = 0
	Invalid         Outcome = 1 << iota // not a packet of this connection; the state was left as it was
	StateChanged                        // State returns something new
	JustEstablished                     // the handshake was completed by this packet
	JustClosed                          // this packet closed the connection, by FINs or by a reset
	Retransmission                      // carries nothing that was not sent before
	KeepAlive                           // sent to provoke an ACK (RFC 9293, 3.8.4)
	WindowProbe                         // sent into a closed window (RFC 9293, 3.8.6.1)
	Reuse                               // opens a new connection on the same ports: start a fresh flow and Open it with this packet
)

const reasonShift = 16

// Has reports whether all bits of b are set.
func (o Outcome) Has(b Outcome) bool { return o&b == b }

// Reason says why the packet is invalid; it is Valid unless Invalid is set.
func (o Outcome) Reason() Reason { return Reason(o >> reasonShift) }

func invalid(r Reason) Outcome { return Invalid | Outcome(r)<<reasonShift }

// Reason says why a packet does not belong to its connection. Its String is a
// metric label.
type Reason uint8

const (
	Valid            Reason = iota
	OutOfWindow             // sequence number outside of what the peer can take
	BadAck                  // acknowledges what was never sent, or far too little
	BadRST                  // reset outside of the window, or one that does not answer the SYN
	BadSYN                  // SYN or SYN-ACK that contradicts the handshake under way
	SYNOnEstablished        // SYN within a connection (RFC 9293, 3.10.7.4)
	BadFlags                // a combination that no stack sends: SYN with RST or FIN, or none of SYN, RST and ACK
	NoHandshake             // data or ACK before the SYN was answered
	AfterFIN                // bytes beyond the sender's FIN

	// Reasons is the number of reasons, for arrays of counters.
	Reasons = iota
)

var reasonNames = [Reasons]string{
	"valid", "out_of_window", "bad_ack", "bad_rst", "bad_syn",
	"syn_on_established", "bad_flags", "no_handshake", "after_fin",
}

// String returns the label of r, such as "out_of_window".
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// State is the state of a connection, in the words of RFC 9293, 3.3.2, as the
// server sees it. That is also how Suricata reports it (EVE tcp.state).
type State uint8

const (
	StateNone State = iota
	StateSynSent
	StateSynRecv
	StateEstablished
	StateFinWait1  // the server sent its FIN
	StateFinWait2  // and it was acknowledged
	StateCloseWait // the client sent its FIN
	StateClosing   // both sent a FIN, the server first; the server's is not acknowledged
	StateLastAck   // both sent a FIN, the client first; the server's is not acknowledged
	StateTimeWait  // both sent a FIN, the server first; the server's is acknowledged
	StateClosed
)

var stateNames = [...]string{
	"none", "syn_sent", "syn_recv", "established", "fin_wait1", "fin_wait2",
	"close_wait", "closing", "last_ack", "time_wait", "closed",
}

// String returns Suricata's name of the state, such as "fin_wait1".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}
