package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The types of Option.Arg, by keyword:
//
//	content, uricontent              *Content
//	offset, depth, distance, within  *Num
//	flow                             *Flow
//	tcp.flags                        *TCPFlags
//	app-layer-protocol               *AppProto
//	sid, rev, gid                    uint32
//	priority                         int
//	msg, classtype                   string
//	reference                        *Reference
//	metadata                         []Metadata
//	byte_test, byte_jump             *ByteTest, *ByteJump
//	byte_extract, byte_math          *ByteExtract, *ByteMath
//	isdataat                         *IsDataAt
//	bsize, urilen                    *BufferSize
//	absent                           *Absent
//	pcre                             *PCRE
//	base64_decode                    *Base64Decode
//	dsize, ttl, itype and other      Numbers
//	numbers of headers and flows
//	fragbits                         *FragBits
//	ipopts                           uint8
//	flowbits                         *FlowBits
//	xbits, hostbits                  *HostBits
//	flowint                          *FlowInt
//	threshold, detection_filter      *Threshold
//	decode-event, stream-event       Event
//	and engine-event

// Reference is the argument of reference: where to read more.
type Reference struct {
	System string // "url", "cve", ...
	ID     string // the rest, as written
}

// Metadata is one entry of the argument of metadata.
type Metadata struct{ Key, Value string }

// TCP flags as they stand in the header (RFC 9293, section 3.1).
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// number reads a decimal number between least and most.
func number(name, value string, least, most int64) (int64, *fault) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < least || n > most {
		return 0, faultf(0, "%s %q is not a number between %d and %d", name, clip(value), least, most)
	}
	return n, nil
}

// parseContent reads [!]"pattern".
func parseContent(value string) (*Content, *fault) {
	c := &Content{}
	body := value
	if c.Negated = value[0] == '!'; c.Negated {
		body = value[skipSpace(value, 1):]
	}
	var f *fault
	c.Pattern, f = parsePattern(body[1 : len(body)-1])
	return c, f.shift(len(value) - len(body) + 1)
}

// parseReplace reads what takes the place of the content.
func (c *Content) parseReplace(value string) *fault {
	switch {
	case c.Negated:
		return faultf(atKeyword, "replace cannot follow a negated content: there is nothing to replace")
	case c.Replace != nil:
		return faultf(atKeyword, "the content has two replace; keep one")
	}
	with, f := parsePattern(value[1 : len(value)-1])
	if f != nil {
		return f.shift(1)
	}
	if len(with) != len(c.Pattern) {
		return faultf(0, "replace has %d bytes, the content %d; make them equal", len(with), len(c.Pattern))
	}
	c.Replace = with
	return nil
}

// parsePattern reads the text of a pattern: bytes as they are, \ before one of
// \ " ; : and hexadecimal bytes between bars, as in a|0d 0A|b.
func parsePattern(text string) ([]byte, *fault) {
	out := make([]byte, 0, len(text))
	bar := -1   // offset of the bar that opened hexadecimal text, or -1
	digit := "" // the first digit of a byte whose second is to come
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '|' && digit != "":
			return nil, faultf(i, "the hexadecimal byte %q lacks its second digit; write two digits for each byte, as in |0d 0a|", digit)
		case c == '|' && bar < 0:
			bar = i
		case c == '|':
			bar = -1
		case bar >= 0 && c == ' ':
		case bar >= 0:
			b, err := strconv.ParseUint(digit+text[i:i+1], 16, 8)
			switch {
			case err != nil:
				return nil, faultf(i, "%q is not a hexadecimal digit; between bars write two digits for each byte, as in |0d 0a|", text[i:i+1])
			case digit == "":
				digit = text[i : i+1]
			default:
				out, digit = append(out, byte(b)), ""
			}
		case c == '\\':
			i++
			if i == len(text) || strings.IndexByte(`\";:`, text[i]) < 0 {
				return nil, faultf(i-1, `a backslash in a pattern escapes only \ " ; and :; write \\ or |5C| for a backslash itself`)
			}
			out = append(out, text[i])
		case c == '"':
			return nil, faultf(i, `a quote inside a pattern must be escaped; write \" or |22|`)
		default:
			out = append(out, c)
		}
	}
	if bar >= 0 {
		return nil, faultf(bar, "the bar | is not closed; add | after the hexadecimal bytes, or write |7C| for a bar itself")
	}
	if len(out) == 0 {
		return nil, faultf(0, "the pattern is empty; put at least one byte between the quotes")
	}
	return out, nil
}

