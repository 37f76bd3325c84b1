package iam

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

// slowEvaluate is the twin of Evaluate: it reads the document anew, turns every
// pattern into a regular expression and follows AWS's description word by word.
func slowEvaluate(t testing.TB, document string, r *Request) Decision {
	t.Helper()
	type statement struct {
		Effect                                   string
		Action, NotAction, Resource, NotResource any
		Condition                                map[string]map[string]any
	}
	var doc struct{ Statement json.RawMessage }
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		t.Fatal(err)
	}
	var list []statement
	if json.Unmarshal(doc.Statement, &list) != nil {
		list = make([]statement, 1)
		if err := json.Unmarshal(doc.Statement, &list[0]); err != nil {
			t.Fatal(err)
		}
	}
	allowed := false
	for _, s := range list {
		applies := true
		if s.Action != nil {
			applies = applies && slowAny(s.Action, func(p string) bool { return slowGlob(strings.ToLower(p), strings.ToLower(r.Action), r, true) })
		} else {
			applies = applies && !slowAny(s.NotAction, func(p string) bool { return slowGlob(strings.ToLower(p), strings.ToLower(r.Action), r, true) })
		}
		if s.Resource != nil {
			applies = applies && slowAny(s.Resource, func(p string) bool { return slowARN(p, r) })
		} else {
			applies = applies && !slowAny(s.NotResource, func(p string) bool { return slowARN(p, r) })
		}
		for operator, keys := range s.Condition {
			for key, values := range keys {
				applies = applies && slowCondition(operator, key, values, r)
			}
		}
		if applies && s.Effect == "Deny" {
			return ExplicitDeny
		}
		allowed = allowed || applies
	}
	if allowed {
		return Allow
	}
	return ImplicitDeny
}

// slowAny reports whether one of a value or list of values fits.
func slowAny(v any, fits func(string) bool) bool {
	switch v := v.(type) {
	case string:
		return fits(v)
	case bool:
		return fits(map[bool]string{true: "true", false: "false"}[v])
	case []any:
		for _, e := range v {
			if slowAny(e, fits) {
				return true
			}
		}
	}
	return false
}

func slowARN(pattern string, r *Request) bool {
	if pattern == "*" || r.Resource == "*" {
		return pattern == "*"
	}
	want, have := strings.SplitN(pattern, ":", 6), strings.SplitN(r.Resource, ":", 6)
	for len(want) < 6 {
		want = append(want, "*")
	}
	for i, w := range want {
		if !slowGlob(w, have[i], r, true) {
			return false
		}
	}
	return true
}

var slowTokens = regexp.MustCompile(`(?s)\$\{[^}]*\}|.`)

func slowGlob(pattern, s string, r *Request, wildcards bool) bool {
	expression := slowTokens.ReplaceAllStringFunc(pattern, func(tok string) string {
		switch {
		case tok == "*" && wildcards:
			return ".*"
		case tok == "?" && wildcards:
			return "."
		case strings.HasPrefix(tok, "${") && len(tok) == 4:
			return regexp.QuoteMeta(tok[2:3])
		case strings.HasPrefix(tok, "${"):
			return regexp.QuoteMeta(r.UserName)
		}
		return regexp.QuoteMeta(tok)
	})
	return regexp.MustCompile("(?s)^" + expression + "$").MatchString(s)
}

