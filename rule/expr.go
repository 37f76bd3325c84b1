package rule

import (
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// maxNesting is how deep brackets may nest in an address or port expression,
// Suricata's limit.
const maxNesting = 64

// ParseAddrs reads an address expression: any, addresses, CIDR blocks, ranges
// a-b, $VARIABLES, @REFERENCES, negation with !, and lists in brackets. An
// error is an *Error of line 1.
func ParseAddrs(text string) (Addrs, error) {
	a, f := parseAddrs(text)
	if f != nil {
		return Addrs{}, &Error{Line: 1, Col: f.off + 1, Msg: f.msg, Rule: text}
	}
	return a, nil
}

// ParsePorts reads a port expression: any, ports, ranges a:b, a: and :b,
// $VARIABLES, negation with !, and lists in brackets. An error is an *Error of
// line 1.
func ParsePorts(text string) (Ports, error) {
	p, f := parsePorts(text)
	if f != nil {
		return Ports{}, &Error{Line: 1, Col: f.off + 1, Msg: f.msg, Rule: text}
	}
	return p, nil
}

func parseAddrs(text string) (Addrs, *fault) {
	terms, f := addrGrammar.parse(text)
	if f != nil {
		return Addrs{}, f
	}
	if len(terms) == 1 && terms[0].Any {
		return Addrs{Any: true}, nil
	}
	return Addrs{Terms: terms}, nil
}

func parsePorts(text string) (Ports, *fault) {
	terms, f := portGrammar.parse(text)
	if f != nil {
		return Ports{}, f
	}
	if len(terms) == 1 && terms[0].Any {
		return Ports{Any: true}, nil
	}
	return Ports{Terms: terms}, nil
}

// grammar is the syntax that address and port expressions share: terms with
// an optional !, and bracketed lists of them.
type grammar[T any] struct {
	noun string
	atom func(word string, negated bool) (T, *fault)
	list func(terms []T, negated bool) T
	// elems returns the elements of a term that is a list without !, else nil.
	elems func(T) []T
}

var addrGrammar = grammar[Addr]{
	noun: "address",
	atom: addrAtom,
	list: func(terms []Addr, negated bool) Addr { return Addr{Negated: negated, List: terms} },
	elems: func(t Addr) []Addr {
		if t.Negated {
			return nil
		}
		return t.List
	},
}

var portGrammar = grammar[Port]{
	noun: "port",
	atom: portAtom,
	list: func(terms []Port, negated bool) Port { return Port{Negated: negated, List: terms} },
	elems: func(t Port) []Port {
		if t.Negated {
			return nil
		}
		return t.List
	},
}

// parse reads a whole expression into its terms, without the brackets that
// only enclose everything.
func (g grammar[T]) parse(text string) ([]T, *fault) {
	t, i, f := g.term(text, 0, 0)
	if f != nil {
		return nil, f
	}
	if i = skipSpace(text, i); i < len(text) {
		return nil, faultf(i, "unexpected %q after the %s; put several in brackets, as in [a,b]", clip(text[i:]), g.noun)
	}
	terms := []T{t}
	for len(terms) == 1 && g.elems(terms[0]) != nil {
		terms = g.elems(terms[0])
	}
	return terms, nil
}

// term reads one term at offset i and returns the offset after it.
func (g grammar[T]) term(text string, i, depth int) (T, int, *fault) {
	var none T
	if depth > maxNesting {
		return none, i, faultf(i, "brackets nest deeper than %d; write the list flatter", maxNesting)
	}
	i = skipSpace(text, i)
	negated := i < len(text) && text[i] == '!'
	if negated {
		i = skipSpace(text, i+1)
	}
	if i < len(text) && text[i] == '[' {
		terms, i, f := g.bracket(text, i, depth+1)
		return g.list(terms, negated), i, f
	}
	end := i
	for end < len(text) && strings.IndexByte("[],!", text[end]) < 0 {
		end++
	}
	word := strings.TrimRight(text[i:end], space)
	if word == "" {
		return none, i, faultf(i, "%s missing", g.noun)
	}
	t, f := g.atom(word, negated)
	return t, end, f.shift(i)
}

// bracket reads a list whose [ stands at offset i.
func (g grammar[T]) bracket(text string, i, depth int) ([]T, int, *fault) {
	open := i
	var terms []T
	for {
		t, next, f := g.term(text, i+1, depth)
		if f != nil {
			return nil, i, f
		}
		terms = append(terms, t)
		i = skipSpace(text, next)
		switch {
		case i == len(text):
			return nil, i, faultf(open, "[ is not closed; add ] after the last %s", g.noun)
		case text[i] == ']':
			return terms, i + 1, nil
		case text[i] != ',':
			return nil, i, faultf(i, "unexpected %q in the list; separate each %s with a comma", text[i:i+1], g.noun)
		}
	}
}

// variable reads the name of a $VARIABLE, or of an @REFERENCE with its @.
func variable(word string) (name string, is bool, f *fault) {
	if word[0] != '$' && word[0] != '@' {
		return "", false, nil
	}
	for i := 1; i < len(word); i++ {
		if c := word[i]; !isAlnum(c) && (i == 1 || c != '_' && c != '-' && c != '.') {
			return "", true, faultf(i, "character %q cannot stand in a variable name; use letters, digits and _", word[i:i+1])
		}
	}
	if len(word) == 1 {
		return "", true, faultf(0, "%s needs a variable name after it", word)
	}
	return strings.TrimPrefix(word, "$"), true, nil
}

func addrAtom(word string, negated bool) (Addr, *fault) {
	t := Addr{Negated: negated}
	name, isVar, f := variable(word)
	switch {
	case f != nil:
		return t, f
	case isVar:
		t.Var = name
		return t, nil
	case strings.EqualFold(word, "any"):
		if negated {
			return t, faultf(0, "!any matches nothing; leave the ! out or name addresses")
		}
		t.Any = true
		return t, nil
	}
	if first, last, ok := strings.Cut(word, "-"); ok {
		t.From, t.To, f = addrRange(first, last)
		return t, f
	}
	p, f := parsePrefix(word)
	if f != nil {
		return t, f
	}
	t.Prefix, t.From, t.To = p, p.Addr(), lastAddr(p)
	return t, nil
}

func addrRange(first, last string) (from, to netip.Addr, f *fault) {
	if from, f = parseAddr(first); f != nil {
		return from, to, f
	}
	if to, f = parseAddr(last); f != nil {
		return from, to, f.shift(len(first) + 1)
	}
	if from.Is4() != to.Is4() {
		return from, to, faultf(0, "range %s-%s mixes IPv4 and IPv6; use one family", from, to)
	}
	if to.Less(from) {
		return from, to, faultf(0, "range %s-%s runs backwards; write the lower address first", from, to)
	}
	return from, to, nil
}

func parseAddr(s string) (netip.Addr, *fault) {
	s = strings.Trim(s, space)
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return a, faultf(0, "%q is not an IP address; write one such as 10.0.0.1 or 2001:db8::1, or $NAME for a variable", clip(s))
	}
	return a, nil
}

