package detect

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestPayloadKeywords runs options on a datagram.
func TestPayloadKeywords(t *testing.T) {
	const text = "\x00\x05hello 0x1f end"
	for _, test := range []struct {
		payload, options string
		want             bool
	}{
		{text, `dsize:16;`, true},
		{text, `dsize:!16;`, false},
		{text, `dsize:<16;`, false},
		{text, `dsize:15<>17;`, true},
		{text, `dsize:16<>18;`, false},
		{text, `isdataat:15;`, true},
		{text, `isdataat:16;`, false},
		{text, `isdataat:!16;`, true},
		{text, `content:"end"; isdataat:!1,relative;`, true},
		{text, `content:"hello"; isdataat:9,relative;`, true},
		{text, `content:"hello"; isdataat:10,relative;`, false},
		{text, `byte_test:2,=,5,0;`, true},
		{text, `byte_test:2,!=,5,0;`, false},
		{text, `byte_test:2,=,1280,0,little;`, true},
		{text, `byte_test:1,>,4,1;`, true},
		{text, `byte_test:1,>=,6,1;`, false},
		{text, `byte_test:1,&,4,1;`, true},
		{text, `byte_test:1,&,2,1;`, false},
		{text, `byte_test:1,^,5,1;`, false},
		{text, `byte_test:1,=,1,1,bitmask 0x04;`, true},
		{text, `byte_test:1,=,0,16;`, false},
		{text, `byte_test:1,!=,0,16;`, false},
		{text, `content:"hello"; byte_test:4,=,31,1,relative,string,hex;`, true},
		{text, `content:"hello"; byte_test:5,=,31,0,relative,string;`, true},
		{text, `content:"hello"; byte_test:5,=,0,0,relative,string,dec;`, true},
		{text, `byte_test:3,=,0,2,string,dec;`, false},
		{text, `byte_jump:2,0; content:" "; distance:0; within:1;`, true},
		{text, `byte_jump:2,0; content:"o"; distance:0; within:1;`, false},
		{text, `byte_jump:1,0,from_end; isdataat:!1,relative;`, true}, // to the end, but not beyond
		{text, `byte_jump:1,0,from_end,post_offset 1;`, false},
		{text, `byte_jump:2,0,multiplier 3,post_offset -1; isdataat:!1,relative;`, true},
		{"ab-3cd", `content:"ab"; byte_jump:0,0,relative,string,dec; content:"b-3"; distance:0; within:3;`, true}, // back
		{"ab3cdefg", `content:"ab"; byte_jump:0,0,relative,string,dec; content:"fg"; distance:0; within:2;`, true},
		{text, `byte_jump:2,0,align; content:"x1f"; distance:-1; within:3;`, true},
		{text, `byte_jump:2,0,multiplier 2; content:"end"; distance:1; within:3;`, true},
		{text, `byte_jump:2,0,from_beginning; content:"lo"; distance:0; within:2;`, true},
		{text, `byte_jump:1,0,from_end,post_offset -3; content:"end"; distance:0; within:3;`, true},
		{text, `byte_jump:2,0,multiplier 3;`, false},
		{text, `byte_jump:2,0,multiplier 3,post_offset -2;`, true},
		{text, `byte_extract:2,0,n; content:"hello"; offset:2; depth:n;`, true},
		{text, `byte_extract:2,0,n,multiplier 2; byte_test:2,=,n,0;`, false},
		{text, `byte_extract:2,0,n; byte_math:bytes 1,offset 1,oper -,rvalue n,result m; byte_test:1,=,m,0;`, true},
		{text, `byte_extract:2,0,n,align 4; isdataat:n;`, true},
		{text, `byte_extract:1,1,n; content:"end"; content:"end"; offset:n; content:"x"; offset:n; depth:6;`, true},
		{text, `byte_extract:1,1,n; content:"l"; distance:n;`, false},
		{text, `byte_extract:1,1,n; content:"0x"; distance:n; within:n;`, true},
		{text, `byte_math:bytes 2,offset 0,oper <<,rvalue 1,result n; content:"f end"; offset:n;`, true},
		{text, `byte_math:bytes 2,offset 0,oper <<,rvalue 64,result n; byte_test:1,=,n,0;`, true},
		{text, `byte_math:bytes 1,offset 0,oper +,rvalue 1,result z; byte_math:bytes 1,offset 1,oper /,rvalue z,result n; byte_test:1,=,n,1;`, true},
		{text, `byte_extract:1,0,z; byte_math:bytes 1,offset 1,oper /,rvalue z,result n;`, false},
		{text, `pcre:"/HELLO/";`, false},
		{text, `pcre:"/HELLO/i";`, true},
		{text, `pcre:!"/HELLO/";`, true},
		{text, `pcre:"/^\x00.h/s";`, true},
		{text, `content:"hello"; pcre:"/^ 0x/R";`, true},
		{text, `content:"hello"; pcre:"/^0x/R";`, false},
		{text, `pcre:"/l/"; content:"o"; distance:0; within:1;`, true},
		{text, `pcre:"/e/"; content:"nd"; distance:0; within:2;`, true},
		{"x aGVsbG8gd29ybGQ= y", `content:"x "; base64_decode:relative; base64_data; content:"hello world"; bsize:11;`, true},
		{"x aGVsbG8gd29ybGQ= y", `base64_decode:bytes 8,offset 2; base64_data; content:"hello "; bsize:6;`, true},
		{"x aGVsbG8gd29ybGQ= y", `base64_decode:offset 2; base64_data; content:"xyz";`, false},
		{"x aGVsbG8gd29ybGQ= y", `base64_decode:offset 2;`, false},
		{"x y! y aGVsbG8=", `content:"x"; content:"y"; distance:0; base64_decode:offset 1,relative; base64_data; content:"hello";`, false}, // at the first y
		{"(x)", `base64_decode; base64_data; content:!"a";`, false},
	} {
		set := compile(t, Options{}, `alert udp any any -> any any (`+test.options+` sid:1;)`)
		p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte(test.payload)))
		if got := len(run(set, &Input{Packet: p, First: true}).Alerts) > 0; got != test.want {
			t.Errorf("%s on %q: got %v, want %v", test.options, test.payload, got, test.want)
		}
	}
}

