package engine

import (
	"sync"
	"sync/atomic"
)

// CustomActions counts packets by the custom action that stateless rules named.
// The names are few (ten a rule group) and come and go with policies.
type CustomActions struct{ counts sync.Map } // name to *atomic.Uint64

// counter returns the counter of name; workers look it up once for a program.
func (c *CustomActions) counter(name string) *atomic.Uint64 {
	n, _ := c.counts.LoadOrStore(name, new(atomic.Uint64))
	return n.(*atomic.Uint64)
}

// All calls yield for every name that has been counted.
func (c *CustomActions) All(yield func(name string, packets uint64) bool) {
	c.counts.Range(func(name, n any) bool { return yield(name.(string), n.(*atomic.Uint64).Load()) })
}
