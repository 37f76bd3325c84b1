package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// syntaxNames are the templates that others use.
var syntaxNames = map[string]string{
	"word":    `{alpha|Bravo|aab|GET |\/index|www.example.com|a\\:b|q\\"q|x\\;y|b\\\\s|\|0d 0a\||\|00\|zz|a\|41 42\|b|\|0D0A\||\|7c\|}`,
	"addrs":   `{any|any|any|$HOME_NET|$EXTERNAL_NET|!$HOME_NET|10.0.0.1|!10.0.0.1|10.0.0.0/8|[10.0.0.1,10.0.0.2]|[10.0.0.0/8,!10.1.0.0/16]|![10.0.0.1, 10.0.0.9]|10.0.0.1-10.0.0.9|2001:db8::/32|2001:db8::1|[$HOME_NET,!10.0.0.1]|[![10.0.0.1,10.0.0.2],10.0.0.0/24]|10.0.0.0/255.255.0.0|0.0.0.0/0|[any]|!any|$NOT_THERE|10.0.0.256|10.0.0.9-10.0.0.1|[10.0.0.1,!10.0.0.1]|10.0.0.0/33|::/0|[]}`,
	"ports":   `{any|any|any|80|!80|[80,443]|1024:|:1024|80:90|[80,8000:8010]|![80,81]|[1:100,!80]|$HTTP_PORTS|!$HTTP_PORTS|[$HTTP_PORTS,8080]|65536|90:80|!any|[80,!80]|0|[1:5,![2,3]]|-1|:|$NO_PORTS}`,
	"offset":  `{#20|#20|0|-#20|name|n|65535|65536|-65535|-65536| #9 }`,
	"bytes":   `{#4|1|2|4|8|9|10|0|n|name|22|23|24}`,
	"string":  `{|,string,hex|,string,dec|,string,oct|,string|,hex,string|, string , dec|,dec}`,
	"endian":  `{|,little|,big|,dce|,endian big|,big,little|,endian dce}`,
	"number":  `{#300|#9|<#9|>#9|<=#9|>=#9|!#9|!=#9|=#9|#9-#30|#9<>#30|#30-#9|!#9-#30|<>#3| #9|> #9|#9 <> #30|256|65536|4294967296|-1|a|<0|>65535|>255|=>#3|5-5|5-6|1kb|2MiB}`,
	"track":   `{by_src|by_dst|by_rule|by_both|by_srcdst|BY_SRC}`,
	"ip":      `{ip_src|ip_dst|ip_pair|tx|src}`,
	"bit":     `{a|b|name.x|a-b|a b|a\|b|a \| b|é}`,
	"proto":   `{tcp|tcp|tcp|udp|ip|icmp|http|tls|dns|tcp-pkt|tcp-stream|icmpv4|icmpv6|icmpv4|sctp|pkthdr|ipv4|ip4|ipv6|ip6|smtp|ssh|ftp|smb|ftp-data|TCP|http1|http2|any|udp-pkt|foo|ntp|krb5|nfs|rdp|sip|snmp|tftp|dhcp|mqtt|modbus|enip|dnp3|dcerpc|ike|ikev2|imap|pgsql|telnet|bittorrent-dht|quic|rfb|jabber|msn|irc|template|failed|unknown|pop3|igmp|gre|esp}`,
	"events":  `{ipv4.trunc_pkt|udp.pkt_too_small|IPV6.trunc_pkt|foo|decoder.ipv4.trunc_pkt|rst_with_data|stream.rst_with_data|3whs_ack_in_wrong_dir|est_packet_out_of_window|too_many_layers}`,
	"content": `content:{|!}"{$word}"; {|nocase; |offset:{#9}; |depth:{#3-30}; |offset:{#9}; depth:{#3-30}; |startswith; |endswith; |rawbytes; |fast_pattern; |fast_pattern:only; |fast_pattern:{#3},{#1-3}; |startswith; endswith; |distance:{#9}; |within:{#3-30}; |distance:{#9}; within:{#3-30}; |depth:{#3-30}; nocase; |startswith; offset:1; |startswith; depth:9; |endswith; depth:9; |within:{$offset}; |depth:{$offset}; |distance:{$offset}; |offset:{$offset}; |nocase; nocase; |http_uri; |http_header; |http_method; |fast_pattern; fast_pattern; |fast_pattern; offset:2; |http_cookie; nocase; |rawbytes; http_uri; |distance:0; offset:1; }`,
}

