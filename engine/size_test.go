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
