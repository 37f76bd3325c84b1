// Package smb reads SMB 1, 2 and 3 as far as it is in the clear: commands with their answers, who
// logs in, shares, named pipes and files that are opened, and remote procedure calls over pipes.
package smb

import (
	"bytes"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// maxMessage is how long a message can be to be read whole; of longer ones, which read and
	// write files, there is headRead.
	maxMessage = 32 << 10
	headRead   = 1 << 10

	maxLive  = 256 // commands without an answer; then the oldest is given up
	maxTrees = 256 // connections to pipes that are remembered
)

// Parser follows a connection.
type Parser struct {
	txs     applayer.Txs[Tx, *Tx]
	dialect string
	pipes   []uint32           // trees that are pipes
	asked   []dcerpc.Interface // of the last bind that was answered
	waiting *Tx                // a call written to a pipe, the answer to which is to be read
	skip    [2]int
	lost    [2]bool
	held    int // bytes of transactions
	out     *applayer.Sink
	emitted bool
	done    bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.txs.Reset()
	*p = Parser{txs: p.txs, pipes: p.pipes[:0], asked: p.asked[:0], dialect: "unknown"}
}

// Data implements applayer.Parser: messages with their length before them (MS-SMB2, 2.1).
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	if p.lost[dir] {
		return len(data)
	}
	if n := min(p.skip[dir], len(data)); n > 0 {
		p.skip[dir] -= n
		return n
	}
	if len(data) < 4 {
		return 0
	}
	size := int(data[1])<<16 | int(data[2])<<8 | int(data[3])
	take := size
	if size > maxMessage {
		take = headRead
	}
	if len(data) < 4+take {
		return 0
	}
	p.out = out
	if data[0] == 0 { // a session message; others keep it alive
		p.message(dir, data[4:4+take])
	}
	p.out, p.skip[dir] = nil, size-take
	return 4 + take
}

// message takes in one message, which may hold several commands of SMB 2.
func (p *Parser) message(dir packet.Dir, b []byte) {
	switch {
	case bytes.HasPrefix(b, []byte("\xffSMB")):
		p.message1(dir, b)
	case bytes.HasPrefix(b, []byte("\xfeSMB")):
		for len(b) >= header2 && p.out.Room() > 3 {
			next := int(le.Uint32(b[20:]))
			part := b
			if next >= header2 && next < len(b) {
				part = b[:next]
			}
			p.message2(dir, part)
			b = b[len(part):]
		}
	case bytes.HasPrefix(b, []byte("\xfdSMB")): // encrypted
	default:
		p.fail(dir)
	}
}

func (p *Parser) fail(dir packet.Dir) {
	if p.waiting = nil; len(p.txs.Live) > 0 {
		tx := p.txs.Live[len(p.txs.Live)-1]
		tx.Note(applayer.AnomalySMBMalformedData)
		p.out.Emit(applayer.AnomalySeen, dir, tx)
	}
	p.done = true
	p.out.Emit(applayer.ParserFailed, dir, nil)
}

// add starts a transaction.
func (p *Parser) add(version uint8, command uint16, k key) *Tx {
	if len(p.txs.Live) >= maxLive {
		p.finish(0)
	}
	tx := p.txs.Add()
	tx.Version, tx.command, tx.key, tx.Dialect = version, command, k, p.dialect
	return tx
}

// request tells of a command whose contents are read.
func (p *Parser) request(tx *Tx) {
	p.held += tx.memory()
	p.out.Emit(applayer.SMBRequest, packet.ToServer, tx)
}

// find returns the command that an answer belongs to, -1 for none.
func (p *Parser) find(version uint8, command uint16, k key) int {
	for i, tx := range p.txs.Live {
		if !tx.answered && tx.Version == version && tx.command == command && tx.key == k {
			return i
		}
	}
	return -1
}

// answer tells of the answer to command i, after which the transaction is over, unless what was
// written to a pipe still has an answer to come.
func (p *Parser) answer(i int) {
	tx := p.txs.Live[i]
	tx.answered, tx.Dialect = true, p.dialect
	if tx == p.waiting && !tx.Call.Answered && tx.status == 0 {
		return
	}
	if tx == p.waiting {
		p.waiting = nil
	}
	p.out.Emit(applayer.SMBResponse, packet.ToClient, tx)
	p.finish(i)
}

// finish logs transaction i.
func (p *Parser) finish(i int) {
	if p.txs.Live[i] == p.waiting {
		p.waiting = nil
	}
	p.out.Emit(applayer.TxDone, packet.ToServer, p.txs.Done(i))
}

// call takes in a PDU that goes over a pipe.
func (p *Parser) call(tx *Tx, dir packet.Dir, b []byte) {
	h, ok := dcerpc.ReadHeader(b)
	if !ok || h.Size > len(b) {
		return
	}
	if tx.Call == nil {
		tx.Call = &dcerpc.Call{}
	}
	tx.asked = &p.asked
	tx.Call.Add(dir, &h, b, dcerpc.RequestHead)
	if h.Kind == dcerpc.BindAck || h.Kind == dcerpc.AlterAck {
		p.asked = append(p.asked[:0], tx.Call.Interfaces...)
	} else if h.Kind == dcerpc.Request {
		tx.Call.Interfaces = append(tx.Call.Interfaces[:0], p.asked...)
	}
}

// Gap implements applayer.Parser: a gap within what is passed over does not matter. After others
// messages cannot be found again, and the other side is read on.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, n int) {
	if n <= p.skip[dir] {
		p.skip[dir] -= n
		return
	}
	if p.lost[dir] = true; p.lost[dir.Reverse()] {
		p.done = true
		out.Emit(applayer.ParserFailed, dir, nil)
	}
}

// End implements applayer.Parser. Commands without an answer are logged, as many as one call can
// raise.
func (p *Parser) End(out *applayer.Sink, _ packet.Dir) {
	p.out = out
	for len(p.txs.Live) > 0 && out.Room() > 1 {
		p.finish(0)
	}
	p.out = nil
}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	p.txs.Release()
	p.held = 0
	for _, tx := range p.txs.Live {
		p.held += tx.memory()
	}
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	n, _ := p.txs.Count()
	return int(unsafe.Sizeof(*p)) + p.held + n*int(unsafe.Sizeof(Tx{})) + 4*cap(p.pipes) + 32*cap(p.asked)
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser: SMB names no server.
func (p *Parser) Name() []byte { return nil }
