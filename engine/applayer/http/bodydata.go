package http

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// bodyData passes on a part of a body, as it was sent but without its chunks.
func (r *reader) bodyData(data []byte) {
	t := r.half.tx
	if r.dir == packet.ToClient {
		t.length += int64(len(data))
	}
	if d := r.half.decoder; d != nil {
		d.write(r, t, data)
		return
	}
	r.decodedData(t, data)
}

// decodedData takes a part of a body without its content encodings.
func (r *reader) decodedData(t *Tx, data []byte) {
	if r.dir == packet.ToServer {
		r.uploaded(t, data)
	} else {
		r.downloaded(t, data)
	}
}

// lengthBody takes what is there of a body of known length.
func (r *reader) lengthBody() bool {
	h := r.half
	n := int(min(int64(len(r.rest())), h.left))
	r.bodyData(r.rest()[:n])
	r.pos += n
	if h.left -= int64(n); h.left > 0 {
		return !r.p.failed
	}
	if h.state != closedForGood {
		h.state = finish
	}
	return true
}

// chunkSize reads the line before a chunk (RFC 9112, 7.1).
func (r *reader) chunkSize() bool {
	response := r.dir == packet.ToClient
	if i := oddByte(r.rest()); response && i >= 0 {
		r.half.tx.length += int64(i + 1)
		return r.notChunked()
	}
	line, ok := r.line()
	if !ok {
		return false
	}
	r.countLine(len(line))
	size := line
	for len(size) > 0 && isSpace(size[0]) {
		size = size[1:]
	}
	if len(size) == 0 && (response || string(line) == "\n") {
		return true // an empty line: perhaps the size comes after it
	}
	n, rest, ok := digits(size, 16)
	switch {
	case !ok || n > 1<<31-1:
		if response {
			r.pos -= len(line)
			return r.notChunked()
		}
		r.note(applayer.AnomalyHTTPInvalidRequestChunkLength)
		r.fail()
		return false
	case len(rest) > 0 && rest[0] == ';':
		r.note(applayer.AnomalyHTTPRequestChunkExtension)
	}
	if r.half.left = n; n > 0 {
		r.half.state = chunkData
	} else {
		r.half.state = trailer
		r.half.tx.side(r.dir).progress = inTrailer
	}
	return true
}

// oddByte returns the index of what cannot begin the size of a chunk, or -1.
func oddByte(data []byte) int {
	for i, c := range data {
		if !isSpace(c) {
			if digitOf(c) < 16 {
				return -1
			}
			return i
		}
	}
	return -1
}

// notChunked takes the rest of a response for a body to the end of the connection.
func (r *reader) notChunked() bool {
	r.note(applayer.AnomalyHTTPInvalidResponseChunkLength)
	r.half.state = bodyEnd
	return true
}

// countLine adds n bytes around chunks to the length of a response.
func (r *reader) countLine(n int) {
	if r.dir == packet.ToClient {
		r.half.tx.length += int64(n)
	}
}

// chunkData takes what is there of a chunk.
func (r *reader) chunkData() bool {
	h := r.half
	n := int(min(int64(len(r.rest())), h.left))
	r.bodyData(r.rest()[:n])
	r.pos += n
	if h.left -= int64(n); h.left == 0 && h.state == chunkData {
		h.state = chunkDataEnd
	}
	return !r.p.failed
}

// skipLine passes over the line end after a chunk, and what may stand before it.
func (r *reader) skipLine() bool {
	n := len(r.rest())
	if i := bytes.IndexByte(r.rest(), '\n'); i >= 0 {
		n = i + 1
		r.half.state = chunkSize
	}
	r.pos += n
	r.countLine(n)
	return true
}

// openRequestBody prepares for the body of a request.
func (r *reader) openRequestBody(t *Tx) {
	t.req.progress = inBody
	t.req.body.first, t.req.body.windowSize = requestFirst, requestWindow
	r.openEncoding(&t.req)
	if t.known == postMethod {
		r.p.upload = newMultipart(&t.req.fields)
	}
}

// openEncoding prepares for the content encodings of a body (RFC 9110, 8.4).
func (r *reader) openEncoding(m *message) {
	r.half.decoder.close()
	r.half.decoder = nil
	if value, ok := m.fields.value(contentEncoding); ok {
		r.half.decoder = r.openDecoder(value)
	}
}

