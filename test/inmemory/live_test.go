package inmemory_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/awsapi/client"
	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/test/rig"
)

// caller calls Sluice's own operations, which AWS's SDK does not have.
type caller struct {
	*rig.Rig
	client *client.Client
}

func own(r *rig.Rig) caller {
	r.Helper()
	r.Setenv("AWS_ACCESS_KEY_ID", rig.KeyID)
	r.Setenv("AWS_SECRET_ACCESS_KEY", rig.Secret)
	c, err := client.New(r.Ctx, client.Options{Endpoint: r.Box.URL(), Region: rig.Region, Attempts: 1})
	if err != nil {
		r.Fatal(err)
	}
	return caller{r, c}
}

// call runs an operation that must succeed.
func call[In, Out any](c caller, operation string, in *In) *Out {
	c.Helper()
	out, err := client.Call[In, Out](c.Ctx, c.client, operation, in)
	if err != nil {
		c.Fatal(err)
	}
	return out
}

// refuse runs an operation that must be refused with this code, and a message with this in it.
func refuse[In, Out any](c caller, operation string, in *In, code, message string) {
	c.Helper()
	_, err := client.Call[In, Out](c.Ctx, c.client, operation, in)
	if e, ok := errors.AsType[*wire.Error](err); !ok || e.Code != code || !strings.Contains(e.Message, message) {
		c.Errorf("%s: got %v, want %s: %s", operation, err, code, message)
	}
}

func (c caller) list(in wire.ListFlowsRequest) *wire.ListFlowsResponse {
	c.Helper()
	in.FirewallArn = &c.Firewall
	return call[wire.ListFlowsRequest, wire.ListFlowsResponse](c, "ListFlows", &in)
}

func (c caller) preview(in wire.PreviewFlowFlushRequest) *wire.PreviewFlowFlushResponse {
	c.Helper()
	in.FirewallArn = &c.Firewall
	return call[wire.PreviewFlowFlushRequest, wire.PreviewFlowFlushResponse](c, "PreviewFlowFlush", &in)
}

func (c caller) flush(in wire.FlushFlowsRequest) []types.Flow {
	c.Helper()
	in.FirewallArn = &c.Firewall
	return c.Completed(*call[wire.FlushFlowsRequest, wire.FlushFlowsResponse](c, "Sluice_20261101.StartFlowFlush", &in).FlowOperationId)
}

func (c caller) stale() *wire.GetStaleFlowsResponse {
	c.Helper()
	return call[wire.GetStaleFlowsRequest, wire.GetStaleFlowsResponse](c, "GetStaleFlows", &wire.GetStaleFlowsRequest{FirewallArn: &c.Firewall})
}

func (c caller) setRematch(mode string) {
	c.Helper()
	call[wire.UpdateFirewallRematchRequest, wire.UpdateFirewallRematchResponse](c, "UpdateFirewallRematch", &wire.UpdateFirewallRematchRequest{FirewallArn: &c.Firewall, Rematch: &mode})
}

var anyFlow = []wire.FlowFilter{{}}

func between(src, dst string) []wire.FlowFilter {
	address := func(s string) *wire.Address {
		if s == "" {
			return nil
		}
		return &wire.Address{AddressDefinition: &s}
	}
	return []wire.FlowFilter{{SourceAddress: address(src), DestinationAddress: address(dst)}}
}

const (
	manyFlows = 130   // more than a page can have
	firstPort = 20000 // of the first; the others follow
)

// datagrams is what the flow number i consists of: that many, of so many bytes of payload each.
func datagrams(i int) (n, size int) { return 1 + i%7, 10 * (i % 13) }

