package detect

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// compiler carries what the rules of one program share while it is built.
type compiler struct {
	addrs map[scoped]*addrSet // so that groups share their sets
	ports map[scoped]portSet
	sets  *dataSets
	lists *hashLists
	opt   Options
}

// scoped is the text of addresses or ports with the scope of its variables.
type scoped struct {
	lookup Variables
	text   string
}

// Compile builds a program. It stops at the first rule that it cannot run as
// written, with an *Error: a keyword is never ignored.
func Compile(sources []Source, opt Options) (*RuleSet, error) {
	c := compiler{addrs: map[scoped]*addrSet{}, ports: map[scoped]portSet{}, sets: newDataSets(&opt), lists: &hashLists{opt.Files, opt.Lost, map[string]hashList{}}, opt: opt}
	type ordered struct {
		Rule
		priority int
	}
	var all []ordered
	for _, s := range sources {
		if s.Rule.Unmet != "" {
			continue
		}
		variants, err := c.rule(s)
		if err != nil {
			return nil, err
		}
		for _, r := range variants {
			all = append(all, ordered{r, r.Meta.Severity})
			if in := s.Rule; in.Both && (in.Src.String() != in.Dst.String() || in.SrcPort.String() != in.DstPort.String()) {
				back := r
				back.src, back.dst = r.dst, r.src
				back.srcPort, back.dstPort = r.dstPort, r.srcPort
				all = append(all, ordered{back, r.Meta.Severity})
			}
		}
	}
	if !opt.Strict {
		slices.SortStableFunc(all, func(a, b ordered) int {
			if d := actionOrder(a.Action) - actionOrder(b.Action); d != 0 {
				return d
			}
			for i := range a.orders {
				if d := int(b.orders[i]) - int(a.orders[i]); d != 0 {
					return d
				}
			}
			return a.priority - b.priority
		})
	}
	p := &RuleSet{rules: make([]Rule, len(all)), hits: make([]atomic.Uint64, len(all)), flowVerdicts: opt.FlowVerdicts}
	for i := range all {
		p.rules[i] = all[i].Rule
		r := &p.rules[i]
		p.needsFlow = p.needsFlow || r.threshold != nil || len(r.conditions) > 0 || len(r.effects) > 0 || r.captures || len(r.checks) > 0 || len(r.numbers) > 0 || len(r.tags) > 0
		p.tags = p.tags || len(r.tags) > 0
		p.overlaps = p.overlaps || r.overlaps
		p.digests = p.digests || r.digests
		p.remembers = p.remembers || len(r.conditions) > 0 || len(r.effects) > 0 || r.captures
		p.file(uint32(i))
	}
	for _, s := range sources {
		p.addNames(s.Rule)
	}
	p.index()
	c.sets.previous = nil // the chain would keep every rule set's sets alive
	p.sets = c.sets
	return p, nil
}

// Check says whether one rule could be part of a program with these options; it opens no
// files. Variables that lookup does not know are taken as any address or port.
func Check(r *rule.Rule, lookup Variables, opt Options) error {
	if r.Unmet != "" {
		return nil
	}
	c := compiler{addrs: map[scoped]*addrSet{}, ports: map[scoped]portSet{}, opt: opt}
	_, err := c.rule(Source{Rule: r, Lookup: lookup})
	return err
}

func actionOrder(a Action) int {
	switch a {
	case Pass:
		return 0
	case Drop:
		return 1
	case Reject, RejectDst, RejectBoth:
		return 2
	}
	return 3
}

