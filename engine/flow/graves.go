package flow

import "math/bits"

// graves remembers how recently ended TCP flows ended, so that a midstream
// packet can be told its cause. It is a direct-mapped cache: a newer grave takes
// an older one's place, and then the cause is unknown. Two flows share a grave
// by mistake about once in 2^32 look-ups.
type graves struct {
	slots []grave
}

type grave struct {
	tag    uint32 // high half of the key's hash; 0 is empty
	op     uint16
	reason Reason
	reset  bool // both ends have been sent a reset
}

// Grave is what is known of an ended flow.
type Grave struct {
	Reason Reason
	Op     uint16 // Operation.Number of the flush that ended it, or 0
}

func (g *graves) at(hash uint64) (*grave, uint32) {
	return &g.slots[hash&uint64(len(g.slots)-1)], uint32(hash>>32) | 1
}

func (g *graves) bury(hash uint64, reason Reason, op uint16, limit int) {
	if g.slots == nil {
		g.slots = make([]grave, 1<<bits.Len(uint(limit/4)))
	}
	slot, tag := g.at(hash)
	*slot = grave{tag: tag, op: op, reason: reason}
}

// Grave returns how the flow of k ended, if that is still remembered.
func (t *Table[S]) Grave(k *Key) (Grave, bool) {
	if t.graves.slots == nil {
		return Grave{}, false
	}
	slot, tag := t.graves.at(k.hash(&t.seed))
	if slot.tag != tag || slot.reason == NumReasons {
		return Grave{}, false
	}
	return Grave{Reason: slot.reason, Op: slot.op}, true
}

// FirstReset reports whether the midstream traffic of k has not been answered
// with a reset yet, and remembers that it has now.
func (t *Table[S]) FirstReset(k *Key) bool {
	if t.graves.slots == nil {
		t.graves.slots = make([]grave, 1<<bits.Len(uint(t.limit/4)))
	}
	slot, tag := t.graves.at(k.hash(&t.seed))
	if slot.tag != tag {
		*slot = grave{tag: tag, reason: NumReasons}
	}
	first := !slot.reset
	slot.reset = true
	return first
}
