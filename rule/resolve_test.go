package rule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func mustAddrs(t testing.TB, text string) Addrs {
	t.Helper()
	a, err := ParseAddrs(text)
	if err != nil {
		t.Fatalf("ParseAddrs(%q): %v", text, err)
	}
	return a
}

func mustPorts(t testing.TB, text string) Ports {
	t.Helper()
	p, err := ParsePorts(text)
	if err != nil {
		t.Fatalf("ParsePorts(%q): %v", text, err)
	}
	return p
}

// addrVars looks variables up among expressions in text.
func addrVars(t testing.TB, vars map[string]string) func(string) (Addrs, bool) {
	return func(name string) (Addrs, bool) {
		text, ok := vars[name]
		if !ok {
			return Addrs{}, false
		}
		return mustAddrs(t, text), true
	}
}

func (s AddrSet) text() string {
	var words []string
	for _, r := range slices.Concat(s.V4, s.V6) {
		words = append(words, r.From.String()+"-"+r.To.String())
	}
	return strings.Join(words, " ")
}

const (
	all4 = "0.0.0.0-255.255.255.255"
	all6 = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
)

func TestResolveAddrs(t *testing.T) {
	vars := map[string]string{
		"HOME_NET":     "[10.0.0.0/8,192.168.0.0/16]",
		"EXTERNAL_NET": "!$HOME_NET",
		"ALL":          "any",
		"@REF":         "[172.16.0.0/12,2001:db8::/32]",
		"A":            "$B",
		"B":            "[10.0.0.1,$A]",
		"NOT_ALL":      "!$ALL",
	}
	for _, test := range []struct{ text, want, err string }{
		{text: "any", want: all4 + " " + all6},
		{text: "10.1.2.3", want: "10.1.2.3-10.1.2.3"},
		{text: "10.1.2.3/8", want: "10.0.0.0-10.255.255.255"},
		{text: "10.1.2.3/255.255.0.0", want: "10.1.0.0-10.1.255.255"},
		{text: "0.0.0.0/0", want: all4},
		{text: "2001:db8::/32", want: "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{text: "2001:db8::/127", want: "2001:db8::-2001:db8::1"},
		{text: "[10.0.0.5-10.0.0.9,10.0.0.0-10.0.0.4]", want: "10.0.0.0-10.0.0.9"},
		{text: "[10.0.0.0/8,!10.1.0.0/16]", want: "10.0.0.0-10.0.255.255 10.2.0.0-10.255.255.255"},
		{text: "[!10.1.0.0/16,10.0.0.0/8]", want: "10.0.0.0-10.0.255.255 10.2.0.0-10.255.255.255"},
		{text: "!10.0.0.0/8", want: "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255"},
		{text: "![::/1,10.0.0.0/8]", want: "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255 8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{text: "[any,!10.0.0.0/8]", want: "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255 " + all6},
		{text: "[10.0.0.0/8,!fe80::/10]", want: "10.0.0.0-10.255.255.255 ::-fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{text: "!255.255.255.255", want: "0.0.0.0-255.255.255.254"},
		{text: "!0.0.0.0", want: "0.0.0.1-255.255.255.255"},
		{text: "$HOME_NET", want: "10.0.0.0-10.255.255.255 192.168.0.0-192.168.255.255"},
		{text: "!$EXTERNAL_NET", want: "10.0.0.0-10.255.255.255 192.168.0.0-192.168.255.255"},
		{text: "[$HOME_NET,!10.0.0.0/9]", want: "10.128.0.0-10.255.255.255 192.168.0.0-192.168.255.255"},
		{text: "@REF", want: "172.16.0.0-172.31.255.255 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		// A negated list is worked out before it is taken away.
		{text: "[10.0.0.0/8,![10.1.0.0/16,!10.1.1.0/24]]", want: "10.0.0.0-10.0.255.255 10.1.1.0-10.1.1.255 10.2.0.0-10.255.255.255"},
		// A plain inner list gives its negative terms to the outer one.
		{text: "[10.0.0.0/30,[!10.0.0.0]]", want: "10.0.0.1-10.0.0.3"},
		{text: "[10.0.0.0/8,!10.0.0.0/8]", err: "matches nothing"},
		{text: "[$HOME_NET,$EXTERNAL_NET]", err: "matches nothing"},
		{text: "$NOT_ALL", err: "matches nothing"},
		{text: "!0.0.0.0/0", err: "matches nothing"},
		{text: "$NOWHERE", err: "variable $NOWHERE is not defined"},
		{text: "[10.0.0.1,!@NOWHERE]", err: "variable @NOWHERE is not defined"},
		{text: "$A", err: "variable $A is defined by itself"},
	} {
		got, err := mustAddrs(t, test.text).Resolve(addrVars(t, vars))
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.text, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
		} else if got.text() != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.text, got.text(), test.want)
		}
	}
}

// TestResolveAddrsOf: an empty set is a positive term like any other, so taking
// it away leaves all, and a list with it never becomes one of negative terms only.
func TestResolveAddrsOf(t *testing.T) {
	lookup := func(name string) (Addrs, bool) {
		switch name {
		case "@NONE":
			return AddrsOf(nil), true
		case "@SET":
			return AddrsOf([]netip.Prefix{netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("10.0.0.0/16")}), true
		case "NOT_TEN":
			return mustAddrs(t, "!10.0.0.0/8"), true
		}
		return Addrs{}, false
	}
	const notTen = "0.0.0.0-9.255.255.255 11.0.0.0-255.255.255.255"
	for text, want := range map[string]string{
		"@NONE": "", "[@NONE]": "", "[@NONE,@NONE]": "", "[@NONE,!@NONE]": "",
		"[@NONE,!10.0.0.0/8]": "", "[@NONE,$NOT_TEN]": "", "[[@NONE],!::/1]": "",
		"!@NONE": all4 + " " + all6, "![@NONE,!10.0.0.0/8]": all4 + " " + all6,
		"[10.0.0.1,@NONE]": "10.0.0.1-10.0.0.1", "[10.0.0.1,!@NONE]": "10.0.0.1-10.0.0.1",
		"@SET": "10.0.0.0-10.1.255.255", "[@SET,!10.1.0.0/16,@NONE]": "10.0.0.0-10.0.255.255", "[@SET,!10.0.0.0/8]": "",
		"[!@NONE,!10.0.0.0/8]": notTen + " " + all6,
	} {
		got, err := mustAddrs(t, text).Resolve(lookup)
		if (want == "") != errors.Is(err, ErrMatchesNothing) || want != "" && err != nil || got.text() != want {
			t.Errorf("%s: got %q, %v, want %q", text, got.text(), err, want)
		}
	}
}

func TestResolveWithoutLookup(t *testing.T) {
	if _, err := mustAddrs(t, "$X").Resolve(nil); err == nil {
		t.Error("a variable resolved without a lookup")
	}
	if _, err := (Addrs{}).Resolve(nil); err == nil {
		t.Error("an expression without terms resolved")
	}
	empty := func(string) (Addrs, bool) { return Addrs{}, true }
	if _, err := mustAddrs(t, "$X").Resolve(empty); err == nil || !strings.Contains(err.Error(), "$X is empty") {
		t.Errorf("error %v, want the empty variable named", err)
	}
}

// TestResolveDoubling uses each variable twice in the next: without memory of
// what was worked out this would take 2^60 steps.
func TestResolveDoubling(t *testing.T) {
	lookup := func(name string) (Addrs, bool) {
		if name == "V60" {
			return mustAddrs(t, "10.0.0.1"), true
		}
		var n int
		fmt.Sscanf(name, "V%d", &n)
		return mustAddrs(t, fmt.Sprintf("[$V%d,$V%d]", n+1, n+1)), true
	}
	got, err := mustAddrs(t, "$V0").Resolve(lookup)
	if err != nil || got.text() != "10.0.0.1-10.0.0.1" {
		t.Errorf("got %s, %v", got.text(), err)
	}
}

func TestResolvePorts(t *testing.T) {
	lookup := func(name string) (Ports, bool) {
		text, ok := map[string]string{"WEB": "[80,443,8080:8089]", "HIGH": "1024:", "LOOP": "!$LOOP"}[name]
		if !ok {
			return Ports{}, false
		}
		return mustPorts(t, text), true
	}
	for _, test := range []struct{ text, want, err string }{
		{text: "any", want: "[{0 65535}]"},
		{text: "80", want: "[{80 80}]"},
		{text: ":10", want: "[{0 10}]"},
		{text: "[10:]", want: "[{10 65535}]"},
		{text: "[1 : 10, 11]", want: "[{1 11}]"},
		{text: "!80", want: "[{0 79} {81 65535}]"},
		{text: "[1:80,![2,4]]", want: "[{1 1} {3 3} {5 80}]"},
		{text: "[$WEB,!$HIGH]", want: "[{80 80} {443 443}]"},
		{text: "[!65535,!0]", want: "[{1 65534}]"},
		{text: "[80,!80]", err: "matches nothing"},
		{text: "$LOOP", err: "variable $LOOP is defined by itself"},
		{text: "$NONE", err: "variable $NONE is not defined"},
	} {
		got, err := mustPorts(t, test.text).Resolve(lookup)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %q", test.text, err, test.err)
			}
			continue
		}
		if err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: got %v, %v, want %s", test.text, got, err, test.want)
		}
	}
}

