package inflate

import "math/bits"

const (
	fastBits = 9
	maxBits  = 15 // of a code

	// What decode returns instead of a length.
	needMore uint = 0
	noCode   uint = 99
)

// huffman decodes a canonical code (RFC 1951, 3.2.2). Codes of up to fastBits bits are found in a table by
// the bits that come next; longer ones are counted out.
type huffman struct {
	fast   [1 << fastBits]uint16 // symbol<<4 | length, 0 where there is no short code
	count  [maxBits + 1]uint16   // codes of each length
	symbol [maxLit + 2]uint16    // in the order of their codes
}

// build makes the decoder of a code from the lengths of its symbols. It refuses codes that are
// ambiguous and, but for a single symbol where that is allowed, incomplete ones.
func (h *huffman) build(lengths []uint8, allowOne bool) bool {
	h.count = [maxBits + 1]uint16{}
	for _, n := range lengths {
		h.count[n]++
	}
	used := len(lengths) - int(h.count[0])
	h.count[0] = 0
	left := 1
	var next, offset [maxBits + 2]uint16
	for n := 1; n <= maxBits; n++ {
		left = left<<1 - int(h.count[n])
		if left < 0 {
			return false
		}
		next[n+1] = (next[n] + h.count[n]) << 1
		offset[n+1] = offset[n] + h.count[n]
	}
	if left > 0 && !(allowOne && (used == 0 || used == 1 && h.count[1] == 1)) {
		return false
	}
	h.fast = [1 << fastBits]uint16{}
	for sym, n := range lengths {
		if n == 0 {
			continue
		}
		h.symbol[offset[n]] = uint16(sym)
		offset[n]++
		code := next[n]
		next[n]++
		if n > fastBits {
			continue
		}
		// The bits of a code come highest first, those of the table lowest.
		low := bits.Reverse16(code) >> (16 - n)
		for i := int(low); i < 1<<fastBits; i += 1 << n {
			h.fast[i] = uint16(sym)<<4 | uint16(n)
		}
	}
	return true
}

// decode finds the symbol that the first of n bits are the code of, and how many bits that are.
func (h *huffman) decode(acc uint64, n uint) (sym int, length uint) {
	if e := h.fast[acc&(1<<fastBits-1)]; e != 0 {
		if length = uint(e & 15); length > n {
			return 0, needMore
		}
		return int(e >> 4), length
	}
	code, first, index := 0, 0, 0
	for length = 1; length <= maxBits; length++ {
		if length > n {
			return 0, needMore
		}
		code |= int(acc & 1)
		acc >>= 1
		count := int(h.count[length])
		if code-count < first {
			return int(h.symbol[index+code-first]), length
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return 0, noCode
}

// The codes of blocks that bring none (RFC 1951, 3.2.6).
var fixedLit, fixedDist = func() (lit, dist huffman) {
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		case i < 280:
			lengths[i] = 7
		default:
			lengths[i] = 8
		}
	}
	lit.build(lengths[:], false)
	var five [32]uint8
	for i := range five {
		five[i] = 5
	}
	dist.build(five[:], false)
	return lit, dist
}()
