package resource

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// MaxFlowFilters is how many filters an operation may have. AWS: 20.
const MaxFlowFilters = 20

// PortRange is an inclusive range of ports; 0 to 65535 is any.
type PortRange struct{ From, To uint16 }

// AnyPort matches all ports.
var AnyPort = PortRange{0, 65535}

// FlowFilter is a parsed filter of a flow operation. A flow matches if all of
// it matches, in the flow's own direction: source is the side that sent its
// first packet.
type FlowFilter struct {
	Src, Dst           netip.Prefix // masked; the zero Prefix matches all
	SrcPorts, DstPorts PortRange
	Protocols          []uint8 // IANA numbers; empty matches all
}

// FilterError says which member of which filter is wrong.
type FilterError struct {
	List    string // member of the request that has the filters; "" is FlowFilters
	Index   int    // of the filter
	Member  string // "SourcePort", ...
	Problem string // "has invalid format" or "is not within the bound"
	Value   string
}

// Error writes the mistake in the grammar of AWS's texts.
func (e *FilterError) Error() string {
	return fmt.Sprintf("%s %s, parameter: [%s], context: %s[%d].%s", e.Member, e.Problem, e.Value, cmp.Or(e.List, "FlowFilters"), e.Index, e.Member)
}

// ParseFlowFilters parses the filters of an operation. Its error is a
// *FilterError. How many there are is the caller's to check.
//
// AWS: addresses are CIDRs or single addresses; ports "443", "1000:2000" or
// "ANY"; protocols are IANA numbers.
func ParseFlowFilters(filters []wire.FlowFilter) ([]FlowFilter, error) {
	parsed := make([]FlowFilter, len(filters))
	for i := range filters {
		p, err := parseFlowFilter(&filters[i])
		if err != nil {
			err.Index = i
			return nil, err
		}
		parsed[i] = p
	}
	return parsed, nil
}

const badFormat = "has invalid format"

func parseFlowFilter(f *wire.FlowFilter) (p FlowFilter, err *FilterError) {
	if p.Src, err = parseAddress("SourceAddress", f.SourceAddress); err != nil {
		return p, err
	}
	if p.Dst, err = parseAddress("DestinationAddress", f.DestinationAddress); err != nil {
		return p, err
	}
	if p.SrcPorts, err = parsePorts("SourcePort", f.SourcePort); err != nil {
		return p, err
	}
	if p.DstPorts, err = parsePorts("DestinationPort", f.DestinationPort); err != nil {
		return p, err
	}
	for _, text := range f.Protocols {
		n, bad := strconv.ParseUint(text, 10, 8)
		if bad != nil {
			return p, &FilterError{Member: "Protocols", Problem: badFormat, Value: text}
		}
		p.Protocols = append(p.Protocols, uint8(n))
	}
	return p, nil
}

func parseAddress(member string, a *wire.Address) (netip.Prefix, *FilterError) {
	if a == nil {
		return netip.Prefix{}, nil
	}
	text := wire.Val(a.AddressDefinition)
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, &FilterError{Member: member, Problem: badFormat, Value: text}
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

func parsePorts(member string, text *string) (PortRange, *FilterError) {
	if text == nil || strings.EqualFold(*text, "ANY") {
		return AnyPort, nil
	}
	from, to, isRange := strings.Cut(*text, ":")
	if !isRange {
		to = from
	}
	f, err1 := strconv.ParseUint(from, 10, 16)
	t, err2 := strconv.ParseUint(to, 10, 16)
	switch {
	case err1 != nil || err2 != nil:
		return PortRange{}, &FilterError{Member: member, Problem: badFormat, Value: *text}
	case f > t:
		return PortRange{}, &FilterError{Member: member, Problem: "is not within the bound", Value: *text}
	}
	return PortRange{uint16(f), uint16(t)}, nil
}