// parseFlow reads the words of flow: at most three, none contradicting another.
func parseFlow(value string) (*Flow, *fault) {
	f := &Flow{}
	// The words by what they set; words of one group contradict each other.
	groups := [...]map[string]*bool{
		{"established": &f.Established, "not_established": &f.NotEstablished, "stateless": &f.Stateless},
		{"to_server": &f.ToServer, "from_client": &f.ToServer, "to_client": &f.ToClient, "from_server": &f.ToClient},
		{"only_stream": &f.OnlyStream, "no_stream": &f.NoStream},
		{"only_frag": &f.OnlyFrag, "no_frag": &f.NoFrag},
	}
	var earlier [len(groups)]string
	off := 0
words:
	for i, field := range strings.Split(value, ",") {
		at := skipSpace(value, off)
		off += len(field) + 1
		word := strings.ToLower(strings.Trim(field, space))
		if i == 3 {
			return nil, faultf(at, "flow takes at most three words; leave %q out", clip(word))
		}
		for g, group := range groups {
			set := group[word]
			if set == nil {
				continue
			}
			if earlier[g] != "" {
				return nil, faultf(at, "flow cannot be both %s and %s; keep one", earlier[g], word)
			}
			*set, earlier[g] = true, word
			continue words
		}
		var names []string
		for _, group := range groups {
			for name := range group {
				names = append(names, name)
			}
		}
		if s := suggest(word, slices.Values(names)); s != "" {
			return nil, faultf(at, "unknown flow word %q, did you mean %q?", clip(word), s)
		}
		return nil, faultf(at, "unknown flow word %q; use established, not_established, stateless, to_server, to_client, only_stream, no_stream, only_frag or no_frag", clip(word))
	}
	return f, nil
}

// parseTCPFlags reads flags with one of + * ! before or among them, and flags
// to ignore after a comma. 0 is no flag; 1 and 2 are the old names of C and E.
func parseTCPFlags(value string) (*TCPFlags, *fault) {
	bits := map[byte]uint8{
		'F': FlagFIN, 'S': FlagSYN, 'R': FlagRST, 'P': FlagPSH, 'A': FlagACK, 'U': FlagURG,
		'E': FlagECE, '2': FlagECE, 'C': FlagCWR, '1': FlagCWR, '0': 0,
	}
	var t TCPFlags
	flags, ignored, hasIgnored := strings.Cut(value, ",")
	named := false
	for i := range len(flags) {
		c := flags[i]
		bit, ok := bits[c]
		switch {
		case ok:
			t.Flags |= bit
			named = true
		case c == '+' || c == '*' || c == '!':
			if t.Op != 0 {
				return nil, faultf(i, "tcp.flags has two of + * and !; keep one")
			}
			t.Op = c
		case strings.IndexByte(space, c) < 0:
			return nil, faultf(i, "unknown TCP flag %q; use F S R P A U E C or 0", flags[i:i+1])
		}
	}
	if !named {
		return nil, faultf(0, "tcp.flags names no flag; use F S R P A U E C, or 0 for none")
	}
	for i := range len(ignored) {
		c := ignored[i]
		bit, ok := bits[c]
		if !ok && strings.IndexByte(space, c) < 0 {
			return nil, faultf(len(flags)+1+i, "unknown TCP flag %q to ignore; use F S R P A U E or C", ignored[i:i+1])
		}
		t.Ignore |= bit
	}
	if hasIgnored && t.Ignore == 0 {
		return nil, faultf(len(flags), "no flags to ignore after the comma; name some or leave it out")
	}
	return &t, nil
}

