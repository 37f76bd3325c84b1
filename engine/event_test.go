package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
	"github.com/sluicefw/sluice/pktio"
)

// TestEventRules: rules see packets that cannot be decoded, as far as Suricata 7
// shows it to them: without ports and payload where the transport header is broken,
// and by their events alone where there is no IP header.
func TestEventRules(t *testing.T) {
	udp := packettest.UDP("10.0.0.1:1000", "10.0.0.2:99", []byte("evil"))
	short := append([]byte(nil), udp...)
	short[25] = 4 // the length field of UDP
	truncated := udp[:len(udp)-2]
	for _, test := range []struct {
		rule                 string
		broken, headless, ok bool // whether it alerts on short, truncated and udp
	}{
		{`ip any any -> any any (sid:1;)`, true, false, true},
		{`udp any any -> any any (sid:1;)`, true, false, true},
		{`udp any any -> any 99 (sid:1;)`, false, false, true},
		{`ip any any -> any any (ttl:64; sid:1;)`, true, false, true},
		{`udp any any -> any any (content:"evil"; sid:1;)`, false, false, true},
		{`pkthdr any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)`, false, true, false},
		{`ip any any -> any any (decode-event:IPv4.trunc_pkt; sid:1;)`, false, true, false},
		{`ip 1.2.3.4 any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)`, false, true, false},
		{`udp any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)`, false, false, false},
		{`ip any any -> any 99 (decode-event:ipv4.trunc_pkt; sid:1;)`, false, false, false},
		{`ip any any -> any any (decode-event:ipv4.trunc_pkt; ttl:64; sid:1;)`, false, false, false},
		{`ip any any -> any any (engine-event:decoder.ipv4.trunc_pkt; sid:1;)`, false, false, false},
		{`udp any any -> any any (decode-event:udp.len_invalid; sid:1;)`, true, false, false},
		{`ip any any -> any any (engine-event:decoder.udp.len_invalid; sid:1;)`, true, false, false},
		{`ip 10.0.0.1 any -> any any (decode-event:udp.len_invalid; sid:1;)`, true, false, false},
		{`ip 10.0.0.2 any -> any any (decode-event:udp.len_invalid; sid:1;)`, false, false, false},
	} {
		r := newRig(t, program(t, "alert "+test.rule))
		alerts := func(what string, data []byte, event packet.Event, want bool) {
			before := len(r.rec.alerts)
			r.event(data, event)
			if got := len(r.rec.alerts) > before; got != want {
				t.Errorf("%s: %s: alert %v, want %v", test.rule, what, got, want)
			}
		}
		alerts("broken transport header", short, packet.EventUDPLenInvalid, test.broken)
		alerts("truncated", truncated, packet.EventIPv4TruncatedPacket, test.headless)
		before := len(r.rec.alerts)
		r.accepts("intact", udp)
		if got := len(r.rec.alerts) > before; got != test.ok {
			t.Errorf("%s: intact: alert %v, want %v", test.rule, got, test.ok)
		}
	}
	r := newRig(t, program(t, "drop ip any any -> any any (decode-event:ipv4.trunc_pkt; sid:1;)"))
	r.event(truncated, packet.EventIPv4TruncatedPacket)
	r.dropped(ReasonRule, 1)
	if len(r.rec.alerts) != 1 || len(r.rec.drops) != 1 || r.rec.alerts[0].Src != (packet.Addr{}) {
		t.Errorf("alerts %+v, drops %+v", r.rec.alerts, r.rec.drops)
	}

	r = newRig(t, program(t, "alert tcp any any -> any any (stream-event:rst_with_data; sid:1;)"))
	data := packettest.TCP("10.0.0.1:1000", "10.0.0.2:80", packet.RST, 1, 0, []byte("x"))
	r.event(data, packet.StreamRSTWithData)
	r.event(data, packet.StreamFINSYN)
	if len(r.rec.alerts) != 1 {
		t.Errorf("%d alerts about stream events, want 1", len(r.rec.alerts))
	}
}

// event takes a packet that has an event and no flow through the rules.
func (r *rig) event(data []byte, e packet.Event) {
	r.Helper()
	r.w.pkt.Decode(packet.LinkRaw, data, packet.Options{VerifyChecksums: true})
	if !r.w.pkt.Events.Has(e) {
		r.w.pkt.Events.Add(e)
	}
	r.w.packets, r.w.denied = 1, false
	r.w.flowless(&pktio.Packet{Data: data, Link: packet.LinkRaw})
}
