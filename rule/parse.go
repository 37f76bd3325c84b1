package rule

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Limits on what is parsed. Suricata itself stops at 8192 bytes a rule.
const (
	maxRule    = 64 << 10 // bytes of one rule
	maxOptions = 1024     // options of one rule
	maxErrors  = 1000     // errors reported for one file
)

// Parse reads one rule, which may be continued over lines and stand among
// comments. The error is an *Error.
func Parse(text string) (*Rule, error) {
	var rule *Rule
	var err *Error
	rules(text, func(src *source) bool {
		if rule != nil {
			err = src.error(faultf(skipSpace(src.text, 0), "a second rule follows; give one rule at a time, or end the line before it with \\ if it belongs to the first"))
			return false
		}
		rule, err = parseRule(src)
		return err == nil
	})
	switch {
	case err != nil:
		return nil, err
	case rule == nil:
		return nil, &Error{Line: 1, Col: 1, Msg: "there is no rule here, only comments or blank lines; write one such as alert tcp any any -> any 80 (sid:1;)"}
	}
	return rule, nil
}

// ParseFile reads all rules of a file: one a line, with blank lines, comments
// that begin with #, lines continued with a backslash, and either line ending.
// Each wrong rule gives one error and is left out; after 1000 errors the rest
// of the file is not read, and a last error says so.
func ParseFile(text string) ([]*Rule, []*Error) {
	var all []*Rule
	var errs []*Error
	rules(text, func(src *source) bool {
		rule, err := parseRule(src)
		switch {
		case err == nil:
			all = append(all, rule)
		case len(errs) == maxErrors:
			errs = append(errs, src.error(faultf(0, "more than %d rules are wrong, the rest is not read; correct those first", maxErrors)))
			return false
		default:
			errs = append(errs, err)
		}
		return true
	})
	return all, errs
}

// parser reads one rule from left to right.
type parser struct {
	text string // without white space at its end
	i    int    // offset of the next byte
	rule *Rule
}

func parseRule(src *source) (*Rule, *Error) {
	p := &parser{
		text: strings.TrimRight(src.text, space),
		rule: &Rule{GID: 1, Text: strings.Trim(src.text, space)},
	}
	p.skip()
	p.rule.Line, _ = src.position(p.i)
	if len(p.rule.Text) > maxRule {
		return nil, src.error(faultf(p.i, "the rule is longer than %d bytes; split it", maxRule))
	}
	if p.unmet(); p.rule.Unmet != "" {
		return p.rule, nil
	}
	f := p.header()
	if f == nil {
		f = p.options(src)
	}
	if f != nil {
		return nil, src.error(f)
	}
	return p.rule, nil
}

// unmet reads the rule's requires, before anything else: what does not hold may be the reason
// why the rest cannot be read.
func (p *parser) unmet() {
	open := strings.IndexByte(p.text, '(')
	if open < 0 {
		return
	}
	var sid uint64
	for i := open + 1; i < len(p.text); {
		stop := optionEnd(p.text, i, len(p.text))
		name, value, _ := strings.Cut(p.text[i:stop], ":")
		value = strings.Trim(value, space)
		switch strings.ToLower(strings.Trim(name, space)) {
		case "requires":
			if why, f := parseRequires(value); f == nil && p.rule.Unmet == "" {
				p.rule.Unmet = why
			}
		case "sid":
			sid, _ = strconv.ParseUint(value, 10, 32)
		}
		i = stop + 1
	}
	if p.rule.Unmet != "" {
		p.rule.SID = uint32(sid)
	}
}

// optionEnd returns the offset of the semicolon that ends the option at i, or end.
func optionEnd(text string, i, end int) int {
	for i < end && (text[i] != ';' || text[i-1] == '\\') {
		i++
	}
	return i
}

func (p *parser) skip() { p.i = skipSpace(p.text, p.i) }

// word reads up to the next white space.
func (p *parser) word() (word string, off int) {
	p.skip()
	off = p.i
	for p.i < len(p.text) && strings.IndexByte(space, p.text[p.i]) < 0 {
		p.i++
	}
	return p.text[off:p.i], off
}

// expression reads the text of an address or port expression: up to white
// space outside brackets, or up to the options. missing is the message when
// there is none.
func (p *parser) expression(missing string) (text string, off int, f *fault) {
	p.skip()
	off = p.i
	depth, open := 0, 0
scan:
	for ; p.i < len(p.text); p.i++ {
		switch c := p.text[p.i]; {
		case c == '[':
			if depth == 0 {
				open = p.i
			}
			depth++
		case c == ']':
			depth--
		case c == '(', depth <= 0 && strings.IndexByte(space, c) >= 0:
			break scan
		}
	}
	switch {
	case p.i == off:
		return "", off, faultf(off, "%s", missing)
	case depth > 0:
		return "", off, faultf(open, "[ is not closed; add ] after the last of the list")
	}
	return p.text[off:p.i], off, nil
}

