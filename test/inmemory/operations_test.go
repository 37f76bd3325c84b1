package inmemory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/test/rig"
)

// everything chooses all flows.
var everything = types.FlowFilter{SourcePort: aws.String("ANY")}

// TestCapture: a capture lists the flows in both families and over all protocols,
// and leaves them alone.
func TestCapture(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	var echoes []*rig.Echo
	for _, f := range families {
		r.Download(f.client, f.server)
		echoes = append(echoes, r.Echo(f.client, f.udp))
	}
	for _, e := range echoes {
		e.Say("one")
	}
	for range 2 {
		want := []string{
			"10.0.0.1 40000 > 192.0.2.10 80 proto 6", "10.0.0.1 40000 > 192.0.2.53 53 proto 17",
			"fd00::1 40000 > 2001:db8::10 80 proto 6", "fd00::1 40000 > 2001:db8::53 53 proto 17",
		}
		if diff := cmp.Diff(want, show(r.Capture(everything))); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]string{"fd00::1 40000 > 2001:db8::53 53 proto 17"}, show(r.Capture(types.FlowFilter{
		SourceAddress: rig.Address("fd00::/8"), DestinationAddress: rig.Address("2001:db8::/32"), SourcePort: aws.String("40000"), DestinationPort: aws.String("50:60"), Protocols: []string{"1", "17"},
	}))); diff != "" {
		t.Error(diff)
	}
	// A filter is read in the direction of the flow.
	if flows := r.Capture(types.FlowFilter{SourceAddress: rig.Address("192.0.2.0/24")}); len(flows) != 0 {
		t.Errorf("chosen by the server as the source: %v", show(flows))
	}
}

// TestDescribe: an operation says what was asked for.
func TestDescribe(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	filters := []types.FlowFilter{
		{SourceAddress: rig.Address("10.0.0.0/8"), DestinationAddress: rig.Address("2001:db8::1"), SourcePort: aws.String("1000:2000"), DestinationPort: aws.String("443"), Protocols: []string{"6", "17"}},
		{DestinationPort: aws.String("ANY")},
	}
	before := time.Now()
	started, err := r.API.StartFlowFlush(r.Ctx, &nfw.StartFlowFlushInput{
		FirewallArn: &r.Firewall, AvailabilityZone: aws.String(rig.Zone), FlowFilters: filters, MinimumFlowAgeInSeconds: aws.Int32(60),
	})
	if err != nil {
		t.Fatal(err)
	}
	if *started.FirewallArn != r.Firewall || started.FlowOperationStatus != types.FlowOperationStatusInProgress {
		t.Errorf("StartFlowFlush answers %s, %s", *started.FirewallArn, started.FlowOperationStatus)
	}
	got := r.Ended(*started.FlowOperationId)
	want := &nfw.DescribeFlowOperationOutput{
		FirewallArn: &r.Firewall, AvailabilityZone: aws.String(rig.Zone), FlowOperationId: started.FlowOperationId,
		FlowOperationType: types.FlowOperationTypeFlowFlush, FlowOperationStatus: types.FlowOperationStatusCompleted,
		FlowOperation: &types.FlowOperation{FlowFilters: filters, MinimumFlowAgeInSeconds: aws.Int32(60)},
	}
	ignore := cmp.Options{
		cmpopts.IgnoreFields(nfw.DescribeFlowOperationOutput{}, "FlowRequestTimestamp", "ResultMetadata"),
		cmpopts.IgnoreUnexported(nfw.DescribeFlowOperationOutput{}, types.FlowOperation{}, types.FlowFilter{}, types.Address{}),
	}
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// The wire has seconds with a fraction; whole ones are compared.
	if at := got.FlowRequestTimestamp; at == nil || at.Before(before.Truncate(time.Second)) || at.After(time.Now()) {
		t.Errorf("the flows were picked at %v, asked for at %v", at, before)
	}
}

