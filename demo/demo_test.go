package demo

import (
	"bytes"
	"context"
	"io"
	"net"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluicefw/sluice/cli"
)

func testEnv(stdout io.Writer, tty bool) cli.Env {
	return cli.Env{
		Stdout: stdout, Stderr: io.Discard, StdoutTTY: tty, Width: 80,
		Getenv: func(string) string { return "" }, Now: time.Now,
		Sleep: func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() },
	}
}

func run(ctx context.Context, env cli.Env, args ...string) error {
	c := New(env)
	c.SetArgs(args)
	c.SetOut(env.Stdout)
	c.SetErr(env.Stderr)
	c.SilenceErrors, c.SilenceUsage = true, true
	return c.ExecuteContext(ctx)
}

// leaves checks that nothing is left of what f starts: no goroutine, no file.
func leaves(t *testing.T, f func()) {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	_, stop := signal.NotifyContext(t.Context(), syscall.SIGHUP)
	stop() // the first use of signals leaves a goroutine of the runtime
	before := runtime.NumGoroutine()
	f()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestScript(t *testing.T) {
	var out bytes.Buffer
	leaves(t, func() {
		if err := run(t.Context(), testEnv(&out, false), "--script", "--connections", "60"); err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
	if n := strings.Count(out.String(), "✓"); n != len((&script{}).steps(options{})) {
		t.Errorf("%d steps held:\n%s", n, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("wider than 80 columns: %s", line)
		}
	}
	if s := out.String(); strings.ContainsAny(s, "✗\x1b") {
		t.Errorf("a failure, or colours where there is no terminal:\n%q", s)
	}
}

// A step that does not hold fails the script.
func TestScriptFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	leaves(t, func() {
		if err := run(ctx, testEnv(&out, false), "--script"); err == nil {
			t.Error("a script that was stopped did not fail")
		}
	})
	if !strings.Contains(out.String(), "✗") {
		t.Errorf("no step is marked as failed:\n%s", out.String())
	}
}

// waiter is an output that tells when some text has come.
type waiter struct {
	mu   sync.Mutex
	text strings.Builder
	want string
	seen chan struct{}
}

func (w *waiter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.text.String(), w.want)
	w.text.Write(b)
	if !before && strings.Contains(w.text.String(), w.want) {
		close(w.seen)
	}
	return len(b), nil
}

func (w *waiter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func TestGuide(t *testing.T) {
	for _, c := range []struct {
		name string
		tty  bool
		args []string
		last string // what is printed last before it waits
		has  []string
		not  string
	}{
		{"terminal", true, nil, " resets 0", []string{"\x1b[1m", "flows ", "packets ", "dropped 0"}, ""},
		{"terminal without colours", true, []string{"--no-color"}, " resets 0", []string{"flows "}, "\x1b[1m"},
		{"pipe", false, nil, "Ctrl-C ends it", []string{"sluice flows flush --dst $NET"}, "\x1b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := &waiter{want: c.last, seen: make(chan struct{})}
			leaves(t, func() {
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				done := make(chan error, 1)
				go func() { done <- run(ctx, testEnv(out, c.tty), append(c.args, "--port", "0", "--connections", "20")...) }()
				select {
				case <-out.seen:
				case err := <-done:
					t.Fatalf("ended with %v\n%s", err, out)
				}
				interrupt()
				if err := <-done; err != nil {
					t.Errorf("after an interrupt: %v", err)
				}
			})
			text := out.String()
			for _, want := range append(c.has, "export AWS_ENDPOINT_URL=http://127.0.0.1:", "stopped") {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in\n%s", want, text)
				}
			}
			for line := range strings.Lines(text) {
				// The line with the path is as long as the path is.
				if !c.tty && utf8.RuneCountInString(line) > 81 && !strings.Contains(line, "export PATH=") {
					t.Errorf("wider than 80 columns: %s", line)
				}
			}
			if c.not != "" && strings.Contains(text, c.not) {
				t.Errorf("%q is in\n%q", c.not, text)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for want, args := range map[string][]string{
		"--connections must be":      {"--connections", "1"},
		"--port chooses another":     {"--port", taken},
		"invalid argument":           {"--port", "70000"},
		"unknown command \"script\"": {"script"},
	} {
		err := run(t.Context(), testEnv(io.Discard, false), args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want one with %q", args, err, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
	if got := plural(1, "flow") + ", " + plural(1200, "flow"); got != "1 flow, 1,200 flows" {
		t.Error(got)
	}
	for d, want := range map[time.Duration]string{3210 * time.Microsecond: "3.2ms", 61234 * time.Microsecond: "61ms", 1234 * time.Millisecond: "1.23s"} {
		if got := brief(d); got != want {
			t.Errorf("brief(%v) = %s, want %s", d, got, want)
		}
	}
	if got := truncate("aä│b", 3); got != "aä│" {
		t.Error(got)
	}
}
