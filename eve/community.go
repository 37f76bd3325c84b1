package eve

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/packet"
)

// AppendCommunityID appends the community id of a flow (version 1 of the specification
// at github.com/corelight/community-id-spec), by which records of different tools about one flow
// are found. ICMP's type and that of its counterpart stand for the ports. The id is the same
// for both directions.
func AppendCommunityID(dst []byte, seed uint16, proto uint8, from, to packet.Addr, fromPort, toPort uint16) []byte {
	src, dest := raw(&from), raw(&to)
	c := bytes.Compare(src, dest)
	if c > 0 || c == 0 && fromPort > toPort {
		src, dest, fromPort, toPort = dest, src, toPort, fromPort
	}
	var buf [2 + 16 + 16 + 2 + 4]byte
	b := binary.BigEndian.AppendUint16(buf[:0], seed)
	b = append(append(b, src...), dest...)
	b = append(b, proto, 0)
	b = binary.BigEndian.AppendUint16(b, fromPort)
	b = binary.BigEndian.AppendUint16(b, toPort)
	sum := sha1.Sum(b)
	return base64.StdEncoding.AppendEncode(append(dst, '1', ':'), sum[:])
}

// raw is the 4 or 16 bytes of an address.
func raw(a *packet.Addr) []byte {
	if a.Netip().Is4() {
		return a[12:]
	}
	return a[:]
}
