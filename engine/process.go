package engine

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stateless"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/pktio"
)

// packet takes one packet through all stages and leaves the verdict in it.
func (w *worker) packet(in *pktio.Packet) {
	in.Verdict, in.Modified = pktio.Accept, false
	w.cookie = in.Cookie
	w.packetTime = w.wall
	if w.opt.PacketClock {
		w.packetTime = in.Time
		w.now = max(w.now, in.Time) // a capture's clock may step back, the table's may not
	}
	w.packets, w.denied, w.level, w.refusal = 0, false, 0, detect.None
	w.modified, w.offload = false, in.Offload
	p := &w.pkt
	unfilled := w.unfilled(in)
	p.Decode(in.Link, in.Data, packet.Options{
		VerifyChecksums: w.opt.VerifyChecksums && !unfilled, Unfilled: unfilled, Tunnels: w.opt.Tunnels,
		Mapped: w.program != nil && w.program.Suricata,
	})
	w.begun()

	packets := packetsOf(in, p)
	w.packets = packets
	w.n[cStatelessPackets] += uint64(packets)
	w.n[cStatelessBytes] += uint64(len(p.Net))
	switch {
	case (w.program == nil || !w.program.Suricata) && w.unfit(in):
		return
	case w.program == nil:
		if w.opt.FailOpen {
			w.n[cStatelessPassed] += uint64(packets)
			return
		}
		w.deny(in, nil, 0, ReasonNoProgram, nil)
		return
	}
	if w.program.Stateless != nil {
		d := w.program.Stateless.Match(p)
		for _, c := range d.Custom {
			w.custom[c].Add(uint64(packets))
		}
		switch d.Action {
		case stateless.Pass:
			w.n[cStatelessPassed] += uint64(packets)
			return
		case stateless.Drop:
			w.n[cStatelessDropped] += uint64(packets)
			w.deny(in, nil, 0, ReasonStateless, nil)
			return
		}
	}
	w.n[cStatefulPackets] += uint64(packets)
	w.n[cStatefulBytes] += uint64(len(p.Net))
	w.judgeInner(in)
	if !w.denied {
		w.n[cStatefulPassed] += uint64(packets)
	}
	in.Modified = w.modified
}

// packetsOf is how many packets on the wire an offloaded (GSO) packet stands
// for. Where the driver does not know the segment size it is an estimate for
// an MTU of 1500.
func packetsOf(in *pktio.Packet, p *packet.Packet) uint32 {
	if !in.Offload || len(p.Payload) == 0 {
		return 1
	}
	mss := int(in.MSS)
	if mss == 0 {
		mss = 1448
	}
	return uint32((len(p.Payload) + mss - 1) / mss)
}

// deny drops a packet for reason, or where the engine only looks on counts that
// it would have been.
func (w *worker) deny(in *pktio.Packet, f *flowEntry, dir packet.Dir, reason Reason, r *detect.Rule) {
	if w.denied {
		return // one reason is enough
	}
	w.denied = true
	if r != nil && reason == ReasonRule {
		w.refusal = w.result.Action
	}
	w.n[cDropped+int(reason)-1] += uint64(w.packets)
	if !w.opt.Inline {
		return
	}
	in.Verdict = pktio.Drop
	if w.opt.Wants.Wants(Drops) {
		w.dropRecord(f, dir, reason, r)
	}
}

// stateful is the second engine: flow table, connection tracking, rules.
func (w *worker) stateful(in *pktio.Packet) {
	p := &w.pkt
	flow.KeyOf(&w.key, p)
	w.keyed = true
	w.countBadSum()
	switch {
	case w.program.Suricata && !p.Tracked:
		w.untrackedPacket(in)
		return
	// Before the look-up: errors about many flows between two hosts share one
	// flow of their own, whose verdict says nothing of theirs.
	case !w.program.Suricata && p.ICMPError() && w.related():
		return
	}
	f, dir := w.table.Find(&w.key, w.now)
	isTCP := p.Proto == packet.ProtoTCP
	if isTCP && f != nil && !p.ChecksumBad && f.State.tcp.Reuses(p, dir, &w.env) {
		w.table.End(f, flow.Reused)
		f = nil
	}
	est := f != nil && established(f)
	if f == nil {
		if f, dir = w.open(in, isTCP); f == nil {
			return
		}
	}
	w.flow, w.dir = f, dir
	s, last := &f.State, f.Last
	f.Count(dir, w.packets, w.size(), w.now)
	s.ttl[dir].add(p.TTL)
	switch {
	case isTCP && p.ChecksumBad: // no host takes it: its connection does not notice
	case isTCP:
		if !w.track(in, f, dir) && !w.program.Suricata {
			f.Last = last // what anybody can send must not keep the flow alive
		}
		// Data in the packet that completes the handshake is the connection's
		// first; without data that packet is the handshake's last.
		est = est || len(p.Payload) > 0 && established(f)
	case dir == packet.ToClient:
		s.flags |= answered
		fallthrough
	default:
		est = established(f)
	}
	w.decide(in, f, dir, est)
}