// manyDatagrams sends manyFlows UDP flows to a server that listens in silence,
// and returns how many bytes the firewall has seen of all together.
func manyDatagrams(c caller, server string) (total int64) {
	c.Helper()
	pc, err := c.Net.Outside().ListenPacket("udp", rig.AddrPort(server))
	if err != nil {
		c.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for buf := make([]byte, 1500); ; {
			if _, _, err := pc.ReadFrom(buf); err != nil {
				return
			}
		}
	})
	c.Cleanup(func() { pc.Close(); wg.Wait() })
	for i := range manyFlows {
		from := fmt.Sprintf("10.0.0.1:%d", firstPort+i)
		var conn net.Conn
		if conn, err = c.Net.Inside().Dial(c.Ctx, "udp", rig.AddrPort(from), rig.AddrPort(server)); err != nil {
			c.Fatal(err)
		}
		c.Cleanup(func() { conn.Close() })
		n, size := datagrams(i)
		for range n {
			if _, err := conn.Write(make([]byte, size)); err != nil {
				c.Fatal(err)
			}
			total += int64(20 + 8 + size) // IPv4 and UDP headers
		}
	}
	c.Until("the firewall has seen all datagrams", func() bool {
		return *c.preview(wire.PreviewFlowFlushRequest{FlowFilters: anyFlow}).ByteCount >= total
	})
	return total
}

func TestListFlows(t *testing.T) {
	c := own(rig.Start(t, rig.Setup{}))
	manyDatagrams(c, "192.0.2.53:53")
	values := map[string]func(*wire.LiveFlow) int64{
		"AGE":     func(f *wire.LiveFlow) int64 { return int64(*f.Age) },
		"IDLE":    func(f *wire.LiveFlow) int64 { return int64(*f.IdleSeconds) },
		"PACKETS": func(f *wire.LiveFlow) int64 { return int64(*f.PacketCount) },
		"BYTES":   func(f *wire.LiveFlow) int64 { return *f.ByteCount },
	}
	for key, value := range values {
		var both [2][]string // ports, by order
		for i, order := range []string{"ASCENDING", "DESCENDING"} {
			in := wire.ListFlowsRequest{
				AvailabilityZone: wire.Ptr(rig.Zone), FlowFilters: between("10.0.0.0/8", "192.0.2.53"), // members by pointers: the token must not depend on them
				SortBy: &key, SortOrder: &order, MaxResults: wire.Ptr[int32](50),
			}
			var pages []int
			var flows []wire.LiveFlow
			for {
				out := c.list(in)
				if *out.FlowCount != manyFlows || *out.AvailabilityZone != rig.Zone || *out.FirewallArn != c.Firewall {
					t.Fatalf("a page says %d flows, zone %s", *out.FlowCount, *out.AvailabilityZone)
				}
				pages = append(pages, len(out.Flows))
				flows = append(flows, out.Flows...)
				if in.NextToken = out.NextToken; in.NextToken == nil {
					break
				}
			}
			if !slices.Equal(pages, []int{50, 50, 30}) {
				t.Errorf("%s %s: pages of %v", key, order, pages)
			}
			if !slices.IsSortedFunc(flows, func(a, b wire.LiveFlow) int {
				return (1 - 2*i) * cmp.Compare(value(&a), value(&b))
			}) {
				t.Errorf("%s %s: not in order", key, order)
			}
			for _, f := range flows {
				both[i] = append(both[i], *f.SourcePort)
			}
		}
		slices.Reverse(both[1])
		if !slices.Equal(both[0], both[1]) {
			t.Errorf("%s: one order is not the other's reverse", key)
		}
		slices.Sort(both[0])
		if ports := slices.Compact(both[0]); len(ports) != manyFlows {
			t.Errorf("%s: %d different flows of %d", key, len(ports), manyFlows)
		}
	}

	out := c.list(wire.ListFlowsRequest{FlowFilters: []wire.FlowFilter{{SourcePort: wire.Ptr("20005")}}})
	n, size := datagrams(5)
	if len(out.Flows) != 1 || *out.FlowCount != 1 || out.NextToken != nil {
		t.Fatalf("one port has %d flows", len(out.Flows))
	}
	f := out.Flows[0]
	if *f.SourceAddress.AddressDefinition != "10.0.0.1" || *f.DestinationAddress.AddressDefinition != "192.0.2.53" || *f.DestinationPort != "53" ||
		*f.Protocol != "17" || int(*f.PacketCount) != n || int(*f.PacketsToServer) != n || *f.PacketsToClient != 0 || int(*f.ByteCount) != n*(28+size) ||
		*f.State != "NEW" || f.TcpState != nil || f.StaleReason != nil || *f.Generation < 1 {
		t.Errorf("the flow is %+v", f)
	}
	if n := *c.list(wire.ListFlowsRequest{}).FlowCount; n != manyFlows {
		t.Errorf("without filters %d flows", n)
	}
	if n := len(c.list(wire.ListFlowsRequest{}).Flows); n != 100 {
		t.Errorf("a page has %d flows unless told", n)
	}
	if n := *c.list(wire.ListFlowsRequest{MinimumFlowAgeInSeconds: wire.Ptr[int32](3600)}).FlowCount; n != 0 {
		t.Errorf("%d flows of an hour", n)
	}
	reverse := wire.ListFlowsRequest{FlowFilters: between("192.0.2.53", "")}
	if n := *c.list(reverse).FlowCount; n != 0 {
		t.Errorf("%d flows from the server", n)
	}
	reverse.MatchEitherDirection, reverse.ProtectedFlowFilters = wire.Ptr(true), []wire.FlowFilter{{SourcePort: wire.Ptr("20000:20099")}}
	if n := *c.list(reverse).FlowCount; n != 30 {
		t.Errorf("%d flows of the server in either direction, without the protected ones", n)
	}

	token := c.list(wire.ListFlowsRequest{MaxResults: wire.Ptr[int32](1)}).NextToken
	for name, in := range map[string]wire.ListFlowsRequest{
		"another filter": {NextToken: token, FlowFilters: between("10.0.0.1", "")},
		"another order":  {NextToken: token, SortOrder: wire.Ptr("DESCENDING")},
		"another scope":  {NextToken: token, AvailabilityZone: wire.Ptr(rig.Zone)},
		"no token":       {NextToken: wire.Ptr("AAAA")},
	} {
		in.FirewallArn = &c.Firewall
		c.Log(name)
		refuse[wire.ListFlowsRequest, wire.ListFlowsResponse](c, "ListFlows", &in, "InvalidRequestException", "NextToken is invalid")
	}
}

