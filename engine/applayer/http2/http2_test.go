package http2

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// peer writes what one side sends.
type peer struct {
	bytes.Buffer
	*xhttp2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
}

func newPeer(client bool) *peer {
	p := &peer{}
	p.Framer = xhttp2.NewFramer(&p.Buffer, nil)
	p.AllowIllegalWrites = true
	p.enc = hpack.NewEncoder(&p.block)
	if client {
		p.WriteString(preface)
	}
	return p
}

// section encodes fields, names and values in turn.
func (p *peer) section(fields ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		if err := p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			panic(err)
		}
	}
	return slices.Clone(p.block.Bytes())
}

// headers sends fields, and whether that is all.
func (p *peer) headers(stream uint32, last bool, fields ...string) {
	p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, EndHeaders: true, EndStream: last, BlockFragment: p.section(fields...)})
}

// take returns what was written, as the turn of a side.
func (p *peer) take(turn func(string) apptest.Turn) apptest.Turn {
	defer p.Reset()
	return turn(p.String())
}

func values(t *Tx, b applayer.Buffer) (all []string) {
	for i := 0; ; i++ {
		v, ok := t.Value(b, i)
		if !ok {
			return all
		}
		all = append(all, string(v))
	}
}

func numbers(t *Tx, n applayer.Number) (all []uint64) {
	for i := 0; ; i++ {
		v, ok := t.Number(n, i)
		if !ok {
			return all
		}
		all = append(all, v)
	}
}

func transactions(t *testing.T, turns ...apptest.Turn) []Tx {
	t.Helper()
	return apptest.Transactions[Tx](t, &Parser{}, turns...)
}

func TestStream(t *testing.T) {
	c, s := newPeer(true), newPeer(false)
	c.WriteSettings(xhttp2.Setting{ID: 3, Val: 100}, xhttp2.Setting{ID: 99, Val: 1}, xhttp2.Setting{ID: 4, Val: 5})
	c.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, PadLength: 3, Priority: xhttp2.PriorityParam{Weight: 9},
		BlockFragment: c.section(":method", "GET", ":path", "/a?B", ":authority", "WWW.Example.com:80", "cookie", "a", "cookie", "b", "accept", " x ", "user-agent", "curl")})
	c.WriteWindowUpdate(1, 500)
	s.headers(1, false, ":status", "200", "server", "s/1", "set-cookie", "c")
	s.WriteDataPadded(1, true, []byte("hello"), make([]byte, 9))
	done := transactions(t, c.take(apptest.C), s.take(apptest.S))
	if len(done) != 2 {
		t.Fatalf("%d transactions", len(done))
	}
	settings, tx := &done[0], &done[1]
	if got := numbers(settings, applayer.HTTP2Settings); !slices.Equal(got, []uint64{3<<32 | 100}) {
		t.Errorf("settings %v", got)
	}
	for b, want := range map[applayer.Buffer]string{
		applayer.HTTP2Method: "GET", applayer.HTTP2URI: "/a?B", applayer.HTTP2URIRaw: "/a?B", applayer.HTTP2Version: "HTTP/2",
		applayer.HTTP2Line: "GET /a?B HTTP/2\r\n", applayer.HTTP2Host: "www.example.com", applayer.HTTP2HostRaw: "WWW.Example.com:80",
		applayer.HTTP2Cookie: "a, b", applayer.HTTP2UserAgent: "curl", applayer.HTTP2Accept: " x ",
		applayer.HTTP2Header:           ":method: GET\r\n:path: /a?B\r\n:authority: WWW.Example.com:80\r\naccept: x\r\nuser-agent: curl\r\n",
		applayer.HTTP2ReplyHeaderNames: "\r\n:status\r\nserver\r\nset-cookie\r\n\r\n",
		applayer.HTTP2ReplyHeaderRaw:   ":status: 200\r\nserver: s/1\r\nset-cookie: c\r\n", applayer.HTTP2ReplyHeader: ":status: 200\r\nserver: s/1\r\n",
		applayer.HTTP2StatCode: "200", applayer.HTTP2StatMsg: "", applayer.HTTP2StatusLine: "HTTP/2 200\r\n", applayer.HTTP2Server: "s/1",
		applayer.HTTP2ReplyCookie: "c", applayer.HTTP2ReplyBody: "hello", applayer.HTTP2ReplyFileData: "hello",
	} {
		if got := values(tx, b); !slices.Equal(got, []string{want}) {
			t.Errorf("%v: %q, want %q", b, got, want)
		}
	}
	if got := values(tx, applayer.HTTP2ReplyHeaderField); !slices.Equal(got, []string{":status: 200", "server: s/1", "set-cookie: c"}) {
		t.Errorf("fields %q", got)
	}
	if got := values(tx, applayer.HTTP2Referer); got != nil {
		t.Errorf("referer %q", got)
	}
	for n, want := range map[applayer.Number][]uint64{
		applayer.HTTP2FrameType: {Headers, WindowUpdate}, applayer.HTTP2ReplyFrameType: {Data, Headers}, applayer.HTTP2Window: {500},
		applayer.HTTP2Priority: {9},
	} {
		if got := numbers(tx, n); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", n, got, want)
		}
	}
	if f := tx.File(packet.ToClient, 0); f == nil || f.Size != 5 || tx.File(packet.ToClient, 1) != nil || tx.File(packet.ToServer, 0) != nil {
		t.Errorf("the answer's file is %+v", f)
	}
}

