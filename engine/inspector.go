package engine

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
)

// inspector is what a flow needs while its content is still of interest:
// reassembly in both directions and the protocol parsers. Flows that are
// decided, encrypted or unknown give it back, so most flows have none.
type inspector struct {
	session *applayer.Session
	asm     [2]*stream.Reassembly
	seen    [2]int    // bytes of asm's that the session has left unconsumed
	offset  [2]int    // stream offset of the first byte not given to stream rules
	tail    [2][]byte // the bytes before it, for patterns that span segments
	tx      int64     // transaction of the last event, -1 before the first
}

// session returns the flow's parsers while it has them.
func (w *worker) session(f *flowEntry) *applayer.Session {
	if f.State.ext == 0 || f.State.has(named) {
		return nil
	}
	return w.inspectors[f.State.ext-1].session
}

// nameOf returns the flow's SNI or Host, if it is known.
func (w *worker) nameOf(f *flowEntry) string {
	if f.State.has(named) {
		return w.names.text(f.State.ext)
	}
	if s := w.session(f); s != nil {
		return string(s.Name())
	}
	return ""
}

// inspector returns the flow's inspector, making one at first, or nil when the
// memory for it is in use: the flow then counts as one whose protocol is not
// recognised, so a default action that waits for it applies.
func (w *worker) inspector(f *flowEntry) *inspector {
	s := &f.State
	if s.ext != 0 {
		return w.inspectors[s.ext-1]
	}
	session := w.sessions.Get()
	if session == nil {
		w.n[cInspectionRefused]++
		s.flags |= noInspection | appKnown
		s.app = applayer.Failed
		return nil
	}
	session.Reset(f.Key.Proto, f.Key.SrcPort, f.Key.DstPort)
	if last := len(w.freeInsp) - 1; last >= 0 {
		s.ext = w.freeInsp[last]
		w.freeInsp = w.freeInsp[:last]
	} else {
		w.inspectors = append(w.inspectors, &inspector{})
		s.ext = uint32(len(w.inspectors))
	}
	i := w.inspectors[s.ext-1]
	i.session, i.tx = session, -1
	return i
}

// dropInspector gives the flow's inspector back and keeps the name it found.
func (w *worker) dropInspector(f *flowEntry) {
	s := &f.State
	if s.ext == 0 || s.has(named) {
		return
	}
	at := s.ext
	i := w.inspectors[at-1]
	s.ext = 0
	s.flags |= noInspection | appKnown
	if i.session != nil {
		if name := i.session.Name(); len(name) > 0 {
			if s.ext = w.names.add(name); s.ext != 0 {
				s.flags |= named
			}
		}
		w.sessions.Put(i.session)
	}
	for dir := range i.asm {
		if i.asm[dir] != nil {
			w.pool.Put(i.asm[dir])
		}
		i.tail[dir] = i.tail[dir][:0]
	}
	*i = inspector{tail: i.tail}
	w.freeInsp = append(w.freeInsp, at)
}

// follow keeps looking at a flow that rules let pass, only to learn its
// protocol and its name.
func (w *worker) follow(f *flowEntry, dir packet.Dir) {
	if f.State.has(noInspection) {
		return
	}
	w.result.Reset()
	w.input = detect.Input{Packet: &w.pkt, Dir: dir}
	w.inspectStream(f, dir, nil, &w.result)
}

// inspectStream gives the packet's bytes to the parsers, and what they and
// reassembly come up with to rules, which may be nil. It returns the
// transaction that was looked at, or -1.
func (w *worker) inspectStream(f *flowEntry, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) int64 {
	p := &w.pkt
	switch f.Key.Proto {
	case packet.ProtoUDP:
		if len(p.Payload) == 0 {
			return -1
		}
		i := w.inspector(f)
		if i == nil {
			return -1
		}
		i.session.Datagram(dir, p.Payload)
		w.events(f, i, rules, res)
		return w.settle(f, i, rules)
	case packet.ProtoTCP:
		if p.L4 == nil || f.State.has(untracked) {
			return -1
		}
	default:
		f.State.flags |= noInspection | appKnown
		return -1
	}
	if len(p.Payload) == 0 && f.State.ext == 0 {
		return -1
	}
	i := w.inspector(f)
	if i == nil {
		return -1
	}
	if !w.opt.Inline {
		if other := i.asm[dir.Reverse()]; other != nil && p.TCP.Flags&packet.ACK != 0 {
			other.Ack(p.TCP.Ack)
		}
	}
	asm := i.asm[dir]
	if asm == nil {
		if len(p.Payload) == 0 {
			return -1
		}
		if asm = w.pool.Get(); asm == nil {
			w.n[cInspectionRefused]++
			w.dropInspector(f)
			return -1
		}
		i.asm[dir] = asm
		asm.Reset(streamStart(f, p, dir), stream.Config{Acked: !w.opt.Inline})
	}
	asm.Borrow(firstByte(p), p.Payload)
	w.feed(f, i, dir, rules, res)
	if asm.Stopped() || p.TCP.Flags&packet.RST != 0 {
		w.dropInspector(f)
		return -1
	}
	return w.settle(f, i, rules)
}

