package control

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/awsapi/wire"
)

var update = flag.Bool("update", false, "write the table of docs/api.md")

// modelPrefix is the target prefix of AWS's operations.
const modelPrefix = "NetworkFirewall_20201112"

// operations are those of AWS's model, by name.
func operations() map[string]*wire.Operation {
	all := map[string]*wire.Operation{}
	for _, op := range wire.Operations() {
		if op.Prefix == modelPrefix {
			all[op.Name] = &op
		}
	}
	return all
}

// offered are the operations that there are methods for, with what is known to
// differ from AWS.
var offered = map[string]string{
	"AssociateAvailabilityZones": "Works on any firewall, not only on those of a transit gateway: a zone is one more that the firewall serves. A zone that the firewall serves already is refused. Zones are given by name.",
	"AssociateFirewallPolicy":    "",
	"AssociateSubnets":           "Subnets are not looked up. The configuration says which zone a subnet is in, and several may be in one zone.",
	"CreateFirewall": "TransitGatewayId, NatGatewayMappings, ProxySettings, NoSourcePreservation and VpcEndpoint are refused. AvailabilityZoneMappings needs no transit gateway, and may stand beside subnets or alone. " +
		"VPCs and subnets are not looked up. A firewall is READY when an engine node runs in each of its zones.",
	"CreateFirewallPolicy":                   "TLSInspectionConfigurationArn is refused: the engine does not decrypt TLS. There are no managed rule groups. DeepThreatInspection is kept only.",
	"CreateRuleGroup":                        "A rule that the engine cannot run is refused, with line and column. A reference set may be unknown: it is empty until an operator fills it. SummaryConfiguration is refused for STATELESS groups.",
	"CreateTLSInspectionConfiguration":       "Certificates are not looked up: their serial numbers and states are left out.",
	"CreateVpcEndpointAssociation":           "The endpoint is a name: which packets meet a firewall is part of the configuration of its nodes. The subnet must be in a zone that the firewall serves.",
	"DeleteFirewall":                         "Takes effect at once. Route tables are not looked at.",
	"DeleteFirewallPolicy":                   "Takes effect at once.",
	"DeleteResourcePolicy":                   "What others use already they keep using, and it cannot be deleted until they stop.",
	"DeleteRuleGroup":                        "Takes effect at once.",
	"DeleteTLSInspectionConfiguration":       "Takes effect at once.",
	"DeleteVpcEndpointAssociation":           "Takes effect at once.",
	"DescribeFirewall":                       "A zone shows its primary endpoint if it has several. StatusMessage tells when a node attaches packets to an endpoint that the firewall has not. CapacityUsageSummary is left out without reference sets.",
	"DescribeFirewallMetadata":               "",
	"DescribeFirewallPolicy":                 "",
	"DescribeFlowOperation":                  "",
	"DescribeLoggingConfiguration":           "",
	"DescribeResourcePolicy":                 "",
	"DescribeRuleGroup":                      "",
	"DescribeRuleGroupMetadata":              "",
	"DescribeRuleGroupSummary":               "Domain lists are summarized by the rules that they stand for.",
	"DescribeTLSInspectionConfiguration":     "",
	"DescribeVpcEndpointAssociation":         "StatusMessage tells when no engine node attaches packets to the endpoint.",
	"DisassociateAvailabilityZones":          "See AssociateAvailabilityZones. A zone with an endpoint association stays.",
	"DisassociateSubnets":                    "A firewall keeps at least one subnet or zone. The last subnet of a zone with an endpoint association stays.",
	"GetAnalysisReportResults":               "Each node contributes its 10,000 domains with the most hits. A source that several nodes saw counts as several. Rows are in order of hits.",
	"ListAnalysisReports":                    "",
	"ListFirewallPolicies":                   "Policies that others share come last.",
	"ListFirewalls":                          "Firewalls that others share come last. With VpcIds there are none of them.",
	"ListFlowOperationResults":               "",
	"ListFlowOperations":                     "",
	"ListRuleGroups":                         "There are no managed rule groups: Scope MANAGED gives an empty list. Groups that others share come last.",
	"ListTLSInspectionConfigurations":        "",
	"ListTagsForResource":                    "",
	"ListVpcEndpointAssociations":            "",
	"PutResourcePolicy":                      "There are no share invitations: a policy acts at once. Statements allow, without conditions, to accounts, users and roles. Deny, Condition, NotPrincipal, NotAction and wildcards in Action and Resource are refused. Any part of the operations that can be shared is taken, not only all of them together.",
	"StartAnalysisReport":                    "Engine nodes make the report. It fails when one of the firewall's nodes does not answer within a minute. One report of a type runs at a time. What an engine saw is lost when it restarts. Hits are counted by whole days (UTC), sources since the domain was first seen, from 128 on as an estimate.",
	"StartFlowCapture":                       "VpcEndpointId may be any endpoint of the firewall's subnets and zones, associations excepted. The configuration of the nodes says which packets meet which endpoint.",
	"StartFlowFlush":                         "As for StartFlowCapture.",
	"TagResource":                            "",
	"UntagResource":                          "",
	"UpdateAvailabilityZoneChangeProtection": "Works on any firewall, not only on those of a transit gateway.",
	"UpdateFirewallAnalysisSettings":         "",
	"UpdateFirewallDeleteProtection":         "",
	"UpdateFirewallDescription":              "",
	"UpdateFirewallEncryptionConfiguration":  "Keys are not looked up, and nothing is encrypted with them.",
	"UpdateFirewallPolicy":                   "As for CreateFirewallPolicy. A missing Description clears it.",
	"UpdateFirewallPolicyChangeProtection":   "",
	"UpdateLoggingConfiguration":             "Destinations are looked up if logs go to services, for at most 10 seconds; otherwise they are files.",
	"UpdateRuleGroup":                        "As for CreateRuleGroup. A missing Description clears it.",
	"UpdateSubnetChangeProtection":           "",
	"UpdateTLSInspectionConfiguration":       "A missing Description clears it.",
}

