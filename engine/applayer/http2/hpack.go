package http2

import (
	"math"

	"github.com/sluicefw/sluice/engine/applayer"
)

// Bounds of header sections.
const (
	maxTable   = 64 << 10  // bytes of a dynamic table, entries counted as RFC 7541, 4.1 does; Suricata's http2.max-table-size
	firstTable = 4096      // of one whose size was not said (RFC 9113, 6.5.2)
	entryCost  = 32        // of an entry, beside its strings
	maxText    = 256 << 10 // decoded bytes of a message's fields, its trailers among them
	maxFields  = 4096      // fields of a message
)

// span is a part of a text.
type span struct{ from, to int32 }

func (s span) of(text []byte) []byte { return text[s.from:s.to] }

// table is the dynamic table of one direction (RFC 7541, 2.3.2): what its sender has put there.
type table struct {
	text    []byte
	entries []entry // the oldest first
	gone    int     // of entries, those that were evicted
	size    int
	max     int
	names   uint32 // how many names were put in
}

// entry is a field in the table. Its value follows its name.
type entry struct {
	from        int32
	name, value int32  // lengths
	id          uint32 // of the name, see field.id
}

func (t *table) reset() {
	*t = table{text: applayer.Recycle(t.text, keepBuffer), entries: applayer.Recycle(t.entries, keepBuffer/16), max: firstTable}
}

func (t *table) memory() int { return cap(t.text) + cap(t.entries)*16 }

// allow notes the size that the other side allows (SETTINGS_HEADER_TABLE_SIZE). That of a smaller
// table counts when the sender follows it (RFC 7541, 4.2).
func (t *table) allow(n uint32) {
	t.max = max(t.max, int(min(n, maxTable)))
}

// resize is the sender's own choice of a size.
func (t *table) resize(n uint64) {
	t.max = int(min(n, maxTable))
	t.evict(t.max)
}

// evict makes the table no larger than size.
func (t *table) evict(size int) {
	for t.size > size {
		e := &t.entries[t.gone]
		t.size -= entryCost + int(e.name+e.value)
		t.gone++
	}
	switch {
	case t.gone == len(t.entries):
		t.entries, t.text, t.gone = t.entries[:0], t.text[:0], 0
	case t.entries[t.gone].from > maxTable || t.gone > maxTable/entryCost:
		// What is left is no more than what was evicted since the last time.
		first := t.entries[t.gone].from
		t.text = t.text[:copy(t.text, t.text[first:])]
		t.entries = t.entries[:copy(t.entries, t.entries[t.gone:])]
		for i := range t.entries {
			t.entries[i].from -= first
		}
		t.gone = 0
	}
}

// add puts a field in. Its strings are not of the table.
func (t *table) add(name, value []byte, id uint32) {
	cost := entryCost + len(name) + len(value)
	t.evict(max(0, t.max-cost))
	if cost > t.max {
		return
	}
	t.entries = append(t.entries, entry{int32(len(t.text)), int32(len(name)), int32(len(value)), id})
	t.text = append(append(t.text, name...), value...)
	t.size += cost
}

// nextID numbers a name.
func (t *table) nextID() uint32 {
	t.names++
	return t.names
}

// get returns the entry of an index that counts from 0, the newest first.
func (t *table) get(i uint64) (e entry, ok bool) {
	if i >= uint64(len(t.entries)-t.gone) {
		return e, false
	}
	return t.entries[len(t.entries)-1-int(i)], true
}

func (e entry) nameOf(text []byte) []byte { return text[e.from : e.from+e.name] }

func (e entry) valueOf(text []byte) []byte {
	return text[e.from+e.name : e.from+e.name+e.value]
}

// kind is what a piece of a header section turned out to be.
type kind uint8

const (
	aField kind = iota
	sizeUpdate
	noIndex  // 0
	badIndex // nothing is there
	overflow // of a number
)

// field is one piece of a header section.
type field struct {
	name, value span
	size        uint64 // of a sizeUpdate
	kind        kind
	id          uint32 // same for names that are one in the table, 0 for others
	frame       uint32 // number of the section in its message
}

// result says how a header section ended.
type result uint8

const (
	whole     result = iota
	cutShort         // bytes are missing
	afterward        // bytes are left behind a number that is too large
	tooMuch          // more than is held
)

// decoder reads a header section.
type decoder struct {
	table *table
	m     *message
	in    []byte
}

// decode appends the fields of a header section to those of a message.
func (t *table) decode(m *message, in []byte) result {
	d := decoder{t, m, in}
	m.sections++
	for len(d.in) > 0 {
		if r := d.piece(); r != whole {
			return r
		}
		if len(m.fields) > maxFields || len(m.text) > maxText {
			return tooMuch
		}
	}
	return whole
}

