package control

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// Creations collide on the quota of their kind: each counts the others. All of
// them must get through, however many there are at once.
func TestManyAtOnce(t *testing.T) {
	const writers, each = 128, 4
	w := newWorld(t, nil)
	errs := make(chan error, writers*each)
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			for j := range each {
				in := request[wire.CreateRuleGroupRequest](t, `{"RuleGroupName":"g-%d-%d","Type":"STATEFUL","Capacity":1,"Rules":"pass ip any any -> any any (sid:1;)"}`, i, j)
				if _, err := w.CreateRuleGroup(t.Context(), wire.Caller{}, in); err != nil {
					errs <- fmt.Errorf("%s: %w", *in.RuleGroupName, err)
				}
			}
		})
	}
	running.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
