package engine

import (
	"strings"
	"testing"

	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestCaptures: what pcre captures is in the records of the packet and of its flow, and nowhere else.
func TestCaptures(t *testing.T) {
	r := newRig(t, program(t, `alert udp any any -> any any (pcre:"/user=(?P<flow_user>\w+) pass=(?P<pkt_pass>\w+)/"; sid:1;)
alert udp any any -> any any (content:"again"; flowvar:user,"bo"; sid:2;)`), func(o *Options) { o.Detail = eve.Detail{Metadata: true} })
	ask := func(port, text string) { r.accepts(text, packettest.UDP("10.0.0.1:"+port, "10.0.0.2:2", []byte(text))) }
	ask("1", "user=bob pass=secret")
	ask("1", "again")
	ask("3", "again") // another flow
	const both = `"metadata":{"flowvars":[{"user":"bob"}],"pktvars":[{"pass":"secret"}]}`
	if a := r.rec.alerts; len(a) != 2 || a[0].SID != 1 || a[1].SID != 2 {
		t.Errorf("alerts %+v", a)
	}
	if c := r.rec.captured; len(c) != 1 || !strings.Contains(c[0], `"event_type":"metadata"`) || !strings.Contains(c[0], both) {
		t.Errorf("metadata records %q", c)
	}
	if r.w.vars.Len() != 1 {
		t.Errorf("%d flows have variables", r.w.vars.Len())
	}
	r.pass(3600)
	r.sweep()
	if r.w.vars.Len() != 0 {
		t.Errorf("%d flows have variables after their end", r.w.vars.Len())
	}
	r.counter(cCapturesRefused, 0)
}
