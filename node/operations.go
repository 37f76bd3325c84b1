package node

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// watchOperations runs the flow operations that name this node.
func (n *Node) watchOperations(ctx context.Context) {
	all := n.opt.Scope.AllFlowOperations()
	for up := range n.opt.Store.Watch(ctx, all, 0) {
		for _, ev := range up.Events {
			if ev.Deleted {
				n.forget(path.Base(ev.Key))
				continue
			}
			op, err := store.Decode[resource.FlowOperation](ev.KV)
			if err != nil {
				n.opt.Logger.Error("a flow operation cannot be read", slog.Any("error", err))
				continue
			}
			if op.Zone != n.opt.Zone || !slices.Contains(op.Nodes, n.opt.ID) {
				continue
			}
			if op.Cancelled {
				n.cancel(op.ID)
			} else if ctx, ok := n.begin(ctx, op); ok {
				n.opsWG.Go(func() {
					defer n.cancel(op.ID)
					n.runOperation(ctx, resource.AccountOf(all, ev.Key), op, ev.Lease)
				})
			}
		}
	}
}

// begin says whether op is to be run: it is new to this process, and younger
// than its deadline. An operation that a former process of this node left
// unfinished may have flushed already; what it chose is lost, so it runs out
// of time and ends with errors, which is the truth. The context that it returns
// ends when the operation is cancelled.
func (n *Node) begin(ctx context.Context, op resource.FlowOperation) (context.Context, bool) {
	n.opsMu.Lock()
	defer n.opsMu.Unlock()
	if n.ops[op.ID] != nil {
		return nil, false
	}
	if now := time.Now(); op.Started.Before(n.started) || now.After(op.Deadline) {
		n.opt.Logger.Warn("a flow operation is too old to be taken up; if it is not, the clocks of this machine and the API's differ",
			slog.String("operation", op.ID), slog.Time("asked", op.Started), slog.Time("deadline", op.Deadline), slog.Time("now", now))
		return nil, false
	}
	ctx, n.ops[op.ID] = context.WithCancel(ctx)
	return ctx, true
}

// cancel stops an operation that is under way.
func (n *Node) cancel(id string) {
	n.opsMu.Lock()
	defer n.opsMu.Unlock()
	if cancel := n.ops[id]; cancel != nil {
		cancel()
	}
}

// forget lets go of an operation that is gone from the store.
func (n *Node) forget(id string) {
	n.cancel(id)
	n.opsMu.Lock()
	defer n.opsMu.Unlock()
	delete(n.ops, id)
}

