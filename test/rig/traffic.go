package rig

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Chunk is how many bytes of a download come at a time: some thirty packets.
const Chunk = 40 << 10

// Text is what downloads consist of, over and over.
const Text = "0123456789abcdef"

// Download is a response over HTTP whose next chunk the server sends when the
// test asks for it.
type Download struct {
	*Rig
	ask    chan struct{}
	gone   chan struct{} // closed when the server has given up
	Got    chan error    // of the client: nil for each whole chunk, last an error
	Server chan error    // how the server's connection ended
}

// Download starts a server outside and a client inside, and returns when the
// client has the first chunk.
func (r *Rig) Download(client, server string) *Download {
	r.Helper()
	d := &Download{r, make(chan struct{}), make(chan struct{}), make(chan error, 1), make(chan error, 1)}
	l, err := r.Net.Outside().Listen("tcp", AddrPort(server))
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Ctx)
	text := bytes.Repeat([]byte(Text), Chunk/len(Text))
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer close(d.gone) // there is one request
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
		if err := srv.Serve(watched{l, d.Server}); !errors.Is(err, http.ErrServerClosed) {
			r.Errorf("serve %s: %v", server, err)
		}
	})
	r.Cleanup(func() { cancel(); srv.Close(); wg.Wait() })

	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return r.Net.Inside().Dial(ctx, network, AddrPort(client), AddrPort(server))
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
		buf := make([]byte, Chunk)
		for ctx.Err() == nil {
			_, err := io.ReadFull(resp.Body, buf)
			if err == nil && !bytes.Equal(buf, text) {
				err = errors.New("the bytes are not those that were sent")
			}
			select {
			case d.Got <- err:
			case <-ctx.Done():
			}
			if err != nil {
				return
			}
		}
	})
	if err := d.Receive(); err != nil {
		r.Fatal(err)
	}
	return d
}

// Send has the server send the next chunk, and does not wait for it. A server whose connection was
// reset, perhaps by a packet that came before, sends nothing: Receive tells.
func (d *Download) Send() {
	d.Helper()
	select {
	case d.ask <- struct{}{}:
	case <-d.gone:
	case <-d.Ctx.Done():
		d.Fatal("the server does not answer")
	}
}

// Receive waits for what the client reads next.
func (d *Download) Receive() error {
	select {
	case err := <-d.Got:
		return err
	case <-d.Ctx.Done():
		return errors.New("the download stalled")
	}
}

// Next asks for a chunk and waits until the client has it.
func (d *Download) Next() error {
	d.Helper()
	d.Send()
	return d.Receive()
}

// ServerEnd waits for the error that ends the server's side.
func (d *Download) ServerEnd() error {
	select {
	case err := <-d.Server:
		return err
	case <-d.Ctx.Done():
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

// Connect tries one TCP connection and closes it.
func (r *Rig) Connect(client, server string) error {
	r.Helper()
	c, err := r.Net.Inside().Dial(r.Ctx, "tcp", AddrPort(client), AddrPort(server))
	if err == nil {
		c.Close()
	}
	return err
}

// Echo is a UDP socket inside with an echo server outside.
type Echo struct {
	*Rig
	Conn net.Conn
	Seen chan string // what reached the server
}

// Echo starts an echo server outside and opens a socket to it inside.
func (r *Rig) Echo(client, server string) *Echo {
	r.Helper()
	e := &Echo{Rig: r, Seen: make(chan string, 100)}
	pc, err := r.Net.Outside().ListenPacket("udp", AddrPort(server))
	if err != nil {
		r.Fatal(err)
	}
	if e.Conn, err = r.Net.Inside().Dial(r.Ctx, "udp", AddrPort(client), AddrPort(server)); err != nil {
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
			e.Seen <- string(buf[:n])
			if _, err := pc.WriteTo(buf[:n], from); err != nil {
				return
			}
		}
	})
	r.Cleanup(func() { e.Conn.Close(); pc.Close(); wg.Wait() })
	return e
}

// Say sends a datagram and waits for its echo.
func (e *Echo) Say(text string) {
	e.Helper()
	if _, err := io.WriteString(e.Conn, text); err != nil {
		e.Fatal(err)
	}
	e.Conn.SetReadDeadline(time.Now().Add(Within))
	buf := make([]byte, 1500)
	n, err := e.Conn.Read(buf)
	if err != nil || string(buf[:n]) != text {
		e.Fatalf("the echo of %q is %q, %v", text, buf[:n], err)
	}
}
