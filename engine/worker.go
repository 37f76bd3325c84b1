package engine

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/parsers"
	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/metrics"
	"github.com/sluicefw/sluice/pktio"
)

const (
	batchSize = 256

	// sweepTime bounds how long a worker carries operations on between two
	// batches, and so what they add to a packet's way; the clock is read every
	// sweepStep slots.
	sweepTime = 500 * time.Microsecond
	sweepStep = 256

	// sweepCircle is how long an ordinary sweep of the table takes, and so how
	// late the record of an idle flow may come. The timeouts themselves are exact.
	sweepCircle = time.Second

	// idleWait is how long a worker waits for packets before it sweeps. Then it
	// visits up to idleStep slots, enough for the circle of a million flows.
	idleWait = 10 * time.Millisecond
	idleStep = 1 << 14

	// maxGenerations is how many rule sets live at once for old flows.
	maxGenerations = 16
)

// worker owns a queue and all state of its packets. Everything below run is
// called from its one goroutine.
type worker struct {
	opt      *Options
	endpoint string // as AttachEndpoint names it
	queue    pktio.Queue
	mail     chan func()
	shares   []*share     // operations under way
	live     atomic.Int64 // flows, for readers outside

	mailMu  sync.RWMutex
	stopped bool          // guarded by mailMu: nobody reads mail any more
	gone    chan struct{} // closed when run has ended

	table     *flow.Table[state]
	pool      *stream.Pool
	sessions  *applayer.Pool
	names     names
	fragments *defrag.Table
	env       stream.Env // of all connections
	vars      *detect.FlowVars
	tags      *detect.Tags // of flows
	records   Records
	block     *metrics.Block
	n         []uint64 // block.N
	latency   *metrics.Recorder
	batch     []pktio.Packet

	program  *detect.Program // the newest, nil before the first
	programs [maxGenerations]pinned
	current  uint8 // slot of program in programs

	domains [domainSources]*domainTable // nil: not remembered

	inspectors []*inspector
	freeInsp   []uint32
	custom     []*atomic.Uint64           // counters of program.Custom
	flushes    [rememberedFlushes]flushed // recent ones, by their number
	udp        *applayer.Session          // for all datagrams: see datagram
	birth      time.Time
	started    int64 // birth on the clock of the flow table
	swept      int64 // when the ordinary sweep last ran
	refusing   int64 // the second in which unreachable messages are counted, and
	refused    int   // how many they were
	panicked   bool  // a stack was logged
	sampled    int   // packets, and
	badSums    int   // segments with a wrong checksum, until it is known whether
	offloading bool  // checksums are left to a network card: see verifies
	kept       bool  // the flow that an operation chose last is in its result

	// Of the packet at hand.
	pkt            packet.Packet
	flow           *flowEntry // that it belongs to, nil: none
	dir            packet.Dir // of it in flow
	key            flow.Key
	now            int64         // clock of the flow table
	wall           int64         // the machine's clock, when the batch came
	packetTime     int64         // for records
	packets        uint32        // on the wire; 0 until they are counted as received
	denied         bool          // dropped, or would be if the engine did not only look on
	refusal        detect.Action // of the rule that it was dropped by
	rejected       bool          // by the stream exception policy
	keyed          bool          // key is this packet's
	level          int           // how many of outers there are: pkt came out of them
	outers         [maxLevels]outer
	eventTx        [2]applayer.Tx // that parsers spoke of last, by direction
	ending         bool           // pkt stands for the bytes of a flow that ends
	limit          metLimit
	inGap          bool // what parsers say now is about a hole in the stream
	unread         bool // its bytes could not be taken for inspection
	offload        bool // its checksums are not filled in
	modified       bool // its payload was replaced
	segment        bool // of TCP: its bytes and its ACK are the connection's
	opaque         bool // what it carries is encrypted, and so was what came before
	cookie         uint64
	input          detect.Input
	result         detect.Result
	cause          Cause
	causeOperation string
	resetBuf       []byte
	payloadBuf     []byte // of an alert

	alertRecord  eve.Alert
	flowRecord   eve.Flow
	drop         eve.Drop
	taggedRecord eve.Tagged
	counters     eve.FlowCounters
	anomaly      eve.Anomaly
	flowVars     eve.Vars
	community    []byte
	frame        eve.Frame
	tunnelRecord eve.Tunnel
	appLog       eve.App
}

// pinned is a program with the number of flows that are on its rules.
type pinned struct {
	program *detect.Program
	flows   int
}

