package geoip

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/internal/mmdbtest"
)

func write(t testing.TB, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "countries.mmdb")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCountry(t *testing.T) {
	db, err := Open(write(t, mmdbtest.Countries(map[string]string{
		"192.0.2.0/24": "NL", "198.51.100.0/25": "US", "198.51.100.128/32": "NL", "203.0.113.0/24": "", "2001:db8::/32": "JP",
	})))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"192.0.2.0": "NL", "192.0.2.255": "NL", "192.0.3.0": "", "198.51.100.127": "US", "198.51.100.128": "NL", "198.51.100.129": "",
		"203.0.113.1": "", "2001:db8::1": "JP", "2001:db9::1": "",
	} {
		a := packet.Addr(netip.MustParseAddr(addr).As16())
		code, ok := db.Country(a)
		if ok != (want != "") || ok && string(code[:]) != want {
			t.Errorf("%s: %q, %v; want %q", addr, code, ok, want)
		}
		if n := testing.AllocsPerRun(100, func() { db.Country(a) }); n != 0 {
			t.Errorf("%s: a look-up allocates %v times", addr, n)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct{ file, says string }{
		"no file":      {filepath.Join(t.TempDir(), "none"), "open the database of countries"},
		"no database":  {write(t, []byte("hello")), "open the database of countries"},
		"no countries": {write(t, mmdbtest.Countries(map[string]string{"192.0.2.0/24": ""})), "GeoLite2-Country.mmdb"},
	} {
		if db, err := Open(tc.file); err == nil || db != nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOpen: no file makes opening or asking panic.
func FuzzOpen(f *testing.F) {
	f.Add(mmdbtest.Countries(map[string]string{"192.0.2.0/24": "NL", "2001:db8::/32": "JP"}))
	f.Add([]byte("\xab\xcd\xefMaxMind.com"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		db, err := Open(write(t, data))
		if err != nil {
			return
		}
		for _, a := range []string{"192.0.2.1", "2001:db8::1", "::"} {
			db.Country(netip.MustParseAddr(a).As16())
		}
	})
}
