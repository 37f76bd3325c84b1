package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

const (
	errDenied = "AccessDeniedException"
	errOwner  = "ResourceOwnerCheckException"
)

// grants puts a policy on a resource that lets somebody do operations.
func (w *world) grants(arn, who string, operations ...string) {
	w.t.Helper()
	for i, o := range operations {
		operations[i] = fmt.Sprintf("%q", "network-firewall:"+o)
	}
	document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":%q},"Action":[%s],"Resource":%q}]}`, who, strings.Join(operations, ","), arn)
	do(w, w.PutResourcePolicy, `{"ResourceArn":%q,"Policy":%q}`, arn, document)
}

// revokes takes the policy from a resource.
func (w *world) revokes(arn string) {
	w.t.Helper()
	do(w, w.DeleteResourcePolicy, `{"ResourceArn":%q}`, arn)
}

func TestSharedRuleGroup(t *testing.T) {
	owner, user, third := newWorld(t, nil), newWorld(t, nil), newWorld(t, nil)
	group := owner.statefulGroup("g")
	const create = `{"FirewallPolicyName":%q,"FirewallPolicy":%s}`
	update := func(name string, groups ...string) string {
		t.Helper()
		token := *do(user, user.DescribeFirewallPolicy, `{"FirewallPolicyName":%q}`, name).UpdateToken
		return fmt.Sprintf(`{"FirewallPolicyName":%q,"UpdateToken":%q,"FirewallPolicy":%s}`, name, token, policyJSON(groups...))
	}
	uses := func(want int32) {
		t.Helper()
		if n := *do(owner, owner.DescribeRuleGroup, `{"RuleGroupArn":%q}`, group).RuleGroupResponse.NumberOfAssociations; n != want {
			t.Errorf("the group has %d associations, want %d", n, want)
		}
	}

	denied := "User:  is not authorized to perform: network-firewall:CreateFirewallPolicy on resource: " + group + " because no resource-based policy allows the network-firewall:CreateFirewallPolicy action"
	fail(user, user.CreateFirewallPolicy, errDenied, denied, create, "p", policyJSON(group))
	fail(user, user.CreateFirewallPolicy, errDenied, "", create, "p", policyJSON(group+"x"))
	owner.grants(group, third.scope.Account, "CreateFirewallPolicy", "UpdateFirewallPolicy", "ListRuleGroups")
	fail(user, user.CreateFirewallPolicy, errDenied, denied, create, "p", policyJSON(group))
	owner.grants(group, user.scope.Account, "UpdateFirewallPolicy")
	fail(user, user.CreateFirewallPolicy, errDenied, denied, create, "p", policyJSON(group))
	owner.grants(group, user.scope.Account, "CreateFirewallPolicy")
	own := user.statefulGroup("own")
	do(user, user.CreateFirewallPolicy, create, "p", policyJSON(own, group))
	fail(user, user.UpdateFirewallPolicy, errDenied, "User:  is not authorized to perform: network-firewall:UpdateFirewallPolicy", "%s", update("p", group))
	owner.grants(group, user.scope.Account, "CreateFirewallPolicy", "UpdateFirewallPolicy")
	do(user, user.UpdateFirewallPolicy, "%s", update("p", group))
	uses(1)
	do(user, user.CreateFirewallPolicy, create, "q", policyJSON(group))
	uses(2)
	if r := do(user, user.DescribeFirewallPolicy, `{"FirewallPolicyName":"p"}`).FirewallPolicyResponse; *r.ConsumedStatefulRuleCapacity != 100 {
		t.Errorf("the policy takes %d", *r.ConsumedStatefulRuleCapacity)
	}

	// What is in use stays; the end of the share does not end its use.
	fail(owner, owner.DeleteRuleGroup, errOperation, "Unable to delete the object because it is still in use", `{"RuleGroupArn":%q}`, group)
	owner.revokes(group)
	fail(owner, owner.DeleteRuleGroup, errOperation, "Unable to delete the object because it is still in use", `{"RuleGroupArn":%q}`, group)
	uses(2)
	fail(user, user.UpdateFirewallPolicy, errDenied, "", "%s", update("p", group, own))
	fail(user, user.CreateFirewallPolicy, errDenied, "", create, "r", policyJSON(group))
	do(user, user.UpdateFirewallPolicy, "%s", update("p", own))
	uses(1)
	do(user, user.DeleteFirewallPolicy, `{"FirewallPolicyName":"q"}`)
	uses(0)
	do(owner, owner.DeleteRuleGroup, `{"RuleGroupArn":%q}`, group)

	// A new group of that name is not shared by the policy of the old one.
	owner.statefulGroup("g")
	fail(user, user.CreateFirewallPolicy, errDenied, "", create, "r", policyJSON(group))
	fail(user, user.CreateFirewallPolicy, errInvalid, "rule group ARN is invalid", create, "r", policyJSON("arn:aws:network-firewall:us-east-1:aws-managed:stateful-rulegroup/g"))
}

