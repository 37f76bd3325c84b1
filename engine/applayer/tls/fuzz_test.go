package tls

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// FuzzTLS feeds both directions whole and byte by byte: the same events must come, and no more
// may be left than the header of a record.
func FuzzTLS(f *testing.F) {
	hello := "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + string(make([]byte, 32)) + "\x00\x00\x02\x13\x01\x01\x00\x00\x00"
	f.Add([]byte(hello), []byte("\x15\x03\x03\x00\x02\x02\x28"))
	f.Add([]byte("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"), []byte("\x16\x03\x03\x00\x04\x0e\x00\x00\x00"))
	f.Add([]byte(hello), []byte("\x16\x03\x03\x00\x2c\x02\x00\x00\x28\x03\x03"+string(make([]byte, 32))+"\x00\x13\x01\x00\x00\x00"+
		"\x16\x03\x03\x00\x0b\x0b\x00\x00\x07\x00\x00\x04\x00\x00\x01\x30\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x01\x00"))
	f.Fuzz(func(t *testing.T, client, server []byte) {
		whole, pieces := follow(t, client, server, 1<<20), follow(t, client, server, 1)
		if whole != pieces {
			t.Fatalf("whole:\n%s\nby bytes:\n%s", whole, pieces)
		}
	})
}

// FuzzCertificate must neither panic nor leave a certificate half read.
func FuzzCertificate(f *testing.F) {
	f.Add([]byte("\x30\x10\x30\x0e\xa0\x03\x02\x01\x02\x02\x01\x01\x30\x00\x30\x00\x30\x00"))
	f.Fuzz(func(t *testing.T, der []byte) {
		var c Certificate
		if fault := c.read(der); (fault == noFault) != c.present {
			t.Errorf("fault %v, present %v", fault, c.present)
		}
		if c.memory() > 8*maxName+4*len(der) {
			t.Errorf("%d bytes of names from %d", c.memory(), len(der))
		}
	})
}

// follow gives the client's bytes and then the server's to a parser, in pieces of step, and
// returns what came of it.
func follow(t *testing.T, client, server []byte, step int) string {
	var p Parser
	p.Reset(packet.ProtoTCP)
	pool := applayer.NewPool(1<<24, func(applayer.Proto) applayer.Parser { return &p })
	s := pool.Get()
	s.Reset(packet.ProtoTCP, 40000, 443)
	var log bytes.Buffer
	for dir, data := range [...][]byte{client, server} {
		var held []byte
		for len(data) > 0 {
			k := min(step, len(data))
			held, data = append(held, data[:k]...), data[k:]
			for {
				n := s.Data(packet.Dir(dir), held)
				held = held[n:]
				note(&log, s)
				if n == 0 || len(held) == 0 {
					break
				}
			}
			if s.Proto() == applayer.TLS && !s.Done() && len(held) >= recordHeader {
				t.Fatalf("%d bytes left", len(held))
			}
			if p.Memory() > MaxMemory {
				t.Fatalf("%d bytes held", p.Memory())
			}
		}
	}
	return log.String()
}

// note writes the events down, with all values of the buffers at their time.
func note(log *bytes.Buffer, s *applayer.Session) {
	var ev applayer.Event
	for s.Next(&ev) {
		fmt.Fprintf(log, "%v %v", ev.Hook, ev.Dir)
		if ev.Tx != nil {
			for b := applayer.Buffer(1); b < applayer.NumBuffers; b++ {
				for i := 0; ; i++ {
					v, ok := ev.Tx.Value(b, i)
					if !ok {
						break
					}
					fmt.Fprintf(log, " %v=%q", b, v)
				}
			}
			for n := applayer.Number(1); n < applayer.NumNumbers; n++ {
				if v, ok := ev.Tx.Number(n, 0); ok {
					fmt.Fprintf(log, " %v=%d", n, v)
				}
			}
		}
		fmt.Fprintln(log)
	}
}
