package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/netstack"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// within bounds every wait; nothing takes that long unless it fails.
const within = 15 * time.Second

const (
	zone   = "us-east-1a"
	nodeID = "n1"

	policyARN   = "arn:aws:network-firewall:us-east-1:123456789012:firewall-policy/p"
	groupARN    = "arn:aws:network-firewall:us-east-1:123456789012:stateful-rulegroup/g"
	firewallARN = "arn:aws:network-firewall:us-east-1:123456789012:firewall/f"
)

var (
	scope  = resource.Scope{Account: "123456789012", Region: "us-east-1"}
	client = netip.MustParseAddrPort("10.0.0.1:0")
	echo   = netip.MustParseAddrPort("198.51.100.7:7")
	other  = netip.MustParseAddrPort("203.0.113.7:7")
)

// rig is a node between two networks in memory, with a store of its own.
type rig struct {
	testing.TB
	ctx    context.Context
	dir    string
	server *store.Store // etcd
	store  *store.Store // what the node and the tests use, over the socket
	net    *netstack.Net
	node   *Node
	logDir string
	in     resource.Scope // of what the methods write and wait for
}

// arn is that of policyARN and its like in the rig's scope.
func (r *rig) arn(arn string) string { return strings.Replace(arn, scope.Account, r.in.Account, 1) }

// start starts a node that serves firewall "f", which has no policy yet.
// Stopping it is part of the test.
func start(t testing.TB, change ...func(*Options)) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{TB: t, ctx: ctx, dir: t.TempDir(), logDir: t.TempDir(), in: scope}
	r.openStore()
	var err error
	if r.store, err = store.Dial(ctx, store.DialOptions{Endpoints: []string{r.server.Endpoint()}}); err != nil {
		t.Fatal(err)
	}
	if r.net, err = netstack.New(netstack.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, at := range []netip.AddrPort{echo, other} {
		l, err := r.net.Outside().Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		go serveEcho(l)
	}
	var logger *slog.Logger
	if testing.Verbose() {
		logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	opt := Options{
		ID: nodeID, Zone: zone, Version: "test", Store: r.store, Scope: scope, LogDir: r.logDir, Logger: logger,
		Attach: []Attachment{{Firewall: "f", Open: func() (pktio.Driver, error) { return r.net, nil }}},
	}
	for _, f := range change {
		f(&opt)
	}
	r.logDir = opt.LogDir
	if r.node, err = New(opt); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.node.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-stopped:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(within):
			t.Error("Run did not return")
		}
		r.store.Close()
		r.server.Close()
	})
	return r
}

func (r *rig) openStore() {
	r.Helper()
	var err error
	if r.server, err = store.Open(r.ctx, store.Options{Dir: r.dir}); err != nil {
		r.Fatal(err)
	}
}

func serveEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

func (r *rig) put(key string, value any) {
	r.Helper()
	if _, err := r.store.Put(r.ctx, key, value, 0); err != nil {
		r.Fatal(err)
	}
}

// putGroup writes the rule group; token is its version.
func (r *rig) putGroup(token, rules string) {
	r.Helper()
	r.put(r.in.RuleGroup(resource.Stateful, "g"), resource.RuleGroup{
		Meta: resource.Meta{ARN: r.arn(groupARN), Name: "g", UpdateToken: token}, Kind: resource.Stateful,
		Doc: &wire.RuleGroup{RulesSource: &wire.RulesSource{RulesString: &rules}},
	})
}

func (r *rig) putPolicy(token string, change func(*wire.FirewallPolicy)) {
	r.Helper()
	doc := &wire.FirewallPolicy{
		StatelessDefaultActions:         []string{"aws:forward_to_sfe"},
		StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
		StatefulRuleGroupReferences:     []wire.StatefulRuleGroupReference{{ResourceArn: wire.Ptr(r.arn(groupARN))}},
		StatefulEngineOptions:           &wire.StatefulEngineOptions{StreamExceptionPolicy: wire.Ptr(wire.StreamExceptionPolicyReject)},
	}
	if change != nil {
		change(doc)
	}
	r.put(r.in.FirewallPolicy("p"), resource.FirewallPolicy{Meta: resource.Meta{ARN: r.arn(policyARN), Name: "p", UpdateToken: token}, Doc: doc})
}

