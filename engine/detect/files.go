package detect

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/rule"
)

// fileTest is what a rule asks of a file. All of its tests have to hold for one.
type fileTest func(f *file.File) bool

// digests are the keywords that compare a file's digest with a list, with how long that is and what
// it is of a file that is complete.
var digests = map[string]struct {
	size int
	of   func(f *file.File) (sum []byte, ok bool)
}{
	"filemd5":    {len(file.File{}.MD5), func(f *file.File) ([]byte, bool) { return f.MD5[:], f.Sums }},
	"filesha1":   {len(file.File{}.SHA1), func(f *file.File) ([]byte, bool) { return f.SHA1[:], f.Sums }},
	"filesha256": {len(file.File{}.SHA2), func(f *file.File) ([]byte, bool) { return f.SHA2[:], f.HasSHA2 }},
}

// anyFileTest is one of the keywords that isFileTest is about: they stand for the same fields.
const anyFileTest = "filesize"

// isFileTest says whether a keyword asks something of a whole file.
func isFileTest(keyword string) bool { return keyword == anyFileTest || digests[keyword].size > 0 }

// newFileTest compiles a keyword that asks something of a whole file.
func (c *stepCompiler) newFileTest(o *rule.Option) (fileTest, error) {
	if o.Name == "filesize" {
		want := o.Arg.(rule.Numbers)
		return func(f *file.File) bool { return sizeIn(want, f) }, nil
	}
	d := digests[o.Name]
	name, negated := strings.CutPrefix(o.Value, "!")
	list, err := c.lists.get(strings.TrimSpace(name), d.size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	return func(f *file.File) bool {
		sum, ok := d.of(f)
		return ok && f.State == file.Closed && list.has(sum) != negated
	}, nil
}

// sizeIn says whether a file's size is in want. One that is open, or was cut off, is if whatever else comes of it
// cannot change that: want has no upper end.
func sizeIn(want rule.Numbers, f *file.File) bool {
	if f.State != file.Closed {
		return !want.Negated && want.To == math.MaxUint64 && want.Has(f.Size)
	}
	return want.Has(f.Size)
}

// matchFiles says whether a file of the transaction satisfies all that the rule asks of one.
func (r *Rule) matchFiles(tx applayer.Tx) bool {
	dir := r.filesAt.Hook().Dir()
	for i := 0; ; i++ {
		f := tx.File(dir, i)
		if f == nil {
			return false
		}
		if !slices.ContainsFunc(r.files, func(test fileTest) bool { return !test(f) }) {
			return true
		}
	}
}

// hashList is a set of digests of one length.
type hashList map[string]struct{}

func (l hashList) has(sum []byte) bool {
	_, ok := l[string(sum)]
	return ok
}

// hashLists are the lists of one program, by name and length of the digests. Rules share them.
type hashLists struct {
	files SetFiles
	lost  func(error) // as in Options
	all   map[string]hashList
}

// get returns the list that a file holds. With no receiver none is read.
func (s *hashLists) get(name string, size int) (hashList, error) {
	if s == nil {
		return nil, nil
	}
	key := fmt.Sprint(size, name)
	if l, ok := s.all[key]; ok {
		return l, nil
	}
	if s.files == nil {
		return nil, unsupported("rules read no files here; leave it out")
	}
	l, err := s.read(name, size)
	if err != nil && s.lost == nil {
		return nil, err
	}
	if err != nil {
		s.lost(err)
	}
	s.all[key] = l
	return l, nil
}

// read returns what a file holds, up to what is wrong in it.
func (s *hashLists) read(name string, size int) (hashList, error) {
	f, err := s.files.Load(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	l, err := readHashes(f, size)
	if err != nil {
		return l, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// readHashes reads a list as md5sum and its like write it: each line begins with a digest in hexadecimal, and what
// follows it does not matter. Lines that are empty or begin with a space or # are passed over.
func readHashes(in io.Reader, size int) (hashList, error) {
	list := hashList{}
	lines := bufio.NewScanner(in)
	sum := make([]byte, size)
	n := 1
	for ; lines.Scan(); n++ {
		line := lines.Bytes()
		if len(line) == 0 || strings.IndexByte(" #\r", line[0]) >= 0 {
			continue
		}
		if _, err := hex.Decode(sum, line[:min(len(line), 2*size)]); err != nil || len(line) < 2*size {
			return list, fmt.Errorf("line %d: it does not begin with a digest of %d hexadecimal digits", n, 2*size)
		}
		list[string(sum)] = struct{}{}
	}
	return list, lineError(n, lines.Err())
}
