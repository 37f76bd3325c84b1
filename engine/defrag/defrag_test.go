package defrag

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/packettest"
)

// rig is a table with the packets that it is given.
type rig struct {
	testing.TB
	*Table
	now    int64
	strict bool
	last   packet.Packet
}

func newRig(t testing.TB, opt Options) *rig { return &rig{TB: t, Table: New(opt), strict: true} }

// insert decodes and inserts a fragment.
func (r *rig) insert(ip []byte) ([]byte, Status) {
	r.Helper()
	p := &r.last
	p.Decode(packet.LinkRaw, ip, packet.Options{VerifyChecksums: true})
	if p.Invalid != packet.Valid || !p.Fragment {
		r.Fatalf("not a valid fragment: %v", p.Invalid)
	}
	whole, _, status := r.Insert(p, r.now, r.strict, nil)
	return whole, status
}

func (r *rig) want(status Status, ip []byte) []byte {
	r.Helper()
	whole, got := r.insert(ip)
	if got != status {
		r.Errorf("status %q, want %q", got, status)
	}
	return whole
}

// cut makes an IPv4 fragment of datagram id.
func cut(id uint16, from int, more bool, payload []byte) []byte {
	ip := packettest.IP("10.0.0.1", "10.0.0.2", 253, payload, packettest.ID(id))
	word := uint16(from / 8)
	if more {
		word |= 0x2000
	}
	binary.BigEndian.PutUint16(ip[6:], word)
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:20]))
	return ip
}

func fill(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }

// TestOrders puts datagrams together from their fragments in every order, with
// one of them sent twice.
func TestOrders(t *testing.T) {
	payload := make([]byte, 120)
	for i := range payload {
		payload[i] = byte(i)
	}
	for name, ip := range map[string][]byte{
		"IPv4": packettest.UDP("10.0.0.1:1", "10.0.0.2:2", payload),
		"IPv6": packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", payload),
	} {
		mtu := len(ip) - len(payload) + 32
		if name == "IPv6" {
			mtu += 8
		}
		frags := packettest.Fragments(ip, mtu)
		if len(frags) != 4 {
			t.Fatalf("%s: %d fragments", name, len(frags))
		}
		for policy := range numPolicies {
			r := newRig(t, Options{Policy: policy})
			permute(len(frags), func(order []int) {
				r.want(Incomplete, frags[order[0]])
				for _, i := range order[:3] {
					r.want(Incomplete, frags[i])
				}
				if whole := r.want(Complete, frags[order[3]]); !bytes.Equal(whole, ip) {
					t.Errorf("%s, order %v: rebuilt\n%x, want\n%x", name, order, whole, ip)
				}
			})
			if r.Len() != 0 || r.used != 0 || r.oldest != nil || r.newest != nil {
				t.Errorf("%s: %d datagrams with %d bytes are left", name, r.Len(), r.used)
			}
		}
	}
}

func permute(n int, f func([]int)) {
	order := make([]int, n)
	var rest func(int)
	rest = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := range n {
			if !slices.Contains(order[:k], i) {
				order[k] = i
				rest(k + 1)
			}
		}
	}
	rest(0)
}

