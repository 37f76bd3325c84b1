package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/parsers"
	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/setfiles"
	"github.com/sluicefw/sluice/rule"
)

// rulesCommand holds the flags of rules check and rules explain.
type rulesCommand struct {
	env    Env
	vars   []string
	order  string
	strict bool
	json   bool

	databases databases
	dataDir   string
	opt       detect.Options // once read has opened them
}

// NewRules returns the rules command: it looks at rule files without running them.
func NewRules(env Env) *cobra.Command {
	r := &rulesCommand{env: env}
	check := &cobra.Command{
		Use:   "check [flags] FILE...",
		Short: "Say what is wrong with rules, and what may not do what it seems to",
		Long: `Check reads files of Suricata rules (- for standard input) as replay and the API do,
and reports with line and column

  errors    what cannot be used: mistakes, what contradicts itself, keywords that this
            version does not support, and sids that are used twice with no higher rev
  warnings  no-flow: a pass, drop or reject that decides connections by their first packet,
            before application rules can see anything; add flow:established
            no-fast-pattern: contents of which none finds the rule in traffic
            never-raised: an app-layer-event of a protocol without a parser
            shadowed: another rule decides all that this one could
            requires: a rule that is left out, because its requires does not hold
            replaced: a rule that is left out, because one with its sid and a higher rev follows

It needs no server, no root and no network. Variables other than --var gives match
everything.

Exit codes: 0 nothing wrong; 1 errors, or with --strict warnings; 2 wrong usage.`,
		Example: `  sluice rules check local.rules
  sluice rules check --strict --json --var HOME_NET=10.0.0.0/8 *.rules`,
		Args: files,
		RunE: func(_ *cobra.Command, args []string) error { return r.check(args) },
	}
	explain := &cobra.Command{
		Use:   "explain [flags] FILE...",
		Short: "Say when rules are looked at, and what they decide",
		Long: `Explain prints for each rule, in the order of evaluation, its kind in Suricata's words, what
its action decides, and the bytes by which it is found in traffic.

Exit codes: 0 done; 1 a rule cannot be used; 2 wrong usage.`,
		Example: `  sluice rules explain local.rules`,
		Args:    files,
		RunE:    func(_ *cobra.Command, args []string) error { return r.explain(args) },
	}
	for _, c := range []*cobra.Command{check, explain} {
		r.databases.flags(c)
		dataDirFlag(c, &r.dataDir)
		c.Flags().StringArrayVar(&r.vars, "var", nil, "NAME=VALUE: an address or port variable of the rules; repeatable")
		c.Flags().StringVar(&r.order, "order", "action", "action (pass, drop, reject, alert) or strict (as written)")
		c.Flags().BoolVar(&r.json, "json", false, "print JSON")
	}
	check.Flags().BoolVar(&r.strict, "strict", false, "fail on warnings, too")
	return group(&cobra.Command{Use: "rules", Short: "Look at rule files"}, check, explain)
}

func files(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("%s takes rule files, got none", c.CommandPath())
	}
	return nil
}

// finding is something to say about a rule.
type finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"` // "error" or "warning"
	Code     string `json:"code"`     // "syntax", "unsupported", "duplicate-sid", or what detect.Review doubts
	SID      uint32 `json:"sid,omitempty"`
	Message  string `json:"message"`

	text string // the line that it is about, or ""
}

// ruleFiles are files of rules as far as they can be used.
type ruleFiles struct {
	findings []finding
	rules    int
	sources  ruleSources
	file     map[*rule.Rule]string
	lines    map[string][]string
}

// place says where the rule of a sid stands.
func (f *ruleFiles) place(m *detect.Meta) (string, *rule.Rule) {
	r := f.sources.taken[f.sources.at[[2]uint32{m.GID, m.SID}]].Rule
	return f.file[r], r
}

func (f *ruleFiles) report(file string, line, col int, severity, code string, sid uint32, message string) {
	text := ""
	if lines := f.lines[file]; line <= len(lines) {
		text = lines[line-1]
	}
	f.findings = append(f.findings, finding{file, line, col, severity, code, sid, message, text})
}

