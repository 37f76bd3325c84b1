package detect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/parsers"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// variables lists what a flow and the packet at hand have, in the order of records.
func variables(set *RuleSet, vars *FlowVars, flow uint64, res *Result) string {
	var all []string
	set.VisitVars(vars, flow, func(v FlowVar) {
		if v.Kind == FlowText {
			all = append(all, fmt.Sprintf("%s=%q", v.Name, v.Text))
		}
	})
	slices.Reverse(all)
	for _, v := range res.PacketVars {
		all = append(all, fmt.Sprintf("pkt:%s=%q", v.Name, v.Value))
	}
	return strings.Join(all, " ")
}

// TestCaptures: what each pcre captures, as seen in the records of Suricata 7.0.10 on such packets.
func TestCaptures(t *testing.T) {
	const text = "user=bob pass=secret back\x00"
	for _, test := range []struct{ rules, want string }{
		{`pcre:"/user=(?P<flow_user>\S+) pass=(?P<pkt_pw>\S+)/";`, `user="bob" pkt:pw="secret"`},
		{`pcre:"/(u)ser=(\S+)/, flow:a, pkt:b";`, `a="u" pkt:b="bob"`},
		{`pcre:"/(us)er=(?P<flow_a>\S+)/";`, `a="bob"`},                           // groups without a name do not count
		{`pcre:"/(?P<zz>b)(?P<flow_a>a)ck/";`, `a="b"`},                           // but those with any name do
		{`pcre:"/(?P<flow_a>b)(?P<flow_b>a)(c)k/, flow:c";`, `c="b" a="a" b="c"`}, // those named behind the pattern are first
		{`pcre:"/(b)(?P<flow_a>a)((c)\2|ck)/";`, `a="b"`},                         // there is no second group without names
		{`pcre:"/(b|c)(?P<flow_a>a)ck\1?/";`, `a="a"`},                            // there is a first
		{`pcre:"/user=(?P<flow_a>[a-z]+)|(?P<flow_b>foo)/";`, `a="bob"`},          // the other group took no part
		{`pcre:"/user=(?P<flow_a>\d*)/";`, `a=""`},
		{`pcre:"/(b)((ac)k)/, pkt:a, pkt:key, pkt:value";`, `pkt:a="b" pkt:ack="ac"`},
		{`pcre:"/k(?P<flow_a>.)/s";`, `a="\x00"`},
		{`pcre:!"/(?P<flow_a>nobody)/";`, ``},
		{`content:"user"; pcre:"/(?P<flow_a>\w+)=/"; content:"secret"; within:6;`, `a="pass"`}, // of the match that counts
		{`content:"user"; pcre:"/=(?P<flow_a>\w+)/"; content:"never";`, ``},
		{`pcre:"/(?P<flow_a>us)/"; ttl:1;`, ``},
		{`pcre:"/(?P<flow_a>us)/"; flowbits:isset,never;`, ``},
		{`pcre:"/(?P<flow_a>us)/"; flowvar:a,"us";`, ``}, // a rule does not see what it captures itself
		{`pcre:"/(?P<flow_a>us)/"; | pcre:"/(?P<flow_b>er)/"; flowvar:a,"s";`, `a="us" b="er"`},
		{`pcre:"/(?P<flow_a>us)/"; | pcre:"/(?P<flow_b>er)/"; flowvar:a,"S";`, `a="us"`},
		{`pcre:"/(?P<pkt_a>us)/"; | pcre:"/(?P<pkt_b>er)/"; pktvar:a,"us";`, `pkt:a="us" pkt:b="er"`},
		{`pcre:"/(?P<pkt_a>us)/"; | pcre:"/(?P<flow_b>er)/"; pktvar:b,"us";`, `pkt:a="us"`},
		{`pcre:"/(?P<flow_a>us)er=(?P<pkt_a>.)/"; | pcre:"/(?P<flow_a>pa)(?P<pkt_a>s)/";`, `a="pa" pkt:a="b" pkt:a="s"`},
	} {
		var rules strings.Builder
		for i, options := range strings.Split(test.rules, " | ") {
			fmt.Fprintf(&rules, "alert udp any any -> any any (%s sid:%d;)\n", options, i+1)
		}
		set := compile(t, Options{}, rules.String())
		vars := NewFlowVars(10)
		in := &Input{Packet: decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte(text))), First: true, FlowID: 7, Vars: vars}
		if got := variables(set, vars, 7, run(set, in)); got != test.want {
			t.Errorf("%s\n\tcaptures %s\n\twant     %s", test.rules, got, test.want)
		}
	}
}

// TestCapturesInBase64: what was found in decoded text is kept only if the rest matches.
func TestCapturesInBase64(t *testing.T) {
	set := compile(t, Options{}, `alert udp any any -> any any (content:"x "; base64_decode:relative; base64_data; pcre:"/(?P<flow_a>w.r)/"; pkt_data; content:"!"; sid:1;)`)
	for text, want := range map[string]string{"x aGVsbG8gd29ybGQ= !": `a="wor"`, "x aGVsbG8gd29ybGQ= ?": ``} {
		vars := NewFlowVars(10)
		in := &Input{Packet: decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte(text))), First: true, FlowID: 7, Vars: vars}
		if got := variables(set, vars, 7, run(set, in)); got != want {
			t.Errorf("%q: captures %s, want %s", text, got, want)
		}
	}
}

