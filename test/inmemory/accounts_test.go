package inmemory_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/test/rig"
)

// TestTwoAccounts: one node serves the firewalls of two accounts, which have the
// same name. Both are READY; rules and flushes of one do not touch the other's
// flows, and neither account sees the other's.
func TestTwoAccounts(t *testing.T) {
	setup := rig.Setup{Exception: types.StreamExceptionPolicyReject, Other: true}
	a := rig.Start(t, setup)
	b := a.OtherAccount(setup) // waits until it is READY
	if !strings.Contains(b.Firewall, rig.Other) || a.Firewall == b.Firewall {
		t.Fatalf("the firewalls are %s and %s", a.Firewall, b.Firewall)
	}
	f := families[0]
	first, second := a.Download(f.client, f.server), b.Download(f.client, f.server)

	if flows := b.Capture(everything); len(flows) != 1 {
		t.Errorf("the second account captures %v", show(flows))
	}
	if flows := b.Flush(&nfw.StartFlowFlushInput{FirewallArn: &b.Firewall, FlowFilters: []types.FlowFilter{everything}}); len(flows) != 1 {
		t.Errorf("the second account flushes %v", show(flows))
	}
	second.Send()
	if err := second.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the flushed download ended by %v, want ECONNRESET", err)
	}
	if err := first.Next(); err != nil {
		t.Errorf("the download of the first account: %v", err)
	}

	b.SetRules(`reject tcp any any -> any 80 (sid:1;)`)
	if err := b.Connect(f.client, f.server); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connection under the second account's rules: %v, want it refused", err)
	}
	if err := first.Next(); err != nil {
		t.Errorf("the download of the first account: %v", err)
	}
	if flows := a.Flush(&nfw.StartFlowFlushInput{FirewallArn: &a.Firewall, FlowFilters: []types.FlowFilter{everything}}); len(flows) != 1 {
		t.Errorf("the first account flushes %v", show(flows))
	}
	for _, account := range []string{rig.Account, rig.Other} {
		if n := a.Metric("sluice_flows", `account="`+account+`"`, `firewall="edge"`); n > 1 {
			t.Errorf("account %s has %v flows", account, n)
		}
	}
}
