package smb

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

// answer1 reads an answer of SMB 1. ok says that its block is whole.
func (p *Parser) answer1(b *block, ok bool) {
	h := b.header
	switch h.command {
	case cmd1Read:
		p.readAnswer1(b)
		return
	case cmd1WriteAndX:
		return
	case cmd1Trans:
		if ok {
			p.transAnswer(b)
		}
		return
	case cmd1Negotiate:
		if ok && p.negotiated1(b) {
			return
		}
	case cmd1TreeConnect:
		if p.treeConnected1(b, ok) {
			return
		}
	case cmd1TreeDisconnect:
		p.trees.take(h.treeKey())
	case cmd1Create:
		if ok && h.status == statusSuccess && p.created1(b) {
			return
		}
	case cmd1Close:
		if id := p.closes.take(h.key()); id != nil {
			p.closeFile(*id, packet.ToClient)
		}
	case cmd1SessionSetup:
		if tx := p.sessionSet(h); tx != nil && ok {
			p.sessionAnswer(tx, b)
		}
		return
	case cmd1Logoff: // which may be of another session than it was asked for in
		if tx := p.find(func(tx *Tx) bool { return tx.Version == 1 && tx.Command == cmd1Logoff }); tx != nil {
			p.complete(tx, h)
		}
		return
	}
	if tx := p.findCommand(byCommand, h); tx != nil {
		if !ok {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
		}
		p.complete(tx, h)
	}
}

func (p *Parser) negotiated1(b *block) bool {
	tx := p.find(func(tx *Tx) bool { return tx.Kind == Negotiate && tx.Version == 1 })
	if tx == nil {
		return false
	}
	index := 0
	if b.count > 0 {
		index = int(b.words.U16())
		if b.size >= 16 {
			tx.HasServer = copy(tx.ServerGUID[:], b.bytes.Take(16)) == 16
		}
	}
	found := false
	for i, dialect := range bytes.Split(tx.texts[Dialects], []byte{0}) {
		if i == index && len(dialect) > 0 {
			p.dialectName, found = append(p.dialectName[:0], dialect...), true
		}
	}
	if !found {
		p.noteAt(tx, applayer.AnomalySMBNegotiateMalformedDialects)
	}
	p.complete(tx, b.header)
	return true
}

func (p *Parser) treeConnected1(b *block, ok bool) bool {
	tx := p.findKind(TreeConnect, byTree, b.session, b.message)
	if tx == nil {
		return false
	}
	if b.status == statusSuccess && ok {
		service, _, _ := bytes.Cut(b.bytes.B, []byte{0})
		tx.set(ResponseService, service)
		tx.HasResponseService = true
		p.connected(tx, b.header, string(service) == "IPC")
	}
	p.treeDone(tx, b.header)
	return true
}

func (p *Parser) created1(b *block) bool {
	w := b.words
	w.Skip(4 + 1)
	fid := w.Take(2)
	w.Skip(4)
	var times [4]uint64
	for i := range times {
		times[i] = w.U64()
	}
	w.Skip(4)
	size := w.U64()
	if w.Short {
		return false
	}
	p.opened(b.requestKey(), fid1(fid, b.session))
	if tx := p.findCommand(byCommand, b.header); tx != nil {
		tx.Handle, tx.Times, tx.Size = fileID(fid), times, size
		p.complete(tx, b.header)
	}
	return true
}

func (p *Parser) sessionAnswer(tx *Tx, b *block) {
	if b.count > 3 {
		b.words.Skip(4 + 2)
		b.bytes.Skip(int(b.words.U16()))
	}
	tx.HasResponseOS = true
	tx.texts[ResponseOS], tx.texts[ResponseManager] = p.system(tx, b)
}

// trans reads a transaction with a pipe (MS-CIFS, 2.2.4.33).
func (p *Parser) trans(b *block) bool {
	w := b.words
	w.Skip(2 + 2 + 2 + 2 + 1 + 1 + 2 + 4 + 2 + 2 + 2)
	n, at := int(w.U16()), int(w.U16())
	setup := w.U8()
	w.Skip(1)
	if w.Short {
		return false
	}
	if b.count != 16 || setup != 2 || n == 0 {
		return true
	}
	w.Skip(2)
	fid := w.Take(2)
	if fid == nil {
		return false
	}
	*p.closes.put(b.key()) = fileID(fid)
	if p.isRPC(fid1(fid, b.session)) {
		p.callRequest(b.header, b.slice(at, n))
	}
	return true
}

func (p *Parser) transAnswer(b *block) {
	asked := p.closes.take(b.key())
	if asked == nil || b.count < 10 {
		return
	}
	fid := *asked
	w := b.words
	w.Skip(2 + 2 + 2 + 2 + 2 + 2)
	n, at := int(w.U16()), int(w.U16())
	if p.isRPC(fid1(fid.ID[:2], b.session)) {
		p.callAnswer(b.header, fid, b.slice(at, n))
	}
}

