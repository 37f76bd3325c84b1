package http

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// unseenTarget stands in records for the target of a request that was not seen. libhtp's words.
const unseenTarget = "/libhtp::request_uri_not_seen"

// response takes the next line or part of a body of the server's.
func (r *reader) response() bool {
	h := r.half
	switch h.state {
	case idle:
		return r.startResponse()
	case startLine:
		line, ok := r.statusLine()
		if ok {
			r.responseLine(line)
		}
		return ok
	case headers, trailer:
		return r.responseHeaders()
	case bodyLength:
		return r.lengthBody()
	case bodyEnd:
		r.bodyData(r.rest())
		r.pos = len(r.data)
	case chunkSize:
		return r.chunkSize()
	case chunkData:
		return r.chunkData()
	case chunkDataEnd:
		return r.skipLine()
	case finish:
		return r.finishResponse()
	}
	return true
}

// startResponse finds the request that the response is to. A response without one gets a
// transaction of its own.
func (r *reader) startResponse() bool {
	p, h := r.p, r.half
	if client := &p.halves[packet.ToServer]; client.state == afterLine && p.next == client.tx.ID {
		// The server answers: the line was all of the request.
		c := reader{p: p, half: client, out: r.out, dir: packet.ToServer}
		client.state = finish
		c.complete()
	}
	if i := p.next - p.first; i < uint64(len(p.txs)) {
		h.tx = p.txs[i]
	} else {
		if h.tx = p.newTx(); h.tx == nil {
			r.fail()
			return false
		}
		r.note(applayer.AnomalyHTTPUnableToMatchResponseToRequest)
		h.tx.digests = r.out.Digests
		h.tx.unseen()
		// A request that comes later is another one's.
		h.tx.req.progress = complete
	}
	p.next++
	t := h.tx
	if t.isVersion09 {
		t.res.progress = inBody
		r.openResponseBody(t)
		h.state = bodyEnd
		return true
	}
	t.res.progress = inLine
	h.state = startLine
	if t.req.progress == inLine && !t.req.hasLine {
		// The server answers to what is no line yet.
		r.note(applayer.AnomalyHTTPRequestLineIncomplete)
	}
	return true
}

// unseen makes t the transaction of a response whose request was not seen.
func (t *Tx) unseen() {
	t.req.line = append(t.req.line[:0], unseenTarget...)
	t.target, t.hasTarget = span{0, len(unseenTarget)}, true
	t.uri = append(t.uri[:0], unseenTarget...)
	t.path = len(t.uri)
}

// statusLine returns the next line, which CR alone may end, too.
func (r *reader) statusLine() (line []byte, ok bool) {
	rest := r.rest()
	i := bytes.IndexAny(rest, "\r\n")
	if i < 0 || rest[i] == '\n' || i+1 < len(rest) && rest[i+1] == '\n' {
		return r.line()
	}
	if i+1 == len(rest) && !r.end {
		r.half.scanned = i
		return nil, false
	}
	if r.tooLong(i + 1) {
		return nil, false
	}
	r.pos += i + 1
	r.half.scanned = 0
	return rest[:i+1], true
}

// responseLine reads a status line (RFC 9112, 4), or takes what is none for the body, as browsers do.
func (r *reader) responseLine(line []byte) {
	h, t := r.half, r.half.tx
	if emptyLine(line) {
		if r.end {
			h.state = finish
		}
		return
	}
	t.res.line, t.res.hasLine = t.res.line[:0], false
	t.resVersion, t.code, t.message = span{}, span{}, span{}
	if !likeStatusLine(line) {
		rest := r.rest()
		if len(rest) > 1 && (rest[0] == 'H' || len(chomp(line)) <= 2) {
			return
		}
		if !t.res.body.ended && t.res.progress < inBody {
			r.openResponseBody(t)
		}
		r.bodyData(line)
		if len(rest) == 0 {
			t.res.progress = inBody
			h.state = finish
		}
		return
	}
	t.res.line, t.res.hasLine = append(t.res.line, bytes.TrimSuffix(chomp(line), []byte("\r"))...), true
	r.splitStatusLine(t)
	if t.seenContinue {
		t.res.keepRaw(line)
	}
	t.res.progress, h.state = inHeaders, headers
	r.tell()
	r.out.Emit(applayer.HTTPResponseLine, packet.ToClient, t)
}

// likeStatusLine says whether a line begins with HTTP, in any case, as far as browsers care.
func likeStatusLine(line []byte) bool {
	for len(line) > 0 && (isSpace(line[0]) || line[0] == 0) {
		line = line[1:]
	}
	return hasPrefixFold(line, "http")
}

