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

// numberForm says which forms a keyword takes.
type numberForm uint8

const (
	formCompare  numberForm = iota // all that Numbers can say, and units
	formPlain                      // a number
	formNegate                     // a number, or ! and a number
	formLessMore                   // a number, or < or > and a number
	formProto                      // a number, or one of < > ! and a number
)

// operators are those of each form.
var operators = [...]string{
	formPlain: "", formNegate: "!", formLessMore: "<>", formProto: "<>!",
}

// numberKeywords are the keywords whose argument is Numbers.
var numberKeywords = map[string]struct {
	most uint64
	form numberForm
}{
	"dsize": {math.MaxUint16, formCompare}, "ttl": {math.MaxUint8, formCompare},
	"id": {math.MaxUint16, formPlain}, "fragoffset": {math.MaxUint16, formLessMore},
	"tcp.seq": {math.MaxUint32, formPlain}, "tcp.ack": {math.MaxUint32, formPlain},
	"tcp.window": {math.MaxUint16, formNegate}, "tcp.mss": {math.MaxUint16, formCompare},
	"itype": {math.MaxUint8, formCompare}, "icode": {math.MaxUint8, formCompare},
	"icmp_id": {math.MaxUint16, formPlain}, "icmp_seq": {math.MaxUint16, formPlain},
	"icmpv6.mtu": {math.MaxUint32, formCompare}, "flow.age": {math.MaxUint32, formCompare},
	"flow.pkts_toserver": {math.MaxUint32, formCompare}, "flow.pkts_toclient": {math.MaxUint32, formCompare},
	"flow.bytes_toserver": {math.MaxUint64, formCompare}, "flow.bytes_toclient": {math.MaxUint64, formCompare},
	"filesize":           {math.MaxUint64, formCompare},
	"tls.cert_chain_len": {math.MaxUint32, formCompare}, "smb.version": {math.MaxUint8, formPlain}, "dns.opcode": {math.MaxUint8, formNegate},
	"http2.priority": {math.MaxUint8, formCompare}, "http2.window": {math.MaxUint32, formCompare}, "http2.size_update": {math.MaxUint64, formCompare},
	"mqtt.protocol_version": {math.MaxUint8, formCompare}, "mqtt.qos": {2, formPlain}, "mqtt.reason_code": {math.MaxUint8, formCompare},
}

// parseNumbers reads the argument of one of numberKeywords.
func parseNumbers(name, value string) (Numbers, *fault) {
	k := numberKeywords[name]
	if k.form == formCompare {
		return compareNumbers(name, value, k.most)
	}
	return operatorNumber(name, value, operators[k.form], k.most)
}

// operatorNumber reads a number that one of the operators may stand before.
func operatorNumber(name, value, operators string, most uint64) (Numbers, *fault) {
	op, rest := byte(0), value
	if strings.IndexByte(operators, value[0]) >= 0 {
		op, rest = value[0], strings.Trim(value[1:], space)
	}
	n, f := parseNumber(name, rest, most)
	set := Numbers{From: n, To: n, Negated: op == '!'}
	switch op {
	case '<':
		set = below(n)
	case '>':
		set = Numbers{From: n + 1, To: math.MaxUint64}
	}
	return set, f
}

// below returns the numbers less than n, which are none for 0.
func below(n uint64) Numbers {
	if n == 0 {
		return Numbers{Negated: true, To: math.MaxUint64}
	}
	return Numbers{To: n - 1}
}

