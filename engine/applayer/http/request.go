package http

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// request takes the next line or part of a body of the client's.
func (r *reader) request() bool {
	h := r.half
	switch h.state {
	case idle:
		if h.tx = r.p.newTx(); h.tx == nil {
			r.fail()
			return false
		}
		h.tx.digests = r.out.Digests
		h.tx.req.progress = inLine
		h.state = startLine
	case startLine:
		line, ok := r.line()
		if ok && !emptyLine(line) {
			r.requestLine(line)
		}
		return ok
	case afterLine:
		return r.afterRequestLine()
	case headers, trailer:
		line, ok := r.line()
		if ok {
			r.headerLine(line)
		}
		return ok
	case bodyLength:
		return r.lengthBody()
	case chunkSize:
		return r.chunkSize()
	case chunkData:
		return r.chunkData()
	case chunkDataEnd:
		return r.skipLine()
	case finish:
		return r.finishRequest()
	case connectWait:
		if h.tx.res.progress <= inLine {
			r.pos = len(r.data) // as libhtp does, which is not asked again for what it has left
			return false
		}
		if h.tx.status/100 == 2 {
			h.state = connectProbe
		} else {
			h.state = finish
		}
	case connectProbe:
		return r.probeTunnel()
	case ignoreRest:
		r.pos = len(r.data)
	}
	return true
}

// emptyLine says whether a line holds nothing but its end.
func emptyLine(line []byte) bool { return len(line) == 1 || len(line) == 2 && line[0] == '\r' }

// indexLF returns the index of the first line feed at or after from, or -1.
func indexLF(b []byte, from int) int {
	if i := bytes.IndexByte(b[min(from, len(b)):], '\n'); i >= 0 {
		return min(from, len(b)) + i
	}
	return -1
}

// requestLine reads the first line of a request (RFC 9112, 3).
func (r *reader) requestLine(line []byte) {
	t := r.half.tx
	line = chomp(line)
	t.req.line = append(t.req.line[:0], line...)
	t.req.hasLine = true
	r.splitRequestLine(t)
	r.readTarget(t)
	r.noteFlags(t)
	if t.isVersion09 {
		r.half.state = afterLine
	} else {
		t.req.progress = inHeaders
		r.half.state = headers
	}
	r.tell()
	r.out.Emit(applayer.HTTPRequestLine, packet.ToServer, t)
}

// splitRequestLine finds method, target and version. Any white space parts them.
func (r *reader) splitRequestLine(t *Tx) {
	line := t.req.line
	w := words{line: line}
	if lead := w.blanks(); lead.to > 0 {
		r.note(applayer.AnomalyHTTPRequestLineLeadingWhitespace)
	}
	t.method = w.word()
	t.known = methodOf(t.method.of(line))
	if blanks := w.blanks().of(line); bytes.Count(blanks, []byte(" ")) < len(blanks) {
		r.note(applayer.AnomalyHTTPMethodDelimNonCompliant)
	}
	if !w.over() {
		t.target, t.hasTarget = r.splitTarget(&w), true
		w.blanks()
	}
	if w.over() {
		t.isVersion09, t.protocol = true, http09
	} else {
		t.version = span{w.pos, len(line)}
		t.protocol = protocolOf(t.version.of(line))
	}
}

// splitTarget passes over the target: to the next space or, when there is none, to any white space.
func (r *reader) splitTarget(w *words) span {
	target := w.while(func(c byte) bool { return c != ' ' })
	if bytes.IndexFunc(target.of(w.line), isSpaceRune) < 0 {
		return target
	}
	r.note(applayer.AnomalyHTTPURIDelimNonCompliant)
	if w.over() {
		w.pos = target.from
		target = w.word()
	}
	return target
}

