package engine

import (
	"slices"
	"testing"
)

// TestAbsent: a rule can ask for a buffer that is not there.
func TestAbsent(t *testing.T) {
	rules := `alert http any any -> any any (http.user_agent; absent; sid:1;)
alert http any any -> any any (http.user_agent; absent:or_else; content:"curl"; sid:2;)
alert http any any -> any any (http.user_agent; content:"curl"; sid:3;)
alert http any any -> any any (http.method; content:"GET"; http.user_agent; absent; sid:4;)`
	for fields, want := range map[string][]uint32{
		"":                          {1, 2, 4},
		"User-Agent: curl/8\r\n":    {2, 3},
		"User-Agent: another\r\n":   nil,
		"Referer: http://curl/\r\n": {1, 2, 4},
	} {
		r := newRig(t, program(t, rules))
		c := newConn("1")
		r.open(c)
		r.accepts(fields, c.c2s(data, "GET / HTTP/1.1\r\nHost: a\r\n"+fields+"\r\n"))
		var got []uint32
		for _, a := range r.rec.alerts {
			got = append(got, a.SID)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%q: rules %v alert, want %v", fields, got, want)
		}
	}
}
