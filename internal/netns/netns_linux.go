package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// runDir is where iproute2 keeps the handles of named namespaces.
const runDir = "/run/netns"

var serial atomic.Uint32

// NS is one network namespace.
type NS struct {
	Name string // as "ip netns" knows it
	tb   testing.TB
}

// New creates a namespace with its loopback up and removes it when tb ends.
// Role is a short word for the name, such as "gateway".
func New(tb testing.TB, role string) *NS {
	tb.Helper()
	n := &NS{Name: fmt.Sprintf("sluice-%d-%d-%s", os.Getpid(), serial.Add(1), role), tb: tb}
	command(tb, "ip", "netns", "add", n.Name)
	tb.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", n.Name).CombinedOutput(); err != nil {
			tb.Errorf("netns: removing %s: %v\n%s", n.Name, err, out)
		}
	})
	n.IP("link", "set", "lo", "up")
	// Devices made later need not prove their addresses unique, which takes a second each.
	n.Sysctl("net.ipv6.conf.default.accept_dad", "0")
	return n
}

// Do calls fn on an operating-system thread that lives in the namespace:
// sockets made by fn belong to the namespace for as long as they live,
// goroutines started by fn do not. /proc/sys/net and /proc/thread-self/net are
// the namespace's too.
func (n *NS) Do(fn func() error) error {
	done := make(chan error)
	go func() { done <- n.onThread(fn) }()
	return <-done
}

// onThread enters the namespace for the time of fn. A thread that cannot get
// back home stays locked, so that it ends with its goroutine.
func (n *NS) onThread(fn func() error) (err error) {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("netns: opening the namespace of this thread: %w", err)
	}
	defer home.Close()
	there, err := os.Open(filepath.Join(runDir, n.Name))
	if err != nil {
		return fmt.Errorf("netns: opening %s: %w", n.Name, err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("netns: entering %s: %w", n.Name, err)
	}
	defer func() {
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("netns: leaving %s: %w", n.Name, back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return fn()
}

// Run runs a command to its end inside the namespace and returns what it
// printed on both outputs. A failing command fails the test.
func (n *NS) Run(name string, args ...string) string {
	n.tb.Helper()
	return command(n.tb, "ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Start starts a command inside the namespace. When the test ends, the process
// is killed if it still runs, and waited for. The caller may set cmd's
// standard streams in prepare, which may be nil.
func (n *NS) Start(prepare func(*exec.Cmd), name string, args ...string) *os.Process {
	n.tb.Helper()
	// "ip netns exec" replaces itself by the command, so the process id is the command's.
	ctx, kill := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Start(); err != nil {
		kill()
		n.tb.Fatalf("netns: starting %s in %s: %v", name, n.Name, err)
	}
	n.tb.Cleanup(func() {
		kill()
		_ = cmd.Wait() // it was killed: its exit status says nothing
	})
	return cmd.Process
}

// IP runs iproute2 on the namespace: n.IP("addr", "add", ...).
func (n *NS) IP(args ...string) {
	n.tb.Helper()
	command(n.tb, "ip", append([]string{"-n", n.Name}, args...)...)
}

// Sysctl sets one of the namespace's kernel parameters, for example
// n.Sysctl("net.ipv4.ip_forward", "1").
//
// Worth knowing: connection tracking takes up TCP connections in their middle
// (net.netfilter.nf_conntrack_tcp_loose is 1), so an entry deleted from its
// table comes back with the next packet. A test that wants conntrack to refuse
// such packets sets it to 0.
func (n *NS) Sysctl(name, value string) {
	n.tb.Helper()
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	err := n.Do(func() error { return os.WriteFile(path, []byte(value), 0o644) })
	if err != nil {
		n.tb.Fatalf("netns: setting %s in %s: %v", name, n.Name, err)
	}
}

// Link joins two namespaces by a veth pair and brings both ends up. The
// addresses are in prefix notation. IPv6 passes only after the kernel has
// noticed the link, up to a second later: see WaitUp.
func Link(a *NS, aDev string, aAddrs []string, b *NS, bDev string, bAddrs []string) {
	a.tb.Helper()
	command(a.tb, "ip", "link", "add", aDev, "netns", a.Name, "type", "veth", "peer", "name", bDev, "netns", b.Name)
	for _, end := range []struct {
		ns    *NS
		dev   string
		addrs []string
	}{{a, aDev, aAddrs}, {b, bDev, bAddrs}} {
		for _, addr := range end.addrs {
			end.ns.IP("addr", "add", addr, "dev", end.dev)
		}
		end.ns.IP("link", "set", end.dev, "up")
	}
}

// WaitUp returns when the kernel counts the devices as running. It looks at
// link changes once a second only, and IPv6 addresses rest until then.
func (n *NS) WaitUp(devs ...string) {
	n.tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for _, dev := range devs {
		for {
			var i *net.Interface
			err := n.Do(func() (err error) {
				i, err = net.InterfaceByName(dev)
				return err
			})
			if err == nil && i.Flags&net.FlagRunning != 0 {
				break
			}
			if time.Now().After(deadline) {
				n.tb.Fatalf("netns: %s in %s does not come up (%v)", dev, n.Name, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// Listen opens a TCP listener inside the namespace, closed with the test.
func (n *NS) Listen(addr string) net.Listener {
	n.tb.Helper()
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	if err != nil {
		n.tb.Fatalf("netns: listening in %s: %v", n.Name, err)
	}
	n.tb.Cleanup(func() { l.Close() })
	return l
}

// ListenPacket opens a UDP socket inside the namespace, closed with the test.
func (n *NS) ListenPacket(addr string) net.PacketConn {
	n.tb.Helper()
	var c net.PacketConn
	err := n.Do(func() (err error) {
		c, err = net.ListenPacket("udp", addr)
		return err
	})
	if err != nil {
		n.tb.Fatalf("netns: listening in %s: %v", n.Name, err)
	}
	n.tb.Cleanup(func() { c.Close() })
	return c
}

// Dial connects from inside the namespace. The address must be a literal one:
// a name would be looked up on another thread, outside.
func (n *NS) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var c net.Conn
	err := n.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// command runs a command to its end and fails the test when it fails.
func command(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("netns: %s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