// decide finds the verdict of a packet that is counted to its flow.
func (w *worker) decide(in *pktio.Packet, f *flowEntry, dir packet.Dir, est bool) {
	switch f.State.decision() {
	case dropped:
		w.deny(in, f, dir, ReasonFlow, nil)
	case passed:
		w.follow(f, dir)
	default:
		w.inspect(in, f, dir, est)
	}
}

// track follows a TCP packet of a flow. What does not fit its connection is dropped, if
// the engine can, and rules see it as a packet only; track then returns false.
func (w *worker) track(in *pktio.Packet, f *flowEntry, dir packet.Dir) bool {
	s := &f.State
	if s.decision() == dropped && w.opt.Inline {
		if s.tcp.Tracked() {
			f.Seen[dir] |= w.pkt.TCP.Flags
		}
		return true // the other side never sees it
	}
	before := s.tcp.Tracked()
	var asm *stream.Reassembly
	if i := w.inspectorOf(f); i != nil {
		asm = i.asm[dir]
	}
	w.env.Unread = s.has(noInspection)
	out := s.tcp.Update(&w.pkt, dir, &w.env, asm)
	w.segment = out.Has(stream.Segment)
	if s.tcp.Tracked() {
		f.Seen[dir] |= w.pkt.TCP.Flags
		if !before && s.has(untracked) {
			s.flags &^= untracked | noInspection | appKnown
		}
	}
	// A flow that has no connection: what opened it was a reset. Who only looks on tells of a reject.
	if out.Has(stream.Unknown) && w.program.Suricata && !w.opt.Inline && !indifferent(&w.pkt) {
		w.refusesMidstream()
	}
	if out.Has(stream.Unknown) && !out.Has(stream.Invalid) && w.program.Suricata && w.opt.Inline && !indifferent(&w.pkt) && w.refusesMidstream() {
		s.decide(dropped)
		w.refuseMidstream(in, f, dir)
		return true
	}
	// Without its connection's context a packet goes on, if the policy says so.
	if !out.Has(stream.Invalid) || out.Has(stream.Unknown) && !w.program.Suricata {
		return true
	}
	w.n[cStream+int(out.Reason())-1] += uint64(w.packets)
	w.deny(in, f, dir, ReasonStream, nil)
	return !w.opt.Inline
}

// opening says whether a TCP packet asks for a new connection.
func opening(p *packet.Packet) bool {
	return p.TCP.Flags&(packet.SYN|packet.ACK|packet.RST|packet.FIN) == packet.SYN
}

// indifferent says whether Suricata has no policy for a TCP packet without a connection: a reset, which
// never fits, and what says nothing of a connection.
func indifferent(p *packet.Packet) bool {
	return p.TCP.Flags&packet.RST != 0 || p.TCP.Flags&(packet.SYN|packet.ACK|packet.FIN) == 0
}

// open admits a packet without a flow, or returns nil when it has met its fate.
func (w *worker) open(in *pktio.Packet, isTCP bool) (*flowEntry, packet.Dir) {
	p := &w.pkt
	dir := packet.ToServer
	if isTCP && !opening(p) && !p.ChecksumBad && !(w.program.Suricata && indifferent(p)) {
		if !w.exception(in) {
			return nil, dir
		}
		// The server's answer to a SYN, or to a request, that was not seen.
		if w.program.Exception == detect.ExceptionPickUp &&
			(p.TCP.Flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK || applayer.FromServer(p.Payload, p.SrcPort, p.DstPort)) {
			w.key, dir = w.key.Reverse(), packet.ToClient
		}
	}
	f := w.admit()
	if f == nil {
		w.noFlow(in)
		return nil, dir
	}
	switch {
	case p.Proto == packet.ProtoUDP, isTCP && opening(p):
	case !isTCP:
		f.State.flags |= noInspection | appKnown
		f.Seen[0] = p.ICMP.Code
	default:
		f.State.flags |= midstream | untracked | noInspection | appKnown
	}
	return f, dir
}

// admit makes the flow of w.key, or returns nil if there is no room.
func (w *worker) admit() *flowEntry {
	f := w.table.Insert(&w.key, w.now)
	if f != nil {
		w.n[cFlows]++
		f.State.pin(w.current)
		w.programs[w.current].flows++
	}
	return f
}

// size is what the packet adds to the bytes of its flow.
func (w *worker) size() int {
	if w.opt.CountFrames {
		return len(w.pkt.Data)
	}
	return len(w.pkt.Net)
}

// stageBit is the bit of state.quiet for what header rules can depend on.
func stageBit(dir packet.Dir, established bool, app applayer.Proto) uint8 {
	bit := uint8(dir)
	if established {
		bit |= 2
	}
	if app != applayer.Unknown {
		bit |= 4
	}
	return 1 << bit
}

