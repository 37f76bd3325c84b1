package engine

import (
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
}

// Kind is a kind of record.
type Kind uint8

const (
	Alerts    Kind = iota
	Flows          // of flows that have ended
	Drops          // of packets
	Anomalies      // of packets and of application protocols
	TaggedPackets
	Transactions // of application protocols
)

// Wants says which records somebody reads, so that others are never built. It
// may change while traffic runs; a worker asks for each record.
type Wants interface {
	Wants(Kind) bool
}

// FlowRecord is a flow as captures, flushes and flow records tell of it. A worker
// writes hundreds of thousands of them between batches, so it is kept small.
type FlowRecord struct {
	Key         flow.Key
	ID          uint64
	First, Last int64 // nanoseconds since 1970
	Packets     [2]uint64
	Bytes       [2]uint64
	Name        string       // SNI or Host
	Rule        *detect.Rule // of Stale operations: by which the newest program would not admit the flow; of other pages: that decided it
	Generation  uint32
	App         applayer.Proto
	State       FlowState
	TCPState    stream.State  // StateNone for what is not TCP, or not followed
	Action      detect.Action // Pass or Drop once a rule has decided the flow, else None
	Midstream   bool
	Alerted     bool

	tcpFlags [2]uint8
	ttl      [2]ttlRange
}

func (w *worker) record(r *FlowRecord, f *flowEntry) {
	*r = FlowRecord{
		Key: f.Key, ID: f.ID(), First: f.First, Last: f.Last,
		Packets: [2]uint64{f.Packets(0), f.Packets(1)}, Bytes: f.Bytes,
		State: flowState(f), App: f.State.app, Name: w.nameOf(f),
		Generation: w.programs[f.State.slot].program.Generation,
		Midstream:  f.State.has(midstream), Alerted: f.State.has(alerted),
		tcpFlags: f.State.tcpFlags, ttl: f.State.ttl,
	}
	switch f.State.decision {
	case passed:
		r.Action = detect.Pass
	case dropped:
		r.Action = detect.Drop
	}
	if f.Key.Proto == packet.ProtoTCP && !f.State.has(untracked) {
		r.TCPState = f.State.tcp.State()
	}
}

// fill writes r as an EVE flow that ended for reason.
func (r *FlowRecord) fill(e *eve.Flow, reason flow.Reason, operation string, now int64) {
	*e = eve.Flow{
		Tuple: eve.Tuple{
			Time: now, FlowID: r.ID, Src: r.Key.Src, Dst: r.Key.Dst, Proto: r.Key.Proto,
			VLAN: r.Key.VLAN,
		},
		Start: r.First, End: r.Last, State: r.State.String(), Reason: eveReason(reason), OperationID: operation,
		Alerted: r.Alerted, Midstream: r.Midstream,
		ToServer: eve.HalfFlow{Packets: r.Packets[0], Bytes: r.Bytes[0], MinTTL: r.ttl[0].min, MaxTTL: r.ttl[0].max, TCPFlags: r.tcpFlags[0]},
		ToClient: eve.HalfFlow{Packets: r.Packets[1], Bytes: r.Bytes[1], MinTTL: r.ttl[1].min, MaxTTL: r.ttl[1].max, TCPFlags: r.tcpFlags[1]},
	}
	if r.Action != detect.None {
		e.Action = r.Action.String()
	}
	if r.TCPState != stream.StateNone {
		e.TCPState = r.TCPState.String()
	}
	for _, id := range r.Key.VLAN {
		if id != 0 {
			e.VLANs++
		}
	}
	if flow.HasPorts(r.Key.Proto) {
		e.SrcPort, e.DstPort = r.Key.SrcPort, r.Key.DstPort
	} else {
		e.ICMPType = uint8(r.Key.SrcPort)
		e.ToClient.ICMPType = uint8(r.Key.DstPort)
	}
	if r.App != applayer.Unknown {
		e.AppProto = r.App.String()
	}
	e.Emergency = reason == flow.Evicted
}

// eveReason keeps to the words of Suricata and AWS: a closed flow ends, after
// the closed timeout, with "timeout" and its state says "closed".
func eveReason(r flow.Reason) string {
	switch r {
	case flow.Timeout, flow.Closed:
		return eve.ReasonTimeout
	case flow.Flushed:
		return eve.ReasonFlushed
	case flow.Reused:
		return eve.ReasonTCPReuse
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
		ICMPType: p.ICMP.Type, ICMPCode: p.ICMP.Code, VLAN: p.VLAN, VLANs: p.VLANs, PktSrc: w.opt.PacketSource,
	}
	if f != nil {
		t.FlowID = f.ID()
	}
	if w.rebuilt && t.PktSrc != "" {
		t.PktSrc = "defrag" // Suricata's word
	}
	if w.opt.CountPackets {
		t.PcapCnt = w.cookie
	}
	return t
}