// parseAppProto reads [!]protocol. Suricata 8 takes a direction after it, 7 does not.
func parseAppProto(value string) (*AppProto, *fault) {
	a := &AppProto{}
	start := 0
	if a.Negated = value[0] == '!'; a.Negated {
		start = skipSpace(value, 1)
	}
	name, _, hasMode := strings.Cut(value[start:], ",")
	if hasMode {
		return nil, faultf(start+len(name), "app-layer-protocol takes a protocol and no more in Suricata 7; leave the rest out")
	}
	a.Name = canonicalProto(strings.Trim(name, space))
	if names := slices.Concat(appNames, []string{"failed"}); !slices.Contains(names, a.Name) {
		return nil, unknownProto(a.Name, start, names)
	}
	return a, nil
}

func parseReference(value string) (*Reference, *fault) {
	system, id, ok := strings.Cut(value, ",")
	r := &Reference{strings.Trim(system, space), strings.Trim(id, space)}
	badSystem := strings.ContainsFunc(r.System, func(c rune) bool { return c > 127 || !isAlnum(byte(c)) && c != '_' && c != '-' })
	if !ok || r.System == "" || r.ID == "" || badSystem {
		return nil, faultf(0, "reference %q is not of the form system,id; write one such as url,example.com", clip(value))
	}
	return r, nil
}

// parseMetadata reads entries separated by commas, each a key and a value
// separated by white space.
func parseMetadata(value string) []Metadata {
	var all []Metadata
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.Trim(entry, space)
		if entry == "" {
			continue
		}
		m := Metadata{Key: entry}
		if i := strings.IndexAny(entry, space); i >= 0 {
			m.Key, m.Value = entry[:i], strings.Trim(entry[i:], space)
		}
		all = append(all, m)
	}
	return all
}

// parseFastPattern reads the argument of fast_pattern into c: nothing, only,
// or offset,length of the part to search for.
func parseFastPattern(value string, c *Content) *fault {
	c.FastPattern = true
	switch value {
	case "":
		return nil
	case "only":
		c.FastPatternOnly = true
		return nil
	}
	offset, length, ok := strings.Cut(value, ",")
	o, err := strconv.ParseUint(strings.Trim(offset, space), 10, 16)
	l, err2 := strconv.ParseUint(strings.Trim(length, space), 10, 16)
	if !ok || err != nil || err2 != nil || l == 0 {
		return faultf(0, "fast_pattern argument %q is neither only nor offset,length", clip(value))
	}
	if int(o+l) > len(c.Pattern) {
		return faultf(0, "fast_pattern:%d,%d reaches past the pattern of %d bytes; choose a part of it", o, l, len(c.Pattern))
	}
	c.FastOffset, c.FastLength = int(o), int(l)
	return nil
}

// conflict says why the modifiers of the content cannot stand together, or "".
func (c *Content) conflict() string {
	absolute := c.Offset != nil || c.Depth != nil
	relative := c.Distance != nil || c.Within != nil
	switch {
	case absolute && relative:
		return "offset and depth count from the start of the buffer, distance and within from the match before; use one kind on a content"
	case c.StartsWith && (absolute || relative):
		return "startswith already fixes where the content is; drop it, or offset, depth, distance and within"
	case c.Depth.below(len(c.Pattern)):
		return fmt.Sprintf("depth %d is smaller than the pattern of %d bytes; raise it", c.Depth.Value, len(c.Pattern))
	case c.Within.below(len(c.Pattern)):
		return fmt.Sprintf("within %d is smaller than the pattern of %d bytes; raise it", c.Within.Value, len(c.Pattern))
	case c.FastPatternOnly && (c.Negated || absolute || relative || c.StartsWith):
		return "fast_pattern:only cannot go with negation or with a position; use fast_pattern"
	case c.FastPattern && c.Negated && (absolute || relative || c.StartsWith):
		return "a negated content with a position cannot be the fast pattern; mark another content"
	case c.RawBytes && c.Buffer != "":
		return "rawbytes is for the raw payload, not for a buffer; drop one of them"
	}
	return ""
}

// below reports whether n is a number smaller than size; a variable is not.
func (n *Num) below(size int) bool { return n != nil && n.Var == "" && n.Value < size }
