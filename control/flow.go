package control

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// flowHistory is how long an operation and its results are kept. AWS: 12 hours.
const flowHistory = 12 * time.Hour

// flowRequest is what StartFlowCapture and StartFlowFlush have in common.
type flowRequest struct {
	kind       string // resource.FlowFlush or resource.FlowCapture
	arn        *string
	scope      flowScope
	filters    []wire.FlowFilter
	minimumAge *int32
	options    resource.FlowOptions // of Sluice's own operations
}

// StartFlowCapture lists the flows that match, in the background.
func (c *Control) StartFlowCapture(ctx context.Context, caller wire.Caller, in *wire.StartFlowCaptureRequest) (*wire.StartFlowCaptureResponse, error) {
	op, status, err := c.startFlow(ctx, caller, flowRequest{
		kind: resource.FlowCapture, arn: in.FirewallArn, scope: flowScope{in.AvailabilityZone, in.AvailabilityZoneId, in.VpcEndpointId, in.VpcEndpointAssociationArn},
		filters: in.FlowFilters, minimumAge: in.MinimumFlowAgeInSeconds,
	})
	if err != nil {
		return nil, err
	}
	return &wire.StartFlowCaptureResponse{FirewallArn: &op.ARN, FlowOperationId: &op.ID, FlowOperationStatus: &status}, nil
}

// StartFlowFlush times the flows that match out, at once.
func (c *Control) StartFlowFlush(ctx context.Context, caller wire.Caller, in *wire.StartFlowFlushRequest) (*wire.StartFlowFlushResponse, error) {
	op, status, err := c.startFlow(ctx, caller, flowRequest{
		kind: resource.FlowFlush, arn: in.FirewallArn, scope: flowScope{in.AvailabilityZone, in.AvailabilityZoneId, in.VpcEndpointId, in.VpcEndpointAssociationArn},
		filters: in.FlowFilters, minimumAge: in.MinimumFlowAgeInSeconds,
	})
	if err != nil {
		return nil, err
	}
	return &wire.StartFlowFlushResponse{FirewallArn: &op.ARN, FlowOperationId: &op.ID, FlowOperationStatus: &status}, nil
}

// startFlow writes an operation for the nodes of the zone to take up. One at a
// time runs for a firewall and zone.
func (c *Control) startFlow(ctx context.Context, caller wire.Caller, in flowRequest) (op resource.FlowOperation, status string, err error) {
	if err := checkFlowRequest(in); err != nil {
		return op, "", err
	}
	err = c.changeLeased(ctx, flowHistory, func(t *store.Txn, grant func() (store.Lease, error)) error {
		f, err := c.firewall(ctx, in.arn, nil)
		if err != nil {
			return err
		}
		zone, endpoint, err := c.placeOf(ctx, t, in.scope, &f.value)
		if err != nil {
			return err
		}
		active, err := c.notRunning(ctx, f.value.Name, zone)
		if err != nil {
			return err
		}
		nodes, err := c.nodesOf(ctx, zone)
		if err != nil {
			return err
		}
		lease, err := grant()
		if err != nil {
			return err
		}
		now := c.o.Clock()
		op = resource.FlowOperation{
			ID: c.o.NewID(), Type: in.kind, Firewall: f.value.Name, ARN: f.value.ARN, Zone: zone,
			Started: now, Deadline: now.Add(c.o.FlowDeadline), Nodes: nodes,
			VpcEndpointID: in.scope.endpoint, VpcEndpointAssociationARN: in.scope.association, EndpointNames: endpoint,
			Filters: in.filters, MinimumAge: int(wire.Val(in.minimumAge)), MinimumAgeGiven: in.minimumAge != nil,
			FlowOptions: in.options,
		}
		t.IfRev(f.key, f.rev)
		t.IfRev(active.key, active.rev)
		t.Put(active.key, op.ID, lease)
		t.Put(c.scope.FlowOperation(op.Firewall, zone, op.ID), &op, lease)
		return nil
	})
	if err != nil {
		return op, "", err
	}
	c.audit(ctx, caller, in.kind, op.ARN)
	return op, flowState(&op, nil, op.Started).status, nil
}

