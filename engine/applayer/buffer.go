package applayer

import "github.com/sluicefw/sluice/engine/packet"

// Buffer is a piece of a protocol that rules look into. What rules call by one name, such as
// http.header, can be several buffers: one of each direction, and of each protocol that has it.
type Buffer uint16

const (
	NoBuffer Buffer = iota
	DNSQuery        // name of a question, with dots

	TLSSNI          // name asked for, as sent; absent without one
	TLSClientRandom // of the hello: 32 bytes
	TLSServerRandom
	TLSClientRandomTime // its first 4 bytes
	TLSServerRandomTime
	TLSClientRandomBytes // the others
	TLSServerRandomBytes
	TLSCertSubject // of the sender's certificate, the first of its chain
	TLSClientCertSubject
	TLSCertIssuer
	TLSClientCertIssuer
	TLSCertSerial // such as "00:97:E6"
	TLSClientCertSerial
	TLSCertFingerprint // SHA-1, such as "3a:0b:..."
	TLSClientCertFingerprint
	TLSCerts // each certificate of the chain, as sent
	TLSClientCerts
	JA3Hash
	JA3String
	JA3SHash
	JA3SString
	JA4Hash

	// Of HTTP requests. Of a field that is repeated it is the first, and the second behind a comma.
	HTTPMethod
	HTTPURI         // decoded and normalised
	HTTPURIRaw      // as sent
	HTTPVersion     // as sent, such as "HTTP/1.1"
	HTTPLine        // the request line
	HTTPHost        // of the URI, or else the Host field; lower case, without port
	HTTPHostRaw     // with port, as sent
	HTTPHeader      // the fields but the cookie, one a line, white space around values removed
	HTTPHeaderRaw   // the fields as sent
	HTTPHeaderNames // one a line, between empty lines
	HTTPHeaderField // values: each field as "name: value"
	HTTPStart       // the request line and HTTPHeader with the cookie
	HTTPCookie
	HTTPUserAgent
	HTTPReferer
	HTTPAccept
	HTTPAcceptLang
	HTTPAcceptEnc
	HTTPConnection
	HTTPContentType
	HTTPContentLen
	HTTPBody     // the part of it that is to be looked at now
	HTTPFileData // values: the same of each file in it
	HTTPFileName // values: of each file

	// The same of responses.
	HTTPStatusLine
	HTTPStatCode
	HTTPStatMsg
	HTTPReplyVersion
	HTTPReplyHeader
	HTTPReplyHeaderRaw
	HTTPReplyHeaderNames
	HTTPReplyHeaderField
	HTTPReplyStart
	HTTPReplyCookie // Set-Cookie
	HTTPServer
	HTTPLocation
	HTTPReplyConnection
	HTTPReplyContentType
	HTTPReplyContentLen
	HTTPReplyBody // decompressed
	HTTPReplyFileData
	HTTPReplyFileName

	// Of streams of HTTP/2, as of HTTP. Of a field that is repeated it is all values, with commas between them.
	HTTP2HeaderName  // values: the name of each field
	HTTP2HeaderField // values: each field as "name: value"
	HTTP2Method
	HTTP2URI
	HTTP2URIRaw
	HTTP2Version // "HTTP/2"
	HTTP2Line    // as a request line of HTTP/1
	HTTP2Host    // of :authority: lower case, without port
	HTTP2HostRaw
	HTTP2Header
	HTTP2HeaderRaw
	HTTP2HeaderNames
	HTTP2Cookie
	HTTP2UserAgent
	HTTP2Referer
	HTTP2Accept
	HTTP2AcceptLang
	HTTP2AcceptEnc
	HTTP2Connection
	HTTP2ContentType
	HTTP2ContentLen
	HTTP2Body // Suricata has file.data of responses only

	HTTP2ReplyHeaderName
	HTTP2ReplyHeaderField
	HTTP2StatusLine
	HTTP2StatCode
	HTTP2StatMsg // empty
	HTTP2ReplyVersion
	HTTP2ReplyHeader
	HTTP2ReplyHeaderRaw
	HTTP2ReplyHeaderNames
	HTTP2ReplyCookie
	HTTP2Server
	HTTP2Location
	HTTP2ReplyConnection
	HTTP2ReplyContentType
	HTTP2ReplyContentLen
	HTTP2ReplyBody
	HTTP2ReplyFileData

	SSHClientProto
	SSHServerProto
	SSHClientSoftware
	SSHServerSoftware
	SSHHassh
	SSHHasshString
	SSHHasshServer
	SSHHasshServerString

	SIPMethod
	SIPURI
	SIPRequestProtocol
	SIPResponseProtocol
	SIPStatCode
	SIPStatMsg
	SIPRequestLine
	SIPResponseLine

	MQTTProtocolString
	MQTTClientID
	MQTTUsername
	MQTTPassword
	MQTTWillTopic
	MQTTWillMessage
	MQTTClientPublishTopic
	MQTTServerPublishTopic
	MQTTClientPublishMessage
	MQTTServerPublishMessage
	MQTTSubscribeTopic
	MQTTUnsubscribeTopic

	DCERPCRequestStub
	DCERPCResponseStub
	DCERPCRequestInterface // values: those that were agreed on, as UUID and version
	DCERPCResponseInterface

	SMBNamedPipe // a share of pipes, without the first backslash
	SMBShare     // another share, or one that the server has not answered for yet
	SMBNTLMUser
	SMBNTLMDomain
	SMBRequestStub // of the call in a pipe
	SMBResponseStub
	SMBRequestInterface
	SMBResponseInterface
	SMBWrittenData // the part of a file that is to be looked at now
	SMBWrittenName
	SMBReadData
	SMBReadName

	SMTPFileData // values: the part of each attachment that is to be looked at now
	SMTPFileName // values: of each

	// NumBuffers is the number of buffers, for arrays.
	NumBuffers = iota
)

