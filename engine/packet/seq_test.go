package packet

import (
	"testing"

	"pgregory.net/rapid"
)

// TestSeq moves windows over the wrap and compares with arithmetic in int64.
func TestSeq(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.OneOf(rapid.Int64Range(1<<32-1000, 1<<32+1000), rapid.Int64Range(1<<31, 1<<33)).Draw(t, "base")
		step := rapid.OneOf(rapid.Int64Range(-1000, 1000), rapid.Int64Range(-1<<31+1, 1<<31-1)).Draw(t, "step")
		a, b := Seq(base), Seq(base+step)
		if got, want := a.Less(b), step > 0; got != want {
			t.Errorf("%d.Less(%d) = %v", a, b, got)
		}
		if got, want := a.LessEq(b), step >= 0; got != want {
			t.Errorf("%d.LessEq(%d) = %v", a, b, got)
		}
		if got := b.Diff(a); int64(got) != step {
			t.Errorf("%d.Diff(%d) = %d, want %d", b, a, got, step)
		}
		if got := a.Add(int(step)); got != b {
			t.Errorf("%d.Add(%d) = %d, want %d", a, step, got, b)
		}
		size := rapid.Uint32Range(0, 1<<31).Draw(t, "size")
		if got, want := b.InWindow(a, size), step >= 0 && step < int64(size); got != want {
			t.Errorf("%d.InWindow(%d, %d) = %v", b, a, size, got)
		}
		want := b
		if step < 0 {
			want = a
		}
		if got := MaxSeq(a, b); got != want {
			t.Errorf("MaxSeq(%d, %d) = %d", a, b, got)
		}
	})
}

func TestSegLen(t *testing.T) {
	for _, test := range []struct {
		flags uint8
		data  string
		want  int
	}{
		{ACK, "", 0},
		{ACK, "abc", 3},
		{SYN, "", 1},
		{SYN | ACK, "ab", 3},
		{FIN | ACK, "ab", 3},
		{SYN | FIN, "ab", 4},
	} {
		p := Packet{Proto: ProtoTCP, L4: []byte{}, Payload: []byte(test.data), TCP: TCP{Flags: test.flags}}
		if got := p.SegLen(); got != test.want {
			t.Errorf("SegLen of flags %#02x and %d bytes = %d, want %d", test.flags, len(test.data), got, test.want)
		}
	}
	udp := Packet{Proto: ProtoUDP, L4: []byte{}, Payload: []byte("abc")}
	if got := udp.SegLen(); got != 0 {
		t.Errorf("SegLen of UDP = %d, want 0", got)
	}
}