// uploaded takes a part of the body of a request without its encodings.
func (r *reader) uploaded(t *Tx, data []byte) {
	m := &t.req
	if m.body.full() {
		r.truncateFiles(t, m)
		return
	}
	n := len(data)
	if data = m.body.write(data); len(data) < n {
		defer r.truncateFiles(t, m)
	}
	switch {
	case r.p.upload != nil:
		r.p.upload.write(r, t, data)
	case t.known != postMethod && t.known != putMethod || t.path == 0 || len(data) == 0:
	default:
		if len(m.files) == 0 {
			r.openFile(t, m, t.uri[:t.path])
			m.body.parts = append(m.body.parts, part{})
		}
		m.files[0].Write(data)
		m.body.parts[0].to = m.body.size
	}
}

// openFile begins a file of a message.
func (r *reader) openFile(t *Tx, m *message, name []byte) *file.File {
	if len(name) > maxFileName {
		r.note(applayer.AnomalyHTTPFileNameTooLong)
		name = name[:maxFileName]
	}
	f := m.newFile()
	f.Start(name, t.digests)
	return f
}

// truncateFiles ends the files of a body that is not taken in any further.
func (r *reader) truncateFiles(t *Tx, m *message) {
	for _, f := range m.files {
		r.closeFile(t, f, file.Truncated)
	}
}

// closeFile ends a file, if it is open.
func (r *reader) closeFile(t *Tx, f *file.File, s file.State) {
	if f.State == file.Open {
		f.Close(s)
		r.out.EmitFile(r.dir, t, f)
	}
}

// closeRequestBody ends the body of a request, if it has one.
func (r *reader) closeRequestBody(t *Tx, s file.State) {
	m := &t.req
	if r.p.upload != nil {
		r.p.upload.end(t)
		r.p.upload = nil
	}
	r.closeBody(t, m, applayer.HTTPRequestBody, s)
}

// openResponseBody prepares for the body of a response.
func (r *reader) openResponseBody(t *Tx) {
	t.res.progress = inBody
	t.res.body.first, t.res.body.windowSize = responseFirst, responseWindow
	r.openEncoding(&t.res)
}

// downloaded takes a part of the body of a response without its encodings.
func (r *reader) downloaded(t *Tx, data []byte) {
	m := &t.res
	if m.body.full() {
		r.truncateFiles(t, m)
		return
	}
	n := len(data)
	if data = m.body.write(data); len(data) < n {
		defer r.truncateFiles(t, m)
	}
	if len(data) == 0 || len(m.files) == 0 && !r.openResponseFile(t) {
		return
	}
	m.files[0].Write(data)
}

// openResponseFile begins the file that a response carries. Its name is that of Content-Disposition,
// or else the path that was asked for; without a name there is none.
func (r *reader) openResponseFile(t *Tx) bool {
	name := t.uri[:t.path]
	if value, ok := t.res.fields.value(contentDispo); ok {
		if given, ok := parameter(value, "filename="); ok && len(given) > 0 {
			name = given
		}
	}
	if len(name) == 0 {
		return false
	}
	f := r.openFile(t, &t.res, name)
	if value, ok := t.res.fields.value(contentRange); ok {
		if f.Range, ok = ParseRange(value); ok {
			f.Ranged = true
		} else {
			r.note(applayer.AnomalyHTTPRangeInvalid)
		}
	}
	return true
}

// maxFileName is the longest name of a file, Suricata's.
const maxFileName = 4096

// closeResponseBody ends the body of a response, if it has one.
func (r *reader) closeResponseBody(t *Tx, s file.State) {
	r.closeBody(t, &t.res, applayer.HTTPResponseBody, s)
}

// closeBody tells that a message is complete, to rules about its body and to its files.
func (r *reader) closeBody(t *Tx, m *message, hook applayer.Hook, s file.State) {
	r.half.decoder.close()
	r.half.decoder = nil
	m.body.ended = true
	for i := range m.body.parts {
		m.body.parts[i].ended = true
	}
	if m.body.size > 0 {
		m.body.emit(r.out, hook, t)
	}
	for _, f := range m.files {
		r.closeFile(t, f, s)
	}
}

// bodyGap notes that n bytes of a body are lost. What is compressed cannot be read behind them.
func (r *reader) bodyGap(n int) {
	t := r.half.tx
	if r.dir == packet.ToClient {
		t.length += int64(n)
	}
	if d := r.half.decoder; d != nil {
		d.bomb = true
		return
	}
	m := t.side(r.dir)
	if r.dir == packet.ToClient && len(m.files) == 0 {
		r.openResponseFile(t)
	}
	for _, f := range m.files {
		if f.State == file.Open {
			f.Lose(n)
		}
	}
}
