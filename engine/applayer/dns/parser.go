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
	m      dnswire.Message
	data   []byte // m's
	name   []byte // of question number named
	named  int
	spoken bool // name is set
}

// Message returns what was sent. It borrows from the transaction.
func (t *Tx) Message() *dnswire.Message { return &t.m }

// keepTxs is how many transactions are kept for reuse, and keepData how many bytes in each.
const (
	keepTxs  = 8
	keepData = 4 << 10
)

// Parser reads messages, over TCP with their length before them (RFC 1035, 4.2.2).
type Parser struct {
	txs    []*Tx // in use since Release are the first n
	n      int
	memory int    // of txs
	next   uint64 // number of the next message
	name   []byte // of the last question
	tcp    bool
	done   bool
	lost   [2]bool // there is a gap: the next message must be found
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(transport uint8) {
	p.Release()
	p.next, p.tcp, p.done, p.lost = 0, transport == packet.ProtoTCP, false, [2]bool{}
	p.name = p.name[:0]
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	if !p.tcp {
		p.message(out, dir, data)
		return len(data)
	}
	if p.lost[dir] {
		if len(data) < 2+headerSize {
			return 0
		}
		if !plausible(dir, data) {
			return len(data)
		}
		p.lost[dir] = false
	}
	if len(data) < 2 {
		return 0
	}
	n := 2 + int(binary.BigEndian.Uint16(data))
	if len(data) < n {
		return 0
	}
	p.message(out, dir, data[2:n])
	out.Emit(applayer.MessageDone, dir, nil)
	return n
}

const headerSize = 12

// plausible says whether a message may begin here, behind a gap.
func plausible(dir packet.Dir, data []byte) bool {
	m, ok := dnswire.Header(data[2:])
	return ok && m.Response() == (dir == packet.ToClient) && m.Opcode() <= maxOpcode
}

// maxOpcode is the highest that is assigned (RFC 8490).
const maxOpcode = 6

// message takes one message. One that cannot be read ends a connection, where it throws the
// framing in doubt. The direction is the one that the message says, for UDP.
func (p *Parser) message(out *applayer.Sink, dir packet.Dir, b []byte) {
	m, ok := dnswire.Parse(b)
	switch {
	case !ok:
		p.fail(out, dir, applayer.AnomalyDNSMalformedData)
		return
	case p.tcp && m.Response() && dir == packet.ToServer:
		p.fail(out, dir, applayer.AnomalyDNSNotRequest)
		return
	case p.tcp && !m.Response() && dir == packet.ToClient:
		p.fail(out, dir, applayer.AnomalyDNSNotResponse)
		return
	}
	tx := p.add(b)
	hook := applayer.DNSRequest
	if m.Response() {
		hook = applayer.DNSResponse
	}
	if name, ok := tx.question(0); ok {
		p.name = append(p.name[:0], name...)
	}
	if m.Z() {
		tx.Note(applayer.AnomalyDNSZFlagSet)
		out.Emit(applayer.AnomalySeen, dir, tx)
	}
	if m.Opcode() > maxOpcode {
		tx.Note(applayer.AnomalyDNSInvalidOpcode)
		out.Emit(applayer.AnomalySeen, dir, tx)
	}
	if m.Long {
		tx.Note(applayer.AnomalyDNSNameTooLong)
		out.Emit(applayer.AnomalySeen, dir, tx)
	}
	out.Emit(hook, dir, tx)
	out.Emit(applayer.TxDone, packet.ToServer, tx)
}

// add makes a transaction of a message that can be read.
func (p *Parser) add(b []byte) *Tx {
	if p.n == len(p.txs) {
		p.txs = append(p.txs, &Tx{})
		p.memory += int(unsafe.Sizeof(Tx{}) + unsafe.Sizeof(&Tx{}))
	}
	tx := p.txs[p.n]
	p.n++
	p.memory -= cap(tx.data)
	tx.TxState.Reset(p.next)
	tx.data, tx.spoken = append(tx.data[:0], b...), false
	tx.m, _ = dnswire.Parse(tx.data)
	p.memory += cap(tx.data)
	p.next++
	return tx
}

// fail tells of a message that is no good. As in Suricata the anomaly is the last message's, if
// that is still there.
func (p *Parser) fail(out *applayer.Sink, dir packet.Dir, a applayer.Anomaly) {
	if p.n > 0 && p.txs[p.n-1].Note(a) {
		out.Emit(applayer.AnomalySeen, dir, p.txs[p.n-1])
	}
	if p.tcp {
		p.done = true
		out.Emit(applayer.ParserFailed, dir, nil)
	}
}

// Gap implements applayer.Parser.
func (p *Parser) Gap(_ *applayer.Sink, dir packet.Dir, _ int) { p.lost[dir] = true }

// End implements applayer.Parser.
func (p *Parser) End(*applayer.Sink, packet.Dir) {}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	for i, tx := range p.txs[:p.n] {
		if i < keepTxs && cap(tx.data) > keepData {
			p.memory -= cap(tx.data)
			tx.data = nil
		}
	}
	if len(p.txs) > keepTxs {
		for _, tx := range p.txs[keepTxs:] {
			p.memory -= cap(tx.data) + int(unsafe.Sizeof(Tx{})+unsafe.Sizeof(&Tx{}))
		}
		clear(p.txs[keepTxs:])
		p.txs = p.txs[:keepTxs]
	}
	p.n = 0
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int { return int(unsafe.Sizeof(*p)) + cap(p.name) + p.memory }

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx {
	if p.n == 0 {
		return nil
	}
	return p.txs[p.n-1]
}

// Name implements applayer.Parser with the name that was last asked for.
func (p *Parser) Name() []byte { return p.name }

// question returns the name of question i.
func (t *Tx) question(i int) (name []byte, ok bool) {
	if i >= t.m.Count(dnswire.Questions) {
		return nil, false
	}
	if !t.spoken || t.named != i {
		at, _ := t.m.Question(i)
		if t.name == nil {
			t.name = []byte{}
		}
		t.name, _, _ = t.m.AppendName(t.name[:0], at)
		t.named, t.spoken = i, true
	}
	return t.name, true
}

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	if b != applayer.DNSQuery || t.m.Response() {
		return nil, false
	}
	return t.question(i)
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	switch n {
	case applayer.DNSRequestOpcode:
		return uint64(t.m.Opcode()), i == 0 && !t.m.Response()
	case applayer.DNSResponseOpcode:
		return uint64(t.m.Opcode()), i == 0 && t.m.Response()
	}
	return 0, false
}
