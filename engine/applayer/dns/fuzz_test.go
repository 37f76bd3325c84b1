package dns

import (
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/apptest"
	"github.com/sluicefw/sluice/engine/packet"
)

const (
	query  = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"
	answer = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"
)

// framed puts the length before a message (RFC 1035, 4.2.2).
func framed(m string) string { return string([]byte{byte(len(m) >> 8), byte(len(m))}) + m }

func FuzzTCP(f *testing.F) {
	apptest.Fuzz(f, func() applayer.Parser { return &Parser{} }, 1<<20,
		[2]string{framed(query) + framed(query), framed(answer) + framed(query)},
		[2]string{"\x00\x00\x00\x03abc", framed(answer[:20])})
}

// A gap loses messages, and the next that begins where data goes on is found.
func TestGap(t *testing.T) {
	var p Parser
	var out applayer.Sink
	p.Reset(packet.ProtoTCP)
	p.Gap(&out, packet.ToServer, 100)
	if n := p.Data(&out, packet.ToServer, []byte("not a message, but long enough to be one")); n != 40 || p.next != 0 {
		t.Errorf("%d bytes taken, %d messages", n, p.next)
	}
	if n := p.Data(&out, packet.ToServer, []byte(framed(query))); n != 2+len(query) || p.next != 1 || p.Done() {
		t.Errorf("%d bytes taken, %d messages, done %v", n, p.next, p.Done())
	}
}

// What one packet holds is let go with it, whatever the number and size of its messages.
func TestRelease(t *testing.T) {
	var p Parser
	p.Reset(packet.ProtoTCP)
	for range 3 {
		for range 100 {
			var out applayer.Sink
			p.Data(&out, packet.ToServer, []byte(framed(query)))
			p.Data(&out, packet.ToServer, []byte(framed(query+string(make([]byte, 60_000)))))
		}
		if p.Memory() < 100*60_000 {
			t.Fatalf("%d bytes held", p.Memory())
		}
		p.Release()
		if p.Memory() > keepTxs*(keepData+1000) {
			t.Fatalf("%d bytes held after Release", p.Memory())
		}
	}
}
