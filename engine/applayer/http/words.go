package http

import "bytes"

// protocol is a version of HTTP, in order.
type protocol int8

const (
	badProtocol protocol = -2
	noProtocol  protocol = -1
	http09      protocol = 9
	http10      protocol = 100
	http11      protocol = 101
)

// protocolOf reads a version. libhtp allows for blanks before it and zeros in it.
func protocolOf(b []byte) protocol {
	b = bytes.TrimLeft(b, " \t")
	if len(b) != 8 || string(b[:5]) != "HTTP/" || b[6] != '.' {
		return badProtocol
	}
	switch string(b[5:]) {
	case "0.9":
		return http09
	case "1.0":
		return http10
	case "1.1":
		return http11
	}
	return badProtocol
}

// method is a request method that is known.
type method uint8

const (
	unknownMethod method = iota
	otherMethod
	headMethod
	putMethod
	postMethod
	connectMethod
)

// methodOf returns what is known of a method.
func methodOf(b []byte) method {
	switch string(b) {
	case "HEAD":
		return headMethod
	case "PUT":
		return putMethod
	case "POST":
		return postMethod
	case "CONNECT":
		return connectMethod
	case "GET", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK",
		"UNLOCK", "VERSION-CONTROL", "CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE",
		"MKACTIVITY", "BASELINE-CONTROL", "MERGE", "INVALID":
		return otherMethod
	}
	return unknownMethod
}

// words takes a line apart at its white space.
type words struct {
	line []byte
	pos  int
}

// blanks passes over white space.
func (w *words) blanks() span { return w.while(isSpace) }

// word passes over what is no white space.
func (w *words) word() span { return w.while(func(c byte) bool { return !isSpace(c) }) }

func (w *words) while(is func(byte) bool) span {
	from := w.pos
	for w.pos < len(w.line) && is(w.line[w.pos]) {
		w.pos++
	}
	return span{from, w.pos}
}

// over reports that the line is read.
func (w *words) over() bool { return w.pos == len(w.line) }
