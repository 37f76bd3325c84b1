package inmemory_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sluicefw/sluice/pktio/netstack"
	"github.com/sluicefw/sluice/test/rig"
)

// TestDomainLists: lists of names decide TLS by its SNI and HTTP by its Host, in
// both rule orders. Go's ClientHello has a post-quantum key share and comes in two
// segments.
func TestDomainLists(t *testing.T) {
	both := []types.TargetType{types.TargetTypeTlsSni, types.TargetTypeHttpHost}
	appLayer := []string{"aws:drop_established_app_layer", "aws:alert_established_app_layer"}
	for _, tc := range []struct {
		name             string
		kind             types.GeneratedRulesType
		targets          []string
		strict           []string
		passing, blocked []string // host names
	}{
		{
			"DENYLIST", types.GeneratedRulesTypeDenylist, []string{".example.com", "exact.example.net"}, nil,
			[]string{"notexample.com", "not.exact.example.net"}, []string{"example.com", "WWW.Example.COM", "exact.example.net"},
		},
		{"ALLOWLIST", types.GeneratedRulesTypeAllowlist, []string{".example.com"}, nil, []string{"example.com", "a.b.example.com"}, []string{"example.org"}},
		{"ALLOWLIST in strict order", types.GeneratedRulesTypeAllowlist, []string{".example.com"}, appLayer, []string{"www.example.com"}, []string{"example.org"}},
		{"REJECTLIST", types.GeneratedRulesTypeRejectlist, []string{"example.com"}, nil, []string{"www.example.com"}, []string{"example.com"}},
		{"ALERTLIST", types.GeneratedRulesTypeAlertlist, []string{"example.com"}, nil, []string{"www.example.com", "example.com"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rig.Start(t, rig.Setup{
				List:   &types.RulesSourceList{Targets: tc.targets, TargetTypes: both, GeneratedRulesType: tc.kind},
				Strict: tc.strict,
			})
			s := serveHello(r, "192.0.2.10", "[2001:db8::10]")
			for _, f := range families {
				for _, host := range tc.passing {
					if err := s.http(f, host); err != nil {
						t.Errorf("http://%s over %s does not pass: %v", host, f.name, err)
					}
					if err := s.https(f, host); err != nil {
						t.Errorf("https://%s over %s does not pass: %v", host, f.name, err)
					}
				}
				if n := r.Metric("sluice_alerts_total"); (n > 0) != (tc.kind == types.GeneratedRulesTypeAlertlist) {
					t.Errorf("%v alerts over %s", n, f.name)
				}
			}
			for _, f := range families {
				for _, host := range tc.blocked {
					for scheme, ask := range map[string]func(family, string) error{"http": s.http, "https": s.https} {
						alerts := r.Metric("sluice_alerts_total")
						if err := ask(f, host); err == nil {
							t.Errorf("%s://%s over %s is not blocked", scheme, host, f.name)
						}
						r.Until("the alert is counted", func() bool { return r.Metric("sluice_alerts_total") > alerts })
					}
				}
			}
		})
	}
}

// hello is a web server at port 80 and 443 of some addresses.
type hello struct {
	*rig.Rig
	roots *x509.CertPool
}

// page is what it serves.
const page = "hello"

// serveHello starts a web server outside for every name of example.
func serveHello(r *rig.Rig, addresses ...string) hello {
	r.Helper()
	names := []string{"notexample.com"}
	for _, d := range []string{"example.com", "example.org", "example.net"} {
		names = append(names, d, "*."+d, "*.b."+d, "*.exact."+d)
	}
	certificate, roots := certify(r.T, names...)
	srv := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0), // TLS handshakes that the firewall cuts
		Handler:  http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, page) }),
	}
	var wg sync.WaitGroup
	for _, a := range addresses {
		for _, port := range []string{"80", "443"} {
			l, err := r.Net.Outside().Listen("tcp", rig.AddrPort(a+":"+port))
			if err != nil {
				r.Fatal(err)
			}
			if port == "443" {
				l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}})
			}
			wg.Go(func() {
				if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
					r.Errorf("serve: %v", err)
				}
			})
		}
	}
	r.Cleanup(func() { srv.Close(); wg.Wait() })
	return hello{r, roots}
}

// ask makes one connection to port of f's server and returns how exchange, which
// uses it, ended. One that the firewall drops with an alert is given up.
func (h hello) ask(f family, port string, exchange func(net.Conn) error) error {
	h.Helper()
	alerts := h.Metric("sluice_alerts_total")
	c, err := h.Net.Inside().Dial(h.Ctx, "tcp", rig.AddrPort(f.fresh()), rig.AddrPort(net.JoinHostPort(rig.AddrPort(f.server).Addr().String(), port)))
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(rig.Within))
	done := make(chan error, 1)
	go func() { done <- exchange(c) }()
	for {
		select {
		case err := <-done:
			return err
		default:
		}
		if h.Metric("sluice_alerts_total") > alerts && dropped(h.Rig) > 0 {
			c.Close()
			return fmt.Errorf("given up after an alert and a drop: %w", <-done)
		}
	}
}

// dropped counts the packets that rules and default actions dropped.
func dropped(r *rig.Rig) float64 {
	r.Helper()
	return r.Metric("sluice_dropped_packets_total", `reason="rule"`) + r.Metric("sluice_dropped_packets_total", `reason="default_action"`)
}

// get asks for a page over c.
func get(c net.Conn, host string) error {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && string(text) != page {
		err = fmt.Errorf("the page is %q", text)
	}
	return err
}

// http asks for a page of host.
func (h hello) http(f family, host string) error {
	h.Helper()
	return h.ask(f, "80", func(c net.Conn) error { return get(c, host) })
}

// https asks for a page of host over TLS.
func (h hello) https(f family, host string) error {
	h.Helper()
	return h.ask(f, "443", func(c net.Conn) error {
		sized := &firstWrite{Conn: c}
		err := get(tls.Client(sized, &tls.Config{RootCAs: h.roots, ServerName: host}), host)
		if sized.n <= segment {
			h.Errorf("the ClientHello has %d bytes, too few for two segments", sized.n)
		}
		return err
	})
}

// segment is the payload in bytes of a full TCP segment, the larger one of IPv4.
const segment = netstack.MTU - 20 - 20

// firstWrite notes the size of the first write: the ClientHello.
type firstWrite struct {
	net.Conn
	n int
}

func (c *firstWrite) Write(b []byte) (int, error) {
	if c.n == 0 {
		c.n = len(b)
	}
	return c.Conn.Write(b)
}

// TestMetricNames holds the whole product's metrics against Prometheus's rules.
func TestMetricNames(t *testing.T) {
	r := rig.Start(t, rig.Setup{})
	text := r.Metrics()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	named := 0
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(line, "# HELP ")
		if !ok {
			continue
		}
		named++
		if !strings.HasPrefix(name, "sluice_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s: a metric of ours begins with sluice_", strings.Fields(name)[0])
		}
	}
	if named < 20 {
		t.Errorf("only %d metrics on the page", named)
	}
}

// certify makes a certificate for names and the pool that trusts it.
func certify(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