// TestDecodeBase64: text that is not well formed decodes to as many bytes as in Suricata 7.0.10.
func TestDecodeBase64(t *testing.T) {
	for text, want := range map[string]string{
		"YWJj": "abc", "YWI=": "ab", "YQ==": "a", "YWJjYQ": "abca", "YWI=YWJj": "ababc", "YQ==YWJj": "aabc",
		"": "", "Y": "", "Y!": "`", "YWJjY": "abc", "YWJj!YWJj": "abc", "YW Jj": "a", " YWJj": "", "YWI!": "ab", "+/": "\xfb",
		"=": "", "Y=": "`", "Y===": "", "====": "", "===": "\x00\x00", "YQ=": "a\x00", "YWJj==": "abc\x00", "YW=J": "a`", "YWJjYQ=!": "abca\x00",
	} {
		if got := string(decodeBase64(nil, []byte(text))); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestHeaderKeywords(t *testing.T) {
	syn := packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.SYN, 7, 9, nil)
	echo := packettest.ICMPEcho("10.0.0.1", "10.0.0.1", false, 3, 4, []byte("x"))
	echo6 := packettest.ICMPEcho("2001:db8::1", "2001:db8::2", false, 3, 4, []byte("x"))
	dns := packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte("x"))
	flags := func(ip []byte, bits byte) []byte { // of the fragmentation field
		out := append([]byte(nil), ip...)
		out[6] = bits << 5
		return out
	}
	options := append([]byte{0x46}, syn[1:20]...) // with a router alert
	options = append(append(options, 148, 4, 0, 0), syn[20:]...)
	binary.BigEndian.PutUint16(options[2:], uint16(len(options)))
	icmp := func(kind uint8, body ...byte) []byte {
		return packettest.ICMP("10.0.0.1", "10.0.0.2", kind, 0, 0, append(body, make([]byte, 16-len(body))...))
	}
	advert := icmp(9, 10, 0, 0, 7) // an address with its preference
	binary.BigEndian.PutUint16(advert[24:], 0x0102)
	tooBig := packettest.ICMP("2001:db8::9", "2001:db8::1", 2, 0, 1280, echo6)
	tooBigCode := packettest.ICMP("2001:db8::9", "2001:db8::1", 2, 1, 1280, echo6)
	echoCode := packettest.ICMP("2001:db8::9", "2001:db8::1", 128, 1, 3<<16|4, []byte("x"))
	solicit := packettest.ICMP("2001:db8::9", "2001:db8::1", 135, 0, 0, make([]byte, 16))
	fragment6 := []byte{0x60, 0, 0, 0, 0, 16, 44, 64, // the second 8 bytes of a packet
		0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
		17, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	mss := func(n uint16) []byte {
		return packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.SYN, 7, 9, nil, packettest.TCPOptions(2, 4, byte(n>>8), byte(n)))
	}

	call := make([]byte, 28) // of procedure 3 of version 2 of program 100000
	binary.BigEndian.PutUint32(call[8:], 2)
	binary.BigEndian.PutUint32(call[12:], 100000)
	binary.BigEndian.PutUint32(call[16:], 2)
	binary.BigEndian.PutUint32(call[20:], 3)
	rpc := packettest.UDP("10.0.0.1:900", "192.0.2.1:111", call)
	rpcTCP := packettest.TCP("10.0.0.1:900", "192.0.2.1:111", packet.PSH|packet.ACK, 1, 1, append([]byte{0x80, 0, 0, 28}, call...))
	badSum := append([]byte(nil), syn...)
	badSum[36] ^= 1
	badHeader := append([]byte(nil), syn...)
	badHeader[10] ^= 1

	for _, test := range []struct {
		ip      []byte
		options string
		want    bool
	}{
		{syn, fmt.Sprintf("ttl:%d;", syn[8]), true},
		{syn, "l3_proto:ipv4;", true}, {syn, "l3_proto:ipv6;", false}, {echo6, "l3_proto:ip6;", true},
		{rpc, "rpc:100000,2,3;", true}, {rpc, "rpc:100000,*,3;", true}, {rpc, "rpc:100000;", true}, {rpc, "rpc:100001;", false}, {rpc, "rpc:100000,3;", false}, {rpc, "rpc:100000,2,4;", false},
		{rpcTCP, "rpc:100000,2,3;", true}, {syn, "rpc:100000;", false},
		{syn, "ipv4-csum:valid;", true}, {syn, "tcpv4-csum:valid;", true}, {syn, "tcpv4-csum:invalid;", false}, {syn, "tcpv6-csum:valid;", false}, {syn, "udpv4-csum:valid;", false},
		{badSum, "tcpv4-csum:invalid;", true}, {badSum, "ipv4-csum:valid;", true}, {badHeader, "ipv4-csum:invalid;", true},
		{rpc, "udpv4-csum:valid;", true}, {echo, "icmpv4-csum:valid;", true}, {echo6, "icmpv6-csum:valid;", true}, {echo6, "icmpv4-csum:valid;", false},
		{syn, "flow:no_frag;", true}, {syn, "flow:only_frag;", false},
		{syn, fmt.Sprintf("ttl:<%d;", syn[8]), false},
		{syn, "ip_proto:6;", true}, {syn, "ip_proto:!TCP;", false}, {echo6, "ip_proto:ipv6-icmp;", true},
		{syn, fmt.Sprintf("id:%d;", binary.BigEndian.Uint16(syn[4:])), true}, {syn, "id:4711;", false}, {echo6, "id:0;", false},
		{syn, fmt.Sprintf("tos:%d;", syn[1]), true}, {syn, fmt.Sprintf("tos:!%d;", syn[1]), false}, {echo6, "tos:0;", false},
		{echo, "sameip;", true}, {syn, "sameip;", false},
		{flags(syn, 2), "fragbits:D;", true}, {flags(syn, 2), "fragbits:M;", false}, {flags(syn, 2), "fragbits:*DM;", true},
		{flags(syn, 2), "fragbits:+DM;", false}, {flags(syn, 6), "fragbits:+D;", true}, {flags(syn, 2), "fragbits:+D;", false}, {flags(syn, 6), "fragbits:D+;", false}, {flags(syn, 2), "fragbits:D!;", true}, {flags(syn, 2), "fragbits:!M;", true}, {flags(syn, 2), "fragbits:!D;", false},
		{syn, "fragoffset:0;", true}, {syn, "fragoffset:>0;", false},
		{options, "ipopts:any;", true}, {options, "ipopts:lsrr;", false}, {syn, "ipopts:any;", false},
		{syn, "seq:7;", true}, {syn, "seq:8;", false}, {syn, "ack:9;", true}, {dns, "ack:9;", false},
		{syn, fmt.Sprintf("window:%d;", binary.BigEndian.Uint16(syn[34:])), true}, {syn, "window:1;", false}, {syn, "window:!1;", true}, {dns, "window:!1;", false},
		{syn, "tcp.mss:<1;", false}, {mss(0), "tcp.mss:<1;", true}, {mss(1), "tcp.mss:!0;", true},
		{fragment6, "fragoffset:8;", true}, {fragment6, "fragoffset:1;", false}, {echo6, "fragoffset:0;", false}, {fragment6, "fragbits:!D;", false},
		{echoCode, "icmp_id:0;", true}, {echoCode, "icmp_seq:4;", false}, {tooBigCode, "icmpv6.mtu:>0;", false}, {solicit, "icmpv6.hdr; bsize:8;", true},
		{echo, "itype:8;", true}, {echo, "itype:>8;", false}, {echo6, "itype:128;", true}, {dns, "itype:8;", false},
		{echo, "icode:0;", true}, {echo, "icode:!0;", false},
		{echo, "icmp_id:3;", true}, {echo, "icmp_id:4;", false}, {echo6, "icmp_seq:4;", true}, {echo, "icmp_seq:5;", false}, {tooBig, "icmp_id:0;", false},
		{tooBig, "icmpv6.mtu:1280;", true}, {tooBig, "icmpv6.mtu:<1280;", false}, {echo6, "icmpv6.mtu:>0;", false},
		{syn, `tcp.hdr; content:"|00 50|"; offset:2; depth:2;`, true}, {syn, `tcp.hdr; content:"|00 50|"; startswith;`, false}, {dns, `tcp.hdr; content:"|00|";`, false},
		{syn, `tcp.hdr; bsize:20; content:"|00|";`, true}, {dns, `udp.hdr; bsize:8; content:"|00 35|"; offset:2;`, true},
		{syn, `ipv4.hdr; bsize:20; content:"|45|"; startswith;`, true}, {options, `ipv4.hdr; bsize:24; content:"|94 04|";`, true}, {echo6, `ipv4.hdr; content:"|00|";`, false},
		{echo6, `ipv6.hdr; bsize:40; content:"|60|"; startswith;`, true}, {echo, `icmpv4.hdr; content:"|08 00|"; startswith;`, true}, {echo6, `icmpv6.hdr; content:"|80|"; startswith;`, true},
		{advert, `icmpv4.hdr; bsize:16; content:"|0a 00 00 07|"; offset:8;`, true}, {icmp(13), `icmpv4.hdr; bsize:20;`, true}, {icmp(17), `icmpv4.hdr; bsize:8;`, true},
		{syn, `ip.src; content:"|0a 00 00 01|"; bsize:4;`, true}, {echo6, `ip.dst; bsize:16; content:"|00 02|"; endswith;`, true},
		{syn, `tcp.hdr; to_md5; bsize:16; content:!"a";`, true},
	} {
		set := compile(t, Options{}, `alert ip any any -> any any (`+test.options+` sid:1;)`)
		p := &packet.Packet{}
		verify := strings.Contains(test.options, "-csum:")
		p.Decode(packet.LinkRaw, test.ip, packet.Options{VerifyChecksums: verify})
		if p.Invalid != packet.Valid && !verify {
			t.Fatalf("%s: the test's packet is invalid: %v", test.options, p.Invalid)
		}
		if got := len(run(set, &Input{Packet: p, First: true}).Alerts) > 0; got != test.want {
			t.Errorf("%s on % x: got %v, want %v", test.options, test.ip, got, test.want)
		}
	}
}

