package control

import (
	"fmt"
	"testing"

	"github.com/sluicefw/sluice/resource"
)

func TestZones(t *testing.T) {
	w := newWorld(t, nil)
	p := w.strictPolicy("p")
	const create = `{"FirewallName":"f","FirewallPolicyArn":%q%s}`
	fail(w, w.CreateFirewall, errInvalid, "VpcId cannot be null, context: VpcId", create, p, "")
	fail(w, w.CreateFirewall, errInvalid, "VpcId cannot be null, context: VpcId", create, p, `,"SubnetMappings":[{"SubnetId":"subnet-a"}],"AvailabilityZoneMappings":[{"AvailabilityZone":"us-east-1c"}]`)
	fail(w, w.CreateFirewall, errInvalid, "SubnetMappings cannot be null or empty", create, p, `,"VpcId":"vpc-0a","AvailabilityZoneMappings":[{"AvailabilityZone":"us-east-1c"}]`)
	fail(w, w.CreateFirewall, errInvalid, "AvailabilityZone has invalid format, parameter: [../x], context: AvailabilityZoneMappings[0].AvailabilityZone", create, p, `,"AvailabilityZoneMappings":[{"AvailabilityZone":"../x"}]`)
	fail(w, w.CreateFirewall, errInvalid, "AvailabilityZoneMappings has duplicate values, parameter: [us-east-1a], context: AvailabilityZoneMappings[0].AvailabilityZone", create, p,
		`,"VpcId":"vpc-0a","SubnetMappings":[{"SubnetId":"subnet-a"}],"AvailabilityZoneMappings":[{"AvailabilityZone":"us-east-1a"}]`)

	f := do(w, w.CreateFirewall, create, p, `,"AvailabilityZoneMappings":[{"AvailabilityZone":"us-east-1a"}],"AvailabilityZoneChangeProtection":true`).Firewall
	if f.VpcId != nil || len(f.SubnetMappings) != 0 || len(f.AvailabilityZoneMappings) != 1 || !*f.AvailabilityZoneChangeProtection {
		t.Errorf("created %+v", f)
	}
	const associate = `{"FirewallName":"f","AvailabilityZoneMappings":[{"AvailabilityZone":%q}]%s}`
	const protected = "Unable to change the Availability Zones of the firewall because AvailabilityZoneChangeProtection is on: turn it off with UpdateAvailabilityZoneChangeProtection"
	fail(w, w.AssociateAvailabilityZones, errOperation, protected, associate, "us-east-1b", "")
	fail(w, w.DisassociateAvailabilityZones, errOperation, protected, associate, "us-east-1a", "")
	const protect = `{"FirewallName":%q,"AvailabilityZoneChangeProtection":false%s}`
	const stale = `,"UpdateToken":"00000000-0000-0000-0000-000000000000"`
	fail(w, w.UpdateAvailabilityZoneChangeProtection, errMissing, "", protect, "g", "")
	fail(w, w.UpdateAvailabilityZoneChangeProtection, errToken, "", protect, "f", stale)
	token := *do(w, w.UpdateAvailabilityZoneChangeProtection, protect, "f", "").UpdateToken

	fail(w, w.AssociateAvailabilityZones, errToken, "", associate, "us-east-1b", stale)
	fail(w, w.DisassociateAvailabilityZones, errToken, "", associate, "us-east-1a", stale)
	fail(w, w.DisassociateAvailabilityZones, errInvalid, "AvailabilityZoneMappings is invalid: a firewall must keep at least one subnet or Availability Zone, context: AvailabilityZoneMappings", associate, "us-east-1a", "")
	fail(w, w.DisassociateAvailabilityZones, errInvalid, "AvailabilityZoneMappings is invalid, parameter: [us-east-1b]", associate, "us-east-1b", "")
	added := do(w, w.AssociateAvailabilityZones, associate, "us-east-1b", fmt.Sprintf(`,"UpdateToken":%q`, token))
	if len(added.AvailabilityZoneMappings) != 2 || *added.UpdateToken == token {
		t.Errorf("%+v", added)
	}
	fail(w, w.AssociateAvailabilityZones, errInvalid, "AvailabilityZoneMappings has duplicate values, parameter: [us-east-1b]", associate, "us-east-1b", "")

	// Nodes serve zones and those of subnets alike.
	w.node("us-east-1b", "n")
	w.put(w.scope.Sync("f", "us-east-1b", "n"), resource.Sync{Node: "n", Zone: "us-east-1b"})
	states := do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).FirewallStatus.SyncStates
	if b := states["us-east-1b"].Attachment; len(states) != 2 || *b.Status != "READY" || b.SubnetId != nil || b.EndpointId == nil {
		t.Errorf("%+v", states)
	}

	// An association keeps its zone.
	a := *do(w, w.CreateVpcEndpointAssociation, `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-b"}}`, *f.FirewallArn).VpcEndpointAssociation.VpcEndpointAssociationArn
	fail(w, w.DisassociateAvailabilityZones, errOperation, "Unable to take Availability Zone us-east-1b", associate, "us-east-1b", "")
	do(w, w.AssociateSubnets, `{"FirewallName":"f","SubnetMappings":[{"SubnetId":"subnet-b","IPAddressType":"IPV6"}]}`)
	do(w, w.DisassociateAvailabilityZones, associate, "us-east-1b", "")
	do(w, w.DeleteVpcEndpointAssociation, `{"VpcEndpointAssociationArn":%q}`, a)
}

