package metrics

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Remote gathers the metrics of another process from its page, for one page of
// both. It adds sluice_engine_up: 0 when the other process did not answer, and
// then that is all it gathers.
type Remote struct {
	client  *http.Client
	url     string
	timeout time.Duration
}

// remoteLimit bounds the other process's page, in bytes.
const remoteLimit = 16 << 20

// NewRemote returns a gatherer of the page at url; client decides how it is
// reached (over a unix socket). timeout bounds one fetch; 0: 3 s.
func NewRemote(client *http.Client, url string, timeout time.Duration) *Remote {
	if timeout <= 0 {
		timeout = 3 * time.Second
	}
	return &Remote{client, url, timeout}
}

var _ prometheus.Gatherer = (*Remote)(nil)

// Gather implements prometheus.Gatherer. It never fails: a process that does not
// answer is a fact to report, see sluice_engine_up.
func (r *Remote) Gather() ([]*dto.MetricFamily, error) {
	families, err := r.fetch()
	up := 1.0
	if err != nil {
		slog.Debug("engine metrics are missing", "err", err)
		families, up = nil, 0
	}
	return append(families, &dto.MetricFamily{
		Name:   new("sluice_engine_up"),
		Help:   new("1 when the engine process answered this scrape, else 0."),
		Type:   dto.MetricType_GAUGE.Enum(),
		Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: &up}}},
	}), nil
}

func (r *Remote) fetch() ([]*dto.MetricFamily, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	req.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeTextPlain)))
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s answers %s", r.url, resp.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	byName, err := parser.TextToMetricFamilies(io.LimitReader(resp.Body, remoteLimit))
	if err != nil {
		return nil, fmt.Errorf("metrics: read %s: %w", r.url, err)
	}
	families := make([]*dto.MetricFamily, 0, len(byName)+1)
	for name, f := range byName {
		if name != "sluice_engine_up" {
			families = append(families, f)
		}
	}
	return families, nil
}
