// Package smtp reads SMTP (RFC 5321) and the messages that it carries.
package smtp

import (
	"bytes"
	"strconv"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	maxLine    = 4096 // longer ones are cut, as in Suricata
	maxRcpt    = 256
	maxPath    = 512 // RFC 5321, 4.5.3.1.3, has 256
	maxPending = 64  // commands that wait for a reply
)

// Tx is a message with its envelope, or what there was of it.
type Tx struct {
	applayer.TxState
	Helo     []byte // nil before HELO
	From     []byte // argument of MAIL, nil without one
	To       [][]byte
	Email    Email
	HasEmail bool
}

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	*t = Tx{TxState: t.TxState}
	t.TxState.Reset(id)
}

func (t *Tx) memory() int {
	n := int(unsafe.Sizeof(*t)) + len(t.Helo) + len(t.From) + t.Email.memory()
	for _, to := range t.To {
		n += len(to) + 24
	}
	return n
}

// verb is a command that waits for its reply.
type verb uint8

const (
	other verb = iota
	data
	starttls
	reset
)

// Parser follows a connection.
type Parser struct {
	txs     applayer.Txs[Tx, *Tx]
	tx      *Tx    // at hand, nil before the next command
	helo    []byte // nil before HELO
	pending []verb
	logged  int // files of tx that are told of
	chunk   int // bytes of a BDAT chunk still to come
	inData  bool
	greeted bool
	cut     [2]bool // the rest of a line that is too long is passed over
	ended   bool    // nothing more comes from the client
	done    bool
	digests bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.drop()
	p.txs.Reset()
	*p = Parser{txs: p.txs, pending: p.pending[:0]}
}

// drop gives back what open files hold.
func (p *Parser) drop() {
	if p.tx != nil {
		for _, f := range p.tx.Email.Files {
			f.Close(file.Truncated)
		}
	}
}

// Data implements applayer.Parser: lines are read until one raises an event.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, b []byte) (consumed int) {
	p.digests = out.Digests
	room := out.Room()
	for !p.done && out.Room() == room {
		n := p.next(out, dir, b[consumed:])
		if n == 0 {
			if dir == packet.ToServer && out.Inline {
				p.look(out, true)
			}
			break
		}
		consumed += n
	}
	return consumed
}

// next takes the next line, or as much as is read of a long one, and returns how many bytes that were.
func (p *Parser) next(out *applayer.Sink, dir packet.Dir, b []byte) (n int) {
	end := bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	switch {
	case end < 0 && len(b) < maxLine:
		return 0
	case end < 0 && p.cut[dir]:
		p.count(dir, maxLine)
		return maxLine
	case p.cut[dir]:
		p.cut[dir] = false
		p.count(dir, end+1)
		return end + 1
	case end < 0:
		p.cut[dir] = true
		p.line(out, dir, b[:maxLine], maxLine, true)
		return maxLine
	}
	p.line(out, dir, bytes.TrimSuffix(b[:end], []byte{'\r'}), end+1, false)
	return end + 1
}

// count notes bytes that are passed over.
func (p *Parser) count(dir packet.Dir, n int) {
	if dir == packet.ToServer && p.chunk > 0 {
		p.chunk = max(0, p.chunk-n)
	}
}

func (p *Parser) line(out *applayer.Sink, dir packet.Dir, line []byte, size int, cut bool) {
	if dir == packet.ToClient {
		if cut {
			p.note(out, dir, applayer.AnomalySMTPMaxReplyLineLengthExceeded)
		}
		p.reply(out, line)
		return
	}
	switch {
	case p.chunk > 0:
		p.chunk = max(0, p.chunk-size) // the transaction goes on, after the last chunk too, as in Suricata
	case p.inData && string(line) == ".":
		p.inData = false
		p.complete(out)
	case p.inData:
		p.content(out, bytes.TrimPrefix(line, []byte{'.'})) // RFC 5321, 4.5.2
	default:
		if cut {
			p.note(out, dir, applayer.AnomalySMTPMaxCommandLineLengthExceeded)
		}
		p.command(out, line)
	}
}

// current returns the transaction at hand, starting it if need be.
func (p *Parser) current() *Tx {
	if p.tx == nil {
		p.tx, p.logged = p.txs.Add(), 0
		p.tx.Helo = bytes.Clone(p.helo)
	}
	return p.tx
}

func (p *Parser) note(out *applayer.Sink, dir packet.Dir, a applayer.Anomaly) {
	if p.tx == nil && p.ended {
		return
	}
	if tx := p.current(); tx.Note(a) {
		out.Emit(applayer.AnomalySeen, dir, tx)
	}
}

