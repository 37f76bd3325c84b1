package dcerpc

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	// maxTxs is how many calls can be open: the oldest is given up. Suricata's figure.
	maxTxs = 1024

	// maxHeld is how many bytes of stub data are held for rules, of all open calls.
	maxHeld = 1 << 20

	// maxInterfaces bounds what a connection's binds ask for.
	maxInterfaces = 256
)

// MaxMemory is about how many bytes a Parser can hold.
const MaxMemory = 2*maxHeld + maxTxs*(txSize+2*keepStub) + maxInterfaces*int(unsafe.Sizeof(Interface{})) + 4<<10

// Parser follows the calls of a connection, or of a flow of datagrams.
type Parser struct {
	txs   applayer.Txs[Tx, *Tx]
	asked []Interface // by the last bind, and alter_contexts since
	held  int         // bytes of stub data
	udp   bool
	lost  [2]bool // there is a gap: the next PDU must be found
	ended [2]bool
	done  bool
}

// Reset implements applayer.Parser.
func (p *Parser) Reset(transport uint8) {
	p.txs.Reset()
	*p = Parser{txs: p.txs, asked: p.asked[:0], udp: transport == packet.ProtoUDP}
}

// Data implements applayer.Parser.
func (p *Parser) Data(out *applayer.Sink, dir packet.Dir, data []byte) (consumed int) {
	if p.udp {
		p.datagram(out, dir, data)
		return len(data)
	}
	if p.lost[dir] {
		n := find(data)
		if n > 0 || len(data) < HeaderSize {
			return n
		}
		p.lost[dir] = false
	}
	h, body, ok := ReadHeader(data)
	switch {
	case !ok:
		return 0
	case h.Major != 5 || h.Minor > 1 || h.Length < HeaderSize:
		p.fail(out, dir)
		return len(data)
	case len(data) < h.Length:
		return 0
	}
	body.B = body.B[:h.Length-HeaderSize]
	if dir == packet.ToServer {
		ok = p.request(out, h, body)
	} else {
		ok = p.response(out, h, body)
	}
	if !ok {
		p.fail(out, dir)
	}
	out.Emit(applayer.MessageDone, dir, nil)
	return h.Length
}

// find returns how many bytes there are before what looks like a PDU, or may come to.
func find(data []byte) int {
	for i := range data {
		if data[i] == 5 && (i+1 == len(data) || data[i+1] == 0) {
			return i
		}
	}
	return len(data)
}

// request takes in a PDU of the client. As in Suricata, PDUs of other types end it all: what
// follows the third of an authentication is encrypted.
func (p *Parser) request(out *applayer.Sink, h Header, body Reader) (ok bool) {
	switch h.Type {
	case Bind, AlterContext:
		if h.Type == Bind {
			p.asked = p.asked[:0]
		}
		if p.asked, ok = AppendInterfaces(p.asked, body); !ok {
			return false
		}
		p.asked = p.asked[:min(len(p.asked), maxInterfaces)]
		tx := p.add(out, h)
		tx.Request, tx.Asked, tx.complete[packet.ToServer] = h.Type, true, true
		out.Emit(applayer.DCERPCRequest, packet.ToServer, tx)
	case Request:
		call, ok := ReadCall(h, body)
		if !ok {
			return false
		}
		tx := p.find(h.CallID, func(tx *Tx) bool { return tx.Request == Request && tx.Response == Response })
		if tx == nil {
			tx = p.add(out, h)
		}
		tx.Request, tx.Opnum, tx.context, tx.called = Request, call.Opnum, call.Context, true
		if tx.add(packet.ToServer, call.Stub); len(call.Stub) > 0 { // as in Suricata, which does not see empty calls
			tx.Asked, tx.complete[packet.ToServer] = true, true
		}
		out.Emit(applayer.DCERPCRequest, packet.ToServer, tx)
	default:
		return false
	}
	p.finish(out)
	return true
}

