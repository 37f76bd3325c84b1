package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// maxFilters is how many filters one operation takes. AWS: API reference,
// StartFlowFlush, FlowFilters.
const maxFilters = 20

// filterFlags are the flags that say which flows are meant. Values of one flag
// are alternatives; different flags must all hold.
type filterFlags struct {
	prefix string // of the flags' names: "" or "protect-"

	src, dst     []string
	sport, dport []string
	proto        []string
	minAge       string
}

// flags defines the flags. what begins what is said of each: "source address".
func (f *filterFlags) flags(c *cobra.Command, what string) {
	fl := c.Flags()
	fl.StringArrayVar(&f.src, f.prefix+"src", nil, what+"source address or prefix; repeatable")
	fl.StringArrayVar(&f.dst, f.prefix+"dst", nil, what+"destination address or prefix; repeatable")
	fl.StringArrayVar(&f.sport, f.prefix+"sport", nil, what+"source port or range (1000:2000); repeatable")
	fl.StringArrayVar(&f.dport, f.prefix+"dport", nil, what+"destination port or range; repeatable")
	fl.StringArrayVar(&f.proto, f.prefix+"proto", nil, what+"tcp, udp, icmp, icmpv6, sctp or a number; repeatable")
}

func (f *filterFlags) empty() bool {
	return len(f.src)+len(f.dst)+len(f.sport)+len(f.dport)+len(f.proto) == 0
}

// selection is what filterFlags ask for, in the API's terms.
type selection struct {
	filters []wire.FlowFilter
	minAge  *int32 // seconds; nil: not given
	words   string // for people: "src 10.0.1.0/24, proto tcp"
	own     *ownFlush
}

// ownFlush is what Sluice's flush can do and AWS's cannot.
type ownFlush struct {
	stale     bool // flows that today's rules would not admit, whatever the filters say
	protect   []wire.FlowFilter
	either    bool    // filters match in either direction
	exception *string // DROP, REJECT or CONTINUE; nil: the policy's
	spared    string  // protect for people
}

// parse checks the flags and forms the filters. Without flags it selects all
// flows. Errors are usage errors.
func (f *filterFlags) parse() (*selection, error) {
	src, err := each(f.src, parseAddress)
	if err != nil {
		return nil, usagef("--%ssrc: %w", f.prefix, err)
	}
	dst, err := each(f.dst, parseAddress)
	if err != nil {
		return nil, usagef("--%sdst: %w", f.prefix, err)
	}
	sport, err := each(f.sport, parsePorts)
	if err != nil {
		return nil, usagef("--%ssport: %w", f.prefix, err)
	}
	dport, err := each(f.dport, parsePorts)
	if err != nil {
		return nil, usagef("--%sdport: %w", f.prefix, err)
	}
	protos, err := each(f.proto, parseProto)
	if err != nil {
		return nil, usagef("--%sproto: %w", f.prefix, err)
	}
	minAge, err := parseAge(f.minAge)
	if err != nil {
		return nil, usagef("--min-age: %w", err)
	}
	s := &selection{minAge: minAge, words: f.words()}
	if f.empty() {
		// The API wants at least one filter, and AWS's wants an address in it.
		src = []prefix{{"0.0.0.0/0", true}, {"::/0", false}}
	}
	s.filters = product(src, dst, sport, dport, protos)
	switch {
	case len(s.filters) == 0:
		return nil, usagef("no flow can match: --%ssrc and --%[1]sdst are of different IP versions", f.prefix)
	case len(s.filters) > maxFilters:
		return nil, usagef("%d filters are needed for %s, and an operation takes %d at most: "+
			"use prefixes or port ranges (1000:2000) that cover several values, or run the command once for each part",
			len(s.filters), f.shape(), maxFilters)
	}
	return s, nil
}

// prefix is an address or prefix as the user wrote it.
type prefix struct {
	text string
	v4   bool
}

