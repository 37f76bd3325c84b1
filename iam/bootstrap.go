package iam

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicefw/sluice/store"
)

// AdminName is the name of the user that Bootstrap makes.
const AdminName = "admin"

// bootstrapped is the record that Bootstrap leaves.
type bootstrapped struct {
	Account string    `json:"account"`
	User    string    `json:"user"`
	At      time.Time `json:"at"`
}

// Bootstrap makes the user AdminName in the account, who may do everything and
// has the given access keys (id to secret), if the directory has no user and
// never had one from here. It reports whether it did.
func (d *Directory) Bootstrap(ctx context.Context, account string, keys map[string]string) (bool, error) {
	if err := checkAccount(account); err != nil {
		return false, err
	}
	if len(keys) == 0 {
		return false, errors.New("iam: there is no access key for the first user: give one")
	}
	page, err := d.store.Keys(ctx, rootPrefix, "", 0)
	if err != nil {
		return false, fmt.Errorf("iam: look for users: %w", err)
	}
	// Users, access keys, or the record that it was done.
	if slices.ContainsFunc(page.KVs, func(kv store.KV) bool { return kv.Key != checkKey }) {
		return false, nil
	}
	u := User{Account: account, Name: AdminName, ID: newID("AIDA"), Created: d.now().UTC(),
		Policies: map[string]string{AdministratorName: Administrator}}
	var t store.Txn
	t.IfNoneSince(rootPrefix, page.Rev)
	t.Put(userKey(account, u.Name), &u, 0)
	t.Put(bootstrapKey, &bootstrapped{Account: account, User: u.Name, At: u.Created}, 0)
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		if !accessKeyFormat.MatchString(id) || keys[id] == "" || strings.HasPrefix(id, "ASIA") {
			return false, fmt.Errorf("iam: the access key %q cannot be taken over: its id must be 4 to 128 letters, digits and _, not begin with ASIA, and it must have a secret", clip(id))
		}
		k := AccessKey{Account: account, ID: id, User: u.Name, Enabled: true, Created: u.Created}
		t.Put(keyKey(account, id), &storedKey{k, d.records.seal([]byte(keys[id]), keyKey(account, id))}, 0)
	}
	if _, err := d.store.Commit(ctx, &t); err != nil {
		if errors.Is(err, store.ErrConflict) {
			return false, nil // another process was faster
		}
		return false, fmt.Errorf("iam: make the first user: %w", err)
	}
	return true, nil
}
