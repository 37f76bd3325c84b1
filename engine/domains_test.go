package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/packet"
)

// domainsOf is what the rig's worker saw since from, by name.
func (r *rig) domainsOf(source DomainSource, from float64) map[string]Domain {
	all := map[string]Domain{}
	for _, d := range r.w.domains[source].copy(0, maxDomains) {
		if s := d.since(time.Unix(0, sec(from))); s.Hits > 0 {
			all[s.Name] = s
		}
	}
	return all
}

func (d Domain) String() string {
	return fmt.Sprintf("%d by %d from %d to %d", d.Hits, d.Sources, d.First.Unix(), d.Last.Unix())
}

// compareDomains compares domains with their texts.
func compareDomains(t *testing.T, got map[string]Domain, want map[string]string) {
	t.Helper()
	for name, d := range got {
		if d.String() != want[name] {
			t.Errorf("%q: %v, want %q", name, d, want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%q is not remembered", name)
		}
	}
}

// TestDomains: the SNI of every connection and the Host of every request count,
// whatever rules say of them, while they are to be remembered.
func TestDomains(t *testing.T) {
	r := newRig(t, program(t, `pass tcp any any -> any 443 (sid:1;)
drop tls any any -> any any (tls.sni; content:"bad"; sid:2;)`))
	clients := 0
	say := func(from, port, text string) {
		clients++
		c := &conn{fmt.Sprintf("%s:%d", from, 1000+clients), "192.0.2.1:" + port, 1000, 5000}
		r.open(c)
		r.packet(c.c2s(data, text))
	}
	say("10.0.0.9", "8443", hello(t, "early.example"))
	if got := r.domainsOf(DomainSNI, 0); len(got) != 0 {
		t.Errorf("remembered unasked: %v", got)
	}
	r.w.rememberDomains([domainSources]bool{DomainSNI: true, DomainHost: true})
	say("10.0.0.1", "443", hello(t, "www.example.com"))
	r.pass(10)
	say("10.0.0.2", "8443", hello(t, "WWW.Example.com"))
	r.w.rememberDomains([domainSources]bool{DomainSNI: true, DomainHost: true}) // changes nothing
	r.pass(10)
	say("10.0.0.2", "8443", hello(t, "www.example.com"))
	say("10.0.0.3", "8443", hello(t, "bad.example"))
	say("10.0.0.3", "8443", hello(t, "")) // without a name
	get := "GET / HTTP/1.1\r\nHost: web.example.:80\r\n\r\n"
	say("10.0.0.4", "80", get+get+get)
	say("10.0.0.4", "80", "GET / HTTP/1.0\r\n\r\n")
	compareDomains(t, r.domainsOf(DomainSNI, 0), map[string]string{
		"www.example.com": "3 by 2 from 100000 to 100020", "bad.example": "1 by 1 from 100020 to 100020",
	})
	compareDomains(t, r.domainsOf(DomainHost, 0), map[string]string{"web.example": "3 by 1 from 100020 to 100020"})

	r.w.rememberDomains([domainSources]bool{DomainHost: true})
	if len(r.domainsOf(DomainSNI, 0)) != 0 || len(r.domainsOf(DomainHost, 0)) != 1 {
		t.Error("switching one source off does not forget that one alone")
	}
	r.counter(cPanics, 0)
}

// TestDomainDays counts hits at random times and compares the totals of random
// periods with a list of all hits.
func TestDomainDays(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	const daySeconds = 24 * 60 * 60
	for range 200 {
		tables := [2]*domainTable{{index: map[string]int{}}, {index: map[string]int{}}}
		now := rnd.Int64N(100 * daySeconds)
		var hits []int64
		for range 1 + rnd.IntN(60) {
			now += rnd.Int64N(1 + daySeconds*rnd.Int64N(40)*rnd.Int64N(2))
			hits = append(hits, now)
			tables[rnd.IntN(2)].hit([]byte("a"), packet.Addr{}, now*int64(time.Second))
		}
		parts := append(tables[0].copy(0, 9), tables[1].copy(0, 9)...)
		if rnd.IntN(2) == 0 {
			slices.Reverse(parts)
		}
		d := parts[0]
		for i := range parts[1:] {
			d.add(&parts[1+i])
		}
		from := max(0, now-rnd.Int64N(30*daySeconds))
		var want uint64
		for _, at := range hits {
			if at/daySeconds >= from/daySeconds {
				want++
			}
		}
		got := d.since(time.Unix(from, 0))
		if got.Hits != want || got.Last.Unix() != now || got.First.Unix() < from || got.First.After(got.Last) {
			t.Fatalf("since %d: %v, want %d hits to %d; hits at %v", from, got, want, now, hits)
		}
		if late := d.since(time.Unix(now+1, 0)); late.Hits != 0 {
			t.Fatalf("%v after the last hit", late)
		}
	}
}

// TestDomainsBound: a flood of names takes no more than its share, and a name
// that is used all the time survives it.
func TestDomainsBound(t *testing.T) {
	table := &domainTable{index: map[string]int{}}
	var name [8]byte
	for i := range int64(3 * maxDomains) {
		binary.BigEndian.PutUint64(name[:], uint64(i))
		table.hit(name[:], packet.Addr{}, i)
		if i%100 == 0 {
			table.hit([]byte("steady"), packet.Addr{}, i)
		}
	}
	if len(table.list) != maxDomains || len(table.index) != maxDomains {
		t.Errorf("%d places, %d names, want %d", len(table.list), len(table.index), maxDomains)
	}
	for name, i := range table.index {
		if table.list[i].name != name {
			t.Fatalf("%q leads to %q", name, table.list[i].name)
		}
	}
	if d := table.list[table.index["steady"]]; d.name != "steady" || d.first != 0 {
		t.Errorf("the steady name was forgotten: %+v", d)
	}
}

// TestSketch: exact when small, close when large, and the union of parts is
// that of the whole.
func TestSketch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 50, sketchSize - 1, sketchSize, 1000, 100_000} {
		var whole sketch
		var parts [2]sketch
		for i := range n {
			h := rnd.Uint32()
			for range 2 {
				whole.add(h)
				parts[i%2].add(h)
			}
		}
		for _, h := range parts[1] {
			parts[0].add(h)
		}
		if !slices.Equal(whole, parts[0]) {
			t.Errorf("%d: the union is not the whole", n)
		}
		got, off := whole.count(), 0.0
		if n >= sketchSize {
			off = 0.3 // more than three standard errors
		}
		if low, high := float64(n)*(1-off), float64(n)*(1+off); float64(got) < low || float64(got) > high {
			t.Errorf("%d different values are counted as %d", n, got)
		}
	}
}