// product forms one filter for each combination of addresses and ports that a
// flow could have. Protocols are a list within every filter.
func product(src, dst []prefix, sport, dport, protos []string) []wire.FlowFilter {
	var out []wire.FlowFilter
	for _, s := range orAny(src) {
		for _, d := range orAny(dst) {
			if s != nil && d != nil && s.v4 != d.v4 {
				continue
			}
			for _, sp := range orAny(sport) {
				for _, dp := range orAny(dport) {
					f := wire.FlowFilter{SourcePort: sp, DestinationPort: dp, Protocols: protos}
					if s != nil {
						f.SourceAddress = &wire.Address{AddressDefinition: wire.Ptr(s.text)}
					}
					if d != nil {
						f.DestinationAddress = &wire.Address{AddressDefinition: wire.Ptr(d.text)}
					}
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// orAny returns pointers to the values, or one nil when there are none.
func orAny[T any](values []T) []*T {
	if len(values) == 0 {
		return []*T{nil}
	}
	out := make([]*T, len(values))
	for i := range values {
		out[i] = &values[i]
	}
	return out
}

// each splits comma-separated values and parses them; equal ones count once.
func each[T comparable](values []string, parse func(string) (T, error)) ([]T, error) {
	var out []T
	for _, list := range values {
		for v := range strings.SplitSeq(list, ",") {
			p, err := parse(strings.TrimSpace(v))
			if err != nil {
				return nil, err
			}
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

func parseAddress(s string) (prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return prefix{s, ip.Is4()}, nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return prefix{}, fmt.Errorf("%q is neither an IP address nor a prefix such as 10.0.1.0/24", s)
	}
	if p != p.Masked() {
		return prefix{}, fmt.Errorf("%q has bits set beyond its prefix length; did you mean %s or %s?", s, p.Masked(), p.Addr())
	}
	return prefix{s, p.Addr().Is4()}, nil
}

// parsePorts reads "443", "1000:2000", "1000-2000" or "any".
func parsePorts(s string) (string, error) {
	if strings.EqualFold(s, "any") {
		return "ANY", nil
	}
	lowText, highText, isRange := strings.Cut(strings.Replace(s, "-", ":", 1), ":")
	if !isRange {
		highText = lowText
	}
	low, err1 := strconv.ParseUint(lowText, 10, 16)
	high, err2 := strconv.ParseUint(highText, 10, 16)
	if err1 != nil || err2 != nil || low > high {
		return "", fmt.Errorf("%q is neither a port (443), a range (1000:2000) nor any", s)
	}
	if !isRange {
		return strconv.FormatUint(low, 10), nil
	}
	return fmt.Sprintf("%d:%d", low, high), nil
}

// protoNames are the protocols that AWS offers for flow operations.
var protoNames = map[string]string{"icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58", "sctp": "132"}

// parseProto returns the protocol's number as text.
func parseProto(s string) (string, error) {
	if n, ok := protoNames[strings.ToLower(s)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return "", fmt.Errorf("%q is neither tcp, udp, icmp, icmpv6, sctp nor a protocol number", s)
	}
	return strconv.FormatUint(n, 10), nil
}

// protoName is the reverse: the name that --proto takes.
func protoName(number string) string {
	for name, n := range protoNames {
		if n == number {
			return name
		}
	}
	return number
}

// parseAge reads seconds ("90") or a duration ("5m").
func parseAge(s string) (*int32, error) {
	if s == "" {
		return nil, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		d, err = time.ParseDuration(s + "s")
	}
	seconds := d / time.Second
	if err != nil || d < 0 || d%time.Second != 0 || int64(seconds) != int64(int32(seconds)) {
		return nil, fmt.Errorf("%q is neither whole seconds (90) nor a duration (5m)", s)
	}
	return wire.Ptr(int32(seconds)), nil
}

// words describes the selection to people.
func (f *filterFlags) words() string {
	var parts []string
	add := func(name string, values []string) {
		if len(values) > 0 {
			parts = append(parts, name+" "+strings.Join(values, "|"))
		}
	}
	add("src", f.src)
	add("dst", f.dst)
	add("sport", f.sport)
	add("dport", f.dport)
	add("proto", f.proto)
	if f.minAge != "" {
		age := f.minAge
		if _, err := strconv.Atoi(age); err == nil {
			age += "s"
		}
		parts = append(parts, "min age "+age)
	}
	return strings.Join(parts, ", ")
}

// shape says how the number of filters comes about: "3 --src x 8 --dst".
func (f *filterFlags) shape() string {
	var parts []string
	for _, x := range []struct {
		name   string
		values []string
	}{{"src", f.src}, {"dst", f.dst}, {"sport", f.sport}, {"dport", f.dport}} {
		n := 0
		for _, v := range x.values {
			n += strings.Count(v, ",") + 1
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d --%s%s", n, f.prefix, x.name))
		}
	}
	return strings.Join(parts, " x ")
}
