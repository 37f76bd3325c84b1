package detect

import "bytes"

// hostIndex finds rules that compare a whole host name, or one and all names
// below it, by hash, so that a million of them cost what ten do.
type hostIndex struct {
	exact  map[string][]uint32 // "www.example.com", lower case
	suffix map[string][]uint32 // "example.com": it and everything below
}

// add files rule i under name. A name with a leading dot stands for the name
// without it and everything below.
func (h *hostIndex) add(name []byte, i uint32) {
	m := &h.exact
	if name[0] == '.' {
		m, name = &h.suffix, name[1:]
	}
	if *m == nil {
		*m = map[string][]uint32{}
	}
	key := string(bytes.ToLower(name))
	(*m)[key] = append((*m)[key], i)
}

// visit calls yield for each rule that host matches. host must be in lower case.
func (h *hostIndex) visit(host []byte, yield func(uint32)) {
	for _, i := range h.exact[string(host)] {
		yield(i)
	}
	if len(h.suffix) == 0 {
		return
	}
	for rest := host; ; {
		for _, i := range h.suffix[string(rest)] {
			yield(i)
		}
		dot := bytes.IndexByte(rest, '.')
		if dot < 0 {
			return
		}
		rest = rest[dot+1:]
	}
}

// hostName returns the name that a rule's contents on a host buffer stand for,
// if they are exactly what hostIndex answers: one whole-buffer comparison, or
// dotprefix with one content from a dot to the end. cased says whether the
// buffer may hold capitals; then the rule must ignore case.
func hostName(b *bufferMatch, cased bool) ([]byte, bool) {
	if len(b.steps) != 1 || len(b.transforms) > 0 && !b.dotprefix {
		return nil, false
	}
	c, ok := b.steps[0].(*content)
	if !ok || c.vars != nil || c.negated || !c.endsWith || c.offset != 0 || c.relative || len(c.pattern) < 2 || cased && !c.nocase {
		return nil, false
	}
	if !cased && !bytes.Equal(c.pattern, bytes.ToLower(c.pattern)) {
		return nil, false
	}
	dot := c.pattern[0] == '.'
	if b.dotprefix && dot && !c.startsWith && c.depth == 0 {
		return c.pattern, true
	}
	if !b.dotprefix && !dot && c.startsWith {
		return c.pattern, true
	}
	return nil, false
}
