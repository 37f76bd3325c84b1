package rule

import (
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
	Captures []string
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
	flags, captures, _ := strings.Cut(body[last+1:], ",")
	for name := range strings.SplitSeq(captures, ",") {
		if name = strings.Trim(name, space); name != "" {
			p.Captures = append(p.Captures, name)
		}
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
