package detect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/rule"
)

// memoryFiles are files of data sets, by name.
type memoryFiles map[string]string

func (m memoryFiles) Load(name string) (io.ReadCloser, error) {
	text, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (m memoryFiles) State(name string) (io.ReadCloser, error) { return m.Load("state/" + name) }

func (m memoryFiles) Save(name string, write func(io.Writer) error) error {
	if strings.HasPrefix(name, "full") {
		return errors.New("no space left on device")
	}
	var text strings.Builder
	err := write(&text)
	m["state/"+name] = text.String()
	return err
}

func compileSets(t *testing.T, opt Options, rules ...string) (*RuleSet, error) {
	t.Helper()
	var sources []Source
	for i, text := range rules {
		r, err := rule.Parse(fmt.Sprintf("alert dns any any -> any any (%s; sid:%d;)", text, i+1))
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, Source{Rule: r, Lookup: noVariables{}})
	}
	return Compile(sources, opt)
}

func TestDataSetFiles(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	files := memoryFiles{
		"names": "ZXZpbA==,7\n\nZ29vZA==\r\n", "hashes": hash + "\n", "addrs": "192.0.2.1\n2001:db8::1,3\n",
		"state/kept": "!\n", "broken": "ZXZpbA==\n!\n", "odd": "ZXZpbA==,70000\n",
		"long": "ZXZpbA==\n" + strings.Repeat("A", 4<<20),
	}
	for _, tc := range []struct{ rule, wrong string }{
		{"dns.query; dataset:isset,a,type string,load names", ""},
		{"dns.query; datarep:a,>,5,type string,load names", ""},
		{"dns.query; to_sha256; dataset:isset,a,type sha256,load hashes", ""},
		{"dns.query; dataset:isset,a,type ip,load addrs", ""},
		{"dns.query; dataset:isset,a,type ipv4,load addrs", "addrs: line 2: that is no such address"},
		{"dns.query; dataset:isset,a,type md5,load hashes", "hashes: line 1: that is no such hash in hexadecimal digits"},
		{"dns.query; dataset:isset,a,type string,load broken", "broken: line 2: strings are written in base64"},
		{"dns.query; dataset:isset,a,type string,load long", "long: line 2: it is too long; write one value on each line"},
		{"dns.query; dataset:isset,a,type string,load odd", "odd: line 1: the reputation after the comma is a number from 0 to 65535"},
		{"dns.query; dataset:isset,a,type string,load names,memcap 70", "names: line 3: the set holds 70 bytes at most; give it a larger memcap"},
		{"dns.query; dataset:isset,a,type string,load nowhere", `read data set "a": file does not exist`},
		{"dns.query; dataset:isset,a,type string,state nowhere", ""},
		{"dns.query; dataset:isset,a,type string,state kept", "kept: line 1: strings are written in base64"},
		{"dns.query; dataset:isset,a,type string,load kept,save kept", "kept: line 1: strings are written in base64"},
		{"dns.query; dataset:isset,a,type string,load names,save kept", ""},
		{"dns.query; dataset:set,a,type string,save a..b", ""},
		{"dns.query; dataset:set,a,type string,save /a", `data sets are saved below one directory; "/a" leads out of it: name a file without .. or a leading /`},
		{"dns.query; dataset:set,a,type string,state b/../a", `data sets are saved below one directory; "b/../a" leads out of it: name a file without .. or a leading /`},
		{"dns.query; dataset:isset,a", `no rule before this one says what data set "a" holds; add a type, as in type string`},
	} {
		_, err := compileSets(t, Options{Files: files}, tc.rule)
		var wrong *Error
		switch {
		case tc.wrong == "" && err != nil:
			t.Errorf("%s: %v", tc.rule, err)
		case tc.wrong != "" && (!errors.As(err, &wrong) || wrong.Msg != tc.wrong):
			t.Errorf("%s: %v, want %s", tc.rule, err, tc.wrong)
		}
	}
	for _, tc := range []struct{ first, second, wrong string }{
		{"set,a,type string", "isset,a", ""},
		{"set,a,type string", "isset,a,type md5", `data set "a" has another type in an earlier rule; give it one type`},
		{"set,a,type string,load names", "isset,a", ""},
		{"set,a,type string,load names", "isset,a,type string,load names,memcap 1", ""},
		{"set,a,type string,load names", "isset,a,type string,load nowhere", `data set "a" has other files in an earlier rule; name them once, or the same in every rule`},
		{"set,a,type string", "isset,a,save b", `data set "a" has other files in an earlier rule; name them once, or the same in every rule`},
		{"set,a,type string,save b", "isset,a,state b", `data set "a" has other files in an earlier rule; name them once, or the same in every rule`},
		{"set,a,type string,save b", "set,c,type string,state b", `data sets "a" and "c" are both saved to b; give each a file of its own`},
	} {
		_, err := compileSets(t, Options{Files: files}, "dns.query; dataset:"+tc.first, "dns.query; dataset:"+tc.second)
		var wrong *Error
		if tc.wrong == "" && err != nil || tc.wrong != "" && (!errors.As(err, &wrong) || wrong.Msg != tc.wrong) {
			t.Errorf("%s and then %s: %v, want %q", tc.first, tc.second, err, tc.wrong)
		}
	}
	r, err := rule.Parse("alert dns any any -> any any (dns.query; dataset:isset,a,type string,load names; sid:1;)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Compile([]Source{{Rule: r, Lookup: noVariables{}}}, Options{}); err == nil {
		t.Error("a file is loaded where nothing may be opened")
	}
	if err := Check(r, noVariables{}, Options{}); err != nil {
		t.Errorf("Check looks at files: %v", err)
	}
}

