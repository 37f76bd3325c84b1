package eve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// disk is a writer with a limited amount of space, and a gate.
type disk struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	space  int
	gate   chan struct{} // when not nil, each write waits for it
	closed bool
}

func (d *disk) Write(p []byte) (int, error) {
	if d.gate != nil {
		<-d.gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.space)
	d.space -= n
	d.buf.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *disk) Close() error { d.closed = true; return nil }

func (d *disk) add(space int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.space += space
}

func (d *disk) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.String()
}

var quiet = slog.New(slog.DiscardHandler)

func TestLoggerWritesEverything(t *testing.T) {
	d := &disk{space: 1 << 20}
	l := NewLogger(d, LoggerOptions{Log: quiet})
	var want int
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				if !l.Log(fmt.Appendf(nil, `{"w":%d,"i":%d}`, w, i)) {
					t.Error("dropped")
				}
			}
		})
		want += 500
	}
	wg.Wait()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(d.String(), "\n"); got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	next := map[int]int{} // each worker's lines stay in order
	for line := range strings.Lines(d.String()) {
		var w, i int
		if _, err := fmt.Sscanf(line, `{"w":%d,"i":%d}`, &w, &i); err != nil || next[w] != i {
			t.Fatalf("line %q after %d of worker %d: %v", line, next[w], w, err)
		}
		next[w]++
	}
	if err := l.Close(t.Context()); err != nil || !d.closed {
		t.Errorf("close: %v, closed %v", err, d.closed)
	}
	if s := l.Stats(); s.Written != uint64(want) || s.Dropped != 0 {
		t.Errorf("stats %+v", s)
	}
	if l.Log([]byte("late")) {
		t.Error("closed logger took a record")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error("second close:", err)
	}
}

func TestLoggerFullDropsNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{space: 1 << 20, gate: make(chan struct{})}
		l := NewLogger(d, LoggerOptions{Limit: 30, Log: quiet})
		for i := range 5 {
			if took := l.Log(fmt.Appendf(nil, "line %04d", i)); took != (i < 3) {
				t.Errorf("line %d taken: %v", i, took)
			}
		}
		synctest.Wait() // the goroutine holds what it took, and is stuck in Write
		if l.Log([]byte("line xxxx")) {
			t.Error("bytes being written do not count against the limit")
		}
		close(d.gate)
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := d.String(); got != "line 0000\nline 0001\nline 0002\n" {
			t.Errorf("wrote %q", got)
		}
		if s := l.Stats(); s != (LoggerStats{Written: 3, Dropped: 3}) {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestLoggerSurvivesFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var messages bytes.Buffer
		d := &disk{space: 12}
		l := NewLogger(d, LoggerOptions{Retry: time.Second, LogEvery: time.Minute, Log: slog.New(slog.NewTextHandler(&messages, nil))})
		for i := range 4 {
			l.Log(fmt.Appendf(nil, "line %04d", i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		err := l.Flush(ctx)
		if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("flush on a full disk: %v", err)
		}
		if n := strings.Count(messages.String(), "\n"); n != 2 {
			t.Errorf("%d messages in 90 s, want 2:\n%s", n, messages.String())
		}
		d.add(1000)
		if err := l.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := d.String(); got != "line 0000\nline 0001\nline 0002\nline 0003\n" {
			t.Errorf("wrote %q", got)
		}
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if s := l.Stats(); s.Written != 4 || s.Dropped != 0 || s.Errors < 80 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestLoggerCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		l := NewLogger(d, LoggerOptions{Log: quiet})
		l.Log([]byte("a"))
		l.Log([]byte("b"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := l.Close(ctx); err == nil || !d.closed {
			t.Errorf("close: %v, closed %v", err, d.closed)
		}
		if s := l.Stats(); s.Written != 0 || s.Dropped != 2 {
			t.Errorf("stats %+v", s)
		}
		l.Log([]byte("c"))
		if err := l.Flush(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("flush after close: %v", err)
		}
	})
}

func TestLoggerNoAllocs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{gate: make(chan struct{})}
		l := NewLogger(d, LoggerOptions{Log: quiet})
		line := make([]byte, 100)
		for range 10000 { // grow the buffer
			l.Log(line)
		}
		l.mu.Lock()
		l.pending, l.records = l.pending[:0], 0
		l.mu.Unlock()
		if n := testing.AllocsPerRun(1000, func() { l.Log(line) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		close(d.gate)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.Close(ctx)
	})
}

func TestDirect(t *testing.T) {
	var d disk
	d.space = 10
	s := NewDirect(&d)
	if !s.Log([]byte("one")) || s.Flush(t.Context()) != nil || d.String() != "one\n" {
		t.Errorf("wrote %q", d.String())
	}
	s.Log([]byte("much too long"))
	if err := s.Flush(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("flush: %v", err)
	}
	if s.Log([]byte("x")) {
		t.Error("took a record after an error")
	}
	if err := s.Close(t.Context()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close: %v", err)
	}
	s = NewDirect(io.Discard)
	if err := s.Close(t.Context()); err != nil || s.Log(nil) || !errors.Is(s.Flush(t.Context()), ErrClosed) {
		t.Errorf("closed sink is not closed: %v", err)
	}
}

// read returns the contents of all files in dir that begin with "eve.json".
func read(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(e.Name(), "eve.json")] = string(b)
	}
	return out
}

