package engine

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/pktio"
)

// A packet can carry another one, and a fragment complete a datagram. What comes out of a
// packet has a flow of its own and is judged by itself, the innermost first, as in Suricata. If that is
// dropped so are the packets around it. Of rule files still hear those that are of a flow, which goes
// on; else nothing more is asked about them. Rules do not look for payload in a packet that carries
// another.
//
// Nothing is sent to the hosts of a packet in a tunnel that is rejected: they may be in a network
// that only the ends of the tunnel can reach.

// maxLevels bounds how many packets come out of one another: as many as there can be tunnels, and a
// datagram at either end of them.
const maxLevels = packet.MaxDepth + 2

// outer keeps a packet while the one that came out of it is judged.
type outer struct {
	pkt   packet.Packet
	whole []byte // the datagram that it completed, while that is judged; then room for the next
}

// within judges what decode makes of the packet at hand and puts into w.pkt. It reports false if decode
// does: then there was nothing.
func (w *worker) within(in *pktio.Packet, decode func(inner *packet.Packet, o *outer) bool) bool {
	o := &w.outers[w.level]
	o.pkt = w.pkt
	w.level++
	ok := decode(&w.pkt, o)
	if ok {
		w.begun()
		w.judgeInner(in)
		w.packetAnomalies()
	}
	w.level--
	w.pkt = o.pkt
	w.begun()
	return ok
}

// begun forgets what was known of another packet.
func (w *worker) begun() {
	w.frame = eve.Frame{Data: w.pkt.Data, Link: w.pkt.Link}
	w.flow, w.dir, w.keyed, w.segment = nil, packet.ToServer, false, false
	w.cause, w.causeOperation, w.rejected = 0, "", false
	w.eventTx = [2]applayer.Tx{}
	w.result.ForgetPacket()
}

// judgeInner judges a packet that came out of another, or is about to have others come out of it.
func (w *worker) judgeInner(in *pktio.Packet) {
	p := &w.pkt
	if p.Inner.Data != nil && w.level < maxLevels {
		if !w.within(in, decodeInner) {
			p.Inner = packet.Inner{}
		}
		if w.dropped() {
			if w.program.Suricata && p.Tracked {
				w.stateful(in)
			}
			w.dropOuter()
			return
		}
	}
	switch {
	case w.unfit(in):
	case p.Fragment:
		w.fragment(in)
	default:
		w.stateful(in)
	}
}

func decodeInner(p *packet.Packet, o *outer) bool { return p.DecodeInner(&o.pkt) }

// dropped says whether the packet on the wire will not go on.
func (w *worker) dropped() bool { return w.denied && w.opt.Inline }

// dropOuter logs that the packet at hand is dropped because of what came out of it. That is
// counted as it was dropped.
func (w *worker) dropOuter() {
	if w.opt.Wants.Wants(Drops) {
		w.dropRecord(w.flow, w.dir, reasonTunnel, nil)
	}
}

// unfit deals with a packet that cannot be trusted, and with one that is not IP. It reports whether
// it did: no more is to be done then. Under rule files it is theirs to say what an invalid packet is
// worth, as in Suricata: all that could be read of it is theirs, and it has a flow if it could be
// read to the end.
func (w *worker) unfit(in *pktio.Packet) bool {
	p := &w.pkt
	suricata := w.program != nil && w.program.Suricata
	if p.Invalid != packet.Valid && (w.level == 0 || !suricata) { // Suricata counts on the wire only
		w.n[cInvalid+int(p.Invalid)-1] += uint64(w.packets)
	}
	switch {
	case p.Invalid != packet.Valid && !(suricata && p.Net != nil):
		if w.program != nil {
			w.strip()
			w.flowless(in)
		}
		if !suricata {
			w.deny(in, nil, 0, ReasonInvalid, nil)
		}
	case p.IPVersion == 0:
		if w.level == 0 && !suricata {
			w.n[cNotIP] += uint64(w.packets)
		}
		if w.program != nil && len(p.Events.All()) > 0 {
			w.flowless(in)
		}
	default:
		return false
	}
	return true
}

// tunnel tells an alert about the packet at hand what that came out of, or returns nil.
func (w *worker) tunnel() *eve.Tunnel {
	if w.level == 0 || w.ending {
		return nil
	}
	p := &w.outers[0].pkt
	w.tunnelRecord = eve.Tunnel{Src: p.Src, Dst: p.Dst, Proto: p.Proto, Depth: w.pkt.Depth, PktSrc: w.opt.PacketSource}
	if !p.Fragment {
		w.tunnelRecord.SrcPort, w.tunnelRecord.DstPort = p.SrcPort, p.DstPort
	} else if p.IPVersion == 6 {
		w.tunnelRecord.Proto = protoFragment
	}
	if w.opt.CountPackets {
		w.tunnelRecord.PcapCnt = w.cookie
	}
	return &w.tunnelRecord
}
