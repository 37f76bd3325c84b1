package http

import "bytes"

// requestLine reads method, target and version (RFC 9112, 3). Like libhtp it
// takes any run of blanks between them, and no version as HTTP/0.9.
func (c *Conn) requestLine(line []byte) Event {
	method, rest := cutBlank(bytes.TrimLeft(line, " \t"))
	target, version := cutBlank(rest)
	if len(method) == 0 || len(target) == 0 {
		return c.fail()
	}
	c.method = append(c.method[:0], method...)
	c.uri = append(c.uri[:0], target...)
	c.host, c.normal, c.userAgent = c.host[:0], c.normal[:0], c.userAgent[:0]
	c.hasHost, c.hasUserAgent, c.hostFromURI = false, false, false

	if authority, ok := authorityOf(string(method) == "CONNECT", target); ok {
		c.host = append(c.host, authority...)
		c.hasHost, c.hostFromURI = true, true
	}
	if len(version) == 0 {
		return c.requestEnd()
	}
	return None
}

// cutBlank splits b at its first run of blanks.
func cutBlank(b []byte) (before, after []byte) {
	i := bytes.IndexAny(b, " \t")
	if i < 0 {
		return b, nil
	}
	return b[:i], bytes.Trim(b[i:], " \t")
}

// authorityOf returns host and port of a request target: of an absolute URI,
// or of CONNECT's (RFC 9112, 3.2.2 and 3.2.3).
func authorityOf(connect bool, target []byte) (authority []byte, ok bool) {
	if !connect {
		i := bytes.Index(target, []byte("://"))
		if i <= 0 || bytes.ContainsAny(target[:i], "/?#") {
			return nil, false
		}
		target = target[i+3:]
	}
	if i := bytes.IndexAny(target, "/?#"); i >= 0 {
		target = target[:i]
	}
	if i := bytes.LastIndexByte(target, '@'); i >= 0 {
		target = target[i+1:]
	}
	return target, len(target) > 0
}

// statusLine reads a status (RFC 9112, 4).
func (c *Conn) statusLine(line []byte) Event {
	version, rest := cutBlank(line)
	code, _ := cutBlank(rest)
	status, ok := parseSize(code, 10)
	if !bytes.HasPrefix(version, []byte("HTTP/")) || !ok || status < statusClass || status > 999 {
		return c.fail()
	}
	c.status = int(status)
	return None
}

// headerLine reads one field line, or the continuation of one (RFC 9112, 5).
// What has no colon is passed over.
func (c *Conn) headerLine(dir int, line []byte) Event {
	h := &c.halves[dir]
	if line[0] == ' ' || line[0] == '\t' {
		return c.value(dir, h.last, bytes.Trim(line, " \t"), " ")
	}
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		h.last = other
		return None
	}
	h.last = fieldOf(bytes.TrimRight(line[:i], " \t"))
	return c.value(dir, h.last, bytes.Trim(line[i+1:], " \t"), ", ")
}

func fieldOf(name []byte) field {
	switch {
	case equalFold(name, "host"):
		return fieldHost
	case equalFold(name, "user-agent"):
		return fieldUserAgent
	case equalFold(name, "content-length"):
		return fieldLength
	case equalFold(name, "transfer-encoding"):
		return fieldEncoding
	}
	return other
}

// equalFold compares with a name in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		if lowerByte(b[i]) != lower[i] {
			return false
		}
	}
	return true
}

func lowerByte(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// value takes in the value of a field; joint stands between values of a field
// that is repeated, as libhtp joins them.
func (c *Conn) value(dir int, f field, v []byte, joint string) Event {
	h := &c.halves[dir]
	switch f {
	case fieldLength:
		n, ok := parseSize(v, 10)
		if !ok || h.length != unlimited && h.length != n {
			return c.fail() // RFC 9112, 6.3: two readers would not agree on it
		}
		h.length = n
	case fieldEncoding:
		h.chunked = h.chunked || containsFold(v, "chunked")
	case fieldHost:
		if dir == 0 && !c.hostFromURI {
			c.host = join(c.host, c.hasHost, v, joint)
			c.hasHost = true
		}
	case fieldUserAgent:
		if dir == 0 {
			c.userAgent = join(c.userAgent, c.hasUserAgent, v, joint)
			c.hasUserAgent = true
		}
	}
	if len(c.host)+len(c.userAgent) > maxKept {
		return c.fail()
	}
	return None
}

func join(b []byte, repeated bool, v []byte, joint string) []byte {
	if repeated {
		b = append(b, joint...)
	}
	return append(b, v...)
}

func containsFold(b []byte, lower string) bool {
	for ; len(b) >= len(lower); b = b[1:] {
		if equalFold(b[:len(lower)], lower) {
			return true
		}
	}
	return false
}

// requestEnd acts on a complete header section of a request.
func (c *Conn) requestEnd() Event {
	h := &c.halves[0]
	connect := string(c.method) == "CONNECT"
	if !c.deaf {
		if c.pending == maxPending {
			return c.fail()
		}
		if connect {
			c.connects |= 1 << c.pending
		}
		if string(c.method) == "HEAD" {
			c.heads |= 1 << c.pending
		}
		c.pending++
	}
	h.count++
	c.normal = normalise(c.normal[:0], c.host)
	switch {
	case connect:
		h.state, h.left = body, unlimited // until the server has answered
	case h.chunked:
		h.state = chunkSize
	case h.length > 0:
		h.state, h.left = body, h.length
	default:
		h.state = startLine
	}
	h.header = 0
	return Request
}

// responseEnd acts on a complete header section of a response (RFC 9112, 6.3).
func (c *Conn) responseEnd() Event {
	h := &c.halves[1]
	if c.status == 101 {
		c.done = true
		return Switched
	}
	h.header = 0
	if c.status/statusClass == 1 {
		h.state = startLine
		return None
	}
	head, connect := c.heads&1 != 0, c.connects&1 != 0
	if c.pending > 0 {
		c.pending--
		c.heads >>= 1
		c.connects >>= 1
	}
	h.count++
	if connect && c.status/statusClass == 2 {
		c.done = true
		return Switched
	}
	if connect && c.halves[0].left == unlimited {
		c.halves[0].state, c.halves[0].left = startLine, 0
	}
	switch {
	case head || c.status == 204 || c.status == 304:
		h.state = startLine
	case h.chunked:
		h.state = chunkSize
	case h.length == 0:
		h.state = startLine
	default:
		h.state, h.left = body, h.length
	}
	return Response
}

// normalise appends host in lower case, without its port and final dots.
func normalise(dst, host []byte) []byte {
	host = bytes.Trim(host, " \t")
	if len(host) > 0 && host[0] == '[' { // an IPv6 address, which has colons
		if end := bytes.IndexByte(host, ']'); end > 0 {
			host = host[:end+1]
		}
	} else if end := bytes.IndexByte(host, ':'); end >= 0 {
		host = host[:end]
	}
	for _, b := range bytes.TrimRight(host, ".") {
		dst = append(dst, lowerByte(b))
	}
	return dst
}
