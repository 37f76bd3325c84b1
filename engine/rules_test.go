package engine

import (
	"strconv"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

func offloaded(ip []byte) pktio.Packet {
	return pktio.Packet{Data: ip, Link: packet.LinkRaw, Offload: true}
}

// TestEstablished: the handshake is not established, its last ACK included;
// UDP is from the first reply on. Suricata 7 says the same of these packets.
func TestEstablished(t *testing.T) {
	r := newRig(t, program(t, `alert tcp any any -> any any (flow:established,to_server; sid:1;)
alert tcp any any -> any any (flow:established,to_client; sid:2;)
alert tcp any any -> any any (flow:not_established; sid:3;)
alert udp any any -> any any (flow:established,to_client; sid:4;)
alert udp any any -> any any (flow:established,to_server; sid:5;)
alert udp any any -> any any (flow:not_established; sid:6;)`))
	c := newConn("1")
	request := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("a"))
	reply := packettest.UDP("10.0.0.2:2", "10.0.0.1:1", []byte("b"))
	for _, s := range []struct {
		name string
		ip   []byte
		sid  uint32
	}{
		{"SYN", c.syn(), 3},
		{"SYN-ACK", c.s2c(synAck, ""), 3},
		{"last ACK of the handshake", c.c2s(ack, ""), 3},
		{"data", c.c2s(data, "x"), 1},
		{"ACK", c.s2c(ack, ""), 2},
		{"answer", c.s2c(data, "y"), 2},
		{"FIN", c.c2s(fin, ""), 1},
		{"FIN", c.s2c(fin, ""), 2},
		{"UDP request", request, 6},
		{"UDP request again", request, 6},
		{"UDP reply", reply, 4},
		{"UDP request after a reply", request, 5},
	} {
		r.rec.alerts = nil
		r.accepts(s.name, s.ip)
		if a := r.rec.alerts; len(a) != 1 || a[0].SID != s.sid {
			t.Errorf("%s: alerts %+v, want sid %d", s.name, a, s.sid)
		}
	}
}

func TestVerdicts(t *testing.T) {
	rules := `pass tcp any any -> any 443 (flow:to_server; sid:1;)
drop udp any any -> any 53 (msg:"no dns"; sid:2;)
alert udp any any -> any 54 (sid:3;)
alert udp any any -> any 53 (sid:4;)`
	r := newRig(t, program(t, rules))
	r.open(newConn("1"))
	dns := packettest.UDP("10.0.0.1:1", "10.0.0.2:53", nil)
	r.drops("dropped", dns)
	r.drops("and the flow with it", packettest.UDP("10.0.0.2:53", "10.0.0.1:1", nil))
	r.dropped(ReasonRule, 1)
	r.dropped(ReasonFlow, 1)
	r.accepts("alerted", packettest.UDP("10.0.0.1:1", "10.0.0.2:54", nil))
	if len(r.rec.alerts) != 3 || r.w.n[cAlerts] != 3 {
		t.Fatalf("alerts %+v", r.rec.alerts)
	}
	for i, want := range []struct {
		sid             uint32
		action, verdict string
	}{{2, "blocked", "drop"}, {4, "allowed", "drop"}, {3, "allowed", "alert"}} {
		if a := r.rec.alerts[i]; a.SID != want.sid || a.Action != want.action || a.Verdict != want.verdict {
			t.Errorf("alert %d: %+v, want %v", i, a, want)
		}
	}
	if d := r.rec.drops[0]; d.Reason != "rules" || d.Alert == nil || d.Alert.SID != 2 || d.Alert.Signature != "no dns" {
		t.Errorf("drop %+v", d)
	}
	if d := r.rec.drops[1]; d.Reason != "flow drop" || d.Alert != nil {
		t.Errorf("drop %+v", d)
	}
}

