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

// base64 is base64_decode with what base64_data asks of the result.
type base64 struct {
	bytes    int // 0 for all
	offset   int
	relative bool
	data     []step
}

func (b *base64) place() place {
	if b.relative {
		return placeRelative
	}
	return placeNone
}

func (b *base64) match(m *matcher, prev int, rest []step) bool {
	at := b.offset
	if b.relative {
		at = prev + b.offset
	}
	if at < 0 || at >= len(m.buf.data) {
		return false
	}
	text := m.buf.data[at:]
	if b.bytes > 0 {
		text = text[:min(b.bytes, len(text))]
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

// maxDecoded bounds what base64_decode decodes, in bytes of text.
const maxDecoded = 65535

// decodeBase64 appends what text stands for, up to the first byte that does not
// belong; white space is skipped. An incomplete group at the end counts for the whole bytes
// that it has.
func decodeBase64(dst, text []byte) []byte {
	var group uint32
	n := 0
	for _, c := range text[:min(len(text), maxDecoded)] {
		var v byte
		switch {
		case 'A' <= c && c <= 'Z':
			v = c - 'A'
		case 'a' <= c && c <= 'z':
			v = c - 'a' + 26
		case '0' <= c && c <= '9':
			v = c - '0' + 52
		case c == '+':
			v = 62
		case c == '/':
			v = 63
		case c == ' ' || c >= '\t' && c <= '\r':
			continue
		default:
			return endGroup(dst, group, n)
		}
		group = group<<6 | uint32(v)
		if n++; n == 4 {
			dst = append(dst, byte(group>>16), byte(group>>8), byte(group))
			group, n = 0, 0
		}
	}
	return endGroup(dst, group, n)
}

func endGroup(dst []byte, group uint32, n int) []byte {
	switch n {
	case 2:
		return append(dst, byte(group>>4))
	case 3:
		return append(dst, byte(group>>10), byte(group>>2))
	}
	return dst
}
