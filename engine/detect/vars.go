package detect

import (
	"encoding/binary"
	"hash/fnv"
	"sync"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// FlowVars holds the flowbits, flowints and captured variables of a worker's flows. It holds at
// most as many as it was made for: a rule that sets one more sets nothing.
//
// Names are kept as hashes, so that they mean the same to every rule set that
// flows are moved between.
type FlowVars struct {
	heads   map[uint64]uint32 // by flow: 1 + the index of its first variable
	all     []flowVar
	free    uint32 // 1 + the index of the first free one, chained by next
	limit   int
	refused uint64
	texts   texts
}

type flowVar struct {
	name  uint64
	value uint32
	next  uint32
}

// NewFlowVars makes room for limit variables, of 16 bytes each, as they come.
func NewFlowVars(limit int) *FlowVars {
	return &FlowVars{heads: map[uint64]uint32{}, limit: limit}
}

// Refused returns how many variables were not set for lack of room.
func (v *FlowVars) Refused() uint64 { return v.refused }

// Len returns the number of flows that have variables.
func (v *FlowVars) Len() int { return len(v.heads) }

func (v *FlowVars) find(flow, name uint64) *flowVar {
	for i := v.heads[flow]; i != 0; i = v.all[i-1].next {
		if v.all[i-1].name == name {
			return &v.all[i-1]
		}
	}
	return nil
}

func (v *FlowVars) get(flow, name uint64) (value uint32, ok bool) {
	if f := v.find(flow, name); f != nil {
		return f.value, true
	}
	return 0, false
}

func (v *FlowVars) set(flow, name uint64, value uint32) {
	if f := v.find(flow, name); f != nil {
		f.value = value
		return
	}
	i := v.free
	switch {
	case i != 0:
		v.free = v.all[i-1].next
	case len(v.all) < v.limit:
		v.all = append(v.all, flowVar{})
		i = uint32(len(v.all))
	default:
		v.refused++
		return
	}
	v.all[i-1] = flowVar{name, value, v.heads[flow]}
	v.heads[flow] = i
}

func (v *FlowVars) unset(flow, name uint64) {
	at := v.heads[flow]
	for before := uint32(0); at != 0; before, at = at, v.all[at-1].next {
		f := &v.all[at-1]
		if f.name != name {
			continue
		}
		switch {
		case before != 0:
			v.all[before-1].next = f.next
		case f.next != 0:
			v.heads[flow] = f.next
		default:
			delete(v.heads, flow)
		}
		f.next, v.free = v.free, at
		return
	}
}

// Release forgets the variables of a flow that ended.
func (v *FlowVars) Release(flow uint64) {
	if len(v.heads) == 0 {
		return
	}
	for at := v.heads[flow]; at != 0; {
		next := v.all[at-1].next
		if f := &v.all[at-1]; f.name&textVar != 0 {
			v.texts.release(f.value)
		}
		v.all[at-1].next, v.free = v.free, at
		at = next
	}
	delete(v.heads, flow)
}

// HostVars holds what rules remember beyond a flow: xbits, hostbits and the
// counts of threshold and detection_filter. All workers of an engine share it,
// since the flows of a host are spread over them; only rules that matched take its lock.
//
// It holds at most as many entries as it was made for. When it is full, the
// one of a few that ends first makes room.
type HostVars struct {
	mu      sync.Mutex
	all     map[hostKey]hostVar // guarded by mu
	limit   int
	evicted uint64 // guarded by mu
}

type hostKey struct {
	name uint64
	a, b packet.Addr
}

type hostVar struct {
	until int64 // nanoseconds on the workers' clock
	count uint32
}

// NewHostVars makes room for limit entries, of about 100 bytes each, as they come.
func NewHostVars(limit int) *HostVars {
	return &HostVars{all: map[hostKey]hostVar{}, limit: limit}
}

// Evicted returns how many entries had to go before their time.
func (v *HostVars) Evicted() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.evicted
}

