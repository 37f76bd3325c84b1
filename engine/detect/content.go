package detect

import (
	"bytes"

	"github.com/sluicefw/sluice/rule"
)

// maxSteps bounds how often one rule may try its contents on one buffer. It is
// what stops a rule with many relative contents on a payload made to match all
// but the last; Suricata stops at 3,000 for the same reason.
const maxSteps = 3000

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
}

func newContent(c *rule.Content) content {
	out := content{
		pattern:    c.Pattern,
		nocase:     c.Nocase,
		negated:    c.Negated,
		startsWith: c.StartsWith,
		endsWith:   c.EndsWith,
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

// reachOf returns how many bytes before its last one a match of cs may begin, at
// most streamWindow.
func reachOf(cs []content) int {
	reach := len(cs[0].pattern) - 1
	for i := range cs {
		c := &cs[i]
		switch {
		case i == 0:
		case c.negated, !c.relative, c.within == 0:
			return streamWindow
		default:
			reach += max(c.distance, 0) + c.within
		}
	}
	return min(reach, streamWindow)
}

// buffer is what contents are matched on: bytes, and where they stand in the
// whole that offset and depth count from.
type buffer struct {
	data  []byte
	base  int  // offset of data[0] in the whole
	ended bool // data's end is the whole's end, so that endswith can be judged
}

// match says whether all contents match, in order, on buf.
func match(cs []content, buf buffer) bool {
	steps := maxSteps
	return matchFrom(cs, buf, 0, &steps)
}

// matchFrom matches cs, the first of which may be relative to prev, an index of
// buf.data just after the match before.
func matchFrom(cs []content, buf buffer, prev int, steps *int) bool {
	if len(cs) == 0 {
		return true
	}
	c := &cs[0]
	from, to := c.window(buf, prev)
	if c.negated {
		return c.find(buf, from, to) < 0 && matchFrom(cs[1:], buf, prev, steps)
	}
	again := dependent(cs[1:])
	for {
		at := c.find(buf, from, to)
		if at < 0 {
			return false
		}
		if *steps--; *steps <= 0 {
			return false
		}
		if matchFrom(cs[1:], buf, at+len(c.pattern), steps) {
			return true
		}
		if !again {
			return false
		}
		from = at + 1
	}
}

// dependent says whether where the match before ended matters to cs: only then
// can another occurrence change the outcome. Negated contents have no end of
// their own, so what follows them counts from the same place.
func dependent(cs []content) bool {
	for i := range cs {
		if cs[i].relative || !cs[i].negated {
			return cs[i].relative
		}
	}
	return false
}

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
