package engine

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestStats: counters have Suricata's names, in an order that nests.
func TestStats(t *testing.T) {
	r := newRig(t, program(t, `drop udp any any -> any 53 (sid:1;)`))
	r.drops("a query", packettest.UDP("10.0.0.1:1", "10.0.0.2:53", nil))
	r.drops("another of the flow", packettest.UDP("10.0.0.1:1", "10.0.0.2:53", nil))
	r.accepts("no query", packettest.UDP("10.0.0.1:1", "10.0.0.2:54", nil))
	r.drops("less than a packet", []byte{0x45})
	r.w.block.Publish()
	e := &Engine{opt: *r.w.opt}
	counters := e.Stats()
	for name, want := range map[string]uint64{
		"decoder.pkts": 4, "decoder.invalid": 1, "detect.alert": 1, "flow.total": 2,
		"ips.accepted": 1, "ips.blocked": 3, "ips.drop_reason.rules": 1, "ips.drop_reason.flow_drop": 1, "ips.drop_reason.decode_error": 1,
		"tcp.invalid_checksum": 0,
	} {
		i := slices.IndexFunc(counters, func(c eve.Counter) bool { return c.Name == name })
		if i < 0 || counters[i].Value != want {
			t.Errorf("%s is not %d in %v", name, want, counters)
		}
	}
	var v struct {
		Stats struct {
			IPS struct {
				DropReason map[string]uint64 `json:"drop_reason"`
				Rejected   *uint64
			}
			TCP map[string]uint64
		}
	}
	if err := json.Unmarshal(eve.AppendStats(nil, &eve.Stats{Counters: counters}), &v); err != nil || len(v.Stats.IPS.DropReason) != 8 || v.Stats.IPS.Rejected == nil || len(v.Stats.TCP) != 2 {
		t.Errorf("%v, %+v", err, v)
	}
}
