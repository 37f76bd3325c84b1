package dnswire

import "testing"

// FuzzDNS reads all that a message has: nothing may be longer than a name can be, whatever the
// pointers do.
func FuzzDNS(f *testing.F) {
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01"))
	f.Add([]byte("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := Parse(b)
		if !ok {
			return
		}
		for i := range m.Count(Questions) {
			at, _ := m.Question(i)
			if name, next, _ := m.AppendName([]byte{}, at); len(name) > MaxName || next <= at && m.steps < maxSteps {
				t.Fatalf("a name of %d bytes, from %d to %d", len(name), at, next)
			}
		}
		for s := Answers; s <= Authorities; s++ {
			m.Records(s, func(r Record) bool {
				if len(r.Data) > len(b) {
					t.Fatalf("%d bytes of data in %d", len(r.Data), len(b))
				}
				return true
			})
		}
	})
}

func TestNames(t *testing.T) {
	header := "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	long := ""
	for range 20 {
		long += "\x3f" + string(make([]byte, 63))
	}
	many := ""
	for range 300 {
		many += "\x01a"
	}
	for name, test := range map[string]struct {
		question string
		want     string
		ok, long bool
	}{
		"plain":             {"\x07example\x03com\x00", "example.com", true, false},
		"pointer back":      {"\x03www\xc0\x10", "", false, false}, // to itself
		"pointer ahead":     {"\x03www\xc0\x16\x00\x01\x00\x01\x01a\x00", "www.a", true, false},
		"to itself":         {"\xc0\x0c", "", false, false},
		"behind the end":    {"\xc0\xff", "", false, false},
		"of 1279 bytes":     {long + "\x00", "", true, true},
		"of 300 labels":     {many + "\x00", "", false, false},
		"no end":            {"\x03www", "", false, false},
		"reserved label":    {"\x43www\x00", "", false, false},
		"pointer cut short": {"\xc0", "", false, false},
	} {
		b := header + test.question
		if name != "pointer cut short" && name != "no end" {
			b += "\x00\x01\x00\x01"
		}
		m, ok := Parse([]byte(b))
		if ok != test.ok || ok && m.Long != test.long {
			t.Errorf("%s: %v, long %v", name, ok, m.Long)
			continue
		}
		if !ok || test.long {
			continue
		}
		at, _ := m.Question(0)
		if got, _, _ := m.AppendName([]byte{}, at); string(got) != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
