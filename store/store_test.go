package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/storage/wal"
)

// A test that needs another process starts this binary again with childVar
// naming what to do.
const childVar = "STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVar) {
	case "":
		os.Exit(m.Run())
	case "write":
		childWrite(os.Args[1])
	case "fill":
		childFill(os.Args[1])
	}
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func dial(t *testing.T, s *Store) *Store {
	t.Helper()
	c, err := Dial(t.Context(), DialOptions{Endpoints: []string{s.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// put writes and returns the revision.
func put(t *testing.T, s *Store, key, value string) int64 {
	t.Helper()
	rev, err := s.Put(t.Context(), key, value, 0)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestGetAndList(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	if _, _, err := Get[string](ctx, s, "/a/1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a missing record: %v, want ErrNotFound", err)
	}
	for i := range 5 {
		put(t, s, fmt.Sprintf("/a/%d", i), strconv.Itoa(i))
	}
	put(t, s, "/b/0", "other")
	rev := put(t, s, "/a/3", "new")

	v, got, err := Get[string](ctx, s, "/a/3")
	if v != "new" || got != rev || err != nil {
		t.Errorf("Get = %q, %d, %v, want new, %d", v, got, err, rev)
	}
	var keys []string
	for after := ""; ; {
		p, err := s.Keys(ctx, "/a/", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range p.KVs {
			keys = append(keys, kv.Key)
			if len(kv.Value) != 0 {
				t.Errorf("Keys returned a value for %s", kv.Key)
			}
		}
		if !p.More {
			break
		}
		after = keys[len(keys)-1]
	}
	if got, want := strings.Join(keys, " "), "/a/0 /a/1 /a/2 /a/3 /a/4"; got != want {
		t.Errorf("paged keys %q, want %q", got, want)
	}
	all, _, err := List[string](ctx, s, "/a/")
	if err != nil || len(all) != 5 || all[3].Value != "new" || all[3].Rev != rev {
		t.Errorf("List = %+v, %v", all, err)
	}
}

func TestDecodeError(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "/n", "text")
	_, _, err := Get[int](t.Context(), s, "/n")
	if err == nil || !strings.Contains(err.Error(), "/n cannot be read") {
		t.Errorf("a record of another type: %v", err)
	}
}

func TestTxn(t *testing.T) {
	s := open(t, t.TempDir())
	other := dial(t, s)
	ctx := t.Context()
	rev := put(t, s, "/k", "1")
	p, err := s.List(ctx, "/refs/", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		before func() // what the other client does after the read
		txn    func(*Txn)
		want   error
	}{
		{"unchanged", func() {}, func(x *Txn) { x.IfRev("/k", rev) }, nil},
		{"absent as demanded", func() {}, func(x *Txn) { x.IfRev("/none", 0) }, nil},
		{"present though absence demanded", func() {}, func(x *Txn) { x.IfRev("/k", 0) }, ErrConflict},
		{"nothing new in an empty range", func() {}, func(x *Txn) { x.IfNoneSince("/refs/", p.Rev) }, nil},
		{"changed", func() { put(t, other, "/k", "2") }, func(x *Txn) { x.IfRev("/k", rev) }, ErrConflict},
		{"new record in the range", func() { put(t, other, "/refs/x", "") }, func(x *Txn) { x.IfNoneSince("/refs/", p.Rev) }, ErrConflict},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.before()
			var x Txn
			c.txn(&x)
			x.Put("/effect", c.name, 0)
			_, err := s.Commit(ctx, &x)
			if !errors.Is(err, c.want) {
				t.Fatalf("Commit: %v, want %v", err, c.want)
			}
			got, _, _ := Get[string](ctx, other, "/effect")
			if happened := got == c.name; happened != (c.want == nil) {
				t.Errorf("the transaction had an effect: %v", happened)
			}
		})
	}
}

func TestUnencodableValue(t *testing.T) {
	s := open(t, t.TempDir())
	if _, err := s.Put(t.Context(), "/f", func() {}, 0); err == nil || !strings.Contains(err.Error(), "/f") {
		t.Errorf("Put of a function: %v", err)
	}
}

func TestLargeRecord(t *testing.T) {
	s := open(t, t.TempDir())
	c := dial(t, s)
	for _, s := range []*Store{s, c} {
		if _, err := s.Put(t.Context(), "/large", strings.Repeat("x", 3<<20), 0); err != nil {
			t.Errorf("3 MiB: %v", err)
		}
		if _, err := s.Put(t.Context(), "/larger", strings.Repeat("x", 9<<20), 0); !errors.Is(err, ErrTooLarge) {
			t.Errorf("9 MiB: %v, want ErrTooLarge", err)
		}
	}
}

func TestUnavailable(t *testing.T) {
	c, err := Dial(t.Context(), DialOptions{
		Endpoints: []string{"unix://" + filepath.Join(t.TempDir(), "nobody.sock")}, Timeout: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Get(t.Context(), "/k")
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "nobody.sock") {
		t.Errorf("Get without a server: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = c.Get(ctx, "/k"); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("Get with an ended context: %v, want Canceled alone", err)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "/k"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Get after Close: %v", err)
	}
}

// childWrite writes record after record and tells of each that was answered.
func childWrite(dir string) {
	s, err := Open(context.Background(), Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if _, err := s.Put(context.Background(), fmt.Sprintf("/k/%06d", i), i, 0); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i)
	}
}

func TestKilledWhileWriting(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], dir)
	cmd.Env = append(os.Environ(), childVar+"=write")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	answered := -1
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("child: %s", lines.Text())
		}
		answered = n
		if n == 50 { // and whatever follows until the signal arrives
			cmd.Process.Signal(syscall.SIGKILL)
		}
	}
	cmd.Wait()
	if answered < 50 {
		t.Fatalf("the child wrote %d records only", answered+1)
	}
	s := open(t, dir)
	p, err := s.Keys(t.Context(), "/k/", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.KVs) < answered+1 {
		t.Errorf("%d records answered, %d found after the kill", answered+1, len(p.KVs))
	}
}

