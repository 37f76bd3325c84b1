package hosts

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/netstack"
)

// within bounds every wait; nothing takes that long unless it fails.
const within = 20 * time.Second

// path is the firewall of these tests.
type path struct {
	cut   atomic.Bool // drops everything
	reset atomic.Bool // resets both ends of TCP instead
}

func (p *path) serve(t testing.TB, q pktio.Queue) {
	batch := make([]pktio.Packet, 64)
	for {
		n, err := q.ReadBatch(batch, -1)
		if err != nil {
			if !errors.Is(err, pktio.ErrClosed) {
				t.Errorf("ReadBatch: %v", err)
			}
			return
		}
		for i := range batch[:n] {
			pkt := &batch[i]
			switch {
			case p.reset.Load():
				pkt.Verdict = reject(t, q, pkt)
			case !p.cut.Load():
				pkt.Verdict = pktio.Accept
			}
		}
		if err := q.Verdicts(batch[:n]); err != nil {
			t.Errorf("Verdicts: %v", err)
		}
	}
}

// reject injects a RST to both ends when pkt is an IPv4 TCP packet that carries
// data, and lets everything else pass.
func reject(t testing.TB, q pktio.Queue, pkt *pktio.Packet) pktio.Verdict {
	decoded := gopacket.NewPacket(pkt.Data, layers.LayerTypeIPv4, gopacket.NoCopy)
	ip, ok := decoded.NetworkLayer().(*layers.IPv4)
	if !ok {
		return pktio.Accept
	}
	tcp, ok := decoded.TransportLayer().(*layers.TCP)
	if !ok || len(tcp.Payload) == 0 {
		return pktio.Accept
	}
	for _, back := range []bool{true, false} {
		toIP := layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: ip.SrcIP, DstIP: ip.DstIP}
		to := layers.TCP{SrcPort: tcp.SrcPort, DstPort: tcp.DstPort, Seq: tcp.Seq, Ack: tcp.Ack, RST: true, ACK: true}
		if back {
			toIP.SrcIP, toIP.DstIP = ip.DstIP, ip.SrcIP
			to.SrcPort, to.DstPort, to.Seq, to.Ack = tcp.DstPort, tcp.SrcPort, tcp.Ack, tcp.Seq
		}
		to.SetNetworkLayerForChecksum(&toIP)
		buf := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{ComputeChecksums: true, FixLengths: true}, &toIP, &to); err != nil {
			t.Error(err)
		}
		if err := q.Inject(buf.Bytes(), pkt, back); err != nil {
			t.Error(err)
		}
	}
	return pktio.Drop
}

