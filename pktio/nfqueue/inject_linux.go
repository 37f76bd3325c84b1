package nfqueue

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// injector sends whole IP packets through raw sockets.
type injector struct {
	fd4, fd6 int // -1: not there
	addr4    unix.SockaddrInet4
	addr6    unix.SockaddrInet6
}

// openInjector opens the raw sockets. A kernel without IPv6 gets by with one.
func openInjector(mark uint32) (injector, error) {
	in := injector{fd4: -1, fd6: -1}
	var err error
	if in.fd4, err = rawSocket(unix.AF_INET, unix.IPPROTO_IP, unix.IP_HDRINCL, mark); err != nil {
		return in, err
	}
	in.fd6, err = rawSocket(unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, mark)
	if errors.Is(err, unix.EAFNOSUPPORT) {
		return in, nil
	}
	if err != nil {
		in.close()
	}
	return in, err
}

// rawSocket opens a socket on which the caller writes whole packets.
func rawSocket(family, level, headerIncluded int, mark uint32) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if errors.Is(err, unix.EPERM) {
		return -1, fmt.Errorf("nfqueue: injecting packets needs CAP_NET_RAW: %s: %w", grant, err)
	}
	if err != nil {
		return -1, fmt.Errorf("nfqueue: opening a raw socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, level, headerIncluded, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)),
		// Packets of protocol 255 arrive here and nobody reads them: keep few.
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0),
	)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("nfqueue: setting up a raw socket: %w", err)
	}
	return fd, nil
}

// send sends ip to its destination address. It never waits.
func (in *injector) send(ip []byte) error {
	var err error
	switch {
	case len(ip) >= 20 && ip[0]>>4 == 4 && in.fd4 >= 0:
		in.addr4.Addr = [4]byte(ip[16:20])
		err = unix.Sendto(in.fd4, ip, unix.MSG_DONTWAIT, &in.addr4)
	case len(ip) >= 40 && ip[0]>>4 == 6 && in.fd6 >= 0:
		in.addr6.Addr = [16]byte(ip[24:40])
		err = unix.Sendto(in.fd6, ip, unix.MSG_DONTWAIT, &in.addr6)
	default:
		err = errors.New("it is neither IPv4 nor IPv6, or this kernel lacks its protocol")
	}
	if err != nil {
		return fmt.Errorf("nfqueue: injecting a packet of %d bytes: %w", len(ip), err)
	}
	return nil
}

func (in *injector) close() {
	for _, fd := range []int{in.fd4, in.fd6} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
