// Package rig sets the whole product up for tests, in one process: a box with one
// firewall between two networks in memory, TCP and UDP hosts on these, and the
// API through AWS's own SDK. It needs no privileges.
package rig

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/aws/smithy-go"

	"github.com/sluicefw/sluice/node"
	"github.com/sluicefw/sluice/onebox"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/netstack"
)

const (
	Region, Zone, Account = "us-east-1", "us-east-1a", "123456789012"
	KeyID, Secret         = "AKIDEXAMPLE", "wJalrXUtnFEMI" // of who may call for Account

	// A second account, with its key.
	Other, OtherKeyID, OtherSecret = "210987654321", "AKIDOTHER", "K7MDENGbPxRfi"

	// Within bounds every test; nothing waits that long unless it fails.
	Within = 60 * time.Second
)

// Rig is a box with one firewall, "edge", between the two networks of Net.
//
//	inside 10.0.0.0/8, fd00::/8 -- edge -- outside 192.0.2.0/24, 198.51.100.0/24, 2001:db8::/32
type Rig struct {
	*testing.T
	Ctx context.Context
	Box *onebox.Box
	Net *netstack.Net
	API *nfw.Client

	other *nfw.Client   // of the other account
	far   *netstack.Net // the networks at Setup.Endpoint or of Setup.Other, or nil

	Firewall, Policy, Group string  // ARNs
	groupToken, policyToken *string // update tokens
}

// Setup is what a rig starts with. The zero value forwards everything to the
// stateful engine, which has no rules to speak of and drops midstream packets.
type Setup struct {
	Rules     string                      // of the rule group; "": one that never matches
	List      *types.RulesSourceList      // instead of rules
	Exception types.StreamExceptionPolicy // "": not given
	Strict    []string                    // stateful default actions; not nil: strict order
	Deadline  time.Duration               // of flow operations

	// Endpoint, if set, is an endpoint of the firewall that two further networks
	// are attached to: those of At.
	Endpoint string

	// Other attaches two further networks to a firewall "edge" of the other
	// account, which is for the test to make: those of OtherAccount.
	Other bool
}

// Never is a rule that matches nothing, for a rule group must have a rule.
const Never = `alert tcp 203.0.113.254 1 -> 203.0.113.253 1 (sid:1;)`

// Start makes a rig and waits until its firewall is READY.
func Start(t *testing.T, s Setup) *Rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Within)
	t.Cleanup(cancel)
	network, err := netstack.New(netstack.Options{Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	attach := []node.Attachment{{Firewall: "edge", Open: func() (pktio.Driver, error) { return network, nil }}}
	var far *netstack.Net
	if s.Endpoint != "" || s.Other {
		if far, err = netstack.New(netstack.Options{}); err != nil {
			t.Fatal(err)
		}
		account := Account
		if s.Other {
			account = Other
		}
		attach = append(attach, node.Attachment{Account: account, Firewall: "edge", Endpoint: s.Endpoint, Open: func() (pktio.Driver, error) { return far, nil }})
	}
	box, err := onebox.Start(ctx, onebox.Options{
		Dir: t.TempDir(), Zone: Zone, Region: Region, Account: Account, AccessKeyID: KeyID, SecretAccessKey: Secret,
		Others:       []onebox.AccessKey{{ID: OtherKeyID, Secret: OtherSecret, Account: Other}},
		Attach:       attach,
		FlowLimit:    10_000,
		FlowDeadline: s.Deadline,
	})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := box.Close(); err != nil {
			t.Errorf("close the box: %v", err)
		}
	})
	client := func(id, secret string) *nfw.Client {
		return nfw.New(nfw.Options{
			Region: Region, BaseEndpoint: aws.String(box.URL()),
			Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
			HTTPClient:  &http.Client{Transport: transport}, RetryMaxAttempts: 1,
		})
	}
	r := &Rig{T: t, Ctx: ctx, Box: box, Net: network, far: far, API: client(KeyID, Secret), other: client(OtherKeyID, OtherSecret)}
	r.create(s)
	return r
}

// OtherAccount makes a firewall with a policy and a rule group in the other
// account, under the names that the rig's own have, and returns a rig of them.
func (r *Rig) OtherAccount(s Setup) *Rig {
	r.Helper()
	at := *r
	at.Net, at.API = r.far, r.other
	at.create(s)
	return &at
}

// At is the rig with the hosts of the networks at Setup.Endpoint. They have the
// same addresses as those of Net and do not reach them.
func (r *Rig) At() *Rig {
	at := *r
	at.Net = r.far
	return &at
}

// create makes the rule group, the policy and the firewall.
func (r *Rig) create(s Setup) {
	r.Helper()
	group := &types.RuleGroup{RulesSource: &types.RulesSource{RulesSourceList: s.List}}
	if s.List == nil {
		group.RulesSource.RulesString = aws.String(or(s.Rules, Never))
	}
	options := &types.StatefulEngineOptions{RuleOrder: types.RuleOrderDefaultActionOrder, StreamExceptionPolicy: s.Exception}
	ref := types.StatefulRuleGroupReference{}
	if s.Strict != nil {
		group.StatefulRuleOptions = &types.StatefulRuleOptions{RuleOrder: types.RuleOrderStrictOrder}
		options.RuleOrder = types.RuleOrderStrictOrder
		ref.Priority = aws.Int32(1)
	}
	g, err := r.API.CreateRuleGroup(r.Ctx, &nfw.CreateRuleGroupInput{
		RuleGroupName: aws.String("rules"), Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(100), RuleGroup: group,
	})
	if err != nil {
		r.Fatal(err)
	}
	r.Group, r.groupToken = *g.RuleGroupResponse.RuleGroupArn, g.UpdateToken
	ref.ResourceArn = &r.Group
	p, err := r.API.CreateFirewallPolicy(r.Ctx, &nfw.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String("policy"),
		FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
			StatefulRuleGroupReferences: []types.StatefulRuleGroupReference{ref},
			StatefulEngineOptions:       options, StatefulDefaultActions: s.Strict,
		},
	})
	if err != nil {
		r.Fatal(err)
	}
	r.Policy, r.policyToken = *p.FirewallPolicyResponse.FirewallPolicyArn, p.UpdateToken
	f, err := r.API.CreateFirewall(r.Ctx, &nfw.CreateFirewallInput{
		FirewallName: aws.String("edge"), FirewallPolicyArn: &r.Policy, VpcId: aws.String("vpc-0a1b2c3d"),
		SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-0a1b2c3d")}},
	})
	if err != nil {
		r.Fatal(err)
	}
	r.Firewall = *f.Firewall.FirewallArn
	r.inSync(r.Policy, r.policyToken)
}

