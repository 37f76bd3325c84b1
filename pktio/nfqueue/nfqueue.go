// Package nfqueue is the packet driver of a Linux gateway: the kernel hands
// packets over where an iptables rule says "-j NFQUEUE", and waits for a
// verdict on each.
//
//	iptables  -A FORWARD -j NFQUEUE --queue-balance 0:1
//	ip6tables -A FORWARD -j NFQUEUE --queue-balance 0:1
//
// --queue-balance spreads by the two addresses and the protocol, alike in both
// directions, as package pktio asks. --queue-cpu-fanout does not and must not
// be used. An ICMP error from a router on the way has other addresses than the
// flow it is about, so it may arrive at another queue than that flow.
//
// # Failing
//
// The driver fails closed: a packet that finds its queue full, a socket buffer
// full or no program listening is dropped. Options.FailOpen covers the first
// two; for the third the rule itself needs --queue-bypass. No kernel counter
// shows what passes unseen because a queue was full; the packet counter of the
// rule minus Stats.Received does.
//
// # Large packets
//
// The kernel joins packets of one TCP or UDP flow (GSO) and the driver takes
// them whole, up to 65,531 bytes, which is several times faster. Their
// checksums are not filled in, and NFQUEUE does not tell the size of the
// segments: Packet.Offload is true and Packet.MSS is 0.
package nfqueue

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// DefaultMark is the socket mark of injected packets when Options.Mark is 0.
const DefaultMark uint32 = 0x736c

// maxQueues bounds the memory of a driver: a queue takes 4.25 MiB of buffers
// beside its share of the kernel's.
const maxQueues = 256

// Options says how to open a driver. The zero value listens on queue 0.
type Options struct {
	// Queues are the numbers of the queues to listen on; none means queue 0.
	Queues []uint16

	// FailOpen lets packets pass unseen when a queue or its socket is full,
	// and those still undecided when a queue is closed in order.
	FailOpen bool

	// QueueLen is how many undecided packets the kernel keeps for a queue; 0 means 8192.
	QueueLen uint32

	// RcvBuf is the size of a queue's socket buffer in bytes, which the kernel
	// doubles for its own bookkeeping; 0 means 32 MiB.
	RcvBuf int

	// NoGSO makes the kernel cut large packets to the MTU first and fill in their checksums.
	NoGSO bool

	// Mark is the socket mark (SO_MARK) of injected packets, so that firewall
	// and routing rules can tell them apart; 0 means DefaultMark. Injected
	// packets leave by the OUTPUT chain and so do not meet a FORWARD rule.
	Mark uint32

	// Logger gets what happens once at opening; nil means slog.Default().
	Logger *slog.Logger
}

// Stats are the counters of one queue since it was opened.
type Stats struct {
	Queue     uint16
	Received  uint64 // packets handed to the engine
	QueueFull uint64 // packets dropped by the kernel because QueueLen was reached; with FailOpen they pass uncounted. The kernel counts in 32 bits, so this wraps
	Missed    uint64 // packets that did not fit the socket buffer: dropped, or passed unseen with FailOpen
	NotIP     uint64 // neither IPv4 nor IPv6: dropped, or passed with FailOpen
	Malformed uint64 // kernel messages that could not be read; their packets are dropped and count as missed
	Refused   uint64 // verdicts that the kernel refused, as a rule because the packet went with its device
}

// ParseQueues reads queue numbers as configurations write them: numbers and
// ranges joined by commas, as in "0-3" or "0,2,8-9". At most 256 queues may
// be named, each once.
func ParseQueues(s string) ([]uint16, error) {
	var queues []uint16
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		first, err := strconv.ParseUint(low, 10, 16)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(high, 10, 16)
		}
		if err != nil || last < first {
			return nil, fmt.Errorf("nfqueue: queues %q: %q is neither a number nor a range of numbers from 0 to 65535", s, part)
		}
		if len(queues)+int(last-first)+1 > maxQueues {
			return nil, fmt.Errorf("nfqueue: queues %q: more than %d queues", s, maxQueues)
		}
		for n := first; n <= last; n++ {
			queues = append(queues, uint16(n))
		}
	}
	return queues, checkQueues(queues)
}

// checkQueues reports a set of queues that no driver can have.
func checkQueues(queues []uint16) error {
	if len(queues) > maxQueues {
		return fmt.Errorf("nfqueue: %d queues are more than %d", len(queues), maxQueues)
	}
	seen := make(map[uint16]bool, len(queues))
	for _, n := range queues {
		if seen[n] {
			return fmt.Errorf("nfqueue: queue %d is named twice", n)
		}
		seen[n] = true
	}
	return nil
}

// Check is the answer to one question of Probe.
type Check struct {
	Name   string // what was tried
	OK     bool
	Detail string // what was found; when not OK, what would mend it
}
