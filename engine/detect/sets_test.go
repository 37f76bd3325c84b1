package detect

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicefw/sluice/rule"
)

// set returns the set of that name.
func (p *RuleSet) set(t *testing.T, name string) *dataSet {
	t.Helper()
	d, ok := p.sets.byName[name]
	if !ok {
		t.Fatalf("there is no data set %q", name)
	}
	return d.dataSet
}

// roomy bounds nothing.
func roomy() *setUse { return &setUse{limit: 1 << 40} }

// All sets together hold a bounded number of bytes; what one takes up is there for others when it is gone.
func TestDataSetsShareMemory(t *testing.T) {
	opt := Options{SetMemory: 100 * (setEntry + 3)}
	p, err := compileSets(t, opt, "dns.query; dataset:set,a,type string", "dns.query; dataset:set,b,type string")
	if err != nil {
		t.Fatal(err)
	}
	fill := func(p *RuleSet, names ...string) (n int) {
		for i := range 150 {
			for _, name := range names {
				if p.set(t, name).set(fmt.Appendf(nil, "%03d", i)) {
					n++
				}
			}
		}
		return n
	}
	if n := fill(p, "a", "b"); n != 100 {
		t.Errorf("%d values have room, want 100", n)
	}
	if bytes, refused := p.SetUse(); bytes != opt.SetMemory || refused != 200 {
		t.Errorf("the sets hold %d bytes, and refused %d values", bytes, refused)
	}
	opt.Previous = p
	p, err = compileSets(t, opt, "dns.query; dataset:set,a,type string", "dns.query; dataset:set,c,type string")
	if err != nil {
		t.Fatal(err)
	}
	opt.Previous = nil
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC() // b goes with the rule set that had it
		if bytes, _ := p.SetUse(); bytes == opt.SetMemory/2 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("what a set that is gone took up is not free")
		}
	}
	if n := fill(p, "c"); n != 50 {
		t.Errorf("%d values have room, want 50", n)
	}
	if !p.set(t, "c").remove([]byte("000")) || !p.set(t, "a").set([]byte("new")) {
		t.Error("what was removed is not free")
	}
}

// Asking a set, and setting what is there, allocates nothing.
func TestDataSetAllocations(t *testing.T) {
	d := &dataSet{memcap: setMemcap, entries: newEntries(rule.SetString, roomy())}
	value := []byte("www.example.com")
	d.add(value, 1)
	for _, op := range []rule.BitOp{rule.BitSet, rule.BitIsSet, rule.BitIsNotSet} {
		m := matcher{buf: buffer{data: value}}
		step := &inSet{d, op}
		if n := testing.AllocsPerRun(100, func() { step.match(&m, 0, nil) }); n != 0 {
			t.Errorf("operation %d allocates %v times", op, n)
		}
	}
}

func TestDataSetsAreSavedAsSuricataWritesThem(t *testing.T) {
	for kind, tc := range map[string]struct {
		values []string
		want   string
	}{
		"string": {[]string{"evil.example", "\xff\xfe\x01.bin"}, "ZXZpbC5leGFtcGxl\n//4BLmJpbg==\n"},
		"md5":    {[]string{strings.Repeat("\x0a\xff", 8)}, strings.Repeat("0aff", 8) + "\n"},
		"sha256": {[]string{strings.Repeat("\x0a\xff", 16)}, strings.Repeat("0aff", 16) + "\n"},
		"ipv4":   {[]string{"\xc0\x00\x02\x01"}, "192.0.2.1\n"},
		"ip": {
			[]string{"\xc0\x00\x02\x01", "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01"},
			"2001:0db8:0000:0000:0000:0000:0000:0001\n192.0.2.1\n",
		},
	} {
		files := memoryFiles{}
		p, err := compileSets(t, Options{Files: files}, "dns.query; dataset:set,a,type "+kind+",state seen")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range tc.values {
			if !p.set(t, "a").add([]byte(v), 0) {
				t.Errorf("%s: %q was not added", kind, v)
			}
		}
		if n, err := p.SaveSets(false); n != 1 || err != nil {
			t.Errorf("%s: %d sets saved, %v", kind, n, err)
		}
		if got := files["state/seen"]; got != tc.want {
			t.Errorf("%s is written as %q, want %q", kind, got, tc.want)
		}
		again, err := compileSets(t, Options{Files: files}, "dns.query; dataset:set,a,type "+kind+",state seen")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range tc.values {
			if _, found := again.set(t, "a").find([]byte(v)); !found {
				t.Errorf("%s: %q is not in the file that was written", kind, v)
			}
		}
	}
}

func TestDataSetsAreSavedWhenTheyChange(t *testing.T) {
	files := memoryFiles{"state/a": "ZXZpbA==\n"}
	p, err := compileSets(t, Options{Files: files},
		"dns.query; dataset:set,a,type string,state a", "dns.query; dataset:set,b,type string,save b", "dns.query; dataset:set,c,type string", "dns.query; dataset:set,d,type string,save full")
	if err != nil {
		t.Fatal(err)
	}
	save := func(all bool, want int, wrong string) {
		t.Helper()
		n, err := p.SaveSets(all)
		if n != want || wrong == "" && err != nil || wrong != "" && (err == nil || err.Error() != wrong) {
			t.Errorf("%d sets were saved, want %d: %v", n, want, err)
		}
	}
	save(false, 0, "")
	p.set(t, "a").add([]byte("more"), 0)
	p.set(t, "c").add([]byte("more"), 0)
	save(false, 1, "")
	save(false, 0, "")
	p.set(t, "a").remove([]byte("evil"))
	save(false, 1, "")
	if files["state/a"] != "bW9yZQ==\n" {
		t.Errorf("a was saved as %q", files["state/a"])
	}
	p.set(t, "d").add([]byte("lost"), 0)
	const full = `save data set "d" to full: no space left on device`
	save(false, 0, full)
	save(false, 0, full) // it is tried again
	save(true, 2, full)
	if text, ok := files["state/b"]; !ok || text != "" {
		t.Errorf("b was saved as %q, %v", text, ok)
	}
}

