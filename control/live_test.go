package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// answering is a node that answers all queries of live flows, until the test ends.
func (w *world) answering(node string, answer func(*resource.FlowQuery) resource.FlowAnswer) {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for up := range db.Watch(ctx, w.scope.AllFlowQueries(), 0) {
			for _, ev := range up.Events {
				q, err := store.Decode[resource.FlowQuery](ev.KV)
				if ev.Deleted || err != nil || !slices.Contains(q.Nodes, node) {
					continue
				}
				a := answer(&q)
				a.Node = node
				if _, err := db.Put(ctx, w.scope.FlowAnswer(q.ID, node), a, ev.Lease); err != nil && ctx.Err() == nil {
					w.t.Error(err)
				}
			}
		}
	}()
	w.t.Cleanup(func() { stop(); <-ended })
}

// page answers with the flows of these places that come after the query's.
func page(places ...resource.FlowPlace) func(*resource.FlowQuery) resource.FlowAnswer {
	return func(q *resource.FlowQuery) resource.FlowAnswer {
		a := resource.FlowAnswer{Flows: len(places), Bytes: 1000}
		for _, p := range places {
			if q.After == nil || p.Value > q.After.Value || p.Value == q.After.Value && p.ID > q.After.ID {
				a.Page = append(a.Page, resource.LiveFlow{Place: p, Flow: wire.LiveFlow{SourcePort: wire.Ptr(fmt.Sprint(p.Value))}})
			}
		}
		a.Page = a.Page[:min(q.Size, len(a.Page))]
		return a
	}
}

// TestListFlowsOfTwoNodes: pages are those of one list, whoever has the flows.
func TestListFlowsOfTwoNodes(t *testing.T) {
	w, firewall := flowWorld(t)
	w.answering("n1", page(resource.FlowPlace{Value: 1, ID: 9}, resource.FlowPlace{Value: 2, ID: 9}, resource.FlowPlace{Value: 5, ID: 9}))
	w.answering("n2", page(resource.FlowPlace{Value: 2, ID: 8}, resource.FlowPlace{Value: 4, ID: 1}))
	var pages []string
	next := ""
	for {
		out := do(w, w.ListFlows, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a","MaxResults":2,"FlowFilters":[{"SourceAddress":{"AddressDefinition":"10.0.0.0/8"}}]%s}`, firewall, next)
		if *out.FlowCount != 5 || *out.AvailabilityZone != "us-east-1a" {
			t.Errorf("%d flows in %s", *out.FlowCount, *out.AvailabilityZone)
		}
		var ports []string
		for _, f := range out.Flows {
			ports = append(ports, *f.SourcePort)
		}
		pages = append(pages, strings.Join(ports, " "))
		if out.NextToken == nil {
			break
		}
		next = fmt.Sprintf(`,"NextToken":%q`, *out.NextToken)
	}
	if got, want := strings.Join(pages, " | "), "1 2 | 2 4 | 5"; got != want {
		t.Errorf("pages %s, want %s", got, want)
	}
	p := do(w, w.PreviewFlowFlush, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a","FlowFilters":[{}]}`, firewall)
	if *p.FlowCount != 5 || *p.ByteCount != 2000 || len(p.Sample) != 5 || *p.Sample[0].SourcePort != "5" {
		t.Errorf("a preview: %d flows of %d bytes, %d shown", *p.FlowCount, *p.ByteCount, len(p.Sample))
	}
}

func TestQueryRefused(t *testing.T) {
	w, firewall := flowWorld(t)
	for members, want := range map[string]string{
		`"FlowFilters":[{"SourcePort":"x"}]`:                           "SourcePort has invalid format, parameter: [x], context: FlowFilters[0].SourcePort",
		`"ProtectedFlowFilters":[{},{"Protocols":["x"]}]`:              "Protocols has invalid format, parameter: [x], context: ProtectedFlowFilters[1].Protocols",
		`"MinimumFlowAgeInSeconds":-1`:                                 "MinimumFlowAgeInSeconds is not within the bound",
		`"NextToken":"AAAA"`:                                           "NextToken is invalid",
		`"VpcEndpointId":"vpce-1"`:                                     "AvailabilityZone, VpcEndpointId cannot exist together",
		`"ProtectedFlowFilters":[` + strings.Repeat(`{},`, 20) + `{}]`: "ProtectedFlowFilters limit exceeded, parameter: [21], context: ProtectedFlowFilters",
	} {
		fail(w, w.ListFlows, errInvalid, want, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",%s}`, firewall, members)
	}
	fail(w, w.PreviewFlowFlush, errInvalid, "FlowFilters cannot be null or empty", `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a","FlowFilters":[]}`, firewall)
	fail(w, w.GetStaleFlows, errMissing, "", `{"FirewallArn":"%sx"}`, firewall)
}

// TestQueryWithoutAnswer: nobody waits for long, and the error says for whom.
func TestQueryWithoutAnswer(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.QueryTimeout = 100 * time.Millisecond })
	firewall := w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	const internal = "InternalServerError"
	fail(w, w.ListFlows, internal, "No engine node serves Availability Zone us-east-1a", `{"FirewallArn":%q}`, firewall)
	w.node("us-east-1a", "n1")
	w.node("us-east-1a", "ghost")
	w.answering("n1", page())
	began := time.Now()
	fail(w, w.GetStaleFlows, internal, "No answer from node ghost within 100ms: try again", `{"FirewallArn":%q}`, firewall)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("that took %s", took)
	}
	w.answering("ghost", func(*resource.FlowQuery) resource.FlowAnswer {
		return resource.FlowAnswer{Error: "firewall \"f\" is not on this node"}
	})
	w.o.QueryTimeout = 10 * time.Second
	fail(w, w.GetStaleFlows, internal, `Node ghost cannot answer: firewall "f" is not on this node`, `{"FirewallArn":%q}`, firewall)
}

