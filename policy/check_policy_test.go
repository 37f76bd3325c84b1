package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// groups is the world of these tests: the ARN of a group says all about it.
func lookupGroup(arn string) (GroupFacts, error) {
	var kind, order string
	var capacity, n int
	if _, err := fmt.Sscanf(arn, "%s %s %d %d", &kind, &order, &capacity, &n); err != nil {
		return GroupFacts{}, wire.InvalidRequestException("rule group ARN does not exist")
	}
	return GroupFacts{Kind: kind, RuleOrder: order, Capacity: capacity, Consumed: n}, nil
}

func reference(kind, order string, capacity, n int, more string) string {
	return fmt.Sprintf(`{"ResourceArn":"%s %s %d %d"%s}`, kind, order, capacity, n, more)
}

func policyDoc(t *testing.T, members string) *wire.FirewallPolicy {
	t.Helper()
	if !strings.Contains(members, "StatelessDefaultActions") {
		members = `"StatelessDefaultActions":["aws:pass"],` + members
	}
	if !strings.Contains(members, "StatelessFragmentDefaultActions") {
		members = `"StatelessFragmentDefaultActions":["aws:drop"],` + members
	}
	doc := new(wire.FirewallPolicy)
	if err := wire.Decode([]byte("{"+strings.TrimSuffix(members, ",")+"}"), doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

const (
	strictOptions = `"StatefulEngineOptions":{"RuleOrder":"STRICT_ORDER"},`
	strictOrder   = wire.RuleOrderStrictOrder
	actionOrder   = wire.RuleOrderDefaultActionOrder
)

func TestFirewallPolicyRefused(t *testing.T) {
	many := func(n int, f func(i int) string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = f(i)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	priority := func(i int) string { return fmt.Sprintf(`,"Priority":%d`, i) }
	cases := []struct{ name, members, want string }{
		{"no default action", `"StatelessDefaultActions":[]`, "StatelessDefaultActions cannot be null or empty, context: StatelessDefaultActions"},
		{"no fragment default action", `"StatelessFragmentDefaultActions":[]`, "StatelessFragmentDefaultActions cannot be null or empty, context: StatelessFragmentDefaultActions"},
		{"two fragment default actions", `"StatelessFragmentDefaultActions":["aws:pass","aws:drop"]`, "StatelessFragmentDefaultActions cannot exist together, parameter: [aws:pass, aws:drop]"},
		{"two default actions", `"StatelessDefaultActions":["aws:pass","aws:drop"]`, "StatelessDefaultActions cannot exist together, parameter: [aws:pass, aws:drop]"},
		{"undefined custom action", `"StatelessFragmentDefaultActions":["aws:pass","X"]`, "StatelessFragmentDefaultActions is invalid, parameter: [X], context: StatelessFragmentDefaultActions"},
		{"other rule order", strictOptions + `"StatefulRuleGroupReferences":[` + reference(KindStateful, actionOrder, 1, 1, priority(1)) + `]`,
			"ResourceArn has invalid rule order, parameter: [stateful DEFAULT_ACTION_ORDER 1 1], context: StatefulRuleGroupReferences[0].ResourceArn"},
		{"stateful defaults in action order", `"StatefulDefaultActions":["aws:drop_strict"]`, "StatefulDefaultActions has invalid rule order, parameter: [DEFAULT_ACTION_ORDER], context: StatefulDefaultActions"},
		{"two drops", strictOptions + `"StatefulDefaultActions":["aws:drop_strict","aws:drop_established"]`, "StatefulDefaultActions cannot exist together, parameter: [aws:drop_strict, aws:drop_established], context: StatefulDefaultActions"},
		{"two families", strictOptions + `"StatefulDefaultActions":["aws:drop_established","aws:alert_established_app_layer"]`, "StatefulDefaultActions cannot exist together, parameter: [aws:drop_established, aws:alert_established_app_layer], context: StatefulDefaultActions"},
		{"two families, to server", strictOptions + `"StatefulDefaultActions":["aws:alert_strict","aws:alert_established_app_layer_to_server","aws:alert_established"]`, "StatefulDefaultActions cannot exist together, parameter: [aws:alert_established_app_layer_to_server, aws:alert_established], context: StatefulDefaultActions"},
		{"unknown default", strictOptions + `"StatefulDefaultActions":["aws:pass"]`, "StatefulDefaultActions is invalid, parameter: [aws:pass], context: StatefulDefaultActions"},
		{"priority missing", strictOptions + `"StatefulRuleGroupReferences":[` + reference(KindStateful, strictOrder, 1, 1, "") + `]`, "Priority cannot be null, context: StatefulRuleGroupReferences[0]"},
		{"priority unwanted", `"StatefulRuleGroupReferences":[` + reference(KindStateful, actionOrder, 1, 1, priority(1)) + `]`, "Priority cannot be provided, context: StatefulRuleGroupReferences[0]"},
		{"stateful priority twice", strictOptions + `"StatefulRuleGroupReferences":[` + reference(KindStateful, strictOrder, 1, 1, priority(1)) + `,` + reference(KindStateful, strictOrder, 1, 2, priority(1)) + `]`,
			"Priority has duplicate values, parameter: [1], context: StatefulRuleGroupReferences[Priority=1]"},
		{"stateless priority twice", `"StatelessRuleGroupReferences":[` + reference(KindStateless, "-", 1, 1, priority(1)) + `,` + reference(KindStateless, "-", 1, 2, priority(1)) + `]`,
			"Priority has duplicate values, parameter: [1], context: StatelessRuleGroupReferences[Priority=1]"},
		{"21 stateful groups", `"StatefulRuleGroupReferences":` + many(21, func(i int) string { return reference(KindStateful, actionOrder, 1, i, "") }),
			"StatefulRuleGroupReferences limit exceeded, parameter: [21], context: StatefulRuleGroupReferences"},
		{"21 stateless groups", `"StatelessRuleGroupReferences":` + many(21, func(i int) string { return reference(KindStateless, "-", 1, i, priority(i+1)) }),
			"StatelessRuleGroupReferences limit exceeded, parameter: [21], context: StatelessRuleGroupReferences"},
		{"stateless capacity", `"StatelessRuleGroupReferences":` + many(4, func(i int) string { return reference(KindStateless, "-", 10000, i, priority(i+1)) }),
			"StatelessRuleGroupReferences capacity exceeded, parameter: [40000], context: StatelessRuleGroupReferences"},
		{"stateful capacity", `"StatefulRuleGroupReferences":` + many(2, func(i int) string { return reference(KindStateful, actionOrder, 30000, i, "") }),
			"StatefulRuleGroupReferences capacity exceeded, parameter: [60000], context: StatefulRuleGroupReferences"},
		{"other variable", `"PolicyVariables":{"RuleVariables":{"MYNET":{"Definition":["10.0.0.0/8"]}}}`, "RuleVariables is invalid, parameter: [MYNET], context: PolicyVariables.RuleVariables.IPSet.MYNET"},
		{"EXTERNAL_NET", `"PolicyVariables":{"RuleVariables":{"EXTERNAL_NET":{"Definition":["10.0.0.0/8"]}}}`, "RuleVariables is invalid, parameter: [EXTERNAL_NET], context: PolicyVariables.RuleVariables.IPSet.EXTERNAL_NET"},
		{"override of an own group", `"StatefulRuleGroupReferences":[` + reference(KindStateful, actionOrder, 1, 1, `,"Override":{"Action":"DROP_TO_ALERT"}`) + `]`, "rule group must be a managed resource"},
		{"group of the other type", `"StatefulRuleGroupReferences":[` + reference(KindStateless, "-", 1, 1, "") + `]`, "rule group ARN is of incorrect entity type, parameter: [stateless - 1 1]"},
		{"missing group", `"StatefulRuleGroupReferences":[{"ResourceArn":"gone"}]`, "rule group ARN does not exist"},
		{"group twice", `"StatefulRuleGroupReferences":` + many(2, func(int) string { return reference(KindStateful, actionOrder, 1, 1, "") }),
			"ResourceArn has duplicate values, parameter: [stateful DEFAULT_ACTION_ORDER 1 1], context: StatefulRuleGroupReferences[1].ResourceArn"},
		{"TLS inspection", `"TLSInspectionConfigurationArn":"arn:aws:x"`, "TLSInspectionConfigurationArn is unsupported: the engine does not decrypt TLS yet, parameter: [arn:aws:x], context: TLSInspectionConfigurationArn"},
		{"session holding alone", `"EnableTLSSessionHolding":true`, "TLSInspectionConfigurationArn value is required when EnableTLSSessionHolding is true."},
		{"idle timeout", `"StatefulEngineOptions":{"FlowTimeouts":{"TcpIdleTimeoutSeconds":59}}`, "TcpIdleTimeoutSeconds is not within the bound, parameter: [59], context: StatefulEngineOptions.FlowTimeouts.TcpIdleTimeoutSeconds"},
		{"eleven custom actions", `"StatelessCustomActions":[` + customActions(11) + `]`, "ActionDefinition limit exceeded, parameter: [11], context: StatelessCustomActions"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := CheckFirewallPolicy(policyDoc(t, c.members), lookupGroup)
			refused(t, err, c.want)
		})
	}
}

func TestFirewallPolicyAccepted(t *testing.T) {
	doc := policyDoc(t, `"StatelessDefaultActions":["Count","aws:forward_to_sfe"],"StatelessCustomActions":[{"ActionName":"Count","ActionDefinition":{"PublishMetricAction":{"Dimensions":[{"Value":"v"}]}}}],
		"StatefulEngineOptions":{"RuleOrder":"STRICT_ORDER","FlowTimeouts":{"TcpIdleTimeoutSeconds":6000}},
		"StatefulDefaultActions":["aws:drop_strict","aws:alert_strict","aws:alert_established"],
		"PolicyVariables":{"RuleVariables":{"HOME_NET":{"Definition":["10.0.0.0/8","2001:db8::/32"]}}},
		"StatelessRuleGroupReferences":[`+reference(KindStateless, "-", 50, 1, `,"Priority":1`)+`],
		"StatefulRuleGroupReferences":[`+reference(KindStateful, strictOrder, 200, 1, `,"Priority":1`)+`,`+reference(KindStateful, strictOrder, 100, 2, `,"Priority":2`)+`,`+reference(KindStatefulDomain, strictOrder, 100, 7, `,"Priority":3`)+`]`)
	use, err := CheckFirewallPolicy(doc, lookupGroup)
	if err != nil || use != (PolicyUse{Stateless: 50, Stateful: 300, Domains: 7}) {
		t.Errorf("%+v, %v", use, err)
	}
}
