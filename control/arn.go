package control

import (
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

// Resource types as they stand in ARNs.
const (
	typeFirewall       = "firewall"
	typePolicy         = "firewall-policy"
	typeStateful       = resource.Stateful + groupSuffix
	typeStatefulDomain = resource.StatefulDomain + groupSuffix
	typeStateless      = resource.Stateless + groupSuffix
	typeTLS            = "tls-configuration"
	typeEndpoint       = "vpc-endpoint-association"
)

// groupSuffix makes the ARN type of a rule group of its kind.
const groupSuffix = "-rulegroup"

// groupTypes are the ARN types of rule groups.
var groupTypes = []string{typeStateful, typeStatefulDomain, typeStateless}

// key returns where the resource of an ARN type and name is kept.
func (c *Control) key(kind, name string) string {
	switch kind {
	case typeFirewall:
		return c.scope.Firewall(name)
	case typePolicy:
		return c.scope.FirewallPolicy(name)
	case typeTLS:
		return c.scope.TLSConfiguration(name)
	case typeEndpoint:
		return c.scope.EndpointAssociation(name)
	}
	return c.scope.RuleGroup(strings.TrimSuffix(kind, groupSuffix), name)
}

// arn is a parsed ARN: arn:<partition>:network-firewall:<region>:<account>:<type>/<name>.
type arn struct{ region, account, kind, name string }

// parseARN reads an ARN of this service.
func parseARN(text string) (a arn, ok bool) {
	parts := strings.SplitN(text, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[2] != "network-firewall" {
		return arn{}, false
	}
	kind, name, ok := strings.Cut(parts[5], "/")
	if !ok || !isName(name) {
		return arn{}, false
	}
	return arn{region: parts[3], account: parts[4], kind: kind, name: name}, true
}

// isName: AWS: ^[a-zA-Z0-9-]+$, at most 128. Names are parts of keys, so
// nothing else may get in by way of an ARN.
func isName(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

func (c *Control) arn(kind, name string) string {
	return "arn:aws:network-firewall:" + c.scope.Region + ":" + c.scope.Account + ":" + kind + "/" + name
}

// keyOfARN returns where a resource of this Region is kept, whosever it is.
func (c *Control) keyOfARN(a arn) string { return c.of(a.account).key(a.kind, a.name) }

// mine reports whether the ARN is of this account and Region.
func (c *Control) mine(a arn) bool {
	return a.region == c.scope.Region && a.account == c.scope.Account
}

// nameOf finds the resource that a request means by its ARN, its name or both.
// field is "Firewall" for FirewallArn and FirewallName. kinds are the ARN types
// that fit; byName is the type that a name alone means.
func (c *Control) nameOf(field string, arnText, name *string, byName string, kinds ...string) (kind, found string, err error) {
	if arnText == nil {
		if name == nil {
			return "", "", invalid("%sArn, %sName cannot be null", field, field)
		}
		return byName, *name, nil
	}
	a, ok := parseARN(*arnText)
	if !ok {
		return "", "", invalid("Resource ARN has an invalid format, parameter: [%s]", *arnText)
	}
	if !slices.Contains(kinds, a.kind) {
		return "", "", invalid("Resource ARN is of incorrect entity type, parameter: [%s]", *arnText)
	}
	if !c.mine(a) {
		return "", "", notFound(*arnText)
	}
	if name != nil && *name != a.name {
		return "", "", invalid("%sArn, %sName are not of the same resource, parameter: [%s, %s]", field, field, *arnText, *name)
	}
	return a.kind, a.name, nil
}

func notFound(what string) error {
	return wire.ResourceNotFoundException("The resource %s does not exist", what)
}
