package detect

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/rule"
)

// slowMatch is what contents mean, tried at every place: modifiers limit where
// a pattern may stand, relative ones count from prev, the end of the last
// positive match, and a negated content must stand nowhere that it may.
func slowMatch(cs []*rule.Content, data []byte, prev int) bool {
	if len(cs) == 0 {
		return true
	}
	c := cs[0]
	var places []int
	for at := 0; at+len(c.Pattern) <= len(data); at++ {
		end := at + len(c.Pattern)
		here := data[at:end]
		from, to := 0, len(data)
		if c.Distance != nil || c.Within != nil {
			from = prev
			if c.Distance != nil {
				from += c.Distance.Value
			}
			if c.Within != nil {
				to = from + c.Within.Value
			}
		} else {
			if c.Offset != nil {
				from = c.Offset.Value
			}
			if c.Depth != nil {
				to = from + c.Depth.Value
			}
		}
		switch {
		case at < from, end > to, c.StartsWith && at > 0, c.EndsWith && end < len(data):
		case bytes.Equal(here, c.Pattern), c.Nocase && strings.EqualFold(string(here), string(c.Pattern)):
			places = append(places, end)
		}
	}
	if c.Negated {
		return len(places) == 0 && slowMatch(cs[1:], data, prev)
	}
	for _, end := range places {
		if slowMatch(cs[1:], data, end) {
			return true
		}
	}
	return false
}

// randomContents are contents over a small alphabet, so that they match often,
// with combinations of modifiers that the language allows.
func randomContents(r *rand.Rand) []*rule.Content {
	num := func(n int) *rule.Num { return &rule.Num{Value: n} }
	cs := make([]*rule.Content, 1+r.IntN(4))
	for i := range cs {
		c := &rule.Content{Pattern: randomBytes(r, 1+r.IntN(3)), Nocase: r.IntN(3) == 0, Negated: r.IntN(4) == 0}
		switch r.IntN(6) {
		case 0:
			c.Offset = num(r.IntN(8))
		case 1:
			c.Offset, c.Depth = num(r.IntN(8)), num(len(c.Pattern)+r.IntN(8))
		case 2:
			c.StartsWith = true
		case 3, 4:
			if i > 0 {
				c.Distance = num(r.IntN(8) - 3)
				if r.IntN(2) == 0 {
					c.Within = num(len(c.Pattern) + r.IntN(6))
				}
			}
		}
		c.EndsWith = r.IntN(6) == 0
		cs[i] = c
	}
	return cs
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "aAb"[r.IntN(3)]
	}
	return b
}

func matches(steps []step, data []byte) bool {
	return new(matcher).match(steps, buffer{data: data, ended: true})
}

func compiled(cs []*rule.Content) []step {
	var out []step
	for _, c := range cs {
		out = append(out, newContent(c))
	}
	return out
}

func TestContentsAgainstSlowTwin(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	matched := 0
	for range 20000 {
		cs, data := randomContents(r), randomBytes(r, r.IntN(16))
		got, want := matches(compiled(cs), data), slowMatch(cs, data, 0)
		if got != want {
			t.Errorf("seed %d: %q: got %v, want %v", seed, data, got, want)
			for _, c := range cs {
				t.Logf("  %+v", newContent(c))
			}
			return
		}
		if got {
			matched++
		}
	}
	if matched < 2000 {
		t.Errorf("seed %d: only %d of 20000 matched: the test looks at too little", seed, matched)
	}
}

func TestStepsAreBounded(t *testing.T) {
	var cs []step
	for i := range 10 {
		c := &rule.Content{Pattern: []byte("a")}
		if i > 0 {
			c.Distance = &rule.Num{}
		}
		cs = append(cs, newContent(c))
	}
	cs = append(cs, newContent(&rule.Content{Pattern: []byte("b"), Distance: &rule.Num{}}))
	data := bytes.Repeat([]byte("a"), 64<<10)
	var m matcher
	if m.match(cs, buffer{data: data, ended: true}) {
		t.Error("matched without a b")
	}
	if m.tries > 0 {
		t.Errorf("%d tries are left: the search was not stopped by them", m.tries)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	cs := compiled([]*rule.Content{
		{Pattern: []byte("AB"), Nocase: true},
		{Pattern: []byte("b"), Distance: &rule.Num{Value: 1}, Within: &rule.Num{Value: 5}},
	})
	data := []byte("aaaaabaaaabbbbb")
	var m matcher
	if n := testing.AllocsPerRun(100, func() { m.match(cs, buffer{data: data, ended: true}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
