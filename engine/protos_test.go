package engine

import (
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// TestProtos: what is kept in a few bits of a flow does not touch the rest of it, and every protocol fits.
func TestProtos(t *testing.T) {
	for proto := applayer.Proto(0); proto == 0 || proto.String() != "unknown"; proto++ {
		for _, orig := range changers {
			var p protos
			p.setSide(packet.ToServer, applayer.TLS)
			p.setOrig(orig)
			p.setSide(packet.ToServer, proto)
			p.setSide(packet.ToClient, proto)
			if p.side(packet.ToServer) != proto || p.side(packet.ToClient) != proto || p.orig() != orig {
				t.Fatalf("%v before %v: %v, %v before %v", orig, proto, p.side(packet.ToServer), p.side(packet.ToClient), p.orig())
			}
			p.setOrig(applayer.HTTP)
			if p.side(packet.ToServer) != proto || p.orig() != applayer.HTTP {
				t.Fatalf("%v: %v before %v", proto, p.side(packet.ToServer), p.orig())
			}
		}
	}
}