// TestRequestIsReady: rules about a request wait until it is whole, or its data begin, however late that
// is, and those about frames do not.
func TestRequestIsReady(t *testing.T) {
	c, s := newPeer(true), newPeer(false)
	c.headers(1, false, ":method", "POST", ":path", "/")
	first := c.take(apptest.C)
	c.WriteData(1, true, []byte("x"))
	s.headers(1, true, ":status", "204")
	got := hooksOf(apptest.Follow(t, &Parser{}, packet.ProtoTCP, 1<<20, first, c.take(apptest.C), s.take(apptest.S)))
	want := "http2_request_frames file_done-data http2_request_frames http2_request http2_response_frames http2_response tx_done"
	want = strings.Replace(want, "file_done-data", "http2_request_data file_done", 1)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// hooksOf returns the names of the hooks in a log.
func hooksOf(log string) string {
	var names []string
	for line := range strings.Lines(log) {
		names = append(names, strings.Fields(line)[0])
	}
	return strings.Join(names, " ")
}

// TestSection: a header section can come in several frames, with others of other streams around it.
func TestSection(t *testing.T) {
	c := newPeer(true)
	block := c.section(":method", "GET", ":path", "/long/enough/to/be/cut", "x", "y")
	c.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndStream: true, BlockFragment: block[:3], PadLength: 2, Priority: xhttp2.PriorityParam{Weight: 1}})
	c.WriteContinuation(1, false, block[3:8])
	c.WriteContinuation(1, true, block[8:])
	c.headers(3, true, ":method", "GET", ":path", "/long/enough/to/be/cut")
	done := transactions(t, c.take(apptest.C))
	for i := range done {
		if got := values(&done[i], applayer.HTTP2URI); !slices.Equal(got, []string{"/long/enough/to/be/cut"}) {
			t.Errorf("stream %d: %q", done[i].Stream, got)
		}
	}
	if len(done) != 2 {
		t.Errorf("%d transactions", len(done))
	}
}

