package metrics

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Series is one counter of a Set: a metric name with the values of the labels
// that tell it from the others of that name.
type Series struct {
	Name   string   // sluice_..._total
	Help   string   // same for all series of a name
	Labels []string // name, value, name, value, ...
}

// Set is a table of counters which every owner (a worker, say) has its own
// Block of. An owner names its counters by their index in the table, so a package
// that counts defines an enumeration beside the table. Set is a
// prometheus.Collector: it adds up the blocks of equal label values.
type Set struct {
	labels []string // of all series, filled by NewBlock
	descs  []*prometheus.Desc
	values [][]string // of the own labels of each series

	mu     sync.Mutex
	groups map[string]*group // guarded by mu: by label values
}

// group is the blocks that are reported together.
type group struct {
	values  []string
	blocks  []*Block
	retired []uint64 // sums of the blocks that are gone: counters never go down
}

var counterName = regexp.MustCompile(`^sluice_[a-z][a-z0-9_]*_total$`)

// NewSet returns a set of counters. All have the given labels, whose values each
// block brings. The error says which series is wrongly named or labelled.
func NewSet(labels []string, series ...Series) (*Set, error) {
	s := &Set{labels: labels, groups: map[string]*group{}}
	seen := map[string]bool{}
	helps := map[string]string{}
	for _, c := range series {
		if !counterName.MatchString(c.Name) {
			return nil, fmt.Errorf("metrics: counter %q: the name must match %v", c.Name, counterName)
		}
		if len(c.Labels)%2 != 0 {
			return nil, fmt.Errorf("metrics: counter %q: label %q has no value", c.Name, c.Labels[len(c.Labels)-1])
		}
		id := c.Name + "\xff" + strings.Join(c.Labels, "\xff")
		if seen[id] {
			return nil, fmt.Errorf("metrics: counter %q with labels %q is in the set twice", c.Name, c.Labels)
		}
		seen[id] = true
		if help, ok := helps[c.Name]; ok && help != c.Help || c.Help == "" {
			return nil, fmt.Errorf("metrics: counter %q: help texts differ or are empty", c.Name)
		}
		helps[c.Name] = c.Help

		names := slices.Clone(labels)
		var values []string
		for i := 0; i < len(c.Labels); i += 2 {
			names = append(names, c.Labels[i])
			values = append(values, c.Labels[i+1])
		}
		s.descs = append(s.descs, prometheus.NewDesc(c.Name, c.Help, names, nil))
		s.values = append(s.values, values)
	}
	return s, nil
}

// MustSet is NewSet for tables that are part of the program; it panics on error.
func MustSet(labels []string, series ...Series) *Set {
	s, err := NewSet(labels, series...)
	if err != nil {
		panic(err)
	}
	return s
}

// padding is room for two cache lines: adjacent lines are fetched in pairs.
const padding = 128 / 8

// Block is one owner's counters. The owner alone touches N, without atomics, and
// calls Publish now and then (between batches); readers see what was published.
type Block struct {
	N []uint64 // by index in the set's table; only ever counted up

	set    *Set
	key    string
	public []atomic.Uint64
}

// NewBlock returns a new block of zeros; values are those of the set's labels.
// It panics when their number differs. Blocks of equal values are added up.
func (s *Set) NewBlock(values ...string) *Block {
	if len(values) != len(s.labels) {
		panic(fmt.Sprintf("metrics: a block needs values of the labels %q, got %q", s.labels, values))
	}
	n := len(s.descs)
	// Padding at both ends keeps other owners' words off these cache lines.
	b := &Block{
		N:      make([]uint64, n+2*padding)[padding : padding+n : padding+n],
		public: make([]atomic.Uint64, n+2*padding)[padding : padding+n : padding+n],
		set:    s,
		key:    strings.Join(values, "\xff"),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[b.key]
	if g == nil {
		g = &group{values: slices.Clone(values), retired: make([]uint64, n)}
		s.groups[b.key] = g
	}
	g.blocks = append(g.blocks, b)
	return b
}

// Publish shows N to readers. Only the owner may call it.
func (b *Block) Publish() {
	for i, n := range b.N {
		if b.public[i].Load() != n { // a load is far cheaper than a store
			b.public[i].Store(n)
		}
	}
}

// Retire ends the block; what it published stays in the totals. The owner must
// have stopped.
func (b *Block) Retire() {
	b.set.mu.Lock()
	defer b.set.mu.Unlock()
	g := b.set.groups[b.key]
	if g == nil {
		return // forgotten
	}
	if i := slices.Index(g.blocks, b); i >= 0 {
		g.blocks = slices.Delete(g.blocks, i, i+1)
		g.add(g.retired, b)
	}
}

func (g *group) add(sums []uint64, b *Block) {
	for i := range sums {
		sums[i] += b.public[i].Load()
	}
}

func (g *group) sums() []uint64 {
	sums := slices.Clone(g.retired)
	for _, b := range g.blocks {
		g.add(sums, b)
	}
	return sums
}

// Forget removes all counters with these label values from the page: what they
// name (a firewall, say) is gone. Blocks that are still in use are not shown any more.
func (s *Set) Forget(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.groups, strings.Join(values, "\xff"))
}

// Sums returns the published totals for these label values, by index; nil when
// there is no block.
func (s *Set) Sums(values ...string) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[strings.Join(values, "\xff")]
	if g == nil {
		return nil
	}
	return g.sums()
}

// Describe implements prometheus.Collector.
func (s *Set) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Set) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groups {
		for i, n := range g.sums() {
			values := append(slices.Clone(g.values), s.values[i]...)
			ch <- prometheus.MustNewConstMetric(s.descs[i], prometheus.CounterValue, float64(n), values...)
		}
	}
}
