package http

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// maxRaw bounds the copy of a header section.
const maxRaw = 64 << 10

// headerLine takes a line of a header section or a trailer, with its end. A line that begins with a
// blank continues the one before (RFC 9112, 5.2).
func (r *reader) headerLine(line []byte) {
	h, m := r.half, r.half.tx.side(r.dir)
	m.keepRaw(line)
	if emptyLine(line) {
		r.closeField()
		if r.dir == packet.ToServer {
			r.endRequestHeaders()
		} else {
			r.endResponseHeaders()
		}
		return
	}
	line = chomp(line)
	if len(line) > 0 && isBlank(line[0]) {
		if h.open {
			h.field = append(h.field, line...)
			return
		}
		if !h.tx.invalidFolding {
			h.tx.invalidFolding = true
			r.noteOf(applayer.AnomalyHTTPInvalidRequestFieldFolding, applayer.AnomalyHTTPInvalidResponseFieldFolding)
		}
	}
	r.closeField()
	h.field = append(h.field[:0], line...)
	h.open = true
}

// keepRaw adds a line to the header section as sent.
func (m *message) keepRaw(line []byte) {
	if len(m.raw)+len(line) <= maxRaw {
		m.raw = append(m.raw, line...)
	}
}

// noteOf adds the anomaly of the direction.
func (r *reader) noteOf(request, response applayer.Anomaly) {
	if r.dir == packet.ToServer {
		r.note(request)
	} else {
		r.note(response)
	}
}

// closeField reads the field that is complete, if there is one.
func (r *reader) closeField() {
	h := r.half
	if !h.open {
		return
	}
	h.open = false
	name, value := r.splitField(h.field)
	f := &h.tx.side(r.dir).fields
	switch what, i := f.add(name, value, false); what {
	case addedTooMany:
		r.noteOf(applayer.AnomalyHTTPRequestTooManyHeaders, applayer.AnomalyHTTPResponseTooManyHeaders)
		r.fail()
	case addedAgain:
		if equalFold(name, contentLength) {
			old, ok := lengthOf(f.list[i].value.of(f.text))
			again, ok2 := lengthOf(value)
			if !ok || !ok2 || old != again {
				r.noteOf(applayer.AnomalyHTTPDuplicateContentLengthFieldInRequest, applayer.AnomalyHTTPDuplicateContentLengthFieldInResponse)
			}
		}
		f.repeat(i, value)
	}
}

// splitField parts a field line at its colon. A line without one is a value without a name.
func (r *reader) splitField(line []byte) (name, value []byte) {
	request := r.dir == packet.ToServer
	colon := bytes.IndexByte(line, ':')
	if nul := bytes.IndexByte(line, 0); request && nul >= 0 && nul < colon {
		colon = -1
	}
	if colon < 0 {
		if !r.half.tx.noColon {
			r.half.tx.noColon = true
			r.noteOf(applayer.AnomalyHTTPRequestFieldMissingColon, applayer.AnomalyHTTPResponseFieldMissingColon)
		}
		if !request {
			r.half.tx.oddField = true
			return nil, bytes.TrimLeft(line, " \t")
		}
		return nil, line
	}
	if colon == 0 {
		r.noteOdd()
	}
	name, value = line[:colon], bytes.TrimLeft(line[colon+1:], " \t")
	if trimmed := bytes.TrimRight(name, " \t"); len(trimmed) < len(name) {
		r.noteOdd()
		name = trimmed
	}
	value = bytes.TrimRight(value, " \t")
	for _, c := range name {
		if !isToken(c) {
			r.noteOdd()
			break
		}
	}
	return name, value
}

// noteOdd adds the anomaly of a field that is malformed, once for a message.
func (r *reader) noteOdd() {
	if !r.half.tx.oddField {
		r.half.tx.oddField = true
		r.noteOf(applayer.AnomalyHTTPRequestHeaderInvalid, applayer.AnomalyHTTPResponseHeaderInvalid)
	}
}
