package inmemory_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// chunk is how many bytes of a download come at a time: some thirty packets.
const chunk = 40 << 10

// download is a response over HTTP whose next chunk the server sends when the
// test asks for it.
type download struct {
	*rig
	ask    chan struct{}
	got    chan error // of the client: nil for each whole chunk, last an error
	server chan error // how the server's connection ended
}

// download starts a server outside and a client inside, and returns when the
// client has the first chunk.
func (r *rig) download(client, server string) *download {
	r.Helper()
	d := &download{r, make(chan struct{}), make(chan error, 1), make(chan error, 1)}
	l, err := r.net.Outside().Listen("tcp", addr(server))
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.ctx)
	text := bytes.Repeat([]byte("0123456789abcdef"), chunk/16)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for {
			if _, err := w.Write(text); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-d.ask:
			case <-req.Context().Done():
				return
			}
		}
	})}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(watched{l, d.server}); !errors.Is(err, http.ErrServerClosed) {
			r.Errorf("serve %s: %v", server, err)
		}
	})
	r.Cleanup(func() { cancel(); srv.Close(); wg.Wait() })

	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return r.net.Inside().Dial(ctx, network, addr(client), addr(server))
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server+"/file", nil)
	if err != nil {
		r.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		r.Fatalf("GET %s: %v", req.URL, err)
	}
	wg.Go(func() {
		defer resp.Body.Close()
		buf := make([]byte, chunk)
		for ctx.Err() == nil {
			_, err := io.ReadFull(resp.Body, buf)
			if err == nil && !bytes.Equal(buf, text) {
				err = errors.New("the bytes are not those that were sent")
			}
			select {
			case d.got <- err:
			case <-ctx.Done():
			}
			if err != nil {
				return
			}
		}
	})
	if err := d.receive(); err != nil {
		r.Fatal(err)
	}
	return d
}

// send has the server send the next chunk, and does not wait for it.
func (d *download) send() {
	d.Helper()
	select {
	case d.ask <- struct{}{}:
	case <-d.ctx.Done():
		d.Fatal("the server does not answer")
	}
}

// receive waits for what the client reads next.
func (d *download) receive() error {
	select {
	case err := <-d.got:
		return err
	case <-d.ctx.Done():
		return errors.New("the download stalled")
	}
}

// next asks for a chunk and waits until the client has it.
func (d *download) next() error {
	d.Helper()
	d.send()
	return d.receive()
}

// serverEnd waits for the error that ends the server's side.
func (d *download) serverEnd() error {
	select {
	case err := <-d.server:
		return err
	case <-d.ctx.Done():
		return errors.New("the server's connection does not end")
	}
}

// watched is a listener whose connections report their first error.
type watched struct {
	net.Listener
	failed chan<- error
}

func (l watched) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return watchedConn{c, l.failed}, err
}

type watchedConn struct {
	net.Conn
	failed chan<- error
}

func (c watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	// The HTTP server ends its background read by a deadline in the past.
	if netErr, ok := errors.AsType[net.Error](err); err != nil && !(ok && netErr.Timeout()) {
		select {
		case c.failed <- err:
		default:
		}
	}
	return n, err
}

// connect tries one TCP connection and closes it.
func (r *rig) connect(client, server string) error {
	r.Helper()
	c, err := r.net.Inside().Dial(r.ctx, "tcp", addr(client), addr(server))
	if err == nil {
		c.Close()
	}
	return err
}

// echo is a UDP socket inside with an echo server outside.
type echo struct {
	*rig
	conn net.Conn
	seen chan string // what reached the server
}

func (r *rig) echo(client, server string) *echo {
	r.Helper()
	e := &echo{rig: r, seen: make(chan string, 100)}
	pc, err := r.net.Outside().ListenPacket("udp", addr(server))
	if err != nil {
		r.Fatal(err)
	}
	if e.conn, err = r.net.Inside().Dial(r.ctx, "udp", addr(client), addr(server)); err != nil {
		r.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			e.seen <- string(buf[:n])
			if _, err := pc.WriteTo(buf[:n], from); err != nil {
				return
			}
		}
	})
	r.Cleanup(func() { e.conn.Close(); pc.Close(); wg.Wait() })
	return e
}

// say sends a datagram and waits for its echo.
func (e *echo) say(text string) {
	e.Helper()
	if _, err := io.WriteString(e.conn, text); err != nil {
		e.Fatal(err)
	}
	e.conn.SetReadDeadline(time.Now().Add(within))
	buf := make([]byte, 1500)
	n, err := e.conn.Read(buf)
	if err != nil || string(buf[:n]) != text {
		e.Fatalf("the echo of %q is %q, %v", text, buf[:n], err)
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
