package http2

import "encoding/binary"

// Types of frames (RFC 9113, 6).
const (
	Data = iota
	Headers
	Priority
	RSTStream
	Settings
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation
)

// Flags of frames.
const (
	flagEndStream  = 0x01
	flagEndHeaders = 0x04
	flagPadded     = 0x08
	flagPriority   = 0x20
)

const (
	preface     = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	headerSize  = 9
	settingSize = 6
)

// frame is the head of a frame:
//
//	length (24) | type (8) | flags (8) | reserved (1) stream (31)
type frame struct {
	length int
	kind   uint8
	flags  uint8
	stream uint32
}

func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), kind: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) & 0x7fffffff,
	}
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// isHeader says whether the frame carries fields.
func (f *frame) isHeader() bool {
	return f.kind == Headers || f.kind == PushPromise || f.kind == Continuation
}

// unpadded takes the padding off a payload (RFC 9113, 6.1).
func (f *frame) unpadded(b []byte) (rest []byte, ok bool) {
	if !f.has(flagPadded) {
		return b, true
	}
	if len(b) == 0 || int(b[0]) >= len(b) {
		return nil, false
	}
	return b[1 : len(b)-int(b[0])], true
}

// Setting is one parameter of a connection (RFC 9113, 6.5.1).
type Setting struct {
	ID    uint16
	Value uint32
}

// Parameters that are known. Suricata reads no further than to the first that is not.
const (
	HeaderTableSize = iota + 1
	EnablePush
	MaxConcurrentStreams
	InitialWindowSize
	MaxFrameSize
	MaxHeaderListSize
)