// TestCapturesOfOthers: what a rule captured that does not match in the end is not that of the next one which matches by
// the name of a host alone.
func TestCapturesOfOthers(t *testing.T) {
	set := compile(t, Options{}, `alert http any any -> any any (http.method; pcre:"/(?P<flow_a>G)/"; http.uri; pcre:"/^\d/"; sid:1;)
alert http any any -> any any (http.host; content:"example.com"; startswith; endswith; sid:2;)`)
	text := []byte("GET /x HTTP/1.1\r\nHost: example.com\r\n\r\n")
	vars, res := NewFlowVars(10), &Result{}
	in := &Input{
		Packet: decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.ACK, 1, 1, text)), App: applayer.HTTP, FlowID: 7, Vars: vars,
	}
	session := applayer.NewPool(1<<20, parsers.New).Get()
	session.Reset(packet.ProtoTCP, 1000, 80)
	for rest := text; len(rest) > 0; {
		n := session.Data(packet.ToServer, rest)
		for ev := (applayer.Event{}); session.Next(&ev); {
			if ev.Hook != applayer.TxDone {
				set.Event(in, ev, res)
			}
		}
		if rest = rest[n:]; n == 0 {
			break
		}
	}
	set.Decide(in, res)
	if got := variables(set, vars, 7, res); got != "" || fmt.Sprint(alerts(set, res)) != "[2]" {
		t.Errorf("alerts %v, captures %s", alerts(set, res), got)
	}
}

// TestCapturesAreBounded: a flow keeps so many variables, each of so many bytes; the rest is counted, and what a
// flow had is free again when it ends.
func TestCapturesAreBounded(t *testing.T) {
	var rules strings.Builder
	for i := range maxFlowTexts + 4 {
		fmt.Fprintf(&rules, "alert udp any any -> any any (pcre:\"/(?P<flow_v%d>A+)/\"; noalert; sid:%d;)\n", i, i+1)
	}
	set := compile(t, Options{}, rules.String())
	p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte(strings.Repeat("A", maxCaptured+1))))
	vars, res := NewFlowVars(100), &Result{}
	look := func(flow uint64) {
		res.Reset()
		in := &Input{Packet: p, FlowID: flow, Vars: vars}
		set.Packet(in, res)
		set.Decide(in, res)
	}
	look(1)
	kept := 0
	set.VisitVars(vars, 1, func(v FlowVar) {
		if kept++; len(v.Text) != maxCaptured {
			t.Errorf("%s has %d bytes, want %d", v.Name, len(v.Text), maxCaptured)
		}
	})
	if kept != maxFlowTexts || vars.TextsRefused() != 4 || res.Uncaptured() != maxFlowTexts+4 {
		t.Errorf("%d variables kept, %d refused, %d cut", kept, vars.TextsRefused(), res.Uncaptured())
	}
	for range 3 {
		look(1)
	}
	if used := vars.texts.bytes; used != maxFlowTexts*maxCaptured {
		t.Errorf("%d bytes in use", used)
	}
	vars.Release(1)
	if vars.texts.bytes != 0 || vars.Len() != 0 || len(vars.texts.free) != maxFlowTexts {
		t.Errorf("%d bytes in use after the flow's end", vars.texts.bytes)
	}
	// Half as many variables as there is room for flows' worth of them.
	small := NewFlowVars(3)
	vars = small
	look(2)
	if small.Refused() == 0 || small.texts.bytes != 3*maxCaptured {
		t.Errorf("%d variables refused, %d bytes in use; want 3 variables", small.Refused(), small.texts.bytes)
	}
	// And as many bytes as there is room for.
	vars = NewFlowVars(1 << 20)
	for flow := range uint64(maxTexts/maxFlowTexts/maxCaptured + 10) {
		look(flow + 1)
	}
	if vars.texts.bytes != maxTexts || vars.TextsRefused() == 0 {
		t.Errorf("%d bytes in use, %d variables refused", vars.texts.bytes, vars.TextsRefused())
	}
}

// TestPacketVariablesAreBounded: so are those of a packet.
func TestPacketVariablesAreBounded(t *testing.T) {
	var rules strings.Builder
	for i := range 2 * maxPacketVars {
		fmt.Fprintf(&rules, "alert udp any any -> any any (pcre:\"/(A+)(A)/, pkt:key, pkt:value\"; noalert; sid:%d;)\n", i+1)
	}
	set := compile(t, Options{}, rules.String())
	in := &Input{Packet: decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte(strings.Repeat("A", maxCaptured))))}
	res := run(set, in)
	if len(res.PacketVars) != maxPacketVars || len(res.m.net.text) != maxCatch || res.Uncaptured() == 0 {
		t.Errorf("%d variables, %d bytes, %d lost", len(res.PacketVars), len(res.m.net.text), res.Uncaptured())
	}
	res.Reset()
	if len(res.PacketVars) != 0 {
		t.Error("variables of a packet outlive it")
	}
}