// twin is an expression over a world of 17 places: numbers 0 to 15 and the
// rest. Sets are bit masks, so its evaluation needs no range arithmetic.
type twin struct {
	negated bool
	list    []twin // nil for a range
	lo, hi  int
}

const twinAll = 1<<17 - 1

func randomTwin(r *rand.Rand, depth int) twin {
	t := twin{negated: r.IntN(3) == 0, lo: r.IntN(16)}
	t.hi = min(15, t.lo+r.IntN(5))
	if depth > 0 && r.IntN(3) == 0 {
		for range 1 + r.IntN(4) {
			t.list = append(t.list, randomTwin(r, depth-1))
		}
	}
	return t
}

func (t twin) text(atom func(lo, hi int) string) string {
	s := ""
	if t.negated {
		s = "!"
	}
	if t.list == nil {
		return s + atom(t.lo, t.hi)
	}
	var words []string
	for _, inner := range t.list {
		words = append(words, inner.text(atom))
	}
	return s + "[" + strings.Join(words, ",") + "]"
}

func (t twin) eval(pos, neg *uint32) {
	var p, n uint32
	if t.list == nil {
		for i := t.lo; i <= t.hi; i++ {
			p |= 1 << i
		}
	}
	for _, inner := range t.list {
		inner.eval(&p, &n)
	}
	if t.negated {
		p, n = 0, twinResult(p, n)
	}
	*pos |= p
	*neg |= n
}

