package control

import (
	"context"
	"slices"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// updateFirewall changes one firewall: it reads it, checks the update token,
// lets change edit it (and add conditions to t), and writes it with a new
// token.
func (c *Control) updateFirewall(ctx context.Context, caller wire.Caller, operation string, arnText, name, token *string,
	change func(f *resource.Firewall, t *store.Txn) error,
) (*resource.Firewall, error) {
	var f *resource.Firewall
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.firewall(ctx, arnText, name)
		if err != nil {
			return err
		}
		f = &r.value
		if err := checkToken(token, &f.Meta); err != nil {
			return err
		}
		if err := change(f, t); err != nil {
			return err
		}
		c.touch(&f.Meta)
		replace(t, &r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, operation, f.ARN)
	return f, nil
}

// errProtected says which protection stands in the way of a change.
func errProtected(what, protection, operation string) error {
	return wire.InvalidOperationException("Unable to change the %s of the firewall because %s is on: turn it off with %s", what, protection, operation)
}

// AssociateFirewallPolicy gives a firewall another policy.
func (c *Control) AssociateFirewallPolicy(ctx context.Context, caller wire.Caller, in *wire.AssociateFirewallPolicyRequest) (*wire.AssociateFirewallPolicyResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "AssociateFirewallPolicy", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, t *store.Txn) error {
		if f.PolicyChangeProtection {
			return errProtected("policy", "FirewallPolicyChangeProtection", "UpdateFirewallPolicyChangeProtection")
		}
		before := f.PolicyARN
		f.PolicyARN = wire.Val(in.FirewallPolicyArn)
		c.noteUses(t, f.ARN, []string{before}, []string{f.PolicyARN})
		return c.usePolicy(ctx, t, caller, "AssociateFirewallPolicy", f.PolicyARN)
	})
	if err != nil {
		return nil, err
	}
	return &wire.AssociateFirewallPolicyResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, FirewallPolicyArn: &f.PolicyARN, UpdateToken: &f.UpdateToken}, nil
}

// AssociateSubnets adds subnets to a firewall.
func (c *Control) AssociateSubnets(ctx context.Context, caller wire.Caller, in *wire.AssociateSubnetsRequest) (*wire.AssociateSubnetsResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "AssociateSubnets", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) (err error) {
		if f.SubnetChangeProtection {
			return errProtected("subnets", "SubnetChangeProtection", "UpdateSubnetChangeProtection")
		}
		f.Subnets, err = c.addSubnets(f.Subnets, in.SubnetMappings)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &wire.AssociateSubnetsResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, SubnetMappings: subnetMappings(f), UpdateToken: &f.UpdateToken}, nil
}

// DisassociateSubnets takes subnets from a firewall, which keeps at least one
// subnet or zone.
func (c *Control) DisassociateSubnets(ctx context.Context, caller wire.Caller, in *wire.DisassociateSubnetsRequest) (*wire.DisassociateSubnetsResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "DisassociateSubnets", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, t *store.Txn) error {
		if f.SubnetChangeProtection {
			return errProtected("subnets", "SubnetChangeProtection", "UpdateSubnetChangeProtection")
		}
		for i, id := range in.SubnetIds {
			n := slices.IndexFunc(f.Subnets, func(s resource.Subnet) bool { return s.ID == id })
			if n < 0 {
				// Terraform takes "inaccessible" for a subnet that is gone already.
				return invalid("SubnetIds is inaccessible, parameter: [%s], context: SubnetIds[%d]", id, i)
			}
			f.Subnets = slices.Delete(f.Subnets, n, n+1)
		}
		return c.keepsZones(ctx, t, f, "SubnetIds")
	})
	if err != nil {
		return nil, err
	}
	return &wire.DisassociateSubnetsResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, SubnetMappings: subnetMappings(f), UpdateToken: &f.UpdateToken}, nil
}

// UpdateFirewallDescription sets the description, or clears it when none is given.
func (c *Control) UpdateFirewallDescription(ctx context.Context, caller wire.Caller, in *wire.UpdateFirewallDescriptionRequest) (*wire.UpdateFirewallDescriptionResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateFirewallDescription", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.Description = in.Description
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateFirewallDescriptionResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, Description: f.Description, UpdateToken: &f.UpdateToken}, nil
}

// UpdateFirewallDeleteProtection turns the protection against deletion on or off.
func (c *Control) UpdateFirewallDeleteProtection(ctx context.Context, caller wire.Caller, in *wire.UpdateFirewallDeleteProtectionRequest) (*wire.UpdateFirewallDeleteProtectionResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateFirewallDeleteProtection", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.DeleteProtection = wire.Val(in.DeleteProtection)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateFirewallDeleteProtectionResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, DeleteProtection: &f.DeleteProtection, UpdateToken: &f.UpdateToken}, nil
}

// UpdateSubnetChangeProtection turns the protection of the subnets on or off.
func (c *Control) UpdateSubnetChangeProtection(ctx context.Context, caller wire.Caller, in *wire.UpdateSubnetChangeProtectionRequest) (*wire.UpdateSubnetChangeProtectionResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateSubnetChangeProtection", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.SubnetChangeProtection = wire.Val(in.SubnetChangeProtection)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateSubnetChangeProtectionResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, SubnetChangeProtection: &f.SubnetChangeProtection, UpdateToken: &f.UpdateToken}, nil
}

// UpdateFirewallPolicyChangeProtection turns the protection of the policy
// association on or off.
func (c *Control) UpdateFirewallPolicyChangeProtection(ctx context.Context, caller wire.Caller, in *wire.UpdateFirewallPolicyChangeProtectionRequest) (*wire.UpdateFirewallPolicyChangeProtectionResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateFirewallPolicyChangeProtection", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.PolicyChangeProtection = wire.Val(in.FirewallPolicyChangeProtection)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateFirewallPolicyChangeProtectionResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, FirewallPolicyChangeProtection: &f.PolicyChangeProtection, UpdateToken: &f.UpdateToken}, nil
}

// UpdateFirewallEncryptionConfiguration says what encrypts the firewall, or
// nothing of the customer's when none is given. It is kept only.
func (c *Control) UpdateFirewallEncryptionConfiguration(ctx context.Context, caller wire.Caller, in *wire.UpdateFirewallEncryptionConfigurationRequest) (*wire.UpdateFirewallEncryptionConfigurationResponse, error) {
	f, err := c.updateFirewall(ctx, caller, "UpdateFirewallEncryptionConfiguration", in.FirewallArn, in.FirewallName, in.UpdateToken, func(f *resource.Firewall, _ *store.Txn) error {
		f.Encryption = in.EncryptionConfiguration
		return checkEncryption(f.Encryption)
	})
	if err != nil {
		return nil, err
	}
	return &wire.UpdateFirewallEncryptionConfigurationResponse{FirewallArn: &f.ARN, FirewallName: &f.Name, EncryptionConfiguration: encryption(&f.Meta), UpdateToken: &f.UpdateToken}, nil
}