// alert logs what r found in f, nil for a fragment, given the action that the packet met in the end.
// tx is the transaction that it matched in, or nil.
func (w *worker) alert(f *flowEntry, dir packet.Dir, r *detect.Rule, outcome detect.Action, tx applayer.Tx) {
	w.n[cAlerts]++
	if f != nil {
		f.State.flags |= alerted
	}
	if !w.opt.Wants.Wants(Alerts) {
		return
	}
	a := &w.alertRecord
	*a = eve.Alert{
		Tuple: w.tuple(f), Dir: dir, Tx: tx, Action: "allowed", Verdict: "alert",
		GID: r.Meta.GID, SID: r.Meta.SID, Rev: r.Meta.Rev, Signature: r.Meta.Msg,
		Category: r.Meta.Category, Severity: r.Meta.Severity, ResourceARN: r.Meta.ResourceARN,
		RejectTarget: rejectTargets[outcome],
	}
	if w.opt.Inline {
		if r.Action.Drops() {
			a.Action = "blocked"
		}
		if outcome.Drops() {
			a.Verdict = "drop"
		} else if outcome == detect.Pass {
			a.Verdict = "pass"
		}
	}
	if f != nil {
		w.alertFlow(a, f)
	}
	w.records.Alert(a)
}

// alertFlow adds what an alert says about the flow.
func (w *worker) alertFlow(a *eve.Alert, f *flowEntry) {
	if f.State.app != applayer.Unknown {
		a.AppProto = f.State.app.String()
	}
	if s := w.session(f); s != nil && a.Tx == nil {
		a.Tx = s.Last()
	}
	w.counters = eve.FlowCounters{
		PktsToServer: f.Packets(0), PktsToClient: f.Packets(1),
		BytesToServer: f.Bytes[0], BytesToClient: f.Bytes[1], Start: f.First,
	}
	a.Flow = &w.counters
}

// rejectTargets says in Suricata's words who hears of a reject.
var rejectTargets = [detect.RejectBoth + 1]string{detect.Reject: "to_client", detect.RejectDst: "to_server", detect.RejectBoth: "both"}

// appRecord logs a transaction that is done. The record is about the flow's side that the
// event is of, whichever packet completed it.
func (w *worker) appRecord(f *flowEntry, ev applayer.Event) {
	if !w.opt.Wants.Wants(Transactions) {
		return
	}
	r := &w.appLog
	*r = eve.App{Tuple: w.tuple(f), Tx: ev.Tx}
	k := f.Key
	if ev.Dir == packet.ToClient {
		k = k.Reverse()
	}
	r.Src, r.Dst, r.SrcPort, r.DstPort = k.Src, k.Dst, k.SrcPort, k.DstPort
	w.records.App(r)
}

// dropRecord logs a dropped packet.
func (w *worker) dropRecord(f *flowEntry, dir packet.Dir, reason Reason, r *detect.Rule) {
	p := &w.pkt
	d := &w.drop
	*d = eve.Drop{
		Tuple: w.tuple(f), Dir: dir, Reason: dropReasons[reason],
		IPVersion: p.IPVersion, Length: len(p.Net), TOS: p.TOS, TTL: p.TTL, IPID: uint16(p.IPID),
	}
	if p.IPVersion == 6 {
		d.Length -= 40
	}
	if p.Proto == packet.ProtoTCP && p.L4 != nil {
		d.TCP = &p.TCP
	}
	if p.Proto == packet.ProtoUDP && p.L4 != nil {
		d.UDPLength = uint16(len(p.Payload) + 8)
	}
	d.ICMPID, d.ICMPSeq = p.ICMP.ID, p.ICMP.Seq
	if reason == ReasonException {
		d.Cause, d.OperationID = w.cause.String(), w.causeOperation
	}
	if r != nil && reason == ReasonRule {
		d.RejectTarget = rejectTargets[r.Action]
		d.GID, d.SID, d.Rev, d.Signature = r.Meta.GID, r.Meta.SID, r.Meta.Rev, r.Meta.Msg
		d.Category, d.Severity = r.Meta.Category, r.Meta.Severity
	}
	w.records.Drop(d)
}

// dropReasons are Suricata's words, where it has the reason.
var dropReasons = [NumReasons]string{
	ReasonInvalid: "decode error", ReasonNoProgram: "no policy", ReasonStateless: "stateless rules",
	ReasonFlowLimit: "flow memcap", ReasonStream: "stream error", ReasonException: "stream midstream",
	ReasonRule: "rules", ReasonFlow: "flow drop", ReasonDefault: "rules",
	ReasonReassembly: "stream reassembly", ReasonFragment: "defrag error", ReasonPanic: "internal error",
}
