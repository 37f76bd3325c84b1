package detect

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/parsers"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/rule"
)

// noVariables knows no names.
type noVariables struct{}

func (noVariables) Addrs(string) (rule.Addrs, bool) { return rule.Addrs{}, false }
func (noVariables) Ports(string) (rule.Ports, bool) { return rule.Ports{}, false }

func sources(t testing.TB, text string) []Source {
	t.Helper()
	rules, errs := rule.ParseFile(text)
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	var all []Source
	for _, r := range rules {
		all = append(all, Source{Rule: r, Lookup: noVariables{}})
	}
	return all
}

func compile(t testing.TB, opt Options, text string) *RuleSet {
	t.Helper()
	set, err := Compile(sources(t, text), opt)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func decode(t testing.TB, ip []byte) *packet.Packet {
	t.Helper()
	p := &packet.Packet{}
	p.Decode(packet.LinkRaw, ip, packet.Options{})
	if p.Invalid != packet.Valid {
		t.Fatalf("the test's packet is invalid: %v", p.Invalid)
	}
	return p
}

// run looks at one packet as the engine does and decides.
func run(set *RuleSet, in *Input) *Result {
	res := &Result{}
	set.Header(in, res)
	if in.Detected {
		set.Detected(in, res)
	}
	set.Packet(in, res)
	set.Stream(in, res)
	set.Decide(in, res)
	return res
}

// alerts lists the sids that would be logged, in order.
func alerts(set *RuleSet, res *Result) []uint32 {
	var sids []uint32
	for _, h := range res.Alerts {
		sids = append(sids, set.Rules()[h.Rule].Meta.SID)
	}
	return sids
}

func TestWhatRulesLookAt(t *testing.T) {
	data := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.PSH|packet.ACK, 1, 1, []byte("hello world")))
	syn := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.SYN, 1, 0, nil))
	reply := decode(t, packettest.TCP("192.0.2.1:80", "10.0.0.1:1000", packet.SYN|packet.ACK, 1, 2, nil))
	datagram := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:80", []byte("hello world")))
	http := [2]applayer.Proto{applayer.HTTP, applayer.HTTP}
	echo := decode(t, packettest.ICMPEcho("10.0.0.1", "192.0.2.1", false, 1, 1, []byte("hello")))
	echo6 := decode(t, packettest.ICMPEcho("2001:db8::1", "2001:db8::2", false, 1, 1, []byte("hello")))

	inStream := Input{Packet: data, Established: true, InStream: true, Stream: []byte("hello world")}
	// As where the engine only looks on: bytes that came before are looked at with a packet that has none.
	withStream := Input{Packet: syn, Established: true, InStream: true, HasStream: true, Stream: []byte("hello world")}
	for _, test := range []struct {
		name string
		rule string
		in   Input
		want bool
	}{
		{"address", `alert tcp 10.0.0.0/8 any -> 192.0.2.1 80 (sid:1;)`, Input{Packet: syn, First: true}, true},
		{"other address", `alert tcp 10.0.0.2 any -> any any (sid:1;)`, Input{Packet: syn, First: true}, false},
		{"only the first packet of a direction", `alert tcp any any -> any any (sid:1;)`, Input{Packet: syn}, false},
		{"every packet once there is a flow keyword", `alert tcp any any -> any any (flow:to_server; sid:1;)`, Input{Packet: syn}, true},
		{"direction", `alert tcp any any -> any any (flow:to_client; sid:1;)`, Input{Packet: syn}, false},
		{"established", `alert tcp any any -> any any (flow:established; sid:1;)`, Input{Packet: syn}, false},
		{"not established", `alert tcp any any -> any any (flow:not_established; sid:1;)`, Input{Packet: syn}, true},
		{"no flow has no direction", `alert ip any any -> any any (flow:to_client; sid:1;)`, Input{Packet: syn, Dir: packet.ToClient, Flowless: true}, false},
		{"but rules to the server see what has no flow", `alert ip any any -> any any (flow:to_server; sid:1;)`, Input{Packet: syn, Flowless: true}, true},
		{"nothing is asked of no flow", `alert ip any any -> any any (flow:not_established; sid:1;)`, Input{Packet: syn, Flowless: true}, false},
		{"one way", `alert tcp 10.0.0.1 any -> any any (sid:1;)`, Input{Packet: reply, Dir: packet.ToClient, First: true}, false},
		{"both ways", `alert tcp 10.0.0.1 any <> any any (sid:1;)`, Input{Packet: reply, Dir: packet.ToClient, First: true}, true},
		{"protocol", `alert udp any any -> any any (sid:1;)`, Input{Packet: syn, First: true}, false},
		{"any protocol", `alert ip any any -> any any (sid:1;)`, Input{Packet: echo, First: true}, true},
		{"icmp of both versions", `alert icmp any any -> any any (sid:1;)`, Input{Packet: echo6, First: true}, true},
		{"icmpv4", `alert icmpv4 any any -> any any (sid:1;)`, Input{Packet: echo6, First: true}, false},
		{"ip version", `alert ipv6 any any -> any any (sid:1;)`, Input{Packet: echo, First: true}, false},
		{"port where there is none", `alert ip any any -> any 80 (sid:1;)`, Input{Packet: echo, First: true}, false},
		{"datagram", `alert udp any any -> any any (content:"hello"; sid:1;)`, Input{Packet: datagram}, true},
		{"digits that are not there", `alert udp any any -> any any (byte_jump:0,0,string,dec; sid:1;)`, Input{Packet: datagram}, false},
		{"a number of no bytes", `alert udp any any -> any any (byte_jump:0,0; sid:1;)`, Input{Packet: datagram}, true},
		{"the byte order of DCERPC elsewhere", `alert tcp any any -> any any (byte_test:1,>,0,0,dce; sid:1;)`, inStream, false},
		{"only the stream, and nothing of it", `alert tcp any any -> any any (flow:only_stream; sid:1;)`, inStream, false},
		{"only the stream, and its bytes", `alert tcp any any -> any any (flow:only_stream; content:"hello"; sid:1;)`, inStream, true},
		{"a packet without payload, with a stream that has what must not be", `alert tcp any any -> any any (content:!"hello"; sid:1;)`, withStream, false},
		{"where the rule is looked for by another content", `alert tcp any any -> any any (content:!"hello"; content:!"goodbye"; sid:1;)`, withStream, true},
		{"where that is not how the rule is looked for", `alert tcp any any -> any any (pcre:!"/hello/"; sid:1;)`, withStream, true},
		{"where the rule is about packets", `alert tcp any any -> any any (content:!"hello"; flags:S; sid:1;)`, withStream, true},
		{"nothing is long enough", `alert tcp any any -> any any (isdataat:!5; sid:1;)`, withStream, true},
		{"but not where something has to be", `alert tcp any any -> any any (content:"x"; sid:1;)`, withStream, false},
		{"no payload has not even what is negated", `alert tcp-pkt any any -> any any (content:!"x"; sid:1;)`, Input{Packet: syn}, false},
		{"stream", `alert tcp any any -> any any (content:"world"; sid:1;)`, inStream, true},
		{"its packet waits for the stream", `alert tcp any any -> any any (content:"world"; sid:1;)`, Input{Packet: data, InStream: true}, false},
		{"a packet that gets in no stream", `alert tcp any any -> any any (content:"world"; sid:1;)`, Input{Packet: data}, true},
		{"tcp-pkt", `alert tcp-pkt any any -> any any (content:"world"; sid:1;)`, Input{Packet: data, InStream: true}, true},
		{"a place is looked for in the packet too", `alert tcp any any -> any any (content:"hello"; depth:5; sid:1;)`, Input{Packet: data, InStream: true}, true},
		{"tcp-stream does not", `alert tcp-stream any any -> any any (content:"hello"; depth:5; sid:1;)`, Input{Packet: data, InStream: true}, false},
		{"place in the stream", `alert tcp-stream any any -> any any (content:"world"; offset:6; depth:5; sid:1;)`, Input{Packet: data, InStream: true, Stream: data.Payload}, true},
		{"other place in the stream", `alert tcp-stream any any -> any any (content:"world"; offset:5; depth:5; sid:1;)`, Input{Packet: data, InStream: true, Stream: data.Payload}, false},
		{"application protocol", `alert http any any -> any any (sid:1;)`, Input{Packet: data, App: applayer.HTTP}, true},
		{"not yet known", `alert http any any -> any any (sid:1;)`, Input{Packet: data}, false},
		{"app-layer-protocol", `alert tcp any any -> any any (app-layer-protocol:http; sid:1;)`, Input{Packet: data, Sides: http, Detected: true}, true},
		{"not just now", `alert tcp any any -> any any (app-layer-protocol:http; sid:1;)`, Input{Packet: data, Sides: http}, false},
		{"with something else, always", `alert tcp any any -> any any (dsize:>0; app-layer-protocol:http; sid:1;)`, Input{Packet: data, Sides: http}, true},
		{"the other side's", `alert tcp any any -> any any (app-layer-protocol:http; sid:1;)`, Input{Packet: data, App: applayer.HTTP, Sides: [2]applayer.Proto{packet.ToClient: applayer.HTTP}, Detected: true}, false},
		{"negated", `alert tcp any any -> any any (app-layer-protocol:!http; sid:1;)`, Input{Packet: data, Sides: [2]applayer.Proto{applayer.TLS, applayer.HTTP}, Detected: true}, true},
		{"negated and failed", `alert tcp any any -> any any (app-layer-protocol:!http; sid:1;)`, Input{Packet: data, Sides: [2]applayer.Proto{applayer.Failed}, Detected: true}, true},
		{"negated and not yet known", `alert tcp any any -> any any (app-layer-protocol:!http; sid:1;)`, Input{Packet: data, Detected: true}, false},
		{"flags", `alert tcp any any -> any any (flags:S; sid:1;)`, Input{Packet: syn}, true},
		{"flags exactly", `alert tcp any any -> any any (flags:S; sid:1;)`, Input{Packet: reply}, false},
		{"noalert", `alert tcp any any -> any any (noalert; sid:1;)`, Input{Packet: syn, First: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := compile(t, Options{}, test.rule)
			if got := len(run(set, &test.in).Alerts) > 0; got != test.want {
				t.Errorf("%s: got %v, want %v", test.rule, got, test.want)
			}
		})
	}
}

