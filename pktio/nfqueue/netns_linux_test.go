package nfqueue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/netns"
	"github.com/sluicefw/sluice/pktio"
)

// The tests of this file run on netns.Topology: a client and a server whose
// packets the gateway hands to the driver.

var servers = []string{netns.ServerIPv4, netns.ServerIPv6}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// openIn opens a driver on the gateway, closed with the test.
func openIn(t testing.TB, gateway *netns.NS, o Options) *Driver {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	var d *Driver
	err := gateway.Do(func() (err error) {
		d, err = Open(o)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// run judges all packets of a driver until it is closed. Judge is called by
// one goroutine for each queue.
func run(t testing.TB, d *Driver, judge func(queue int, q pktio.Queue, p *pktio.Packet)) {
	t.Helper()
	var workers sync.WaitGroup
	for i, q := range d.Queues() {
		workers.Go(func() {
			runtime.LockOSThread()
			batch := make([]pktio.Packet, 64)
			for {
				n, err := q.ReadBatch(batch, -1)
				if errors.Is(err, pktio.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				for j := range batch[:n] {
					judge(i, q, &batch[j])
				}
				if err := q.Verdicts(batch[:n]); err != nil && !errors.Is(err, pktio.ErrClosed) {
					t.Error(err)
					return
				}
			}
		})
	}
	t.Cleanup(func() {
		d.Close()
		workers.Wait()
	})
}

func accept(_ int, _ pktio.Queue, p *pktio.Packet) { p.Verdict = pktio.Accept }

// dial connects the client to the server.
func dial(t *testing.T, topo *netns.Topology, addr string, wait time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	return topo.Client.Dial(ctx, "tcp", addr)
}

// until waits for a condition that other goroutines or the kernel bring about.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting: %s", what)
		}
	}
}

// transfer sends size random bytes from the client to the server and checks
// that they arrive as they were.
func transfer(t *testing.T, topo *netns.Topology, server string, size int) {
	t.Helper()
	l := topo.Server.Listen(net.JoinHostPort(server, "0"))
	sum := make(chan []byte, 1)
	go func() {
		defer close(sum)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		h := sha256.New()
		io.Copy(h, c)
		sum <- h.Sum(nil)
	}()
	c, err := dial(t, topo, l.Addr().String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	h := sha256.New()
	data := rand.NewChaCha8([32]byte{1})
	if _, err := io.CopyN(io.MultiWriter(c, h), data, int64(size)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-sum; !bytes.Equal(got, h.Sum(nil)) {
		t.Fatalf("what arrived at %s is not what was sent", server)
	}
}

func TestForwardsTCP(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	t.Parallel()
	for _, noGSO := range []bool{false, true} {
		topo := netns.NewTopology(t)
		topo.Queue(0, 3, false)
		d := openIn(t, topo.Gateway, Options{Queues: []uint16{0, 1, 2, 3}, NoGSO: noGSO})
		var large, wrong atomic.Uint64
		var mu sync.Mutex
		queueOf := map[string]int{} // a host pair's queue, whichever the direction
		run(t, d, func(queue int, _ pktio.Queue, p *pktio.Packet) {
			p.Verdict = pktio.Accept
			if len(p.Data) > 1500 {
				large.Add(1)
				if !p.Offload {
					wrong.Add(1)
				}
			}
			var dec packet.Packet
			dec.Decode(p.Link, p.Data, packet.Options{VerifyChecksums: !p.Offload})
			if dec.Invalid != packet.Valid || p.Len != len(p.Data) || len(dec.Net) != len(p.Data) {
				wrong.Add(1)
			}
			a, b := dec.Src.String(), dec.Dst.String()
			if a > b {
				a, b = b, a
			}
			mu.Lock()
			defer mu.Unlock()
			if first, seen := queueOf[a+b]; seen && first != queue {
				wrong.Add(1)
			}
			queueOf[a+b] = queue
		})
		for _, server := range servers {
			transfer(t, topo, server, 8<<20)
		}
		if noGSO != (large.Load() == 0) {
			t.Errorf("NoGSO %v: %d packets above the MTU", noGSO, large.Load())
		}
		if wrong.Load() != 0 {
			t.Errorf("NoGSO %v: %d packets were not as the kernel describes them", noGSO, wrong.Load())
		}
		for _, s := range d.Stats() {
			if s.Refused != 0 || s.Malformed != 0 || s.Missed != 0 || s.QueueFull != 0 {
				t.Errorf("NoGSO %v: %+v", noGSO, s)
			}
		}
	}
}

func TestDropBlocks(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	t.Parallel()
	topo := netns.NewTopology(t)
	topo.Queue(0, 1, true) // bypass concerns missing listeners only
	d := openIn(t, topo.Gateway, Options{Queues: []uint16{0, 1}})
	var seen atomic.Uint64
	run(t, d, func(int, pktio.Queue, *pktio.Packet) { seen.Add(1) })
	for _, server := range servers {
		l := topo.Server.Listen(net.JoinHostPort(server, "0"))
		before := seen.Load()
		if c, err := dial(t, topo, l.Addr().String(), 300*time.Millisecond); err == nil {
			c.Close()
			t.Errorf("%s was reached", server)
		}
		if seen.Load() == before {
			t.Errorf("no packet to %s was seen", server)
		}
	}
}

// TestMixedVerdicts sends numbered datagrams, whose first byte says what shall
// become of them, and compares what arrives.
func TestMixedVerdicts(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	t.Parallel()
	topo := netns.NewTopology(t)
	topo.Queue(0, 1, false)
	d := openIn(t, topo.Gateway, Options{Queues: []uint16{0, 1}})
	var seen atomic.Uint64
	run(t, d, func(_ int, _ pktio.Queue, p *pktio.Packet) {
		var dec packet.Packet
		dec.Decode(p.Link, p.Data, packet.Options{})
		if dec.Proto == packet.ProtoUDP && len(dec.Payload) == 5 {
			p.Verdict = pktio.Verdict(dec.Payload[0])
			seen.Add(1)
		}
	})
	for _, server := range servers {
		const total, window = 6000, 200
		sink := listenUDP(t, topo, server)
		c := dialUDP(t, topo, sink.LocalAddr().String())
		want := map[uint32]bool{}
		got := map[uint32]bool{}
		seen.Store(0)
		for i := range uint32(total) {
			pass := rand.IntN(3) > 0
			msg := binary.BigEndian.AppendUint32([]byte{byte(pktio.Drop)}, i)
			if pass {
				msg[0] = byte(pktio.Accept)
				want[i] = true
			}
			if _, err := c.Write(msg); err != nil {
				t.Fatal(err)
			}
			if i%window == window-1 { // no buffer on the way may decide instead of the verdict
				until(t, "the gateway sees all datagrams", func() bool { return seen.Load() == uint64(i+1) })
				receive(t, sink, got, len(want))
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d datagrams arrived, want %d", server, len(got), len(want))
		}
		for i := range got {
			if !want[i] {
				t.Errorf("%s: datagram %d arrived but was dropped", server, i)
			}
		}
	}
}

// receive adds the numbers of the datagrams that arrive to got, until it has want.
func receive(t *testing.T, sink net.PacketConn, got map[uint32]bool, want int) {
	t.Helper()
	buf := make([]byte, 64)
	for len(got) < want {
		sink.SetReadDeadline(time.Now().Add(patience))
		n, _, err := sink.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%d datagrams of %d arrived: %v", len(got), want, err)
		}
		if n != 5 || got[binary.BigEndian.Uint32(buf[1:])] {
			t.Fatalf("datagram %x is not one that was sent, or arrived twice", buf[:n])
		}
		got[binary.BigEndian.Uint32(buf[1:])] = true
	}
}

func listenUDP(t *testing.T, topo *netns.Topology, host string) net.PacketConn {
	t.Helper()
	c := topo.Server.ListenPacket(net.JoinHostPort(host, "0"))
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20) })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dialUDP(t *testing.T, topo *netns.Topology, addr string) net.Conn {
	t.Helper()
	c, err := topo.Client.Dial(t.Context(), "udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestInjectResetsBothEnds answers a packet of an established connection by
// two resets and drops it, with and without address translation on the gateway.
func TestInjectResetsBothEnds(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	for _, c := range []struct{ name, rule string }{
		{"routed", ""},
		{"source NAT", "POSTROUTING -o server0 -j MASQUERADE"},
		{"destination NAT", "PREROUTING -i client0 -p tcp -j DNAT --to-destination"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			injectResets(t, c.rule)
		})
	}
}

func injectResets(t *testing.T, natRule string) {
	t.Helper()
	topo := netns.NewTopology(t)
	topo.Queue(0, 0, false)
	for _, tool := range []string{"iptables", "ip6tables"} {
		topo.Gateway.Run(tool, "-w", "-A", "OUTPUT", "-p", "tcp", "-m", "mark", "--mark", "0x736c")
	}
	d := openIn(t, topo.Gateway, Options{})
	run(t, d, func(_ int, q pktio.Queue, p *pktio.Packet) {
		p.Verdict = pktio.Accept
		var dec packet.Packet
		dec.Decode(p.Link, p.Data, packet.Options{})
		if !bytes.Contains(dec.Payload, []byte("forbidden")) {
			return
		}
		p.Verdict = pktio.Drop
		for _, back := range []bool{true, false} {
			rst := packet.AppendReset(nil, &dec, back, packet.ResetFor(&dec, back))
			if err := q.Inject(rst, p, back); err != nil {
				t.Error(err)
			}
		}
	})
	for _, server := range servers {
		l := topo.Server.Listen(net.JoinHostPort(server, "0"))
		atServer := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				atServer <- err
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, "welcome")
			_, err = io.ReadAll(c)
			atServer <- err
		}()
		addr := l.Addr().String()
		if natRule != "" {
			tool, dnat := "iptables", "10.77.2.99"
			if strings.Contains(server, ":") {
				tool, dnat = "ip6tables", "fd77:2::99"
			}
			args := append([]string{"-w", "-t", "nat", "-A"}, strings.Fields(natRule)...)
			if strings.HasSuffix(natRule, "--to-destination") {
				args = append(args, server)
				_, port, _ := net.SplitHostPort(addr)
				addr = net.JoinHostPort(dnat, port) // an address that only the gateway knows
			}
			topo.Gateway.Run(tool, args...)
		}
		c, err := dial(t, topo, addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(c, make([]byte, len("welcome"))); err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "forbidden")
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: the client's connection ends with %v", server, err)
		}
		if err := <-atServer; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: the server's connection ends with %v", server, err)
		}
	}
	for _, tool := range []string{"iptables", "ip6tables"} {
		if out := topo.Gateway.Run(tool, "-w", "-nvxL", "OUTPUT"); !strings.Contains(out, "       2 ") {
			t.Errorf("%s does not count two marked packets:\n%s", tool, out)
		}
	}
}

