// Package http2 follows the streams of an HTTP/2 connection (RFC 9113, RFC 7541) as Suricata does: each is a
// transaction with the frames of both sides, and so is each frame about the whole connection.
package http2

import (
	"unicode/utf8"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// maxStreams is how many streams are under way; of more, the oldest are followed no further.
	// Suricata's http2.max-streams.
	maxStreams = 4096

	// maxMemory is what a connection may hold. One that would hold more is not followed any further.
	maxMemory = 16 << 20

	// maxSection is how much of a header section in several frames is put together, before it is
	// decoded. Suricata's http2.max-reassembly-size.
	maxSection = 100 << 10

	// longFrame is the longest frame that is read as a whole. Of a longer one, data are read as they
	// come, and of others the first longPart bytes, as of those above 65,535 bytes by Suricata.
	longFrame = applayer.MaxUnconsumed - headerSize
	longPart  = 256

	maxFree = 4 // transactions that a connection keeps for reuse

	// maxTouched is about how many transactions one call of Data is about: each raises several events.
	maxTouched = 4
)

// half is one direction.
type half struct {
	table   table
	greeted bool // the client's preface was there, or another one's bytes in its place
	skip    int  // bytes to pass over

	data    *Tx // whose DATA frame is under way, or nil
	left    int // bytes of it
	padding int // that follow them
	ends    bool

	section   []byte // of a header section whose end is not there yet
	sectionOf *Tx    // nil: there is none
	stream    uint32 // in the heads of its frames
}

// Parser follows a connection.
type Parser struct {
	halves  [2]half
	streams map[uint32]*Tx // by number, until Release
	oldest  *Tx            // of those under way
	newest  *Tx
	live    int
	done    []*Tx // until Release, or until a frame that is under way ends
	free    []*Tx
	last    *Tx
	nextID  uint64
	held    int // bytes of all of them

	touched []*Tx // that events are about when the call of Data ends
	shown   []*Tx // that events were about since Release
	out     *applayer.Sink
	ended   [2]bool
	name    []byte

	failed    bool
	failedDir packet.Dir
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	for i := range p.halves {
		p.halves[i].data, p.halves[i].sectionOf = nil, nil
	}
	p.Release()
	for t := p.oldest; t != nil; {
		next := t.next
		p.recycle(t)
		t = next
	}
	for i := range p.halves {
		h := &p.halves[i]
		h.table.reset()
		*h = half{table: h.table, section: applayer.Recycle(h.section, keepBuffer)}
	}
	clear(p.free[min(1, len(p.free)):])
	*p = Parser{halves: p.halves, done: applayer.Recycle(p.done, keepBuffer/16), free: p.free[:min(1, len(p.free))],
		touched: applayer.Recycle(p.touched, keepBuffer/16), shown: applayer.Recycle(p.shown, keepBuffer/16), name: applayer.Recycle(p.name, keepBuffer)}
}

// recycle keeps a transaction for reuse.
func (p *Parser) recycle(t *Tx) {
	p.held -= t.charged
	t.Reset(0)
	if len(p.free) < maxFree {
		p.free = append(p.free, t)
	}
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	if p.failed {
		return len(data)
	}
	p.out = out
	for consumed < len(data) && !p.failed && len(p.touched) < maxTouched && !p.full(dir) {
		n := p.step(dir, data[consumed:])
		if n == 0 {
			break
		}
		consumed += n
	}
	p.settle(dir)
	if p.failed {
		return len(data)
	}
	return consumed
}

// full says whether rules have to look at the content under way before there is more of it.
func (p *Parser) full(dir packet.Dir) bool {
	t := p.halves[dir].data
	return t != nil && t.sides[dir].content.fresh() >= contentPart
}

// step takes the next frame, or part of one. It returns how many bytes it was, 0 if more are needed.
func (p *Parser) step(dir packet.Dir, b []byte) int {
	h := &p.halves[dir]
	switch {
	case h.skip > 0:
		n := min(h.skip, len(b))
		h.skip -= n
		return n
	case h.data != nil:
		return p.data(h, dir, b)
	case dir == packet.ToServer && !h.greeted:
		return p.greet(h, b)
	case len(b) < headerSize:
		return 0
	}
	f := parseFrame(b)
	b = b[headerSize:]
	switch {
	case f.length > longFrame && f.kind == Data:
		if len(b) == 0 {
			return 0
		}
	case f.length > longFrame:
		if len(b) < longPart {
			return 0
		}
		b = b[:longPart]
		h.skip = f.length - longPart
	case len(b) < f.length:
		return 0
	default:
		b = b[:f.length]
	}
	if f.kind == Data {
		return headerSize + p.openData(h, dir, &f, b)
	}
	if f.kind == Settings && f.length == 0 {
		return headerSize // an acknowledgement
	}
	p.frame(h, dir, &f, b)
	return headerSize + len(b)
}