// What a match decides: the packet, or the whole flow. The cases are
// Suricata 7.0.10's own answers.
func TestWholeFlow(t *testing.T) {
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.PSH|packet.ACK, 1, 1, []byte("hello")))
	in := Input{Packet: p, First: true, Established: true, App: applayer.HTTP, Sides: [2]applayer.Proto{applayer.HTTP, applayer.HTTP}, Detected: true, InStream: true}
	stream := in
	stream.Stream = p.Payload
	for _, test := range []struct {
		rule string
		in   Input
		want bool
	}{
		{`drop tcp any any -> any any (sid:1;)`, in, true},
		{`drop tcp-pkt any any -> any any (sid:1;)`, in, true},
		{`drop tcp !10.9.9.9 any -> any any (sid:1;)`, in, true},
		{`drop tcp any any -> any 80 (flow:established; sid:1;)`, in, false},
		{`drop http any any -> any any (flow:to_server; sid:1;)`, in, true},
		{`drop tcp any any -> any any (app-layer-protocol:!tls; sid:1;)`, in, true},
		{`drop tcp any any -> any any (flow:to_server,established; app-layer-protocol:http; sid:1;)`, in, false},
		{`drop tcp any any -> any 80 (flags:PA; sid:1;)`, in, false},
		{`drop tcp-pkt any any -> any 80 (content:"hello"; sid:1;)`, in, false},
		{`drop tcp any any -> any 80 (content:"hello"; depth:5; sid:1;)`, in, false},
		{`drop tcp any any -> any 80 (content:"hello"; depth:5; sid:1;)`, stream, true},
	} {
		res := run(compile(t, Options{}, test.rule), &test.in)
		if res.Action != Drop || res.Whole != test.want {
			t.Errorf("%s: %v, whole %v; want drop, %v", test.rule, res.Action, res.Whole, test.want)
		}
		if res := run(compile(t, Options{FlowVerdicts: true}, test.rule), &test.in); !res.Whole {
			t.Errorf("%s: with FlowVerdicts the flow is not decided", test.rule)
		}
	}
}

