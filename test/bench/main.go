// Command bench measures one engine worker without a driver: packets per second
// through decode, flow table, connection tracking and verdict, and what a flow
// flush and a capture cost while packets run. It prints a table.
//
//	go run ./test/bench [-flows 1000000] [-seconds 2]
//
// Packets come from memory as fast as the worker takes them, so the worker is
// never idle; the figures are for one core.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/rule"
)

func main() {
	flows := flag.Int("flows", 1_000_000, "flows in the table for flush and capture")
	seconds := flag.Float64("seconds", 2, "how long each packet rate is measured")
	profile := flag.String("cpuprofile", "", "write a CPU profile of everything to this file")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: create the profile:", err)
			os.Exit(1)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			fmt.Fprintln(os.Stderr, "bench: start the profile:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	if err := run(*flows, time.Duration(*seconds*float64(time.Second))); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(flows int, d time.Duration) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer out.Flush()
	fmt.Fprintf(out, "measurement\tvalue\ttarget\n")
	for _, r := range []struct{ name, rules string }{
		{"no rules", ""},
		{"pass rule by port", "pass tcp any any -> any [80,443] (flow:to_server; sid:1;)\npass udp any any -> any 53 (sid:2;)"},
		{"20 rules that match nothing", nothing(20)},
	} {
		rate, err := packetRate(r.rules, d)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "packets per second and core, %s\t%.2f M\t>= 3 M\n", r.name, rate/1e6)
	}
	for _, flush := range []bool{false, true} {
		for _, l := range []load{{workers: 1}, {workers: 2}, {workers: 1, saturated: true}} {
			if err := operation(out, flows, flush, l); err != nil {
				return err
			}
		}
	}
	return nil
}

func nothing(n int) (rules string) {
	for i := range n {
		rules += fmt.Sprintf("drop tcp 203.0.113.%d any -> any %d (flow:to_server; sid:%d;)\n", i, 1+i, 1+i)
	}
	return rules
}

// packetRate runs the mix over 5,000 of 100,000 flows for d.
func packetRate(rules string, d time.Duration) (float64, error) {
	q := newQueue(100_000)
	e, err := start([]*queue{q}, rules, 200_000)
	if err != nil {
		return 0, err
	}
	<-q.filled
	q.mixing.Store(true)
	time.Sleep(d / 10) // caches and branch predictors warm up
	before, begin := q.packets.Load(), time.Now()
	time.Sleep(d)
	n, took := q.packets.Load()-before, time.Since(begin)
	q.Close()
	e.Wait()
	if q.dropped.Load() > 0 {
		return 0, fmt.Errorf("%d packets of the mix were dropped", q.dropped.Load())
	}
	return float64(n) / took.Seconds(), nil
}

// load is what an operation has to share the machine with.
type load struct {
	workers   int  // that the flows are spread over
	saturated bool // packets come as fast as they are taken, instead of a million a second
}

func (l load) String() string {
	if l.saturated {
		return "1 worker, saturated with packets"
	}
	return fmt.Sprintf("%d worker(s), 1 M packets/s", l.workers)
}

// operation captures or flushes two thirds of all flows while the mix runs on
// flows of the last third.
func operation(out *tabwriter.Writer, flows int, flush bool, l load) error {
	before := heap()
	var queues []*queue
	for range l.workers {
		queues = append(queues, newQueue(flows/l.workers))
	}
	packets := heap() - before
	e, err := start(queues, "", flows/l.workers+active) // the mix has datagrams, too
	if err != nil {
		return err
	}
	for _, q := range queues {
		<-q.filled
	}
	runtime.GC()
	filter := flow.NewFilter(netip.Prefix{}, netip.Prefix{}, flow.AnyPort, flow.PortRange{From: 443, To: 443}, []uint8{6})
	perFlow := float64(heap()-before-packets) / float64(flows)
	for _, q := range queues {
		if !l.saturated {
			q.pace.Store(int64(l.workers) * int64(time.Microsecond))
		}
		q.mixing.Store(true)
		q.probing.Store(flush)
	}
	time.Sleep(100 * time.Millisecond)
	worstOf(queues)
	time.Sleep(300 * time.Millisecond)
	usual := worstOf(queues)
	begin := time.Now()
	res, err := e.Run(context.Background(), engine.Operation{ID: "bench", Flush: flush, Filters: []flow.Filter{filter}, Limit: flows})
	answered := time.Since(begin)
	worst := worstOf(queues)
	var hit int64
	for _, q := range queues {
		q.Close()
		hit = max(hit, q.hit.Load())
	}
	e.Wait()
	if err != nil {
		return err
	}
	want := 0
	for _, q := range queues {
		if n := q.dropped.Load(); n > 0 {
			return fmt.Errorf("%d packets of the mix were dropped", n)
		}
		want += q.flows - (q.flows+2)/3
	}
	if res.Flows != want || res.Stored != want {
		return fmt.Errorf("%d flows were chosen and %d stored, want %d", res.Flows, res.Stored, want)
	}
	name, target := "capture", "<= 300 ms"
	if flush {
		name, target = "flush", "<= 100 ms"
		if l.workers == 1 && !l.saturated {
			fmt.Fprintf(out, "bytes per flow, heap growth for %d flows\t%.1f\t<= 160\n", flows, perFlow)
		}
	}
	fmt.Fprintf(out, "%s of %d of %d flows, %v\t%v\t%s\n", name, res.Flows, flows, l, res.Swept.Sub(begin).Round(100*time.Microsecond), target)
	if flush {
		fmt.Fprintf(out, "  first packet of a chosen flow is midstream (the last worker's)\t%v\t<= 1 ms\n", time.Unix(0, hit).Sub(begin).Round(time.Microsecond))
	}
	fmt.Fprintf(out, "  answered, results included\t%v\t\n", answered.Round(100*time.Microsecond))
	fmt.Fprintf(out, "  worst batch, sweep included (before: %v)\t%v\t\n", usual.Round(time.Microsecond), worst.Round(time.Microsecond))
	return nil
}

