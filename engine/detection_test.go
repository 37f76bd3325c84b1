package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/eve"
)

// say is what a side sends: 'c' or 's', then the bytes. The other side acknowledges it at once.
type say string

// talk sends a connection to a port: its handshake is packets 1 to 3, then each say has one, and one for its ACK. It
// returns the alerts, each as the number of its packet and the rule.
func (r *rig) talk(port string, turns ...say) string {
	r.Helper()
	c := newConn("1")
	c.server = "192.0.2.1:" + port
	var alerts []string
	number := 0
	note := func() {
		for _, a := range r.rec.alerts {
			alerts = append(alerts, fmt.Sprintf("%d:%d", number, a.SID))
		}
		r.rec.alerts = nil
	}
	send := func(ip []byte) {
		number++
		r.accepts(fmt.Sprintf("packet %d", number), ip)
		note()
	}
	send(c.syn())
	send(c.s2c(synAck, ""))
	send(c.c2s(ack, ""))
	for _, t := range turns {
		if t[0] == 'c' {
			send(c.c2s(data, string(t[1:])))
			send(c.s2c(ack, ""))
		} else {
			send(c.s2c(data, string(t[1:])))
			send(c.c2s(ack, ""))
		}
	}
	r.ended()
	return strings.Join(alerts, " ")
}

