// Package dns reads DNS messages of a flow, over UDP and TCP.
package dns

import (
	"encoding/binary"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dnswire"
	"github.com/sluicefw/sluice/engine/packet"
)

// Tx is one message: as in Suricata 7, questions and answers are transactions of their own.
type Tx struct {
	applayer.TxState
	name [dnswire.MaxName]byte
	nlen int
}

// Parser reads messages, over TCP with their length before them (RFC 1035, 4.2.2).
type Parser struct {
	tx   Tx
	next uint64 // number of the next message
	tcp  bool
	done bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(transport uint8) {
	p.tx.TxState.Reset(0)
	p.tx.nlen = 0
	p.next, p.tcp, p.done = 0, transport == packet.ProtoTCP, false
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	if !p.tcp {
		p.message(out, dir, data)
		return len(data)
	}
	if len(data) < 2 {
		return 0
	}
	n := 2 + int(binary.BigEndian.Uint16(data))
	if len(data) < n {
		return 0
	}
	p.message(out, dir, data[2:n])
	return n
}

// message takes one message. One that cannot be read ends a connection, where it throws the
// framing in doubt.
func (p *Parser) message(out *applayer.Sink, dir packet.Dir, b []byte) {
	m, ok := dnswire.Parse(b)
	if !ok {
		if p.tcp {
			p.fail(out, dir)
		}
		return
	}
	p.tx.TxState.Reset(p.next)
	p.tx.nlen = 0
	p.next++
	if m.Question > 0 {
		name, _ := dnswire.AppendName(p.tx.name[:0], b, m.Question)
		p.tx.nlen = len(name)
	}
	hook := applayer.DNSRequest
	if m.Response {
		hook = applayer.DNSResponse
	}
	out.Emit(hook, dir, &p.tx)
}

func (p *Parser) fail(out *applayer.Sink, dir packet.Dir) {
	p.done = true
	out.Emit(applayer.ParserFailed, dir, nil)
}

// Gap implements applayer.Parser.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, _ int) { p.fail(out, dir) }

// End implements applayer.Parser.
func (p *Parser) End(*applayer.Sink, packet.Dir) {}

// Release implements applayer.Parser.
func (p *Parser) Release() {}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int { return int(unsafe.Sizeof(*p)) }

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx {
	if p.next == 0 {
		return nil
	}
	return &p.tx
}

// Name implements applayer.Parser with the name that was last asked for.
func (p *Parser) Name() []byte { return p.tx.name[:p.tx.nlen] }

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	if b != applayer.DNSQuery || i > 0 {
		return nil, false
	}
	return t.name[:t.nlen], t.nlen > 0
}
