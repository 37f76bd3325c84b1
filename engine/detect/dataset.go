package detect

import (
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sluicefw/sluice/rule"
)

const (
	setMemcap = 100 << 20 // of a data set whose rules give none, as Suricata's default
	setEntry  = 64        // what an entry is taken to hold beside its value
	setString = 1 << 20   // bytes of the longest string that a set takes, so that every line of a file can be read again
	setShards = 256
)

// setUse is what all data sets of a rule set hold, and those of rule sets before it while something
// still uses them.
type setUse struct {
	limit   uint64        // bytes; with more, packets add nothing
	bytes   atomic.Uint64 // as memcap counts them
	refused atomic.Uint64 // values of packets that there was no room for
}

// dataSet is what dataset and datarep look into. Rules share sets by name, within a rule set and
// with the rule set that takes its place.
type dataSet struct {
	memcap uint64
	*entries
}

// entries are the values of a data set. Workers add and ask at once; each shard has a lock of its
// own, held for one look-up, or while the values of that shard alone are copied to be saved.
type entries struct {
	kind    rule.SetType
	used    *atomic.Uint64 // bytes, as memcap counts them; part of use, as long as the entries exist
	use     *setUse
	changes atomic.Uint64 // values that came and went
	seed    maphash.Seed
	shards  [setShards]shard

	saving sync.Mutex // held while the file is written
	saved  uint64     // guarded by saving: changes, as of the file
}

type shard struct {
	mu     sync.RWMutex
	values map[string]uint16 // guarded by mu: reputations
}

func newEntries(kind rule.SetType, use *setUse) *entries {
	e := &entries{kind: kind, used: new(atomic.Uint64), use: use, seed: maphash.MakeSeed()}
	for i := range e.shards {
		e.shards[i].values = map[string]uint16{}
	}
	runtime.AddCleanup(e, func(used *atomic.Uint64) { use.bytes.Add(-used.Load()) }, e.used)
	return e
}

func (e *entries) shard(value []byte) *shard {
	return &e.shards[maphash.Bytes(e.seed, value)%setShards]
}

// fits says whether a set of this type can hold a value.
func (e *entries) fits(value []byte) bool {
	switch e.kind {
	case rule.SetMD5:
		return len(value) == 16
	case rule.SetSHA256:
		return len(value) == 32
	case rule.SetIPv4:
		return len(value) == 4
	case rule.SetIP:
		return len(value) == 4 || len(value) == 16
	}
	return len(value) > 0 && len(value) <= setString
}

func (e *entries) find(value []byte) (rep uint16, found bool) {
	s := e.shard(value)
	s.mu.RLock()
	defer s.mu.RUnlock()
	rep, found = s.values[string(value)]
	return rep, found
}

// set is add for a packet: there is no room in a set that is full, nor when all sets hold too much.
func (d *dataSet) set(value []byte) bool {
	if _, found := d.find(value); found || !d.fits(value) {
		return false
	}
	if d.use.bytes.Load() < d.use.limit && d.add(value, 0) {
		return true
	}
	if _, found := d.find(value); !found { // nor has another worker been faster
		d.use.refused.Add(1)
	}
	return false
}

// add says whether the value is new. A full set takes no more.
func (d *dataSet) add(value []byte, rep uint16) bool {
	if !d.fits(value) {
		return false
	}
	s := d.shard(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, found := s.values[string(value)]; found {
		return false
	}
	cost := uint64(len(value)) + setEntry
	if d.used.Add(cost) > d.memcap {
		d.used.Add(-cost)
		return false
	}
	d.use.bytes.Add(cost)
	s.values[string(value)] = rep
	d.changes.Add(1)
	return true
}

// remove says whether the value was there.
func (e *entries) remove(value []byte) bool {
	if _, found := e.find(value); !found {
		return false
	}
	s := e.shard(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := s.values[string(value)]
	if found {
		cost := uint64(len(value)) + setEntry
		e.used.Add(-cost)
		e.use.bytes.Add(-cost)
		delete(s.values, string(value))
		e.changes.Add(1)
	}
	return found
}

// all returns the values, sorted.
func (e *entries) all() []string {
	n := 0
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.RLock()
		n += len(s.values)
		s.mu.RUnlock()
	}
	all := make([]string, 0, n+n/16) // here, and not while a worker waits
	for i := range e.shards {
		s := &e.shards[i]
		s.mu.RLock()
		for value := range s.values {
			all = append(all, value)
		}
		s.mu.RUnlock()
	}
	slices.Sort(all)
	return all
}

// inSet is dataset. What adds or removes holds only where it changed the set.
type inSet struct {
	set *dataSet
	op  rule.BitOp
}

func (*inSet) place() place { return placeNone }

func (s *inSet) match(m *matcher, prev int, rest []step) bool {
	if len(m.buf.data) == 0 {
		return false
	}
	var ok bool
	switch s.op {
	case rule.BitSet:
		ok = s.set.set(m.buf.data)
	case rule.BitUnset:
		ok = s.set.remove(m.buf.data)
	case rule.BitIsSet:
		_, ok = s.set.find(m.buf.data)
	case rule.BitIsNotSet:
		_, ok = s.set.find(m.buf.data)
		ok = !ok
	}
	return ok && m.next(rest, prev)
}

// reputation is datarep.
type reputation struct {
	set  *dataSet
	op   byte
	than uint16
}

func (*reputation) place() place { return placeNone }

func (s *reputation) match(m *matcher, prev int, rest []step) bool {
	rep, ok := s.set.find(m.buf.data)
	switch s.op {
	case '<':
		ok = ok && rep < s.than
	case '>':
		ok = ok && rep > s.than
	default:
		ok = ok && rep == s.than
	}
	return ok && m.next(rest, prev)
}
