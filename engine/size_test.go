package engine

import (
	"testing"
	"unsafe"
)

// TestFlowIsSmall: a million flows have to fit beside everything else.
func TestFlowIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(flowEntry{}); n > 160 {
		t.Errorf("a flow takes %d bytes, at most 160 wanted", n)
	}
}

// TestVerdictBits: what was decided and by which rule are kept apart.
func TestVerdictBits(t *testing.T) {
	for _, rule := range []uint32{0, 1, 1<<16 - 1, 1 << 16, 1<<ruleBits - 2} {
		for d := undecided; d <= dropped; d++ {
			var s state
			s.decide(dropped)
			s.setRule(rule)
			s.decide(d)
			got := (uint32(s.verdict[0]) | uint32(s.verdict[1])<<8 | uint32(s.verdict[2])<<16) & (1<<ruleBits - 1)
			if s.decision() != d || got != rule+1 {
				t.Errorf("%d by %d: %d by %d", d, rule, s.decision(), got-1)
			}
			if s.setRule(noRule); s.decision() != d || s.verdict[0]|s.verdict[1] != 0 {
				t.Errorf("%d by none: %v", d, s.verdict)
			}
		}
	}
}
