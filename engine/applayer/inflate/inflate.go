// Package inflate decompresses DEFLATE (RFC 1951), bare or in a zlib (RFC 1950) or gzip (RFC 1952) format, as the
// compressed bytes come. The decompressors of the standard library read from a stream, which would
// have to wait for the bytes that a packet does not hold; this one remembers where it was.
package inflate

import (
	"errors"
	"hash/crc32"
	"math/bits"
)

// Format is what is around the compressed data.
type Format uint8

const (
	Raw  Format = iota // nothing
	Auto               // a zlib or a gzip header
)

var (
	// ErrCorrupt is for data that no compressor makes.
	ErrCorrupt = errors.New("inflate: corrupt data")
	// ErrSum is for data that is not what was compressed.
	ErrSum = errors.New("inflate: wrong checksum")
)

const (
	windowSize = 32 << 10 // the farthest that a match can lie back
	maxLit     = 286      // literals and lengths
	maxDist    = 30
	numCodes   = 19 // of code lengths
)

// step is where the Reader is in the format.
type step uint8

const (
	stepHeader step = iota // of zlib or gzip
	stepBlock
	stepStoredLen
	stepStored
	stepCounts
	stepCodes
	stepLengths
	stepSymbols
	stepTrailer
	stepDone
	stepFailed
)

// Reader decompresses one stream. Reset it before use.
type Reader struct {
	window [windowSize]byte
	at     int  // where the next byte of output goes
	out    int  // where those begin that were not passed on
	filled bool // the window is full of output

	acc   uint64 // bits that were read but not used, the first lowest
	nacc  uint
	step  step
	final bool // the block is the last
	err   error

	header header
	sum    checksum
	left   int // bytes of a stored block

	nlit, ndist, ncode, n int
	lengths               [maxLit + 2 + maxDist + 2]uint8
	code, lit, dist       huffman
}

// Reset prepares for another stream.
func (z *Reader) Reset(f Format) {
	z.at, z.out, z.filled = 0, 0, false
	z.acc, z.nacc, z.final, z.err, z.left = 0, 0, false, nil, 0
	z.header, z.sum = header{}, checksum{}
	z.step = stepHeader
	if f == Raw {
		z.step = stepBlock
	}
}

// Done reports that the stream has ended.
func (z *Reader) Done() bool { return z.step == stepDone }

// Write takes the next compressed bytes and passes on what they decompress to, in pieces that are valid during
// the call; it stops when emit returns false. n is how many bytes were used: less than all behind the
// end of the stream, and after an error, which holds for all later calls, too.
func (z *Reader) Write(src []byte, emit func([]byte) bool) (n int, err error) {
	rest := src
	for z.step < stepDone {
		rest = z.fill(rest)
		ok, err := z.advance(&rest, emit)
		if err != nil {
			z.flush(emit)
			z.step, z.err = stepFailed, err
			break
		}
		if !ok { // more bytes are needed, or emit has had enough
			break
		}
	}
	if z.step != stepFailed && !z.flush(emit) {
		return len(src) - len(rest), nil
	}
	return len(src) - len(rest), z.err
}

// fill reads as many whole bytes as there is room for.
func (z *Reader) fill(src []byte) []byte {
	for z.nacc <= 56 && len(src) > 0 {
		z.acc |= uint64(src[0]) << z.nacc
		z.nacc += 8
		src = src[1:]
	}
	return src
}

// take returns the next n bits, at most 32.
func (z *Reader) take(n uint) (v uint32, ok bool) {
	if z.nacc < n {
		return 0, false
	}
	v = uint32(z.acc & (1<<n - 1))
	z.acc >>= n
	z.nacc -= n
	return v, true
}

// flush passes on what was decompressed since the last time.
func (z *Reader) flush(emit func([]byte) bool) bool {
	if z.at == z.out {
		return true
	}
	piece := z.window[z.out:z.at]
	z.sum.add(z.header.kind, piece)
	z.out = z.at
	if z.at == windowSize {
		z.at, z.out, z.filled = 0, 0, true
	}
	return emit(piece)
}

