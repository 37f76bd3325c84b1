package eve

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/parsers"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with testdata/name, where records are indented to be
// readable: names, values and their order.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if !json.Valid(got) {
		t.Fatalf("not JSON: %s", got)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		var v strings.Builder
		indent(&v, got)
		if err := os.WriteFile(path, []byte(v.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v strings.Builder
	indent(&v, got)
	if diff := cmp.Diff(string(want), v.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func indent(w *strings.Builder, record []byte) {
	var out bytes.Buffer
	json.Indent(&out, record, "", "  ") // valid, or it would not be here
	w.Write(out.Bytes())
	w.WriteByte('\n')
}

var (
	at     = time.Date(2025, 7, 13, 15, 9, 34, 606289123, time.UTC).UnixNano()
	client = packet.AddrFrom(netip.MustParseAddr("10.0.1.23"))
	server = packet.AddrFrom(netip.MustParseAddr("192.0.2.80"))
	v6     = packet.AddrFrom(netip.MustParseAddr("2001:db8::a"))
)

// transaction returns what a parser makes of a client's bytes, nil when that is nothing.
func transaction(p applayer.Proto, transport uint8, data string) applayer.Tx {
	parser := parsers.New(p)
	parser.Reset(transport)
	for rest := []byte(data); len(rest) > 0; {
		n := parser.Data(&applayer.Sink{}, packet.ToServer, rest)
		if rest = rest[n:]; n == 0 {
			break
		}
	}
	return parser.Last()
}

// tlsTx is a handshake of which there is the ClientHello (RFC 8446, 4.1.2): version, random, no
// session id, one cipher suite, no compression, and the server_name extension.
func tlsTx(name string) applayer.Tx {
	n := byte(len(name))
	sni := append([]byte{0, 0, 0, n + 5, 0, n + 3, 0, 0, n}, name...)
	hello := append(make([]byte, 34), 0, 0, 2, 0x13, 1, 1, 0, 0, byte(len(sni)))
	hello = append(hello, sni...)
	hello = append([]byte{1, 0, 0, byte(len(hello))}, hello...)
	return transaction(applayer.TLS, packet.ProtoTCP, string(append([]byte{22, 3, 1, 0, byte(len(hello))}, hello...)))
}

func sampleAlert() *Alert {
	return &Alert{
		Tuple: Tuple{
			Time: at, FlowID: 1582438383425873, Src: client, Dst: server, SrcPort: 50114, DstPort: 443,
			Proto: packet.ProtoTCP, PktSrc: "geneve encapsulation", VLAN: [packet.MaxVLANs]uint16{7, 8}, VLANs: 2,
		},
		App: AppProtos{Proto: "tls"}, Action: "blocked", Verdict: "drop",
		GID: 1, SID: 4000001, Rev: 3, Signature: `no "evil" hosts`, Category: "Potentially Bad Traffic", Severity: 2,
		Metadata:    []detect.Metadata{{Key: "tag", Value: "a"}, {Key: "tag", Value: "b"}, {Key: "by", Value: "x"}},
		Tx:          tlsTx("evil.example"),
		Flow:        &FlowCounters{PktsToServer: 4, PktsToClient: 3, BytesToServer: 700, BytesToClient: 180, Start: at - 5e8},
		ResourceARN: "arn:aws:network-firewall:us-east-1:111122223333:stateful-rulegroup/egress",
	}
}

func sampleHTTPAlert() *Alert {
	a := sampleAlert()
	a.Metadata, a.VLANs = nil, 0
	a.Dir, a.Src, a.Dst, a.SrcPort, a.DstPort = packet.ToClient, server, client, 80, 50114
	a.App.Proto, a.Action, a.Verdict, a.PcapCnt = "http", "allowed", "alert", 53381
	a.PktSrc = "wire/pcap"
	a.TLSInspected = true
	a.Tx = transaction(applayer.HTTP, packet.ProtoTCP, "GET /a?b=\xff HTTP/1.1\r\nHost: Shop.example:8080\r\nUser-Agent: curl/8\r\n\r\n")
	return a
}

// http2Tx returns what comes of frames that a client sends behind its preface.
func http2Tx(frames string) applayer.Tx {
	return transaction(applayer.HTTP2, packet.ProtoTCP, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+frames)
}

// sampleHTTP2 is about a request: HEADERS with a weight, fields of the static table, one with a new value, a size of the
// dynamic table, and an index at which there is nothing; then RST_STREAM.
func sampleHTTP2() *Alert {
	a := sampleHTTPAlert()
	a.App.Proto = "http2"
	a.Tx = http2Tx("\x00\x00\x12\x01\x25\x00\x00\x00\x01" + "\x00\x00\x00\x00\x0f" + "\x82\x84" + "\x66\x04shop" + "\x20" + "\x5c\x013" + "\xbf" +
		"\x00\x00\x04\x03\x00\x00\x00\x00\x01" + "\x00\x00\x00\x08")
	return a
}

func sampleDNSAlert() *Alert {
	return &Alert{
		Tuple:  Tuple{Time: at, FlowID: 77, Src: v6, Dst: v6, SrcPort: 5353, DstPort: 53, Proto: packet.ProtoUDP},
		Action: "allowed", SID: 9, Severity: 3, App: AppProtos{Proto: "dns"},
		Tx: transaction(applayer.DNS, packet.ProtoUDP, "\x12\x67\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x1c\x00\x01"),
	}
}

// sampleFullAlert has every detail.
func sampleFullAlert() *Alert {
	a := sampleHTTPAlert()
	a.Tx, a.TLSInspected = nil, false
	a.Detail, a.Stream = Full, true
	a.Vars = &Vars{Ints: []Int{{"tries", 3}}, Texts: []Text{{"user", []byte("b\x00b\n")}}, Packet: []detect.PacketVar{{Name: []byte("ke\xffy"), Value: []byte(`"x"`)}}}
	a.Vars.AddBit("seen")
	a.Vars.AddBit("traffic/id/shop")
	a.Vars.AddBit("traffic/label/web")
	a.CommunityID = []byte("1:LQU9qZlK+B5F3KDmev6m5PMibrg=")
	a.App = AppProtos{Proto: "http2", ToServer: "http", ToClient: "http2", Orig: "http", Expected: "tls"}
	a.Metadata, a.Target = []detect.Metadata{{Key: "by", Value: "x"}}, detect.TargetSrc
	a.Tunnel = &Tunnel{Src: v6, Dst: v6, Proto: 47, Depth: 1, PcapCnt: 53381, PktSrc: "wire/pcap"}
	a.Payload = []byte("GET \"/\\\xff\x00\t HTTP/1.1\r\n")
	a.Frame = &Frame{Data: []byte{0x45, 0, 0xff}, Link: packet.LinkEthernet}
	a.Verdict, a.RejectTarget = "drop", "both"
	return a
}

func sampleFlow() *Flow {
	return &Flow{
		Tuple:    Tuple{Time: at, FlowID: 42, Src: client, Dst: server, SrcPort: 50114, DstPort: 443, Proto: packet.ProtoTCP},
		App:      AppProtos{Proto: "tls", ToClient: "failed"},
		ToServer: HalfFlow{Packets: 10, Bytes: 1000, MinTTL: 63, MaxTTL: 64, TCPFlags: packet.SYN | packet.ACK | packet.PSH},
		ToClient: HalfFlow{Packets: 8, Bytes: 9000, MinTTL: 54, MaxTTL: 54, TCPFlags: packet.SYN | packet.ACK | packet.FIN | packet.ECE},
		Start:    at - 90e9, End: at - 60e9, State: StateEstablished, Reason: ReasonFlushed,
		OperationID: "3c9a5e71-2f04-4d8b-a6b3-8e1f7d0c4a10", Alerted: true, TxCount: 2, TCPState: "established",
		Midstream: true,
	}
}

func sampleICMPFlow() *Flow {
	return &Flow{
		Tuple:    Tuple{Time: at, FlowID: 43, Src: v6, Dst: v6, Proto: packet.ProtoICMPv6, ICMPType: 128},
		ToServer: HalfFlow{Packets: 1, Bytes: 64, MinTTL: 64, MaxTTL: 64},
		ToClient: HalfFlow{Packets: 1, Bytes: 64, MinTTL: 60, MaxTTL: 60, ICMPType: 129},
		Start:    at, End: at, State: StateEstablished, Reason: ReasonTimeout, Emergency: true,
	}
}

func sampleESPFlow() *Flow {
	return &Flow{
		Tuple:    Tuple{Time: at, FlowID: 44, Src: client, Dst: server, Proto: packet.ProtoESP, Vars: sampleFullAlert().Vars},
		SPI:      77,
		ToServer: HalfFlow{Packets: 1, Bytes: 64, MinTTL: 64, MaxTTL: 64},
		Start:    at, End: at, State: StateNew, Reason: ReasonShutdown,
	}
}

func sampleAnomaly() *Anomaly {
	return &Anomaly{
		Tuple: Tuple{Time: at, Src: client, Dst: server, Proto: packet.ProtoICMP, ICMPType: 42, PktSrc: "wire/pcap"},
		Type:  AnomalyDecode, Event: "decoder.icmpv4.unknown_type", TxID: -1, Frame: &Frame{Data: make([]byte, 40)},
	}
}

func sampleDrop() *Drop {
	return &Drop{
		Tuple: Tuple{Time: at, FlowID: 42, Src: server, Dst: client, SrcPort: 443, DstPort: 50114, Proto: packet.ProtoTCP},
		Dir:   packet.ToClient, IPVersion: 4, Length: 52, TOS: 8, TTL: 54, IPID: 99,
		TCP:    &packet.TCP{Seq: 1, Ack: 2, Window: 3, Flags: packet.ACK | packet.PSH, Urgent: 0},
		Reason: "stream midstream", Cause: "flushed", OperationID: "3c9a5e71-2f04-4d8b-a6b3-8e1f7d0c4a10",
	}
}

func TestGolden(t *testing.T) {
	env := &Envelope{FirewallName: "edge", AvailabilityZone: "us-east-1a"}
	alert, flow := sampleAlert(), sampleFlow()
	ruleDrop := &Drop{
		Tuple: Tuple{Time: at, Src: v6, Dst: v6, SrcPort: 1, DstPort: 2, Proto: packet.ProtoUDP}, IPVersion: 6, Length: 60,
		TTL: 64, FlowLabel: 5, UDPLength: 60, Reason: "rules",
		Alert: &Alert{Action: "blocked", GID: 1, SID: 5, Rev: 1, Signature: "s", Category: "c", Severity: 1},
	}
	for name, got := range map[string][]byte{
		"alert-tls":         AppendAlert(nil, alert),
		"alert-http":        AppendAlert(nil, sampleHTTPAlert()),
		"alert-http2":       AppendAlert(nil, sampleHTTP2()),
		"http2-settings":    AppendApp(nil, &App{Tuple: sampleAlert().Tuple, Tx: http2Tx("\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x03\x00\x00\x00\x64")}),
		"alert-full":        AppendAlert(nil, sampleFullAlert()),
		"alert-dns":         AppendAlert(nil, sampleDNSAlert()),
		"alert-aws":         AppendEnvelope(nil, env, alert.Time, alert.ResourceARN, AppendAlert(nil, alert)),
		"flow":              AppendFlow(nil, flow),
		"flow-icmp":         AppendFlow(nil, sampleICMPFlow()),
		"netflow-to-server": AppendNetflow(nil, flow, packet.ToServer),
		"netflow-to-client": AppendNetflow(nil, flow, packet.ToClient),
		"netflow-icmp":      AppendNetflow(nil, sampleICMPFlow(), packet.ToClient),
		"netflow-aws":       AppendEnvelope(nil, env, flow.Time, "", AppendAWSNetflow(nil, flow, packet.ToServer)),
		"drop-midstream":    AppendDrop(nil, sampleDrop()),
		"drop-rule":         AppendDrop(nil, ruleDrop),
		"flow-esp":          AppendFlow(nil, sampleESPFlow()),
		"netflow-esp":       AppendNetflow(nil, sampleESPFlow(), packet.ToServer),
		"packet":            AppendTagged(nil, &Tagged{Tuple: sampleFullAlert().Tuple, Frame: Frame{Data: make([]byte, 40), Link: packet.LinkRaw}}),
		"anomaly-decode":    AppendAnomaly(nil, sampleAnomaly()),
		"anomaly-undecoded": AppendAnomaly(nil, &Anomaly{Tuple: Tuple{Time: at, PcapCnt: 3}, Type: AnomalyDecode, Event: "decoder.ethernet.pkt_too_small", TxID: -1}),
		"anomaly-applayer": AppendAnomaly(nil, &Anomaly{
			Tuple: sampleAlert().Tuple, Type: AnomalyAppLayer, AppProto: "http", Layer: LayerParser, Event: "MISSING_HOST_HEADER",
		}),
		"stats": AppendStats(nil, &Stats{Time: at, Uptime: 17, Counters: []Counter{
			{"decoder.bytes", 2}, {"decoder.event.ipv4.bad_len", 3}, {"decoder.event.ipv6.bad_len", 4}, {"decoder.pkts", 1}, {"drops", 6}, {"flow.spare", 5},
		}}),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, got) })
	}
}

