package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// State is what a client knows of its connection.
type State uint8

// The states. A connection that has ended keeps its state until the client
// dials again.
const (
	Stopped    State = iota // not running
	Connecting              // dialing, or connected but without an answer yet
	Live                    // the server has answered
	Reset                   // a RST came
	Refused                 // a RST came instead of the handshake
	Stalled                 // no answer in time
	Closed                  // anything else: an orderly end, a protocol error
	states
)

// String returns the state's name in lower case.
func (s State) String() string {
	if s < states {
		return [states]string{"stopped", "connecting", "live", "reset", "refused", "stalled", "closed"}[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Status is what a client reports.
type Status struct {
	Name          string
	Kind          Kind
	Host          string         // the server's name
	Local, Remote netip.AddrPort // of the newest connection; Local has port 0 before the first
	State         State
	Since         time.Time // when State began
	Bytes         uint64    // that the server's answers had, over all connections
	Err           error     // how the last connection ended; nil before

	// Times counts how often the client has come into each state.
	Times [states]int
}

// enter changes the state.
func (s *Status) enter(state State) {
	s.State, s.Since = state, time.Now()
	s.Times[state]++
}

// Snapshot is the status of many clients.
type Snapshot []Status

// Count returns how many clients are in a state.
func (s Snapshot) Count(state State) int {
	n := 0
	for i := range s {
		if s[i].State == state {
			n++
		}
	}
	return n
}

// endState tells how a connection ended from its last error.
func endState(err error) State {
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		// A write finds a connection that was reset before closed for sending.
		return Reset
	case errors.Is(err, context.DeadlineExceeded), isNet && timeout.Timeout():
		return Stalled
	}
	return Closed
}
