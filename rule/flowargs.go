package rule

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// StreamSize is the argument of stream_size: how many bytes a side has sent.
type StreamSize struct {
	Side string // "server", "client", "both" or "either"
	Size Numbers
}

func parseStreamSize(value string) (*StreamSize, *fault) {
	all := fields(value)
	if len(all) != 3 {
		return nil, faultf(0, "stream_size needs a side, an operator and a size, as in stream_size:server,>,1000")
	}
	s := &StreamSize{Side: all[0].text}
	switch s.Side {
	case "server", "client", "both", "either":
	default:
		return nil, faultf(all[0].off, "stream_size is about the server, the client, both or either, not %q", clip(s.Side))
	}
	n, f := parseNumber("stream_size", all[2].text, math.MaxUint32)
	if f != nil {
		return nil, f.shift(all[2].off)
	}
	switch all[1].text {
	case "=":
		s.Size = Numbers{From: n, To: n}
	case "!", "!=":
		s.Size = Numbers{Negated: true, From: n, To: n}
	case "<":
		s.Size = below(n)
	case "<=":
		s.Size = Numbers{To: n}
	case ">":
		s.Size = Numbers{From: n + 1, To: math.MaxUint64}
	case ">=":
		s.Size = Numbers{From: n, To: math.MaxUint64}
	default:
		return nil, faultf(all[1].off, "unknown operator %q of stream_size; use = != < <= > or >=", clip(all[1].text))
	}
	return s, nil
}

// TagMetric is what ends a tag.
type TagMetric uint8

const (
	TagPackets TagMetric = iota
	TagSeconds
	TagBytes
)

// Tag is the argument of tag: packets after the one that matched are logged.
type Tag struct {
	Host   bool // those of an address, else those of the flow
	Dst    bool // of Host: the packet's destination, as without a side, else its source
	Count  uint32
	Metric TagMetric
}

// defaultTag is how many packets a tag without numbers covers, in Suricata.
const defaultTag = 256

func parseTag(value string) (*Tag, *fault) {
	all := fields(value)
	t := &Tag{Host: all[0].text == "host", Dst: all[0].text == "host", Count: defaultTag}
	if !t.Host && all[0].text != "session" {
		return nil, faultf(all[0].off, "tag follows a session or a host, not %q", clip(all[0].text))
	}
	switch {
	case len(all) == 1:
		return t, nil
	case len(all) != 3 && len(all) != 4:
		return nil, faultf(0, "tag needs a number and what it counts, as in tag:session,10,packets or tag:host,60,seconds,src")
	}
	n, f := parseNumber("tag", all[1].text, math.MaxUint32)
	if f != nil {
		return nil, f.shift(all[1].off)
	}
	t.Count = uint32(n)
	switch all[2].text {
	case "packets":
	case "seconds":
		t.Metric = TagSeconds
	case "bytes":
		t.Metric = TagBytes
	default:
		return nil, faultf(all[2].off, "tag counts packets, seconds or bytes, not %q", clip(all[2].text))
	}
	if len(all) == 4 {
		if side := all[3].text; side != "src" && side != "dst" {
			return nil, faultf(all[3].off, "tag follows src or dst, not %q", clip(side))
		}
		t.Dst = all[3].text == "dst"
	}
	return t, nil
}

// L3Proto is the argument of l3_proto: 4 or 6.
type L3Proto uint8

func parseL3Proto(value string) (L3Proto, *fault) {
	switch strings.ToLower(value) {
	case "ipv4", "ip4":
		return 4, nil
	case "ipv6", "ip6":
		return 6, nil
	}
	return 0, faultf(0, "l3_proto is ipv4 or ipv6, not %q", clip(value))
}

// Checksum is the argument of ipv4-csum and its like.
type Checksum struct{ Valid bool }

func parseChecksum(name, value string) (*Checksum, *fault) {
	switch strings.ToLower(value) {
	case "valid":
		return &Checksum{true}, nil
	case "invalid":
		return &Checksum{}, nil
	}
	return nil, faultf(0, "%s is valid or invalid, not %q", name, clip(value))
}

// AppEvent is the argument of app-layer-event: the name as records have it, such as
// "http.missing_host_header" or "applayer_unexpected_protocol".
type AppEvent string