func TestInjectRefusesNonsense(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	d := openIn(t, netns.New(t, "alone"), Options{})
	q := d.Queues()[0]
	for _, ip := range [][]byte{nil, {0x45}, make([]byte, 40), bytes.Repeat([]byte{0x60}, 39)} {
		if err := q.Inject(ip, nil, false); err == nil {
			t.Errorf("injecting %x succeeded", ip)
		}
	}
}

func TestInjectDoesNotAllocate(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	d := openIn(t, netns.New(t, "alone"), Options{})
	q := d.Queues()[0]
	ip4 := []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2} // protocol 253: for experiments
	ip6 := append(append([]byte{0x60, 0, 0, 0, 0, 0, 59, 64}, net.IPv6loopback...), net.IPv6loopback...)
	if got := testing.AllocsPerRun(100, func() {
		for _, ip := range [][]byte{ip4, ip6} {
			if err := q.Inject(ip, nil, false); err != nil {
				t.Fatal(err)
			}
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// TestOverflow fills the socket buffer or the queue while nobody reads: what
// is lost is counted exactly, and the driver goes on afterwards.
func TestOverflow(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	t.Parallel()
	const burst = 2000
	for _, c := range []struct {
		name      string
		options   Options
		lost      func(Stats) uint64
		passes    bool // what is lost passes unseen
		uncounted bool // and the driver cannot know of it
	}{
		{"socket full", Options{RcvBuf: 1}, func(s Stats) uint64 { return s.Missed }, false, false},
		{"socket full, fail open", Options{RcvBuf: 1, FailOpen: true}, func(s Stats) uint64 { return s.Missed }, true, false},
		{"queue full", Options{QueueLen: 16}, func(s Stats) uint64 { return s.QueueFull }, false, false},
		{"queue full, fail open", Options{QueueLen: 16, FailOpen: true}, func(s Stats) uint64 { return s.QueueFull }, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			topo := netns.NewTopology(t)
			topo.Queue(0, 0, false)
			d := openIn(t, topo.Gateway, c.options)
			sink := listenUDP(t, topo, netns.ServerIPv4)
			client := dialUDP(t, topo, sink.LocalAddr().String())
			sent := uint32(0)
			send := func() {
				t.Helper()
				if _, err := client.Write(binary.BigEndian.AppendUint32([]byte{0}, sent)); err != nil {
					t.Fatal(err)
				}
				sent++
			}
			for sent < burst {
				send()
			}
			var recovered atomic.Bool // a datagram after the burst was seen, so every gap in the ids is known
			run(t, d, func(_ int, _ pktio.Queue, p *pktio.Packet) {
				p.Verdict = pktio.Accept
				if binary.BigEndian.Uint32(p.Data[len(p.Data)-4:]) >= burst {
					recovered.Store(true)
				}
			})
			until(t, "the driver takes packets again", func() bool {
				send()
				return recovered.Load()
			})
			var s Stats
			until(t, "every datagram is received or lost", func() bool {
				s = d.Stats()[0]
				return c.uncounted || s.Received+c.lost(s) == uint64(sent)
			})
			t.Logf("%d sent: %+v", sent, s)
			if s.Received > burst/2 || (c.lost(s) == 0) != c.uncounted {
				t.Errorf("the burst was no overflow: %+v", s)
			}
			if q := d.Queues()[0].(pktio.Dropper); q.Lost() != c.lost(s) {
				t.Errorf("Lost is %d, want %d", q.Lost(), c.lost(s))
			}
			want := int(s.Received)
			if c.passes {
				want = int(sent)
			}
			receive(t, sink, map[uint32]bool{}, want)
			transfer(t, topo, netns.ServerIPv4, 1000)
		})
	}
}

// TestNobodyListens: without a listener the rule decides.
func TestNobodyListens(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	t.Parallel()
	for _, bypass := range []bool{false, true} {
		topo := netns.NewTopology(t)
		topo.Queue(0, 1, bypass)
		d := openIn(t, topo.Gateway, Options{Queues: []uint16{0, 1}})
		run(t, d, accept)
		for _, server := range servers {
			transfer(t, topo, server, 1000)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		for _, server := range servers {
			l := topo.Server.Listen(net.JoinHostPort(server, "0"))
			wait := patience
			if !bypass {
				wait = 300 * time.Millisecond
			}
			c, err := dial(t, topo, l.Addr().String(), wait)
			if err == nil {
				c.Close()
			}
			if bypass != (err == nil) {
				t.Errorf("bypass %v: connecting to %s gave %v", bypass, server, err)
			}
		}
	}
}

// TestCloseWithPending: undecided packets are dropped at the end, or accepted
// with FailOpen.
func TestCloseWithPending(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	t.Parallel()
	for _, failOpen := range []bool{false, true} {
		topo := netns.NewTopology(t)
		topo.Queue(0, 0, false)
		d := openIn(t, topo.Gateway, Options{FailOpen: failOpen})
		sink := listenUDP(t, topo, netns.ServerIPv4)
		client := dialUDP(t, topo, sink.LocalAddr().String())
		const total = 100
		for i := range uint32(total) {
			if _, err := client.Write(binary.BigEndian.AppendUint32([]byte{0}, i)); err != nil {
				t.Fatal(err)
			}
		}
		q := d.Queues()[0]
		if n, err := q.ReadBatch(make([]pktio.Packet, 64), patience); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if failOpen {
			receive(t, sink, map[uint32]bool{}, total)
			continue
		}
		// The kernel has dropped them all when Close returns: none can be on its way.
		sink.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, _, err := sink.ReadFrom(make([]byte, 64)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a datagram of %d bytes passed (%v)", n, err)
		}
	}
}
