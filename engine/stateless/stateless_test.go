package stateless

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

func decode(t testing.TB, ip []byte) *packet.Packet {
	var p packet.Packet
	p.Decode(packet.LinkRaw, ip, packet.Options{})
	if p.Invalid != packet.Valid {
		t.Fatalf("the test's packet is invalid: %v", p.Invalid)
	}
	return &p
}

func TestFragments(t *testing.T) {
	udp := packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:53", make([]byte, 100)), 80)
	tcp := packettest.Fragments(packettest.TCP("10.0.0.1:1", "10.0.0.2:53", packet.SYN, 1, 0, make([]byte, 100)), 80)
	rule := func(ports ...PortRange) []Rule {
		return []Rule{{DstPorts: ports, Decision: Decision{Action: Forward}}}
	}
	for _, c := range []struct {
		name  string
		rules []Rule
		ip    []byte
		want  Action
	}{
		{"UDP, no rule", nil, udp[0], Pass},
		{"later UDP, no rule", nil, udp[1], Pass},
		{"TCP, no rule", nil, tcp[0], Drop},
		{"later TCP, no rule", nil, tcp[1], Drop},
		{"first UDP, rule with ports", rule(PortRange{53, 53}), udp[0], Forward},
		{"later UDP, rule with ports", rule(PortRange{0, 65535}), udp[1], Pass},
		{"later TCP, rule without ports", rule(), tcp[1], Forward},
	} {
		got := New(c.rules, Decision{Action: Forward}, Decision{Action: Pass}).Match(decode(t, c.ip))
		if got.Action != c.want {
			t.Errorf("%s: %v, want %v", c.name, got.Action, c.want)
		}
	}
}

// twin is Match written down from its description.
func twin(rules []Rule, deflt Decision, p *packet.Packet) Decision {
	in := func(prefixes []netip.Prefix, a packet.Addr) bool {
		return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(x netip.Prefix) bool { return x.Contains(a.Netip()) })
	}
	port := func(ranges []PortRange, port uint16) bool {
		hasPorts := p.Proto == packet.ProtoTCP || p.Proto == packet.ProtoUDP
		return len(ranges) == 0 || hasPorts && slices.ContainsFunc(ranges, func(r PortRange) bool { return r.From <= port && port <= r.To })
	}
	for _, r := range rules {
		flags := len(r.Flags) == 0 || p.Proto == packet.ProtoTCP &&
			slices.ContainsFunc(r.Flags, func(f FlagMatch) bool { return p.TCP.Flags&f.Mask == f.Flags })
		if in(r.Src, p.Src) && in(r.Dst, p.Dst) && port(r.SrcPorts, p.SrcPort) && port(r.DstPorts, p.DstPort) &&
			(len(r.Protos) == 0 || slices.Contains(r.Protos, p.Proto)) && flags {
			return r.Decision
		}
	}
	return deflt
}

// TestTwin compares random rules on random packets with the twin.
func TestTwin(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("SLUICE_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("SLUICE_SEED=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	v4 := func() string { return fmt.Sprintf("10.0.%d.%d", r.IntN(2), r.IntN(4)) }
	v6 := func() string { return fmt.Sprintf("2001:db8::%x", r.IntN(4)) }
	some := func(n int, f func() netip.Prefix) (out []netip.Prefix) {
		for range r.IntN(n) {
			out = append(out, f())
		}
		return out
	}
	prefix := func() netip.Prefix {
		if r.IntN(3) == 0 {
			return netip.PrefixFrom(netip.MustParseAddr(v6()), 120+r.IntN(9))
		}
		return netip.PrefixFrom(netip.MustParseAddr(v4()), []int{0, 8, 23, 24, 31, 32}[r.IntN(6)])
	}
	ports := func() (out []PortRange) {
		for range r.IntN(3) {
			from := uint16(r.IntN(5))
			out = append(out, PortRange{from, from + uint16(r.IntN(3))})
		}
		return out
	}
	hits := 0
	for range 300 {
		var rules []Rule
		for i := range r.IntN(20) {
			rule := Rule{Src: some(3, prefix), Dst: some(3, prefix), SrcPorts: ports(), DstPorts: ports(), Decision: Decision{Action: Action(r.IntN(3)), Custom: []uint16{uint16(i)}}}
			rule.Protos = [][]uint8{nil, {6}, {17}, {6, 17}, {1, 58}}[r.IntN(5)]
			if r.IntN(4) == 0 {
				rule.Flags = []FlagMatch{{packet.SYN, packet.SYN | packet.ACK}}
			}
			rules = append(rules, rule)
		}
		deflt := Decision{Action: Forward}
		table := New(rules, deflt, Decision{Action: Pass})
		for range 50 {
			src, dst := v4(), v4()
			brackets := "%s:%d"
			if r.IntN(3) == 0 {
				src, dst, brackets = v6(), v6(), "[%s]:%d"
			}
			s, d := fmt.Sprintf(brackets, src, r.IntN(6)), fmt.Sprintf(brackets, dst, r.IntN(6))
			var ip []byte
			switch r.IntN(3) {
			case 0:
				ip = packettest.TCP(s, d, uint8(r.IntN(32)), 1, 1, nil)
			case 1:
				ip = packettest.UDP(s, d, nil)
			default:
				ip = packettest.ICMPEcho(src, dst, false, 1, 1, nil)
			}
			p := decode(t, ip)
			got, want := table.Match(p), twin(rules, deflt, p)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%v -> %v proto %d flags %x: %+v, want %+v of %+v", s, d, p.Proto, p.TCP.Flags, got, want, rules)
			}
			if got.Custom != nil {
				hits++
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d packets matched a rule: the test looks at too little", hits)
	}
}

func TestNoAllocs(t *testing.T) {
	table := New([]Rule{{Src: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, DstPorts: []PortRange{{1, 1}}}}, Decision{}, Decision{})
	p := decode(t, packettest.UDP("10.0.0.1:1", "10.0.0.2:53", nil))
	if n := testing.AllocsPerRun(100, func() { table.Match(p) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}
