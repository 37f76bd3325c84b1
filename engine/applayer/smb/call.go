package smb

import (
	"bytes"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/dcerpc"
	"github.com/sluicefw/sluice/engine/packet"
)

// maxPart is how much of a fragment that several answers carry is kept.
const maxPart = 64 << 10

// guessed is the name of pipes that were opened unseen and carry DCERPC.
const guessed = "(dcerpc)"

// isRPC says whether an open file is a pipe to a service that is called over DCERPC.
func (p *Parser) isRPC(id FileID) bool {
	open := p.names.get(id)
	if open == nil {
		return false
	}
	switch name := bytes.TrimPrefix(open.b, []byte{'\\'}); string(name) {
	case "svcctl", "srvsvc", "atsvc", "lsarpc", "samr", "spoolss", "winreg", guessed:
		return true
	}
	return false
}

// pipe says what is known of what is written to, or read from, a file: that its share has pipes,
// and that it is DCERPC. Where the tree's connection was not seen, it goes by the bytes.
func (p *Parser) pipe(h *header, id FileID, data []byte) (pipe, rpc bool) {
	t := p.trees.get(h.treeKey())
	if t != nil {
		return t.pipe, t.pipe && p.isRPC(id)
	}
	d, _, ok := dcerpc.ReadHeader(data)
	if !ok || d.Major != 5 || d.Minor > 2 || d.Length == 0 || !dcerpc.Known(d.Type) {
		return false, false
	}
	t = p.trees.put(h.treeKey())
	p.remember(&t.name, []byte(guessed))
	t.pipe = true
	if !p.isRPC(id) {
		p.remember(p.names.put(id), []byte(guessed))
	}
	return true, true
}

// findCall returns the open call of a number. Where it is written and its answer is read, by
// commands of their own, the messages do not tell.
func (p *Parser) findCall(h *header, callID uint32) *Tx {
	byMessage := h.version == 2 && h.command == cmd2Ioctl
	return p.find(func(tx *Tx) bool {
		return tx.Kind == Call && tx.CallID == callID && tx.SessionID == h.session && (!byMessage || tx.message == h.message)
	})
}

// callRequest reads what is written to a pipe.
func (p *Parser) callRequest(h *header, data []byte) {
	d, body, ok := dcerpc.ReadHeader(data)
	if !ok {
		p.malformed()
		return
	}
	if d.Type == dcerpc.Request && !d.First {
		call, ok := dcerpc.ReadCall(d, body)
		if !ok {
			p.malformed()
			return
		}
		if tx := p.findCall(h, d.CallID); tx != nil {
			p.addStub(tx, packet.ToServer, call.Stub, d.Last)
			p.asks(tx)
		}
		return
	}
	tx := p.add(Call, byHeader, h)
	tx.CallID, tx.HasRequest, tx.Request, tx.big = d.CallID, true, d.Type, d.Big
	if h.version == 1 && h.command != cmd1Trans { // as in Suricata's records, before there is an answer
		tx.answer(h.status, false)
	}
	switch d.Type {
	case dcerpc.Request:
		call, ok := dcerpc.ReadCall(d, body)
		if !ok {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
			break
		}
		tx.Opnum, tx.Context = call.Opnum, call.Context
		p.addStub(tx, packet.ToServer, call.Stub, d.Last)
	case dcerpc.Bind:
		asked, ok := dcerpc.AppendInterfaces(p.asked[:0], body)
		if p.asked = asked[:min(len(asked), maxInterfaces)]; !ok {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
		}
	default:
		if !dcerpc.Known(d.Type) {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
		}
	}
	p.asks(tx)
}

// addStub takes the stub data of a fragment in.
func (p *Parser) addStub(tx *Tx, dir packet.Dir, stub []byte, last bool) {
	text := requestStub
	if dir == packet.ToClient {
		text = responseStub
	}
	tx.append(text, stub)
	tx.StubSize[dir] += len(stub)
	tx.Fragments[dir]++
	tx.complete[dir] = last
}

// callAnswer reads what is read from a pipe. The file is only given where several answers can
// carry a fragment.
func (p *Parser) callAnswer(h *header, file FileID, data []byte) {
	if h.status != statusSuccess && h.status != statusBufferOverflow {
		if tx := p.findCommand(byHeader, h); tx != nil {
			tx.answer(h.status, false)
			tx.complete[packet.ToClient] = true
			p.answers(tx)
		}
		return
	}
	key := partKey{h.treeKey(), file}
	if before := p.parts.get(key); before != nil {
		p.grow(before, data)
		p.parts.take(key)
		data = before.data
	}
	if len(data) == 0 {
		return
	}
	d, body, ok := dcerpc.ReadHeader(data)
	if !ok {
		p.malformed()
		return
	}
	if h.status == statusBufferOverflow && len(data) < min(d.Length, maxPart) {
		data = bytes.Clone(data)
		part := p.parts.put(key)
		part.data = part.data[:0]
		p.grow(part, data)
		return
	}
	tx := p.findCall(h, d.CallID)
	if tx == nil && d.Type == dcerpc.BindAck {
		return
	}
	if tx == nil {
		tx = p.add(Call, byHeader, h)
		tx.CallID, tx.complete[packet.ToServer] = d.CallID, false
	}
	p.answerCall(tx, h, d, body)
}

// answerCall reads a fragment of the answer to a call.
func (p *Parser) answerCall(tx *Tx, h *header, d dcerpc.Header, body dcerpc.Reader) {
	done := true
	switch d.Type {
	case dcerpc.Response:
		stub, ok := dcerpc.ReadStub(d, body)
		if !ok {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
			return
		}
		p.addStub(tx, packet.ToClient, stub, d.Last)
		done = d.Last
	case dcerpc.BindAck:
		if !dcerpc.ReadResults(p.asked, body) {
			p.malformed()
			return
		}
	default:
		if !dcerpc.Known(d.Type) {
			p.noteAt(tx, applayer.AnomalySMBMalformedData)
		}
	}
	tx.HasResponse, tx.Response = true, d.Type
	tx.answer(h.status, false)
	tx.complete[packet.ToClient] = done
	p.answers(tx)
}

// grow appends to a part.
func (p *Parser) grow(part *part, data []byte) {
	p.held -= cap(part.data)
	part.data = append(part.data, data[:min(len(data), maxPart-len(part.data))]...)
	p.held += cap(part.data)
}
