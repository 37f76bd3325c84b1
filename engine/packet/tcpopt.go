package packet

import "encoding/binary"

// TCP option kinds (IANA).
const (
	tcpOptEnd           = 0
	tcpOptNop           = 1
	tcpOptMSS           = 2
	tcpOptWindowScale   = 3
	tcpOptSACKPermitted = 4
	tcpOptSACK          = 5
	tcpOptTimestamps    = 8
	tcpOptMD5           = 19  // RFC 2385
	tcpOptAuth          = 29  // RFC 5925
	tcpOptFastOpen      = 34  // RFC 7413
	tcpOptExperiment1   = 253 // RFC 6994, as the next
	tcpOptExperiment2   = 254

	fastOpenMagic = 0xf989 // of experiments that are fast open
)

// decodeTCPOptions reads a list of options, each | kind | length | value |, where
// length counts all three; the two of a single byte have the kind only. An
// option of the wrong length, or the second of its kind, is passed over.
func (p *Packet) decodeTCPOptions(b []byte) {
	t := &p.TCP
	if len(b) == 12 && binary.BigEndian.Uint32(b) == tcpOptNop<<24|tcpOptNop<<16|tcpOptTimestamps<<8|10 {
		// All that hosts send after the handshake (RFC 7323, appendix A).
		t.TSVal, t.TSEcr, t.HasTS = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), true
		return
	}
	var seen uint64 // kinds below 64, as bits
	end := 20 + len(b)
	for len(b) > 0 {
		switch b[0] {
		case tcpOptEnd:
			return
		case tcpOptNop:
			b = b[1:]
			continue
		}
		if len(b) < 2 {
			return
		}
		if b[1] < 2 || int(b[1]) > len(b) {
			p.bad(EventTCPOptionInvalidLen)
			return
		}
		kind, value := b[0], b[2:b[1]]
		b = b[b[1]:]
		ok := true
		bit := uint64(1) << (kind & 63)
		switch kind {
		case tcpOptMSS:
			ok = len(value) == 2
		case tcpOptWindowScale:
			ok = len(value) == 1
		case tcpOptSACKPermitted:
			ok = len(value) == 0
		case tcpOptTimestamps:
			ok = len(value) == 8
		case tcpOptSACK:
			ok = len(value)%8 == 0 && len(value) <= 32
		case tcpOptFastOpen:
			ok = len(value) <= 16 && len(value)%2 == 0
		case tcpOptExperiment1, tcpOptExperiment2:
			bit = 1 << tcpOptFastOpen
			if ok = len(value) == 2 || len(value) == 10; ok && binary.BigEndian.Uint16(value) != fastOpenMagic {
				continue
			}
		case tcpOptMD5:
			ok, bit = len(value) == 16, 0
		case tcpOptAuth:
			ok, bit = len(value) >= 2, 0
		default:
			continue
		}
		switch {
		case !ok:
			p.note(EventTCPOptionInvalidLen)
			if bit == 0 { // the segment is not authentic
				p.fault(EventTCPOptionInvalidLen)
			}
			continue
		case seen&bit != 0:
			p.note(EventTCPOptionDuplicate)
			continue
		}
		seen |= bit
		switch kind {
		case tcpOptMSS:
			t.MSS, t.HasMSS = binary.BigEndian.Uint16(value), true
		case tcpOptWindowScale:
			t.WScale = min(value[0], 14) // more counts as 14 (RFC 7323, 2.3)
			t.HasWScale = true
		case tcpOptSACKPermitted:
			t.SACKOK = true
		case tcpOptTimestamps:
			t.TSVal = binary.BigEndian.Uint32(value)
			t.TSEcr = binary.BigEndian.Uint32(value[4:])
			t.HasTS = true
		case tcpOptSACK:
			t.SACKs, t.sackAt = uint8(len(value)/8), uint8(end-len(b)-len(value))
		case tcpOptFastOpen, tcpOptExperiment1, tcpOptExperiment2:
			t.FastOpen = true
		}
	}
}
