package http

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Tx is a request, and the response to it as far as it has come.
type Tx struct {
	applayer.TxState
	conn *Conn // nil when another request was read since
}

// Parser follows a connection.
type Parser struct {
	conn Conn
	tx   Tx // the last request's
	old  Tx // of a response to a request before it
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.conn.Reset()
	p.tx.TxState.Reset(0)
	p.old.TxState.Reset(0)
	p.tx.conn = nil
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	was := p.conn.halves[dir].state
	n, ev := p.conn.read(int(dir), data)
	switch ev {
	case Request:
		p.tx.TxState.Reset(uint64(p.conn.Requests() - 1))
		p.tx.conn = &p.conn
		out.Emit(applayer.HTTPRequestHeaders, dir, &p.tx)
	case Response:
		tx := &p.tx
		if id := uint64(p.conn.Responses() - 1); id != tx.ID || tx.conn == nil {
			p.old.TxState.Reset(id)
			tx = &p.old
		}
		out.Emit(applayer.HTTPResponseHeaders, dir, tx)
	case Broken:
		out.Emit(applayer.ParserFailed, dir, nil)
	}
	if p.conn.halves[dir].state == startLine && (was != startLine || ev != None) {
		out.Emit(applayer.MessageDone, dir, nil)
	}
	return n
}

// Gap implements applayer.Parser.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, _ int) {
	if dir == packet.ToClient {
		p.conn.LoseServer()
		return
	}
	p.conn.done = true
	out.Emit(applayer.ParserFailed, dir, nil)
}

// End implements applayer.Parser.
func (p *Parser) End(*applayer.Sink, packet.Dir) {}

// Release implements applayer.Parser.
func (p *Parser) Release() {}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.conn.Done() }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int { return int(unsafe.Sizeof(*p)) + p.conn.Memory() }

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx {
	if p.tx.conn == nil {
		return nil
	}
	return &p.tx
}

// Name implements applayer.Parser with the host of the last request.
func (p *Parser) Name() []byte {
	host, _ := p.conn.Host()
	return host
}

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	c := t.conn
	if i > 0 || c == nil {
		return nil, false
	}
	switch b {
	case applayer.HTTPHost:
		return c.Host()
	case applayer.HTTPHostRaw:
		return c.RawHost()
	case applayer.HTTPMethod:
		return c.Method(), true
	case applayer.HTTPURI:
		return c.URI(), true
	case applayer.HTTPUserAgent:
		return c.UserAgent()
	}
	return nil, false
}
