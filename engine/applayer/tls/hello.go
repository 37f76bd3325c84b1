package tls

import "golang.org/x/crypto/cryptobyte"

// Extension numbers (RFC 6066, 3; RFC 8446, 4.2).
const (
	extServerName        = 0
	extSupportedVersions = 43
)

// retryRandom is the random of a ServerHello that asks for another ClientHello
// (RFC 8446, 4.1.3).
const retryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// clientHello returns the host name of a ClientHello's body (RFC 8446, 4.1.2),
// nil without one. It borrows from body. ok is false when a server could not
// parse the hello either, or when it would have to choose between several
// names.
func clientHello(body []byte) (sni []byte, ok bool) {
	s := cryptobyte.String(body)
	var sessionID, ciphers, compressions cryptobyte.String
	if !s.Skip(2+32) || !s.ReadUint8LengthPrefixed(&sessionID) ||
		!s.ReadUint16LengthPrefixed(&ciphers) || !s.ReadUint8LengthPrefixed(&compressions) {
		return nil, false
	}
	named := false
	ok = extensions(s, func(kind uint16, data cryptobyte.String) bool {
		if kind != extServerName {
			return true
		}
		if named {
			return false
		}
		named = true
		sni, ok = serverName(data)
		return ok
	})
	return sni, ok
}

// serverName returns the host name in a server_name extension (RFC 6066, 3).
func serverName(data cryptobyte.String) (name []byte, ok bool) {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() || list.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var kind uint8
		var value cryptobyte.String
		if !list.ReadUint8(&kind) || !list.ReadUint16LengthPrefixed(&value) {
			return nil, false
		}
		if kind != 0 { // not a host_name
			continue
		}
		if len(value) == 0 || name != nil {
			return nil, false
		}
		name = value
	}
	return name, true
}

// serverHello returns the version that a ServerHello's body selects (RFC 8446,
// 4.1.3), and whether it is a HelloRetryRequest.
func serverHello(body []byte) (version uint16, retry, ok bool) {
	s := cryptobyte.String(body)
	var random []byte
	var sessionID cryptobyte.String
	if !s.ReadUint16(&version) || !s.ReadBytes(&random, 32) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || !s.Skip(2+1) {
		return 0, false, false
	}
	ok = extensions(s, func(kind uint16, data cryptobyte.String) bool {
		if kind != extSupportedVersions {
			return true
		}
		return data.ReadUint16(&version) && data.Empty()
	})
	return version, string(random) == retryRandom, ok
}

// extensions calls f for every extension in s, which may be absent, until f
// returns false. It reports whether s was well-formed and f content.
func extensions(s cryptobyte.String, f func(kind uint16, data cryptobyte.String) bool) bool {
	if s.Empty() {
		return true // hellos before RFC 3546 have none
	}
	var list cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) || !s.Empty() {
		return false
	}
	for !list.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !list.ReadUint16(&kind) || !list.ReadUint16LengthPrefixed(&data) || !f(kind, data) {
			return false
		}
	}
	return true
}
