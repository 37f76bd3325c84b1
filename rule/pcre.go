package rule

import (
	"regexp"
	"slices"
	"strings"
)

// PCRE is the argument of pcre: [!]"/pattern/flags", where the quotes may be missing.
type PCRE struct {
	Place
	Negated  bool
	Pattern  string // as written, escapes included
	Flags    string // those of the pattern, in order of the alphabet: A E G i m s x
	Relative bool   // R: starts where the match before ended
	RawBytes bool   // B: the payload as sent

	// Captures are the variables that keep what groups take: as in Suricata the first is about the first group
	// that captures, whatever its name.
	Captures []Capture
	Listed   int // how many of them are named behind the pattern, those first; with any, groups without a name capture, too
}

// CaptureKind says what keeps what a group takes.
type CaptureKind uint8

const (
	CaptureNothing CaptureKind = iota // the group is the value of the pair before
	CaptureFlow                       // a variable of the flow
	CapturePacket                     // a variable of the packet
	CapturePair                       // the same, that the group names; the next has its value
)

// Capture is a variable that keeps what a group of a pcre takes.
type Capture struct {
	Kind CaptureKind
	Name string // not of pairs
}

// maxCaptures is how many captures a pcre has, Suricata's figure.
const maxCaptures = 8

// namedCapture is a group whose name is that of a variable, behind what is to keep it.
var namedCapture = regexp.MustCompile(`\(\?P<([A-Za-z]+)_([A-Za-z0-9_]+)>`)

// addCaptures notes the names of variables: those of list first, with its offset, then those of groups.
func (p *PCRE) addCaptures(list string, off int) *fault {
	pair := false
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return strings.ContainsRune(" ,", r) }) {
		kind, text, _ := strings.Cut(name, ":")
		switch {
		case pair && name != "pkt:value", !pair && name == "pkt:value":
			return faultf(off, "pkt:key and pkt:value of pcre stand one after the other: the first group is the name, the second the value")
		case name == "pkt:key":
			p.Captures = append(p.Captures, Capture{Kind: CapturePair})
			pair = true
			continue
		case name == "pkt:value":
			p.Captures = append(p.Captures, Capture{})
			pair = false
			continue
		case kind != "flow" && kind != "pkt" || text == "":
			return faultf(off, "%q of pcre is no variable; write flow:name or pkt:name for each group", clip(name))
		}
		p.Captures = append(p.Captures, Capture{captureKinds[kind], text})
	}
	p.Listed = len(p.Captures)
	for _, m := range namedCapture.FindAllStringSubmatch(p.Pattern, -1) {
		if kind, ok := captureKinds[m[1]]; ok {
			p.Captures = append(p.Captures, Capture{kind, m[2]})
		}
	}
	if len(p.Captures) > maxCaptures {
		return faultf(off, "pcre captures more than %d variables; leave some out", maxCaptures)
	}
	return nil
}

var captureKinds = map[string]CaptureKind{"flow": CaptureFlow, "pkt": CapturePacket}

// captureList returns where the names of captures begin in what follows a pattern: its length for nowhere.
func captureList(flags string) int {
	at := len(flags)
	for _, kind := range []string{"flow:", "pkt:"} {
		if i := strings.Index(flags, kind); i >= 0 {
			at = min(at, i)
		}
	}
	return at
}

// VarTest is the argument of flowvar and pktvar: a variable that a pcre has captured, and the
// bytes that it must hold.
type VarTest struct {
	Name    string
	Pattern []byte
}

func parseVarTest(keyword, value string) (*VarTest, *fault) {
	name, text, ok := strings.Cut(value, ",")
	if !ok || name == "" {
		return nil, faultf(0, "%s needs a name and what the variable has to hold, as in %s:user,\"root\"", keyword, keyword)
	}
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	pattern, f := parsePattern(text)
	if f != nil {
		return nil, f.shift(strings.LastIndex(value, text))
	}
	return &VarTest{name, pattern}, nil
}

