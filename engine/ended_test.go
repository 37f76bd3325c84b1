package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
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

// TestEndOfStreamBesideOthers: what rules look at, and what is told, when a flow ends has nothing to do with the packet
// of another flow that came last.
func TestEndOfStreamBesideOthers(t *testing.T) {
	other := newConn("2")
	for name, last := range map[string]func(r *rig){
		"encrypted": func(r *rig) {
			r.open(other)
			r.accepts("a hello", other.c2s(data, hello(t, "a.example")))
			r.accepts("an answer", other.s2c(data, serverHello))
			r.accepts("an ACK", other.c2s(ack, ""))
			r.accepts("data", other.s2c(data, appData))
			r.accepts("an ACK", other.c2s(ack, ""))
			r.accepts("data", other.s2c(data, appData))
		},
		"rejected": func(r *rig) { r.accepts("a datagram", packettest.UDP("10.0.0.1:1", "10.0.0.2:99", []byte("x"))) },
	} {
		*other = *newConn("2")
		r := newRig(t, programWith(t, `alert tcp-stream any any -> any 443 (content:"evil"; sid:1;)
reject udp any any -> any 99 (sid:2;)`, detect.Options{}), func(o *Options) { o.Inline = false })
		c := newConn("1")
		r.open(c)
		r.accepts("bytes", c.c2s(data, "evil"))
		r.pass(590)
		last(r)
		r.rec.alerts = nil
		r.pass(20)
		r.sweep()
		if len(r.rec.alerts) != 1 || r.rec.alerts[0].SID != 1 || r.rec.alerts[0].RejectTarget != "" {
			t.Errorf("%s: alerts %+v, want one that tells of no reject", name, r.rec.alerts)
		}
	}
}
