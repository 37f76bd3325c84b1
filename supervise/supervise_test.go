package supervise

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays the processes: it runs again as engine or parent.
const (
	roleEnv = "SUPERVISE_TEST_ROLE"
	dirEnv  = "SUPERVISE_TEST_DIR"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(dirEnv)
	switch os.Getenv(roleEnv) {
	case "engine":
		exit(playEngine(dir, nil))
	case "broken engine":
		exit(playEngine(dir, errors.New("CAP_NET_ADMIN is missing")))
	case "parent":
		exit(playParent(dir))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// playEngine says "up <pid>" on standard error when it has its seat, and runs
// until it is told to stop. With a fault it leaves word of that and ends.
func playEngine(dir string, fault error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	seat, err := Claim(dir)
	if err != nil {
		return err
	}
	defer seat.Close()
	if fault != nil {
		return errors.Join(fault, seat.Fail(fault))
	}
	err = seat.Serve(Identity{PID: os.Getpid(), Version: "v1", Config: "c1"}, Pages{
		Metrics: http.NotFoundHandler(),
		Ready:   func() error { return nil },
		Reopen:  func() { fmt.Fprintln(os.Stderr, "reopened") },
		Stop:    stop,
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "up", os.Getpid())
	<-ctx.Done()
	return nil
}

func again(role, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir)
	return cmd
}

func playParent(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := New(Options{
		Dir: dir, Version: "v1", Config: "c1", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Command: func() *exec.Cmd {
			cmd := again("engine", dir)
			cmd.Stderr = os.Stderr
			return cmd
		},
	})
	s.Run(ctx)
	return s.Stop(context.Background())
}

// process is a parent that the test started, with what it and its engines say.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// startParent runs a parent on dir, which ends with the test.
func startParent(t *testing.T, dir string) *process {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// A line that never comes must not hang the test.
	if err := r.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	cmd := again("parent", dir)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		r.Close()
	})
	return &process{cmd: cmd, lines: bufio.NewScanner(r)}
}

// line returns the first line from here on that has the text.
func (p *process) line(t *testing.T, text string) string {
	t.Helper()
	var seen []string
	for p.lines.Scan() {
		if strings.Contains(p.lines.Text(), text) {
			return p.lines.Text()
		}
		seen = append(seen, p.lines.Text())
	}
	t.Fatalf("%q was not said (%v), but:\n%s", text, p.lines.Err(), strings.Join(seen, "\n"))
	return ""
}

// up waits until an engine has its seat and returns its process id.
func (p *process) up(t *testing.T) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimPrefix(p.line(t, "up "), "up "))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// dataDir is a directory whose engine, if one is left, ends with the test.
func dataDir(t *testing.T) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := Stop(ctx, dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// identity asks the engine of dir who it is.
func identity(t *testing.T, dir string) Identity {
	t.Helper()
	id, stream, err := watch(t.Context(), Client(dir))
	if err != nil {
		t.Fatal(err)
	}
	stream.Close()
	return id
}

func TestEngineOutlivesParentAndIsAdopted(t *testing.T) {
	dir := dataDir(t)
	first := startParent(t, dir)
	pid := first.up(t)
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("the engine's session is %d (%v), want its own, %d", sid, err, pid)
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.cmd.Wait()
	if got := identity(t, dir).PID; got != pid {
		t.Fatalf("engine %d answers, want %d", got, pid)
	}

	second := startParent(t, dir)
	if l := second.line(t, "adopted"); !strings.Contains(l, fmt.Sprintf("pid=%d", pid)) {
		t.Errorf("adopted another engine than %d: %s", pid, l)
	}
	// What it adopted it also replaces when it dies,
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second.line(t, "the engine is not running")
	next := second.up(t)
	if next == pid {
		t.Errorf("the next engine has the pid %d of the one before", pid)
	}
	// and stops.
	if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.cmd.Wait(); err != nil {
		t.Errorf("the parent ended with %v", err)
	}
	free(t, dir)
}

func TestParentStopsAdoptedEngine(t *testing.T) {
	dir := dataDir(t)
	first := startParent(t, dir)
	first.up(t)
	first.cmd.Process.Kill()
	first.cmd.Wait()
	second := startParent(t, dir)
	second.line(t, "adopted")
	second.cmd.Process.Signal(syscall.SIGTERM)
	if err := second.cmd.Wait(); err != nil {
		t.Errorf("the parent ended with %v", err)
	}
	free(t, dir)
}

// free checks that no engine has the seat.
func free(t *testing.T, dir string) {
	t.Helper()
	seat, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	seat.Close()
}

func TestEngineIsRestarted(t *testing.T) {
	p := startParent(t, dataDir(t))
	for range 3 {
		pid := p.up(t)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if l := p.line(t, "the engine is not running"); !strings.Contains(l, "signal: killed") {
			t.Errorf("the log does not say how it ended: %s", l)
		}
	}
	p.up(t)
}

func TestSignalToGroupLeavesEngine(t *testing.T) {
	dir := dataDir(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.SetReadDeadline(time.Now().Add(30 * time.Second))
	cmd := again("parent", dir)
	cmd.Stderr = w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p := &process{cmd: cmd, lines: bufio.NewScanner(r)}
	pid := p.up(t)
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if got := identity(t, dir).PID; got != pid {
		t.Errorf("engine %d answers, want %d", got, pid)
	}
}

func TestDelays(t *testing.T) {
	var delays []time.Duration
	ctx, cancel := context.WithCancel(t.Context())
	now := time.Unix(0, 0)
	s := New(Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Command: func() *exec.Cmd { return exec.Command("false") },
		Now:     func() time.Time { return now },
		After: func(d time.Duration) <-chan time.Time {
			delays = append(delays, d)
			if len(delays) == 11 {
				cancel()
				return nil
			}
			fired := make(chan time.Time, 1)
			fired <- now
			return fired
		},
	})
	s.Run(ctx)
	ms := time.Millisecond
	want := []time.Duration{0, 250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 30000 * ms, 30000 * ms, 30000 * ms}
	if !slices.Equal(delays, want) {
		t.Errorf("delays %v, want %v", delays, want)
	}
	if err := s.Ready(ctx); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("Ready: %v, want the exit status", err)
	}
}

