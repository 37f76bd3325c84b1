// Package resource holds the records that the control side writes to the store
// and that engine nodes read there, and the reverse: what both must agree on.
// It knows where each record lives and nothing about how it is used.
//
// All records are JSON. What an account has lives under
// /sluice/v1/<account>/<region>/. Nodes serve all accounts of a Region, so what they
// watch and report lives under /sluice/live/v1/<region>/.
package resource

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// Scope is an account in a Region. Some of its keys are of the whole Region and do
// not depend on the account; their comments say so.
type Scope struct{ Account, Region string }

// Config is the prefix of what nodes make programs of, in all accounts and Regions.
const Config = "/sluice/v1/"

func (s Scope) prefix() string { return Config + s.Account + "/" + s.Region + "/" }

// ScopeOf returns the scope of a key below Config that belongs to an account, and
// what follows the scope's part of the key.
func ScopeOf(key string) (s Scope, rest string, ok bool) {
	rest, ok = strings.CutPrefix(key, Config)
	if !ok {
		return s, "", false
	}
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) != 3 {
		return s, "", false
	}
	return Scope{Account: parts[0], Region: parts[1]}, parts[2], true
}

// FirewallID names a firewall in a Region.
type FirewallID struct{ Account, Name string }

// String is <account>/<name>.
func (id FirewallID) String() string { return id.Account + "/" + id.Name }

// AccountOf returns the account of a key below a prefix under which the keys of
// all accounts are, each in a folder of its own.
func AccountOf(prefix, key string) string {
	account, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	return account
}

// Kinds of rule group, as they stand in keys and in ARNs before "-rulegroup".
const (
	Stateful       = "stateful"
	StatefulDomain = "stateful-domain" // domain lists only
	Stateless      = "stateless"
)

// Prefixes end in a slash; the keys below them end in the record's own name.

// AllRuleGroups is the prefix of the groups of every kind.
func (s Scope) AllRuleGroups() string              { return s.prefix() + "rule-groups/" }
func (s Scope) RuleGroups(kind string) string      { return s.AllRuleGroups() + kind + "/" }
func (s Scope) FirewallPolicies() string           { return s.prefix() + "firewall-policies/" }
func (s Scope) Firewalls() string                  { return s.prefix() + "firewalls/" }
func (s Scope) RuleGroup(kind, name string) string { return s.RuleGroups(kind) + name }
func (s Scope) FirewallPolicy(name string) string  { return s.FirewallPolicies() + name }
func (s Scope) Firewall(name string) string        { return s.Firewalls() + name }

func (s Scope) TLSConfigurations() string            { return s.prefix() + "tls-configurations/" }
func (s Scope) TLSConfiguration(name string) string  { return s.TLSConfigurations() + name }
func (s Scope) EndpointAssociations() string         { return s.prefix() + "endpoint-associations/" }
func (s Scope) EndpointAssociation(id string) string { return s.EndpointAssociations() + id }

// ResourcePolicies is where the policies of all accounts of the Region on resources
// of an ARN type are: .../resource-policies/<region>/<type>/<account>/<name>.
func (s Scope) ResourcePolicies(kind string) string {
	return Config + "resource-policies/" + s.Region + "/" + kind + "/"
}
func (s Scope) ResourcePolicy(kind, name string) string {
	return s.ResourcePolicies(kind) + s.Account + "/" + name
}

// Uses is where other accounts note that they use a resource, so that it cannot go:
// .../uses/<type>/<name>/<account>/<type and name of what uses it>.
func (s Scope) Uses(kind, name string) string { return s.prefix() + "uses/" + kind + "/" + name + "/" }
func (s Scope) Use(kind, name, account, user string) string {
	return s.Uses(kind, name) + account + "/" + user
}

// ReferenceSets is where the CIDRs behind the @NAMEs of rule groups are, for all
// accounts of the Region: .../reference-sets/<region>/<ARN>. ARNs have slashes;
// nothing splits these keys.
func (s Scope) ReferenceSets() string          { return Config + "reference-sets/" + s.Region + "/" }
func (s Scope) ReferenceSet(arn string) string { return s.ReferenceSets() + arn }

