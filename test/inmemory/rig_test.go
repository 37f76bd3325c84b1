// Package inmemory_test sends real TCP, UDP and TLS through the whole product in
// one process, and changes and flushes what goes through over the API with AWS's
// own SDK. It needs no privileges: the networks live in memory.
package inmemory_test

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
	region, zone, account = "us-east-1", "us-east-1a", "123456789012"
	keyID, secret         = "AKIDEXAMPLE", "wJalrXUtnFEMI"

	// within bounds every test; nothing waits that long unless it fails.
	within = 30 * time.Second
)

// rig is a box with one firewall, "edge", between the two networks of net.
//
//	inside 10.0.0.0/8, fd00::/8 -- edge -- outside 192.0.2.0/24, 198.51.100.0/24, 2001:db8::/32
type rig struct {
	*testing.T
	ctx context.Context
	box *onebox.Box
	net *netstack.Net
	api *nfw.Client

	firewall, policy, group string  // ARNs
	groupToken, policyToken *string // update tokens
}

// setup is what a rig starts with. The zero value forwards everything to the
// stateful engine, which has no rules to speak of and drops midstream packets.
type setup struct {
	rules     string                      // of the rule group; "": one that never matches
	list      *types.RulesSourceList      // instead of rules
	exception types.StreamExceptionPolicy // "": not given
	strict    []string                    // stateful default actions; not nil: strict order
	deadline  time.Duration               // of flow operations
}

// never is a rule that matches nothing, for a rule group must have a rule.
const never = `alert tcp 203.0.113.254 1 -> 203.0.113.253 1 (sid:1;)`

