package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/eve"
)

// Operation asks for a capture or a flush of flows.
type Operation struct {
	ID      string
	Flush   bool
	Filters []flow.Filter // at least one; a flow is chosen if any matches
	MinAge  time.Duration
	Limit   int // flows kept in the result; more are counted, and flushed, all the same

	Protect []flow.Filter // flows that any of these matches are left alone
	Either  bool          // filters match in either direction of a flow
	Stale   bool          // only flows that the newest program would not admit any more

	// Endpoints are the names of the endpoints whose flows are meant, as
	// AttachEndpoint was given them. Nil means the flows of all.
	Endpoints []string

	// Exception, if set, is what packets of flushed flows meet instead of the
	// program's stream exception policy.
	Exception *detect.Exception

	// Page, if set, keeps only the flows of one page of a sorted list, whatever
	// Limit says. Captures only.
	Page *Page
}

// OperationResult is what an operation came to.
type OperationResult struct {
	TakenUp time.Time  // when the last worker had taken it up: from then on a flush holds everywhere
	Swept   time.Time  // when the last worker had visited its whole table
	Clock   int64      // TakenUp on the clock of FlowRecord.First and Last, for ages
	Flows   int        // flows that were chosen
	Stored  int        // of those, how many All yields
	Bytes   uint64     // of the chosen flows, both directions
	Page    []PageFlow // of an operation that asks for one, in its order

	flows []packedFlows // of each worker
}

// All calls yield for every flow that the result has room for, until it returns
// false. It uses one FlowRecord for all of them.
func (r *OperationResult) All(yield func(*FlowRecord) bool) {
	for _, p := range r.flows {
		for _, chunk := range p.chunks {
			for rec := range unpack(chunk) {
				if !yield(rec) {
					return
				}
			}
		}
	}
}

// share is one worker's part of an operation. The worker writes it until done
// is closed.
type share struct {
	op     flow.Operation[state]
	ask    *Operation
	limit  *atomic.Int64 // records that may still be kept, by all workers
	page   *pageKeeper   // nil unless ask.Page is set
	stale  *detect.Rule  // why the flow chosen last is stale; nil unless ask.Stale is set
	bytes  uint64
	taken  time.Time
	clock  int64 // taken on the worker's clock
	swept  time.Time
	flows  int
	stored int // of those, how many are packed
	packed packedFlows
	done   chan struct{}
	lost   bool // the worker ended before it had swept

	// abandoned tells the worker that nobody waits for a capture any more.
	abandoned atomic.Bool
}

func newShare(op *Operation, number uint16, limit *atomic.Int64) *share {
	s := &share{ask: op, limit: limit, done: make(chan struct{})}
	s.op = flow.Operation[state]{
		Filters: op.Filters, MinAge: int64(op.MinAge), Number: number, Protect: op.Protect, Either: op.Either,
	}
	if op.Page != nil {
		s.page = &pageKeeper{page: op.Page}
	}
	return s
}

// errStopped says that an operation met the end of the engine.
var errStopped = errors.New("the engine stopped before the operation was complete; flows may be missing")

// Run carries out an operation on all workers of its endpoints and returns when the last of
// them has swept its table, or when ctx ends. For a flush, no packet is treated
// as part of a chosen flow any more once a worker has taken it up, which it does
// before its next batch.
func (e *Engine) Run(ctx context.Context, op Operation) (*OperationResult, error) {
	e.mu.Lock()
	workers := e.workers
	e.number++
	if e.number == 0 {
		e.number = 1
	}
	number := e.number
	e.mu.Unlock()

	var limit atomic.Int64
	limit.Store(int64(op.Limit))
	shares := make([]*share, 0, len(workers))
	for _, w := range workers {
		if op.Endpoints != nil && !slices.Contains(op.Endpoints, w.endpoint) {
			continue
		}
		s := newShare(&op, number, &limit)
		if !w.send(ctx, func() { w.take(s) }) {
			if ctx.Err() != nil {
				e.leave(shares, &op)
				return nil, fmt.Errorf("a worker did not take the operation up: %w", ctx.Err())
			}
			continue // stopped: it has no flows any more
		}
		shares = append(shares, s)
	}
	res := &OperationResult{TakenUp: time.Now()}
	res.Swept = res.TakenUp
	var err error
	var pages [][]PageFlow
	for i, s := range shares {
		select {
		case <-s.done:
		case <-ctx.Done():
			e.leave(shares, &op)
			return nil, fmt.Errorf("%d of %d workers did not finish: %w", len(shares)-i, len(shares), ctx.Err())
		}
		if i == 0 || s.taken.After(res.TakenUp) {
			res.TakenUp = s.taken
		}
		if s.swept.After(res.Swept) {
			res.Swept = s.swept
		}
		res.Clock = max(res.Clock, s.clock)
		res.Flows += s.flows
		res.Bytes += s.bytes
		res.Stored += s.stored
		res.flows = append(res.flows, s.packed)
		if s.page != nil {
			pages = append(pages, s.page.flows)
		}
		if s.lost {
			err = errStopped
		}
	}
	if op.Flush {
		e.logFlushed(shares, op.ID)
	}
	if op.Page != nil {
		res.Page = mergePages(op.Page, pages)
	}
	return res, err
}

