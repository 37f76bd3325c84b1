// Package lifecycle_test takes resources from creation to deletion with AWS's own
// clients: SDKs for Go, Python and JavaScript, and the command line.
//
// Python's come from the virtual environment that "make venv" makes, that for
// JavaScript from js/node_modules, which "make jsdeps" makes.
package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/aws/smithy-go"
	"github.com/sluicefw/sluice/onebox"
)

const (
	region, account = "us-east-1", "123456789012"
	keyID, secret   = "AKIDEXAMPLE", "wJalrXUtnFEMI"

	// within bounds every test.
	within = 3 * time.Minute

	// many is how many rule groups "many-0000", "many-0001", ... there are to be listed.
	many = 1000

	rule = `pass tcp any any -> any any (sid:1;)`
)

// world is a running box and a client.
type world struct {
	*testing.T
	ctx context.Context
	box *onebox.Box
	api *nfw.Client
}

func start(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	box, err := onebox.Start(ctx, onebox.Options{Dir: t.TempDir(), AccessKeyID: keyID, SecretAccessKey: secret, Region: region, Account: account})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := box.Close(); err != nil {
			t.Errorf("close the box: %v", err)
		}
	})
	return &world{T: t, ctx: ctx, box: box, api: nfw.New(nfw.Options{
		Region: region, BaseEndpoint: aws.String(box.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(keyID, secret, ""),
		HTTPClient:  &http.Client{Transport: transport},
	})}
}

// group makes a stateful rule group of one rule.
func (w *world) group(ctx context.Context, name string) (*nfw.CreateRuleGroupOutput, error) {
	return w.api.CreateRuleGroup(ctx, &nfw.CreateRuleGroupInput{
		RuleGroupName: &name, Type: types.RuleGroupTypeStateful, Capacity: aws.Int32(10), Rules: aws.String(rule),
	})
}

// policy makes a policy that forwards everything to the stateful engine.
func (w *world) policy(name string, groups ...string) *nfw.CreateFirewallPolicyOutput {
	w.Helper()
	document := &types.FirewallPolicy{StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:drop"}}
	for _, arn := range groups {
		document.StatefulRuleGroupReferences = append(document.StatefulRuleGroupReferences, types.StatefulRuleGroupReference{ResourceArn: &arn})
	}
	return must(w, w.api.CreateFirewallPolicy)(&nfw.CreateFirewallPolicyInput{FirewallPolicyName: &name, FirewallPolicy: document})
}

// must makes a call of the API that must succeed.
func must[In, Out any](w *world, call func(context.Context, *In, ...func(*nfw.Options)) (*Out, error)) func(*In) *Out {
	return func(in *In) *Out {
		w.Helper()
		out, err := call(w.ctx, in)
		if err != nil {
			w.Fatal(err)
		}
		return out
	}
}

// refused fails unless err is an error of the API with this code and text.
func (w *world) refused(err error, code, text string) {
	w.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || api.ErrorCode() != code || text != "" && api.ErrorMessage() != text {
		w.Errorf("%v, want %s: %s", err, code, text)
	}
}

const inUse = "Unable to delete the object because it is still in use"

// ready waits until a firewall is READY.
func (w *world) ready(name string) *nfw.DescribeFirewallOutput {
	w.Helper()
	for {
		out := must(w, w.api.DescribeFirewall)(&nfw.DescribeFirewallInput{FirewallName: &name})
		if out.FirewallStatus.Status == types.FirewallStatusValueReady {
			return out
		}
	}
}

// gone waits until describe does not find its resource any more.
func (w *world) gone(describe func() error) {
	w.Helper()
	for {
		err := describe()
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
			return
		}
		if err != nil {
			w.Fatal(err)
		}
	}
}

// required returns the path of something that a client needs. Without it the test
// is skipped, unless the environment says that it must run.
func required(t *testing.T, path, target string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		missing(t, fmt.Errorf("%w: run make %s", err, target))
	}
	return path
}

func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_CLIENTS") == "1" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// environment is all that a client sees: no profile or credentials of whoever
// runs the tests.
func (w *world) environment(t *testing.T) []string {
	return []string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1",
		"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region, "AWS_ACCESS_KEY_ID=" + keyID, "AWS_SECRET_ACCESS_KEY=" + secret,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=", "AWS_ENDPOINT_URL_NETWORK_FIREWALL=" + w.box.URL(),
	}
}

// script runs a client's program, which does what TestLifecycle's "Go" does.
func (w *world) script(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(w.ctx, program, args...)
	cmd.Env = w.environment(t)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	t.Logf("%s", out)
}

// TestLifecycle does the same with each client: create, update with tokens, tag,
// log, list 1,000 rule groups page by page, and delete, first in a wrong order.
func TestLifecycle(t *testing.T) {
	w := start(t)
	const writers = 16
	var creating sync.WaitGroup
	for first := range writers {
		creating.Go(func() {
			for i := first; i < many; i += writers {
				if _, err := w.group(w.ctx, fmt.Sprintf("many-%04d", i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	creating.Wait()
	if t.Failed() {
		return
	}
	t.Run("Go", func(t *testing.T) { (&world{t, w.ctx, w.box, w.api}).life() })
	t.Run("boto3", func(t *testing.T) { w.script(t, required(t, "../../.venv/bin/python", "venv"), "life.py") })
	t.Run("CLI", func(t *testing.T) { w.commandLine(t, required(t, "../../.venv/bin/aws", "venv")) })
	t.Run("JavaScript", func(t *testing.T) {
		node, err := exec.LookPath("node")
		if err != nil {
			missing(t, fmt.Errorf("no JavaScript to run: %w: install Node.js 20 or later", err))
		}
		required(t, "js/node_modules/@aws-sdk/client-network-firewall", "jsdeps")
		w.script(t, node, "js/life.js")
	})
}