// TestAlertLimit: a packet has 15 alerts at most, and all that its rules decide.
func TestAlertLimit(t *testing.T) {
	var rules strings.Builder
	for i := range 20 {
		fmt.Fprintf(&rules, "alert ip any any -> any any (sid:%d;)\n", i+1)
	}
	rules.WriteString("drop ip any any -> any any (sid:99;)")
	set := compile(t, Options{Strict: true}, rules.String())
	res := run(set, &Input{Packet: decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte("x"))), First: true})
	if len(res.Alerts) != 15 || res.Action != Drop || res.Discarded() != 6 {
		t.Errorf("%d alerts, %d discarded, %v; want 15, 6 and drop", len(res.Alerts), res.Discarded(), res.Action)
	}
}

// TestNotTheseProtocols: several negated protocols hold once the protocol is known.
func TestNotTheseProtocols(t *testing.T) {
	set := compile(t, Options{}, "alert tcp any any -> any any (app-layer-protocol:!http; app-layer-protocol:!tls; bypass; sid:1;)")
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.ACK, 1, 1, nil))
	for app, want := range map[applayer.Proto]bool{applayer.HTTP: false, applayer.TLS: false, applayer.SSH: true, applayer.Failed: true, applayer.Unknown: false} {
		if res := run(set, &Input{Packet: p, Sides: [2]applayer.Proto{app}, Detected: true}); len(res.Alerts) > 0 != want || res.Bypass != want {
			t.Errorf("%v: %d alerts, bypass %v, want %v", app, len(res.Alerts), res.Bypass, want)
		}
	}
}