func (r *rig) putFirewall(logging ...wire.LogDestinationConfig) {
	r.Helper()
	r.put(r.in.Firewall("f"), resource.Firewall{
		Meta: resource.Meta{ARN: r.arn(firewallARN), Name: "f"}, PolicyARN: r.arn(policyARN), Logging: logging,
		Subnets: []resource.Subnet{{ID: "subnet-1", Zone: zone}},
	})
}

// putAll writes a firewall with a policy and a group, and waits until they are in force.
func (r *rig) putAll(rules string, logging ...wire.LogDestinationConfig) {
	r.Helper()
	r.putGroup("g1", rules)
	r.putPolicy("p1", nil)
	r.putFirewall(logging...)
	r.awaitTokens("p1", "g1")
}

// await returns the record at key as soon as it satisfies ok.
func await[T any](r *rig, key string, ok func(T) bool) T {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, within)
	defer cancel()
	var last []byte
	for up := range r.store.Watch(ctx, key, 0) {
		for _, ev := range up.Events {
			if ev.Deleted || ev.Key != key {
				continue
			}
			last = ev.Value
			v, err := store.Decode[T](ev.KV)
			if err != nil {
				r.Fatal(err)
			}
			if ok(v) {
				return v
			}
		}
	}
	r.Fatalf("%s did not become what the test waits for; it is %q", key, last)
	panic("unreachable")
}

func (r *rig) awaitSync(ok func(resource.Sync) bool) resource.Sync {
	r.Helper()
	return await(r, r.in.Sync("f", zone, nodeID), ok)
}

func (r *rig) awaitTokens(policy, group string) resource.Sync {
	r.Helper()
	return r.awaitSync(func(s resource.Sync) bool {
		return s.Error == "" && s.Tokens[r.arn(policyARN)] == policy && s.Tokens[r.arn(groupARN)] == group
	})
}

func (r *rig) awaitGone(key string) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, within)
	defer cancel()
	for up := range r.store.Watch(ctx, key, 0) {
		gone := up.Snapshot
		for _, ev := range up.Events {
			if ev.Key == key {
				gone = ev.Deleted
			}
		}
		if gone {
			return
		}
	}
	r.Fatalf("%s is still there", key)
}

// conn is a connection to an echo server.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (r *rig) dial(to netip.AddrPort) (*conn, error) {
	ctx, cancel := context.WithTimeout(r.ctx, within)
	defer cancel()
	c, err := r.net.Inside().Dial(ctx, "tcp", client, to)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, nil
}

// connect is dial where it must work.
func (r *rig) connect(to netip.AddrPort) *conn {
	r.Helper()
	c, err := r.dial(to)
	if err == nil {
		err = c.exchange()
	}
	if err != nil {
		r.Fatalf("connect to %v: %v", to, err)
	}
	return c
}

// exchange sends a line and reads its echo.
func (c *conn) exchange() error {
	c.SetDeadline(time.Now().Add(within))
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	line, err := c.in.ReadString('\n')
	if err == nil && line != "hello\n" {
		err = fmt.Errorf("the echo is %q", line)
	}
	return err
}

// silent reports whether a line gets no answer for a moment: it is dropped.
func (c *conn) silent() error {
	c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	io.WriteString(c, "hello\n")
	line, err := c.in.ReadString('\n')
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("got %q, %v, want silence", line, err)
	}
	return nil
}

const (
	passAll = "pass tcp any any -> any any (sid:1;)"

	blockEcho = "reject tcp any any -> 198.51.100.0/24 any (sid:2;)"
)

