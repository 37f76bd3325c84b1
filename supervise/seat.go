package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Seat is an engine's place in a data directory: at most one process has it.
type Seat struct {
	dir  string
	lock *os.File

	server *http.Server // nil until Serve
	served sync.WaitGroup
}

// Pages are what an engine offers on its socket. All are required.
type Pages struct {
	Metrics http.Handler
	Ready   func() error // nil when packets meet the rules that they should
	Reopen  func()       // begins new log files
	Stop    func()       // makes the process end in order; returns at once
	Logger  *slog.Logger
}

// Claim takes the seat of a data directory, which must exist. The kernel gives
// it back when the process ends, however that happens.
func Claim(dir string) (*Seat, error) {
	path := filepath.Join(dir, lockName)
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("engine: open its lock: %w: give %s to the user that runs this", err, dir)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		owner, _ := io.ReadAll(io.LimitReader(lock, 20))
		lock.Close()
		return nil, fmt.Errorf("engine: process %s runs on %s already: end it with \"sluice engine stop\", or choose another data directory", strings.TrimSpace(string(owner)), dir)
	}
	// The number is for people only, so a full disk is no reason not to run.
	if lock.Truncate(0) == nil {
		fmt.Fprintf(lock, "%d\n", os.Getpid())
	}
	os.Remove(filepath.Join(dir, errorName))
	return &Seat{dir: dir, lock: lock}, nil
}

// Serve answers on the socket from now on, in goroutines of its own.
func (s *Seat) Serve(id Identity, p Pages) error {
	l, err := listenPrivate(filepath.Join(s.dir, socketName))
	if err != nil {
		return fmt.Errorf("engine: listen on its socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.Metrics)
	mux.Handle("GET /healthz", Probe(func(context.Context) error { return nil }))
	mux.Handle("GET /readyz", Probe(func(context.Context) error { return p.Ready() }))
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { writeIdentity(w, id) })
	mux.HandleFunc("GET /watch", func(w http.ResponseWriter, r *http.Request) {
		// The stream carries one line and then nothing: its end is the message.
		writeIdentity(w, id)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("POST /reopen", func(http.ResponseWriter, *http.Request) { p.Reopen() })
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).Flush() // the answer is out before the end begins
		p.Stop()
	})
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(p.Logger.Handler(), slog.LevelWarn)}
	s.served.Go(func() {
		if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.Logger.Error("the engine's socket failed: packets are not affected", slog.Any("error", err))
		}
	})
	return nil
}

func writeIdentity(w http.ResponseWriter, id Identity) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(id) // a client that has gone needs no answer
}

// listenPrivate listens on a socket that only its owner can connect to, in
// place of one that a dead process has left.
func listenPrivate(path string) (net.Listener, error) {
	// Between bind and chmod the socket would be open to all that may enter the
	// directory, so it gets its name last.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would unlink the first name
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Fail leaves word why this engine cannot go on, for who looks after it.
func (s *Seat) Fail(cause error) error {
	if err := os.WriteFile(filepath.Join(s.dir, errorName), []byte(cause.Error()+"\n"), 0o600); err != nil {
		return fmt.Errorf("engine: leave word of the error: %w", err)
	}
	return nil
}

// lastError is the word that an engine left, or "".
func lastError(dir string) string {
	f, err := os.Open(filepath.Join(dir, errorName))
	if err != nil {
		return ""
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 4096))
	return strings.TrimSpace(string(text))
}

// Close gives the seat up. Watchers learn of it last, when the next engine can
// have it.
func (s *Seat) Close() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, os.Remove(filepath.Join(s.dir, socketName)))
	}
	errs = append(errs, s.lock.Close())
	if s.server != nil {
		errs = append(errs, s.server.Close())
		s.served.Wait()
	}
	return errors.Join(errs...)
}
