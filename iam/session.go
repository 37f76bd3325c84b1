package iam

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// Bounds of a session. AWS: GetSessionToken.
const (
	MinSession = 15 * time.Minute
	MaxSession = 36 * time.Hour
)

// maxToken bounds session tokens, in bytes. AWS: 4,096 for most services.
const maxToken = 2048

// claims is what a session token holds, sealed: the whole session, so that
// nothing about it needs to be stored.
type claims struct {
	AccessKeyID string `json:"k"`
	Secret      string `json:"s"`
	Account     string `json:"a"`
	User        string `json:"u"`
	UserID      string `json:"i"` // a user of the same name made later is another one
	Expires     int64  `json:"e"` // seconds since 1970
}

// IssueSession makes a temporary access key that acts as the user until it
// expires or the user is deleted. It follows the user's policies as they are
// when it is used.
func (d *Directory) IssueSession(ctx context.Context, account, name string, duration time.Duration) (Session, error) {
	if duration < MinSession || duration > MaxSession {
		return Session{}, fmt.Errorf("iam: duration %v must be between %v and %v", duration, MinSession, MaxSession)
	}
	u, err := d.User(ctx, account, name)
	if err != nil {
		return Session{}, err
	}
	c := claims{newID("ASIA"), newSecret(), account, name, u.ID, d.now().Add(duration).Unix()}
	text, err := json.Marshal(&c)
	if err != nil {
		return Session{}, fmt.Errorf("iam: issue a session: %w", err)
	}
	return Session{
		AccessKeyID: c.AccessKeyID, Secret: c.Secret, Expires: time.Unix(c.Expires, 0).UTC(),
		Token: base64.StdEncoding.EncodeToString(d.sessions.seal(text, purposeSession)),
	}, nil
}

// openToken returns what IssueSession put into a token. It is not ok if the
// token was not made with this directory's key. Expiry is not looked at.
func openToken(s *sealer, token string) (c claims, ok bool) {
	if len(token) > maxToken {
		return c, false
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil {
		return c, false
	}
	text, ok := s.open(sealed, purposeSession)
	if !ok || json.Unmarshal(text, &c) != nil {
		return claims{}, false
	}
	return c, true
}
