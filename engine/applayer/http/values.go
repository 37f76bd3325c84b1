package http

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer/file"
)

// ParseRange reads Content-Range (RFC 9110, 14.4): "bytes 0-99/200", the total perhaps "*".
func ParseRange(b []byte) (r file.Range, ok bool) {
	b = bytes.TrimLeft(b, " \t")
	if !bytes.HasPrefix(b, []byte("bytes")) {
		return r, false
	}
	b = bytes.TrimLeft(b[len("bytes"):], " \t")
	var rest []byte
	if bytes.HasPrefix(b, []byte("*/")) {
		r.Start, r.End = -1, -1
		r.Total, rest, ok = digits(b[2:], 10)
		return r, ok && len(bytes.TrimRight(rest, " \t")) == 0
	}
	if r.Start, rest, ok = digits(b, 10); !ok || len(rest) == 0 || rest[0] != '-' {
		return r, false
	}
	if r.End, rest, ok = digits(rest[1:], 10); !ok || len(rest) == 0 || rest[0] != '/' {
		return r, false
	}
	if string(rest[1:]) == "*" {
		r.Total = -1
		return r, true
	}
	r.Total, _, ok = digits(rest[1:], 10)
	return r, ok
}

// parameter returns the parameter of a field value whose name, with the equals sign, is given in lower case
// (RFC 9110, 5.6.6).
func parameter(b []byte, name string) (value []byte, ok bool) {
	for len(b) > 0 {
		end := endOfParameter(b)
		param := bytes.Trim(b[:end], " \t")
		b = b[min(end+1, len(b)):]
		if !hasPrefixFold(param, name) {
			continue
		}
		value = param[len(name):]
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		return value, true
	}
	return nil, false
}

// endOfParameter returns the index of the next semicolon that is not in quotes.
func endOfParameter(b []byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			quoted = !quoted
		case b[i] == '\\' && quoted:
			i++
		case b[i] == ';' && !quoted:
			return i
		}
	}
	return len(b)
}
