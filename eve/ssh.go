package eve

import (
	"github.com/sluicefw/sluice/engine/applayer/ssh"
	"github.com/sluicefw/sluice/engine/packet"
)

// ssh writes what client and server said, as far as they did.
func (o *object) ssh(tx *ssh.Tx) {
	o.open("ssh")
	for dir, k := range [...]string{packet.ToServer: "client", packet.ToClient: "server"} {
		s := &tx.Sides[dir]
		if len(s.Proto) == 0 {
			continue
		}
		o.open(k)
		o.bytes("proto_version", s.Proto)
		o.optBytes("software_version", s.Software)
		if hash := s.Hash(); hash != nil {
			o.open("hassh")
			o.bytes("hash", hash)
			o.bytes("string", s.Hassh)
			o.close()
		}
		o.close()
	}
	o.close()
}