func TestDataSetOperations(t *testing.T) {
	d := &dataSet{memcap: 2 * (setEntry + 4), entries: newEntries(rule.SetString, roomy())}
	holds := func(op rule.BitOp, value string) bool {
		m := matcher{buf: buffer{data: []byte(value)}}
		return (&inSet{d, op}).match(&m, 0, nil)
	}
	for i, tc := range []struct {
		op    rule.BitOp
		value string
		want  bool
	}{
		{rule.BitIsNotSet, "evil", true}, {rule.BitIsSet, "evil", false}, {rule.BitUnset, "evil", false},
		{rule.BitSet, "evil", true}, {rule.BitSet, "evil", false}, {rule.BitIsSet, "evil", true}, {rule.BitIsNotSet, "evil", false},
		{rule.BitSet, "", false}, {rule.BitIsNotSet, "", false},
		{rule.BitSet, "more", true}, {rule.BitSet, "full", false}, {rule.BitIsSet, "full", false},
		{rule.BitUnset, "evil", true}, {rule.BitSet, "full", true}, {rule.BitIsSet, "evil", false},
	} {
		if got := holds(tc.op, tc.value); got != tc.want {
			t.Errorf("%d: operation %d with %q: %v", i, tc.op, tc.value, got)
		}
	}
	if used := d.used.Load(); used != d.memcap {
		t.Errorf("the set counts %d bytes, of %d", used, d.memcap)
	}
}

func TestReputation(t *testing.T) {
	d := &dataSet{memcap: setMemcap, entries: newEntries(rule.SetString, roomy())}
	d.add([]byte("evil"), 50)
	for _, tc := range []struct {
		op    byte
		than  uint16
		value string
		want  bool
	}{{'>', 49, "evil", true}, {'>', 50, "evil", false}, {'<', 51, "evil", true}, {'<', 50, "evil", false}, {'=', 50, "evil", true}, {'=', 49, "evil", false}, {'<', 51, "good", false}} {
		m := matcher{buf: buffer{data: []byte(tc.value)}}
		if got := (&reputation{d, tc.op, tc.than}).match(&m, 0, nil); got != tc.want {
			t.Errorf("%q %c %d: %v", tc.value, tc.op, tc.than, got)
		}
	}
}
