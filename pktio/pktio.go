// Package pktio is the border between the engine and wherever packets come
// from. A driver (one folder below this one each) offers queues; an engine
// worker owns one queue and is the only one to call it.
//
// Packets of one flow, in both directions, must always arrive at the same
// queue: a driver with several queues spreads by a symmetric hash.
package pktio

import (
	"errors"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
)

// Verdict is what becomes of a packet.
type Verdict uint8

const (
	Drop Verdict = iota // the zero value, so that what nobody judged does not pass
	Accept
)

// Packet is one packet of a batch. The driver fills everything but Verdict and Modified.
type Packet struct {
	Data    []byte // from the first byte of Link's header; borrowed, valid until the next ReadBatch of its queue
	Link    packet.LinkType
	Time    int64  // nanoseconds since 1970; 0 lets the worker use its own clock
	Len     int    // length on the wire in bytes; more than len(Data) when the capture cut it
	Offload bool   // checksums are not filled in yet (GSO, loopback): do not verify them
	MSS     uint16 // payload bytes per wire packet of an offloaded (GSO) packet, 0 when unknown
	Verdict Verdict

	// Modified says that the engine changed bytes in Data, and their checksums: what is
	// accepted has to go on as it is now.
	Modified bool

	// Cookie is the driver's own: an NFQUEUE id, a NIC. The engine hands it back untouched.
	Cookie uint64
}

// ErrClosed is returned by ReadBatch when the queue is closed and drained, and
// when a capture has come to its end.
var ErrClosed = errors.New("pktio: queue closed")

// Queue is one stream of packets with one owner. Only Wake may be called by
// somebody other than the owner.
type Queue interface {
	// ReadBatch fills batch from its start and returns how many packets it
	// got. It waits at most wait for the first packet (0: it polls; negative:
	// for ever) and returns 0, nil when none came or Wake was called. Data of
	// the batch before becomes invalid.
	ReadBatch(batch []Packet, wait time.Duration) (int, error)

	// Verdicts carries out the verdicts of the packets of the last batch.
	// It is called once for each batch, with the same slice cut to the count.
	Verdicts(batch []Packet) error

	// Inject sends a packet that the engine made: ip is a whole IPv4 or IPv6
	// packet with correct checksums; like is the packet that it answers, and
	// back says whether it goes to where like came from (true) or to where
	// like was going (false). ip is the caller's again on return.
	Inject(ip []byte, like *Packet, back bool) error

	// Wake makes a waiting ReadBatch return at once, or the next one if none
	// waits. It may be called from any goroutine at any time, after Close too.
	Wake()

	// Close ends the queue; what the driver still holds meets the driver's
	// failure policy. A waiting ReadBatch returns ErrClosed.
	Close() error
}

// Driver is a set of queues opened together.
type Driver interface {
	Queues() []Queue
	Close() error
}

// Dropper is offered by a queue that can lose packets before it hands them
// over (socket buffers, kernel queues).
type Dropper interface {
	// Lost is the number of packets lost so far, counted as precisely as the kernel tells.
	Lost() uint64
}
