package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

func TestFirewallLife(t *testing.T) {
	w := newWorld(t, nil)
	p := w.strictPolicy("p")
	created := do(w, w.CreateFirewall, `{"FirewallName":"f","FirewallPolicyArn":%q,"VpcId":"vpc-0a","SubnetMappings":[{"SubnetId":"subnet-a"}],"Description":"d"}`, p)
	if s := created.FirewallStatus; *s.Status != "PROVISIONING" || *s.ConfigurationSyncStateSummary != "PENDING" || s.SyncStates != nil {
		t.Errorf("status %+v", s)
	}
	f := created.Firewall
	if *f.DeleteProtection || *f.SubnetChangeProtection || *f.FirewallPolicyChangeProtection || f.Tags != nil || *f.SubnetMappings[0].IPAddressType != "IPV4" {
		t.Errorf("created %+v", f)
	}
	fail(w, w.CreateFirewall, errInvalid, "A resource with the specified name already exists", `{"FirewallName":"f","FirewallPolicyArn":%q,"VpcId":"vpc-0a","SubnetMappings":[{"SubnetId":"subnet-a"}]}`, p)
	fail(w, w.CreateFirewall, errInvalid, "firewall policy ARN does not exist", `{"FirewallName":"g","FirewallPolicyArn":"%sx","VpcId":"vpc-0a","SubnetMappings":[{"SubnetId":"subnet-a"}]}`, p)
	fail(w, w.CreateFirewall, errInvalid, "TransitGatewayId is unsupported", `{"FirewallName":"g","FirewallPolicyArn":%q,"TransitGatewayId":"tgw-1"}`, p)
	fail(w, w.CreateFirewall, errInvalid, "SubnetMappings has duplicate values, parameter: [subnet-a], context: SubnetMappings[1].SubnetId",
		`{"FirewallName":"g","FirewallPolicyArn":%q,"VpcId":"vpc-0a","SubnetMappings":[{"SubnetId":"subnet-a"},{"SubnetId":"subnet-a"}]}`, p)

	token := *do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).UpdateToken
	// A chain of updates, each with the token of the one before.
	token = *do(w, w.AssociateSubnets, `{"FirewallName":"f","UpdateToken":%q,"SubnetMappings":[{"SubnetId":"subnet-b","IPAddressType":"DUALSTACK"}]}`, token).UpdateToken
	token = *do(w, w.UpdateSubnetChangeProtection, `{"FirewallName":"f","UpdateToken":%q,"SubnetChangeProtection":true}`, token).UpdateToken
	fail(w, w.AssociateSubnets, errOperation, "Unable to change the subnets of the firewall because SubnetChangeProtection is on", `{"FirewallName":"f","SubnetMappings":[{"SubnetId":"subnet-c"}]}`)
	fail(w, w.DisassociateSubnets, errOperation, "Unable to change the subnets", `{"FirewallName":"f","SubnetIds":["subnet-b"]}`)
	token = *do(w, w.UpdateSubnetChangeProtection, `{"FirewallName":"f","UpdateToken":%q,"SubnetChangeProtection":false}`, token).UpdateToken
	fail(w, w.DisassociateSubnets, errInvalid, "SubnetIds is invalid", `{"FirewallName":"f","SubnetIds":["subnet-a","subnet-b"]}`)
	fail(w, w.DisassociateSubnets, errInvalid, "SubnetIds is inaccessible, parameter: [subnet-z], context: SubnetIds[0]", `{"FirewallName":"f","SubnetIds":["subnet-z"]}`)
	token = *do(w, w.DisassociateSubnets, `{"FirewallName":"f","UpdateToken":%q,"SubnetIds":["subnet-b"]}`, token).UpdateToken

	other := w.strictPolicy("other")
	token = *do(w, w.UpdateFirewallPolicyChangeProtection, `{"FirewallName":"f","UpdateToken":%q,"FirewallPolicyChangeProtection":true}`, token).UpdateToken
	fail(w, w.AssociateFirewallPolicy, errOperation, "Unable to change the policy", `{"FirewallName":"f","FirewallPolicyArn":%q}`, other)
	do(w, w.UpdateFirewallPolicyChangeProtection, `{"FirewallName":"f","FirewallPolicyChangeProtection":false}`) // no token: unconditional
	fail(w, w.AssociateFirewallPolicy, errToken, "", `{"FirewallName":"f","FirewallPolicyArn":%q,"UpdateToken":%q}`, other, token)
	do(w, w.AssociateFirewallPolicy, `{"FirewallName":"f","FirewallPolicyArn":%q}`, other)
	do(w, w.DeleteFirewallPolicy, `{"FirewallPolicyArn":%q}`, p)

	if d := do(w, w.UpdateFirewallDescription, `{"FirewallName":"f"}`); d.Description != nil {
		t.Errorf("the description is still %q", *d.Description)
	}
	do(w, w.UpdateFirewallDeleteProtection, `{"FirewallName":"f","DeleteProtection":true}`)
	fail(w, w.DeleteFirewall, errOperation, "Unable to delete the firewall because DeleteProtection is on", `{"FirewallName":"f"}`)
	do(w, w.UpdateFirewallDeleteProtection, `{"FirewallName":"f","DeleteProtection":false}`)
	if s := *do(w, w.DeleteFirewall, `{"FirewallArn":%q}`, *f.FirewallArn).FirewallStatus.Status; s != "DELETING" {
		t.Errorf("status %s", s)
	}
	fail(w, w.DescribeFirewall, errMissing, "", `{"FirewallName":"f"}`)
}

