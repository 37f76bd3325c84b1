package tls

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sluicefw/sluice/engine/applayer"
)

// Extension numbers (RFC 6066, 3; RFC 8446, 4.2; RFC 5077, 3.2).
const (
	extServerName          = 0
	extSupportedGroups     = 10
	extPointFormats        = 11
	extSignatureAlgorithms = 13
	extALPN                = 16
	extSessionTicket       = 35
	extSupportedVersions   = 43
)

// retryRandom is the random of a ServerHello that asks for another ClientHello
// (RFC 8446, 4.1.3).
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// Version13 is TLS 1.3; there is no later one.
const Version13 = 0x0304

// Hello is a ClientHello or a ServerHello (RFC 8446, 4.1). Its slices are its own.
type Hello struct {
	Version   uint16 // as its own field says
	Supported uint16 // by the supported_versions extension: the newest, or the one chosen; 0 without
	Random    [32]byte
	SNI       []byte   // empty without one
	ALPN      []byte   // the first name
	Ciphers   []uint16 // of a ServerHello, the one chosen
	// Extensions are the numbers of all extensions in order, Groups, Points and
	// Signatures what those of the names list.
	Extensions, Groups, Signatures []uint16
	Points                         []byte

	sessionID [32]byte
	idLen     int
	ticket    bool // not empty, of a session to resume
	several   bool // there is more than one server_name extension
}

// Reset forgets everything but some memory.
func (h *Hello) Reset() {
	*h = Hello{
		SNI: applayer.Recycle(h.SNI, keepBuffer), ALPN: applayer.Recycle(h.ALPN, keepBuffer), Points: applayer.Recycle(h.Points, keepBuffer),
		Ciphers: applayer.Recycle(h.Ciphers, keepBuffer), Extensions: applayer.Recycle(h.Extensions, keepBuffer),
		Groups: applayer.Recycle(h.Groups, keepBuffer), Signatures: applayer.Recycle(h.Signatures, keepBuffer),
	}
}

// keepBuffer is how many elements of a slice are kept for reuse.
const keepBuffer = 2 << 10

// Memory returns how many bytes h holds beyond its own size.
func (h *Hello) Memory() int {
	return cap(h.SNI) + cap(h.ALPN) + cap(h.Points) +
		2*(cap(h.Ciphers)+cap(h.Extensions)+cap(h.Groups)+cap(h.Signatures))
}

// SessionID returns the session's id, empty without one.
func (h *Hello) SessionID() []byte { return h.sessionID[:h.idLen] }

// Chosen returns the version that a ServerHello picks.
func (h *Hello) Chosen() uint16 {
	if h.Supported != 0 {
		return h.Supported
	}
	return h.Version
}

// fault is what is wrong with a message; noFault is nothing.
type fault = applayer.Anomaly

const noFault = applayer.AnomalyNever

// ReadClient reads the body of a ClientHello, as far as that goes: fault says what stopped it,
// and noFault that nothing did. Of several names the first counts; a server accepts none of them.
func (h *Hello) ReadClient(body []byte) (f fault) {
	h.Reset()
	s := cryptobyte.String(body)
	var id, ciphers, compressions cryptobyte.String
	if !h.start(&s, &id) || !s.ReadUint16LengthPrefixed(&ciphers) || !s.ReadUint8LengthPrefixed(&compressions) {
		return applayer.AnomalyTLSHandshakeInvalidLength
	}
	h.Ciphers = appendUint16s(h.Ciphers, ciphers)
	return h.extensions(s, h.clientExtension)
}

