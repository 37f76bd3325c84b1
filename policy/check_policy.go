package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// GroupFacts is what the checks of a policy need to know of a rule group that
// it refers to.
type GroupFacts struct {
	Kind      string // a Kind constant
	RuleOrder string // of a group that is not stateless: a wire.RuleOrder constant
	Capacity  int    // as declared
	Consumed  int    // what of it is used
}

// GroupLookup returns the facts of the rule group with the given ARN, or an
// error to answer with.
type GroupLookup func(arn string) (GroupFacts, error)

// Bounds of FlowTimeouts.TcpIdleTimeoutSeconds. AWS: 60 to 6000, default 350.
const (
	MinTCPIdle     = 60
	MaxTCPIdle     = 6000
	DefaultTCPIdle = 350
)

// PolicyUse is the capacity that a policy reserves: the sums of the declared
// capacities of its stateless and stateful groups. AWS: of groups of the kind
// KindStatefulDomain it is the number of their targets instead.
type PolicyUse struct{ Stateless, Stateful, Domains int }

// Add counts a group.
func (u *PolicyUse) Add(g GroupFacts) {
	switch g.Kind {
	case KindStateless:
		u.Stateless += g.Capacity
	case KindStatefulDomain:
		u.Domains += g.Consumed
	default:
		u.Stateful += g.Capacity
	}
}

// CheckFirewallPolicy reports the capacity that a policy reserves, or why it
// must not be created, as a *wire.Error with AWS's text. doc has passed the
// model's own checks.
func CheckFirewallPolicy(doc *wire.FirewallPolicy, lookup GroupLookup) (PolicyUse, error) {
	use := PolicyUse{}
	custom, err := checkCustomActions(doc.StatelessCustomActions, "StatelessCustomActions")
	if err != nil {
		return use, err
	}
	for _, f := range []struct {
		name    string
		actions []string
	}{
		{"StatelessDefaultActions", doc.StatelessDefaultActions},
		{"StatelessFragmentDefaultActions", doc.StatelessFragmentDefaultActions},
	} {
		if err := checkActions(f.name, f.actions, custom, f.name, ""); err != nil {
			return use, err
		}
	}
	if err := checkEngineOptions(doc.StatefulEngineOptions); err != nil {
		return use, err
	}
	order := PolicyRuleOrder(doc)
	if err := checkDefaultActions(doc.StatefulDefaultActions, order); err != nil {
		return use, err
	}
	if err := checkPolicyVariables(doc.PolicyVariables); err != nil {
		return use, err
	}
	if err := checkTLS(doc); err != nil {
		return use, err
	}
	if err = checkStatelessReferences(doc.StatelessRuleGroupReferences, lookup, &use); err != nil {
		return use, err
	}
	return use, checkStatefulReferences(doc.StatefulRuleGroupReferences, order, lookup, &use)
}

// PolicyRuleOrder returns the rule order of a policy; absent means
// DEFAULT_ACTION_ORDER.
func PolicyRuleOrder(doc *wire.FirewallPolicy) string {
	if doc.StatefulEngineOptions == nil {
		return wire.RuleOrderDefaultActionOrder
	}
	return orderOrDefault(doc.StatefulEngineOptions.RuleOrder)
}

func checkEngineOptions(o *wire.StatefulEngineOptions) error {
	if o == nil || o.FlowTimeouts == nil || o.FlowTimeouts.TcpIdleTimeoutSeconds == nil {
		return nil
	}
	if s := int(*o.FlowTimeouts.TcpIdleTimeoutSeconds); s < MinTCPIdle || s > MaxTCPIdle {
		return invalid("TcpIdleTimeoutSeconds is not within the bound", s, "StatefulEngineOptions.FlowTimeouts.TcpIdleTimeoutSeconds")
	}
	return nil
}

// Stateful default actions are "aws:<drop|alert>_<scope>".
const (
	ScopeStrict                 = "strict"
	ScopeEstablished            = "established"
	ScopeEstablishedApp         = "established_app_layer"
	ScopeEstablishedAppToServer = "established_app_layer_to_server"
)

// DefaultAction takes a stateful default action apart. ok is false for a name
// that is none.
func DefaultAction(name string) (drop bool, scope string, ok bool) {
	scope, drop = strings.CutPrefix(name, "aws:drop_")
	if !drop {
		if scope, ok = strings.CutPrefix(name, "aws:alert_"); !ok {
			return false, "", false
		}
	}
	switch scope {
	case ScopeStrict, ScopeEstablished, ScopeEstablishedApp, ScopeEstablishedAppToServer:
		return drop, scope, true
	}
	return false, "", false
}

