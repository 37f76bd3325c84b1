package detect

import (
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/rule"
)

// matchFlags compares a packet's TCP flags as the flags keyword asks.
func matchFlags(f *rule.TCPFlags, p *packet.Packet) bool {
	if p.Proto != packet.ProtoTCP || p.L4 == nil {
		return false
	}
	have := p.TCP.Flags &^ f.Ignore
	switch f.Op {
	case '+':
		return have&f.Flags == f.Flags
	case '*':
		return have&f.Flags != 0
	case '!':
		if f.Flags == 0 { // !0 is any flag at all
			return have != 0
		}
		return have&f.Flags != f.Flags
	}
	return have == f.Flags
}