// slowCondition decides one key of one operator.
func slowCondition(operator, key string, values any, r *Request) bool {
	var have []string
	present := false
	add := func(v string, ok bool) {
		if ok {
			have, present = append(have, v), true
		}
	}
	tag := func(tags map[string]string, name string) {
		if v, ok := tags[name]; ok {
			add(v, true)
			return
		}
		first := ""
		for k := range tags {
			if strings.EqualFold(k, name) && (first == "" || k < first) {
				first = k
			}
		}
		add(tags[first], first != "")
	}
	name, tagKey, _ := strings.Cut(key, "/")
	is := func(key string) bool { return strings.EqualFold(name, key) }
	switch {
	case is("aws:SourceIp"):
		add(r.SourceIP.String(), r.SourceIP.IsValid())
	case is("aws:SecureTransport"):
		add(map[bool]string{true: "true", false: "false"}[r.Secure], true)
	case is("aws:PrincipalArn"):
		add(r.PrincipalARN, true)
	case is("aws:username"):
		add(r.UserName, r.UserName != "")
	case is("aws:TagKeys"):
		for _, k := range r.TagKeys {
			add(k, true)
		}
	case is("aws:ResourceTag"):
		tag(r.ResourceTags, tagKey)
	case is("aws:RequestTag"):
		tag(r.RequestTags, tagKey)
	}

	set, op, ok := strings.Cut(operator, ":")
	if !ok {
		set, op = "", operator
	}
	op, ifExists := strings.CutSuffix(op, "IfExists")
	if op == "Null" {
		return slowAny(values, func(v string) bool { return (v == "true") == !present })
	}
	if !present && ifExists {
		return true
	}
	negated := strings.Contains(op, "Not")
	base := strings.Replace(op, "Not", "", 1)
	one := func(h string) bool {
		fits := slowAny(values, func(v string) bool {
			switch base {
			case "StringEquals":
				return slowGlob(v, h, r, false)
			case "StringEqualsIgnoreCase":
				folded := *r
				folded.UserName = strings.ToLower(r.UserName)
				return slowGlob(strings.ToLower(v), strings.ToLower(h), &folded, false)
			case "StringLike":
				return slowGlob(v, h, r, true)
			case "Bool":
				return v == h
			case "IpAddress":
				if !strings.Contains(v, "/") {
					return netip.MustParseAddr(v) == netip.MustParseAddr(h)
				}
				return netip.MustParsePrefix(v).Contains(netip.MustParseAddr(h))
			}
			panic(op)
		})
		return fits != negated
	}
	switch {
	case set == "ForAnyValue":
		for _, h := range have {
			if one(h) {
				return true
			}
		}
		return false
	case set == "ForAllValues":
		for _, h := range have {
			if !one(h) {
				return false
			}
		}
		return true
	case !present:
		return negated
	}
	return one(have[0])
}

// TestTwin evaluates random requests by random policies in both ways.
func TestTwin(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	decisions := map[Decision]int{}
	for range 5_000 {
		var list []string
		for range 1 + rnd.IntN(3) {
			list = append(list, randomStatement(rnd))
		}
		text := statements(list...)
		p := parse(t, text)
		r := randomRequest(rnd)
		got, want := Evaluate([]*Policy{p}, r), slowEvaluate(t, text, r)
		if got != want {
			t.Fatalf("%v, the twin says %v\n%s\n%+v", got, want, text, r)
		}
		decisions[got]++
	}
	for _, d := range []Decision{ImplicitDeny, ExplicitDeny, Allow} {
		if decisions[d] < 100 {
			t.Errorf("only %d of 5000 cases are %v: the cases are too one-sided", decisions[d], d)
		}
	}
}

func pick(rnd *rand.Rand, from ...string) string { return from[rnd.IntN(len(from))] }

// some is a value or a list of up to three, as JSON.
func some(rnd *rand.Rand, from ...string) string {
	if rnd.IntN(2) == 0 {
		text, _ := json.Marshal(pick(rnd, from...))
		return string(text)
	}
	var list []string
	for range 1 + rnd.IntN(3) {
		list = append(list, pick(rnd, from...))
	}
	text, _ := json.Marshal(list)
	return string(text)
}

var words = []string{"a", "ab", "b", "A", "anna", "dev", "Dev", "", "日本", "a*", "?"}