// piece reads one representation (RFC 7541, 6).
func (d *decoder) piece() result {
	switch b := d.in[0]; {
	case b&0x80 != 0:
		return d.indexed()
	case b&0x40 != 0:
		return d.literal(6, true)
	case b&0x20 != 0:
		n, ok, over := d.number(5)
		if !ok {
			return d.broken(over)
		}
		d.table.resize(n)
		d.m.sizes = append(d.m.sizes, int32(len(d.m.fields)))
		d.put(field{kind: sizeUpdate, size: n})
	default:
		return d.literal(4, false)
	}
	return whole
}

func (d *decoder) put(f field) {
	f.frame = d.m.sections
	d.m.fields = append(d.m.fields, f)
}

// broken ends a section behind a number that is not whole, or too large.
func (d *decoder) broken(over bool) result {
	if !over {
		return cutShort
	}
	d.put(field{kind: overflow})
	if len(d.in) == 0 {
		return whole
	}
	return afterward
}

// number reads an integer whose first byte has n bits of it (RFC 7541, 5.1).
func (d *decoder) number(n uint) (v uint64, ok, over bool) {
	most := uint64(1)<<n - 1
	v = uint64(d.in[0]) & most
	d.in = d.in[1:]
	if v < most {
		return v, true, false
	}
	for shift := uint(0); len(d.in) > 0; shift += 7 {
		b := d.in[0]
		d.in = d.in[1:]
		if shift > 56 || v > math.MaxInt64-uint64(b&0x7f)<<shift {
			for b >= 0x80 && len(d.in) > 0 {
				b, d.in = d.in[0], d.in[1:]
			}
			return 0, false, true
		}
		v += uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, true, false
		}
	}
	return 0, false, false
}

// copied copies a string to the message.
func (d *decoder) copied(b []byte) span {
	from := int32(len(d.m.text))
	d.m.text = append(d.m.text, b...)
	return span{from, int32(len(d.m.text))}
}

// indexed reads a field of a table.
func (d *decoder) indexed() result {
	n, ok, over := d.number(7)
	if !ok {
		return d.broken(over)
	}
	f := field{kind: badIndex}
	if n == 0 {
		f.kind = noIndex
	} else if n <= uint64(len(staticTable)) {
		f = d.static(n)
		f.value = d.copiedString(staticTable[n-1].value)
	} else if e, ok := d.table.get(n - uint64(len(staticTable)) - 1); ok {
		f = field{id: e.id, name: d.copied(e.nameOf(d.table.text)), value: d.copied(e.valueOf(d.table.text))}
	}
	d.put(f)
	return whole
}

// static returns a field with the name of an entry of the static table.
func (d *decoder) static(n uint64) field { return field{name: d.copiedString(staticTable[n-1].name)} }

func (d *decoder) copiedString(s string) span {
	from := int32(len(d.m.text))
	d.m.text = append(d.m.text, s...)
	return span{from, int32(len(d.m.text))}
}

// literal reads a field whose value is there, and its name, too, or where it is.
func (d *decoder) literal(bits uint, keep bool) result {
	n, ok, over := d.number(bits)
	if !ok {
		return d.broken(over)
	}
	var f field
	switch {
	case n == 0:
		if f.name, ok, over = d.string(); !ok {
			return d.broken(over)
		}
	case n <= uint64(len(staticTable)):
		f = d.static(n)
	default:
		if e, ok := d.table.get(n - uint64(len(staticTable)) - 1); ok {
			f = field{id: e.id, name: d.copied(e.nameOf(d.table.text))}
		} else {
			f.kind = badIndex
		}
	}
	if f.value, ok, over = d.string(); !ok {
		return d.broken(over)
	}
	if keep && f.kind == aField {
		if f.id == 0 {
			f.id = d.table.nextID()
		}
		d.table.add(f.name.of(d.m.text), f.value.of(d.m.text), f.id)
	}
	d.put(f)
	return whole
}

// string reads a string (RFC 7541, 5.2).
func (d *decoder) string() (s span, ok, over bool) {
	if len(d.in) == 0 {
		return s, false, false
	}
	coded := d.in[0]&0x80 != 0
	n, ok, over := d.number(7)
	if !ok || n > uint64(len(d.in)) {
		return s, false, over
	}
	b := d.in[:n]
	d.in = d.in[n:]
	if !coded {
		return d.copied(b), true, false
	}
	from := int32(len(d.m.text))
	d.m.text = appendHuffman(d.m.text, b)
	return span{from, int32(len(d.m.text))}, true, false
}
