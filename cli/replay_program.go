package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/setfiles"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/rule"
)

// program compiles what the capture is to be judged by.
func (r *replayCommand) program() (*detect.Program, error) {
	vars, err := parseVars(r.vars)
	if err != nil {
		return nil, err
	}
	opt, err := r.databases.open()
	if err != nil {
		return nil, err
	}
	var p *detect.Program
	if r.policy != "" {
		p, err = r.policyProgram(policy.RuleOptions{Countries: opt.Countries, BeyondAWS: r.beyondAWS, Reputation: opt.Reputation})
	} else {
		p, err = r.rulesProgram(vars, opt)
	}
	if err != nil {
		return nil, err
	}
	switch drops := r.mode == "ips"; { // who only looks on cannot drop, nor lose sight of what it would have dropped
	case drops && r.exception == "drop":
		p.Exception = detect.ExceptionDrop
	case r.exception == "reject" && (drops || r.policy == "" && !r.midstream): // alerts tell of it, whoever looks on
		p.Exception = detect.ExceptionReject
	case r.midstream:
		p.Exception = detect.ExceptionPickUp
	case !drops, r.exception != "":
		p.Exception = detect.ExceptionContinue
	}
	p.Suricata = r.policy == ""
	return p, nil
}

// rulesProgram compiles a rule file. It says on stderr what is wrong with each
// rule, in the way of compilers.
func (r *replayCommand) rulesProgram(vars *variables, opt detect.Options) (*detect.Program, error) {
	text, err := os.ReadFile(r.rules)
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	rules, wrong := rule.ParseFile(string(text))
	var sources ruleSources
	warn := func(line int, text string) {
		fmt.Fprintf(r.env.Stderr, "%s:%d:1: warning: %s\n", printable(r.rules), line, printable(text))
	}
	for _, one := range rules {
		if one.Unmet != "" {
			warn(one.Line, leftOut(one.Unmet))
			continue
		}
		var unable *detect.Error
		if err := detect.Check(one, vars, opt); errors.As(err, &unable) {
			wrong = append(wrong, &rule.Error{Line: unable.Line, Col: unable.Col, Msg: unable.Msg})
			continue
		}
		earlier, taken := sources.add(detect.Source{Rule: one, Lookup: vars})
		switch {
		case !taken:
			wrong = append(wrong, &rule.Error{Line: one.Line, Col: 1, Msg: usedTwice(one, fmt.Sprintf("line %d", earlier.Line))})
		case earlier != nil:
			warn(earlier.Line, leftOut(fmt.Sprintf("line %d has a newer revision of it", one.Line)))
		}
	}
	if len(wrong) > 0 {
		slices.SortStableFunc(wrong, func(a, b *rule.Error) int { return a.Line - b.Line })
		for _, e := range wrong {
			fmt.Fprintf(r.env.Stderr, "%s:%d:%d: %s\n", printable(r.rules), e.Line, e.Col, printable(e.Msg))
		}
		return nil, fmt.Errorf("%d of the rules in %s cannot be used; nothing was replayed", len(wrong), r.rules)
	}
	opt.Files = &ruleSetFiles{folders: []string{filepath.Dir(r.rules)}, Dir: setfiles.Dir(r.dataDir)}
	set, err := detect.Compile(sources.all(), opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.rules, err)
	}
	return &detect.Program{Generation: 1, Rules: set}, nil
}

// variables are those of --var. A value that could be addresses as well as ports is both.
type variables struct {
	addrs map[string]rule.Addrs
	ports map[string]rule.Ports
}

// Addrs implements detect.Variables.
func (v *variables) Addrs(name string) (rule.Addrs, bool) { a, ok := v.addrs[name]; return a, ok }

// Ports implements detect.Variables.
func (v *variables) Ports(name string) (rule.Ports, bool) { p, ok := v.ports[name]; return p, ok }

func parseVars(flags []string) (*variables, error) {
	v := &variables{map[string]rule.Addrs{}, map[string]rule.Ports{}}
	for _, f := range flags {
		name, value, ok := strings.Cut(f, "=")
		name = strings.TrimPrefix(name, "$")
		if !ok || name == "" {
			return v, usagef("--var %s: write NAME=VALUE", f)
		}
		addrs, addrErr := rule.ParseAddrs(value)
		if addrErr == nil {
			v.addrs[name] = addrs
		}
		ports, portErr := rule.ParsePorts(value)
		if portErr == nil {
			v.ports[name] = ports
		}
		if addrErr != nil && portErr != nil {
			return v, usagef("--var %s: neither addresses (%v) nor ports (%v)", f, addrErr, portErr)
		}
	}
	return v, nil
}

// groupFile is a CreateRuleGroup request or a DescribeRuleGroup answer.
type groupFile struct {
	RuleGroup         *wire.RuleGroup
	RuleGroupName     *string
	Rules             *string
	Type              *string
	Capacity          *int32
	RuleGroupResponse *wire.RuleGroupResponse

	path string
}

