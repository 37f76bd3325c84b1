package oracle

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// requiredHTTP2 is how many records of HTTP/2 must be the same, in percent.
const requiredHTTP2 = 97

// http2Rules ask for every buffer and number that HTTP/2 has; few enough of them match at once for Suricata, which
// reports 15 a packet. Buffers of single fields are not among them: Suricata passes over those that come after it has
// looked at the stream.
var http2Rules = [][]string{
	{
		`http any any -> any any (http.uri; content:"alpha";`, `http1 any any -> any any (http.method; content:"GET";`,
		`http2 any any -> any any (http.method; content:"POST";`, `http any any -> any any (http.host; content:"example.com"; endswith;`,
		`http any any -> any any (http.host.raw; content:"|3a|8080";`, `http any any -> any any (content:"alpha"; http_uri;`,
		`http any any -> any any (http.request_line; content:"POST /alpha";`, `http any any -> any any (urilen:>8;`,
		`http any any -> any any (http.user_agent; content:"xyz";`, `http any any -> any any (http.cookie; content:"aa, ";`,
	},
	{
		`http any any -> any any (http.stat_code; content:"404";`, `http any any -> any any (http.response_line; content:"HTTP/2 200|0d 0a|";`,
		`http any any -> any any (flow:to_client; http.header; content:"server|3a| echo.";`,
		`http any any -> any any (flow:to_server; http.header_names; content:"|0d 0a 3a|path|0d 0a|";`, `http any any -> any any (http.content_type; content:"text";`,
		`http any any -> any any (flow:to_client; http.cookie; content:"aab";`,
	},
	{
		`http any any -> any any (http2.frametype:rststream;`, `http any any -> any any (http2.errorcode:cancel;`, `http any any -> any any (http2.window:>100;`,
		`http any any -> any any (http2.priority:>9;`, `http any any -> any any (http2.settings:SETTINGS_MAX_CONCURRENT_STREAMS<50;`,
		`http any any -> any any (http2.frametype:ping;`, `http any any -> any any (app-layer-event:http2.authority_host_mismatch;`,
		`http any any -> any any (app-layer-event:http2.userinfo_in_uri;`,
	},
	{
		`http any any -> any any (flow:to_client; file.data; content:"charlie";`, `http any any -> any any (http.response_body; content:"DELTA";`,
		`http any any -> any any (http.request_body; content:"foxtrot";`, `http any any -> any any (filesize:>200;`,
	},
}

// TestHTTP2 compares the records and alerts of random connections.
func TestHTTP2(t *testing.T) {
	suricata := needSuricata(t)
	_, r := seeded(t)
	same, all := 0, 0
	differences := differences{}
	for round := range number("SLUICE_ROUNDS", 8) {
		dir := roundDir(t, round)
		capture := filepath.Join(dir, "traffic.pcap")
		made := &traffic{r: r}
		for i := range 30 {
			made.connection(fmt.Sprintf("10.1.0.%d:%d", 1+r.IntN(3), 20000+i), "192.0.2.1:80", http2Turns(r, int(round)%len(http2Rules) < 3)...)
		}
		writeCapture(t, capture, made.frames)
		var rules []string
		for i, rule := range http2Rules[int(round)%len(http2Rules)] {
			rules = append(rules, fmt.Sprintf("alert %s sid:%d;)", rule, i+1))
		}
		mode := pick(r, []string{"ids", "ips"})
		theirs, ours := applicationRound(t, suricata, dir, capture, mode, rules)
		n, of := differences.compare(http2Records(t, theirs), http2Records(t, ours), mode, rules)
		same, all = same+n, all+of
	}
	differences.judge(t, same, all, requiredHTTP2)
}

// http2Records reads records by flow and transaction, without the packet that they came with.
func http2Records(t *testing.T, path string) records {
	t.Helper()
	all := records{}
	for _, v := range readLines[map[string]any](t, path) {
		kind, _ := v["event_type"].(string)
		fields := map[string]string{}
		switch kind {
		case "http", "fileinfo":
			for _, k := range []string{"timestamp", "pcap_cnt", "pkt_src"} {
				delete(v, k)
			}
			flatten(fields, "", v)
		case "alert", "anomaly":
		default:
			continue
		}
		key := fmt.Sprintf("%s %v", kind, v["community_id"])
		switch kind {
		case "alert":
			key += fmt.Sprintf(" tx %v sid %v", v["tx_id"], v["alert"].(map[string]any)["signature_id"])
		case "anomaly":
			key += fmt.Sprintf(" %v", v["anomaly"].(map[string]any)["event"])
		default:
			key += fmt.Sprintf(" tx %v", fields["tx_id"]+fields["fileinfo.tx_id"])
		}
		all[key] = append(all[key], fields)
	}
	return all
}

// http2Peer writes what one side sends.
type http2Peer struct {
	r   *rand.Rand
	out bytes.Buffer
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
}

func newHTTP2Peer(r *rand.Rand) *http2Peer {
	p := &http2Peer{r: r}
	p.Framer = http2.NewFramer(&p.out, nil)
	p.enc = hpack.NewEncoder(&p.block)
	return p
}