// TestOneOperationAtATime: while an operation runs, none else starts for the same
// firewall and zone, and there are no results. A node that never answers makes
// the first one last.
func TestOneOperationAtATime(t *testing.T) {
	r := rig.Start(t, rig.Setup{Deadline: rig.Within})
	scope := resource.Scope{Account: rig.Account, Region: rig.Region}
	ghost := resource.Node{ID: "ghost", Zone: rig.Zone, Started: time.Now()}
	if _, err := r.Box.Store().Put(r.Ctx, scope.Node(rig.Zone, ghost.ID), ghost, 0); err != nil {
		t.Fatal(err)
	}
	e := r.Echo("10.0.0.1:40000", "192.0.2.53:53")
	e.Say("one")

	in := &nfw.StartFlowCaptureInput{FirewallArn: &r.Firewall, AvailabilityZone: aws.String(rig.Zone), FlowFilters: []types.FlowFilter{everything}}
	first, err := r.API.StartFlowCapture(r.Ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = r.API.StartFlowCapture(r.Ctx, in); rig.Code(err) != "ThrottlingException" {
		t.Errorf("a second capture: %v", err)
	}
	_, err = r.API.StartFlowFlush(r.Ctx, &nfw.StartFlowFlushInput{FirewallArn: &r.Firewall, AvailabilityZone: aws.String(rig.Zone), FlowFilters: in.FlowFilters})
	if rig.Code(err) != "ThrottlingException" {
		t.Errorf("a flush beside a capture: %v", err)
	}
	results := &nfw.ListFlowOperationResultsInput{FirewallArn: &r.Firewall, FlowOperationId: first.FlowOperationId}
	running, err := r.API.ListFlowOperationResults(r.Ctx, results)
	if err != nil || running.FlowOperationStatus != types.FlowOperationStatusInProgress || len(running.Flows) != 0 {
		t.Errorf("results while it runs: %v, %v, %v", running.FlowOperationStatus, show(running.Flows), err)
	}

	report := resource.FlowReport{Node: ghost.ID, TakenUp: time.Now(), Done: time.Now(), Error: "no engine"}
	if _, err := r.Box.Store().Put(r.Ctx, scope.FlowReport(*first.FlowOperationId, ghost.ID), report, 0); err != nil {
		t.Fatal(err)
	}
	if d := r.Ended(*first.FlowOperationId); d.FlowOperationStatus != types.FlowOperationStatusCompletedWithErrors || aws.ToString(d.StatusMessage) != "Flow operation error" {
		t.Errorf("one of two nodes failed: %v, %q", d.FlowOperationStatus, aws.ToString(d.StatusMessage))
	}
	partial, err := r.API.ListFlowOperationResults(r.Ctx, results)
	if err != nil || len(partial.Flows) != 1 {
		t.Errorf("the flows of the node that answered: %v, %v", show(partial.Flows), err)
	}
	if err := r.Box.Store().Delete(r.Ctx, scope.Node(rig.Zone, ghost.ID)); err != nil {
		t.Fatal(err)
	}
	if flows := r.Capture(everything); len(flows) != 1 {
		t.Errorf("the next capture has %v", show(flows))
	}
}

// TestSilentNode: an operation whose node does not answer in time says so.
func TestSilentNode(t *testing.T) {
	r := rig.Start(t, rig.Setup{Deadline: 200 * time.Millisecond})
	scope := resource.Scope{Account: rig.Account, Region: rig.Region}
	if _, err := r.Box.Store().Put(r.Ctx, scope.Node(rig.Zone, "ghost"), resource.Node{ID: "ghost", Zone: rig.Zone, Started: time.Now()}, 0); err != nil {
		t.Fatal(err)
	}
	started, err := r.API.StartFlowFlush(r.Ctx, &nfw.StartFlowFlushInput{FirewallArn: &r.Firewall, FlowFilters: []types.FlowFilter{everything}})
	if err != nil {
		t.Fatal(err)
	}
	if d := r.Ended(*started.FlowOperationId); d.FlowOperationStatus != types.FlowOperationStatusCompletedWithErrors || aws.ToString(d.StatusMessage) != "Flow timeout" {
		t.Errorf("one of two nodes did not answer: %v, %q", d.FlowOperationStatus, aws.ToString(d.StatusMessage))
	}
}

// TestPages: results and operations come in pages that lose and repeat nothing.
func TestPages(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	const flows = 7
	e := r.Echo("10.0.0.1:40001", "192.0.2.53:53")
	e.Say("one")
	for i := 2; i <= flows; i++ {
		c, err := r.Net.Inside().Dial(r.Ctx, "udp", rig.AddrPort(fmt.Sprintf("10.0.0.1:4000%d", i)), rig.AddrPort("192.0.2.53:53"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		(&rig.Echo{Rig: r, Conn: c}).Say("one")
	}
	started, err := r.API.StartFlowCapture(r.Ctx, &nfw.StartFlowCaptureInput{FirewallArn: &r.Firewall, AvailabilityZone: aws.String(rig.Zone), FlowFilters: []types.FlowFilter{everything}})
	if err != nil {
		t.Fatal(err)
	}
	r.Ended(*started.FlowOperationId)
	for _, size := range []int32{1, 3, 7, 100} {
		var seen []string
		var pages int
		p := nfw.NewListFlowOperationResultsPaginator(r.API, &nfw.ListFlowOperationResultsInput{
			FirewallArn: &r.Firewall, FlowOperationId: started.FlowOperationId, MaxResults: aws.Int32(size),
		})
		for p.HasMorePages() {
			page, err := p.NextPage(r.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			if len(page.Flows) > int(size) {
				t.Errorf("a page of at most %d has %d flows", size, len(page.Flows))
			}
			if page.FlowOperationStatus != types.FlowOperationStatusCompleted {
				t.Errorf("page %d says %s", pages, page.FlowOperationStatus)
			}
			seen = append(seen, show(page.Flows)...)
		}
		slices.Sort(seen)
		var want []string
		for i := 1; i <= flows; i++ {
			want = append(want, fmt.Sprintf("10.0.0.1 4000%d > 192.0.2.53 53 proto 17", i))
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("pages of %d: %s", size, diff)
		}
		if least := (flows + int(size) - 1) / int(size); pages != least {
			t.Errorf("pages of %d: %d pages, want %d", size, pages, least)
		}
	}

	ids := []string{*started.FlowOperationId}
	for range 4 {
		flush, err := r.API.StartFlowFlush(r.Ctx, &nfw.StartFlowFlushInput{FirewallArn: &r.Firewall, AvailabilityZone: aws.String(rig.Zone), FlowFilters: []types.FlowFilter{everything}})
		if err != nil {
			t.Fatal(err)
		}
		r.Ended(*flush.FlowOperationId)
		ids = append(ids, *flush.FlowOperationId)
	}
	slices.Reverse(ids) // the newest first
	for _, tc := range []struct {
		kind types.FlowOperationType
		want []string
	}{{"", ids}, {types.FlowOperationTypeFlowFlush, ids[:4]}, {types.FlowOperationTypeFlowCapture, ids[4:]}} {
		var got []string
		p := nfw.NewListFlowOperationsPaginator(r.API, &nfw.ListFlowOperationsInput{FirewallArn: &r.Firewall, FlowOperationType: tc.kind, MaxResults: aws.Int32(2)})
		for p.HasMorePages() {
			page, err := p.NextPage(r.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.FlowOperations {
				if o.FlowOperationStatus != types.FlowOperationStatusCompleted || o.FlowRequestTimestamp == nil {
					t.Errorf("%s is %s since %v", *o.FlowOperationId, o.FlowOperationStatus, o.FlowRequestTimestamp)
				}
				got = append(got, *o.FlowOperationId)
			}
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("operations of type %q (-want +got)\n%s", tc.kind, diff)
		}
	}

	_, err = r.API.ListFlowOperationResults(r.Ctx, &nfw.ListFlowOperationResultsInput{FirewallArn: &r.Firewall, FlowOperationId: started.FlowOperationId, NextToken: aws.String("bm90IG91cnM=")})
	if rig.Code(err) != "InvalidRequestException" {
		t.Errorf("a token that nobody gave: %v", err)
	}
}

// TestFlowOperationErrors: what a start refuses, and with which words.
func TestFlowOperationErrors(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	one := []types.FlowFilter{everything}
	for _, tc := range []struct {
		name       string
		in         nfw.StartFlowFlushInput
		code, text string
	}{
		{"no filter", nfw.StartFlowFlushInput{FlowFilters: []types.FlowFilter{}}, "InvalidRequestException", "FlowFilters cannot be null or empty"},
		{"unknown firewall", nfw.StartFlowFlushInput{FirewallArn: aws.String("arn:aws:network-firewall:us-east-1:123456789012:firewall/other"), FlowFilters: one}, "ResourceNotFoundException", "firewall/other"},
		{"unknown zone", nfw.StartFlowFlushInput{AvailabilityZone: aws.String("us-east-1f"), FlowFilters: one}, "InvalidRequestException", "AvailabilityZone is invalid, parameter: [us-east-1f]"},
		{"two scopes", nfw.StartFlowFlushInput{AvailabilityZone: aws.String(rig.Zone), VpcEndpointId: aws.String("vpce-1"), FlowFilters: one}, "InvalidRequestException", "cannot exist together"},
		{"unknown endpoint", nfw.StartFlowFlushInput{VpcEndpointId: aws.String("vpce-00000000000000000"), FlowFilters: one}, "InvalidRequestException", "VpcEndpointId"},
		{"negative age", nfw.StartFlowFlushInput{MinimumFlowAgeInSeconds: aws.Int32(-1), FlowFilters: one}, "InvalidRequestException", "MinimumFlowAgeInSeconds"},
		{"bad address", nfw.StartFlowFlushInput{FlowFilters: []types.FlowFilter{{SourceAddress: rig.Address("10.0.0.256")}}}, "InvalidRequestException", "10.0.0.256"},
		{"bad port", nfw.StartFlowFlushInput{FlowFilters: []types.FlowFilter{{SourcePort: aws.String("70000")}}}, "InvalidRequestException", "70000"},
		{"bad protocol", nfw.StartFlowFlushInput{FlowFilters: []types.FlowFilter{{Protocols: []string{"256"}}}}, "InvalidRequestException", "256"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.in.FirewallArn == nil {
				tc.in.FirewallArn = &r.Firewall
			}
			_, err := r.API.StartFlowFlush(r.Ctx, &tc.in)
			if rig.Code(err) != tc.code || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want %s with %q", err, tc.code, tc.text)
			}
		})
	}
	_, err := r.API.DescribeFlowOperation(r.Ctx, &nfw.DescribeFlowOperationInput{FirewallArn: &r.Firewall, FlowOperationId: aws.String("0af3c3a8-0000-4000-8000-0123456789ab")})
	if rig.Code(err) != "ResourceNotFoundException" {
		t.Errorf("an operation that never was: %v", err)
	}
}
