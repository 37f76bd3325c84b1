package defrag

import (
	"fmt"
	"slices"
	"strings"
)

// Policy says which of two fragments gives the bytes that both have. Hosts
// differ, and a firewall that decides otherwise than the receiver inspects
// another datagram. The names and the meanings are those of Suricata's
// host-os-policy (Novak, "Target-Based Fragmentation Reassembly").
//
// A host that keeps to RFC 5722 has no use for any IPv6 datagram with overlaps.
type Policy uint8

const (
	Default  Policy = iota // Windows for IPv4 and BSD for IPv6, as Suricata's own configuration has it
	Windows                // the earlier, unless the later begins before it and ends after it
	First                  // the earlier
	Last                   // the later
	BSD                    // the earlier, unless the later begins before it
	BSDRight               // the later, unless it begins before the earlier
	Linux                  // the earlier, unless the later begins before it or with it
	Solaris                // the earlier, unless the later begins before it and ends after it or with it

	numPolicies
)

var policyNames = [numPolicies]string{"default", "windows", "first", "last", "bsd", "bsd-right", "linux", "solaris"}

// String returns the name that ParsePolicy takes.
func (p Policy) String() string { return policyNames[p] }

// ParsePolicy returns the policy of a name, such as "bsd-right".
func ParsePolicy(name string) (Policy, error) {
	if i := slices.Index(policyNames[:], name); i >= 0 {
		return Policy(i), nil
	}
	return 0, fmt.Errorf("%q is no policy of fragments: write one of %s", name, strings.Join(policyNames[:], ", "))
}

// of resolves Default for a version of IP.
func (p Policy) of(version uint8) Policy {
	switch {
	case p != Default:
		return p
	case version == 6:
		return BSD
	}
	return Windows
}

// step is what is to be done with a fragment that has met one of those before.
type step uint8

const (
	goOn    step = iota // it meets the next one
	keep                // it is kept, as far as it was not trimmed
	discard             // the earlier has all of it
)

// meet decides about the bytes that f, which arrives, and old both have; after is the
// one that follows old, if any. The loser is trimmed at its beginning, or old
// becomes empty. The fragments that f meets begin with the last that begins before it, and
// end where it says keep: in datagrams in which more than two fragments overlap, that is
// what makes the outcome Suricata's.
func (p Policy) meet(f, old, after *frag) step {
	switch p {
	case First:
		switch {
		case f.from >= old.from && f.to <= old.to:
			return discard
		case f.from < old.from:
			return keep
		case f.from < old.to:
			f.trimTo(old.to)
			return keep
		}
	case Last:
		if f.from <= old.from {
			if f.to > old.from {
				old.trim = f.to - old.from
			}
			return keep
		}
	case BSD:
		if f.from >= old.to {
			return goOn
		}
		if f.from >= old.from {
			if f.trimTo(old.to); f.robbed() {
				return discard
			}
		} else {
			old.trimTo(f.to)
		}
		if after != nil && after.from >= f.from {
			after.trimTo(f.to)
		}
		return keep
	case Linux:
		if old.start() < f.start() && old.to > f.start() {
			f.trimTo(old.to)
		}
		switch {
		case f.start() < old.start() && f.to > old.start(), f.start() <= old.start() && f.to >= old.to:
			old.trimTo(f.to)
			return keep
		}
	case Windows:
		switch {
		case f.from >= old.from && f.to <= old.to:
			return discard
		case f.from < old.from && f.to > old.to:
			old.trimTo(f.to)
			return keep
		case f.start() > old.start() && f.start() < old.to, f.from == old.from && f.to > old.to:
			f.trimTo(old.to)
			return keep
		}
	case Solaris:
		if f.from >= old.to {
			return goOn
		}
		if f.from >= old.from {
			f.trimTo(old.to)
		} else if f.to >= old.to {
			old.trimTo(f.to)
		}
		return keep
	}
	return goOn
}
