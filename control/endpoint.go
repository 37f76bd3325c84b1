package control

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// CreateVpcEndpointAssociation gives a firewall a further endpoint, in a zone
// that it serves. AWS: the answer has no sync states.
func (c *Control) CreateVpcEndpointAssociation(ctx context.Context, caller wire.Caller, in *wire.CreateVpcEndpointAssociationRequest) (*wire.CreateVpcEndpointAssociationResponse, error) {
	id := c.o.NewID()
	meta, err := c.newMeta(typeEndpoint, id, in.Description, in.Tags, nil)
	if err != nil {
		return nil, err
	}
	meta.ID = id
	subnets, err := c.addSubnets(nil, []wire.SubnetMapping{wire.Val(in.SubnetMapping)})
	if err != nil {
		return nil, err
	}
	a := resource.EndpointAssociation{Meta: meta, VpcID: wire.Val(in.VpcId), Subnet: subnets[0]}
	err = c.change(ctx, func(t *store.Txn) error {
		_, f, err := c.firewallFor(ctx, t, caller, "CreateVpcEndpointAssociation", in.FirewallArn)
		if err != nil {
			return err
		}
		if !slices.Contains(f.value.Zones(), a.Subnet.Zone) {
			return invalid("SubnetMapping is invalid: the firewall has no endpoint in Availability Zone %s, parameter: [%s], context: SubnetMapping.SubnetId", a.Subnet.Zone, a.Subnet.ID)
		}
		if err := c.withinLimit(ctx, t, c.scope.EndpointAssociations(), "VpcEndpointAssociations", c.o.Limits.EndpointAssociations); err != nil {
			return err
		}
		a.Firewall, a.FirewallARN = f.value.Name, f.value.ARN
		t.IfRev(f.key, f.rev)
		replace(t, &record[resource.EndpointAssociation]{key: c.scope.EndpointAssociation(id), value: a})
		c.noteUses(t, a.ARN, nil, []string{a.FirewallARN})
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "CreateVpcEndpointAssociation", a.ARN)
	out := associationResponse(&a)
	out.Tags = a.Tags // AWS: left out on create when there are none
	return &wire.CreateVpcEndpointAssociationResponse{
		VpcEndpointAssociation:       out,
		VpcEndpointAssociationStatus: &wire.VpcEndpointAssociationStatus{Status: wire.Ptr(wire.FirewallStatusValueProvisioning)},
	}, nil
}

func associationResponse(a *resource.EndpointAssociation) *wire.VpcEndpointAssociation {
	return &wire.VpcEndpointAssociation{
		VpcEndpointAssociationArn: &a.ARN, VpcEndpointAssociationId: &a.ID, FirewallArn: &a.FirewallARN, VpcId: &a.VpcID,
		SubnetMapping: &wire.SubnetMapping{SubnetId: &a.Subnet.ID, IPAddressType: &a.Subnet.IPAddressType},
		Description:   a.Description, Tags: tagsOf(&a.Meta),
	}
}

// association reads the endpoint association with the ARN.
func (c *Control) association(ctx context.Context, arnText *string) (record[resource.EndpointAssociation], error) {
	_, id, err := c.nameOf("VpcEndpointAssociation", arnText, nil, typeEndpoint, typeEndpoint)
	if err != nil {
		return record[resource.EndpointAssociation]{}, err
	}
	r, found, err := read[resource.EndpointAssociation](ctx, c, c.scope.EndpointAssociation(id))
	if err == nil && !found {
		err = notFound(*arnText)
	}
	return r, err
}

// associationsOf returns the endpoint associations of a firewall of the account: its
// own, then those of other accounts.
func (c *Control) associationsOf(ctx context.Context, f *resource.Firewall) ([]resource.EndpointAssociation, usage, error) {
	records, rev, err := list[resource.EndpointAssociation](ctx, c, c.scope.EndpointAssociations())
	if err != nil {
		return nil, usage{}, err
	}
	u := usage{seen: []seen{{c.scope.EndpointAssociations(), rev}}}
	var of []resource.EndpointAssociation
	for _, r := range records {
		if r.Value.FirewallARN == f.ARN {
			of = append(of, r.Value)
		}
	}
	notes, rev, err := list[resource.Use](ctx, c, c.scope.Uses(typeFirewall, f.Name))
	if err != nil {
		return nil, usage{}, err
	}
	u.seen = append(u.seen, seen{c.scope.Uses(typeFirewall, f.Name), rev})
	for _, note := range notes {
		a, _ := parseARN(note.Value.ARN)
		r, found, err := read[resource.EndpointAssociation](ctx, c, c.keyOfARN(a))
		if err != nil {
			return nil, usage{}, err
		}
		if found { // else it was deleted since
			of = append(of, r.value)
		}
	}
	u.n = len(of)
	return of, u, nil
}

// associationOn reads an endpoint association of a firewall of the account, which
// may be another account's.
func (c *Control) associationOn(ctx context.Context, f *resource.Firewall, text *string) (record[resource.EndpointAssociation], error) {
	owner := c
	a, ok := parseARN(*text)
	if ok && c.reachableARN(a) {
		owner = c.of(a.account)
	}
	r, err := owner.association(ctx, text)
	switch {
	case err != nil || r.value.FirewallARN == f.ARN:
		return r, err
	case owner.scope != c.scope:
		return r, notFound(*text) // whatever else that account has
	}
	return r, invalid("%s", quoted("VpcEndpointAssociationArn is invalid", *text, "VpcEndpointAssociationArn"))
}

// associationStatus follows from what the nodes of the zone report on the firewall.
func (c *Control) associationStatus(ctx context.Context, a *resource.EndpointAssociation) (*wire.VpcEndpointAssociationStatus, error) {
	owner, err := c.ofFirewall(a.FirewallARN)
	if err != nil {
		return nil, err
	}
	zones, err := owner.zoneStates(ctx, a.Firewall)
	if err != nil {
		return nil, err
	}
	zone := zones[a.Subnet.Zone]
	attachment := zone.attachment(resource.Endpoint{Zone: a.Subnet.Zone, ID: a.Subnet.EndpointID, SubnetID: a.Subnet.ID})
	if attachment.StatusMessage == nil && !zone.attached(a.EndpointNames()) {
		attachment.StatusMessage = wire.Ptr(fmt.Sprintf("No engine node of Availability Zone %s attaches packets to this endpoint: name %s in attach of a node's configuration", a.Subnet.Zone, a.ID))
	}
	status := wire.FirewallStatusValueProvisioning
	if *attachment.Status == wire.AttachmentStatusReady {
		status = wire.FirewallStatusValueReady
	}
	return &wire.VpcEndpointAssociationStatus{Status: &status, AssociationSyncState: map[string]wire.AZSyncState{a.Subnet.Zone: {Attachment: attachment}}}, nil
}

// DescribeVpcEndpointAssociation returns an endpoint association and whether
// nodes serve it.
func (c *Control) DescribeVpcEndpointAssociation(ctx context.Context, _ wire.Caller, in *wire.DescribeVpcEndpointAssociationRequest) (*wire.DescribeVpcEndpointAssociationResponse, error) {
	r, err := c.association(ctx, in.VpcEndpointAssociationArn)
	if err != nil {
		return nil, err
	}
	status, err := c.associationStatus(ctx, &r.value)
	if err != nil {
		return nil, err
	}
	return &wire.DescribeVpcEndpointAssociationResponse{VpcEndpointAssociation: associationResponse(&r.value), VpcEndpointAssociationStatus: status}, nil
}

// DeleteVpcEndpointAssociation takes an endpoint from a firewall.
func (c *Control) DeleteVpcEndpointAssociation(ctx context.Context, caller wire.Caller, in *wire.DeleteVpcEndpointAssociationRequest) (*wire.DeleteVpcEndpointAssociationResponse, error) {
	var a *resource.EndpointAssociation
	var status *wire.VpcEndpointAssociationStatus
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.association(ctx, in.VpcEndpointAssociationArn)
		if err != nil {
			return err
		}
		a = &r.value
		if status, err = c.associationStatus(ctx, a); err != nil {
			return err
		}
		t.IfRev(r.key, r.rev)
		t.Delete(r.key)
		c.noteUses(t, a.ARN, []string{a.FirewallARN}, nil)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "DeleteVpcEndpointAssociation", a.ARN)
	status.Status = wire.Ptr(wire.FirewallStatusValueDeleting)
	return &wire.DeleteVpcEndpointAssociationResponse{VpcEndpointAssociation: associationResponse(a), VpcEndpointAssociationStatus: status}, nil
}

