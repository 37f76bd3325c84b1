package parsers

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unsafe"

	. "github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

func TestDetection(t *testing.T) {
	query := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07eXample\x03com\x00\x00\x01\x00\x01"
	tests := map[string]struct {
		port uint16
		dir  packet.Dir
		data string
		want Proto
	}{
		"ssh":               {22, s2c, "SSH-2.0-x\r\n", SSH},
		"smtp client":       {25, c2s, "ehlo me\r\n", SMTP},
		"a greeting":        {25, s2c, "220 hi\r\n", Unknown},
		"ftp":               {21, c2s, "user a\r\n", FTP},
		"imap":              {143, c2s, "1 CAPABILITY\r\n", IMAP},
		"smb":               {445, c2s, "\x00\x00\x00\x54\xfeSMB", SMB},
		"smb, session":      {139, c2s, "\x81\x00\x00\x02ab\x00\x00\x00\x54\xffSMB", SMB},
		"smb, granted":      {139, s2c, "\x82\x00\x00\x00\x00\x00\x00\x54\xffSMB", SMB},
		"dcerpc":            {135, c2s, "\x05\x00\x0b\x03\x10\x00\x00\x00", DCERPC},
		"rdp":               {3389, c2s, "\x03\x00\x00\x13\x0e\xe0\x00", RDP},
		"mqtt":              {1883, c2s, "\x10\x0c\x00\x04MQTT\x04", MQTT},
		"http2":             {80, c2s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP2},
		"http2 server":      {80, s2c, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", HTTP2},
		"http, any case":    {80, c2s, "baseline-control\t", HTTP},
		"http, odd method":  {80, c2s, "BREW /pot HTTP/1.1\r\n", Unknown},
		"http server first": {80, s2c, "HTTP/1.1 408 x\r\n", HTTP},
		"tls data":          {443, s2c, "\x17\x03\x03", Failed}, // a server does not begin
		"ssl 2":             {443, c2s, "\x80\x2e\x01\x00\x02", TLS},
		"rdp, odd port":     {3390, c2s, "\x03\x00\x00\x13\x0e\xe0\x00", Unknown},
		"dns":               {53, c2s, "\x00\x1d" + query, DNS},
		"waiting":           {80, c2s, "GE", Unknown},
		"other side":        {80, c2s, "\x00\x01\x02\x03\x04\x05\x06", Unknown},
		"one-sided":         {80, c2s, strings.Repeat("\x01", 100_000+1), Failed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSession(tt.port)
			s.Data(tt.dir, []byte(tt.data))
			if s.Proto() != tt.want || s.ProtoFinal() != (tt.want != Unknown) {
				t.Errorf("%v, final %v; want %v", s.Proto(), s.ProtoFinal(), tt.want)
			}
		})
	}

	s := NewPool(1<<20, New).Get()
	s.Reset(packet.ProtoUDP, 40000, 53)
	s.Datagram(c2s, []byte(query))
	got := drain(s)
	if len(got) != 3 || got[1].ev.Hook != DNSRequest || got[1].buffers != `dns.query="eXample.com" dns.opcode=0` {
		t.Errorf("a DNS query gave %v", got)
	}
}

// TestBothSidesFail: detection fails when both sides have sent as much as is looked at, which depends on the port, or
// one has sent very much.
func TestBothSidesFail(t *testing.T) {
	for _, tt := range []struct {
		port           uint16
		client, server int
		fails          bool
	}{
		{9999, 17, 8, true}, {9999, 16, 8, false}, {9999, 17, 7, false},
		{80, 25, 9, true}, {80, 24, 9, false}, {80, 25, 8, false},
		{445, 36, 36, true}, {445, 35, 36, false},
		{9999, 100_001, 1, true}, {9999, 3, 100_001, true}, {9999, 3, 100_000, false},
	} {
		s := newSession(tt.port)
		if n := s.Data(c2s, bytes.Repeat([]byte("\x01"), tt.client)); n != 0 && !s.Done() {
			t.Errorf("%+v: %d bytes are taken that a parser may need", tt, n)
		}
		if !s.Done() {
			s.Data(s2c, bytes.Repeat([]byte("\x01"), tt.server))
		}
		failed := s.Proto() == Failed && s.Side(c2s) == Failed && s.Side(s2c) == Failed && s.Done()
		if got := drain(s); failed != tt.fails || failed != (len(got) > 0 && got[0].ev.Hook == ProtocolDetected) {
			t.Errorf("%+v: %v, sides %v %v, done %v, %v", tt, s.Proto(), s.Side(c2s), s.Side(s2c), s.Done(), got)
		}
	}
}

