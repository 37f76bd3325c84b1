package control

import (
	"context"
	"sync"

	"github.com/sluicefw/sluice/resource"
)

// maxGroupStates bounds what is remembered of rule groups. There are fewer groups
// than that unless limits are raised, or groups come and go.
const maxGroupStates = 8192

// groupState is what the status of a firewall takes from one of its rule groups.
type groupState struct {
	rev        int64    // revision of the record that it is from
	token      string   // update token
	references []string // ARNs of reference sets
}

// groupStates remembers the states of rule groups. Clients poll the status of
// firewalls, and reading 2 MB of rules each time takes 10 ms.
type groupStates struct {
	mu    sync.Mutex
	byKey map[string]groupState // by key of the record; guarded by mu
}

// groupState returns the current state of a rule group, which is empty if there
// is no such group. It reads the whole record only if that has changed.
func (c *Control) groupState(ctx context.Context, arn string) (groupState, error) {
	a, _ := parseARN(arn)
	key := c.keyOfARN(a)
	// Keys come in order, so the first one that begins with key is key, if it exists.
	p, err := c.store.Keys(ctx, key, "", 1)
	if err != nil {
		return groupState{}, storeError(err)
	}
	if len(p.KVs) == 0 || p.KVs[0].Key != key {
		return groupState{}, nil
	}
	if known := c.groups.get(key); known.rev == p.KVs[0].Rev {
		return known, nil
	}
	r, _, err := read[resource.RuleGroup](ctx, c, key)
	if err != nil {
		return groupState{}, err
	}
	state := groupState{rev: r.rev, token: r.value.UpdateToken, references: referencesOf(r.value.Doc)}
	c.groups.put(key, state)
	return state, nil
}

func (s *groupStates) get(key string) groupState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key]
}

func (s *groupStates) put(key string, state groupState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil || len(s.byKey) >= maxGroupStates {
		s.byKey = map[string]groupState{}
	}
	s.byKey[key] = state
}
