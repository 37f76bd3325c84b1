package pcre

import "bytes"

// Matcher is the memory of a worker's matches. The zero value is ready; Work
// has to be set before each text.
type Matcher struct {
	Work int // steps that are left; Match gives up at 0

	text   []byte
	start  int // of the search
	slots  []int
	frames []frame

	cur   int32 // index of the innermost call, or -1
	calls []calling
	saved []int // the slots as they were before each of calls
}

// frameKind says how a choice is tried again.
type frameKind uint8

const (
	frameTry    frameKind = iota // go on at pc, pos
	frameUndo                    // put pos back into slot pc, and try the frame before
	frameGreedy                  // a run that ends at pos may end earlier, down to limit; go on at pc
	frameCall                    // the innermost call is pc of the first pos; try the frame before
	frameLazy                    // a run of pc-1 that ends at pos may take more, up to limit
)

type frame struct {
	kind  frameKind
	pc    int32
	pos   int32
	limit int32
}

// Match looks for the first match that begins at start or later. A false result
// with no work left says that it is not known whether there is one.
func (re *Regexp) Match(m *Matcher, text []byte, start int) bool {
	m.text, m.start = text, start
	if cap(m.slots) < re.slots {
		m.slots = make([]int, re.slots)
	}
	m.slots = m.slots[:re.slots]
	if !re.holds(m, start) {
		return false
	}
	for at := start; ; at++ {
		if at = re.next(m, at); at < 0 || re.atStart && at > 0 || re.anchored && at > start {
			return false
		}
		for i := range m.slots {
			m.slots[i] = -1
		}
		m.Work -= len(m.slots) / scanned
		m.frames = m.frames[:0]
		m.cur, m.calls, m.saved = -1, m.calls[:0], m.saved[:0]
		if end := re.run(m, 0, at, 0); end >= 0 {
			m.slots[0], m.slots[1] = min(max(m.slots[0], at), end), end // \K may have set the first
			return true
		}
		if m.Work <= 0 {
			m.Work = 0
			return false
		}
	}
}

// Group returns where group i of the last match begins and ends; ok is false if
// it took no part. Group 0 is the whole match.
func (m *Matcher) Group(i int) (from, to int, ok bool) {
	if 2*i+1 >= len(m.slots) || m.slots[2*i] < 0 || m.slots[2*i+1] < 0 {
		return 0, 0, false
	}
	return m.slots[2*i], m.slots[2*i+1], true
}

// scanned is how many bytes of a plain search count as one step, and how many slots that are set or compared.
const scanned = 32

// holds says whether the text has what every match has.
func (re *Regexp) holds(m *Matcher, start int) bool {
	if len(m.text)-start < re.least {
		return false
	}
	m.Work -= (len(m.text) - start) / scanned
	switch {
	case len(re.must) == 0 || len(re.prefix) == len(re.must):
		return true
	case re.mustFold:
		return m.findsFold(m.text[start:], re.must)
	}
	return bytes.Contains(m.text[start:], re.must)
}

// next returns the first place from at on where a match can begin, or -1.
func (re *Regexp) next(m *Matcher, at int) int {
	if len(m.text)-at < re.least || m.Work <= 0 {
		return -1
	}
	switch {
	case re.anchored || re.atStart:
		return at
	case len(re.prefix) > 0:
		i := bytes.Index(m.text[at:], re.prefix)
		if i < 0 {
			return -1
		}
		m.Work -= i / scanned
		return at + i
	case re.first != nil:
		for i, b := range m.text[at:] {
			if re.first.has(b) {
				m.Work -= i / scanned
				return at + i
			}
		}
		return -1
	}
	return at
}

