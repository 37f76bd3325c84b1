package http2

import (
	"bytes"
	"encoding/base64"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Inherit implements applayer.Heir: stream 1 is what answers the request of HTTP/1 that asked for HTTP/2 (RFC 7540, 3.2),
// and the client's first settings are a field of that.
func (p *Parser) Inherit(out *applayer.Sink, from applayer.Tx) {
	p.out = out
	f := frame{kind: Headers, stream: 1}
	t := p.of(1, &f)
	m := &t.sides[packet.ToServer]
	m.noteType(Headers)
	m.hasList, t.state = true, clientClosed
	p.touch(t)
	if v, ok := from.Value(applayer.HTTPMethod, 0); ok {
		m.addField(":method", v)
	}
	if v, ok := from.Value(applayer.HTTPURIRaw, 0); ok {
		m.addField(":path", v)
	}
	for i := 0; ; i++ {
		line, ok := from.Value(applayer.HTTPHeaderField, i)
		if !ok {
			return
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case equalFold(name, "http2-settings"):
			p.inheritSettings(t, value)
		case equalFold(name, "host"):
			m.addField(":authority", value)
			p.name = appendHost(p.name[:0], value)
		default:
			m.addField(string(name), value)
		}
		if len(m.fields) > maxFields || len(m.text) > maxText {
			p.fail(packet.ToServer)
			p.giveUp()
			return
		}
	}
}

// addField adds a field as if it had come in a frame of its own.
func (m *message) addField(name string, value []byte) {
	m.sections++
	from := int32(len(m.text))
	m.text = append(append(m.text, name...), value...)
	middle := from + int32(len(name))
	m.fields = append(m.fields, field{name: span{from, middle}, value: span{middle, int32(len(m.text))}, frame: m.sections})
	m.forget()
}

// inheritSettings reads HTTP2-Settings (RFC 7540, 3.2.1) as the frame that it stands for.
func (p *Parser) inheritSettings(t *Tx, value []byte) {
	payload, err := base64.RawURLEncoding.DecodeString(string(bytes.TrimRight(value, "=")))
	if err != nil {
		p.note(t, applayer.AnomalyHTTP2InvalidHttp1Settings)
		return
	}
	f := frame{kind: Settings, length: len(payload)}
	about := p.of(0, &f)
	m := &about.sides[packet.ToServer]
	m.noteType(Settings)
	m.news = true
	p.settings(packet.ToServer, m, payload)
	p.touch(about)
}
