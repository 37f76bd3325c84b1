package rule

import (
	"math"
	"slices"
	"strings"
)

// builder puts the options of a rule together, one after the other: it parses
// arguments, folds modifiers into their content, and follows the sticky
// buffer.
type builder struct {
	rule *Rule
	end  int             // offset of the ) after the options
	seen map[string]bool // keywords that may stand only once
	vars map[string]bool // names that byte_extract and byte_math have set

	apps     appSet // application protocols that the rule can still be about
	claims   claims
	contents []placed
	last     *Keyword // that is a match, for prefilter

	content *Content // that modifiers change, nil when there is none
	fast    bool     // a content has fast_pattern
	earlier *Flow    // of the flow keyword before, nil when there is none

	decoded    bool     // base64_decode stands before, for base64_data
	buffer     string   // in force, "" for the payload
	bufferName string   // the keyword that set it, "" when none did
	bufferOff  int      // where that keyword stands
	used       bool     // something inspects the buffer
	transforms []Option // of the buffer
}

// option takes the next option in. off and valueOff are the offsets of the
// keyword and of its argument in the text of the rule.
func (b *builder) option(kw Keyword, o *Option, off, valueOff int) *fault {
	b.used = b.used || kw.inspects
	if f := b.claim(kw, off); f != nil {
		return f
	}
	switch kw.Kind {
	case KindContent:
		return b.addContent(kw, o, off, valueOff)
	case KindModifier:
		return b.modify(o, off, valueOff)
	case KindBufferModifier:
		return b.place(kw, off)
	case KindStickyBuffer:
		return b.stick(kw, o, off)
	case KindTransform:
		if b.bufferName == "" || b.used || b.bufferName == "base64_data" {
			return faultf(off, "%s does not follow a sticky buffer; put it right after one such as http.host, before the content", kw.Name)
		}
		b.transforms = append(b.transforms, *o)
		return nil
	}
	if f := b.plain(o); f != nil {
		return f.relativeTo(off, valueOff)
	}
	if f := b.claimArg(o.Arg, off); f != nil {
		return f
	}
	if flow, ok := o.Arg.(*Flow); !slices.Contains(noMatch, kw.Name) && !(ok && flow.onlyDirection()) {
		b.last = &kw
	}
	return nil
}

// noMatch are the keywords that ask for nothing, and so are passed over by prefilter.
var noMatch = []string{
	"msg", "sid", "rev", "gid", "classtype", "reference", "priority", "metadata", "target", "requires",
	"prefilter", "noalert", "alert", "bypass",
}

// atKeyword is the offset of a fault of the keyword itself, where offsets
// otherwise count from its argument.
const atKeyword = -1

// relativeTo places a fault whose offset counts from the argument.
func (f *fault) relativeTo(off, valueOff int) *fault {
	if f != nil && f.off == atKeyword {
		f.off = off
		return f
	}
	return f.shift(valueOff)
}

func (b *builder) addContent(kw Keyword, o *Option, off, valueOff int) *fault {
	if kw.Buffer != "" && b.buffer != "" {
		return faultf(off, "%s cannot be used while %s is in force; put pkt_data before it", kw.Name, b.buffer)
	}
	c, f := parseContent(o.Value)
	if f != nil {
		return f.shift(valueOff)
	}
	c.Buffer, c.Transforms = b.buffer, b.transforms
	if kw.Buffer != "" {
		c.Buffer, c.Transforms = kw.Buffer, nil
	}
	o.Arg, b.content = c, c
	b.contents = append(b.contents, placed{c, valueOff})
	b.last = &kw
	return nil
}

