package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests counts API requests and measures how long they take.
type Requests struct {
	known map[string]bool
	count *prometheus.CounterVec
	time  *prometheus.HistogramVec
}

// NewRequests registers sluice_api_requests_total and
// sluice_api_request_duration_seconds. operations are the names that may become
// labels; callers choose the name of an operation, so others count as "unknown".
func NewRequests(r prometheus.Registerer, operations ...string) *Requests {
	q := &Requests{
		known: make(map[string]bool, len(operations)),
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_api_requests_total",
			Help: "API requests by operation and result: OK or the error's code.",
		}, []string{"operation", "code"}),
		time: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_api_request_duration_seconds",
			Help:    "Time from the end of the request's header to the end of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"operation"}),
	}
	for _, op := range operations {
		q.known[op] = true
	}
	r.MustRegister(q.count, q.time)
	return q
}

// Observe counts one request. code is "OK" or an error code of the API, never
// text from a request.
func (q *Requests) Observe(operation, code string, d time.Duration) {
	if !q.known[operation] {
		operation = "unknown"
	}
	q.count.WithLabelValues(operation, code).Inc()
	q.time.WithLabelValues(operation).Observe(d.Seconds())
}
