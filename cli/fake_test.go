package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicefw/sluice/awsapi/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

const edgeARN = "arn:aws:network-firewall:us-east-1:111122223333:firewall/edge"

// fakeAPI is a firewall API in memory. It does not look at filters: every
// operation takes all flows of its zone.
type fakeAPI struct {
	mu        sync.Mutex
	firewalls []string                    // names
	flows     map[string][]wire.Flow      // by zone
	throttled map[string]int              // by zone: how many starts are throttled
	polls     int                         // answers IN_PROGRESS so often before the end
	status    map[string]string           // by zone: final status; COMPLETED when missing
	fail      map[string]error            // by "operation" or "operation zone"
	ops       map[string]*fakeOp          // by id
	started   []string                    // "capture us-east-1a", in order
	last      *wire.StartFlowFlushRequest // or the capture's, in the same form
	hook      func(operation string)      // called with each request

	aws       bool                    // Sluice's own operations are unknown
	stale     map[string]string       // by destination: why flows to it are stale
	lastOwn   *wire.FlushFlowsRequest // of Sluice's flush
	lastStale *wire.FlushStaleFlowsRequest
	lastList  *wire.ListFlowsRequest
}

type fakeOp struct {
	kind, zone string
	polls      int
}

func newFake() *fakeAPI {
	return &fakeAPI{
		firewalls: []string{"edge"},
		flows: map[string][]wire.Flow{
			"us-east-1a": {
				fakeFlow("10.0.1.23", 50114, "192.0.2.80", 443, "6", 912, 1840, 1203344),
				fakeFlow("10.0.1.77", 41002, "192.0.2.81", 443, "6", 75, 22, 9120),
				fakeFlow("10.0.1.9", 0, "192.0.2.1", 0, "1", 4000, 3, 252),
			},
			"us-east-1b": {
				fakeFlow("2001:db8:20::1:8000", 65000, "2001:db8:ffff:ffff:ffff:ffff:ffff:1", 53, "17", 200000, 1, 1<<40),
			},
		},
		stale:     map[string]string{"192.0.2.80": "sid 7 of arn:aws:network-firewall:us-east-1:111122223333:stateful-rulegroup/web: closed", "192.0.2.1": "sid 8 of arn:aws:network-firewall:us-east-1:111122223333:stateful-rulegroup/web"},
		throttled: map[string]int{}, status: map[string]string{}, fail: map[string]error{}, ops: map[string]*fakeOp{},
	}
}

func fakeFlow(src string, sport int, dst string, dport int, proto string, age int32, pkts int32, n int64) wire.Flow {
	f := wire.Flow{
		SourceAddress: &wire.Address{AddressDefinition: &src}, DestinationAddress: &wire.Address{AddressDefinition: &dst},
		SourcePort: wire.Ptr(strconv.Itoa(sport)), DestinationPort: wire.Ptr(strconv.Itoa(dport)),
		Protocol: &proto, Age: &age, ByteCount: &n,
	}
	f.PacketCount = &pkts
	return f
}

// placeIn is the one place that a request names.
func placeIn(zone, endpoint, association *string) string {
	place, n := "", 0
	for _, p := range []*string{zone, endpoint, association} {
		if p != nil {
			place, n = *p, n+1
		}
	}
	if n != 1 || (endpoint != nil) != strings.HasPrefix(place, "vpce-") || (association != nil) != strings.HasPrefix(place, "arn:") {
		return "?"
	}
	return place
}