func TestAWSNetflowToClientIsSuricatas(t *testing.T) {
	a, s := AppendAWSNetflow(nil, sampleFlow(), packet.ToClient), AppendNetflow(nil, sampleFlow(), packet.ToClient)
	if string(a) != string(s) {
		t.Errorf("AWS %s\nSuricata %s", a, s)
	}
}

func TestAppendKeepsPrefix(t *testing.T) {
	got := string(AppendAlert([]byte("prefix "), sampleAlert()))
	if want := "prefix " + string(AppendAlert(nil, sampleAlert())); got != want {
		t.Errorf("got %s", got)
	}
}

func TestProtocolNames(t *testing.T) {
	for proto, want := range map[uint8]string{0: "HOPOPT", 1: "ICMP", 6: "TCP", 17: "UDP", 58: "IPv6-ICMP", 132: "SCTP", 7: "CBT", 255: "255"} {
		var v struct{ Proto string }
		if err := json.Unmarshal(AppendDrop(nil, &Drop{Tuple: Tuple{Src: packet.Addr{15: 1}, Proto: proto}}), &v); err != nil || v.Proto != want {
			t.Errorf("protocol %d: %q, %v; want %q", proto, v.Proto, err, want)
		}
	}
}

// TestCommunityID has examples of the specification, and the other direction of each.
func TestCommunityID(t *testing.T) {
	for _, test := range []struct {
		proto          uint8
		src, dst       string
		from, to, seed uint16
		want           string
	}{
		{packet.ProtoTCP, "128.232.110.120", "66.35.250.204", 34855, 80, 0, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{packet.ProtoTCP, "128.232.110.120", "66.35.250.204", 34855, 80, 1, "1:3V71V58M3Ksw/yuFALMcW0LAHvc="},
		{packet.ProtoUDP, "192.168.1.52", "8.8.8.8", 54585, 53, 0, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{packet.ProtoSCTP, "192.168.170.8", "192.168.170.56", 7, 80, 0, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="},
		{packet.ProtoICMP, "192.168.0.89", "192.168.0.1", 8, 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{packet.ProtoICMPv6, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 136, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	} {
		src, dst := packet.AddrFrom(netip.MustParseAddr(test.src)), packet.AddrFrom(netip.MustParseAddr(test.dst))
		for range 2 {
			if got := string(AppendCommunityID(nil, test.seed, test.proto, src, dst, test.from, test.to)); got != test.want {
				t.Errorf("%v: got %s", test, got)
			}
			src, dst, test.from, test.to = dst, src, test.to, test.from
		}
	}
}

func TestTimestamps(t *testing.T) {
	for _, ns := range []int64{0, 1, 999, 1000, 951782399999999999, at, -1, 1<<63 - 1} {
		o := object{comma: false}
		o.time("t", ns)
		want := `"t":"` + time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000-0700") + `"`
		if string(o.b) != want {
			t.Errorf("%d: got %s, want %s", ns, o.b, want)
		}
	}
}

// shown is the slow twin of appendString: what a reader of the JSON string gets.
func shown(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if s[i] < utf8.RuneSelf {
			b.WriteByte(s[i])
		} else {
			b.WriteString(`\x` + string(hexDigits[s[i]>>4]) + string(hexDigits[s[i]&15]))
		}
	}
	return b.String()
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", `q"\`, "\x00\x1f\b\f\n\r\t\x7f", "ü\u2028😀", "\xff", "a\xc3", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		enc := appendString(nil, s)
		var got string
		if err := json.Unmarshal(enc, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, enc, err)
		}
		if want := shown(s); got != want {
			t.Errorf("%q became %s, read as %q, want %q", s, enc, got, want)
		}
	})
}

func FuzzAlert(f *testing.F) {
	f.Add("sig", "cat", "sni", "/url", int64(0), uint8(6))
	f.Fuzz(func(t *testing.T, sig, key, sni, url string, tx int64, proto uint8) {
		a := sampleHTTPAlert()
		a.Signature, a.Metadata, a.Proto = sig, []detect.Metadata{{Key: key, Value: sni}}, proto
		a.Tx = transaction(applayer.HTTP, packet.ProtoTCP, "GET "+url+" HTTP/1.1\r\nHost: "+sni+"\r\n\r\n")
		a.Detail, a.Payload, a.Vars = Full, []byte(url), &Vars{Bits: []string{sni}, Ints: []Int{{key, 1}}}
		enc := AppendEnvelope(nil, &Envelope{FirewallName: key}, tx, url, AppendAlert(nil, a))
		if !json.Valid(enc) || strings.ContainsAny(string(enc), "\n\r") {
			t.Fatalf("bad record: %s", enc)
		}
	})
}

func TestNoAllocs(t *testing.T) {
	alert, http, dns, flow, drop := sampleAlert(), sampleHTTPAlert(), sampleDNSAlert(), sampleFlow(), sampleDrop()
	full, anomaly := sampleFullAlert(), sampleAnomaly()
	var id [32]byte
	stats := &Stats{Counters: []Counter{{"a.b.c", 1}, {"a.d", 2}}}
	env := &Envelope{FirewallName: "edge", AvailabilityZone: "z"}
	buf, wrapped := make([]byte, 0, 4096), make([]byte, 0, 4096)
	n := testing.AllocsPerRun(100, func() {
		buf = AppendAlert(buf[:0], alert)
		wrapped = AppendEnvelope(wrapped[:0], env, alert.Time, alert.ResourceARN, buf)
		buf = AppendAlert(buf[:0], http)
		buf = AppendAlert(buf[:0], dns)
		buf = AppendAlert(buf[:0], full)
		buf = AppendAnomaly(buf[:0], anomaly)
		AppendCommunityID(id[:0], 0, flow.Proto, flow.Src, flow.Dst, flow.SrcPort, flow.DstPort)
		buf = AppendFlow(buf[:0], flow)
		buf = AppendAWSNetflow(buf[:0], flow, packet.ToClient)
		buf = AppendDrop(buf[:0], drop)
		buf = AppendStats(buf[:0], stats)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendAlert(b *testing.B) {
	a, buf := sampleAlert(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendAlert(buf[:0], a)
	}
}

func BenchmarkAppendFlow(b *testing.B) {
	f, buf := sampleFlow(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendFlow(buf[:0], f)
	}
}
