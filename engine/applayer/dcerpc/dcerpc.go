// Package dcerpc reads remote procedure calls in the connection-oriented form of DCE 1.1, as
// Microsoft's protocols have them.
package dcerpc

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// maxLive bounds the calls that wait for an answer; then the oldest is given up.
const maxLive = 256

// Tx is one call.
type Tx struct {
	applayer.TxState
	Call
	asked *[]Interface // of the association
	key   [20]byte     // the value of an interface
}

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	t.TxState.Reset(id)
	t.Call.Reset()
	t.asked = nil
}

// Parser follows a connection.
type Parser struct {
	txs        applayer.Txs[Tx, *Tx]
	interfaces []Interface // of the last bind that was answered
	held       int         // bytes of calls
	lost       [2]bool
	done       bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.txs.Reset()
	p.interfaces, p.held, p.lost, p.done = p.interfaces[:0], 0, [2]bool{}, false
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	if p.lost[dir] {
		return len(data)
	}
	if len(data) < headerSize {
		return 0
	}
	h, ok := ReadHeader(data)
	if !ok {
		p.done = true
		out.Emit(applayer.ParserFailed, dir, nil)
		return 0
	}
	if len(data) < h.Size {
		return 0
	}
	p.pdu(out, dir, &h, data)
	return h.Size
}

func (p *Parser) pdu(out *applayer.Sink, dir packet.Dir, h *Header, b []byte) {
	at := -1
	for i, tx := range p.txs.Live {
		if tx.ID() == h.CallID && (dir == packet.ToClient || !tx.complete[dir]) {
			at = i
		}
	}
	if at < 0 {
		if len(p.txs.Live) == maxLive {
			p.finish(out, 0)
		}
		p.txs.Add().asked = &p.interfaces
		at = len(p.txs.Live) - 1
	}
	tx := p.txs.Live[at]
	p.held -= tx.Call.Memory()
	tx.Add(dir, h, b, 0) // as in Suricata, a response's is all that follows the header
	p.held += tx.Call.Memory()
	if h.Kind == BindAck || h.Kind == AlterAck {
		p.interfaces = append(p.interfaces[:0], tx.Interfaces...)
	}
	if !tx.complete[dir] {
		return
	}
	if dir == packet.ToServer {
		out.Emit(applayer.DCERPCRequest, dir, tx)
		return
	}
	out.Emit(applayer.DCERPCResponse, dir, tx)
	p.finish(out, at)
}

// ID returns the call's id.
func (t *Tx) ID() uint32 { return t.Call.ID }

// finish logs transaction i.
func (p *Parser) finish(out *applayer.Sink, i int) {
	out.Emit(applayer.TxDone, packet.ToServer, p.txs.Done(i))
}

// Gap implements applayer.Parser: PDUs cannot be found again, and the other side is read on.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, _ int) {
	if p.lost[dir] = true; p.lost[dir.Reverse()] {
		p.done = true
		out.Emit(applayer.ParserFailed, dir, nil)
	}
}

// End implements applayer.Parser. Calls without an answer are logged, as many as one call can raise.
func (p *Parser) End(out *applayer.Sink, _ packet.Dir) {
	for len(p.txs.Live) > 0 && out.Room() > 1 {
		p.finish(out, 0)
	}
}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	p.txs.Release()
	p.held = 0
	for _, tx := range p.txs.Live {
		p.held += tx.Call.Memory()
	}
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	n, _ := p.txs.Count()
	return int(unsafe.Sizeof(*p)) + p.held + n*int(unsafe.Sizeof(Tx{}))
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser: a call names no server.
func (p *Parser) Name() []byte { return nil }

// LittleEndian reports the byte order of the stubs, for rules that read numbers in it.
func (t *Tx) LittleEndian() bool { return t.Little }

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	switch b {
	case applayer.DCERPCRequestStub:
		return t.stub(packet.ToServer, i)
	case applayer.DCERPCResponseStub:
		return t.stub(packet.ToClient, i)
	case applayer.DCERPCRequestInterface, applayer.DCERPCResponseInterface:
		if t.asked != nil && (t.Request == Request || t.Response == Response) {
			return Accepted(*t.asked, t.Context, i, &t.key)
		}
	}
	return nil, false
}

func (t *Tx) stub(dir packet.Dir, i int) ([]byte, bool) {
	return t.Stub[dir], i == 0 && len(t.Stub[dir]) > 0
}

// Accepted returns the UUID and the version of interface i of those that a context stands for and
// that were accepted.
func Accepted(all []Interface, context uint16, i int, key *[20]byte) (value []byte, ok bool) {
	for k := range all {
		f := &all[k]
		if f.Context != context || !f.Answered || f.Result != 0 {
			continue
		}
		if i--; i >= 0 {
			continue
		}
		copy(key[:], f.UUID[:])
		key[16], key[17], key[18], key[19] = byte(f.Version>>8), byte(f.Version), byte(f.Minor>>8), byte(f.Minor)
		return key[:], true
	}
	return nil, false
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	switch n {
	case applayer.DCERPCRequestOpnum, applayer.DCERPCResponseOpnum:
		return uint64(t.Opnum), i == 0 && t.Asked && t.Request == Request
	}
	return 0, false
}
