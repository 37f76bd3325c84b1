package smb

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

// Limits. Those of caches and transactions are Suricata's.
const (
	maxTxs   = 1024
	maxNames = 1024
	maxReads = 128
	maxTrees = 512
	maxParts = 128

	// maxHeld is how many bytes of names, stub data and the like are held.
	maxHeld = 1 << 20

	// maxName is how much of a file's name is remembered while it is open.
	maxName = 1 << 10

	maxInterfaces = 256
)

// MaxMemory is about how many bytes a Parser can hold.
const MaxMemory = 4*maxHeld + maxTxs*(txSize+numTexts*keepText) + 2*maxNames*(maxName+64) + 256<<10

// name is as it was sent, without zeros.
type name struct{ b []byte }

// remember sets a name to as much of b as is of use.
func (p *Parser) remember(n *name, b []byte) {
	p.held -= cap(n.b)
	n.b = n.b[:0]
	for _, c := range b[:min(len(b), 2*maxName)] {
		if c != 0 && len(n.b) < maxName {
			n.b = append(n.b, c)
		}
	}
	p.held += cap(n.b)
}

// messageKey finds what a message was about, from its answer.
type messageKey struct {
	session uint64
	tree    uint32
	message uint64
}

type treeKey struct {
	session uint64
	tree    uint32
}

// tree is a share that a client is connected to.
type tree struct {
	name name
	pipe bool
}

// part is what has come of a DCERPC fragment that several answers carry.
type part struct{ data []byte }

type partKey struct {
	treeKey
	file FileID
}

// read is a request to read.
type read struct {
	file   FileID
	offset uint64
}

// Parser follows one connection.
type Parser struct {
	txs    applayer.Txs[Tx, *Tx]
	out    *applayer.Sink // of the call at hand
	dir    packet.Dir     // of the same
	halves [2]half
	ended  [2]bool
	done   bool
	held   int // bytes of texts, of names of open files and of parts

	dialect           uint16
	dialectName       []byte // of SMB 1
	maxRead, maxWrite uint32
	asked             []dcerpc.Interface // by the last bind

	creates cache[messageKey, name]   // by the request
	closes  cache[messageKey, FileID] // of SMB 1, by the request
	names   cache[FileID, name]       // of open files
	reads   cache[messageKey, read]
	trees   cache[treeKey, tree]
	parts   cache[partKey, part]
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(uint8) {
	p.txs.Reset()
	*p = Parser{txs: p.txs, dialectName: p.dialectName[:0], asked: p.asked[:0]}
	p.creates.limit, p.closes.limit, p.names.limit = maxNames, maxNames, maxNames
	p.reads.limit, p.trees.limit, p.parts.limit = maxReads, maxTrees, maxParts
}

// add begins a transaction.
func (p *Parser) add(kind Kind, origin origin, h *header) *Tx {
	if len(p.txs.Live) >= maxTxs {
		old := p.txs.Live[0]
		p.noteAt(old, applayer.AnomalySMBTooManyTransactions)
		old.complete = [2]bool{true, true}
		p.finish()
	}
	tx := p.txs.Add()
	tx.p, tx.Kind, tx.origin = p, kind, origin
	tx.Version, tx.Command = h.version, h.command
	tx.SessionID, tx.TreeID, tx.message = h.session, h.tree, h.message
	tx.complete[packet.ToServer] = true
	return tx
}

// asks tells rules that the request of a transaction is read.
func (p *Parser) asks(tx *Tx) { p.out.Emit(applayer.SMBRequest, packet.ToServer, tx) }

// answers tells rules that the answer of a transaction is read.
func (p *Parser) answers(tx *Tx) { p.out.Emit(applayer.SMBResponse, packet.ToClient, tx) }

// find returns the open transaction that want is true for, nil without one.
func (p *Parser) find(want func(*Tx) bool) *Tx {
	for _, tx := range p.txs.Live {
		if want(tx) {
			return tx
		}
	}
	return nil
}

// findCommand returns the open transaction that a message answers.
func (p *Parser) findCommand(o origin, h *header) *Tx {
	return p.find(func(tx *Tx) bool {
		return tx.origin == o && tx.Version == h.version && tx.Command == h.command && tx.SessionID == h.session && tx.message == h.message
	})
}

// findKind is findCommand for the transactions of a kind.
func (p *Parser) findKind(kind Kind, o origin, session, message uint64) *Tx {
	return p.find(func(tx *Tx) bool {
		return tx.Kind == kind && tx.origin == o && tx.SessionID == session && tx.message == message
	})
}

// note adds an anomaly to the newest transaction.
func (p *Parser) note(a applayer.Anomaly) {
	if tx, ok := p.txs.Last().(*Tx); ok && tx != nil {
		p.noteAt(tx, a)
	}
}

func (p *Parser) noteAt(tx *Tx, a applayer.Anomaly) {
	if tx.Note(a) {
		p.out.Emit(applayer.AnomalySeen, p.dir, tx)
	}
}

// malformed notes that a message cannot be read.
func (p *Parser) malformed() { p.note(applayer.AnomalySMBMalformedData) }

// finish ends the transactions of which nothing more will come.
func (p *Parser) finish() {
	for i := 0; i < len(p.txs.Live); {
		tx := p.txs.Live[i]
		if tx.complete != [2]bool{true, true} {
			i++
			continue
		}
		if tx.Kind == TreeConnect && !tx.told {
			p.tree(tx)
		}
		p.out.Emit(applayer.TxDone, packet.ToServer, p.txs.Done(i))
	}
}

// close takes a direction as over for all transactions.
func (p *Parser) close(dir packet.Dir) {
	for _, tx := range p.txs.Live {
		tx.complete[dir] = true
	}
	p.finish()
}

// End implements applayer.Parser.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	p.out, p.dir, p.ended[dir] = out, dir, true
	if p.ended[dir.Reverse()] {
		p.close(packet.ToServer)
		p.close(packet.ToClient)
	}
	p.out = nil
}

// Release implements applayer.Parser.
func (p *Parser) Release() { p.txs.Release() }

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	txs, _ := p.txs.Count()
	return int(unsafe.Sizeof(*p)) + txs*(txSize+numTexts*keepText) + 2*p.held + cap(p.dialectName) +
		cap(p.asked)*int(unsafe.Sizeof(dcerpc.Interface{})) +
		(len(p.creates.slots)+len(p.closes.slots)+len(p.names.slots)+len(p.reads.slots)+len(p.trees.slots)+len(p.parts.slots))*slotSize
}

// slotSize is about what an entry of a cache takes beside the memory that its value holds.
const slotSize = 128

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser.
func (p *Parser) Name() []byte { return nil }