// TestPush: what a server promises is of the stream that it promises.
func TestPush(t *testing.T) {
	c, s := newPeer(true), newPeer(false)
	c.headers(1, true, ":method", "GET", ":path", "/")
	block := s.section(":method", "GET", ":path", "/pushed")
	s.WritePushPromise(xhttp2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: block[:2]})
	s.WriteContinuation(1, true, block[2:])
	s.headers(2, false, ":status", "200")
	s.WriteData(2, true, []byte("pushed"))
	done := transactions(t, c.take(apptest.C), s.take(apptest.S))
	if len(done) != 2 || done[1].Stream != 2 {
		t.Fatalf("%d transactions", len(done))
	}
	if got := values(&done[1], applayer.HTTP2ReplyHeaderField); !slices.Equal(got, []string{":method: GET", ":path: /pushed", ":status: 200"}) {
		t.Errorf("%q", got)
	}
	if f := done[1].File(packet.ToClient, 0); f == nil || f.Size != 6 || f.State != file.Closed {
		t.Errorf("file %+v", f)
	}
}

func TestAnomalies(t *testing.T) {
	raw := func(kind xhttp2.FrameType, stream uint32, payload string) func(*peer) {
		return func(p *peer) { p.WriteRawFrame(kind, 0, stream, []byte(payload)) }
	}
	fields := func(list ...string) func(*peer) { return func(p *peer) { p.headers(1, true, list...) } }
	block := func(b string) func(*peer) {
		return func(p *peer) {
			p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: []byte(b)})
		}
	}
	for name, tt := range map[string]struct {
		send func(*peer)
		want []applayer.Anomaly
	}{
		"none":              {fields(":authority", "a:1", "host", "A:1"), nil},
		"another host":      {fields(":authority", "a", "host", "b"), []applayer.Anomaly{applayer.AnomalyHTTP2AuthorityHostMismatch}},
		"user":              {fields(":authority", "me@a"), []applayer.Anomaly{applayer.AnomalyHTTP2UserinfoInURI}},
		"window update":     {raw(WindowUpdate, 1, "\x00\x00\x01"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidFrameLength}},
		"reset":             {raw(RSTStream, 1, "\x00\x00\x00\x00\x00"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidFrameLength}},
		"priority":          {raw(Priority, 1, ""), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidFrameLength}},
		"goaway":            {raw(GoAway, 0, "\x00\x00\x00\x00"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidFrameLength}},
		"index 0":           {block("\x80"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidHeader}},
		"no such index":     {block("\xbe"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidHeader}},
		"cut short":         {block("\x40\x05abc"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidFrameData}},
		"too large":         {block("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidHeader}},
		"more behind":       {block("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x82"), []applayer.Anomaly{applayer.AnomalyHTTP2ExtraHeaderData, applayer.AnomalyHTTP2InvalidHeader}},
		"no room for a pad": {func(p *peer) { p.WriteRawFrame(Headers, flagPadded|flagEndHeaders, 1, []byte{5, 1, 2}) }, []applayer.Anomaly{applayer.AnomalyHTTP2InvalidFrameData}},
		"promise":           {raw(PushPromise, 1, "\x00\x00"), []applayer.Anomaly{applayer.AnomalyHTTP2InvalidFrameData}},
		"long":              {raw(Ping, 0, strings.Repeat("x", 70000)), []applayer.Anomaly{applayer.AnomalyHTTP2LongFrameData}},
		"long section": {func(p *peer) {
			p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 60000)})
			p.WriteContinuation(1, false, make([]byte, 60000))
		}, []applayer.Anomaly{applayer.AnomalyHTTP2ReassemblyLimitReached}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newPeer(true)
			tt.send(c)
			done := transactions(t, c.take(apptest.C))
			if len(done) != 1 || !slices.Equal(done[0].Anomalies, tt.want) {
				t.Errorf("%d transactions, %v; want %v", len(done), done[0].Anomalies, tt.want)
			}
		})
	}
}

