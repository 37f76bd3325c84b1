package engine

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
)

// inspectStream gives the packet's bytes to the parsers, and what they and
// reassembly come up with to rules, which may be nil.
func (w *worker) inspectStream(f *flowEntry, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	p := &w.pkt
	if f.Key.Proto == packet.ProtoUDP {
		w.datagram(f, dir, rules, res)
		return
	}
	if len(p.Payload) == 0 && f.State.extension() == 0 {
		return
	}
	i := w.inspector(f)
	if i == nil {
		return
	}
	tcp := &f.State.tcp
	// As in Suricata, data of a handshake (TCP fast open) is looked at when what follows acknowledges it.
	late := p.TCP.Flags&packet.SYN != 0 && !w.opt.Inline
	if other := i.asm[dir.Reverse()]; other != nil && !late {
		other.Ack(tcp.Acked(dir.Reverse()))
		w.acknowledged(f, i, dir.Reverse(), rules, res)
		if !w.opt.Inline {
			w.gapEvent(f, i, dir.Reverse())
		}
	}
	data := p.Payload
	if p.TCP.Flags&packet.RST != 0 {
		data = nil // no receiver takes it
	}
	asm := i.asm[dir]
	if asm == nil {
		if len(data) == 0 { // of a side that has only listened so far
			w.presentPending(f, i, dir, rules, res)
			return
		}
		if asm = w.pool.Get(); asm == nil {
			w.n[cInspectionRefused]++
			w.meets(LimitStreams)
			w.giveUpApp(f)
			i.over = true
			return
		}
		i.asm[dir] = asm
		policy := stream.First // what was let through stays
		if !w.opt.Inline {
			policy = w.env.Policies.Of(&p.Dst)
		}
		asm.Reset(tcp.Start(dir), stream.Config{Acked: !w.opt.Inline, Policy: policy})
		if boundless(f.State.app) {
			asm.Boundless()
		}
	}
	if w.opt.Inline || !late && len(data) > 0 {
		asm.Ack(tcp.Acked(dir))
	}
	if len(data) > 0 {
		w.input.InStream = rules != nil && rules.WantsStream(p.Proto)
		again := asm.Repeats(firstByte(p), len(data))
		in := asm.Insert(firstByte(p), data)
		// Where it only looks on, Suricata compares if rules ask for it, and not what is sent again as it was.
		in.Conflict = in.Conflict && (w.opt.Inline || !again && rules != nil && rules.WantsOverlaps())
		w.insertEvents(in)
		// What cannot be held now must not get to the receiver either, or rules
		// would never see it: its sender will repeat it.
		w.unread = in.Limit && !asm.Stopped() && w.opt.Inline && rules != nil
		if in.Modified {
			w.normalise()
		}
	}
	if w.opt.Inline {
		w.gapEvent(f, i, dir)
	}
	w.feed(f, i, dir, rules, res)
	if asm.Stopped() && !i.ended[dir] {
		// To the depth: the parser goes on with the other side.
		i.ended[dir] = true
		i.session.End(dir)
		w.events(f, i.session, rules, res)
	}
	if asm.Stopped() && (!i.ended[dir] || i.ended[dir.Reverse()]) || tcp.Closed() && w.opt.Inline || tcp.State() == stream.StateClosed && !i.waits() {
		i.over = true
		w.giveUpApp(f)
	}
}

// acknowledged takes the bytes of the other direction that were acknowledged just now, where the engine only looks
// on. Parsers read them at once; the rules look at what they found with the next packet of that direction.
func (w *worker) acknowledged(f *flowEntry, i *inspector, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	if !w.opt.Inline && len(i.pending[dir]) < maxPending {
		w.parse(f, i, dir, rules, res)
	}
}

// lookLate lets rules look at what was acknowledged of a stream when a packet comes that has no part in
// it, where the engine only looks on.
func (w *worker) lookLate(f *flowEntry, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	i := w.inspectorOf(f)
	if i == nil || i.asm[dir] == nil || w.opt.Inline {
		return
	}
	keep := lookBack(rules)
	w.lookAt(f, i, dir, keep)
	w.lookRaw(f, i, dir, keep, rules, res)
}

// gapEvent notes, once, that bytes of dir will not come any more, if that matters to its parsers.
func (w *worker) gapEvent(f *flowEntry, i *inspector, dir packet.Dir) {
	if tcp := &f.State.tcp; !i.told[dir] && i.asm[dir].Missing(tcp.Finishing()) > 0 && i.heeds(f, dir) {
		i.told[dir] = true
		tcp.SetGap(dir)
		w.pkt.Events.Add(packet.StreamReassemblySeqGap)
	}
}

