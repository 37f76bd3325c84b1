package netstack

import (
	"net/netip"
	"slices"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// The sides, as they stand in a packet's Cookie.
const (
	inside  = 0
	outside = 1
)

// other returns the side opposite to the one that cookie names.
func other(cookie uint64) uint8 { return uint8(cookie&1) ^ 1 }

// nicID is the only interface of each stack.
const nicID = 1

// Side is one of the two networks: a host at every address of its prefixes. All
// methods may be called from any goroutine.
type Side struct {
	number   uint8
	prefixes []netip.Prefix
	stack    *stack.Stack
	link     *link
}

func newSide(n *Net, number uint8, prefixes []netip.Prefix) (*Side, error) {
	l := &link{net: n, side: number}
	s, err := newStack(l)
	if err != nil {
		return nil, err
	}
	return &Side{number: number, prefixes: slices.Clone(prefixes), stack: s, link: l}, nil
}

// String returns "inside" or "outside".
func (s *Side) String() string {
	if s.number == inside {
		return "inside"
	}
	return "outside"
}

// contains reports whether a is an address of s.
func (s *Side) contains(a netip.Addr) bool {
	for _, p := range s.prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// deliver hands a copy of an IP packet to the stack. It reports false when the
// packet has no destination here.
func (s *Side) deliver(ip []byte) bool {
	var protocol tcpip.NetworkProtocolNumber
	var dst netip.Addr
	switch {
	case header.IPVersion(ip) == header.IPv4Version && len(ip) >= header.IPv4MinimumSize:
		protocol, dst = header.IPv4ProtocolNumber, netip.AddrFrom4([4]byte(ip[16:]))
	case header.IPVersion(ip) == header.IPv6Version && len(ip) >= header.IPv6MinimumSize:
		protocol, dst = header.IPv6ProtocolNumber, netip.AddrFrom16([16]byte(ip[24:]))
	}
	if !s.contains(dst) {
		return false
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{
		Payload: buffer.MakeWithView(buffer.NewViewWithData(ip)),
	})
	s.link.receive(protocol, pkt)
	pkt.DecRef()
	return true
}

// link is the interface between a stack and the queues: raw IP, no link header.
type link struct {
	net  *Net
	side uint8

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher // guarded by mu; nil once the stack has gone
}

var (
	_ stack.LinkEndpoint = (*link)(nil)
	_ stack.GSOEndpoint  = (*link)(nil)
)

// receive hands pkt up to the stack.
func (l *link) receive(protocol tcpip.NetworkProtocolNumber, pkt *stack.PacketBuffer) {
	l.mu.RLock()
	d := l.dispatcher
	l.mu.RUnlock()
	if d != nil {
		d.DeliverNetworkPacket(protocol, pkt)
	}
}

// WritePackets implements stack.LinkWriter. As on a wire, the sender does not
// learn of a packet that a full queue lost.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		i := spread(pkt.NetworkHeader().Slice(), pkt.TransportHeader().Slice(), len(l.net.queues))
		l.net.queues[i].push(l.side, pkt)
	}
	return pkts.Len(), nil
}

// Attach implements stack.NetworkLinkEndpoint.
func (l *link) Attach(d stack.NetworkDispatcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dispatcher = d
}

// IsAttached implements stack.NetworkLinkEndpoint.
func (l *link) IsAttached() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.dispatcher != nil
}

// MTU implements stack.NetworkLinkEndpoint.
func (*link) MTU() uint32 { return MTU }

// SetMTU implements stack.NetworkLinkEndpoint; the MTU is fixed.
func (*link) SetMTU(uint32) {}

// MaxHeaderLength implements stack.NetworkLinkEndpoint.
func (*link) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.NetworkLinkEndpoint; raw IP has none.
func (*link) LinkAddress() tcpip.LinkAddress { return "" }

// SetLinkAddress implements stack.NetworkLinkEndpoint.
func (*link) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities implements stack.NetworkLinkEndpoint: no offload, so that the
// stack computes and verifies every checksum.
func (*link) Capabilities() stack.LinkEndpointCapabilities { return 0 }

// GSOMaxSize implements stack.GSOEndpoint, in bytes.
func (*link) GSOMaxSize() uint32 { return stack.GVisorGSOMaxSize }

// SupportedGSO implements stack.GSOEndpoint: TCP works on large segments and
// the stack cuts them to the MTU before they come here.
func (*link) SupportedGSO() stack.SupportedGSO { return stack.GVisorGSOSupported }

// ARPHardwareType implements stack.NetworkLinkEndpoint.
func (*link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }

// AddHeader implements stack.NetworkLinkEndpoint.
func (*link) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.NetworkLinkEndpoint.
func (*link) ParseHeader(*stack.PacketBuffer) bool { return true }

// Wait implements stack.NetworkLinkEndpoint; a link has no goroutines.
func (*link) Wait() {}

// Close implements stack.NetworkLinkEndpoint.
func (*link) Close() {}

// SetOnCloseAction implements stack.NetworkLinkEndpoint.
func (*link) SetOnCloseAction(func()) {}
