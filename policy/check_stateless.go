package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// Standard actions of stateless rules and defaults.
const (
	ActionPass    = "aws:pass"
	ActionDrop    = "aws:drop"
	ActionForward = "aws:forward_to_sfe"
)

const (
	protoTCP = 6
	protoUDP = 17
)

func isStandardAction(a string) bool { return a == ActionPass || a == ActionDrop || a == ActionForward }

// checkStatelessGroup checks everything of a stateless group but its capacity.
func checkStatelessGroup(doc *wire.RuleGroup, source *wire.RulesSource) error {
	const context = "StatelessRulesAndCustomActions"
	switch {
	case source.StatelessRulesAndCustomActions == nil:
		return invalid("StatelessRulesAndCustomActions cannot be null", nil, "RulesSource."+context)
	case source.RulesString != nil || source.RulesSourceList != nil || source.StatefulRules != nil:
		return invalid("RulesString, RulesSourceList, StatefulRules cannot be provided", nil, "RulesSource")
	case doc.RuleVariables != nil:
		return invalid("RuleVariables cannot be provided", nil, "RuleVariables")
	case doc.StatefulRuleOptions != nil:
		return invalid("StatefulRuleOptions cannot be provided", nil, "StatefulRuleOptions")
	}
	s := source.StatelessRulesAndCustomActions
	custom, err := checkCustomActions(s.CustomActions, context+".CustomActions")
	if err != nil {
		return err
	}
	seen := make(map[int32]bool, len(s.StatelessRules))
	for _, r := range s.StatelessRules {
		priority := wire.Val(r.Priority)
		at := fmt.Sprintf("%s.StatelessRules[Priority=%d]", context, priority)
		if seen[priority] {
			return invalid("Priority has duplicate values", int(priority), at)
		}
		seen[priority] = true
		if err := checkStatelessRule(r, custom, at+".RuleDefinition"); err != nil {
			return err
		}
	}
	return nil
}

// checkCustomActions returns the names that the actions define.
func checkCustomActions(actions []wire.CustomAction, context string) (map[string]bool, error) {
	if n := len(actions); n > MaxCustomActions {
		return nil, invalid("ActionDefinition limit exceeded", n, context)
	}
	names := make(map[string]bool, len(actions))
	for i, a := range actions {
		at := context + "[" + strconv.Itoa(i) + "]"
		name := wire.Val(a.ActionName)
		if names[name] {
			return nil, invalid("ActionName has duplicate values", name, at+".ActionName")
		}
		names[name] = true
		if a.ActionDefinition == nil || a.ActionDefinition.PublishMetricAction == nil {
			return nil, invalid("PublishMetricAction cannot be null", nil, at+".ActionDefinition")
		}
	}
	return names, nil
}

func checkStatelessRule(r wire.StatelessRule, custom map[string]bool, context string) error {
	d := r.RuleDefinition
	if d == nil || d.MatchAttributes == nil {
		return invalid("MatchAttributes cannot be null", nil, context)
	}
	if err := checkActions("Actions", d.Actions, custom, context+".Actions", context+".Actions"); err != nil {
		return err
	}
	m := d.MatchAttributes
	context += ".MatchAttributes"
	if len(m.Sources) == 0 && len(m.Destinations) == 0 {
		return invalid("Sources, Destinations cannot be null or empty", nil, context)
	}
	if err := checkAddresses("Sources", m.Sources, context); err != nil {
		return err
	}
	if err := checkAddresses("Destinations", m.Destinations, context); err != nil {
		return err
	}
	tcp := len(m.Protocols) == 0 || slices.Contains(m.Protocols, protoTCP)
	ports := tcp || slices.Contains(m.Protocols, protoUDP)
	for _, f := range []struct {
		name   string
		ranges []wire.PortRange
	}{{"SourcePorts", m.SourcePorts}, {"DestinationPorts", m.DestinationPorts}} {
		if len(f.ranges) > 0 && !ports {
			return invalid(f.name+", Protocols cannot exist together", nil, context+"."+f.name)
		}
		if err := checkPortRanges(f.name, f.ranges, context); err != nil {
			return err
		}
	}
	if len(m.TCPFlags) > 0 && !tcp {
		return invalid("TCPFlags, Protocols cannot exist together", nil, context+".TCPFlags")
	}
	for i, f := range m.TCPFlags {
		for _, flag := range f.Flags {
			if len(f.Masks) > 0 && !slices.Contains(f.Masks, flag) {
				return invalid("Flags is unmasked", flag, fmt.Sprintf("%s.TCPFlags[%d].Flags", context, i))
			}
		}
	}
	return nil
}

