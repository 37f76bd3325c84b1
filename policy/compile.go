package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/engine/stateless"
	"github.com/sluicefw/sluice/rule"
)

// Input is a firewall policy with all that it refers to.
type Input struct {
	ARN    string
	Policy *wire.FirewallPolicy
	Groups map[string]*wire.RuleGroup // by ARN, every group that Policy references

	// References are the CIDRs of the reference sets that Groups use, by ARN. As
	// on AWS, one that is not there is empty.
	References map[string][]netip.Prefix

	// HomeNet is HOME_NET where neither the policy nor a group sets it. On AWS
	// that is the VPC's CIDR; here the node's configuration says, or DefaultHomeNet.
	HomeNet []string

	Rules RuleOptions // what stateful rules can ask

	// Files are those of data sets; nil refuses rules that name any.
	Files detect.SetFiles

	// Lost, if set, is told of files that cannot be read, which is no error then: see detect.Options.
	Lost func(error)

	// Previous is the rule set that the program's will take the place of, or nil: see detect.Options.
	Previous *detect.RuleSet
}

// setMemory bounds what packets make all data sets of a firewall hold, in bytes.
const setMemory = 1 << 30

// DefaultHomeNet stands for the CIDR of the VPC that AWS takes: all private ranges.
var DefaultHomeNet = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}

// Compile makes the program of a policy. Documents have passed CheckRuleGroup
// and CheckFirewallPolicy; an error names the group and, for rules, the line
// and column.
func Compile(in Input, generation uint32) (*detect.Program, error) {
	p := &detect.Program{Generation: generation, TCPIdle: DefaultTCPIdle * time.Second}
	if err := compileStateless(in, p); err != nil {
		return nil, err
	}
	strict := PolicyRuleOrder(in.Policy) == wire.RuleOrderStrictOrder
	sources, err := statefulSources(in, strict)
	if err != nil {
		return nil, err
	}
	p.Rules, err = detect.Compile(sources, detect.Options{
		Strict: strict, FlowVerdicts: true, Countries: in.Rules.Countries, Reputation: in.Rules.Reputation, Files: in.Files, Lost: in.Lost, SetMemory: setMemory, Previous: in.Previous,
	})
	if unable, ok := errors.AsType[*detect.Error](err); ok {
		of := func(s detect.Source) bool { return s.Rule == unable.Rule }
		return nil, fmt.Errorf("rule group %s: sid %d: %w", sources[slices.IndexFunc(sources, of)].ResourceARN, unable.Rule.SID, err)
	}
	if err != nil {
		return nil, err
	}
	if o := in.Policy.StatefulEngineOptions; o != nil {
		switch wire.Val(o.StreamExceptionPolicy) {
		case wire.StreamExceptionPolicyReject:
			p.Exception = detect.ExceptionReject
		case wire.StreamExceptionPolicyContinue:
			p.Exception = detect.ExceptionContinue
		}
		if o.FlowTimeouts != nil && o.FlowTimeouts.TcpIdleTimeoutSeconds != nil {
			p.TCPIdle = time.Duration(*o.FlowTimeouts.TcpIdleTimeoutSeconds) * time.Second
		}
	}
	p.Defaults = defaults(in.Policy.StatefulDefaultActions, in.ARN)
	return p, nil
}

// defaults turns the names of stateful default actions into families. The
// signature ids of the alerts are AWS's; the last two are in the order in which
// the actions were introduced, which nobody has published.
func defaults(actions []string, arn string) detect.Defaults {
	families := map[string]detect.Family{
		ScopeStrict: detect.Strict, ScopeEstablished: detect.Established,
		ScopeEstablishedApp: detect.EstablishedApp, ScopeEstablishedAppToServer: detect.EstablishedToServer,
	}
	var d detect.Defaults
	for _, a := range actions {
		drop, scope, ok := DefaultAction(a)
		if !ok {
			continue
		}
		f := families[scope]
		if drop {
			d.Drop[f] = true
		} else {
			d.Alert[f] = true
		}
	}
	for scope, f := range families {
		action := detect.Alert
		if d.Drop[f] {
			action = detect.Drop
		}
		d.Rules[f] = detect.Rule{
			Action: action, Log: d.Alert[f],
			Meta: detect.Meta{
				GID: 1, SID: uint32(f+1) * 2, Severity: 3, ResourceARN: arn,
				Msg: "aws:alert_" + scope + " action",
			},
		}
	}
	return d
}

// statefulSources lists the rules of all stateful groups in evaluation order.
func statefulSources(in Input, strict bool) ([]detect.Source, error) {
	refs := slices.Clone(in.Policy.StatefulRuleGroupReferences)
	if strict {
		slices.SortStableFunc(refs, func(a, b wire.StatefulRuleGroupReference) int {
			return int(wire.Val(a.Priority)) - int(wire.Val(b.Priority))
		})
	}
	home, err := homeNet(in)
	if err != nil {
		return nil, err
	}
	var all []detect.Source
	for _, ref := range refs {
		arn := wire.Val(ref.ResourceArn)
		doc := in.Groups[arn]
		if doc == nil {
			return nil, fmt.Errorf("rule group %s is not there", arn)
		}
		sources, err := groupSources(arn, doc, home, in)
		if err != nil {
			return nil, fmt.Errorf("rule group %s: %w", arn, err)
		}
		all = append(all, sources...)
	}
	return all, nil
}

