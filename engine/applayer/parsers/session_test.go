package parsers

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	. "github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
)

const (
	c2s = packet.ToServer
	s2c = packet.ToClient
)

// turn is what one side sends before the other speaks.
type turn struct {
	dir  packet.Dir
	data []byte
}

// event is an Event with the number of its transaction.
type event struct {
	Hook    Hook
	Dir     packet.Dir
	TxID    uint64
	Anomaly Anomaly // of AnomalySeen about the flow
}

// seen is an event with all buffers of its time.
type seen struct {
	ev      event
	proto   Proto
	buffers string
}

func (s seen) String() string {
	return fmt.Sprintf("%v/%v#%d %v %s", s.ev.Hook, s.ev.Dir, s.ev.TxID, s.proto, s.buffers)
}

func newSession(port uint16) *Session {
	s := NewPool(1<<22, New).Get()
	s.Reset(packet.ProtoTCP, 40000, port)
	return s
}

// present gives data to the session as an engine does, and returns the rest.
func present(s *Session, dir packet.Dir, data []byte, out *[]seen) []byte {
	for {
		n := s.Data(dir, data)
		if n < 0 || n > len(data) {
			panic("consumed more than there was")
		}
		*out = append(*out, drain(s)...)
		data = data[n:]
		if n == 0 || len(data) == 0 {
			return data
		}
	}
}

func drain(s *Session) (out []seen) {
	var ev Event
	for s.Next(&ev) {
		if ev.Hook == MessageDone { // for streams only
			continue
		}
		var text strings.Builder
		if ev.Hook != ProtocolDetected { // the bytes that name it may hold more or less
			for b := Buffer(1); b < NumBuffers; b++ {
				if v, ok := s.Buffer(b); ok {
					fmt.Fprintf(&text, "%v=%q ", b, v)
				}
			}
			for n := Number(1); n < NumNumbers && ev.Tx != nil; n++ {
				if v, ok := ev.Tx.Number(n, 0); ok {
					fmt.Fprintf(&text, "%v=%d ", n, v)
				}
			}
		}
		e := event{Hook: ev.Hook, Dir: ev.Dir, Anomaly: ev.Anomaly}
		if ev.Tx != nil || ev.Hook != AnomalySeen {
			e.Anomaly = AnomalyNever
		}
		if ev.Tx != nil {
			e.TxID = ev.Tx.State().ID
		}
		out = append(out, seen{e, s.Proto(), strings.TrimSpace(text.String())})
	}
	return out
}

// presentBoth gives a side's bytes to the session as an engine does, behind those that it has left, and leaves
// the rest in held.
func presentBoth(s *Session, dir packet.Dir, data []byte, held *[2][]byte, out *[]seen) {
	held[dir] = present(s, dir, append(held[dir], data...), out)
	if s.Opposing(dir) {
		other := dir.Reverse()
		held[other] = present(s, other, held[other], out)
		held[dir] = present(s, dir, held[dir], out)
	}
}

// run presents the turns, cut into pieces by next, which says how long the next
// piece is.
func run(port uint16, turns []turn, next func(left int) int) (out []seen) {
	s := newSession(port)
	var rest [2][]byte
	for _, tn := range turns {
		for data := tn.data; len(data) > 0; {
			n := min(max(next(len(data)), 1), len(data))
			presentBoth(s, tn.dir, data[:n], &rest, &out)
			data = data[n:]
			if len(rest[tn.dir]) > MaxUnconsumed {
				panic("too much is left unconsumed")
			}
		}
	}
	return out
}

func whole(left int) int { return left }

// splits runs the turns in one piece, then cut at every position of every
// turn, and byte by byte. All must see the same.
func splits(t *testing.T, port uint16, turns []turn) []seen {
	t.Helper()
	want := run(port, turns, whole)
	check := func(how string, got []seen) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s:\n%v\nwant\n%v", how, got, want)
		}
	}
	check("byte by byte", run(port, turns, func(int) int { return 1 }))
	for i, tn := range turns {
		for at := 1; at < len(tn.data); at++ {
			cut := append(turns[:i:i], turn{tn.dir, tn.data[:at]}, turn{tn.dir, tn.data[at:]})
			check(fmt.Sprintf("turn %d cut at %d", i, at), run(port, append(cut, turns[i+1:]...), whole))
		}
	}
	return want
}

