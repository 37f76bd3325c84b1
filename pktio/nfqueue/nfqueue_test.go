package nfqueue

import (
	"slices"
	"testing"
)

func TestParseQueues(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []uint16 // nil: an error
	}{
		{"0", []uint16{0}},
		{"0-3", []uint16{0, 1, 2, 3}},
		{"7, 2,9-10", []uint16{7, 2, 9, 10}},
		{"65535", []uint16{65535}},
		{"65534-65535", []uint16{65534, 65535}},
		{"0-255", slices.Collect(func(yield func(uint16) bool) {
			for n := range uint16(256) {
				if !yield(n) {
					return
				}
			}
		})},
		{"0-256", nil},
		{"0-65535,0-65535", nil},
		{"", nil},
		{"3-1", nil},
		{"1,0-2", nil},
		{"65536", nil},
		{"-1", nil},
		{"1-", nil},
		{"a", nil},
	} {
		got, err := ParseQueues(c.in)
		if c.want == nil {
			if err == nil {
				t.Errorf("ParseQueues(%q) = %v, want an error", c.in, got)
			}
			continue
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("ParseQueues(%q) = %v, %v; want %v", c.in, got, err, c.want)
		}
	}
}
