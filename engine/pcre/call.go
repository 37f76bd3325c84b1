package pcre

import "strings"

// Conditions, and groups that are called as subroutines, the whole pattern included: recursion.
// pcre2pattern(3) describes both.

// call is group n taken once more, with what it holds of groups put back afterwards.
func (p *parser) call(n int) *node {
	if p.called == nil {
		p.called = map[int]bool{}
	}
	p.called[n] = true
	return p.means(&node{kind: kindCall, index: n})
}

func (p *parser) callNamed(name string) *node {
	c := p.call(0)
	p.named[c] = name
	return c
}

// means notes that n is about the group of its number.
func (p *parser) means(n *node) *node {
	p.refs = append(p.refs, n)
	return n
}

// resolve finds the groups that were meant before they came.
func (p *parser) resolve() {
	for n, name := range p.named {
		i, ok := p.names[name]
		if !ok {
			p.fail("there is no group %q", name)
		}
		n.index = i
		if n.kind == kindCall {
			p.called[i] = true
		}
	}
	for _, n := range p.refs {
		if n.index > p.groups {
			p.fail("there is no group %d", n.index)
		}
	}
}

// condition reads (?(condition)yes|no), from the condition on.
func (p *parser) condition() *node {
	if strings.HasPrefix(p.text[p.i:], "?") {
		return p.lookCondition()
	}
	n := &node{kind: kindCond}
	switch {
	case p.take("R)"):
		n.test = testCalled
	case p.take("R&"):
		n.test = testCalledGroup
		p.named[n] = p.name(')')
	case p.take("DEFINE)"):
		n.test = testNever
	case p.take("<"):
		p.named[n] = p.name('>')
	case p.take("'"):
		p.named[n] = p.name('\'')
	default:
		p.numberedCondition(n)
	}
	if p.named[n] != "" && p.text[p.i-1] != ')' && !p.take(")") {
		p.fail("a condition is not closed")
	}
	yes := p.body()
	if yes.kind == kindAlt {
		if len(yes.subs) > 2 || n.test == testNever {
			p.fail("a condition has more alternatives than it can choose from")
		}
		n.subs = yes.subs
	} else {
		n.subs = []*node{yes, {kind: kindCat}}
	}
	return n
}

// numberedCondition reads a number, R and a number, or a bare name.
func (p *parser) numberedCondition(n *node) {
	if i, ok := p.number(')'); ok {
		if i == 0 {
			p.fail("a condition is about group 0")
		}
		n.index = i
		p.means(n)
		return
	}
	start := p.i
	if p.take("R") {
		if i, ok := p.number(')'); ok {
			n.test, n.index = testCalledGroup, i
			p.means(n)
			return
		}
		p.i = start
	}
	p.named[n] = p.name(')')
}

// lookCondition is that of a lookaround: an alternative that begins with it, and one that begins
// with its opposite.
func (p *parser) lookCondition() *node {
	p.i--
	look := p.group()
	if look == nil || look.kind != kindLook {
		p.fail("a condition is neither a group nor a lookaround")
	}
	opposite := *look
	opposite.negated = !look.negated
	yes, no := p.body(), &node{kind: kindCat}
	if yes.kind == kindAlt {
		if len(yes.subs) > 2 {
			p.fail("a condition has more alternatives than it can choose from")
		}
		yes, no = yes.subs[0], yes.subs[1]
	}
	return &node{kind: kindAlt, subs: []*node{
		{kind: kindCat, subs: []*node{look, yes}},
		{kind: kindCat, subs: []*node{&opposite, no}},
	}}
}

// Bounds of the calls that were begun and can still be gone back to, and of what is noted for that.
const (
	maxCalls = 1000
	maxSaved = 1 << 17
)

// calling is a call of a group.
type calling struct {
	group  int32 // 0 is the whole pattern
	ret    int32 // where to go on
	parent int32 // index of the call that it is in, or -1
	pos    int32 // where it began
}

// enter begins a call at pos. Where a group calls itself without having taken anything it would
// never end, and where calls nest too deep they would take too long: Match gives up.
func (m *Matcher) enter(group, ret, pos int) {
	for i := m.cur; i >= 0 && m.calls[i].pos == int32(pos); i = m.calls[i].parent {
		if m.calls[i].group == int32(group) {
			m.Work = 0
			return
		}
	}
	if len(m.calls) >= maxCalls || len(m.saved) > maxSaved-len(m.slots) {
		m.Work = 0
		return
	}
	m.push(frame{frameCall, m.cur, int32(len(m.calls)), 0})
	m.calls = append(m.calls, calling{int32(group), int32(ret), m.cur, int32(pos)})
	m.saved = append(m.saved, m.slots...)
	m.Work -= len(m.slots) / scanned
	m.cur = int32(len(m.calls) - 1)
}

// within says whether the innermost call is of group.
func (m *Matcher) within(group int) bool { return m.cur >= 0 && m.calls[m.cur].group == int32(group) }

// leave ends the innermost call: groups are what they were before it.
func (m *Matcher) leave() (ret int) {
	c := m.calls[m.cur]
	saved := m.saved[int(m.cur)*len(m.slots):]
	for i := 2; i < len(m.slots); i++ {
		if m.slots[i] != saved[i] {
			m.note(i, saved[i])
		}
	}
	m.Work -= len(m.slots) / scanned
	m.push(frame{frameCall, m.cur, int32(len(m.calls)), 0})
	m.cur = c.parent
	return int(c.ret)
}

// recall goes back to the call that a frame was made in.
func (m *Matcher) recall(f frame) {
	m.cur = f.pc
	m.calls, m.saved = m.calls[:f.pos], m.saved[:int(f.pos)*len(m.slots)]
}

// condition says whether one holds.
func (m *Matcher) condition(in *inst) bool {
	switch in.test {
	case testCalled:
		return m.cur >= 0
	case testCalledGroup:
		return m.within(in.x)
	case testNever:
		return false
	}
	_, _, ok := m.Group(in.x)
	return ok
}
