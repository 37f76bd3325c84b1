// Package tls follows a TLS connection up to its ServerHello: the server name
// that the client asks for and the version that the server picks. What comes
// after is encrypted, or of no interest. SSL 2 compatible hellos are
// understood as having no name.
package tls

import "encoding/binary"

// Event is what Client or Server came upon.
type Event uint8

const (
	None        Event = iota
	ClientHello       // ServerName is known, or known to be absent
	ServerHello       // Version is known; nothing more will come
	Broken            // not TLS as a peer would take it; nothing more will come
)

// Limits. A handshake message may take several records, and a stack takes
// messages of at least 64 KiB.
const (
	maxRecord  = 1<<14 + 2048 // of ciphertext (RFC 5246, 6.2.3)
	maxMessage = 1 << 16      // of a handshake message's body
	keepBuffer = 4 << 10      // capacity that a Conn keeps when it is reset

	recordHeader    = 5
	handshakeHeader = 4
)

// Record types (RFC 8446, 5.1; RFC 6520) and handshake types (RFC 8446, 4).
const (
	recordCCS       = 20
	recordAlert     = 21
	recordHandshake = 22
	recordHeartbeat = 24

	typeHelloRequest = 0
	typeClientHello  = 1
	typeServerHello  = 2
)

// MaxMemory is how many bytes a Conn can hold beyond its own size.
const MaxMemory = 2*(maxMessage+handshakeHeader+maxRecord) + maxMessage

// Conn is one connection. Its zero value is ready; Reset makes it so again.
type Conn struct {
	version uint16
	hellos  int // ClientHellos that were taken
	name    []byte
	halves  [2]half
	done    bool
}

// half is one direction.
type half struct {
	skip    int    // bytes of an uninteresting record still to come
	message []byte // the handshake message so far, when it takes several records
}

// Reset forgets everything but some memory.
func (c *Conn) Reset() {
	*c = Conn{name: c.name[:0], halves: [2]half{
		{message: recycle(c.halves[0].message)}, {message: recycle(c.halves[1].message)},
	}}
	c.name = recycle(c.name)
}

func recycle(b []byte) []byte {
	if cap(b) > keepBuffer {
		return nil
	}
	return b[:0]
}

// Memory returns how many bytes the Conn holds beyond its own size.
func (c *Conn) Memory() int {
	return cap(c.name) + cap(c.halves[0].message) + cap(c.halves[1].message)
}

// ServerName returns the SNI of the last ClientHello as it was sent, empty
// without one. It is valid until the next call of Client or Reset.
func (c *Conn) ServerName() []byte { return c.name }

// Greeted reports whether a ClientHello has been read.
func (c *Conn) Greeted() bool { return c.hellos > 0 }

// Version returns the version in the ServerHello, such as 0x0303, or 0 before.
func (c *Conn) Version() uint16 { return c.version }

// Done reports that nothing more will come.
func (c *Conn) Done() bool { return c.done }

// Client takes in what the client sent and returns how many bytes it used up,
// at most up to the end of the record with the first event. The others, which
// can be all, have to be given again, with more behind them: never more than
// one record.
func (c *Conn) Client(data []byte) (n int, ev Event) { return c.read(0, data) }

// Server is Client for what the server sent.
func (c *Conn) Server(data []byte) (n int, ev Event) { return c.read(1, data) }

func (c *Conn) read(dir int, data []byte) (n int, ev Event) {
	h := &c.halves[dir]
	for ev == None && !c.done {
		if h.skip > 0 {
			k := min(h.skip, len(data)-n)
			h.skip -= k
			n += k
		}
		rest := data[n:]
		if len(rest) < recordHeader {
			return n, None
		}
		if dir == 0 && c.hellos == 0 && isSSL2Hello(rest) {
			size := int(binary.BigEndian.Uint16(rest)&0x7fff) + 2
			k := min(size, len(rest))
			h.skip = size - k
			c.hellos++
			return n + k, ClientHello
		}
		kind, size := rest[0], int(binary.BigEndian.Uint16(rest[3:]))
		if kind < recordCCS || kind > recordHeartbeat || rest[1] != 3 || size > maxRecord {
			return n, c.fail()
		}
		switch {
		case kind == recordAlert && dir == 1:
			c.done = true // refused, before a ServerHello
			return n, None
		case kind != recordHandshake:
			h.skip = recordHeader + size
			continue
		case len(rest) < recordHeader+size:
			return n, None
		}
		n += recordHeader + size
		ev = c.handshake(dir, rest[recordHeader:recordHeader+size])
	}
	return n, ev
}

// isSSL2Hello recognises a ClientHello in the format of SSL 2 (RFC 5246, E.2).
func isSSL2Hello(b []byte) bool {
	return b[0]&0x80 != 0 && b[2] == typeClientHello && (b[3] == 0 && b[4] == 2 || b[3] == 3)
}

// handshake takes in a record with handshake messages, or parts of them.
func (c *Conn) handshake(dir int, fragment []byte) Event {
	h := &c.halves[dir]
	data := fragment
	if len(h.message) > 0 {
		h.message = append(h.message, fragment...)
		data = h.message
	}
	ev := None
	for ev == None && len(data) >= handshakeHeader {
		size := int(data[1])<<16 | int(data[2])<<8 | int(data[3])
		if size > maxMessage {
			return c.fail()
		}
		if len(data) < handshakeHeader+size {
			break
		}
		ev = c.message(dir, data[0], data[handshakeHeader:handshakeHeader+size])
		data = data[handshakeHeader+size:]
	}
	if ev == None {
		h.message = append(h.message[:0], data...)
	} else {
		h.message = h.message[:0]
	}
	return ev
}

// message judges one complete handshake message.
func (c *Conn) message(dir int, kind uint8, body []byte) Event {
	switch {
	case dir == 0 && kind == typeClientHello:
		name, ok := clientHello(body)
		if !ok {
			return c.fail()
		}
		c.hellos++
		if c.hellos > 1 && string(name) == string(c.name) {
			return None // again after a HelloRetryRequest
		}
		c.name = append(c.name[:0], name...)
		return ClientHello
	case dir == 0 && c.hellos == 0:
		return c.fail()
	case dir == 1 && kind == typeServerHello:
		version, retry, ok := serverHello(body)
		if !ok {
			return c.fail()
		}
		if retry {
			return None
		}
		c.version, c.done = version, true
		return ServerHello
	case dir == 1 && kind != typeHelloRequest:
		return c.fail()
	}
	return None
}

func (c *Conn) fail() Event {
	c.done = true
	return Broken
}