// modify applies a modifier to the content before it.
func (b *builder) modify(o *Option, off, valueOff int) *fault {
	c := b.content
	if c == nil {
		return faultf(off, "%s has no content before it in this buffer; put it after the content that it changes", o.Name)
	}
	var f *fault
	switch o.Name {
	case "nocase":
		f = once(&c.Nocase, o)
	case "startswith":
		f = once(&c.StartsWith, o)
	case "endswith":
		f = once(&c.EndsWith, o)
	case "rawbytes":
		f = once(&c.RawBytes, o)
	case "replace":
		f = c.parseReplace(o.Value)
	case "offset":
		f = b.setNum(&c.Offset, o, 0, math.MaxUint16)
	case "depth":
		f = b.setNum(&c.Depth, o, 0, math.MaxUint16)
	case "distance":
		f = b.setNum(&c.Distance, o, -maxRelative, maxRelative)
	case "within":
		f = b.setNum(&c.Within, o, -maxRelative, maxRelative)
	case "fast_pattern":
		if b.fast {
			return faultf(off, "a rule has one fast_pattern; keep the one on the content that is rarest in traffic")
		}
		b.fast = true
		f = parseFastPattern(o.Value, c)
	}
	if f != nil {
		return f.relativeTo(off, valueOff)
	}
	if msg := c.conflict(); msg != "" {
		return faultf(off, "%s", msg)
	}
	return nil
}

// maxRelative bounds distance and within, as Suricata does.
const maxRelative = 1 << 20

func once(set *bool, o *Option) *fault {
	if *set {
		return faultf(atKeyword, "the content has two %s; keep one", o.Name)
	}
	*set = true
	return nil
}

// setNum reads a number or the name of a variable that an earlier option sets.
func (b *builder) setNum(set **Num, o *Option, least, most int64) *fault {
	if *set != nil {
		return faultf(atKeyword, "the content has two %s; keep one", o.Name)
	}
	n := &Num{}
	if v, f := number(o.Name, o.Value, least, most); f == nil {
		n.Value = int(v)
	} else if b.vars[o.Value] {
		n.Var = o.Value
	} else if isVariable(o.Value) {
		return faultf(0, "variable %q is not set before %s; add byte_extract or byte_math above, or use a number", clip(o.Value), o.Name)
	} else {
		return f
	}
	*set, o.Arg = n, n
	return nil
}

// place applies an old-style buffer modifier to the content before it.
func (b *builder) place(kw Keyword, off int) *fault {
	c := b.content
	switch {
	case b.buffer != "":
		return faultf(off, "%s cannot be used while %s is in force; use %s, or put pkt_data before the content", kw.Name, b.buffer, kw.Buffer)
	case c == nil:
		return faultf(off, "%s has no content before it; put it after the content that it places, or use %s before", kw.Name, kw.Buffer)
	case c.Buffer != "":
		return faultf(off, "the content is already in %s; drop %s", c.Buffer, kw.Name)
	}
	c.Buffer = kw.Buffer
	if msg := c.conflict(); msg != "" {
		return faultf(off, "%s", msg)
	}
	return nil
}

// stick puts a sticky buffer in force.
func (b *builder) stick(kw Keyword, o *Option, off int) *fault {
	if f := b.unused(); f != nil {
		return f
	}
	switch {
	case b.bufferName == "base64_data" && kw.Name != "pkt_data" && kw.Name != "base64_data":
		return faultf(off, "no other buffer can follow base64_data; put %s before base64_decode", kw.Name)
	case kw.Name == "base64_data" && !b.decoded:
		return faultf(off, "base64_data has no base64_decode before it; put one there")
	}
	b.decoded = b.decoded && kw.Name != "base64_data"
	b.content, b.transforms, b.used = nil, nil, false
	b.buffer, b.bufferName, b.bufferOff = kw.Buffer, kw.Name, off
	switch kw.Name {
	case "pkt_data": // back to the payload: not a buffer that asks for a match
		b.bufferName = ""
	case "frame":
		b.buffer = "frame:" + o.Value
	}
	return nil
}

// unused reports a sticky buffer that nothing inspects.
func (b *builder) unused() *fault {
	if b.bufferName == "" || b.used || b.bufferName == "base64_data" {
		return nil
	}
	return faultf(b.bufferOff, "%s is not followed by anything that inspects it; add content or pcre after it", b.bufferName)
}

