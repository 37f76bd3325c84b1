package rule

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Place is where an option that inspects a buffer looks: Buffer and Transforms
// mean what they do in Content.
type Place struct {
	Buffer     string
	Transforms []Option
}

// Operand is an unsigned number, or the name of a byte_extract or byte_math variable.
type Operand struct {
	Value uint64
	Var   string
}

// ByteValue is how byte_test, byte_jump, byte_extract and byte_math read a number.
type ByteValue struct {
	Place
	Bytes    Operand // how many bytes it takes
	Offset   Num
	Relative bool // Offset counts from the end of the match before
	Little   bool // little endian
	DCE      bool // in the byte order of the DCERPC message
	String   bool // digits, in base Base
	Base     int  // 8, 10, 16, or 0 for C's rules: 0x and 0 before the digits
	Bitmask  uint64
}

// ByteTest is the argument of byte_test.
type ByteTest struct {
	ByteValue
	Negated bool
	Op      string // = < > <= >= & ^
	Value   Operand
}

// JumpFrom is where byte_jump counts from.
type JumpFrom uint8

const (
	JumpFromValue JumpFrom = iota // the end of the bytes that it read
	JumpFromBeginning
	JumpFromEnd
)

// ByteJump is the argument of byte_jump.
type ByteJump struct {
	ByteValue
	Multiplier uint64
	Align      bool // up to the next multiple of 4
	From       JumpFrom
	PostOffset int
}

// ByteExtract is the argument of byte_extract.
type ByteExtract struct {
	ByteValue
	Name       string
	Multiplier uint64
	Align      uint64 // up to the next multiple of 2 or 4, 0 for not at all
}

// ByteMath is the argument of byte_math.
type ByteMath struct {
	ByteValue
	Op     string // + - * / << >>
	RValue Operand
	Name   string // of the result
}

// IsDataAt is the argument of isdataat.
type IsDataAt struct {
	Place
	Negated  bool
	At       Num
	Relative bool
	RawBytes bool
}

// BufferSize is the argument of bsize, or of urilen.
type BufferSize struct {
	Place
	Size Numbers
}

// Absent is the argument of absent: the buffer is not there or, with OrElse, the rest of what is
// asked of it holds.
type Absent struct {
	Place
	OrElse bool
}

// Base64Decode is the argument of base64_decode.
type Base64Decode struct {
	Place
	Bytes    int // how many to decode, 0 for all
	Offset   int
	Relative bool
}

// here is where an option that stands here looks.
func (b *builder) here() Place { return Place{b.buffer, b.transforms} }

// field is one of the comma-separated parts of an argument, trimmed.
type field struct {
	text string
	off  int
}

// word cuts the field at its first white space.
func (f field) word() (word, rest string) {
	if i := strings.IndexAny(f.text, space); i >= 0 {
		return f.text[:i], strings.Trim(f.text[i:], space)
	}
	return f.text, ""
}

func fields(value string) []field {
	var all []field
	off := 0
	for text := range strings.SplitSeq(value, ",") {
		all = append(all, field{strings.Trim(text, space), skipSpace(value, off)})
		off += len(text) + 1
	}
	return all
}

// variable says whether text names a variable that an earlier option sets.
func (b *builder) variable(text string) bool { return b.vars[text] }

// operand reads a number of at most most, in any of C's bases but for byte_math, or a variable.
func (b *builder) operand(name string, f field, most uint64) (Operand, *fault) {
	if b.variable(f.text) {
		return Operand{Var: f.text}, nil
	}
	n, err := strconv.ParseUint(f.text, 0, 64)
	if err != nil || n > most {
		return Operand{}, faultf(f.off, "%s %q is neither a number up to %d nor a variable that byte_extract or byte_math set above", name, clip(f.text), most)
	}
	return Operand{Value: n}, nil
}

// distance reads a signed number of bytes, or a variable.
func (b *builder) distance(name string, f field) (Num, *fault) {
	if b.variable(f.text) {
		return Num{Var: f.text}, nil
	}
	n, fault := number(name, f.text, -math.MaxUint16, math.MaxUint16)
	if fault != nil {
		return Num{}, faultf(f.off, "%s %q is neither a number of at most %d nor a variable that byte_extract or byte_math set above", name, clip(f.text), math.MaxUint16)
	}
	return Num{Value: int(n)}, nil
}

