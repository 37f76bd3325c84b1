package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// openTest opens a spool that must not meet errors of the disk.
func openTest(t testing.TB, dir string, limit int64) *spool {
	t.Helper()
	s, err := openSpool(dir, limit, func(err error) { t.Errorf("disk: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeTest(t testing.TB, s *spool) {
	t.Helper()
	s.finish(context.Background())
	if err := s.release(); err != nil {
		t.Error(err)
	}
}

// kill is what the end of the process does to a spool: only the files stay.
func kill(s *spool) {
	s.finish(context.Background())
	s.cursor.Close()
	if s.active != nil {
		s.active.Close()
	}
	s.lock.Close()
}

func flushTest(t testing.TB, s *spool) {
	t.Helper()
	if err := s.flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// drain reads all records that are not acknowledged.
func drain(t testing.TB, s *spool) (lines []string, end position, lost uint64) {
	t.Helper()
	r := s.reader()
	defer r.close()
	for {
		rec, err := r.next()
		if errors.Is(err, io.EOF) {
			return lines, r.pos, r.lost
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(rec.line))
	}
}

func putTest(t testing.TB, s *spool, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !s.put([]byte(line), 1) {
			t.Fatalf("%q refused", line)
		}
	}
}

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A spool behaves as a slice does, over restarts and losses of the cursor.
func TestSpoolIsAQueue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "spool")
		if err != nil {
			rt.Fatal(err)
		}
		s := openTest(t, dir, minSpoolLimit)
		defer func() { closeTest(t, s) }()
		var model []string // records that wait
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				for range rapid.IntRange(1, 60).Draw(rt, "records") {
					line := fmt.Sprintf("%d %s", n, strings.Repeat("x", rapid.IntRange(0, 3000).Draw(rt, "length")))
					n++
					if s.put([]byte(line), int64(n)) {
						model = append(model, line)
					}
				}
				flushTest(t, s)
			},
			"ack": func(rt *rapid.T) {
				r := s.reader()
				defer r.close()
				k := rapid.IntRange(0, len(model)).Draw(rt, "records")
				for range k {
					if _, err := r.next(); err != nil {
						rt.Fatal(err)
					}
				}
				if err := s.ack(r.pos); err != nil {
					rt.Fatal(err)
				}
				model = model[k:]
			},
			"restart": func(rt *rapid.T) {
				if rapid.Bool().Draw(rt, "killed") {
					kill(s)
				} else {
					closeTest(t, s)
				}
				s = openTest(t, dir, minSpoolLimit)
			},
			"": func(rt *rapid.T) {
				lines, end, lost := drain(t, s)
				if lost != 0 || len(lines) != len(model) || end.record != s.taken {
					rt.Fatalf("%d records and %d lost, want %d; end %+v of %d", len(lines), lost, len(model), end, s.taken)
				}
				for i := range lines {
					if lines[i] != model[i] {
						rt.Fatalf("record %d is %.20q, want %.20q", i, lines[i], model[i])
					}
				}
				var onDisk int64
				for _, f := range segmentFiles(t, dir) {
					info, err := os.Stat(f)
					if err != nil {
						rt.Fatal(err)
					}
					onDisk += info.Size()
				}
				if onDisk > minSpoolLimit || onDisk != s.size {
					rt.Fatalf("%d bytes on disk, %d counted, %d allowed", onDisk, s.size, minSpoolLimit)
				}
			},
		})
	})
}

func TestSpoolFullKeepsTheOldest(t *testing.T) {
	s := openTest(t, t.TempDir(), minSpoolLimit)
	defer closeTest(t, s)
	line := strings.Repeat("x", 1000)
	accepted := 0
	for i := range 3000 {
		if s.put(fmt.Appendf(nil, "%04d%s", i, line), 1) {
			accepted++
		}
		if i%50 == 0 {
			flushTest(t, s)
		}
	}
	flushTest(t, s)
	lines, end, _ := drain(t, s)
	if len(lines) != accepted || s.dropped != uint64(3000-accepted) {
		t.Fatalf("%d read, %d accepted, %d dropped", len(lines), accepted, s.dropped)
	}
	if accepted < 900 || accepted > 1031 {
		t.Errorf("%d records of 1,020 bytes in 1 MiB", accepted)
	}
	for i, l := range lines {
		if l[:4] != fmt.Sprintf("%04d", i) {
			t.Fatalf("record %d is %s: newer ones must be refused, not older ones lost", i, l[:4])
		}
	}
	if err := s.ack(end); err != nil {
		t.Fatal(err)
	}
	putTest(t, s, "room again")
}