// parsePrefix reads an address or a CIDR block; IPv4 blocks may have a
// netmask, as in 10.0.0.0/255.0.0.0.
func parsePrefix(word string) (netip.Prefix, *fault) {
	host, mask, sliced := strings.Cut(word, "/")
	a, f := parseAddr(host)
	if f != nil {
		return netip.Prefix{}, f
	}
	size := a.BitLen()
	if sliced {
		n, err := strconv.ParseUint(mask, 10, 8)
		m, maskErr := netip.ParseAddr(mask)
		switch {
		case err == nil && int(n) <= size:
			size = int(n)
		case a.Is4() && maskErr == nil && m.Is4() && contiguous(m):
			b := m.As4()
			size = bits.OnesCount8(b[0]) + bits.OnesCount8(b[1]) + bits.OnesCount8(b[2]) + bits.OnesCount8(b[3])
		default:
			return netip.Prefix{}, faultf(len(host)+1, "%q is not a prefix length; use 0 to %d", clip(mask), size)
		}
	}
	return netip.PrefixFrom(a, size).Masked(), nil
}

// contiguous reports whether a netmask is ones followed by zeros.
func contiguous(mask netip.Addr) bool {
	b := mask.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	return bits.LeadingZeros32(^m) == bits.OnesCount32(m)
}

func portAtom(word string, negated bool) (Port, *fault) {
	t := Port{Negated: negated}
	name, isVar, f := variable(word)
	switch {
	case f != nil:
		return t, f
	case isVar && name[0] == '@':
		return t, faultf(0, "reference set %s holds addresses; ports need numbers or a $variable", name)
	case isVar:
		t.Var = name
		return t, nil
	case strings.EqualFold(word, "any"):
		if negated {
			return t, faultf(0, "!any matches nothing; leave the ! out or name ports")
		}
		t.Any = true
		return t, nil
	}
	first, last, isRange := strings.Cut(word, ":")
	first, last = strings.Trim(first, space), strings.Trim(last, space)
	if !isRange {
		last = first
	} else if first == "" && last == "" {
		return t, faultf(0, "range %q has no ends; write a:b, a: or :b", word)
	}
	if first == "" {
		first = "0"
	}
	if last == "" {
		last = "65535"
	}
	from, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return t, faultf(0, "%q is not a port; use 0 to 65535, a range such as 1024:, or $NAME for a variable", clip(first))
	}
	to, err := strconv.ParseUint(last, 10, 16)
	if err != nil {
		return t, faultf(0, "%q is not a port; use 0 to 65535, a range such as 1024:, or $NAME for a variable", clip(last))
	}
	if to < from {
		return t, faultf(0, "range %d:%d runs backwards; write the lower port first", from, to)
	}
	t.From, t.To = uint16(from), uint16(to)
	return t, nil
}

// space is the white space of the language.
const space = " \t\r\n\v\f"

func skipSpace(s string, i int) int {
	for i < len(s) && strings.IndexByte(space, s[i]) >= 0 {
		i++
	}
	return i
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
