package netstack

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// queue is a bounded ring of packets from both sides. Senders of both stacks
// write it, the engine's worker reads it.
//
//	head        next            tail
//	 | lent      | waiting       | free ...
type queue struct {
	net   *Net
	event chan struct{} // capacity 1: tells a waiting ReadBatch to look again
	timer *time.Timer   // the worker's, for its wait

	mu      sync.Mutex
	slots   []slot // guarded by mu, but for the bytes of lent slots
	head    uint64 // guarded by mu: first slot lent to the worker
	next    uint64 // guarded by mu: first slot to be lent
	tail    uint64 // guarded by mu: first free slot; all three count up for ever
	lost    uint64 // guarded by mu
	waiting bool   // guarded by mu: the worker waits for event
	woken   bool   // guarded by mu: Wake was called
	closed  bool   // guarded by mu
}

// slot is one packet and the side that sent it.
type slot struct {
	side uint8
	n    int
	data [MTU]byte
}

// Write appends b; it lets gVisor copy its buffers straight into the slot.
func (s *slot) Write(b []byte) (int, error) {
	n := copy(s.data[s.n:], b)
	s.n += n
	if n < len(b) {
		return n, errTooLong
	}
	return n, nil
}

var errTooLong = fmt.Errorf("netstack: packet is longer than the MTU of %d bytes", MTU)

var (
	_ pktio.Queue   = (*queue)(nil)
	_ pktio.Dropper = (*queue)(nil)
)

func newQueue(n *Net, length int) *queue {
	q := &queue{
		net:   n,
		event: make(chan struct{}, 1),
		timer: time.NewTimer(time.Hour),
		slots: make([]slot, length),
	}
	q.timer.Stop()
	return q
}

// push copies pkt into the ring, or counts it as lost.
func (q *queue) push(side uint8, pkt *stack.PacketBuffer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.tail-q.head == uint64(len(q.slots)) {
		q.lost++
		return
	}
	s := &q.slots[q.tail%uint64(len(q.slots))]
	s.side, s.n = side, 0
	for _, b := range [...][]byte{pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice()} {
		if _, err := s.Write(b); err != nil {
			q.lost++
			return
		}
	}
	if _, err := pkt.Data().ReadTo(s, true); err != nil {
		q.lost++
		return
	}
	q.tail++
	q.signalLocked()
}

// signalLocked ends the worker's wait. It needs mu.
func (q *queue) signalLocked() {
	if q.waiting {
		q.waiting = false
		select {
		case q.event <- struct{}{}:
		default:
		}
	}
}

// ReadBatch implements pktio.Queue. A packet's Cookie is the number of the side
// that sent it.
func (q *queue) ReadBatch(batch []pktio.Packet, wait time.Duration) (int, error) {
	n, done, err := q.take(batch, wait != 0)
	if done || wait == 0 {
		return n, err
	}
	var expired <-chan time.Time
	if wait > 0 {
		q.timer.Reset(wait)
		defer q.timer.Stop()
		expired = q.timer.C
	}
	for {
		select {
		case <-q.event:
		case <-expired:
			return 0, nil
		}
		if n, done, err = q.take(batch, true); done {
			return n, err
		}
	}
}

// take gives back the slots of the batch before and lends the next ones. It
// returns done as false when there is nothing to tell the worker yet; wait then
// asks for an event.
func (q *queue) take(batch []pktio.Packet, wait bool) (n int, done bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, true, pktio.ErrClosed
	}
	q.head = q.next
	for ; n < len(batch) && q.next < q.tail; n++ {
		s := &q.slots[q.next%uint64(len(q.slots))]
		batch[n] = pktio.Packet{Data: s.data[:s.n], Link: packet.LinkRaw, Len: s.n, Cookie: uint64(s.side)}
		q.next++
	}
	done = n > 0 || q.woken
	q.woken = false
	q.waiting = !done && wait
	return n, done, nil
}

// Verdicts implements pktio.Queue.
func (q *queue) Verdicts(batch []pktio.Packet) error {
	for i := range batch {
		if p := &batch[i]; p.Verdict == pktio.Accept {
			q.net.sides[other(p.Cookie)].deliver(p.Data)
		}
	}
	return nil
}

// Inject implements pktio.Queue.
func (q *queue) Inject(ip []byte, like *pktio.Packet, back bool) error {
	to := other(like.Cookie)
	if back {
		to = other(uint64(to))
	}
	if !q.net.sides[to].deliver(ip) {
		return fmt.Errorf("netstack: inject %d bytes: not an IP packet to an address of the %v side", len(ip), q.net.sides[to])
	}
	return nil
}

// Wake implements pktio.Queue.
func (q *queue) Wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.woken = true
	q.signalLocked()
}

// Close implements pktio.Queue. Packets that wait, and all that come later, are
// lost: this network fails closed.
func (q *queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		q.lost += q.tail - q.next
		q.next = q.tail
		q.signalLocked()
	}
	return nil
}

// Lost implements pktio.Dropper.
func (q *queue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// spread returns which of n queues a packet belongs to, given its network and
// transport headers. Both directions of a flow have the same: the hashes of the
// two ends are added. Fragments, of which only the first has ports, are spread
// by addresses and protocol.
func spread(network, transport []byte, n int) int {
	if n == 1 {
		return 0
	}
	var src, dst uint64
	var proto uint8
	var fragment bool
	switch header.IPVersion(network) {
	case header.IPv4Version:
		ip := header.IPv4(network)
		proto, fragment = ip.Protocol(), ip.More() || ip.FragmentOffset() > 0
		src, dst = uint64(binary.BigEndian.Uint32(network[12:])), uint64(binary.BigEndian.Uint32(network[16:]))
	case header.IPv6Version:
		proto = network[6]
		if proto == header.IPv6FragmentHeader {
			proto, fragment = network[header.IPv6MinimumSize], true
		}
		src = mix(binary.BigEndian.Uint64(network[8:])) + binary.BigEndian.Uint64(network[16:])
		dst = mix(binary.BigEndian.Uint64(network[24:])) + binary.BigEndian.Uint64(network[32:])
	}
	if !fragment && (proto == packet.ProtoTCP || proto == packet.ProtoUDP) {
		src = mix(src) + uint64(binary.BigEndian.Uint16(transport))
		dst = mix(dst) + uint64(binary.BigEndian.Uint16(transport[2:]))
	}
	h := mix(mix(src) + mix(dst) + uint64(proto))
	queue, _ := bits.Mul64(h, uint64(n))
	return int(queue)
}

// mix is the finalizer of splitmix64 (Steele, Lea and Flood, 2014): every bit
// of x moves every bit of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
