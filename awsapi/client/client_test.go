package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/awsapi/sigv4"
	"github.com/sluicefw/sluice/awsapi/wire"
)

type keys struct{}

func (keys) Secret(id string) (secret, account string, ok bool) {
	return "secret", "111122223333", id == "AKIDEXAMPLE"
}

// environment gives a test its own AWS configuration and nothing else's.
func environment(t *testing.T, vars ...string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for i := 0; i < len(vars); i += 2 {
		t.Setenv(vars[i], vars[i+1])
	}
}

// serve starts a server that checks signatures and answers the i-th call (from
// 1) with what answer returns.
func serve(t *testing.T, answer func(i int, r *http.Request) (status int, body string)) (url string, calls *int) {
	t.Helper()
	verifier := sigv4.Verifier{Region: "us-east-1", Service: "network-firewall", Keys: keys{}}
	calls = new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*calls++
		text, _ := io.ReadAll(r.Body)
		sig, err := verifier.Open(r, time.Now())
		if err == nil {
			err = sig.Verify(text)
		}
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(text)))
		status, body := answer(*calls, r)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls
}

func newClient(t *testing.T, url string) *Client {
	t.Helper()
	environment(t, "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY", "secret", "AWS_REGION", "us-east-1")
	c, err := New(context.Background(), Options{Endpoint: url, Backoff: func(int) time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name, body string
		status     int
		calls      int // until the client gives up
	}{
		{"throttled", `{"__type":"ThrottlingException","Message":"m"}`, 400, 3},
		{"quota", `{"__type":"LimitExceededException","Message":"m"}`, 400, 3},
		{"server's fault", `{"__type":"InternalServerError","Message":"m"}`, 500, 3},
		{"proxy's fault", `<html>`, 502, 3},
		{"refused", `{"__type":"InvalidRequestException","Message":"m"}`, 400, 1},
		{"not modeled", `{"__type":"a#ValidationException","message":"m"}`, 400, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, calls := serve(t, func(int, *http.Request) (int, string) { return c.status, c.body })
			_, err := Call[wire.ListFirewallsRequest, wire.ListFirewallsResponse](context.Background(), newClient(t, url), "ListFirewalls", &wire.ListFirewallsRequest{})
			e, ok := errors.AsType[*wire.Error](err)
			if !ok || e.Status != c.status || *calls != c.calls {
				t.Errorf("%v after %d calls, want %d", err, *calls, c.calls)
			}
		})
	}

	url, calls := serve(t, func(i int, r *http.Request) (int, string) {
		if i < 3 {
			return 400, `{"__type":"ThrottlingException","Message":"m"}`
		}
		return 200, `{"Firewalls":[{"FirewallName":"edge"}]}`
	})
	out, err := Call[wire.ListFirewallsRequest, wire.ListFirewallsResponse](context.Background(), newClient(t, url), "ListFirewalls", &wire.ListFirewallsRequest{})
	if err != nil || *calls != 3 || wire.Val(out.Firewalls[0].FirewallName) != "edge" {
		t.Errorf("%v, %v after %d calls", out, err, *calls)
	}
}

// TestContextEndsRetries cancels while the client waits for its second attempt.
func TestContextEndsRetries(t *testing.T) {
	url, calls := serve(t, func(int, *http.Request) (int, string) { return 500, `{"__type":"InternalServerError","Message":"m"}` })
	c := newClient(t, url)
	ctx, cancel := context.WithCancel(context.Background())
	c.backoff = func(int) time.Duration { cancel(); return time.Hour }
	_, err := Call[wire.ListFirewallsRequest, wire.ListFirewallsResponse](ctx, c, "ListFirewalls", &wire.ListFirewallsRequest{})
	if _, ok := errors.AsType[*wire.Error](err); !ok || *calls != 1 {
		t.Errorf("%v after %d calls", err, *calls)
	}
}

func TestPages(t *testing.T) {
	url, _ := serve(t, func(i int, r *http.Request) (int, string) {
		body, _ := io.ReadAll(r.Body)
		want := map[int]string{1: `{"MaxResults":1}`, 2: `{"MaxResults":1,"NextToken":"t1"}`, 3: `{"MaxResults":1,"NextToken":"t2"}`}[i]
		if string(body) != want {
			t.Errorf("call %d: %s, want %s", i, body, want)
		}
		if i == 3 {
			return 200, `{"Firewalls":[{"FirewallName":"f3"}]}`
		}
		return 200, fmt.Sprintf(`{"Firewalls":[{"FirewallName":"f%d"}],"NextToken":"t%[1]d"}`, i)
	})
	in := &wire.ListFirewallsRequest{MaxResults: wire.Ptr[int32](1)}
	var names []string
	for out, err := range Pages[wire.ListFirewallsRequest, wire.ListFirewallsResponse](context.Background(), newClient(t, url), "ListFirewalls", in) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, *out.Firewalls[0].FirewallName)
	}
	if got := strings.Join(names, " "); got != "f1 f2 f3" || in.NextToken != nil {
		t.Errorf("%s, token %v", got, in.NextToken)
	}
}

