package detect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/sluicefw/sluice/rule"
)

// SetFiles are the files of data sets, by the names that rules give them.
type SetFiles interface {
	// Load opens a list that the option load names.
	Load(name string) (io.ReadCloser, error)

	// State opens what Save wrote last under a name; fs.ErrNotExist is nothing yet.
	State(name string) (io.ReadCloser, error)

	// Save replaces a file, whole or not at all, by what write writes.
	Save(name string, write func(io.Writer) error) error
}

// dataSets are the sets of one rule set.
type dataSets struct {
	files    SetFiles // nil refuses those that have any
	lost     func(error)
	previous *dataSets // of the rule set before; nil is none
	byName   map[string]definedSet
	use      *setUse
}

func newDataSets(opt *Options) *dataSets {
	s := &dataSets{files: opt.Files, lost: opt.Lost, byName: map[string]definedSet{}}
	if opt.Previous != nil {
		s.previous, s.use = opt.Previous.sets, opt.Previous.sets.use
		return s
	}
	s.use = &setUse{limit: opt.SetMemory}
	if opt.SetMemory == 0 {
		s.use.limit = math.MaxUint64
	}
	return s
}

// definedSet is a set with what the first rule that names it says of it.
type definedSet struct {
	*dataSet
	rule.SetOptions
	lost bool // its file could not be read
}

// whole returns options with what they mean where they say nothing; state is load and save in one.
func whole(o rule.SetOptions) rule.SetOptions {
	if o.State != "" {
		o.Load, o.Save = o.State, o.State
	}
	if o.Memcap == 0 {
		o.Memcap = setMemcap
	}
	return o
}

// keepsEntries says whether the entries of a set live on in a rule set that defines it so.
// Those that are only loaded are loaded anew, as Suricata does when rules are reloaded.
func (d *definedSet) keepsEntries(next definedSet) bool {
	return !d.lost && d.Type == next.Type && d.Load == next.Load && d.Save == next.Save && (d.Load == "" || d.Save != "")
}

// get returns the set that a rule means. The first rule that names a set defines it; those after
// it name it only, or say the same. With no receiver no file is read, and nothing is known of
// what other rules say.
func (s *dataSets) get(o *rule.SetOptions) (*dataSet, error) {
	for _, name := range []string{o.Save, o.State} {
		if name != "" && !staysBelow(name) {
			return nil, fmt.Errorf("data sets are saved below one directory; %q leads out of it: name a file without .. or a leading /", name)
		}
	}
	if s == nil {
		return &dataSet{}, nil
	}
	said := whole(*o)
	if d, ok := s.byName[o.Name]; ok {
		switch {
		case said.Type != rule.SetTypeUnset && said.Type != d.Type:
			return nil, fmt.Errorf("data set %q has another type in an earlier rule; give it one type", o.Name)
		case (said.Load != "" || said.Save != "") && (said.Load != d.Load || said.Save != d.Save):
			return nil, fmt.Errorf("data set %q has other files in an earlier rule; name them once, or the same in every rule", o.Name)
		}
		return d.dataSet, nil
	}
	if said.Type == rule.SetTypeUnset {
		return nil, fmt.Errorf("no rule before this one says what data set %q holds; add a type, as in type string", o.Name)
	}
	d := definedSet{dataSet: &dataSet{memcap: said.Memcap, entries: newEntries(said.Type, s.use)}, SetOptions: said}
	if err := s.fill(&d); err != nil {
		return nil, err
	}
	s.byName[o.Name] = d
	return d.dataSet, nil
}

// staysBelow says whether a name cannot lead out of a directory, in the strict sense of Suricata.
func staysBelow(name string) bool {
	return !path.IsAbs(name) && !slices.Contains(strings.Split(name, "/"), "..")
}

// fill gives a new set the entries that it starts with.
func (s *dataSets) fill(d *definedSet) error {
	if s.files == nil && (d.Load != "" || d.Save != "") {
		return unsupported("rules read and write no files here; leave load, save and state out")
	}
	if d.Save != "" {
		for name, other := range s.byName {
			if other.Save == d.Save {
				return fmt.Errorf("data sets %q and %q are both saved to %s; give each a file of its own", name, d.Name, d.Save)
			}
		}
	}
	if s.previous != nil {
		if was, ok := s.previous.byName[d.Name]; ok && was.keepsEntries(*d) {
			d.entries = was.entries
			return nil
		}
	}
	if d.Load == "" {
		return nil
	}
	err := s.read(d)
	if err == nil || s.lost == nil {
		return err
	}
	d.lost = true
	s.lost(err)
	return nil
}

// read reads the file of a new set.
func (s *dataSets) read(d *definedSet) error {
	open := s.files.Load
	if d.Load == d.Save {
		open = s.files.State
	}
	f, err := open(d.Load)
	if errors.Is(err, fs.ErrNotExist) && d.Load == d.Save {
		return nil // nothing has been saved yet
	}
	if err != nil {
		return fmt.Errorf("read data set %q: %w", d.Name, err)
	}
	defer f.Close()
	if err := d.load(f); err != nil {
		return fmt.Errorf("%s: %w", d.Load, err)
	}
	d.saved = d.changes.Load()
	return nil
}

// SetUse returns what the data sets hold, in bytes as memcap counts them, and how many values of packets
// there was no room for.
func (p *RuleSet) SetUse() (bytes, refused uint64) {
	return p.sets.use.bytes.Load(), p.sets.use.refused.Load()
}

// SaveSets writes the data sets whose rules say save or state: all of them, or those that have
// changed since they were last written. It returns how many were written. Packets go on meanwhile.
func (p *RuleSet) SaveSets(all bool) (written int, err error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.sets.byName)) {
		d := p.sets.byName[name]
		if d.Save == "" || d.lost {
			continue
		}
		switch wrote, err := d.save(p.sets.files, all); {
		case err != nil:
			errs = append(errs, fmt.Errorf("save data set %q to %s: %w", name, d.Save, err))
		case wrote:
			written++
		}
	}
	return written, errors.Join(errs...)
}

func (d *definedSet) save(files SetFiles, all bool) (wrote bool, err error) {
	d.saving.Lock()
	defer d.saving.Unlock()
	changes := d.changes.Load() // before the values are read: what comes meanwhile may be saved twice, and is not missed
	if changes == d.saved && !all {
		return false, nil
	}
	values := d.all()
	if err := files.Save(d.Save, func(out io.Writer) error { return d.write(out, values) }); err != nil {
		return false, err
	}
	d.saved = changes
	return true, nil
}