func TestDecide(t *testing.T) {
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.SYN, 1, 0, nil))
	for _, test := range []struct {
		name   string
		strict bool
		rules  string
		action Action
		by     uint32 // sid, 0: none
		alerts []uint32
	}{
		{"nothing", false, `alert udp any any -> any any (sid:1;)`, None, 0, nil},
		{"alerts do not decide", false, `alert tcp any any -> any any (sid:1;)
			alert tcp any any -> any any (sid:2;)`, None, 0, []uint32{1, 2}},
		{"pass goes first and ends it", false, `alert tcp any any -> any any (sid:1;)
			drop tcp any any -> any any (sid:2;)
			pass tcp any any -> any any (sid:3;)`, Pass, 3, nil},
		{"drop before reject before alert", false, `alert tcp any any -> any any (sid:1;)
			reject tcp any any -> any any (sid:2;)
			drop tcp any any -> any any (sid:3;)`, Reject, 3, []uint32{3, 2, 1}},
		{"the sender hears of it first", false, `rejectboth tcp any any -> any any (sid:1;)
			rejectdst tcp any any -> any any (sid:2;)
			reject tcp any any -> any any (noalert; sid:3;)`, Reject, 1, []uint32{1, 2}},
		{"priority within an action", false, `drop tcp any any -> any any (priority:3; sid:1;)
			drop tcp any any -> any any (priority:1; sid:2;)
			drop tcp any any -> any any (classtype:not-suspicious; sid:3;)`, Drop, 2, []uint32{2, 1, 3}},
		{"strict: as written", true, `alert tcp any any -> any any (sid:1;)
			drop tcp any any -> any any (sid:2;)
			pass tcp any any -> any any (sid:3;)`, Drop, 2, []uint32{1, 2}},
		{"strict: pass hides what follows", true, `alert tcp any any -> any any (sid:1;)
			pass tcp any any -> any any (sid:2;)
			drop tcp any any -> any any (sid:3;)`, Pass, 2, []uint32{1}},
		{"strict: what follows a drop is logged", true, `drop tcp any any -> any any (sid:1;)
			alert tcp any any -> any any (sid:2;)
			reject tcp any any -> any any (sid:3;)`, Reject, 1, []uint32{1, 2, 3}},
		{"pass with alert", false, `pass tcp any any -> any any (alert; sid:1;)`, Pass, 1, []uint32{1}},
		{"drop with noalert", false, `drop tcp any any -> any any (noalert; sid:1;)`, Drop, 1, nil},
		{"both directions are one where they are the same", false, `alert tcp any any <> any any (sid:1;)`, None, 0, []uint32{1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := compile(t, Options{Strict: test.strict}, test.rules)
			res := run(set, &Input{Packet: p, First: true})
			var by uint32
			if res.Rule != nil {
				by = res.Rule.Meta.SID
			}
			if res.Action != test.action || by != test.by {
				t.Errorf("%v by %d, want %v by %d", res.Action, by, test.action, test.by)
			}
			if got := alerts(set, res); !slices.Equal(got, test.alerts) {
				t.Errorf("alerts %v, want %v", got, test.alerts)
			}
		})
	}
}

