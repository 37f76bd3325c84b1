package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// refusal is a request that is signed right and then changed, and what becomes of it.
type refusal struct {
	name   string
	change func(*http.Request)
	status int
	want   string // code and text
}

// check compares the answer to a request with the row.
func (c *refusal) check(t *testing.T, r *http.Request, body []byte, at time.Time) {
	t.Helper()
	err := verify(r, body, at)
	if err == nil {
		if c.want != "" {
			t.Errorf("accepted, want %s", c.want)
		}
		return
	}
	e, ok := errors.AsType[*wire.Error](err)
	if !ok || err.Error() != c.want || e.Status != c.status {
		t.Errorf("got  %v\nwant %d %s", err, c.status, c.want)
	}
}

const (
	incomplete = "IncompleteSignatureException: "
	invalid    = "InvalidSignatureException: "
	unknownKey = "UnrecognizedClientException: The security token included in the request is invalid."
	headerForm = incomplete + "There must be one Authorization header of at most 4096 bytes, of the form 'AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...'."
)

func TestRefusals(t *testing.T) {
	body := []byte("{}")
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, c := range []refusal{
		{"untouched", func(*http.Request) {}, 0, ""},
		{"no authorization", func(r *http.Request) { r.Header.Del("Authorization") }, 403, "MissingAuthenticationTokenException: Missing Authentication Token"},
		{"two authorizations", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, 400, headerForm},
		{"a huge one", set("Authorization", algorithm+" "+strings.Repeat(",", 5000)), 400, headerForm},
		{"another scheme", set("Authorization", "Basic eDp5"), 400, headerForm},
		{"an older signature", replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), 400, headerForm},
		{"an asymmetric signature", replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 400, headerForm},
		{"no equal sign", replace("Signature=", "Signature"), 400, incomplete + "' SignatureXX' not a valid key=value pair (missing equal-sign) in Authorization header."},
		{"no signature", replace("Signature=", "Signatur="), 400, incomplete + "Authorization header requires 'Signature' parameter."},
		{"no signed headers", replace("SignedHeaders=", "Headers="), 400, incomplete + "Authorization header requires 'SignedHeaders' parameter."},
		{"no credential", replace("Credential=", "Cred="), 400, incomplete + "Authorization header requires 'Credential' parameter."},
		{"a short scope", replace("/aws4_request", ""), 400, incomplete + "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got 'AKIDEXAMPLE/20261101/us-east-1/network-firewall'."},
		{"another end of the scope", replace("/aws4_request", "/aws5_request"), 400, incomplete + "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got 'AKIDEXAMPLE/20261101/us-east-1/network-firewall/aws5_request'."},
		{"headers in another order", replace("content-type;host", "host;content-type"), 400, incomplete + "SignedHeaders must be in lower case and ascending order, got 'content-length;host;content-type;x-amz-date;x-amz-target'."},
		{"a header twice", replace("host", "host;host"), 400, incomplete + "SignedHeaders must be in lower case and ascending order, got 'content-length;content-type;host;host;x-amz-date;x-amz-target'."},
		{"a header in capitals", replace("host", "Host"), 400, incomplete + "SignedHeaders must be in lower case and ascending order, got 'content-length;content-type;Host;x-amz-date;x-amz-target'."},
		{"host not signed", replace("host;", ""), 403, invalid + "'host' must be a 'SignedHeader' in the AWS Authorization."},
		{"date not signed", replace("x-amz-date;", ""), 403, invalid + "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization."},
		{"target not signed", replace(";x-amz-target", ""), 403, invalid + "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."},
		{"media type not signed any more", replace("content-type;", ""), 403, mismatch},
		{"session token after the signature", set("X-Amz-Security-Token", "t"), 403, invalid + "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization."},
		{"another Region", replace("us-east-1", "us-east-2"), 403, invalid + "Credential should be scoped to a valid region, not 'us-east-2'. This endpoint serves 'us-east-1'."},
		{"another service", replace("network-firewall", "ec2"), 403, invalid + "Credential should be scoped to correct service: 'network-firewall'."},
		{"another day in the scope", replace("20261101", "20261102"), 403, invalid + "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261102' != '20261101', from '20261101T120000Z'."},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 400, incomplete + "Authorization header requires existence of an 'X-Amz-Date' header like '20060102T150405Z', got ''."},
		{"a bad date", set("X-Amz-Date", "20261101"), 400, incomplete + "Authorization header requires existence of an 'X-Amz-Date' header like '20060102T150405Z', got '20261101'."},
		{"another date", set("X-Amz-Date", "20261101T120001Z"), 403, mismatch},
		{"another key", replace("AKIDEXAMPLE", "AKIDOTHER"), 403, unknownKey},
		{"another method", func(r *http.Request) { r.Method = "PUT" }, 403, mismatch},
		{"another operation", set("X-Amz-Target", "NetworkFirewall_20201112.DeleteFirewall"), 403, mismatch},
		{"another query", func(r *http.Request) { r.URL.RawQuery = "a=b" }, 403, mismatch},
		{"another length", func(r *http.Request) { r.ContentLength++ }, 403, mismatch},
		{"a length that is not known", func(r *http.Request) { r.ContentLength = -1 }, 403, mismatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRequest(t, "http://127.0.0.1/", body)
			sign(t, r, body, now)
			c.change(r)
			// The signature's digits are the clock's and the key's; only their place is told.
			c.want = strings.Replace(c.want, "SignatureXX", "Signature"+r.Header.Get("Authorization")[max(0, len(r.Header.Get("Authorization"))-64):], 1)
			c.check(t, r, body, now)
		})
	}
}

