package stream

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// twin reassembles byte by byte, in numbers of 64 bits.
type twin struct {
	cfg                    Config
	held                   map[int64]byte
	base, next, acked, end int64 // end is where the depth ends
}

func newTwin(cfg Config) *twin {
	return &twin{cfg: cfg, held: map[int64]byte{}, end: int64(cfg.Depth)}
}

// limit tells where byte i lies beyond what can be taken.
func (w *twin) limit(i int64) bool {
	return w.next >= w.end || i >= w.base+int64(w.cfg.Window) || i >= w.end
}

func (w *twin) insert(at int64, data []byte) (in Inserted) {
	if first := max(at, w.base); at+int64(len(data)) > first && w.next < w.end {
		in.Gap = first > w.next
	}
	next, stopped := w.next, w.next >= w.end
	for k, b := range data {
		i := at + int64(k)
		old, have := w.held[i]
		switch {
		case i < w.base:
			in.Overlap++
		case stopped || w.limit(i):
			in.Limit = true
		case have:
			in.Overlap++
			if old != b {
				in.Conflict = true
				if w.cfg.Overlap == Last && i >= next {
					w.held[i] = b
				}
			}
		default:
			w.held[i] = b
			in.New++
		}
	}
	w.advance()
	return in
}

func (w *twin) advance() {
	for _, ok := w.held[w.next]; ok; _, ok = w.held[w.next] {
		w.next++
	}
}

func (w *twin) bytes() []byte {
	to := w.next
	if w.cfg.Acked {
		to = min(to, w.acked)
	}
	var b []byte
	for i := w.base; i < to; i++ {
		b = append(b, w.held[i])
	}
	return b
}

func (w *twin) consume(n int) {
	for ; n > 0; n-- {
		delete(w.held, w.base)
		w.base++
	}
}

func (w *twin) missing() int {
	first := int64(-1)
	for i := range w.held {
		if i > w.next && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		return int(first - w.next)
	}
	return int(max(w.acked-w.next, 0))
}

func (w *twin) skip() int {
	n := w.missing()
	w.consume(int(w.next - w.base))
	w.base += int64(n)
	w.next = w.base
	w.advance()
	return n
}

// FuzzReassembly runs a script of one byte per operation, and arguments, on
// both reassemblers.
func FuzzReassembly(f *testing.F) {
	f.Add([]byte{0, 0, 5, 1, 0, 10, 5, 2, 1, 5, 9, 3, 1, 2}, uint32(0xfffffff0), false, false)
	f.Add([]byte{1, 0, 50, 10, 4, 3, 3, 0, 0, 50, 1, 3, 5, 9}, uint32(7), true, true)
	f.Add(bytes.Repeat([]byte{0, 3, 1, 1, 7, 200, 9, 4, 3, 2, 5, 20}, 30), uint32(1<<31), false, true)
	f.Fuzz(func(t *testing.T, script []byte, isn uint32, acked, last bool) {
		cfg := Config{Window: 300, Depth: 1500, Acked: acked}
		if last {
			cfg.Overlap = Last
		}
		pool := NewPool(1 << 20)
		r, w := pool.Get(), newTwin(cfg)
		r.Reset(isn, cfg)
		arg := func() (b byte) {
			if len(script) > 0 {
				b, script = script[0], script[1:]
			}
			return b
		}
		for ops := 0; len(script) > 0 && ops < 200; ops++ {
			switch op := arg() % 6; op {
			case 0, 1:
				at := max(w.next+int64(arg())-60, 0)
				data := make([]byte, arg())
				fill := arg()
				for i := range data {
					data[i] = fill * byte(i+1)
				}
				got := Inserted{}
				if op == 0 {
					got = r.Insert(isn+uint32(at), data)
				} else {
					got = r.Borrow(isn+uint32(at), data)
				}
				// The comparison ends where the segments' hole limit begins.
				if r.nspans == maxHoles {
					return
				}
				if want := w.insert(at, data); got != want {
					t.Fatalf("insert %d+%d: %+v, want %+v", at, len(data), got, want)
				}
				if op == 1 {
					checkBytes(t, r, w)
					n := int(arg())
					n = min(n, len(r.Bytes()))
					r.Consume(n)
					w.consume(n)
					clear(data) // the packet is gone
				}
			case 2, 3:
				n := min(int(arg()), len(r.Bytes()))
				r.Consume(n)
				w.consume(n)
			case 4:
				to := w.next + int64(arg()) - 100
				if acked && to > w.acked {
					r.Ack(isn + uint32(to))
					w.acked = to
				}
			case 5:
				if r.Missing() < 400 {
					if got, want := r.Skip(), w.skip(); got != want {
						t.Fatalf("skip: %d, want %d", got, want)
					}
				}
			}
			checkBytes(t, r, w)
			if got, want := r.Next(), isn+uint32(w.next); got != want {
				t.Fatalf("next: %d, want %d", got, want)
			}
			if got, want := r.Missing(), w.missing(); got != want {
				t.Fatalf("missing: %d, want %d", got, want)
			}
		}
		pool.Put(r)
		if pool.InUse() != 0 {
			t.Fatalf("%d bytes in use at the end", pool.InUse())
		}
	})
}