func TestLaterDropDecidesTheFlow(t *testing.T) {
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.PSH|packet.ACK, 1, 1, []byte("hello")))
	in := Input{Packet: p, Established: true, InStream: true, Stream: p.Payload}
	for second, whole := range map[string]bool{
		`reject tcp any any -> any any (content:"hello"; sid:2;)`: true,
		`alert tcp any any -> any any (content:"hello"; sid:2;)`:  false,
		`pass tcp any any -> any any (content:"hello"; sid:2;)`:   false,
	} {
		set := compile(t, Options{Strict: true}, "drop tcp any any -> any any (flow:established; sid:1;)\n"+second)
		if res := run(set, &in); !res.Action.Drops() || res.Rule.Meta.SID != 1 || res.Whole != whole {
			t.Errorf("%s: %v by %d, whole %v", second, res.Action, res.Rule.Meta.SID, res.Whole)
		}
	}
}

func TestHeaderSaysWhenNothingWillMatch(t *testing.T) {
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.ACK, 1, 1, nil))
	set := compile(t, Options{}, `alert tcp any any -> any any (flow:established; sid:1;)`)
	if set.Header(&Input{Packet: p}, &Result{}) || !set.Header(&Input{Packet: p, Established: true}, &Result{}) {
		t.Error("Header does not tell a match from none")
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct{ options, column, says string }{
		{`asn1:double_overflow;`, "asn1", "asn1"},
		{`content:"a"; geoip:src,CN;`, "geoip", "geoip"},
		{`pcre:"/\X/";`, "pcre", "not supported"},
		{`pcre:"/(x)/, flow:y, pkt:z";`, "pcre", "names 2 variables, but its pattern has 1 groups"},
		{`http.uri; content:"a"; replace:"b";`, "content", "cannot follow a content of http.uri"},
		{`byte_extract:1,0,v; tcp.hdr; content:"x"; offset:v;`, "content", "another buffer"},
		{`quic.sni; content:"x";`, "quic.sni", "quic.sni"},
		{`tls.sni; xor:"zz"; content:"x";`, `content:"x";)`, "xor"},
		{`ssl_state:hello;`, "ssl_state", "client_hello"},
	} {
		text := "alert tcp any any -> any any (" + test.options + " sid:1;)"
		rules, errs := rule.ParseFile("\n" + text)
		if len(errs) > 0 {
			t.Errorf("%s: %v", test.options, errs[0])
			continue
		}
		err := Check(rules[0], noVariables{}, Options{})
		var refused *Error
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v is no *Error", test.options, err)
			continue
		}
		column := strings.LastIndex(text, strings.TrimSuffix(test.column, ";)")) + 1
		if refused.Line != 2 || refused.Col != column || !strings.Contains(refused.Msg, test.says) {
			t.Errorf("%s: line %d, column %d: %s; want line 2, column %d and %q", test.options, refused.Line, refused.Col, refused.Msg, column, test.says)
		}
	}
	for _, text := range []string{
		`alert tcp $HOME any -> any any (sid:1;)`,
		`alert tcp any any -> any $PORTS (sid:1;)`,
	} {
		if _, err := Compile(sources(t, text), Options{}); err == nil {
			t.Errorf("%s: accepted", text)
		}
	}
}