// field says what a buffer or a number is called in rules, and from which hook of whose
// protocol on it can be looked at. Its direction is that of the hook.
type field struct {
	name  string
	proto Proto
	hook  Hook
}

var buffers = [NumBuffers]field{
	DNSQuery: {"dns.query", DNS, DNSRequest},

	TLSSNI:                   {"tls.sni", TLS, TLSClientHello},
	TLSClientRandom:          {"tls.random", TLS, TLSClientHello},
	TLSServerRandom:          {"tls.random", TLS, TLSServerHello},
	TLSClientRandomTime:      {"tls.random_time", TLS, TLSClientHello},
	TLSServerRandomTime:      {"tls.random_time", TLS, TLSServerHello},
	TLSClientRandomBytes:     {"tls.random_bytes", TLS, TLSClientHello},
	TLSServerRandomBytes:     {"tls.random_bytes", TLS, TLSServerHello},
	TLSCertSubject:           {"tls.cert_subject", TLS, TLSServerCertificate},
	TLSClientCertSubject:     {"tls.cert_subject", TLS, TLSClientCertificate},
	TLSCertIssuer:            {"tls.cert_issuer", TLS, TLSServerCertificate},
	TLSClientCertIssuer:      {"tls.cert_issuer", TLS, TLSClientCertificate},
	TLSCertSerial:            {"tls.cert_serial", TLS, TLSServerCertificate},
	TLSClientCertSerial:      {"tls.cert_serial", TLS, TLSClientCertificate},
	TLSCertFingerprint:       {"tls.cert_fingerprint", TLS, TLSServerCertificate},
	TLSClientCertFingerprint: {"tls.cert_fingerprint", TLS, TLSClientCertificate},
	TLSCerts:                 {"tls.certs", TLS, TLSServerCertificate},
	TLSClientCerts:           {"tls.certs", TLS, TLSClientCertificate},
	JA3Hash:                  {"ja3.hash", TLS, TLSClientHello},
	JA3String:                {"ja3.string", TLS, TLSClientHello},
	JA3SHash:                 {"ja3s.hash", TLS, TLSServerHello},
	JA3SString:               {"ja3s.string", TLS, TLSServerHello},
	JA4Hash:                  {"ja4.hash", TLS, TLSClientHello},

	HTTPMethod:      {"http.method", HTTP, HTTPRequestLine},
	HTTPURI:         {"http.uri", HTTP, HTTPRequestLine},
	HTTPURIRaw:      {"http.uri.raw", HTTP, HTTPRequestLine},
	HTTPVersion:     {"http.protocol", HTTP, HTTPRequestLine},
	HTTPLine:        {"http.request_line", HTTP, HTTPRequestLine},
	HTTPHost:        {"http.host", HTTP, HTTPRequestHeaders},
	HTTPHostRaw:     {"http.host.raw", HTTP, HTTPRequestHeaders},
	HTTPHeader:      {"http.header", HTTP, HTTPRequestHeaders},
	HTTPHeaderRaw:   {"http.header.raw", HTTP, HTTPRequestHeaders},
	HTTPHeaderNames: {"http.header_names", HTTP, HTTPRequestHeaders},
	HTTPHeaderField: {"http.request_header", HTTP, HTTPRequestHeaders},
	HTTPStart:       {"http.start", HTTP, HTTPRequestHeaders},
	HTTPCookie:      {"http.cookie", HTTP, HTTPRequestHeaders},
	HTTPUserAgent:   {"http.user_agent", HTTP, HTTPRequestHeaders},
	HTTPReferer:     {"http.referer", HTTP, HTTPRequestHeaders},
	HTTPAccept:      {"http.accept", HTTP, HTTPRequestHeaders},
	HTTPAcceptLang:  {"http.accept_lang", HTTP, HTTPRequestHeaders},
	HTTPAcceptEnc:   {"http.accept_enc", HTTP, HTTPRequestHeaders},
	HTTPConnection:  {"http.connection", HTTP, HTTPRequestHeaders},
	HTTPContentType: {"http.content_type", HTTP, HTTPRequestHeaders},
	HTTPContentLen:  {"http.content_len", HTTP, HTTPRequestHeaders},
	HTTPBody:        {"http.request_body", HTTP, HTTPRequestBody},
	HTTPFileData:    {"file.data", HTTP, HTTPRequestBody},
	HTTPFileName:    {"file.name", HTTP, HTTPRequestBody},

	HTTPStatusLine:       {"http.response_line", HTTP, HTTPResponseLine},
	HTTPStatCode:         {"http.stat_code", HTTP, HTTPResponseLine},
	HTTPStatMsg:          {"http.stat_msg", HTTP, HTTPResponseLine},
	HTTPReplyVersion:     {"http.protocol", HTTP, HTTPResponseLine},
	HTTPReplyHeader:      {"http.header", HTTP, HTTPResponseHeaders},
	HTTPReplyHeaderRaw:   {"http.header.raw", HTTP, HTTPResponseHeaders},
	HTTPReplyHeaderNames: {"http.header_names", HTTP, HTTPResponseHeaders},
	HTTPReplyHeaderField: {"http.response_header", HTTP, HTTPResponseHeaders},
	HTTPReplyStart:       {"http.start", HTTP, HTTPResponseHeaders},
	HTTPReplyCookie:      {"http.cookie", HTTP, HTTPResponseHeaders},
	HTTPServer:           {"http.server", HTTP, HTTPResponseHeaders},
	HTTPLocation:         {"http.location", HTTP, HTTPResponseHeaders},
	HTTPReplyConnection:  {"http.connection", HTTP, HTTPResponseHeaders},
	HTTPReplyContentType: {"http.content_type", HTTP, HTTPResponseHeaders},
	HTTPReplyContentLen:  {"http.content_len", HTTP, HTTPResponseHeaders},
	HTTPReplyBody:        {"http.response_body", HTTP, HTTPResponseBody},
	HTTPReplyFileData:    {"file.data", HTTP, HTTPResponseBody},
	HTTPReplyFileName:    {"file.name", HTTP, HTTPResponseBody},

	HTTP2HeaderName:  {"http2.header_name", HTTP2, HTTP2RequestFrames},
	HTTP2HeaderField: {"http.request_header", HTTP2, HTTP2RequestFrames},
	HTTP2Method:      {"http.method", HTTP2, HTTP2Request},
	HTTP2URI:         {"http.uri", HTTP2, HTTP2Request},
	HTTP2URIRaw:      {"http.uri.raw", HTTP2, HTTP2Request},
	HTTP2Version:     {"http.protocol", HTTP2, HTTP2Request},
	HTTP2Line:        {"http.request_line", HTTP2, HTTP2Request},
	HTTP2Host:        {"http.host", HTTP2, HTTP2Request},
	HTTP2HostRaw:     {"http.host.raw", HTTP2, HTTP2Request},
	HTTP2Header:      {"http.header", HTTP2, HTTP2Request},
	HTTP2HeaderRaw:   {"http.header.raw", HTTP2, HTTP2Request},
	HTTP2HeaderNames: {"http.header_names", HTTP2, HTTP2Request},
	HTTP2Cookie:      {"http.cookie", HTTP2, HTTP2Request},
	HTTP2UserAgent:   {"http.user_agent", HTTP2, HTTP2Request},
	HTTP2Referer:     {"http.referer", HTTP2, HTTP2Request},
	HTTP2Accept:      {"http.accept", HTTP2, HTTP2Request},
	HTTP2AcceptLang:  {"http.accept_lang", HTTP2, HTTP2Request},
	HTTP2AcceptEnc:   {"http.accept_enc", HTTP2, HTTP2Request},
	HTTP2Connection:  {"http.connection", HTTP2, HTTP2Request},
	HTTP2ContentType: {"http.content_type", HTTP2, HTTP2Request},
	HTTP2ContentLen:  {"http.content_len", HTTP2, HTTP2Request},
	HTTP2Body:        {"http.request_body", HTTP2, HTTP2RequestData},

	HTTP2ReplyHeaderName:  {"http2.header_name", HTTP2, HTTP2ResponseFrames},
	HTTP2ReplyHeaderField: {"http.response_header", HTTP2, HTTP2ResponseFrames},
	HTTP2StatusLine:       {"http.response_line", HTTP2, HTTP2Response},
	HTTP2StatCode:         {"http.stat_code", HTTP2, HTTP2Response},
	HTTP2StatMsg:          {"http.stat_msg", HTTP2, HTTP2Response},
	HTTP2ReplyVersion:     {"http.protocol", HTTP2, HTTP2Response},
	HTTP2ReplyHeader:      {"http.header", HTTP2, HTTP2Response},
	HTTP2ReplyHeaderRaw:   {"http.header.raw", HTTP2, HTTP2Response},
	HTTP2ReplyHeaderNames: {"http.header_names", HTTP2, HTTP2Response},
	HTTP2ReplyCookie:      {"http.cookie", HTTP2, HTTP2Response},
	HTTP2Server:           {"http.server", HTTP2, HTTP2Response},
	HTTP2Location:         {"http.location", HTTP2, HTTP2Response},
	HTTP2ReplyConnection:  {"http.connection", HTTP2, HTTP2Response},
	HTTP2ReplyContentType: {"http.content_type", HTTP2, HTTP2Response},
	HTTP2ReplyContentLen:  {"http.content_len", HTTP2, HTTP2Response},
	HTTP2ReplyBody:        {"http.response_body", HTTP2, HTTP2ResponseData},
	HTTP2ReplyFileData:    {"file.data", HTTP2, HTTP2ResponseData},

	SSHClientProto:       {"ssh.proto", SSH, SSHClientBanner},
	SSHServerProto:       {"ssh.proto", SSH, SSHServerBanner},
	SSHClientSoftware:    {"ssh.software", SSH, SSHClientBanner},
	SSHServerSoftware:    {"ssh.software", SSH, SSHServerBanner},
	SSHHassh:             {"ssh.hassh", SSH, SSHClientKexInit},
	SSHHasshString:       {"ssh.hassh.string", SSH, SSHClientKexInit},
	SSHHasshServer:       {"ssh.hassh.server", SSH, SSHServerKexInit},
	SSHHasshServerString: {"ssh.hassh.server.string", SSH, SSHServerKexInit},

	SIPMethod:           {"sip.method", SIP, SIPRequest},
	SIPURI:              {"sip.uri", SIP, SIPRequest},
	SIPRequestProtocol:  {"sip.protocol", SIP, SIPRequest},
	SIPResponseProtocol: {"sip.protocol", SIP, SIPResponse},
	SIPStatCode:         {"sip.stat_code", SIP, SIPResponse},
	SIPStatMsg:          {"sip.stat_msg", SIP, SIPResponse},
	SIPRequestLine:      {"sip.request_line", SIP, SIPRequest},
	SIPResponseLine:     {"sip.response_line", SIP, SIPResponse},

	MQTTProtocolString:       {"mqtt.connect.protocol_string", MQTT, MQTTClientMessage},
	MQTTClientID:             {"mqtt.connect.clientid", MQTT, MQTTClientMessage},
	MQTTUsername:             {"mqtt.connect.username", MQTT, MQTTClientMessage},
	MQTTPassword:             {"mqtt.connect.password", MQTT, MQTTClientMessage},
	MQTTWillTopic:            {"mqtt.connect.willtopic", MQTT, MQTTClientMessage},
	MQTTWillMessage:          {"mqtt.connect.willmessage", MQTT, MQTTClientMessage},
	MQTTClientPublishTopic:   {"mqtt.publish.topic", MQTT, MQTTClientMessage},
	MQTTServerPublishTopic:   {"mqtt.publish.topic", MQTT, MQTTServerMessage},
	MQTTClientPublishMessage: {"mqtt.publish.message", MQTT, MQTTClientMessage},
	MQTTServerPublishMessage: {"mqtt.publish.message", MQTT, MQTTServerMessage},
	MQTTSubscribeTopic:       {"mqtt.subscribe.topic", MQTT, MQTTClientMessage},
	MQTTUnsubscribeTopic:     {"mqtt.unsubscribe.topic", MQTT, MQTTClientMessage},

	DCERPCRequestStub:       {"dcerpc.stub_data", DCERPC, DCERPCRequest},
	DCERPCResponseStub:      {"dcerpc.stub_data", DCERPC, DCERPCResponse},
	DCERPCRequestInterface:  {"dcerpc.iface", DCERPC, DCERPCRequest},
	DCERPCResponseInterface: {"dcerpc.iface", DCERPC, DCERPCResponse},

	SMBNamedPipe:         {"smb.named_pipe", SMB, SMBTree},
	SMBShare:             {"smb.share", SMB, SMBRequest},
	SMBNTLMUser:          {"smb.ntlmssp_user", SMB, SMBRequest},
	SMBNTLMDomain:        {"smb.ntlmssp_domain", SMB, SMBRequest},
	SMBRequestStub:       {"dcerpc.stub_data", SMB, SMBRequest},
	SMBResponseStub:      {"dcerpc.stub_data", SMB, SMBResponse},
	SMBRequestInterface:  {"dcerpc.iface", SMB, SMBRequest},
	SMBResponseInterface: {"dcerpc.iface", SMB, SMBResponse},
	SMBWrittenData:       {"file.data", SMB, SMBFileWritten},
	SMBWrittenName:       {"file.name", SMB, SMBFileWritten},
	SMBReadData:          {"file.data", SMB, SMBFileRead},
	SMBReadName:          {"file.name", SMB, SMBFileRead},

	SMTPFileData: {"file.data", SMTP, SMTPFile},
	SMTPFileName: {"file.name", SMTP, SMTPFile},
}