func TestStreamSize(t *testing.T) {
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.ACK, 1, 1, nil))
	in := Input{Packet: p, FlowID: 1, Tracked: true, StreamSize: [2]uint32{packet.ToServer: 100, packet.ToClient: 2000}}
	for size, want := range map[string]bool{
		"client,=,100": true, "server,=,100": false, "server,>,1999": true, "server,>,2000": false, "both,>,50": true, "both,>,500": false,
		"either,>,500": true, "either,<,100": false, "client,!=,100": false, "client,<=,100": true, "client,<,0": false,
	} {
		set := compile(t, Options{}, "alert tcp any any -> any any (stream_size:"+size+"; sid:1;)")
		if got := len(run(set, &in).Alerts) > 0; got != want {
			t.Errorf("%s: %v, want %v", size, got, want)
		}
		if untracked := (Input{Packet: p}); len(run(set, &untracked).Alerts) > 0 {
			t.Errorf("%s: matches without a connection", size)
		}
	}
}

func TestFlowFigures(t *testing.T) {
	p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte("x")))
	in := Input{Packet: p, FlowID: 1, FlowStart: int64(1900 * time.Millisecond), Now: int64(11100 * time.Millisecond), Packets: [2]uint64{3, 2}, Bytes: [2]uint64{300, 200}}
	for options, want := range map[string]bool{
		"flow.age:10;": true, "flow.age:>10;": false, "flow.pkts_toserver:3;": true, "flow.pkts_toclient:3;": false,
		"flow.bytes_toserver:>299;": true, "flow.bytes_toclient:>200;": false,
	} {
		if got := len(run(compile(t, Options{}, `alert ip any any -> any any (`+options+` sid:1;)`), &in).Alerts) > 0; got != want {
			t.Errorf("%s: got %v", options, got)
		}
	}
}

