package delivery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fake answers requests in memory, so that tests can move time by hand: a socket
// would be the world outside of their bubble.
type fake struct {
	t       testing.TB
	handler func(op string, body []byte, w http.ResponseWriter, r *http.Request)

	mu       sync.Mutex
	away     bool // guarded by mu: connections are refused
	attempts int  // guarded by mu
}

var errAway = errors.New("connection refused")

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempts++
	if f.away {
		return nil, errAway
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	w := httptest.NewRecorder()
	f.handler(r.Header.Get("X-Amz-Target"), body, w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func (f *fake) set(away bool) (attempts int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
	attempts, f.attempts = f.attempts, 0
	return attempts
}

// options are of a destination at this fake. Neither the environment nor the
// files of who runs the tests matter.
func (f *fake) options(dir, kind string, target map[string]string) Options {
	return Options{
		Type: kind, Target: target, LogType: "ALERT", Account: "123456789012", Region: "eu-central-1", Firewall: "edge",
		SpoolDir: dir, Endpoint: "http://fake.test", AccessKeyID: "AKID", SecretAccessKey: "secret",
		HTTPClient: &http.Client{Transport: f}, Logger: slog.New(slog.DiscardHandler),
	}
}

// isolate keeps the AWS settings of who runs the tests away.
func isolate(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{"AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "") // so that it is restored
		os.Unsetenv(name)
	}
}

func newTest(t testing.TB, o Options) *Destination {
	t.Helper()
	d, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func logTest(t testing.TB, d *Destination, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !d.Log([]byte(line)) {
			t.Fatalf("%.40q refused", line)
		}
	}
	if err := d.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// balanced checks what Stats promises.
func balanced(t testing.TB, d *Destination) Stats {
	t.Helper()
	s := d.Stats()
	if s.Recovered+s.Accepted != s.Delivered+s.Rejected+s.Damaged+s.Waiting {
		t.Errorf("counts do not add up: %+v", s)
	}
	return s
}

// elapse moves the time of a bubble and waits until everything has seen it. What
// the handler keeps is the caller's between two calls.
func (f *fake) elapse(d time.Duration) {
	f.mu.Lock()
	//lint:ignore SA2001 what the caller has read comes before what the handler writes
	f.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
}
