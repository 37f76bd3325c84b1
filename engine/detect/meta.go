package detect

import (
	"slices"

	"github.com/sluicefw/sluice/rule"
)

// Meta is what records and counters say of a rule.
type Meta struct {
	GID, SID, Rev uint32
	Msg           string
	Category      string     // text of its classtype
	Severity      int        // 1 (worst) to 4; 3 when the rule does not say, as in Suricata
	Metadata      []Metadata // equal keys side by side
	Target        Target
	ResourceARN   string // the rule group or policy that it came from
}

// Metadata is an entry of a rule's metadata keyword.
type Metadata struct{ Key, Value string }

// Target says which end of a packet is attacked when a rule matches.
type Target uint8

const (
	NoTarget Target = iota // the rule does not say
	TargetSrc
	TargetDst
)

// AppLayer says whether the rule is about an application protocol.
func (r *Rule) AppLayer() bool { return r.appGiven || r.sideGiven }

// describe takes what records show from the options of a rule. As in Suricata's records,
// what comes last in the rule comes first, and entries without a value are left out.
func (m *Meta) describe(in *rule.Rule) {
	var all []Metadata
	for i := range in.Options {
		switch o := &in.Options[i]; o.Name {
		case "metadata":
			for _, e := range o.Arg.([]rule.Metadata) {
				if e.Value != "" {
					all = append(all, Metadata(e))
				}
			}
		case "target":
			m.Target = TargetDst
			if o.Value == "src_ip" {
				m.Target = TargetSrc
			}
		}
	}
	slices.Reverse(all)
	for len(all) > 0 {
		key := all[0].Key
		rest := all[:0]
		for _, e := range all {
			if e.Key == key {
				m.Metadata = append(m.Metadata, e)
			} else {
				rest = append(rest, e)
			}
		}
		all = rest
	}
}