// byteOption reads an option that byte_test and its like share. It reports
// whether it is one.
func (v *ByteValue) byteOption(name string, f field) (bool, *fault) {
	word, rest := f.word()
	word = strings.ToLower(word)
	isMath := name == "byte_math"
	switch {
	case word == "relative" && rest == "":
		v.Relative = true
	case word == "endian" && isMath:
		if rest != "big" && rest != "little" {
			return true, faultf(f.off, "endian %q of byte_math is neither big nor little", clip(rest))
		}
		v.Little = rest == "little"
	case (word == "big" || word == "little") && rest == "" && !isMath:
		v.Little = word == "little"
	case word == "dce" && rest == "":
		v.DCE = true
	case word == "string" && !isMath && rest == "":
		v.String = true
	case word == "string" && isMath:
		base, ok := bases[rest]
		if !ok {
			return true, faultf(f.off, "string of byte_math is followed by hex, dec or oct, not %q", clip(rest))
		}
		v.String, v.Base = true, base
	case bases[word] != 0 && !isMath && rest == "":
		if name == "byte_extract" && !v.String {
			return true, faultf(f.off, "%s of byte_extract follows string; write string,%s", word, word)
		}
		v.Base = bases[word]
	case word == "bitmask" && (isMath || name == "byte_test"):
		text, hex := strings.CutPrefix(strings.ToLower(rest), "0x")
		n, err := strconv.ParseUint(text, 16, 32)
		if err != nil || !hex && !isMath {
			return true, faultf(f.off, "bitmask %q of %s is not a hexadecimal number of at most 32 bits, such as 0xff", clip(rest), name)
		}
		v.Bitmask = n
	default:
		return false, nil
	}
	return true, nil
}

var bases = map[string]int{"hex": 16, "dec": 10, "oct": 8}

// check says what is wrong with the number of bytes, or "".
func (v *ByteValue) check(name string) string {
	switch n := v.Bytes.Value; {
	case v.Base != 0 && !v.String:
		return name + " has a base but no string; add string, or leave the base out"
	case v.Bytes.Var != "", name == "byte_math":
		return ""
	case v.String && n > maxDigits:
		return fmt.Sprintf("%s reads at most %d digits; use fewer bytes", name, maxDigits)
	case !v.String && n > 8:
		return name + " reads at most 8 bytes as a number; use fewer, or string for digits"
	}
	return ""
}

// maxDigits is how long a number in digits may be: 2^64-1 in octal, and a sign.
const maxDigits = 23

// head reads the first parts of an argument: the number of bytes and the offset.
func (b *builder) head(v *ByteValue, name string, all []field, bytes, offset int) (f *fault) {
	if v.Bytes, f = b.operand("the number of bytes of "+name, all[bytes], maxDigits); f != nil {
		return f
	}
	v.Offset, f = b.distance("the offset of "+name, all[offset])
	return f
}

func unknownOption(name string, f field) *fault {
	return faultf(f.off, "unknown option %q of %s", clip(f.text), name)
}

func (b *builder) parseByteTest(value string) (*ByteTest, *fault) {
	all := fields(value)
	if len(all) < 4 {
		return nil, faultf(0, "byte_test needs at least bytes, operator, value and offset, as in byte_test:2,>,100,0")
	}
	t := &ByteTest{ByteValue: ByteValue{Place: b.here()}}
	f := b.head(&t.ByteValue, "byte_test", all, 0, 3)
	if f != nil {
		return nil, f
	}
	t.Op, t.Negated = strings.CutPrefix(all[1].text, "!")
	t.Op = strings.Trim(t.Op, space)
	switch t.Op {
	case "":
		if !t.Negated {
			return nil, faultf(all[1].off, "byte_test has no operator; use = < > <= >= & or ^, with ! before it to negate")
		}
		t.Op = "="
	case "=", "<", ">", "<=", ">=", "&", "^":
	default:
		return nil, faultf(all[1].off, "unknown operator %q of byte_test; use = < > <= >= & or ^, with ! before it to negate", clip(all[1].text))
	}
	if n, err := strconv.ParseInt(all[2].text, 10, 64); err == nil && n < 0 {
		t.Value.Value = uint64(n) // two's complement, as in Suricata
	} else if t.Value, f = b.operand("the value of byte_test", all[2], math.MaxUint64); f != nil {
		return nil, f
	}
	for _, o := range all[4:] {
		if ok, f := t.byteOption("byte_test", o); f != nil || !ok {
			return nil, orUnknown(f, "byte_test", o)
		}
	}
	return t, wrong(t.check("byte_test"))
}

func orUnknown(f *fault, name string, o field) *fault {
	if f != nil {
		return f
	}
	return unknownOption(name, o)
}

