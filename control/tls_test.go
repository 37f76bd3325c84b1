package control

import (
	"fmt"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

const tlsDoc = `{"ServerCertificateConfigurations":[{"ServerCertificates":[{"ResourceArn":"arn:aws:acm:us-east-1:123456789012:certificate/a"}],"CertificateAuthorityArn":"arn:aws:acm:us-east-1:123456789012:certificate/ca","Scopes":[{"Sources":[{"AddressDefinition":"10.0.0.0/8"}]}]}]}`

func TestTLSConfigurationLife(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Limits.TLSConfigurations = 2 })
	const create = `{"TLSInspectionConfigurationName":%q,"TLSInspectionConfiguration":%s}`
	fail(w, w.CreateTLSInspectionConfiguration, errInvalid, "Exactly one ServerCertificateConfiguration must be set", create, "c", `{}`)
	created := do(w, w.CreateTLSInspectionConfiguration, `{"TLSInspectionConfigurationName":"c","Description":"d","TLSInspectionConfiguration":%s}`, tlsDoc)
	r := created.TLSInspectionConfigurationResponse
	if want := "arn:aws:network-firewall:us-east-1:" + w.scope.Account + ":tls-configuration/c"; *r.TLSInspectionConfigurationArn != want {
		t.Errorf("ARN %s, want %s", *r.TLSInspectionConfigurationArn, want)
	}
	if r.Tags != nil || *r.TLSInspectionConfigurationStatus != "ACTIVE" || *r.NumberOfAssociations != 0 || len(r.Certificates) != 1 || r.CertificateAuthority == nil {
		t.Errorf("created %+v", r)
	}
	fail(w, w.CreateTLSInspectionConfiguration, errInvalid, "A resource with the specified name already exists", create, "c", tlsDoc)
	do(w, w.CreateTLSInspectionConfiguration, create, "b", tlsDoc)
	fail(w, w.CreateTLSInspectionConfiguration, "LimitExceededException", "TLSInspectionConfigurations limit exceeded, parameter: [2]", create, "x", tlsDoc)

	arn := *r.TLSInspectionConfigurationArn
	d := do(w, w.DescribeTLSInspectionConfiguration, `{"TLSInspectionConfigurationArn":%q}`, arn)
	if *d.UpdateToken != *created.UpdateToken || len(d.TLSInspectionConfiguration.ServerCertificateConfigurations) != 1 || *d.TLSInspectionConfigurationResponse.Description != "d" {
		t.Errorf("%+v", d)
	}
	fail(w, w.DescribeTLSInspectionConfiguration, errMissing, "", `{"TLSInspectionConfigurationName":"gone"}`)
	fail(w, w.DescribeTLSInspectionConfiguration, errInvalid, "TLSInspectionConfigurationArn, TLSInspectionConfigurationName cannot be null", `{}`)

	const update = `{"TLSInspectionConfigurationName":%q,"UpdateToken":%q,"TLSInspectionConfiguration":%s}`
	fail(w, w.UpdateTLSInspectionConfiguration, errMissing, "", update, "gone", *d.UpdateToken, tlsDoc)
	fail(w, w.UpdateTLSInspectionConfiguration, errInvalid, "Exactly one", update, "c", *d.UpdateToken, `{}`)
	updated := do(w, w.UpdateTLSInspectionConfiguration, update, "c", *d.UpdateToken, tlsDoc)
	if *updated.UpdateToken == *d.UpdateToken || updated.TLSInspectionConfigurationResponse.Description != nil {
		t.Errorf("%+v", updated.TLSInspectionConfigurationResponse)
	}
	fail(w, w.UpdateTLSInspectionConfiguration, errToken, "", update, "c", *d.UpdateToken, tlsDoc)

	do(w, w.TagResource, `{"ResourceArn":%q,"Tags":[{"Key":"a","Value":""}]}`, arn)
	first := do(w, w.ListTLSInspectionConfigurations, `{"MaxResults":1}`)
	second := do(w, w.ListTLSInspectionConfigurations, `{"MaxResults":1,"NextToken":%q}`, *first.NextToken)
	if *first.TLSInspectionConfigurations[0].Name != "b" || *second.TLSInspectionConfigurations[0].Arn != arn || second.NextToken != nil {
		t.Errorf("%+v %+v", first, second)
	}

	fail(w, w.CreateFirewallPolicy, errInvalid, "TLSInspectionConfigurationArn is unsupported: the engine does not decrypt TLS yet, parameter: ["+arn+"]",
		`{"FirewallPolicyName":"p","FirewallPolicy":{"StatelessDefaultActions":["aws:pass"],"StatelessFragmentDefaultActions":["aws:pass"],"TLSInspectionConfigurationArn":%q}}`, arn)
	// Something else than this API may have written a policy that refers to it.
	w.put(w.scope.FirewallPolicy("p"), resource.FirewallPolicy{Doc: &wire.FirewallPolicy{TLSInspectionConfigurationArn: &arn}})
	fail(w, w.DeleteTLSInspectionConfiguration, errOperation, "Unable to delete the object because it is still in use", `{"TLSInspectionConfigurationArn":%q}`, arn)
	if err := db.Delete(t.Context(), w.scope.FirewallPolicy("p")); err != nil {
		t.Fatal(err)
	}
	if s := *do(w, w.DeleteTLSInspectionConfiguration, `{"TLSInspectionConfigurationArn":%q}`, arn).TLSInspectionConfigurationResponse.TLSInspectionConfigurationStatus; s != "DELETING" {
		t.Errorf("status %s", s)
	}
	fail(w, w.DeleteTLSInspectionConfiguration, errMissing, "", `{"TLSInspectionConfigurationArn":%q}`, arn)
}

