package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/aws/smithy-go"
)

// TestBeyondAWS: with the switch, API and engine take what AWS refuses; both read the same configuration.
func TestBeyondAWS(t *testing.T) {
	dir := t.TempDir()
	sets, categories, list := filepath.Join(dir, "datasets"), filepath.Join(dir, "categories"), filepath.Join(dir, "list")
	if err := errors.Join(os.Mkdir(sets, 0o755), os.WriteFile(filepath.Join(sets, "bad.lst"), []byte("ZXZpbA==\n"), 0o600),
		os.WriteFile(categories, []byte("1,Bad,known to attack\n"), 0o600), os.WriteFile(list, []byte("192.0.2.0/24,1,31\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	group := &networkfirewall.CreateRuleGroupInput{
		RuleGroupName: aws.String("g"), Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(10),
		Rules: aws.String("drop ip any any -> any any (iprep:src,Bad,>,30; sid:1;)\n" +
			"drop dns any any -> any any (dns.query; dataset:isset,bad,type string,load bad.lst; sid:2;)\n" +
			"alert dns any any -> any any (dns.query; dataset:set,seen,type string,state seen.lst; sid:3;)"),
	}

	p := startServe(t, dir, (*exec.Cmd).Start)
	_, err := p.client(t, dir).CreateRuleGroup(t.Context(), group)
	if refused, ok := errors.AsType[smithy.APIError](err); !ok || !strings.HasSuffix(refused.ErrorMessage(), "RuleOptions iprep is not supported") {
		t.Errorf("without the switch: %v", err)
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}

	t.Setenv("SLUICE_RULES_BEYOND_AWS", "true")
	t.Setenv("SLUICE_REPUTATION_CATEGORIES", categories)
	t.Setenv("SLUICE_REPUTATION_LISTS", "["+list+"]")
	p = startServe(t, dir, (*exec.Cmd).Start)
	client := p.client(t, dir)
	g, err := client.CreateRuleGroup(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := client.CreateFirewallPolicy(t.Context(), &networkfirewall.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String("p"),
		FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
			StatefulRuleGroupReferences: []types.StatefulRuleGroupReference{{ResourceArn: g.RuleGroupResponse.RuleGroupArn}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.CreateFirewall(t.Context(), &networkfirewall.CreateFirewallInput{
		FirewallName: aws.String("edge"), FirewallPolicyArn: policy.FirewallPolicyResponse.FirewallPolicyArn, VpcId: aws.String("vpc-0a"),
		SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-0a")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var status *types.FirewallStatus
	for end := time.Now().Add(patience); status == nil || status.Status != types.FirewallStatusValueReady; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the engine does not run the rules: %+v", status)
		}
		d, err := client.DescribeFirewall(t.Context(), &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("edge")})
		if err != nil {
			t.Fatal(err)
		}
		status = d.FirewallStatus
	}
	p.line(t, "policy in force")
}