func TestDataSetsLiveOn(t *testing.T) {
	files := memoryFiles{"names": "ZXZpbA==\n"}
	was, err := compileSets(t, Options{Files: files},
		"dns.query; dataset:set,memory,type string", "dns.query; dataset:set,saved,type string,save a", "dns.query; dataset:set,both,type string,load names,save b",
		"dns.query; dataset:set,listed,type string,load names", "dns.query; dataset:set,typed,type string", "dns.query; dataset:set,moved,type string,state c", "dns.query; dataset:set,small,type string")
	if err != nil {
		t.Fatal(err)
	}
	for name := range was.sets.byName {
		was.set(t, name).add([]byte("seen"), 0)
	}
	files["names"] = "bW9yZQ==\n"
	now, err := compileSets(t, Options{Files: files, Previous: was},
		"dns.query; dataset:isset,memory,type string", "dns.query; dataset:set,saved,type string,save a,hashsize 9", "dns.query; dataset:set,both,type string,load names,save b",
		"dns.query; dataset:set,listed,type string,load names", "dns.query; to_md5; dataset:set,typed,type md5", "dns.query; dataset:set,moved,type string,state d", "dns.query; dataset:set,small,type string,memcap 80")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"memory": true, "saved": true, "both": true, "small": true, "listed": false, "typed": false, "moved": false} {
		if _, found := now.set(t, name).find([]byte("seen")); found != want {
			t.Errorf("%s: what the old rules saw is there: %v, want %v", name, found, want)
		}
	}
	for name, want := range map[string]bool{"both": false, "listed": true} {
		if _, found := now.set(t, name).find([]byte("more")); found != want {
			t.Errorf("%s: the file was read again: %v, want %v", name, found, want)
		}
	}
	was.set(t, "memory").add([]byte("late"), 0) // by a flow that is still on the old rules
	if _, found := now.set(t, "memory").find([]byte("late")); !found {
		t.Error("the two rule sets do not share the entries")
	}
	if now.set(t, "small").add([]byte("full"), 0) || !was.set(t, "small").add([]byte("full"), 0) {
		t.Error("memcap is not each rule set's own")
	}
}

// Sets are saved while workers add to them; what was there before is in the file.
func TestDataSetsAreSavedWhileTheyChange(t *testing.T) {
	files := memoryFiles{}
	p, err := compileSets(t, Options{Files: files}, "dns.query; dataset:set,a,type string,state a")
	if err != nil {
		t.Fatal(err)
	}
	d := p.set(t, "a")
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := range 2000 {
				d.add(fmt.Appendf(nil, "%d", i), 0)
				if i%2 == w%2 {
					d.remove(fmt.Appendf(nil, "%d", i))
				}
			}
			d.add(fmt.Appendf(nil, "worker %d", w), 0)
		})
	}
	for range 20 {
		if _, err := p.SaveSets(false); err != nil {
			t.Error(err)
		}
	}
	workers.Wait()
	if _, err := p.SaveSets(false); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(files["state/a"], "\n"), len(d.all()); got != want || want < 4 {
		t.Errorf("%d values were saved, %d are there", got, want)
	}
	var used uint64
	for _, v := range d.all() {
		used += uint64(len(v)) + setEntry
	}
	if d.used.Load() != used {
		t.Errorf("the set counts %d bytes and holds %d", d.used.Load(), used)
	}
}

// FuzzSetFile: no list makes loading panic, and what was loaded is written as it can be loaded.
func FuzzSetFile(f *testing.F) {
	for _, text := range []string{"ZXZpbA==,7\n\nZ29vZA==\r\n", "192.0.2.1\n2001:db8::1,3\n::ffff:192.0.2.2", strings.Repeat("0a", 16) + "\n", strings.Repeat("0A", 32), ",\n", "!"} {
		for kind := rule.SetString; kind <= rule.SetIP; kind++ {
			f.Add(uint8(kind), text)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text string) {
		d := &dataSet{memcap: 1 << 16, entries: newEntries(rule.SetString+rule.SetType(kind%5), roomy())}
		if d.load(strings.NewReader(text)) != nil {
			return
		}
		var file strings.Builder
		if err := d.write(&file, d.all()); err != nil {
			t.Fatal(err)
		}
		again := &dataSet{memcap: 1 << 16, entries: newEntries(d.kind, roomy())}
		if err := again.load(strings.NewReader(file.String())); err != nil {
			t.Fatalf("%q was written as %q: %v", text, file.String(), err)
		}
		if got, want := fmt.Sprint(again.all()), fmt.Sprint(d.all()); got != want {
			t.Errorf("%q was loaded as %q, and then %q", text, want, got)
		}
	})
}
