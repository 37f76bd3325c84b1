// Package http follows the requests and responses of an HTTP/1 connection as libhtp does, the parser of
// Suricata, with its settings for an IDS: tolerant of what servers and browsers tolerate, and telling
// what is odd as anomalies.
package http

import (
	"bytes"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// maxTxs is how many transactions wait for their end, or for Release. Suricata's max-tx.
	maxTxs = 512

	// maxMemory is what a connection may hold. Header sections of many pipelined requests could grow
	// beyond it; such a connection is not followed any more.
	maxMemory = 16 << 20

	// maxFree is how many transactions a connection keeps for reuse.
	maxFree = 4

	txSize   = int(unsafe.Sizeof(Tx{}))
	fileSize = int(unsafe.Sizeof(file.File{}))
)

// state is where one direction is.
type state uint8

const (
	idle          state = iota // before the first byte of a message
	startLine                  //
	afterLine                  // of requests: a line without protocol may be all
	headers                    //
	bodyLength                 // left bytes of a body
	bodyEnd                    // of responses: a body to the end of the connection
	chunkSize                  //
	chunkData                  // left bytes of a chunk
	chunkDataEnd               // the line end after a chunk
	trailer                    //
	finish                     // a message is complete, unless more of its body follows
	connectWait                // of requests: CONNECT waits for its answer
	connectProbe               // of requests: is it HTTP that goes through the tunnel?
	ignoreRest                 // of requests: nothing can follow one of HTTP/0.9
	closedForGood              // nothing is read any more
)

// half is what one direction is about.
type half struct {
	state   state
	tx      *Tx
	left    int64  // of a body or chunk
	scanned int    // bytes of an unfinished line that hold no line end
	field   []byte // a header line with what continues it, as long as more may follow
	open    bool   // field is there
	rest    []byte // an unfinished line after a complete message
	decoder *decoder
	ended   bool // the connection's end was told
}

// Parser follows a connection.
type Parser struct {
	halves [2]half
	txs    []*Tx  // the oldest first
	first  uint64 // number of txs[0]
	next   uint64 // number of the transaction that the next response belongs to
	free   []*Tx
	last   *Tx

	upload *multipart // what the body of the request under way is, or nil

	failed bool
	tunnel bool
	asked  *Tx // the request that another protocol answers: it stays
	inline bool
	name   []byte
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.closeDecoders()
	for _, t := range p.txs {
		p.recycle(t)
	}
	for i := range p.halves {
		p.halves[i] = half{field: applayer.Recycle(p.halves[i].field, keepBuffer), rest: applayer.Recycle(p.halves[i].rest, keepBuffer)}
	}
	*p = Parser{halves: p.halves, txs: applayer.Recycle(p.txs, keepBuffer/16), free: p.free, name: applayer.Recycle(p.name, keepBuffer)}
}

// recycle keeps a transaction for reuse.
func (p *Parser) recycle(t *Tx) {
	t.reset(0)
	if len(p.free) < maxFree {
		p.free = append(p.free, t)
	}
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	p.inline = out.Inline
	h := &p.halves[dir]
	r := reader{p: p, half: h, out: out, dir: dir, data: data}
	room := out.Room()
	for r.pos < len(data) && (out.Room() == room || r.pos == 0 && out.Room() >= roomForStep) && !p.Done() && h.state != closedForGood {
		if !r.step() {
			break
		}
	}
	if r.pos == len(data) && out.Room() >= roomForStep {
		r.ready()
	}
	r.settle()
	if p.tunnel && !p.failed {
		return r.pos // another protocol's bytes may follow
	}
	if p.Done() || h.state == closedForGood {
		return len(data)
	}
	return r.pos
}

// ready ends a message that needs no more data for it.
func (r *reader) ready() {
	if r.half.state == finish && len(r.half.rest) == 0 {
		r.complete()
	}
}

// roomForStep is how many events the end of a message can raise, but for a form with many files.
const roomForStep = 8

