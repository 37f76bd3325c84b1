package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/rule"
)

// Kinds of rule group.
const (
	KindStateful       = "stateful"
	KindStatefulDomain = "stateful-domain" // a domain list that is counted by its targets
	KindStateless      = "stateless"
)

// Limits of the API. AWS: quotas page, and answers measured in 2026.
const (
	MaxGroupCapacity           = 30000 // declared capacity of one rule group
	MaxPolicyStatelessCapacity = 30000 // declared capacity of a policy's stateless groups together
	MaxPolicyStatefulCapacity  = 50000 // likewise stateful; AWS grants 30,000 and raises it to this on request
	MaxGroupReferences         = 20    // rule groups of each kind in a policy
	MaxReferenceSets           = 5     // IP set references of a rule group
	MaxCustomActions           = 10    // custom actions of a rule group or policy
	MaxRuleLength              = 8192  // characters of a stateful rule with the gid that the service appends
)

// CompileCheck says why the engine cannot run a rule, or nil. An error of type
// *rule.Error tells where in the rule.
type CompileCheck func(text string) error

// RuleCheck says how stateful rules are checked. The zero value is AWS's way.
type RuleCheck struct {
	BeyondAWS bool         // take the keywords of beyondAWS
	Compile   CompileCheck // asked about each rule that passed everything else; nil asks nobody
}

// CheckRuleGroup reports what of its capacity a rule group of the given kind (a
// Kind constant) uses, or why it must not be created, as a
// *wire.Error with AWS's text. doc has passed the model's own checks.
func CheckRuleGroup(kind string, doc *wire.RuleGroup, capacity int, rules RuleCheck) (consumed int, err error) {
	if capacity > MaxGroupCapacity {
		return 0, invalid("Capacity capacity exceeded", capacity, "Capacity")
	}
	if capacity < 1 {
		return 0, invalid("Capacity is not within the bound", capacity, "Capacity")
	}
	if err := checkReferenceSets(doc.ReferenceSets); err != nil {
		return 0, err
	}
	source := doc.RulesSource
	if source == nil {
		source = &wire.RulesSource{}
	}
	needed := Capacity(doc)
	if kind == KindStateless {
		if err := checkStatelessGroup(doc, source); err != nil {
			return 0, err
		}
		if needed > capacity {
			return 0, invalid("StatelessRules capacity exceeded", needed, "StatelessRulesAndCustomActions.StatelessRules")
		}
		return needed, nil
	}
	if kind == KindStatefulDomain {
		return checkDomainGroup(doc, source, capacity)
	}
	if err := checkStatefulGroup(doc, source, rules); err != nil {
		return 0, err
	}
	if needed > capacity {
		return 0, invalid("StatefulRules capacity exceeded", needed, "RulesSource.StatefulRules")
	}
	return needed, nil
}

// Capacity returns the capacity units that a rule group uses.
//
// AWS: a stateless rule counts the product of the lengths of its sources,
// destinations, ports and protocols, an empty one as 1; a stateful rule counts
// 1, blank and comment lines nothing; a domain list counts targets × types +
// types + 1.
func Capacity(doc *wire.RuleGroup) int {
	source := doc.RulesSource
	if source == nil {
		return 0
	}
	n := len(source.StatefulRules)
	if source.RulesString != nil {
		n += len(RuleLines(*source.RulesString))
	}
	if l := source.RulesSourceList; l != nil {
		n += len(l.Targets)*len(l.TargetTypes) + len(l.TargetTypes) + 1
	}
	if s := source.StatelessRulesAndCustomActions; s != nil {
		for _, r := range s.StatelessRules {
			n += statelessCapacity(r)
		}
	}
	return n
}

func statelessCapacity(r wire.StatelessRule) int {
	if r.RuleDefinition == nil || r.RuleDefinition.MatchAttributes == nil {
		return 1
	}
	m := r.RuleDefinition.MatchAttributes
	n := 1
	for _, l := range []int{len(m.Sources), len(m.Destinations), len(m.SourcePorts), len(m.DestinationPorts), len(m.Protocols)} {
		n *= max(l, 1)
		if n > 1<<30 { // far beyond any limit: keep the product from wrapping
			n = 1 << 30
		}
	}
	return n
}

// RuleOrderOf returns the rule order of a rule group; absent means
// DEFAULT_ACTION_ORDER.
func RuleOrderOf(doc *wire.RuleGroup) string {
	if doc.StatefulRuleOptions == nil {
		return wire.RuleOrderDefaultActionOrder
	}
	return orderOrDefault(doc.StatefulRuleOptions.RuleOrder)
}

func orderOrDefault(order *string) string {
	if order == nil || *order == "" {
		return wire.RuleOrderDefaultActionOrder
	}
	return *order
}

// checkReferenceSets limits and compares the IP set references.
func checkReferenceSets(sets *wire.ReferenceSets) error {
	if sets == nil {
		return nil
	}
	if n := len(sets.IPSetReferences); n > MaxReferenceSets {
		return invalid("IPSetReferences limit exceeded", n, "ReferenceSets")
	}
	seen := map[string]bool{}
	for _, ref := range sets.IPSetReferences {
		arn := wire.Val(ref.ReferenceArn)
		if seen[arn] {
			return invalid("IPSetReferences is invalid", nil, "ReferenceSets")
		}
		seen[arn] = true
	}
	return nil
}