func TestRange(t *testing.T) {
	for value, bad := range map[string]bool{"bytes 0-4/10": false, "bytes */10": false, "bytes 5-1/10": true, "half": true} {
		c, s := newPeer(true), newPeer(false)
		c.headers(1, true, ":method", "GET")
		s.headers(1, false, ":status", "206", "content-range", value)
		s.WriteData(1, true, []byte("hello"))
		done := transactions(t, c.take(apptest.C), s.take(apptest.S))
		if got := slices.Contains(done[0].Anomalies, applayer.AnomalyHTTP2InvalidRange); got != bad {
			t.Errorf("%s: %v", value, done[0].Anomalies)
		}
	}
}

// TestReuse: streams that both sides have closed take few frames more.
func TestReuse(t *testing.T) {
	c, s := newPeer(true), newPeer(false)
	c.headers(1, true, ":method", "GET")
	s.headers(1, true, ":status", "204")
	s.WriteRSTStream(1, xhttp2.ErrCodeNo)
	s.headers(1, true, ":status", "200")
	log := apptest.Follow(t, &Parser{}, packet.ProtoTCP, 1<<20, c.take(apptest.C), s.take(apptest.S))
	if n := strings.Count(log, "!http2.stream_id_reuse"); n == 0 || strings.Count(log, "tx_done") != 1 {
		t.Error(log)
	}
}

func TestContentEncoding(t *testing.T) {
	text := bytes.Repeat([]byte("a text that is long enough to be compressed. "), 40)
	compress := func(w func(io.Writer) io.WriteCloser) []byte {
		var b bytes.Buffer
		z := w(&b)
		z.Write(text)
		z.Close()
		return b.Bytes()
	}
	raw := compress(func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, 9); return z })
	for name, tt := range map[string]struct {
		encoding string
		data     []byte
		want     []byte
		anomaly  bool
	}{
		"identity": {"identity", text, text, false},
		"gzip":     {"gzip", compress(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }), text, false},
		"deflate":  {"deflate", raw, text, false},
		"zlib":     {"deflate", compress(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }), text, false},
		"br":       {"br", []byte("\x0b\x02\x80abc\x03"), []byte("\x0b\x02\x80abc\x03"), false},
		"not gzip": {"gzip", []byte("plain text"), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newPeer(true), newPeer(false)
			c.headers(1, true, ":method", "GET")
			s.headers(1, false, ":status", "200", "content-encoding", tt.encoding)
			s.WriteData(1, false, tt.data[:5])
			s.WriteData(1, true, tt.data[5:])
			done := transactions(t, c.take(apptest.C), s.take(apptest.S))
			if got, _ := done[0].Value(applayer.HTTP2ReplyFileData, 0); !bytes.Equal(got, tt.want) {
				t.Errorf("%q", got)
			}
			if f := done[0].File(packet.ToClient, 0); f.Size != uint64(len(tt.want)) || f.State != file.Closed {
				t.Errorf("file %+v", f)
			}
			if got := slices.Contains(done[0].Anomalies, applayer.AnomalyHTTP2FailedDecompression); got != tt.anomaly {
				t.Errorf("anomalies %v", done[0].Anomalies)
			}
		})
	}
}

// TestLargeData: rules look at all of a large body, in parts that overlap, and no more than some parts
// are held.
func TestLargeData(t *testing.T) {
	c, s := newPeer(true), newPeer(false)
	c.headers(1, true, ":method", "GET")
	s.headers(1, false, ":status", "200", "content-encoding", "gzip")
	text := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(text)
	z.Close()
	s.WriteRawFrame(Data, flagEndStream, 1, zipped.Bytes())
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	c2s, s2c := c.Bytes(), s.Bytes()
	p.Data(&out, packet.ToServer, c2s)
	for range out.Take {
	}
	seen := 0
	for len(s2c) > 0 {
		n := p.Data(&out, packet.ToClient, s2c)
		if n == 0 {
			t.Fatalf("%d bytes left", len(s2c))
		}
		s2c = s2c[n:]
		for ev := range out.Take {
			if ev.Hook != applayer.HTTP2ResponseData {
				continue
			}
			part, _ := ev.Tx.Value(applayer.HTTP2ReplyFileData, 0)
			from, _ := ev.Tx.Piece(applayer.HTTP2ReplyFileData, 0)
			if from > seen || from+len(part) < seen || !bytes.Equal(part, text[from:from+len(part)]) {
				t.Fatalf("%d bytes from %d on, behind %d", len(part), from, seen)
			}
			seen = from + len(part)
		}
		p.Release()
		if p.Memory() > 400<<10 {
			t.Fatalf("%d bytes held", p.Memory())
		}
	}
	if seen != len(text) {
		t.Errorf("%d bytes seen", seen)
	}
}

