package netstack

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// within bounds every test; nothing waits that long unless it fails.
const within = 20 * time.Second

// judge decides one packet; it runs on the goroutine that owns q.
type judge func(q pktio.Queue, p *pktio.Packet) pktio.Verdict

func acceptAll(pktio.Queue, *pktio.Packet) pktio.Verdict { return pktio.Accept }

// open makes a Net whose queues are served by j until the test ends.
func open(t testing.TB, o Options, j judge) *Net {
	t.Helper()
	n, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, q := range n.Queues() {
		wg.Go(func() { serve(t, q, j) })
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
	return n
}

func serve(t testing.TB, q pktio.Queue, j judge) {
	batch := make([]pktio.Packet, 64)
	for {
		n, err := q.ReadBatch(batch, -1)
		if err != nil {
			if !errors.Is(err, pktio.ErrClosed) {
				t.Errorf("ReadBatch: %v", err)
			}
			return
		}
		for i := range batch[:n] {
			batch[i].Verdict = j(q, &batch[i])
		}
		if err := q.Verdicts(batch[:n]); err != nil {
			t.Errorf("Verdicts: %v", err)
		}
	}
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, s *Side, network, local, remote string) net.Conn {
	t.Helper()
	c, err := s.Dial(deadline(t), network, addr(local), addr(remote))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(within))
	t.Cleanup(func() { c.Close() })
	return c
}

// echo serves at address, returning every byte, until the test ends. It sends
// how each connection ended.
func echo(t testing.TB, s *Side, address string) <-chan error {
	t.Helper()
	l, err := s.Listen("tcp", addr(address))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1000) // more than any test dials
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept: %v", err)
				}
				return
			}
			c.SetDeadline(time.Now().Add(within))
			wg.Go(func() {
				_, err := io.Copy(c, c)
				c.Close()
				ended <- err
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return ended
}

func roundTrip(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != text {
		t.Fatalf("echoed %q, want %q", got, text)
	}
}

func TestHTTP(t *testing.T) {
	for _, tc := range []struct{ name, client, server string }{
		{"IPv4", "10.0.0.1:0", "192.0.2.80:80"},
		{"IPv6", "[fd00::1]:0", "[2001:db8::80]:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := open(t, Options{Queues: 2}, acceptAll)
			body := bytes.Repeat([]byte("0123456789abcdef"), 1<<15)
			l, err := n.Outside().Listen("tcp", addr(tc.server))
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if got := r.RemoteAddr; !strings.HasPrefix(got, strings.TrimSuffix(tc.client, "0")) {
					t.Errorf("request from %s, want %s", got, tc.client)
				}
				w.Write(body)
			})}
			go server.Serve(l)
			defer server.Close()

			transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return n.Inside().Dial(ctx, network, addr(tc.client), addr(tc.server))
			}}
			defer transport.CloseIdleConnections()
			request, err := http.NewRequestWithContext(deadline(t), http.MethodGet, "http://www.example.com/", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, body) {
				t.Errorf("got %d bytes that are not the %d sent", len(got), len(body))
			}
		})
	}
}

