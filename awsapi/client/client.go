// Package client calls the AWS Network Firewall API, of Sluice or of AWS itself,
// with the configuration that every AWS client uses: environment variables,
// profiles, credential chain.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/smithy-go/logging"

	"github.com/sluicefw/sluice/awsapi/wire"
)

const (
	signingName = "network-firewall"
	serviceID   = "Network Firewall" // names AWS_ENDPOINT_URL_NETWORK_FIREWALL

	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 20

	defaultAttempts = 3 // AWS: the SDKs' standard retry mode
)

// Options configure New. The zero value uses the environment and AWS's own
// endpoint.
type Options struct {
	// Endpoint is the URL to call. It goes before the environment
	// (AWS_ENDPOINT_URL_NETWORK_FIREWALL, AWS_ENDPOINT_URL) and the profile.
	Endpoint string
	// DefaultEndpoint is the URL when none of these names one. Empty means AWS's.
	DefaultEndpoint string

	Region  string // before AWS_REGION and the profile
	Profile string // before AWS_PROFILE

	Attempts int // how often to try a call that fails in passing; 0 means 3

	// Backoff returns how long to wait after the given failed attempt (1, 2, ...).
	// Nil means up to 0.1 s, 0.2 s, 0.4 s ... 5 s, at random.
	Backoff func(attempt int) time.Duration
}

// Client signs and sends calls. It is safe for concurrent use.
type Client struct {
	endpoint    string
	region      string
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	http        aws.HTTPClient
	attempts    int
	backoff     func(attempt int) time.Duration
}

// New resolves Region, endpoint and credential chain. It calls nobody, except
// what the credential chain needs later.
func New(ctx context.Context, o Options) (*Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(o.Region), config.WithSharedConfigProfile(o.Profile),
		config.WithLogger(logging.Nop{})) // the SDK's warnings would get between what a command prints
	if missing, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return nil, fmt.Errorf("AWS profile %q does not exist: create it with \"aws configure --profile %[1]s\" or choose another", missing.Profile)
	}
	if err != nil {
		return nil, fmt.Errorf("read AWS configuration: %w", err)
	}
	endpoint, err := resolveEndpoint(ctx, o, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		if ofAWS(endpoint) {
			return nil, errors.New("no AWS Region: set AWS_REGION, or a region in the profile")
		}
		return nil, errors.New(`no AWS Region: run eval "$(sluice keys)" first, or set AWS_REGION`)
	}
	// The credential chain ends at EC2's metadata service. The key of an instance's
	// role is of no use outside AWS, and elsewhere the service takes seconds not to answer.
	if !ofAWS(endpoint) && aws.IsCredentialsProvider(cfg.Credentials, (*ec2rolecreds.Provider)(nil)) {
		cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errNoCredentials
		})
	}
	c := &Client{
		endpoint: endpoint, region: cfg.Region, credentials: cfg.Credentials,
		signer: v4.NewSigner(), http: cfg.HTTPClient, attempts: o.Attempts, backoff: o.Backoff,
	}
	if c.http == nil { // set when the configuration names a CA bundle
		c.http = awshttp.NewBuildableClient()
	}
	if c.attempts <= 0 {
		c.attempts = defaultAttempts
	}
	if c.backoff == nil {
		c.backoff = func(attempt int) time.Duration {
			return rand.N(min(100*time.Millisecond<<min(attempt-1, 10), 5*time.Second))
		}
	}
	return c, nil
}

// errNoCredentials is the end of the credential chain for endpoints that are not AWS's.
var errNoCredentials = errors.New(`no credentials: run eval "$(sluice keys)" first, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`)