// firstByte is the sequence number of the first payload byte.
func firstByte(p *packet.Packet) uint32 {
	if p.TCP.Flags&packet.SYN != 0 {
		return p.TCP.Seq + 1
	}
	return p.TCP.Seq
}

// streamStart is where a direction begins whose first payload is at hand. That
// need not be p's: segments may come out of order.
func streamStart(f *flowEntry, p *packet.Packet, dir packet.Dir) uint32 {
	if f.State.tcp.Midstream() {
		return firstByte(p)
	}
	return f.State.tcp.Unacked(dir)
}

// feed passes on the bytes of a direction that are in order.
func (w *worker) feed(f *flowEntry, i *inspector, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	asm := i.asm[dir]
	data := asm.Bytes()
	if fresh := data[min(i.seen[dir], len(data)):]; len(fresh) > 0 {
		w.streamRules(i, dir, fresh, rules, res)
		for len(data) > 0 && !i.session.Done() {
			n := i.session.Data(dir, data)
			w.events(f, i, rules, res)
			if n == 0 {
				break
			}
			asm.Consume(n)
			data = asm.Bytes()
		}
	}
	if i.session.Done() {
		asm.Consume(len(data))
		data = nil
	}
	asm.Consume(0)
	i.seen[dir] = len(data)
}

// streamRules runs the rules on reassembled bytes that came now, after as many
// of those before as their patterns can span.
func (w *worker) streamRules(i *inspector, dir packet.Dir, fresh []byte, rules *detect.RuleSet, res *detect.Result) {
	if rules == nil {
		return
	}
	keep, ok := rules.NeedsStream()
	if !ok {
		return
	}
	w.streamBuf = append(append(w.streamBuf[:0], i.tail[dir]...), fresh...)
	w.input.Stream, w.input.StreamBase = w.streamBuf, i.offset[dir]-len(i.tail[dir])
	rules.Stream(&w.input, res)
	i.offset[dir] += len(fresh)
	i.tail[dir] = append(i.tail[dir][:0], w.streamBuf[max(0, len(w.streamBuf)-keep):]...)
}

// events gives what the parsers found to the rules.
func (w *worker) events(f *flowEntry, i *inspector, rules *detect.RuleSet, res *detect.Result) {
	s := &f.State
	var ev applayer.Event
	for i.session.Next(&ev) {
		i.tx = int64(ev.TxID)
		switch ev.Hook {
		case applayer.ProtocolDetected:
			s.app = i.session.Proto()
			if s.app != applayer.TLS && s.app != applayer.HTTP {
				s.flags |= appKnown
			}
			w.input.App = s.app
			w.input.AppFinal = true
		case applayer.TLSClientHello, applayer.HTTPRequestHeaders, applayer.ParserFailed:
			s.flags |= appKnown
		}
		if rules != nil {
			rules.Event(&w.input, i.session, ev, res)
		}
	}
}

// settle gives the inspector back when nothing more can come of it.
func (w *worker) settle(f *flowEntry, i *inspector, rules *detect.RuleSet) int64 {
	tx := i.tx
	if i.session.Done() {
		f.State.flags |= appKnown
		if rules == nil || !rules.WantsStream(f.Key.Proto) {
			w.dropInspector(f)
		}
	}
	return tx
}

// flushStreams lets rules see the bytes that were never acknowledged, at the
// end of a capture that is only looked on.
func (w *worker) flushStreams() {
	if w.opt.Inline || w.program == nil {
		return
	}
	for f := range w.table.All {
		w.flushStream(f)
	}
}

func (w *worker) flushStream(f *flowEntry) {
	if f.State.ext == 0 || f.State.has(named) || f.Key.Proto != packet.ProtoTCP || f.State.decision != undecided {
		return
	}
	i := w.inspectors[f.State.ext-1]
	for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
		asm := i.asm[dir]
		if asm == nil {
			continue
		}
		k := f.Key
		if dir == packet.ToClient {
			k = k.Reverse()
		}
		w.pkt = packet.Packet{Src: k.Src, Dst: k.Dst, SrcPort: k.SrcPort, DstPort: k.DstPort, Proto: k.Proto, IPVersion: 4, VLAN: k.VLAN}
		if !k.Src.Netip().Is4() {
			w.pkt.IPVersion = 6
		}
		w.cookie, w.packetTime = 0, f.Last
		rules := w.programs[f.State.slot].program.Rules
		w.result.Reset()
		w.input = detect.Input{Packet: &w.pkt, Dir: dir, Established: established(f, dir), App: f.State.app, AppFinal: f.State.has(appKnown)}
		asm.Ack(asm.Next())
		w.feed(f, i, dir, rules, &w.result)
		rules.Decide(&w.result)
		for _, h := range w.result.Alerts {
			w.alert(f, dir, &rules.Rules()[h.Rule], w.result.Action, i.tx)
		}
	}
}