// TestIPOnly: rules of addresses alone are asked at the first packet of each direction.
func TestIPOnly(t *testing.T) {
	r := newRig(t, program(t, `alert ip 10.0.0.1 any -> any any (sid:1;)
alert ip 10.0.0.2 any -> any any (sid:2;)`))
	there, back := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil), packettest.UDP("10.0.0.2:2", "10.0.0.1:1", nil)
	for _, p := range [][]byte{there, there, back, there, back} {
		r.accepts("UDP", p)
	}
	if a := r.rec.alerts; len(a) != 2 || a[0].SID != 1 || a[1].SID != 2 {
		t.Errorf("alerts %+v", a)
	}
}

// TestFlowVerdicts: without the option a rule that looks at a packet decides it alone.
func TestFlowVerdicts(t *testing.T) {
	for _, whole := range []bool{false, true} {
		r := newRig(t, programWith(t, `drop udp any any -> any any (content:"evil"; sid:1;)`, detect.Options{Strict: true, FlowVerdicts: whole}))
		evil, good := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("evil")), packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("good"))
		r.drops("evil", evil)
		want := pktio.Accept
		if whole {
			want = pktio.Drop
		}
		r.want(want, "what follows", good)
	}
}

// TestHelloInTwoSegments is the case that the application-layer default actions exist for.
func TestHelloInTwoSegments(t *testing.T) {
	rules := `pass tls any any -> any any (tls.sni; content:"good.example"; startswith; endswith; nocase; flow:to_server,established; sid:1;)`
	for _, test := range []struct {
		family   detect.Family
		reversed bool
		name     string
		first    pktio.Verdict // of the segment that comes first
		second   pktio.Verdict
		server   pktio.Verdict // of an answer after both
	}{
		{detect.Established, false, "good.example", pktio.Drop, pktio.Drop, pktio.Drop},
		{detect.Established, true, "good.example", pktio.Drop, pktio.Drop, pktio.Drop},
		{detect.EstablishedApp, false, "good.example", pktio.Accept, pktio.Accept, pktio.Accept},
		{detect.EstablishedApp, true, "good.example", pktio.Accept, pktio.Accept, pktio.Accept},
		{detect.EstablishedApp, false, "bad.example", pktio.Accept, pktio.Drop, pktio.Drop},
		{detect.EstablishedApp, true, "bad.example", pktio.Accept, pktio.Drop, pktio.Drop},
		{detect.EstablishedToServer, false, "good.example", pktio.Accept, pktio.Accept, pktio.Accept},
		{detect.EstablishedToServer, true, "good.example", pktio.Accept, pktio.Accept, pktio.Accept},
		{detect.EstablishedToServer, false, "bad.example", pktio.Accept, pktio.Drop, pktio.Accept},
		{detect.EstablishedToServer, true, "bad.example", pktio.Accept, pktio.Drop, pktio.Accept},
	} {
		r := newRig(t, program(t, rules, dropDefault(test.family)))
		c := newConn("1")
		r.open(c)
		text := hello(t, test.name)
		segments := [][]byte{c.c2s(data, text[:150]), c.c2s(data, text[150:])}
		if test.reversed {
			segments[0], segments[1] = segments[1], segments[0]
		}
		what := test.name
		r.want(test.first, what+", first segment", segments[0])
		r.want(test.second, what+", second segment", segments[1])
		r.want(test.server, what+", server", packettest.TCP(c.server, c.client, data, c.serverSeq, 1001, []byte("x")))
		if t.Failed() {
			t.Fatalf("%+v", test)
		}
	}
}