// leave lets go of an operation whose answer nobody waits for any more.
func (e *Engine) leave(shares []*share, op *Operation) {
	if op.Flush {
		go e.logFlushed(shares, op.ID)
		return
	}
	for _, s := range shares {
		s.abandoned.Store(true)
	}
}

// Flusher is offered by Records whose log has a buffer: Flush waits until what
// was recorded is written, or ctx ends.
type Flusher interface {
	Flush(ctx context.Context) error
}

// logPatience bounds how long a flush waits for its log. The flows are gone
// already, and who asked waits for the answer; a log that is stuck (a full disk)
// counts what it has no room for.
const logPatience = 5 * time.Second

// logFlushed writes the flow records of flushed flows when all workers are done,
// outside of the workers: hundreds of thousands of them must not hold a packet
// up, nor overrun the log. Those that the result has no room for were written by
// the workers.
func (e *Engine) logFlushed(shares []*share, id string) {
	if !e.opt.Wants.Wants(Flows) {
		return
	}
	records := e.opt.NewRecords()
	log, buffered := records.(Flusher)
	ctx, cancel := context.WithTimeout(context.Background(), logPatience)
	defer cancel()
	var rec eve.Flow
	var community []byte
	for _, s := range shares {
		<-s.done
		now := time.Now().UnixNano()
		for _, chunk := range s.packed.chunks {
			for r := range unpack(chunk) {
				r.fill(&rec, flow.Flushed, id, now)
				if e.opt.Detail.CommunityID {
					community = appendCommunityID(community[:0], e.opt.Detail.Seed, &r.Key)
					rec.CommunityID = community
				}
				records.Flow(&rec)
			}
			if buffered && log.Flush(ctx) != nil {
				buffered = false // it is stuck; go on at once
			}
		}
	}
}

// send puts f into the worker's mail and wakes it. It returns false when the
// worker has stopped or ctx ends first.
func (w *worker) send(ctx context.Context, f func()) bool {
	w.mailMu.RLock()
	defer w.mailMu.RUnlock()
	if w.stopped {
		return false
	}
	select {
	case w.mail <- f:
		w.queue.Wake()
		return true
	default:
	}
	w.queue.Wake()
	select {
	case w.mail <- f:
		w.queue.Wake()
		return true
	case <-w.gone:
		return false
	case <-ctx.Done():
		return false
	}
}

// take takes an operation up, between two batches.
func (w *worker) take(s *share) {
	s.taken = time.Now()
	if !w.opt.PacketClock {
		w.now = w.clock(s.taken)
	}
	s.clock = w.now
	s.op.Emit = func(f *flowEntry) { s.add(w, f) }
	if s.ask.Stale {
		s.op.Choose = func(f *flowEntry) bool {
			s.stale = w.stale(f)
			return s.stale != nil
		}
	}
	w.shares = append(w.shares, s)
	if s.ask.Flush {
		w.remember(s)
		w.table.Flush(&s.op, w.now)
	} else {
		w.table.Capture(&s.op, w.now)
	}
}

// flushed is a flush with the number that graves know it by.
type flushed struct {
	number    uint16
	id        string
	exception *detect.Exception
}

// rememberedFlushes is how many operations back a flush keeps its id for
// midstream packets.
const rememberedFlushes = 1024

func (w *worker) remember(s *share) {
	w.flushes[s.op.Number%rememberedFlushes] = flushed{s.op.Number, s.ask.ID, s.ask.Exception}
}

// flushOf returns a flush by its number; it is zero when that is too long ago.
func (w *worker) flushOf(number uint16) flushed {
	if f := &w.flushes[number%rememberedFlushes]; f.number == number {
		return *f
	}
	return flushed{}
}

func (s *share) add(w *worker, f *flowEntry) {
	if s.abandoned.Load() {
		s.packed = packedFlows{}
		return
	}
	s.flows++
	s.bytes += f.Bytes(0) + f.Bytes(1)
	if s.page != nil {
		s.page.add(w, f, s.stale)
		return
	}
	w.kept = s.limit.Add(-1) >= 0
	if !w.kept {
		return
	}
	s.stored++
	var r FlowRecord
	r.of(f)
	s.packed.add(&r)
}

// completed is called when the sweep of an operation is over.
func (w *worker) completed(op *flow.Operation[state]) {
	for i, s := range w.shares {
		if &s.op == op {
			s.swept = time.Now()
			close(s.done)
			w.shares = slices.Delete(w.shares, i, i+1)
			return
		}
	}
}

// abandon ends the operations that a stopping worker has not swept.
func (w *worker) abandon() {
	for _, s := range w.shares {
		s.lost = true
		close(s.done)
	}
	w.shares = nil
}
