package cli

import (
	"fmt"
	"slices"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/rule"
)

// ruleSources are the rules of one or more files, each with a gid and sid of its own.
type ruleSources struct {
	taken []detect.Source   // without a Rule where a newer one came
	at    map[[2]uint32]int // place in taken, by gid and sid
}

// all returns the rules in the order in which they came.
func (s *ruleSources) all() []detect.Source {
	return slices.DeleteFunc(slices.Clone(s.taken), func(one detect.Source) bool { return one.Rule == nil })
}

// add takes a rule. One with the gid and sid of an earlier rule is taken instead of that if its
// revision is newer, and otherwise not taken, as in Suricata; earlier is that rule.
func (s *ruleSources) add(one detect.Source) (earlier *rule.Rule, taken bool) {
	if s.at == nil {
		s.at = map[[2]uint32]int{}
	}
	id := [2]uint32{one.Rule.GID, one.Rule.SID}
	i, found := s.at[id]
	if !found {
		s.at[id] = len(s.taken)
		s.taken = append(s.taken, one)
		return nil, true
	}
	earlier = s.taken[i].Rule
	if one.Rule.Rev <= earlier.Rev {
		return earlier, false
	}
	s.taken[i] = detect.Source{}
	s.at[id] = len(s.taken)
	s.taken = append(s.taken, one)
	return earlier, true
}

// remove takes a rule out.
func (s *ruleSources) remove(r *rule.Rule) { s.taken[s.at[[2]uint32{r.GID, r.SID}]] = detect.Source{} }

// leftOut says why a rule that is intact is not used.
func leftOut(why string) string { return "the rule is left out: " + why }

// usedTwice says that a rule is not taken because of an earlier one.
func usedTwice(one *rule.Rule, where string) string {
	return fmt.Sprintf("sid %d is already used in %s; give every rule its own, or the newer one a higher rev", one.SID, where)
}
