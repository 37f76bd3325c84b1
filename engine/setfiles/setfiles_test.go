package setfiles

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func (d Dir) text(t *testing.T, name string) string {
	t.Helper()
	f, err := d.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestSave(t *testing.T) {
	d := Dir(filepath.Join(t.TempDir(), "sets"))
	if _, err := d.Open("a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file in a directory that is not there: %v", err)
	}
	for _, name := range []string{"a", "deep/er/a", "./b//a", "a..b"} {
		for _, content := range []string{"one", "two"} {
			if err := d.Save(name, text(content)); err != nil || d.text(t, name) != content {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	broken := errors.New("broken off")
	if err := d.Save("a", func(w io.Writer) error { io.WriteString(w, "thr"); return broken }); !errors.Is(err, broken) || d.text(t, "a") != "two" {
		t.Errorf("what was not written to its end: %v, and the file has %q", err, d.text(t, "a"))
	}
	if err := os.WriteFile(filepath.Join(string(d), ".a.new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Save("a", text("three")); err != nil || d.text(t, "a") != "three" {
		t.Errorf("what an earlier process has left: %v", err)
	}
	if err := d.Save("deep", text("x")); err == nil {
		t.Error("a directory is replaced by a file")
	}
	left, err := filepath.Glob(filepath.Join(string(d), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

func TestNamesStayInside(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	d := Dir(filepath.Join(dir, "sets"))
	if err := errors.Join(os.WriteFile(secret, []byte("s"), 0o600), os.Mkdir(string(d), 0o700), os.Symlink(dir, filepath.Join(string(d), "link"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{secret, "../secret", "link/secret", "x/../../secret", ".", ""} {
		if f, err := d.Open(name); err == nil {
			if _, err := io.ReadAll(f); err == nil {
				t.Errorf("%q could be read", name)
			}
		}
		if err := d.Save(name, text("x")); err == nil {
			t.Errorf("%q could be written", name)
		}
	}
	if got, err := os.ReadFile(secret); err != nil || string(got) != "s" {
		t.Errorf("the file outside has %q, %v", got, err)
	}
}
