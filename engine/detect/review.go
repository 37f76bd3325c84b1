package detect

import (
	"slices"
	"strings"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// Doubt is something about a rule of a set that its author may not have meant.
type Doubt struct {
	Rule  *Rule
	Code  string // NoFlow, NoFastPattern, NeverRaised or Shadowed
	Other *Rule  // of Shadowed: the rule that decides before
}

// What Review doubts.
const (
	NoFlow        = "no-flow"         // it decides a connection by its first packet, before anything is known of it
	NoFastPattern = "no-fast-pattern" // it has contents, but none to find it by
	NeverRaised   = "never-raised"    // it waits for an event of a protocol without a parser, or one that is outdated
	Shadowed      = "shadowed"        // another rule decides all that it could
)

// maxPairs bounds the pairs of rules that Review compares.
const maxPairs = 20_000_000

// Review looks for rules that may not do what they seem to. It compares each rule with those
// before it that decide by addresses alone. parsed says which protocols have a parser.
func (p *RuleSet) Review(parsed func(applayer.Proto) bool) []Doubt {
	var doubts []Doubt
	var deciders []*Rule
	compared := 0
	for i := range p.rules {
		r := &p.rules[i]
		if r.Action != Alert && r.addressesOnly() && r.carries(packet.ProtoTCP) {
			doubts = append(doubts, Doubt{Rule: r, Code: NoFlow})
		}
		if text, ok := r.FastPattern(); ok && text == "" {
			doubts = append(doubts, Doubt{Rule: r, Code: NoFastPattern})
		}
		if slices.ContainsFunc(r.anomalies, func(a applayer.Anomaly) bool { return !raised(a, parsed) }) {
			doubts = append(doubts, Doubt{Rule: r, Code: NeverRaised})
		}
		if compared += len(deciders); compared > maxPairs {
			continue
		}
		for _, d := range deciders {
			if d.covers(r) && (d.Action == Pass || r.Action != Alert) {
				doubts = append(doubts, Doubt{r, Shadowed, d})
				break
			}
		}
		if r.Action != Alert && r.addressesOnly() && len(r.conditions) == 0 && r.threshold == nil {
			deciders = append(deciders, r)
		}
	}
	return doubts
}

// raised says whether anything raises an event: a parser, or the detection of protocols.
func raised(a applayer.Anomaly, parsed func(applayer.Proto) bool) bool {
	name, _, ofProto := strings.Cut(a.String(), ".")
	if !ofProto {
		return a != applayer.AnomalyNever
	}
	proto, _ := applayer.ProtoByName(name)
	if proto == applayer.AnyHTTP {
		proto = applayer.HTTP // those of HTTP/2 have its name
	}
	return parsed(proto)
}

func (r *Rule) addressesOnly() bool {
	return (r.Kind == KindIPOnly || r.Kind == KindLikeIPOnly) && r.flow == (rule.Flow{})
}

func (r *Rule) carries(proto uint8) bool { return r.protos[proto>>6]&(1<<(proto&63)) != 0 }

// FastPattern returns the bytes, in lower case, by which the rule is found in traffic, "" when it has
// contents but none that serves; ok is false for rules without contents.
func (r *Rule) FastPattern() (text string, ok bool) {
	groups := [][]step{r.payload}
	for i := range r.buffers {
		if len(r.buffers[i].transforms) == 0 || r.buffers[i].dotprefix {
			groups = append(groups, r.buffers[i].steps)
		}
	}
	for _, steps := range groups {
		for _, s := range steps {
			_, isContent := s.(*content)
			ok = ok || isContent
		}
		if t := rarest(steps); len(t) > len(text) {
			text = t
		}
	}
	return text, ok
}

// covers says whether every packet that r could match is one that c, a rule of addresses, matches.
func (c *Rule) covers(r *Rule) bool {
	if c.ipVersion != 0 && c.ipVersion != r.ipVersion {
		return false
	}
	for i := range c.protos {
		if r.protos[i]&^c.protos[i] != 0 {
			return false
		}
	}
	return c.src.covers(r.src) && c.dst.covers(r.dst) && c.srcPort.covers(r.srcPort) && c.dstPort.covers(r.dstPort)
}

// covers says whether all addresses of t are in s.
func (s *addrSet) covers(t *addrSet) bool {
	if s == nil || s == t {
		return true
	}
	if t == nil {
		return false
	}
	i := 0
	for _, r := range t.v4 {
		for i < len(s.v4) && s.v4[i].to < r.from {
			i++
		}
		if i == len(s.v4) || r.from < s.v4[i].from || s.v4[i].to < r.to {
			return false
		}
	}
	i = 0
	for _, r := range t.v6 {
		for i < len(s.v6) && s.v6[i].to.cmp(r.from) < 0 {
			i++
		}
		if i == len(s.v6) || r.from.cmp(s.v6[i].from) < 0 || s.v6[i].to.cmp(r.to) < 0 {
			return false
		}
	}
	return true
}

// covers says whether all ports of t are in s.
func (s portSet) covers(t portSet) bool {
	if s == nil {
		return true
	}
	if t == nil {
		return false
	}
	i := 0
	for _, r := range t {
		for i < len(s) && s[i].To < r.From {
			i++
		}
		if i == len(s) || r.From < s[i].From || s[i].To < r.To {
			return false
		}
	}
	return true
}
