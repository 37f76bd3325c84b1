package nfqueue

import (
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"
)

// Numbers of linux/netfilter/nfnetlink_queue.h that x/sys/unix does not have.
const (
	msgPacket       = unix.NFNL_SUBSYS_QUEUE << 8
	msgVerdict      = unix.NFNL_SUBSYS_QUEUE<<8 | 1
	msgConfig       = unix.NFNL_SUBSYS_QUEUE<<8 | 2
	msgVerdictBatch = unix.NFNL_SUBSYS_QUEUE<<8 | 3

	attrPacketHdr  = 1  // NFQA_PACKET_HDR: id be32, EtherType be16, hook u8
	attrVerdictHdr = 2  // NFQA_VERDICT_HDR: verdict be32, id be32
	attrTimestamp  = 4  // NFQA_TIMESTAMP: seconds be64, microseconds be64
	attrPayload    = 10 // NFQA_PAYLOAD: the packet from its network header
	attrCapLen     = 13 // NFQA_CAP_LEN: length be32 of a packet that was cut
	attrSKBInfo    = 14 // NFQA_SKB_INFO: flags be32

	skbChecksumNotReady = 1 << 0
	skbGSO              = 1 << 1

	cfgCmd      = 1 // NFQA_CFG_CMD: command u8, pad u8, family be16
	cfgParams   = 2 // NFQA_CFG_PARAMS: copy range be32, copy mode u8
	cfgQueueLen = 3 // NFQA_CFG_QUEUE_MAXLEN: be32
	cfgMask     = 4 // NFQA_CFG_MASK: be32, which of the flags are meant
	cfgFlags    = 5 // NFQA_CFG_FLAGS: be32

	cmdBind    = 1
	copyPacket = 2
	copyRange  = 0xffff // the kernel makes 65,531 of it: an attribute's length is 16 bits, its header included

	flagFailOpen = 1 << 0
	flagGSO      = 1 << 2

	verdictDrop   = 0
	verdictAccept = 1

	nlHeader     = unix.SizeofNlMsghdr + 4 // and struct nfgenmsg
	nlAlign      = 4
	attrTypeMask = 0x3fff // NLA_TYPE_MASK: without the bits for nesting and byte order
)

// kind says what a netlink message turned out to be.
type kind uint8

const (
	kindMalformed kind = iota
	kindPacket
	kindError // an acknowledgement when errno is 0
	kindOther
)

// message is a parsed netlink message of the kernel.
type message struct {
	kind  kind
	errno unix.Errno

	id      uint32
	proto   uint16 // EtherType
	skbInfo uint32
	time    int64  // nanoseconds since 1970, 0 when the kernel did not stamp the packet
	size    int    // length before the packet was cut to data
	data    []byte // part of the parsed bytes
}

// parseMessage reads the message at the start of b, in one pass over b. The
// kernel sends every queued packet as a datagram of its own with one message:
//
//	nlmsghdr   length u32, type u16, flags u16, sequence u32, port u32
//	nfgenmsg   family u8, version u8, queue be16
//	nlattr...  length u16 (with this header), type u16, value, padding to 4
func parseMessage(b []byte) message {
	if len(b) < unix.SizeofNlMsghdr {
		return message{}
	}
	length, typ := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint16(b[4:])
	if length < unix.SizeofNlMsghdr || uint64(length) > uint64(len(b)) {
		return message{}
	}
	b = b[:length]
	switch typ {
	case unix.NLMSG_ERROR:
		if len(b) < unix.SizeofNlMsghdr+4 {
			return message{}
		}
		code := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:]))
		return message{kind: kindError, errno: unix.Errno(-int64(code))}
	case msgPacket:
		if len(b) < nlHeader {
			return message{}
		}
		return parsePacket(b[nlHeader:])
	}
	return message{kind: kindOther}
}

// parsePacket reads the attributes of a packet message.
func parsePacket(b []byte) message {
	var m message
	for len(b) >= unix.SizeofNlAttr {
		length, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if length < unix.SizeofNlAttr || length > len(b) {
			return message{}
		}
		v := b[unix.SizeofNlAttr:length]
		switch typ & attrTypeMask {
		case attrPacketHdr:
			if len(v) < 6 {
				return message{}
			}
			m.kind, m.id, m.proto = kindPacket, binary.BigEndian.Uint32(v), binary.BigEndian.Uint16(v[4:])
		case attrTimestamp:
			if len(v) >= 16 {
				m.time = nanoseconds(binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:]))
			}
		case attrPayload:
			m.data = v
		case attrCapLen:
			if len(v) >= 4 {
				m.size = int(min(binary.BigEndian.Uint32(v), math.MaxInt32))
			}
		case attrSKBInfo:
			if len(v) >= 4 {
				m.skbInfo = binary.BigEndian.Uint32(v)
			}
		}
		b = b[min(align(length), len(b)):]
	}
	if m.kind != kindPacket {
		return message{} // without its id a packet cannot be judged
	}
	m.size = max(m.size, len(m.data))
	return m
}

// nanoseconds joins a timestamp, or returns 0 when it cannot be a time.
func nanoseconds(sec, usec uint64) int64 {
	if sec >= math.MaxInt64/1_000_000_000 || usec >= 1e6 {
		return 0
	}
	return int64(sec)*1e9 + int64(usec)*1e3
}

func align(n int) int { return (n + nlAlign - 1) &^ (nlAlign - 1) }

// appendHeader starts a message for a queue; finishMessage ends it.
func appendHeader(b []byte, typ, flags uint16, queue uint16) []byte {
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint64(b, 0) // sequence and port: the kernel needs neither
	b = append(b, unix.AF_UNSPEC, unix.NFNETLINK_V0)
	return binary.BigEndian.AppendUint16(b, queue)
}

// finishMessage sets the length of the message that starts at start.
func finishMessage(b []byte, start int) []byte {
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// appendAttr appends an attribute with its padding.
func appendAttr(b []byte, typ uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%nlAlign != 0 {
		b = append(b, 0)
	}
	return b
}

// be32 is v in network byte order.
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// verdictSize is the length of a message of appendVerdict.
const verdictSize = nlHeader + unix.SizeofNlAttr + 8

// appendVerdict appends a verdict on one packet (msgVerdict), or on every
// packet up to and including id (msgVerdictBatch).
func appendVerdict(b []byte, typ uint16, queue uint16, verdict, id uint32) []byte {
	start := len(b)
	b = appendHeader(b, typ, 0, queue)
	b = binary.NativeEndian.AppendUint16(b, unix.SizeofNlAttr+8)
	b = binary.NativeEndian.AppendUint16(b, attrVerdictHdr)
	b = binary.BigEndian.AppendUint32(b, verdict)
	b = binary.BigEndian.AppendUint32(b, id)
	return finishMessage(b, start)
}

// appendModified appends the verdict that accepts one packet with other bytes.
func appendModified(b []byte, queue uint16, id uint32, data []byte) []byte {
	start := len(b)
	b = appendVerdict(b, msgVerdict, queue, verdictAccept, id)
	b = appendAttr(b, attrPayload, data...)
	return finishMessage(b, start)
}
