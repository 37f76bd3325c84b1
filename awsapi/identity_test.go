package awsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/aws/smithy-go"

	"github.com/sluicefw/sluice/audit"
	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/iam"
	"github.com/sluicefw/sluice/store"
)

// tenant is the service of one account. Its firewalls are named like their tag env.
type tenant struct{ account string }

func (s tenant) DescribeFirewall(_ context.Context, c wire.Caller, in *wire.DescribeFirewallRequest) (*wire.DescribeFirewallResponse, error) {
	return &wire.DescribeFirewallResponse{UpdateToken: wire.Ptr(s.account + " " + c.Account + " " + c.UserARN)}, nil
}

func (tenant) ListFirewalls(context.Context, wire.Caller, *wire.ListFirewallsRequest) (*wire.ListFirewallsResponse, error) {
	return nil, nil
}

func (tenant) CreateFirewall(context.Context, wire.Caller, *wire.CreateFirewallRequest) (*wire.CreateFirewallResponse, error) {
	return nil, nil
}

func (tenant) DeleteFirewall(_ context.Context, _ wire.Caller, in *wire.DeleteFirewallRequest) (*wire.DeleteFirewallResponse, error) {
	return &wire.DeleteFirewallResponse{Firewall: &wire.Firewall{FirewallName: in.FirewallName}}, nil
}

func (tenant) ListTagsForResource(_ context.Context, _ wire.Caller, in *wire.ListTagsForResourceRequest) (*wire.ListTagsForResourceResponse, error) {
	if strings.HasSuffix(*in.ResourceArn, "/missing") {
		return nil, wire.ResourceNotFoundException("missing")
	}
	if strings.HasSuffix(*in.ResourceArn, "/broken") {
		return nil, fmt.Errorf("secret detail")
	}
	name := (*in.ResourceArn)[strings.LastIndexByte(*in.ResourceArn, '/')+1:]
	if in.NextToken == nil { // the tag that counts is on the second page
		return &wire.ListTagsForResourceResponse{Tags: []wire.Tag{}, NextToken: wire.Ptr("2")}, nil
	}
	return &wire.ListTagsForResourceResponse{Tags: []wire.Tag{{Key: wire.Ptr("env"), Value: &name}}}, nil
}

// lines is an audit sink in memory.
type lines struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (l *lines) Log(line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(line))
	return true
}

func (l *lines) Flush(context.Context) error { return nil }
func (l *lines) Close(context.Context) error { return nil }

// last returns the newest record and how many there are.
func (l *lines) last(t *testing.T) (record map[string]any, count int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) > 0 {
		if err := json.Unmarshal([]byte(l.all[len(l.all)-1]), &record); err != nil {
			t.Fatal(err)
		}
	}
	return record, len(l.all)
}

// installation is a server with users, in a store of its own.
type installation struct {
	t     *testing.T
	dir   *iam.Directory
	late  *iam.Directory // as dir was two hours ago
	view  *iam.View
	url   string
	audit lines
	made  []string // accounts whose service was made
}

