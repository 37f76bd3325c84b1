// Package netstack is a pktio driver whose networks live in memory: an inside
// and an outside one, each a whole TCP/IP stack (gVisor's), with the engine as
// the only way between them. It needs no privileges and touches no interface of
// the machine, so tests and demonstrations send real TCP through a real engine.
//
//	inside stack  --\                        /-->  outside stack
//	                 +-->  queue, engine  --+
//	outside stack --/                        \-->  inside stack
//
// A packet that a host sends comes out of ReadBatch; Accept delivers it to the
// other side, Drop discards it. Checksums are real in both directions: the
// sender computes them and the receiver verifies them.
package netstack

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/sluicefw/sluice/pktio"
)

// MTU is the largest IP packet in bytes that either network carries, that of
// Ethernet.
const MTU = 1500

// defaultQueueLen holds the windows of a few bulk transfers at once.
const defaultQueueLen = 2048

// socketBuffer sizes the TCP buffers of every connection, in bytes. They are
// Linux's order of magnitude and fill a queue only when many transfers do so
// together.
var socketBuffer = struct{ Min, Default, Max int }{4 << 10, 256 << 10, 1 << 20}

// Options configures New. The zero value works.
type Options struct {
	// Queues is how many queues the packets are spread over; 0 means 1.
	Queues int

	// QueueLen is how many packets a queue holds, those of the batch being
	// judged included; what comes while it is full is lost, and counted by
	// Lost. 0 means 2048.
	QueueLen int

	// Inside and Outside are the addresses of the two networks. Each may be
	// used without configuring it first; every one refuses TCP and UDP where
	// nobody listens, and those in use answer pings. A packet to an address
	// that its receiving side does not have goes nowhere. Empty means
	// DefaultInside and DefaultOutside.
	Inside, Outside []netip.Prefix
}

// DefaultInside returns private networks: 10.0.0.0/8 (RFC 1918) and fd00::/8
// (RFC 4193).
func DefaultInside() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
}

// DefaultOutside returns the networks set aside for documentation: TEST-NET-1
// to -3 (RFC 5737) and 2001:db8::/32 (RFC 3849).
func DefaultOutside() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
	}
}

// Net is the two networks and the queues between them. It implements
// pktio.Driver; each queue also implements pktio.Dropper.
type Net struct {
	queues []*queue
	sides  [2]*Side // by side number
}

var _ pktio.Driver = (*Net)(nil)

// New makes both networks. Close must be called to end them.
func New(o Options) (*Net, error) {
	if o.Queues < 0 || o.QueueLen < 0 {
		return nil, errors.New("netstack: Queues and QueueLen must not be negative")
	}
	if o.Queues == 0 {
		o.Queues = 1
	}
	if o.QueueLen == 0 {
		o.QueueLen = defaultQueueLen
	}
	if len(o.Inside) == 0 {
		o.Inside = DefaultInside()
	}
	if len(o.Outside) == 0 {
		o.Outside = DefaultOutside()
	}
	for _, in := range o.Inside {
		if i := slices.IndexFunc(o.Outside, in.Overlaps); i >= 0 {
			return nil, fmt.Errorf("netstack: %v is inside and %v outside: give the sides addresses of their own", in, o.Outside[i])
		}
	}

	n := &Net{queues: make([]*queue, o.Queues)}
	for i := range n.queues {
		n.queues[i] = newQueue(n, o.QueueLen)
	}
	for i, prefixes := range [][]netip.Prefix{inside: o.Inside, outside: o.Outside} {
		s, err := newSide(n, uint8(i), prefixes)
		if err != nil {
			return nil, errors.Join(err, n.Close())
		}
		n.sides[i] = s
	}
	return n, nil
}

// Inside returns the network whose hosts the firewall protects.
func (n *Net) Inside() *Side { return n.sides[inside] }

// Outside returns the network on the other side of the firewall.
func (n *Net) Outside() *Side { return n.sides[outside] }

// Queues implements pktio.Driver.
func (n *Net) Queues() []pktio.Queue {
	qs := make([]pktio.Queue, len(n.queues))
	for i, q := range n.queues {
		qs[i] = q
	}
	return qs
}

// Close ends the queues, resets every connection of both networks and waits
// until their goroutines are gone. Connections and listeners that are still in
// use fail from then on.
func (n *Net) Close() error {
	for _, q := range n.queues {
		q.Close()
	}
	for _, s := range n.sides {
		if s != nil {
			s.stack.Destroy()
		}
	}
	return nil
}

// newStack makes the TCP/IP stack of one side, with link as its only interface.
func newStack(link stack.LinkEndpoint) (*stack.Stack, error) {
	s := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{
			tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6,
		},
	})
	configure := func() tcpip.Error {
		sack := tcpip.TCPSACKEnabled(true)
		moderate := tcpip.TCPModerateReceiveBufferOption(true)
		send := tcpip.TCPSendBufferSizeRangeOption(socketBuffer)
		receive := tcpip.TCPReceiveBufferSizeRangeOption(socketBuffer)
		for _, option := range []tcpip.SettableTransportProtocolOption{&sack, &moderate, &send, &receive} {
			if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
				return err
			}
		}
		if err := s.CreateNIC(nicID, link); err != nil {
			return err
		}
		// Every address of the prefixes is a host: receive for all of them,
		// and send from all of them.
		if err := s.SetPromiscuousMode(nicID, true); err != nil {
			return err
		}
		return s.SetSpoofing(nicID, true)
	}
	if err := configure(); err != nil {
		s.Destroy()
		return nil, fmt.Errorf("netstack: set up a TCP/IP stack: %v", err)
	}
	s.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nicID},
		{Destination: header.IPv6EmptySubnet, NIC: nicID},
	})
	return s, nil
}
