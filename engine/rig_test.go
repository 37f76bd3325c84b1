package engine

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/rule"
)

const (
	syn    = packet.SYN
	synAck = packet.SYN | packet.ACK
	ack    = packet.ACK
	data   = packet.ACK | packet.PSH
	fin    = packet.FIN | packet.ACK
	rst    = packet.RST
)

// recorder keeps the records that a worker writes.
type recorder struct {
	mu       sync.Mutex
	alerts   []eve.Alert
	flows    []eve.Flow
	drops    []eve.Drop
	odd      []eve.Anomaly
	apps     []string // encoded
	tagged   []string // encoded
	captured []string // encoded

	onAlert func(*eve.Alert) // nil, or looks at what the alert borrows
}

func (r *recorder) Alert(a *eve.Alert) {
	r.mu.Lock()
	defer r.mu.Unlock()
	alert := *a
	if r.onAlert != nil {
		r.onAlert(a)
	}
	if a.Tunnel != nil {
		t := *a.Tunnel // the worker's, which uses it again
		alert.Tunnel = &t
	}
	r.alerts = append(r.alerts, alert)
}

func (r *recorder) Flow(f *eve.Flow) { r.mu.Lock(); r.flows = append(r.flows, *f); r.mu.Unlock() }

func (r *recorder) Anomaly(a *eve.Anomaly) { r.mu.Lock(); r.odd = append(r.odd, *a); r.mu.Unlock() }

func (r *recorder) Drop(d *eve.Drop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	drop := *d
	if d.Alert != nil {
		a := *d.Alert // the worker's, which uses it again
		drop.Alert = &a
	}
	r.drops = append(r.drops, drop)
}

func (r *recorder) App(a *eve.App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps = append(r.apps, string(eve.AppendApp(nil, a)))
}

func (r *recorder) Tagged(t *eve.Tagged) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tagged = append(r.tagged, string(eve.AppendTagged(nil, t)))
}

func (r *recorder) Captured(t *eve.Tuple) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.captured = append(r.captured, string(eve.AppendCaptured(nil, t)))
}

func (r *recorder) Wants(Kind) bool { return true }

// nobody wants no records.
type nobody struct{ recorder }

func (*nobody) Wants(Kind) bool { return false }

// queue is a pktio.Queue whose packets a test feeds.
type queue struct {
	in     chan []pktio.Packet // batches to read
	out    chan []pktio.Packet // batches with their verdicts
	wake   chan struct{}
	closed chan struct{}

	mu       sync.Mutex
	injected []injected // guarded by mu
}

// injected is a packet that the engine made.
type injected struct {
	ip   []byte
	back bool
}

