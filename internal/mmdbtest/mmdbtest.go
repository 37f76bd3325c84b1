// Package mmdbtest writes small databases of countries for tests, in the MaxMind DB format 2.0.
package mmdbtest

import (
	"maps"
	"net/netip"
	"slices"
)

// Types of the data section, shifted to their place in the control byte.
const (
	typeString = 2 << 5
	typeUint16 = 5 << 5
	typeUint32 = 6 << 5
	typeMap    = 7 << 5
)

// Countries returns a database that has country.iso_code for these networks, which must not
// contain each other. One without a code has a record that says nothing.
func Countries(codes map[string]string) []byte {
	const empty = -1
	nodes := [][2]int{{empty, empty}} // the next node, empty, or -2 - the offset of a record
	var data []byte
	for _, network := range slices.Sorted(maps.Keys(codes)) {
		p := netip.MustParsePrefix(network)
		addr, bits := p.Addr().As16(), p.Bits()
		if p.Addr().Is4() { // IPv4 is in ::/96
			addr[10], addr[11] = 0, 0
			bits += 96
		}
		record := -2 - len(data)
		if code := codes[network]; code == "" {
			data = append(data, typeMap)
		} else {
			data = append(data, typeMap|1)
			data = append(text(data, "country"), typeMap|1)
			data = text(text(data, "iso_code"), code)
		}
		at := 0
		for i := range bits {
			side := addr[i/8] >> (7 - i%8) & 1
			switch next := nodes[at][side]; {
			case i == bits-1:
				nodes[at][side] = record
			case next < 0:
				nodes = append(nodes, [2]int{empty, empty})
				nodes[at][side] = len(nodes) - 1
				at = len(nodes) - 1
			default:
				at = next
			}
		}
	}
	var out []byte
	for _, n := range nodes {
		for _, next := range n {
			switch {
			case next == empty:
				next = len(nodes)
			case next < 0:
				next = len(nodes) + 16 + (-2 - next)
			}
			out = append(out, byte(next>>16), byte(next>>8), byte(next))
		}
	}
	out = append(out, make([]byte, 16)...) // between the tree and the data
	out = append(out, data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	out = append(out, typeMap|9)
	out = append(text(out, "node_count"), typeUint32|4, byte(len(nodes)>>24), byte(len(nodes)>>16), byte(len(nodes)>>8), byte(len(nodes)))
	out = append(text(out, "record_size"), typeUint16|1, 24)
	out = append(text(out, "ip_version"), typeUint16|1, 6)
	out = text(text(out, "database_type"), "Test-Country")
	out = append(text(out, "languages"), 0, 4) // an array of none
	out = append(text(out, "binary_format_major_version"), typeUint16|1, 2)
	out = append(text(out, "binary_format_minor_version"), typeUint16)
	out = append(text(out, "build_epoch"), 1, 2, 1) // 64 bits, of one byte
	out = append(text(out, "description"), typeMap|1)
	return text(text(out, "en"), "countries for tests")
}

// text appends a string of at most 28 bytes.
func text(b []byte, s string) []byte {
	return append(append(b, typeString|byte(len(s))), s...)
}
