package smb

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

func (h *header) key() messageKey { return messageKey{h.session, h.tree, h.message} }

// requestKey is key without the tree, which asynchronous answers do not say.
func (h *header) requestKey() messageKey { return messageKey{session: h.session, message: h.message} }

func (h *header) treeKey() treeKey { return treeKey{h.session, h.tree} }

// request2 reads a request of SMB 2 (MS-SMB2, 2.2). Offsets within it are not looked at: what
// they point to follows at once.
func (p *Parser) request2(h *header) {
	r := dcerpc.Reader{B: h.body}
	known := false // there is a transaction of its own
	switch h.command {
	case cmd2Negotiate:
		known = p.negotiate2(h, r)
	case cmd2SessionSetup:
		p.sessionSetup2(h, r)
		return
	case cmd2TreeConnect:
		r.Skip(2 + 2 + 2)
		n := int(r.U16())
		if known = !r.Short; known {
			tx := p.add(TreeConnect, byTree, h)
			tx.TreeID = 0
			tx.setNarrow(Name, r.B[:min(n, len(r.B))])
			p.asks(tx)
		}
	case cmd2TreeDisconnect:
		p.trees.take(h.treeKey())
	case cmd2Create:
		known = p.create2(h, r)
	case cmd2Close:
		r.Skip(8)
		if id := r.Take(16); id != nil {
			p.closeFile(fileID(id), packet.ToServer)
			p.closeFile(fileID(id), packet.ToClient)
		}
	case cmd2Read:
		p.read2(h, r)
		return
	case cmd2Write:
		p.write2(h, r)
		return
	case cmd2Ioctl:
		p.ioctl2(h, r)
		return
	case cmd2SetInfo:
		p.setInfo2(h, r)
		return
	case cmd2GetInfo:
		return
	}
	if !known {
		tx := p.add(Generic, byCommand, h)
		if r.Short {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
		}
		p.asks(tx)
	}
}

func (p *Parser) negotiate2(h *header, r dcerpc.Reader) bool {
	r.Skip(2)
	n := int(r.U16())
	r.Skip(2 + 2 + 4)
	guid := r.Take(16)
	r.Skip(8)
	dialects := dcerpc.Reader{B: r.Take(2 * n)}
	if r.Short {
		return false
	}
	if p.find(func(tx *Tx) bool { return tx.Kind == Negotiate && tx.Version == 2 }) != nil {
		return true
	}
	tx := p.add(Negotiate, 0, h)
	copy(tx.ClientGUID[:], guid)
	tx.HasClient = true
	tx.SessionID, tx.TreeID = 0, 0
	for range n {
		tx.Dialects2 = append(tx.Dialects2, dialects.U16())
	}
	tx.charge(2 * n)
	p.asks(tx)
	return true
}

func (p *Parser) sessionSetup2(h *header, r dcerpc.Reader) {
	r.Skip(2 + 1 + 1 + 4 + 4 + 2 + 2 + 8)
	if r.Short {
		return
	}
	tx := p.add(SessionSetup, byHeader, h)
	p.authenticate(tx, r.B)
	p.asks(tx)
}

// Options of a create request.
const (
	createDirectory     = 1
	createDeleteOnClose = 0x1000
)

func (p *Parser) create2(h *header, r dcerpc.Reader) bool {
	r.Skip(36)
	disposition, options := r.U32(), r.U32()
	r.Skip(2)
	n := int(r.U16())
	r.Skip(8)
	name := r.Take(n)
	if r.Short {
		return false
	}
	p.remember(p.creates.put(h.requestKey()), name)
	p.create(h, name, disposition, options)
	return true
}

// create begins the transaction of opening a file.
func (p *Parser) create(h *header, name []byte, disposition, options uint32) {
	tx := p.add(Create, byCommand, h)
	tx.setNarrow(Name, name)
	tx.Disposition, tx.Delete, tx.Directory = disposition, options&createDeleteOnClose != 0, options&createDirectory != 0
	p.asks(tx)
}