func TestNames(t *testing.T) {
	r := newRig(t, program(t, `pass tls any any -> any any (tls.sni; content:".good.example"; endswith; sid:1;)
pass http any any -> any any (http.host; content:"good.example"; startswith; endswith; sid:2;)
drop http any any -> any any (http.host; content:"bad.example"; sid:4;)
pass udp any any -> any 53 (sid:3;)`, dropDefault(detect.EstablishedApp)))
	names := map[string]bool{}
	for port, payload := range map[string]string{
		"1": hello(t, "www.good.example"), "2": "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n",
	} {
		c := newConn(port)
		r.open(c)
		r.accepts(payload[:4], c.c2s(data, payload))
	}
	r.accepts("DNS", packettest.UDP("10.0.0.1:1", "10.0.0.2:53", query("asked.example")))
	c := newConn("3")
	r.open(c)
	r.drops("another host", c.c2s(data, "GET / HTTP/1.1\r\nHost: bad.example\r\n\r\n"))
	if a := r.rec.alerts; len(a) != 1 || !strings.Contains(string(eve.AppendAlert(nil, &a[0])), `"http":{"hostname":"bad.example"`) {
		t.Errorf("alerts %+v", a)
	}
	for f := range r.w.table.All {
		names[f.State.app.String()+" "+r.w.nameOf(f)] = true
	}
	for _, want := range []string{"tls www.good.example", "http good.example", "http bad.example", "dns asked.example"} {
		if !names[want] {
			t.Errorf("no flow %q among %v", want, names)
		}
	}
	r.pass(400)
	r.sweep()
	if n := len(r.w.names.index); n != 0 {
		t.Errorf("%d names are left", n)
	}
	for _, i := range r.w.inspectors {
		if i.session != nil || i.asm[0] != nil || i.asm[1] != nil {
			t.Error("an inspector was not given back")
		}
	}
	if r.w.sessions.InUse() != 0 || r.w.pool.InUse() != 0 {
		t.Error("memory is still lent")
	}
}

// query is a DNS query for the A record of name.
func query(name string) []byte {
	b := []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0, 0, 1, 0, 1)
}

// TestDatagramsTakeNoMemory: sessions are for connections.
func TestDatagramsTakeNoMemory(t *testing.T) {
	r := newRig(t, program(t, `drop dns any any -> any any (dns.query; content:"evil.example"; sid:1;)
alert udp any any -> any any (app-layer-protocol:failed; sid:2;)`))
	r.accepts("first query", packettest.UDP("10.0.0.1:1", "10.0.0.2:53", query("good.example")))
	r.accepts("answer", packettest.UDP("10.0.0.2:53", "10.0.0.1:1", query("good.example")))
	r.drops("later query", packettest.UDP("10.0.0.1:1", "10.0.0.2:53", query("evil.example")))
	for range 12 {
		r.accepts("unknown", packettest.UDP("10.0.0.1:2", "10.0.0.2:4000", []byte("?")))
	}
	if len(r.rec.alerts) != 1+2 { // of the drop, and the two packets with which the failure is known
		t.Errorf("alerts %+v", r.rec.alerts)
	}
	if r.w.sessions.InUse() != 0 || len(r.w.inspectors) != 0 {
		t.Errorf("%d bytes of sessions in use", r.w.sessions.InUse())
	}
}

// TestDatagramSides: each side has one datagram to be recognised by.
func TestDatagramSides(t *testing.T) {
	r := newRig(t, program(t, ""))
	sides := func(port string, toServer, toClient []byte) eve.AppProtos {
		t.Helper()
		client := "10.0.0.1:" + port
		r.accepts("to the server", packettest.UDP(client, "10.0.0.2:53", toServer))
		r.accepts("to the client", packettest.UDP("10.0.0.2:53", client, toClient))
		r.accepts("to the server, again", packettest.UDP(client, "10.0.0.2:53", query("good.example")))
		r.ended()
		return r.rec.flows[len(r.rec.flows)-1].App
	}
	answer := query("good.example")
	answer[2] |= 0x80
	junk := []byte("neither asks nor answers")
	for i, test := range []struct {
		toServer, toClient []byte
		want               eve.AppProtos
	}{
		{query("a.example"), answer, eve.AppProtos{Proto: "dns", ToServer: "dns", ToClient: "dns"}},
		{query("a.example"), junk, eve.AppProtos{Proto: "dns", ToServer: "dns", ToClient: "dns"}},
		{junk, answer, eve.AppProtos{Proto: "dns", ToServer: "failed", ToClient: "dns"}},
		{nil, answer, eve.AppProtos{Proto: "dns", ToServer: "failed", ToClient: "dns"}},
		{junk, junk, eve.AppProtos{Proto: "failed", ToServer: "failed", ToClient: "failed"}},
	} {
		if got := sides(strconv.Itoa(1000+i), test.toServer, test.toClient); got != test.want {
			t.Errorf("case %d: %+v, want %+v", i, got, test.want)
		}
	}
}

