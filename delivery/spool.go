package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sluicefw/sluice/eve"
)

const (
	// syncEvery is how long a record may be in the page cache only: the time
	// whose records a power failure can take.
	syncEvery = time.Second

	// writePause is the time between a failed write to the spool and the next.
	writePause = time.Second

	maxSegment  = 8 << 20
	minSegment  = 64 << 10
	maxHandover = 8 << 20
)

// spool is a queue of records on disk, bounded in bytes. Records are put by any
// goroutine, written by the spool's own and read by one reader at a time, which
// acknowledges them in their order. Records that are put while it is full are
// refused, so that what was taken stays.
type spool struct {
	dir         string
	limit       int64 // bytes on disk and in memory
	segmentSize int64 // begin a new segment when one is this large
	handover    int   // most bytes in memory
	failed      func(error)

	lock    *os.File // held: no other process uses dir
	cursor  *os.File
	wake    chan struct{} // holds one token: there is something to do
	done    chan struct{} // closed when the goroutine has ended
	abandon chan struct{} // closed when the goroutine shall not retry failed writes

	active *os.File // the last segment; nil before the first write. The goroutine's own

	mu       sync.Mutex
	pending  []byte        // guarded by mu: whole records
	taken    uint64        // guarded by mu: number of the next record to put
	writing  int           // guarded by mu: bytes that the goroutine has and that are not in a file
	written  position      // guarded by mu: end of the records in files
	durable  position      // guarded by mu: end of the records that survive a power failure
	acked    position      // guarded by mu
	segments []segment     // guarded by mu: oldest first
	size     int64         // guarded by mu: bytes of all segments
	syncNow  bool          // guarded by mu
	closed   bool          // guarded by mu
	dropped  uint64        // guarded by mu: records refused, or lost with a full disk at close
	progress chan struct{} // guarded by mu: closed and renewed when durable moves
}

// segment is one file of the spool.
type segment struct {
	first uint64 // number of its first record
	size  int64  // bytes
}

// openSpool opens or makes the spool in dir. failed is told errors of the disk.
func openSpool(dir string, limit int64, failed func(error)) (_ *spool, err error) {
	s := &spool{
		dir: dir, limit: limit, failed: failed,
		segmentSize: min(max(limit/16, minSegment), maxSegment),
		handover:    int(min(limit/4, maxHandover)),
		wake:        make(chan struct{}, 1),
		done:        make(chan struct{}),
		abandon:     make(chan struct{}),
		progress:    make(chan struct{}),
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("delivery: make spool: %w", err)
	}
	s.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("delivery: lock spool: %w", err)
	}
	defer func() {
		if err != nil {
			s.lock.Close()
		}
	}()
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("delivery: lock spool %s: %w; give each destination a directory of its own", dir, err)
	}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("delivery: open spool: %w", err)
	}
	s.cursor, err = os.OpenFile(filepath.Join(dir, cursorFile), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("delivery: open spool: %w", err)
	}
	go s.run()
	return s, nil
}

// recover finds what an earlier process has left. Only its last segment can be
// torn: a segment is synced before the next one is made.
func (s *spool) recover() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		first, ok := parseSegmentName(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		s.segments = append(s.segments, segment{first, info.Size()})
	}
	slices.SortFunc(s.segments, func(a, b segment) int { return cmp.Compare(a.first, b.first) })

	acked, err := readCursor(s.dir)
	if err != nil {
		return err
	}
	end := acked.record
	if n := len(s.segments); n > 0 {
		last := &s.segments[n-1]
		records, size, err := repairSegment(s.path(last.first))
		if err != nil {
			return err
		}
		last.size = size
		end = max(end, last.first+records)
		if records == 0 {
			// The next segment will have the same name.
			if err := os.Remove(s.path(last.first)); err != nil {
				return err
			}
			s.segments = s.segments[:n-1]
		}
	}
	for _, g := range s.segments {
		s.size += g.size
	}
	if len(s.segments) > 0 && acked.record < s.segments[0].first {
		acked = position{segment: s.segments[0].first, record: s.segments[0].first}
	}
	s.taken, s.acked = end, acked
	s.written = position{record: end}
	if err := s.free(true); err != nil {
		return err
	}
	if n := len(s.segments); n > 0 {
		s.written.segment, s.written.offset = s.segments[n-1].first, s.segments[n-1].size
	}
	s.durable = s.written
	return nil
}

func (s *spool) path(first uint64) string { return filepath.Join(s.dir, segmentName(first)) }

// put takes a line at a time in nanoseconds since 1970. It returns false when
// there is no room. It waits for no disk and, once the buffer has grown,
// allocates nothing.
func (s *spool) put(line []byte, time int64) bool {
	need := recordHeader + len(line)
	s.mu.Lock()
	if s.closed || len(s.pending)+s.writing+need > s.handover ||
		s.size+int64(s.writing+len(s.pending)+need+segmentHeader) > s.limit {
		s.dropped++
		s.mu.Unlock()
		return false
	}
	first := len(s.pending) == 0
	s.pending = appendRecord(s.pending, time, line)
	s.taken++
	s.mu.Unlock()
	if first {
		s.signal()
	}
	return true
}

func (s *spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // a token is there already
	}
}

// flush returns when all that was put so far is durable, or ctx ends.
func (s *spool) flush(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := s.taken
	for ended := false; s.durable.record < target; {
		if ended {
			return eve.ErrClosed
		}
		s.syncNow = true
		progress := s.progress
		s.mu.Unlock()
		s.signal()
		var err error
		select {
		case <-progress:
		case <-s.done:
			ended = true
		case <-ctx.Done():
			err = ctx.Err()
		}
		s.mu.Lock()
		if left := target - min(target, s.durable.record); err != nil && left > 0 {
			return fmt.Errorf("delivery: %d records are not in the spool yet: %w", left, err)
		}
	}
	return nil
}