func TestTransformations(t *testing.T) {
	m5, s1, s256 := md5.Sum([]byte("aB")), sha1.Sum([]byte("aB")), sha256.Sum256([]byte("aB"))
	var m matcher
	for _, test := range []struct{ options, in, want string }{
		{"dotprefix;", "a", ".a"},
		{"strip_whitespace;", " a\t\r\nb ", "ab"},
		{"compress_whitespace;", "a \t b  c", "a b c"},
		{"to_lowercase;", "aB1", "ab1"},
		{"to_uppercase;", "aB1", "AB1"},
		{"to_md5;", "aB", string(m5[:])},
		{"to_sha1;", "aB", string(s1[:])},
		{"to_sha256;", "aB", string(s256[:])},
		{"url_decode;", "a%41+%4g%", "aA %4g%"},
		{"xor:\"20 00\";", "abc", "AbC"},
		{"pcrexform:\"=(.+),\";", "a=bc,", "bc"},
		{"pcrexform:\"=(.+),\";", "abc", "abc"},
		{"header_lowercase;", "Host: A\r\nX-Y: B\r\n", "host: A\r\nx-y: B\r\n"},
		{"strip_pseudo_headers;", ":path: /\r\nhost: a\r\n", "host: a\r\n"},
		{"to_uppercase; to_lowercase; dotprefix;", "aB", ".ab"},
	} {
		src := sources(t, `alert tls any any -> any any (tls.sni; `+test.options+` content:"1"; sid:1;)`)
		c := compiler{addrs: map[scoped]*addrSet{}, ports: map[scoped]portSet{}}
		r, err := c.rule(src[0])
		if err != nil {
			t.Errorf("%s: %v", test.options, err)
			continue
		}
		if got := string(m.transformed(r[0].buffers[0].transforms, []byte(test.in))); got != test.want {
			t.Errorf("%s of %q: %q, want %q", test.options, test.in, got, test.want)
		}
	}
}

