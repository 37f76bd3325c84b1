package iam

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// condition is one key under one operator, with the values that it is compared
// with. AWS: "IAM JSON policy elements: Condition operators".
type condition struct {
	op       *operator
	set      setOperator
	ifExists bool // holds when the request does not have the key
	key      conditionKey

	globs    []glob         // of string operators; in lower case if the operator ignores case
	prefixes []netip.Prefix // of address operators
	truth    []bool         // of Bool and Null
}

type setOperator uint8

const (
	single       setOperator = iota
	forAnyValue              // one value of the request fits
	forAllValues             // all do; also when there is none
)

// operator says how values are compared.
type operator struct {
	name       string
	kind       valueKind
	negated    bool // none of the policy's values may fit; holds when the request does not have the key
	wildcards  bool
	ignoreCase bool
}

type valueKind uint8

const (
	texting valueKind = iota
	address
	boolean
	presence // Null: any key
)

var operators = []operator{
	{name: "StringEquals"},
	{name: "StringNotEquals", negated: true},
	{name: "StringEqualsIgnoreCase", ignoreCase: true},
	{name: "StringNotEqualsIgnoreCase", negated: true, ignoreCase: true},
	{name: "StringLike", wildcards: true},
	{name: "StringNotLike", negated: true, wildcards: true},
	{name: "IpAddress", kind: address},
	{name: "NotIpAddress", kind: address, negated: true},
	{name: "Bool", kind: boolean},
	{name: "Null", kind: presence},
}

// conditionKey is what of the request a condition looks at. Names of keys
// ignore case.
type conditionKey struct {
	kind keyKind
	tag  string // of resourceTag and requestTag
}

type keyKind uint8

const (
	sourceIP keyKind = iota
	secureTransport
	principalARN
	userName
	tagKeys
	resourceTag
	requestTag
)

var keys = []struct {
	name  string // in full, or up to the tag key behind a slash
	kind  keyKind
	value valueKind
}{
	{"aws:SourceIp", sourceIP, address},
	{"aws:SecureTransport", secureTransport, boolean},
	{"aws:PrincipalArn", principalARN, texting},
	{"aws:username", userName, texting},
	{"aws:TagKeys", tagKeys, texting},
	{"aws:ResourceTag/", resourceTag, texting},
	{"aws:RequestTag/", requestTag, texting},
}

// parseKey returns the key of that name and what its values are.
func parseKey(name string) (k conditionKey, value valueKind, ok bool) {
	for _, known := range keys {
		if prefix, isTag := strings.CutSuffix(known.name, "/"); isTag {
			before, tag, found := strings.Cut(name, "/")
			if found && tag != "" && strings.EqualFold(before, prefix) {
				return conditionKey{known.kind, tag}, known.value, true
			}
		} else if strings.EqualFold(name, known.name) {
			return conditionKey{kind: known.kind}, known.value, true
		}
	}
	return k, 0, false
}

