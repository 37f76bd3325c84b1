package node

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

const setARN = "arn:aws:ec2:us-east-1:123456789012:prefix-list/pl-0a1b2c"

func (r *rig) putSet(token string, cidrs ...string) {
	r.Helper()
	set := resource.ReferenceSet{ARN: setARN, UpdateToken: token}
	for _, c := range cidrs {
		set.CIDRs = append(set.CIDRs, netip.MustParsePrefix(c))
	}
	r.put(scope.ReferenceSet(setARN), set)
}

// awaitSet waits until a program is in force that was made with the set as of
// token, "" for none.
func (r *rig) awaitSet(token string) {
	r.Helper()
	r.awaitSync(func(s resource.Sync) bool {
		return s.Error == "" && s.Tokens[groupARN] == "g1" && s.Tokens[setARN] == token
	})
}

// TestReferenceSet: rules follow what is behind an @NAME, whether it is there
// before the group or comes, changes and goes after it.
func TestReferenceSet(t *testing.T) {
	r := start(t)
	rules := "reject tcp any any -> @BLOCKED any (sid:1;)\npass tcp any any -> any any (sid:2;)"
	r.put(scope.RuleGroup(resource.Stateful, "g"), resource.RuleGroup{
		Meta: resource.Meta{ARN: groupARN, Name: "g", UpdateToken: "g1"}, Kind: resource.Stateful,
		Doc: &wire.RuleGroup{
			ReferenceSets: &wire.ReferenceSets{IPSetReferences: map[string]wire.IPSetReference{"BLOCKED": {ReferenceArn: wire.Ptr(setARN)}}},
			RulesSource:   &wire.RulesSource{RulesString: &rules},
		},
	})
	strict := func(p *wire.FirewallPolicy) {
		p.StatefulEngineOptions.RuleOrder = wire.Ptr(wire.RuleOrderStrictOrder)
		p.StatefulRuleGroupReferences[0].Priority = wire.Ptr[int32](1)
	}
	r.putPolicy("p1", strict)
	r.putFirewall()
	refused := func(to netip.AddrPort) {
		t.Helper()
		if _, err := r.dial(to); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a connection to %v: %v, want it refused", to, err)
		}
	}

	r.awaitSet("")
	r.connect(echo)
	r.putSet("s1", "198.51.100.0/24")
	r.awaitSet("s1")
	refused(echo)
	r.connect(other)
	r.putSet("s2", "203.0.113.7/32", "2001:db8::/32")
	r.awaitSet("s2")
	r.connect(echo)
	refused(other)
	r.put(scope.ReferenceSet(setARN), map[string]any{"update_token": "bad", "cidrs": []string{""}})
	r.putPolicy("p2", strict) // comes after the bad record
	r.awaitTokens("p2", "g1")
	r.awaitSet("s2")
	refused(other)
	if err := r.store.Delete(r.ctx, scope.ReferenceSet(setARN)); err != nil {
		t.Fatal(err)
	}
	r.awaitSet("")
	r.connect(other)
}
