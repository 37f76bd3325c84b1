package engine

import (
	"bytes"
	"testing"

	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestFlowBits: bits belong to a flow and end with it.
func TestFlowBits(t *testing.T) {
	r := newRig(t, program(t, `alert udp any any -> any any (content:"set"; flowbits:set,a; noalert; sid:1;)
drop udp any any -> any any (content:"ask"; flowbits:isset,a; sid:2;)`), func(o *Options) { o.FlowLimit = 4 })
	send := func(port, text string) { r.packet(packettest.UDP("10.0.0.1:"+port, "192.0.2.1:5000", []byte(text))) }
	send("1000", "ask")
	send("1000", "set")
	send("1001", "ask")
	r.dropped(ReasonRule, 0)
	if n := r.w.vars.Len(); n != 1 {
		t.Errorf("%d flows have variables, want 1", n)
	}
	send("1000", "ask")
	r.dropped(ReasonRule, 1)
	r.pass(1000)
	r.w.table.EndAll(flow.Shutdown)
	if n := r.w.vars.Len(); n != 0 {
		t.Errorf("%d flows have variables after all have ended", n)
	}
}

// TestRegexGaveUp: a pattern that backtracks without end is counted, and the
// packet goes its way.
func TestRegexGaveUp(t *testing.T) {
	r := newRig(t, program(t, `drop udp any any -> any any (pcre:"/(a+)+[bc]$/"; sid:1;)`))
	r.accepts("a packet that takes too long", packettest.UDP("10.0.0.1:1000", "192.0.2.1:5000", bytes.Repeat([]byte("a"), 1000)))
	r.counter(cRegexGaveUp, 1)
}