// splitStatusLine finds version, code and message.
func (r *reader) splitStatusLine(t *Tx) {
	line := t.res.line
	w := words{line: line}
	w.while(func(c byte) bool { return isSpace(c) || c == 0 })
	t.resVersion = w.word()
	t.resProtocol, t.status = protocolOf(t.resVersion.of(line)), -1
	w.blanks()
	t.code = w.word()
	if n, ok := parseNumber(t.code.of(line), 10); ok && n >= 100 && n <= 999 {
		t.status = int(n)
	}
	w.blanks()
	t.message = span{w.pos, len(line)}
	if t.resProtocol == badProtocol {
		r.note(applayer.AnomalyHTTPResponseInvalidProtocol)
	}
	if t.status < 0 {
		r.note(applayer.AnomalyHTTPResponseInvalidStatus)
	}
}

// responseHeaders takes a header line. CR ends one like LF and CRLF do, where it is not itself
// followed by CR.
func (r *reader) responseHeaders() bool {
	rest := r.rest()
	for i := r.half.scanned; i < len(rest); i++ {
		c := rest[i]
		if c != '\r' && c != '\n' {
			if j := bytes.IndexAny(rest[i:], "\r\n"); j > 0 {
				i += j
			} else {
				break
			}
			c = rest[i]
		}
		end := i + 1
		if c == '\r' {
			switch {
			case end == len(rest):
				if r.tooLong(len(rest)) {
					return false
				}
				if !r.end {
					r.half.scanned = i
					return false
				}
			case rest[end] == '\n':
				end++
			case rest[end] == '\r':
				continue // CR CR LF is one end
			}
		}
		if r.tooLong(end) {
			return false
		}
		r.half.scanned = 0
		r.pos += end
		line := rest[:end]
		if line[end-1] == '\r' {
			r.crLine(line)
		} else {
			r.headerLine(line)
		}
		return true
	}
	if r.tooLong(len(rest)) {
		return false
	}
	if r.end && len(rest) > 0 {
		r.pos = len(r.data)
		return false
	}
	r.half.scanned = len(rest)
	return false
}

// crLine takes a line that CR alone ends.
func (r *reader) crLine(line []byte) {
	if len(line) == 1 {
		return // not the empty line that ends a header section
	}
	m := r.half.tx.side(r.dir)
	m.keepRaw(line)
	line = line[:len(line)-1]
	if isBlank(line[0]) && r.half.open {
		r.half.field = append(r.half.field, line...)
		return
	}
	r.closeField()
	r.half.field = append(r.half.field[:0], line...)
	r.half.open = true
}

// endResponseHeaders acts on a complete header section, or trailer.
func (r *reader) endResponseHeaders() {
	h, t := r.half, r.half.tx
	t.res.fields.join()
	t.res.composed = 0
	if h.state == trailer {
		r.tell()
		r.out.Emit(applayer.HTTPResponseHeaders, packet.ToClient, t)
		h.state = finish
		return
	}
	if r.interim(t) {
		return
	}
	ok := r.responseBody(t)
	r.tell()
	r.out.Emit(applayer.HTTPResponseHeaders, packet.ToClient, t)
	switch {
	case !ok:
		r.fail()
	case t.status == 101 && h.state == closedForGood:
		r.switchProtocol(t)
	}
}

// interim acts on a response that is not the final one: 100 (RFC 9110, 15.2.1).
func (r *reader) interim(t *Tx) bool {
	f := &t.res.fields
	if t.status != 100 || f.get(transferEncoding) != nil {
		return false
	}
	if value, ok := f.value(contentLength); ok {
		if n, ok := lengthOf(value); ok && n > 0 {
			return false
		}
	}
	if t.seenContinue {
		r.note(applayer.AnomalyHTTP100ContinueAlreadySeen)
	}
	t.seenContinue = true
	f.reset() // but not what was kept as sent, as in Suricata
	t.res.progress = inLine
	r.half.state = startLine
	return true
}