// String returns the keyword of the buffer, such as "tls.sni".
func (b Buffer) String() string {
	if int(b) < len(buffers) {
		return buffers[b].name
	}
	return ""
}

// Proto returns the protocol whose parser fills the buffer.
func (b Buffer) Proto() Proto { return buffers[b].proto }

// Hook returns the hook from which on the buffer can be looked into.
func (b Buffer) Hook() Hook { return buffers[b].hook }

// BuffersByName returns the buffers that rules call name, in the order of the table. The slice
// is not to be changed.
func BuffersByName(name string) []Buffer { return buffersByName[name] }

var buffersByName = byName(buffers[:], func(i int) Buffer { return Buffer(i) })

// Hook is a moment in a protocol at which rules are evaluated. Those of one direction of a
// protocol stand in the order in which they come.
type Hook uint8

const (
	NoHook           Hook = iota
	ProtocolDetected      // Proto is final, and may be Failed
	TLSClientHello        // the SNI is known, or known to be absent
	TLSClientCertificate
	TLSClientState       // a handshake message of the client
	TLSServerHello       // the version is known
	TLSServerCertificate // the server has said hello
	TLSServerState       // a handshake message of the server

	// Of one request or response.
	HTTPRequestLine
	HTTPRequestHeaders // and again with the trailer of a chunked body
	HTTPRequestBody    // with each part of the body that is to be looked at
	HTTPResponseLine
	HTTPResponseHeaders
	HTTPResponseBody

	// Of a stream of HTTP/2. They come again with more frames.
	HTTP2RequestFrames
	HTTP2Request     // it is whole, or its data have begun
	HTTP2RequestData // with each part of the data that is to be looked at
	HTTP2ResponseFrames
	HTTP2Response
	HTTP2ResponseData

	DNSRequest
	DNSResponse

	SSHClientBanner
	SSHClientKexInit
	SSHServerBanner
	SSHServerKexInit

	SIPRequest
	SIPResponse

	MQTTClientMessage
	MQTTServerMessage

	MessageDone // one side has said all of its part of a transaction, of protocols where it says one after the other

	SMBRequest
	SMBFileWritten // with each part of a file that is to be looked at
	SMBTree        // what kind of share a tree is, which the server says of what the client asked for
	SMBResponse
	SMBFileRead

	DCERPCRequest
	DCERPCResponse

	SMTPFile // an attachment begins, there is more of it to be looked at, or it has ended

	Encrypted    // what follows in either direction is encrypted
	AnomalySeen  // the transaction has one more anomaly
	FileDone     // Event.File is complete, or will never be: it is logged
	TxDone       // nothing more will come of the transaction: it is logged
	ParserFailed // the peer's bytes broke the protocol, or a gap did; nothing more will come

	// NumHooks is the number of hooks, for arrays.
	NumHooks = iota
)

