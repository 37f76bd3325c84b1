package applayer

// keepTxs is how many transactions a Txs keeps for reuse.
const keepTxs = 8

// Txs are the transactions of a parser: those under way, those that are done until Release, and
// some for reuse. T is a struct that embeds TxState, and P its pointer.
type Txs[T any, P interface {
	*T
	Tx
	// Reset makes it transaction number id, giving up all but a little memory.
	Reset(id uint64)
}] struct {
	Live []P // under way, oldest first

	done, free []P
	next       uint64
}

// Add starts a transaction.
func (x *Txs[T, P]) Add() P {
	var tx P
	if n := len(x.free); n > 0 {
		tx = x.free[n-1]
		x.free = x.free[:n-1]
	} else {
		tx = P(new(T))
	}
	tx.Reset(x.next)
	x.next++
	x.Live = append(x.Live, tx)
	return tx
}

// Done ends transaction i of Live: it stays until Release.
func (x *Txs[T, P]) Done(i int) P {
	tx := x.Live[i]
	x.Live = append(x.Live[:i], x.Live[i+1:]...)
	x.done = append(x.done, tx)
	return tx
}

// Last returns the newest transaction, or nil.
func (x *Txs[T, P]) Last() Tx {
	if n := len(x.Live); n > 0 {
		return x.Live[n-1]
	}
	if n := len(x.done); n > 0 {
		return x.done[n-1]
	}
	return nil
}

// Count returns how many transactions there are, and how many were started.
func (x *Txs[T, P]) Count() (held int, started uint64) {
	return len(x.Live) + len(x.done) + len(x.free), x.next
}

// Release lets those that are done be used again.
func (x *Txs[T, P]) Release() {
	for _, tx := range x.done {
		x.keep(tx)
	}
	clear(x.done)
	x.done = x.done[:0]
}

// Reset forgets all, for another flow.
func (x *Txs[T, P]) Reset() {
	x.Release()
	for _, tx := range x.Live {
		x.keep(tx)
	}
	clear(x.Live)
	x.Live = x.Live[:0]
	if cap(x.Live)+cap(x.done) > 4*keepTxs {
		x.Live, x.done = nil, nil
	}
	x.next = 0
}

func (x *Txs[T, P]) keep(tx P) {
	tx.Reset(0)
	if len(x.free) < keepTxs {
		x.free = append(x.free, tx)
	}
}
