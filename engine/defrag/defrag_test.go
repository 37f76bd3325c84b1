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
	now int64
}

func newRig(t testing.TB, opt Options) *rig { return &rig{TB: t, Table: New(opt)} }

// insert decodes and inserts a fragment.
func (r *rig) insert(ip []byte) ([]byte, Status) {
	r.Helper()
	var p packet.Packet
	p.Decode(packet.LinkRaw, ip, packet.Options{VerifyChecksums: true})
	if p.Invalid != packet.Valid || !p.Fragment {
		r.Fatalf("not a valid fragment: %v", p.Invalid)
	}
	return r.Insert(&p, r.now)
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
		for policy := Windows; policy <= Solaris; policy++ {
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
// in the five ways that two can.
func TestPolicies(t *testing.T) {
	type span struct{ from, to int } // in units of 8 bytes
	for _, test := range []struct {
		name string
		a, b span
		want [Solaris + 1]string // Windows, First, Last, BSD, Linux, Solaris
	}{
		{"the same", span{0, 2}, span{0, 2}, [...]string{"AA", "AA", "BB", "AA", "BB", "AA"}},
		{"later begins inside", span{0, 2}, span{1, 3}, [...]string{"AAB", "AAB", "ABB", "AAB", "AAB", "AAB"}},
		{"later is inside", span{0, 3}, span{1, 2}, [...]string{"AAA", "AAA", "ABA", "AAA", "AAA", "AAA"}},
		{"later begins before", span{1, 3}, span{0, 2}, [...]string{"BAA", "BAA", "BBA", "BBA", "BBA", "BAA"}},
		{"later ends with", span{1, 3}, span{0, 3}, [...]string{"BAA", "BAA", "BBB", "BBB", "BBB", "BBB"}},
		{"later is around", span{1, 2}, span{0, 3}, [...]string{"BAB", "BAB", "BBB", "BBB", "BBB", "BBB"}},
		{"later begins with", span{0, 1}, span{0, 2}, [...]string{"AB", "AB", "BB", "AB", "BB", "AB"}},
	} {
		if test.name == "later is around" {
			test.want[Windows] = "BBB"
		}
		for policy, want := range test.want {
			r := newRig(t, Options{Policy: Policy(policy)})
			end := max(test.a.to, test.b.to)
			r.want(Incomplete, cut(1, test.a.from*8, true, fill('A', 8*(test.a.to-test.a.from))))
			r.want(Incomplete, cut(1, test.b.from*8, true, fill('B', 8*(test.b.to-test.b.from))))
			whole := r.want(Complete, cut(1, end*8, false, []byte{'.'}))
			var got []byte
			for i := 20; i+1 < len(whole); i += 8 {
				got = append(got, whole[i])
			}
			if string(got) != want {
				t.Errorf("%s, policy %d: %s, want %s", test.name, policy, got, want)
			}
			if r.Stats().Overlaps != 1 {
				t.Errorf("%s: %d overlaps", test.name, r.Stats().Overlaps)
			}
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
	r.Condemn(r.now)
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
		table.Insert(&a, 0)
		if _, s := table.Insert(&b, 0); s != Incomplete {
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
	if n := testing.AllocsPerRun(100, func() {
		for _, f := range frags {
			p.Decode(packet.LinkRaw, f, packet.Options{})
			r.Insert(&p, r.now)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a datagram", n)
	}
}

// slow is the twin: it has the owner of each byte.
type slow struct {
	policy Policy
	owner  map[int]frag
	bytes  map[int]byte
	end    int
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
		if !has || s.policy.replaces(&f, &old) {
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

// FuzzTwin inserts fragments made of three bytes each, and compares with the twin.
func FuzzTwin(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for policy := range Solaris + 1 {
		b := []byte{byte(policy)}
		for range 60 {
			b = append(b, byte(r.IntN(12)), byte(r.IntN(6)), byte(r.IntN(256)))
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		policy := Policy(b[0]) % (Solaris + 1)
		r := newRig(t, Options{Policy: policy})
		fresh := func() *slow {
			return &slow{policy: policy, owner: map[int]frag{}, bytes: map[int]byte{}, end: -1}
		}
		twin := fresh()
		for n := 0; len(b) >= 4 && n < 200; n++ {
			from, units, c := int(b[1])%32, 1+int(b[2])%8, b[3]
			b = b[3:]
			payload := fill(c, units*8)
			last := c%8 == 0
			if last {
				payload = payload[:len(payload)-int(c/8)%8]
			}
			if from == 0 && last {
				continue // not a fragment
			}
			want := twin.insert(from*8, payload, last)
			whole, got := r.insert(cut(7, from*8, !last, payload))
			if got != want {
				t.Fatalf("fragment %d: %v, the twin has %v", n, got, want)
			}
			if got == Complete {
				if !bytes.Equal(whole[20:], twin.whole()) {
					t.Fatalf("fragment %d: rebuilt %s, the twin has %s", n, whole[20:], twin.whole())
				}
				var p packet.Packet
				if p.Decode(packet.LinkRaw, whole, packet.Options{VerifyChecksums: true}); p.Invalid != packet.Valid || p.Fragment {
					t.Fatalf("the rebuilt packet is not valid: %v", p.Invalid)
				}
				twin = fresh()
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
			if p.Decode(packet.LinkRaw, ip, packet.Options{}); p.Invalid != packet.Valid || !p.Fragment {
				continue
			}
			whole, s := table.Insert(&p, int64(i))
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
