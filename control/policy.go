package control

import (
	"context"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// groupsOf returns the ARNs of the rule groups that a policy refers to.
func groupsOf(doc *wire.FirewallPolicy) []string {
	var arns []string
	for _, ref := range doc.StatelessRuleGroupReferences {
		arns = append(arns, wire.Val(ref.ResourceArn))
	}
	for _, ref := range doc.StatefulRuleGroupReferences {
		arns = append(arns, wire.Val(ref.ResourceArn))
	}
	return arns
}

// checkPolicy checks a policy document for an operation. It adds to t that the
// groups that it refers to are still there, and for it to refer to, when t is
// committed.
func (c *Control) checkPolicy(ctx context.Context, t *store.Txn, caller wire.Caller, operation string, doc *wire.FirewallPolicy) (policy.PolicyUse, error) {
	return policy.CheckFirewallPolicy(doc, func(text string) (policy.GroupFacts, error) {
		a, ok := parseARN(text)
		switch {
		case !ok:
			return policy.GroupFacts{}, invalid("Resource ARN has an invalid format, parameter: [%s]", text)
		case !slices.Contains(groupTypes, a.kind):
			return policy.GroupFacts{}, invalid("rule group ARN is of incorrect entity type, parameter: [%s]", text)
		case !c.reachableARN(a):
			return policy.GroupFacts{}, invalid("rule group ARN is invalid, parameter: [%s]", text)
		}
		if err := c.shared(ctx, t, caller, operation, a, text); err != nil {
			return policy.GroupFacts{}, err
		}
		r, found, err := c.groupByARN(ctx, text)
		if err != nil {
			return policy.GroupFacts{}, err
		}
		if !found {
			return policy.GroupFacts{}, invalid("rule group ARN does not exist, parameter: [%s]", text)
		}
		t.IfRev(r.key, r.rev)
		return factsOf(&r.value), nil
	})
}

// factsOf is what a policy that refers to g has to know of it.
func factsOf(g *resource.RuleGroup) policy.GroupFacts {
	return policy.GroupFacts{Kind: g.Kind, RuleOrder: policy.RuleOrderOf(g.Doc), Capacity: g.Capacity, Consumed: g.Consumed}
}

// groupByARN reads a rule group that a policy refers to.
func (c *Control) groupByARN(ctx context.Context, text string) (record[resource.RuleGroup], bool, error) {
	a, _ := parseARN(text)
	return read[resource.RuleGroup](ctx, c, c.keyOfARN(a))
}

// CreateFirewallPolicy creates a firewall policy, or with DryRun only says what
// it would answer.
func (c *Control) CreateFirewallPolicy(ctx context.Context, caller wire.Caller, in *wire.CreateFirewallPolicyRequest) (*wire.CreateFirewallPolicyResponse, error) {
	meta, err := c.newMeta(typePolicy, wire.Val(in.FirewallPolicyName), in.Description, in.Tags, in.EncryptionConfiguration)
	if err != nil {
		return nil, err
	}
	p := resource.FirewallPolicy{Meta: meta, Doc: in.FirewallPolicy}
	var use policy.PolicyUse
	err = c.change(ctx, func(t *store.Txn) error {
		r, found, err := read[resource.FirewallPolicy](ctx, c, c.scope.FirewallPolicy(p.Name))
		if err != nil {
			return err
		}
		if found {
			return errExists()
		}
		if use, err = c.checkPolicy(ctx, t, caller, "CreateFirewallPolicy", p.Doc); err != nil {
			return err
		}
		if err := c.withinLimit(ctx, t, c.scope.FirewallPolicies(), "FirewallPolicies", c.o.Limits.Policies); err != nil {
			return err
		}
		if wire.Val(in.DryRun) {
			return nil
		}
		r.value = p
		replace(t, &r)
		c.noteUses(t, p.ARN, nil, groupsOf(p.Doc))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !wire.Val(in.DryRun) {
		c.audit(ctx, caller, "CreateFirewallPolicy", p.ARN)
	}
	response := policyResponse(&p, use, 0)
	response.Tags = p.Tags // AWS: left out on create when there are none
	return &wire.CreateFirewallPolicyResponse{FirewallPolicyResponse: response, UpdateToken: &p.UpdateToken}, nil
}

// policyResponse describes p, which uses firewalls have.
func policyResponse(p *resource.FirewallPolicy, use policy.PolicyUse, uses int) *wire.FirewallPolicyResponse {
	return &wire.FirewallPolicyResponse{
		FirewallPolicyArn: &p.ARN, FirewallPolicyName: &p.Name, FirewallPolicyId: &p.ID, Description: p.Description,
		FirewallPolicyStatus: wire.Ptr(wire.ResourceStatusActive), Tags: tagsOf(&p.Meta), NumberOfAssociations: count(uses),
		ConsumedStatelessRuleCapacity: count(use.Stateless), ConsumedStatefulRuleCapacity: count(use.Stateful), ConsumedStatefulDomainCapacity: count(use.Domains),
		EncryptionConfiguration: encryption(&p.Meta), LastModifiedTime: modified(&p.Meta),
	}
}

// capacityOf returns what the groups of a stored policy reserve.
func (c *Control) capacityOf(ctx context.Context, doc *wire.FirewallPolicy) (policy.PolicyUse, error) {
	var use policy.PolicyUse
	for _, text := range groupsOf(doc) {
		r, found, err := c.groupByARN(ctx, text)
		if err != nil {
			return use, err
		}
		if found {
			use.Add(factsOf(&r.value))
		}
	}
	return use, nil
}

// firewallPolicy reads the policy that a request names.
func (c *Control) firewallPolicy(ctx context.Context, arnText, name *string) (record[resource.FirewallPolicy], error) {
	_, found, err := c.nameOf("FirewallPolicy", arnText, name, typePolicy, typePolicy)
	if err != nil {
		return record[resource.FirewallPolicy]{}, err
	}
	r, ok, err := read[resource.FirewallPolicy](ctx, c, c.scope.FirewallPolicy(found))
	if err == nil && !ok {
		err = notFound(c.arn(typePolicy, found))
	}
	return r, err
}

// countPolicies counts the policies of the account whose documents are such.
func (c *Control) countPolicies(ctx context.Context, such func(*wire.FirewallPolicy) bool) (usage, error) {
	policies, rev, err := list[resource.FirewallPolicy](ctx, c, c.scope.FirewallPolicies())
	u := usage{seen: []seen{{c.scope.FirewallPolicies(), rev}}}
	for _, p := range policies {
		if such(p.Value.Doc) {
			u.n++
		}
	}
	return u, err
}

// policyUses counts the firewalls that have the policy, those of other accounts
// included.
func (c *Control) policyUses(ctx context.Context, p *resource.FirewallPolicy) (usage, error) {
	firewalls, rev, err := list[resource.Firewall](ctx, c, c.scope.Firewalls())
	if err != nil {
		return usage{}, err
	}
	u := usage{seen: []seen{{c.scope.Firewalls(), rev}}}
	for _, f := range firewalls {
		if f.Value.PolicyARN == p.ARN {
			u.n++
		}
	}
	return u, c.addUsesElsewhere(ctx, &u, typePolicy, p.Name)
}

// DescribeFirewallPolicy returns a firewall policy.
func (c *Control) DescribeFirewallPolicy(ctx context.Context, _ wire.Caller, in *wire.DescribeFirewallPolicyRequest) (*wire.DescribeFirewallPolicyResponse, error) {
	r, err := c.firewallPolicy(ctx, in.FirewallPolicyArn, in.FirewallPolicyName)
	if err != nil {
		return nil, err
	}
	p := &r.value
	response, err := c.describePolicy(ctx, p)
	if err != nil {
		return nil, err
	}
	return &wire.DescribeFirewallPolicyResponse{FirewallPolicy: p.Doc, FirewallPolicyResponse: response, UpdateToken: &p.UpdateToken}, nil
}

func (c *Control) describePolicy(ctx context.Context, p *resource.FirewallPolicy) (*wire.FirewallPolicyResponse, error) {
	uses, err := c.policyUses(ctx, p)
	if err != nil {
		return nil, err
	}
	use, err := c.capacityOf(ctx, p.Doc)
	if err != nil {
		return nil, err
	}
	return policyResponse(p, use, uses.n), nil
}

// UpdateFirewallPolicy replaces a policy's document as a whole. Name and rule
// order stay for life.
func (c *Control) UpdateFirewallPolicy(ctx context.Context, caller wire.Caller, in *wire.UpdateFirewallPolicyRequest) (*wire.UpdateFirewallPolicyResponse, error) {
	var p *resource.FirewallPolicy
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.firewallPolicy(ctx, in.FirewallPolicyArn, in.FirewallPolicyName)
		if err != nil {
			return err
		}
		p = &r.value
		if err := checkToken(in.UpdateToken, &p.Meta); err != nil {
			return err
		}
		if _, err := c.checkPolicy(ctx, t, caller, "UpdateFirewallPolicy", in.FirewallPolicy); err != nil {
			return err
		}
		if now := policy.PolicyRuleOrder(in.FirewallPolicy); now != policy.PolicyRuleOrder(p.Doc) {
			return invalid("%s", quoted("StatefulEngineOptions has invalid rule order", now, "StatefulEngineOptions.RuleOrder"))
		}
		before := groupsOf(p.Doc)
		p.Doc, p.Description = in.FirewallPolicy, in.Description
		if err := setEncryption(&p.Meta, in.EncryptionConfiguration); err != nil {
			return err
		}
		if wire.Val(in.DryRun) {
			return nil
		}
		c.touch(&p.Meta)
		replace(t, &r)
		c.noteUses(t, p.ARN, before, groupsOf(p.Doc))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !wire.Val(in.DryRun) {
		c.audit(ctx, caller, "UpdateFirewallPolicy", p.ARN)
	}
	response, err := c.describePolicy(ctx, p)
	if err != nil {
		return nil, err
	}
	return &wire.UpdateFirewallPolicyResponse{FirewallPolicyResponse: response, UpdateToken: &p.UpdateToken}, nil
}

// DeleteFirewallPolicy deletes a policy that no firewall has.
func (c *Control) DeleteFirewallPolicy(ctx context.Context, caller wire.Caller, in *wire.DeleteFirewallPolicyRequest) (*wire.DeleteFirewallPolicyResponse, error) {
	var p *resource.FirewallPolicy
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.firewallPolicy(ctx, in.FirewallPolicyArn, in.FirewallPolicyName)
		if err != nil {
			return err
		}
		p = &r.value
		uses, err := c.policyUses(ctx, p)
		if err != nil {
			return err
		}
		if err := deleteUnused(t, &r, &uses); err != nil {
			return err
		}
		c.noteUses(t, p.ARN, groupsOf(p.Doc), nil)
		t.Delete(c.scope.ResourcePolicy(typePolicy, p.Name))
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "DeleteFirewallPolicy", p.ARN)
	response := policyResponse(p, policy.PolicyUse{}, 0)
	response.FirewallPolicyStatus = wire.Ptr(wire.ResourceStatusDeleting)
	response.ConsumedStatelessRuleCapacity, response.ConsumedStatefulRuleCapacity, response.ConsumedStatefulDomainCapacity = nil, nil, nil
	return &wire.DeleteFirewallPolicyResponse{FirewallPolicyResponse: response}, nil
}

// ListFirewallPolicies returns the policies in order of their names, then those
// that others share.
func (c *Control) ListFirewallPolicies(ctx context.Context, caller wire.Caller, in *wire.ListFirewallPoliciesRequest) (*wire.ListFirewallPoliciesResponse, error) {
	out := &wire.ListFirewallPoliciesResponse{FirewallPolicies: []wire.FirewallPolicyMetadata{}}
	found, next, err := c.names(ctx, caller, "ListFirewallPolicies", typePolicy, in.NextToken, in.MaxResults)
	for _, f := range found {
		out.FirewallPolicies = append(out.FirewallPolicies, wire.FirewallPolicyMetadata{Name: &f.name, Arn: &f.arn})
	}
	out.NextToken = next
	return out, err
}

// named is a resource in a list.
type named struct{ name, arn string }

// names returns a page of the resources of an ARN type: the account's own in order
// of their names, then those that others let the caller list, in order of accounts.
func (c *Control) names(ctx context.Context, caller wire.Caller, operation, kind string, token *string, size *int32) (found []named, next *string, err error) {
	p, err := newPager(operation, token, size)
	if err != nil {
		return nil, nil, err
	}
	if !isARN(p.after) {
		prefix := c.key(kind, "")
		page, err := c.store.Keys(ctx, prefix, prefix+p.after, p.size)
		if err != nil {
			return nil, nil, storeError(err)
		}
		for _, kv := range page.KVs {
			name := strings.TrimPrefix(kv.Key, prefix)
			found = append(found, named{name, c.arn(kind, name)})
		}
		if page.More {
			return found, p.next(found[len(found)-1].name), nil
		}
	}
	others, err := c.sharedWith(ctx, caller, operation, kind)
	if err != nil {
		return nil, nil, err
	}
	found, next = pageOfShared(p, found, others)
	return found, next, nil
}
