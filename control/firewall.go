package control

import (
	"context"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// CreateFirewall creates a firewall. Whether nodes serve it shows in
// DescribeFirewall. AWS: the answer has no sync states, and protections that
// are not given are off.
func (c *Control) CreateFirewall(ctx context.Context, caller wire.Caller, in *wire.CreateFirewallRequest) (*wire.CreateFirewallResponse, error) {
	if err := checkNewFirewall(in); err != nil {
		return nil, err
	}
	meta, err := c.newMeta(typeFirewall, wire.Val(in.FirewallName), in.Description, in.Tags, in.EncryptionConfiguration)
	if err != nil {
		return nil, err
	}
	f := resource.Firewall{
		Meta: meta, PolicyARN: wire.Val(in.FirewallPolicyArn), VpcID: wire.Val(in.VpcId),
		DeleteProtection:       wire.Val(in.DeleteProtection),
		SubnetChangeProtection: wire.Val(in.SubnetChangeProtection),
		PolicyChangeProtection: wire.Val(in.FirewallPolicyChangeProtection),
		ZoneChangeProtection:   wire.Val(in.AvailabilityZoneChangeProtection),
		Analysis:               c.analysisSettings(nil, in.EnabledAnalysisTypes),
	}
	if f.Subnets, err = c.addSubnets(nil, in.SubnetMappings); err != nil {
		return nil, err
	}
	if err = c.addZones(&f, in.AvailabilityZoneMappings); err != nil {
		return nil, err
	}
	err = c.change(ctx, func(t *store.Txn) error {
		r, found, err := read[resource.Firewall](ctx, c, c.scope.Firewall(f.Name))
		if err != nil {
			return err
		}
		if found {
			return errExists()
		}
		if err := c.usePolicy(ctx, t, caller, "CreateFirewall", f.PolicyARN); err != nil {
			return err
		}
		if err := c.withinLimit(ctx, t, c.scope.Firewalls(), "Firewalls", c.o.Limits.Firewalls); err != nil {
			return err
		}
		r.value = f
		replace(t, &r)
		c.noteUses(t, f.ARN, nil, []string{f.PolicyARN})
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "CreateFirewall", f.ARN)
	out := firewallResponse(&f)
	out.Tags = f.Tags // AWS: left out on create when there are none
	return &wire.CreateFirewallResponse{Firewall: out, FirewallStatus: &wire.FirewallStatus{
		Status: wire.Ptr(wire.FirewallStatusValueProvisioning), ConfigurationSyncStateSummary: wire.Ptr(wire.ConfigurationSyncStatePending),
	}}, nil
}

// checkNewFirewall refuses what this product has not got, rather than to
// create something else. A firewall needs subnets of a VPC or, unlike on AWS
// without a transit gateway, just zones.
func checkNewFirewall(in *wire.CreateFirewallRequest) error {
	for _, m := range []struct {
		name  string
		given bool
	}{
		{"TransitGatewayId", in.TransitGatewayId != nil},
		{"NatGatewayMappings", len(in.NatGatewayMappings) > 0},
		{"ProxySettings", in.ProxySettings != nil},
		{"NoSourcePreservation", wire.Val(in.NoSourcePreservation)},
		{"VpcEndpoint", in.VpcEndpoint != nil},
	} {
		if m.given {
			return invalid("%s is unsupported, context: %s", m.name, m.name)
		}
	}
	switch subnets, zones := len(in.SubnetMappings) > 0, len(in.AvailabilityZoneMappings) > 0; {
	case subnets && in.VpcId == nil, !zones && in.VpcId == nil:
		return invalid("VpcId cannot be null, context: VpcId")
	case !subnets && in.VpcId != nil, !zones && !subnets:
		return invalid("SubnetMappings cannot be null or empty, context: SubnetMappings")
	}
	return nil
}

// usePolicy demands that the policy exists, is the caller's to use in the operation
// and is as read when t is committed.
func (c *Control) usePolicy(ctx context.Context, t *store.Txn, caller wire.Caller, operation, text string) error {
	a, ok := parseARN(text)
	switch {
	case !ok:
		return invalid("Resource ARN has an invalid format, parameter: [%s]", text)
	case a.kind != typePolicy:
		return invalid("firewall policy ARN is of incorrect entity type, parameter: [%s]", text)
	case !c.reachableARN(a):
		return invalid("firewall policy ARN is invalid, parameter: [%s]", text)
	}
	if err := c.shared(ctx, t, caller, operation, a, text); err != nil {
		return err
	}
	r, found, err := read[resource.FirewallPolicy](ctx, c, c.keyOfARN(a))
	if err != nil {
		return err
	}
	if !found {
		return invalid("firewall policy ARN does not exist, parameter: [%s]", text)
	}
	t.IfRev(r.key, r.rev)
	return nil
}

// addSubnets returns subnets with the mappings added, each with its zone and a
// new endpoint.
func (c *Control) addSubnets(subnets []resource.Subnet, mappings []wire.SubnetMapping) ([]resource.Subnet, error) {
	subnets = slices.Clone(subnets)
	for i, m := range mappings {
		id := wire.Val(m.SubnetId)
		switch {
		case id == "":
			return nil, invalid("SubnetId cannot be null or empty, context: SubnetMappings[%d].SubnetId", i)
		case slices.ContainsFunc(subnets, func(s resource.Subnet) bool { return s.ID == id }):
			return nil, invalid("SubnetMappings has duplicate values, parameter: [%s], context: SubnetMappings[%d].SubnetId", id, i)
		}
		zone, known := c.o.SubnetZones[id]
		if !known {
			zone = c.o.Zone
		} else if err := c.servesZone(zone); err != nil {
			return nil, err
		}
		family := wire.Val(m.IPAddressType)
		if family == "" {
			family = wire.IPAddressTypeIpv4
		}
		subnets = append(subnets, resource.Subnet{ID: id, IPAddressType: family, Zone: zone, EndpointID: c.newEndpointID()})
	}
	return subnets, nil
}

// newEndpointID: AWS: vpce- and 17 hexadecimal digits.
func (c *Control) newEndpointID() string {
	return "vpce-" + strings.ReplaceAll(c.o.NewID(), "-", "")[:17]
}

func subnetMappings(f *resource.Firewall) []wire.SubnetMapping {
	m := make([]wire.SubnetMapping, len(f.Subnets))
	for i, s := range f.Subnets {
		m[i] = wire.SubnetMapping{SubnetId: wire.Ptr(s.ID), IPAddressType: wire.Ptr(s.IPAddressType)}
	}
	return m
}

func firewallResponse(f *resource.Firewall) *wire.Firewall {
	return &wire.Firewall{
		FirewallName: &f.Name, FirewallArn: &f.ARN, FirewallId: &f.ID, FirewallPolicyArn: &f.PolicyARN, VpcId: orNil(f.VpcID),
		SubnetMappings: subnetMappings(f), AvailabilityZoneMappings: zoneMappings(f), Description: f.Description, Tags: tagsOf(&f.Meta),
		DeleteProtection: &f.DeleteProtection, SubnetChangeProtection: &f.SubnetChangeProtection,
		FirewallPolicyChangeProtection: &f.PolicyChangeProtection, AvailabilityZoneChangeProtection: &f.ZoneChangeProtection,
		EncryptionConfiguration: encryption(&f.Meta), EnabledAnalysisTypes: analysisTypes(f),
	}
}

// firewall reads the firewall that a request names.
func (c *Control) firewall(ctx context.Context, arnText, name *string) (record[resource.Firewall], error) {
	_, found, err := c.nameOf("Firewall", arnText, name, typeFirewall, typeFirewall)
	if err != nil {
		return record[resource.Firewall]{}, err
	}
	r, ok, err := read[resource.Firewall](ctx, c, c.scope.Firewall(found))
	if err == nil && !ok {
		err = notFound(c.arn(typeFirewall, found))
	}
	return r, err
}

// DescribeFirewallMetadata returns what others may know of a firewall that is
// shared with them, such as the zones in which endpoint associations can be made.
func (c *Control) DescribeFirewallMetadata(ctx context.Context, caller wire.Caller, in *wire.DescribeFirewallMetadataRequest) (*wire.DescribeFirewallMetadataResponse, error) {
	owner, r, err := c.firewallFor(ctx, &store.Txn{}, caller, "DescribeFirewallMetadata", in.FirewallArn)
	if err != nil {
		return nil, err
	}
	f := &r.value
	status, err := owner.status(ctx, f)
	if err != nil {
		return nil, err
	}
	zones := map[string]wire.AvailabilityZoneMetadata{}
	for _, zone := range f.Zones() {
		family := wire.IPAddressTypeDualstack // of a zone without a subnet: the engine takes both
		if i := slices.IndexFunc(f.Subnets, func(s resource.Subnet) bool { return s.Zone == zone }); i >= 0 {
			family = f.Subnets[i].IPAddressType
		}
		zones[zone] = wire.AvailabilityZoneMetadata{IPAddressType: &family}
	}
	return &wire.DescribeFirewallMetadataResponse{
		FirewallArn: &f.ARN, FirewallPolicyArn: &f.PolicyARN, Description: f.Description, Status: status.Status, SupportedAvailabilityZones: zones,
	}, nil
}

// DescribeFirewall returns a firewall and what its nodes do with it.
func (c *Control) DescribeFirewall(ctx context.Context, _ wire.Caller, in *wire.DescribeFirewallRequest) (*wire.DescribeFirewallResponse, error) {
	r, err := c.firewall(ctx, in.FirewallArn, in.FirewallName)
	if err != nil {
		return nil, err
	}
	f := &r.value
	status, err := c.status(ctx, f)
	if err != nil {
		return nil, err
	}
	associations, _, err := c.associationsOf(ctx, f)
	if err != nil {
		return nil, err
	}
	out := firewallResponse(f)
	out.NumberOfAssociations = count(len(associations))
	return &wire.DescribeFirewallResponse{Firewall: out, FirewallStatus: status, UpdateToken: &f.UpdateToken}, nil
}

// DeleteFirewall deletes a firewall with its flow operations and analysis
// reports. AWS: refused while it is protected, logs or has endpoint associations.
func (c *Control) DeleteFirewall(ctx context.Context, caller wire.Caller, in *wire.DeleteFirewallRequest) (*wire.DeleteFirewallResponse, error) {
	var f *resource.Firewall
	var status *wire.FirewallStatus
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.firewall(ctx, in.FirewallArn, in.FirewallName)
		if err != nil {
			return err
		}
		f = &r.value
		if f.DeleteProtection {
			return wire.InvalidOperationException("Unable to delete the firewall because DeleteProtection is on: turn it off with UpdateFirewallDeleteProtection")
		}
		if len(f.Logging) > 0 {
			return wire.InvalidOperationException("Unable to delete the firewall because logging is configured: remove it with UpdateLoggingConfiguration")
		}
		associations, uses, err := c.associationsOf(ctx, f)
		if err != nil {
			return err
		}
		if len(associations) > 0 {
			return wire.InvalidOperationException("Unable to delete the firewall because %s is associated with it: delete it with DeleteVpcEndpointAssociation", associations[0].ARN)
		}
		if status, err = c.status(ctx, f); err != nil {
			return err
		}
		t.IfRev(r.key, r.rev)
		uses.unchanged(t)
		t.Delete(r.key)
		c.noteUses(t, f.ARN, []string{f.PolicyARN}, nil)
		t.Delete(c.scope.ResourcePolicy(typeFirewall, f.Name))
		t.DeleteBelow(c.scope.AnalysisReports(f.Name))
		t.DeleteBelow(c.scope.FlowOperationsOf(f.Name))
		t.DeleteBelow(c.scope.ActiveFlowOperation(f.Name, ""))
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "DeleteFirewall", f.ARN)
	status.Status = wire.Ptr(wire.FirewallStatusValueDeleting)
	return &wire.DeleteFirewallResponse{Firewall: firewallResponse(f), FirewallStatus: status}, nil
}

// ListFirewalls returns the firewalls in order of their names, then those that others
// share: these are in no VPC of the account.
func (c *Control) ListFirewalls(ctx context.Context, caller wire.Caller, in *wire.ListFirewallsRequest) (*wire.ListFirewallsResponse, error) {
	out := &wire.ListFirewallsResponse{Firewalls: []wire.FirewallMetadata{}}
	var found []named
	var err error
	if len(in.VpcIds) == 0 {
		found, out.NextToken, err = c.names(ctx, caller, "ListFirewalls", typeFirewall, in.NextToken, in.MaxResults)
	} else {
		found, out.NextToken, err = c.inVPCs(ctx, in)
	}
	for _, f := range found {
		out.Firewalls = append(out.Firewalls, wire.FirewallMetadata{FirewallName: &f.name, FirewallArn: &f.arn})
	}
	return out, err
}

// inVPCs returns a page of the firewalls in some VPCs.
func (c *Control) inVPCs(ctx context.Context, in *wire.ListFirewallsRequest) (found []named, next *string, err error) {
	p, err := newPager("ListFirewalls", in.NextToken, in.MaxResults, in.VpcIds)
	if err != nil {
		return nil, nil, err
	}
	firewalls, _, err := list[resource.Firewall](ctx, c, c.scope.Firewalls())
	for _, f := range firewalls {
		if slices.Contains(in.VpcIds, f.Value.VpcID) {
			found = append(found, named{f.Value.Name, f.Value.ARN})
		}
	}
	found, next = pageOf(p, found, func(f *named) string { return f.name })
	return found, next, err
}