// file puts rule i on the lists that will find it.
func (p *RuleSet) file(i uint32) {
	r := &p.rules[i]
	switch r.list {
	case listHeader:
		for class := range classes(r) {
			p.headerIndex[class].add(i, r)
		}
	case listProtocol:
		p.perClass(&p.protocols, r, i)
	case listPacket:
		p.perClass(&p.packet, r, i)
		if r.Kind == KindLikeIPOnly || r.Kind == KindApp {
			p.ending = append(p.ending, i)
		}
		if r.Kind == KindEventOnly && r.ipVersion == 0 {
			p.undecoded = append(p.undecoded, i)
		}
	case listStream:
		p.perClass(&p.packet, r, i)
		p.stream = append(p.stream, i)
		p.needsStream = true
	case listHook:
		p.needsStream = p.needsStream || len(r.payload) > 0
		if len(r.buffers) == 1 && len(r.numbers)+len(r.files)+len(r.anomalies) == 0 && len(r.payload) == 0 && len(r.checks) == 0 && len(r.headers) == 0 {
			b := &r.buffers[0]
			if isHost, cased := hostBuffer(b.buffer); isHost {
				if name, ok := hostName(b, cased); ok {
					p.hookIndex[r.hook].addName(i, b.buffer, name)
					return
				}
			}
		}
		p.hooks[r.hook] = append(p.hooks[r.hook], i)
	}
}

func (p *RuleSet) perClass(lists *[numClasses][]uint32, r *Rule, i uint32) {
	for class := range classes(r) {
		lists[class] = append(lists[class], i)
	}
}

// classes yields the protocol classes that the rule can match.
func classes(r *Rule) iter.Seq[int] {
	return func(yield func(int) bool) {
		var seen [numClasses]bool
		for proto := range 256 {
			if class := classOf(uint8(proto)); r.protos[proto>>6]&(1<<(proto&63)) != 0 && !seen[class] {
				seen[class] = true
				if !yield(class) {
					return
				}
			}
		}
	}
}

// hostBuffer says whether a buffer holds a host name, and whether in any case.
func hostBuffer(b applayer.Buffer) (is, cased bool) {
	switch b {
	case applayer.TLSSNI, applayer.DNSQuery:
		return true, true
	case applayer.HTTPHost, applayer.HTTP2Host:
		return true, false
	}
	return false, false
}

// rule compiles one rule, to one for each of its variants.
func (c *compiler) rule(s Source) ([]Rule, error) {
	in := s.Rule
	b := ruleBuilder{onlyStream: in.Proto == "tcp-stream", onlyPkt: in.Proto == "tcp-pkt", r: Rule{
		Meta: Meta{
			GID: in.GID, SID: in.SID, Rev: in.Rev, Msg: in.Msg,
			Severity: 3, ResourceARN: s.ResourceARN,
		},
		Action: actionOf(in.Action),
		Log:    in.Action != rule.Pass,
	}}
	b.steps.sets, b.steps.lists, b.opt = c.sets, c.lists, c.opt
	r := &b.r
	r.Meta.describe(in)
	if in.ClassType != "" {
		if class, ok := classTypes[in.ClassType]; ok {
			r.Meta.Category, r.Meta.Severity = class.text, class.severity
		}
	}
	if in.HasPriority {
		r.Meta.Severity = in.Priority
	}
	if err := r.setProto(in.Proto); err != nil {
		return nil, newError(in, nil, err)
	}
	negated, err := c.header(r, s)
	if err != nil {
		return nil, newError(in, nil, err)
	}
	headerApp := r.appGiven
	for i := range in.Options {
		if err := b.option(&in.Options[i]); err != nil {
			return nil, newError(in, &in.Options[i], err)
		}
	}
	if r.threshold != nil {
		r.counter = hashOf("rule", fmt.Sprintf("%d:%d", in.GID, in.SID))
	}
	r.Kind = b.kind(headerApp, negated)
	if r.replaces && (r.Kind != KindPacket || b.onlyStream) {
		return nil, newError(in, nil, fmt.Errorf("replace changes single packets, but the rule looks at a stream, or at what a parser finds; leave that to a rule of its own"))
	}
	if in.OnlyHTTP1 {
		r.app, r.appGiven = applayer.HTTP, true
	}
	if r.flow.OnlyStream && (r.Kind == KindAppTx || len(r.payload) == 0) {
		r.protos = [4]uint64{} // as in Suricata: only what the stream's bytes say lets it match
	}
	if r.Kind == KindStream || r.Kind == KindPacketStream {
		r.hollow, r.veto = hollow(r.payload)
	}
	r.list = r.listOf()
	if len(r.buffers)+len(r.numbers)+len(r.files) == 0 {
		return []Rule{*r}, nil
	}
	variants, err := r.variants()
	if err != nil {
		return nil, newError(in, nil, err)
	}
	return variants, nil
}