// actions are the actions by name.
var actions = map[string]Action{
	"alert": Alert, "pass": Pass, "drop": Drop,
	"reject": Reject, "rejectsrc": Reject, "rejectdst": RejectDst, "rejectboth": RejectBoth,
}

// header reads: action protocol source ports direction destination ports.
func (p *parser) header() (f *fault) {
	word, off := p.word()
	action, ok := actions[strings.ToLower(word)]
	if !ok {
		return faultf(off, "unknown action %q; use alert, pass, drop, reject, rejectsrc, rejectdst or rejectboth", clip(word))
	}
	p.rule.Action = action
	word, off = p.word()
	if p.rule.Proto, ok = protocol(word); !ok {
		return unknownProto(word, off, slices.Concat(networkProtos, appNames))
	}
	if p.rule.Src, f = p.addrs("source"); f != nil {
		return f
	}
	if p.rule.SrcPort, f = p.ports("source"); f != nil {
		return f
	}
	switch word, off = p.word(); word {
	case "->":
	case "<>":
		p.rule.Both = true
	case "<-":
		return faultf(off, "there is no direction <-; swap source and destination and use ->")
	default:
		return faultf(off, "direction %q is neither -> nor <>; a header is: action protocol source ports -> destination ports", clip(word))
	}
	if p.rule.Dst, f = p.addrs("destination"); f != nil {
		return f
	}
	p.rule.DstPort, f = p.ports("destination")
	return f
}

func (p *parser) addrs(side string) (Addrs, *fault) {
	text, off, f := p.expression(side + " address missing; a header is: action protocol source ports -> destination ports")
	if f != nil {
		return Addrs{}, f
	}
	a, f := parseAddrs(text)
	return a, f.shift(off)
}

func (p *parser) ports(side string) (Ports, *fault) {
	text, off, f := p.expression(side + " port missing; write any for every port")
	if f != nil {
		return Ports{}, f
	}
	ports, f := parsePorts(text)
	return ports, f.shift(off)
}

// options reads the options in their parentheses.
//
// As in Suricata, a semicolon ends an option unless a backslash stands before
// it, in quotes or not.
func (p *parser) options(src *source) *fault {
	p.skip()
	if p.i == len(p.text) || p.text[p.i] != '(' {
		return faultf(p.i, "options missing; add them in parentheses, at least (sid:1;)")
	}
	p.i++
	end := len(p.text) - 1
	if end < p.i || p.text[end] != ')' {
		return faultf(len(p.text), "the options are not closed; end the rule with )")
	}
	b := builder{rule: p.rule, end: end, seen: map[string]bool{}, vars: map[string]bool{}}
	b.beginHeader()
	for p.i = skipSpace(p.text, p.i); p.i < end; p.i = skipSpace(p.text, p.i) {
		if len(p.rule.Options) == maxOptions {
			return faultf(p.i, "the rule has more than %d options; split it", maxOptions)
		}
		stop := optionEnd(p.text, p.i, end)
		text := p.text[p.i:stop]
		if stop == end {
			return faultf(p.i, "option %q does not end; put ; after it", clip(text))
		}
		if f := b.add(src, text, p.i); f != nil {
			return f
		}
		p.i = stop + 1
	}
	return b.finish()
}

// add reads one option, without its semicolon, that starts at offset off.
func (b *builder) add(src *source, text string, off int) *fault {
	name, value, hasValue := strings.Cut(text, ":")
	name = strings.Trim(name, space)
	kw, ok := Known(name)
	if !ok {
		if s := suggest(strings.ToLower(name), maps.Keys(keywordIndex)); s != "" {
			return faultf(off, "unknown keyword %q, did you mean %q?", clip(name), s)
		}
		return faultf(off, "unknown keyword %q; see the list of keywords", clip(name))
	}
	valueOff := off
	if hasValue {
		valueOff = skipSpace(text, len(text)-len(value)) + off
		value = strings.Trim(value, space)
	}
	switch {
	case hasValue && kw.Arity == ArgNone:
		return faultf(valueOff, "keyword %q takes no argument; write %s;", kw.Name, kw.Name)
	case value == "" && (hasValue || kw.Arity == ArgRequired):
		return faultf(valueOff, "keyword %q has no argument; write %s:<argument>;", kw.Name, kw.Name)
	}
	if f := checkQuotes(kw, value); f != nil {
		return f.shift(valueOff)
	}
	o := Option{Name: kw.Name, Value: value, HasValue: hasValue}
	o.Line, o.Col = src.position(off)
	if f := b.option(kw, &o, off, valueOff); f != nil {
		return f
	}
	b.rule.Options = append(b.rule.Options, o)
	return nil
}
