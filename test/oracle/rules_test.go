package oracle

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
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

// payloadOptions writes options other than content that look into a buffer.
// first says whether there is no content before them that they could count from.
// In streams only patterns that stand anywhere are made: what other options count
// from depends on where an engine cuts.
func payloadOptions(r *rand.Rand, first, stream bool) string {
	relative := func(name string) string {
		if first || r.IntN(2) == 0 {
			return ""
		}
		return name
	}
	kind := r.IntN(9)
	if stream {
		kind = 9
	}
	switch kind {
	case 0:
		return fmt.Sprintf("isdataat:%s%d%s; ", pick(r, []string{"", "!"}), r.IntN(30), relative(",relative"))
	case 1:
		return fmt.Sprintf("byte_test:%d,%s%s,%d,%d%s%s%s; ", 1+r.IntN(4), pick(r, []string{"", "!"}), pick(r, []string{"<", ">", "=", "&", "^", "<=", ">="}),
			r.IntN(120)<<(8*r.IntN(2)), r.IntN(8), relative(",relative"), pick(r, []string{"", ",little", ",big"}), pick(r, []string{"", "", ",bitmask 0x7c"}))
	case 2:
		return fmt.Sprintf("byte_test:%d,%s,%d,%d%s,string,%s; ", 1+r.IntN(4), pick(r, []string{"<", ">", "="}), r.IntN(200), r.IntN(8), relative(",relative"), pick(r, []string{"dec", "hex", "oct"}))
	case 3:
		return fmt.Sprintf("byte_jump:1,%d%s%s%s%s; content:\"%s\"; distance:0; ", r.IntN(4), relative(",relative"), pick(r, []string{"", ",align"}),
			pick(r, []string{"", ",from_beginning"}), fmt.Sprintf(",post_offset -%d", 80+r.IntN(30)), pick(r, words))
	case 4:
		return fmt.Sprintf("byte_extract:1,%d,n%s%s; content:\"%s\"; offset:%d; byte_test:1,%s,n,%d; ", r.IntN(6), relative(",relative"), pick(r, []string{"", ",align 4", ",multiplier 2"}),
			pick(r, words), r.IntN(6), pick(r, []string{"<", ">", "="}), r.IntN(8))
	case 5:
		return fmt.Sprintf("byte_math:bytes %d,offset %d,oper %s,rvalue %d,result n%s; byte_test:2,%s,n,%d; ", 1+r.IntN(2), r.IntN(4), pick(r, []string{"+", "-", "*", "/", "<<", ">>"}),
			1+r.IntN(5), relative(",relative"), pick(r, []string{"<", ">"}), r.IntN(4))
	}
	word := pick(r, words)
	if kind == 6 { // the words are base64, too
		return fmt.Sprintf("base64_decode:%soffset %d%s; base64_data; %s; ", pick(r, []string{"", "bytes 4,", "bytes 7,"}), r.IntN(9), relative(",relative"),
			pick(r, []string{`content:"|6a|"`, `content:!"|6a 9a|"; isdataat:1`, "isdataat:3", "isdataat:!5", "bsize:>2", "byte_test:1,>,100,0"}))
	}
	pattern := pick(r, []string{word, "[a-d]+" + word[1:], "(?:" + word + "|zz)", word[:1] + ".{1,9}?a", `\x` + fmt.Sprintf("%02x", word[0]), "(a+)b", `\b` + word, "a(?=b)", "(?<!a)a", `[^\x00]\d`, `\w{3,}\W`, "(.)\\1", "^" + word, word + "$"}[:14-2*btoi(stream)])
	flags := pick(r, []string{"", "i", "s", "m", "is"})
	if !first && r.IntN(3) == 0 {
		flags += "R"
	}
	negated := ""
	if !first && r.IntN(5) == 0 {
		negated = "!"
	}
	return fmt.Sprintf(`pcre:%s"/%s/%s"; `, negated, pattern, flags)
}

