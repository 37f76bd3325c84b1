package file

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"testing"
)

func TestDigests(t *testing.T) {
	var f File
	for _, test := range []struct {
		name          string
		digests, lose bool
		state         State
		sums, hasSHA2 bool
		size          uint64
		word          string
	}{
		{"closed", true, false, Closed, true, true, 4, "CLOSED"},
		{"truncated", true, false, Truncated, false, true, 4, "TRUNCATED"},
		{"with a gap", true, true, Closed, false, true, 7, "TRUNCATED"},
		{"not wanted", false, false, Closed, false, false, 4, "CLOSED"},
		{"failed", true, true, Failed, false, true, 7, "ERROR"},
	} {
		f.Start([]byte("name"), test.digests)
		f.Write([]byte("ab"))
		if f.State.String() != "UNKNOWN" {
			t.Errorf("an open file is %v", f.State)
		}
		if test.lose {
			f.Lose(3)
		}
		f.Write([]byte("cd"))
		f.Close(test.state)
		f.Close(Failed) // it has ended
		if f.Sums != test.sums || f.HasSHA2 != test.hasSHA2 || f.Size != test.size || f.State.String() != test.word || f.Gaps != test.lose {
			t.Errorf("%s: %+v", test.name, f)
		}
		if f.Sums && (f.MD5 != md5.Sum([]byte("abcd")) || f.SHA1 != sha1.Sum([]byte("abcd"))) || f.HasSHA2 && f.SHA2 != sha256.Sum256([]byte("abcd")) {
			t.Errorf("%s: wrong digests", test.name)
		}
	}
	name, data := []byte("name"), []byte("x")
	if n := testing.AllocsPerRun(100, func() { f.Start(name, true); f.Write(data); f.Close(Closed) }); n != 0 {
		t.Errorf("%v allocations for a file", n)
	}
	f.Reset()
	if f.Size != 0 || len(f.Name) != 0 {
		t.Errorf("%+v after Reset", f)
	}
}