// read reads the rules of all files.
func (r *rulesCommand) read(names []string) (*ruleFiles, error) {
	if r.order != "action" && r.order != "strict" {
		return nil, usagef("--order %s: choose one of action, strict", r.order)
	}
	vars, err := parseVars(r.vars)
	if err != nil {
		return nil, err
	}
	if r.opt, err = r.databases.open(); err != nil {
		return nil, err
	}
	f := &ruleFiles{file: map[*rule.Rule]string{}, lines: map[string][]string{}}
	for _, name := range names {
		text, err := readInput(r.env, name)
		if err != nil {
			return nil, fmt.Errorf("read the rules: %w", err)
		}
		f.lines[name] = strings.Split(string(text), "\n")
		rules, wrong := rule.ParseFile(string(text))
		f.rules += len(rules) + len(wrong)
		for _, e := range wrong {
			f.report(name, e.Line, e.Col, "error", "syntax", 0, e.Msg)
		}
		for _, one := range rules {
			if one.Unmet != "" {
				f.report(name, one.Line, 1, "warning", "requires", one.SID, leftOut(one.Unmet))
				continue
			}
			var unable *detect.Error
			if err := detect.Check(one, anything{vars}, r.opt); errors.As(err, &unable) {
				code := "syntax"
				if unable.Unsupported {
					code = "unsupported"
				}
				f.report(name, unable.Line, unable.Col, "error", code, one.SID, unable.Msg)
				continue
			}
			f.file[one] = name
			switch earlier, taken := f.sources.add(detect.Source{Rule: one, Lookup: anything{vars}}); {
			case !taken:
				f.report(name, one.Line, 1, "error", "duplicate-sid", one.SID, usedTwice(one, fmt.Sprintf("%s, line %d", f.file[earlier], earlier.Line)))
			case earlier != nil:
				f.report(f.file[earlier], earlier.Line, 1, "warning", "replaced", one.SID,
					leftOut(fmt.Sprintf("%s, line %d, has a newer revision of it", name, one.Line)))
			}
		}
	}
	return f, nil
}

// readInput reads a file, or standard input for -.
func readInput(env Env, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(env.Stdin)
	}
	return os.ReadFile(name)
}

// anything are variables of which those that nobody gave match everything.
type anything struct{ *variables }

// Addrs implements detect.Variables.
func (v anything) Addrs(name string) (rule.Addrs, bool) {
	if a, ok := v.addrs[name]; ok {
		return a, true
	}
	return rule.Addrs{Any: true}, true
}

// Ports implements detect.Variables.
func (v anything) Ports(name string) (rule.Ports, bool) {
	if p, ok := v.ports[name]; ok {
		return p, true
	}
	return rule.Ports{Any: true}, true
}

func (r *rulesCommand) compile(f *ruleFiles, names []string) (*detect.RuleSet, error) {
	opt := r.opt
	files := &ruleSetFiles{Dir: setfiles.Dir(r.dataDir)}
	for _, name := range names {
		files.folders = append(files.folders, filepath.Dir(name))
	}
	opt.Strict, opt.Files = r.order == "strict", files
	return detect.Compile(f.sources.all(), opt)
}

// maxCompiled bounds how many rules are taken out of those that rules check compiles: each costs a compilation.
const maxCompiled = 100

func (r *rulesCommand) check(names []string) error {
	f, err := r.read(names)
	if err != nil {
		return err
	}
	for range maxCompiled {
		set, err := r.compile(f, names)
		unable, ok := errors.AsType[*detect.Error](err)
		if err != nil && !ok {
			return err
		}
		if err == nil {
			f.review(set)
			break
		}
		f.report(f.file[unable.Rule], unable.Line, unable.Col, "error", "syntax", unable.Rule.SID, unable.Msg)
		f.sources.remove(unable.Rule) // and the others may show what is wrong with them
	}
	slices.SortStableFunc(f.findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(slices.Index(names, a.File), slices.Index(names, b.File)), a.Line-b.Line, a.Column-b.Column)
	})
	f.findings = slices.CompactFunc(f.findings, func(a, b finding) bool { return a == b }) // of rules in both directions
	errs := 0
	for i := range f.findings {
		if f.findings[i].Severity == "error" {
			errs++
		}
	}
	warnings := len(f.findings) - errs
	if r.json {
		out := json.NewEncoder(r.env.Stdout)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		if f.findings == nil {
			f.findings = []finding{}
		}
		err = out.Encode(struct {
			Files    []string  `json:"files"`
			Rules    int       `json:"rules"`
			Errors   int       `json:"errors"`
			Warnings int       `json:"warnings"`
			Findings []finding `json:"findings"`
		}{names, f.rules, errs, warnings, f.findings})
	} else {
		for i := range f.findings {
			f.findings[i].print(r.env.Stdout)
		}
		_, err = fmt.Fprintf(r.env.Stdout, "%s: %s, %s\n", plural(f.rules, "rule"), plural(errs, "error"), plural(warnings, "warning"))
	}
	if err != nil {
		return err
	}
	if errs > 0 || r.strict && warnings > 0 {
		return &exitError{code: ExitError}
	}
	return nil
}