func parseAppEvent(value string) (AppEvent, *fault) {
	proto, event, ok := strings.Cut(strings.ToLower(value), ".")
	switch {
	case ok && !slices.Contains(appNames, canonicalProto(proto)):
		return "", unknownProto(proto, 0, appNames)
	case !ok && !strings.HasPrefix(proto, "applayer_"):
		return "", faultf(0, "app-layer-event %q names no protocol; write one such as http.missing_host_header", clip(value))
	case ok:
		proto = canonicalProto(proto)
		return AppEvent(proto + "." + event), nil
	}
	return AppEvent(proto), nil
}

// Mark is the argument of nfq_set_mark.
type Mark struct{ Value, Mask uint32 }

func parseMark(value string) (*Mark, *fault) {
	text, mask, ok := strings.Cut(value, "/")
	v, err := strconv.ParseUint(text, 0, 32)
	m, err2 := strconv.ParseUint(mask, 0, 32)
	if !ok || err != nil || err2 != nil {
		return nil, faultf(0, "nfq_set_mark %q is not of the form value/mask, as in 0x10/0xff", clip(value))
	}
	return &Mark{uint32(v), uint32(m)}, nil
}

// Config is the argument of config, which switches logging off for what the rule matches.
type Config struct {
	Flow bool // of the whole flow, else of the transaction
}

func parseConfig(value string) (*Config, *fault) {
	want := [...]string{"logging", "type", "scope"}
	all := fields(value)
	if len(all) != len(want) {
		return nil, faultf(0, "config has three parts; write logging disable, type tx, scope tx")
	}
	var arg [len(want)]string
	for i, f := range all {
		word, rest := f.word()
		if word != want[i] {
			return nil, faultf(f.off, "config has %q where %s belongs; write logging disable, type tx, scope tx", clip(f.text), want[i])
		}
		arg[i] = rest
	}
	for i, most := range [len(want)][]string{{"disable"}, {"tx", "flow"}, {"tx", "flow"}} {
		if arg[i] != most[0] && arg[i] != most[len(most)-1] {
			return nil, faultf(all[i].off, "config's %s cannot be %q; use %s", want[i], clip(arg[i]), strings.Join(most, " or "))
		}
	}
	return &Config{Flow: arg[2] == "flow"}, nil
}

// RPC is the argument of rpc: numbers of a Sun RPC call, nil for any.
type RPC struct {
	Program            uint32
	Version, Procedure *uint32
}

func parseRPC(value string) (*RPC, *fault) {
	all := fields(value)
	if len(all) > 3 {
		return nil, faultf(0, "rpc has a program, a version and a procedure at most, as in rpc:100000,2,*")
	}
	r := &RPC{}
	for i, f := range all {
		if i > 0 && f.text == "*" {
			continue
		}
		n, fault := parseNumber("rpc", f.text, math.MaxUint32)
		if fault != nil {
			return nil, fault.shift(f.off)
		}
		v := uint32(n)
		switch i {
		case 0:
			r.Program = v
		case 1:
			r.Version = &v
		case 2:
			r.Procedure = &v
		}
	}
	return r, nil
}

// ASN1 is the argument of asn1. The rule matches when one of the checks that are set finds something.
type ASN1 struct {
	BitstringOverflow, DoubleOverflow bool
	OversizeLength                    uint32 // 0 for not checked
	Offset                            int    // of the first byte
	Relative                          bool   // Offset counts from the end of the match before
}

func parseASN1(value string) (*ASN1, *fault) {
	a := &ASN1{}
	all := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || strings.ContainsRune(space, r) })
	for i := 0; i < len(all); i++ {
		switch word := all[i]; word {
		case "bitstring_overflow":
			a.BitstringOverflow = true
		case "double_overflow":
			a.DoubleOverflow = true
		case "oversize_length", "absolute_offset", "relative_offset":
			i++
			if i == len(all) {
				return nil, faultf(0, "asn1's %s needs a number", word)
			}
			least := int64(-math.MaxUint16)
			if word != "relative_offset" {
				least = 0
			}
			n, f := number("asn1's "+word, all[i], least, math.MaxUint32)
			if f != nil {
				return nil, f
			}
			switch word {
			case "oversize_length":
				a.OversizeLength = uint32(n)
			default:
				a.Offset, a.Relative = int(n), word == "relative_offset"
			}
		default:
			return nil, faultf(0, "unknown check %q of asn1; use bitstring_overflow, double_overflow, oversize_length, absolute_offset or relative_offset", clip(word))
		}
	}
	return a, nil
}
