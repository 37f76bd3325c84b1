// Package metrics holds counter types that cost a packet one addition, and the
// Prometheus page. There is no global registry: each process makes a Registry
// and hands its parts to it.
//
// Hot code counts in plain memory of its own (Block, Recorder) and publishes
// between batches; a scrape adds up what was published. Label look-ups never
// happen on a packet's way.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry is the metrics of one process.
type Registry struct{ *prometheus.Registry }

// Build says what runs.
type Build struct {
	Version  string
	Revision string // of the source
	Go       string // version of the compiler
}

// New returns a registry with the metrics of the Go runtime and the process and
// sluice_build_info. process ("serve", "engine") becomes a label of these,
// because both processes have them and share one page.
func New(process string, build Build) *Registry {
	r := prometheus.NewRegistry()
	wrapped := prometheus.WrapRegistererWith(prometheus.Labels{"process": process}, r)
	wrapped.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "sluice_build_info",
			Help:        "Always 1; the labels say what runs.",
			ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.Go},
		}, func() float64 { return 1 }),
	)
	return &Registry{r}
}

// scrapeTime is the most that a page may take; Prometheus gives up after 10 s.
const scrapeTime = 8 * time.Second

// Handler serves the registry and others (a Remote) as one page. A part that
// fails is left out of the page rather than taking the rest with it.
func (r *Registry) Handler(others ...prometheus.Gatherer) http.Handler {
	all := append(prometheus.Gatherers{r}, others...)
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
		Timeout:             scrapeTime,
	})
}

// Desc names a metric of a Func.
type Desc struct {
	Name   string // sluice_...; a counter's ends in _total
	Help   string
	Labels []string // names
	Type   prometheus.ValueType
}

// Func returns a collector that asks collect for the values at every scrape.
// collect calls emit once for each combination of label values and must be
// safe to call from any goroutine.
func Func(d Desc, collect func(emit func(value float64, labels ...string))) prometheus.Collector {
	return &funcCollector{prometheus.NewDesc(d.Name, d.Help, d.Labels, nil), d.Type, collect}
}

type funcCollector struct {
	desc    *prometheus.Desc
	kind    prometheus.ValueType
	collect func(emit func(value float64, labels ...string))
}

func (f *funcCollector) Describe(ch chan<- *prometheus.Desc) { ch <- f.desc }

func (f *funcCollector) Collect(ch chan<- prometheus.Metric) {
	f.collect(func(value float64, labels ...string) {
		m, err := prometheus.NewConstMetric(f.desc, f.kind, value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(f.desc, err)
		}
		ch <- m
	})
}
