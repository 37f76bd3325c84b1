package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

// zoneState is what is known of one zone of a firewall.
type zoneState struct {
	nodes int             // registered in the zone
	syncs []resource.Sync // what those of them report that have reported
}

// status computes the status of a firewall from what the nodes report.
//
// A zone is READY when every node registered there has reported, and IN_SYNC
// when all of them run the current policy and rule groups. A zone that no node
// serves, or not every one yet, stays CREATING and says why.
func (c *Control) status(ctx context.Context, f *resource.Firewall) (*wire.FirewallStatus, error) {
	wanted, references, err := c.configuration(ctx, f)
	if err != nil {
		return nil, err
	}
	usage, err := c.capacityUsage(ctx, references)
	if err != nil {
		return nil, err
	}
	zones, err := c.zoneStates(ctx, f.Name)
	if err != nil {
		return nil, err
	}
	ready, inSync := true, true
	states := map[string]wire.SyncState{}
	for _, e := range f.Endpoints() {
		if _, done := states[e.Zone]; done {
			continue // the API shows one endpoint of a zone
		}
		z := zones[e.Zone]
		attachment := z.attachment(e)
		ready = ready && *attachment.Status == wire.AttachmentStatusReady
		config := map[string]wire.PerObjectStatus{}
		for arn, token := range wanted {
			sync := wire.PerObjectSyncStatusInSync
			if !z.runs(arn, token) {
				sync, inSync = wire.PerObjectSyncStatusPending, false
			}
			config[arn] = wire.PerObjectStatus{SyncStatus: &sync, UpdateToken: wire.Ptr(token)}
		}
		states[e.Zone] = wire.SyncState{Attachment: attachment, Config: config}
	}
	if err := c.explainStrays(ctx, f, zones, states); err != nil {
		return nil, err
	}
	out := &wire.FirewallStatus{
		Status: wire.Ptr(wire.FirewallStatusValueProvisioning), ConfigurationSyncStateSummary: wire.Ptr(wire.ConfigurationSyncStatePending),
		SyncStates: states, CapacityUsageSummary: usage,
	}
	if inSync {
		out.ConfigurationSyncStateSummary = wire.Ptr(wire.ConfigurationSyncStateInSync)
		if ready {
			out.Status = wire.Ptr(wire.FirewallStatusValueReady)
		}
	}
	return out, nil
}

// explainStrays says so where a node takes packets for an endpoint that the
// firewall does not have there, perhaps not any more: only operations on the
// whole zone know their flows.
func (c *Control) explainStrays(ctx context.Context, f *resource.Firewall, zones map[string]zoneState, states map[string]wire.SyncState) error {
	known := map[string]bool{} // "zone name"
	for i, e := range f.Endpoints() {
		for _, name := range f.EndpointNames(i) {
			known[e.Zone+" "+name] = true
		}
	}
	complete := false // known has the associations' names, too
	for zone, state := range states {
		for _, sync := range zones[zone].syncs {
			for _, name := range sync.Attached {
				if !known[zone+" "+name] && !complete {
					associations, _, err := c.associationsOf(ctx, f)
					if err != nil {
						return err
					}
					for _, a := range associations {
						for _, name := range a.EndpointNames() {
							known[a.Subnet.Zone+" "+name] = true
						}
					}
					complete = true
				}
				if a := state.Attachment; !known[zone+" "+name] && a.StatusMessage == nil {
					a.StatusMessage = wire.Ptr(fmt.Sprintf("Engine node %s attaches packets to endpoint %s, which the firewall does not have in Availability Zone %s: correct attach in the node's configuration", sync.Node, name, zone))
				}
			}
		}
	}
	return nil
}

// configuration returns the current update tokens of the firewall's policy and
// of the policy's rule groups, by ARN, and the ARNs of the reference sets that
// these use. They are read one after the other: an object that was replaced and
// deleted in between has no token, so it is not in sync.
func (c *Control) configuration(ctx context.Context, f *resource.Firewall) (tokens map[string]string, references []string, err error) {
	a, _ := parseARN(f.PolicyARN)
	p, found, err := read[resource.FirewallPolicy](ctx, c, c.keyOfARN(a))
	if err != nil {
		return nil, nil, err
	}
	tokens = map[string]string{f.PolicyARN: p.value.UpdateToken}
	if !found {
		return tokens, nil, nil
	}
	for _, text := range groupsOf(p.value.Doc) {
		g, err := c.groupState(ctx, text)
		if err != nil {
			return nil, nil, err
		}
		tokens[text] = g.token
		references = append(references, g.references...)
	}
	return tokens, references, nil
}

// zoneStates gathers the nodes and their reports on a firewall by zone. A report whose node
// has gone does not count.
func (c *Control) zoneStates(ctx context.Context, firewall string) (map[string]zoneState, error) {
	nodes, err := c.store.Keys(ctx, c.scope.Nodes(), "", 0)
	if err != nil {
		return nil, storeError(err)
	}
	zones := map[string]zoneState{}
	alive := map[string]bool{} // "zone/node"
	for _, kv := range nodes.KVs {
		place := strings.TrimPrefix(kv.Key, c.scope.Nodes())
		zone, _, _ := strings.Cut(place, "/")
		z := zones[zone]
		z.nodes++
		zones[zone] = z
		alive[place] = true
	}
	syncs, _, err := list[resource.Sync](ctx, c, c.scope.Syncs(firewall))
	if err != nil {
		return nil, err
	}
	for _, s := range syncs {
		place := strings.TrimPrefix(s.Key, c.scope.Syncs(firewall))
		if !alive[place] {
			continue
		}
		zone, _, _ := strings.Cut(place, "/")
		z := zones[zone]
		z.syncs = append(z.syncs, s.Value)
		zones[zone] = z
	}
	return zones, nil
}

// runs reports whether all nodes of the zone run that version of the object.
func (z zoneState) runs(arn, token string) bool {
	for _, s := range z.syncs {
		if token == "" || s.Tokens[arn] != token {
			return false
		}
	}
	return z.nodes > 0 && len(z.syncs) == z.nodes
}

// attached reports whether a node of the zone takes packets for an endpoint with one of the names.
func (z zoneState) attached(names []string) bool {
	return slices.ContainsFunc(z.syncs, func(s resource.Sync) bool {
		return slices.ContainsFunc(s.Attached, func(name string) bool { return slices.Contains(names, name) })
	})
}

// attachment describes an endpoint in the zone.
func (z zoneState) attachment(e resource.Endpoint) *wire.Attachment {
	a := &wire.Attachment{EndpointId: &e.ID, SubnetId: orNil(e.SubnetID), Status: wire.Ptr(wire.AttachmentStatusReady)}
	switch {
	case z.nodes == 0:
		a.Status = wire.Ptr(wire.AttachmentStatusCreating)
		a.StatusMessage = wire.Ptr(fmt.Sprintf("No engine node serves Availability Zone %s: start one, or map the subnet to another zone", e.Zone))
	case len(z.syncs) < z.nodes:
		a.Status = wire.Ptr(wire.AttachmentStatusCreating)
		a.StatusMessage = wire.Ptr(fmt.Sprintf("%d of %d engine nodes of Availability Zone %s serve this firewall so far", len(z.syncs), z.nodes, e.Zone))
	}
	for _, sync := range z.syncs {
		if sync.Error == "" {
			continue
		}
		a.StatusMessage = wire.Ptr(fmt.Sprintf("Engine node %s: %s", sync.Node, sync.Error))
		if len(sync.Tokens) == 0 { // it never ran any version
			a.Status = wire.Ptr(wire.AttachmentStatusError)
		}
	}
	return a
}
