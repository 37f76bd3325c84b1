package detect

import (
	"time"

	"github.com/sluicefw/sluice/engine/stateless"
)

// Exception says what happens to TCP packets that belong to no tracked flow:
// the stream exception policy.
type Exception uint8

const (
	ExceptionDrop     Exception = iota // silently
	ExceptionReject                    // a reset to both ends at first, then silence
	ExceptionContinue                  // rules run without the connection's context
	ExceptionPickUp                    // the connection is followed from here on (Suricata's stream.midstream)
	NumExceptions
)

var exceptionNames = [NumExceptions]string{"drop", "reject", "continue", "pick_up"}

// String is the policy's label in metrics.
func (e Exception) String() string { return exceptionNames[e] }

// Family is one of the four stateful default actions of AWS Network Firewall,
// which apply to what no rule decided, in strict order only.
type Family uint8

const (
	Strict              Family = iota // every packet, handshakes too
	Established                       // packets after the TCP handshake
	EstablishedApp                    // the same, once the SNI, the Host or another protocol is known
	EstablishedToServer               // the same, for packets to the server only
	NumFamilies
)

// Defaults are a policy's stateful default actions.
type Defaults struct {
	Drop, Alert [NumFamilies]bool
	Rules       [NumFamilies]Rule // what records say of each; made by the policy
}

// Any says whether there is a default action at all.
func (d *Defaults) Any() bool {
	return d.Drop != [NumFamilies]bool{} || d.Alert != [NumFamilies]bool{}
}

// Program is a firewall policy in executable form. It is immutable: a change
// makes a new program with the next generation. Flows stay on the rule set of
// the program that admitted them; everything else of the newest program applies
// to every packet at once.
type Program struct {
	Generation uint32
	Stateless  *stateless.Table // nil forwards everything to the rules
	Rules      *RuleSet
	Defaults   Defaults
	Exception  Exception

	// Suricata makes flows of packets as Suricata does; it is for rule files that no policy is
	// around. What Exception drops or rejects leaves a dropped flow behind. Only TCP, UDP, SCTP,
	// ICMP, ESP and IPv6 in IPv4 have flows. An ICMP destination unreachable belongs to the flow that it
	// quotes; other errors of ICMP, of version 4, belong to none. Idle timeouts are
	// Suricata's defaults. Packets that are invalid pass.
	Suricata bool

	TCPIdle time.Duration // how long an established connection may be silent
	Custom  []string      // names of the custom actions, by stateless.Decision's indices
}
