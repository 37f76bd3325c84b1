package tls

import "testing"

// FuzzTLS feeds both directions whole and byte by byte: the same events must
// come, and no more may be left than a record.
func FuzzTLS(f *testing.F) {
	f.Add([]byte("\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03"+string(make([]byte, 32))+"\x00\x00\x02\x13\x01\x01\x00\x00\x00"), false)
	f.Add([]byte("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"), false)
	f.Add([]byte("\x15\x03\x03\x00\x02\x02\x28"), true)
	f.Fuzz(func(t *testing.T, data []byte, server bool) {
		feed := func(step int) (events []Event, name string, version uint16) {
			var c Conn
			var held []byte
			for rest := data; len(rest) > 0; {
				k := min(step, len(rest))
				held, rest = append(held, rest[:k]...), rest[k:]
				for {
					read := c.Client
					if server {
						read = c.Server
					}
					n, ev := read(held)
					held = held[n:]
					if ev != None {
						events = append(events, ev)
					}
					if n == 0 || c.Done() {
						break
					}
				}
				if c.Done() {
					break
				}
				if len(held) >= recordHeader+maxRecord || c.Memory() > MaxMemory {
					t.Fatalf("%d bytes left, %d held", len(held), c.Memory())
				}
			}
			return events, string(c.ServerName()), c.Version()
		}
		e1, n1, v1 := feed(len(data))
		e2, n2, v2 := feed(1)
		if string(eventsBytes(e1)) != string(eventsBytes(e2)) || n1 != n2 || v1 != v2 {
			t.Fatalf("whole %v %q %x, by bytes %v %q %x", e1, n1, v1, e2, n2, v2)
		}
	})
}

func eventsBytes(events []Event) (b []byte) {
	for _, e := range events {
		b = append(b, byte(e))
	}
	return b
}