// TestOwnFlushes: what is asked for gets to the nodes.
func TestOwnFlushes(t *testing.T) {
	w, firewall := flowWorld(t)
	asked := func(zone, id string) resource.FlowOperation {
		t.Helper()
		op, _, err := store.Get[resource.FlowOperation](t.Context(), db, w.scope.FlowOperation("f", zone, id))
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	op := asked("us-east-1a", *do(w, w.FlushFlows, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",`+anyFlow+`,"ProtectedFlowFilters":[{"DestinationPort":"22"}],"MatchEitherDirection":true,"StreamExceptionPolicy":"REJECT"}`, firewall).FlowOperationId)
	if op.Type != resource.FlowFlush || op.Stale || !op.Either || op.Exception != "REJECT" || len(op.Protect) != 1 || len(op.Filters) != 1 {
		t.Errorf("StartFlowFlush asks for %+v", op)
	}
	op = asked("us-east-1b", *do(w, w.FlushStaleFlows, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1b","StreamExceptionPolicy":"CONTINUE"}`, firewall).FlowOperationId)
	if op.Type != resource.FlowFlush || !op.Stale || op.Either || op.Exception != "CONTINUE" || len(op.Filters) != 1 || op.Filters[0].SourceAddress != nil {
		t.Errorf("FlushStaleFlows asks for %+v", op)
	}
}

func TestCancelFlowOperation(t *testing.T) {
	w, firewall := flowWorld(t)
	const one = `{"FirewallArn":%q,"FlowOperationId":%q}`
	start := func() string {
		t.Helper()
		return *do(w, w.StartFlowCapture, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",`+anyFlow+`}`, firewall).FlowOperationId
	}
	id := start()
	w.report(id, "n1", resource.FlowReport{Flows: 1, Stored: 1, Chunks: 1})
	w.chunk(id, "n1", 0, 1, 1)
	if s := *do(w, w.CancelFlowOperation, one, firewall, id).FlowOperationStatus; s != "FAILED" {
		t.Errorf("status %s", s)
	}
	w.report(id, "n2", resource.FlowReport{}) // comes too late
	if d := do(w, w.DescribeFlowOperation, one, firewall, id); *d.FlowOperationStatus != "FAILED" || *d.StatusMessage != "Flow operation cancelled" {
		t.Errorf("described %+v", d)
	}
	if n := len(do(w, w.ListFlowOperationResults, one, firewall, id).Flows); n != 0 {
		t.Errorf("%d results", n)
	}
	fail(w, w.CancelFlowOperation, errOperation, "The flow operation has ended already, as FAILED", one, firewall, id)

	done := start() // the zone is free
	w.report(done, "n1", resource.FlowReport{})
	w.report(done, "n2", resource.FlowReport{})
	fail(w, w.CancelFlowOperation, errOperation, "The flow operation has ended already, as COMPLETED", one, firewall, done)
	flush := *do(w, w.StartFlowFlush, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",`+anyFlow+`}`, firewall).FlowOperationId
	fail(w, w.CancelFlowOperation, errOperation, "A flush cannot be cancelled", one, firewall, flush)
	fail(w, w.CancelFlowOperation, errMissing, "", one, firewall, strings.Repeat("0", 36))
}

// TestCancelOrReport: a capture that is cancelled while its last report comes has
// one end.
func TestCancelOrReport(t *testing.T) {
	w, firewall := flowWorld(t)
	for range 20 {
		id := *do(w, w.StartFlowCapture, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1b",`+anyFlow+`}`, firewall).FlowOperationId
		reported := make(chan error)
		go func() {
			_, err := db.Put(t.Context(), w.scope.FlowReport(id, "m"), resource.FlowReport{Node: "m", Done: w.now}, 0)
			reported <- err
		}()
		_, err := w.CancelFlowOperation(t.Context(), wire.Caller{}, &wire.CancelFlowOperationRequest{FirewallArn: &firewall, FlowOperationId: &id})
		if err := <-reported; err != nil {
			t.Fatal(err)
		}
		want := "COMPLETED"
		if err == nil {
			want = "FAILED"
		}
		if s := *do(w, w.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q}`, firewall, id).FlowOperationStatus; s != want {
			t.Fatalf("the cancellation ended with %v, the capture is %s", err, s)
		}
	}
}

func TestUpdateFirewallRematch(t *testing.T) {
	w, firewall := flowWorld(t)
	out := do(w, w.UpdateFirewallRematch, `{"FirewallName":"f","Rematch":"ENFORCE"}`)
	if *out.Rematch != "ENFORCE" || *out.FirewallArn != firewall || *out.UpdateToken == "" {
		t.Errorf("%+v", out)
	}
	do(w, w.UpdateFirewallRematch, `{"FirewallArn":%q,"Rematch":"OFF","UpdateToken":%q}`, firewall, *out.UpdateToken)
	fail(w, w.UpdateFirewallRematch, errToken, "", `{"FirewallArn":%q,"Rematch":"REPORT","UpdateToken":%q}`, firewall, *out.UpdateToken)
	f, _, err := store.Get[resource.Firewall](t.Context(), db, w.scope.Firewall("f"))
	if err != nil || f.Rematch != "OFF" {
		t.Errorf("the firewall has %q, %v", f.Rematch, err)
	}
}

// TestOneFlowOperationIsRead: finding an operation reads no other, and does not
// depend on the zones that the firewall has today.
func TestOneFlowOperationIsRead(t *testing.T) {
	w, firewall := flowWorld(t)
	id := *do(w, w.StartFlowCapture, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1b",`+anyFlow+`}`, firewall).FlowOperationId
	w.put(w.scope.FlowOperation("f", "us-east-1b", "00000000-0000-4000-8000-000000000000"), "not an operation")
	const describe = `{"FirewallArn":%q,"FlowOperationId":%q%s}`
	if z := *do(w, w.DescribeFlowOperation, describe, firewall, id, "").AvailabilityZone; z != "us-east-1b" {
		t.Errorf("zone %s", z)
	}
	fail(w, w.DescribeFlowOperation, errMissing, "", describe, firewall, id, `,"AvailabilityZone":"us-east-1a"`)
	fail(w, w.DescribeFlowOperation, errInvalid, "AvailabilityZone, VpcEndpointId cannot exist together", describe, firewall, id, `,"AvailabilityZone":"us-east-1a","VpcEndpointId":"vpce-1"`)
	do(w, w.DisassociateSubnets, `{"FirewallArn":%q,"SubnetIds":["subnet-b"]}`, firewall)
	if z := *do(w, w.DescribeFlowOperation, describe, firewall, id, "").AvailabilityZone; z != "us-east-1b" {
		t.Errorf("zone %s", z)
	}
	w.now = w.now.Add(12 * time.Hour)
	fail(w, w.DescribeFlowOperation, errMissing, "The resource flow operation "+id+" does not exist", describe, firewall, id, "")
}
