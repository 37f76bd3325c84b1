package control

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

func TestEndpointAssociationLife(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.EndpointAssociations = 2 })
	f := w.newFirewall("f", w.strictPolicy("p"), "subnet-a", "subnet-b")
	const create = `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":%q}}`
	fail(w, w.CreateVpcEndpointAssociation, errMissing, "", create, f+"x", "subnet-b")
	fail(w, w.CreateVpcEndpointAssociation, errInvalid, "SubnetId cannot be null or empty", create, f, "")

	created := do(w, w.CreateVpcEndpointAssociation, `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-b","IPAddressType":"IPV6"},"Description":"d","Tags":[{"Key":"a","Value":"1"}]}`, f)
	a := created.VpcEndpointAssociation
	if want := "arn:aws:network-firewall:us-east-1:" + w.scope.Account + ":vpc-endpoint-association/" + *a.VpcEndpointAssociationId; *a.VpcEndpointAssociationArn != want {
		t.Errorf("ARN %s, want %s", *a.VpcEndpointAssociationArn, want)
	}
	if s := created.VpcEndpointAssociationStatus; *s.Status != "PROVISIONING" || s.AssociationSyncState != nil || *a.VpcId != "vpc-0b" || *a.FirewallArn != f {
		t.Errorf("created %+v %+v", a, s)
	}
	arn := *a.VpcEndpointAssociationArn
	if n := *do(w, w.DescribeFirewall, `{"FirewallArn":%q}`, f).Firewall.NumberOfAssociations; n != 1 {
		t.Errorf("%d associations", n)
	}
	describe := func(status, attachment string) {
		t.Helper()
		d := do(w, w.DescribeVpcEndpointAssociation, `{"VpcEndpointAssociationArn":%q}`, arn)
		s := d.VpcEndpointAssociationStatus
		at := s.AssociationSyncState["us-east-1b"].Attachment
		if *s.Status != status || len(s.AssociationSyncState) != 1 || *at.Status != attachment || *at.SubnetId != "subnet-b" || !strings.HasPrefix(*at.EndpointId, "vpce-") {
			t.Errorf("%+v %+v", s, at)
		}
		if d := d.VpcEndpointAssociation; *d.Description != "d" || len(d.Tags) != 1 || *d.SubnetMapping.IPAddressType != "IPV6" {
			t.Errorf("%+v", d)
		}
	}
	describe("PROVISIONING", "CREATING")
	w.node("us-east-1b", "n")
	w.put(w.scope.Sync("f", "us-east-1b", "n"), resource.Sync{Node: "n", Zone: "us-east-1b"})
	describe("READY", "READY")

	// Where the nodes' packets go shows in the messages.
	message := func(association, firewall string) {
		t.Helper()
		a := do(w, w.DescribeVpcEndpointAssociation, `{"VpcEndpointAssociationArn":%q}`, arn).VpcEndpointAssociationStatus.AssociationSyncState["us-east-1b"].Attachment
		if got := wire.Val(a.StatusMessage); *a.Status != "READY" || got != association {
			t.Errorf("the association is %s: %q, want %q", *a.Status, got, association)
		}
		f := do(w, w.DescribeFirewall, `{"FirewallArn":%q}`, f).FirewallStatus.SyncStates["us-east-1b"].Attachment
		if got := wire.Val(f.StatusMessage); *f.Status != "READY" || got != firewall {
			t.Errorf("the firewall is %s: %q, want %q", *f.Status, got, firewall)
		}
	}
	unattached := "No engine node of Availability Zone us-east-1b attaches packets to this endpoint: name " + *a.VpcEndpointAssociationId + " in attach of a node's configuration"
	message(unattached, "")
	for _, tc := range []struct{ attached, association, firewall string }{
		{"", unattached, ""},
		{arn, "", ""},
		{*a.VpcEndpointAssociationId, "", ""},
		{"subnet-b", "", ""},
		{"subnet-a", unattached, "Engine node n attaches packets to endpoint subnet-a, which the firewall does not have in Availability Zone us-east-1b: correct attach in the node's configuration"},
	} {
		w.put(w.scope.Sync("f", "us-east-1b", "n"), resource.Sync{Node: "n", Zone: "us-east-1b", Attached: []string{tc.attached}})
		message(tc.association, tc.firewall)
	}

	do(w, w.TagResource, `{"ResourceArn":%q,"Tags":[{"Key":"b","Value":"2"}]}`, arn)
	if n := len(do(w, w.ListTagsForResource, `{"ResourceArn":%q}`, arn).Tags); n != 2 {
		t.Errorf("%d tags", n)
	}
	fail(w, w.DescribeVpcEndpointAssociation, errMissing, "", `{"VpcEndpointAssociationArn":"%s0"}`, arn)
	fail(w, w.DescribeVpcEndpointAssociation, errInvalid, "Resource ARN is of incorrect entity type", `{"VpcEndpointAssociationArn":%q}`, f)
	fail(w, w.DeleteFirewall, errOperation, "Unable to delete the firewall because "+arn+" is associated with it", `{"FirewallArn":%q}`, f)
	fail(w, w.DisassociateSubnets, errOperation, "Unable to take Availability Zone us-east-1b from the firewall because "+arn, `{"FirewallArn":%q,"SubnetIds":["subnet-b"]}`, f)

	do(w, w.CreateVpcEndpointAssociation, create, f, "subnet-a")
	fail(w, w.CreateVpcEndpointAssociation, "LimitExceededException", "VpcEndpointAssociations limit exceeded, parameter: [2]", create, f, "subnet-a")
	others := w.newFirewall("others", w.strictPolicy("q"), "subnet-a")
	for filter, want := range map[string]int{"": 2, fmt.Sprintf(`"FirewallArn":%q,`, f): 2, fmt.Sprintf(`"FirewallArn":%q,`, others): 0} {
		first := do(w, w.ListVpcEndpointAssociations, `{%s"MaxResults":1}`, filter)
		if want == 0 {
			if len(first.VpcEndpointAssociations) != 0 || first.NextToken != nil {
				t.Errorf("%s: %+v", filter, first)
			}
			continue
		}
		second := do(w, w.ListVpcEndpointAssociations, `{%s"MaxResults":1,"NextToken":%q}`, filter, *first.NextToken)
		if len(first.VpcEndpointAssociations) != 1 || len(second.VpcEndpointAssociations) != 1 || second.NextToken != nil ||
			*first.VpcEndpointAssociations[0].VpcEndpointAssociationArn == *second.VpcEndpointAssociations[0].VpcEndpointAssociationArn {
			t.Errorf("%s: %+v %+v", filter, first, second)
		}
	}
	for _, l := range do(w, w.ListVpcEndpointAssociations, `{}`).VpcEndpointAssociations {
		deleted := do(w, w.DeleteVpcEndpointAssociation, `{"VpcEndpointAssociationArn":%q}`, *l.VpcEndpointAssociationArn)
		if *deleted.VpcEndpointAssociationStatus.Status != "DELETING" {
			t.Errorf("%+v", deleted.VpcEndpointAssociationStatus)
		}
		fail(w, w.DeleteVpcEndpointAssociation, errMissing, "", `{"VpcEndpointAssociationArn":%q}`, *l.VpcEndpointAssociationArn)
	}
	do(w, w.DisassociateSubnets, `{"FirewallArn":%q,"SubnetIds":["subnet-b"]}`, f)
	fail(w, w.CreateVpcEndpointAssociation, errInvalid, "SubnetMapping is invalid: the firewall has no endpoint in Availability Zone us-east-1b, parameter: [subnet-b], context: SubnetMapping.SubnetId", create, f, "subnet-b")
	do(w, w.DeleteFirewall, `{"FirewallArn":%q}`, f)
}