func TestPreviewFlowFlush(t *testing.T) {
	c := own(rig.Start(t, rig.Setup{}))
	total := manyDatagrams(c, "192.0.2.53:53")
	all := c.preview(wire.PreviewFlowFlushRequest{FlowFilters: anyFlow})
	if *all.FlowCount != manyFlows || *all.ByteCount != total || len(all.Sample) != 10 {
		t.Errorf("a preview of everything: %d flows of %d bytes, %d shown; want %d of %d, 10 shown", *all.FlowCount, *all.ByteCount, len(all.Sample), manyFlows, total)
	}
	var largest []int64
	for i := range manyFlows {
		n, size := datagrams(i)
		largest = append(largest, int64(n*(28+size)))
	}
	slices.SortFunc(largest, func(a, b int64) int { return cmp.Compare(b, a) })
	for i, f := range all.Sample {
		if *f.ByteCount != largest[i] {
			t.Errorf("flow %d of the sample has %d bytes, want %d", i, *f.ByteCount, largest[i])
		}
	}

	filters, protect := []wire.FlowFilter{{SourcePort: wire.Ptr("20000:20009")}}, []wire.FlowFilter{{SourcePort: wire.Ptr("20003:20009")}}
	p := c.preview(wire.PreviewFlowFlushRequest{FlowFilters: filters, ProtectedFlowFilters: protect})
	if *p.FlowCount != 3 || len(p.Sample) != 3 {
		t.Errorf("%d flows, %d shown", *p.FlowCount, len(p.Sample))
	}
	if n := *c.preview(wire.PreviewFlowFlushRequest{FlowFilters: anyFlow}).FlowCount; n != manyFlows {
		t.Errorf("%d flows after previews", n)
	}
	var flushed []string
	var bytes int64
	for _, f := range c.flush(wire.FlushFlowsRequest{FlowFilters: filters, ProtectedFlowFilters: protect}) {
		flushed = append(flushed, *f.SourcePort)
		bytes += f.ByteCount
	}
	slices.Sort(flushed)
	if !slices.Equal(flushed, []string{"20000", "20001", "20002"}) || bytes != *p.ByteCount {
		t.Errorf("flushed %v of %d bytes, the preview said %d", flushed, bytes, *p.ByteCount)
	}
}

