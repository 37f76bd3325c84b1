package http2

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// singles are the buffers that are one field, with its name. Names are compared in lower case as they
// have to be sent (RFC 9113, 8.2.1), as Suricata does.
var singles = [applayer.NumBuffers]string{
	applayer.HTTP2Method: ":method", applayer.HTTP2URI: ":path", applayer.HTTP2URIRaw: ":path", applayer.HTTP2HostRaw: ":authority",
	applayer.HTTP2Cookie: "cookie", applayer.HTTP2UserAgent: "user-agent", applayer.HTTP2Referer: "referer",
	applayer.HTTP2Accept: "accept", applayer.HTTP2AcceptLang: "accept-language", applayer.HTTP2AcceptEnc: "accept-encoding",
	applayer.HTTP2Connection: "connection", applayer.HTTP2ContentType: "content-type", applayer.HTTP2ContentLen: "content-length",

	applayer.HTTP2StatCode: ":status", applayer.HTTP2ReplyCookie: "set-cookie", applayer.HTTP2Server: "server", applayer.HTTP2Location: "location",
	applayer.HTTP2ReplyConnection: "connection", applayer.HTTP2ReplyContentType: "content-type", applayer.HTTP2ReplyContentLen: "content-length",
}

var protocol = []byte("HTTP/2")

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	if b.Proto() != applayer.HTTP2 {
		return nil, false
	}
	m := &t.sides[b.Hook().Dir()]
	switch b {
	case applayer.HTTP2HeaderName, applayer.HTTP2ReplyHeaderName:
		if i < len(m.fields) {
			return m.fields[i].name.of(m.text), true
		}
		return nil, false
	case applayer.HTTP2HeaderField, applayer.HTTP2ReplyHeaderField:
		if i < len(m.fields) {
			t.joined = m.appendField(t.joined[:0], &m.fields[i], false)
			return t.joined, true
		}
		return nil, false
	}
	if i > 0 {
		return nil, false
	}
	if name := singles[b]; name != "" {
		return m.value(&t.joined, name)
	}
	switch b {
	case applayer.HTTP2Host:
		value, ok = m.value(&t.joined, ":authority")
		t.joined = appendHost(t.joined[:0], value)
		return t.joined, ok
	case applayer.HTTP2Version, applayer.HTTP2ReplyVersion:
		return protocol, true
	case applayer.HTTP2StatMsg:
		return protocol[:0], true // there is none in HTTP/2
	case applayer.HTTP2Line:
		return m.line.get(t, appendRequestLine)
	case applayer.HTTP2StatusLine:
		return m.line.get(t, appendStatusLine)
	case applayer.HTTP2Header:
		return m.header.get(t, func(dst []byte, t *Tx) []byte { return m.appendFields(dst, "cookie", true) })
	case applayer.HTTP2ReplyHeader:
		return m.header.get(t, func(dst []byte, t *Tx) []byte { return m.appendFields(dst, "set-cookie", true) })
	case applayer.HTTP2HeaderRaw, applayer.HTTP2ReplyHeaderRaw:
		return m.raw.get(t, func(dst []byte, t *Tx) []byte { return m.appendFields(dst, "", false) })
	case applayer.HTTP2HeaderNames, applayer.HTTP2ReplyHeaderNames:
		return m.names.get(t, func(dst []byte, t *Tx) []byte { return m.appendNames(dst) })
	case applayer.HTTP2Body, applayer.HTTP2ReplyBody, applayer.HTTP2ReplyFileData:
		m.content.looked = true
		return m.content.data, m.content.emitted
	}
	return nil, false
}

// Piece implements applayer.Tx.
func (t *Tx) Piece(b applayer.Buffer, _ int) (offset int, last bool) {
	switch b {
	case applayer.HTTP2Body, applayer.HTTP2ReplyBody, applayer.HTTP2ReplyFileData:
		c := &t.sides[b.Hook().Dir()].content
		return c.base, c.ended
	}
	return 0, true
}

// get returns what compose makes, which is not to be made again.
func (c *composed) get(t *Tx, compose func([]byte, *Tx) []byte) (value []byte, ok bool) {
	if !c.valid {
		c.b, c.valid = compose(c.b[:0], t), true
	}
	return c.b, len(c.b) > 0
}