// TestDomainsAllocateNothing: a known domain from a known source costs no memory.
func TestDomainsAllocateNothing(t *testing.T) {
	r := newRig(t, program(t, ""))
	r.w.rememberDomains([domainSources]bool{DomainHost: true})
	c := newConn("1")
	r.open(c)
	r.packet(c.c2s(data, "GET / HTTP/1.1\r\nHost: WWW.example.com\r\n\r\n"))
	f, _ := r.w.table.Find(&r.w.key, r.now)
	tx := r.w.session(f).Last()
	if n := testing.AllocsPerRun(100, func() { r.w.sawDomain(f, tx, DomainHost, applayer.HTTPHost) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if d := r.domainsOf(DomainHost, 0)["www.example.com"]; d.Hits != 102 {
		t.Errorf("%v, want 102 hits", d)
	}
}

// TestDomainsOfEngine merges what several workers saw.
func TestDomainsOfEngine(t *testing.T) {
	e, _, queues, stop := live(t, 2, program(t, ""))
	defer stop()
	if err := e.RememberDomains(t.Context(), DomainSNI); err != nil {
		t.Fatal(err)
	}
	say := func(q *queue, port, name string) {
		c := newConn(port)
		q.send(c.syn())
		q.send(c.s2c(synAck, ""))
		q.send(c.c2s(ack, ""), c.c2s(data, hello(t, name)))
	}
	say(queues[0], "1", "a.example")
	say(queues[1], "2", "a.example")
	say(queues[1], "3", "b.example")
	say(queues[0], "4", "c.example")
	got, err := e.Domains(t.Context(), DomainSNI, time.Unix(0, 0), 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Name != "a.example" || got[0].Hits != 2 || got[0].Sources != 1 || got[1].Name != "b.example" {
		t.Errorf("domains %v", got)
	}
	if got, err := e.Domains(t.Context(), DomainHost, time.Unix(0, 0), 2); err != nil || len(got) != 0 {
		t.Errorf("of HTTP %v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Domains(ctx, DomainSNI, time.Unix(0, 0), 2); err == nil {
		t.Error("no error though the context has ended")
	}
}
