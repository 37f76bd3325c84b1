package inmemory_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/test/rig"
)

// TestFlushAtEndpoint: the same two connections run through the primary endpoint
// and through that of an association. A flush of one endpoint ends that
// endpoint's and leaves the other's alone; one of the zone ends both.
func TestFlushAtEndpoint(t *testing.T) {
	const subnet = "subnet-0d4e5f6a"
	for _, scope := range []string{"primary", "association", "zone"} {
		t.Run(scope, func(t *testing.T) {
			r := rig.Start(t, rig.Setup{Exception: types.StreamExceptionPolicyReject, Endpoint: subnet})
			made, err := r.API.CreateVpcEndpointAssociation(r.Ctx, &nfw.CreateVpcEndpointAssociationInput{
				FirewallArn: &r.Firewall, VpcId: aws.String("vpc-0d4e5f6a"), SubnetMapping: &types.SubnetMapping{SubnetId: aws.String(subnet)},
			})
			if err != nil {
				t.Fatal(err)
			}
			association := made.VpcEndpointAssociation.VpcEndpointAssociationArn
			firewall, err := r.API.DescribeFirewall(r.Ctx, &nfw.DescribeFirewallInput{FirewallArn: &r.Firewall})
			if err != nil {
				t.Fatal(err)
			}
			primary := firewall.FirewallStatus.SyncStates[rig.Zone].Attachment
			described, err := r.API.DescribeVpcEndpointAssociation(r.Ctx, &nfw.DescribeVpcEndpointAssociationInput{VpcEndpointAssociationArn: association})
			if err != nil {
				t.Fatal(err)
			}
			second := described.VpcEndpointAssociationStatus.AssociationSyncState[rig.Zone].Attachment
			if second.Status != types.AttachmentStatusReady || second.StatusMessage != nil || primary.StatusMessage != nil || *second.EndpointId == *primary.EndpointId {
				t.Errorf("the endpoints are %+v and %+v", primary, second)
			}

			f := families[0]
			atPrimary, atAssociation := r.Download(f.client, f.server), r.At().Download(f.client, f.server)
			in := nfw.StartFlowFlushInput{FirewallArn: &r.Firewall, FlowFilters: []types.FlowFilter{to(f.server)}}
			want := 1
			switch scope {
			case "primary":
				in.VpcEndpointId = primary.EndpointId
			case "association":
				in.VpcEndpointAssociationArn = association
			default:
				in.AvailabilityZone, want = aws.String(rig.Zone), 2
			}
			started, err := r.API.StartFlowFlush(r.Ctx, &in)
			if err != nil {
				t.Fatal(err)
			}
			if flows := r.Completed(*started.FlowOperationId); len(flows) != want {
				t.Errorf("flushed %v, want %d flows", show(flows), want)
			}
			for name, d := range map[string]*rig.Download{"primary": atPrimary, "association": atAssociation} {
				d.Send()
				switch err := d.Receive(); {
				case scope != name && scope != "zone" && err != nil:
					t.Errorf("the download at the other endpoint, %s, ended: %v", name, err)
				case (scope == name || scope == "zone") && !errors.Is(err, syscall.ECONNRESET):
					t.Errorf("the download at %s ended by %v, want ECONNRESET", name, err)
				}
			}

			// The list of operations knows the scope, too.
			for _, tc := range []struct {
				in   nfw.ListFlowOperationsInput
				want bool
			}{
				{nfw.ListFlowOperationsInput{}, true}, {nfw.ListFlowOperationsInput{AvailabilityZone: aws.String(rig.Zone)}, true},
				{nfw.ListFlowOperationsInput{VpcEndpointId: primary.EndpointId}, scope == "primary"},
				{nfw.ListFlowOperationsInput{VpcEndpointAssociationArn: association}, scope == "association"},
			} {
				tc.in.FirewallArn = &r.Firewall
				list, err := r.API.ListFlowOperations(r.Ctx, &tc.in)
				if err != nil {
					t.Fatal(err)
				}
				if has := slices.ContainsFunc(list.FlowOperations, func(o types.FlowOperationMetadata) bool { return *o.FlowOperationId == *started.FlowOperationId }); has != tc.want {
					t.Errorf("listed with scope %v %v %v: %v", tc.in.AvailabilityZone, tc.in.VpcEndpointId, tc.in.VpcEndpointAssociationArn, has)
				}
			}
		})
	}
}
