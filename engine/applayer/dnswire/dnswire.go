// Package dnswire reads DNS messages (RFC 1035, 4): it finds their parts and copies nothing
// but names.
package dnswire

import "encoding/binary"

const (
	headerSize = 12
	pointer    = 0xc0

	// MaxName is the longest name in bytes, as AppendName prints it: what is longer is cut. It
	// is Suricata's figure, four times what a name may have.
	MaxName = 1025

	maxLabels = 255

	// maxSteps bounds the work on one message: labels and pointers of all its names.
	maxSteps = 100_000
)

// Record types whose data is read (RFC 1035, 3.2.2; RFC 3596; RFC 2782; RFC 4255).
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypeSOA   = 6
	TypeNULL  = 10
	TypePTR   = 12
	TypeMX    = 15
	TypeTXT   = 16
	TypeAAAA  = 28
	TypeSRV   = 33
	TypeSSHFP = 44
)

// Section is a part of a message.
type Section uint8

const (
	Questions Section = iota
	Answers
	Authorities
	Additionals
	numSections
)

// Message is a message whose form is right, as far as it was looked at.
type Message struct {
	ID, Flags uint16
	Long      bool // some name is longer than MaxName

	data   []byte
	counts [numSections]int
	starts [numSections]int
	steps  int
}

// Response, Opcode, Z and Rcode read the flags (RFC 1035, 4.1.1).
func (m *Message) Response() bool { return m.Flags&0x8000 != 0 }
func (m *Message) Opcode() uint8  { return uint8(m.Flags >> 11 & 0xf) }
func (m *Message) Z() bool        { return m.Flags&0x40 != 0 }
func (m *Message) Rcode() uint8   { return uint8(m.Flags & 0xf) }

// Count returns how many records a section has; those of Additionals are not looked at.
func (m *Message) Count(s Section) int { return m.counts[s] }

// Header reads the header alone and checks that the message has room for its counts.
func Header(b []byte) (m Message, ok bool) {
	if len(b) < headerSize {
		return m, false
	}
	m.ID, m.Flags = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	records := 0
	for s := range m.counts {
		m.counts[s] = int(binary.BigEndian.Uint16(b[4+2*s:]))
		records += m.counts[s]
	}
	return m, 2*records <= len(b)
}

// Parse reads a message: the questions, and of a response answers and authorities. It borrows b.
func Parse(b []byte) (m Message, ok bool) {
	m, ok = Header(b)
	if !ok {
		return m, false
	}
	m.data = b
	at := headerSize
	m.starts[Questions] = at
	for range m.counts[Questions] {
		if at, ok = m.skipName(at); !ok || at+4 > len(b) {
			return m, false
		}
		at += 4
	}
	for s := Answers; s <= Authorities; s++ {
		m.starts[s] = at
		if !m.Response() {
			m.counts[s] = 0
			continue
		}
		for range m.counts[s] {
			var r Record
			if r, at, ok = m.record(at); !ok || !m.check(r) {
				return m, false
			}
		}
	}
	return m, true
}

// Record is a resource record. Name is the offset of its name, Start that of its data.
type Record struct {
	Name  int
	Type  uint16
	TTL   uint32
	Start int
	Data  []byte
}

func (m *Message) record(at int) (r Record, next int, ok bool) {
	r.Name = at
	if at, ok = m.skipName(at); !ok || at+10 > len(m.data) {
		return r, 0, false
	}
	b := m.data[at:]
	r.Type, r.TTL = binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[4:])
	r.Start = at + 10
	next = r.Start + int(binary.BigEndian.Uint16(b[8:]))
	if next > len(m.data) {
		return r, 0, false
	}
	r.Data = m.data[r.Start:next]
	return r, next, true
}

// check says whether the names in a record's data can be read.
func (m *Message) check(r Record) bool {
	at := r.Start
	switch r.Type {
	case TypeNS, TypeCNAME, TypePTR:
	case TypeMX:
		at += 2
	case TypeSRV:
		at += 6
	case TypeSOA:
		next, ok := m.skipName(at)
		if !ok {
			return false
		}
		next, ok = m.skipName(next)
		return ok && next+20 <= len(m.data)
	case TypeTXT:
		for data := r.Data; len(data) > 0; data = data[1+int(data[0]):] {
			if 1+int(data[0]) > len(data) {
				return false
			}
		}
		return true
	case TypeSSHFP:
		return len(r.Data) >= 3
	default:
		return true
	}
	_, ok := m.skipName(at)
	return ok
}

// Question returns where the name of question i is, which must be there, and its type.
func (m *Message) Question(i int) (name int, kind uint16) {
	at := m.starts[Questions]
	for ; ; i-- {
		next, _ := m.skipName(at)
		if i == 0 {
			return at, binary.BigEndian.Uint16(m.data[next:])
		}
		at = next + 4
	}
}

// Records calls f for each record of Answers or Authorities until it returns false.
func (m *Message) Records(s Section, f func(r Record) bool) {
	at := m.starts[s]
	m.steps = 0
	for range m.counts[s] {
		r, next, ok := m.record(at)
		if !ok || !f(r) {
			return
		}
		at = next
	}
}

// skipName returns the offset behind the name at offset at, if the name can be read.
func (m *Message) skipName(at int) (next int, ok bool) {
	_, next, long, ok := m.walk(nil, at)
	m.Long = m.Long || long
	return next, ok
}

// AppendName appends the name at offset at, with dots between its labels and in the case in
// which it was sent, and returns the offset behind it. At most MaxName bytes are appended: then
// cut says that there were more.
func (m *Message) AppendName(dst []byte, at int) (name []byte, next int, cut bool) {
	name, next, cut, _ = m.walk(dst, at)
	return name, next, cut
}

// walk follows the labels of a name, appending them to dst unless that is nil.
func (m *Message) walk(dst []byte, at int) (name []byte, next int, long, ok bool) {
	size := 0
	for n := 0; at < len(m.data); n++ {
		if m.steps++; n > maxLabels || m.steps > maxSteps {
			break
		}
		k := int(m.data[at])
		switch {
		case k == 0:
			if next == 0 {
				next = at + 1
			}
			return dst, next, long, true
		case k&pointer == pointer: // RFC 1035, 4.1.4
			if at+2 > len(m.data) {
				return dst, 0, long, false
			}
			if next == 0 {
				next = at + 2
			}
			at = int(binary.BigEndian.Uint16(m.data[at:])) &^ (pointer << 8)
		case k&pointer != 0 || at+1+k > len(m.data):
			return dst, 0, long, false
		default:
			if size > 0 {
				dst = appendSome(dst, ".", MaxName-size)
				size++
			}
			dst = appendSome(dst, m.data[at+1:at+1+k], MaxName-size)
			size += k
			long = long || size > MaxName
			at += 1 + k
		}
	}
	return dst, 0, long, false
}

// appendSome appends at most room bytes, and none to nil.
func appendSome[T string | []byte](dst []byte, s T, room int) []byte {
	if dst == nil || room <= 0 {
		return dst
	}
	return append(dst, s[:min(len(s), room)]...)
}
