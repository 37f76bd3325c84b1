package http

import "bytes"

// uri is a request target taken apart, as libhtp does: a scheme is whatever stands before the
// first colon, and only behind one and two slashes comes an authority.
type uri struct {
	host, port            []byte
	hasHost, hasPort      bool
	path, query, fragment []byte
	hasQuery, hasFragment bool
}

func parseURI(target []byte) (u uri) {
	if len(target) == 0 {
		return u
	}
	rest := target
	scheme := false
	if rest[0] != '/' {
		if i := bytes.IndexByte(rest, ':'); i >= 0 {
			rest, scheme = rest[i+1:], true
		}
	}
	if scheme && len(rest) > 2 && rest[0] == '/' && rest[1] == '/' && rest[2] != '/' {
		rest = rest[2:]
		end := bytes.IndexAny(rest, "?/#")
		if end < 0 {
			end = len(rest)
		}
		u.authority(rest[:end])
		rest = rest[end:]
	}
	end := bytes.IndexAny(rest, "?#")
	if end < 0 {
		u.path = rest
		return u
	}
	u.path, rest = rest[:end], rest[end:]
	if rest[0] == '?' {
		u.hasQuery = true
		end := bytes.IndexByte(rest, '#')
		if end < 0 {
			u.query = rest[1:]
			return u
		}
		u.query, rest = rest[1:end], rest[end:]
	}
	u.hasFragment, u.fragment = true, rest[1:]
	return u
}

// authority reads user information, host and port (RFC 3986, 3.2).
func (u *uri) authority(b []byte) {
	if i := bytes.IndexByte(b, '@'); i >= 0 {
		b = b[i+1:]
	}
	u.host, u.hasHost = b, true
	colon := bytes.IndexByte(b, ':')
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return
		}
		u.host = b[:end+1]
		if colon = bytes.IndexByte(b[end+1:], ':'); colon >= 0 {
			colon += end + 1
		}
	} else if colon >= 0 {
		u.host = b[:colon]
	}
	if colon >= 0 {
		u.port, u.hasPort = b[colon+1:], true
	}
}

// appendPath appends a path as a server may understand it: decoded, with slashes for backslashes
// and one for several, in one byte a character, without . and .. segments.
func appendPath(dst, path []byte) []byte {
	from := len(dst)
	dst = appendDecodedPath(dst, path)
	out := foldUTF8(dst[from:])
	return dst[:from+len(removeDots(out))]
}

// appendDecodedPath decodes %41 and %u0041. What is wrongly encoded stays as it is.
func appendDecodedPath(dst, path []byte) []byte {
	slash := false
	for i := 0; i < len(path); {
		c := path[i]
		n := 1
		if c == '%' {
			c, n = unescape(path[i:], true)
		}
		i += n
		if c == '\\' {
			c = '/'
		}
		if c == '/' && slash {
			continue
		}
		slash = c == '/'
		dst = append(dst, c)
	}
	return dst
}

// appendDecoded decodes a query or a fragment: %41 only.
func appendDecoded(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		c, n := b[i], 1
		if c == '%' {
			c, n = unescape(b[i:], false)
		}
		dst = append(dst, c)
		i += n
	}
	return dst
}

// unescape reads the percent encoding that b begins with and returns how long it is.
func unescape(b []byte, unicode bool) (c byte, n int) {
	if unicode && len(b) > 2 && lowerByte(b[1]) == 'u' {
		if len(b) < 6 {
			return '%', 1
		}
		code := rune(0)
		for _, d := range b[2:6] {
			v := digitOf(d)
			if v > 15 {
				return '%', 1
			}
			code = code<<4 | rune(v)
		}
		return fit(code), 6
	}
	if len(b) < 3 || digitOf(b[1]) > 15 || digitOf(b[2]) > 15 {
		return '%', 1
	}
	return byte(digitOf(b[1])<<4 | digitOf(b[2])), 3
}

// foldUTF8 turns UTF-8 to one byte a character, in place. It takes overlong forms, which servers
// have taken, and puts a question mark for what is no UTF-8.
func foldUTF8(b []byte) []byte {
	out := 0
	for i := 0; i < len(b); {
		c := b[i]
		if c < 0x80 {
			b[out] = c
			out++
			i++
			continue
		}
		code, n, ok := decodeUTF8(b[i:])
		i += n
		if !ok {
			if i == len(b) && n > 1 {
				break // it may be cut short: libhtp leaves it out
			}
			code = '?'
		}
		b[out] = fit(code)
		out++
	}
	return b[:out]
}

// decodeUTF8 reads a character of more than one byte. What is wrong takes the bytes before the wrong
// one, or the first if that is it.
func decodeUTF8(b []byte) (code rune, n int, ok bool) {
	size := 0
	switch c := b[0]; {
	case c >= 0xc0 && c < 0xe0:
		size, code = 2, rune(c&0x1f)
	case c >= 0xe0 && c < 0xf0:
		size, code = 3, rune(c&0x0f)
	case c >= 0xf0 && c < 0xf5:
		size, code = 4, rune(c&0x07)
	default:
		return 0, 1, false
	}
	for n = 1; n < size; n++ {
		if n == len(b) {
			return 0, n, false
		}
		if b[n]&0xc0 != 0x80 {
			return 0, n, false
		}
		code = code<<6 | rune(b[n]&0x3f)
	}
	return code, n, true
}

// removeDots removes dot segments in place (RFC 3986, 5.2.4), as libhtp does.
func removeDots(b []byte) []byte {
	out := 0
	for i := 0; i < len(b); {
		rest := b[i:]
		switch {
		case bytes.HasPrefix(rest, []byte("../")):
			i += 3
		case bytes.HasPrefix(rest, []byte("./")):
			i += 2
		case bytes.HasPrefix(rest, []byte("/./")):
			i += 2
		case string(rest) == "/.":
			i = len(b) // without the slash, unlike the RFC
		case bytes.HasPrefix(rest, []byte("/../")):
			i += 3
			out = parent(b[:out])
		case string(rest) == "/..":
			i = len(b)
			out = parent(b[:out])
		case string(rest) == "." || string(rest) == "..":
			i = len(b)
		default:
			n := 1
			for n < len(rest) && rest[n] != '/' {
				n++
			}
			copy(b[out:], rest[:n])
			out += n
			i += n
		}
	}
	return b[:out]
}

// parent returns the length of a path without its last segment.
func parent(b []byte) int {
	return max(bytes.LastIndexByte(b, '/'), 0)
}
