package nfqueue

import (
	"log/slog"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sluicefw/sluice/internal/netns"
)

func TestOpenErrors(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	gateway := netns.New(t, "gateway")
	openIn(t, gateway, Options{Queues: []uint16{7}})
	quiet := slog.New(slog.DiscardHandler)

	var taken, unprivileged error
	gateway.Do(func() error {
		_, taken = Open(Options{Queues: []uint16{6, 7}, Logger: quiet})
		return nil
	})
	if taken == nil || !strings.Contains(taken.Error(), "queue 7 is bound by another program already (netlink port ") {
		t.Errorf("a queue that is taken: %v", taken)
	}
	openIn(t, gateway, Options{Queues: []uint16{6}}) // the failure has let go of it

	done := make(chan struct{})
	go func() { // ends with its thread, which has given its capabilities away
		defer close(done)
		runtime.LockOSThread()
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&hdr, &none[0]); err != nil {
			t.Error(err)
			return
		}
		_, unprivileged = Open(Options{Queues: []uint16{65000}, Logger: quiet})
	}()
	<-done
	if unprivileged == nil || !strings.Contains(unprivileged.Error(), "binding queue 65000 needs CAP_NET_ADMIN: run as root") {
		t.Errorf("without capabilities: %v", unprivileged)
	}
	if _, err := Open(Options{Queues: []uint16{1, 1}, Logger: quiet}); err == nil {
		t.Error("a queue twice was accepted")
	}
}

func TestProbe(t *testing.T) {
	netns.Require(t, netns.NFQueue)
	before, _ := exec.Command("iptables-save").Output()
	checks := Probe(t.Context())
	for _, c := range checks {
		t.Logf("%+v", c)
		if !c.OK && c.Name != "nft queue" || c.Detail == "" {
			t.Errorf("%+v where everything but nft is known to work", c)
		}
	}
	if len(checks) != 6 {
		t.Errorf("%d checks", len(checks))
	}
	if after, _ := exec.Command("iptables-save").Output(); withoutComments(after) != withoutComments(before) {
		t.Errorf("the machine's own rules changed from\n%s\nto\n%s", before, after)
	}
}

// withoutComments leaves out the lines in which iptables-save prints the time.
func withoutComments(b []byte) string {
	var kept strings.Builder
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "#") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