// TestFirewallStatus follows a firewall in two zones from creation over a
// policy change and a rule that a node cannot load.
func TestFirewallStatus(t *testing.T) {
	w := newWorld(t, nil)
	group := w.statefulGroup("g")
	policyARN := w.strictPolicy("p", group)
	w.newFirewall("f", policyARN, "subnet-a", "subnet-b")
	tokens := func() map[string]string {
		return map[string]string{
			policyARN: *do(w, w.DescribeFirewallPolicy, `{"FirewallPolicyArn":%q}`, policyARN).UpdateToken,
			group:     *do(w, w.DescribeRuleGroup, `{"RuleGroupArn":%q}`, group).UpdateToken,
		}
	}
	sync := func(zone, node string, s resource.Sync) {
		s.Node, s.Zone = node, zone
		w.put(w.scope.Sync("f", zone, node), s)
	}
	expect := func(step, status, summary, a, b string) *wire.FirewallStatus {
		t.Helper()
		s := do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).FirewallStatus
		za, zb := s.SyncStates["us-east-1a"], s.SyncStates["us-east-1b"]
		got := fmt.Sprint(*s.Status, " ", *s.ConfigurationSyncStateSummary, " ", *za.Attachment.Status, " ", *zb.Attachment.Status)
		if want := fmt.Sprint(status, " ", summary, " ", a, " ", b); got != want || len(s.SyncStates) != 2 {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
		return s
	}
	s := expect("no node", "PROVISIONING", "PENDING", "CREATING", "CREATING")
	if m := wire.Val(s.SyncStates["us-east-1b"].Attachment.StatusMessage); m != "No engine node serves Availability Zone us-east-1b: start one, or map the subnet to another zone" {
		t.Errorf("message %q", m)
	}
	w.node("us-east-1a", "n1")
	sync("us-east-1a", "n1", resource.Sync{Tokens: tokens()})
	s = expect("one zone served", "PROVISIONING", "PENDING", "READY", "CREATING")
	if c := s.SyncStates["us-east-1a"].Config[group]; *c.SyncStatus != "IN_SYNC" || *c.UpdateToken != tokens()[group] {
		t.Errorf("%+v", c)
	}
	sync("us-east-1b", "gone", resource.Sync{Tokens: tokens()})
	expect("report of a node that is gone", "PROVISIONING", "PENDING", "READY", "CREATING")
	w.node("us-east-1b", "n2")
	sync("us-east-1b", "n2", resource.Sync{Tokens: tokens()})
	expect("both zones served", "READY", "IN_SYNC", "READY", "READY")
	w.node("us-east-1b", "n3")
	expect("a new node", "PROVISIONING", "PENDING", "READY", "CREATING")
	sync("us-east-1b", "n3", resource.Sync{Tokens: tokens()})
	expect("the new node reports", "READY", "IN_SYNC", "READY", "READY")

	do(w, w.UpdateRuleGroup, `{"RuleGroupArn":%q,"UpdateToken":%q,"RuleGroup":{"RulesSource":{"RulesString":"drop tcp any any -> any 1 (sid:1;)"},"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}}}`, group, tokens()[group])
	s = expect("new rules", "PROVISIONING", "PENDING", "READY", "READY")
	if c := s.SyncStates["us-east-1a"].Config; *c[group].SyncStatus != "PENDING" || *c[policyARN].SyncStatus != "IN_SYNC" {
		t.Errorf("%+v", c)
	}
	sync("us-east-1a", "n1", resource.Sync{Tokens: tokens()})
	sync("us-east-1b", "n2", resource.Sync{Tokens: tokens()})
	sync("us-east-1b", "n3", resource.Sync{Tokens: map[string]string{policyARN: "old"}, Error: "rule 1 does not compile"})
	s = expect("a node that cannot load them", "PROVISIONING", "PENDING", "READY", "READY")
	if m := wire.Val(s.SyncStates["us-east-1b"].Attachment.StatusMessage); m != "Engine node n3: rule 1 does not compile" {
		t.Errorf("message %q", m)
	}
	sync("us-east-1b", "n3", resource.Sync{Error: "rule 1 does not compile"})
	expect("a node that never ran anything", "PROVISIONING", "PENDING", "READY", "ERROR")
}

