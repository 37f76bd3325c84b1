// Package sigv4 verifies AWS Signature Version 4 on requests to a JSON service, in
// the Authorization header or in the query (presigned), the whole body signed.
//
// Source: AWS, "Signature Version 4 signing process". Payloads that are unsigned,
// or signed chunk by chunk, are refused. As with AWS, a signature can be replayed
// while it is fresh; use TLS where that matters.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	dateTime   = "20060102T150405Z" // X-Amz-Date, UTC

	// maxSkew is how far X-Amz-Date may be from the server's clock. AWS: 15 min.
	maxSkew = 15 * time.Minute

	// maxHeader bounds the Authorization header, or the query that stands for it,
	// parts of which errors repeat.
	maxHeader = 4096
)

// Keys looks access keys up. It must be safe for concurrent use.
type Keys interface {
	// Secret returns the secret of an access key and the account it belongs to.
	Secret(accessKeyID string) (secret, account string, ok bool)
}

// Sessions is implemented by Keys that know temporary access keys, too.
type Sessions interface {
	// Session returns the secret of a temporary access key, its account and when
	// it expires. It is not ok if the session token does not belong to the key.
	Session(accessKeyID, token string) (secret, account string, expires time.Time, ok bool)
}

// Verifier checks signatures for one service in one Region. It has no state and
// is safe for concurrent use: deriving the signing key takes four HMACs of a few
// bytes, so there is nothing worth caching.
type Verifier struct {
	Region  string
	Service string // signing name, "network-firewall"
	Keys    Keys
}

// Signature is a signature whose headers are in order and which waits for the
// body. It refers to its request.
type Signature struct {
	AccessKeyID string
	Account     string

	request *http.Request
	auth    authorization
	secret  string
}

// Open checks all that can be checked before the body is read: form, scope,
// clock and access key. Errors are *wire.Error.
func (v *Verifier) Open(r *http.Request, now time.Time) (*Signature, error) {
	auth, err := parse(r)
	if err != nil {
		return nil, err
	}
	if err := auth.checkDate(now); err != nil {
		return nil, err
	}
	if auth.region != v.Region {
		return nil, wire.InvalidSignatureException("Credential should be scoped to a valid region, not '%s'. This endpoint serves '%s'.", auth.region, v.Region)
	}
	if auth.service != v.Service {
		return nil, wire.InvalidSignatureException("Credential should be scoped to correct service: '%s'.", v.Service)
	}
	for _, name := range []string{"host", "x-amz-date", "x-amz-target", "x-amz-security-token"} {
		// Host is never in r.Header, and what the client did not send it need not sign.
		if _, sent := r.Header[http.CanonicalHeaderKey(name)]; (sent || name == "host") && !slices.Contains(auth.signed, name) {
			return nil, wire.InvalidSignatureException("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	secret, account, err := v.secret(auth.token, auth.accessKeyID, now)
	if err != nil {
		return nil, err
	}
	return &Signature{AccessKeyID: auth.accessKeyID, Account: account, request: r, auth: auth, secret: secret}, nil
}

// secret looks a permanent or, if there is a token, a temporary access key up.
func (v *Verifier) secret(token []string, accessKeyID string, now time.Time) (secret, account string, err error) {
	var expires time.Time
	ok := false
	if len(token) == 0 {
		secret, account, ok = v.Keys.Secret(accessKeyID)
	} else if sessions, has := v.Keys.(Sessions); has && len(token) == 1 {
		secret, account, expires, ok = sessions.Session(accessKeyID, token[0])
	}
	if !ok {
		return "", "", wire.UnrecognizedClientException("The security token included in the request is invalid.")
	}
	if len(token) > 0 && !now.Before(expires) {
		return "", "", wire.ExpiredTokenException("The security token included in the request is expired")
	}
	return secret, account, nil
}

// Verify reports whether the signature covers the request with this body.
// The error is a *wire.Error.
func (s *Signature) Verify(body []byte) error {
	payload := hexSHA256(string(body))
	canonical, ok := s.canonicalRequest(payload)
	said := s.request.Header.Get("X-Amz-Content-Sha256")
	if ok && slices.Contains(s.auth.signed, "x-amz-content-sha256") {
		ok = said == payload
	}
	scope := strings.Join([]string{s.auth.date, s.auth.region, s.auth.service, terminator}, "/")
	toSign := strings.Join([]string{algorithm, s.auth.timestamp, scope, hexSHA256(canonical)}, "\n")
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{s.auth.date, s.auth.region, s.auth.service, terminator, toSign} {
		key = hmacSHA256(key, part)
	}
	if !ok || !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(s.auth.signature)) {
		text := "The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
		if said == "UNSIGNED-PAYLOAD" || strings.HasPrefix(said, "STREAMING-") {
			text += " The whole body must be signed here: X-Amz-Content-Sha256 cannot be '" + said + "'."
		}
		return wire.InvalidSignatureException("%s", text)
	}
	return nil
}

// canonicalRequest returns the text whose hash is signed. It is not ok when the
// query does not parse.
func (s *Signature) canonicalRequest(payload string) (text string, ok bool) {
	r := s.request
	query, err := canonicalQuery(r.URL.RawQuery, s.auth.presigned)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r.URL) + "\n" + query + "\n")
	for _, name := range s.auth.signed {
		var values []string
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		default:
			values = slices.Clone(r.Header.Values(name))
		}
		for i, v := range values {
			values[i] = squeeze(v)
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(s.auth.signed, ";") + "\n" + payload)
	return b.String(), true
}

// squeeze trims a header value and turns runs of spaces into one space.
func squeeze(v string) string {
	v = strings.TrimSpace(v)
	for strings.Contains(v, "  ") {
		v = strings.ReplaceAll(v, "  ", " ")
	}
	return v
}

// canonicalPath escapes the escaped path once more, without its empty and dot
// segments (RFC 3986, 5.2.4). AWS: all services but S3.
func canonicalPath(u *url.URL) string {
	escaped := u.EscapedPath()
	clean := path.Clean("/" + escaped)
	if len(clean) > 1 && (strings.HasSuffix(escaped, "/") || strings.HasSuffix(escaped, "/.") || strings.HasSuffix(escaped, "/..")) {
		clean += "/" // what a directory is
	}
	segments := strings.Split(clean, "/")
	for i, s := range segments {
		segments[i] = escape(s)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery sorts the parameters by their escaped names, then values. The
// signature of a presigned request is the one parameter that is not signed.
func canonicalQuery(raw string, presigned bool) (string, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return "", err
	}
	if presigned {
		query.Del("X-Amz-Signature")
	}
	var pairs [][]string
	for name, values := range query {
		for _, v := range values {
			pairs = append(pairs, []string{escape(name), escape(v)})
		}
	}
	slices.SortFunc(pairs, slices.Compare)
	joined := make([]string, len(pairs))
	for i, p := range pairs {
		joined[i] = p[0] + "=" + p[1]
	}
	return strings.Join(joined, "&"), nil
}

// escape is percent-encoding with RFC 3986's unreserved characters left alone.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
