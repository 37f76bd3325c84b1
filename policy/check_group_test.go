package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// ruleGroup reads a rule group as a client would send it.
func ruleGroup(t *testing.T, text string) *wire.RuleGroup {
	t.Helper()
	doc := new(wire.RuleGroup)
	if err := wire.Decode([]byte(text), doc); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc
}

func rulesString(rules string, strict bool) string {
	options := ""
	if strict {
		options = `,"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}`
	}
	return fmt.Sprintf(`{"RulesSource":{"RulesString":%q}%s}`, rules, options)
}

func statelessGroup(attributes, actions string) string {
	return `{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[{"Priority":10,"RuleDefinition":{"MatchAttributes":` +
		attributes + `,"Actions":` + actions + `}}]}}}`
}

// refused checks that err is an InvalidRequestException with exactly this text.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want InvalidRequestException %q", err, want)
	}
	if e.Code != "InvalidRequestException" || e.Message != want {
		t.Errorf("got %s %q\nwant %q", e.Code, e.Message, want)
	}
}

func customActions(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"ActionName":"a%d","ActionDefinition":{"PublishMetricAction":{"Dimensions":[{"Value":"v"}]}}}`, i)
	}
	return b.String()
}

const tcpRule = `pass tcp 10.0.0.0/8 any -> any 443`

func TestRuleGroupRefused(t *testing.T) {
	const (
		match   = `{"Sources":[{"AddressDefinition":"10.0.0.0/8"}]}`
		matchAt = "StatelessRulesAndCustomActions.StatelessRules[Priority=10].RuleDefinition"
	)
	references := func(n int, arn func(i int) string) string {
		var sets []string
		for i := range n {
			sets = append(sets, fmt.Sprintf(`"R%d":{"ReferenceArn":%q}`, i, arn(i)))
		}
		return `{"ReferenceSets":{"IPSetReferences":{` + strings.Join(sets, ",") + `}},"RulesSource":{"RulesString":""}}`
	}
	overlong := strings.Repeat("x", 8175-len(`alert tcp any any -> any any (msg:""; sid:1;)`)+1)

	cases := []struct {
		name     string
		kind     string // "" is KindStateful
		capacity int    // 0 is 100
		doc      string
		want     string
	}{
		{"stateful capacity", "", 66, rulesString(manyRules(67), false),
			"StatefulRules capacity exceeded, parameter: [67], context: RulesSource.StatefulRules"},
		{"stateful capacity of a domain list", "", 6, `{"RulesSource":{"RulesSourceList":{"Targets":[".a.example","b.example"],"TargetTypes":["TLS_SNI","HTTP_HOST"],"GeneratedRulesType":"DENYLIST"}}}`,
			"StatefulRules capacity exceeded, parameter: [7], context: RulesSource.StatefulRules"},
		{"stateless capacity", KindStateless, 5, statelessGroup(`{"Sources":[{"AddressDefinition":"10.0.0.0/8"},{"AddressDefinition":"11.0.0.0/8"},{"AddressDefinition":"12.0.0.0/8"}],"Protocols":[6,17]}`, `["aws:pass"]`),
			"StatelessRules capacity exceeded, parameter: [6], context: StatelessRulesAndCustomActions.StatelessRules"},
		{"capacity over the limit", "", 30001, rulesString("", false), "Capacity capacity exceeded, parameter: [30001], context: Capacity"},
		{"capacity below 1", "", -1, rulesString("", false), "Capacity is not within the bound, parameter: [-1], context: Capacity"},
		{"targets of a domain group", KindStatefulDomain, 1, `{"RulesSource":{"RulesSourceList":{"Targets":[".a.example","b.example"],"TargetTypes":["TLS_SNI","HTTP_HOST"],"GeneratedRulesType":"DENYLIST"}}}`,
			"Targets capacity exceeded, parameter: [2], context: RulesSource.RulesSourceList.Targets"},
		{"rules in a domain group", KindStatefulDomain, 0, rulesString("", false), "RulesSourceList cannot be null, context: RulesSource.RulesSourceList"},
		{"a domain group with more than domains", KindStatefulDomain, 0, `{"RulesSource":{"RulesString":"","RulesSourceList":{"Targets":["a.example"],"TargetTypes":["TLS_SNI"],"GeneratedRulesType":"DENYLIST"}}}`,
			"RulesString, StatefulRules, StatelessRulesAndCustomActions cannot be provided, context: RulesSource"},
		{"a bad target in a domain group", KindStatefulDomain, 0, `{"RulesSource":{"RulesSourceList":{"Targets":["*.x"],"TargetTypes":["TLS_SNI"],"GeneratedRulesType":"DENYLIST"}}}`,
			"Targets has invalid format, parameter: [*.x], context: RulesSource.RulesSourceList.Targets[0]"},
		{"no source", "", 0, `{"RulesSource":{}}`, "RulesString, RulesSourceList, StatefulRules must set exactly one of them, context: RulesSource"},
		{"two sources", "", 0, `{"RulesSource":{"RulesString":"","StatefulRules":[]}}`, "RulesString, RulesSourceList, StatefulRules must set exactly one of them, context: RulesSource"},
		{"stateless with a stateful source", KindStateless, 0, rulesString("", false), "StatelessRulesAndCustomActions cannot be null, context: RulesSource.StatelessRulesAndCustomActions"},
		{"stateful with the stateless source", "", 0, statelessGroup(match, `["aws:pass"]`), "StatelessRulesAndCustomActions is invalid, context: RulesSource.StatelessRulesAndCustomActions"},
		{"variables on a stateless group", KindStateless, 0, `{"RuleVariables":{},` + statelessGroup(match, `["aws:pass"]`)[1:], "RuleVariables cannot be provided, context: RuleVariables"},
		{"options on a stateless group", KindStateless, 0, `{"StatefulRuleOptions":{},` + statelessGroup(match, `["aws:pass"]`)[1:], "StatefulRuleOptions cannot be provided, context: StatefulRuleOptions"},

		{"no sid", "", 0, rulesString(`pass tcp any any -> any any (msg:"no sid here";)`, false),
			`stateful rule is invalid, rule: pass tcp any any -> any any (msg:"no sid here";), reason: sid not assigned`},
		{"keyword dataset", "", 0, rulesString(`alert dns any any -> any any (dns.query; dataset:isset,x; sid:1;)`, false),
			`stateful rule is invalid, rule: alert dns any any -> any any (dns.query; dataset:isset,x; sid:1; gid:1234567890;), reason: RuleOptions dataset is not supported`},
		{"keyword lua", "", 0, rulesString(`alert tcp any any -> any any (lua:x.lua; sid:1;)`, false),
			`stateful rule is invalid, rule: alert tcp any any -> any any (lua:x.lua; sid:1; gid:1234567890;), reason: RuleOptions lua is not supported`},
		{"a keyword's name inside a message is none", "", 0, rulesString(`alert tcp any any -> any any (msg:"a; lua:x; b"; sid:0x;)`, false), "parse error"},
		{"action", "", 0, rulesString(`log tcp any any -> any any (sid:1;)`, false),
			`stateful rule is invalid, rule: log tcp any any -> any any (sid:1; gid:1234567890;), reason: Action log is not supported`},
		{"reject over udp", "", 0, rulesString(`reject udp any any -> any any (sid:1;)`, false),
			`stateful rule is invalid, rule: reject udp any any -> any any (sid:1; gid:1234567890;), reason: udp reject is not supported`},
		{"reject over http2", "", 0, rulesString(`reject http2 any any -> any any (sid:1;)`, false),
			`stateful rule is invalid, rule: reject http2 any any -> any any (sid:1; gid:1234567890;), reason: http2 reject is not supported`},
		{"reject over ip in a 5-tuple rule", "", 0, `{"RulesSource":{"StatefulRules":[{"Action":"REJECT","Header":{"Protocol":"IP","Source":"ANY","SourcePort":"ANY","Direction":"ANY","Destination":"ANY","DestinationPort":"ANY"},"RuleOptions":[{"Keyword":"sid","Settings":["1"]}]}]}}`,
			`stateful rule is invalid, rule: reject ip ANY ANY <> ANY ANY (sid:1; gid:1234567890;), reason: ip reject is not supported`},
		{"same sid", "", 0, rulesString("pass tcp any any -> any 1 (sid:7;)\npass tcp any any -> any 2 (sid:007;)", false),
			`stateful rule is invalid, reason: Duplicate signature "pass tcp any any -> any 2 (sid:007; gid:1234567890;)"`},
		{"lonely pcre", "", 0, rulesString(`alert tcp any any -> any any (pcre:"/x/"; sid:1;)`, false),
			`stateful rule is invalid, rule: alert tcp any any -> any any (pcre:"/x/"; sid:1; gid:1234567890;), reason: Using pcre without one of the following options is not allowed: [tls.sni, http.host, dns.query, http.uri, content].`},
		{"country", "", 0, rulesString(`drop ip any any -> any any (geoip:dst,UK; sid:1;)`, false),
			`stateful rule is invalid, rule: drop ip any any -> any any (geoip:dst,UK; sid:1; gid:1234567890;), reason: Rule contains an incorrect country code`},
		{"too long", "", 0, rulesString(`alert tcp any any -> any any (msg:"`+overlong+`"; sid:1;)`, false),
			`stateful rule is invalid, rule: alert tcp any any -> any any (msg:"` + overlong + `"; sid:1; gid:1234567890;), reason: Rule exceeds max length (8192)`},
		{"gid", "", 0, rulesString(`alert tcp any any -> any any (gid:1; sid:1;)`, false), "GIDs are not allowed. Illegal option(s): [gid:1]"},
		{"continuation", "", 0, rulesString("alert tcp any any -> any any (msg:\"x\"; \\\nsid:1;)", false),
			`stateful rule is invalid, rule: alert tcp any any -> any any (msg:"x"; \, reason: Illegal option syntax: \`},
		{"priority in strict order", "", 0, rulesString(`alert tcp any any -> any any (priority:1; sid:1;)`, true),
			"RulesString has invalid keywords. Rule groups that use strict order can't have rules that contain the keywords `priority` or `classtype`"},
		{"classtype in strict order", "", 0, rulesString(`alert tcp any any -> any any (classtype:bad-unknown; sid:1;)`, true),
			"RulesString has invalid keywords. Rule groups that use strict order can't have rules that contain the keywords `priority` or `classtype`"},
		{"undefined variable", "", 0, rulesString(`alert tcp $VAR any -> any any (sid:1;)`, false), "VAR cannot be null or empty, context: RuleVariables.IPSets.VAR"},
		{"undefined default of Suricata", "", 0, rulesString(`alert tcp any any -> any $HTTP_PORTS (sid:1;)`, false), "HTTP_PORTS cannot be null or empty, context: RuleVariables.IPSets.HTTP_PORTS"},
		{"undefined reference", "", 0, rulesString(`alert tcp [10.0.0.1, @REF] any -> any any (sid:1;)`, false), "REF cannot be null or empty, context: ReferenceSets.IPSetReferences.REF"},
		{"bad variable", "", 0, `{"RuleVariables":{"IPSets":{"X":{"Definition":["10.0.0.0/8","10.0.0.0/33"]}}},"RulesSource":{"RulesString":""}}`,
			"Definition has invalid format, parameter: [10.0.0.0/33], context: RuleVariables.IPSets.X.Definition[1]"},

		{"six references", "", 0, references(6, func(i int) string { return fmt.Sprintf("arn:aws:ec2:r:1:prefix-list/pl-%d", i) }), "IPSetReferences limit exceeded, parameter: [6], context: ReferenceSets"},
		{"one ARN twice", "", 0, references(2, func(int) string { return "arn:aws:ec2:r:1:prefix-list/pl-0" }), "IPSetReferences is invalid, context: ReferenceSets"},

		{"target with a star", "", 0, domains(`"*.x"`), "Targets has invalid format, parameter: [*.x], context: RulesSource.RulesSourceList.Targets[0]"},
		{"target that is a URL", "", 0, domains(`"a.example","https://x.example/"`), "Targets has invalid format, parameter: [https://x.example/], context: RulesSource.RulesSourceList.Targets[1]"},
		{"duplicate target", "", 0, domains(`".x","x"`), "Targets has duplicate values, parameter: [x], context: RulesSource.RulesSourceList.Targets[1]"},
		{"no target", "", 0, domains(``), "Targets cannot be null or empty, context: RulesSource.RulesSourceList.Targets"},

		{"two stateless rules of one priority", KindStateless, 0, `{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[` +
			strings.Repeat(`{"Priority":10,"RuleDefinition":{"MatchAttributes":`+match+`,"Actions":["aws:pass"]}},`, 1) + `{"Priority":10,"RuleDefinition":{"MatchAttributes":` + match + `,"Actions":["aws:pass"]}}]}}}`,
			"Priority has duplicate values, parameter: [10], context: StatelessRulesAndCustomActions.StatelessRules[Priority=10]"},
		{"no standard action", KindStateless, 0, statelessGroup(match, `[]`), "Actions cannot be null or empty, context: " + matchAt + ".Actions"},
		{"two standard actions", KindStateless, 0, statelessGroup(match, `["aws:pass","aws:drop"]`), "Actions cannot exist together, parameter: [aws:pass, aws:drop], context: " + matchAt + ".Actions"},
		{"undefined custom action", KindStateless, 0, statelessGroup(match, `["aws:pass","X"]`), "Actions is invalid, parameter: [X], context: " + matchAt + ".Actions"},
		{"empty attributes", KindStateless, 0, statelessGroup(`{}`, `["aws:pass"]`), "Sources, Destinations cannot be null or empty, context: " + matchAt + ".MatchAttributes"},
		{"unmasked flag", KindStateless, 0, statelessGroup(match[:len(match)-1]+`,"Protocols":[6],"TCPFlags":[{"Flags":["SYN","ACK"],"Masks":["SYN"]}]}`, `["aws:pass"]`), "Flags is unmasked, parameter: [ACK], context: " + matchAt + ".MatchAttributes.TCPFlags[0].Flags"},
		{"ports in the wrong order", KindStateless, 0, statelessGroup(match[:len(match)-1]+`,"DestinationPorts":[{"FromPort":443,"ToPort":80}]}`, `["aws:pass"]`), "FromPort, ToPort is not within the bound, parameter: [443, 80], context: " + matchAt + ".MatchAttributes.DestinationPorts[0]"},
		{"eleven custom actions", KindStateless, 0, `{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[],"CustomActions":[` + customActions(11) + `]}}}`, "ActionDefinition limit exceeded, parameter: [11], context: StatelessRulesAndCustomActions.CustomActions"},
		{"ports without TCP or UDP", KindStateless, 0, statelessGroup(match[:len(match)-1]+`,"Protocols":[1],"SourcePorts":[{"FromPort":1,"ToPort":1}]}`, `["aws:pass"]`), "SourcePorts, Protocols cannot exist together, context: " + matchAt + ".MatchAttributes.SourcePorts"},
		{"flags without TCP", KindStateless, 0, statelessGroup(match[:len(match)-1]+`,"Protocols":[17],"TCPFlags":[{"Flags":["SYN"]}]}`, `["aws:pass"]`), "TCPFlags, Protocols cannot exist together, context: " + matchAt + ".MatchAttributes.TCPFlags"},
		{"bad address", KindStateless, 0, statelessGroup(`{"Destinations":[{"AddressDefinition":"10.0.0.0/8"},{"AddressDefinition":"1.2.3"}]}`, `["aws:pass"]`), "AddressDefinition has invalid format, parameter: [1.2.3], context: " + matchAt + ".MatchAttributes.Destinations[1].AddressDefinition"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			kind, capacity := c.kind, c.capacity
			if kind == "" {
				kind = KindStateful
			}
			if capacity == 0 {
				capacity = 100
			}
			_, err := CheckRuleGroup(kind, ruleGroup(t, c.doc), capacity, RuleCheck{})
			if c.want == "parse error" { // its text is the parser's
				if err == nil || strings.Contains(err.Error(), "RuleOptions") || !strings.Contains(err.Error(), ", column ") {
					t.Errorf("got %v, want a parse error", err)
				}
				return
			}
			refused(t, err, c.want)
		})
	}
}

func manyRules(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "# rule %d\n\n"+tcpRule+" (sid:%d;)\n", i, i+1)
	}
	return b.String()
}

func domains(targets string) string {
	return `{"RulesSource":{"RulesSourceList":{"Targets":[` + targets + `],"TargetTypes":["TLS_SNI"],"GeneratedRulesType":"ALLOWLIST"}}}`
}

func TestRuleGroupAccepted(t *testing.T) {
	longest := strings.Repeat("x", 8175-len(`alert tcp any any -> any any (msg:""; sid:1;)`))
	cases := []struct {
		name     string
		kind     string
		doc      string
		consumed int
	}{
		{"comments are free", KindStateful, rulesString(manyRules(67), false), 67},
		{"longest rule", KindStateful, rulesString(`alert tcp any any -> any any (msg:"`+longest+`"; sid:1;)`, false), 1},
		{"variables", KindStateful, `{"RuleVariables":{"IPSets":{"X":{"Definition":["10.0.0.0/8"]}},"PortSets":{"P":{"Definition":["22","1990:1994"]}}},
			"ReferenceSets":{"IPSetReferences":{"R":{"ReferenceArn":"arn:aws:ec2:r:1:prefix-list/pl-0"}}},
			"RulesSource":{"RulesString":"pass tcp [$X,@R] any -> $HOME_NET $P (sid:1;)\nreject tls $EXTERNAL_NET any -> any any (msg:\"costs $NOT_A_VARIABLE\"; sid:2;)"}}`, 2},
		{"pcre with company, priority in action order", KindStateful, rulesString(`alert http any any -> any any (http.uri; content:"/x"; pcre:"/x/"; priority:2; sid:1;)`, false), 1},
		{"5-tuple rules", KindStateful, `{"RulesSource":{"StatefulRules":[{"Action":"PASS","Header":{"Protocol":"SSH","Source":"10.20.0.0/16","SourcePort":"ANY","Direction":"FORWARD","Destination":"10.30.0.0/16","DestinationPort":"22"},"RuleOptions":[{"Keyword":"sid","Settings":["920001"]},{"Keyword":"flow","Settings":["to_server"]}]}]}}`, 1},
		{"domain list", KindStateful, `{"RulesSource":{"RulesSourceList":{"Targets":[".example.com","api.example.org"],"TargetTypes":["TLS_SNI","HTTP_HOST"],"GeneratedRulesType":"ALLOWLIST"}}}`, 7},
		{"domain group", KindStatefulDomain, `{"RuleVariables":{"IPSets":{"HOME_NET":{"Definition":["10.0.0.0/8"]}}},"RulesSource":{"RulesSourceList":{"Targets":[".example.com","api.example.org"],"TargetTypes":["TLS_SNI","HTTP_HOST"],"GeneratedRulesType":"ALLOWLIST"}}}`, 2},
		{"stateless", KindStateless, statelessGroup(`{"Sources":[{"AddressDefinition":"198.51.100.0/24"},{"AddressDefinition":"2001:db8::1"}],"Protocols":[6,17],"TCPFlags":[{"Flags":["SYN"],"Masks":["SYN","ACK"]}]}`, `["aws:drop"]`), 4},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n, err := CheckRuleGroup(c.kind, ruleGroup(t, c.doc), 100, RuleCheck{})
			if err != nil || n != c.consumed {
				t.Errorf("consumed %d, %v, want %d", n, err, c.consumed)
			}
		})
	}
}

func TestCompileCheckIsAsked(t *testing.T) {
	var asked []string
	_, err := CheckRuleGroup(KindStateful, ruleGroup(t, rulesString(tcpRule+" (sid:1;)\n"+tcpRule+" (sid:2;)", false)), 100, RuleCheck{Compile: func(text string) error {
		asked = append(asked, text)
		if len(asked) == 2 {
			return errors.New("keyword x is not supported yet")
		}
		return nil
	}})
	refused(t, err, "stateful rule is invalid, rule: "+tcpRule+" (sid:2; gid:1234567890;), reason: keyword x is not supported yet")
	if len(asked) != 2 || asked[0] != tcpRule+" (sid:1;)" {
		t.Errorf("asked about %q", asked)
	}
}

func TestAnalyzeStateless(t *testing.T) {
	doc := ruleGroup(t, `{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[
		{"Priority":1,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"10.0.0.0/8"}],"Destinations":[{"AddressDefinition":"192.0.2.0/24"}],"DestinationPorts":[{"FromPort":443,"ToPort":443}]},"Actions":["aws:forward_to_sfe"]}},
		{"Priority":2,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"192.0.2.0/24"}],"SourcePorts":[{"FromPort":443,"ToPort":443}],"Destinations":[{"AddressDefinition":"10.0.0.0/8"}]},"Actions":["aws:forward_to_sfe"]}},
		{"Priority":3,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"10.9.0.0/16"}]},"Actions":["aws:pass"]}},
		{"Priority":4,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"10.8.0.0/16"}],"TCPFlags":[{"Flags":["SYN"]}]},"Actions":["aws:drop"]}},
		{"Priority":5,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"10.7.0.0/16"}],"Destinations":[{"AddressDefinition":"10.7.0.0/16"}],"TCPFlags":[{"Flags":["SYN"]}]},"Actions":["aws:pass"]}}]}}}`)
	got := map[string]string{}
	for _, r := range AnalyzeStateless(doc) {
		got[*r.IdentifiedType] = strings.Join(r.IdentifiedRuleIds, " ")
	}
	if len(got) != 2 || got["STATELESS_RULE_FORWARDING_ASYMMETRICALLY"] != "3" || got["STATELESS_RULE_CONTAINS_TCP_FLAGS"] != "5" {
		t.Errorf("%v", got)
	}
}

// FuzzRuleLines: no text of rules makes the checks panic, and what they accept
// has the capacity that they say.
func FuzzRuleLines(f *testing.F) {
	f.Add(tcpRule+` (sid:1;)`, true)
	f.Add(`alert tcp $X any -> @Y any (msg:"a\"; b"; geoip:any,!de; pcre:"/x/"; sid:1;)`, false)
	f.Add("reject udp any (", false)
	f.Add("\\\n#\n)", true)
	f.Fuzz(func(t *testing.T, text string, strict bool) {
		doc := &wire.RuleGroup{RulesSource: &wire.RulesSource{RulesString: &text}}
		if strict {
			doc.StatefulRuleOptions = &wire.StatefulRuleOptions{RuleOrder: wire.Ptr(wire.RuleOrderStrictOrder)}
		}
		n, err := CheckRuleGroup(KindStateful, doc, MaxGroupCapacity, RuleCheck{})
		if err == nil && n != len(RuleLines(text)) {
			t.Errorf("consumed %d of %q", n, text)
		}
		var e *wire.Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("%T %v", err, err)
		}
	})
}
