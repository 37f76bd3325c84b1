package conformance_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/onebox"
)

// api speaks to a box in development mode.
type api struct {
	*testing.T
	transport *http.Transport
	url       string
}

// call returns the answer to a request, or the code and text of its error.
func (a *api) call(operation, body string) (answer map[string]any, failure string) {
	a.Helper()
	op := wire.Named(operation)
	if op == nil {
		a.Fatalf("there is no operation %s", operation)
	}
	req, err := post(a.url, op.Target(), []byte(body))
	if err != nil {
		a.Fatal(err)
	}
	resp, err := a.transport.RoundTrip(req)
	if err != nil {
		a.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		a.Fatalf("%q: %v", text, err)
	}
	if resp.StatusCode != http.StatusOK {
		if resp.StatusCode != http.StatusBadRequest {
			a.Errorf("status %s", resp.Status)
		}
		return nil, fmt.Sprintf("%v: %v", answer["__type"], answer["Message"])
	}
	return answer, ""
}

func (a *api) must(operation, body string, args ...any) map[string]any {
	a.Helper()
	answer, failure := a.call(operation, fmt.Sprintf(body, args...))
	if failure != "" {
		a.Fatalf("%s %s: %s", operation, fmt.Sprintf(body, args...), failure)
	}
	return answer
}