func TestTLS(t *testing.T) {
	const name = "www.example.com"
	n := open(t, Options{}, acceptAll)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	l, err := n.Outside().Listen("tcp", addr("203.0.113.1:443"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		server := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
		defer server.Close()
		if err := server.HandshakeContext(t.Context()); err != nil {
			served <- err
			return
		}
		_, err = io.WriteString(server, server.ConnectionState().ServerName)
		served <- err
	}()

	roots := x509.NewCertPool()
	roots.AddCert(cert)
	client := tls.Client(dial(t, n.Inside(), "tcp", "10.0.0.1:0", "203.0.113.1:443"), &tls.Config{ServerName: name, RootCAs: roots})
	got, err := io.ReadAll(client)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != name {
		t.Errorf("server saw the name %q, want %q", got, name)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestUDP(t *testing.T) {
	for _, tc := range []struct{ name, client, server string }{
		{"IPv4", "10.0.0.1:5000", "192.0.2.53:53"},
		{"IPv6", "[fd00::1]:5000", "[2001:db8::53]:53"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := open(t, Options{}, acceptAll)
			server, err := n.Outside().ListenPacket("udp", addr(tc.server))
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			server.SetDeadline(time.Now().Add(within))
			client := dial(t, n.Inside(), "udp", tc.client, tc.server)

			// The second datagram is larger than the MTU and travels in fragments.
			for _, size := range []int{5, 4000} {
				want := bytes.Repeat([]byte{'x'}, size)
				if _, err := client.Write(want); err != nil {
					t.Fatal(err)
				}
				buf := make([]byte, 8000)
				m, from, err := server.ReadFrom(buf)
				if err != nil {
					t.Fatal(err)
				}
				if from.String() != tc.client || !bytes.Equal(buf[:m], want) {
					t.Fatalf("server got %d bytes from %v, want %d from %v", m, from, size, tc.client)
				}
				if _, err := server.WriteTo(buf[:m], from); err != nil {
					t.Fatal(err)
				}
				if m, err = client.Read(buf); err != nil || !bytes.Equal(buf[:m], want) {
					t.Fatalf("client got %d bytes, %v; want %d", m, err, size)
				}
			}
		})
	}
}

func TestUDPPortUnreachable(t *testing.T) {
	refused := make(chan struct{})
	n := open(t, Options{}, func(q pktio.Queue, p *pktio.Packet) pktio.Verdict {
		if p.Data[9] != packet.ProtoICMP {
			return pktio.Accept
		}
		// Delivered before the test goes on; dropped here, as it has arrived.
		if err := q.Inject(p.Data, p, false); err != nil {
			t.Error(err)
		}
		close(refused)
		return pktio.Drop
	})
	c := dial(t, n.Inside(), "udp", "10.0.0.1:0", "192.0.2.1:9")
	if _, err := c.Write([]byte("anybody?")); err != nil {
		t.Fatal(err)
	}
	<-refused
	if _, err := c.Write([]byte("anybody?")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("second Write: %v, want ECONNREFUSED", err)
	}
}

func TestICMPEcho(t *testing.T) {
	for _, tc := range []struct {
		name, client, server string
		request, reply       byte
	}{
		{"IPv4", "10.0.0.1:7", "192.0.2.1:7", byte(header.ICMPv4Echo), byte(header.ICMPv4EchoReply)},
		{"IPv6", "[fd00::1]:7", "[2001:db8::1]:7", byte(header.ICMPv6EchoRequest), byte(header.ICMPv6EchoReply)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := open(t, Options{}, acceptAll)
			echo(t, n.Outside(), tc.server) // a host in use
			c := dial(t, n.Inside(), "icmp", tc.client, tc.server)
			if _, err := c.Write([]byte{tc.request, 0, 0, 0, 0, 0, 0, 1, 'p', 'i', 'n', 'g'}); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100)
			m, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if m != 12 || buf[0] != tc.reply || buf[5] != 7 || buf[7] != 1 || string(buf[8:m]) != "ping" {
				t.Errorf("reply % x, want type %d, identifier 7, sequence 1, ping", buf[:m], tc.reply)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	n := open(t, Options{}, acceptAll)
	_, err := n.Inside().Dial(deadline(t), "tcp", addr("10.0.0.1:0"), addr("192.0.2.1:81"))
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial: %v, want ECONNREFUSED", err)
	}
}

func TestListenEverywhere(t *testing.T) {
	n := open(t, Options{}, acceptAll)
	echo(t, n.Outside(), "0.0.0.0:7")
	roundTrip(t, dial(t, n.Inside(), "tcp", "10.0.0.1:0", "192.0.2.1:7"), "one")
	roundTrip(t, dial(t, n.Inside(), "tcp", "10.255.0.1:0", "198.51.100.254:7"), "two")
}

func TestAddressesOfTheOtherSide(t *testing.T) {
	n := open(t, Options{}, acceptAll)
	if _, err := n.Inside().Dial(deadline(t), "tcp", addr("192.0.2.1:0"), addr("192.0.2.2:80")); err == nil {
		t.Error("an inside host dialed from an outside address")
	}
	if _, err := n.Outside().Listen("tcp", addr("10.0.0.1:80")); err == nil {
		t.Error("an outside host listens at an inside address")
	}
	if _, err := n.Outside().ListenPacket("udp", addr("10.0.0.1:53")); err == nil {
		t.Error("an outside host receives at an inside address")
	}
	same := Options{Inside: DefaultOutside()[:1]}
	if bad, err := New(same); err == nil {
		bad.Close()
		t.Error("New took the same addresses for both sides")
	}
}

// TestReset injects resets to both ends, as a firewall that rejects does. gVisor
// takes them like any host: the sequence number must be the next one expected.
func TestReset(t *testing.T) {
	for _, tc := range []struct {
		name           string
		client, server string
		spoil          func(ip []byte)
		want           error
	}{
		{"IPv4", "10.0.0.1:0", "192.0.2.1:7", nil, syscall.ECONNRESET},
		{"IPv6", "[fd00::1]:0", "[2001:db8::1]:7", nil, syscall.ECONNRESET},
		{"bad checksum", "10.0.0.1:0", "192.0.2.1:7", func(ip []byte) { ip[len(ip)-1] ^= 1 }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := open(t, Options{}, func(q pktio.Queue, p *pktio.Packet) pktio.Verdict {
				if !bytes.HasSuffix(p.Data, []byte("kill me")) {
					return pktio.Accept
				}
				for _, back := range []bool{true, false} {
					ip := reset(p.Data, back)
					if tc.spoil != nil {
						tc.spoil(ip)
					}
					if err := q.Inject(ip, p, back); err != nil {
						t.Error(err)
					}
				}
				if tc.want != nil {
					return pktio.Drop
				}
				return pktio.Accept
			})
			ended := echo(t, n.Outside(), tc.server)
			c := dial(t, n.Inside(), "tcp", tc.client, tc.server)
			roundTrip(t, c, "hello")
			if tc.want == nil {
				roundTrip(t, c, "kill me")
				return
			}
			if _, err := io.WriteString(c, "kill me"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, tc.want) {
				t.Errorf("client: %v, want %v", err, tc.want)
			}
			if err := <-ended; !errors.Is(err, tc.want) {
				t.Errorf("server: %v, want %v", err, tc.want)
			}
		})
	}
}

// reset builds the RST that answers the TCP packet ip to its sender (back), or
// that goes on in its place.
func reset(ip []byte, back bool) []byte {
	v4 := ip[0]>>4 == 4
	headerLen := header.IPv6MinimumSize
	if v4 {
		headerLen = header.IPv4MinimumSize
	}
	var network header.Network = header.IPv6(ip)
	if v4 {
		network = header.IPv4(ip)
	}
	segment := header.TCP(ip[headerLen:])
	src, dst := network.SourceAddress(), network.DestinationAddress()
	fields := header.TCPFields{
		SrcPort: segment.SourcePort(), DstPort: segment.DestinationPort(),
		SeqNum: segment.SequenceNumber(), AckNum: segment.AckNumber(),
		DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagRst | header.TCPFlagAck,
	}
	if back {
		src, dst = dst, src
		fields.SrcPort, fields.DstPort = fields.DstPort, fields.SrcPort
		fields.SeqNum, fields.AckNum = segment.AckNumber(), segment.SequenceNumber()
	}
	out := make([]byte, headerLen+header.TCPMinimumSize)
	if v4 {
		h := header.IPv4(out)
		h.Encode(&header.IPv4Fields{TotalLength: uint16(len(out)), TTL: 64, Protocol: packet.ProtoTCP, SrcAddr: src, DstAddr: dst})
		h.SetChecksum(^h.CalculateChecksum())
	} else {
		header.IPv6(out).Encode(&header.IPv6Fields{
			PayloadLength: header.TCPMinimumSize, TransportProtocol: header.TCPProtocolNumber, HopLimit: 64, SrcAddr: src, DstAddr: dst,
		})
	}
	rst := header.TCP(out[headerLen:])
	rst.Encode(&fields)
	pseudo := header.PseudoHeaderChecksum(header.TCPProtocolNumber, src, dst, header.TCPMinimumSize)
	rst.SetChecksum(^checksum.Checksum(rst, pseudo))
	return out
}

// TestRetransmission drops some packets; TCP makes up for them.
func TestRetransmission(t *testing.T) {
	var seen, dropped atomic.Int64
	n := open(t, Options{}, func(_ pktio.Queue, p *pktio.Packet) pktio.Verdict {
		if len(p.Data) > 1000 && seen.Add(1)%50 == 7 {
			dropped.Add(1)
			return pktio.Drop
		}
		return pktio.Accept
	})
	echo(t, n.Outside(), "192.0.2.1:7")
	c := dial(t, n.Inside(), "tcp", "10.0.0.1:0", "192.0.2.1:7")
	roundTrip(t, c, strings.Repeat("all of it ", 20_000))
	if dropped.Load() == 0 {
		t.Error("nothing was dropped: the test shows nothing")
	}
}

// TestQuiet checks that the stacks say nothing by themselves.
func TestQuiet(t *testing.T) {
	n, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, address := range []string{"192.0.2.1:80", "[2001:db8::1]:80"} {
		if _, err := n.Outside().Listen("tcp", addr(address)); err != nil {
			t.Fatal(err)
		}
	}
	batch := make([]pktio.Packet, 1)
	if m, _ := n.Queues()[0].ReadBatch(batch, 50*time.Millisecond); m != 0 {
		t.Errorf("a packet that nobody sent: % x", batch[0].Data)
	}
}

// TestClose checks that Close ends connections in use, and leaves no goroutine.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	n, err := New(Options{Queues: 2})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, q := range n.Queues() {
		wg.Go(func() { serve(t, q, acceptAll) })
	}
	l, err := n.Outside().Listen("tcp", addr("192.0.2.1:7"))
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn)
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	})
	c, err := n.Inside().Dial(deadline(t), "tcp", addr("10.0.0.1:0"), addr("192.0.2.1:7"))
	if err != nil {
		t.Fatal(err)
	}
	server := <-accepted
	u, err := n.Outside().ListenPacket("udp", addr("192.0.2.1:53"))
	if err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() error{
		func() error { _, err := c.Read(make([]byte, 1)); return err },
		func() error { _, err := server.Read(make([]byte, 1)); return err },
		func() error { _, _, err := u.ReadFrom(make([]byte, 1)); return err },
	} {
		wg.Go(func() {
			if read() == nil {
				t.Error("read data that nobody sent")
			}
		})
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for end := time.Now().Add(within); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, now:\n%s", before, buf[:runtime.Stack(buf, true)])
		}
	}
	if err := n.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// BenchmarkBulk sends one TCP stream from inside to outside.
func BenchmarkBulk(b *testing.B) {
	n := open(b, Options{}, acceptAll)
	l, err := n.Outside().Listen("tcp", addr("192.0.2.1:9"))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	received := make(chan int64, 1)
	go func() {
		server, err := l.Accept()
		if err != nil {
			b.Error(err)
			return
		}
		size, _ := io.Copy(io.Discard, server)
		server.Close()
		received <- size
	}()
	c := dial(b, n.Inside(), "tcp", "10.0.0.1:0", "192.0.2.1:9")
	c.SetDeadline(time.Time{})
	chunk := make([]byte, 64<<10)
	b.SetBytes(int64(len(chunk)))
	b.ResetTimer()
	for range b.N {
		if _, err := c.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	c.Close()
	if got := <-received; got != int64(b.N*len(chunk)) {
		b.Errorf("received %d bytes, want %d", got, b.N*len(chunk))
	}
	b.ReportMetric(float64(n.queues[0].Lost()), "lost")
}
