// Package http follows the requests and responses of an HTTP/1 connection
// (RFC 9112) up to their bodies, which it skips. Where the RFC leaves room it
// reads messages as libhtp does, the parser of Suricata.
package http

import "bytes"

// Event is what Client or Server came upon.
type Event uint8

const (
	None     Event = iota
	Request        // a request's header section is complete
	Response       // a response's header section is complete
	Switched       // the connection goes on in another protocol: after CONNECT or 101
	Broken         // not HTTP as a server would take it; nothing more will come
)

// Limits.
const (
	maxLine     = 16 << 10 // of one line
	maxHeader   = 64 << 10 // of a message's lines up to the empty one
	maxKept     = 32 << 10 // of the fields that are kept of a request
	maxPending  = 64       // requests without a response
	keepBuffer  = 2 << 10  // capacity that a Conn keeps when it is reset
	unlimited   = int64(-1)
	statusClass = 100
)

// MaxMemory is how many bytes a Conn can hold beyond its own size.
const MaxMemory = 4 * maxKept

// state of one direction.
type state uint8

const (
	startLine state = iota
	headerLines
	body      // left bytes of it, or unlimited
	chunkSize // the line with the size of a chunk
	chunkData // left bytes of it
	chunkEnd  // the empty line after a chunk
	trailers
)

// half is one direction.
type half struct {
	state   state
	left    int64 // bytes of a body or chunk
	header  int   // bytes of the header section so far
	count   uint32
	chunked bool
	length  int64 // Content-Length, or unlimited when absent
	last    field // the field of the line before, for folded lines
}

// field is a header field that is kept or acted on.
type field uint8

const (
	other field = iota
	fieldHost
	fieldUserAgent
	fieldLength
	fieldEncoding
)

// Conn is one connection. Its zero value is ready; Reset makes it so again.
type Conn struct {
	halves [2]half

	method, uri, host, userAgent []byte // of the last request
	normal                       []byte // see Host
	hasHost, hasUserAgent        bool
	hostFromURI                  bool

	// Of requests that wait for their response, oldest in bit 0.
	pending  int
	heads    uint64 // HEAD
	connects uint64 // CONNECT
	status   int    // of the response under way
	deaf     bool   // responses are not seen
	done     bool
}

// Reset forgets everything but some memory.
func (c *Conn) Reset() {
	*c = Conn{
		method: recycle(c.method), uri: recycle(c.uri), host: recycle(c.host),
		userAgent: recycle(c.userAgent), normal: recycle(c.normal),
	}
}

func recycle(b []byte) []byte {
	if cap(b) > keepBuffer {
		return nil
	}
	return b[:0]
}

// Memory returns how many bytes the Conn holds beyond its own size.
func (c *Conn) Memory() int {
	return cap(c.method) + cap(c.uri) + cap(c.host) + cap(c.userAgent) + cap(c.normal)
}

// Done reports that nothing more will come.
func (c *Conn) Done() bool { return c.done }

// Requests and Responses return how many header sections were completed;
// interim responses (1xx) do not count.
func (c *Conn) Requests() uint32  { return c.halves[0].count }
func (c *Conn) Responses() uint32 { return c.halves[1].count }

// Method returns the method of the last request. Like all such values it is
// valid until the next call of Client or Reset.
func (c *Conn) Method() []byte { return c.method }

// URI returns the target of the last request as it was sent.
func (c *Conn) URI() []byte { return c.uri }

// UserAgent returns the User-Agent of the last request.
func (c *Conn) UserAgent() (value []byte, ok bool) { return c.userAgent, c.hasUserAgent }

// RawHost returns the host and port in the target of the last request, or else
// its Host field.
func (c *Conn) RawHost() (value []byte, ok bool) { return c.host, c.hasHost }

// Host returns RawHost in lower case, without its port and final dots.
func (c *Conn) Host() (value []byte, ok bool) { return c.normal, c.hasHost }

// Client takes in what the client sent and returns how many bytes it used up,
// at most up to the end of the header section with the first event. The
// others have to be given again, with more behind them: never more than one
// line.
func (c *Conn) Client(data []byte) (n int, ev Event) { return c.read(0, data) }

// Server is Client for what the server sent.
func (c *Conn) Server(data []byte) (n int, ev Event) { return c.read(1, data) }

// LoseServer notes that no more responses will be given to Server.
func (c *Conn) LoseServer() { c.deaf = true }

func (c *Conn) read(dir int, data []byte) (n int, ev Event) {
	h := &c.halves[dir]
	for ev == None && !c.done && n < len(data) {
		rest := data[n:]
		if h.state == body || h.state == chunkData {
			n += c.skip(h, len(rest))
			continue
		}
		end := bytes.IndexByte(rest[:min(len(rest), maxLine)], '\n')
		if end < 0 {
			if len(rest) >= maxLine {
				return n, c.fail()
			}
			return n, None
		}
		n += end + 1
		ev = c.line(dir, bytes.TrimSuffix(rest[:end], []byte{'\r'}), end+1)
	}
	return n, ev
}

// skip passes over up to n bytes of a body.
func (c *Conn) skip(h *half, n int) int {
	if h.left == unlimited {
		return n
	}
	k := min(int64(n), h.left)
	h.left -= k
	if h.left == 0 {
		h.state = h.afterBody()
	}
	return int(k)
}

func (h *half) afterBody() state {
	if h.state == chunkData {
		return chunkEnd
	}
	return startLine
}

// line takes in one line without its end; size is its length with it.
func (c *Conn) line(dir int, line []byte, size int) Event {
	h := &c.halves[dir]
	switch h.state {
	case startLine:
		if len(line) == 0 { // tolerated before a request (RFC 9112, 2.2)
			if h.header += size; h.header > maxHeader {
				return c.fail()
			}
			return None
		}
		*h = half{state: headerLines, count: h.count, length: unlimited, header: size}
		if dir == 0 {
			return c.requestLine(line)
		}
		return c.statusLine(line)
	case headerLines, trailers:
		if h.header += size; h.header > maxHeader {
			return c.fail()
		}
		if len(line) > 0 {
			if h.state == headerLines {
				return c.headerLine(dir, line)
			}
			return None
		}
		if h.state == trailers {
			h.state = startLine
			return None
		}
		if dir == 0 {
			return c.requestEnd()
		}
		return c.responseEnd()
	case chunkSize:
		return c.chunk(h, line)
	default: // chunkEnd
		if len(line) > 0 {
			return c.fail()
		}
		h.state = chunkSize
	}
	return None
}

// chunk reads the size of a chunk (RFC 9112, 7.1).
func (c *Conn) chunk(h *half, line []byte) Event {
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		line = line[:i]
	}
	n, ok := parseSize(bytes.Trim(line, " \t"), 16)
	if !ok {
		return c.fail()
	}
	h.left, h.state = n, chunkData
	if n == 0 {
		h.state, h.header = trailers, 0
	}
	return None
}

// parseSize reads a number without sign, of at most 15 digits.
func parseSize(b []byte, base int64) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	for _, d := range b {
		v := int64(99)
		switch {
		case d >= '0' && d <= '9':
			v = int64(d - '0')
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			v = int64(d|0x20-'a') + 10
		}
		if v >= base {
			return 0, false
		}
		n = n*base + v
	}
	return n, true
}

func (c *Conn) fail() Event {
	c.done = true
	return Broken
}
