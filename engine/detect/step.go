package detect

import (
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
// whole that the offset and the depth of contents count from. Other absolute places count
// from the first of the bytes, as in Suricata.
type buffer struct {
	data  []byte
	base  int  // offset of data[0] in the whole
	ended bool // data's end is the whole's end, so that endswith can be judged
}

// matcher is what matching needs beside the rule: one for each worker.
type matcher struct {
	buf   buffer
	tries int // that are left: see maxSteps
	vars  [maxVars]uint64

	little bool // numbers of the transaction at hand are little endian
	regex  pcre.Matcher

	scratch [2][]byte // of transformations
	decoded []byte    // of base64_decode
	net     net       // what regular expressions captured
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

// StreamWindow is how much of a stream, in bytes, patterns are looked for at once: Suricata's
// figure. Where the engine is inline, these are the last that a packet completes; where it only
// looks on, as many as this are waited for.
const StreamWindow = 2560
