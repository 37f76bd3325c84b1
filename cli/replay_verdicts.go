package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
)

// verdicts is what became of a capture: the object that -o json prints and that
// --expect compares. The member names are stable.
type verdicts struct {
	Mode      string                  `json:"mode"`
	Packets   uint64                  `json:"packets"`
	Passed    uint64                  `json:"passed"`
	Dropped   uint64                  `json:"dropped"`
	DroppedBy map[string]uint64       `json:"dropped_by"` // reason to packets
	Alerts    map[uint32]uint64       `json:"alerts"`     // sid to count
	RuleHits  map[uint32]uint64       `json:"rule_hits"`  // sid to how often the rule matched, logged or not
	Flows     map[string]*flowVerdict `json:"flows"`      // "tcp 192.0.2.1:40000 > 198.51.100.1:443"

	messages map[uint32]string // of Alerts
	tuples   map[flow.Key]*flowVerdict
}

// flowVerdict is what became of all packets of a 5-tuple, in both directions
// and in as many connections as there were.
type flowVerdict struct {
	Verdict string            `json:"verdict"` // pass: all packets; drop: none; partial
	Packets uint64            `json:"packets"`
	Dropped uint64            `json:"dropped"`
	Alerts  map[uint32]uint64 `json:"alerts"` // sid to count

	name string
}

func newVerdicts() *verdicts {
	return &verdicts{
		DroppedBy: map[string]uint64{}, Alerts: map[uint32]uint64{}, RuleHits: map[uint32]uint64{}, Flows: map[string]*flowVerdict{},
		messages: map[uint32]string{}, tuples: map[flow.Key]*flowVerdict{},
	}
}

// of returns the entry of t's 5-tuple, which is named after the first side that
// is seen in it.
func (v *verdicts) of(t *eve.Tuple) *flowVerdict {
	k := flow.Key{Src: t.Src, Dst: t.Dst, SrcPort: t.SrcPort, DstPort: t.DstPort, Proto: t.Proto, Place: flow.PlaceOf(t.VLAN, 0)}
	if f := v.tuples[k]; f != nil {
		return f
	}
	if f := v.tuples[k.Reverse()]; f != nil {
		return f
	}
	f := &flowVerdict{Alerts: map[uint32]uint64{}, name: flowName(&k)}
	v.tuples[k] = f
	return f
}

func flowName(k *flow.Key) string {
	proto := protoName(strconv.Itoa(int(k.Proto)))
	port := func(p uint16) string {
		if !flow.HasPorts(k.Proto) {
			return ""
		}
		return strconv.Itoa(int(p))
	}
	name := fmt.Sprintf("%s %s > %s", proto, endpoint(k.Src.String(), port(k.SrcPort), proto), endpoint(k.Dst.String(), port(k.DstPort), proto))
	for _, id := range k.Place.VLAN() {
		if id != 0 {
			name += fmt.Sprintf(" vlan %d", id)
		}
	}
	return name
}

// finish names the flows and judges each, when all records are in, and takes the hits of the
// rules that there were.
func (v *verdicts) finish(rules *detect.RuleSet) {
	for i, n := range rules.Hits() {
		if meta := &rules.Rules()[i].Meta; n > 0 {
			v.RuleHits[meta.SID] += n
			v.messages[meta.SID] = meta.Msg
		}
	}
	for _, f := range v.tuples {
		// Packets that were dropped before they could open a flow are in no flow record.
		f.Packets = max(f.Packets, f.Dropped)
		switch f.Dropped {
		case 0:
			f.Verdict = "pass"
		case f.Packets:
			f.Verdict = "drop"
		default:
			f.Verdict = "partial"
		}
		v.Flows[f.name] = f
	}
}

// replayRecords writes the engine's records and counts them.
type replayRecords struct {
	sink  eve.Sink // nil: nothing is written
	types []string // of records that are written, nil for all
	buf   []byte
	got   *verdicts
	aws   bool // records are as AWS's
}

// Wants implements engine.Wants.
func (r *replayRecords) Wants(k engine.Kind) bool {
	switch k {
	case engine.Alerts, engine.Flows, engine.Drops:
		return true // they are counted, too
	case engine.Anomalies:
		return r.writes("anomaly")
	case engine.TaggedPackets:
		return r.writes("packet")
	case engine.CapturedVars:
		return r.writes("metadata")
	}
	others := func(eventType string) bool { return !slices.Contains(ofPackets, eventType) }
	return r.sink != nil && (r.types == nil || slices.ContainsFunc(r.types, others))
}