// advance does one step. ok is false when it needs more bytes, or nobody wants more.
func (z *Reader) advance(src *[]byte, emit func([]byte) bool) (ok bool, err error) {
	switch z.step {
	case stepHeader:
		return z.readHeader()
	case stepBlock:
		return z.readBlock()
	case stepStoredLen:
		v, ok := z.take(32)
		if !ok {
			return false, nil
		}
		if uint16(v) != ^uint16(v>>16) {
			return false, ErrCorrupt
		}
		z.left, z.step = int(uint16(v)), stepStored
	case stepStored:
		return z.copyStored(src, emit)
	case stepCounts:
		v, ok := z.take(14)
		if !ok {
			return false, nil
		}
		z.nlit, z.ndist, z.ncode = int(v&31)+257, int(v>>5&31)+1, int(v>>10)+4
		if z.nlit > maxLit || z.ndist > maxDist {
			return false, ErrCorrupt
		}
		z.n, z.step = 0, stepCodes
		clear(z.lengths[:numCodes])
	case stepCodes:
		return z.readCodes()
	case stepLengths:
		return z.readLengths()
	case stepSymbols:
		return z.readSymbols(src, emit)
	case stepTrailer:
		return z.readTrailer(emit)
	}
	return true, nil
}

// readBlock reads the head of a block (RFC 1951, 3.2.3).
func (z *Reader) readBlock() (ok bool, err error) {
	if z.final {
		z.take(z.nacc & 7)
		z.step = stepTrailer
		return true, nil
	}
	v, ok := z.take(3)
	if !ok {
		return false, nil
	}
	z.final = v&1 != 0
	switch v >> 1 {
	case 0:
		z.take(z.nacc & 7)
		z.step = stepStoredLen
	case 1:
		z.lit, z.dist = fixedLit, fixedDist
		z.step = stepSymbols
	case 2:
		z.step = stepCounts
	default:
		return false, ErrCorrupt
	}
	return true, nil
}

func (z *Reader) copyStored(src *[]byte, emit func([]byte) bool) (ok bool, err error) {
	for z.left > 0 {
		if z.at == windowSize && !z.flush(emit) {
			return false, nil
		}
		if z.nacc >= 8 {
			v, _ := z.take(8)
			z.window[z.at] = byte(v)
			z.at++
			z.left--
			continue
		}
		n := copy(z.window[z.at:], (*src)[:min(len(*src), z.left)])
		if n == 0 {
			return false, nil
		}
		z.at += n
		z.left -= n
		*src = (*src)[n:]
	}
	z.step = stepBlock
	return true, nil
}

