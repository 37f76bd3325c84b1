package flow

import "slices"

// Operation is one flow capture or flush on one table. The owner fills what is
// exported before it hands it over.
type Operation[S any] struct {
	Filters []Filter // a flow is chosen if any of them matches
	MinAge  int64    // nanoseconds; younger flows are left alone
	Protect []Filter // flows that any of these matches are left alone
	Either  bool     // filters are tried in the flow's reverse direction too

	// Choose, if set, must agree too. It is asked last.
	Choose func(f *Flow[S]) bool

	Number uint16 // the owner's short name for it, remembered for midstream packets; 0 for none

	// Emit is called for each chosen flow, once, from the table's goroutine.
	// For a flush this is the moment the flow ends.
	Emit func(f *Flow[S])

	flush   bool
	epoch   epoch
	takenUp int64
	slots   int // slots that were in use then; later ones hold later flows
	left    int // of those, how many the sweep has still to visit
}

func (op *Operation[S]) emit(f *Flow[S]) {
	if op.Emit != nil {
		op.Emit(f)
	}
}

func (op *Operation[S]) number() uint16 {
	if op == nil {
		return 0
	}
	return op.Number
}

// chosen says whether op takes f. Age and idleness are judged as of the moment
// that the operation was taken up: a flow that started later is too young
// whatever MinAge is, and one whose idle time was over then was gone already.
func (t *Table[S]) chosen(op *Operation[S], f *Flow[S]) bool {
	if age := op.takenUp - f.First; age < 0 || age < op.MinAge {
		return false
	}
	if t.owner.Closed(f) || op.takenUp-f.Last > t.owner.IdleTimeout(f) {
		return false
	}
	return op.matches(op.Filters, &f.Key) && !op.matches(op.Protect, &f.Key) && (op.Choose == nil || op.Choose(f))
}

func (op *Operation[S]) matches(filters []Filter, k *Key) bool {
	for i := range filters {
		if filters[i].Match(k) {
			return true
		}
	}
	if !op.Either {
		return false
	}
	r := k.Reverse()
	for i := range filters {
		if filters[i].Match(&r) {
			return true
		}
	}
	return false
}

// Flush takes a flush up. It holds for the next Find on; Sweep completes it.
// now must be the time that new flows would get.
func (t *Table[S]) Flush(op *Operation[S], now int64) {
	t.epoch = t.epoch.next()
	op.flush = true
	op.epoch = t.epoch
	t.take(op, now)
}

// Capture takes a capture up: Sweep emits the flows that it chooses.
func (t *Table[S]) Capture(op *Operation[S], now int64) {
	t.take(op, now)
}

func (t *Table[S]) take(op *Operation[S], now int64) {
	op.takenUp = now
	op.slots, op.left = t.used, t.used
	t.ops = append(t.ops, op)
}

// judge compares f, which is behind the table's epoch, with the flushes that it
// has not met, oldest first. It returns the one that chose it, or brings f up to date.
func (t *Table[S]) judge(f *Flow[S]) *Operation[S] {
	for _, op := range t.ops {
		if op.flush && f.epoch.before(op.epoch) && t.chosen(op, f) {
			return op
		}
	}
	f.epoch = t.epoch
	return nil
}

// Sweeping reports whether an operation still has flows to visit.
func (t *Table[S]) Sweeping() bool { return len(t.ops) > 0 }

// Sweep visits at most n slots: it ends flows whose idle time is over and
// carries on the operations that were taken up. It returns an operation that
// is now complete, or nil; call it again for the next.
func (t *Table[S]) Sweep(n int, now int64) *Operation[S] {
	for n = min(n, t.used); n > 0; {
		if t.hand >= t.used {
			t.hand = 0
		}
		// A run of slots that all operations count alike.
		from, to := t.hand, min(t.hand+n, t.used)
		for _, op := range t.ops {
			if op.left <= 0 {
				to = from
			} else if from < op.slots {
				to = min(to, from+op.left, op.slots)
			}
		}
		if to == from {
			break
		}
		t.visit(to, now)
		n -= to - from
	}
	if len(t.ops) > 0 && t.ops[0].left <= 0 {
		op := t.ops[0]
		t.ops = slices.Delete(t.ops, 0, 1) // which clears the last place: the operation holds on to its result
		return op
	}
	return nil
}

// visit moves the hand on to slot to. It ends the stale flows that it comes by, and shows the others
// to the captures. When the owner panics at one, the next sweep goes on after it.
func (t *Table[S]) visit(to int, now int64) {
	from, slot := t.hand, t.hand
	defer func() {
		t.hand = min(slot+1, to)
		for _, op := range t.ops {
			if from < op.slots {
				op.left -= t.hand - from
			}
		}
	}()
	for ; slot < to; slot++ {
		f := t.at(slot)
		if f.epoch == 0 || t.stale(f, slot, now) {
			continue
		}
		for _, op := range t.ops {
			if !op.flush && slot < op.slots && t.chosen(op, f) {
				op.emit(f)
			}
		}
	}
}
