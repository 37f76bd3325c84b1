package detect

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
)

// prefilter finds, in one pass over a text, the rules of a list that may match
// in it: each is filed under a literal that its text must hold, in either case.
// A rule without a literal always may.
//
// A literal is found by its four rarest bytes: a bit map of hashes answers for nearly
// all places of a text, and what gets past it is compared with the whole literal. Literals of two
// and three bytes are found by two of them, in a bit map of their own.
type prefilter struct {
	always   []uint32
	literals []literal
	grams    []gram
	heads    []uint32 // by the upper bits of the hash: 1 + the index of the first gram
	filter   []uint64 // the bits of all hashes
	shift    uint8    // hashes are 32-shift bits long
	pairs    []uint64 // the bits of all pairs, nil when there are none
	pairOf   map[uint16]uint32

	filed map[string][]uint32 // rules by literal, until build
}

// literal is text that rules ask for, folded, with the place of the bytes that find it.
type literal struct {
	text  string
	at    int
	rules []uint32
}

// gram is four bytes, or two, that find literals.
type gram struct {
	value    uint32
	next     uint32 // 1 + the index of the next gram with the same upper bits
	from, to uint32 // of prefilter.literals
}

const (
	// perHead is how many hashes share a head, as a power of two.
	perHead = 4

	// maxCompared is how often the literals of a gram are compared in one text. Then its rules
	// are candidates without that, so that no text can make more work than this.
	maxCompared = 32
)

func fold(b byte) byte      { return b | 0x20 }
func fold4(b []byte) uint32 { return binary.LittleEndian.Uint32(b) | 0x20202020 }
func fold2(b []byte) uint16 { return binary.LittleEndian.Uint16(b) | 0x2020 }
func folded4(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}
func folded2(s string) uint16  { return uint16(s[0]) | uint16(s[1])<<8 }
func (l *literal) short() bool { return len(l.text) < 4 }

// hashFactor spreads grams (Knuth's multiplicative hashing).
const hashFactor = 0x9e3779b1

func (p *prefilter) hash(gram uint32) uint32 { return gram * hashFactor >> p.shift }

// add files rule i under the rarest literal that steps ask for.
func (p *prefilter) add(i uint32, steps []step) {
	text := rarest(steps)
	if text == "" {
		p.always = append(p.always, i)
		return
	}
	if p.filed == nil {
		p.filed = map[string][]uint32{}
	}
	p.filed[text] = append(p.filed[text], i)
}

// build makes the index of what was added.
func (p *prefilter) build() {
	shared := sharing{}
	for text := range p.filed {
		shared.count(text)
	}
	for text, rules := range p.filed {
		at, _ := rarestPlace(text, shared)
		p.literals = append(p.literals, literal{text, at, rules})
	}
	p.filed = nil
	// Literals that the same bytes find stand side by side.
	slices.SortFunc(p.literals, func(a, b literal) int {
		if a.short() != b.short() {
			return cmp.Compare(len(a.text), len(b.text))
		}
		return cmp.Or(cmp.Compare(a.value(), b.value()), cmp.Compare(a.text, b.text))
	})
	for from := 0; from < len(p.literals); {
		l, to := &p.literals[from], from
		for to < len(p.literals) && p.literals[to].short() == l.short() && p.literals[to].value() == l.value() {
			to++
		}
		p.grams = append(p.grams, gram{value: l.value(), from: uint32(from), to: uint32(to)})
		if l.short() {
			if p.pairs == nil {
				p.pairs, p.pairOf = make([]uint64, 1<<16/64), map[uint16]uint32{}
			}
			value := uint16(l.value())
			p.pairs[value>>6] |= 1 << (value & 63)
			p.pairOf[value] = uint32(len(p.grams) - 1)
		}
		from = to
	}
	size := min(max(bits.Len(uint(len(p.grams)))+6, 10), 20)
	p.shift = uint8(32 - size)
	p.filter = make([]uint64, 1<<size/64)
	p.heads = make([]uint32, 1<<(size-perHead))
	for i := range p.grams {
		g := &p.grams[i]
		if p.literals[g.from].short() {
			continue
		}
		h := p.hash(g.value)
		p.filter[h>>6] |= 1 << (h & 63)
		head := &p.heads[h>>perHead]
		g.next = *head
		*head = uint32(i + 1)
	}
}

// value is the bytes that find the literal.
func (l *literal) value() uint32 {
	if l.short() {
		return uint32(folded2(l.text[l.at:]))
	}
	return folded4(l.text[l.at:])
}

