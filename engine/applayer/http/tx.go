package http

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// progress says how far a message has come.
type progress uint8

const (
	notStarted progress = iota
	inLine
	inHeaders
	inBody
	inTrailer
	complete
)

// message is a request or a response.
type message struct {
	progress progress
	line     []byte // first line, without its end
	hasLine  bool
	raw      []byte // header section as sent, to its empty line
	fields   fields
	body     body
	files    []*file.File

	// What Value makes of the fields, when it is first asked.
	header, names, start []byte
	composed             uint8 // bits of those that are up to date
}

const (
	composedHeader = 1 << iota
	composedNames
	composedStart
)

// Tx is a request with its response, as far as they have come.
type Tx struct {
	applayer.TxState
	req, res message

	method, target, version span // of req.line
	known                   method
	flags                   flags
	protocol                protocol
	isVersion09             bool
	hasTarget               bool

	uri  []byte // normalised
	path int    // length of the path in it

	uriHost    []byte // of the target
	hasURIHost bool
	uriPort    int // -1: none
	// Once the header section is there:
	host    []byte // of the target or else of the Host field, without port
	hasHost bool
	port    int    // beside it, -1 for none; 0 before
	lower   []byte // host in lower case

	resVersion, code, message span // of res.line
	resProtocol               protocol
	status                    int   // -1: none that is valid
	length                    int64 // of the body as sent
	seenContinue              bool

	loggable bool // TxDone was not emitted yet
	digests  bool
	invalidFolding,
	oddField,
	noColon bool // these were noted, in the request or in the response: once is enough
	joined []byte // scratch of Value for one field
}

// reset prepares for request number id.
func (t *Tx) reset(id uint64) {
	t.TxState.Reset(id)
	t.req.reset()
	t.res.reset()
	*t = Tx{
		TxState: t.TxState, req: t.req, res: t.res,
		uri: applayer.Recycle(t.uri, keepBuffer), uriHost: applayer.Recycle(t.uriHost, keepBuffer), host: applayer.Recycle(t.host, keepBuffer), lower: applayer.Recycle(t.lower, keepBuffer), joined: applayer.Recycle(t.joined, keepBuffer),
		uriPort: -1, status: -1, loggable: true,
	}
}

func (m *message) reset() {
	m.fields.reset()
	m.body.reset()
	for _, f := range m.files {
		f.Reset()
	}
	*m = message{
		line: applayer.Recycle(m.line, keepBuffer), raw: applayer.Recycle(m.raw, keepBuffer), fields: m.fields, body: m.body, files: m.files[:0],
		header: applayer.Recycle(m.header, keepBuffer), names: applayer.Recycle(m.names, keepBuffer), start: applayer.Recycle(m.start, keepBuffer),
	}
}

// memory returns how many bytes the transaction holds beyond its own size.
func (t *Tx) memory() int {
	return t.req.memory() + t.res.memory() + cap(t.uri) + cap(t.uriHost) + cap(t.host) + cap(t.lower) + cap(t.joined)
}

func (m *message) memory() int {
	n := cap(m.line) + cap(m.raw) + m.fields.memory() + m.body.memory() + cap(m.header) + cap(m.names) + cap(m.start)
	for _, f := range m.files {
		n += fileSize + f.Memory()
	}
	return n
}

// newFile adds a file to the message, one of an earlier transaction if there is one.
func (m *message) newFile() *file.File {
	if len(m.files) < cap(m.files) {
		m.files = m.files[:len(m.files)+1]
		if last := &m.files[len(m.files)-1]; *last == nil {
			*last = &file.File{}
		}
	} else {
		m.files = append(m.files, &file.File{})
	}
	return m.files[len(m.files)-1]
}

// File implements applayer.Tx.
func (t *Tx) File(dir packet.Dir, i int) *file.File {
	m := t.side(dir)
	if i >= len(m.files) {
		return nil
	}
	return m.files[i]
}

func (t *Tx) side(dir packet.Dir) *message {
	if dir == packet.ToServer {
		return &t.req
	}
	return &t.res
}

