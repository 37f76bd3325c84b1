package parsers

import (
	"reflect"
	"testing"

	. "github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// FuzzSession cuts the bytes of two sides at places that do not matter, and
// must see the same events. Those of HTTP are another test's: bodies are looked at piece by piece, and frames of
// HTTP/2 all together that came together.
func FuzzSession(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: b\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 204 x\r\n\r\n"), uint16(80), uint8(3))
	f.Add([]byte("EHLO x\r\n"), []byte("220 smtp\r\n"), uint16(25), uint8(2))
	f.Add([]byte("\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"), []byte("\x00"), uint16(53), uint8(1))
	f.Add([]byte("CONNECT a:443 HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\n\r\nxx"), uint16(3128), uint8(9))
	for _, tn := range handshake(f, clientConfig("fuzz.example"), testServer)[:2] {
		f.Add(tn.data, tn.data, uint16(443), uint8(100))
	}
	f.Fuzz(func(t *testing.T, client, server []byte, port uint16, step uint8) {
		turns := []turn{{c2s, client}, {s2c, server}}
		want := run(port, turns, whole)
		got := run(port, turns, func(int) int { return int(step) })
		if len(want) > 0 && (want[0].proto == HTTP || want[0].proto == HTTP2) {
			return
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("in pieces of %d:\n%v\nin one:\n%v", step, got, want)
		}
	})
}

// FuzzDatagram must neither panic nor leave a buffer without an event.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"), uint16(53))
	f.Add([]byte("\xc0\x00\x00\x00\x01\x08"), uint16(443))
	f.Fuzz(func(t *testing.T, data []byte, port uint16) {
		s := NewPool(1<<20, New).Get()
		s.Reset(packet.ProtoUDP, 40000, port)
		s.Datagram(c2s, data)
		drain(s)
		s.Datagram(s2c, data)
		drain(s)
		if s.ProtoFinal() != (s.Proto() > Failed) {
			t.Errorf("%v, final %v", s.Proto(), s.ProtoFinal())
		}
	})
}