// Whatever length a crash leaves of the last segment, whole records stay, the
// rest goes, and the spool goes on.
func TestTornSegment(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, minSpoolLimit)
	putTest(t, s, "first", "second", "third")
	flushTest(t, s)
	kill(s)
	whole, err := os.ReadFile(filepath.Join(dir, segmentName(0)))
	if err != nil {
		t.Fatal(err)
	}
	size := func(line string) int { return recordHeader + len(line) }
	ends := []int{segmentHeader + size("first"), segmentHeader + size("first") + size("second"), len(whole)}
	for cut := range len(whole) + 1 {
		for _, tail := range []int{0, 40} { // a file system may leave zeros
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, segmentName(0)), append(bytes.Clone(whole[:cut]), make([]byte, tail)...), 0o640); err != nil {
				t.Fatal(err)
			}
			want := []string{}
			for i, line := range []string{"first", "second", "third"} {
				if cut >= ends[i] {
					want = append(want, line)
				}
			}
			s := openTest(t, dir, minSpoolLimit)
			if info, err := os.Stat(filepath.Join(dir, segmentName(0))); err == nil && (len(want) == 0 || info.Size() != int64(ends[len(want)-1])) {
				t.Errorf("cut at %d: %d bytes are left for %q", cut, info.Size(), want)
			}
			putTest(t, s, "new")
			flushTest(t, s)
			got, _, lost := drain(t, s)
			if fmt.Sprint(got) != fmt.Sprint(append(want, "new")) || lost != 0 {
				t.Errorf("cut at %d: got %q, %d lost, want %q and new", cut, got, lost, want)
			}
			closeTest(t, s)
		}
	}
}

// Damage costs the rest of its segment, which is counted.
func TestDamagedSegment(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, path string)
		lost   uint64
	}{
		{"bit of a line", flip(segmentHeader + recordHeader), 100},
		{"length", flip(segmentHeader + 3), 100},
		{"time", flip(segmentHeader + 8), 100},
		{"second record", flip(segmentHeader + recordHeader + 1000 + recordHeader + 5), 99},
		{"header", flip(0), 100},
		{"file gone", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir, minSpoolLimit)
			defer func() { closeTest(t, s) }()
			s.segmentSize = segmentHeader + 100*(recordHeader+1000) // of 100 records; nothing is written yet
			for i := range 300 {
				putTest(t, s, fmt.Sprintf("%03d%s", i, strings.Repeat("x", 997)))
				if i%100 == 99 {
					flushTest(t, s)
				}
			}
			if n := len(segmentFiles(t, dir)); n != 3 {
				t.Fatalf("%d segments", n)
			}
			c.damage(t, filepath.Join(dir, segmentName(100)))
			lines, end, lost := drain(t, s)
			if lost != c.lost || uint64(len(lines)) != 300-c.lost {
				t.Errorf("%d lines, %d lost, want %d lost", len(lines), lost, c.lost)
			}
			if err := s.ack(end); err != nil {
				t.Fatal(err)
			}
			if records, _, _ := s.backlog(); records != 0 {
				t.Errorf("%d records left after ack", records)
			}
		})
	}
}

func flip(at int64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 0x10
		if err := os.WriteFile(path, b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedCursorDoublesAndLosesNothing(t *testing.T) {
	for _, cursor := range [][]byte{nil, make([]byte, 5), make([]byte, cursorSize), make([]byte, 100)} {
		dir := t.TempDir()
		s := openTest(t, dir, minSpoolLimit)
		putTest(t, s, "a", "b")
		flushTest(t, s)
		r := s.reader()
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
		r.close()
		if err := s.ack(r.pos); err != nil {
			t.Fatal(err)
		}
		kill(s)
		if err := os.WriteFile(filepath.Join(dir, cursorFile), cursor, 0o640); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, dir, minSpoolLimit)
		if got, _, _ := drain(t, s); fmt.Sprint(got) != "[a b]" {
			t.Errorf("got %q", got)
		}
		closeTest(t, s)
	}
}

// Only what a power failure would leave is there to be sent.
func TestBacklogIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t, t.TempDir(), minSpoolLimit)
		defer closeTest(t, s)
		putTest(t, s, "a")
		synctest.Wait() // it is written
		if records, bytes, _ := s.backlog(); s.written.record != 1 || records != 0 || bytes != 0 {
			t.Errorf("before the sync: %d records, %d bytes", records, bytes)
		}
		if got, _, _ := drain(t, s); len(got) != 0 {
			t.Errorf("before the sync: %q", got)
		}
		time.Sleep(syncEvery)
		synctest.Wait()
		if records, bytes, _ := s.backlog(); records != 1 || bytes != segmentHeader+recordHeader+1 {
			t.Errorf("after it: %d records, %d bytes", records, bytes)
		}
	})
}

