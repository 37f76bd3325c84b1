package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

const anyFlow = `"FlowFilters":[{"SourceAddress":{"AddressDefinition":"10.0.0.0/8"}}]`

// flowWorld is a firewall in two zones, with two nodes in the first.
func flowWorld(t *testing.T) (w *world, firewall string) {
	w = newWorld(t, nil)
	firewall = w.newFirewall("f", w.strictPolicy("p"), "subnet-a", "subnet-b")
	w.node("us-east-1a", "n1")
	w.node("us-east-1a", "n2")
	w.node("us-east-1b", "m")
	return w, firewall
}

// report is what a node says about an operation.
func (w *world) report(id, node string, r resource.FlowReport) {
	w.t.Helper()
	r.Node = node
	if r.Done.IsZero() {
		r.Done = w.now
	}
	w.put(w.scope.FlowReport(id, node), r)
}

// chunk puts n flows as a result chunk; their ages tell them apart.
func (w *world) chunk(id, node string, number, firstAge, n int) {
	w.t.Helper()
	flows := make([]resource.FlowRecord, n)
	for i := range flows {
		flows[i] = resource.FlowRecord{
			Src: netip.MustParseAddr("10.0.1.23").As16(), Dst: netip.MustParseAddr("2001:db8::80").As16(),
			SrcPort: 50114, DstPort: 443, Proto: 6, Age: uint32(firstAge + i), Packets: 1840, Bytes: 1203344,
		}
	}
	var t store.Txn
	t.PutBytes(w.scope.FlowResult(id, node, number), resource.EncodeFlows(flows), 0)
	if _, err := db.Commit(w.t.Context(), &t); err != nil {
		w.t.Fatal(err)
	}
}

