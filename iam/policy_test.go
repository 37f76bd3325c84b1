package iam

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

const (
	edge  = "arn:aws:network-firewall:us-east-1:111122223333:firewall/edge"
	inner = "arn:aws:network-firewall:us-east-1:111122223333:firewall/inner"
	anna  = "arn:aws:iam::111122223333:user/anna"
)

// statements makes a policy document.
func statements(list ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

// when makes a statement that allows everything under a condition.
func when(condition string) string {
	return `{"Effect":"Allow","Action":"*","Resource":"*","Condition":` + condition + `}`
}

func parse(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// ask is a request of anna's to describe edge, changed by change.
func ask(change func(r *Request)) *Request {
	r := &Request{
		Action: "network-firewall:DescribeFirewall", Resource: edge,
		PrincipalARN: anna, UserName: "anna", SourceIP: netip.MustParseAddr("10.0.1.23"),
	}
	if change != nil {
		change(r)
	}
	return r
}

func TestEvaluate(t *testing.T) {
	action := func(name string) func(*Request) {
		return func(r *Request) { r.Action = "network-firewall:" + name }
	}
	resource := func(arn string) func(*Request) { return func(r *Request) { r.Resource = arn } }
	tagged := func(tags ...string) func(*Request) {
		return func(r *Request) {
			r.ResourceTags = map[string]string{}
			for i := 0; i < len(tags); i += 2 {
				r.ResourceTags[tags[i]] = tags[i+1]
			}
		}
	}
	keys := func(keys ...string) func(*Request) { return func(r *Request) { r.TagKeys = keys } }

	const (
		all      = `{"Effect":"Allow","Action":"*","Resource":"*"}`
		describe = `{"Effect":"Allow","Action":"network-firewall:Describe*","Resource":"*"}`
		denyEdge = `{"Effect":"Deny","Action":"network-firewall:Delete*","Resource":"` + edge + `"}`
		own      = `{"Effect":"Allow","Action":"network-firewall:*","Resource":"arn:aws:network-firewall:*:*:firewall/${aws:username}-*"}`
		but      = `{"Effect":"Allow","NotAction":["network-firewall:Delete*","network-firewall:StartFlowFlush"],"Resource":"*"}`
		butEdge  = `{"Effect":"Allow","Action":"*","NotResource":"` + edge + `"}`
	)
	env := when(`{"StringEquals":{"aws:ResourceTag/env":["dev","test"]}}`)
	notProd := when(`{"StringNotEquals":{"aws:ResourceTag/env":"prod"}}`)
	envIfThere := when(`{"StringEqualsIfExists":{"aws:ResourceTag/env":"dev"}}`)
	office := when(`{"IpAddress":{"aws:SourceIp":["10.0.1.0/24","2001:db8::1"]}}`)
	anyKey := when(`{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}`)
	allKeys := when(`{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`)
	allButKey := when(`{"ForAllValues:StringNotEquals":{"aws:TagKeys":"a"}}`)

	for _, c := range []struct {
		name     string
		policies []string
		change   func(*Request)
		want     Decision
	}{
		{"no policy", nil, nil, ImplicitDeny},
		{"everything", []string{all}, nil, Allow},
		{"everything, no resource", []string{all}, resource("*"), Allow},
		{"operations by prefix", []string{describe}, nil, Allow},
		{"operations by another prefix", []string{describe}, action("DeleteFirewall"), ImplicitDeny},
		{"case of actions", []string{`{"Effect":"Allow","Action":"NETWORK-firewall:describefire?all","Resource":"*"}`}, nil, Allow},
		{"another service", []string{`{"Effect":"Allow","Action":"ec2:*","Resource":"*"}`}, nil, ImplicitDeny},
		{"deny goes first", []string{denyEdge, all}, action("DeleteFirewall"), ExplicitDeny},
		{"deny goes first, in whatever order", []string{all, denyEdge}, action("DeleteFirewall"), ExplicitDeny},
		{"deny of another resource", []string{all, denyEdge}, func(r *Request) { action("DeleteFirewall")(r); r.Resource = inner }, Allow},
		{"deny alone allows nothing else", []string{denyEdge}, nil, ImplicitDeny},
		{"not these actions: another", []string{but}, nil, Allow},
		{"not these actions: one of them", []string{but}, action("StartFlowFlush"), ImplicitDeny},
		{"not this resource: another", []string{butEdge}, resource(inner), Allow},
		{"not this resource: this one", []string{butEdge}, nil, ImplicitDeny},
		{"one resource", []string{`{"Effect":"Allow","Action":"*","Resource":["` + edge + `"]}`}, nil, Allow},
		{"one resource, another asked for", []string{`{"Effect":"Allow","Action":"*","Resource":["` + edge + `"]}`}, resource(inner), ImplicitDeny},
		{"ARNs do not cover operations without resource", []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:network-firewall:*:*:*"}`}, resource("*"), ImplicitDeny},
		{"missing parts of an ARN", []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:network-firewall"}`}, nil, Allow},
		{"wildcards stay in their part", []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:network-firewall:*:firewall/edge"}`}, nil, ImplicitDeny},
		{"case of resources", []string{`{"Effect":"Allow","Action":"*","Resource":"` + strings.Replace(edge, "edge", "Edge", 1) + `"}`}, nil, ImplicitDeny},
		{"variable", []string{own}, resource("arn:aws:network-firewall:us-east-1:111122223333:firewall/anna-1"), Allow},
		{"variable of another", []string{own}, resource("arn:aws:network-firewall:us-east-1:111122223333:firewall/bert-1"), ImplicitDeny},
		{"the value of a variable is no pattern", []string{own}, func(r *Request) { r.UserName = "*"; r.Resource = edge }, ImplicitDeny},
		{"escaped wildcard", []string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:network-firewall:us-east-1:111122223333:firewall/${*}"}`}, nil, ImplicitDeny},

		{"resource tag", []string{env}, tagged("env", "test"), Allow},
		{"resource tag of another value", []string{env}, tagged("env", "prod"), ImplicitDeny},
		{"no resource tag", []string{env}, nil, ImplicitDeny},
		{"case of a tag's key", []string{env}, tagged("ENV", "dev"), Allow},
		{"the exact key counts", []string{env}, tagged("ENV", "dev", "env", "prod"), ImplicitDeny},
		{"case of a tag's value", []string{env}, tagged("env", "Dev"), ImplicitDeny},
		{"not prod", []string{notProd}, tagged("env", "dev"), Allow},
		{"not prod, but it is", []string{notProd}, tagged("env", "prod"), ImplicitDeny},
		{"not prod, no tag", []string{notProd}, nil, Allow},
		{"if exists, missing", []string{envIfThere}, nil, Allow},
		{"if exists, there", []string{envIfThere}, tagged("env", "prod"), ImplicitDeny},
		{"null, missing", []string{when(`{"Null":{"aws:ResourceTag/env":"true"}}`)}, nil, Allow},
		{"null, there", []string{when(`{"Null":{"aws:ResourceTag/env":true}}`)}, tagged("env", ""), ImplicitDeny},
		{"not null, there", []string{when(`{"Null":{"aws:ResourceTag/env":false}}`)}, tagged("env", ""), Allow},
		{"request tag", []string{when(`{"StringLike":{"aws:RequestTag/team":"net-*"}}`)}, func(r *Request) { r.RequestTags = map[string]string{"team": "net-core"} }, Allow},
		{"no wildcards in StringEquals", []string{when(`{"StringEquals":{"aws:RequestTag/team":"net-*"}}`)}, func(r *Request) { r.RequestTags = map[string]string{"team": "net-core"} }, ImplicitDeny},

		{"address", []string{office}, nil, Allow},
		{"another address", []string{office}, func(r *Request) { r.SourceIP = netip.MustParseAddr("10.0.2.1") }, ImplicitDeny},
		{"IPv6 address", []string{office}, func(r *Request) { r.SourceIP = netip.MustParseAddr("2001:db8::1") }, Allow},
		{"no address", []string{office}, func(r *Request) { r.SourceIP = netip.Addr{} }, ImplicitDeny},
		{"deny from elsewhere", []string{all, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"10.9.0.0/16"}}}`}, nil, ExplicitDeny},
		{"without TLS", []string{when(`{"Bool":{"aws:SecureTransport":"true"}}`)}, nil, ImplicitDeny},
		{"with TLS", []string{when(`{"Bool":{"aws:securetransport":"true"}}`)}, func(r *Request) { r.Secure = true }, Allow},
		{"principal", []string{when(`{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/an?a"}}`)}, nil, Allow},
		{"user ignoring case", []string{when(`{"StringEqualsIgnoreCase":{"aws:username":"ANNA"}}`)}, nil, Allow},
		{"variable in a condition", []string{when(`{"StringEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`)}, tagged("owner", "anna"), Allow},
		{"variable in a condition, another", []string{when(`{"StringEquals":{"aws:ResourceTag/owner":"${aws:username}"}}`)}, tagged("owner", "bert"), ImplicitDeny},
		{"both of two keys", []string{when(`{"StringEquals":{"aws:username":"anna","aws:ResourceTag/env":"dev"}}`)}, nil, ImplicitDeny},
		{"both of two operators", []string{when(`{"StringEquals":{"aws:username":"anna"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`)}, nil, Allow},

		{"any key: one of two", []string{anyKey}, keys("x", "b"), Allow},
		{"any key: none", []string{anyKey}, keys("x"), ImplicitDeny},
		{"any key: no tags", []string{anyKey}, nil, ImplicitDeny},
		{"all keys", []string{allKeys}, keys("b", "a"), Allow},
		{"all keys: one too many", []string{allKeys}, keys("a", "x"), ImplicitDeny},
		{"all keys: no tags", []string{allKeys}, nil, Allow},
		{"all but a key", []string{allButKey}, keys("b", "c"), Allow},
		{"all but a key: that key", []string{allButKey}, keys("b", "a"), ImplicitDeny},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(c.change)
			var apart []*Policy
			for _, s := range c.policies {
				apart = append(apart, parse(t, statements(s)))
			}
			if got := Evaluate(apart, r); got != c.want {
				t.Errorf("in policies of their own: %v, want %v", got, c.want)
			}
			if len(c.policies) > 0 {
				text := statements(c.policies...)
				if got := Evaluate([]*Policy{parse(t, text)}, r); got != c.want {
					t.Errorf("in one policy: %v, want %v", got, c.want)
				}
				if got := slowEvaluate(t, text, r); got != c.want {
					t.Errorf("the twin says %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	statement := func(change string) string { return statements(change) }
	for _, c := range []struct{ name, text, want string }{
		{"nothing", ``, "policy: the document is not valid JSON"},
		{"no JSON", `{`, "policy: the document is not valid JSON"},
		{"a list", `[]`, "policy: the document must be an object"},
		{"too long", `{"Version":"` + strings.Repeat("x", maxPolicyBytes) + `"}`, "policy: the document has 10254 bytes, at most 10240 are allowed"},
		{"twice", `{"Version":"2012-10-17","Version":"2012-10-17"}`, "policy: the document is not valid JSON"},
		{"unknown element", `{"Version":"2012-10-17","Statements":[]}`, `policy: the document has the unknown element "Statements"; it may have Version, Id, Statement`},
		{"no version", `{"Statement":[]}`, `policy: Version must be "2012-10-17"`},
		{"old version", `{"Version":"2008-10-17","Statement":[]}`, `policy: Version must be "2012-10-17"`},
		{"no statement", `{"Version":"2012-10-17"}`, "policy: Statement is missing"},
		{"empty", statements(), "policy: Statement is empty"},
		{"statement is text", statement(`"x"`), "policy: Statement[0] must be an object"},
		{"effect", statement(`{"Effect":"allow","Action":"*","Resource":"*"}`), `policy: Statement[0].Effect must be "Allow" or "Deny"`},
		{"principal", statement(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`), "policy: Statement[0].Principal is not allowed"},
		{"element of another statement", statement(`{"Effect":"Allow","Action":"*","Resource":"*","Conditions":{}}`), `policy: Statement[0] has the unknown element "Conditions"`},
		{"no action", statement(`{"Effect":"Allow","Resource":"*"}`), "policy: Statement[0] must have either Action or NotAction"},
		{"both", statement(`{"Effect":"Allow","Action":"*","Resource":"*","NotResource":"*"}`), "policy: Statement[0] must have either Resource or NotResource"},
		{"empty list", statement(`{"Effect":"Allow","Action":[],"Resource":"*"}`), "policy: Statement[0].Action is empty"},
		{"number", statement(`{"Effect":"Allow","Action":[1],"Resource":"*"}`), "policy: Statement[0].Action must be a string or a list of strings"},
		{"no such operation", statement(`{"Effect":"Deny","Action":["*","network-firewall:DropFirewall"],"Resource":"*"}`), `policy: Statement[0].Action[1] "network-firewall:DropFirewall" is no operation of this API`},
		{"action without service", statement(`{"Effect":"Allow","Action":"DeleteFirewall","Resource":"*"}`), `policy: Statement[0].Action "DeleteFirewall" must be of the form network-firewall:<Operation>, or *`},
		{"resource", statement(`{"Effect":"Allow","Action":"*","Resource":"firewall/edge"}`), `policy: Statement[0].Resource "firewall/edge" must be an ARN or *`},
		{"variable", statement(`{"Effect":"Allow","Action":"*","Resource":"arn:aws:network-firewall:*:*:firewall/${aws:userid}"}`), `policy: Statement[0].Resource "arn:aws:network-firewall:*:*:firewall/${aws:userid}" has the policy variable ${aws:userid}, which is not supported`},
		{"open variable", statement(`{"Effect":"Allow","Action":"*","Resource":"arn:${"}`), "has a policy variable without its closing brace"},
		{"same Sid", statement(`{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}`), `policy: Statement[1].Sid "a" is that of another statement, too`},
		{"single statement", `{"Version":"2012-10-17","Statement":{"Effect":"No"}}`, "policy: Statement.Effect must be"},

		{"operator", statement(when(`{"DateLessThan":{"aws:CurrentTime":"x"}}`)), "policy: Statement[0].Condition.DateLessThan is no operator that is supported"},
		{"operator's case", statement(when(`{"stringequals":{"aws:username":"x"}}`)), "policy: Statement[0].Condition.stringequals is no operator that is supported"},
		{"NullIfExists", statement(when(`{"NullIfExists":{"aws:username":"true"}}`)), "policy: Statement[0].Condition.NullIfExists is no operator"},
		{"key", statement(when(`{"StringEquals":{"aws:userid":"x"}}`)), "policy: Statement[0].Condition.StringEquals[aws:userid] is no condition key that is supported: use one of aws:SourceIp,"},
		{"tag without key", statement(when(`{"StringEquals":{"aws:ResourceTag/":"x"}}`)), "policy: Statement[0].Condition.StringEquals[aws:ResourceTag/] is no condition key"},
		{"no key", statement(when(`{"StringEquals":{}}`)), "policy: Statement[0].Condition.StringEquals must be an object with at least one condition key"},
		{"text as address", statement(when(`{"IpAddress":{"aws:username":"10.0.0.1"}}`)), "policy: Statement[0].Condition.IpAddress[aws:username] cannot be compared by IpAddress: the key has a text"},
		{"address as text", statement(when(`{"StringLike":{"aws:SourceIp":"10.*"}}`)), "policy: Statement[0].Condition.StringLike[aws:SourceIp] cannot be compared by StringLike: the key has an address"},
		{"bad address", statement(when(`{"IpAddress":{"aws:SourceIp":["10.0.0.0/8","10.0.0.0/33"]}}`)), `policy: Statement[0].Condition.IpAddress[aws:SourceIp] "10.0.0.0/33" is neither an address nor a CIDR block`},
		{"mapped address", statement(when(`{"IpAddress":{"aws:SourceIp":"::ffff:10.0.0.1"}}`)), `"::ffff:10.0.0.1" must be written as IPv4`},
		{"bad truth", statement(when(`{"Null":{"aws:username":"yes"}}`)), `policy: Statement[0].Condition.Null[aws:username] "yes" must be true or false`},
		{"several values, no set operator", statement(when(`{"StringEquals":{"aws:TagKeys":"a"}}`)), "policy: Statement[0].Condition.StringEquals[aws:TagKeys] has several values"},
		{"set operator, one value", statement(when(`{"ForAllValues:StringEquals":{"aws:username":"a"}}`)), "policy: Statement[0].Condition.ForAllValues:StringEquals[aws:username] has a single value"},
		{"number as value", statement(when(`{"StringEquals":{"aws:username":1}}`)), "policy: Statement[0].Condition.StringEquals[aws:username] must be a string or a list of strings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParsePolicy([]byte(c.text))
			if _, ok := errors.AsType[*SyntaxError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"?", "", false}, {"a*", "ab", true},
		{"*ab", "aab", true}, {"*a?c*", "xabxabc", true}, {"a*b*c", "abcabx", false}, {"**", "a", true},
		{"?", "日", true}, {"*??", "日", false}, {"日?", "日本", true}, // ? is a character, not a byte
		{"${*}", "*", true}, {"${*}", "a", false}, {"${$}{x}", "${x}", true}, {"$", "$", true},
		{"${aws:username}", "anna", true}, {"${AWS:UserName}x", "annax", true}, {"a${aws:username}", "anna", false},
	} {
		g, problem := parseGlob(c.pattern, true)
		if problem != "" {
			t.Errorf("%s: %s", c.pattern, problem)
		}
		if got := g.match(c.s, "anna"); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.s, got)
		}
	}
	if g, _ := parseGlob("${aws:username}", true); g.match("", "") {
		t.Error("a caller without a name fits its variable")
	}
}

// TestMatchIsFast: patterns that are made to go back often stay quick, which the
// test's own time limit proves: going back to every * would take for ever.
func TestMatchIsFast(t *testing.T) {
	g, problem := parseGlob(strings.Repeat("*a", 2000)+"*b", true)
	if problem != "" {
		t.Fatal(problem)
	}
	if g.match(strings.Repeat("a", 4000), "") {
		t.Error("matched")
	}
}

// TestDocumentedPolicy: the example of the document does what the document says.
func TestDocumentedPolicy(t *testing.T) {
	text, err := os.ReadFile("../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```json\n")
	example, _, _ = strings.Cut(example, "```")
	p := parse(t, example)
	for _, c := range []struct {
		action, firewall, env, from string
		want                        Decision
	}{
		{"DescribeFirewall", "edge", "", "192.0.2.1", Allow},
		{"StartFlowFlush", "edge", "test", "10.0.1.7", Allow},
		{"StartFlowFlush", "edge", "test", "192.0.2.1", ImplicitDeny},
		{"StartFlowFlush", "edge", "live", "10.0.1.7", ImplicitDeny},
		{"StartFlowFlush", "prod", "test", "10.0.1.7", ExplicitDeny},
		{"DescribeFirewall", "prod", "", "10.0.1.7", ExplicitDeny},
	} {
		r := &Request{
			Action: "network-firewall:" + c.action, Resource: "arn:aws:network-firewall:us-east-1:111122223333:firewall/" + c.firewall,
			ResourceTags: map[string]string{"env": c.env}, SourceIP: netip.MustParseAddr(c.from),
		}
		if got := Evaluate([]*Policy{p}, r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func ExampleParsePolicy() {
	_, err := ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"network-firewall:Describe*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}}]}`))
	fmt.Println(err)
	// Output: policy: Statement[0].Condition.IpAddress[aws:SourceIp] "10.0.0.0/33" is neither an address nor a CIDR block
}