// syntaxOptions are options, one keyword or a few that go together in each.
var syntaxOptions = []string{
	`{$content}`, `{$content}`, `{$content}{$content}`, `{$content}{$content}{$content}`,
	`{http.uri|http.host|http.method|http.user_agent|tls.sni|dns.query|file.data|http.header|http.request_body|http.cookie|tls.cert_subject|tcp.hdr|ipv4.hdr|udp.hdr|icmpv4.hdr|pkt_data|ip.src|ip.dst|ssh.proto|http_request_line|http.stat_code}; {|{$content}}{$content}`,
	`{http.host|http.uri|tls.sni|dns.query|http.user_agent|pkt_data|}; {dotprefix|strip_whitespace|compress_whitespace|to_lowercase|to_uppercase|to_md5|to_sha1|to_sha256|url_decode|header_lowercase|strip_pseudo_headers|xor:"{0d|0a0b|0|zz|0d 0a}"|xor:0d|pcrexform:"{(a+)b|a|([a-z]+)|(a|)}"|to_md5; to_sha1}; {|{$content}}`,
	`bsize:{$number}; `, `http.uri; bsize:{$number}; `, `http.uri; content:"abc"; bsize:{$number}; `, `tls.sni; bsize:{$number}; content:"a"; `,
	`content:"a"; isdataat:{|!}{$offset}{|,relative|,rawbytes|,relative,rawbytes|, relative|,foo}; `, `isdataat:{|!}{#9}; `,
	`dsize:{$number}; `, `ttl:{$number}; `, `id:{$number}; `, `tos:{|!}{{#255}|x{10|ff|FF|fff|zz}|256| 5}; `, `ip_proto:{|!|<|>}{{#255}|tcp|UDP|icmp|IGMP|foo|256| 6|ipv6-icmp|gre|OSPFIGP|ospf}; `,
	`l3_proto:{ipv4|ipv6|ip4|ip6|IPv4|inet|!ipv4}; `, `sameip; `, `sameip:1; `, `ipopts:{rr|lsrr|eol|nop|ts|sec|esec|ssrr|satid|any|cipso|rtralt|qs|RR|foo|!rr}; `,
	`fragbits:{|+|*|!|-}{M|D|R|MD|DRM|m|X||M+|MM}; `, `fragoffset:{|!|<|>| }{#9|65535}; `,
	`{tcp.flags|flags}:{|+|*|!|-}{S|SA|A|F|PA|0|12|CE|s|X||SS|FSRPAUEC|S,12|SA,CE|S+|A!|!S|+A|S,|S,X| S |S , 12|S,!1}; `,
	`{tcp.seq|seq}:{$number}; `, `{tcp.ack|ack}:{$number}; `, `{tcp.window|window}:{|!}{$number}; `, `tcp.mss:{$number}; `,
	`itype:{$number}; `, `icode:{$number}; `, `icmp_id:{$number}; `, `icmp_seq:{$number}; `, `icmp_id:"{#9}"; `, `icmpv6.mtu:{$number}; `,
	`{ipv4-csum|tcpv4-csum|tcpv6-csum|udpv4-csum|udpv6-csum|icmpv4-csum|icmpv6-csum}:{valid|invalid|Valid|"valid"|foo|!valid| invalid}; `,
	`byte_test:{$bytes},{|!| !}{<|>|=|<=|>=|&|^||foo|>>},{#300|0x1f|n|name|-1|4294967296|18446744073709551615|99999999999999999999},{$offset}{|,relative}{$endian}{$string}{|,bitmask 0x{f|ff|0|fffffffff}|,bitmask ff|,foo}; `,
	`byte_extract:{1|2|4},{#9},{n|name|a.b|1x|a-b|N}{|,relative}; byte_test:{1|2},{<|>|=},{n|name|m},{#9|n}; content:"a"; {offset|depth|distance|within}:{n|name}; `,
	`byte_extract:{$bytes},{$offset},{n|name|a b||1|_x}{|,relative}{|,multiplier {#9|65535|65536|0}}{|,align {2|4|3|8}}{$endian}{$string}{|,foo|,relative}; `,
	`byte_jump:{$bytes},{$offset}{|,relative}{|,multiplier {#9|65535|65536|0}}{|,align}{|,from_beginning|,from_end|,from_beginning,from_end}{|,post_offset {#9|-#9|65536}}{$endian}{$string}{|,bitmask 0xf0|,dce}; `,
	`byte_jump:{1|2|4},{#9}{|,relative}{|,multiplier {#1-9}}{|,align}{|,from_beginning}{|,post_offset {#9}}; content:"a"; distance:0; `,
	`byte_math:bytes {$bytes}, offset {$offset}, oper {+|-|*|/|<<|>>|%}, rvalue {#9|n|name|0|4294967296|0x3}, result {n|name|a.b|1|_q}{|, relative}{|, endian {big|little|dce|foo}}{|, string {hex|dec|oct|foo}}{|, dce}{|, bitmask 0x{f|ff|0|fffffffff}}{|, foo}; `,
	`byte_math:{bytes 1,offset 0,oper +,rvalue 1,result n|bytes:1,offset:0,oper:+,rvalue:1,result:n|offset 0,bytes 1,result n,rvalue 1,oper -|bytes 1, offset 0, oper +, result n|bytes 1,bytes 1,offset 0,oper +,rvalue 1,result n|bytes 1 ,offset 0 , oper + ,rvalue 1,result n}; byte_test:1,>,n,0; `,
	`pcre:{|!}"{/|}{a+b|(a|)|a{2,3}|[a-z|\\d+|(?i)a|(?P<x>a)|(?<=a)b|a\\x41|^abc$|(a+)+|\\;|a\\/b|(a)(b)|.*|a(?#c)b|\\p{L}|(?>a+)|(a)\\1|(?R)|\\C|\\Q.\\E}/{|i|s|m|x|is|A|E|G|R|B|U|I|P|H|D|M|C|S|Y|V|W|Z|Q|RU|UI|K|O|Ui|iR|k|,flow:x|,pkt:y|i, flow:x}{|"}; `,
	`content:"a"; pcre:"/{b+|c}/{R|iR|U|RB}"; `, `http.uri; {content:"a"; |}pcre:{|!}"/{b|(x)}/{|i|R|U|B|H}"; `, `pcre:/abc/i; `,
	`base64_decode{|:{bytes {#9}|offset {#9}|relative|bytes 4, offset 2, relative|bytes 0|foo|bytes -1|relative,bytes 3|bytes 65536}}; base64_data; {content:"a"; |pcre:"/a/"; |}`,
	`content:"a"; base64_decode:relative; base64_data; content:"b"; `, `base64_data; content:"b"; `,
	`flow:{established|to_server|to_client|from_client|from_server|stateless|not_established|only_stream|no_stream|only_frag|no_frag|established,to_server|to_server,established|established,stateless|to_server,to_client|established, to_client|established,no_stream|only_stream,no_stream|no_frag,only_frag|ESTABLISHED|foo|established,established|to_server,established,no_stream|established,to_server,only_stream,no_frag|}; `,
	`flow:established; flow:to_server; `, `flow:to_server; flow:established; `,
	`flowbits:{set|unset|toggle|isset|isnotset|SET|foo}{,|, }{a|name.x|a-b|a b|é}; `, `flowbits:{isset|isnotset},{$bit}; `, `flowbits:noalert; `, `flowbits:{noalert,a|set|isset,a\|b|isset,a\|b\|c|isnotset,a\|b|isset, a \| b}; `,
	`flowvar:{a|a b|},{"{$word}"|a|!"a"|"a\|41\|b"|""|"a,b"}; `, `pktvar:{a|a.b},{"{$word}"|a|"\|zz\|"}; `, `pcre:{|!}"/{(a)(b)|(?P<flow_x>a)|(?P<pkt_y>a)(b)|(?P<z>a)|a}/{|i|s}{, flow:x|, flow:x, pkt:y|, pkt:key, pkt:value|, pkt:value|, pkt:key| flow:x|, foo:x|, flow:x,flow:y,flow:z|,}"; `,
	`flowint:{num|n m|a.b|num_9},{+|-|=|>|<|>=|<=|==|!=|isset|notset|isnotset|foo|+=},{#9|num|-1|4294967296|a b|}; `, `flowint:{num|nn}{,| , }{isset|notset|isnotset|set}; `, `flowint:num, {=|+|>} , {#9|other}; `,
	`xbits:{set|unset|isset|isnotset|toggle|foo},{a|a.b},{track {$ip}|track {$ip},expire {#99}|track {$ip}, expire {#99}|track {$ip} ,expire 0|expire 9|{$ip}|track ip_src,expire -1}; `, `xbits:noalert; `,
	`hostbits:{set|unset|isset|isnotset|toggle|foo},{a|a.b|a b}{|,src|,dst|,both|,either|, src|,src,5}; `, `hostbits:noalert; `,
	`threshold:{ |}type {limit|threshold|both|backoff|foo|LIMIT},{ |}track {$track}, count {#9}, seconds {#99}; `, `threshold:{track by_src,type limit,count 1,seconds 60|type limit,track by_src,seconds 60,count 1|type limit, track by_src, count 1|count 1,seconds 60,track by_src,type both|type limit,track by_src,count 1 ,seconds 1|type limit track by_src count 1 seconds 1|type limit,type both,track by_src,count 1,seconds 1|type limit,track by_src,count 0,seconds 0}; `,
	`detection_filter:{ |}track {$track}, count {#9}, seconds {#99}; `, `detection_filter:{count 5,seconds 60,track by_src|track by_src,count 5|track by_src,seconds 5|track by_src,count 0,seconds 1|track by_src,count 1,seconds 0|track by_src,count 1,seconds 1,foo|type limit,track by_src,count 1,seconds 1}; `,
	`threshold:type limit,track by_src,count 1,seconds 60; detection_filter:track by_src,count 1,seconds 60; `,
	`tag:{session|host|foo|SESSION}{|,{#30|0|-1|a}}{|,packets|,seconds|,bytes|,foo}{|,src|,dst|,foo}; `, `tag:{host,{#3},seconds,src|host,3,packets,dst|session,5,packets|session|host|host,5,seconds|session,0,packets|session,5,packets,src| session , 5 , packets}; `,
	`stream_size:{server|client|both|either|foo|SERVER}{,|, | ,}{<|>|=|<=|>=|!=|!|=>|}{,|, }{#300|-1|4294967296|99999999999|a|}; `,
	`app-layer-protocol:{|!|! }{http|tls|dns|failed|unknown|smb|foo|http1|http2|ftp-data|ikev2|tcp|dcerpc}{|||,foo}; `,
	`{decode-event|stream-event|engine-event}:{$events}; `,
	`app-layer-event:{applayer_mismatch_protocol_both_directions|applayer_wrong_direction_first_data|applayer_detect_protocol_only_one_direction|applayer_proto_detection_skipped|applayer_no_tls_after_starttls|applayer_unexpected_protocol|tls.invalid_handshake_message|http.missing_host_header|dns.malformed_data|foo.bar|smtp.invalid_reply|.x|http}; `,
	`flow.age:{$number}; `, `noalert; `, `alert; `, `noalert; alert; `, `bypass; `, `bypass:1; `, `prefilter; `, `dsize:10; prefilter; `, `content:"a"; prefilter; `,
	`config:{logging disable, type tx, scope tx|logging disable, type flow, scope packet|logging enable|foo|logging disable, type tx|logging disable,type tx,scope flow|tracking disable, type tx, scope tx}; `,
	`nfq_set_mark:{0x{#9}/0x{#9}|{#9}/{#9}|{#9}|foo|0x1/|/0x1|0x1/0xffffffff}; `,
	`content:"abc"; replace:"{xyz|x\|79\|z}"; `, // what else is wrong with it Suricata passes over where it cannot replace
	`rpc:{100000|100000,2,3|100000,*,3|100000,2,*|*,2,3|100000,*,*|a|100000,2|100000, 2, 3|-1,2,3}; `,
	`asn1:{oversize_length {#99}|bitstring_overflow|double_overflow|absolute_offset {#9}|relative_offset {#9}|oversize_length {#9}, relative_offset {#9}|bitstring_overflow,absolute_offset 0|foo|bitstring_overflow, double_overflow, oversize_length 500}; `,
	`requires:{feature foo|version >= 7|version >= 7.0.3|version > 8|version >= 7.0.3 < 8|version >= 8 \| >= 7.0.3|keyword foo|feature geoip, version >= 7|version = 7|version >= 7,version < 9|foo|version 7|version >= 7.a|version < 7}; `,
	`target:{src_ip|dest_ip|dst_ip|both|SRC_IP}; `, `priority:{#9|0|255|256|-1|a|1,2}; `, `gid:{#99|0|-1|a|4294967296}; `, `rev:{#99|0|-1|a|4294967296|"5"}; `,
	`classtype:{trojan-activity|attempted-admin|foo|misc activity|"misc-attack"|MISC-ATTACK}; `, `reference:{url,example.com|cve,2020-1|foo,bar|url|url, example.com|cve, CVE-2020-1|url,|URL,example.com/a?b=c\\;d|bugtraq,1|"url,example.com"}; `,
	`metadata:{a b|a b, c d|a|key value value|a b,|,|a b,,c d|}; `, `msg:"{second}"; `, `msg:{"a\\"b"|"a\\;b"|unquoted|"|""|"x" y|'x'|"a:b"|"tab"|"a\\\\b"|"é"}; `,
	`filesize:{$number}; `, `{filename|fileext}:{|!}{"{$word}"|a|"b"}; `, `file.name; content:"a"; filesize:>{#9}; `, `ftpbounce; `, `uricontent:{|!}"{$word}"; `, `urilen:{$number}{|,raw|,norm|,foo|, raw}; `, `urilen:{#99}{|,raw|,norm}; `,
	`content:"a"; {nocase|depth:9|offset:1|distance:1|within:9|rawbytes|startswith|endswith|fast_pattern|http_uri|http_header|http_raw_uri|http_client_body|http_server_body|http_stat_code|http_stat_msg|http_user_agent|http_host|http_raw_host|http_cookie|http_raw_header}; `,
	`{nocase|depth:9|offset:1|distance:1|within:9|rawbytes|startswith|endswith|fast_pattern|http_uri}; `,
	`pkt_data; content:"a"; `, `http.uri; pkt_data; content:"a"; `, `file_data; content:"a"; pkt_data; content:"b"; `, `http.uri; content:"a"; http.uri; content:"b"; distance:1; `, `http.uri; nocase; `,
	`content:"a"; content:"b"; distance:{-|}{#9}; within:{#1-20}; isdataat:!{#9},relative; `,
	`{depth|msg|content|flow|byte_test|pcre|threshold|metadata|classtype|tls.sni|http.uri|flowbits}; `, `{nosuchkeyword|contents:"a"|http.urii|tls-sni|Content:"a"|HTTP.URI; content:"a"}; `,
}