// keyNames is for error texts.
func keyNames() string {
	var names []string
	for _, k := range keys {
		if strings.HasSuffix(k.name, "/") {
			k.name += "<key>"
		}
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

// parseOperator reads [ForAnyValue:|ForAllValues:]<operator>[IfExists].
func parseOperator(c *condition, name string) bool {
	rest, ok := strings.CutPrefix(name, "ForAnyValue:")
	if ok {
		c.set = forAnyValue
	} else if rest, ok = strings.CutPrefix(name, "ForAllValues:"); ok {
		c.set = forAllValues
	}
	rest, c.ifExists = strings.CutSuffix(rest, "IfExists")
	for i := range operators {
		if operators[i].name == rest {
			c.op = &operators[i]
			return c.op.kind != presence || !c.ifExists && c.set == single
		}
	}
	return false
}

func operatorNames() string {
	var names []string
	for _, op := range operators {
		names = append(names, op.name)
	}
	return strings.Join(names, ", ")
}

// parseConditions reads {<operator>: {<key>: <value or values>}}.
func parseConditions(path string, v any) ([]condition, error) {
	block, ok := v.(map[string]any)
	if !ok {
		return nil, wrong(path, "must be an object")
	}
	var out []condition
	for _, name := range slices.Sorted(maps.Keys(block)) {
		at := path + "." + clip(name)
		var c condition
		if !parseOperator(&c, name) {
			return nil, wrong(at, "is no operator that is supported: use one of %s, behind ForAnyValue: or ForAllValues: for aws:TagKeys, followed by IfExists (but for Null) if need be", operatorNames())
		}
		entries, ok := block[name].(map[string]any)
		if !ok || len(entries) == 0 {
			return nil, wrong(at, "must be an object with at least one condition key")
		}
		for _, key := range slices.Sorted(maps.Keys(entries)) {
			at := at + "[" + clip(key) + "]"
			c := c
			if err := c.parse(at, key, entries[key]); err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// parse reads the key and its values; the operator is there.
func (c *condition) parse(path, key string, v any) error {
	k, kind, ok := parseKey(key)
	if !ok {
		return wrong(path, "is no condition key that is supported: use one of %s", keyNames())
	}
	c.key = k
	many := k.kind == tagKeys && c.op.kind != presence // aws:TagKeys has any number of values
	switch {
	case c.op.kind != kind && c.op.kind != presence:
		return wrong(path, "cannot be compared by %s: the key has %s", c.op.name, [...]string{"a text", "an address", "true or false"}[kind])
	case many && c.set == single:
		return wrong(path, "has several values: put ForAnyValue: or ForAllValues: before the operator")
	case !many && c.set != single:
		return wrong(path, "has a single value: use the operator without ForAnyValue: and ForAllValues:")
	}
	if b, ok := v.(bool); ok { // JSON's true is as good as "true"
		v = map[bool]string{true: "true", false: "false"}[b]
	}
	values, err := texts(path, v)
	if err != nil {
		return err
	}
	for _, value := range values {
		if problem := c.add(value); problem != "" {
			return wrong(path, "%q %s", clip(value), problem)
		}
	}
	return nil
}

// add takes one value of the policy.
func (c *condition) add(value string) (problem string) {
	switch c.op.kind {
	case address:
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			a, err := netip.ParseAddr(value)
			if err != nil || a.Zone() != "" {
				return "is neither an address nor a CIDR block"
			}
			prefix = netip.PrefixFrom(a, a.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return "must be written as IPv4: that is how callers' addresses are compared"
		}
		c.prefixes = append(c.prefixes, prefix.Masked())
	case boolean, presence:
		if value != "true" && value != "false" {
			return "must be true or false"
		}
		c.truth = append(c.truth, value == "true")
	default:
		g, problem := parseGlob(value, c.op.wildcards)
		if problem != "" {
			return problem
		}
		if c.op.ignoreCase {
			for i := range g {
				g[i].text = strings.ToLower(g[i].text)
			}
		}
		c.globs = append(c.globs, g)
	}
	return ""
}

// holds reports whether the request meets the condition.
func (c *condition) holds(r *Request) bool {
	values, ok := r.values(c.key)
	if c.op.kind == presence {
		return slices.Contains(c.truth, !ok)
	}
	if !ok && c.ifExists {
		return true
	}
	switch c.set {
	case forAnyValue:
		return slices.ContainsFunc(values, func(v string) bool { return c.accepts(r, v) })
	case forAllValues:
		return !slices.ContainsFunc(values, func(v string) bool { return !c.accepts(r, v) })
	}
	if !ok {
		return c.op.negated
	}
	return c.accepts(r, values[0])
}

// accepts reports whether one value of the request satisfies the operator.
func (c *condition) accepts(r *Request, value string) bool {
	fits := false
	switch c.op.kind {
	case address:
		fits = slices.ContainsFunc(c.prefixes, func(p netip.Prefix) bool { return p.Contains(r.SourceIP) })
	case boolean:
		fits = slices.Contains(c.truth, value == "true")
	default:
		user := r.UserName
		if c.op.ignoreCase {
			value, user = strings.ToLower(value), strings.ToLower(user)
		}
		fits = slices.ContainsFunc(c.globs, func(g glob) bool { return g.match(value, user) })
	}
	return fits != c.op.negated
}
