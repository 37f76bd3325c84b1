package nfqueue

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/sluicefw/sluice/pktio"
)

const (
	defaultQueueLen = 8192
	defaultRcvBuf   = 32 << 20

	// grant is the remedy for a missing capability.
	grant = "run as root, or grant it with: setcap cap_net_admin,cap_net_raw+ep <program>"
)

// Driver is a set of NFQUEUE queues. It implements pktio.Driver.
type Driver struct {
	queues []*Queue
	kernel *kernelCounters // nil when procfs does not offer them
}

var _ pktio.Driver = (*Driver)(nil)

// Open binds the queues of the network namespace of the calling thread. The
// error, if any, says what to do about it.
func Open(o Options) (*Driver, error) {
	if len(o.Queues) == 0 {
		o.Queues = []uint16{0}
	}
	if o.QueueLen == 0 {
		o.QueueLen = defaultQueueLen
	}
	if o.RcvBuf == 0 {
		o.RcvBuf = defaultRcvBuf
	}
	if o.Mark == 0 {
		o.Mark = DefaultMark
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if err := checkQueues(o.Queues); err != nil {
		return nil, err
	}
	d := &Driver{}
	kernel, err := openKernelCounters()
	if err != nil {
		o.Logger.Warn("nfqueue: packets dropped by full queues will not be counted", "error", err)
	}
	d.kernel = kernel
	for _, num := range o.Queues {
		q, err := openQueue(num, &o)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		q.kernel = kernel
		d.queues = append(d.queues, q)
	}
	o.Logger.Info("nfqueue: listening", "queues", o.Queues, "fail_open", o.FailOpen, "queue_len", o.QueueLen, "gso", !o.NoGSO)
	return d, nil
}

// Queues implements pktio.Driver: one queue for each number of Options.Queues,
// in that order.
func (d *Driver) Queues() []pktio.Queue {
	queues := make([]pktio.Queue, len(d.queues))
	for i, q := range d.queues {
		queues[i] = q
	}
	return queues
}

// Stats returns the counters of all queues. It may be called from any goroutine.
func (d *Driver) Stats() []Stats {
	stats := make([]Stats, len(d.queues))
	for i, q := range d.queues {
		stats[i] = q.Stats()
	}
	return stats
}

// Close closes all queues. From then on the kernel drops the packets of their
// rules, unless those say --queue-bypass.
func (d *Driver) Close() error {
	var errs []error
	for _, q := range d.queues {
		errs = append(errs, q.Close())
	}
	if d.kernel != nil {
		d.kernel.close()
	}
	return errors.Join(errs...)
}

// openQueue binds one queue with the options, whose defaults are filled in.
func openQueue(num uint16, o *Options) (q *Queue, err error) {
	fd, err := openSocket(num, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err := bind(fd, num, o); err != nil {
		return nil, err
	}
	inject, err := openInjector(o.Mark)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			inject.close()
		}
	}()
	wakeFD, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("nfqueue: making an eventfd: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(wakeFD)
		}
	}()
	if err := start(fd, num); err != nil {
		return nil, err
	}
	q = newQueue(num, fd, wakeFD)
	q.inject = inject
	q.failOpen = o.FailOpen
	return q, nil
}

// openSocket opens a netlink socket that hears and addresses the kernel only.
func openSocket(num uint16, o *Options) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return -1, noModule(num, err)
	}
	if err != nil {
		return -1, fmt.Errorf("nfqueue: opening a netlink socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Bind(fd, kernel); err != nil {
		return -1, fmt.Errorf("nfqueue: binding a netlink socket: %w", err)
	}
	// A connected netlink socket refuses messages of any other sender.
	if err := unix.Connect(fd, kernel); err != nil {
		return -1, fmt.Errorf("nfqueue: connecting to the kernel: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, o.RcvBuf); err != nil {
		// Only CAP_NET_ADMIN may pass net.core.rmem_max. If it is missing, binding the queue says so.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, o.RcvBuf); err != nil {
			return -1, fmt.Errorf("nfqueue: setting the socket buffer of queue %d to %d bytes: %w", num, o.RcvBuf, err)
		}
	}
	// A full buffer loses packets either way; the error would only hide those that follow.
	if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 1); err != nil {
		return -1, fmt.Errorf("nfqueue: setting NETLINK_NO_ENOBUFS: %w", err)
	}
	return fd, nil
}

// bind binds the queue to the socket. It hands out nothing before start.
func bind(fd int, num uint16, o *Options) error {
	var flags uint32
	if o.FailOpen {
		flags |= flagFailOpen
	}
	if !o.NoGSO {
		flags |= flagGSO
	}
	b := appendHeader(nil, msgConfig, unix.NLM_F_ACK, num)
	b = appendAttr(b, cfgCmd, cmdBind, 0, 0, unix.AF_UNSPEC)
	b = appendAttr(b, cfgQueueLen, be32(o.QueueLen)...)
	b = appendAttr(b, cfgMask, be32(flagFailOpen|flagGSO)...)
	b = appendAttr(b, cfgFlags, be32(flags)...)
	if err := request(fd, finishMessage(b, 0)); err != nil {
		return explain(num, err)
	}
	return nil
}

// start asks for whole packets. They may come at once, so it asks for no
// acknowledgement, which could stand behind them. A refusal can only stand
// before them.
func start(fd int, num uint16) error {
	b := appendHeader(nil, msgConfig, 0, num)
	b = appendAttr(b, cfgParams, append(be32(copyRange), copyPacket)...)
	if _, err := unix.Write(fd, finishMessage(b, 0)); err != nil {
		return explain(num, err)
	}
	var first [256]byte
	n, _, err := unix.Recvfrom(fd, first[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	if err == nil {
		if m := parseMessage(first[:n]); m.kind == kindError {
			return explain(num, m.errno)
		}
	}
	return nil
}

// request sends a message and returns the kernel's answer to it. Netlink
// answers before the write returns, so there is nothing to wait for.
func request(fd int, b []byte) error {
	if _, err := unix.Write(fd, b); err != nil {
		return err
	}
	var answer [256]byte
	n, err := unix.Read(fd, answer[:])
	if err != nil {
		return err
	}
	switch m := parseMessage(answer[:n]); {
	case m.kind != kindError:
		return errors.New("the kernel's answer is no acknowledgement")
	case m.errno != 0:
		return m.errno
	}
	return nil
}

// explain says what a refusal to configure a queue means. The kernel answers
// EPERM for two very different reasons.
func explain(num uint16, err error) error {
	who, taken := owner(num)
	switch {
	case errors.Is(err, unix.EPERM) && !(capable(unix.CAP_NET_ADMIN) && taken):
		return fmt.Errorf("nfqueue: binding queue %d needs CAP_NET_ADMIN: %s: %w", num, grant, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EBUSY):
		return fmt.Errorf("nfqueue: queue %d is bound by another program already (%s): stop it or use another queue: %w", num, who, err)
	case errors.Is(err, unix.EINVAL):
		return noModule(num, err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("nfqueue: the kernel refuses the flags of queue %d: Linux 3.10 or newer is needed: %w", num, err)
	}
	return fmt.Errorf("nfqueue: binding queue %d: %w", num, err)
}

func noModule(num uint16, err error) error {
	return fmt.Errorf("nfqueue: binding queue %d needs the kernel module nfnetlink_queue: load it with modprobe nfnetlink_queue (CONFIG_NETFILTER_NETLINK_QUEUE): %w", num, err)
}

// capable reports whether this thread has the capability of that number.
func capable(bit uint) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&hdr, &data[0]) == nil && data[bit/32].Effective&(1<<(bit%32)) != 0
}
