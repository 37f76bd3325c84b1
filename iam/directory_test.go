package iam

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicefw/sluice/store"
)

const account = "111122223333"

// fixture is a directory on a store of its own, at a time that stands still.
type fixture struct {
	*Directory
	t       testing.TB
	st      *store.Store
	keyFile string
	now     time.Time
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: dir + "/store"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	f := &fixture{t: t, st: st, keyFile: dir + "/secret.key", now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	f.Directory = f.open()
	return f
}

func (f *fixture) open() *Directory {
	f.t.Helper()
	d, err := Open(f.t.Context(), Options{Store: f.st, KeyFile: f.keyFile, Now: func() time.Time { return f.now }})
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

// view waits until a view meets a condition.
func (f *fixture) until(v *View, what string, met func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("the view does not show after 10 s: %s", what)
		}
	}
}

func (f *fixture) watch() *View {
	f.t.Helper()
	v, err := f.Watch(f.t.Context(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return v
}

// must returns v, or ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantErr(t *testing.T, err, is error, text string) {
	t.Helper()
	if err == nil || is != nil && !errors.Is(err, is) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %v with %q", err, is, text)
	}
}

func TestUsersAndKeys(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	u := must(f.CreateUser(ctx, account, "anna"))(t)
	if want := (User{Account: account, Name: "anna", ID: u.ID, Created: f.now}); !cmp.Equal(u, want) || len(u.ID) != 20 || !strings.HasPrefix(u.ID, "AIDA") {
		t.Errorf("user %+v", u)
	}
	_, err := f.CreateUser(ctx, account, "anna")
	wantErr(t, err, ErrExists, "user anna of account 111122223333 exists already")
	for _, name := range []string{"", "a/b", "..\x00", strings.Repeat("a", 65), "ä"} {
		_, err := f.CreateUser(ctx, account, name)
		wantErr(t, err, nil, "must be 1 to 64 letters")
	}
	_, err = f.CreateUser(ctx, "11112222333", "anna")
	wantErr(t, err, nil, "must be 12 digits")

	first := must(f.CreateKey(ctx, account, "anna"))(t)
	if len(first.ID) != 20 || !strings.HasPrefix(first.ID, "AKIA") || len(first.Secret) != 40 || !first.Enabled {
		t.Errorf("key %+v", first)
	}
	_, err = f.CreateKey(ctx, account, "bert")
	wantErr(t, err, ErrNotFound, "user bert of account 111122223333")
	second := must(f.CreateKey(ctx, account, "anna"))(t)
	_, err = f.CreateKey(ctx, account, "anna")
	wantErr(t, err, nil, "user anna has 2 access keys, which is the most")

	if err := f.EnableKey(ctx, account, first.ID, false); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Hour)
	third := must(f.RotateKey(ctx, account, "anna"))(t)
	got := must(f.AccessKeys(ctx, account, "anna"))(t)
	enabled := map[string]bool{}
	for _, k := range got {
		enabled[k.ID] = k.Enabled
	}
	if want := map[string]bool{second.ID: false, third.ID: true}; !cmp.Equal(enabled, want) {
		t.Errorf("keys after rotation %v, want %v: the disabled one goes, the other is disabled", enabled, want)
	}

	must(f.CreateUser(ctx, account, "bert"))(t)
	kept := must(f.CreateKey(ctx, account, "bert"))(t)
	if err := f.DeleteUser(ctx, account, "anna"); err != nil {
		t.Fatal(err)
	}
	if got := must(f.AccessKeys(ctx, account, ""))(t); len(got) != 1 || got[0].ID != kept.ID {
		t.Errorf("keys after anna is gone: %+v, want bert's", got)
	}
	wantErr(t, f.DeleteUser(ctx, account, "anna"), ErrNotFound, "user anna")
	wantErr(t, f.DeleteKey(ctx, account, third.ID), ErrNotFound, third.ID)
	wantErr(t, f.EnableKey(ctx, account, "../users/bert", true), ErrNotFound, "access key")
	if users := must(f.Users(ctx, account))(t); len(users) != 1 || users[0].Name != "bert" {
		t.Errorf("users %+v", users)
	}
}

