package engine

import (
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// related lets an ICMP error go with the flow that it is about, if rules let
// that flow pass: path MTU discovery depends on it. It must be on its way to the
// sender of the packet that it quotes.
func (w *worker) related() bool {
	p := &w.pkt
	var quoted packet.Packet
	if !p.Embedded(&quoted) || quoted.Src != p.Dst {
		return false
	}
	var k flow.Key
	flow.KeyOf(&k, &quoted)
	k.Place = flow.PlaceOf(p.VLAN, p.Depth)
	f, _ := w.table.Find(&k, w.now)
	return f != nil && f.State.decision() == passed
}

// untrackedPacket is a packet of a protocol that has no flows, or an ICMP error, where flows are
// made as Suricata makes them.
func (w *worker) untrackedPacket(in *pktio.Packet) {
	f, dir := w.quoted()
	if f == nil {
		w.flowless(in)
		return
	}
	w.flow, w.dir = f, dir
	f.Count(dir, w.packets, w.size(), w.now)
	f.State.ttl[dir].add(w.pkt.TTL)
	w.decide(in, f, dir, established(f))
}

// unreachable is the ICMP type of RFC 792.
const unreachable = 3

// quoted returns the flow that the ICMP destination unreachable at hand is about, and the
// direction that it has in it: that of the host that sent it, if that is one of the ends, else of a
// router's word to the client.
func (w *worker) quoted() (*flowEntry, packet.Dir) {
	p := &w.pkt
	var quoted packet.Packet
	if p.Proto != packet.ProtoICMP || p.ICMP.Type != unreachable || !p.Embedded(&quoted) || quoted.L4 == nil {
		return nil, 0
	}
	if quoted.Proto != packet.ProtoTCP && quoted.Proto != packet.ProtoUDP {
		return nil, 0
	}
	var k flow.Key
	flow.KeyOf(&k, &quoted)
	k.Place = flow.PlaceOf(p.VLAN, p.Depth)
	f, _ := w.table.Find(&k, w.now)
	if f != nil && f.Key.Src == p.Src {
		return f, packet.ToServer
	}
	return f, packet.ToClient
}
