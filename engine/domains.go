package engine

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// DomainSource is where the name of a domain is read.
type DomainSource uint8

const (
	DomainSNI     DomainSource = iota // of TLS connections
	DomainHost                        // of HTTP requests
	domainSources                     // how many there are
)

// DomainPeriod is how long a domain's hits are remembered.
const DomainPeriod = 30 * 24 * time.Hour

// Domain is what an engine saw of one domain.
type Domain struct {
	Name        string // lower case, without a dot at the end
	Hits        uint64 // connections (SNI) or requests (Host)
	Sources     uint64 // different source addresses; an estimate from 128 on
	First, Last time.Time
}

// RememberDomains has the engine remember the domains of these sources from now
// on, and forget those of all others. It returns when every worker has been
// told. What is remembered does not outlive the engine.
func (e *Engine) RememberDomains(ctx context.Context, sources ...DomainSource) error {
	var on [domainSources]bool
	for _, s := range sources {
		on[s] = true
	}
	e.swap.Lock()
	defer e.swap.Unlock()
	e.mu.Lock()
	e.domains = on
	workers := e.workers
	e.mu.Unlock()
	for _, w := range workers {
		if !w.send(ctx, func() { w.rememberDomains(on) }) && ctx.Err() != nil {
			return fmt.Errorf("a worker was not told which domains to remember: %w", ctx.Err())
		}
	}
	return nil
}

// Domains returns the domains that were hit since from, those with the most
// hits first, at most limit. Hits are counted by whole days (UTC), Sources since
// the domain was first seen. ctx should have a deadline.
func (e *Engine) Domains(ctx context.Context, source DomainSource, from time.Time, limit int) ([]Domain, error) {
	e.mu.Lock()
	workers := e.workers
	e.mu.Unlock()
	merged := map[string]*domain{}
	for _, w := range workers {
		if err := w.gatherDomains(ctx, source, merged); err != nil {
			return nil, err
		}
	}
	all := make([]Domain, 0, len(merged))
	for _, d := range merged {
		if since := d.since(from); since.Hits > 0 {
			all = append(all, since)
		}
	}
	slices.SortFunc(all, func(a, b Domain) int { return cmp.Or(cmp.Compare(b.Hits, a.Hits), strings.Compare(a.Name, b.Name)) })
	return all[:min(len(all), limit)], nil
}

// gatherDomains adds a worker's domains to merged, a part at a time, with
// packets in between.
func (w *worker) gatherDomains(ctx context.Context, source DomainSource, merged map[string]*domain) error {
	const step = 1024 // a fraction of a millisecond
	for at := 0; ; at += step {
		reply := make(chan []domain, 1)
		var part []domain
		if !w.send(ctx, func() { reply <- w.domains[source].copy(at, step) }) && ctx.Err() == nil {
			return nil // stopped: it remembers nothing any more
		}
		select {
		case part = <-reply:
		case <-ctx.Done():
			return fmt.Errorf("a worker did not say which domains it saw: %w", ctx.Err())
		}
		for i := range part {
			if d := merged[part[i].name]; d != nil {
				d.add(&part[i])
			} else {
				merged[part[i].name] = &part[i]
			}
		}
		if len(part) < step {
			return nil
		}
	}
}

func (w *worker) rememberDomains(on [domainSources]bool) {
	for s := range on {
		switch {
		case !on[s]:
			w.domains[s] = nil
		case w.domains[s] == nil:
			w.domains[s] = &domainTable{index: map[string]int{}}
		}
	}
}

// sawDomain remembers the name that an event came with, if it is to be
// remembered. It allocates nothing for a domain and a source address that are
// known already.
func (w *worker) sawDomain(f *flowEntry, tx applayer.Tx, source DomainSource, buffer applayer.Buffer) {
	t := w.domains[source]
	if t == nil {
		return
	}
	name, ok := tx.Value(buffer, 0)
	if !ok || len(name) > maxDomain {
		return
	}
	var lower [maxDomain]byte
	n := 0
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[n] = c
		n++
	}
	if n > 0 && lower[n-1] == '.' {
		n--
	}
	if n > 0 {
		t.hit(lower[:n], f.Key.Src, w.packetTime)
	}
}