// response takes in a PDU of the server.
func (p *Parser) response(out *applayer.Sink, h Header, body Reader) (ok bool) {
	var request uint8
	switch h.Type {
	case BindAck:
		request = Bind
	case AlterContextResp:
		request = AlterContext
	case Response:
		request = Request
	default:
		return false
	}
	tx := p.find(h.CallID, func(tx *Tx) bool { return tx.Request == request })
	if tx == nil {
		tx = p.add(out, h)
		tx.Request = request
	}
	tx.Response = h.Type
	switch h.Type {
	case BindAck, AlterContextResp:
		if !ReadResults(p.unanswered(), body) {
			return false
		}
	case Response:
		tx.add(packet.ToClient, body.B) // as in Suricata, with what stands before the stub data
		if len(body.B) == 0 {           // see request
			p.finish(out)
			return true
		}
	}
	tx.Answered, tx.complete[packet.ToClient] = true, true
	out.Emit(applayer.DCERPCResponse, packet.ToClient, tx)
	p.finish(out)
	return true
}

// unanswered returns the interfaces that the last bind or alter_context asked for.
func (p *Parser) unanswered() []Interface {
	i := len(p.asked)
	for i > 0 && !p.asked[i-1].Acked {
		i--
	}
	return p.asked[i:]
}

// find returns the open call of a number that is as it should be, nil without one.
func (p *Parser) find(callID uint32, want func(*Tx) bool) *Tx {
	for _, tx := range p.txs.Live {
		if tx.CallID == callID && want(tx) {
			return tx
		}
	}
	return nil
}

// add begins a call.
func (p *Parser) add(out *applayer.Sink, h Header) *Tx {
	if len(p.txs.Live) >= maxTxs {
		p.txs.Live[0].complete = [2]bool{true, true}
		p.finish(out)
	}
	tx := p.txs.Add()
	tx.p, tx.Minor, tx.CallID, tx.big, tx.UDP = p, h.Minor, h.CallID, h.Big, p.udp
	return tx
}

// finish ends the calls of which nothing more will come.
func (p *Parser) finish(out *applayer.Sink) {
	for i := 0; i < len(p.txs.Live); {
		if p.txs.Live[i].complete != [2]bool{true, true} {
			i++
			continue
		}
		out.Emit(applayer.TxDone, packet.ToServer, p.txs.Done(i))
	}
}

// giveUp ends all calls.
func (p *Parser) giveUp(out *applayer.Sink) {
	for _, tx := range p.txs.Live {
		tx.complete = [2]bool{true, true}
	}
	p.finish(out)
}

func (p *Parser) fail(out *applayer.Sink, dir packet.Dir) {
	p.giveUp(out)
	out.Emit(applayer.ParserFailed, dir, nil)
	p.done = true
}

// Gap implements applayer.Parser. What may have been answered in it counts as answered.
func (p *Parser) Gap(out *applayer.Sink, dir packet.Dir, _ int) {
	p.lost[dir] = true
	for _, tx := range p.txs.Live {
		tx.complete[packet.ToServer] = true
		tx.complete[dir] = true
	}
	p.finish(out)
}

// End implements applayer.Parser.
func (p *Parser) End(out *applayer.Sink, dir packet.Dir) {
	p.ended[dir] = true
	if p.ended[dir.Reverse()] {
		p.giveUp(out)
	}
}

// Release implements applayer.Parser.
func (p *Parser) Release() { p.txs.Release() }

// Done implements applayer.Parser.
func (p *Parser) Done() bool { return p.done }

// Memory implements applayer.Parser.
func (p *Parser) Memory() int {
	txs, _ := p.txs.Count()
	return int(unsafe.Sizeof(*p)) + txs*(txSize+2*keepStub) + 2*p.held + cap(p.asked)*int(unsafe.Sizeof(Interface{}))
}

// Last implements applayer.Parser.
func (p *Parser) Last() applayer.Tx { return p.txs.Last() }

// Name implements applayer.Parser.
func (p *Parser) Name() []byte { return nil }
