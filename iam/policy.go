package iam

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// maxPolicyBytes bounds a document, and with it the time to evaluate it. AWS: 6,144 characters of a managed policy, not
// counting white space.
const maxPolicyBytes = 10 << 10

const (
	policyVersion = "2012-10-17"
	serviceName   = "network-firewall"
)

// Policy is a policy document, ready to be evaluated. It is immutable.
type Policy struct {
	statements []statement
	needsTags  bool // a condition asks for the tags of the resource
}

// statement is one element of Statement.
type statement struct {
	deny        bool
	actions     []glob // in lower case
	notAction   bool   // the statement is about all actions but these
	resources   []arnPattern
	notResource bool
	conditions  []condition // all must hold
}

// arnPattern matches ARNs by their six parts: a wildcard does not reach across
// a colon of the first five. AWS: "Using wildcards in ARNs".
type arnPattern struct {
	all   bool // the pattern is *
	parts [6]glob
}

// SyntaxError says where a policy document is wrong and why.
type SyntaxError struct {
	Path    string // such as Statement[0].Condition.IpAddress; "" for the whole document
	Problem string
}

// Error returns the place and the problem.
func (e *SyntaxError) Error() string {
	if e.Path == "" {
		return "policy: the document " + e.Problem
	}
	return "policy: " + e.Path + " " + e.Problem
}

func wrong(path, format string, args ...any) error {
	return &SyntaxError{Path: path, Problem: fmt.Sprintf(format, args...)}
}

// ParsePolicy reads a policy document of at most 10,240 bytes. Errors are
// *SyntaxError. Unknown elements, operators and condition keys are errors, and
// so are actions of network-firewall that do not exist: what a policy says and
// what it does must not differ.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > maxPolicyBytes {
		return nil, wrong("", "has %d bytes, at most %d are allowed", len(text), maxPolicyBytes)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil { // also refuses a member that is given twice
		return nil, wrong("", "is not valid JSON: %s", clip(err.Error()))
	}
	doc, err := object("", tree, "Version", "Id", "Statement")
	if err != nil {
		return nil, err
	}
	if v, ok := doc["Version"]; !ok || v != policyVersion {
		return nil, wrong("Version", "must be %q", policyVersion)
	}
	if id, ok := doc["Id"]; ok {
		if _, err := str("Id", id); err != nil {
			return nil, err
		}
	}
	list, ok := doc["Statement"]
	if !ok {
		return nil, wrong("Statement", "is missing")
	}
	statements, isList := list.([]any)
	if !isList {
		statements = []any{list}
	}
	if len(statements) == 0 {
		return nil, wrong("Statement", "is empty")
	}
	p := &Policy{}
	sids := make(map[string]bool)
	for i, v := range statements {
		path := "Statement"
		if isList {
			path = fmt.Sprintf("Statement[%d]", i)
		}
		st, sid, err := parseStatement(path, v)
		if err != nil {
			return nil, err
		}
		if sid != "" && sids[sid] {
			return nil, wrong(path+".Sid", "%q is that of another statement, too", clip(sid))
		}
		sids[sid] = true
		p.statements = append(p.statements, st)
		p.needsTags = p.needsTags || slices.ContainsFunc(st.conditions, func(c condition) bool { return c.key.kind == resourceTag })
	}
	return p, nil
}

func parseStatement(path string, v any) (st statement, sid string, err error) {
	if m, ok := v.(map[string]any); ok {
		for _, name := range []string{"Principal", "NotPrincipal"} {
			if _, has := m[name]; has {
				return st, "", wrong(path+"."+name, "is not allowed: the policy applies to the user that it is attached to")
			}
		}
	}
	m, err := object(path, v, "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")
	if err != nil {
		return st, "", err
	}
	if v, ok := m["Sid"]; ok {
		if sid, err = str(path+".Sid", v); err != nil {
			return st, "", err
		}
	}
	switch m["Effect"] {
	case "Allow":
	case "Deny":
		st.deny = true
	default:
		return st, "", wrong(path+".Effect", "must be \"Allow\" or \"Deny\"")
	}
	actions, at, err := oneOf(path, m, "Action", "NotAction", &st.notAction)
	if err != nil {
		return st, "", err
	}
	for i, a := range actions {
		g, problem := parseAction(a)
		if problem != "" {
			return st, "", wrong(index(at, i, len(actions)), "%q %s", clip(a), problem)
		}
		st.actions = append(st.actions, g)
	}
	resources, at, err := oneOf(path, m, "Resource", "NotResource", &st.notResource)
	if err != nil {
		return st, "", err
	}
	for i, r := range resources {
		g, problem := parseResource(r)
		if problem != "" {
			return st, "", wrong(index(at, i, len(resources)), "%q %s", clip(r), problem)
		}
		st.resources = append(st.resources, g)
	}
	if c, ok := m["Condition"]; ok {
		st.conditions, err = parseConditions(path+".Condition", c)
	}
	return st, sid, err
}

