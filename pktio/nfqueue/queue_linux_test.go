package nfqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// fakeKernel is the other end of a queue's socket. It keeps the undecided
// packets and carries out verdicts as nfnetlink_queue does.
type fakeKernel struct {
	t        testing.TB
	fd       int
	nextID   uint32
	modified []byte            // first bytes of packets that were accepted with other bytes
	pending  []uint32          // ids, oldest first
	fate     map[uint32]uint32 // id to verdict
	unknown  int               // verdicts that met no packet
	buf      [1 << 16]byte
}

// newFake returns a queue that talks to a fake kernel.
func newFake(t testing.TB, firstID uint32) (*Queue, *fakeKernel) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(0, pair[0], wake)
	q.nextID = firstID
	t.Cleanup(func() {
		q.Close()
		unix.Close(pair[1])
	})
	return q, &fakeKernel{t: t, fd: pair[1], nextID: firstID, fate: map[uint32]uint32{}}
}

// send gives a message to the queue.
func (k *fakeKernel) send(b []byte) {
	k.t.Helper()
	if _, err := unix.Write(k.fd, b); err != nil {
		k.t.Fatalf("fake kernel: %v", err)
	}
}

// enqueue makes a packet wait and returns its id. It is the caller's to send
// the message about it, or to lose that.
func (k *fakeKernel) enqueue() uint32 {
	id := k.nextID
	k.nextID++
	k.pending = append(k.pending, id)
	return id
}

// carryOut reads the verdicts that came and carries them out.
func (k *fakeKernel) carryOut() {
	k.t.Helper()
	for {
		n, err := unix.Read(k.fd, k.buf[:])
		if errors.Is(err, unix.EAGAIN) || n == 0 {
			return
		}
		if errors.Is(err, unix.ECONNRESET) {
			continue // the queue closed with messages unread; what it wrote before is still there
		}
		if err != nil {
			k.t.Fatalf("fake kernel: %v", err)
		}
		for b, size := k.buf[:n], 0; len(b) > 0; b = b[size:] {
			if size = int(binary.NativeEndian.Uint32(b)); size != verdictSize {
				if size < verdictSize+5 || size > len(b) || binary.NativeEndian.Uint16(b[verdictSize+2:]) != attrPayload {
					k.t.Fatalf("fake kernel: a verdict of %d bytes", size)
				}
				k.modified = append(k.modified, b[verdictSize+4])
			}
			verdict, id := binary.BigEndian.Uint32(b[24:]), binary.BigEndian.Uint32(b[28:])
			met := false
			kept := k.pending[:0]
			for _, p := range k.pending {
				single := binary.NativeEndian.Uint16(b[4:]) == msgVerdict
				if single && p == id || !single && int32(p-id) <= 0 {
					k.fate[p], met = verdict, true
				} else {
					kept = append(kept, p)
				}
			}
			k.pending = kept
			if !met {
				k.unknown++
			}
		}
	}
}

