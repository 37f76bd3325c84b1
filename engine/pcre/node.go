package pcre

// set is a set of bytes, as bits.
type set [4]uint64

func (s *set) add(b byte)      { s[b>>6] |= 1 << (b & 63) }
func (s *set) has(b byte) bool { return s[b>>6]&(1<<(b&63)) != 0 }

func (s *set) addRange(from, to byte) {
	for b := int(from); b <= int(to); b++ {
		s.add(byte(b))
	}
}

func (s *set) union(o *set) {
	for i := range s {
		s[i] |= o[i]
	}
}

func (s set) not() set { return set{^s[0], ^s[1], ^s[2], ^s[3]} }

func (s *set) disjoint(o *set) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] == 0
}

// single returns the only byte of the set.
func (s *set) single() (b byte, ok bool) {
	n := 0
	for i := range 256 {
		if s.has(byte(i)) {
			b = byte(i)
			n++
		}
	}
	return b, n == 1
}

// folded adds the other case of every ASCII letter.
func (s set) folded() set {
	for c := byte('a'); c <= 'z'; c++ {
		if upper := c - ('a' - 'A'); s.has(c) || s.has(upper) {
			s.add(c)
			s.add(upper)
		}
	}
	return s
}

func setOf(members string) set {
	var s set
	for i := range len(members) {
		s.add(members[i])
	}
	return s
}

func setRange(ranges ...byte) set {
	var s set
	for i := 0; i < len(ranges); i += 2 {
		s.addRange(ranges[i], ranges[i+1])
	}
	return s
}

// The classes of Perl, and those of POSIX with a name, in the C locale.
var (
	digits   = setRange('0', '9')
	words    = setRange('0', '9', 'A', 'Z', 'a', 'z', '_', '_')
	spaces   = setOf("\t\n\v\f\r ")
	newline  = setOf("\n")
	allBytes = set{}.not()
	horiz    = setOf("\t \xa0")
	vertical = setOf("\n\v\f\r\x85")

	posix = map[string]set{
		"alpha": setRange('A', 'Z', 'a', 'z'), "digit": digits, "alnum": setRange('0', '9', 'A', 'Z', 'a', 'z'),
		"upper": setRange('A', 'Z'), "lower": setRange('a', 'z'), "space": spaces, "blank": setOf(" \t"),
		"punct": setRange('!', '/', ':', '@', '[', '`', '{', '~'), "print": setRange(' ', '~'),
		"graph": setRange('!', '~'), "cntrl": setRange(0, 31, 127, 127), "word": words,
		"xdigit": setRange('0', '9', 'A', 'F', 'a', 'f'), "ascii": setRange(0, 127),
	}
)

// kind says what a node of the syntax tree is.
type kind uint8

const (
	kindEmpty kind = iota
	kindSet        // one byte
	kindCat
	kindAlt
	kindRepeat
	kindGroup // of number index, 0 for one that captures nothing
	kindAssert
	kindBackref
	kindLook
	kindAtomic
	kindKeep
	kindCall // of the group of number index
	kindCond // on the group of number index, as test says: subs[0], otherwise subs[1]
)

// test is what a condition asks of a group.
type test uint8

const (
	testTaken       test = iota // it took part
	testCalled                  // any is being called
	testCalledGroup             // it is the one being called, in the end
	testNever
)

// assertion is a place that takes no bytes.
type assertion uint8

const (
	textStart    assertion = iota // \A, and ^ without m
	lineStart                     // ^ with m
	textEnd                       // \z, and $ with E
	textEndOrNL                   // \Z, and $
	lineEnd                       // $ with m
	searchStart                   // \G
	wordBoundary                  // \b
	notWordBoundary
)

// node is a part of a pattern.
type node struct {
	kind     kind
	set      set
	subs     []*node
	min, max int // of kindRepeat; max < 0 is no limit
	mode     mode
	index    int // of kindGroup and kindBackref
	fold     bool
	behind   bool // of kindLook
	negated  bool
	assert   assertion
	test     test // of kindCond
}

