package eve

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
)

// Sink takes encoded records. Its methods may be called from any goroutine.
type Sink interface {
	// Log takes one record, without a newline; the slice is the caller's again
	// on return. It returns false when the record was dropped.
	Log(line []byte) bool

	// Flush returns when everything taken so far is written, or ctx ends.
	Flush(ctx context.Context) error

	// Close flushes and releases what the sink holds; Log then drops.
	Close(ctx context.Context) error
}

// ErrClosed is returned by Flush of a closed sink.
var ErrClosed = errors.New("eve: sink is closed")

// Direct is a Sink that writes at once, through a buffer, in the goroutine that
// logs: for replays, where nothing may be lost and waiting hurts nobody. The
// first error of the writer stays: later records are dropped, Flush returns it.
type Direct struct {
	mu  sync.Mutex
	w   *bufio.Writer // guarded by mu
	err error         // guarded by mu
}

// NewDirect returns a sink on w, which stays the caller's to close.
func NewDirect(w io.Writer) *Direct {
	return &Direct{w: bufio.NewWriterSize(w, 64<<10)}
}

// Log implements Sink.
func (d *Direct) Log(line []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return false
	}
	d.w.Write(line) // bufio keeps the error for the next call
	d.err = d.w.WriteByte('\n')
	return d.err == nil
}

// Flush implements Sink; ctx is not looked at.
func (d *Direct) Flush(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = d.w.Flush()
	}
	return d.err
}

// Close implements Sink; ctx is not looked at.
func (d *Direct) Close(ctx context.Context) error {
	err := d.Flush(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = ErrClosed
	}
	return err
}