func wrong(msg string) *fault {
	if msg == "" {
		return nil
	}
	return faultf(0, "%s", msg)
}

// multiplier reads the number after multiplier.
func multiplier(name string, f field, rest string) (uint64, *fault) {
	n, err := strconv.ParseUint(rest, 10, 16)
	if err != nil || n == 0 {
		return 0, faultf(f.off, "multiplier %q of %s is not a number between 1 and 65535", clip(rest), name)
	}
	return n, nil
}

func (b *builder) parseByteJump(value string) (*ByteJump, *fault) {
	all := fields(value)
	if len(all) < 2 {
		return nil, faultf(0, "byte_jump needs at least bytes and offset, as in byte_jump:2,0")
	}
	j := &ByteJump{ByteValue: ByteValue{Place: b.here()}, Multiplier: 1}
	if f := b.head(&j.ByteValue, "byte_jump", all, 0, 1); f != nil {
		return nil, f
	}
	for _, o := range all[2:] {
		var f *fault
		switch word, rest := o.word(); strings.ToLower(word) {
		case "multiplier":
			j.Multiplier, f = multiplier("byte_jump", o, rest)
		case "align":
			if j.Align = true; rest != "" {
				f = faultf(o.off, "align of byte_jump takes no number; leave it out")
			}
		case "from_beginning", "from_end":
			if j.From != JumpFromValue {
				return nil, faultf(o.off, "byte_jump counts from one place; keep one of from_beginning and from_end")
			}
			if j.From = JumpFromBeginning; word == "from_end" {
				j.From = JumpFromEnd
			}
		case "post_offset":
			var n int64
			if n, f = number("post_offset of byte_jump", rest, -math.MaxUint16, math.MaxUint16); f != nil {
				f.off = o.off
			}
			j.PostOffset = int(n)
		default:
			var ok bool
			if ok, f = j.byteOption("byte_jump", o); !ok {
				f = orUnknown(f, "byte_jump", o)
			}
		}
		if f != nil {
			return nil, f
		}
	}
	return j, wrong(j.check("byte_jump"))
}

func (b *builder) parseByteExtract(value string) (*ByteExtract, *fault) {
	all := fields(value)
	if len(all) < 3 {
		return nil, faultf(0, "byte_extract needs at least bytes, offset and name, as in byte_extract:2,0,length")
	}
	e := &ByteExtract{ByteValue: ByteValue{Place: b.here()}, Multiplier: 1, Name: all[2].text}
	if f := b.head(&e.ByteValue, "byte_extract", all, 0, 1); f != nil {
		return nil, f
	}
	if !isVariable(e.Name) {
		return nil, faultf(all[2].off, "%q cannot name a variable; use letters, digits, _, . and -", clip(e.Name))
	}
	order := -1 // offset of big or little
	for _, o := range all[3:] {
		var f *fault
		if o.text == "big" || o.text == "little" {
			order = o.off
		}
		switch word, rest := o.word(); strings.ToLower(word) {
		case "multiplier":
			e.Multiplier, f = multiplier("byte_extract", o, rest)
		case "align":
			if rest != "2" && rest != "4" {
				return nil, faultf(o.off, "align of byte_extract is 2 or 4, not %q", clip(rest))
			}
			e.Align = uint64(rest[0] - '0')
		default:
			var ok bool
			if ok, f = e.byteOption("byte_extract", o); !ok {
				f = orUnknown(f, "byte_extract", o)
			}
		}
		if f != nil {
			return nil, f
		}
	}
	if e.String && order >= 0 {
		return nil, faultf(order, "byte_extract reads digits, which have no byte order; leave it out")
	}
	b.vars[e.Name] = true
	return e, wrong(e.check("byte_extract"))
}

