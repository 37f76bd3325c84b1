package detect

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// slow is far more than any of these takes, and far less than what they would without a bound.
const slow = 10 * time.Second

// TestWorkIsBounded: patterns that backtrack without end, and contents that are found everywhere
// but for the last, stop; regular expressions that do are counted.
func TestWorkIsBounded(t *testing.T) {
	p := decode(t, packettest.TCP("10.0.0.1:1000", "192.0.2.1:80", packet.PSH|packet.ACK, 1, 1, []byte("x")))
	subject := append([]byte("bx"), bytes.Repeat([]byte("a"), 64<<10)...) // with what the last step needs, in the wrong place
	for options, counted := range map[string]bool{
		`pcre:"/(a+)+b/";`:        true,
		`pcre:"/(a|aa)+$x/";`:     true,
		`pcre:"/a(a*)*(a*)*b/i";`: true,
		`pcre:"/^(.*?,){11}P/";`:  false, // needs a comma, which is not there
		`pcre:"/(?=(a+))\1b/";`:   true,
		`content:"a"; content:"a"; distance:0; content:"a"; distance:0; content:"b"; distance:0;`:                    false,
		`content:"a"; pcre:"/a+/R"; pcre:"/a+/R"; pcre:"/a+b/R";`:                                                    true,
		`byte_extract:1,0,n; content:"a"; byte_jump:1,0,relative; content:"a"; distance:n; content:"b"; distance:n;`: false,
	} {
		set := compile(t, Options{}, "alert tcp any any -> any any ("+options+" sid:1;)")
		res := &Result{}
		begin := time.Now()
		set.Stream(&Input{Packet: p, Stream: subject}, res)
		if took := time.Since(begin); took > slow {
			t.Errorf("%s: took %v", options, took)
		}
		set.Decide(&Input{Packet: p}, res)
		if len(res.Alerts) > 0 || counted && res.GaveUp() == 0 {
			t.Errorf("%s: %d alerts, gave up %d times", options, len(res.Alerts), res.GaveUp())
		}
	}
}

// TestMillionFlowbits: variables take the memory that they were given and no more, whatever rules set,
// and those that found no room are counted.
func TestMillionFlowbits(t *testing.T) {
	const limit, bits = 1_000_000, 4
	var rules bytes.Buffer
	for i := range bits {
		fmt.Fprintf(&rules, "alert ip any any -> any any (flowbits:set,bit%d; noalert; sid:%d;)\n", i, i+1)
	}
	set := compile(t, Options{}, rules.String())
	p := decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", []byte("x")))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	vars, res := NewFlowVars(limit), &Result{}
	for flow := range limit/bits + 1000 {
		in := Input{Packet: p, First: true, FlowID: uint64(flow + 1), Vars: vars, Hosts: nil}
		res.Reset()
		set.Header(&in, res)
		set.Packet(&in, res)
		set.Decide(&in, res)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if vars.Refused() != 1000*bits || vars.Len() != limit/bits {
		t.Errorf("%d refused, %d flows; want %d and %d", vars.Refused(), vars.Len(), 1000*bits, limit/bits)
	}
	const most = 100 << 20
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > most {
		t.Errorf("a million flowbits take %d bytes, want at most %d", used, most)
	}
	for flow := range limit / bits {
		vars.Release(uint64(flow + 1))
	}
	if vars.Len() != 0 {
		t.Errorf("%d flows have variables after their end", vars.Len())
	}
}

// TestDecodingIsBounded: long text is not decoded anew behind each of many occurrences of a content.
func TestDecodingIsBounded(t *testing.T) {
	set := compile(t, Options{}, `alert udp any any -> any any (content:"a"; base64_decode:relative; base64_data; content:"zz"; pkt_data; content:"b"; within:1; sid:1;)
alert udp any any -> any any (content:"a"; base64_decode:relative; base64_data; content:"|69 a6|"; sid:2;)`)
	in := &Input{Packet: decode(t, packettest.UDP("10.0.0.1:1000", "192.0.2.1:53", bytes.Repeat([]byte("a"), 60_000)))}
	begin := time.Now()
	res := run(set, in)
	if took := time.Since(begin); took > 500*time.Millisecond { // 3,000 times it would be more than a second
		t.Errorf("took %v", took)
	}
	if got := fmt.Sprint(alerts(set, res)); got != "[2]" {
		t.Errorf("alerts %s", got)
	}
}