// heeds says whether a hole in dir matters to the parsers: they know the protocol, or have seen nothing yet.
func (i *inspector) heeds(f *flowEntry, dir packet.Dir) bool {
	asm := i.asm[dir]
	return f.State.app != applayer.Unknown && f.State.app != applayer.Failed && (i.hidden || !i.session.Done()) ||
		asm.Untouched() && len(asm.Bytes()) == 0
}

// normalise lets the packet go on with the bytes that came before in its place, so that the
// receiver gets what was inspected, or drops it where it cannot be changed.
func (w *worker) normalise() {
	if w.level > 0 {
		w.unread = true
		return
	}
	w.n[cNormalised] += uint64(w.packets)
	w.modified = true
	if !w.offload {
		w.pkt.FixChecksum()
	}
}

// insertEvents notes what was remarkable about the packet's bytes.
func (w *worker) insertEvents(in stream.Inserted) {
	events := &w.pkt.Events
	if in.Conflict {
		events.Add(packet.StreamReassemblyOverlapDifferentData)
	}
	switch {
	case in.Old:
		events.Add(packet.StreamReassemblySegmentBeforeBaseSeq)
	case in.Deep && in.New+in.Overlap == 0:
		events.Add(packet.StreamReassemblyDepthReached)
	case in.Memory:
		w.meets(LimitStreams)
		events.Add(packet.StreamReassemblyInsertMemcap)
	case in.Limit:
		events.Add(packet.StreamReassemblyInsertLimit)
	}
}

// waits says whether a side has bytes that nobody has looked at.
func (i *inspector) waits() bool {
	for _, asm := range i.asm {
		if asm != nil && asm.Holding() {
			return true
		}
	}
	return false
}

// firstByte is the sequence number of the first payload byte.
func firstByte(p *packet.Packet) uint32 {
	if p.TCP.Flags&(packet.SYN|packet.RST) == packet.SYN {
		return p.TCP.Seq + 1
	}
	return p.TCP.Seq
}

// lookBack is how many bytes before new ones rules look at, or -1 if none look at streams.
func lookBack(rules *detect.RuleSet) int {
	if rules == nil {
		return -1
	}
	if !rules.NeedsStream() {
		return -1
	}
	return detect.StreamWindow
}

// maxAgain bounds how many bytes are kept that were acknowledged.
const maxAgain = 64 << 10

// again is how many bytes that are acknowledged are kept for rules that ask for others in their
// place: a window, as in Suricata.
func again(f *flowEntry, dir packet.Dir, rules *detect.RuleSet) int {
	if rules == nil || !rules.WantsOverlaps() {
		return 0
	}
	return int(min(f.State.tcp.Window(dir), maxAgain))
}

// feed passes on the bytes of a direction that are in order, up to and beyond holes that will
// not be filled.
func (w *worker) feed(f *flowEntry, i *inspector, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	asm, keep := i.asm[dir], lookBack(rules)
	for {
		n := asm.Missing(f.State.tcp.Finishing())
		i.ready[dir] = i.ready[dir] || n > 0 || w.ending
		// What rules about messages ask of the stream they ask now.
		w.lookAt(f, i, dir, keep)
		w.presentPending(f, i, dir, rules, res)
		w.parse(f, i, dir, rules, res)
		w.lookRaw(f, i, dir, keep, rules, res)
		if n == 0 || !w.opt.Inline && !w.ending && !i.told[dir] && i.heeds(f, dir) { // an ACK tells of it
			break
		}
		switch {
		case i.hidden:
			i.hidden = false
			w.meets(LimitParsers)
		case !i.session.Done():
			if w.ending {
				w.pkt.Events.Add(packet.StreamReassemblySeqGap)
			}
			w.inGap = true // no fault of the sender's bytes
			i.session.Gap(dir, n)
			w.events(f, i.session, rules, res)
			w.inGap = false
		}
		asm.Skip(n)
		i.seen[dir], i.ready[dir], i.told[dir] = 0, false, false
	}
	asm.Looked(keep >= 0 && !w.opaque) // of encrypted bytes nobody reads, nobody waits for them
}

// prune gives up the bytes of a flow's streams that nobody will look at any more.
func (w *worker) prune(f *flowEntry, i *inspector, rules *detect.RuleSet) {
	keep := max(lookBack(rules), 0)
	if !w.opt.Inline {
		keep = 0 // rules look at nothing twice
	}
	for dir, asm := range i.asm {
		if asm != nil {
			asm.Prune(keep, again(f, packet.Dir(dir), rules))
		}
	}
}

