package http2

import (
	"sync"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/inflate"
)

// Rules look at content when this much of it is new, or it is complete, and at once where packets wait for
// them; and at as much again of what came before. Suricata's figures.
const (
	contentPart   = 32 << 10
	contentBefore = 4 << 10
)

// content is the part of a message's data, without its encoding, that rules are to look at.
type content struct {
	data      []byte
	base      int // offset of data[0]
	inspected int // offset up to which rules have looked
	shown     int // offset up to which they were asked to
	emitted   bool
	looked    bool // somebody was given data since it was shown
	ended     bool // nothing more will come
}

func (c *content) reset() { *c = content{data: applayer.Recycle(c.data, keepBuffer)} }

func (c *content) size() int  { return c.base + len(c.data) }
func (c *content) fresh() int { return c.size() - c.shown }

// lookedAt notes that rules looked at what they were shown, at once. Otherwise each part of what one packet makes
// would be looked at again with all that follow.
func (c *content) lookedAt() {
	if c.looked {
		c.inspected, c.looked = c.shown, false
	}
}

// write takes in the next bytes.
func (c *content) write(b []byte) {
	if drop := c.inspected - contentBefore - c.base; drop > 0 && drop >= len(c.data)/2 {
		c.data = c.data[:copy(c.data, c.data[drop:])]
		c.base += drop
	}
	c.data = append(c.data, b...)
}

// lose starts anew behind bytes that are missing, as what is on their two sides does not belong together.
func (c *content) lose(n int) {
	c.base, c.data = c.size()+n, c.data[:0]
	c.inspected, c.shown = c.base, c.base
}

// Bounds of decompression: when more comes out, nothing more is decompressed.
const (
	bombSize  = 1 << 20
	bombRatio = 256

	// feed is how many bytes are decompressed at once: no more than 64 kB come of them.
	feed = 64
)

// inflater undoes the content encoding of a message.
type inflater struct {
	z       inflate.Reader
	guess   bool // deflate, which senders take for two things (RFC 9110, 8.4.1.2)
	in, out int
	over    bool // nothing more is decompressed
}

const inflaterSize = int(unsafe.Sizeof(inflater{}))

var inflaters = sync.Pool{New: func() any { return &inflater{} }}

// newInflater returns nil for an encoding that is not undone.
func newInflater(encoding []byte) *inflater {
	gzip := string(encoding) == "gzip"
	if !gzip && string(encoding) != "deflate" {
		return nil
	}
	d := inflaters.Get().(*inflater)
	d.guess, d.in, d.out, d.over = !gzip, 0, 0, false
	d.z.Reset(inflate.Auto)
	return d
}

// close gives d back; it may be nil.
func (d *inflater) close() {
	if d != nil {
		inflaters.Put(d)
	}
}

// write decompresses b until room bytes came out, or some more. It returns how many were used; ok is false
// where they make no sense, or too much.
func (d *inflater) write(b []byte, room int, put func([]byte)) (used int, ok bool) {
	if d.over || len(b) == 0 {
		return len(b), true
	}
	if d.guess {
		d.guess = false
		if b[0]&0x0f != 8 { // no zlib header (RFC 1950, 2.2)
			d.z.Reset(inflate.Raw)
		}
	}
	out := 0
	emit := func(piece []byte) bool {
		put(piece)
		out += len(piece)
		return true
	}
	var err error
	for used < len(b) && out < room && err == nil && !d.z.Done() {
		next := min(used+feed, len(b))
		_, err = d.z.Write(b[used:next], emit)
		used = next
	}
	d.in += used
	d.out += out
	if err != nil || d.out > bombSize && d.out > bombRatio*d.in {
		d.over = true
		return len(b), false
	}
	if d.z.Done() {
		d.over = true
		return len(b), true
	}
	return used, true
}