func TestDomainGroups(t *testing.T) {
	w := newWorld(t, nil)
	const list = `{"RulesSource":{"RulesSourceList":{"Targets":[%s],"TargetTypes":["TLS_SNI","HTTP_HOST"],"GeneratedRulesType":"ALLOWLIST"}},"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}}`
	two := fmt.Sprintf(list, `"a.example",".b.example"`)
	fail(w, w.CreateRuleGroup, errInvalid, "Targets capacity exceeded, parameter: [2]", `{"RuleGroupName":"g","Type":"STATEFUL_DOMAIN","Capacity":1,"RuleGroup":%s}`, two)
	fail(w, w.CreateRuleGroup, errInvalid, "RulesSourceList cannot be null", `{"RuleGroupName":"g","Type":"STATEFUL_DOMAIN","Capacity":1,"Rules":""}`)
	g := do(w, w.CreateRuleGroup, `{"RuleGroupName":"g","Type":"STATEFUL_DOMAIN","Capacity":9,"RuleGroup":%s}`, two)
	arn := *g.RuleGroupResponse.RuleGroupArn
	if want := "arn:aws:network-firewall:us-east-1:" + w.scope.Account + ":stateful-domain-rulegroup/g"; arn != want || *g.RuleGroupResponse.ConsumedCapacity != 2 || *g.RuleGroupResponse.Type != "STATEFUL_DOMAIN" {
		t.Errorf("%+v", g.RuleGroupResponse)
	}
	// Each kind has names of its own.
	fail(w, w.DescribeRuleGroup, errMissing, "", `{"RuleGroupName":"g","Type":"STATEFUL"}`)
	fail(w, w.DescribeRuleGroup, errInvalid, "RuleGroupArn, Type are not of the same resource", `{"RuleGroupArn":%q,"Type":"STATEFUL"}`, arn)
	stateful := w.statefulGroup("g")
	w.strictPolicy("p", stateful, arn)
	d := do(w, w.DescribeFirewallPolicy, `{"FirewallPolicyName":"p"}`).FirewallPolicyResponse
	if *d.ConsumedStatefulDomainCapacity != 2 || *d.ConsumedStatefulRuleCapacity != 100 {
		t.Errorf("%+v", d)
	}
	fail(w, w.DeleteRuleGroup, errOperation, "Unable to delete the object because it is still in use", `{"RuleGroupName":"g","Type":"STATEFUL_DOMAIN"}`)
	fail(w, w.UpdateRuleGroup, errToken, "", `{"RuleGroupArn":%q,"UpdateToken":"00000000-0000-0000-0000-000000000000","RuleGroup":%s}`, arn, two)
	fail(w, w.UpdateRuleGroup, errInvalid, "StatefulRuleOptions has invalid rule order", `{"RuleGroupArn":%q,"UpdateToken":%q,"RuleGroup":{"RulesSource":{"RulesSourceList":{"Targets":["a.example"],"TargetTypes":["TLS_SNI"],"GeneratedRulesType":"ALLOWLIST"}}}}`, arn, *g.UpdateToken)
	do(w, w.UpdateRuleGroup, `{"RuleGroupArn":%q,"UpdateToken":%q,"RuleGroup":%s}`, arn, *g.UpdateToken, fmt.Sprintf(list, `"a.example"`))
	if n := *do(w, w.DescribeFirewallPolicy, `{"FirewallPolicyName":"p"}`).FirewallPolicyResponse.ConsumedStatefulDomainCapacity; n != 1 {
		t.Errorf("%d domains", n)
	}
	first := do(w, w.ListRuleGroups, `{"MaxResults":1}`)
	second := do(w, w.ListRuleGroups, `{"MaxResults":1,"NextToken":%q}`, *first.NextToken)
	if *first.RuleGroups[0].Arn != arn || *second.RuleGroups[0].Arn != stateful || second.NextToken != nil {
		t.Errorf("%+v %+v", first, second)
	}
	if l := do(w, w.ListRuleGroups, `{"Type":"STATEFUL_DOMAIN"}`).RuleGroups; len(l) != 1 || *l[0].Arn != arn {
		t.Errorf("%+v", l)
	}
	do(w, w.TagResource, `{"ResourceArn":%q,"Tags":[{"Key":"a","Value":""}]}`, arn)
}