func TestFirewallMetadata(t *testing.T) {
	w := newWorld(t, nil)
	p := w.strictPolicy("p")
	arn := *do(w, w.CreateFirewall, `{"FirewallName":"f","FirewallPolicyArn":%q,"VpcId":"vpc-0a","Description":"d","SubnetMappings":[{"SubnetId":"subnet-b","IPAddressType":"IPV6"}],"AvailabilityZoneMappings":[{"AvailabilityZone":"us-east-1c"}]}`, p).Firewall.FirewallArn
	m := do(w, w.DescribeFirewallMetadata, `{"FirewallArn":%q}`, arn)
	z := m.SupportedAvailabilityZones
	if *m.FirewallPolicyArn != p || *m.Description != "d" || *m.Status != "PROVISIONING" || len(z) != 2 || *z["us-east-1b"].IPAddressType != "IPV6" || *z["us-east-1c"].IPAddressType != "DUALSTACK" {
		t.Errorf("%+v", m)
	}
	fail(w, w.DescribeFirewallMetadata, errMissing, "", `{"FirewallArn":"%sx"}`, arn)
	fail(w, w.DescribeFirewallMetadata, errInvalid, "FirewallArn, FirewallName cannot be null", `{}`)
}

func TestFirewallEncryption(t *testing.T) {
	w := newWorld(t, nil)
	w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	const update = `{"FirewallName":"f"%s}`
	fail(w, w.UpdateFirewallEncryptionConfiguration, errMissing, "", `{"FirewallName":"g"}`)
	fail(w, w.UpdateFirewallEncryptionConfiguration, errToken, "", update, `,"UpdateToken":"00000000-0000-0000-0000-000000000000"`)
	fail(w, w.UpdateFirewallEncryptionConfiguration, errInvalid, "KeyId cannot be null or empty, context: EncryptionConfiguration.KeyId", update, `,"EncryptionConfiguration":{"Type":"CUSTOMER_KMS"}`)
	fail(w, w.UpdateFirewallEncryptionConfiguration, errInvalid, "KeyId is invalid, parameter: [k], context: EncryptionConfiguration.KeyId", update, `,"EncryptionConfiguration":{"Type":"AWS_OWNED_KMS_KEY","KeyId":"k"}`)
	for _, c := range []struct{ given, key, kind string }{
		{`,"EncryptionConfiguration":{"Type":"CUSTOMER_KMS","KeyId":"k"}`, "k", "CUSTOMER_KMS"},
		{`,"EncryptionConfiguration":{"Type":"AWS_OWNED_KMS_KEY"}`, "AWS_OWNED_KMS_KEY", "AWS_OWNED_KMS_KEY"},
		{"", "AWS_OWNED_KMS_KEY", "AWS_OWNED_KMS_KEY"},
	} {
		answer := do(w, w.UpdateFirewallEncryptionConfiguration, update, c.given).EncryptionConfiguration
		kept := do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).Firewall.EncryptionConfiguration
		if *answer.KeyId != c.key || *answer.Type != c.kind || *kept.KeyId != c.key || *kept.Type != c.kind {
			t.Errorf("%s: %+v %+v", c.given, answer, kept)
		}
	}
}
