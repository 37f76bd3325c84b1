package lifecycle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// commandLine is the life cycle with the aws command.
func (w *world) commandLine(t *testing.T, program string) {
	env := w.environment(t)
	// run runs a command; failure is what it printed if it did not succeed.
	run := func(args ...string) (answer []byte, failure string) {
		cmd := exec.CommandContext(w.ctx, program, append([]string{"network-firewall"}, args...)...)
		cmd.Env = env
		var out, failed bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &failed
		if err := cmd.Run(); err != nil {
			return nil, err.Error() + ": " + failed.String()
		}
		return out.Bytes(), ""
	}
	// text runs a command that must succeed and returns what --query finds.
	text := func(query string, args ...string) string {
		t.Helper()
		out, failure := run(append(args, "--output", "text", "--query", query)...)
		if failure != "" {
			t.Fatalf("%v: %s", args, failure)
		}
		return strings.TrimSpace(string(out))
	}
	refused := func(code, message string, args ...string) {
		t.Helper()
		if _, failure := run(args...); !strings.Contains(failure, "("+code+")") || !strings.Contains(failure, message) {
			t.Errorf("%v: %q, want %s: %s", args, failure, code, message)
		}
	}

	group := text("RuleGroupResponse.RuleGroupArn", "create-rule-group", "--rule-group-name", "cli", "--type", "STATEFUL", "--capacity", "10", "--rules", rule)
	document := `{"StatelessDefaultActions":["aws:forward_to_sfe"],"StatelessFragmentDefaultActions":["aws:drop"],"StatefulRuleGroupReferences":[{"ResourceArn":"` + group + `"}]}`
	policy := text("FirewallPolicyResponse.FirewallPolicyArn", "create-firewall-policy", "--firewall-policy-name", "cli", "--firewall-policy", document)
	firewall := text("Firewall.FirewallArn", "create-firewall", "--firewall-name", "cli", "--firewall-policy-arn", policy,
		"--vpc-id", "vpc-0a1b2c3d", "--subnet-mappings", "SubnetId=subnet-0a1b2c3d")
	for text("FirewallStatus.Status", "describe-firewall", "--firewall-arn", firewall) != "READY" {
	}

	// What else there is.
	stateless := text("RuleGroupResponse.RuleGroupArn", "create-rule-group", "--rule-group-name", "cli", "--type", "STATELESS", "--capacity", "10", "--rule-group",
		`{"RulesSource":{"StatelessRulesAndCustomActions":{"StatelessRules":[{"Priority":1,"RuleDefinition":{"MatchAttributes":{"Sources":[{"AddressDefinition":"10.0.0.0/8"}]},"Actions":["aws:pass"]}}]}}}`)
	tls := text("TLSInspectionConfigurationResponse.TLSInspectionConfigurationArn", "create-tls-inspection-configuration", "--tls-inspection-configuration-name", "cli", "--tls-inspection-configuration",
		`{"ServerCertificateConfigurations":[{"CertificateAuthorityArn":"arn:aws:acm:us-east-1:123456789012:certificate/ca","Scopes":[{"Sources":[{"AddressDefinition":"10.0.0.0/8"}]}]}]}`)
	association := text("VpcEndpointAssociation.VpcEndpointAssociationArn", "create-vpc-endpoint-association", "--firewall-arn", firewall, "--vpc-id", "vpc-0d4e5f6a", "--subnet-mapping", "SubnetId=subnet-0d4e5f6a")
	for text("VpcEndpointAssociationStatus.Status", "describe-vpc-endpoint-association", "--vpc-endpoint-association-arn", association) != "READY" {
	}
	refused("InvalidOperationException", "is associated with it", "delete-firewall", "--firewall-arn", firewall)
	text("@", "put-resource-policy", "--resource-arn", group, "--policy", fmt.Sprintf(sharing, group))
	if got := text("Policy", "describe-resource-policy", "--resource-arn", group); got != fmt.Sprintf(sharing, group) {
		t.Errorf("the resource policy is %s", got)
	}

	refused("InvalidOperationException", inUse, "delete-rule-group", "--rule-group-arn", group)
	refused("InvalidOperationException", inUse, "delete-firewall-policy", "--firewall-policy-arn", policy)

	update := []string{"update-rule-group", "--rule-group-arn", group, "--rules", rule, "--update-token"}
	token := text("UpdateToken", "describe-rule-group", "--rule-group-arn", group)
	failures := make([]string, 4)
	var running sync.WaitGroup
	for i := range failures {
		running.Go(func() { _, failures[i] = run(append(update[:len(update):len(update)], token)...) })
	}
	running.Wait()
	won := 0
	for _, failure := range failures {
		if failure == "" {
			won++
		} else if !strings.Contains(failure, "(InvalidTokenException)") {
			t.Errorf("one of the updates at once: %s", failure)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d updates with one token succeeded, want one", won, len(failures))
	}
	token = text("UpdateToken", "describe-firewall-policy", "--firewall-policy-arn", policy)
	if got := text("FirewallPolicyResponse.Description", "update-firewall-policy", "--firewall-policy-arn", policy, "--firewall-policy", document,
		"--description", "changed", "--update-token", token); got != "changed" {
		t.Errorf("after the update the description is %q", got)
	}

	text("@", "tag-resource", "--resource-arn", firewall, "--tags", "Key=team,Value=edge", "Key=cost,Value=1")
	text("@", "untag-resource", "--resource-arn", firewall, "--tag-keys", "cost")
	if got := text("Tags[].[Key,Value]", "list-tags-for-resource", "--resource-arn", firewall); got != "team\tedge" {
		t.Errorf("the tags are %q", got)
	}

	alert := `{"LogType":"ALERT","LogDestinationType":"CloudWatchLogs","LogDestination":{"logGroup":"alert"}}`
	flow := strings.NewReplacer("ALERT", "FLOW", "alert", "flow").Replace(alert)
	logging := func(destinations ...string) []string {
		return []string{"update-logging-configuration", "--firewall-arn", firewall, "--logging-configuration", `{"LogDestinationConfigs":[` + strings.Join(destinations, ",") + `]}`}
	}
	refused("InvalidRequestException", "multiple log destination configs", logging(alert, flow)...)
	text("@", logging(alert)...)
	text("@", logging(alert, flow)...)
	if got := text("LoggingConfiguration.LogDestinationConfigs[].LogType", "describe-logging-configuration", "--firewall-arn", firewall); got != "ALERT\tFLOW" {
		t.Errorf("the destinations are for %q", got)
	}
	text("@", logging(flow)...)
	text("@", logging()...)

	listed, failure := run("list-rule-groups", "--page-size", "100", "--output", "json", "--query", "RuleGroups[?starts_with(Name, 'many-')].Name")
	if failure != "" {
		t.Fatal(failure)
	}
	var names []string
	if err := json.Unmarshal(listed, &names); err != nil {
		t.Fatal(err)
	}
	distinct := map[string]bool{}
	for _, n := range names {
		distinct[n] = true
	}
	if len(names) != many || len(distinct) != many {
		t.Errorf("%d names, %d distinct, want %d", len(names), len(distinct), many)
	}

	text("@", "delete-resource-policy", "--resource-arn", group)
	for _, step := range [][3]string{{"vpc-endpoint-association", "--vpc-endpoint-association-arn", association},
		{"tls-inspection-configuration", "--tls-inspection-configuration-arn", tls}, {"rule-group", "--rule-group-arn", stateless}, {"firewall", "--firewall-arn", firewall}, {"firewall-policy", "--firewall-policy-arn", policy}, {"rule-group", "--rule-group-arn", group}} {
		text("@", "delete-"+step[0], step[1], step[2])
		for {
			_, failure := run("describe-"+step[0], step[1], step[2])
			if strings.Contains(failure, "(ResourceNotFoundException)") {
				break
			}
			if failure != "" {
				t.Fatal(failure)
			}
		}
	}
}
