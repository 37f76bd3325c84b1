package engine

import (
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// A capture that was taken on a host with checksum offload has what that host sent before its
// checksums were filled in. So after a number of packets Suricata stops to verify checksums if
// more than a part of them were TCP with a wrong one; the figures are Suricata's.
const (
	offloadSample = 1000 // packets on the wire
	offloadRatio  = 10
)

// unfilled says whether the checksums of the packet at hand are left to a card.
func (w *worker) unfilled(in *pktio.Packet) bool {
	if w.opt.GuessOffload && w.sampled < offloadSample {
		if w.sampled++; w.sampled == offloadSample {
			w.offloading = w.badSums > 0 && offloadSample/w.badSums < offloadRatio
		}
	}
	return in.Offload || w.offloading
}

// countBadSum counts a TCP segment with a wrong checksum.
func (w *worker) countBadSum() {
	if p := &w.pkt; p.Proto == packet.ProtoTCP && p.ChecksumBad {
		w.badSums++
	}
}
