package http2

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func TestHuffman(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, r.IntN(20))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if got := appendHuffman(nil, hpack.AppendHuffmanString(nil, string(b))); string(got) != string(b) {
			t.Fatalf("%q becomes %q", b, got)
		}
	}
	if got := appendHuffman(nil, append(hpack.AppendHuffmanString(nil, "aaaaa"), 0xff, 0xff, 0xff, 0xff)); string(got) != "aaaaa" {
		t.Errorf("the end of the string gives %q", got)
	}
}

// TestDecode compares with the decoder of package hpack, which keeps its table in another way: on many sections
// with a table that is too small for all of them, and changes its size.
func TestDecode(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		var block strings.Builder
		enc := hpack.NewEncoder(&block)
		enc.SetMaxDynamicTableSizeLimit(maxTable)
		var ours table
		ours.reset()
		ours.allow(maxTable)
		theirs := hpack.NewDecoder(maxTable, nil)
		for range 300 {
			block.Reset()
			if r.IntN(10) == 0 {
				enc.SetMaxDynamicTableSize(uint32(r.IntN(maxTable)) >> r.IntN(12))
			}
			for range 1 + r.IntN(10) {
				enc.WriteField(hpack.HeaderField{
					Name: fmt.Sprint("name-", r.IntN(20)), Value: strings.Repeat(fmt.Sprint(r.IntN(30)), 1<<r.IntN(11)), Sensitive: r.IntN(8) == 0,
				})
			}
			want, err := theirs.DecodeFull([]byte(block.String()))
			if err != nil {
				t.Fatal(err)
			}
			var m message
			if result := ours.decode(&m, []byte(block.String())); result != whole {
				t.Fatalf("seed %d: result %d", seed, result)
			}
			n := 0
			for _, f := range m.fields {
				if f.kind == sizeUpdate {
					continue
				}
				if name, value := string(f.name.of(m.text)), string(f.value.of(m.text)); f.kind != aField || n == len(want) || name != want[n].Name || value != want[n].Value {
					t.Fatalf("seed %d: field %d is %s: %.20s", seed, n, name, value)
				}
				n++
			}
			if n != len(want) {
				t.Fatalf("seed %d: %d fields of %d", seed, n, len(want))
			}
			if ours.memory() > 5*maxTable {
				t.Fatalf("seed %d: %d bytes held", seed, ours.memory())
			}
		}
	}
}

// TestTableIsBounded: fields without text take room, too.
func TestTableIsBounded(t *testing.T) {
	var tab table
	tab.reset()
	tab.allow(1 << 31)
	for i := range 100_000 {
		tab.add(nil, make([]byte, i%7), 0)
	}
	if live := len(tab.entries) - tab.gone; live > maxTable/entryCost || tab.size > maxTable || tab.memory() > 5*maxTable {
		t.Errorf("%d entries, %d of %d bytes", live, tab.size, tab.memory())
	}
	tab.resize(0)
	if tab.size != 0 || len(tab.entries) != 0 {
		t.Errorf("%d entries are left of a table of size 0", len(tab.entries))
	}
}