// digestTest writes a keyword that compares the digest of a file with a list of testdata.
func digestTest(r *rand.Rand, keyword, list string) string {
	path, err := filepath.Abs(filepath.Join("testdata", list))
	if err != nil {
		panic(err) // there is no working directory
	}
	return keyword + ":" + pick(r, []string{"", "!"}) + path + "; "
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// headerOption writes an option on a packet's headers or on its flow.
func headerOption(r *rand.Rand, proto string) string {
	number := func(most int) string {
		n := r.IntN(most)
		return pick(r, []string{fmt.Sprint(n), fmt.Sprintf("<%d", n+1), fmt.Sprintf(">%d", n), fmt.Sprintf("%d<>%d", n, n+2+r.IntN(most))})
	}
	options := []string{"l3_proto:" + pick(r, []string{"ipv4", "ipv6"}), "ipv4-csum:valid", pick(r, []string{"tcpv4-csum", "udpv4-csum", "icmpv4-csum"}) + ":valid", "dsize:" + number(60), "dsize:!" + fmt.Sprint(r.IntN(60)), "ttl:" + number(128),
		"id:" + fmt.Sprint(r.IntN(3)), "tos:" + pick(r, []string{"0", "!0", "4"}), "fragbits:" + pick(r, []string{"D", "!D", "M", "+D", "*MD", "!M"}), "fragoffset:" + pick(r, []string{"0", "!0", ">0"}), "sameip",
		"ipopts:" + pick(r, []string{"any", "rr"}), "flow.age:" + pick(r, []string{"0", "<2", ">0"}),
		`ipv4.hdr; content:"|45|"; startswith`, `ipv4.hdr; content:"|c0 00 02|"; offset:12`}
	switch proto {
	case "ip":
		options = append(options, "ip_proto:"+pick(r, []string{"6", "!6", ">5", "<17", "UDP", "ICMP"}))
	case "tcp", "tcp-pkt":
		options = append(options, "stream_size:"+pick(r, []string{"server", "client", "both", "either"})+","+pick(r, []string{"<", ">", "=", "!=", "<=", ">="})+","+fmt.Sprint(r.IntN(200)), "window:"+pick(r, []string{"65535", "!65535", "1024"}), "ack:0", "seq:1", `tcp.hdr; content:"|00 50|"; offset:2; depth:2`, "tcp.mss:"+number(2000))
	case "icmp":
		options = append(options, "itype:"+number(10), "icode:"+number(3), "icmp_id:"+fmt.Sprint(r.IntN(30)), "icmp_seq:"+fmt.Sprint(r.IntN(3)), `icmpv4.hdr; content:"|08 00|"; startswith`)
	case "udp":
		options = append(options, `udp.hdr; content:"|00 35|"; offset:2; depth:2`)
	}
	return pick(r, options) + "; "
}

// stateOption writes an option that remembers, or asks for what others do. How often
// a stream's rule matches depends on how an engine cuts it, so those do not count.
func stateOption(r *rand.Rand, proto string) string {
	if proto != "udp" && proto != "icmp" && proto != "tcp-pkt" {
		return "flowbits:" + pick(r, []string{"set,", "isset,", "isnotset,"}) + pick(r, []string{"a", "b", "c"}) + "; "
	}
	bit := func() string { return pick(r, []string{"a", "b", "c"}) }
	switch r.IntN(10) {
	case 8:
		return fmt.Sprintf(`pkt_data; pcre:"/(?P<%s_%s>[a-z]+)%s/"; `, pick(r, []string{"flow", "pkt"}), bit(), pick(r, []string{"", " ", ".", "(b|c)"}))
	case 9:
		return fmt.Sprintf(`%s:%s,"%s"; `, pick(r, []string{"flowvar", "pktvar"}), bit(), pick(r, []string{"a", "b", "alpha", "xyz", "aab"}))
	case 0, 1:
		return "flowbits:set," + bit() + "; "
	case 2:
		return "flowbits:" + pick(r, []string{"isset,", "isnotset,", "unset,", "isset,a|"}) + bit() + "; "
	case 3:
		return fmt.Sprintf("xbits:%s,%s,track %s,expire %d; ", pick(r, []string{"set", "isset", "isnotset", "unset"}), bit(), pick(r, []string{"ip_src", "ip_dst", "ip_pair"}), 1+r.IntN(9))
	case 4:
		return fmt.Sprintf("threshold:type %s,track %s,count %d,seconds %d; ", pick(r, []string{"limit", "threshold", "both"}), pick(r, []string{"by_src", "by_dst", "by_both", "by_rule"}), 1+r.IntN(3), 1+r.IntN(60))
	case 5:
		return fmt.Sprintf("detection_filter:track %s,count %d,seconds %d; ", pick(r, []string{"by_src", "by_dst"}), 1+r.IntN(3), 1+r.IntN(60))
	case 6:
		return "flowint:num," + pick(r, []string{"=,1", "+,1", "notset", "isset", ">,1", "==,2"}) + "; "
	}
	return fmt.Sprintf("hostbits:%s,%s,%s; ", pick(r, []string{"set", "isset", "isnotset"}), bit(), pick(r, []string{"src", "dst"}))
}

// transformed writes a transformation and a pattern in the form that it leaves.
func transformed(r *rand.Rand, from []string) string {
	word := pick(r, from)
	switch r.IntN(6) {
	case 0:
		return fmt.Sprintf(`to_lowercase; content:"%s"; `, strings.ToLower(word))
	case 1:
		return fmt.Sprintf(`to_uppercase; content:"%s"; `, strings.ToUpper(word))
	case 2:
		return fmt.Sprintf(`to_md5; content:"|%x|"; `, md5.Sum([]byte(word)))
	case 3:
		return fmt.Sprintf(`to_sha256; content:"|%x|"; `, sha256.Sum256([]byte(word)))
	case 4:
		return fmt.Sprintf(`pcrexform:"(%s)"; content:"%s"; bsize:%d; `, word[:2]+".*", word[:2], len(word))
	}
	return fmt.Sprintf(`content:"%s"; bsize:%s%d; `, word[:2], pick(r, []string{"", "<", ">"}), len(word))
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
	stream := proto == "tcp" || proto == "tcp-stream"
	switch proto {
	case "tcp", "tcp-pkt":
		switch r.IntN(8) {
		case 5:
			opts.WriteString(payloadOptions(r, true, stream))
		case 6:
			opts.WriteString(contentOptions(r, words, false) + payloadOptions(r, false, stream))
		case 7:
			opts.WriteString(headerOption(r, proto))
		case 0:
			fmt.Fprintf(&opts, "flags:%s; ", pick(r, []string{"S", "SA", "A", "+A", "!A", "PA", "FA", "S,12"}))
		case 1, 2, 3:
			opts.WriteString(contentOptions(r, words, false))
		}
	case "tcp-stream", "udp", "icmp":
		switch {
		case proto != "tcp-stream" && r.IntN(3) == 0:
			opts.WriteString(headerOption(r, proto))
		case r.IntN(3) == 0:
			opts.WriteString(payloadOptions(r, true, stream))
		default:
			opts.WriteString(contentOptions(r, words, false))
			if r.IntN(2) == 0 {
				opts.WriteString(payloadOptions(r, false, stream))
			}
		}
	case "ip":
		if r.IntN(2) == 0 {
			opts.WriteString(headerOption(r, proto))
		}
	case "http":
		switch r.IntN(9) {
		case 8:
			opts.WriteString(pick(r, []string{"filesize:5; ", "filesize:>3; ", "filesize:<5; ", "filesize:!5; ", `filename:"ALPHA"; `, `fileext:"foxtrot"; `, `file.name; content:"/aab"; `, `file.data; content:"alph"; startswith; filesize:5; `,
				digestTest(r, "filemd5", "alpha.md5"), digestTest(r, "filesha256", "alpha.sha256")}))
		case 4:
			opts.WriteString("http.user_agent; " + transformed(r, []string{"alpha/1.0", "Bravo/1.0", "xyz/1.0"}))
		case 5:
			opts.WriteString("http.uri; " + contentOptions(r, words, false) + payloadOptions(r, false, stream))
		case 6:
			opts.WriteString(contentOptions(r, words, false))
			opts.WriteString("http_uri; ")
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
	if r.IntN(8) == 0 {
		opts.WriteString(stateOption(r, proto))
	}
	options := opts.String()
	if strings.Contains(options, ".hdr;") && !strings.Contains(options, "established") { // see the package comment
		options = strings.NewReplacer("flow:to_server; ", "", "flow:to_client; ", "").Replace(options)
	}
	return fmt.Sprintf(`%s %s %s any %s %s %s (msg:"r%d"; %ssid:%d;)`, action, proto, addr("10.0.0."), arrow, addr("192.0.2."), port, sid, options, sid)
}