// TestAssociationAgainstDelete: a firewall is deleted while it gets an
// association. One of them is refused.
func TestAssociationAgainstDelete(t *testing.T) {
	w := newWorld(t, nil)
	p := w.strictPolicy("p")
	deleted := 0
	for round := range 10 {
		f := w.newFirewall(fmt.Sprintf("f%d", round), p, "subnet-a")
		race(2, func(i int) error {
			if i == 0 {
				_, err := w.DeleteFirewall(t.Context(), wire.Caller{}, request[wire.DeleteFirewallRequest](t, `{"FirewallArn":%q}`, f))
				return err
			}
			_, err := w.CreateVpcEndpointAssociation(t.Context(), wire.Caller{}, request[wire.CreateVpcEndpointAssociationRequest](t, `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-x"}}`, f))
			return err
		})
		_, found, err := read[resource.Firewall](t.Context(), w.Control, w.scope.Firewall(fmt.Sprintf("f%d", round)))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(do(w, w.ListVpcEndpointAssociations, `{"FirewallArn":%q}`, f).VpcEndpointAssociations); found != (n == 1) {
			t.Errorf("round %d: the firewall is there: %v, with %d associations", round, found, n)
		}
		if !found {
			deleted++
		}
	}
	t.Logf("the deletion won %d of 10 rounds", deleted)
}

func TestFlowScopeOfAssociation(t *testing.T) {
	w, firewall := flowWorld(t)
	other := w.newFirewall("other", w.strictPolicy("q"), "subnet-a")
	arn := *do(w, w.CreateVpcEndpointAssociation, `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-b"}}`, firewall).VpcEndpointAssociation.VpcEndpointAssociationArn
	const start = `{"FirewallArn":%q,"VpcEndpointAssociationArn":%q,` + anyFlow + `}`
	fail(w, w.StartFlowFlush, errInvalid, "VpcEndpointAssociationArn is invalid, parameter: ["+arn+"]", start, other, arn)
	fail(w, w.StartFlowFlush, errMissing, "", start, firewall, arn+"0")
	id := *do(w, w.StartFlowFlush, start, firewall, arn).FlowOperationId
	d := do(w, w.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q,"VpcEndpointAssociationArn":%q}`, firewall, id, arn)
	if *d.AvailabilityZone != "us-east-1b" || wire.Val(d.VpcEndpointAssociationArn) != arn {
		t.Errorf("%+v", d)
	}
	if n := len(do(w, w.ListFlowOperations, `{"FirewallArn":%q,"VpcEndpointAssociationArn":"%s0"}`, firewall, arn).FlowOperations); n != 0 {
		t.Errorf("%d operations of another association", n)
	}
}