func hooks(s []seen) (h []Hook) {
	for _, e := range s {
		if e.ev.Hook != TLSClientState && e.ev.Hook != TLSServerState { // with each message
			h = append(h, e.ev.Hook)
		}
	}
	return h
}

// recorder is a connection that remembers what each side wrote, in turns.
type recorder struct {
	net.Conn
	dir   packet.Dir
	mu    *sync.Mutex // guards turns
	turns *[]turn
}

func (r recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ts := *r.turns
	if n := len(ts); n > 0 && ts[n-1].dir == r.dir {
		ts[n-1].data = append(ts[n-1].data, b...)
	} else {
		*r.turns = append(ts, turn{r.dir, bytes.Clone(b)})
	}
	return r.Conn.Write(b)
}

// pair returns both ends of a connection over loopback, recorded in turns.
func pair(t testing.TB, turns *[]turn) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	mu := new(sync.Mutex)
	return recorder{a, c2s, mu, turns}, recorder{b, s2c, mu, turns}
}

// handshake returns what crypto/tls sends for a client with this
// configuration, up to and with the ServerHello.
func handshake(t testing.TB, client, server *tls.Config) []turn {
	t.Helper()
	var turns []turn
	a, b := pair(t, &turns)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer b.Close()
		tls.Server(b, server).Handshake()
	}()
	client.InsecureSkipVerify = true
	if err := tls.Client(a, client).Handshake(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	<-done
	return turns
}

var testServer = &tls.Config{Certificates: []tls.Certificate{selfSigned()}}

func TestTLSHellos(t *testing.T) {
	long := make([]string, 200) // makes a hello of several records' size
	for i := range long {
		long[i] = strings.Repeat("p", 250)
	}
	tests := map[string]struct {
		client  *tls.Config
		sni     string
		version int
	}{
		"1.3":          {&tls.Config{ServerName: "www.Example.com"}, "www.Example.com", tls.VersionTLS13},
		"1.2":          {&tls.Config{ServerName: "example.com", MaxVersion: tls.VersionTLS12}, "example.com", tls.VersionTLS12},
		"no name":      {&tls.Config{}, "", tls.VersionTLS13},
		"small":        {&tls.Config{ServerName: "a.b", CurvePreferences: []tls.CurveID{tls.X25519}}, "a.b", tls.VersionTLS13},
		"two hellos":   {&tls.Config{ServerName: "retry.example", CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384}}, "retry.example", tls.VersionTLS13},
		"long":         {&tls.Config{ServerName: "long.example", NextProtos: long[:12]}, "long.example", tls.VersionTLS13},
		"many records": {&tls.Config{ServerName: "long.example", NextProtos: long}, "long.example", tls.VersionTLS13},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := testServer
			if name == "two hellos" {
				server = &tls.Config{Certificates: testServer.Certificates, CurvePreferences: []tls.CurveID{tls.CurveP384}}
			}
			turns := handshake(t, tt.client, server)
			var got []seen
			if name == "many records" {
				got = run(443, turns, func(int) int { return 1448 })
			} else {
				got = splits(t, 443, turns)
			}
			want := []Hook{ProtocolDetected, TLSClientHello, TLSServerHello, Encrypted, TxDone}
			if tt.version == tls.VersionTLS12 {
				want = []Hook{ProtocolDetected, TLSClientHello, TLSServerHello, TLSServerCertificate, TxDone}
			}
			if !reflect.DeepEqual(hooks(got), want) {
				t.Fatalf("events %v, want %v", got, want)
			}
			buffers := got[2].buffers
			if !strings.Contains(buffers, fmt.Sprintf("ssl_version=%d", tt.version)) || got[2].proto != TLS ||
				tt.sni == "" && strings.Contains(buffers, "tls.sni") ||
				tt.sni != "" && !strings.HasPrefix(buffers, fmt.Sprintf("tls.sni=%q ", tt.sni)) {
				t.Errorf("%v, want SNI %s and version %x", got[2], tt.sni, tt.version)
			}
		})
	}
}

