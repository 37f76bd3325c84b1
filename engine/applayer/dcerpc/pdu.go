package dcerpc

import (
	"encoding/binary"
	"fmt"
)

// Kinds of PDUs (DCE 1.1, 12.6.4).
const (
	Request  = 0
	Response = 2
	Fault    = 3
	Bind     = 11
	BindAck  = 12
	BindNak  = 13
	Alter    = 14
	AlterAck = 15
)

var kindNames = map[uint8]string{
	Request: "REQUEST", 1: "PING", Response: "RESPONSE", Fault: "FAULT", 4: "WORKING", 5: "NOCALL", 6: "REJECT", 7: "ACK", 8: "CL_CANCEL",
	9: "FACK", 10: "CANCEL_ACK", Bind: "BIND", BindAck: "BINDACK", BindNak: "BINDNAK", Alter: "ALTER_CONTEXT", AlterAck: "ALTER_CONTEXT_RESP",
	16: "AUTH3", 17: "SHUTDOWN", 18: "CO_CANCEL", 19: "ORPHANED", 20: "RTS",
}

// KindName returns the name of a kind of PDU.
func KindName(kind uint8) string {
	if name, ok := kindNames[kind]; ok {
		return name
	}
	return "UNKNOWN"
}

const (
	headerSize = 16

	flagFirst = 0x01
	flagLast  = 0x02
)

// Header is the header of a connection-oriented PDU (DCE 1.1, 12.6.3.1).
//
//	version  minor  kind  flags | data representation | fragment length  auth length | call id
type Header struct {
	Kind, Flags uint8
	Little      bool // numbers are little endian
	Size        int  // of the whole PDU
	CallID      uint32
}

// ReadHeader reads the header of a PDU.
func ReadHeader(b []byte) (h Header, ok bool) {
	if len(b) < headerSize || b[0] != 5 || b[1] > 1 {
		return h, false
	}
	h = Header{Kind: b[2], Flags: b[3], Little: b[4]&0x10 != 0}
	order := h.order()
	h.Size, h.CallID = int(order.Uint16(b[8:])), order.Uint32(b[12:])
	return h, h.Size >= headerSize
}

func (h *Header) order() binary.ByteOrder {
	if h.Little {
		return binary.LittleEndian
	}
	return binary.BigEndian
}

// Interface is one that a client asks for, and the server's answer.
type Interface struct {
	Context        uint16
	UUID           [16]byte // in the order in which it is printed
	Version, Minor uint16
	Result         uint16 // 0 is accepted
	Answered       bool
}

// String returns the UUID as records and rules have it.
func (i *Interface) String() string {
	u := i.UUID[:]
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// maxInterfaces bounds what is kept of a bind.
const maxInterfaces = 64

// appendInterfaces reads the body of a Bind or an Alter (DCE 1.1, 12.6.4.3): fragment sizes, group,
// number of contexts, and for each its id, its transfer syntaxes' number, the interface, and them.
func appendInterfaces(dst []Interface, h *Header, body []byte) []Interface {
	if len(body) < 12 {
		return dst
	}
	order := h.order()
	n := int(body[8])
	for body = body[12:]; n > 0 && len(body) >= 24 && len(dst) < maxInterfaces; n-- {
		i := Interface{Context: order.Uint16(body), Version: order.Uint16(body[20:]), Minor: order.Uint16(body[22:])}
		copy(i.UUID[:], body[4:20])
		if h.Little { // its first three parts are numbers
			u := &i.UUID
			u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
			u[4], u[5], u[6], u[7] = u[5], u[4], u[7], u[6]
		}
		dst = append(dst, i)
		skip := 24 + 20*int(body[2])
		if skip > len(body) {
			break
		}
		body = body[skip:]
	}
	return dst
}

// readResults reads the body of a BindAck (DCE 1.1, 12.6.4.4): fragment sizes, group, secondary
// address, padding, number of results, and the results in the order of the contexts.
func readResults(all []Interface, h *Header, body []byte) {
	order := h.order()
	if len(body) < 10 {
		return
	}
	at := 10 + int(order.Uint16(body[8:]))
	at += (4 - (at+headerSize)%4) % 4
	if at+4 > len(body) {
		return
	}
	n := int(body[at])
	body = body[at+4:]
	for i := range all {
		if n == 0 || len(body) < 24 {
			return
		}
		all[i].Result, all[i].Answered = order.Uint16(body), true
		body = body[24:]
		n--
	}
}
