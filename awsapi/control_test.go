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

// TestControl puts users before the real control side of two accounts: tags that
// were given through the API decide, and accounts do not see each other.
func TestControl(t *testing.T) {
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

	client := func(account, user string, statements ...string) *networkfirewall.Client {
		k := i.user(account, user, statements...)
		return i.client(k.ID, k.Secret, "")
	}
	admin := client(account, "admin", allow)
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
	developer := client(account, "developer", `{"Effect":"Allow","Action":"network-firewall:*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"dev"}}}`)
	i.check(describe(developer, "dev"))
	wantAPIError(t, describe(developer, "prod"), "AccessDeniedException")

	_, err = admin.TagResource(t.Context(), &networkfirewall.TagResourceInput{
		ResourceArn: aws.String("arn:aws:network-firewall:us-east-1:" + account + ":stateful-rulegroup/prod"),
		Tags:        []types.Tag{{Key: aws.String("env"), Value: aws.String("dev")}},
	})
	i.check(err)
	i.check(describe(developer, "prod"))

	other := client("444455556666", "admin", allow)
	wantAPIError(t, describe(other, "dev"), "ResourceNotFoundException")
	_, err = other.DescribeRuleGroup(t.Context(), &networkfirewall.DescribeRuleGroupInput{
		RuleGroupArn: aws.String("arn:aws:network-firewall:us-east-1:" + account + ":stateful-rulegroup/dev")})
	wantAPIError(t, err, "ResourceNotFoundException")
}