// ofAWS reports whether an endpoint that resolveEndpoint returned is AWS's own.
func ofAWS(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := "." + strings.ToLower(u.Hostname())
	return slices.ContainsFunc([]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws"}, func(domain string) bool { return strings.HasSuffix(host, domain) })
}

// resolveEndpoint returns the URL to call, ending in a slash.
func resolveEndpoint(ctx context.Context, o Options, cfg aws.Config) (string, error) {
	endpoint := o.Endpoint
	if ignore, _, _ := config.GetIgnoreConfiguredEndpoints(ctx, cfg.ConfigSources); endpoint == "" && !ignore {
		for _, source := range cfg.ConfigSources {
			s, ok := source.(interface {
				GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
			})
			if !ok {
				continue
			}
			if v, found, err := s.GetServiceBaseEndpoint(ctx, serviceID); err == nil && found {
				endpoint = v
				break
			}
		}
		if endpoint == "" {
			endpoint = wire.Val(cfg.BaseEndpoint)
		}
	}
	if endpoint == "" {
		endpoint = o.DefaultEndpoint
	}
	if endpoint == "" {
		domain := "amazonaws.com"
		if strings.HasPrefix(cfg.Region, "cn-") {
			domain = "amazonaws.com.cn"
		}
		endpoint = "https://" + signingName + "." + cfg.Region + "." + domain
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("endpoint %q is not a URL like http://127.0.0.1:4580", endpoint)
	}
	return u.Scheme + "://" + u.Host + "/", nil
}

// Region is the Region that calls are signed for.
func (c *Client) Region() string { return c.region }

// Endpoint is the URL that is called.
func (c *Client) Endpoint() string { return c.endpoint }

// Call runs one operation, and again while it fails in passing: throttling, a
// server's fault, a broken connection. As with the AWS SDKs, an operation whose
// answer was lost may so run twice. Refusals of the server are *wire.Error.
//
// The operation is given by name, or by its target where AWS and Sluice have
// one of the same name: "Sluice_20261101.StartFlowFlush".
func Call[In, Out any](ctx context.Context, c *Client, operation string, in *In) (*Out, error) {
	op := cmp.Or(wire.Named(operation), wire.Lookup(operation))
	if op == nil {
		return nil, fmt.Errorf("%s: no such operation", operation)
	}
	body, err := wire.Encode(in)
	if err != nil {
		return nil, fmt.Errorf("%s: encode request: %w", operation, err)
	}
	for attempt := 1; ; attempt++ {
		answer, err := c.send(ctx, op.Target(), body)
		if err == nil {
			out := new(Out)
			if err := wire.Decode(answer, out); err != nil {
				// Not wrapped: a *wire.Error would pass for the server's refusal.
				return nil, fmt.Errorf("%s: decode answer: %v", operation, err)
			}
			return out, nil
		}
		if attempt >= c.attempts || !passing(err) || !wait(ctx, c.backoff(attempt)) {
			return nil, fmt.Errorf("%s: %w", operation, err)
		}
	}
}

// Pages runs a paginated operation page by page, from in's NextToken on, and
// yields the answers until the last page, an error, or the end of the loop
// over it. It does not change in.
func Pages[In, Out any](ctx context.Context, c *Client, operation string, in *In) iter.Seq2[*Out, error] {
	return func(yield func(*Out, error) bool) {
		request := *in
		for {
			out, err := Call[In, Out](ctx, c, operation, &request)
			if !yield(out, err) || err != nil {
				return
			}
			token := reflect.ValueOf(out).Elem().FieldByName("NextToken")
			if token.IsNil() || token.Elem().Len() == 0 {
				return
			}
			reflect.ValueOf(&request).Elem().FieldByName("NextToken").Set(token)
		}
	}
}

// unreachableError is a failure to get an answer at all.
type unreachableError struct {
	endpoint string
	cause    error
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("cannot reach the API at %s: %v: is the server running there, and is it the endpoint you mean?", e.endpoint, e.cause)
}

func (e *unreachableError) Unwrap() error { return e.cause }

// send signs and sends body once and returns the body of a successful answer.
func (c *Client) send(ctx context.Context, target string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", target)
	credentials, err := c.credentials.Retrieve(ctx)
	if errors.Is(err, errNoCredentials) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile that has them: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), signingName, c.region, time.Now()); err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the endpoint is named once already
		}
		return nil, &unreachableError{c.endpoint, err}
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &unreachableError{c.endpoint, err}
	}
	if resp.StatusCode != http.StatusOK {
		return nil, wire.ParseError(resp.StatusCode, answer)
	}
	return answer, nil
}

// passing reports whether the same call may succeed a little later.
func passing(err error) bool {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		// AWS: SDKs count LimitExceededException as throttling.
		return e.Status >= 500 || e.Status == http.StatusTooManyRequests ||
			e.Code == "ThrottlingException" || e.Code == "LimitExceededException"
	}
	_, unreachable := errors.AsType[*unreachableError](err)
	return unreachable && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// wait waits, and reports whether ctx lasted that long.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
