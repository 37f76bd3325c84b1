package dcerpc

import "encoding/binary"

// Reader takes fields off the front of a message. Past the end it returns zeros, and is Short.
type Reader struct {
	B     []byte // what is left
	Big   bool   // numbers are big endian
	Short bool   // something was asked for that was not there
}

// Take returns the next n bytes, or nil.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.B) {
		r.B, r.Short = nil, true
		return nil
	}
	b := r.B[:n]
	r.B = r.B[n:]
	return b
}

// Skip passes over n bytes.
func (r *Reader) Skip(n int) { r.Take(n) }

// U8 returns the next byte.
func (r *Reader) U8() uint8 {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *Reader) order() binary.ByteOrder {
	if r.Big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// U16 returns the next two bytes.
func (r *Reader) U16() uint16 {
	if b := r.Take(2); b != nil {
		return r.order().Uint16(b)
	}
	return 0
}

// U32 returns the next four bytes.
func (r *Reader) U32() uint32 {
	if b := r.Take(4); b != nil {
		return r.order().Uint32(b)
	}
	return 0
}

// U64 returns the next eight bytes.
func (r *Reader) U64() uint64 {
	if b := r.Take(8); b != nil {
		return r.order().Uint64(b)
	}
	return 0
}
