package oracle

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio/pcap"
)

// Words and names are what payloads are made of and what rules look for.
var (
	words = []string{"alpha", "Bravo", "charlie", "aab", "aa", "xyz", "DELTA", "echo.", "foxtrot", "abab"}
	names = []string{"www.example.com", "example.com", "cdn.example.net", "a.b.example.com", "notexample.com", "login.test"}
)

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func sentence(r *rand.Rand) []byte {
	var b []byte
	for range 1 + r.IntN(8) {
		b = append(b, pick(r, words)...)
		b = append(b, " .-\x00"[r.IntN(4)])
	}
	return b
}

// clientHello is what crypto/tls sends first.
func clientHello(name string) []byte {
	client, server := net.Pipe()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name}).Handshake()
		client.Close()
	}()
	defer server.Close()
	buf := make([]byte, 16<<10)
	n, _ := server.Read(buf)
	return buf[:n]
}

func httpRequest(r *rand.Rand) []byte {
	return fmt.Appendf(nil, "%s /%s/%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s/1.0\r\n\r\n",
		pick(r, []string{"GET", "HEAD", "DELETE"}), pick(r, words), pick(r, words), pick(r, names), pick(r, words))
}

func dnsQuery(r *rand.Rand) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(r.Uint32()))
	b = append(b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	for label := range strings.SplitSeq(pick(r, names), ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 1, 0, 1)
}

// traffic collects the frames of a capture.
type traffic struct {
	r      *rand.Rand
	frames [][]byte
}

func (t *traffic) add(ip []byte) { t.frames = append(t.frames, packettest.Ethernet(ip)) }

// connection adds a TCP connection in which both sides say things in turn, in
// segments of random size.
func (t *traffic) connection(client, server string, turns ...[]byte) {
	r := t.r
	ends := [2]string{client, server}
	next := [2]uint32{r.Uint32(), r.Uint32()}
	send := func(from int, flags uint8, data []byte) {
		t.add(packettest.TCP(ends[from], ends[1-from], flags, next[from], next[1-from], data))
		next[from] += uint32(len(data))
	}
	t.add(packettest.TCP(client, server, packet.SYN, next[0], 0, nil))
	next[0]++
	send(1, packet.SYN|packet.ACK, nil)
	next[1]++
	send(0, packet.ACK, nil)
	for i, turn := range turns {
		from := i % 2
		for len(turn) > 0 {
			n := len(turn)
			if r.IntN(2) == 0 {
				n = 1 + r.IntN(n)
			}
			send(from, packet.PSH|packet.ACK, turn[:n])
			turn = turn[n:]
			if r.IntN(2) == 0 {
				send(1-from, packet.ACK, nil)
			}
		}
		send(1-from, packet.ACK, nil)
	}
	switch r.IntN(3) {
	case 0:
		send(0, packet.RST|packet.ACK, nil)
	case 1:
		send(0, packet.FIN|packet.ACK, nil)
		next[0]++
		send(1, packet.FIN|packet.ACK, nil)
		next[1]++
		send(0, packet.ACK, nil)
	}
}

// randomTraffic makes flows one after the other.
func randomTraffic(r *rand.Rand, flows int) [][]byte {
	t := &traffic{r: r}
	for i := range flows {
		client := fmt.Sprintf("10.0.%d.%d", r.IntN(3), 1+r.IntN(3))
		server := fmt.Sprintf("192.0.2.%d", 1+r.IntN(3))
		from := fmt.Sprintf("%s:%d", client, 20000+i)
		switch r.IntN(7) {
		case 0:
			t.connection(from, server+":443", clientHello(pick(r, names)), []byte{21, 3, 3, 0, 2, 2, 40})
		case 1, 2:
			reply := []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalpha")
			t.connection(from, server+":80", httpRequest(r), reply, httpRequest(r), reply)
		case 3, 4:
			t.connection(from, fmt.Sprintf("%s:%d", server, 8000+r.IntN(3)), sentence(r), sentence(r), sentence(r))
		case 5:
			port := 53
			for range 1 + r.IntN(3) {
				data := dnsQuery(r)
				if r.IntN(2) == 0 {
					port, data = 5000+r.IntN(2), sentence(r)
				}
				t.add(packettest.UDP(from, fmt.Sprintf("%s:%d", server, port), data))
			}
		case 6:
			data := sentence(r)
			t.add(packettest.ICMPEcho(client, server, false, uint16(i), 1, data))
			t.add(packettest.ICMPEcho(server, client, true, uint16(i), 1, data))
		}
	}
	return t.frames
}

// writeCapture writes frames a millisecond apart.
func writeCapture(t *testing.T, path string, frames [][]byte) {
	t.Helper()
	var b bytes.Buffer
	w := pcap.NewWriter(&b)
	for i, f := range frames {
		if err := w.Write(packet.LinkEthernet, 1_700_000_000_000_000_000+int64(i)*1_000_000, f, len(f)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
