package detect

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Facts are what the flow table still knows of a flow.
type Facts struct {
	Src, Dst         packet.Addr // Src is the client
	SrcPort, DstPort uint16
	Proto            uint8
	Replied          bool // the server has spoken
	Established      bool
	App              applayer.Proto
	Sides            [2]applayer.Proto // as what each side was recognised
	Name             []byte            // SNI or Host, nil when not known
}

// Readmit asks what the rules would decide of a flow if it began now and went
// as far as it has: what of it is still known is run through them in the order
// in which its packets would show it. The outcome is in res, with Action None
// when no rule decides.
//
// Rules that look at what is not kept (payload, flags, other buffers than the
// host name, flowbits and counts) count as not matching, so that a flow is never called stale for a
// reason that cannot be shown.
func (p *RuleSet) Readmit(f *Facts, res *Result) {
	pkt := packet.Packet{Src: f.Src, Dst: f.Dst, SrcPort: f.SrcPort, DstPort: f.DstPort, Proto: f.Proto, IPVersion: 6}
	if f.Src.Netip().Is4() {
		pkt.IPVersion = 4
	}
	back := pkt
	back.Src, back.Dst, back.SrcPort, back.DstPort = pkt.Dst, pkt.Src, pkt.DstPort, pkt.SrcPort

	// Opening packets of both sides, then packets of both sides once the
	// connection stands and its protocol is known.
	for _, in := range []struct {
		Input
		applies, app bool
	}{
		{Input: Input{Packet: &pkt, Dir: packet.ToServer, First: true}, applies: true},
		{Input: Input{Packet: &back, Dir: packet.ToClient, First: true}, applies: f.Replied},
		{Input: Input{Packet: &pkt, Dir: packet.ToServer, Established: true, App: f.App, Sides: f.Sides}, applies: f.Established, app: true},
		{Input: Input{Packet: &back, Dir: packet.ToClient, Established: true, App: f.App, Sides: f.Sides}, applies: f.Established},
	} {
		if !in.applies {
			continue
		}
		res.Reset()
		p.Header(&in.Input, res)
		p.Detected(&in.Input, res)
		if in.app {
			p.readmitApp(&in.Input, f.Name, res)
		}
		p.Decide(&in.Input, res)
		if res.Action != None {
			return
		}
	}
}

// readmitApp looks at the rules that wait for a protocol's hooks, as far as
// the host name answers them.
func (p *RuleSet) readmitApp(in *Input, name []byte, res *Result) {
	if in.App == applayer.Unknown {
		return
	}
	buf := nameBuffer(in.App)
	if index := p.hookIndex[buf.Hook()].names(buf); index != nil && name != nil {
		res.lower = append(res.lower[:0], bytes.ToLower(name)...)
		index.visit(res.lower, func(i uint32) {
			if r := &p.rules[i]; r.header(in) && r.appMatches(in) {
				res.hits = append(res.hits, Hit{Rule: i, Whole: true})
			}
		})
	}
	for hook := range p.hooks {
		if h := applayer.Hook(hook); h != applayer.ProtocolDetected && (buf == applayer.NoBuffer || h != buf.Hook()) {
			continue
		}
		for _, i := range p.hooks[hook] {
			if r := &p.rules[i]; r.header(in) && r.appMatches(in) && r.matchName(buf, name, &res.m) {
				res.hits = append(res.hits, Hit{Rule: i, Whole: true})
			}
		}
	}
}

// nameBuffer is the buffer that a flow's name came from.
func nameBuffer(app applayer.Proto) applayer.Buffer {
	switch app {
	case applayer.TLS:
		return applayer.TLSSNI
	case applayer.HTTP:
		return applayer.HTTPHost
	case applayer.HTTP2:
		return applayer.HTTP2Host
	}
	return applayer.NoBuffer
}

// matchName reports whether the rule asks for nothing but the name, and the name is it.
func (r *Rule) matchName(buf applayer.Buffer, name []byte, m *matcher) bool {
	if len(r.payload)+len(r.checks)+len(r.headers)+len(r.numbers)+len(r.anomalies) > 0 {
		return false
	}
	for i := range r.buffers {
		b := &r.buffers[i]
		if b.buffer != buf || name == nil || !m.match(b.steps, buffer{data: m.transformed(b.transforms, name), ended: true}) {
			return false
		}
	}
	return true
}
