package engine

import (
	"testing"
	"unsafe"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
)

// TestFlowIsSmall: a million flows have to fit beside everything else.
func TestFlowIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(flowEntry{}); n > 152 {
		t.Errorf("a flow takes %d bytes, at most 152 wanted", n)
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

// TestPinned: the generation and the alerts of default actions are kept apart.
func TestPinned(t *testing.T) {
	var s state
	for slot := range uint8(maxGenerations) {
		s.pin(slot)
		for family := range detect.NumFamilies {
			if before := s.alertDefault(family); before != (slot > 0) || s.slot() != slot {
				t.Errorf("slot %d of %d, family %d alerted before: %v", s.slot(), slot, family, before)
			}
		}
	}
	s.setDetected(packet.ToClient)
	for _, n := range []uint32{maxExt, 0} {
		if s.setExt(n); s.extension() != n {
			t.Errorf("ext %d, want %d", s.extension(), n)
		}
	}
	if s.takeDetected(packet.ToServer) || !s.takeDetected(packet.ToClient) || s.takeDetected(packet.ToClient) {
		t.Error("of both sides only the client's protocol was detected, once")
	}
}
