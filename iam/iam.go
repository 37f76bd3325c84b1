// Package iam says who may do what: accounts with users, their access keys and
// temporary keys, and policies in the grammar of AWS IAM.
//
// A Directory keeps users and keys in the store. A View is a copy of it in
// memory that a watch keeps fresh, so that checking a request costs no round
// trip. What AWS's grammar has and this package does not know is refused when a
// policy is attached, never ignored when it is evaluated.
package iam

import (
	"fmt"
	"regexp"
	"time"
)

// Administrator is a policy that allows everything.
const Administrator = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// AdministratorName is the name under which it is attached to users.
const AdministratorName = "AdministratorAccess"

// Limits of a user. AWS: two access keys. The rest is for memory: a View holds
// everything.
const (
	MaxKeys     = 2
	MaxPolicies = 10
)

// User is a user of an account.
type User struct {
	Account  string            `json:"account"`
	Name     string            `json:"name"`
	ID       string            `json:"id"` // AIDA and 16 characters; a user made anew has another one
	Created  time.Time         `json:"created"`
	Policies map[string]string `json:"policies,omitempty"` // name to document
}

// ARN is arn:aws:iam::<account>:user/<name>.
func (u *User) ARN() string { return userARN(u.Account, u.Name) }

// administrator reports whether the user has the policy that allows everything.
func (u *User) administrator() bool { return u.Policies[AdministratorName] == Administrator }

func userARN(account, name string) string { return "arn:aws:iam::" + account + ":user/" + name }

// RootARN is the ARN of an account as a whole: of callers that are no user.
func RootARN(account string) string { return "arn:aws:iam::" + account + ":root" }

// AccessKey is an access key without its secret.
type AccessKey struct {
	Account string    `json:"account"`
	ID      string    `json:"id"` // AKIA and 16 characters, unless it was brought along
	User    string    `json:"user"`
	Enabled bool      `json:"enabled"`
	Created time.Time `json:"created"`
}

// NewKey is an access key at the only time that its secret is shown.
type NewKey struct {
	AccessKey
	Secret string `json:"secret_access_key"`
}

// Session is a temporary access key.
type Session struct {
	AccessKeyID string    `json:"access_key_id"` // ASIA and 16 characters
	Secret      string    `json:"secret_access_key"`
	Token       string    `json:"session_token"`
	Expires     time.Time `json:"expires"`
}

var (
	accountPattern  = regexp.MustCompile(`^[0-9]{12}$`)
	userPattern     = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`) // AWS: UserName
	policyPattern   = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,128}$`)
	accessKeyFormat = regexp.MustCompile(`^[A-Za-z0-9_]{4,128}$`)
)

// Names are parts of keys in the store, so nothing else may get into them.

func checkAccount(account string) error {
	if !accountPattern.MatchString(account) {
		return fmt.Errorf("iam: account %q must be 12 digits", account)
	}
	return nil
}

func checkUser(account, name string) error {
	if err := checkAccount(account); err != nil {
		return err
	}
	if !userPattern.MatchString(name) {
		return fmt.Errorf("iam: user name %q must be 1 to 64 letters, digits and any of _+=,.@-", name)
	}
	return nil
}
