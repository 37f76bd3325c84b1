package packet

// Seq is a TCP sequence number. Comparison is modulo 2^32 (RFC 9293, 3.4), so
// it orders numbers that are less than 2^31 apart, wherever the wrap lies.
type Seq uint32

// Less reports whether s comes before t.
func (s Seq) Less(t Seq) bool { return int32(s-t) < 0 }

// LessEq reports whether s comes before t or is t.
func (s Seq) LessEq(t Seq) bool { return int32(s-t) <= 0 }

// InWindow reports whether s is one of the size numbers from first on.
func (s Seq) InWindow(first Seq, size uint32) bool { return uint32(s-first) < size }

// Add returns the number n bytes after s; n may be negative.
func (s Seq) Add(n int) Seq { return s + Seq(n) }

// Diff returns how many bytes s is after t, negative when it is before.
func (s Seq) Diff(t Seq) int { return int(int32(s - t)) }

// MaxSeq returns the later of s and t.
func MaxSeq(s, t Seq) Seq {
	if s.Less(t) {
		return t
	}
	return s
}

// SegLen is how much sequence space the segment takes: its payload, and one
// each for SYN and FIN (RFC 9293, 3.3.1). It is 0 for everything but TCP.
func (p *Packet) SegLen() int {
	if p.Proto != ProtoTCP || p.L4 == nil {
		return 0
	}
	n := len(p.Payload)
	if p.TCP.Flags&SYN != 0 {
		n++
	}
	if p.TCP.Flags&FIN != 0 {
		n++
	}
	return n
}
