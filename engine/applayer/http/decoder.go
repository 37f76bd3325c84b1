package http

import (
	"bytes"
	"sync"
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/inflate"
)

// Bounds of decompression, those of libhtp and Suricata.
const (
	maxLayers = 2
	bombSize  = 1 << 20 // decompressed bytes
	bombRatio = 2048    // of them for each that was sent

	outPiece = 8 << 10 // libhtp passes on decompressed bytes in pieces of this size
)

// decoder undoes the content encodings of a body.
type decoder struct {
	layers [maxLayers]layer
	n      int
	in     int64 // bytes of the body as sent
	out    int64 // and decompressed
	bomb   bool  // nothing more is decompressed
}

// layer is one encoding. What says gzip may be zlib or nothing of the kind, and what says deflate gzip: so
// several ways are tried, and when none works the bytes pass as they are.
type layer struct {
	z        *inflate.Reader
	format   inflate.Format
	restarts int
	pending  int64 // bytes of output in libhtp's buffer
	pass     bool
}

const decoderSize = int(unsafe.Sizeof(decoder{})) + maxLayers*int(unsafe.Sizeof(inflate.Reader{}))

var (
	decoders = sync.Pool{New: func() any { return &decoder{} }}
	readers  = sync.Pool{New: func() any { return &inflate.Reader{} }}
)

// open prepares for the encodings that a field lists, the outermost first. It returns nil for none that
// is undone.
func (r *reader) openDecoder(value []byte) *decoder {
	switch {
	case isEncoding(value, "gzip"):
		return newDecoder(inflate.Auto)
	case isEncoding(value, "deflate"):
		return newDecoder(inflate.Raw)
	case equalFold(value, []byte("lzma")), equalFold(value, []byte("inflate")):
		return nil
	}
	var formats [maxLayers]inflate.Format
	n, tokens := 0, 0
	for token := range bytes.FieldsFuncSeq(value, func(c rune) bool { return c == ',' || c == ' ' }) {
		if tokens++; tokens > maxLayers {
			r.note(applayer.AnomalyHTTPTooManyEncodingLayers)
			break
		}
		format, known := r.encodingOf(token)
		if known {
			formats[n] = format
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return newDecoder(formats[:n]...)
}

// isEncoding compares with a name, which may have an x- before it.
func isEncoding(value []byte, name string) bool {
	return equalFold(value, []byte(name)) || equalFold(value, []byte("x-"+name))
}

// encodingOf reads one of several encodings. Whatever has the name in it is taken for it.
func (r *reader) encodingOf(token []byte) (f inflate.Format, known bool) {
	for _, e := range [...]struct {
		name   string
		format inflate.Format
	}{{"gzip", inflate.Auto}, {"deflate", inflate.Raw}} {
		if containsFold(token, []byte(e.name)) {
			if string(token) != e.name && string(token) != "x-"+e.name {
				r.note(applayer.AnomalyHTTPAbnormalContentEncodingHeader)
			}
			return e.format, true
		}
	}
	if s := string(token); s != "lzma" && s != "inflate" {
		r.note(applayer.AnomalyHTTPAbnormalContentEncodingHeader)
	}
	return 0, false
}

func newDecoder(formats ...inflate.Format) *decoder {
	d := decoders.Get().(*decoder)
	*d = decoder{n: len(formats)}
	for i, f := range formats {
		d.layers[i] = layer{z: readers.Get().(*inflate.Reader), format: f}
		d.layers[i].z.Reset(f)
	}
	return d
}

// close gives back what d holds; it may be nil.
func (d *decoder) close() {
	if d == nil {
		return
	}
	for i := range d.n {
		readers.Put(d.layers[i].z)
	}
	*d = decoder{}
	decoders.Put(d)
}

// closeDecoders ends all decompression.
func (p *Parser) closeDecoders() {
	for i := range p.halves {
		p.halves[i].decoder.close()
		p.halves[i].decoder = nil
	}
}

// write passes a part of the body through the layers.
func (d *decoder) write(r *reader, t *Tx, data []byte) {
	d.in += int64(len(data))
	if !d.bomb {
		d.through(r, t, 0, data)
	}
}

// through decompresses data with layer i and passes the result to the next. It reports whether more is wanted.
func (d *decoder) through(r *reader, t *Tx, i int, data []byte) bool {
	if len(data) == 0 {
		return true
	}
	if i == d.n {
		return d.put(r, t, data)
	}
	l := &d.layers[i]
	if l.pass {
		return d.put(r, t, data)
	}
	emit := func(out []byte) bool {
		l.pending += int64(len(out))
		return d.through(r, t, i+1, out)
	}
	for rest := data; ; {
		if _, err := l.z.Write(rest, emit); err == nil {
			if l.z.Done() {
				l.pending = 0
			}
			return !d.bomb
		}
		r.note(applayer.AnomalyHTTPGzipDecompressionFailed)
		if l.pending%outPiece != 0 { // what came out counts, and ends the part
			l.pending = 0
			return !d.bomb
		}
		n, ok := l.restart(data)
		if !ok {
			l.pass = true
			return d.put(r, t, data)
		}
		rest = data[n:]
	}
}

// restart tries another way to read data, from n bytes on.
func (l *layer) restart(data []byte) (n int, ok bool) {
	if l.restarts >= 3 {
		return 0, false
	}
	if l.restarts > 0 {
		l.format = inflate.Raw + inflate.Auto - l.format
	}
	l.restarts++
	l.pending = 0
	l.z.Reset(l.format)
	return gzipHeader(data), true
}

// gzipHeader returns how long the gzip header is that data begins with if it has flags, roughly: what
// libhtp passes over when it tries again.
func gzipHeader(data []byte) int {
	if len(data) < 4 || data[0] != 0x1f || data[1] != 0x8b || data[3] == 0 {
		return 0
	}
	n := 10
	switch flags := data[3]; {
	case flags&(1<<3|1<<4) != 0:
		end := bytes.IndexByte(data[min(10, len(data)):], 0)
		if end < 0 {
			return 0
		}
		n += end + 1
	case flags&(1<<1) != 0:
		n = 12
	}
	if n > len(data) {
		return 0
	}
	return n
}

// put takes decompressed bytes for the body, unless they are too many.
func (d *decoder) put(r *reader, t *Tx, data []byte) bool {
	d.out += int64(len(data))
	r.decodedData(t, data)
	if d.out > bombSize && d.out > bombRatio*d.in {
		r.note(applayer.AnomalyHTTPCompressionBomb)
		d.bomb = true
	}
	return !d.bomb
}
