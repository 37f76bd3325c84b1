// Package system_test runs the shipped binary as a Linux gateway between two
// real kernels, in network namespaces:
//
//	client (curl, a chatty session) -- gateway (sluice serve, NFQUEUE) -- server
package system_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	nfw "github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"

	"github.com/sluicefw/sluice/internal/netns"
)

const (
	apiAddr      = "127.0.0.1:4580"
	downloadPort = "8080"
	chattyPort   = "2222"
	patience     = 20 * time.Second // for everything that has to happen
	quiet        = 2 * time.Second  // how long nothing may happen
)

// sluice is the binary under test, built once.
var sluice string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sluice-system-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sluice = filepath.Join(dir, "sluice")
	build := exec.Command("go", "build", "-o", sluice, "github.com/sluicefw/sluice/cmd/sluice")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the binary:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// gateway is a running installation with the firewall "edge" on the topology.
type gateway struct {
	t      *testing.T
	topo   *netns.Topology
	dir    string
	config string
	serve  *os.Process
	api    *nfw.Client
	http   *http.Client
}

// start brings the topology up, with a firewall whose policy forwards
// everything to the stateful engine and has no rules.
func start(t *testing.T, failOpen bool, exception types.StreamExceptionPolicy) *gateway {
	netns.Require(t, netns.NFQueue)
	return startOn(t, t.TempDir(), failOpen, exception)
}

// startOn is start with everything on the disk of dir.
func startOn(t *testing.T, dir string, failOpen bool, exception types.StreamExceptionPolicy) *gateway {
	g := &gateway{t: t, topo: netns.NewTopology(t), dir: dir}
	// Connection tracking with its default, loose pickup: what it revives must not matter.
	g.topo.Gateway.Run("iptables", "-w", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	g.topo.Queue(0, 1, failOpen)
	g.config = filepath.Join(g.dir, "sluice.yaml")
	text := fmt.Sprintf(`region: us-east-1
account: "123456789012"
zone: us-east-1a
data_dir: %s
api: {listen: %q, dev: true}
attach:
  - {firewall: edge, nfqueue: {queues: "0-1", fail_open: %v}}
`, filepath.Join(g.dir, "data"), apiAddr, failOpen)
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.stopEngine)
	g.startServe()
	g.http = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return g.topo.Gateway.Dial(ctx, network, addr)
	}}, Timeout: patience}
	g.api = nfw.New(nfw.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + apiAddr), HTTPClient: g.http,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
	})
	g.eventually("the API answers", func() error { return g.get("/healthz", nil) })
	ctx := t.Context()
	pol, err := g.api.CreateFirewallPolicy(ctx, &nfw.CreateFirewallPolicyInput{
		FirewallPolicyName: aws.String("edge"),
		FirewallPolicy: &types.FirewallPolicy{
			StatelessDefaultActions:         []string{"aws:forward_to_sfe"},
			StatelessFragmentDefaultActions: []string{"aws:forward_to_sfe"},
			StatefulEngineOptions:           &types.StatefulEngineOptions{StreamExceptionPolicy: exception},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.api.CreateFirewall(ctx, &nfw.CreateFirewallInput{
		FirewallName: aws.String("edge"), FirewallPolicyArn: pol.FirewallPolicyResponse.FirewallPolicyArn,
		VpcId: aws.String("vpc-1"), SubnetMappings: []types.SubnetMapping{{SubnetId: aws.String("subnet-1")}},
	}); err != nil {
		t.Fatal(err)
	}
	g.ready()
	return g
}

func (g *gateway) startServe() {
	g.serve = g.topo.Gateway.Start(func(cmd *exec.Cmd) {
		// The engine outlives serve and inherits standard error, so that must be a file.
		f, err := os.OpenFile(filepath.Join(g.dir, "sluice.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			g.t.Fatal(err)
		}
		cmd.Stdout, cmd.Stderr = f, f
	}, sluice, "serve", "--config", g.config)
}

// stopEngine ends the engine that a killed serve has left, and shows the log of a failed test.
func (g *gateway) stopEngine() {
	if pid, err := g.enginePID(); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if g.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(g.dir, "sluice.log"))
		for line := range strings.Lines(string(log)) {
			g.t.Log(strings.TrimSpace(line))
		}
	}
}

func (g *gateway) ready() {
	g.t.Helper()
	g.eventually("the firewall is READY", func() error {
		out, err := g.api.DescribeFirewall(g.t.Context(), &nfw.DescribeFirewallInput{FirewallName: aws.String("edge")})
		if err != nil {
			return err
		}
		if s := out.FirewallStatus.Status; s != types.FirewallStatusValueReady {
			return fmt.Errorf("status %s", s)
		}
		return nil
	})
	g.eventually("/readyz", func() error { return g.get("/readyz", nil) })
}

// eventually polls what cannot be awaited: another process.
func (g *gateway) eventually(what string, f func() error) {
	g.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (g *gateway) get(path string, body *[]byte) error {
	resp, err := g.http.Get("http://" + apiAddr + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if body != nil {
		*body = b
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, b)
	}
	return nil
}

// metric sums the samples whose name and labels contain all of parts.
func (g *gateway) metric(parts ...string) float64 {
	g.t.Helper()
	var page []byte
	if err := g.get("/metrics", &page); err != nil {
		g.t.Fatal(err)
	}
	sum := 0.0
next:
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue next
			}
		}
		var v float64
		fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &v)
		sum += v
	}
	return sum
}

