package netstack

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

func TestQueue(t *testing.T) {
	n, err := New(Options{QueueLen: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	q := n.Queues()[0]
	batch := make([]pktio.Packet, 3)

	if m, err := q.ReadBatch(batch, 0); m != 0 || err != nil {
		t.Errorf("poll of an empty queue: %d, %v; want 0, nil", m, err)
	}
	if m, err := q.ReadBatch(batch, time.Microsecond); m != 0 || err != nil {
		t.Errorf("wait at an empty queue: %d, %v; want 0, nil", m, err)
	}
	q.Wake() // before the wait
	if m, err := q.ReadBatch(batch, -1); m != 0 || err != nil {
		t.Errorf("woken before: %d, %v; want 0, nil", m, err)
	}
	go q.Wake() // during the wait, or just before
	if m, err := q.ReadBatch(batch, -1); m != 0 || err != nil {
		t.Errorf("woken: %d, %v; want 0, nil", m, err)
	}

	// Six datagrams meet four slots.
	c := dial(t, n.Inside(), "udp", "10.0.0.1:0", "192.0.2.1:9")
	for range 6 {
		if _, err := c.Write([]byte("datagram")); err != nil {
			t.Fatal(err)
		}
	}
	if lost := q.(pktio.Dropper).Lost(); lost != 2 {
		t.Errorf("lost %d packets, want 2", lost)
	}
	for _, want := range []int{3, 1, 0} {
		if m, err := q.ReadBatch(batch, 0); m != want || err != nil {
			t.Errorf("ReadBatch: %d, %v; want %d, nil", m, err, want)
		}
		if p := batch[0]; want == 3 && (p.Link != packet.LinkRaw || p.Len != 36 || len(p.Data) != 36 || p.Verdict != pktio.Drop || p.Offload) {
			t.Errorf("packet %+v, want 36 bytes of raw IP", p)
		}
	}
	if err := q.Inject([]byte{0x45}, &batch[0], true); err == nil {
		t.Error("Inject took one byte for a packet")
	}

	if err := q.Close(); err != nil {
		t.Error(err)
	}
	q.Wake()
	if _, err := q.ReadBatch(batch, -1); !errors.Is(err, pktio.ErrClosed) {
		t.Errorf("ReadBatch after Close: %v, want ErrClosed", err)
	}
	if _, err := c.Write([]byte("late")); err != nil {
		t.Error(err)
	}
	if lost := q.(pktio.Dropper).Lost(); lost != 3 {
		t.Errorf("lost %d packets after Close, want 3", lost)
	}
}

// TestSpread checks that each flow keeps to one queue in both directions, and
// that flows use all queues.
func TestSpread(t *testing.T) {
	const queues, flows = 4, 64
	var mu sync.Mutex
	home := map[uint16]pktio.Queue{} // by the client's port
	n := open(t, Options{Queues: queues}, func(q pktio.Queue, p *pktio.Packet) pktio.Verdict {
		at := 20
		if p.Data[0]>>4 == 6 {
			at = 40
		}
		segment := header.TCP(p.Data[at:])
		port := max(segment.SourcePort(), segment.DestinationPort())
		mu.Lock()
		defer mu.Unlock()
		if first, ok := home[port]; ok && first != q {
			t.Errorf("flow of port %d came at two queues", port)
		}
		home[port] = q
		return pktio.Accept
	})
	echo(t, n.Outside(), "192.0.2.1:7")
	echo(t, n.Outside(), "[2001:db8::1]:7")
	for i := range flows {
		local, remote := "10.0.0.1", "192.0.2.1:7"
		if i%2 == 1 {
			local, remote = "fd00::1", "[2001:db8::1]:7"
		}
		from := netip.AddrPortFrom(netip.MustParseAddr(local), uint16(20_000+i))
		roundTrip(t, dial(t, n.Inside(), "tcp", from.String(), remote), "hello")
	}
	mu.Lock()
	defer mu.Unlock()
	used := map[pktio.Queue]int{}
	for _, q := range home {
		used[q]++
	}
	if len(home) != flows || len(used) != queues {
		t.Errorf("%d flows on %d queues, want %d on %d", len(home), len(used), flows, queues)
	}
}

// TestAllocations measures this package's part of the path: packets that meet
// Drop, so that no receiving stack allocates.
func TestAllocations(t *testing.T) {
	n, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	c := dial(t, n.Inside(), "udp", "10.0.0.1:0", "192.0.2.1:9")
	q := n.Queues()[0]
	batch := make([]pktio.Packet, 64)
	const rounds = 1000
	for range rounds + 1 { // AllocsPerRun warms up once
		if _, err := c.Write([]byte("datagram")); err != nil {
			t.Fatal(err)
		}
	}
	got := testing.AllocsPerRun(rounds, func() {
		m, err := q.ReadBatch(batch[:1], time.Second)
		if m != 1 || err != nil {
			t.Fatalf("ReadBatch: %d, %v", m, err)
		}
		if err := q.Verdicts(batch[:m]); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for each packet, want 0", got)
	}
}
