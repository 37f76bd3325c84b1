package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

func TestSummarize(t *testing.T) {
	const (
		text = `{"RulesSource":{"RulesString":"pass tcp any any -> any 1 (msg:\"one\"; metadata:a b, c d; sid:1; metadata:e;)\n# no rule\ndrop tcp any any -> any 2 (sid:4294967295;)"}}`
		list = `{"RulesSource":{"RulesSourceList":{"Targets":["a.example"],"TargetTypes":["TLS_SNI"],"GeneratedRulesType":"DENYLIST"}}}`
		five = `{"RulesSource":{"StatefulRules":[{"Action":"DROP","Header":{"Protocol":"TCP","Source":"ANY","SourcePort":"ANY","Direction":"FORWARD","Destination":"ANY","DestinationPort":"ANY"},"RuleOptions":[{"Keyword":"sid","Settings":["7"]}]}]}}`
	)
	for _, c := range []struct{ doc, options, want string }{
		{text, "", ""},
		{text, "SID", "1 - - | 4294967295 - -"},
		{text, "MSG METADATA", "- one a b, c d, e | - - -"},
		{text, "SID MSG METADATA", "1 one a b, c d, e | 4294967295 - -"},
		{list, "SID MSG", "1 matching TLS denylisted FQDNs -"},
		{five, "SID", "7 - -"},
	} {
		var got []string
		for _, s := range Summarize(ruleGroup(t, c.doc), strings.Fields(c.options)) {
			got = append(got, fmt.Sprint(or(s.SID), " ", or(s.Msg), " ", or(s.Metadata)))
		}
		if got := strings.Join(got, " | "); got != c.want {
			t.Errorf("%s of %s:\ngot  %s\nwant %s", c.options, c.doc, got, c.want)
		}
	}
}

// or is the text, or "-" when there is none.
func or(p *string) string {
	if p == nil {
		return "-"
	}
	return wire.Val(p)
}
