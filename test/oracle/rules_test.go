package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// contentOptions writes one to three contents on words, with modifiers that
// are valid together.
func contentOptions(r *rand.Rand, from []string, lower bool) string {
	var b strings.Builder
	for i := range 1 + r.IntN(3) {
		word := pick(r, from)
		if n := r.IntN(len(word)); r.IntN(3) == 0 && n > 1 {
			word = word[:n]
		}
		if lower {
			word = strings.ToLower(word)
		}
		negated := ""
		if r.IntN(6) == 0 && (i > 0 || lower) {
			negated = "!" // never first in a payload: see the package comment
		}
		fmt.Fprintf(&b, `content:%s"%s"; `, negated, word)
		if !lower && r.IntN(3) == 0 {
			b.WriteString("nocase; ")
		}
		switch place := r.IntN(8); {
		case i > 0 && place < 3 && negated == "":
			if r.IntN(2) == 0 {
				fmt.Fprintf(&b, "distance:%d; ", r.IntN(12)-3)
			}
			if r.IntN(2) == 0 {
				fmt.Fprintf(&b, "within:%d; ", len(word)+r.IntN(12))
			}
		case place == 3:
			b.WriteString("startswith; ")
		case place == 4:
			b.WriteString("endswith; ")
		case place == 5:
			fmt.Fprintf(&b, "offset:%d; depth:%d; ", r.IntN(10), len(word)+r.IntN(20))
		case place == 6:
			fmt.Fprintf(&b, "depth:%d; ", len(word)+r.IntN(20))
		}
	}
	return b.String()
}

// randomRule writes one rule from the keywords that both engines know.
func randomRule(r *rand.Rand, action string, sid int) string {
	addr := func(own string) string {
		return pick(r, []string{"any", "any", "any", "$HOME_NET", "$EXTERNAL_NET", own + "1", "!" + own + "2", "[" + own + "1," + own + "3]", "[" + own + "0/24,!" + own + "3]"})
	}
	port := pick(r, []string{"any", "any", "any", "80", "[80,443]", "8000:8001", "!80", "[1:9000,!443]"})
	arrow := pick(r, []string{"->", "->", "->", "->", "<>"})
	proto := pick(r, []string{"ip", "tcp", "tcp", "tcp", "tcp-pkt", "tcp-stream", "udp", "icmp", "http", "http", "tls", "dns"})
	if proto == "ip" || proto == "icmp" {
		port = "any"
	}
	var opts strings.Builder
	if proto != "ip" && proto != "icmp" && r.IntN(2) == 0 {
		fmt.Fprintf(&opts, "flow:%s; ", pick(r, []string{"established", "to_server", "to_client", "established,to_server", "established,to_client", "not_established", "stateless"}))
	}
	switch proto {
	case "tcp", "tcp-pkt":
		switch r.IntN(5) {
		case 0:
			fmt.Fprintf(&opts, "flags:%s; ", pick(r, []string{"S", "SA", "A", "+A", "!A", "PA", "FA", "S,12"}))
		case 1, 2, 3:
			opts.WriteString(contentOptions(r, words, false))
		}
	case "tcp-stream", "udp", "icmp":
		opts.WriteString(contentOptions(r, words, false))
	case "http":
		switch r.IntN(5) {
		case 0:
			opts.WriteString("http.host; " + pick(r, []string{"", "dotprefix; "}) + contentOptions(r, append(names, ".example.com"), true))
		case 1:
			opts.WriteString("http.uri; " + contentOptions(r, words, false))
		case 2:
			opts.WriteString("http.method; " + contentOptions(r, []string{"GET", "HEAD", "DELETE"}, false))
		case 3:
			opts.WriteString("http.user_agent; " + contentOptions(r, words, false))
		}
	case "tls":
		if r.IntN(4) > 0 {
			opts.WriteString("tls.sni; " + pick(r, []string{"", "dotprefix; "}) + contentOptions(r, append(names, ".example.com"), false))
		}
	case "dns":
		if r.IntN(4) > 0 {
			opts.WriteString("dns.query; " + contentOptions(r, names, false))
		}
	}
	return fmt.Sprintf(`%s %s %s any %s %s %s (msg:"r%d"; %ssid:%d;)`, action, proto, addr("10.0.0."), arrow, addr("192.0.2."), port, sid, opts.String(), sid)
}
