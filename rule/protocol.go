package rule

import (
	"slices"
	"strings"
)

// networkProtos are the header protocols below the application layer.
var networkProtos = []string{
	"ip", "ipv4", "ipv6", "tcp", "tcp-pkt", "tcp-stream", "udp", "icmp", "icmpv4", "icmpv6", "sctp", "pkthdr",
}

// IANA numbers of transport protocols.
const (
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
)

// appProtos are the application protocols, in rule headers and in app-layer-protocol, with the
// transport protocols below them.
var appProtos = []struct {
	name     string
	tcp, udp bool
}{
	{"bittorrent-dht", false, true}, {"dcerpc", true, true}, {"dhcp", false, true}, {"dnp3", true, false},
	{"dns", true, true}, {"enip", true, true}, {"ftp", true, false}, {"ftp-data", true, false},
	{"http", true, false}, {"http1", true, false}, {"http2", true, false}, {"ike", false, true},
	{"imap", true, false}, {"krb5", true, true}, {"modbus", true, false}, {"mqtt", true, false},
	{"nfs", true, true}, {"ntp", false, true}, {"pgsql", true, false}, {"quic", false, true},
	{"rdp", true, false}, {"rfb", true, false}, {"sip", false, true}, {"smb", true, false},
	{"smtp", true, false}, {"snmp", false, true}, {"ssh", true, false}, {"telnet", true, false},
	{"tftp", false, true}, {"tls", true, false},
}

// appNames are the names of appProtos.
var appNames = func() []string {
	names := make([]string, len(appProtos))
	for i, p := range appProtos {
		names[i] = p.name
	}
	return names
}()

// Transports says whether an application protocol, by its canonical name, runs over TCP and over UDP.
func Transports(app string) (tcp, udp bool) {
	if i := slices.Index(appNames, app); i >= 0 {
		return appProtos[i].tcp, appProtos[i].udp
	}
	return false, false
}

// protoAliases gives the canonical names of protocols that have two.
var protoAliases = map[string]string{"ip4": "ipv4", "ip6": "ipv6", "ikev2": "ike", "ssl": "tls"}

// protocol returns the canonical name of a header protocol.
func protocol(word string) (string, bool) {
	name := canonicalProto(word)
	return name, slices.Contains(networkProtos, name) || slices.Contains(appNames, name)
}

func canonicalProto(word string) string {
	name := strings.ToLower(word)
	if canonical, ok := protoAliases[name]; ok {
		return canonical
	}
	return name
}

func unknownProto(word string, off int, names []string) *fault {
	remedy := "use ip for every protocol"
	if s := suggest(strings.ToLower(word), slices.Values(names)); s != "" {
		remedy = "did you mean \"" + s + "\"?"
	}
	return faultf(off, "unknown protocol %q; %s", clip(word), remedy)
}

// appSet is a set of application protocols: bits by their place in appProtos. The protocol http
// stands for http1 and http2.
type appSet uint64

func appsOf(names ...string) appSet {
	var s appSet
	for _, name := range names {
		if name == "http" {
			s |= appsOf("http1", "http2")
			continue
		}
		if i := slices.Index(appNames, name); i >= 0 {
			s |= 1 << i
		}
	}
	return s
}

// names lists the protocols of the set, http1 and http2 as http where both are in it.
func (s appSet) names() []string {
	var names []string
	http := appsOf("http")
	if s&http == http {
		names, s = append(names, "http"), s&^http
	}
	for i, name := range appNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func (s appSet) String() string { return strings.Join(s.names(), " or ") }