// TestMessages asks for every refusal of AWS Network Firewall whose text somebody
// has published. Clients and people search for these texts, so each is exact.
//
// The column "seen" says where: the rule of badmintoncryer/cdk-preflight that
// probed it (pf-networkfirewall-...), an issue of hashicorp/terraform-provider-aws
// (tf#...) or of aws/aws-cli (cli#...), AWS's developer guide (guide), its code for
// CloudFormation (cfn), its Terraform provider (tf), its best practices (practice).
func TestMessages(t *testing.T) {
	box, err := onebox.Start(t.Context(), onebox.Options{Dir: t.TempDir(), Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	a := &api{t, &http.Transport{}, box.URL()}
	defer a.transport.CloseIdleConnections()

	const (
		arn      = prefix
		defaults = `"StatelessDefaultActions":["aws:forward_to_sfe"],"StatelessFragmentDefaultActions":["aws:drop"]`
		strict   = `"StatefulEngineOptions":{"RuleOrder":"STRICT_ORDER"}`
		match    = `"MatchAttributes":{"Sources":[{"AddressDefinition":"10.0.0.0/8"}]}`
		rule     = "StatelessRulesAndCustomActions.StatelessRules[Priority=10].RuleDefinition"
		inUse    = "Unable to delete the object because it is still in use"
		strictly = "RulesString has invalid keywords. Rule groups that use strict order can't have rules that contain the keywords `priority` or `classtype`"
		taken    = "A resource with the specified name already exists"
	)
	group := func(name, kind string, capacity int, doc string) string {
		return fmt.Sprintf(`{"RuleGroupName":%q,"Type":%q,"Capacity":%d,"RuleGroup":{%s}}`, name, kind, capacity, doc)
	}
	source := func(rules string) string { return fmt.Sprintf(`"RulesSource":{"RulesString":%q}`, rules) }
	text := func(rules string) string { return group("new", "STATEFUL", 100, source(rules)) }
	stateless := func(rules, custom string) string {
		return `"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[` + rules + `],"CustomActions":[` + custom + `]}}`
	}
	one := func(attributes, actions string) string {
		return group("new", "STATELESS", 100, stateless(`{"Priority":10,"RuleDefinition":{"MatchAttributes":{`+attributes+`},"Actions":[`+actions+`]}}`, ""))
	}
	domains := func(targets string) string {
		return group("new", "STATEFUL", 100, `"RulesSource":{"RulesSourceList":{"Targets":[`+targets+`],"TargetTypes":["TLS_SNI"],"GeneratedRulesType":"DENYLIST"}}`)
	}
	references := func(n int, arn func(int) string) string {
		var sets []string
		for i := range n {
			sets = append(sets, fmt.Sprintf(`"R%d":{"ReferenceArn":%q}`, i, arn(i)))
		}
		return group("new", "STATEFUL", 100, `"ReferenceSets":{"IPSetReferences":{`+strings.Join(sets, ",")+`}},`+source(""))
	}
	policyOf := func(members string) string {
		return `{"FirewallPolicyName":"new","FirewallPolicy":{` + members + `}}`
	}
	policy := func(members string) string { return policyOf(defaults + "," + members) }
	refs := func(kind string, each ...string) string {
		var all []string
		for _, r := range each {
			name, more, _ := strings.Cut(r, ",")
			if more != "" {
				more = "," + more
			}
			all = append(all, fmt.Sprintf(`{"ResourceArn":%q%s}`, arn+name, more))
		}
		return `"` + kind + `RuleGroupReferences":[` + strings.Join(all, ",") + `]`
	}
	many := func(n int, name string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("%s%d", name, i))
		}
		return list
	}
	rules := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "pass tcp any any -> any %d (sid:%d;)\n", i+1, i+1)
		}
		return b.String()
	}
	customActions := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"ActionName":"a%d","ActionDefinition":{"PublishMetricAction":{"Dimensions":[{"Value":"v"}]}}}`, i))
		}
		return strings.Join(all, ",")
	}
	tls := func(members string) string {
		return `{"TLSInspectionConfigurationName":"new","TLSInspectionConfiguration":{"ServerCertificateConfigurations":[` + members + `]}}`
	}
	const (
		ca     = `"CertificateAuthorityArn":"arn:aws:acm:us-east-1:123456789012:certificate/ca"`
		scopes = `"Scopes":[{"Sources":[{"AddressDefinition":"10.0.0.0/8"}]}]`
		tlsAt  = "TLSInspectionConfiguration.ServerCertificateConfigurations[0]"
	)
	certificates := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(`{"ResourceArn":"arn:aws:acm:us-east-1:123456789012:certificate/%d"}`, i))
		}
		return `"ServerCertificates":[` + strings.Join(all, ",") + `]`
	}
	logging := func(entries ...string) string {
		var all []string
		for _, e := range entries {
			logType, logGroup, _ := strings.Cut(e, " ")
			all = append(all, fmt.Sprintf(`{"LogType":%q,"LogDestinationType":"CloudWatchLogs","LogDestination":{"logGroup":%q}}`, logType, logGroup))
		}
		return `{"FirewallName":"edge","LoggingConfiguration":{"LogDestinationConfigs":[` + strings.Join(all, ",") + `]}}`
	}
	longest := strings.Repeat("x", 8175-len(`alert tcp any any -> any any (msg:""; sid:1;)`)+1)

	// What is there to begin with.
	a.must("CreateRuleGroup", "%s", group("edge", "STATEFUL", 100, source("pass tcp any any -> any any (sid:1;)")))
	strictGroup := a.must("CreateRuleGroup", "%s", group("strict", "STATEFUL", 100, source("pass tcp any any -> any any (sid:1;)")+`,"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}`))
	a.must("CreateRuleGroup", "%s", group("strict2", "STATEFUL", 100, source("")+`,"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}`))
	for _, name := range []string{"edge", "large", "larger"} {
		a.must("CreateRuleGroup", "%s", group(name, "STATELESS", 10000+5000*len(name[4:]), stateless("", "")))
	}
	created := a.must("CreateFirewallPolicy", "%s", `{"FirewallPolicyName":"edge","Description":"d","FirewallPolicy":{`+defaults+","+refs("Stateful", "stateful-rulegroup/edge")+`}}`)
	a.must("CreateFirewall", `{"FirewallName":"edge","FirewallPolicyArn":%q,"VpcId":"vpc-1","SubnetMappings":[{"SubnetId":"subnet-1"},{"SubnetId":"subnet-2"}]}`, arn+"firewall-policy/edge")
	a.must("CreateTLSInspectionConfiguration", "%s", strings.Replace(tls("{"+ca+","+scopes+"}"), `"new"`, `"edge"`, 1))

	const invalid, operation = "InvalidRequestException: ", "InvalidOperationException: "
	ruleError := func(rule, reason string) string {
		return invalid + "stateful rule is invalid, rule: " + strings.TrimSuffix(rule, ")") + " gid:1234567890;), reason: " + reason
	}
	for _, c := range []struct{ seen, name, operation, body, want string }{
		{"cfn", "rule group: name taken", "CreateRuleGroup", group("edge", "STATEFUL", 100, source("")), invalid + taken},
		{"cfn", "policy: name taken", "CreateFirewallPolicy", `{"FirewallPolicyName":"edge","FirewallPolicy":{` + defaults + `}}`, invalid + taken},
		{"cfn", "firewall: name taken", "CreateFirewall", `{"FirewallName":"edge","FirewallPolicyArn":"` + arn + `firewall-policy/edge","VpcId":"vpc-1","SubnetMappings":[{"SubnetId":"subnet-1"}]}`, invalid + taken},
		{"cfn", "TLS configuration: name taken", "CreateTLSInspectionConfiguration", strings.Replace(tls("{"+ca+","+scopes+"}"), `"new"`, `"edge"`, 1), invalid + taken},

		{"practice", "stateful capacity too small", "CreateRuleGroup", group("new", "STATEFUL", 66, source(rules(67))), invalid + "StatefulRules capacity exceeded, parameter: [67], context: RulesSource.StatefulRules"},
		{"pf-rulegroup-capacity-stateless", "stateless capacity too small", "CreateRuleGroup", group("new", "STATELESS", 5, stateless(`{"Priority":10,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"10.0.0.0/8"},{"AddressDefinition":"11.0.0.0/8"},{"AddressDefinition":"12.0.0.0/8"}],"Protocols":[6,17]},"Actions":["aws:pass"]}}`, "")),
			invalid + "StatelessRules capacity exceeded, parameter: [6], context: StatelessRulesAndCustomActions.StatelessRules"},
		{"pf", "capacity over 30000", "CreateRuleGroup", group("new", "STATEFUL", 30001, source("")), invalid + "Capacity capacity exceeded, parameter: [30001], context: Capacity"},
		{"pf", "no rules source", "CreateRuleGroup", group("new", "STATEFUL", 1, `"RulesSource":{}`), invalid + "RulesString, RulesSourceList, StatefulRules must set exactly one of them, context: RulesSource"},
		{"pf", "two rules sources", "CreateRuleGroup", group("new", "STATEFUL", 1, `"RulesSource":{"RulesString":"","StatefulRules":[]}`), invalid + "RulesString, RulesSourceList, StatefulRules must set exactly one of them, context: RulesSource"},
		{"pf", "STATELESS with stateful source", "CreateRuleGroup", group("new", "STATELESS", 1, source("")), invalid + "StatelessRulesAndCustomActions cannot be null, context: RulesSource.StatelessRulesAndCustomActions"},
		{"pf", "STATEFUL with stateless source", "CreateRuleGroup", group("new", "STATEFUL", 1, stateless("", "")), invalid + "StatelessRulesAndCustomActions is invalid, context: RulesSource.StatelessRulesAndCustomActions"},
		{"pf", "RuleVariables on STATELESS", "CreateRuleGroup", group("new", "STATELESS", 1, `"RuleVariables":{},`+stateless("", "")), invalid + "RuleVariables cannot be provided, context: RuleVariables"},
		{"pf", "StatefulRuleOptions on STATELESS", "CreateRuleGroup", group("new", "STATELESS", 1, `"StatefulRuleOptions":{},`+stateless("", "")), invalid + "StatefulRuleOptions cannot be provided, context: StatefulRuleOptions"},
		{"pf", "rule without sid", "CreateRuleGroup", text(`pass tcp any any -> any any (msg:"m";)`), invalid + `stateful rule is invalid, rule: pass tcp any any -> any any (msg:"m";), reason: sid not assigned`},
		{"pf-suricata-unsupported-keyword", "dataset", "CreateRuleGroup", text(`alert dns any any -> any any (dns.query; dataset:isset,x; sid:1;)`), ruleError(`alert dns any any -> any any (dns.query; dataset:isset,x; sid:1;)`, "RuleOptions dataset is not supported")},
		{"pf-suricata-unsupported-keyword", "datarep", "CreateRuleGroup", text(`alert dns any any -> any any (dns.query; datarep:x,>,1; sid:1;)`), ruleError(`alert dns any any -> any any (dns.query; datarep:x,>,1; sid:1;)`, "RuleOptions datarep is not supported")},
		{"pf-suricata-unsupported-keyword", "iprep", "CreateRuleGroup", text(`alert ip any any -> any any (iprep:any,x,>,1; sid:1;)`), ruleError(`alert ip any any -> any any (iprep:any,x,>,1; sid:1;)`, "RuleOptions iprep is not supported")},
		{"pf-suricata-unsupported-keyword", "lua", "CreateRuleGroup", text(`alert tcp any any -> any any (lua:x.lua; sid:1;)`), ruleError(`alert tcp any any -> any any (lua:x.lua; sid:1;)`, "RuleOptions lua is not supported")},
		{"pf-suricata-unsupported-keyword", "luajit", "CreateRuleGroup", text(`alert tcp any any -> any any (luajit:x.lua; sid:1;)`), ruleError(`alert tcp any any -> any any (luajit:x.lua; sid:1;)`, "RuleOptions luajit is not supported")},
		{"pf-suricata-unsupported-keyword", "filestore", "CreateRuleGroup", text(`alert http any any -> any any (filestore; sid:1;)`), ruleError(`alert http any any -> any any (filestore; sid:1;)`, "RuleOptions filestore is not supported")},
		{"pf", "unknown action", "CreateRuleGroup", text(`log tcp any any -> any any (sid:1;)`), ruleError(`log tcp any any -> any any (sid:1;)`, "Action log is not supported")},
		{"pf-suricata-reject-tcp-only", "reject over udp", "CreateRuleGroup", text(`reject udp any any -> any any (sid:1;)`), ruleError(`reject udp any any -> any any (sid:1;)`, "udp reject is not supported")},
		{"pf-suricata-reject-tcp-only", "reject over ip", "CreateRuleGroup", text(`reject ip any any -> any any (sid:1;)`), ruleError(`reject ip any any -> any any (sid:1;)`, "ip reject is not supported")},
		{"pf", "same sid twice", "CreateRuleGroup", text("pass tcp any any -> any 1 (sid:7;)\npass tcp any any -> any 2 (sid:7;)"), invalid + `stateful rule is invalid, reason: Duplicate signature "pass tcp any any -> any 2 (sid:7; gid:1234567890;)"`},
		{"pf", "lonely pcre", "CreateRuleGroup", text(`alert tcp any any -> any any (pcre:"/x/"; sid:1;)`), ruleError(`alert tcp any any -> any any (pcre:"/x/"; sid:1;)`, "Using pcre without one of the following options is not allowed: [tls.sni, http.host, dns.query, http.uri, content].")},
		{"pf", "bad country", "CreateRuleGroup", text(`drop ip any any -> any any (geoip:dst,EU; sid:1;)`), ruleError(`drop ip any any -> any any (geoip:dst,EU; sid:1;)`, "Rule contains an incorrect country code")},
		{"pf", "rule too long", "CreateRuleGroup", text(`alert tcp any any -> any any (msg:"` + longest + `"; sid:1;)`), ruleError(`alert tcp any any -> any any (msg:"`+longest+`"; sid:1;)`, "Rule exceeds max length (8192)")},
		{"pf", "gid given", "CreateRuleGroup", text(`alert tcp any any -> any any (gid:1; sid:1;)`), invalid + "GIDs are not allowed. Illegal option(s): [gid:1]"},
		{"pf", "backslash at the end of a line", "CreateRuleGroup", text("alert tcp any any -> any any (msg:\"x\"; \\\nsid:1;)"), invalid + `stateful rule is invalid, rule: alert tcp any any -> any any (msg:"x"; \, reason: Illegal option syntax: \`},
		{"pf", "priority in strict order", "CreateRuleGroup", group("new", "STATEFUL", 1, source(`alert tcp any any -> any any (priority:1; sid:1;)`)+`,"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}`), invalid + strictly},
		{"pf", "classtype in strict order", "CreateRuleGroup", group("new", "STATEFUL", 1, source(`alert tcp any any -> any any (classtype:bad-unknown; sid:1;)`)+`,"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}`), invalid + strictly},
		{"pf", "undefined variable", "CreateRuleGroup", text(`alert tcp $VAR any -> any any (sid:1;)`), invalid + "VAR cannot be null or empty, context: RuleVariables.IPSets.VAR"},
		{"pf", "undefined reference", "CreateRuleGroup", text(`alert tcp @REF any -> any any (sid:1;)`), invalid + "REF cannot be null or empty, context: ReferenceSets.IPSetReferences.REF"},
		{"pf", "over 5 references", "CreateRuleGroup", references(6, func(i int) string { return fmt.Sprintf("arn:aws:ec2:us-east-1:1:prefix-list/pl-%d", i) }), invalid + "IPSetReferences limit exceeded, parameter: [6], context: ReferenceSets"},
		{"pf", "same ARN twice", "CreateRuleGroup", references(2, func(int) string { return "arn:aws:ec2:us-east-1:1:prefix-list/pl-0" }), invalid + "IPSetReferences is invalid, context: ReferenceSets"},
		{"pf", "target with a star", "CreateRuleGroup", domains(`"*.x"`), invalid + "Targets has invalid format, parameter: [*.x], context: RulesSource.RulesSourceList.Targets[0]"},
		{"pf", "target that is a URL", "CreateRuleGroup", domains(`"https://x.example/"`), invalid + "Targets has invalid format, parameter: [https://x.example/], context: RulesSource.RulesSourceList.Targets[0]"},
		{"pf", "duplicate target", "CreateRuleGroup", domains(`".x","x"`), invalid + "Targets has duplicate values, parameter: [x], context: RulesSource.RulesSourceList.Targets[1]"},
		{"pf", "two stateless rules of one priority", "CreateRuleGroup", group("new", "STATELESS", 10, stateless(`{"Priority":10,"RuleDefinition":{`+match+`,"Actions":["aws:pass"]}},{"Priority":10,"RuleDefinition":{`+match+`,"Actions":["aws:pass"]}}`, "")),
			invalid + "Priority has duplicate values, parameter: [10], context: StatelessRulesAndCustomActions.StatelessRules[Priority=10]"},
		{"pf", "no standard action", "CreateRuleGroup", one(`"Sources":[{"AddressDefinition":"10.0.0.0/8"}]`, ``), invalid + "Actions cannot be null or empty, context: " + rule + ".Actions"},
		{"pf", "two standard actions", "CreateRuleGroup", one(`"Sources":[{"AddressDefinition":"10.0.0.0/8"}]`, `"aws:pass","aws:drop"`), invalid + "Actions cannot exist together, parameter: [aws:pass, aws:drop], context: " + rule + ".Actions"},
		{"pf", "undefined custom action", "CreateRuleGroup", one(`"Sources":[{"AddressDefinition":"10.0.0.0/8"}]`, `"aws:pass","X"`), invalid + "Actions is invalid, parameter: [X], context: " + rule + ".Actions"},
		{"pf", "empty MatchAttributes", "CreateRuleGroup", one(``, `"aws:pass"`), invalid + "Sources, Destinations cannot be null or empty, context: " + rule + ".MatchAttributes"},
		{"pf", "flag outside the mask", "CreateRuleGroup", one(`"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"Protocols":[6],"TCPFlags":[{"Flags":["SYN","ACK"],"Masks":["SYN"]}]`, `"aws:pass"`), invalid + "Flags is unmasked, parameter: [ACK], context: " + rule + ".MatchAttributes.TCPFlags[0].Flags"},
		{"pf", "FromPort over ToPort", "CreateRuleGroup", one(`"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"DestinationPorts":[{"FromPort":443,"ToPort":80}]`, `"aws:pass"`), invalid + "FromPort, ToPort is not within the bound, parameter: [443, 80], context: " + rule + ".MatchAttributes.DestinationPorts[0]"},
		{"pf", "11 custom actions", "CreateRuleGroup", group("new", "STATELESS", 1, stateless("", customActions(11))), invalid + "ActionDefinition limit exceeded, parameter: [11], context: StatelessRulesAndCustomActions.CustomActions"},
		{"pf", "ports without TCP or UDP", "CreateRuleGroup", one(`"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"Protocols":[1],"SourcePorts":[{"FromPort":1,"ToPort":1}]`, `"aws:pass"`), invalid + "SourcePorts, Protocols cannot exist together, context: " + rule + ".MatchAttributes.SourcePorts"},
		{"pf", "flags without TCP", "CreateRuleGroup", one(`"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"Protocols":[17],"TCPFlags":[{"Flags":["SYN"]}]`, `"aws:pass"`), invalid + "TCPFlags, Protocols cannot exist together, context: " + rule + ".MatchAttributes.TCPFlags"},
		{"cli#7301", "Rules on a strict group", "UpdateRuleGroup", fmt.Sprintf(`{"RuleGroupName":"strict","Type":"STATEFUL","UpdateToken":%q,"Rules":"pass tcp any any -> any any (sid:1;)"}`, strictGroup["UpdateToken"]), invalid + "parameter is invalid"},

		{"pf-policy-stateless-default-action-standard", "no standard default action", "CreateFirewallPolicy", policyOf(`"StatelessDefaultActions":[],"StatelessFragmentDefaultActions":["aws:drop"]`), invalid + "StatelessDefaultActions cannot be null or empty, context: StatelessDefaultActions"},
		{"pf-policy-stateless-default-action-standard", "two standard default actions", "CreateFirewallPolicy", policyOf(`"StatelessDefaultActions":["aws:pass","aws:drop"],"StatelessFragmentDefaultActions":["aws:drop"]`), invalid + "StatelessDefaultActions cannot exist together, parameter: [aws:pass, aws:drop]"},
		{"pf-policy-fragment-default-action-standard", "no standard action for fragments", "CreateFirewallPolicy", policyOf(`"StatelessDefaultActions":["aws:pass"],"StatelessFragmentDefaultActions":[]`), invalid + "StatelessFragmentDefaultActions cannot be null or empty, context: StatelessFragmentDefaultActions"},
		{"pf-policy-fragment-default-action-standard", "two standard actions for fragments", "CreateFirewallPolicy", policyOf(`"StatelessDefaultActions":["aws:pass"],"StatelessFragmentDefaultActions":["aws:pass","aws:drop"]`), invalid + "StatelessFragmentDefaultActions cannot exist together, parameter: [aws:pass, aws:drop]"},
		{"pf", "undefined custom default action", "CreateFirewallPolicy", policyOf(`"StatelessDefaultActions":["aws:pass"],"StatelessFragmentDefaultActions":["aws:drop","X"]`), invalid + "StatelessFragmentDefaultActions is invalid, parameter: [X], context: StatelessFragmentDefaultActions"},
		{"pf-policy-rule-order-match", "group of the other rule order", "CreateFirewallPolicy", policy(refs("Stateful", "stateful-rulegroup/strict")), invalid + "ResourceArn has invalid rule order, parameter: [" + arn + "stateful-rulegroup/strict], context: StatefulRuleGroupReferences[0].ResourceArn"},
		{"pf", "stateful defaults without strict order", "CreateFirewallPolicy", policy(`"StatefulDefaultActions":["aws:drop_strict"]`), invalid + "StatefulDefaultActions has invalid rule order, parameter: [DEFAULT_ACTION_ORDER], context: StatefulDefaultActions"},
		{"pf-policy-stateful-default-one-drop", "clashing defaults", "CreateFirewallPolicy", policy(strict + `,"StatefulDefaultActions":["aws:drop_strict","aws:drop_established"]`), invalid + "StatefulDefaultActions cannot exist together, parameter: [aws:drop_strict, aws:drop_established], context: StatefulDefaultActions"},
		{"pf", "priority missing", "CreateFirewallPolicy", policy(strict + "," + refs("Stateful", "stateful-rulegroup/strict")), invalid + "Priority cannot be null, context: StatefulRuleGroupReferences[0]"},
		{"pf", "priority unwanted", "CreateFirewallPolicy", policy(refs("Stateful", `stateful-rulegroup/edge,"Priority":1`)), invalid + "Priority cannot be provided, context: StatefulRuleGroupReferences[0]"},
		{"pf", "duplicate stateful priority", "CreateFirewallPolicy", policy(strict + "," + refs("Stateful", `stateful-rulegroup/strict,"Priority":1`, `stateful-rulegroup/strict2,"Priority":1`)), invalid + "Priority has duplicate values, parameter: [1], context: StatefulRuleGroupReferences[Priority=1]"},
		{"pf", "duplicate stateless priority", "CreateFirewallPolicy", policy(refs("Stateless", `stateless-rulegroup/edge,"Priority":1`, `stateless-rulegroup/large,"Priority":1`)), invalid + "Priority has duplicate values, parameter: [1], context: StatelessRuleGroupReferences[Priority=1]"},
		{"pf", "over 20 stateful groups", "CreateFirewallPolicy", policy(refs("Stateful", many(21, "stateful-rulegroup/g")...)), invalid + "StatefulRuleGroupReferences limit exceeded, parameter: [21], context: StatefulRuleGroupReferences"},
		{"pf-policy-stateless-capacity-sum", "stateless capacity sum", "CreateFirewallPolicy", policy(refs("Stateless", `stateless-rulegroup/edge,"Priority":1`, `stateless-rulegroup/large,"Priority":2`, `stateless-rulegroup/larger,"Priority":3`)), invalid + "StatelessRuleGroupReferences capacity exceeded, parameter: [45000], context: StatelessRuleGroupReferences"},
		{"pf-policy-variables-home-net-only", "another variable than HOME_NET", "CreateFirewallPolicy", policy(`"PolicyVariables":{"RuleVariables":{"MYNET":{"Definition":["10.0.0.0/8"]}}}`), invalid + "RuleVariables is invalid, parameter: [MYNET], context: PolicyVariables.RuleVariables.IPSet.MYNET"},
		{"pf", "override on an own group", "CreateFirewallPolicy", policy(refs("Stateful", `stateful-rulegroup/edge,"Override":{"Action":"DROP_TO_ALERT"}`)), invalid + "rule group must be a managed resource"},
		{"tf#35948", "group of the other type", "CreateFirewallPolicy", policy(refs("Stateful", "stateless-rulegroup/edge")), invalid + "rule group ARN is of incorrect entity type, parameter: [" + arn + "stateless-rulegroup/edge]"},
		{"pf", "group in another Region", "CreateFirewallPolicy", policy(strings.Replace(refs("Stateful", "stateful-rulegroup/edge"), "us-east-1", "us-west-2", 1)), invalid + "rule group ARN is invalid, parameter: [arn:aws:network-firewall:us-west-2:123456789012:stateful-rulegroup/edge]"},
		{"pf", "missing group", "CreateFirewallPolicy", policy(refs("Stateful", "stateful-rulegroup/gone")), invalid + "rule group ARN does not exist, parameter: [" + arn + "stateful-rulegroup/gone]"},
		{"tf#41439", "malformed ARN", "CreateFirewallPolicy", policy(`"StatefulRuleGroupReferences":[{"ResourceArn":"arn:aws:network-firewall"}]`), invalid + "Resource ARN has an invalid format, parameter: [arn:aws:network-firewall]"},
		{"pf", "session holding alone", "CreateFirewallPolicy", policy(`"EnableTLSSessionHolding":true`), invalid + "TLSInspectionConfigurationArn value is required when EnableTLSSessionHolding is true."},
		{"tf", "an empty description", "UpdateFirewallPolicy", fmt.Sprintf(`{"FirewallPolicyName":"edge","Description":"","UpdateToken":%q,"FirewallPolicy":{`+defaults+","+refs("Stateful", "stateful-rulegroup/edge")+`}}`, created["UpdateToken"]), ""}, // AWS failed inside

		{"pf", "no configuration", "CreateTLSInspectionConfiguration", tls(""), invalid + "Exactly one ServerCertificateConfiguration must be set"},
		{"pf", "two configurations", "CreateTLSInspectionConfiguration", tls("{" + ca + "," + scopes + "},{" + ca + "," + scopes + "}"), invalid + "Exactly one ServerCertificateConfiguration must be set"},
		{"pf", "no certificate", "CreateTLSInspectionConfiguration", tls("{" + scopes + "}"), invalid + "ServerCertificates or CertificateAuthorityArn is required. You can specify either, or both."},
		{"pf", "11 certificates", "CreateTLSInspectionConfiguration", tls("{" + certificates(11) + "," + scopes + "}"), invalid + "Certificates limit exceeded, parameter: [11], context: " + tlsAt + ".ServerCertificates"},
		{"pf", "another protocol", "CreateTLSInspectionConfiguration", tls("{" + ca + `,"Scopes":[{"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"Protocols":[17]}]}`), invalid + "Protocols is unsupported, parameter: [17], context: " + tlsAt + ".Scopes[0].Protocols"},
		{"pf", "revocation without a CA", "CreateTLSInspectionConfiguration", tls("{" + certificates(1) + `,"CheckCertificateRevocationStatus":{"RevokedStatusAction":"DROP"},` + scopes + "}"), invalid + "CertificateAuthorityArn is required when enabling CheckCertificateRevocationStatus."},
		{"pf", "FromPort over ToPort", "CreateTLSInspectionConfiguration", tls("{" + ca + `,"Scopes":[{"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"DestinationPorts":[{"FromPort":443,"ToPort":80}]}]}`), invalid + "FromPort, ToPort is not within the bound, parameter: [443, 80], context: " + tlsAt + ".Scopes[0].DestinationPorts[0]"},
		{"tf#38487", "an empty token", "UpdateTLSInspectionConfiguration", strings.Replace(strings.Replace(tls("{"+ca+","+scopes+"}"), `"new"`, `"edge"`, 1), "{", `{"UpdateToken":"",`, 1),
			"ValidationException: 2 validation errors detected: Value '' at 'updateToken' failed to satisfy constraint: Member must have length greater than or equal to 1; Value '' at 'updateToken' failed to satisfy constraint: Member must satisfy regular expression pattern: ^([0-9a-f]{8})-([0-9a-f]{4}-){3}([0-9a-f]{12})$"},
		{"tf#38487", "no token", "UpdateTLSInspectionConfiguration", strings.Replace(tls("{"+ca+","+scopes+"}"), `"new"`, `"edge"`, 1),
			"ValidationException: 1 validation error detected: Value null at 'updateToken' failed to satisfy constraint: Member must not be null"},

		{"tf#38917", "two changes of logging", "UpdateLoggingConfiguration", logging("ALERT a", "FLOW f"), invalid + "Given logging configuration attempts to create/modify multiple log destination configs"},
		{"ministryofjustice/modernisation-platform#8047", "two destinations of one log type", "UpdateLoggingConfiguration", logging("ALERT a", "ALERT b"), invalid + "Given logging configuration is unsupported."},
		{"guide", "zone not served", "AssociateAvailabilityZones", `{"FirewallName":"edge","AvailabilityZoneMappings":[{"AvailabilityZone":"eu-west-1a"}]}`, invalid + "Availability zone subnet(s) cannot be updated or added because this Availability Zone is not supported by Network Firewall"},
		{"tf", "subnet that is gone", "DisassociateSubnets", `{"FirewallName":"edge","SubnetIds":["subnet-3"]}`, invalid + "SubnetIds is inaccessible, parameter: [subnet-3], context: SubnetIds[0]"},
		{"tf", "rule group in use", "DeleteRuleGroup", `{"RuleGroupName":"edge","Type":"STATEFUL"}`, operation + inUse},
		{"tf", "policy in use", "DeleteFirewallPolicy", `{"FirewallPolicyName":"edge"}`, operation + inUse},
	} {
		t.Run(c.operation+"/"+c.name, func(t *testing.T) {
			_, failure := (&api{t, a.transport, a.url}).call(c.operation, c.body)
			if failure != c.want {
				t.Errorf("%s (%s)\ngot  %s\nwant %s", c.body, c.seen, failure, c.want)
			}
		})
	}
}
