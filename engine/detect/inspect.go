package detect

import (
	"cmp"
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Input is what one inspection may look at. The engine fills it for each packet.
type Input struct {
	Packet      *packet.Packet
	Dir         packet.Dir
	First       bool // the flow's first packet in this direction
	Flowless    bool // it belongs to no flow
	Ending      bool // it is none, but stands for the end of its flow
	Established bool // the flow was established before this packet (Suricata's flow:established)

	App      applayer.Proto
	Sides    [2]applayer.Proto // as what each side was recognised
	Detected bool              // the packet's side was recognised, or not, just now: Detected is called

	// Unread says that rules do not look into the packet's payload. That does not make it an empty one.
	Unread bool

	// InStream says that the packet's payload becomes part of a stream which
	// Stream is called with, now or later.
	InStream bool

	// Stream holds the bytes of the direction's stream that are looked at with this packet: see
	// StreamWindow. As in Suricata, places count from the first of them. HasStream says that Stream
	// was called with them.
	Stream    []byte
	HasStream bool

	// The flow, for keywords about it: 0 is none. Packets and Bytes count this packet.
	FlowID         uint64
	FlowStart, Now int64 // nanoseconds on one clock
	Packets, Bytes [2]uint64

	Tracked    bool      // Packet belongs to a TCP connection, and
	StreamSize [2]uint32 // how far its sides have come in their sequence numbers

	// What rules remember of the flow, nil without one, and of hosts.
	Vars  *FlowVars
	Hosts *HostVars

	// Where rules say whose packets are to be logged; nil where nobody logs them.
	FlowTags, HostTags *Tags
}

// Hit is a rule that matched. Whole says that the match decides the flow.
type Hit struct {
	Rule   uint32
	Whole  bool
	Stream bool        // it matched in a stream, or in what a parser found there
	Tx     applayer.Tx // that it matched in, nil for none
	caught span        // what it captured, of the matcher's net
}

// tx orders the hits of a rule: those in transactions by their number, behind the one without.
func (h *Hit) tx() int64 {
	if h.Tx == nil {
		return -1
	}
	return int64(h.Tx.State().ID)
}

// Result collects hits and decides. It is reused: Reset it for each packet.
type Result struct {
	hits      []Hit
	waiting   []Hit  // in a transaction, for what the stream holds
	lower     []byte // scratch of host look-ups
	m         matcher
	found     []uint32 // rules that may match
	seen      sightings
	discarded uint64 // alerts beyond maxAlerts
	untagged  uint64 // tags that there was no room for

	// Set by Decide.
	Action Action
	Whole  bool   // the action decides the flow and not this packet only
	Rule   *Rule  // that decided, nil when Action is None
	Index  uint32 // of Rule in the set
	Alerts []Hit  // rules to log, in order
	Bypass bool   // the flow is not to be looked at any more

	PacketVars   []PacketVar   // that rules captured
	Replacements []Replacement // that rules ask for, in order
}

// maxAlerts is how many alerts of a packet are logged, Suricata's packet-alert-max. What else its
// rules ask for is done all the same.
const maxAlerts = 15

// Discarded returns how many alerts were not logged because their packets had more than enough.
func (r *Result) Discarded() uint64 { return r.discarded }

// Untagged returns how many tags were not set for lack of room.
func (r *Result) Untagged() uint64 { return r.untagged }

// Reset forgets what was found.
func (r *Result) Reset() {
	r.hits, r.waiting = r.hits[:0], r.waiting[:0]
	r.Alerts, r.PacketVars, r.Replacements = r.Alerts[:0], r.PacketVars[:0], r.Replacements[:0]
	r.m.net.reset()
	r.Action, r.Whole, r.Rule, r.Bypass = None, false, nil, false
}

// GaveUp returns how many regular expressions ran out of work since r was made; they
// count as not matching.
func (r *Result) GaveUp() uint64 { return r.m.gaveUp }

// Header looks at the rules that depend on the flow alone. It reports whether
// any matched; if none did, none will for later packets of the same direction,
// establishment and application protocol.
func (p *RuleSet) Header(in *Input, res *Result) bool {
	before := len(res.hits)
	p.headerIndex[classOf(in.Packet.Proto)].visit(in.Packet, func(i uint32) {
		if r := &p.rules[i]; (r.Kind != KindIPOnly || in.First) && r.header(in) && r.appMatches(in) && r.checked(in) {
			res.hits = append(res.hits, Hit{Rule: i, Whole: r.Kind.decidesFlow()})
		}
	})
	return len(res.hits) > before
}

// Detected looks at the rules that ask for the protocol and no more. As in Suricata they see the packets with which
// the protocol of their side became known.
func (p *RuleSet) Detected(in *Input, res *Result) {
	for _, i := range p.protocols[classOf(in.Packet.Proto)] {
		if r := &p.rules[i]; r.header(in) && r.appMatches(in) && r.checked(in) {
			res.hits = append(res.hits, Hit{Rule: i, Whole: true})
		}
	}
}

// End looks at the rules about a flow's addresses and protocol once more when it ends, as
// Suricata does where something of the flow was still to be looked at.
func (p *RuleSet) End(in *Input, res *Result) {
	look := func(i uint32) {
		if r := &p.rules[i]; (r.Kind == KindLikeIPOnly || r.Kind == KindApp) && r.header(in) && r.appMatches(in) && r.checked(in) {
			res.hits = append(res.hits, Hit{Rule: i, Whole: true})
		}
	}
	p.headerIndex[classOf(in.Packet.Proto)].visit(in.Packet, look)
	for _, i := range p.ending {
		look(i)
	}
}

// Packet looks at the rules that inspect this packet's payload or headers.
func (p *RuleSet) Packet(in *Input, res *Result) {
	class := classOf(in.Packet.Proto)
	data := in.payload()
	res.found = p.packetIndex[class].candidates(res.found[:0], data, &res.seen)
	if !in.InStream {
		res.found = p.strayIndex[class].candidates(res.found, data, &res.seen)
	}
	for _, i := range res.found {
		r := &p.rules[i]
		if r.header(in) && r.appMatches(in) && r.matchPacket(in, &res.m) && r.packetPayload(in, &res.m) {
			res.hits = append(res.hits, Hit{Rule: i, Whole: r.Kind.decidesFlow(), caught: res.m.net.take()})
		}
	}
}

// Undecoded looks at the rules that ask for decoder events and nothing else, for
// a packet that has no IP header, or none that can be trusted.
func (p *RuleSet) Undecoded(in *Input, res *Result) {
	for _, i := range p.undecoded {
		r := &p.rules[i]
		if r.anyProto() && r.srcPort == nil && r.dstPort == nil && r.matchPacket(in, &res.m) {
			res.hits = append(res.hits, Hit{Rule: i, caught: res.m.net.take()})
		}
	}
}

// anyProto says whether the rule is for every IP protocol.
func (r *Rule) anyProto() bool { return r.protos[0]&1 != 0 }

// payload is what rules look into of the packet's payload.
func (in *Input) payload() []byte {
	if in.Unread {
		return nil
	}
	return in.Packet.RulePayload()
}

// packetPayload compares the packet's payload. Contents, negated ones too, ask for a payload to look
// into, or for bytes of the stream that are looked at with the packet.
func (r *Rule) packetPayload(in *Input, m *matcher) bool {
	data := in.payload()
	if len(data) == 0 && len(r.payload) > 0 && (!in.HasStream || r.vetoed(in)) {
		return false
	}
	return m.match(r.payload, buffer{data: data, ended: true})
}

// vetoed says whether the stream has the content by which Suricata looks for the rule, and which it
// must not have: then packets without a payload are not looked at.
func (r *Rule) vetoed(in *Input) bool {
	return r.veto != nil && r.veto.find(buffer{data: in.Stream}, 0, len(in.Stream)) >= 0
}

// matchNothing compares the payload of a packet without one, with which the stream was looked at in
// vain, as Suricata does.
func (r *Rule) matchNothing(in *Input, m *matcher) bool {
	return r.Kind == KindStream && r.hollow && len(in.Packet.Payload) == 0 && !in.Ending && !r.flow.OnlyStream &&
		!r.vetoed(in) && m.match(r.payload, buffer{ended: true})
}

// checked runs the rule's checks. Those of header rules look at nothing but addresses.
func (r *Rule) checked(in *Input) bool {
	for _, c := range r.checks {
		if !c(in) {
			return false
		}
	}
	return true
}

// matchPacket compares what the rule asks of the packet's headers and its flow. It comes first.
func (r *Rule) matchPacket(in *Input, m *matcher) bool {
	m.net.begin()
	if !r.checked(in) {
		return false
	}
	for i := range r.headers {
		h := &r.headers[i]
		data := h.get(in.Packet)
		if data == nil || !m.match(h.steps, buffer{data: m.transformed(h.transforms, data), ended: true}) {
			return false
		}
	}
	return true
}

// Stream looks at the rules that inspect reassembled bytes.
func (p *RuleSet) Stream(in *Input, res *Result) {
	res.found = p.streamIndex.candidates(res.found[:0], in.Stream, &res.seen)
	for _, i := range res.found {
		r := &p.rules[i]
		if !r.header(in) || !r.appMatches(in) || !r.matchPacket(in, &res.m) {
			continue
		}
		if found := r.matchStream(in, &res.m); found || r.matchNothing(in, &res.m) {
			res.hits = append(res.hits, Hit{Rule: i, Whole: true, Stream: found, caught: res.m.net.take()})
		}
	}
	for _, h := range res.waiting {
		res.m.net.begin()
		res.m.net.again(h.caught)
		if p.rules[h.Rule].matchStream(in, &res.m) {
			res.hit(h, in.Dir)
		}
	}
	res.waiting = res.waiting[:0]
}

// hit notes a match in a transaction, in which a rule may match once, or in none.
func (r *Result) hit(h Hit, dir packet.Dir) {
	if h.Tx == nil || h.Tx.State().Once(h.Rule<<1|uint32(dir)) {
		h.caught = r.m.net.take()
		r.hits = append(r.hits, h)
	}
}

// Event looks at the rules that wait for a hook of the flow's protocol parser.
func (p *RuleSet) Event(in *Input, ev applayer.Event, res *Result) {
	hit := func(i uint32) { res.hit(Hit{Rule: i, Whole: true, Stream: true, Tx: ev.Tx}, in.Dir) }
	index := &p.hookIndex[ev.Hook]
	for n := range index.hosts {
		hosts := &index.hosts[n]
		for k := 0; ; k++ {
			name, ok := ev.Tx.Value(hosts.buffer, k)
			if !ok {
				break
			}
			res.lower = res.lower[:0]
			for _, b := range name {
				res.lower = append(res.lower, lower(b))
			}
			hosts.visit(res.lower, func(i uint32) {
				if p.rules[i].header(in) {
					res.m.net.begin()
					hit(i)
				}
			})
		}
	}
	res.found = index.candidates(res.found[:0], ev.Tx, &res.seen)
	for _, i := range res.found {
		r := &p.rules[i]
		if r.header(in) && r.appMatches(in) && r.matchPacket(in, &res.m) && r.matchFields(in, ev, &res.m) {
			switch {
			case len(r.payload) == 0:
				hit(i)
			case in.Packet.Proto == packet.ProtoTCP: // the payload is the stream's, which Stream is called with
				res.waiting = append(res.waiting, Hit{Rule: i, Whole: true, Stream: true, Tx: ev.Tx, caught: res.m.net.take()})
			case r.packetPayload(in, &res.m):
				hit(i)
			}
		}
	}
}

// matchStream looks at the bytes of the stream.
func (r *Rule) matchStream(in *Input, m *matcher) bool {
	return m.match(r.payload, buffer{data: in.Stream, ended: true})
}

// matchFields looks at the buffers, numbers and files of a transaction, which is nil only at hooks where no
// buffer is. Of several values of a buffer one has to satisfy all that the rule asks of it.
func (r *Rule) matchFields(in *Input, ev applayer.Event, m *matcher) bool {
	for _, a := range r.anomalies {
		if !hasAnomaly(ev, a) {
			return false
		}
	}
	if len(r.buffers)+len(r.numbers)+len(r.files) > 0 && ev.Tx == nil || len(r.files) > 0 && !r.matchFiles(ev.Tx) {
		return false
	}
	ordered, ok := ev.Tx.(interface{ LittleEndian() bool })
	m.little = ok && ordered.LittleEndian()
	for i := range r.buffers {
		if !r.buffers[i].match(ev.Tx, m) {
			return false
		}
	}
	for i := range r.numbers {
		if !r.numbers[i].match(in, ev.Tx) {
			return false
		}
	}
	return true
}

func (b *bufferMatch) match(tx applayer.Tx, m *matcher) bool {
	for n := 0; ; n++ {
		data, ok := tx.Value(b.buffer, n)
		if !ok {
			return n == 0 && absent(b.steps)
		}
		text := buffer{data: m.transformed(b.transforms, data)}
		text.base, text.ended = tx.Piece(b.buffer, n)
		if m.match(b.steps, text) {
			return true
		}
	}
}

// header compares protocol, flow state, addresses and ports, cheapest first.
func (r *Rule) header(in *Input) bool {
	p := in.Packet
	if r.protos[p.Proto>>6]&(1<<(p.Proto&63)) == 0 || r.ipVersion != 0 && r.ipVersion != p.IPVersion {
		return false
	}
	if r.asksFlow && in.Flowless || r.flow.ToServer && in.Dir != packet.ToServer || r.flow.ToClient && in.Dir != packet.ToClient ||
		r.flow.Established && !in.Established || r.flow.NotEstablished && in.Established ||
		r.flow.OnlyFrag && p.From != packet.FromDefrag || r.flow.NoFrag && p.From == packet.FromDefrag {
		return false
	}
	if r.srcPort != nil && !r.srcPort.has(p.SrcPort) || r.dstPort != nil && !r.dstPort.has(p.DstPort) {
		return false
	}
	return r.src.has(&p.Src) && r.dst.has(&p.Dst)
}

// appMatches compares the flow's application protocol with the one that the rule is about, and what the packet's side
// was recognised as with what app-layer-protocol asks for. That matches nothing before it is known.
func (r *Rule) appMatches(in *Input) bool {
	if r.appGiven && !r.app.Covers(in.App) {
		return false
	}
	side := in.Sides[in.Dir]
	if r.sideGiven && (side == applayer.Unknown || !r.side.Covers(side)) {
		return false
	}
	return len(r.notSides) == 0 || side != applayer.Unknown && !slices.ContainsFunc(r.notSides, func(p applayer.Proto) bool { return p.Covers(side) })
}

// Decide puts the hits in the program's order and finds the outcome: pass stops
// at once, the first drop or reject holds, and what matches after it is logged
// but changes nothing, except that a later drop or reject can extend the first
// from the packet to its flow. This is as in Suricata.
func (p *RuleSet) Decide(in *Input, res *Result) {
	if p.remembers {
		p.remember(in, res)
	}
	slices.SortFunc(res.hits, func(a, b Hit) int {
		if a.Rule != b.Rule {
			return int(a.Rule) - int(b.Rule)
		}
		if x, y := a.tx(), b.tx(); x != y {
			return cmp.Compare(x, y)
		}
		if a.Whole == b.Whole {
			return 0
		}
		if a.Whole {
			return -1
		}
		return 1
	})
	for n, h := range res.hits {
		if n > 0 && res.hits[n-1].Rule == h.Rule && res.hits[n-1].tx() == h.tx() {
			continue
		}
		r := &p.rules[h.Rule]
		p.hits[h.Rule].Add(1)
		if r.Action == Pass && res.Action != None {
			continue
		}
		log := r.Log
		if r.threshold != nil {
			c := in.Hosts.count(in, r.threshold, r.counter)
			if c == countNothing || c == countSilent && r.Action == Pass { // Suricata drops in silence, but passes nothing
				continue
			}
			log = log && c == countAlert
		}
		r.tag(in, res)
		if r.replaces {
			res.replace(&h)
		}
		if log && len(res.Alerts) < maxAlerts {
			res.Alerts = append(res.Alerts, h)
		} else if log {
			res.discarded++
		}
		res.Bypass = res.Bypass || r.bypass
		if r.Action != Alert && res.Action == None {
			res.Action, res.Rule, res.Index = r.Action, r, h.Rule
			res.Whole = h.Whole || p.flowVerdicts
		}
		if r.Action.Drops() && res.Action.Drops() {
			res.Whole = res.Whole || h.Whole
			if r.Action != Drop && (res.Action == Drop || r.Action < res.Action) {
				res.Action = r.Action // who hears of it is up to all rules, as in Suricata
			}
		}
		if r.Action == Pass {
			return
		}
	}
}
