package detect

import (
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// Reputation is what lists say of addresses. Any number of goroutines ask it.
type Reputation interface {
	// Category returns the number that Score knows a category by.
	Category(name string) (category uint8, ok bool)

	// Score returns how much an address belongs to a category; ok is false where no list says it.
	Score(a packet.Addr, category uint8) (score uint8, ok bool)
}

// newIPRep compiles iprep.
func newIPRep(r *rule.IPRep, lists Reputation) (check, error) {
	if lists == nil {
		return nil, unsupported("iprep needs lists of reputation; name them with --reputation-categories and --reputation, or the keys reputation.categories and reputation.lists")
	}
	category, ok := lists.Category(r.Category)
	if !ok {
		return nil, unsupported("iprep category %q is not in the file of categories; add it there", r.Category)
	}
	// Suricata takes a score of 0 for none where isnotset is about one side.
	zeroIsNone := r.Side == rule.SideSrc || r.Side == rule.SideDst
	match := sideCheck(r.Side, func(a packet.Addr) bool {
		score, ok := lists.Score(a, category)
		switch r.Op {
		case "isset":
			return ok
		case "isnotset":
			return !ok || score == 0 && zeroIsNone
		case "<":
			return ok && score < r.Value
		case "<=":
			return ok && score <= r.Value
		case ">":
			return ok && score > r.Value
		case ">=":
			return ok && score >= r.Value
		}
		return ok && score == r.Value
	})
	return func(in *Input) bool { return in.Packet.IPVersion != 0 && match(in) }, nil
}
