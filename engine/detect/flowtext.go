package detect

const (
	maxFlowTexts = 16       // captured variables of one flow
	maxTexts     = 32 << 20 // bytes of those of all flows of a worker
)

// textVar is set in the names of variables whose value is the index of their text, and in no others.
const textVar = 1 << 63

// texts are the values of captured variables.
type texts struct {
	all     [][]byte
	free    []uint32
	bytes   int
	refused uint64
}

// TextsRefused returns how many captured variables were not kept, for a flow has enough or there is no room.
func (v *FlowVars) TextsRefused() uint64 { return v.texts.refused }

// text returns a captured variable of a flow, nil for none.
func (v *FlowVars) text(flow, name uint64) []byte {
	if f := v.find(flow, name); f != nil {
		return v.texts.all[f.value]
	}
	return nil
}

// setText keeps a copy of text.
func (v *FlowVars) setText(flow, name uint64, text []byte) {
	if f := v.find(flow, name); f != nil {
		if at := f.value; v.texts.fits(len(text) - cap(v.texts.all[at])) {
			v.texts.put(at, text)
		}
		return
	}
	n := 0
	for i := v.heads[flow]; i != 0; i = v.all[i-1].next {
		if v.all[i-1].name&textVar != 0 {
			n++
		}
	}
	switch {
	case n >= maxFlowTexts:
		v.texts.refused++
		return
	case !v.texts.fits(len(text)):
		return
	}
	at := v.texts.slot()
	refused := v.refused
	if v.set(flow, name, at); v.refused != refused {
		v.texts.release(at)
		return
	}
	v.texts.put(at, text)
}

// fits says whether there is room for n bytes more.
func (t *texts) fits(n int) bool {
	ok := t.bytes+n <= maxTexts
	if !ok {
		t.refused++
	}
	return ok
}

// slot returns the index of an empty text.
func (t *texts) slot() uint32 {
	if last := len(t.free) - 1; last >= 0 {
		at := t.free[last]
		t.free = t.free[:last]
		return at
	}
	t.all = append(t.all, nil)
	return uint32(len(t.all) - 1)
}

func (t *texts) put(at uint32, text []byte) {
	old := t.all[at]
	if cap(old) < len(text) {
		t.bytes += len(text) - cap(old)
		old = make([]byte, len(text))[:0:len(text)]
	}
	t.all[at] = append(old[:0], text...)
}

func (t *texts) release(at uint32) {
	t.bytes -= cap(t.all[at])
	t.all[at] = nil
	t.free = append(t.free, at)
}
