package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
)

// tagRig runs rules as Suricata does, where it only looks on.
func tagRig(t *testing.T, rules string) *rig {
	return newRig(t, programWith(t, rules, detect.Options{}, func(p *detect.Program) { p.Suricata = true }))
}

// taggedNumbers returns what is behind the last space of the packets that were logged.
func (r *rig) taggedNumbers() (all []string) {
	r.Helper()
	for _, text := range r.rec.tagged {
		var record struct {
			EventType string `json:"event_type"`
			Packet    string
			Info      struct{ Linktype int } `json:"packet_info"`
		}
		err := json.Unmarshal([]byte(text), &record)
		frame, err64 := base64.StdEncoding.DecodeString(record.Packet)
		if err != nil || err64 != nil || record.EventType != "packet" || record.Info.Linktype != 12 {
			r.Fatalf("%s: %v, %v", text, err, err64)
		}
		all = append(all, string(frame[bytes.LastIndexByte(frame, ' ')+1:]))
	}
	return all
}

// TestTag sends packets "hit 0", "pkt 1" and so on, a second apart, from 10.0.0.1 to 10.0.0.2 and, where they
// are odd, back; every third is of another flow, from 10.0.0.1 to 10.0.0.3. What is logged is Suricata 7.0.10's.
func TestTag(t *testing.T) {
	const frame = 20 + 8 + 5
	for _, test := range []struct{ rules, want string }{
		{`alert udp any any -> any any (content:"hit"; tag:session; sid:1;)`, "1 3 4 6 7 9 10"},
		{`alert udp any any -> any any (content:"hit"; tag:session,4,packets; sid:1;)`, "1 3 4"},
		{`alert udp any any -> any any (content:"hit"; tag:session,1,packets; sid:1;)`, ""},
		{`alert udp any any -> any any (content:"hit"; tag:session,4,seconds; sid:1;)`, "1 3 4"},
		{fmt.Sprintf(`alert udp any any -> any any (content:"hit"; tag:session,%d,bytes; sid:1;)`, 3*frame), "1 3"},
		{fmt.Sprintf(`alert udp any any -> any any (content:"hit"; tag:session,%d,bytes; sid:1;)`, 3*frame-1), "1"},
		{`alert udp any any -> any any (content:"hit"; tag:host,4,packets,src; sid:1;)`, "1 2 3"},
		{`alert udp any any -> any any (content:"hit"; tag:host,4,packets,dst; sid:1;)`, "1 3 4"},
		{`alert udp any any -> any any (content:"hit"; tag:host,4,packets; sid:1;)`, "1 3 4"},
		{`alert udp any any -> any any (content:"hit"; tag:session,2,packets; tag:host,3,packets,src; sid:1;)`, "1 2"},
		{`alert udp any any -> any any (content:"hit"; noalert; tag:session,3,packets; sid:1;)`, "1 3"},
		{`pass udp any any -> any any (content:"hit"; tag:session,3,packets; sid:1;)`, "1 3"},
		// Two rules: a packet that both ask for is logged once, and one that alerts if the other rule asks for it.
		{`alert udp any any -> any any (content:"hit"; tag:session,3,packets; sid:1;)
alert udp any any -> any any (content:"kt 1"; tag:session,3,packets; sid:2;)`, "1 3 4"},
		// A tag begins anew with another match of its rule.
		{`alert udp any any -> any any (pcre:"/hit|kt 3/"; tag:session,3,packets; sid:1;)`, "1 3 4 6"},
		{`alert udp any any -> any any (content:"nothing"; tag:session; sid:1;)`, ""},
	} {
		r := tagRig(t, test.rules)
		for i := range 11 {
			text := fmt.Appendf(nil, "pkt %d", i)
			if i == 0 {
				text = []byte("hit 0")
			}
			switch {
			case i%3 == 2:
				r.packet(packettest.UDP("10.0.0.1:7", "10.0.0.3:9", text))
			case i%2 == 0:
				r.packet(packettest.UDP("10.0.0.1:7", "10.0.0.2:9", text))
			default:
				r.packet(packettest.UDP("10.0.0.2:9", "10.0.0.1:7", text))
			}
			r.pass(1)
		}
		if got := strings.Join(r.taggedNumbers(), " "); got != test.want {
			t.Errorf("%s\nlogged %q, want %q", test.rules, got, test.want)
		}
	}
}

