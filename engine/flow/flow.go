// Package flow is the firewall state table: a bounded table of flows, both
// directions of a flow in one entry, with the operations that capture and flush
// it while traffic runs. It is generic in the state that its owner hangs on a
// flow, and knows nothing of TCP or of rules.
//
// A Table belongs to one worker. Nothing in it is locked, and entries hold no
// pointers, so the garbage collector never walks them.
//
// # How a flush works
//
// Table.Flush takes a flush up: it raises the table's epoch and remembers the
// filters. From then on every look-up compares the entry's epoch with the
// table's (one integer); an entry that is behind is judged once against the
// flushes it has not met, and is either ended or brought up to date. So the
// flush has taken effect for the very next packet, whatever the table's size.
// Table.Sweep, called between batches, visits the rest in bounded steps.
package flow

import "github.com/sluicefw/sluice/engine/packet"

// Reason says why a flow ended.
type Reason uint8

const (
	Timeout  Reason = iota // idle for longer than its state allows
	Closed                 // its protocol ended it (FIN, RST) and the closed timeout passed
	Flushed                // a flow flush
	Evicted                // the table was full and something newer came
	Reused                 // a new connection took its 5-tuple
	Shutdown               // the engine stopped
	Removed                // its firewall is gone
	Failed                 // a packet of it made the owner fail
	NumReasons
)

var reasonNames = [NumReasons]string{"timeout", "closed", "flushed", "evicted", "tcp_reuse", "shutdown", "removed", "failed"}

// String is the reason's name in logs and metric labels.
func (r Reason) String() string { return reasonNames[r] }

// Flow is one entry of the table. The owner may change what is exported, Key
// excepted. A *Flow is valid until the flow ends: the slot is then used again.
type Flow[S any] struct {
	Key Key

	// Of a vacant slot, packetsHi is why the flow ended and how many resets were sent since then,
	// bytesHi[0] the flush that ended it and bytesLo[0] slot+1 of the next vacant one: see
	// Table.end. They lie beside the epoch, most often in one cache line.
	packetsHi [2]uint8  // packets are 40-bit counters, and bytes
	bytesHi   [2]uint16 // are 48-bit ones, to keep the entry small
	epoch     epoch     // the newest flush that this flow has met; 0 marks a vacant slot
	Seen      [2]uint8  // the owner's, like State, where there is room
	next      uint32    // slot+1 of the next entry in the bucket
	bytesLo   [2]uint32
	packetsLo [2]uint32

	State S // the owner's

	First, Last int64 // first and last packet, nanoseconds since 1970
}

// epoch counts flushes. It begins anew after 65,535 of them: what is compared are flushes that
// are under way together, which are few.
type epoch uint16

// next is the epoch after e. None is 0.
func (e epoch) next() epoch { return max(1, e+1) }

// before reports whether e is older than o.
func (e epoch) before(o epoch) bool { return int16(e-o) < 0 }

// Count adds a packet of n bytes that was seen at now.
func (f *Flow[S]) Count(dir packet.Dir, packets uint32, n int, now int64) {
	lo := f.packetsLo[dir] + packets
	if lo < packets {
		f.packetsHi[dir]++
	}
	f.packetsLo[dir] = lo
	bytes := f.bytesLo[dir] + uint32(n)
	if bytes < uint32(n) {
		f.bytesHi[dir]++
	}
	f.bytesLo[dir] = bytes
	f.Last = now
}

// ID is a number for the flow in records: the same for all records of a flow,
// and below 2^53 so that every JSON reader keeps it exact.
func (f *Flow[S]) ID() uint64 { return f.Key.ID(f.First) }

// Packets returns how many packets went in that direction.
func (f *Flow[S]) Packets(dir packet.Dir) uint64 {
	return uint64(f.packetsHi[dir])<<32 | uint64(f.packetsLo[dir])
}

// Bytes returns how many bytes went in that direction.
func (f *Flow[S]) Bytes(dir packet.Dir) uint64 {
	return uint64(f.bytesHi[dir])<<32 | uint64(f.bytesLo[dir])
}
