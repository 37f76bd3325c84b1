package awsapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/aws/smithy-go"
	"github.com/google/uuid"

	"github.com/sluicefw/sluice/awsapi/wire"
)

const (
	account = "111122223333"
	prefix  = "NetworkFirewall_20201112."
	listen  = "127.0.0.1:4580"
)

// fake implements a few operations; its answers show what it was given.
type fake struct{}

func (fake) DescribeFirewall(ctx context.Context, c wire.Caller, in *wire.DescribeFirewallRequest) (*wire.DescribeFirewallResponse, error) {
	switch wire.Val(in.FirewallName) {
	case "missing":
		return nil, wire.ResourceNotFoundException("Firewall %s does not exist.", *in.FirewallName)
	case "broken":
		return nil, errors.New("etcd: secret detail")
	case "panic":
		panic("secret detail")
	}
	return &wire.DescribeFirewallResponse{Firewall: &wire.Firewall{
		FirewallName: in.FirewallName, FirewallId: wire.Ptr(wire.RequestID(ctx)),
		Description:       wire.Ptr(c.Account + " " + c.AccessKeyID + " " + c.SourceIP),
		FirewallPolicyArn: wire.Ptr("arn:aws:p"), VpcId: wire.Ptr("vpc-0"), DeleteProtection: wire.Ptr(false),
		SubnetMappings: []wire.SubnetMapping{}, Tags: []wire.Tag{},
	}}, nil
}

func (fake) DescribeFlowOperation(_ context.Context, _ wire.Caller, in *wire.DescribeFlowOperationRequest) (*wire.DescribeFlowOperationResponse, error) {
	at := time.UnixMilli(1761998400125)
	return &wire.DescribeFlowOperationResponse{FlowOperationId: in.FlowOperationId, FlowRequestTimestamp: &wire.Time{Time: at}}, nil
}

func (fake) TagResource(context.Context, wire.Caller, *wire.TagResourceRequest) (*wire.TagResourceResponse, error) {
	return nil, nil
}

type keys struct{}

func (keys) Secret(id string) (secret, acct string, ok bool) {
	return "secret", account, id == "AKIDEXAMPLE"
}

// observed is what the observer and the log were told.
type observed struct {
	operation, code string
	log             bytes.Buffer
}

func newServer(t testing.TB, o Options) (http.Handler, *observed) {
	t.Helper()
	var seen observed
	o.Service, o.Region, o.Account = fake{}, "us-east-1", account
	o.Logger = slog.New(slog.NewTextHandler(&seen.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Observe = func(operation, code string, _ time.Duration) { seen.operation, seen.code = operation, code }
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h, &seen
}

// sdk returns the AWS SDK's client of a server.
func sdk(t *testing.T, h http.Handler, secret string) *networkfirewall.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return networkfirewall.New(networkfirewall.Options{
		BaseEndpoint: aws.String(s.URL), Region: "us-east-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", secret, ""),
	})
}

func TestSDK(t *testing.T) {
	h, seen := newServer(t, Options{Keys: keys{}})
	ctx, client := context.Background(), sdk(t, h, "secret")

	out, err := client.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("edge")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := aws.ToString(out.Firewall.Description), account+" AKIDEXAMPLE 127.0.0.1"; got != want {
		t.Errorf("caller %s, want %s", got, want)
	}
	if id := aws.ToString(out.Firewall.FirewallId); uuid.Validate(id) != nil || !strings.Contains(seen.log.String(), "request_id="+id) {
		t.Errorf("request id %q is not in the log:\n%s", id, &seen.log)
	}
	if log := seen.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=DEBUG") {
		t.Errorf("a request is not one line for debugging:\n%s", log)
	}
	if seen.operation != "DescribeFirewall" || seen.code != "" {
		t.Errorf("observed %s %s", seen.operation, seen.code)
	}

	op, err := client.DescribeFlowOperation(ctx, &networkfirewall.DescribeFlowOperationInput{
		FirewallArn: aws.String("arn:aws:f"), FlowOperationId: aws.String("3c9a5e71-2f04-4d8b-a6b3-8e1f7d0c4a10")})
	if err != nil || op.FlowRequestTimestamp.UnixMilli() != 1761998400125 {
		t.Errorf("%v, %v", op, err)
	}
	if _, err := client.TagResource(ctx, &networkfirewall.TagResourceInput{
		ResourceArn: aws.String("arn:aws:f"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("")}}}); err != nil {
		t.Error(err)
	}

	_, err = client.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("missing")})
	if e, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok || e.ErrorMessage() != "Firewall missing does not exist." {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"broken", "panic"} {
		_, err = client.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: &name})
		if e, ok := errors.AsType[*types.InternalServerError](err); !ok || strings.Contains(e.ErrorMessage(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(seen.log.String(), "secret detail") || seen.code != "InternalServerError" {
			t.Errorf("%s: observed %s; log:\n%s", name, seen.code, &seen.log)
		}
		seen.log.Reset()
	}
	_, err = client.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("a_b")})
	wantAPIError(t, err, "ValidationException")
	_, err = client.ListFirewalls(ctx, nil)
	wantAPIError(t, err, "UnknownOperationException")
	_, err = sdk(t, h, "wrong").DescribeFirewall(ctx, nil)
	wantAPIError(t, err, "InvalidSignatureException")
	if seen.operation != "Unknown" || seen.code != "InvalidSignatureException" {
		t.Errorf("observed %s %s", seen.operation, seen.code)
	}
}

