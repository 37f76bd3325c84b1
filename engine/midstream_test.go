package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// TestMidstreamFlags: under rule files the stream exception policy is about packets that say something of a
// connection, and a FIN has its event all the same. Who only looks on says whom it would have told.
func TestMidstreamFlags(t *testing.T) {
	for _, test := range []struct {
		flags   uint8
		dropped bool
		fin     bool // the event
	}{
		{packet.ACK, true, false}, {synAck, true, false}, {fin, true, true}, {packet.SYN | packet.FIN, true, true},
		{0, false, false}, {packet.PSH | packet.URG, false, false}, {packet.RST, true, false}, // a reset is dropped for what it is
	} {
		reject := func(p *detect.Program) { p.Suricata, p.Exception = true, detect.ExceptionReject }
		p := packettest.TCP("10.0.0.1:1000", "10.0.0.2:80", test.flags, 1, 1, []byte("x"))
		r := newRig(t, programWith(t, ``, detect.Options{}, reject))
		want := pktio.Accept
		if test.dropped {
			want = pktio.Drop
		}
		r.want(want, "inline", p)
		if got := r.w.pkt.Events.Has(packet.StreamFINButNoSession); got != test.fin {
			t.Errorf("flags %#x: event %v, want %v", test.flags, got, test.fin)
		}

		r = newRig(t, programWith(t, `alert tcp-pkt any any -> any any (content:"x"; sid:1;)`, detect.Options{}, reject), func(o *Options) { o.Inline = false })
		target := ""
		if test.dropped && test.flags&packet.RST == 0 {
			target = "to_client"
		}
		for range 2 {
			r.accepts("looked at", p)
		}
		if len(r.rec.alerts) != 2 {
			t.Fatalf("flags %#x: %d alerts, want 2", test.flags, len(r.rec.alerts))
		}
		for _, a := range r.rec.alerts {
			if a.RejectTarget != target || a.Verdict != "alert" {
				t.Errorf("flags %#x: reject of %q, verdict %q; want %q", test.flags, a.RejectTarget, a.Verdict, target)
			}
		}
	}
}
