package control

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

func TestReferenceSets(t *testing.T) {
	w := newWorld(t, nil)
	const one, two = "arn:aws:ec2:us-east-1:123456789012:prefix-list/pl-1", "arn:aws:ec2:us-east-1:123456789012:prefix-list/pl-2"
	set := func(arn string, cidrs ...string) {
		t.Helper()
		if err := w.SetReferenceSet(t.Context(), arn, prefixes(cidrs...)); err != nil {
			t.Fatal(err)
		}
	}
	// Groups may come before the sets that they refer to.
	const group = `{"RuleGroupName":%q,"Type":"STATEFUL","Capacity":100,"RuleGroup":{"ReferenceSets":{"IPSetReferences":{"A":{"ReferenceArn":%q},"B":{"ReferenceArn":%q}}},"RulesSource":{"RulesString":"drop tcp @A any -> @B any (sid:1;)"},"StatefulRuleOptions":{"RuleOrder":"STRICT_ORDER"}}}`
	g := *do(w, w.CreateRuleGroup, group, "g", one, two).RuleGroupResponse.RuleGroupArn
	h := *do(w, w.CreateRuleGroup, group, "h", one, one+"0").RuleGroupResponse.RuleGroupArn
	w.newFirewall("f", w.strictPolicy("p", g, h, w.statefulGroup("none")), "subnet-a")
	w.newFirewall("without", w.strictPolicy("q"), "subnet-a")
	expect := func(step string, used, inOne, inTwo int32) {
		t.Helper()
		c := do(w, w.DescribeFirewall, `{"FirewallName":"f"}`).FirewallStatus.CapacityUsageSummary.CIDRs
		if *c.UtilizedCIDRCount != used || *c.AvailableCIDRCount != 1000000-used || len(c.IPSetReferences) != 3 ||
			*c.IPSetReferences[one].ResolvedCIDRCount != inOne || *c.IPSetReferences[two].ResolvedCIDRCount != inTwo {
			t.Errorf("%s: %d used of %d, %+v", step, *c.UtilizedCIDRCount, *c.AvailableCIDRCount, c.IPSetReferences)
		}
	}
	expect("no set", 0, 0, 0)
	set(two, "2001:db8::/32")
	set(one, "10.1.2.3/8", "192.0.2.0/24", "10.0.0.0/8")
	expect("two sets", 3, 2, 1)
	if s := do(w, w.DescribeFirewall, `{"FirewallName":"without"}`).FirewallStatus.CapacityUsageSummary; s != nil {
		t.Errorf("%+v", s)
	}
	sets, err := w.ListReferenceSets(t.Context())
	if err != nil || len(sets) != 2 || sets[0].ARN != one || fmt.Sprint(sets[0].CIDRs) != "[10.0.0.0/8 192.0.2.0/24]" {
		t.Errorf("%+v, %v", sets, err)
	}
	// This is what nodes read.
	record, _, err := store.Get[resource.ReferenceSet](t.Context(), db, "/sluice/v1/reference-sets/us-east-1/"+one)
	if err != nil || record.UpdateToken != sets[0].UpdateToken || len(record.CIDRs) != 2 {
		t.Errorf("%+v, %v", record, err)
	}
	set(one)
	if after, err := w.ListReferenceSets(t.Context()); err != nil || after[0].UpdateToken == sets[0].UpdateToken {
		t.Errorf("%+v, %v", after, err)
	}
	expect("an empty set", 1, 0, 1)
	for range 2 {
		if err := w.DeleteReferenceSet(t.Context(), two); err != nil {
			t.Fatal(err)
		}
	}
	expect("a set deleted", 0, 0, 0)

	for arn, cidrs := range map[string][]netip.Prefix{
		"x": nil, "": nil, one: {{}}, two: make([]netip.Prefix, 50001),
	} {
		if err := w.SetReferenceSet(t.Context(), arn, cidrs); code(err) != errInvalid {
			t.Errorf("%s with %d CIDRs: %v", arn, len(cidrs), err)
		}
	}
}
