package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestOffload: checksums are given up after a thousand packets if more than a tenth have a wrong one.
func TestOffload(t *testing.T) {
	for _, test := range []struct {
		bad  int
		want bool // the checksums are still verified
	}{{100, true}, {101, false}} {
		r := newRig(t, programWith(t, `alert tcp any any -> any any (tcpv4-csum:invalid; sid:1;)`, detect.Options{}, func(p *detect.Program) { p.Suricata = true }), func(o *Options) {
			o.Inline, o.VerifyChecksums, o.GuessOffload = false, true, true
		})
		bad := packettest.TCP("10.0.0.1:1000", "10.0.0.2:80", syn, 1, 0, nil)
		bad[36]++ // the checksum
		good := packettest.UDP("10.0.0.1:1000", "10.0.0.2:99", nil)
		for i := range offloadSample {
			if i < test.bad {
				r.packet(bad)
			} else {
				r.packet(good)
			}
		}
		before := len(r.rec.alerts)
		if before != test.bad {
			t.Errorf("%d alerts on %d packets", before, test.bad)
		}
		r.packet(bad)
		if got := len(r.rec.alerts) > before; got != test.want {
			t.Errorf("%d bad ones: an alert on the next: %v", test.bad, got)
		}
	}
}