func checkFlowRequest(in flowRequest) error {
	if len(in.filters) == 0 {
		return invalid("FlowFilters cannot be null or empty, context: FlowFilters")
	}
	if err := checkFilters("FlowFilters", in.filters); err != nil {
		return err
	}
	if err := checkFilters("ProtectedFlowFilters", in.options.Protect); err != nil {
		return err
	}
	if age := wire.Val(in.minimumAge); age < 0 {
		return invalid("%s", quoted("MinimumFlowAgeInSeconds is not within the bound", age, "MinimumFlowAgeInSeconds"))
	}
	return nil
}

// checkFilters checks the filters in a member of a request.
func checkFilters(member string, filters []wire.FlowFilter) error {
	if n := len(filters); n > resource.MaxFlowFilters {
		return invalid("%s", quoted(member+" limit exceeded", n, member))
	}
	_, err := resource.ParseFlowFilters(filters)
	if e, ok := errors.AsType[*resource.FilterError](err); ok {
		e.List = member
		return invalid("%s", e)
	}
	return nil
}

// notRunning returns the record of the newest operation of a firewall and
// zone, for a transaction to compare, unless that operation still runs.
func (c *Control) notRunning(ctx context.Context, firewall, zone string) (record[string], error) {
	active, found, err := read[string](ctx, c, c.scope.ActiveFlowOperation(firewall, zone))
	if err != nil || !found {
		return active, err
	}
	op, found, err := read[resource.FlowOperation](ctx, c, c.scope.FlowOperation(firewall, zone, active.value))
	if err != nil || !found {
		return active, err
	}
	state, err := c.flowState(ctx, &op.value)
	if err != nil {
		return active, err
	}
	if state.status == wire.FlowOperationStatusInProgress {
		return active, wire.ThrottlingException("A flow operation is already running for this firewall in Availability Zone %s", zone)
	}
	return active, nil
}

// nodesOf returns the nodes that serve a zone, in order.
func (c *Control) nodesOf(ctx context.Context, zone string) ([]string, error) {
	prefix := c.scope.Node(zone, "")
	p, err := c.store.Keys(ctx, prefix, "", 0)
	if err != nil {
		return nil, storeError(err)
	}
	nodes := make([]string, len(p.KVs))
	for i, kv := range p.KVs {
		nodes[i] = strings.TrimPrefix(kv.Key, prefix)
	}
	return nodes, nil
}

// flowProgress is where an operation stands.
type flowProgress struct {
	status   string
	message  string                // "" unless something failed
	pickedAt time.Time             // when the first node picked the flows, else when it was asked for
	reports  []resource.FlowReport // those that count, in order of their nodes
	rev      int64                 // store revision of all this
}

// flowState reads the reports on an operation and says where it stands.
func (c *Control) flowState(ctx context.Context, op *resource.FlowOperation) (flowProgress, error) {
	records, rev, err := list[resource.FlowReport](ctx, c, c.scope.FlowReports(op.ID))
	if err != nil {
		return flowProgress{}, err
	}
	reports := make([]resource.FlowReport, len(records))
	for i, r := range records {
		reports[i] = r.Value
	}
	p := flowState(op, reports, c.o.Clock())
	p.rev = rev
	return p, nil
}

// Status messages. AWS: these two are known.
const (
	flowFailed  = "Flow operation error"
	flowTimeout = "Flow timeout"

	flowCancelled = "Flow operation cancelled" // Sluice's own
)

