package policy

import (
	"net/netip"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// TestCompileReferenceSets compiles one rule with different contents of @REF.
// A rule that matches nothing because of them is left out; one that matches
// nothing whatever they are is an error.
func TestCompileReferenceSets(t *testing.T) {
	const groupARN, setARN = "arn:group", "arn:aws:ec2:us-east-1:123456789012:prefix-list/pl-0a1b"
	cidrs := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	for _, test := range []struct {
		name, source string
		set          []netip.Prefix // nil: not there
		rules        int            // compiled, of two: -1 is an error
	}{
		{"set", "@REF", cidrs("10.0.0.0/8", "2001:db8::/32"), 2},
		{"no set", "@REF", nil, 1},
		{"empty set", "@REF", cidrs(), 1},
		{"in a list", "[192.0.2.1,@REF]", nil, 2},
		{"alone in a list", "[@REF]", nil, 1},
		{"less something", "[@REF,!10.1.0.0/16]", nil, 1},
		{"less all of it", "[@REF,!10.0.0.0/8]", cidrs("10.2.0.0/16"), 1},
		{"less part of it", "[@REF,!10.2.0.0/24]", cidrs("10.2.0.0/16"), 2},
		{"not", "!@REF", nil, 2},
		{"not in a list", "[192.0.2.0/24,!@REF]", cidrs("192.0.2.0/25"), 2},
		{"a mistake", "[10.0.0.0/8,!10.0.0.0/8]", nil, -1},
		{"undefined", "@FER", nil, -1},
	} {
		for what, header := range map[string]string{
			"source": "tcp " + test.source + " any -> any any", "destination": "tcp any any -> " + test.source + " any",
		} {
			text := "drop " + header + " (sid:1;)\npass ip any any -> any any (sid:2;)"
			in := Input{
				Policy: &wire.FirewallPolicy{
					StatelessDefaultActions: []string{ActionForward}, StatelessFragmentDefaultActions: []string{ActionForward},
					StatefulRuleGroupReferences: []wire.StatefulRuleGroupReference{{ResourceArn: wire.Ptr(groupARN)}},
				},
				Groups: map[string]*wire.RuleGroup{groupARN: {
					ReferenceSets: &wire.ReferenceSets{IPSetReferences: map[string]wire.IPSetReference{"REF": {ReferenceArn: wire.Ptr(setARN)}}},
					RulesSource:   &wire.RulesSource{RulesString: &text},
				}},
				References: map[string][]netip.Prefix{}, HomeNet: []string{"10.0.0.0/8"},
			}
			if test.set != nil {
				in.References[setARN] = test.set
			}
			p, err := Compile(in, 1)
			switch {
			case err != nil && test.rules >= 0:
				t.Errorf("%s as %s: %v", test.name, what, err)
			case err == nil && test.rules < 0:
				t.Errorf("%s as %s compiled", test.name, what)
			case err == nil && len(p.Rules.Rules()) != test.rules:
				t.Errorf("%s as %s: %d rules, want %d", test.name, what, len(p.Rules.Rules()), test.rules)
			}
		}
	}
}
