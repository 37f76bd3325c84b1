package flow

import (
	"math/bits"
	"math/rand/v2"

	"github.com/sluicefw/sluice/engine/packet"
)

// Owner is what a table asks of whoever hangs state on its flows.
type Owner[S any] interface {
	// IdleTimeout is how long, in nanoseconds, the flow may be without a packet.
	IdleTimeout(f *Flow[S]) int64

	// Ended is called once for every flow that leaves the table, before its
	// slot is used again. op is the flush that ended it, else nil.
	Ended(f *Flow[S], reason Reason, op *Operation[S])

	// Assured says that both sides have spoken and the flow is not closed.
	// Such a flow is never evicted for a new one.
	Assured(f *Flow[S]) bool

	// Closed says that the flow's protocol has ended it. It waits in the table
	// for late packets; captures and flushes leave it alone.
	Closed(f *Flow[S]) bool
}

const (
	chunkBits = 10
	chunkSize = 1 << chunkBits

	// evictionProbes bounds the search for a flow to evict. The hand moves on
	// with each search, so successive packets search the whole table.
	evictionProbes = 32
)

// Table is a bounded table of flows. At its limit a new flow takes the place of
// one that is not assured (closed, or only one side has spoken), as conntrack's
// early drop does; when none is found the new flow is refused.
type Table[S any] struct {
	owner   Owner[S]
	limit   int
	seed    [2]uint64
	buckets []uint32              // slot+1 of the first entry, 0 for none
	chunks  []*[chunkSize]Flow[S] // grown on demand; a slot never moves
	used    int                   // slots ever handed out
	free    uint32                // slot+1 of the first vacant slot below used
	live    int
	evict   int // eviction hand

	epoch epoch
	ops   []*Operation[S] // taken up and not yet swept, oldest first
	hand  int             // next slot to sweep

	graves graves
}

// NewTable makes a table for at most limit flows. Memory is taken as flows come.
func NewTable[S any](limit int, owner Owner[S]) *Table[S] {
	limit = max(1, min(limit, 1<<31))
	return &Table[S]{
		owner: owner,
		limit: limit,
		seed:  [2]uint64{rand.Uint64(), rand.Uint64()},
		epoch: 1,
	}
}

// Len is the number of flows in the table, flushed flows that the sweep has not
// reached yet included.
func (t *Table[S]) Len() int { return t.live }

// Slots is how many slots a sweep of the whole table visits: the most flows that
// there have ever been at once.
func (t *Table[S]) Slots() int { return t.used }

// Limit is the most flows that the table holds.
func (t *Table[S]) Limit() int { return t.limit }

func (t *Table[S]) at(slot int) *Flow[S] { return &t.chunks[slot>>chunkBits][slot&(chunkSize-1)] }

// Find returns the flow of k and the direction in which k runs, or nil. A flow
// that a flush chose or whose idle time is over ends here and is not found.
func (t *Table[S]) Find(k *Key, now int64) (*Flow[S], packet.Dir) {
	if t.live == 0 {
		return nil, 0
	}
	h := k.hash(&t.seed)
	for link := t.buckets[h&uint64(len(t.buckets)-1)]; link != 0; {
		f := t.at(int(link - 1))
		dir := packet.ToServer
		if f.Key != *k {
			if f.Key.Src != k.Dst || f.Key.Dst != k.Src || f.Key != k.Reverse() {
				link = f.next
				continue
			}
			dir = packet.ToClient
		}
		if f.epoch == 0 { // a vacant slot that is still in the chain, see end
			link = f.next
			continue
		}
		if t.stale(f, int(link-1), now) {
			return nil, 0
		}
		return f, dir
	}
	return nil, 0
}

// stale ends f, in slot, if a flush chose it or its idle time is over.
func (t *Table[S]) stale(f *Flow[S], slot int, now int64) bool {
	if f.epoch != t.epoch {
		if op := t.judge(f); op != nil {
			t.end(f, slot, Flushed, op)
			return true
		}
	}
	if now-f.Last > t.owner.IdleTimeout(f) {
		reason := Timeout
		if t.owner.Closed(f) {
			reason = Closed
		}
		t.end(f, slot, reason, nil)
		return true
	}
	return false
}

