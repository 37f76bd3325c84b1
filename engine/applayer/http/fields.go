package http

import (
	"bytes"
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
)

// Bounds of a header section, those of libhtp.
const (
	maxLine       = 18000 // bytes of a line, with what it continues
	maxFields     = 1024  // fields of different names
	maxRepetition = 64    // values that are joined to others, of all fields together
)

// span is a part of a text.
type span struct{ from, to int }

func (s span) of(text []byte) []byte { return text[s.from:s.to] }

// field is one name of a header section.
type field struct {
	hash     uint32
	name     span
	value    span
	repeated bool // there was more than one; value is the first until join
	folded   bool
}

// fields are those of a header section, and of its trailer.
type fields struct {
	text  []byte // what spans are of
	list  []field
	more  []repetition
	joins int // of all fields, at most maxRepetition
}

// repetition is another value of a field.
type repetition struct {
	field int
	value span
}

func (f *fields) reset() {
	f.text, f.list, f.more, f.joins = applayer.Recycle(f.text, keepBuffer), applayer.Recycle(f.list, keepBuffer/16), applayer.Recycle(f.more, keepBuffer/16), 0
}

func (f *fields) memory() int { return cap(f.text) + cap(f.list)*48 + cap(f.more)*24 }

// put copies bytes to the text.
func (f *fields) put(b []byte) span {
	from := len(f.text)
	f.text = append(f.text, b...)
	return span{from, len(f.text)}
}

// find returns the index of the field of exactly this name, in any case, or -1.
func (f *fields) find(name []byte, hash uint32) int {
	for i := range f.list {
		if f.list[i].hash == hash && bytes.EqualFold(f.list[i].name.of(f.text), name) {
			return i
		}
	}
	return -1
}

// added says what became of a field.
type added uint8

const (
	addedNew added = iota
	addedAgain
	addedTooMany // there are maxFields: it was left out
	addedIgnored // it had been repeated too often
)

// add takes in a field. Values of a repeated one are joined later, but those that keep says not to.
func (f *fields) add(name, value []byte, folded bool) (added, int) {
	hash := hashOf(name)
	i := f.find(name, hash)
	if i < 0 {
		if len(f.list) >= maxFields {
			return addedTooMany, -1
		}
		f.list = append(f.list, field{hash: hash, name: f.put(name), value: f.put(value), folded: folded})
		return addedNew, len(f.list) - 1
	}
	h := &f.list[i]
	if h.repeated {
		if f.joins >= maxRepetition {
			return addedIgnored, i
		}
		f.joins++
	}
	return addedAgain, i
}

// repeat joins another value to field i.
func (f *fields) repeat(i int, value []byte) {
	f.list[i].repeated = true
	if !bytes.EqualFold(f.list[i].name.of(f.text), contentLength) {
		f.more = append(f.more, repetition{i, f.put(value)})
	}
}

// join puts the values of repeated fields together, with commas between them.
func (f *fields) join() {
	slices.SortStableFunc(f.more, func(a, b repetition) int { return a.field - b.field })
	for n := 0; n < len(f.more); {
		i := f.more[n].field
		from := len(f.text)
		f.text = append(f.text, f.list[i].value.of(f.text)...)
		for ; n < len(f.more) && f.more[n].field == i; n++ {
			f.text = append(f.text, ", "...)
			f.text = append(f.text, f.more[n].value.of(f.text)...)
		}
		f.list[i].value = span{from, len(f.text)}
	}
	f.more = f.more[:0]
}

// get returns the field of a name in lower case, NUL bytes in it ignored as libhtp does.
func (f *fields) get(name []byte) *field {
	for i := range f.list {
		if equalFold(f.list[i].name.of(f.text), name) {
			return &f.list[i]
		}
	}
	return nil
}

// value returns the value of the field of a name in lower case.
func (f *fields) value(name []byte) (value []byte, ok bool) {
	if h := f.get(name); h != nil {
		return h.value.of(f.text), true
	}
	return nil, false
}

// Names of fields that are acted on.
var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
	contentEncoding  = []byte("content-encoding")
	contentType      = []byte("content-type")
	contentRange     = []byte("content-range")
	contentDispo     = []byte("content-disposition")
	fieldHost        = []byte("host")
	fieldUpgrade     = []byte("upgrade")
	fieldExpect      = []byte("expect")
	fieldAuth        = []byte("authorization")
	fieldCookie      = []byte("cookie")
	fieldSetCookie   = []byte("set-cookie")
	fieldUserAgent   = []byte("user-agent")
	fieldReferer     = []byte("referer")
	fieldAccept      = []byte("accept")
	fieldAcceptLang  = []byte("accept-language")
	fieldAcceptEnc   = []byte("accept-encoding")
	fieldConnection  = []byte("connection")
	fieldServer      = []byte("server")
	fieldLocation    = []byte("location")
)

// equalFold compares b, without its NUL bytes, with a text in lower case.
func equalFold(b, lower []byte) bool {
	if len(b) < len(lower) {
		return false
	}
	n := 0
	for _, c := range b {
		if c == 0 {
			continue
		}
		if n == len(lower) || lowerByte(c) != lower[n] {
			return false
		}
		n++
	}
	return n == len(lower)
}

// containsFold says whether a text in lower case is in b, without its NUL bytes.
func containsFold(b, lower []byte) bool {
	for ; len(b) > 0; b = b[1:] {
		n := 0
		for _, c := range b {
			if c == 0 {
				continue
			}
			if lowerByte(c) != lower[n] {
				break
			}
			if n++; n == len(lower) {
				return true
			}
		}
	}
	return false
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// hashOf is FNV-1a of b in lower case.
func hashOf(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(lowerByte(c))) * 16777619
	}
	return h
}

// keepBuffer is the capacity of a buffer that outlives its transaction.
const keepBuffer = 4 << 10

// Character classes, as C has them for ASCII.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// isToken says whether c can stand in a field name (RFC 2616, 2.2).
func isToken(c byte) bool {
	return c >= 32 && c <= 126 && bytes.IndexByte(separators, c) < 0
}

var separators = []byte("()<>@,;:\\\"/[]?={} \t")

// chomp removes line ends: LF, and CR before each.
func chomp(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
		if len(b) > 0 && b[len(b)-1] == '\r' {
			b = b[:len(b)-1]
		}
	}
	return b
}
