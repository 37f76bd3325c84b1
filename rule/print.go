package rule

import (
	"strconv"
	"strings"
)

var actionNames = [...]string{"alert", "pass", "drop", "reject", "rejectdst", "rejectboth"}

// String returns the action as rules spell it.
func (a Action) String() string { return actionNames[a] }

// String prints the rule from its tree, in one line: canonical spellings, and
// one space between parts. Parsing it gives the same tree.
func (r *Rule) String() string {
	if r.Unmet != "" {
		return r.Text
	}
	var b strings.Builder
	arrow := " -> "
	if r.Both {
		arrow = " <> "
	}
	b.WriteString(r.Action.String() + " " + r.Proto + " " + r.Src.String() + " " + r.SrcPort.String())
	b.WriteString(arrow + r.Dst.String() + " " + r.DstPort.String() + " (")
	for i, o := range r.Options {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(o.String())
	}
	b.WriteByte(')')
	return b.String()
}

// String prints the option with its semicolon.
func (o Option) String() string {
	switch {
	case !o.HasValue:
		return o.Name + ";"
	case strings.HasSuffix(o.Value, `\`):
		return o.Name + ":" + o.Value + " ;" // the space keeps \ from escaping the semicolon
	}
	return o.Name + ":" + o.Value + ";"
}

// String prints the expression as rules spell it.
func (a Addrs) String() string {
	if a.Any {
		return "any"
	}
	return printTerms(a.Terms, Addr.print)
}

// String prints the expression as rules spell it.
func (p Ports) String() string {
	if p.Any {
		return "any"
	}
	return printTerms(p.Terms, Port.print)
}

// printTerms prints the terms of an expression: one alone, several in brackets.
func printTerms[T any](terms []T, print func(T, *strings.Builder)) string {
	var b strings.Builder
	if len(terms) == 1 {
		print(terms[0], &b)
	} else {
		printList(terms, print, &b)
	}
	return b.String()
}

func printList[T any](terms []T, print func(T, *strings.Builder), b *strings.Builder) {
	b.WriteByte('[')
	for i, t := range terms {
		if i > 0 {
			b.WriteByte(',')
		}
		print(t, b)
	}
	b.WriteByte(']')
}

func (t Addr) print(b *strings.Builder) {
	if t.Negated {
		b.WriteByte('!')
	}
	switch {
	case t.Any:
		b.WriteString("any")
	case t.Var != "":
		b.WriteString(varText(t.Var))
	case t.List != nil:
		printList(t.List, Addr.print, b)
	case t.Prefix.IsValid() && t.Prefix.IsSingleIP():
		b.WriteString(t.From.String())
	case t.Prefix.IsValid():
		b.WriteString(t.Prefix.String())
	default:
		b.WriteString(t.From.String() + "-" + t.To.String())
	}
}

func (t Port) print(b *strings.Builder) {
	if t.Negated {
		b.WriteByte('!')
	}
	switch {
	case t.Any:
		b.WriteString("any")
	case t.Var != "":
		b.WriteString(varText(t.Var))
	case t.List != nil:
		printList(t.List, Port.print, b)
	case t.From == t.To:
		b.WriteString(strconv.Itoa(int(t.From)))
	default:
		b.WriteString(strconv.Itoa(int(t.From)) + ":" + strconv.Itoa(int(t.To)))
	}
}