// TestSides: each side is recognised by itself, with the events that Suricata 7.0.10 raises.
func TestSides(t *testing.T) {
	const bind, smb2 = "\x05\x00\x0b\x03\x10\x00\x00\x00", "\x00\x00\x00\x54\xfeSMB"
	junk, answer := strings.Repeat("@", 30), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	hello := "\x16\x03\x01\x00\x00"
	for name, tt := range map[string]struct {
		port           uint16
		turns          []turn
		proto          Proto
		client, server Proto
		anomalies      []Anomaly
	}{
		"both":               {445, []turn{{c2s, []byte(smb2)}, {s2c, []byte(smb2)}}, SMB, SMB, SMB, nil},
		"another answers":    {135, []turn{{c2s, []byte(bind)}, {s2c, []byte(answer)}}, DCERPC, DCERPC, HTTP, []Anomaly{AnomalyMismatchProtocolBothDirections}},
		"nothing answers":    {80, []turn{{c2s, []byte("GET / HTTP/1.1\r\n\r\n")}, {s2c, []byte(junk)}}, HTTP, HTTP, Failed, []Anomaly{AnomalyDetectProtocolOnlyOneDirection}},
		"not enough answers": {80, []turn{{c2s, []byte("GET / HTTP/1.1\r\n\r\n")}, {s2c, []byte("@@@")}}, HTTP, HTTP, Unknown, nil},
		"nothing asks":       {80, []turn{{c2s, []byte(junk)}, {s2c, []byte(answer)}}, HTTP, Failed, HTTP, []Anomaly{AnomalyDetectProtocolOnlyOneDirection}},
		"a server begins":    {443, []turn{{s2c, []byte(hello)}}, Failed, Failed, TLS, []Anomaly{AnomalyWrongDirectionFirstData}},
		"a server greets":    {443, []turn{{s2c, []byte(junk)}, {c2s, []byte(hello)}}, Failed, TLS, Failed, nil},
		"one-sided":          {80, []turn{{c2s, []byte(strings.Repeat("@", 100_001))}}, Failed, Failed, Failed, []Anomaly{AnomalyProtoDetectionSkipped}},
		"no parser":          {3389, []turn{{c2s, []byte("\x03\x00\x00\x13\x0e\xe0")}, {s2c, []byte(junk)}}, RDP, RDP, Failed, []Anomaly{AnomalyDetectProtocolOnlyOneDirection}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSession(tt.port)
			var out []seen
			var held [2][]byte
			for _, tn := range tt.turns {
				presentBoth(s, tn.dir, tn.data, &held, &out)
			}
			var anomalies []Anomaly
			for _, e := range out {
				if e.ev.Anomaly != AnomalyNever {
					anomalies = append(anomalies, e.ev.Anomaly)
				}
			}
			if s.Proto() != tt.proto || s.Side(c2s) != tt.client || s.Side(s2c) != tt.server || !slices.Equal(anomalies, tt.anomalies) {
				t.Errorf("%v, sides %v and %v, %v; want %+v", s.Proto(), s.Side(c2s), s.Side(s2c), anomalies, tt)
			}
		})
	}
}