// flowState judges an operation: it is IN_PROGRESS until all of its nodes have
// reported or its deadline has passed, then COMPLETED if every node did all of
// it, FAILED if none did anything, and COMPLETED_WITH_ERRORS otherwise. A
// report that was made after the deadline does not count, so that a final
// status stays final.
func flowState(op *resource.FlowOperation, reports []resource.FlowReport, now time.Time) flowProgress {
	p := flowProgress{status: wire.FlowOperationStatusInProgress, pickedAt: op.Started}
	done, partial, picked := 0, false, time.Time{}
	for _, r := range reports {
		if !slices.Contains(op.Nodes, r.Node) || r.Done.After(op.Deadline) {
			continue
		}
		p.reports = append(p.reports, r)
		if r.Error == "" {
			done++
		}
		partial = partial || r.Error != "" || r.Stored < r.Flows
		if !r.TakenUp.IsZero() && (picked.IsZero() || r.TakenUp.Before(picked)) {
			picked = r.TakenUp
		}
	}
	if !picked.IsZero() {
		p.pickedAt = picked
	}
	missing := len(op.Nodes) - len(p.reports)
	switch {
	case len(op.Nodes) == 0:
		p.status, p.message = wire.FlowOperationStatusFailed, flowFailed
	case op.Cancelled:
		p.status, p.message = wire.FlowOperationStatusFailed, flowCancelled
	case missing > 0 && now.Before(op.Deadline):
	case missing > 0:
		p.status, p.message = wire.FlowOperationStatusCompletedWithErrors, flowTimeout
	case partial:
		p.status, p.message = wire.FlowOperationStatusCompletedWithErrors, flowFailed
	default:
		p.status = wire.FlowOperationStatusCompleted
	}
	if p.status == wire.FlowOperationStatusCompletedWithErrors && done == 0 {
		p.status = wire.FlowOperationStatusFailed
	}
	return p
}

// flowScope is the part of a firewall that an operation is about, as a request
// says it: at most one member is set.
type flowScope struct{ zoneName, zoneID, endpoint, association *string }

func (s flowScope) given() (names []string) {
	for _, m := range []struct {
		name  string
		value *string
	}{{"AvailabilityZone", s.zoneName}, {"AvailabilityZoneId", s.zoneID}, {"VpcEndpointId", s.endpoint}, {"VpcEndpointAssociationArn", s.association}} {
		if m.value != nil {
			names = append(names, m.name)
		}
	}
	return names
}

func (s flowScope) check() error {
	if names := s.given(); len(names) > 1 {
		return invalid("%s cannot exist together", strings.Join(names, ", "))
	}
	return nil
}

// placeOf returns the zone of the firewall that a scope means, and the names of
// its one endpoint there unless it means the whole zone. AWS: a zone is
// given by its name or its id. Nothing given means the zone of a firewall that
// has but one. An association is still there when t is committed.
func (c *Control) placeOf(ctx context.Context, t *store.Txn, s flowScope, f *resource.Firewall) (zone string, endpoint []string, err error) {
	if err := s.check(); err != nil {
		return "", nil, err
	}
	zones := f.Zones()
	switch {
	case s.association != nil:
		a, err := c.associationOn(ctx, f, s.association)
		if err != nil {
			return "", nil, err
		}
		t.IfRev(a.key, a.rev)
		return a.value.Subnet.Zone, a.value.EndpointNames(), nil
	case s.endpoint != nil:
		endpoints := f.Endpoints()
		i := slices.IndexFunc(endpoints, func(e resource.Endpoint) bool { return e.ID == *s.endpoint })
		if i < 0 {
			return "", nil, invalid("%s", quoted("VpcEndpointId is invalid", *s.endpoint, "VpcEndpointId"))
		}
		return endpoints[i].Zone, f.EndpointNames(i), nil
	case s.zoneName != nil:
		i := slices.IndexFunc(zones, func(z string) bool { return isZone(z, *s.zoneName) })
		if i < 0 {
			return "", nil, invalid("%s", quoted("AvailabilityZone is invalid", *s.zoneName, "AvailabilityZone"))
		}
		return zones[i], nil, nil
	case s.zoneID != nil:
		i := slices.IndexFunc(zones, func(z string) bool { return isZone(z, *s.zoneID) })
		if i < 0 {
			return "", nil, invalid("%s", quoted("AvailabilityZoneId is invalid", *s.zoneID, "AvailabilityZoneId"))
		}
		return zones[i], nil, nil
	case len(zones) != 1:
		return "", nil, invalid("AvailabilityZone, VpcEndpointId, VpcEndpointAssociationArn must set exactly one of them")
	}
	return zones[0], nil, nil
}