// checkDefaultActions: only in strict order, at most one drop, and not both of
// the established and the application-layer family.
func checkDefaultActions(actions []string, order string) error {
	const field = "StatefulDefaultActions"
	if len(actions) > 0 && order != wire.RuleOrderStrictOrder {
		return invalid(field+" has invalid rule order", order, field)
	}
	var dropped, established, appLayer string // the first of each sort
	for i, a := range actions {
		drop, scope, ok := DefaultAction(a)
		if !ok {
			return invalid(field+" is invalid", a, field)
		}
		if slices.Contains(actions[:i], a) {
			return invalid(field+" has duplicate values", a, field)
		}
		var clash string
		switch {
		case drop && dropped != "":
			clash = dropped
		case scope == ScopeEstablished && appLayer != "":
			clash = appLayer
		case scope != ScopeEstablished && scope != ScopeStrict && established != "":
			clash = established
		}
		if clash != "" {
			return invalid(field+" cannot exist together", []string{clash, a}, field)
		}
		if drop {
			dropped = a
		}
		switch scope {
		case ScopeEstablished:
			established = a
		case ScopeEstablishedApp, ScopeEstablishedAppToServer:
			appLayer = a
		}
	}
	return nil
}

func checkPolicyVariables(v *wire.PolicyVariables) error {
	if v == nil {
		return nil
	}
	for _, name := range sortedKeys(v.RuleVariables) {
		context := "PolicyVariables.RuleVariables.IPSet." + name
		if name != "HOME_NET" {
			return invalid("RuleVariables is invalid", name, context)
		}
		definition := v.RuleVariables[name].Definition
		if len(definition) == 0 {
			return invalid("Definition cannot be null or empty", nil, context)
		}
		if err := checkDefinition(definition, context, parsesAsAddrs); err != nil {
			return err
		}
	}
	return nil
}

// checkTLS: nothing here decrypts TLS, so a policy that asks for it is refused
// rather than enforced on half of the traffic.
func checkTLS(doc *wire.FirewallPolicy) error {
	arn := wire.Val(doc.TLSInspectionConfigurationArn)
	if wire.Val(doc.EnableTLSSessionHolding) && arn == "" {
		return wire.InvalidRequestException("TLSInspectionConfigurationArn value is required when EnableTLSSessionHolding is true.")
	}
	if arn != "" {
		return invalid("TLSInspectionConfigurationArn is unsupported: the engine does not decrypt TLS yet", arn, "TLSInspectionConfigurationArn")
	}
	return nil
}

func checkStatelessReferences(refs []wire.StatelessRuleGroupReference, lookup GroupLookup, use *PolicyUse) error {
	const field = "StatelessRuleGroupReferences"
	if n := len(refs); n > MaxGroupReferences {
		return invalid(field+" limit exceeded", n, field)
	}
	priorities := map[int32]bool{}
	arns := map[string]bool{}
	for i, ref := range refs {
		priority := wire.Val(ref.Priority)
		if priorities[priority] {
			return invalid("Priority has duplicate values", int(priority), fmt.Sprintf("%s[Priority=%d]", field, priority))
		}
		priorities[priority] = true
		facts, err := checkReference(wire.Val(ref.ResourceArn), field+"["+strconv.Itoa(i)+"]", arns, lookup, KindStateless)
		if err != nil {
			return err
		}
		use.Add(facts)
	}
	if use.Stateless > MaxPolicyStatelessCapacity {
		return invalid(field+" capacity exceeded", use.Stateless, field)
	}
	return nil
}

func checkStatefulReferences(refs []wire.StatefulRuleGroupReference, order string, lookup GroupLookup, use *PolicyUse) error {
	const field = "StatefulRuleGroupReferences"
	if n := len(refs); n > MaxGroupReferences {
		return invalid(field+" limit exceeded", n, field)
	}
	strict := order == wire.RuleOrderStrictOrder
	priorities := map[int32]bool{}
	arns := map[string]bool{}
	for i, ref := range refs {
		at := field + "[" + strconv.Itoa(i) + "]"
		switch {
		case strict && ref.Priority == nil:
			return invalid("Priority cannot be null", nil, at)
		case !strict && ref.Priority != nil:
			return invalid("Priority cannot be provided", nil, at)
		case strict && priorities[*ref.Priority]:
			return invalid("Priority has duplicate values", int(*ref.Priority), fmt.Sprintf("%s[Priority=%d]", field, *ref.Priority))
		case strict:
			priorities[*ref.Priority] = true
		}
		arn := wire.Val(ref.ResourceArn)
		facts, err := checkReference(arn, at, arns, lookup, KindStateful, KindStatefulDomain)
		if err != nil {
			return err
		}
		if facts.RuleOrder != order {
			return invalid("ResourceArn has invalid rule order", arn, at+".ResourceArn")
		}
		if ref.Override != nil && ref.Override.Action != nil {
			return wire.InvalidRequestException("rule group must be a managed resource")
		}
		use.Add(facts)
	}
	if use.Stateful > MaxPolicyStatefulCapacity {
		return invalid(field+" capacity exceeded", use.Stateful, field)
	}
	return nil
}

// checkReference looks a group up that must be of one of the kinds and must
// not be among seen, to which it is added.
func checkReference(arn, context string, seen map[string]bool, lookup GroupLookup, kinds ...string) (GroupFacts, error) {
	if seen[arn] {
		return GroupFacts{}, invalid("ResourceArn has duplicate values", arn, context+".ResourceArn")
	}
	seen[arn] = true
	facts, err := lookup(arn)
	if err != nil {
		return GroupFacts{}, err
	}
	if !slices.Contains(kinds, facts.Kind) {
		return GroupFacts{}, invalid("rule group ARN is of incorrect entity type", arn, "")
	}
	return facts, nil
}
