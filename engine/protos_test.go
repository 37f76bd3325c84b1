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
			for _, next := range expected {
				var p protos
				p.setSide(packet.ToServer, applayer.TLS)
				p.setOrig(orig)
				p.setExpected(next)
				p.setSide(packet.ToServer, proto)
				p.setSide(packet.ToClient, proto)
				if p.side(packet.ToServer) != proto || p.side(packet.ToClient) != proto || p.orig() != orig || p.expected() != next {
					t.Fatalf("%v, expected %v after %v: %v, %v, expected %v after %v", proto, next, orig, p.side(packet.ToServer), p.side(packet.ToClient), p.expected(), p.orig())
				}
				p.setOrig(applayer.HTTP)
				if p.side(packet.ToServer) != proto || p.orig() != applayer.HTTP || p.expected() != next {
					t.Fatalf("%v: %v before %v", proto, p.side(packet.ToServer), p.orig())
				}
			}
		}
	}
}
