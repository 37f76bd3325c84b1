package pcre

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits on patterns.
const (
	maxPattern = 16 << 10 // bytes
	maxNesting = 100      // parentheses in each other
	maxRepeat  = 65535    // count in braces, as in PCRE
	maxGroups  = 200
)

// options are the flags in force at a place of the pattern.
type options struct {
	fold, multiline, dotAll, extended, dollarEnd, ungreedy bool
}

// parser reads a pattern from left to right.
type parser struct {
	text   string
	i      int
	opt    options
	groups int
	names  map[string]int
	depth  int
	looks  int              // lookarounds around this place
	refs   []*node          // that mean a group by number, checked at the end
	named  map[*node]string // that mean a group by name, which may come later
	called map[int]bool     // groups that are called

	namesOnly bool // the flag n
}

// failure is carried by panic from the depths of the parser to Compile.
type failure struct{ msg string }

func (p *parser) fail(format string, args ...any) {
	panic(failure{fmt.Sprintf("at byte %d: ", p.i) + fmt.Sprintf(format, args...)})
}

func (p *parser) more() bool { return p.i < len(p.text) }

func (p *parser) take(s string) bool {
	if strings.HasPrefix(p.text[p.i:], s) {
		p.i += len(s)
		return true
	}
	return false
}

// alternatives reads up to the end of the pattern or a closing parenthesis.
// Flags set inside hold to its end.
func (p *parser) alternatives() *node {
	if p.depth++; p.depth > maxNesting {
		p.fail("parentheses nest deeper than %d", maxNesting)
	}
	saved := p.opt
	alt := &node{kind: kindAlt, subs: []*node{p.sequence()}}
	for p.take("|") {
		alt.subs = append(alt.subs, p.sequence())
	}
	p.opt = saved
	p.depth--
	if len(alt.subs) == 1 {
		return alt.subs[0]
	}
	return alt
}

func (p *parser) sequence() *node {
	cat := &node{kind: kindCat}
	for p.more() && p.text[p.i] != '|' && p.text[p.i] != ')' {
		if p.opt.extended && p.skipComment() {
			continue
		}
		if p.take(`\Q`) {
			quoted, rest, _ := strings.Cut(p.text[p.i:], `\E`)
			for j := range len(quoted) {
				cat.subs = append(cat.subs, p.one(quoted[j]))
			}
			p.i = len(p.text) - len(rest)
		} else if p.take(`\E`) {
			continue
		} else if n := p.atom(); n != nil {
			cat.subs = append(cat.subs, n)
		} else {
			continue
		}
		if last := len(cat.subs) - 1; last >= 0 {
			cat.subs[last] = p.quantified(cat.subs[last])
		}
	}
	return cat
}

// skipComment skips white space and comments under the flag x.
func (p *parser) skipComment() bool {
	switch c := p.text[p.i]; {
	case spaces.has(c):
		p.i++
	case c == '#':
		for p.more() && p.text[p.i] != '\n' {
			p.i++
		}
	default:
		return false
	}
	return true
}

// one is the node of a literal byte.
func (p *parser) one(b byte) *node { return p.class(setOf(string([]byte{b}))) }

// class is the node of a set, in both cases under the flag i.
func (p *parser) class(s set) *node {
	if p.opt.fold {
		s = s.folded()
	}
	return &node{kind: kindSet, set: s}
}

func (p *parser) assertion(a assertion) *node { return &node{kind: kindAssert, assert: a} }

// atom reads one part without its quantifier; nil for what stands for nothing.
func (p *parser) atom() *node {
	c := p.text[p.i]
	switch c {
	case '(':
		return p.group()
	case '[':
		p.i++
		return p.bracket()
	case '\\':
		p.i++
		return p.escape()
	case '*', '+', '?':
		p.fail("nothing to repeat before %c", c)
	}
	p.i++
	switch c {
	case '.':
		if p.opt.dotAll {
			return p.class(allBytes)
		}
		return p.class(newline.not())
	case '^':
		if p.opt.multiline {
			return p.assertion(lineStart)
		}
		return p.assertion(textStart)
	case '$':
		switch {
		case p.opt.multiline:
			return p.assertion(lineEnd)
		case p.opt.dollarEnd:
			return p.assertion(textEnd)
		}
		return p.assertion(textEndOrNL)
	}
	return p.one(c)
}

