package hosts

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// How long a client that lost its connection waits before it dials again: the
// first time and at most. The wait doubles with each failure in a row.
const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Client is one inside host that holds a connection to a server and dials again
// when it ends. All methods may be called from any goroutine.
type Client struct {
	hosts  *Hosts
	server Server
	rng    *rand.Rand // of the goroutine that runs
	status Status     // guarded by hosts.mu

	mu     sync.Mutex
	cancel context.CancelFunc // guarded by mu; nil while it does not run
	ended  chan struct{}      // guarded by mu; closed when the run has ended
}

// Status returns what the client knows now.
func (c *Client) Status() Status {
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	return c.status
}

// Start makes the client dial. It does nothing while the client runs, and after
// Hosts.Stop.
func (c *Client) Start() { c.start(0) }

// start is Start after a delay.
func (c *Client) start(delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil || c.hosts.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(c.hosts.ctx)
	ended := make(chan struct{})
	c.cancel, c.ended = cancel, ended
	go func() {
		defer close(ended)
		c.run(ctx, delay)
	}()
}

// Stop ends the connection and waits until the client does not run any more.
func (c *Client) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel == nil {
		return
	}
	c.cancel()
	<-c.ended
	c.cancel = nil
	c.hosts.update(c, func(s *Status) { s.enter(Stopped) })
}

// run dials until ctx is done.
func (c *Client) run(ctx context.Context, delay time.Duration) {
	backoff := firstBackoff
	for sleep(ctx, delay) {
		before := c.Status().Times[Live]
		c.attempt(ctx)
		if c.Status().Times[Live] > before {
			backoff = firstBackoff
		}
		delay = backoff/2 + c.random(backoff/2)
		backoff = min(2*backoff, lastBackoff)
	}
}

// sleep waits and reports whether ctx still runs.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// attempt makes one connection, holds it until it ends, and notes how it did,
// unless it ended because ctx is done.
func (c *Client) attempt(ctx context.Context) {
	c.hosts.update(c, func(s *Status) { s.enter(Connecting) })
	var err error
	if c.server.Kind == DNS {
		err = c.resolve(ctx)
	} else {
		err = c.converse(ctx)
	}
	if ctx.Err() == nil {
		c.hosts.update(c, func(s *Status) {
			s.Err = err
			s.enter(endState(err))
		})
	}
}

// received notes an answer of n bytes.
func (c *Client) received(n int) {
	c.hosts.update(c, func(s *Status) {
		s.Bytes += uint64(n)
		if s.State != Live {
			s.enter(Live)
		}
	})
}

// dial connects. The connection ends when ctx is done: see extend. Closing it is
// the caller's.
func (c *Client) dial(ctx context.Context, network string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.hosts.stall)
	defer cancel()
	local := netip.AddrPortFrom(c.Status().Local.Addr(), 0)
	conn, err := c.hosts.inside.Dial(ctx, network, local, c.server.Addr)
	if err != nil {
		return nil, err
	}
	switch a := conn.LocalAddr().(type) {
	case *net.TCPAddr:
		local = a.AddrPort()
	case *net.UDPAddr:
		local = a.AddrPort()
	}
	c.hosts.update(c, func(s *Status) { s.Local = local })
	return conn, nil
}

// extend gives conn d from now on for whatever comes next, or no time at all
// when ctx is done; with interrupt no time is left in either order of events.
func extend(ctx context.Context, conn net.Conn, d time.Duration) {
	conn.SetDeadline(time.Now().Add(d))
	if ctx.Err() != nil {
		conn.SetDeadline(time.Unix(1, 0))
	}
}

// interrupt ends what waits on conn when ctx is done.
func interrupt(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
}

// converse holds one TCP connection and returns why it ended.
func (c *Client) converse(ctx context.Context) error {
	conn, err := c.dial(ctx, "tcp")
	if err != nil {
		return err
	}
	defer conn.Close()
	defer interrupt(ctx, conn)()
	extend(ctx, conn, c.hosts.stall)
	switch c.server.Kind {
	case Download:
		return c.download(ctx, conn)
	case HTTP:
		return c.browse(ctx, conn)
	case TLS:
		secure := tls.Client(conn, &tls.Config{ServerName: c.server.Name, RootCAs: c.hosts.servers.roots})
		if err := secure.HandshakeContext(ctx); err != nil {
			return fmt.Errorf("hosts: TLS handshake with %s: %w", c.server.Name, err)
		}
		return c.chat(ctx, secure)
	}
	return c.chat(ctx, conn)
}