// readTarget takes the request target apart and normalises it.
func (r *reader) readTarget(t *Tx) {
	target := t.target.of(t.req.line)
	if t.known == connectMethod {
		var h hostPort
		if h, t.lower = parseHostPort(t.lower, target); h.name != nil {
			t.setURIHost(append(t.uriHost[:0], h.name...))
		}
		t.uriPort = h.port
		if h.invalid || h.name != nil && !validHost(h.name) {
			t.flags |= badURIHost
		}
		return
	}
	u := parseURI(target)
	if u.hasHost {
		t.setURIHost(appendDecoded(t.uriHost[:0], u.host))
		if u.hasPort {
			t.uriPort = portOf(u.port)
		}
		if u.hasPort && t.uriPort < 0 || !validHost(t.uriHost) {
			t.flags |= badURIHost
		}
	}
	t.uri = appendPath(t.uri[:0], u.path)
	t.path = len(t.uri)
	if u.hasQuery {
		t.uri = appendDecoded(append(t.uri, '?'), u.query)
	}
	if u.hasFragment {
		t.uri = appendDecoded(append(t.uri, '#'), u.fragment)
	}
}

// setURIHost makes name, in lower case and without final dots, the host of the target.
func (t *Tx) setURIHost(name []byte) {
	lowerInPlace(name)
	t.uriHost, t.hasURIHost = bytes.TrimRight(name, "."), true
}

// afterRequestLine decides whether a line without a version is all of an HTTP/0.9 request: it is if nothing
// but white space comes after it.
func (r *reader) afterRequestLine() bool {
	t := r.half.tx
	if len(bytes.TrimLeftFunc(r.rest(), isSpaceRune)) == 0 {
		r.pos = len(r.data)
		return false
	}
	t.isVersion09 = false
	t.req.progress = inHeaders
	r.half.state = headers
	return true
}

// endRequestHeaders acts on a complete header section, or trailer.
func (r *reader) endRequestHeaders() {
	h, t := r.half, r.half.tx
	t.req.fields.join()
	t.req.composed = 0
	if h.state == trailer {
		r.noteFlags(t)
		r.tell()
		r.out.Emit(applayer.HTTPRequestHeaders, packet.ToServer, t)
		h.state = finish
		return
	}
	ok := r.requestBody(t)
	r.requestHost(t)
	r.requestAuth(t)
	r.noteFlags(t)
	r.p.name = append(r.p.name[:0], t.lower...)
	r.tell()
	r.out.Emit(applayer.HTTPRequestHeaders, packet.ToServer, t)
	switch {
	case !ok:
		r.fail()
	case t.known == connectMethod:
		h.state = connectWait
	}
}

// requestBody finds out whether the request has a body, and how it ends (RFC 9112, 6.3). ok is false
// when that cannot be known.
func (r *reader) requestBody(t *Tx) (ok bool) {
	h, f := r.half, &t.req.fields
	h.state = finish
	length := f.get(contentLength)
	if te, ok := f.value(transferEncoding); ok {
		if !equalFold(te, []byte("chunked")) {
			t.flags |= badTransferEncoding
			return false
		}
		if t.protocol < http11 {
			t.flags |= badTransferEncoding
		}
		r.openRequestBody(t)
		h.state = chunkSize
		return true
	}
	if length == nil {
		return true
	}
	n, ok := lengthOf(length.value.of(f.text))
	if !ok {
		t.flags |= badContentLength
		return false
	}
	if n > 0 {
		r.openRequestBody(t)
		h.left, h.state = n, bodyLength
	}
	return true
}

// lengthOf reads Content-Length. libhtp takes the first digits, whatever is around them.
func lengthOf(b []byte) (n int64, ok bool) {
	for len(b) > 0 && digitOf(b[0]) > 9 {
		b = b[1:]
	}
	n, _, ok = digits(b, 10)
	return n, ok
}

// requestHost finds the host that the request is for (RFC 9112, 3.2).
func (r *reader) requestHost(t *Tx) {
	t.hasHost, t.port = t.hasURIHost, t.uriPort
	t.host = append(t.host[:0], t.uriHost...)
	value, ok := t.req.fields.value(fieldHost)
	if !ok {
		if t.protocol >= http11 {
			t.flags |= missingHost
		}
	} else {
		r.hostField(t, value)
	}
	t.lower = append(t.lower[:0], t.host...)
	lowerInPlace(t.lower)
}

// hostField reads the Host field, which counts if the target names none.
func (r *reader) hostField(t *Tx, value []byte) {
	var h hostPort
	h, t.joined = parseHostPort(t.joined, value)
	if h.invalid || h.name != nil && !validHost(h.name) {
		t.flags |= badHostField
	}
	switch {
	case !t.hasHost && h.name != nil:
		t.host = append(t.host[:0], h.name...)
		t.hasHost, t.port = true, h.port
	case !t.hasHost:
	case h.name == nil, !bytes.EqualFold(h.name, t.host), t.port != -1 && h.port != -1 && t.port != h.port:
		t.flags |= ambiguousHost
	}
}

