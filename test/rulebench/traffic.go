package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio/pcap"
)

const (
	sniDomains     = 3000
	hostDomains    = 3000
	streamContents = 3000
	addresses      = 1000

	atOnce = 5000 // flows that are open at one time
	mss    = 1400
)

// rules are 10,000 in four kinds, of which about one flow in a hundred meets one.
func rules() []byte {
	var b bytes.Buffer
	sid := 0
	next := func() int { sid++; return sid }
	for i := range sniDomains {
		fmt.Fprintf(&b, "alert tls any any -> any any (msg:\"sni %d\"; tls.sni; dotprefix; content:\".%s\"; nocase; endswith; sid:%d;)\n", i, domain("sni", i), next())
	}
	for i := range hostDomains {
		fmt.Fprintf(&b, "alert http any any -> any any (msg:\"host %d\"; http.host; dotprefix; content:\".%s\"; endswith; sid:%d;)\n", i, domain("host", i), next())
	}
	for i := range streamContents {
		fmt.Fprintf(&b, "alert tcp any any -> any any (msg:\"content %d\"; flow:established; content:\"%s\"; sid:%d;)\n", i, token(i), next())
	}
	for i := range addresses {
		fmt.Fprintf(&b, "alert ip any any -> %s any (msg:\"address %d\"; sid:%d;)\n", badAddress(i), i, next())
	}
	return b.Bytes()
}

func domain(kind string, i int) string {
	return fmt.Sprintf("%s-%05d.%s.example", kind, i*7919%99991, pickWord(i))
}
func token(i int) string {
	return fmt.Sprintf("%s_%s-%06x", pickWord(i*31), pickWord(i*17+3), i*2654435761%0xffffff)
}
func badAddress(i int) string { return fmt.Sprintf("198.18.%d.%d", i/250, 1+i%250) }

var vocabulary = []string{"alpha", "report", "static", "login", "update", "img", "account", "service", "content", "search",
	"window", "market", "secure", "remote", "stream", "garden", "river", "public", "object", "delta"}

func pickWord(i int) string { return vocabulary[i%len(vocabulary)] }

// conversation is one flow of the mix, cut into frames that are to be sent in order.
type conversation struct{ frames [][]byte }

// generator makes conversations: half are TLS, four in ten HTTP, the rest DNS and plain TCP.
type generator struct {
	r      *rand.Rand
	serial int
}

// clientHello is what crypto/tls sends first.
func clientHello(name string) []byte {
	client, server := net.Pipe()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name, CurvePreferences: []tls.CurveID{tls.X25519}}).Handshake()
		client.Close()
	}()
	defer server.Close()
	buf := make([]byte, 4<<10)
	n, _ := server.Read(buf)
	return buf[:n]
}

func (g *generator) rare() bool { return g.r.IntN(100) == 0 }

// text is n bytes of words.
func (g *generator) text(n int) []byte {
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = append(append(b, vocabulary[g.r.IntN(len(vocabulary))]...), " ,.\n"[g.r.IntN(4)])
	}
	return b[:n]
}

// noise is n bytes that look encrypted.
func (g *generator) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	return b
}

func (g *generator) conversation() conversation {
	g.serial++
	client := fmt.Sprintf("10.%d.%d.%d:%d", g.serial>>16&3, g.serial>>8&255, g.serial&255, 20000+g.r.IntN(40000))
	server := fmt.Sprintf("203.0.%d.%d", g.r.IntN(113), 1+g.r.IntN(250))
	if g.rare() {
		server = badAddress(g.r.IntN(addresses))
	}
	var c conversation
	switch n := g.r.IntN(20); {
	case n < 10:
		g.tls(&c, client, server+":443")
	case n < 18:
		g.http(&c, client, server+":80")
	case n < 19:
		g.dns(&c, client, server+":53")
	default:
		g.tcp(&c, client, server+":9000", g.text(200+g.r.IntN(800)), g.text(2000+g.r.IntN(6000)))
	}
	return c
}

