package pcre

import (
	"strconv"
	"strings"
	"unicode"
)

// classes are the escapes that stand for a set, in brackets and outside.
var classes = map[byte]set{
	'd': digits, 'D': digits.not(), 'w': words, 'W': words.not(), 's': spaces, 'S': spaces.not(),
	'h': horiz, 'H': horiz.not(), 'v': vertical, 'V': vertical.not(),
}

// controls are the escapes that stand for one byte.
var controls = map[byte]byte{'a': 7, 'e': 27, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads what follows a backslash outside of brackets.
func (p *parser) escape() *node {
	if !p.more() {
		p.fail("a backslash ends the pattern")
	}
	c := p.text[p.i]
	if s, ok := classes[c]; ok {
		p.i++
		return p.class(s)
	}
	switch c {
	case 'A':
		p.i++
		return p.assertion(textStart)
	case 'z':
		p.i++
		return p.assertion(textEnd)
	case 'Z':
		p.i++
		return p.assertion(textEndOrNL)
	case 'G':
		p.i++
		return p.assertion(searchStart)
	case 'K':
		if p.i++; p.looks > 0 {
			p.fail(`\K is in a lookaround`)
		}
		return &node{kind: kindKeep}
	case 'p', 'P':
		return &node{kind: kindSet, set: p.property()}
	case 'b':
		p.i++
		return p.assertion(wordBoundary)
	case 'B':
		p.i++
		return p.assertion(notWordBoundary)
	case 'N':
		p.i++
		return p.class(newline.not())
	case 'C':
		p.i++
		return p.class(allBytes)
	case 'R':
		p.i++
		crlf := &node{kind: kindCat, subs: []*node{p.one('\r'), p.one('\n')}}
		return &node{kind: kindAtomic, subs: []*node{{kind: kindAlt, subs: []*node{crlf, p.class(vertical)}}}}
	case 'k':
		p.i++
		for open, end := range map[string]byte{"{": '}', "<": '>', "'": '\''} {
			if p.take(open) {
				return p.reference(p.name(end))
			}
		}
		p.fail(`\k needs the name of a group`)
	case 'g':
		p.i++
		return p.numbered()
	}
	if c >= '1' && c <= '9' {
		end := p.i
		for end < len(p.text) && digits.has(p.text[end]) {
			end++
		}
		n, err := strconv.Atoi(p.text[p.i:end])
		// As in PCRE: up to 9, and up to the number of groups so far, it is a
		// reference, otherwise octal.
		if err == nil && (n < 10 || n <= p.groups) {
			p.i = end
			return p.backref(n)
		}
	}
	return p.one(p.byteEscape())
}

// numbered reads \gN, \g{N}, \g{-N} and \g{name}, and the calls \g<N> and \g'name'.
func (p *parser) numbered() *node {
	for open, end := range map[string]byte{"<": '>', "'": '\''} {
		if p.take(open) {
			if n, ok := p.number(end); ok {
				return p.call(n)
			}
			return p.callNamed(p.name(end))
		}
	}
	text := ""
	if p.take("{") {
		end := strings.IndexByte(p.text[p.i:], '}')
		if end <= 0 {
			p.fail(`\g{ is not closed`)
		}
		text = p.text[p.i : p.i+end]
		p.i += end + 1
	} else {
		start := p.i
		for p.more() && (digits.has(p.text[p.i]) || p.i == start && p.text[p.i] == '-') {
			p.i++
		}
		text = p.text[start:p.i]
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return p.reference(text)
	}
	if n < 0 {
		n += p.groups + 1
	}
	if n <= 0 {
		p.fail(`\g needs the number of a group`)
	}
	return p.backref(n)
}

// property reads \pL, \p{Lu}, \p{^Lu} and \P{Lu}: the bytes that are code points of a category or a
// script of Unicode.
func (p *parser) property() set {
	negated := p.text[p.i] == 'P'
	if p.i++; !p.more() {
		p.fail("a property has no name")
	}
	name := p.text[p.i : p.i+1]
	p.i++
	if name == "{" {
		end := strings.IndexByte(p.text[p.i:], '}')
		if end < 0 {
			p.fail("a brace is not closed")
		}
		name = p.text[p.i : p.i+end]
		p.i += end + 1
		if rest, ok := strings.CutPrefix(name, "^"); ok {
			name, negated = rest, !negated
		}
	}
	tables := []*unicode.RangeTable{unicode.Categories[name]}
	if tables[0] == nil {
		tables[0] = unicode.Scripts[name]
	}
	var s set
	switch name {
	case "Any":
		s = allBytes
	case "L&":
		tables = []*unicode.RangeTable{unicode.Lu, unicode.Ll, unicode.Lt}
	case "Xan":
		tables = []*unicode.RangeTable{unicode.L, unicode.N}
	case "Xwd":
		tables = []*unicode.RangeTable{unicode.L, unicode.N}
		s.add('_')
	case "Xsp", "Xps":
		tables = []*unicode.RangeTable{unicode.Z}
		s.union(&spaces)
	default:
		if tables[0] == nil {
			p.fail("no property is named %q", name)
		}
	}
	for b := range 256 {
		if name != "Any" && unicode.In(rune(b), tables...) {
			s.add(byte(b))
		}
	}
	if negated {
		s = s.not()
	}
	return s
}

// byteEscape reads an escape that stands for one byte.
func (p *parser) byteEscape() byte {
	c := p.text[p.i]
	p.i++
	if b, ok := controls[c]; ok {
		return b
	}
	switch {
	case c == 'x':
		return p.hex()
	case c == 'o' && p.take("{"):
		return p.braced(8)
	case c == 'c' && p.more():
		b := p.text[p.i]
		p.i++
		if 'a' <= b && b <= 'z' {
			b -= 32
		}
		return b ^ 64
	case c >= '0' && c <= '7':
		n := int(c - '0')
		for digits := 1; digits < 3 && p.more() && p.text[p.i] >= '0' && p.text[p.i] <= '7'; digits++ {
			n = n<<3 | int(p.text[p.i]-'0')
			p.i++
		}
		if n > 255 {
			p.fail("an octal escape is larger than 377")
		}
		return byte(n)
	case words.has(c) && c != '_':
		p.fail(`the escape \%c is not supported`, c)
	}
	return c
}

func (p *parser) hex() byte {
	if p.take("{") {
		return p.braced(16)
	}
	start := p.i
	xdigit := posix["xdigit"]
	for p.more() && p.i < start+2 && xdigit.has(p.text[p.i]) {
		p.i++
	}
	n, _ := strconv.ParseUint("0"+p.text[start:p.i], 16, 16) // no digits: 0
	return byte(n)
}

func (p *parser) braced(base int) byte {
	end := strings.IndexByte(p.text[p.i:], '}')
	if end < 0 {
		p.fail("a brace is not closed")
	}
	n, err := strconv.ParseUint(p.text[p.i:p.i+end], base, 8)
	if err != nil {
		p.fail("%q is not a byte", p.text[p.i:p.i+end])
	}
	p.i += end + 1
	return byte(n)
}

// bracket reads a class after its opening bracket.
func (p *parser) bracket() *node {
	negated := p.take("^")
	var s set
	for first := true; ; first = false {
		if !p.more() {
			p.fail("a bracket is not closed")
		}
		if p.text[p.i] == ']' && !first {
			p.i++
			break
		}
		from, isByte := p.member(&s)
		if !isByte || p.i+1 >= len(p.text) || p.text[p.i] != '-' || p.text[p.i+1] == ']' {
			if isByte {
				s.add(from)
			}
			continue
		}
		p.i++
		to, isByte := p.member(&s)
		if !isByte { // as in Perl, the hyphen is itself then
			s.add(from)
			s.add('-')
			continue
		}
		if to < from {
			p.fail("a range in brackets runs backwards")
		}
		s.addRange(from, to)
	}
	if p.opt.fold {
		s = s.folded()
	}
	if negated {
		s = s.not()
	}
	return &node{kind: kindSet, set: s}
}

// member reads one member of a class: a byte that it returns, or a set that it
// adds to s.
func (p *parser) member(s *set) (b byte, isByte bool) {
	c := p.text[p.i]
	if c == '[' && p.i+1 < len(p.text) && strings.IndexByte(":.=", p.text[p.i+1]) >= 0 {
		kind := p.text[p.i+1]
		if end := strings.Index(p.text[p.i+2:], string([]byte{kind, ']'})); end >= 0 && !strings.ContainsAny(p.text[p.i+2:p.i+2+end], `]\`) {
			name, negated := strings.CutPrefix(p.text[p.i+2:p.i+2+end], "^")
			class, ok := posix[name]
			if !ok || kind != ':' {
				p.fail("unknown class %q in brackets", p.text[p.i:p.i+2+end+2])
			}
			if negated {
				class = class.not()
			}
			s.union(&class)
			p.i += 2 + end + 2
			return 0, false
		}
	}
	if c != '\\' {
		p.i++
		return c, true
	}
	if p.i++; !p.more() {
		p.fail("a bracket is not closed")
	}
	c = p.text[p.i]
	if class, ok := classes[c]; ok {
		p.i++
		s.union(&class)
		return 0, false
	}
	switch c {
	case 'p', 'P':
		class := p.property()
		s.union(&class)
		return 0, false
	case 'b':
		p.i++
		return '\b', true
	case 'Q', 'E':
		p.fail(`\%c in brackets is not supported`, c)
	}
	return p.byteEscape(), true
}