func TestPolicyLife(t *testing.T) {
	r := start(t)
	if err := r.node.Ready(); err == nil {
		t.Error("the node is ready without a policy")
	}
	r.putAll(passAll)
	if err := r.node.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	first := r.awaitTokens("p1", "g1")
	if first.Node != nodeID || first.Zone != zone || first.Generation == 0 {
		t.Errorf("the sync record is %+v", first)
	}
	node := await(r, scope.Node(zone, nodeID), func(resource.Node) bool { return true })
	if node.ID != nodeID || node.Zone != zone || node.Version != "test" {
		t.Errorf("the node's record is %+v", node)
	}
	old := r.connect(echo)

	r.putGroup("g2", blockEcho)
	if second := r.awaitTokens("p1", "g2"); second.Generation <= first.Generation {
		t.Errorf("generation %d follows %d", second.Generation, first.Generation)
	}
	if err := old.exchange(); err != nil {
		t.Errorf("a flow lost the rules that admitted it: %v", err)
	}
	if _, err := r.dial(echo); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection under the new rules: %v, want it refused", err)
	}
	r.connect(other)

	if err := r.store.Delete(r.ctx, scope.Firewall("f")); err != nil {
		t.Fatal(err)
	}
	r.awaitGone(scope.Sync("f", zone, nodeID))
	if err := old.silent(); err != nil {
		t.Errorf("without a firewall: %v", err)
	}

	r.putFirewall()
	if third := r.awaitTokens("p1", "g2"); third.Generation <= first.Generation+1 {
		t.Errorf("generation %d after the firewall came back", third.Generation)
	}
	r.connect(other)
}

// What cannot be read or compiled never replaces what is in force.
func TestBadRecords(t *testing.T) {
	groupKey := scope.RuleGroup(resource.Stateful, "g")
	type text = map[string]any
	for _, c := range []struct {
		name   string
		key    string
		record any
		report bool // the node can say what is wrong
	}{
		{"group of another shape", groupKey, "nonsense", false},
		{"group without a document", groupKey, text{"arn": groupARN, "update_token": "bad"}, false},
		{"policy without a document", scope.FirewallPolicy("p"), text{"arn": policyARN}, false},
		{"firewall of another shape", scope.Firewall("f"), []int{1}, false},
		{"firewall of another name", scope.Firewall("x"), text{"name": "f", "policy_arn": "arn:none"}, false},
		{"group without rules", groupKey, text{"arn": groupARN, "update_token": "bad", "doc": text{}}, true},
		{"rule that is none", groupKey, text{"arn": groupARN, "update_token": "bad", "doc": text{"RulesSource": text{"RulesString": "pass everything"}}}, true},
		{"reference without an ARN", scope.FirewallPolicy("p"), text{"arn": policyARN, "doc": text{"StatefulRuleGroupReferences": []text{{}}}}, true},
		{"stateless rules without a rule", groupKey, text{"arn": groupARN, "update_token": "bad", "doc": text{"RulesSource": text{"StatefulRules": []text{{}}}}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t)
			r.putAll(passAll)
			before := r.node.all()[0].engine.Program()
			r.put(c.key, c.record)
			if c.report {
				s := r.awaitSync(func(s resource.Sync) bool { return s.Error != "" })
				if s.Tokens[groupARN] != "g1" {
					t.Errorf("the tokens in force are said to be %v", s.Tokens)
				}
			} else {
				// Another firewall comes into force after the bad record was seen.
				r.put(scope.Firewall("later"), resource.Firewall{Meta: resource.Meta{Name: "later"}, PolicyARN: policyARN})
				await(r, scope.Sync("later", zone, nodeID), func(s resource.Sync) bool { return s.Tokens[groupARN] == "g1" })
			}
			for _, fw := range r.node.all() {
				if fw.id.Name == "f" && fw.engine.Program() != before {
					t.Error("the program in force has changed")
				}
			}
			r.connect(echo)

			r.putGroup("g2", passAll)
			r.putPolicy("p2", nil)
			r.putFirewall()
			r.awaitTokens("p2", "g2")
		})
	}
}

