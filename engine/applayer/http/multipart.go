package http

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
)

// Bounds of a form with files.
const (
	maxBoundary   = 255
	maxPartHeader = 8 << 10 // bytes of the fields of a part; longer ones are passed over
)

// multipart finds the files in a form (RFC 7578): the parts that have a file name.
type multipart struct {
	delimiter []byte // CR LF, two hyphens, boundary; longer ones than allowed are none
	state     partState
	held      []byte     // what may be the beginning of a delimiter, or a header that is not complete
	file      *file.File // of the part at hand, nil without
}

type partState uint8

const (
	preamble   partState = iota // before the first delimiter, which may have no line before it
	partHeader                  // the fields of a part
	partData
	epilogue
)

// newMultipart returns nil for what is no form with a boundary.
func newMultipart(f *fields) *multipart {
	value, _ := f.value(contentType)
	if !hasPrefixFold(value, "multipart/form-data") {
		return nil
	}
	boundary, ok := parameter(value, "boundary=")
	if !ok {
		return nil
	}
	m := &multipart{held: []byte("\r\n")} // as if a line had ended before the body
	if len(boundary) > maxBoundary {
		m.state = epilogue
	} else {
		m.delimiter = append([]byte("\r\n--"), boundary...)
	}
	return m
}

func (m *multipart) memory() int { return cap(m.delimiter) + cap(m.held) }

// write takes the next bytes of the body, the last len(data) that it holds.
func (m *multipart) write(r *reader, t *Tx, data []byte) {
	end := t.req.body.size // offset in the body of the end of what is looked at
	text := data
	if len(m.held) > 0 {
		m.held = append(m.held, data...)
		text = m.held
	}
	for {
		n, again := m.step(r, t, text, end)
		text = text[n:]
		if !again {
			break
		}
	}
	m.held = append(m.held[:0], text...)
}

// step takes one part of text, of which the body holds the last byte just before the offset end.
func (m *multipart) step(r *reader, t *Tx, text []byte, end int) (n int, again bool) {
	switch m.state {
	case preamble, partData:
		at := bytes.Index(text, m.delimiter)
		if at < 0 {
			keep := partialSuffix(text, m.delimiter)
			m.content(t, text[:len(text)-keep], end-keep)
			return len(text) - keep, false
		}
		m.content(t, text[:at], end-len(text)+at)
		m.close(r, t)
		m.state = partHeader
		return at + len(m.delimiter), true
	case partHeader:
		if len(text) < 2 {
			return 0, false
		}
		if string(text[:2]) == "--" {
			m.state = epilogue
			return 2, true
		}
		header := bytes.Index(text, []byte("\r\n\r\n"))
		next := bytes.Index(text, m.delimiter)
		switch {
		case next >= 0 && (header < 0 || next <= header+2):
			if m.named(r, text[:next]) != nil {
				r.note(applayer.AnomalyHTTPMultipartNoFiledata)
			}
			return next + len(m.delimiter), true
		case header >= 0:
			m.open(r, t, text[:header], end-len(text)+header+4)
			m.state = partData
			return header + 2, true // the second line end may begin a delimiter
		case len(text) > maxPartHeader:
			m.state = partData
			return 0, true
		}
		return 0, false
	}
	return len(text), false
}

// partialSuffix returns how many bytes at the end of text may begin the delimiter.
func partialSuffix(text, delimiter []byte) int {
	for n := min(len(text), len(delimiter)-1); n > 0; n-- {
		if bytes.HasPrefix(delimiter, text[len(text)-n:]) {
			return n
		}
	}
	return 0
}

// named returns the file name that the fields of a part give, nil when they give none.
func (m *multipart) named(r *reader, header []byte) (name []byte) {
	for line := range bytes.SplitSeq(header, []byte("\r\n")) {
		if len(line) == 0 {
			continue
		}
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			r.note(applayer.AnomalyHTTPMultipartInvalidHeader)
			continue
		}
		if bytes.EqualFold(key, contentDispo) {
			if given, ok := parameter(value, "filename="); ok {
				name = append([]byte{}, given...)
			}
		}
	}
	return name
}

// open begins the file of a part, if it has one, whose content begins at an offset of the body.
func (m *multipart) open(r *reader, t *Tx, header []byte, from int) {
	if name := m.named(r, header); name != nil {
		m.file = r.openFile(t, &t.req, name)
		t.req.body.parts = append(t.req.body.parts, part{from: from, to: from})
	}
}

// content adds to the file of the part, up to an offset of the body. The line end that stands before the
// content is passed over.
func (m *multipart) content(t *Tx, data []byte, to int) {
	if m.file == nil {
		return
	}
	p := &t.req.body.parts[len(t.req.body.parts)-1]
	if skip := p.to - (to - len(data)); skip > 0 {
		data = data[min(skip, len(data)):]
	}
	m.file.Write(data)
	p.to += len(data)
}

// close ends the part at hand.
func (m *multipart) close(r *reader, t *Tx) {
	if m.file != nil {
		t.req.body.parts[len(t.req.body.parts)-1].ended = true
		r.closeFile(t, m.file, file.Closed)
		m.file = nil
	}
}

// end takes the end of the body for that of the part, without the line end before it.
func (m *multipart) end(t *Tx) {
	if held := bytes.TrimSuffix(m.held, []byte("\r\n")); m.state == partData && !bytes.HasPrefix(held, []byte("\r\n")) {
		m.content(t, held, t.req.body.size-(len(m.held)-len(held)))
	}
}
