package http

import "github.com/sluicefw/sluice/engine/applayer"

// Bounds of what is kept of a body for rules, Suricata's defaults.
const (
	maxBody = 100 << 10 // bytes that are looked at; of files, too

	requestWindow  = 4 << 10 // bytes that are looked at together, at least, once
	requestFirst   = 32 << 10
	responseWindow = 16 << 10 // so many were looked at from the beginning
	responseFirst  = 40 << 10
)

// body holds the part of a message's body that rules are to look at.
//
// A passive engine waits until the first bytes are there, or all, and then looks at what is new, with
// as many bytes before it as the window is short of, or a quarter of the window. Inline, nothing
// waits: every piece is looked at as it comes.
type body struct {
	data      []byte
	base      int  // offset of data[0] in the body
	size      int  // bytes taken in so far
	inspected int  // of them, those that earlier events were about
	from      int  // offset at which the part to look at begins
	emitted   int  // offset at which it ends
	fresh     bool // there is more than was emitted
	ended     bool // nothing more will come

	first, windowSize int
	parts             []part
}

// part is the content of one file in the body, a span of data.
type part struct {
	from, to int // offsets in the body
	ended    bool
}

func (b *body) reset() {
	if cap(b.data) > keepBuffer {
		b.data = nil
	}
	*b = body{data: b.data[:0], parts: applayer.Recycle(b.parts, keepBuffer/16)}
}

func (b *body) memory() int { return cap(b.data) + cap(b.parts)*24 }

// full reports that no more is taken in.
func (b *body) full() bool { return b.size >= maxBody }

// write takes in the next bytes of the body, and returns those that there was room for.
func (b *body) write(data []byte) []byte {
	data = data[:min(len(data), maxBody-b.size)]
	if len(data) == 0 {
		return nil
	}
	if drop := b.keepFrom() - b.base; drop > 0 && drop >= len(b.data)/2 {
		n := copy(b.data, b.data[drop:])
		b.data = b.data[:n]
		b.base += drop
	}
	b.data = append(b.data, data...)
	b.size += len(data)
	b.fresh = true
	return data
}

// keepFrom is the offset of the first byte that may be looked at again.
func (b *body) keepFrom() int {
	keep := b.start()
	if b.emitted > b.inspected {
		keep = min(keep, b.from)
	}
	for i := range b.parts {
		if !b.parts[i].ended {
			keep = min(keep, b.parts[i].from)
		}
	}
	return keep
}

// start is where the part to look at begins when all that was emitted has been looked at.
func (b *body) start() int {
	if b.inspected <= b.first {
		return 0
	}
	fresh := b.size - b.inspected
	if fresh < b.windowSize {
		return max(0, b.inspected-(b.windowSize-fresh))
	}
	return b.inspected - b.windowSize/4
}

// ready reports whether there is something for rules to look at now.
func (b *body) ready(inline bool) bool {
	return b.fresh && (inline || b.ended || b.full() || b.size >= b.first)
}

// emit makes what came since the last event the part to look at.
func (b *body) emit(out *applayer.Sink, hook applayer.Hook, tx *Tx) {
	b.from, b.emitted, b.fresh = b.start(), b.size, false
	out.Emit(hook, hook.Dir(), tx)
}

// release notes that what was emitted has been looked at.
func (b *body) release() { b.inspected = b.emitted }

// window returns the part to look at, while there is one.
func (b *body) window() (value []byte, ok bool) {
	if b.emitted == 0 {
		return nil, false
	}
	return b.data[max(0, b.from-b.base) : b.emitted-b.base], true
}

// part returns the content of a file in the part to look at.
func (b *body) part(i int) (value []byte, ok bool) {
	if i >= len(b.parts) || b.emitted == 0 {
		return nil, false
	}
	p := &b.parts[i]
	from, to := max(p.from, b.base), min(p.to, b.emitted)
	if from >= to {
		return b.data[:0], true
	}
	return b.data[from-b.base : to-b.base], true
}

// piece says where in its file a part is.
func (b *body) piece(i int) (offset int, last bool) {
	p := &b.parts[i]
	return max(0, b.base-p.from), p.ended
}