// plain takes in the keywords that stand for themselves. Offsets of faults
// count from the argument, or are atKeyword.
func (b *builder) plain(o *Option) (f *fault) {
	var n int64
	switch o.Name {
	case "sid":
		if n, f = b.single(o, 1, math.MaxUint32); f == nil {
			b.rule.SID = uint32(n)
			o.Arg = b.rule.SID
		}
	case "gid":
		if n, f = b.single(o, 0, math.MaxUint32-1); f == nil {
			b.rule.GID = uint32(n)
			o.Arg = b.rule.GID
		}
	case "rev":
		if n, f = b.single(o, 1, math.MaxUint32-1); f == nil {
			b.rule.Rev = uint32(n)
			o.Arg = b.rule.Rev
		}
	case "priority":
		if n, f = number(o.Name, o.Value, 0, math.MaxUint32); f == nil {
			b.rule.Priority, b.rule.HasPriority = int(n), true
			o.Arg = b.rule.Priority
		}
	case "msg":
		if f = b.first(o); f == nil {
			b.rule.Msg = unescape(o.Value)
			o.Arg = b.rule.Msg
		}
	case "classtype":
		if i := strings.IndexAny(o.Value, space+","); i >= 0 {
			return faultf(i, "a classtype is one word, such as misc-activity")
		}
		b.rule.ClassType = o.Value
		o.Arg = o.Value
	case "reference":
		r, f := parseReference(o.Value)
		o.Arg = r
		return f
	case "metadata":
		o.Arg = parseMetadata(o.Value)
	case "flow":
		return b.flow(o)
	case "tcp.flags":
		t, f := parseTCPFlags(o.Value)
		o.Arg = t
		return f
	case "app-layer-protocol":
		a, f := parseAppProto(unquote(o.Value))
		if f == nil {
			f = b.checkAppProto(a)
		}
		o.Arg = a
		return f
	default:
		return b.argument(o)
	}
	return f
}

// argument reads the arguments of the keywords that need nothing but what came before.
func (b *builder) argument(o *Option) *fault {
	if _, ok := numberKeywords[o.Name]; ok && o.Name != "dsize" {
		return set(o)(parseNumbers(o.Name, o.Value))
	}
	switch o.Name {
	case "tos":
		return set(o)(parseTOS(unquote(o.Value)))
	case "ip_proto":
		if !strings.HasPrefix(b.rule.Proto, "ip") && b.rule.Proto != "pkthdr" {
			return faultf(atKeyword, "ip_proto is for rules of protocol ip, this one is for %s already; leave it out", b.rule.Proto)
		}
		return set(o)(parseIPProto(unquote(o.Value)))
	case "fragbits":
		return set(o)(parseFragBits(o.Value))
	case "ipopts":
		return set(o)(parseIPOption(o.Value))
	case "byte_test":
		return set(o)(b.parseByteTest(o.Value))
	case "byte_jump":
		return set(o)(b.parseByteJump(o.Value))
	case "byte_extract":
		return set(o)(b.parseByteExtract(o.Value))
	case "byte_math":
		return set(o)(b.parseByteMath(o.Value))
	case "isdataat":
		return set(o)(b.parseIsDataAt(o.Value))
	case "bsize", "urilen":
		return set(o)(b.parseBufferSize(o))
	case "absent":
		return set(o)(b.parseAbsent(o.Value))
	case "base64_decode":
		b.decoded = true
		return set(o)(b.parseBase64Decode(o.Value))
	case "pcre":
		return set(o)(b.parsePCRE(o.Value))
	case "flowbits":
		return set(o)(parseFlowBits(o.Value))
	case "flowint":
		return set(o)(parseFlowInt(o.Value))
	case "flowvar", "pktvar":
		return set(o)(parseVarTest(o.Name, o.Value))
	case "hostbits":
		return set(o)(parseHostBits(o.Value))
	case "xbits":
		return set(o)(parseXBits(o.Value))
	case "decode-event", "stream-event", "engine-event":
		return set(o)(parseEvent(o.Name, o.Value))
	case "app-layer-event":
		return set(o)(parseAppEvent(o.Value))
	case "threshold", "detection_filter":
		if b.seen["threshold"] || b.seen["detection_filter"] {
			return faultf(atKeyword, "the rule has two of threshold and detection_filter; keep one")
		}
		b.seen[o.Name] = true
		return set(o)(parseThreshold(o.Name, o.Value))
	case "stream_size":
		return set(o)(parseStreamSize(o.Value))
	case "http2.settings":
		return set(o)(parseSetting(o.Value))
	case "tag":
		return set(o)(parseTag(o.Value))
	case "l3_proto":
		return set(o)(parseL3Proto(o.Value))
	case "ipv4-csum", "tcpv4-csum", "tcpv6-csum", "udpv4-csum", "udpv6-csum", "icmpv4-csum", "icmpv6-csum":
		return set(o)(parseChecksum(o.Name, o.Value))
	case "prefilter":
		switch {
		case b.last == nil:
			return faultf(atKeyword, "prefilter does not follow a keyword that it could apply to; put it after one such as dsize or content")
		case b.seen["prefilter"] && b.last.Kind != KindContent:
			return faultf(atKeyword, "the rule has two prefilter; keep one")
		case !b.last.prefilt:
			return faultf(atKeyword, "prefilter cannot apply to %s; put it after a keyword such as dsize or content", b.last.Name)
		}
		b.seen["prefilter"] = b.last.Kind != KindContent || b.seen["prefilter"]
	case "dsize":
		if f := b.first(o); f != nil {
			return f
		}
		return set(o)(parseNumbers(o.Name, o.Value))
	case "dataset":
		return set(o)(b.parseDataset(o.Value))
	case "datarep":
		return set(o)(b.parseDataRep(o.Value))
	case "iprep":
		return set(o)(parseIPRep(o.Value))
	case "geoip":
		return set(o)(parseGeoIP(o.Value))
	case "nfq_set_mark":
		return set(o)(parseMark(o.Value))
	case "config":
		return set(o)(parseConfig(o.Value))
	case "rpc":
		return set(o)(parseRPC(o.Value))
	case "asn1":
		return set(o)(parseASN1(o.Value))
	case "requires":
		_, f := parseRequires(o.Value)
		return f
	case "target":
		if o.Value != "src_ip" && o.Value != "dest_ip" {
			return faultf(0, "target is src_ip or dest_ip, not %q", clip(o.Value))
		}
	}
	return nil
}