// put stores an entry, for which it makes room. Call it with mu held.
func (v *HostVars) put(k hostKey, e hostVar, now int64) {
	if _, known := v.all[k]; !known && len(v.all) >= v.limit {
		v.makeRoom(now)
	}
	v.all[k] = e
}

func (v *HostVars) makeRoom(now int64) {
	const sample = 8
	var first hostKey
	var until int64
	n := 0
	for k, e := range v.all { // begins anywhere
		if n == 0 || e.until < until {
			first, until = k, e.until
		}
		if n++; n == sample {
			break
		}
	}
	if until >= now {
		v.evicted++
	}
	delete(v.all, first)
}

// hashOf names a variable. kind keeps the names of different keywords apart.
func hashOf(kind, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(kind + "\x00" + name))
	return h.Sum64() &^ textVar
}

// keyOf is whose entry is meant.
func keyOf(in *Input, name uint64, track rule.Track) hostKey {
	k := hostKey{name: name}
	p := in.Packet
	switch track {
	case rule.TrackSrc:
		k.a = p.Src
	case rule.TrackDst:
		k.a = p.Dst
	case rule.TrackBoth:
		k.a, k.b = p.Src, p.Dst
		if string(k.a[:]) > string(k.b[:]) {
			k.a, k.b = k.b, k.a
		}
	case rule.TrackFlow:
		binary.BigEndian.PutUint64(k.a[:], in.FlowID)
	}
	return k
}

// bit carries out an operation on a bit of a host, or says whether it holds.
func (v *HostVars) bit(in *Input, b *rule.HostBits, name uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := keyOf(in, name, b.Track)
	e, set := v.all[k]
	if set && in.Now > e.until {
		delete(v.all, k)
		set = false
	}
	op := b.Op
	if op == rule.BitToggle {
		op = rule.BitSet
		if set {
			op = rule.BitUnset
		}
	}
	switch op {
	case rule.BitIsSet:
		return set
	case rule.BitIsNotSet:
		return !set
	case rule.BitSet:
		if !set { // as in Suricata, a bit that is set keeps its time, which is of the clock's seconds
			const second = int64(time.Second)
			v.put(k, hostVar{until: in.Now - in.Now%second + (int64(b.Expire)+1)*second - 1}, in.Now)
		}
	case rule.BitUnset:
		delete(v.all, k)
	}
	return true
}

// counted is what threshold or detection_filter makes of a match.
type counted uint8

const (
	countNothing counted = iota // as if the rule had not matched
	countSilent                 // its action, without an alert
	countAlert
)

// count adds a match, within Suricata's windows: one begins with a match and
// lasts Seconds. Where nothing is remembered (v is nil), rules match that do so
// for the first time already.
func (v *HostVars) count(in *Input, t *rule.Threshold, name uint64) counted {
	if v == nil {
		if t.Type == rule.ThresholdLimit {
			return countAlert
		}
		return countNothing
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	k := keyOf(in, name, t.Track)
	e, known := v.all[k]
	begins := !known || in.Now > e.until
	if begins {
		e = hostVar{until: in.Now + int64(t.Seconds)*int64(time.Second)}
	}
	e.count++
	out := countNothing
	switch t.Type {
	case rule.ThresholdLimit:
		if out = countAlert; e.count > max(t.Count, 1) {
			out = countSilent
		}
	case rule.ThresholdEvery:
		if e.count >= t.Count && !(begins && t.Count == 0) { // as in Suricata
			out, e.count = countAlert, 0
		}
	case rule.ThresholdBoth:
		switch {
		case e.count == t.Count:
			out = countAlert
		case e.count > t.Count:
			out = countSilent
		}
	case rule.ThresholdFilter:
		if e.count > t.Count {
			out = countAlert
		}
	}
	v.put(k, e, in.Now)
	return out
}
