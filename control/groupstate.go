package control

import (
	"context"
	"sync"

	"github.com/sluicefw/sluice/resource"
)

// maxRemembered bounds what is remembered of the records of one type. There are
// fewer than that unless limits are raised, or records come and go.
const maxRemembered = 8192

// remembered is what was read of records. Clients poll the status of firewalls, and
// reading 2 MB of rules each time takes 10 ms.
type remembered[T any] struct {
	mu    sync.Mutex
	byKey map[string]atRevision[T] // by key of the record; guarded by mu
}

type atRevision[T any] struct {
	rev   int64
	value T
}

// get returns what is known of a record, if it is as it was.
func (r *remembered[T]) get(key string, rev int64) (value T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.byKey[key]
	return known.value, known.rev == rev
}

func (r *remembered[T]) put(key string, rev int64, value T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKey == nil || len(r.byKey) >= maxRemembered {
		r.byKey = map[string]atRevision[T]{}
	}
	r.byKey[key] = atRevision[T]{rev, value}
}

// groupState is what the status of a firewall takes from one of its rule groups.
type groupState struct {
	token      string   // update token
	references []string // ARNs of reference sets
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
	if known, ok := c.groups.get(key, p.KVs[0].Rev); ok {
		return known, nil
	}
	r, _, err := read[resource.RuleGroup](ctx, c, key)
	if err != nil {
		return groupState{}, err
	}
	state := groupState{token: r.value.UpdateToken, references: referencesOf(r.value.Doc)}
	c.groups.put(key, r.rev, state)
	return state, nil
}
