// Package file follows the files that application protocols carry: what is known of them for
// records and rules, and their digests. It keeps no content.
package file

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"sync"
)

// State says how far a file has come. Its String is Suricata's word in fileinfo records.
type State uint8

const (
	Open      State = iota
	Closed          // seen to its end
	Truncated       // ended early: a limit, a gap or the end of the connection
	Failed          // the protocol broke within it
)

// String returns the word of records.
func (s State) String() string {
	switch s {
	case Closed:
		return "CLOSED"
	case Truncated:
		return "TRUNCATED"
	case Failed:
		return "ERROR"
	}
	return "UNKNOWN"
}

// Range is the part of a larger file that this one is, as HTTP's Content-Range says.
type Range struct {
	Start, End int64
	Total      int64 // of the whole, or 0 when it is not said
}

// File is one file. Start, Write and Lose come from its parser, Close ends it.
type File struct {
	Name   []byte
	Size   uint64 // bytes so far, those lost in gaps among them
	State  State
	Gaps   bool
	Ranged bool // Range is set
	Range  Range

	sums *sums // nil once it is known that there will be none
	MD5  [md5.Size]byte
	SHA1 [sha1.Size]byte
	SHA2 [sha256.Size]byte
	Sums bool // MD5 and SHA1 are set

	HasSHA2 bool
}

// sums are the running digests of an open file.
type sums struct{ md5, sha1, sha256 hash.Hash }

var pool = sync.Pool{New: func() any { return &sums{md5.New(), sha1.New(), sha256.New()} }}

// sumsSize is about what the digests of an open file take.
const sumsSize = 512

// Start makes f a new and open file. Its digests are computed if somebody wants them.
func (f *File) Start(name []byte, digests bool) {
	f.drop()
	*f = File{Name: append(f.Name[:0], name...)}
	if digests {
		f.sums = pool.Get().(*sums)
		f.sums.md5.Reset()
		f.sums.sha1.Reset()
		f.sums.sha256.Reset()
	}
}

// Reset forgets the file and gives back what it holds.
func (f *File) Reset() {
	f.drop()
	*f = File{Name: f.Name[:0]}
}

// Write takes the next bytes.
func (f *File) Write(data []byte) {
	f.Size += uint64(len(data))
	if f.sums != nil {
		f.sums.md5.Write(data)
		f.sums.sha1.Write(data)
		f.sums.sha256.Write(data)
	}
}

// Lose notes that n bytes are missing.
func (f *File) Lose(n int) {
	f.Size += uint64(n)
	f.Gaps = true
}

// Close ends the file in a state other than Open. As in Suricata, one with gaps is Truncated, and
// those that are not Closed have a SHA-256 at most, of what there was of them.
func (f *File) Close(s State) {
	if f.State != Open {
		return
	}
	if f.Gaps && s == Closed {
		s = Truncated
	}
	f.State = s
	if f.sums != nil {
		f.sums.sha256.Sum(f.SHA2[:0])
		f.HasSHA2 = true
		if s == Closed {
			f.sums.md5.Sum(f.MD5[:0])
			f.sums.sha1.Sum(f.SHA1[:0])
			f.Sums = true
		}
	}
	f.drop()
}

func (f *File) drop() {
	if f.sums != nil {
		pool.Put(f.sums)
		f.sums = nil
	}
}

// Memory returns how many bytes f holds beyond its own size.
func (f *File) Memory() int {
	n := cap(f.Name)
	if f.sums != nil {
		n += sumsSize
	}
	return n
}
