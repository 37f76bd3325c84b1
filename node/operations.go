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
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// watchOperations runs the flow operations that name this node.
func (n *Node) watchOperations(ctx context.Context) {
	for up := range n.opt.Store.Watch(ctx, n.opt.Scope.AllFlowOperations(), 0) {
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
			if op.Zone == n.opt.Zone && slices.Contains(op.Nodes, n.opt.ID) && n.begin(op) {
				n.opsWG.Go(func() { n.runOperation(ctx, op, ev.Lease) })
			}
		}
	}
}

// begin says whether op is to be run: it is new to this process, and younger
// than its deadline. An operation that a former process of this node left
// unfinished may have flushed already; what it chose is lost, so it runs out
// of time and ends with errors, which is the truth.
func (n *Node) begin(op resource.FlowOperation) bool {
	n.opsMu.Lock()
	defer n.opsMu.Unlock()
	if n.ops[op.ID] || op.Started.Before(n.started) || time.Now().After(op.Deadline) {
		return false
	}
	n.ops[op.ID] = true
	return true
}

// forget lets go of an operation that is gone from the store.
func (n *Node) forget(id string) {
	n.opsMu.Lock()
	defer n.opsMu.Unlock()
	delete(n.ops, id)
}

// runOperation carries op out and stores its results and, last, the report:
// once the report is there, the operation is complete.
func (n *Node) runOperation(ctx context.Context, op resource.FlowOperation, lease store.Lease) {
	log := n.opt.Logger.With(slog.String("operation", op.ID), slog.String("type", op.Type), slog.String("firewall", op.Firewall))
	report := resource.FlowReport{Node: n.opt.ID, TakenUp: time.Now()}
	res, err := n.carryOut(ctx, op)
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
			_, err = n.opt.Store.Put(ctx, n.opt.Scope.FlowReport(op.ID, n.opt.ID), report, lease)
		}
		if err == nil || ctx.Err() != nil {
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

func (n *Node) carryOut(ctx context.Context, op resource.FlowOperation) (*engine.OperationResult, error) {
	n.mu.Lock()
	fw := n.firewalls[op.Firewall]
	n.mu.Unlock()
	if fw == nil {
		return nil, fmt.Errorf("firewall %q is not on this node", op.Firewall)
	}
	var filters []flow.Filter
	for i, f := range op.Filters {
		var src, dst wire.Address
		if f.SourceAddress != nil {
			src = *f.SourceAddress
		}
		if f.DestinationAddress != nil {
			dst = *f.DestinationAddress
		}
		parsed, err := flow.NewFilter(wire.Val(src.AddressDefinition), wire.Val(dst.AddressDefinition), wire.Val(f.SourcePort), wire.Val(f.DestinationPort), f.Protocols)
		if err != nil {
			return nil, fmt.Errorf("filter %d: %w", i, err)
		}
		filters = append(filters, parsed)
	}
	ctx, cancel := context.WithDeadline(ctx, op.Deadline)
	defer cancel()
	return fw.engine.Run(ctx, engine.Operation{
		ID: op.ID, Flush: op.Type == resource.FlowFlush, Filters: filters,
		MinAge: time.Duration(op.MinimumAge) * time.Second, Limit: n.opt.ResultLimit,
	})
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
	taken := res.TakenUp.UnixNano()
	for _, c := range res.Chunks {
		for i := range c {
			f := &c[i]
			r := resource.FlowRecord{
				Src: f.Key.Src, Dst: f.Key.Dst, Proto: f.Key.Proto,
				Age:     uint32(max(0, taken-f.First) / int64(time.Second)),
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
	}
	return stored, chunks, put()
}
