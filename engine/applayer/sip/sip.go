// Package sip reads the first lines of SIP messages (RFC 3261, 7).
package sip

import (
	"bytes"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// maxLine bounds a first line.
const maxLine = 8 << 10

// Tx is one message: as in Suricata 7, requests and responses are transactions of their own.
type Tx struct {
	applayer.TxState
	Response bool
	Line     []byte // the whole first line
	// Of Line: a request has Method and URI, a response Code and Reason.
	Method, URI, Version, Code, Reason []byte
}

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	line := t.Line[:0]
	if cap(line) > maxLine/8 {
		line = nil
	}
	*t = Tx{TxState: t.TxState, Line: line}
	t.TxState.Reset(id)
}

// Parser reads one message from each datagram.
type Parser struct{ txs applayer.Txs[Tx, *Tx] }

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) { p.txs.Reset() }

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	line, _, found := bytes.Cut(data[:min(len(data), maxLine)], []byte("\r\n"))
	if !found {
		return len(data)
	}
	p.txs.Reset()
	tx := p.txs.Add()
	tx.Line = append(tx.Line, line...)
	if !tx.read() {
		return len(data)
	}
	hook := applayer.SIPRequest
	if tx.Response {
		hook = applayer.SIPResponse
	}
	out.Emit(hook, dir, tx)
	out.Emit(applayer.TxDone, dir, tx)
	return len(data)
}

// read cuts the line up (RFC 3261, 7.1 and 7.2).
func (t *Tx) read() bool {
	first, rest, _ := bytes.Cut(t.Line, []byte{' '})
	second, third, found := bytes.Cut(rest, []byte{' '})
	version := []byte("SIP/")
	if t.Response = bytes.HasPrefix(first, version); t.Response {
		t.Version, t.Code, t.Reason = first, second, third
		return len(second) > 0
	}
	t.Method, t.URI, t.Version = first, second, third
	return found && bytes.HasPrefix(third, version) && bytes.IndexByte(third, ' ') < 0
}

// Gap implements applayer.Parser.
func (p *Parser) Gap(*applayer.Sink, packet.Dir, int) {}

// End implements applayer.Parser.
func (p *Parser) End(*applayer.Sink, packet.Dir) {}

// Release implements applayer.Parser.
func (p *Parser) Release() { p.txs.Release() }

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return false }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	held, _ := p.txs.Count()
	n := int(unsafe.Sizeof(*p)) + held*int(unsafe.Sizeof(Tx{}))
	if tx, ok := p.Last().(*Tx); ok {
		n += cap(tx.Line)
	}
	return n
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser: SIP names no server.
func (p *Parser) Name() []byte { return nil }

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	if i > 0 || t.Response != (b.Hook() == applayer.SIPResponse) {
		return nil, false
	}
	switch b {
	case applayer.SIPMethod:
		return t.Method, true
	case applayer.SIPURI:
		return t.URI, true
	case applayer.SIPRequestProtocol, applayer.SIPResponseProtocol:
		return t.Version, true
	case applayer.SIPStatCode:
		return t.Code, true
	case applayer.SIPStatMsg:
		return t.Reason, true
	case applayer.SIPRequestLine, applayer.SIPResponseLine:
		return t.Line, true
	}
	return nil, false
}
