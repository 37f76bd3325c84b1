package eve

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// FileOptions are the settings of a FileWriter. The zero value never rotates.
type FileOptions struct {
	MaxBytes int64            // rotate before the file grows beyond this; 0: no limit
	Every    time.Duration    // rotate when the file is older than this at a write; 0: never
	Keep     int              // rotated files to keep, newest first; 0: all
	KeepFor  time.Duration    // delete rotated files older than this; 0: never
	Now      func() time.Time // nil: time.Now
	OnError  func(error)      // told when rotating or deleting fails, which does not fail the write; may be nil
}

// FileWriter appends lines to a file and rotates it: the file is renamed to
// <path>.<UTC time> and begun anew. Rotation happens between lines only. When
// it fails, writing goes on in the old file, and it is tried again at a later write.
// Writes may come from any goroutine.
type FileWriter struct {
	path string
	opts FileOptions

	mu     sync.Mutex
	f      *os.File  // guarded by mu; nil: not open
	size   int64     // guarded by mu: bytes in f
	opened time.Time // guarded by mu: when f was begun
	torn   bool      // guarded by mu: the last write ended within a line
	reopen bool      // guarded by mu: see Reopen
	closed bool      // guarded by mu
	retry  time.Time // guarded by mu: no rotation before this, after a failed one
}

// rotatePause is the time between a failed rotation and the next try.
const rotatePause = time.Minute

// OpenFile opens or creates path for appending, mode 0640.
func OpenFile(path string, opts FileOptions) (*FileWriter, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.OnError == nil {
		opts.OnError = func(error) {}
	}
	w := &FileWriter{path: path, opts: opts}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *FileWriter) open() error {
	f, err := os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return fmt.Errorf("eve: open log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("eve: open log: %w", err)
	}
	w.f, w.size, w.opened = f, info.Size(), w.opts.Now()
	return nil
}

// Write appends p, which holds lines; the last may be cut and go on in the next
// call. It returns how many bytes are in a file.
func (w *FileWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	written := 0
	for written < len(p) {
		if err := w.prepare(int64(lineEnd(p[written:]))); err != nil {
			return written, err
		}
		n, err := w.f.Write(p[written : written+w.fits(p[written:])])
		written += n
		w.size += int64(n)
		if n > 0 {
			w.torn = p[written-1] != '\n'
		}
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// prepare makes w.f the file that the next line, of the given length, goes to.
func (w *FileWriter) prepare(line int64) error {
	if w.closed {
		return fs.ErrClosed
	}
	if w.reopen && !w.torn && w.f != nil {
		w.f.Close()
		w.f = nil
	}
	if w.f == nil {
		if err := w.open(); err != nil {
			return err
		}
		w.reopen = false
	}
	if w.torn || w.size == 0 {
		return nil
	}
	now := w.opts.Now()
	full := w.opts.MaxBytes > 0 && w.size+line > w.opts.MaxBytes
	old := w.opts.Every > 0 && now.Sub(w.opened) >= w.opts.Every
	if (full || old) && !now.Before(w.retry) {
		if err := w.rotate(now); err != nil {
			w.retry = now.Add(rotatePause)
			w.opts.OnError(err)
		}
	}
	return nil
}

// fits is how many bytes of p, in whole lines and at least one, go into the file.
func (w *FileWriter) fits(p []byte) int {
	room := w.opts.MaxBytes - w.size
	if w.opts.MaxBytes <= 0 || int64(len(p)) <= room {
		return len(p)
	}
	if room > 0 {
		if i := bytes.LastIndexByte(p[:room], '\n'); i >= 0 {
			return i + 1
		}
	}
	return lineEnd(p)
}

// lineEnd is the length of the first line of p, its newline included.
func lineEnd(p []byte) int {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return i + 1
	}
	return len(p)
}

// rotate renames the file away and opens a new one; on failure the old one
// stays in use.
func (w *FileWriter) rotate(now time.Time) error {
	stamp := w.path + "." + now.UTC().Format(stampLayout)
	name := stamp
	for i := 1; ; i++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s-%06d", stamp, i)
	}
	if err := os.Rename(w.path, name); err != nil {
		return fmt.Errorf("eve: rotate log: %w", err)
	}
	old := w.f
	if err := w.open(); err != nil {
		return errors.Join(err, os.Rename(name, w.path))
	}
	if err := old.Close(); err != nil {
		w.opts.OnError(fmt.Errorf("eve: close rotated log: %w", err))
	}
	w.prune(now)
	return nil
}

// stampLayout makes names of rotated files that sort by time. A second rotation
// within the same second gets a number behind it.
const stampLayout = "20060102T150405Z"

// prune deletes rotated files that are too many or too old.
func (w *FileWriter) prune(now time.Time) {
	if w.opts.Keep <= 0 && w.opts.KeepFor <= 0 {
		return
	}
	dir, base := filepath.Split(w.path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.opts.OnError(fmt.Errorf("eve: delete old logs: %w", err))
		return
	}
	type rotated struct {
		name string
		at   time.Time
	}
	var files []rotated
	for _, e := range entries {
		suffix, ok := strings.CutPrefix(e.Name(), base+".")
		if !ok || len(suffix) < len(stampLayout) {
			continue
		}
		at, err := time.Parse(stampLayout, suffix[:len(stampLayout)])
		if err != nil || !e.Type().IsRegular() {
			continue // not ours
		}
		files = append(files, rotated{e.Name(), at})
	}
	slices.SortFunc(files, func(a, b rotated) int { return strings.Compare(b.name, a.name) })
	for i, f := range files {
		tooMany := w.opts.Keep > 0 && i >= w.opts.Keep
		tooOld := w.opts.KeepFor > 0 && now.Sub(f.at) > w.opts.KeepFor
		if !tooMany && !tooOld {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.name)); err != nil {
			w.opts.OnError(fmt.Errorf("eve: delete old log: %w", err))
		}
	}
}

// Reopen makes the next line go to a newly opened file at the writer's path:
// for log rotation by others, who rename the file and then send SIGHUP.
func (w *FileWriter) Reopen() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reopen = true
}

// Close closes the file; further writes fail with fs.ErrClosed.
func (w *FileWriter) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.f == nil {
		return nil
	}
	f := w.f
	w.f = nil
	return f.Close()
}