// run matches the code from pc on at pos, and returns where the match ends, or
// -1. Choices below frame base are not its own; those of a success stay.
func (re *Regexp) run(m *Matcher, pc, pos, base int) int {
	text := m.text
	for {
		if m.Work--; m.Work <= 0 {
			return -1
		}
		ok := true
		switch in := &re.code[pc]; in.op {
		case opLit:
			end := pos + len(in.lit)
			if ok = end <= len(text); ok {
				if in.fold {
					ok = m.equalFold(text[pos:end], in.lit)
				} else {
					ok = bytes.Equal(text[pos:end], in.lit)
				}
			}
			pos = end
			pc++
		case opSet:
			ok = pos < len(text) && in.set.has(text[pos])
			pos++
			pc++
		case opRun:
			pos, ok = re.runOf(m, in, pc, pos)
			pc++
		case opSplit:
			m.push(frame{frameTry, int32(in.y), int32(pos), 0})
			pc = in.x
		case opJump:
			pc = in.x
		case opSave:
			m.note(in.x, pos)
			pc++
		case opClose:
			m.note(2*in.x, m.slots[in.y])
			m.note(2*in.x+1, pos)
			pc++
		case opAssert:
			ok = m.asserts(in.assert, pos)
			pc++
		case opBackref:
			pos, ok = m.backref(in, pos)
			pc++
		case opBack:
			pos -= in.x
			ok = pos >= 0
			pc++
		case opCheck:
			if m.slots[in.x] == pos {
				pc = in.y
			} else {
				pc++
			}
		case opLook:
			mark := len(m.frames)
			end := re.run(m, pc+1, pos, mark)
			if m.Work <= 0 {
				return -1
			}
			ok = (end >= 0) != in.negated
			if end >= 0 && in.negated {
				m.rewind(mark)
			} else if end >= 0 {
				m.commit(mark)
			}
			pc = in.x
		case opAtomic:
			mark := len(m.frames)
			end := re.run(m, pc+1, pos, mark)
			if ok = end >= 0; ok {
				m.commit(mark)
				pos = end
			}
			pc = in.x
		case opCall:
			m.enter(in.x, pc+1, pos)
			pc = in.y
		case opRet:
			if pc++; m.within(in.x) {
				pc = m.leave()
			}
		case opCond:
			if pc++; !m.condition(in) {
				pc = in.y
			}
		case opKeep:
			m.note(0, pos)
			pc++
		case opMatch:
			if !m.within(0) {
				return pos
			}
			pc = m.leave()
		case opDone:
			return pos
		}
		if ok {
			continue
		}
		if pc, pos = re.backtrack(m, base); pc < 0 {
			return -1
		}
	}
}

func (m *Matcher) push(f frame) {
	if len(m.frames) >= maxFrames {
		m.Work = 0
		return
	}
	m.frames = append(m.frames, f)
}

// note writes a slot so that going back undoes it.
func (m *Matcher) note(slot, pos int) {
	m.push(frame{frameUndo, int32(slot), int32(m.slots[slot]), 0})
	m.slots[slot] = pos
}

// runOf takes a run of bytes, and notes the other lengths that it could have.
func (re *Regexp) runOf(m *Matcher, in *inst, pc, pos int) (end int, ok bool) {
	rest := m.text[pos:]
	if in.y >= 0 && len(rest) > in.y {
		rest = rest[:in.y]
	}
	most := rest
	if in.mode == lazy {
		most = rest[:min(in.x, len(rest))]
	}
	n := 0
	for n < len(most) && in.set.has(most[n]) {
		n++
	}
	m.Work -= n / scanned
	switch {
	case n < in.x:
		return pos, false
	case in.mode == greedy && n > in.x:
		m.push(frame{frameGreedy, int32(pc + 1), int32(pos + n), int32(pos + in.x)})
	case in.mode == lazy && n < len(rest):
		m.push(frame{frameLazy, int32(pc + 1), int32(pos + n), int32(pos + len(rest))})
	}
	return pos + n, true
}

