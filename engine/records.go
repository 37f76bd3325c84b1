package engine

import (
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
)

// Records takes what a worker has to tell. The structs are reused: an
// implementation encodes them before it returns. Each worker has its own.
type Records interface {
	Alert(*eve.Alert)
	Flow(*eve.Flow)
	Drop(*eve.Drop)
	App(*eve.App)
	Anomaly(*eve.Anomaly)
	Tagged(*eve.Tagged)
	Captured(*eve.Tuple)
}

// Kind is a kind of record.
type Kind uint8

const (
	Alerts        Kind = iota
	Flows              // of flows that have ended
	Drops              // of packets
	Anomalies          // of packets and of application protocols
	TaggedPackets      // that rules ask for by tag
	Transactions       // of application protocols
	CapturedVars       // of packets
)

// Wants says which records somebody reads, so that others are never built. It
// may change while traffic runs; a worker asks for each record.
type Wants interface {
	Wants(Kind) bool
}

// FlowRecord is a flow as captures, flushes and flow records tell of it. What is
// added here is to be packed, too.
type FlowRecord struct {
	Key         flow.Key
	First, Last int64 // nanoseconds since 1970
	Packets     [2]uint64
	Bytes       [2]uint64
	App         applayer.Proto
	protos      protos
	State       FlowState
	gap         [2]bool       // bytes of its stream never came
	TCPState    stream.State  // StateNone for what is not TCP, or not followed
	Action      detect.Action // Pass or Drop once a rule has decided the flow, else None
	Midstream   bool
	Alerted     bool

	tcpFlags [2]uint8
	ttl      [2]ttlRange
}

// of fills r, which is zero, from a flow. (One composite literal would be made
// elsewhere and copied.)
func (r *FlowRecord) of(f *flowEntry) {
	r.Key, r.First, r.Last = f.Key, f.First, f.Last
	r.Packets[0], r.Packets[1] = f.Packets(0), f.Packets(1)
	r.Bytes[0], r.Bytes[1] = f.Bytes(0), f.Bytes(1)
	r.State, r.App, r.protos = flowState(f), f.State.app, f.State.protos
	r.Midstream, r.Alerted = f.State.has(midstream), f.State.has(alerted)
	r.tcpFlags, r.ttl = f.Seen, f.State.ttl
	switch f.State.decision() {
	case passed:
		r.Action = detect.Pass
	case dropped:
		r.Action = detect.Drop
	}
	if f.Key.Proto == packet.ProtoTCP && !f.State.has(untracked) {
		r.TCPState = f.State.tcp.State()
		r.gap = [2]bool{f.State.tcp.Gap(packet.ToServer), f.State.tcp.Gap(packet.ToClient)}
	}
}

// fill writes r as an EVE flow that ended for reason.
func (r *FlowRecord) fill(e *eve.Flow, reason flow.Reason, operation string, now int64) {
	*e = eve.Flow{
		Tuple: eve.Tuple{
			Time: now, FlowID: r.Key.ID(r.First), Src: r.Key.Src, Dst: r.Key.Dst, Proto: r.Key.Proto,
		},
		Start: r.First, End: r.Last, State: r.State.String(), Reason: eveReason(reason), OperationID: operation,
		Alerted: r.Alerted, Midstream: r.Midstream,
		ToServer: eve.HalfFlow{Packets: r.Packets[0], Bytes: r.Bytes[0], MinTTL: r.ttl[0].min, MaxTTL: r.ttl[0].max},
		ToClient: eve.HalfFlow{Packets: r.Packets[1], Bytes: r.Bytes[1], MinTTL: r.ttl[1].min, MaxTTL: r.ttl[1].max},
	}
	if r.Action != detect.None {
		e.Action = r.Action.String()
	}
	if r.TCPState != stream.StateNone {
		e.TCPState = r.TCPState.String()
		e.ToServer.Gap, e.ToClient.Gap = r.gap[0], r.gap[1]
		e.ToServer.TCPFlags, e.ToClient.TCPFlags = r.tcpFlags[0], r.tcpFlags[1] // else nothing is known, as in Suricata
	}
	for i, id := range r.Key.Place.VLAN() {
		if e.VLAN[i] = id; id != 0 {
			e.VLANs++
		}
	}
	switch r.Key.Proto {
	case packet.ProtoICMP, packet.ProtoICMPv6:
		e.ICMPType, e.ICMPCode = uint8(r.Key.SrcPort), r.tcpFlags[0]
		e.ToClient.ICMPType = uint8(r.Key.DstPort)
	case packet.ProtoESP:
		e.SPI = r.Key.SPI()
	default:
		e.SrcPort, e.DstPort = r.Key.SrcPort, r.Key.DstPort
	}
	e.App = appProtos(r.App, r.protos)
	e.Emergency = reason == flow.Evicted
}

