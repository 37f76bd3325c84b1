package dcerpc

import (
	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// Flags of a connectionless PDU.
const (
	udpLastFrag = 2
	udpFrag     = 4
)

const udpHeader = 80

// datagram takes in a connectionless PDU (DCE 1.1: RPC, 12.5): its header has the version, type
// and flags in the first four bytes, three bytes of data representation, and then from
//
//	 8 object, 24 interface, 40 activity: UUIDs
//	56 boot time, 60 interface version, 64 sequence number
//	68 opnum, 70 and 72 hints, 74 length of the body, 76 number of the fragment
func (p *Parser) datagram(out *applayer.Sink, dir packet.Dir, data []byte) {
	if len(data) < udpHeader || data[0] != 4 {
		return
	}
	h := Header{Type: data[1], Big: data[4]&0x10 == 0}
	r := Reader{B: data[40:], Big: h.Big}
	id := Reader{B: r.Take(16)} // as in Suricata little endian, whatever the others are
	activity := id.uuid()
	r.Skip(4 + 4)
	sequence := r.U32()
	opnum := r.U16()
	r.Skip(2 + 2)
	length := int(r.U16())
	body := data[udpHeader:min(len(data), udpHeader+length)]
	last := data[2]&udpFrag == 0 || data[2]&udpLastFrag != 0

	tx := p.findUDP(&activity, sequence)
	switch h.Type {
	case Request:
		if tx == nil {
			tx = p.add(out, h)
			tx.Activity, tx.Sequence = activity, sequence
		}
		tx.Opnum, tx.called = opnum, true
		tx.add(packet.ToServer, body)
		tx.Asked, tx.complete[packet.ToServer] = true, last
		out.Emit(applayer.DCERPCRequest, dir, tx)
	case Response, Fault:
		if tx == nil {
			return
		}
		tx.Response = h.Type
		tx.add(packet.ToClient, body)
		tx.Answered, tx.complete[packet.ToClient] = true, last
		out.Emit(applayer.DCERPCResponse, dir, tx)
	}
	p.finish(out)
}

// findUDP returns the open call of a number of an activity, nil without one.
func (p *Parser) findUDP(activity *UUID, sequence uint32) *Tx {
	for _, tx := range p.txs.Live {
		if tx.Activity == *activity && tx.Sequence == sequence {
			return tx
		}
	}
	return nil
}