const (
	// maxDomain is the longest name that DNS has, in bytes. RFC 1035, 2.3.4.
	maxDomain = 255

	// maxDomains bounds what a worker remembers of a source: with the longest
	// names and full sketches 64 MiB. Then a new domain takes the place of the
	// one that was not seen for longest among evictSample others.
	maxDomains  = 1 << 16
	evictSample = 8

	// domainDays are all that a DomainPeriod touches.
	domainDays = int64(DomainPeriod/day) + 1
	day        = 24 * time.Hour
)

// domainTable is what a worker remembers of a source.
type domainTable struct {
	index map[string]int // in list
	list  []domain
	hand  int // where the next place to take is looked for
}

// domain is one domain with its hits by day.
type domain struct {
	name        string
	first, last int64              // nanoseconds since 1970
	today       int64              // the newest of days, in days since 1970
	days        [domainDays]uint32 // hits, by days since 1970 modulo domainDays; it takes 49,710 a second to overflow
	sources     sketch
}

func (t *domainTable) hit(name []byte, source packet.Addr, now int64) {
	i, known := t.index[string(name)]
	if !known {
		i = t.place()
		d := &t.list[i]
		*d = domain{name: string(name), first: now, last: now, sources: d.sources[:0]}
		t.index[d.name] = i
	}
	d := &t.list[i]
	d.last = max(d.last, now)
	d.advance(now / int64(day))
	d.days[d.today%domainDays]++
	d.sources.add(uint32(maphash.Comparable(sourceSeed, source) >> 32))
}

// sourceSeed is that of all workers, so that what they saw can be merged.
var sourceSeed = maphash.MakeSeed()

// place returns where a new domain goes.
func (t *domainTable) place() int {
	if len(t.list) < maxDomains {
		t.list = append(t.list, domain{})
		return len(t.list) - 1
	}
	oldest := t.hand
	for range evictSample {
		if t.list[t.hand].last < t.list[oldest].last {
			oldest = t.hand
		}
		t.hand = (t.hand + 1) % maxDomains
	}
	delete(t.index, t.list[oldest].name)
	return oldest
}

// copy returns up to n domains from place at on, which share nothing with the
// table. t may be nil.
func (t *domainTable) copy(at, n int) []domain {
	if t == nil || at >= len(t.list) {
		return nil
	}
	part := slices.Clone(t.list[at:min(at+n, len(t.list))])
	for i := range part {
		part[i].sources = slices.Clone(part[i].sources)
	}
	return part
}

// advance makes d.today no earlier than day.
func (d *domain) advance(day int64) {
	for d.today = max(d.today, day-domainDays); d.today < day; {
		d.today++
		d.days[d.today%domainDays] = 0
	}
}

// oldest is the first of the days.
func (d *domain) oldest() int64 { return max(0, d.today-domainDays+1) }

// add adds what another worker saw of the domain.
func (d *domain) add(o *domain) {
	d.first, d.last = min(d.first, o.first), max(d.last, o.last)
	d.advance(o.today)
	for t := o.today; t >= d.oldest(); t-- {
		d.days[t%domainDays] += o.days[t%domainDays]
	}
	for _, h := range o.sources {
		d.sources.add(h)
	}
}

// since is what was seen of the domain from then on.
func (d *domain) since(from time.Time) Domain {
	begin := from.UnixNano()
	out := Domain{Name: d.name, Sources: d.sources.count(), Last: time.Unix(0, d.last)}
	first := d.last
	if d.last < begin {
		return out
	}
	for t := d.today; t >= max(d.oldest(), begin/int64(day)); t-- {
		if n := d.days[t%domainDays]; n > 0 {
			out.Hits += uint64(n)
			first = t * int64(day)
		}
	}
	out.First = time.Unix(0, max(first, d.first, begin))
	return out
}

// sketchSize is how many different sources are counted exactly. Of more, the
// standard error is 1/sqrt(sketchSize-2): 9%.
const sketchSize = 128

// sketch counts different values by the smallest sketchSize of their hashes, in
// order (k minimum values: K. Beyer et al., On synopses for distinct-value
// estimation under multiset operations, 2007). Adding the hashes of one to
// another is the union.
type sketch []uint32

func (s *sketch) add(h uint32) {
	at, there := slices.BinarySearch(*s, h)
	if there || at == sketchSize {
		return
	}
	if len(*s) == sketchSize {
		*s = (*s)[:sketchSize-1]
	}
	*s = slices.Insert(*s, at, h)
}

func (s sketch) count() uint64 {
	if len(s) < sketchSize {
		return uint64(len(s))
	}
	return (sketchSize - 1) << 32 / (uint64(s[sketchSize-1]) + 1)
}