func TestFlowCapture(t *testing.T) {
	w, firewall := flowWorld(t)
	started := w.now
	start := do(w, w.StartFlowCapture, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a","MinimumFlowAgeInSeconds":60,`+anyFlow+`}`, firewall)
	id := *start.FlowOperationId
	if *start.FlowOperationStatus != "IN_PROGRESS" || *start.FirewallArn != firewall {
		t.Errorf("started %+v", start)
	}
	describe := func() *wire.DescribeFlowOperationResponse {
		t.Helper()
		return do(w, w.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q}`, firewall, id)
	}
	d := describe()
	if *d.AvailabilityZone != "us-east-1a" || *d.FlowOperationType != "FLOW_CAPTURE" || *d.FlowOperationStatus != "IN_PROGRESS" || d.StatusMessage != nil ||
		*d.FlowOperation.MinimumFlowAgeInSeconds != 60 || len(d.FlowOperation.FlowFilters) != 1 || !d.FlowRequestTimestamp.Equal(started) {
		t.Errorf("described %+v", d)
	}
	fail(w, w.StartFlowFlush, "ThrottlingException", "A flow operation is already running for this firewall in Availability Zone us-east-1a", `{"FirewallArn":%q,"AvailabilityZone":"use1-az1",`+anyFlow+`}`, firewall)
	do(w, w.StartFlowFlush, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1b",`+anyFlow+`}`, firewall) // the other zone is free

	w.now = w.now.Add(time.Second)
	w.report(id, "n2", resource.FlowReport{TakenUp: started.Add(30 * time.Millisecond), Flows: 1, Stored: 1, Chunks: 1})
	w.chunk(id, "n2", 0, 200, 1)
	if d := describe(); *d.FlowOperationStatus != "IN_PROGRESS" {
		t.Errorf("with one of two reports: %s", *d.FlowOperationStatus)
	}
	if r := do(w, w.ListFlowOperationResults, `{"FirewallArn":%q,"FlowOperationId":%q}`, firewall, id); len(r.Flows) != 0 || *r.FlowOperationStatus != "IN_PROGRESS" {
		t.Errorf("results while it runs: %+v", r)
	}
	w.report(id, "n1", resource.FlowReport{TakenUp: started.Add(20 * time.Millisecond), Flows: 5, Stored: 5, Chunks: 2})
	w.chunk(id, "n1", 0, 100, 3)
	w.chunk(id, "n1", 1, 103, 2)
	if d := describe(); *d.FlowOperationStatus != "COMPLETED" || !d.FlowRequestTimestamp.Equal(started.Add(20*time.Millisecond)) {
		t.Errorf("with all reports: %s at %v", *d.FlowOperationStatus, d.FlowRequestTimestamp)
	}

	var ages, pages []string
	next := ""
	for {
		r := do(w, w.ListFlowOperationResults, `{"FirewallArn":%q,"FlowOperationId":%q,"AvailabilityZone":"us-east-1a","MaxResults":2%s}`, firewall, id, next)
		if *r.FlowOperationStatus != "COMPLETED" || *r.FlowOperationId != id || *r.AvailabilityZone != "us-east-1a" {
			t.Errorf("scalar members of a page: %+v", r)
		}
		pages = append(pages, fmt.Sprint(len(r.Flows)))
		for _, f := range r.Flows {
			ages = append(ages, fmt.Sprint(*f.Age))
			if *f.SourceAddress.AddressDefinition != "10.0.1.23" || *f.DestinationAddress.AddressDefinition != "2001:db8::80" || *f.SourcePort != "50114" || *f.DestinationPort != "443" || *f.Protocol != "6" || *f.PacketCount != 1840 || *f.ByteCount != 1203344 {
				t.Errorf("flow %+v", f)
			}
		}
		if r.NextToken == nil {
			break
		}
		next = fmt.Sprintf(`,"NextToken":%q`, *r.NextToken)
	}
	if got, want := strings.Join(ages, " ")+" in pages of "+strings.Join(pages, " "), "100 101 102 103 104 200 in pages of 2 2 2"; got != want {
		t.Errorf("flows %s, want %s", got, want)
	}
	fail(w, w.ListFlowOperationResults, errInvalid, "NextToken is invalid", `{"FirewallArn":%q,"FlowOperationId":%q%s}`, firewall, id, next)

	// The zone is free again, and the list has the newest first.
	w.now = w.now.Add(time.Second)
	flush := do(w, w.StartFlowFlush, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",`+anyFlow+`}`, firewall)
	list := do(w, w.ListFlowOperations, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a","MaxResults":1}`, firewall)
	if len(list.FlowOperations) != 1 || *list.FlowOperations[0].FlowOperationId != *flush.FlowOperationId || *list.FlowOperations[0].FlowOperationStatus != "IN_PROGRESS" {
		t.Errorf("first page %+v", list)
	}
	list = do(w, w.ListFlowOperations, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a","MaxResults":1,"NextToken":%q}`, firewall, *list.NextToken)
	if len(list.FlowOperations) != 1 || *list.FlowOperations[0].FlowOperationId != id || *list.FlowOperations[0].FlowOperationStatus != "COMPLETED" || list.NextToken != nil {
		t.Errorf("second page %+v", list)
	}
	if n := len(do(w, w.ListFlowOperations, `{"FirewallArn":%q,"FlowOperationType":"FLOW_FLUSH"}`, firewall).FlowOperations); n != 2 {
		t.Errorf("%d flushes", n)
	}

	w.now = started.Add(12 * time.Hour)
	fail(w, w.DescribeFlowOperation, errMissing, "The resource flow operation "+id+" does not exist", `{"FirewallArn":%q,"FlowOperationId":%q}`, firewall, id)
}

func TestFlowScope(t *testing.T) {
	w, firewall := flowWorld(t)
	endpoint := *do(w, w.DescribeFirewall, `{"FirewallArn":%q}`, firewall).FirewallStatus.SyncStates["us-east-1b"].Attachment.EndpointId
	start := func(members string) string {
		return fmt.Sprintf(`{"FirewallArn":%q,%s%s}`, firewall, members, anyFlow)
	}
	fail(w, w.StartFlowFlush, errInvalid, "AvailabilityZone, VpcEndpointId, VpcEndpointAssociationArn must set exactly one of them", "%s", start(""))
	fail(w, w.StartFlowFlush, errInvalid, "AvailabilityZone, VpcEndpointId cannot exist together", "%s", start(`"AvailabilityZone":"us-east-1a","VpcEndpointId":"vpce-1",`))
	fail(w, w.StartFlowFlush, errInvalid, "AvailabilityZone is invalid, parameter: [us-east-1c], context: AvailabilityZone", "%s", start(`"AvailabilityZone":"us-east-1c",`))
	fail(w, w.StartFlowFlush, errInvalid, "AvailabilityZone, AvailabilityZoneId cannot exist together", "%s", start(`"AvailabilityZone":"us-east-1a","AvailabilityZoneId":"use1-az1",`))
	fail(w, w.StartFlowFlush, errInvalid, "AvailabilityZoneId is invalid, parameter: [use1-az3], context: AvailabilityZoneId", "%s", start(`"AvailabilityZoneId":"use1-az3",`))
	fail(w, w.StartFlowFlush, errInvalid, "VpcEndpointId is invalid, parameter: [vpce-1], context: VpcEndpointId", "%s", start(`"VpcEndpointId":"vpce-1",`))
	fail(w, w.StartFlowFlush, errInvalid, "Resource ARN has an invalid format", "%s", start(`"VpcEndpointAssociationArn":"arn:aws:x",`))
	id := *do(w, w.StartFlowFlush, "%s", start(`"VpcEndpointId":"`+endpoint+`",`)).FlowOperationId
	d := do(w, w.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q,"VpcEndpointId":%q}`, firewall, id, endpoint)
	if *d.VpcEndpointId != endpoint || *d.AvailabilityZone != "us-east-1b" || d.FlowOperation.MinimumFlowAgeInSeconds != nil {
		t.Errorf("described %+v", d)
	}
	fail(w, w.DescribeFlowOperation, errMissing, "", `{"FirewallArn":%q,"FlowOperationId":%q,"AvailabilityZone":"us-east-1a"}`, firewall, id)
	if n := len(do(w, w.ListFlowOperations, `{"FirewallArn":%q,"AvailabilityZone":"use1-az2"}`, firewall).FlowOperations); n != 1 {
		t.Errorf("%d operations in the zone with that id", n)
	}
	for zone, want := range map[string]int{"use1-az1": 0, "use1-az2": 1} {
		if n := len(do(w, w.ListFlowOperations, `{"FirewallArn":%q,"AvailabilityZoneId":%q}`, firewall, zone).FlowOperations); n != want {
			t.Errorf("%d operations in zone %s, want %d", n, zone, want)
		}
	}
	byID := *do(w, w.StartFlowFlush, "%s", start(`"AvailabilityZoneId":"use1-az1",`)).FlowOperationId
	if d := do(w, w.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q,"AvailabilityZoneId":"use1-az1"}`, firewall, byID); *d.AvailabilityZone != "us-east-1a" || *d.AvailabilityZoneId != "use1-az1" {
		t.Errorf("described %+v", d)
	}

	one := w.newFirewall("one", w.strictPolicy("q"), "subnet-a")
	if z := *do(w, w.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q}`, one, *do(w, w.StartFlowFlush, `{"FirewallArn":%q,`+anyFlow+`}`, one).FlowOperationId).AvailabilityZone; z != "us-east-1a" {
		t.Errorf("without a scope: %s", z)
	}
}

// TestFlowEndpoint: what goes to the nodes names the one endpoint that is meant,
// in every way in which their configuration can.
func TestFlowEndpoint(t *testing.T) {
	w, _ := flowWorld(t)
	firewall := w.newFirewall("three", w.strictPolicy("three"), "subnet-a", "subnet-c", "subnet-b")
	f, _, err := read[resource.Firewall](t.Context(), w.Control, w.scope.Firewall("three"))
	if err != nil {
		t.Fatal(err)
	}
	created := do(w, w.CreateVpcEndpointAssociation, `{"FirewallArn":%q,"VpcId":"vpc-0b","SubnetMapping":{"SubnetId":"subnet-d"}}`, firewall).VpcEndpointAssociation
	a, err := w.association(t.Context(), created.VpcEndpointAssociationArn)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{f.value.Subnets[0].EndpointID, f.value.Subnets[1].EndpointID, f.value.Subnets[2].EndpointID}
	var mu sync.Mutex // of asked, which the answering nodes write
	var asked []string
	w.answering("n1", func(q *resource.FlowQuery) resource.FlowAnswer {
		mu.Lock()
		defer mu.Unlock()
		asked = q.Endpoints
		return resource.FlowAnswer{}
	})
	w.answering("n2", func(*resource.FlowQuery) resource.FlowAnswer { return resource.FlowAnswer{} })
	w.answering("m", func(q *resource.FlowQuery) resource.FlowAnswer {
		mu.Lock()
		defer mu.Unlock()
		asked = q.Endpoints
		return resource.FlowAnswer{}
	})
	for scope, want := range map[string]struct {
		zone  string
		names []string
	}{
		`"AvailabilityZone":"us-east-1a"`:                                          {"us-east-1a", nil},
		`"VpcEndpointId":"` + ids[0] + `"`:                                         {"us-east-1a", []string{ids[0], "subnet-a", ""}},
		`"VpcEndpointId":"` + ids[1] + `"`:                                         {"us-east-1a", []string{ids[1], "subnet-c"}},
		`"VpcEndpointId":"` + ids[2] + `"`:                                         {"us-east-1b", []string{ids[2], "subnet-b", ""}},
		`"VpcEndpointAssociationArn":"` + *created.VpcEndpointAssociationArn + `"`: {"us-east-1a", []string{a.value.ID, a.value.ARN, a.value.Subnet.EndpointID, "subnet-d"}},
	} {
		w.now = w.now.Add(time.Hour) // past the deadline of the operation before
		id := *do(w, w.StartFlowFlush, `{"FirewallArn":%q,%s,`+anyFlow+`}`, firewall, scope).FlowOperationId
		op, _, err := read[resource.FlowOperation](t.Context(), w.Control, w.scope.FlowOperation("three", want.zone, id))
		if err != nil || !slices.Equal(op.value.EndpointNames, want.names) {
			t.Errorf("%s: an operation on %q (%v), want %q", scope, op.value.EndpointNames, err, want.names)
		}
		do(w, w.ListFlows, `{"FirewallArn":%q,%s}`, firewall, scope)
		mu.Lock()
		if !slices.Equal(asked, want.names) {
			t.Errorf("%s: a query of %q, want %q", scope, asked, want.names)
		}
		mu.Unlock()
	}
	fail(w, w.StartFlowFlush, errInvalid, "VpcEndpointId is invalid", `{"FirewallArn":%q,"VpcEndpointId":%q,`+anyFlow+`}`, firewall, a.value.Subnet.EndpointID)
}

func TestFlowRequestRefused(t *testing.T) {
	w, firewall := flowWorld(t)
	for members, want := range map[string]string{
		`"FlowFilters":[]`: "FlowFilters cannot be null or empty, context: FlowFilters",
		`"FlowFilters":[` + strings.Repeat(`{},`, 20) + `{}]`:             "FlowFilters limit exceeded, parameter: [21], context: FlowFilters",
		`"FlowFilters":[{},{"SourcePort":"x"}]`:                           "SourcePort has invalid format, parameter: [x], context: FlowFilters[1].SourcePort",
		`"FlowFilters":[{}],"MinimumFlowAgeInSeconds":-1`:                 "MinimumFlowAgeInSeconds is not within the bound, parameter: [-1], context: MinimumFlowAgeInSeconds",
		`"FlowFilters":[{"Protocols":["TCP"]}]`:                           "Protocols has invalid format, parameter: [TCP], context: FlowFilters[0].Protocols",
		`"FlowFilters":[{"DestinationPort":"2000:1000"}]`:                 "DestinationPort is not within the bound, parameter: [2000:1000], context: FlowFilters[0].DestinationPort",
		`"FlowFilters":[{"SourceAddress":{"AddressDefinition":"1.2.3"}}]`: "SourceAddress has invalid format, parameter: [1.2.3], context: FlowFilters[0].SourceAddress",
	} {
		fail(w, w.StartFlowCapture, errInvalid, want, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",%s}`, firewall, members)
	}
}

// TestFlowState judges every mix of two nodes' reports, before and after the
// deadline.
func TestFlowState(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	op := &resource.FlowOperation{Started: start, Deadline: start.Add(time.Minute), Nodes: []string{"a", "b"}}
	good := func(node string) resource.FlowReport {
		return resource.FlowReport{Node: node, Done: start, TakenUp: start, Flows: 2, Stored: 2}
	}
	cut := func(node string) resource.FlowReport {
		return resource.FlowReport{Node: node, Done: start, Flows: 2, Stored: 1}
	}
	bad := func(node string) resource.FlowReport { return resource.FlowReport{Node: node, Done: start, Error: "x"} }
	late := func(node string) resource.FlowReport {
		return resource.FlowReport{Node: node, Done: op.Deadline.Add(1)}
	}
	cases := []struct {
		name         string
		reports      []resource.FlowReport
		early, final string
		message      string // when final
	}{
		{"none", nil, "IN_PROGRESS", "FAILED", "Flow timeout"},
		{"one", []resource.FlowReport{good("a")}, "IN_PROGRESS", "COMPLETED_WITH_ERRORS", "Flow timeout"},
		{"both", []resource.FlowReport{good("a"), good("b")}, "COMPLETED", "COMPLETED", ""},
		{"one of a stranger", []resource.FlowReport{good("a"), good("c")}, "IN_PROGRESS", "COMPLETED_WITH_ERRORS", "Flow timeout"},
		{"one cut short", []resource.FlowReport{good("a"), cut("b")}, "COMPLETED_WITH_ERRORS", "COMPLETED_WITH_ERRORS", "Flow operation error"},
		{"one failed", []resource.FlowReport{good("a"), bad("b")}, "COMPLETED_WITH_ERRORS", "COMPLETED_WITH_ERRORS", "Flow operation error"},
		{"both failed", []resource.FlowReport{bad("a"), bad("b")}, "FAILED", "FAILED", "Flow operation error"},
		{"one failed, one missing", []resource.FlowReport{bad("a")}, "IN_PROGRESS", "FAILED", "Flow timeout"},
		{"one late", []resource.FlowReport{good("a"), late("b")}, "IN_PROGRESS", "COMPLETED_WITH_ERRORS", "Flow timeout"},
	}
	for _, c := range cases {
		if got := flowState(op, c.reports, start).status; got != c.early {
			t.Errorf("%s, before the deadline: %s, want %s", c.name, got, c.early)
		}
		if got := flowState(op, c.reports, op.Deadline); got.status != c.final || got.message != c.message {
			t.Errorf("%s, after the deadline: %s %q, want %s %q", c.name, got.status, got.message, c.final, c.message)
		}
	}
}

func TestFlowOperationWithoutNodes(t *testing.T) {
	w := newWorld(t, nil)
	firewall := w.newFirewall("f", w.strictPolicy("p"), "subnet-a")
	for range 2 { // the first does not stand in the way of the second
		start := do(w, w.StartFlowFlush, `{"FirewallArn":%q,`+anyFlow+`}`, firewall)
		if *start.FlowOperationStatus != "FAILED" {
			t.Errorf("status %s", *start.FlowOperationStatus)
		}
		if m := wire.Val(do(w, w.DescribeFlowOperation, `{"FirewallArn":%q,"FlowOperationId":%q}`, firewall, *start.FlowOperationId).StatusMessage); m != "Flow operation error" {
			t.Errorf("message %q", m)
		}
	}
}

func TestOneFlowOperationAtATime(t *testing.T) {
	w, firewall := flowWorld(t)
	got := race(6, func(i int) error {
		in := request[wire.StartFlowFlushRequest](t, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",`+anyFlow+`}`, firewall)
		_, err := w.StartFlowFlush(t.Context(), wire.Caller{}, in)
		return err
	})
	if got[""] != 1 || got["ThrottlingException"] != 5 {
		t.Errorf("outcomes %v", got)
	}
	if n := len(do(w, w.ListFlowOperations, `{"FirewallArn":%q}`, firewall).FlowOperations); n != 1 {
		t.Errorf("%d operations", n)
	}
}

func TestFlowOperationsGoWithTheirFirewall(t *testing.T) {
	w, firewall := flowWorld(t)
	id := *do(w, w.StartFlowFlush, `{"FirewallArn":%q,"AvailabilityZone":"us-east-1a",`+anyFlow+`}`, firewall).FlowOperationId
	do(w, w.DeleteFirewall, `{"FirewallArn":%q}`, firewall)
	w.newFirewall("f", w.strictPolicy("q"), "subnet-a")
	fail(w, w.DescribeFlowOperation, errMissing, "", `{"FirewallArn":%q,"FlowOperationId":%q}`, firewall, id)
	do(w, w.StartFlowFlush, `{"FirewallArn":%q,`+anyFlow+`}`, firewall)
}

func TestZoneID(t *testing.T) {
	for zone, want := range map[string]string{
		"us-east-1a": "use1-az1", "eu-west-1b": "euw1-az2", "ap-southeast-2c": "apse2-az3", "us-gov-west-1a": "usgw1-az1", "lab": "", "a--1a": "", "": "",
	} {
		if got := zoneID(zone); got != want {
			t.Errorf("%s: %q, want %q", zone, got, want)
		}
	}
}

func TestICMPFlowHasNoPorts(t *testing.T) {
	f := wireFlow(&resource.FlowRecord{Proto: 1, SrcPort: 8, Packets: 1 << 40})
	if *f.SourcePort != "0" || *f.DestinationPort != "0" || *f.Protocol != "1" || *f.PacketCount != 1<<31-1 {
		t.Errorf("%+v", f)
	}
}

func FuzzNextToken(f *testing.F) {
	p, _ := newPager("op", nil, nil, "x")
	f.Add(*p.next("1.2.3"))
	f.Add("eyJ9")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := newPager("op", &token, nil, "x")
		if err == nil {
			parseFlowCursor(p.after)
		}
	})
}