// An engine that has lived for a while is replaced at once, however young those before it died.
func TestDelayStartsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	now := time.Unix(0, 0)
	var delays []time.Duration
	s := New(Options{
		Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Command: func() *exec.Cmd { return exec.Command("false") },
		Now: func() time.Time { // is read before and after each life
			if len(delays) == 3 {
				now = now.Add(youngUntil)
			}
			return now
		},
		After: func(d time.Duration) <-chan time.Time {
			if delays = append(delays, d); len(delays) == 4 {
				cancel()
			}
			fired := make(chan time.Time, 1)
			fired <- now
			return fired
		},
	})
	s.Run(ctx)
	if want := []time.Duration{0, firstDelay, 2 * firstDelay, 0}; !slices.Equal(delays, want) {
		t.Errorf("delays %v, want %v", delays, want)
	}
}

func TestReadySaysWhyTheEngineEnded(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	s := New(Options{
		Dir: dir, Logger: slog.New(slog.DiscardHandler),
		Command: func() *exec.Cmd { return again("broken engine", dir) },
		After:   func(time.Duration) <-chan time.Time { cancel(); return nil },
	})
	if err := s.Ready(ctx); err == nil || !strings.Contains(err.Error(), "being started") {
		t.Errorf("before the first start: %v", err)
	}
	s.Run(ctx)
	if err := s.Ready(ctx); err == nil || err.Error() != "engine: CAP_NET_ADMIN is missing" {
		t.Errorf("Ready: %v", err)
	}
	s.set(&engine{pid: 7}) // the next one, on its way
	if err := s.Ready(t.Context()); err == nil || err.Error() != "engine: CAP_NET_ADMIN is missing" {
		t.Errorf("Ready while the next one starts: %v", err)
	}
	s.set(nil)
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("Stop without an engine: %v", err)
	}
	free(t, dir) // and that removes the word
	if word := lastError(dir); word != "" {
		t.Errorf("the word is still there: %s", word)
	}
}

// serve takes the seat of dir in this process.
func serve(t *testing.T, dir string, id Identity, ready error) (stopped chan struct{}) {
	t.Helper()
	seat, err := Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	stopped = make(chan struct{})
	err = seat.Serve(id, Pages{
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics\n") }),
		Ready:   func() error { return ready },
		Reopen:  func() {},
		Stop:    func() { close(stopped) },
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := seat.Close(); err != nil {
			t.Error(err)
		}
	})
	return stopped
}

func TestAdoptsOtherVersionAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	serve(t, dir, Identity{PID: 7, Version: "v0", Config: "c0"}, errors.New("no policy yet"))
	var log bytes.Buffer
	s := New(Options{Dir: dir, Version: "v1", Config: "c1", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := s.adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pid=7", "engine=v0 this=v1", "another configuration", "sluice engine stop"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

func TestPages(t *testing.T) {
	dir := t.TempDir()
	stopped := serve(t, dir, Identity{PID: 7, Version: "v0"}, errors.New("no policy yet"))
	client := Client(dir)
	for _, c := range []struct {
		method, page string
		status       int
		text         string
	}{
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 503, "no policy yet\n"},
		{"GET", "/metrics", 200, "metrics\n"},
		{"GET", "/version", 200, `{"pid":7,"version":"v0","config":"","started":"0001-01-01T00:00:00Z"}` + "\n"},
		{"GET", "/stop", 405, "Method Not Allowed\n"},
		{"POST", "/reopen", 200, ""},
		{"POST", "/stop", 200, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, URL(c.page), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || string(text) != c.text {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.page, resp.StatusCode, text, c.status, c.text)
		}
	}
	<-stopped
}

func TestSeatIsForOne(t *testing.T) {
	dir := t.TempDir()
	// What a dead engine has left is no obstacle.
	for _, name := range []string{socketName, socketName + ".new"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, dir, Identity{}, nil)
	info, err := os.Stat(filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket's mode is %v, want owner only", info.Mode())
	}
	_, err = Claim(dir)
	if want := fmt.Sprintf("process %d runs on %s already", os.Getpid(), dir); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second claim: %v, want %s", err, want)
	}
}

func TestStopWithoutEngine(t *testing.T) {
	dir := t.TempDir()
	if err := Stop(t.Context(), dir); err != nil {
		t.Errorf("never one there: %v", err)
	}
	l, err := listenPrivate(filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Stop(t.Context(), dir); err != nil {
		t.Errorf("a dead one there: %v", err)
	}
}
