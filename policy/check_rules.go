package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/rule"
)

// serviceGID is what AWS appends to each rule while checking it; error texts
// show it, and it counts towards the rule's length.
const serviceGID = " gid:1234567890;"

// RuleLines returns the rules of a rules string: its lines without blank and
// comment lines, trimmed.
func RuleLines(text string) []string {
	var rules []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			rules = append(rules, line)
		}
	}
	return rules
}

// rulesChecker checks the rules of one stateful group as AWS does.
type rulesChecker struct {
	doc    *wire.RuleGroup
	field  string // of RulesSource, for error texts
	strict bool
	how    RuleCheck
}

func (c *rulesChecker) check(rules []string) error {
	sids := make(map[uint32]bool, len(rules))
	for _, text := range rules {
		if strings.HasSuffix(text, `\`) {
			return invalidRule(text, `Illegal option syntax: \`)
		}
		t := scanRule(text)
		if gid, ok := t.option("gid"); ok {
			return wire.InvalidRequestException("GIDs are not allowed. Illegal option(s): [gid:%s]", gid)
		}
		if sid, _ := t.option("sid"); sid == "" {
			return invalidRule(text, "sid not assigned")
		}
		if reason := c.reason(t); reason != "" {
			return invalidRule(t.withGID(), reason)
		}
		if c.strict && (t.has("priority") || t.has("classtype")) {
			return wire.InvalidRequestException("%s has invalid keywords. Rule groups that use strict order can't have rules that contain the keywords `priority` or `classtype`", c.field)
		}
		if err := c.checkVariables(t.header); err != nil {
			return err
		}
		number, reason := c.parse(text)
		if reason != "" {
			return invalidRule(t.withGID(), reason)
		}
		if sids[number] {
			return wire.InvalidRequestException("stateful rule is invalid, reason: Duplicate signature %s", `"`+t.withGID()+`"`)
		}
		sids[number] = true
	}
	return nil
}

func invalidRule(text, reason string) *wire.Error {
	return wire.InvalidRequestException("stateful rule is invalid, rule: %s, reason: %s", text, reason)
}

// rejectProtocols are the header protocols that reject is taken for. AWS: 33
// were tried, these seven were accepted.
var rejectProtocols = []string{"tcp", "http", "tls", "smb", "ssh", "smtp", "dcerpc"}

// refusedKeywords are those that AWS refuses by name, and those that need files.
var refusedKeywords = append([]string{"lua", "luajit", "filestore"}, beyondAWS...)

// pcreCompanions are the keywords one of which must stand beside pcre, in the
// order of AWS's text.
var pcreCompanions = []string{"tls.sni", "http.host", "dns.query", "http.uri", "content"}

// reason says why AWS would refuse the rule by its words alone, or "".
func (c *rulesChecker) reason(t ruleText) string {
	if utf8.RuneCountInString(t.withGID()) >= MaxRuleLength { // measured: 8,175 of the user's are taken, 8,176 are not
		return fmt.Sprintf("Rule exceeds max length (%d)", MaxRuleLength)
	}
	switch t.action {
	case "pass", "drop", "alert":
	case "reject":
		if !slices.Contains(rejectProtocols, t.proto) {
			return t.proto + " reject is not supported"
		}
	default:
		return "Action " + t.action + " is not supported"
	}
	for _, o := range t.options {
		if slices.Contains(refusedKeywords, o.name) && !(c.how.BeyondAWS && slices.Contains(beyondAWS, o.name)) {
			return "RuleOptions " + o.name + " is not supported"
		}
		if o.name == "geoip" && !goodCountries(o.value) {
			return "Rule contains an incorrect country code"
		}
	}
	if t.has("pcre") && !slices.ContainsFunc(pcreCompanions, t.has) {
		return "Using pcre without one of the following options is not allowed: [" + strings.Join(pcreCompanions, ", ") + "]."
	}
	return ""
}

// parse asks the parser and then the engine. It returns the rule's sid, or why
// one of them cannot take the rule.
func (c *rulesChecker) parse(text string) (sid uint32, reason string) {
	r, err := rule.Parse(text)
	if err == nil {
		sid = r.SID
		if c.how.Compile != nil {
			err = c.how.Compile(text)
		}
	}
	if err == nil {
		return sid, ""
	}
	var at *rule.Error
	if errors.As(err, &at) {
		return 0, fmt.Sprintf("%s (line %d, column %d)", at.Msg, at.Line, at.Col)
	}
	return 0, err.Error()
}

// checkVariables demands that the variables of a rule's header are defined.
// AWS looks there only, and knows HOME_NET and EXTERNAL_NET by itself.
func (c *rulesChecker) checkVariables(header string) error {
	for i := 0; i < len(header); i++ {
		if header[i] != '$' && header[i] != '@' {
			continue
		}
		n := 1
		for i+n < len(header) && isNameByte(header[i+n]) {
			n++
		}
		name := header[i+1 : i+n]
		if header[i] == '@' {
			if c.doc.ReferenceSets == nil || c.doc.ReferenceSets.IPSetReferences[name].ReferenceArn == nil {
				return invalid(name+" cannot be null or empty", nil, "ReferenceSets.IPSetReferences."+name)
			}
		} else if !c.defined(name) {
			return invalid(name+" cannot be null or empty", nil, "RuleVariables.IPSets."+name)
		}
		i += n - 1
	}
	return nil
}

func (c *rulesChecker) defined(name string) bool {
	if name == "HOME_NET" || name == "EXTERNAL_NET" {
		return true
	}
	v := c.doc.RuleVariables
	return v != nil && (len(v.IPSets[name].Definition) > 0 || len(v.PortSets[name].Definition) > 0)
}

func isNameByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

// ruleText is a rule taken apart by its punctuation only, so that rules which
// do not parse can be judged by their words.
type ruleText struct {
	text    string
	header  string // before the first parenthesis
	action  string // first word of header
	proto   string // second word
	options []optionText
}

type optionText struct{ name, value string }

// scanRule takes a rule apart. It never fails: what is missing is empty.
func scanRule(text string) ruleText {
	t := ruleText{text: text, header: text}
	open := strings.IndexByte(text, '(')
	if open >= 0 {
		t.header = text[:open]
		t.options = scanOptions(strings.TrimSuffix(text[open+1:], ")"))
	}
	words := strings.Fields(t.header)
	if len(words) > 0 {
		t.action = words[0]
	}
	if len(words) > 1 {
		t.proto = strings.ToLower(words[1])
	}
	return t
}

// scanOptions splits at semicolons that are neither escaped nor quoted.
func scanOptions(text string) []optionText {
	var options []optionText
	start, quoted := 0, false
	add := func(end int) {
		name, value, _ := strings.Cut(text[start:end], ":")
		if name = strings.TrimSpace(name); name != "" {
			options = append(options, optionText{strings.ToLower(name), strings.TrimSpace(value)})
		}
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				add(i)
				start = i + 1
			}
		}
	}
	add(len(text))
	return options
}

func (t ruleText) has(name string) bool {
	_, ok := t.option(name)
	return ok
}

// option returns the value of the first option of that name.
func (t ruleText) option(name string) (string, bool) {
	for _, o := range t.options {
		if o.name == name {
			return o.value, true
		}
	}
	return "", false
}

// withGID is the rule as AWS's error texts show it.
func (t ruleText) withGID() string {
	body, ok := strings.CutSuffix(t.text, ")")
	if !ok {
		return t.text
	}
	return body + serviceGID + ")"
}

// goodCountries reports whether all codes of a geoip argument are ISO 3166-1
// alpha-2 codes. AWS: an optional direction comes first, codes may be negated
// and in lower case; UK, EU and AP are no countries.
func goodCountries(value string) bool {
	n := 0
	for i, word := range strings.Split(value, ",") {
		word = strings.TrimSpace(word)
		if i == 0 && slices.Contains([]string{"src", "dst", "both", "any"}, strings.ToLower(word)) {
			continue
		}
		code := strings.ToUpper(strings.TrimPrefix(word, "!"))
		if len(code) != 2 || !strings.Contains(countries, " "+code+" ") {
			return false
		}
		n++
	}
	return n > 0
}

// countries are the officially assigned codes of ISO 3166-1 alpha-2.
const countries = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ " +
	"UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW "
