// Command apibench prints what the API takes: for a rule group of 10,000 rules,
// for calls one after the other, and for many clients at once. Server and clients
// share this machine and this process, so the figures are lower bounds.
//
//	go run ./test/apibench [-seconds 10] [-clients 200]
//
// It ends with an error if a call fails.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/onebox"
)

const (
	region        = "us-east-1"
	keyID, secret = "AKIDEXAMPLE", "wJalrXUtnFEMI"

	rules      = 10_000 // of the large rule group
	sequential = 1_000  // calls one after the other
)

func main() {
	seconds := flag.Int("seconds", 10, "how long the clients call")
	clients := flag.Int("clients", 200, "how many clients call at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *clients, time.Duration(*seconds)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, "apibench:", err)
		os.Exit(1)
	}
}

// run prints all figures to w.
func run(ctx context.Context, w io.Writer, clients int, span time.Duration) (err error) {
	box, err := onebox.Start(ctx, onebox.Options{AccessKeyID: keyID, SecretAccessKey: secret, Region: region})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	api := nfw.New(nfw.Options{
		Region: region, BaseEndpoint: aws.String(box.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""), HTTPClient: &http.Client{Transport: transport},
	})
	fmt.Fprintf(w, "%d CPUs, %s\n", runtime.NumCPU(), runtime.Version())
	if err := largeGroup(ctx, w, api); err != nil {
		return err
	}
	if err := oneByOne(ctx, w, api); err != nil {
		return err
	}
	return atOnce(ctx, w, api, clients, span)
}

// largeGroup creates and reads a group of 10,000 rules.
func largeGroup(ctx context.Context, w io.Writer, api *nfw.Client) error {
	var text strings.Builder
	for i := range rules {
		fmt.Fprintf(&text, "drop tls $HOME_NET any -> $EXTERNAL_NET any (tls.sni; content:\"host-%d.example\"; nocase; endswith; msg:\"blocked\"; sid:%d; rev:1;)\n", i, i+1)
	}
	begun := time.Now()
	_, err := api.CreateRuleGroup(ctx, &nfw.CreateRuleGroupInput{
		RuleGroupName: aws.String("large"), Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(rules),
		RuleGroup: &types.RuleGroup{
			RuleVariables: &types.RuleVariables{IPSets: map[string]types.IPSet{"HOME_NET": {Definition: []string{"10.0.0.0/8"}}}},
			RulesSource:   &types.RulesSource{RulesString: aws.String(text.String())},
		},
	})
	if err != nil {
		return err
	}
	created := time.Since(begun)
	begun = time.Now()
	out, err := api.DescribeRuleGroup(ctx, &nfw.DescribeRuleGroupInput{RuleGroupName: aws.String("large"), Type: types.RuleGroupTypeStateful})
	if err != nil {
		return err
	}
	if got := aws.ToString(out.RuleGroup.RulesSource.RulesString); got != text.String() {
		return fmt.Errorf("the large rule group comes back with %d bytes of rules, want %d", len(got), text.Len())
	}
	fmt.Fprintf(w, "rule group of %d rules (%.1f MB): created in %v, described in %v\n", rules, float64(text.Len())/1e6, round(created), round(time.Since(begun)))
	return nil
}

// oneByOne makes a firewall on the large group and describes it again and again.
func oneByOne(ctx context.Context, w io.Writer, api *nfw.Client) error {
	group, err := api.DescribeRuleGroupMetadata(ctx, &nfw.DescribeRuleGroupMetadataInput{RuleGroupName: aws.String("large"), Type: types.RuleGroupTypeStateful})
	if err != nil {
		return err
	}
	policy, err := api.CreateFirewallPolicy(ctx, &nfw.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String("edge"), FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:drop"},
			StatefulRuleGroupReferences: []types.StatefulRuleGroupReference{{ResourceArn: group.RuleGroupArn}},
		},
	})
	if err != nil {
		return err
	}
	begun := time.Now()
	_, err = api.CreateFirewall(ctx, &nfw.CreateFirewallInput{
		FirewallName: aws.String("edge"), FirewallPolicyArn: policy.FirewallPolicyResponse.FirewallPolicyArn,
		VpcId: aws.String("vpc-0a1b2c3d"), SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-0a1b2c3d")}},
	})
	if err != nil {
		return err
	}
	for status := types.FirewallStatusValueProvisioning; status != types.FirewallStatusValueReady; {
		out, err := describe(ctx, api)
		if err != nil {
			return err
		}
		status = out.FirewallStatus.Status
	}
	fmt.Fprintf(w, "firewall with these rules: READY after %v\n", round(time.Since(begun)))

	took := make([]time.Duration, sequential)
	for i := range took {
		begun := time.Now()
		if _, err := describe(ctx, api); err != nil {
			return err
		}
		took[i] = time.Since(begun)
	}
	fmt.Fprintf(w, "%d DescribeFirewall one after the other: %s\n", sequential, spread(took))
	return nil
}

func describe(ctx context.Context, api *nfw.Client) (*nfw.DescribeFirewallOutput, error) {
	return api.DescribeFirewall(ctx, &nfw.DescribeFirewallInput{FirewallName: aws.String("edge")})
}

// atOnce has clients read, and one call in ten create and delete a rule group.
func atOnce(ctx context.Context, w io.Writer, api *nfw.Client, clients int, span time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end := time.Now().Add(span)
	var writes atomic.Int64
	took := make([][]time.Duration, clients)
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			for i := 0; time.Now().Before(end) && ctx.Err() == nil; i++ {
				begun := time.Now()
				var err error
				if (c+i)%10 == 0 {
					writes.Add(2)
					err = comeAndGo(ctx, api, fmt.Sprintf("client-%d", c))
				} else {
					_, err = describe(ctx, api)
				}
				if err != nil {
					cancel(err)
					return
				}
				took[c] = append(took[c], time.Since(begun))
			}
		})
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	all := slices.Concat(took...)
	fmt.Fprintf(w, "%d clients for %v: %d steps (%.0f/s), %d of the calls write, no error: %s\n", clients, span, len(all), float64(len(all))/span.Seconds(), writes.Load(), spread(all))
	return nil
}

// comeAndGo creates a rule group and deletes it.
func comeAndGo(ctx context.Context, api *nfw.Client, name string) error {
	_, err := api.CreateRuleGroup(ctx, &nfw.CreateRuleGroupInput{
		RuleGroupName: &name, Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(10), Rules: aws.String(`pass tcp any any -> any any (sid:1;)`),
	})
	if err != nil {
		return err
	}
	_, err = api.DeleteRuleGroup(ctx, &nfw.DeleteRuleGroupInput{RuleGroupName: &name, Type: types.RuleGroupTypeStateful})
	return err
}

// spread describes durations.
func spread(took []time.Duration) string {
	if len(took) == 0 {
		return "none"
	}
	slices.Sort(took)
	return fmt.Sprintf("median %v, 99%% within %v, at most %v", round(took[len(took)/2]), round(took[len(took)*99/100]), round(took[len(took)-1]))
}

func round(d time.Duration) time.Duration { return d.Round(max(d/1000, time.Microsecond)) }