// TestBomb: what decompresses to far more than it was is left alone.
func TestBomb(t *testing.T) {
	var zipped bytes.Buffer
	z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	z.Write(make([]byte, 64<<20))
	z.Close()
	c, s := newPeer(true), newPeer(false)
	c.headers(1, true, ":method", "GET")
	s.headers(1, false, ":status", "200", "content-encoding", "gzip")
	s.WriteRawFrame(Data, flagEndStream, 1, zipped.Bytes())
	done := transactions(t, c.take(apptest.C), s.take(apptest.S))
	if f := done[0].File(packet.ToClient, 0); f.Size > 2<<20 || !slices.Contains(done[0].Anomalies, applayer.AnomalyHTTP2FailedDecompression) {
		t.Errorf("%d bytes, %v", f.Size, done[0].Anomalies)
	}
}

// TestStreamsAreBounded: of more streams than there may be, the oldest are given up, and told.
func TestStreamsAreBounded(t *testing.T) {
	c := newPeer(true)
	for i := range uint32(maxStreams + 10) {
		c.headers(2*i+1, false, ":method", "GET")
	}
	p := &Parser{}
	log := apptest.Follow(t, p, packet.ProtoTCP, 1<<20, c.take(apptest.C))
	if n := strings.Count(log, "anomaly_seen"); n != 10 || strings.Count(log, "tx_done") != maxStreams+10 {
		t.Errorf("%d are told of %d", n, strings.Count(log, "tx_done"))
	}
	p.Reset(packet.ProtoTCP)
	if p.Memory() > 40<<10 {
		t.Errorf("%d bytes held", p.Memory())
	}
}

// TestFieldsAreBounded: a field that costs a byte to send again and again ends the connection.
func TestFieldsAreBounded(t *testing.T) {
	c := newPeer(true)
	block := c.section("x", strings.Repeat("y", 4000))
	c.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: append(block, bytes.Repeat([]byte{0x80 | 62}, 10000)...)})
	p := &Parser{}
	log := apptest.Follow(t, p, packet.ProtoTCP, 1<<20, c.take(apptest.C))
	if !strings.Contains(log, "parser_failed") || !p.Done() || p.Memory() > 2*maxText {
		t.Errorf("%d bytes held: %.200s", p.Memory(), log)
	}
}

// TestBurst: where packets wait for rules, these are not given what one packet decompresses to again with each part of it.
func TestBurst(t *testing.T) {
	var z bytes.Buffer
	w, err := zlib.NewWriterLevel(&z, 9)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(make([]byte, bombSize))
	w.Close()
	c, s := newPeer(true), newPeer(false)
	c.headers(1, true, ":method", "GET")
	s.headers(1, false, ":status", "200", "content-encoding", "deflate")
	s.WriteData(1, true, z.Bytes())
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	out := applayer.Sink{Inline: true}
	p.Data(&out, packet.ToServer, c.Bytes())
	looked, end := 0, 0
	for b := s.Bytes(); len(b) > 0; {
		n := p.Data(&out, packet.ToClient, b)
		for ev := range out.Take {
			if ev.Hook != applayer.HTTP2ResponseData {
				continue
			}
			v, _ := ev.Tx.Value(applayer.HTTP2ReplyFileData, 0)
			from, _ := ev.Tx.Piece(applayer.HTTP2ReplyFileData, 0)
			if from > max(0, end-contentBefore) {
				t.Fatalf("a part begins at %d, the one before ended at %d", from, end)
			}
			looked, end = looked+len(v), from+len(v)
		}
		if b = b[n:]; n == 0 {
			t.Fatalf("%d bytes left", len(b))
		}
	}
	if end != bombSize || looked > 3*bombSize {
		t.Errorf("rules looked at %d bytes, up to %d", looked, end)
	}
}