// TestState runs packets of a flow one after the other and lists the rules that alert.
func TestState(t *testing.T) {
	type event struct {
		flow   uint64
		src    string
		second int
	}
	one := func(n int) (all []event) {
		for i := range n {
			all = append(all, event{1, "10.0.0.1", i})
		}
		return all
	}
	header := "alert udp any any -> any any (content:\"x\"; "
	for _, test := range []struct {
		name, rules string
		events      []event
		want        string // sids by packet
	}{
		{"a flowbit is seen by later rules of the packet", header + "flowbits:set,a; sid:1;)\n" + header + "flowbits:isset,a; sid:2;)", one(2), "1 2/1 2"},
		{"setters come first", header + "flowbits:isset,a; sid:2;)\n" + header + "flowbits:set,a; sid:1;)", one(1), "1 2"},
		{"isnotset, then set", header + "flowbits:isnotset,a; flowbits:set,a; sid:1;)", one(3), "1//"},
		{"one of several", header + "flowbits:set,b; flowbits:noalert; sid:1;)\n" + header + "flowbits:isset,a|b; sid:2;)\n" + header + "flowbits:isnotset,a|b; sid:3;)\n" + header + "flowbits:isset,c; sid:4;)", one(1), "2 3"},
		{"toggle", header + "flowbits:toggle,a; flowbits:noalert; sid:1;)\n" + header + "flowbits:isset,a; sid:2;)", one(3), "2//2"},
		{"unset", header + "flowbits:isset,a; flowbits:unset,a; sid:2;)\n" + header + "flowbits:isnotset,a; flowbits:set,a; sid:1;)", one(3), "1/2 1/2 1"},
		{"flows have their own", header + "flowbits:isnotset,a; flowbits:set,a; sid:1;)", []event{{1, "10.0.0.1", 0}, {2, "10.0.0.1", 0}, {1, "10.0.0.1", 0}}, "1/1/"},
		{"flowint adds to nothing", header + "flowint:num,+,2; sid:1;)\n" + header + "flowint:num,==,4; sid:2;)", one(3), "1/1 2/1"},
		{"flowint takes from nothing", header + "flowint:num,-,2; sid:1;)\n" + header + "flowint:num,isset; sid:2;)", one(2), "1/1"},
		{"flowint counts", header + "flowint:num,notset; flowint:num,=,1; sid:1;)\n" + header + "flowint:num,isset; flowint:num,+,1; noalert; sid:2;)\n" + header + "flowint:num,>,3; sid:3;)", one(4), "1//3/3"},
		{"xbits expire", header + "xbits:isnotset,a,track ip_src; xbits:set,a,track ip_src,expire 2; sid:1;)", one(6), "1///1//"},
		{"xbits of a host", header + "xbits:isnotset,a,track ip_src; xbits:set,a,track ip_src,expire 9; sid:1;)", []event{{1, "10.0.0.1", 0}, {2, "10.0.0.2", 0}, {3, "10.0.0.1", 0}}, "1/1/"},
		{"hostbits", header + "hostbits:isnotset,a,dst; hostbits:set,a,dst; sid:1;)", []event{{1, "10.0.0.1", 0}, {2, "10.0.0.2", 0}}, "1/"},
		{"what changes hostbits and what asks for xbits comes before what has a priority, that before what changes xbits",
			header + "xbits:set,x,track ip_src; sid:1;)\n" + header + "priority:1; sid:2;)\n" + header + "xbits:isnotset,p,track ip_pair; sid:3;)\n" +
				header + "xbits:isnotset,y,track ip_src; sid:4;)\n" + header + "hostbits:set,h; sid:5;)\n" + header + "hostbits:isset,h; sid:6;)",
			one(1), "5 4 3 2 1 6"},
		{"limit", header + "threshold:type limit,track by_src,count 2,seconds 3; sid:1;)", one(6), "1/1///1/1"},
		{"threshold", header + "threshold:type threshold,track by_dst,count 2,seconds 60; sid:1;)", one(4), "/1//1"},
		{"both", header + "threshold:type both,track by_rule,count 2,seconds 60; sid:1;)", one(4), "/1//"},
		{"by flow", header + "threshold:type limit,track by_flow,count 1,seconds 60; sid:1;)", []event{{1, "10.0.0.1", 0}, {2, "10.0.0.1", 0}, {1, "10.0.0.1", 0}}, "1/1/"},
		{"by both", header + "threshold:type limit,track by_both,count 1,seconds 60; sid:1;)", []event{{1, "10.0.0.1", 0}, {2, "10.0.0.2", 0}, {1, "10.0.0.1", 0}}, "1/1/"},
		{"detection_filter", header + "detection_filter:track by_src,count 2,seconds 60; sid:1;)", one(4), "//1/1"},
	} {
		set := compile(t, Options{}, test.rules)
		vars, hosts := NewFlowVars(100), NewHostVars(100)
		var got []string
		for _, e := range test.events {
			p := decode(t, packettest.UDP(e.src+":1000", "192.0.2.1:53", []byte("x")))
			in := Input{Packet: p, FlowID: e.flow, Now: int64(e.second) * int64(time.Second), Vars: vars, Hosts: hosts}
			got = append(got, strings.Trim(fmt.Sprint(alerts(set, run(set, &in))), "[]"))
		}
		if got := strings.Join(got, "/"); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// A rule that counts drops only when its count is reached, and silently past a limit.
func TestThresholdAndAction(t *testing.T) {
	p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte("x")))
	for rule, want := range map[string]string{
		`drop udp any any -> any any (content:"x"; threshold:type limit,track by_src,count 1,seconds 60; sid:1;)`:      "drop 1/drop 0/drop 0",
		`drop udp any any -> any any (content:"x"; detection_filter:track by_src,count 1,seconds 60; sid:1;)`:          "none 0/drop 1/drop 1",
		`pass udp any any -> any any (content:"x"; threshold:type limit,track by_src,count 1,seconds 60; sid:1;)`:      "pass 0/none 0/none 0",
		`alert udp any any -> any any (content:"x"; threshold:type limit,track by_src,count 0,seconds 60; sid:1;)`:     "none 1/none 0/none 0",
		`alert udp any any -> any any (content:"x"; threshold:type threshold,track by_src,count 0,seconds 60; sid:1;)`: "none 0/none 1/none 1",
	} {
		set, hosts := compile(t, Options{}, rule), NewHostVars(10)
		var got []string
		for range 3 {
			res := run(set, &Input{Packet: p, Vars: NewFlowVars(1), Hosts: hosts})
			got = append(got, fmt.Sprintf("%v %d", res.Action, len(res.Alerts)))
		}
		if got := strings.Join(got, "/"); got != want {
			t.Errorf("%s: %s, want %s", rule, got, want)
		}
	}
}