func TestFileRotation(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	type step struct {
		after time.Duration // since the step before
		write string
	}
	for _, c := range []struct {
		name  string
		opts  FileOptions
		steps []step
		want  map[string]string // by suffix
	}{
		{"no limits", FileOptions{}, []step{{0, "a\n"}, {1e15, "b\n"}}, map[string]string{"": "a\nb\n"}},
		{"size splits a chunk", FileOptions{MaxBytes: 4}, []step{{0, "a\nb\nc\nd\ne\n"}},
			map[string]string{".20261101T120000Z": "a\nb\n", ".20261101T120000Z-000001": "c\nd\n", "": "e\n"}},
		{"long line stays whole", FileOptions{MaxBytes: 4}, []step{{0, "a\n"}, {time.Second, "long line\nb\n"}},
			map[string]string{".20261101T120001Z": "a\n", ".20261101T120001Z-000001": "long line\n", "": "b\n"}},
		{"torn line stays whole", FileOptions{MaxBytes: 4}, []step{{0, "abc"}, {time.Second, "def\ng\n"}},
			map[string]string{".20261101T120001Z": "abcdef\n", "": "g\n"}},
		{"time", FileOptions{Every: time.Hour}, []step{{0, "a\n"}, {time.Hour - 1, "b\n"}, {1, "c\n"}},
			map[string]string{".20261101T130000Z": "a\nb\n", "": "c\n"}},
		{"keep", FileOptions{MaxBytes: 2, Keep: 1}, []step{{0, "a\n"}, {time.Second, "b\n"}, {time.Second, "c\n"}},
			map[string]string{".20261101T120002Z": "b\n", "": "c\n"}},
		{"keep for", FileOptions{MaxBytes: 2, KeepFor: time.Minute}, []step{{0, "a\n"}, {time.Second, "b\n"}, {time.Hour, "c\n"}, {time.Second, "d\n"}},
			map[string]string{".20261101T130001Z": "b\n", ".20261101T130002Z": "c\n", "": "d\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, now := t.TempDir(), start
			c.opts.Now = func() time.Time { return now }
			c.opts.OnError = func(err error) { t.Error(err) }
			w, err := OpenFile(filepath.Join(dir, "eve.json"), c.opts)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range c.steps {
				now = now.Add(s.after)
				if n, err := w.Write([]byte(s.write)); n != len(s.write) || err != nil {
					t.Fatalf("write %q: %d, %v", s.write, n, err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got := read(t, dir)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("files %q\nwant %q", got, c.want)
			}
			if _, err := w.Write([]byte("x\n")); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("write after close: %v", err)
			}
		})
	}
}

func TestFilePruneLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "eve.json")
	for _, name := range []string{"eve.json.bak", "eve.json.20260101T000000Zx/keep", "other.20260101T000000Z", "eve.json.20260101T000000Z"} {
		p := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	w, err := OpenFile(path, FileOptions{MaxBytes: 1, KeepFor: time.Hour, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Write([]byte("a\nb\n"))
	for name, want := range map[string]bool{
		"eve.json.bak": true, "eve.json.20260101T000000Zx": true, "other.20260101T000000Z": true,
		"eve.json.20260101T000000Z": false, "eve.json.20261101T000000Z": true,
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s there: %v, want %v", name, err == nil, want)
		}
	}
}

func TestFileRotationFailureKeepsWriting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "eve.json")
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var failures []error
	w, err := OpenFile(path, FileOptions{MaxBytes: 2, Now: func() time.Time { return now }, OnError: func(err error) { failures = append(failures, err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Write([]byte("a\n"))
	if err := os.Rename(path, path+".moved"); err != nil { // so that the rotation's own rename finds nothing
		t.Fatal(err)
	}
	for _, line := range []string{"b\n", "c\n"} {
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if len(failures) != 1 {
		t.Errorf("%d failures reported within a minute, want 1: %v", len(failures), failures)
	}
	if b, _ := os.ReadFile(path + ".moved"); string(b) != "a\nb\nc\n" {
		t.Errorf("old file has %q", b)
	}
}

func TestFileReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "eve.json")
	w, err := OpenFile(path, FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Write([]byte("a\nhalf "))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	w.Reopen()
	w.Write([]byte("line\n"))
	w.Write([]byte("b\n"))
	got := read(t, dir)
	if got[".1"] != "a\nhalf line\n" || got[""] != "b\n" {
		t.Errorf("files %q", got)
	}
}

func TestDirs(t *testing.T) {
	root := t.TempDir()
	d := NewDirs(filepath.Join(root, "logs"))
	seen := map[string]string{}
	long := strings.Repeat("x", 600)
	for _, group := range []string{
		"/aws/network-firewall/alert", "aws/network-firewall/alert", "a+b", "a/b", "..", ".", "../../etc", "/", "a\x00b", "a b", "a%20b",
		long, long + "y", strings.Repeat("/", 300), ".hidden", "x.log", `c:\x`,
	} {
		dir, err := d.Dir(group)
		if err != nil {
			t.Errorf("%q: %v", group, err)
			continue
		}
		if filepath.Dir(dir) != filepath.Join(root, "logs") || strings.HasPrefix(filepath.Base(dir), ".") {
			t.Errorf("%q is kept in %q", group, dir)
		}
		if other, ok := seen[dir]; ok {
			t.Errorf("%q and %q share %q", group, other, dir)
		}
		seen[dir] = group
	}
	if got := dirName("/aws/network-firewall/alert"); got != "+aws+network-firewall+alert" {
		t.Errorf("got %q", got)
	}
	if _, err := d.Dir(""); err == nil {
		t.Error("empty name accepted")
	}
}

func FuzzDirName(f *testing.F) {
	f.Add("../x")
	f.Fuzz(func(t *testing.T, group string) {
		if group == "" {
			return
		}
		name := dirName(group)
		if name == "" || len(name) > maxDirName || name[0] == '.' || strings.ContainsAny(name, "/\\\x00") || !filepath.IsLocal(name) {
			t.Errorf("%q became %q", group, name)
		}
	})
}
