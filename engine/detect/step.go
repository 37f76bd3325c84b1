package detect

import (
	"slices"

	"github.com/sluicefw/sluice/engine/pcre"
)

// maxSteps bounds how often one rule may try its contents on one buffer. It is
// what stops a rule with many relative contents on a payload made to match all
// but the last; Suricata stops at 3,000 for the same reason.
const maxSteps = 3000

// step is one thing that a rule asks of a buffer.
type step interface {
	// match says whether the step holds, and after it those of rest. prev is
	// the index of m.buf.data just after the match before.
	match(m *matcher, prev int, rest []step) bool
	place() place
}

// place is what a step has to do with where the match before it ended.
type place uint8

const (
	placeNone     place = iota // nothing: it neither counts from there nor moves it
	placeAbsolute              // it moves it, wherever it was
	placeRelative              // it counts from there
)

// dependent says whether where the match before ended matters to the steps:
// only then can another occurrence change the outcome.
func dependent(steps []step) bool {
	for _, s := range steps {
		if p := s.place(); p != placeNone {
			return p == placeRelative
		}
	}
	return false
}

// buffer is what steps are matched on: bytes, and where they stand in the
// whole that offset and depth count from.
type buffer struct {
	data  []byte
	base  int  // offset of data[0] in the whole
	piece bool // data is a text of its own: for all but contents, places count from its start
	ended bool // data's end is the whole's end, so that endswith can be judged
}

// start is the index in data that absolute places count from, for all steps but
// contents. It may be negative.
func (b *buffer) start() int {
	if b.piece {
		return 0
	}
	return -b.base
}

// pieces says whether any step asks for an absolute place: see Input.Pieces.
func pieces(steps []step) bool {
	return slices.ContainsFunc(steps, func(s step) bool {
		switch s := s.(type) {
		case *content, *bufferSize:
			return false
		case *regex:
			return s.re.Anchored() && !s.relative
		default:
			return s.place() != placeRelative
		}
	})
}

// matcher is what matching needs beside the rule: one for each worker.
type matcher struct {
	buf   buffer
	tries int // that are left: see maxSteps
	vars  [maxVars]uint64
	regex pcre.Matcher

	scratch [2][]byte // of transformations
	decoded []byte    // of base64_decode
	gaveUp  uint64    // regular expressions that ran out of work
}

// match says whether all steps hold, in order, on buf.
func (m *matcher) match(steps []step, buf buffer) bool {
	m.buf, m.tries, m.regex.Work = buf, maxSteps, pcre.Work
	return m.next(steps, 0)
}

func (m *matcher) next(steps []step, prev int) bool {
	return len(steps) == 0 || steps[0].match(m, prev, steps[1:])
}

// streamWindow is how far apart, in bytes, the contents of a rule may be in a
// stream to be found however it is cut into segments. Suricata's figure.
const streamWindow = 2560

// reachOf returns how many bytes before its last one a match of steps may begin, at
// most streamWindow.
func reachOf(steps []step) int {
	reach := 0
	for i, s := range steps {
		c, ok := s.(*content)
		switch {
		case !ok || c.vars != nil:
			return streamWindow
		case i == 0:
			reach = len(c.pattern) - 1
		case c.negated, !c.relative, c.within == 0:
			return streamWindow
		default:
			reach += max(c.distance, -c.distance) + c.within // behind the match before, or back across it
		}
	}
	return min(reach, streamWindow)
}
