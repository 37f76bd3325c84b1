package pcap

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/sluicefw/sluice/engine/packet"
)

// Block types (draft-ietf-opsawg-pcapng, 4). A section header reads the same in
// both byte orders.
const (
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
	blockSection   = 0x0a0d0d0a

	byteOrderMagic = 0x1a2b3c4d
)

// maxInterfaces bounds what a section may declare. mergecap writes one for each
// file that it merged.
const maxInterfaces = 4096

// section is the state that a section header block resets.
type section struct {
	interfaces []iface
}

// iface is what an interface description block says.
type iface struct {
	link    packet.LinkType
	snap    uint32 // 0: unlimited
	perSec  uint64 // counts of a time stamp per second
	seconds int64  // added to every time stamp
}

// stepBlock takes one block. All start and end alike (draft-ietf-opsawg-pcapng, 3.1):
//
//	 0 | block type                               |
//	 4 | total length, a multiple of 4            |
//	 8 | body, padded to a multiple of 4          |
//	-4 | total length again                       |
//
// Blocks of other types are passed over, whatever their length.
func (r *Reader) stepBlock(rec *Record) (bool, error) {
	head, err := r.peek(12)
	if err != nil {
		return false, err
	}
	order := r.order
	isSection := binary.BigEndian.Uint32(head) == blockSection
	if isSection { // the byte order is only known from its body
		switch uint32(byteOrderMagic) {
		case binary.LittleEndian.Uint32(head[8:]):
			order = binary.LittleEndian
		case binary.BigEndian.Uint32(head[8:]):
			order = binary.BigEndian
		default:
			return false, r.damage("a section header with byte-order magic %#08x", binary.BigEndian.Uint32(head[8:]))
		}
	}
	kind, total := order.Uint32(head), order.Uint32(head[4:])
	if total < 12 || total%4 != 0 {
		return false, r.damage("a block of type %#x with length %d", kind, total)
	}
	switch kind {
	case blockSection, blockInterface, blockEnhanced, blockSimple, blockPacket:
	default:
		r.skip = int64(total)
		return false, nil
	}
	if total > bufferSize {
		return false, r.damage("a block of type %#x with %d bytes, more than the %d that are possible", kind, total, bufferSize)
	}
	block, err := r.peek(int(total))
	if err != nil {
		return false, err
	}
	if again := order.Uint32(block[total-4:]); again != total {
		return false, r.damage("a block of type %#x with length %d in front and %d behind", kind, total, again)
	}
	body := block[8 : total-4]
	found := false
	switch kind {
	case blockSection:
		err = r.setSection(order, body)
	case blockInterface:
		err = r.addInterface(body)
	case blockEnhanced:
		found, err = true, r.takeEnhanced(rec, body)
	case blockSimple:
		found, err = true, r.takeSimple(rec, body)
	case blockPacket:
		found, err = true, r.takeObsolete(rec, body)
	}
	if err != nil {
		return false, err
	}
	r.consume(len(block))
	return found, nil
}

// setSection starts a section (4.1). Minor versions do not change what is read.
//
//	0 | byte-order magic                         |
//	4 | major version 1     | minor version      |
//	8 | section length (8 bytes)                 |
func (r *Reader) setSection(order binary.ByteOrder, body []byte) error {
	if len(body) < 16 {
		return r.damage("a section header of %d bytes", len(body))
	}
	if major := order.Uint16(body[4:]); major != 1 {
		return r.damage("pcapng version %d, of which nothing is known", major)
	}
	r.order = order
	r.ng.interfaces = r.ng.interfaces[:0]
	return nil
}

// Options of an interface description (4.2).
const (
	optEnd        = 0
	optResolution = 9
	optTimeOffset = 14
)

// addInterface adds an interface to the section (4.2), with its options, each
// | code 16 | length 16 | value, padded to a multiple of 4 |:
//
//	0 | link type           | reserved           |
//	4 | snap length                              |
//	8 | options                                  |
func (r *Reader) addInterface(body []byte) error {
	if len(body) < 8 {
		return r.damage("an interface description of %d bytes", len(body))
	}
	if len(r.ng.interfaces) == maxInterfaces {
		return r.damage("more than the %d interfaces that are possible", maxInterfaces)
	}
	i := iface{
		link:   packet.LinkType(r.order.Uint16(body)),
		snap:   r.order.Uint32(body[4:]),
		perSec: 1e6,
	}
	for opts := body[8:]; len(opts) >= 4; {
		code, size := r.order.Uint16(opts), int(r.order.Uint16(opts[2:]))
		if code == optEnd {
			break
		}
		if size > len(opts)-4 {
			return r.damage("an interface option %d of %d bytes runs out of its block", code, size)
		}
		value := opts[4 : 4+size]
		switch {
		case code == optResolution && size == 1:
			i.perSec = countsPerSecond(value[0])
			if i.perSec == 0 {
				return r.damage("a time stamp resolution of %#02x", value[0])
			}
		case code == optTimeOffset && size == 8:
			i.seconds = int64(r.order.Uint64(value))
		}
		opts = opts[min(4+(size+3)&^3, len(opts)):]
	}
	r.ng.interfaces = append(r.ng.interfaces, i)
	return nil
}

