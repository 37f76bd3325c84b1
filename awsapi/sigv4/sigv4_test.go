package sigv4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sluicefw/sluice/awsapi/wire"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

type oneKey struct{}

func (oneKey) Secret(id string) (secret, account string, ok bool) {
	return "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "111122223333", id == "AKIDEXAMPLE"
}

var verifier = Verifier{Region: "us-east-1", Service: "network-firewall", Keys: oneKey{}}

// newRequest returns a request as a server sees it: Host set, body apart.
func newRequest(t testing.TB, url string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = r.URL.Host
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "NetworkFirewall_20201112.ListFirewalls")
	return r
}

// sign signs with the AWS SDK's signer, the twin of this package.
func sign(t testing.TB, r *http.Request, body []byte, at time.Time) {
	t.Helper()
	secret, _, _ := oneKey{}.Secret("")
	creds := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), creds, r, hexSHA256(string(body)), "network-firewall", "us-east-1", at); err != nil {
		t.Fatal(err)
	}
}

func verify(r *http.Request, body []byte, at time.Time) error {
	s, err := verifier.Open(r, at)
	if err != nil {
		return err
	}
	if s.Account != "111122223333" || s.AccessKeyID != "AKIDEXAMPLE" {
		return fmt.Errorf("account %s, key %s", s.Account, s.AccessKeyID)
	}
	return s.Verify(body)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if e, ok := errors.AsType[*wire.Error](err); !ok || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// TestTwin verifies what the SDK signs, whatever is in it, and refuses the same
// request with any one part changed.
func TestTwin(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	text := func(n int) string {
		alphabet := []rune("abcXYZ019 -_.~/+*%=&;:,@!$'()\"äß日本🔥")
		out := make([]rune, rnd.IntN(n))
		for i := range out {
			out[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return string(out)
	}
	for range 500 {
		body := []byte(text(100) + "!")
		r := newRequest(t, "http://127.0.0.1:4580/", body)
		if rnd.IntN(2) == 0 {
			r.URL.Path = "/" + text(20)
		}
		q := r.URL.Query()
		for range rnd.IntN(4) {
			q.Add(text(4), text(10))
		}
		r.URL.RawQuery = q.Encode()
		for i := range rnd.IntN(4) {
			for range rnd.IntN(3) {
				r.Header.Add(fmt.Sprintf("X-Amz-Meta-%d", i), "  "+text(20)+"   "+text(5))
			}
		}
		at := now.Add(time.Duration(rnd.IntN(1800)-900) * time.Second)
		if rnd.IntN(2) == 0 {
			r.Header.Set("X-Amz-Content-Sha256", hexSHA256(string(body)))
		}
		sign(t, r, body, at)
		if err := verify(r, body, now); err != nil {
			t.Fatalf("%v\n%s %s\n%v", err, r.URL, body, r.Header)
		}

		auth := r.Header.Get("Authorization")
		last := auth[len(auth)-1]
		for name, tamper := range map[string]func(r *http.Request){
			"method":     func(r *http.Request) { r.Method = "PUT" },
			"path":       func(r *http.Request) { r.URL.Path += "x"; r.URL.RawPath = "" },
			"query":      func(r *http.Request) { r.URL.RawQuery += "&x=y" },
			"bad query":  func(r *http.Request) { r.URL.RawQuery += "&%zz" },
			"host":       func(r *http.Request) { r.Host = "127.0.0.2:4580" },
			"target":     func(r *http.Request) { r.Header.Set("X-Amz-Target", "NetworkFirewall_20201112.DeleteFirewall") },
			"media type": func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
			"length":     func(r *http.Request) { r.ContentLength++ },
			"signature":  func(r *http.Request) { r.Header.Set("Authorization", auth[:len(auth)-1]+string(last^1)) },
			"empty hash": func(r *http.Request) { r.Header.Set("Authorization", auth[:len(auth)-63]) },
			"date":       func(r *http.Request) { r.Header.Set("X-Amz-Date", at.Add(time.Second).Format(dateTime)) },
		} {
			if name == "date" && at.Add(time.Second).After(now.Add(maxSkew)) {
				continue
			}
			changed := r.Clone(context.Background())
			tamper(changed)
			if err := verify(changed, body, now); err == nil || !strings.Contains(err.Error(), "does not match") {
				t.Fatalf("%s changed: %v", name, err)
			}
		}
		wantCode(t, verify(r, append(body, '!'), now), "InvalidSignatureException")
	}
}

// TestPayloadHashHeader signs a payload hash that is not the body's.
func TestPayloadHashHeader(t *testing.T) {
	for _, hash := range []string{"UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hexSHA256("other"), ""} {
		r := newRequest(t, "http://127.0.0.1/", []byte("{}"))
		r.Header.Set("X-Amz-Content-Sha256", hash)
		sign(t, r, []byte("{}"), now)
		wantCode(t, verify(r, []byte("{}"), now), "InvalidSignatureException")
	}
}

func TestClock(t *testing.T) {
	for _, c := range []struct {
		skew time.Duration
		want string
	}{
		{0, ""},
		{-15 * time.Minute, ""},
		{15 * time.Minute, ""},
		{-15*time.Minute - time.Second, "InvalidSignatureException: Signature expired: 20261101T114459Z is now earlier than 20261101T114500Z (20261101T120000Z - 15 min.)"},
		{15*time.Minute + time.Second, "InvalidSignatureException: Signature not yet current: 20261101T121501Z is still later than 20261101T121500Z (20261101T120000Z + 15 min.)"},
	} {
		r := newRequest(t, "http://127.0.0.1/", nil)
		sign(t, r, nil, now.Add(c.skew))
		got := ""
		if err := verify(r, nil, now); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.skew, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	replace := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	for _, c := range []struct {
		name   string
		tamper func(*http.Request)
		code   string
		status int
	}{
		{"none", func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationTokenException", 403},
		{"two", func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, "IncompleteSignatureException", 400},
		{"huge", func(r *http.Request) { r.Header.Add("Authorization", algorithm+" "+strings.Repeat(",", 5000)) }, "IncompleteSignatureException", 400},
		{"basic", func(r *http.Request) { r.Header.Set("Authorization", "Basic eDp5") }, "IncompleteSignatureException", 400},
		{"no equal sign", replace("Signature=", "Signature"), "IncompleteSignatureException", 400},
		{"no signature", replace("Signature=", "Signatur="), "IncompleteSignatureException", 400},
		{"no headers", replace("SignedHeaders=", "Headers="), "IncompleteSignatureException", 400},
		{"no credential", replace("Credential=", "Cred="), "IncompleteSignatureException", 400},
		{"short scope", replace("/aws4_request", ""), "IncompleteSignatureException", 400},
		{"scope's end", replace("/aws4_request", "/aws5_request"), "IncompleteSignatureException", 400},
		{"headers unsorted", replace("content-type;host", "host;content-type"), "IncompleteSignatureException", 400},
		{"header twice", replace("host", "host;host"), "IncompleteSignatureException", 400},
		{"header in upper case", replace("host", "Host"), "IncompleteSignatureException", 400},
		{"host not signed", replace("host;", ""), "InvalidSignatureException", 403},
		{"date not signed", replace("x-amz-date;", ""), "InvalidSignatureException", 403},
		{"target not signed", replace(";x-amz-target", ""), "InvalidSignatureException", 403},
		{"media type not signed", replace("content-type;", ""), "InvalidSignatureException", 403},
		{"other Region", replace("us-east-1", "us-east-2"), "InvalidSignatureException", 403},
		{"other service", replace("network-firewall", "ec2"), "InvalidSignatureException", 403},
		{"other day", replace("20261101", "20261102"), "InvalidSignatureException", 403},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "IncompleteSignatureException", 400},
		{"bad date", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261101") }, "IncompleteSignatureException", 400},
		{"other key", replace("AKIDEXAMPLE", "AKIDOTHER"), "UnrecognizedClientException", 403},
		{"session token not signed", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }, "InvalidSignatureException", 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRequest(t, "http://127.0.0.1/", nil)
			sign(t, r, nil, now)
			c.tamper(r)
			err := verify(r, nil, now)
			wantCode(t, err, c.code)
			if e, ok := errors.AsType[*wire.Error](err); ok && e.Status != c.status {
				t.Errorf("status %d, want %d", e.Status, c.status)
			}
		})
	}
}

// sessionKeys knows one temporary key beside the permanent one.
type sessionKeys struct{ oneKey }

func (sessionKeys) Session(id, token string) (secret, account string, expires time.Time, ok bool) {
	secret, account, _ = oneKey{}.Secret("")
	return secret, account, now.Add(time.Hour), id == "ASIAEXAMPLE" && token == "token"
}

func TestSession(t *testing.T) {
	const unknown = "UnrecognizedClientException: The security token included in the request is invalid."
	for _, c := range []struct {
		name, id, token string
		keys            Keys
		at              time.Duration // after now
		want            string
	}{
		{"temporary key with its token", "ASIAEXAMPLE", "token", sessionKeys{}, 0, ""},
		{"in the last second", "ASIAEXAMPLE", "token", sessionKeys{}, time.Hour - time.Second, ""},
		{"expired", "ASIAEXAMPLE", "token", sessionKeys{}, time.Hour, "ExpiredTokenException: The security token included in the request is expired"},
		{"another token", "ASIAEXAMPLE", "tokem", sessionKeys{}, 0, unknown},
		{"temporary key alone", "ASIAEXAMPLE", "", sessionKeys{}, 0, unknown},
		{"permanent key with a token", "AKIDEXAMPLE", "token", sessionKeys{}, 0, unknown},
		{"keys without sessions", "AKIDEXAMPLE", "token", oneKey{}, 0, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			secret, _, _ := oneKey{}.Secret("")
			r := newRequest(t, "http://127.0.0.1/", nil)
			creds := aws.Credentials{AccessKeyID: c.id, SecretAccessKey: secret, SessionToken: c.token}
			if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hexSHA256(""), "network-firewall", "us-east-1", now.Add(c.at)); err != nil {
				t.Fatal(err)
			}
			v := verifier
			v.Keys = c.keys
			s, err := v.Open(r, now.Add(c.at))
			if err == nil {
				err = s.Verify(nil)
			}
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAccessKeyID(t *testing.T) {
	r := newRequest(t, "http://127.0.0.1/", nil)
	if _, err := AccessKeyID(r); err == nil {
		t.Error("unsigned request accepted")
	}
	sign(t, r, nil, now)
	if id, err := AccessKeyID(r); err != nil || id != "AKIDEXAMPLE" {
		t.Errorf("%q, %v", id, err)
	}
}

// FuzzOpen: no header may make the verifier panic, nor pass.
func FuzzOpen(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261101/us-east-1/network-firewall/aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, Signature=0", "20261101T120000Z", "a=b")
	f.Add("AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;,Signature=", "", "%")
	f.Fuzz(func(t *testing.T, auth, date, query string) {
		r := newRequest(t, "http://127.0.0.1/", nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", auth)
		r.Header.Set("X-Amz-Date", date)
		if err := verify(r, nil, now); err == nil {
			t.Fatal("accepted")
		} else if _, ok := errors.AsType[*wire.Error](err); !ok {
			t.Fatalf("%#v", err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	r := newRequest(b, "http://127.0.0.1/", []byte("{}"))
	sign(b, r, []byte("{}"), now)
	b.ReportAllocs()
	for b.Loop() {
		if err := verify(r, []byte("{}"), now); err != nil {
			b.Fatal(err)
		}
	}
}
