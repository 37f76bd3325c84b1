package control

import (
	"fmt"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// What is remembered of a rule group is never older than the group.
func TestGroupState(t *testing.T) {
	w := newWorld(t, nil)
	const create = `{"RuleGroupName":%q,"Type":"STATEFUL","Capacity":1,"Rules":"pass ip any any -> any any (sid:1;)"}`
	arn := func(name string) string { return w.arn("stateful-rulegroup", name) }
	expect := func(name string, token *string) {
		t.Helper()
		for range 2 {
			if s, err := w.groupState(t.Context(), arn(name)); err != nil || s.token != wire.Val(token) {
				t.Errorf("the token of %s is %q, %v; want %q", name, s.token, err, wire.Val(token))
			}
		}
	}
	expect("a", nil)
	longer := do(w, w.CreateRuleGroup, create, "aa")
	expect("a", nil) // though a key begins with its key
	created := do(w, w.CreateRuleGroup, create, "a")
	expect("a", created.UpdateToken)
	expect("aa", longer.UpdateToken)
	updated := do(w, w.UpdateRuleGroup, `{"RuleGroupArn":%q,"UpdateToken":%q,"Rules":"pass ip any any -> any any (sid:2;)"}`, arn("a"), *created.UpdateToken)
	expect("a", updated.UpdateToken)
	do(w, w.DeleteRuleGroup, `{"RuleGroupArn":%q}`, arn("a"))
	expect("a", nil)
	expect("a", nil)
	again := do(w, w.CreateRuleGroup, create, "a")
	expect("a", again.UpdateToken)

	for i := range maxRemembered {
		w.groups.put(fmt.Sprint(i), 1, groupState{})
	}
	if n := len(w.groups.byKey); n > maxRemembered {
		t.Errorf("%d states are remembered, want at most %d", n, maxRemembered)
	}
	expect("a", again.UpdateToken)
}
