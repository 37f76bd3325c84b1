package pcre

// op is what an instruction does.
type op uint8

const (
	opLit     op = iota // the bytes lit, which are in lower case and stand for either if fold
	opSet               // one byte of set
	opRun               // x to y bytes of set, y < 0 without limit, as mode says
	opSplit             // try x, then y
	opJump              // go to x
	opSave              // note the position in slot x
	opClose             // group x is from the position in slot y to here
	opAssert            // assert holds here
	opBackref           // what group x took, in either case if fold
	opLook              // match the code that follows without taking anything, go on at x
	opAtomic            // match the code that follows in its first way only, go on at x
	opBack              // x bytes back
	opCheck             // go to y if nothing was taken since the position in slot x was noted
	opDone              // the end of the code after opLook or opAtomic
	opMatch
	opCall // call group x, whose code begins at y
	opRet  // the end of the code of group x, for those who called it
	opCond // go to y unless test holds of group x
	opKeep // the match begins here
)

// inst is one instruction.
type inst struct {
	op      op
	mode    mode
	assert  assertion
	test    test
	negated bool
	fold    bool
	x, y    int
	lit     []byte
	set     *set
}

// maxProgram bounds the instructions of a pattern; counted repeats of groups are
// written out.
const maxProgram = 20_000

type compiler struct {
	code   []inst
	groups int
	slots  int // positions to note: both ends of each group, where each group was opened, and one for each loop
	target int // the last place that something jumps to

	called map[int]bool // groups that have to have a place
	starts map[int]int  // of their code
	calls  []int        // that have yet to be told of it
}

func (c *compiler) emit(i inst) int {
	if len(c.code) >= maxProgram {
		panic(failure{"the pattern is too large: it repeats too much"})
	}
	c.code = append(c.code, i)
	return len(c.code) - 1
}

// here is the place of the next instruction, as the target of a jump.
func (c *compiler) here() int {
	c.target = len(c.code)
	return c.target
}

func (c *compiler) node(n *node) {
	switch n.kind {
	case kindSet:
		c.set(&n.set)
	case kindCat:
		for i, s := range n.subs {
			if i+1 < len(n.subs) {
				s.tighten(n.subs[i+1])
			}
			c.node(s)
		}
	case kindAlt:
		c.alternatives(len(n.subs), func(i int) { c.node(n.subs[i]) })
	case kindRepeat:
		c.repeat(n)
	case kindGroup:
		if n.index == 0 {
			c.node(n.subs[0])
			return
		}
		called := c.called[n.index]
		if _, twice := c.starts[n.index]; called && !twice {
			c.starts[n.index] = c.here()
		}
		open := 2*(c.groups+1) + n.index - 1
		c.emit(inst{op: opSave, x: open})
		c.node(n.subs[0])
		c.emit(inst{op: opClose, x: n.index, y: open})
		if called {
			c.emit(inst{op: opRet, x: n.index})
		}
	case kindAssert:
		c.emit(inst{op: opAssert, assert: n.assert})
	case kindBackref:
		c.emit(inst{op: opBackref, x: n.index, fold: n.fold})
	case kindLook:
		c.inner(inst{op: opLook, negated: n.negated}, func() {
			if !n.behind {
				c.node(n.subs[0])
				return
			}
			branches := n.branches()
			c.alternatives(len(branches), func(i int) {
				width, _ := branches[i].width()
				c.emit(inst{op: opBack, x: width})
				c.node(branches[i])
			})
		})
	case kindKeep:
		c.emit(inst{op: opKeep})
	case kindCall:
		c.calls = append(c.calls, c.emit(inst{op: opCall, x: n.index}))
		c.here()
	case kindCond:
		at := c.emit(inst{op: opCond, test: n.test, x: n.index})
		c.here()
		c.node(n.subs[0])
		end := c.emit(inst{op: opJump})
		c.code[at].y = c.here()
		c.node(n.subs[1])
		c.code[end].x = c.here()
	case kindAtomic:
		c.inner(inst{op: opAtomic}, func() { c.node(n.subs[0]) })
	}
}

// link tells calls where the code of their groups begins.
func (c *compiler) link() {
	for _, at := range c.calls {
		c.code[at].y = c.starts[c.code[at].x] // 0 for the whole pattern
	}
}