func wantAPIError(t *testing.T, err error, code string) {
	t.Helper()
	if e, ok := errors.AsType[smithy.APIError](err); !ok || e.ErrorCode() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// devRequest is a request that dev mode accepts.
func devRequest(target string, body io.Reader) *http.Request {
	r := httptest.NewRequest("POST", "/", body)
	r.Host = listen
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=ANY/20261101/eu-west-1/network-firewall/aws4_request, SignedHeaders=host, Signature=00")
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	return r
}

func TestHTTP(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *http.Request)
		status int
		code   string
	}{
		{"as it should be", func(r *http.Request) {}, 200, ""},
		{"JSON 1.1", func(r *http.Request) { r.Header.Set("Content-Type", "application/x-amz-json-1.1; charset=utf-8") }, 200, ""},
		{"localhost", func(r *http.Request) { r.Host = "localhost" }, 200, ""},
		{"IPv6", func(r *http.Request) { r.Host = "[::1]:4580" }, 200, ""},
		{"foreign name", func(r *http.Request) { r.Host = "rebind.example:4580" }, 400, "AccessDeniedException"},
		{"GET", func(r *http.Request) { r.Method = "GET" }, 404, "UnknownOperationException"},
		{"path", func(r *http.Request) { r.URL.Path = "/x" }, 404, "UnknownOperationException"},
		{"no signature", func(r *http.Request) { r.Header.Del("Authorization") }, 403, "MissingAuthenticationTokenException"},
		{"no target", func(r *http.Request) { r.Header.Del("X-Amz-Target") }, 400, "UnknownOperationException"},
		{"other prefix", func(r *http.Request) { r.Header.Set("X-Amz-Target", "NetworkFirewall_20201113.DescribeFirewall") }, 400, "UnknownOperationException"},
		{"not implemented", func(r *http.Request) { r.Header.Set("X-Amz-Target", prefix+"ListFirewalls") }, 400, "UnknownOperationException"},
		{"media type", func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400, "SerializationException"},
		{"not JSON", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{")) }, 400, "SerializationException"},
		{"cut short", func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{})) }, 400, "SerializationException"},
		{"against the model", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"FirewallName":""}`)) }, 400, "ValidationException"},
		{"at the limit", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}" + strings.Repeat(" ", maxBody-2))) }, 200, ""},
		{"over the limit", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}" + strings.Repeat(" ", maxBody-1))) }, 413, "RequestEntityTooLargeException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, seen := newServer(t, Options{Dev: true})
			r := devRequest(prefix+"DescribeFirewall", strings.NewReader(`{"FirewallName":"edge"}`))
			c.change(r)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || seen.code != c.code {
				t.Errorf("%d %s, want %d %s: %s", w.Code, seen.code, c.status, c.code, w.Body)
			}
			if id := w.Header().Get("X-Amzn-RequestId"); uuid.Validate(id) != nil {
				t.Errorf("request id %q", id)
			}
			if got := w.Header().Get("Content-Type"); got != contentType {
				t.Errorf("Content-Type %q", got)
			}
			if c.code != "" && !strings.HasPrefix(w.Body.String(), `{"__type":"`+c.code+`","Message":"`) {
				t.Errorf("%s", w.Body)
			}
		})
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestBodyIsReadLate: who is refused by its headers cannot make us read.
func TestBodyIsReadLate(t *testing.T) {
	h, _ := newServer(t, Options{Keys: keys{}})
	r := devRequest(prefix+"DescribeFirewall", untouchable{t})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		t.Error("accepted")
	}
}

type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("body read")
	return 0, io.EOF
}

type misspelt struct{}

func (misspelt) ListFirewalls(context.Context, *wire.ListFirewallsRequest) (*wire.ListFirewallsResponse, error) {
	return nil, nil
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{Service: misspelt{}, Dev: true}); err == nil || !strings.Contains(err.Error(), "misspelt.ListFirewalls") {
		t.Errorf("method of another type: %v", err)
	}
	if _, err := New(Options{Dev: true}); err == nil {
		t.Error("accepted without service")
	}
	if _, err := New(Options{Service: fake{}}); err == nil {
		t.Error("accepted without keys")
	}
}

// FuzzServe sends any body to any target: the answer is JSON of this API, never
// a server's fault.
func FuzzServe(f *testing.F) {
	h, _ := newServer(f, Options{Dev: true})
	f.Add("DescribeFirewall", []byte(`{"FirewallName":"edge"}`))
	f.Add("TagResource", []byte(`{"ResourceArn":"arn:aws:x","Tags":[{"Key":"a","Value":"b"}]}`))
	f.Add("DescribeFlowOperation", []byte(`[`))
	f.Fuzz(func(t *testing.T, operation string, body []byte) {
		if bytes.Contains(body, []byte("broken")) || bytes.Contains(body, []byte("panic")) {
			t.Skip("asks the fake to fail")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, devRequest(prefix+operation, bytes.NewReader(body)))
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		var any map[string]any
		if err := wire.Decode(w.Body.Bytes(), &any); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
	})
}