// eveReason keeps to the words of Suricata and AWS: a closed flow ends, after the closed timeout
// or because a new connection takes its ports, with "timeout" and its state says "closed".
func eveReason(r flow.Reason) string {
	switch r {
	case flow.Timeout, flow.Closed, flow.Reused:
		return eve.ReasonTimeout
	case flow.Flushed:
		return eve.ReasonFlushed
	case flow.Shutdown:
		return eve.ReasonShutdown
	case flow.Evicted, flow.Removed, flow.Failed:
		return eve.ReasonForced
	}
	return eve.ReasonUnknown
}

// tuple fills what all records about the packet at hand begin with.
func (w *worker) tuple(f *flowEntry) eve.Tuple {
	p := &w.pkt
	t := eve.Tuple{
		Time: w.packetTime, Src: p.Src, Dst: p.Dst, SrcPort: p.SrcPort, DstPort: p.DstPort, Proto: p.Proto,
		ICMPType: p.ICMP.Type, ICMPCode: p.ICMP.Code, Broken: p.L4 == nil, VLAN: p.VLAN, VLANs: p.VLANs, PktSrc: w.opt.PacketSource,
	}
	if f != nil {
		t.FlowID = f.ID()
		w.describeFlow(&t, f)
	}
	if captured := w.result.PacketVars; w.opt.Detail.Metadata && len(captured) > 0 {
		if t.Vars == nil {
			w.flowVars.Reset()
			t.Vars = &w.flowVars
		}
		w.flowVars.Packet = captured
	}
	if t.PktSrc != "" { // Suricata's words
		switch {
		case w.ending:
			t.PktSrc = "stream (flow timeout)"
		case p.From != packet.FromWire:
			t.PktSrc = p.From.String()
		}
	}
	if w.opt.CountPackets && w.level == 0 {
		t.PcapCnt = w.cookie
	}
	return t
}

// describeFlow adds the details that records of a flow and of its packets share.
func (w *worker) describeFlow(t *eve.Tuple, f *flowEntry) {
	d := &w.opt.Detail
	if d.Metadata && w.vars.Len() > 0 {
		w.flowVars.Reset()
		w.programs[f.State.slot()].program.Rules.VisitVars(w.vars, f.ID(), func(v detect.FlowVar) {
			switch v.Kind {
			case detect.FlowInt:
				w.flowVars.Ints = append(w.flowVars.Ints, eve.Int{Name: v.Name, Value: v.Value})
			case detect.FlowText:
				w.flowVars.Texts = append(w.flowVars.Texts, eve.Text{Name: v.Name, Value: v.Text})
			default:
				w.flowVars.AddBit(v.Name)
			}
		})
		w.flowVars.Reverse()
		t.Vars = &w.flowVars
	}
	if d.CommunityID {
		w.community = appendCommunityID(w.community[:0], d.Seed, &f.Key)
		t.CommunityID = w.community
	}
}

// appendCommunityID appends the community id of a flow. Of ESP's index Suricata takes the lower half
// for the one port, and nothing for the other.
func appendCommunityID(dst []byte, seed uint16, k *flow.Key) []byte {
	from, to := k.SrcPort, k.DstPort
	if k.Proto == packet.ProtoESP {
		from, to = to, 0
	}
	return eve.AppendCommunityID(dst, seed, k.Proto, k.Src, k.Dst, from, to)
}

// alert logs what r found in f, nil for a packet without a flow, given the action that the
// packet met in the end.
func (w *worker) alert(f *flowEntry, dir packet.Dir, r *detect.Rule, outcome detect.Action, h detect.Hit) {
	w.n[cAlerts]++
	if f != nil {
		f.State.flags |= alerted
	}
	if w.opt.Wants.Wants(Alerts) {
		w.fillAlert(f, dir, r, outcome, h)
		w.records.Alert(&w.alertRecord)
	}
}

