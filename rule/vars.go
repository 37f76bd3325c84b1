package rule

import (
	"math"
	"strconv"
	"strings"
)

// BitOp is what flowbits, xbits or hostbits does.
type BitOp uint8

const (
	BitSet BitOp = iota
	BitUnset
	BitToggle
	BitIsSet
	BitIsNotSet
	BitNoAlert // flowbits:noalert
)

var bitOps = map[string]BitOp{
	"set": BitSet, "unset": BitUnset, "toggle": BitToggle, "isset": BitIsSet, "isnotset": BitIsNotSet, "noalert": BitNoAlert,
}

// Reads says whether the operation is a condition and changes nothing.
func (o BitOp) Reads() bool { return o == BitIsSet || o == BitIsNotSet }

// FlowBits is the argument of flowbits. Of several names, one has to be set
// for isset, and one has to be unset for isnotset.
type FlowBits struct {
	Op    BitOp
	Names []string
}

// Track says whose state or count a keyword means.
type Track uint8

const (
	TrackSrc  Track = iota // the packet's source address
	TrackDst               // its destination
	TrackBoth              // the pair of them, in either direction
	TrackRule              // the rule itself
	TrackFlow              // the flow
)

// HostBits is the argument of hostbits and of xbits: a bit of an address or of
// a pair of them.
type HostBits struct {
	Op     BitOp
	Name   string
	Track  Track
	Expire uint32 // seconds
}

// FlowInt is the argument of flowint.
type FlowInt struct {
	Name  string
	Op    string // + - = > < >= <= == != isset notset
	Value Operand
}

// ThresholdType is what threshold does with matches in a period.
type ThresholdType uint8

const (
	ThresholdLimit  ThresholdType = iota // alerts for the first Count
	ThresholdEvery                       // alerts for each Count-th: "threshold"
	ThresholdBoth                        // alerts once, for the Count-th
	ThresholdFilter                      // detection_filter: matches only after Count
)

// Threshold is the argument of threshold and of detection_filter.
type Threshold struct {
	Type    ThresholdType
	Track   Track
	Count   uint32
	Seconds uint32
}

func bitOp(name string, f field) (BitOp, *fault) {
	op, ok := bitOps[f.text]
	if !ok {
		return 0, faultf(f.off, "unknown operation %q of %s; use set, unset, toggle, isset or isnotset", clip(f.text), name)
	}
	return op, nil
}

func parseFlowBits(value string) (*FlowBits, *fault) {
	all := fields(value)
	b := &FlowBits{}
	var f *fault
	if b.Op, f = bitOp("flowbits", all[0]); f != nil {
		return nil, f
	}
	switch {
	case b.Op == BitNoAlert && len(all) == 1:
		return b, nil
	case b.Op == BitNoAlert:
		return nil, faultf(all[1].off, "flowbits:noalert takes no name; leave it out")
	case len(all) != 2:
		return nil, faultf(0, "flowbits needs an operation and a name, as in flowbits:set,login")
	}
	for name := range strings.SplitSeq(all[1].text, "|") {
		name = strings.Trim(name, space)
		if name == "" || strings.ContainsAny(name, space) {
			return nil, faultf(all[1].off, "%q is no name of a flowbit; use one word, or several with | between them", clip(all[1].text))
		}
		b.Names = append(b.Names, name)
	}
	if len(b.Names) > 1 && !b.Op.Reads() {
		return nil, faultf(all[1].off, "only isset and isnotset take several names; write one flowbits for each")
	}
	return b, nil
}

// parseHostBits reads hostbits: operation, name and maybe whose.
func parseHostBits(value string) (*HostBits, *fault) {
	all := fields(value)
	b := &HostBits{Expire: 300}
	if value == "noalert" {
		b.Op = BitNoAlert
		return b, nil
	}
	if len(all) < 2 || len(all) > 3 || all[1].text == "" {
		return nil, faultf(0, "hostbits needs an operation and a name, as in hostbits:set,seen,src")
	}
	var f *fault
	if b.Op, f = bitOp("hostbits", all[0]); f != nil {
		return nil, f
	}
	if b.Name = all[1].text; strings.ContainsAny(b.Name, space) {
		return nil, faultf(all[1].off, "%q is no name of a hostbit; use one word", clip(b.Name))
	}
	if len(all) == 3 {
		switch all[2].text {
		case "src":
		case "dst":
			b.Track = TrackDst
		default:
			return nil, faultf(all[2].off, "hostbits belong to src or dst, not %q", clip(all[2].text))
		}
	}
	return b, wrongNoAlert("hostbits", b.Op)
}

func wrongNoAlert(name string, op BitOp) *fault {
	if op == BitNoAlert {
		return faultf(0, "%s has no noalert; use the keyword noalert", name)
	}
	return nil
}