// quantified reads the quantifiers after n, if there are any.
func (p *parser) quantified(n *node) *node {
	for p.opt.extended && p.more() && p.skipComment() {
	}
	if !p.more() {
		return n
	}
	least, most := 0, -1
	switch p.text[p.i] {
	case '*':
		p.i++
	case '+':
		p.i++
		least = 1
	case '?':
		p.i++
		most = 1
	case '{':
		var ok bool
		if least, most, ok = p.braces(); !ok {
			return n
		}
	default:
		return n
	}
	if n.kind == kindAssert || n.kind == kindLook {
		least, most = min(least, 1), 1 // once says all
	}
	if n.kind == kindRepeat && n.subs[0].kind == kindRepeat {
		p.fail("more than two quantifiers follow each other")
	}
	r := &node{kind: kindRepeat, subs: []*node{n}, min: least, max: most}
	if p.opt.ungreedy {
		r.mode = lazy
	}
	switch {
	case p.take("+"):
		r.mode = possessive
	case p.take("?"):
		r.mode = lazy - r.mode
	}
	return p.quantified(r)
}

// braces reads {n}, {n,} or {n,m}; anything else is literal.
func (p *parser) braces() (least, most int, ok bool) {
	end := strings.IndexByte(p.text[p.i:], '}')
	if end < 0 {
		return 0, 0, false
	}
	from, to, isRange := strings.Cut(p.text[p.i+1:p.i+end], ",")
	least, ok = count(from)
	if !ok {
		return 0, 0, false
	}
	switch {
	case !isRange:
		most = least
	case to == "":
		most = -1
	default:
		if most, ok = count(to); !ok {
			return 0, 0, false
		}
	}
	if least > maxRepeat || most > maxRepeat {
		p.fail("a repeat count is larger than %d", maxRepeat)
	}
	if most >= 0 && least > most {
		p.fail("a repeat count runs backwards")
	}
	p.i += end + 1
	return least, most, true
}

