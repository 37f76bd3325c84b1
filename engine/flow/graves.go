package flow

import (
	"bytes"
	"math/bits"
)

// graves remembers how TCP flows ended whose entries are in use again, so that a midstream
// packet can be told its cause. It is a direct-mapped cache: a newer grave takes
// an older one's place, and then the cause is unknown. Two flows share a grave
// by mistake about once in 2^32 look-ups.
type graves struct {
	slots []grave
}

type grave struct {
	tag    uint32 // high half of the key's hash; 0 is empty
	op     uint16
	reason Reason // NumReasons: of no flow that is remembered
	resets uint8  // sent in answer to each side's packets: two counters of 4 bits
}

// Grave is what is known of an ended flow.
type Grave struct {
	Reason Reason
	Op     uint16 // Operation.Number of the flush that ended it, or 0
}

func (g *graves) at(hash uint64) (*grave, uint32) {
	return &g.slots[hash&uint64(len(g.slots)-1)], uint32(hash>>32) | 1
}

func (g *graves) make(limit int) {
	if g.slots == nil {
		g.slots = make([]grave, 1<<bits.Len(uint(limit/4)))
	}
}

func (g *graves) bury(hash uint64, of grave, limit int) {
	g.make(limit)
	slot, tag := g.at(hash)
	of.tag = tag
	*slot = of
}

// Grave returns how the flow of k ended, if that is still remembered.
func (t *Table[S]) Grave(k *Key) (Grave, bool) {
	if t.used > 0 {
		if f := t.vacant(*t.bucket(k), k); f != nil {
			return Grave{Reason: Reason(f.packetsHi[0]), Op: f.bytesHi[0]}, true
		}
	}
	if t.graves.slots == nil {
		return Grave{}, false
	}
	slot, tag := t.graves.at(k.hash(&t.seed))
	if slot.tag != tag || slot.reason == NumReasons {
		return Grave{}, false
	}
	return Grave{Reason: slot.reason, Op: slot.op}, true
}

// resets returns the counters of resets for k.
func (t *Table[S]) resets(k *Key) *uint8 {
	if t.used > 0 {
		if f := t.vacant(*t.bucket(k), k); f != nil {
			return &f.packetsHi[1]
		}
	}
	t.graves.make(t.limit)
	slot, tag := t.graves.at(k.hash(&t.seed))
	if slot.tag != tag {
		*slot = grave{tag: tag, reason: NumReasons}
	}
	return &slot.resets
}

// CountReset counts a reset that answers a midstream packet of k. It returns how
// many there were before: in answer to packets of the same direction, and in all.
// Counts stop at 15.
func (t *Table[S]) CountReset(k *Key) (own, all int) {
	resets := t.resets(k)
	// Which side is which does not matter, as long as it is always the same.
	shift := 0
	if c := bytes.Compare(k.Src[:], k.Dst[:]); c > 0 || c == 0 && k.SrcPort > k.DstPort {
		shift = 4
	}
	mine, other := *resets>>shift&15, *resets>>(4-shift)&15
	if mine < 15 {
		*resets += 1 << shift
	}
	return int(mine), int(mine) + int(other)
}
