package detect

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// randomSet writes addresses of a small world, so that sets and packets meet.
func randomSet(r *rand.Rand) string {
	one := func() string {
		switch r.IntN(7) {
		case 0:
			return "any"
		case 1:
			return fmt.Sprintf("10.0.0.%d", r.IntN(8))
		case 2:
			return fmt.Sprintf("10.0.%d.0/%d", r.IntN(4), 20+r.IntN(13))
		case 3:
			return fmt.Sprintf("2001:db8::%x/%d", r.IntN(8), 120+r.IntN(9))
		case 4:
			return fmt.Sprintf("2001:db8::%d-2001:db8::%d:0:0:ffff", r.IntN(8), 1+r.IntN(3))
		case 5:
			return fmt.Sprintf("10.0.0.%d-10.0.%d.%d", r.IntN(8), r.IntN(4), 8+r.IntN(200))
		}
		return fmt.Sprintf("[10.0.0.%d,!10.0.0.%d/31,2001:db8::%x]", r.IntN(8), r.IntN(8), r.IntN(8))
	}
	if s := one(); r.IntN(4) > 0 || s == "any" {
		return s
	}
	return "!" + one()
}

// TestHeaderIndex asks the index and every rule by itself for random rules and packets.
func TestHeaderIndex(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	ports := []string{"any", "80", "[80,443]", "!80", "1024:", "[1:50,80]", "[79:90,!80]"}
	var rules []Rule
	var index headerIndex
	for len(rules) < 400 {
		text := fmt.Sprintf("alert tcp %s any -> %s %s (sid:%d;)", randomSet(r), randomSet(r), ports[r.IntN(len(ports))], len(rules)+1)
		parsed, err := rule.Parse(text)
		if err != nil {
			continue // sets that exclude everything
		}
		set, err := Compile([]Source{{Rule: parsed, Lookup: noVariables{}}}, Options{})
		if err != nil {
			continue
		}
		index.add(uint32(len(rules)), &set.rules[0])
		rules = append(rules, set.rules[0])
	}
	if len(index.always) > len(rules)*3/4 {
		t.Errorf("%d of %d rules are always looked at", len(index.always), len(rules))
	}
	for range 3000 {
		p := packet.Packet{Proto: packet.ProtoTCP, IPVersion: 4, DstPort: []uint16{80, 443, 7, 5000}[r.IntN(4)]}
		p.Src = packet.Addr{10: 0xff, 11: 0xff, 12: 10, 14: byte(r.IntN(4)), 15: byte(r.IntN(16))}
		p.Dst = packet.Addr{10: 0xff, 11: 0xff, 12: 10, 14: byte(r.IntN(4)), 15: byte(r.IntN(16))}
		if r.IntN(2) == 0 {
			p.IPVersion = 6
			p.Src = packet.Addr{0x20, 1, 0xd, 0xb8, 15: byte(r.IntN(16))}
			p.Dst = packet.Addr{0x20, 1, 0xd, 0xb8, 11: byte(r.IntN(3)), 15: byte(r.IntN(16))}
		}
		in := Input{Packet: &p}
		var want, got []uint32
		for i := range rules {
			if rules[i].header(&in) {
				want = append(want, uint32(i))
			}
		}
		index.visit(&p, func(i uint32) {
			if rules[i].header(&in) {
				got = append(got, i)
			}
		})
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%v > %v:%d: found %v, want %v", p.Src, p.Dst, p.DstPort, got, want)
		}
	}
}

// TestPrefixes covers what random sets seldom are: the ends of the address space.
func TestPrefixes(t *testing.T) {
	for text, want := range map[string]int{
		"0.0.0.0/0": -1, "255.255.255.255": 1, "255.255.255.0-255.255.255.255": 1, "10.0.0.1-10.0.0.6": 4,
		"::/0": -1, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": 1, "fe80::/10": 1, "2001:db8::ffff-2001:db8::1:0": 2,
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": 1,
	} {
		parsed, err := rule.Parse(fmt.Sprintf("alert ip any any -> [%s] any (sid:1;)", text))
		if err != nil {
			t.Fatal(err)
		}
		set, err := Compile([]Source{{Rule: parsed, Lookup: noVariables{}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		networks, ok := set.rules[0].dst.prefixes()
		if ok != (want >= 0) || ok && len(networks) != want {
			t.Errorf("%s: %v, %v; want %d networks", text, networks, ok, want)
		}
	}
}
