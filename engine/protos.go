package engine

import (
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// protos tells of a flow's protocols, beside that which it has: as what each side was recognised, in
// the lower 6 bits of its byte, and in the upper bits what the flow's was before it changed, and was to become then.
type protos [2]uint8

const protoMask = 1<<6 - 1

// changers are the protocols that others can follow on a connection, expected those that can be announced.
var (
	changers = [4]applayer.Proto{applayer.Unknown, applayer.HTTP, applayer.SMTP, applayer.FTP}
	expected = [4]applayer.Proto{applayer.Unknown, applayer.TLS, applayer.HTTP2}
)

// side returns as what a side was recognised, as far as that is known.
func (p protos) side(dir packet.Dir) applayer.Proto { return applayer.Proto(p[dir] & protoMask) }

func (p *protos) setSide(dir packet.Dir, proto applayer.Proto) {
	p[dir] = p[dir]&^protoMask | uint8(proto)
}

// setSide notes as what a side of a flow was recognised.
func (w *worker) setSide(f *flowEntry, dir packet.Dir, proto applayer.Proto) {
	s := &f.State
	if s.protos.side(dir) != proto {
		s.quiet = 0 // for rules about the side
	}
	s.protos.setSide(dir, proto)
	w.input.Sides[dir] = proto
}

// detected lets rules about the protocol alone look at a side's with its next packet, and with the one at hand if it
// is the side's and waits for its verdict.
func (w *worker) detected(f *flowEntry, dir packet.Dir) {
	f.State.setDetected(dir)
	if w.opt.Inline && dir == w.input.Dir {
		w.input.Detected = true
	}
}

// setDatagramSide notes what came of the first datagram of a side: what is not recognised counts as what the other side
// is, if that is known. As in Suricata rules about the protocol alone look at it with this packet, and with the next of each
// side.
func (w *worker) setDatagramSide(f *flowEntry, dir packet.Dir, proto applayer.Proto) {
	s := &f.State
	switch {
	case proto > applayer.Failed:
	case s.app > applayer.Failed:
		proto = s.app
	default:
		proto = applayer.Failed
	}
	w.setSide(f, dir, proto)
	s.setDetected(packet.ToServer)
	s.setDetected(packet.ToClient)
	w.input.Detected = true
}

// setSides notes what a session knows of both sides, and what is to follow.
func (w *worker) setSides(f *flowEntry, session *applayer.Session) {
	f.State.protos.setExpected(session.Expected())
	for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
		w.setSide(f, dir, session.Side(dir))
		if session.Detected(dir) {
			w.detected(f, dir)
		}
	}
}

// orig returns what the protocol was before it changed, or Unknown.
func (p protos) orig() applayer.Proto { return changers[p[0]>>6] }

// expected returns what the protocol was to become when it changed, or Unknown.
func (p protos) expected() applayer.Proto { return expected[p[1]>>6] }

func (p *protos) setOrig(proto applayer.Proto) { p[0] = p[0]&protoMask | placeOf(changers, proto)<<6 }

func (p *protos) setExpected(proto applayer.Proto) {
	p[1] = p[1]&protoMask | placeOf(expected, proto)<<6
}

func placeOf(list [4]applayer.Proto, proto applayer.Proto) uint8 {
	return uint8(max(slices.Index(list[:], proto), 0))
}
