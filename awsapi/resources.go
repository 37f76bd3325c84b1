package awsapi

import (
	"reflect"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// anyResource is the resource of operations that are about none in particular.
const anyResource = "*"

// named are the members of requests that name a resource, or several, with the
// member that has the same as an ARN, and the resource type in ARNs. AWS: "Actions,
// resources, and condition keys for AWS Network Firewall".
var named = []struct{ name, arn, kind string }{
	{"FirewallName", "FirewallArn", "firewall"},
	{"FirewallPolicyName", "FirewallPolicyArn", "firewall-policy"},
	{"FirewallPolicyV2Name", "FirewallPolicyV2Arn", "firewall-policy-v2"},
	{"RuleGroupName", "RuleGroupArn", "-rulegroup"}, // behind the request's Type
	{"TLSInspectionConfigurationName", "TLSInspectionConfigurationArn", "tls-configuration"},
	{"ContainerAssociationName", "ContainerAssociationArn", "container-association"},
	{"ProxyName", "ProxyArn", "proxy"},
	{"ProxyConfigurationName", "ProxyConfigurationArn", "proxy-configuration"},
	{"ProxyRuleGroupName", "ProxyRuleGroupArn", "proxy-rule-group"},
	{"RuleGroupNames", "RuleGroupArns", "proxy-rule-group"},
	{"", "VpcEndpointAssociationArn", ""},
	{"", "ResourceArn", ""},
}

// resourcesOf returns the ARNs of the resources that a request is about: those
// that it names, and the rule groups that a policy in it refers to. If there is
// none, it is anyResource. Where a request has both ARN and name the ARN counts:
// they must be of the same resource to be accepted.
func resourcesOf(in any, region, account string) []string {
	request := reflect.ValueOf(in).Elem()
	var arns []string
	add := func(arn string) {
		if arn = canonicalARN(arn); !slices.Contains(arns, arn) {
			arns = append(arns, arn)
		}
	}
	for _, n := range named {
		if given := member(request, n.arn); len(given) > 0 {
			for _, arn := range given {
				add(arn)
			}
			continue
		}
		for _, name := range member(request, n.name) {
			for _, kind := range kinds(request, n.kind) {
				add("arn:aws:" + signingName + ":" + region + ":" + account + ":" + kind + "/" + name)
			}
		}
	}
	for _, arn := range references(in) {
		add(arn)
	}
	if len(arns) == 0 {
		return []string{anyResource}
	}
	return arns
}

// member returns the strings of a request's member: none if it is missing.
func member(request reflect.Value, name string) []string {
	f := request.FieldByName(name)
	if !f.IsValid() {
		return nil
	}
	switch v := f.Interface().(type) {
	case *string:
		if v != nil {
			return []string{*v}
		}
	case []string:
		return v
	}
	return nil
}

// kinds returns the resource type of a name. A rule group without a type may be
// of either: who asks must be allowed to do it to both.
func kinds(request reflect.Value, kind string) []string {
	if kind != "-rulegroup" {
		return []string{kind}
	}
	if t := member(request, "Type"); len(t) > 0 {
		return []string{strings.ReplaceAll(strings.ToLower(t[0]), "_", "-") + kind} // STATEFUL_DOMAIN
	}
	return []string{"stateful" + kind, "stateless" + kind}
}

// references returns what a firewall policy in a request refers to.
func references(in any) (arns []string) {
	var policy *wire.FirewallPolicy
	switch in := in.(type) {
	case *wire.CreateFirewallPolicyRequest:
		policy = in.FirewallPolicy
	case *wire.UpdateFirewallPolicyRequest:
		policy = in.FirewallPolicy
	}
	if policy == nil {
		return nil
	}
	for _, r := range policy.StatelessRuleGroupReferences {
		arns = append(arns, wire.Val(r.ResourceArn))
	}
	for _, r := range policy.StatefulRuleGroupReferences {
		arns = append(arns, wire.Val(r.ResourceArn))
	}
	if policy.TLSInspectionConfigurationArn != nil {
		arns = append(arns, *policy.TLSInspectionConfigurationArn)
	}
	return arns
}

// canonicalARN is the ARN that policies are asked about. All partitions (aws-cn,
// ...) are one here, so a Deny must not be escaped by writing another.
func canonicalARN(arn string) string {
	parts := strings.SplitN(arn, ":", 3)
	if len(parts) == 3 && parts[0] == "arn" && strings.HasPrefix(parts[1], "aws") {
		return "arn:aws:" + parts[2]
	}
	return arn
}

// requestTags returns the tags that a request would set, and the keys of all
// that it names.
func requestTags(in any) (tags map[string]string, keys []string) {
	request := reflect.ValueOf(in).Elem()
	if f := request.FieldByName("Tags"); f.IsValid() {
		if list, ok := f.Interface().([]wire.Tag); ok && len(list) > 0 {
			tags = make(map[string]string, len(list))
			for _, t := range list {
				tags[wire.Val(t.Key)] = wire.Val(t.Value)
				keys = append(keys, wire.Val(t.Key))
			}
		}
	}
	return tags, append(keys, member(request, "TagKeys")...)
}
