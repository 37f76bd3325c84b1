package smtp

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
)

// Limits of a message.
const (
	maxHeader   = 8 << 10 // an unfolded field
	maxBoundary = 254     // as in Suricata; RFC 2046, 5.1.1, has 70
	maxDepth    = 8       // multiparts within each other
	maxNames    = 64      // addresses, attachments and addresses of pages, of each
	maxFileName = 256
	maxURL      = 1024
)

// Email is a message (RFC 5322) with its parts (RFC 2045).
type Email struct {
	Status      string // how far it was read, in Suricata's words
	From        []byte
	To, CC      [][]byte
	Attachments [][]byte
	URLs        [][]byte // without their scheme
	OuterURL    bool     // one is outside of all parts
	ProgramURL  bool     // one leads to a program
	AddressURL  bool     // one has an address for a host
	Files       []*Attachment

	boundaries [][]byte
	header     []byte // the field so far
	inHeader   bool
	part       part
}

// part is the part of the message at hand.
type part struct {
	inner    bool   // of a multipart
	line     []byte // of decoded text
	encoding byte   // 'b' base64, 'q' quoted-printable, 0 neither
	text     bool   // searched for addresses of pages
	name     []byte
	file     *Attachment
	rest     []byte // of base64: what makes no group of four yet
	newline  bool   // of other text: the line before has ended, and belongs to the file if one follows
}

func (e *Email) start() { *e = Email{Status: "HEADER_READY", inHeader: true, part: part{text: true}} }

func (e *Email) memory() int {
	n := cap(e.header) + len(e.From) + cap(e.part.rest) + cap(e.part.line)
	for _, list := range [...][][]byte{e.To, e.CC, e.Attachments, e.URLs, e.boundaries} {
		for _, s := range list {
			n += len(s) + 24
		}
	}
	for _, f := range e.Files {
		n += f.memory()
	}
	return n
}

// line takes in one line of the message. fault says what is wrong with it, if anything.
func (e *Email) line(line []byte, digests bool) (fault applayer.Anomaly) {
	fault = applayer.AnomalyNever
	switch {
	case e.Status == "PARSE_ERROR":
	case e.inHeader && len(line) == 0:
		fault = e.field()
		e.endHeader(digests)
	case e.inHeader:
		if e.Status == "HEADER_READY" {
			e.Status = "HEADER_STARTED"
		}
		if line[0] == ' ' || line[0] == '\t' {
			e.header = appendSome(e.header, line, maxHeader)
			return fault
		}
		fault = e.field()
		e.header = appendSome(e.header[:0], line, maxHeader)
	default:
		if dash, ok := bytes.CutPrefix(line, []byte("--")); ok && e.boundary(dash) {
			return fault
		}
		return e.body(line)
	}
	return fault
}

func appendSome(dst, b []byte, most int) []byte {
	return append(dst, b[:min(len(b), max(0, most-len(dst)))]...)
}

// field takes in a header field that is complete.
func (e *Email) field() (fault applayer.Anomaly) {
	name, value, found := bytes.Cut(e.header, []byte{':'})
	value = bytes.TrimSpace(value)
	defer func() { e.header = e.header[:0] }()
	if !found {
		return applayer.AnomalyNever
	}
	switch string(bytes.ToLower(bytes.TrimSpace(name))) {
	case "from":
		if !e.part.inner && e.From == nil {
			e.From = bytes.Clone(value)
		}
	case "to":
		if !e.part.inner {
			e.To = appendAddresses(e.To, value)
		}
	case "cc":
		if !e.part.inner {
			e.CC = appendAddresses(e.CC, value)
		}
	case "content-transfer-encoding":
		switch string(bytes.ToLower(value)) {
		case "base64":
			e.part.encoding = 'b'
		case "quoted-printable":
			e.part.encoding = 'q'
		}
	case "content-disposition":
		if name := parameter(value, "filename"); name != nil {
			e.part.name = name
		}
	case "content-type":
		kind, _, _ := bytes.Cut(bytes.ToLower(value), []byte{';'})
		if e.part.inner { // of parts in parts none, as in Suricata
			e.part.text = len(e.boundaries) == 1 && bytes.HasPrefix(kind, []byte("text/"))
		}
		if name := parameter(value, "name"); name != nil && e.part.name == nil {
			e.part.name = name
		}
		if b := parameter(value, "boundary"); b != nil && bytes.HasPrefix(kind, []byte("multipart/")) {
			if len(b) > maxBoundary {
				e.Status = "PARSE_ERROR"
				return applayer.AnomalySMTPMIMELongBoundary
			}
			if len(e.boundaries) < maxDepth {
				e.boundaries = append(e.boundaries, b)
			}
		}
	}
	return applayer.AnomalyNever
}