// get sends one request and reads the header of the response.
func (c *Client) get(conn net.Conn, r *bufio.Reader, path string) (*http.Response, error) {
	// Not net/http's client: that one dials again by itself after a reset, and
	// the reset is what has to be seen.
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n", path, c.server.Name, c.Status().Name)
	if err != nil {
		return nil, err
	}
	return http.ReadResponse(r, nil)
}

// download reads a response without end.
func (c *Client) download(ctx context.Context, conn net.Conn) error {
	response, err := c.get(conn, bufio.NewReader(conn), "/download")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	buf := make([]byte, 4<<10)
	for {
		extend(ctx, conn, c.hosts.stall)
		n, err := response.Body.Read(buf)
		if n > 0 {
			c.received(n)
		}
		if err != nil {
			return err
		}
	}
}

// browse sends small requests.
func (c *Client) browse(ctx context.Context, conn net.Conn) error {
	r := bufio.NewReader(conn)
	for page := 1; ; page++ {
		extend(ctx, conn, c.hosts.stall)
		response, err := c.get(conn, r, fmt.Sprintf("/page/%d", page))
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		c.received(int(n))
		if err := c.idle(ctx, conn, r); err != nil {
			return err
		}
	}
}

// chat sends lines and reads them back.
func (c *Client) chat(ctx context.Context, conn net.Conn) error {
	r := bufio.NewReader(conn)
	for line := 1; ; line++ {
		extend(ctx, conn, c.hosts.stall)
		if _, err := fmt.Fprintf(conn, "%s line %d\n", c.server.Name, line); err != nil {
			return err
		}
		echo, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		c.received(len(echo))
		if err := c.idle(ctx, conn, r); err != nil {
			return err
		}
	}
}

// pause returns how long the user thinks.
func (c *Client) pause() time.Duration {
	return 300*time.Millisecond + c.random(1700*time.Millisecond)
}

// random returns a duration from 0 to below end.
func (c *Client) random(end time.Duration) time.Duration {
	return time.Duration(c.rng.Int64N(int64(end)))
}

// idle is a pause that ends with an error when the connection does.
func (c *Client) idle(ctx context.Context, conn net.Conn, r *bufio.Reader) error {
	extend(ctx, conn, c.pause())
	_, err := r.Peek(1)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	if err == nil {
		err = errors.New("hosts: an answer that nobody asked for")
	}
	return err
}

// resolve sends queries, each from a port of its own as resolvers do (RFC 5452,
// 9.2), and returns why one had no answer.
func (c *Client) resolve(ctx context.Context) error {
	names := Servers()
	for {
		if err := c.query(ctx, names[c.rng.IntN(len(names))]); err != nil {
			return err
		}
		if !sleep(ctx, c.pause()) {
			return ctx.Err()
		}
	}
}

// query asks for the address of target.
func (c *Client) query(ctx context.Context, target Server) error {
	conn, err := c.dial(ctx, "udp")
	if err != nil {
		return err
	}
	defer conn.Close()
	defer interrupt(ctx, conn)()
	extend(ctx, conn, c.hosts.stall)

	id := uint16(c.rng.Uint32())
	question := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(target.Name + "."), Type: recordType(target), Class: dnsmessage.ClassINET}},
	}
	buf, err := question.Pack()
	if err != nil {
		return fmt.Errorf("hosts: pack a DNS query: %w", err)
	}
	if _, err := conn.Write(buf); err != nil {
		return err
	}
	buf = make([]byte, maxDNS)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	var answer dnsmessage.Message
	if err := answer.Unpack(buf[:n]); err != nil {
		return fmt.Errorf("hosts: unpack a DNS answer: %w", err)
	}
	if answer.ID != id || !answer.Response || len(answer.Answers) != 1 {
		return fmt.Errorf("hosts: DNS answer for %s does not fit: %v", target.Name, answer.GoString())
	}
	c.received(n)
	return nil
}