func (p *Parser) read2(h *header, r dcerpc.Reader) {
	r.Skip(4)
	n, offset := r.U32(), r.U64()
	id := r.Take(16)
	r.Skip(16)
	switch {
	case r.Short:
	case p.maxRead != 0 && n > p.maxRead:
	default:
		*p.reads.put(h.requestKey()) = read{fileID(id), offset}
	}
}

// Information that a SET_INFO request can be about (MS-FSCC, 2.4).
const (
	classFile       = 1
	infoRename      = 10
	infoDisposition = 13
)

func (p *Parser) setInfo2(h *header, r dcerpc.Reader) {
	r.Skip(2)
	class, level := r.U8(), r.U8()
	n := int(r.U32())
	r.Skip(2 + 2 + 4)
	id := r.Take(16)
	info := dcerpc.Reader{B: r.Take(n)}
	if r.Short || class != classFile {
		return
	}
	name := unknownName
	if open := p.names.get(fileID(id)); open != nil {
		name = open.b
	}
	switch level {
	case infoRename:
		info.Skip(16)
		to := info.Take(int(info.U32()))
		if info.Short {
			return
		}
		tx := p.add(Rename, byCommand, h)
		tx.Handle = fileID(id)
		tx.set(Name, name)
		tx.setNarrow(NewName, to)
		p.asks(tx)
	case infoDisposition:
		del := info.U8()&1 != 0
		if info.Short {
			return
		}
		// In a compound request the file may be the one that is just being opened.
		before := h.requestKey()
		before.message--
		if open := p.creates.get(before); open != nil && h.message > 0 && string(name) == string(unknownName) {
			name = open.b
		}
		tx := p.add(SetInfo, byCommand, h)
		tx.Handle, tx.Delete, tx.Class, tx.Level = fileID(id), del, uint16(class), uint16(level)
		tx.set(Name, name)
		p.asks(tx)
	}
}

var unknownName = []byte("<unknown>")

func (p *Parser) ioctl2(h *header, r dcerpc.Reader) {
	r.Skip(2 + 2)
	function := r.U32()
	id := r.Take(16)
	r.Skip(4)
	n := int(r.U32())
	r.Skip(4 + 4 + 4 + 12)
	data := r.Take(n)
	switch {
	case r.Short:
		tx := p.add(Generic, byHeader, h)
		p.noteAt(tx, applayer.AnomalySMBMalformedData)
		p.asks(tx)
	case function == fsctlTransceive && p.isRPC(fileID(id)):
		p.callRequest(h, data)
	default:
		tx := p.add(Ioctl, byHeader, h)
		tx.Function = function
		p.asks(tx)
	}
}

// answer2 reads an answer of SMB 2.
func (p *Parser) answer2(h *header) {
	r := dcerpc.Reader{B: h.body}
	switch h.command {
	case cmd2Negotiate:
		if p.negotiated2(h, r) {
			return
		}
	case cmd2SessionSetup:
		p.sessionSet(h)
		return
	case cmd2TreeConnect:
		if p.treeConnected2(h, r) {
			return
		}
	case cmd2TreeDisconnect:
		p.trees.take(h.treeKey())
	case cmd2Create:
		if h.status == statusSuccess {
			p.created2(h, r)
			return
		}
	case cmd2Read:
		p.readAnswer2(h, r)
	case cmd2Ioctl:
		p.ioctlAnswer2(h, r)
		return
	}
	if tx := p.findCommand(byCommand, h); tx != nil {
		p.complete(tx, h)
	}
}

// complete takes an answer that says nothing but a status.
func (p *Parser) complete(tx *Tx, h *header) {
	tx.answer(h.status, h.dos)
	if h.version == 1 || h.status != statusPending {
		tx.complete = [2]bool{true, true}
	}
	p.answers(tx)
}