// ReadServer is ReadClient for a ServerHello. retry says that it is a HelloRetryRequest.
func (h *Hello) ReadServer(body []byte) (retry bool, f fault) {
	h.Reset()
	s := cryptobyte.String(body)
	var id cryptobyte.String
	var cipher uint16
	if !h.start(&s, &id) || !s.ReadUint16(&cipher) || !s.Skip(1) {
		return false, applayer.AnomalyTLSHandshakeInvalidLength
	}
	h.Ciphers = append(h.Ciphers, cipher)
	f = h.extensions(s, func(kind uint16, data cryptobyte.String) fault {
		if kind == extSupportedVersions && !data.ReadUint16(&h.Supported) {
			return applayer.AnomalyTLSHandshakeInvalidLength
		}
		return noFault
	})
	return string(h.Random[:]) == retryRandom, f
}

// start reads what both hellos begin with.
func (h *Hello) start(s, id *cryptobyte.String) bool {
	if !s.ReadUint16(&h.Version) || !s.CopyBytes(h.Random[:]) || !s.ReadUint8LengthPrefixed(id) || len(*id) > len(h.sessionID) {
		return false
	}
	h.idLen = copy(h.sessionID[:], *id)
	return true
}

// extensions calls f for every extension in s, which may be absent, until f finds a fault.
func (h *Hello) extensions(s cryptobyte.String, f func(kind uint16, data cryptobyte.String) fault) fault {
	if s.Empty() {
		return noFault // hellos before RFC 3546 have none
	}
	var list cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) {
		return applayer.AnomalyTLSHandshakeInvalidLength
	}
	for !list.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !list.ReadUint16(&kind) || !list.ReadUint16LengthPrefixed(&data) {
			return applayer.AnomalyTLSHandshakeInvalidLength
		}
		if fault := f(kind, data); fault != noFault {
			return fault
		}
		h.Extensions = append(h.Extensions, kind)
	}
	return noFault
}

func (h *Hello) clientExtension(kind uint16, data cryptobyte.String) fault {
	var list cryptobyte.String
	switch kind {
	case extServerName:
		return h.serverName(data)
	case extSupportedGroups:
		if data.ReadUint16LengthPrefixed(&list) {
			h.Groups = appendUint16s(h.Groups[:0], list)
		}
	case extPointFormats:
		if data.ReadUint8LengthPrefixed(&list) {
			h.Points = append(h.Points[:0], list...)
		}
	case extSignatureAlgorithms:
		if data.ReadUint16LengthPrefixed(&list) {
			h.Signatures = appendUint16s(h.Signatures[:0], list)
		}
	case extALPN:
		var name cryptobyte.String
		if data.ReadUint16LengthPrefixed(&list) && list.ReadUint8LengthPrefixed(&name) {
			h.ALPN = append(h.ALPN[:0], name...)
		}
	case extSessionTicket:
		h.ticket = len(data) > 0
	case extSupportedVersions:
		if data.ReadUint8LengthPrefixed(&list) {
			var v uint16
			for list.ReadUint16(&v) {
				if !isGREASE(v) {
					h.Supported = max(h.Supported, v)
				}
			}
		}
	}
	return noFault
}

// serverName reads a server_name extension (RFC 6066, 3).
func (h *Hello) serverName(data cryptobyte.String) fault {
	if slices.Contains(h.Extensions, extServerName) {
		h.several = true
		return noFault
	}
	var list, value cryptobyte.String
	var kind uint8
	switch {
	case data.Empty():
		return noFault
	case !data.ReadUint16LengthPrefixed(&list) || !list.ReadUint8(&kind):
		return applayer.AnomalyTLSHandshakeInvalidLength
	case kind != 0: // not a host_name
		return applayer.AnomalyTLSInvalidSNIType
	case !list.ReadUint16LengthPrefixed(&value) || len(value) == 0 || len(value) > maxHostName:
		return applayer.AnomalyTLSInvalidSNILength
	}
	h.SNI = append(h.SNI[:0], value...)
	return noFault
}

// maxHostName is how long a host name can be (RFC 1035, 2.3.4).
const maxHostName = 255

func appendUint16s(dst []uint16, s cryptobyte.String) []uint16 {
	var v uint16
	for s.ReadUint16(&v) {
		dst = append(dst, v)
	}
	return dst
}
