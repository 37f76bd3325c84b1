package flow

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sluicefw/sluice/engine/packet"
)

// testState stands for an owner's state: how long the flow may idle, and
// whether both sides have spoken.
type testState struct {
	idle    int32 // seconds
	assured bool
}

type ended struct {
	key    Key
	reason Reason
	op     uint16
}

type testOwner struct{ ended []ended }

func (o *testOwner) IdleTimeout(f *Flow[testState]) int64 {
	return int64(f.State.idle) * int64(time.Second)
}
func (o *testOwner) Assured(f *Flow[testState]) bool { return f.State.assured }
func (o *testOwner) Closed(*Flow[testState]) bool    { return false }
func (o *testOwner) Ended(f *Flow[testState], r Reason, op *Operation[testState]) {
	o.ended = append(o.ended, ended{f.Key, r, op.number()})
}

func key(src string, sport uint16, dst string, dport uint16, proto uint8) Key {
	return Key{
		Src: packet.AddrFrom(netip.MustParseAddr(src)), SrcPort: sport,
		Dst: packet.AddrFrom(netip.MustParseAddr(dst)), DstPort: dport,
		Proto: proto,
	}
}

func seed(t *testing.T) *rand.Rand {
	n := uint64(time.Now().UnixNano())
	if s := os.Getenv("SLUICE_SEED"); s != "" {
		n, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("SLUICE_SEED=%d", n)
	return rand.New(rand.NewPCG(n, 0))
}

func sec(n int) int64 { return int64(n) * int64(time.Second) }

func TestFindBothDirections(t *testing.T) {
	tab := NewTable[testState](10, &testOwner{})
	k := key("10.0.0.1", 1234, "192.0.2.1", 443, packet.ProtoTCP)
	f := tab.Insert(&k, sec(1))
	f.State.idle = 60
	if got, dir := tab.Find(&k, sec(2)); got != f || dir != packet.ToServer {
		t.Errorf("forward: %p %v, want %p to_server", got, dir, f)
	}
	r := k.Reverse()
	if got, dir := tab.Find(&r, sec(2)); got != f || dir != packet.ToClient {
		t.Errorf("reverse: %p %v, want %p to_client", got, dir, f)
	}
	for _, other := range []Key{
		key("10.0.0.1", 1235, "192.0.2.1", 443, packet.ProtoTCP),
		key("10.0.0.1", 1234, "192.0.2.1", 443, packet.ProtoUDP),
		key("10.0.0.1", 443, "192.0.2.1", 1234, packet.ProtoTCP),
	} {
		if got, _ := tab.Find(&other, sec(2)); got != nil {
			t.Errorf("%v found the flow of %v", other, k)
		}
	}
	vlan := k
	vlan.Place = PlaceOf([packet.MaxVLANs]uint16{7}, 0)
	if got, _ := tab.Find(&vlan, sec(2)); got != nil {
		t.Error("another VLAN found the flow")
	}
}

func TestPlace(t *testing.T) {
	ids := [packet.MaxVLANs]uint16{0xfff, 0, 0xabc}
	if l := PlaceOf(ids, packet.MaxDepth); l.VLAN() != ids || l.Tunnel() != packet.MaxDepth {
		t.Errorf("VLANs %x and tunnel %d", l.VLAN(), l.Tunnel())
	}
}

// TestEpochs: flushes are told apart, also when their count begins anew.
func TestEpochs(t *testing.T) {
	tab := NewTable[testState](10, &testOwner{})
	old, spared := key("10.0.0.1", 1, "10.0.0.2", 2, packet.ProtoTCP), key("10.0.0.1", 1, "10.0.0.2", 3, packet.ProtoTCP)
	filter := mustFilter(t, "", "", "", "2")
	tab.Insert(&spared, 0).State.idle = 60
	for n := range 70_000 {
		tab.Insert(&old, 0).State.idle = 60
		op := &Operation[testState]{Filters: []Filter{filter}}
		tab.Flush(op, 0)
		if n%3 == 0 {
			tab.Flush(&Operation[testState]{}, 0)
		}
		if f, _ := tab.Find(&old, 0); f != nil {
			t.Fatalf("flush %d has no effect", n)
		}
		for tab.Sweeping() {
			tab.Sweep(10, 0)
		}
		if f, _ := tab.Find(&spared, 0); f == nil || f.epoch != tab.epoch {
			t.Fatalf("flush %d: the other flow is gone, or behind", n)
		}
	}
}

func TestIdleTimeoutIsExact(t *testing.T) {
	o := &testOwner{}
	tab := NewTable[testState](10, o)
	k := key("10.0.0.1", 1, "10.0.0.2", 2, packet.ProtoTCP)
	f := tab.Insert(&k, sec(100))
	f.State.idle = 60
	if got, _ := tab.Find(&k, sec(160)); got == nil {
		t.Fatal("gone at its timeout")
	}
	if got, _ := tab.Find(&k, sec(160)+1); got != nil {
		t.Fatal("found after its timeout")
	}
	if g, ok := tab.Grave(&k); !ok || g.Reason != Timeout || tab.Len() != 0 || len(o.ended) != 1 {
		t.Errorf("grave %v %v, %d flows, ended %v", g, ok, tab.Len(), o.ended)
	}
}

func mustFilter(t testing.TB, src, dst, sport, dport string, protos ...string) Filter {
	t.Helper()
	prefix := func(s string) netip.Prefix {
		if s == "" {
			return netip.Prefix{}
		}
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.PrefixFrom(a, a.BitLen())
		}
		return netip.MustParsePrefix(s)
	}
	number := func(s string, bits int) uint64 {
		n, err := strconv.ParseUint(s, 10, bits)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ports := func(s string) PortRange {
		if s == "" {
			return AnyPort
		}
		from, to, isRange := strings.Cut(s, ":")
		if !isRange {
			to = from
		}
		return PortRange{uint16(number(from, 16)), uint16(number(to, 16))}
	}
	var numbers []uint8
	for _, p := range protos {
		numbers = append(numbers, uint8(number(p, 8)))
	}
	return NewFilter(prefix(src), prefix(dst), ports(sport), ports(dport), numbers)
}

func TestFilter(t *testing.T) {
	tcp4 := key("10.0.1.23", 50000, "192.0.2.80", 443, packet.ProtoTCP)
	udp6 := key("2001:db8::1", 53000, "2001:db8:1::53", 53, packet.ProtoUDP)
	ping := key("10.0.1.23", 8, "192.0.2.80", 0, packet.ProtoICMP)
	for _, c := range []struct {
		f    Filter
		want [3]bool // tcp4, udp6, ping
	}{
		{Filter{}, [3]bool{true, true, true}},
		{mustFilter(t, "10.0.0.0/8", "", "", ""), [3]bool{true, false, true}},
		{mustFilter(t, "10.0.1.23", "", "", ""), [3]bool{true, false, true}},
		{mustFilter(t, "10.0.1.22", "", "", ""), [3]bool{}},
		{mustFilter(t, "192.0.2.80", "", "", ""), [3]bool{}}, // a filter is read in the flow's own direction
		{mustFilter(t, "0.0.0.0/0", "", "", ""), [3]bool{true, false, true}},
		{mustFilter(t, "::/0", "", "", ""), [3]bool{false, true, false}},
		{mustFilter(t, "2001:db8::/32", "2001:db8:1::/48", "", "53"), [3]bool{false, true, false}},
		{mustFilter(t, "", "", "", "400:500"), [3]bool{true, false, false}},
		{mustFilter(t, "", "", "1:65535", ""), [3]bool{true, true, false}}, // ICMP has no ports
		{mustFilter(t, "", "", "", "", "6", "17"), [3]bool{true, true, false}},
		{mustFilter(t, "", "", "", "", "1"), [3]bool{false, false, true}},
	} {
		for i, k := range []Key{tcp4, udp6, ping} {
			if got := c.f.Match(&k); got != c.want[i] {
				t.Errorf("%+v on %v: %v", c.f, k, got)
			}
		}
	}
}

func TestFlushSparesTheYoungAndTheNew(t *testing.T) {
	o := &testOwner{}
	tab := NewTable[testState](10, o)
	old := key("10.0.0.1", 1, "10.0.0.9", 80, packet.ProtoTCP)
	young := key("10.0.0.1", 2, "10.0.0.9", 80, packet.ProtoTCP)
	later := key("10.0.0.1", 3, "10.0.0.9", 80, packet.ProtoTCP)
	tab.Insert(&old, sec(0)).State.idle = 1000
	tab.Insert(&young, sec(50)).State.idle = 1000
	op := &Operation[testState]{Filters: []Filter{{}}, MinAge: sec(60), Number: 7}
	tab.Flush(op, sec(100))
	tab.Insert(&later, sec(100)).State.idle = 1000

	if f, _ := tab.Find(&old, sec(100)); f != nil {
		t.Error("the next packet still found a flushed flow")
	}
	// Age counts as of the flush: ten minutes later the young one is still spared.
	for _, k := range []Key{young, later} {
		if f, _ := tab.Find(&k, sec(700)); f == nil {
			t.Errorf("%v was flushed", k)
		}
	}
	if done := tab.Sweep(100, sec(700)); done != op {
		t.Error("the sweep does not end")
	}
	if g, ok := tab.Grave(&old); !ok || g != (Grave{Flushed, 7}) {
		t.Errorf("grave %v %v", g, ok)
	}
	if len(o.ended) != 1 || o.ended[0] != (ended{old, Flushed, 7}) {
		t.Errorf("ended %v", o.ended)
	}
	for i := range 20 {
		if own, all := tab.CountReset(&old); own != min(i, 15) || all != own {
			t.Fatalf("after %d resets: %d, %d in all", i, own, all)
		}
	}
	back := old.Reverse()
	if own, all := tab.CountReset(&back); own != 0 || all != 15 {
		t.Errorf("to the other side: %d, %d in all", own, all)
	}
}

func TestFullTable(t *testing.T) {
	o := &testOwner{}
	tab := NewTable[testState](64, o)
	at := func(i int) Key { return key("10.0.0.1", uint16(i), "10.0.0.2", 80, packet.ProtoTCP) }
	insert := func(i int, assured bool) bool {
		k := at(i)
		f := tab.Insert(&k, sec(1))
		if f != nil {
			f.State = testState{idle: 100, assured: assured}
		}
		return f != nil
	}
	for i := range 64 {
		insert(i, i%2 == 0)
	}
	accepted := 0
	for i := 64; i < 200; i++ {
		if insert(i, true) {
			accepted++
		}
	}
	if accepted != 32 || tab.Len() != 64 {
		t.Errorf("%d new flows found a place of 32 that were not assured; %d flows in the table", accepted, tab.Len())
	}
	for _, e := range o.ended {
		if e.reason != Evicted || e.key.SrcPort%2 == 0 {
			t.Errorf("ended %v", e)
		}
	}
}

// twin is the table as one would write it without caring for speed.
type twin struct {
	flows map[Key]*twinFlow
	ended map[Key]Grave // how the newest flow of a key ended, by both directions of the key
}

func (tw *twin) end(k Key, g Grave) {
	delete(tw.flows, k)
	tw.ended[k], tw.ended[k.Reverse()] = g, g
}

type twinFlow struct {
	first, last int64
	idle        int64
	packets     [2]uint64
}

// TestTwin plays random packets, flushes, captures and sweeps on the table and
// on a map, and compares what they say after every step.
func TestTwin(t *testing.T) {
	r := seed(t)
	for range 30 {
		o := &testOwner{}
		tab := NewTable[testState](1<<20, o)
		tw := twin{flows: map[Key]*twinFlow{}, ended: map[Key]Grave{}}
		graves, forgotten := 0, 0
		now := sec(1000)
		randomKey := func() Key {
			k := key(fmt.Sprintf("10.0.%d.%d", r.IntN(2), r.IntN(4)), uint16(r.IntN(4)), fmt.Sprintf("192.0.2.%d", r.IntN(3)), uint16(80+r.IntN(3)), packet.ProtoTCP)
			if r.IntN(2) == 0 {
				k.Proto = packet.ProtoUDP
			}
			return k
		}
		type pending struct {
			op   *Operation[testState]
			want map[Key]bool // flows that must be emitted, if they live until they are visited
			got  map[Key]bool
			may  bool // capture: a flow that ends before its visit is not emitted
		}
		var ops []*pending
		expire := func() {
			for k, f := range tw.flows {
				if now-f.last > f.idle {
					tw.end(k, Grave{Reason: Timeout})
				}
			}
		}
		for range 3000 {
			now += int64(r.IntN(int(sec(1))))
			expire()
			switch n := r.IntN(100); {
			case n < 80: // a packet
				k := randomKey()
				dir := packet.Dir(r.IntN(2))
				if dir == packet.ToClient {
					k = k.Reverse()
				}
				f, got := tab.Find(&k, now)
				want, wantDir := tw.flows[k], packet.ToServer
				if want == nil {
					if want = tw.flows[k.Reverse()]; want != nil {
						wantDir = packet.ToClient
					}
				}
				if (f == nil) != (want == nil) || f != nil && got != wantDir {
					t.Fatalf("%v: found %v %v, the twin %v %v", k, f, got, want, wantDir)
				}
				if f == nil {
					if want, ok := tw.ended[k]; ok && k.Proto == packet.ProtoTCP {
						got, ok := tab.Grave(&k)
						if graves++; !ok {
							forgotten++ // another grave took its place
						} else if got != want {
							t.Fatalf("%v ended by %v, says the table, and by %v, says the twin", k, got, want)
						}
					}
					f = tab.Insert(&k, now)
					f.State.idle = int32(1 + r.IntN(60))
					want = &twinFlow{first: now, idle: sec(int(f.State.idle))}
					tw.flows[k] = want
				}
				f.Count(got, 1, 100, now)
				want.packets[got]++
				want.last = now
				if f.Packets(0) != want.packets[0] || f.Packets(1) != want.packets[1] || f.Bytes(got) != 100*want.packets[got] || f.First != want.first {
					t.Fatalf("%v: counters %v %v %v", k, f.Packets(0), f.Packets(1), want)
				}
			case n < 90:
				done := tab.Sweep(1+r.IntN(20), now)
				for done != nil {
					p := ops[0]
					ops = ops[1:]
					if p.op != done {
						t.Fatal("operations end out of order")
					}
					for k := range p.got {
						if !p.want[k] {
							t.Fatalf("%v was emitted and did not match", k)
						}
					}
					if !p.may && len(p.got) != len(p.want) {
						t.Fatalf("flushed %d of %d", len(p.got), len(p.want))
					}
					for k := range p.want {
						if f := tw.flows[k]; p.may && f != nil && f.first <= p.op.takenUp && !p.got[k] {
							t.Fatalf("capture missed %v", k)
						}
					}
					done = tab.Sweep(0, now)
				}
			case n < 95 && len(ops) < 3:
				flush := r.IntN(2) == 0
				p := &pending{want: map[Key]bool{}, got: map[Key]bool{}, may: !flush}
				p.op = &Operation[testState]{MinAge: sec(r.IntN(20)), Number: uint16(now / sec(1)), Emit: func(f *Flow[testState]) {
					if p.got[f.Key] {
						t.Fatalf("%v emitted twice", f.Key)
					}
					p.got[f.Key] = true
				}}
				for range 1 + r.IntN(3) {
					p.op.Filters = append(p.op.Filters, mustFilter(t,
						[]string{"", "10.0.0.0/24", "10.0.1.2"}[r.IntN(3)], []string{"", "192.0.2.0/31"}[r.IntN(2)], "", []string{"", "80", "81:82"}[r.IntN(3)], []string{"6", "17"}[:r.IntN(3)]...))
				}
				for k, f := range tw.flows {
					for i := range p.op.Filters {
						if p.op.Filters[i].Match(&k) && now-f.first >= p.op.MinAge {
							p.want[k] = true
						}
					}
					if flush && p.want[k] {
						tw.end(k, Grave{Flushed, p.op.Number})
					}
				}
				ops = append(ops, p)
				if flush {
					tab.Flush(p.op, now)
				} else {
					tab.Capture(p.op, now)
				}
			case n == 99 && len(tw.flows) > 0:
				for k := range tw.flows {
					f, _ := tab.Find(&k, now)
					tab.End(f, Closed)
					tw.end(k, Grave{Reason: Closed})
					break
				}
			}
		}
		if forgotten > graves/2 {
			t.Errorf("%d of %d graves are forgotten", forgotten, graves)
		}
		for tab.Sweeping() {
			tab.Sweep(1000, now)
		}
		tab.Sweep(tab.used, now)
		if tab.Len() != len(tw.flows) {
			t.Fatalf("%d flows, the twin has %d", tab.Len(), len(tw.flows))
		}
	}
}

func TestNoAllocs(t *testing.T) {
	tab := NewTable[testState](1000, &testOwner{ended: make([]ended, 0, 10000)})
	k := key("10.0.0.1", 1, "10.0.0.2", 2, packet.ProtoTCP)
	tab.Insert(&k, 0).State.idle = 60
	n := testing.AllocsPerRun(1000, func() {
		f, dir := tab.Find(&k, 1)
		f.Count(dir, 1, 100, 1)
		other := k
		other.SrcPort = 99
		tab.End(tab.Insert(&other, 1), Closed)
		tab.Sweep(10, 1)
	})
	if n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

// TestEntrySize keeps a flow at 152 bytes, without index and graves
// (about 6 bytes a flow at the limit), for an owner's state of 64 bytes.
func TestEntrySize(t *testing.T) {
	if n := unsafe.Sizeof(Flow[[64]uint8]{}); n > 152 {
		t.Errorf("an entry with 64 bytes of state takes %d bytes", n)
	}
}

func BenchmarkFind(b *testing.B) {
	const flows = 1 << 20
	tab := NewTable[testState](flows, &testOwner{})
	keys := make([]Key, flows)
	for i := range keys {
		keys[i] = key("10.0.0.1", uint16(i), "192.0.2.1", uint16(i>>16), packet.ProtoTCP)
		tab.Insert(&keys[i], 0).State.idle = 60
	}
	r := rand.New(rand.NewPCG(1, 1))
	order := r.Perm(flows)
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if f, _ := tab.Find(&keys[order[i%flows]], 1); f == nil {
			b.Fatal("lost")
		}
	}
}
