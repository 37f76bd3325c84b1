package eve

import (
	"encoding/base64"
	"strconv"

	"github.com/sluicefw/sluice/engine/packet"
)

// Detail says which of the members that take space a record has. Each costs nothing while
// it is off; the zero value is what AWS logs.
type Detail struct {
	Payload     bool // payload, in base64
	Printable   bool // payload_printable: the same as text
	Packet      bool // packet, in base64
	Metadata    bool // of rules; flowbits and flowints of flows
	CommunityID bool
	Seed        uint16 // of the community id
}

// Full is every detail.
var Full = Detail{Payload: true, Printable: true, Packet: true, Metadata: true}

// MaxStream is how many bytes of a stream an alert shows; Suricata's figure. A packet's payload is shown whole.
const MaxStream = 4095

// AppendGap appends what the bytes of a stream have in place of n that were never seen.
func AppendGap(dst []byte, n int) []byte {
	dst = strconv.AppendInt(append(dst, '['), int64(n), 10)
	return append(dst, " bytes missing]"...)
}

// Frame is a packet as it was captured.
type Frame struct {
	Data []byte
	Link packet.LinkType
}

// linkType is the number as programs know it: files have another one for raw IP.
func linkType(l packet.LinkType) packet.LinkType {
	if l == packet.LinkRaw {
		return packet.LinkRaw12
	}
	return l
}

// frame writes the first limit bytes of a packet, or with limit 0 all of it.
func (o *object) frame(f *Frame, limit int) {
	if f == nil {
		return
	}
	data := f.Data
	if limit > 0 && len(data) > limit {
		data = data[:limit]
	}
	o.base64("packet", data)
	o.open("packet_info")
	o.uint("linktype", uint64(linkType(f.Link)))
	o.close()
}

// base64 writes bytes, if there are any.
func (o *object) base64(k string, v []byte) {
	if len(v) == 0 {
		return
	}
	o.key(k)
	o.b = append(base64.StdEncoding.AppendEncode(append(o.b, '"'), v), '"')
}

// printable writes bytes as text, with a dot for each that is not ASCII's and no line end.
func (o *object) printable(k string, v []byte) {
	o.key(k)
	o.b = appendPrintable(o.b, v)
}

func appendPrintable(b, v []byte) []byte {
	b = append(b, '"')
	for _, c := range v {
		switch {
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c < ' ' || c > '~':
			b = append(b, '.')
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// AppendCaptured appends an EVE metadata event, of a packet that rules captured variables of: they are in t.Vars.
func AppendCaptured(dst []byte, t *Tuple) []byte {
	o := appendHeader(dst, t, "metadata")
	return o.end()
}

// Tagged is a packet that a tag keyword of a rule asked for.
type Tagged struct {
	Tuple
	Frame Frame
}

// AppendTagged appends t as an EVE packet event.
func AppendTagged(dst []byte, t *Tagged) []byte {
	o := appendHeader(dst, &t.Tuple, "packet")
	o.frame(&t.Frame, 0)
	return o.end()
}
