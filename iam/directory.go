package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/sluicefw/sluice/store"
)

// Keys in the store.
const (
	rootPrefix = "/sluice/iam/v1/"
	checkKey   = rootPrefix + "key-check"

	// bootstrapKey says that Bootstrap has been done. It stays when all users
	// are gone, so that a key that was revoked does not come back.
	bootstrapKey = rootPrefix + "bootstrap"
)

func usersPrefix(account string) string   { return rootPrefix + account + "/users/" }
func keysPrefix(account string) string    { return rootPrefix + account + "/access-keys/" }
func userKey(account, name string) string { return usersPrefix(account) + name }
func keyKey(account, id string) string    { return keysPrefix(account) + id }

// What secrets are sealed for.
const (
	purposeStore   = "sluice iam v1: records in the store"
	purposeSession = "sluice iam v1: session tokens"
)

// Errors that callers tell apart with errors.Is; what wraps them says what to do.
var (
	ErrNotFound = errors.New("no such user or access key")
	ErrExists   = errors.New("exists already")
)

// storedKey is the record of an access key.
type storedKey struct {
	AccessKey
	Sealed []byte `json:"sealed"` // the secret, sealed as the record's key in the store
}

// Directory keeps users and access keys in the store. It is safe for concurrent
// use, by any number of processes at once.
type Directory struct {
	store    *store.Store
	records  *sealer
	sessions *sealer
	now      func() time.Time
}

// Options is where a Directory keeps things. Store and KeyFile are required.
type Options struct {
	Store *store.Store

	// KeyFile holds the key that secrets in the store are encrypted with. It is
	// made, mode 0600, when neither it nor any secret exists. All processes that
	// share a store need the same file.
	KeyFile string

	Now func() time.Time // nil: time.Now
}

// Open opens the directory. It fails with one sentence on what to do if the key
// file is not the one that the store's secrets were encrypted with.
func Open(ctx context.Context, o Options) (*Directory, error) {
	check, err := o.Store.Get(ctx, checkKey)
	fresh := errors.Is(err, store.ErrNotFound)
	if err != nil && !fresh {
		return nil, fmt.Errorf("iam: open: %w", err)
	}
	master, err := readMaster(o.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if !fresh {
			return nil, fmt.Errorf("iam: the key file %s is missing, but the store has secrets encrypted with it: restore it from a backup", o.KeyFile)
		}
		master, err = makeMaster(o.KeyFile)
	}
	if err != nil {
		return nil, err
	}
	d := &Directory{store: o.Store, now: o.Now}
	if d.now == nil {
		d.now = time.Now
	}
	if d.records, err = newSealer(master, purposeStore); err != nil {
		return nil, err
	}
	if d.sessions, err = newSealer(master, purposeSession); err != nil {
		return nil, err
	}
	if fresh {
		var t store.Txn
		t.IfRev(checkKey, 0)
		t.PutBytes(checkKey, d.records.seal([]byte("sluice"), checkKey), 0)
		_, err := o.Store.Commit(ctx, &t)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, store.ErrConflict) { // else another process was faster: with the same key?
			return nil, fmt.Errorf("iam: open: %w", err)
		}
		if check, err = o.Store.Get(ctx, checkKey); err != nil {
			return nil, fmt.Errorf("iam: open: %w", err)
		}
	}
	if _, ok := d.records.open(check.Value, checkKey); !ok {
		return nil, fmt.Errorf("iam: the key in %s is not the one that the store's secrets were encrypted with: restore the file from a backup, or copy it from the machine that made it", o.KeyFile)
	}
	return d, nil
}

// Users returns the users of an account in order of their names.
func (d *Directory) Users(ctx context.Context, account string) ([]User, error) {
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	records, _, err := store.List[User](ctx, d.store, usersPrefix(account))
	if err != nil {
		return nil, fmt.Errorf("iam: list users: %w", err)
	}
	users := make([]User, len(records))
	for i, r := range records {
		users[i] = r.Value
	}
	return users, nil
}

// User returns one user. The error wraps ErrNotFound if there is none.
func (d *Directory) User(ctx context.Context, account, name string) (User, error) {
	u, _, err := d.user(ctx, account, name)
	return u, err
}

func (d *Directory) user(ctx context.Context, account, name string) (User, int64, error) {
	if err := checkUser(account, name); err != nil {
		return User{}, 0, err
	}
	u, rev, err := store.Get[User](ctx, d.store, userKey(account, name))
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("iam: user %s of account %s: %w", name, account, ErrNotFound)
	}
	return u, rev, err
}

