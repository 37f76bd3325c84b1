package policy

import (
	"slices"
	"strings"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/rule"
)

// beyondAWS are keywords that AWS refuses by name, or whose files it has no place for, and that this
// engine runs where its operator wants them.
var beyondAWS = append([]string{"dataset", "datarep", "iprep"}, fileDigests...)

// fileDigests are the keywords whose value is the name of a list, perhaps after an exclamation mark.
var fileDigests = []string{"filemd5", "filesha1", "filesha256"}

// RuleOptions say what stateful rules can ask, beside their packets. The zero value refuses what
// AWS refuses, and geoip.
type RuleOptions struct {
	Countries  detect.Countries  // that geoip asks; nil refuses it
	BeyondAWS  bool              // take the keywords of beyondAWS
	Reputation detect.Reputation // that iprep asks; nil refuses it
}

// Check returns how the rule groups of an installation with these options are checked.
func (o RuleOptions) Check() RuleCheck {
	return RuleCheck{o.BeyondAWS, func(text string) error {
		r, err := rule.Parse(text)
		if err != nil {
			return err
		}
		if err := o.allows(r); err != nil {
			return err
		}
		return detect.Check(r, anyVariables{}, detect.Options{Countries: o.Countries, Reputation: o.Reputation})
	}}
}

// allows says why a rule cannot be had here.
func (o RuleOptions) allows(r *rule.Rule) error {
	for i := range r.Options {
		opt := &r.Options[i]
		if !o.BeyondAWS && slices.Contains(beyondAWS, opt.Name) {
			return &rule.Error{Line: opt.Line, Col: opt.Col, Msg: opt.Name + " is not in the rules of AWS; to have it beyond them, set the key rules.beyond_aws"}
		}
		var set rule.SetOptions
		switch arg := opt.Arg.(type) {
		case *rule.Dataset:
			set = arg.SetOptions
		case *rule.DataRep:
			set = arg.SetOptions
		}
		names := []string{set.Load, set.Save, set.State}
		if slices.Contains(fileDigests, opt.Name) {
			names = append(names, strings.TrimSpace(strings.TrimPrefix(opt.Value, "!")))
		}
		for _, name := range names {
			if name != "" && !plainPath(name) {
				return &rule.Error{Line: opt.Line, Col: opt.Col, Msg: "files that rules name are below datasets_dir; name one there, such as lists/bad.lst, without a leading / and without parts that begin with . or @"}
			}
		}
	}
	return nil
}

// plainPath says whether a name can only mean a file that rules may name: parts that begin with @
// are the node's own.
func plainPath(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || part[0] == '@' {
			return false
		}
	}
	return true
}
