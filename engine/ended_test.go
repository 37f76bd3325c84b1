package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
)

// TestEndOfStream: an alert about bytes that were never acknowledged comes when the flow ends. It shows what
// the receiver has acknowledged, and a segment that follows all that was sent.
func TestEndOfStream(t *testing.T) {
	r := newRig(t, programWith(t, `alert tcp-stream any any -> any any (content:"evil"; sid:1;)`, detect.Options{}), func(o *Options) {
		o.Inline, o.Detail = false, eve.Full
	})
	c := newConn("1")
	r.open(c)
	r.accepts("bytes", c.c2s(data, "some "))
	r.accepts("an ACK", c.s2c(ack, ""))
	r.accepts("more", c.c2s(data, "evil"))
	var frame packet.Packet
	var payload string
	r.rec.onAlert = func(a *eve.Alert) {
		payload = string(a.Payload)
		frame.Decode(packet.LinkRaw, append([]byte(nil), a.Frame.Data...), packet.Options{VerifyChecksums: true})
	}
	r.w.table.EndAll(flow.Shutdown)
	if len(r.rec.alerts) != 1 || payload != "some " {
		t.Fatalf("%d alerts, payload %q", len(r.rec.alerts), payload)
	}
	if frame.Invalid != packet.Valid || frame.TCP.Seq != c.clientSeq || frame.TCP.Flags != 0 || frame.Src.String() != "10.0.0.1" || len(frame.Payload) > 0 {
		t.Errorf("%v: %+v from %v", frame.Invalid, frame.TCP, frame.Src)
	}
}
