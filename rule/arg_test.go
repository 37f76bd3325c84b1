package rule

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// argOf parses one option, with what it needs before it, and returns its argument.
func argOf(t *testing.T, options string) any {
	t.Helper()
	r, err := Parse("alert ip any any -> any any (" + options + " sid:1;)")
	if err != nil {
		t.Errorf("%s: %v", options, err)
		return nil
	}
	return r.Options[len(r.Options)-2].Arg
}

func TestArguments(t *testing.T) {
	uri := Place{Buffer: "http.uri"}
	for _, test := range []struct {
		options string
		want    any
	}{
		{`dsize:10;`, Numbers{From: 10, To: 10}},
		{`dsize:!10;`, Numbers{Negated: true, From: 10, To: 10}},
		{`dsize:<10;`, Numbers{To: 9}},
		{`dsize: > 10;`, Numbers{From: 11, To: math.MaxUint64}},
		{`dsize:10<>20;`, Numbers{From: 11, To: 19}},
		{`ttl:>=10;`, Numbers{From: 10, To: math.MaxUint64}},
		{`ttl:<=10;`, Numbers{To: 10}},
		{`ttl:10-12;`, Numbers{From: 11, To: 11}},
		{`tos:!x1f;`, Numbers{Negated: true, From: 31, To: 31}},
		{`ip_proto:!TCP;`, Numbers{Negated: true, From: 6, To: 6}},
		{`ip_proto:>100;`, Numbers{From: 101, To: math.MaxUint64}},
		{`fragbits:+MD;`, &FragBits{Op: '+', Bits: 3}},
		{`fragbits:!R;`, &FragBits{Op: '!', Bits: 4}},
		{`ipopts:lsrr;`, uint8(131)},
		{`seq:4294967295;`, Numbers{From: math.MaxUint32, To: math.MaxUint32}},
		{`byte_test:2,!>,0x10,-3,relative,little;`, &ByteTest{ByteValue: ByteValue{Bytes: Operand{Value: 2}, Offset: Num{Value: -3}, Relative: true, Little: true}, Negated: true, Op: ">", Value: Operand{Value: 16}}},
		{`byte_test:4,!,5,0,string,dec;`, &ByteTest{ByteValue: ByteValue{Bytes: Operand{Value: 4}, String: true, Base: 10}, Negated: true, Op: "=", Value: Operand{Value: 5}}},
		{`byte_test:1,&,128,6,bitmask 0xf0;`, &ByteTest{ByteValue: ByteValue{Bytes: Operand{Value: 1}, Offset: Num{Value: 6}, Bitmask: 0xf0}, Op: "&", Value: Operand{Value: 128}}},
		{`byte_jump:2,1,relative,multiplier 4,align,from_end,post_offset -8;`, &ByteJump{ByteValue: ByteValue{Bytes: Operand{Value: 2}, Offset: Num{Value: 1}, Relative: true}, Multiplier: 4, Align: true, From: JumpFromEnd, PostOffset: -8}},
		{`byte_extract:3,2,len,string,oct,align 4,multiplier 2;`, &ByteExtract{ByteValue: ByteValue{Bytes: Operand{Value: 3}, Offset: Num{Value: 2}, String: true, Base: 8}, Name: "len", Multiplier: 2, Align: 4}},
		{`byte_extract:1,0,a; byte_test:1,=,a,a;`, &ByteTest{ByteValue: ByteValue{Bytes: Operand{Value: 1}, Offset: Num{Var: "a"}}, Op: "=", Value: Operand{Var: "a"}}},
		{`byte_math:bytes 2,offset 4,oper <<,rvalue 3,result r,endian little;`, &ByteMath{ByteValue: ByteValue{Bytes: Operand{Value: 2}, Offset: Num{Value: 4}, Little: true}, Op: "<<", RValue: Operand{Value: 3}, Name: "r"}},
		{`isdataat:!10,relative;`, &IsDataAt{Negated: true, At: Num{Value: 10}, Relative: true}},
		{`http.uri; absent;`, &Absent{Place: uri}},
		{`http.uri; content:"a"; absent:or_else;`, &Absent{Place: uri, OrElse: true}},
		{`http.uri; content:"a"; bsize:3;`, &BufferSize{Place: uri, Size: Numbers{From: 3, To: 3}}},
		{`urilen:<5;`, &BufferSize{Place: uri, Size: Numbers{To: 4}}},
		{`urilen:5,raw;`, &BufferSize{Place: Place{Buffer: "http.uri.raw"}, Size: Numbers{From: 5, To: 5}}},
		{`base64_decode:bytes 12,offset 3,relative;`, &Base64Decode{Bytes: 12, Offset: 3, Relative: true}},
		{`base64_decode;`, &Base64Decode{}},
		{`content:"x"; pcre:!"/a\/b\;/Rsi";`, &PCRE{Negated: true, Pattern: `a\/b\;`, Flags: "is", Relative: true}},
		{`pcre:"/a/Ui";`, &PCRE{Place: uri, Pattern: "a", Flags: "i"}},
		{`pcre:"/a(b)/, flow:x, pkt:y";`, &PCRE{Pattern: "a(b)", Listed: 2, Captures: []Capture{{CaptureFlow, "x"}, {CapturePacket, "y"}}}},
		{`pcre:"/(?P<flow_user_id>a)(?P<x>b)(?P<pkt_P2>c)/i";`, &PCRE{Pattern: "(?P<flow_user_id>a)(?P<x>b)(?P<pkt_P2>c)", Flags: "i", Captures: []Capture{{CaptureFlow, "user_id"}, {CapturePacket, "P2"}}}},
		{`pcre:"/(a)(b)/i flow:key,pkt:key pkt:value";`, &PCRE{Pattern: "(a)(b)", Flags: "i", Listed: 3, Captures: []Capture{{CaptureFlow, "key"}, {Kind: CapturePair}, {}}}},
		{`flowvar:user,"a|20|b";`, &VarTest{"user", []byte("a b")}},
		{`pktvar:user,a;`, &VarTest{"user", []byte("a")}},
		{`flowbits:isset,a | b;`, &FlowBits{Op: BitIsSet, Names: []string{"a", "b"}}},
		{`flowbits:noalert;`, &FlowBits{Op: BitNoAlert}},
		{`flowint:n,+,1;`, &FlowInt{Name: "n", Op: "+", Value: Operand{Value: 1}}},
		{`flowint:n, isnotset;`, &FlowInt{Name: "n", Op: "notset"}},
		{`flowint:n,>=,m;`, &FlowInt{Name: "n", Op: ">=", Value: Operand{Var: "m"}}},
		{`xbits:set,b,track ip_pair,expire 5;`, &HostBits{Name: "b", Track: TrackBoth, Expire: 5}},
		{`hostbits:isset,b,dst;`, &HostBits{Op: BitIsSet, Name: "b", Track: TrackDst, Expire: 300}},
		{`threshold:type both, track by_dst, count 3, seconds 9;`, &Threshold{ThresholdBoth, TrackDst, 3, 9}},
		{`detection_filter:track by_src, count 3, seconds 9;`, &Threshold{ThresholdFilter, TrackSrc, 3, 9}},
		{`dsize:1kb;`, Numbers{From: 1024, To: 1024}},
		{`fragoffset:<1;`, Numbers{From: 0, To: 0}},
		{`fragoffset:<0;`, Numbers{Negated: true, To: math.MaxUint64}},
		{`tos:!"5";`, Numbers{Negated: true, From: 5, To: 5}},
		{`stream_size:either,>=,5;`, &StreamSize{"either", Numbers{From: 5, To: math.MaxUint64}}},
		{`tag:session;`, &Tag{Count: 256}},
		{`tag:host;`, &Tag{Host: true, Dst: true, Count: 256}},
		{`tag:host,5,bytes,src;`, &Tag{Host: true, Count: 5, Metric: TagBytes}},
		{`tag:host , 60 , seconds , dst;`, &Tag{Host: true, Dst: true, Count: 60, Metric: TagSeconds}},
		{`l3_proto:IP6;`, L3Proto(6)},
		{`udpv4-csum:Invalid;`, &Checksum{}},
		{`nfq_set_mark:0x10/255;`, &Mark{16, 255}},
		{`config:logging disable, type tx, scope flow;`, &Config{Flow: true}},
		{`geoip:src,!US, de;`, &GeoIP{Side: SideSrc, Negated: true, Countries: []string{"US", "DE"}}},
		{`geoip:US;`, &GeoIP{Side: SideAny, Countries: []string{"US"}}},
		{`iprep:both,CnC,>,30;`, &IPRep{SideBoth, "CnC", ">", 30}},
		{`iprep:src,CnC,isnotset;`, &IPRep{SideSrc, "CnC", "isnotset", 0}},
		{`dns.query; dataset:isset , seen , type ipv6, load a.lst, memcap 10mb, hashsize 64;`, &Dataset{Place{Buffer: "dns.query"}, SetOptions{Name: "seen", Type: SetIP, Load: "a.lst", Memcap: 10 << 20, Hashsize: 64}, BitIsSet}},
		{`dns.query; datarep:bad,<,9,type md5;`, &DataRep{Place{Buffer: "dns.query"}, SetOptions{Name: "bad", Type: SetMD5}, '<', 9}},
		{`app-layer-event:SSL.invalid_record_type;`, AppEvent("tls.invalid_record_type")},
		{`decode-event:IPv4.trunc_pkt;`, Event("decoder.ipv4.trunc_pkt")},
		{`engine-event:stream.rst_with_data;`, Event("stream.rst_with_data")},
	} {
		if diff := cmp.Diff(test.want, argOf(t, test.options)); diff != "" {
			t.Errorf("%s: %s", test.options, diff)
		}
	}
}