func (f *fakeAPI) enter(operation, zone string) error {
	if f.hook != nil {
		f.hook(operation)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail[operation]; err != nil {
		return err
	}
	return f.fail[operation+" "+zone]
}

func (f *fakeAPI) ListFirewalls(_ context.Context, in *wire.ListFirewallsRequest) (*wire.ListFirewallsResponse, error) {
	if err := f.enter("ListFirewalls", ""); err != nil {
		return nil, err
	}
	out := &wire.ListFirewallsResponse{}
	i, _ := strconv.Atoi(wire.Val(in.NextToken)) // pages of one
	if i < len(f.firewalls) {
		arn := strings.Replace(edgeARN, "edge", f.firewalls[i], 1)
		out.Firewalls = []wire.FirewallMetadata{{FirewallName: &f.firewalls[i], FirewallArn: &arn}}
	}
	if i+1 < len(f.firewalls) {
		out.NextToken = wire.Ptr(strconv.Itoa(i + 1))
	}
	return out, nil
}

func (f *fakeAPI) DescribeFirewall(_ context.Context, in *wire.DescribeFirewallRequest) (*wire.DescribeFirewallResponse, error) {
	if err := f.enter("DescribeFirewall", ""); err != nil {
		return nil, err
	}
	name := wire.Val(in.FirewallName) + strings.TrimPrefix(wire.Val(in.FirewallArn), strings.TrimSuffix(edgeARN, "edge"))
	if !slices.Contains(f.firewalls, name) {
		return nil, wire.ResourceNotFoundException("firewall %s does not exist", name)
	}
	states := map[string]wire.SyncState{}
	for zone := range f.flows {
		states[zone] = wire.SyncState{}
	}
	return &wire.DescribeFirewallResponse{
		Firewall:       &wire.Firewall{FirewallName: &name, FirewallArn: wire.Ptr(strings.Replace(edgeARN, "edge", name, 1))},
		FirewallStatus: &wire.FirewallStatus{SyncStates: states},
	}, nil
}

func (f *fakeAPI) start(kind string, in *wire.StartFlowFlushRequest) (*string, error) {
	zone := placeIn(in.AvailabilityZone, in.VpcEndpointId, in.VpcEndpointAssociationArn)
	if err := f.enter("Start", zone); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.throttled[zone] > 0 {
		f.throttled[zone]--
		return nil, wire.ThrottlingException("A flow operation is already running for this firewall in Availability Zone %s", zone)
	}
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", len(f.ops)+1)
	f.ops[id] = &fakeOp{kind: strings.NewReplacer("OWN_", "", "STALE_", "").Replace(kind), zone: zone, polls: f.polls}
	f.started = append(f.started, strings.ToLower(strings.TrimPrefix(kind, "FLOW_"))+" "+zone)
	f.last = in
	return &id, nil
}

func (f *fakeAPI) StartFlowCapture(_ context.Context, in *wire.StartFlowCaptureRequest) (*wire.StartFlowCaptureResponse, error) {
	id, err := f.start("FLOW_CAPTURE", (*wire.StartFlowFlushRequest)(in))
	if err != nil {
		return nil, err
	}
	return &wire.StartFlowCaptureResponse{FirewallArn: in.FirewallArn, FlowOperationId: id, FlowOperationStatus: wire.Ptr("IN_PROGRESS")}, nil
}

func (f *fakeAPI) StartFlowFlush(_ context.Context, in *wire.StartFlowFlushRequest) (*wire.StartFlowFlushResponse, error) {
	id, err := f.start("FLOW_FLUSH", in)
	if err != nil {
		return nil, err
	}
	return &wire.StartFlowFlushResponse{FirewallArn: in.FirewallArn, FlowOperationId: id, FlowOperationStatus: wire.Ptr("IN_PROGRESS")}, nil
}

func (f *fakeAPI) DescribeFlowOperation(_ context.Context, in *wire.DescribeFlowOperationRequest) (*wire.DescribeFlowOperationResponse, error) {
	if err := f.enter("DescribeFlowOperation", placeIn(in.AvailabilityZone, in.VpcEndpointId, in.VpcEndpointAssociationArn)); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	op := f.ops[*in.FlowOperationId]
	if op == nil || op.zone != placeIn(in.AvailabilityZone, in.VpcEndpointId, in.VpcEndpointAssociationArn) {
		return nil, wire.ResourceNotFoundException("flow operation %s does not exist", *in.FlowOperationId)
	}
	status := "IN_PROGRESS"
	if op.polls == 0 {
		status = f.final(op.zone)
	} else {
		op.polls--
	}
	out := &wire.DescribeFlowOperationResponse{
		FlowOperationType: &op.kind, FlowOperationStatus: &status,
		FlowRequestTimestamp: &wire.Time{Time: time.Unix(1781003605, 412e6)},
	}
	if status == "FAILED" || status == "COMPLETED_WITH_ERRORS" {
		out.StatusMessage = wire.Ptr("Flow timeout")
	}
	return out, nil
}

func (f *fakeAPI) final(zone string) string {
	if s := f.status[zone]; s != "" {
		return s
	}
	return "COMPLETED"
}

func (f *fakeAPI) ListFlowOperationResults(_ context.Context, in *wire.ListFlowOperationResultsRequest) (*wire.ListFlowOperationResultsResponse, error) {
	if err := f.enter("ListFlowOperationResults", placeIn(in.AvailabilityZone, in.VpcEndpointId, in.VpcEndpointAssociationArn)); err != nil {
		return nil, err
	}
	flows := f.flows[f.ops[*in.FlowOperationId].zone]
	i, _ := strconv.Atoi(wire.Val(in.NextToken)) // pages of two
	out := &wire.ListFlowOperationResultsResponse{Flows: flows[min(i, len(flows)):min(i+2, len(flows))]}
	if i+2 < len(flows) {
		out.NextToken = wire.Ptr(strconv.Itoa(i + 2))
	}
	return out, nil
}

// live are the flows of a zone as Sluice tells of them, in no order.
func (f *fakeAPI) live(operation, zone string) ([]wire.LiveFlow, error) {
	if err := f.enter(operation, zone); err != nil {
		return nil, err
	}
	if f.aws {
		return nil, wire.UnknownOperationException("")
	}
	var all []wire.LiveFlow
	for _, g := range f.flows[zone] {
		l := wire.LiveFlow{
			SourceAddress: g.SourceAddress, SourcePort: g.SourcePort, DestinationAddress: g.DestinationAddress, DestinationPort: g.DestinationPort,
			Protocol: g.Protocol, Age: g.Age, IdleSeconds: wire.Ptr(*g.Age / 10), PacketCount: g.PacketCount, ByteCount: g.ByteCount, State: wire.Ptr("ESTABLISHED"),
		}
		if *g.DestinationPort == "443" {
			l.ApplicationProtocol, l.Name = wire.Ptr("tls"), wire.Ptr("a-rather-long-name-of-a-host.example.com")
		}
		if reason := f.stale[*g.DestinationAddress.AddressDefinition]; reason != "" && operation == "GetStaleFlows" {
			l.StaleReason = &reason
		}
		all = append(all, l)
	}
	return all, nil
}

func (f *fakeAPI) ListFlows(_ context.Context, in *wire.ListFlowsRequest) (*wire.ListFlowsResponse, error) {
	f.lastList = in
	all, err := f.live("ListFlows", placeIn(in.AvailabilityZone, in.VpcEndpointId, in.VpcEndpointAssociationArn))
	if err != nil {
		return nil, err
	}
	value := map[string]func(*wire.LiveFlow) int64{
		"": func(*wire.LiveFlow) int64 { return 0 }, "AGE": func(f *wire.LiveFlow) int64 { return int64(*f.Age) }, "BYTES": func(f *wire.LiveFlow) int64 { return *f.ByteCount },
		"PACKETS": func(f *wire.LiveFlow) int64 { return int64(*f.PacketCount) }, "IDLE": func(f *wire.LiveFlow) int64 { return int64(*f.IdleSeconds) },
	}[wire.Val(in.SortBy)]
	slices.SortStableFunc(all, func(a, b wire.LiveFlow) int { return int(min(max(value(&b)-value(&a), -1), 1)) })
	n := int64(len(all))
	return &wire.ListFlowsResponse{FlowCount: &n, Flows: all[:min(len(all), int(*in.MaxResults))]}, nil
}

func (f *fakeAPI) GetStaleFlows(_ context.Context, in *wire.GetStaleFlowsRequest) (*wire.GetStaleFlowsResponse, error) {
	all, err := f.live("GetStaleFlows", placeIn(in.AvailabilityZone, in.VpcEndpointId, in.VpcEndpointAssociationArn))
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(f wire.LiveFlow) bool { return f.StaleReason == nil })
	n := int64(len(all))
	i, _ := strconv.Atoi(wire.Val(in.NextToken)) // pages of one
	out := &wire.GetStaleFlowsResponse{FlowCount: &n, Flows: all[min(i, len(all)):min(i+1, len(all))]}
	if i+1 < len(all) {
		out.NextToken = wire.Ptr(strconv.Itoa(i + 1))
	}
	return out, nil
}