func randomStatement(rnd *rand.Rand) string {
	s := `{"Effect":"` + pick(rnd, "Allow", "Allow", "Deny") + `",`
	s += `"` + pick(rnd, "Action", "Action", "NotAction") + `":` + some(rnd,
		"*", "network-firewall:*", "network-firewall:Describe*", "network-firewall:?e*Firewall", "NETWORK-FIREWALL:DeleteFirewall", "*:*wall", "ec2:*") + `,`
	s += `"` + pick(rnd, "Resource", "Resource", "NotResource") + `":` + some(rnd,
		"*", edge, inner, "arn:aws:network-firewall:*:*:firewall/*", "arn:aws:*", "arn:*:*:*:*:firewall/?dge", "arn:aws:network-firewall:us-east-1:*:*/*e*",
		"arn:aws:network-firewall:us-east-1:111122223333:firewall/${aws:username}", "arn:aws:network-firewall:us-*-1:1111*3333:firewall/${*}")
	if rnd.IntN(3) > 0 {
		var entries []string
		used := map[string]bool{}
		for range 1 + rnd.IntN(2) {
			operator, entry := randomCondition(rnd)
			if !used[operator] {
				used[operator] = true
				entries = append(entries, `"`+operator+`":{`+entry+`}`)
			}
		}
		s += `,"Condition":{` + strings.Join(entries, ",") + `}`
	}
	return s + "}"
}

func randomCondition(rnd *rand.Rand) (operator, entry string) {
	ifExists := pick(rnd, "", "", "IfExists")
	text := pick(rnd, "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike")
	values := append([]string{"*", "a*", "?", "${aws:username}", "${?}", "*n*a", "an${*}"}, words...)
	switch rnd.IntN(6) {
	case 0:
		return pick(rnd, "IpAddress", "NotIpAddress") + ifExists, `"aws:SourceIp":` + some(rnd, "10.0.0.0/8", "10.0.1.23", "192.0.2.0/24", "2001:db8::/32", "::/0", "0.0.0.0/0")
	case 1:
		return "Bool" + ifExists, `"aws:SecureTransport":` + some(rnd, "true", "false")
	case 2:
		return "Null", `"` + pick(rnd, "aws:ResourceTag/a", "aws:RequestTag/b", "aws:TagKeys", "aws:SourceIp") + `":` + some(rnd, "true", "false")
	case 3:
		return pick(rnd, "ForAnyValue:", "ForAllValues:") + text + ifExists, `"aws:TagKeys":` + some(rnd, values...)
	}
	key := pick(rnd, "aws:ResourceTag/a", "aws:ResourceTag/A", "aws:RequestTag/b", "aws:requesttag/a", "aws:username", "aws:PrincipalArn")
	return text + ifExists, `"` + key + `":` + some(rnd, values...)
}

func randomRequest(rnd *rand.Rand) *Request {
	r := &Request{
		Action:       "network-firewall:" + pick(rnd, "DescribeFirewall", "DeleteFirewall", "ListFirewalls", "StartFlowFlush"),
		Resource:     pick(rnd, edge, inner, "*", "arn:aws:network-firewall:us-east-1:111122223333:firewall/anna", "arn:aws:network-firewall:eu-west-1:aws-managed:stateful-rulegroup/Threat"),
		PrincipalARN: anna, UserName: pick(rnd, "anna", "b", "*"), Secure: rnd.IntN(2) == 0,
	}
	if rnd.IntN(5) > 0 {
		r.SourceIP = netip.MustParseAddr(pick(rnd, "10.0.1.23", "192.0.2.1", "2001:db8::1"))
	}
	tags := func() map[string]string {
		out := map[string]string{}
		for range rnd.IntN(3) {
			out[pick(rnd, "a", "A", "b", "B", "c")] = pick(rnd, words...)
		}
		return out
	}
	r.ResourceTags, r.RequestTags = tags(), tags()
	for k := range r.RequestTags {
		r.TagKeys = append(r.TagKeys, k)
	}
	return r
}

// FuzzParsePolicy: any text is refused with a SyntaxError or evaluated as the
// twin does.
func FuzzParsePolicy(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		f.Add([]byte(statements(randomStatement(rnd))))
	}
	f.Add([]byte(Administrator))
	r := randomRequest(rnd)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err != nil {
			if e := err.(*SyntaxError); len(e.Error()) > 4096 {
				t.Fatalf("error of %d bytes", len(e.Error()))
			}
			return
		}
		if got, want := Evaluate([]*Policy{p}, r), slowEvaluate(t, string(text), r); got != want {
			t.Fatalf("%v, the twin says %v", got, want)
		}
	})
}
