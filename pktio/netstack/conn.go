package netstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Dial connects from local, an address of s, to remote; port 0 of local lets
// the stack choose. network is "tcp", "udp" or "icmp". Closing the connection is
// the caller's.
//
// Over "icmp" one Write sends one ICMP or ICMPv6 echo request, header and data,
// and one Read returns one reply. The port of local is the echo identifier,
// remote's is ignored, and the stack fills in identifier and checksum.
//
// Errors of the connection unwrap to the syscall.Errno that a socket would
// give, such as ECONNRESET, and to os.ErrDeadlineExceeded.
func (s *Side) Dial(ctx context.Context, network string, local, remote netip.AddrPort) (net.Conn, error) {
	if err := s.occupy(local.Addr()); err != nil {
		return nil, fmt.Errorf("netstack: dial %s %v: %w", network, remote, err)
	}
	laddr, raddr, protocol := fullAddress(local), fullAddress(remote), protocolOf(remote.Addr())
	switch network {
	case "tcp":
		c, err := gonet.DialTCPWithBind(ctx, s.stack, laddr, raddr, protocol)
		if err != nil {
			return nil, fmt.Errorf("netstack: dial tcp %v from %v: %w", remote, local, socketError(err))
		}
		return tcpConn{c}, nil
	case "udp":
		c, err := gonet.DialUDP(s.stack, &laddr, &raddr, protocol)
		if err != nil {
			return nil, fmt.Errorf("netstack: dial udp %v from %v: %w", remote, local, socketError(err))
		}
		return udpConn{c}, nil
	case "icmp":
		return s.dialICMP(laddr, raddr, protocol)
	}
	return nil, fmt.Errorf(`netstack: dial %s %v: network must be "tcp", "udp" or "icmp"`, network, remote)
}

func (s *Side) dialICMP(local, remote tcpip.FullAddress, protocol tcpip.NetworkProtocolNumber) (net.Conn, error) {
	transport := icmp.ProtocolNumber4
	if protocol == header.IPv6ProtocolNumber {
		transport = icmp.ProtocolNumber6
	}
	var wq waiter.Queue
	ep, err := s.stack.NewEndpoint(transport, protocol, &wq)
	if err != nil {
		return nil, fmt.Errorf("netstack: dial icmp %v: %v", remote.Addr, err)
	}
	remote.Port = 0
	if err = ep.Bind(local); err == nil {
		err = ep.Connect(remote)
	}
	if err != nil {
		ep.Close()
		return nil, fmt.Errorf("netstack: dial icmp %v: %v", remote.Addr, err)
	}
	return udpConn{gonet.NewUDPConn(&wq, ep)}, nil
}

// Listen accepts TCP connections at addr, an address of s, or, when it is
// unspecified (0.0.0.0 or ::), at every address of its family. network is
// "tcp". After Close a waiting Accept fails with net.ErrClosed.
func (s *Side) Listen(network string, addr netip.AddrPort) (net.Listener, error) {
	if network != "tcp" {
		return nil, fmt.Errorf(`netstack: listen %s %v: network must be "tcp"`, network, addr)
	}
	full := fullAddress(addr)
	if addr.Addr().IsUnspecified() {
		full.Addr = tcpip.Address{}
	} else if err := s.occupy(addr.Addr()); err != nil {
		return nil, fmt.Errorf("netstack: listen %s %v: %w", network, addr, err)
	}
	l, err := gonet.ListenTCP(s.stack, full, protocolOf(addr.Addr()))
	if err != nil {
		return nil, fmt.Errorf("netstack: listen %s %v: %w", network, addr, socketError(err))
	}
	return listener{l}, nil
}

// ListenPacket receives and sends datagrams at addr, an address of s. network
// is "udp".
func (s *Side) ListenPacket(network string, addr netip.AddrPort) (net.PacketConn, error) {
	if network != "udp" {
		return nil, fmt.Errorf(`netstack: listen %s %v: network must be "udp"`, network, addr)
	}
	if err := s.occupy(addr.Addr()); err != nil {
		return nil, fmt.Errorf("netstack: listen %s %v: %w", network, addr, err)
	}
	full := fullAddress(addr)
	c, err := gonet.DialUDP(s.stack, &full, nil, protocolOf(addr.Addr()))
	if err != nil {
		return nil, fmt.Errorf("netstack: listen %s %v: %w", network, addr, socketError(err))
	}
	return udpConn{c}, nil
}