// TestFlushWithItsOwnException: the firewall's policy drops packets of flushed
// flows; one flush rejects them, and spares what it is told to.
func TestFlushWithItsOwnException(t *testing.T) {
	c := own(rig.Start(t, rig.Setup{Exception: types.StreamExceptionPolicyDrop}))
	d, spared, bystander := c.Download("10.0.0.1:40000", "192.0.2.10:80"), c.Download("10.0.0.1:40001", "192.0.2.20:80"), c.Download("10.0.0.2:40000", "198.51.100.10:80")
	flows := c.flush(wire.FlushFlowsRequest{
		FlowFilters: between("192.0.2.0/24", ""), MatchEitherDirection: wire.Ptr(true), // the servers
		ProtectedFlowFilters: between("192.0.2.20", ""), StreamExceptionPolicy: wire.Ptr("REJECT"),
	})
	if len(flows) != 1 || *flows[0].SourcePort != "40000" {
		t.Errorf("flushed %v", show(flows))
	}
	d.Send()
	if err := d.ServerEnd(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server's connection ended by %v, want ECONNRESET", err)
	}
	if err := d.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the download ended by %v, want ECONNRESET", err)
	}
	if n := c.Exceptions("reject"); n == 0 {
		t.Error("no packet was counted as rejected")
	}
	if err := errors.Join(spared.Next(), bystander.Next()); err != nil {
		t.Errorf("what was not to be flushed: %v", err)
	}

	if flows := c.flush(wire.FlushFlowsRequest{FlowFilters: between("", "192.0.2.20")}); len(flows) != 1 {
		t.Errorf("flushed %v", show(flows))
	}
	spared.Send()
	c.Until("the policy's own exception is back", func() bool { return c.Exceptions("drop") > 0 })
	for member, in := range map[string]wire.FlushFlowsRequest{
		"ProtectedFlowFilters[0].SourcePort":         {FlowFilters: anyFlow, ProtectedFlowFilters: []wire.FlowFilter{{SourcePort: wire.Ptr("x:y")}}},
		"context: ProtectedFlowFilters":              {FlowFilters: anyFlow, ProtectedFlowFilters: make([]wire.FlowFilter, 21)},
		"FlowFilters cannot be null or empty":        {FlowFilters: []wire.FlowFilter{}},
		"MinimumFlowAgeInSeconds is not within the ": {FlowFilters: anyFlow, MinimumFlowAgeInSeconds: wire.Ptr[int32](-1)},
	} {
		in.FirewallArn = &c.Firewall
		refuse[wire.FlushFlowsRequest, wire.FlushFlowsResponse](c, "Sluice_20261101.StartFlowFlush", &in, "InvalidRequestException", member)
	}
}