// responseBody finds out whether the response has a body, and how it ends (RFC 9112, 6.3). ok is false
// when that cannot be known.
func (r *reader) responseBody(t *Tx) (ok bool) {
	h, f := r.half, &t.res.fields
	te, hasTE := f.value(transferEncoding)
	cl, hasCL := f.value(contentLength)
	h.state = finish
	if t.known == connectMethod {
		if t.status/100 == 2 {
			return true
		}
	}
	bodiless := t.status/100 == 1 || t.status == 204 || t.status == 304
	switch {
	case t.status == 101 && !hasTE && !hasCL:
		h.state = closedForGood
		return true
	case t.status/100 == 4:
		r.refuseBody(t)
	}
	if t.known == headMethod || bodiless && !hasTE && !hasCL {
		return true
	}
	if hasTE && containsFold(te, []byte("chunked")) {
		if !equalFold(te, []byte("chunked")) {
			r.note(applayer.AnomalyHTTPResponseAbnormalTransferEncoding)
		}
		if t.resProtocol < http11 {
			r.note(applayer.AnomalyHTTPResponseChunkedOldProto)
		}
		r.openResponseBody(t)
		h.state = chunkSize
		return true
	}
	if hasCL {
		n, ok := lengthOf(cl)
		if !ok {
			r.note(applayer.AnomalyHTTPInvalidContentLengthFieldInResponse)
			return false
		}
		if n > 0 {
			r.openResponseBody(t)
			h.left, h.state = n, bodyLength
		}
		return true
	}
	if ct, ok := f.value(contentType); ok && containsFold(ct, []byte("multipart/byteranges")) {
		r.note(applayer.AnomalyHTTPResponseMultipartByteranges)
		return false
	}
	r.openResponseBody(t)
	h.state = bodyEnd
	return true
}

// refuseBody ends a request whose body the client will not send after this response: it had asked with
// Expect (RFC 9110, 10.1.1).
func (r *reader) refuseBody(t *Tx) {
	client := &r.p.halves[packet.ToServer]
	if client.tx != t || client.state != bodyLength || t.req.body.size > 0 {
		return
	}
	if value, ok := t.req.fields.value(fieldExpect); ok && equalFold(value, []byte("100-continue")) {
		client.state = finish
	}
}

// switchProtocol ends HTTP on the connection (RFC 9110, 15.2.2). Of the protocols that follow Suricata knows
// HTTP/2, by this very spelling.
func (r *reader) switchProtocol(t *Tx) {
	r.p.tunnel = true
	if value, ok := t.res.fields.value(fieldUpgrade); ok && string(value) == "h2c" {
		r.change(t, applayer.HTTP2)
		r.p.asked = t
	}
	r.completeResponse()
}

// opensTunnel reports that the response at hand lets another protocol follow, whichever: that to CONNECT
// (RFC 9110, 9.3.6). Suricata expects it of the first transaction only.
func (r *reader) opensTunnel(t *Tx) bool {
	return t.known == connectMethod && t.status/100 == 2 && t.ID == 0 && len(r.p.txs) == 1
}

// change tells that another protocol follows the transaction, whose request is over, too.
func (r *reader) change(t *Tx, to applayer.Proto) {
	if client := &r.p.halves[packet.ToServer]; client.tx == t {
		request := reader{p: r.p, half: client, out: r.out, dir: packet.ToServer}
		request.completeRequest()
	}
	r.p.tunnel = true
	r.out.Change(to, uint16(max(t.port, 0)))
}

// finishResponse ends a response, unless what comes along with it is none: then that is taken for
// a body that was not announced.
func (r *reader) finishResponse() bool {
	t := r.half.tx
	if len(r.rest())+len(r.half.rest) == 0 {
		r.complete()
		return true
	}
	line, ok := r.lineAfter()
	if !ok {
		return !r.p.failed && r.pos < len(r.data)
	}
	if likeStatusLine(line) {
		r.again(line)
		return true
	}
	if t.res.progress < inBody {
		r.openResponseBody(t)
	}
	r.bodyData(line)
	r.half.rest = r.half.rest[:0]
	return true
}

// complete ends the message at hand.
func (r *reader) complete() {
	if r.dir == packet.ToServer {
		r.completeRequest()
	} else {
		r.completeResponse()
	}
}

// completeResponse ends the response at hand.
func (r *reader) completeResponse() {
	h, t := r.half, r.half.tx
	if r.opensTunnel(t) {
		r.change(t, applayer.Unknown)
	}
	t.res.progress = complete
	r.closeResponseBody(t, file.Closed)
	r.tell()
	r.out.Emit(applayer.MessageDone, packet.ToClient, nil)
	h.tx, h.state = nil, idle
	if t.req.progress == complete || r.p.halves[packet.ToServer].ended {
		r.p.done(r.out, t)
	}
}

// connectionEnds takes the end of the connection for the end of the message, where it is one: of all that a
// response may be in the middle of, and of a request after its end.
func (r *reader) connectionEnds() {
	h := r.half
	switch {
	case h.state == finish && len(h.rest) > 0:
		r.step()
	case h.state == afterLine:
		h.state = finish
	case r.dir == packet.ToClient && (h.state == bodyEnd || h.state == bodyLength || h.state == chunkData):
		h.state = finish
	}
	if h.state == finish {
		r.complete()
	}
}
