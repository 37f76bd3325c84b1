package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/internal/mmdbtest"
)

func TestReplayCountries(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{
		"my.rules":       `alert tcp any any -> any any (content:"hello"; geoip:dst,NL; sid:1;)` + "\n" + `alert tcp any any -> any any (content:"world"; geoip:dst,NL; sid:2;)`,
		"countries.mmdb": string(mmdbtest.Countries(map[string]string{"192.0.2.0/24": "NL"})),
		"policy.json": `{"StatelessDefaultActions": ["aws:forward_to_sfe"], "StatelessFragmentDefaultActions": ["aws:forward_to_sfe"],
			"StatefulRuleGroupReferences": [{"ResourceArn": "group"}]}`,
		"group.json": `{"RuleGroupName": "group", "Type": "STATEFUL", "Capacity": 10, "RuleGroup": {"RulesSource": {"RulesString":
			"alert tcp any any -> any any (content:\"hello\"; geoip:dst,NL; sid:1;)"}}}`,
	})
	homeNet, database := []string{"--var", "HOME_NET=10.0.0.0/8"}, []string{"--geoip-database", filepath.Join(dir, "countries.mmdb")}
	for _, by := range [][]string{{"--rules", filepath.Join(dir, "my.rules")}, {"--policy", dir}} {
		by = append(by, homeNet...)
		v := readReplay(t, append(append(by, database...), capture)...)
		if v.Alerts[1] != 1 || v.Alerts[2] != 0 {
			t.Errorf("%s: alerts %v", by[0], v.Alerts)
		}
		if code, _, stderr := replay(t, append(by, capture)...); code != 1 || !strings.Contains(stderr, "geoip needs a database of countries; name one with --geoip-database") {
			t.Errorf("%s without a database: %d, %s", by[0], code, stderr)
		}
		if code, _, stderr := replay(t, append(by, "--geoip-database", filepath.Join(dir, "my.rules"), capture)...); code != 1 || !strings.Contains(stderr, "open the database of countries") {
			t.Errorf("%s with something else: %d, %s", by[0], code, stderr)
		}
	}
}

func TestReplayReputation(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{
		"my.rules":   `drop ip any any -> any any (iprep:dst,Bad,>,30; sid:1;)` + "\n" + `alert ip any any -> any any (iprep:src,Good,isset; sid:2;)`,
		"categories": "1,Bad,known to attack\n2,Good,known not to\n",
		"list":       "192.0.2.0/24,1,31\n",
		"broken":     "192.0.2.0/24,1\n",
	})
	path := func(name string) string { return filepath.Join(dir, name) }
	v := readReplay(t, "--rules", path("my.rules"), "--mode", "ips", "--reputation-categories", path("categories"), "--reputation", path("list"), capture)
	if v.Passed != 0 || v.Alerts[1] == 0 || v.Alerts[2] != 0 {
		t.Errorf("%d packets passed, alerts %v", v.Passed, v.Alerts)
	}
	for _, tc := range []struct {
		flags []string
		code  int
		says  string
	}{
		{nil, ExitError, "iprep needs lists of reputation"},
		{[]string{"--reputation", path("list")}, ExitUsage, "belong together"},
		{[]string{"--reputation-categories", path("categories"), "--reputation", path("broken")}, ExitError, "broken:1: write an entry as"},
	} {
		if code, _, stderr := replay(t, append(tc.flags, "--rules", path("my.rules"), capture)...); code != tc.code || !strings.Contains(stderr, tc.says) {
			t.Errorf("%v: %d, %s", tc.flags, code, stderr)
		}
	}
}