// parse gives the parsers the bytes that came now, after those that they left.
func (w *worker) parse(f *flowEntry, i *inspector, dir packet.Dir, rules *detect.RuleSet, res *detect.Result) {
	asm := i.asm[dir]
	data := asm.Bytes()
	if len(data) > i.seen[dir] {
		for len(data) > 0 && !i.session.Done() {
			n := i.session.Data(dir, data)
			w.events(f, i.session, rules, res)
			if n == 0 && i.session.Opposing(dir) {
				w.parse(f, i, dir.Reverse(), rules, res)
				continue
			}
			if n == 0 {
				break
			}
			asm.Consume(n)
			data = asm.Bytes()
		}
		w.presentState(f, i, rules, res)
	}
	if i.session.Done() {
		w.giveUpApp(f)
		asm.Consume(len(data))
		data = nil
	}
	i.seen[dir] = len(data)
}

// lookAt gives the rules' input the bytes of the stream that rules can look at now: of a packet
// that waits for its verdict its own, with those around it, else those that were acknowledged.
// keep is as lookBack returns it.
func (w *worker) lookAt(f *flowEntry, i *inspector, dir packet.Dir, keep int) {
	in, asm := &w.input, i.asm[dir]
	switch {
	case keep < 0:
	case !w.opt.Inline:
		in.Stream, _, _ = asm.Raw(0)
	case len(w.pkt.Payload) > 0:
		n := len(w.pkt.Payload)
		data, before, _ := asm.Around(firstByte(&w.pkt), n, keep)
		in.Stream = window(data, before, n)
	}
}

// window returns the part of data, in which n bytes follow before others, that rules look at: the n
// with as many on either side as make detect.StreamWindow, or more on one side where the other has less.
func window(data []byte, before, n int) []byte {
	after := max(len(data)-before-n, 0)
	room := max(detect.StreamWindow-n, 0)
	right := max(min(after, room/2), min(after, room-before))
	left := min(before, room-right)
	return data[before-left : min(before+n+right, len(data))]
}

// lookRaw lets rules about the stream look at it, if they have to now.
func (w *worker) lookRaw(f *flowEntry, i *inspector, dir packet.Dir, keep int, rules *detect.RuleSet, res *detect.Result) {
	if w.rawReady(f, i, dir, keep) {
		rules.Stream(&w.input, res)
		w.input.InStream = true
	}
}

// rawReady says whether rules about the stream have to look at it now. Where the engine only
// looks on they wait until there is enough of it, a message of the protocol is complete, or no
// more is to come.
func (w *worker) rawReady(f *flowEntry, i *inspector, dir packet.Dir, keep int) bool {
	if keep < 0 || len(w.input.Stream) == 0 || w.opaque {
		return false
	}
	if w.opt.Inline {
		// Under rule files what a SYN brings is looked at with what follows it, as in Suricata. A server may have no
		// need of that (RFC 7413), so policies do not wait.
		w.input.HasStream = w.pkt.TCP.Flags&packet.SYN == 0 || !w.program.Suricata
		return w.input.HasStream
	}
	asm := i.asm[dir]
	if fresh := asm.Fresh(); fresh == 0 || !i.ready[dir] && fresh < detect.StreamWindow && !asm.Deep() && !f.State.tcp.Ending() {
		return false
	}
	i.ready[dir], w.input.HasStream = false, true
	asm.Saw()
	return true
}

// completes says whether a hook stands for the end of a message, with which rules look at the
// stream that has it.
func completes(h applayer.Hook) bool {
	return h == applayer.MessageDone || h >= applayer.TLSClientHello && h <= applayer.TLSServerState
}

// maxPayload is how many bytes of a stream an alert shows, one less than Suricata's payload-buffer-size.
const maxPayload = 4095

// payload is what an alert shows: the bytes of the packet, or, if it is about the stream and
// there is one, those that are held of it and acknowledged, if any.
func (w *worker) payload(f *flowEntry, dir packet.Dir, stream bool, of *bool) []byte {
	if stream && f != nil && f.Key.Proto == packet.ProtoTCP {
		if i := w.inspectorOf(f); i != nil && i.asm[dir] != nil {
			*of = true
			if w.payloadBuf == nil {
				w.payloadBuf = make([]byte, 0, maxPayload)
			}
			if b := i.asm[dir].AppendHeld(w.payloadBuf[:0]); len(b) > 0 {
				return b
			}
		}
	}
	return w.pkt.Payload
}