// kind is the group's type in lower case: policy.KindStateful or KindStateless.
func (g *groupFile) kind() string {
	t := wire.Val(g.Type)
	if g.RuleGroupResponse != nil && t == "" {
		t = wire.Val(g.RuleGroupResponse.Type)
	}
	if t == "" && g.RuleGroup.RulesSource != nil && g.RuleGroup.RulesSource.StatelessRulesAndCustomActions != nil {
		return policy.KindStateless
	}
	if t == "" {
		return policy.KindStateful
	}
	return strings.ToLower(t)
}

// is says whether arn, or a plain name in its place, means this group.
func (g *groupFile) is(arn string) bool {
	name := wire.Val(g.RuleGroupName)
	if a := g.RuleGroupResponse; a != nil {
		if wire.Val(a.RuleGroupArn) == arn {
			return true
		}
		name = wire.Val(a.RuleGroupName)
	}
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(g.path), ".json")
	}
	return arn == name || strings.HasSuffix(arn, ":"+g.kind()+"-rulegroup/"+name)
}

// policyProgram compiles the documents of a directory.
func (r *replayCommand) policyProgram(rules policy.RuleOptions) (*detect.Program, error) {
	dir := r.policy
	in := policy.Input{ARN: "policy", Groups: map[string]*wire.RuleGroup{}, Rules: rules, HomeNet: policy.DefaultHomeNet}
	in.Files = &ruleSetFiles{folders: []string{dir}, Dir: setfiles.Dir(r.dataDir)}
	for _, v := range r.vars {
		name, value, _ := strings.Cut(v, "=")
		if name != "HOME_NET" {
			return nil, usagef("--var %s: with --policy only HOME_NET can be set; rule groups define the others", v)
		}
		in.HomeNet = strings.Split(strings.Trim(value, "[]"), ",")
	}
	var err error
	if in.Policy, err = readPolicy(filepath.Join(dir, "policy.json")); err != nil {
		return nil, err
	}
	groups, err := readGroups(dir)
	if err != nil {
		return nil, err
	}
	facts := map[string]policy.GroupFacts{}
	for _, arn := range references(in.Policy) {
		i := slices.IndexFunc(groups, func(g *groupFile) bool { return g.is(arn) })
		if i < 0 {
			return nil, fmt.Errorf("%s: no file of the directory is rule group %s; save its DescribeRuleGroup answer there", dir, arn)
		}
		g := groups[i]
		capacity := policy.MaxGroupCapacity
		if g.Capacity != nil {
			capacity = int(*g.Capacity)
		}
		if _, err := policy.CheckRuleGroup(g.kind(), g.RuleGroup, capacity, rules.Check()); err != nil {
			return nil, fmt.Errorf("%s: %w", g.path, err)
		}
		in.Groups[arn] = g.RuleGroup
		facts[arn] = policy.GroupFacts{Kind: g.kind(), RuleOrder: policy.RuleOrderOf(g.RuleGroup)}
	}
	if _, err := policy.CheckFirewallPolicy(in.Policy, func(arn string) (policy.GroupFacts, error) { return facts[arn], nil }); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "policy.json"), err)
	}
	p, err := policy.Compile(in, 1)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return p, nil
}

// references lists the rule groups of a policy, each once.
func references(p *wire.FirewallPolicy) []string {
	all := map[string]bool{}
	for _, ref := range p.StatelessRuleGroupReferences {
		all[wire.Val(ref.ResourceArn)] = true
	}
	for _, ref := range p.StatefulRuleGroupReferences {
		all[wire.Val(ref.ResourceArn)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

func readPolicy(path string) (*wire.FirewallPolicy, error) {
	var around struct{ FirewallPolicy *wire.FirewallPolicy }
	if err := readDocument(path, &around); err != nil {
		return nil, err
	}
	if around.FirewallPolicy != nil {
		return around.FirewallPolicy, nil
	}
	bare := &wire.FirewallPolicy{}
	return bare, readDocument(path, bare)
}

// readGroups reads every document of dir but the policy.
func readGroups(dir string) ([]*groupFile, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var groups []*groupFile
	for _, path := range paths {
		if filepath.Base(path) == "policy.json" {
			continue
		}
		g := &groupFile{path: path}
		if err := readDocument(path, g); err != nil {
			return nil, err
		}
		if g.RuleGroup == nil && g.Rules != nil {
			g.RuleGroup = &wire.RuleGroup{RulesSource: &wire.RulesSource{RulesString: g.Rules}}
		}
		if g.RuleGroup != nil { // else some other document: expected verdicts, say
			groups = append(groups, g)
		}
	}
	return groups, nil
}

func readDocument(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read a document of the policy: %w", err)
	}
	if err := wire.Decode(text, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