// syntaxRule writes one rule, every other one spoiled.
func syntaxRule(r *rand.Rand, sid int) string {
	e := func(template string) string { return expand(r, template, syntaxNames) }
	header := `{alert|alert|alert|drop|pass|reject|rejectsrc|rejectdst|rejectboth} {tcp|tcp|udp|icmp|ip|http|tls|dns} any any -> any any`
	switch r.IntN(4) {
	case 0:
		header = `{alert|drop|pass|reject|rejectsrc|rejectdst|rejectboth|sdrop|log|Alert} {$proto} {$addrs} {$ports} {->|->|->|<>|<-|=>} {$addrs} {$ports}`
	case 1:
		header = `alert {$proto} any any -> any any`
	}
	var b strings.Builder
	b.WriteString(e(header))
	b.WriteString(` (msg:"m"; `)
	for range 1 + r.IntN(2) {
		b.WriteString(e(pick(r, syntaxOptions)))
	}
	options := b.String()
	if r.IntN(3) == 0 {
		options = spoil(r, options)
	}
	if r.IntN(60) == 0 {
		return options + pick(r, []string{")", ";)", "", "sid:1", fmt.Sprintf("sid:%d)", sid), fmt.Sprintf("sid:%d;", sid), fmt.Sprintf("sid:%d;) x", sid), fmt.Sprintf("sid: %d ; )", sid)})
	}
	return fmt.Sprintf("%ssid:%d;)", options, sid)
}

// spoil changes a few bytes of a text.
func spoil(r *rand.Rand, text string) string {
	const printable = `"\;:,|!()[]{} <>-+*/&^=.#$%@~?'` + "`_aA0zZ9"
	b := []byte(text)
	for range 1 + r.IntN(2) {
		at := 1 + r.IntN(len(b)-1) // a line that begins with a space is a comment to Suricata
		switch r.IntN(4) {
		case 0:
			b = append(b[:at], b[at+1:]...)
		case 1:
			b[at] = printable[r.IntN(len(printable))]
		case 2:
			b = append(b[:at], append([]byte{printable[r.IntN(len(printable))]}, b[at:]...)...)
		case 3:
			other := r.IntN(len(b))
			b[at], b[other] = b[other], b[at]
		}
	}
	return string(b)
}