// ListVpcEndpointAssociations returns the endpoint associations of a firewall,
// or all, in order of their ids. AWS: a firewall that is not there has none.
func (c *Control) ListVpcEndpointAssociations(ctx context.Context, _ wire.Caller, in *wire.ListVpcEndpointAssociationsRequest) (*wire.ListVpcEndpointAssociationsResponse, error) {
	p, err := newPager("ListVpcEndpointAssociations", in.NextToken, in.MaxResults, wire.Val(in.FirewallArn))
	if err != nil {
		return nil, err
	}
	records, _, err := list[resource.EndpointAssociation](ctx, c, c.scope.EndpointAssociations())
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(records, func(r store.Record[resource.EndpointAssociation]) bool {
		return in.FirewallArn != nil && r.Value.FirewallARN != *in.FirewallArn
	})
	page, next := pageOf(p, all, func(r *store.Record[resource.EndpointAssociation]) string { return r.Value.ID })
	out := &wire.ListVpcEndpointAssociationsResponse{VpcEndpointAssociations: []wire.VpcEndpointAssociationMetadata{}, NextToken: next}
	for _, r := range page {
		out.VpcEndpointAssociations = append(out.VpcEndpointAssociations, wire.VpcEndpointAssociationMetadata{VpcEndpointAssociationArn: wire.Ptr(r.Value.ARN)})
	}
	return out, nil
}