// tls is a real ClientHello, and records of noise after it.
func (g *generator) tls(c *conversation, client, server string) {
	name := fmt.Sprintf("www-%07d.sni.example", g.r.IntN(1e7))
	if g.rare() {
		name = "www." + domain("sni", g.r.IntN(sniDomains))
	}
	record := func(kind byte, n int) []byte {
		return append([]byte{kind, 3, 3, byte(n >> 8), byte(n)}, g.noise(n)...)
	}
	// A ServerHello of TLS 1.2 (RFC 5246, 7.4.1.3), and the change to encryption.
	answer := append([]byte{22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3}, g.noise(32)...)
	answer = append(answer, 0, 0xc0, 0x2f, 0)
	answer = append(answer[:5+42], 20, 3, 3, 0, 1, 1)
	for range 4 {
		answer = append(answer, record(23, 1000+g.r.IntN(5000))...)
	}
	g.tcp(c, client, server, clientHello(name), answer)
}

func (g *generator) http(c *conversation, client, server string) {
	host := fmt.Sprintf("www-%07d.host.example", g.r.IntN(1e7))
	if g.rare() {
		host = "www." + domain("host", g.r.IntN(hostDomains))
	}
	body := g.text(3000 + g.r.IntN(14000))
	if g.rare() {
		body = append(append(body, token(g.r.IntN(streamContents))...), g.text(500)...)
	}
	request := fmt.Appendf(nil, "GET /%s/%s?id=%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\r\n",
		pickWord(g.r.IntN(20)), pickWord(g.r.IntN(20)), g.r.IntN(1e6), host)
	response := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n", len(body))
	g.tcp(c, client, server, request, append(response, body...))
}

func (g *generator) dns(c *conversation, client, server string) {
	query := append([]byte{byte(g.r.Uint32()), byte(g.r.Uint32()), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3}, "www\x07example\x03com\x00\x00\x01\x00\x01"...)
	c.frames = append(c.frames, packettest.Ethernet(packettest.UDP(client, server, query)))
	answer := append(bytes.Clone(query), 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 1)
	answer[2], answer[3], answer[7] = 0x81, 0x80, 1
	c.frames = append(c.frames, packettest.Ethernet(packettest.UDP(server, client, answer)))
}

// tcp is a connection with one request and one response, each segment of which is acknowledged
// every second time.
func (g *generator) tcp(c *conversation, client, server string, request, response []byte) {
	ends, next := [2]string{client, server}, [2]uint32{g.r.Uint32(), g.r.Uint32()}
	send := func(from int, flags uint8, data []byte) {
		c.frames = append(c.frames, packettest.Ethernet(packettest.TCP(ends[from], ends[1-from], flags, next[from], next[1-from], data)))
		next[from] += uint32(len(data))
		if flags&(packet.SYN|packet.FIN) != 0 {
			next[from]++
		}
	}
	next1 := next[1]
	next[1] = 0
	send(0, packet.SYN, nil)
	next[1] = next1
	send(1, packet.SYN|packet.ACK, nil)
	send(0, packet.ACK, nil)
	for from, data := range [][]byte{request, response} {
		for i := 0; len(data) > 0; i++ {
			n := min(mss, len(data))
			send(from, packet.PSH|packet.ACK, data[:n])
			if data = data[n:]; i%2 == 1 || len(data) == 0 {
				send(1-from, packet.ACK, nil)
			}
		}
	}
	send(1, packet.FIN|packet.ACK, nil)
	send(0, packet.FIN|packet.ACK, nil)
	send(1, packet.ACK, nil)
}

// write makes a capture of n flows, atOnce of which are under way together.
func write(path string, n int, seed uint64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := pcap.NewWriter(file)
	g := &generator{r: rand.New(rand.NewPCG(seed, 1))}
	open := make([]conversation, 0, atOnce)
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	for n > 0 || len(open) > 0 {
		if n > 0 && len(open) < atOnce {
			open = append(open, g.conversation())
			n--
		}
		i := g.r.IntN(len(open))
		frame := open[i].frames[0]
		clock += 5_000
		if err := out.Write(packet.LinkEthernet, clock, frame, len(frame)); err != nil {
			return err
		}
		if open[i].frames = open[i].frames[1:]; len(open[i].frames) == 0 {
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
		}
	}
	return out.Flush()
}