func TestSetsAgainstSlowTwin(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		var terms []string
		for range 1 + r.IntN(5) {
			term := pickOne(r, fmt.Sprintf("10.0.%d.%d", r.IntN(3), r.IntN(4)), fmt.Sprintf("10.0.%d.0/%d", r.IntN(3), 20+r.IntN(13)),
				fmt.Sprintf("10.0.1.%d-10.0.2.%d", r.IntN(4), r.IntN(4)), fmt.Sprintf("2001:db8::%d", r.IntN(4)), "2001:db8::/126")
			if r.IntN(3) == 0 {
				term = "!" + term
			}
			terms = append(terms, term)
		}
		text := "[" + strings.Join(terms, ",") + "]"
		expression, err := rule.ParseAddrs(text)
		if err != nil {
			t.Fatal(err)
		}
		resolved, err := expression.Resolve(nil)
		if err != nil {
			continue // matches nothing
		}
		set := newAddrSet(resolved)
		for range 40 {
			ip := netip.MustParseAddr(pickOne(r, fmt.Sprintf("10.0.%d.%d", r.IntN(4), r.IntN(6)), fmt.Sprintf("2001:db8::%d", r.IntN(6)), "0.0.0.0", "255.255.255.255", "::"))
			a := packet.AddrFrom(ip)
			if got, want := set.has(&a), resolved.Contains(ip); got != want {
				t.Fatalf("seed %d: %s in %s: got %v, want %v", seed, ip, text, got, want)
			}
		}
	}
	ports := portSet{{From: 5, To: 7}, {From: 80, To: 80}, {From: 60000, To: 65535}}
	for port := range 65536 {
		want := port >= 5 && port <= 7 || port == 80 || port >= 60000
		if ports.has(uint16(port)) != want {
			t.Fatalf("port %d: got %v", port, !want)
		}
	}
}

