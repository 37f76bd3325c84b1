package engine

import (
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/policy"
)

// TestDomainList runs an allow list and a deny list, as the API has them, in
// action order, where an allow list brings its own drop rules.
func TestDomainList(t *testing.T) {
	for _, test := range []struct {
		kind   string
		passes map[string]bool // SNI or Host
	}{
		{wire.GeneratedRulesTypeAllowlist, map[string]bool{"example.com": true, "www.test.example": true, "test.example": true, "other.example": false, "notexample.com": false, "www.example.com": false}},
		{wire.GeneratedRulesTypeDenylist, map[string]bool{"example.com": false, "www.test.example": false, "test.example": false, "other.example": true, "notexample.com": true, "www.example.com": true}},
	} {
		arn := "arn:aws:network-firewall:us-east-1:123456789012:stateful-rulegroup/domains"
		p, err := policy.Compile(policy.Input{
			ARN: "arn:policy",
			Policy: &wire.FirewallPolicy{
				StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:drop"},
				StatefulRuleGroupReferences: []wire.StatefulRuleGroupReference{{ResourceArn: &arn}},
			},
			Groups: map[string]*wire.RuleGroup{arn: {RulesSource: &wire.RulesSource{RulesSourceList: &wire.RulesSourceList{
				GeneratedRulesType: &test.kind, TargetTypes: []string{"TLS_SNI", "HTTP_HOST"}, Targets: []string{"example.com", ".test.example"},
			}}}},
			HomeNet: []string{"10.0.0.0/8"},
		}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for name, passes := range test.passes {
			r := newRig(t, p)
			https := newConn("1")
			r.open(https)
			http := &conn{"10.0.0.1:2", "192.0.2.1:80", 1000, 5000}
			r.open(http)
			for what, ip := range map[string][]byte{"TLS": https.c2s(data, hello(t, name)), "HTTP": http.c2s(data, "GET / HTTP/1.1\r\nHost: "+name+"\r\n\r\n")} {
				verdict := r.packet(ip)
				if (verdict == 1) != passes {
					t.Errorf("%s %s to %s: verdict %d", test.kind, what, name, verdict)
				}
			}
			r.accepts("what is neither", packettest.UDP("10.0.0.1:1", "192.0.2.1:9", nil))
			r.addsUp()
		}
	}
}
