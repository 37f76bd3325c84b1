package control

import (
	"context"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
)

// checkSummary: only stateful rules have what a summary shows.
func checkSummary(kind string, s *wire.SummaryConfiguration) error {
	if s != nil && kind == resource.Stateless {
		return invalid("SummaryConfiguration cannot be provided, context: SummaryConfiguration")
	}
	return nil
}

// DescribeRuleGroupSummary returns of each rule of a stateful group what the
// group's summary configuration asks for. AWS: without one, of none.
func (c *Control) DescribeRuleGroupSummary(ctx context.Context, _ wire.Caller, in *wire.DescribeRuleGroupSummaryRequest) (*wire.DescribeRuleGroupSummaryResponse, error) {
	r, err := c.ruleGroup(ctx, in.RuleGroupArn, in.RuleGroupName, in.Type)
	if err != nil {
		return nil, err
	}
	g := &r.value
	if g.Kind == resource.Stateless {
		return nil, invalid("%s", quoted("Type is unsupported", typeOf(g.Kind), "Type"))
	}
	var options []string
	if g.Summary != nil {
		options = g.Summary.RuleOptions
	}
	return &wire.DescribeRuleGroupSummaryResponse{
		RuleGroupName: &g.Name, Description: g.Description, Summary: &wire.Summary{RuleSummaries: policy.Summarize(g.Doc, options)},
	}, nil
}