// TestPolicies: who wins an overlap. The second fragment (B) meets the first (A)
// in the ways that two can. The answers are Suricata 7.0.10's.
func TestPolicies(t *testing.T) {
	type span struct{ from, to int } // in units of 8 bytes
	policies := []Policy{Windows, First, Last, BSD, BSDRight, Linux, Solaris}
	for _, test := range []struct {
		name string
		a, b span
		want [7]string
	}{
		{"the same", span{0, 2}, span{0, 2}, [...]string{"AA", "AA", "BB", "AA", "BB", "BB", "AA"}},
		{"later begins inside", span{0, 2}, span{1, 3}, [...]string{"AAB", "AAB", "ABB", "AAB", "ABB", "AAB", "AAB"}},
		{"later is inside", span{0, 3}, span{1, 2}, [...]string{"AAA", "AAA", "ABA", "AAA", "ABA", "AAA", "AAA"}},
		{"later begins before", span{1, 3}, span{0, 2}, [...]string{"BAA", "BAA", "BBA", "BBA", "BAA", "BBA", "BAA"}},
		{"later ends with", span{1, 3}, span{0, 3}, [...]string{"BAA", "BAA", "BBB", "BBB", "BAA", "BBB", "BBB"}},
		{"later is around", span{1, 2}, span{0, 3}, [...]string{"BBB", "BAB", "BBB", "BBB", "BAB", "BBB", "BBB"}},
		{"later begins with", span{0, 1}, span{0, 2}, [...]string{"AB", "AB", "BB", "AB", "BB", "BB", "AB"}},
	} {
		for i, want := range test.want {
			r := newRig(t, Options{Policy: policies[i]})
			end := max(test.a.to, test.b.to)
			r.want(Incomplete, cut(1, test.a.from*8, true, fill('A', 8*(test.a.to-test.a.from))))
			if len(r.last.Events.All()) != 0 {
				t.Errorf("%s: events %v", test.name, r.last.Events.All())
			}
			r.want(Incomplete, cut(1, test.b.from*8, true, fill('B', 8*(test.b.to-test.b.from))))
			if !slices.Equal(r.last.Events.All(), []packet.Event{packet.EventIPv4FragmentOverlap}) {
				t.Errorf("%s: events %v", test.name, r.last.Events.All())
			}
			whole := r.want(Complete, cut(1, end*8, false, []byte{'.'}))
			var got []byte
			for i := 20; i+1 < len(whole); i += 8 {
				got = append(got, whole[i])
			}
			if string(got) != want {
				t.Errorf("%s, %v: %s, want %s", test.name, policies[i], got, want)
			}
			if r.Stats().Overlaps != 1 {
				t.Errorf("%s: %d overlaps", test.name, r.Stats().Overlaps)
			}
		}
	}
}

