package smb

import (
	"math"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// chunk is a part of a file that a message carries. More of it may follow the message.
type chunk struct {
	file   FileID
	offset uint64
	length int
	data   []byte // as much as there is
}

// write2 reads a write request of SMB 2.
func (p *Parser) write2(h *header, r dcerpc.Reader) {
	r.Skip(4)
	n, offset := r.U32(), r.U64()
	id := r.Take(16)
	r.Skip(16)
	if r.Short {
		p.malformed()
		return
	}
	c := chunk{fileID(id), offset, int(n), r.B[:min(int(n), len(r.B))]}
	if p.maxWrite != 0 && n > p.maxWrite || c.length > len(r.B)+p.halves[packet.ToServer].skip {
		p.note(applayer.AnomalySMBWriteRequestTooLarge)
		return
	}
	tx := p.findTransfer(c.file, packet.ToServer)
	if tx == nil {
		if pipe, rpc := p.pipe(h, c.file, c.data); rpc {
			p.callRequest(h, c.data)
			return
		} else if pipe {
			return
		}
		tx = p.transfer(h, packet.ToServer, c.file, nil)
	}
	p.chunk(tx, c)
}

// readAnswer2 reads an answer of SMB 2 to a read request.
func (p *Parser) readAnswer2(h *header, r dcerpc.Reader) {
	if h.status == statusPending {
		return
	}
	asked := p.reads.take(h.requestKey())
	switch h.status {
	case statusSuccess, statusBufferOverflow:
	case statusEndOfFile:
		if asked == nil {
			return
		}
		if tx := p.findTransfer(asked.file, packet.ToClient); tx != nil {
			p.closeTransfer(tx, file.Closed)
			tx.answer(h.status, false)
			tx.complete[packet.ToServer] = true
		}
		return
	default:
		return
	}
	r.Skip(2 + 2)
	n := r.U32()
	r.Skip(4 + 4)
	switch {
	case r.Short:
		p.malformed()
		return
	case p.maxRead != 0 && n > p.maxRead || int(n) > len(r.B)+p.halves[packet.ToClient].skip:
		p.note(applayer.AnomalySMBReadResponseTooLarge)
		return
	case asked == nil:
		return
	}
	c := chunk{asked.file, asked.offset, int(n), r.B[:min(int(n), len(r.B))]}
	tx := p.findTransfer(c.file, packet.ToClient)
	if tx == nil {
		if pipe, rpc := p.pipe(h, c.file, c.data); rpc {
			p.callAnswer(h, c.file, c.data)
			return
		} else if pipe {
			return
		}
		tx = p.transfer(h, packet.ToClient, c.file, unknownName)
	}
	p.chunk(tx, c)
}

// findTransfer returns the transaction of a file in a direction, nil without one.
func (p *Parser) findTransfer(id FileID, dir packet.Dir) *Tx {
	return p.find(func(tx *Tx) bool { return tx.Kind == Transfer && tx.dir == dir && tx.Handle == id })
}

// transfer begins the transaction of a file that is written or read.
func (p *Parser) transfer(h *header, dir packet.Dir, id FileID, unnamed []byte) *Tx {
	tx := p.add(Transfer, 0, h)
	tx.dir, tx.Handle, tx.complete = dir, id, [2]bool{}
	if open := p.names.get(id); open != nil {
		unnamed = open.b
	}
	tx.set(Name, unnamed)
	// As in Suricata's records, some say less than is known.
	if t := p.trees.get(h.treeKey()); t != nil && (h.version == 1 || dir == packet.ToClient) {
		tx.set(Share, t.name.b)
	}
	if h.version == 1 {
		tx.SessionID, tx.TreeID = 0, 0
	}
	tx.file.Start(unnamed, p.out.Digests)
	return tx
}

// chunk takes a part of a file in, as far as it has come.
func (p *Parser) chunk(tx *Tx, c chunk) {
	h := &p.halves[tx.dir]
	h.file, h.fileLeft = c.file, c.length-len(c.data)
	switch size := tx.file.Size; {
	case c.offset < size:
		p.noteAt(tx, applayer.AnomalySMBFileOverlap)
		h.fileLeft = 0
		return
	case c.offset > size:
		p.lose(tx, int(min(c.offset-size, math.MaxInt32)))
	}
	p.fileBytes(tx.dir, c.file, c.data)
}

// Rules look at a file when this much of it is new, or it is closed, and at once where packets wait for
// them; and at as much again of what came before. Suricata's figures.
const (
	contentPart   = 32 << 10
	contentBefore = 4 << 10
)

// fileBytes takes the next bytes of a file.
func (p *Parser) fileBytes(dir packet.Dir, id FileID, data []byte) {
	tx := p.findTransfer(id, dir)
	if tx == nil || len(data) == 0 {
		return
	}
	tx.file.Write(data)
	if tx.looked > contentBefore {
		tx.drop(tx.looked - contentBefore)
	}
	tx.append(content, data)
	if p.out.Inline || len(tx.texts[content])-tx.looked >= contentPart {
		p.look(tx)
	}
}

// part returns how many more bytes of a file can come until rules are to look at it.
func (p *Parser) part(dir packet.Dir, id FileID) int {
	if tx := p.findTransfer(id, dir); tx != nil {
		return max(1, contentPart-(len(tx.texts[content])-tx.looked))
	}
	return contentPart
}

// look lets rules look at what is new of a file.
func (p *Parser) look(tx *Tx) {
	hook := applayer.SMBFileWritten
	if tx.dir == packet.ToClient {
		hook = applayer.SMBFileRead
	}
	tx.looked = len(tx.texts[content])
	p.out.Emit(hook, tx.dir, tx)
}

// drop takes n bytes away from what rules look at.
func (t *Tx) drop(n int) {
	rest := copy(t.texts[content], t.texts[content][n:])
	t.texts[content] = t.texts[content][:rest]
	t.looked = max(0, t.looked-n)
	t.charge(-n)
}

// fileGap notes that n bytes of a file are lost.
func (p *Parser) fileGap(dir packet.Dir, id FileID, n int) {
	if tx := p.findTransfer(id, dir); tx != nil && n > 0 {
		p.lose(tx, n)
	}
}

// lose notes that n bytes of a file are missing.
func (p *Parser) lose(tx *Tx, n int) {
	if len(tx.texts[content]) > tx.looked {
		p.look(tx)
	}
	tx.drop(len(tx.texts[content]))
	tx.file.Lose(n)
}

// closeFile ends the transfer of a file in a direction.
func (p *Parser) closeFile(id FileID, dir packet.Dir) {
	tx := p.findTransfer(id, dir)
	if tx == nil {
		return
	}
	p.closeTransfer(tx, file.Closed)
	tx.complete = [2]bool{true, true}
	if tx.Version == 2 {
		tx.answer(statusSuccess, false)
	}
}

func (p *Parser) closeTransfer(tx *Tx, s file.State) {
	if tx.file.State == file.Open {
		tx.file.Close(s)
		p.look(tx)
		p.out.EmitFile(tx.dir, tx, &tx.file)
	}
}
