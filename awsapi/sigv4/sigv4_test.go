package sigv4

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
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

// mismatch is what any difference between the request and what was signed comes to.
const mismatch = "InvalidSignatureException: The request signature we calculated does not match the signature you provided. " +
	"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

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
			r.URL.Path = path.Clean("/" + text(20)) // as botocore does; the SDK signs other paths as they are
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
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE/20261101/us-east-1/network-firewall/aws4_request&X-Amz-Date=20261101T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host;x-amz-date;x-amz-target&X-Amz-Signature=0")
	f.Fuzz(func(t *testing.T, auth, date, query string) {
		r := newRequest(t, "http://127.0.0.1/", nil)
		r.URL.RawQuery = query
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
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
