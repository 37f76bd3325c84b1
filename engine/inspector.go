package engine

import (
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
)

// inspector is what a flow needs while its content is still of interest:
// reassembly in both directions and the protocol parsers. Flows that are
// decided, encrypted or unknown give it back, so most flows have none.
type inspector struct {
	session *applayer.Session
	asm     [2]*stream.Reassembly
	seen    [2]int  // bytes of asm's that the session has left unconsumed
	ready   [2]bool // rules need not wait for more bytes of the stream, see rawReady
	ended   [2]bool // the session was told that no more bytes will come
	told    [2]bool // that there is a hole, since the last one
	over    bool    // no more bytes will come, or can be kept
	hidden  bool    // the session is done, and Suricata's parser goes on with what is encrypted

	// Events that rules look at with the next packet of each direction.
	pending [2][]applayer.Event

	state applayer.Event // the last of those about the state of a handshake: Hook is NoHook when rules have looked at it
}

const (
	// maxPending is how many events wait for a packet of their direction. With more, the bytes wait, too, or where
	// that cannot be the rules do not wait for the packet.
	maxPending = 1024

	// maxRepeats is how far back an event that is repeated is looked for: a parser speaks of few transactions at once.
	maxRepeats = 32
)

// session returns the flow's parsers while it has them.
func (w *worker) session(f *flowEntry) *applayer.Session {
	if f.State.extension() == 0 || f.State.has(named) {
		return nil
	}
	return w.inspectors[f.State.extension()-1].session
}

// inspectorOf returns the flow's inspector, if it has one.
func (w *worker) inspectorOf(f *flowEntry) *inspector {
	if f.State.extension() == 0 || f.State.has(named) {
		return nil
	}
	return w.inspectors[f.State.extension()-1]
}

// nameOf returns the flow's SNI or Host, if it is known.
func (w *worker) nameOf(f *flowEntry) string {
	if f.State.has(named) {
		return w.names.text(f.State.extension())
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
	if s.extension() != 0 {
		return w.inspectors[s.extension()-1]
	}
	var session *applayer.Session
	if len(w.inspectors)-len(w.freeInsp) < maxExt {
		session = w.sessions.Get()
	}
	if session == nil {
		w.n[cInspectionRefused]++
		w.meets(LimitStreams)
		s.flags |= noInspection
		w.giveUpApp(f)
		return nil
	}
	w.sessions.Digests = w.opt.Wants.Wants(Transactions) || w.programs[s.slot()].program.Rules.NeedsDigests()
	session.Reset(f.Key.Proto, f.Key.SrcPort, f.Key.DstPort)
	if last := len(w.freeInsp) - 1; last >= 0 {
		s.setExt(w.freeInsp[last])
		w.freeInsp = w.freeInsp[:last]
	} else {
		w.inspectors = append(w.inspectors, &inspector{})
		s.setExt(uint32(len(w.inspectors)))
	}
	i := w.inspectors[s.extension()-1]
	i.session = session
	return i
}

// dropInspector gives the flow's inspector back and keeps the name it found.
func (w *worker) dropInspector(f *flowEntry) {
	s := &f.State
	at := s.extension()
	s.setExt(0)
	s.flags |= noInspection
	w.giveUpApp(f)
	if name := w.inspectors[at-1].session.Name(); len(name) > 0 {
		s.setName(w.names.add(name))
	}
	w.recycle(at)
}

// giveUpApp notes that no more will be known of the flow's protocol. One that has ended before
// enough was said stays unknown, as in Suricata.
func (w *worker) giveUpApp(f *flowEntry) {
	f.State.flags |= appKnown
	if f.State.app == applayer.Unknown && !f.State.tcp.Closed() {
		f.State.app = applayer.Failed
		w.input.App = applayer.Failed
		for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
			if f.State.protos.side(dir) == applayer.Unknown {
				w.setSide(f, dir, applayer.Failed)
				w.detected(f, dir)
			}
		}
	}
}

// recycle gives inspector at-1 back.
func (w *worker) recycle(at uint32) {
	i := w.inspectors[at-1]
	w.sessions.Put(i.session)
	for dir := range i.asm {
		if i.asm[dir] != nil {
			w.pool.Put(i.asm[dir])
		}
	}
	for dir := range i.pending {
		clear(i.pending[dir])
		i.pending[dir] = i.pending[dir][:0]
	}
	*i = inspector{pending: i.pending}
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
	w.settle(f, nil)
}

