package dnswire

import "testing"

// FuzzDNS reads a name from every offset: none may be longer than a name can
// be, whatever the pointers do.
func FuzzDNS(f *testing.F) {
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01\xc0\x0c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		Parse(b)
		for at := range min(len(b), 600) {
			if name, _ := AppendName(nil, b, at); len(name) > MaxName {
				t.Fatalf("a name of %d bytes", len(name))
			}
		}
	})
}

func TestAppendName(t *testing.T) {
	message := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + // header
		"\x07example\x03com\x00" + // 12
		"\x03www\xc0\x0c" + // 25
		"\xc0\x1f" + // 31, points at itself
		"\xc0\x23" // 33, points ahead
	for at, want := range map[int]string{12: "example.com", 25: "www.example.com"} {
		if got, ok := AppendName(nil, []byte(message), at); !ok || string(got) != want {
			t.Errorf("at %d: %q, %v; want %q", at, got, ok, want)
		}
	}
	for _, at := range []int{31, 33, len(message)} {
		if got, ok := AppendName(nil, []byte(message), at); ok {
			t.Errorf("at %d: %q", at, got)
		}
	}
}
