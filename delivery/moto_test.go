package delivery

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	firehosetypes "github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// These tests send to moto, an independent implementation of the services, from
// processes that are killed, over connections that are refused or cut:
//
//	child process --> flaky proxy --> moto
//	  kill -9         refuses, or
//	                  loses answers

// childOptions is the variable whose presence makes the test binary a child.
const childOptions = "SLUICE_DELIVERY_TEST_CHILD"

func TestMain(m *testing.M) {
	if options := os.Getenv(childOptions); options != "" {
		if err := child(options); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// lifeOptions are what a child is told.
type lifeOptions struct {
	Type     string
	Target   map[string]string
	SpoolDir string
	Endpoint string
	Life     int // number of the child
}

func (o *lifeOptions) options() Options {
	return Options{
		Type: o.Type, Target: o.Target, LogType: "ALERT", Account: "123456789012", Region: "eu-central-1", Firewall: "edge",
		SpoolDir: o.SpoolDir, SpoolLimit: 2 << 20, Endpoint: o.Endpoint, AccessKeyID: "AKID", SecretAccessKey: "secret",
		Logger: slog.New(slog.DiscardHandler),
	}
}

// child logs lines until it is killed. It writes the number of lines that are in
// the spool to its output.
func child(options string) error {
	var in lifeOptions
	if err := json.Unmarshal([]byte(options), &in); err != nil {
		return err
	}
	d, err := New(context.Background(), in.options())
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		for !d.Log(childLine(in.Life, n)) { // the spool is full
			time.Sleep(time.Millisecond)
		}
		if n%200 == 199 {
			if err := d.Flush(context.Background()); err != nil {
				return err
			}
			if _, err := fmt.Println(n + 1); err != nil {
				return err // the parent is gone
			}
		}
	}
}

func childLine(life, n int) []byte {
	return fmt.Appendf(nil, `{"life":%d,"n":%d,"pad":"%s"}`, life, n, strings.Repeat("x", 250))
}

// lives is how often the child is killed, and how the network is in each life.
var lives = []mode{pass, refuse, cut, pass}

func TestNothingIsLost(t *testing.T) {
	isolate(t)
	endpoint, _ := startMoto(t)
	peer := newPeer(t, endpoint)
	for _, c := range peer.kinds() {
		t.Run(c.kind, func(t *testing.T) {
			peer.t = t
			network := newProxy(t, endpoint)
			o := lifeOptions{Type: c.kind, Target: c.target, SpoolDir: t.TempDir(), Endpoint: network.url}
			d := newTest(t, o.options())
			if err := d.Check(t.Context()); !errors.Is(err, ErrNotFound) {
				t.Errorf("check before it is made: %v", err)
			}
			c.make()
			if err := d.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
			if err := d.Close(t.Context()); err != nil {
				t.Fatal(err)
			}

			spooled := make([]int, len(lives))
			for life, mode := range lives {
				network.mode.Store(int32(mode))
				o.Life = life
				spooled[life] = runChild(t, o, network.requests)
			}
			network.mode.Store(int32(pass))
			d = newTest(t, o.options())
			recovered := d.Stats().Recovered
			if err := d.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			balanced(t, d)

			seen := map[string]int{}
			for _, line := range c.read() {
				seen[line]++
			}
			total, missing, doubled := 0, 0, 0
			for life, n := range spooled {
				for i := range n {
					total++
					if seen[string(childLine(life, i))] == 0 {
						missing++
					}
				}
			}
			for _, n := range seen {
				doubled += n - 1
			}
			t.Logf("%d records in the spool over %d lives, %d of them sent by the last process, %d arrived more than once; %d requests refused, %d answers lost",
				total, len(lives), recovered, doubled, network.refused.Load(), network.cut.Load())
			if missing > 0 {
				t.Errorf("%d of %d records are lost", missing, total)
			}
			if doubled > 0 && !c.twice {
				t.Errorf("%d records arrived more than once", doubled)
			}
			if total == 0 || network.cut.Load() == 0 || network.refused.Load() == 0 {
				t.Error("no records, or the network was never bad: this shows nothing")
			}
		})
	}
}

// newPeer returns the clients of a moto.
func newPeer(t *testing.T, endpoint string) *motoPeer {
	cfg := aws.Config{
		Region: "eu-central-1", BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "secret"}, nil
		}),
	}
	return &motoPeer{t: t,
		s3:   s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
		logs: cloudwatchlogs.NewFromConfig(cfg), firehose: firehose.NewFromConfig(cfg),
	}
}

// destination is one that a moto has.
type destination struct {
	kind   string
	target map[string]string
	make   func()
	read   func() []string
	twice  bool // lines may be there more than once
}

