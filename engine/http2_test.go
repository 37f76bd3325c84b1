package engine

import (
	"slices"
	"testing"

	"github.com/sluicefw/sluice/pktio"
)

// http2Frame is a frame (RFC 9113, 4.1): length, type, flags, stream, payload.
func http2Frame(kind, flags, stream byte, payload string) string {
	return string([]byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, stream}) + payload
}

// http2Request asks for /index.html of shop.example (RFC 7541, 6.1 and 6.2).
var http2Request = "\x82\x85" + "\x41\x0cshop.example"

// TestHTTP2: rules about http are about both versions, others about one.
func TestHTTP2(t *testing.T) {
	const (
		settings, headers, body = 4, 1, 0
		endStream, endHeaders   = 1, 4
	)
	rules := `alert http any any -> any any (http.uri; content:"/index.html"; sid:1;)
alert http1 any any -> any any (http.uri; content:"/index.html"; sid:2;)
alert http2 any any -> any any (http.uri; content:"/index.html"; sid:3;)
alert tcp any any -> any any (http.host; content:"shop.example"; sid:4;)
alert http any any -> any any (content:"/index.html"; http_uri; sid:5;)
alert http any any -> any any (flow:to_server; app-layer-event:http2.invalid_header; sid:6;)
alert http2 any any -> any any (http2.settings:SETTINGS_MAX_CONCURRENT_STREAMS>99; sid:7;)
alert http2 any any -> any any (http2.settings:SETTINGS_MAX_CONCURRENT_STREAMS 1-99; sid:8;)
alert http any any -> any any (http.response_body; content:"hello"; sid:9;)
alert http any any -> any any (http.stat_code; content:"200"; http2.frametype:data; sid:10;)
alert http any any -> any any (filesize:5; sid:11;)`
	alerts := func(c *conn, turns ...string) (sids []uint32) {
		r := newRig(t, program(t, rules))
		r.open(c)
		for i, turn := range turns {
			if i%2 == 0 {
				r.accepts("client", c.c2s(data, turn))
			} else {
				r.accepts("server", c.s2c(data, turn))
			}
		}
		for _, a := range r.rec.alerts {
			sids = append(sids, a.SID)
		}
		slices.Sort(sids)
		return sids
	}
	got := alerts(newConn("1"),
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+http2Frame(settings, 0, 0, "\x00\x03\x00\x00\x00\x64"),
		http2Frame(settings, endStream, 0, ""),
		http2Frame(headers, endStream|endHeaders, 1, http2Request+"\x80"), // and index 0, which is no field
		http2Frame(headers, endHeaders, 1, "\x88")+http2Frame(body, endStream, 1, "hello"), "")
	if want := []uint32{1, 3, 4, 6, 7, 9, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("HTTP/2: rules %v alert, want %v", got, want)
	}
	got = alerts(newConn("2"), "GET /index.html HTTP/1.1\r\nHost: shop.example\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
	if want := []uint32{1, 2, 4, 5, 9, 11}; !slices.Equal(got, want) {
		t.Errorf("HTTP/1: rules %v alert, want %v", got, want)
	}
}

// TestHTTP2IsDropped: a request that comes byte by byte does not get past a rule with its last.
func TestHTTP2IsDropped(t *testing.T) {
	r := newRig(t, program(t, `drop http any any -> any any (http.host; content:"shop.example"; sid:1;)`))
	c := newConn("1")
	r.open(c)
	request := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2Frame(1, 5, 1, http2Request)
	for i := range request {
		want := pktio.Accept
		if i == len(request)-1 {
			want = pktio.Drop
		}
		r.want(want, request[:i+1], c.c2s(data, request[i:i+1]))
	}
}
