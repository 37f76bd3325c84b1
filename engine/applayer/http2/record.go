package http2

import "github.com/sluicefw/sluice/engine/packet"

// Field is one of a message, as records show it.
type Field struct {
	Name, Value []byte
	IsUpdate    bool   // it is a size of the dynamic table
	Size        uint64 // that size
	Fault       string // why it is nothing: Suricata's word, or ""
}

var faults = [...]string{
	noIndex: "HTTP2HeaderDecodeIndex0", badIndex: "HTTP2HeaderDecodeNotIndexed", overflow: "HTTP2HeaderDecodeIntegerOverflow",
}

// Telling reports whether a record would say anything.
func (t *Tx) Telling() bool {
	for i := range t.sides {
		if m := &t.sides[i]; m.hasList || m.setList || m.hasError || m.hasWeight {
			return true
		}
	}
	return false
}

// HasFields reports whether a side sent a header section.
func (t *Tx) HasFields(dir packet.Dir) bool { return t.sides[dir].hasList }

// Fields yields the fields of a side. Of those of one section whose name is one in the dynamic table it is
// the first, as in Suricata's records.
func (t *Tx) Fields(dir packet.Dir) func(yield func(Field) bool) {
	return func(yield func(Field) bool) {
		m := &t.sides[dir]
		for i := range m.fields {
			f := &m.fields[i]
			if m.again(i) {
				continue
			}
			out := Field{Name: f.name.of(m.text), Value: f.value.of(m.text), IsUpdate: f.kind == sizeUpdate, Size: f.size}
			if f.kind > sizeUpdate {
				out.Fault = faults[f.kind]
			}
			if !yield(out) {
				return
			}
		}
	}
}

// again reports whether the name of field i was there in the same section, as far as maxBack fields before it.
func (m *message) again(i int) bool {
	f := &m.fields[i]
	if f.id == 0 {
		return false
	}
	for k := i - 1; k >= max(0, i-maxBack) && m.fields[k].frame == f.frame; k-- {
		if m.fields[k].id == f.id {
			return true
		}
	}
	return false
}

// maxBack bounds the work of again: few sections have as many fields.
const maxBack = 128

// Settings returns the parameters that a side set; ok is false if it sent none.
func (t *Tx) Settings(dir packet.Dir) (list []Setting, ok bool) {
	return t.sides[dir].settings, t.sides[dir].setList
}

// FirstError returns the first error code of a side. away says that it is about the whole connection.
func (t *Tx) FirstError(dir packet.Dir) (code uint32, away, ok bool) {
	m := &t.sides[dir]
	return m.firstError, m.firstOf == GoAway, m.hasError
}

// FirstWeight returns the first weight of a side.
func (t *Tx) FirstWeight(dir packet.Dir) (weight uint8, ok bool) {
	return t.sides[dir].weight, t.sides[dir].hasWeight
}

// Repeated returns what a side sent more than one of: "error_code", "priority" or "".
func (t *Tx) Repeated(dir packet.Dir) string { return t.sides[dir].repeated }