// requestAuth looks at the scheme of Authorization.
func (r *reader) requestAuth(t *Tx) {
	value, ok := t.req.fields.value(fieldAuth)
	if ok && !hasPrefixFold(value, "basic") && !hasPrefixFold(value, "digest") {
		t.flags |= unknownAuth
	}
}

func hasPrefixFold(b []byte, lower string) bool {
	return len(b) >= len(lower) && bytes.EqualFold(b[:len(lower)], []byte(lower))
}

// finishRequest ends a request, unless what comes along with it is no request: then that is taken for
// a body that was not announced.
func (r *reader) finishRequest() bool {
	t := r.half.tx
	if len(r.rest())+len(r.half.rest) == 0 || t.isVersion09 {
		r.complete()
		return true
	}
	line, ok := r.lineAfter()
	if !ok {
		return !r.p.failed && r.pos < len(r.data)
	}
	word := firstWord(line)
	if len(word) == 0 || methodOf(word) != unknownMethod {
		r.again(line)
		return true
	}
	if !r.end {
		r.note(applayer.AnomalyHTTPRequestBodyUnexpected)
	}
	if t.req.progress < inBody {
		r.openRequestBody(t)
	}
	r.bodyData(line)
	r.half.rest = r.half.rest[:0]
	return true
}

// firstWord returns what stands before the first white space, but for that at the beginning.
func firstWord(b []byte) []byte {
	b = bytes.TrimLeftFunc(b, isSpaceRune)
	if i := bytes.IndexFunc(b, isSpaceRune); i >= 0 {
		b = b[:i]
	}
	return b
}

func isSpaceRune(c rune) bool { return c < 0x80 && isSpace(byte(c)) }

// completeRequest ends the request at hand.
func (r *reader) completeRequest() {
	h, t := r.half, r.half.tx
	if t.isVersion09 { // there was no header section
		r.out.Emit(applayer.HTTPRequestHeaders, packet.ToServer, t)
	}
	t.req.progress = complete
	r.noteFlags(t)
	r.closeRequestBody(t, file.Closed)
	r.tell()
	r.out.Emit(applayer.MessageDone, packet.ToServer, nil)
	h.tx, h.state = nil, idle
	if t.isVersion09 {
		h.state = ignoreRest
	}
	if t.res.progress == complete || r.p.halves[packet.ToClient].ended {
		r.p.done(r.out, t)
	}
}

// probeTunnel looks whether HTTP goes on through a tunnel that CONNECT has opened.
func (r *reader) probeTunnel() bool {
	rest := r.rest()
	end := bytes.IndexAny(rest, "\n\x00")
	if end < 0 {
		if r.tooLong(len(rest)) || !r.end {
			return false
		}
		end = len(rest)
	}
	if methodOf(firstWord(rest[:end])) == unknownMethod {
		r.completeRequest()
		r.p.tunnel = true
		return false
	}
	r.half.state = finish
	return true
}

// flags are faults of a request as a whole. Suricata tells them after its first line, its header section and
// its trailer, and again at its end.
type flags uint8

const (
	badTransferEncoding flags = 1 << iota
	badContentLength
	missingHost
	ambiguousHost
	badURIHost
	badHostField
	unknownAuth
)

var flagAnomalies = [...]applayer.Anomaly{
	applayer.AnomalyHTTPInvalidTransferEncodingValueInRequest, applayer.AnomalyHTTPInvalidContentLengthFieldInRequest,
	applayer.AnomalyHTTPMissingHostHeader, applayer.AnomalyHTTPHostHeaderAmbiguous, applayer.AnomalyHTTPRequestURIHostInvalid,
	applayer.AnomalyHTTPRequestHeaderHostInvalid, applayer.AnomalyHTTPRequestAuthUnrecognized,
}

func (r *reader) noteFlags(t *Tx) {
	if t.flags == 0 {
		return
	}
	for i, a := range flagAnomalies {
		if t.flags&(1<<i) != 0 {
			t.NoteAgain(a)
		}
	}
	r.newAnomaly(t)
}
