package netns

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func TestTopologyForwards(t *testing.T) {
	Require(t)
	topo := NewTopology(t)
	for _, server := range []string{ServerIPv4, ServerIPv6} {
		l := topo.Server.Listen(net.JoinHostPort(server, "0"))
		go func() {
			if c, err := l.Accept(); err == nil {
				io.WriteString(c, "hello")
				c.Close()
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		c, err := topo.Client.Dial(ctx, "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

func TestCleanup(t *testing.T) {
	Require(t)
	var name string
	var process *os.Process
	t.Run("inner", func(t *testing.T) {
		n := New(t, "short")
		name = n.Name
		if _, err := os.Stat(filepath.Join(runDir, name)); err != nil {
			t.Fatal(err)
		}
		process = n.Start(nil, "sleep", "60")
		if err := process.Signal(syscall.Signal(0)); err != nil {
			t.Fatalf("the process does not run: %v", err)
		}
	})
	if _, err := os.Stat(filepath.Join(runDir, name)); !os.IsNotExist(err) {
		t.Errorf("namespace %s is still there: %v", name, err)
	}
	if err := process.Signal(syscall.Signal(0)); err == nil {
		t.Errorf("process %d still runs", process.Pid)
	}
}

// recorder notes how Require ended the test that it was given.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper()               {}
func (r *recorder) Skipf(string, ...any)  { r.ended = "skipped"; runtime.Goexit() }
func (r *recorder) Fatalf(string, ...any) { r.ended = "failed"; runtime.Goexit() }

func TestRequireFailsInCI(t *testing.T) {
	old := namespaces
	defer func() { namespaces = old }()
	namespaces = func() error { return os.ErrPermission }
	for ci, want := range map[string]string{"": "skipped", "false": "skipped", "true": "failed"} {
		t.Setenv("CI", ci)
		var got recorder
		done := make(chan struct{})
		go func() {
			defer close(done)
			Require(&got)
		}()
		<-done
		if got.ended != want {
			t.Errorf("CI=%q: %q, want %q", ci, got.ended, want)
		}
	}
}