// codeOrder is the order in which the lengths of the codes of code lengths stand (RFC 1951, 3.2.7).
var codeOrder = [numCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (z *Reader) readCodes() (ok bool, err error) {
	for z.n < z.ncode {
		v, ok := z.take(3)
		if !ok {
			return false, nil
		}
		z.lengths[codeOrder[z.n]] = uint8(v)
		z.n++
	}
	if !z.code.build(z.lengths[:numCodes], false) {
		return false, ErrCorrupt
	}
	z.n, z.step = 0, stepLengths
	return true, nil
}

// readLengths reads one code length, or a run of them.
func (z *Reader) readLengths() (ok bool, err error) {
	total := z.nlit + z.ndist
	if z.n == total {
		if z.lengths[256] == 0 || !z.lit.build(z.lengths[:z.nlit], true) || !z.dist.build(z.lengths[z.nlit:total], true) {
			return false, ErrCorrupt
		}
		z.step = stepSymbols
		return true, nil
	}
	sym, n := z.code.decode(z.acc, z.nacc)
	switch {
	case n == needMore:
		return false, nil
	case n == noCode:
		return false, ErrCorrupt
	case sym < 16:
		z.take(n)
		z.lengths[z.n] = uint8(sym)
		z.n++
		return true, nil
	}
	extra, base := uint(2), 3
	switch sym {
	case 17:
		extra = 3
	case 18:
		extra, base = 7, 11
	}
	if z.nacc < n+extra {
		return false, nil
	}
	z.take(n)
	v, _ := z.take(extra)
	repeat, length := base+int(v), uint8(0)
	if sym == 16 {
		if z.n == 0 {
			return false, ErrCorrupt
		}
		length = z.lengths[z.n-1]
	}
	if z.n+repeat > total {
		return false, ErrCorrupt
	}
	for range repeat {
		z.lengths[z.n] = length
		z.n++
	}
	return true, nil
}

// Lengths and distances with their extra bits (RFC 1951, 3.2.5).
var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase   = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distBits   = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

// readSymbols decodes literals and matches up to the end of the block. A match with all its bits takes at most 48, so
// one that is cut short stays in acc until more comes.
func (z *Reader) readSymbols(src *[]byte, emit func([]byte) bool) (ok bool, err error) {
	for {
		if z.nacc < 48 {
			*src = z.fill(*src)
		}
		if z.at == windowSize && !z.flush(emit) {
			return false, nil
		}
		sym, n := z.lit.decode(z.acc, z.nacc)
		switch {
		case n == needMore:
			return false, nil
		case n == noCode:
			return false, ErrCorrupt
		case sym < 256:
			z.take(n)
			z.window[z.at] = byte(sym)
			z.at++
			continue
		case sym == 256:
			z.take(n)
			z.step = stepBlock
			return true, nil
		case sym-257 >= len(lengthBase):
			return false, ErrCorrupt
		}
		length, dist, used, err := z.match(sym-257, n)
		if used == 0 {
			return false, err
		}
		z.take(min(used, 32))
		z.take(used - min(used, 32))
		if dist > z.at && !z.filled || dist > windowSize {
			return false, ErrCorrupt
		}
		if !z.copyMatch(length, dist, emit) {
			return false, nil
		}
	}
}

// match reads the rest of a match whose length has code number i and whose first n bits are read. used is
// how many bits it takes in all, 0 when they are not there or wrong.
func (z *Reader) match(i int, n uint) (length, dist int, used uint, err error) {
	acc, left := z.acc>>n, z.nacc-n
	used = n
	extra := uint(lengthBits[i])
	if left < extra {
		return 0, 0, 0, nil
	}
	length = int(lengthBase[i]) + int(acc&(1<<extra-1))
	acc, left, used = acc>>extra, left-extra, used+extra
	sym, n := z.dist.decode(acc, left)
	switch {
	case n == needMore:
		return 0, 0, 0, nil
	case n == noCode, sym >= len(distBase):
		return 0, 0, 0, ErrCorrupt
	}
	acc, left, used = acc>>n, left-n, used+n
	extra = uint(distBits[sym])
	if left < extra {
		return 0, 0, 0, nil
	}
	return length, int(distBase[sym]) + int(acc&(1<<extra-1)), used + extra, nil
}

// copyMatch repeats output. A match that nobody wants any more of is given up.
func (z *Reader) copyMatch(length, dist int, emit func([]byte) bool) bool {
	from := z.at - dist
	if from < 0 {
		from += windowSize
	}
	for length > 0 {
		if z.at == windowSize && !z.flush(emit) {
			return false
		}
		n := min(length, windowSize-z.at, windowSize-from)
		if from < z.at && n > z.at-from {
			n = z.at - from // bytes that the match itself makes
		}
		copy(z.window[z.at:z.at+n], z.window[from:from+n])
		z.at += n
		length -= n
		if from += n; from == windowSize {
			from = 0
		}
	}
	return true
}

// readTrailer compares the checksum at the end of the stream.
func (z *Reader) readTrailer(emit func([]byte) bool) (ok bool, err error) {
	if !z.flush(emit) {
		return false, nil
	}
	switch z.header.kind {
	case zlibKind:
		v, ok := z.take(32)
		if !ok {
			return false, nil
		}
		if bits.ReverseBytes32(v) != z.sum.adler() {
			return false, ErrSum
		}
	case gzipKind:
		if z.nacc < 64 {
			return false, nil
		}
		crc, _ := z.take(32)
		size, _ := z.take(32)
		if crc != z.sum.crc || size != z.sum.size {
			return false, ErrSum
		}
	}
	z.step = stepDone
	return false, nil
}

// kind is what was found around the compressed data.
type kind uint8

const (
	rawKind kind = iota
	zlibKind
	gzipKind
)

// header is how far a gzip header has been read.
type header struct {
	kind  kind
	at    int // bytes of its fixed part, then of the part that part says
	flags uint8
	part  uint8
	extra int
}

// Flags of a gzip header, which are also its parts in their order (RFC 1952, 2.3.1).
const (
	flagHCRC    = 1 << 1
	flagExtra   = 1 << 2
	flagName    = 1 << 3
	flagComment = 1 << 4
)

// readHeader reads a byte of the header; the first two say of which format.
func (z *Reader) readHeader() (ok bool, err error) {
	h := &z.header
	if h.kind == rawKind {
		v, ok := z.take(16)
		if !ok {
			return false, nil
		}
		switch {
		case v == 0x8b1f:
			h.kind, h.at = gzipKind, 2
		case v&0x0f == 8 && v>>4&0x0f <= 7 && bits.ReverseBytes16(uint16(v))%31 == 0 && v&0x2000 == 0:
			h.kind, z.step = zlibKind, stepBlock
			z.sum.a = 1
		default:
			return false, ErrCorrupt
		}
		return true, nil
	}
	v, ok := z.take(8)
	if !ok {
		return false, nil
	}
	if h.at < 10 {
		if h.at == 2 && v != 8 {
			return false, ErrCorrupt
		}
		if h.at == 3 {
			if h.flags = uint8(v); v&0xe0 != 0 {
				return false, ErrCorrupt
			}
		}
		if h.at++; h.at == 10 {
			z.nextPart(flagExtra)
		}
		return true, nil
	}
	h.extra--
	switch h.part {
	case flagExtra:
		if h.at == 10 {
			h.extra, h.at = int(v), 11
		} else if h.at == 11 {
			h.extra, h.at = h.extra+1+int(v)<<8, 12
		}
		if h.at == 12 && h.extra <= 0 {
			z.nextPart(flagName)
		}
	case flagName:
		if v == 0 {
			z.nextPart(flagComment)
		}
	case flagComment:
		if v == 0 {
			z.nextPart(flagHCRC)
		}
	case flagHCRC:
		if h.extra == 0 {
			z.step = stepBlock
		}
	}
	return true, nil
}

// nextPart goes on to the next part of a gzip header that is there, from the given one on.
func (z *Reader) nextPart(part uint8) {
	h := &z.header
	for _, f := range [...]uint8{flagExtra, flagName, flagComment, flagHCRC} {
		if part == f && h.flags&f != 0 {
			h.part, h.extra = f, 2
			return
		}
		if part == f {
			switch f {
			case flagExtra:
				part = flagName
			case flagName:
				part = flagComment
			case flagComment:
				part = flagHCRC
			}
		}
	}
	z.step = stepBlock
}

// checksum is that of the output.
type checksum struct {
	crc  uint32
	size uint32
	a, b uint32 // of Adler-32; a begins with 1
}

func (s *checksum) add(k kind, b []byte) {
	switch k {
	case gzipKind:
		s.crc = crc32.Update(s.crc, crc32.IEEETable, b)
		s.size += uint32(len(b))
	case zlibKind:
		const most = 5552 // additions before a sum of 32 bits could overflow (RFC 1950, 9)
		for len(b) > 0 {
			part := b[:min(len(b), most)]
			b = b[len(part):]
			for _, c := range part {
				s.a += uint32(c)
				s.b += s.a
			}
			s.a %= 65521
			s.b %= 65521
		}
	}
}

func (s *checksum) adler() uint32 { return s.b<<16 | s.a }
