package engine

import (
	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// protoFragment is what Suricata calls the protocol of an IPv6 fragment (IANA).
const protoFragment = 44

// fragment is the second engine for a fragment, as in Suricata: the datagram is judged
// when its last missing fragment arrives, as if it had never been cut, and rules about addresses and
// header fields see each fragment by itself. The fragments before have passed; when the datagram
// may not, the receiver never gets this one.
func (w *worker) fragment(in *pktio.Packet) {
	p := &w.pkt
	w.n[cFragments+family(p)] += uint64(w.packets)
	status := defrag.Malformed // a datagram that is a fragment itself: no host sends that (RFC 8200, 4.5)
	if w.level < maxLevels && (p.From != packet.FromDefrag || w.program.Suricata) {
		o := &w.outers[w.level]
		var link int
		o.whole, link, status = w.fragments.Insert(p, w.now, !w.program.Suricata, o.whole[:0])
		w.countFragments()
		if status == defrag.Complete {
			status = w.reassembled(in, link)
		}
	}
	lost := w.dropped()
	if lost {
		w.fragments.Condemn(p, w.now)
		if !w.program.Suricata {
			w.dropOuter()
			return
		}
	}
	if p.IPVersion == 6 {
		p.Proto = protoFragment
	}
	w.strip()
	w.flowless(in)
	if lost {
		w.dropOuter()
	}
	if status.Refused() && w.refuses(status) {
		w.refuseFragment(in, status)
	}
}

// refuses says whether a fragment that cannot be inspected is dropped. There is a policy for those
// that there was no room for; there is no flow that it could be about.
func (w *worker) refuses(status defrag.Status) bool {
	if status != defrag.Full {
		return !w.program.Suricata
	}
	switch w.meet(LimitFragments) {
	case LimitIgnore, LimitPassPacket, LimitPassFlow, LimitBypass:
		return false
	}
	return true
}

// reassembled judges the datagram that the fragment at hand has completed, whose IP header is at link.
func (w *worker) reassembled(in *pktio.Packet, link int) defrag.Status {
	w.n[cReassembled+family(&w.pkt)]++
	if !w.within(in, func(p *packet.Packet, o *outer) bool { return p.DecodeDatagram(&o.pkt, o.whole, link) }) {
		return defrag.Malformed
	}
	return defrag.Complete
}

// family is 0 for IPv4 and 1 for IPv6.
func family(p *packet.Packet) int {
	if p.IPVersion == 6 {
		return 1
	}
	return 0
}

// refuseFragment drops a fragment that cannot be part of a datagram that is inspected.
func (w *worker) refuseFragment(in *pktio.Packet, status defrag.Status) {
	if !w.denied {
		w.n[cFragmentsDropped+int(status-defrag.Malformed)] += uint64(w.packets)
	}
	w.deny(in, nil, 0, ReasonFragment, nil)
}

// countFragments publishes what the fragment table counts.
func (w *worker) countFragments() {
	s := w.fragments.Stats()
	w.n[cFragmentTimeouts], w.n[cFragmentOverlaps] = s.Timeouts, s.Overlaps
}

// strip takes away what a fragment and a packet with a broken header do not have for rules, as in
// Suricata: ports and payload, in a first fragment either, and without an IP header that can be
// trusted all but its events.
func (w *worker) strip() {
	p := &w.pkt
	p.L4, p.Payload = nil, nil
	p.SrcPort, p.DstPort, p.TCP, p.ICMP = 0, 0, packet.TCP{}, packet.ICMP{}
	if p.Net == nil {
		p.IPVersion, p.Proto, p.Src, p.Dst = 0, 0, packet.Addr{}, packet.Addr{}
	}
}

// flowless runs the rules on a packet that has no flow.
func (w *worker) flowless(in *pktio.Packet) {
	p := &w.pkt
	rules, res := w.program.Rules, &w.result
	res.Reset()
	w.input = detect.Input{Packet: p, First: true, Flowless: true, Now: w.now, Hosts: w.opt.hosts}
	if w.takesTags(rules) {
		w.input.HostTags = w.opt.hostTags
	}
	if p.Net == nil || p.Proto == 0 && len(p.Events.All()) > 0 { // no protocol: as little as no header, for Suricata
		rules.Undecoded(&w.input, res)
	} else {
		rules.Header(&w.input, res)
		rules.Packet(&w.input, res)
	}
	rules.Decide(&w.input, res)
	for _, h := range res.Alerts {
		w.alert(nil, packet.ToServer, &rules.Rules()[h.Rule], res.Action, h)
	}
	w.tagged(nil)
	if res.Action.Drops() {
		w.deny(in, nil, packet.ToServer, ReasonRule, res.Rule)
	}
}