// occupy makes a host at a, unless there is one. Without it the stack would still
// speak TCP and UDP there, but not answer pings.
func (s *Side) occupy(a netip.Addr) error {
	if !s.contains(a) {
		return fmt.Errorf("%v is not an address of the %v side: use one of %v", a, s, s.prefixes)
	}
	err := s.stack.AddProtocolAddress(nicID, tcpip.ProtocolAddress{
		Protocol:          protocolOf(a),
		AddressWithPrefix: tcpip.AddrFromSlice(a.AsSlice()).WithPrefix(),
	}, stack.AddressProperties{})
	if _, exists := err.(*tcpip.ErrDuplicateAddress); err != nil && !exists {
		return fmt.Errorf("add the address %v: %v", a, err)
	}
	return nil
}

func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nicID, Addr: tcpip.AddrFromSlice(a.Addr().AsSlice()), Port: a.Port()}
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

// errnos has the socket error for each error text of the stack: its Go adapter
// hands on only the text.
var errnos = map[string]syscall.Errno{
	(&tcpip.ErrConnectionReset{}).String():    syscall.ECONNRESET,
	(&tcpip.ErrConnectionRefused{}).String():  syscall.ECONNREFUSED,
	(&tcpip.ErrConnectionAborted{}).String():  syscall.ECONNABORTED,
	(&tcpip.ErrTimeout{}).String():            syscall.ETIMEDOUT,
	(&tcpip.ErrHostUnreachable{}).String():    syscall.EHOSTUNREACH,
	(&tcpip.ErrNetworkUnreachable{}).String(): syscall.ENETUNREACH,
	(&tcpip.ErrClosedForSend{}).String():      syscall.EPIPE,
	(&tcpip.ErrPortInUse{}).String():          syscall.EADDRINUSE,
	(&tcpip.ErrNoPortAvailable{}).String():    syscall.EADDRNOTAVAIL,
	(&tcpip.ErrMessageTooLong{}).String():     syscall.EMSGSIZE,
}

// socketError replaces the cause in err by the one that a socket would give.
func socketError(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return err
	}
	if errno, ok := errnos[op.Err.Error()]; ok {
		op.Err = errno
	} else if op.Timeout() {
		op.Err = os.ErrDeadlineExceeded
	}
	return err
}

// tcpConn is a TCP connection with socket errors.
type tcpConn struct{ *gonet.TCPConn }

// Read implements net.Conn.
func (c tcpConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	return n, socketError(err)
}

// Write implements net.Conn.
func (c tcpConn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	return n, socketError(err)
}

// listener is a TCP listener whose Close ends a waiting Accept.
type listener struct{ *gonet.TCPListener }

// Accept implements net.Listener. The stack says nothing but that the listener
// is closed.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
	return tcpConn{c.(*gonet.TCPConn)}, nil
}

// Close implements net.Listener.
func (l listener) Close() error {
	l.Shutdown()
	return l.TCPListener.Close()
}

// udpConn is a UDP or ICMP socket with socket errors.
type udpConn struct{ *gonet.UDPConn }

// Read implements net.Conn.
func (c udpConn) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	return n, socketError(err)
}

// ReadFrom implements net.PacketConn.
func (c udpConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.UDPConn.ReadFrom(b)
	return n, addr, socketError(err)
}

// Write implements net.Conn.
func (c udpConn) Write(b []byte) (int, error) {
	n, err := c.UDPConn.Write(b)
	return n, socketError(err)
}

// WriteTo implements net.PacketConn. addr is a *net.UDPAddr of the socket's
// family.
func (c udpConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, &net.OpError{Op: "write", Net: "udp", Addr: addr, Err: net.InvalidAddrError("not a *net.UDPAddr")}
	}
	ap := to.AddrPort()
	n, err := c.UDPConn.WriteTo(b, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())))
	return n, socketError(err)
}