// candidates appends the rules that may match in text, each once at most.
func (p *prefilter) candidates(dst []uint32, text []byte, s *sightings) []uint32 {
	dst = append(dst, p.always...)
	if len(p.grams) == 0 {
		return dst
	}
	s.begin(len(p.grams), len(p.literals))
	if p.pairs != nil {
		for i := 0; i+2 <= len(text); i++ {
			if value := fold2(text[i:]); p.pairs[value>>6]&(1<<(value&63)) != 0 {
				dst = p.compare(dst, p.pairOf[value], text, i, s)
			}
		}
	}
	// Five places at a time: nearly always none of their bits is set.
	filter, shift, i := p.filter, p.shift, 0
	for ; i+8 <= len(text); i += 5 {
		v := binary.LittleEndian.Uint64(text[i:]) | 0x2020202020202020
		h0, h1, h2 := uint32(v)*hashFactor>>shift, uint32(v>>8)*hashFactor>>shift, uint32(v>>16)*hashFactor>>shift
		h3, h4 := uint32(v>>24)*hashFactor>>shift, uint32(v>>32)*hashFactor>>shift
		if (filter[h0>>6]>>(h0&63)|filter[h1>>6]>>(h1&63)|filter[h2>>6]>>(h2&63)|filter[h3>>6]>>(h3&63)|filter[h4>>6]>>(h4&63))&1 == 0 {
			continue
		}
		for n := range 5 {
			dst = p.look(dst, text, i+n, s)
		}
	}
	for ; i+4 <= len(text); i++ {
		dst = p.look(dst, text, i, s)
	}
	return dst
}

// look appends the rules of literals that the four bytes at i of text find.
func (p *prefilter) look(dst []uint32, text []byte, i int, s *sightings) []uint32 {
	value := fold4(text[i:])
	h := p.hash(value)
	if p.filter[h>>6]&(1<<(h&63)) == 0 {
		return dst
	}
	for at := p.heads[h>>perHead]; at != 0; at = p.grams[at-1].next {
		if p.grams[at-1].value == value {
			return p.compare(dst, at-1, text, i, s)
		}
	}
	return dst
}

// compare appends the rules whose literal stands where the bytes of a gram were found, at i of
// text.
func (p *prefilter) compare(dst []uint32, at uint32, text []byte, i int, s *sightings) []uint32 {
	g, tries := &p.grams[at], s.tries(at)
	if tries > maxCompared {
		return dst
	}
	for n := g.from; n < g.to; n++ {
		l := &p.literals[n]
		if (tries == maxCompared || l.stands(text, i-l.at)) && s.first(n) {
			dst = append(dst, l.rules...)
		}
	}
	return dst
}

// stands says whether the literal begins at i of text.
func (l *literal) stands(text []byte, i int) bool {
	if i < 0 || i+len(l.text) > len(text) {
		return false
	}
	for n, b := range text[i : i+len(l.text)] {
		if fold(b) != l.text[n] {
			return false
		}
	}
	return true
}

// sightings are what was found in the text at hand.
type sightings struct {
	text     uint32
	literals []uint32 // by literal: the number of the text that it was last found in
	grams    []tally
}

// tally counts how often a gram was found in a text.
type tally struct{ text, n uint32 }

func (s *sightings) begin(grams, literals int) {
	if n := literals - len(s.literals); n > 0 {
		s.literals = append(s.literals, make([]uint32, n)...)
	}
	if n := grams - len(s.grams); n > 0 {
		s.grams = append(s.grams, make([]tally, n)...)
	}
	if s.text++; s.text == 0 {
		clear(s.literals)
		clear(s.grams)
		s.text = 1
	}
}

// first reports whether a literal is found for the first time.
func (s *sightings) first(literal uint32) bool {
	if s.literals[literal] == s.text {
		return false
	}
	s.literals[literal] = s.text
	return true
}

// tries returns how often a gram was found before.
func (s *sightings) tries(gram uint32) uint32 {
	t := &s.grams[gram]
	if t.text != s.text {
		*t = tally{text: s.text}
	}
	t.n++
	return t.n - 1
}

// rarest returns the literal of the steps that traffic has least, folded, or nothing.
func rarest(steps []step) string {
	best, least := "", 0
	for _, s := range steps {
		var text []byte
		switch s := s.(type) {
		case *content:
			if !s.negated {
				text = s.pattern
			}
		case *regex:
			if !s.negated {
				text, _ = s.re.Literal()
			}
		}
		if len(text) < 2 {
			continue
		}
		folded := make([]byte, len(text))
		for i, b := range text {
			folded[i] = fold(b)
		}
		if _, cost := rarestPlace(string(folded), nil); best == "" || cost < least {
			best, least = string(folded), cost
		}
	}
	return best
}

