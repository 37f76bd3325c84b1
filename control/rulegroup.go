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

// groupKinds are the kinds of rule group in the order of their keys.
var groupKinds = []string{resource.StatefulDomain, resource.Stateful, resource.Stateless}

// kindOf maps a rule group's type in the API to its kind.
func kindOf(t *string) (string, error) {
	if t == nil {
		return "", invalid("Type cannot be null, context: Type")
	}
	for _, kind := range groupKinds {
		if typeOf(kind) == *t {
			return kind, nil
		}
	}
	return "", invalid("Type is unsupported, parameter: [%s], context: Type", *t)
}

// typeOf is a kind of rule group as the API writes it.
func typeOf(kind string) string { return strings.ToUpper(strings.ReplaceAll(kind, "-", "_")) }

// ruleGroupDoc returns the document of a request that gives it as RuleGroup or
// as Rules. AWS: Rules always means a rules string in action order.
func ruleGroupDoc(doc *wire.RuleGroup, rules *string) (*wire.RuleGroup, error) {
	if (doc == nil) == (rules == nil) {
		return nil, invalid("RuleGroup, Rules must set exactly one of them")
	}
	if rules != nil {
		return &wire.RuleGroup{RulesSource: &wire.RulesSource{RulesString: rules}}, nil
	}
	return doc, nil
}

