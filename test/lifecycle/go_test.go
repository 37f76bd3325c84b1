package lifecycle_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
)

// life is the whole life cycle with the SDK for Go.
func (w *world) life() {
	group, err := w.group(w.ctx, "go")
	if err != nil {
		w.Fatal(err)
	}
	groupArn := group.RuleGroupResponse.RuleGroupArn
	policy := w.policy("go", *groupArn)
	policyArn := policy.FirewallPolicyResponse.FirewallPolicyArn
	firewall := must(w, w.api.CreateFirewall)(&nfw.CreateFirewallInput{
		FirewallName: aws.String("go"), FirewallPolicyArn: policyArn, VpcId: aws.String("vpc-0a1b2c3d"),
		SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-0a1b2c3d")}},
	})
	firewallArn := firewall.Firewall.FirewallArn
	w.ready("go")

	remove := w.others(firewallArn, groupArn)
	w.wrongOrder(groupArn, policyArn)
	w.updates(group, policy)
	w.tags(firewallArn)
	w.logging(firewallArn)
	w.pages()

	remove()
	must(w, w.api.DeleteFirewall)(&nfw.DeleteFirewallInput{FirewallArn: firewallArn})
	w.gone(func() error {
		_, err := w.api.DescribeFirewall(w.ctx, &nfw.DescribeFirewallInput{FirewallArn: firewallArn})
		return err
	})
	must(w, w.api.DeleteFirewallPolicy)(&nfw.DeleteFirewallPolicyInput{FirewallPolicyArn: policyArn})
	w.gone(func() error {
		_, err := w.api.DescribeFirewallPolicy(w.ctx, &nfw.DescribeFirewallPolicyInput{FirewallPolicyArn: policyArn})
		return err
	})
	must(w, w.api.DeleteRuleGroup)(&nfw.DeleteRuleGroupInput{RuleGroupArn: groupArn})
	w.gone(func() error {
		_, err := w.api.DescribeRuleGroup(w.ctx, &nfw.DescribeRuleGroupInput{RuleGroupArn: groupArn})
		return err
	})
}

// others makes what else there is: a group of the other kind, a TLS inspection
// configuration, an endpoint association, which keeps its firewall from being
// deleted, and a resource policy.
func (w *world) others(firewall, group *string) (remove func()) {
	stateless := must(w, w.api.CreateRuleGroup)(&nfw.CreateRuleGroupInput{
		RuleGroupName: aws.String("go"), Type: types.RuleGroupTypeStateless, Capacity: aws.Int32(10),
		RuleGroup: &types.RuleGroup{RulesSource: &types.RulesSource{StatelessRulesAndCustomActions: &types.StatelessRulesAndCustomActions{StatelessRules: []types.StatelessRule{{
			Priority: aws.Int32(1), RuleDefinition: &types.RuleDefinition{
				MatchAttributes: &types.MatchAttributes{Sources: []types.Address{{AddressDefinition: aws.String("10.0.0.0/8")}}}, Actions: []string{"aws:pass"},
			},
		}}}}},
	}).RuleGroupResponse.RuleGroupArn
	tls := must(w, w.api.CreateTLSInspectionConfiguration)(&nfw.CreateTLSInspectionConfigurationInput{
		TLSInspectionConfigurationName: aws.String("go"),
		TLSInspectionConfiguration: &types.TLSInspectionConfiguration{ServerCertificateConfigurations: []types.ServerCertificateConfiguration{{
			CertificateAuthorityArn: aws.String("arn:aws:acm:us-east-1:123456789012:certificate/ca"),
			Scopes:                  []types.ServerCertificateScope{{Sources: []types.Address{{AddressDefinition: aws.String("10.0.0.0/8")}}}},
		}}},
	}).TLSInspectionConfigurationResponse.TLSInspectionConfigurationArn
	association := must(w, w.api.CreateVpcEndpointAssociation)(&nfw.CreateVpcEndpointAssociationInput{
		FirewallArn: firewall, VpcId: aws.String("vpc-0d4e5f6a"), SubnetMapping: &types.SubnetMapping{SubnetId: aws.String("subnet-0d4e5f6a")},
	}).VpcEndpointAssociation.VpcEndpointAssociationArn
	describe := &nfw.DescribeVpcEndpointAssociationInput{VpcEndpointAssociationArn: association}
	for must(w, w.api.DescribeVpcEndpointAssociation)(describe).VpcEndpointAssociationStatus.Status != types.FirewallStatusValueReady {
	}
	_, err := w.api.DeleteFirewall(w.ctx, &nfw.DeleteFirewallInput{FirewallArn: firewall})
	w.refused(err, "InvalidOperationException", "")
	text := fmt.Sprintf(sharing, *group)
	must(w, w.api.PutResourcePolicy)(&nfw.PutResourcePolicyInput{ResourceArn: group, Policy: &text})
	if got := must(w, w.api.DescribeResourcePolicy)(&nfw.DescribeResourcePolicyInput{ResourceArn: group}).Policy; aws.ToString(got) != text {
		w.Errorf("the resource policy is %s, want %s", aws.ToString(got), text)
	}
	return func() {
		must(w, w.api.DeleteResourcePolicy)(&nfw.DeleteResourcePolicyInput{ResourceArn: group})
		must(w, w.api.DeleteVpcEndpointAssociation)(&nfw.DeleteVpcEndpointAssociationInput{VpcEndpointAssociationArn: association})
		w.gone(func() error { _, err := w.api.DescribeVpcEndpointAssociation(w.ctx, describe); return err })
		must(w, w.api.DeleteTLSInspectionConfiguration)(&nfw.DeleteTLSInspectionConfigurationInput{TLSInspectionConfigurationArn: tls})
		must(w, w.api.DeleteRuleGroup)(&nfw.DeleteRuleGroupInput{RuleGroupArn: stateless})
	}
}