// Insert makes the flow of k, which must not be in the table, and returns it
// with its state zeroed, or nil when the table is full of assured flows.
func (t *Table[S]) Insert(k *Key, now int64) *Flow[S] {
	if t.buckets == nil {
		t.buckets = make([]uint32, bucketCount(t.limit))
	}
	if t.live == t.limit && !t.evictOne(now) {
		return nil
	}
	bucket := t.bucket(k)
	if f := t.vacant(*bucket, k); f != nil {
		f.packetsHi[0] = superseded
	}
	var slot int
	if t.free != 0 {
		slot = int(t.free - 1)
		t.recycle(t.at(slot))
	} else {
		slot = t.used
		if slot>>chunkBits == len(t.chunks) {
			t.chunks = append(t.chunks, new([chunkSize]Flow[S]))
		}
		t.used++
	}
	f := t.at(slot)
	*f = Flow[S]{Key: *k, next: *bucket, epoch: t.epoch, First: now, Last: now}
	*bucket = uint32(slot + 1)
	t.live++
	return f
}

// bucketCount is a power of two near limit: chains hold one or two entries.
func bucketCount(limit int) int {
	return 1 << bits.Len(uint(limit*3/4))
}

// evictOne makes room in a full table; at the limit every slot is in use.
func (t *Table[S]) evictOne(now int64) bool {
	for range min(evictionProbes, t.used) {
		if t.evict >= t.used {
			t.evict = 0
		}
		slot := t.evict
		t.evict++
		f := t.at(slot)
		if t.stale(f, slot, now) {
			return true
		}
		if !t.owner.Assured(f) {
			t.end(f, slot, Evicted, nil)
			return true
		}
	}
	return false
}

// End takes a flow out of the table.
func (t *Table[S]) End(f *Flow[S], reason Reason) { t.end(f, t.slotOf(f), reason, nil) }

// end tells of the end of f, in slot, and vacates the slot.
//
// The entry stays in its bucket's chain until the slot is used again, and tells how
// the flow ended. Taking it out, or noting its end elsewhere, would touch memory that
// lies anywhere: that is most of what ending a flow costs, and a sweep that ends
// most of a million flows would pay it a million times in a row. As it is, a new flow
// pays it, and chains never hold more entries than the table has slots.
func (t *Table[S]) end(f *Flow[S], slot int, reason Reason, op *Operation[S]) {
	defer t.vacate(f, slot, reason, op.number()) // also when the owner panics: or every sweep would come here again
	if op != nil {
		op.emit(f)
	}
	t.owner.Ended(f, reason, op)
}

func (t *Table[S]) vacate(f *Flow[S], slot int, reason Reason, op uint16) {
	f.epoch = 0
	f.packetsHi = [2]uint8{uint8(reason), 0}
	f.bytesHi[0] = op
	f.bytesLo[0] = t.free
	t.free = uint32(slot + 1)
	t.live--
}

// bucket returns the head of the chain that k belongs to.
func (t *Table[S]) bucket(k *Key) *uint32 {
	return &t.buckets[k.hash(&t.seed)&uint64(len(t.buckets)-1)]
}

// recycle takes the first vacant entry, f, off the list of them and out of its chain. What it
// told of its flow goes to the graves.
func (t *Table[S]) recycle(f *Flow[S]) {
	t.free = f.bytesLo[0]
	h := f.Key.hash(&t.seed)
	if f.Key.Proto == packet.ProtoTCP && f.packetsHi[0] != superseded {
		t.graves.bury(h, grave{reason: Reason(f.packetsHi[0]), resets: f.packetsHi[1], op: f.bytesHi[0]}, t.limit)
	}
	link := &t.buckets[h&uint64(len(t.buckets)-1)]
	for {
		g := t.at(int(*link - 1))
		if g == f {
			*link = f.next
			return
		}
		link = &g.next
	}
}

// superseded is the Reason of a vacant entry after which there was another flow of its key.
const superseded = uint8(NumReasons)

// vacant returns the entry that tells of the newest ended flow of k, or nil. The chain begins
// with its newest entry.
func (t *Table[S]) vacant(chain uint32, k *Key) *Flow[S] {
	for link := chain; link != 0; {
		f := t.at(int(link - 1))
		if f.epoch == 0 && f.Key.either(k) {
			if f.packetsHi[0] == superseded {
				return nil
			}
			return f
		}
		link = f.next
	}
	return nil
}

// slotOf finds the slot of an entry.
func (t *Table[S]) slotOf(f *Flow[S]) int {
	for link := *t.bucket(&f.Key); ; {
		g := t.at(int(link - 1))
		if g == f {
			return int(link - 1)
		}
		link = g.next
	}
}

// EndAll ends every flow: at shutdown, or when a firewall is removed.
func (t *Table[S]) EndAll(reason Reason) {
	for slot := range t.used {
		if f := t.at(slot); f.epoch != 0 {
			t.end(f, slot, reason, nil)
		}
	}
}

// All calls yield for every flow until it returns false. The table must not be
// changed meanwhile.
func (t *Table[S]) All(yield func(*Flow[S]) bool) {
	for slot := range t.used {
		if f := t.at(slot); f.epoch != 0 && !yield(f) {
			return
		}
	}
}
