// Package demo is the demonstration: the whole product in one process, with
// hundreds of live connections through a firewall, all in memory. It needs no
// privileges and touches no network of the machine but the API's port.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/internal/hosts"
	"github.com/sluicefw/sluice/node"
	"github.com/sluicefw/sluice/onebox"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/netstack"
)

const (
	defaultPort        = 4580 // where the flows command looks without being told
	defaultConnections = 300
	minConnections     = 20 // fewer leave kinds of traffic out
	maxConnections     = 3000

	// downloadRate is how fast each download comes, in bytes a second.
	downloadRate = 8 << 10

	// stepTime bounds every wait for something that takes milliseconds.
	stepTime = 15 * time.Second
)

// Names that the guide tells people to type.
const (
	region       = "us-east-1"
	zone         = "us-east-1a"
	firewallName = "demo"
	policyName   = "demo-policy"
	groupName    = "demo-rules"
	accessKey    = "demo" // id and secret; any is accepted
	blocked      = "198.51.100.0/24"
)

// The two versions of the rule group.
const (
	rulesV1 = `alert http any any -> any any (msg:"download"; flow:to_server,established; http.uri; content:"/download"; sid:1; rev:1;)`
	rulesV2 = rulesV1 + "\n" + `reject tcp any any -> ` + blocked + ` any (msg:"off limits"; sid:2; rev:1;)`
)

// New returns the demo command.
func New(env cli.Env) *cobra.Command {
	var o options
	var script, noColor bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch a firewall at work: live traffic, no root, nothing to set up",
		Long: `Demo runs store, API, engine and two networks full of hosts in this one process,
and shows commands to try on them. The hosts' networks live in memory: nothing but
the API's port on 127.0.0.1 can be seen from outside. Ctrl-C ends it and leaves nothing behind.

With --script it plays the tour by itself over the same API, checks every claim, and
exits with 0 only if all of them held.`,
		Example: `  sluice demo
  sluice demo --script
  sluice demo --connections 1000 --port 8080`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.connections < minConnections || o.connections > maxConnections {
				return fmt.Errorf("--connections must be from %d to %d", minConnections, maxConnections)
			}
			if script && !c.Flags().Changed("port") {
				o.port = 0 // nobody else has to find it
			}
			ctx := c.Context()
			if !signal.Ignored(syscall.SIGHUP) { // the terminal is closed; nohup keeps the demo running
				var stop func()
				ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
				defer stop()
			}
			out := newPrinter(env, noColor)
			if script {
				return playScript(ctx, out, o)
			}
			return guide(ctx, env, out, o)
		},
	}
	fl := c.Flags()
	fl.SortFlags = false
	fl.BoolVar(&script, "script", false, "play and check the tour, then exit")
	fl.Uint16Var(&o.port, "port", defaultPort, "port of the API on 127.0.0.1; 0: any free one (default with --script)")
	fl.IntVar(&o.connections, "connections", defaultConnections, "how many clients")
	fl.BoolVar(&noColor, "no-color", false, "no colours (as with NO_COLOR in the environment)")
	return c
}

type options struct {
	port        uint16
	connections int
}

// world is everything that runs.
type world struct {
	net   *netstack.Net
	box   *onebox.Box
	hosts *hosts.Hosts
	api   *networkfirewall.Client

	firewallARN string
}

// start starts the product; there is no firewall and no traffic yet. ctx bounds
// the start only.
func start(ctx context.Context, o options) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.net, err = netstack.New(netstack.Options{Queues: min(runtime.GOMAXPROCS(0), 4)}); err != nil {
		return w, err
	}
	w.box, err = onebox.Start(ctx, onebox.Options{
		Listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(int(o.port))), Dev: true, Zone: zone, Region: region,
		Attach:    []node.Attachment{{Firewall: firewallName, Open: func() (pktio.Driver, error) { return w.net, nil }}},
		FlowLimit: 100_000,
	})
	if err != nil {
		if o.port != 0 {
			err = fmt.Errorf("%w: --port chooses another port", err)
		}
		return w, err
	}
	w.api = networkfirewall.New(networkfirewall.Options{
		Region: region, BaseEndpoint: aws.String(w.box.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, accessKey, ""),
	})
	return w, nil
}

// close ends the hosts while they still have a network, then the rest.
func (w *world) close() error {
	if w.hosts != nil {
		w.hosts.Stop()
	}
	var err error
	if w.box != nil {
		err = w.box.Close()
	}
	if w.net != nil {
		err = errors.Join(err, w.net.Close())
	}
	return err
}