// captured logs the packet at hand if rules captured variables of it.
func (w *worker) captured(f *flowEntry) {
	if len(w.result.PacketVars) > 0 && w.opt.Detail.Metadata && w.opt.Wants.Wants(CapturedVars) {
		t := w.tuple(f)
		w.records.Captured(&t)
	}
}

// fillAlert makes w.alertRecord tell of r.
func (w *worker) fillAlert(f *flowEntry, dir packet.Dir, r *detect.Rule, outcome detect.Action, h detect.Hit) {
	a := &w.alertRecord
	*a = eve.Alert{
		Tuple: w.tuple(f), Dir: dir, Tx: h.Tx, Action: "allowed", Verdict: "alert", Passed: outcome == detect.Pass,
		GID: r.Meta.GID, SID: r.Meta.SID, Rev: r.Meta.Rev, Signature: r.Meta.Msg,
		Category: r.Meta.Category, Severity: r.Meta.Severity, ResourceARN: r.Meta.ResourceARN,
		Target: r.Meta.Target, RejectTarget: rejectTargets[outcome], Detail: w.opt.Detail,
	}
	// A reject is sent even by who only looks on, says Suricata; Sluice sends nothing then.
	if r.Action > detect.Drop || r.Action == detect.Drop && w.opt.Inline {
		a.Action = "blocked"
	}
	if w.opt.Inline && (w.denied || outcome.Drops()) {
		a.Verdict = "drop"
	}
	if w.denied && a.RejectTarget == "" {
		a.RejectTarget = rejectTargets[w.refusal]
	}
	if w.rejected && a.RejectTarget == "" {
		a.RejectTarget = rejectTargets[detect.Reject]
	}
	if a.Detail.Metadata {
		a.Metadata = r.Meta.Metadata
	}
	if w.pkt.IPVersion == 0 { // there is nothing to tell but the rule and the frame
		a.Target, a.Detail.Payload, a.Detail.Printable = detect.NoTarget, false, false
	}
	if a.Detail.Payload || a.Detail.Printable {
		a.Payload = w.payload(f, dir, h.Stream, &a.Stream)
	}
	a.Frame, a.Tunnel = w.frameOf(), w.tunnel()
	if f != nil {
		w.alertFlow(a, f, r, h)
	}
}

// alertFlow adds what an alert says about the flow.
func (w *worker) alertFlow(a *eve.Alert, f *flowEntry, r *detect.Rule, h detect.Hit) {
	a.App = appProtos(f.State.app, f.State.protos)
	if a.Tx == nil {
		a.Tx, a.TxGuessed = w.guessTx(f, r, a.Dir, h)
	}
	w.counters = eve.FlowCounters{
		PktsToServer: f.Packets(0), PktsToClient: f.Packets(1),
		BytesToServer: f.Bytes(0), BytesToClient: f.Bytes(1), Start: f.First,
	}
	a.Flow = &w.counters
}

// maxGuessed is how many alerts show a transaction that they may have nothing to do with; Suricata's figure.
const maxGuessed = 4

// guessTx returns the transaction that an alert shows which matched in none. Suricata shows the one that the
// bytes of a stream are of, by guess, and for rules about its protocol that of a datagram. AWS's records have
// the newest.
func (w *worker) guessTx(f *flowEntry, r *detect.Rule, dir packet.Dir, h detect.Hit) (tx applayer.Tx, guessed bool) {
	s := w.session(f)
	if !w.program.Suricata {
		if s != nil {
			tx = s.Last()
		}
		return tx, false
	}
	tx = w.eventTx[dir]
	switch {
	case f.Key.Proto == packet.ProtoUDP && r.AppLayer():
		return tx, false
	case !h.Stream:
		return nil, false
	case tx == nil && s != nil:
		tx = s.Last()
	}
	if tx == nil || tx.State().Guessed == maxGuessed {
		return nil, false
	}
	tx.State().Guessed++
	return tx, true
}

func appProtos(p applayer.Proto, others protos) eve.AppProtos {
	name := func(p applayer.Proto) string {
		if p == applayer.Unknown {
			return ""
		}
		return p.String()
	}
	return eve.AppProtos{
		Proto: name(p), Orig: name(others.orig()), Expected: name(others.expected()),
		ToServer: name(others.side(packet.ToServer)), ToClient: name(others.side(packet.ToClient)),
	}
}