// backtrack takes up the last choice above base, and returns where to go on; pc
// is -1 when there is none.
func (re *Regexp) backtrack(m *Matcher, base int) (pc, pos int) {
	for len(m.frames) > base {
		last := len(m.frames) - 1
		f := &m.frames[last]
		switch f.kind {
		case frameUndo:
			m.slots[f.pc] = int(f.pos)
			m.frames = m.frames[:last]
		case frameCall:
			m.recall(*f)
			m.frames = m.frames[:last]
		case frameTry:
			m.frames = m.frames[:last]
			return int(f.pc), int(f.pos)
		case frameGreedy:
			pc, from := int(f.pc), int(f.pos)
			at := from - 1
			// Only where the literal that follows stands is it worth a try.
			if in := &re.code[pc]; in.op == opLit && !in.fold {
				i := bytes.LastIndexByte(m.text[f.limit:min(from, len(m.text))], in.lit[0])
				m.Work -= (from - int(f.limit) - i) / scanned
				if i < 0 {
					m.frames = m.frames[:last]
					continue
				}
				at = int(f.limit) + i
			}
			if at <= int(f.limit) {
				m.frames = m.frames[:last]
			} else {
				f.pos = int32(at)
			}
			return pc, at
		case frameLazy:
			at := int(f.pos)
			if at >= int(f.limit) || !re.code[f.pc-1].set.has(m.text[at]) {
				m.frames = m.frames[:last]
				continue
			}
			f.pos++
			return int(f.pc), at + 1
		}
	}
	return -1, 0
}

// commit drops the choices from mark on, but keeps what puts slots and calls back.
func (m *Matcher) commit(mark int) {
	kept := m.frames[:mark]
	for _, f := range m.frames[mark:] {
		if f.kind == frameUndo || f.kind == frameCall {
			kept = append(kept, f)
		}
	}
	m.frames = kept
}

// rewind drops the choices from mark on and puts slots and calls back.
func (m *Matcher) rewind(mark int) {
	for i := len(m.frames) - 1; i >= mark; i-- {
		switch f := &m.frames[i]; f.kind {
		case frameUndo:
			m.slots[f.pc] = int(f.pos)
		case frameCall:
			m.recall(*f)
		}
	}
	m.frames = m.frames[:mark]
}

// backref takes again what a group took. A group that took no part fails.
func (m *Matcher) backref(in *inst, pos int) (end int, ok bool) {
	from, to, ok := m.Group(in.x)
	end = pos + to - from
	if !ok || end > len(m.text) {
		return pos, false
	}
	m.Work -= (to - from) / scanned
	if !in.fold {
		return end, bytes.Equal(m.text[from:to], m.text[pos:end])
	}
	for i := range to - from {
		if lower(m.text[from+i]) != lower(m.text[pos+i]) {
			return pos, false
		}
	}
	return end, true
}

func (m *Matcher) asserts(a assertion, pos int) bool {
	text := m.text
	switch a {
	case searchStart:
		return pos == m.start
	case textStart:
		return pos == 0
	case lineStart: // not after a newline that ends the text
		return pos == 0 || pos < len(text) && text[pos-1] == '\n'
	case textEnd:
		return pos == len(text)
	case textEndOrNL:
		return pos == len(text) || pos == len(text)-1 && text[pos] == '\n'
	case lineEnd:
		return pos == len(text) || text[pos] == '\n'
	}
	before := pos > 0 && words.has(text[pos-1])
	after := pos < len(text) && words.has(text[pos])
	return (before != after) == (a == wordBoundary)
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// equalFold compares b with lit, which is in lower case and as long.
func (m *Matcher) equalFold(b, lit []byte) bool {
	for i, x := range lit {
		if lower(b[i]) != x {
			m.Work -= i / scanned
			return false
		}
	}
	m.Work -= len(lit) / scanned
	return true
}

// findsFold looks for lit, which is in lower case, while there is work left.
func (m *Matcher) findsFold(text, lit []byte) bool {
	for i := 0; i+len(lit) <= len(text) && m.Work > 0; i++ {
		if lower(text[i]) == lit[0] && m.equalFold(text[i:i+len(lit)], lit) {
			return true
		}
	}
	return false
}