// A bad record in a snapshot leaves what was known before in force.
func TestSnapshotWithBadRecord(t *testing.T) {
	d := newDocuments()
	good := store.KV{Key: scope.Firewall("f"), Value: []byte(`{"name":"f","policy_arn":"p"}`)}
	gone := store.KV{Key: scope.Firewall("gone"), Value: []byte(`{"name":"gone"}`)}
	if err := d.update(scope.Region, store.Update{Snapshot: true, Events: []store.Event{{KV: good}, {KV: gone}}}); err != nil {
		t.Fatal(err)
	}
	bad := good
	bad.Value = []byte(`{`)
	err := d.update(scope.Region, store.Update{Snapshot: true, Events: []store.Event{{KV: bad}}})
	if err == nil || !strings.Contains(err.Error(), good.Key) {
		t.Errorf("error %v does not name %s", err, good.Key)
	}
	if len(d.firewalls) != 1 || d.firewalls[firewallID("f")].PolicyARN != "p" {
		t.Errorf("firewalls are %v", d.firewalls)
	}
}

// Packets do not notice that the store is away, and the node catches up.
func TestStoreAway(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	old := r.connect(echo)

	if err := r.server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := old.exchange(); err != nil {
		t.Errorf("an old connection without a store: %v", err)
	}
	r.connect(other)

	r.openStore()
	writer := r.server // at once, however long the node's own connection takes to come back
	rules := blockEcho
	_, err := writer.Put(r.ctx, scope.RuleGroup(resource.Stateful, "g"), resource.RuleGroup{
		Meta: resource.Meta{ARN: groupARN, Name: "g", UpdateToken: "g2"}, Kind: resource.Stateful,
		Doc: &wire.RuleGroup{RulesSource: &wire.RulesSource{RulesString: &rules}},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.awaitTokens("p1", "g2")
	if err := old.exchange(); err != nil {
		t.Errorf("an old connection after the store came back: %v", err)
	}
	if _, err := r.dial(echo); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection under the new rules: %v, want it refused", err)
	}
	id := r.startOperation(resource.FlowCapture, wire.FlowFilter{})
	if report := r.awaitReport(id); report.Error != "" {
		t.Errorf("an operation after the store came back: %s", report.Error)
	}
}

// Until there is a policy packets are dropped, or pass if the attachment says so.
func TestWithoutPolicy(t *testing.T) {
	for _, open := range []bool{false, true} {
		r := start(t, func(o *Options) { o.Attach[0].FailOpen = open })
		ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
		c, err := r.net.Inside().Dial(ctx, "tcp", client, echo)
		cancel()
		if (err == nil) != open {
			t.Errorf("fail open %v: a connection without a policy: %v", open, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// A driver that cannot be opened stops the node, and those that were are closed.
func TestAttachFails(t *testing.T) {
	network, err := netstack.New(netstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("no such queue")
	_, err = New(Options{Attach: []Attachment{
		{Firewall: "a", Open: func() (pktio.Driver, error) { return network, nil }},
		{Firewall: "b", Open: func() (pktio.Driver, error) { return nil, wrong }},
	}})
	if !errors.Is(err, wrong) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("the error is %v", err)
	}
	if _, err := network.Queues()[0].ReadBatch(make([]pktio.Packet, 1), 0); !errors.Is(err, pktio.ErrClosed) {
		t.Errorf("the driver that was opened first is not closed: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	r.connect(echo)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.node.Collectors()...)
	want := map[string]float64{"sluice_flows_created_total": 1, "sluice_generation": float64(r.awaitTokens("p1", "g1").Generation)}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for _, f := range families {
		v, ok := want[f.GetName()]
		if m := f.Metric[0]; ok && m.GetCounter().GetValue()+m.GetGauge().GetValue() != v {
			t.Errorf("%s is %v, want %v", f.GetName(), m, v)
		}
		delete(want, f.GetName())
	}
	if len(want) > 0 {
		t.Errorf("missing are %v", want)
	}
}
