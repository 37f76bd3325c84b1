package detect

import "github.com/sluicefw/sluice/rule"

// varName is the name of a variable that FlowVars know by its hash.
type varName struct {
	text  string
	isInt bool
}

// addNames notes the flowbits and flowints of a rule, for records.
func (p *RuleSet) addNames(in *rule.Rule) {
	add := func(kind, name string) {
		if p.names == nil {
			p.names = map[uint64]varName{}
		}
		p.names[hashOf(kind, name)] = varName{name, kind == "flowint"}
	}
	for i := range in.Options {
		switch arg := in.Options[i].Arg.(type) {
		case *rule.FlowBits:
			for _, n := range arg.Names {
				add("flowbit", n)
			}
		case *rule.FlowInt:
			add("flowint", arg.Name)
		}
	}
}

// VisitVars calls visit for each flowbit, with value 1, and each flowint of a flow, the one
// that was set last first. Variables that only other rule sets know are left out.
func (p *RuleSet) VisitVars(v *FlowVars, flow uint64, visit func(name string, isInt bool, value uint32)) {
	for i := v.heads[flow]; i != 0; i = v.all[i-1].next {
		if n, ok := p.names[v.all[i-1].name]; ok {
			visit(n.text, n.isInt, v.all[i-1].value)
		}
	}
}