// sharing is a resource policy of a rule group.
const sharing = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":["network-firewall:CreateFirewallPolicy","network-firewall:UpdateFirewallPolicy","network-firewall:ListRuleGroups"],"Resource":"%s"}]}`

// wrongOrder deletes what others need.
func (w *world) wrongOrder(group, policy *string) {
	_, err := w.api.DeleteRuleGroup(w.ctx, &nfw.DeleteRuleGroupInput{RuleGroupArn: group})
	w.refused(err, "InvalidOperationException", inUse)
	_, err = w.api.DeleteFirewallPolicy(w.ctx, &nfw.DeleteFirewallPolicyInput{FirewallPolicyArn: policy})
	w.refused(err, "InvalidOperationException", inUse)
}

// updates changes a group, one change after the other and many at once.
func (w *world) updates(group *nfw.CreateRuleGroupOutput, policy *nfw.CreateFirewallPolicyOutput) {
	in := &nfw.UpdateRuleGroupInput{RuleGroupArn: group.RuleGroupResponse.RuleGroupArn, Rules: aws.String(rule), UpdateToken: group.UpdateToken}
	next := must(w, w.api.UpdateRuleGroup)(in).UpdateToken
	_, err := w.api.UpdateRuleGroup(w.ctx, in)
	w.refused(err, "InvalidTokenException", "")

	const writers = 16
	outcomes := make([]error, writers)
	var running sync.WaitGroup
	for i := range outcomes {
		in := &nfw.UpdateRuleGroupInput{RuleGroupArn: in.RuleGroupArn, Rules: in.Rules, UpdateToken: next}
		running.Go(func() { _, outcomes[i] = w.api.UpdateRuleGroup(w.ctx, in) })
	}
	running.Wait()
	won := 0
	for _, err := range outcomes {
		if err == nil {
			won++
		} else if _, lost := errors.AsType[*types.InvalidTokenException](err); !lost {
			w.Errorf("one of the updates at once: %v", err)
		}
	}
	if won != 1 {
		w.Errorf("%d of %d updates with one token succeeded, want one", won, writers)
	}

	document := must(w, w.api.DescribeFirewallPolicy)(&nfw.DescribeFirewallPolicyInput{FirewallPolicyName: aws.String("go")})
	updated := must(w, w.api.UpdateFirewallPolicy)(&nfw.UpdateFirewallPolicyInput{
		FirewallPolicyArn: policy.FirewallPolicyResponse.FirewallPolicyArn, FirewallPolicy: document.FirewallPolicy,
		Description: aws.String("changed"), UpdateToken: document.UpdateToken,
	})
	if aws.ToString(updated.FirewallPolicyResponse.Description) != "changed" || *updated.UpdateToken == *policy.UpdateToken {
		w.Errorf("after the update: %+v", updated.FirewallPolicyResponse)
	}
}