// TestCancelFlowOperation: a second node of the zone, which never reports, keeps
// operations in progress.
func TestCancelFlowOperation(t *testing.T) {
	c := own(rig.Start(t, rig.Setup{}))
	cancel := func(id string) *wire.CancelFlowOperationRequest {
		return &wire.CancelFlowOperationRequest{FirewallArn: &c.Firewall, FlowOperationId: &id}
	}
	capture := func() string {
		return *call[wire.StartFlowCaptureRequest, wire.StartFlowCaptureResponse](c, "StartFlowCapture", &wire.StartFlowCaptureRequest{FirewallArn: &c.Firewall, FlowFilters: anyFlow}).FlowOperationId
	}
	ended := capture()
	c.Completed(ended)

	ghost := resource.Scope{Account: rig.Account, Region: rig.Region}.Node(rig.Zone, "ghost")
	if _, err := c.Box.Store().Put(c.Ctx, ghost, resource.Node{ID: "ghost", Zone: rig.Zone}, 0); err != nil {
		t.Fatal(err)
	}
	id := capture()
	out := call[wire.CancelFlowOperationRequest, wire.CancelFlowOperationResponse](c, "CancelFlowOperation", cancel(id))
	if *out.FlowOperationStatus != "FAILED" || *out.FlowOperationId != id {
		t.Errorf("cancelled: %+v", out)
	}
	if d := c.Ended(id); d.FlowOperationStatus != types.FlowOperationStatusFailed || *d.StatusMessage != "Flow operation cancelled" {
		t.Errorf("the capture is %s: %s", d.FlowOperationStatus, wire.Val(d.StatusMessage))
	}
	refused := func(id, message string) {
		t.Helper()
		refuse[wire.CancelFlowOperationRequest, wire.CancelFlowOperationResponse](c, "CancelFlowOperation", cancel(id), "InvalidOperationException", message)
	}
	refused(id, "has ended already, as FAILED")
	refused(ended, "has ended already, as COMPLETED")
	in := wire.FlushFlowsRequest{FirewallArn: &c.Firewall, FlowFilters: anyFlow} // the zone is free again
	refused(*call[wire.FlushFlowsRequest, wire.FlushFlowsResponse](c, "Sluice_20261101.StartFlowFlush", &in).FlowOperationId, "A flush cannot be cancelled")
	refuse[wire.CancelFlowOperationRequest, wire.CancelFlowOperationResponse](c, "CancelFlowOperation", cancel("00000000-0000-4000-8000-000000000000"), "ResourceNotFoundException", "")
}

// TestStaleFlows: a change of rules makes some live flows stale; these, and no
// others, can be flushed.
func TestStaleFlows(t *testing.T) {
	c := own(rig.Start(t, rig.Setup{Exception: types.StreamExceptionPolicyDrop}))
	old, bystander, udp := c.Download("10.0.0.1:40000", "192.0.2.10:80"), c.Download("10.0.0.1:40001", "192.0.2.20:80"), c.Echo("10.0.0.1:40000", "192.0.2.53:53")
	udp.Say("one")
	if s := c.stale(); *s.FlowCount != 0 || len(s.Flows) != 0 {
		t.Errorf("%d stale flows before a change", *s.FlowCount)
	}
	c.SetRules(`drop tcp any any -> 192.0.2.10 80 (msg:"closed"; sid:7;)` + "\n" + `drop udp any any -> any 53 (sid:8;)`)
	fresh := c.Download("10.0.0.1:40002", "192.0.2.30:80")
	reasons := map[string]string{}
	for _, f := range c.stale().Flows {
		reasons[*f.DestinationAddress.AddressDefinition+" "+*f.DestinationPort] = *f.StaleReason
	}
	want := map[string]string{"192.0.2.10 80": "sid 7 of " + c.Group + ": closed", "192.0.2.53 53": "sid 8 of " + c.Group}
	if len(reasons) != 2 || reasons["192.0.2.10 80"] != want["192.0.2.10 80"] || reasons["192.0.2.53 53"] != want["192.0.2.53 53"] {
		t.Errorf("stale are %v, want %v", reasons, want)
	}
	page := wire.GetStaleFlowsRequest{FirewallArn: &c.Firewall, MaxResults: wire.Ptr[int32](1)}
	first := call[wire.GetStaleFlowsRequest, wire.GetStaleFlowsResponse](c, "GetStaleFlows", &page)
	page.NextToken = first.NextToken
	second := call[wire.GetStaleFlowsRequest, wire.GetStaleFlowsResponse](c, "GetStaleFlows", &page)
	if *first.Flows[0].Protocol != "6" || *second.Flows[0].Protocol != "17" || second.NextToken != nil || *second.FlowCount != 2 {
		t.Errorf("pages of one, the oldest first: %+v %+v", first.Flows[0], second.Flows[0])
	}

	flushed := c.Completed(*call[wire.FlushStaleFlowsRequest, wire.FlushStaleFlowsResponse](c, "FlushStaleFlows", &wire.FlushStaleFlowsRequest{
		FirewallArn: &c.Firewall, StreamExceptionPolicy: wire.Ptr("REJECT"),
	}).FlowOperationId)
	if len(flushed) != 2 {
		t.Errorf("flushed %v", show(flushed))
	}
	old.Send()
	if err := old.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the stale download ended by %v, want ECONNRESET", err)
	}
	dropped := c.Metric("sluice_dropped_packets_total", `reason="rule"`)
	if _, err := io.WriteString(udp.Conn, "two"); err != nil {
		t.Fatal(err)
	}
	c.Until("today's rules drop the datagram", func() bool { return c.Metric("sluice_dropped_packets_total", `reason="rule"`) > dropped })
	if err := errors.Join(bystander.Next(), fresh.Next()); err != nil {
		t.Errorf("a download that is not stale: %v", err)
	}
	if n := *c.stale().FlowCount; n != 0 {
		t.Errorf("%d flows are stale after the flush", n)
	}
}

