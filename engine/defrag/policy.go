package defrag

// Policy says which of two fragments gives the bytes that both have. Hosts
// differ, and a firewall that decides otherwise than the receiver inspects
// another datagram. The names and the meanings are those of Suricata's
// defrag.host-os-policy (Novak, "Target-Based Fragmentation Reassembly").
//
// The same policy is used for IPv6, where a host that keeps to RFC 5722 has no
// use for any datagram with overlaps.
type Policy uint8

const (
	Windows Policy = iota // the earlier, unless the later begins before it and ends after it
	First                 // the earlier
	Last                  // the later
	BSD                   // the earlier, unless the later begins before it
	Linux                 // the earlier, unless the later begins before it or with it
	Solaris               // the earlier, unless the later begins before it and ends after it or with it
)

// replaces says whether the later of two overlapping fragments wins.
func (p Policy) replaces(later, earlier *frag) bool {
	switch p {
	case Last:
		return true
	case BSD:
		return later.from < earlier.from
	case Linux:
		return later.from <= earlier.from
	case Windows:
		return later.from < earlier.from && later.to > earlier.to
	case Solaris:
		return later.from < earlier.from && later.to >= earlier.to
	}
	return false
}
