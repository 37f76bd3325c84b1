package main

import (
	"os/exec"
	"strings"
	"testing"

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
	script := clientEnvironment(c, "[::1]:4580") + "\n" + `printf '%s|%s|%s' "$AWS_SHARED_CREDENTIALS_FILE" "$AWS_ENDPOINT_URL_NETWORK_FIREWALL" "$AWS_REGION"`
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	if want := c.DataDir + "/credentials|http://[::1]:4580|us-east-1"; err != nil || string(out) != want {
		t.Errorf("%s, %v; want %s", out, err, want)
	}
	c.API.TLS.SelfSigned = true
	if got := clientEnvironment(c, ":1"); !strings.Contains(got, "=https://127.0.0.1:1 ") || !strings.Contains(got, " AWS_CA_BUNDLE=") {
		t.Errorf("with a self-signed certificate: %s", got)
	}
	c.API.Dev = true
	if got := clientEnvironment(c, ":1"); !strings.HasSuffix(got, " AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=dev") {
		t.Errorf("in dev mode: %s", got)
	}
}
