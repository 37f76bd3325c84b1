package rule

import (
	"slices"
	"strings"
)

// Kind says what a keyword does to the options around it.
type Kind uint8

const (
	KindPlain          Kind = iota // stands for itself: sid, flow, pcre, ...
	KindContent                    // holds a pattern: content, uricontent
	KindModifier                   // changes the content before it: nocase, depth, ...
	KindBufferModifier             // names the buffer of the content before it: http_uri, ...
	KindStickyBuffer               // names the buffer of what follows: http.uri, tls.sni, ...
	KindTransform                  // changes the buffer named just before it: dotprefix, ...
)

// Arity says whether a keyword takes an argument.
type Arity uint8

const (
	ArgNone Arity = iota
	ArgRequired
	ArgOptional
)

// Keyword describes one keyword of the language.
type Keyword struct {
	Name    string   // canonical spelling, as in Option.Name
	Aliases []string // other spellings, older ones mostly
	Kind    Kind
	Arity   Arity
	Buffer  string // canonical name of the buffer that a sticky buffer or buffer modifier names, else ""

	quotes   quotes
	inspects bool   // looks into the current buffer, and so gives a sticky buffer its purpose
	apps     appSet // the application protocols that it is about, 0 for none
	looks    bool   // of a keyword with apps: at what their parsers found, so it goes with no keyword about packets
	sender   sender // who sends what it looks at
	packet   bool   // about a packet itself, so it goes with no keyword about streams or application protocols
	over     uint8  // IANA number of the transport protocol that it is about, 0 for none
	prefilt  bool   // prefilter may follow it
}

// Protocols returns the application protocols that the keyword is about, by their names.
func (k Keyword) Protocols() []string { return k.apps.names() }

// OfPacket says whether the keyword is about a packet itself, so that it goes with no keyword
// about streams or about what parsers find.
func (k Keyword) OfPacket() bool { return k.packet }

// sender is who sends what a keyword looks at.
type sender uint8

const (
	anySender sender = iota
	clientSends
	serverSends
)

// quotes says whether an argument stands in quotes.
type quotes uint8

const (
	quotesNone quotes = iota
	quotesMay
	quotesMust
)

// Known returns the keyword of that name or alias, in any case of letters,
// and whether there is one.
func Known(name string) (Keyword, bool) {
	i, ok := keywordIndex[strings.ToLower(name)]
	if !ok {
		return Keyword{}, false
	}
	return keywords[i], true
}

// Keywords returns every keyword of the language, by name. The slice is the
// caller's, the aliases inside are shared and not to be changed.
func Keywords() []Keyword {
	all := slices.Clone(keywords)
	slices.SortFunc(all, func(a, b Keyword) int { return strings.Compare(a.Name, b.Name) })
	return all
}

var keywordIndex = func() map[string]int {
	m := make(map[string]int, 2*len(keywords))
	for i, k := range keywords {
		m[k.Name] = i
		for _, alias := range k.Aliases {
			m[alias] = i
		}
	}
	return m
}()

// suggest returns the member of names that name is most likely a misspelling
// of, or "".
func suggest(name string, names func(yield func(string) bool)) string {
	const longest = 40 // no name is longer, so the work is bounded
	if len(name) > longest {
		return ""
	}
	best, least := "", 1+min(2, len(name)/3)
	for candidate := range names {
		if diff := len(candidate) - len(name); diff > least || -diff > least {
			continue // the distance is at least that
		}
		if d := editDistance(name, candidate); d < least || d == least && best != "" && candidate < best {
			best, least = candidate, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b (optimal string alignment).
func editDistance(a, b string) int {
	before, last, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(last[j]+1, next[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(b)]
}
