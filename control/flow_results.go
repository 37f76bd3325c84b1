package control

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

func flowPlace(op *resource.FlowOperation) string { return newestFirst(op.Started, op.ID) }

// flowCursor is a place in the results of an operation: the flow with this
// index in a chunk of a report's node. It stands in page tokens as "1.0.100".
type flowCursor struct{ report, chunk, index int }

func (c flowCursor) String() string { return fmt.Sprintf("%d.%d.%d", c.report, c.chunk, c.index) }

func parseFlowCursor(text string) (c flowCursor, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return c, errors.New("not three numbers")
	}
	for i, p := range []*int{&c.report, &c.chunk, &c.index} {
		n, err := strconv.ParseUint(parts[i], 10, 31)
		if err != nil {
			return c, err
		}
		*p = int(n)
	}
	return c, nil
}

// ListFlowOperationResults returns the flows that were captured or flushed,
// none while the operation runs.
func (c *Control) ListFlowOperationResults(ctx context.Context, _ wire.Caller, in *wire.ListFlowOperationResultsRequest) (*wire.ListFlowOperationResultsResponse, error) {
	p, err := newPager("ListFlowOperationResults", in.NextToken, in.MaxResults, wire.Val(in.FirewallArn), wire.Val(in.FlowOperationId),
		wire.Val(in.AvailabilityZone), wire.Val(in.AvailabilityZoneId), wire.Val(in.VpcEndpointId), wire.Val(in.VpcEndpointAssociationArn))
	if err != nil {
		return nil, err
	}
	var from flowCursor
	if p.after != "" {
		if from, err = parseFlowCursor(p.after); err != nil {
			return nil, invalid("NextToken is invalid, parameter: [%s], context: NextToken", *in.NextToken)
		}
	}
	r, err := c.flowOperation(ctx, in.FirewallArn, in.FlowOperationId, flowScope{in.AvailabilityZone, in.AvailabilityZoneId, in.VpcEndpointId, in.VpcEndpointAssociationArn})
	if err != nil {
		return nil, err
	}
	op := &r.value
	state, err := c.flowState(ctx, op)
	if err != nil {
		return nil, err
	}
	out := &wire.ListFlowOperationResultsResponse{
		FirewallArn: &op.ARN, AvailabilityZone: &op.Zone, AvailabilityZoneId: orNil(zoneID(op.Zone)), VpcEndpointId: op.VpcEndpointID, VpcEndpointAssociationArn: op.VpcEndpointAssociationARN,
		FlowOperationId: &op.ID, FlowOperationStatus: &state.status, StatusMessage: orNil(state.message),
		FlowRequestTimestamp: &wire.Time{Time: state.pickedAt}, Flows: []wire.Flow{},
	}
	if state.status == wire.FlowOperationStatusInProgress || state.status == wire.FlowOperationStatusFailed {
		return out, nil
	}
	next, err := c.flowsFrom(ctx, op, state.reports, from, p.size, func(f *resource.FlowRecord) {
		out.Flows = append(out.Flows, wireFlow(f))
	})
	if err != nil {
		return nil, err
	}
	if next != nil {
		out.NextToken = p.next(next.String())
	}
	return out, nil
}

// flowsFrom calls add for up to n flows from a place on, and returns the place
// of the next flow, or nil after the last one.
func (c *Control) flowsFrom(ctx context.Context, op *resource.FlowOperation, reports []resource.FlowReport, at flowCursor, n int, add func(*resource.FlowRecord)) (*flowCursor, error) {
	for ; at.report < len(reports); at = (flowCursor{report: at.report + 1}) {
		r := &reports[at.report]
		for ; at.chunk < r.Chunks; at.chunk, at.index = at.chunk+1, 0 {
			flows, err := c.flowChunk(ctx, op.ID, r.Node, at.chunk)
			if err != nil {
				return nil, err
			}
			for ; at.index < len(flows); at.index++ {
				if n == 0 {
					return &at, nil
				}
				add(&flows[at.index])
				n--
			}
		}
	}
	return nil, nil
}

// flowChunk reads one result chunk. One that is missing has no flows: its
// operation is about to expire.
func (c *Control) flowChunk(ctx context.Context, id, node string, chunk int) ([]resource.FlowRecord, error) {
	kv, err := c.store.Get(ctx, c.scope.FlowResult(id, node, chunk))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, storeError(err)
	}
	flows, err := resource.DecodeFlows(kv.Value)
	if err != nil {
		return nil, wire.InternalServerError("chunk %d of node %s cannot be read: %s", chunk, node, err)
	}
	return flows, nil
}

// Protocols whose flows have ports (IANA numbers).
const (
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
)

// wireFlow writes a flow as the API does: bare addresses, numbers as strings.
// Ports of a protocol that has none are "0". Counters that do not fit are cut.
func wireFlow(f *resource.FlowRecord) wire.Flow {
	src, dst := f.Addrs()
	sport, dport := f.SrcPort, f.DstPort
	if f.Proto != protoTCP && f.Proto != protoUDP && f.Proto != protoSCTP {
		sport, dport = 0, 0
	}
	return wire.Flow{
		SourceAddress:      &wire.Address{AddressDefinition: wire.Ptr(src.String())},
		DestinationAddress: &wire.Address{AddressDefinition: wire.Ptr(dst.String())},
		SourcePort:         wire.Ptr(strconv.Itoa(int(sport))),
		DestinationPort:    wire.Ptr(strconv.Itoa(int(dport))),
		Protocol:           wire.Ptr(strconv.Itoa(int(f.Proto))),
		Age:                wire.Ptr(int32(min(f.Age, math.MaxInt32))),
		PacketCount:        wire.Ptr(int32(min(f.Packets, math.MaxInt32))),
		ByteCount:          wire.Ptr(int64(min(f.Bytes, math.MaxInt64))),
	}
}
