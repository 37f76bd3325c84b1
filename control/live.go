package control

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// What AWS's API lacks: live flows, and flushes with more to say. The operations
// of this file come under the target prefix Sluice_20261101.

const (
	queryLease = 30 * time.Second // beyond the timeout of a query: how long it and its answers stay in the store
	sampleSize = 10               // flows that a preview shows
)

// everyFlow matches all flows.
var everyFlow = []wire.FlowFilter{{}}

// FlushFlows is StartFlowFlush with protected flows, matching in either
// direction, and an exception policy of its own.
func (c *Control) FlushFlows(ctx context.Context, caller wire.Caller, in *wire.FlushFlowsRequest) (*wire.FlushFlowsResponse, error) {
	op, status, err := c.startFlow(ctx, caller, flowRequest{
		kind: resource.FlowFlush, arn: in.FirewallArn, scope: flowScope{in.AvailabilityZone, nil, in.VpcEndpointId, in.VpcEndpointAssociationArn},
		filters: in.FlowFilters, minimumAge: in.MinimumFlowAgeInSeconds,
		options: resource.FlowOptions{
			Protect: in.ProtectedFlowFilters, Either: wire.Val(in.MatchEitherDirection), Exception: wire.Val(in.StreamExceptionPolicy),
		},
	})
	if err != nil {
		return nil, err
	}
	return &wire.FlushFlowsResponse{FirewallArn: &op.ARN, FlowOperationId: &op.ID, FlowOperationStatus: &status}, nil
}

// FlushStaleFlows flushes the flows that today's rules would not admit any more.
func (c *Control) FlushStaleFlows(ctx context.Context, caller wire.Caller, in *wire.FlushStaleFlowsRequest) (*wire.FlushStaleFlowsResponse, error) {
	op, status, err := c.startFlow(ctx, caller, flowRequest{
		kind: resource.FlowFlush, arn: in.FirewallArn, scope: flowScope{in.AvailabilityZone, nil, in.VpcEndpointId, in.VpcEndpointAssociationArn},
		filters: everyFlow, options: resource.FlowOptions{Stale: true, Exception: wire.Val(in.StreamExceptionPolicy)},
	})
	if err != nil {
		return nil, err
	}
	return &wire.FlushStaleFlowsResponse{FirewallArn: &op.ARN, FlowOperationId: &op.ID, FlowOperationStatus: &status}, nil
}

// UpdateFirewallRematch says what happens to live flows that the rules would not
// admit any more, now and after each change of them: nothing (AWS's way), they are
// counted, or they are flushed.
func (c *Control) UpdateFirewallRematch(ctx context.Context, caller wire.Caller, in *wire.UpdateFirewallRematchRequest) (*wire.UpdateFirewallRematchResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateFirewallRematch", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.Rematch = *in.Rematch
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateFirewallRematchResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, Rematch: &f.Rematch, UpdateToken: &f.UpdateToken}, nil
}

// CancelFlowOperation ends a capture that is under way. A flush has taken effect
// when it has begun, so it cannot be cancelled.
func (c *Control) CancelFlowOperation(ctx context.Context, caller wire.Caller, in *wire.CancelFlowOperationRequest) (*wire.CancelFlowOperationResponse, error) {
	scope := flowScope{in.AvailabilityZone, nil, in.VpcEndpointId, in.VpcEndpointAssociationArn}
	var op *resource.FlowOperation
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.flowOperation(ctx, in.FirewallArn, in.FlowOperationId, scope)
		if err != nil {
			return err
		}
		op = &r.value
		if op.Type == resource.FlowFlush {
			return wire.InvalidOperationException("A flush cannot be cancelled: its flows are cut when it begins")
		}
		state, err := c.flowState(ctx, op)
		if err != nil {
			return err
		}
		if state.status != wire.FlowOperationStatusInProgress {
			return wire.InvalidOperationException("The flow operation has ended already, as %s", state.status)
		}
		kv, err := c.store.Get(ctx, r.key) // for its lease
		if err != nil {
			return storeError(err)
		}
		op.Cancelled = true
		t.IfRev(r.key, r.rev)
		t.IfNoneSince(c.scope.FlowReports(op.ID), state.rev) // what has ended stays as it ended
		t.Put(r.key, op, kv.Lease)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "CancelFlowOperation", op.ARN)
	return &wire.CancelFlowOperationResponse{FirewallArn: &op.ARN, FlowOperationId: &op.ID, FlowOperationStatus: wire.Ptr(wire.FlowOperationStatusFailed)}, nil
}

