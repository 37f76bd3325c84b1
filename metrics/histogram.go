package metrics

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Histogram counts durations in fixed buckets, without atomics on the way in:
// every owner has a Recorder. It is a prometheus.Collector, in seconds.
type Histogram struct {
	desc   *prometheus.Desc
	bounds []time.Duration

	mu        sync.Mutex
	recorders []*Recorder // guarded by mu
}

// NewHistogram returns a histogram named sluice_..._seconds; bounds are the
// upper ends of its buckets, ascending.
func NewHistogram(name, help string, bounds ...time.Duration) *Histogram {
	if !slices.IsSorted(bounds) {
		panic("metrics: bounds of " + name + " are not sorted")
	}
	return &Histogram{desc: prometheus.NewDesc(name, help, nil, nil), bounds: bounds}
}

// Recorder is one owner's part of a Histogram.
type Recorder struct {
	bounds []time.Duration
	counts []uint64 // the owner's: per bucket, the last is beyond all bounds; then the sum in ns
	public []atomic.Uint64
}

// NewRecorder returns a part for one owner.
func (h *Histogram) NewRecorder() *Recorder {
	n := len(h.bounds) + 2
	r := &Recorder{
		bounds: h.bounds,
		counts: make([]uint64, n+2*padding)[padding : padding+n : padding+n],
		public: make([]atomic.Uint64, n+2*padding)[padding : padding+n : padding+n],
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recorders = append(h.recorders, r)
	return r
}

// Observe counts d. Only the owner may call it.
func (r *Recorder) Observe(d time.Duration) {
	i := 0
	for i < len(r.bounds) && d > r.bounds[i] {
		i++
	}
	r.counts[i]++
	r.counts[len(r.counts)-1] += uint64(max(d, 0))
}

// Publish shows the counts to readers. Only the owner may call it.
func (r *Recorder) Publish() {
	for i, n := range r.counts {
		if r.public[i].Load() != n {
			r.public[i].Store(n)
		}
	}
}

// Describe implements prometheus.Collector.
func (h *Histogram) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

// Collect implements prometheus.Collector.
func (h *Histogram) Collect(ch chan<- prometheus.Metric) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var sum float64
	var count uint64
	buckets := make(map[float64]uint64, len(h.bounds))
	for i := range len(h.bounds) + 1 {
		for _, r := range h.recorders {
			count += r.public[i].Load()
		}
		if i < len(h.bounds) {
			buckets[h.bounds[i].Seconds()] = count
		}
	}
	for _, r := range h.recorders {
		sum += time.Duration(r.public[len(h.bounds)+1].Load()).Seconds()
	}
	ch <- prometheus.MustNewConstHistogram(h.desc, count, sum, buckets)
}