// The hello in two segments, in either order, cut everywhere.
func TestTLSThroughReassembly(t *testing.T) {
	hello := handshake(t, &tls.Config{ServerName: "example.com"}, testServer)[0].data
	if len(hello) < 1400 {
		t.Fatalf("the hello has %d bytes; one with a post-quantum key share was wanted", len(hello))
	}
	pool := stream.NewPool(1 << 20)
	const isn = 0xfffffe00 // wraps within the hello
	for at := 1; at < len(hello); at++ {
		for _, swapped := range []bool{false, true} {
			order := [][2]int{{0, at}, {at, len(hello)}}
			if swapped {
				order[0], order[1] = order[1], order[0]
			}
			s, r := newSession(443), pool.Get()
			r.Reset(isn, stream.Config{})
			var got []seen
			for _, o := range order {
				r.Insert(isn+uint32(o[0]), hello[o[0]:o[1]])
				left := present(s, c2s, r.Bytes(), &got)
				r.Consume(len(r.Bytes()) - len(left))
			}
			pool.Put(r)
			if len(got) != 3 || got[2].ev.Hook != TLSClientState || got[1].ev.Hook != TLSClientHello || !strings.HasPrefix(got[1].buffers, `tls.sni="example.com" `) {
				t.Fatalf("cut at %d, swapped %v: %v", at, swapped, got)
			}
		}
	}
}

// records cuts a handshake message into records of n bytes.
func records(message []byte, n int) (out []byte) {
	for len(message) > 0 {
		k := min(n, len(message))
		out = append(out, 22, 3, 1, byte(k>>8), byte(k))
		out = append(out, message[:k]...)
		message = message[k:]
	}
	return out
}

func TestTLSOddities(t *testing.T) {
	hello := handshake(t, &tls.Config{ServerName: "example.com"}, testServer)[0].data
	message := hello[5:]
	ok := []Hook{ProtocolDetected, TLSClientHello}
	broken := []Hook{ProtocolDetected, TxDone, ParserFailed}
	told := []Hook{ProtocolDetected, AnomalySeen, TxDone, ParserFailed}
	odd := []Hook{ProtocolDetected, AnomalySeen, TLSClientHello} // read as far as it goes
	at := bytes.Index(message, []byte("example.com"))
	short := append([]byte{0, 1, 0}, message[4:]...) // what follows, of random keys, is no message
	for i := 3 + 256; i < len(short); i++ {
		short[i] = 0xff
	}
	patch := func(i int, b ...byte) []byte {
		m := bytes.Clone(message)
		copy(m[i:], b)
		return records(m, 1<<14)
	}
	tests := map[string]struct {
		data []byte
		want []Hook
		sni  string
	}{
		"records of 100 bytes": {records(message, 100), ok, "example.com"},
		"records of 7 bytes":   {records(message, 7), ok, "example.com"},
		"SSL 2 hello":          {append([]byte{0x80, 43, 1, 3, 1, 0, 18, 0, 0, 0, 16}, make([]byte, 34)...), ok, ""},
		"name too long":        {patch(at-2, 0xff, 0xff), odd, ""},
		"not a host name":      {patch(at-3, 1), odd, ""},
		"body too short":       {patch(1, short...), append(odd, AnomalySeen, TxDone, ParserFailed), ""},
		"hello too large":      {patch(1, 2, 0, 0), broken, ""},
		"another message":      {append(hello[:5:5], append([]byte{1, 0, 0, 0}, message...)...), odd, ""},
		"record too large":     {append(records(message[:100], 100), 22, 3, 3, 0xff, 0xff), broken, ""},
		"not a record":         {append(records(message[:100], 100), "GET / HTTP/1.1"...), told, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := splits(t, 443, []turn{{c2s, tt.data}})
			if !reflect.DeepEqual(hooks(got), tt.want) {
				t.Fatalf("events %v, want %v", got, tt.want)
			}
			if sni := fmt.Sprintf("tls.sni=%q ", tt.sni); tt.sni != "" && !strings.HasPrefix(got[1].buffers, sni) {
				t.Errorf("%v, want %s", got[1], sni)
			}
		})
	}
}