var hooks = [NumHooks]struct {
	name string
	dir  packet.Dir
}{
	ProtocolDetected:     {"protocol_detected", packet.ToServer},
	TLSClientHello:       {"tls_client_hello", packet.ToServer},
	TLSClientCertificate: {"tls_client_certificate", packet.ToServer},
	TLSClientState:       {"tls_client_state", packet.ToServer},
	TLSServerHello:       {"tls_server_hello", packet.ToClient},
	TLSServerCertificate: {"tls_server_certificate", packet.ToClient},
	TLSServerState:       {"tls_server_state", packet.ToClient},
	HTTPRequestLine:      {"http_request_line", packet.ToServer},
	HTTPRequestHeaders:   {"http_request_headers", packet.ToServer},
	HTTPRequestBody:      {"http_request_body", packet.ToServer},
	HTTPResponseLine:     {"http_response_line", packet.ToClient},
	HTTPResponseHeaders:  {"http_response_headers", packet.ToClient},
	HTTPResponseBody:     {"http_response_body", packet.ToClient},
	HTTP2RequestFrames:   {"http2_request_frames", packet.ToServer},
	HTTP2Request:         {"http2_request", packet.ToServer},
	HTTP2RequestData:     {"http2_request_data", packet.ToServer},
	HTTP2ResponseFrames:  {"http2_response_frames", packet.ToClient},
	HTTP2Response:        {"http2_response", packet.ToClient},
	HTTP2ResponseData:    {"http2_response_data", packet.ToClient},
	DNSRequest:           {"dns_request", packet.ToServer},
	DNSResponse:          {"dns_response", packet.ToClient},
	SSHClientBanner:      {"ssh_client_banner", packet.ToServer},
	SSHClientKexInit:     {"ssh_client_kex_init", packet.ToServer},
	SSHServerBanner:      {"ssh_server_banner", packet.ToClient},
	SSHServerKexInit:     {"ssh_server_kex_init", packet.ToClient},
	SIPRequest:           {"sip_request", packet.ToServer},
	SIPResponse:          {"sip_response", packet.ToClient},
	MQTTClientMessage:    {"mqtt_client_message", packet.ToServer},
	MQTTServerMessage:    {"mqtt_server_message", packet.ToClient},
	MessageDone:          {"message_done", packet.ToServer},
	SMBRequest:           {"smb_request", packet.ToServer},
	SMBTree:              {"smb_tree", packet.ToServer},
	SMBFileWritten:       {"smb_file_written", packet.ToServer},
	SMBFileRead:          {"smb_file_read", packet.ToClient},
	SMBResponse:          {"smb_response", packet.ToClient},
	DCERPCRequest:        {"dcerpc_request", packet.ToServer},
	DCERPCResponse:       {"dcerpc_response", packet.ToClient},
	SMTPFile:             {"smtp_file", packet.ToServer},
	Encrypted:            {"encrypted", packet.ToServer},
	AnomalySeen:          {"anomaly_seen", packet.ToServer},
	FileDone:             {"file_done", packet.ToServer},
	TxDone:               {"tx_done", packet.ToServer},
	ParserFailed:         {"parser_failed", packet.ToServer},
}

// String returns a name for logs and tests.
func (h Hook) String() string {
	if int(h) < len(hooks) {
		return hooks[h].name
	}
	return ""
}

// Dir returns which side's bytes lead to the hook, for those that belong to a side.
func (h Hook) Dir() packet.Dir { return hooks[h].dir }
