package resource

import (
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// Queries of live flows travel like operations: control writes a FlowQuery, the
// zone's nodes answer it, and both go with a short lease.

// AllFlowQueries is what nodes watch, of all accounts of the Region:
// .../flow-queries/<account>/<id>.
func (s Scope) AllFlowQueries() string { return s.live("flow-queries") }

// FlowQuery is where a query lives.
func (s Scope) FlowQuery(id string) string { return s.AllFlowQueries() + s.Account + "/" + id }

// FlowAnswers is where the nodes of the Region answer a query: .../flow-answers/<id>/<node>.
func (s Scope) FlowAnswers(id string) string      { return s.live("flow-answers") + id + "/" }
func (s Scope) FlowAnswer(id, node string) string { return s.FlowAnswers(id) + node }

// FlowQuery asks for one page of the live flows of a firewall in a zone.
type FlowQuery struct {
	ID         string            `json:"id"`
	Firewall   string            `json:"firewall"` // name
	Zone       string            `json:"zone"`
	Nodes      []string          `json:"nodes"` // that have to answer
	Deadline   time.Time         `json:"deadline"`
	Endpoints  []string          `json:"endpoint_names,omitempty"` // as FlowOperation.EndpointNames
	Filters    []wire.FlowFilter `json:"filters"`
	MinimumAge int               `json:"minimum_age"` // seconds

	FlowOptions

	SortBy     string     `json:"sort_by"` // a wire.FlowSortKey constant
	Descending bool       `json:"descending"`
	Size       int        `json:"size"`
	After      *FlowPlace `json:"after,omitempty"`
}

// FlowPlace is a flow's place in a sorted list.
type FlowPlace struct {
	Value int64  `json:"value"`
	ID    uint64 `json:"id"`
}

// FlowAnswer is a node's page, and what it counted.
type FlowAnswer struct {
	Node  string     `json:"node"`
	Flows int        `json:"flows"`
	Bytes uint64     `json:"bytes"`
	Page  []LiveFlow `json:"page"`
	Error string     `json:"error,omitempty"`
}

// LiveFlow is one flow with its place in the list that was asked for.
type LiveFlow struct {
	Place FlowPlace     `json:"place"`
	Flow  wire.LiveFlow `json:"flow"`
}