// exchange returns what net/http sends for the requests, and a handler for
// them, over one connection.
func exchange(t testing.TB, handler http.HandlerFunc, requests ...*http.Request) []turn {
	t.Helper()
	var turns []turn
	a, b := pair(t, &turns)
	defer a.Close()
	listener := &oneConn{conn: make(chan net.Conn, 1)}
	listener.conn <- b
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener)
	}()
	replies := bufio.NewReader(a)
	for _, r := range requests {
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		a.Write(b.Bytes())
		resp, err := http.ReadResponse(replies, r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	server.Close()
	<-done
	return turns
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn  chan net.Conn
	close sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conn; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error {
	l.close.Do(func() { close(l.conn) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func request(method, url, body string) *http.Request {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		panic(err)
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body)) // of unknown length: chunked
	}
	r.Header.Set("User-Agent", "test/1")
	return r
}

func TestHTTPOfTheStandardLibrary(t *testing.T) {
	turns := exchange(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "hello, ")
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "world")
	},
		request("GET", "http://Example.com:8080/a?b", ""),
		request("HEAD", "http://example.com/head", ""),
		request("POST", "http://second.example/form", "GET /not HTTP/1.1\r\nHost: smuggled\r\n\r\n"),
	)
	got := splits(t, 80, turns)
	var lines []string
	for _, s := range got {
		lines = append(lines, fmt.Sprintf("%v#%d", s.ev.Hook, s.ev.TxID))
	}
	want := []string{
		"protocol_detected#0",
		"http_request_line#0", "http_request_headers#0",
		"http_response_line#0", "http_response_headers#0", "http_response_headers#0", // again with the trailer
		"http_response_body#0", "file_done#0", "tx_done#0",
		"http_request_line#1", "http_request_headers#1",
		"http_response_line#1", "http_response_headers#1", "tx_done#1",
		"http_request_line#2", "http_request_headers#2", "http_request_headers#2", "http_request_body#2", "file_done#2",
		"http_response_line#2", "http_response_headers#2", "http_response_headers#2",
		"http_response_body#2", "file_done#2", "tx_done#2",
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// TestProtocolChange: what goes through the tunnel that CONNECT opens is recognised anew, by the port that it
// leads to, and what was before is told.
func TestProtocolChange(t *testing.T) {
	hello := handshake(t, &tls.Config{ServerName: "example.com"}, testServer)[0]
	connect := []turn{{c2s, []byte("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")}, {s2c, []byte("HTTP/1.1 200 OK\r\n\r\n")}}
	upgrade := []turn{{c2s, []byte("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n")}, {s2c, []byte("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n")}}
	junk := []turn{{c2s, []byte("\x01\x02\x03 this is nothing at all\r\n")}, {s2c, []byte("\x01\x02\x03 this is nothing at all\r\n")}}
	for name, tt := range map[string]struct {
		turns   []turn
		proto   Proto
		orig    Proto
		anomaly int // AnomalySeen about the flow
		done    bool
		name    string
	}{
		"TLS":             {append(connect[:2:2], hello), TLS, HTTP, 0, false, "example.com"},
		"SSH":             {append(connect[:2:2], turn{s2c, []byte("SSH-2.0-x\r\n")}), SSH, HTTP, 0, false, ""},
		"HTTP":            {append(connect[:2:2], turn{c2s, []byte("GET / HTTP/1.1\r\nHost: b\r\n\r\n")}), HTTP, HTTP, 0, false, "b"},
		"nothing yet":     {connect, HTTP, Unknown, 0, false, "a"},
		"nothing known":   {append(connect[:2:2], junk...), HTTP, Unknown, 0, false, "a"},
		"enough of it":    {append(connect[:2:2], turn{c2s, bytes.Repeat([]byte("\x01"), 4096)}), Failed, HTTP, 0, true, "a"},
		"HTTP/2":          {append(upgrade[:2:2], turn{c2s, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}), HTTP2, HTTP, 0, false, "a"},
		"HTTP/2, server":  {[]turn{upgrade[0], {s2c, append(upgrade[1].data[:len(upgrade[1].data):len(upgrade[1].data)], "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00d"...)}}, HTTP2, HTTP, 0, false, "a"},
		"not HTTP/2":      {append(upgrade[:2:2], junk...), HTTP, Unknown, 2, false, "a"},
		"another: SSH":    {append(upgrade[:2:2], turn{c2s, []byte("SSH-2.0-x\r\n")}), SSH, HTTP, 1, false, ""},
		"TLS in a tunnel": {append(append(connect[:2:2], connect...), hello), TLS, HTTP, 0, false, "example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(80)
			anomalies := 0
			for _, tn := range tt.turns {
				var out []seen
				if rest := present(s, tn.dir, tn.data, &out); len(rest) > 0 && !s.Done() && !s.Changing() {
					t.Errorf("%q is not taken", rest)
				}
				for _, e := range out {
					if e.ev.Hook == AnomalySeen {
						anomalies++
					}
				}
				s.Release()
			}
			if s.Proto() != tt.proto || s.Orig() != tt.orig || anomalies != tt.anomaly || s.Done() != tt.done || string(s.Name()) != tt.name {
				t.Errorf("%v before %v, %d anomalies, done %v, %q; want %+v", s.Orig(), s.Proto(), anomalies, s.Done(), s.Name(), tt)
			}
		})
	}
}