func (f *fakeAPI) PreviewFlowFlush(_ context.Context, in *wire.PreviewFlowFlushRequest) (*wire.PreviewFlowFlushResponse, error) {
	all, err := f.live("PreviewFlowFlush", placeIn(in.AvailabilityZone, in.VpcEndpointId, in.VpcEndpointAssociationArn))
	if err != nil {
		return nil, err
	}
	n := int64(len(all))
	return &wire.PreviewFlowFlushResponse{FlowCount: &n}, nil
}

func (f *fakeAPI) FlushFlows(_ context.Context, in *wire.FlushFlowsRequest) (*wire.FlushFlowsResponse, error) {
	if f.aws {
		return nil, wire.UnknownOperationException("")
	}
	f.lastOwn = in
	id, err := f.start("FLOW_OWN_FLUSH", &wire.StartFlowFlushRequest{AvailabilityZone: in.AvailabilityZone, VpcEndpointId: in.VpcEndpointId, VpcEndpointAssociationArn: in.VpcEndpointAssociationArn, FlowFilters: in.FlowFilters})
	if err != nil {
		return nil, err
	}
	return &wire.FlushFlowsResponse{FirewallArn: in.FirewallArn, FlowOperationId: id, FlowOperationStatus: wire.Ptr("IN_PROGRESS")}, nil
}