// TestTagEnds: a tag does not live longer than its flow, and begins anew nine times only.
func TestTagEnds(t *testing.T) {
	r := tagRig(t, `alert udp any any -> any any (content:"hit"; tag:session,2,packets; sid:1;)`)
	hit := packettest.UDP("10.0.0.1:7", "10.0.0.2:9", []byte("hit again"))
	for range 12 {
		r.packet(hit)
	}
	if n := len(r.rec.tagged); n != 10 { // the first is in the alert, the eleventh is the second since the tenth
		t.Errorf("%d packets logged, want 10", n)
	}
	r.packet(packettest.UDP("10.0.0.1:8", "10.0.0.2:9", []byte("hit 0")))
	if r.w.tags.Len() == 0 {
		t.Error("no flow has tags")
	}
	r.w.table.EndAll(flow.Shutdown)
	if n := r.w.tags.Len(); n != 0 {
		t.Errorf("%d flows have tags after all have ended", n)
	}
}

// TestTagUnwanted: where nobody logs packets no tags are kept.
func TestTagUnwanted(t *testing.T) {
	r := newRig(t, program(t, `alert udp any any -> any any (tag:session; tag:host,9,packets,src; sid:1;)`), func(o *Options) { o.Wants = &nobody{} })
	r.packet(packettest.UDP("10.0.0.1:7", "10.0.0.2:9", []byte("x")))
	r.packet(packettest.UDP("10.0.0.1:7", "10.0.0.2:9", []byte("x")))
	if r.w.tags.Len() != 0 || r.w.opt.hostTags.Len() != 0 || len(r.rec.tagged) != 0 {
		t.Errorf("%d flows and %d hosts have tags, %d packets logged", r.w.tags.Len(), r.w.opt.hostTags.Len(), len(r.rec.tagged))
	}
}

// TestTagsRefused: there is room for so many, and what has none is counted.
func TestTagsRefused(t *testing.T) {
	r := tagRig(t, `alert udp any any -> any any (content:"hit"; tag:session; tag:host,9,packets,src; sid:1;)`)
	r.w.tags, r.w.opt.hostTags = detect.NewTags(1), detect.NewTags(2)
	for _, client := range []string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"} {
		r.packet(packettest.UDP(client, "192.0.2.1:9", []byte("hit 0")))
	}
	r.counter(cTagsRefused, 3)
	r.pass(1000) // then they make room
	r.packet(packettest.UDP("10.0.0.4:1", "192.0.2.1:9", []byte("hit 0")))
	r.counter(cTagsRefused, 3)
}

// lastTagged keeps the frame that was logged last.
type lastTagged struct {
	*recorder
	last []byte
}

func (l *lastTagged) Tagged(t *eve.Tagged) { l.last = t.Frame.Data }

// TestTaggedAllocations: packets are counted and logged without making garbage.
func TestTaggedAllocations(t *testing.T) {
	r := tagRig(t, `alert udp any any -> any any (content:"hit"; tag:session,4000000000,packets; tag:host,4000000000,packets,src; sid:1;)`)
	r.packet(packettest.UDP("10.0.0.1:7", "10.0.0.2:9", []byte("hit 0")))
	log := &lastTagged{recorder: r.rec}
	r.w.records = log
	ip := packettest.UDP("10.0.0.1:7", "10.0.0.2:9", []byte("pkt 1"))
	r.packet(ip)
	f := r.w.flow
	if n := testing.AllocsPerRun(100, func() { r.w.tagged(f) }); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
	if !slices.Equal(log.last, ip) {
		t.Errorf("logged %q", log.last)
	}
}
