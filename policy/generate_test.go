package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/rule"
)

func TestRulesFromStateful(t *testing.T) {
	doc := ruleGroup(t, `{"RulesSource":{"StatefulRules":[
		{"Action":"PASS","Header":{"Protocol":"SSH","Source":"10.20.0.0/16","SourcePort":"ANY","Direction":"FORWARD","Destination":"10.30.0.0/16","DestinationPort":"22"},
		 "RuleOptions":[{"Keyword":"sid","Settings":["920001"]},{"Keyword":"flow","Settings":["to_server","established"]}]},
		{"Action":"ALERT","Header":{"Protocol":"IP","Source":"ANY","SourcePort":"ANY","Direction":"ANY","Destination":"$HOME_NET","DestinationPort":"ANY"},
		 "RuleOptions":[{"Keyword":"msg","Settings":["\"line\nbreak\""]},{"Keyword":"noalert"},{"Keyword":"sid","Settings":["920002"]}]}]}}`)
	got := RulesFromStateful(doc.RulesSource.StatefulRules)
	want := []string{
		`pass ssh 10.20.0.0/16 ANY -> 10.30.0.0/16 22 (sid:920001; flow:to_server,established;)`,
		`alert ip ANY ANY <> $HOME_NET ANY (msg:"line break"; noalert; sid:920002;)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	parse(t, got)
}

func TestRulesFromDomainList(t *testing.T) {
	list := func(kind string, types ...string) *wire.RulesSourceList {
		return &wire.RulesSourceList{Targets: []string{".Example.com", "api.example.org"}, TargetTypes: types, GeneratedRulesType: &kind}
	}
	cases := []struct {
		name, order string
		list        *wire.RulesSourceList
		want        []string
	}{
		{"allow list, action order", actionOrder, list("ALLOWLIST", "HTTP_HOST", "TLS_SNI"), []string{
			`pass tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; dotprefix; content:".Example.com"; nocase; endswith; msg:"matching TLS allowlisted FQDNs"; priority:1; flow:to_server, established; sid:1; rev:1;)`,
			`pass http $HOME_NET any -> $EXTERNAL_NET any (http.host; dotprefix; content:".example.com"; endswith; msg:"matching HTTP allowlisted FQDNs"; priority:1; flow:to_server, established; sid:2; rev:1;)`,
			`pass tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; content:"api.example.org"; startswith; nocase; endswith; msg:"matching TLS allowlisted FQDNs"; priority:1; flow:to_server, established; sid:3; rev:1;)`,
			`pass http $HOME_NET any -> $EXTERNAL_NET any (http.host; content:"api.example.org"; startswith; endswith; msg:"matching HTTP allowlisted FQDNs"; priority:1; flow:to_server, established; sid:4; rev:1;)`,
			`drop tls $HOME_NET any -> $EXTERNAL_NET any (ssl_state:client_hello; msg:"not matching any TLS allowlisted FQDNs"; priority:1; flow:to_server, established; sid:5; rev:1;)`,
			`drop http $HOME_NET any -> $EXTERNAL_NET any (http.method; content:!" "; msg:"not matching any HTTP allowlisted FQDNs"; priority:1; flow:to_server, established; sid:6; rev:1;)`,
		}},
		{"allow list, strict order", strictOrder, list("ALLOWLIST", "TLS_SNI"), []string{
			`pass tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; dotprefix; content:".Example.com"; nocase; endswith; msg:"matching TLS allowlisted FQDNs"; flow:to_server, established; sid:1; rev:1;)`,
			`pass tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; content:"api.example.org"; startswith; nocase; endswith; msg:"matching TLS allowlisted FQDNs"; flow:to_server, established; sid:2; rev:1;)`,
		}},
		{"deny list", actionOrder, list("DENYLIST", "HTTP_HOST"), []string{
			`drop http $HOME_NET any -> $EXTERNAL_NET any (http.host; dotprefix; content:".example.com"; endswith; msg:"matching HTTP denylisted FQDNs"; priority:1; flow:to_server, established; sid:1; rev:1;)`,
			`drop http $HOME_NET any -> $EXTERNAL_NET any (http.host; content:"api.example.org"; startswith; endswith; msg:"matching HTTP denylisted FQDNs"; priority:1; flow:to_server, established; sid:2; rev:1;)`,
		}},
		{"reject list", strictOrder, list("REJECTLIST", "TLS_SNI"), []string{
			`reject tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; dotprefix; content:".Example.com"; nocase; endswith; msg:"matching TLS rejectlisted FQDNs"; flow:to_server, established; sid:1; rev:1;)`,
			`reject tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; content:"api.example.org"; startswith; nocase; endswith; msg:"matching TLS rejectlisted FQDNs"; flow:to_server, established; sid:2; rev:1;)`,
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := RulesFromDomainList(c.list, c.order)
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			parse(t, got)
		})
	}
}

// parse demands that the rule language takes what was generated.
func parse(t *testing.T, rules []string) {
	t.Helper()
	for _, text := range rules {
		if _, err := rule.Parse(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