// createFirewall makes the rule group, the policy and the firewall, and returns
// when the firewall is READY.
func (w *world) createFirewall(ctx context.Context) error {
	group, err := w.api.CreateRuleGroup(ctx, &networkfirewall.CreateRuleGroupInput{
		RuleGroupName: aws.String(groupName), Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(100), Rules: aws.String(rulesV1),
	})
	if err != nil {
		return err
	}
	policy, err := w.api.CreateFirewallPolicy(ctx, &networkfirewall.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String(policyName),
		FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions:         []string{"aws:forward_to_sfe"},
			StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
			StatefulRuleGroupReferences:     []types.StatefulRuleGroupReference{{ResourceArn: group.RuleGroupResponse.RuleGroupArn}},
			StatefulEngineOptions:           &types.StatefulEngineOptions{StreamExceptionPolicy: types.StreamExceptionPolicyReject},
		},
	})
	if err != nil {
		return err
	}
	firewall, err := w.api.CreateFirewall(ctx, &networkfirewall.CreateFirewallInput{
		FirewallName: aws.String(firewallName), FirewallPolicyArn: policy.FirewallPolicyResponse.FirewallPolicyArn,
		VpcId: aws.String("vpc-0de300"), SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-0de300")}},
	})
	if err != nil {
		return err
	}
	w.firewallARN = aws.ToString(firewall.Firewall.FirewallArn)
	return w.inForce(ctx)
}

// updateRules replaces the rules and returns when they are in force.
func (w *world) updateRules(ctx context.Context, rules string) error {
	now, err := w.api.DescribeRuleGroup(ctx, &networkfirewall.DescribeRuleGroupInput{RuleGroupName: aws.String(groupName), Type: types.RuleGroupTypeStateful})
	if err != nil {
		return err
	}
	_, err = w.api.UpdateRuleGroup(ctx, &networkfirewall.UpdateRuleGroupInput{
		RuleGroupName: aws.String(groupName), Type: types.RuleGroupTypeStateful, UpdateToken: now.UpdateToken, Rules: aws.String(rules),
	})
	if err != nil {
		return err
	}
	return w.inForce(ctx)
}

// poll calls done until it is true, at growing intervals.
func poll(ctx context.Context, what string, done func() (bool, error)) error {
	pause := time.Millisecond
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
		pause = min(2*pause, 100*time.Millisecond)
	}
}

// inForce waits until the firewall is READY with all its resources in sync.
func (w *world) inForce(ctx context.Context) error {
	return poll(ctx, "wait until the firewall is in sync", func() (bool, error) {
		d, err := w.api.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String(firewallName)})
		if err != nil {
			return false, err
		}
		s := d.FirewallStatus
		return s.Status == types.FirewallStatusValueReady && s.ConfigurationSyncStateSummary == types.ConfigurationSyncStateInSync, nil
	})
}

// startTraffic starts n clients of all kinds. They run until the world closes.
func (w *world) startTraffic(ctx context.Context, n int) (err error) {
	mix := hosts.Options{Downloads: n * 15 / 100, HTTP: n * 20 / 100, TLS: n * 20 / 100, DNS: n * 10 / 100, Rate: downloadRate, Seed: 1}
	mix.Chatty = n - mix.Downloads - mix.HTTP - mix.TLS - mix.DNS
	w.hosts, err = hosts.Start(context.WithoutCancel(ctx), w.net, mix)
	return err
}

// allLive waits until every client has had an answer.
func (w *world) allLive(ctx context.Context) error {
	return w.hosts.Wait(ctx, func(s hosts.Snapshot) bool { return s.Count(hosts.Live) == len(s) })
}

// operation starts a capture or a flush of the flows to the blocked network and
// returns its id and flows when it is complete. took is what a caller waits,
// without the listing.
func (w *world) operation(ctx context.Context, flush bool) (id string, flows []types.Flow, took time.Duration, err error) {
	filters := []types.FlowFilter{{DestinationAddress: &types.Address{AddressDefinition: aws.String(blocked)}}}
	begun := time.Now()
	if flush {
		started, err := w.api.StartFlowFlush(ctx, &networkfirewall.StartFlowFlushInput{
			FirewallArn: &w.firewallARN, AvailabilityZone: aws.String(zone), FlowFilters: filters,
		})
		if err != nil {
			return "", nil, 0, err
		}
		id = aws.ToString(started.FlowOperationId)
	} else {
		started, err := w.api.StartFlowCapture(ctx, &networkfirewall.StartFlowCaptureInput{
			FirewallArn: &w.firewallARN, AvailabilityZone: aws.String(zone), FlowFilters: filters,
		})
		if err != nil {
			return "", nil, 0, err
		}
		id = aws.ToString(started.FlowOperationId)
	}
	err = poll(ctx, "wait for flow operation "+id, func() (bool, error) {
		d, err := w.api.DescribeFlowOperation(ctx, &networkfirewall.DescribeFlowOperationInput{
			FirewallArn: &w.firewallARN, AvailabilityZone: aws.String(zone), FlowOperationId: &id,
		})
		if err != nil || d.FlowOperationStatus == types.FlowOperationStatusInProgress {
			return false, err
		}
		if d.FlowOperationStatus != types.FlowOperationStatusCompleted {
			return false, fmt.Errorf("flow operation %s is %s: %s", id, d.FlowOperationStatus, aws.ToString(d.StatusMessage))
		}
		return true, nil
	})
	if err != nil {
		return id, nil, 0, err
	}
	took = time.Since(begun)
	pages := networkfirewall.NewListFlowOperationResultsPaginator(w.api, &networkfirewall.ListFlowOperationResultsInput{
		FirewallArn: &w.firewallARN, AvailabilityZone: aws.String(zone), FlowOperationId: &id,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return id, nil, took, err
		}
		flows = append(flows, page.Flows...)
	}
	return id, flows, took, nil
}
