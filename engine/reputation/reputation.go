// Package reputation holds what lists in Suricata's format say of addresses: how much each
// belongs to a category, from 0 to 127.
package reputation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicefw/sluice/engine/packet"
)

const (
	maxCategory = 59 // Suricata's
	maxScore    = 127
	maxEntries  = 1_000_000 // in all lists together, some 100 bytes each
)

// Table is what all lists say. Any number of goroutines may ask it once it is loaded.
type Table struct {
	categories map[string]uint8
	hosts      map[host]uint8
	networks   map[network]uint8
	lengths    [maxCategory + 1][]int // of the prefixes in networks, the longest first
}

// host is an address in a category. Every address that a list has for itself is in category 0, too.
type host struct {
	addr     netip.Addr
	category uint8
}

type network struct {
	prefix   netip.Prefix
	category uint8
}

// Load reads the file that numbers the categories, and lists. Errors name file and line.
func Load(categories string, lists []string) (*Table, error) {
	t := &Table{categories: map[string]uint8{}, hosts: map[host]uint8{}, networks: map[network]uint8{}}
	if err := eachLine(categories, t.addCategory); err != nil {
		return nil, err
	}
	for _, list := range lists {
		if err := eachLine(list, t.addEntry); err != nil {
			return nil, err
		}
	}
	for i := range t.lengths {
		slices.SortFunc(t.lengths[i], func(a, b int) int { return b - a })
	}
	return t, nil
}

func eachLine(file string, add func(line string) error) (err error) {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read reputation: %w", err)
	}
	defer f.Close()
	return scan(f, file, add)
}

// scan calls add with each line that is not empty and no comment.
func scan(in io.Reader, file string, add func(line string) error) error {
	lines := bufio.NewScanner(in)
	n := 1
	for ; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if err := add(line); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", file, n, err)
	}
	return nil
}

// addCategory takes a line of the file of categories: number,name,description.
func (t *Table) addCategory(line string) error {
	number, rest, _ := strings.Cut(line, ",")
	name, _, _ := strings.Cut(rest, ",")
	name = strings.TrimSpace(name)
	id, err := parseNumber(number, maxCategory)
	if err != nil || id == 0 || name == "" {
		return fmt.Errorf("write a category as number,name,description, with a number from 1 to %d", maxCategory)
	}
	if _, known := t.categories[name]; known {
		return fmt.Errorf("category %q is there twice; remove one of them", name)
	}
	t.categories[name] = id
	return nil
}

// addEntry takes a line of a list: address,category,score, where a network may be in the place
// of the address. What comes later goes before what came earlier.
func (t *Table) addEntry(line string) error {
	fields := strings.Split(line, ",")
	if len(fields) != 3 {
		return errors.New("write an entry as address,category,score, as in 192.0.2.1,3,100")
	}
	category, err := parseNumber(fields[1], maxCategory)
	if err != nil || category == 0 {
		return fmt.Errorf("%q is no category: write its number, from 1 to %d", fields[1], maxCategory)
	}
	score, err := parseNumber(fields[2], maxScore)
	if err != nil {
		return fmt.Errorf("%q is no score: write a number from 0 to %d", fields[2], maxScore)
	}
	if len(t.hosts)+len(t.networks)+2 > maxEntries {
		return fmt.Errorf("there are more than %d entries; leave the less important out", maxEntries)
	}
	text := strings.TrimSpace(fields[0])
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%q is no network: write one in CIDR form, such as 192.0.2.0/24", text)
		}
		t.networks[network{prefix.Masked(), category}] = score
		if !slices.Contains(t.lengths[category], prefix.Bits()) {
			t.lengths[category] = append(t.lengths[category], prefix.Bits())
		}
		return nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return fmt.Errorf("%q is neither an address nor a network", text)
	}
	addr = addr.Unmap()
	t.hosts[host{addr, 0}] = 0
	t.hosts[host{addr, category}] = score
	return nil
}

func parseNumber(text string, most uint64) (uint8, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 8)
	if err == nil && n > most {
		err = strconv.ErrRange
	}
	return uint8(n), err
}

// Category returns the number of a category.
func (t *Table) Category(name string) (category uint8, ok bool) {
	category, ok = t.categories[name]
	return category, ok
}

// Score returns how much an address belongs to a category; ok is false where no list says it. As
// in Suricata, an address that a list has for itself belongs with 0 to the categories that it is
// not listed in, and its networks do not count. Otherwise the narrowest network of the category does.
func (t *Table) Score(a packet.Addr, category uint8) (score uint8, ok bool) {
	addr := netip.AddrFrom16(a).Unmap()
	if _, listed := t.hosts[host{addr, 0}]; listed {
		return t.hosts[host{addr, category}], true
	}
	for _, bits := range t.lengths[category] {
		prefix, err := addr.Prefix(bits)
		if err != nil { // longer than the address
			continue
		}
		if score, ok = t.networks[network{prefix, category}]; ok {
			return score, true
		}
	}
	return 0, false
}
