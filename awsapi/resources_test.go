package awsapi

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicefw/sluice/awsapi/wire"
)

func TestResourcesOf(t *testing.T) {
	const arn = "arn:aws:network-firewall:us-east-1:" + account + ":"
	for _, c := range []struct {
		operation, body string
		want            []string // behind arn, or in full
	}{
		{"ListFirewalls", `{}`, []string{"*"}},
		{"ListRuleGroups", `{"Type":"STATEFUL"}`, []string{"*"}},
		{"DescribeFirewall", `{"FirewallName":"edge"}`, []string{"firewall/edge"}},
		{"DescribeFirewall", `{"FirewallName":"edge","FirewallArn":"` + arn + `firewall/edge"}`, []string{"firewall/edge"}},
		{"DescribeFirewall", `{"FirewallArn":"arn:aws-us-gov:network-firewall:us-west-2:444455556666:firewall/x"}`, []string{"arn:aws:network-firewall:us-west-2:444455556666:firewall/x"}},
		{"AssociateFirewallPolicy", `{"FirewallName":"edge","FirewallPolicyArn":"` + arn + `firewall-policy/p"}`, []string{"firewall/edge", "firewall-policy/p"}},
		{"CreateRuleGroup", `{"RuleGroupName":"g","Type":"STATELESS","Capacity":1}`, []string{"stateless-rulegroup/g"}},
		{"CreateRuleGroup", `{"RuleGroupName":"g","Type":"STATEFUL_DOMAIN","Capacity":1}`, []string{"stateful-domain-rulegroup/g"}},
		{"DeleteRuleGroup", `{"RuleGroupName":"g"}`, []string{"stateful-rulegroup/g", "stateless-rulegroup/g"}},
		{"UpdateFirewallPolicy", `{"UpdateToken":"3c9a5e71-2f04-4d8b-a6b3-8e1f7d0c4a10","FirewallPolicyName":"p","FirewallPolicy":{"StatelessDefaultActions":["aws:pass"],"StatelessFragmentDefaultActions":["aws:pass"],
			"StatefulRuleGroupReferences":[{"ResourceArn":"` + arn + `stateful-rulegroup/a"},{"ResourceArn":"arn:aws:network-firewall:us-east-1:aws-managed:stateful-rulegroup/M"}],
			"StatelessRuleGroupReferences":[{"ResourceArn":"` + arn + `stateless-rulegroup/b","Priority":1}]}}`,
			[]string{"firewall-policy/p", "stateless-rulegroup/b", "stateful-rulegroup/a", "arn:aws:network-firewall:us-east-1:aws-managed:stateful-rulegroup/M"}},
		{"StartFlowFlush", `{"FirewallArn":"` + arn + `firewall/edge","VpcEndpointAssociationArn":"` + arn + `vpc-endpoint-association/v","FlowFilters":[{}]}`, []string{"firewall/edge", "vpc-endpoint-association/v"}},
		{"TagResource", `{"ResourceArn":"` + arn + `firewall/edge","Tags":[{"Key":"a","Value":"b"}]}`, []string{"firewall/edge"}},
	} {
		t.Run(c.operation, func(t *testing.T) {
			in, err := wire.Named(c.operation).DecodeRequest([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, w := range c.want {
				if w != "*" && !strings.HasPrefix(w, "arn:") {
					w = arn + w
				}
				want = append(want, w)
			}
			if d := cmp.Diff(want, resourcesOf(in, "us-east-1", account)); d != "" {
				t.Error(d)
			}
		})
	}
}

// notResources are members of requests that look like a resource of this
// service and are none: of other services, or parts of one that is named beside.
var notResources = []string{"ProxyRuleName"}

// TestAllResourcesAreKnown: no member that names a resource is overlooked, so
// that a new version of the model cannot open a door.
func TestAllResourcesAreKnown(t *testing.T) {
	for _, op := range wire.Operations() {
		request := reflect.TypeOf(op.NewRequest()).Elem()
		for i := range request.NumField() {
			name := request.Field(i).Name
			if !slices.ContainsFunc([]string{"Arn", "Arns", "Name", "Names"}, func(end string) bool { return strings.HasSuffix(name, end) }) {
				continue
			}
			known := slices.ContainsFunc(named, func(n struct{ name, arn, kind string }) bool { return name == n.name || name == n.arn })
			if !known && !slices.Contains(notResources, name) {
				t.Errorf("%s: nobody is asked for permission on %s", op.Name, name)
			}
		}
	}
}

func TestRequestTags(t *testing.T) {
	in := &wire.CreateFirewallRequest{Tags: []wire.Tag{{Key: wire.Ptr("a"), Value: wire.Ptr("1")}, {Key: wire.Ptr("b")}}}
	tags, keys := requestTags(in)
	if d := cmp.Diff(map[string]string{"a": "1", "b": ""}, tags) + cmp.Diff([]string{"a", "b"}, keys); d != "" {
		t.Error(d)
	}
	tags, keys = requestTags(&wire.UntagResourceRequest{TagKeys: []string{"c"}})
	if len(tags) != 0 || !slices.Equal(keys, []string{"c"}) {
		t.Errorf("%v %v", tags, keys)
	}
}