// CreateUser makes a user who may do nothing yet. The error wraps ErrExists if
// there is one of that name.
func (d *Directory) CreateUser(ctx context.Context, account, name string) (User, error) {
	if err := checkUser(account, name); err != nil {
		return User{}, err
	}
	u := User{Account: account, Name: name, ID: newID("AIDA"), Created: d.now().UTC()}
	var t store.Txn
	t.IfRev(userKey(account, name), 0)
	t.Put(userKey(account, name), &u, 0)
	if _, err := d.store.Commit(ctx, &t); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return User{}, fmt.Errorf("iam: user %s of account %s %w", name, account, ErrExists)
		}
		return User{}, fmt.Errorf("iam: create user %s: %w", name, err)
	}
	return u, nil
}

// DeleteUser removes a user with all access keys. Sessions of the user end. The
// account's last administrator stays: nobody could let others in through the API.
func (d *Directory) DeleteUser(ctx context.Context, account, name string) error {
	return d.change(ctx, "delete user "+name, func(t *store.Txn) error {
		u, rev, err := d.user(ctx, account, name)
		if err != nil {
			return err
		}
		if u.administrator() {
			if err := d.keepAdministrator(ctx, t, account, name); err != nil {
				return err
			}
		}
		keys, err := d.keysOf(ctx, t, account, name)
		if err != nil {
			return err
		}
		for _, k := range keys {
			t.Delete(keyKey(account, k.ID))
		}
		t.IfRev(userKey(account, name), rev)
		t.Delete(userKey(account, name))
		return nil
	})
}

// keepAdministrator has t compare that an administrator other than the user of
// the given name stays as it is. It fails if there is none.
func (d *Directory) keepAdministrator(ctx context.Context, t *store.Txn, account, name string) error {
	users, _, err := store.List[User](ctx, d.store, usersPrefix(account))
	if err != nil {
		return fmt.Errorf("iam: list users: %w", err)
	}
	for _, u := range users {
		if u.Value.Name != name && u.Value.administrator() {
			t.IfRev(userKey(account, u.Value.Name), u.Rev)
			return nil
		}
	}
	return fmt.Errorf("iam: user %s is the last of account %s with the policy %s: make another first with \"sluice keys users create USER --admin\"",
		name, account, AdministratorName)
}

// SetPolicy attaches a policy to a user, or replaces the one of that name. An
// error in the document is a *SyntaxError.
func (d *Directory) SetPolicy(ctx context.Context, account, name, policy string, document []byte) error {
	if !policyPattern.MatchString(policy) {
		return fmt.Errorf("iam: policy name %q must be 1 to 128 letters, digits and any of _+=,.@-", policy)
	}
	if _, err := ParsePolicy(document); err != nil {
		return err
	}
	return d.changeUser(ctx, account, name, func(u *User) error {
		if u.Policies == nil {
			u.Policies = make(map[string]string)
		}
		u.Policies[policy] = string(document)
		if len(u.Policies) > MaxPolicies {
			return fmt.Errorf("iam: user %s has %d policies, which is the most: put the statements into one of them", name, MaxPolicies)
		}
		return nil
	})
}

// DeletePolicy takes a policy from a user. The error wraps ErrNotFound if the
// user does not have it.
func (d *Directory) DeletePolicy(ctx context.Context, account, name, policy string) error {
	return d.changeUser(ctx, account, name, func(u *User) error {
		if _, ok := u.Policies[policy]; !ok {
			return fmt.Errorf("iam: user %s has no policy %s: %w", name, policy, ErrNotFound)
		}
		delete(u.Policies, policy)
		return nil
	})
}

// AccessKeys returns the access keys of an account, or of one user if name is
// not empty, in order of their ids.
func (d *Directory) AccessKeys(ctx context.Context, account, name string) ([]AccessKey, error) {
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	keys, err := d.keysOf(ctx, new(store.Txn), account, name)
	if err != nil {
		return nil, fmt.Errorf("iam: list access keys: %w", err)
	}
	return keys, nil
}

// keysOf returns the keys of a user (all, if name is empty) and has t compare
// that none was added since.
func (d *Directory) keysOf(ctx context.Context, t *store.Txn, account, name string) ([]AccessKey, error) {
	records, rev, err := store.List[storedKey](ctx, d.store, keysPrefix(account))
	if err != nil {
		return nil, err
	}
	t.IfNoneSince(keysPrefix(account), rev)
	keys := []AccessKey{}
	for _, r := range records {
		if name == "" || r.Value.User == name {
			keys = append(keys, r.Value.AccessKey)
		}
	}
	return keys, nil
}

// CreateKey makes an access key for a user, who may have two. The secret is
// shown here only.
func (d *Directory) CreateKey(ctx context.Context, account, name string) (NewKey, error) {
	return d.addKey(ctx, account, name, newID("AKIA"), newSecret(), false)
}

// RotateKey makes a new access key for a user and disables the ones that there
// were; disabled ones go first if there is no room. Delete what is left when
// nothing uses it any more.
func (d *Directory) RotateKey(ctx context.Context, account, name string) (NewKey, error) {
	return d.addKey(ctx, account, name, newID("AKIA"), newSecret(), true)
}

