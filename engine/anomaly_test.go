package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// TestPacketAnomalies: each event of a packet is a record, with the packet's flow if it has one and
// without addresses if it is not IP.
func TestPacketAnomalies(t *testing.T) {
	r := newRig(t, suricata(t, ""), func(o *Options) { o.Detail.Packet = true })
	r.accepts("a type that does not exist", packettest.ICMP("10.0.0.1", "10.0.0.2", 250, 0, 0, nil))
	cut := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", []byte("abc"))
	r.raw(pktio.Packet{Data: packettest.Ethernet(cut)[:30], Link: packet.LinkEthernet})
	r.raw(pktio.Packet{Data: []byte{1, 2, 3}, Link: packet.LinkEthernet})
	c := newConn("7")
	r.open(c)
	r.drops("a SYN again, with another number", packettest.TCP(c.client, c.server, syn, c.clientSeq+7777, 0, nil))
	want := []struct {
		kind, event string
		flow, ip    bool
	}{
		{eve.AnomalyDecode, "decoder.icmpv4.unknown_type", true, true},
		{eve.AnomalyDecode, "decoder.ipv4.pkt_too_small", false, false},
		{eve.AnomalyDecode, "decoder.ethernet.pkt_too_small", false, false},
		{eve.AnomalyStream, "stream.est_syn_resend_diff_seq", true, true},
	}
	for i, a := range r.rec.odd {
		if i >= len(want) {
			t.Fatalf("one more: %+v", a)
		}
		w := want[i]
		if a.Type != w.kind || a.Event != w.event || (a.FlowID != 0) != w.flow || (a.Src != packet.Addr{}) != w.ip || a.TxID != -1 || a.Frame == nil {
			t.Errorf("%+v, want %+v", a, w)
		}
	}
	if len(r.rec.odd) < len(want) {
		t.Errorf("%d anomalies, want %d", len(r.rec.odd), len(want))
	}
}

// TestTransactionAnomalies: what is wrong with a transaction is told once.
func TestTransactionAnomalies(t *testing.T) {
	r := newRig(t, suricata(t, ""))
	bad := query("a.example")
	bad[2] |= 0x80 | 0x40 // an answer from the client, with an unused opcode
	bad[3] |= 0x40        // and a reserved bit
	r.accepts("a good query", packettest.UDP("10.0.0.1:1", "10.0.0.2:53", query("a.example")))
	if len(r.rec.odd) != 0 {
		t.Errorf("%+v", r.rec.odd)
	}
	r.accepts("an answer", packettest.UDP("10.0.0.2:53", "10.0.0.1:1", bad))
	found := 0
	for _, a := range r.rec.odd {
		if a.Event == "z_flag_set" {
			found++
		}
		if a.Type != eve.AnomalyAppLayer || a.AppProto != "dns" || a.Layer != eve.LayerParser || a.TxID < 0 || a.FlowID == 0 {
			t.Errorf("%+v", a)
		}
	}
	if found != 1 {
		t.Errorf("not one anomaly of the reserved bit in %+v", r.rec.odd)
	}
}