func TestSharedFirewallPolicy(t *testing.T) {
	owner, user := newWorld(t, nil), newWorld(t, nil)
	group := owner.statefulGroup("g")
	shared, own := owner.strictPolicy("p", group), user.strictPolicy("p")
	const (
		create    = `{"FirewallName":%q,"FirewallPolicyArn":%q,"VpcId":"vpc-0a","SubnetMappings":[{"SubnetId":"subnet-a"}]}`
		associate = `{"FirewallName":%q,"FirewallPolicyArn":%q}`
	)
	fail(user, user.CreateFirewall, errDenied, "User:  is not authorized to perform: network-firewall:CreateFirewall on resource: "+shared, create, "f", shared)
	firewall := user.newFirewall("f", own, "subnet-a")
	fail(user, user.AssociateFirewallPolicy, errDenied, "User:  is not authorized to perform: network-firewall:AssociateFirewallPolicy on resource: "+shared, associate, "f", shared)
	owner.grants(shared, "*", "ListFirewallPolicies")
	fail(user, user.AssociateFirewallPolicy, errDenied, "", associate, "f", shared)
	owner.grants(shared, "*", "AssociateFirewallPolicy")
	do(user, user.AssociateFirewallPolicy, associate, "f", shared)
	do(user, user.CreateFirewall, create, "second", shared)
	if n := *do(owner, owner.DescribeFirewallPolicy, `{"FirewallPolicyName":"p"}`).FirewallPolicyResponse.NumberOfAssociations; n != 2 {
		t.Errorf("%d associations, want 2", n)
	}

	// The firewall is in sync when its nodes run the owner's objects.
	tokens := map[string]string{}
	for arn := range do(user, user.DescribeFirewall, `{"FirewallArn":%q}`, firewall).FirewallStatus.SyncStates["us-east-1a"].Config {
		tokens[arn] = *do(user, user.DescribeFirewall, `{"FirewallArn":%q}`, firewall).FirewallStatus.SyncStates["us-east-1a"].Config[arn].UpdateToken
	}
	if len(tokens) != 2 || tokens[shared] == "" || tokens[group] == "" {
		t.Errorf("the firewall is to run %v", tokens)
	}
	user.node("us-east-1a", "n")
	user.put(user.scope.Sync("f", "us-east-1a", "n"), resource.Sync{Node: "n", Zone: "us-east-1a", Tokens: tokens})
	if s := *do(user, user.DescribeFirewall, `{"FirewallArn":%q}`, firewall).FirewallStatus.Status; s != "READY" {
		t.Errorf("the firewall is %s", s)
	}

	owner.revokes(shared)
	fail(owner, owner.DeleteFirewallPolicy, errOperation, "Unable to delete the object because it is still in use", `{"FirewallPolicyName":"p"}`)
	do(user, user.DeleteFirewall, `{"FirewallName":"second"}`)
	fail(owner, owner.DeleteFirewallPolicy, errOperation, "Unable to delete the object because it is still in use", `{"FirewallPolicyName":"p"}`)
	do(user, user.AssociateFirewallPolicy, associate, "f", own)
	do(owner, owner.DeleteFirewallPolicy, `{"FirewallPolicyName":"p"}`)
}

