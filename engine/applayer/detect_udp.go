package applayer

import (
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/applayer/dnswire"
	"github.com/sluicefw/sluice/engine/packet"
)

// recogniseUDP returns the protocol of a datagram, or Failed. Weak formats are
// only looked for at their usual ports.
func recogniseUDP(o opening, clientPort uint16) Proto {
	switch o.serverPort {
	case 53:
		if isDNS(o.data) {
			return DNS
		}
	case 67, 68:
		if isDHCP(o.data) {
			return DHCP
		}
	case 69:
		if isTFTP(o.data) {
			return TFTP
		}
	case 88:
		if len(o.data) > 2 && isOneOf(krbTags)(o.data[0]) {
			return KRB5
		}
	case 123:
		if isNTP(o.data) {
			return NTP
		}
	case 161, 162:
		if isSNMP(o.data) {
			return SNMP
		}
	case 500, 4500:
		if isIKE(o.data) {
			return IKE
		}
	}
	switch {
	case clientPort == 53 && isDNS(o.data):
		return DNS
	case clientPort == 123 && isNTP(o.data):
		return NTP
	case detectSIP(o) == yes:
		return SIP
	case bestOf(o.prefix(0, "d1:ad2:id20:"), o.prefix(0, "d1:rd2:id20:")) == yes:
		return BitTorrentDHT
	case isDCERPC(o.data):
		return DCERPC
	case isQUIC(o.data, o.dir):
		return QUIC
	}
	return Failed
}

// isDNS asks for a message that can be read, and has a question or an answer.
func isDNS(b []byte) bool {
	m, ok := dnswire.Parse(b)
	return ok && m.Count(dnswire.Questions)+m.Count(dnswire.Answers) > 0
}

// isDHCP looks for the magic cookie (RFC 2131, 3).
func isDHCP(b []byte) bool {
	return len(b) >= 240 && (b[0] == 1 || b[0] == 2) && binary.BigEndian.Uint32(b[236:]) == 0x63825363
}

// isTFTP looks for a read or write request with a file name and a mode (RFC
// 1350, 5).
func isTFTP(b []byte) bool {
	if len(b) < 6 || b[0] != 0 || b[1] != 1 && b[1] != 2 {
		return false
	}
	zeros := 0
	for _, c := range b[2:] {
		if c == 0 {
			zeros++
		}
	}
	return b[2] != 0 && zeros >= 2
}

// isNTP looks for a version and a mode (RFC 5905, 7.3).
func isNTP(b []byte) bool {
	if len(b) < 48 {
		return false
	}
	version, mode := b[0]>>3&7, b[0]&7
	return version >= 1 && version <= 4 && mode >= 1 && mode <= 5
}

// isSNMP looks for a sequence that begins with a version (RFC 3416, 3).
func isSNMP(b []byte) bool {
	if len(b) < 6 || b[0] != 0x30 {
		return false
	}
	at := 2
	if b[1] > 0x80 { // long form: that many bytes of length follow
		at += int(b[1] & 0x7f)
	}
	return at+3 <= len(b) && b[at] == 2 && b[at+1] == 1 && (b[at+2] <= 1 || b[at+2] == 3)
}

// isIKE looks for an IKE header (RFC 7296, 3.1), on port 4500 behind four
// zeros (RFC 3948, 2.2).
func isIKE(b []byte) bool {
	if len(b) >= 4 && binary.BigEndian.Uint32(b) == 0 {
		b = b[4:]
	}
	return len(b) >= 28 && binary.BigEndian.Uint64(b) != 0 && (b[17] == 0x10 || b[17]>>4 == 2) &&
		int(binary.BigEndian.Uint32(b[24:])) == len(b)
}

// isQUIC looks for a long header (RFC 9000, 17.2) of version 1, 2 (RFC 9369) or
// a draft, with connection ids that fit.
func isQUIC(b []byte, dir packet.Dir) bool {
	if len(b) < 7 || b[0]&0xc0 != 0xc0 {
		return false
	}
	switch version := binary.BigEndian.Uint32(b[1:]); {
	case version == 1, version == 0x6b3343cf, version>>8 == 0xff0000:
	default:
		return false
	}
	dst := int(b[5])
	if dst > 20 || 6+dst >= len(b) || int(b[6+dst]) > 20 {
		return false
	}
	return dir == packet.ToClient || len(b) >= 1200 // a client's first are padded (RFC 9000, 14.1)
}

// isDCERPC looks for the header of a connectionless PDU (DCE 1.1: RPC, 12.5.2).
func isDCERPC(b []byte) bool {
	return len(b) >= 80 && b[0] == 4 && b[1] <= 10 && b[3]&0xfc == 0 && b[4]&0xee == 0 && b[5] <= 3
}
