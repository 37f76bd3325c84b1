package policy

import (
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// RulesFromStateful writes 5-tuple rules as rule text, one string each.
//
// AWS: the action in lower case, the header's values as given, options in the
// order given, settings joined by commas (a string setting brings its quotes).
func RulesFromStateful(rules []wire.StatefulRule) []string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		var b strings.Builder
		b.WriteString(strings.ToLower(wire.Val(r.Action)))
		h := wire.Val(r.Header)
		arrow := "->"
		if wire.Val(h.Direction) == wire.StatefulRuleDirectionAny {
			arrow = "<>"
		}
		for _, word := range []string{
			strings.ToLower(wire.Val(h.Protocol)), wire.Val(h.Source), wire.Val(h.SourcePort), arrow, wire.Val(h.Destination), wire.Val(h.DestinationPort),
		} {
			b.WriteByte(' ')
			b.WriteString(word)
		}
		b.WriteString(" (")
		for n, o := range r.RuleOptions {
			if n > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(wire.Val(o.Keyword))
			if len(o.Settings) > 0 {
				b.WriteByte(':')
				b.WriteString(strings.Join(o.Settings, ","))
			}
			b.WriteByte(';')
		}
		b.WriteByte(')')
		texts[i] = oneLine(b.String())
	}
	return texts
}

// ruleTexts returns the rules of a stateful group, whatever form they have,
// one string each. doc has a rules source.
func ruleTexts(doc *wire.RuleGroup) []string {
	switch src := doc.RulesSource; {
	case src.RulesString != nil:
		return RuleLines(*src.RulesString)
	case src.RulesSourceList != nil:
		return RulesFromDomainList(src.RulesSourceList, RuleOrderOf(doc))
	default:
		return RulesFromStateful(src.StatefulRules)
	}
}

// oneLine keeps a setting from smuggling a second rule in behind a line break.
func oneLine(text string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
}
