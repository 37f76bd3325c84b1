package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

// ask writes a query as the control side does and waits for the node's answer.
func (r *rig) ask(q resource.FlowQuery) resource.FlowAnswer {
	r.Helper()
	q.ID, q.Zone, q.Nodes, q.Deadline = uuid.NewString(), zone, []string{nodeID}, time.Now().Add(within)
	if q.Firewall == "" {
		q.Firewall = "f"
	}
	r.putQuery(q)
	return await(r, scope.FlowAnswer(q.ID, nodeID), func(resource.FlowAnswer) bool { return true })
}

func (r *rig) putQuery(q resource.FlowQuery) {
	r.Helper()
	lease, err := r.store.Grant(r.ctx, time.Minute)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.store.Put(r.ctx, r.in.FlowQuery(q.ID), q, lease); err != nil {
		r.Fatal(err)
	}
}

func TestQueryPages(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	want := map[string]*conn{}
	for range 5 {
		c := r.connect(echo)
		want[fmt.Sprint(c.port())] = c
	}
	r.connect(other)
	for _, key := range []string{wire.FlowSortKeyAge, wire.FlowSortKeyBytes, wire.FlowSortKeyPackets, wire.FlowSortKeyIdle} {
		for _, descending := range []bool{false, true} {
			q := resource.FlowQuery{Filters: []wire.FlowFilter{toward("198.51.100.0/24")}, SortBy: key, Descending: descending, Size: 2}
			var ports []string
			for {
				a := r.ask(q)
				if a.Error != "" || a.Flows != 5 || a.Bytes == 0 || len(a.Page) > 2 {
					t.Fatalf("%s: %+v", key, a)
				}
				if len(a.Page) == 0 {
					break
				}
				for _, f := range a.Page {
					ports = append(ports, *f.Flow.SourcePort)
				}
				q.After = &a.Page[len(a.Page)-1].Place
			}
			slices.Sort(ports)
			if ports = slices.Compact(ports); len(ports) != 5 || want[ports[0]] == nil {
				t.Errorf("%s, descending %v: flows from %v", key, descending, ports)
			}
		}
	}
}

func TestLiveFlow(t *testing.T) {
	r := start(t)
	s := r.newFlow(passAll)
	a := r.ask(resource.FlowQuery{Filters: []wire.FlowFilter{{}}, Size: 10})
	if len(a.Page) != 1 {
		t.Fatalf("%+v", a)
	}
	f := a.Page[0].Flow
	if *f.SourceAddress.AddressDefinition != client.Addr().String() || *f.DestinationAddress.AddressDefinition != echo.Addr().String() ||
		*f.SourcePort != fmt.Sprint(s.port()) || *f.DestinationPort != "7" || *f.Protocol != "6" || *f.State != wire.LiveFlowStateEstablished || *f.TcpState != "established" ||
		*f.Generation != 1 || *f.PacketsToServer < 2 || *f.PacketsToClient < 1 || int64(*f.PacketCount) != *f.PacketsToServer+*f.PacketsToClient ||
		*f.ByteCount != *f.BytesToServer+*f.BytesToClient || *f.Age < 0 || *f.IdleSeconds < 0 || f.StaleReason != nil || f.Midstream != nil {
		t.Errorf("%+v", f)
	}
}

// newFlow puts rules in force and opens a connection under them.
func (r *rig) newFlow(rules string) *conn {
	r.Helper()
	r.putAll(rules)
	return r.connect(echo)
}

// TestStaleReason: a rule or a default action is why a flow is stale.
func TestStaleReason(t *testing.T) {
	stale := resource.FlowQuery{Filters: []wire.FlowFilter{{}}, FlowOptions: resource.FlowOptions{Stale: true}, Size: 10}
	t.Run("rule", func(t *testing.T) {
		r := start(t)
		r.newFlow(passAll)
		r.connect(other)
		r.putGroup("g2", `drop tcp any any -> 198.51.100.0/24 any (msg:"closed"; sid:7;)`)
		r.awaitTokens("p1", "g2")
		a := r.ask(stale)
		if a.Flows != 1 || *a.Page[0].Flow.StaleReason != "sid 7 of "+groupARN+": closed" {
			t.Errorf("%+v", a)
		}
	})
	t.Run("default action", func(t *testing.T) {
		r := start(t)
		strict := func(actions ...string) func(*wire.FirewallPolicy) {
			return func(p *wire.FirewallPolicy) {
				p.StatefulEngineOptions.RuleOrder = wire.Ptr(wire.RuleOrderStrictOrder)
				p.StatefulRuleGroupReferences[0].Priority = wire.Ptr[int32](1)
				p.StatefulDefaultActions = actions
			}
		}
		r.putGroup("g1", `alert tcp any any -> 203.0.113.254 1 (sid:1;)`)
		r.putPolicy("p1", strict())
		r.putFirewall()
		r.awaitTokens("p1", "g1")
		r.connect(echo)
		r.putPolicy("p2", strict("aws:drop_strict"))
		r.awaitTokens("p2", "g1")
		a := r.ask(stale)
		if a.Flows != 1 || !strings.HasPrefix(*a.Page[0].Flow.StaleReason, "sid 2 of "+policyARN+": aws:") {
			t.Errorf("%+v", a)
		}
	})
}