// TestPayload: the whole body must be signed. Clients that say otherwise put what
// they say in the place of its hash.
func TestPayload(t *testing.T) {
	const whole = " The whole body must be signed here: X-Amz-Content-Sha256 cannot be '%s'."
	for _, c := range []struct {
		hash string // of the signer, in the header as well if sent
		sent bool
		want string
	}{
		{hexSHA256("{}"), false, ""},
		{hexSHA256("{}"), true, ""},
		{hexSHA256("other"), false, mismatch},
		{hexSHA256("other"), true, mismatch},
		{hexSHA256(""), true, mismatch},
		{"UNSIGNED-PAYLOAD", false, mismatch},
		{"UNSIGNED-PAYLOAD", true, mismatch + fmt.Sprintf(whole, "UNSIGNED-PAYLOAD")},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", false, mismatch},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", true, mismatch + fmt.Sprintf(whole, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", true, mismatch + fmt.Sprintf(whole, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", true, mismatch + fmt.Sprintf(whole, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")},
		{"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", true, mismatch + fmt.Sprintf(whole, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")},
	} {
		t.Run(fmt.Sprintf("%.24s %v", c.hash, c.sent), func(t *testing.T) {
			r := newRequest(t, "http://127.0.0.1/", []byte("{}"))
			if c.sent {
				r.Header.Set("X-Amz-Content-Sha256", c.hash)
			}
			signHash(t, r, c.hash, now)
			(&refusal{status: 403, want: c.want}).check(t, r, []byte("{}"), now)
		})
	}
}

// TestClock: both sides of the limit, in both forms.
func TestClock(t *testing.T) {
	const minutes = 15 * time.Minute
	for _, c := range []struct {
		skew time.Duration // of the client's clock
		want string
	}{
		{0, ""},
		{-minutes, ""},
		{minutes, ""},
		{-minutes - time.Second, invalid + "Signature expired: 20261101T114459Z is now earlier than 20261101T114500Z (20261101T120000Z - 15 min.)"},
		{minutes + time.Second, invalid + "Signature not yet current: 20261101T121501Z is still later than 20261101T121500Z (20261101T120000Z + 15 min.)"},
		{-24 * time.Hour, invalid + "Signature expired: 20261031T120000Z is now earlier than 20261101T114500Z (20261101T120000Z - 15 min.)"},
	} {
		for form, r := range map[string]*http.Request{"header": newRequest(t, "http://127.0.0.1/", nil), "query": presign(t, nil, "", now.Add(c.skew))} {
			t.Run(fmt.Sprint(form, c.skew), func(t *testing.T) {
				if form == "header" {
					sign(t, r, nil, now.Add(c.skew))
				}
				(&refusal{status: 403, want: c.want}).check(t, r, nil, now)
			})
		}
	}
}

// TestReplay: as with AWS, nobody remembers signatures, so the same request is
// taken again until its time is over.
func TestReplay(t *testing.T) {
	body := []byte("{}")
	r := newRequest(t, "http://127.0.0.1/", body)
	sign(t, r, body, now)
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, ""}, {0, ""}, {time.Second, ""}, {15 * time.Minute, ""},
		{15*time.Minute + time.Second, invalid + "Signature expired: 20261101T120000Z is now earlier than 20261101T120001Z (20261101T121501Z - 15 min.)"},
	} {
		(&refusal{status: 403, want: c.want}).check(t, r, body, now.Add(c.after))
	}
}

// signHash signs with the AWS SDK's signer and a hash of the payload that the test chooses.
func signHash(t *testing.T, r *http.Request, hash string, at time.Time) {
	t.Helper()
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials(), r, hash, "network-firewall", "us-east-1", at); err != nil {
		t.Fatal(err)
	}
}

// presign returns a request whose query is signed by the AWS SDK's signer.
func presign(t *testing.T, body []byte, expires string, at time.Time) *http.Request {
	t.Helper()
	r := newRequest(t, "http://127.0.0.1/", body)
	if expires != "" {
		r.URL.RawQuery = "X-Amz-Expires=" + expires
	}
	keep := func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true } // X-Amz-Target stays a header
	signed, _, err := v4.NewSigner(keep).PresignHTTP(t.Context(), credentials(), r, hexSHA256(string(body)), "network-firewall", "us-east-1", at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	p := newRequest(t, signed, body)
	p.URL, p.Host = u, u.Host
	return p
}

func credentials() aws.Credentials {
	secret, _, _ := oneKey{}.Secret("")
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
}

// TestPresigned: a signature in the query is as good as one in the header, and
// for no longer; and its misuse.
func TestPresigned(t *testing.T) {
	body := []byte(`{"MaxResults":1}`)
	edit := func(change func(url.Values)) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			change(q)
			r.URL.RawQuery = q.Encode()
		}
	}
	set := func(name, value string) func(*http.Request) { return edit(func(q url.Values) { q.Set(name, value) }) }
	lacks := func(name string) refusal {
		return refusal{"no " + name, edit(func(q url.Values) { q.Del(name) }), 400, incomplete + "AWS query-string parameters must include '" + name + "'. Re-examine the query-string parameters."}
	}
	for _, c := range []refusal{
		{"untouched", func(*http.Request) {}, 0, ""},
		lacks("X-Amz-Algorithm"), lacks("X-Amz-Credential"), lacks("X-Amz-Date"), lacks("X-Amz-SignedHeaders"), lacks("X-Amz-Signature"),
		{"a parameter twice", edit(func(q url.Values) { q.Add("X-Amz-Date", q.Get("X-Amz-Date")) }), 400, incomplete + "AWS query-string parameters must include 'X-Amz-Date' once. Re-examine the query-string parameters."},
		{"an unreadable query", func(r *http.Request) { r.URL.RawQuery += "&%zz" }, 400, incomplete + "The query-string of a presigned request must be well-formed, and have at most 4096 bytes."},
		{"a huge query", func(r *http.Request) { r.URL.RawQuery += "&a=" + strings.Repeat("b", 4096) }, 400, incomplete + "The query-string of a presigned request must be well-formed, and have at most 4096 bytes."},
		{"another algorithm", set("X-Amz-Algorithm", "AWS4-HMAC-SHA1"), 400, incomplete + "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 is supported)."},
		{"a bad credential", set("X-Amz-Credential", "AKIDEXAMPLE"), 400, incomplete + "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, got 'AKIDEXAMPLE'."},
		{"another Region", edit(func(q url.Values) {
			q.Set("X-Amz-Credential", strings.Replace(q.Get("X-Amz-Credential"), "us-east-1", "eu-west-1", 1))
		}), 403, invalid + "Credential should be scoped to a valid region, not 'eu-west-1'. This endpoint serves 'us-east-1'."},
		{"a bad date", set("X-Amz-Date", "yesterday"), 400, incomplete + "X-Amz-Date must be of the form '20060102T150405Z', got 'yesterday'."},
		{"another date", set("X-Amz-Date", "20261101T120001Z"), 403, mismatch},
		{"a longer life", set("X-Amz-Expires", "301"), 403, mismatch},
		{"a life that is no number", set("X-Amz-Expires", "soon"), 400, incomplete + "X-Amz-Expires must be a number of seconds from 1 to 604800, got 'soon'."},
		{"no life", set("X-Amz-Expires", "0"), 400, incomplete + "X-Amz-Expires must be a number of seconds from 1 to 604800, got '0'."},
		{"a life beyond a week", set("X-Amz-Expires", "604801"), 400, incomplete + "X-Amz-Expires must be a number of seconds from 1 to 604800, got '604801'."},
		{"host not signed", set("X-Amz-SignedHeaders", "content-type"), 403, invalid + "'host' must be a 'SignedHeader' in the AWS Authorization."},
		{"target not signed", set("X-Amz-SignedHeaders", "content-length;content-type;host"), 403, invalid + "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."},
		{"another operation", func(r *http.Request) { r.Header.Set("X-Amz-Target", "NetworkFirewall_20201112.DeleteFirewall") }, 403, mismatch},
		{"another method", func(r *http.Request) { r.Method = "GET" }, 403, mismatch},
		{"another host", func(r *http.Request) { r.Host = "127.0.0.2" }, 403, mismatch},
		{"a parameter more", func(r *http.Request) { r.URL.RawQuery += "&DryRun=false" }, 403, mismatch},
		{"another key", edit(func(q url.Values) {
			q.Set("X-Amz-Credential", strings.Replace(q.Get("X-Amz-Credential"), "AKIDEXAMPLE", "AKIDOTHER", 1))
		}), 403, unknownKey},
		{"a session token that was not signed", set("X-Amz-Security-Token", "t"), 403, unknownKey},
		{"a header beside it", func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }, 400, headerForm},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := presign(t, body, "300", now)
			c.change(r)
			c.check(t, r, body, now)
		})
	}
	t.Run("another body", func(t *testing.T) {
		r := presign(t, body, "300", now)
		(&refusal{status: 403, want: mismatch}).check(t, r, bytes.ToUpper(body), now)
		(&refusal{status: 403, want: mismatch}).check(t, r, nil, now)
	})
	for _, c := range []struct {
		expires string
		after   time.Duration
		want    string
	}{
		{"60", time.Minute, ""},
		{"60", time.Minute + time.Second, invalid + "Signature expired: 20261101T120000Z is now earlier than 20261101T120001Z (20261101T120101Z - 60 sec.)"},
		{"900", 15 * time.Minute, ""},
		{"604800", 15 * time.Minute, ""},
		// AWS: services other than S3 take them for 15 minutes.
		{"604800", 15*time.Minute + time.Second, invalid + "Signature expired: 20261101T120000Z is now earlier than 20261101T120001Z (20261101T121501Z - 15 min.)"},
		{"", 15 * time.Minute, ""},
		{"60", -15 * time.Minute, ""},
		{"60", -15*time.Minute - time.Second, invalid + "Signature not yet current: 20261101T120000Z is still later than 20261101T115959Z (20261101T114459Z + 15 min.)"},
	} {
		t.Run(fmt.Sprintf("expires in %s, after %s", c.expires, c.after), func(t *testing.T) {
			(&refusal{status: 403, want: c.want}).check(t, presign(t, body, c.expires, now), body, now.Add(c.after))
		})
	}
}