// inner writes code that is matched by itself.
func (c *compiler) inner(i inst, body func()) {
	at := c.emit(i)
	body()
	c.emit(inst{op: opDone})
	c.code[at].x = c.here()
}

// alternatives writes n pieces of code of which the first that fits is taken.
func (c *compiler) alternatives(n int, write func(i int)) {
	var ends []int
	for i := range n - 1 {
		split := c.emit(inst{op: opSplit})
		c.code[split].x = c.here()
		write(i)
		ends = append(ends, c.emit(inst{op: opJump}))
		c.code[split].y = c.here()
	}
	write(n - 1)
	for _, e := range ends {
		c.code[e].x = c.here()
	}
}

// set writes one byte, with the one before if that is a literal too.
func (c *compiler) set(s *set) {
	b, fold := byte(0), false
	b, ok := s.single()
	if !ok {
		b, fold = caseless(s)
		if ok = fold; !ok {
			c.emit(inst{op: opSet, set: s})
			return
		}
	}
	last := len(c.code) - 1
	if last >= c.target && c.code[last].op == opLit && c.code[last].fold == fold {
		c.code[last].lit = append(c.code[last].lit, b)
		return
	}
	c.emit(inst{op: opLit, lit: []byte{b}, fold: fold})
}

// caseless returns the letter in lower case of a set that holds it in both.
func caseless(s *set) (b byte, ok bool) {
	for c := byte('a'); c <= 'z'; c++ {
		if s.has(c) {
			return c, *s == setOf(string([]byte{c, c - ('a' - 'A')}))
		}
	}
	return 0, false
}

// tighten makes a greedy run of single bytes possessive if what must follow it
// can begin with none of them: then giving bytes back never helps.
func (n *node) tighten(next *node) {
	if n.kind != kindRepeat || n.mode != greedy || n.subs[0].kind != kindSet {
		return
	}
	var s set
	if !next.first(&s) && s.disjoint(&n.subs[0].set) {
		n.mode = possessive
	}
}

func (c *compiler) repeat(n *node) {
	body := n.subs[0]
	if body.kind == kindSet {
		c.emit(inst{op: opRun, set: &body.set, x: n.min, y: n.max, mode: n.mode})
		return
	}
	if n.mode == possessive {
		c.inner(inst{op: opAtomic}, func() {
			c.repeat(&node{kind: kindRepeat, subs: n.subs, min: n.min, max: n.max})
		})
		return
	}
	if n.max == 0 && len(c.called) > 0 { // it may be there to be called
		skip := c.emit(inst{op: opJump})
		c.node(body)
		c.code[skip].x = c.here()
		return
	}
	least, _ := body.width()
	slot := c.slots
	for i := range n.min {
		// What follows the last that must be taken ends, too, when it takes nothing.
		last := i == n.min-1 && n.max < 0 && least == 0
		if last {
			c.slots++
			c.emit(inst{op: opSave, x: slot})
		}
		before := c.here()
		if c.node(body); len(c.code) == before {
			break // it takes nothing, however often
		}
		if last {
			check := c.emit(inst{op: opCheck, x: slot})
			c.loop(n)
			c.code[check].y = c.here()
			return
		}
	}
	if n.max < 0 {
		c.loop(n)
		return
	}
	var exits []int
	for range n.max - n.min {
		exits = append(exits, c.choice())
		c.node(body)
	}
	for _, e := range exits {
		c.leave(e, n.mode)
	}
}

// loop writes a repetition without limit. One that takes nothing ends it.
func (c *compiler) loop(n *node) {
	start := c.here()
	exit := c.choice()
	least, _ := n.subs[0].width()
	slot := c.slots
	if least == 0 {
		c.slots++
		c.emit(inst{op: opSave, x: slot})
	}
	c.node(n.subs[0])
	check := -1
	if least == 0 {
		check = c.emit(inst{op: opCheck, x: slot})
	}
	c.emit(inst{op: opJump, x: start})
	c.leave(exit, n.mode)
	if check >= 0 {
		c.code[check].y = c.here()
	}
}

// choice writes a split whose ways leave fills in: into what follows it, or to
// where leave is called.
func (c *compiler) choice() int {
	at := c.emit(inst{op: opSplit})
	c.here()
	return at
}

func (c *compiler) leave(split int, m mode) {
	in, out := split+1, c.here()
	if m == lazy {
		in, out = out, in
	}
	c.code[split].x, c.code[split].y = in, out
}