// greet takes the client's preface (RFC 9113, 3.4). Where other text stands in its place, frames are
// looked for at once.
func (p *Parser) greet(h *half, b []byte) int {
	if len(b) < len(preface) {
		return 0
	}
	h.greeted = true
	switch first := b[:len(preface)]; {
	case string(first) == preface:
		return len(preface)
	case !utf8.Valid(first):
		p.fail(packet.ToServer)
		return len(b)
	case p.last != nil:
		p.note(p.last, applayer.AnomalyHTTP2InvalidClientMagic)
	}
	return p.step(packet.ToServer, b)
}

// frame takes in a frame that has no data. b is its payload, or the beginning of a long one.
func (p *Parser) frame(h *half, dir packet.Dir, f *frame, b []byte) {
	payload, ok := b, true
	if f.kind == Headers || f.kind == PushPromise {
		payload, ok = f.unpadded(b)
	}
	stream := f.stream
	if f.kind == PushPromise && len(payload) >= 4 {
		stream, payload = u32(payload)&0x7fffffff, payload[4:] // Suricata's transaction is that of the promised stream
	} else if f.kind == PushPromise {
		ok = false
	}
	t := p.of(stream, f)
	if f.kind == Continuation && h.sectionOf != nil && h.stream == f.stream {
		t = h.sectionOf
	}
	m := &t.sides[dir]
	m.noteType(f.kind)
	p.touch(t)
	switch {
	case f.length > longFrame:
		p.note(t, applayer.AnomalyHTTP2LongFrameData)
		ok = ok && !f.isHeader() // what is left would not be read from its beginning
	case !ok:
		p.note(t, applayer.AnomalyHTTP2InvalidFrameData)
	}
	if !ok {
		return
	}
	if f.isHeader() {
		p.fields(h, dir, t, f, payload)
		return
	}
	m.news = true
	if !p.figures(dir, t, f, payload) {
		p.note(t, applayer.AnomalyHTTP2InvalidFrameLength)
	}
}

// figures reads a frame that holds numbers. It reports whether it has the right length.
func (p *Parser) figures(dir packet.Dir, t *Tx, f *frame, b []byte) bool {
	m := &t.sides[dir]
	switch f.kind {
	case Priority:
		if len(b) != 5 {
			return false
		}
		m.addWeight(b[4])
	case RSTStream:
		if len(b) != 4 {
			return false
		}
		m.addError(u32(b), RSTStream)
	case GoAway:
		if len(b) < 8 {
			return false
		}
		m.addError(u32(b[4:]), GoAway)
	case WindowUpdate:
		if len(b) != 4 {
			return false
		}
		m.windows = figure(m.windows, u32(b)&0x7fffffff)
	case Settings:
		p.settings(dir, m, b)
	}
	return true
}

// settings reads parameters (RFC 9113, 6.5.1).
func (p *Parser) settings(dir packet.Dir, m *message, b []byte) {
	m.setList = true
	known := true
	for ; len(b) >= settingSize; b = b[settingSize:] {
		s := Setting{ID: uint16(b[0])<<8 | uint16(b[1]), Value: u32(b[2:])}
		if s.ID == HeaderTableSize {
			p.halves[dir.Reverse()].table.allow(s.Value) // what the other side may put in
		}
		if known = known && s.ID >= HeaderTableSize && s.ID <= MaxHeaderListSize; known && len(m.settings) < maxSettings {
			m.settings = append(m.settings, s)
		}
	}
}

// fields takes a frame of a header section.
func (p *Parser) fields(h *half, dir packet.Dir, t *Tx, f *frame, b []byte) {
	m := &t.sides[dir]
	m.news = true
	if f.kind == Headers && f.has(flagPriority) {
		if len(b) < 5 {
			p.note(t, applayer.AnomalyHTTP2InvalidFrameData)
			return
		}
		m.addWeight(b[4])
		b = b[5:]
	}
	if f.kind == PushPromise && dir == packet.ToClient && t.state == open {
		t.state = reserved
	}
	if f.kind == Continuation && h.sectionOf == t {
		room := maxSection - len(h.section)
		if len(b) > room {
			p.note(t, applayer.AnomalyHTTP2ReassemblyLimitReached)
		}
		h.section = append(h.section, b[:min(len(b), room)]...)
		b = h.section
	} else if !f.has(flagEndHeaders) && f.kind != Continuation {
		h.section = append(h.section[:0], b...)
		h.sectionOf, h.stream, m.hasList = t, f.stream, true
	}
	if f.has(flagEndHeaders) || f.kind == Continuation && h.sectionOf != t {
		p.decode(h, dir, t, b)
	}
	if f.kind == Headers && f.has(flagEndStream) {
		t.end(dir)
	}
}

