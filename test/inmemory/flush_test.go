// Package inmemory_test sends real TCP, UDP and TLS through the whole product in
// one process, and changes and flushes what goes through over the API.
package inmemory_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/test/rig"
)

// family is a pair of hosts of one address family.
type family struct{ name, client, server, other, udp, outside string }

var families = []family{
	{"IPv4", "10.0.0.1:40000", "192.0.2.10:80", "192.0.2.20:80", "192.0.2.53:53", "192.0.2.10/32"},
	{"IPv6", "[fd00::1]:40000", "[2001:db8::10]:80", "[2001:db8::20]:80", "[2001:db8::53]:53", "2001:db8::10/128"},
}

// fresh returns a client's address with a port that the stack chooses.
func (f family) fresh() string { return f.client[:strings.LastIndexByte(f.client, ':')] + ":0" }

// to chooses the flows to a server.
func to(server string) types.FlowFilter {
	a := rig.AddrPort(server)
	return types.FlowFilter{DestinationAddress: rig.Address(a.Addr().String())}
}

// TestFlush is what the product is for: a download that the rules allowed when it
// began goes on when they do not any more; a flush ends it, as the stream exception
// policy says, and nothing else.
func TestFlush(t *testing.T) {
	const (
		goesOn      = iota
		stalls      // silence on both ends
		reset       // of both ends
		senderReset // of the end that sent the packet: what the reject action of a rule does
	)
	for _, tc := range []struct {
		name      string
		exception types.StreamExceptionPolicy
		rules     string // once the downloads run
		refused   bool   // a new connection is, under these rules
		after     int    // what becomes of the download
		policy    string // label of the metric
	}{
		{"DROP", types.StreamExceptionPolicyDrop, `reject tcp any any -> any 80 (sid:2;)`, true, stalls, "drop"},
		{"DROP by default", "", rig.Never, false, stalls, "drop"},
		{"REJECT", types.StreamExceptionPolicyReject, `reject tcp any any -> any 80 (sid:2;)`, true, reset, "reject"},
		{"REJECT under the same rules", types.StreamExceptionPolicyReject, rig.Never, false, reset, "reject"},
		{"CONTINUE under the same rules", types.StreamExceptionPolicyContinue, rig.Never, false, goesOn, "continue"},
		{"CONTINUE and rules that match without context", types.StreamExceptionPolicyContinue, `drop tcp any any <> any 80 (sid:2;)`, false, stalls, "continue"},
		{"CONTINUE and rules that reject without context", types.StreamExceptionPolicyContinue, `reject tcp any any <> any 80 (sid:2;)`, true, senderReset, "continue"},
		{"CONTINUE and rules that need the request", types.StreamExceptionPolicyContinue, `drop http any any -> any any (http.method; content:"GET"; sid:2;)`, false, goesOn, "continue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rig.Start(t, rig.Setup{Exception: tc.exception})
			for _, f := range families {
				d, bystander := r.Download(f.client, f.server), r.Download(f.fresh(), f.other)
				r.SetRules(tc.rules)
				if err := d.Next(); err != nil {
					t.Fatalf("%s: an old flow does not keep its old rules: %v", f.name, err)
				}
				if tc.refused {
					if err := r.Connect(f.fresh(), f.server); !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("%s: a new connection is not refused: %v", f.name, err)
					}
				}

				// Before the flush: a late acknowledgment may be the packet that is picked up.
				before := r.Exceptions(tc.policy)
				flows := r.Flush(&nfw.StartFlowFlushInput{FlowFilters: []types.FlowFilter{{
					SourceAddress: rig.Address(rig.AddrPort(f.client).Addr().String()), DestinationAddress: rig.Address(f.outside),
					SourcePort: aws.String("40000"), DestinationPort: aws.String("1:1023"), Protocols: []string{"6"},
				}}})
				if len(flows) != 1 || *flows[0].SourcePort != "40000" || *flows[0].DestinationPort != "80" || *flows[0].Protocol != "6" ||
					*flows[0].SourceAddress.AddressDefinition != rig.AddrPort(f.client).Addr().String() || flows[0].ByteCount < 2*rig.Chunk || aws.ToInt32(flows[0].PacketCount) < 2*rig.Chunk/1500 {
					t.Errorf("%s: the flush reports %v", f.name, show(flows))
				}

				d.Send()
				switch tc.after {
				case goesOn:
					if err := d.Receive(); err != nil {
						t.Errorf("%s: the download ended: %v", f.name, err)
					}
				case reset, senderReset:
					if err := d.ServerEnd(); !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("%s: the server's connection ended by %v, want ECONNRESET", f.name, err)
					}
					if tc.after == senderReset {
						break
					}
					if err := d.Receive(); !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("%s: the client's download ended by %v, want ECONNRESET", f.name, err)
					}
				case stalls:
					dropped := r.Metric("sluice_dropped_packets_total")
					r.Until("retransmissions were dropped too", func() bool { return r.Metric("sluice_dropped_packets_total") >= dropped+2 })
					select {
					case err := <-d.Got:
						t.Errorf("%s: the client read on: %v", f.name, err)
					case err := <-d.Server:
						t.Errorf("%s: the server noticed: %v", f.name, err)
					default:
					}
				}
				r.Until("a packet of the flushed flow is counted as such", func() bool { return r.Exceptions(tc.policy) > before })
				if err := bystander.Next(); err != nil {
					t.Errorf("%s: a download that does not match ended: %v", f.name, err)
				}
				r.SetRules(rig.Never)
				if err := r.Connect(f.fresh(), f.server); err != nil {
					t.Errorf("%s: a new connection under rules that allow it: %v", f.name, err)
				}
			}
		})
	}
}