// TestChangeAgain: bytes of a tunnel in a tunnel are read at once, although somebody may still look at the
// transactions of the protocol that was before.
func TestChangeAgain(t *testing.T) {
	s := newSession(80)
	for range 2 {
		var out []seen
		present(s, c2s, []byte("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), &out)
		present(s, s2c, []byte("HTTP/1.1 200 OK\r\n\r\n"), &out)
	}
	var out []seen
	present(s, c2s, handshake(t, &tls.Config{ServerName: "example.com"}, testServer)[0].data, &out)
	if s.Proto() != TLS || s.Orig() != HTTP || string(s.Name()) != "example.com" {
		t.Errorf("%v before %v, %q", s.Orig(), s.Proto(), s.Name())
	}
	s.Release()
}

// TestUpgrade: the request that asks for HTTP/2 is that of stream 1, and its settings are the client's first.
func TestUpgrade(t *testing.T) {
	s := newSession(80)
	var out []seen
	for _, tn := range []turn{
		{c2s, []byte("GET /a HTTP/1.1\r\nHost: www.example.com:80\r\nUser-Agent: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")},
		{s2c, []byte("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n")},
		{c2s, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
		{s2c, []byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00d" + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88")}, // SETTINGS; HEADERS, :status 200
	} {
		present(s, tn.dir, tn.data, &out)
		s.Release()
	}
	var settings, stream string
	for _, e := range out {
		switch {
		case e.proto == HTTP2 && e.ev.Hook == TxDone && e.ev.TxID == 0:
			stream = e.buffers
		case e.proto == HTTP2 && e.ev.Hook == TxDone && e.ev.TxID == 1:
			settings = e.buffers
		}
	}
	for _, want := range []string{
		`http.uri="/a"`, `http.host="www.example.com"`, `http.stat_code="200"`,
		`http.header_names="\r\n:method\r\n:path\r\n:authority\r\nUser-Agent\r\nUpgrade\r\n\r\n"`,
	} {
		if !strings.Contains(stream, want) {
			t.Errorf("%s is not in %s", want, stream)
		}
	}
	if want := fmt.Sprintf("http2.settings=%d", 3<<32|100); !strings.Contains(settings, want) {
		t.Errorf("%s is not in %s", want, settings)
	}
}

// TestUpgradeTooLarge: where the request that asks for HTTP/2 has more fields than are held, the parser fails, and says so.
func TestUpgradeTooLarge(t *testing.T) {
	request := "GET /a HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n"
	for i := range 40 {
		request += fmt.Sprintf("X%d: %s\r\n", i, strings.Repeat("x", 8000))
	}
	s := newSession(80)
	var out []seen
	for _, tn := range []turn{
		{c2s, []byte(request + "\r\n")},
		{s2c, []byte("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n")},
		{c2s, []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
	} {
		present(s, tn.dir, tn.data, &out)
		s.Release()
	}
	failed := 0
	for _, e := range out {
		if e.ev.Hook == ParserFailed {
			failed++
		}
	}
	if s.Proto() != HTTP2 || failed != 1 {
		t.Errorf("%v, %d failures", s.Proto(), failed)
	}
}