// decode reads a whole header section.
func (p *Parser) decode(h *half, dir packet.Dir, t *Tx, b []byte) {
	m := &t.sides[dir]
	fields, sizes, text := len(m.fields), len(m.sizes), len(m.text)
	result := h.table.decode(m, b)
	h.section, h.sectionOf = applayer.Recycle(h.section, keepBuffer), nil
	m.forget()
	switch result {
	case tooMuch:
		p.fail(dir)
		return
	case cutShort:
		m.fields, m.sizes, m.text = m.fields[:fields], m.sizes[:sizes], m.text[:text]
		p.note(t, applayer.AnomalyHTTP2InvalidFrameData)
		return
	case afterward:
		p.note(t, applayer.AnomalyHTTP2ExtraHeaderData)
	}
	m.hasList = true
	var authority, host []byte
	for i := fields; i < len(m.fields); i++ {
		f := &m.fields[i]
		if f.kind > sizeUpdate {
			p.note(t, applayer.AnomalyHTTP2InvalidHeader)
			continue
		}
		name, value := f.name.of(m.text), f.value.of(m.text)
		switch {
		case string(name) == "content-encoding":
			if !m.encoded {
				m.encoded, m.decoder = true, newInflater(value)
			}
		case equalFold(name, ":authority"):
			authority = value
			if dir == packet.ToServer {
				p.name = appendHost(p.name[:0], value)
			}
		case equalFold(name, "host"):
			host = value
		}
	}
	p.judgeHost(t, authority, host)
}

// judgeHost says what is wrong with the two names of a server in one header section.
func (p *Parser) judgeHost(t *Tx, authority, host []byte) {
	for _, c := range authority {
		if c == '@' {
			p.note(t, applayer.AnomalyHTTP2UserinfoInURI)
			break
		}
	}
	if authority != nil && host != nil && !sameFold(authority, host) {
		p.note(t, applayer.AnomalyHTTP2AuthorityHostMismatch)
	}
}

// end notes that a side has sent its last byte on a stream.
func (t *Tx) end(dir packet.Dir) {
	switch {
	case t.state >= closed:
	case t.state == clientClosed || t.state == serverData:
		if dir == packet.ToClient {
			t.state = closed
		}
	case t.state == serverClosed:
		if dir == packet.ToServer {
			t.state = closed
		}
	case dir == packet.ToClient:
		t.state = serverClosed
	default:
		t.state = clientClosed
	}
}

// of returns the transaction of a frame: that of its stream, or a new one.
func (p *Parser) of(stream uint32, f *frame) *Tx {
	if stream == 0 {
		t := p.add()
		t.state = global
		return t
	}
	t := p.streams[stream]
	if t == nil {
		t = p.add()
		t.Stream = stream
		if p.streams == nil {
			p.streams = map[uint32]*Tx{}
		}
		p.streams[stream] = t
		return t
	}
	if t.state == closed && f.kind != RSTStream && f.kind != WindowUpdate && f.kind != Priority {
		p.note(t, applayer.AnomalyHTTP2StreamIDReuse)
	}
	return t
}

// add begins a transaction.
func (p *Parser) add() *Tx {
	if p.live >= maxStreams {
		p.note(p.oldest, applayer.AnomalyHTTP2TooManyStreams)
		p.finish(p.oldest, file.Truncated)
	}
	var t *Tx
	if n := len(p.free); n > 0 {
		t = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		t = &Tx{}
	}
	t.Reset(p.nextID)
	p.nextID++
	if t.prev = p.newest; t.prev != nil {
		t.prev.next = t
	} else {
		p.oldest = t
	}
	p.newest, p.last = t, t
	p.live++
	p.charge(t)
	return t
}

// note adds an anomaly, each time that it is met.
func (p *Parser) note(t *Tx, a applayer.Anomaly) {
	t.NoteAgain(a)
	t.noted = true
	p.touch(t)
}

// touch has events raised about a transaction when the call of Data ends.
func (p *Parser) touch(t *Tx) {
	if !t.listed {
		t.listed = true
		p.touched = append(p.touched, t)
	}
}

// charge accounts for what a transaction holds.
func (p *Parser) charge(t *Tx) {
	n := t.memory()
	p.held += n - t.charged
	t.charged = n
}

func (p *Parser) fail(dir packet.Dir) {
	if !p.failed {
		p.failed = true
		p.failedDir = dir
	}
}