func (p *Parser) negotiated2(h *header, r dcerpc.Reader) bool {
	var dialect uint16
	var guid []byte
	var maxRead, maxWrite uint32
	r.Skip(4)
	if h.status == statusSuccess {
		dialect = r.U16()
		r.Skip(2)
		guid = r.Take(16)
		r.Skip(4 + 4)
		maxRead, maxWrite = r.U32(), r.U32()
	}
	if r.Short {
		p.malformed()
		return false
	}
	p.dialect, p.maxRead, p.maxWrite = dialect, maxRead, maxWrite
	tx := p.find(func(tx *Tx) bool { return tx.Kind == Negotiate && tx.Version == 2 })
	if tx == nil { // an answer of SMB 2 to a request of SMB 1
		tx = p.find(func(tx *Tx) bool { return tx.Kind == Negotiate })
	}
	if tx == nil {
		return false
	}
	tx.HasServer = copy(tx.ServerGUID[:], guid) > 0
	p.complete(tx, h)
	return true
}

// sessionSet takes the answer to a session setup. The first request has no session yet.
func (p *Parser) sessionSet(h *header) *Tx {
	tx := p.findKind(SessionSetup, byHeader, h.session, h.message)
	if tx == nil {
		tx = p.findKind(SessionSetup, byHeader, 0, h.message)
	}
	if tx != nil {
		tx.SessionID, tx.TreeID = h.session, h.tree
		tx.answer(h.status, h.dos)
		tx.complete[packet.ToClient] = true
		p.answers(tx)
	}
	return tx
}

const sharePipe = 2

func (p *Parser) treeConnected2(h *header, r dcerpc.Reader) bool {
	tx := p.findKind(TreeConnect, byTree, h.session, h.message)
	if tx == nil {
		return false
	}
	if h.status == statusSuccess {
		r.Skip(2)
		kind := r.U8()
		r.Skip(1 + 4 + 4)
		if r.Short {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
			return false
		}
		tx.ShareType = kind
		p.connected(tx, h, kind == sharePipe)
	}
	p.treeDone(tx, h)
	return true
}

// connected notes the kind of share that a tree is.
func (p *Parser) connected(tx *Tx, h *header, pipe bool) {
	tx.Pipe, tx.TreeID = pipe, h.tree
	t := p.trees.put(h.treeKey())
	p.remember(&t.name, tx.texts[Name])
	t.pipe = pipe
}

// treeDone ends the transaction of a tree.
func (p *Parser) treeDone(tx *Tx, h *header) {
	tx.answer(h.status, h.dos)
	tx.complete[packet.ToClient] = true
	p.tree(tx)
	p.answers(tx)
}

// tree tells rules what kind of share a tree is, as far as the server has said.
func (p *Parser) tree(tx *Tx) {
	tx.told = true
	p.out.Emit(applayer.SMBTree, packet.ToServer, tx)
}

func (p *Parser) created2(h *header, r dcerpc.Reader) {
	tx := p.findCommand(byCommand, h)
	var times [4]uint64
	r.Skip(8)
	for i := range times {
		times[i] = r.U64()
	}
	r.Skip(8)
	size := r.U64()
	r.Skip(8)
	id := r.Take(16)
	r.Skip(8)
	if r.Short {
		p.malformed()
		if tx != nil {
			p.complete(tx, h)
		}
		return
	}
	p.opened(h.requestKey(), fileID(id))
	if tx != nil {
		tx.Handle, tx.Size, tx.Times = fileID(id), size, times
		p.complete(tx, h)
	}
}

// opened moves the name of a file from its request to its handle.
func (p *Parser) opened(request messageKey, id FileID) {
	if asked := p.creates.take(request); asked != nil {
		b := asked.b
		p.remember(p.names.put(id), b)
	}
}

func (p *Parser) ioctlAnswer2(h *header, r dcerpc.Reader) {
	r.Skip(2 + 2)
	function := r.U32()
	id := r.Take(16)
	r.Skip(4)
	in := int(r.U32())
	r.Skip(4)
	out := int(r.U32())
	r.Skip(8 + in)
	data := r.Take(out)
	if !r.Short && function == fsctlTransceive && p.isRPC(fileID(id)) {
		p.callAnswer(h, FileID{}, data)
		return
	}
	if tx := p.findCommand(byHeader, h); tx != nil {
		if r.Short && h.status == statusSuccess {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
		}
		p.complete(tx, h)
	}
}