func TestRuleGroupSummary(t *testing.T) {
	w := newWorld(t, nil)
	const create = `{"RuleGroupName":"g","Type":"STATEFUL","Capacity":10,"Description":"d","Rules":"pass tcp any any -> any 1 (msg:\"one\"; metadata:a b; sid:1;)\npass tcp any any -> any 2 (sid:2;)"}`
	token := *do(w, w.CreateRuleGroup, create).UpdateToken
	none := do(w, w.DescribeRuleGroupSummary, `{"RuleGroupName":"g","Type":"STATEFUL"}`)
	if *none.RuleGroupName != "g" || *none.Description != "d" || none.Summary.RuleSummaries == nil || len(none.Summary.RuleSummaries) != 0 {
		t.Errorf("%+v", none)
	}
	do(w, w.UpdateRuleGroup, `{"RuleGroupName":"g","Type":"STATEFUL","UpdateToken":%q,"Rules":"pass tcp any any -> any 1 (msg:\"one\"; metadata:a b; sid:1;)\npass tcp any any -> any 2 (sid:2;)","SummaryConfiguration":{"RuleOptions":["SID","METADATA"]}}`, token)
	rules := do(w, w.DescribeRuleGroupSummary, `{"RuleGroupName":"g","Type":"STATEFUL"}`).Summary.RuleSummaries
	if len(rules) != 2 || *rules[0].SID != "1" || *rules[0].Metadata != "a b" || rules[0].Msg != nil || *rules[1].SID != "2" || rules[1].Metadata != nil {
		t.Errorf("%+v", rules)
	}
	if c := do(w, w.DescribeRuleGroup, `{"RuleGroupName":"g","Type":"STATEFUL"}`).RuleGroupResponse.SummaryConfiguration; len(c.RuleOptions) != 2 {
		t.Errorf("%+v", c)
	}
	const stateless = `{"RuleGroupName":"g","Type":"STATELESS","Capacity":10,"RuleGroup":{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[]}}}%s}`
	fail(w, w.CreateRuleGroup, errInvalid, "SummaryConfiguration cannot be provided", stateless, `,"SummaryConfiguration":{}`)
	do(w, w.CreateRuleGroup, stateless, "")
	fail(w, w.DescribeRuleGroupSummary, errInvalid, "Type is unsupported, parameter: [STATELESS]", `{"RuleGroupName":"g","Type":"STATELESS"}`)
	fail(w, w.DescribeRuleGroupSummary, errMissing, "", `{"RuleGroupName":"gone","Type":"STATEFUL"}`)
}

// TestAnalyzeRuleGroup: each of the three operations analyzes when asked to.
func TestAnalyzeRuleGroup(t *testing.T) {
	w := newWorld(t, nil)
	const group = `"RuleGroup":{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[{"Priority":10,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"10.0.0.0/8"}]},"Actions":["aws:pass"]}}]}}}`
	for _, c := range []struct {
		asked string
		want  int
	}{{`,"AnalyzeRuleGroup":true`, 1}, {"", 0}} {
		created := do(w, w.CreateRuleGroup, `{"RuleGroupName":"g%d","Type":"STATELESS","Capacity":10,%s%s}`, c.want, group, c.asked)
		described := do(w, w.DescribeRuleGroup, `{"RuleGroupName":"g%d","Type":"STATELESS"%s}`, c.want, c.asked)
		updated := do(w, w.UpdateRuleGroup, `{"RuleGroupName":"g%d","Type":"STATELESS","UpdateToken":%q,%s%s}`, c.want, *created.UpdateToken, group, c.asked)
		for _, r := range []*wire.RuleGroupResponse{created.RuleGroupResponse, described.RuleGroupResponse, updated.RuleGroupResponse} {
			if len(r.AnalysisResults) != c.want {
				t.Errorf("asked %q: %+v", c.asked, r.AnalysisResults)
			}
		}
	}
}
