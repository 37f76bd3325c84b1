package applayer

// Number is a figure of a transaction that rules compare. As with buffers, one keyword can stand
// for several: at other moments, of the other direction, of other protocols.
type Number uint16

const (
	NoNumber Number = iota

	// What the last handshake message was: SSLClientHello or one of its like. Packets of both directions see it.
	TLSClientSeesState
	TLSServerSeesState

	TLSClientVersion // such as 0x0303
	TLSServerVersion
	TLSCertChainLen
	TLSClientCertChainLen
	TLSCertNotBefore // seconds since 1970
	TLSClientCertNotBefore
	TLSCertNotAfter
	TLSClientCertNotAfter

	DNSRequestOpcode
	DNSResponseOpcode

	MQTTClientType
	MQTTServerType
	MQTTClientFlags
	MQTTServerFlags
	MQTTClientQoS
	MQTTServerQoS
	MQTTProtocolVersion
	MQTTClientReason
	MQTTServerReason
	MQTTConnectFlags
	MQTTSessionPresent

	DCERPCRequestOpnum
	DCERPCResponseOpnum

	SMBRequestVersion // 1 or 2
	SMBResponseVersion
	SMBRequestOpnum
	SMBResponseOpnum

	// Of the frames of a stream of HTTP/2.
	HTTP2FrameType
	HTTP2ErrorCode
	HTTP2Priority // weights
	HTTP2Window   // increments
	HTTP2SizeUpdate
	HTTP2Settings // identifiers, times 2^32, and values
	HTTP2ReplyFrameType
	HTTP2ReplyErrorCode
	HTTP2ReplyPriority
	HTTP2ReplyWindow
	HTTP2ReplySizeUpdate
	HTTP2ReplySettings

	// NumNumbers is the number of numbers, for arrays.
	NumNumbers = iota
)

// Values of the numbers that ssl_state compares.
const (
	SSLClientHello = 1 << iota
	SSLServerHello
	SSLClientKeyExchange
	SSLServerKeyExchange
	SSLUnknown
)

var numbers = [NumNumbers]field{
	TLSClientSeesState:     {"ssl_state", TLS, TLSClientState},
	TLSServerSeesState:     {"ssl_state", TLS, TLSServerState},
	TLSClientVersion:       {"ssl_version", TLS, TLSClientHello},
	TLSServerVersion:       {"ssl_version", TLS, TLSServerHello},
	TLSCertChainLen:        {"tls.cert_chain_len", TLS, TLSServerCertificate},
	TLSClientCertChainLen:  {"tls.cert_chain_len", TLS, TLSClientCertificate},
	TLSCertNotBefore:       {"tls_cert_notbefore", TLS, TLSServerCertificate},
	TLSClientCertNotBefore: {"tls_cert_notbefore", TLS, TLSClientCertificate},
	TLSCertNotAfter:        {"tls_cert_notafter", TLS, TLSServerCertificate},
	TLSClientCertNotAfter:  {"tls_cert_notafter", TLS, TLSClientCertificate},

	DNSRequestOpcode:  {"dns.opcode", DNS, DNSRequest},
	DNSResponseOpcode: {"dns.opcode", DNS, DNSResponse},

	MQTTClientType:      {"mqtt.type", MQTT, MQTTClientMessage},
	MQTTServerType:      {"mqtt.type", MQTT, MQTTServerMessage},
	MQTTClientFlags:     {"mqtt.flags", MQTT, MQTTClientMessage},
	MQTTServerFlags:     {"mqtt.flags", MQTT, MQTTServerMessage},
	MQTTClientQoS:       {"mqtt.qos", MQTT, MQTTClientMessage},
	MQTTServerQoS:       {"mqtt.qos", MQTT, MQTTServerMessage},
	MQTTProtocolVersion: {"mqtt.protocol_version", MQTT, MQTTClientMessage},
	MQTTClientReason:    {"mqtt.reason_code", MQTT, MQTTClientMessage},
	MQTTServerReason:    {"mqtt.reason_code", MQTT, MQTTServerMessage},
	MQTTConnectFlags:    {"mqtt.connect.flags", MQTT, MQTTClientMessage},
	MQTTSessionPresent:  {"mqtt.connack.session_present", MQTT, MQTTServerMessage},

	DCERPCRequestOpnum:  {"dcerpc.opnum", DCERPC, DCERPCRequest},
	DCERPCResponseOpnum: {"dcerpc.opnum", DCERPC, DCERPCResponse},

	SMBRequestVersion:  {"smb.version", SMB, SMBRequest},
	SMBResponseVersion: {"smb.version", SMB, SMBResponse},
	SMBRequestOpnum:    {"dcerpc.opnum", SMB, SMBRequest},
	SMBResponseOpnum:   {"dcerpc.opnum", SMB, SMBResponse},

	HTTP2FrameType:       {"http2.frametype", HTTP2, HTTP2RequestFrames},
	HTTP2ErrorCode:       {"http2.errorcode", HTTP2, HTTP2RequestFrames},
	HTTP2Priority:        {"http2.priority", HTTP2, HTTP2RequestFrames},
	HTTP2Window:          {"http2.window", HTTP2, HTTP2RequestFrames},
	HTTP2SizeUpdate:      {"http2.size_update", HTTP2, HTTP2RequestFrames},
	HTTP2Settings:        {"http2.settings", HTTP2, HTTP2RequestFrames},
	HTTP2ReplyFrameType:  {"http2.frametype", HTTP2, HTTP2ResponseFrames},
	HTTP2ReplyErrorCode:  {"http2.errorcode", HTTP2, HTTP2ResponseFrames},
	HTTP2ReplyPriority:   {"http2.priority", HTTP2, HTTP2ResponseFrames},
	HTTP2ReplyWindow:     {"http2.window", HTTP2, HTTP2ResponseFrames},
	HTTP2ReplySizeUpdate: {"http2.size_update", HTTP2, HTTP2ResponseFrames},
	HTTP2ReplySettings:   {"http2.settings", HTTP2, HTTP2ResponseFrames},
}

// String returns the keyword of the number, such as "tls.cert_chain_len".
func (n Number) String() string {
	if int(n) < len(numbers) {
		return numbers[n].name
	}
	return ""
}

// Proto returns the protocol whose parser has the number.
func (n Number) Proto() Proto { return numbers[n].proto }

// Hook returns the hook from which on the number can be compared.
func (n Number) Hook() Hook { return numbers[n].hook }

// NumbersByName returns the numbers that rules call name, in the order of the table. The slice
// is not to be changed.
func NumbersByName(name string) []Number { return numbersByName[name] }

var numbersByName = byName(numbers[:], func(i int) Number { return Number(i) })

// byName lists the members of a table by their names.
func byName[T any](table []field, member func(i int) T) map[string][]T {
	m := map[string][]T{}
	for i := 1; i < len(table); i++ {
		m[table[i].name] = append(m[table[i].name], member(i))
	}
	return m
}