// Nodes and their reports live beside the configuration, outside of Config's
// watch: they change far more often.

func (s Scope) live(kind string) string { return "/sluice/live/v1/" + s.Region + "/" + kind + "/" }

// Nodes is where the nodes of the Region register: .../nodes/<zone>/<node>.
func (s Scope) Nodes() string                 { return s.live("nodes") }
func (s Scope) Node(zone, node string) string { return s.Nodes() + zone + "/" + node }

// Syncs is where nodes report what they run: .../sync/<account>/<firewall>/<zone>/<node>.
func (s Scope) Syncs(firewall string) string {
	return s.live("sync") + s.Account + "/" + firewall + "/"
}
func (s Scope) Sync(firewall, zone, node string) string {
	return s.Syncs(firewall) + zone + "/" + node
}

// AllFlowOperations is what nodes watch, of all accounts of the Region:
// .../flow-operations/<account>/<firewall>/<zone>/<id>.
func (s Scope) AllFlowOperations() string { return s.live("flow-operations") }

// FlowOperationsOf has the operations of a firewall in all zones.
func (s Scope) FlowOperationsOf(firewall string) string {
	return s.AllFlowOperations() + s.Account + "/" + firewall + "/"
}
func (s Scope) FlowOperations(firewall, zone string) string {
	return s.FlowOperationsOf(firewall) + zone + "/"
}
func (s Scope) FlowOperation(firewall, zone, id string) string {
	return s.FlowOperations(firewall, zone) + id
}

// ActiveFlowOperation names the newest operation of a firewall and zone (its
// value is the operation's id); starting one compares its revision.
func (s Scope) ActiveFlowOperation(firewall, zone string) string {
	return s.live("flow-active") + s.Account + "/" + firewall + "/" + zone
}

// FlowReports is where the nodes of the Region report on an operation:
// .../flow-reports/<id>/<node>.
func (s Scope) FlowReports(id string) string      { return s.live("flow-reports") + id + "/" }
func (s Scope) FlowReport(id, node string) string { return s.FlowReports(id) + node }

// FlowResults is where the nodes of the Region put the flows of an operation, in
// chunks: .../flow-results/<id>/<node>/<chunk, 6 digits>.
func (s Scope) FlowResults(id, node string) string {
	return s.live("flow-results") + id + "/" + node + "/"
}

// AllAnalysisReports is what nodes watch, of all accounts of the Region:
// .../analysis-reports/<account>/<firewall>/<id>.
func (s Scope) AllAnalysisReports() string { return s.live("analysis-reports") }
func (s Scope) AnalysisReports(firewall string) string {
	return s.AllAnalysisReports() + s.Account + "/" + firewall + "/"
}
func (s Scope) AnalysisReport(firewall, id string) string {
	return s.AnalysisReports(firewall) + id
}

// AnalysisResults is where the nodes of the Region answer an analysis report:
// .../analysis-results/<id>/<node>.
func (s Scope) AnalysisResults(id string) string      { return s.live("analysis-results") + id + "/" }
func (s Scope) AnalysisResult(id, node string) string { return s.AnalysisResults(id) + node }

// Meta is what all named resources have.
type Meta struct {
	ID          string     `json:"id"` // lower-case UUID
	ARN         string     `json:"arn"`
	Name        string     `json:"name"`
	UpdateToken string     `json:"update_token"` // lower-case UUID, new with every change
	Description *string    `json:"description,omitempty"`
	Modified    time.Time  `json:"modified"`
	Tags        []wire.Tag `json:"tags,omitempty"`

	Encryption *wire.EncryptionConfiguration `json:"encryption,omitempty"`
}

// RuleGroup is a stateless or stateful rule group.
type RuleGroup struct {
	Meta
	Kind     string          `json:"kind"` // Stateful or Stateless
	Capacity int             `json:"capacity"`
	Consumed int             `json:"consumed"`
	Doc      *wire.RuleGroup `json:"doc"`

	Source  *wire.SourceMetadata       `json:"source,omitempty"`
	Summary *wire.SummaryConfiguration `json:"summary,omitempty"`
}

// FirewallPolicy is a firewall policy.
type FirewallPolicy struct {
	Meta
	Doc *wire.FirewallPolicy `json:"doc"`
}

