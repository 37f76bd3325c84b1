package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/rule"
)

// largeSet writes n rules of the kinds that public sets are made of, each with texts of its own.
func largeSet(n int) []byte {
	r := rand.New(rand.NewPCG(30_000, 1))
	word := func() string { return pickWord(r.IntN(len(vocabulary))) }
	var b bytes.Buffer
	for i := range n {
		text := fmt.Sprintf("%s%x/%s%d", word(), r.IntN(1e6), word(), r.IntN(1e5))
		var head, options string
		switch i % 6 {
		case 0:
			head = "http $HOME_NET any -> $EXTERNAL_NET any"
			options = fmt.Sprintf(`flow:established,to_server; http.uri; content:"/%s.php"; nocase; http.method; content:"GET"; http.user_agent; content:"%s";`, text, word())
		case 1:
			head = "tls $HOME_NET any -> $EXTERNAL_NET any"
			options = fmt.Sprintf(`flow:established,to_server; tls.sni; dotprefix; content:".%s-%d.example"; endswith; nocase;`, word(), i)
		case 2:
			head = "dns $HOME_NET any -> any any"
			options = fmt.Sprintf(`dns.query; content:"%s%d.example"; nocase; endswith;`, word(), i)
		case 3:
			head = "tcp $EXTERNAL_NET 80 -> $HOME_NET any"
			options = fmt.Sprintf(`flow:established,to_client; content:"|0d 0a|%s"; content:"%s"; distance:4; within:40; pcre:"/%s[0-9a-f]{4,12}=%d/i";`, text, word(), word(), r.IntN(1000))
		case 4:
			head = "udp any any -> $HOME_NET [53,123,161]"
			options = fmt.Sprintf(`flow:to_server; content:"|%02x %02x 00 %02x %02x|"; depth:12; dsize:>40; byte_test:2,>,%d,2,relative;`, r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(9000))
		case 5:
			head = fmt.Sprintf("ip [198.%d.%d.0/24,203.%d.%d.%d] any -> $HOME_NET any", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
		}
		fmt.Fprintf(&b, "alert %s (msg:\"rule %d\"; %s classtype:trojan-activity; metadata:created_at 2026_01_01; reference:url,example.com/%d; sid:%d; rev:2;)\n", head, i, options, i, i+1)
	}
	return b.Bytes()
}

type homeNet struct{}

func (homeNet) Addrs(name string) (rule.Addrs, bool) {
	text := map[string]string{"HOME_NET": "[10.0.0.0/8,192.168.0.0/16]", "EXTERNAL_NET": "!$HOME_NET"}[name]
	addrs, err := rule.ParseAddrs(text)
	return addrs, err == nil
}
func (homeNet) Ports(string) (rule.Ports, bool) { return rule.Ports{}, false }

// compile measures what 30,000 rules take to become a program.
func compile() error {
	const n = 30_000
	text := string(largeSet(n))
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, begin := heap(), time.Now()
	parsed, wrong := rule.ParseFile(text)
	if len(wrong) > 0 {
		return wrong[0]
	}
	sources := make([]detect.Source, len(parsed))
	for i, r := range parsed {
		sources[i] = detect.Source{Rule: r, Lookup: homeNet{}}
	}
	set, err := detect.Compile(sources, detect.Options{})
	if err != nil {
		return err
	}
	took := time.Since(begin)
	fmt.Printf("%d rules are parsed and compiled in %.2f s (5 s expected) and hold %d MB with their text (500 MB expected)\n", len(set.Rules()), took.Seconds(), (heap()-before)>>20)
	runtime.KeepAlive(parsed)
	return nil
}