// countsPerSecond decodes if_tsresol: a negative power of 10, or of 2 if the
// highest bit is set. It returns 0 for what 64 bits cannot count.
func countsPerSecond(resolution byte) uint64 {
	power := resolution & 0x7f
	if resolution&0x80 != 0 {
		if power > 63 {
			return 0
		}
		return 1 << power
	}
	if power > 19 {
		return 0
	}
	n := uint64(1)
	for range power {
		n *= 10
	}
	return n
}

// nanos turns a time stamp of i into nanoseconds since 1970, the nearest that an
// int64 holds.
func (i *iface) nanos(high, low uint32) int64 {
	stamp := uint64(high)<<32 | uint64(low)
	whole, part := stamp/i.perSec, stamp%i.perSec
	hi, lo := bits.Mul64(part, 1e9)
	nanos, _ := bits.Div64(hi, lo, i.perSec)      // part < perSec, so this fits
	const limit = math.MaxInt64/1_000_000_000 - 1 // whole seconds
	if whole > limit || i.seconds > limit-int64(whole) {
		return math.MaxInt64
	}
	if i.seconds < -limit {
		return math.MinInt64
	}
	return (int64(whole)+i.seconds)*1e9 + int64(nanos)
}

// takeEnhanced fills rec from an enhanced packet block (4.3):
//
//	 0 | interface                                |
//	 4 | time, high half                          |
//	 8 | time, low half                           |
//	12 | bytes in the file                        |
//	16 | bytes on the wire                        |
//	20 | packet, padded; then options             |
func (r *Reader) takeEnhanced(rec *Record, body []byte) error {
	if len(body) < 20 {
		return r.damage("an enhanced packet block of %d bytes", len(body))
	}
	return r.take(rec, r.order.Uint32(body), body)
}

// takeObsolete fills rec from a packet block (C.1), which differs from the enhanced
// one in its first word: | interface 16 | drops 16 |.
func (r *Reader) takeObsolete(rec *Record, body []byte) error {
	if len(body) < 20 {
		return r.damage("a packet block of %d bytes", len(body))
	}
	return r.take(rec, uint32(r.order.Uint16(body)), body)
}

// take fills rec from what enhanced and obsolete packet blocks share.
func (r *Reader) take(rec *Record, ifaceID uint32, body []byte) error {
	if ifaceID >= uint32(len(r.ng.interfaces)) {
		return r.damage("a packet of interface %d, of which there are %d", ifaceID, len(r.ng.interfaces))
	}
	i := &r.ng.interfaces[ifaceID]
	size := r.order.Uint32(body[12:])
	if size > maxRecord || int(size) > len(body)-20 {
		return r.damage("a packet of %d bytes in a block that has room for %d, of the %d that are possible", size, len(body)-20, maxRecord)
	}
	rec.Data = body[20 : 20+size : 20+size]
	rec.Link = i.link
	rec.Time = i.nanos(r.order.Uint32(body[4:]), r.order.Uint32(body[8:]))
	rec.Len = max(int(size), int(r.order.Uint32(body[16:])))
	return nil
}

// takeSimple fills rec from a simple packet block (4.4), which is of the first
// interface and has no time. How much was captured follows from the snap length.
//
//	0 | bytes on the wire                        |
//	4 | packet, padded                           |
func (r *Reader) takeSimple(rec *Record, body []byte) error {
	if len(r.ng.interfaces) == 0 {
		return r.damage("a simple packet block without an interface")
	}
	if len(body) < 4 {
		return r.damage("a simple packet block of %d bytes", len(body))
	}
	i := &r.ng.interfaces[0]
	wire := r.order.Uint32(body)
	size := wire
	if i.snap != 0 {
		size = min(size, i.snap)
	}
	if size > maxRecord || int(size) > len(body)-4 {
		return r.damage("a packet of %d bytes in a block that has room for %d, of the %d that are possible", size, len(body)-4, maxRecord)
	}
	rec.Data = body[4 : 4+size : 4+size]
	rec.Link = i.link
	rec.Time = r.time
	rec.Len = int(wire)
	return nil
}
