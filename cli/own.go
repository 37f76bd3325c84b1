package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// ownFlags are the flags of flush that AWS has nothing for.
type ownFlags struct {
	protect   filterFlags
	either    bool
	exception string
}

func (o *ownFlags) flags(c *cobra.Command) {
	o.protect.prefix = "protect-"
	o.protect.flags(c, "never flush: ")
	c.Flags().BoolVar(&o.either, "both-directions", false, "filters match in either direction of a flow")
	exceptionFlag(c, &o.exception)
}

func exceptionFlag(c *cobra.Command, exception *string) {
	c.Flags().StringVar(exception, "exception", "", "drop, reject or continue: what packets of the flushed flows meet (default: the policy's)")
}

// parse returns nil when no flag is given.
func (o *ownFlags) parse() (*ownFlush, error) {
	exception, err := parseException(o.exception)
	if err != nil {
		return nil, err
	}
	own := &ownFlush{either: o.either, exception: exception}
	if !o.protect.empty() {
		s, err := o.protect.parse()
		if err != nil {
			return nil, err
		}
		own.protect, own.spared = s.filters, s.words
	}
	if own.protect == nil && !own.either && own.exception == nil {
		return nil, nil
	}
	return own, nil
}

func parseException(s string) (*string, error) {
	switch s {
	case "":
		return nil, nil
	case "drop", "reject", "continue":
		return wire.Ptr(strings.ToUpper(s)), nil
	}
	return nil, usagef("--exception %s: choose one of drop, reject, continue", s)
}

// preview counts the flows that Sluice's own flush would take now.
func (r *runner) preview(ctx context.Context, t *target, s *selection) (total int, err error) {
	for _, zone := range t.zones {
		inZone, endpoint, association := scope(zone)
		err := r.retry(ctx, where(zone), func() error {
			if s.own.stale {
				out, err := r.api.GetStaleFlows(ctx, &wire.GetStaleFlowsRequest{FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, MaxResults: wire.Ptr[int32](1)})
				if err == nil {
					total += int(wire.Val(out.FlowCount))
				}
				return onlySluice(err)
			}
			out, err := r.api.PreviewFlowFlush(ctx, &wire.PreviewFlowFlushRequest{
				FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowFilters: s.filters, MinimumFlowAgeInSeconds: s.minAge,
				ProtectedFlowFilters: s.own.protect, MatchEitherDirection: &s.own.either,
			})
			if err == nil {
				total += int(wire.Val(out.FlowCount))
			}
			return onlySluice(err)
		})
		if err != nil {
			return 0, err
		}
	}
	return total, nil
}

// liveOperations reads the live flows that Sluice's own flush would take, in the
// form of operations that are complete.
func (r *runner) liveOperations(ctx context.Context, t *target, s *selection) []*operation {
	ops := make([]*operation, len(t.zones))
	for i, zone := range t.zones {
		op := &operation{zone: zone, kind: wire.FlowOperationTypeFlowCapture, status: wire.FlowOperationStatusCompleted}
		ops[i] = op
		inZone, endpoint, association := scope(zone)
		in := &wire.ListFlowsRequest{
			FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowFilters: s.filters, MinimumFlowAgeInSeconds: s.minAge,
			ProtectedFlowFilters: s.own.protect, MatchEitherDirection: &s.own.either, MaxResults: wire.Ptr[int32](pageSize),
		}
		for more := true; more && op.err == nil; more = in.NextToken != nil {
			var out *wire.ListFlowsResponse
			op.err = r.retry(ctx, where(zone), func() (err error) {
				out, err = r.api.ListFlows(ctx, in)
				return onlySluice(err)
			})
			if op.err != nil {
				op.status = ""
				break
			}
			for j := range out.Flows {
				op.flows = append(op.flows, plainFlow(&out.Flows[j]))
			}
			in.NextToken = out.NextToken
			r.progress.show("%d flows of %s read", len(op.flows), where(zone))
		}
	}
	r.progress.clear()
	return ops
}

// plainFlow is what AWS's API says of a flow.
func plainFlow(f *wire.LiveFlow) wire.Flow {
	return wire.Flow{
		SourceAddress: f.SourceAddress, SourcePort: f.SourcePort, DestinationAddress: f.DestinationAddress, DestinationPort: f.DestinationPort,
		Protocol: f.Protocol, Age: f.Age, PacketCount: f.PacketCount, ByteCount: f.ByteCount,
	}
}
