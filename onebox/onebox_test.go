package onebox

import (
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/node"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

const keyID, secret = "AKIDEXAMPLE", "secret"

func client(url, id, secret string) *networkfirewall.Client {
	return networkfirewall.New(networkfirewall.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url),
		Credentials:      credentials.NewStaticCredentialsProvider(id, secret, ""),
		HTTPClient:       &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		RetryMaxAttempts: 1,
	})
}

func TestFirewallIsReadyAtOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	before := runtime.NumGoroutine()
	b, err := Start(ctx, Options{Dir: t.TempDir(), AccessKeyID: keyID, SecretAccessKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	c := client(b.URL(), keyID, secret)

	if _, err := client(b.URL(), keyID, "wrong").ListFirewalls(ctx, &networkfirewall.ListFirewallsInput{}); err == nil {
		t.Error("a wrong secret was accepted")
	}
	begun := time.Now()
	group, err := c.CreateRuleGroup(ctx, &networkfirewall.CreateRuleGroupInput{
		RuleGroupName: aws.String("g"), Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(10),
		Rules: aws.String(`pass tcp any any -> any any (sid:1;)`),
	})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := c.CreateFirewallPolicy(ctx, &networkfirewall.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String("p"),
		FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions:         []string{"aws:forward_to_sfe"},
			StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
			StatefulRuleGroupReferences:     []types.StatefulRuleGroupReference{{ResourceArn: group.RuleGroupResponse.RuleGroupArn}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateFirewall(ctx, &networkfirewall.CreateFirewallInput{
		FirewallName: aws.String("f"), FirewallPolicyArn: policy.FirewallPolicyResponse.FirewallPolicyArn,
		VpcId: aws.String("vpc-1"), SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-1")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for {
		d, err := c.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("f")})
		if err != nil {
			t.Fatal(err)
		}
		if d.FirewallStatus.Status == types.FirewallStatusValueReady {
			break
		}
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the firewall was READY after %v, want within 1s", took)
	}

	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ok",
		"/metrics": `sluice_api_requests_total{code="OK",operation="CreateFirewall"} 1`,
	} {
		if page := get(t, b.URL()+path); !strings.Contains(page, want) {
			t.Errorf("%s does not contain %q:\n%s", path, want, page)
		}
	}

	if err := b.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	expectGoroutines(t, before)
}

func get(t *testing.T, url string) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// expectGoroutines gives goroutines that have been told to end a moment to do so.
func expectGoroutines(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > want && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > want {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", n, want, stacks[:runtime.Stack(stacks, true)])
	}
}

func TestTemporaryDirectoryIsRemoved(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	b, err := Start(t.Context(), Options{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(glob(t, temp)) == 0 {
		t.Error("no temporary directory was made")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if left := glob(t, temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func glob(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestStartUndoesWhatItDid(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		name string
		ctx  context.Context
		o    Options
	}{
		{"bad address", t.Context(), Options{Dev: true, Listen: "not an address"}},
		{"nobody may call", t.Context(), Options{}},
		{"everybody may call from anywhere", t.Context(), Options{Dev: true, Listen: "0.0.0.0:0"}},
		{"driver that fails", t.Context(), Options{Dev: true, Attach: []node.Attachment{{Firewall: "f", Open: func() (pktio.Driver, error) {
			return nil, errors.New("no such queue")
		}}}}},
		{"stopped", stopped, Options{Dev: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			temp := t.TempDir()
			t.Setenv("TMPDIR", temp)
			before := runtime.NumGoroutine()
			if b, err := Start(c.ctx, c.o); err == nil {
				b.Close()
				t.Fatal("it started")
			}
			if left := glob(t, temp); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			expectGoroutines(t, before)
		})
	}
}

// A box takes over the data of one before, and its node the place of one that
// crashed and whose record is still there.
func TestDataSurvives(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	start := func() *Box {
		b, err := Start(ctx, Options{Dir: dir, Dev: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	first := start()
	_, err := client(first.URL(), keyID, secret).CreateRuleGroup(ctx, &networkfirewall.CreateRuleGroupInput{
		RuleGroupName: aws.String("g"), Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(10),
		Rules: aws.String(`pass tcp any any -> any any (sid:1;)`),
	})
	if err != nil {
		t.Fatal(err)
	}
	record := resource.Scope{Account: "123456789012", Region: "us-east-1"}.Node("us-east-1a", nodeID)
	if _, err := first.Store().Put(ctx, record, resource.Node{ID: nodeID, Started: time.Unix(1, 0)}, 0); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	begun := time.Now()
	second := start()
	n, _, err := store.Get[resource.Node](ctx, second.Store(), record)
	if err != nil || n.Started.Before(begun) {
		t.Errorf("the node's record is %+v, %v", n, err)
	}
	list, err := client(second.URL(), keyID, secret).ListRuleGroups(ctx, &networkfirewall.ListRuleGroupsInput{})
	if err != nil || len(list.RuleGroups) != 1 {
		t.Errorf("rule groups are %v, %v", list, err)
	}
}