func (p *Parser) command(out *applayer.Sink, line []byte) {
	if !p.greeted {
		p.greeted = true
		p.note(out, packet.ToServer, applayer.AnomalySMTPNoServerWelcomeMessage)
	}
	word, argument, _ := bytes.Cut(line, []byte{' '})
	argument = bytes.TrimSpace(argument)
	tx, wait := p.current(), other
	switch string(bytes.ToUpper(word)) {
	case "HELO", "EHLO":
		p.helo = append([]byte{}, argument...)
		tx.Helo = bytes.Clone(p.helo)
	case "MAIL":
		if tx.From == nil {
			tx.From = path(argument, "FROM:")
		} else {
			p.note(out, packet.ToServer, applayer.AnomalySMTPDuplicateFields)
		}
	case "RCPT":
		if len(tx.To) < maxRcpt {
			tx.To = append(tx.To, path(argument, "TO:"))
		}
	case "DATA":
		if tx.HasEmail { // as Suricata: the message that follows is not read
			p.note(out, packet.ToServer, applayer.AnomalySMTPUnparsableContent)
			return
		}
		wait, tx.HasEmail = data, true
		tx.Email.start()
	case "BDAT": // RFC 3030, 2
		size, _, _ := bytes.Cut(argument, []byte{' '})
		n, err := strconv.ParseUint(string(size), 10, 31)
		if err == nil {
			p.chunk = int(n)
		}
	case "STARTTLS":
		wait = starttls
	case "RSET":
		wait = reset
	}
	if len(p.pending) == maxPending {
		copy(p.pending, p.pending[1:])
		p.pending = p.pending[:maxPending-1]
	}
	p.pending = append(p.pending, wait)
}

// path returns a path after FROM: or TO: without its parameters (RFC 5321, 4.1.1.2).
func path(argument []byte, prefix string) []byte {
	if len(argument) >= len(prefix) && bytes.EqualFold(argument[:len(prefix)], []byte(prefix)) {
		argument = bytes.TrimSpace(argument[len(prefix):])
	}
	text, _, _ := bytes.Cut(argument, []byte{' '})
	return append([]byte{}, text[:min(len(text), maxPath)]...)
}

func (p *Parser) reply(out *applayer.Sink, line []byte) {
	if len(line) < 3 || hexDigit(line[0]) < 0 || line[0] > '9' {
		p.note(out, packet.ToClient, applayer.AnomalySMTPInvalidReply)
		return
	}
	if len(line) > 3 && line[3] == '-' {
		p.greeted = true
		return // more lines follow
	}
	code := string(line[:3])
	if len(p.pending) == 0 {
		if code == "220" || p.greeted {
			p.greeted = true
			return
		}
		p.greeted = true
		p.note(out, packet.ToClient, applayer.AnomalySMTPUnableToMatchReplyWithRequest)
		return
	}
	wait := p.pending[0]
	copy(p.pending, p.pending[1:])
	p.pending = p.pending[:len(p.pending)-1]
	switch {
	case wait == data && code == "354":
		p.inData = true
	case wait == data:
		p.note(out, packet.ToClient, applayer.AnomalySMTPDataCommandRejected)
	case wait == reset && code == "250":
		p.finish(out)
	case wait == starttls && code == "220":
		p.finish(out)
		p.done = true
		out.Change(applayer.TLS, applayer.PortTLS)
	case wait == starttls:
		p.note(out, packet.ToClient, applayer.AnomalySMTPTLSRejected)
	}
}

// content takes in a line of a message.
func (p *Parser) content(out *applayer.Sink, line []byte) {
	tx := p.current()
	if fault := tx.Email.line(line, p.digests); fault != applayer.AnomalyNever {
		p.note(out, packet.ToServer, fault)
		if tx.Email.Status == "PARSE_ERROR" {
			p.note(out, packet.ToServer, applayer.AnomalySMTPMIMEParseFailed)
		}
	}
	p.files(out)
	p.look(out, false)
}

// look lets rules look at the attachment at hand, if it is time. With wait it is when packets wait for them.
func (p *Parser) look(out *applayer.Sink, wait bool) {
	if p.tx != nil && p.tx.Email.part.file != nil {
		p.tx.Email.part.file.look(out, p.tx, wait)
	}
}

// files tells of the attachments that have ended.
func (p *Parser) files(out *applayer.Sink) {
	files := p.tx.Email.Files
	for ; p.logged < len(files) && files[p.logged].State != file.Open && out.Room() > 3; p.logged++ {
		files[p.logged].look(out, p.tx, false)
		out.EmitFile(packet.ToServer, p.tx, &files[p.logged].File)
	}
}

// complete ends the message and its transaction.
func (p *Parser) complete(out *applayer.Sink) {
	if tx := p.current(); tx.HasEmail {
		tx.Email.end()
		p.files(out)
	}
	p.finish(out)
}

// finish logs the transaction at hand.
func (p *Parser) finish(out *applayer.Sink) {
	if p.tx == nil {
		return
	}
	p.drop()
	p.files(out)
	p.tx = nil
	out.Emit(applayer.TxDone, packet.ToServer, p.txs.Done(0))
}

// Gap implements applayer.Parser: reading goes on with the next line.
func (p *Parser) Gap(_ *applayer.Sink, dir packet.Dir, n int) {
	p.cut[dir] = true
	p.count(dir, n)
	if dir == packet.ToServer && p.tx != nil && p.tx.Email.part.file != nil {
		p.tx.Email.part.file.lose(n)
	}
}

// End implements applayer.Parser.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	if dir == packet.ToServer {
		p.ended = true
		p.finish(out)
	}
}

// Release implements applayer.Parser.
func (p *Parser) Release() {
	p.txs.Release()
	if p.tx != nil {
		for _, a := range p.tx.Email.Files {
			a.release()
		}
	}
}

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	n, _ := p.txs.Count()
	size := int(unsafe.Sizeof(*p)) + n*int(unsafe.Sizeof(Tx{})) + cap(p.helo) + cap(p.pending)
	if p.tx != nil {
		size += p.tx.memory()
	}
	return size
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser: SMTP names no server.
func (p *Parser) Name() []byte { return nil }