// start makes a rig and waits until its firewall is READY.
func start(t *testing.T, s setup) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	network, err := netstack.New(netstack.Options{Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	box, err := onebox.Start(ctx, onebox.Options{
		Dir: t.TempDir(), Zone: zone, Region: region, Account: account, AccessKeyID: keyID, SecretAccessKey: secret,
		Attach:       []node.Attachment{{Firewall: "edge", Open: func() (pktio.Driver, error) { return network, nil }}},
		FlowLimit:    10_000,
		FlowDeadline: s.deadline,
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
	r := &rig{T: t, ctx: ctx, box: box, net: network, api: nfw.New(nfw.Options{
		Region: region, BaseEndpoint: aws.String(box.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""),
		HTTPClient:  &http.Client{Transport: transport}, RetryMaxAttempts: 1,
	})}
	r.create(s)
	return r
}

// create makes the rule group, the policy and the firewall.
func (r *rig) create(s setup) {
	r.Helper()
	group := &types.RuleGroup{RulesSource: &types.RulesSource{RulesSourceList: s.list}}
	if s.list == nil {
		group.RulesSource.RulesString = aws.String(or(s.rules, never))
	}
	options := &types.StatefulEngineOptions{RuleOrder: types.RuleOrderDefaultActionOrder, StreamExceptionPolicy: s.exception}
	ref := types.StatefulRuleGroupReference{}
	if s.strict != nil {
		group.StatefulRuleOptions = &types.StatefulRuleOptions{RuleOrder: types.RuleOrderStrictOrder}
		options.RuleOrder = types.RuleOrderStrictOrder
		ref.Priority = aws.Int32(1)
	}
	g, err := r.api.CreateRuleGroup(r.ctx, &nfw.CreateRuleGroupInput{
		RuleGroupName: aws.String("rules"), Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(100), RuleGroup: group,
	})
	if err != nil {
		r.Fatal(err)
	}
	r.group, r.groupToken = *g.RuleGroupResponse.RuleGroupArn, g.UpdateToken
	ref.ResourceArn = &r.group
	p, err := r.api.CreateFirewallPolicy(r.ctx, &nfw.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String("policy"),
		FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
			StatefulRuleGroupReferences: []types.StatefulRuleGroupReference{ref},
			StatefulEngineOptions:       options, StatefulDefaultActions: s.strict,
		},
	})
	if err != nil {
		r.Fatal(err)
	}
	r.policy, r.policyToken = *p.FirewallPolicyResponse.FirewallPolicyArn, p.UpdateToken
	f, err := r.api.CreateFirewall(r.ctx, &nfw.CreateFirewallInput{
		FirewallName: aws.String("edge"), FirewallPolicyArn: &r.policy, VpcId: aws.String("vpc-0a1b2c3d"),
		SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-0a1b2c3d")}},
	})
	if err != nil {
		r.Fatal(err)
	}
	r.firewall = *f.Firewall.FirewallArn
	r.inSync(r.policy, r.policyToken)
}

// inSync waits until the engine runs the version of a policy or group that token
// stands for.
func (r *rig) inSync(arn string, token *string) {
	r.Helper()
	for {
		d, err := r.api.DescribeFirewall(r.ctx, &nfw.DescribeFirewallInput{FirewallArn: &r.firewall})
		if err != nil {
			r.Fatal(err)
		}
		c := d.FirewallStatus.SyncStates[zone].Config[arn]
		if d.FirewallStatus.Status == types.FirewallStatusValueReady && c.SyncStatus == types.PerObjectSyncStatusInSync && aws.ToString(c.UpdateToken) == *token {
			return
		}
	}
}

// setRules replaces the rules of the group and waits until they are in force.
func (r *rig) setRules(rules string) {
	r.Helper()
	out, err := r.api.UpdateRuleGroup(r.ctx, &nfw.UpdateRuleGroupInput{
		RuleGroupArn: &r.group, Rules: &rules, UpdateToken: r.groupToken,
	})
	if err != nil {
		r.Fatal(err)
	}
	r.groupToken = out.UpdateToken
	r.inSync(r.group, r.groupToken)
}

// flush starts a flush and waits until it is COMPLETED.
func (r *rig) flush(in *nfw.StartFlowFlushInput) []types.Flow {
	r.Helper()
	in.FirewallArn, in.AvailabilityZone = &r.firewall, aws.String(zone)
	out, err := r.api.StartFlowFlush(r.ctx, in)
	if err != nil {
		r.Fatal(err)
	}
	return r.completed(*out.FlowOperationId)
}

// capture starts a capture of all flows that match and waits until it is COMPLETED.
func (r *rig) capture(filters ...types.FlowFilter) []types.Flow {
	r.Helper()
	out, err := r.api.StartFlowCapture(r.ctx, &nfw.StartFlowCaptureInput{
		FirewallArn: &r.firewall, AvailabilityZone: aws.String(zone), FlowFilters: filters,
	})
	if err != nil {
		r.Fatal(err)
	}
	return r.completed(*out.FlowOperationId)
}

// completed waits until an operation is COMPLETED and returns its flows.
func (r *rig) completed(id string) []types.Flow {
	r.Helper()
	if status := r.ended(id).FlowOperationStatus; status != types.FlowOperationStatusCompleted {
		r.Fatalf("operation %s is %s", id, status)
	}
	var flows []types.Flow
	pages := nfw.NewListFlowOperationResultsPaginator(r.api, &nfw.ListFlowOperationResultsInput{FirewallArn: &r.firewall, FlowOperationId: &id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(r.ctx)
		if err != nil {
			r.Fatal(err)
		}
		flows = append(flows, page.Flows...)
	}
	return flows
}

// ended waits until an operation is not IN_PROGRESS any more.
func (r *rig) ended(id string) *nfw.DescribeFlowOperationOutput {
	r.Helper()
	for {
		out, err := r.api.DescribeFlowOperation(r.ctx, &nfw.DescribeFlowOperationInput{FirewallArn: &r.firewall, FlowOperationId: &id})
		if err != nil {
			r.Fatal(err)
		}
		if out.FlowOperationStatus != types.FlowOperationStatusInProgress {
			return out
		}
	}
}

// metrics returns the metrics page.
func (r *rig) metrics() string {
	r.Helper()
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.box.URL()+"/metrics", nil)
	if err != nil {
		r.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
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

// metric returns the sum of the samples of a metric whose labels contain all of
// labels, each of the form name="value".
func (r *rig) metric(name string, labels ...string) (sum float64) {
	r.Helper()
	lines := bufio.NewScanner(strings.NewReader(r.metrics()))
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

// exceptions counts the packets of flushed flows that met a stream exception policy.
func (r *rig) exceptions(policy string) float64 {
	r.Helper()
	return r.metric("sluice_stream_exception_policy_packets_total", `firewall="edge"`, `cause="flushed"`, `policy="`+policy+`"`)
}

// until waits until ok, which looks at something that changes by itself.
func (r *rig) until(what string, ok func() bool) {
	r.Helper()
	for !ok() {
		if r.ctx.Err() != nil {
			r.Fatalf("waited in vain until %s", what)
		}
	}
}

// code is the code of an API error, "" of nil.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func address(s string) *types.Address { return &types.Address{AddressDefinition: &s} }

func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
