package rule

import (
	"math"
	"strconv"
	"strings"
)

// Numbers is the set of numbers that a keyword such as dsize or ttl asks for:
// those from From to To, both included, or all others when Negated.
type Numbers struct {
	Negated  bool
	From, To uint64
}

// Has reports whether n is in the set.
func (s Numbers) Has(n uint64) bool { return (s.From <= n && n <= s.To) != s.Negated }

// parseNumbers reads one of n, =n, !n, !=n, <n, <=n, >n, >=n, a<>b, a-b and !a-b. The
// ends of a range are not part of it, as in Suricata.
func parseNumbers(name, value string, most uint64) (Numbers, *fault) {
	ops := []struct {
		op  string
		set func(n uint64) (Numbers, bool)
	}{
		{"<=", func(n uint64) (Numbers, bool) { return Numbers{To: n}, true }},
		{">=", func(n uint64) (Numbers, bool) { return Numbers{From: n, To: math.MaxUint64}, true }},
		{"!=", func(n uint64) (Numbers, bool) { return Numbers{Negated: true, From: n, To: n}, true }},
		{"<", func(n uint64) (Numbers, bool) { return Numbers{To: n - 1}, n > 0 }},
		{">", func(n uint64) (Numbers, bool) { return Numbers{From: n + 1, To: math.MaxUint64}, n < most }},
		{"=", func(n uint64) (Numbers, bool) { return Numbers{From: n, To: n}, true }},
	}
	for _, o := range ops {
		rest, ok := strings.CutPrefix(value, o.op)
		if !ok {
			continue
		}
		n, f := parseNumber(name, strings.Trim(rest, space), most)
		if f != nil {
			return Numbers{}, f
		}
		set, ok := o.set(n)
		if !ok {
			return Numbers{}, faultf(0, "%s %s holds no number at all; choose another", name, clip(value))
		}
		return set, nil
	}
	var set Numbers
	rest, negated := strings.CutPrefix(value, "!")
	rest = strings.Trim(rest, space)
	from, to, isRange := strings.Cut(rest, "<>")
	if !isRange {
		from, to, isRange = strings.Cut(rest, "-")
	}
	n, f := parseNumber(name, strings.Trim(from, space), most)
	if f != nil {
		return set, f
	}
	if !isRange {
		return Numbers{negated, n, n}, nil
	}
	m, f := parseNumber(name, strings.Trim(to, space), most)
	if f != nil {
		return set, f
	}
	if n >= m || n+1 == m {
		return set, faultf(0, "%s %s holds no number: its ends are not part of a range; write %d<>%d for %d alone", name, clip(value), n, n+2, n+1)
	}
	return Numbers{negated, n + 1, m - 1}, nil
}

// parseNumber reads a decimal number of at most most.
func parseNumber(name, text string, most uint64) (uint64, *fault) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most {
		return 0, faultf(0, "%s %q is not a number between 0 and %d", name, clip(text), most)
	}
	return n, nil
}

// parseTOS reads tos: a number in decimal, or in hexadecimal after an x, that
// may be negated.
func parseTOS(value string) (Numbers, *fault) {
	text, negated := strings.CutPrefix(value, "!")
	text = strings.Trim(text, space)
	base := 10
	if strings.HasPrefix(text, "x") || strings.HasPrefix(text, "X") {
		text, base = text[1:], 16
	}
	n, err := strconv.ParseUint(text, base, 8)
	if err != nil {
		return Numbers{}, faultf(0, "tos %q is not a number between 0 and 255, nor x and two hexadecimal digits", clip(value))
	}
	return Numbers{negated, n, n}, nil
}

// numberKeywords are the keywords whose argument is Numbers, by the greatest
// number that they take.
var numberKeywords = map[string]uint64{
	"dsize": math.MaxUint16, "ttl": math.MaxUint8, "id": math.MaxUint16, "fragoffset": 8191,
	"tcp.seq": math.MaxUint32, "tcp.ack": math.MaxUint32, "tcp.window": math.MaxUint16, "tcp.mss": math.MaxUint16,
	"itype": math.MaxUint8, "icode": math.MaxUint8, "icmp_id": math.MaxUint16, "icmp_seq": math.MaxUint16,
	"icmpv6.mtu": math.MaxUint32, "flow.age": math.MaxUint32,
	"flow.pkts_toserver": math.MaxUint32, "flow.pkts_toclient": math.MaxUint32,
	"flow.bytes_toserver": math.MaxUint64, "flow.bytes_toclient": math.MaxUint64,
}

// ipProtoNames are the names of /etc/protocols that rules use.
var ipProtoNames = map[string]uint64{
	"ip": 0, "icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41,
	"rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "ipip": 94, "pim": 103,
	"vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}

// parseIPProto reads ip_proto: a number or a name, with < > or ! before it.
func parseIPProto(value string) (Numbers, *fault) {
	name := strings.ToLower(strings.Trim(strings.TrimLeft(value, "<>!"), space))
	if n, ok := ipProtoNames[name]; ok {
		value = value[:len(value)-len(strings.TrimLeft(value, "<>!"))] + strconv.FormatUint(n, 10)
	} else if _, err := strconv.ParseUint(name, 10, 8); err != nil {
		return Numbers{}, faultf(0, "ip_proto %q is neither a number between 0 and 255 nor a known name; use the number", clip(value))
	}
	return parseNumbers("ip_proto", value, math.MaxUint8)
}

// FragBits is the argument of fragbits: the bits of the IPv4 header's flags
// are compared with Bits as Op says.
type FragBits struct {
	Op   byte  // 0 exact, '+' all of these and maybe others, '*' any of these, '!' not all of these
	Bits uint8 // 4 reserved, 2 do not fragment, 1 more fragments, as in the header
}

func parseFragBits(value string) (*FragBits, *fault) {
	f := &FragBits{}
	for i := range len(value) {
		switch c := value[i]; c {
		case '+', '*', '!':
			if f.Op != 0 {
				return nil, faultf(i, "fragbits has two of + * and !; keep one")
			}
			f.Op = c
		case 'M', 'm':
			f.Bits |= 1
		case 'D', 'd':
			f.Bits |= 2
		case 'R', 'r':
			f.Bits |= 4
		default:
			if strings.IndexByte(space, c) < 0 {
				return nil, faultf(i, "unknown bit %q of fragbits; use M, D or R", value[i:i+1])
			}
		}
	}
	if f.Bits == 0 {
		return nil, faultf(0, "fragbits names no bit; use M, D or R")
	}
	return f, nil
}

// ipOptions are the words of ipopts by the option's type (RFC 791, 3.1; 0xff
// stands for any).
var ipOptions = map[string]uint8{
	"rr": 7, "lsrr": 131, "eol": 0, "nop": 1, "ts": 68, "sec": 130, "esec": 133, "ssrr": 137,
	"satid": 136, "cipso": 134, "rtralt": 148, "qs": 25, "any": AnyIPOption,
}

// AnyIPOption is the argument of ipopts that every option matches.
const AnyIPOption uint8 = 0xff

func parseIPOption(value string) (uint8, *fault) {
	if o, ok := ipOptions[strings.ToLower(value)]; ok {
		return o, nil
	}
	return 0, faultf(0, "unknown IP option %q; use rr, lsrr, ssrr, ts, sec, esec, satid, cipso, rtralt, qs, eol, nop or any", clip(value))
}
