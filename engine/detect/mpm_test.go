package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/internal/packettest"
)

// A rule that matches must always be a candidate.
func TestPrefilterAgainstAllRules(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	word := func(most int) string {
		b := make([]byte, 1+r.IntN(most))
		for i := range b {
			b[i] = "aAbB\x00 @`"[r.IntN(8)]
		}
		return fmt.Sprintf("|% x|", b)
	}
	var text strings.Builder
	for sid := range 500 {
		fmt.Fprintf(&text, `alert udp any any -> any any (content:%s"%s"; %scontent:"%s"; sid:%d;)`+"\n", pickOne(r, "", "", "!"), word(8), pickOne(r, "", "nocase; "), word(3), sid+1)
	}
	set := compile(t, Options{}, text.String())
	if n := len(set.packetIndex[classUDP].always); n == 0 || n == 500 {
		t.Fatalf("seed %d: %d of 500 rules have no index", seed, n)
	}
	hits, candidates := 0, 0
	var seen sightings
	for range 300 {
		payload := make([]byte, 1+r.IntN(60))
		for i := range payload {
			payload[i] = "aAbB\x00 @`"[r.IntN(8)]
		}
		in := Input{Packet: decode(t, packettest.UDP("10.0.0.1:1", "192.0.2.1:2", payload))}
		found := set.packetIndex[classUDP].candidates(nil, payload, &seen)
		candidates += len(found)
		for i := range set.rules {
			if set.rules[i].packetPayload(&in, &matcher{}) {
				hits++
				if !slices.Contains(found, uint32(i)) {
					t.Fatalf("seed %d: sid %d matches %q and is no candidate", seed, set.rules[i].Meta.SID, payload)
				}
			}
		}
	}
	if hits < 1000 || candidates > 300*500*3/4 {
		t.Errorf("seed %d: %d hits, %d candidates: the test looks at too little", seed, hits, candidates)
	}
}

func TestRarest(t *testing.T) {
	for options, want := range map[string]string{
		`content:"abc";`:                              "abc",
		`content:"a";`:                                "",
		`content:!"abcd";`:                            "",
		`content:"aaaaZQ|90 91|";`:                    "aaaazq|90 91|",
		`content:"eeee"; content:"ZQXJ"; nocase;`:     "zqxj",
		`pcre:"/foo[ab]+quux/";`:                      "quux",
		`content:"abcd"; byte_jump:1,0,relative;`:     "abcd",
		`content:"ab"; pcre:"/x|yyyyyyyy/";`:          "ab",
		`pcre:!"/abcdefgh/"; content:"abc"; dsize:3;`: "abc",
	} {
		set := compile(t, Options{}, `alert udp any any -> any any (`+options+` sid:1;)`)
		got := rarest(set.rules[0].payload)
		var expect []byte
		if want != "" {
			for _, b := range compile(t, Options{}, `alert udp any any -> any any (content:"`+want+`"; sid:1;)`).rules[0].payload[0].(*content).pattern {
				expect = append(expect, fold(b))
			}
		}
		if got != string(expect) {
			t.Errorf("%s: %q; want %q", options, got, expect)
		}
	}
}

func BenchmarkPayloadRules(b *testing.B) {
	for _, bench := range []struct {
		rules     int
		prefilter bool
	}{{10, true}, {3000, true}, {3000, false}} {
		rules := bench.rules
		b.Run(fmt.Sprintf("rules=%d/prefilter=%v", rules, bench.prefilter), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			var text strings.Builder
			for sid := range rules {
				fmt.Fprintf(&text, `alert udp any any -> any any (content:"%x/%x"; nocase; sid:%d;)`+"\n", r.Uint32(), r.Uint32(), sid+1)
			}
			set := compile(b, Options{}, text.String())
			if !bench.prefilter {
				set.packetIndex[classUDP] = prefilter{always: set.packet[classUDP]}
			}
			payload := []byte(strings.Repeat("GET /index.html HTTP/1.1\r\nHost: www.example.com\r\n", 28))
			in, res := Input{Packet: decode(b, packettest.UDP("10.0.0.1:1", "192.0.2.1:2", payload))}, &Result{}
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				res.Reset()
				set.Packet(&in, res)
			}
		})
	}
}
