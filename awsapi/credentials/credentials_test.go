package credentials

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"
)

const account = "111122223333"

// What is made at the first start is what AWS's own SDK then reads.
func TestSDKReadsNewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	f, created, err := Open(path, account)
	if err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	profile, err := config.LoadSharedConfigProfile(t.Context(), "default", func(o *config.LoadSharedConfigOptions) {
		o.CredentialsFiles, o.ConfigFiles = []string{path}, []string{}
	})
	if err != nil {
		t.Fatal(err)
	}
	id, want := profile.Credentials.AccessKeyID, profile.Credentials.SecretAccessKey
	if len(id) != 20 || !strings.HasPrefix(id, "AKIA") || len(want) != 40 {
		t.Errorf("id %q and a secret of %d characters, want AKIA..., 20 and 40", id, len(want))
	}
	if secret, acct, ok := f.Secret(id); secret != want || acct != account || !ok {
		t.Errorf("Secret: account %q, %v; or the wrong secret", acct, ok)
	}
	if _, _, ok := f.Secret("AKIA"); ok {
		t.Error("an unknown key is known")
	}

	again, created, err := Open(path, account)
	if err != nil || created {
		t.Fatalf("second time: created %v, %v", created, err)
	}
	if d := cmp.Diff(f.secrets, again.secrets); d != "" {
		t.Error("the second start has other keys")
	}
}

func TestParse(t *testing.T) {
	const a, b = "AKIAAAAAAAAAAAAAAAAA", "AKIABBBBBBBBBBBBBBBB"
	for _, c := range []struct {
		name, text string
		want       map[string]string
		err        string
	}{
		{"profiles", "# c\n[default]\naws_access_key_id=" + a + "\naws_secret_access_key = s/+=\nregion = x\n\n[ci]\nAWS_ACCESS_KEY_ID = " + b + "\r\naws_secret_access_key=t\n",
			map[string]string{a: "s/+=", b: "t"}, ""},
		{"comments", "[x]\n;aws_access_key_id = no\naws_access_key_id = " + a + "\naws_secret_access_key = s\n# aws_secret_access_key = t\n", map[string]string{a: "s"}, ""},
		{"same key twice", "[x]\naws_access_key_id=" + a + "\naws_secret_access_key=s\n[y]\naws_access_key_id=" + a + "\naws_secret_access_key=s\n", map[string]string{a: "s"}, ""},
		{"empty", "", nil, "there is no access key"},
		{"profile without key", "[x]\nregion = y\n", nil, "there is no access key"},
		{"no secret", "[x]\naws_access_key_id=" + a + "\n[y]\n", nil, `profile "x": aws_secret_access_key is missing`},
		{"no id", "[x]\naws_secret_access_key=s\n", nil, `profile "x": aws_access_key_id is not`},
		{"two secrets", "[x]\naws_access_key_id=" + a + "\naws_secret_access_key=s\n[y]\naws_access_key_id=" + a + "\naws_secret_access_key=t\n", nil, `profile "y": access key ` + a + ` has another secret`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(c.text)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %s", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(generate())
	f.Add("[a]\naws_secret_access_key=x\n[")
	f.Fuzz(func(t *testing.T, text string) {
		secrets, err := parse(text)
		if err == nil && len(secrets) == 0 {
			t.Error("neither keys nor an error")
		}
		for id, secret := range secrets {
			if !keyForm.MatchString(id) || secret == "" {
				t.Errorf("key %q, secret %q", id, secret)
			}
		}
	})
}
