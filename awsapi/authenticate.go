package awsapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/sluicefw/sluice/awsapi/sigv4"
	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/iam"
)

// maxBody bounds request bodies, in bytes. The largest that AWS accepts carry
// 2,000,000 bytes of rules, which JSON escapes make longer, or stateless rules
// worth a capacity of 30,000, at some 300 bytes of JSON each.
const maxBody = 16 << 20

// authenticate fills in the caller and returns the request's body.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request, x *exchange) ([]byte, error) {
	claimed, err := sigv4.AccessKeyID(r)
	if err != nil {
		x.refused = true
		return nil, err
	}
	x.caller.AccessKeyID = claimed
	if s.Dev {
		// A web page may have its own name resolve to this host and then call here;
		// without secrets, the name is what gives it away.
		if !isLocal(r.Host) {
			x.refused = true
			return nil, wire.AccessDeniedException("In dev mode the API is reached by IP address or as localhost only.")
		}
		x.proven, x.caller.Account, x.caller.UserARN = true, s.Account, iam.RootARN(s.Account)
		return readBody(w, r)
	}
	verifier := sigv4.Verifier{Region: s.Region, Service: signingName, Keys: s.Keys}
	if s.Users != nil {
		verifier.Keys = userKeys{s.Users, x}
	}
	sig, err := verifier.Open(r, x.start)
	if err != nil {
		x.refused = true
		return nil, err
	}
	text, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	if err := sig.Verify(text); err != nil {
		x.refused = true
		return nil, err
	}
	x.proven, x.caller.Account, x.caller.UserARN = true, sig.Account, iam.RootARN(sig.Account)
	if x.user != nil {
		x.caller.UserARN = x.user.ARN
	}
	if s.Users != nil && s.ServiceFor == nil && sig.Account != s.Account {
		x.refused = true
		return nil, wire.AccessDeniedException("Account %s is not served here.", sig.Account)
	}
	return text, nil
}

// userKeys looks keys up for one request and remembers whose they are, so that
// the secret and the policies are of one moment.
type userKeys struct {
	users *iam.View
	x     *exchange
}

// Secret implements sigv4.Keys.
func (k userKeys) Secret(id string) (secret, account string, ok bool) {
	c, ok := k.users.Key(id)
	if !ok {
		return "", "", false
	}
	k.x.user = &c.Caller
	return c.Secret, c.Account, true
}

// Session implements sigv4.Sessions.
func (k userKeys) Session(id, token string) (secret, account string, expires time.Time, ok bool) {
	c, ok := k.users.Session(id, token)
	if !ok {
		return "", "", time.Time{}, false
	}
	k.x.user = &c.Caller
	return c.Secret, c.Account, c.Expires, true
}

// isLocal reports whether a Host header is localhost or an IP address.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, wire.RequestEntityTooLargeException("The request's body exceeds %d bytes.", maxBody)
	}
	if err != nil {
		return nil, wire.SerializationException("The request's body could not be read to its end.")
	}
	return text, nil
}
