package http

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// turn is what one side sends before the other speaks.
type turn struct {
	dir  packet.Dir
	data string
}

func c(data string) turn { return turn{packet.ToServer, data} }
func s(data string) turn { return turn{packet.ToClient, data} }

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// conversation drives a parser as a Session does.
type conversation struct {
	p    Parser
	out  applayer.Sink
	held [2][]byte
	see  func(applayer.Event)
}

func (v *conversation) data(dir packet.Dir, data []byte) {
	h := data
	if len(v.held[dir]) > 0 {
		h = append(v.held[dir], data...)
	}
	for len(h) > 0 && !v.p.Done() {
		n := v.p.Data(&v.out, dir, h)
		v.take()
		h = h[n:]
		if n == 0 {
			break
		}
	}
	v.held[dir] = append(v.held[dir][:0], h...)
}

func (v *conversation) take() {
	for ev := range v.out.Take {
		if v.see != nil {
			v.see(ev)
		}
	}
}

func (v *conversation) end() {
	for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
		v.p.End(&v.out, dir)
		v.take()
	}
}

// run gives the turns to a parser in pieces of at most step bytes, a packet each.
func run(step int, see func(applayer.Event), turns ...turn) *conversation {
	v := &conversation{see: see, out: applayer.Sink{Digests: true}}
	for _, t := range turns {
		for data := []byte(t.data); len(data) > 0; {
			n := min(step, len(data))
			v.data(t.dir, data[:n])
			v.p.Release()
			data = data[n:]
		}
	}
	v.end()
	return v
}

// summary is what is known of each transaction when it is logged: start lines, status and anomalies,
// and each file.
func summary(step int, turns ...turn) (lines []string) {
	run(step, func(ev applayer.Event) {
		switch ev.Hook {
		case applayer.TxDone:
			t := ev.Tx.(*Tx)
			method, _ := t.Value(applayer.HTTPMethod, 0)
			uri, _ := t.Value(applayer.HTTPURI, 0)
			status, _ := t.StatusNumber()
			line := fmt.Sprintf("%d %s %s %s %d %d", t.ID, method, uri, t.Host(), status, t.Length())
			for _, a := range t.Anomalies {
				line += " !" + strings.TrimPrefix(a.String(), "http.")
			}
			lines = append(lines, line)
		case applayer.FileDone:
			lines = append(lines, fmt.Sprintf("file %v %s %d %v %v", ev.Dir, ev.File.Name, ev.File.Size, ev.File.State, ev.File.Gaps))
		case applayer.ParserFailed:
			lines = append(lines, "failed")
		}
	}, turns...)
	return lines
}

func gz(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func response(fields, body string) turn {
	return s(fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(body), body))
}