// TestSizeUpdates: rules find each of very many in time that does not depend on how many there are.
func TestSizeUpdates(t *testing.T) {
	c := newPeer(true)
	c.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: bytes.Repeat([]byte{0x21}, maxFields)})
	c.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 3, EndHeaders: true, BlockFragment: []byte{0x21, 0x82, 0x22, 0x40}}) // cut short
	c.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 3, EndHeaders: true, BlockFragment: []byte{0x82, 0x23, 0x82, 0x24}})
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	p.Data(&out, packet.ToServer, c.Bytes())
	if got := numbers(p.streams[3], applayer.HTTP2SizeUpdate); !slices.Equal(got, []uint64{3, 4}) {
		t.Errorf("size updates %d", got)
	}
	start := time.Now()
	for range 100 {
		if got := numbers(p.streams[1], applayer.HTTP2SizeUpdate); len(got) != maxFields {
			t.Fatalf("%d size updates", len(got))
		}
	}
	if d := time.Since(start); d > 300*time.Millisecond { // 7 ms each if they were looked for anew
		t.Errorf("finding the size updates took %v", d/100)
	}
}

// TestFramesAfterTheEnd: a stream that is over stays while a frame is under way that began behind its end: what is left of
// the frame is no part of the stream that comes next.
func TestFramesAfterTheEnd(t *testing.T) {
	for name, after := range map[string]func(*peer){
		"data": func(s *peer) { s.WriteRawFrame(Data, flagEndStream, 1, bytes.Repeat([]byte("x"), longFrame+1)) },
		"fields": func(s *peer) {
			s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: s.section("late", "1")})
			s.WriteContinuation(1, true, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newPeer(true), newPeer(false)
			c.headers(1, true, ":method", "GET")
			s.headers(1, true, ":status", "200")
			before := s.Len()
			after(s)
			cut := s.Len() - headerSize // in the data, or before the last frame
			c2, s2 := newPeer(false), newPeer(false)
			c2.headers(3, true, ":method", "GET")
			s2.headers(3, true, ":status", "204")
			c2.headers(5, true, ":method", "GET")
			p := &Parser{}
			p.Reset(packet.ProtoTCP)
			var out applayer.Sink
			done := map[uint32]int{}
			feed := func(dir packet.Dir, b []byte) {
				for len(b) > 0 {
					n := p.Data(&out, dir, b)
					for ev := range out.Take {
						if ev.Hook == applayer.TxDone {
							done[ev.Tx.(*Tx).Stream]++
						}
					}
					if b = b[n:]; n == 0 {
						t.Fatalf("%d bytes left", len(b))
					}
				}
			}
			feed(packet.ToServer, c.Bytes())
			feed(packet.ToClient, s.Bytes()[:before])
			feed(packet.ToClient, s.Bytes()[before:cut])
			p.Release()
			feed(packet.ToServer, c2.Bytes())
			feed(packet.ToClient, s.Bytes()[cut:])
			if t3 := p.streams[3]; t3 == nil || t3.state != clientClosed || len(t3.sides[packet.ToClient].fields) > 0 || t3.File(packet.ToClient, 0) != nil {
				t.Errorf("stream 3 is %+v", t3)
			}
			feed(packet.ToClient, s2.Bytes())
			p.Release()
			if p.live != 1 || p.oldest != p.streams[5] || len(p.free) > maxFree || done[1] != 1 || done[3] != 1 || len(done) != 2 {
				t.Errorf("%d live, %d free, done %v", p.live, len(p.free), done)
			}
			for i, a := range p.free {
				if slices.Contains(p.free[:i], a) || a == p.oldest {
					t.Error("a transaction is free and in use")
				}
			}
		})
	}
}

