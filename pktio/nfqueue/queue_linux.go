package nfqueue

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

const (
	// batchSize is how many packets one recvmmsg takes. More gained nothing measurable.
	batchSize = 64

	// slotSize holds the largest message: a payload attribute of 64 KiB and less than 1 KiB around it.
	slotSize = 64<<10 + 4<<10
)

// A packet's cookie is its 32-bit NFQUEUE id and, above it, this bit: what the
// kernel sent just before this packet could not be read and must not be swept
// along by a verdict that accepts everything up to some id.
const cookieHole = 1 << 32

// mmsghdr is struct mmsghdr of recvmmsg(2), padded by Go as by C.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// Queue is one NFQUEUE queue. It implements pktio.Queue and pktio.Dropper.
type Queue struct {
	num      uint16
	failOpen bool
	kernel   *kernelCounters // shared with the driver's other queues; nil when procfs does not offer them

	// mu keeps Close from taking the descriptors away under the owner. The
	// owner takes it once for a batch and nobody else does before Close, so it
	// is never contended.
	mu     sync.Mutex
	fd     int // netlink socket, connected to the kernel
	inject injector

	wake   waker
	closed atomic.Bool

	hdrs     [batchSize]mmsghdr
	iovs     [batchSize]unix.Iovec
	slots    []byte // batchSize slots of slotSize bytes
	verdicts []byte // the messages being built
	poll     [2]unix.PollFd
	timeout  unix.Timespec
	nextID   uint32 // the id that the next packet has when nothing is lost
	hole     bool   // the next packet's cookie gets cookieHole

	received, missed, notIP, malformed, refused, queueFull atomic.Uint64
}

var (
	_ pktio.Queue   = (*Queue)(nil)
	_ pktio.Dropper = (*Queue)(nil)
)

// newQueue wraps a netlink socket and an eventfd, which become the queue's.
func newQueue(num uint16, fd, wakeFD int) *Queue {
	q := &Queue{
		num:      num,
		fd:       fd,
		inject:   injector{fd4: -1, fd6: -1},
		wake:     waker{fd: wakeFD},
		slots:    make([]byte, batchSize*slotSize),
		verdicts: make([]byte, 0, 2*batchSize*verdictSize),
		nextID:   1, // the kernel numbers from 1
	}
	q.poll = [2]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(wakeFD), Events: unix.POLLIN}}
	for i := range q.hdrs {
		q.iovs[i].Base = &q.slots[i*slotSize]
		q.iovs[i].SetLen(slotSize)
		q.hdrs[i].hdr.Iov = &q.iovs[i]
		q.hdrs[i].hdr.SetIovlen(1)
	}
	return q
}

// ReadBatch implements pktio.Queue. It takes at most 64 packets at a time.
func (q *Queue) ReadBatch(batch []pktio.Packet, wait time.Duration) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(batch) == 0 {
		return 0, nil
	}
	timeout := &q.timeout
	if wait < 0 {
		timeout = nil
	} else {
		q.timeout = unix.NsecToTimespec(int64(wait))
	}
	for {
		if q.closed.Load() {
			return 0, pktio.ErrClosed
		}
		n, empty, err := q.receive(batch)
		if n > 0 || err != nil {
			return n, err
		}
		if !empty {
			continue // there were messages, but no packet for the engine among them
		}
		// The ppoll system call leaves in timeout what is left of it.
		ready, err := unix.Ppoll(q.poll[:], timeout, nil)
		switch {
		case err == unix.EINTR:
			// The runtime signals threads to preempt goroutines: wait for the rest.
		case err != nil:
			return 0, fmt.Errorf("nfqueue: waiting for packets of queue %d: %w", q.num, err)
		case ready == 0:
			return 0, nil
		case q.poll[1].Revents != 0:
			q.wake.clear()
			if q.closed.Load() {
				return 0, pktio.ErrClosed
			}
			return 0, nil
		}
	}
}

// receive takes what the socket holds, without waiting. Empty is true when it
// held nothing.
func (q *Queue) receive(batch []pktio.Packet) (n int, empty bool, err error) {
	got, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(q.fd), uintptr(unsafe.Pointer(&q.hdrs)),
		uintptr(min(len(batch), batchSize)), unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
	case unix.EAGAIN:
		return 0, true, nil
	case unix.EINTR, unix.ENOBUFS:
		return 0, false, nil // NETLINK_NO_ENOBUFS silences the latter; the gap in the ids counts what was lost
	default:
		return 0, false, fmt.Errorf("nfqueue: reading queue %d: %w", q.num, errno)
	}
	for i := range int(got) {
		slot := q.slots[i*slotSize:]
		m := parseMessage(slot[:min(q.hdrs[i].len, slotSize)])
		switch m.kind {
		case kindPacket:
			if q.fill(&batch[n], &m) {
				n++
			}
		case kindError:
			if m.errno != 0 {
				q.refused.Add(1)
			}
		case kindMalformed:
			q.malformed.Add(1)
			q.hole = true
		}
	}
	q.received.Add(uint64(n))
	return n, false, nil
}

// fill turns a message into a packet, or disposes of it and returns false.
func (q *Queue) fill(p *pktio.Packet, m *message) bool {
	if gap := int32(m.id - q.nextID); gap > 0 { // so computed, the ids may wrap
		q.missed.Add(uint64(gap))
	}
	q.nextID = m.id + 1
	var link packet.LinkType
	switch m.proto {
	case unix.ETH_P_IP:
		link = packet.LinkIPv4
	case unix.ETH_P_IPV6:
		link = packet.LinkIPv6
	default:
		q.disposeNotIP(m.id)
		return false
	}
	cookie := uint64(m.id)
	if q.hole {
		cookie |= cookieHole
		q.hole = false
	}
	*p = pktio.Packet{
		Data:    m.data,
		Link:    link,
		Time:    m.time,
		Len:     m.size,
		Offload: m.skbInfo&(skbChecksumNotReady|skbGSO) != 0,
		Cookie:  cookie,
	}
	return true
}