func TestPolicies(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	must(f.CreateUser(ctx, account, "anna"))(t)
	err := f.SetPolicy(ctx, account, "anna", "p", []byte(`{}`))
	if _, ok := errors.AsType[*SyntaxError](err); !ok {
		t.Errorf("a bad policy: %v", err)
	}
	wantErr(t, f.SetPolicy(ctx, account, "anna", "p/q", []byte(Administrator)), nil, "policy name")
	for i := range MaxPolicies {
		if err := f.SetPolicy(ctx, account, "anna", "p"+string(rune('a'+i)), []byte(Administrator)); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, f.SetPolicy(ctx, account, "anna", "q", []byte(Administrator)), nil, "has 10 policies, which is the most")
	if err := f.DeletePolicy(ctx, account, "anna", "pa"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, f.DeletePolicy(ctx, account, "anna", "pa"), ErrNotFound, "has no policy pa")
	if u := must(f.User(ctx, account, "anna"))(t); len(u.Policies) != MaxPolicies-1 || u.Policies["pb"] != Administrator {
		t.Errorf("policies %v", u.Policies)
	}
}

func TestView(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	must(f.CreateUser(ctx, account, "anna"))(t)
	k := must(f.CreateKey(ctx, account, "anna"))(t)
	v := f.watch()
	c, ok := v.Key(k.ID)
	want := Caller{Account: account, User: "anna", UserID: c.UserID, ARN: "arn:aws:iam::111122223333:user/anna", AccessKeyID: k.ID}
	if !ok || c.Secret != k.Secret || !c.Expires.IsZero() || !cmp.Equal(c.Caller, want) {
		t.Errorf("Key: %+v, %v", c, ok)
	}

	known := func() bool { _, ok := v.Key(k.ID); return ok }
	for _, enabled := range []bool{false, true} {
		if err := f.EnableKey(ctx, account, k.ID, enabled); err != nil {
			t.Fatal(err)
		}
		f.until(v, "the key is changed", func() bool { return known() == enabled })
	}
	tags := `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/a":"b"}}}`
	if err := f.SetPolicy(ctx, account, "anna", "p", []byte(statements(tags))); err != nil {
		t.Fatal(err)
	}
	f.until(v, "the policy is attached", func() bool { c, _ := v.Key(k.ID); return len(c.Policies) == 1 && c.NeedsResourceTags() })

	// A record that somebody has damaged takes its user's rights, and nobody else's.
	must(f.CreateUser(ctx, account, "bert"))(t)
	other := must(f.CreateKey(ctx, account, "bert"))(t)
	f.until(v, "bert's key", func() bool { _, ok := v.Key(other.ID); return ok })
	damaged := must(f.User(ctx, account, "anna"))(t)
	damaged.Policies["q"] = "{"
	must(f.st.Put(ctx, userKey(account, "anna"), &damaged, 0))(t)
	f.until(v, "anna is gone", func() bool { return !known() })
	if _, ok := v.Key(other.ID); !ok {
		t.Error("bert's key is gone")
	}

	// The secret of one key is of no use as that of another.
	stolen, _, err := f.key(ctx, account, other.ID)
	if err != nil {
		t.Fatal(err)
	}
	stolen.ID = "AKIASTOLEN"
	must(f.st.Put(ctx, keyKey(account, stolen.ID), &stolen, 0))(t)
	if err := f.DeleteKey(ctx, account, other.ID); err != nil {
		t.Fatal(err)
	}
	f.until(v, "bert's key is gone", func() bool { _, ok := v.Key(other.ID); return !ok })
	if _, ok := v.Key(stolen.ID); ok {
		t.Error("a copied secret is accepted")
	}
}

func TestSecretsAreEncrypted(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	must(f.CreateUser(ctx, account, "anna"))(t)
	k := must(f.CreateKey(ctx, account, "anna"))(t)
	page := must(f.st.List(ctx, "/", "", 0))(t)
	for _, kv := range page.KVs {
		for _, form := range []string{k.Secret, base64.StdEncoding.EncodeToString([]byte(k.Secret))} {
			if strings.Contains(string(kv.Value), form) {
				t.Errorf("%s shows the secret: %s", kv.Key, kv.Value)
			}
		}
	}
	if info := must(os.Stat(f.keyFile))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("key file has mode %v", info.Mode())
	}
}

