// Package hosts fills the two networks of pktio/netstack with traffic: servers
// outside and clients inside that hold long downloads, chatty sessions, HTTP,
// TLS and DNS, and notice what a firewall does to them. The demonstration shows
// it, and tests wait for it.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sluicefw/sluice/pktio/netstack"
)

// Kind is what a client and its server speak.
type Kind string

// The kinds of traffic.
const (
	Download Kind = "download" // HTTP: one response without end, throttled
	Chatty   Kind = "chatty"   // TCP: a line and its echo every 0.3 to 2 s
	HTTP     Kind = "http"     // HTTP: small requests on one connection, as often
	TLS      Kind = "tls"      // TLS with SNI: as Chatty, encrypted
	DNS      Kind = "dns"      // UDP: a query from a fresh port, as often
)

// Server is one outside host.
type Server struct {
	Kind Kind
	Name string // its DNS name: the Host of HTTP, the SNI of TLS
	Addr netip.AddrPort
}

// Servers returns the servers that Start starts: names set aside by RFC 2606, at
// addresses of netstack.DefaultOutside.
func Servers() []Server {
	return []Server{
		{Download, "downloads.example.com", netip.MustParseAddrPort("192.0.2.10:80")},
		{Download, "mirror.example.org", netip.MustParseAddrPort("[2001:db8::10]:80")},
		{Chatty, "shell.example.com", netip.MustParseAddrPort("198.51.100.22:2222")},
		{Chatty, "shell.example.org", netip.MustParseAddrPort("[2001:db8::22]:2222")},
		{HTTP, "www.example.com", netip.MustParseAddrPort("192.0.2.80:80")},
		{HTTP, "api.example.com", netip.MustParseAddrPort("192.0.2.81:80")},
		{HTTP, "static.example.net", netip.MustParseAddrPort("198.51.100.80:80")},
		{HTTP, "www.example.org", netip.MustParseAddrPort("[2001:db8::80]:80")},
		{TLS, "login.example.com", netip.MustParseAddrPort("203.0.113.43:443")},
		{TLS, "mail.example.net", netip.MustParseAddrPort("203.0.113.44:443")},
		{TLS, "chat.example.net", netip.MustParseAddrPort("203.0.113.45:443")},
		{TLS, "login.example.org", netip.MustParseAddrPort("[2001:db8::43]:443")},
		{DNS, "ns1.example.com", netip.MustParseAddrPort("203.0.113.53:53")},
		{DNS, "ns2.example.org", netip.MustParseAddrPort("[2001:db8::53]:53")},
	}
}

// Options configures Start.
type Options struct {
	// How many clients of each kind. They take the servers of their kind in
	// turn and are named by kind and number: "download-1", "download-2".
	Downloads, Chatty, HTTP, TLS, DNS int

	// Rate is how fast each download comes, in bytes a second; 0 means 32 KiB.
	Rate int

	// Stall is how long a client waits for the server before it calls the
	// connection stalled and gives it up; 0 means 5 s.
	Stall time.Duration

	// Seed makes names, pauses and backoffs the same in every run.
	Seed uint64
}

// ramp is the time over which the clients start, so that they do not all speak
// at once.
const ramp = 500 * time.Millisecond

// Hosts is running servers and clients. All methods may be called from any
// goroutine.
type Hosts struct {
	inside  *netstack.Side
	servers *servers
	stall   time.Duration
	seed    uint64

	ctx    context.Context // ends everything
	cancel context.CancelFunc

	mu      sync.Mutex
	changed chan struct{} // guarded by mu: closed at the next change; nil when nobody waits
	clients []*Client     // guarded by mu, as are their status fields
	made    int           // guarded by mu: clients made so far, by Try too
	stopped bool          // guarded by mu
}