func TestSharedFirewall(t *testing.T) {
	owner, user := newWorld(t, nil), newWorld(t, nil)
	firewall := owner.newFirewall("f", owner.strictPolicy("p"), "subnet-a", "subnet-b")
	user.newFirewall("f", user.strictPolicy("p"), "subnet-a") // the same name, and nothing to do with it
	const create = `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-b"}}`
	fail(user, user.CreateVpcEndpointAssociation, errDenied, "User:  is not authorized to perform: network-firewall:CreateVpcEndpointAssociation on resource: "+firewall, create, firewall)
	fail(user, user.DescribeFirewallMetadata, errDenied, "User:  is not authorized to perform: network-firewall:DescribeFirewallMetadata", `{"FirewallArn":%q}`, firewall)
	owner.grants(firewall, user.scope.Account, "CreateVpcEndpointAssociation", "DescribeFirewallMetadata")

	m := do(user, user.DescribeFirewallMetadata, `{"FirewallArn":%q}`, firewall)
	if *m.FirewallArn != firewall || len(m.SupportedAvailabilityZones) != 2 || *m.Status != "PROVISIONING" {
		t.Errorf("%+v", m)
	}
	created := do(user, user.CreateVpcEndpointAssociation, create, firewall).VpcEndpointAssociation
	association := *created.VpcEndpointAssociationArn
	if a, _ := parseARN(association); a.account != user.scope.Account || *created.FirewallArn != firewall {
		t.Errorf("created %+v", created)
	}
	if n := *do(owner, owner.DescribeFirewall, `{"FirewallArn":%q}`, firewall).Firewall.NumberOfAssociations; n != 1 {
		t.Errorf("the firewall has %d associations", n)
	}
	if n := *do(user, user.DescribeFirewall, `{"FirewallName":"f"}`).Firewall.NumberOfAssociations; n != 0 {
		t.Errorf("the other firewall of that name has %d associations", n)
	}
	for w, want := range map[*world]int{owner: 0, user: 1} {
		if n := len(do(w, w.ListVpcEndpointAssociations, `{"FirewallArn":%q}`, firewall).VpcEndpointAssociations); n != want {
			t.Errorf("account %s lists %d associations, want %d", w.scope.Account, n, want)
		}
	}
	owner.node("us-east-1b", "n")
	owner.put(owner.scope.Sync("f", "us-east-1b", "n"), resource.Sync{Node: "n", Zone: "us-east-1b", Attached: []string{association}})
	if s := do(user, user.DescribeVpcEndpointAssociation, `{"VpcEndpointAssociationArn":%q}`, association).VpcEndpointAssociationStatus; *s.Status != "READY" {
		t.Errorf("the association is %+v", s)
	}
	if a := do(owner, owner.DescribeFirewall, `{"FirewallArn":%q}`, firewall).FirewallStatus.SyncStates["us-east-1b"].Attachment; a.StatusMessage != nil {
		t.Errorf("the firewall does not know the endpoint: %s", *a.StatusMessage)
	}

	// Flow operations are the owner's, on any endpoint of the firewall.
	const flush = `{"FirewallArn":%q,"VpcEndpointAssociationArn":%q,` + anyFlow + `}`
	fail(user, user.StartFlowFlush, errMissing, "", flush, firewall, association)
	id := *do(owner, owner.StartFlowFlush, flush, firewall, association).FlowOperationId
	if d := do(owner, owner.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q}`, firewall, id); *d.AvailabilityZone != "us-east-1b" {
		t.Errorf("%+v", d)
	}
	elsewhere := *do(user, user.CreateVpcEndpointAssociation, `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-a"}}`,
		user.newFirewall("g", user.strictPolicy("q"), "subnet-a")).VpcEndpointAssociation.VpcEndpointAssociationArn
	fail(owner, owner.StartFlowFlush, errMissing, "", flush, firewall, elsewhere)

	// What is in use stays, and the end of the share does not end its use.
	owner.revokes(firewall)
	fail(user, user.CreateVpcEndpointAssociation, errDenied, "", create, firewall)
	fail(owner, owner.DeleteFirewall, errOperation, "Unable to delete the firewall because "+association+" is associated with it", `{"FirewallArn":%q}`, firewall)
	fail(owner, owner.DisassociateSubnets, errOperation, "Unable to take Availability Zone us-east-1b from the firewall because "+association, `{"FirewallArn":%q,"SubnetIds":["subnet-b"]}`, firewall)
	fail(owner, owner.DeleteVpcEndpointAssociation, errMissing, "", `{"VpcEndpointAssociationArn":%q}`, association)
	do(user, user.DeleteVpcEndpointAssociation, `{"VpcEndpointAssociationArn":%q}`, association)
	do(owner, owner.DeleteFirewall, `{"FirewallArn":%q}`, firewall)
}