// parseXBits reads xbits: operation, name, track and maybe expire.
func parseXBits(value string) (*HostBits, *fault) {
	all := fields(value)
	b := &HostBits{Expire: 30}
	if len(all) < 3 || len(all) > 4 || all[1].text == "" {
		return nil, faultf(0, "xbits needs an operation, a name and track, as in xbits:set,seen,track ip_src,expire 60")
	}
	var f *fault
	if b.Op, f = bitOp("xbits", all[0]); f != nil {
		return nil, f
	}
	b.Name = all[1].text
	switch word, rest := all[2].word(); {
	case word == "track" && rest == "ip_src":
	case word == "track" && rest == "ip_dst":
		b.Track = TrackDst
	case word == "track" && rest == "ip_pair":
		b.Track = TrackBoth
	default:
		return nil, faultf(all[2].off, "xbits has %q where track ip_src, track ip_dst or track ip_pair belongs", clip(all[2].text))
	}
	if len(all) == 4 {
		word, rest := all[3].word()
		n, err := strconv.ParseUint(rest, 10, 32)
		if word != "expire" || err != nil || n == 0 {
			return nil, faultf(all[3].off, "xbits has %q where expire and a number of seconds belongs", clip(all[3].text))
		}
		b.Expire = uint32(n)
	}
	return b, wrongNoAlert("xbits", b.Op)
}

func parseFlowInt(value string) (*FlowInt, *fault) {
	all := fields(value)
	if len(all) < 2 || all[0].text == "" {
		return nil, faultf(0, "flowint needs a name, an operation and mostly a value, as in flowint:tries,+,1")
	}
	i := &FlowInt{Name: all[0].text, Op: all[1].text}
	if !isFlowInt(i.Name) {
		return nil, faultf(all[0].off, "%q cannot name a flowint; use letters, digits, _, . and /, a letter first", clip(i.Name))
	}
	switch i.Op {
	case "isset", "notset", "isnotset":
		if i.Op == "isnotset" {
			i.Op = "notset"
		}
		if len(all) > 2 {
			return nil, faultf(all[2].off, "flowint's %s takes no value; leave it out", i.Op)
		}
		return i, nil
	case "+", "-", "=", ">", "<", ">=", "<=", "==", "!=":
	default:
		return nil, faultf(all[1].off, "unknown operation %q of flowint; use + - = == != > < >= <= isset or notset", clip(i.Op))
	}
	if len(all) != 3 || all[2].text == "" {
		return nil, faultf(0, "flowint's %s needs one value, a number or a name", i.Op)
	}
	text := all[2].text
	if isFlowInt(text) {
		i.Value.Var = text
		return i, nil
	}
	n, f := parseNumber("flowint", text, math.MaxUint32)
	if f != nil {
		return nil, f.shift(all[2].off)
	}
	i.Value.Value = n
	return i, nil
}

func isFlowInt(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isLetter(c) && (i == 0 || !isAlnum(c) && c != '_' && c != '.' && c != '/') {
			return false
		}
	}
	return name != ""
}

// Reads says whether the keyword is a condition and changes nothing.
func (i *FlowInt) Reads() bool { return i.Op != "+" && i.Op != "-" && i.Op != "=" }

var tracks = map[string]Track{
	"by_src": TrackSrc, "by_dst": TrackDst, "by_both": TrackBoth, "by_rule": TrackRule, "by_flow": TrackFlow,
}

var thresholdTypes = map[string]ThresholdType{"limit": ThresholdLimit, "threshold": ThresholdEvery, "both": ThresholdBoth}

// parseThreshold reads threshold, and detection_filter, which has no type.
func parseThreshold(name, value string) (*Threshold, *fault) {
	t := &Threshold{Type: ThresholdFilter}
	given := map[string]bool{}
	for _, o := range fields(value) {
		word, rest := o.word()
		if given[word] {
			return nil, faultf(o.off, "%s has two %s; keep one", name, clip(word))
		}
		given[word] = true
		ok := false
		switch {
		case word == "type" && name == "threshold":
			t.Type, ok = thresholdTypes[rest]
		case word == "track":
			t.Track, ok = tracks[rest]
		case word == "count":
			t.Count, ok = countOf(rest, name)
		case word == "seconds":
			t.Seconds, ok = countOf(rest, name)
		}
		if name == "detection_filter" && word == "track" && t.Track != TrackSrc && t.Track != TrackDst {
			return nil, faultf(o.off, "detection_filter tracks by_src or by_dst, not %q", clip(rest))
		}
		if !ok {
			return nil, faultf(o.off, "%s does not take %q; give type limit, threshold or both (not for detection_filter), track by_src, by_dst, by_both, by_rule or by_flow, count and seconds", name, clip(o.text))
		}
	}
	for _, must := range []string{"type", "track", "count", "seconds"} {
		if !given[must] && (must != "type" || name == "threshold") {
			return nil, faultf(0, "%s has no %s; add it", name, must)
		}
	}
	return t, nil
}

// countOf reads a number, which for detection_filter cannot be 0.
func countOf(text, name string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && (n > 0 || name == "threshold")
}
