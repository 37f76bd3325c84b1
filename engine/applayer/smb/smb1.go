package smb

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

// block is a command of SMB 1 behind the header (MS-CIFS, 2.2.3): a number of words, the words,
// the number of bytes, the bytes. Those are looked for to the end of the message.
type block struct {
	*header
	at    int // offset in the message
	count int // of words
	words dcerpc.Reader
	bytes dcerpc.Reader
	size  int // that the bytes claim
}

// block returns the command at an offset of the message.
func (h *header) block(at int) (b block, ok bool) {
	b = block{header: h, at: at}
	if at < header1 || at-header1 >= len(h.body) {
		return b, false
	}
	r := dcerpc.Reader{B: h.body[at-header1:]}
	b.count = int(r.U8())
	b.words.B = r.B[:min(2*b.count, len(r.B))]
	r.Skip(2 * b.count)
	b.size = int(r.U16())
	b.bytes.B = r.B
	return b, !r.Short
}

// slice returns what an offset and a length in the words point to, as much of it as there is.
func (b *block) slice(at, n int) []byte {
	start := at - header1
	if start < 0 || start > len(b.body) || n < 0 {
		return nil
	}
	return b.body[start:min(start+n, len(b.body))]
}

// text takes a string off the bytes and appends it: of UTF-16, which begins at an even offset, the
// lower halves. ok is false when it has no end.
func (b *block) text(dst []byte) (text []byte, ok bool) {
	r := &b.bytes
	if !b.unicode {
		s, rest, found := bytes.Cut(r.B, []byte{0})
		r.B = rest
		return append(dst, s...), found
	}
	if (len(b.body)-len(r.B))%2 == 1 {
		r.Skip(1)
	}
	for len(r.B) > 1 {
		low, high := r.B[0], r.B[1]
		r.B = r.B[2:]
		if low == 0 && high == 0 {
			return dst, true
		}
		dst = append(dst, low)
	}
	ok = len(r.B) == 1 && r.B[0] == 0
	r.B = nil
	return dst, ok
}

// string is text without memory of its own to write to.
func (b *block) string() ([]byte, bool) { return b.text(nil) }

func isAndX(command uint16) bool {
	switch command {
	case cmd1Locking, cmd1Open, cmd1Read, cmd1WriteAndX, cmd1SessionSetup, cmd1Logoff, cmd1TreeConnect, cmd1Create:
		return true
	}
	return false
}

// commands1 reads the commands of a message of SMB 1: one of an AndX kind can say where another is.
func (p *Parser) commands1(dir packet.Dir, h *header) {
	at := header1
	for {
		b, ok := h.block(at)
		if dir == packet.ToServer {
			p.request1(&b, ok)
		} else {
			p.answer1(&b, ok)
		}
		if !ok || !isAndX(h.command) || b.count < 2 {
			return
		}
		next := uint16(b.words.U8())
		b.words.Skip(1)
		offset := int(b.words.U16())
		if next == cmd1None || offset <= at {
			return
		}
		at, h.command = offset, next
	}
}

// request1 reads a request. ok says that its block is whole.
func (p *Parser) request1(b *block, ok bool) {
	h := b.header
	known := false // there is a transaction of its own
	w := b.words
	switch h.command {
	case cmd1Rename:
		known = ok && p.rename1(b)
	case cmd1Trans:
		if !ok || !p.trans(b) {
			p.faulty(h)
		}
		return
	case cmd1Trans2:
		if known = ok && p.trans2(b); !known {
			return
		}
	case cmd1Read:
		if ok {
			p.read1(b)
		}
		return
	case cmd1WriteAndX, cmd1Write, cmd1WriteAndClose:
		if !p.write1(b) {
			p.faulty(h)
		} else if h.command != cmd1WriteAndX {
			p.asks(p.add(Generic, byCommand, h))
		}
		return
	case cmd1Negotiate:
		known = ok && p.negotiate1(b)
	case cmd1Create:
		known = ok && p.create1(b)
	case cmd1SessionSetup:
		if ok {
			p.sessionSetup1(b)
		}
		return
	case cmd1TreeConnect:
		known = ok && p.treeConnect1(b)
	case cmd1TreeDisconnect:
		p.trees.take(h.treeKey())
	case cmd1Close:
		if fid := w.Take(2); fid != nil {
			id := fid1(fid, h.session)
			*p.closes.put(h.key()) = id
			p.closeFile(id, packet.ToServer)
		}
	}
	if known {
		return
	}
	tx := p.add(Generic, byCommand, h)
	if !ok {
		p.noteAt(tx, applayer.AnomalySMBMalformedData)
	}
	switch h.command {
	case cmd1Cancel, cmd1Trans2More, cmd1Locking:
		tx.complete[packet.ToClient] = true // no answer comes
	}
	p.asks(tx)
}

