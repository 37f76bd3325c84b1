package engine

// maxNames bounds the distinct host names that a worker remembers at once; a
// flow that comes when they are all in use is listed without its name.
const maxNames = 1 << 16

// names interns host names, so that a flow keeps one number for its SNI or
// Host and a hundred thousand flows to one host share one string.
type names struct {
	index map[string]uint32
	list  []name
	free  []uint32
}

type name struct {
	text string
	refs int
}

// add returns the number of text, with one more reference, or 0 when full.
func (n *names) add(text []byte) uint32 {
	if i, ok := n.index[string(text)]; ok {
		n.list[i-1].refs++
		return i
	}
	if n.index == nil {
		n.index = map[string]uint32{}
	}
	if len(n.index) >= maxNames {
		return 0
	}
	var i uint32
	if last := len(n.free) - 1; last >= 0 {
		i = n.free[last]
		n.free = n.free[:last]
	} else {
		n.list = append(n.list, name{})
		i = uint32(len(n.list))
	}
	s := string(text)
	n.list[i-1] = name{text: s, refs: 1}
	n.index[s] = i
	return i
}

func (n *names) text(i uint32) string {
	if i == 0 {
		return ""
	}
	return n.list[i-1].text
}

// release gives up one reference.
func (n *names) release(i uint32) {
	if i == 0 {
		return
	}
	e := &n.list[i-1]
	if e.refs--; e.refs == 0 {
		delete(n.index, e.text)
		*e = name{}
		n.free = append(n.free, i)
	}
}