// covers reports whether an operation has this scope; an empty one covers all.
func (s flowScope) covers(op *resource.FlowOperation) bool {
	switch {
	case s.zoneName != nil:
		return isZone(op.Zone, *s.zoneName)
	case s.zoneID != nil:
		return isZone(op.Zone, *s.zoneID)
	case s.endpoint != nil:
		return wire.Val(op.VpcEndpointID) == *s.endpoint
	case s.association != nil:
		return wire.Val(op.VpcEndpointAssociationARN) == *s.association
	}
	return true
}

// isZone reports whether text is the name of the zone or its id.
func isZone(zone, text string) bool { return text == zone || text == zoneID(zone) }

// zoneID derives a zone's id from its name in the manner of AWS: us-east-1a is
// use1-az1. (AWS maps letters to numbers for each account on its own; here
// they are in order.) It returns "" for a name of another form.
func zoneID(zone string) string {
	parts := strings.Split(zone, "-")
	last := parts[len(parts)-1]
	if len(parts) < 3 || len(last) < 2 || slices.Contains(parts, "") {
		return ""
	}
	letter := last[len(last)-1]
	if letter < 'a' || letter > 'i' {
		return ""
	}
	id := parts[0]
	for _, direction := range parts[1 : len(parts)-1] {
		switch direction {
		case "northeast", "northwest", "southeast", "southwest":
			id += direction[:1] + direction[5:6]
		default:
			id += direction[:1]
		}
	}
	return id + last[:len(last)-1] + "-az" + string('1'+letter-'a')
}

// flowOperation reads an operation of a firewall. Expired ones are gone.
func (c *Control) flowOperation(ctx context.Context, arnText, id *string, scope flowScope) (op record[resource.FlowOperation], err error) {
	f, err := c.firewall(ctx, arnText, nil)
	if err != nil {
		return op, err
	}
	if err := scope.check(); err != nil {
		return op, err
	}
	op, found, err := c.findFlowOperation(ctx, &f.value, *id)
	if err != nil {
		return op, err
	}
	if !found || !c.kept(&op.value) || !scope.covers(&op.value) {
		return op, notFound("flow operation " + *id)
	}
	return op, nil
}

// findFlowOperation looks in the zones of a firewall and then, because it may
// have left a zone since, through the keys of all its operations.
func (c *Control) findFlowOperation(ctx context.Context, f *resource.Firewall, id string) (op record[resource.FlowOperation], found bool, err error) {
	for _, zone := range f.Zones() {
		op, found, err = read[resource.FlowOperation](ctx, c, c.scope.FlowOperation(f.Name, zone, id))
		if found || err != nil {
			return op, found, err
		}
	}
	p, err := c.store.Keys(ctx, c.scope.FlowOperationsOf(f.Name), "", 0)
	if err != nil {
		return op, false, storeError(err)
	}
	for _, kv := range p.KVs {
		if path.Base(kv.Key) == id {
			return read[resource.FlowOperation](ctx, c, kv.Key)
		}
	}
	return op, false, nil
}

// kept says whether an operation is still known. Its lease ends at about the
// same time; this is exact.
func (c *Control) kept(op *resource.FlowOperation) bool {
	return op.Started.After(c.o.Clock().Add(-flowHistory))
}

