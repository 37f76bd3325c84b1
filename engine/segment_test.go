package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// TestNormalised: what was inspected and let through cannot be replaced by sending it again.
func TestNormalised(t *testing.T) {
	for name, offload := range map[string]bool{"checksums": false, "offload": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, program(t, `drop tcp any any -> any any (content:"evil"; sid:1;)`))
			c := newConn("1")
			r.open(c)
			at := c.clientSeq
			r.accepts("good bytes", c.c2s(data, "good"))
			again := packettest.TCP(c.client, c.server, data, at, c.serverSeq, []byte("evil and more"))
			if out, p := r.judged(again, offload); out.Verdict != pktio.Accept || !out.Modified || p.Invalid != packet.Valid || string(p.Payload) != "good and more" {
				t.Errorf("verdict %d, modified %v, %v, %q", out.Verdict, out.Modified, p.Invalid, p.Payload)
			}
			r.counter(cNormalised, 1)
			r.raw(pktio.Packet{Data: c.s2c(ack, ""), Link: packet.LinkRaw})
			c.clientSeq += uint32(len(" and more"))
			r.drops("bad bytes", c.c2s(data, "evil"))
			r.addsUp()
		})
	}
}

// TestNormalisedFragments: a datagram cannot be changed any more when its last fragment comes.
func TestNormalisedFragments(t *testing.T) {
	r := newRig(t, program(t, `drop tcp any any -> any any (content:"evil"; sid:1;)`))
	c := newConn("1")
	r.open(c)
	at := c.clientSeq
	r.accepts("good bytes", c.c2s(data, "good bytes, many of them"))
	parts := packettest.Fragments(packettest.TCP(c.client, c.server, data, at, c.serverSeq, []byte("evil bytes, many of them")), 44)
	for _, part := range parts[:len(parts)-1] {
		r.accepts("a fragment", part)
	}
	r.drops("the last fragment", parts[len(parts)-1])
	r.dropped(ReasonReassembly, 1)
}

// TestStreamEvents: rules about events see those of the packet at hand, and what does not fit
// is dropped by who can.
func TestStreamEvents(t *testing.T) {
	rules := `alert tcp any any -> any any (msg:"resend"; stream-event:est_syn_resend_diff_seq; sid:1;)
alert tcp any any -> any any (msg:"overlap"; stream-event:reassembly_overlap_different_data; sid:2;)
alert tcp any any -> any any (msg:"gap"; stream-event:reassembly_seq_gap; sid:3;)`
	for _, inline := range []bool{false, true} {
		r := newRig(t, programWith(t, rules, detect.Options{}), func(o *Options) { o.Inline = inline })
		c := newConn("1")
		r.open(c)
		again := packettest.TCP(c.client, c.server, syn, 77, 0, nil)
		if r.want(map[bool]pktio.Verdict{false: pktio.Accept, true: pktio.Drop}[inline], "another SYN", again); len(r.rec.alerts) != 1 {
			t.Fatalf("inline %v: %d alerts", inline, len(r.rec.alerts))
		}
		at := c.clientSeq
		r.accepts("bytes", c.c2s(data, "some"))
		r.accepts("other bytes", packettest.TCP(c.client, c.server, data, at, c.serverSeq, []byte("sam")))
		c = newConn("2")
		r.open(c)
		c.clientSeq += 10
		r.accepts("bytes behind a hole", c.c2s(data, "more"))
		r.accepts("an ACK of all", c.s2c(ack, ""))
		r.accepts("bytes again", c.c2s(data, "more"))
		var sids []uint32
		for _, a := range r.rec.alerts {
			sids = append(sids, a.SID)
		}
		if len(sids) != 3 || sids[1] != 2 || sids[2] != 3 {
			t.Errorf("inline %v: alerts of %v", inline, sids)
		}
	}
}

// TestAcknowledgedOnly: who only looks on judges what the receiver has taken.
func TestAcknowledgedOnly(t *testing.T) {
	r := newRig(t, programWith(t, `alert tcp any any -> any any (flow:established; content:"evil"; sid:1;)`, detect.Options{}), func(o *Options) { o.Inline = false })
	c := newConn("1")
	r.open(c)
	at := c.clientSeq
	r.packet(packettest.TCP(c.client, c.server, data, at+4, c.serverSeq, []byte("evil"))) // behind a hole
	r.packet(packettest.TCP(c.client, c.server, data, at+4, c.serverSeq, []byte("good"))) // Windows keeps the first
	r.packet(c.c2s(data, "this"))
	c.clientSeq += 4
	if len(r.rec.alerts) != 0 {
		t.Fatal("an alert before the ACK")
	}
	r.packet(c.s2c(ack, ""))
	r.packet(c.c2s(fin, ""))
	if len(r.rec.alerts) != 1 {
		t.Errorf("%d alerts", len(r.rec.alerts))
	}
}

// TestDataOfSYN: under a policy rules about streams look at what a SYN with fast open (RFC 7413) brings before it goes
// on, as the server may have no need of more. Under rule files they look with what follows, as in Suricata.
func TestDataOfSYN(t *testing.T) {
	for _, suricata := range []bool{false, true} {
		r := newRig(t, program(t, `drop tcp any any -> any any (content:"evil"; sid:1;)`, func(p *detect.Program) { p.Suricata = suricata }))
		c := newConn("1")
		verdict := pktio.Drop
		if suricata {
			verdict = pktio.Accept
		}
		r.want(verdict, "a SYN with data", packettest.TCP(c.client, c.server, syn, 1000, 0, []byte("evil"), packettest.TCPOptions(34, 10, 1, 2, 3, 4, 5, 6, 7, 8)))
		if suricata {
			c.clientSeq += 1 + 4
			r.accepts("SYN-ACK", c.s2c(synAck, ""))
			r.drops("more data", c.c2s(data, "more"))
		}
	}
}