// set returns what keeps a parsed argument, unless there was a fault.
func set(o *Option) func(arg any, f *fault) *fault {
	return func(arg any, f *fault) *fault {
		if f == nil {
			o.Arg = arg
		}
		return f
	}
}

// single reads the number of a keyword that may stand once in a rule.
func (b *builder) single(o *Option, least, most int64) (int64, *fault) {
	if f := b.first(o); f != nil {
		return 0, f
	}
	return number(o.Name, o.Value, least, most)
}

func (b *builder) first(o *Option) *fault {
	if b.seen[o.Name] {
		return faultf(atKeyword, "the rule has two %s; keep one", o.Name)
	}
	b.seen[o.Name] = true
	return nil
}

// flow reads flow. Suricata takes a second one only after one that gives
// nothing but a direction.
func (b *builder) flow(o *Option) *fault {
	flow, f := parseFlow(o.Value)
	if f != nil {
		return f
	}
	if e := b.earlier; e != nil {
		if !e.onlyDirection() || e.ToServer && flow.ToClient || e.ToClient && flow.ToServer {
			return faultf(atKeyword, "the rule has two flow; put their words together in one")
		}
	}
	o.Arg, b.earlier = flow, flow
	return nil
}

func (f *Flow) onlyDirection() bool { return *f == Flow{ToServer: f.ToServer, ToClient: f.ToClient} }

// finish checks what only the whole rule shows.
func (b *builder) finish() *fault {
	if f := b.unused(); f != nil {
		return f
	}
	for _, c := range b.contents {
		if f := c.unfit(c.off); f != nil {
			return f
		}
	}
	for _, f := range []*fault{b.contradiction(), b.sizes()} {
		if f != nil {
			return f
		}
	}
	b.rule.OnlyHTTP1 = b.claims.app.set() && b.apps == http1
	if !b.seen["sid"] {
		return faultf(b.end, "the rule has no sid; add one, as in sid:1000001;")
	}
	return nil
}