// udpSessionMemory is enough for a session that reads datagrams.
const udpSessionMemory = 1 << 20

// datagram gives a UDP payload to the parsers. Messages mostly stand alone, so one
// session reads those of all flows, and a flood of datagrams takes none of the
// memory that connections need. Where answers belong to requests the flow has its own.
//
// As in Suricata the first datagram of each side is looked at to recognise the protocol. It is
// "failed" from the first that is of none, until the other side's is.
func (w *worker) datagram(f *flowEntry, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	s, session := &f.State, w.udp
	known, first := s.app > applayer.Failed, s.protos.side(dir) == applayer.Unknown
	if !known && !first {
		return
	}
	if i := w.inspectorOf(f); i != nil {
		i.session.Datagram(dir, w.pkt.Payload)
		if first {
			w.setDatagramSide(f, dir, i.session.Proto())
		}
		w.events(f, i.session, rules, res)
		return
	}
	session.Reset(packet.ProtoUDP, f.Key.SrcPort, f.Key.DstPort)
	session.Datagram(dir, w.pkt.Payload)
	number := f.Packets(packet.ToServer) + f.Packets(packet.ToClient) - 1
	proto := session.Proto()
	if first {
		w.setDatagramSide(f, dir, proto)
	}
	if proto == applayer.DCERPC && !known {
		if i := w.inspector(f); i != nil {
			i.session.Datagram(dir, w.pkt.Payload)
			w.events(f, i.session, rules, res)
		}
		return
	}
	switch {
	case known && s.app != proto:
		return
	case session.ProtoFinal():
	case s.app == applayer.Unknown:
		w.event(f, applayer.Event{Hook: applayer.ProtocolDetected, Dir: dir, App: applayer.Failed}, applayer.Failed, rules, res)
		return
	default:
		s.flags |= noInspection
		return
	}
	var ev applayer.Event
	for session.Next(&ev) {
		if known && ev.Hook == applayer.ProtocolDetected {
			continue // of an earlier datagram
		}
		if ev.Tx != nil {
			ev.Tx.State().ID = number
		}
		w.event(f, ev, proto, rules, res)
	}
	if session.Done() {
		s.flags |= noInspection
		return
	}
	if name := session.Name(); s.extension() == 0 && len(name) > 0 {
		s.setName(w.names.add(name))
	}
}

// recognised notes the protocol of a flow.
func (w *worker) recognised(f *flowEntry, proto applayer.Proto) {
	f.State.app = proto
	if proto != applayer.TLS && proto != applayer.HTTP && proto != applayer.HTTP2 {
		f.State.flags |= appKnown
	}
	w.input.App = proto
	if i := w.inspectorOf(f); i != nil && boundless(proto) {
		for _, asm := range i.asm {
			if asm != nil {
				asm.Boundless()
			}
		}
	}
}

// boundless says whether connections of a protocol are followed to their end, however much they
// carry, as in Suricata.
func boundless(proto applayer.Proto) bool { return proto == applayer.SMB }

// event takes what the parsers found: the log at once, the rules now or with the next packet of
// its direction.
func (w *worker) event(f *flowEntry, ev applayer.Event, proto applayer.Proto, rules *detect.RuleSet, res *detect.Result) {
	s := &f.State
	i := w.inspectorOf(f)
	if ev.Tx != nil {
		w.eventTx[ev.Dir] = ev.Tx
	}
	switch ev.Hook {
	case applayer.ProtocolDetected:
		if i != nil {
			s.protos.setOrig(i.session.Orig())
			s.quiet, i.seen = 0, [2]int{} // bytes of the other side may be of use now
		}
		w.recognised(f, proto)
	case applayer.MessageDone:
		return
	case applayer.TLSClientState, applayer.TLSServerState:
		i.state = ev
		return
	case applayer.TLSClientHello:
		s.flags |= appKnown
		w.sawDomain(f, ev.Tx, DomainSNI, applayer.TLSSNI)
	case applayer.HTTPRequestHeaders:
		s.flags |= appKnown
		w.sawDomain(f, ev.Tx, DomainHost, applayer.HTTPHost)
	case applayer.HTTP2Request:
		if _, ok := ev.Tx.Value(applayer.HTTP2Method, 0); ok { // not of a frame about the connection
			s.flags |= appKnown
		}
		w.sawDomain(f, ev.Tx, DomainHost, applayer.HTTP2Host)
	case applayer.Encrypted:
		s.flags |= encrypted
		i.hidden = w.program.Suricata && proto == applayer.TLS
		return
	case applayer.ParserFailed:
		s.flags |= appKnown
		w.meets(LimitParsers)
	case applayer.AnomalySeen:
		if ev.Tx != nil {
			w.txAnomalies(f, ev.Tx)
		} else {
			w.flowAnomaly(f, ev.Anomaly)
		}
	case applayer.TxDone:
		w.appRecord(f, ev)
		w.txAnomalies(f, ev.Tx)
		return
	}
	both := ev.Hook == applayer.AnomalySeen && !proto.OneWay() // rules look at it with packets of both directions
	switch {
	case i == nil || ev.Tx == nil:
	case ev.Dir != w.input.Dir:
		if w.defers(i, ev, ev.Dir) && !both {
			return
		}
	case both:
		w.defers(i, ev, ev.Dir.Reverse())
	}
	w.present(f, ev, rules, res)
}