// enginePID finds the process that holds packets.
func (g *gateway) enginePID() (int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		args := strings.Split(string(bytes.TrimRight(b, "\x00")), "\x00")
		if len(args) > 1 && args[0] == sluice && args[1] == "engine" && strings.Contains(strings.Join(args, " "), g.dir) {
			var pid int
			fmt.Sscanf(path, "/proc/%d/", &pid)
			return pid, nil
		}
	}
	return 0, errors.New("no engine process")
}

func (g *gateway) engine() int {
	g.t.Helper()
	var pid int
	g.eventually("an engine runs", func() (err error) { pid, err = g.enginePID(); return err })
	return pid
}

func signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("signal %v to %d: %v", s, pid, err)
	}
}

// flush runs a flush to its end and returns the flows that it flushed.
func (g *gateway) flush(filters ...types.FlowFilter) []types.Flow {
	g.t.Helper()
	ctx := g.t.Context()
	fw, err := g.api.DescribeFirewall(ctx, &nfw.DescribeFirewallInput{FirewallName: aws.String("edge")})
	if err != nil {
		g.t.Fatal(err)
	}
	op, err := g.api.StartFlowFlush(ctx, &nfw.StartFlowFlushInput{
		FirewallArn: fw.Firewall.FirewallArn, AvailabilityZone: aws.String("us-east-1a"), FlowFilters: filters,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.results(fw.Firewall.FirewallArn, op.FlowOperationId)
}

// capture returns the flows of the table that match.
func (g *gateway) capture(filters ...types.FlowFilter) []types.Flow {
	g.t.Helper()
	ctx := g.t.Context()
	fw, err := g.api.DescribeFirewall(ctx, &nfw.DescribeFirewallInput{FirewallName: aws.String("edge")})
	if err != nil {
		g.t.Fatal(err)
	}
	op, err := g.api.StartFlowCapture(ctx, &nfw.StartFlowCaptureInput{
		FirewallArn: fw.Firewall.FirewallArn, AvailabilityZone: aws.String("us-east-1a"), FlowFilters: filters,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return g.results(fw.Firewall.FirewallArn, op.FlowOperationId)
}

func (g *gateway) results(arn, id *string) []types.Flow {
	g.t.Helper()
	ctx := g.t.Context()
	g.eventually("the operation ends", func() error {
		out, err := g.api.DescribeFlowOperation(ctx, &nfw.DescribeFlowOperationInput{FirewallArn: arn, AvailabilityZone: aws.String("us-east-1a"), FlowOperationId: id})
		if err != nil {
			return err
		}
		if out.FlowOperationStatus == types.FlowOperationStatusInProgress {
			return errors.New("still in progress")
		}
		if out.FlowOperationStatus != types.FlowOperationStatusCompleted {
			g.t.Fatalf("the operation ended %s: %s", out.FlowOperationStatus, aws.ToString(out.StatusMessage))
		}
		return nil
	})
	var flows []types.Flow
	pages := nfw.NewListFlowOperationResultsPaginator(g.api, &nfw.ListFlowOperationResultsInput{FirewallArn: arn, AvailabilityZone: aws.String("us-east-1a"), FlowOperationId: id})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			g.t.Fatal(err)
		}
		flows = append(flows, page.Flows...)
	}
	return flows
}

// download serves an endless file on the server and has curl fetch it. curl
// gives up, with exit code 28, when nothing comes for two seconds.
type download struct {
	received atomic.Int64 // bytes that the client side has read
	done     chan error   // curl's end
}

func (g *gateway) download(server string) *download {
	g.t.Helper()
	d := &download{done: make(chan error, 1)}
	pr, pw, err := os.Pipe()
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", g.topo.Client.Name, "curl", "-sS", "-N", "--speed-limit", "1", "--speed-time", "2",
		"http://"+net.JoinHostPort(server, downloadPort)+"/")
	cmd.Stdout, cmd.Stderr = pw, pw
	if err := cmd.Start(); err != nil {
		cancel()
		g.t.Fatal(err)
	}
	pw.Close()
	g.t.Cleanup(func() { cancel(); pr.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := pr.Read(buf)
			d.received.Add(int64(n))
			if err != nil {
				d.done <- cmd.Wait()
				return
			}
		}
	}()
	g.moves(d)
	return d
}

// moves waits until the download makes progress.
func (g *gateway) moves(d *download) {
	g.t.Helper()
	before := d.received.Load()
	g.eventually("the download goes on", func() error {
		if d.received.Load() < before+20_000 {
			return fmt.Errorf("%d bytes came", d.received.Load()-before)
		}
		return nil
	})
}

// stands checks that not a byte comes for a while.
func (g *gateway) stands(d *download) {
	g.t.Helper()
	time.Sleep(200 * time.Millisecond) // what was on its way
	before := d.received.Load()
	time.Sleep(quiet)
	if n := d.received.Load() - before; n != 0 {
		g.t.Fatalf("%d bytes came through", n)
	}
}

// serveDownloads answers every request with bytes without end, slowly.
func (g *gateway) serveDownloads() {
	l := g.topo.Server.Listen(":" + downloadPort)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		block := bytes.Repeat([]byte("sluice "), 1000)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := w.Write(block); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	})}
	go srv.Serve(l)
	g.t.Cleanup(func() { srv.Close() })
}

