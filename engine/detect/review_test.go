package detect

import (
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
)

// TestNeverRaised: a rule that waits for an event that nothing raises is doubted.
func TestNeverRaised(t *testing.T) {
	set := compile(t, Options{}, `
alert tcp any any -> any any (app-layer-event:modbus.flooded; sid:1;)
alert tcp any any -> any any (app-layer-event:http.uri_delim_non_compliant; sid:2;)
alert tcp any any -> any any (app-layer-event:applayer_mismatch_protocol_both_directions; sid:3;)
alert tcp any any -> any any (app-layer-event:dns.not_a_request; sid:4;)
`)
	var sids []uint32
	for _, d := range set.Review(func(p applayer.Proto) bool { return p == applayer.HTTP }) {
		if d.Code == NeverRaised {
			sids = append(sids, d.Rule.Meta.SID)
		}
	}
	slices.Sort(sids)
	if !slices.Equal(sids, []uint32{1, 4}) {
		t.Errorf("doubts about %v, want 1 and 4", sids)
	}
}