// oneOf reads the list of either of two elements that exclude each other.
func oneOf(path string, m map[string]any, yes, not string, isNot *bool) (list []string, at string, err error) {
	a, hasYes := m[yes]
	b, hasNot := m[not]
	switch {
	case hasYes == hasNot:
		return nil, "", wrong(path, "must have either %s or %s", yes, not)
	case hasNot:
		*isNot, a, yes = true, b, not
	}
	at = path + "." + yes
	list, err = texts(at, a)
	return list, at, err
}

// operations are the names of all operations in lower case.
var operations = func() (names []string) {
	for _, op := range wire.Operations() {
		names = append(names, strings.ToLower(op.Name))
	}
	return names
}()

// parseAction reads <service>:<operation> or *. Case does not matter.
func parseAction(text string) (glob, string) {
	lower := strings.ToLower(text)
	service, operation, ok := strings.Cut(lower, ":")
	if lower != "*" && (!ok || service == "" || operation == "" || strings.Trim(service, "abcdefghijklmnopqrstuvwxyz0123456789-*?") != "") {
		return nil, "must be of the form " + serviceName + ":<Operation>, or *"
	}
	if strings.ContainsAny(lower, "$") {
		return nil, "must not have policy variables"
	}
	g, problem := parseGlob(lower, true)
	if problem == "" && service == serviceName && !slices.ContainsFunc(operations, func(op string) bool { return g.match(serviceName+":"+op, "") }) {
		return nil, "is no operation of this API"
	}
	return g, problem
}

// parseResource reads an ARN with wildcards, or *. Parts that are missing at the
// end are *, as with AWS.
func parseResource(text string) (p arnPattern, problem string) {
	if text == "*" {
		return arnPattern{all: true}, ""
	}
	if !strings.HasPrefix(text, "arn:") {
		return p, "must be an ARN or *"
	}
	parts := strings.SplitN(text, ":", len(p.parts))
	for i := range p.parts {
		part := "*"
		if i < len(parts) {
			part = parts[i]
		}
		if p.parts[i], problem = parseGlob(part, true); problem != "" {
			return p, problem
		}
	}
	return p, ""
}

// match reports whether an ARN fits. The resource *, of operations that are
// about none in particular, fits only the pattern *, as with AWS.
func (p *arnPattern) match(arn, user string) bool {
	if p.all {
		return true
	}
	parts := strings.SplitN(arn, ":", len(p.parts))
	for i, g := range p.parts {
		part := ""
		if i < len(parts) {
			part = parts[i]
		}
		if !g.match(part, user) {
			return false
		}
	}
	return true
}

// object returns v as an object that has no members but the known ones.
func object(path string, v any, known ...string) (map[string]any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, wrong(path, "must be an object")
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, name) {
			return nil, wrong(path, "has the unknown element %q; it may have %s", clip(name), strings.Join(known, ", "))
		}
	}
	return m, nil
}

func str(path string, v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", wrong(path, "must be a string")
	}
	return s, nil
}

// texts returns a string, or a list of at least one, as a list.
func texts(path string, v any) ([]string, error) {
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	if len(list) == 0 {
		return nil, wrong(path, "is empty")
	}
	out := make([]string, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, wrong(path, "must be a string or a list of strings")
		}
		out[i] = s
	}
	return out, nil
}

// index is the path to element i of n; a single string is no list.
func index(path string, i, n int) string {
	if n == 1 {
		return path
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

// clip bounds what errors repeat of a document.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