func pickOne(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func TestFlags(t *testing.T) {
	p := &packet.Packet{Proto: packet.ProtoTCP, L4: make([]byte, 20)}
	for have := range 256 {
		p.TCP.Flags = uint8(have)
		for _, want := range []uint8{0, packet.SYN, packet.SYN | packet.ACK, 0xff} {
			for _, ignore := range []uint8{0, 0xc0} {
				h := uint8(have) &^ ignore
				all, some := true, false
				for bit := range 8 {
					if want&(1<<bit) != 0 {
						all = all && h&(1<<bit) != 0
						some = some || h&(1<<bit) != 0
					}
				}
				for op, expect := range map[byte]bool{0: h == want, '+': all, '*': some, '!': !all} {
					if op == '!' && want == 0 {
						expect = h != 0
					}
					// As Suricata: packets without SYN, FIN and RST are not asked about one of these, those
					// without SYN not about SYN, and those without URG, ECE and CWR not about one of these.
					opening, unusual := uint8(packet.SYN|packet.FIN|packet.RST), uint8(packet.URG|packet.ECE|packet.CWR)
					if want&opening != 0 && have&int(opening) == 0 || want&unusual != 0 && have&int(unusual) == 0 ||
						op != '!' && want&packet.SYN != 0 && have&int(packet.SYN) == 0 {
						expect = false
					}
					if got := matchFlags(&rule.TCPFlags{Op: op, Flags: want, Ignore: ignore}, p); got != expect {
						t.Fatalf("flags %#x, %c%#x ignoring %#x: got %v", have, op, want, ignore, got)
					}
				}
			}
		}
	}
	p.Proto = packet.ProtoUDP
	if matchFlags(&rule.TCPFlags{Op: '!', Flags: packet.SYN}, p) {
		t.Error("matched a datagram")
	}
}

// Rules that the index of host names takes must match what their contents say.
func TestHostIndexAgainstContents(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	name := func() string {
		labels := make([]string, 1+r.IntN(4))
		for i := range labels {
			labels[i] = pickOne(r, "a", "b", "ab", "com")
		}
		return strings.Join(labels, ".")
	}
	indexed, hits := 0, 0
	for range 3000 {
		b := bufferMatch{buffer: applayer.TLSSNI, dotprefix: r.IntN(2) == 0}
		if b.dotprefix {
			b.transforms = []transform{transforms["dotprefix"]}
		}
		c := &rule.Content{Pattern: []byte(name()), Nocase: r.IntN(4) > 0, StartsWith: r.IntN(2) == 0, EndsWith: r.IntN(4) > 0, Negated: r.IntN(8) == 0}
		if r.IntN(2) == 0 {
			c.Pattern = append([]byte("."), c.Pattern...)
		}
		b.steps = compiled([]*rule.Content{c})
		key, ok := hostName(&b, true)
		if !ok {
			continue
		}
		indexed++
		index := &hostIndex{}
		index.add(key, 7)
		for range 20 {
			host := name()
			data := []byte(host)
			if b.dotprefix {
				data = append([]byte("."), data...)
			}
			want := matches(b.steps, data)
			got := 0
			index.visit([]byte(host), func(i uint32) {
				if i != 7 {
					t.Errorf("seed %d: found rule %d", seed, i)
				}
				got++
			})
			if got > 1 || (got == 1) != want {
				t.Fatalf("seed %d: %s for %+v, dotprefix %v: found %d times, contents say %v", seed, host, newContent(c), b.dotprefix, got, want)
			}
			hits += got
		}
	}
	if indexed < 200 || hits < 200 {
		t.Errorf("seed %d: %d rules indexed, %d hits: the test looks at too little", seed, indexed, hits)
	}
}

func TestInspectionDoesNotAllocate(t *testing.T) {
	set := compile(t, Options{}, `alert tcp 10.0.0.0/8 any -> any any (flow:established; sid:1;)
		alert tcp any any -> any any (content:"hello"; nocase; content:"world"; distance:1; sid:2;)
		drop tcp any any -> any any (flags:PA; sid:3;)`)
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.PSH|packet.ACK, 1, 1, []byte("hello world")))
	in := Input{Packet: p, Established: true, InStream: true, Stream: p.Payload}
	res := &Result{}
	n := testing.AllocsPerRun(100, func() {
		res.Reset()
		set.Header(&in, res)
		set.Detected(&in, res)
		set.Packet(&in, res)
		set.Stream(&in, res)
		set.Decide(&in, res)
	})
	if n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	if len(res.Alerts) != 3 {
		t.Errorf("%d alerts, want 3: the test looks at too little", len(res.Alerts))
	}
}