func (m *motoPeer) kinds() []destination {
	return []destination{
		{S3, map[string]string{"bucketName": "logs", "prefix": "fw"},
			func() { m.makeBucket("logs") },
			func() []string { return m.lines("logs", objectKey) }, false},
		{CloudWatchLogs, map[string]string{"logGroup": "/fw/alert"},
			func() { m.makeGroup("/fw/alert") },
			func() []string { return m.events("/fw/alert") }, true},
		{KinesisDataFirehose, map[string]string{"deliveryStream": "fw"},
			func() { m.makeBucket("stream"); m.makeStream("fw", "stream") },
			func() []string { return m.lines("stream", nil) }, true},
	}
}

// TestServiceIsKilled kills the service itself while records come in, and starts
// it again some time later, as new as it was: what it had taken is what it had
// when it was killed, and all the rest must be in its successor.
func TestServiceIsKilled(t *testing.T) {
	isolate(t)
	const records = 16_000 // twice what the spool has room for
	for i, kind := range []string{S3, CloudWatchLogs, KinesisDataFirehose} {
		t.Run(kind, func(t *testing.T) {
			endpoint, kill := startMoto(t)
			peer := newPeer(t, endpoint)
			first := peer.kinds()[i]
			first.make()
			network := newProxy(t, endpoint)
			o := lifeOptions{Type: kind, Target: first.target, SpoolDir: t.TempDir(), Endpoint: network.url}
			d := newTest(t, o.options())

			written := make(chan struct{})
			go func() {
				defer close(written)
				for n := range records {
					for !d.Log(childLine(0, n)) { // the spool is full
						select {
						case <-t.Context().Done():
							return
						case <-time.After(time.Millisecond):
						}
					}
				}
			}()
			deadline := time.After(time.Minute)
			seen := map[string]int{}
			for len(seen) == 0 {
				select {
				case <-network.requests:
				case <-deadline:
					t.Fatal("nothing arrives")
				}
				network.atWork.Lock() // no request is under way
				for _, line := range first.read() {
					seen[line]++
				}
				if len(seen) > 0 {
					kill()
				}
				network.atWork.Unlock()
			}
			before := len(seen)
			for failures := d.Stats().Failures; d.Stats().Failures == failures; { // it is missed
				select {
				case <-deadline:
					t.Fatal("nobody misses the service")
				case <-time.After(10 * time.Millisecond):
				}
			}
			endpoint, _ = startMoto(t)
			peer = newPeer(t, endpoint)
			second := peer.kinds()[i]
			second.make()
			network.target.Store(&endpoint)

			<-written
			if err := d.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			stats := balanced(t, d)
			for _, line := range second.read() {
				seen[line]++
			}
			missing := 0
			for n := range records {
				if seen[string(childLine(0, n))] == 0 {
					missing++
				}
			}
			t.Logf("%d of %d records were there when the service was killed; %d attempts failed", before, records, stats.Failures)
			if missing > 0 || stats.Waiting > 0 || before == records {
				t.Errorf("%d of %d records are lost; %+v", missing, records, stats)
			}
		})
	}
}

// runChild runs a child until it has sent some requests, kills it, and returns
// how many records it had told of.
func runChild(t *testing.T, o lifeOptions, requests <-chan struct{}) (spooled int) {
	t.Helper()
	options, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for len(requests) > 0 { // of the life before
		<-requests
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childOptions+"="+string(options))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		timeout := time.After(time.Minute)
		for range 3 {
			select {
			case <-requests:
			case <-timeout:
			}
		}
		cmd.Process.Kill() // SIGKILL
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, err := fmt.Sscan(lines.Text(), &spooled); err != nil {
			t.Errorf("child wrote %q", lines.Text())
		}
	}
	<-killed
	cmd.Wait()
	if errs.Len() > 0 {
		t.Errorf("child: %s", errs.String())
	}
	return spooled
}

type mode int32

const (
	pass   mode = iota
	refuse      // connections are closed
	cut         // every other request is served, but its answer is lost
)

// proxy stands between a destination and its service.
type proxy struct {
	url          string
	mode         atomic.Int32
	refused, cut atomic.Int64
	target       atomic.Pointer[string] // URL of the service
	atWork       sync.RWMutex           // held by requests that are under way
	requests     chan struct{}          // one for each request that was treated as mode says; some may lack
}