func newWorker(opt *Options, queue pktio.Queue, records Records) *worker {
	w := &worker{
		opt:       opt,
		queue:     queue,
		mail:      make(chan func(), 16),
		gone:      make(chan struct{}),
		records:   records,
		pool:      stream.NewPool(opt.StreamMemory),
		sessions:  applayer.NewPool(opt.StreamMemory/2, parsers.New),
		fragments: defrag.New(opt.Fragments),
		env:       stream.Env{Inline: opt.Inline, Policies: &opt.Streams.Policies, AsyncOneSide: opt.Streams.AsyncOneSide, Handshakes: stream.NewHandshakes()},
		block:     opt.Counters.NewBlock(opt.Account, opt.Firewall, opt.Zone),
		latency:   opt.Latency.NewRecorder(),
		batch:     make([]pktio.Packet, batchSize),
		resetBuf:  make([]byte, 0, 1536),
		birth:     time.Now(),
	}
	w.n = w.block.N
	w.sessions.Inline = opt.Inline
	w.udp = applayer.NewPool(udpSessionMemory, parsers.New).Get()
	if !opt.PacketClock {
		w.started = w.birth.UnixNano()
		w.now = w.started
	}
	w.vars = detect.NewFlowVars(flowVarsPerFlow * opt.FlowLimit)
	w.tags = detect.NewTags(maxTags)
	w.table = flow.NewTable(opt.FlowLimit, flow.Owner[state](w))
	return w
}

// clock is t on the clock of the flow table, which starts at the machine's time
// and then never steps: neither a step back nor one forward may touch timeouts,
// or the age that a flush asks for.
func (w *worker) clock(t time.Time) int64 { return w.started + int64(t.Sub(w.birth)) }

// run is the worker's life: it ends when the queue does.
func (w *worker) run() {
	defer w.block.Retire()
	for {
		w.takeMail()
		wait := idleWait
		if w.table.Sweeping() {
			wait = 0
		}
		n, err := w.queue.ReadBatch(w.batch, wait)
		begin := time.Now()
		if !w.opt.PacketClock {
			w.now, w.wall = w.clock(begin), begin.UnixNano()
		}
		w.judge(w.batch[:n])
		if n > 0 {
			if verr := w.queue.Verdicts(w.batch[:n]); verr != nil {
				w.n[cDriverErrors]++
				w.opt.Logger.Error("verdicts were not delivered", slog.Any("error", verr))
			}
		}
		w.guard(w.sweep)
		w.block.Publish()
		w.live.Store(int64(w.table.Len()))
		if n > 0 {
			w.latency.Observe(time.Since(begin))
			w.latency.Publish()
		}
		if err != nil {
			if !errors.Is(err, pktio.ErrClosed) {
				w.opt.Logger.Error("the driver failed; its packets meet the driver's failure policy", slog.Any("error", err))
			}
			break
		}
	}
	w.finish()
}

// finish ends all flows and answers what still waits in the mail.
func (w *worker) finish() {
	close(w.gone)
	w.mailMu.Lock() // senders that wait for room see gone and let go
	w.stopped = true
	w.mailMu.Unlock()
	w.takeMail()
	w.abandon()
	w.endAll(flow.Shutdown)
	w.live.Store(0)
	w.block.Publish()
}

// endAll ends every flow, whatever panics: each panic costs one.
func (w *worker) endAll(reason flow.Reason) {
	for w.table.Len() > 0 {
		w.guard(func() { w.table.EndAll(reason) })
	}
}

func (w *worker) takeMail() {
	for {
		select {
		case f := <-w.mail:
			w.guard(f)
		default:
			return
		}
	}
}

// sweep carries operations on for sweepTime. Without any, it visits so much of
// the table that the whole circle takes sweepCircle.
func (w *worker) sweep() {
	elapsed := min(w.now-w.swept, int64(sweepCircle))
	w.swept = w.now
	w.fragments.Expire(w.now)
	w.countFragments()
	if !w.table.Sweeping() {
		w.table.Sweep(min(idleStep, 1+int(int64(w.table.Slots())*elapsed/int64(sweepCircle))), w.now)
		return
	}
	for begin := time.Now(); w.table.Sweeping() && time.Since(begin) < sweepTime; {
		for op := w.table.Sweep(sweepStep, w.now); op != nil; op = w.table.Sweep(0, w.now) {
			w.completed(op)
		}
	}
}

