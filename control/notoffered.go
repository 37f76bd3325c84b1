package control

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// What of AWS's service is not offered, as error texts say it.
const (
	noTransitGateways = "Transit gateway attachments are not offered."
	noProxies         = "Proxies, proxy configurations and proxy rule groups are not offered."
	noContainers      = "Container associations are not offered: use reference sets."
	noPoliciesV2      = "Policies of the second kind (FirewallPolicyV2) are not offered: use firewall policies."
	noContextStores   = "Context stores are not offered: use reference sets."
)

// notOffered are the operations that Control has no methods for, and why.
var notOffered = map[string]string{
	"AcceptNetworkFirewallTransitGatewayAttachment": noTransitGateways,
	"AttachRuleGroupsToProxyConfiguration":          noProxies,
	"CreateContainerAssociation":                    noContainers,
	"CreateFirewallPolicyV2":                        noPoliciesV2,
	"CreateProxy":                                   noProxies,
	"CreateProxyConfiguration":                      noProxies,
	"CreateProxyRuleGroup":                          noProxies,
	"CreateProxyRules":                              noProxies,
	"DeleteContainerAssociation":                    noContainers,
	"DeleteFirewallPolicyV2":                        noPoliciesV2,
	"DeleteNetworkFirewallTransitGatewayAttachment": noTransitGateways,
	"DeleteProxy":                                   noProxies,
	"DeleteProxyConfiguration":                      noProxies,
	"DeleteProxyRuleGroup":                          noProxies,
	"DeleteProxyRules":                              noProxies,
	"DescribeContainerAssociation":                  noContainers,
	"DescribeFirewallPolicyV2":                      noPoliciesV2,
	"DescribeProxy":                                 noProxies,
	"DescribeProxyConfiguration":                    noProxies,
	"DescribeProxyRule":                             noProxies,
	"DescribeProxyRuleGroup":                        noProxies,
	"DetachRuleGroupsFromProxyConfiguration":        noProxies,
	"ListContainerAssociations":                     noContainers,
	"ListContextStores":                             noContextStores,
	"ListFirewallPoliciesV2":                        noPoliciesV2,
	"ListProxies":                                   noProxies,
	"ListProxyConfigurations":                       noProxies,
	"ListProxyRuleGroups":                           noProxies,
	"ListResourcesInContextStore":                   noContextStores,
	"RejectNetworkFirewallTransitGatewayAttachment": noTransitGateways,
	"UpdateContainerAssociation":                    noContainers,
	"UpdateFirewallPolicyV2":                        noPoliciesV2,
	"UpdateProxy":                                   noProxies,
	"UpdateProxyConfiguration":                      noProxies,
	"UpdateProxyRule":                               noProxies,
	"UpdateProxyRuleGroupPriorities":                noProxies,
	"UpdateProxyRulePriorities":                     noProxies,
	"UpdateProxySettings":                           noProxies,
}

// Fallback answers the operations that are not offered: a list is empty, since
// none of what it lists can be made, and so nothing else can be found. What would
// make something, or change a firewall into something, is unsupported. The code
// is one that the API model has for the operation.
func (c *Control) Fallback(_ context.Context, _ wire.Caller, op *wire.Operation, _ any) (any, error) {
	why := notOffered[op.Name]
	if why == "" {
		return nil, wire.UnknownOperationException("%s is not supported.", op.Name)
	}
	if op.Result != "" {
		out := op.NewResponse()
		list := reflect.ValueOf(out).Elem().FieldByName(op.Result)
		list.Set(reflect.MakeSlice(list.Type(), 0, 0))
		return out, nil
	}
	makes := strings.HasPrefix(op.Name, "Create") || op.Name == "UpdateProxySettings"
	switch {
	case !makes:
		return nil, wire.ResourceNotFoundException("%s", why)
	case slices.Contains(op.Errors, "UnsupportedOperationException"):
		return nil, wire.UnsupportedOperationException("%s", why)
	}
	return nil, wire.InvalidRequestException("%s", why)
}
