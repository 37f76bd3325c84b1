package node

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/netstack"
	"github.com/sluicefw/sluice/resource"
)

// startTwo starts a node with a firewall "f" of each of two accounts, which are
// attached to networks of their own.
func startTwo(t *testing.T) (home, away *rig) {
	t.Helper()
	second, err := netstack.New(netstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := second.Outside().Listen("tcp", echo)
	if err != nil {
		t.Fatal(err)
	}
	go serveEcho(l)
	const other = "210987654321"
	home = start(t, func(o *Options) {
		o.Attach = append(o.Attach, Attachment{Account: other, Firewall: "f", Open: func() (pktio.Driver, error) { return second, nil }})
	})
	b := *home
	b.net, b.in = second, resource.Scope{Account: other, Region: scope.Region}
	return home, &b
}

// TestAccounts: a node serves the firewalls of all accounts, of which several may
// have the same name, and what is done with one is not done with another.
func TestAccounts(t *testing.T) {
	home, away := startTwo(t)
	home.putAll(alertEcho, logTo(wire.LogTypeAlert, "alerts"))
	if err := home.node.Ready(); err == nil || !strings.Contains(err.Error(), "210987654321/f") {
		t.Errorf("a firewall of the other account has no policy, and the node says %v", err)
	}
	away.putAll(alertEcho, logTo(wire.LogTypeAlert, "alerts"))
	if err := home.node.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	a, b := home.connect(echo), away.connect(echo)

	for _, r := range []*rig{home, away} {
		answer := r.ask(resource.FlowQuery{Filters: []wire.FlowFilter{{}}, Size: 10})
		if answer.Error != "" || answer.Flows != 1 {
			t.Errorf("account %s has flows %+v", r.in.Account, answer)
		}
	}

	// A flush in one account.
	id := away.startOperation(resource.FlowFlush, wire.FlowFilter{})
	if report := away.awaitReport(id); report.Error != "" || report.Flows != 1 || report.Stored != 1 {
		t.Errorf("the report is %+v", report)
	}
	if got := sources(away.results(id)); len(got) != 1 || got[0] != b.port() {
		t.Errorf("flushed ports %v, want %d", got, b.port())
	}
	if err := b.exchange(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the flushed connection: %v, want it reset", err)
	}
	if err := a.exchange(); err != nil {
		t.Errorf("the connection of the other account: %v", err)
	}

	// Rules and logs of one account.
	away.putGroup("g2", blockEcho)
	away.awaitTokens("p1", "g2")
	if _, err := away.dial(echo); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection under the new rules: %v, want it refused", err)
	}
	home.connect(echo)
	home.synced()
	away.synced()
	files := *away
	files.logDir = filepath.Join(away.logDir, "@"+away.in.Account)
	for _, r := range []*rig{home, &files} {
		alerts, text := r.lines("alerts")
		if len(alerts) == 0 || strings.Count(text, r.arn(groupARN)) != len(alerts) {
			t.Errorf("the alerts of account %s are\n%s", r.in.Account, text)
		}
	}

	// A firewall that goes takes no other of its name along.
	if err := away.store.Delete(away.ctx, away.in.Firewall("f")); err != nil {
		t.Fatal(err)
	}
	away.awaitGone(away.in.Sync("f", zone, nodeID))
	home.connect(echo)
	if err := a.exchange(); err != nil {
		t.Errorf("the first account's connection: %v", err)
	}
}

// TestAnalysisOfAccounts: what a firewall of one account saw is no other's.
func TestAnalysisOfAccounts(t *testing.T) {
	home, away := startTwo(t)
	begun := time.Now()
	for _, r := range []*rig{home, away} {
		r.putAll(passAll)
		r.analyse("p2", wire.EnabledAnalysisTypeHttpHost)
	}
	home.get("home.example")
	away.get("away.example")
	for r, want := range map[*rig]string{home: "home.example", away: "away.example"} {
		rows := r.rows(r.awaitResult(r.report(wire.EnabledAnalysisTypeHttpHost, "f", begun)))
		if len(rows) != 1 || rows[0].Domain != want {
			t.Errorf("account %s saw %+v, want %s", r.in.Account, rows, want)
		}
	}
}

// TestPolicyOfAnotherAccount: a firewall runs the policy that it refers to,
// whoever's it is, with the groups of a third.
func TestPolicyOfAnotherAccount(t *testing.T) {
	home, away := startTwo(t)
	home.putGroup("g1", blockEcho)
	away.putPolicy("p1", func(p *wire.FirewallPolicy) { p.StatefulRuleGroupReferences[0].ResourceArn = wire.Ptr(groupARN) })
	home.put(scope.Firewall("f"), resource.Firewall{
		Meta: resource.Meta{ARN: firewallARN, Name: "f"}, PolicyARN: away.arn(policyARN), Subnets: []resource.Subnet{{ID: "subnet-1", Zone: zone}},
	})
	home.awaitSync(func(s resource.Sync) bool {
		return s.Error == "" && s.Tokens[away.arn(policyARN)] == "p1" && s.Tokens[groupARN] == "g1"
	})
	if _, err := home.dial(echo); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connection under the rules: %v, want it refused", err)
	}
	home.connect(other)
}

// TestOtherRegions: records of another Region are none of the node's business.
func TestOtherRegions(t *testing.T) {
	r := start(t)
	elsewhere := *r
	elsewhere.in.Region = "eu-west-1"
	elsewhere.put(elsewhere.in.Firewall("g"), resource.Firewall{Meta: resource.Meta{Name: "g"}, PolicyARN: policyARN})
	r.putAll(passAll) // comes after
	if n := len(r.node.all()); n != 1 {
		t.Errorf("%d firewalls", n)
	}
}