// TestSharedLists: what others share comes after what is the account's own, over
// any number of pages.
func TestSharedLists(t *testing.T) {
	first, second, user := newWorld(t, nil), newWorld(t, nil), newWorld(t, nil)
	var want struct{ groups, policies, firewalls []string }
	for _, w := range []*world{user, first, second} {
		for _, name := range []string{"a", "b"} {
			group := w.statefulGroup(name)
			policy := w.strictPolicy(name)
			firewall := w.newFirewall(name, policy, "subnet-a")
			if w != user && name == "b" {
				w.grants(group, user.scope.Account, "CreateFirewallPolicy") // but not to list it
				continue
			}
			if w != user {
				w.grants(group, user.scope.Account, "ListRuleGroups")
				w.grants(policy, user.scope.Account, "ListFirewallPolicies")
				w.grants(firewall, user.scope.Account, "ListFirewalls")
			}
			want.groups, want.policies, want.firewalls = append(want.groups, group), append(want.policies, policy), append(want.firewalls, firewall)
		}
	}
	for size := 1; size <= 5; size++ {
		pages := func(page func(next string) ([]string, *string)) (all []string) {
			next := ""
			for {
				arns, token := page(next)
				if len(arns) > size || token != nil && len(arns) != size {
					t.Errorf("a page of %d has %d", size, len(arns))
				}
				if all = append(all, arns...); token == nil {
					return all
				}
				next = fmt.Sprintf(`,"NextToken":%q`, *token)
			}
		}
		groups := pages(func(next string) (arns []string, token *string) {
			out := do(user, user.ListRuleGroups, `{"MaxResults":%d%s}`, size, next)
			for _, g := range out.RuleGroups {
				arns = append(arns, *g.Arn)
			}
			return arns, out.NextToken
		})
		policies := pages(func(next string) (arns []string, token *string) {
			out := do(user, user.ListFirewallPolicies, `{"MaxResults":%d%s}`, size, next)
			for _, p := range out.FirewallPolicies {
				arns = append(arns, *p.Arn)
			}
			return arns, out.NextToken
		})
		firewalls := pages(func(next string) (arns []string, token *string) {
			out := do(user, user.ListFirewalls, `{"MaxResults":%d%s}`, size, next)
			for _, f := range out.Firewalls {
				arns = append(arns, *f.FirewallArn)
			}
			return arns, out.NextToken
		})
		if !slices.Equal(groups, want.groups) || !slices.Equal(policies, want.policies) || !slices.Equal(firewalls, want.firewalls) {
			t.Errorf("by %d:\n%q\n%q\n%q", size, groups, policies, firewalls)
		}
	}
	// Only what is of the type that is asked for, and only as long as it is shared.
	if n := len(do(user, user.ListRuleGroups, `{"Type":"STATELESS"}`).RuleGroups); n != 0 {
		t.Errorf("%d stateless groups", n)
	}
	first.revokes(want.groups[2])
	if n := len(do(user, user.ListRuleGroups, `{"Type":"STATEFUL"}`).RuleGroups); n != 3 {
		t.Errorf("%d groups after the end of a share, want 3", n)
	}
	second.grants(want.groups[3], first.scope.Account, "ListRuleGroups")
	if n := len(do(user, user.ListRuleGroups, `{}`).RuleGroups); n != 2 {
		t.Errorf("%d groups after a share moved on, want 2", n)
	}
}

