package rule

import (
	"errors"
	"strings"
	"testing"
)

// TestErrors gives each rule with a « right before the column that the error
// must name.
func TestErrors(t *testing.T) {
	options := func(s string) string { return "alert tcp any any -> any any (" + s + " sid:1;)" }
	for _, test := range []struct{ text, msg string }{
		// Header.
		{"«", "there is no rule here"},
		{"«# comment", "there is no rule here"},
		{"«block tcp any any -> any any (sid:1;)", `unknown action "block"`},
		{"alert «tpc any any -> any any (sid:1;)", `did you mean "tcp"?`},
		{"alert «any any any -> any any (sid:1;)", "use ip for every protocol"},
		{"alert«", "unknown protocol"},
		{"alert tcp«", "source address missing"},
		{"alert tcp any «(sid:1;)", "source port missing"},
		{"alert tcp any any «<- any any (sid:1;)", "there is no direction <-"},
		{"alert tcp any any «=> any any (sid:1;)", `direction "=>"`},
		{"alert tcp any any -> «(sid:1;)", "destination address missing"},
		{"alert tcp any any -> any «(sid:1;)", "destination port missing"},
		{"alert tcp any any -> any any«", "options missing"},
		{"alert tcp any any -> any any «sid:1;", "options missing"},
		{"alert tcp any any -> any any (sid:1;«", "end the rule with )"},
		{"alert tcp any any -> any any («sid:1)", `option "sid:1" does not end`},
		{"alert tcp any any -> any any (msg:\"a\";«)", "the rule has no sid"},
		{"alert tcp any any -> any any (sid:1;)\n«alert tcp any any -> any any (sid:2;)", "a second rule follows"},
		// Addresses and ports.
		{"alert tcp «10.0.0 any -> any any (sid:1;)", `"10.0.0" is not an IP address`},
		{"alert tcp 10.0.0.0/«33 any -> any any (sid:1;)", "use 0 to 32"},
		{"alert tcp 10.0.0.0/«255.0.255.0 any -> any any (sid:1;)", "not a prefix length"},
		{"alert tcp ::/«129 any -> any any (sid:1;)", "use 0 to 128"},
		{"alert tcp «fe80::1%eth0 any -> any any (sid:1;)", "not an IP address"},
		{"alert tcp «10.0.0.9-10.0.0.1 any -> any any (sid:1;)", "runs backwards"},
		{"alert tcp «10.0.0.9-::1 any -> any any (sid:1;)", "mixes IPv4 and IPv6"},
		{"alert tcp 10.0.0.1-«x any -> any any (sid:1;)", `"x" is not an IP address`},
		{"alert tcp [10.0.0.1, «bad] any -> any any (sid:1;)", `"bad" is not an IP address`},
		{"alert tcp «[10.0.0.1,10.0.0.2 any -> any any (sid:1;)", "[ is not closed"},
		{"alert tcp [«] any -> any any (sid:1;)", "address missing"},
		{"alert tcp [1.1.1.1,«] any -> any any (sid:1;)", "address missing"},
		{"alert tcp [1.1.1.1«[2.2.2.2]] any -> any any (sid:1;)", "separate each address with a comma"},
		{"alert tcp 1.1.1.1«,2.2.2.2 any -> any any (sid:1;)", "put several in brackets"},
		{"alert tcp !«any any -> any any (sid:1;)", "!any matches nothing"},
		{"alert tcp !«! any -> any any (sid:1;)", "address missing"},
		{"alert tcp «$ any -> any any (sid:1;)", "$ needs a variable name"},
		{"alert tcp $A«% any -> any any (sid:1;)", "cannot stand in a variable name"},
		{"alert tcp any «65536 -> any any (sid:1;)", `"65536" is not a port`},
		{"alert tcp any «90:80 -> any any (sid:1;)", "runs backwards"},
		{"alert tcp any [80,!«:] -> any any (sid:1;)", "has no ends"},
		{"alert tcp any «@REF -> any any (sid:1;)", "holds addresses"},
		{"alert tcp any !«any -> any any (sid:1;)", "!any matches nothing"},
		// Options in general.
		{options(`«nonsense;`), `unknown keyword "nonsense"`},
		{options(`«;`), `unknown keyword ""`},
		{options(`nocase:«1;`), `"nocase" takes no argument`},
		{options(`«content;`), `"content" has no argument`},
		{options(`depth:«;`), `"depth" has no argument`},
		{options(`msg:«"a;b";`), `the quotes of "msg" are not closed`},
		{options(`pcre:!«"/a;b/";`), `the quotes of "pcre" are not closed`},
		{options(`msg:«a;`), `the argument of "msg" is not in quotes`},
		{options(`msg:«!"a";`), "cannot be negated"},
		{options(`msg:"a"; «msg:"b";`), "the rule has two msg"},
		{`alert tcp any any -> any any (sid:7; «sid:1;)`, "the rule has two sid"},
		{options(`sid:«4294967296;`), "not a number between 1 and 4294967295"},
		{options(`rev:«x;`), `rev "x" is not a number`},
		{options(`priority:«x;`), "is not a number"},
		{options(`reference:«url;`), "not of the form system,id"},
		// Patterns.
		{options(`content:«"";`), "is empty"},
		{options(`content:"«||";`), "the pattern is empty"},
		{options(`content:"a«|41";`), "the bar | is not closed"},
		{options(`content:"a|4«|";`), "lacks its second digit"},
		{options(`content:"a|4«g|";`), `"g" is not a hexadecimal digit`},
		{options(`content:"a«\b";`), "a backslash in a pattern escapes only"},
		{options(`content:"a«"b";`), "a quote inside a pattern must be escaped"},
		{options(`content:! "«\";`), "a backslash in a pattern"},
		// Modifiers.
		{options(`«nocase;`), "nocase has no content before it"},
		{options(`content:"a"; nocase; «nocase;`), "the content has two nocase"},
		{options(`content:"a"; depth:2; «depth:3;`), "the content has two depth"},
		{options(`content:"abc"; «depth:2;`), "depth 2 is smaller than the pattern of 3 bytes"},
		{options(`content:"a"; content:"abc"; «within:2;`), "within 2 is smaller"},
		{options(`content:"a"; depth:«65536;`), "not a number between 0 and 65535"},
		{options(`content:"a"; distance:«-1048577;`), "not a number between -1048576 and 1048576"},
		{options(`content:"a"; offset:«len;`), `variable "len" is not set before offset`},
		{options(`content:"a"; offset:1; «distance:1;`), "use one kind on a content"},
		{options(`content:"a"; within:1; «depth:1;`), "use one kind on a content"},
		{options(`content:"a"; startswith; «offset:1;`), "startswith already fixes"},
		{options(`content:"a"; distance:1; «startswith;`), "startswith already fixes"},
		{options(`content:"a"; fast_pattern; content:"b"; «fast_pattern;`), "a rule has one fast_pattern"},
		{options(`content:"a"; fast_pattern:«1,1;`), "reaches past the pattern of 1 bytes"},
		{options(`content:"a"; fast_pattern:«never;`), "neither only nor offset,length"},
		{options(`content:"a"; fast_pattern:only; «offset:1;`), "fast_pattern:only cannot go with"},
		{options(`content:!"a"; offset:1; «fast_pattern;`), "cannot be the fast pattern"},
		{options(`content:"a"; rawbytes; «http_uri;`), "rawbytes is for the raw payload"},
		// Buffers.
		{options(`«http_uri;`), "http_uri has no content before it"},
		{options(`content:"a"; http_uri; «http_header;`), "the content is already in http.uri"},
		{options(`http.host; content:"a"; «http_uri;`), "cannot be used while http.host is in force"},
		{options(`content:"a"; http.host; «nocase; content:"b";`), "nocase has no content before it"},
		{options(`«http.host;`), "http.host is not followed by anything that inspects it"},
		{options(`«tls.sni; dotprefix; tls.certs; content:"a";`), "tls.sni is not followed"},
		{options(`«dotprefix; content:"a";`), "dotprefix does not follow a sticky buffer"},
		{options(`tls.sni; content:"a"; «dotprefix;`), "dotprefix does not follow a sticky buffer"},
		// Flow, flags, protocol.
		{options(`flow:to_server, «to_client;`), "flow cannot be both to_server and to_client"},
		{options(`flow:established,«stateless;`), "flow cannot be both established and stateless"},
		{options(`flow:established,«established;`), "flow cannot be both"},
		{options(`flow:«establishd;`), `did you mean "established"?`},
		{options(`flow:established,to_server,only_stream,«no_frag;`), "at most three words"},
		{options(`flow:established; «flow:to_server;`), "the rule has two flow"},
		{options(`flow:to_server; «flow:to_client;`), "the rule has two flow"},
		{options(`flags:S«X;`), `unknown TCP flag "X"`},
		{options(`flags:«+;`), "names no flag"},
		{options(`flags:+S«*;`), "has two of"},
		{options(`flags:S«,;`), "no flags to ignore"},
		{options(`flags:S,«x;`), `unknown TCP flag "x" to ignore`},
		{options(`app-layer-protocol:«tsl;`), `did you mean "tls"?`},
		{options(`app-layer-protocol:http«,final;`), "no more in Suricata 7"},
		{options(`tls.sni; content:"a"; «http.host; content:"a";`), "http.host is about http, but tls.sni about tls"},
		{options(`dsize:5; «http.uri; content:"a";`), "dsize and http.uri cannot be in one rule"},
		{options(`http.uri; content:"a"; «dsize:5;`), "dsize and http.uri cannot be in one rule"},
		{options(`flow:only_stream; «ttl:5;`), "ttl and flow:only_stream cannot be in one rule"},
		{options(`http.uri; content:"a"; «http.stat_code; content:"200";`), "http.uri and http.stat_code cannot be in one rule"},
		{options(`flow:to_client; «http.uri; content:"a";`), "http.uri is what the client sends"},
		{options(`«http.stat_code; content:"a"; flow:to_server;`), "http.stat_code is what the server sends"},
		{options(`«http.header.raw; content:"a";`), "add flow:to_server or flow:to_client"},
		{options(`«udp.hdr; content:"a";`), "no packet of protocol tcp has"},
		{options(`http.host; content:«"A";`), "http.host is always in lower case"},
		{options(`http.uri; to_lowercase; content:«"aB"; nocase;`), "to_lowercase leaves no capitals; write the content in lower case"},
		{options(`http.uri; dotprefix; to_uppercase; content:«"aB";`), "to_uppercase leaves no lower case"},
		{options(`http.uri; strip_whitespace; content:«"a|0a|b";`), "strip_whitespace leaves no white space"},
		{options(`http.uri; compress_whitespace; content:"a b"; content:«"a|20 0b|";`), "compress_whitespace leaves no two characters of white space"},
		{options(`«pcre:"/a/D";`), "http_raw_header is in requests and in responses"},
		{options(`http.method; content:«"GET ";`), "no space at its start or end"},
		{options(`ja3.hash; content:«"abc";`), "ja3.hash has 32 characters, the content 3"},
		{options(`dsize:5; content:«"abcdef";`), "the contents need 6 bytes, but dsize allows only 5"},
		{options(`http.uri; content:"abc"; content:«"def"; distance:2; bsize:<8;`), "the contents need 8 bytes, but bsize allows only 7"},
		{options(`«ip_proto:6;`), "ip_proto is for rules of protocol ip"},
		{options(`dsize:5; «dsize:6;`), "two dsize"},
		{options(`«prefilter;`), "does not follow a keyword"},
		{options(`sameip; «prefilter;`), "cannot apply to sameip"},
		{options(`app-layer-protocol:tls; «app-layer-protocol:!http;`), "a second app-layer-protocol"},
		{options(`tls.sni; content:"a"; «app-layer-protocol:tls;`), "the rule is about tls already, because of tls.sni"},
		{options(`«base64_data; content:"a";`), "no base64_decode before it"},
		{options(`base64_decode; base64_data; content:"a"; «http.uri; content:"a";`), "no other buffer can follow base64_data"},
		{options(`http.uri; «uricontent:"a";`), "put pkt_data before it"},
		{options(`pcre:"/a/«R";`), "no content or pcre in the same buffer before it"},
		{options(`pcre:"/(a)/i, «flow:a,foo:b";`), `"foo:b" of pcre is no variable`},
		{options(`pcre:"/(a)/«, alert:a";`), `unknown flag "," of pcre`},
		{options(`pcre:"/(a)/, «pkt:value";`), "pkt:key and pkt:value of pcre stand one after the other"},
		{options(`pcre:"/(a)(b)/, «pkt:key, pkt:b";`), "pkt:key and pkt:value of pcre stand one after the other"},
		{options(`pcre:"/(a)/, «flow:1,flow:2,flow:3,flow:4,flow:5,flow:6,flow:7,flow:8,flow:9";`), "more than 8 variables"},
		{options(`content:"abc"; replace:«"ab";`), "replace has 2 bytes, the content 3"},
		{options(`content:!"abc"; «replace:"abd";`), "nothing to replace"},
		{options(`content:"abc"; replace:"abd"; «replace:"abd";`), "two replace"},
		{options(`content:"abc"; replace:"a|«zz|";`), "not a hexadecimal digit"},
		{options(`flowvar:«a;`), "flowvar needs a name and what"},
		{options(`flowvar:a,"b|«z|";`), "not a hexadecimal digit"},
		{options(`pktvar:a,!«"b";`), "a quote inside a pattern"},
		{options(`requires:«version = 7;`), "is no comparison"},
		{options(`asn1:«nonsense;`), "unknown check"},
	} {
		before, _, marked := strings.Cut(test.text, "«")
		text := strings.Replace(test.text, "«", "", 1)
		_, err := Parse(text)
		var e *Error
		switch {
		case !errors.As(err, &e):
			t.Errorf("%s: error %v, want an *Error", text, err)
			continue
		case !marked:
			t.Errorf("%s: the test marks no column", text)
		case !strings.Contains(e.Msg, test.msg):
			t.Errorf("%s: error %q, want %q", text, e.Msg, test.msg)
		}
		line := 1 + strings.Count(before, "\n")
		col := len(before) - strings.LastIndexByte(before, '\n')
		if e.Line != line || e.Col != col {
			t.Errorf("%s: error at %d:%d, want %d:%d (%s)", text, e.Line, e.Col, line, col, e.Msg)
		}
	}
}

func TestExpressionErrors(t *testing.T) {
	_, err := ParseAddrs("[10.0.0.1,\n 10.0.0.300]")
	var e *Error
	if !errors.As(err, &e) || e.Line != 1 || e.Col != 13 {
		t.Errorf("error %v, want column 13", err)
	}
	if _, err = ParsePorts("[80,90"); !errors.As(err, &e) || e.Col != 1 || !strings.Contains(e.Msg, "[ is not closed") {
		t.Errorf("error %v, want column 1", err)
	}
}