// ofPackets are the types of records that are not about transactions.
var ofPackets = []string{"alert", "anomaly", "drop", "flow", "metadata", "netflow", "packet", "stats"}

// writes says whether records of a type, as event_type has it, are written.
func (r *replayRecords) writes(eventType string) bool {
	return r.sink != nil && (r.types == nil || slices.Contains(r.types, eventType))
}

// Alert implements engine.Records.
func (r *replayRecords) Alert(a *eve.Alert) {
	r.got.Alerts[a.SID]++
	r.got.messages[a.SID] = a.Signature
	r.got.of(&a.Tuple).Alerts[a.SID]++
	if r.aws && a.Passed {
		a.Verdict = "pass" // Suricata's would be "alert"
	}
	if r.writes("alert") {
		r.log(eve.AppendAlert(r.buf[:0], a))
	}
}

// Drop implements engine.Records.
func (r *replayRecords) Drop(d *eve.Drop) {
	if d.Reason != eve.ReasonInside && d.Reason != "" { // those are of what is around it
		r.got.DroppedBy[d.Reason]++
		r.got.of(&d.Tuple).Dropped++
	}
	if r.writes("drop") {
		r.log(eve.AppendDrop(r.buf[:0], d))
	}
}

// App implements engine.Records.
func (r *replayRecords) App(a *eve.App) {
	if name := a.Type(); name != "" && r.writes(name) {
		r.log(eve.AppendApp(r.buf[:0], a))
	}
}

// Anomaly implements engine.Records.
func (r *replayRecords) Anomaly(a *eve.Anomaly) {
	if r.writes("anomaly") {
		r.log(eve.AppendAnomaly(r.buf[:0], a))
	}
}

// Tagged implements engine.Records.
func (r *replayRecords) Tagged(t *eve.Tagged) {
	if r.writes("packet") {
		r.log(eve.AppendTagged(r.buf[:0], t))
	}
}

// Captured implements engine.Records.
func (r *replayRecords) Captured(t *eve.Tuple) {
	if r.writes("metadata") {
		r.log(eve.AppendCaptured(r.buf[:0], t))
	}
}

// Flow implements engine.Records.
func (r *replayRecords) Flow(f *eve.Flow) {
	r.got.of(&f.Tuple).Packets += f.ToServer.Packets + f.ToClient.Packets
	if r.writes("flow") {
		r.log(eve.AppendFlow(r.buf[:0], f))
	}
	if !r.writes("netflow") {
		return
	}
	r.log(eve.AppendNetflow(r.buf[:0], f, packet.ToServer))
	if f.ToClient.Packets > 0 {
		r.log(eve.AppendNetflow(r.buf[:0], f, packet.ToClient))
	}
}

func (r *replayRecords) log(line []byte) {
	r.sink.Log(line) // the sink keeps its error for Flush
	r.buf = line
}

// report prints the verdicts.
func (r *replayCommand) report(v *verdicts) error {
	if r.format == "json" {
		e := json.NewEncoder(r.env.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(v)
	}
	t := &table{columns: []column{{title: "WHAT"}, {title: "COUNT", right: true}}, colour: r.env.colour()}
	row := func(what string, n uint64) { t.rows = append(t.rows, []string{what, strconv.FormatUint(n, 10)}) }
	row("flows", uint64(len(v.Flows)))
	row("packets", v.Packets)
	row("packets passed", v.Passed)
	row("packets dropped", v.Dropped)
	for _, reason := range slices.Sorted(maps.Keys(v.DroppedBy)) {
		row("packets dropped: "+reason, v.DroppedBy[reason])
	}
	for _, sid := range slices.Sorted(maps.Keys(v.RuleHits)) {
		if n := v.RuleHits[sid]; n != v.Alerts[sid] {
			row(fmt.Sprintf("hits: sid %d %s", sid, v.messages[sid]), n)
		}
	}
	for _, sid := range slices.Sorted(maps.Keys(v.Alerts)) {
		row(fmt.Sprintf("alerts: sid %d %s", sid, v.messages[sid]), v.Alerts[sid])
	}
	return t.write(r.env.Stdout)
}

func (v *verdicts) write(path string) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write the expected verdicts: %w", err)
	}
	return nil
}