// TestVerdictsReachTheirPackets plays random traffic and compares every
// packet's end with what was meant for it.
func TestVerdictsReachTheirPackets(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, first := range []uint32{1, 1<<31 - 700, 0xfffffe00} { // the ids wrap on the way, signed and unsigned
		q, k := newFake(t, first)
		batch := make([]pktio.Packet, 64)
		want := map[uint32]uint32{}
		var missed, notIP, malformed uint64
		modified := 0
		for range 200 {
			for range rnd.IntN(40) {
				switch rnd.IntN(12) {
				case 0: // the socket was full: the kernel dropped the packet
					k.nextID++
					missed++
				case 1: // a message that cannot be read
					want[k.enqueue()] = verdictDrop
					k.send([]byte("garbage"))
					malformed++
				case 2: // ARP
					id := k.enqueue()
					want[id] = verdictDrop
					k.send(packetMessage(id, unix.ETH_P_ARP, nil))
					notIP++
				case 3:
					k.send(errorMessage(unix.ENOENT))
				default:
					id := k.enqueue()
					want[id] = rnd.Uint32N(2)
					k.send(packetMessage(id, unix.ETH_P_IP, []byte{byte(want[id])}))
				}
			}
			n, err := q.ReadBatch(batch, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch[:n] {
				batch[i].Verdict = pktio.Verdict(batch[i].Data[0])
				if batch[i].Modified = rnd.IntN(5) == 0; batch[i].Modified {
					batch[i].Data[0] += 100
					modified += int(batch[i].Verdict)
				}
			}
			if err := q.Verdicts(batch[:n]); err != nil {
				t.Fatal(err)
			}
			k.carryOut()
		}
		// One more packet, so that no loss or unreadable message is the last of all.
		id := k.enqueue()
		want[id] = verdictAccept
		k.send(packetMessage(id, unix.ETH_P_IP, []byte{verdictAccept}))
		for len(k.pending) > 0 {
			n, err := q.ReadBatch(batch, 0)
			if err != nil || n == 0 {
				t.Fatalf("%d packets undecided, but ReadBatch returned %d, %v", len(k.pending), n, err)
			}
			for i := range batch[:n] {
				batch[i].Verdict = pktio.Verdict(batch[i].Data[0])
			}
			if err := q.Verdicts(batch[:n]); err != nil {
				t.Fatal(err)
			}
			k.carryOut()
		}
		for id, verdict := range want {
			if got, ok := k.fate[id]; !ok || got != verdict {
				t.Fatalf("first id %d: packet %d got verdict %d (%v), want %d", first, id, got, ok, verdict)
			}
		}
		if len(k.modified) != modified || slices.ContainsFunc(k.modified, func(b byte) bool { return b != 100+verdictAccept }) {
			t.Errorf("%d packets went on with other bytes, %v, want %d", len(k.modified), k.modified, modified)
		}
		if k.unknown > int(malformed) {
			t.Errorf("%d verdicts met no packet", k.unknown)
		}
		s := q.Stats()
		if s.Missed != missed+malformed || s.NotIP != notIP || s.Malformed != malformed {
			t.Errorf("counted %+v, want %d missed, %d not IP, %d malformed", s, missed+malformed, notIP, malformed)
		}
		if s.Received != uint64(len(want))-notIP-malformed {
			t.Errorf("received %d of %d packets", s.Received, uint64(len(want))-notIP-malformed)
		}
	}
}

func TestReadBatchFillsEveryField(t *testing.T) {
	q, k := newFake(t, 1)
	k.send(packetMessage(k.enqueue(), unix.ETH_P_IPV6, []byte("six"), appendAttr(nil, attrSKBInfo, be32(skbGSO)...), appendAttr(nil, attrCapLen, be32(99)...)))
	k.send(packetMessage(k.enqueue(), unix.ETH_P_IP, []byte("four")))
	stale := pktio.Packet{Data: []byte("x"), Link: 1, Time: 1, Len: 1, Offload: true, MSS: 1, Verdict: pktio.Accept, Cookie: 1}
	batch := []pktio.Packet{stale, stale, stale}
	n, err := q.ReadBatch(batch, -1)
	if n != 2 || err != nil {
		t.Fatalf("ReadBatch returned %d, %v", n, err)
	}
	for i, want := range []pktio.Packet{
		{Data: []byte("six"), Link: packet.LinkIPv6, Len: 99, Offload: true, Cookie: 1},
		{Data: []byte("four"), Link: packet.LinkIPv4, Len: 4, Cookie: 2},
	} {
		if got := fmt.Sprint(batch[i]); got != fmt.Sprint(want) {
			t.Errorf("packet %d: %s, want %s", i, got, fmt.Sprint(want))
		}
	}
}

func TestMissedAcrossTheWrap(t *testing.T) {
	q, k := newFake(t, 0xfffffffd)
	batch := make([]pktio.Packet, 2)
	for _, id := range []uint32{0xfffffffe, 2} { // 0xfffffffd, 0xffffffff, 0 and 1 do not come
		k.send(packetMessage(id, unix.ETH_P_IP, []byte("x")))
	}
	if n, err := q.ReadBatch(batch, 0); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	if got := q.Lost(); got != 4 {
		t.Errorf("%d lost, want 4", got)
	}
}

// TestFailedVerdictsAreMadeUpFor: packets whose drop could not be sent must not
// be accepted along with later ones.
func TestFailedVerdictsAreMadeUpFor(t *testing.T) {
	q, k := newFake(t, 1)
	batch := make([]pktio.Packet, 4)
	for range 2 {
		k.send(packetMessage(k.enqueue(), unix.ETH_P_IP, []byte("x")))
	}
	if n, err := q.ReadBatch(batch, 0); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	real := q.fd
	q.fd = -1
	if err := q.Verdicts(batch[:2]); !errors.Is(err, unix.EBADF) {
		t.Fatalf("Verdicts returned %v", err)
	}
	q.fd = real
	k.send(packetMessage(k.enqueue(), unix.ETH_P_IP, []byte("x")))
	if n, err := q.ReadBatch(batch, 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	batch[0].Verdict = pktio.Accept
	if err := q.Verdicts(batch[:1]); err != nil {
		t.Fatal(err)
	}
	k.carryOut()
	if k.fate[1] != verdictDrop || k.fate[2] != verdictDrop || k.fate[3] != verdictAccept || len(k.fate) != 3 {
		t.Errorf("fates %v", k.fate)
	}
}

func TestCloseDecidesByPolicy(t *testing.T) {
	for _, failOpen := range []bool{false, true} {
		q, k := newFake(t, 0xfffffff0)
		q.failOpen = failOpen
		for range 40 {
			k.send(packetMessage(k.enqueue(), unix.ETH_P_IP, []byte("x")))
		}
		if n, err := q.ReadBatch(make([]pktio.Packet, 8), 0); n != 8 || err != nil {
			t.Fatal(n, err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		k.carryOut()
		if failOpen != (len(k.pending) == 0) {
			t.Errorf("fail open %v: %d packets undecided", failOpen, len(k.pending))
		}
	}
}

func TestWakeAndClose(t *testing.T) {
	q, k := newFake(t, 1)
	batch := make([]pktio.Packet, 4)

	q.Wake() // before the wait
	if n, err := q.ReadBatch(batch, -1); n != 0 || err != nil {
		t.Fatalf("woken before: %d, %v", n, err)
	}
	type result struct {
		n   int
		err error
	}
	results := make(chan result)
	read := func() {
		n, err := q.ReadBatch(batch, -1)
		results <- result{n, err}
	}
	go read()
	q.Wake()
	if r := <-results; r.n != 0 || r.err != nil {
		t.Fatalf("woken during: %+v", r)
	}
	go read()
	k.send(packetMessage(k.enqueue(), unix.ETH_P_IP, []byte("x")))
	if r := <-results; r.n != 1 || r.err != nil {
		t.Fatalf("a packet arrived: %+v", r)
	}
	if n, err := q.ReadBatch(batch, time.Millisecond); n != 0 || err != nil {
		t.Fatalf("timed out: %d, %v", n, err)
	}
	go read()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if r := <-results; !errors.Is(r.err, pktio.ErrClosed) {
		t.Fatalf("closed during: %+v", r)
	}
	q.Wake()
	if err := q.Close(); err != nil {
		t.Fatalf("closed twice: %v", err)
	}
	if err := q.Verdicts(batch[:1]); !errors.Is(err, pktio.ErrClosed) {
		t.Fatalf("verdicts after the end: %v", err)
	}
	if err := q.Inject(nil, nil, false); !errors.Is(err, pktio.ErrClosed) {
		t.Fatalf("injecting after the end: %v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	q, k := newFake(t, 1)
	batch := make([]pktio.Packet, 64)
	messages := make([][]byte, 60)
	for i := range messages {
		messages[i] = packetMessage(uint32(i+1), unix.ETH_P_IP, make([]byte, 1000))
	}
	if got := testing.AllocsPerRun(200, func() {
		for _, m := range messages {
			unix.Write(k.fd, m)
		}
		n, err := q.ReadBatch(batch, time.Second)
		if n != len(messages) || err != nil {
			t.Fatalf("ReadBatch: %d, %v", n, err)
		}
		for i := range batch[:n] {
			batch[i].Verdict = pktio.Verdict(i % 2)
		}
		if err := q.Verdicts(batch[:n]); err != nil {
			t.Fatal(err)
		}
		unix.Read(k.fd, k.buf[:])
		if n, err := q.ReadBatch(batch, time.Microsecond); n != 0 || err != nil {
			t.Fatalf("ReadBatch of nothing: %d, %v", n, err)
		}
	}); got != 0 {
		t.Errorf("%v allocations for a batch", got)
	}
}
