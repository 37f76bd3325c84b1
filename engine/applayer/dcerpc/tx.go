package dcerpc

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Tx is a call and its answer, or a bind and its. Records show its exported fields.
type Tx struct {
	applayer.TxState
	p *Parser

	UDP               bool
	Minor             uint8 // version
	Request, Response uint8 // types of PDUs, as far as Asked and Answered
	Asked, Answered   bool
	CallID            uint32
	Opnum             uint16
	StubSize          [2]int // by direction
	Activity          UUID   // over UDP, with Sequence
	Sequence          uint32

	context  uint16
	called   bool // a request was read
	big      bool
	complete [2]bool // nothing more will come of a direction
	stub     [2][]byte
	match    []byte // scratch of interfaces
}

const txSize = int(unsafe.Sizeof(Tx{}))

// keepStub is how much memory for stub data a transaction keeps for reuse.
const keepStub = 1 << 10

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	for dir := range t.stub {
		if t.p != nil {
			t.p.held -= len(t.stub[dir])
		}
		if t.stub[dir] = t.stub[dir][:0]; cap(t.stub[dir]) > keepStub {
			t.stub[dir] = nil
		}
	}
	*t = Tx{TxState: t.TxState, stub: t.stub, match: t.match, Request: Request, Response: Response}
	t.TxState.Reset(id)
}

// Interfaces returns what a bind asked for, with the server's answers.
func (t *Tx) Interfaces() []Interface {
	if t.UDP || t.Request != Bind {
		return nil
	}
	return t.p.asked
}

// add takes stub data of a direction in.
func (t *Tx) add(dir packet.Dir, stub []byte) {
	t.StubSize[dir] += len(stub)
	stub = stub[:min(len(stub), max(0, maxHeld-t.p.held))]
	t.stub[dir] = append(t.stub[dir], stub...)
	t.p.held += len(stub)
}

// Value implements applayer.Tx.
func (t *Tx) Value(b applayer.Buffer, i int) (value []byte, ok bool) {
	switch b {
	case applayer.DCERPCRequestStub:
		return t.stub[packet.ToServer], i == 0 && len(t.stub[packet.ToServer]) > 0
	case applayer.DCERPCResponseStub:
		return t.stub[packet.ToClient], i == 0 && len(t.stub[packet.ToClient]) > 0
	case applayer.DCERPCRequestInterface, applayer.DCERPCResponseInterface:
		return t.iface(i)
	}
	return nil, false
}

// iface returns interface i of those that the call may be meant for.
func (t *Tx) iface(i int) (value []byte, ok bool) {
	if !t.called || t.UDP {
		return nil, false
	}
	for k := range t.p.asked {
		a := &t.p.asked[k]
		if !a.Accepted() || a.Context != t.context {
			continue
		}
		if i == 0 {
			t.match = a.AppendMatch(t.match[:0])
			return t.match, true
		}
		i--
	}
	return nil, false
}

// Number implements applayer.Tx.
func (t *Tx) Number(n applayer.Number, i int) (value uint64, ok bool) {
	switch n {
	case applayer.DCERPCRequestOpnum, applayer.DCERPCResponseOpnum:
		return uint64(t.Opnum), i == 0 && t.called
	}
	return 0, false
}

// LittleEndian reports the byte order of the stub data, for rules that read numbers in it.
func (t *Tx) LittleEndian() bool { return !t.big }
