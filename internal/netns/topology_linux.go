package netns

import (
	"fmt"
	"testing"
)

// Addresses of the hosts of Topology.
const (
	ClientIPv4 = "10.77.1.2"
	ClientIPv6 = "fd77:1::2"
	ServerIPv4 = "10.77.2.2"
	ServerIPv6 = "fd77:2::2"
)

// Topology is a client and a server that meet through a gateway:
//
//	client                    gateway                     server
//	+--------+         +------------------+         +--------+
//	|   gw0  |---------| client0  server0 |---------|  gw0   |
//	+--------+         +------------------+         +--------+
//	10.77.1.2/24   10.77.1.1/24   10.77.2.1/24   10.77.2.2/24
//	fd77:1::2/64   fd77:1::1/64   fd77:2::1/64   fd77:2::2/64
//
// The gateway forwards both protocols and has no rules until the test asks.
type Topology struct {
	Client, Gateway, Server *NS
}

// NewTopology builds the three hosts, removed when tb ends.
func NewTopology(tb testing.TB) *Topology {
	tb.Helper()
	t := &Topology{New(tb, "client"), New(tb, "gateway"), New(tb, "server")}
	Link(t.Client, "gw0", []string{ClientIPv4 + "/24", ClientIPv6 + "/64"},
		t.Gateway, "client0", []string{"10.77.1.1/24", "fd77:1::1/64"})
	Link(t.Server, "gw0", []string{ServerIPv4 + "/24", ServerIPv6 + "/64"},
		t.Gateway, "server0", []string{"10.77.2.1/24", "fd77:2::1/64"})
	t.Gateway.Sysctl("net.ipv4.ip_forward", "1")
	t.Gateway.Sysctl("net.ipv6.conf.all.forwarding", "1")
	t.Client.IP("route", "add", "default", "via", "10.77.1.1")
	t.Client.IP("-6", "route", "add", "default", "via", "fd77:1::1")
	t.Server.IP("route", "add", "default", "via", "10.77.2.1")
	t.Server.IP("-6", "route", "add", "default", "via", "fd77:2::1")
	t.Client.WaitUp("gw0")
	t.Gateway.WaitUp("client0", "server0")
	t.Server.WaitUp("gw0")
	return t
}

// Queue makes the gateway hand every packet that it forwards to the NFQUEUE
// queues first to last. With bypass the packets pass while no program listens
// on their queue; without it they are dropped.
func (t *Topology) Queue(first, last uint16, bypass bool) {
	t.Gateway.tb.Helper()
	for _, tool := range []string{"iptables", "ip6tables"} {
		args := []string{"-w", "-A", "FORWARD", "-j", "NFQUEUE"}
		if first == last {
			args = append(args, "--queue-num", fmt.Sprint(first))
		} else {
			args = append(args, "--queue-balance", fmt.Sprintf("%d:%d", first, last))
		}
		if bypass {
			args = append(args, "--queue-bypass")
		}
		t.Gateway.Run(tool, args...)
	}
}