// PreviewFlowFlush counts what a flush would cut, and shows some of it.
func (c *Control) PreviewFlowFlush(ctx context.Context, _ wire.Caller, in *wire.PreviewFlowFlushRequest) (*wire.PreviewFlowFlushResponse, error) {
	a, err := c.query(ctx, in.FirewallArn, flowScope{in.AvailabilityZone, nil, in.VpcEndpointId, in.VpcEndpointAssociationArn}, resource.FlowQuery{
		Filters: in.FlowFilters, MinimumAge: int(wire.Val(in.MinimumFlowAgeInSeconds)),
		FlowOptions: resource.FlowOptions{Protect: in.ProtectedFlowFilters, Either: wire.Val(in.MatchEitherDirection)},
		SortBy:      wire.FlowSortKeyBytes, Descending: true, Size: sampleSize,
	})
	if err != nil {
		return nil, err
	}
	return &wire.PreviewFlowFlushResponse{FirewallArn: &a.arn, AvailabilityZone: &a.zone, FlowCount: &a.flows, ByteCount: &a.bytes, Sample: a.page(sampleSize)}, nil
}

// ListFlows returns a page of the live flows, sorted.
func (c *Control) ListFlows(ctx context.Context, _ wire.Caller, in *wire.ListFlowsRequest) (*wire.ListFlowsResponse, error) {
	filters := in.FlowFilters
	if len(filters) == 0 {
		filters = everyFlow
	}
	q := resource.FlowQuery{
		Filters: filters, MinimumAge: int(wire.Val(in.MinimumFlowAgeInSeconds)),
		FlowOptions: resource.FlowOptions{Protect: in.ProtectedFlowFilters, Either: wire.Val(in.MatchEitherDirection)},
		SortBy:      wire.FlowSortKeyAge, Descending: wire.Val(in.SortOrder) == wire.SortOrderDescending,
	}
	if in.SortBy != nil {
		q.SortBy = *in.SortBy
	}
	scope := flowScope{in.AvailabilityZone, nil, in.VpcEndpointId, in.VpcEndpointAssociationArn}
	a, next, err := c.queryPage(ctx, "ListFlows", in.FirewallArn, scope, q, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &wire.ListFlowsResponse{FirewallArn: &a.arn, AvailabilityZone: &a.zone, FlowCount: &a.flows, Flows: a.shown, NextToken: next}, nil
}

// GetStaleFlows returns a page of the flows that today's rules would not admit.
func (c *Control) GetStaleFlows(ctx context.Context, _ wire.Caller, in *wire.GetStaleFlowsRequest) (*wire.GetStaleFlowsResponse, error) {
	q := resource.FlowQuery{Filters: everyFlow, FlowOptions: resource.FlowOptions{Stale: true}, SortBy: wire.FlowSortKeyAge, Descending: true}
	scope := flowScope{in.AvailabilityZone, nil, in.VpcEndpointId, in.VpcEndpointAssociationArn}
	a, next, err := c.queryPage(ctx, "GetStaleFlows", in.FirewallArn, scope, q, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	return &wire.GetStaleFlowsResponse{FirewallArn: &a.arn, AvailabilityZone: &a.zone, FlowCount: &a.flows, Flows: a.shown, NextToken: next}, nil
}

// answers are what the nodes of a zone said to a query.
type answers struct {
	arn, zone    string
	flows, bytes int64
	all          []resource.LiveFlow // in order
	shown        []wire.LiveFlow     // of queryPage
}

// page returns the first flows, size of them at most.
func (a *answers) page(size int) []wire.LiveFlow {
	page := make([]wire.LiveFlow, min(size, len(a.all)))
	for i := range page {
		page[i] = a.all[i].Flow
	}
	return page
}

// queryPage runs a query whose place in the list travels in the page token.
func (c *Control) queryPage(ctx context.Context, operation string, arn *string, scope flowScope, q resource.FlowQuery, token *string, size *int32) (*answers, *string, error) {
	asked, err := json.Marshal(q)
	if err != nil {
		return nil, nil, wire.InternalServerError("%s", err)
	}
	p, err := newPager(operation, token, size, wire.Val(arn), wire.Val(scope.zoneName), wire.Val(scope.endpoint), wire.Val(scope.association), asked)
	if err != nil {
		return nil, nil, err
	}
	if p.after != "" {
		q.After = &resource.FlowPlace{}
		if err := json.Unmarshal([]byte(p.after), q.After); err != nil {
			return nil, nil, invalid("NextToken is invalid, parameter: [%s], context: NextToken", *token)
		}
	}
	q.Size = p.size + 1 // one more tells whether there is a next page
	a, err := c.query(ctx, arn, scope, q)
	if err != nil {
		return nil, nil, err
	}
	a.shown = a.page(p.size)
	if len(a.all) <= p.size {
		return a, nil, nil
	}
	place, err := json.Marshal(a.all[p.size-1].Place)
	if err != nil {
		return nil, nil, wire.InternalServerError("%s", err)
	}
	return a, p.next(string(place)), nil
}

// query asks the nodes of a zone and waits for their answers.
func (c *Control) query(ctx context.Context, arn *string, scope flowScope, q resource.FlowQuery) (*answers, error) {
	if err := checkFlowRequest(flowRequest{filters: q.Filters, minimumAge: count(q.MinimumAge), options: q.FlowOptions}); err != nil {
		return nil, err
	}
	var f record[resource.Firewall]
	err := c.changeLeased(ctx, c.o.QueryTimeout+queryLease, func(t *store.Txn, grant func() (store.Lease, error)) error {
		var err error
		if f, err = c.firewall(ctx, arn, nil); err != nil {
			return err
		}
		if q.Zone, q.Endpoints, err = c.placeOf(ctx, t, scope, &f.value); err != nil {
			return err
		}
		if q.Nodes, err = c.nodesOf(ctx, q.Zone); err != nil {
			return err
		}
		if len(q.Nodes) == 0 {
			return wire.InternalServerError("No engine node serves Availability Zone %s: start one", q.Zone)
		}
		lease, err := grant()
		if err != nil {
			return err
		}
		q.ID, q.Firewall, q.Deadline = c.o.NewID(), f.value.Name, c.o.Clock().Add(c.o.QueryTimeout)
		t.Put(c.scope.FlowQuery(q.ID), &q, lease)
		return nil
	})
	if err != nil {
		return nil, err
	}
	all, err := c.answersTo(ctx, &q)
	if err != nil {
		return nil, err
	}
	a := &answers{arn: f.value.ARN, zone: q.Zone}
	for _, answer := range all {
		a.flows += int64(answer.Flows)
		a.bytes += int64(answer.Bytes)
		a.all = append(a.all, answer.Page...)
	}
	slices.SortFunc(a.all, func(x, y resource.LiveFlow) int {
		order := cmp.Or(cmp.Compare(x.Place.Value, y.Place.Value), cmp.Compare(x.Place.ID, y.Place.ID))
		if q.Descending {
			return -order
		}
		return order
	})
	a.all = a.all[:min(len(a.all), q.Size)]
	return a, nil
}

// answersTo waits until every node has answered.
func (c *Control) answersTo(ctx context.Context, q *resource.FlowQuery) ([]resource.FlowAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.QueryTimeout)
	defer cancel()
	answered := map[string]resource.FlowAnswer{}
	for up := range c.store.Watch(ctx, c.scope.FlowAnswers(q.ID), 0) {
		for _, ev := range up.Events {
			if ev.Deleted {
				continue
			}
			a, err := store.Decode[resource.FlowAnswer](ev.KV)
			if err != nil {
				return nil, wire.InternalServerError("%s", err)
			}
			if a.Error != "" {
				return nil, wire.InternalServerError("Node %s cannot answer: %s", a.Node, a.Error)
			}
			answered[a.Node] = a
		}
		if len(answered) == len(q.Nodes) {
			return slices.Collect(maps.Values(answered)), nil
		}
	}
	silent := slices.DeleteFunc(slices.Clone(q.Nodes), func(node string) bool {
		_, ok := answered[node]
		return ok
	})
	return nil, wire.InternalServerError("No answer from node %s within %s: try again", strings.Join(silent, ", "), c.o.QueryTimeout)
}