// appendAddresses splits a list of addresses at its commas, except those in quotes.
func appendAddresses(dst [][]byte, list []byte) [][]byte {
	quoted, start := false, 0
	for i := 0; i <= len(list) && len(dst) < maxNames; i++ {
		if i < len(list) && list[i] == '"' {
			quoted = !quoted
		}
		if i == len(list) || list[i] == ',' && !quoted {
			if a := bytes.TrimSpace(list[start:i]); len(a) > 0 {
				dst = append(dst, bytes.Clone(a))
			}
			start = i + 1
		}
	}
	return dst
}

// parameter returns a parameter of a field's value (RFC 2045, 5.1), or nil.
func parameter(value []byte, name string) []byte {
	for {
		_, rest, found := bytes.Cut(value, []byte{';'})
		if !found {
			return nil
		}
		value = bytes.TrimSpace(rest)
		if len(value) <= len(name) || !bytes.EqualFold(value[:len(name)], []byte(name)) || value[len(name)] != '=' {
			continue
		}
		value = value[len(name)+1:]
		if quoted, ok := bytes.CutPrefix(value, []byte{'"'}); ok {
			text, _, _ := bytes.Cut(quoted, []byte{'"'})
			return bytes.Clone(text)
		}
		text, _, _ := bytes.Cut(value, []byte{';'})
		return bytes.Clone(bytes.TrimSpace(text))
	}
}

// endHeader begins the body of the message, or of a part.
func (e *Email) endHeader(digests bool) {
	e.inHeader = false
	if e.Status != "PARSE_ERROR" {
		e.Status = "BODY_STARTED"
	}
	if p := &e.part; len(p.name) > 0 && len(e.Files) < maxNames {
		p.name = p.name[:min(len(p.name), maxFileName)]
		e.Attachments = append(e.Attachments, p.name)
		p.file = &Attachment{}
		p.file.Start(p.name, digests)
		e.Files = append(e.Files, p.file)
	}
}

// boundary takes in a line that begins with two dashes. It reports whether it is a boundary.
func (e *Email) boundary(text []byte) bool {
	for i := len(e.boundaries) - 1; i >= 0; i-- {
		rest, ok := bytes.CutPrefix(text, e.boundaries[i])
		if !ok {
			continue
		}
		e.endPart(file.Closed)
		e.boundaries = e.boundaries[:i+1]
		if bytes.HasPrefix(rest, []byte("--")) {
			e.boundaries = e.boundaries[:i]
		} else {
			e.inHeader = true
		}
		return true
	}
	return false
}

// endPart ends the part at hand, whose file is then known.
func (e *Email) endPart(s file.State) {
	if len(e.part.rest) > 0 {
		e.base64(nil)
	}
	if f := e.part.file; f != nil {
		f.Close(s)
	} else if e.part.text {
		e.urls(e.part.line)
	}
	e.part = part{inner: true}
}

// body takes in a line of a body.
func (e *Email) body(line []byte) (fault applayer.Anomaly) {
	p := &e.part
	fault = applayer.AnomalyNever
	switch {
	case p.encoding == 'b' && (p.file != nil || p.text):
		e.base64(line)
		return fault
	case p.encoding == 'q':
		var soft, valid bool
		if line, soft, valid = quotedPrintable(line); !valid {
			fault = applayer.AnomalySMTPMIMEInvalidQP
		}
		if p.file != nil {
			p.file.Write(line)
			if !soft { // as Suricata, at the end of the file too
				p.file.Write([]byte("\r\n"))
			}
		}
	default:
		e.write(line)
	}
	if p.text && p.file == nil {
		e.urls(line)
	}
	return fault
}