// faulty makes a transaction of a command that has none, for its fault.
func (p *Parser) faulty(h *header) {
	tx := p.add(Generic, byCommand, h)
	p.noteAt(tx, applayer.AnomalySMBMalformedData)
	p.asks(tx)
}

func (p *Parser) rename1(b *block) bool {
	b.bytes.Skip(1)
	from, ok := b.string()
	b.bytes.Skip(1)
	to, ok2 := b.string()
	if !ok || !ok2 {
		return false
	}
	p.rename(b.header, from, to, FileID{})
	return true
}

// rename begins the transaction of giving a file another name.
func (p *Parser) rename(h *header, from, to []byte, id FileID) {
	tx := p.add(Rename, byCommand, h)
	tx.Handle = id
	tx.setNarrow(Name, from)
	tx.setNarrow(NewName, to)
	p.asks(tx)
}

func (p *Parser) negotiate1(b *block) bool {
	list := b.bytes.B[:min(b.size, len(b.bytes.B))]
	if bytes.IndexByte(list, 0) < 0 {
		return false
	}
	if tx := p.find(func(tx *Tx) bool { return tx.Kind == Negotiate && tx.Version == 1 }); tx != nil {
		p.noteAt(tx, applayer.AnomalySMBDuplicateNegotiate)
		return true
	}
	tx := p.add(Negotiate, 0, b.header)
	tx.SessionID, tx.TreeID = 0, 0
	for {
		dialect, rest, found := bytes.Cut(list, []byte{0})
		if !found {
			break
		}
		list = rest
		if len(dialect) < 2 { // a byte of the format, and a name
			p.noteAt(tx, applayer.AnomalySMBNegotiateMalformedDialects)
		}
		if len(dialect) > 0 {
			tx.append(Dialects, dialect[1:])
			tx.append(Dialects, []byte{0})
		}
	}
	p.asks(tx)
	return true
}

func (p *Parser) create1(b *block) bool {
	w := b.words
	w.Skip(4 + 1)
	n := int(w.U16())
	w.Skip(28)
	disposition, options := w.U32(), w.U32()
	if w.Short || b.count < 24 {
		return false
	}
	if b.unicode && (len(b.body)-len(b.bytes.B))%2 == 1 {
		b.bytes.Skip(1)
	}
	name := b.bytes.B[:min(n, len(b.bytes.B))]
	p.remember(p.creates.put(b.requestKey()), name)
	p.create(b.header, name, disposition, options)
	return true
}

func (p *Parser) sessionSetup1(b *block) {
	tx := p.add(SessionSetup, byHeader, b.header)
	tx.TreeID = 0
	w := b.words
	w.Skip(4 + 2 + 2 + 2 + 4)
	first := int(w.U16())
	if b.count == 13 { // without extended security: two passwords, account and domain
		b.bytes.Skip(first + int(w.U16()))
		b.string()
		b.string()
	} else {
		p.authenticate(tx, b.bytes.Take(first))
	}
	tx.HasRequestOS = true
	tx.texts[RequestOS], tx.texts[RequestManager] = p.system(tx, b)
	p.asks(tx)
}

// system takes the names of a system and of its LAN manager.
func (p *Parser) system(tx *Tx, b *block) (os, manager []byte) {
	os, _ = b.string()
	manager, _ = b.string()
	tx.charge(len(os) + len(manager))
	return os, manager
}

func (p *Parser) treeConnect1(b *block) bool {
	w := b.words
	w.Skip(4 + 2)
	b.bytes.Skip(int(w.U16()))
	path, ok := b.string()
	service, _, found := bytes.Cut(b.bytes.B, []byte{0})
	if !ok || !found {
		return false
	}
	if len(path) > 1 { // a backslash
		path = path[1:]
	}
	tx := p.add(TreeConnect, byTree, b.header)
	tx.TreeID = 0
	tx.set(Name, path)
	tx.set(RequestService, service)
	tx.HasRequestService = true
	p.asks(tx)
	return true
}

func (p *Parser) read1(b *block) {
	w := b.words
	w.Skip(4)
	fid := w.Take(2)
	offset := uint64(w.U32())
	w.Skip(2 + 2 + 4 + 2)
	if b.count == 12 {
		offset |= uint64(w.U32()) << 32
	}
	if !w.Short {
		*p.reads.put(b.key()) = read{fid1(fid, b.session), offset}
	}
}