// pcreBuffers are the flags that place a pattern in a buffer.
var pcreBuffers = map[byte]string{
	'U': "http.uri", 'I': "http.uri.raw", 'P': "http.request_body", 'Q': "http.response_body",
	'H': "http.header", 'D': "http.header.raw", 'M': "http.method", 'C': "http.cookie",
	'S': "http.stat_code", 'Y': "http.stat_msg", 'V': "http.user_agent", 'W': "http.host", 'Z': "http.host.raw",
}

func (b *builder) parsePCRE(value string) (*PCRE, *fault) {
	p := &PCRE{Place: b.here()}
	start := 0
	if p.Negated = value[0] == '!'; p.Negated {
		start = skipSpace(value, 1)
	}
	body := value[start:]
	if strings.HasPrefix(body, `"`) {
		start++
		body = body[1 : len(body)-1]
	}
	last := strings.LastIndexByte(body, '/')
	if last <= 0 || body[0] != '/' {
		return nil, faultf(start, "the pattern of pcre does not stand between slashes; write pcre:\"/.../\"; with the flags after the second slash")
	}
	p.Pattern = body[1:last]
	flags := body[last+1:]
	list := captureList(flags)
	if f := p.addCaptures(flags[list:], start+last+1+list); f != nil {
		return nil, f
	}
	if p.Listed > 0 {
		flags = strings.TrimRight(flags[:list], ", ")
	}
	given := map[byte]bool{}
	for i := range len(flags) {
		off := start + last + 1 + i
		c := flags[i]
		given[c] = true
		buffer, places := pcreBuffers[c]
		switch {
		case strings.IndexByte("AEGimsxO", c) >= 0, strings.IndexByte(space, c) >= 0:
		case c == 'R':
			p.Relative = true
		case c == 'B':
			p.RawBytes = true
		case !places:
			return nil, faultf(off, "unknown flag %q of pcre; use i s m x A E G for the pattern, R for relative, and letters such as U for a buffer", flags[i:i+1])
		case b.buffer != "" && b.buffer != buffer:
			return nil, faultf(off, "flag %c of pcre cannot be used while %s is in force; leave it out, or put pkt_data before", c, b.buffer)
		case p.Buffer != "" && p.Buffer != buffer:
			return nil, faultf(off, "pcre is placed in %s and in %s; keep one flag", p.Buffer, buffer)
		case b.buffer == "":
			p.Place = Place{Buffer: buffer}
		}
	}
	for _, c := range "AEGimsx" {
		if given[byte(c)] {
			p.Flags += string(c)
		}
	}
	switch {
	case p.RawBytes && p.Buffer != "" && b.buffer == "":
		return nil, faultf(start+last+1, "flag B of pcre is for the raw payload, not for a buffer; drop one of them")
	case p.Relative && b.buffer == "" && !b.hasPattern(p.Buffer):
		return nil, faultf(start+last+1, "flag R of pcre counts from the match before, but there is no content or pcre in the same buffer before it")
	}
	return p, nil
}

// hasPattern says whether a content or a pcre before looks into the buffer.
func (b *builder) hasPattern(buffer string) bool {
	for _, c := range b.contents {
		if c.Buffer == buffer {
			return true
		}
	}
	return slices.ContainsFunc(b.rule.Options, func(o Option) bool {
		p, ok := o.Arg.(*PCRE)
		return ok && p.Buffer == buffer
	})
}

// claimBuffer notes the buffer of a flag as the keyword would that places a content in it.
func (b *builder) claimBuffer(buffer string, off int) *fault {
	if b.buffer != "" || buffer == "" {
		return nil
	}
	for _, kw := range httpKeywords {
		if kw.Kind == KindBufferModifier && kw.Buffer == buffer {
			if f := b.claim(kw, off); f != nil {
				return f
			}
		}
	}
	return nil
}
