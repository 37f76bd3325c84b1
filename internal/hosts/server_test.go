package hosts

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func query(t testing.TB, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAnswerTo(t *testing.T) {
	for _, tc := range []struct {
		name string
		kind dnsmessage.Type
		code dnsmessage.RCode
		want dnsmessage.ResourceBody
	}{
		{"www.example.com.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 80}}},
		{"WWW.Example.COM.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, &dnsmessage.AResource{A: [4]byte{192, 0, 2, 80}}},
		{"www.example.com.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, nil},
		{"www.example.org.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, &dnsmessage.AAAAResource{AAAA: [16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: 0x80}}},
		{"nobody.example.", dnsmessage.TypeA, dnsmessage.RCodeNameError, nil},
	} {
		reply, err := answerTo(query(t, tc.name, tc.kind))
		if err != nil {
			t.Fatal(err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		if m.ID != 7 || !m.Response || m.RCode != tc.code {
			t.Errorf("%s %v: header %+v, want %v", tc.name, tc.kind, m.Header, tc.code)
		}
		switch {
		case tc.want == nil && len(m.Answers) > 0:
			t.Errorf("%s %v: %v, want no answer", tc.name, tc.kind, m.Answers)
		case tc.want != nil && (len(m.Answers) != 1 || m.Answers[0].Body.GoString() != tc.want.GoString()):
			t.Errorf("%s %v: %v, want %v", tc.name, tc.kind, m.Answers, tc.want.GoString())
		}
	}
	if _, err := answerTo([]byte("no DNS")); err == nil {
		t.Error("answered what is no DNS")
	}
}

func FuzzAnswerTo(f *testing.F) {
	f.Add(query(f, "www.example.com.", dnsmessage.TypeA))
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, err := answerTo(b)
		if err != nil {
			return
		}
		if len(reply) > maxDNS {
			t.Errorf("reply of %d bytes, want at most %d", len(reply), maxDNS)
		}
		if _, err := answerTo(reply); err == nil {
			t.Error("a reply was answered")
		}
	})
}
