// Package sigv4 verifies AWS Signature Version 4 on requests to a JSON service:
// the Authorization header form, the whole body signed.
//
// Source: AWS, "Signature Version 4 signing process". Presigned URLs, chunked
// and unsigned payloads are refused. As with AWS, a signature can be replayed
// while it is fresh; use TLS where that matters.
package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
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

	// maxHeader bounds the Authorization header, parts of which errors repeat.
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
	date    string // X-Amz-Date
	secret  string
}

// Open checks all that can be checked before the body is read: form, scope,
// clock and access key. Errors are *wire.Error.
func (v *Verifier) Open(r *http.Request, now time.Time) (*Signature, error) {
	auth, err := parse(r)
	if err != nil {
		return nil, err
	}
	date := r.Header.Get("X-Amz-Date")
	if err := checkDate(date, auth.date, now); err != nil {
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
	secret, account, err := v.secret(r.Header.Values("X-Amz-Security-Token"), auth.accessKeyID, now)
	if err != nil {
		return nil, err
	}
	return &Signature{AccessKeyID: auth.accessKeyID, Account: account, request: r, auth: auth, date: date, secret: secret}, nil
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
	if ok && slices.Contains(s.auth.signed, "x-amz-content-sha256") {
		ok = s.request.Header.Get("X-Amz-Content-Sha256") == payload
	}
	scope := strings.Join([]string{s.auth.date, s.auth.region, s.auth.service, terminator}, "/")
	toSign := strings.Join([]string{algorithm, s.date, scope, hexSHA256(canonical)}, "\n")
	key := []byte("AWS4" + s.secret)
	for _, part := range []string{s.auth.date, s.auth.region, s.auth.service, terminator, toSign} {
		key = hmacSHA256(key, part)
	}
	if !ok || !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(s.auth.signature)) {
		return wire.InvalidSignatureException("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// canonicalRequest returns the text whose hash is signed. It is not ok when the
// query does not parse.
func (s *Signature) canonicalRequest(payload string) (text string, ok bool) {
	r := s.request
	query, err := canonicalQuery(r.URL.RawQuery)
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

// canonicalPath escapes the escaped path once more. AWS: all services but S3.
func canonicalPath(u *url.URL) string {
	segments := strings.Split(u.EscapedPath(), "/")
	for i, s := range segments {
		segments[i] = escape(s)
	}
	return cmp.Or(strings.Join(segments, "/"), "/")
}

// canonicalQuery sorts the parameters by their escaped names, then values.
func canonicalQuery(raw string) (string, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return "", err
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

// AccessKeyID returns the access key that a request claims to be signed with,
// verifying nothing. Errors are those of Open.
func AccessKeyID(r *http.Request) (string, error) {
	auth, err := parse(r)
	return auth.accessKeyID, err
}

// authorization is a parsed Authorization header.
type authorization struct {
	accessKeyID, date, region, service string
	signed                             []string // lower case, ascending
	signature                          string
}

// parse reads
//
//	AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, SignedHeaders=<a;b>, Signature=<hex>
func parse(r *http.Request) (a authorization, err error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return a, wire.MissingAuthenticationTokenException("Missing Authentication Token")
	}
	rest, ok := strings.CutPrefix(header[0], algorithm+" ")
	if !ok || len(header) > 1 || len(rest) > maxHeader {
		return a, wire.IncompleteSignatureException("There must be one Authorization header of at most %d bytes, of the form '%s Credential=..., SignedHeaders=..., Signature=...'.", maxHeader, algorithm)
	}
	params := map[string]string{"Credential": "", "SignedHeaders": "", "Signature": ""}
	for pair := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			return a, wire.IncompleteSignatureException("'%s' not a valid key=value pair (missing equal-sign) in Authorization header.", pair)
		}
		if _, known := params[name]; known {
			params[name] = value
		}
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if params[name] == "" {
			return a, wire.IncompleteSignatureException("Authorization header requires '%s' parameter.", name)
		}
	}
	scope := strings.Split(params["Credential"], "/")
	if len(scope) != 5 || scope[0] == "" || scope[4] != terminator {
		return a, wire.IncompleteSignatureException("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/%s, got '%s'.", terminator, params["Credential"])
	}
	a = authorization{scope[0], scope[1], scope[2], scope[3], strings.Split(params["SignedHeaders"], ";"), params["Signature"]}
	for i, name := range a.signed {
		if name != strings.ToLower(name) || i > 0 && name <= a.signed[i-1] {
			return a, wire.IncompleteSignatureException("SignedHeaders must be in lower case and ascending order, got '%s'.", params["SignedHeaders"])
		}
	}
	return a, nil
}

// checkDate compares X-Amz-Date with the scope's date and with the clock.
func checkDate(date, scopeDate string, now time.Time) error {
	at, err := time.Parse(dateTime, date)
	if err != nil {
		return wire.IncompleteSignatureException("Authorization header requires existence of an 'X-Amz-Date' header like '%s', got '%s'.", dateTime, date)
	}
	if date[:8] != scopeDate {
		return wire.InvalidSignatureException("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", scopeDate, date[:8], date)
	}
	now = now.UTC().Truncate(time.Second)
	if earliest := now.Add(-maxSkew); at.Before(earliest) {
		return wire.InvalidSignatureException("Signature expired: %s is now earlier than %s (%s - 15 min.)", date, earliest.Format(dateTime), now.Format(dateTime))
	}
	if latest := now.Add(maxSkew); at.After(latest) {
		return wire.InvalidSignatureException("Signature not yet current: %s is still later than %s (%s + 15 min.)", date, latest.Format(dateTime), now.Format(dateTime))
	}
	return nil
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
