// Package clients_test runs AWS's own Python SDK and command line against the
// product: what they send must be understood, and what comes back must be what
// they expect. They come from the virtual environment that "make venv" makes.
package clients_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/test/rig"
)

// client returns the path of a program of the virtual environment. Without it,
// the test is skipped, unless the environment says that it must run.
func client(t *testing.T, program string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../.venv/bin", program))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("%v: run make venv", err)
		}
		t.Skipf("AWS's clients are not installed (%v): run make venv", err)
	}
	return path
}

// environment is all that a client sees: no profile or credentials of whoever
// runs the tests.
func environment(t *testing.T, r *rig.Rig) []string {
	home := t.TempDir()
	return []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"AWS_REGION=" + rig.Region, "AWS_DEFAULT_REGION=" + rig.Region,
		"AWS_ACCESS_KEY_ID=" + rig.KeyID, "AWS_SECRET_ACCESS_KEY=" + rig.Secret,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=",
		"AWS_ENDPOINT_URL_NETWORK_FIREWALL=" + r.Box.URL(),
		"SLUICE_OTHER_ACCOUNT=" + rig.Other, "SLUICE_OTHER_KEY_ID=" + rig.OtherKeyID, "SLUICE_OTHER_SECRET=" + rig.OtherSecret,
		"SLUICE_URL=" + r.Box.URL(), "SLUICE_ZONE=" + rig.Zone, "SLUICE_ACCOUNT=" + rig.Account, "SLUICE_FIREWALL=" + r.Firewall,
	}
}

// python runs a script of this folder, one unittest file.
func python(t *testing.T, r *rig.Rig, script string, variables ...string) {
	t.Helper()
	cmd := exec.CommandContext(r.Ctx, client(t, "python"), "-W", "error::ResourceWarning", script, "-v")
	cmd.Env = append(environment(t, r), variables...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	t.Logf("%s", out)
}

func TestBoto3Signatures(t *testing.T) {
	client(t, "python")
	python(t, rig.Start(t, rig.Setup{}), "signature_test.py")
}

// TestVectors has botocore sign what the verifier is tested with.
func TestVectors(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), client(t, "python"), "vectors_test.py", "-v")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1", "SLUICE_VECTORS=../../awsapi/sigv4/testdata/vectors.json"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestBoto3Sharing has two accounts share resources and use what the other shares.
func TestBoto3Sharing(t *testing.T) {
	client(t, "python")
	python(t, rig.Start(t, rig.Setup{Other: true}), "sharing_test.py")
}

func TestBoto3Lifecycle(t *testing.T) {
	client(t, "python")
	python(t, rig.Start(t, rig.Setup{}), "lifecycle_test.py")
}

// TestBoto3Flows flushes a download from Python; it must end, and UDP must not.
func TestBoto3Flows(t *testing.T) {
	client(t, "python")
	r := rig.Start(t, rig.Setup{Exception: types.StreamExceptionPolicyReject})
	d := r.Download("10.0.0.1:40000", "192.0.2.10:80")
	four, six := r.Echo("10.0.0.1:40000", "192.0.2.53:53"), r.Echo("[fd00::1]:40000", "[2001:db8::53]:53")
	four.Say("hello")
	six.Say("hello")
	python(t, r, "flows_test.py")
	d.Send()
	if err := d.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the flushed download ended by %v, want ECONNRESET", err)
	}
	if err := d.ServerEnd(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server's connection ended by %v, want ECONNRESET", err)
	}
	four.Say("still there")
	six.Say("still there")
}

// TestBoto3Endpoints flushes the flows of one endpoint from Python.
func TestBoto3Endpoints(t *testing.T) {
	client(t, "python")
	r := rig.Start(t, rig.Setup{Endpoint: "subnet-0d4e5f6a"})
	r.Echo("10.0.0.1:40000", "192.0.2.53:53").Say("hello")
	r.At().Echo("10.0.0.1:40000", "192.0.2.53:53").Say("hello")
	r.At().Echo("10.0.0.1:40001", "192.0.2.54:53").Say("hello")
	python(t, r, "endpoints_test.py", "SLUICE_SUBNET=subnet-0d4e5f6a")
}

// TestExtensions calls Sluice's own operations as the document shows; the
// download ends by the exception policy of its flush, and UDP goes on.
func TestExtensions(t *testing.T) {
	client(t, "python")
	r := rig.Start(t, rig.Setup{})
	d, e := r.Download("10.0.0.1:40000", "192.0.2.10:80"), r.Echo("10.0.0.1:40000", "192.0.2.53:53")
	e.Say("hello")
	python(t, r, "extensions_test.py")
	d.Send()
	if err := d.Receive(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the flushed download ended by %v, want ECONNRESET", err)
	}
	e.Say("still there")
}

// cli is the AWS command line.
type cli struct {
	*testing.T
	r    *rig.Rig
	path string
	env  []string
}

// run runs one command of network-firewall and returns its answer, or what it
// printed as the reason of its failure.
func (c *cli) run(args ...string) (answer map[string]any, failure string) {
	c.Helper()
	cmd := exec.CommandContext(c.r.Ctx, c.path, append([]string{"network-firewall"}, args...)...)
	cmd.Env = c.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			c.Fatal(err)
		}
		return nil, stderr.String()
	}
	if stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
			c.Fatalf("aws network-firewall %s: %v:\n%s", strings.Join(args, " "), err, stdout.Bytes())
		}
	}
	return answer, ""
}

