package eve

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluicefw/sluice/engine/packet"
)

// object is a JSON object that grows at the end of b. It lives on the stack;
// comma says whether the next member needs one before it.
type object struct {
	b     []byte
	comma bool
}

func start(dst []byte) object { return object{b: append(dst, '{')} }

// end closes the outermost object and returns the buffer.
func (o *object) end() []byte { return append(o.b, '}') }

// key starts a member whose name needs no escapes: one of our own.
func (o *object) key(k string) {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
	o.b = append(o.b, '"')
	o.b = append(o.b, k...)
	o.b = append(o.b, '"', ':')
}

// foreignKey starts a member whose name may hold any bytes.
func (o *object) foreignKey(k string) {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
	o.b = append(appendString(o.b, k), ':')
}

// printableKey starts a member whose name is written as text, whatever it holds.
func (o *object) printableKey(k []byte) {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
	o.b = append(appendPrintable(o.b, k), ':')
}

func (o *object) open(k string) {
	o.key(k)
	o.openElement()
}

// openElement opens an object that is no member, so has no key: one of an array.
func (o *object) openElement() {
	o.b = append(o.b, '{')
	o.comma = false
}

// array opens an array. Each of its members begins with element.
func (o *object) array(k string) {
	o.key(k)
	o.b = append(o.b, '[')
	o.comma = false
}

func (o *object) element() {
	if o.comma {
		o.b = append(o.b, ',')
	}
	o.comma = true
}

func (o *object) closeArray() {
	o.b = append(o.b, ']')
	o.comma = true
}

func (o *object) close() {
	o.b = append(o.b, '}')
	o.comma = true
}

func (o *object) str(k, v string) {
	o.key(k)
	o.b = appendString(o.b, v)
}

func (o *object) optStr(k, v string) {
	if v != "" {
		o.str(k, v)
	}
}

// bytes writes bytes from the network as a string.
func (o *object) bytes(k string, v []byte) {
	o.key(k)
	o.b = appendString(o.b, v)
}

// optBytes writes bytes from the network as a string, unless there are none.
func (o *object) optBytes(k string, v []byte) {
	if len(v) > 0 {
		o.bytes(k, v)
	}
}

// hex writes bytes as a string of hexadecimal digits.
func (o *object) hex(k string, v []byte) {
	o.key(k)
	o.b = append(hex.AppendEncode(append(o.b, '"'), v), '"')
}

func (o *object) uint(k string, v uint64) {
	o.key(k)
	o.uintValue(v)
}

func (o *object) uintValue(v uint64) { o.b = strconv.AppendUint(o.b, v, 10) }

func (o *object) int(k string, v int64) {
	o.key(k)
	o.b = strconv.AppendInt(o.b, v, 10)
}

func (o *object) bool(k string, v bool) {
	o.key(k)
	o.b = strconv.AppendBool(o.b, v)
}

func (o *object) optBool(k string, v bool) {
	if v {
		o.bool(k, true)
	}
}

func (o *object) addr(k string, a packet.Addr) {
	o.key(k)
	o.b = append(o.b, '"')
	o.b = appendAddr(o.b, a)
	o.b = append(o.b, '"')
}

// time writes nanoseconds since 1970 as 2025-07-13T15:09:34.606289+0000.
func (o *object) time(k string, ns int64) {
	o.key(k)
	o.b = appendDateTime(append(o.b, '"'), ns)
	us := uint64(time.Unix(0, ns).Nanosecond()) / 1000
	o.b = append(o.b, '.')
	o.b = appendDigits(o.b, us, 6)
	o.b = append(o.b, `+0000"`...)
}

// certTime writes nanoseconds since 1970 to the second and without a zone, as
// certificate dates stand in EVE.
func (o *object) certTime(k string, ns int64) {
	o.key(k)
	o.b = append(appendDateTime(append(o.b, '"'), ns), '"')
}

// hexByte writes v as a string of two hexadecimal digits.
func (o *object) hexByte(k string, v uint8) {
	o.key(k)
	o.b = append(o.b, '"', hexDigits[v>>4], hexDigits[v&15], '"')
}

const hexDigits = "0123456789abcdef"

// appendDateTime is several times faster than time.AppendFormat, which parses
// its layout each time.
func appendDateTime(b []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	hour, minute, sec := t.Clock()
	b = append(appendDigits(b, uint64(year), 4), '-')
	b = append(appendDigits(b, uint64(month), 2), '-')
	b = append(appendDigits(b, uint64(day), 2), 'T')
	b = append(appendDigits(b, uint64(hour), 2), ':')
	b = append(appendDigits(b, uint64(minute), 2), ':')
	return appendDigits(b, uint64(sec), 2)
}

// appendDigits appends v in exactly n digits.
func appendDigits(b []byte, v uint64, n int) []byte {
	for range n {
		b = append(b, '0')
	}
	for i := len(b) - 1; n > 0; i, n = i-1, n-1 {
		b[i] = byte('0' + v%10)
		v /= 10
	}
	return b
}

// appendAddr writes IPv4 as usual and IPv6 as Suricata does: eight groups of
// four digits, nothing abbreviated.
func appendAddr(b []byte, a packet.Addr) []byte {
	if ip := a.Netip(); ip.Is4() {
		return ip.AppendTo(b)
	}
	return appendGroups(b, a[:])
}

// appendGroups appends bytes in groups of four digits.
func appendGroups(b, a []byte) []byte {
	for i, v := range a {
		if i > 0 && i%2 == 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[v>>4], hexDigits[v&15])
	}
	return b
}

// appendString appends s as a JSON string. A string that is not UTF-8 is
// shown as Suricata shows it: every byte above 0x7f becomes the four
// characters \xHH, so the text tells which bytes were there.
func appendString[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			b = append(b, s[:i]...)
			return append(appendEscaped(b, s[i:]), '"')
		}
	}
	return append(append(b, s...), '"')
}

// appendEscaped appends s, whose bytes may need escapes, without quotes.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	valid := validUTF8(s)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c >= utf8.RuneSelf && !valid:
			b = append(b, '\\', '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

func validUTF8[T string | []byte](s T) bool {
	switch s := any(s).(type) {
	case string:
		return utf8.ValidString(s)
	case []byte:
		return utf8.Valid(s)
	}
	return false
}