func newProxy(t *testing.T, to string) *proxy {
	p := &proxy{requests: make(chan struct{}, 100)}
	p.target.Store(&to)
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			target, err := url.Parse(*p.target.Load())
			if err != nil {
				panic(err)
			}
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.atWork.RLock()
		defer p.atWork.RUnlock()
		defer func() {
			select {
			case p.requests <- struct{}{}:
			default:
			}
		}()
		switch mode(p.mode.Load()) {
		case refuse:
			p.refused.Add(1)
			panic(http.ErrAbortHandler)
		case cut:
			if n.Add(1)%2 == 1 {
				forward.ServeHTTP(httptest.NewRecorder(), r)
				p.cut.Add(1)
				panic(http.ErrAbortHandler)
			}
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// startMoto runs a moto server until the test ends, or kill is called, and
// returns its URL.
func startMoto(t *testing.T) (url string, kill func()) {
	t.Helper()
	python, err := motoPython()
	if err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_CLIENTS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	cmd := exec.Command(python, "-m", "moto.server", "-H", "127.0.0.1", "-p", fmt.Sprint(addr.Port))
	cmd.Env = append(os.Environ(), "MOTO_ACCOUNT_ID=123456789012")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	kill = sync.OnceFunc(func() { cmd.Process.Kill(); <-ended }) // SIGKILL
	t.Cleanup(kill)
	endpoint := "http://" + addr.String()
	deadline := time.After(time.Minute)
	for {
		if r, err := http.Get(endpoint + "/moto-api/"); err == nil {
			r.Body.Close()
			return endpoint, kill
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("moto ended: %v\n%s", err, output.String())
		case <-deadline:
			t.Fatal("moto does not answer")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// motoPython finds a Python that has moto: that of the module's virtual
// environment, or the system's.
func motoPython() (string, error) {
	var tried []string
	for _, python := range []string{filepath.Join("..", ".venv", "bin", "python"), "python3"} {
		out, err := exec.Command(python, "-c", "import moto.server").CombinedOutput()
		if err == nil {
			return python, nil
		}
		reason := err.Error()
		if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); lines[len(lines)-1] != "" {
			reason = lines[len(lines)-1]
		}
		tried = append(tried, python+": "+reason)
	}
	return "", fmt.Errorf("no Python with moto (pip install -r test/requirements.txt into .venv): %s", strings.Join(tried, "; "))
}

// motoPeer makes destinations and reads what arrived, past the proxy.
type motoPeer struct {
	t        *testing.T
	s3       *s3.Client
	logs     *cloudwatchlogs.Client
	firehose *firehose.Client
}

func (m *motoPeer) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *motoPeer) makeBucket(name string) {
	_, err := m.s3.CreateBucket(m.t.Context(), &s3.CreateBucketInput{
		Bucket:                    &name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraintEuCentral1},
	})
	m.must(err)
}

func (m *motoPeer) makeGroup(name string) {
	_, err := m.logs.CreateLogGroup(m.t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
	m.must(err)
}

func (m *motoPeer) makeStream(name, bucket string) {
	_, err := m.firehose.CreateDeliveryStream(m.t.Context(), &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &name,
		ExtendedS3DestinationConfiguration: &firehosetypes.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::" + bucket), RoleARN: aws.String("arn:aws:iam::123456789012:role/firehose"),
		},
	})
	m.must(err)
}

var objectKey = regexp.MustCompile(`^fw/AWSLogs/123456789012/network-firewall/alert/eu-central-1/edge/\d{4}/\d\d/\d\d/\d\d/` +
	`123456789012_network-firewall_alert_eu-central-1_edge_\d{8}T\d{4}Z_[0-9a-f]{16}\.log\.gz$`)

// lines reads all objects of a bucket. Those whose keys match zipped are
// compressed; with a nil zipped none is.
func (m *motoPeer) lines(bucket string, zipped *regexp.Regexp) (lines []string) {
	pages := s3.NewListObjectsV2Paginator(m.s3, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(m.t.Context())
		m.must(err)
		for _, o := range page.Contents {
			out, err := m.s3.GetObject(m.t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: o.Key})
			m.must(err)
			var text io.Reader = out.Body
			if zipped != nil {
				if !zipped.MatchString(*o.Key) {
					m.t.Errorf("key %s", *o.Key)
				}
				text, err = gzip.NewReader(out.Body)
				m.must(err)
			}
			b, err := io.ReadAll(text)
			m.must(err)
			out.Body.Close()
			lines = append(lines, strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")...)
		}
	}
	return lines
}

func (m *motoPeer) events(group string) (lines []string) {
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(m.logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
	for pages.HasMorePages() {
		page, err := pages.NextPage(m.t.Context())
		m.must(err)
		for _, e := range page.Events {
			lines = append(lines, *e.Message)
		}
	}
	return lines
}