func checkAddresses(field string, addrs []wire.Address, context string) error {
	for i, a := range addrs {
		if text := wire.Val(a.AddressDefinition); !isPrefix(text) {
			return invalid("AddressDefinition has invalid format", text, fmt.Sprintf("%s.%s[%d].AddressDefinition", context, field, i))
		}
	}
	return nil
}

func checkPortRanges(field string, ranges []wire.PortRange, context string) error {
	for i, p := range ranges {
		if from, to := wire.Val(p.FromPort), wire.Val(p.ToPort); from > to {
			return invalid("FromPort, ToPort is not within the bound", fmt.Sprintf("%d, %d", from, to), fmt.Sprintf("%s.%s[%d]", context, field, i))
		}
	}
	return nil
}

// checkActions demands exactly one standard action, beside which there may be
// custom ones that are defined. AWS leaves the context out where a policy's
// default actions clash, hence clash.
func checkActions(field string, actions []string, custom map[string]bool, context, clash string) error {
	var standard []string
	for _, a := range actions {
		switch {
		case isStandardAction(a):
			standard = append(standard, a)
		case !custom[a]:
			return invalid(field+" is invalid", a, context)
		}
	}
	switch {
	case len(standard) == 0:
		return invalid(field+" cannot be null or empty", nil, context)
	case len(standard) > 1:
		return invalid(field+" cannot exist together", standard, clash)
	}
	return nil
}

// isPrefix reports whether text is an address or a CIDR.
func isPrefix(text string) bool {
	if _, err := netip.ParsePrefix(text); err == nil {
		return true
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}

// AnalyzeStateless reports rules that give the stateful engine half of a flow.
//
// AWS: both findings are about rules that pass or forward.
// STATELESS_RULE_FORWARDING_ASYMMETRICALLY is one whose way back no rule treats
// in the same manner, STATELESS_RULE_CONTAINS_TCP_FLAGS one that looks at TCP
// flags, which differ between the directions. Rules are identified by their
// priority.
func AnalyzeStateless(doc *wire.RuleGroup) []wire.AnalysisResult {
	if doc.RulesSource == nil || doc.RulesSource.StatelessRulesAndCustomActions == nil {
		return nil
	}
	rules := doc.RulesSource.StatelessRulesAndCustomActions.StatelessRules
	var oneWay, flags []string
	mirrors := map[string]bool{}
	for _, r := range rules {
		mirrors[directionKey(r, true)] = true
	}
	for _, r := range rules {
		if standardAction(r) == ActionDrop {
			continue
		}
		id := strconv.Itoa(int(wire.Val(r.Priority)))
		if !mirrors[directionKey(r, false)] {
			oneWay = append(oneWay, id)
		}
		if len(r.RuleDefinition.MatchAttributes.TCPFlags) > 0 {
			flags = append(flags, id)
		}
	}
	var results []wire.AnalysisResult
	add := func(kind, detail string, ids []string) {
		if len(ids) > 0 {
			results = append(results, wire.AnalysisResult{IdentifiedType: &kind, IdentifiedRuleIds: ids, AnalysisDetail: &detail})
		}
	}
	add(wire.IdentifiedTypeStatelessRuleForwardingAsymmetrically, "no rule treats the way back in the same manner", oneWay)
	add(wire.IdentifiedTypeStatelessRuleContainsTcpFlags, "TCP flags differ between the two directions of a flow", flags)
	return results
}

func standardAction(r wire.StatelessRule) string {
	i := slices.IndexFunc(r.RuleDefinition.Actions, isStandardAction)
	if i < 0 {
		return ""
	}
	return r.RuleDefinition.Actions[i]
}

// directionKey is what a rule selects and does, as text; mirrored swaps source
// and destination. A rule's own key is some rule's mirrored one if the way
// back is covered.
func directionKey(r wire.StatelessRule, mirrored bool) string {
	m := r.RuleDefinition.MatchAttributes
	src, dst := addressKey(m.Sources), addressKey(m.Destinations)
	sport, dport := portKey(m.SourcePorts), portKey(m.DestinationPorts)
	if mirrored {
		src, dst, sport, dport = dst, src, dport, sport
	}
	protocols := slices.Sorted(slices.Values(m.Protocols))
	return fmt.Sprint(standardAction(r), src, sport, dst, dport, protocols)
}

func addressKey(addrs []wire.Address) []string {
	keys := make([]string, len(addrs))
	for i, a := range addrs {
		keys[i] = wire.Val(a.AddressDefinition)
	}
	slices.Sort(keys)
	return keys
}

func portKey(ports []wire.PortRange) []string {
	keys := make([]string, len(ports))
	for i, p := range ports {
		keys[i] = fmt.Sprint(wire.Val(p.FromPort), "-", wire.Val(p.ToPort))
	}
	slices.Sort(keys)
	return keys
}
