// Package applayer recognises the application protocol of a flow and follows
// it as far as rules need: protocol parsers (the packages below this one) turn
// ordered bytes into named buffers, which are offered at hooks, the moments in
// a protocol when rules are evaluated.
package applayer

// Proto is an application protocol.
type Proto uint8

const (
	Unknown Proto = iota // not recognised yet
	Failed               // not recognised, and never will be
	HTTP
	TLS
	DNS
	SSH
	SMTP
	FTP
	IMAP
	SMB
	DCERPC
	NTP
	DHCP
	TFTP
	KRB5
	IKE
	QUIC
	HTTP2
	MQTT
	RDP
	SIP
	SNMP
	Telnet
	RFB
	BitTorrentDHT
	NFS
	FTPData
	DNP3
	Modbus
	ENIP
	PGSQL
	AnyHTTP // what rules mean by http: HTTP or HTTP2

	numProtos = iota
)

// protoNames are Suricata's app_proto names.
var protoNames = [numProtos]string{
	Unknown: "unknown", Failed: "failed", HTTP: "http", TLS: "tls", DNS: "dns", SSH: "ssh",
	SMTP: "smtp", FTP: "ftp", IMAP: "imap", SMB: "smb", DCERPC: "dcerpc", NTP: "ntp",
	DHCP: "dhcp", TFTP: "tftp", KRB5: "krb5", IKE: "ike", QUIC: "quic", HTTP2: "http2",
	MQTT: "mqtt", RDP: "rdp", SIP: "sip", SNMP: "snmp", Telnet: "telnet", RFB: "rfb",
	BitTorrentDHT: "bittorrent-dht", NFS: "nfs", FTPData: "ftp-data", DNP3: "dnp3", Modbus: "modbus",
	ENIP: "enip", PGSQL: "pgsql", AnyHTTP: "http",
}

// String returns Suricata's name of the protocol, such as "tls".
func (p Proto) String() string {
	if int(p) < len(protoNames) {
		return protoNames[p]
	}
	return "unknown"
}

// Covers reports whether rules about p are about flows of q, too: those about DCERPC are about what
// SMB carries.
func (p Proto) Covers(q Proto) bool {
	return p == q || p == DCERPC && q == SMB || p == AnyHTTP && (q == HTTP || q == HTTP2)
}

// OneWay says whether each transaction of a protocol is a message of one side.
func (p Proto) OneWay() bool { return p == DNS || p == MQTT }

// takesGaps says whether Suricata's parser of a protocol goes on after a hole.
func (p Proto) takesGaps() bool {
	return p == HTTP || p == DNS || p == SMB || p == DCERPC || p == NFS || p == PGSQL || p == Telnet || p == IMAP
}

// ProtoByName returns the protocol that rules call name, in lower case. Besides
// the names of String it knows those that Suricata takes: "ssl", "http1",
// "ikev2" and "krb".
func ProtoByName(name string) (p Proto, ok bool) {
	switch name {
	case "http":
		return AnyHTTP, true
	case "ssl":
		return TLS, true
	case "http1":
		return HTTP, true
	case "ikev2":
		return IKE, true
	case "krb":
		return KRB5, true
	}
	for p, n := range protoNames {
		if n == name {
			return Proto(p), true
		}
	}
	return Unknown, false
}
