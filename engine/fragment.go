package engine

import (
	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/pktio"
)

// protoFragment is what Suricata calls the protocol of an IPv6 fragment (IANA).
const protoFragment = 44

// fragment is the second engine for a fragment, as in Suricata: rules about
// addresses and header fields see it by itself, and the datagram is judged when
// its last missing fragment arrives, as if it had never been cut. The fragments
// before have passed; when the datagram may not, the receiver never gets this one.
func (w *worker) fragment(in *pktio.Packet) {
	w.n[cFragments] += uint64(w.packets)
	p := &w.pkt
	if p.IPVersion == 6 {
		p.Proto = protoFragment
	}
	w.strip()
	if w.flowless(in); w.denied {
		return
	}
	link, vlan, vlans := p.LinkLen, p.VLAN, p.VLANs
	whole, status := w.fragments.Insert(p, w.now)
	w.countFragments()
	if status.Refused() {
		w.refuseFragment(in, status)
		return
	}
	if status != defrag.Complete {
		return
	}
	w.n[cReassembled]++
	w.packetAnomalies()
	w.enter()
	w.rebuilt, w.wire = true, link+len(whole)
	if w.opt.Detail.Packet {
		w.frameBuf = append(append(w.frameBuf[:0], in.Data[:link]...), whole...)
		w.frame.Data = w.frameBuf
	}
	p.Decode(packet.LinkRaw, whole, packet.Options{VerifyChecksums: w.opt.VerifyChecksums && !in.Offload})
	p.VLAN, p.VLANs = vlan, vlans
	switch {
	case p.Invalid != packet.Valid:
		w.n[cInvalid+int(p.Invalid)-1] += uint64(w.packets)
		w.deny(in, nil, 0, ReasonInvalid, nil)
	case p.Fragment: // of a fragment: no host sends that (RFC 8200, 4.5)
		w.refuseFragment(in, defrag.Malformed)
	default:
		w.stateful(in)
	}
	if w.denied {
		w.condemn()
	}
	w.packetAnomalies()
	w.leave()
}

// condemn keeps the datagram at hand from being completed by another copy of the
// fragment that is dropped. Where the engine only looks on, it has arrived.
func (w *worker) condemn() {
	if w.opt.Inline {
		w.fragments.Condemn(w.now)
	}
}

// refuseFragment drops a fragment that cannot be part of a datagram that is inspected.
func (w *worker) refuseFragment(in *pktio.Packet, status defrag.Status) {
	w.n[cFragmentsDropped+int(status-defrag.Malformed)] += uint64(w.packets)
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
	w.input = detect.Input{Packet: p, First: true, Now: w.now, Hosts: w.opt.hosts}
	if p.Net == nil {
		rules.Undecoded(&w.input, res)
	} else {
		rules.Header(&w.input, res)
		rules.Packet(&w.input, res)
	}
	rules.Decide(&w.input, res)
	for _, h := range res.Alerts {
		w.alert(nil, packet.ToServer, &rules.Rules()[h.Rule], res.Action, h)
	}
	if res.Action.Drops() {
		w.deny(in, nil, packet.ToServer, ReasonRule, res.Rule)
	}
}