func TestGap(t *testing.T) {
	for name, tt := range map[string]struct {
		at, n  int
		failed bool
	}{"in data": {20, 30, false}, "across frames": {20, 200, true}} {
		t.Run(name, func(t *testing.T) {
			c, s := newPeer(true), newPeer(false)
			c.headers(1, true, ":method", "GET")
			s.headers(1, false, ":status", "200")
			head := s.Len() + headerSize
			s.WriteRawFrame(Data, flagEndStream, 1, bytes.Repeat([]byte("x"), longFrame+1)) // read as it comes
			p := &Parser{}
			p.Reset(packet.ProtoTCP)
			var out applayer.Sink
			var f *file.File
			failed := false
			take := func() {
				for ev := range out.Take {
					failed = failed || ev.Hook == applayer.ParserFailed
					if ev.Hook == applayer.FileDone {
						f = ev.File
					}
				}
			}
			feed := func(dir packet.Dir, b []byte) {
				for len(b) > 0 && !p.Done() {
					n := p.Data(&out, dir, b)
					take()
					if b = b[n:]; n == 0 {
						t.Fatalf("%d bytes left", len(b))
					}
				}
			}
			feed(packet.ToServer, c.Bytes())
			stream := s.Bytes()
			feed(packet.ToClient, stream[:head+tt.at])
			lost := tt.n
			if tt.failed {
				lost = len(stream)
			}
			p.Gap(&out, packet.ToClient, lost)
			take()
			if !tt.failed {
				feed(packet.ToClient, stream[head+tt.at+lost:])
			}
			if failed != tt.failed || f == nil || !failed && (f.State != file.Truncated || !f.Gaps || f.Size != longFrame+1) {
				t.Errorf("failed %v, file %+v", failed, f)
			}
		})
	}
}

// TestGapBehindTheEnd: what is lost of data that follow the end of a file is no part of it.
func TestGapBehindTheEnd(t *testing.T) {
	s := newPeer(false)
	s.WriteData(1, true, []byte("whole"))
	s.WriteRawFrame(Data, 0, 1, make([]byte, longFrame+1))
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	for b := s.Bytes()[:100]; len(b) > 0; {
		b = b[p.Data(&out, packet.ToClient, b):]
	}
	f := p.streams[1].File(packet.ToClient, 0)
	p.Gap(&out, packet.ToClient, 1000)
	if f.State != file.Closed || f.Size != 5 || f.Gaps {
		t.Errorf("file %+v", f)
	}
}

// TestNoAllocations: one request after the other takes no memory that was not there.
func TestNoAllocations(t *testing.T) {
	c, s := newPeer(true), newPeer(false)
	next := func(stream uint32) (request, response []byte) {
		c.Reset()
		s.Reset()
		c.headers(stream, true, ":method", "GET", ":path", "/", ":authority", "example.com", "user-agent", "curl/8")
		s.headers(stream, false, ":status", "200", "server", "s")
		s.WriteData(stream, true, []byte("hello"))
		return slices.Clone(c.Bytes()), slices.Clone(s.Bytes())
	}
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	p.Data(&out, packet.ToServer, []byte(preface))
	stream := uint32(1)
	var turns [][2][]byte
	for range 1100 {
		a, b := next(stream)
		turns = append(turns, [2][]byte{a, b})
		stream += 2
	}
	i := 0
	allocs := testing.AllocsPerRun(1000, func() {
		for dir, b := range turns[i] {
			if n := p.Data(&out, packet.Dir(dir), b); n != len(b) {
				t.Fatalf("%d of %d bytes", n, len(b))
			}
			for ev := range out.Take {
				if ev.Hook == applayer.HTTP2Request {
					ev.Tx.Value(applayer.HTTP2Host, 0)
				}
			}
			p.Release()
		}
		i++
	})
	if allocs > 0 {
		t.Errorf("%v allocations a request", allocs)
	}
}

