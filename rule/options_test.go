package rule

import (
	_ "embed"
	"strings"
	"testing"
)

// optionForms are keywords in many of their forms, right and wrong, one on each line.
//
//go:embed testdata/options.txt
var optionForms string

func forms() []string { return strings.Split(strings.TrimSpace(optionForms), "\n") }

// TestOptionPairs: whatever two options stand together, in rules of whatever protocol, the rule is
// read, and prints to what reads the same, or is refused with a place that is in it.
func TestOptionPairs(t *testing.T) {
	all := append(forms(), "flow:to_server", "flow:to_client", "http.uri", "tls.sni", "pkt_data", "file.data")
	for i, a := range all {
		for k, b := range all {
			proto := []string{"tcp", "http", "ip", "udp", "tls", "dns", "icmp", "smb"}[(i+k)%8]
			text := "alert " + proto + " any any -> any any (" + a + "; " + b + "; sid:1;)"
			r, err := Parse(text)
			if err == nil {
				if (i+k)%16 < 8 {
					roundTrip(t, r)
				}
				continue
			}
			e, ok := err.(*Error)
			if !ok || e.Line != 1 || e.Col < 1 || e.Col > len(text)+1 || e.Msg == "" {
				t.Fatalf("%s\ngives %+v", text, err)
			}
		}
	}
}