// stored are those of them whose effect is that they are kept.
var stored = []string{
	"CreateTLSInspectionConfiguration",
	"DeleteTLSInspectionConfiguration",
	"DescribeTLSInspectionConfiguration",
	"ListTLSInspectionConfigurations",
	"UpdateFirewallEncryptionConfiguration",
	"UpdateTLSInspectionConfiguration",
}

// TestEveryOperationIsAnswered: an operation of the model has a method or is said
// not to be offered.
func TestEveryOperationIsAnswered(t *testing.T) {
	for name := range operations() {
		_, method := reflect.TypeFor[*Control]().MethodByName(name)
		_, known := offered[name]
		if no := notOffered[name] != ""; method == no || method != known {
			t.Errorf("%s: has a method: %v, is not offered: %v, is documented: %v", name, method, no, known)
		}
	}
	for _, name := range slices.Concat(slices.Collect(maps.Keys(offered)), slices.Collect(maps.Keys(notOffered)), stored) {
		if operations()[name] == nil {
			t.Errorf("%s is no operation of the model", name)
		}
	}
}

// TestFallback: every operation that is not offered answers with an empty list
// or an error of its model.
func TestFallback(t *testing.T) {
	w := newWorld(t, nil)
	codes := map[string]string{}
	for name, op := range operations() {
		out, err := w.Fallback(t.Context(), wire.Caller{}, op, op.NewRequest())
		why, no := notOffered[name]
		switch c := code(err); {
		case !no:
			if c != "UnknownOperationException" {
				t.Errorf("%s: got %v", name, err)
			}
		case err == nil:
			text, err := wire.Encode(out)
			if want := fmt.Sprintf(`{%q:[]}`, op.Result); err != nil || string(text) != want || reflect.TypeOf(out) != reflect.TypeOf(op.NewResponse()) {
				t.Errorf("%s: got %s (%v), want %s", name, text, err, want)
			}
			codes[name] = "[]"
		default:
			codes[name] = c
			if !slices.Contains(op.Errors, c) || !strings.HasSuffix(err.Error(), why) {
				t.Errorf("%s: got %v, and the model has %v", name, err, op.Errors)
			}
		}
	}
	for operation, want := range map[string]string{
		"ListProxies": "[]", "ListContainerAssociations": "[]", "CreateProxy": "UnsupportedOperationException", "CreateProxyRules": errInvalid,
		"DescribeProxy": errMissing, "DeleteContainerAssociation": errMissing, "UpdateProxySettings": errInvalid,
		"AcceptNetworkFirewallTransitGatewayAttachment": errMissing,
	} {
		if codes[operation] != want {
			t.Errorf("%s: got %s, want %s", operation, codes[operation], want)
		}
	}
}

// TestDocument: the table of docs/api.md is that of the code.
func TestDocument(t *testing.T) {
	const (
		path  = "../docs/api.md"
		begin = "<!-- operations: written by go test ./control -run TestDocument -update -->\n"
		end   = "<!-- end of operations -->\n"
	)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s lacks the lines\n%s%s", path, begin, end)
	}
	var table strings.Builder
	table.WriteString("\n| Operation | Level | Differences from AWS |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(operations())) {
		level, text := "real", offered[name]
		if slices.Contains(stored, name) {
			level = "stored"
		}
		if why := notOffered[name]; why != "" {
			level, text = "not offered", why
		}
		fmt.Fprintf(&table, "| %s | %s | %s |\n", name, level, text)
	}
	table.WriteString("\n")
	want := head + begin + table.String() + end + tail
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatalf("%s is stale: run go test ./control -run TestDocument -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