const (
	request  = say("cGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	response = say("sHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	noise    = "\x01\x02\x03 this is nothing at all"
)

// TestMomentsOfDetection: which packets rules about a protocol alone alert on, and what flow records tell. All is as
// Suricata 7.0.10 has it for the same packets, looking on and inline.
func TestMomentsOfDetection(t *testing.T) {
	const rules = `alert tcp any any -> any any (app-layer-protocol:http; sid:1;)
alert tcp any any -> any any (app-layer-protocol:!http; sid:2;)
alert tcp any any -> any any (flow:established; app-layer-protocol:failed; sid:3;)
alert tcp any any -> any any (app-layer-event:applayer_detect_protocol_only_one_direction; sid:4;)
alert tcp any any -> any any (app-layer-event:applayer_mismatch_protocol_both_directions; sid:5;)
alert tcp any any -> any any (app-layer-event:applayer_wrong_direction_first_data; sid:6;)`
	for _, tt := range []struct {
		name        string
		turns       []say
		ids, inline string
		app         eve.AppProtos
	}{
		{"both sides", []say{request, response, request}, "7:1 9:1", "4:1 6:1 7:1 9:1",
			eve.AppProtos{Proto: "http", ToServer: "http", ToClient: "http"}},
		{"neither", []say{"c" + noise, "s" + noise, "c" + noise, "s" + noise}, "7:3 8:2 8:3 9:2 9:3 10:3 11:3", "6:2 6:3 7:2 7:3 8:3 9:2 9:3 10:3 11:3",
			eve.AppProtos{Proto: "failed", ToServer: "failed", ToClient: "failed"}},
		{"too little", []say{"cabc", "sdef", "cabc"}, "", "", eve.AppProtos{}},
		{"the client's", []say{request, "s" + noise, "c" + noise}, "7:1 7:4 9:2 9:3", "4:1 6:2 6:3 6:4 7:1 9:2 9:3",
			eve.AppProtos{Proto: "http", ToServer: "http", ToClient: "failed"}},
		{"another answers", []say{request, "sSSH-2.0-x\r\n", "c" + noise}, "7:1 7:5 9:2", "4:1 6:2 6:5 7:1 9:2",
			eve.AppProtos{Proto: "http", ToServer: "http", ToClient: "ssh"}},
		{"a server begins", []say{"s\x16\x03\x03\x00\x05\x01\x00\x00\x01a", "cabc"}, "5:3 5:6 6:2 6:3 7:2", "4:2 4:6 5:2 5:3 6:3 7:2",
			eve.AppProtos{Proto: "failed", ToServer: "failed", ToClient: "tls"}},
	} {
		for mode, want := range map[string]string{"ids": tt.ids, "inline": tt.inline} {
			r := newRig(t, programWith(t, rules, detect.Options{}), func(o *Options) { o.Inline = mode == "inline" })
			if got := r.talk("8000", tt.turns...); got != want {
				t.Errorf("%s, %s: alerts %s, want %s", tt.name, mode, got, want)
			}
			if got := r.rec.flows[0].App; got != tt.app {
				t.Errorf("%s, %s: %+v, want %+v", tt.name, mode, got, tt.app)
			}
		}
	}
}

// TestProtocolsThatFollow: STARTTLS, AUTH TLS and CONNECT are followed, and what else comes is told. All is as Suricata
// 7.0.10 has it inline.
func TestProtocolsThatFollow(t *testing.T) {
	const rules = `alert tls any any -> any any (tls.sni; content:"a.example"; sid:1;)
alert tcp any any -> any any (app-layer-event:applayer_unexpected_protocol; sid:2;)
alert tcp any any -> any any (app-layer-event:applayer_no_tls_after_starttls; sid:3;)`
	hello := say("c" + hello(t, "a.example"))
	mail := []say{"s220 mail.example ready\r\n", "cEHLO a\r\n", "s250-mail.example\r\n250 STARTTLS\r\n", "cSTARTTLS\r\n", "s220 go\r\n"}
	files := []say{"s220 ftp.example ready\r\n", "cUSER a\r\n", "s331 more\r\n", "cAUTH TLS\r\n", "s234 go\r\n"}
	tunnel := []say{"cCONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "sHTTP/1.1 200 OK\r\n\r\n"}
	for name, tt := range map[string]struct {
		port  string
		turns []say
		want  string
		app   eve.AppProtos
	}{
		"STARTTLS":            {"25", append(mail, hello), "14:1", eve.AppProtos{Proto: "tls", ToServer: "tls", Orig: "smtp", Expected: "tls"}},
		"AUTH TLS":            {"21", append(files, hello), "14:1", eve.AppProtos{Proto: "tls", ToServer: "tls", Orig: "ftp", Expected: "tls"}},
		"CONNECT":             {"8080", append(tunnel, hello), "8:1", eve.AppProtos{Proto: "tls", ToServer: "tls", Orig: "http"}},
		"HTTP after STARTTLS": {"25", append(mail, request), "14:2 14:3", eve.AppProtos{Proto: "http", ToServer: "http", Orig: "smtp", Expected: "tls"}},
		"nothing known":       {"25", append(mail, "c"+noise), "14:2 14:3", eve.AppProtos{Proto: "failed", ToServer: "failed", ToClient: "failed", Orig: "smtp", Expected: "tls"}},
	} {
		r := newRig(t, programWith(t, rules, detect.Options{}))
		if got := r.talk(tt.port, tt.turns...); got != tt.want {
			t.Errorf("%s: alerts %s, want %s", name, got, tt.want)
		}
		if got := r.rec.flows[0].App; got != tt.app {
			t.Errorf("%s: %+v, want %+v", name, got, tt.app)
		}
	}
}

// TestHandshakeMoments: where the engine only looks on, rules about a handshake look at its state with the packet that
// acknowledges it, at what it says with the next of its side, and records are written at once.
func TestHandshakeMoments(t *testing.T) {
	const rules = `alert tls any any -> any any (ssl_state:client_hello; sid:1;)
alert tls any any -> any any (tls.sni; content:"a.example"; sid:2;)
alert ssh any any -> any any (ssh.proto; content:"2.0"; sid:3;)`
	hello := say("c" + hello(t, "a.example"))
	for name, tt := range map[string]struct {
		turns       []say
		ids, inline string
	}{
		"TLS": {[]say{hello, "s\x15\x03\x03\x00\x02\x02\x28"}, "5:1 7:2", "4:1 4:2"},
		"SSH": {[]say{"cSSH-2.0-a\r\n", "sSSH-2.0-b\r\n", "c\x00"}, "7:3 9:3", "4:3 6:3"},
	} {
		for mode, want := range map[string]string{"ids": tt.ids, "inline": tt.inline} {
			r := newRig(t, programWith(t, rules, detect.Options{}), func(o *Options) { o.Inline = mode == "inline" })
			if got := r.talk("443", tt.turns...); got != want {
				t.Errorf("%s, %s: alerts %s, want %s", name, mode, got, want)
			}
		}
	}
}
