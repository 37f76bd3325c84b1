package http2

import (
	"unsafe"

	"github.com/sluicefw/sluice/engine/applayer"
	"github.com/sluicefw/sluice/engine/applayer/file"
	"github.com/sluicefw/sluice/engine/packet"
)

// state is how far a stream is, seen from both sides together. Rules about requests look at a stream
// from clientData on, those about responses from serverData on.
type state uint8

const (
	open state = iota
	reserved
	clientData
	clientClosed
	serverData
	serverClosed
	closed
	global // not a stream's: a frame about the connection
)

// Bounds of what a side of a stream keeps of its frames, for rules and records.
const (
	maxFigures  = 64   // window increments, error codes, weights: the newest
	maxSettings = 1024 // the first
)

// message is what one side sent on a stream.
type message struct {
	types      [4]uint64 // bits of the types of its frames
	settings   []Setting
	errors     []uint32
	weights    []uint8
	windows    []uint32
	firstError uint32 // and its kind of frame
	firstOf    uint8
	hasError   bool
	weight     uint8 // the first
	hasWeight  bool
	repeated   string // what there was more than one of, first

	text     []byte // what fields are of
	fields   []field
	sizes    []int32 // which of them are updates of the table's size
	sections uint32  // of fields
	hasList  bool    // a frame with fields was there, be it an empty one
	setList  bool    // a frame with settings was there

	content content
	file    file.File
	hasFile bool
	decoder *inflater
	encoded bool // there was a content encoding: the first counts

	news bool // frames that rules have not seen

	header, raw, names, line composed
}

// composed is what Value makes of the fields when it is first asked.
type composed struct {
	b     []byte
	valid bool
}

func (c *composed) reset() { *c = composed{b: applayer.Recycle(c.b, keepBuffer)} }

// forget is called when there are more fields.
func (m *message) forget() {
	m.header.valid, m.raw.valid, m.names.valid, m.line.valid = false, false, false, false
}

func (m *message) reset() {
	m.decoder.close()
	m.file.Reset()
	m.content.reset()
	for _, c := range []*composed{&m.header, &m.raw, &m.names, &m.line} {
		c.reset()
	}
	*m = message{
		settings: applayer.Recycle(m.settings, keepBuffer/16), errors: applayer.Recycle(m.errors, keepBuffer/16), weights: m.weights[:0], windows: applayer.Recycle(m.windows, keepBuffer/16),
		text: applayer.Recycle(m.text, keepBuffer), fields: applayer.Recycle(m.fields, keepBuffer/16), sizes: applayer.Recycle(m.sizes, keepBuffer/16), content: m.content, file: m.file,
		header: m.header, raw: m.raw, names: m.names, line: m.line,
	}
}

func (m *message) memory() int {
	n := cap(m.settings)*8 + cap(m.errors)*4 + cap(m.weights) + cap(m.windows)*4 + cap(m.text) + cap(m.fields)*int(unsafe.Sizeof(field{})) +
		cap(m.sizes)*4 + cap(m.content.data) + m.file.Memory() + cap(m.header.b) + cap(m.raw.b) + cap(m.names.b) + cap(m.line.b)
	if m.decoder != nil {
		n += inflaterSize
	}
	return n
}

// Tx is a stream, or a frame about the whole connection.
type Tx struct {
	applayer.TxState
	Stream uint32
	state  state
	sides  [2]message
	joined []byte // scratch of Value

	ready      [2]bool // rules about the side's message may look
	listed     bool    // for events at the end of Data
	noted      bool    // there are new anomalies
	shown      bool    // events were about it since Release
	finished   bool    // TxDone was raised
	charged    int     // what of Parser.held is its
	prev, next *Tx     // of the streams under way
}

// Reset makes it transaction number id.
func (t *Tx) Reset(id uint64) {
	t.TxState.Reset(id)
	t.sides[0].reset()
	t.sides[1].reset()
	*t = Tx{TxState: t.TxState, sides: t.sides, joined: applayer.Recycle(t.joined, keepBuffer)}
}

func (t *Tx) memory() int {
	return int(unsafe.Sizeof(*t)) + t.sides[0].memory() + t.sides[1].memory() + cap(t.joined)
}

// File implements applayer.Tx.
func (t *Tx) File(dir packet.Dir, i int) *file.File {
	if m := &t.sides[dir]; i == 0 && m.hasFile {
		return &m.file
	}
	return nil
}

// keepBuffer is the capacity of a buffer that outlives its transaction.
const keepBuffer = 2 << 10

// noteType notes the type of a frame. Of one that is new, rules hear.
func (m *message) noteType(kind uint8) {
	if bit := uint64(1) << (kind & 63); m.types[kind>>6]&bit == 0 {
		m.types[kind>>6] |= bit
		m.news = true
	}
}

// figure keeps a number, the oldest of too many not.
func figure[T any](list []T, v T) []T {
	if len(list) == maxFigures {
		list = list[:copy(list, list[1:])]
	}
	return append(list, v)
}

func (m *message) addError(code uint32, of uint8) {
	m.errors = figure(m.errors, code)
	if !m.hasError {
		m.firstError, m.firstOf, m.hasError = code, of, true
	} else if m.repeated == "" {
		m.repeated = "error_code"
	}
}

func (m *message) addWeight(w uint8) {
	m.weights = figure(m.weights, w)
	if !m.hasWeight {
		m.weight, m.hasWeight = w, true
	} else if m.repeated == "" {
		m.repeated = "priority"
	}
}
