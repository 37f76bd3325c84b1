package metrics

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

const (
	received = iota
	dropRules
	dropMidstream
)

func testSet() *Set {
	const dropHelp = "Packets dropped, by reason."
	return MustSet([]string{"firewall", "zone"},
		Series{Name: "sluice_stateful_received_packets_total", Help: "Packets received."},
		Series{Name: "sluice_stateful_dropped_packets_total", Help: dropHelp, Labels: []string{"reason", "rules"}},
		Series{Name: "sluice_stateful_dropped_packets_total", Help: dropHelp, Labels: []string{"reason", "midstream"}},
	)
}

// page returns what a handler serves.
func page(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// expect checks that each line is on the page, or is not when it begins with "!".
func expect(t *testing.T, page string, lines ...string) {
	t.Helper()
	have := map[string]bool{}
	for line := range strings.Lines(page) {
		have[strings.TrimSpace(line)] = true
	}
	for _, line := range lines {
		want, text := true, line
		if text[0] == '!' {
			want, text = false, text[1:]
		}
		if have[text] != want {
			t.Errorf("line %q on the page: %v, want %v\n%s", text, have[text], want, page)
		}
	}
}

func TestSet(t *testing.T) {
	s := testSet()
	r := New("engine", Build{Version: "v1"})
	r.MustRegister(s)
	a, b := s.NewBlock("edge", "z1"), s.NewBlock("edge", "z1")
	other := s.NewBlock("core", "z1")
	a.N[received], b.N[received], other.N[dropMidstream] = 3, 4, 5
	expect(t, page(t, r.Handler()), `sluice_stateful_received_packets_total{firewall="edge",zone="z1"} 0`)
	a.Publish()
	b.Publish()
	other.Publish()
	lines := []string{
		`sluice_stateful_received_packets_total{firewall="edge",zone="z1"} 7`,
		`sluice_stateful_dropped_packets_total{firewall="edge",reason="rules",zone="z1"} 0`,
		`sluice_stateful_dropped_packets_total{firewall="core",reason="midstream",zone="z1"} 5`,
	}
	expect(t, page(t, r.Handler()), lines...)
	b.Retire()
	b.Retire()
	expect(t, page(t, r.Handler()), lines...)
	s.NewBlock("edge", "z1").N[received] = 100 // not published
	if got := s.Sums("edge", "z1"); got[received] != 7 || got[dropRules] != 0 || s.Sums("no", "z1") != nil {
		t.Errorf("sums %v", got)
	}
	s.Forget("core", "z1")
	other.Publish()
	other.Retire()
	expect(t, page(t, r.Handler()), lines[0], "!"+lines[2])
}

func TestSetRefusesBadTables(t *testing.T) {
	for name, c := range map[string][]Series{
		"no prefix":    {{Name: "packets_total", Help: "h"}},
		"no suffix":    {{Name: "sluice_packets", Help: "h"}},
		"capitals":     {{Name: "sluice_Packets_total", Help: "h"}},
		"no help":      {{Name: "sluice_packets_total"}},
		"odd labels":   {{Name: "sluice_packets_total", Help: "h", Labels: []string{"a"}}},
		"twice":        {{Name: "sluice_packets_total", Help: "h"}, {Name: "sluice_packets_total", Help: "h"}},
		"helps differ": {{Name: "sluice_packets_total", Help: "h", Labels: []string{"a", "1"}}, {Name: "sluice_packets_total", Help: "i", Labels: []string{"a", "2"}}},
	} {
		if _, err := NewSet(nil, c...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestScrapeWhileCounting is for the race detector, and checks that counters never go down.
func TestScrapeWhileCounting(t *testing.T) {
	s := testSet()
	h := NewHistogram("sluice_x_seconds", "h", time.Second)
	var wg sync.WaitGroup
	for range 2 {
		b, rec := s.NewBlock("edge", "z1"), h.NewRecorder()
		wg.Go(func() {
			for range 2000 {
				b.N[received]++
				b.Publish()
				rec.Observe(time.Millisecond)
				rec.Publish()
			}
			b.Retire()
		})
	}
	var last uint64
	for last < 4000 {
		now := s.Sums("edge", "z1")[received]
		if now < last {
			t.Fatalf("went down from %d to %d", last, now)
		}
		last = now
	}
	wg.Wait()
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(s, h)
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}

func TestHistogram(t *testing.T) {
	h := NewHistogram("sluice_batch_seconds", "Time per batch.", time.Microsecond, time.Millisecond)
	r := New("engine", Build{})
	r.MustRegister(h)
	a, b := h.NewRecorder(), h.NewRecorder()
	for _, d := range []time.Duration{time.Microsecond, time.Microsecond + 1, time.Second} {
		a.Observe(d)
		b.Observe(d)
	}
	a.Publish()
	b.Publish()
	expect(t, page(t, r.Handler()),
		`sluice_batch_seconds_bucket{le="1e-06"} 2`,
		`sluice_batch_seconds_bucket{le="0.001"} 4`,
		`sluice_batch_seconds_bucket{le="+Inf"} 6`,
		`sluice_batch_seconds_count 6`,
		`sluice_batch_seconds_sum 2.000004002`)
}

func TestRequests(t *testing.T) {
	r := New("control", Build{})
	q := NewRequests(r, "StartFlowFlush")
	q.Observe("StartFlowFlush", "OK", time.Millisecond)
	q.Observe("<script>", "UnknownOperationException", time.Millisecond)
	expect(t, page(t, r.Handler()),
		`sluice_api_requests_total{code="OK",operation="StartFlowFlush"} 1`,
		`sluice_api_requests_total{code="UnknownOperationException",operation="unknown"} 1`,
		`sluice_api_request_duration_seconds_count{operation="unknown"} 1`)
}

func TestFunc(t *testing.T) {
	r := New("engine", Build{})
	r.MustRegister(Func(Desc{"sluice_flows", "Flows in the table.", []string{"firewall"}, prometheus.GaugeValue},
		func(emit func(float64, ...string)) {
			emit(12, "edge")
			emit(1) // wrong number of labels: this value is missing, the page is not
		}))
	expect(t, page(t, r.Handler()), `sluice_flows{firewall="edge"} 12`)
}

// socketClient serves h on a unix socket and returns a client of it.
func socketClient(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	var d net.Dialer
	tr := &http.Transport{}
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) }
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestRemote(t *testing.T) {
	engine := New("engine", Build{Version: "v1"})
	s := testSet()
	h := NewHistogram("sluice_batch_seconds", "Time per batch.", time.Microsecond)
	engine.MustRegister(s, h)
	b, rec := s.NewBlock("edge", "z1"), h.NewRecorder()
	b.N[received] = 9
	b.Publish()
	rec.Observe(1)
	rec.Publish()
	control := New("control", Build{Version: "v2"})
	got := page(t, control.Handler(NewRemote(socketClient(t, engine.Handler()), "http://engine/metrics", 0)))
	expect(t, got,
		`sluice_stateful_received_packets_total{firewall="edge",zone="z1"} 9`,
		`sluice_batch_seconds_bucket{le="+Inf"} 1`,
		`sluice_engine_up 1`,
		`sluice_build_info{goversion="",process="engine",revision="",version="v1"} 1`,
		`sluice_build_info{goversion="",process="control",revision="",version="v2"} 1`)
}

func TestRemoteFailures(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, h := range map[string]http.HandlerFunc{
		"error":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"not text": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"hangs": func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			control := New("control", Build{})
			got := page(t, control.Handler(NewRemote(socketClient(t, h), "http://engine/metrics", 50*time.Millisecond)))
			expect(t, got, `sluice_engine_up 0`, `sluice_build_info{goversion="",process="control",revision="",version=""} 1`)
		})
	}
}

// TestLint holds all metrics of this package against Prometheus's naming rules.
func TestLint(t *testing.T) {
	r := New("engine", Build{})
	q := NewRequests(r, "StartFlowFlush")
	q.Observe("StartFlowFlush", "OK", 1)
	s := testSet()
	r.MustRegister(s)
	s.NewBlock("edge", "z1")
	families, err := prometheus.Gatherers{r, NewRemote(http.DefaultClient, "http://127.0.0.1:1/", 0)}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, "sluice_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s: does not begin with sluice_", name)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	b := testSet().NewBlock("edge", "z1")
	rec := NewHistogram("sluice_x_seconds", "h", time.Second).NewRecorder()
	if n := testing.AllocsPerRun(100, func() {
		b.N[received]++
		b.Publish()
		rec.Observe(time.Millisecond)
		rec.Publish()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
