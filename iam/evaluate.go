package iam

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Request is what a policy is asked about: one action on one resource.
type Request struct {
	Action   string // network-firewall:<Operation>
	Resource string // ARN, or * for operations that are about none in particular

	PrincipalARN string
	UserName     string     // "" for callers that are no user
	SourceIP     netip.Addr // not an IPv4 address mapped to IPv6
	Secure       bool       // the request came over TLS

	ResourceTags map[string]string
	RequestTags  map[string]string // tags that the request would set
	TagKeys      []string          // keys of the tags that the request names
}

// Decision is the answer of policies.
type Decision uint8

const (
	ImplicitDeny Decision = iota // no statement allows it
	ExplicitDeny                 // a statement denies it
	Allow
)

// String is the decision as AWS's policy simulator writes it.
func (d Decision) String() string {
	return [...]string{"implicitDeny", "explicitDeny", "allowed"}[d]
}

// Evaluate decides r by all policies together: a Deny goes before every Allow,
// and what nothing allows is denied. The order of policies does not matter.
func Evaluate(policies []*Policy, r *Request) Decision {
	decision := ImplicitDeny
	action := strings.ToLower(r.Action)
	for _, p := range policies {
		for i := range p.statements {
			st := &p.statements[i]
			if decision == Allow && !st.deny || !st.applies(r, action) {
				continue
			}
			if st.deny {
				return ExplicitDeny
			}
			decision = Allow
		}
	}
	return decision
}

// applies reports whether the statement is about r; action is r's in lower case.
func (st *statement) applies(r *Request, action string) bool {
	if slices.ContainsFunc(st.actions, func(g glob) bool { return g.match(action, "") }) == st.notAction {
		return false
	}
	if slices.ContainsFunc(st.resources, func(p arnPattern) bool { return p.match(r.Resource, r.UserName) }) == st.notResource {
		return false
	}
	return !slices.ContainsFunc(st.conditions, func(c condition) bool { return !c.holds(r) })
}

// values returns what the request has for a condition key. A key that is
// present and has a single value has exactly one.
func (r *Request) values(k conditionKey) (values []string, ok bool) {
	one := func(v string, ok bool) ([]string, bool) { return []string{v}, ok }
	switch k.kind {
	case sourceIP:
		return one("", r.SourceIP.IsValid()) // compared as an address
	case secureTransport:
		return one(strconv.FormatBool(r.Secure), true)
	case principalARN:
		return one(r.PrincipalARN, true)
	case userName:
		return one(r.UserName, r.UserName != "")
	case resourceTag:
		return one(tagValue(r.ResourceTags, k.tag))
	case requestTag:
		return one(tagValue(r.RequestTags, k.tag))
	}
	return r.TagKeys, len(r.TagKeys) > 0
}

// tagValue returns the value of a tag. Tag keys are compared as AWS does in
// conditions, without regard to case; of several the exact one counts, else the
// first in order.
func tagValue(tags map[string]string, key string) (string, bool) {
	if v, ok := tags[key]; ok {
		return v, true
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if strings.EqualFold(k, key) {
			return tags[k], true
		}
	}
	return "", false
}
