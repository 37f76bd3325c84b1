package policy

import (
	"slices"
	"strconv"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/rule"
)

// Summarize returns what options, which are wire.SummaryRuleOption constants,
// ask for of every rule of a stateful group, in the order of the rules. AWS:
// without options there is no summary of any rule. A rule that cannot be read
// is left out; the checks admit none.
func Summarize(doc *wire.RuleGroup, options []string) []wire.RuleSummary {
	summaries := []wire.RuleSummary{}
	if len(options) == 0 {
		return summaries
	}
	for _, text := range ruleTexts(doc) {
		r, err := rule.Parse(text)
		if err != nil {
			continue
		}
		var s wire.RuleSummary
		if slices.Contains(options, wire.SummaryRuleOptionSid) {
			s.SID = wire.Ptr(strconv.FormatUint(uint64(r.SID), 10))
		}
		if slices.Contains(options, wire.SummaryRuleOptionMsg) && r.Msg != "" {
			s.Msg = &r.Msg
		}
		if slices.Contains(options, wire.SummaryRuleOptionMetadata) {
			s.Metadata = metadataOf(r)
		}
		summaries = append(summaries, s)
	}
	return summaries
}

// metadataOf returns the arguments of a rule's metadata options, joined, or
// nil if it has none.
func metadataOf(r *rule.Rule) *string {
	text, found := "", false
	for _, o := range r.Options {
		if o.Name != "metadata" {
			continue
		}
		if found {
			text += ", "
		}
		text, found = text+o.Value, true
	}
	if !found {
		return nil
	}
	return &text
}