// groupSources parses the rules of a stateful group, whatever form they have.
// Those that match nothing because of what their reference sets hold today are
// left out.
func groupSources(arn string, doc *wire.RuleGroup, home rule.Addrs, in Input) ([]detect.Source, error) {
	vars, err := groupVariables(doc, home, in.References)
	if err != nil {
		return nil, err
	}
	if doc.RulesSource == nil {
		return nil, fmt.Errorf("it has no rules source")
	}
	texts := ruleTexts(doc)
	sources := make([]detect.Source, 0, len(texts))
	for i, text := range texts {
		r, err := rule.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		if err := in.Rules.allows(r); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		if vars.nothing(r.Src) || vars.nothing(r.Dst) {
			continue
		}
		r.Line = i + 1
		sources = append(sources, detect.Source{Rule: r, Lookup: vars, ResourceARN: arn})
	}
	return sources, nil
}

// variables are the names that a group's rule headers may use.
type variables struct {
	addrs map[string]rule.Addrs // those of reference sets as "@NAME"
	ports map[string]rule.Ports
	empty map[string]bool // whether expressions with reference sets match nothing, by their text
}

func (v *variables) Addrs(name string) (rule.Addrs, bool) { a, ok := v.addrs[name]; return a, ok }
func (v *variables) Ports(name string) (rule.Ports, bool) { p, ok := v.ports[name]; return p, ok }

// nothing reports whether an expression matches nothing and a reference set
// has a part in that: the set may change, so the rule is no mistake.
func (v *variables) nothing(a rule.Addrs) bool {
	if !refers(a.Terms) {
		return false
	}
	key := a.String()
	empty, known := v.empty[key]
	if !known {
		_, err := a.Resolve(v.Addrs)
		empty = errors.Is(err, rule.ErrMatchesNothing)
		v.empty[key] = empty
	}
	return empty
}

// refers reports whether a reference set is among terms. Variables have none.
func refers(terms []rule.Addr) bool {
	return slices.ContainsFunc(terms, func(t rule.Addr) bool { return strings.HasPrefix(t.Var, "@") || refers(t.List) })
}

func homeNet(in Input) (rule.Addrs, error) {
	def := in.HomeNet
	if v := in.Policy.PolicyVariables; v != nil {
		if set, ok := v.RuleVariables["HOME_NET"]; ok {
			def = set.Definition
		}
	}
	a, err := parseSet(def)
	if err != nil {
		return rule.Addrs{}, fmt.Errorf("HOME_NET: %w", err)
	}
	return a, nil
}

func parseSet(items []string) (rule.Addrs, error) {
	return rule.ParseAddrs("[" + strings.Join(items, ",") + "]")
}

// groupVariables gives a group its own variables over the policy's HOME_NET and
// its negation. AWS: a group that sets only HOME_NET keeps the policy's EXTERNAL_NET.
func groupVariables(doc *wire.RuleGroup, home rule.Addrs, references map[string][]netip.Prefix) (*variables, error) {
	v := &variables{
		addrs: map[string]rule.Addrs{
			"HOME_NET":     home,
			"EXTERNAL_NET": {Terms: []rule.Addr{{Negated: true, List: home.Terms}}},
		},
		ports: map[string]rule.Ports{},
		empty: map[string]bool{},
	}
	if doc.ReferenceSets != nil {
		for name, ref := range doc.ReferenceSets.IPSetReferences {
			v.addrs["@"+name] = rule.AddrsOf(references[wire.Val(ref.ReferenceArn)])
		}
	}
	if doc.RuleVariables == nil {
		return v, nil
	}
	for name, set := range doc.RuleVariables.IPSets {
		a, err := parseSet(set.Definition)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		v.addrs[name] = a
	}
	for name, set := range doc.RuleVariables.PortSets {
		p, err := rule.ParsePorts("[" + strings.Join(set.Definition, ",") + "]")
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		v.ports[name] = p
	}
	return v, nil
}

// anyVariables knows every name, as some addresses and ports.
type anyVariables struct{}

func (anyVariables) Addrs(string) (rule.Addrs, bool) {
	a, err := rule.ParseAddrs("[192.0.2.0/24,2001:db8::/32]")
	return a, err == nil
}

func (anyVariables) Ports(string) (rule.Ports, bool) {
	p, err := rule.ParsePorts("1024")
	return p, err == nil
}

