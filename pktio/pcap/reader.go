package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// maxRecord is the most bytes that one packet may have: the largest snap
	// length that tcpdump and Wireshark write.
	maxRecord = 256 << 10

	// bufferSize holds a packet with all that can stand around it in its
	// block, and enough of a file that reading costs little per packet.
	bufferSize = 1 << 20
)

// A Record is one captured packet.
type Record struct {
	Data   []byte          // from the first byte of Link's header
	Link   packet.LinkType // of the interface that it was captured on
	Time   int64           // nanoseconds since 1970; in pcapng's simple packets that of the record before, at first 0
	Len    int             // bytes on the wire, at least len(Data)
	Number uint64          // 1 for the first record of the capture
}

// DamageError says where and how a capture is damaged. Everything in front of
// the damage was read.
type DamageError struct {
	Offset int64  // of the damaged record's or block's first byte in the file
	Record uint64 // number of the packet that would have been next
	Reason string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("pcap: damaged at byte %d, packet %d: %s; the packets before it were read", e.Offset, e.Record, e.Reason)
}

// errMustRead is what parsing steps return when the buffer does not hold all of
// what they need. They have consumed nothing then.
var errMustRead = errors.New("pcap: more bytes needed")

// A Reader reads the packets of a capture from a stream, which it never seeks.
// It reads as far ahead as its buffer (1 MiB) goes.
type Reader struct {
	src    io.Reader
	srcErr error // what ended src, io.EOF included; kept until the buffer is used up

	buf      []byte
	pos, end int   // what is read and not yet consumed is buf[pos:end]
	offset   int64 // of buf[pos] in the stream
	need     int   // with errMustRead: how many bytes from pos on the step needs
	skip     int64 // bytes to pass over before the next block

	order binary.ByteOrder
	step  func(*Record) (bool, error) // takes one record or block; true if it filled the Record

	classic classicFile
	ng      section

	count uint64
	time  int64 // of the last record
}

// NewReader reads the file header from src. The error says so if src is no
// capture; it wraps what reading src returned otherwise.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{src: src, buf: make([]byte, bufferSize)}
	if err := r.fill(4); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("pcap: no capture: the file has fewer than 4 bytes")
		}
		return nil, err
	}
	head := r.buf[r.pos:r.end]
	switch magic := binary.BigEndian.Uint32(head); {
	case magic == blockSection:
		r.step = r.stepBlock
	case r.setClassic(head):
		if err := r.fill(24); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, errors.New("pcap: no capture: the file header is cut")
			}
			return nil, err
		}
		r.classic.link = packet.LinkType(r.order.Uint32(r.buf[r.pos+20:])) // the lower 16 bits
		r.consume(24)
		r.step = r.stepClassic
	case magic>>16 == 0x1f8b:
		return nil, errors.New("pcap: no capture but a gzip file: decompress it first")
	default:
		return nil, fmt.Errorf("pcap: no capture: it starts with %#08x, which is neither pcap nor pcapng", magic)
	}
	return r, nil
}

// Next reads the next packet into rec. rec.Data is the Reader's and valid until
// the next call of Next. At the end of the capture the error is io.EOF, at damage
// a *DamageError, else it wraps what reading returned; it then stays the same.
func (r *Reader) Next(rec *Record) error { return r.next(rec, true) }

// next is Next, and without mayRead it returns errMustRead rather than reading,
// so that the Data of earlier records stays valid.
func (r *Reader) next(rec *Record, mayRead bool) error {
	for {
		found, err := false, r.passOver()
		if err == nil {
			found, err = r.step(rec)
		}
		switch {
		case found:
			r.count++
			r.time = rec.Time
			rec.Number = r.count
			return nil
		case err == nil: // a block without a packet
		case err == errMustRead:
			if !mayRead {
				return errMustRead
			}
			if err := r.fill(r.need); err != nil {
				return r.ended(err)
			}
		default:
			return err
		}
	}
}

// ended turns the error of fill into that of Next.
func (r *Reader) ended(err error) error {
	switch {
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("pcap: reading at byte %d: %w", r.offset+int64(r.end-r.pos), err)
	case r.skip > 0:
		return r.damage("the file ends in the middle of a block, %d bytes early", r.skip)
	case r.pos < r.end:
		return r.damage("the file ends in the middle of a record, of which it has %d of at least %d bytes", r.end-r.pos, r.need)
	}
	return io.EOF
}

// damage returns a DamageError about the record at the current position.
func (r *Reader) damage(format string, args ...any) error {
	return &DamageError{Offset: r.offset, Record: r.count + 1, Reason: fmt.Sprintf(format, args...)}
}

// peek returns n bytes from the current position, at most bufferSize, without
// consuming them.
func (r *Reader) peek(n int) ([]byte, error) {
	if r.end-r.pos < n {
		r.need = n
		return nil, errMustRead
	}
	return r.buf[r.pos : r.pos+n : r.pos+n], nil
}

func (r *Reader) consume(n int) {
	r.pos += n
	r.offset += int64(n)
}

// passOver consumes the bytes that are to be skipped.
func (r *Reader) passOver() error {
	n := int(min(r.skip, int64(r.end-r.pos)))
	r.skip -= int64(n)
	r.consume(n)
	if r.skip > 0 {
		_, err := r.peek(1)
		return err
	}
	return nil
}

// fill reads until the buffer holds n bytes, or more if they come along. What
// it held moves to the front, which invalidates all slices of it.
func (r *Reader) fill(n int) error {
	if r.pos > 0 {
		r.end = copy(r.buf, r.buf[r.pos:r.end])
		r.pos = 0
	}
	for idle := 0; r.end < n; {
		if r.srcErr != nil {
			return r.srcErr
		}
		got, err := r.src.Read(r.buf[r.end:])
		r.end += got
		r.srcErr = err
		if got > 0 {
			idle = 0
		} else if idle++; idle == 100 && err == nil {
			r.srcErr = io.ErrNoProgress
		}
	}
	return nil
}
