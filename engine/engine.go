// Package engine runs packets through the firewall: it takes batches from a
// driver's queues, runs decode, stateless rules, flow table, connection
// tracking, parsers and rules on every packet in order, and gives the verdicts
// back.
//
// An Engine is the data plane of one firewall on one node. Each queue has one
// worker, a goroutine that owns everything it touches; there is no lock, no
// channel and no allocation on a packet's way. What comes from outside (a new
// program, a capture, a flush) is a message that a worker takes between two batches.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/metrics"
	"github.com/sluicefw/sluice/pktio"
)

// Options set an engine up. Firewall, Counters, Latency, NewRecords and Wants
// are required.
type Options struct {
	Account  string // of the firewall, for metrics
	Firewall string // name, for metrics
	Zone     string

	Fragments defrag.Options // how each worker puts fragments together
	Streams   stream.Options // how each worker puts TCP segments together

	Limits       Limits // what happens at limits
	FlowLimit    int    // flows per worker; 0 is 1,000,000
	StreamMemory int64  // bytes per worker for reassembly; 0 is 256 MiB

	Inline          bool // verdicts are carried out; otherwise the engine only looks on
	FailOpen        bool // without a program packets pass
	VerifyChecksums bool
	GuessOffload    bool // a capture whose host left checksums to its card is one whose checksums are not verified
	Tunnels         bool // packets within packets are judged, too
	PacketClock     bool // time is the packets' (captures) and not the machine's
	CountPackets    bool // records carry the driver's cookie as the packet's number
	CountFrames     bool // bytes of flows include the link-layer header, as Suricata counts
	PacketSource    string
	Detail          eve.Detail // of records

	Counters   Counters
	Latency    *metrics.Histogram
	Custom     *CustomActions
	NewRecords func() Records
	Wants      Wants
	Logger     *slog.Logger

	hosts    *detect.HostVars // of all workers
	hostTags *detect.Tags     // of all workers
}

// hostVars is how many bits and counts of hosts rules can keep at once, and
// flowVarsPerFlow how many variables flows can on average. maxTags is how many hosts, and how many
// flows of a worker, can have their packets logged by a rule's tag.
const (
	hostVars        = 1 << 20
	flowVarsPerFlow = 2
	maxTags         = 1 << 16
)

// Engine is the data plane of one firewall.
type Engine struct {
	opt Options
	wg  sync.WaitGroup

	swap sync.Mutex // held while a program, or what to remember, is sent, so that all workers get them in one order; before mu

	mu      sync.Mutex
	workers []*worker       // guarded by mu; replaced, never changed in place
	program *detect.Program // guarded by mu: what new workers start with
	number  uint16          // guarded by mu: of the last operation

	domains [domainSources]bool // guarded by mu: what new workers remember
}

// New makes an engine without workers: it has no flows, and answers operations at once.
func New(opt Options) *Engine {
	if opt.FlowLimit <= 0 {
		opt.FlowLimit = 1_000_000
	}
	if opt.StreamMemory <= 0 {
		opt.StreamMemory = 256 << 20
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Custom == nil {
		opt.Custom = &CustomActions{}
	}
	opt.hosts = detect.NewHostVars(hostVars)
	opt.hostTags = detect.NewTags(maxTags)
	return &Engine{opt: opt}
}

// Attach starts a worker for each queue. They run until the queue is closed;
// Wait returns when all are done.
func (e *Engine) Attach(queues []pktio.Queue) { e.AttachEndpoint("", queues) }

// AttachEndpoint is Attach for queues whose packets meet the firewall at an
// endpoint. Flows belong to the endpoint of the queue that their packets come
// from: see Operation.Endpoints.
func (e *Engine) AttachEndpoint(endpoint string, queues []pktio.Queue) {
	e.mu.Lock()
	defer e.mu.Unlock()
	workers := slices.Clone(e.workers)
	for _, q := range queues {
		w := newWorker(&e.opt, q, e.opt.NewRecords())
		w.endpoint = endpoint
		if e.program != nil {
			w.setProgram(e.program)
		}
		w.rememberDomains(e.domains)
		workers = append(workers, w)
		e.wg.Go(w.run)
	}
	e.workers = workers
}

// Wait returns when every queue has ended and its flows are logged.
func (e *Engine) Wait() { e.wg.Wait() }

// SetProgram puts p in force. It returns when every worker runs it, or ctx
// ends. Workers that it was sent to and that had not answered then still take it
// up; the others keep what they run until the next call.
func (e *Engine) SetProgram(ctx context.Context, p *detect.Program) error {
	pending, sent, err := e.sendProgram(ctx, p)
	for range sent {
		select {
		case <-pending:
		case <-ctx.Done():
			return fmt.Errorf("wait for the workers to run the program: %w", ctx.Err())
		}
	}
	return err
}

// sendProgram returns how many workers will say on the channel that they run p.
func (e *Engine) sendProgram(ctx context.Context, p *detect.Program) (<-chan struct{}, int, error) {
	e.swap.Lock()
	defer e.swap.Unlock()
	e.mu.Lock()
	e.program = p
	workers := e.workers
	e.mu.Unlock()
	pending := make(chan struct{}, len(workers))
	sent := 0
	for _, w := range workers {
		if w.send(ctx, func() { w.setProgram(p); pending <- struct{}{} }) {
			sent++
		} else if ctx.Err() != nil {
			return pending, sent, fmt.Errorf("a worker did not take the program: %w", ctx.Err())
		}
	}
	return pending, sent, nil
}

// Program returns the program in force, or nil.
func (e *Engine) Program() *detect.Program {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.program
}

// Flows is the number of flows in all tables, as of a moment ago.
func (e *Engine) Flows() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	var n int64
	for _, w := range e.workers {
		n += w.live.Load()
	}
	return n
}

// Lost is the number of packets that drivers lost before the engine saw them.
func (e *Engine) Lost() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	var n uint64
	for _, w := range e.workers {
		if d, ok := w.queue.(pktio.Dropper); ok {
			n += d.Lost()
		}
	}
	return n
}

// latencyBounds are the buckets of the batch latency histogram.
var latencyBounds = []time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 100 * time.Millisecond,
}

// NewLatency makes the histogram of the time between a batch's arrival and its verdicts.
func NewLatency() *metrics.Histogram {
	return metrics.NewHistogram("sluice_batch_latency_seconds", "Time from the arrival of a batch of packets to the delivery of its verdicts.", latencyBounds...)
}