// flowOperationsOf returns the operations of a firewall, the newest first.
func (c *Control) flowOperationsOf(ctx context.Context, arnText *string, scope flowScope) ([]resource.FlowOperation, error) {
	f, err := c.firewall(ctx, arnText, nil)
	if err != nil {
		return nil, err
	}
	if err := scope.check(); err != nil {
		return nil, err
	}
	records, _, err := list[resource.FlowOperation](ctx, c, c.scope.FlowOperationsOf(f.value.Name))
	if err != nil {
		return nil, err
	}
	var ops []resource.FlowOperation
	for _, r := range records {
		if c.kept(&r.Value) && scope.covers(&r.Value) {
			ops = append(ops, r.Value)
		}
	}
	slices.SortFunc(ops, func(a, b resource.FlowOperation) int { return strings.Compare(flowPlace(&a), flowPlace(&b)) })
	return ops, nil
}

// DescribeFlowOperation returns what was asked for and where it stands.
func (c *Control) DescribeFlowOperation(ctx context.Context, _ wire.Caller, in *wire.DescribeFlowOperationRequest) (*wire.DescribeFlowOperationResponse, error) {
	r, err := c.flowOperation(ctx, in.FirewallArn, in.FlowOperationId, flowScope{in.AvailabilityZone, in.AvailabilityZoneId, in.VpcEndpointId, in.VpcEndpointAssociationArn})
	if err != nil {
		return nil, err
	}
	op := &r.value
	state, err := c.flowState(ctx, op)
	if err != nil {
		return nil, err
	}
	asked := &wire.FlowOperation{FlowFilters: op.Filters}
	if op.MinimumAgeGiven {
		asked.MinimumFlowAgeInSeconds = count(op.MinimumAge)
	}
	return &wire.DescribeFlowOperationResponse{
		FirewallArn: &op.ARN, AvailabilityZone: &op.Zone, AvailabilityZoneId: orNil(zoneID(op.Zone)), VpcEndpointId: op.VpcEndpointID, VpcEndpointAssociationArn: op.VpcEndpointAssociationARN,
		FlowOperationId: &op.ID, FlowOperationType: &op.Type, FlowOperation: asked,
		FlowOperationStatus: &state.status, StatusMessage: orNil(state.message), FlowRequestTimestamp: &wire.Time{Time: state.pickedAt},
	}, nil
}

// ListFlowOperations returns the operations of the last 12 hours, the newest first.
func (c *Control) ListFlowOperations(ctx context.Context, _ wire.Caller, in *wire.ListFlowOperationsRequest) (*wire.ListFlowOperationsResponse, error) {
	p, err := newPager("ListFlowOperations", in.NextToken, in.MaxResults, wire.Val(in.FirewallArn), wire.Val(in.AvailabilityZone), wire.Val(in.AvailabilityZoneId),
		wire.Val(in.VpcEndpointId), wire.Val(in.VpcEndpointAssociationArn), wire.Val(in.FlowOperationType))
	if err != nil {
		return nil, err
	}
	ops, err := c.flowOperationsOf(ctx, in.FirewallArn, flowScope{in.AvailabilityZone, in.AvailabilityZoneId, in.VpcEndpointId, in.VpcEndpointAssociationArn})
	if err != nil {
		return nil, err
	}
	ops = slices.DeleteFunc(ops, func(op resource.FlowOperation) bool {
		return in.FlowOperationType != nil && op.Type != *in.FlowOperationType
	})
	page, next := pageOf(p, ops, flowPlace)
	out := &wire.ListFlowOperationsResponse{FlowOperations: []wire.FlowOperationMetadata{}, NextToken: next}
	for i := range page {
		op := &page[i]
		state, err := c.flowState(ctx, op)
		if err != nil {
			return nil, err
		}
		out.FlowOperations = append(out.FlowOperations, wire.FlowOperationMetadata{
			FlowOperationId: &op.ID, FlowOperationType: &op.Type, FlowOperationStatus: wire.Ptr(state.status),
			FlowRequestTimestamp: &wire.Time{Time: state.pickedAt},
		})
	}
	return out, nil
}