func twinResult(pos, neg uint32) uint32 {
	if pos == 0 && neg != 0 {
		pos = twinAll
	}
	return pos &^ neg
}

func TestResolveAgainstTwin(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	place := func(i int) int { return 1000 + i }
	for range 1500 {
		e := randomTwin(r, 4)
		var pos, neg uint32
		e.eval(&pos, &neg)
		want := twinResult(pos, neg)

		ports := e.text(func(lo, hi int) string { return fmt.Sprintf("%d:%d", place(lo), place(hi)) })
		ranges, _ := mustPorts(t, ports).Resolve(nil)
		addrs := e.text(func(lo, hi int) string { return fmt.Sprintf("10.0.0.%d-10.0.0.%d", lo, hi) })
		set, _ := mustAddrs(t, addrs).Resolve(nil)
		if len(set.V6) != 0 {
			t.Fatalf("%s holds IPv6 addresses", addrs)
		}
		for i := range 17 {
			in := want>>i&1 == 1
			p := uint16(place(i))
			hasPort := slices.ContainsFunc(ranges, func(r PortRange) bool { return r.From <= p && p <= r.To })
			if hasPort != in {
				t.Fatalf("%s: port %d in %v is %t, want %t", ports, p, ranges, hasPort, in)
			}
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			if set.Contains(a) != in {
				t.Fatalf("%s: %s in %s is not %t", addrs, a, set.text(), in)
			}
		}
	}
}

func TestNegated(t *testing.T) {
	lookup := addrVars(t, map[string]string{"PLAIN": "10.0.0.1", "NOT": "!$PLAIN", "DEEP": "[1.1.1.1,$NOT]", "SELF": "[$SELF]"})
	for text, want := range map[string]bool{
		"any": false, "10.0.0.1": false, "!10.0.0.1": true, "[1.1.1.1,[2.2.2.2,!3.3.3.3]]": true,
		"$PLAIN": false, "!$PLAIN": true, "$NOT": true, "$DEEP": true, "$SELF": false, "$NONE": false,
	} {
		if got := mustAddrs(t, text).Negated(lookup); got != want {
			t.Errorf("%s: %t, want %t", text, got, want)
		}
	}
	if mustAddrs(t, "$NOT").Negated(nil) {
		t.Error("$NOT is negated without a lookup")
	}
}