// setProgram makes p the newest program. Without one, when the firewall is gone,
// there are no flows either.
func (w *worker) setProgram(p *detect.Program) {
	if p == nil {
		w.endAll(flow.Removed)
		w.program = nil
		return
	}
	if old := &w.programs[w.current]; old.program != nil && old.flows > 0 {
		w.current = w.freeSlot()
	}
	w.program = p
	w.sessions.Strict = p.Suricata
	w.env.Midstream = p.Exception == detect.ExceptionPickUp
	w.custom = w.custom[:0]
	for _, name := range p.Custom {
		w.custom = append(w.custom, w.opt.Custom.counter(name))
	}
	w.programs[w.current] = pinned{program: p}
}

// freeSlot finds a place for another generation. When all are taken by flows,
// the flows of the oldest move on to the next older rules.
func (w *worker) freeSlot() uint8 {
	oldest, next := -1, -1
	for i := range w.programs {
		p := &w.programs[i]
		if p.flows == 0 {
			return uint8(i)
		}
		if oldest < 0 || p.program.Generation < w.programs[oldest].program.Generation {
			oldest, next = i, oldest
		} else if next < 0 || p.program.Generation < w.programs[next].program.Generation {
			next = i
		}
	}
	for f := range w.table.All {
		if int(f.State.slot()) == oldest {
			f.State.pin(uint8(next))
			f.State.quiet = 0
			f.State.setRule(noRule)
			w.n[cRepinned]++
		}
	}
	w.programs[next].flows += w.programs[oldest].flows
	w.programs[oldest].flows = 0
	return uint8(oldest)
}

// Idle timeouts of what the policy does not set. UDP is AWS's, the others are
// Suricata's defaults for a firewall that keeps little of what is over.
const (
	tcpNewTimeout    = 60 * time.Second
	tcpClosedTimeout = 10 * time.Second
	udpTimeout       = 120 * time.Second
	otherTimeout     = 30 * time.Second
)

// suricataTimeout is the idle timeout of a flow by Suricata's defaults.
func suricataTimeout(f *flowEntry) time.Duration {
	if f.Key.Proto != packet.ProtoTCP {
		if established(f) {
			return 300 * time.Second
		}
		return 30 * time.Second
	}
	if established(f) && !f.State.tcp.Closed() {
		return 600 * time.Second
	}
	return 60 * time.Second
}

// IdleTimeout implements flow.Owner.
func (w *worker) IdleTimeout(f *flowEntry) int64 {
	if w.program.Suricata {
		// Seconds of the clock are compared: the timeout is over when the second after its last begins.
		return int64(suricataTimeout(f)+time.Second) - f.Last%int64(time.Second) - 1
	}
	switch f.Key.Proto {
	case packet.ProtoTCP:
		switch {
		case f.State.has(untracked):
			return int64(w.program.TCPIdle)
		case f.State.tcp.Closed():
			return int64(tcpClosedTimeout)
		case f.State.tcp.Established():
			return int64(w.program.TCPIdle)
		}
		return int64(tcpNewTimeout)
	case packet.ProtoUDP:
		return int64(udpTimeout)
	}
	return int64(otherTimeout)
}

// Assured implements flow.Owner.
func (w *worker) Assured(f *flowEntry) bool {
	return !w.Closed(f) && established(f)
}

// Closed implements flow.Owner.
func (w *worker) Closed(f *flowEntry) bool {
	return f.Key.Proto == packet.ProtoTCP && f.State.tcp.Closed()
}

// Ended implements flow.Owner. The records of flushed flows are written from
// the operation's results, outside of the worker, as far as those have room.
func (w *worker) Ended(f *flowEntry, reason flow.Reason, op *flow.Operation[state]) {
	w.n[cEnded+int(reason)]++
	w.endInspection(f, 0, w.now)
	f.State.tcp.Release(&w.env)
	if (op == nil || !w.kept) && w.opt.Wants.Wants(Flows) {
		id := ""
		if op != nil {
			id = w.flushOf(op.Number).id
		}
		var r FlowRecord
		r.of(f)
		r.fill(&w.flowRecord, reason, id, w.now)
		w.describeFlow(&w.flowRecord.Tuple, f)
		w.records.Flow(&w.flowRecord)
	}
	if f.State.has(named) {
		w.names.release(f.State.extension())
	} else if f.State.extension() != 0 {
		w.recycle(f.State.extension())
	}
	if w.vars.Len() > 0 {
		w.vars.Release(f.ID())
	}
	if w.tags.Len() > 0 {
		w.tags.Release(detect.FlowOwner(f.ID()))
	}
	p := &w.programs[f.State.slot()]
	if p.flows--; p.flows == 0 && f.State.slot() != w.current {
		p.program = nil // the collector's
	}
}
