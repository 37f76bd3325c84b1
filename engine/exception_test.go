package engine

import (
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestExceptionDrop: silence, with the cause and the operation in the records.
func TestExceptionDrop(t *testing.T) {
	r := newRig(t, program(t, ""))
	c := newConn("1")
	r.open(c)
	s := r.run(Operation{ID: "op-1", Flush: true, Filters: []flow.Filter{{}}, Limit: 10})
	r.drops("the very next packet", c.c2s(data, "x"))
	r.drops("and from the server", c.s2c(data, "x"))
	r.midstream(detect.ExceptionDrop, CauseFlushed, 2)
	if s.flows != 1 {
		t.Errorf("%d flows flushed", s.flows)
	}
	for _, d := range r.rec.drops {
		if d.Reason != "stream midstream" || d.Cause != "flushed" || d.OperationID != "op-1" {
			t.Errorf("drop record %+v", d)
		}
	}
	if n := len(r.injected()); n != 0 || len(r.rec.drops) != 2 {
		t.Errorf("%d packets injected, %d drop records", n, len(r.rec.drops))
	}
	fresh := newConn("1")
	r.open(fresh)
	r.accepts("a fresh connection on the same ports", fresh.c2s(data, "x"))
	r.sweep()
	r.accepts("after the sweep too", fresh.c2s(data, "x"))
	r.addsUp()
}

func TestExceptionReject(t *testing.T) {
	r := newRig(t, program(t, "", exception(detect.ExceptionReject)))
	c := newConn("1")
	r.open(c)
	r.accepts("data", c.c2s(data, "before"))
	r.run(Operation{ID: "op-1", Flush: true, Filters: []flow.Filter{{}}})
	at := *c
	r.drops("the next packet", c.c2s(data, "lost"))
	got := r.injected()
	if len(got) != 2 || !got[0].back || got[1].back {
		t.Fatalf("injected %d packets, want one to each end", len(got))
	}
	// The client waits for what it acknowledged, the server for the lost packet.
	if p := got[0]; p.TCP.Flags != rst || p.TCP.Seq != at.serverSeq || p.SrcPort != 443 || p.DstPort != 1 {
		t.Errorf("to the client: %+v, want sequence number %d", p.TCP, at.serverSeq)
	}
	if p := got[1]; p.TCP.Flags != rst|ack || p.TCP.Seq != at.clientSeq || p.TCP.Ack != at.serverSeq || p.SrcPort != 1 {
		t.Errorf("to the server: %+v, want %d, %d", p.TCP, at.clientSeq, at.serverSeq)
	}
	// The server did not take it (say that the packet was a keep-alive): its own
	// packet is answered, with the number that it acknowledged.
	server := *c
	r.drops("from the server", c.s2c(data, "x"))
	if got = r.injected(); len(got) != 1 || !got[0].back || got[0].TCP.Seq != server.clientSeq {
		t.Errorf("answer to the server: %+v, want one reset with %d", got, server.clientSeq)
	}
	r.drops("its reset", c.s2c(rst, ""))
	if n := len(r.injected()); n != 0 {
		t.Errorf("a reset was answered %d times", n)
	}
	// Resets get lost; after three there is silence.
	for i := range 5 {
		r.drops("again", c.c2s(data, "lost"))
		if n := len(r.injected()); n != max(0, min(1, 2-i)) {
			t.Errorf("packet %d: %d resets", i+2, n)
		}
	}
	r.midstream(detect.ExceptionReject, CauseFlushed, 8)
	r.counter(cStatefulRejected, 4)

	fresh := newConn("1")
	r.open(fresh)
	r.accepts("data", fresh.c2s(data, "x"))
	r.run(Operation{ID: "op-2", Flush: true, Filters: []flow.Filter{{}}})
	r.drops("flushed again", fresh.c2s(data, "x"))
	if n := len(r.injected()); n != 2 {
		t.Errorf("%d resets for the fresh connection, want 2", n)
	}
	r.drops("never seen", packettest.TCP("10.0.0.1:99", "192.0.2.1:443", rst, 1, 0, nil))
	if n := len(r.injected()); n != 0 {
		t.Error("a reset was answered")
	}
	r.addsUp()
}

// TestExceptionContinue: packets go on without their connection's context.
func TestExceptionContinue(t *testing.T) {
	rules := `drop tcp any any -> any any (flow:established; content:"evil"; sid:1;)
drop tls any any -> any any (sid:2;)
drop tcp any any -> any any (content:"worse"; sid:3;)`
	r := newRig(t, program(t, rules, exception(detect.ExceptionContinue), dropDefault(detect.EstablishedApp)))
	c := newConn("1")
	r.accepts("picked up", c.c2s(data, "evil"))
	r.midstream(detect.ExceptionContinue, CauseUnknown, 1)
	r.accepts("from the server", c.s2c(data, "evil"))
	r.accepts("an application protocol", c.c2s(data, hello(t, "example.com")))
	r.accepts("a reset", c.s2c(rst, ""))
	c2 := newConn("2")
	r.drops("a rule that needs no context", c2.c2s(data, "worse"))
	for f := range r.w.table.All {
		var rec FlowRecord
		if rec.of(f); !rec.Midstream || rec.TCPState != stream.StateNone || rec.State != FlowNew {
			t.Errorf("%+v", rec)
		}
	}
	r.accepts("a SYN opens a fresh connection", newConn("1").syn())
	r.counter(cEnded+int(flow.Reused), 1)
	r.addsUp()

	r = newRig(t, program(t, rules, exception(detect.ExceptionContinue), dropDefault(detect.Strict)))
	r.drops("under drop_strict", newConn("1").c2s(data, "good"))
	r.dropped(ReasonDefault, 1)
}

func TestExceptionPickUp(t *testing.T) {
	r := newRig(t, program(t, `drop tcp any any -> any any (flow:established; content:"evil"; sid:1;)`, exception(detect.ExceptionPickUp)))
	c := newConn("1")
	r.accepts("picked up", c.c2s(data, "good"))
	r.accepts("answer", c.s2c(data, "good"))
	r.drops("followed", c.c2s(data, "evil"))
	r.midstream(detect.ExceptionPickUp, CauseUnknown, 1)
	r.drops("the rest of it", c.s2c(data, "x"))
	r.dropped(ReasonFlow, 1)
}

// TestPickUpAnswer: a connection that is picked up with a message that tells that a server sent it.
func TestPickUpAnswer(t *testing.T) {
	r := newRig(t, program(t, `drop tcp any any -> any any (flow:established,to_server; content:"evil"; sid:1;)`, exception(detect.ExceptionPickUp)))
	c := newConn("1")
	answer := "\x00\x00\x00\x30\xfeSMB\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
	r.accepts("picked up", c.s2c(data, answer+"evil"+strings.Repeat(" ", 48-21)))
	r.accepts("its ACK", c.c2s(ack, ""))
	r.accepts("what the server sends next", c.s2c(data, "evil"))
	r.drops("the client", c.c2s(data, "evil"))
	r.midstream(detect.ExceptionPickUp, CauseUnknown, 1)
}

func TestMidstreamCauses(t *testing.T) {
	restart := func(o *Options) { o.PacketClock = false }
	for cause, prepare := range map[Cause]func() (*rig, *conn){
		CauseUnknown: func() (*rig, *conn) { return newRig(t, program(t, "")), newConn("1") },
		CauseIdle: func() (*rig, *conn) {
			r, c := newRig(t, program(t, "")), newConn("1")
			r.open(c)
			r.pass(351)
			return r, c
		},
		CauseClosed: func() (*rig, *conn) {
			r, c := newRig(t, program(t, "")), newConn("1")
			r.open(c)
			r.accepts("reset", c.c2s(rst, ""))
			r.pass(11)
			return r, c
		},
		CauseRestart: func() (*rig, *conn) {
			r := newRig(t, program(t, ""), restart)
			r.w.started = r.now - sec(349)
			return r, newConn("1")
		},
	} {
		r, c := prepare()
		r.drops(cause.String(), c.c2s(data, "x"))
		r.midstream(detect.ExceptionDrop, cause, 1)
	}
	r := newRig(t, program(t, ""), restart)
	r.w.started = r.now - sec(351)
	r.drops("long after the start", newConn("1").c2s(data, "x"))
	r.midstream(detect.ExceptionDrop, CauseUnknown, 1)
}

func TestReject(t *testing.T) {
	r := newRig(t, program(t, `reject tcp any any -> any any (flow:established; content:"evil"; sid:1;)
reject udp any any -> any any (sid:2;)`))
	c := newConn("1")
	r.open(c)
	r.drops("evil", c.c2s(data, "evil"))
	got := r.injected()
	if len(got) != 1 || !got[0].back || got[0].TCP.Flags != rst || got[0].TCP.Seq != c.serverSeq {
		t.Errorf("injected %+v", got)
	}
	sent := packettest.UDP("10.0.0.1:1", "192.0.2.1:2", []byte("x"))
	r.drops("UDP", sent)
	got = r.injected()
	if len(got) != 1 || !got[0].back || got[0].Proto != packet.ProtoICMP || !got[0].ICMPError() {
		t.Errorf("injected %+v", got)
	}
	r.drops("UDP again", sent)
	if len(r.injected()) != 0 {
		t.Error("a flow was rejected twice")
	}
	r.counter(cStatefulRejected, 2)
	r.counter(cResets, 2)
	if a := r.rec.alerts; len(a) != 2 || a[0].Action != "blocked" || a[0].Verdict != "drop" || a[0].SID != 1 {
		t.Errorf("alerts %+v", a)
	}
}

// TestUnreachablesAreLimited: forged senders must not make the engine flood.
func TestUnreachablesAreLimited(t *testing.T) {
	r := newRig(t, program(t, "reject udp any any -> any any (sid:2;)"), func(o *Options) { o.FlowLimit = 10_000 })
	send := func(n int) int {
		for i := range n {
			ip := packettest.UDP("10.0.0.1:1", "192.0.2.1:2", []byte("x"), packettest.ID(uint16(i)))
			ip[20], ip[21] = byte(r.w.n[cFlows]>>8), byte(r.w.n[cFlows]) // port
			r.raw(offloaded(ip))
		}
		return len(r.injected())
	}
	if n := send(1500); n != maxUnreachables {
		t.Errorf("%d in the first second", n)
	}
	r.pass(1)
	if n := send(10); n != 10 {
		t.Errorf("%d in the next", n)
	}
	r.counter(cResetsLimited, 500)
}
