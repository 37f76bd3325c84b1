package smb

// cache remembers the newest values by key, at most limit of them. It makes room for another by
// forgetting the one that was put in first. Values are reused, so that those that hold memory
// can keep it.
type cache[K comparable, V any] struct {
	limit int
	at    map[K]int32 // place in slots
	slots []slot[K, V]
	free  []int32
	next  int // slot that is put in first, of a full cache
}

type slot[K comparable, V any] struct {
	key   K
	value V
}

// put returns the value for a key, which the caller is to set: of a new key it may be any old one.
func (c *cache[K, V]) put(key K) *V {
	if i, ok := c.at[key]; ok {
		return &c.slots[i].value
	}
	if c.at == nil {
		c.at = map[K]int32{}
	}
	var i int32
	switch {
	case len(c.free) > 0:
		i = c.free[len(c.free)-1]
		c.free = c.free[:len(c.free)-1]
	case len(c.slots) < c.limit:
		i = int32(len(c.slots))
		c.slots = append(c.slots, slot[K, V]{})
	default:
		i = int32(c.next)
		c.next = (c.next + 1) % c.limit
		delete(c.at, c.slots[i].key)
	}
	s := &c.slots[i]
	s.key = key
	c.at[key] = i
	return &s.value
}

// get returns the value of a key, nil when there is none. It is valid until the next put.
func (c *cache[K, V]) get(key K) *V {
	if i, ok := c.at[key]; ok {
		return &c.slots[i].value
	}
	return nil
}

// take is get for the last time. The value is valid until the next put.
func (c *cache[K, V]) take(key K) *V {
	i, ok := c.at[key]
	if !ok {
		return nil
	}
	delete(c.at, key)
	c.free = append(c.free, i)
	return &c.slots[i].value
}
