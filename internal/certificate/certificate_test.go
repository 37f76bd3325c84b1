package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func selfSigned(t *testing.T, dir string, at time.Time, hosts ...string) (c *Certificate, made bool) {
	t.Helper()
	c, made, err := SelfSigned(dir, hosts, at)
	if err != nil {
		t.Fatal(err)
	}
	return c, made
}

func TestSelfSigned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	if _, made := selfSigned(t, dir, now, "192.0.2.1", "::ffff:192.0.2.2", "2001:db8::1", "gw-1"); !made {
		t.Error("the first one was not made")
	}
	for name, mode := range map[string]os.FileMode{"key.pem": 0o600, "cert.pem": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, mode)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("in the directory are %v, want the certificate and its key", entries)
	}
	first := read(t, dir, "cert.pem")
	for _, c := range []struct {
		name  string
		spoil func()
		at    time.Time
		hosts []string
		made  bool
	}{
		{"the same", nil, now, []string{"192.0.2.1"}, false},
		{"just long enough", nil, now.Add(lifetime - renewal), nil, false},
		{"about to expire", nil, now.Add(lifetime - renewal + 1), nil, true},
		{"another address", nil, now, []string{"192.0.2.3"}, true},
		{"another name", nil, now, []string{"gw-2"}, true},
		{"from the future", nil, now.Add(-2 * backdate), nil, true},
		{"no key", func() { os.Remove(filepath.Join(dir, "key.pem")) }, now, nil, true},
		{"the key of another", func() { os.WriteFile(filepath.Join(dir, "cert.pem"), first, 0o644) }, now, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.spoil != nil {
				c.spoil()
			}
			if _, made := selfSigned(t, dir, c.at, c.hosts...); made != c.made {
				t.Errorf("made: %t, want %t", made, c.made)
			}
		})
	}
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// handshake returns what a client that trusts roots says to a server with c.
func handshake(t *testing.T, c *Certificate, trusted []byte, name string, version uint16) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if there, err := l.Accept(); err == nil {
			tls.Server(there, c.TLS()).Handshake() // the client's outcome counts
			there.Close()
		}
	}()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted)
	client := tls.Client(here, &tls.Config{
		RootCAs: roots, ServerName: name, MaxVersion: version, MinVersion: tls.VersionTLS10,
		Time: func() time.Time { return now },
	})
	return client.Handshake()
}

func TestHandshake(t *testing.T) {
	dir := t.TempDir()
	c, _ := selfSigned(t, dir, now, "192.0.2.1", "gw-1")
	trusted := read(t, c.File())
	other, _ := selfSigned(t, t.TempDir(), now)
	for _, test := range []struct {
		name    string
		trusted []byte
		host    string
		version uint16
		want    string // in the error; "" for none
	}{
		{"by address", trusted, "192.0.2.1", tls.VersionTLS13, ""},
		{"by name", trusted, "gw-1", tls.VersionTLS12, ""},
		{"localhost", trusted, "localhost", tls.VersionTLS13, ""},
		{"loopback", trusted, "::1", tls.VersionTLS13, ""},
		{"another host", trusted, "gw-2", tls.VersionTLS13, "not gw-2"},
		{"another certificate", read(t, other.File()), "gw-1", tls.VersionTLS13, "unknown authority"},
		{"old TLS", trusted, "gw-1", tls.VersionTLS11, "protocol version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := handshake(t, c, test.trusted, test.host, test.version)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	c, _ := selfSigned(t, dir, now)
	first := read(t, c.File())
	if _, made := selfSigned(t, dir, now, "gw-1"); !made {
		t.Fatal("no new certificate was made")
	}
	if err := handshake(t, c, first, "localhost", tls.VersionTLS13); err != nil {
		t.Errorf("before the reload: %v", err)
	}
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	second := read(t, c.File())
	if err := handshake(t, c, second, "gw-1", tls.VersionTLS13); err != nil || bytes.Equal(first, second) {
		t.Errorf("after the reload: %v", err)
	}

	if err := os.WriteFile(c.File(), first, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(); err == nil || !strings.Contains(err.Error(), "belong together") {
		t.Errorf("a certificate of another key: %v", err)
	}
	if err := handshake(t, c, second, "gw-1", tls.VersionTLS13); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}
}

func TestFailures(t *testing.T) {
	if _, err := Load("/dev/null/cert.pem", "/dev/null/key.pem"); err == nil {
		t.Error("files that are not there were read")
	}
	if _, _, err := SelfSigned("/dev/null", nil, now); err == nil {
		t.Error("a certificate was made in a file")
	}
}
