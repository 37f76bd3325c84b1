// Package dcerpc follows remote procedure calls of DCE 1.1: calls and their answers over TCP and
// UDP, and the parts of it that SMB's named pipes carry.
package dcerpc

import "strconv"

// Types of PDUs (DCE 1.1: RPC, 12.6.4 and 12.5.3).
const (
	Request          = 0
	Ping             = 1
	Response         = 2
	Fault            = 3
	Working          = 4
	Bind             = 11
	BindAck          = 12
	BindNak          = 13
	AlterContext     = 14
	AlterContextResp = 15
	lastType         = 20
)

var typeNames = [lastType + 1]string{
	"REQUEST", "PING", "RESPONSE", "FAULT", "WORKING", "NOCALL", "REJECT", "ACK", "CL_CANCEL", "FACK", "CANCEL_ACK",
	"BIND", "BINDACK", "BINDNAK", "ALTER_CONTEXT", "ALTER_CONTEXT_RESP", "AUTH3", "SHUTDOWN", "CO_CANCEL", "ORPHANED", "RTS",
}

// Known says whether there is a type of PDU of that number.
func Known(kind uint8) bool { return kind <= lastType }

// TypeName returns the name of a type in records, such as "REQUEST".
func TypeName(kind uint8) string {
	if Known(kind) {
		return typeNames[kind]
	}
	return strconv.Itoa(int(kind))
}

// Flags of a PDU.
const (
	firstFrag = 1
	lastFrag  = 2
)

// HeaderSize is that of the header which all connection-oriented PDUs begin with.
const HeaderSize = 16

// Header is that of a connection-oriented PDU:
//
//	 0        1        2        3
//	+--------+--------+--------+--------+
//	| major 5| minor  | type   | flags  |
//	+--------+--------+--------+--------+
//	| data representation: 0x10 of the  |
//	| first byte says little endian     |
//	+--------+--------+--------+--------+
//	| fragment length | auth length     |
//	+--------+--------+--------+--------+
//	| call id                           |
//	+--------+--------+--------+--------+
type Header struct {
	Major, Minor uint8
	Type         uint8
	First, Last  bool
	Big          bool // numbers are big endian
	Length       int  // of the fragment, the header included
	CallID       uint32
}

// ReadHeader reads the header of a PDU; ok is false when b is too short for it.
func ReadHeader(b []byte) (h Header, body Reader, ok bool) {
	if len(b) < HeaderSize {
		return h, body, false
	}
	h = Header{Major: b[0], Minor: b[1], Type: b[2], First: b[3]&firstFrag != 0, Last: b[3]&lastFrag != 0, Big: b[4]&0x10 == 0}
	r := Reader{B: b[8:], Big: h.Big}
	h.Length = int(r.U16())
	r.Skip(2)
	h.CallID = r.U32()
	return h, r, true
}

// UUID is in the order of its text.
type UUID [16]byte

// AppendTo appends the usual text.
func (u *UUID) AppendTo(b []byte) []byte {
	const digits = "0123456789abcdef"
	for i, c := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// uuid reads a UUID, whose first three fields are numbers in the order of the message.
func (r *Reader) uuid() (u UUID) {
	b := r.Take(16)
	if b == nil {
		return u
	}
	copy(u[:], b)
	if !r.Big {
		u = UUID{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]}
	}
	return u
}

// Interface is one that a client asked to use, as a presentation context.
type Interface struct {
	UUID           UUID
	Major, Minor   uint16
	Context        uint16
	Acked          bool // the server has answered
	Result, Reason uint16
}

// Accepted says whether the server agreed.
func (i *Interface) Accepted() bool { return i.Acked && i.Result == 0 }

// AppendMatch appends what rules compare: the UUID, and both parts of the version in network order.
func (i *Interface) AppendMatch(b []byte) []byte {
	return append(append(b, i.UUID[:]...), byte(i.Major>>8), byte(i.Major), byte(i.Minor>>8), byte(i.Minor))
}

// AppendInterfaces reads the body of a bind or alter_context and appends what it asks for.
func AppendInterfaces(dst []Interface, body Reader) (all []Interface, ok bool) {
	body.Skip(2 + 2 + 4) // sizes of fragments, association group
	n := int(body.U8())
	body.Skip(3)
	for range n {
		i := Interface{Context: body.U16()}
		syntaxes := int(body.U8())
		body.Skip(1)
		i.UUID = body.uuid()
		i.Major, i.Minor = body.U16(), body.U16()
		if body.Big { // one number of 32 bits, the minor version in its upper half
			i.Major, i.Minor = i.Minor, i.Major
		}
		body.Skip(20 * max(syntaxes, 1))
		if body.Short {
			return dst, false
		}
		dst = append(dst, i)
	}
	return dst, !body.Short
}

// ReadResults notes the results of a bind_ack or alter_context_resp for the interfaces that were
// asked for, in their order.
func ReadResults(asked []Interface, body Reader) (ok bool) {
	body.Skip(2 + 2 + 4)
	address := int(body.U16())
	body.Skip(address)
	body.Skip(-(address + 2) & 3)
	n := int(body.U8())
	body.Skip(3)
	for k := range n {
		result, reason := body.U16(), body.U16()
		body.Skip(20)
		if body.Short {
			return false
		}
		if k < len(asked) {
			asked[k].Acked, asked[k].Result, asked[k].Reason = true, result, reason
		}
	}
	return !body.Short
}

// Call is the beginning of a request.
type Call struct {
	Context, Opnum uint16
	Stub           []byte
}

// callHeader is the size of what stands before the stub data of requests and responses.
const callHeader = HeaderSize + 8

// ReadCall reads the body of a request.
func ReadCall(h Header, body Reader) (c Call, ok bool) {
	body.Skip(4)
	c.Context, c.Opnum = body.U16(), body.U16()
	c.Stub = body.Take(h.Length - callHeader)
	return c, !body.Short
}

// ReadStub reads the body of a response.
func ReadStub(h Header, body Reader) (stub []byte, ok bool) {
	body.Skip(8)
	stub = body.Take(h.Length - callHeader)
	return stub, !body.Short
}