// disposeNotIP gives the verdict on a packet that the engine cannot judge. Only
// rules on bridges queue such packets.
func (q *Queue) disposeNotIP(id uint32) {
	q.notIP.Add(1)
	verdict := uint32(verdictDrop)
	if q.failOpen {
		verdict = verdictAccept
	}
	q.verdicts = appendVerdict(q.verdicts[:0], msgVerdict, q.num, verdict, id)
	if q.send() != nil {
		q.hole = true
	}
}

// Verdicts implements pktio.Queue. Neighbours with the same verdict share one
// message, which holds for every undecided packet up to the last of them; all
// messages go in one system call, in the order of the packets, so a message
// never reaches past its own run.
func (q *Queue) Verdicts(batch []pktio.Packet) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed.Load() {
		return pktio.ErrClosed
	}
	b := q.verdicts[:0]
	for i := range batch {
		p := &batch[i]
		if p.Cookie&cookieHole != 0 {
			b = appendVerdict(b, msgVerdictBatch, q.num, verdictDrop, uint32(p.Cookie)-1)
		}
		if p.Modified && p.Verdict == pktio.Accept {
			b = appendModified(b, q.num, uint32(p.Cookie), p.Data)
			if len(b) < maxMessages {
				continue
			}
			q.verdicts = b
			if err := q.sendVerdicts(); err != nil {
				return err
			}
			b = q.verdicts[:0]
			continue
		}
		if i+1 < len(batch) && batch[i+1].Verdict == p.Verdict && !batch[i+1].Modified && batch[i+1].Cookie&cookieHole == 0 {
			continue
		}
		verdict := uint32(verdictDrop)
		if p.Verdict == pktio.Accept {
			verdict = verdictAccept
		}
		b = appendVerdict(b, msgVerdictBatch, q.num, verdict, uint32(p.Cookie))
	}
	q.verdicts = b
	return q.sendVerdicts()
}

// maxMessages is how many bytes of messages with packets in them are sent at once.
const maxMessages = 32 << 10

func (q *Queue) sendVerdicts() error {
	if err := q.send(); err != nil {
		q.hole = true // a later verdict must not accept what this one was to drop
		return fmt.Errorf("nfqueue: sending verdicts of queue %d: %w", q.num, err)
	}
	return nil
}

// send gives the built messages to the kernel, which carries them out before
// the system call returns.
func (q *Queue) send() error {
	if len(q.verdicts) == 0 {
		return nil
	}
	for {
		_, err := unix.Write(q.fd, q.verdicts)
		if err != unix.EINTR {
			return err
		}
	}
}

// Inject implements pktio.Queue. The packet leaves by a raw socket: the kernel
// routes it by its destination, so like and back are not needed. It passes the
// OUTPUT chain with the mark of Options.Mark, not FORWARD, and so does not
// come back as a queued packet.
func (q *Queue) Inject(ip []byte, _ *pktio.Packet, _ bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed.Load() {
		return pktio.ErrClosed
	}
	return q.inject.send(ip)
}

// Wake implements pktio.Queue.
func (q *Queue) Wake() { q.wake.signal() }

// Close implements pktio.Queue. The kernel drops what is undecided; with
// FailOpen it is accepted first.
func (q *Queue) Close() error {
	if q.closed.Swap(true) {
		return nil
	}
	q.Wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.readKernel()
	var err error
	if q.failOpen {
		// The kernel compares ids by their signed difference: this one is behind every id that can be pending.
		q.verdicts = appendVerdict(q.verdicts[:0], msgVerdictBatch, q.num, verdictAccept, q.nextID+1<<30)
		err = q.send()
	}
	q.inject.close()
	q.wake.close()
	if closeErr := unix.Close(q.fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("nfqueue: closing queue %d: %w", q.num, err)
	}
	return nil
}

// Lost implements pktio.Dropper: packets that found the queue or the socket
// buffer full. The latter are known as soon as the next packet arrives.
func (q *Queue) Lost() uint64 {
	s := q.Stats()
	return s.QueueFull + s.Missed
}

// Stats returns the queue's counters. It may be called from any goroutine.
func (q *Queue) Stats() Stats {
	if !q.closed.Load() {
		q.readKernel()
	}
	return Stats{
		Queue:     q.num,
		Received:  q.received.Load(),
		QueueFull: q.queueFull.Load(),
		Missed:    q.missed.Load(),
		NotIP:     q.notIP.Load(),
		Malformed: q.malformed.Load(),
		Refused:   q.refused.Load(),
	}
}

// readKernel takes over what the kernel counts of this queue, if it tells.
func (q *Queue) readKernel() {
	if q.kernel == nil {
		return
	}
	if dropped, ok := q.kernel.queueDropped(q.num); ok {
		q.queueFull.Store(uint64(dropped))
	}
}

// waker is an eventfd that anyone may signal, even after its end.
type waker struct {
	mu     sync.Mutex
	fd     int
	closed bool // under mu
}

// one is what an eventfd wants to have written: a counter's increment.
var one = binary.NativeEndian.AppendUint64(nil, 1)

func (w *waker) signal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		_, _ = unix.Write(w.fd, one) // fails only when the counter is full, and then it is signalled
	}
}

// clear makes the descriptor unready again. Only the owner of the queue calls it.
func (w *waker) clear() {
	var counter [8]byte
	_, _ = unix.Read(w.fd, counter[:])
}

func (w *waker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	unix.Close(w.fd)
}
