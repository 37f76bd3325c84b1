package engine

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/engine/flow"
	"github.com/sluicefw/sluice/internal/packettest"
)

// TestPages reads sorted lists page by page from two workers and compares them
// with the whole list, sorted.
func TestPages(t *testing.T) {
	var workers [2]*rig
	var all []PageFlow
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range workers {
		r := newRig(t, program(t, ""))
		workers[i] = r
		for n := range 150 {
			src := fmt.Sprintf("10.0.%d.%d:%d", i, n, 1000+n)
			for range 1 + rnd.IntN(4) { // several flows have as many packets as others
				r.accepts("datagram", packettest.UDP(src, "192.0.2.1:53", make([]byte, rnd.IntN(3))))
				r.pass(0.01)
			}
		}
		r.w.now = r.now
		s := r.run(Operation{Filters: []flow.Filter{{}}, Page: &Page{Size: 1000}})
		r.sweep()
		all = append(all, s.page.flows...)
	}
	for by := ByAge; by <= ByIdle; by++ {
		for _, descending := range []bool{false, true} {
			want := slices.Clone(all)
			slices.SortFunc(want, func(a, b PageFlow) int {
				c := cmp.Or(cmp.Compare(a.Place(by).Value, b.Place(by).Value), cmp.Compare(a.ID, b.ID))
				if descending {
					return -c
				}
				return c
			})
			var got []PageFlow
			page := Page{By: by, Descending: descending, Size: 32}
			for {
				var parts [][]PageFlow
				for _, r := range workers {
					s := r.run(Operation{Filters: []flow.Filter{{}}, Page: &page})
					r.sweep()
					if s.flows != 150 || len(s.page.flows) > page.Size {
						t.Fatalf("%d flows counted, %d kept", s.flows, len(s.page.flows))
					}
					parts = append(parts, s.page.flows)
				}
				merged := mergePages(&page, parts)
				if len(merged) == 0 {
					break
				}
				got = append(got, merged...)
				last := merged[len(merged)-1].Place(by)
				page.After = &last
			}
			if !slices.EqualFunc(got, want, func(a, b PageFlow) bool { return a.ID == b.ID }) {
				t.Errorf("sorted by %d, descending %v: %d flows of %d, or not in order", by, descending, len(got), len(want))
			}
		}
	}
}

// TestDecidingRule: a page tells which rule decided a flow.
func TestDecidingRule(t *testing.T) {
	r := newRig(t, program(t, "pass tcp any any -> any 1 (sid:5;)\npass tcp any any -> any 443 (sid:6;)"))
	r.open(newConn("1"))
	r.accepts("datagram", packettest.UDP("10.0.0.1:5", "192.0.2.1:53", []byte("x")))
	s := r.run(Operation{Filters: []flow.Filter{{}}, Page: &Page{Size: 9}})
	r.sweep()
	for _, f := range s.page.flows {
		if decided := f.Rule != nil; decided != (f.Key.Proto == 6) || decided && f.Rule.Meta.SID != 6 {
			t.Errorf("flow of protocol %d: rule %+v", f.Key.Proto, f.Rule)
		}
	}
}

// TestProtectedFlows: what a protecting filter matches is never flushed, and
// filters may look at both directions.
func TestProtectedFlows(t *testing.T) {
	r := newRig(t, program(t, ""))
	for _, c := range []string{"1", "2", "3"} {
		r.open(newConn(c))
	}
	s := r.run(Operation{Flush: true, Either: true, Limit: 9,
		Filters: []flow.Filter{filter(t, "192.0.2.0/24", "", "", "", "6")}, // the servers, as sources
		Protect: []flow.Filter{filter(t, "", "", "", "2")},
	})
	r.sweep()
	if s.flows != 2 || r.w.table.Len() != 1 {
		t.Errorf("%d flows flushed, %d left", s.flows, r.w.table.Len())
	}
}

// TestExceptionOfOneFlush: packets of its flows meet what the flush says; those
// of other flows meet the program's policy.
func TestExceptionOfOneFlush(t *testing.T) {
	r := newRig(t, program(t, "")) // drops
	reject := detect.ExceptionReject
	one, other := newConn("1"), newConn("2")
	r.open(one)
	r.open(other)
	r.run(Operation{ID: "a", Flush: true, Exception: &reject, Filters: []flow.Filter{filter(t, "", "", "1", "")}, Limit: 9})
	r.run(Operation{ID: "b", Flush: true, Filters: []flow.Filter{{}}, Limit: 9})
	r.drops("of the first flush", one.c2s(data, "x"))
	if n := len(r.injected()); n != 2 {
		t.Errorf("%d resets for the flush that asked for them", n)
	}
	r.drops("of the second flush", other.c2s(data, "x"))
	if n := len(r.injected()); n != 0 {
		t.Errorf("%d resets for the other", n)
	}
	r.midstream(detect.ExceptionReject, CauseFlushed, 1)
	r.midstream(detect.ExceptionDrop, CauseFlushed, 1)
}

// TestStaleFlows: a flow is stale when the newest program would not admit it
// any more, for a reason that can be shown; flows that it admitted never are.
func TestStaleFlows(t *testing.T) {
	old := program(t, "", generation(1))
	for _, c := range []struct {
		name, rules string
		change      []func(*detect.Program)
		stale       int // of the three flows below
	}{
		{"nothing forbids them", `pass tcp any any -> any any (sid:1;)`, nil, 0},
		{"by port", `drop tcp any any -> any 443 (sid:1;)`, nil, 2},
		{"by packets of the established connection", `drop tcp any any -> any 443 (flow:established,to_server; sid:1;)`, nil, 2},
		{"by the server's packets", `reject ip 192.0.2.1 any -> any any (sid:1;)`, nil, 3},
		{"by SNI", `drop tls any any -> any any (tls.sni; content:"example.com"; startswith; endswith; nocase; sid:1;)`, nil, 1},
		{"by domain", `drop tls any any -> any any (tls.sni; dotprefix; content:".com"; endswith; nocase; sid:1;)`, nil, 1},
		{"by protocol", `drop tls any any -> any any (sid:1;)`, nil, 1},
		{"pass comes first", "pass tcp any any -> any any (sid:2;)\ndrop tcp any any -> any 443 (sid:1;)", nil, 0},
		{"what is not kept does not count", `drop tcp any any -> any any (content:"x"; sid:1;)`, nil, 0},
		{"default action, which takes datagrams too", "", []func(*detect.Program){func(p *detect.Program) { p.Defaults.Drop[detect.Established] = true }}, 3},
		{"default action of the application layer", "", []func(*detect.Program){func(p *detect.Program) { p.Defaults.Drop[detect.EstablishedApp] = true }}, 2},
		{"strict default action", "", []func(*detect.Program){func(p *detect.Program) { p.Defaults.Drop[detect.Strict] = true }}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, old)
			tls, plain := newConn("1"), newConn("2")
			r.open(tls)
			r.accepts("hello", tls.c2s(data, hello(t, "example.com")))
			r.open(plain)
			r.accepts("datagram", packettest.UDP("10.0.0.1:5", "192.0.2.1:53", []byte("x")))
			r.accepts("answer", packettest.UDP("192.0.2.1:53", "10.0.0.1:5", []byte("x")))
			r.w.setProgram(program(t, c.rules, append(c.change, generation(2))...))
			later := newConn("9")
			r.packet(later.syn())
			s := r.run(Operation{Filters: []flow.Filter{{}}, Stale: true, Limit: 9})
			r.sweep()
			if s.flows != c.stale {
				t.Errorf("%d stale flows, want %d", s.flows, c.stale)
			}
		})
	}
}
