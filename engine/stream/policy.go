package stream

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
)

// Policy says of a receiver how it handles what the RFCs leave open: whose bytes
// count where segments overlap, which resets and timestamps it takes.
type Policy uint8

// The systems that Suricata tells apart.
const (
	Windows Policy = iota // the default
	BSD
	BSDRight
	OldLinux
	Linux
	OldSolaris
	Solaris
	HPUX10
	HPUX11
	IRIX
	MacOS
	Vista
	Windows2K3
	First
	Last

	NumPolicies
)

var policyNames = [NumPolicies]string{
	"windows", "bsd", "bsd-right", "old-linux", "linux", "old-solaris", "solaris",
	"hpux10", "hpux11", "irix", "macos", "vista", "windows2k3", "first", "last",
}

// String returns the name of the policy in configurations, such as "old-linux".
func (p Policy) String() string { return policyNames[p] }

// prefersNew says whether the bytes of s count where it overlaps old, which came before.
func (p Policy) prefersNew(s, old segment) bool {
	switch {
	case p == Last:
		return true
	case p == First || p == Vista:
		return false
	case s.from.Less(old.from):
		return !s.to.Less(old.to) || !p.solaris()
	case s.from == old.from && s.to == old.to:
		return p == OldLinux || p.solaris()
	case s.from == old.from:
		return old.to.Less(s.to) && (p == OldLinux || p == Linux || p.solaris())
	}
	return old.to.Less(s.to) && p.solaris()
}

// solaris says whether it is one of the systems that take the bytes of the segment that
// reaches further.
func (p Policy) solaris() bool { return p == Solaris || p == OldSolaris || p == HPUX11 }

// Options say how streams are put together. The zero value is Suricata's reference
// configuration.
type Options struct {
	Policies     Policies
	AsyncOneSide bool // follow connections of which only one side is seen
}

// Policies says what systems the hosts of a network run.
type Policies struct {
	Default Policy
}

// Of returns the policy of a host.
func (p *Policies) Of(host *packet.Addr) Policy { return p.Default }

// ParsePolicy returns the policy of that name.
func ParsePolicy(name string) (Policy, error) {
	if i := slices.Index(policyNames[:], name); i >= 0 {
		return Policy(i), nil
	}
	return 0, fmt.Errorf("%q is no policy of streams: write one of %s", name, strings.Join(policyNames[:], ", "))
}
