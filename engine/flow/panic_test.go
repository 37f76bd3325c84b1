package flow

import (
	"net/netip"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
)

// fragile panics at the end of one flow, whenever it comes to it.
type fragile struct {
	testOwner
	port uint16
}

func (o *fragile) Ended(f *Flow[testState], r Reason, op *Operation[testState]) {
	if f.Key.SrcPort == o.port {
		panic("fragile")
	}
	o.testOwner.Ended(f, r, op)
}

// TestSweepSurvivesItsOwner: when the owner panics at a flow, operations go on behind it, and
// choose every other flow once.
func TestSweepSurvivesItsOwner(t *testing.T) {
	const flows, bad = 20, 7
	owner := &fragile{port: bad}
	tab := NewTable[testState](flows, owner)
	for port := range uint16(flows) {
		k := key("10.0.0.1", port, "10.0.0.2", 2, packet.ProtoTCP)
		tab.Insert(&k, 0).State.idle = 60
	}
	seen := map[uint16]int{}
	capture := &Operation[testState]{Filters: []Filter{{}}, Emit: func(f *Flow[testState]) { seen[f.Key.SrcPort]++ }}
	flush := &Operation[testState]{Filters: []Filter{NewFilter(netip.Prefix{}, netip.Prefix{}, PortRange{5, 9}, AnyPort, nil)}}
	tab.Capture(capture, sec(10))
	tab.Flush(flush, sec(10))
	sweep := func() (op *Operation[testState]) {
		defer func() {
			if recover() != nil {
				op = nil
			}
		}()
		return tab.Sweep(flows, sec(10))
	}
	var done []*Operation[testState]
	for range 10 {
		if op := sweep(); op != nil {
			done = append(done, op)
		}
	}
	if len(done) != 2 || done[0] != capture || done[1] != flush {
		t.Fatalf("%d operations are complete", len(done))
	}
	if len(owner.ended) != 4 || tab.Len() != flows-5 {
		t.Errorf("%d ends were told of and %d flows are left", len(owner.ended), tab.Len())
	}
	for port, n := range seen {
		if n != 1 || port >= 5 && port <= 9 {
			t.Errorf("flow %d was captured %d times", port, n)
		}
	}
	if len(seen) != flows-5 {
		t.Errorf("%d flows were captured", len(seen))
	}
}
