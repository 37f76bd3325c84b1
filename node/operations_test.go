package node

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/netstack"
	"github.com/sluicefw/sluice/resource"
)

// startOperation writes an operation as the control side does.
func (r *rig) startOperation(kind string, filters ...wire.FlowFilter) (id string) {
	r.Helper()
	now := time.Now()
	return r.putOperation(resource.FlowOperation{
		Type: kind, Firewall: "f", Zone: zone, Started: now, Deadline: now.Add(within), Nodes: []string{nodeID}, Filters: filters,
	})
}

func (r *rig) putOperation(op resource.FlowOperation) (id string) {
	r.Helper()
	op.ID, op.ARN = uuid.NewString(), r.arn(firewallARN)
	lease, err := r.store.Grant(r.ctx, time.Minute)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.store.Put(r.ctx, r.in.FlowOperation(op.Firewall, op.Zone, op.ID), op, lease); err != nil {
		r.Fatal(err)
	}
	return op.ID
}

func (r *rig) awaitReport(id string) resource.FlowReport {
	r.Helper()
	return await(r, scope.FlowReport(id, nodeID), func(resource.FlowReport) bool { return true })
}

// results reads the flows of an operation.
func (r *rig) results(id string) (flows []resource.FlowRecord) {
	r.Helper()
	page, err := r.store.List(r.ctx, scope.FlowResults(id, nodeID), "", 0)
	if err != nil {
		r.Fatal(err)
	}
	for _, kv := range page.KVs {
		if kv.Lease == 0 {
			r.Errorf("%s has no lease", kv.Key)
		}
		chunk, err := resource.DecodeFlows(kv.Value)
		if err != nil {
			r.Fatal(err)
		}
		flows = append(flows, chunk...)
	}
	return flows
}

func toward(prefix string) wire.FlowFilter {
	return wire.FlowFilter{DestinationAddress: &wire.Address{AddressDefinition: &prefix}}
}

// port returns where the client's end of c is.
func (c *conn) port() uint16 {
	return netip.MustParseAddrPort(c.LocalAddr().(*net.TCPAddr).String()).Port()
}

// sources returns the source ports of flows, in order.
func sources(flows []resource.FlowRecord) (ports []uint16) {
	for _, f := range flows {
		ports = append(ports, f.SrcPort)
	}
	slices.Sort(ports)
	return ports
}

func sorted(ports ...uint16) []uint16 { slices.Sort(ports); return ports }