// Commands of TRANS2, and levels of information.
const (
	trans2SetPathInfo = 6
	trans2SetFileInfo = 8
	levelRename       = 1010
	levelDisposition  = 1013
)

// trans2 reads a transaction that sets what a file is called, or whether it goes.
func (p *Parser) trans2(b *block) bool {
	w := b.words
	w.Skip(2 + 2 + 2 + 2 + 1 + 1 + 2 + 4 + 2)
	n, at := int(w.U16()), int(w.U16())
	dataSize, dataAt := int(w.U16()), int(w.U16())
	w.Skip(2)
	command := w.U16()
	if w.Short {
		return false
	}
	params, data := dcerpc.Reader{B: b.slice(at, n)}, dcerpc.Reader{B: b.slice(dataAt, dataSize)}
	var id FileID
	var level uint16
	var name []byte
	switch command {
	case trans2SetPathInfo:
		level = params.U16()
		params.Skip(4)
		for len(params.B) > 1 && (params.B[0] != 0 || params.B[1] != 0) {
			name = append(name, params.B[0])
			params.Skip(2)
		}
	case trans2SetFileInfo:
		fid := params.Take(2)
		level = params.U16()
		if params.Short {
			return false
		}
		id, name = fileID(fid), unknownName
		if open := p.names.get(fid1(fid, b.session)); open != nil {
			name = open.b
		}
	default:
		return false
	}
	switch level {
	case levelRename:
		data.Skip(1 + 3 + 4)
		to := data.Take(int(data.U32()))
		if data.Short {
			return false
		}
		p.rename(b.header, name, to, id)
		return true
	case levelDisposition:
		del := data.U8()&1 != 0
		if data.Short {
			return false
		}
		tx := p.add(SetInfo, byCommand, b.header)
		tx.Handle, tx.Delete, tx.Class, tx.Level = id, del, command, level
		tx.setNarrow(Name, name)
		p.asks(tx)
		return true
	}
	return false
}

// write1 reads the three requests of SMB 1 to write.
func (p *Parser) write1(b *block) bool {
	w := b.words
	c := chunk{}
	var fid []byte
	switch b.command {
	case cmd1WriteAndX:
		w.Skip(4)
		fid = w.Take(2)
		c.offset = uint64(w.U32())
		w.Skip(4 + 2 + 2)
		high := int(w.U16())
		c.length = high<<16 | int(w.U16())
		at := int(w.U16())
		if b.count == 14 {
			c.offset |= uint64(w.U32()) << 32
		}
		c.data = b.slice(at, c.length)
	case cmd1Write:
		fid = w.Take(2)
		w.Skip(2)
		c.offset = uint64(w.U32())
		b.bytes.Skip(1)
		c.length = int(b.bytes.U16())
		c.data = b.bytes.B[:min(c.length, len(b.bytes.B))]
	default:
		fid = w.Take(2)
		c.length = int(w.U16())
		c.offset = uint64(w.U32())
		b.bytes.Skip(max(0, b.size-c.length))
		c.data = b.bytes.B[:min(c.length, len(b.bytes.B))]
	}
	if w.Short || b.bytes.Short {
		return false
	}
	c.file = fid1(fid, b.session)
	tx := p.findTransfer(c.file, packet.ToServer)
	if tx == nil {
		if t := p.trees.get(b.treeKey()); t != nil && t.pipe {
			p.callRequest(b.header, c.data)
			return true
		}
		tx = p.transfer(b.header, packet.ToServer, c.file, unknownName)
		tx.Command = cmd1WriteAndX
	}
	p.chunk(tx, c)
	if b.command == cmd1WriteAndClose {
		p.closeFile(c.file, packet.ToServer)
	}
	return true
}

// readAnswer1 reads the answer to a request to read.
func (p *Parser) readAnswer1(b *block) {
	asked := p.reads.take(b.key())
	if asked == nil || b.status != statusSuccess {
		return
	}
	w := b.words
	w.Skip(4 + 6)
	low, at, high := int(w.U16()), int(w.U16()), int(w.U32())
	if w.Short {
		p.faulty(b.header)
		return
	}
	c := chunk{file: asked.file, offset: asked.offset, length: high<<16 | low}
	c.data = b.slice(at, c.length)
	if t := p.trees.get(b.treeKey()); t != nil && t.pipe {
		p.callAnswer(b.header, fileID(c.file.ID[:2]), c.data)
		return
	}
	tx := p.findTransfer(c.file, packet.ToClient)
	if tx == nil {
		tx = p.transfer(b.header, packet.ToClient, c.file, nil)
	}
	p.chunk(tx, c)
}
