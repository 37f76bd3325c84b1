package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// maxQueries bounds how many queries of live flows are answered at once; the
// others wait, and may miss their deadline.
const maxQueries = 4

// watchQueries answers the queries of live flows that name this node.
func (n *Node) watchQueries(ctx context.Context) {
	slots := make(chan struct{}, maxQueries)
	all := n.opt.Scope.AllFlowQueries()
	for up := range n.opt.Store.Watch(ctx, all, 0) {
		for _, ev := range up.Events {
			if ev.Deleted {
				continue
			}
			q, err := store.Decode[resource.FlowQuery](ev.KV)
			if err != nil {
				n.opt.Logger.Error("a query cannot be read", slog.Any("error", err))
				continue
			}
			if q.Zone != n.opt.Zone || !slices.Contains(q.Nodes, n.opt.ID) || time.Now().After(q.Deadline) {
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			n.opsWG.Go(func() {
				defer func() { <-slots }()
				n.answer(ctx, resource.AccountOf(all, ev.Key), q, ev.Lease)
			})
		}
	}
}

// answer runs a query and writes the answer under the query's lease.
func (n *Node) answer(ctx context.Context, account string, q resource.FlowQuery, lease store.Lease) {
	ctx, cancel := context.WithDeadline(ctx, q.Deadline)
	defer cancel()
	a, err := n.ask(ctx, account, q)
	if err != nil {
		a = resource.FlowAnswer{Error: err.Error()}
	}
	a.Node = n.opt.ID
	if _, err := n.opt.Store.Put(ctx, n.opt.Scope.FlowAnswer(q.ID, n.opt.ID), a, lease); err != nil && !errors.Is(err, context.Canceled) {
		n.opt.Logger.Warn("a query of live flows was not answered", slog.String("account", account), slog.String("firewall", q.Firewall), slog.Any("error", err))
	}
}

// sortKeys are the API's names of what flows are sorted by.
var sortKeys = map[string]engine.SortKey{
	wire.FlowSortKeyAge: engine.ByAge, wire.FlowSortKeyBytes: engine.ByBytes,
	wire.FlowSortKeyPackets: engine.ByPackets, wire.FlowSortKeyIdle: engine.ByIdle,
}

func (n *Node) ask(ctx context.Context, account string, q resource.FlowQuery) (a resource.FlowAnswer, err error) {
	fw, err := n.served(account, q.Firewall)
	if err != nil {
		return a, err
	}
	op, err := operationOf(q.Filters, q.MinimumAge, q.FlowOptions)
	if err != nil {
		return a, err
	}
	op.Endpoints = q.Endpoints
	op.Page = &engine.Page{By: sortKeys[q.SortBy], Descending: q.Descending, Size: q.Size}
	if q.After != nil {
		op.Page.After = &engine.PageKey{Value: q.After.Value, ID: q.After.ID}
	}
	res, err := fw.engine.Run(ctx, op)
	if err != nil {
		return a, err
	}
	a.Flows, a.Bytes = res.Flows, res.Bytes
	now := res.Clock
	for i := range res.Page {
		place := res.Page[i].Place(op.Page.By)
		a.Page = append(a.Page, resource.LiveFlow{Place: resource.FlowPlace{Value: place.Value, ID: place.ID}, Flow: liveFlow(&res.Page[i], now, q.Stale)})
	}
	return a, nil
}

// liveFlow writes a flow as the API shows it.
func liveFlow(f *engine.PageFlow, now int64, stale bool) wire.LiveFlow {
	address := func(a packet.Addr) *wire.Address { return &wire.Address{AddressDefinition: wire.Ptr(a.String())} }
	seconds := func(since int64) *int32 { return wire.Ptr(int32(max(0, now-since) / int64(time.Second))) }
	count := func(n uint64) *int64 { return wire.Ptr(int64(n)) }
	var srcPort, dstPort uint16
	if flow.HasPorts(f.Key.Proto) {
		srcPort, dstPort = f.Key.SrcPort, f.Key.DstPort
	}
	out := wire.LiveFlow{
		SourceAddress: address(f.Key.Src), DestinationAddress: address(f.Key.Dst),
		SourcePort: wire.Ptr(strconv.Itoa(int(srcPort))), DestinationPort: wire.Ptr(strconv.Itoa(int(dstPort))),
		Protocol: wire.Ptr(strconv.Itoa(int(f.Key.Proto))),
		Age:      seconds(f.First), IdleSeconds: seconds(f.Last),
		PacketCount: wire.Ptr(int32(min(f.Packets[0]+f.Packets[1], 1<<31-1))), ByteCount: count(f.Bytes[0] + f.Bytes[1]),
		PacketsToServer: count(f.Packets[0]), PacketsToClient: count(f.Packets[1]),
		BytesToServer: count(f.Bytes[0]), BytesToClient: count(f.Bytes[1]),
		State: wire.Ptr(liveStates[f.State]), Generation: count(uint64(f.Generation)),
	}
	if f.TCPState != stream.StateNone {
		out.TcpState = wire.Ptr(f.TCPState.String())
	}
	if f.App != applayer.Unknown && f.App != applayer.Failed {
		out.ApplicationProtocol = wire.Ptr(f.App.String())
	}
	if f.Name != "" {
		out.Name = wire.Ptr(f.Name)
	}
	if f.Midstream {
		out.Midstream = wire.Ptr(true)
	}
	switch {
	case f.Rule == nil:
	case stale:
		out.StaleReason = wire.Ptr(ruleName(&f.Rule.Meta))
	default:
		out.DecidedBy = wire.Ptr(ruleName(&f.Rule.Meta))
	}
	return out
}

// ruleName names a rule or default action for a person.
func ruleName(m *detect.Meta) string {
	name := fmt.Sprintf("sid %d of %s", m.SID, m.ResourceARN)
	if m.Msg != "" {
		name += ": " + m.Msg
	}
	return name
}

var liveStates = map[engine.FlowState]string{
	engine.FlowNew: wire.LiveFlowStateNew, engine.FlowEstablished: wire.LiveFlowStateEstablished, engine.FlowClosed: wire.LiveFlowStateClosed,
}
