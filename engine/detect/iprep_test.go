package detect

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/rule"
)

// scores has for 10.1.0.0/16 a score of 50 and for 10.2.0.0/16 one of 0, in category A.
type scores struct{}

func (scores) Category(name string) (uint8, bool) { return 7, name == "A" }

func (scores) Score(a packet.Addr, category uint8) (score uint8, ok bool) {
	switch {
	case category == 7 && a[13] == 1:
		return 50, true
	case category == 7 && a[13] == 2:
		return 0, true
	}
	return 0, false
}

func TestIPRep(t *testing.T) {
	const bad, good, unknown = "10.1.0.1:1", "10.2.0.1:1", "10.3.0.1:1"
	for _, tc := range []struct {
		arg  string
		want []string // the pairs of source and destination that match
	}{
		{"src,A,>,49", []string{bad + good, bad + unknown}},
		{"src,A,>,50", nil},
		{"src,A,>=,50", []string{bad + good, bad + unknown}},
		{"dst,A,<,50", []string{bad + good, unknown + good}},
		{"dst,A,<=,50", []string{bad + good, good + bad, unknown + good, unknown + bad}},
		{"any,A,=,50", []string{bad + good, good + bad, bad + unknown, unknown + bad}},
		{"both,A,<,51", []string{bad + good, good + bad}},
		{"both,A,>,10", nil},
		{"src,A,isset", []string{bad + good, bad + unknown, good + bad, good + unknown}},
		{"src,A,isnotset", []string{good + bad, good + unknown, unknown + bad, unknown + good}}, // 0 counts as none
		{"any,A,isnotset", []string{bad + unknown, unknown + bad, good + unknown, unknown + good}},
		{"both,A,isnotset", nil},
	} {
		for _, form := range []string{
			"alert ip any any -> any any (iprep:%; sid:1;)",               // about addresses alone
			"alert ip !192.0.2.1 any -> any any (iprep:%; sid:1;)",        // the same for each packet
			`alert udp any any -> any any (content:"x"; iprep:%; sid:1;)`, // about a packet
		} {
			set := compile(t, Options{Reputation: scores{}}, strings.Replace(form, "%", tc.arg, 1))
			for _, src := range []string{bad, good, unknown} {
				for _, dst := range []string{bad, good, unknown} {
					if src == dst {
						continue
					}
					in := Input{Packet: decode(t, packettest.UDP(src, dst, []byte("x"))), First: true}
					if got := len(run(set, &in).Alerts) > 0; got != slices.Contains(tc.want, src+dst) {
						t.Errorf("%s with %s from %s to %s: %v", form, tc.arg, src, dst, got)
					}
				}
			}
		}
	}
}

func TestIPRepNeedsLists(t *testing.T) {
	for _, tc := range []struct {
		category string
		lists    Reputation
		says     string
	}{
		{"A", scores{}, ""},
		{"A", nil, "iprep needs lists of reputation; name them with --reputation-categories and --reputation"},
		{"B", scores{}, `iprep category "B" is not in the file of categories; add it there`},
	} {
		r, err := rule.Parse("drop ip any any -> any any (iprep:src," + tc.category + ",>,1; sid:1;)")
		if err != nil {
			t.Fatal(err)
		}
		opt := Options{Reputation: tc.lists}
		_, compiled := Compile([]Source{{Rule: r, Lookup: noVariables{}}}, opt)
		for _, err := range []error{Check(r, noVariables{}, opt), compiled} {
			if (err != nil) != (tc.says != "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("category %s: %v, want %s", tc.category, err, tc.says)
			}
		}
	}
}
