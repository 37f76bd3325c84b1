package nfqueue

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// packetMessage builds what the kernel sends for a packet.
func packetMessage(id uint32, proto uint16, data []byte, more ...[]byte) []byte {
	b := appendHeader(nil, msgPacket, 0, 0)
	header := binary.BigEndian.AppendUint32(nil, id)
	header = binary.BigEndian.AppendUint16(header, proto)
	b = appendAttr(b, attrPacketHdr, append(header, 2)...) // hook FORWARD
	for _, attr := range more {
		b = append(b, attr...)
	}
	b = appendAttr(b, attrPayload, data...)
	return finishMessage(b, 0)
}

// errorMessage builds what the kernel sends when it refuses a message.
func errorMessage(errno unix.Errno) []byte {
	b := appendHeader(nil, unix.NLMSG_ERROR, 0, 0)[:unix.SizeofNlMsghdr]
	b = binary.NativeEndian.AppendUint32(b, uint32(-int32(errno)))
	b = append(b, make([]byte, unix.SizeofNlMsghdr)...) // the header of the refused message
	return finishMessage(b, 0)
}

func TestParseMessage(t *testing.T) {
	data := []byte("a packet of odd size!")
	stamp := appendAttr(nil, attrTimestamp, 0, 0, 0, 0, 0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7)
	badStamp := appendAttr(nil, attrTimestamp, bytes.Repeat([]byte{0xff}, 16)...)
	info := appendAttr(nil, attrSKBInfo, be32(skbGSO|skbChecksumNotReady)...)
	cut := appendAttr(nil, attrCapLen, be32(70000)...)
	unknown := appendAttr(nil, 999, 1, 2, 3)
	whole := packetMessage(0xfffffffe, unix.ETH_P_IPV6, data, unknown, stamp, info, cut)

	for _, c := range []struct {
		name string
		in   []byte
		want message
	}{
		{"plain", packetMessage(5, unix.ETH_P_IP, data), message{kind: kindPacket, id: 5, proto: unix.ETH_P_IP, size: len(data), data: data}},
		{"everything", whole, message{kind: kindPacket, id: 0xfffffffe, proto: unix.ETH_P_IPV6, size: 70000, data: data,
			skbInfo: skbGSO | skbChecksumNotReady, time: 0x65000000*1e9 + 7000}},
		{"impossible time", packetMessage(5, unix.ETH_P_IP, data, badStamp), message{kind: kindPacket, id: 5, proto: unix.ETH_P_IP, size: len(data), data: data}},
		{"refusal", errorMessage(unix.ENOENT), message{kind: kindError, errno: unix.ENOENT}},
		{"acknowledgement", errorMessage(0), message{kind: kindError}},
		{"other type", finishMessage(appendHeader(nil, unix.NLMSG_NOOP, 0, 0), 0), message{kind: kindOther}},
		{"cut by the buffer", whole[:len(whole)-4], message{}},
		{"no id", finishMessage(appendAttr(appendHeader(nil, msgPacket, 0, 0), attrPayload, data...), 0), message{}},
		{"attribute longer than the message", finishMessage(append(appendHeader(nil, msgPacket, 0, 0), 0xff, 0xff, 1, 0), 0), message{}},
		{"attribute shorter than its header", finishMessage(append(appendHeader(nil, msgPacket, 0, 0), 0, 0, 1, 0), 0), message{}},
		{"length below the header's", make([]byte, 64), message{}},
		{"empty", nil, message{}},
	} {
		got := parseMessage(c.in)
		if !bytes.Equal(got.data, c.want.data) {
			t.Errorf("%s: data %q, want %q", c.name, got.data, c.want.data)
		}
		got.data, c.want.data = nil, nil
		if got.kind != c.want.kind || got.errno != c.want.errno || got.id != c.want.id || got.proto != c.want.proto ||
			got.skbInfo != c.want.skbInfo || got.time != c.want.time || got.size != c.want.size {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(packetMessage(1, unix.ETH_P_IP, []byte("payload"), appendAttr(nil, attrTimestamp, make([]byte, 16)...)))
	f.Add(packetMessage(1, unix.ETH_P_IPV6, nil, appendAttr(nil, attrCapLen, be32(0xffffffff)...), appendAttr(nil, attrSKBInfo, be32(3)...)))
	f.Add(errorMessage(unix.EPERM))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := parseMessage(b)
		if m.kind != kindPacket {
			if m.data != nil || m.id != 0 {
				t.Fatalf("no packet, but %+v", m)
			}
			return
		}
		if m.size < len(m.data) || m.time < 0 {
			t.Fatalf("impossible packet: size %d, %d bytes, time %d", m.size, len(m.data), m.time)
		}
		if len(m.data) > 0 && !within(m.data, b) {
			t.Fatal("data is not part of the message")
		}
	})
}

// within reports whether part lies in the memory of whole.
func within(part, whole []byte) bool {
	start, base := uintptr(unsafe.Pointer(unsafe.SliceData(part))), uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	return start >= base && start+uintptr(len(part)) <= base+uintptr(len(whole))
}

func TestParseTable(t *testing.T) {
	const table = "    0   1234     3 2 65531     7     2       12  1\n" +
		"   10 4294967295 0 2 65531 4294967295 0 0 1\n" +
		"   11 short\n" +
		"   12 1 2 3 4 many 6 7 8\n"
	for _, c := range []struct {
		num    uint16
		column int
		want   uint32
		ok     bool
	}{
		{0, columnDropped, 7, true},
		{0, columnOwner, 1234, true},
		{10, columnDropped, 4294967295, true},
		{1, columnDropped, 0, false},
		{11, columnDropped, 0, false},
		{12, columnDropped, 0, false},
	} {
		if got, ok := parseTable(table, c.num, c.column); got != c.want || ok != c.ok {
			t.Errorf("queue %d, column %d: %d, %v; want %d, %v", c.num, c.column, got, ok, c.want, c.ok)
		}
	}
}