// FuzzRules compiles any rule text and runs it on any payload.
func FuzzRules(f *testing.F) {
	f.Add(`alert tcp any any -> any any (content:"a"; content:"b"; distance:-1; within:3; sid:1;)`, []byte("aabb"))
	f.Add(`drop http any any -> any any (http.host; dotprefix; content:".example.com"; endswith; sid:1;)`, []byte("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"))
	f.Add(`pass tls any any -> any any (ssl_state:client_hello; tls.sni; content:"x"; nocase; startswith; endswith; sid:1;)`, []byte{22, 3, 1, 0, 1, 1})
	f.Add(`alert tcp any any <> [1.2.3.4,!1.2.3.4/32] any (flags:!S,12; content:!"|00|"; offset:65535; depth:1; sid:1;)`, []byte{0})
	f.Add(`alert tcp any any -> any any (byte_extract:1,0,n; content:"a"; offset:n; within:n; pcre:"/(a|b)+$/Rs"; base64_decode:relative; base64_data; content:"x"; sid:1;)`, []byte("\x01aab"))
	f.Add(`alert tcp any any -> any any (byte_jump:1,-3,relative,align,post_offset -9; isdataat:!2,relative; tcp.hdr; xor:00; content:"x"; flowbits:toggle,a; threshold:type both,track by_src,count 1,seconds 1; sid:1;)`, []byte{9, 9})
	f.Add(`alert tcp any any -> any any (pcre:"/(?P<flow_a>.)(b+)(?P<pkt_c>c)/s, flow:d, pkt:key, pkt:value"; flowvar:d,"a"; pktvar:c,c; sid:1;)`, []byte("abbc"))
	f.Add(`alert tcp any any -> any any (content:"a"; replace:"x"; content:"b"; distance:1; replace:"y"; sid:1;)`, []byte("aacab"))
	f.Fuzz(func(t *testing.T, text string, payload []byte) {
		r, err := rule.Parse(text)
		if err != nil {
			return
		}
		set, err := Compile([]Source{{Rule: r, Lookup: noVariables{}}}, Options{})
		if err != nil {
			return
		}
		payload = payload[:min(len(payload), 1400)]
		p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.PSH|packet.ACK, 1, 1, payload))
		in := Input{Packet: p, First: true, Established: true, Stream: payload, Vars: NewFlowVars(2), Hosts: NewHostVars(2)}
		res := &Result{}
		session := applayer.NewPool(1<<20, parsers.New).Get()
		session.Reset(packet.ProtoTCP, 1000, 80)
		session.Data(packet.ToServer, payload)
		for ev := (applayer.Event{}); session.Next(&ev); {
			in.App = session.Proto()
			in.Sides = [2]applayer.Proto{session.Side(packet.ToServer), session.Side(packet.ToClient)}
			in.Detected = true
			if ev.Hook != applayer.TxDone {
				set.Event(&in, ev, res)
			}
		}
		set.Header(&in, res)
		set.Detected(&in, res)
		set.Packet(&in, res)
		set.Stream(&in, res)
		set.Decide(&in, res)
	})
}
