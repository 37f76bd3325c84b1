package nfqueue

import (
	"io"
	"net"
	"testing"

	"github.com/sluicefw/sluice/internal/netns"
)

// BenchmarkForwardTCP sends one TCP stream through the gateway: forwarded by
// the kernel alone, and accepted packet by packet through one queue.
func BenchmarkForwardTCP(b *testing.B) {
	netns.Require(b, netns.NFQueue)
	for _, c := range []struct {
		name   string
		queued bool
		noGSO  bool
	}{{"kernel", false, false}, {"nfqueue", true, false}, {"nfqueue-nogso", true, true}} {
		b.Run(c.name, func(b *testing.B) {
			topo := netns.NewTopology(b)
			if c.queued {
				topo.Queue(0, 0, false)
				run(b, openIn(b, topo.Gateway, Options{NoGSO: c.noGSO}), accept)
			}
			l := topo.Server.Listen(net.JoinHostPort(netns.ServerIPv4, "0"))
			received := make(chan int64, 1)
			go func() {
				defer close(received)
				if conn, err := l.Accept(); err == nil {
					defer conn.Close()
					n, _ := io.Copy(io.Discard, conn)
					received <- n
				}
			}()
			conn, err := topo.Client.Dial(b.Context(), "tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			sent := int64(0)
			for b.Loop() {
				n, err := conn.Write(chunk)
				if err != nil {
					b.Fatal(err)
				}
				sent += int64(n)
			}
			conn.Close()
			if got := <-received; got != sent {
				b.Fatalf("%d bytes of %d arrived", got, sent)
			}
		})
	}
}