func TestFromServer(t *testing.T) {
	smb1 := func(flags string) string { return "\x00\x00\x00\x54\xffSMB\x72\x00\x00\x00\x00" + flags }
	smb2 := func(flags string) string {
		return "\x00\x00\x00\x54\xfeSMB\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + flags
	}
	tests := map[string]struct {
		from, to uint16
		data     string
		want     bool
	}{
		"smb1 request":        {40000, 445, smb1("\x18"), false},
		"smb1 response":       {40000, 50000, smb1("\x98"), true},
		"smb2 request":        {40000, 445, smb2("\x08"), false},
		"smb2 response":       {445, 40000, smb2("\x09"), true},
		"smb2, cut":           {445, 40000, smb2(""), false},
		"encrypted, request":  {40000, 445, "\x00\x00\x00\x54\xfdSMB", false},
		"encrypted, response": {445, 40000, "\x00\x00\x00\x54\xfdSMB", true},
		"dcerpc bind":         {40000, 135, "\x05\x00\x0b\x03\x10\x00\x00\x00", false},
		"dcerpc bind_ack":     {135, 40000, "\x05\x00\x0c\x03\x10\x00\x00\x00", true},
		"http response":       {8090, 40000, "HTTP/1.1 200 OK\r\n", true},
		"http request":        {40000, 80, "GET / HTTP/1.1\r\n", false},
		"another":             {22, 40000, "SSH-2.0-x\r\n", false},
		"nothing":             {445, 40000, "", false},
	}
	for name, tt := range tests {
		if got := FromServer([]byte(tt.data), tt.from, tt.to); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	for p := Proto(0); p < BitTorrentDHT+1; p++ {
		want := p
		if p == HTTP {
			want = AnyHTTP
		}
		if got, ok := ProtoByName(p.String()); !ok || got != want {
			t.Errorf("ProtoByName(%q) = %v, %v", p.String(), got, ok)
		}
	}
	for b := Buffer(1); b < NumBuffers; b++ {
		if got := BuffersByName(b.String()); !slices.Contains(got, b) || b.Hook() == NoHook {
			t.Errorf("BuffersByName(%q) = %v", b.String(), got)
		}
	}
	if p, ok := ProtoByName("ssl"); !ok || p != TLS {
		t.Errorf("ssl is %v", p)
	}
	if got := BuffersByName(""); len(got) > 0 {
		t.Error("a buffer without a name")
	}
}

func TestHTTPHosts(t *testing.T) {
	tests := map[string]string{
		"GET / HTTP/1.1\r\nhost : WWW.Example.COM.:80 \r\n\r\n":  "www.example.com.",
		"GET / HTTP/1.1\r\nHost: a.b\r\nHost: c.d\r\n\r\n":       "a.b, c.d",
		"GET http://u@A.b:8/x HTTP/1.1\r\nHost: other\r\n\r\n":   "a.b",
		"CONNECT A.b:443 HTTP/1.1\r\nHost: other\r\n\r\n":        "a.b",
		"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n":       "[2001:db8::1]",
		"GET /?u=http://evil/ HTTP/1.1\r\nHost:\r\n a.b\r\n\r\n": "a.b",
		"GET / HTTP/1.0\n\n": "",
	}
	for text, want := range tests {
		got := splits(t, 80, []turn{{c2s, []byte(text)}})
		if !slices.ContainsFunc(got, func(s seen) bool { return s.ev.Hook == HTTPRequestHeaders }) {
			t.Errorf("%q: %v", text, got)
			continue
		}
		s := newSession(80)
		for data := []byte(text); len(data) > 0; {
			data = data[s.Data(c2s, data):]
		}
		if host := strings.TrimSpace(string(s.Name())); host != want {
			t.Errorf("%q: host %q, want %q", text, host, want)
		}
	}
}

func TestSessionLimit(t *testing.T) {
	pool := NewPool(int64(unsafe.Sizeof(Session{})), New)
	if s := pool.Get(); s == nil || pool.Get() != nil || pool.Refusals() != 1 {
		t.Error("a session was lent over the limit")
	}
	pool = NewPool(int64(unsafe.Sizeof(Session{}))+4096, New)
	s := pool.Get()
	s.Reset(packet.ProtoTCP, 1, 443)
	s.Data(c2s, records(append([]byte{1, 0, 0xff, 0}, make([]byte, 9000)...), 9004))
	if got := drain(s); len(got) != 1 || got[0].ev.Hook != ParserFailed || !s.Done() {
		t.Errorf("a large hello in a small pool: %v", got)
	}
	pool.Put(s)
	if pool.InUse() != 0 {
		t.Errorf("%d bytes in use", pool.InUse())
	}
}

func TestSessionDoesNotAllocate(t *testing.T) {
	hello := handshake(t, clientConfig("example.com"), testServer)
	get := []byte("GET / HTTP/1.1\r\nHost: a.b\r\nUser-Agent: x\r\n\r\n")
	pool := NewPool(1<<20, New)
	var ev Event
	cycle := func() {
		s := pool.Get()
		s.Reset(packet.ProtoTCP, 1, 443)
		s.Data(c2s, hello[0].data)
		s.Data(s2c, hello[1].data)
		s.Reset(packet.ProtoTCP, 1, 80)
		s.Data(c2s, get)
		for s.Next(&ev) {
			s.Buffer(HTTPHost)
		}
		pool.Put(s)
	}
	cycle()
	if n := testing.AllocsPerRun(100, cycle); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
