// Package dnswire reads the header and the first question of DNS messages (RFC
// 1035, 4).
package dnswire

import "encoding/binary"

const (
	headerSize = 12
	// MaxName is the longest name in bytes, as AppendName prints it.
	MaxName  = 255
	maxHops  = 32
	maxLabel = 63
	pointer  = 0xc0
)

// Message is what Parse found.
type Message struct {
	Response bool
	Question int // offset of the first question's name, 0 when there is none
}

// Parse reads the header of a message and checks that it can be DNS: a known
// opcode, the reserved bit clear, counts that the message has room for, and a
// first question that can be read.
func Parse(b []byte) (m Message, ok bool) {
	if len(b) < headerSize {
		return m, false
	}
	flags := binary.BigEndian.Uint16(b[2:])
	m.Response = flags&0x8000 != 0
	opcode := flags >> 11 & 0xf
	if opcode > 6 || opcode == 3 || flags&0x40 != 0 {
		return m, false
	}
	questions := int(binary.BigEndian.Uint16(b[4:]))
	records := 0
	for at := 6; at < headerSize; at += 2 {
		records += int(binary.BigEndian.Uint16(b[at:]))
	}
	// The smallest question has 5 bytes, the smallest record 11.
	if questions+records == 0 || headerSize+5*questions+11*records > len(b) {
		return m, false
	}
	if questions > 0 {
		m.Question = headerSize
		var name [MaxName]byte
		if _, ok := AppendName(name[:0], b, headerSize); !ok {
			return m, false
		}
	}
	return m, true
}

// AppendName appends the name at offset at of message b to dst, with dots
// between its labels and in the case in which it was sent. At most MaxName
// bytes are appended, and compression pointers must point back (RFC 1035,
// 4.1.4).
func AppendName(dst, b []byte, at int) (name []byte, ok bool) {
	start := len(dst)
	for hops := 0; at < len(b); {
		switch n := int(b[at]); {
		case n == 0:
			return dst, true
		case n&pointer == pointer:
			if at+2 > len(b) || hops == maxHops {
				return dst, false
			}
			to := int(binary.BigEndian.Uint16(b[at:])) &^ (pointer << 8)
			if to >= at || to < headerSize {
				return dst, false
			}
			at = to
			hops++
		case n > maxLabel || at+1+n > len(b) || len(dst)-start+1+n > MaxName:
			return dst, false
		default:
			if len(dst) > start {
				dst = append(dst, '.')
			}
			dst = append(dst, b[at+1:at+1+n]...)
			at += 1 + n
		}
	}
	return dst, false
}