// compareNumbers reads one of n, =n, !n, !=n, <n, <=n, >n, >=n, a<>b and a-b. The ends of a
// range are not part of it, as in Suricata. A plain number may have a unit. Arguments that
// no number or every number satisfies are refused.
func compareNumbers(name, value string, most uint64) (Numbers, *fault) {
	for _, op := range []string{"<=", ">=", "!=", "<", ">", "=", "!"} {
		rest, ok := strings.CutPrefix(value, op)
		if !ok {
			continue
		}
		n, f := parseNumber(name, strings.Trim(rest, space), most)
		if f != nil {
			return Numbers{}, f
		}
		set, useful := Numbers{From: n, To: n}, true
		switch op {
		case "<=":
			set, useful = Numbers{To: n}, n < most
		case ">=":
			set, useful = Numbers{From: n, To: math.MaxUint64}, n > 0
		case "!=", "!":
			set.Negated = true
		case "<":
			set, useful = Numbers{To: n - 1}, n > 0
		case ">":
			set, useful = Numbers{From: n + 1, To: math.MaxUint64}, n < most
		}
		if !useful {
			return Numbers{}, faultf(0, "%s %s holds no number, or every one; choose another", name, clip(value))
		}
		return set, nil
	}
	from, to, isRange := strings.Cut(value, "<>")
	if !isRange {
		from, to, isRange = strings.Cut(value, "-")
	}
	if !isRange {
		n, f := parseUnit(name, value, most)
		return Numbers{From: n, To: n}, f
	}
	n, f := parseNumber(name, strings.Trim(from, space), most)
	if f != nil {
		return Numbers{}, f
	}
	m, f := parseNumber(name, strings.Trim(to, space), most)
	if f != nil {
		return Numbers{}, f
	}
	if n >= m || n+1 == m {
		return Numbers{}, faultf(0, "%s %s holds no number: its ends are not part of a range; write %d<>%d for %d alone", name, clip(value), n, n+2, n+1)
	}
	return Numbers{From: n + 1, To: m - 1}, nil
}

// parseUnit reads a number that may end with kb, mb or gb.
func parseUnit(name, text string, most uint64) (uint64, *fault) {
	number, shift := text, 0
	for i, unit := range []string{"kb", "mb", "gb"} {
		if end := len(text) - 2; end > 0 && strings.EqualFold(text[end:], unit) {
			number, shift = text[:end], 10*(i+1)
		}
	}
	n, f := parseNumber(name, number, most>>shift)
	if f != nil {
		return 0, faultf(0, "%s %q is not a number between 0 and %d", name, clip(text), most)
	}
	return n << shift, nil
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

// ipProtoNames are IANA's names of protocols, as rules use them.
var ipProtoNames = map[string]uint64{
	"ip": 0, "icmp": 1, "igmp": 2, "ggp": 3, "ipencap": 4, "st": 5, "tcp": 6, "egp": 8, "igp": 9, "pup": 12, "udp": 17,
	"hmp": 20, "xns-idp": 22, "rdp": 27, "iso-tp4": 29, "dccp": 33, "xtp": 36, "ddp": 37, "idpr-cmtp": 38, "ipv6": 41,
	"ipv6-route": 43, "ipv6-frag": 44, "idrp": 45, "rsvp": 46, "gre": 47, "esp": 50, "ah": 51, "skip": 57,
	"ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "vmtp": 81, "eigrp": 88, "ospf": 89, "ax.25": 93, "ipip": 94,
	"etherip": 97, "encap": 98, "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115, "isis": 124, "sctp": 132,
	"fc": 133, "mobility-header": 135, "udplite": 136, "mpls-in-ip": 137, "manet": 138, "hip": 139, "shim6": 140,
	"wesp": 141, "rohc": 142,
}

// parseIPProto reads ip_proto: a number or a name, with < > or ! before it.
func parseIPProto(value string) (Numbers, *fault) {
	op := value[:len(value)-len(strings.TrimLeft(value, "<>!"))]
	name := strings.Trim(value[len(op):], space)
	if n, ok := ipProtoNames[strings.ToLower(name)]; ok {
		name = strconv.FormatUint(n, 10)
	}
	set, f := operatorNumber("ip_proto", op+name, operators[formProto], math.MaxUint8)
	if f != nil {
		return set, faultf(0, "ip_proto %q is neither a number between 0 and 255 nor a known name, with one of < > and ! before it at most; use the number", clip(value))
	}
	return set, nil
}

// FragBits is the argument of fragbits: the bits of the IPv4 header's flags
// are compared with Bits as Op says. As in Suricata, an operator after the bits is none.
type FragBits struct {
	Op   byte  // 0 exact, '+' all of these and others, '*' any of these, '!' not all of these
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
			if f.Bits == 0 {
				f.Op = c
			}
		case 'M':
			f.Bits |= 1
		case 'D':
			f.Bits |= 2
		case 'R':
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
	"satid": 136, "any": AnyIPOption,
}

// AnyIPOption is the argument of ipopts that every option matches.
const AnyIPOption uint8 = 0xff

func parseIPOption(value string) (uint8, *fault) {
	if o, ok := ipOptions[strings.ToLower(value)]; ok {
		return o, nil
	}
	return 0, faultf(0, "unknown IP option %q; use rr, lsrr, ssrr, ts, sec, esec, satid, eol, nop or any", clip(value))
}
