package control

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// shareable are the operations that a resource policy may grant, by ARN type.
// AWS: those that its reference names for PutResourcePolicy, now or earlier.
var shareable = map[string][]string{
	typeFirewall: {"CreateVpcEndpointAssociation", "DescribeFirewallMetadata", "ListFirewalls"},
	typePolicy:   {"AssociateFirewallPolicy", "ListFirewallPolicies", "CreateFirewall", "UpdateFirewall"},
	typeStateful: {"CreateFirewallPolicy", "UpdateFirewallPolicy", "ListRuleGroups"},
}

// shareableOf are the operations that may be granted on a resource of a type.
func shareableOf(kind string) []string {
	if slices.Contains(groupTypes, kind) {
		kind = typeStateful
	}
	return shareable[kind]
}

// sharedTypes are the ARN types that can have a resource policy.
var sharedTypes = append([]string{typeFirewall, typePolicy}, groupTypes...)

// PutResourcePolicy says which other accounts may use a firewall, a policy or a
// rule group, in place of what was said before.
func (c *Control) PutResourcePolicy(ctx context.Context, caller wire.Caller, in *wire.PutResourcePolicyRequest) (*wire.PutResourcePolicyResponse, error) {
	kind, name, err := c.nameOf("Resource", in.ResourceArn, nil, "", sharedTypes...)
	if err != nil {
		return nil, err
	}
	p := resource.ResourcePolicy{ARN: c.arn(kind, name), Text: wire.Val(in.Policy)}
	if _, err := parseResourcePolicy(p.Text, p.ARN, kind); err != nil {
		return nil, err
	}
	err = c.change(ctx, func(t *store.Txn) error {
		kv, err := c.store.Get(ctx, c.key(kind, name))
		if errors.Is(err, store.ErrNotFound) {
			return notFound(p.ARN)
		}
		if err != nil {
			return storeError(err)
		}
		t.IfRev(kv.Key, kv.Rev)
		t.Put(c.scope.ResourcePolicy(kind, name), &p, 0)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "PutResourcePolicy", p.ARN)
	return &wire.PutResourcePolicyResponse{}, nil
}

// resourcePolicy reads the policy of the resource with the ARN.
func (c *Control) resourcePolicy(ctx context.Context, arnText *string) (record[resource.ResourcePolicy], bool, error) {
	kind, name, err := c.nameOf("Resource", arnText, nil, "", sharedTypes...)
	if err != nil {
		return record[resource.ResourcePolicy]{}, false, err
	}
	return read[resource.ResourcePolicy](ctx, c, c.scope.ResourcePolicy(kind, name))
}

// DescribeResourcePolicy returns the policy of a resource that has one.
func (c *Control) DescribeResourcePolicy(ctx context.Context, _ wire.Caller, in *wire.DescribeResourcePolicyRequest) (*wire.DescribeResourcePolicyResponse, error) {
	r, found, err := c.resourcePolicy(ctx, in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("policy of " + *in.ResourceArn)
	}
	return &wire.DescribeResourcePolicyResponse{Policy: &r.value.Text}, nil
}

// DeleteResourcePolicy takes the policy from a resource that has one.
func (c *Control) DeleteResourcePolicy(ctx context.Context, caller wire.Caller, in *wire.DeleteResourcePolicyRequest) (*wire.DeleteResourcePolicyResponse, error) {
	err := c.change(ctx, func(t *store.Txn) error {
		r, found, err := c.resourcePolicy(ctx, in.ResourceArn)
		if err != nil {
			return err
		}
		if !found {
			return notFound("policy of " + *in.ResourceArn)
		}
		t.IfRev(r.key, r.rev)
		t.Delete(r.key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.audit(ctx, caller, "DeleteResourcePolicy", *in.ResourceArn)
	return &wire.DeleteResourcePolicyResponse{}, nil
}

// principal is who a statement may be about: an account, a user or a role in it,
// or everybody.
var principal = regexp.MustCompile(`^(\*|[0-9]{12}|arn:aws:iam::[0-9]{12}:(root|(user|role)/[\w+=,.@/-]{1,576}))$`)

// parseResourcePolicy returns what a document grants as the policy of the resource
// with the ARN, which is of the ARN type kind, or says why it must not become that.
// What it cannot mean exactly is refused, such as conditions: a policy must not
// grant more than it says. Time and memory are linear in the document, which the API
// model bounds.
func parseResourcePolicy(text, arn, kind string) ([]grant, error) {
	var tree any
	if err := wire.Decode([]byte(text), &tree); err != nil {
		return nil, badPolicy("Policy", "is not valid JSON")
	}
	doc, err := members("Policy", tree, "Version", "Id", "Statement")
	if err != nil {
		return nil, err
	}
	if v, given := doc["Version"]; given && v != "2012-10-17" {
		return nil, badPolicy("Version", `must be "2012-10-17"`)
	}
	list, isList := doc["Statement"].([]any)
	if !isList {
		list = []any{doc["Statement"]}
	}
	if len(list) == 0 {
		return nil, badPolicy("Statement", "is empty")
	}
	grants := make([]grant, len(list))
	for i, s := range list {
		if grants[i], err = parseStatement(fmt.Sprintf("Statement[%d]", i), s, arn, kind); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

// unmatched is AWS's word on operations that cannot be shared; what follows says more.
const unmatched = "The supplied policy does not match RAM managed permissions. "

func parseStatement(at string, tree any, arn, kind string) (g grant, err error) {
	s, err := members(at, tree, "Sid", "Effect", "Principal", "Action", "Resource")
	if err != nil {
		return g, err
	}
	if s["Effect"] != "Allow" {
		return g, badPolicy(at+".Effect", `must be "Allow"`)
	}
	who := s["Principal"]
	if m, ok := who.(map[string]any); ok {
		if len(m) != 1 || m["AWS"] == nil {
			return g, badPolicy(at+".Principal", "must have the member AWS only")
		}
		who = m["AWS"]
	}
	g.principals, err = each(at+".Principal", who, func(p string) string {
		if !principal.MatchString(p) {
			return "is no account, user or role"
		}
		return ""
	})
	if err != nil {
		return g, err
	}
	actions, err := each(unmatched+at+".Action", s["Action"], func(action string) string {
		operation, ours := strings.CutPrefix(action, "network-firewall:")
		if !ours || !slices.Contains(shareableOf(kind), operation) {
			return "cannot be shared for a " + kind
		}
		return ""
	})
	if err != nil {
		return g, err
	}
	for _, action := range actions {
		g.operations = append(g.operations, strings.TrimPrefix(action, "network-firewall:"))
	}
	_, err = each(at+".Resource", s["Resource"], func(r string) string {
		if r != arn {
			return "is not the resource of this policy"
		}
		return ""
	})
	return g, err
}

// members returns tree as an object that has no other members than these.
func members(at string, tree any, names ...string) (map[string]any, error) {
	m, ok := tree.(map[string]any)
	if !ok {
		return nil, badPolicy(at, "must be an object")
	}
	for name := range m {
		if !slices.Contains(names, name) {
			return nil, badPolicy(at, fmt.Sprintf("must have no other members than %s", strings.Join(names, ", ")))
		}
	}
	return m, nil
}

// each demands a text or a list of some, asks of each what is wrong with it, and
// returns them.
func each(at string, tree any, wrong func(string) string) ([]string, error) {
	list, isList := tree.([]any)
	if !isList {
		list = []any{tree}
	}
	if len(list) == 0 {
		return nil, badPolicy(at, "is empty")
	}
	texts := make([]string, len(list))
	for i, v := range list {
		text, ok := v.(string)
		if !ok {
			return nil, badPolicy(at, "must be a text or a list of texts")
		}
		if problem := wrong(text); problem != "" {
			return nil, wire.InvalidResourcePolicyException("%s %s, parameter: [%s]", at, problem, text)
		}
		texts[i] = text
	}
	return texts, nil
}

func badPolicy(at, problem string) error {
	return wire.InvalidResourcePolicyException("%s %s", at, problem)
}
