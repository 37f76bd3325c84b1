package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
)

// newWins says for each policy when the bytes of a new segment count, by where it begins and
// ends beside the old one: before, with or after it. The rows are those of Shankar and Paxson
// ("Active Mapping", 2003) and of Novak and Sturges ("Target-Based TCP Stream Reassembly",
// 2007) as Suricata 7 has them.
var newWins = map[Policy][3]string{ // begins before, with, after; n: the new ones count where it ends before, with, after
	Windows: {"nnn", "...", "..."}, BSD: {"nnn", "...", "..."}, BSDRight: {"nnn", "...", "..."}, HPUX10: {"nnn", "...", "..."},
	IRIX: {"nnn", "...", "..."}, MacOS: {"nnn", "...", "..."}, Windows2K3: {"nnn", "...", "..."},
	OldLinux: {"nnn", ".nn", "..."}, Linux: {"nnn", "..n", "..."},
	Solaris: {".nn", ".nn", "..n"}, OldSolaris: {".nn", ".nn", "..n"}, HPUX11: {".nn", ".nn", "..n"},
	Vista: {"...", "...", "..."}, First: {"...", "...", "..."}, Last: {"nnn", "nnn", "nnn"},
}

func TestPolicyTable(t *testing.T) {
	if len(newWins) != int(NumPolicies) {
		t.Fatalf("%d policies, want %d", len(newWins), NumPolicies)
	}
	for p, rows := range newWins {
		for i, from := range []packet.Seq{90, 100, 110} {
			for j, to := range []packet.Seq{190, 200, 210} {
				if got := p.prefersNew(segment{from, to}, segment{100, 200}); got != (rows[i][j] == 'n') {
					t.Errorf("%v, [%d, %d) on [100, 200): %v", p, from, to, got)
				}
			}
		}
		if again, err := ParsePolicy(p.String()); err != nil || again != p {
			t.Errorf("%v: %v %v", p, again, err)
		}
	}
	if _, err := ParsePolicy("beos"); err == nil {
		t.Error("any name is a policy")
	}
}

// twin reassembles byte by byte, in numbers of 64 bits, with everything that it was ever given.
type twin struct {
	cfg                        Config
	held                       map[int64]byte
	segs                       [][2]int64
	base, app, raw, next, ackd int64
	stop                       bool
}

func newTwin(cfg Config) *twin { return &twin{cfg: cfg, held: map[int64]byte{}} }

// insert returns what the segment became: its bytes, and of those that came before how many.
func (w *twin) insert(at int64, data []byte) (result []byte, in Inserted) {
	result = slices.Clone(data)
	if at < 0 && w.cfg.Acked {
		in.Overlap = len(data)
		return result, in
	}
	from, to := max(at, w.base), min(at+int64(len(data)), int64(w.cfg.Depth))
	in.Overlap = int(min(from-at, int64(len(data))))
	in.Old = in.Overlap == len(data)
	in.Deep = at+int64(len(data)) > int64(w.cfg.Depth)
	if from >= to {
		return result, in
	}
	if w.stop {
		in.Limit = true
		return result, in
	}
	in.Gap = from > w.next
	rows := newWins[w.cfg.Policy]
	written := map[int64]byte{}
	compared := w.compared(from, to)
	for i := from; i < to; i++ {
		b := data[i-at]
		wins, covered := true, false
		for _, s := range compared {
			if i < s[0] || i >= s[1] {
				continue
			}
			covered = true
			if rows[1+compare(from, s[0])][1+compare(to, s[1])] != 'n' {
				wins = false
			}
		}
		if covered {
			in.Overlap++
			in.Conflict = in.Conflict || w.held[i] != b
		} else {
			in.New++
		}
		if wins {
			written[i] = b
		} else {
			result[i-at] = w.held[i]
		}
	}
	for i, b := range written {
		w.held[i] = b
	}
	w.segs = append(w.segs, [2]int64{from, to})
	w.advance()
	if in.Modified = w.cfg.Policy == First && in.Conflict; !in.Modified {
		result = data
	}
	return result, in
}

