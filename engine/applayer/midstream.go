package applayer

import "github.com/sluicefw/sluice/engine/packet"

const portSMB = 445

// FromServer reports whether the first bytes that are seen of a connection are a server's, as far as
// its protocol tells: answers of HTTP have a status line, SMB and DCERPC say whether a message is an answer, and what
// SMB encrypts comes from its port.
func FromServer(data []byte, srcPort, dstPort uint16) bool {
	o := opening{data: data, dir: packet.ToClient, serverPort: srcPort}
	bit := func(mask byte) func(byte) bool { return func(b byte) bool { return b&mask != 0 } }
	switch {
	case detectHTTP(o) == yes:
		return true
	case detectSMB(o) == yes && data[0] == 0:
		switch data[4] {
		case 0xff: // flags of SMB 1 (MS-CIFS, 2.2.3.1)
			return o.byteIs(4+9, bit(0x80)) == yes
		case 0xfe: // flags of SMB 2 (MS-SMB2, 2.2.1.2)
			return o.byteIs(4+16, bit(1)) == yes
		}
		return srcPort == portSMB && dstPort != portSMB
	case detectDCERPC(o) == yes: // a response, fault, bind_ack, bind_nak or alter_context_resp
		return o.byteIs(2, isOneOf("\x02\x03\x0c\x0d\x0f")) == yes
	}
	return false
}
