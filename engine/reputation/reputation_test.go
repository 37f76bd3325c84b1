package reputation

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScore(t *testing.T) {
	table, err := Load(file(t, "categories", "# comment\n1,A,the first, with a comma\n\n2,B,the second\n"), []string{
		file(t, "one", "192.0.2.1,1,50\r\n10.0.0.1,1,0\n10.0.0.0/8, 1, 20\n10.1.2.3/16,1,30\n"),
		file(t, "two", "10.1.2.3,2,99\n10.1.0.0/16,2,10\n2001:db8::/32,1,77\n192.0.2.1,1,51\n203.0.113.0/24,1,0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := table.Category("C"); ok {
		t.Error("there is a category C")
	}
	for _, tc := range []struct {
		addr, category string
		want           int // -1 for none
	}{
		{"192.0.2.1", "A", 51}, {"192.0.2.2", "A", -1}, {"192.0.2.1", "B", 0}, // it is listed, not in B
		{"10.0.0.1", "A", 0}, {"10.0.0.2", "A", 20}, {"10.1.0.2", "A", 30}, {"10.2.0.1", "B", -1},
		{"10.1.2.3", "A", 0}, {"10.1.2.3", "B", 99}, {"10.1.2.4", "B", 10},
		{"2001:db8::1", "A", 77}, {"2001:db9::1", "A", -1}, {"a00:1::", "A", -1}, {"203.0.113.9", "A", 0},
	} {
		category, ok := table.Category(tc.category)
		if !ok {
			t.Fatalf("no category %s", tc.category)
		}
		a := netip.MustParseAddr(tc.addr).As16()
		score, ok := table.Score(a, category)
		if ok != (tc.want >= 0) || ok && int(score) != tc.want {
			t.Errorf("%s in %s: %d, %v; want %d", tc.addr, tc.category, score, ok, tc.want)
		}
		if n := testing.AllocsPerRun(100, func() { table.Score(a, category) }); n != 0 {
			t.Errorf("%s: a look-up allocates %v times", tc.addr, n)
		}
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	good := file(t, "categories", "1,A,first\n")
	for _, tc := range []struct{ categories, list, says string }{
		{"x,A,first", "", "categories:1: write a category as number,name,description"},
		{"0,A,first", "", "categories:1: write a category"}, {"60,A,first", "", "categories:1: write a category"}, {"1", "", "categories:1: write a category"},
		{"1,A,first\n2,A,second", "", `categories:2: category "A" is there twice`},
		{"", "192.0.2.1,1", "list:1: write an entry as address,category,score"},
		{"", "#\n192.0.2.1,0,1", `list:2: "0" is no category`}, {"", "192.0.2.1,60,1", `list:1: "60" is no category`},
		{"", "192.0.2.1,1,128", `list:1: "128" is no score`}, {"", "192.0.2.1,1,-1", `list:1: "-1" is no score`},
		{"", "192.0.2,1,1", `list:1: "192.0.2" is neither an address nor a network`}, {"", "fe80::1%eth0,1,1", "list:1:"},
		{"", "192.0.2.0/33,1,1", `list:1: "192.0.2.0/33" is no network`},
		{"", strings.Repeat("1", 1<<17), "list:1: "},
	} {
		categories, lists := good, []string(nil)
		if tc.categories != "" {
			categories = file(t, "categories", tc.categories)
		}
		if tc.list != "" {
			lists = []string{file(t, "list", tc.list)}
		}
		if _, err := Load(categories, lists); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%q %.40q: %v, want %s", tc.categories, tc.list, err, tc.says)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a file that is not there")
	}
}

// FuzzEntries: no list makes reading or asking panic.
func FuzzEntries(f *testing.F) {
	f.Add("192.0.2.1,1,50\n10.0.0.0/8,1,20\n2001:db8::/32,1,77\n", []byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, list string, addr []byte) {
		table := &Table{categories: map[string]uint8{}, hosts: map[host]uint8{}, networks: map[network]uint8{}}
		_ = scan(strings.NewReader(list), "list", table.addEntry) // what came before an error stays
		if len(addr) != 16 {
			return
		}
		for category := range uint8(maxCategory + 1) {
			if score, _ := table.Score([16]byte(addr), category); score > maxScore {
				t.Errorf("a score of %d", score)
			}
		}
	})
}
