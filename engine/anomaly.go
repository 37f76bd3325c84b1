package engine

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
)

// packetAnomalies logs what decoding, defragmentation and connection tracking noticed about the
// packet at hand, as one record for each event.
func (w *worker) packetAnomalies() {
	events := w.pkt.Events.All()
	if len(events) == 0 || !w.opt.Wants.Wants(Anomalies) {
		return
	}
	a := &w.anomaly
	*a = eve.Anomaly{Tuple: w.tuple(w.flow), TxID: -1, Frame: w.frameOf()}
	for _, e := range events {
		a.Type, a.Event = eve.AnomalyDecode, e.String()
		if e.Stream() || e == packet.EventTooManyLayers { // as Suricata numbers them
			a.Type = eve.AnomalyStream
		}
		w.records.Anomaly(a)
	}
}

// txAnomalies logs what is wrong with a transaction and was not logged before.
func (w *worker) txAnomalies(f *flowEntry, tx applayer.Tx) {
	s := tx.State()
	if s.Told == len(s.Anomalies) || !w.opt.Wants.Wants(Anomalies) {
		return
	}
	a := &w.anomaly
	*a = eve.Anomaly{
		Tuple: w.tuple(f), Type: eve.AnomalyAppLayer, AppProto: f.State.app.String(), Layer: eve.LayerParser, TxID: int64(s.ID),
	}
	for ; s.Told < len(s.Anomalies); s.Told++ {
		a.Event = s.Anomalies[s.Told].Event()
		w.records.Anomaly(a)
	}
}

// flowAnomaly logs what is wrong with the protocol of a flow itself.
func (w *worker) flowAnomaly(f *flowEntry, found applayer.Anomaly) {
	if !w.opt.Wants.Wants(Anomalies) {
		return
	}
	a := &w.anomaly
	*a = eve.Anomaly{Tuple: w.tuple(f), Type: eve.AnomalyAppLayer, Event: found.Event(), Layer: eve.LayerDetection, TxID: -1}
	if f.State.app > applayer.Failed {
		a.AppProto = f.State.app.String()
	}
	w.records.Anomaly(a)
}

// frameOf is the packet at hand for records that show it.
func (w *worker) frameOf() *eve.Frame {
	if !w.opt.Detail.Packet || w.frame.Data == nil {
		return nil
	}
	return &w.frame
}