// rejectTargets says in Suricata's words who hears of a reject.
var rejectTargets = [detect.RejectBoth + 1]string{detect.Reject: "to_client", detect.RejectDst: "to_server", detect.RejectBoth: "both"}

// appRecord logs a transaction that is done, or a file of one. The record is about the flow's side that the
// event is of, whichever packet completed it.
func (w *worker) appRecord(f *flowEntry, ev applayer.Event) {
	if !w.opt.Wants.Wants(Transactions) {
		return
	}
	r := &w.appLog
	*r = eve.App{Tuple: w.tuple(f), App: appProtos(f.State.app, f.State.protos), Tx: ev.Tx, File: ev.File}
	k := f.Key
	if ev.Dir == packet.ToClient {
		k = k.Reverse()
	}
	r.Src, r.Dst, r.SrcPort, r.DstPort = k.Src, k.Dst, k.SrcPort, k.DstPort
	for r.Part = range eve.Records(ev.Tx) {
		w.records.App(r)
	}
}

// dropRecord logs a dropped packet.
func (w *worker) dropRecord(f *flowEntry, dir packet.Dir, reason Reason, r *detect.Rule) {
	d := &w.drop
	w.fillDrop(d, f)
	d.Dir, d.Reason = dir, dropReasons[reason]
	if reason == reasonTunnel {
		d.RejectTarget = rejectTargets[w.refusal]
		if w.level > 0 {
			d.Reason = "" // Suricata gives it of the packet on the wire only
		}
	}
	if reason == ReasonException {
		d.Cause, d.OperationID = w.cause.String(), w.causeOperation
		if w.rejected {
			d.RejectTarget = rejectTargets[detect.Reject]
		}
	}
	if r != nil && reason == ReasonRule {
		d.RejectTarget = rejectTargets[w.refusal]
		r, h := w.refuser(f, r)
		w.fillAlert(f, dir, r, w.refusal, h)
		d.Alert = &w.alertRecord
	}
	w.records.Drop(d)
}

// fillDrop makes d tell of the headers of the packet at hand.
func (w *worker) fillDrop(d *eve.Drop, f *flowEntry) {
	p := &w.pkt
	*d = eve.Drop{
		Tuple:     w.tuple(f),
		IPVersion: p.IPVersion, Length: len(p.Net), TOS: p.TOS, TTL: p.TTL, IPID: uint16(p.IPID),
	}
	if p.IPVersion == 6 && len(p.Net) >= 40 {
		d.Length -= 40
		d.FlowLabel = binary.BigEndian.Uint32(p.Net) & 0xfffff
	}
	if p.L4 == nil {
		return
	}
	switch p.Proto {
	case packet.ProtoTCP:
		d.TCP = &p.TCP
	case packet.ProtoUDP:
		d.UDPLength = uint16(len(p.Payload) + 8)
	}
	d.ICMPID, d.ICMPSeq = p.ICMP.ID, p.ICMP.Seq
}

// refuser returns the rule that a drop record names, with its hit: the first that is logged and drops, else r,
// which decided.
func (w *worker) refuser(f *flowEntry, r *detect.Rule) (*detect.Rule, detect.Hit) {
	rules := w.program.Rules
	if f != nil {
		rules = w.programs[f.State.slot()].program.Rules
	}
	for _, h := range w.result.Alerts {
		if r := &rules.Rules()[h.Rule]; r.Action.Drops() {
			return r, h
		}
	}
	return r, detect.Hit{}
}

// dropReasons are Suricata's words, where it has the reason.
var dropReasons = [reasonTunnel + 1]string{
	ReasonInvalid: "decode error", ReasonNoProgram: "no policy", ReasonStateless: "stateless rules",
	ReasonFlowLimit: "flow memcap", ReasonStream: "stream error", ReasonException: "stream midstream",
	ReasonRule: "rules", ReasonFlow: "flow drop", ReasonDefault: "rules",
	ReasonReassembly: "stream reassembly", ReasonParser: "applayer error", ReasonFragment: "defrag error", ReasonPanic: "internal error",
	reasonTunnel: eve.ReasonInside,
}