func TestNumbersHas(t *testing.T) {
	set := Numbers{From: 2, To: 4}
	not := Numbers{Negated: true, From: 2, To: 4}
	for n := range uint64(7) {
		in := n >= 2 && n <= 4
		if set.Has(n) != in || not.Has(n) == in {
			t.Errorf("%d: %v and %v, want %v and its opposite", n, set.Has(n), not.Has(n), in)
		}
	}
}

func TestWrongArguments(t *testing.T) {
	for _, options := range []string{
		`dsize:65536;`, `dsize:<0;`, `dsize:>=0;`, `dsize:64kb;`, `dsize:>1kb;`, `dsize:"5";`, `id:>5;`, `tcp.window:<5;`, `tcp.seq:!5;`, `fragoffset:!5;`, `priority:-1;`, `rev:0;`, `fragbits:m;`, `ipopts:qs;`,
		`stream_size:server,>;`, `stream_size:any,>,5;`, `stream_size:server,==,5;`, `stream_size:server,>,4294967296;`,
		`tag:user;`, `tag:session,5;`, `tag:session,5,flows;`, `tag:host,5,packets,any;`, `l3_proto:ipx;`, `tcpv4-csum:good;`, `nfq_set_mark:1;`, `nfq_set_mark:x/1;`,
		`dataset:set,seen,type string;`, `dns.query; dataset:toggle,seen;`, `dns.query; dataset:set,seen,type tree;`, `dns.query; dataset:set,seen,type string,state a,load b;`, `dns.query; dataset:set,two words,type string;`, `dns.query; dataset:set,seen,memcap 0;`,
		`dns.query; datarep:bad,>=,5,type string;`, `dns.query; datarep:bad,>,70000,type string;`, `dns.query; datarep:bad,>,5,type string,save a;`,
		`iprep:src,CnC,>;`, `iprep:src,CnC,isset,1;`, `iprep:src,CnC,!=,1;`, `iprep:source,CnC,>,5;`, `iprep:src,CnC,>,128;`, `geoip:src;`, `geoip:src,USA;`, `geoip:src,US,!DE;`,
		`config:logging enable,type tx,scope tx;`, `config:logging disable,type tx;`, `rpc:*;`, `rpc:1,2,3,4;`, `target:src;`, `classtype:two words;`,
		`app-layer-event:unexpected_protocol;`, `decode-event:two words;`, `dsize:10<>11;`, `dsize:9<>3;`, `dsize:x;`, `ttl:256;`, `ttl:>255;`, `tos:x100;`,
		`ip_proto:nonsense;`, `fragbits:+;`, `fragbits:+*M;`, `fragbits:Q;`, `ipopts:nonsense;`,
		`byte_test:2,>,1;`, `byte_test:9,>,1,0;`, `byte_test:2,~,1,0;`, `byte_test:2,>,len,0;`, `byte_test:2,>,1,0,nonsense;`, `byte_test:24,>,1,0,string;`,
		`byte_jump:2;`, `byte_jump:2,0,multiplier 0;`, `byte_jump:2,0,post_offset x;`, `byte_jump:2,len;`,
		`byte_extract:2,0;`, `byte_extract:2,0,12;`, `byte_extract:4,0,x,dec;`, `byte_extract:4,0,x,string,dec,little;`, `byte_extract:4,0,x,bitmask 0xf;`, `byte_test:2,>,1,0,hex;`, `byte_test:2,>,1,0,endian big;`, `byte_test:2,>,1,0,bitmask ff;`, `byte_jump:4,0,from_beginning,from_end;`, `byte_jump:4,0,align 4;`, `byte_math:bytes 1,offset 0,oper +,rvalue 1,result r,string;`, `byte_extract:2,0,x,align 3;`,
		`byte_math:bytes 2,offset 0,oper +,rvalue 1;`, `byte_math:bytes 2,offset 0,oper <,rvalue 1,result r;`,
		`isdataat:x;`, `isdataat:1,nonsense;`, `bsize:1;`, `absent;`, `http.uri; absent:else;`, `urilen:1,nonsense;`, `base64_decode:bytes 65536;`, `isdataat:1,rawbytes;`, `asn1:oversize_length;`, `requires:version >= 7,version < 9;`, `requires:version >= 7.a;`,
		`pcre:"a";`, `pcre:"/a";`, `pcre:"/a/k";`, `pcre:"/a/UM";`, `http.host; pcre:"/a/U";`, `pcre:"/a/UB";`,
		`flowint:n m,=,1;`, `flowint:n,=,a b;`, `flowbits:nonsense,a;`, `flowbits:set;`, `flowbits:set,a|b;`, `flowbits:noalert,a;`, `flowbits:isset,a||b;`,
		`flowint:n,+;`, `flowint:n,isset,1;`, `flowint:n,~,1;`, `xbits:set,a;`, `xbits:set,a,track by_src;`, `xbits:set,a,track ip_src,expire 0;`, `xbits:noalert,a,track ip_src;`,
		`hostbits:set;`, `hostbits:set,a,both;`,
		`threshold:type limit,track by_src,count 1;`, `threshold:type x,track by_src,count 1,seconds 1;`, `detection_filter:track by_src,count 0,seconds 1;`, `detection_filter:track by_rule,count 1,seconds 1;`, `threshold:type limit,track by_src,count 1,seconds 1; threshold:type limit,track by_src,count 1,seconds 1;`, `detection_filter:type limit,track by_src,count 1,seconds 1;`,
	} {
		if _, err := Parse("alert ip any any -> any any (" + options + " sid:1;)"); err == nil {
			t.Errorf("%s: accepted", options)
		}
	}
}