// headers sends fields, in one frame or in two.
func (p *http2Peer) headers(stream uint32, last bool, fields ...string) {
	p.block.Reset()
	if p.r.IntN(20) == 0 {
		p.enc.SetMaxDynamicTableSize(uint32(p.r.IntN(4096)))
	}
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: p.r.IntN(9) == 0})
	}
	block := p.block.Bytes()
	if len(block) > 1 && p.r.IntN(5) == 0 {
		n := 1 + p.r.IntN(len(block)-1)
		p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndStream: last, BlockFragment: block[:n]})
		p.WriteContinuation(stream, true, block[n:])
		return
	}
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, EndHeaders: true, EndStream: last, BlockFragment: block})
}

// data sends a body in some frames.
func (p *http2Peer) data(stream uint32, body []byte) {
	for {
		n := 1 + p.r.IntN(len(body))
		part := body[:n]
		body = body[n:]
		if p.r.IntN(4) == 0 {
			p.WriteDataPadded(stream, len(body) == 0, part, make([]byte, p.r.IntN(9)))
		} else {
			p.WriteData(stream, len(body) == 0, part)
		}
		if len(body) == 0 {
			return
		}
	}
}

// aside sends something about a stream, or the connection.
func (p *http2Peer) aside(stream uint32) {
	switch p.r.IntN(8) {
	case 0:
		p.WriteWindowUpdate(0, 1+uint32(p.r.IntN(1000)))
	case 1:
		p.WriteWindowUpdate(stream, 1+uint32(p.r.IntN(1000)))
	case 2:
		p.WritePing(false, [8]byte{1})
	case 3:
		p.WritePriority(stream, http2.PriorityParam{Weight: uint8(p.r.IntN(20))})
	}
}

func (p *http2Peer) settings() {
	var list []http2.Setting
	for id := http2.SettingHeaderTableSize; id <= http2.SettingMaxHeaderListSize; id++ {
		if p.r.IntN(2) == 0 {
			list = append(list, http2.Setting{ID: id, Val: uint32(4096 + p.r.IntN(100))})
		}
	}
	p.WriteSettings(append(list, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: uint32(p.r.IntN(100))})...)
}

// http2Turns are those of a connection with some streams. Trailers are for where no rules look into bodies: Suricata
// does not, of those that trailers end.
func http2Turns(r *rand.Rand, trailers bool) (turns [][]byte) {
	c, s := newHTTP2Peer(r), newHTTP2Peer(r)
	turn := func(p *http2Peer) {
		turns = append(turns, bytes.Clone(p.out.Bytes()))
		p.out.Reset()
	}
	c.out.WriteString(http2.ClientPreface)
	c.settings()
	if r.IntN(2) == 0 {
		c.WriteWindowUpdate(0, 1+uint32(r.IntN(1000)))
	}
	turn(c)
	s.settings()
	s.WriteSettingsAck()
	turn(s)
	c.WriteSettingsAck()
	stream := uint32(1)
	for range 1 + r.IntN(3) {
		first := stream
		for range 1 + r.IntN(3) {
			http2Request(c, stream)
			stream += 2
		}
		turn(c)
		for id := first; id < stream; id += 2 {
			http2Response(s, id, trailers)
		}
		turn(s)
	}
	return turns
}

func http2Request(c *http2Peer, stream uint32) {
	r := c.r
	host := pick(r, names)
	fields := []string{":method", pick(r, []string{"GET", "POST", "HEAD"}), ":path", "/" + pick(r, words) + "/" + pick(r, words), ":scheme", "http", ":authority", host + pick(r, []string{"", ":8080"})}
	switch r.IntN(12) {
	case 0:
		fields = append(fields, "host", host)
	case 1:
		fields[7] = "me@" + host
	}
	for _, name := range []string{"user-agent", "cookie", "cookie", "accept", "x-name", "X-Name", "content-length"} {
		if r.IntN(3) == 0 {
			fields = append(fields, name, pick(r, words))
		}
	}
	c.aside(stream)
	if r.IntN(3) > 0 {
		c.headers(stream, true, fields...)
	} else {
		c.headers(stream, false, fields...)
		c.data(stream, sentence(r))
	}
	c.aside(stream)
}

func http2Response(s *http2Peer, stream uint32, trailers bool) {
	r := s.r
	fields := []string{":status", pick(r, []string{"200", "404", "304"}), "server", pick(r, words)}
	for _, name := range []string{"set-cookie", "x-name", "content-type"} {
		if r.IntN(3) == 0 {
			fields = append(fields, name, pick(r, append(words, "text/html; charset=x")))
		}
	}
	body := bytes.Repeat(sentence(r), 1+r.IntN(20))
	if r.IntN(3) == 0 {
		var zipped bytes.Buffer
		z := gzip.NewWriter(&zipped)
		z.Write(body)
		z.Close()
		body = zipped.Bytes()
		fields = append(fields, "content-encoding", "gzip")
	}
	fields = append(fields, "content-length", fmt.Sprint(len(body)))
	switch n := r.IntN(8); {
	case n == 0:
		s.headers(stream, true, fields...)
	case n == 1:
		s.headers(stream, false, fields...)
		s.WriteRSTStream(stream, pick(r, []http2.ErrCode{http2.ErrCodeCancel, http2.ErrCodeRefusedStream}))
	case n == 2 && trailers:
		s.headers(stream, false, fields...)
		s.WriteData(stream, false, body)
		s.headers(stream, true, "grpc-status", strings.Repeat("0", 1+r.IntN(2)))
	default:
		s.headers(stream, false, fields...)
		s.aside(stream)
		s.data(stream, body)
	}
}
