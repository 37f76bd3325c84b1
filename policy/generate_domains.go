package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// DomainList is a domain list taken apart for the engine, which looks names up
// in a hash instead of running rules. RulesFromDomainList shows what it means.
//
// Only flows from HOME_NET to EXTERNAL_NET are judged, on the client's side,
// once the ClientHello or the request's headers are complete.
type DomainList struct {
	Targets   []string // as given: a name, or with a leading dot a name and all below it
	TLS, HTTP bool     // compare with the SNI, with the Host header
	Type      string   // a wire.GeneratedRulesType constant
}

// ParseDomainList reads a list that has passed CheckRuleGroup. Targets is
// shared with l.
func ParseDomainList(l *wire.RulesSourceList) DomainList {
	return DomainList{
		Targets: l.Targets,
		TLS:     slices.Contains(l.TargetTypes, wire.TargetTypeTlsSni),
		HTTP:    slices.Contains(l.TargetTypes, wire.TargetTypeHttpHost),
		Type:    wire.Val(l.GeneratedRulesType),
	}
}

// Action is what happens to a flow whose name is on the list, as a word of the
// rule language.
func (d DomainList) Action() string {
	switch d.Type {
	case wire.GeneratedRulesTypeAllowlist:
		return "pass"
	case wire.GeneratedRulesTypeRejectlist:
		return "reject"
	case wire.GeneratedRulesTypeAlertlist:
		return "alert"
	}
	return "drop"
}

// HasTail reports whether flows whose name is not on the list, or that have
// none, are dropped. AWS: only an allow list in action order; in strict order
// the policy's default action has to do it.
func (d DomainList) HasTail(order string) bool {
	return d.Type == wire.GeneratedRulesTypeAllowlist && order != wire.RuleOrderStrictOrder
}

// SID returns the signature id of target i for TLS or HTTP. They count from 1,
// a target's TLS rule before its HTTP rule.
func (d DomainList) SID(i int, tls bool) uint32 {
	n := uint32(i) * d.types()
	if !tls && d.TLS {
		n++
	}
	return n + 1
}

// TailSID returns the signature id of the tail for TLS or HTTP.
func (d DomainList) TailSID(tls bool) uint32 { return d.SID(len(d.Targets), tls) }

func (d DomainList) types() (n uint32) {
	for _, on := range []bool{d.TLS, d.HTTP} {
		if on {
			n++
		}
	}
	return n
}

// Message returns the msg of the rules for TLS or HTTP. That of reject and
// alert lists is not known of AWS.
func (d DomainList) Message(tls bool) string {
	word := map[string]string{
		wire.GeneratedRulesTypeAllowlist:  "allowlisted",
		wire.GeneratedRulesTypeRejectlist: "rejectlisted",
		wire.GeneratedRulesTypeAlertlist:  "alertlisted",
	}[d.Type]
	if word == "" {
		word = "denylisted"
	}
	return "matching " + protocolName(tls) + " " + word + " FQDNs"
}

// TailMessage returns the msg of the tail for TLS or HTTP.
func (d DomainList) TailMessage(tls bool) string {
	return "not matching any " + protocolName(tls) + " allowlisted FQDNs"
}

func protocolName(tls bool) string {
	if tls {
		return "TLS"
	}
	return "HTTP"
}

// RulesFromDomainList writes a domain list as the rules that it stands for,
// one string each, in the given rule order.
//
// AWS's own text also has ssl_state:client_hello in every TLS rule, which the
// tls.sni buffer implies.
func RulesFromDomainList(l *wire.RulesSourceList, order string) []string {
	d := ParseDomainList(l)
	priority := " priority:1;"
	if order == wire.RuleOrderStrictOrder {
		priority = ""
	}
	var rules []string
	add := func(action string, tls bool, match, msg string, sid uint32) {
		proto := "http"
		if tls {
			proto = "tls"
		}
		rules = append(rules, fmt.Sprintf(`%s %s $HOME_NET any -> $EXTERNAL_NET any (%smsg:"%s";%s flow:to_server, established; sid:%d; rev:1;)`,
			action, proto, match, msg, priority, sid))
	}
	both := func(f func(tls bool)) {
		if d.TLS {
			f(true)
		}
		if d.HTTP {
			f(false)
		}
	}
	for i, target := range d.Targets {
		both(func(tls bool) {
			add(d.Action(), tls, domainMatch(target, tls), d.Message(tls), d.SID(i, tls))
		})
	}
	if d.HasTail(order) {
		both(func(tls bool) { add("drop", tls, tailMatch(tls), d.TailMessage(tls), d.TailSID(tls)) })
	}
	return rules
}

// tailMatch makes the tail wait for a complete ClientHello or request. AWS's
// HTTP tail looks at http.header_names for that; any part of a request serves,
// and a method never has a space in it.
func tailMatch(tls bool) string {
	if tls {
		return "ssl_state:client_hello; "
	}
	return `http.method; content:!" "; `
}

// domainMatch is the match part for one target. The http.host buffer is in
// lower case, so there the target is too and only TLS needs nocase.
func domainMatch(target string, tls bool) string {
	buffer, nocase := "tls.sni", " nocase;"
	if !tls {
		buffer, nocase, target = "http.host", "", strings.ToLower(target)
	}
	if target[0] == '.' {
		return fmt.Sprintf(`%s; dotprefix; content:"%s";%s endswith; `, buffer, target, nocase)
	}
	return fmt.Sprintf(`%s; content:"%s"; startswith;%s endswith; `, buffer, target, nocase)
}