// Subnet is one subnet mapping of a firewall, with the zone and the endpoint
// that it got when it was associated.
type Subnet struct {
	ID            string `json:"id"`
	IPAddressType string `json:"ip_address_type"`
	Zone          string `json:"zone"`
	EndpointID    string `json:"endpoint_id"` // vpce-<17 hex digits>
}

// ZoneMapping is a zone that a firewall serves without a subnet there.
type ZoneMapping struct {
	Zone       string `json:"zone"`
	EndpointID string `json:"endpoint_id"` // vpce-<17 hex digits>
}

// AnalysisSetting is a type of traffic analysis that a firewall has switched on:
// its nodes keep, for AnalysisPeriod, which domains they saw.
type AnalysisSetting struct {
	Type  string    `json:"type"` // a wire.EnabledAnalysisType constant
	Since time.Time `json:"since"`
}

// Firewall is a firewall with its logging configuration.
type Firewall struct {
	Meta
	PolicyARN    string        `json:"policy_arn"`
	VpcID        string        `json:"vpc_id,omitempty"`
	Subnets      []Subnet      `json:"subnets,omitempty"`
	ZoneMappings []ZoneMapping `json:"zone_mappings,omitempty"`

	DeleteProtection       bool `json:"delete_protection"`
	SubnetChangeProtection bool `json:"subnet_change_protection"`
	PolicyChangeProtection bool `json:"policy_change_protection"`
	ZoneChangeProtection   bool `json:"zone_change_protection"`

	// Rematch is a wire.RematchMode constant, or empty for OFF.
	Rematch string `json:"rematch,omitempty"`

	Logging             []wire.LogDestinationConfig `json:"logging,omitempty"`
	MonitoringDashboard *bool                       `json:"monitoring_dashboard,omitempty"`
	Analysis            []AnalysisSetting           `json:"analysis,omitempty"`
}

// Endpoint is where the packets of a zone meet a firewall.
type Endpoint struct {
	Zone, ID string
	SubnetID string // "" for a zone without a subnet
}

// Endpoints returns the firewall's endpoints: those of its subnets, then those
// of its other zones. Those of endpoint associations are not among them.
func (f *Firewall) Endpoints() []Endpoint {
	var all []Endpoint
	for _, s := range f.Subnets {
		all = append(all, Endpoint{Zone: s.Zone, ID: s.EndpointID, SubnetID: s.ID})
	}
	for _, m := range f.ZoneMappings {
		all = append(all, Endpoint{Zone: m.Zone, ID: m.EndpointID})
	}
	return all
}

// PrimaryEndpoint is the name of a zone's primary endpoint beside those that it
// has like every other: attachments that name no endpoint are there.
const PrimaryEndpoint = ""

// EndpointNames returns what nodes' attachments can call the i-th of the
// firewall's endpoints: its id, its subnet and, if it is its zone's first,
// nothing.
func (f *Firewall) EndpointNames(i int) []string {
	all := f.Endpoints()
	e := all[i]
	names := []string{e.ID}
	if e.SubnetID != "" {
		names = append(names, e.SubnetID)
	}
	if slices.IndexFunc(all, func(o Endpoint) bool { return o.Zone == e.Zone }) == i {
		names = append(names, PrimaryEndpoint)
	}
	return names
}

// Zones returns the zones of the firewall's endpoints, each once, in order of first mention.
func (f *Firewall) Zones() []string {
	var zones []string
	for _, e := range f.Endpoints() {
		if !slices.Contains(zones, e.Zone) {
			zones = append(zones, e.Zone)
		}
	}
	return zones
}

// TLSConfiguration is a TLS inspection configuration. It is kept, and nothing
// acts on it.
type TLSConfiguration struct {
	Meta
	Doc *wire.TLSInspectionConfiguration `json:"doc"`
}

// EndpointAssociation is a further endpoint of a firewall, in a zone that the
// firewall serves. Its name is its ID.
type EndpointAssociation struct {
	Meta
	Firewall    string `json:"firewall"` // name
	FirewallARN string `json:"firewall_arn"`
	VpcID       string `json:"vpc_id"`
	Subnet      Subnet `json:"subnet"`
}

