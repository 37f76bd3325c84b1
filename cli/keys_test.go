package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/iam"
	"github.com/sluicefw/sluice/store"
)

// keysRig runs the keys commands against a store that another process could have.
type keysRig struct {
	t         *testing.T
	endpoints []string
	keyFile   string
}

func newKeysRig(t *testing.T) (*keysRig, *store.Store) {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return &keysRig{t, []string{st.Endpoint()}, filepath.Join(dir, "secret.key")}, st
}

// run runs one command line and returns what it printed.
func (r *keysRig) run(stdin, line string) (code int, stdout, stderr string) {
	r.t.Helper()
	var out, errs bytes.Buffer
	env := Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	open := func(ctx context.Context, _ *cobra.Command) (Directory, error) {
		d, done, err := iam.Connect(ctx, r.endpoints, r.keyFile)
		return Directory{d, "111122223333", done}, err
	}
	keys := group(&cobra.Command{Use: "keys"}, NewKeys(env, open)...)
	code = Execute(r.t.Context(), env, NewRoot(env, keys), strings.Fields("keys "+line))
	return code, out.String(), errs.String()
}

func TestKeysSession(t *testing.T) {
	r, _ := newKeysRig(t)
	key := ""
	for _, s := range []struct {
		line, stdin string
		code        int
		want        string // regular expression for what is printed; $KEY is the last key that was made
	}{
		{"users list -o json", "", 0, `^\[\]\n$`},
		{"users create anna", "", 0, `^made arn:aws:iam::111122223333:user/anna\n$`},
		{"users create anna", "", 1, `user anna of account 111122223333 exists already`},
		{"users create root --admin -o json", "", 0, `(?s)"arn": "arn:aws:iam::111122223333:user/root".*"policies": \[\n\s+"AdministratorAccess"`},
		{"users create a/b", "", 1, `must be 1 to 64 letters`},
		{"users create", "", 2, `keys users create takes one argument, the user's name`},
		{"create", "", 2, `keys create needs --user`},
		{"create --user anna", "", 0, `^export AWS_ACCESS_KEY_ID=(AKIA\w{16})\nexport AWS_SECRET_ACCESS_KEY=\S{40}\n$`},
		{"list", "", 0, `(?m)^ACCESS KEY +USER +STATE +CREATED\n$KEY  anna  enabled `},
		{"disable $KEY", "", 0, `^disabled access key $KEY\n$`},
		{"list --user anna -o json", "", 0, `(?s)"access_key_id": "$KEY".*"enabled": false`},
		{"enable $KEY", "", 0, `^enabled access key $KEY\n$`},
		{"rotate --user anna -o json", "", 0, `(?s)"Version": 1,\s+"AccessKeyId": "(AKIA\w{16})",\s+"SecretAccessKey": "\S{40}"\s+\}`},
		{"list", "", 0, `(?s)disabled.*enabled|enabled.*disabled`},
		{"delete $KEY", "", 0, `^deleted access key $KEY\n$`},
		{"delete $KEY", "", 1, `no such user or access key`},
		{"policy set --user anna", "{}", 1, `-: policy: Version must be "2012-10-17"`},
		{"policy set --user anna --file /nowhere", "", 1, `read the policy: open /nowhere`},
		{"policy set --user anna", iam.Administrator, 0, `^user anna has policy default\n$`},
		{"policy get --user anna", "", 0, `^` + regexp.QuoteMeta(iam.Administrator) + `\n$`},
		{"policy get --user anna --name x", "", 1, `user anna has no policy x; there are: default`},
		{"policy rm --user anna", "", 0, `has no policy default any more`},
		{"issue --user anna --duration 1h", "", 0, `^export AWS_ACCESS_KEY_ID=ASIA\w{16}\nexport AWS_SECRET_ACCESS_KEY=\S{40}\nexport AWS_SESSION_TOKEN=\S+\n$`},
		{"issue --user anna -o json", "", 0, `"Expiration": "20`},
		{"issue --user anna --duration 1m", "", 1, `must be between 15m0s and 36h0m0s`},
		{"list -o yaml", "", 2, `choose table or json`},
		{"users list --account 1", "", 1, `account "1" must be 12 digits`},
		{"users list --account 444455556666 -o json", "", 0, `^\[\]\n$`},
		{"users delete anna", "", 0, `^deleted user anna\n$`},
		{"users delete root", "", 1, `^sluice: iam: user root is the last of account 111122223333 with the policy AdministratorAccess: make another first with "sluice keys users create USER --admin"\n$`},
		{"list -o json", "", 0, `^\[\]\n$`},
	} {
		line := strings.ReplaceAll(s.line, "$KEY", key)
		code, stdout, stderr := r.run(s.stdin, line)
		want := regexp.MustCompile(strings.ReplaceAll(s.want, "$KEY", key))
		if code != s.code || !want.MatchString(stdout+stderr) {
			t.Errorf("keys %s: exit code %d, want %d; printed\n%s%swant %s", line, code, s.code, stdout, stderr, want)
		}
		if m := want.FindStringSubmatch(stdout); len(m) > 1 {
			key = m[1]
		}
		if s.code == 0 && strings.Contains(line, "json") && stdout != "" && !json.Valid([]byte(stdout)) {
			t.Errorf("keys %s: no JSON: %s", line, stdout)
		}
	}
}

// TestKeysWithoutServe: one sentence when nothing runs.
func TestKeysWithoutServe(t *testing.T) {
	r, st := newKeysRig(t)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := r.run("", "list")
	if code != ExitError || !strings.Contains(stderr, "start sluice serve") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