// sharing counts in how many places of literals four bytes stand.
type sharing map[uint32]int

func (s sharing) count(text string) {
	for i := 0; i+4 <= len(text); i++ {
		s[folded4(text[i:])]++
	}
}

// perShare is what it costs four bytes that twice as many literals have them: they all are
// compared where the bytes are found.
const perShare = 4

// rarestPlace returns where in a literal of two bytes or more the bytes stand that find it, and
// how common they are, in traffic and among literals. Four bytes are always rarer than two.
func rarestPlace(text string, shared sharing) (at, cost int) {
	n, floor := 4, 0
	if len(text) < 4 {
		n, floor = 2, 1000
	}
	cost = -1
	for i := 0; i+n <= len(text); i++ {
		common := floor
		for _, b := range []byte(text[i : i+n]) {
			common += commonness(b)
		}
		if shared != nil && n == 4 {
			common += perShare * bits.Len(uint(shared[folded4(text[i:])]))
		}
		if cost < 0 || common < cost {
			at, cost = i, common
		}
	}
	return at, cost
}

// commonness says how common a byte is in traffic: roughly, its share in text and in
// binary protocols.
func commonness(b byte) int {
	switch b = lower(b); {
	case b == 0 || b == ' ' || b == 0xff:
		return 20
	case slices.Contains([]byte("eatoinsr\r\n/.-:"), b):
		return 12
	case 'a' <= b && b <= 'z':
		return 8
	case '0' <= b && b <= '9':
		return 7
	case b < 0x80:
		return 4
	}
	return 2
}

// hookIndex holds the rules of a hook, by the buffer whose content finds them.
type hookIndex struct {
	always  []uint32
	buffers []bufferIndex
	hosts   []bufferHosts // rules that need nothing but a whole name
}

type bufferIndex struct {
	buffer applayer.Buffer
	prefilter
}

type bufferHosts struct {
	buffer applayer.Buffer
	hostIndex
}

// filter returns the index of a buffer.
func (h *hookIndex) filter(b applayer.Buffer) *prefilter {
	for i := range h.buffers {
		if h.buffers[i].buffer == b {
			return &h.buffers[i].prefilter
		}
	}
	h.buffers = append(h.buffers, bufferIndex{buffer: b})
	return &h.buffers[len(h.buffers)-1].prefilter
}

// names returns the names of a buffer, nil when there are none.
func (h *hookIndex) names(b applayer.Buffer) *hostIndex {
	for i := range h.hosts {
		if h.hosts[i].buffer == b {
			return &h.hosts[i].hostIndex
		}
	}
	return nil
}

// addName files rule i under a name that a buffer has to be, or to end with.
func (h *hookIndex) addName(i uint32, b applayer.Buffer, name []byte) {
	if h.names(b) == nil {
		h.hosts = append(h.hosts, bufferHosts{buffer: b})
	}
	h.names(b).add(name, i)
}

// add files rule i under a buffer that it looks into as it is.
func (h *hookIndex) add(i uint32, r *Rule) {
	for b := range r.buffers {
		match := &r.buffers[b]
		if rarest(match.steps) == "" || len(match.transforms) > 0 || absent(match.steps) {
			continue
		}
		h.filter(match.buffer).add(i, match.steps)
		return
	}
	h.always = append(h.always, i)
}

// candidates appends the rules of the hook that may match in tx, each possibly more than once.
func (h *hookIndex) candidates(dst []uint32, tx applayer.Tx, seen *sightings) []uint32 {
	dst = append(dst, h.always...)
	if tx == nil {
		return dst
	}
	for i := range h.buffers {
		b := &h.buffers[i]
		for n := 0; ; n++ {
			data, ok := tx.Value(b.buffer, n)
			if !ok {
				break
			}
			dst = b.candidates(dst, data, seen)
		}
	}
	return dst
}

// index makes the prefilters from the lists of rules.
func (p *RuleSet) index() {
	for class := range p.packet {
		for _, i := range p.packet[class] {
			if r := &p.rules[i]; r.list == listStream && r.Kind == KindStream {
				p.strayIndex[class].add(i, r.payload)
			} else {
				p.packetIndex[class].add(i, r.payload)
			}
		}
		p.packetIndex[class].build()
		p.strayIndex[class].build()
	}
	for _, i := range p.stream {
		p.streamIndex.add(i, p.rules[i].payload)
	}
	p.streamIndex.build()
	for hook := range p.hooks {
		h := &p.hookIndex[hook]
		for _, i := range p.hooks[hook] {
			h.add(i, &p.rules[i])
		}
		for b := range h.buffers {
			h.buffers[b].build()
		}
	}
}
