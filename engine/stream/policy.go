package stream

import "github.com/sluicefw/sluice/engine/packet"

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

// Options say how streams are put together. The zero value is Suricata's reference
// configuration.
type Options struct {
	Policies Policies
}

// Policies says what systems the hosts of a network run.
type Policies struct {
	Default Policy
}

// Of returns the policy of a host.
func (p *Policies) Of(host *packet.Addr) Policy { return p.Default }
