package inmemory_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestDomainLists: lists of names decide TLS by its SNI and HTTP by its Host, in
// both rule orders. Go's ClientHello has a post-quantum key share and comes in two
// segments.
func TestDomainLists(t *testing.T) {
	both := []types.TargetType{types.TargetTypeTlsSni, types.TargetTypeHttpHost}
	appLayer := []string{"aws:drop_established_app_layer", "aws:alert_established_app_layer"}
	for _, tc := range []struct {
		name    string
		kind    types.GeneratedRulesType
		targets []string
		strict  []string
		passes  map[string]bool // by host name
	}{
		{"DENYLIST", types.GeneratedRulesTypeDenylist, []string{".example.com", "exact.example.net"}, nil, map[string]bool{
			"example.com": false, "www.example.com": false, "WWW.Example.COM": false, "notexample.com": true,
			"exact.example.net": false, "not.exact.example.net": true,
		}},
		{"ALLOWLIST", types.GeneratedRulesTypeAllowlist, []string{".example.com"}, nil, map[string]bool{
			"example.com": true, "a.b.example.com": true, "example.org": false,
		}},
		{"ALLOWLIST in strict order", types.GeneratedRulesTypeAllowlist, []string{".example.com"}, appLayer, map[string]bool{
			"www.example.com": true, "example.org": false,
		}},
		{"REJECTLIST", types.GeneratedRulesTypeRejectlist, []string{"example.com"}, nil, map[string]bool{
			"example.com": false, "www.example.com": true,
		}},
		{"ALERTLIST", types.GeneratedRulesTypeAlertlist, []string{"example.com"}, nil, map[string]bool{
			"example.com": true, "www.example.com": true,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := start(t, setup{
				list:   &types.RulesSourceList{Targets: tc.targets, TargetTypes: both, GeneratedRulesType: tc.kind},
				strict: tc.strict,
			})
			s := r.serveHello("192.0.2.10", "[2001:db8::10]")
			for host, passes := range tc.passes {
				for _, f := range families {
					for scheme, ask := range map[string]func(family, string) (int, error){"https": s.https, "http": s.http} {
						alerts, drops := r.metric("sluice_alerts_total"), r.metric("sluice_dropped_packets_total")
						sent, err := ask(f, host)
						if passes && err != nil {
							t.Errorf("%s://%s over %s does not pass: %v", scheme, host, f.name, err)
						} else if !passes && err == nil {
							t.Errorf("%s://%s over %s passes", scheme, host, f.name)
						}
						if !passes {
							r.until("the drop is counted", func() bool { return r.metric("sluice_dropped_packets_total") > drops })
						}
						if (!passes || tc.kind == types.GeneratedRulesTypeAlertlist && host == "example.com") && r.metric("sluice_alerts_total") == alerts {
							t.Errorf("%s://%s over %s: no alert", scheme, host, f.name)
						}
						if scheme == "https" && sent <= netstackMSS {
							t.Errorf("the ClientHello has only %d bytes: it does not try two segments", sent)
						}
					}
				}
			}
		})
	}
}

// netstackMSS is the payload of a full segment over IPv6, the smaller one.
const netstackMSS = 1500 - 40 - 20

// hello is a web server at port 80 and 443 of some addresses.
type hello struct {
	*rig
	client *tls.Config
}

// serveHello starts a web server outside for every name of example.
func (r *rig) serveHello(addresses ...string) hello {
	r.Helper()
	names := []string{"notexample.com"}
	for _, d := range []string{"example.com", "example.org", "example.net"} {
		names = append(names, d, "*."+d, "*.b."+d, "*.exact."+d)
	}
	certificate, roots := certify(r.T, names...)
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fmt.Fprint(w, "hello") }),
	}
	var wg sync.WaitGroup
	for _, a := range addresses {
		for _, port := range []string{"80", "443"} {
			l, err := r.net.Outside().Listen("tcp", addr(a+":"+port))
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
	return hello{r, &tls.Config{RootCAs: roots}}
}

// dial connects to port of f's server. A connection that the firewall silences
// is given up when it has counted the drop.
func (h hello) dial(f family, port string) (net.Conn, func(), error) {
	h.Helper()
	server := addr(f.server)
	c, err := h.net.Inside().Dial(h.ctx, "tcp", addr(f.fresh()), addr(net.JoinHostPort(server.Addr().String(), port)))
	if err != nil {
		return nil, nil, err
	}
	drops := h.metric("sluice_dropped_packets_total")
	ctx, cancel := context.WithCancel(h.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer c.Close()
		for ctx.Err() == nil && h.metric("sluice_dropped_packets_total") == drops {
		}
		<-ctx.Done()
	})
	return c, func() { cancel(); wg.Wait() }, nil
}

func (h hello) https(f family, host string) (int, error) { return 0, nil }
func (h hello) http(f family, host string) (int, error)  { return 0, nil }

var _ = bufio.NewReader
var _ = io.EOF
var _ = strings.Contains
var _ = promlint.New
