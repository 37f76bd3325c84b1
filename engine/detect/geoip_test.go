package detect

import (
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/rule"
)

// countries says of 10.n.0.0/16 and 2001:db8::/32 where they are.
type countries struct{}

func (countries) Country(a packet.Addr) (code [2]byte, ok bool) {
	switch {
	case a[0] == 0x20, a[12] == 10 && a[13] == 1:
		return [2]byte{'N', 'L'}, true
	case a[12] == 10 && a[13] == 2:
		return [2]byte{'U', 'S'}, true
	}
	return code, false
}

// Addresses of the tests: in NL, in US, in no country.
const nl, us, nowhere = "10.1.0.1:1", "10.2.0.1:1", "10.3.0.1:1"

func TestGeoIP(t *testing.T) {
	for _, tc := range []struct {
		arg  string
		want []string // the pairs of source and destination that match
	}{
		{"src,NL", []string{nl + us, nl + nowhere}},
		{"dst,nl", []string{us + nl, nowhere + nl}},
		{"NL", []string{nl + us, nl + nowhere, us + nl, nowhere + nl}},
		{"any,US,NL", []string{nl + us, nl + nowhere, us + nl, us + nowhere, nowhere + nl, nowhere + us}},
		{"both,US,NL", []string{nl + us, us + nl}},
		{"dst,!NL", []string{nl + us, nowhere + us}},
		{"any,!NL", []string{nl + us, us + nl, us + nowhere, nowhere + us}},
		{"both,!NL", nil},
		{"any,!JP", []string{nl + us, nl + nowhere, us + nl, us + nowhere, nowhere + nl, nowhere + us}},
	} {
		set := compile(t, Options{Countries: countries{}}, "alert ip any any -> any any (geoip:"+tc.arg+"; sid:1;)")
		for _, src := range []string{nl, us, nowhere} {
			for _, dst := range []string{nl, us, nowhere} {
				if src == dst {
					continue
				}
				in := Input{Packet: decode(t, packettest.UDP(src, dst, []byte("x"))), First: true}
				if got := len(run(set, &in).Alerts) > 0; got != slices.Contains(tc.want, src+dst) {
					t.Errorf("geoip:%s from %s to %s: %v", tc.arg, src, dst, got)
				}
			}
		}
		in := Input{Packet: decode(t, packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:1", []byte("x"))), First: true}
		if len(run(set, &in).Alerts) > 0 {
			t.Errorf("geoip:%s matches IPv6", tc.arg)
		}
	}
}

func TestGeoIPNeedsDatabase(t *testing.T) {
	r, err := rule.Parse("alert ip any any -> any any (geoip:src,NL; sid:1;)")
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(r, noVariables{}, Options{Countries: countries{}}); err != nil {
		t.Error(err)
	}
	const want = "line 1, column 30: geoip needs a database of countries; name one with --geoip-database or the key geoip_database"
	if err := Check(r, noVariables{}, Options{}); err == nil || err.Error() != want {
		t.Errorf("Check: %v, want %s", err, want)
	}
	if _, err := Compile([]Source{{Rule: r, Lookup: noVariables{}}}, Options{}); err == nil || err.Error() != want {
		t.Errorf("Compile: %v, want %s", err, want)
	}
}
