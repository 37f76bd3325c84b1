package control

import (
	"context"
	"net/netip"
	"slices"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/resource"
)

// Limits of reference sets.
const (
	maxFirewallCIDRs = 1_000_000 // of all sets of a firewall together, as the API model bounds what it reports
	maxSetCIDRs      = 50_000    // of one set: what one record has room for (AWS: 1,000 for a prefix list)
	maxReferenceARN  = 256       // AWS: ResourceArn
)

// AWS looks up what rule groups refer to as @NAME in prefix lists and resource
// groups of other services. Here an operator says what is behind their ARNs. As
// on AWS, a set that is not there is no error: it has no addresses.

// SetReferenceSet says which addresses are behind an ARN that rule groups refer
// to. It replaces what was said before. An ARN whose set is empty matches
// nothing.
func (c *Control) SetReferenceSet(ctx context.Context, arn string, cidrs []netip.Prefix) error {
	switch {
	case len(arn) < 5 || arn[:4] != "arn:" || len(arn) > maxReferenceARN:
		return invalid("%s", quoted("ReferenceArn has invalid format", arn, "ReferenceArn"))
	case len(cidrs) > maxSetCIDRs:
		return invalid("%s", quoted("CIDRs limit exceeded", len(cidrs), "CIDRs"))
	}
	s := resource.ReferenceSet{ARN: arn, UpdateToken: c.o.NewID(), Modified: c.o.Clock(), CIDRs: make([]netip.Prefix, len(cidrs))}
	for i, p := range cidrs {
		if !p.IsValid() {
			return invalid("CIDR has invalid format, context: CIDRs[%d]", i)
		}
		s.CIDRs[i] = p.Masked()
	}
	slices.SortFunc(s.CIDRs, netip.Prefix.Compare)
	s.CIDRs = slices.Compact(s.CIDRs)
	_, err := c.store.Put(ctx, c.scope.ReferenceSet(arn), &s, 0)
	return storeError(err)
}

// DeleteReferenceSet forgets what is behind an ARN; nothing is no error.
func (c *Control) DeleteReferenceSet(ctx context.Context, arn string) error {
	return storeError(c.store.Delete(ctx, c.scope.ReferenceSet(arn)))
}

// ListReferenceSets returns all reference sets in order of their ARNs.
func (c *Control) ListReferenceSets(ctx context.Context) ([]resource.ReferenceSet, error) {
	records, _, err := list[resource.ReferenceSet](ctx, c, c.scope.ReferenceSets())
	sets := make([]resource.ReferenceSet, len(records))
	for i, r := range records {
		sets[i] = r.Value
	}
	return sets, err
}

// referencesOf returns the ARNs that a rule group refers to.
func referencesOf(doc *wire.RuleGroup) []string {
	if doc == nil || doc.ReferenceSets == nil {
		return nil
	}
	var arns []string
	for _, ref := range doc.ReferenceSets.IPSetReferences {
		if ref.ReferenceArn != nil {
			arns = append(arns, *ref.ReferenceArn)
		}
	}
	return arns
}

// capacityUsage counts the CIDRs of a firewall's reference sets, each set once.
// It is nil for a firewall without any.
func (c *Control) capacityUsage(ctx context.Context, references []string) (*wire.CapacityUsageSummary, error) {
	if len(references) == 0 {
		return nil, nil
	}
	sets, used := map[string]wire.IPSetMetadata{}, 0
	for _, arn := range references {
		if _, counted := sets[arn]; counted {
			continue
		}
		r, _, err := read[resource.ReferenceSet](ctx, c, c.scope.ReferenceSet(arn))
		if err != nil {
			return nil, err
		}
		sets[arn] = wire.IPSetMetadata{ResolvedCIDRCount: count(len(r.value.CIDRs))}
		used += len(r.value.CIDRs)
	}
	used = min(used, maxFirewallCIDRs)
	return &wire.CapacityUsageSummary{CIDRs: &wire.CIDRSummary{
		AvailableCIDRCount: count(maxFirewallCIDRs - used), UtilizedCIDRCount: count(used), IPSetReferences: sets,
	}}, nil
}
