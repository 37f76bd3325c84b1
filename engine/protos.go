package engine

import (
	"slices"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// protos tells of a flow's protocols, beside that which it has: as what each side was recognised, in
// the lower 6 bits of its byte, and in the upper bits what the flow's was before it changed.
type protos [2]uint8

const protoMask = 1<<6 - 1

// changers are the protocols that others can follow on a connection.
var changers = [16]applayer.Proto{applayer.Unknown, applayer.HTTP, applayer.SMTP, applayer.FTP, applayer.IMAP}

// side returns as what a side was recognised, as far as that is known.
func (p protos) side(dir packet.Dir) applayer.Proto { return applayer.Proto(p[dir] & protoMask) }

func (p *protos) setSide(dir packet.Dir, proto applayer.Proto) {
	p[dir] = p[dir]&^protoMask | uint8(proto)
}

// orig returns what the protocol was before it changed, or Unknown.
func (p protos) orig() applayer.Proto { return changers[p[0]>>6|p[1]>>6<<2] }

func (p *protos) setOrig(proto applayer.Proto) {
	i := uint8(max(slices.Index(changers[:], proto), 0))
	p[0], p[1] = p[0]&protoMask|i<<6, p[1]&protoMask|i>>2<<6
}
