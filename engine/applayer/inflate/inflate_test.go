package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/rand/v2"
	"testing"
)

// all decompresses data that comes in pieces of at most n bytes.
func all(f Format, data []byte, n int) (out []byte, done bool, err error) {
	var z Reader
	z.Reset(f)
	for len(data) > 0 && !z.Done() {
		piece := data[:min(n, len(data))]
		_, err = z.Write(piece, func(b []byte) bool { out = append(out, b...); return true })
		if err != nil {
			return out, false, err
		}
		data = data[len(piece):]
	}
	return out, z.Done(), nil
}

// texts are runs, words, noise and a mix of them.
func texts(r *rand.Rand) [][]byte {
	noise := make([]byte, 70000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := bytes.Repeat([]byte("the quick brown fox, the lazy dog. "), 3000)
	var mixed []byte
	for range 300 {
		switch r.IntN(3) {
		case 0:
			mixed = append(mixed, bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(600))...)
		case 1:
			mixed = append(mixed, words[r.IntN(1000):][:r.IntN(900)]...)
		default:
			mixed = append(mixed, noise[r.IntN(1000):][:r.IntN(400)]...)
		}
	}
	return [][]byte{nil, []byte("a"), make([]byte, 300000), noise, words, mixed}
}

func TestAgainstStandardLibrary(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for n, text := range texts(r) {
		for level := flate.HuffmanOnly; level <= flate.BestCompression; level++ {
			var raw, zl, gz bytes.Buffer
			w, _ := flate.NewWriter(&raw, level)
			w.Write(text)
			w.Close()
			zw, _ := zlib.NewWriterLevel(&zl, level)
			zw.Write(text)
			zw.Close()
			gw, _ := gzip.NewWriterLevel(&gz, level)
			gw.Name, gw.Comment, gw.Extra = "name", "comment", []byte("extra")
			gw.Write(text)
			gw.Close()
			for _, test := range []struct {
				name string
				f    Format
				data []byte
			}{{"raw", Raw, raw.Bytes()}, {"zlib", Auto, zl.Bytes()}, {"gzip", Auto, gz.Bytes()}} {
				for _, piece := range []int{1, 7, 1460, 1 << 30} {
					out, done, err := all(test.f, test.data, piece)
					if err != nil || !done || !bytes.Equal(out, text) {
						t.Fatalf("seed %d, text %d, level %d, %s, pieces of %d: %d bytes, want %d; done %v, %v", seed, n, level, test.name, piece, len(out), len(text), done, err)
					}
				}
			}
		}
	}
}

func TestStopsWhenNobodyWantsMore(t *testing.T) {
	var raw bytes.Buffer
	w, _ := flate.NewWriter(&raw, 9)
	w.Write(make([]byte, 10<<20))
	w.Close()
	var z Reader
	z.Reset(Raw)
	got := 0
	n, err := z.Write(raw.Bytes(), func(b []byte) bool { got += len(b); return got < 100000 })
	if err != nil || got < 100000 || got > 100000+windowSize || n == raw.Len() {
		t.Errorf("%d bytes out, %d of %d in, %v", got, n, raw.Len(), err)
	}
}

func TestChecksums(t *testing.T) {
	var gz, zl bytes.Buffer
	gw := gzip.NewWriter(&gz)
	gw.Write([]byte("hello"))
	gw.Close()
	zw := zlib.NewWriter(&zl)
	zw.Write([]byte("hello"))
	zw.Close()
	for _, data := range [][]byte{gz.Bytes(), zl.Bytes()} {
		data[len(data)-1]++
		if out, _, err := all(Auto, data, 3); err != ErrSum || string(out) != "hello" {
			t.Errorf("%q, %v", out, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	var raw bytes.Buffer
	w, _ := flate.NewWriter(&raw, 6)
	io.WriteString(w, "some text, some text again")
	w.Close()
	f.Add(raw.Bytes(), uint8(3))
	f.Add([]byte("\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\x00\x02\x00ab"), uint8(1))
	f.Add([]byte("\x78\x9c\x4b\x04\x00\x00\x62\x00\x62"), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		for _, format := range []Format{Raw, Auto} {
			whole, done, err := all(format, data, 1<<30)
			parts, done2, err2 := all(format, data, int(piece)+1)
			if !bytes.Equal(whole, parts) || done != done2 || err != err2 {
				t.Fatalf("whole %d bytes, %v, %v; in parts %d bytes, %v, %v", len(whole), done, err, len(parts), done2, err2)
			}
		}
		want, wantErr := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
		got, done, err := all(Raw, data, 1<<30)
		if wantErr == nil && (!done || err != nil || !bytes.Equal(got, want)) {
			t.Fatalf("got %d bytes, %v, %v; the standard library %d", len(got), done, err, len(want))
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := texts(rand.New(rand.NewPCG(1, 2)))[5]
	var raw bytes.Buffer
	w, _ := flate.NewWriter(&raw, 6)
	w.Write(text)
	w.Close()
	var z Reader
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		z.Reset(Raw)
		z.Write(raw.Bytes(), func([]byte) bool { return true })
	}
}
