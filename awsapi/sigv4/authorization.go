package sigv4

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// AccessKeyID returns the access key that a request claims to be signed with,
// verifying nothing. Errors are those of Open.
func AccessKeyID(r *http.Request) (string, error) {
	auth, err := parse(r)
	return auth.accessKeyID, err
}

// authorization is what a request says of its signature.
type authorization struct {
	accessKeyID, date, region, service string
	signed                             []string // lower case, ascending
	signature                          string
	timestamp                          string   // X-Amz-Date
	token                              []string // X-Amz-Security-Token
	presigned                          bool     // all this stands in the query
	expires                            time.Duration
}

// parse reads the Authorization header or, without one, the query.
func parse(r *http.Request) (authorization, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 && strings.Contains(r.URL.RawQuery, "X-Amz-") {
		return parseQuery(r.URL.RawQuery)
	}
	return parseHeader(r, header)
}

// parseHeader reads
//
//	AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, SignedHeaders=<a;b>, Signature=<hex>
func parseHeader(r *http.Request, header []string) (a authorization, err error) {
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
	a.timestamp, a.token = r.Header.Get("X-Amz-Date"), r.Header.Values("X-Amz-Security-Token")
	return a, a.fill(params["Credential"], params["SignedHeaders"], params["Signature"])
}

// maxExpires bounds X-Amz-Expires. AWS: a week.
const maxExpires = 7 * 24 * 60 * 60

// parseQuery reads the X-Amz- parameters of a presigned request.
func parseQuery(raw string) (a authorization, err error) {
	query, err := url.ParseQuery(raw)
	if err != nil || len(raw) > maxHeader {
		return a, wire.IncompleteSignatureException("The query-string of a presigned request must be well-formed, and have at most %d bytes.", maxHeader)
	}
	for _, name := range []string{"Algorithm", "Credential", "Date", "SignedHeaders", "Signature"} {
		if query.Get("X-Amz-"+name) == "" {
			return a, wire.IncompleteSignatureException("AWS query-string parameters must include 'X-Amz-%s'. Re-examine the query-string parameters.", name)
		}
	}
	for name, values := range query {
		if strings.HasPrefix(name, "X-Amz-") && len(values) > 1 {
			return a, wire.IncompleteSignatureException("AWS query-string parameters must include '%s' once. Re-examine the query-string parameters.", name)
		}
	}
	if got := query.Get("X-Amz-Algorithm"); got != algorithm {
		return a, wire.IncompleteSignatureException("Unsupported AWS 'algorithm': '%s' (only %s is supported).", got, algorithm)
	}
	a = authorization{presigned: true, timestamp: query.Get("X-Amz-Date"), token: query["X-Amz-Security-Token"], expires: maxSkew}
	if text, given := query["X-Amz-Expires"]; given {
		seconds, err := strconv.ParseUint(text[0], 10, 32)
		if err != nil || seconds == 0 || seconds > maxExpires {
			return a, wire.IncompleteSignatureException("X-Amz-Expires must be a number of seconds from 1 to %d, got '%s'.", maxExpires, text[0])
		}
		a.expires = time.Duration(seconds) * time.Second
	}
	return a, a.fill(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"))
}

// fill takes what both forms have in common.
func (a *authorization) fill(credential, signedHeaders, signature string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[0] == "" || scope[4] != terminator {
		return wire.IncompleteSignatureException("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/%s, got '%s'.", terminator, credential)
	}
	a.accessKeyID, a.date, a.region, a.service = scope[0], scope[1], scope[2], scope[3]
	a.signed, a.signature = strings.Split(signedHeaders, ";"), signature
	for i, name := range a.signed {
		if name != strings.ToLower(name) || i > 0 && name <= a.signed[i-1] {
			return wire.IncompleteSignatureException("SignedHeaders must be in lower case and ascending order, got '%s'.", signedHeaders)
		}
	}
	return nil
}

// checkDate compares X-Amz-Date with the scope's date and with the clock.
//
// AWS: whatever X-Amz-Expires says, services other than S3 take a presigned
// request no longer than any other. One that is to expire sooner does so here.
func (a *authorization) checkDate(now time.Time) error {
	at, err := time.Parse(dateTime, a.timestamp)
	switch {
	case err != nil && a.presigned:
		return wire.IncompleteSignatureException("X-Amz-Date must be of the form '%s', got '%s'.", dateTime, a.timestamp)
	case err != nil:
		return wire.IncompleteSignatureException("Authorization header requires existence of an 'X-Amz-Date' header like '%s', got '%s'.", dateTime, a.timestamp)
	}
	if day := a.timestamp[:8]; day != a.date {
		return wire.InvalidSignatureException("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", a.date, day, a.timestamp)
	}
	now = now.UTC().Truncate(time.Second)
	life, unit := maxSkew, "15 min."
	if a.presigned && a.expires < maxSkew {
		life, unit = a.expires, strconv.Itoa(int(a.expires/time.Second))+" sec."
	}
	if earliest := now.Add(-life); at.Before(earliest) {
		return wire.InvalidSignatureException("Signature expired: %s is now earlier than %s (%s - %s)", a.timestamp, earliest.Format(dateTime), now.Format(dateTime), unit)
	}
	if latest := now.Add(maxSkew); at.After(latest) {
		return wire.InvalidSignatureException("Signature not yet current: %s is still later than %s (%s + 15 min.)", a.timestamp, latest.Format(dateTime), now.Format(dateTime))
	}
	return nil
}