// TestRematch: what becomes of stale flows when the rules change is a setting of
// the firewall.
func TestRematch(t *testing.T) {
	c := own(rig.Start(t, rig.Setup{Exception: types.StreamExceptionPolicyReject}))
	d, bystander := c.Download("10.0.0.1:40000", "192.0.2.10:80"), c.Download("10.0.0.1:40001", "192.0.2.20:80")
	drop := func(sid int) string { return `drop tcp any any -> 192.0.2.10 80 (sid:` + strconv.Itoa(sid) + `;)` }
	metric := func() string {
		for line := range strings.Lines(c.Metrics()) {
			if strings.HasPrefix(line, "sluice_stale_flows{") {
				return strings.TrimSpace(line[strings.LastIndexByte(line, ' '):])
			}
		}
		return "absent"
	}
	c.SetRules(drop(1))
	if m := metric(); m != "absent" {
		t.Errorf("sluice_stale_flows is %s, though nobody asked", m)
	}
	c.setRematch("REPORT")
	c.SetRules(drop(2))
	if m := metric(); m != "1" {
		t.Errorf("sluice_stale_flows is %s, want 1", m)
	}
	if err := d.Next(); err != nil {
		t.Errorf("a report ended the download: %v", err)
	}
	c.setRematch("OFF")
	c.Until("the metric is gone", func() bool { return metric() == "absent" })

	// The setting acts on what is stale now, without a change of rules.
	c.setRematch("REPORT")
	c.Until("the stale flow is counted", func() bool { return metric() == "1" })
	if err := d.Next(); err != nil {
		t.Errorf("a report ended the download: %v", err)
	}
	c.setRematch("ENFORCE")
	c.Until("the stale flow is gone", func() bool { return *c.stale().FlowCount == 0 })
	d.Send()
	if err := d.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the stale download ended by %v, want ECONNRESET", err)
	}
	if err := bystander.Next(); err != nil {
		t.Errorf("the other download: %v", err)
	}

	// And on what the next change makes stale, before that is in sync.
	late := c.Download("10.0.0.1:40002", "192.0.2.30:80")
	c.SetRules(`drop tcp any any -> 192.0.2.30 80 (sid:3;)`)
	if m := metric(); m != "1" {
		t.Errorf("sluice_stale_flows is %s, want 1", m)
	}
	late.Send()
	if err := late.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the stale download ended by %v, want ECONNRESET", err)
	}
	if err := bystander.Next(); err != nil {
		t.Errorf("the other download: %v", err)
	}
	if n := *c.stale().FlowCount; n != 0 {
		t.Errorf("%d stale flows", n)
	}
	refuse[wire.UpdateFirewallRematchRequest, wire.UpdateFirewallRematchResponse](c, "UpdateFirewallRematch", &wire.UpdateFirewallRematchRequest{
		FirewallArn: &c.Firewall, Rematch: wire.Ptr("OFF"), UpdateToken: wire.Ptr("00000000-0000-4000-8000-000000000000"),
	}, "InvalidTokenException", "")
}
