package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sys/unix"

	"github.com/sluicefw/sluice/supervise"
)

// The test binary plays sluice when this is set. Its engines inherit it.
const asSluice = "TEST_BINARY_IS_SLUICE"

func TestMain(m *testing.M) {
	if os.Getenv(asSluice) != "" {
		main()
	}
	os.Exit(m.Run())
}

// patience bounds what a test waits for.
const patience = 30 * time.Second

// running is a sluice process that the test started.
type running struct {
	cmd    *exec.Cmd
	out    *bufio.Scanner // standard output and error, and the engine's
	said   []string       // lines that nobody has asked for yet
	url    string         // of the API
	waited bool
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asSluice+"=1", "SLUICE_CONFIG=/dev/null")
	return cmd
}

// startServe runs "sluice serve" on dir and waits until it serves.
func startServe(t *testing.T, dir string, start func(*exec.Cmd) error, args ...string) *running {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.SetReadDeadline(time.Now().Add(patience)) // a line that never comes must not hang the test
	cmd := command(append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Stdout, cmd.Stderr = w, w
	if err := start(cmd); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p := &running{cmd: cmd, out: bufio.NewScanner(r)}
	t.Cleanup(func() {
		p.end(syscall.SIGTERM)
		r.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := supervise.Stop(ctx, dir); err != nil {
			t.Error(err)
		}
	})
	p.url = regexp.MustCompile(`https?://\S+\d`).FindString(p.line(t, "is served at "))
	return p
}

// line waits for a line that has the text and was not returned before. The two
// processes write as they come, so lines may be asked for in any order.
func (p *running) line(t *testing.T, text string) string {
	t.Helper()
	has := func(l string) bool { return strings.Contains(l, text) }
	i := slices.IndexFunc(p.said, has)
	for i < 0 && p.out.Scan() {
		p.said = append(p.said, p.out.Text())
		i = slices.IndexFunc(p.said, has)
	}
	if i < 0 {
		t.Fatalf("%q was not said (%v), but:\n%s", text, p.out.Err(), strings.Join(p.said, "\n"))
	}
	l := p.said[i]
	p.said = slices.Delete(p.said, i, i+1)
	return l
}

// end sends a signal and returns how the process ended.
func (p *running) end(s syscall.Signal) error {
	if p.waited {
		return nil
	}
	p.waited = true
	return errors.Join(p.cmd.Process.Signal(s), p.cmd.Wait())
}

// page gets a page that needs no signature.
func (p *running) page(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(p.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// client uses the credentials file that serve has made.
func (p *running) client(t *testing.T, dir string) *networkfirewall.Client {
	t.Helper()
	cfg, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithRegion("us-east-1"),
		awsconfig.WithSharedCredentialsFiles([]string{dir + "/credentials"}), awsconfig.WithSharedConfigFiles([]string{}))
	if err != nil {
		t.Fatal(err)
	}
	return networkfirewall.NewFromConfig(cfg, func(o *networkfirewall.Options) { o.BaseEndpoint = &p.url })
}

// identity asks the engine of dir who it is; "" when none answers.
func identity(t *testing.T, dir string) string {
	t.Helper()
	resp, err := supervise.Client(dir).Get(supervise.URL("/version"))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	p := startServe(t, dir, (*exec.Cmd).Start)
	client := p.client(t, dir)
	_, err := client.CreateFirewallPolicy(t.Context(), &networkfirewall.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String("kept"),
		FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions: []string{"aws:forward_to_sfe"}, StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.ListFirewalls(t.Context(), &networkfirewall.ListFirewallsInput{}, func(o *networkfirewall.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider("AKIAAAAAAAAAAAAAAAAA", "wrong", "")
	})
	if refused, ok := errors.AsType[smithy.APIError](err); !ok || refused.ErrorCode() != "UnrecognizedClientException" {
		t.Errorf("an unknown key: %v", err)
	}
	p.line(t, "engine runs")
	if code, text := p.page(t, "/healthz"); code != 200 {
		t.Errorf("/healthz: %d %s", code, text)
	}
	_, text := p.page(t, "/metrics")
	for _, want := range []string{
		"sluice_engine_up 1", `process="engine"`, `process="serve"`,
		`sluice_api_requests_total{code="OK",operation="CreateFirewallPolicy"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	p.line(t, "engine ends")
	p.line(t, "msg=stopping")
	for p.out.Scan() { // to the end of both processes
		if strings.Contains(p.out.Text(), "level=ERROR") {
			t.Errorf("an orderly end is logged as an error: %s", p.out.Text())
		}
	}
	if id := identity(t, dir); id != "" {
		t.Errorf("an engine is left: %s", id)
	}

	again := startServe(t, dir, (*exec.Cmd).Start)
	if _, err := again.client(t, dir).DescribeFirewallPolicy(t.Context(), &networkfirewall.DescribeFirewallPolicyInput{FirewallPolicyName: aws.String("kept")}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestEngineOutlivesServe(t *testing.T) {
	dir := t.TempDir()
	p := startServe(t, dir, (*exec.Cmd).Start)
	p.line(t, "engine runs")
	before := identity(t, dir)
	p.end(syscall.SIGKILL)
	if got := identity(t, dir); got != before || before == "" {
		t.Fatalf("the engine after the death of serve: %q, before: %q", got, before)
	}
	again := startServe(t, dir, (*exec.Cmd).Start)
	if got := identity(t, dir); got != before {
		t.Errorf("the engine after the restart: %q, before: %q", got, before)
	}
	if err := again.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if got := identity(t, dir); got != "" {
		t.Errorf("the adopted engine was not stopped: %s", got)
	}
}

// A changed configuration does not take the engine out of service; stop does,
// and the next one has it.
func TestEngineStopTakesUpConfiguration(t *testing.T) {
	dir := t.TempDir()
	p := startServe(t, dir, (*exec.Cmd).Start)
	p.line(t, "engine runs")
	p.end(syscall.SIGKILL)
	again := startServe(t, dir, (*exec.Cmd).Start, "--zone", "us-east-1b")
	again.line(t, "another configuration")
	if out, err := command("engine", "stop", "--data-dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if l := again.line(t, "engine runs"); !strings.Contains(l, "zone=us-east-1b") {
		t.Errorf("the next engine: %s", l)
	}
}

// withoutNetAdmin starts a command that lacks CAP_NET_ADMIN, for root too.
func withoutNetAdmin(cmd *exec.Cmd) error { return startWithout(cmd, unix.CAP_NET_ADMIN) }

// startWithout starts a command that lacks capabilities, for root too.
func startWithout(cmd *exec.Cmd, capabilities ...uintptr) error {
	if os.Geteuid() != 0 {
		return cmd.Start()
	}
	started := make(chan error)
	go func() {
		// The bounding set is the thread's, which ends with this goroutine.
		runtime.LockOSThread()
		for _, c := range capabilities {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				started <- err
				return
			}
		}
		started <- cmd.Start()
	}()
	return <-started
}

func TestQueueThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SLUICE_ATTACH", `[{firewall: edge, nfqueue: {queues: "64000"}}]`)
	p := startServe(t, dir, withoutNetAdmin)
	p.line(t, "the engine is not running")
	code, text := p.page(t, "/readyz")
	if code != 503 || !strings.Contains(text, `attach firewall "edge"`) || !strings.Contains(text, "CAP_NET_ADMIN") || strings.Count(text, "\n") != 1 {
		t.Errorf("/readyz: %d %q, want one sentence", code, text)
	}
	if _, err := p.client(t, dir).ListFirewalls(t.Context(), &networkfirewall.ListFirewallsInput{}); err != nil {
		t.Errorf("the API is down as well: %v", err)
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	taken := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"dev for others", []string{"serve", "--dev", "--listen", ":0", "--data-dir", taken}, 2, "--dev: api.dev: every access key would be accepted at :0"},
		{"bad flag", []string{"serve", "--zone", "X"}, 2, "--zone: zone: "},
		{"argument", []string{"serve", "now"}, 2, "takes no arguments"},
		{"data directory is a file", []string{"serve", "--listen", "127.0.0.1:0", "--data-dir", "/dev/null/x"}, 1, "make the data directory"},
		{"no such address", []string{"serve", "--listen", "192.0.2.1:1", "--data-dir", taken}, 1, "listen for the API"},
		{"bad file", []string{"config", "check", "/dev/null/x"}, 1, "config: read"},
		{"good file", []string{"config", "check", "/dev/null"}, 0, "/dev/null: ok"},
		{"nothing to stop", []string{"engine", "stop", "--data-dir", taken}, 0, ""},
		{"keys", []string{"keys", "--dev", "--listen", "127.0.0.1:1", "--data-dir", taken}, 2, "unknown flag: --dev"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := command(c.args...).CombinedOutput()
			code := 0
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code || !strings.Contains(string(out), c.want) {
				t.Errorf("exit code %d, want %d, with %q in:\n%s", code, c.code, c.want, out)
			}
		})
	}
}