func install(t *testing.T) *installation {
	t.Helper()
	path := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(path, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	i := &installation{t: t}
	o := iam.Options{Store: st, KeyFile: filepath.Join(path, "secret.key")}
	if i.dir, err = iam.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	o.Now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	if i.late, err = iam.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if i.view, err = i.dir.Watch(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{
		Region: "us-east-1", Users: i.view, Audit: audit.New(&i.audit, nil), Logger: slog.New(slog.DiscardHandler),
		ServiceFor: func(account string) (any, error) {
			i.made = append(i.made, account)
			return tenant{account}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	i.url = s.URL
	return i
}

func (i *installation) check(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

// user makes a user with a policy of these statements, and waits until the server knows.
func (i *installation) user(account, name string, statements ...string) iam.NewKey {
	i.t.Helper()
	_, err := i.dir.CreateUser(i.t.Context(), account, name)
	i.check(err)
	if len(statements) > 0 {
		text := `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
		i.check(i.dir.SetPolicy(i.t.Context(), account, name, "p", []byte(text)))
	}
	k, err := i.dir.CreateKey(i.t.Context(), account, name)
	i.check(err)
	i.until(func() bool { _, ok := i.view.Key(k.ID); return ok })
	return k
}

// until waits for the server's view of the directory.
func (i *installation) until(met func() bool) {
	i.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			i.t.Fatal("the view does not follow")
		}
	}
}

func (i *installation) client(id, secret, token string) *networkfirewall.Client {
	return networkfirewall.New(networkfirewall.Options{
		BaseEndpoint: aws.String(i.url), Region: "us-east-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

const (
	allow = `{"Effect":"Allow","Action":"network-firewall:*","Resource":"*"}`
	fw    = "arn:aws:network-firewall:us-east-1:" + account + ":firewall/"
)

func TestAuthorization(t *testing.T) {
	i := install(t)
	ctx := t.Context()
	describe := func(name string) func(*networkfirewall.Client) error {
		return func(c *networkfirewall.Client) error {
			_, err := c.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: &name})
			return err
		}
	}
	describeARN := func(arn string) func(*networkfirewall.Client) error {
		return func(c *networkfirewall.Client) error {
			_, err := c.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallArn: &arn})
			return err
		}
	}
	list := func(c *networkfirewall.Client) error { _, err := c.ListFirewalls(ctx, nil); return err }
	create := func(tags ...types.Tag) func(*networkfirewall.Client) error {
		return func(c *networkfirewall.Client) error {
			_, err := c.CreateFirewall(ctx, &networkfirewall.CreateFirewallInput{FirewallName: aws.String("edge"), Tags: tags,
				FirewallPolicyArn: aws.String("arn:aws:network-firewall:us-east-1:" + account + ":firewall-policy/strict")})
			return err
		}
	}
	tag := func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} }
	no := func(op, resource, why string) string {
		return "User: arn:aws:iam::" + account + ":user/%s is not authorized to perform: network-firewall:" + op + " on resource: " + resource + " " + why
	}
	because := func(op string) string {
		return "because no identity-based policy allows the network-firewall:" + op + " action"
	}
	const explicit = "with an explicit deny in an identity-based policy"

	for n, c := range []struct {
		name       string
		statements []string
		call       func(*networkfirewall.Client) error
		want       string // "" if allowed
	}{
		{"no policy", nil, describe("edge"), no("DescribeFirewall", fw+"edge", because("DescribeFirewall"))},
		{"allowed", []string{allow}, describe("edge"), ""},
		{"allowed to list", []string{allow}, list, ""},
		{"list needs *", []string{`{"Effect":"Allow","Action":"*","Resource":"` + fw + `*"}`}, list, no("ListFirewalls", "*", because("ListFirewalls"))},
		{"one firewall", []string{`{"Effect":"Allow","Action":"*","Resource":"` + fw + `edge"}`}, describe("edge"), ""},
		{"one firewall, by ARN", []string{`{"Effect":"Allow","Action":"*","Resource":"` + fw + `edge"}`}, describeARN(fw + "edge"), ""},
		{"another firewall", []string{`{"Effect":"Allow","Action":"*","Resource":"` + fw + `edge"}`}, describe("inner"), no("DescribeFirewall", fw+"inner", because("DescribeFirewall"))},
		{"explicit deny", []string{allow, `{"Effect":"Deny","Action":"*","Resource":"` + fw + `prod"}`}, describe("prod"), no("DescribeFirewall", fw+"prod", explicit)},
		{"a deny is not escaped by another partition", []string{allow, `{"Effect":"Deny","Action":"*","Resource":"` + fw + `prod"}`},
			describeARN(strings.Replace(fw+"prod", "arn:aws:", "arn:aws-cn:", 1)), no("DescribeFirewall", fw+"prod", explicit)},
		{"each resource counts", []string{`{"Effect":"Allow","Action":"*","Resource":"` + fw + `*"}`}, create(),
			no("CreateFirewall", "arn:aws:network-firewall:us-east-1:"+account+":firewall-policy/strict", because("CreateFirewall"))},

		{"tag of the resource", []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"dev"}}}`}, describe("dev"), ""},
		{"another tag of the resource", []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/env":"dev"}}}`}, describe("prod"), no("DescribeFirewall", fw+"prod", because("DescribeFirewall"))},
		{"a resource without tags", []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"aws:ResourceTag/env":"true"}}}`}, describe("missing"), ""},
		{"tag of the request", []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/env":"dev"}}}`}, create(tag("env", "dev")), ""},
		{"another tag of the request", []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:RequestTag/env":"dev"}}}`}, create(tag("env", "prod")), no("CreateFirewall", fw+"edge", because("CreateFirewall"))},
		{"keys of tags", []string{allow, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringLike":{"aws:TagKeys":"sys-*"}}}`}, create(tag("env", "dev"), tag("sys-1", "x")), no("CreateFirewall", fw+"edge", explicit)},
		{"source address", []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":["127.0.0.0/8","::1"]}}}`}, describe("edge"), ""},
		{"another source address", []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`}, describe("edge"), no("DescribeFirewall", fw+"edge", because("DescribeFirewall"))},
		{"without TLS", []string{allow, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`}, describe("edge"), no("DescribeFirewall", fw+"edge", explicit)},
		{"own firewalls", []string{`{"Effect":"Allow","Action":"*","Resource":"` + fw + `${aws:username}"}`}, describe("edge"), no("DescribeFirewall", fw+"edge", because("DescribeFirewall"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := fmt.Sprint("user-", n)
			k := i.user(account, name, c.statements...)
			err := c.call(i.client(k.ID, k.Secret, ""))
			record, _ := i.audit.last(t)
			if got := record["userIdentity"].(map[string]any)["userName"]; got != name {
				t.Errorf("audit record of %v, want %s", got, name)
			}
			if c.want == "" {
				if err != nil || record["errorCode"] != nil {
					t.Errorf("%v; audited %v", err, record["errorCode"])
				}
				return
			}
			wantAPIError(t, err, "AccessDeniedException")
			e, ok := errors.AsType[smithy.APIError](err)
			if want := fmt.Sprintf(c.want, name); !ok || e.ErrorMessage() != want || record["errorMessage"] != want {
				t.Errorf("got   %v\naudit %v\nwant  %s", err, record["errorMessage"], want)
			}
		})
	}

	// A service that fails to tell the tags fails the call, whatever the policy.
	k := i.user(account, "tags", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceTag/env":"prod"}}}`)
	wantAPIError(t, describe("broken")(i.client(k.ID, k.Secret, "")), "InternalServerError")
}

func TestKeysComeAndGo(t *testing.T) {
	i := install(t)
	ctx := t.Context()
	call := func(id, secret, token string) error {
		_, err := i.client(id, secret, token).ListFirewalls(ctx, nil)
		return err
	}
	k := i.user(account, "anna", allow)
	i.check(call(k.ID, k.Secret, ""))

	i.check(i.dir.EnableKey(ctx, account, k.ID, false))
	i.until(func() bool { _, ok := i.view.Key(k.ID); return !ok })
	wantAPIError(t, call(k.ID, k.Secret, ""), "UnrecognizedClientException")
	i.check(i.dir.EnableKey(ctx, account, k.ID, true))
	i.until(func() bool { _, ok := i.view.Key(k.ID); return ok })
	i.check(call(k.ID, k.Secret, ""))

	fresh, err := i.dir.RotateKey(ctx, account, "anna")
	i.check(err)
	i.until(func() bool { _, ok := i.view.Key(fresh.ID); return ok })
	i.check(call(fresh.ID, fresh.Secret, ""))
	wantAPIError(t, call(k.ID, k.Secret, ""), "UnrecognizedClientException")

	s, err := i.dir.IssueSession(ctx, account, "anna", time.Hour)
	i.check(err)
	i.check(call(s.AccessKeyID, s.Secret, s.Token))
	wantAPIError(t, call(s.AccessKeyID, s.Secret, ""), "UnrecognizedClientException")
	wantAPIError(t, call(s.AccessKeyID, s.Secret+"x", s.Token), "InvalidSignatureException")
	wantAPIError(t, call(fresh.ID, fresh.Secret, s.Token), "UnrecognizedClientException")
	old, err := i.late.IssueSession(ctx, account, "anna", time.Hour)
	i.check(err)
	err = call(old.AccessKeyID, old.Secret, old.Token)
	wantAPIError(t, err, "ExpiredTokenException")
	if !strings.Contains(err.Error(), "403") || !strings.Contains(err.Error(), "The security token included in the request is expired") {
		t.Errorf("%v", err)
	}

	i.check(i.dir.DeleteUser(ctx, account, "anna"))
	i.until(func() bool { _, ok := i.view.Key(fresh.ID); return !ok })
	wantAPIError(t, call(fresh.ID, fresh.Secret, ""), "UnrecognizedClientException")
	wantAPIError(t, call(s.AccessKeyID, s.Secret, s.Token), "UnrecognizedClientException")
}

func TestAccounts(t *testing.T) {
	i := install(t)
	ctx := t.Context()
	const second = "444455556666"
	for n, acct := range []string{account, second, account} {
		k := i.user(acct, fmt.Sprint("u", n), allow)
		out, err := i.client(k.ID, k.Secret, "").DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("edge")})
		i.check(err)
		if got, want := aws.ToString(out.UpdateToken), acct+" "+acct+" arn:aws:iam::"+acct+":user/"+k.User; got != want {
			t.Errorf("answered by and for %q, want %q", got, want)
		}
	}
	if want := []string{account, second}; !slices.Equal(i.made, want) {
		t.Errorf("services made for %v, want %v", i.made, want)
	}

	// One service for one account only: a key of another gets nothing of it.
	h, err := New(Options{Region: "us-east-1", Account: account, Service: tenant{account}, Users: i.view, Logger: slog.New(slog.DiscardHandler)})
	i.check(err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	i.url = s.URL
	k := i.user(second, "stranger", allow)
	_, err = i.client(k.ID, k.Secret, "").ListFirewalls(ctx, nil)
	wantAPIError(t, err, "AccessDeniedException")
}

func TestAudit(t *testing.T) {
	i := install(t)
	ctx := t.Context()
	k := i.user(account, "anna", allow)
	in := &networkfirewall.DeleteFirewallInput{FirewallName: aws.String("edge")}
	_, err := i.client(k.ID, k.Secret, "").DeleteFirewall(ctx, in)
	i.check(err)
	r, n := i.audit.last(t)
	if n != 1 || r["eventName"] != "DeleteFirewall" || r["readOnly"] != false || r["sourceIPAddress"] != "127.0.0.1" || r["recipientAccountId"] != account ||
		r["eventSource"] != "network-firewall.amazonaws.com" || !strings.Contains(r["userAgent"].(string), "aws-sdk-go-v2") ||
		fmt.Sprint(r["requestParameters"]) != "map[firewallName:edge]" || fmt.Sprint(r["responseElements"]) != "map[firewall:map[firewallName:edge]]" {
		t.Errorf("a change: %v", r)
	}
	who := r["userIdentity"].(map[string]any)
	if who["type"] != "IAMUser" || who["arn"] != "arn:aws:iam::"+account+":user/anna" || who["accessKeyId"] != k.ID || !strings.HasPrefix(who["principalId"].(string), "AIDA") {
		t.Errorf("identity %v", who)
	}

	_, err = i.client(k.ID, "wrong", "").DeleteFirewall(ctx, in)
	wantAPIError(t, err, "InvalidSignatureException")
	r, n = i.audit.last(t)
	if n != 2 || r["eventName"] != "DeleteFirewall" || r["errorCode"] != "InvalidSignatureException" || r["requestParameters"] != nil || r["recipientAccountId"] != nil ||
		fmt.Sprint(r["userIdentity"]) != "map[accessKeyId:"+k.ID+" type:Unknown]" {
		t.Errorf("a wrong signature: %v", r)
	}

	_, err = i.client(k.ID, k.Secret, "").DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("edge")})
	i.check(err)
	if r, n = i.audit.last(t); n != 3 || r["readOnly"] != true || r["responseElements"] != nil {
		t.Errorf("a look: %v", r)
	}
	for op, want := range map[string]bool{"DescribeFirewall": true, "ListFlows": true, "GetStaleFlows": true, "PreviewFlowFlush": true,
		"StartFlowCapture": false, "FlushStaleFlows": false, "TagResource": false, "Unknown": false} {
		if readOnly(op) != want {
			t.Errorf("%s: read only %v", op, !want)
		}
	}
	for range 300 {
		i.client("AKIANOBODY", "x", "").ListFirewalls(ctx, nil)
	}
	if _, n = i.audit.last(t); n < 103 || n > 250 {
		t.Errorf("%d records after 300 refused calls", n)
	}
}

// TestConcurrentChanges calls while users and policies change; the race detector
// is the judge.
func TestConcurrentChanges(t *testing.T) {
	i := install(t)
	k := i.user(account, "anna", allow)
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			c := i.client(k.ID, k.Secret, "")
			for ctx.Err() == nil {
				c.DescribeFirewall(ctx, &networkfirewall.DescribeFirewallInput{FirewallName: aws.String("dev")})
			}
		})
	}
	for n := range 20 {
		i.check(i.dir.EnableKey(t.Context(), account, k.ID, n%2 == 0))
		i.check(i.dir.SetPolicy(t.Context(), account, "anna", "q", []byte(iam.Administrator)))
	}
	stop()
	callers.Wait()
}