// code is the error code of err, "" for none.
func code(err error) string {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// race runs f n times at once and returns the codes of the outcomes.
func race(n int, f func(i int) error) map[string]int {
	var wait sync.WaitGroup
	codes := make([]string, n)
	for i := range n {
		wait.Go(func() { codes[i] = code(f(i)) })
	}
	wait.Wait()
	counts := map[string]int{}
	for _, c := range codes {
		counts[c]++
	}
	return counts
}

func TestOneUpdateWins(t *testing.T) {
	w := newWorld(t, nil)
	w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	for range 5 {
		token := *do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).UpdateToken
		got := race(4, func(i int) error {
			_, err := w.UpdateFirewallDescription(t.Context(), wire.Caller{}, request[wire.UpdateFirewallDescriptionRequest](t, `{"FirewallName":"f","UpdateToken":%q,"Description":"%d"}`, token, i))
			return err
		})
		if got[""] != 1 || got[errToken] != 3 {
			t.Errorf("outcomes %v", got)
		}
	}
}

func TestConcurrentUpdatesWithoutToken(t *testing.T) {
	w := newWorld(t, nil)
	w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	got := race(8, func(i int) error {
		_, err := w.AssociateSubnets(t.Context(), wire.Caller{}, request[wire.AssociateSubnetsRequest](t, `{"FirewallName":"f","SubnetMappings":[{"SubnetId":"subnet-x%d"}]}`, i))
		return err
	})
	if n := len(do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).Firewall.SubnetMappings); got[""] != 8 || n != 9 {
		t.Errorf("outcomes %v, %d subnets", got, n)
	}
}

func TestOneCreateWins(t *testing.T) {
	w := newWorld(t, nil)
	got := race(4, func(int) error {
		_, err := w.CreateFirewallPolicy(t.Context(), wire.Caller{}, request[wire.CreateFirewallPolicyRequest](t, `{"FirewallPolicyName":"p","FirewallPolicy":%s}`, policyJSON()))
		return err
	})
	if got[""] != 1 || got[errInvalid] != 3 {
		t.Errorf("outcomes %v", got)
	}
}

// TestDeleteAgainstUse: a group is deleted while policies that refer to it are
// created. Either the group stays and is referred to, or it goes and nothing
// refers to it.
func TestDeleteAgainstUse(t *testing.T) {
	w := newWorld(t, nil)
	deleted := 0
	for round := range 10 {
		group := w.statefulGroup(fmt.Sprintf("g%d", round))
		race(3, func(i int) error {
			if i == 0 {
				_, err := w.DeleteRuleGroup(context.Background(), wire.Caller{}, request[wire.DeleteRuleGroupRequest](t, `{"RuleGroupArn":%q}`, group))
				return err
			}
			_, err := w.CreateFirewallPolicy(context.Background(), wire.Caller{}, request[wire.CreateFirewallPolicyRequest](t, `{"FirewallPolicyName":"p%d-%d","FirewallPolicy":%s}`, round, i, policyJSON(group)))
			return err
		})
		_, found, err := w.groupByARN(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		uses, err := w.groupUses(t.Context(), &resource.RuleGroup{Kind: resource.Stateful, Meta: resource.Meta{ARN: group, Name: fmt.Sprintf("g%d", round)}})
		if err != nil {
			t.Fatal(err)
		}
		if !found {
			deleted++
		}
		if found != (uses.n > 0) {
			t.Errorf("round %d: the group is there: %v, policies that refer to it: %d", round, found, uses.n)
		}
	}
	t.Logf("the deletion won %d of 10 rounds", deleted)
}

func TestLimitHoldsUnderConcurrency(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.Policies = 3 })
	got := race(8, func(i int) error {
		_, err := w.CreateFirewallPolicy(t.Context(), wire.Caller{}, request[wire.CreateFirewallPolicyRequest](t, `{"FirewallPolicyName":"p%d","FirewallPolicy":%s}`, i, policyJSON()))
		return err
	})
	if n := len(do(w, w.ListFirewallPolicies, `{}`).FirewallPolicies); n != 3 {
		t.Errorf("%d policies, outcomes %v", n, got)
	}
}
