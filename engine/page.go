package engine

import (
	"cmp"
	"slices"

	"github.com/sluicefw/sluice/engine/detect"
)

// SortKey is what a list of flows is sorted by.
type SortKey uint8

const (
	ByAge SortKey = iota
	ByBytes
	ByPackets
	ByIdle
)

// Page asks for a part of the chosen flows in sorted order: the first Size of
// those that come after After.
type Page struct {
	By         SortKey
	Descending bool
	Size       int
	After      *PageKey // nil for the first page
}

// PageKey is a flow's place in a sorted list: the value sorted by, and the
// flow's id, which tells flows of equal value apart.
type PageKey struct {
	Value int64
	ID    uint64
}

// PageFlow is a flow of a page: its record, and what only lists tell.
type PageFlow struct {
	FlowRecord
	ID         uint64
	Name       string       // SNI or Host
	Rule       *detect.Rule // of Stale operations: by which the newest program would not admit the flow; else that decided it
	Generation uint32
}

// Place is r's place in a list sorted by k. Age and idle time are places by the
// moment that they count from, so that they do not move while pages are read.
func (r *PageFlow) Place(k SortKey) PageKey {
	var v int64
	switch k {
	case ByAge:
		v = -r.First
	case ByBytes:
		v = int64(r.Bytes[0] + r.Bytes[1])
	case ByPackets:
		v = int64(r.Packets[0] + r.Packets[1])
	case ByIdle:
		v = -r.Last
	}
	return PageKey{v, r.ID}
}

// Compare orders places as p's list does.
func (p *Page) Compare(a, b PageKey) int {
	c := cmp.Or(cmp.Compare(a.Value, b.Value), cmp.Compare(a.ID, b.ID))
	if p.Descending {
		return -c
	}
	return c
}

// pageKeeper keeps the first flows of a page as they come, in order. A page is
// short, so insertion into a sorted slice beats a heap, and most flows are
// turned away by one comparison with the last.
type pageKeeper struct {
	page  *Page
	flows []PageFlow
}

func (h *pageKeeper) add(w *worker, f *flowEntry, stale *detect.Rule) {
	r := PageFlow{ID: f.ID(), Name: w.nameOf(f), Generation: w.programs[f.State.slot()].program.Generation}
	r.of(f)
	if r.Rule = stale; stale == nil {
		r.Rule = w.decidedBy(f)
	}
	h.insert(r)
}

func (h *pageKeeper) insert(r PageFlow) {
	p := h.page
	key := r.Place(p.By)
	if p.After != nil && p.Compare(key, *p.After) <= 0 {
		return
	}
	if len(h.flows) == p.Size && (p.Size == 0 || p.Compare(key, h.flows[p.Size-1].Place(p.By)) >= 0) {
		return
	}
	at, _ := slices.BinarySearchFunc(h.flows, key, func(x PageFlow, k PageKey) int { return p.Compare(x.Place(p.By), k) })
	if len(h.flows) == p.Size {
		h.flows = h.flows[:p.Size-1]
	}
	h.flows = slices.Insert(h.flows, at, r)
}

// mergePages returns the first flows of the pages of several workers.
func mergePages(p *Page, pages [][]PageFlow) []PageFlow {
	h := pageKeeper{page: p}
	for _, flows := range pages {
		for i := range flows {
			h.insert(flows[i])
		}
	}
	return h.flows
}
