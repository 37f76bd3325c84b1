package detect

import (
	"github.com/sluicefw/sluice/engine/pcre"
)

// regex is pcre.
type regex struct {
	re       *pcre.Regexp
	negated  bool
	relative bool
	captures []capture
}

func (x *regex) place() place {
	switch {
	case x.relative:
		return placeRelative
	case x.negated:
		return placeNone
	}
	return placeAbsolute
}

// match implements step. A relative pattern sees nothing of what lies before
// the end of the last match.
func (x *regex) match(m *matcher, prev int, rest []step) bool {
	from := 0
	if x.relative {
		from = prev
	}
	if from < 0 || from > len(m.buf.data) {
		return false
	}
	text := m.buf.data[from:]
	again := dependent(rest)
	for start := 0; ; {
		found := x.re.Match(&m.regex, text, start)
		if m.regex.Work <= 0 {
			m.gaveUp++
			return false
		}
		if x.negated {
			return !found && m.next(rest, prev)
		}
		if !found {
			return false
		}
		at, end, _ := m.regex.Group(0)
		if m.tries--; m.tries <= 0 {
			return false
		}
		caught := len(m.net.all)
		x.catch(m, text)
		if m.next(rest, from+end) {
			return true
		}
		m.net.rewind(caught)
		if !again || at >= len(text) {
			return false
		}
		start = at + 1
	}
}

// base64 is base64_decode with what base64_data asks of the result. Without that it never holds, as in Suricata.
type base64 struct {
	bytes    int // 0 for all
	offset   int
	relative bool
	data     []step
}

// place says that no other occurrence is tried for its sake, as in Suricata, also where it is relative.
func (b *base64) place() place { return placeNone }

func (b *base64) match(m *matcher, prev int, rest []step) bool {
	at := b.offset
	if b.relative {
		at = prev + b.offset
	}
	if at < 0 || at >= len(m.buf.data) || len(b.data) == 0 {
		return false
	}
	text := m.buf.data[at:]
	if b.bytes > 0 {
		text = text[:min(b.bytes, len(text))]
	}
	text = text[:min(len(text), maxDecoded)]
	if m.tries -= len(text) / decodedAtOnce; m.tries <= 0 {
		return false
	}
	if m.decoded = decodeBase64(m.decoded[:0], text); len(m.decoded) == 0 {
		return false
	}
	outer := m.buf
	m.buf = buffer{data: m.decoded, ended: true}
	caught := len(m.net.all)
	ok := m.next(b.data, 0)
	m.buf = outer
	if !ok || !m.next(rest, prev) {
		m.net.rewind(caught)
		return false
	}
	return true
}

const (
	maxDecoded    = 65535 // bytes of text that base64_decode decodes
	decodedAtOnce = 256   // of them, how many cost as much as another try of a content
)

// decodeBase64 appends what text stands for, up to the first byte that does not belong, as Suricata does: white space does not,
// padding may stand anywhere, and an incomplete group counts for the bytes that it has begun, unless it is one
// character at the end of the text.
func decodeBase64(dst, text []byte) []byte {
	var group uint32
	n, padding, whole := 0, 0, true
	end := func(bytes int) {
		group <<= 6 * (4 - n)
		dst = append(dst, []byte{byte(group >> 16), byte(group >> 8), byte(group)}[:max(bytes, 0)]...)
		group, n, padding = 0, 0, 0
	}
	for _, c := range text {
		v := base64Value(c)
		if v < 0 {
			if whole = c == '='; !whole {
				break
			}
			v = 0
			padding++
		}
		group = group<<6 | uint32(v)
		if n++; n == 4 {
			end(3 - padding)
		}
	}
	if n > 1 || n == 1 && !whole {
		end(max(1, n-1))
	}
	return dst
}

// base64Value returns what a character stands for, -1 for none.
func base64Value(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
