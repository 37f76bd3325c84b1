package engine

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
)

// stale returns the rule or default action by which the newest program would
// not admit a flow of an older one any more, or nil.
func (w *worker) stale(f *flowEntry) *detect.Rule {
	if f.State.slot() == w.current || f.State.decision() == dropped {
		return nil
	}
	est := established(f)
	facts := detect.Facts{
		Src: f.Key.Src, Dst: f.Key.Dst, SrcPort: f.Key.SrcPort, DstPort: f.Key.DstPort, Proto: f.Key.Proto,
		Replied: f.Packets(packet.ToClient) > 0, Established: est,
		App: f.State.app, Sides: [2]applayer.Proto{f.State.protos.side(packet.ToServer), f.State.protos.side(packet.ToClient)},
		Name: []byte(w.nameOf(f)),
	}
	if len(facts.Name) == 0 {
		facts.Name = nil
	}
	w.program.Rules.Readmit(&facts, &w.result)
	if w.result.Action != detect.None {
		if w.result.Action.Drops() {
			return w.result.Rule
		}
		return nil
	}
	d := &w.program.Defaults
	for family := range detect.NumFamilies {
		if d.Drop[family] && defaultApplies(family, f, est, packet.ToServer) {
			return &d.Rules[family]
		}
	}
	return nil
}

// defaultApplies says whether a family of default actions takes a packet of f.
// Connectionless protocols have no handshake that must get through, so every
// family takes them at once.
func defaultApplies(family detect.Family, f *flowEntry, est bool, dir packet.Dir) bool {
	if f.Key.Proto != packet.ProtoTCP {
		return true
	}
	switch family {
	case detect.Established:
		return est
	case detect.EstablishedApp:
		return est && f.State.has(appKnown)
	case detect.EstablishedToServer:
		return est && f.State.has(appKnown) && dir == packet.ToServer
	}
	return true
}