func TestSpoolIsLocked(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, minSpoolLimit)
	if _, err := openSpool(dir, minSpoolLimit, nil); err == nil || !strings.Contains(err.Error(), "a directory of its own") {
		t.Errorf("second open: %v", err)
	}
	closeTest(t, s)
	closeTest(t, openTest(t, dir, minSpoolLimit))
}

// A disk that cannot be written is tried again; nothing is lost or doubled.
func TestDiskErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "spool")
		failures := 0
		s, err := openSpool(dir, minSpoolLimit, func(error) { failures++ })
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		putTest(t, s, "a")
		synctest.Wait()
		putTest(t, s, "b")
		if failures != 1 {
			t.Errorf("%d failures told, want 1", failures)
		}
		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
		flushTest(t, s) // time moves to the next try
		if got, _, _ := drain(t, s); fmt.Sprint(got) != "[a b]" {
			t.Errorf("got %q", got)
		}
		closeTest(t, s)

		// With a disk that stays away, finish gives up and counts.
		s, err = openSpool(dir, minSpoolLimit, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		putTest(t, s, "c", "d")
		ctx, cancel := context.WithTimeout(context.Background(), 10e9)
		defer cancel()
		s.finish(ctx)
		if s.dropped != 2 {
			t.Errorf("%d dropped, want 2", s.dropped)
		}
		if err := s.flush(context.Background()); err != nil {
			t.Errorf("flush has nothing to wait for: %v", err)
		}
		s.release()
	})
}

func TestPutDoesNotAllocate(t *testing.T) {
	s := openTest(t, t.TempDir(), 64<<20)
	defer closeTest(t, s)
	line := []byte(strings.Repeat("x", 500))
	const runs = 1000
	for range 4 { // both buffers grow
		s.mu.Lock()
		s.pending = slices.Grow(s.pending, 2*runs*len(line))
		s.mu.Unlock()
		putTest(t, s, "grown")
		flushTest(t, s)
	}
	if n := testing.AllocsPerRun(runs, func() {
		if !s.put(line, 1) {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

// A segment from anywhere is read without panic, within its bounds, and a spool
// that finds it goes on working.
func FuzzSegment(f *testing.F) {
	whole := newSegmentHeader()
	whole = appendRecord(whole, 1, []byte("first"))
	whole = appendRecord(whole, 2, []byte("second"))
	f.Add(whole, uint16(0))
	f.Add(whole[:len(whole)-3], uint16(segmentHeader))
	f.Add([]byte(segmentMagic), uint16(9))
	f.Add(append(bytes.Clone(whole), make([]byte, 64)...), uint16(45))
	f.Fuzz(func(t *testing.T, data []byte, offset uint16) {
		r, err := newSegmentReader(bytes.NewReader(data), int64(offset), int64(len(data)))
		if err != nil {
			return
		}
		for {
			before := r.offset
			rec, err := r.next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, errDamaged) {
					t.Fatal(err)
				}
				break
			}
			if again := appendRecord(nil, rec.time, rec.line); !bytes.Equal(again, data[before:r.offset]) {
				t.Fatalf("record %x reads as %x", data[before:r.offset], again)
			}
		}
	})
}

func FuzzRecover(f *testing.F) {
	whole := appendRecord(newSegmentHeader(), 1, []byte("first"))
	f.Add(whole, encodeCursor(position{record: 1, offset: int64(len(whole))}))
	f.Add(whole[:30], encodeCursor(position{segment: 7, record: 9, offset: 1 << 62}))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, data, cursor []byte) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, segmentName(0)), data, 0o640)
		os.WriteFile(filepath.Join(dir, segmentName(3)), data, 0o640)
		os.WriteFile(filepath.Join(dir, cursorFile), cursor, 0o640)
		s := openTest(t, dir, minSpoolLimit)
		defer closeTest(t, s)
		if !s.put([]byte("new"), 1) {
			t.Skip("full")
		}
		flushTest(t, s)
		lines, end, _ := drain(t, s)
		if len(lines) == 0 || lines[len(lines)-1] != "new" {
			t.Errorf("the new record is not among %q", lines)
		}
		if err := s.ack(end); err != nil {
			t.Error(err)
		}
		if records, _, _ := s.backlog(); records != 0 {
			t.Errorf("%d left", records)
		}
	})
}
