package detect

import (
	"bytes"
	"fmt"

	"github.com/sluicefw/sluice/engine/pcre"
	"github.com/sluicefw/sluice/rule"
)

// capture is a variable that keeps what a group of a pcre takes.
type capture struct {
	kind  rule.CaptureKind
	group int
	id    uint64 // of the variable, see hashOf; 0 for pairs
	name  []byte
}

const (
	maxCaptured   = 4096      // bytes of one variable
	maxCatch      = 256 << 10 // bytes that the rules of one packet capture
	maxPacketVars = 64
)

// newRegex compiles pcre. As in Suricata groups without a name do not capture, unless the variables are listed behind
// the pattern, or it refers to such a group.
func newRegex(in *rule.PCRE) (x *regex, err error) {
	x = &regex{negated: in.Negated, relative: in.Relative}
	if in.Listed == 0 {
		x.re, err = pcre.Compile(in.Pattern, in.Flags+"n")
	}
	if in.Listed > 0 || err != nil {
		if x.re, err = pcre.Compile(in.Pattern, in.Flags); err != nil {
			return nil, err
		}
	}
	groups := x.re.Groups()
	if in.Listed > groups && groups > 0 {
		return nil, fmt.Errorf("pcre names %d variables, but its pattern has %d groups; name one for each group at most", in.Listed, groups)
	}
	for i, c := range in.Captures {
		if i < groups && c.Kind != rule.CaptureNothing {
			x.captures = append(x.captures, capture{c.Kind, i + 1, captureID(c.Kind, c.Name), []byte(c.Name)})
		}
	}
	return x, nil
}

// captureID is what FlowVars and PacketVars know a variable by.
func captureID(kind rule.CaptureKind, name string) uint64 {
	switch kind {
	case rule.CaptureFlow:
		return hashOf("flowvar", name) | textVar
	case rule.CapturePacket:
		return hashOf("pktvar", name)
	}
	return 0
}

// catch is what a capture took, with its bytes in the net, or where a content was found that is to be replaced.
type catch struct {
	by    *capture // nil where a content was found
	name  span     // of pairs
	value span
	at    int    // in the payload
	with  []byte // what takes its place
}

type span struct{ from, to int }

// net holds what the rules of a packet have captured: first what belongs to hits, then that of the rule at hand.
type net struct {
	all   []catch
	text  []byte
	taken int    // how many of all belong to hits
	lost  uint64 // what was not kept, or not whole
}

func (n *net) reset() {
	n.all, n.text, n.taken = n.all[:0], n.text[:0], 0
}

// begin forgets what belongs to no hit: the next rule's turn has come.
func (n *net) begin() { n.rewind(n.taken) }

// rewind forgets all but the first catches.
func (n *net) rewind(first int) {
	if first == len(n.all) {
		return
	}
	n.text = n.text[:n.all[first].start()]
	n.all = n.all[:first]
}

// start is where the first bytes of c are.
func (c *catch) start() int {
	if c.by != nil && c.by.kind == rule.CapturePair {
		return c.name.from
	}
	return c.value.from
}

// put notes that bytes are to be replaced.
func (n *net) put(at int, with []byte) {
	n.all = append(n.all, catch{at: at, with: with, value: span{len(n.text), len(n.text)}})
}

// again repeats what a hit has captured, as part of the rule at hand.
func (n *net) again(s span) {
	for _, c := range n.all[s.from:s.to] {
		c.name, c.value = n.keep(n.text[c.name.from:c.name.to]), n.keep(n.text[c.value.from:c.value.to])
		n.all = append(n.all, c)
	}
}

// take makes what the rule at hand has captured a hit's.
func (n *net) take() span {
	s := span{n.taken, len(n.all)}
	n.taken = s.to
	return s
}

func (n *net) keep(b []byte) span {
	if len(b) > maxCaptured || len(n.text)+len(b) > maxCatch {
		b = b[:min(len(b), maxCaptured, maxCatch-len(n.text))]
		n.lost++
	}
	from := len(n.text)
	n.text = append(n.text, b...)
	return span{from, len(n.text)}
}

// catch keeps what the groups of the last match took.
func (x *regex) catch(m *matcher, text []byte) {
	for i := range x.captures {
		c := catch{by: &x.captures[i]}
		from, to, ok := m.regex.Group(c.by.group)
		if c.by.kind == rule.CapturePair && ok {
			name := text[from:to]
			if from, to, ok = m.regex.Group(c.by.group + 1); ok {
				c.name = m.net.keep(name)
			}
		}
		if ok {
			c.value = m.net.keep(text[from:to])
			m.net.all = append(m.net.all, c)
		}
	}
}

// PacketVar is a variable of the packet. It is valid until Result.Reset.
type PacketVar struct {
	Name, Value []byte
	id          uint64
}

// capture lets a hit's variables be known.
func (r *Result) capture(in *Input, h *Hit) {
	n := &r.m.net
	for _, c := range n.all[h.caught.from:h.caught.to] {
		value := n.text[c.value.from:c.value.to]
		switch {
		case c.by == nil:
		case c.by.kind == rule.CaptureFlow && in.Vars != nil:
			in.Vars.setText(in.FlowID, c.by.id, value)
		case c.by.kind == rule.CaptureFlow:
		case len(r.PacketVars) == maxPacketVars:
			n.lost++
		case c.by.kind == rule.CapturePair:
			r.PacketVars = append(r.PacketVars, PacketVar{Name: n.text[c.name.from:c.name.to], Value: value})
		default:
			r.PacketVars = append(r.PacketVars, PacketVar{c.by.name, value, c.by.id})
		}
	}
}

// Replacement is what takes the place of bytes of the packet's payload.
type Replacement struct {
	Rule uint32
	At   int
	With []byte
}

// replace notes what a hit puts in the place of what it found.
func (r *Result) replace(h *Hit) {
	for _, c := range r.m.net.all[h.caught.from:h.caught.to] {
		if c.by == nil {
			r.Replacements = append(r.Replacements, Replacement{h.Rule, c.at, c.with})
		}
	}
}

// ForgetPacket forgets the variables of a packet: what comes is about another.
func (r *Result) ForgetPacket() { r.PacketVars = r.PacketVars[:0] }

// Uncaptured returns how many variables were not kept, or not whole, since r was made.
func (r *Result) Uncaptured() uint64 { return r.m.net.lost }

// addVarTest compiles flowvar and pktvar.
func (r *Rule) addVarTest(keyword string, t *rule.VarTest) {
	if keyword == "flowvar" {
		id := captureID(rule.CaptureFlow, t.Name)
		r.order(orderFlowVar, true)
		r.conditions = append(r.conditions, func(in *Input, _ *Result) bool {
			return in.Vars != nil && bytes.Contains(in.Vars.text(in.FlowID, id), t.Pattern)
		})
		return
	}
	id := captureID(rule.CapturePacket, t.Name)
	r.order(orderPacketVar, true)
	r.conditions = append(r.conditions, func(_ *Input, res *Result) bool {
		for _, v := range res.PacketVars {
			if v.id == id {
				return bytes.Contains(v.Value, t.Pattern)
			}
		}
		return false
	})
}

// addCaptures notes what a pcre captures. Those of the payload say when the rule is looked at, as in Suricata.
func (r *Rule) addCaptures(p *rule.PCRE) {
	for _, c := range p.Captures {
		r.captures = true
		switch {
		case p.Buffer != "":
		case c.Kind == rule.CaptureFlow:
			r.order(orderFlowVar, false)
		default:
			r.order(orderPacketVar, false)
		}
	}
}
