package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	firstRetry     = 500 * time.Millisecond // pause after the first failure; doubled each time
	maxRetry       = time.Minute
	attemptTimeout = 2 * time.Minute
	messageEvery   = time.Minute // at most one message about failures in this time
)

// service is one of the AWS services.
type service interface {
	name() string // for people
	limits() limits
	check(ctx context.Context) error

	// begin returns an empty batch for records from first on. id is the same
	// when the same record begins a batch again, and never used for another.
	begin(id string, first time.Time) (batch, error)
}

// limits say when a batch is sent. A batch is due when the backlog fills it, when
// its first record has waited for linger, and when the slot of that record is over.
type limits struct {
	line    int           // most bytes of a line
	records uint64        // that fill a batch
	bytes   int64         // that fill a batch
	linger  time.Duration // at most this long records are gathered
	slot    time.Duration // the records of a batch are of one slot of this length, counted from 1970; 0: of any
}

// batch are records that are sent as one. It is used by one goroutine.
type batch interface {
	// add takes a record; the line is borrowed. It returns false when the batch
	// is full without it.
	add(t time.Time, line []byte) (bool, error)

	// send sends what is not acknowledged yet. It may be called again after an
	// error. rejected is the number of records that the service will never take.
	send(ctx context.Context) (rejected uint64, err error)

	// discard releases what the batch holds.
	discard()
}

// ship sends batches until the destination is closed.
func (d *Destination) ship(ctx context.Context) {
	defer close(d.done)
	for d.await() {
		var b *loaded
		load := func(context.Context) (err error) { b, err = d.load(); return err }
		if !d.persist(ctx, load) {
			return
		}
		sent := b.records == 0 || d.persist(ctx, func(ctx context.Context) error {
			rejected, err := b.batch.send(ctx)
			if err == nil {
				b.records -= rejected
				b.rejected += rejected
				d.succeeded()
			}
			return err
		})
		if b.batch != nil {
			b.batch.discard()
		}
		if !sent {
			return
		}
		if err := d.spool.ack(b.end); err != nil {
			d.failed(fmt.Errorf("delivery: spool: %w", err))
		}
		d.mu.Lock()
		d.stats.Delivered += b.records
		d.stats.Rejected += b.rejected
		d.stats.Damaged += b.lost
		d.mu.Unlock()
		if b.lost > 0 || b.rejected > 0 {
			d.logger.Error("log records are lost", slog.Uint64("damaged_in_spool", b.lost), slog.Uint64("refused_by_service", b.rejected))
		}
	}
}

// await waits until a batch is due. It returns false when the destination is
// closed and nothing is left.
func (d *Destination) await() bool {
	for {
		records, bytes, progress := d.spool.backlog()
		var due <-chan time.Time
		if records > 0 {
			pause := time.Until(d.due())
			if pause <= 0 || d.fills(records, bytes) || d.isClosing() {
				return true
			}
			due = time.After(pause)
		} else if d.isClosing() {
			return false
		}
		select {
		case <-progress:
		case <-due:
		case <-d.closing:
		}
	}
}

func (d *Destination) isClosing() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

// fills: a service whose batch is larger than the spool gets smaller ones.
func (d *Destination) fills(records uint64, bytes int64) bool {
	l := d.service.limits()
	return records >= l.records || bytes >= min(l.bytes, d.spool.limit/2)
}

// due is when the oldest waiting record has to be sent.
func (d *Destination) due() time.Time {
	nanos, err := d.spool.oldest()
	if err != nil {
		return time.Time{} // loading the batch finds out
	}
	l := d.service.limits()
	t := time.Unix(0, nanos)
	due := t.Add(l.linger)
	if end := slotOf(t, l.slot).Add(l.slot); l.slot > 0 && end.Before(due) {
		due = end
	}
	// Records of the slot's last moment are not durable yet.
	return due.Add(2 * syncEvery)
}

// slotOf is the beginning of the slot that t is in.
func slotOf(t time.Time, slot time.Duration) time.Time {
	if slot == 0 {
		return time.Time{}
	}
	return time.Unix(0, t.UnixNano()-t.UnixNano()%int64(slot)).UTC()
}

// loaded is a batch and the part of the spool that it is made of.
type loaded struct {
	batch    batch    // nil: nothing can be sent of this part
	records  uint64   // in batch
	rejected uint64   // that the service cannot take
	lost     uint64   // that cannot be read
	end      position // of the part
}

// load makes a batch of the oldest records.
func (d *Destination) load() (_ *loaded, err error) {
	r := d.spool.reader()
	defer r.close()
	l := &loaded{}
	defer func() {
		if err != nil && l.batch != nil {
			l.batch.discard()
		}
	}()
	slot := d.service.limits().slot
	var first time.Time // of the batch
	for {
		l.end, l.lost = r.pos, r.lost
		rec, err := r.next()
		if errors.Is(err, io.EOF) {
			l.end, l.lost = r.pos, r.lost
			return l, nil
		}
		if err != nil {
			return nil, fmt.Errorf("delivery: read spool: %w", err)
		}
		if len(rec.line) > d.maxLine { // of a spool that had another type of destination
			l.rejected++
			continue
		}
		t := time.Unix(0, rec.time).UTC()
		if l.batch == nil {
			first = t
			if l.batch, err = d.service.begin(r.batchID(rec), t); err != nil {
				return nil, err
			}
		} else if slotOf(t, slot) != slotOf(first, slot) {
			return l, nil
		}
		ok, err := l.batch.add(t, rec.line)
		if err != nil {
			return nil, err
		}
		if !ok {
			return l, nil
		}
		l.records++
	}
}

// batchID names the record that was just read, by its place.
func (r *reader) batchID(rec record) string {
	at := r.pos.offset - recordHeader - int64(len(rec.line))
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(r.cur.id[:], uint64(at)))
	return hex.EncodeToString(sum[:8])
}

// persist repeats op until it succeeds, with growing pauses. It returns false
// when ctx has ended, or when the destination is closed and op has failed since.
func (d *Destination) persist(ctx context.Context, op func(context.Context) error) bool {
	for failures := 0; ; failures++ {
		last := d.isClosing()
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := op(attempt)
		cancel()
		if err == nil {
			return true
		}
		d.failed(err)
		if last || ctx.Err() != nil {
			return false
		}
		select {
		case <-time.After(backoff(failures)):
		case <-d.closing:
		case <-ctx.Done():
			return false
		}
	}
}

// backoff is between half and all of a pause that doubles with each failure:
// many nodes that lost the same service do not return to it at once.
func backoff(failures int) time.Duration {
	pause := maxRetry
	if failures < 10 {
		pause = min(firstRetry<<failures, maxRetry)
	}
	return pause/2 + rand.N(pause/2)
}

func (d *Destination) succeeded() {
	d.mu.Lock()
	away := d.stats.LastError != nil
	d.stats.LastError, d.stats.LastSuccess = nil, time.Now()
	d.mu.Unlock()
	if away {
		d.logger.Info("log destination takes records again")
	}
}

// failed notes an error of the service or of the spool.
func (d *Destination) failed(err error) {
	now := time.Now()
	d.mu.Lock()
	d.stats.LastError = err
	d.stats.Failures++
	quiet := now.Sub(d.told) < messageEvery
	if !quiet {
		d.told = now
	}
	d.mu.Unlock()
	if !quiet {
		d.logger.Warn("log delivery fails and is tried again; records wait in the spool", slog.Any("error", err))
	}
}
