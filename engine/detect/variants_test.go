package detect

import (
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
)

func TestVariants(t *testing.T) {
	for _, test := range []struct {
		rule string
		want []applayer.Hook
	}{
		{`alert tcp any any -> any any (http.host; content:"x"; http.uri; content:"y"; sid:1;)`, []applayer.Hook{applayer.HTTPRequestHeaders}},
		{`alert dns any any -> any any (flow:to_server; dns.query; content:"x"; sid:1;)`, []applayer.Hook{applayer.DNSRequest}},
	} {
		set, err := Compile(sources(t, test.rule), Options{})
		if err != nil {
			t.Errorf("%s: %v", test.rule, err)
			continue
		}
		rules := set.Rules()
		if len(rules) != len(test.want) {
			t.Errorf("%s: %d variants, want %d", test.rule, len(rules), len(test.want))
			continue
		}
		for i := range rules {
			if rules[i].hook != test.want[i] {
				t.Errorf("%s: variant %d at %v, want %v", test.rule, i, rules[i].hook, test.want[i])
			}
		}
	}
}