// presentState gives the state of a handshake to the rules, after all that the bytes at hand have changed of it: with
// this packet, and with the next of the side that changed it.
func (w *worker) presentState(f *flowEntry, i *inspector, rules *detect.RuleSet, res *detect.Result) {
	ev := i.state
	if ev.Hook == applayer.NoHook { // these bytes were about something else, and the state is over
		for dir := range i.pending {
			i.pending[dir] = slices.DeleteFunc(i.pending[dir], func(ev applayer.Event) bool {
				return ev.Hook == applayer.TLSClientState || ev.Hook == applayer.TLSServerState
			})
		}
		return
	}
	i.state = applayer.Event{}
	if ev.Dir != w.input.Dir {
		w.defers(i, ev, ev.Dir)
		if ev.Dir, ev.Hook = w.input.Dir, applayer.TLSClientState; ev.Dir == packet.ToClient {
			ev.Hook = applayer.TLSServerState
		}
	}
	w.present(f, ev, rules, res)
}

// present gives an event to the rules, or a file to the log.
func (w *worker) present(f *flowEntry, ev applayer.Event, rules *detect.RuleSet, res *detect.Result) {
	if ev.Hook == applayer.FileDone {
		w.appRecord(f, ev)
	} else if rules != nil {
		app := w.input.App
		w.input.App = ev.App
		rules.Event(&w.input, ev, res)
		w.input.App = app
	}
}

// defers lets an event wait for the next packet of a direction, and reports whether it does: where packets wait for
// their verdict no more than maxPending can. One that waits already is not repeated: rules look at the transaction as
// it is then.
func (w *worker) defers(i *inspector, ev applayer.Event, dir packet.Dir) bool {
	waiting := i.pending[dir]
	if ev.Hook != applayer.FileDone && slices.Contains(waiting[max(len(waiting)-maxRepeats, 0):], ev) {
		return true
	}
	if len(waiting) >= maxPending && w.opt.Inline {
		return false // where the engine only looks on, acknowledged sees to it
	}
	i.pending[dir] = append(waiting, ev)
	return true
}

// presentPending gives the events that waited for a packet of its direction to the rules.
func (w *worker) presentPending(f *flowEntry, i *inspector, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	for n := range i.pending[dir] {
		w.present(f, i.pending[dir][n], rules, res)
	}
	clear(i.pending[dir])
	i.pending[dir] = i.pending[dir][:0]
}

// settle gives the inspector back when nothing more can come of it. Records of
// the packet at hand must have been written: they tell what it found.
func (w *worker) settle(f *flowEntry, rules *detect.RuleSet) {
	s := &f.State
	if s.extension() == 0 || s.has(named) {
		return
	}
	i := w.inspectors[s.extension()-1]
	waiting := len(i.pending[0])+len(i.pending[1]) > 0
	if !waiting {
		i.session.Release()
	}
	w.prune(f, i, rules)
	if i.over {
		w.endInspection(f, w.cookie, w.packetTime)
	}
	if i.over || i.session.Done() && !i.hidden && !waiting && (rules == nil || !rules.WantsStream(f.Key.Proto)) {
		w.dropInspector(f)
	}
}

