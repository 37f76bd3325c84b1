package netns

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Feature is something a test needs beyond namespaces.
type Feature uint8

// NFQueue is the NFQUEUE target of iptables and ip6tables, and the kernel
// module behind it.
const NFQueue Feature = iota

// Require skips the test, with the reason, where it cannot make network
// namespaces or lacks a feature. When the environment says CI=true (or any
// other true value) the test fails instead: where CI promises the means, their
// absence is an error.
func Require(tb testing.TB, features ...Feature) {
	tb.Helper()
	err := namespaces()
	for _, f := range features {
		if err == nil && f == NFQueue {
			err = nfqueue()
		}
	}
	if err == nil {
		return
	}
	if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
		tb.Fatalf("network namespaces are required when CI is set: %v", err)
	}
	tb.Skipf("needs network namespaces: %v", err)
}

// namespaces tells why namespaces cannot be made, or nil. The answer cannot
// change while the process lives.
var namespaces = sync.OnceValue(func() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("not running as root")
	}
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}, {unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}} {
		if has, err := capable(c.bit); err != nil || !has {
			return fmt.Errorf("%s is missing", c.name)
		}
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return fmt.Errorf("iproute2 is not installed: %w", err)
	}
	return inTrial(nil)
})

// nfqueue tells why packets cannot be queued to programs, or nil.
var nfqueue = sync.OnceValue(func() error {
	return inTrial([][]string{
		{"iptables", "-w", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-balance", "0:1"},
		{"ip6tables", "-w", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-balance", "0:1"},
		{"test", "-e", "/proc/net/netfilter/nfnetlink_queue"},
	})
})

// inTrial runs commands in a namespace made for them and removed again.
func inTrial(commands [][]string) error {
	name := fmt.Sprintf("sluice-%d-%d-trial", os.Getpid(), serial.Add(1))
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Errorf("ip netns add: %w: %s", err, strings.TrimSpace(string(out)))
	}
	defer exec.Command("ip", "netns", "del", name).Run()
	for _, c := range commands {
		out, err := exec.Command("ip", append([]string{"netns", "exec", name}, c...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(c, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// capable reports whether this thread has the capability of that number.
func capable(bit uint) (bool, error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return false, err
	}
	return data[bit/32].Effective&(1<<(bit%32)) != 0, nil
}