// start runs hosts until the test ends, then checks that nothing is left.
func start(t *testing.T, o Options) (*Hosts, *path) {
	t.Helper()
	before := runtime.NumGoroutine()
	n, err := netstack.New(netstack.Options{Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	p := &path{}
	var wg sync.WaitGroup
	for _, q := range n.Queues() {
		wg.Go(func() { p.serve(t, q) })
	}
	h, err := Start(context.Background(), n, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Stop()
		if s := h.Snapshot(); s.Count(Stopped) != len(s) {
			t.Errorf("%d of %d clients stopped", s.Count(Stopped), len(s))
		}
		n.Close()
		wg.Wait()
		for end := time.Now().Add(within); runtime.NumGoroutine() > before; runtime.Gosched() {
			if time.Now().After(end) {
				buf := make([]byte, 1<<16)
				t.Fatalf("%d goroutines before, now:\n%s", before, buf[:runtime.Stack(buf, true)])
			}
		}
	})
	return h, p
}

func await(t *testing.T, h *Hosts, what string, ok func(Snapshot) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	if err := h.Wait(ctx, ok); err != nil {
		for _, s := range h.Snapshot() {
			t.Logf("%s %v %s %s -> %s, %d bytes: %v", s.Name, s.State, s.Host, s.Local, s.Remote, s.Bytes, s.Err)
		}
		t.Fatalf("%s: %v", what, err)
	}
}

func allLive(s Snapshot) bool { return s.Count(Live) == len(s) }

// each returns a condition on every client.
func each(ok func(Status) bool) func(Snapshot) bool {
	return func(s Snapshot) bool {
		return !slices.ContainsFunc(s, func(c Status) bool { return !ok(c) })
	}
}

func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestHundredClients(t *testing.T) {
	h, _ := start(t, Options{Downloads: 40, Chatty: 20, HTTP: 20, TLS: 20, DNS: 4})
	began := time.Now()
	await(t, h, "all live", allLive)
	t.Logf("all live after %v", time.Since(began))

	began, used := time.Now(), cpu(t)
	await(t, h, "traffic", each(func(s Status) bool { return s.Bytes > 60 && (s.Kind != Download || s.Bytes > 64<<10) }))
	t.Logf("took %.0f%% of one core", 100*float64(cpu(t)-used)/float64(time.Since(began)))

	hosts, locals := map[string]bool{}, map[netip.Addr]bool{}
	for _, s := range h.Snapshot() {
		if s.Times[Live] != 1 || s.Times[Connecting] != 1 || s.Err != nil {
			t.Errorf("%s was live %d times, last error %v; want once, none", s.Name, s.Times[Live], s.Err)
		}
		if s.Local.Port() == 0 || s.Since.IsZero() || !strings.HasPrefix(s.Name, string(s.Kind)+"-") {
			t.Errorf("incomplete status %+v", s)
		}
		hosts[s.Host] = true
		locals[s.Local.Addr()] = true
	}
	if len(hosts) != len(Servers()) || len(locals) != len(h.Snapshot()) {
		t.Errorf("clients use %d servers from %d addresses, want %d from %d", len(hosts), len(locals), len(Servers()), len(h.Snapshot()))
	}
}

// TestStall drops everything: clients call their connections stalled, cannot
// dial, and come back when the path does.
func TestStall(t *testing.T) {
	h, p := start(t, Options{Downloads: 2, Chatty: 2, HTTP: 2, TLS: 2, DNS: 2, Stall: 600 * time.Millisecond})
	await(t, h, "all live", allLive)
	p.cut.Store(true)
	await(t, h, "all stalled, the second dial too", each(func(s Status) bool { return s.Times[Stalled] >= 2 }))
	p.cut.Store(false)
	await(t, h, "all live again", allLive)
	for _, s := range h.Snapshot() {
		if s.Times[Reset]+s.Times[Refused]+s.Times[Closed] > 0 {
			t.Errorf("%s came into its states %v times", s.Name, s.Times)
		}
	}
}

// TestReset injects resets: TCP clients over IPv4 notice at once.
func TestReset(t *testing.T) {
	h, p := start(t, Options{Downloads: 2, Chatty: 2, HTTP: 2, TLS: 2, Stall: time.Minute})
	await(t, h, "all live", allLive)
	p.reset.Store(true)
	await(t, h, "all reset", each(func(s Status) bool { return s.Times[Reset] > 0 || s.Remote.Addr().Is6() }))
	p.reset.Store(false)
	await(t, h, "all live again", allLive)
	for _, s := range h.Snapshot() {
		if s.Remote.Addr().Is6() && s.Times[Reset] > 0 {
			t.Errorf("%s was reset", s.Name)
		}
		if s.Remote.Addr().Is4() && !errors.Is(s.Err, syscall.ECONNRESET) && !errors.Is(s.Err, syscall.EPIPE) {
			t.Errorf("%s lost its connection by %v, want a reset", s.Name, s.Err)
		}
	}
}

func TestStartAndStopOfOneClient(t *testing.T) {
	h, _ := start(t, Options{})
	if len(h.Snapshot()) != 0 {
		t.Fatal("clients that nobody asked for")
	}
	c, err := h.Add("laptop", Servers()[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Add("laptop", Servers()[0]); err == nil {
		t.Error("Add took the same name twice")
	}
	if h.Client("laptop") != c || h.Client("phone") != nil {
		t.Error("Client does not find by name")
	}
	if s := c.Status(); s.State != Stopped {
		t.Errorf("new client is %v", s.State)
	}
	for round := 1; round <= 2; round++ {
		c.Start()
		c.Start()
		await(t, h, "live", allLive)
		c.Stop()
		c.Stop()
		if s := c.Status(); s.State != Stopped || s.Times[Live] != round {
			t.Errorf("after round %d: %v, %d times live", round, s.State, s.Times[Live])
		}
	}
}

func TestTry(t *testing.T) {
	h, p := start(t, Options{Stall: 500 * time.Millisecond})
	try := func(s Server) State {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		got, err := h.Try(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		return got.State
	}
	for _, s := range Servers() {
		if got := try(s); got != Live {
			t.Errorf("%s %s: %v, want live", s.Kind, s.Name, got)
		}
	}
	if got := try(Server{Chatty, "closed.example.com", netip.MustParseAddrPort("192.0.2.10:9")}); got != Refused {
		t.Errorf("closed port: %v, want refused", got)
	}
	if got := try(Server{TLS, "stranger.example.com", netip.MustParseAddrPort("203.0.113.43:443")}); got != Closed {
		t.Errorf("wrong certificate: %v, want closed", got)
	}
	p.reset.Store(true)
	if got := try(Servers()[0]); got != Reset {
		t.Errorf("reset: %v, want reset", got)
	}
	p.reset.Store(false)
	p.cut.Store(true)
	if got := try(Servers()[0]); got != Stalled {
		t.Errorf("cut: %v, want stalled", got)
	}
	if len(h.Snapshot()) != 0 {
		t.Error("Try left clients behind")
	}
}

func TestStopped(t *testing.T) {
	h, _ := start(t, Options{Chatty: 1})
	h.Stop()
	if _, err := h.Add("late", Servers()[0]); err == nil {
		t.Error("Add after Stop succeeded")
	}
	if _, err := h.Try(t.Context(), Servers()[0]); err == nil {
		t.Error("Try after Stop succeeded")
	}
	h.Client("chatty-1").Start()
	if s := h.Client("chatty-1").Status(); s.State != Stopped {
		t.Errorf("started after Stop: %v", s.State)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Wait(ctx, allLive); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v, want context.Canceled", err)
	}
}
