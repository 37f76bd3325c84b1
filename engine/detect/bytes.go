package detect

import (
	"math/bits"
	"slices"

	"github.com/sluicefw/sluice/rule"
)

// maxVars bounds the byte_extract and byte_math variables of a rule.
const maxVars = 16

// operand is a number, or the variable that holds it.
type operand struct {
	value uint64
	slot  int // -1 for none
}

func (o operand) get(m *matcher) uint64 {
	if o.slot >= 0 {
		return m.vars[o.slot]
	}
	return o.value
}

// byteValue is how a number is read from a buffer.
type byteValue struct {
	bytes    operand
	offset   int
	offsetIn int // the variable that holds offset, or -1
	relative bool
	little   bool
	dce      bool // in the byte order of the transaction
	digits   bool
	base     int
	bitmask  uint64
}

func (v *byteValue) place() place {
	if v.relative {
		return placeRelative
	}
	return placeAbsolute
}

// maxDigits is how many bytes Suricata reads digits from.
const maxDigits = 23

// read returns the number and the index after its last byte; ok is false where
// there is none.
func (v *byteValue) read(m *matcher, prev int) (value uint64, end int, ok bool) {
	at := v.offset
	if v.offsetIn >= 0 {
		at = int(int32(m.vars[v.offsetIn])) // as in Suricata
	}
	if v.relative {
		at += prev
	}
	n := v.bytes.get(m)
	if at < 0 || at > len(m.buf.data) || n > uint64(len(m.buf.data)-at) {
		return 0, 0, false
	}
	field := m.buf.data[at : at+int(n)]
	if v.digits {
		if n == 0 { // as many as there are
			field = m.buf.data[at:min(at+maxDigits, len(m.buf.data))]
		}
		var used int
		if value, used = number(field, v.base); used == 0 {
			return 0, 0, false
		}
		end = at + used
	} else {
		if n > 8 {
			return 0, 0, false
		}
		for i := range field {
			b := field[i]
			if v.little || v.dce && m.little {
				b = field[len(field)-1-i]
			}
			value = value<<8 | uint64(b)
		}
		end = at + int(n)
	}
	return value, end, true
}

// masked is value under the bit mask, shifted down to its lowest bit.
func (v *byteValue) masked(value uint64) uint64 {
	if v.bitmask == 0 {
		return value
	}
	return value & v.bitmask >> bits.TrailingZeros64(v.bitmask)
}

// number reads digits as C's strtoull does: white space and a sign before them,
// and under base 0 a prefix of 0x or 0. used is 0 where there are none, or where they
// stand for a number of more than 64 bits.
func number(text []byte, base int) (value uint64, used int) {
	i := 0
	for i < len(text) && (text[i] == ' ' || text[i] >= '\t' && text[i] <= '\r') {
		i++
	}
	negative := i < len(text) && text[i] == '-'
	if negative || i < len(text) && text[i] == '+' {
		i++
	}
	hex := i+2 < len(text) && text[i] == '0' && lower(text[i+1]) == 'x' && digit(text[i+2]) < 16
	switch {
	case hex && (base == 0 || base == 16):
		base = 16
		i += 2
	case base == 0 && i < len(text) && text[i] == '0':
		base = 8
	case base == 0:
		base = 10
	}
	start, over := i, false
	for ; i < len(text) && digit(text[i]) < base; i++ {
		hi, lo := bits.Mul64(value, uint64(base))
		sum, carry := bits.Add64(lo, uint64(digit(text[i])), 0)
		over = over || hi > 0 || carry > 0
		value = sum
	}
	switch {
	case i == start || over:
		return 0, 0
	case negative:
		value = -value
	}
	return value, i
}

// digit is the value of a digit, or 99.
func digit(b byte) int {
	switch b = lower(b); {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	}
	return 99
}

// byteTest is byte_test.
type byteTest struct {
	byteValue
	negated bool
	op      string
	than    operand
}

func (t *byteTest) place() place {
	if t.relative {
		return placeRelative
	}
	return placeNone
}