// compileStateless makes the stateless table of a policy and collects its
// custom actions.
func compileStateless(in Input, p *detect.Program) error {
	custom := map[string]uint16{}
	define := func(actions []wire.CustomAction) map[string]uint16 {
		local := map[string]uint16{}
		for _, a := range actions {
			value := wire.Val(a.ActionName)
			if d := a.ActionDefinition; d != nil && d.PublishMetricAction != nil && len(d.PublishMetricAction.Dimensions) > 0 {
				value = wire.Val(d.PublishMetricAction.Dimensions[0].Value)
			}
			i, ok := custom[value]
			if !ok {
				i = uint16(len(p.Custom))
				custom[value] = i
				p.Custom = append(p.Custom, value)
			}
			local[wire.Val(a.ActionName)] = i
		}
		return local
	}
	own := define(in.Policy.StatelessCustomActions)
	refs := slices.Clone(in.Policy.StatelessRuleGroupReferences)
	slices.SortStableFunc(refs, func(a, b wire.StatelessRuleGroupReference) int {
		return int(wire.Val(a.Priority)) - int(wire.Val(b.Priority))
	})
	var rules []stateless.Rule
	for _, ref := range refs {
		arn := wire.Val(ref.ResourceArn)
		doc := in.Groups[arn]
		if doc == nil || doc.RulesSource == nil || doc.RulesSource.StatelessRulesAndCustomActions == nil {
			return fmt.Errorf("stateless rule group %s is not there", arn)
		}
		src := doc.RulesSource.StatelessRulesAndCustomActions
		actions := define(src.CustomActions)
		list := slices.Clone(src.StatelessRules)
		slices.SortStableFunc(list, func(a, b wire.StatelessRule) int { return int(wire.Val(a.Priority)) - int(wire.Val(b.Priority)) })
		for _, r := range list {
			compiled, err := statelessRule(r, actions)
			if err != nil {
				return fmt.Errorf("stateless rule group %s, rule %d: %w", arn, wire.Val(r.Priority), err)
			}
			rules = append(rules, compiled)
		}
	}
	p.Stateless = stateless.New(rules, decision(in.Policy.StatelessDefaultActions, own), decision(in.Policy.StatelessFragmentDefaultActions, own))
	return nil
}

func decision(actions []string, custom map[string]uint16) stateless.Decision {
	var d stateless.Decision
	for _, a := range actions {
		switch a {
		case ActionPass:
			d.Action = stateless.Pass
		case ActionDrop:
			d.Action = stateless.Drop
		case ActionForward:
			d.Action = stateless.Forward
		default:
			if i, ok := custom[a]; ok {
				d.Custom = append(d.Custom, i)
			}
		}
	}
	return d
}

// tcpFlagBits are the API's names of TCP flags.
var tcpFlagBits = map[string]uint8{
	wire.TCPFlagFin: packet.FIN, wire.TCPFlagSyn: packet.SYN, wire.TCPFlagRst: packet.RST, wire.TCPFlagPsh: packet.PSH,
	wire.TCPFlagAck: packet.ACK, wire.TCPFlagUrg: packet.URG, wire.TCPFlagEce: packet.ECE, wire.TCPFlagCwr: packet.CWR,
}

func statelessRule(r wire.StatelessRule, custom map[string]uint16) (stateless.Rule, error) {
	var out stateless.Rule
	def := wire.Val(r.RuleDefinition)
	m := wire.Val(def.MatchAttributes)
	var err error
	if out.Src, err = prefixes(m.Sources); err != nil {
		return out, err
	}
	if out.Dst, err = prefixes(m.Destinations); err != nil {
		return out, err
	}
	out.SrcPorts, out.DstPorts = portRanges(m.SourcePorts), portRanges(m.DestinationPorts)
	for _, p := range m.Protocols {
		out.Protos = append(out.Protos, uint8(p))
	}
	for _, f := range m.TCPFlags {
		var match stateless.FlagMatch
		for _, name := range f.Flags {
			match.Flags |= tcpFlagBits[name]
		}
		for _, name := range f.Masks {
			match.Mask |= tcpFlagBits[name]
		}
		if len(f.Masks) == 0 {
			match.Mask = match.Flags
		}
		out.Flags = append(out.Flags, match)
	}
	out.Decision = decision(def.Actions, custom)
	return out, nil
}

func prefixes(addrs []wire.Address) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, a := range addrs {
		text := wire.Val(a.AddressDefinition)
		p, err := netip.ParsePrefix(text)
		if err != nil {
			ip, iperr := netip.ParseAddr(text)
			if iperr != nil {
				return nil, fmt.Errorf("%q is neither an IP address nor a CIDR", text)
			}
			p = netip.PrefixFrom(ip, ip.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func portRanges(ranges []wire.PortRange) []stateless.PortRange {
	var out []stateless.PortRange
	for _, r := range ranges {
		out = append(out, stateless.PortRange{From: uint16(wire.Val(r.FromPort)), To: uint16(wire.Val(r.ToPort))})
	}
	return out
}
