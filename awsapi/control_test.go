package awsapi

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/control"
	"github.com/sluicefw/sluice/iam"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// controlled is an installation with the real control side of any account.
func controlled(t *testing.T) *installation {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	i := &installation{t: t}
	i.dir, err = iam.Open(t.Context(), iam.Options{Store: st, KeyFile: filepath.Join(dir, "secret.key")})
	i.check(err)
	i.view, err = i.dir.Watch(t.Context(), nil)
	i.check(err)
	h, err := New(Options{
		Region: "us-east-1", Users: i.view, Logger: slog.New(slog.DiscardHandler),
		ServiceFor: func(account string) (any, error) {
			return control.New(control.Options{Store: st, Scope: resource.Scope{Account: account, Region: "us-east-1"}, Zone: "us-east-1a"}), nil
		},
	})
	i.check(err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	i.url = s.URL
	return i
}

// clientOf makes a user with a policy of these statements, and a client of its key.
func (i *installation) clientOf(account, user string, statements ...string) *networkfirewall.Client {
	i.t.Helper()
	k := i.user(account, user, statements...)
	return i.client(k.ID, k.Secret, "")
}

// TestControl puts users before the real control side of two accounts: tags that
// were given through the API decide, and accounts do not see each other.
func TestControl(t *testing.T) {
	i := controlled(t)
	admin := i.clientOf(account, "admin", allow)
	for _, env := range []string{"dev", "prod"} {
		_, err := admin.CreateRuleGroup(t.Context(), &networkfirewall.CreateRuleGroupInput{
			RuleGroupName: &env, Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(10),
			Rules: aws.String("pass tcp any any -> any 443 (sid:1;)"), Tags: []types.Tag{{Key: aws.String("env"), Value: &env}},
		})
		i.check(err)
	}
	describe := func(c *networkfirewall.Client, name string) error {
		_, err := c.DescribeRuleGroup(t.Context(), &networkfirewall.DescribeRuleGroupInput{RuleGroupName: &name, Type: types.RuleGroupTypeStateful})
		return err
	}
	developer := i.clientOf(account, "developer", `{"Effect":"Allow","Action":"network-firewall:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"dev"}}}`)
	i.check(describe(developer, "dev"))
	wantAPIError(t, describe(developer, "prod"), "AccessDeniedException")

	_, err := admin.TagResource(t.Context(), &networkfirewall.TagResourceInput{
		ResourceArn: aws.String("arn:aws:network-firewall:us-east-1:" + account + ":stateful-rulegroup/prod"),
		Tags:        []types.Tag{{Key: aws.String("env"), Value: aws.String("dev")}},
	})
	i.check(err)
	i.check(describe(developer, "prod"))

	other := i.clientOf("444455556666", "admin", allow)
	wantAPIError(t, describe(other, "dev"), "ResourceNotFoundException")
	_, err = other.DescribeRuleGroup(t.Context(), &networkfirewall.DescribeRuleGroupInput{
		RuleGroupArn: aws.String("arn:aws:network-firewall:us-east-1:" + account + ":stateful-rulegroup/dev")})
	wantAPIError(t, err, "AccessDeniedException")
}

// TestSharing: to use what another account shares, a user needs both: the owner's
// policy and its own, which may look at the tags that the owner gave.
func TestSharing(t *testing.T) {
	i := controlled(t)
	const other = "444455556666"
	owner, admin := i.clientOf(account, "admin", allow), i.clientOf(other, "admin", allow)
	anna := i.clientOf(other, "anna", allow, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"prod"}}}`)
	ben := i.clientOf(other, "ben", `{"Effect":"Allow","Action":"network-firewall:*","Resource":"arn:aws:network-firewall:*:`+other+`:*"}`)

	groups := map[string]string{} // name to ARN
	for _, env := range []string{"dev", "prod"} {
		out, err := owner.CreateRuleGroup(t.Context(), &networkfirewall.CreateRuleGroupInput{
			RuleGroupName: &env, Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(10),
			Rules: aws.String("pass tcp any any -> any 443 (sid:1;)"), Tags: []types.Tag{{Key: aws.String("env"), Value: &env}},
		})
		i.check(err)
		groups[env] = *out.RuleGroupResponse.RuleGroupArn
	}
	share := func(arn, who, operation string) {
		t.Helper()
		_, err := owner.PutResourcePolicy(t.Context(), &networkfirewall.PutResourcePolicyInput{ResourceArn: &arn, Policy: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + who + `"},"Action":"network-firewall:` + operation + `","Resource":"` + arn + `"}]}`)})
		i.check(err)
	}
	create := func(c *networkfirewall.Client, name, group string) error {
		_, err := c.CreateFirewallPolicy(t.Context(), &networkfirewall.CreateFirewallPolicyInput{FirewallPolicyName: &name, FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:drop"},
			StatefulRuleGroupReferences: []types.StatefulRuleGroupReference{{ResourceArn: &group}},
		}})
		return err
	}
	wantAPIError(t, create(admin, "a", groups["dev"]), "AccessDeniedException")
	share(groups["dev"], other, "CreateFirewallPolicy")
	share(groups["prod"], other, "CreateFirewallPolicy")
	i.check(create(admin, "a", groups["dev"]))
	i.check(create(anna, "b", groups["dev"]))
	wantAPIError(t, create(anna, "c", groups["prod"]), "AccessDeniedException") // her own policy looks at the owner's tag
	wantAPIError(t, create(ben, "c", groups["dev"]), "AccessDeniedException")   // his own policy does not know the group
	share(groups["dev"], "arn:aws:iam::"+other+":user/anna", "CreateFirewallPolicy")
	wantAPIError(t, create(admin, "c", groups["dev"]), "AccessDeniedException")
	i.check(create(anna, "c", groups["dev"]))

	for _, do := range []func() error{
		func() error {
			_, err := anna.DescribeRuleGroup(t.Context(), &networkfirewall.DescribeRuleGroupInput{RuleGroupArn: aws.String(groups["dev"])})
			return err
		},
		func() error {
			_, err := anna.DeleteRuleGroup(t.Context(), &networkfirewall.DeleteRuleGroupInput{RuleGroupArn: aws.String(groups["dev"])})
			return err
		},
		func() error {
			_, err := anna.DeleteResourcePolicy(t.Context(), &networkfirewall.DeleteResourcePolicyInput{ResourceArn: aws.String(groups["dev"])})
			return err
		},
	} {
		wantAPIError(t, do(), "AccessDeniedException")
	}
	_, err := owner.DeleteRuleGroup(t.Context(), &networkfirewall.DeleteRuleGroupInput{RuleGroupArn: aws.String(groups["dev"])})
	wantAPIError(t, err, "InvalidOperationException")
}
