// Package supervise keeps one engine process running beside a parent that may
// come and go.
//
// The engine holds a lock in the data directory and serves a unix socket there
// (Seat). The parent (Supervisor) adopts the engine that it finds on the
// socket or starts one, learns of its death by the end of a stream or of
// the process, and starts the next. It never polls. The engine lives in a
// session of its own and outlasts its parent, however that ends.
package supervise

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// Names in the data directory.
const (
	lockName   = "engine.lock"
	socketName = "engine.sock"
	errorName  = "engine.error" // why the last engine could not go on
)

// Identity tells engines apart.
type Identity struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"` // of the binary
	Config  string    `json:"config"`  // digest of its configuration
	Started time.Time `json:"started"`
}

// URL returns the address of a page of the engine, for a Client.
func URL(page string) string { return "http://engine" + page }

// Client returns an HTTP client whose every request goes to the engine of a
// data directory.
func Client(dir string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(dir, socketName))
		},
		MaxIdleConns: 2,
		// An engine that hangs must not hang who asks it.
		ResponseHeaderTimeout: 5 * time.Second,
	}}
}

// Probe answers 200 while check succeeds, and 503 with its error otherwise.
func Probe(check func(context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		text := "ok\n"
		if err := check(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			text = err.Error() + "\n"
		}
		w.Write([]byte(text)) // a client that has gone needs no answer
	})
}