// must runs a command that must succeed and returns the member at path of its answer.
func (c *cli) must(path string, args ...string) string {
	c.Helper()
	answer, failure := c.run(args...)
	if failure != "" {
		c.Fatalf("aws network-firewall %s: %s", strings.Join(args, " "), failure)
	}
	var at any = answer
	for name := range strings.SplitSeq(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[name]
		case []any:
			if len(v) != 1 {
				c.Fatalf("aws network-firewall %s: %d entries before %q, want one: %v", strings.Join(args, " "), len(v), name, v)
			}
			at = v[0].(map[string]any)[name]
		}
	}
	if at == nil {
		c.Fatalf("aws network-firewall %s: no %s in %v", strings.Join(args, " "), path, answer)
	}
	return fmt.Sprint(at)
}

// file writes a document for the file:// parameters.
func (c *cli) file(text string) string {
	c.Helper()
	path := filepath.Join(c.TempDir(), "document.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	return "file://" + path
}

// TestCommandLine builds a second firewall by hand and flushes a flow of the
// first, with the stock aws command.
func TestCommandLine(t *testing.T) {
	path := client(t, "aws")
	r := rig.Start(t, rig.Setup{})
	c := &cli{T: t, r: r, path: path, env: environment(t, r)}

	group := c.must("RuleGroupResponse.RuleGroupArn", "create-rule-group", "--rule-group-name", "egress", "--type", "STATEFUL", "--capacity", "10",
		"--tags", "Key=team,Value=edge", "--rule-group", c.file(`{
			"RuleVariables": {"IPSets": {"HOME_NET": {"Definition": ["10.0.0.0/8"]}}},
			"RulesSource": {"RulesString": "drop tls $HOME_NET any -> any any (tls.sni; content:\"bad.example\"; endswith; msg:\"bad\"; sid:1; rev:1;)"},
			"StatefulRuleOptions": {"RuleOrder": "STRICT_ORDER"}}`))
	policy := c.must("FirewallPolicyResponse.FirewallPolicyArn", "create-firewall-policy", "--firewall-policy-name", "strict", "--firewall-policy", c.file(`{
			"StatelessDefaultActions": ["aws:forward_to_sfe"], "StatelessFragmentDefaultActions": ["aws:forward_to_sfe"],
			"StatefulRuleGroupReferences": [{"ResourceArn": "`+group+`", "Priority": 1}],
			"StatefulDefaultActions": ["aws:drop_established", "aws:alert_established"],
			"StatefulEngineOptions": {"RuleOrder": "STRICT_ORDER", "StreamExceptionPolicy": "REJECT"}}`))
	firewall := c.must("Firewall.FirewallArn", "create-firewall", "--firewall-name", "second", "--firewall-policy-arn", policy,
		"--vpc-id", "vpc-0a1b2c3d", "--subnet-mappings", "SubnetId=subnet-0a1b2c3d")
	r.Until("the second firewall is READY", func() bool {
		return c.must("FirewallStatus.Status", "describe-firewall", "--firewall-arn", firewall) == "READY"
	})

	_, failure := c.run("create-rule-group", "--rule-group-name", "broken", "--type", "STATEFUL", "--capacity", "10",
		"--rules", `pass tcp any any -> any any (msg:"no sid here";)`)
	for _, want := range []string{"(InvalidRequestException)", "CreateRuleGroup operation", "stateful rule is invalid, rule: pass tcp any any -> any any", "reason: sid not assigned"} {
		if !strings.Contains(failure, want) {
			t.Errorf("a rule without sid fails by %q, which lacks %q", failure, want)
		}
	}

	d, e := r.Download("10.0.0.1:40000", "192.0.2.10:80"), r.Echo("10.0.0.1:40000", "192.0.2.53:53")
	e.Say("hello")
	id := c.must("FlowOperationId", "start-flow-flush", "--firewall-arn", r.Firewall, "--availability-zone", rig.Zone, "--minimum-flow-age-in-seconds", "0",
		"--flow-filters", "SourceAddress={AddressDefinition=10.0.0.1/32},DestinationAddress={AddressDefinition=192.0.2.53},SourcePort=40000,DestinationPort=53,Protocols=17")
	r.Until("the flush has ended", func() bool {
		return c.must("FlowOperationStatus", "describe-flow-operation", "--firewall-arn", r.Firewall, "--flow-operation-id", id) != "IN_PROGRESS"
	})
	for member, want := range map[string]string{
		"FlowOperationStatus": "COMPLETED", "Flows.SourceAddress.AddressDefinition": "10.0.0.1", "Flows.DestinationPort": "53", "Flows.PacketCount": "2",
	} {
		if got := c.must(member, "list-flow-operation-results", "--firewall-arn", r.Firewall, "--flow-operation-id", id); got != want {
			t.Errorf("%s of the results is %s, want %s", member, got, want)
		}
	}
	if got := c.must("FlowOperations.FlowOperationId", "list-flow-operations", "--firewall-arn", r.Firewall, "--flow-operation-type", "FLOW_FLUSH"); got != id {
		t.Errorf("list-flow-operations has %s, want %s", got, id)
	}
	if err := d.Next(); err != nil {
		t.Errorf("the download beside the flushed flow: %v", err)
	}
	if _, failure = c.run("start-flow-flush", "--firewall-arn", r.Firewall+"x", "--flow-filters", "DestinationPort=53"); !strings.Contains(failure, "(ResourceNotFoundException)") {
		t.Errorf("an unknown firewall: %s", failure)
	}
}