// write gives a line to the part's file. The end of a line belongs to it when another follows.
func (e *Email) write(line []byte) {
	p := &e.part
	if p.file == nil {
		return
	}
	if p.newline {
		p.file.Write([]byte("\r\n"))
	}
	p.file.Write(line)
	p.newline = true
}

// base64 decodes a line, or what is left at the end.
func (e *Email) base64(line []byte) {
	p := &e.part
	for _, c := range line {
		if isBase64(c) && len(p.rest) < maxHeader {
			p.rest = append(p.rest, c)
		}
	}
	n := len(p.rest) &^ 3
	if line == nil {
		n = len(p.rest)
	}
	var buf [1024]byte
	for done := 0; done < n; {
		part := p.rest[done:min(n, done+1024)]
		k, _ := base64.RawStdEncoding.Decode(buf[:], part)
		if done += len(part); p.file != nil {
			p.file.Write(buf[:k])
		} else {
			e.decoded(buf[:k])
		}
	}
	p.rest = append(p.rest[:0], p.rest[n:]...)
}

// decoded searches decoded text, line by line.
func (e *Email) decoded(b []byte) {
	p := &e.part
	for len(b) > 0 {
		line, rest, ends := bytes.Cut(b, []byte{'\n'})
		if p.line = appendSome(p.line, line, maxHeader); ends {
			e.urls(p.line)
			p.line = p.line[:0]
		}
		b = rest
	}
}

func isBase64(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '+' || c == '/'
}

// quotedPrintable decodes a line in place (RFC 2045, 6.7). soft says that it goes on.
func quotedPrintable(line []byte) (text []byte, soft, valid bool) {
	line, soft = bytes.CutSuffix(line, []byte{'='})
	text, valid = line[:0], true
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == '=' {
			if i+2 >= len(line) || hexDigit(line[i+1]) < 0 || hexDigit(line[i+2]) < 0 {
				valid = false
				continue
			}
			c = byte(hexDigit(line[i+1])<<4 | hexDigit(line[i+2]))
			i += 2
		}
		text = append(text, c)
	}
	return text, soft, valid
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c - 'A' + 10)
	case c >= 'a' && c <= 'f':
		return int(c - 'a' + 10)
	}
	return -1
}

// urls looks for addresses of pages in a line of text. The last is first, as in Suricata.
func (e *Email) urls(line []byte) {
	scheme := []byte("http://")
	for len(e.URLs) < maxNames && bytes.Contains(line, scheme[5:]) {
		at := bytes.Index(bytes.ToLower(line), scheme)
		if at < 0 {
			return
		}
		line = line[at+len(scheme):]
		end := bytes.IndexAny(line, " \t\r\n<>\"']")
		if end < 0 {
			end = len(line)
		}
		if end > 0 {
			url := bytes.ToLower(line[:min(end, maxURL)])
			e.URLs = slices.Insert(e.URLs, 0, url)
			e.OuterURL = e.OuterURL || !e.part.inner
			e.ProgramURL = e.ProgramURL || isProgram(url)
			host, _, _ := bytes.Cut(url, []byte{'/'})
			_, err := netip.ParseAddr(string(host))
			e.AddressURL = e.AddressURL || err == nil
		}
		line = line[end:]
	}
}

// isProgram reports whether the name of what an address of a page leads to is that of a program.
func isProgram(url []byte) bool {
	url, _, _ = bytes.Cut(url, []byte{'?'})
	switch dot := bytes.LastIndexByte(url, '.'); string(url[dot+1:]) {
	case "exe", "vbs", "bin", "cmd", "bat", "jar", "js", "ps", "ps1", "sh", "run", "hta", "elf":
		return dot >= 0
	}
	return false
}

// end ends the message.
func (e *Email) end() {
	if e.inHeader && e.Status != "PARSE_ERROR" {
		e.field()
	}
	e.endPart(file.Closed)
	if e.Status != "PARSE_ERROR" {
		e.Status = "PARSE_DONE"
	}
}
