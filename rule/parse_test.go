package rule

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func mustParse(t testing.TB, text string) *Rule {
	t.Helper()
	r, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return r
}

// tree compares rules without what only their source gives them.
var tree = cmp.Options{
	cmpopts.IgnoreFields(Rule{}, "Text", "Line"),
	cmpopts.IgnoreFields(Option{}, "Line", "Col"),
	cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}),
}

func TestParseRule(t *testing.T) {
	r := mustParse(t, `REJECT TLS [10.0.0.0/8, !10.1.0.0/16] 1024: <> $EXTERNAL_NET any(msg:"a\;b \"c\""; tls_sni; content:"x"; `+
		`gid:7 ; sid : 42; rev:3; priority:2; classtype:bad-unknown; reference:url, example.com/a,b; metadata:a b c, d;)`)
	if r.Action != Reject || r.Proto != "tls" || !r.Both || r.SID != 42 || r.GID != 7 || r.Rev != 3 ||
		r.Msg != `a;b "c"` || r.Priority != 2 || r.ClassType != "bad-unknown" || r.Line != 1 {
		t.Errorf("got %+v", r)
	}
	want := `reject tls [10.0.0.0/8,!10.1.0.0/16] 1024:65535 <> $EXTERNAL_NET any (msg:"a\;b \"c\""; tls.sni; content:"x"; ` +
		`gid:7; sid:42; rev:3; priority:2; classtype:bad-unknown; reference:url, example.com/a,b; metadata:a b c, d;)`
	if r.String() != want {
		t.Errorf("String:\n%s\nwant\n%s", r, want)
	}
	for _, o := range r.Options {
		switch o.Name {
		case "reference":
			if diff := cmp.Diff(&Reference{"url", "example.com/a,b"}, o.Arg); diff != "" {
				t.Error(diff)
			}
		case "metadata":
			if diff := cmp.Diff([]Metadata{{"a", "b c"}, {"d", ""}}, o.Arg); diff != "" {
				t.Error(diff)
			}
		case "sid":
			if o.Value != "42" || o.Arg != uint32(42) || o.Col != strings.Index(r.Text, "sid")+1 {
				t.Errorf("sid option %+v", o)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	r := mustParse(t, "alert ip any any -> any any (sid:1;)")
	want := &Rule{
		Proto: "ip", Src: Addrs{Any: true}, Dst: Addrs{Any: true}, SrcPort: Ports{Any: true}, DstPort: Ports{Any: true},
		Options: []Option{{Name: "sid", Value: "1", HasValue: true, Arg: uint32(1)}},
		SID:     1, GID: 1,
	}
	if diff := cmp.Diff(want, r, tree); diff != "" {
		t.Error(diff)
	}
}

func TestProtocols(t *testing.T) {
	for word, want := range map[string]string{
		"ip4": "ipv4", "IPv6": "ipv6", "ssl": "tls", "ikev2": "ike", "tcp-stream": "tcp-stream", "http1": "http1",
		"pkthdr": "pkthdr", "bittorrent-dht": "bittorrent-dht",
	} {
		if r := mustParse(t, "pass "+word+" any any -> any any (sid:1;)"); r.Proto != want {
			t.Errorf("%s: protocol %s, want %s", word, r.Proto, want)
		}
	}
}

// args returns the arguments of type A in a rule with the given options.
func args[A any](t *testing.T, options string) []A {
	t.Helper()
	var all []A
	for _, o := range mustParse(t, "alert tcp any any -> any any ("+options+" sid:1;)").Options {
		if a, ok := o.Arg.(A); ok {
			all = append(all, a)
		}
	}
	return all
}

func TestContent(t *testing.T) {
	num := func(n int) *Num { return &Num{Value: n} }
	bytes := func(s string) []byte { return []byte(s) }
	for options, want := range map[string][]*Content{
		`content:"abc";`:                            {{Pattern: bytes("abc")}},
		`content: ! "a|0d0A 42 4 3|b";`:             {{Pattern: bytes("a\r\nBCb"), Negated: true}},
		`content:"\\\;\"\:";`:                       {{Pattern: bytes(`\;":`)}},
		`content:"a:b"; nocase; offset:1; depth:8;`: {{Pattern: bytes("a:b"), Nocase: true, Offset: num(1), Depth: num(8)}},
		`content:"a"; content:"b"; distance:-2; within:5; endswith;`: {
			{Pattern: bytes("a")}, {Pattern: bytes("b"), Distance: num(-2), Within: num(5), EndsWith: true}},
		`content:"abc"; startswith; endswith; fast_pattern:1,2;`: {
			{Pattern: bytes("abc"), StartsWith: true, EndsWith: true, FastPattern: true, FastOffset: 1, FastLength: 2}},
		`content:"abc"; fast_pattern:only;`: {{Pattern: bytes("abc"), FastPattern: true, FastPatternOnly: true}},
		`byte_extract:1,0,len; content:"abc"; depth:len;`: {
			{Pattern: bytes("abc"), Depth: &Num{Var: "len"}}},
		`byte_math:bytes 1, offset 0, oper +, rvalue 1, result sum; content:"abc"; distance:sum;`: {
			{Pattern: bytes("abc"), Distance: &Num{Var: "sum"}}},
		`content:"a"; http_uri; nocase; content:"b"; http_raw_host; content:"c"; rawbytes; uricontent:"d";`: {
			{Pattern: bytes("a"), Buffer: "http.uri", Nocase: true}, {Pattern: bytes("b"), Buffer: "http.host.raw"},
			{Pattern: bytes("c"), RawBytes: true}, {Pattern: bytes("d"), Buffer: "http.uri"}},
		`tls_sni; dotprefix; to_lowercase; content:".a"; content:"b"; tls.certs; content:"c"; pkt_data; content:"d";`: {
			{Pattern: bytes(".a"), Buffer: "tls.sni", Transforms: []Option{{Name: "dotprefix"}, {Name: "to_lowercase"}}},
			{Pattern: bytes("b"), Buffer: "tls.sni", Transforms: []Option{{Name: "dotprefix"}, {Name: "to_lowercase"}}},
			{Pattern: bytes("c"), Buffer: "tls.certs"}, {Pattern: bytes("d")}},
		`frame:tls.pdu; content:"a";`: {{Pattern: bytes("a"), Buffer: "frame:tls.pdu"}},
	} {
		if diff := cmp.Diff(want, args[*Content](t, options), tree); diff != "" {
			t.Errorf("%s:\n%s", options, diff)
		}
	}
}

func TestFlow(t *testing.T) {
	for value, want := range map[string]Flow{
		"established":                       {Established: true},
		"to_server , established":           {Established: true, ToServer: true},
		"from_server,not_established":       {NotEstablished: true, ToClient: true},
		"Stateless,from_client,only_stream": {Stateless: true, ToServer: true, OnlyStream: true},
		"no_stream,no_frag":                 {NoStream: true, NoFrag: true},
		"only_frag,to_client":               {OnlyFrag: true, ToClient: true},
	} {
		if diff := cmp.Diff([]*Flow{&want}, args[*Flow](t, "flow:"+value+";")); diff != "" {
			t.Errorf("%s:\n%s", value, diff)
		}
	}
}

func TestTCPFlags(t *testing.T) {
	for value, want := range map[string]TCPFlags{
		"S":      {Flags: FlagSYN},
		"SA,12":  {Flags: FlagSYN | FlagACK, Ignore: FlagCWR | FlagECE},
		"+FP":    {Op: '+', Flags: FlagFIN | FlagPSH},
		"A+":     {Op: '+', Flags: FlagACK},
		"*UR, C": {Op: '*', Flags: FlagURG | FlagRST, Ignore: FlagCWR},
		"!E":     {Op: '!', Flags: FlagECE},
		"0":      {},
	} {
		for _, keyword := range []string{"flags", "tcp.flags"} {
			if diff := cmp.Diff([]*TCPFlags{&want}, args[*TCPFlags](t, keyword+":"+value+";")); diff != "" {
				t.Errorf("%s:%s:\n%s", keyword, value, diff)
			}
		}
	}
}

func TestAppProto(t *testing.T) {
	for value, want := range map[string]AppProto{
		"tls": {Name: "tls"}, "!http": {Negated: true, Name: "http"}, "! ssl": {Negated: true, Name: "tls"},
		"failed": {Name: "failed"}, `!"dns"`: {Negated: true, Name: "dns"},
	} {
		if diff := cmp.Diff([]*AppProto{&want}, args[*AppProto](t, "app-layer-protocol:"+value+";")); diff != "" {
			t.Errorf("%s:\n%s", value, diff)
		}
	}
}

// TestAccepted holds rules that are right although they look doubtful.
func TestAccepted(t *testing.T) {
	for _, options := range []string{
		`content:"a"; distance:0;`,                       // Suricata starts at the beginning of the buffer
		`content:"abc"; distance:1; within:3; endswith;`, // whatever the guide says, the engine takes it
		`flow:to_server; flow:established;`,
		`http.host; pcre:"/a\;b/i";`,
		`http.uri; bsize:3; content:"abc"; http.uri; content:"b";`,
		`http.host; dataset:isset,names;`,
		`alert;`, `noalert;`, `geoip:src,US;`, `aws_domain_category:Malware,Phishing;`,
		`filestore;`, `content:"a"; fast_pattern;`,
		`flowint: count , + , 1;`,
		`pcre:/a b/;`,
	} {
		mustParse(t, "alert http any any -> any any ("+options+" sid:1;)")
	}
}

func TestParseFile(t *testing.T) {
	file := "# comment \\\r\n" +
		"\r\n" +
		"alert tcp any any -> any 80 (sid:1;)\r\n" +
		"  # indented comment\n" +
		"alert tcp any any \\\r\n" +
		"    -> any 80 (msg:\"b\"; \\  \n" +
		"    sid:2;)\n" +
		"alert tcp any any -> any 80 (contnet:\"x\"; sid:3;)\n" +
		"\tdrop ip any any -> any any (sid:4;)\n" +
		"alert tcp any any -> any 80 (\\\n" +
		"  sid:0;)"
	all, errs := ParseFile(file)
	var got []string
	for _, r := range all {
		got = append(got, fmt.Sprintf("%d@%d", r.SID, r.Line))
	}
	if want := "[1@3 2@5 4@9]"; fmt.Sprint(got) != want {
		t.Errorf("rules %v, want %s", got, want)
	}
	if o := all[1].Options; o[0].Line != 6 || o[0].Col != 16 || o[1].Line != 7 || o[1].Col != 5 {
		t.Errorf("places %+v", o)
	}
	if want := `alert tcp any any     -> any 80 (msg:"b";     sid:2;)`; all[1].Text != want {
		t.Errorf("text %q, want %q", all[1].Text, want)
	}
	got = nil
	for _, e := range errs {
		got = append(got, e.Error())
	}
	want := []string{
		`line 8, column 30: unknown keyword "contnet", did you mean "content"?`,
		`line 11, column 7: sid "0" is not a number between 1 and 4294967295`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	_, errs := ParseFile(strings.Repeat("nonsense\n", 3*maxErrors))
	if len(errs) != maxErrors+1 || !strings.Contains(errs[maxErrors].Msg, "the rest is not read") {
		t.Errorf("%d errors, the last: %v", len(errs), errs[len(errs)-1])
	}
}

func TestLimits(t *testing.T) {
	rule := func(options string) string { return "alert tcp any any -> any any (" + options + "sid:1;)" }
	nested := func(n int) string { return strings.Repeat("[", n) + "1.1.1.1" + strings.Repeat("]", n) }
	for _, test := range []struct{ text, err string }{
		{rule(strings.Repeat("nocase;", maxOptions)), "no content before it"},
		{rule(strings.Repeat("noalert;", maxOptions-1)), ""},
		{rule(strings.Repeat("noalert;", maxOptions)), "more than 1024 options"},
		{rule(`content:"` + strings.Repeat("a", maxRule-60) + `";`), ""},
		{rule(`content:"` + strings.Repeat("a", maxRule) + `";`), "longer than 65536 bytes"},
		{"alert tcp " + nested(64) + " any -> any any (sid:1;)", ""},
		{"alert tcp " + nested(65) + " any -> any any (sid:1;)", "nest deeper than 64"},
		{"alert tcp " + nested(20000) + " any -> any any (sid:1;)", "nest deeper than 64"},
		{strings.Repeat("x", 60000), "unknown action"},
		{rule(strings.Repeat("x", 60000) + ";"), "unknown keyword"},
	} {
		_, err := Parse(test.text)
		if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%.60s...: error %v, want %q", test.text, err, test.err)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%.60s...: the error has %d bytes", test.text, len(err.Error()))
		}
	}
}

func TestKeywords(t *testing.T) {
	seen := map[string]string{}
	for _, k := range Keywords() {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			if owner, ok := seen[name]; ok {
				t.Errorf("%s names both %s and %s", name, owner, k.Name)
			}
			seen[name] = k.Name
			if got, ok := Known(strings.ToUpper(name)); !ok || got.Name != k.Name {
				t.Errorf("Known(%s) = %s, %t", name, got.Name, ok)
			}
		}
		if k.Buffer != "" {
			if b, ok := Known(k.Buffer); !ok || b.Kind != KindStickyBuffer {
				t.Errorf("%s names the buffer %s, which no keyword makes sticky", k.Name, k.Buffer)
			}
		}
	}
	if _, ok := Known("nonsense"); ok {
		t.Error("nonsense is known")
	}
}

func TestSuggest(t *testing.T) {
	for typo, want := range map[string]string{
		"contnet": "content", "http.hots": "http.host", "dns.qery": "dns.query", "nocas": "nocase", "zzzzzzz": "", "x": "",
	} {
		_, err := Parse("alert ip any any -> any any (" + typo + "; sid:1;)")
		if err == nil || want != "" && !strings.Contains(err.Error(), `did you mean "`+want+`"?`) ||
			want == "" && strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: %v, want %q suggested", typo, err, want)
		}
	}
}

// TestRequires: a rule whose requires does not hold is read no further.
func TestRequires(t *testing.T) {
	for requires, met := range map[string]bool{
		"version >= 7": true, "version>=7.0.3": true, "version > 8": false, "version >= 7.0.3 < 8": true, "version >= 7.0.3 < 7.0.5": false,
		"version >= 8 | >= 7.0.3": true, "version < 7 | > 8": false, "version >= 7.0.10": true, "version > 7.0.10": false, "version <= 7.0.10-dev": true,
		"keyword content": true, "keyword nonsense": false, "feature nonsense": false, "version >= 7, keyword flow": true, "keyword flow, version < 7": false,
	} {
		text := "alert tcp any any -> any any (requires:" + requires + "; sid:7;)"
		r := mustParse(t, text)
		if (r.Unmet == "") != met || r.SID != 7 || r.String() != text {
			t.Errorf("%s: left out because %q, want met %v: %+v", requires, r.Unmet, met, r)
		}
	}
	later := mustParse(t, `alert quic9 $NEW any => any any (msg:"a"; new_keyword; requires: version >= 9 ; sid:8;)`)
	if later.Unmet == "" || later.SID != 8 {
		t.Errorf("%+v", later)
	}
}