// run writes what is put until the spool is closed.
func (s *spool) run() {
	defer close(s.done)
	var chunk []byte
	var due <-chan time.Time // of the next sync; nil: nothing to sync
	for {
		overdue := false
		select {
		case <-s.wake:
		case <-due:
			overdue = true
		}
		s.mu.Lock()
		chunk, s.pending = s.pending, chunk[:0]
		s.writing = len(chunk)
		end, syncNow, closed := s.taken, s.syncNow, s.closed
		s.syncNow = false
		s.mu.Unlock()

		if len(chunk) > 0 {
			if !s.persist(func() error { return s.write(chunk, end) }) {
				return
			}
			if due == nil {
				due = time.After(syncEvery)
			}
		}
		if overdue || syncNow || closed {
			if !s.persist(s.sync) {
				return
			}
			due = nil
		}
		if closed {
			return
		}
	}
}

// persist repeats op until it succeeds. It returns false when the spool was
// closed and its closer waits no longer: what is not in a file then is lost.
func (s *spool) persist(op func() error) bool {
	for {
		err := op()
		if err == nil {
			return true
		}
		s.failed(fmt.Errorf("delivery: spool: %w", err))
		select {
		case <-time.After(writePause):
		case <-s.abandon:
			s.mu.Lock()
			s.dropped += s.taken - s.written.record
			s.taken = s.written.record
			s.mu.Unlock()
			return false
		}
	}
}

// write appends chunk, whose records end before number end. After an error it is
// called again and overwrites what it had written of the chunk.
func (s *spool) write(chunk []byte, end uint64) error {
	s.mu.Lock()
	at := s.written
	s.mu.Unlock()
	if s.active == nil || at.offset >= s.segmentSize {
		if err := s.rotate(at.record); err != nil {
			return err
		}
		at = position{segment: at.record, offset: segmentHeader, record: at.record}
	}
	if _, err := s.active.WriteAt(chunk, at.offset); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = position{at.segment, at.offset + int64(len(chunk)), end}
	s.segments[len(s.segments)-1].size = s.written.offset
	s.size += int64(len(chunk))
	s.writing = 0
	return nil
}

// rotate begins the segment whose first record has the number first.
func (s *spool) rotate(first uint64) error {
	if s.active != nil {
		if err := s.sync(); err != nil {
			return err
		}
		// A segment is done with once synced; an error here loses nothing.
		s.active.Close()
		s.active = nil
	}
	f, err := os.OpenFile(s.path(first), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if _, err := f.Write(newSegmentHeader()); err != nil {
		f.Close()
		return errors.Join(err, os.Remove(s.path(first)))
	}
	if err := syncDir(s.dir); err != nil {
		f.Close()
		return errors.Join(err, os.Remove(s.path(first)))
	}
	s.active = f
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, segment{first, segmentHeader})
	s.size += segmentHeader
	s.written = position{segment: first, offset: segmentHeader, record: first}
	return nil
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// sync makes what is written durable.
func (s *spool) sync() error {
	s.mu.Lock()
	end := s.written
	s.mu.Unlock()
	if s.active != nil {
		if err := s.active.Sync(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.durable = end
	close(s.progress)
	s.progress = make(chan struct{})
	return nil
}

// ack says that the records before p are delivered. Their segments are deleted
// once nothing else is in them. An error loses nothing, but a restart would
// deliver the records again.
func (s *spool) ack(p position) error {
	_, err := s.cursor.WriteAt(encodeCursor(p), 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked = p
	return errors.Join(err, s.free(false))
}

// free deletes segments whose records are all acknowledged. The last segment may
// be the one that is written to: it stays unless last is set. The caller holds mu,
// or is alone.
func (s *spool) free(last bool) error {
	var errs []error
	for len(s.segments) > 1 || last && len(s.segments) > 0 {
		end := s.written.record
		if len(s.segments) > 1 {
			end = s.segments[1].first
		}
		if end > s.acked.record {
			break
		}
		oldest := s.segments[0]
		if err := os.Remove(s.path(oldest.first)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err) // the next start tries again
		}
		s.size -= oldest.size
		s.segments = s.segments[1:]
	}
	return errors.Join(errs...)
}

// finish ends the taking of records and returns when those taken are durable.
// When ctx ends first, what is not in a file is lost and counted as dropped.
func (s *spool) finish(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
	select {
	case <-s.done:
	case <-ctx.Done():
		close(s.abandon)
		<-s.done
	}
}

// release lets go of the directory, after finish and the last ack.
func (s *spool) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.free(true), s.cursor.Close()}
	if s.active != nil {
		errs = append(errs, s.active.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...) // which unlocks
}

// backlog is what waits to be delivered and survives a power failure.
func (s *spool) backlog() (records uint64, bytes int64, progress <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes = s.size - s.written.offset
	if s.durable.segment == s.written.segment {
		bytes += s.durable.offset
	}
	if len(s.segments) > 0 && s.segments[0].first == s.acked.segment {
		bytes -= s.acked.offset
	}
	return s.durable.record - min(s.acked.record, s.durable.record), bytes, s.progress
}

// oldest is the time of the oldest record that waits to be delivered, in
// nanoseconds since 1970. The error is io.EOF when none waits.
func (s *spool) oldest() (int64, error) {
	r := s.reader()
	defer r.close()
	rec, err := r.next()
	return rec.time, err
}
