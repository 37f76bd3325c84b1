package nfqueue

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe tells what this machine offers for NFQUEUE. Rules and queues are tried
// in a network namespace of their own, made for it and gone afterwards, so the
// machine's firewall is not touched. It runs iptables, ip6tables and nft where
// they are installed, until ctx ends.
func Probe(ctx context.Context) []Check {
	result := make(chan []Check)
	// The goroutine never unlocks its thread, so the thread ends with it, and with the thread the namespace.
	go func() {
		runtime.LockOSThread()
		result <- probe(ctx)
	}()
	return <-result
}

func probe(ctx context.Context) []Check {
	checks := []Check{
		probeCapability("CAP_NET_ADMIN", unix.CAP_NET_ADMIN, "needed to bind queues"),
		probeCapability("CAP_NET_RAW", unix.CAP_NET_RAW, "needed to inject resets"),
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return append(checks, Check{Name: "NFQUEUE", Detail: fmt.Sprintf("not tried: a network namespace to try it in needs CAP_SYS_ADMIN: %v", err)})
	}
	bind := Check{Name: "queue binding", OK: true, Detail: "nfnetlink_queue with GSO works"}
	if d, err := Open(Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		bind.OK, bind.Detail = false, err.Error()
	} else {
		d.Close()
	}
	return append(checks, bind,
		probeCommand(ctx, "iptables -j NFQUEUE", "iptables", "-w", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-balance", "0:1", "--queue-bypass"),
		probeCommand(ctx, "ip6tables -j NFQUEUE", "ip6tables", "-w", "-A", "FORWARD", "-j", "NFQUEUE", "--queue-balance", "0:1", "--queue-bypass"),
		probeCommand(ctx, "nft queue", "nft", "add table inet t; add chain inet t c; add rule inet t c queue num 0-1 bypass"),
	)
}

func probeCapability(name string, bit uint, use string) Check {
	if capable(bit) {
		return Check{Name: name, OK: true, Detail: "present"}
	}
	return Check{Name: name, Detail: use + ": " + grant}
}

// probeCommand tries a rule. The child process lives in the namespace of this thread.
func probeCommand(ctx context.Context, check, name string, args ...string) Check {
	path, err := exec.LookPath(name)
	if err != nil {
		return Check{Name: check, Detail: name + " is not installed"}
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return Check{Name: check, Detail: fmt.Sprintf("refused: %v: %s", err, first)}
	}
	return Check{Name: check, OK: true, Detail: "rules are accepted (" + path + ")"}
}