// inSync waits until the engine runs the version of a policy or group that token
// stands for.
func (r *Rig) inSync(arn string, token *string) {
	r.Helper()
	for {
		d, err := r.API.DescribeFirewall(r.Ctx, &nfw.DescribeFirewallInput{FirewallArn: &r.Firewall})
		if err != nil {
			r.Fatal(err)
		}
		c := d.FirewallStatus.SyncStates[Zone].Config[arn]
		if d.FirewallStatus.Status == types.FirewallStatusValueReady && c.SyncStatus == types.PerObjectSyncStatusInSync && aws.ToString(c.UpdateToken) == *token {
			return
		}
	}
}

// SetRules replaces the rules of the group and waits until they are in force.
func (r *Rig) SetRules(rules string) {
	r.Helper()
	out, err := r.API.UpdateRuleGroup(r.Ctx, &nfw.UpdateRuleGroupInput{
		RuleGroupArn: &r.Group, Rules: &rules, UpdateToken: r.groupToken,
	})
	if err != nil {
		r.Fatal(err)
	}
	r.groupToken = out.UpdateToken
	r.inSync(r.Group, r.groupToken)
}

// Flush starts a flush and waits until it is COMPLETED.
func (r *Rig) Flush(in *nfw.StartFlowFlushInput) []types.Flow {
	r.Helper()
	in.FirewallArn, in.AvailabilityZone = &r.Firewall, aws.String(Zone)
	out, err := r.API.StartFlowFlush(r.Ctx, in)
	if err != nil {
		r.Fatal(err)
	}
	return r.Completed(*out.FlowOperationId)
}

// Capture starts a capture of all flows that match and waits until it is COMPLETED.
func (r *Rig) Capture(filters ...types.FlowFilter) []types.Flow {
	r.Helper()
	out, err := r.API.StartFlowCapture(r.Ctx, &nfw.StartFlowCaptureInput{
		FirewallArn: &r.Firewall, AvailabilityZone: aws.String(Zone), FlowFilters: filters,
	})
	if err != nil {
		r.Fatal(err)
	}
	return r.Completed(*out.FlowOperationId)
}

// Completed waits until an operation is COMPLETED and returns its flows.
func (r *Rig) Completed(id string) []types.Flow {
	r.Helper()
	if status := r.Ended(id).FlowOperationStatus; status != types.FlowOperationStatusCompleted {
		r.Fatalf("operation %s is %s", id, status)
	}
	var flows []types.Flow
	pages := nfw.NewListFlowOperationResultsPaginator(r.API, &nfw.ListFlowOperationResultsInput{FirewallArn: &r.Firewall, FlowOperationId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(r.Ctx)
		if err != nil {
			r.Fatal(err)
		}
		flows = append(flows, page.Flows...)
	}
	return flows
}

// Ended waits until an operation is not IN_PROGRESS any more.
func (r *Rig) Ended(id string) *nfw.DescribeFlowOperationOutput {
	r.Helper()
	for {
		out, err := r.API.DescribeFlowOperation(r.Ctx, &nfw.DescribeFlowOperationInput{FirewallArn: &r.Firewall, FlowOperationId: &id})
		if err != nil {
			r.Fatal(err)
		}
		if out.FlowOperationStatus != types.FlowOperationStatusInProgress {
			return out
		}
	}
}

// Metrics returns the metrics page.
func (r *Rig) Metrics() string {
	r.Helper()
	resp, err := http.Get(r.Box.URL() + "/metrics")
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return string(page)
}

// Metric returns the sum of the samples of a metric whose labels contain all of
// labels, each of the form name="value".
func (r *Rig) Metric(name string, labels ...string) (sum float64) {
	r.Helper()
	lines := bufio.NewScanner(strings.NewReader(r.Metrics()))
next:
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name+"{")
		if !ok {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			r.Fatal(err)
		}
		sum += v
	}
	return sum
}

// Exceptions counts the packets of flushed flows that met a stream exception policy.
func (r *Rig) Exceptions(policy string) float64 {
	r.Helper()
	return r.Metric("sluice_stream_exception_policy_packets_total", `firewall="edge"`, `cause="flushed"`, `policy="`+policy+`"`)
}

// Until waits until ok, which looks at something that changes by itself.
func (r *Rig) Until(what string, ok func() bool) {
	r.Helper()
	for !ok() {
		if r.Ctx.Err() != nil {
			r.Fatalf("waited in vain until %s", what)
		}
	}
}

// Code is the code of an API error, "" of nil.
func Code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// AddrPort parses an address with a port.
func AddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// Address is an address or CIDR as the API has it in filters.
func Address(s string) *types.Address { return &types.Address{AddressDefinition: &s} }

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