// reader is one call of Data.
type reader struct {
	p    *Parser
	half *half
	out  *applayer.Sink
	dir  packet.Dir
	data []byte
	pos  int
	end  bool // the connection ends: no more data will come

	noted *Tx // has new anomalies, which are not told yet
}

// step takes the next line or part of a body. It reports whether it could go on.
func (r *reader) step() bool {
	if r.dir == packet.ToServer {
		return r.request()
	}
	return r.response()
}

// rest is what was not taken yet.
func (r *reader) rest() []byte { return r.data[r.pos:] }

// line returns the next line with its end. ok is false while it is not complete; a line
// that is too long fails the connection.
func (r *reader) line() (line []byte, ok bool) {
	rest := r.rest()
	end := indexLF(rest, r.half.scanned)
	if end < 0 {
		if r.tooLong(len(rest)) {
			return nil, false
		}
		if !r.end || len(rest) == 0 {
			r.half.scanned = len(rest)
			return nil, false
		}
		end = len(rest) - 1
	}
	if r.tooLong(end + 1) {
		return nil, false
	}
	r.pos += end + 1
	r.half.scanned = 0
	return rest[:end+1], true
}

// tooLong fails the connection if a line of n bytes is more than libhtp would hold.
func (r *reader) tooLong(n int) bool {
	if r.half.open {
		n += len(r.half.field)
	}
	if n <= maxLine {
		return false
	}
	if r.dir == packet.ToServer {
		r.note(applayer.AnomalyHTTPRequestFieldTooLong)
	}
	r.fail()
	return true
}

// lineAfter returns the next line, of which parts may be in half.rest, when a message is complete. ok is
// false while it is not there.
func (r *reader) lineAfter() (line []byte, ok bool) {
	h := r.half
	end := bytes.IndexByte(r.rest(), '\n') + 1
	if end > 0 && len(h.rest) == 0 {
		line = r.rest()[:end]
		r.pos += end
		return line, !r.tooLong(end)
	}
	ok = end > 0 || r.end
	if end == 0 {
		end = len(r.rest())
	}
	if r.tooLong(len(h.rest) + end) {
		return nil, false
	}
	h.rest = append(h.rest, r.rest()[:end]...)
	r.pos += end
	return h.rest, ok
}

// again takes a line for the first of the next message.
func (r *reader) again(line []byte) {
	r.complete()
	next := *r
	next.data, next.pos = line, 0
	for next.pos < len(line) && next.step() {
	}
	r.noted = next.noted
	r.half.rest = r.half.rest[:0]
}

// note adds an anomaly to the transaction at hand.
func (r *reader) note(a applayer.Anomaly) {
	t := r.half.tx
	if t == nil {
		if t = r.p.last; t == nil {
			return
		}
	}
	if t.Note(a) {
		r.newAnomaly(t)
	}
}

// newAnomaly has tell tell of t.
func (r *reader) newAnomaly(t *Tx) {
	if r.noted != nil && r.noted != t {
		r.tell()
	}
	r.noted = t
}

// tell raises the event of new anomalies.
func (r *reader) tell() {
	if r.noted != nil {
		r.out.Emit(applayer.AnomalySeen, r.dir, r.noted)
		r.noted = nil
	}
}

// settle raises what was put off until the data is over.
func (r *reader) settle() {
	r.tell()
	if t := r.half.tx; t != nil {
		r.inspectBody(t)
	}
	if r.p.failed {
		r.giveUp()
	}
}

// inspectBody lets rules look at what came of a body, if it is time.
func (r *reader) inspectBody(t *Tx) {
	m, hook := &t.req, applayer.HTTPRequestBody
	if r.dir == packet.ToClient {
		m, hook = &t.res, applayer.HTTPResponseBody
	}
	if m.body.ready(r.p.inline) {
		m.body.emit(r.out, hook, t)
	}
}

// fail ends the parsing of both directions.
func (r *reader) fail() {
	r.p.failed = true
	r.half.state = closedForGood
}