// TestDefaultPolicy is one for IPv4 and another for IPv6.
func TestDefaultPolicy(t *testing.T) {
	if Default.of(4) != Windows || Default.of(6) != BSD || Linux.of(6) != Linux {
		t.Error("the default is not Suricata's")
	}
	for p := range numPolicies {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("vms"); err == nil {
		t.Error("a policy of no host")
	}
}

// TestLenient: what no honest host sends is taken as Suricata takes it.
func TestLenient(t *testing.T) {
	r := newRig(t, Options{})
	r.strict = false
	r.want(Incomplete, cut(1, 0, true, fill('A', 9)))
	r.want(Incomplete, cut(1, 16, true, nil))
	r.want(Incomplete, cut(1, 16, false, fill('C', 4)))
	r.want(Incomplete, cut(1, 16, false, fill('D', 8)))
	if whole := r.want(Complete, cut(1, 8, true, fill('B', 8))); string(whole[20:]) != "AAAAAAAAABBBBBBBCCCC" {
		t.Errorf("rebuilt %s", whole[20:])
	}
}

// TestLinkHeader: the rebuilt packet has the link-layer header of the fragment that
// begins it.
func TestLinkHeader(t *testing.T) {
	ip := packettest.UDP("10.0.0.1:1", "10.0.0.2:2", fill('A', 40), packettest.ID(9))
	frags := packettest.Fragments(ip, 44)
	table := New(Options{})
	buf := make([]byte, 3, 200)
	for i, f := range frags {
		var p packet.Packet
		p.Decode(packet.LinkEthernet, packettest.Ethernet(f, 5), packet.Options{})
		whole, link, status := table.Insert(&p, 0, true, buf[:0])
		if i < len(frags)-1 {
			if status != Incomplete {
				t.Fatal(status)
			}
			continue
		}
		if status != Complete || link != 18 || !bytes.Equal(whole, packettest.Ethernet(ip, 5)) || &whole[0] != &buf[0] {
			t.Errorf("%v, IP at %d, rebuilt\n%x", status, link, whole)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Run("malformed", func(t *testing.T) {
		r := newRig(t, Options{})
		r.want(Malformed, cut(1, 0, true, fill('A', 9)))
		r.want(Malformed, cut(1, 8, true, nil))
	})
	t.Run("beyond the end", func(t *testing.T) {
		r := newRig(t, Options{})
		r.want(Incomplete, cut(1, 16, false, fill('A', 8)))
		r.want(Conflict, cut(1, 24, true, fill('A', 8)))
		r.want(Conflict, cut(1, 16, false, fill('A', 4)))
		r.want(Incomplete, cut(1, 16, false, fill('A', 8)))
		r.want(Complete, cut(1, 0, true, fill('A', 16)))
	})
	t.Run("an end before what is there", func(t *testing.T) {
		r := newRig(t, Options{})
		r.want(Incomplete, cut(1, 16, true, fill('A', 8)))
		r.want(Conflict, cut(1, 8, false, fill('A', 8)))
	})
	t.Run("longer than IP can say", func(t *testing.T) {
		r := newRig(t, Options{})
		long := packettest.IP("10.0.0.1", "10.0.0.2", 253, fill('A', 1000), packettest.IPOptions(1, 1, 1, 1), packettest.ID(1))
		binary.BigEndian.PutUint16(long[6:], 0x2000)
		binary.BigEndian.PutUint16(long[10:], 0)
		binary.BigEndian.PutUint16(long[10:], checksum(long[:24]))
		r.want(Incomplete, long)
		for from := 1000; from < 65000; from += 1000 {
			r.want(Incomplete, cut(1, from, true, fill('A', 1000)))
		}
		r.want(Oversize, cut(1, 65000, false, fill('A', 512)))
		r.want(Condemned, cut(1, 65000, false, fill('A', 512)))
		r.want(Oversize, cut(2, 65528, false, fill('A', 8)))
		if !r.last.Events.Has(packet.EventIPv4FragmentPacketTooLarge) {
			t.Error("no event")
		}
	})
	t.Run("too many fragments", func(t *testing.T) {
		r := newRig(t, Options{Fragments: 2})
		r.want(Incomplete, cut(1, 0, true, fill('A', 8)))
		r.want(Incomplete, cut(1, 8, true, fill('A', 8)))
		r.want(TooMany, cut(1, 16, false, fill('A', 8)))
	})
	t.Run("too many datagrams", func(t *testing.T) {
		r := newRig(t, Options{Datagrams: 2})
		r.want(Incomplete, cut(1, 0, true, fill('A', 8)))
		r.want(Incomplete, cut(2, 0, true, fill('A', 8)))
		r.want(Full, cut(3, 0, true, fill('A', 8)))
		r.want(Complete, cut(1, 8, false, fill('A', 8)))
		r.want(Incomplete, cut(3, 0, true, fill('A', 8)))
	})
	t.Run("too many bytes", func(t *testing.T) {
		r := newRig(t, Options{Memory: 2000})
		r.want(Incomplete, cut(1, 0, true, fill('A', 800)))
		r.want(Full, cut(2, 0, true, fill('A', 800)))
		if r.Len() != 1 {
			t.Errorf("%d datagrams: one that was refused at its first fragment stays", r.Len())
		}
		r.want(Complete, cut(1, 800, false, fill('A', 8)))
		r.want(Incomplete, cut(2, 0, true, fill('A', 800)))
	})
	t.Run("a hole at the front", func(t *testing.T) {
		r := newRig(t, Options{Policy: Last})
		for range 200 {
			if _, s := r.insert(cut(1, 8, true, fill('A', 1400))); s == TooMany {
				if !r.last.Events.Has(packet.EventIPv4FragmentIgnored) {
					t.Error("no event")
				}
				return
			}
		}
		t.Error("overlaps are kept without a bound")
	})
}

func TestTimeout(t *testing.T) {
	r := newRig(t, Options{})
	first, last := cut(1, 0, true, fill('A', 8)), cut(1, 8, false, fill('A', 8))
	r.want(Incomplete, first)
	r.now += int64(time.Minute)
	r.want(Incomplete, last)
	if r.Stats().Timeouts != 1 {
		t.Errorf("%d timeouts", r.Stats().Timeouts)
	}
	r.now += int64(time.Minute) - 1
	r.want(Complete, first)
	r.want(Incomplete, first)
	r.Expire(r.now + int64(time.Minute))
	if r.Len() != 0 || r.Stats().Timeouts != 2 {
		t.Errorf("%d datagrams and %d timeouts after the last", r.Len(), r.Stats().Timeouts)
	}
}

// TestCondemned: what completed a datagram that was refused does not come
// through later, until the receiver has forgotten the others.
func TestCondemned(t *testing.T) {
	r := newRig(t, Options{})
	first, last := cut(1, 0, true, fill('A', 8)), cut(1, 8, false, fill('A', 8))
	r.want(Incomplete, first)
	r.want(Complete, last)
	r.Condemn(&r.last, r.now)
	r.want(Condemned, last)
	r.want(Condemned, first)
	r.want(Incomplete, cut(2, 0, true, fill('A', 8)))
	r.now += int64(time.Minute)
	r.want(Incomplete, last)
	r.want(Complete, first)
}

// TestKeys: fragments of different datagrams do not meet; those of one IPv6
// datagram do whatever they say follows them.
func TestKeys(t *testing.T) {
	for name, change := range map[string]func(*packet.Packet){
		"source":      func(p *packet.Packet) { p.Src[15]++ },
		"destination": func(p *packet.Packet) { p.Dst[15]++ },
		"id":          func(p *packet.Packet) { p.IPID++ },
		"VLAN":        func(p *packet.Packet) { p.VLAN[1]++ },
		"protocol":    func(p *packet.Packet) { p.Proto++ },
	} {
		table := New(Options{})
		var a, b packet.Packet
		a.Decode(packet.LinkRaw, cut(1, 0, true, fill('A', 8)), packet.Options{})
		b.Decode(packet.LinkRaw, cut(1, 8, false, fill('A', 8)), packet.Options{})
		change(&b)
		table.Insert(&a, 0, true, nil)
		if _, _, s := table.Insert(&b, 0, true, nil); s != Incomplete {
			t.Errorf("another %s: %v", name, s)
		}
	}
	ip := packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", make([]byte, 100))
	frags := packettest.Fragments(ip, 40+8+56)
	frags[1][40] = 6
	r := newRig(t, Options{})
	r.want(Incomplete, frags[0])
	if whole := r.want(Complete, frags[1]); !bytes.Equal(whole, ip) {
		t.Errorf("rebuilt %x, want %x", whole, ip)
	}
}

// TestExtensionHeaders: those before the fragment header stay.
func TestExtensionHeaders(t *testing.T) {
	ip := packettest.IP("2001:db8::1", "2001:db8::2", 0, append([]byte{60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9}, fill('A', 16)...))
	last := packettest.IP("2001:db8::1", "2001:db8::2", 44, append([]byte{17, 0, 0, 16, 0, 0, 0, 9}, 'B'))
	want := packettest.IP("2001:db8::1", "2001:db8::2", 0, append([]byte{60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0}, append(fill('A', 16), 'B')...))
	r := newRig(t, Options{})
	r.want(Incomplete, last)
	if whole := r.want(Complete, ip); !bytes.Equal(whole, want) {
		t.Errorf("rebuilt\n%x, want\n%x", whole, want)
	}
}

func TestNoAllocs(t *testing.T) {
	r := newRig(t, Options{})
	frags := packettest.Fragments(packettest.UDP("10.0.0.1:1", "10.0.0.2:2", make([]byte, 4000)), 1500)
	var p packet.Packet
	buf := make([]byte, 0, 5000)
	if n := testing.AllocsPerRun(100, func() {
		for _, f := range frags {
			p.Decode(packet.LinkRaw, f, packet.Options{})
			r.Insert(&p, r.now, true, buf)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a datagram", n)
	}
}

// TestFlood sends 100,000 fragments of the kinds that cost most: the table keeps to its bounds, and
// no fragment costs so much that those who send them could stop a worker.
func TestFlood(t *testing.T) {
	const n = 100_000
	const allowed = 20 * time.Second // 200 µs for each: 10 µs is usual
	for name, fragment := range map[string]func(i int) []byte{
		"datagrams without end":       func(i int) []byte { return cut(uint16(i), i>>16*8, true, fill('a', 1480)) },
		"one datagram, from the end":  func(i int) []byte { return cut(1, 65504-i%8187*8, i > 0, fill('a', 8)) },
		"one, complete but for a gap": func(i int) []byte { return cut(1, max(0, 65504-8*i%65496), i > 0, fill('a', 8)) },
		"the same fragment":           func(int) []byte { return cut(1, 8, true, fill('a', 8)) },
		"the front, always longer":    func(i int) []byte { return cut(1, 0, true, fill(byte(i), 8+i%64*8)) },
		"half overlaps":               func(i int) []byte { return cut(1, i%8000*8, true, fill(byte(i), 16)) },
	} {
		for _, policy := range []Policy{Windows, BSDRight, Linux} {
			r := newRig(t, Options{Policy: policy})
			start := time.Now()
			for i := range n {
				r.insert(fragment(i))
			}
			if took := time.Since(start); took > allowed {
				t.Errorf("%s, %v: %d fragments took %v", name, policy, n, took)
			}
			if r.used > r.opt.Memory || r.Len() > r.opt.Datagrams {
				t.Errorf("%s: %d datagrams, %d bytes", name, r.Len(), r.used)
			}
			for _, tr := range r.trackers {
				if len(tr.frags) > r.opt.Fragments || len(tr.store) > maxStored {
					t.Fatalf("%s: a datagram has %d fragments, %d bytes", name, len(tr.frags), len(tr.store))
				}
			}
		}
	}
}

// slow is the twin: it has the owner of each byte, and compares two fragments in the words of
// the policy. That is only what a policy means where no more than two overlap.
type slow struct {
	policy Policy
	owner  map[int]frag
	bytes  map[int]byte
	end    int
}

// later says whether the later of two fragments has the bytes that both have.
func (s *slow) later(l, e frag) bool {
	switch s.policy {
	case Last:
		return true
	case BSD:
		return l.from < e.from
	case BSDRight:
		return l.from >= e.from
	case Linux:
		return l.from <= e.from
	case Windows:
		return l.from < e.from && l.to > e.to
	case Solaris:
		return l.from < e.from && l.to >= e.to
	}
	return false
}

func (s *slow) insert(from int, payload []byte, last bool) (status Status) {
	f := frag{from: from, to: from + len(payload)}
	if s.end >= 0 && (f.to > s.end || last && f.to != s.end) {
		return Conflict
	}
	for i := range s.owner {
		if last && i >= f.to {
			return Conflict
		}
	}
	if last {
		s.end = f.to
	}
	for i, b := range payload {
		old, has := s.owner[from+i]
		if !has || s.later(f, old) {
			s.owner[from+i], s.bytes[from+i] = f, b
		}
	}
	if len(s.owner) == s.end {
		return Complete
	}
	return Incomplete
}

func (s *slow) whole() []byte {
	var b []byte
	for i := range s.end {
		b = append(b, s.bytes[i])
	}
	return b
}

// FuzzTwin compares datagrams of which two fragments overlap with the twin. The first
// bytes of the input are the policy, the two, and the order of all.
func FuzzTwin(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for policy := range numPolicies {
		b := []byte{byte(policy)}
		for range 30 {
			b = append(b, byte(r.IntN(256)))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 8 {
			return
		}
		policy := Policy(b[0]) % numPolicies
		type piece struct {
			from, units int
			c           byte
		}
		pieces := []piece{{int(b[1]) % 6, 1 + int(b[2])%4, 'A'}, {int(b[3]) % 6, 1 + int(b[4])%4, 'B'}}
		end := max(pieces[0].from+pieces[0].units, pieces[1].from+pieces[1].units)
		for at := range end {
			if within := func(p piece) bool { return at >= p.from && at < p.from+p.units }; !within(pieces[0]) && !within(pieces[1]) {
				pieces = append(pieces, piece{at, 1, '0' + byte(at)})
			}
		}
		pieces = append(pieces, piece{end, 0, 'z'})
		for i, x := range b[5:] { // all but the first two change places
			if n := len(pieces) - 2; n > 0 {
				j, k := 2+i%n, 2+int(x)%n
				pieces[j], pieces[k] = pieces[k], pieces[j]
			}
		}
		at := int(b[5]) % len(pieces) // and the two come somewhere
		pieces = append(append(slices.Clone(pieces[2:]), pieces[0]), pieces[1])
		pieces = slices.Concat(pieces[at%len(pieces):], pieces[:at%len(pieces)])

		rig := newRig(t, Options{Policy: policy})
		twin := &slow{policy: policy.of(4), owner: map[int]frag{}, bytes: map[int]byte{}, end: -1}
		for n, p := range pieces {
			payload, last := fill(p.c, p.units*8), p.units == 0
			if last {
				payload = []byte{p.c}
			}
			want := twin.insert(p.from*8, payload, last)
			whole, got := rig.insert(cut(7, p.from*8, !last, payload))
			if got != want {
				t.Fatalf("%v, %v, fragment %d: %v, the twin has %v", policy, pieces, n, got, want)
			}
			if got == Complete && !bytes.Equal(whole[20:], twin.whole()) {
				t.Fatalf("%v, %v, fragment %d: rebuilt %s, the twin has %s", policy, pieces, n, whole[20:], twin.whole())
			}
			if got == Complete {
				return
			}
		}
	})
}

// FuzzConsistent inserts fragments of one datagram, overlapping as they like: it is complete when
// every byte is there, and then it is that datagram, or it is refused.
func FuzzConsistent(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for policy := range numPolicies {
		b := []byte{byte(policy)}
		for range 60 {
			b = append(b, byte(r.IntN(20)), byte(r.IntN(6)))
		}
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, strict bool) {
		if len(b) == 0 {
			return
		}
		const units = 16
		data := make([]byte, units*8+3)
		for i := range data {
			data[i] = byte(i)
		}
		rig := newRig(t, Options{Policy: Policy(b[0]) % numPolicies})
		rig.strict = strict
		var has [units + 1]bool
		for n := 1; n+1 < len(b) && n < 200; n += 2 {
			from := int(b[n]) % (units + 1)
			to := min(from+1+int(b[n+1])%6, units+1)
			last := to == units+1
			if from == 0 && last {
				continue // not a fragment
			}
			for i := from; i < to; i++ {
				has[i] = true
			}
			all := !slices.Contains(has[:], false)
			whole, got := rig.insert(cut(7, from*8, !last, data[from*8:min(to*8, len(data))]))
			switch {
			case got == Complete:
				if !all || !bytes.Equal(whole[20:], data) {
					t.Fatalf("all there %v, rebuilt %x", all, whole[20:])
				}
				var p packet.Packet
				if p.Decode(packet.LinkRaw, whole, packet.Options{VerifyChecksums: true}); p.Invalid != packet.Valid || p.Fragment {
					t.Fatalf("the rebuilt packet is not valid: %v", p.Invalid)
				}
				return
			case got == Incomplete && all && strict:
				t.Fatal("all is there and nobody says so")
			case got != Incomplete:
				if got != Ambiguous || !strict {
					t.Fatal(got)
				}
				return
			}
		}
	})
}

// FuzzInsert: nothing that decodes as a fragment panics or makes the table
// outgrow its bounds.
func FuzzInsert(f *testing.F) {
	for _, ip := range packettest.Fragments(packettest.UDP("[2001:db8::1]:1", "[2001:db8::2]:2", make([]byte, 300)), 120) {
		f.Add(ip, ip)
	}
	f.Add(cut(1, 0, true, fill('A', 16)), cut(1, 8, false, fill('B', 9)))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		table := New(Options{Memory: 4096, Datagrams: 2, Fragments: 4})
		for i, ip := range [][]byte{a, b, a, b, b, a} {
			var p packet.Packet
			if p.Decode(packet.LinkRaw, ip, packet.Options{}); p.IPVersion == 0 || !p.Fragment {
				continue
			}
			whole, _, s := table.Insert(&p, int64(i), i < 3, nil)
			if table.used > 4096 || table.Len() > 2 {
				t.Fatalf("%d bytes, %d datagrams", table.used, table.Len())
			}
			if s == Complete && len(whole) > 40+maxDatagram {
				t.Fatalf("%d bytes", len(whole))
			}
		}
	})
}

func ExampleStatus() {
	fmt.Println(Condemned, Condemned.Refused(), Complete.Refused())
	// Output: refused_datagram true false
}