func TestEndpoint(t *testing.T) {
	const profile = "[profile p]\nregion = eu-west-1\nendpoint_url = http://profile:1\n"
	for _, c := range []struct {
		name string
		o    Options
		env  []string
		want string
	}{
		{"AWS", Options{Region: "eu-central-1"}, nil, "https://network-firewall.eu-central-1.amazonaws.com/"},
		{"AWS in China", Options{Region: "cn-north-1"}, nil, "https://network-firewall.cn-north-1.amazonaws.com.cn/"},
		{"default", Options{Region: "eu-central-1", DefaultEndpoint: "http://default:1"}, nil, "http://default:1/"},
		{"profile", Options{Profile: "p", DefaultEndpoint: "http://default:1"}, nil, "http://profile:1/"},
		{"all services", Options{Profile: "p"}, []string{"AWS_ENDPOINT_URL", "http://all:1"}, "http://all:1/"},
		{"this service", Options{Profile: "p"}, []string{"AWS_ENDPOINT_URL", "http://all:1", "AWS_ENDPOINT_URL_NETWORK_FIREWALL", "http://this:1/"}, "http://this:1/"},
		{"option", Options{Profile: "p", Endpoint: "https://option"}, []string{"AWS_ENDPOINT_URL_NETWORK_FIREWALL", "http://this:1"}, "https://option/"},
		{"ignored", Options{Profile: "p", DefaultEndpoint: "http://default:1"}, []string{"AWS_ENDPOINT_URL_NETWORK_FIREWALL", "http://this:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"}, "http://default:1/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			environment(t, c.env...)
			if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte(profile), 0o600); err != nil {
				t.Fatal(err)
			}
			client, err := New(context.Background(), c.o)
			if err != nil || client.Endpoint() != c.want {
				t.Errorf("%v, %v, want %s", client, err, c.want)
			}
		})
	}
}

// TestRemedies: errors of configuration are one sentence that says what to do.
func TestRemedies(t *testing.T) {
	key := []string{"AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY", "secret"}
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, c := range []struct {
		name string
		o    Options
		env  []string
		want string
	}{
		{"no Region of AWS", Options{}, key, "no AWS Region: set AWS_REGION"},
		{"no Region", Options{DefaultEndpoint: closed.URL}, key, `no AWS Region: run eval "$(sluice keys)" first, or set AWS_REGION`},
		{"no profile", Options{Profile: "nobody"}, key, `AWS profile "nobody" does not exist: `},
		{"endpoint without scheme", Options{Region: "us-east-1", Endpoint: "127.0.0.1:4580"}, key, `endpoint "127.0.0.1:4580" is not a URL like `},
		{"endpoint with a path", Options{Region: "us-east-1", Endpoint: "http://127.0.0.1/api"}, key, `endpoint "http://127.0.0.1/api" is not a URL like `},
		{"no credentials", Options{Region: "us-east-1", Endpoint: closed.URL}, nil, `ListFirewalls: no credentials: run eval "$(sluice keys)" first, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`},
		{"no credentials of AWS", Options{Region: "us-east-1"}, nil, "ListFirewalls: no AWS credentials: set AWS_ACCESS_KEY_ID"},
		{"nobody listens", Options{Region: "us-east-1", Endpoint: closed.URL}, key, "ListFirewalls: cannot reach the API at " + closed.URL + "/: dial tcp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			environment(t, c.env...)
			c.o.Attempts = 1
			client, err := New(context.Background(), c.o)
			if err == nil {
				_, err = Call[wire.ListFirewallsRequest, wire.ListFirewallsResponse](context.Background(), client, "ListFirewalls", &wire.ListFirewallsRequest{})
			}
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s...", err, c.want)
			}
			t.Log(err)
		})
	}
}

// TestMetadataService: EC2's is asked for credentials of AWS's endpoints only,
// and what the SDK has to say about that is not printed.
func TestMetadataService(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:1": false, "https://amazonaws.com.example:1": false, "https://notamazonaws.com": false,
		"https://network-firewall.us-east-1.amazonaws.com": true, "https://network-firewall.us-east-1.api.aws": true,
	} {
		asked := false
		metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked = true
			w.WriteHeader(http.StatusForbidden) // not tried again, but warned about
		}))
		environment(t, "AWS_EC2_METADATA_DISABLED", "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.URL)
		var err error
		printed := stderrOf(t, func() {
			var c *Client
			if c, err = New(t.Context(), Options{Region: "us-east-1", Endpoint: endpoint}); err == nil {
				_, err = c.credentials.Retrieve(t.Context())
			}
		})
		metadata.Close()
		if err == nil || asked != want || printed != "" {
			t.Errorf("%s: asked %v, want %v; %v; printed %q", endpoint, asked, want, err, printed)
		}
	}
}

// stderrOf returns what f writes to standard error.
func stderrOf(t *testing.T, f func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer func(before *os.File) { os.Stderr = before }(os.Stderr)
	os.Stderr = file
	f()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