// inspect runs the rules of an undecided flow on the packet.
func (w *worker) inspect(in *pktio.Packet, f *flowEntry, dir packet.Dir, est bool) {
	s := &f.State
	rules := w.programs[s.slot()].program.Rules
	res := &w.result
	res.Reset()
	w.begin(f, dir, est, rules)
	// The parsers come first: what they learn from this packet holds for it.
	w.unread, w.limit.met, w.opaque = false, false, s.has(encrypted)
	switch {
	case s.has(noInspection), w.dropped(), w.pkt.Proto != f.Key.Proto: // an ICMP error about the flow
	case f.Key.Proto != packet.ProtoTCP || w.segment:
		w.inspectStream(f, dir, rules, res)
	default:
		w.lookLate(f, dir, rules, res)
	}
	if w.input.Detected {
		rules.Detected(&w.input, res)
	}
	if bit := stageBit(dir, est, s.app); s.quiet&bit == 0 || w.input.First {
		if !rules.Header(&w.input, res) && !w.input.First {
			s.quiet |= bit
		}
	}
	w.input.Unread = w.dropped() || w.opaque // dropped for what it is, whatever it says, or encrypted
	rules.Packet(&w.input, res)
	rules.Decide(&w.input, res)
	w.n[cVarsRefused], w.n[cRegexGaveUp], w.n[cAlertsDiscarded] = w.vars.Refused(), res.GaveUp(), res.Discarded()
	w.n[cCapturesRefused] = w.vars.TextsRefused() + res.Uncaptured()
	w.obey(in, f, dir)
	w.conclude(in, f, dir, est, rules)
	w.captured(f)
	w.replace(in, f, dir, rules)
	w.settle(f, rules)
}

// begin fills the rules' input for the packet at hand.
func (w *worker) begin(f *flowEntry, dir packet.Dir, est bool, rules *detect.RuleSet) {
	w.input = detect.Input{
		Packet: &w.pkt, Dir: dir, Established: est, Ending: w.ending,
		First: f.Packets(dir) <= uint64(w.packets),
		App:   f.State.app,
		Sides: [2]applayer.Proto{f.State.protos.side(packet.ToServer), f.State.protos.side(packet.ToClient)},
	}
	w.input.Detected = f.State.takeDetected(dir)
	if rules.NeedsFlow() {
		w.input.FlowID, w.input.FlowStart, w.input.Now = f.ID(), f.First, w.now
		w.input.Packets = [2]uint64{f.Packets(packet.ToServer), f.Packets(packet.ToClient)}
		w.input.Bytes = [2]uint64{f.Bytes(packet.ToServer), f.Bytes(packet.ToClient)}
		w.input.Vars, w.input.Hosts = w.vars, w.opt.hosts
		if tcp := &f.State.tcp; f.Key.Proto == packet.ProtoTCP && tcp.Tracked() {
			w.input.Tracked = true
			w.input.StreamSize = [2]uint32{tcp.Size(packet.ToServer), tcp.Size(packet.ToClient)}
		}
		if w.takesTags(rules) {
			w.input.FlowTags, w.input.HostTags = w.tags, w.opt.hostTags
		}
	}
}

// conclude carries out what the rules decided.
func (w *worker) conclude(in *pktio.Packet, f *flowEntry, dir packet.Dir, est bool, rules *detect.RuleSet) {
	s, res := &f.State, &w.result
	for _, h := range res.Alerts {
		w.alert(f, dir, &rules.Rules()[h.Rule], res.Action, h)
	}
	w.tagged(f)
	if w.unread && res.Action == detect.None {
		w.deny(in, f, dir, ReasonReassembly, nil)
		return
	}
	if res.Action == detect.None {
		if !w.denied {
			w.defaults(in, f, dir, est)
		}
		if res.Bypass && !w.denied {
			s.decide(passed)
		}
		return
	}
	if res.Whole {
		s.decide(passed)
		if res.Action.Drops() {
			s.decide(dropped)
		}
		s.setRule(res.Index)
	}
	if !res.Action.Drops() {
		return
	}
	w.deny(in, f, dir, ReasonRule, res.Rule)
	if res.Action != detect.Drop {
		w.n[cStatefulRejected] += uint64(w.packets)
		w.reject(in, res.Action)
	}
}

// defaults applies the stateful default actions to a packet that no rule decided.
func (w *worker) defaults(in *pktio.Packet, f *flowEntry, dir packet.Dir, est bool) {
	d := &w.program.Defaults
	if !d.Any() {
		return
	}
	for family := range detect.NumFamilies {
		if !d.Drop[family] && !d.Alert[family] {
			continue
		}
		if !defaultApplies(family, f, est, dir) {
			continue
		}
		action := detect.Pass
		if d.Drop[family] {
			action = detect.Drop
		}
		if d.Alert[family] && !f.State.alertDefault(family) {
			w.alert(f, dir, &d.Rules[family], action, detect.Hit{})
		}
		if d.Drop[family] {
			// A connection that lost a packet to established is lost, as on AWS; the
			// application families leave the other direction alone.
			if family == detect.Established || family == detect.Strict {
				f.State.decide(dropped)
			}
			w.deny(in, f, dir, ReasonDefault, &d.Rules[family])
			return
		}
	}
}
