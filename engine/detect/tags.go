package detect

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// Tags says whose packets are logged because a rule with the keyword tag matched: those of flows, or those of
// hosts. It holds at most as many as it was made for; one more is refused.
//
// While there are none a packet costs the load of a number. The tags of hosts are shared by all workers, since
// the flows of a host are spread over them.
type Tags struct {
	owners atomic.Int64 // len(all)

	mu    sync.RWMutex
	all   map[packet.Addr][]tag // guarded by mu; by owner
	held  int                   // guarded by mu: tags of all owners
	limit int
}

// tag is one rule's on one owner.
type tag struct {
	rule        uint64 // gid and sid
	count       uint32
	metric      rule.TagMetric
	begun       bool   // the packet that it was set by is counted
	again       uint8  // how often the rule matched again
	used        uint64 // packets or bytes
	first, last int64  // whole seconds
}

// Suricata's figures.
const (
	maxOwnerTags  = 50  // tags of one flow or host
	maxTagRenewed = 10  // from this match on a tag does not begin anew, so that matches do not keep it for ever
	tagIdle       = 600 // seconds without a packet after which a tag makes room for another
)

// NewTags makes room for limit tags, of about 100 bytes each, as they come.
func NewTags(limit int) *Tags { return &Tags{all: map[packet.Addr][]tag{}, limit: limit} }

// Len returns the number of flows or hosts that have tags.
func (t *Tags) Len() int { return int(t.owners.Load()) }

// FlowOwner is a flow as the owner of tags.
func FlowOwner(id uint64) packet.Addr {
	var a packet.Addr
	binary.BigEndian.PutUint64(a[:], id)
	return a
}

// add sets a tag, or lets the one that the rule has set before begin anew. It reports whether there was room.
func (t *Tags) add(owner packet.Addr, id uint64, arg *rule.Tag, now int64) bool {
	now /= int64(time.Second)
	t.mu.Lock()
	defer t.mu.Unlock()
	tags := t.all[owner]
	if i := slices.IndexFunc(tags, func(g tag) bool { return g.rule == id }); i >= 0 {
		g := &tags[i]
		if g.again < maxTagRenewed {
			g.again++
		}
		if g.again < maxTagRenewed {
			g.first, g.last, g.used = now, now, 0
		}
		return true
	}
	if t.held >= t.limit {
		t.makeRoom(now)
	}
	if t.held >= t.limit || len(tags) >= maxOwnerTags {
		return false
	}
	t.set(owner, append(tags, tag{rule: id, count: arg.Count, metric: arg.Metric, first: now, last: now}))
	return true
}

// set replaces the tags of an owner. Call it with mu held.
func (t *Tags) set(owner packet.Addr, tags []tag) {
	t.held += len(tags) - len(t.all[owner])
	if len(tags) > 0 {
		t.all[owner] = tags
	} else {
		delete(t.all, owner)
	}
	t.owners.Store(int64(len(t.all)))
}

// makeRoom takes the idle ones of a few owners' tags away. Call it with mu held.
func (t *Tags) makeRoom(now int64) {
	const sample = 8
	n := 0
	for owner, tags := range t.all { // begins anywhere
		if !slices.ContainsFunc(tags, func(g tag) bool { return now-g.last <= tagIdle }) {
			t.set(owner, nil)
		}
		if n++; n == sample {
			break
		}
	}
}

// Packet counts a packet of size bytes to the tags of its owner, and reports whether one of them asks for it.
func (t *Tags) Packet(owner packet.Addr, size int, now int64) bool {
	if t.Len() == 0 {
		return false
	}
	t.mu.RLock()
	_, known := t.all[owner]
	t.mu.RUnlock()
	if !known {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tags := t.all[owner]
	wanted, kept := false, 0
	for i := range tags {
		g := tags[i]
		skip := !g.begun // its alert shows that one
		if !g.counts(size, now/int64(time.Second)) && !skip {
			continue
		}
		wanted = wanted || !skip
		tags[kept] = g
		kept++
	}
	if kept < len(tags) {
		t.set(owner, tags[:kept])
	}
	return wanted
}

// counts adds a packet and reports whether the tag is not over. Suricata compares whole seconds.
func (g *tag) counts(size int, second int64) bool {
	g.begun, g.last = true, second
	switch g.metric {
	case rule.TagPackets:
		g.used++
	case rule.TagBytes:
		g.used += uint64(size)
	case rule.TagSeconds:
		return g.last-g.first <= int64(g.count)
	}
	return g.used <= uint64(g.count)
}

// Release forgets the tags of an owner.
func (t *Tags) Release(owner packet.Addr) {
	if t.Len() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.set(owner, nil)
}

// tag carries out what a rule that matched says about later packets. A packet without a flow has no session.
func (r *Rule) tag(in *Input, res *Result) {
	for _, arg := range r.tags {
		tags, owner := in.FlowTags, FlowOwner(in.FlowID)
		switch {
		case arg.Host && arg.Dst:
			tags, owner = in.HostTags, in.Packet.Dst
		case arg.Host:
			tags, owner = in.HostTags, in.Packet.Src
		}
		if tags != nil && !tags.add(owner, uint64(r.Meta.GID)<<32|uint64(r.Meta.SID), arg, in.Now) {
			res.untagged++
		}
	}
}