// runOperation carries op out and stores its results and, last, the report:
// once the report is there, the operation is complete.
func (n *Node) runOperation(ctx context.Context, account string, op resource.FlowOperation, lease store.Lease) {
	log := n.opt.Logger.With(slog.String("operation", op.ID), slog.String("type", op.Type), slog.String("account", account), slog.String("firewall", op.Firewall))
	report := resource.FlowReport{Node: n.opt.ID, TakenUp: time.Now()}
	res, err := n.carryOut(ctx, account, op)
	if err != nil && ctx.Err() != nil {
		log.Info("flow operation stopped: it is cancelled, or the node ends")
		return
	}
	if err != nil {
		report.Error = err.Error()
		log.Error("flow operation failed", slog.Any("error", err))
	}
	if res != nil {
		report.TakenUp, report.Flows = res.TakenUp, res.Flows
		log.Info("flows swept", slog.Int("flows", res.Flows), slog.Duration("took", res.Swept.Sub(res.TakenUp)))
	}
	for {
		if res != nil {
			report.Stored, report.Chunks, err = n.storeResults(ctx, op.ID, res, lease)
		}
		if err == nil || res == nil {
			report.Done = time.Now()
			err = n.putReport(ctx, op, report, lease)
		}
		if err == nil {
			n.keep(ctx, result{op.ID, report, lease})
			return
		}
		if ctx.Err() != nil {
			return
		}
		if time.Now().After(op.Deadline) {
			log.Error("the store did not take the results before the operation's deadline; they are lost", slog.Any("error", err))
			return
		}
		// The flows are flushed whatever the store does; the report follows.
		log.Warn("the store did not take the results; trying again", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// result is what this node has in the store of one operation.
type result struct {
	id     string
	report resource.FlowReport
	lease  store.Lease
}

// keep remembers a result, and when those of 12 hours are more than the store
// should hold gives up the flows of the oldest. Its report then says that flows are
// missing, so that the operation does, too.
func (n *Node) keep(ctx context.Context, r result) {
	n.opsMu.Lock()
	defer n.opsMu.Unlock()
	n.results = append(n.results, r)
	n.stored += r.report.Stored
	for n.stored > n.opt.StoredFlows && len(n.results) > 1 {
		old := n.results[0]
		n.results = n.results[1:]
		n.stored -= old.report.Stored
		if old.report.Stored == 0 {
			continue
		}
		old.report.Stored, old.report.Chunks = 0, 0
		var t store.Txn
		t.Put(n.opt.Scope.FlowReport(old.id, n.opt.ID), old.report, old.lease)
		t.DeleteBelow(n.opt.Scope.FlowResults(old.id, n.opt.ID))
		if _, err := n.opt.Store.Commit(ctx, &t); err != nil {
			// Its lease ends it in time, or has.
			n.opt.Logger.Warn("an old result was not removed", slog.String("operation", old.id), slog.Any("error", err))
		}
	}
}

// putReport writes a report, or fails: not after the deadline, when its operation
// counts as ended without it.
func (n *Node) putReport(ctx context.Context, op resource.FlowOperation, report resource.FlowReport, lease store.Lease) error {
	ctx, cancel := context.WithDeadline(ctx, op.Deadline)
	defer cancel()
	_, err := n.opt.Store.Put(ctx, n.opt.Scope.FlowReport(op.ID, n.opt.ID), report, lease)
	return err
}

func (n *Node) carryOut(ctx context.Context, account string, op resource.FlowOperation) (*engine.OperationResult, error) {
	fw, err := n.served(account, op.Firewall)
	if err != nil {
		return nil, err
	}
	ask, err := operationOf(op.Filters, op.MinimumAge, op.FlowOptions)
	if err != nil {
		return nil, err
	}
	ask.ID, ask.Flush, ask.Limit, ask.Endpoints = op.ID, op.Type == resource.FlowFlush, n.opt.ResultLimit, op.EndpointNames
	ctx, cancel := context.WithDeadline(ctx, op.Deadline)
	defer cancel()
	return fw.engine.Run(ctx, ask)
}

// served returns a firewall that is on this node.
func (n *Node) served(account, name string) (*firewall, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if fw := n.firewalls[resource.FirewallID{Account: account, Name: name}]; fw != nil {
		return fw, nil
	}
	return nil, fmt.Errorf("firewall %q of account %s is not on this node", name, account)
}

// operationOf translates what an operation or a query asks for.
func operationOf(filters []wire.FlowFilter, minimumAge int, o resource.FlowOptions) (op engine.Operation, err error) {
	op = engine.Operation{MinAge: time.Duration(minimumAge) * time.Second, Either: o.Either, Stale: o.Stale}
	if op.Filters, err = filtersOf(filters); err != nil {
		return op, err
	}
	if op.Protect, err = filtersOf(o.Protect); err != nil {
		return op, err
	}
	if e, ok := exceptions[o.Exception]; ok {
		op.Exception = &e
	}
	return op, nil
}

// exceptions are the API's names of stream exception policies.
var exceptions = map[string]detect.Exception{
	wire.StreamExceptionPolicyDrop: detect.ExceptionDrop, wire.StreamExceptionPolicyReject: detect.ExceptionReject,
	wire.StreamExceptionPolicyContinue: detect.ExceptionContinue,
}

func filtersOf(filters []wire.FlowFilter) ([]flow.Filter, error) {
	parsed, err := resource.ParseFlowFilters(filters)
	if err != nil {
		return nil, err
	}
	list := make([]flow.Filter, len(parsed))
	for i, f := range parsed {
		list[i] = flow.NewFilter(f.Src, f.Dst, flow.PortRange(f.SrcPorts), flow.PortRange(f.DstPorts), f.Protocols)
	}
	return list, nil
}

// storeResults writes the flows of a result in chunks.
func (n *Node) storeResults(ctx context.Context, id string, res *engine.OperationResult, lease store.Lease) (stored, chunks int, err error) {
	batch := make([]resource.FlowRecord, 0, resource.FlowsPerChunk)
	put := func() error {
		if len(batch) == 0 {
			return nil
		}
		var t store.Txn
		t.PutBytes(n.opt.Scope.FlowResult(id, n.opt.ID, chunks), resource.EncodeFlows(batch), lease)
		if _, err := n.opt.Store.Commit(ctx, &t); err != nil {
			return err
		}
		stored += len(batch)
		chunks++
		batch = batch[:0]
		return nil
	}
	for f := range res.All {
		r := resource.FlowRecord{
			Src: f.Key.Src, Dst: f.Key.Dst, Proto: f.Key.Proto,
			Age:     uint32(max(0, res.Clock-f.First) / int64(time.Second)),
			Packets: f.Packets[0] + f.Packets[1], Bytes: f.Bytes[0] + f.Bytes[1],
		}
		if flow.HasPorts(f.Key.Proto) {
			r.SrcPort, r.DstPort = f.Key.SrcPort, f.Key.DstPort
		}
		if batch = append(batch, r); len(batch) == cap(batch) {
			if err := put(); err != nil {
				return stored, chunks, err
			}
		}
	}
	return stored, chunks, put()
}
