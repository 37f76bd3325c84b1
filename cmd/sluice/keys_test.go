package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sluicefw/sluice/config"
)

func TestClientURL(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:4580": "http://127.0.0.1:4580", ":1": "http://127.0.0.1:1", "0.0.0.0:1": "http://127.0.0.1:1",
		"[::]:1": "http://127.0.0.1:1", "[::1]:1": "http://[::1]:1", "192.0.2.1:80": "http://192.0.2.1:80",
	} {
		if got := clientURL(address, false); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// A shell reads back what was quoted for it.
func TestClientEnvironmentInAShell(t *testing.T) {
	c := config.Default()
	c.DataDir = `/a b/it's $HOME/[x]*`
	t.Setenv("AWS_ACCESS_KEY_ID", "another") // would go before the file
	t.Setenv("AWS_PROFILE", "another")
	t.Setenv("LINE", clientEnvironment(c, "[::1]:4580"))
	script := `set -eu; eval "$LINE"; printf '%s|%s|%s|%s' "$AWS_SHARED_CREDENTIALS_FILE" "$AWS_ENDPOINT_URL_NETWORK_FIREWALL" "$AWS_REGION" "${AWS_ACCESS_KEY_ID-}${AWS_PROFILE-}"`
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	if want := c.DataDir + "/credentials|http://[::1]:4580|us-east-1|"; err != nil || string(out) != want {
		t.Errorf("%s, %v; want %s", out, err, want)
	}
	c.API.TLS.SelfSigned = true
	if got := clientEnvironment(c, ":1"); !strings.Contains(got, "=https://127.0.0.1:1 ") || !strings.Contains(got, " AWS_CA_BUNDLE=") {
		t.Errorf("with a self-signed certificate: %s", got)
	}
	c.API.Dev = true
	if got := clientEnvironment(c, ":1"); !strings.HasPrefix(got, "export ") || !strings.HasSuffix(got, " AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=dev") {
		t.Errorf("in dev mode: %s", got)
	}
}

// TestKeysWithoutCredentials: no line to evaluate for a key that clients cannot read.
func TestKeysWithoutCredentials(t *testing.T) {
	c := config.Default()
	c.DataDir = t.TempDir()
	file := c.CredentialsFile()
	check := func(name, want string) {
		t.Helper()
		if err := checkCredentials(c); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	check("missing", "there is no key at "+file+" yet: start sluice serve first, or name its --data-dir")
	out, err := command("keys", "--data-dir", c.DataDir).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.HasPrefix(string(out), "sluice: there is no key at ") {
		t.Errorf("the command: %v, %s", err, out)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("there", "<nil>")
	c.API.Dev, c.DataDir = true, "/nowhere"
	check("in dev mode", "<nil>")
}

// TestKeysOfAnotherUser runs the command as a user who may not read the file.
func TestKeysOfAnotherUser(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	if err := os.WriteFile(file, nil, 0); err != nil {
		t.Fatal(err)
	}
	cmd := command("keys", "--data-dir", dir)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := startWithout(cmd, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH)
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	want := "sluice: cannot read " + file + ": permission denied: run it with sudo, or make a user's own key with 'sluice keys create --user U'\n"
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || out.String() != want {
		t.Errorf("%v, %s; want %s", err, &out, want)
	}
}