// TestAuthorizeShared: what callers may do to what they name of other accounts.
func TestAuthorizeShared(t *testing.T) {
	owner, user := newWorld(t, nil), newWorld(t, nil)
	anna := wire.Caller{Account: user.scope.Account, UserARN: "arn:aws:iam::" + user.scope.Account + ":user/anna"}
	firewall := owner.newFirewall("f", owner.strictPolicy("p"), "subnet-a")
	association := *do(owner, owner.CreateVpcEndpointAssociation, `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-a"}}`, firewall).VpcEndpointAssociation.VpcEndpointAssociationArn
	ask := func(operation, arn string, foreign bool, want string) {
		t.Helper()
		got, err := user.AuthorizeShared(t.Context(), anna, operation, arn)
		if got != foreign || code(err) != want {
			t.Errorf("%s on %s: %v, %v, want %v, %s", operation, arn, got, err, foreign, want)
		}
	}
	// None of these is another account's here.
	for _, arn := range []string{
		"*", "", user.arn(typeFirewall, "f"), strings.Replace(firewall, "us-east-1", "eu-west-1", 1), "arn:aws:network-firewall:us-east-1:aws-managed:stateful-rulegroup/x", "arn:aws:ec2:us-east-1:123456789012:subnet/s",
	} {
		ask("DescribeFirewall", arn, false, "")
	}
	for _, operation := range []string{"DescribeFirewall", "DescribeFirewallMetadata", "UpdateFirewallDeleteProtection", "TagResource", "PutResourcePolicy", "StartFlowFlush"} {
		ask(operation, firewall, true, errDenied)
		ask(operation, firewall+"x", true, errDenied) // no word on what is there
	}
	owner.grants(firewall, anna.UserARN, "DescribeFirewallMetadata")
	ask("DescribeFirewallMetadata", firewall, true, "")
	for operation, want := range map[string]string{
		"DescribeFirewall": errDenied, "CreateVpcEndpointAssociation": errDenied, "DeleteFirewall": errDenied, "StartFlowFlush": errDenied, "DeleteResourcePolicy": errDenied,
		"UpdateFirewallDeleteProtection": errOwner, "UpdateSubnetChangeProtection": errOwner, "UpdateFirewallPolicyChangeProtection": errOwner,
		"UpdateFirewallEncryptionConfiguration": errOwner, "UpdateAvailabilityZoneChangeProtection": errOwner,
	} {
		ask(operation, firewall, true, want)
	}
	// One user of the account, and no other.
	for _, arn := range []string{"arn:aws:iam::" + user.scope.Account + ":user/ben", rootOf(user.scope.Account)} {
		if _, err := user.AuthorizeShared(t.Context(), wire.Caller{Account: user.scope.Account, UserARN: arn}, "DescribeFirewallMetadata", firewall); code(err) != errDenied {
			t.Errorf("%s: %v", arn, err)
		}
	}
	for _, who := range []string{"*", user.scope.Account, rootOf(user.scope.Account)} {
		owner.grants(firewall, who, "DescribeFirewallMetadata")
		ask("DescribeFirewallMetadata", firewall, true, "")
	}
	owner.grants(firewall, rootOf(owner.scope.Account), "DescribeFirewallMetadata")
	ask("DescribeFirewallMetadata", firewall, true, errDenied)

	// Names that only select among the caller's own.
	ask("ListVpcEndpointAssociations", firewall, false, "")
	ask("StartFlowFlush", association, false, "")
	for _, operation := range []string{"DescribeVpcEndpointAssociation", "DeleteVpcEndpointAssociation", "TagResource"} {
		ask(operation, association, true, errDenied)
	}
}

// rootOf is the ARN of an account as a whole.
func rootOf(account string) string { return "arn:aws:iam::" + account + ":root" }

// TestShareAgainstUse: the owner ends a share and deletes the group while others
// begin to use it. Whoever comes first: no policy refers to a group that is gone.
func TestShareAgainstUse(t *testing.T) {
	owner, user := newWorld(t, nil), newWorld(t, nil)
	deleted := 0
	for round := range 10 {
		name := fmt.Sprintf("g%d", round)
		group := owner.statefulGroup(name)
		owner.grants(group, user.scope.Account, "CreateFirewallPolicy")
		race(3, func(i int) error {
			if i == 0 {
				_, err := owner.DeleteRuleGroup(context.Background(), wire.Caller{}, request[wire.DeleteRuleGroupRequest](t, `{"RuleGroupArn":%q}`, group))
				return err
			}
			_, err := user.CreateFirewallPolicy(context.Background(), wire.Caller{}, request[wire.CreateFirewallPolicyRequest](t, `{"FirewallPolicyName":"p%d-%d","FirewallPolicy":%s}`, round, i, policyJSON(group)))
			return err
		})
		_, found, err := owner.groupByARN(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		refer := 0
		policies, _, err := list[resource.FirewallPolicy](t.Context(), user.Control, user.scope.FirewallPolicies())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range policies {
			if slices.Contains(groupsOf(p.Value.Doc), group) {
				refer++
			}
		}
		noted, err := db.Keys(t.Context(), owner.scope.Uses(typeStateful, name), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if found != (refer > 0) || len(noted.KVs) != refer {
			t.Errorf("round %d: the group is there: %v, policies that refer to it: %d, notes of them: %d", round, found, refer, len(noted.KVs))
		}
		if !found {
			deleted++
		}
	}
	t.Logf("the deletion won %d of 10 rounds", deleted)
}