// Of a variable that stands for a place 32 bits count, and those of distance have a sign; digits that
// stand for more than 64 bits are no number.
func TestLargeVariables(t *testing.T) {
	for _, test := range []struct {
		payload, options string
		want             bool
	}{
		{"\xff\xff\xff\xffab", `byte_extract:4,0,n; content:"a"; content:"b"; distance:n;`, true},
		{"\xff\xff\xff\xfeba", `byte_extract:4,0,n; content:"a"; content:"b"; distance:n;`, true},
		{"\xff\xff\xff\xffab", `byte_extract:4,0,n; content:"a"; content:"b"; within:n;`, false},
		{"\x01\x00\x00\x00\x05ab", `byte_extract:5,0,n; content:"a"; offset:n;`, true},
		{"\x01\x00\x00\x00\x05ab", `byte_extract:5,0,n; content:"a"; depth:n;`, false},
		{"\x01\x00\x00\x00\x05ab", `byte_extract:5,0,n; byte_test:1,=,97,n;`, true},
		{"\x02ab", `byte_math:bytes 1, offset 0, oper >>, rvalue 65, result n; content:"a"; offset:n; depth:1;`, true},
		{"99999999999999999999", `byte_test:20,>,1,0,string,dec;`, false},
		{"09999999999999999999", `byte_test:20,>,1,0,string,dec;`, true},
	} {
		set := compile(t, Options{}, `alert udp any any -> any any (`+test.options+` sid:1;)`)
		p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte(test.payload)))
		if got := len(run(set, &Input{Packet: p, First: true}).Alerts) > 0; got != test.want {
			t.Errorf("%s on %q: got %v, want %v", test.options, test.payload, got, test.want)
		}
	}
}

