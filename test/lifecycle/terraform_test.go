package lifecycle_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
)

// terraform is a firewall as Terraform's AWS provider manages it: after each
// change of subnets it waits until the firewall is READY and takes the token for
// the next change from DescribeFirewall, otherwise from the change itself.
type terraform struct {
	*world
	arn   *string
	token *string // of the next change
}

// wait waits as the provider's waiters do: READY within the deadline, having been
// nothing but PROVISIONING, with every subnet's attachment READY.
func (f *terraform) wait(subnets ...string) {
	f.Helper()
	for {
		out := must(f.world, f.api.DescribeFirewall)(&nfw.DescribeFirewallInput{FirewallArn: f.arn})
		switch out.FirewallStatus.Status {
		case types.FirewallStatusValueProvisioning:
			continue
		case types.FirewallStatusValueReady:
		default:
			f.Fatalf("while it is changed, the firewall is %s", out.FirewallStatus.Status)
		}
		f.token = out.UpdateToken
		if got := len(out.Firewall.SubnetMappings); got != len(subnets) {
			f.Errorf("the firewall has %d subnets, want %v", got, subnets)
		}
		for zone, s := range out.FirewallStatus.SyncStates {
			if s.Attachment == nil || s.Attachment.Status != types.AttachmentStatusReady || aws.ToString(s.Attachment.EndpointId) == "" {
				f.Errorf("the firewall is READY with the attachment of %s being %+v", zone, s.Attachment)
			}
		}
		return
	}
}

// protect sets the protections that guard what is changed.
func (f *terraform) protect(on bool) {
	f.Helper()
	f.token = must(f.world, f.api.UpdateFirewallDeleteProtection)(&nfw.UpdateFirewallDeleteProtectionInput{FirewallArn: f.arn, DeleteProtection: on, UpdateToken: f.token}).UpdateToken
	f.token = must(f.world, f.api.UpdateFirewallPolicyChangeProtection)(&nfw.UpdateFirewallPolicyChangeProtectionInput{FirewallArn: f.arn, FirewallPolicyChangeProtection: on, UpdateToken: f.token}).UpdateToken
	f.token = must(f.world, f.api.UpdateSubnetChangeProtection)(&nfw.UpdateSubnetChangeProtectionInput{FirewallArn: f.arn, SubnetChangeProtection: on, UpdateToken: f.token}).UpdateToken
}

// mappings are subnets as the API has them.
func mappings(subnets ...string) []types.SubnetMapping {
	var all []types.SubnetMapping
	for _, s := range subnets {
		all = append(all, types.SubnetMapping{SubnetId: aws.String(s)})
	}
	return all
}

func TestTerraform(t *testing.T) {
	w := start(t)
	first, second := w.policy("first"), w.policy("second")
	created := must(w, w.api.CreateFirewall)(&nfw.CreateFirewallInput{
		FirewallName: aws.String("edge"), FirewallPolicyArn: first.FirewallPolicyResponse.FirewallPolicyArn,
		VpcId: aws.String("vpc-0a1b2c3d"), SubnetMappings: mappings("subnet-1", "subnet-2"),
	})
	f := &terraform{world: w, arn: created.Firewall.FirewallArn}
	f.wait("subnet-1", "subnet-2")

	// Protections hold.
	f.protect(true)
	_, err := w.api.AssociateSubnets(w.ctx, &nfw.AssociateSubnetsInput{FirewallArn: f.arn, SubnetMappings: mappings("subnet-3"), UpdateToken: f.token})
	w.refused(err, "InvalidOperationException", "")
	_, err = w.api.AssociateFirewallPolicy(w.ctx, &nfw.AssociateFirewallPolicyInput{
		FirewallArn: f.arn, FirewallPolicyArn: second.FirewallPolicyResponse.FirewallPolicyArn, UpdateToken: f.token,
	})
	w.refused(err, "InvalidOperationException", "")
	_, err = w.api.DeleteFirewall(w.ctx, &nfw.DeleteFirewallInput{FirewallArn: f.arn})
	w.refused(err, "InvalidOperationException", "")

	// An update: protections that are taken off go first, then the description, the
	// policy, and subnets, which are added before others are removed.
	f.protect(false)
	f.token = must(w, w.api.UpdateFirewallDescription)(&nfw.UpdateFirewallDescriptionInput{FirewallArn: f.arn, Description: aws.String("changed"), UpdateToken: f.token}).UpdateToken
	f.token = must(w, w.api.AssociateFirewallPolicy)(&nfw.AssociateFirewallPolicyInput{
		FirewallArn: f.arn, FirewallPolicyArn: second.FirewallPolicyResponse.FirewallPolicyArn, UpdateToken: f.token,
	}).UpdateToken
	added := must(w, w.api.AssociateSubnets)(&nfw.AssociateSubnetsInput{FirewallArn: f.arn, SubnetMappings: mappings("subnet-3"), UpdateToken: f.token})
	if len(added.SubnetMappings) != 3 {
		t.Errorf("AssociateSubnets answers %d subnets, want 3", len(added.SubnetMappings))
	}
	f.wait("subnet-1", "subnet-2", "subnet-3")
	must(w, w.api.DisassociateSubnets)(&nfw.DisassociateSubnetsInput{FirewallArn: f.arn, SubnetIds: []string{"subnet-1"}, UpdateToken: f.token})
	f.wait("subnet-2", "subnet-3")
	f.protect(true)
	f.wait("subnet-2", "subnet-3")

	// A plan after the update sees what was asked for.
	out := must(w, w.api.DescribeFirewall)(&nfw.DescribeFirewallInput{FirewallArn: f.arn})
	if f := out.Firewall; *f.Description != "changed" || *f.FirewallPolicyArn != *second.FirewallPolicyResponse.FirewallPolicyArn || !f.DeleteProtection ||
		!f.SubnetChangeProtection || !f.FirewallPolicyChangeProtection {
		t.Errorf("after the update: %+v", f)
	}
	if *out.UpdateToken != *f.token {
		t.Error("the token changed though nothing else did")
	}

	// Destroy: protection off, firewall, and once that is gone its policies.
	f.token = must(w, w.api.UpdateFirewallDeleteProtection)(&nfw.UpdateFirewallDeleteProtectionInput{FirewallArn: f.arn, UpdateToken: f.token}).UpdateToken
	deleted := must(w, w.api.DeleteFirewall)(&nfw.DeleteFirewallInput{FirewallArn: f.arn})
	if status := deleted.FirewallStatus.Status; status != types.FirewallStatusValueDeleting {
		t.Errorf("DeleteFirewall answers status %s", status)
	}
	w.gone(func() error {
		_, err := w.api.DescribeFirewall(w.ctx, &nfw.DescribeFirewallInput{FirewallArn: f.arn})
		return err
	})
	for _, p := range []*nfw.CreateFirewallPolicyOutput{first, second} {
		must(w, w.api.DeleteFirewallPolicy)(&nfw.DeleteFirewallPolicyInput{FirewallPolicyArn: p.FirewallPolicyResponse.FirewallPolicyArn})
	}
}
