package http

import "bytes"

// hostPort is what an authority says (RFC 9110, 4.2.1).
type hostPort struct {
	name    []byte // nil where there is none; a part of the text, or of buf in lower case
	port    int    // -1: none, or not one
	invalid bool
}

// parseHostPort reads the value of a Host field, or the target of CONNECT, into buf. A name
// without port is turned to lower case, one with a port is not: libhtp's way.
func parseHostPort(buf, text []byte) (hostPort, []byte) {
	h := hostPort{port: -1}
	text = bytes.TrimFunc(text, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) })
	if len(text) == 0 {
		h.invalid = true
		return h, buf
	}
	if text[0] == '[' {
		end := bytes.IndexByte(text, ']')
		if end < 0 {
			h.invalid = true
			return h, buf
		}
		h.name = text[:end+1]
		switch rest := text[end+1:]; {
		case len(rest) == 0:
		case rest[0] == ':':
			h.setPort(rest[1:])
		default:
			h.invalid = true
		}
		return h, buf
	}
	colon := bytes.IndexByte(text, ':')
	if colon < 0 {
		buf = append(buf[:0], text...)
		lowerInPlace(buf)
		h.name = buf
		return h, buf
	}
	end := colon
	for end > 0 && isSpace(text[end-1]) {
		end--
	}
	h.name = text[:end]
	h.setPort(text[colon+1:])
	return h, buf
}

func (h *hostPort) setPort(b []byte) {
	if h.port = portOf(b); h.port < 0 {
		h.invalid = true
	}
}

// portOf returns a port between 1 and 65535, or -1.
func portOf(b []byte) int {
	if n, ok := parseNumber(b, 10); ok && n > 0 && n < 65536 {
		return int(n)
	}
	return -1
}

func lowerInPlace(b []byte) {
	for i := range b {
		b[i] = lowerByte(b[i])
	}
}

// validHost says whether a name could be a host's: an IPv6 address in brackets, or labels of at most 63
// characters of no kind in particular, 255 together.
func validHost(name []byte) bool {
	if len(name) == 0 || len(name) > 255 {
		return false
	}
	if name[0] == '[' {
		return validIPv6(name)
	}
	for pos := 0; pos < len(name); {
		start := pos
		for pos < len(name) && name[pos] != '.' {
			c := name[pos]
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
			pos++
		}
		if pos-start == 0 || pos-start > 63 {
			return false
		}
		if pos == len(name) {
			return true
		}
		if pos++; pos < len(name) && name[pos] == '.' {
			return false // one dot at a time
		}
	}
	return true
}

// validIPv6 says whether a name in brackets holds the characters of an address.
func validIPv6(name []byte) bool {
	if len(name) < 4 || name[len(name)-1] != ']' {
		return false
	}
	for _, c := range name[1 : len(name)-1] {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == ':' || c == '.') {
			return false
		}
	}
	return bytes.IndexByte(name, ':') >= 0
}

// parseNumber reads a number without sign, blanks around it allowed, of at most 2^63-1.
func parseNumber(b []byte, base int64) (n int64, ok bool) {
	b = bytes.Trim(b, " \t")
	n, rest, ok := digits(b, base)
	return n, ok && len(rest) == 0
}

// digits reads the digits that b begins with.
func digits(b []byte, base int64) (n int64, rest []byte, ok bool) {
	const most = 1<<63 - 1
	i := 0
	for ; i < len(b); i++ {
		d := digitOf(b[i])
		if d >= base {
			break
		}
		if n > (most-d)/base {
			return 0, b, false
		}
		n = n*base + d
	}
	return n, b[i:], i > 0
}

// digitOf returns the value of a hexadecimal digit, 99 for others.
func digitOf(c byte) int64 {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0')
	case c >= 'a' && c <= 'f':
		return int64(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int64(c-'A') + 10
	}
	return 99
}