// hollow says whether a payload without bytes could match steps: no content has to be found. veto is
// the longest of those that must not be, nil when that is none or counts from the start of the payload.
func hollow(steps []step) (ok bool, veto *content) {
	for _, s := range steps {
		c, isContent := s.(*content)
		switch {
		case isContent && !c.negated:
			return false, nil
		case isContent && (veto == nil || len(c.pattern) > len(veto.pattern)):
			veto = c
		}
	}
	if veto != nil && veto.placed {
		veto = nil
	}
	return true, veto
}

func actionOf(a rule.Action) Action {
	switch a {
	case rule.Pass:
		return Pass
	case rule.Drop:
		return Drop
	case rule.Reject:
		return Reject
	case rule.RejectDst:
		return RejectDst
	case rule.RejectBoth:
		return RejectBoth
	}
	return Alert
}

// header resolves addresses and ports. negated says whether an address is
// negated anywhere, which makes a packet rule of an IP-only one.
func (c *compiler) header(r *Rule, s Source) (negated bool, err error) {
	if r.src, err = c.addrSet(s.Rule.Src, s.Lookup); err != nil {
		return false, fmt.Errorf("source address: %w", err)
	}
	if r.dst, err = c.addrSet(s.Rule.Dst, s.Lookup); err != nil {
		return false, fmt.Errorf("destination address: %w", err)
	}
	if r.srcPort, err = c.portSet(s.Rule.SrcPort, s.Lookup); err != nil {
		return false, fmt.Errorf("source port: %w", err)
	}
	if r.dstPort, err = c.portSet(s.Rule.DstPort, s.Lookup); err != nil {
		return false, fmt.Errorf("destination port: %w", err)
	}
	return s.Rule.Src.Negated(s.Lookup.Addrs) || s.Rule.Dst.Negated(s.Lookup.Addrs), nil
}

func (c *compiler) addrSet(a rule.Addrs, lookup Variables) (*addrSet, error) {
	if a.Any {
		return nil, nil
	}
	key := scoped{lookup, a.String()}
	if set, ok := c.addrs[key]; ok {
		return set, nil
	}
	resolved, err := a.Resolve(lookup.Addrs)
	if err != nil {
		return nil, err
	}
	set := newAddrSet(resolved)
	c.addrs[key] = set
	return set, nil
}

func (c *compiler) portSet(p rule.Ports, lookup Variables) (portSet, error) {
	if p.Any {
		return nil, nil
	}
	key := scoped{lookup, p.String()}
	if set, ok := c.ports[key]; ok {
		return set, nil
	}
	set, err := p.Resolve(lookup.Ports)
	if err != nil {
		return nil, err
	}
	c.ports[key] = set
	return set, nil
}

// setProto turns a header protocol into IP protocols, an IP version and an
// application protocol.
func (r *Rule) setProto(name string) error {
	one := func(protos ...uint8) {
		for _, p := range protos {
			r.protos[p>>6] |= 1 << (p & 63)
		}
	}
	switch strings.ToLower(name) {
	case "ip", "pkthdr":
		r.protos = [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	case "ip4", "ipv4":
		r.protos, r.ipVersion = [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}, 4
	case "ip6", "ipv6":
		r.protos, r.ipVersion = [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}, 6
	case "tcp", "tcp-stream", "tcp-pkt":
		one(packet.ProtoTCP)
	case "udp":
		one(packet.ProtoUDP)
	case "icmp":
		one(packet.ProtoICMP, packet.ProtoICMPv6)
	case "icmpv4":
		one(packet.ProtoICMP)
	case "icmpv6":
		one(packet.ProtoICMPv6)
	case "sctp":
		one(packet.ProtoSCTP)
	default:
		app, ok := applayer.ProtoByName(name)
		if !ok {
			return unsupported("protocol %q is not supported by this version of Sluice; use one of the transport protocols, or an application protocol it recognises", name)
		}
		r.app, r.appGiven = app, true
		tcp, udp := rule.Transports(name)
		if tcp {
			one(packet.ProtoTCP)
		}
		if udp {
			one(packet.ProtoUDP)
		}
	}
	return nil
}
