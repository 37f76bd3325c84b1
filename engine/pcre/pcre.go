// Package pcre matches Perl-compatible regular expressions on bytes, by
// backtracking, with a bound on the work: no pattern and no input can hold a
// worker up.
//
// It has what rules use: classes, greedy, lazy and possessive quantifiers,
// groups with and without numbers and names, alternatives, atomic groups,
// lookaround, back-references, conditions, recursion and inline flags. Letters
// mean ASCII, and properties those of the first 256 code points, as in PCRE2
// without UTF. It refuses callouts, \X and backtracking verbs but (*FAIL).
package pcre

import (
	"bytes"
	"fmt"
)

// Work is how many steps Match takes on one text before it gives up, about a
// millisecond. Suricata gives up after 3,500 calls of PCRE's inner match; those
// are larger steps, and compiled patterns hardly count them.
const Work = 100_000

// maxFrames bounds the choices that wait to be tried again.
const maxFrames = 1 << 15

// Regexp is a compiled pattern. Workers share it.
type Regexp struct {
	code     []inst
	groups   int
	slots    int
	anchored bool   // a match begins where the search does
	atStart  bool   // a match begins at the start of the text
	first    *set   // the bytes that a match can begin with; nil when it can be empty
	prefix   []byte // that a match begins with
	must     []byte // that a match holds somewhere
	mustFold bool   // must is in lower case and stands for either
	least    int    // bytes of the shortest match
}

// Compile compiles a pattern. flags are Suricata's letters i m s x A E G, and n: groups without a
// name capture nothing.
func Compile(pattern, flags string) (re *Regexp, err error) {
	defer func() {
		if f, ok := recover().(failure); ok {
			re, err = nil, fmt.Errorf("pcre: %s", f.msg)
		}
	}()
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("pcre: the pattern is longer than %d bytes", maxPattern)
	}
	p := parser{text: pattern, names: map[string]int{}, named: map[*node]string{}}
	anchored := false
	for _, f := range flags {
		switch f {
		case 'i':
			p.opt.fold = true
		case 'm':
			p.opt.multiline = true
		case 's':
			p.opt.dotAll = true
		case 'x':
			p.opt.extended = true
		case 'A':
			anchored = true
		case 'E':
			p.opt.dollarEnd = true
		case 'G':
			p.opt.ungreedy = true
		case 'n':
			p.namesOnly = true
		default:
			return nil, fmt.Errorf("pcre: unknown flag %q", f)
		}
	}
	root := p.alternatives()
	if p.more() {
		p.fail("a parenthesis closes nothing")
	}
	p.resolve()
	c := compiler{groups: p.groups, slots: 3*p.groups + 2, called: p.called, starts: map[int]int{}}
	c.node(root)
	c.emit(inst{op: opMatch})
	c.link()
	re = &Regexp{code: c.code, groups: p.groups, slots: c.slots, anchored: anchored, atStart: root.startsAtText()}
	re.least, _ = root.width()
	re.literals(root)
	var first set
	if !root.first(&first) && first != allBytes {
		re.first = &first
	}
	return re, nil
}

// literals finds the bytes that a match begins with, and the longest that it holds.
func (re *Regexp) literals(root *node) {
	var run []byte
	runFold, atStart := false, true
	end := func() {
		if atStart && !runFold {
			re.prefix = bytes.Clone(run)
		}
		if len(run) > len(re.must) {
			re.must, re.mustFold = bytes.Clone(run), runFold
		}
		run, atStart = run[:0], false
	}
	root.literals(func(b byte, fold, gap bool) {
		isLetter := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
		switch {
		case gap:
			end()
			return
		case len(run) == 0:
			runFold = fold
		case fold != runFold && (fold || isLetter):
			end()
			runFold = fold
		}
		run = append(run, b)
	})
	end()
}

// Groups returns the number of capturing groups.
func (re *Regexp) Groups() int { return re.groups }

// Least returns the number of bytes of the shortest match, or fewer.
func (re *Regexp) Least() int { return re.least }

// Literal returns bytes that every match holds, in lower case and for either
// case if fold. It may be empty.
func (re *Regexp) Literal() (bytes []byte, fold bool) { return re.must, re.mustFold }

// Anchored says whether every match begins at the start of the text.
func (re *Regexp) Anchored() bool { return re.atStart || re.anchored }