// TestInspectionRefused: at the memory limit a flow counts as one whose protocol
// is not recognised, so what waits for it drops.
func TestInspectionRefused(t *testing.T) {
	rules := `pass tls any any -> any any (tls.sni; content:"good.example"; sid:1;)`
	r := newRig(t, program(t, rules, dropDefault(detect.EstablishedApp)), func(o *Options) { o.StreamMemory = 1 })
	c := newConn("1")
	r.open(c)
	r.drops("a hello that nobody can read", c.c2s(data, hello(t, "good.example")))
	r.counter(cInspectionRefused, 1)
	r.accepts("the next handshake", newConn("2").syn())
}

// TestUnreadIsDropped: bytes that cannot be kept for inspection do not get past it.
func TestUnreadIsDropped(t *testing.T) {
	r := newRig(t, program(t, `drop tcp any any -> any any (content:"evil"; sid:1;)`))
	c := newConn("1")
	r.open(c)
	start := c.clientSeq
	at := func(offset uint32, payload string) []byte {
		return packettest.TCP(c.client, c.server, data, start+offset, c.serverSeq, []byte(payload))
	}
	var unread uint32
	for i := range uint32(5000) { // a hole before each byte
		if r.packet(at(1+2*i, "x")) == pktio.Drop {
			unread = 1 + 2*i
			break
		}
	}
	if unread == 0 {
		t.Fatal("any number of holes is taken")
	}
	r.dropped(ReasonReassembly, 1)
	for i := range unread/2 + 1 {
		r.accepts("what fills a hole", at(2*i, "y"))
	}
	r.accepts("the same again", at(unread, "x"))
	r.addsUp()
}

func TestDefaultActions(t *testing.T) {
	udp := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", nil)
	for family, want := range map[detect.Family][]pktio.Verdict{ // SYN, SYN-ACK, ACK, data that is no known protocol yet, UDP
		detect.Strict:              {0, 0, 0, 0, 0},
		detect.Established:         {1, 1, 1, 0, 0},
		detect.EstablishedApp:      {1, 1, 1, 1, 0},
		detect.EstablishedToServer: {1, 1, 1, 1, 0},
	} {
		r := newRig(t, program(t, "", dropDefault(family)))
		c := newConn("1")
		for i, p := range [][]byte{c.syn(), c.s2c(synAck, ""), c.c2s(ack, ""), c.c2s(data, "?"), udp} {
			r.want(want[i], "packet", p)
		}
		if t.Failed() {
			t.Fatalf("family %d", family)
		}
		r.addsUp()
	}
}

// TestDefaultAlerts: each family tells once of a flow, with what becomes of it.
func TestDefaultAlerts(t *testing.T) {
	r := newRig(t, program(t, "", dropDefault(detect.Established), func(p *detect.Program) {
		p.Defaults.Alert[detect.Strict], p.Defaults.Alert[detect.Established] = true, true
		p.Defaults.Rules[detect.Strict].Action = detect.Alert
	}))
	c := newConn("1")
	r.open(c)
	r.drops("data", c.c2s(data, "x"))
	r.drops("more", c.c2s(data, "x"))
	if a := r.rec.alerts; len(a) != 2 || a[0].SID != 2 || a[0].Action != "allowed" || a[1].SID != 4 || a[1].Action != "blocked" || a[1].Verdict != "drop" {
		t.Errorf("alerts %+v", a)
	}
}

func TestNamesAreBounded(t *testing.T) {
	var n names
	key := func(i int) []byte { return []byte{byte(i), byte(i >> 8), byte(i >> 16)} }
	for i := range maxNames {
		if n.add(key(i)) == 0 {
			t.Fatalf("full at %d", i)
		}
	}
	if n.add(key(maxNames)) != 0 {
		t.Error("a name beyond the bound was taken")
	}
	again := n.add(key(7))
	n.release(again)
	if n.text(again) != string(key(7)) || n.add(key(maxNames)) != 0 {
		t.Error("a name with a reference left was forgotten")
	}
	n.release(again)
	if n.add(key(maxNames)) == 0 {
		t.Error("a released name's place is not used again")
	}
}
