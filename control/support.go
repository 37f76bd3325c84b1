package control

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// Level says how far an operation of the API goes here.
type Level string

const (
	Real       Level = "real"        // it does what it does on AWS
	Stored     Level = "stored"      // what it says is checked, kept and returned, and nothing acts on it
	NotOffered Level = "not offered" // lists are empty, everything else is refused
)

// Support is how an operation is supported.
type Support struct {
	Operation   string
	Level       Level
	Differences string // known differences from AWS as sentences, "" for none
}

// What is not offered, as error texts and Differences name it.
const (
	noTransitGateways = "Transit gateway attachments are not offered."
	noProxies         = "Proxies, proxy configurations and proxy rule groups are not offered."
	noContainers      = "Container associations are not offered: use reference sets."
)

// support says of every operation of the API model how it is supported.
var support = map[string]Support{
	"AcceptNetworkFirewallTransitGatewayAttachment": {Level: NotOffered, Differences: noTransitGateways},
	"AssociateAvailabilityZones":                    {Differences: "Works on any firewall, not only on those of a transit gateway: a zone is one more that the firewall serves. A zone that the firewall serves already is refused. Zones are given by name."},
	"AssociateFirewallPolicy":                       {},
	"AssociateSubnets":                              {Differences: "Subnets are not looked up. The configuration says which zone a subnet is in, and several may be in one zone."},
	"AttachRuleGroupsToProxyConfiguration":          {Level: NotOffered, Differences: noProxies},
	"CreateContainerAssociation":                    {Level: NotOffered, Differences: noContainers},
	"CreateFirewall": {Differences: "TransitGatewayId, NatGatewayMappings, ProxySettings, NoSourcePreservation and VpcEndpoint are refused. AvailabilityZoneMappings needs no transit gateway, and may stand beside subnets or alone. " +
		"VPCs and subnets are not looked up. A firewall is READY when an engine node runs in each of its zones."},
	"CreateFirewallPolicy":                          {Differences: "TLSInspectionConfigurationArn is refused: the engine does not decrypt TLS. There are no managed rule groups. DeepThreatInspection is kept only."},
	"CreateProxy":                                   {Level: NotOffered, Differences: noProxies},
	"CreateProxyConfiguration":                      {Level: NotOffered, Differences: noProxies},
	"CreateProxyRuleGroup":                          {Level: NotOffered, Differences: noProxies},
	"CreateProxyRules":                              {Level: NotOffered, Differences: noProxies},
	"CreateRuleGroup":                               {Differences: "A rule that the engine cannot run is refused, with line and column. A reference set may be unknown: it is empty until an operator fills it. SummaryConfiguration is refused for STATELESS groups."},
	"CreateTLSInspectionConfiguration":              {Level: Stored, Differences: "Certificates are not looked up: their serial numbers and states are left out."},
	"CreateVpcEndpointAssociation":                  {Differences: "The endpoint is a name: which packets meet a firewall is part of the configuration of its nodes. The subnet must be in a zone that the firewall serves."},
	"DeleteContainerAssociation":                    {Level: NotOffered, Differences: noContainers},
	"DeleteFirewall":                                {Differences: "Takes effect at once. Route tables are not looked at."},
	"DeleteFirewallPolicy":                          {Differences: "Takes effect at once."},
	"DeleteNetworkFirewallTransitGatewayAttachment": {Level: NotOffered, Differences: noTransitGateways},
	"DeleteProxy":                                   {Level: NotOffered, Differences: noProxies},
	"DeleteProxyConfiguration":                      {Level: NotOffered, Differences: noProxies},
	"DeleteProxyRuleGroup":                          {Level: NotOffered, Differences: noProxies},
	"DeleteProxyRules":                              {Level: NotOffered, Differences: noProxies},
	"DeleteResourcePolicy":                          {Level: Stored},
	"DeleteRuleGroup":                               {Differences: "Takes effect at once."},
	"DeleteTLSInspectionConfiguration":              {Level: Stored, Differences: "Takes effect at once."},
	"DeleteVpcEndpointAssociation":                  {Differences: "Takes effect at once."},
	"DescribeContainerAssociation":                  {Level: NotOffered, Differences: noContainers},
	"DescribeFirewall":                              {Differences: "A zone shows one endpoint if it has several. CapacityUsageSummary is left out without reference sets."},
	"DescribeFirewallMetadata":                      {},
	"DescribeFirewallPolicy":                        {},
	"DescribeFlowOperation":                         {},
	"DescribeLoggingConfiguration":                  {},
	"DescribeProxy":                                 {Level: NotOffered, Differences: noProxies},
	"DescribeProxyConfiguration":                    {Level: NotOffered, Differences: noProxies},
	"DescribeProxyRule":                             {Level: NotOffered, Differences: noProxies},
	"DescribeProxyRuleGroup":                        {Level: NotOffered, Differences: noProxies},
	"DescribeResourcePolicy":                        {Level: Stored},
	"DescribeRuleGroup":                             {},
	"DescribeRuleGroupMetadata":                     {},
	"DescribeRuleGroupSummary":                      {Differences: "Domain lists are summarized by the rules that they stand for."},
	"DescribeTLSInspectionConfiguration":            {Level: Stored},
	"DescribeVpcEndpointAssociation":                {},
	"DetachRuleGroupsFromProxyConfiguration":        {Level: NotOffered, Differences: noProxies},
	"DisassociateAvailabilityZones":                 {Differences: "See AssociateAvailabilityZones. A zone with an endpoint association stays."},
	"DisassociateSubnets":                           {Differences: "A firewall keeps at least one subnet or zone. The last subnet of a zone with an endpoint association stays."},
	"GetAnalysisReportResults":                      {Differences: "Each node contributes its 10,000 domains with the most hits. A source that several nodes saw counts as several. Rows are in order of hits."},
	"ListAnalysisReports":                           {},
	"ListContainerAssociations":                     {Level: NotOffered, Differences: noContainers},
	"ListFirewallPolicies":                          {},
	"ListFirewalls":                                 {},
	"ListFlowOperationResults":                      {},
	"ListFlowOperations":                            {},
	"ListProxies":                                   {Level: NotOffered, Differences: noProxies},
	"ListProxyConfigurations":                       {Level: NotOffered, Differences: noProxies},
	"ListProxyRuleGroups":                           {Level: NotOffered, Differences: noProxies},
	"ListRuleGroups":                                {Differences: "There are no managed rule groups: Scope MANAGED gives an empty list."},
	"ListTLSInspectionConfigurations":               {Level: Stored},
	"ListTagsForResource":                           {},
	"ListVpcEndpointAssociations":                   {},
	"PutResourcePolicy":                             {Level: Stored, Differences: "Statements allow, without conditions, to accounts, users and roles. Deny, Condition, NotPrincipal, NotAction and wildcards in Action and Resource are refused."},
	"RejectNetworkFirewallTransitGatewayAttachment": {Level: NotOffered, Differences: noTransitGateways},
	"StartAnalysisReport":                           {Differences: "Engine nodes make the report. It fails when one of the firewall's nodes does not answer within a minute. One report of a type runs at a time."},
	"StartFlowCapture":                              {Differences: "VpcEndpointId and VpcEndpointAssociationArn choose the whole zone of the endpoint."},
	"StartFlowFlush":                                {Differences: "As for StartFlowCapture."},
	"TagResource":                                   {},
	"UntagResource":                                 {},
	"UpdateAvailabilityZoneChangeProtection":        {Differences: "Works on any firewall, not only on those of a transit gateway."},
	"UpdateContainerAssociation":                    {Level: NotOffered, Differences: noContainers},
	"UpdateFirewallAnalysisSettings":                {},
	"UpdateFirewallDeleteProtection":                {},
	"UpdateFirewallDescription":                     {},
	"UpdateFirewallEncryptionConfiguration":         {Level: Stored, Differences: "Keys are not looked up, and nothing is encrypted with them."},
	"UpdateFirewallPolicy":                          {Differences: "As for CreateFirewallPolicy. A missing Description clears it."},
	"UpdateFirewallPolicyChangeProtection":          {},
	"UpdateLoggingConfiguration":                    {Differences: "Destinations are not looked up."},
	"UpdateProxy":                                   {Level: NotOffered, Differences: noProxies},
	"UpdateProxyConfiguration":                      {Level: NotOffered, Differences: noProxies},
	"UpdateProxyRule":                               {Level: NotOffered, Differences: noProxies},
	"UpdateProxyRuleGroupPriorities":                {Level: NotOffered, Differences: noProxies},
	"UpdateProxyRulePriorities":                     {Level: NotOffered, Differences: noProxies},
	"UpdateProxySettings":                           {Level: NotOffered, Differences: noProxies},
	"UpdateRuleGroup":                               {Differences: "As for CreateRuleGroup. A missing Description clears it."},
	"UpdateSubnetChangeProtection":                  {},
	"UpdateTLSInspectionConfiguration":              {Level: Stored, Differences: "A missing Description clears it."},
}

// Supported returns how every operation of the API is supported, by name.
func Supported() []Support {
	var all []Support
	for _, name := range slices.Sorted(maps.Keys(support)) {
		s := support[name]
		s.Operation = name
		if s.Level == "" {
			s.Level = Real
		}
		all = append(all, s)
	}
	return all
}

// Fallback answers the operations that Control has no method for: a list is
// empty, since none of what it lists can be made, and so nothing else can be
// found. What would make something, or change a firewall into something, is
// unsupported. The code is one that the API model has for the operation.
func (c *Control) Fallback(_ context.Context, _ wire.Caller, op *wire.Operation, _ any) (any, error) {
	s, known := support[op.Name]
	if !known || s.Level != NotOffered {
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
		return nil, wire.ResourceNotFoundException("%s", s.Differences)
	case slices.Contains(op.Errors, "UnsupportedOperationException"):
		return nil, wire.UnsupportedOperationException("%s", s.Differences)
	}
	return nil, wire.InvalidRequestException("%s", s.Differences)
}
