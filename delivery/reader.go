package delivery

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// reader reads the durable records of a spool that are not acknowledged, as they
// were when it was made. It skips what is damaged and counts it.
type reader struct {
	dir      string
	segments []segment // those with durable records
	durable  position

	pos  position // of the next record
	lost uint64   // records that were skipped
	file *os.File // of cur
	cur  *segmentReader
	i    int // index of cur's segment
}

func (s *spool) reader() *reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &reader{dir: s.dir, durable: s.durable, pos: s.acked}
	for _, g := range s.segments {
		if g.first >= s.durable.record {
			break
		}
		if g.first == s.durable.segment {
			g.size = s.durable.offset
		}
		r.segments = append(r.segments, g)
	}
	return r
}

// end is the number of the record behind the segment with index i.
func (r *reader) end(i int) uint64 {
	if i+1 < len(r.segments) {
		return r.segments[i+1].first
	}
	return r.durable.record
}

// next returns io.EOF when no record is left. Other errors are of the disk.
func (r *reader) next() (record, error) {
	for {
		if r.cur == nil {
			if err := r.open(); errors.Is(err, errDamaged) {
				r.skip()
				continue
			} else if err != nil {
				return record{}, err
			}
		}
		rec, err := r.cur.next()
		switch {
		case err == nil:
			r.pos.offset = r.cur.offset
			r.pos.record++
			return rec, nil
		case errors.Is(err, io.EOF), errors.Is(err, errDamaged):
			r.skip()
		default:
			return record{}, err
		}
	}
}

// open opens the segment of the next record.
func (r *reader) open() error {
	for r.i < len(r.segments) && r.end(r.i) <= r.pos.record {
		r.i++
	}
	if r.i == len(r.segments) {
		return io.EOF
	}
	g := r.segments[r.i]
	if r.pos.segment != g.first {
		// The usual case is that the segment before has been read to its end.
		// A position within another segment is no position in this one.
		r.lost += g.first - min(g.first, r.pos.record)
		r.pos = position{segment: g.first, record: g.first}
	}
	f, err := os.Open(filepath.Join(r.dir, segmentName(g.first)))
	if errors.Is(err, os.ErrNotExist) {
		return errDamaged
	}
	if err != nil {
		return err
	}
	cur, err := newSegmentReader(f, r.pos.offset, g.size)
	if err != nil {
		f.Close()
		return err
	}
	r.file, r.cur, r.pos.offset = f, cur, cur.offset
	return nil
}

// skip leaves the segment with index i. Records that should have been in it are lost.
func (r *reader) skip() {
	r.close()
	end := r.end(r.i)
	r.lost += end - min(end, r.pos.record)
	if r.i+1 < len(r.segments) {
		r.pos = position{segment: end, record: end}
	} else {
		r.pos = r.durable
	}
}

// close releases the open file.
func (r *reader) close() {
	if r.file != nil {
		r.file.Close()
		r.file, r.cur = nil, nil
	}
}
