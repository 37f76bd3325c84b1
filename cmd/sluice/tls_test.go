package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
)

// transport trusts the certificate of dir, if one is made, and speaks HTTP/2 or
// HTTP/1.1 only.
func transport(t *testing.T, dir string, http2 bool) *http.Transport {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(dir, "tls/cert.pem")); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	tr := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// seen notes what a client's requests went through.
type seen struct {
	http.RoundTripper
	proto  string
	reused bool // the last request's connection had served another one
}

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { s.reused = c.Reused }})
	resp, err := s.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err == nil {
		s.proto = resp.Proto
	}
	return resp, err
}

func TestServeOverTLS(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SLUICE_API_TLS_SELF_SIGNED", "true")
	p := startServe(t, dir, (*exec.Cmd).Start, "--no-engine")
	if !strings.HasPrefix(p.url, "https://127.0.0.1:") {
		t.Fatalf("it is served at %s", p.url)
	}
	client := p.client(t, dir)
	for _, http2 := range []bool{false, true} {
		s := &seen{RoundTripper: transport(t, dir, http2)}
		// The second request finds the connection of the first, unless a busy machine makes the
		// client too slow to put it back.
		for n := 0; n < 2 || n < 10 && !s.reused; n++ {
			_, err := client.ListFirewalls(t.Context(), &networkfirewall.ListFirewallsInput{}, func(o *networkfirewall.Options) {
				o.HTTPClient = &http.Client{Transport: s}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]; s.proto != want || !s.reused {
			t.Errorf("the last request went over %s, want %s, on the connection of one before: %t", s.proto, want, s.reused)
		}
	}
	if _, err := http.Get(p.url + "/healthz"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a client that does not trust the certificate: %v", err)
	}

	cert, err := os.ReadFile(dir + "/tls/cert.pem")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	startServe(t, dir, (*exec.Cmd).Start, "--no-engine")
	if again, err := os.ReadFile(dir + "/tls/cert.pem"); err != nil || !bytes.Equal(cert, again) {
		t.Errorf("the certificate is another one after a restart (%v)", err)
	}
}

// With the environment that "sluice keys" prints, boto3 trusts the certificate;
// so it does when its caller names it.
func TestBoto3OverTLS(t *testing.T) {
	python, err := filepath.Abs("../../.venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_CLIENTS") == "1" {
			t.Fatalf("%v: run make venv", err)
		}
		t.Skipf("boto3 is not installed (%v): run make venv", err)
	}
	dir := t.TempDir()
	t.Setenv("SLUICE_API_TLS_SELF_SIGNED", "true")
	p := startServe(t, dir, (*exec.Cmd).Start, "--no-engine")
	environment := p.line(t, "export ")
	const list = "import boto3; print(boto3.client('network-firewall'%s).list_firewalls()['Firewalls'])"
	for _, c := range []struct{ name, prepare, arguments, want string }{
		{"by its environment", "", "", "[]\n"},
		{"by its caller", "unset AWS_CA_BUNDLE", ", verify='" + dir + "/tls/cert.pem'", "[]\n"},
		{"not at all", "unset AWS_CA_BUNDLE", ", config=__import__('botocore.config').config.Config(retries={'total_max_attempts': 1})", "CERTIFICATE_VERIFY_FAILED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", environment+"\n"+c.prepare+"\nexec \"$0\" -c \"$1\"", python, fmt.Sprintf(list, c.arguments))
			cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
			if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), c.want) || (err != nil) != (c.want != "[]\n") {
				t.Errorf("%v, want %q in:\n%s", err, c.want, out)
			}
		})
	}
}

// Requests that are on their way when SIGTERM comes are answered.
func TestDrain(t *testing.T) {
	for _, c := range []struct {
		name       string
		tls, http2 bool
	}{{"HTTP/1.1", false, false}, {"HTTP/1.1 over TLS", true, false}, {"HTTP/2", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.tls {
				t.Setenv("SLUICE_API_TLS_SELF_SIGNED", "true")
			}
			p := startServe(t, dir, (*exec.Cmd).Start, "--no-engine", "--dev")
			client := &http.Client{Transport: transport(t, dir, c.http2), Timeout: patience}
			idle, err := client.Get(p.url + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, idle.Body)
			idle.Body.Close()

			body, rest := io.Pipe()
			req, err := http.NewRequest(http.MethodPost, p.url+"/", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{
				"X-Amz-Target": {"NetworkFirewall_20201112.ListFirewalls"}, "Content-Type": {"application/x-amz-json-1.0"},
				"Authorization": {"AWS4-HMAC-SHA256 Credential=dev/20260101/us-east-1/network-firewall/aws4_request, SignedHeaders=host, Signature=00"},
			}
			type answer struct {
				text string
				err  error
			}
			answers := make(chan answer, 1)
			// 100 Continue is the server's word that it has begun to read.
			reading := make(chan struct{})
			req.Header.Set("Expect", "100-continue")
			client.Transport.(*http.Transport).ExpectContinueTimeout = patience
			req = req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(reading) }}))
			go func() {
				resp, err := client.Do(req)
				if err != nil {
					answers <- answer{err: err}
					return
				}
				defer resp.Body.Close()
				text, err := io.ReadAll(resp.Body)
				answers <- answer{resp.Status + " " + string(text), err}
			}()
			select {
			case <-reading:
			case a := <-answers:
				t.Fatalf("answered before it was sent: %+v", a)
			case <-time.After(patience):
				t.Fatal("the server does not read the request")
			}
			if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			p.line(t, "msg=stopping")
			if _, err := io.WriteString(rest, "{}"); err != nil {
				t.Fatal(err)
			}
			rest.Close()
			if a := <-answers; a.err != nil || a.text != `200 OK {"Firewalls":[]}` {
				t.Errorf("the request in flight: %+v", a)
			}
			p.waited = true
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("the process ends by %v", err)
			}
		})
	}
}