func (t *byteTest) match(m *matcher, prev int, rest []step) bool {
	value, _, ok := t.read(m, prev)
	return ok && t.holds(t.masked(value), t.than.get(m)) != t.negated && m.next(rest, prev)
}

func (t *byteTest) holds(value, than uint64) bool {
	switch t.op {
	case "=":
		return value == than
	case "<":
		return value < than
	case ">":
		return value > than
	case "<=":
		return value <= than
	case ">=":
		return value >= than
	case "&":
		return value&than != 0
	}
	return value^than != 0
}

// byteJump is byte_jump.
type byteJump struct {
	byteValue
	multiplier uint64
	align      bool
	from       rule.JumpFrom
	post       int
}

func (j *byteJump) match(m *matcher, prev int, rest []step) bool {
	value, end, ok := j.read(m, prev)
	if !ok {
		return false
	}
	value = j.masked(value) * j.multiplier
	if j.align {
		value = (value + 3) &^ 3
	}
	jump := max(int(value), -maxValue) // digits may follow a minus, which turns the number round
	if jump > maxValue {
		return false
	}
	at := jump + j.post
	switch j.from {
	case rule.JumpFromBeginning:
	case rule.JumpFromEnd:
		at += len(m.buf.data)
	default:
		at += end
	}
	at = max(at, 0) // Suricata lets nobody jump to before the start
	return at <= len(m.buf.data) && m.next(rest, at)
}

// byteExtract is byte_extract.
type byteExtract struct {
	byteValue
	multiplier uint64
	align      uint64 // 0 for not at all
	slot       int
}

func (e *byteExtract) match(m *matcher, prev int, rest []step) bool {
	value, end, ok := e.read(m, prev)
	if !ok {
		return false
	}
	value = e.masked(value) * e.multiplier
	if e.align > 0 {
		value = (value + e.align - 1) &^ (e.align - 1)
	}
	m.vars[e.slot] = value
	return m.next(rest, end)
}

// byteMath is byte_math.
type byteMath struct {
	byteValue
	op   string
	with operand
	slot int
}

func (b *byteMath) match(m *matcher, prev int, rest []step) bool {
	value, end, ok := b.read(m, prev)
	if !ok {
		return false
	}
	with := b.with.get(m)
	switch b.op {
	case "+":
		value += with
	case "-":
		value -= with
	case "*":
		value *= with
	case "/":
		if with == 0 {
			return false
		}
		value /= with
	case "<<":
		value <<= with // 0 from 64 on
	case ">>":
		value >>= with & 63 // as in Suricata on amd64
	}
	m.vars[b.slot] = b.masked(value)
	return m.next(rest, end)
}

// isDataAt is isdataat.
type isDataAt struct {
	negated  bool
	at       operand
	relative bool
}

func (d *isDataAt) place() place {
	if d.relative {
		return placeRelative
	}
	return placeNone
}

func (d *isDataAt) match(m *matcher, prev int, rest []step) bool {
	at := int(min(d.at.get(m), maxValue))
	there := at < len(m.buf.data)
	if d.relative {
		there = prev+at <= len(m.buf.data)
	}
	return there != d.negated && m.next(rest, prev)
}

// absence is absent: it holds where there is no buffer, and in one only with orElse.
type absence struct{ orElse bool }

func (*absence) place() place { return placeNone }

func (s *absence) match(m *matcher, prev int, rest []step) bool {
	return s.orElse && m.next(rest, prev)
}

// absent says whether steps hold where their buffer is not there.
func absent(steps []step) bool {
	return slices.ContainsFunc(steps, func(s step) bool { _, is := s.(*absence); return is })
}

// bufferSize is bsize, and urilen.
type bufferSize struct{ size rule.Numbers }

func (*bufferSize) place() place { return placeNone }

func (s *bufferSize) match(m *matcher, prev int, rest []step) bool {
	return s.size.Has(uint64(len(m.buf.data))) && m.next(rest, prev)
}