// singles are the buffers that are one field.
var singles = [applayer.NumBuffers][]byte{
	applayer.HTTPCookie: fieldCookie, applayer.HTTPUserAgent: fieldUserAgent, applayer.HTTPReferer: fieldReferer,
	applayer.HTTPAccept: fieldAccept, applayer.HTTPAcceptLang: fieldAcceptLang, applayer.HTTPAcceptEnc: fieldAcceptEnc,
	applayer.HTTPConnection: fieldConnection, applayer.HTTPContentType: contentType, applayer.HTTPContentLen: contentLength,

	applayer.HTTPReplyCookie: fieldSetCookie, applayer.HTTPServer: fieldServer, applayer.HTTPLocation: fieldLocation,
	applayer.HTTPReplyConnection: fieldConnection, applayer.HTTPReplyContentType: contentType, applayer.HTTPReplyContentLen: contentLength,
}

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	switch b {
	case applayer.HTTPHeaderField:
		return t.req.fieldLine(&t.joined, i)
	case applayer.HTTPReplyHeaderField:
		return t.res.fieldLine(&t.joined, i)
	case applayer.HTTPFileName, applayer.HTTPReplyFileName:
		if f := t.File(b.Hook().Dir(), i); f != nil {
			return f.Name, true
		}
		return nil, false
	case applayer.HTTPFileData:
		return t.req.body.part(i)
	}
	if i > 0 {
		return nil, false
	}
	if name := singles[b]; name != nil {
		return t.side(b.Hook().Dir()).fields.value(name)
	}
	switch b {
	case applayer.HTTPMethod:
		return t.method.of(t.req.line), t.req.hasLine
	case applayer.HTTPURI:
		return t.uri, t.req.hasLine && t.hasTarget
	case applayer.HTTPURIRaw:
		return t.target.of(t.req.line), t.hasTarget
	case applayer.HTTPVersion:
		return nonEmpty(t.version.of(t.req.line))
	case applayer.HTTPLine:
		return t.req.line, t.req.hasLine
	case applayer.HTTPHost:
		return t.lower, t.hasHost
	case applayer.HTTPHostRaw:
		return t.hostRaw()
	case applayer.HTTPHeader:
		return t.req.composeHeader(fieldCookie)
	case applayer.HTTPHeaderRaw:
		return t.req.raw, len(t.req.raw) > 0
	case applayer.HTTPHeaderNames:
		return t.req.composeNames()
	case applayer.HTTPStart:
		return t.req.composeStart()
	case applayer.HTTPBody:
		return t.req.body.window()
	case applayer.HTTPStatusLine:
		return t.res.line, t.res.hasLine
	case applayer.HTTPStatCode:
		return nonEmpty(t.code.of(t.res.line))
	case applayer.HTTPStatMsg:
		return nonEmpty(t.message.of(t.res.line))
	case applayer.HTTPReplyVersion:
		return nonEmpty(t.resVersion.of(t.res.line))
	case applayer.HTTPReplyHeader:
		return t.res.composeHeader(fieldSetCookie)
	case applayer.HTTPReplyHeaderRaw:
		return t.res.raw, len(t.res.raw) > 0
	case applayer.HTTPReplyHeaderNames:
		return t.res.composeNames()
	case applayer.HTTPReplyStart:
		return t.res.composeStart()
	case applayer.HTTPReplyBody, applayer.HTTPReplyFileData:
		return t.res.body.window()
	}
	return nil, false
}

// Piece implements applayer.Tx.
func (t *Tx) Piece(b applayer.Buffer, i int) (offset int, last bool) {
	switch b {
	case applayer.HTTPBody:
		return t.req.body.from, t.req.body.ended
	case applayer.HTTPFileData:
		return t.req.body.piece(i)
	case applayer.HTTPReplyBody, applayer.HTTPReplyFileData:
		return t.res.body.from, t.res.body.ended
	}
	return 0, true
}

func nonEmpty(b []byte) (value []byte, ok bool) { return b, len(b) > 0 }

func (t *Tx) hostRaw() (value []byte, ok bool) {
	if t.hasURIHost {
		return t.host, t.hasHost
	}
	return t.req.fields.value(fieldHost)
}

// fieldLine returns field i as "name: value".
func (m *message) fieldLine(buf *[]byte, i int) (line []byte, ok bool) {
	if i >= len(m.fields.list) {
		return nil, false
	}
	*buf = m.fields.appendField((*buf)[:0], i)
	return *buf, true
}

func (f *fields) appendField(dst []byte, i int) []byte {
	h := &f.list[i]
	dst = append(append(dst, h.name.of(f.text)...), ": "...)
	return append(dst, h.value.of(f.text)...)
}

// composeHeader returns the fields, one a line, but those of a name.
func (m *message) composeHeader(without []byte) (value []byte, ok bool) {
	if m.composed&composedHeader == 0 {
		m.composed |= composedHeader
		m.header = m.header[:0]
		for i := range m.fields.list {
			if !equalFold(m.fields.list[i].name.of(m.fields.text), without) {
				m.header = append(m.fields.appendField(m.header, i), "\r\n"...)
			}
		}
	}
	return m.header, len(m.header) > 0
}

// composeNames returns the names of the fields, one a line, after and before an empty line.
func (m *message) composeNames() (value []byte, ok bool) {
	if m.composed&composedNames == 0 {
		m.composed |= composedNames
		m.names = append(m.names[:0], "\r\n"...)
		for i := range m.fields.list {
			m.names = append(append(m.names, m.fields.list[i].name.of(m.fields.text)...), "\r\n"...)
		}
		m.names = append(m.names, "\r\n"...)
	}
	return m.names, len(m.fields.list) > 0
}

// composeStart returns the message up to its body, in a normal form.
func (m *message) composeStart() (value []byte, ok bool) {
	if m.composed&composedStart == 0 {
		m.composed |= composedStart
		m.start = append(append(m.start[:0], m.line...), "\r\n"...)
		for i := range m.fields.list {
			m.start = append(m.fields.appendField(m.start, i), "\r\n"...)
		}
		if len(m.fields.list) > 0 {
			m.start = append(m.start, "\r\n"...)
		}
	}
	return m.start, m.hasLine
}

// Host returns the host that the request is for, or nothing.
func (t *Tx) Host() []byte { return t.host }

// Port returns the port beside Host, or -1; before the header section is complete it is 0.
func (t *Tx) Port() int { return t.port }

// StatusNumber returns what the status code begins with as a number, 0 if that is no digit. ok is
// false when there is none.
func (t *Tx) StatusNumber() (n int64, ok bool) {
	code := t.code.of(t.res.line)
	n, _, _ = digits(code, 10)
	return n, len(code) > 0
}

// Length returns how many bytes of the response's body were sent so far.
func (t *Tx) Length() int64 { return t.length }

// Field returns a field of the request or the response by its name in lower case.
func (t *Tx) Field(dir packet.Dir, name string) (value []byte, ok bool) {
	return t.side(dir).fields.value([]byte(name))
}

// Range returns what Content-Range of the response says. ok is false where it makes no sense.
func (t *Tx) Range() (raw []byte, r file.Range, there, ok bool) {
	raw, there = t.res.fields.value(contentRange)
	if there {
		r, ok = ParseRange(raw)
	}
	return raw, r, there, ok
}
