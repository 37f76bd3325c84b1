package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
)

// randomRecord fills every member, with values of all sizes.
func randomRecord(rnd *rand.Rand) (r FlowRecord) {
	number := func() uint64 { return rnd.Uint64() >> rnd.IntN(64) }
	odd := func() bool { return rnd.IntN(2) == 1 }
	r.Key = flow.Key{SrcPort: uint16(number()), DstPort: uint16(number()), Proto: uint8(number())}
	for _, a := range []*packet.Addr{&r.Key.Src, &r.Key.Dst} {
		a[10], a[11] = 0xff, 0xff
		for i := rnd.IntN(13); i < 16; i++ { // from 12 on: of IPv4
			a[i] = uint8(number())
		}
	}
	if odd() {
		r.Key.Place = flow.PlaceOf([packet.MaxVLANs]uint16{uint16(number()) & 0xfff, uint16(number()) & 0xfff, uint16(number()) & 0xfff}, uint8(rnd.IntN(packet.MaxDepth+1)))
	}
	r.First, r.Last = int64(number()), int64(number())
	for dir := range 2 {
		r.Packets[dir], r.Bytes[dir] = number(), number()
		r.gap[dir], r.tcpFlags[dir] = odd(), uint8(number())
		r.ttl[dir] = ttlRange{uint8(number()), uint8(number())}
	}
	r.App, r.protos = applayer.Proto(number()), protos{uint8(number()), uint8(number())}
	r.State, r.TCPState = FlowState(rnd.IntN(len(flowStateNames))), stream.State(rnd.IntN(int(stream.StateClosed)+1))
	r.Action = []detect.Action{detect.None, detect.Pass, detect.Drop}[rnd.IntN(3)]
	r.Midstream, r.Alerted = odd(), odd()
	return r
}

// TestPacked: records come out of a result as they went in, in order.
func TestPacked(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := &share{}
	var want []FlowRecord
	for range 10_000 {
		r := randomRecord(rnd)
		s.packed.add(&r)
		want = append(want, r)
	}
	if got := s.records(); !slices.Equal(got, want) {
		t.Errorf("%d records, want %d, or one that differs", len(got), len(want))
	}
	if n := len(s.packed.chunks); n < 4 {
		t.Errorf("all of them in %d chunks", n)
	}
}

// TestPackedSize: most flows are of IPv4, in no VLAN.
func TestPackedSize(t *testing.T) {
	var r FlowRecord
	r.Key.Src, r.Key.Dst = addr("10.0.0.1"), addr("192.0.2.1")
	if n := r.pack(new([packedMax]byte)); n != 56 {
		t.Errorf("%d bytes, want 56", n)
	}
}
