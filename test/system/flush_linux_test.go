package system_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/internal/netns"
)

// TestFlushCutsExactlyOne: of a download and a chatty session between the same
// hosts, a flush by CIDR and port range cuts the download alone, and nothing
// brings it back.
func TestFlushCutsExactlyOne(t *testing.T) {
	for _, c := range []struct{ name, server, src, dst string }{
		{"IPv4", netns.ServerIPv4, "10.77.1.0/24", "10.77.2.0/24"},
		{"IPv6", netns.ServerIPv6, "fd77:1::/64", "fd77:2::/64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, false, types.StreamExceptionPolicyDrop)
			g.serveDownloads()
			d := g.download(c.server)
			s := g.session(c.server)

			flows := g.flush(filter(c.src, c.dst, "8000:8100"))
			if len(flows) != 1 || aws.ToString(flows[0].DestinationPort) != downloadPort {
				t.Fatalf("flushed %d flows: %+v", len(flows), flows)
			}
			g.stands(d)
			if err := s.say("still here", patience); err != nil {
				t.Errorf("the session that did not match: %v", err)
			}
			if n := g.metric("sluice_stream_exception_policy_packets_total", `cause="flushed"`, `policy="drop"`); n == 0 {
				t.Error("no midstream packet was counted with its cause")
			}
			// curl gives the connection up; conntrack has seen the packets all along.
			select {
			case err := <-d.done:
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 28 {
					t.Errorf("curl ended with %v, want its time-out", err)
				}
			case <-time.After(patience):
				t.Error("curl did not give up")
			}
			g.download(c.server) // a new connection is admitted
		})
	}
}

// TestFlushRejects: under REJECT both kernels see a reset.
func TestFlushRejects(t *testing.T) {
	g := start(t, false, types.StreamExceptionPolicyReject)
	s := g.session(netns.ServerIPv4)
	if n := len(g.flush(filter("10.77.1.0/24", "10.77.2.0/24", chattyPort))); n != 1 {
		t.Fatalf("flushed %d flows", n)
	}
	if err := s.say("anyone?", patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client got %v, want a reset", err)
	}
	g.eventually("the server's socket is gone", func() error {
		if out := g.topo.Server.Run("ss", "-Htn", "state", "established", "sport", "=", ":"+chattyPort); out != "" {
			return errors.New(out)
		}
		return nil
	})
}

// TestEngineKilled: without an engine packets stop, or with fail_open go on.
// A restarted engine has its configuration, and old connections are midstream.
func TestEngineKilled(t *testing.T) {
	for _, c := range []struct {
		name     string
		failOpen bool
	}{{"fail closed", false}, {"fail open", true}} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.failOpen, types.StreamExceptionPolicyDrop)
			g.serveDownloads()
			d := g.download(netns.ServerIPv4)
			signal(t, g.serve.Pid, syscall.SIGSTOP) // so that nobody starts another engine
			engine := g.engine()
			signal(t, engine, syscall.SIGKILL)
			if c.failOpen {
				g.moves(d)
			} else {
				g.stands(d)
			}
			signal(t, g.serve.Pid, syscall.SIGCONT)
			g.eventually("another engine runs", func() error {
				if pid, err := g.enginePID(); err != nil || pid == engine {
					return errors.New("not yet")
				}
				return nil
			})
			g.ready()
			g.stands(d)
			if n := g.metric("sluice_stream_exception_policy_packets_total", `cause="restart"`); n == 0 {
				t.Error("no midstream packet was counted with the restart as its cause")
			}
			g.download(netns.ServerIPv4)
		})
	}
}

// TestServeKilled: the engine outlives kill -9 of its parent. The next one
// finds it, with its flows.
func TestServeKilled(t *testing.T) {
	g := start(t, false, types.StreamExceptionPolicyDrop)
	g.serveDownloads()
	d := g.download(netns.ServerIPv4)
	engine := g.engine()
	signal(t, g.serve.Pid, syscall.SIGKILL)
	g.moves(d)
	g.startServe()
	g.ready()
	if again := g.engine(); again != engine {
		t.Fatalf("engine %d was replaced by %d", engine, again)
	}
	g.moves(d)
	if n := len(g.capture(filter("10.77.1.0/24", "10.77.2.0/24", downloadPort))); n != 1 {
		t.Errorf("%d flows in the table", n)
	}
	if n := len(g.flush(filter("10.77.1.0/24", "10.77.2.0/24", downloadPort))); n != 1 {
		t.Errorf("flushed %d flows", n)
	}
	g.stands(d)
	// SIGTERM ends both.
	signal(t, g.serve.Pid, syscall.SIGTERM)
	g.eventually("the engine ends", func() error {
		if _, err := g.enginePID(); err == nil {
			return errors.New("it still runs")
		}
		return nil
	})
}

// TestDiskFull: the store stops when its disk is full. Packets do not, and when
// there is room again everything that was acknowledged is there.
func TestDiskFull(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=200m"); err != nil {
		t.Fatalf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting the small disk: %v", err)
		}
	})
	g := startOn(t, disk, false, types.StreamExceptionPolicyDrop)
	g.serveDownloads()
	d := g.download(netns.ServerIPv4)
	engine := g.engine()

	ballast := filepath.Join(disk, "ballast")
	if err := fill(ballast); err != nil {
		t.Fatal(err)
	}
	// Writes fail sooner or later: etcd allocates ahead.
	g.eventually("the full disk is noticed", func() error {
		if _, err := g.api.TagResource(t.Context(), &nfw.TagResourceInput{
			ResourceArn: aws.String("arn:aws:network-firewall:us-east-1:123456789012:firewall/edge"),
			Tags:        []types.Tag{{Key: aws.String("k"), Value: aws.String(strings.Repeat("v", 200))}},
		}, func(o *nfw.Options) { o.RetryMaxAttempts = 1 }); err == nil {
			return errors.New("the store still writes")
		}
		return nil
	})
	g.moves(d)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	_ = g.serve.Signal(syscall.SIGKILL) // it may have ended by itself
	g.startServe()
	g.ready()
	if again := g.engine(); again != engine {
		t.Errorf("engine %d was replaced by %d", engine, again)
	}
	g.moves(d)
	if n := len(g.flush(filter("10.77.1.0/24", "10.77.2.0/24", downloadPort))); n != 1 {
		t.Errorf("flushed %d flows", n)
	}
	g.stands(d)
}

// fill writes to path until the disk is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
