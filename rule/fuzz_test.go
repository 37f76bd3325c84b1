package rule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seeds are rules that between them use every part of the language.
var seeds = []string{
	`alert http $HOME_NET any -> $EXTERNAL_NET any (msg:"a"; flow:established,to_server; http.method; content:"GET"; http.uri; content:"/a"; nocase; fast_pattern; classtype:bad-unknown; sid:1; rev:1;)`,
	`drop tls any any -> any [443,8443:9000,!8444] (tls.sni; dotprefix; content:".example.com"; endswith; nocase; sid:2;)`,
	`reject tcp ![10.0.0.0/8,!10.1.0.0/16] any <> @REF !80 (flags:S,12; content:!"|00 01|a\;b\"|ff|"; offset:2; depth:9; sid:3; gid:5;)`,
	`pass dns [2001:db8::/32,10.0.0.1-10.0.0.9] :1024 -> any 53 (dns.query; content:"a"; distance:-1; within:4; alert; sid:4;)`,
	`alert tcp any any -> any any (byte_extract:1,0,len,relative; content:"a"; offset:len; pcre:"/a\;b/R"; metadata:a b, c d; reference:url,example.com; sid:5;)`,
	"# comment\nalert udp any any -> any any \\\r\n (content:\"x\"; http_uri; threshold:type limit, track by_src, count 1, seconds 60; \\\n sid:6;)",
	`alert ip any any -> any any (frame:tls.pdu; content:"a"; app-layer-protocol:!tls; metadata:a\ ; sid:7;)`,
	`alert udp any any -> any any (pcre:"/(?P<flow_a>b)(c)(?P<pkt_d>e)/s, flow:f, pkt:key, pkt:value"; flowvar:a,"b|20|"; pktvar:d,e; content:"ab"; nocase; replace:"|00|c"; sid:8;)`,
}

// roundTrip checks that a rule prints to a text that gives the same tree.
func roundTrip(t testing.TB, r *Rule) {
	t.Helper()
	again, err := Parse(r.String())
	if err != nil {
		t.Fatalf("%s\nprints to\n%s\nwhich does not parse: %v", r.Text, r, err)
	}
	if diff := cmp.Diff(r, again, tree); diff != "" {
		t.Fatalf("%s\nprints to\n%s\nwhich differs:\n%s", r.Text, r, diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	for _, form := range forms() {
		f.Add("alert http any any -> any any (" + form + "; sid:1;)")
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, errs := ParseFile(text)
		lines := 1 + strings.Count(text, "\n")
		for _, e := range errs {
			if e.Line < 1 || e.Line > lines || e.Col < 1 || e.Col > len(text)+1 || e.Msg == "" {
				t.Fatalf("error %+v in %d lines", e, lines)
			}
		}
		for _, r := range all {
			if r.Unmet == "" && (r.SID == 0 || len(r.Options) == 0) || len(r.Text) > maxRule || r.Line < 1 || r.Line > lines {
				t.Fatalf("rule %+v", r)
			}
			roundTrip(t, r)
		}
	})
}

func FuzzParseAddrs(f *testing.F) {
	for _, s := range []string{"any", "![10.0.0.0/8,!10.1.0.0/16,$A]", "[[::1]]", "10.0.0.1-10.0.0.9", "@R", "1.2.3.4/255.0.0.0", "80", ":9", "[1:,!$B]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := ParseAddrs(text); err == nil {
			again, err := ParseAddrs(a.String())
			if diff := cmp.Diff(a, again, tree); diff != "" || err != nil {
				t.Fatalf("%q prints to %q: %v\n%s", text, a, err, diff)
			}
			set, err := a.Resolve(func(string) (Addrs, bool) { return Addrs{Any: true}, true })
			if (err == nil) != (len(set.V4)+len(set.V6) > 0) {
				t.Fatalf("%q: %d ranges and error %v", text, len(set.V4)+len(set.V6), err)
			}
			ordered(t, set.V4, addrLine)
			ordered(t, set.V6, addrLine)
		}
		if p, err := ParsePorts(text); err == nil {
			again, err := ParsePorts(p.String())
			if diff := cmp.Diff(p, again); diff != "" || err != nil {
				t.Fatalf("%q prints to %q: %v\n%s", text, p, err, diff)
			}
			set, _ := p.Resolve(func(string) (Ports, bool) { return Ports{Any: true}, true })
			ordered(t, set, portLine)
		}
	})
}

// ordered checks that ranges are sorted, with a gap between neighbours.
func ordered[T any](t *testing.T, ranges []Range[T], l line[T]) {
	t.Helper()
	for i, r := range ranges {
		if l.cmp(r.From, r.To) > 0 || i > 0 && l.cmp(l.next(ranges[i-1].To), r.From) >= 0 {
			t.Fatalf("ranges %v", ranges)
		}
	}
}

// TestRoundTrip prints and parses random rules made of parts of every kind.
func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	actionWords := make([]string, 0, len(actions))
	for name := range actions {
		actionWords = append(actionWords, name)
	}
	for range 2000 {
		var b strings.Builder
		addrs := func() string {
			return randomTwin(r, 3).text(func(lo, hi int) string {
				return pick(fmt.Sprintf("10.0.0.%d-10.0.0.%d", lo, hi), fmt.Sprintf("10.%d.0.0/16", lo),
					fmt.Sprintf("2001:db8:%x::/48", hi), "$HOME_NET", "@REF", "::1", "10.0.0.0/255.255.0.0")
			})
		}
		ports := func() string {
			return randomTwin(r, 2).text(func(lo, hi int) string {
				return pick(fmt.Sprintf("%d:%d", lo, hi), fmt.Sprint(lo), fmt.Sprintf("%d:", lo), fmt.Sprintf(":%d", hi), "$PORTS")
			})
		}
		fmt.Fprintf(&b, "%s %s %s %s %s %s %s (", pick(actionWords...), pick("ip", "tcp", "TLS", "ssl", "http2", "ip6"),
			pick("any", addrs()), pick("any", ports()), pick("->", "<>"), pick("any", addrs()), pick("Any", ports()))
		b.WriteString(pick(``, `msg:"a \"b\" \; \\ |c|" ; `, `flow: to_server , established;`, `metadata: x y , z;`, `noalert;`))
		for range r.IntN(4) {
			b.WriteString(pick(``, `ip.src;`, `ip.dst; dotprefix;`, `pkt_data;`))
			b.WriteString(pick(`content:"a|0d 0a|\;\\";`, `content: !"abc";`, `content:"abc"; nocase; endswith;`,
				`content:"x"; distance:-3; within : 8;`, `content:"abcd"; offset:2; depth:9;`, `content:"ab"; startswith;`,
				`pcre:"/a\;b/i"; content:"a";`))
		}
		fmt.Fprintf(&b, "sid:%d;)", 1+r.Uint32N(1<<32-1))
		roundTrip(t, mustParse(t, b.String()))
	}
}