// addKey stores an access key that has been made already.
func (d *Directory) addKey(ctx context.Context, account, name, id, secret string, rotate bool) (NewKey, error) {
	k := NewKey{AccessKey{Account: account, ID: id, User: name, Enabled: true, Created: d.now().UTC()}, secret}
	err := d.change(ctx, "make an access key", func(t *store.Txn) error {
		_, rev, err := d.user(ctx, account, name)
		if err != nil {
			return err
		}
		t.IfRev(userKey(account, name), rev) // the key does not outlive the user
		old, err := d.keysOf(ctx, t, account, name)
		if err != nil {
			return err
		}
		if rotate {
			if old, err = d.retire(ctx, t, old); err != nil {
				return err
			}
		}
		if len(old) >= MaxKeys {
			return fmt.Errorf("iam: user %s has %d access keys, which is the most: delete one first", name, len(old))
		}
		t.IfRev(keyKey(account, id), 0)
		t.Put(keyKey(account, id), &storedKey{k.AccessKey, d.records.seal([]byte(secret), keyKey(account, id))}, 0)
		return nil
	})
	if err != nil {
		return NewKey{}, err
	}
	return k, nil
}

// retire disables keys and returns those that stay: the newest, so that a new
// one has room.
func (d *Directory) retire(ctx context.Context, t *store.Txn, old []AccessKey) ([]AccessKey, error) {
	slices.SortFunc(old, func(a, b AccessKey) int {
		if a.Enabled != b.Enabled {
			if a.Enabled {
				return -1
			}
			return 1
		}
		return b.Created.Compare(a.Created)
	})
	keep := min(len(old), MaxKeys-1)
	for _, k := range old[keep:] {
		t.Delete(keyKey(k.Account, k.ID))
	}
	for _, k := range old[:keep] {
		if err := d.enable(ctx, t, k.Account, k.ID, false); err != nil {
			return nil, err
		}
	}
	return old[:keep], nil
}

// EnableKey enables or disables an access key. Disabling acts at once.
func (d *Directory) EnableKey(ctx context.Context, account, id string, enabled bool) error {
	return d.change(ctx, "change access key "+id, func(t *store.Txn) error { return d.enable(ctx, t, account, id, enabled) })
}

func (d *Directory) enable(ctx context.Context, t *store.Txn, account, id string, enabled bool) error {
	k, rev, err := d.key(ctx, account, id)
	if err != nil {
		return err
	}
	k.Enabled = enabled
	t.IfRev(keyKey(account, id), rev)
	t.Put(keyKey(account, id), &k, 0)
	return nil
}

// DeleteKey removes an access key.
func (d *Directory) DeleteKey(ctx context.Context, account, id string) error {
	return d.change(ctx, "delete access key "+id, func(t *store.Txn) error {
		_, rev, err := d.key(ctx, account, id)
		if err != nil {
			return err
		}
		t.IfRev(keyKey(account, id), rev)
		t.Delete(keyKey(account, id))
		return nil
	})
}

func (d *Directory) key(ctx context.Context, account, id string) (storedKey, int64, error) {
	if err := checkAccount(account); err != nil {
		return storedKey{}, 0, err
	}
	if !accessKeyFormat.MatchString(id) {
		return storedKey{}, 0, fmt.Errorf("iam: access key %q: %w", clip(id), ErrNotFound)
	}
	k, rev, err := store.Get[storedKey](ctx, d.store, keyKey(account, id))
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("iam: access key %s of account %s: %w", id, account, ErrNotFound)
	}
	return k, rev, err
}

// changeUser decides on a change of a user's record.
func (d *Directory) changeUser(ctx context.Context, account, name string, decide func(*User) error) error {
	return d.change(ctx, "change user "+name, func(t *store.Txn) error {
		u, rev, err := d.user(ctx, account, name)
		if err != nil {
			return err
		}
		if err := decide(&u); err != nil {
			return err
		}
		t.IfRev(userKey(account, name), rev)
		t.Put(userKey(account, name), &u, 0)
		return nil
	})
}

// attempts bounds how often a change is decided anew after losing to others.
const attempts = 16

// change commits what decide puts into a transaction, and decides anew when
// somebody else changed one of the records meanwhile.
func (d *Directory) change(ctx context.Context, what string, decide func(*store.Txn) error) error {
	for range attempts {
		var t store.Txn
		if err := decide(&t); err != nil {
			return err
		}
		_, err := d.store.Commit(ctx, &t)
		if err == nil {
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("iam: %s: %w", what, err)
		}
	}
	return fmt.Errorf("iam: %s: others change the same records all the time: try again", what)
}

// newID returns a prefix and 16 random characters: 80 bits.
func newID(prefix string) string {
	b := make([]byte, 10)
	rand.Read(b)
	return prefix + base32.StdEncoding.EncodeToString(b)
}

// newSecret returns 40 random characters: 240 bits, of AWS's alphabet.
func newSecret() string {
	b := make([]byte, 30)
	rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}
