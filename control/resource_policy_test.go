package control

import (
	"fmt"
	"strings"
	"testing"
)

const errPolicy = "InvalidResourcePolicyException"

// share is a policy document that grants the actions on the resource to another
// account.
func share(arn, actions string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":%s,"Resource":%q}}`, actions, arn)
}

func TestResourcePolicies(t *testing.T) {
	w := newWorld(t, nil)
	group := w.statefulGroup("g")
	policy := w.strictPolicy("p")
	firewall := w.newFirewall("f", policy, "subnet-a")
	const put = `{"ResourceArn":%q,"Policy":%q}`
	for _, c := range []struct{ arn, actions string }{
		{group, `["network-firewall:CreateFirewallPolicy","network-firewall:UpdateFirewallPolicy","network-firewall:ListRuleGroups"]`},
		{policy, `["network-firewall:AssociateFirewallPolicy","network-firewall:ListFirewallPolicies"]`},
		{firewall, `["network-firewall:CreateVpcEndpointAssociation","network-firewall:DescribeFirewallMetadata","network-firewall:ListFirewalls"]`},
	} {
		fail(w, w.DescribeResourcePolicy, errMissing, "", `{"ResourceArn":%q}`, c.arn)
		fail(w, w.DeleteResourcePolicy, errMissing, "", `{"ResourceArn":%q}`, c.arn)
		fail(w, w.PutResourcePolicy, errMissing, "", put, c.arn+"x", share(c.arn+"x", c.actions))
		fail(w, w.PutResourcePolicy, errPolicy, "Statement[0].Resource is not the resource of this policy", put, c.arn, share(c.arn+"x", c.actions))
		fail(w, w.PutResourcePolicy, errPolicy, "The supplied policy does not match RAM managed permissions. Statement[0].Action cannot be shared", put, c.arn, share(c.arn, `"network-firewall:DeleteFirewall"`))
		do(w, w.PutResourcePolicy, put, c.arn, share(c.arn, c.actions))
		if got := *do(w, w.DescribeResourcePolicy, `{"ResourceArn":%q}`, c.arn).Policy; got != share(c.arn, c.actions) {
			t.Errorf("got %s", got)
		}
	}
	fail(w, w.PutResourcePolicy, errInvalid, "Resource ARN is of incorrect entity type", put, strings.Replace(policy, "firewall-policy", "tls-configuration", 1), "{}")
	// A policy goes with its resource, and does not come back with a new one.
	do(w, w.DeleteResourcePolicy, `{"ResourceArn":%q}`, group)
	do(w, w.PutResourcePolicy, put, group, share(group, `"network-firewall:ListRuleGroups"`))
	do(w, w.DeleteFirewall, `{"FirewallArn":%q}`, firewall)
	do(w, w.DeleteFirewallPolicy, `{"FirewallPolicyArn":%q}`, policy)
	do(w, w.DeleteRuleGroup, `{"RuleGroupArn":%q}`, group)
	w.statefulGroup("g")
	w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	for _, arn := range []string{group, policy, firewall} {
		fail(w, w.DescribeResourcePolicy, errMissing, "The resource policy of", `{"ResourceArn":%q}`, arn)
	}
}

// parsed says what is wrong with a document.
func parsed(text, arn, kind string) error {
	_, err := parseResourcePolicy(text, arn, kind)
	return err
}

func TestParseResourcePolicy(t *testing.T) {
	const arn = "arn:aws:network-firewall:us-east-1:123456789012:firewall-policy/p"
	const good = `"Effect":"Allow","Principal":"*","Action":["network-firewall:AssociateFirewallPolicy"],"Resource":["` + arn + `"]`
	replace := func(old, replacement string) string {
		return `{"Statement":[{` + strings.Replace(good, old, replacement, 1) + `}]}`
	}
	for _, c := range []struct{ document, want string }{
		{replace("", ""), ""},
		{replace(`"*"`, `{"AWS":["arn:aws:iam::123456789012:root","123456789012","arn:aws:iam::123456789012:role/a/b"]}`), ""},
		{`{"Id":"x","Statement":{"Sid":"x",` + good + `}}`, ""},
		{`x`, "Policy is not valid JSON"},
		{`[]`, "Policy must be an object"},
		{`{}`, "Statement[0] must be an object"},
		{`{"Statement":[]}`, "Statement is empty"},
		{`{"Statement":[{` + good + `}],"Statement":[]}`, "Policy is not valid JSON"},
		{`{"statement":[{` + good + `}]}`, "Policy must have no other members"},
		{`{"Version":"2008-10-17","Statement":[{` + good + `}]}`, `Version must be "2012-10-17"`},
		{`{"Statement":[{` + good + `},7]}`, "Statement[1] must be an object"},
		{replace(`"Effect"`, `"Condition":{},"Effect"`), "Statement[0] must have no other members"},
		{replace(`"Principal"`, `"NotPrincipal"`), "Statement[0] must have no other members"},
		{replace("Allow", "Deny"), `Statement[0].Effect must be "Allow"`},
		{replace(`"*"`, `{"Service":"ram.amazonaws.com"}`), "Statement[0].Principal must have the member AWS only"},
		{replace(`"*"`, `{"AWS":"x"}`), "Statement[0].Principal is no account, user or role, parameter: [x]"},
		{replace(`"*"`, `{"AWS":[]}`), "Statement[0].Principal is empty"},
		{replace(`"Principal":"*",`, ""), "Statement[0].Principal must be a text or a list of texts"},
		{replace("AssociateFirewallPolicy", "*"), "The supplied policy does not match RAM managed permissions. Statement[0].Action cannot be shared for a firewall-policy, parameter: [network-firewall:*]"},
		{replace(`"network-firewall:`, `"iam:`), "The supplied policy does not match RAM managed permissions. Statement[0].Action cannot be shared"},
		{replace(`["`+arn+`"]`, `["`+arn+`","*"]`), "Statement[0].Resource is not the resource of this policy, parameter: [*]"},
	} {
		err := parsed(c.document, arn, typePolicy)
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || c.want == "" || !strings.HasPrefix(err.Error(), errPolicy+": "+c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", c.document, err, c.want)
		}
	}
}

func FuzzParseResourcePolicy(f *testing.F) {
	const arn = "arn:aws:network-firewall:us-east-1:123456789012:stateful-rulegroup/g"
	f.Add(share(arn, `"network-firewall:ListRuleGroups"`))
	f.Add(`{"Statement":[{}]}`)
	f.Fuzz(func(t *testing.T, document string) {
		if parsed(document, arn, typeStateful) == nil && !strings.Contains(document, "Statement") {
			t.Errorf("%q was taken", document)
		}
	})
}
