package detect

import (
	"bufio"
	stdbase64 "encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/sluicefw/sluice/rule"
)

const (
	setMemcap = 100 << 20 // of a data set whose rules give none, as Suricata's default
	setEntry  = 64        // what an entry is taken to hold beside its value
)

// dataSet is what dataset and datarep look into. Rules share sets by name.
type dataSet struct {
	kind   rule.SetType
	memcap uint64

	mu     sync.RWMutex
	used   uint64 // bytes, as memcap counts them
	values map[string]uint16
}

// fits says whether a set of this type can hold a value.
func (d *dataSet) fits(value []byte) bool {
	switch d.kind {
	case rule.SetMD5:
		return len(value) == 16
	case rule.SetSHA256:
		return len(value) == 32
	case rule.SetIPv4:
		return len(value) == 4
	case rule.SetIP:
		return len(value) == 4 || len(value) == 16
	}
	return len(value) > 0
}

func (d *dataSet) find(value []byte) (rep uint16, found bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	rep, found = d.values[string(value)]
	return rep, found
}

// add says whether the value is new. A full set takes no more.
func (d *dataSet) add(value []byte, rep uint16) bool {
	if _, found := d.find(value); found || !d.fits(value) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	cost := uint64(len(value)) + setEntry
	if _, found := d.values[string(value)]; found || d.used+cost > d.memcap {
		return false
	}
	d.used += cost
	d.values[string(value)] = rep
	return true
}

// remove says whether the value was there.
func (d *dataSet) remove(value []byte) bool {
	if _, found := d.find(value); !found {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	_, found := d.values[string(value)]
	if found {
		d.used -= uint64(len(value)) + setEntry
		delete(d.values, string(value))
	}
	return found
}

// load reads a list: a value on each line, and after a comma its reputation.
func (d *dataSet) load(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text, repText, hasRep := strings.Cut(strings.TrimSpace(lines.Text()), ",")
		if text == "" {
			continue
		}
		value, err := d.parse(text)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		var rep uint64
		if hasRep {
			if rep, err = strconv.ParseUint(repText, 10, 16); err != nil {
				return fmt.Errorf("line %d: the reputation after the comma is a number from 0 to 65535", n)
			}
		}
		if !d.add(value, uint16(rep)) {
			if _, found := d.find(value); !found {
				return fmt.Errorf("line %d: the set holds %d bytes at most; give it a larger memcap", n, d.memcap)
			}
		}
	}
	return lines.Err()
}

// parse reads a value as lists have them.
func (d *dataSet) parse(text string) (value []byte, err error) {
	switch d.kind {
	case rule.SetMD5, rule.SetSHA256:
		if value, err = hex.DecodeString(text); err != nil || !d.fits(value) {
			return nil, errors.New("that is no such hash in hexadecimal digits")
		}
	case rule.SetIPv4, rule.SetIP:
		a, err := netip.ParseAddr(text)
		value = a.Unmap().AsSlice()
		if err != nil || !d.fits(value) {
			return nil, errors.New("that is no such address")
		}
		return value, nil
	default:
		if value, err = stdbase64.StdEncoding.DecodeString(text); err != nil || !d.fits(value) {
			return nil, errors.New("strings are written in base64")
		}
	}
	return value, nil
}

// dataSets are the sets of one program.
type dataSets struct {
	open   func(name string) (io.ReadCloser, error)
	byName map[string]*dataSet
}

// get returns the set that a rule means. The first rule that names a set makes it. With
// no receiver no file is read, and nothing is known of what other rules say.
func (s *dataSets) get(o *rule.SetOptions) (*dataSet, error) {
	if o.Save != "" || o.State != "" {
		return nil, unsupported("data sets are kept in memory only in this version; leave save and state out")
	}
	if s == nil {
		return &dataSet{}, nil
	}
	if d := s.byName[o.Name]; d != nil {
		if o.Type != rule.SetTypeUnset && o.Type != d.kind {
			return nil, fmt.Errorf("data set %q has another type in an earlier rule; give it one type", o.Name)
		}
		return d, nil
	}
	if o.Type == rule.SetTypeUnset {
		return nil, fmt.Errorf("no rule before this one says what data set %q holds; add a type, as in type string", o.Name)
	}
	d := &dataSet{kind: o.Type, memcap: o.Memcap, values: map[string]uint16{}}
	if d.memcap == 0 {
		d.memcap = setMemcap
	}
	if o.Load != "" {
		if err := s.load(d, o.Load); err != nil {
			return nil, err
		}
	}
	s.byName[o.Name] = d
	return d, nil
}

func (s *dataSets) load(d *dataSet, name string) error {
	if s.open == nil {
		return unsupported("rules read no files here; leave load out")
	}
	f, err := s.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := d.load(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// inSet is dataset. What adds or removes holds only where it changed the set.
type inSet struct {
	set *dataSet
	op  rule.BitOp
}

func (*inSet) place() place { return placeNone }

func (s *inSet) match(m *matcher, prev int, rest []step) bool {
	if len(m.buf.data) == 0 {
		return false
	}
	var ok bool
	switch s.op {
	case rule.BitSet:
		ok = s.set.add(m.buf.data, 0)
	case rule.BitUnset:
		ok = s.set.remove(m.buf.data)
	case rule.BitIsSet:
		_, ok = s.set.find(m.buf.data)
	case rule.BitIsNotSet:
		_, ok = s.set.find(m.buf.data)
		ok = !ok
	}
	return ok && m.next(rest, prev)
}

// reputation is datarep.
type reputation struct {
	set  *dataSet
	op   byte
	than uint16
}

func (*reputation) place() place { return placeNone }

func (s *reputation) match(m *matcher, prev int, rest []step) bool {
	rep, ok := s.set.find(m.buf.data)
	switch s.op {
	case '<':
		ok = ok && rep < s.than
	case '>':
		ok = ok && rep > s.than
	default:
		ok = ok && rep == s.than
	}
	return ok && m.next(rest, prev)
}