// checkDomainGroup checks a group that has nothing but a domain list, and
// returns how many targets that has. AWS: those are what the capacity of this
// kind counts, whatever the number of target types.
func checkDomainGroup(doc *wire.RuleGroup, source *wire.RulesSource, capacity int) (targets int, err error) {
	switch {
	case source.RulesSourceList == nil:
		return 0, invalid("RulesSourceList cannot be null", nil, "RulesSource.RulesSourceList")
	case source.RulesString != nil || source.StatefulRules != nil || source.StatelessRulesAndCustomActions != nil:
		return 0, invalid("RulesString, StatefulRules, StatelessRulesAndCustomActions cannot be provided", nil, "RulesSource")
	}
	if err := checkVariables(doc.RuleVariables); err != nil {
		return 0, err
	}
	if err := checkDomainList(source.RulesSourceList); err != nil {
		return 0, err
	}
	if targets = len(source.RulesSourceList.Targets); targets > capacity {
		return 0, invalid("Targets capacity exceeded", targets, "RulesSource.RulesSourceList.Targets")
	}
	return targets, nil
}

// checkStatefulGroup checks everything of a stateful group but its capacity.
func checkStatefulGroup(doc *wire.RuleGroup, source *wire.RulesSource, how RuleCheck) error {
	if source.StatelessRulesAndCustomActions != nil {
		return invalid("StatelessRulesAndCustomActions is invalid", nil, "RulesSource.StatelessRulesAndCustomActions")
	}
	given := 0
	for _, set := range []bool{source.RulesString != nil, source.RulesSourceList != nil, source.StatefulRules != nil} {
		if set {
			given++
		}
	}
	if given != 1 {
		return invalid("RulesString, RulesSourceList, StatefulRules must set exactly one of them", nil, "RulesSource")
	}
	if err := checkVariables(doc.RuleVariables); err != nil {
		return err
	}
	c := rulesChecker{doc: doc, strict: RuleOrderOf(doc) == wire.RuleOrderStrictOrder, how: how}
	switch {
	case source.RulesSourceList != nil:
		return checkDomainList(source.RulesSourceList)
	case source.RulesString != nil:
		c.field = "RulesString"
		return c.check(RuleLines(*source.RulesString))
	}
	c.field = "StatefulRules"
	return c.check(RulesFromStateful(source.StatefulRules))
}

// checkVariables parses the definitions of a group's variables, so that a rule
// that uses them does not fail where it is loaded.
func checkVariables(v *wire.RuleVariables) error {
	if v == nil {
		return nil
	}
	for _, name := range sortedKeys(v.IPSets) {
		context := "RuleVariables.IPSets." + name
		if err := checkDefinition(v.IPSets[name].Definition, context, parsesAsAddrs); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(v.PortSets) {
		context := "RuleVariables.PortSets." + name
		if err := checkDefinition(v.PortSets[name].Definition, context, parsesAsPorts); err != nil {
			return err
		}
	}
	return nil
}

func checkDefinition(items []string, context string, parses func(string) bool) error {
	for i, item := range items {
		if !parses(item) {
			return invalid("Definition has invalid format", item, context+".Definition["+strconv.Itoa(i)+"]")
		}
	}
	return nil
}

func parsesAsAddrs(text string) bool { _, err := rule.ParseAddrs(text); return err == nil }
func parsesAsPorts(text string) bool { _, err := rule.ParsePorts(text); return err == nil }

// checkDomainList checks the targets of a domain list. AWS: a target is a name
// or, with a leading dot, a name and all below it; duplicates are compared
// without that dot and with regard to case.
func checkDomainList(l *wire.RulesSourceList) error {
	const context = "RulesSource.RulesSourceList"
	if len(l.Targets) == 0 {
		return invalid("Targets cannot be null or empty", nil, context+".Targets")
	}
	if len(l.TargetTypes) == 0 {
		return invalid("TargetTypes cannot be null or empty", nil, context+".TargetTypes")
	}
	seen := make(map[string]bool, len(l.Targets))
	for i, target := range l.Targets {
		at := context + ".Targets[" + strconv.Itoa(i) + "]"
		name := strings.TrimPrefix(target, ".")
		if !isDomain(name) {
			return invalid("Targets has invalid format", target, at)
		}
		if seen[name] {
			return invalid("Targets has duplicate values", target, at)
		}
		seen[name] = true
	}
	return nil
}

// isDomain reports whether name is a host name (RFC 1035 lengths, with the
// underscore that real names have) or an address, which HTTP allows as Host.
func isDomain(name string) bool {
	if len(name) > 253 {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// invalid makes an InvalidRequestException in the grammar of AWS's texts:
// "<what>, parameter: [<value>], context: <where>", parts that are not given
// left out. A []string is written with commas.
func invalid(what string, parameter any, context string) *wire.Error {
	text := what
	switch p := parameter.(type) {
	case int:
		text += ", parameter: [" + strconv.Itoa(p) + "]"
	case string:
		text += ", parameter: [" + p + "]"
	case []string:
		text += ", parameter: [" + strings.Join(p, ", ") + "]"
	}
	if context != "" {
		text += ", context: " + context
	}
	return wire.InvalidRequestException("%s", text)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
