package detect

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
)

// prefilter finds, in one pass over a text, the rules of a list that may match
// in it: each is filed under four bytes that its text must hold, in either case.
// A rule without such bytes always may.
//
// The four bytes are the rarest of the rule's literals. A bit map of hashes
// answers for nearly all places of a text; what gets past it is looked up.
type prefilter struct {
	always []uint32
	rules  []uint32 // sorted by gram
	grams  []gram
	heads  []uint32 // by the upper bits of the hash: 1 + the index of the first gram
	filter []uint64 // the bits of all hashes
	shift  uint8    // hashes are 32-shift bits long
	filed  map[uint32][]uint32
}

// gram is four bytes, folded, and the rules that need them.
type gram struct {
	value    uint32
	next     uint32 // 1 + the index of the next gram with the same upper bits
	from, to uint32 // of prefilter.rules
}

// perHead is how many hashes share a head, as a power of two.
const perHead = 4

func fold4(b []byte) uint32 { return binary.LittleEndian.Uint32(b) | 0x20202020 }

// hash spreads grams (Knuth's multiplicative hashing).
func (p *prefilter) hash(gram uint32) uint32 { return gram * 0x9e3779b1 >> p.shift }

// add files rule i under the rarest four bytes that steps ask for.
func (p *prefilter) add(i uint32, steps []step) {
	g, ok := rarest(steps)
	if !ok {
		p.always = append(p.always, i)
		return
	}
	if p.filed == nil {
		p.filed = map[uint32][]uint32{}
	}
	p.filed[g] = append(p.filed[g], i)
}

// build makes the index of what was added.
func (p *prefilter) build() {
	if len(p.filed) == 0 {
		return
	}
	size := min(max(bits.Len(uint(len(p.filed)))+6, 10), 20)
	p.shift = uint8(32 - size)
	p.filter = make([]uint64, 1<<size/64)
	p.heads = make([]uint32, 1<<(size-perHead))
	for value, rules := range p.filed {
		h := p.hash(value)
		p.filter[h>>6] |= 1 << (h & 63)
		head := &p.heads[h>>perHead]
		from := uint32(len(p.rules))
		p.rules = append(p.rules, rules...)
		p.grams = append(p.grams, gram{value, *head, from, uint32(len(p.rules))})
		*head = uint32(len(p.grams))
	}
	p.filed = nil
}

// candidates appends the rules that may match in text. Each gram counts once for
// a text, however often it is there, so no text makes more of them than there are rules.
func (p *prefilter) candidates(dst []uint32, text []byte, s *sightings) []uint32 {
	dst = append(dst, p.always...)
	if len(p.grams) == 0 {
		return dst
	}
	s.begin(len(p.grams))
	for i := 0; i+4 <= len(text); i++ {
		value := fold4(text[i:])
		h := p.hash(value)
		if p.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for at := p.heads[h>>perHead]; at != 0; at = p.grams[at-1].next {
			if g := &p.grams[at-1]; g.value == value {
				if s.first(at - 1) {
					dst = append(dst, p.rules[g.from:g.to]...)
				}
				break
			}
		}
	}
	return dst
}

// sightings are the grams that were seen in the text at hand.
type sightings struct {
	seen []uint32 // by gram: the number of the text
	text uint32
}

func (s *sightings) begin(grams int) {
	if len(s.seen) < grams {
		s.seen = append(s.seen, make([]uint32, grams-len(s.seen))...)
	}
	if s.text++; s.text == 0 {
		clear(s.seen)
		s.text = 1
	}
}

func (s *sightings) first(gram uint32) bool {
	if s.seen[gram] == s.text {
		return false
	}
	s.seen[gram] = s.text
	return true
}

// rarest returns the four bytes of the steps' literals that traffic has least.
func rarest(steps []step) (gram uint32, ok bool) {
	best := 0
	for _, s := range steps {
		var literal []byte
		switch s := s.(type) {
		case *content:
			if !s.negated {
				literal = s.pattern
			}
		case *regex:
			if !s.negated {
				literal, _ = s.re.Literal()
			}
		}
		for i := 0; i+4 <= len(literal); i++ {
			common := 0
			for _, b := range literal[i : i+4] {
				common += commonness(b)
			}
			if !ok || common < best {
				gram, best, ok = fold4(literal[i:]), common, true
			}
		}
	}
	return gram, ok
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
	buffers [applayer.NumBuffers]*prefilter
}

// add files rule i under a buffer that it looks into as it is.
func (h *hookIndex) add(i uint32, r *Rule) {
	for b := range r.buffers {
		match := &r.buffers[b]
		if _, ok := rarest(match.steps); !ok || len(match.transforms) > 0 {
			continue
		}
		if h.buffers[match.buffer] == nil {
			h.buffers[match.buffer] = &prefilter{}
		}
		h.buffers[match.buffer].add(i, match.steps)
		return
	}
	h.always = append(h.always, i)
}

// candidates appends the rules of the hook that may match in tx, each possibly more than once.
func (h *hookIndex) candidates(dst []uint32, tx applayer.Tx, seen *sightings) []uint32 {
	dst = append(dst, h.always...)
	for b, p := range h.buffers {
		if p == nil {
			continue
		}
		for n := 0; ; n++ {
			data, ok := tx.Value(applayer.Buffer(b), n)
			if !ok {
				break
			}
			dst = p.candidates(dst, data, seen)
		}
	}
	return dst
}

// index makes the prefilters from the lists of rules.
func (p *RuleSet) index() {
	for class := range p.packet {
		for _, i := range p.packet[class] {
			if r := &p.rules[i]; r.kind == kindStream && !r.alsoPkt {
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
		for _, b := range h.buffers {
			if b != nil {
				b.build()
			}
		}
	}
}