// tags puts tags on, reads and removes them.
func (w *world) tags(arn *string) {
	must(w, w.api.TagResource)(&nfw.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{
		{Key: aws.String("team"), Value: aws.String("edge")}, {Key: aws.String("cost"), Value: aws.String("1")},
	}})
	must(w, w.api.UntagResource)(&nfw.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"cost"}})
	tags := must(w, w.api.ListTagsForResource)(&nfw.ListTagsForResourceInput{ResourceArn: arn}).Tags
	if len(tags) != 1 || *tags[0].Key != "team" || *tags[0].Value != "edge" {
		w.Errorf("the tags are %+v, want team=edge", tags)
	}
}

// logging adds two log destinations and removes them, one at a time as AWS has it.
func (w *world) logging(arn *string) {
	var all []types.LogDestinationConfig
	for _, kind := range []types.LogType{types.LogTypeAlert, types.LogTypeFlow} {
		all = append(all, types.LogDestinationConfig{
			LogType: kind, LogDestinationType: types.LogDestinationTypeCloudwatchLogs, LogDestination: map[string]string{"logGroup": strings.ToLower(string(kind))},
		})
	}
	set := func(wanted []types.LogDestinationConfig) error {
		_, err := w.api.UpdateLoggingConfiguration(w.ctx, &nfw.UpdateLoggingConfigurationInput{
			FirewallArn: arn, LoggingConfiguration: &types.LoggingConfiguration{LogDestinationConfigs: wanted},
		})
		return err
	}
	w.refused(set(all), "InvalidRequestException", "Given logging configuration attempts to create/modify multiple log destination configs")
	if err := errors.Join(set(all[:1]), set(all)); err != nil {
		w.Fatal(err)
	}
	got := must(w, w.api.DescribeLoggingConfiguration)(&nfw.DescribeLoggingConfigurationInput{FirewallArn: arn}).LoggingConfiguration.LogDestinationConfigs
	if len(got) != 2 || got[0].LogDestination["logGroup"] != "alert" || got[1].LogDestination["logGroup"] != "flow" {
		w.Errorf("the destinations are %+v", got)
	}
	_, err := w.api.DeleteFirewall(w.ctx, &nfw.DeleteFirewallInput{FirewallArn: arn})
	w.refused(err, "InvalidOperationException", "")
	if err := errors.Join(set(all[1:]), set([]types.LogDestinationConfig{})); err != nil {
		w.Fatal(err)
	}
}

// pages lists all rule groups, 100 at a time.
func (w *world) pages() {
	var names []string
	pages := 0
	for p := nfw.NewListRuleGroupsPaginator(w.api, &nfw.ListRuleGroupsInput{MaxResults: aws.Int32(100)}); p.HasMorePages(); pages++ {
		page, err := p.NextPage(w.ctx)
		if err != nil {
			w.Fatal(err)
		}
		for _, g := range page.RuleGroups {
			if strings.HasPrefix(*g.Name, "many-") {
				names = append(names, *g.Name)
			}
		}
	}
	slices.Sort(names)
	if distinct := len(slices.Compact(slices.Clone(names))); len(names) != many || distinct != many || pages != many/100+1 {
		w.Errorf("%d names, %d distinct, in %d pages; want %d in %d", len(names), distinct, pages, many, many/100+1)
	}
}
