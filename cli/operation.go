package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// target is the firewall, and its zones or endpoints, that a command acts on.
type target struct {
	name, arn string
	zones     []string // places
}

// operation is a capture or flush in one place, as far as it got.
type operation struct {
	zone      string // its place
	id        string // empty: it did not start
	kind      string // wire.FlowOperationTypeFlowCapture, ...Flush
	status    string
	message   string
	requested time.Time // when the engine picked the flows; zero: unknown
	flows     []wire.Flow
	err       error // why it did not start, or why it was not followed to its end
}

// errNotTried is the error of operations that an interrupt kept from starting.
var errNotTried = errors.New("interrupted")

// done says that the operation has ended and has flows, though some may be
// missing or not have been read.
func (op *operation) done() bool {
	return op.status == wire.FlowOperationStatusCompleted || op.status == wire.FlowOperationStatusCompletedWithErrors
}

// whole says that nothing went wrong.
func (op *operation) whole() bool {
	return op.err == nil && op.status == wire.FlowOperationStatusCompleted
}

// runner runs operations and tells the user what it waits for.
type runner struct {
	env      Env
	api      API
	wait     time.Duration // longest wait while another operation runs
	timeout  time.Duration // longest wait for one operation to complete
	progress *progress
}

// findFirewall resolves --firewall (a name, an ARN or nothing) and the zones.
func (r *runner) findFirewall(ctx context.Context, firewall string, zones []string) (*target, error) {
	if firewall == "" {
		only, err := r.onlyFirewall(ctx)
		if err != nil {
			return nil, err
		}
		firewall = only
	}
	req := &wire.DescribeFirewallRequest{}
	if strings.HasPrefix(firewall, "arn:") {
		req.FirewallArn = &firewall
	} else {
		req.FirewallName = &firewall
	}
	var resp *wire.DescribeFirewallResponse
	err := r.retry(ctx, "DescribeFirewall", func() (err error) {
		resp, err = r.api.DescribeFirewall(ctx, req)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("describe firewall %s: %w", firewall, err)
	}
	if resp.Firewall == nil {
		return nil, fmt.Errorf("describe firewall %s: the answer has no firewall; is --endpoint-url right?", firewall)
	}
	t := &target{name: wire.Val(resp.Firewall.FirewallName), arn: wire.Val(resp.Firewall.FirewallArn), zones: slices.Compact(slices.Sorted(slices.Values(zones)))}
	if len(zones) == 0 && resp.FirewallStatus != nil {
		t.zones = slices.Sorted(maps.Keys(resp.FirewallStatus.SyncStates))
	}
	if len(t.zones) == 0 {
		return nil, fmt.Errorf("firewall %s has no Availability Zone yet: associate a subnet with it, or name a zone with --zone", t.name)
	}
	return t, nil
}

// onlyFirewall returns the ARN of the one firewall that there is.
func (r *runner) onlyFirewall(ctx context.Context) (string, error) {
	var all []wire.FirewallMetadata
	req, more := &wire.ListFirewallsRequest{}, true
	for more && len(all) < 2 {
		var resp *wire.ListFirewallsResponse
		err := r.retry(ctx, "ListFirewalls", func() (err error) {
			resp, err = r.api.ListFirewalls(ctx, req)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("list firewalls: %w", err)
		}
		all = append(all, resp.Firewalls...)
		req.NextToken, more = resp.NextToken, wire.Val(resp.NextToken) != ""
	}
	switch len(all) {
	case 0:
		return "", errors.New("there is no firewall in this account and region: create one, or check --region and --endpoint-url")
	case 1:
		return wire.Val(all[0].FirewallArn), nil
	}
	names := make([]string, 0, len(all))
	for _, f := range all {
		names = append(names, wire.Val(f.FirewallName))
	}
	slices.Sort(names)
	if len(names) > 10 {
		names, more = names[:10], true
	}
	if more {
		names = append(names, "...")
	}
	return "", usagef("there are several firewalls: choose one with --firewall (%s)", strings.Join(names, ", "))
}

// run starts an operation of the given kind in every zone and follows all to
// their ends. Errors are in the operations.
func (r *runner) run(ctx context.Context, kind string, t *target, s *selection) []*operation {
	ops := make([]*operation, len(t.zones))
	for i, zone := range t.zones {
		ops[i] = &operation{zone: zone, kind: kind}
		if i > 0 && ctx.Err() != nil {
			ops[i].err = errNotTried
			continue
		}
		ops[i].err = r.start(ctx, t, s, ops[i])
	}
	for _, op := range ops {
		if op.err == nil {
			op.err = r.follow(ctx, t, op)
		}
	}
	r.progress.clear()
	return ops
}

func (r *runner) start(ctx context.Context, t *target, s *selection, op *operation) error {
	inZone, endpoint, association := scope(op.zone)
	return r.retry(ctx, where(op.zone), func() error {
		switch {
		case op.kind == wire.FlowOperationTypeFlowFlush && s.own != nil && s.own.stale:
			resp, err := r.api.FlushStaleFlows(ctx, &wire.FlushStaleFlowsRequest{
				FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, StreamExceptionPolicy: s.own.exception,
			})
			if err == nil {
				op.id, op.status = wire.Val(resp.FlowOperationId), wire.Val(resp.FlowOperationStatus)
			}
			return onlySluice(err)
		case op.kind == wire.FlowOperationTypeFlowFlush && s.own != nil:
			resp, err := r.api.FlushFlows(ctx, &wire.FlushFlowsRequest{
				FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowFilters: s.filters, MinimumFlowAgeInSeconds: s.minAge,
				ProtectedFlowFilters: s.own.protect, MatchEitherDirection: &s.own.either, StreamExceptionPolicy: s.own.exception,
			})
			if err == nil {
				op.id, op.status = wire.Val(resp.FlowOperationId), wire.Val(resp.FlowOperationStatus)
			}
			return onlySluice(err)
		case op.kind == wire.FlowOperationTypeFlowFlush:
			resp, err := r.api.StartFlowFlush(ctx, &wire.StartFlowFlushRequest{
				FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowFilters: s.filters, MinimumFlowAgeInSeconds: s.minAge,
			})
			if err == nil {
				op.id, op.status = wire.Val(resp.FlowOperationId), wire.Val(resp.FlowOperationStatus)
			}
			return err
		}
		resp, err := r.api.StartFlowCapture(ctx, &wire.StartFlowCaptureRequest{
			FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowFilters: s.filters, MinimumFlowAgeInSeconds: s.minAge,
		})
		if err == nil {
			op.id, op.status = wire.Val(resp.FlowOperationId), wire.Val(resp.FlowOperationStatus)
		}
		return err
	})
}

// Polling starts fast, because Sluice takes milliseconds, and slows down,
// because AWS takes up to minutes.
const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
)

// follow waits until op is complete and reads its flows.
func (r *runner) follow(ctx context.Context, t *target, op *operation) error {
	began, pause := r.env.Now(), firstPoll
	inZone, endpoint, association := scope(op.zone)
	for {
		var resp *wire.DescribeFlowOperationResponse
		err := r.retry(ctx, where(op.zone), func() (err error) {
			resp, err = r.api.DescribeFlowOperation(ctx, &wire.DescribeFlowOperationRequest{
				FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowOperationId: &op.id,
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("describe operation: %w", err)
		}
		op.kind = wire.Val(resp.FlowOperationType)
		op.status, op.message = wire.Val(resp.FlowOperationStatus), wire.Val(resp.StatusMessage)
		if resp.FlowRequestTimestamp != nil {
			op.requested = resp.FlowRequestTimestamp.Time
		}
		if op.status != wire.FlowOperationStatusInProgress {
			break
		}
		if r.env.Now().Sub(began) >= r.timeout {
			return fmt.Errorf("still in progress after %s: raise --timeout, or look again later", r.timeout)
		}
		r.progress.show("%s %s", strings.ToLower(strings.TrimPrefix(op.kind, "FLOW_")), in(op.zone))
		if err := r.env.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(pause*3/2, lastPoll)
	}
	if op.status == wire.FlowOperationStatusFailed {
		return nil // there are no flows to read
	}
	return r.results(ctx, t, op)
}

// results reads all pages of op's flows.
func (r *runner) results(ctx context.Context, t *target, op *operation) error {
	inZone, endpoint, association := scope(op.zone)
	req := &wire.ListFlowOperationResultsRequest{
		FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowOperationId: &op.id, MaxResults: wire.Ptr[int32](100),
	}
	for {
		var resp *wire.ListFlowOperationResultsResponse
		err := r.retry(ctx, where(op.zone), func() (err error) {
			resp, err = r.api.ListFlowOperationResults(ctx, req)
			return err
		})
		if err != nil {
			return fmt.Errorf("list results: %w", err)
		}
		op.flows = append(op.flows, resp.Flows...)
		if wire.Val(resp.NextToken) == "" {
			return nil
		}
		if wire.Val(resp.NextToken) == wire.Val(req.NextToken) {
			return errors.New("list results: the server answers the same page again and again")
		}
		req.NextToken = resp.NextToken
		r.progress.show("%d flows of %s read", len(op.flows), where(op.zone))
	}
}

// retry calls f until it is not throttled any more. The API throttles when
// another flow operation runs in the zone, and when calls come too fast.
func (r *runner) retry(ctx context.Context, what string, f func() error) error {
	began, pause, told := r.env.Now(), time.Second, false
	for {
		err := f()
		var refusal *wire.Error
		if err == nil || !errors.As(err, &refusal) || refusal.Code != "ThrottlingException" {
			return err
		}
		left := r.wait - r.env.Now().Sub(began)
		if left <= 0 {
			return fmt.Errorf("busy for %s, see --wait: %w", r.wait, err)
		}
		if !told {
			told = true
			r.progress.clear()
			fmt.Fprintf(r.env.Stderr, "%s: %s; waiting for up to %s\n", what, printable(refusal.Message), r.wait)
		}
		r.progress.show("waiting: %s is busy", what)
		if err := r.env.Sleep(ctx, min(pause, left)); err != nil {
			return err
		}
		pause = min(pause*2, 5*time.Second)
	}
}