func newQueue() *queue {
	return &queue{in: make(chan []pktio.Packet), out: make(chan []pktio.Packet), wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (q *queue) ReadBatch(batch []pktio.Packet, wait time.Duration) (int, error) {
	if wait == 0 {
		select {
		case b := <-q.in:
			return copy(batch, b), nil
		case <-q.closed:
			return 0, pktio.ErrClosed
		default:
			return 0, nil
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case b := <-q.in:
		return copy(batch, b), nil
	case <-q.wake:
	case <-timer.C:
	case <-q.closed:
		return 0, pktio.ErrClosed
	}
	return 0, nil
}

func (q *queue) Verdicts(batch []pktio.Packet) error {
	select {
	case q.out <- slices.Clone(batch):
	case <-q.closed:
	}
	return nil
}

func (q *queue) Inject(ip []byte, like *pktio.Packet, back bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.injected = append(q.injected, injected{slices.Clone(ip), back})
	return nil
}

func (q *queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) Close() error { close(q.closed); return nil }

// rig is a worker whose packets and clock a test drives.
type rig struct {
	*testing.T
	w   *worker
	q   *queue
	rec *recorder
	now int64

	number uint16 // of the last operation
}

// options are complete, without a program.
func options(rec interface {
	Records
	Wants
}) Options {
	return Options{
		Firewall: "fw", Zone: "z", Inline: true, VerifyChecksums: true, PacketClock: true, FlowLimit: 1000, StreamMemory: 1 << 22,
		Counters: NewCounters(), Latency: NewLatency(), Custom: &CustomActions{},
		NewRecords: func() Records { return rec }, Wants: rec,
	}
}

func newRig(t *testing.T, p *detect.Program, change ...func(*Options)) *rig {
	t.Helper()
	rec := &recorder{}
	opt := options(rec)
	for _, f := range change {
		f(&opt)
	}
	e := New(opt)
	r := &rig{T: t, q: newQueue(), rec: rec, now: sec(100_000)}
	r.w = newWorker(&e.opt, r.q, rec)
	r.w.started, r.w.now = 0, r.now
	if p != nil {
		r.w.setProgram(p)
	}
	return r
}

func sec(n float64) int64 { return int64(n * float64(time.Second)) }

func (r *rig) pass(seconds float64) { r.now += sec(seconds) }

// packet sends an IP packet through the worker.
func (r *rig) packet(ip []byte) pktio.Verdict {
	return r.raw(pktio.Packet{Data: ip, Link: packet.LinkRaw})
}

// judged sends an IP packet through the worker, and returns what goes on.
func (r *rig) judged(ip []byte, offload bool) (out pktio.Packet, p *packet.Packet) {
	batch := []pktio.Packet{{Data: append([]byte(nil), ip...), Link: packet.LinkRaw, Time: r.now, Offload: offload}}
	r.w.judge(batch)
	p = &packet.Packet{}
	p.Decode(packet.LinkRaw, batch[0].Data, packet.Options{VerifyChecksums: !offload})
	return batch[0], p
}

func (r *rig) raw(p pktio.Packet) pktio.Verdict {
	r.w.now, r.w.wall = r.now, r.now
	p.Time = r.now
	batch := []pktio.Packet{p}
	r.w.judge(batch)
	return batch[0].Verdict
}

// want sends a packet and compares its verdict.
func (r *rig) want(verdict pktio.Verdict, what string, ip []byte) {
	r.Helper()
	if got := r.packet(ip); got != verdict {
		r.Errorf("%s: verdict %d, want %d (0 drop, 1 accept)", what, got, verdict)
	}
}

func (r *rig) accepts(what string, ip []byte) { r.Helper(); r.want(pktio.Accept, what, ip) }
func (r *rig) drops(what string, ip []byte)   { r.Helper(); r.want(pktio.Drop, what, ip) }

func (r *rig) counter(i int, want uint64) {
	r.Helper()
	if got := r.w.n[i]; got != want {
		r.Errorf("counter %d is %d, want %d", i, got, want)
	}
}

// dropped compares how many packets were dropped for a reason.
func (r *rig) dropped(reason Reason, want uint64) {
	r.Helper()
	if got := r.w.n[cDropped+int(reason)-1]; got != want {
		r.Errorf("%d packets dropped for %q, want %d", got, reason, want)
	}
}

// midstream compares how many packets met a stream exception policy, by cause.
func (r *rig) midstream(e detect.Exception, c Cause, want uint64) {
	r.Helper()
	if got := r.w.n[cException+int(e)*int(NumCauses)+int(c)]; got != want {
		r.Errorf("%d packets met %q because of %q, want %d", got, e, c, want)
	}
}

// sweep visits the whole table.
func (r *rig) sweep() {
	r.w.now = r.now
	for op := r.w.table.Sweep(r.w.table.Slots(), r.now); op != nil; op = r.w.table.Sweep(0, r.now) {
		r.w.completed(op)
	}
}

// run carries an operation out as Engine.Run does, but leaves the sweep to the caller.
func (r *rig) run(op Operation) *share {
	r.number++
	var limit atomic.Int64
	limit.Store(int64(op.Limit))
	s := newShare(&op, r.number, &limit)
	r.w.now = r.now
	r.w.take(s)
	return s
}

// injected takes the packets that the engine made, decoded.
func (r *rig) injected() []reply {
	var all []reply
	for _, i := range r.q.injected {
		var p packet.Packet
		p.Decode(packet.LinkRaw, i.ip, packet.Options{VerifyChecksums: true})
		all = append(all, reply{p, i.back})
	}
	r.q.injected = nil
	return all
}

type reply struct {
	packet.Packet
	back bool
}

type noVariables struct{}

func (noVariables) Addrs(string) (rule.Addrs, bool) { return rule.Addrs{}, false }
func (noVariables) Ports(string) (rule.Ports, bool) { return rule.Ports{}, false }

// program compiles rules, in strict order and with verdicts for whole flows.
func program(t testing.TB, rules string, change ...func(*detect.Program)) *detect.Program {
	t.Helper()
	return programWith(t, rules, detect.Options{Strict: true, FlowVerdicts: true}, change...)
}

func programWith(t testing.TB, rules string, opt detect.Options, change ...func(*detect.Program)) *detect.Program {
	t.Helper()
	parsed, errs := rule.ParseFile(rules)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	var sources []detect.Source
	for _, r := range parsed {
		sources = append(sources, detect.Source{Rule: r, Lookup: noVariables{}})
	}
	set, err := detect.Compile(sources, opt)
	if err != nil {
		t.Fatal(err)
	}
	p := &detect.Program{Generation: 1, Rules: set, TCPIdle: 350 * time.Second}
	for f := range detect.NumFamilies {
		p.Defaults.Rules[f] = detect.Rule{Action: detect.Drop, Meta: detect.Meta{GID: 1, SID: uint32(f+1) * 2, Msg: "default"}}
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func dropDefault(f detect.Family) func(*detect.Program) {
	return func(p *detect.Program) { p.Defaults.Drop[f] = true }
}

func exception(e detect.Exception) func(*detect.Program) {
	return func(p *detect.Program) { p.Exception = e }
}

func generation(n uint32) func(*detect.Program) {
	return func(p *detect.Program) { p.Generation = n }
}

// conn makes the packets of one TCP connection.
type conn struct {
	client, server       string
	clientSeq, serverSeq uint32
}

func newConn(port string) *conn {
	return &conn{"10.0.0.1:" + port, "192.0.2.1:443", 1000, 5000}
}

func (c *conn) c2s(flags uint8, payload string) []byte {
	p := packettest.TCP(c.client, c.server, flags, c.clientSeq, c.serverSeq, []byte(payload))
	c.clientSeq += uint32(len(payload)) + uint32(flags>>1&1) + uint32(flags&1)
	return p
}

func (c *conn) s2c(flags uint8, payload string) []byte {
	p := packettest.TCP(c.server, c.client, flags, c.serverSeq, c.clientSeq, []byte(payload))
	c.serverSeq += uint32(len(payload)) + uint32(flags>>1&1) + uint32(flags&1)
	return p
}

func (c *conn) syn() []byte {
	p := packettest.TCP(c.client, c.server, syn, c.clientSeq, 0, nil)
	c.clientSeq++
	return p
}

// open sends the handshake, which must pass.
func (r *rig) open(c *conn) {
	r.Helper()
	r.accepts("SYN", c.syn())
	r.accepts("SYN-ACK", c.s2c(synAck, ""))
	r.accepts("ACK of the handshake", c.c2s(ack, ""))
}

// hello returns the bytes of a ClientHello for name.
func hello(t testing.TB, name string) string {
	t.Helper()
	c := &helloConn{}
	tls.Client(c, &tls.Config{ServerName: name}).Handshake()
	return string(c.sent)
}

// helloConn keeps what a TLS client sends first.
type helloConn struct {
	net.Conn
	sent []byte
}

func (c *helloConn) Write(b []byte) (int, error)      { c.sent = append(c.sent, b...); return len(b), nil }
func (c *helloConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (c *helloConn) Close() error                     { return nil }
func (c *helloConn) SetDeadline(time.Time) error      { return nil }
func (c *helloConn) SetWriteDeadline(time.Time) error { return nil }

func filter(t testing.TB, src, dst, sport, dport string, protos ...string) flow.Filter {
	t.Helper()
	prefix := func(s string) netip.Prefix {
		if s == "" {
			return netip.Prefix{}
		}
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.PrefixFrom(a, a.BitLen())
		}
		return netip.MustParsePrefix(s)
	}
	ports := func(s string) flow.PortRange {
		if s == "" {
			return flow.AnyPort
		}
		from, to, isRange := strings.Cut(s, ":")
		if !isRange {
			to = from
		}
		a, errA := strconv.ParseUint(from, 10, 16)
		b, errB := strconv.ParseUint(to, 10, 16)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		return flow.PortRange{From: uint16(a), To: uint16(b)}
	}
	var numbers []uint8
	for _, p := range protos {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, uint8(n))
	}
	return flow.NewFilter(prefix(src), prefix(dst), ports(sport), ports(dport), numbers)
}