func checkBytes(t *testing.T, r *Reassembly, w *twin) {
	t.Helper()
	if got, want := r.Bytes(), w.bytes(); !bytes.Equal(got, want) {
		t.Fatalf("bytes %x, want %x", got, want)
	}
}

// A text is cut, shuffled and repeated, and must come out whole.
func TestReassemblyInAnyOrder(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	text := make([]byte, 20000)
	for i := range text {
		text[i] = byte(rng.Uint32())
	}
	pool := NewPool(1 << 20)
	for range 200 {
		isn := rng.Uint32()
		type cut struct{ from, to int }
		var cuts []cut
		for at := 0; at < len(text); {
			n := min(1+rng.IntN(1460), len(text)-at)
			cuts = append(cuts, cut{at, at + n})
			if rng.IntN(3) == 0 {
				cuts = append(cuts, cut{max(0, at-rng.IntN(100)), min(len(text), at+n+rng.IntN(100))})
			}
			at += n
		}
		rng.Shuffle(len(cuts), func(i, j int) { cuts[i], cuts[j] = cuts[j], cuts[i] })
		r := pool.Get()
		r.Reset(isn, Config{})
		var out []byte
		for _, c := range cuts {
			if in := r.Borrow(isn+uint32(c.from), text[c.from:c.to]); in.Conflict || in.Limit {
				t.Fatalf("%+v: %+v", c, in)
			}
			n := rng.IntN(len(r.Bytes()) + 1)
			out = append(out, r.Bytes()[:n]...)
			r.Consume(n)
		}
		out = append(out, r.Bytes()...)
		if !bytes.Equal(out, text) {
			t.Fatalf("seed %d: the text came out changed", seed)
		}
		pool.Put(r)
	}
	if pool.InUse() != 0 {
		t.Errorf("%d bytes in use", pool.InUse())
	}
}

func TestReassemblyBounds(t *testing.T) {
	pool := NewPool(1 << 20)
	r := pool.Get()

	r.Reset(0, Config{})
	limited := 0
	for i := range uint32(1000) { // every second byte
		if r.Insert(2*i+1, []byte{1}).Limit {
			limited++
		}
	}
	if limited != 1000-maxHoles {
		t.Errorf("%d tiny segments refused, want all but %d", limited, maxHoles)
	}
	if in := r.Insert(0, []byte{1}); in.New != 1 || in.Limit || r.Next() != 2 {
		t.Errorf("filling the first hole: %+v, next %d", in, r.Next())
	}

	r.Reset(0, Config{})
	if in := r.Insert(DefaultWindow-1, []byte{1, 2}); in.New != 1 || !in.Limit {
		t.Errorf("at the edge of the window: %+v", in)
	}

	r.Reset(0, Config{Depth: 10})
	if in := r.Borrow(0, make([]byte, 11)); in.New != 10 || !in.Limit || !r.Stopped() {
		t.Errorf("at the depth: %+v, stopped %v", in, r.Stopped())
	}
	r.Consume(10)
	if in := r.Insert(10, []byte{1}); !in.Limit || in.New != 0 {
		t.Errorf("behind the depth: %+v", in)
	}
	pool.Put(r)
}

func TestPoolLimit(t *testing.T) {
	pool := NewPool(reassemblySize)
	if r := pool.Get(); r == nil || pool.Get() != nil || pool.Refusals() != 1 {
		t.Error("a second Reassembly was lent over the limit")
	}
	pool = NewPool(reassemblySize + 5000)
	r := pool.Get()
	r.Reset(0, Config{})
	if in := r.Insert(0, make([]byte, 6000)); in.New != 0 || !in.Limit || !r.Stopped() || len(r.Bytes()) != 0 {
		t.Errorf("6000 bytes at a limit of 5000: %+v, stopped %v", in, r.Stopped())
	}
	r.Reset(0, Config{})
	r.Insert(0, make([]byte, 2000))
	if in := r.Insert(2000, make([]byte, 3000)); !in.Limit || !r.Stopped() || len(r.Bytes()) != 2000 {
		t.Errorf("growing over the limit: %+v", in)
	}
	if pool.InUse() > pool.Limit() {
		t.Errorf("%d bytes in use", pool.InUse())
	}
	pool.Put(r)
	if pool.InUse() != 0 {
		t.Errorf("%d bytes in use", pool.InUse())
	}
	// Spare buffers of one size give way to another.
	r = pool.Get()
	r.Reset(0, Config{})
	if in := r.Insert(0, make([]byte, 4000)); in.Limit || len(r.Bytes()) != 4000 {
		t.Errorf("after reuse: %+v", in)
	}
}

func TestReassemblyDoesNotAllocate(t *testing.T) {
	pool := NewPool(1 << 20)
	data := make([]byte, 1400)
	cycle := func() {
		r := pool.Get()
		r.Reset(0, Config{})
		r.Borrow(0, data)
		r.Consume(100)
		r.Insert(2800, data)
		r.Insert(1400, data)
		r.Consume(len(r.Bytes()))
		pool.Put(r)
	}
	cycle()
	if n := testing.AllocsPerRun(100, cycle); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
