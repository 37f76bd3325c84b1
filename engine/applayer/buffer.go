package applayer

import (
	"slices"

	"github.com/sluicefw/sluice/engine/packet"
)

// Buffer is a piece of a protocol that rules look into. What rules call by one name, such as
// http.header, can be several buffers: one of each direction, and of each protocol that has it.
type Buffer uint16

const (
	NoBuffer   Buffer = iota
	TLSSNI            // name asked for, as sent; absent without one
	TLSVersion        // of the ServerHello, in the words of EVE: "TLS 1.2"
	DNSQuery          // name of a question, with dots

	HTTPHost    // lower case, without port
	HTTPHostRaw // as sent
	HTTPMethod
	HTTPURI // request target as sent
	HTTPUserAgent

	// NumBuffers is the number of buffers, for arrays.
	NumBuffers = iota
)

// buffers say what a buffer is called in rules, and from which hook of whose protocol on it
// can be looked into. Its direction is that of the hook.
var buffers = [NumBuffers]struct {
	name  string
	proto Proto
	hook  Hook
}{
	TLSSNI:     {"tls.sni", TLS, TLSClientHello},
	TLSVersion: {"tls.version", TLS, TLSServerHello},
	DNSQuery:   {"dns.query", DNS, DNSRequest},

	HTTPHost:      {"http.host", HTTP, HTTPRequestHeaders},
	HTTPHostRaw:   {"http.host.raw", HTTP, HTTPRequestHeaders},
	HTTPMethod:    {"http.method", HTTP, HTTPRequestHeaders},
	HTTPURI:       {"http.uri", HTTP, HTTPRequestHeaders},
	HTTPUserAgent: {"http.user_agent", HTTP, HTTPRequestHeaders},
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

var buffersByName = func() map[string][]Buffer {
	m := map[string][]Buffer{}
	for b := Buffer(1); b < NumBuffers; b++ {
		m[b.String()] = append(m[b.String()], b)
	}
	for name := range m {
		m[name] = slices.Clip(m[name])
	}
	return m
}()

// Hook is a moment in a protocol at which rules are evaluated. Those of one direction of a
// protocol stand in the order in which they come.
type Hook uint8

const (
	NoHook           Hook = iota
	ProtocolDetected      // Proto is final, and may be Failed
	TLSClientHello        // the SNI is known, or known to be absent
	TLSServerHello        // the version is known; what follows is encrypted

	// Of one request or response.
	HTTPRequestLine
	HTTPRequestHeaders // and again with the trailer of a chunked body
	HTTPRequestBody    // with each part of the body that is to be looked at
	HTTPResponseLine
	HTTPResponseHeaders
	HTTPResponseBody

	DNSRequest
	DNSResponse
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
	ProtocolDetected:    {"protocol_detected", packet.ToServer},
	TLSClientHello:      {"tls_client_hello", packet.ToServer},
	TLSServerHello:      {"tls_server_hello", packet.ToClient},
	HTTPRequestLine:     {"http_request_line", packet.ToServer},
	HTTPRequestHeaders:  {"http_request_headers", packet.ToServer},
	HTTPRequestBody:     {"http_request_body", packet.ToServer},
	HTTPResponseLine:    {"http_response_line", packet.ToClient},
	HTTPResponseHeaders: {"http_response_headers", packet.ToClient},
	HTTPResponseBody:    {"http_response_body", packet.ToClient},
	DNSRequest:          {"dns_request", packet.ToServer},
	DNSResponse:         {"dns_response", packet.ToClient},
	AnomalySeen:         {"anomaly_seen", packet.ToServer},
	FileDone:            {"file_done", packet.ToServer},
	TxDone:              {"tx_done", packet.ToServer},
	ParserFailed:        {"parser_failed", packet.ToServer},
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