func TestConversations(t *testing.T) {
	get := c("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
	for name, test := range map[string]struct {
		turns []turn
		want  []string
	}{
		"plain": {[]turn{get, s(ok)}, []string{"file to_client /a 2 CLOSED false", "0 GET /a a 200 2"}},
		"pipelined": {[]turn{c(get.data + strings.ReplaceAll(get.data, "/a", "/b")), s(ok + ok)}, []string{
			"file to_client /a 2 CLOSED false", "0 GET /a a 200 2", "file to_client /b 2 CLOSED false", "1 GET /b a 200 2"}},
		"to the end of the connection": {[]turn{get, s("HTTP/1.0 200 OK\r\n\r\nbody")}, []string{"file to_client /a 4 CLOSED false", "0 GET /a a 200 4"}},
		"no body":                      {[]turn{c("HEAD /a HTTP/1.0\r\n\r\n"), s("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), get, s("HTTP/1.1 304 x\r\n\r\n")}, []string{"0 HEAD /a  200 0", "1 GET /a a 304 0"}},
		"chunks":                       {[]turn{get, s("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n 03 \r\nabc\r\n0\r\nT: x\r\n\r\n")}, []string{"file to_client /a 5 CLOSED false", "0 GET /a a 200 21"}},
		"no chunks after all":          {[]turn{get, s("HTTP/1.0 200 OK\r\nTransfer-Encoding: x chunked\r\n\r\n2\r\nok\r\nwhat")}, []string{"file to_client /a 6 CLOSED false", "0 GET /a a 200 12 !response_abnormal_transfer_encoding !response_chunked_old_proto !invalid_response_chunk_len"}},
		"uploaded":                     {[]turn{c("PUT /up?x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2;e\r\nok\r\n0\r\n\r\n"), s(ok)}, []string{"file to_server /up 2 CLOSED false", "file to_client /up 2 CLOSED false", "0 PUT /up?x  200 2 !invalid_transfer_encoding_value_in_request !request_chunk_extension !invalid_transfer_encoding_value_in_request !invalid_transfer_encoding_value_in_request"}},
		"HTTP/0.9":                     {[]turn{c("GET /x\r\n"), s("body")}, []string{"file to_client /x 4 CLOSED false", "0 GET /x  0 4"}},
		"no version, but fields":       {[]turn{c("GET /x\r\nHost: a\r\n\r\n"), s(ok)}, []string{"file to_client /x 2 CLOSED false", "0 GET /x a 200 2"}},
		"no request":                   {[]turn{s(ok)}, []string{"file to_client /libhtp::request_uri_not_seen 2 CLOSED false", "0  /libhtp::request_uri_not_seen  200 2 !unable_to_match_response_to_request"}},
		"no status line":               {[]turn{get, s("what is this\r\n")}, []string{"file to_client /a 14 CLOSED false", "0 GET /a a 0 14"}},
		"continue":                     {[]turn{c("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), s("HTTP/1.1 100 Continue\r\n\r\n"), c("ab"), s(ok)}, []string{"file to_server /p 2 CLOSED false", "file to_client /p 2 CLOSED false", "0 POST /p a 200 2"}},
		"refused body":                 {[]turn{c("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), s("HTTP/1.1 417 x\r\nContent-Length: 0\r\n\r\n"), get, s(ok)}, []string{"0 POST /p a 417 0", "file to_client /a 2 CLOSED false", "1 GET /a a 200 2"}},
		"tunnel":                       {[]turn{c("CONNECT a:443 HTTP/1.0\r\n\r\n"), s("HTTP/1.1 200 OK\r\n\r\n"), get, s(ok)}, []string{"0 CONNECT  a 200 0"}},
		"no tunnel":                    {[]turn{c("CONNECT a:443 HTTP/1.0\r\n\r\n"), s("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), get, s(ok)}, []string{"0 CONNECT  a 403 0", "file to_client /a 2 CLOSED false", "1 GET /a a 200 2"}},
		"second tunnel, of HTTP":       {[]turn{get, s("HTTP/1.1 204 x\r\n\r\n"), c("CONNECT A.b:8 HTTP/1.1\r\nHost: A.b:8\r\n\r\n"), s("HTTP/1.1 200 OK\r\n\r\n"), get, s(ok)}, []string{"0 GET /a a 204 0", "1 CONNECT  a.b 200 0", "file to_client /a 2 CLOSED false", "2 GET /a a 200 2"}},
		"second tunnel":                {[]turn{get, s("HTTP/1.1 204 x\r\n\r\n"), c("CONNECT a:443 HTTP/1.0\r\n\r\n"), s("HTTP/1.1 200 OK\r\n\r\n"), c("\x16\x03\x01\n")}, []string{"0 GET /a a 204 0", "1 CONNECT  a 200 0"}},
		"switched":                     {[]turn{c("GET /w HTTP/1.0\r\nUpgrade: websocket\r\n\r\n"), s("HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n\x81\x00")}, []string{"0 GET /w  101 0"}},
		"switched to HTTP/2":           {[]turn{c("GET /w HTTP/1.0\r\nUpgrade: h2c\r\n\r\n"), s("HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n"), c("PRI * HTTP/2.0\r\n\r\n")}, []string{"0 GET /w  101 0"}},
		"unfinished":                   {[]turn{c("POST /p HTTP/1.0\r\nContent-Length: 9\r\n\r\nabc")}, []string{"file to_server /p 3 TRUNCATED false", "0 POST /p  0 0"}},
		"unfinished response":          {[]turn{get, s("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")}, []string{"file to_client /a 3 CLOSED false", "0 GET /a a 200 3"}},
		"wrong length":                 {[]turn{c("POST /p HTTP/1.0\r\nContent-Length: x\r\n\r\n")}, []string{"failed", "0 POST /p  0 0 !invalid_content_length_field_in_request"}},
		"two lengths":                  {[]turn{get, s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok")}, []string{"file to_client /a 2 CLOSED false", "0 GET /a a 200 2 !duplicate_content_length_field_in_response"}},
		"odd fields": {[]turn{c("GET /a HTTP/1.1\r\n folded\r\nHost: b!\r\nX Y : z\r\nnone\r\nAuthorization: x\r\n\r\n"), s("HTTP/7 1\r\n: x\r\n\r\n")}, []string{
			"0 GET /a b! 1 0 !invalid_request_field_folding !request_field_missing_colon !request_header_invalid !request_header_host_invalid !request_auth_unrecognized !request_header_host_invalid !request_auth_unrecognized !response_invalid_protocol !response_invalid_status"}},
		"two hosts":      {[]turn{c("GET http://b:80/ HTTP/1.1\r\nHost: c\r\n\r\n"), s(ok)}, []string{"file to_client / 2 CLOSED false", "0 GET / b 200 2 !host_header_ambiguous !host_header_ambiguous"}},
		"gzip":           {[]turn{get, response("Content-Encoding: gzip\r\n", gz("hello"))}, []string{"file to_client /a 5 CLOSED false", fmt.Sprintf("0 GET /a a 200 %d", len(gz("hello")))}},
		"gzip, twice":    {[]turn{get, response("Content-Encoding: gzip, gzip\r\n", gz(gz("hello")))}, []string{"file to_client /a 5 CLOSED false", fmt.Sprintf("0 GET /a a 200 %d", len(gz(gz("hello"))))}},
		"called deflate": {[]turn{get, response("Content-Encoding: deflate\r\n", gz("hello"))}, []string{"file to_client /a 5 CLOSED false", fmt.Sprintf("0 GET /a a 200 %d !gzip_decompression_failed", len(gz("hello")))}},
		"called gzip":    {[]turn{get, response("Content-Encoding: gzip\r\n", "hello world")}, []string{"file to_client /a 11 CLOSED false", "0 GET /a a 200 11 !gzip_decompression_failed"}},
		"a bomb":         {[]turn{get, response("Content-Encoding: gzip, gzip\r\n", gz(gz(strings.Repeat("\x00", 20<<20))))}, []string{"file to_client /a 102400 TRUNCATED false", fmt.Sprintf("0 GET /a a 200 %d !compression_bomb", len(gz(gz(strings.Repeat("\x00", 20<<20)))))}},
		"a large body":   {[]turn{get, response("", strings.Repeat("x", 150000))}, []string{"file to_client /a 102400 TRUNCATED false", "0 GET /a a 200 150000"}},
		"a form": {[]turn{c(form("--b\r\nContent-Disposition: form-data; name=f\r\n\r\nv\r\n--b\r\nContent-Disposition: form-data; filename=\"one;.txt\"\r\nno colon\r\n\r\nfirst\r\n--b\r\ncontent-disposition: x; filename=two\r\n\r\n\r\n--b--\r\n")), s(ok)}, []string{
			"file to_server one;.txt 5 CLOSED false", "file to_server two 0 CLOSED false", "file to_client /f 2 CLOSED false", "0 POST /f  200 2 !multipart_invalid_header"}},
		"a form without an end": {[]turn{c(form("--b\r\nContent-Disposition: x; filename=n\r\n\r\nfirst\r\n-")), s(ok)}, []string{"file to_server n 5 CLOSED false", "file to_client /f 2 CLOSED false", "0 POST /f  200 2"}},
		"named by the server":   {[]turn{get, response("Content-Disposition: attachment; filename=\"f.exe\"\r\nContent-Range: bytes 0-1/9\r\n", "MZ")}, []string{"file to_client f.exe 2 CLOSED false", "0 GET /a a 200 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			steps := []int{1 << 30, 1460, 5, 1}
			switch name { // where libhtp depends on how the bytes come
			case "called gzip":
				steps = steps[:2]
			case "a large body":
				steps = steps[1:]
			}
			for _, step := range steps {
				if got := summary(step, test.turns...); !slices.Equal(got, test.want) {
					t.Errorf("in pieces of %d:\n\t%s\nwant\n\t%s", step, strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
				}
			}
		})
	}
}

func form(body string) string {
	return fmt.Sprintf("POST /f HTTP/1.0\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// TestUnannounced: what comes along with a complete message, and begins none, is more of its body.
func TestUnannounced(t *testing.T) {
	got := summary(1<<30, c("POST /p HTTP/1.0\r\nContent-Length: 2\r\n\r\nabjunk\r\nGET /q HTTP/1.0\r\n\r\n"), s(ok+"more\r\n"+ok))
	want := []string{
		"file to_server /p 8 CLOSED false", "file to_client /p 8 CLOSED false", "0 POST /p  200 8 !request_body_unexpected",
		"file to_client /q 2 CLOSED false", "1 GET /q  200 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestBuffers(t *testing.T) {
	request := "POST http://u:p@Host.Example.:81/a//b/../%41%u0042\\%zz?q=%41+b#f%41 HTTP/1.1\r\nHost: x\r\nCookie: c=1\r\nA:  1 \r\n 2\t\r\na: 3\r\nContent-Length: 4\r\n\r\nbody"
	reply := "HTTP/1.1 404  Not Found \r\nSet-Cookie: s\r\nServer: v\r\nLocation: /l\r\nno colon\r\nContent-Length: 2\r\n\r\nno"
	got := map[string]string{}
	run(1<<30, func(ev applayer.Event) {
		for b := applayer.Buffer(1); b < applayer.NumBuffers; b++ {
			if b.Hook() != ev.Hook || b.Proto() != applayer.HTTP {
				continue
			}
			key := b.String() + " " + ev.Dir.String()
			delete(got, key)
			for i := 0; ; i++ {
				v, ok := ev.Tx.Value(b, i)
				if !ok {
					break
				}
				got[key] += string(v) + "|"
			}
		}
	}, c(request), s(reply))
	for key, want := range map[string]string{
		"http.method to_server":         "POST",
		"http.uri to_server":            "/a/AB/%zz?q=A+b#fA",
		"http.uri.raw to_server":        "http://u:p@Host.Example.:81/a//b/../%41%u0042\\%zz?q=%41+b#f%41",
		"http.protocol to_server":       "HTTP/1.1",
		"http.host to_server":           "host.example",
		"http.host.raw to_server":       "host.example",
		"http.cookie to_server":         "c=1",
		"http.header to_server":         "Host: x\r\nA: 1  2, 3\r\nContent-Length: 4\r\n",
		"http.header_names to_server":   "\r\nHost\r\nCookie\r\nA\r\nContent-Length\r\n\r\n",
		"http.request_header to_server": "Host: x|Cookie: c=1|A: 1  2, 3|Content-Length: 4",
		"http.content_len to_server":    "4",
		"http.request_body to_server":   "body",
		"file.data to_server":           "body",
		"file.name to_server":           "/a/AB/%zz",
		"http.stat_code to_client":      "404",
		"http.stat_msg to_client":       "Not Found ",
		"http.response_line to_client":  "HTTP/1.1 404  Not Found ",
		"http.cookie to_client":         "s",
		"http.server to_client":         "v",
		"http.location to_client":       "/l",
		"http.header to_client":         "Server: v\r\nLocation: /l\r\n: no colon\r\nContent-Length: 2\r\n",
		"http.header.raw to_client":     reply[strings.Index(reply, "Set-") : len(reply)-2],
		"http.response_body to_client":  "no",
		"file.data to_client":           "no",
	} {
		if got[key] != want+"|" {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
	if _, there := got["http.user_agent to_server"]; there {
		t.Error("a user agent that was not sent")
	}
}

// TestPaths: what a server may make of a path.
func TestPaths(t *testing.T) {
	for path, want := range map[string]string{
		"/%2e%2E/x": "/x", "/a/./b/../../c": "/c", "/a/..": "", "../a": "a", "/a/.": "/a", "%2fa%5cb": "/a/b", "/a///b": "/a/b",
		"/%uff0fx": "/x", "a%u2215": "a/", "/\xc3\xa9\xe2\x82\xac": "/\xe9?", "/%c0%af": "//", "/\xff\xe2\x28": "/??(", "/\xe2\x82": "/",
		"/%4": "/%4", "/%u00": "/%u00", "/a%00b": "/a\x00b", "": "",
	} {
		if got := string(appendPath(nil, []byte(path))); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// TestBodyWindows: rules see the first bytes of a body together, then what is new with some that they have seen.
func TestBodyWindows(t *testing.T) {
	type window struct{ from, to int }
	var got []window
	see := func(ev applayer.Event) {
		if ev.Hook == applayer.HTTPResponseBody {
			v, _ := ev.Tx.Value(applayer.HTTPReplyBody, 0)
			from, _ := ev.Tx.Piece(applayer.HTTPReplyBody, 0)
			got = append(got, window{from, from + len(v)})
		}
	}
	run(10000, see, c("GET / HTTP/1.0\r\n\r\n"), s("HTTP/1.0 200 OK\r\n\r\n"), s(strings.Repeat("x", 130000)))
	// The last is the end of the body, which is taken in only so far.
	want := []window{{0, 50000}, {43616, 60000}, {53616, 70000}, {63616, 80000}, {73616, 90000}, {83616, 100000}, {86016, 102400}, {86016, 102400}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestGaps(t *testing.T) {
	v := &conversation{out: applayer.Sink{Digests: true}}
	var lines []string
	v.see = func(ev applayer.Event) {
		if ev.Hook == applayer.FileDone {
			lines = append(lines, fmt.Sprintf("%s %d %v %v %v", ev.File.Name, ev.File.Size, ev.File.State, ev.File.Gaps, ev.File.Sums))
		}
	}
	v.data(packet.ToServer, []byte("GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n"))
	v.data(packet.ToClient, []byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"))
	v.p.Gap(&v.out, packet.ToClient, 5)
	v.take()
	v.data(packet.ToClient, []byte("xyz"+ok))
	v.end()
	if want := []string{"/a 10 TRUNCATED true false", "/b 2 CLOSED false true"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", maxLine+1)
	for name, turns := range map[string][]turn{
		"line":   {c("GET /" + long)},
		"field":  {c("GET / HTTP/1.0\r\nA: " + long)},
		"folded": {c("GET / HTTP/1.0\r\nA: x\r\n" + strings.Repeat(" "+long[:1000]+"\r\n", 30))},
		"fields": {c("GET / HTTP/1.0\r\n" + func() (b string) {
			for i := range maxFields + 2 {
				b += fmt.Sprintf("A%d: x\r\n", i)
			}
			return b
		}())},
		"response": {c("GET / HTTP/1.0\r\n\r\n"), s("HTTP/1.0 200 " + long)},
		"requests": {c(strings.Repeat("GET / HTTP/1.0\r\n\r\n", maxTxs+1))},
	} {
		lines := summary(1460, turns...)
		if !slices.Contains(lines, "failed") {
			t.Errorf("%s: %d lines, not failed", name, len(lines))
		}
	}
}

func TestNoAllocations(t *testing.T) {
	v := &conversation{}
	request := []byte("GET /index.html?a=b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	reply := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\nhello world")
	exchange := func() {
		v.data(packet.ToServer, request)
		v.data(packet.ToClient, reply)
		v.p.Release()
	}
	exchange()
	if n := testing.AllocsPerRun(100, exchange); n != 0 {
		t.Errorf("%v allocations for a request and its response", n)
	}
}

// FuzzParser: nothing breaks, and what is held stays within bounds.
func FuzzParser(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), []byte(ok), uint16(3))
	f.Add([]byte(form("--b\r\nContent-Disposition: x; filename=n\r\n\r\nfirst\r\n--b--")), []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), uint16(7))
	f.Add([]byte("CONNECT a:1 HTTP/1.0\r\n\r\nGET /"), []byte("HTTP/1.1 200 OK\rA: b\r\r\n\r\n"), uint16(1))
	f.Add([]byte("GET /%u0041/../%c0%af?\r\n"), []byte("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 x\r\n\r\n"), uint16(1000))
	f.Fuzz(func(t *testing.T, client, server []byte, step uint16) {
		v := &conversation{see: func(ev applayer.Event) {
			for b := applayer.Buffer(1); ev.Tx != nil && b < applayer.NumBuffers; b++ {
				for i := 0; ; i++ {
					if _, ok := ev.Tx.Value(b, i); !ok {
						break
					}
					ev.Tx.Piece(b, i)
				}
			}
		}}
		n := int(step) + 1
		for len(client)+len(server) > 0 {
			k := min(n, len(client))
			v.data(packet.ToServer, client[:k])
			client = client[k:]
			k = min(n, len(server))
			v.data(packet.ToClient, server[:k])
			server = server[k:]
			if len(v.held[0]) > applayer.MaxUnconsumed || len(v.held[1]) > applayer.MaxUnconsumed || v.p.Memory() > maxMemory {
				t.Fatalf("%d and %d bytes left, %d held", len(v.held[0]), len(v.held[1]), v.p.Memory())
			}
			if n%3 == 0 {
				v.p.Gap(&v.out, packet.ToClient, n)
				v.take()
			}
			v.p.Release()
		}
		v.end()
		v.p.Release()
		v.p.Reset(packet.ProtoTCP)
	})
}

func BenchmarkParser(b *testing.B) {
	v := &conversation{}
	request := []byte("GET /index.html?a=b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Language: en\r\nCookie: a=b; c=d\r\n\r\n")
	reply := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nServer: x\r\nDate: now\r\nContent-Length: 4000\r\n\r\n" + strings.Repeat("0123456789", 400))
	b.SetBytes(int64(len(request) + len(reply)))
	b.ReportAllocs()
	for b.Loop() {
		v.data(packet.ToServer, request)
		v.data(packet.ToClient, reply[:1460])
		v.data(packet.ToClient, reply[1460:])
		v.p.Release()
	}
}