func (f *fakeAPI) FlushStaleFlows(_ context.Context, in *wire.FlushStaleFlowsRequest) (*wire.FlushStaleFlowsResponse, error) {
	if f.aws {
		return nil, wire.UnknownOperationException("")
	}
	f.lastStale = in
	id, err := f.start("FLOW_STALE_FLUSH", &wire.StartFlowFlushRequest{AvailabilityZone: in.AvailabilityZone, VpcEndpointId: in.VpcEndpointId, VpcEndpointAssociationArn: in.VpcEndpointAssociationArn})
	if err != nil {
		return nil, err
	}
	return &wire.FlushStaleFlowsResponse{FirewallArn: in.FirewallArn, FlowOperationId: id, FlowOperationStatus: wire.Ptr("IN_PROGRESS")}, nil
}

// handler serves the fake over HTTP, as the real API would.
func (f *fakeAPI) handler(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := wire.Lookup(r.Header.Get("X-Amz-Target"))
		body, _ := io.ReadAll(r.Body)
		in, err := op.DecodeRequest(body)
		var out any
		if err == nil {
			ctx := r.Context()
			switch in := in.(type) {
			case *wire.ListFirewallsRequest:
				out, err = f.ListFirewalls(ctx, in)
			case *wire.DescribeFirewallRequest:
				out, err = f.DescribeFirewall(ctx, in)
			case *wire.StartFlowCaptureRequest:
				out, err = f.StartFlowCapture(ctx, in)
			case *wire.StartFlowFlushRequest:
				out, err = f.StartFlowFlush(ctx, in)
			case *wire.DescribeFlowOperationRequest:
				out, err = f.DescribeFlowOperation(ctx, in)
			case *wire.ListFlowOperationResultsRequest:
				out, err = f.ListFlowOperationResults(ctx, in)
			case *wire.FlushFlowsRequest:
				out, err = f.FlushFlows(ctx, in)
			}
		}
		if err != nil {
			refusal := err.(*wire.Error)
			w.WriteHeader(refusal.Status)
			w.Write(refusal.Body())
			return
		}
		text, err := wire.Encode(out)
		if err != nil {
			t.Error(err)
		}
		w.Write(text)
	})
}

// session runs commands and keeps what they say.
type session struct {
	t      *testing.T
	env    Env
	api    *fakeAPI
	out    bytes.Buffer
	errs   bytes.Buffer
	slept  time.Duration
	vars   map[string]string
	onWait func() // called when the command sleeps
}

func newSession(t *testing.T) *session {
	s := &session{t: t, api: newFake(), vars: map[string]string{}}
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s.env = Env{
		Stdin: strings.NewReader(""), Stdout: &s.out, Stderr: &s.errs,
		Getenv: func(k string) string { return s.vars[k] },
		Now:    func() time.Time { return now.Add(s.slept) },
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.slept += d
			if s.onWait != nil {
				s.onWait()
			}
			return ctx.Err()
		},
		Connect: func(context.Context, ConnectOptions) (API, error) { return s.api, nil },
	}
	return s
}

// run runs a command line and returns its exit code.
func (s *session) run(ctx context.Context, args ...string) int {
	s.out.Reset()
	s.errs.Reset()
	return Execute(ctx, s.env, NewRoot(s.env, NewFlows(s.env), NewVersion(s.env, BuildInfo{Version: "v1.2.3", Revision: "abc", Modified: true, Go: "go1.26", Platform: "linux/amd64"})), args)
}

// terminal makes the session interactive; input is what the user types.
func (s *session) terminal(input string) {
	s.env.StdinTTY, s.env.StdoutTTY, s.env.StderrTTY = true, true, true
	s.env.Stdin, s.env.Width = strings.NewReader(input), 80
}

// golden compares the last command's words and exit code with testdata/name.
func (s *session) golden(name string, code int) {
	s.t.Helper()
	got := fmt.Sprintf("--- stdout\n%s--- stderr\n%s--- exit %d\n", s.out.String(), s.errs.String(), code)
	got = strings.ReplaceAll(got, "\x1b", "<ESC>")
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		s.t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// filters returns the last operation's filters as JSON.
func (s *session) filters() string {
	b, _ := json.Marshal(s.api.last.FlowFilters)
	return string(b)
}

// serve reaches the fake over HTTP instead of directly.
func (s *session) serve() {
	srv := httptest.NewServer(s.api.handler(s.t))
	s.t.Cleanup(srv.Close)
	s.t.Setenv("AWS_ACCESS_KEY_ID", "test")
	s.t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	s.t.Setenv("AWS_REGION", "us-east-1")
	s.t.Setenv("AWS_ENDPOINT_URL", srv.URL)
	s.t.Setenv("AWS_CONFIG_FILE", filepath.Join(s.t.TempDir(), "none"))
	s.t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(s.t.TempDir(), "none"))
	s.env.Connect = Connect
}
