package http

import "testing"

// FuzzHTTP feeds a request stream whole and byte by byte: the same requests
// must come, and no more may be left than a line.
func FuzzHTTP(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET http://b/ HTTP/1.1\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nabcde\r\n0\r\nT: x\r\n\r\nHEAD /2\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nContent-Length: 3\r\nHost: [::1]:8\r\n x\r\n\r\nabcPUT / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		feed := func(step int) (log string) {
			var c Conn
			var held []byte
			for rest := data; len(rest) > 0; {
				k := min(step, len(rest))
				held, rest = append(held, rest[:k]...), rest[k:]
				for len(held) > 0 && !c.Done() {
					n, ev := c.Client(held)
					held = held[n:]
					if ev != None {
						host, _ := c.Host()
						agent, _ := c.UserAgent()
						log += string('0'+rune(ev)) + string(c.Method()) + " " + string(c.URI()) + " " + string(host) + " " + string(agent) + "\n"
					}
					if n == 0 {
						break
					}
				}
				if c.Done() {
					break
				}
				if len(held) >= maxLine || c.Memory() > MaxMemory {
					t.Fatalf("%d bytes left, %d held", len(held), c.Memory())
				}
			}
			return log
		}
		if whole, bytes := feed(len(data)), feed(1); whole != bytes {
			t.Fatalf("whole:\n%s\nby bytes:\n%s", whole, bytes)
		}
	})
}
