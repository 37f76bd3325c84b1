package rule

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// SetType is what a data set holds.
type SetType uint8

const (
	SetTypeUnset SetType = iota // as another rule says
	SetString
	SetMD5
	SetSHA256
	SetIPv4
	SetIP // of either family
)

var setTypes = map[string]SetType{
	"string": SetString, "md5": SetMD5, "sha256": SetSHA256, "ipv4": SetIPv4, "ipv6": SetIP, "ip": SetIP,
}

// SetOptions are what dataset and datarep say of their set.
type SetOptions struct {
	Name     string
	Type     SetType
	Load     string // file to read at first
	Save     string // file to write at the end
	State    string // file for both, of dataset only
	Memcap   uint64 // bytes, 0 for the default
	Hashsize uint32 // 0 for the default
}

// Dataset is the argument of dataset.
type Dataset struct {
	Place
	SetOptions
	Op BitOp // BitSet, BitUnset, BitIsSet or BitIsNotSet
}

// DataRep is the argument of datarep: the value of the buffer's entry is compared.
type DataRep struct {
	Place
	SetOptions
	Op    byte // '<', '>' or '='
	Value uint16
}

// maxSetName is Suricata's bound on the names of data sets.
const maxSetName = 63

func (b *builder) setPlace(name string) (Place, *fault) {
	if b.bufferName == "" {
		return Place{}, faultf(atKeyword, "%s does not follow a sticky buffer; put one such as dns.query before it", name)
	}
	return b.here(), nil
}

func (b *builder) parseDataset(value string) (*Dataset, *fault) {
	d := &Dataset{}
	var f *fault
	if d.Place, f = b.setPlace("dataset"); f != nil {
		return nil, f
	}
	all := fields(value)
	op, ok := bitOps[all[0].text]
	if !ok || op == BitToggle || op == BitNoAlert {
		return nil, faultf(all[0].off, "unknown operation %q of dataset; use set, unset, isset or isnotset", clip(all[0].text))
	}
	d.Op = op
	if len(all) < 2 {
		return nil, faultf(0, "dataset needs an operation and a name, as in dataset:isset,seen,type string,load seen.lst")
	}
	return d, d.SetOptions.parse("dataset", all[1], all[2:])
}

func (b *builder) parseDataRep(value string) (*DataRep, *fault) {
	d := &DataRep{}
	var f *fault
	if d.Place, f = b.setPlace("datarep"); f != nil {
		return nil, f
	}
	all := fields(value)
	if len(all) < 3 {
		return nil, faultf(0, "datarep needs a name, an operator and a value, as in datarep:bad,>,100,type string,load bad.rep")
	}
	if op := all[1].text; op != "<" && op != ">" && op != "==" {
		return nil, faultf(all[1].off, "unknown operator %q of datarep; use <, > or ==", clip(op))
	}
	d.Op = all[1].text[0]
	n, f := parseNumber("datarep", all[2].text, math.MaxUint16)
	if f != nil {
		return nil, f.shift(all[2].off)
	}
	d.Value = uint16(n)
	if f := d.SetOptions.parse("datarep", all[0], all[3:]); f != nil {
		return nil, f
	}
	if d.State != "" || d.Save != "" {
		return nil, faultf(0, "datarep only loads its set; leave state and save out")
	}
	return d, nil
}

// parse reads the name of a set and what follows it.
func (s *SetOptions) parse(keyword string, name field, rest []field) *fault {
	s.Name = name.text
	if s.Name == "" || len(s.Name) > maxSetName || strings.ContainsAny(s.Name, space) {
		return faultf(name.off, "%q cannot name a data set; use one word of at most %d bytes", clip(s.Name), maxSetName)
	}
	for _, o := range rest {
		word, arg := o.word()
		ok := arg != ""
		switch word {
		case "type":
			s.Type, ok = setTypes[arg]
		case "load":
			s.Load = arg
		case "save":
			s.Save = arg
		case "state":
			s.State = arg
		case "memcap":
			var f *fault
			s.Memcap, f = parseUnit("memcap", arg, math.MaxInt64)
			ok = f == nil && s.Memcap > 0
		case "hashsize":
			n, err := strconv.ParseUint(arg, 10, 32)
			s.Hashsize, ok = uint32(n), err == nil && n > 0
		default:
			return unknownOption(keyword, o)
		}
		if !ok {
			return faultf(o.off, "%s does not take %q; give type string, md5, sha256, ipv4, ipv6 or ip, load, save or state and a file, memcap and a size, hashsize and a number", keyword, clip(o.text))
		}
	}
	if s.State != "" && (s.Load != "" || s.Save != "") {
		return faultf(name.off, "state already loads and saves the set; leave load and save out")
	}
	return nil
}

// Side is whose address a keyword means.
type Side uint8

const (
	SideSrc  Side = iota
	SideDst       // of the packet
	SideAny       // one of them
	SideBoth      // both of them
)

var sides = map[string]Side{"src": SideSrc, "dst": SideDst, "any": SideAny, "both": SideBoth}

// IPRep is the argument of iprep.
type IPRep struct {
	Side     Side
	Category string
	Op       string // <, <=, >, >= or =, and a value; isset or isnotset
	Value    uint8
}

func parseIPRep(value string) (*IPRep, *fault) {
	all := fields(value)
	asks := len(all) == 3 && (all[2].text == "isset" || all[2].text == "isnotset")
	if len(all) != 4 && !asks {
		return nil, faultf(0, "iprep needs a side, a category, an operator and a value, as in iprep:src,CnC,>,30, or isset or isnotset in place of the latter two")
	}
	r := &IPRep{Category: all[1].text, Op: all[2].text}
	var ok bool
	if r.Side, ok = sides[all[0].text]; !ok {
		return nil, faultf(all[0].off, "iprep looks at src, dst, any or both, not %q", clip(all[0].text))
	}
	if asks {
		return r, nil
	}
	if !slices.Contains([]string{"<", "<=", ">", ">=", "="}, r.Op) {
		return nil, faultf(all[2].off, "unknown operator %q of iprep; use <, <=, >, >= or =", clip(r.Op))
	}
	n, f := parseNumber("iprep", all[3].text, 127)
	r.Value = uint8(n)
	return r, f.shift(all[3].off)
}

// GeoIP is the argument of geoip: the country of the address is, or with Negated is not,
// one of Countries.
type GeoIP struct {
	Side      Side
	Negated   bool
	Countries []string // ISO 3166 codes of two capitals
}

func parseGeoIP(value string) (*GeoIP, *fault) {
	all := fields(value)
	g := &GeoIP{Side: SideAny}
	if side, ok := sides[all[0].text]; ok {
		g.Side, all = side, all[1:]
	}
	if len(all) == 0 {
		return nil, faultf(0, "geoip names no country; add codes such as US")
	}
	for i, c := range all {
		code, negated := strings.CutPrefix(c.text, "!")
		if i == 0 {
			g.Negated = negated
		} else if negated && !g.Negated {
			return nil, faultf(c.off, "geoip negates all of its countries or none; write ! before the first")
		}
		if len(code) != 2 || !isLetter(code[0]) || !isLetter(code[1]) {
			return nil, faultf(c.off, "%q is no country; use a code of two letters, such as US", clip(code))
		}
		if code = strings.ToUpper(code); !slices.Contains(g.Countries, code) {
			g.Countries = append(g.Countries, code)
		}
	}
	return g, nil
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
