package packet

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// slowChecksum adds one 16-bit word after the other, as RFC 1071 describes it.
func slowChecksum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - i%2))
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func TestChecksumAgainstSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "head")
		head = head[:len(head)&^1]
		b := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.Just(byte(0xff))), 0, 200).Draw(t, "bytes")
		want := slowChecksum(append(append([]byte{}, head...), b...))
		if got := checksum(onesSum(0, head), b); got != want {
			t.Errorf("checksum = %#04x, want %#04x", got, want)
		}
	})
}

// TestChecksumCarries adds up nothing but ones, where every addition carries.
func TestChecksumCarries(t *testing.T) {
	for n := range 100 {
		b := make([]byte, n)
		for i := range b {
			b[i] = 0xff
		}
		if got, want := checksum(^uint64(0), b), slowChecksum(append(b[:n:n], make([]byte, n%2)...)); n > 0 && got != want {
			t.Errorf("%d bytes: checksum = %#04x, want %#04x", n, got, want)
		}
	}
}

// TestChecksumRFC1071 is the example of RFC 1071, section 3.
func TestChecksumRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := fold(onesSum(0, b)); got != 0xddf2 {
		t.Errorf("sum = %#04x, want 0xddf2", got)
	}
}

func BenchmarkChecksum(b *testing.B) {
	for _, size := range []int{20, 64, 1460, 65000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				checksum(0, data)
			}
		})
	}
}
