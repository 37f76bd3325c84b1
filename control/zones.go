package control

import (
	"context"
	"regexp"
	"slices"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// zoneName is the form of the zones that nodes can have. Names are parts of
// keys, so nothing else may get in.
var zoneName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// regionOfZone is the Region in a zone's name, if it is one of AWS's form: us-east-1a, us-west-2-lax-1a.
var regionOfZone = regexp.MustCompile(`^([a-z]{2}(?:-[a-z]+)+-[0-9]+)(?:-[a-z]+-[0-9]+)?[a-z]$`)

// servesZone refuses a zone of another Region. Any other may get nodes yet.
func (c *Control) servesZone(zone string) error {
	if m := regionOfZone.FindStringSubmatch(zone); m != nil && m[1] != c.scope.Region {
		return invalid("Availability zone subnet(s) cannot be updated or added because this Availability Zone is not supported by Network Firewall")
	}
	return nil
}

// addZones adds zones to a firewall, each with a new endpoint.
func (c *Control) addZones(f *resource.Firewall, mappings []wire.AvailabilityZoneMapping) error {
	zones := f.Zones()
	f.ZoneMappings = slices.Clone(f.ZoneMappings)
	for i, m := range mappings {
		zone := wire.Val(m.AvailabilityZone)
		switch {
		case !zoneName.MatchString(zone):
			return invalid("AvailabilityZone has invalid format, parameter: [%s], context: AvailabilityZoneMappings[%d].AvailabilityZone", zone, i)
		case slices.Contains(zones, zone):
			return invalid("AvailabilityZoneMappings has duplicate values, parameter: [%s], context: AvailabilityZoneMappings[%d].AvailabilityZone", zone, i)
		}
		if err := c.servesZone(zone); err != nil {
			return err
		}
		zones = append(zones, zone)
		f.ZoneMappings = append(f.ZoneMappings, resource.ZoneMapping{Zone: zone, EndpointID: c.newEndpointID()})
	}
	return nil
}

func zoneMappings(f *resource.Firewall) []wire.AvailabilityZoneMapping {
	var m []wire.AvailabilityZoneMapping
	for _, z := range f.ZoneMappings {
		m = append(m, wire.AvailabilityZoneMapping{AvailabilityZone: wire.Ptr(z.Zone)})
	}
	return m
}

// keepsZones refuses that a firewall, as it is now to be, has no zone left or
// leaves one in which it has an endpoint association. field is what the request
// took away.
func (c *Control) keepsZones(ctx context.Context, t *store.Txn, f *resource.Firewall, field string) error {
	zones := f.Zones()
	if len(zones) == 0 {
		return invalid("%s is invalid: a firewall must keep at least one subnet or Availability Zone, context: %[1]s", field)
	}
	associations, uses, err := c.associationsOf(ctx, f)
	if err != nil {
		return err
	}
	for _, a := range associations {
		if !slices.Contains(zones, a.Subnet.Zone) {
			return wire.InvalidOperationException("Unable to take Availability Zone %s from the firewall because %s is in it: delete it with DeleteVpcEndpointAssociation", a.Subnet.Zone, a.ARN)
		}
	}
	uses.unchanged(t)
	return nil
}

// AssociateAvailabilityZones adds zones to those that a firewall serves. AWS:
// only for firewalls of transit gateways; here any firewall can have them.
func (c *Control) AssociateAvailabilityZones(ctx context.Context, caller wire.Caller, in *wire.AssociateAvailabilityZonesRequest) (*wire.AssociateAvailabilityZonesResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "AssociateAvailabilityZones", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		if f.ZoneChangeProtection {
			return errProtected("Availability Zones", "AvailabilityZoneChangeProtection", "UpdateAvailabilityZoneChangeProtection")
		}
		return c.addZones(f, in.AvailabilityZoneMappings)
	})
	if err != nil {
		return nil, err
	}
	return &wire.AssociateAvailabilityZonesResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, AvailabilityZoneMappings: zoneMappings(f), UpdateToken: &f.UpdateToken}, nil
}

// DisassociateAvailabilityZones takes zones from a firewall that it does not
// have by its subnets.
func (c *Control) DisassociateAvailabilityZones(ctx context.Context, caller wire.Caller, in *wire.DisassociateAvailabilityZonesRequest) (*wire.DisassociateAvailabilityZonesResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "DisassociateAvailabilityZones", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, t *store.Txn) error {
		if f.ZoneChangeProtection {
			return errProtected("Availability Zones", "AvailabilityZoneChangeProtection", "UpdateAvailabilityZoneChangeProtection")
		}
		for i, m := range in.AvailabilityZoneMappings {
			zone := wire.Val(m.AvailabilityZone)
			n := slices.IndexFunc(f.ZoneMappings, func(z resource.ZoneMapping) bool { return z.Zone == zone })
			if n < 0 {
				return invalid("AvailabilityZoneMappings is invalid, parameter: [%s], context: AvailabilityZoneMappings[%d].AvailabilityZone", zone, i)
			}
			f.ZoneMappings = slices.Delete(f.ZoneMappings, n, n+1)
		}
		return c.keepsZones(ctx, t, f, "AvailabilityZoneMappings")
	})
	if err != nil {
		return nil, err
	}
	return &wire.DisassociateAvailabilityZonesResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, AvailabilityZoneMappings: zoneMappings(f), UpdateToken: &f.UpdateToken}, nil
}

// UpdateAvailabilityZoneChangeProtection turns the protection of the zones on or off.
func (c *Control) UpdateAvailabilityZoneChangeProtection(ctx context.Context, caller wire.Caller, in *wire.UpdateAvailabilityZoneChangeProtectionRequest) (*wire.UpdateAvailabilityZoneChangeProtectionResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateAvailabilityZoneChangeProtection", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.ZoneChangeProtection = wire.Val(in.AvailabilityZoneChangeProtection)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateAvailabilityZoneChangeProtectionResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, AvailabilityZoneChangeProtection: &f.ZoneChangeProtection, UpdateToken: &f.UpdateToken}, nil
}
