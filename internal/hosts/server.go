package hosts

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/sluicefw/sluice/pktio/netstack"
)

const (
	// serverIdle is how long a server keeps a connection on which nothing
	// moves, so that those that a firewall silenced do not pile up.
	serverIdle = 30 * time.Second

	// chunksPerSecond is how often a download gets a piece.
	chunksPerSecond = 4

	// maxDNS is the most bytes of a DNS message over UDP (RFC 1035, 4.2.1).
	maxDNS = 512
)

// servers is the running servers.
type servers struct {
	ctx   context.Context
	rate  int            // of a download, in bytes a second
	roots *x509.CertPool // what clients trust
	tls   *tls.Config
	group sync.WaitGroup
}

// startServers starts Servers on the outside. They run until ctx is done.
func startServers(ctx context.Context, outside *netstack.Side, rate int) (*servers, error) {
	s := &servers{ctx: ctx, rate: rate}
	if err := s.certify(); err != nil {
		return nil, fmt.Errorf("hosts: make a certificate: %w", err)
	}
	for _, server := range Servers() {
		if server.Kind == DNS {
			conn, err := outside.ListenPacket("udp", server.Addr)
			if err != nil {
				return nil, err
			}
			s.group.Go(func() { s.answer(conn) })
			continue
		}
		l, err := outside.Listen("tcp", server.Addr)
		if err != nil {
			return nil, err
		}
		s.group.Go(func() { s.accept(l, server.Kind) })
	}
	return s, nil
}

// wait waits for the servers to end; their context must be done.
func (s *servers) wait() { s.group.Wait() }

// certify makes a certificate authority of its own and a certificate for the
// names of all TLS servers.
func (s *servers) certify() error {
	var names []string
	for _, server := range Servers() {
		if server.Kind == TLS {
			names = append(names, server.Name)
		}
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example Authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, leafKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	root, err := x509.ParseCertificate(authorityDER)
	if err != nil {
		return err
	}
	s.roots = x509.NewCertPool()
	s.roots.AddCert(root)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}}}
	return nil
}

// accept serves the connections of one listener.
func (s *servers) accept(l net.Listener, kind Kind) {
	defer context.AfterFunc(s.ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed, by ctx or with the network
		}
		s.group.Go(func() {
			defer conn.Close()
			defer interrupt(s.ctx, conn)()
			// How a connection ends is the client's to report.
			switch kind {
			case Download, HTTP:
				_ = s.serveHTTP(conn)
			case TLS:
				_ = s.echo(tls.Server(conn, s.tls))
			default:
				_ = s.echo(conn)
			}
		})
	}
}

// echo returns every line.
func (s *servers) echo(conn net.Conn) error {
	r := bufio.NewReader(conn)
	for {
		extend(s.ctx, conn, serverIdle)
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if _, err := conn.Write(line); err != nil {
			return err
		}
	}
}

// serveHTTP answers requests: /download without end, everything else with a
// small page.
func (s *servers) serveHTTP(conn net.Conn) error {
	r := bufio.NewReader(conn)
	page := strings.Repeat("All work and no play makes a dull page.\n", 25)
	for {
		extend(s.ctx, conn, serverIdle)
		request, err := http.ReadRequest(r)
		if err != nil {
			return err
		}
		if request.URL.Path == "/download" {
			return s.stream(conn)
		}
		_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(page), page)
		if err != nil {
			return err
		}
	}
}

// stream sends bytes at the rate of a download until the connection ends.
func (s *servers) stream(conn net.Conn) error {
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n")
	if err != nil {
		return err
	}
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), s.rate/chunksPerSecond/16+1)[:max(s.rate/chunksPerSecond, 1)]
	tick := time.NewTicker(time.Second / chunksPerSecond)
	defer tick.Stop()
	for {
		extend(s.ctx, conn, serverIdle)
		if _, err := conn.Write(chunk); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// answer serves DNS until ctx is done.
func (s *servers) answer(conn net.PacketConn) {
	defer conn.Close()
	defer context.AfterFunc(s.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, maxDNS)
	for s.ctx.Err() == nil {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply, err := answerTo(buf[:n]); err == nil {
			// As with any datagram, nobody learns of one that was not sent.
			_, _ = conn.WriteTo(reply, from)
		}
	}
}

// recordType returns the type of the record with a server's address.
func recordType(s Server) dnsmessage.Type {
	if s.Addr.Addr().Is4() {
		return dnsmessage.TypeA
	}
	return dnsmessage.TypeAAAA
}

// answerTo answers a query for the address of one of Servers; other names do not
// exist.
func answerTo(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, fmt.Errorf("hosts: unpack a DNS query: %w", err)
	}
	if h.Response {
		return nil, errors.New("hosts: a DNS answer where a query should be")
	}
	q, err := p.Question()
	if err != nil {
		return nil, fmt.Errorf("hosts: unpack a DNS query: %w", err)
	}
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired,
			RCode: dnsmessage.RCodeNameError,
		},
		Questions: []dnsmessage.Question{q},
	}
	for _, s := range Servers() {
		if !strings.EqualFold(s.Name+".", q.Name.String()) {
			continue
		}
		m.RCode = dnsmessage.RCodeSuccess
		if q.Type != recordType(s) || q.Class != dnsmessage.ClassINET {
			break
		}
		var body dnsmessage.ResourceBody = &dnsmessage.AAAAResource{AAAA: s.Addr.Addr().As16()}
		if s.Addr.Addr().Is4() {
			body = &dnsmessage.AResource{A: s.Addr.Addr().As4()}
		}
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}, Body: body,
		}}
		break
	}
	return m.Pack()
}