func TestKeyFile(t *testing.T) {
	f := newFixture(t)
	good := must(os.ReadFile(f.keyFile))(t)
	f.open() // the same file opens it again
	for _, c := range []struct {
		name  string
		spoil func() error
		want  string
	}{
		{"missing", func() error { return os.Remove(f.keyFile) }, "is missing, but the store has secrets encrypted with it: restore it from a backup"},
		{"of another", func() error { return os.WriteFile(f.keyFile, []byte(strings.Repeat("ab", 32)), 0o600) }, "is not the one that the store's secrets were encrypted with"},
		{"cut", func() error { return os.WriteFile(f.keyFile, good[:63], 0o600) }, "does not hold 64 hexadecimal digits"},
		{"too long", func() error { return os.WriteFile(f.keyFile, append(good[:64:64], "00"...), 0o600) }, "does not hold 64 hexadecimal digits"},
		{"open to all", func() error { return os.Chmod(f.keyFile, 0o640) }, "can be read by other users: run chmod 600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() {
				if err := errors.Join(os.RemoveAll(f.keyFile), os.WriteFile(f.keyFile, good, 0o600)); err != nil {
					t.Fatal(err)
				}
			})
			if err := c.spoil(); err != nil {
				t.Fatal(err)
			}
			_, err := Open(t.Context(), Options{Store: f.st, KeyFile: f.keyFile})
			wantErr(t, err, nil, c.want)
			if strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestSession(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	must(f.CreateUser(ctx, account, "anna"))(t)
	for _, d := range []time.Duration{0, MinSession - 1, MaxSession + 1} {
		_, err := f.IssueSession(ctx, account, "anna", d)
		wantErr(t, err, nil, "must be between 15m0s and 36h0m0s")
	}
	_, err := f.IssueSession(ctx, account, "bert", time.Hour)
	wantErr(t, err, ErrNotFound, "user bert")
	s := must(f.IssueSession(ctx, account, "anna", time.Hour))(t)
	if !s.Expires.Equal(f.now.Add(time.Hour)) || !strings.HasPrefix(s.AccessKeyID, "ASIA") || strings.Contains(s.Token, s.Secret) {
		t.Errorf("session %+v", s)
	}
	v := f.watch()
	c, ok := v.Session(s.AccessKeyID, s.Token)
	if !ok || c.Secret != s.Secret || !c.Expires.Equal(s.Expires) || !c.Temporary || c.User != "anna" {
		t.Errorf("Session: %+v, %v", c, ok)
	}
	if _, ok := v.Key(s.AccessKeyID); ok {
		t.Error("a temporary key passes without its token")
	}
	raw := must(base64.StdEncoding.DecodeString(s.Token))(t)
	raw[len(raw)-1] ^= 1
	k := must(f.CreateKey(ctx, account, "anna"))(t)
	for name, in := range map[string][2]string{
		"another key":        {"ASIAAAAAAAAAAAAAAAAA", s.Token},
		"a permanent key":    {k.ID, s.Token},
		"one bit changed":    {s.AccessKeyID, base64.StdEncoding.EncodeToString(raw)},
		"no base64":          {s.AccessKeyID, "%" + s.Token},
		"empty":              {s.AccessKeyID, ""},
		"too long":           {s.AccessKeyID, s.Token + strings.Repeat("A", maxToken)},
		"sealed for records": {s.AccessKeyID, base64.StdEncoding.EncodeToString(f.records.seal([]byte(`{"k":"`+s.AccessKeyID+`"}`), purposeSession))},
	} {
		if _, ok := v.Session(in[0], in[1]); ok {
			t.Errorf("%s: accepted", name)
		}
	}

	if err := f.DeleteUser(ctx, account, "anna"); err != nil {
		t.Fatal(err)
	}
	must(f.CreateUser(ctx, account, "anna"))(t)
	k = must(f.CreateKey(ctx, account, "anna"))(t)
	f.until(v, "the new anna", func() bool { _, ok := v.Key(k.ID); return ok })
	if _, ok := v.Session(s.AccessKeyID, s.Token); ok {
		t.Error("a session outlives its user in another of the same name")
	}
}

func TestBootstrap(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	_, err := f.Bootstrap(ctx, account, map[string]string{"a/b": "x"})
	wantErr(t, err, nil, "cannot be taken over")
	_, err = f.Bootstrap(ctx, account, nil)
	wantErr(t, err, nil, "no access key")

	// Of processes that start at once one does it.
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 4 {
		wg.Go(func() {
			ok, err := f.Bootstrap(ctx, account, map[string]string{"AKIDEXAMPLE": "secret", "AKIDOTHER": "other"})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if ok {
				done++
			}
		})
	}
	wg.Wait()
	if done != 1 {
		t.Errorf("%d of 4 did it", done)
	}
	if ok, err := f.Bootstrap(ctx, account, map[string]string{"AKIDSECOND": "secret"}); ok || err != nil {
		t.Errorf("again: %v, %v", ok, err)
	}
	c, ok := f.watch().Key("AKIDEXAMPLE")
	if !ok || c.Secret != "secret" || c.User != "admin" || Evaluate(c.Policies, &Request{Action: "network-firewall:ListFirewalls", Resource: "*"}) != Allow {
		t.Errorf("%+v, %v", c, ok)
	}
}

// TestBootstrapHappensOnce: the first key does not come back with the last user's end.
func TestBootstrapHappensOnce(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	first := map[string]string{"AKIDEXAMPLE": "secret"}
	if ok, err := f.Bootstrap(ctx, account, first); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	if err := f.DeletePolicy(ctx, account, AdminName, AdministratorName); err != nil { // else the last administrator stays
		t.Fatal(err)
	}
	if err := f.DeleteUser(ctx, account, AdminName); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for _, d := range []*Directory{f.Directory, f.open()} {
		if ok, err := d.Bootstrap(ctx, account, first); ok || err != nil {
			t.Errorf("with no user left: %v, %v", ok, err)
		}
	}
	v, err := f.Watch(ctx, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Key("AKIDEXAMPLE"); ok || log.Len() > 0 {
		t.Errorf("the deleted user's key is accepted: %v; log: %s", ok, &log)
	}
}

func TestLastAdministrator(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	const other = "444455556666"
	admin := func(account, name string) {
		t.Helper()
		must(f.CreateUser(ctx, account, name))(t)
		if err := f.SetPolicy(ctx, account, name, AdministratorName, []byte(Administrator)); err != nil {
			t.Fatal(err)
		}
	}
	admin(account, "anna")
	admin(other, "anna")
	must(f.CreateUser(ctx, account, "bert"))(t)
	wantErr(t, f.DeleteUser(ctx, account, "anna"), nil, `user anna is the last of account 111122223333 with the policy AdministratorAccess: make another first with "sluice keys users create USER --admin"`)
	if err := f.DeleteUser(ctx, account, "bert"); err != nil {
		t.Error(err)
	}

	// Two administrators deleted at once: one stays.
	admin(account, "carl")
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, name := range []string{"anna", "carl"} {
		wg.Go(func() { errs[i] = f.DeleteUser(ctx, account, name) })
	}
	wg.Wait()
	if users := must(f.Users(ctx, account))(t); len(users) != 1 || (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("users %+v after %v", users, errs)
	}
}

// TestConcurrentUse changes and looks at the same user from many goroutines; the
// race detector is its judge, and the limit of two keys.
func TestConcurrentUse(t *testing.T) {
	f := newFixture(t)
	must(f.CreateUser(t.Context(), account, "anna"))(t)
	session := must(f.IssueSession(t.Context(), account, "anna", time.Hour))(t)
	v := f.watch()
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if c, ok := v.Session(session.AccessKeyID, session.Token); ok {
					Evaluate(c.Policies, ask(nil))
				}
			}
		})
	}
	for range 3 {
		writers.Go(func() {
			for range 3 {
				if k, err := f.CreateKey(t.Context(), account, "anna"); err == nil {
					v.Key(k.ID)
				}
				f.SetPolicy(t.Context(), account, "anna", "p", []byte(Administrator))
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	if keys := must(f.AccessKeys(t.Context(), account, "anna"))(t); len(keys) != MaxKeys {
		t.Errorf("%d access keys, want %d", len(keys), MaxKeys)
	}
}

// TestWatchEnds: a watch of a closed store says so instead of waiting.
func TestWatchEnds(t *testing.T) {
	f := newFixture(t)
	if err := f.st.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.Watch(t.Context(), nil)
	wantErr(t, err, nil, "read users and access keys")
}

// FuzzOpenToken: no text passes for a session token but what was issued.
func FuzzOpenToken(f *testing.F) {
	s, err := newSealer(make([]byte, masterBytes), purposeSession)
	if err != nil {
		f.Fatal(err)
	}
	nonce := make([]byte, s.aead.NonceSize()) // the same in all processes that fuzz
	good := base64.StdEncoding.EncodeToString(s.aead.Seal(nonce, nonce, []byte(`{"k":"ASIAEXAMPLE","e":1}`), []byte(purposeSession)))
	f.Add(good)
	f.Add(good[:40])
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		text := strings.NewReplacer("\r", "", "\n", "").Replace(token) // base64 has no regard for them
		if _, ok := openToken(s, token); ok != (text == good && len(token) <= maxToken) {
			t.Fatalf("%q: %v", token, ok)
		}
	})
}

// FuzzReadMaster: a key file is taken only if it holds a whole key.
func FuzzReadMaster(f *testing.F) {
	f.Add([]byte(strings.Repeat("0f", 32) + "\n"))
	f.Add([]byte(""))
	path := filepath.Join(f.TempDir(), "secret.key")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := readMaster(path); err == nil && len(key) != masterBytes {
			t.Fatalf("%d bytes", len(key))
		}
	})
}
