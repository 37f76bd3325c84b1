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

	numProtos = iota
)

// protoNames are Suricata's app_proto names.
var protoNames = [numProtos]string{
	Unknown: "unknown", Failed: "failed", HTTP: "http", TLS: "tls", DNS: "dns", SSH: "ssh",
	SMTP: "smtp", FTP: "ftp", IMAP: "imap", SMB: "smb", DCERPC: "dcerpc", NTP: "ntp",
	DHCP: "dhcp", TFTP: "tftp", KRB5: "krb5", IKE: "ike", QUIC: "quic", HTTP2: "http2",
	MQTT: "mqtt", RDP: "rdp", SIP: "sip", SNMP: "snmp", Telnet: "telnet", RFB: "rfb",
	BitTorrentDHT: "bittorrent-dht",
}

// String returns Suricata's name of the protocol, such as "tls".
func (p Proto) String() string {
	if int(p) < len(protoNames) {
		return protoNames[p]
	}
	return "unknown"
}

// ProtoByName returns the protocol that rules call name, in lower case. Besides
// the names of String it knows those that Suricata takes: "ssl", "http1",
// "ikev2" and "krb".
func ProtoByName(name string) (p Proto, ok bool) {
	switch name {
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

// Buffer is a piece of a protocol that rules look into.
type Buffer uint8

const (
	NoBuffer    Buffer = iota
	TLSSNI             // name asked for, as sent; absent without one
	TLSVersion         // of the ServerHello, in the words of EVE: "TLS 1.2"
	HTTPHost           // lower case, without port
	HTTPHostRaw        // as sent
	HTTPMethod
	HTTPURI // request target as sent
	HTTPUserAgent
	DNSQuery // name of the first question, with dots

	// NumBuffers is the number of buffers, for arrays.
	NumBuffers = iota
)

var bufferNames = [NumBuffers]string{
	"", "tls.sni", "tls.version", "http.host", "http.host.raw", "http.method",
	"http.uri", "http.user_agent", "dns.query",
}

// String returns the keyword of the buffer, such as "tls.sni".
func (b Buffer) String() string {
	if int(b) < len(bufferNames) {
		return bufferNames[b]
	}
	return ""
}

// Hook returns the hook from which on the buffer can be looked into.
func (b Buffer) Hook() Hook {
	switch b {
	case TLSSNI:
		return TLSClientHello
	case TLSVersion:
		return TLSServerHello
	case HTTPHost, HTTPHostRaw, HTTPMethod, HTTPURI, HTTPUserAgent:
		return HTTPRequestHeaders
	case DNSQuery:
		return DNSRequest
	}
	return NoHook
}

// BufferByName returns the buffer that rules call name.
func BufferByName(name string) (b Buffer, ok bool) {
	for b, n := range bufferNames {
		if n == name && b > 0 {
			return Buffer(b), true
		}
	}
	return NoBuffer, false
}

// Hook is a moment in a protocol at which rules are evaluated.
type Hook uint8

const (
	NoHook              Hook = iota
	ProtocolDetected         // Proto is final, and may be Failed
	TLSClientHello           // the SNI is known, or known to be absent
	TLSServerHello           // the version is known; what follows is encrypted
	HTTPRequestHeaders       // of one request
	HTTPResponseHeaders      // of one response
	DNSRequest
	DNSResponse
	ParserFailed // the peer's bytes broke the protocol, or a gap did; nothing more will come

	// NumHooks is the number of hooks, for arrays.
	NumHooks = iota
)

var hookNames = [NumHooks]string{
	"", "protocol_detected", "tls_client_hello", "tls_server_hello",
	"http_request_headers", "http_response_headers", "dns_request", "dns_response",
	"parser_failed",
}

// String returns a name for logs and tests.
func (h Hook) String() string {
	if int(h) < len(hookNames) {
		return hookNames[h]
	}
	return ""
}

// Proto returns the protocol whose parser fills the buffer.
func (b Buffer) Proto() Proto {
	switch b {
	case TLSSNI, TLSVersion:
		return TLS
	case DNSQuery:
		return DNS
	case NoBuffer:
		return Unknown
	}
	return HTTP
}