// review adds what the compiled rules make doubtful.
func (f *ruleFiles) review(set *detect.RuleSet) {
	for _, d := range set.Review(func(p applayer.Proto) bool { return parsers.New(p) != nil }) {
		file, one := f.place(&d.Rule.Meta)
		if one == nil {
			continue
		}
		message := ""
		switch d.Code {
		case detect.NoFlow:
			message = fmt.Sprintf("the %s decides connections by their first packet, before application rules see anything; add flow:established if that is not meant", d.Rule.Action)
		case detect.NoFastPattern:
			message = "none of its contents finds the rule in traffic: it is looked at for every packet; add a content of two bytes or more that is not negated"
		case detect.NeverRaised:
			message = "nothing raises the event that the rule waits for: its protocol has no parser in this version, or Suricata itself has given it up"
		case detect.Shadowed:
			other, by := f.place(&d.Other.Meta)
			message = fmt.Sprintf("the rule never decides: sid %d (%s, line %d) comes before it and has a %s for all that it could match", by.SID, other, by.Line, d.Other.Action)
		}
		f.report(file, one.Line, 1, "warning", d.Code, one.SID, message)
	}
}

// print writes a finding in the way of compilers, with the line and a mark below its column.
func (f *finding) print(w io.Writer) {
	fmt.Fprintf(w, "%s:%d:%d: %s: %s [%s]\n", printable(f.File), f.Line, f.Column, f.Severity, printable(f.Message), f.Code)
	const before, most = 40, 100 // characters
	text := []rune(strings.TrimRight(f.text, "\r"))
	at := min(len([]rune(f.text[:min(f.Column-1, len(f.text))])), len(text))
	start := 0
	if at > most-before {
		start = at - before
	}
	shown := text[start:min(start+most, len(text))]
	if len(shown) == 0 {
		return
	}
	for i, c := range shown {
		if c == '\t' {
			shown[i] = ' '
		}
	}
	fmt.Fprintf(w, "    %s\n    %s^\n", printable(string(shown)), strings.Repeat(" ", at-start))
}

func (r *rulesCommand) explain(names []string) error {
	f, err := r.read(names)
	if err != nil {
		return err
	}
	set, err := r.compile(f, names)
	if err != nil {
		return err
	}
	type explained struct {
		SID         uint32 `json:"sid"`
		Message     string `json:"msg"`
		Action      string `json:"action"`
		Kind        string `json:"kind"`
		FastPattern string `json:"fast_pattern,omitempty"`
	}
	all := []explained{}
	rules := set.Rules()
	for i := range rules {
		one := &rules[i]
		e := explained{SID: one.Meta.SID, Message: one.Meta.Msg, Action: one.Action.String(), Kind: one.Kind.String()}
		e.FastPattern, _ = one.FastPattern()
		if n := len(all); n == 0 || all[n-1] != e {
			all = append(all, e)
		}
	}
	if r.json {
		out := json.NewEncoder(r.env.Stdout)
		out.SetEscapeHTML(false)
		err = out.Encode(all)
	} else {
		t := table{colour: r.env.colour(), columns: []column{{title: "SID", right: true}, {title: "ACTION"}, {title: "KIND"}, {title: "FAST PATTERN"}, {title: "MESSAGE"}}}
		for _, e := range all {
			t.rows = append(t.rows, []string{fmt.Sprint(e.SID), e.Action, e.Kind, e.FastPattern, e.Message})
		}
		err = t.write(r.env.Stdout)
	}
	wrong := slices.ContainsFunc(f.findings, func(g finding) bool { return g.Severity == "error" })
	for i := range f.findings {
		f.findings[i].print(r.env.Stderr)
	}
	if err == nil && wrong {
		err = &exitError{code: ExitError}
	}
	return err
}