// session is an ssh-like connection: a line, an answer.
type session struct {
	conn net.Conn
	r    *bufio.Reader
}

func (g *gateway) session(server string) *session {
	g.t.Helper()
	l := g.topo.Server.Listen(net.JoinHostPort(server, chattyPort))
	g.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	conn, err := g.topo.Client.Dial(ctx, "tcp", net.JoinHostPort(server, chattyPort))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	s := &session{conn: conn, r: bufio.NewReader(conn)}
	if err := s.say("hello", patience); err != nil {
		g.t.Fatal(err)
	}
	return s
}

// say sends a line and waits for its echo.
func (s *session) say(line string, wait time.Duration) error {
	s.conn.SetDeadline(time.Now().Add(wait))
	if _, err := fmt.Fprintln(s.conn, line); err != nil {
		return err
	}
	for {
		got, err := s.r.ReadString('\n')
		if err != nil {
			return err
		}
		if got == line+"\n" {
			return nil
		}
	}
}

func filter(src, dst, dport string) types.FlowFilter {
	return types.FlowFilter{
		SourceAddress:      &types.Address{AddressDefinition: aws.String(src)},
		DestinationAddress: &types.Address{AddressDefinition: aws.String(dst)},
		DestinationPort:    aws.String(dport), Protocols: []string{"6"},
	}
}