// worstOf takes the longest time between two batches of any queue.
func worstOf(queues []*queue) time.Duration {
	var worst int64
	for _, q := range queues {
		worst = max(worst, q.worst.Swap(0))
	}
	return time.Duration(worst)
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func start(queues []*queue, text string, limit int) (*engine.Engine, error) {
	parsed, errs := rule.ParseFile(text)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	var sources []detect.Source
	for _, r := range parsed {
		sources = append(sources, detect.Source{Rule: r, Lookup: noVariables{}})
	}
	set, err := detect.Compile(sources, detect.Options{Strict: true, FlowVerdicts: true})
	if err != nil {
		return nil, err
	}
	e := engine.New(engine.Options{
		Firewall: "bench", Zone: "bench", Inline: true, FlowLimit: limit,
		Counters: engine.NewCounters(), Latency: engine.NewLatency(),
		NewRecords: func() engine.Records { return nobody{} }, Wants: nobody{},
	})
	if err := e.SetProgram(context.Background(), &detect.Program{Generation: 1, Rules: set, TCPIdle: 350 * time.Second}); err != nil {
		return nil, err
	}
	for _, q := range queues {
		e.Attach([]pktio.Queue{q})
	}
	return e, nil
}

type noVariables struct{}

func (noVariables) Addrs(string) (rule.Addrs, bool) { return rule.Addrs{}, false }
func (noVariables) Ports(string) (rule.Ports, bool) { return rule.Ports{}, false }

// nobody reads no records.
type nobody struct{}

func (nobody) Alert(*eve.Alert)       {}
func (nobody) Flow(*eve.Flow)         {}
func (nobody) Drop(*eve.Drop)         {}
func (nobody) App(*eve.App)           {}
func (nobody) Anomaly(*eve.Anomaly)   {}
func (nobody) Tagged(*eve.Tagged)     {}
func (nobody) Captured(*eve.Tuple)    {}
func (nobody) Wants(engine.Kind) bool { return false }

const active = 5000

// sample is one packet of an active flow. Its sequence number moves on
// each time that it is sent, as that of a real flow does.
type sample struct {
	ip       []byte
	seq, ack uint32 // added for each round; 0 for UDP
}

func (s *sample) advance(rounds int) {
	if s.seq == 0 {
		return
	}
	seq, ack := s.ip[24:28], s.ip[28:32]
	binary.BigEndian.PutUint32(seq, binary.BigEndian.Uint32(seq)+uint32(rounds)*s.seq)
	binary.BigEndian.PutUint32(ack, binary.BigEndian.Uint32(ack)+uint32(rounds)*s.ack)
}

// queue first opens flows with handshakes, then repeats the mix.
type queue struct {
	flows     int
	step      int // of the filling
	handshake [3][]byte
	mix       []sample
	next      int
	probe     []byte
	first     bool // the probe leads the batch
	read      time.Time

	filled  chan struct{}
	mixing  atomic.Bool
	pace    atomic.Int64 // ns between packets; 0: as fast as they are taken
	sent    time.Time    // the last batch of the mix
	closed  atomic.Bool
	packets atomic.Int64
	dropped atomic.Int64
	worst   atomic.Int64 // ns between two ReadBatch that returned packets
	probing atomic.Bool
	hit     atomic.Int64 // when the probe was dropped first, ns since 1970
}

func newQueue(flows int) *queue {
	q := &queue{flows: flows, filled: make(chan struct{})}
	c, s := "10.0.0.1:1000", "192.0.2.1:443"
	q.handshake = [3][]byte{
		packettest.TCP(c, s, packet.SYN, 1000, 0, nil), packettest.TCP(s, c, packet.SYN|packet.ACK, 5000, 1001, nil), packettest.TCP(c, s, packet.ACK, 1001, 5001, nil),
	}
	request, answer, datagram := make([]byte, 260), make([]byte, 1400), make([]byte, 90)
	for i := range active {
		n := i * (flows / active) / 3 * 3 // flows of the third that is not flushed
		for _, p := range []sample{
			{packettest.TCP(c, s, packet.ACK|packet.PSH, 1001, 5001, request), 260, 2800},
			{packettest.TCP(s, c, packet.ACK, 5001, 1261, answer), 2800, 260},
			{packettest.TCP(s, c, packet.ACK|packet.PSH, 6401, 1261, answer), 2800, 260},
			{packettest.TCP(c, s, packet.ACK, 1261, 7801, nil), 260, 2800},
			{packettest.UDP(c, s, datagram), 0, 0},
			{packettest.UDP(s, c, datagram), 0, 0},
		} {
			address(p.ip, n)
			p.advance(-1) // the first round starts where the handshake ended
			q.mix = append(q.mix, p)
		}
	}
	// Neighbours of the mix belong to different flows, as on a link.
	mixed := make([]sample, 0, len(q.mix))
	for i := range 6 {
		for j := i; j < len(q.mix); j += 6 {
			mixed = append(mixed, q.mix[j])
		}
	}
	q.mix = mixed
	q.probe = packettest.TCP(c, s, packet.ACK, 1001, 5001, nil)
	address(q.probe, 1)
	return q
}

// address makes ip a packet of flow n: the client's address and port say which,
// and every third flow goes to port 80.
func address(ip []byte, n int) {
	client, port, server := ip[12:16], ip[20:22], ip[22:24]
	if ip[12] == 192 {
		client, port, server = ip[16:20], ip[22:24], ip[20:22]
	}
	binary.BigEndian.PutUint32(client, 10<<24|uint32(n/1000))
	binary.BigEndian.PutUint16(port, uint16(1000+n%1000))
	to := uint16(443)
	switch {
	case ip[9] == packet.ProtoUDP:
		to = 53
	case n%3 == 0:
		to = 80
	}
	binary.BigEndian.PutUint16(server, to)
}

func (q *queue) ReadBatch(batch []pktio.Packet, _ time.Duration) (int, error) {
	if q.closed.Load() {
		return 0, pktio.ErrClosed
	}
	now := time.Now()
	if d := int64(now.Sub(q.read)); !q.read.IsZero() && d > q.worst.Load() {
		q.worst.Store(d)
	}
	n := len(batch)
	if q.step < 3*q.flows {
		// Whole handshakes, each packet for its flow from the same memory.
		n = 3
		for i := range 3 {
			address(q.handshake[i], q.step/3)
			batch[i] = pktio.Packet{Data: q.handshake[i], Link: packet.LinkRaw, Offload: true}
		}
		if q.step += 3; q.step >= 3*q.flows {
			close(q.filled)
		}
	} else if now.Sub(q.sent) < time.Duration(q.pace.Load())*time.Duration(len(batch)) {
		n = 0
	} else if !q.mixing.Load() {
		n = 0
		time.Sleep(time.Millisecond)
	} else {
		q.sent = now
		first := 0
		if q.probing.Load() {
			batch[0] = pktio.Packet{Data: q.probe, Link: packet.LinkRaw, Offload: true}
			first = 1
		}
		for i := first; i < len(batch); i++ {
			s := &q.mix[q.next]
			if q.next++; q.next == len(q.mix) {
				q.next = 0
			}
			s.advance(1)
			batch[i] = pktio.Packet{Data: s.ip, Link: packet.LinkRaw, Offload: true}
		}
	}
	q.first = n > 0 && &batch[0].Data[0] == &q.probe[0]
	q.read = time.Now()
	return n, nil
}

func (q *queue) Verdicts(batch []pktio.Packet) error {
	q.packets.Add(int64(len(batch)))
	for i := range batch {
		if batch[i].Verdict == pktio.Accept {
			continue
		}
		if i == 0 && q.first {
			q.hit.CompareAndSwap(0, time.Now().UnixNano())
			continue
		}
		q.dropped.Add(1)
	}
	return nil
}

func (q *queue) Inject([]byte, *pktio.Packet, bool) error { return nil }
func (q *queue) Wake()                                    {}
func (q *queue) Close() error                             { q.closed.Store(true); return nil }