func TestSecondOpen(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := Open(t.Context(), Options{Dir: dir})
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("second Open: %v, want %q", err, want)
	}
}

func TestBadDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		filepath.Join(file, "below"):                        "choose a directory",
		filepath.Join(t.TempDir(), strings.Repeat("x", 90)): "choose a shorter data directory",
	} {
		if _, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s): %v, want %q", dir, err, want)
		}
	}
}

func TestDamagedData(t *testing.T) {
	damage := map[string]func(t *testing.T, dir string){
		"database overwritten": func(t *testing.T, dir string) {
			overwrite(t, filepath.Join(dir, "member", "snap", "db"), 0, 3*4096)
		},
		"database empty": func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, "member", "snap", "db"), 100); err != nil {
				t.Fatal(err)
			}
		},
		"log overwritten": func(t *testing.T, dir string) {
			logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*.wal"))
			if err != nil || len(logs) == 0 {
				t.Fatalf("no log: %v", err)
			}
			overwrite(t, logs[0], 0, 4096)
		},
		"log gone": func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "member", "wal")); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "member", "wal"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, f := range damage {
		t.Run(name, func(t *testing.T) {
			// Not t.TempDir: etcd may still be making the next file of its log when it has given
			// up, which would fail the test.
			dir, err := os.MkdirTemp("", "damaged")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			s := open(t, dir)
			put(t, s, "/k", "v")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			f(t, dir)
			s, err = Open(t.Context(), Options{Dir: dir, StartTimeout: 5 * time.Second})
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), "restore the directory from a backup") {
				t.Error(err)
			}
		})
	}
}

func overwrite(t *testing.T, file string, at int64, n int) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("garbage!", n/8)), at); err != nil {
		t.Fatal(err)
	}
}

// childFill mounts a small file system in a namespace of its own, writes until
// it is full, and tells how that ended.
func childFill(dir string) {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		fmt.Println("skip: no file system can be mounted here:", err)
		return
	}
	wal.SegmentSizeBytes = 1 << 20
	s, err := Open(context.Background(), Options{Dir: dir, Timeout: 2 * time.Second})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	value := strings.Repeat("x", 100<<10)
	for i := range 200 {
		if _, err = s.Put(context.Background(), fmt.Sprintf("/k/%d", i), value, 0); err != nil {
			break
		}
	}
	<-s.Failed()
	fmt.Println("put:", err)
	_, err = s.Get(context.Background(), "/k/0")
	fmt.Println("get:", err)
	s.Close()
	fmt.Println("alive")
}

func TestFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0], t.TempDir())
	cmd.Env = append(os.Environ(), childVar+"=fill")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || strings.HasPrefix(string(out), "skip:") {
		t.Skipf("no namespaces here: %v %s", err, out)
	}
	for _, want := range []string{"put: store: commit: the store does not answer: etcd", "no space left on device", "get: store: get /k/0: the store does not answer: etcd", "alive"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}