// compared returns the segments that a new one is compared with: those behind the last, in their
// order, that ends before it begins. Where bytes that came first always count it is all.
func (w *twin) compared(from, to int64) [][2]int64 {
	var before, behind [][2]int64
	slices.SortFunc(w.segs, func(a, b [2]int64) int { return slices.Compare(a[:], b[:]) })
	for _, s := range w.segs {
		switch {
		case s[1] <= w.base:
		case slices.Compare(s[:], []int64{from, to}) > 0:
			behind = append(behind, s)
		case s[1] <= from && w.cfg.Policy != First:
			before = nil
		default:
			before = append(before, s)
		}
	}
	return append(before, behind...)
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (w *twin) advance() {
	for _, ok := w.held[w.next]; ok; _, ok = w.held[w.next] {
		w.next++
	}
}

func (w *twin) visible() int64 {
	if w.cfg.Acked {
		return min(w.next, w.ackd)
	}
	return w.next
}

// part returns the bytes [from, to) with at most before of those that lie before without a hole.
func (w *twin) part(from, to int64, before int) []byte {
	if from >= to {
		return nil
	}
	for ; before > 0 && from > w.base; before-- {
		if _, ok := w.held[from-1]; !ok {
			break
		}
		from--
	}
	var b []byte
	for i := from; i < to; i++ {
		b = append(b, w.held[i])
	}
	return b
}

func (w *twin) missing(fin bool) int {
	end := w.ackd
	switch {
	case fin && w.base == 0 && w.ackd <= 0:
		end = w.next + 1<<20
	case fin:
		end--
	}
	behind := false
	for i := range w.held {
		behind = behind || i > w.next
		if i > w.next && i < end {
			end = i
		}
	}
	if !behind {
		return 0
	}
	return int(max(end-w.next, 0))
}

func (w *twin) drop(left int64) {
	for i := range w.held {
		if i < left {
			delete(w.held, i)
		}
	}
	w.base = left
}

func (w *twin) skip(n int) {
	w.next += int64(n)
	w.app, w.raw = w.next, w.next
	w.advance()
	w.stop = w.stop || w.next >= int64(w.cfg.Depth)
}

func (w *twin) prune(keep int, more int64) {
	left := min(w.app, max(w.raw-int64(keep), w.base), w.ackd) - more
	begins := left
	for _, s := range w.segs {
		if s[1] > left {
			begins = min(begins, s[0])
		}
	}
	if begins > w.base {
		w.drop(begins)
	}
}

func (w *twin) looked(rules bool) {
	if !rules {
		w.raw = max(w.raw, w.visible())
	}
	w.stop = w.stop || w.next >= int64(w.cfg.Depth) && w.app == w.next && w.raw == w.next
}

// check compares all that can be seen of the two.
func (w *twin) check(t *testing.T, r *Reassembly, first uint32, step string) {
	t.Helper()
	at := func(s packet.Seq) int64 { return int64(s.Diff(packet.Seq(first))) }
	if at(r.base) != w.base || at(r.next) != w.next || at(r.app) != w.app || at(r.raw) != w.raw || r.Stopped() != w.stop {
		t.Fatalf("%s: base %d next %d app %d raw %d stop %v; want %d %d %d %d %v", step,
			at(r.base), at(r.next), at(r.app), at(r.raw), r.Stopped(), w.base, w.next, w.app, w.raw, w.stop)
	}
	if got, want := r.Bytes(), w.part(w.app, w.visible(), 0); !bytes.Equal(got, want) {
		t.Fatalf("%s: %q, want %q", step, got, want)
	}
	for _, before := range []int{0, 3, 100} {
		data, old, offset := r.Raw(before)
		if want := w.part(w.raw, w.visible(), before); !bytes.Equal(data, want) || len(data) > 0 && int64(offset+old) != w.raw {
			t.Fatalf("%s: raw %q (%d before, at %d), want %q", step, data, old, offset, want)
		}
	}
	for _, fin := range []bool{false, true} {
		if got, want := r.Missing(fin), w.missing(fin); got != want {
			t.Fatalf("%s: %d missing, want %d", step, got, want)
		}
	}
}

// play takes steps from data and plays them on both.
func play(t *testing.T, data []byte) {
	if len(data) < 8 {
		return
	}
	cfg := Config{Acked: data[0]&1 != 0, Policy: Policy(data[1]) % NumPolicies, Depth: 20 + 4*int(data[2])}
	first := binary.BigEndian.Uint32(data[3:])
	if data[0]&2 != 0 {
		first = ^uint32(0) - uint32(data[3])
	}
	pool := NewPool(1 << 20)
	r := pool.Get()
	r.Reset(first, cfg)
	w := newTwin(cfg)
	for i, b := range data[7:] {
		if i%4 != 0 || len(data) < 7+i+4 {
			continue
		}
		op, x, y, z := b, data[7+i+1], data[7+i+2], data[7+i+3]
		step := fmt.Sprintf("%v, step %d", cfg.Policy, i/4)
		switch op % 8 {
		case 0, 1, 2, 3: // a segment near what is missing
			at := max(w.next-40, -5) + int64(x)%90
			segment := make([]byte, 1+y%40)
			for k := range segment {
				segment[k] = 'a' + byte(at+int64(k))%4
				if z&1 != 0 {
					segment[k] = 'A' + byte(k)%4
				}
			}
			given := slices.Clone(segment)
			in := r.Insert(first+uint32(at), segment)
			result, want := w.insert(at, given)
			if in != want || !bytes.Equal(segment, result) {
				t.Fatalf("%s: [%d, %d): %+v %q, want %+v %q", step, at, at+int64(len(given)), in, segment, want, result)
			}
			if !cfg.Acked && in.New+in.Overlap > 0 && at >= w.base {
				end := at
				for _, ok := w.held[end]; ok; _, ok = w.held[end] {
					end++
				}
				raw := w.part(at, end, int(z)%50)
				if got, _, _ := r.Around(first+uint32(at), len(given), int(z)%50); !bytes.Equal(got, raw) {
					t.Fatalf("%s: around %d: %q, want %q", step, at, got, raw)
				}
				if end <= w.next {
					w.raw = max(w.raw, end)
				}
			}
		case 4:
			at := w.ackd + int64(x)%60 - 5
			r.Ack(first + uint32(at))
			w.ackd = max(w.ackd, at)
		case 5:
			n := int(x) % (len(r.Bytes()) + 1)
			r.Consume(n)
			w.app += int64(n)
		case 6:
			if n := w.missing(false); n > 0 && z&1 != 0 {
				r.Skip(n)
				w.skip(n)
			}
			if r.Fresh() > 0 && x&1 != 0 {
				r.Saw()
				w.raw = max(w.raw, w.visible())
			}
		case 7:
			keep := int(x) % 60
			r.Looked(z&1 != 0)
			w.looked(z&1 != 0)
			r.Prune(keep, int(y)%40)
			w.prune(keep, int64(y)%40)
		}
		w.check(t, r, first, step)
	}
	if pool.Put(r); pool.InUse() != 0 {
		t.Fatalf("%d bytes are kept", pool.InUse())
	}
}

func FuzzReassembly(f *testing.F) {
	f.Add([]byte("\x00\x00\x40\x00\x00\x00\x00\x00\x05\x05\x00\x00\x00\x09\x01\x05\x03\x00\x00\x07\x10\x00\x00"))
	f.Add(bytes.Repeat([]byte{3, 4, 70, 200, 0, 30, 20, 1, 4, 90, 1, 1, 6, 1, 1, 1, 7, 1, 2, 3}, 9))
	f.Fuzz(play)
}

// TestReassemblyTwin plays random steps for every policy.
func TestReassemblyTwin(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 40 {
		for p := range NumPolicies {
			data := make([]byte, 7+4*60)
			for i := range data {
				data[i] = byte(r.Uint32())
			}
			data[1] = byte(p)
			play(t, data)
		}
	}
}

// TestReassemblyBounds: what a direction does not take, and says so.
func TestReassemblyBounds(t *testing.T) {
	pool := NewPool(4 << 20)
	r := pool.Get()
	defer pool.Put(r)
	r.Reset(1000, Config{})
	if in := r.Insert(1000+maxAhead, []byte("x")); !in.Limit || in.New != 0 {
		t.Errorf("far ahead: %+v", in)
	}
	for i := range uint32(maxSegments) {
		if in := r.Insert(1001+2*i, []byte("x")); in.Limit {
			t.Fatalf("hole %d: %+v", i, in)
		}
	}
	if in := r.Insert(1001+2*maxSegments, []byte("x")); !in.Limit || in.Memory {
		t.Errorf("one hole too many: %+v", in)
	}
	for i := range uint32(maxSegments) {
		if in := r.Insert(1000+2*i, []byte("y")); in.New != 1 {
			t.Fatalf("what fills a hole: %+v", in)
		}
	}
	if in := r.Insert(1001+2*maxSegments, []byte("x")); in.Limit {
		t.Errorf("behind few holes again: %+v", in)
	}
	r.Reset(1000, Config{Depth: 10})
	if in := r.Insert(1000, make([]byte, 12)); in.New != 10 || !in.Deep || !r.Deep() || r.Stopped() {
		t.Errorf("beyond the depth: %+v", in)
	}
	r.Consume(10)
	r.Ack(1010)
	r.Looked(false)
	if r.Prune(0, 0); !r.Stopped() || pool.InUse() != reassemblySize {
		t.Errorf("all seen: stopped %v, %d bytes in use", r.Stopped(), pool.InUse())
	}
}

func TestPoolLimit(t *testing.T) {
	pool := NewPool(2*reassemblySize + 2<<10)
	a, b := pool.Get(), pool.Get()
	a.Reset(0, Config{})
	b.Reset(0, Config{})
	if in := a.Insert(0, make([]byte, 1000)); in.New != 1000 {
		t.Errorf("%+v", in)
	}
	if pool.Get() != nil {
		t.Error("a third beyond the limit")
	}
	if in := b.Insert(0, make([]byte, 1000)); !in.Memory || !b.Stopped() {
		t.Errorf("beyond the limit: %+v", in)
	}
	if pool.Refusals() != 2 {
		t.Errorf("%d refusals, want 2", pool.Refusals())
	}
	pool.Put(a)
	b.Reset(0, Config{})
	if in := b.Insert(0, make([]byte, 1000)); in.New != 1000 {
		t.Errorf("after the other's end: %+v", in)
	}
	pool.Put(b)
	if pool.InUse() != 0 {
		t.Errorf("%d bytes in use", pool.InUse())
	}
}

func TestReassemblyDoesNotAllocate(t *testing.T) {
	pool := NewPool(1 << 20)
	data := make([]byte, 1400)
	seq := uint32(0)
	if n := testing.AllocsPerRun(200, func() {
		r := pool.Get()
		r.Reset(seq, Config{})
		for range 40 {
			r.Insert(seq+1400, data)
			r.Insert(seq, data)
			seq += 2800
			r.Consume(len(r.Bytes()))
			r.Saw()
			r.Ack(seq)
			r.Prune(100, 0)
		}
		pool.Put(r)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRepeats: a segment that came before as it is repeats it, unless others overlap it.
func TestRepeats(t *testing.T) {
	r := NewPool(1 << 20).Get()
	r.Reset(1000, Config{})
	r.Insert(1000, []byte("abcdef"))
	for _, test := range []struct {
		first uint32
		n     int
		want  bool
	}{{1000, 6, true}, {1000, 5, false}, {1003, 6, false}, {1006, 3, true}} {
		if got := r.Repeats(test.first, test.n); got != test.want {
			t.Errorf("%d bytes from %d: %v", test.n, test.first, got)
		}
	}
	r.Insert(1002, []byte("cdefgh"))
	if r.Repeats(1000, 6) {
		t.Error("another segment overlaps it")
	}
}