// Start starts the servers outside and the clients inside of n, which must have
// the default networks. They run until Stop, or until ctx is done.
func Start(ctx context.Context, n *netstack.Net, o Options) (*Hosts, error) {
	if o.Rate <= 0 {
		o.Rate = 32 << 10
	}
	if o.Stall <= 0 {
		o.Stall = 5 * time.Second
	}
	h := &Hosts{inside: n.Inside(), stall: o.Stall, seed: o.Seed}
	h.ctx, h.cancel = context.WithCancel(ctx)
	var err error
	if h.servers, err = startServers(h.ctx, n.Outside(), o.Rate); err != nil {
		h.cancel()
		return nil, err
	}
	for _, group := range []struct {
		kind  Kind
		count int
	}{{Download, o.Downloads}, {Chatty, o.Chatty}, {HTTP, o.HTTP}, {TLS, o.TLS}, {DNS, o.DNS}} {
		servers := slices.DeleteFunc(Servers(), func(s Server) bool { return s.Kind != group.kind })
		for i := range group.count {
			c, err := h.Add(fmt.Sprintf("%s-%d", group.kind, i+1), servers[i%len(servers)])
			if err != nil {
				h.Stop()
				return nil, err
			}
			c.start(c.random(ramp))
		}
	}
	return h, nil
}

// Stop ends all clients, then all servers, and waits for them.
func (h *Hosts) Stop() {
	h.mu.Lock()
	h.stopped = true
	clients := slices.Clone(h.clients)
	h.mu.Unlock()
	h.cancel()
	for _, c := range clients {
		c.Stop()
	}
	h.servers.wait()
}

// Add makes a client of server that does not run yet. Its name must be new.
func (h *Hosts) Add(name string, server Server) (*Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, errStopped
	}
	if slices.ContainsFunc(h.clients, func(c *Client) bool { return c.status.Name == name }) {
		return nil, fmt.Errorf("hosts: there is a client %q already: use another name", name)
	}
	c := h.newClientLocked(name, server)
	h.clients = append(h.clients, c)
	return c, nil
}

var errStopped = errors.New("hosts: stopped")

// newClientLocked makes a client at an inside address of its own. It needs mu.
func (h *Hosts) newClientLocked(name string, server Server) *Client {
	i := h.made
	h.made++
	// 250 hosts a network: 10.0.1.1 to 10.0.1.250, 10.0.2.1 and so on, or
	// fd00::1:1 and so on.
	network, host := byte(1+i/250), byte(1+i%250)
	local := netip.AddrFrom4([4]byte{10, 0, network, host})
	if server.Addr.Addr().Is6() {
		local = netip.AddrFrom16([16]byte{0: 0xfd, 13: network, 15: host})
	}
	return &Client{
		hosts:  h,
		server: server,
		rng:    rand.New(rand.NewPCG(h.seed, uint64(i))),
		status: Status{
			Name: name, Kind: server.Kind, Host: server.Name,
			Local: netip.AddrPortFrom(local, 0), Remote: server.Addr, Since: time.Now(),
		},
	}
}

// Try makes one connection to server from a new inside address, waits until it
// is decided, ends it, and returns its last status: Live when the server
// answered, else Reset, Refused, Stalled or Closed.
func (h *Hosts) Try(ctx context.Context, server Server) (Status, error) {
	h.mu.Lock()
	if h.stopped {
		h.mu.Unlock()
		return Status{}, errStopped
	}
	c := h.newClientLocked("try", server)
	h.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.attempt(ctx)
	}()
	var last Status
	err := h.Wait(ctx, func(Snapshot) bool {
		last = c.Status()
		return last.State != Connecting && last.State != Stopped
	})
	cancel()
	<-ended
	return last, err
}

// Client returns the client of that name, or nil.
func (h *Hosts) Client(name string) *Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.IndexFunc(h.clients, func(c *Client) bool { return c.status.Name == name }); i >= 0 {
		return h.clients[i]
	}
	return nil
}

// Snapshot returns the status of every client, in the order they were added.
func (h *Hosts) Snapshot() Snapshot {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := make(Snapshot, len(h.clients))
	for i, c := range h.clients {
		s[i] = c.status
	}
	return s
}

// Wait returns when ok holds, or an error when ctx is done before. It calls ok
// at once and after changes of any client, several of which it may see as one:
// a passing state is best asked for by Status.Times.
func (h *Hosts) Wait(ctx context.Context, ok func(Snapshot) bool) error {
	for {
		h.mu.Lock()
		if h.changed == nil {
			h.changed = make(chan struct{})
		}
		changed := h.changed
		h.mu.Unlock()
		if ok(h.Snapshot()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("hosts: wait for clients: %w", context.Cause(ctx))
		}
	}
}

// update changes a client's status and tells those who wait.
func (h *Hosts) update(c *Client, change func(*Status)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&c.status)
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}
