// Package ftp reads the control connection of FTP (RFC 959): commands and the replies to them.
package ftp

import (
	"bytes"
	"strconv"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	maxLine    = 4096 // of which records have the beginning, as in Suricata
	maxReplies = 256  // lines of a transaction
	maxLive    = 64   // commands without a reply; then the oldest is given up
	keep       = 2 << 10
)

// Reply is a line from the server. Code is empty where it has none.
type Reply struct{ Code, Text []byte }

// Tx is a command with the replies to it. The server's welcome has no command.
type Tx struct {
	applayer.TxState
	Command, Argument    []byte // the command in upper case
	HasArgument          bool
	CommandCut, ReplyCut bool // longer than maxLine
	Replies              []Reply
	Port                 uint16 // of the data connection; 0 for none
	Active               bool   // the server opens it
	data                 []byte // of all the above
	open                 bool   // in the middle of a reply of several lines
}

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	data := t.data[:0]
	if cap(data) > keep {
		data = nil
	}
	replies := t.Replies[:0]
	clear(t.Replies)
	*t = Tx{TxState: t.TxState, Replies: replies, data: data}
	t.TxState.Reset(id)
}

// own returns a copy of b that lives as long as the transaction.
func (t *Tx) own(b []byte) []byte {
	start := len(t.data)
	t.data = append(t.data, b...)
	return t.data[start:len(t.data):len(t.data)]
}

func (t *Tx) memory() int {
	return cap(t.data) + cap(t.Replies)*int(unsafe.Sizeof(Reply{}))
}

// Parser follows a control connection.
type Parser struct {
	txs    applayer.Txs[Tx, *Tx]
	cut    [2]bool // the rest of a line that is too long is passed over
	held   int     // bytes of transactions
	silent bool    // bytes of the server are missing: it may not be heard again
	done   bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.txs.Reset()
	p.cut, p.held, p.done = [2]bool{}, 0, false
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	end := bytes.IndexByte(data[:min(len(data), maxLine)], '\n')
	switch {
	case p.cut[dir]:
		if end < 0 {
			return min(len(data), maxLine)
		}
		p.cut[dir] = false
		return end + 1
	case end < 0 && len(data) < maxLine:
		return 0
	case end < 0:
		p.cut[dir] = true
		p.line(out, dir, data[:maxLine], true)
		return maxLine
	}
	p.line(out, dir, bytes.TrimSuffix(data[:end], []byte{'\r'}), false)
	return end + 1
}

func (p *Parser) line(out *applayer.Sink, dir packet.Dir, line []byte, cut bool) {
	if dir == packet.ToServer {
		p.command(out, line, cut)
	} else {
		p.reply(out, line, cut)
	}
}

func (p *Parser) command(out *applayer.Sink, line []byte, cut bool) {
	if len(p.txs.Live) == maxLive {
		p.finish(out, 0)
	}
	tx := p.txs.Add()
	word, argument, found := bytes.Cut(line, []byte{' '})
	tx.data = append(tx.data, line...)
	tx.Command, tx.Argument, tx.HasArgument = tx.data[:len(word):len(word)], tx.data[len(line)-len(argument):len(line):len(line)], found
	for i, c := range tx.Command {
		if c >= 'a' && c <= 'z' {
			tx.Command[i] = c - 'a' + 'A'
		}
	}
	switch string(tx.Command) {
	case "PORT":
		tx.Port, tx.Active = portOf(tx.Argument), true
	case "EPRT": // RFC 2428, 2: |1|132.235.1.2|6275|
		if parts := bytes.Split(tx.Argument, []byte{'|'}); len(parts) >= 4 {
			tx.Port, tx.Active = decimal(parts[3]), true
		}
	}
	p.held += tx.memory()
	if tx.CommandCut = cut; cut {
		tx.Note(applayer.AnomalyFTPRequestCommandTooLong)
		out.Emit(applayer.AnomalySeen, packet.ToServer, tx)
	}
}

func (p *Parser) reply(out *applayer.Sink, line []byte, cut bool) {
	if len(p.txs.Live) == 0 { // a welcome
		p.txs.Add()
	}
	tx := p.txs.Live[0]
	p.held -= tx.memory()
	r := Reply{Text: tx.own(line)}
	last := !tx.open
	if code := line[:min(len(line), 3)]; len(line) >= 3 && decimal(code) > 0 {
		r.Code, r.Text = r.Text[:3:3], r.Text[min(4, len(line)):]
		tx.open = len(line) > 3 && line[3] == '-'
		last = !tx.open
		switch string(code) {
		case "227": // RFC 959, 4.1.2: in brackets, as PORT has it
			if at := bytes.IndexByte(r.Text, '('); at >= 0 {
				tx.Port = portOf(bytes.TrimRight(r.Text[at+1:], ")."))
			}
		case "229": // RFC 2428, 3: (|||6446|)
			if parts := bytes.Split(r.Text, []byte{'|'}); len(parts) >= 4 {
				tx.Port = decimal(parts[3])
			}
		}
		last = last && code[0] != '1' // more follows a preliminary reply (RFC 959, 4.2)
	}
	if len(tx.Replies) < maxReplies {
		tx.Replies = append(tx.Replies, r)
	}
	p.held += tx.memory()
	if cut {
		tx.ReplyCut = true
		if tx.Note(applayer.AnomalyFTPResponseCommandTooLong) {
			out.Emit(applayer.AnomalySeen, packet.ToClient, tx)
		}
	}
	if last {
		p.finish(out, 0)
	}
	if string(r.Code) == "234" && string(tx.Command) == "AUTH" && bytes.EqualFold(tx.Argument, []byte("TLS")) { // RFC 4217, 4
		for len(p.txs.Live) > 0 {
			p.finish(out, 0)
		}
		p.done = true
		out.Change(applayer.TLS, applayer.PortTLS)
	}
}

// finish logs transaction i.
func (p *Parser) finish(out *applayer.Sink, i int) {
	out.Emit(applayer.TxDone, packet.ToServer, p.txs.Done(i))
}

// portOf reads the port in h1,h2,h3,h4,p1,p2.
func portOf(b []byte) uint16 {
	parts := bytes.Split(b, []byte{','})
	if len(parts) != 6 {
		return 0
	}
	return decimal(parts[4])<<8 | decimal(parts[5])&0xff
}

// decimal reads a number, 0 for what is none.
func decimal(b []byte) uint16 {
	n, err := strconv.ParseUint(string(b), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

// Gap implements applayer.Parser: reading goes on with the next line.
func (p *Parser) Gap(_ *applayer.Sink, dir packet.Dir, _ int) {
	p.cut[dir] = true
	p.silent = p.silent || dir == packet.ToClient
}

// End implements applayer.Parser. Commands without a reply are logged, as many as one call can
// raise, once none can come.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	if dir == packet.ToServer && !p.silent {
		return
	}
	for len(p.txs.Live) > 0 && out.Room() > 1 {
		p.finish(out, 0)
	}
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
	return int(unsafe.Sizeof(*p)) + p.held + n*int(unsafe.Sizeof(Tx{}))
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser: FTP names no server.
func (p *Parser) Name() []byte { return nil }

// Value implements applayer.Tx: there are no buffers.
func (t *Tx) Value(applayer.Buffer, int) (value []byte, ok bool) { return nil, false }