// TestOldFlowsKeepOldRules: rules that look into every packet act on new flows only,
// however often they change.
func TestOldFlowsKeepOldRules(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	f := families[0]
	d, e := r.Download(f.client, f.server), r.Echo(f.client, f.udp)
	e.Say(rig.Text)
	for _, proto := range []string{"tcp", "udp"} {
		r.SetRules(`drop ` + proto + ` any any -> any any (content:"` + rig.Text + `"; sid:2;)`)
		if err := d.Next(); err != nil {
			t.Errorf("the %s rule ends an old download: %v", proto, err)
		}
		e.Say(rig.Text)

		dropped := r.Metric("sluice_dropped_packets_total", `reason="rule"`)
		c, err := r.Net.Inside().Dial(r.Ctx, proto, rig.AddrPort(f.fresh()), rig.AddrPort(map[string]string{"tcp": f.server, "udp": f.udp}[proto]))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, rig.Text); err != nil {
			t.Fatal(err)
		}
		r.Until("the rule drops the new flow", func() bool { return r.Metric("sluice_dropped_packets_total", `reason="rule"`) > dropped })
	}
}

// TestFlushLeavesYoungFlows: a flow younger than the minimum age is not chosen.
func TestFlushLeavesYoungFlows(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	d := r.Download(families[0].client, families[0].server)
	in := nfw.StartFlowFlushInput{FlowFilters: []types.FlowFilter{to(families[0].server)}, MinimumFlowAgeInSeconds: aws.Int32(3600)}
	if flows := r.Flush(&in); len(flows) != 0 {
		t.Errorf("an hour's minimum age flushed %v", show(flows))
	}
	if err := d.Next(); err != nil {
		t.Errorf("the young download ended: %v", err)
	}
	in.MinimumFlowAgeInSeconds = aws.Int32(0)
	if flows := r.Flush(&in); len(flows) != 1 {
		t.Errorf("no minimum age flushed %v", show(flows))
	}
}

// TestFlushUDP: a flushed UDP flow has no midstream; its next datagram starts a
// fresh flow under the new rules.
func TestFlushUDP(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := rig.Start(t, rig.Setup{Exception: types.StreamExceptionPolicyReject})
			e := r.Echo(f.client, f.udp)
			e.Say("one")
			e.Say("two")
			flush := func() []types.Flow {
				return r.Flush(&nfw.StartFlowFlushInput{FlowFilters: []types.FlowFilter{{DestinationPort: aws.String("53"), Protocols: []string{"17"}}}})
			}
			if flows := flush(); len(flows) != 1 || aws.ToInt32(flows[0].PacketCount) != 4 || *flows[0].Protocol != "17" {
				t.Errorf("flushed %v, want the flow of 4 packets", show(flows))
			}
			e.Say("three")
			if flows := r.Capture(to(f.udp)); len(flows) != 1 || aws.ToInt32(flows[0].PacketCount) != 2 {
				t.Errorf("captured %v, want a fresh flow of 2 packets", show(flows))
			}

			r.SetRules(`drop udp any any -> any 53 (sid:2;)`)
			e.Say("four") // an old flow keeps its old rules
			flush()
			drained := len(e.Seen)
			dropped := r.Metric("sluice_dropped_packets_total", `reason="rule"`)
			if _, err := e.Conn.Write([]byte("five")); err != nil {
				t.Fatal(err)
			}
			r.Until("the datagram is dropped", func() bool {
				return r.Metric("sluice_dropped_packets_total", `reason="rule"`) == dropped+1
			})
			if len(e.Seen) != drained {
				t.Error("the datagram reached the server all the same")
			}
		})
	}
}

// TestFlushTwentyFilters: filters are alternatives, and there may be twenty.
func TestFlushTwentyFilters(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	e := r.Echo("10.0.0.1:40000", "192.0.2.53:53")
	e.Say("one")
	filters := make([]types.FlowFilter, 21)
	for i := range filters {
		filters[i] = types.FlowFilter{SourceAddress: rig.Address("10.9.0.0/16"), SourcePort: aws.String("1")}
	}
	filters[19] = to("192.0.2.53:53")
	if flows := r.Flush(&nfw.StartFlowFlushInput{FlowFilters: filters[:20]}); len(flows) != 1 {
		t.Errorf("the twentieth filter chose %v", show(flows))
	}
	_, err := r.API.StartFlowFlush(r.Ctx, &nfw.StartFlowFlushInput{FirewallArn: &r.Firewall, AvailabilityZone: aws.String(rig.Zone), FlowFilters: filters})
	if rig.Code(err) != "InvalidRequestException" || !strings.Contains(err.Error(), "FlowFilters limit exceeded, parameter: [21]") {
		t.Errorf("21 filters: %v", err)
	}
}

// show makes flows readable.
func show(flows []types.Flow) []string {
	var out []string
	for _, f := range flows {
		out = append(out, *f.SourceAddress.AddressDefinition+" "+*f.SourcePort+" > "+*f.DestinationAddress.AddressDefinition+" "+*f.DestinationPort+" proto "+*f.Protocol)
	}
	slices.Sort(out)
	return out
}