// TestEndpoints: operations and queries of an endpoint see the flows of the
// drivers that are attached to it.
func TestEndpoints(t *testing.T) {
	second, err := netstack.New(netstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := second.Outside().Listen("tcp", echo)
	if err != nil {
		t.Fatal(err)
	}
	go serveEcho(l)
	r := start(t, func(o *Options) {
		o.Attach = append(o.Attach, Attachment{Firewall: "f", Endpoint: "subnet-2", Open: func() (pktio.Driver, error) { return second, nil }})
	})
	r.putAll(passAll)
	if sync := r.awaitTokens("p1", "g1"); !slices.Equal(sync.Attached, []string{"", "subnet-2"}) {
		t.Errorf("the node says that it is attached to %q", sync.Attached)
	}
	other := *r
	other.net = second
	a, b := r.connect(echo), other.connect(echo)

	operation := func(kind string, names ...string) []uint16 {
		t.Helper()
		now := time.Now()
		id := r.putOperation(resource.FlowOperation{
			Type: kind, Firewall: "f", Zone: zone, Started: now, Deadline: now.Add(within), Nodes: []string{nodeID},
			Filters: []wire.FlowFilter{{}}, EndpointNames: names,
		})
		r.awaitReport(id)
		return sources(r.results(id))
	}
	for _, tc := range []struct {
		names []string
		want  []uint16
	}{
		{nil, sorted(a.port(), b.port())}, {[]string{"vpce-1", "subnet-1", ""}, []uint16{a.port()}}, {[]string{"vpce-2", "subnet-2"}, []uint16{b.port()}}, {[]string{"vpce-3"}, nil},
	} {
		if got := operation(resource.FlowCapture, tc.names...); !slices.Equal(got, tc.want) {
			t.Errorf("captured at %q: ports %v, want %v", tc.names, got, tc.want)
		}
		answer := r.ask(resource.FlowQuery{Filters: []wire.FlowFilter{{}}, Endpoints: tc.names})
		if answer.Flows != len(tc.want) {
			t.Errorf("%d flows listed at %q, want %d", answer.Flows, tc.names, len(tc.want))
		}
	}
	if got := operation(resource.FlowFlush, "subnet-2"); !slices.Equal(got, []uint16{b.port()}) {
		t.Errorf("flushed ports %v, want %d", got, b.port())
	}
	if err := b.exchange(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the flushed connection: %v, want it reset", err)
	}
	if err := a.exchange(); err != nil {
		t.Errorf("the connection at the other endpoint: %v", err)
	}
}

func TestCaptureAndFlush(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	a, b, bystander := r.connect(echo), r.connect(echo), r.connect(other)

	capture := r.startOperation(resource.FlowCapture, toward("198.51.100.0/24"))
	report := r.awaitReport(capture)
	if report.Flows != 2 || report.Stored != 2 || report.Error != "" || report.Node != nodeID {
		t.Errorf("the report is %+v", report)
	}
	if report.Done.Before(report.TakenUp) {
		t.Errorf("done at %v, before it was taken up at %v", report.Done, report.TakenUp)
	}
	flows := r.results(capture)
	if got, want := sources(flows), sorted(a.port(), b.port()); !slices.Equal(got, want) {
		t.Errorf("captured from ports %v, want %v", got, want)
	}
	for _, f := range flows {
		src, dst := f.Addrs()
		if src != client.Addr() || netip.AddrPortFrom(dst, f.DstPort) != echo || f.Proto != 6 || f.Packets < 4 || f.Bytes == 0 {
			t.Errorf("captured %+v", f)
		}
	}
	for _, c := range []*conn{a, b, bystander} {
		if err := c.exchange(); err != nil {
			t.Fatalf("after a capture: %v", err)
		}
	}

	flush := r.startOperation(resource.FlowFlush, toward("198.51.100.0/24"))
	if report := r.awaitReport(flush); report.Flows != 2 || report.Error != "" {
		t.Errorf("the report is %+v", report)
	}
	if got, want := sources(r.results(flush)), sorted(a.port(), b.port()); !slices.Equal(got, want) {
		t.Errorf("flushed from ports %v, want %v", got, want)
	}
	for _, c := range []*conn{a, b} {
		if err := c.exchange(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a flushed connection: %v, want it reset", err)
		}
	}
	if err := bystander.exchange(); err != nil {
		t.Errorf("an unrelated connection: %v", err)
	}
	again := r.startOperation(resource.FlowCapture, toward("198.51.100.0/24"))
	if report := r.awaitReport(again); report.Flows != 0 || report.Chunks != 0 {
		t.Errorf("after the flush %+v", report)
	}
	r.connect(echo) // an opening SYN starts a fresh flow
}

func TestMinimumAge(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	c := r.connect(echo)
	now := time.Now()
	id := r.putOperation(resource.FlowOperation{
		Type: resource.FlowFlush, Firewall: "f", Zone: zone, Started: now, Deadline: now.Add(within), Nodes: []string{nodeID},
		Filters: []wire.FlowFilter{{}}, MinimumAge: 3600, MinimumAgeGiven: true,
	})
	if report := r.awaitReport(id); report.Flows != 0 {
		t.Errorf("flows younger than the minimum were flushed: %+v", report)
	}
	if err := c.exchange(); err != nil {
		t.Error(err)
	}
}

// An operation is carried out once, by the nodes that it names, in time.
func TestOperationsOfOthers(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	c := r.connect(echo)
	now := time.Now()
	flush := resource.FlowOperation{
		Type: resource.FlowFlush, Firewall: "f", Zone: zone, Started: now, Deadline: now.Add(within), Nodes: []string{nodeID},
		Filters: []wire.FlowFilter{{}},
	}
	elsewhere, stranger, late, early := flush, flush, flush, flush
	elsewhere.Zone = "us-east-1b"
	stranger.Nodes = []string{"n2"}
	late.Deadline = now
	early.Started = r.node.started.Add(-time.Second)
	var ids []string
	for _, op := range []resource.FlowOperation{elsewhere, stranger, late, early} {
		ids = append(ids, r.putOperation(op))
	}
	r.put(scope.FlowOperation("f", zone, "bad"), "nonsense")
	r.awaitReport(r.startOperation(resource.FlowCapture, wire.FlowFilter{})) // comes after all of these
	for _, id := range ids {
		if page, err := r.store.List(r.ctx, scope.FlowReports(id), "", 0); err != nil || len(page.KVs) > 0 {
			t.Errorf("there is a report on an operation that is not the node's: %v, %v", page.KVs, err)
		}
	}
	if err := c.exchange(); err != nil {
		t.Errorf("the connection: %v", err)
	}
}

func TestOperationThatCannotBe(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	now := time.Now()
	op := resource.FlowOperation{Type: resource.FlowFlush, Zone: zone, Started: now, Deadline: now.Add(within), Nodes: []string{nodeID}}
	unknown, malformed := op, op
	unknown.Firewall = "unknown"
	malformed.Firewall, malformed.Filters = "f", []wire.FlowFilter{toward("nowhere")}
	for _, op := range []resource.FlowOperation{unknown, malformed} {
		if report := r.awaitReport(r.putOperation(op)); report.Error == "" {
			t.Errorf("%+v was reported as done: %+v", op, report)
		}
	}
}

// What is gone from the store takes no memory here.
func TestOperationsAreForgotten(t *testing.T) {
	r := start(t)
	r.putAll(passAll)
	first := r.startOperation(resource.FlowCapture, wire.FlowFilter{})
	r.awaitReport(first)
	if err := r.store.Delete(r.ctx, scope.FlowOperation("f", zone, first)); err != nil {
		t.Fatal(err)
	}
	second := r.startOperation(resource.FlowCapture, wire.FlowFilter{})
	r.awaitReport(second)
	r.node.opsMu.Lock()
	defer r.node.opsMu.Unlock()
	if len(r.node.ops) != 1 || r.node.ops[second] == nil {
		t.Errorf("remembered are %v, want %s only", r.node.ops, second)
	}
}

// Flows beyond the limit are flushed and counted, and the report tells that the
// results lack them.
func TestResultLimit(t *testing.T) {
	r := start(t, func(o *Options) { o.ResultLimit = 2 })
	r.putAll(passAll)
	conns := []*conn{r.connect(echo), r.connect(echo), r.connect(echo)}
	id := r.startOperation(resource.FlowFlush, wire.FlowFilter{})
	if report := r.awaitReport(id); report.Flows != 3 || report.Stored != 2 {
		t.Errorf("the report is %+v", report)
	}
	if flows := r.results(id); len(flows) != 2 {
		t.Errorf("%d results", len(flows))
	}
	for _, c := range conns {
		if err := c.exchange(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a flushed connection: %v, want it reset", err)
		}
	}
}

// Results have a bound together: the oldest give up their flows, and say so.
func TestStoredFlows(t *testing.T) {
	r := start(t, func(o *Options) { o.StoredFlows = 5 })
	r.putAll(passAll)
	for range 2 {
		r.connect(echo)
	}
	var ids []string
	for range 3 { // 6 flows in all
		id := r.startOperation(resource.FlowCapture, wire.FlowFilter{})
		if report := r.awaitReport(id); report.Stored != 2 {
			t.Fatalf("the report is %+v", report)
		}
		ids = append(ids, id)
	}
	report := await(r, scope.FlowReport(ids[0], nodeID), func(f resource.FlowReport) bool { return f.Stored == 0 })
	if report.Flows != 2 || len(r.results(ids[0])) != 0 {
		t.Errorf("the oldest: %+v, %d results", report, len(r.results(ids[0])))
	}
	for _, id := range ids[1:] {
		if n := len(r.results(id)); n != 2 {
			t.Errorf("a newer one has %d results", n)
		}
	}
}
