// Package setfiles keeps files of data sets in a directory, out of which no name leads: neither
// with .. nor through a symbolic link.
package setfiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// Dir is the path of a directory. It need not exist before something is saved.
type Dir string

// Open opens a file. The error is fs.ErrNotExist where it, or the directory, does not exist.
func (d Dir) Open(name string) (io.ReadCloser, error) {
	f, err := os.OpenInRoot(string(d), name)
	if err != nil {
		return nil, fmt.Errorf("in %s: %w", d, err)
	}
	return f, nil
}

// Save replaces a file by what write writes. Whoever reads it, and whoever starts after the power
// has failed, finds what it held before or all that it holds now. Directories of its name are made.
func (d Dir) Save(name string, write func(io.Writer) error) error {
	if err := d.save(name, write); err != nil {
		return fmt.Errorf("in %s: %w", d, err)
	}
	return nil
}

func (d Dir) save(name string, write func(io.Writer) error) error {
	if err := os.MkdirAll(string(d), 0o750); err != nil {
		return err
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return err
	}
	defer root.Close()
	name = path.Clean(name)
	folder, base := path.Split(name)
	if err := root.MkdirAll(path.Clean(folder), 0o750); err != nil {
		return err
	}
	fresh := folder + "." + base + ".new"
	// What a process that ended halfway has left would be in the way.
	if err := root.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, root.Remove(fresh))
	}
	if err := root.Rename(fresh, name); err != nil {
		return errors.Join(fmt.Errorf("put the new file in place: %w", err), root.Remove(fresh))
	}
	return nil
}