// value returns the value of a field, those of several with commas between them.
func (m *message) value(joined *[]byte, name string) (value []byte, ok bool) {
	n := 0
	for i := range m.fields {
		f := &m.fields[i]
		if string(f.name.of(m.text)) != name {
			continue
		}
		switch n++; {
		case n == 1:
			value = f.value.of(m.text)
			continue
		case name == ":method" || name == ":path" || name == ":status":
			return value, true // the first counts
		case n == 2:
			*joined = append((*joined)[:0], value...)
		}
		*joined = append(append(*joined, ", "...), f.value.of(m.text)...)
	}
	if n > 1 {
		return *joined, true
	}
	return value, n > 0
}

// first returns the value of the first field of a name.
func (m *message) first(name string) (value []byte, ok bool) {
	for i := range m.fields {
		if string(m.fields[i].name.of(m.text)) == name {
			return m.fields[i].value.of(m.text), true
		}
	}
	return nil, false
}

// appendHost appends an authority in lower case, without its port. It may be a part of dst.
func appendHost(dst, b []byte) []byte {
	for _, c := range b {
		if c == ':' {
			break
		}
		dst = append(dst, lower(c))
	}
	return dst
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func (m *message) appendField(dst []byte, f *field, trim bool) []byte {
	value := f.value.of(m.text)
	if trim {
		value = bytes.Trim(value, " \t")
	}
	return append(append(append(dst, f.name.of(m.text)...), ": "...), value...)
}

// appendFields appends the fields one a line, but those of a name.
func (m *message) appendFields(dst []byte, without string, trim bool) []byte {
	for i := range m.fields {
		f := &m.fields[i]
		if without == "" || !equalFold(f.name.of(m.text), without) {
			dst = append(m.appendField(dst, f, trim), "\r\n"...)
		}
	}
	return dst
}

// appendNames appends the names of the fields one a line, after and before an empty line.
func (m *message) appendNames(dst []byte) []byte {
	if len(m.fields) == 0 {
		return dst
	}
	dst = append(dst, "\r\n"...)
	for i := range m.fields {
		dst = append(append(dst, m.fields[i].name.of(m.text)...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// appendRequestLine appends what the request line would be in HTTP/1.
func appendRequestLine(dst []byte, t *Tx) []byte {
	m := &t.sides[packet.ToServer]
	method, ok := m.first(":method")
	path, ok2 := m.first(":path")
	if !ok || !ok2 {
		return dst
	}
	dst = append(append(append(dst, method...), ' '), path...)
	return append(dst, " HTTP/2\r\n"...)
}

// appendStatusLine appends what the status line would be in HTTP/1.
func appendStatusLine(dst []byte, t *Tx) []byte {
	if status, ok := t.sides[packet.ToClient].first(":status"); ok {
		dst = append(append(append(dst, "HTTP/2 "...), status...), "\r\n"...)
	}
	return dst
}

// equalFold compares b with a text in lower case.
func equalFold(b []byte, text string) bool {
	if len(b) != len(text) {
		return false
	}
	for i, c := range b {
		if lower(c) != text[i] {
			return false
		}
	}
	return true
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	if n.Proto() != applayer.HTTP2 {
		return 0, false
	}
	m := &t.sides[n.Hook().Dir()]
	switch n {
	case applayer.HTTP2FrameType, applayer.HTTP2ReplyFrameType:
		return m.frameType(i)
	case applayer.HTTP2ErrorCode, applayer.HTTP2ReplyErrorCode:
		return at(m.errors, i)
	case applayer.HTTP2Priority, applayer.HTTP2ReplyPriority:
		return at(m.weights, i)
	case applayer.HTTP2Window, applayer.HTTP2ReplyWindow:
		return at(m.windows, i)
	case applayer.HTTP2SizeUpdate, applayer.HTTP2ReplySizeUpdate:
		if i < len(m.sizes) {
			return m.fields[m.sizes[i]].size, true
		}
	case applayer.HTTP2Settings, applayer.HTTP2ReplySettings:
		if i < len(m.settings) {
			return uint64(m.settings[i].ID)<<32 | uint64(m.settings[i].Value), true
		}
	}
	return 0, false
}

func at[T uint8 | uint32](list []T, i int) (value uint64, ok bool) {
	if i >= len(list) {
		return 0, false
	}
	return uint64(list[i]), true
}

// frameType returns the type of frame i, of each type once.
func (m *message) frameType(i int) (value uint64, ok bool) {
	for k := range 256 {
		if m.types[k>>6]&(1<<(k&63)) == 0 {
			continue
		} else if i == 0 {
			return uint64(k), true
		}
		i--
	}
	return 0, false
}
