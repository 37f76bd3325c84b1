package http2

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// hooks are those of a direction.
var hooks = [2]struct{ frames, message, content applayer.Hook }{
	packet.ToServer: {applayer.HTTP2RequestFrames, applayer.HTTP2Request, applayer.HTTP2RequestData},
	packet.ToClient: {applayer.HTTP2ResponseFrames, applayer.HTTP2Response, applayer.HTTP2ResponseData},
}

// settle raises the events of what a call of Data came upon. Rules look when all frames of a packet are
// read, as in Suricata.
func (p *Parser) settle(dir packet.Dir) {
	for _, t := range p.touched {
		t.listed = false
		if t.noted {
			t.noted = false
			p.out.Emit(applayer.AnomalySeen, dir, t)
		}
		for d := packet.ToServer; d <= packet.ToClient; d++ {
			p.show(t, d)
		}
		if t.state >= closed && !p.busy(t) {
			p.finish(t, file.Truncated)
		}
		p.charge(t)
		p.remember(t)
	}
	clear(p.touched)
	p.touched = p.touched[:0]
	if p.held > maxMemory {
		p.fail(dir)
	}
	if p.failed {
		p.giveUp()
	}
}

// remember has Release note that rules have looked at a transaction.
func (p *Parser) remember(t *Tx) {
	if !t.shown {
		t.shown = true
		p.shown = append(p.shown, t)
	}
}

// show raises the events of one side.
func (p *Parser) show(t *Tx, d packet.Dir) {
	m := &t.sides[d]
	ready := t.state >= clientData
	if d == packet.ToClient {
		ready = t.state >= serverData
	}
	if m.news {
		p.out.Emit(hooks[d].frames, d, t)
	}
	if ready && (m.news || !t.ready[d]) {
		p.out.Emit(hooks[d].message, d, t)
	}
	t.ready[d], m.news = ready, false
	if fresh := m.content.fresh(); fresh > 0 && (p.out.Inline || fresh >= contentPart) {
		p.showContent(t, d)
	}
}

// showContent has rules look at what is new of the content.
func (p *Parser) showContent(t *Tx, d packet.Dir) {
	c := &t.sides[d].content
	c.shown, c.emitted, c.looked = c.size(), true, false
	p.out.Emit(hooks[d].content, d, t)
}

// busy says whether a frame or a header section of a transaction is under way.
func (p *Parser) busy(t *Tx) bool {
	for i := range p.halves {
		if p.halves[i].data == t || p.halves[i].sectionOf == t {
			return true
		}
	}
	return false
}

// finish logs a transaction, which stays until Release.
func (p *Parser) finish(t *Tx, s file.State) {
	if t.finished {
		return
	}
	t.finished = true
	for i := range p.halves {
		h := &p.halves[i]
		if h.data == t {
			h.skip, h.data = h.left+h.padding, nil
		}
		if h.sectionOf == t {
			h.section, h.sectionOf = applayer.Recycle(h.section, keepBuffer), nil
		}
	}
	for d := packet.ToServer; d <= packet.ToClient; d++ {
		p.closeFile(t, d, s)
	}
	p.out.Emit(applayer.TxDone, packet.ToServer, t)
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		p.oldest = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		p.newest = t.prev
	}
	t.prev, t.next = nil, nil
	p.live--
	p.done = append(p.done, t)
}

// closeFile ends the file of one side, if it is open.
func (p *Parser) closeFile(t *Tx, d packet.Dir, s file.State) {
	m := &t.sides[d]
	if !m.hasFile || m.file.State != file.Open {
		return
	}
	m.file.Close(s)
	m.file.HasSHA2 = m.file.Sums // Suricata has none of HTTP/2's files that are cut short
	m.decoder.close()
	m.decoder = nil
	m.content.ended = true
	p.showContent(t, d)
	p.out.EmitFile(d, t, &m.file)
	p.remember(t)
}

// giveUp logs what the connection had so far.
func (p *Parser) giveUp() {
	p.out.Emit(applayer.ParserFailed, p.failedDir, nil)
	p.finishAll(file.Failed)
}

// finishAll logs all transactions that were not, and their files.
func (p *Parser) finishAll(s file.State) {
	for p.oldest != nil {
		p.finish(p.oldest, s)
	}
}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	for _, t := range p.shown {
		t.shown = false
		for d := range t.sides {
			t.sides[d].content.inspected = t.sides[d].content.shown
		}
		if !t.finished {
			p.charge(t) // with what rules had composed
		}
	}
	clear(p.shown)
	p.shown = p.shown[:0]
	kept := p.done[:0]
	for _, t := range p.done {
		if p.busy(t) { // with a frame that began behind its end
			kept = append(kept, t)
			continue
		}
		if t == p.last {
			p.last = nil
		}
		if p.streams[t.Stream] == t {
			delete(p.streams, t.Stream)
		}
		p.recycle(t)
	}
	clear(p.done[len(kept):])
	p.done = kept
}

// Gap implements applayer.Parser. Frames are not found again behind one that is not within a frame's data.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, n int) {
	if p.failed {
		return
	}
	p.out = out
	h := &p.halves[dir]
	t := h.data
	switch {
	case n <= h.skip:
		h.skip -= n
	case t != nil && n <= h.left:
		h.left -= n
		m := &t.sides[dir]
		if m.content.fresh() > 0 {
			p.showContent(t, dir)
			p.remember(t)
		}
		if m.decoder != nil {
			m.decoder.over = true
		}
		if m.file.State == file.Open {
			m.file.Lose(n)
			m.content.lose(n)
		}
		if h.left == 0 {
			p.closeData(h, dir)
		}
	default:
		p.fail(dir)
	}
	p.settle(dir)
}

// End implements applayer.Parser.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	p.out = out
	if p.ended[dir] = true; p.ended[dir.Reverse()] && !p.failed {
		p.finishAll(file.Truncated)
	}
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.failed }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	n := int(unsafe.Sizeof(*p)) + p.held + (cap(p.done)+cap(p.touched)+cap(p.shown))*8 + len(p.streams)*16 + cap(p.name)
	for i := range p.halves {
		n += p.halves[i].table.memory() + cap(p.halves[i].section)
	}
	for _, t := range p.free {
		n += t.memory()
	}
	return n
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx {
	if p.last == nil {
		return nil
	}
	return p.last
}

// Name implements applayer.Parser with the host of the last request.
func (p *Parser) Name() []byte { return p.name }
