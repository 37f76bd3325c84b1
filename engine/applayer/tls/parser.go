package tls

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Tx is the handshake of a connection: its only transaction.
type Tx struct {
	applayer.TxState
	conn *Conn
}

// Parser follows a connection up to its ServerHello.
type Parser struct {
	conn Conn
	tx   Tx
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.conn.Reset()
	p.tx.TxState.Reset(0)
	p.tx.conn = &p.conn
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	n, ev := p.conn.read(int(dir), data)
	switch ev {
	case ClientHello:
		out.Emit(applayer.TLSClientHello, dir, &p.tx)
	case ServerHello:
		out.Emit(applayer.TLSServerHello, dir, &p.tx)
		out.Emit(applayer.TxDone, dir, &p.tx)
	case Broken:
		out.Emit(applayer.ParserFailed, dir, nil)
	}
	return n
}

// Gap implements applayer.Parser: records cannot be found again.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, _ int) {
	if dir == packet.ToServer && !p.conn.Greeted() {
		out.Emit(applayer.ParserFailed, dir, nil)
	}
	if dir == packet.ToServer || p.conn.Greeted() {
		p.conn.done = true
	}
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
func (p *Parser) Last() applayer.Tx { return &p.tx }

// Name implements applayer.Parser with the server's name.
func (p *Parser) Name() []byte { return p.conn.ServerName() }

// SNI returns the name that the client asked for, as it was sent, empty without one.
func (t *Tx) SNI() []byte { return t.conn.ServerName() }

// Version returns the name that EVE has for the version that the server picked, empty before.
func (t *Tx) Version() string {
	if i := int(t.conn.Version()) - 0x0300; i >= 0 && i < len(versions) {
		return versions[i]
	}
	return ""
}

var versions = [...]string{"SSLv3", "TLSv1", "TLS 1.1", "TLS 1.2", "TLS 1.3"}

var versionBytes = func() (b [len(versions)][]byte) {
	for i, v := range versions {
		b[i] = []byte(v)
	}
	return b
}()

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	if i > 0 {
		return nil, false
	}
	switch b {
	case applayer.TLSSNI:
		name := t.conn.ServerName()
		return name, len(name) > 0
	case applayer.TLSVersion:
		if i := int(t.conn.Version()) - 0x0300; i >= 0 && i < len(versions) {
			return versionBytes[i], true
		}
	}
	return nil, false
}