// giveUp logs what the connection had so far.
func (r *reader) giveUp() {
	for i := range r.p.halves {
		r.p.halves[i].state = closedForGood
	}
	r.p.closeDecoders()
	r.out.Emit(applayer.ParserFailed, r.dir, nil)
	r.p.finishAll(r.out, file.Failed)
}

// finishAll logs all transactions that were not, and their files.
func (p *Parser) finishAll(out *applayer.Sink, s file.State) {
	for _, t := range p.txs {
		for dir := packet.ToServer; dir <= packet.ToClient; dir++ {
			for _, f := range t.side(dir).files {
				if f.State == file.Open {
					f.Close(s)
					out.EmitFile(dir, t, f)
				}
			}
		}
		p.done(out, t)
	}
}

// done logs a transaction, once.
func (p *Parser) done(out *applayer.Sink, t *Tx) {
	if t.loggable {
		t.loggable = false
		out.Emit(applayer.TxDone, packet.ToServer, t)
	}
}

// newTx begins a transaction, nil when there are too many.
func (p *Parser) newTx() *Tx {
	if len(p.txs) >= maxTxs {
		return nil
	}
	var t *Tx
	if n := len(p.free); n > 0 {
		t = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		t = &Tx{}
	}
	t.reset(p.first + uint64(len(p.txs)))
	p.txs = append(p.txs, t)
	p.last = t
	return t
}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	n := 0
	for n < len(p.txs) && !p.txs[n].loggable && p.txs[n] != p.asked && p.txs[n] != p.halves[0].tx && p.txs[n] != p.halves[1].tx {
		n++
	}
	if n > 0 {
		for _, t := range p.txs[:n] {
			if t == p.last {
				p.last = nil
			}
			p.recycle(t)
		}
		left := copy(p.txs, p.txs[n:])
		clear(p.txs[left:])
		p.txs = p.txs[:left]
		p.first += uint64(n)
	}
	for _, t := range p.txs {
		t.req.body.release()
		t.res.body.release()
	}
}

// Gap implements applayer.Parser.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, n int) {
	h := &p.halves[dir]
	r := reader{p: p, half: h, out: out, dir: dir}
	h.scanned = 0
	if p.Done() || h.state == closedForGood {
		return
	}
	r.gap(n)
	r.settle()
}

// gap passes over n lost bytes. Only a body of known length, or one that the connection's end
// ends, can have them; elsewhere they are left out as if they had not been there, as in libhtp.
func (r *reader) gap(n int) {
	h := r.half
	switch h.state {
	case bodyLength:
		lost := int(min(int64(n), h.left))
		h.left -= int64(lost)
		r.bodyGap(lost)
		if h.left == 0 {
			h.state = finish
			r.complete()
			if lost < n {
				r.gap(n - lost)
			}
		}
	case bodyEnd:
		r.bodyGap(n)
	}
}

// End implements applayer.Parser.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	h := &p.halves[dir]
	if !h.ended && !p.Done() && h.state != closedForGood {
		r := reader{p: p, half: h, out: out, dir: dir, end: true}
		if h.tx != nil {
			r.connectionEnds()
		}
		r.settle()
	}
	h.ended = true
	if p.halves[dir.Reverse()].ended && !p.failed {
		p.finishAll(out, file.Truncated)
	}
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.failed || p.tunnel }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	n := int(unsafe.Sizeof(*p)) + cap(p.txs)*8 + cap(p.free)*8 + cap(p.name) + cap(p.halves[0].field) + cap(p.halves[1].field) + cap(p.halves[0].rest) + cap(p.halves[1].rest)
	for _, t := range p.txs {
		n += txSize + t.memory()
	}
	for _, t := range p.free {
		n += txSize + t.memory()
	}
	for i := range p.halves {
		if p.halves[i].decoder != nil {
			n += decoderSize
		}
	}
	if p.upload != nil {
		n += p.upload.memory()
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