// CreateRuleGroup creates a rule group, or with DryRun only says what it would
// answer.
func (c *Control) CreateRuleGroup(ctx context.Context, caller wire.Caller, in *wire.CreateRuleGroupRequest) (*wire.CreateRuleGroupResponse, error) {
	kind, err := kindOf(in.Type)
	if err != nil {
		return nil, err
	}
	doc, err := ruleGroupDoc(in.RuleGroup, in.Rules)
	if err != nil {
		return nil, err
	}
	capacity := int(wire.Val(in.Capacity))
	consumed, err := policy.CheckRuleGroup(kind, doc, capacity, c.o.RuleCheck)
	if err != nil {
		return nil, err
	}
	if err := checkSummary(kind, in.SummaryConfiguration); err != nil {
		return nil, err
	}
	meta, err := c.newMeta(kind+groupSuffix, wire.Val(in.RuleGroupName), in.Description, in.Tags, in.EncryptionConfiguration)
	if err != nil {
		return nil, err
	}
	g := resource.RuleGroup{
		Meta: meta, Kind: kind, Capacity: capacity, Consumed: consumed, Doc: doc,
		Source: in.SourceMetadata, Summary: in.SummaryConfiguration,
	}
	limit := c.o.Limits.StatefulGroups
	if kind == resource.Stateless {
		limit = c.o.Limits.StatelessGroups
	}
	err = c.change(ctx, func(t *store.Txn) error {
		r, found, err := read[resource.RuleGroup](ctx, c, c.scope.RuleGroup(kind, g.Name))
		if err != nil {
			return err
		}
		if found {
			return errExists()
		}
		if err := c.withinLimit(ctx, t, c.scope.RuleGroups(kind), "RuleGroups", limit); err != nil || wire.Val(in.DryRun) {
			*t = store.Txn{}
			return err
		}
		r.value = g
		replace(t, &r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !wire.Val(in.DryRun) {
		c.audit(ctx, caller, "CreateRuleGroup", g.ARN)
	}
	response := ruleGroupResponse(&g, 0, wire.Val(in.AnalyzeRuleGroup))
	response.Tags = g.Tags // AWS: left out on create when there are none
	return &wire.CreateRuleGroupResponse{RuleGroupResponse: response, UpdateToken: &g.UpdateToken}, nil
}

// ruleGroupResponse describes g, which uses policies refer to.
func ruleGroupResponse(g *resource.RuleGroup, uses int, analyze bool) *wire.RuleGroupResponse {
	r := &wire.RuleGroupResponse{
		RuleGroupArn: &g.ARN, RuleGroupName: &g.Name, RuleGroupId: &g.ID, Description: g.Description,
		Type: wire.Ptr(typeOf(g.Kind)), Capacity: count(g.Capacity), ConsumedCapacity: count(g.Consumed),
		RuleGroupStatus: wire.Ptr(wire.ResourceStatusActive), Tags: tagsOf(&g.Meta), NumberOfAssociations: count(uses),
		EncryptionConfiguration: encryption(&g.Meta), LastModifiedTime: modified(&g.Meta),
		SourceMetadata: g.Source, SummaryConfiguration: g.Summary,
	}
	if analyze {
		r.AnalysisResults = policy.AnalyzeStateless(g.Doc)
	}
	return r
}

// ruleGroup reads the group that a request names.
func (c *Control) ruleGroup(ctx context.Context, arnText, name, groupType *string) (record[resource.RuleGroup], error) {
	byName := ""
	if arnText == nil || groupType != nil {
		kind, err := kindOf(groupType)
		if err != nil {
			return record[resource.RuleGroup]{}, err
		}
		byName = kind + groupSuffix
	}
	arnKind, found, err := c.nameOf("RuleGroup", arnText, name, byName, groupTypes...)
	if err != nil {
		return record[resource.RuleGroup]{}, err
	}
	if byName != "" && arnKind != byName {
		return record[resource.RuleGroup]{}, invalid("RuleGroupArn, Type are not of the same resource, parameter: [%s, %s]", *arnText, *groupType)
	}
	r, ok, err := read[resource.RuleGroup](ctx, c, c.key(arnKind, found))
	if err == nil && !ok {
		err = notFound(c.arn(arnKind, found))
	}
	return r, err
}

// groupUses counts the policies that refer to the group, those of other accounts
// included.
func (c *Control) groupUses(ctx context.Context, g *resource.RuleGroup) (usage, error) {
	u, err := c.countPolicies(ctx, func(doc *wire.FirewallPolicy) bool { return slices.Contains(groupsOf(doc), g.ARN) })
	if err != nil {
		return u, err
	}
	return u, c.addUsesElsewhere(ctx, &u, g.Kind+groupSuffix, g.Name)
}

// DescribeRuleGroup returns a rule group.
func (c *Control) DescribeRuleGroup(ctx context.Context, _ wire.Caller, in *wire.DescribeRuleGroupRequest) (*wire.DescribeRuleGroupResponse, error) {
	r, err := c.ruleGroup(ctx, in.RuleGroupArn, in.RuleGroupName, in.Type)
	if err != nil {
		return nil, err
	}
	g := &r.value
	uses, err := c.groupUses(ctx, g)
	if err != nil {
		return nil, err
	}
	return &wire.DescribeRuleGroupResponse{
		RuleGroup: g.Doc, RuleGroupResponse: ruleGroupResponse(g, uses.n, wire.Val(in.AnalyzeRuleGroup)), UpdateToken: &g.UpdateToken,
	}, nil
}

// DescribeRuleGroupMetadata returns what a rule group is, without its rules.
func (c *Control) DescribeRuleGroupMetadata(ctx context.Context, _ wire.Caller, in *wire.DescribeRuleGroupMetadataRequest) (*wire.DescribeRuleGroupMetadataResponse, error) {
	r, err := c.ruleGroup(ctx, in.RuleGroupArn, in.RuleGroupName, in.Type)
	if err != nil {
		return nil, err
	}
	g := &r.value
	out := &wire.DescribeRuleGroupMetadataResponse{
		RuleGroupArn: &g.ARN, RuleGroupName: &g.Name, Description: g.Description, Type: wire.Ptr(typeOf(g.Kind)),
		Capacity: count(g.Capacity), LastModifiedTime: modified(&g.Meta),
	}
	if g.Kind != resource.Stateless {
		out.StatefulRuleOptions = &wire.StatefulRuleOptions{RuleOrder: wire.Ptr(policy.RuleOrderOf(g.Doc))}
	}
	return out, nil
}

// UpdateRuleGroup replaces the rules of a group. Name, type, capacity and rule
// order stay for life.
func (c *Control) UpdateRuleGroup(ctx context.Context, caller wire.Caller, in *wire.UpdateRuleGroupRequest) (*wire.UpdateRuleGroupResponse, error) {
	doc, err := ruleGroupDoc(in.RuleGroup, in.Rules)
	if err != nil {
		return nil, err
	}
	var g *resource.RuleGroup
	err = c.change(ctx, func(t *store.Txn) error {
		r, err := c.ruleGroup(ctx, in.RuleGroupArn, in.RuleGroupName, in.Type)
		if err != nil {
			return err
		}
		g = &r.value
		if err := checkToken(in.UpdateToken, &g.Meta); err != nil {
			return err
		}
		order := policy.RuleOrderOf(g.Doc)
		if in.Rules != nil && order == wire.RuleOrderStrictOrder {
			return invalid("parameter is invalid")
		}
		consumed, err := policy.CheckRuleGroup(g.Kind, doc, g.Capacity, c.o.RuleCheck)
		if err != nil {
			return err
		}
		if err := checkSummary(g.Kind, in.SummaryConfiguration); err != nil {
			return err
		}
		if now := policy.RuleOrderOf(doc); g.Kind != resource.Stateless && now != order {
			return invalid("%s", quoted("StatefulRuleOptions has invalid rule order", now, "StatefulRuleOptions.RuleOrder"))
		}
		g.Doc, g.Consumed, g.Description = doc, consumed, in.Description
		if in.SourceMetadata != nil {
			g.Source = in.SourceMetadata
		}
		if in.SummaryConfiguration != nil {
			g.Summary = in.SummaryConfiguration
		}
		if err := setEncryption(&g.Meta, in.EncryptionConfiguration); err != nil {
			return err
		}
		if wire.Val(in.DryRun) {
			return nil
		}
		c.touch(&g.Meta)
		replace(t, &r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !wire.Val(in.DryRun) {
		c.audit(ctx, caller, "UpdateRuleGroup", g.ARN)
	}
	uses, err := c.groupUses(ctx, g)
	if err != nil {
		return nil, err
	}
	return &wire.UpdateRuleGroupResponse{
		RuleGroupResponse: ruleGroupResponse(g, uses.n, wire.Val(in.AnalyzeRuleGroup)), UpdateToken: &g.UpdateToken,
	}, nil
}

// DeleteRuleGroup deletes a rule group that no policy refers to.
func (c *Control) DeleteRuleGroup(ctx context.Context, caller wire.Caller, in *wire.DeleteRuleGroupRequest) (*wire.DeleteRuleGroupResponse, error) {
	var g *resource.RuleGroup
	err := c.change(ctx, func(t *store.Txn) error {
		r, err := c.ruleGroup(ctx, in.RuleGroupArn, in.RuleGroupName, in.Type)
		if err != nil {
			return err
		}
		g = &r.value
		uses, err := c.groupUses(ctx, g)
		if err != nil {
			return err
		}
		if err := deleteUnused(t, &r, &uses); err != nil {
			return err
		}
		t.Delete(c.scope.ResourcePolicy(g.Kind+groupSuffix, g.Name))
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "DeleteRuleGroup", g.ARN)
	response := ruleGroupResponse(g, 0, false)
	response.RuleGroupStatus = wire.Ptr(wire.ResourceStatusDeleting)
	response.ConsumedCapacity = nil // AWS: left out on delete
	return &wire.DeleteRuleGroupResponse{RuleGroupResponse: response}, nil
}

// ListRuleGroups returns the rule groups in order of kind and name, then those that
// others share. There are no managed ones.
func (c *Control) ListRuleGroups(ctx context.Context, caller wire.Caller, in *wire.ListRuleGroupsRequest) (*wire.ListRuleGroupsResponse, error) {
	kinds := groupKinds
	if in.Type != nil {
		kind, err := kindOf(in.Type)
		if err != nil {
			return nil, err
		}
		kinds = []string{kind}
	}
	p, err := newPager("ListRuleGroups", in.NextToken, in.MaxResults, wire.Val(in.Scope), wire.Val(in.Type), wire.Val(in.ManagedType), wire.Val(in.SubscriptionStatus))
	if err != nil {
		return nil, err
	}
	out := &wire.ListRuleGroupsResponse{RuleGroups: []wire.RuleGroupMetadata{}}
	if wire.Val(in.Scope) == wire.ResourceManagedStatusManaged {
		return out, nil
	}
	var found, others []named
	for _, kind := range kinds {
		own, more, err := c.groupsAfter(ctx, p, kind, p.size-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, own...)
		if more {
			last, _ := parseARN(found[len(found)-1].arn)
			out.NextToken = p.next(c.keyOfARN(last))
			break
		}
		shared, err := c.sharedWith(ctx, caller, "ListRuleGroups", kind+groupSuffix)
		if err != nil {
			return nil, err
		}
		others = append(others, shared...)
	}
	if out.NextToken == nil {
		found, out.NextToken = pageOfShared(p, found, others)
	}
	for _, g := range found {
		out.RuleGroups = append(out.RuleGroups, wire.RuleGroupMetadata{Name: &g.name, Arn: &g.arn})
	}
	return out, nil
}

// groupsAfter returns up to n own rule groups of a kind that come after the page
// before, and whether there are more.
func (c *Control) groupsAfter(ctx context.Context, p pager, kind string, n int) (found []named, more bool, err error) {
	if isARN(p.after) {
		return nil, false, nil
	}
	prefix := c.scope.RuleGroups(kind)
	// One more than fits tells whether there is a next page.
	page, err := c.store.Keys(ctx, prefix, p.after, n+1)
	if err != nil {
		return nil, false, storeError(err)
	}
	for _, kv := range page.KVs[:min(n, len(page.KVs))] {
		name := strings.TrimPrefix(kv.Key, prefix)
		found = append(found, named{name, c.arn(kind+groupSuffix, name)})
	}
	return found, len(page.KVs) > n, nil
}
