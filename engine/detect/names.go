package detect

import "github.com/sluicefw/sluice/rule"

// VarKind says what a variable of a flow is.
type VarKind uint8

const (
	FlowBit VarKind = iota
	FlowInt
	FlowText // captured by a pcre
)

// FlowVar is a variable of a flow.
type FlowVar struct {
	Name  string
	Kind  VarKind
	Value uint32 // of FlowInt
	Text  []byte // of FlowText, valid until the flow's variables change
}

// varName is the name of a variable that FlowVars know by its hash.
type varName struct {
	text string
	kind VarKind
}

// addNames notes the variables of flows that a rule sets or asks for, for records.
func (p *RuleSet) addNames(in *rule.Rule) {
	add := func(id uint64, name string, kind VarKind) {
		if p.names == nil {
			p.names = map[uint64]varName{}
		}
		p.names[id] = varName{name, kind}
	}
	for i := range in.Options {
		switch arg := in.Options[i].Arg.(type) {
		case *rule.FlowBits:
			for _, n := range arg.Names {
				add(hashOf("flowbit", n), n, FlowBit)
			}
		case *rule.FlowInt:
			add(hashOf("flowint", arg.Name), arg.Name, FlowInt)
		case *rule.PCRE:
			for _, c := range arg.Captures {
				if c.Kind == rule.CaptureFlow {
					add(captureID(c.Kind, c.Name), c.Name, FlowText)
				}
			}
		}
	}
}

// VisitVars calls visit for each variable of a flow, the one that was set last first. Those that only
// other rule sets know are left out.
func (p *RuleSet) VisitVars(v *FlowVars, flow uint64, visit func(FlowVar)) {
	for i := v.heads[flow]; i != 0; i = v.all[i-1].next {
		f := &v.all[i-1]
		n, ok := p.names[f.name]
		if !ok {
			continue
		}
		out := FlowVar{Name: n.text, Kind: n.kind, Value: f.value}
		if n.kind == FlowText {
			out.Text = v.texts.all[f.value]
		}
		visit(out)
	}
}