// endInspection tells the parsers that nothing more will come of an ended flow. Where the engine
// only looks on, rules first see its bytes that were never acknowledged.
//
// It writes records as of the packet of that number and time.
func (w *worker) endInspection(f *flowEntry, number uint64, at int64) {
	if f.State.extension() == 0 || f.State.has(named) {
		return
	}
	i := w.inspectors[f.State.extension()-1]
	pkt, cookie, packetTime, frame, eventTx := w.pkt, w.cookie, w.packetTime, w.frame, w.eventTx
	w.ending, w.frame, w.eventTx = true, eve.Frame{}, [2]applayer.Tx{}
	// What became of the packet at hand has nothing to do with this flow, if it has ended by itself.
	denied, rejected, opaque := w.denied, w.rejected, w.opaque
	w.opaque = f.State.has(encrypted)
	if number == 0 {
		w.denied, w.rejected = false, false
	}
	app := f.State.app
	defer func() {
		if app == applayer.Unknown && f.State.app == applayer.Failed {
			f.State.app = app // see giveUpApp
		}
		w.pkt, w.cookie, w.packetTime, w.frame, w.eventTx = pkt, cookie, packetTime, frame, eventTx
		w.denied, w.rejected, w.opaque = denied, rejected, opaque
		w.ending = false
	}()
	for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
		w.pretend(f, dir)
		if f.Key.Proto == packet.ProtoTCP {
			w.frame = eve.Frame{Data: packet.AppendEmpty(w.resetBuf[:0], &w.pkt, f.State.tcp.Next(dir)), Link: frame.Link}
		}
		w.cookie, w.packetTime = number, at
		var rules *detect.RuleSet
		if f.State.decision() == undecided {
			rules = w.programs[f.State.slot()].program.Rules
			w.begin(f, dir, established(f), rules)
		}
		w.result.Reset()
		if number == 0 && rules != nil && i.unfinished(f, dir) {
			rules.End(&w.input, &w.result)
		}
		if asm := i.asm[dir]; asm != nil && !w.opt.Inline && rules != nil {
			asm.AckAll()
			i.ready[dir] = true
			w.feed(f, i, dir, rules, &w.result)
		}
		w.presentPending(f, i, dir, rules, &w.result)
		i.session.End(dir)
		w.events(f, i.session, rules, &w.result)
		if rules == nil {
			continue
		}
		rules.Decide(&w.input, &w.result)
		for _, h := range w.result.Alerts {
			w.alert(f, dir, &rules.Rules()[h.Rule], w.result.Action, h)
		}
	}
	for dir := range i.pending { // files that the end of the other side has closed
		w.presentPending(f, i, packet.Dir(dir), nil, &w.result)
	}
}

// unfinished says whether Suricata would look at a direction of an ended flow once more: bytes wait,
// the protocol was never told, or transactions were going on.
func (i *inspector) unfinished(f *flowEntry, dir packet.Dir) bool {
	if f.Key.Proto != packet.ProtoTCP {
		return false
	}
	asm := i.asm[dir]
	return asm != nil && asm.Holding() || !i.session.ProtoFinal() || i.session.Proto() != applayer.Failed && !f.State.tcp.Closed()
}

// pretend makes the packet at hand an empty one of a flow that has ended.
func (w *worker) pretend(f *flowEntry, dir packet.Dir) {
	k := f.Key
	if dir == packet.ToClient {
		k = k.Reverse()
	}
	w.pkt = packet.Packet{Src: k.Src, Dst: k.Dst, SrcPort: k.SrcPort, DstPort: k.DstPort, Proto: k.Proto, IPVersion: 4, VLAN: k.Place.VLAN()}
	for _, id := range w.pkt.VLAN {
		if id != 0 {
			w.pkt.VLANs++
		}
	}
	if !k.Src.Netip().Is4() {
		w.pkt.IPVersion = 6
	}
}

// events gives what the session came upon to the rules, and to the log.
func (w *worker) events(f *flowEntry, session *applayer.Session, rules *detect.RuleSet, res *detect.Result) {
	if f.Key.Proto == packet.ProtoTCP {
		w.setSides(f, session)
	}
	var ev applayer.Event
	for session.Next(&ev) {
		if i := w.inspectorOf(f); i != nil && completes(ev.Hook) {
			i.ready[ev.Dir] = true
		}
		w.event(f, ev, session.Proto(), rules, res)
	}
}