// EndpointNames returns what nodes' attachments can call the association's endpoint.
func (a *EndpointAssociation) EndpointNames() []string {
	return []string{a.ID, a.ARN, a.Subnet.EndpointID, a.Subnet.ID}
}

// ResourcePolicy says which other accounts may do what with a resource. It
// goes with the resource.
type ResourcePolicy struct {
	ARN  string `json:"arn"`  // of the resource
	Text string `json:"text"` // a checked IAM policy document
}

// Use is a note that a resource is used by one of another account.
type Use struct {
	ARN string `json:"arn"` // of what uses it
}

// ReferenceSet is a list of CIDRs that rule groups refer to by its ARN. One
// that is not there is empty.
type ReferenceSet struct {
	ARN         string         `json:"arn"`
	UpdateToken string         `json:"update_token"` // lower-case UUID, new with every change
	Modified    time.Time      `json:"modified"`
	CIDRs       []netip.Prefix `json:"cidrs"` // masked, in order, each once
}

// Node is a registered engine node; the record lives as long as its lease.
type Node struct {
	ID      string    `json:"id"`
	Zone    string    `json:"zone"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
}

// Sync is a node's word on what it runs for a firewall; leased like Node.
type Sync struct {
	Node       string            `json:"node"`
	Zone       string            `json:"zone"`
	Generation uint32            `json:"generation"`
	Tokens     map[string]string `json:"tokens"`          // ARN of the policy, of each rule group and of each reference set to the UpdateToken in force
	Error      string            `json:"error,omitempty"` // why newer documents are not in force

	// Attached are the endpoints that the node's attachments name, each once.
	Attached []string `json:"attached,omitempty"`
}

// Types of flow operation, as the API names them.
const (
	FlowFlush   = "FLOW_FLUSH"
	FlowCapture = "FLOW_CAPTURE"
)

// FlowOperation is a capture or flush as it was asked for. Its status is not
// stored: it follows from Nodes, the nodes' reports and Deadline.
type FlowOperation struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Firewall string    `json:"firewall"` // name
	ARN      string    `json:"arn"`      // of the firewall
	Zone     string    `json:"zone"`
	Started  time.Time `json:"started"`
	Deadline time.Time `json:"deadline"` // a node that has not reported by then did not answer
	Nodes    []string  `json:"nodes"`    // the nodes that serve the zone, and so must report

	VpcEndpointID             *string           `json:"vpc_endpoint_id,omitempty"` // scope as the caller gave it
	VpcEndpointAssociationARN *string           `json:"vpc_endpoint_association_arn,omitempty"`
	EndpointNames             []string          `json:"endpoint_names,omitempty"` // of that scope's one endpoint; none: all endpoints of the zone
	Filters                   []wire.FlowFilter `json:"filters"`
	MinimumAge                int               `json:"minimum_age"` // seconds
	MinimumAgeGiven           bool              `json:"minimum_age_given"`

	FlowOptions

	Cancelled bool `json:"cancelled,omitempty"` // by its owner; nodes stop a capture that is under way
}

// FlowOptions are what Sluice's own operations can ask for beyond AWS's.
type FlowOptions struct {
	Protect   []wire.FlowFilter `json:"protect,omitempty"`   // flows that any of these matches are left alone
	Either    bool              `json:"either,omitempty"`    // filters match in either direction of a flow
	Stale     bool              `json:"stale,omitempty"`     // only flows that today's rules would not admit
	Exception string            `json:"exception,omitempty"` // DROP, REJECT or CONTINUE, for packets of the flushed flows
}

// FlowReport is a node's final word on an operation.
type FlowReport struct {
	Node    string    `json:"node"`
	TakenUp time.Time `json:"taken_up"`        // when the engine picked the flows
	Done    time.Time `json:"done"`            // when the last worker had swept
	Flows   int       `json:"flows"`           // flows that matched
	Stored  int       `json:"stored"`          // flows in the result chunks; fewer than Flows when a limit was met
	Chunks  int       `json:"chunks"`          // result chunks under FlowResults
	Error   string    `json:"error,omitempty"` // why the node could not do it
}
