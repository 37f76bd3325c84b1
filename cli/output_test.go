package cli

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHumanAge(t *testing.T) {
	for s, want := range map[int64]string{0: "0s", 59: "59s", 60: "1m0s", 3599: "59m59s", 3600: "1h0m", 86399: "23h59m", 86400: "1d0h", 1e7: "115d17h"} {
		if got := humanAge(s); got != want {
			t.Errorf("%d: %s, want %s", s, got, want)
		}
	}
}

func TestHumanBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 40: "1.0 TiB", math.MaxInt64: "8.0 EiB",
	} {
		if got := humanBytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// TestTableFits checks every width: from the narrowest form on, lines never wrap.
func TestTableFits(t *testing.T) {
	s := newSession(t)
	ops := []*operation{{zone: "us-east-1a", flows: s.api.flows["us-east-1a"]}, {zone: "us-east-1b", flows: s.api.flows["us-east-1b"]}}
	for width := 44; width < 160; width++ {
		var out bytes.Buffer
		env := s.env
		env.Stdout, env.Width = &out, width
		if err := flowTable(env, flowRows(ops), true); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("width %d: line of %d: %s", width, n, line)
			}
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[2J\r\x00\u202eé\n"); got != "a?[2J???é\n" {
		t.Errorf("%q", got)
	}
}

func FuzzFilterFlags(f *testing.F) {
	f.Add("10.0.0.0/8", "::1", "443", "1:2", "tcp", "5m")
	f.Fuzz(func(t *testing.T, src, dst, sport, dport, proto, age string) {
		flags := filterFlags{src: []string{src}, dst: []string{dst}, sport: []string{sport}, dport: []string{dport}, proto: []string{proto}, minAge: age}
		s, err := flags.parse()
		if err == nil && (len(s.filters) == 0 || len(s.filters) > maxFilters) {
			t.Errorf("%d filters", len(s.filters))
		}
	})
}