func FuzzConnection(f *testing.F) {
	c, s := newPeer(true), newPeer(false)
	c.WriteSettings(xhttp2.Setting{ID: 1, Val: 100})
	c.headers(1, false, ":method", "POST", ":path", "/", "content-encoding", "deflate")
	c.WriteDataPadded(1, true, []byte("\x4b\x4c\x04\x00"), make([]byte, 3))
	s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: s.section(":status", "200", "x", "y")[:2]})
	s.WriteContinuation(1, true, []byte{0x40, 1, 'a', 1, 'b', 0x20})
	s.WriteGoAway(1, xhttp2.ErrCodeNo, nil)
	f.Add(c.Bytes(), s.Bytes())
	// A section begins on a stream that was over in the same packet, of 500 bytes, and goes on in the next.
	c, s = newPeer(true), newPeer(false)
	c.headers(1, true, ":method", "GET")
	s.headers(1, true, ":status", "200")
	for range maxTouched {
		s.WriteSettings(xhttp2.Setting{ID: 1, Val: 100})
	}
	late := s.section("late", "1")
	s.WriteRawFrame(Ping, 0, 0, make([]byte, 500-s.Len()-2*headerSize-len(late)))
	s.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: late})
	s.WriteContinuation(1, true, nil)
	f.Add(c.Bytes(), s.Bytes())
	f.Add([]byte(preface+"\x01\x00\x00\x00\x01\x00\x00\x00\x01abc"), []byte("\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, client, server []byte) {
		started := func(step int) string {
			p := &Parser{}
			apptest.Follow(t, p, packet.ProtoTCP, step, apptest.C(string(client)), apptest.S(string(server)))
			if p.Memory() > 2*maxMemory {
				t.Fatalf("%d bytes held", p.Memory())
			}
			return fmt.Sprint(p.nextID, p.failed)
		}
		if whole, pieces := started(1<<20), started(1); whole != pieces {
			t.Fatalf("%s transactions and failure whole, %s by bytes", whole, pieces)
		}
		for _, step := range []int{30, 500} {
			release(t, step, client, server)
		}
	})
}

// release gives a parser the two sides by turns, in packets of step bytes each, after which transactions that are over are
// used again.
func release(t *testing.T, step int, sides ...[]byte) {
	p := &Parser{}
	p.Reset(packet.ProtoTCP)
	var out applayer.Sink
	var ends [2]int
	for ends[0] < len(sides[0]) || ends[1] < len(sides[1]) {
		for dir := range sides {
			ends[dir] = min(ends[dir]+step, len(sides[dir]))
			for n := 1; n > 0 && !p.failed; {
				n = p.Data(&out, packet.Dir(dir), sides[dir][:ends[dir]])
				for range out.Take {
				}
				sides[dir], ends[dir] = sides[dir][n:], ends[dir]-n
			}
			p.Release()
		}
		if p.failed {
			break
		}
		live := 0
		for tx := p.oldest; tx != nil && live <= p.live; tx = tx.next {
			live++
			if tx.finished || slices.Contains(p.free, tx) {
				t.Fatalf("stream %d is over, and under way", tx.Stream)
			}
		}
		if live != p.live {
			t.Fatalf("%d transactions are under way, not %d", live, p.live)
		}
		for i, tx := range p.free {
			if slices.Contains(p.free[:i], tx) || p.busy(tx) {
				t.Fatal("a transaction is free, and in use")
			}
		}
	}
	p.Reset(packet.ProtoTCP)
	if p.held != 0 || p.Memory() > 40<<10 {
		t.Fatalf("%d bytes are held at last, %d of transactions", p.Memory(), p.held)
	}
}