// TestRematch: with ENFORCE a change of rules cuts what it makes stale, before
// the node says that the rules are in force.
func TestRematch(t *testing.T) {
	r := start(t)
	r.newFlow(passAll)
	r.put(scope.Firewall("f"), resource.Firewall{
		Meta: resource.Meta{ARN: firewallARN, Name: "f"}, PolicyARN: policyARN, Rematch: wire.RematchModeEnforce, Subnets: []resource.Subnet{{ID: "subnet-1", Zone: zone}},
	})
	c, bystander := r.connect(echo), r.connect(other)
	r.putGroup("g2", `drop tcp any any -> 198.51.100.0/24 any (sid:7;)`)
	r.awaitTokens("p1", "g2")
	if a := r.ask(resource.FlowQuery{Filters: []wire.FlowFilter{{}}, Size: 10}); a.Flows != 1 {
		t.Errorf("%d flows are left", a.Flows)
	}
	if err := c.exchange(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a stale connection: %v, want it reset", err)
	}
	if err := bystander.exchange(); err != nil {
		t.Errorf("the other connection: %v", err)
	}
}

// TestRematchSetting: the setting alone acts on flows that are stale already.
func TestRematchSetting(t *testing.T) {
	r := start(t)
	r.newFlow(passAll)
	c, bystander := r.connect(echo), r.connect(other)
	r.putGroup("g2", `drop tcp any any -> 198.51.100.0/24 any (sid:7;)`)
	r.awaitTokens("p1", "g2")
	if err := c.exchange(); err != nil {
		t.Fatalf("a change of rules alone: %v", err)
	}
	for _, mode := range []string{wire.RematchModeOff, wire.RematchModeReport, wire.RematchModeEnforce} {
		r.put(scope.Firewall("f"), resource.Firewall{
			Meta: resource.Meta{ARN: firewallARN, Name: "f"}, PolicyARN: policyARN, Rematch: mode, Subnets: []resource.Subnet{{ID: "subnet-1", Zone: zone}},
		})
		r.settled()
		want := 2 // with that of newFlow
		if mode == wire.RematchModeEnforce {
			want = 0
		}
		if a := r.ask(resource.FlowQuery{Filters: []wire.FlowFilter{toward("198.51.100.0/24")}, Size: 10}); a.Flows != want {
			t.Errorf("%s: %d flows are left, want %d", mode, a.Flows, want)
		}
	}
	if err := c.exchange(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a stale connection: %v, want it reset", err)
	}
	if err := bystander.exchange(); err != nil {
		t.Errorf("the other connection: %v", err)
	}
}

// TestQueriesOfOthers: a node answers what it is asked, in time, and what it
// cannot answer with an error.
func TestQueriesOfOthers(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	q := resource.FlowQuery{Firewall: "f", Zone: zone, Nodes: []string{nodeID}, Deadline: time.Now().Add(within), Filters: []wire.FlowFilter{{}}, Size: 1}
	elsewhere, stranger, late := q, q, q
	elsewhere.ID, elsewhere.Zone = uuid.NewString(), "us-east-1b"
	stranger.ID, stranger.Nodes = uuid.NewString(), []string{"n2"}
	late.ID, late.Deadline = uuid.NewString(), time.Now()
	for _, q := range []resource.FlowQuery{elsewhere, stranger, late} {
		r.putQuery(q)
	}
	r.put(scope.FlowQuery("bad"), "nonsense")
	for name, bad := range map[string]resource.FlowQuery{
		"an unknown firewall": {Firewall: "unknown", Filters: []wire.FlowFilter{{}}},
		"a malformed filter":  {Filters: []wire.FlowFilter{toward("nowhere")}},
	} {
		if a := r.ask(bad); a.Error == "" {
			t.Errorf("%s: %+v", name, a)
		}
	}
	for _, id := range []string{elsewhere.ID, stranger.ID, late.ID} {
		if page, err := r.store.List(r.ctx, scope.FlowAnswers(id), "", 0); err != nil || len(page.KVs) > 0 {
			t.Errorf("there is an answer that nobody waits for: %v, %v", page.KVs, err)
		}
	}
}

// TestCancelledCapture: the node gives up, and reports nothing.
func TestCancelledCapture(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	r.connect(echo)
	now := time.Now()
	id := r.putOperation(resource.FlowOperation{
		Type: resource.FlowCapture, Firewall: "f", Zone: zone, Started: now, Deadline: now.Add(within), Nodes: []string{nodeID},
		Filters: []wire.FlowFilter{{}}, Cancelled: true,
	})
	r.awaitReport(r.startOperation(resource.FlowCapture, wire.FlowFilter{})) // comes after
	if page, err := r.store.List(r.ctx, scope.FlowReports(id), "", 0); err != nil || len(page.KVs) > 0 {
		t.Errorf("a cancelled capture was reported: %v, %v", page.KVs, err)
	}
}
