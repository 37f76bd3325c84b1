// Package resource holds the records that the control side writes to the store
// and that engine nodes read there, and the reverse: what both must agree on.
// It knows where each record lives and nothing about how it is used.
//
// All records are JSON. Keys live under /sluice/v1/<account>/<region>/.
package resource

import (
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// Scope is an account in a Region: the root of all keys.
type Scope struct{ Account, Region string }

func (s Scope) prefix() string { return "/sluice/v1/" + s.Account + "/" + s.Region + "/" }

// Kinds of rule group, as they stand in keys and in ARNs before "-rulegroup".
const (
	Stateful  = "stateful"
	Stateless = "stateless"
)

// Prefixes end in a slash; the keys below them end in the record's own name.

func (s Scope) RuleGroups(kind string) string      { return s.prefix() + "rule-groups/" + kind + "/" }
func (s Scope) FirewallPolicies() string           { return s.prefix() + "firewall-policies/" }
func (s Scope) Firewalls() string                  { return s.prefix() + "firewalls/" }
func (s Scope) Config() string                     { return s.prefix() }
func (s Scope) RuleGroup(kind, name string) string { return s.RuleGroups(kind) + name }
func (s Scope) FirewallPolicy(name string) string  { return s.FirewallPolicies() + name }
func (s Scope) Firewall(name string) string        { return s.Firewalls() + name }

// Nodes and their reports live beside the configuration, outside of Config's
// watch: they change far more often.

func (s Scope) live() string { return "/sluice/live/v1/" + s.Account + "/" + s.Region + "/" }

// Nodes is where the nodes of all zones register: .../nodes/<zone>/<node>.
func (s Scope) Nodes() string                 { return s.live() + "nodes/" }
func (s Scope) Node(zone, node string) string { return s.Nodes() + zone + "/" + node }

// Syncs is where nodes report what they run: .../sync/<firewall>/<zone>/<node>.
func (s Scope) Syncs(firewall string) string { return s.live() + "sync/" + firewall + "/" }
func (s Scope) Sync(firewall, zone, node string) string {
	return s.Syncs(firewall) + zone + "/" + node
}

// AllFlowOperations is what nodes watch: .../flow-operations/<firewall>/<zone>/<id>.
func (s Scope) AllFlowOperations() string { return s.live() + "flow-operations/" }
func (s Scope) FlowOperations(firewall, zone string) string {
	return s.AllFlowOperations() + firewall + "/" + zone + "/"
}
func (s Scope) FlowOperation(firewall, zone, id string) string {
	return s.FlowOperations(firewall, zone) + id
}

// ActiveFlowOperation names the newest operation of a firewall and zone (its
// value is the operation's id); starting one compares its revision.
func (s Scope) ActiveFlowOperation(firewall, zone string) string {
	return s.live() + "flow-active/" + firewall + "/" + zone
}

// FlowReports is where nodes report on an operation: .../flow-reports/<id>/<node>.
func (s Scope) FlowReports(id string) string      { return s.live() + "flow-reports/" + id + "/" }
func (s Scope) FlowReport(id, node string) string { return s.FlowReports(id) + node }

// FlowResults is where nodes put the flows of an operation, in chunks:
// .../flow-results/<id>/<node>/<chunk, 6 digits>.
func (s Scope) FlowResults(id, node string) string {
	return s.live() + "flow-results/" + id + "/" + node + "/"
}

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

// Firewall is a firewall with its logging configuration.
type Firewall struct {
	Meta
	PolicyARN string   `json:"policy_arn"`
	VpcID     string   `json:"vpc_id,omitempty"`
	Subnets   []Subnet `json:"subnets,omitempty"`

	DeleteProtection       bool `json:"delete_protection"`
	SubnetChangeProtection bool `json:"subnet_change_protection"`
	PolicyChangeProtection bool `json:"policy_change_protection"`

	Logging             []wire.LogDestinationConfig `json:"logging,omitempty"`
	MonitoringDashboard *bool                       `json:"monitoring_dashboard,omitempty"`
}

// Zones returns the zones of the firewall's subnets, each once, in order of first mention.
func (f *Firewall) Zones() []string {
	var zones []string
next:
	for _, s := range f.Subnets {
		for _, z := range zones {
			if z == s.Zone {
				continue next
			}
		}
		zones = append(zones, s.Zone)
	}
	return zones
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
	Tokens     map[string]string `json:"tokens"`          // ARN of the policy and of each rule group to the UpdateToken in force
	Error      string            `json:"error,omitempty"` // why newer documents are not in force
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
	Filters                   []wire.FlowFilter `json:"filters"`
	MinimumAge                int               `json:"minimum_age"` // seconds
	MinimumAgeGiven           bool              `json:"minimum_age_given"`
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