// A bit keeps the time it was first set for, which ends with a second of the clock.
func TestBitsExpire(t *testing.T) {
	set := compile(t, Options{}, `alert udp any any -> any any (content:"set"; xbits:set,b,track ip_src,expire 5; sid:1;)`+"\n"+`alert udp any any -> any any (content:"is"; xbits:isset,b,track ip_src; sid:2;)`)
	hosts := NewHostVars(10)
	for _, step := range []struct {
		at      time.Duration
		payload string
		want    bool
	}{
		{700 * time.Millisecond, "set", true}, {3 * time.Second, "set", true}, {5990 * time.Millisecond, "is", true}, {6 * time.Second, "is", false},
		{7 * time.Second, "set", true}, {8 * time.Second, "is", true}, {13 * time.Second, "is", false},
	} {
		p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte(step.payload)))
		if got := len(run(set, &Input{Packet: p, Now: int64(step.at), Vars: NewFlowVars(1), Hosts: hosts}).Alerts) > 0; got != step.want {
			t.Errorf("%s after %v: %v, want %v", step.payload, step.at, got, step.want)
		}
	}
}

func TestVarsAreBounded(t *testing.T) {
	v := NewFlowVars(3)
	for flow := range uint64(5) {
		v.set(flow+1, 7, uint32(flow))
	}
	if v.Refused() != 2 || v.Len() != 3 {
		t.Errorf("%d refused, %d flows; want 2 and 3", v.Refused(), v.Len())
	}
	v.Release(2)
	v.unset(3, 7)
	v.set(9, 1, 1)
	v.set(9, 2, 2)
	v.unset(9, 1)
	if got, ok := v.get(9, 2); !ok || got != 2 || v.Refused() != 2 || len(v.all) != 3 {
		t.Errorf("after a release: %d, %v, %d refused, %d slots", got, ok, v.Refused(), len(v.all))
	}
	if _, ok := v.get(9, 1); ok {
		t.Error("an unset variable is set")
	}

	h := NewHostVars(4)
	for i := range 100 {
		p := decode(t, packettest.UDP(fmt.Sprintf("10.0.0.%d:1", i+1), "192.0.2.1:53", nil))
		if set := compile(t, Options{}, `alert udp any any -> any any (xbits:set,a,track ip_src; sid:1;)`); len(run(set, &Input{Packet: p, First: true, Vars: v, Hosts: h}).Alerts) != 1 {
			t.Fatal("no alert")
		}
	}
	if len(h.all) != 4 || h.Evicted() != 96 {
		t.Errorf("%d entries, %d evicted; want 4 and 96", len(h.all), h.Evicted())
	}
}

func TestKeywordsDoNotAllocate(t *testing.T) {
	set := compile(t, Options{}, `alert udp any any -> any any (content:"hello"; pcre:"/w(or|ar)ld/Ri"; byte_extract:1,0,n; byte_test:1,<,n,1; sid:1;)
		alert udp any any -> any any (dsize:>5; ttl:>1; udp.hdr; content:"|00 35|"; sid:2;)
		alert udp any any -> any any (content:"hello"; flowbits:set,a; threshold:type limit,track by_src,count 1,seconds 60; sid:3;)
		alert udp any any -> any any (base64_decode; base64_data; content:"a"; sid:4;)`)
	p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte("hello World")))
	in := Input{Packet: p, FlowID: 1, Vars: NewFlowVars(9), Hosts: NewHostVars(9)}
	res := &Result{}
	n := testing.AllocsPerRun(100, func() {
		res.Reset()
		set.Packet(&in, res)
		set.Decide(&in, res)
	})
	if n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	if len(res.hits) != 3 {
		t.Errorf("%d hits, want 3: the test looks at too little", len(res.hits))
	}
}
