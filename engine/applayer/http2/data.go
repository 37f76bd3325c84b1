package http2

import (
	"encoding/binary"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/applayer/http"
	"github.com/sluicefw/sluice/engine/packet"
)

func u32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

// openData begins a DATA frame, of which b is there: at least one byte if it has any. It returns how many of
// them it took.
func (p *Parser) openData(h *half, dir packet.Dir, f *frame, b []byte) int {
	t := p.of(f.stream, f)
	m := &t.sides[dir]
	m.noteType(Data)
	p.touch(t)
	if f.length > longFrame {
		p.note(t, applayer.AnomalyHTTP2LongFrameData)
	}
	h.data, h.left, h.padding, h.ends = t, f.length, 0, f.has(flagEndStream)
	used := 0
	if f.has(flagPadded) && len(b) > 0 && int(b[0]) < f.length {
		used, h.padding = 1, int(b[0])
		h.left -= 1 + h.padding
	}
	if !h.ends {
		t.dataSeen(dir)
	}
	if !m.hasFile {
		m.hasFile = true
		m.file.Start(nil, p.out.Digests)
		if value, ok := m.first("content-range"); ok && dir == packet.ToClient {
			if r, ok := http.ParseRange(value); !ok || r.Start > r.End {
				p.note(t, applayer.AnomalyHTTP2InvalidRange)
			}
		}
	}
	if h.left == 0 {
		p.closeData(h, dir)
	}
	return used
}

// dataSeen notes that a side has sent data, and that more will follow.
func (t *Tx) dataSeen(dir packet.Dir) {
	if dir == packet.ToServer {
		t.state = max(t.state, clientData)
	} else {
		t.state = max(t.state, serverData)
	}
}

// data takes bytes of a DATA frame.
func (p *Parser) data(h *half, dir packet.Dir, b []byte) int {
	t := h.data
	m := &t.sides[dir]
	b = b[:min(len(b), h.left)]
	if p.out.Inline {
		m.content.lookedAt()
	}
	put := func(piece []byte) {
		if m.file.State == file.Open {
			m.file.Write(piece)
			m.content.write(piece)
		}
	}
	if m.decoder == nil {
		b = b[:min(len(b), contentPart)]
		put(b)
	} else {
		n, ok := m.decoder.write(b, contentPart, put)
		if b = b[:n]; !ok {
			p.note(t, applayer.AnomalyHTTP2FailedDecompression)
		}
	}
	p.touch(t)
	if h.left -= len(b); h.left == 0 {
		p.closeData(h, dir)
	}
	return len(b)
}

// closeData ends a DATA frame.
func (p *Parser) closeData(h *half, dir packet.Dir) {
	t := h.data
	h.data, h.skip = nil, h.padding
	p.touch(t)
	if h.ends {
		t.end(dir)
		p.closeFile(t, dir, file.Closed)
	}
}

// sameFold compares without regard to case.
func sameFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
