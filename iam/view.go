package iam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicefw/sluice/store"
)

// View is a copy of a Directory in memory. When the store does not answer it
// goes on with what it knows. It is safe for concurrent use.
type View struct {
	records  *sealer
	sessions *sealer
	log      *slog.Logger

	mu    sync.RWMutex
	users map[string]*viewedUser // guarded by mu: by key in the store; entries are immutable
	keys  map[string]*viewedKey  // guarded by mu: by access key id; entries are immutable
}

type viewedUser struct {
	User
	policies []*Policy
}

type viewedKey struct {
	storeKey string
	AccessKey
	secret string
}

// Credential is what an access key stands for.
type Credential struct {
	Caller
	Secret  string
	Expires time.Time // zero: never
}

// Caller is a user behind an access key.
type Caller struct {
	Account, User, UserID, ARN string
	AccessKeyID                string
	Temporary                  bool
	Policies                   []*Policy
}

// NeedsResourceTags reports whether Evaluate wants to know a resource's tags.
func (c *Caller) NeedsResourceTags() bool {
	return slices.ContainsFunc(c.Policies, func(p *Policy) bool { return p.needsTags })
}

// Watch returns a View as of now that follows all changes until ctx ends.
func (d *Directory) Watch(ctx context.Context, log *slog.Logger) (*View, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	v := &View{records: d.records, sessions: d.sessions, log: log}
	updates := d.store.Watch(ctx, rootPrefix, 0)
	timeout := time.NewTimer(firstSnapshot)
	defer timeout.Stop()
	select {
	case u, ok := <-updates:
		if !ok {
			return nil, fmt.Errorf("iam: read users and access keys: %w", errors.Join(ctx.Err(), d.store.Err(), errors.New("the watch has ended")))
		}
		v.apply(u)
	case <-timeout.C:
		return nil, fmt.Errorf("iam: read users and access keys: %w within %v: check that the store runs", store.ErrUnavailable, firstSnapshot)
	}
	go func() {
		for u := range updates {
			v.apply(u)
		}
	}()
	return v, nil
}

// firstSnapshot bounds how long Watch waits.
const firstSnapshot = 30 * time.Second

// apply takes one update of the watch, whole.
func (v *View) apply(u store.Update) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if u.Snapshot {
		v.users, v.keys = make(map[string]*viewedUser), make(map[string]*viewedKey)
	}
	for _, e := range u.Events {
		v.change(e)
	}
}

// change takes one record. One that cannot be read counts as missing: whoever it
// is about can do nothing. mu is held.
func (v *View) change(e store.Event) {
	if e.Key == checkKey || e.Key == bootstrapKey {
		return
	}
	parts := strings.Split(strings.TrimPrefix(e.Key, rootPrefix), "/")
	delete(v.users, e.Key)
	if k := v.keys[parts[len(parts)-1]]; k != nil && k.storeKey == e.Key {
		delete(v.keys, k.ID)
	}
	if e.Deleted {
		return
	}
	var err error
	switch {
	case len(parts) == 3 && parts[1] == "users":
		var u *viewedUser
		if u, err = readUser(e.KV); err == nil {
			v.users[e.Key] = u
		}
	case len(parts) == 3 && parts[1] == "access-keys":
		var k *viewedKey
		if k, err = v.readKey(e.KV); err == nil {
			v.keys[k.ID] = k
		}
	default:
		err = errors.New("unknown kind of record")
	}
	if err != nil {
		v.log.Error("a record of the directory is left out", "key", e.Key, "error", err)
	}
}

func readUser(kv store.KV) (*viewedUser, error) {
	u, err := store.Decode[User](kv)
	if err != nil {
		return nil, err
	}
	if userKey(u.Account, u.Name) != kv.Key {
		return nil, errors.New("the record is not in its place")
	}
	out := &viewedUser{User: u}
	for _, name := range slices.Sorted(maps.Keys(u.Policies)) {
		p, err := ParsePolicy([]byte(u.Policies[name]))
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", name, err) // without one of several, its Deny would be lost
		}
		out.policies = append(out.policies, p)
	}
	return out, nil
}

func (v *View) readKey(kv store.KV) (*viewedKey, error) {
	k, err := store.Decode[storedKey](kv)
	if err != nil {
		return nil, err
	}
	if keyKey(k.Account, k.ID) != kv.Key {
		return nil, errors.New("the record is not in its place")
	}
	secret, ok := v.records.open(k.Sealed, kv.Key)
	if !ok {
		return nil, errors.New("the secret cannot be decrypted: make a new access key")
	}
	if other := v.keys[k.ID]; other != nil {
		return nil, fmt.Errorf("account %s has an access key of the same id", other.Account)
	}
	return &viewedKey{kv.Key, k.AccessKey, string(secret)}, nil
}

// Key returns what an access key stands for. It is not ok if there is no such
// key, or it is disabled.
func (v *View) Key(id string) (Credential, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	k := v.keys[id]
	if k == nil || !k.Enabled {
		return Credential{}, false
	}
	u := v.users[userKey(k.Account, k.User)]
	if u == nil {
		return Credential{}, false
	}
	return Credential{Caller: u.caller(id), Secret: k.secret}, true
}

// Session returns what a temporary access key stands for. It is not ok if the
// token is none of ours, belongs to another key, or its user is gone. The caller
// looks at Expires.
func (v *View) Session(id, token string) (Credential, bool) {
	c, ok := openToken(v.sessions, token)
	if !ok || c.AccessKeyID != id {
		return Credential{}, false
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	u := v.users[userKey(c.Account, c.User)]
	if u == nil || u.ID != c.UserID {
		return Credential{}, false
	}
	caller := u.caller(id)
	caller.Temporary = true
	return Credential{Caller: caller, Secret: c.Secret, Expires: time.Unix(c.Expires, 0)}, true
}

func (u *viewedUser) caller(accessKeyID string) Caller {
	return Caller{Account: u.Account, User: u.Name, UserID: u.ID, ARN: u.ARN(), AccessKeyID: accessKeyID, Policies: u.policies}
}