// mode is how a repetition chooses.
type mode uint8

const (
	greedy mode = iota
	lazy
	possessive
)

// width returns the fewest and most bytes that n takes; most is -1 for no limit.
func (n *node) width() (least, most int) {
	switch n.kind {
	case kindSet:
		return 1, 1
	case kindCat:
		for _, s := range n.subs {
			l, m := s.width()
			least, most = plus(least, l), unlimited(most, m, plus)
		}
	case kindAlt, kindCond:
		for i, s := range n.subs {
			l, m := s.width()
			if i == 0 {
				least, most = l, m
				continue
			}
			least, most = min(least, l), unlimited(most, m, func(a, b int) int { return max(a, b) })
		}
	case kindRepeat:
		l, m := n.subs[0].width()
		least = times(l, n.min)
		switch {
		case n.max < 0 && m != 0:
			most = -1
		case m > 0 || m == 0:
			most = times(m, max(n.max, 0))
		default:
			most = -1
		}
	case kindGroup, kindAtomic:
		return n.subs[0].width()
	case kindBackref, kindCall:
		return 0, -1
	}
	return least, most
}

// huge is where counting the bytes of a pattern stops.
const huge = 1 << 20

func plus(a, b int) int  { return min(a+b, huge) }
func times(a, b int) int { return int(min(int64(a)*int64(b), huge)) }

func unlimited(a, b int, f func(a, b int) int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return f(a, b)
}

// first adds to s the bytes that a match of n can begin with, and reports
// whether it can match without taking any.
func (n *node) first(s *set) (nullable bool) {
	switch n.kind {
	case kindSet:
		s.union(&n.set)
		return false
	case kindCat:
		for _, sub := range n.subs {
			if !sub.first(s) {
				return false
			}
		}
		return true
	case kindAlt, kindCond:
		for _, sub := range n.subs {
			nullable = sub.first(s) || nullable
		}
		return nullable
	case kindRepeat:
		return n.subs[0].first(s) || n.min == 0
	case kindGroup, kindAtomic:
		return n.subs[0].first(s)
	case kindBackref, kindCall:
		s.union(&allBytes)
	}
	return true
}

// literals calls yield for each run of bytes that every match of n holds, from
// left to right, and for the gaps between them with an empty run. fold says that
// a run is in lower case and stands for either.
func (n *node) literals(yield func(b byte, fold, gap bool)) {
	switch n.kind {
	case kindSet:
		if b, ok := n.set.single(); ok {
			yield(b, false, false)
			return
		}
		for c := byte('a'); c <= 'z'; c++ {
			if n.set == setOf(string([]byte{c, c - 32})) {
				yield(c, true, false)
				return
			}
		}
		yield(0, false, true)
	case kindCat:
		for _, s := range n.subs {
			s.literals(yield)
		}
	case kindGroup, kindAtomic:
		n.subs[0].literals(yield)
	case kindRepeat:
		if n.min > 0 {
			n.subs[0].literals(yield)
		}
		if n.min != 1 || n.max != 1 {
			yield(0, false, true)
		}
	case kindAlt, kindBackref, kindCall, kindCond:
		yield(0, false, true)
	}
}

// startsAtText says whether every match of n begins at the start of the text.
func (n *node) startsAtText() bool {
	switch n.kind {
	case kindAssert:
		return n.assert == textStart
	case kindCat:
		for _, s := range n.subs {
			if s.startsAtText() {
				return true
			}
			if _, most := s.width(); most != 0 || s.kind == kindAlt || s.kind == kindRepeat || s.kind == kindCond {
				return false
			}
		}
	case kindAlt:
		for _, s := range n.subs {
			if !s.startsAtText() {
				return false
			}
		}
		return true
	case kindGroup, kindAtomic:
		return n.subs[0].startsAtText()
	}
	return false
}