func (b *builder) parseByteMath(value string) (*ByteMath, *fault) {
	m := &ByteMath{ByteValue: ByteValue{Place: b.here()}}
	given := map[string]bool{}
	for _, o := range fields(value) {
		word, rest := o.word()
		word = strings.ToLower(word)
		arg := field{rest, o.off + len(o.text) - len(rest)}
		if given[word] {
			return nil, faultf(o.off, "byte_math has two %s; keep one", clip(word))
		}
		given[word] = true
		var f *fault
		switch word {
		case "bytes":
			m.Bytes, f = b.operand("the number of bytes of byte_math", arg, 10)
		case "offset":
			m.Offset, f = b.distance("the offset of byte_math", arg)
		case "oper":
			m.Op = rest
			if !strings.Contains("+ - * / << >>", rest) || strings.Contains(rest, " ") || rest == "" || rest == "<" || rest == ">" {
				f = faultf(arg.off, "unknown operator %q of byte_math; use + - * / << or >>", clip(rest))
			}
		case "rvalue":
			m.RValue, f = b.operand("rvalue of byte_math", arg, math.MaxUint32)
		case "result":
			m.Name = rest
			if !isVariable(rest) {
				f = faultf(arg.off, "%q cannot name a variable; use letters, digits, _, . and -", clip(rest))
			}
		default:
			var ok bool
			if ok, f = m.byteOption("byte_math", o); !ok {
				f = orUnknown(f, "byte_math", o)
			}
		}
		if f != nil {
			return nil, f
		}
	}
	for _, must := range []string{"bytes", "offset", "oper", "rvalue", "result"} {
		if !given[must] {
			return nil, faultf(0, "byte_math has no %s; give bytes, offset, oper, rvalue and result", must)
		}
	}
	switch {
	case m.Bytes.Var == "" && m.Bytes.Value == 0:
		return nil, faultf(0, "byte_math reads no bytes; use at least 1")
	}
	b.vars[m.Name] = true
	return m, wrong(m.check("byte_math"))
}

// isVariable says whether a variable can have the name: one that a content's offset can be told from.
func isVariable(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	_, err := strconv.ParseInt(name, 0, 64)
	return name != "" && len(name) <= 64 && err != nil
}

func (b *builder) parseIsDataAt(value string) (*IsDataAt, *fault) {
	d := &IsDataAt{Place: b.here()}
	all := fields(value)
	at := all[0]
	if rest, ok := strings.CutPrefix(at.text, "!"); ok {
		d.Negated = true
		at = field{strings.Trim(rest, space), at.off + 1}
	}
	var f *fault
	if b.variable(at.text) {
		d.At.Var = at.text
	} else if n, f := number("isdataat", at.text, 0, math.MaxUint16); f != nil {
		return nil, f.shift(at.off)
	} else {
		d.At.Value = int(n)
	}
	for _, o := range all[1:] {
		switch o.text {
		case "relative":
			d.Relative = true
		case "rawbytes":
			if !d.Relative {
				return nil, faultf(o.off, "rawbytes of isdataat follows relative; write relative before it or leave it out")
			}
			d.RawBytes = true
		default:
			return nil, unknownOption("isdataat", o)
		}
	}
	return d, f
}

func (b *builder) parseBufferSize(o *Option) (*BufferSize, *fault) {
	s := &BufferSize{Place: b.here()}
	value, most := o.Value, uint64(math.MaxUint64)
	if o.Name == "urilen" {
		var form string
		value, form, _ = strings.Cut(value, ",")
		value, most = strings.Trim(value, space), math.MaxUint16
		switch form = strings.Trim(form, space); form {
		case "", "norm":
			s.Place = Place{Buffer: "http.uri"}
		case "raw":
			s.Place = Place{Buffer: "http.uri.raw"}
		default:
			return nil, faultf(0, "urilen counts norm or raw, not %q", clip(form))
		}
	} else if b.bufferName == "" {
		return nil, faultf(atKeyword, "bsize does not follow a sticky buffer; put one such as http.uri before it, or use dsize for the payload")
	}
	var f *fault
	s.Size, f = compareNumbers(o.Name, value, most)
	return s, f
}

func (b *builder) parseAbsent(value string) (*Absent, *fault) {
	a := &Absent{Place: b.here()}
	switch {
	case b.bufferName == "":
		return nil, faultf(atKeyword, "absent does not follow a sticky buffer; put one such as http.referer before it")
	case value != "" && value != "or_else":
		return nil, faultf(0, "absent takes or_else or nothing, not %q", clip(value))
	}
	a.OrElse = value != ""
	return a, nil
}

func (b *builder) parseBase64Decode(value string) (*Base64Decode, *fault) {
	d := &Base64Decode{Place: b.here()}
	if value == "" {
		return d, nil
	}
	for _, o := range fields(value) {
		word, rest := o.word()
		var n int64
		var f *fault
		switch word {
		case "bytes":
			n, f = number("bytes of base64_decode", rest, 0, math.MaxUint16)
			d.Bytes = int(n)
		case "offset":
			n, f = number("offset of base64_decode", rest, 0, math.MaxUint16)
			d.Offset = int(n)
		case "relative":
			d.Relative = true
		default:
			return nil, unknownOption("base64_decode", o)
		}
		if f != nil {
			f.off = o.off
			return nil, f
		}
	}
	return d, nil
}
