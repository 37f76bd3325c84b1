package delivery

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment is a file of the spool: a header, then records, all numbers little-endian.
//
//	header   magic [8]byte | id [16]byte, random
//	record   length uint32 | checksum uint32 | time int64 | line [length]byte
//
// The checksum is CRC-32C over time and line. The time is when the record was
// taken, in nanoseconds since 1970. A segment is named by the number of its first
// record: records are counted from the first that the spool ever took, so a
// reader that has to skip damage knows how many records it has lost.
const (
	segmentMagic  = "SLSPOOL1"
	segmentHeader = 24
	recordHeader  = 16
	segmentSuffix = ".seg"

	// maxLine is the longest line a spool holds, in bytes. It bounds what a
	// damaged length can make a reader allocate.
	maxLine = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged ends the reading of a segment whose next bytes are no record.
var errDamaged = errors.New("delivery: spool segment is damaged")

// segmentID makes the first record of a batch recognizable over restarts.
type segmentID [16]byte

func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// parseSegmentName is the inverse of segmentName; ok is false for other files.
func parseSegmentName(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil
}

func newSegmentHeader() []byte {
	b := make([]byte, segmentHeader)
	copy(b, segmentMagic)
	rand.Read(b[len(segmentMagic):]) // never fails, by its documentation
	return b
}

// appendRecord appends the record of one line.
func appendRecord(dst []byte, time int64, line []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(line)))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(time))
	dst = append(dst, line...)
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(dst[start+8:], castagnoli))
	return dst
}

// record is one line of a segment.
type record struct {
	time int64  // nanoseconds since 1970
	line []byte // valid until the next record is read
}

// segmentReader reads the records of one segment.
type segmentReader struct {
	id     segmentID
	r      *bufio.Reader
	offset int64 // in the segment, of the next record
	end    int64 // of the records
	buf    []byte
}

// newSegmentReader reads records of src, whose last one ends at end, from offset
// on; 0 is the first record. The error is errDamaged when src has no header.
func newSegmentReader(src io.ReaderAt, offset, end int64) (*segmentReader, error) {
	header := make([]byte, segmentHeader)
	if end < segmentHeader {
		return nil, errDamaged
	}
	if err := readFull(io.NewSectionReader(src, 0, segmentHeader), header); err != nil {
		return nil, err
	}
	if string(header[:len(segmentMagic)]) != segmentMagic {
		return nil, errDamaged
	}
	offset = max(offset, segmentHeader)
	if offset > end {
		return nil, errDamaged
	}
	return &segmentReader{
		id: segmentID(header[len(segmentMagic):]), offset: offset, end: end,
		r: bufio.NewReaderSize(io.NewSectionReader(src, offset, end-offset), 64<<10),
	}, nil
}

// next returns io.EOF behind the last record, errDamaged where no whole record
// stands, and errors of the file as they are.
func (r *segmentReader) next() (record, error) {
	left := r.end - r.offset
	if left == 0 {
		return record{}, io.EOF
	}
	var head [recordHeader]byte
	if left < recordHeader {
		return record{}, errDamaged
	}
	if err := readFull(r.r, head[:]); err != nil {
		return record{}, err
	}
	length := int64(binary.LittleEndian.Uint32(head[:]))
	if length == 0 || length > maxLine || length > left-recordHeader {
		return record{}, errDamaged
	}
	if int64(cap(r.buf)) < length {
		r.buf = make([]byte, length)
	}
	line := r.buf[:length]
	if err := readFull(r.r, line); err != nil {
		return record{}, err
	}
	sum := crc32.Update(crc32.Checksum(head[8:], castagnoli), castagnoli, line)
	if sum != binary.LittleEndian.Uint32(head[4:]) {
		return record{}, errDamaged
	}
	r.offset += recordHeader + length
	return record{time: int64(binary.LittleEndian.Uint64(head[8:])), line: line}, nil
}

// readFull is io.ReadFull, for bytes that should be there: their lack is damage.
func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errDamaged
	}
	return err
}

// repairSegment cuts off what a crash has left of a last record. It returns the
// number of whole records and the size of the file.
func repairSegment(path string) (records uint64, size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	r, err := newSegmentReader(f, 0, info.Size())
	if errors.Is(err, errDamaged) {
		return 0, 0, nil // died before the header was whole
	}
	for err == nil {
		if _, err = r.next(); err == nil {
			records++
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return records, r.offset, nil
	case errors.Is(err, errDamaged):
		return records, r.offset, f.Truncate(r.offset)
	}
	return 0, 0, err
}

// position is a place between two records of the spool.
type position struct {
	segment uint64 // number of the first record of the segment
	offset  int64  // in the segment's file; 0 is the first record
	record  uint64 // number of the record that begins here
}

// cursorFile keeps the position up to which the destination has acknowledged.
const (
	cursorFile = "cursor"
	cursorSize = 28
)

func encodeCursor(p position) []byte {
	b := make([]byte, 0, cursorSize)
	b = binary.LittleEndian.AppendUint64(b, p.segment)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.offset))
	b = binary.LittleEndian.AppendUint64(b, p.record)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// readCursor returns the zero position when there is no whole cursor: shipping
// then begins at the oldest record, which doubles records and loses none.
func readCursor(dir string) (position, error) {
	f, err := os.Open(filepath.Join(dir, cursorFile))
	if errors.Is(err, os.ErrNotExist) {
		return position{}, nil
	}
	if err != nil {
		return position{}, err
	}
	defer f.Close()
	var b [cursorSize]byte
	if err := readFull(f, b[:]); err != nil {
		if errors.Is(err, errDamaged) {
			return position{}, nil
		}
		return position{}, err
	}
	if crc32.Checksum(b[:24], castagnoli) != binary.LittleEndian.Uint32(b[24:]) {
		return position{}, nil
	}
	return position{
		segment: binary.LittleEndian.Uint64(b[:]),
		offset:  int64(binary.LittleEndian.Uint64(b[8:])),
		record:  binary.LittleEndian.Uint64(b[16:]),
	}, nil
}
