package dcerpc

import "github.com/sluicefw/sluice/engine/packet"

// RequestHead is the size of what comes before the stub data of a request, and of a response.
const RequestHead = 8

// maxStub is how much of the stub data of one direction of a call is kept.
const maxStub = 64 << 10

// Call is a request and what answers it: what is said in one association under one call id.
type Call struct {
	ID                uint32
	Request, Response uint8 // kinds of PDUs
	Asked, Answered   bool
	Interfaces        []Interface // of a bind
	Context, Opnum    uint16      // of a request
	Fragments         [2]int      // by direction
	StubSize          [2]int
	Stub              [2][]byte // of that, at most maxStub
	Little            bool      // numbers in the stubs
	complete          [2]bool
}

// Reset makes it an empty call, giving up all but a little memory.
func (c *Call) Reset() {
	*c = Call{Interfaces: c.Interfaces[:0], Stub: [2][]byte{recycle(c.Stub[0]), recycle(c.Stub[1])}}
}

func recycle(b []byte) []byte {
	if cap(b) > 2<<10 {
		return nil
	}
	return b[:0]
}

// Memory returns how many bytes the call holds beyond its own size.
func (c *Call) Memory() int {
	return cap(c.Stub[0]) + cap(c.Stub[1]) + cap(c.Interfaces)*32
}

// Complete says whether all fragments of a direction are there.
func (c *Call) Complete(dir packet.Dir) bool { return c.complete[dir] }

// Add takes in a PDU of the call, which b holds. skip is how many bytes of a response come before
// its stub data.
func (c *Call) Add(dir packet.Dir, h *Header, b []byte, skip int) {
	c.ID, c.Little = h.CallID, h.Little
	if dir == packet.ToServer {
		c.Request, c.Asked = h.Kind, true
	} else {
		c.Response, c.Answered = h.Kind, true
	}
	body := b[headerSize:h.Size]
	switch h.Kind {
	case Bind, Alter:
		c.Interfaces = appendInterfaces(c.Interfaces[:0], h, body)
	case BindAck, AlterAck:
		readResults(c.Interfaces, h, body)
	case Request, Response:
		c.fragment(dir, h, body, skip)
		return
	}
	c.complete[dir] = true
}

// fragment takes in a part of a request or a response (DCE 1.1, 12.6.4.9 and 12.6.4.10): an
// allocation hint, the context's id, the operation, maybe an object's id, and stub data. As in
// Suricata, all behind the operation counts as stub data.
func (c *Call) fragment(dir packet.Dir, h *Header, stub []byte, skip int) {
	if dir == packet.ToServer {
		if skip = RequestHead; len(stub) >= skip {
			c.Context, c.Opnum = h.order().Uint16(stub[4:]), h.order().Uint16(stub[6:])
		}
	}
	if len(stub) < skip {
		return
	}
	stub = stub[skip:]
	if h.Flags&flagFirst != 0 {
		c.Stub[dir], c.StubSize[dir], c.Fragments[dir] = c.Stub[dir][:0], 0, 0
	}
	c.Fragments[dir]++
	c.StubSize[dir] += len(stub)
	c.Stub[dir] = append(c.Stub[dir], stub[:min(len(stub), maxStub-len(c.Stub[dir]))]...)
	c.complete[dir] = h.Flags&flagLast != 0
}
