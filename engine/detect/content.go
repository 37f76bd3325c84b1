package detect

import (
	"bytes"

	"github.com/sluicefw/sluice/rule"
)

// content is a compiled content match.
type content struct {
	pattern    []byte // folded to lower case when nocase
	nocase     bool
	negated    bool
	startsWith bool
	endsWith   bool
	relative   bool // distance or within: counts from the end of the match before
	placed     bool // offset or depth: counts from the start
	offset     int
	depth      int // bytes from offset, 0 for none
	distance   int
	within     int // 0 for none
	vars       *contentVars
	replace    []byte // what takes the place of the match, nil for nothing
}

// contentVars are the variables that stand for numbers of a content, -1 where
// there is none.
type contentVars struct{ offset, depth, distance, within int }

func newContent(c *rule.Content) *content {
	out := &content{
		pattern:    c.Pattern,
		nocase:     c.Nocase,
		negated:    c.Negated,
		startsWith: c.StartsWith,
		endsWith:   c.EndsWith,
		replace:    c.Replace,
		relative:   c.Distance != nil || c.Within != nil,
	}
	if c.Nocase {
		out.pattern = bytes.ToLower(c.Pattern)
	}
	if c.Offset != nil {
		out.offset = c.Offset.Value
	}
	if c.Depth != nil {
		out.depth = c.Depth.Value
	}
	if c.Distance != nil {
		out.distance = c.Distance.Value
	}
	if c.Within != nil {
		out.within = c.Within.Value
	}
	out.placed = c.Offset != nil || c.Depth != nil || c.StartsWith
	if c.StartsWith {
		out.depth = len(c.Pattern)
	}
	return out
}

func (c *content) place() place {
	switch {
	case c.relative:
		return placeRelative
	case c.negated:
		return placeNone
	}
	return placeAbsolute
}

// match implements step: other occurrences are tried where what follows depends
// on which one it is.
func (c *content) match(m *matcher, prev int, rest []step) bool {
	if c.vars != nil {
		resolved := c.resolve(m)
		c = &resolved
	}
	from, to := c.window(m.buf, prev)
	if c.negated {
		return c.find(m.buf, from, to) < 0 && m.next(rest, prev)
	}
	again := dependent(rest)
	for {
		at := c.find(m.buf, from, to)
		if at < 0 {
			return false
		}
		if m.tries--; m.tries <= 0 {
			return false
		}
		caught := len(m.net.all)
		if c.replace != nil {
			m.net.put(at, c.replace)
		}
		if m.next(rest, at+len(c.pattern)) {
			return true
		}
		m.net.rewind(caught)
		if !again {
			return false
		}
		from = at + 1
	}
}

// resolve returns the content with the values of its variables, of which 32 bits
// count, as in Suricata: those of distance and within have a sign. A depth or
// within of 0, or below, leaves no room for any pattern.
func (c *content) resolve(m *matcher) content {
	out := *c
	unsigned := func(set *int, i int) {
		if i >= 0 {
			*set = int(min(uint32(m.vars[i]), maxValue))
		}
	}
	signed := func(set *int, i int) {
		if i >= 0 {
			*set = int(int32(m.vars[i]))
		}
	}
	unsigned(&out.offset, c.vars.offset)
	unsigned(&out.depth, c.vars.depth)
	signed(&out.distance, c.vars.distance)
	signed(&out.within, c.vars.within)
	if c.vars.depth >= 0 && out.depth == 0 || c.vars.within >= 0 && out.within <= 0 {
		out.offset, out.distance = maxValue, maxValue
	}
	return out
}

// maxValue is where a variable stops that stands for a place; no buffer is as long.
const maxValue = 1 << 30

// window returns the part of buf.data in which the content must lie.
func (c *content) window(buf buffer, prev int) (from, to int) {
	to = len(buf.data)
	if c.relative {
		from = prev + c.distance
		if c.within > 0 {
			to = min(to, from+c.within)
		}
	} else {
		from = c.offset - buf.base
		if c.depth > 0 {
			to = min(to, from+c.depth)
		}
	}
	return max(from, 0), to
}

// find returns the index of the pattern's first occurrence within
// buf.data[from:to], or -1.
func (c *content) find(buf buffer, from, to int) int {
	if c.startsWith && buf.base+from > 0 && !c.relative {
		return -1
	}
	if to-from < len(c.pattern) {
		return -1
	}
	if c.endsWith {
		at := len(buf.data) - len(c.pattern)
		if !buf.ended || at < from || to < len(buf.data) || !c.equal(buf.data[at:]) {
			return -1
		}
		return at
	}
	if c.nocase {
		if i := indexFold(buf.data[from:to], c.pattern); i >= 0 {
			return from + i
		}
		return -1
	}
	if i := bytes.Index(buf.data[from:to], c.pattern); i >= 0 {
		return from + i
	}
	return -1
}

func (c *content) equal(b []byte) bool {
	if c.nocase {
		return equalFold(b, c.pattern)
	}
	return bytes.Equal(b, c.pattern)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// equalFold compares b with a pattern in lower case of the same length.
func equalFold(b, pattern []byte) bool {
	for i, x := range pattern {
		if lower(b[i]) != x {
			return false
		}
	}
	return true
}

// indexFold finds a pattern in lower case in b, ignoring ASCII case.
func indexFold(b, pattern []byte) int {
	first := pattern[0]
	upper := first
	if 'a' <= first && first <= 'z' {
		upper = first - ('a' - 'A')
	}
	for i := 0; i+len(pattern) <= len(b); {
		rest := b[i : len(b)-len(pattern)+1]
		j := bytes.IndexByte(rest, first)
		if upper != first {
			if j >= 0 {
				rest = rest[:j]
			}
			if k := bytes.IndexByte(rest, upper); k >= 0 {
				j = k
			}
		}
		if j < 0 {
			return -1
		}
		if i += j; equalFold(b[i:i+len(pattern)], pattern) {
			return i
		}
		i++
	}
	return -1
}