func count(text string) (int, bool) {
	for i := range len(text) {
		if !digits.has(text[i]) {
			return 0, false
		}
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// group reads what begins with a parenthesis.
func (p *parser) group() *node {
	p.i++
	if p.take("*FAIL)") || p.take("*F)") {
		return &node{kind: kindSet} // of no byte
	}
	if p.take("*") {
		p.fail("backtracking verbs are not supported")
	}
	if !p.take("?") {
		if p.namesOnly {
			return &node{kind: kindGroup, subs: []*node{p.body()}}
		}
		return p.capture("")
	}
	switch {
	case p.take("#"):
		end := strings.IndexByte(p.text[p.i:], ')')
		if end < 0 {
			p.fail("a comment is not closed")
		}
		p.i += end + 1
		return nil
	case p.take(":"):
		return &node{kind: kindGroup, subs: []*node{p.body()}}
	case p.take(">"):
		return &node{kind: kindAtomic, subs: []*node{p.body()}}
	case p.take("="):
		return p.look(&node{kind: kindLook})
	case p.take("!"):
		return p.look(&node{kind: kindLook, negated: true})
	case p.take("<="):
		return p.lookbehind(false)
	case p.take("<!"):
		return p.lookbehind(true)
	case p.take("P<"), p.take("<"):
		return p.capture(p.name('>'))
	case p.take("'"):
		return p.capture(p.name('\''))
	case p.take("P="):
		return p.reference(p.name(')'))
	case p.take("|"):
		return p.sameNumbers()
	case p.take("("):
		return p.condition()
	case p.take("R)"):
		return p.call(0)
	case p.take("&"), p.take("P>"):
		return p.callNamed(p.name(')'))
	}
	if n, ok := p.number(')'); ok {
		return p.call(n)
	}
	return p.flags()
}

// sameNumbers reads alternatives whose groups count from the same number each.
func (p *parser) sameNumbers() *node {
	if p.depth++; p.depth > maxNesting {
		p.fail("parentheses nest deeper than %d", maxNesting)
	}
	saved, first, most := p.opt, p.groups, 0
	alt := &node{kind: kindAlt}
	for {
		p.groups = first
		alt.subs = append(alt.subs, p.sequence())
		most = max(most, p.groups)
		if !p.take("|") {
			break
		}
	}
	p.opt, p.groups = saved, most
	p.depth--
	if !p.take(")") {
		p.fail("a parenthesis is not closed")
	}
	return &node{kind: kindGroup, subs: []*node{alt}}
}

// number reads the number of a group, which + and - count from here, up to end.
func (p *parser) number(end byte) (n int, ok bool) {
	stop := strings.IndexByte(p.text[p.i:], end)
	if stop < 0 {
		return 0, false
	}
	text := p.text[p.i : p.i+stop]
	n, ok = count(strings.TrimLeft(text, "+-"))
	switch sign := len(text) - len(strings.TrimLeft(text, "+-")); {
	case !ok || sign > 1:
		return 0, false
	case n > maxGroups:
		p.fail("there is no group %d", n)
	case sign == 1 && n == 0:
		p.fail("a group cannot be counted by 0 from here")
	case sign == 1 && text[0] == '+':
		n += p.groups
	case sign == 1:
		if n = p.groups + 1 - n; n <= 0 {
			p.fail("there are not so many groups before")
		}
	}
	p.i += stop + 1
	return n, true
}

func (p *parser) body() *node {
	n := p.alternatives()
	if !p.take(")") {
		p.fail("a parenthesis is not closed")
	}
	return n
}

func (p *parser) capture(name string) *node {
	if p.groups++; p.groups > maxGroups {
		p.fail("more than %d groups", maxGroups)
	}
	n := &node{kind: kindGroup, index: p.groups}
	if name != "" {
		if other, twice := p.names[name]; twice && other != p.groups {
			p.fail("two groups are named %q", name)
		}
		p.names[name] = p.groups
	}
	n.subs = []*node{p.body()}
	return n
}

func (p *parser) name(end byte) string {
	n := strings.IndexByte(p.text[p.i:], end)
	if n <= 0 || n > 32 {
		p.fail("a group's name is missing or too long")
	}
	name := p.text[p.i : p.i+n]
	for i := range n {
		if !words.has(name[i]) || i == 0 && digits.has(name[i]) {
			p.fail("%q cannot name a group", name)
		}
	}
	p.i += n + 1
	return name
}

// look reads the body of a lookaround.
func (p *parser) look(n *node) *node {
	p.looks++
	n.subs = []*node{p.body()}
	p.looks--
	return n
}

// lookbehind needs alternatives of fixed width.
func (p *parser) lookbehind(negated bool) *node {
	n := p.look(&node{kind: kindLook, behind: true, negated: negated})
	for _, s := range n.branches() {
		if least, most := s.width(); least != most || least >= huge {
			p.fail("an alternative of a lookbehind has no fixed width")
		}
	}
	return n
}

// branches returns the alternatives of a lookaround.
func (n *node) branches() []*node {
	if s := n.subs[0]; s.kind == kindAlt {
		return s.subs
	}
	return n.subs
}

// flags reads (?i) and (?i:...).
func (p *parser) flags() *node {
	opt, on := p.opt, true
	for ; p.more(); p.i++ {
		switch c := p.text[p.i]; c {
		case '-':
			on = false
		case '^':
			opt.fold, opt.multiline, opt.dotAll, opt.extended = false, false, false, false
		case 'i':
			opt.fold = on
		case 'm':
			opt.multiline = on
		case 's':
			opt.dotAll = on
		case 'x':
			opt.extended = on
		case 'U':
			opt.ungreedy = on
		case ')':
			p.i++
			p.opt = opt
			return nil
		case ':':
			p.i++
			saved := p.opt
			p.opt = opt
			n := &node{kind: kindGroup, subs: []*node{p.body()}}
			p.opt = saved
			return n
		default:
			p.fail("a group that begins with (?%c is not supported", c)
		}
	}
	p.fail("a parenthesis is not closed")
	return nil
}

// reference is a back-reference to a named group.
func (p *parser) reference(name string) *node {
	i, ok := p.names[name]
	if !ok {
		p.fail("there is no group %q before", name)
	}
	return p.backref(i)
}

func (p *parser) backref(i int) *node {
	n := &node{kind: kindBackref, index: i, fold: p.opt.fold}
	p.refs = append(p.refs, n)
	return n
}
