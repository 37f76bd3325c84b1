package pcap

import (
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/packet"
)

// First words of a classic capture: they tell byte order and time unit.
const (
	magicMicros = 0xa1b2c3d4
	magicNanos  = 0xa1b23c4d
)

// classicFile is what the file header of a classic capture says
// (draft-ietf-opsawg-pcap, 4):
//
//	 0 | magic number                             |
//	 4 | major version 2     | minor version 4    |
//	 8 | reserved                                 |
//	12 | reserved                                 |
//	16 | snap length                              |
//	20 | FCS length, flags   | link type          |
//
// The snap length is not used: files exist whose records are longer.
type classicFile struct {
	link packet.LinkType
	unit int64 // nanoseconds per count of a time's second word
}

// setClassic takes byte order and time unit from the magic number that head
// starts with, and reports whether it is one.
func (r *Reader) setClassic(head []byte) bool {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(head) {
		case magicMicros:
			r.order, r.classic.unit = order, 1000
			return true
		case magicNanos:
			r.order, r.classic.unit = order, 1
			return true
		}
	}
	return false
}

// stepClassic takes one packet record (draft-ietf-opsawg-pcap, 5):
//
//	 0 | seconds since 1970                       |
//	 4 | micro- or nanoseconds                    |
//	 8 | bytes in the file                        |
//	12 | bytes on the wire                        |
//	16 | packet, not padded                       |
func (r *Reader) stepClassic(rec *Record) (bool, error) {
	head, err := r.peek(16)
	if err != nil {
		return false, err
	}
	size := r.order.Uint32(head[8:])
	if size > maxRecord {
		return false, r.damage("a packet of %d bytes, more than the %d that are possible", size, maxRecord)
	}
	all, err := r.peek(16 + int(size))
	if err != nil {
		return false, err
	}
	rec.Data = all[16:]
	rec.Link = r.classic.link
	rec.Time = int64(r.order.Uint32(all))*1e9 + int64(r.order.Uint32(all[4:]))*r.classic.unit
	rec.Len = max(int(size), int(r.order.Uint32(all[12:])))
	r.consume(len(all))
	return true, nil
}
