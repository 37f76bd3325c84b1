package eve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// LoggerOptions are the settings of a Logger; the zero value works.
type LoggerOptions struct {
	Limit    int           // most bytes that wait to be written; 0: 8 MiB
	Retry    time.Duration // pause after a failed write; 0: 1 s
	LogEvery time.Duration // at most one error message in this time; 0: 1 min
	Log      *slog.Logger  // for these messages; nil: slog.Default()
}

// LoggerStats are counts since the Logger was made.
type LoggerStats struct {
	Written uint64 // records handed to the writer whole
	Dropped uint64 // records lost: the buffer was full, or the sink closed
	Errors  uint64 // failed writes
}

// Logger is a Sink that never makes its callers wait for the disk: records go
// into a bounded buffer and one goroutine writes them. When the buffer is full
// new records are dropped and counted. A failed write (a full disk) is retried
// for ever from the byte where it stopped, so records are neither torn nor
// doubled, and logging goes on by itself once there is space.
type Logger struct {
	w    io.WriteCloser
	opts LoggerOptions
	wake chan struct{} // holds one token: there is something to do
	done chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex
	pending  []byte        // guarded by mu: whole lines
	records  uint64        // guarded by mu: lines in pending
	writing  int           // guarded by mu: bytes that the goroutine has taken and not yet written
	taken    uint64        // guarded by mu: records taken since the start
	closed   bool          // guarded by mu
	stats    LoggerStats   // guarded by mu
	lastErr  error         // guarded by mu: of the last write; nil after a good one
	progress chan struct{} // guarded by mu: closed and renewed at each good write
	abandon  chan struct{} // closed when Close gives up on what is unwritten
}

// NewLogger returns a logger on w, which it closes. The caller must Close it.
func NewLogger(w io.WriteCloser, opts LoggerOptions) *Logger {
	if opts.Limit <= 0 {
		opts.Limit = 8 << 20
	}
	if opts.Retry <= 0 {
		opts.Retry = time.Second
	}
	if opts.LogEvery <= 0 {
		opts.LogEvery = time.Minute
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	l := &Logger{
		w:        w,
		opts:     opts,
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		progress: make(chan struct{}),
		abandon:  make(chan struct{}),
	}
	go l.run()
	return l
}

// Log implements Sink. It does not block and, once the buffer has grown, does
// not allocate.
func (l *Logger) Log(line []byte) bool {
	l.mu.Lock()
	if l.closed || len(l.pending)+l.writing+len(line)+1 > l.opts.Limit {
		l.stats.Dropped++
		l.mu.Unlock()
		return false
	}
	first := len(l.pending) == 0
	l.pending = append(append(l.pending, line...), '\n')
	l.records++
	l.taken++
	l.mu.Unlock()
	if first {
		l.signal()
	}
	return true
}

func (l *Logger) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // a token is there already
	}
}

// Stats returns the counts so far.
func (l *Logger) Stats() LoggerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// Flush implements Sink. When ctx ends first, the error says why writing fails, if it does.
func (l *Logger) Flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	target := l.taken
	for ended := false; l.stats.Written < target; {
		if ended {
			return ErrClosed
		}
		progress := l.progress
		l.mu.Unlock()
		var timeout error
		select {
		case <-progress:
		case <-l.done:
			ended = true
		case <-ctx.Done():
			timeout = ctx.Err()
		}
		l.mu.Lock()
		if left := target - l.stats.Written; timeout != nil && left > 0 {
			return fmt.Errorf("eve: flush: %d records are not written yet: %w", left, errors.Join(timeout, l.lastErr))
		}
	}
	return nil
}

// Close implements Sink. When ctx ends before everything is written, the rest
// is dropped and counted, and the error says so.
func (l *Logger) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.done
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.signal()

	err := l.Flush(ctx)
	if err != nil {
		close(l.abandon)
	}
	<-l.done
	if cerr := l.w.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("eve: close log: %w", cerr))
	}
	return err
}

// run writes what is pending until the logger is closed and drained.
func (l *Logger) run() {
	defer close(l.done)
	var chunk []byte
	var lastMessage time.Time
	for range l.wake {
		l.mu.Lock()
		chunk, l.pending = l.pending, chunk[:0]
		records, closed := l.records, l.closed
		l.records, l.writing = 0, len(chunk)
		l.mu.Unlock()

		for rest := chunk; len(rest) > 0; {
			n, err := l.w.Write(rest)
			rest = rest[n:]
			if err == nil && len(rest) > 0 {
				err = io.ErrShortWrite
			}
			l.mu.Lock()
			l.lastErr = err
			if err != nil {
				l.stats.Errors++
			}
			dropped := l.stats.Dropped
			l.mu.Unlock()
			if err == nil {
				continue
			}
			if now := time.Now(); lastMessage.IsZero() || now.Sub(lastMessage) >= l.opts.LogEvery {
				lastMessage = now
				l.opts.Log.Error("cannot write log records; retrying", "err", err, "dropped", dropped)
			}
			if !l.pause() {
				l.drop(records)
				return
			}
		}

		l.mu.Lock()
		l.writing = 0
		l.stats.Written += records
		close(l.progress)
		l.progress = make(chan struct{})
		more := len(l.pending) > 0
		closed = closed || l.closed
		l.mu.Unlock()
		if more {
			l.signal()
		} else if closed {
			return
		}
	}
}

// pause waits before a retry. It returns false when Close has given up.
func (l *Logger) pause() bool {
	t := time.NewTimer(l.opts.Retry)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.abandon:
		return false
	}
}

// drop counts records, and all that is pending, as lost.
func (l *Logger) drop(records uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Dropped += records + l.records
	l.pending, l.records, l.writing = nil, 0, 0
}
