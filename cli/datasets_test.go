package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What one replay saves, the next one knows.
func TestReplayDataSets(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{
		"my.rules": `alert tcp any any -> any 8000 (flow:established,to_server; ip.dst; dataset:set,servers,type ipv4,state servers.lst; sid:1;)` + "\n" +
			`alert tcp any any -> any 8000 (flow:established,to_server; ip.src; dataset:set,clients,type ip,save by/hand/clients.lst; sid:2;)` + "\n" +
			`alert tcp any any -> any 8000 (flow:established,to_server; ip.dst; dataset:isset,listed,type ip,load near.lst; sid:3;)`,
		"near.lst": "192.0.2.1\n",
	})
	data := filepath.Join(dir, "data")
	args := []string{"--rules", filepath.Join(dir, "my.rules"), "--data-dir", data, capture}
	v := readReplay(t, args...)
	if v.Alerts[1] != 1 || v.Alerts[2] != 1 || v.Alerts[3] == 0 {
		t.Errorf("alerts of the first run: %v", v.Alerts)
	}
	for name, want := range map[string]string{"servers.lst": "192.0.2.1\n", "by/hand/clients.lst": "10.0.0.1\n"} {
		if got, err := os.ReadFile(filepath.Join(data, name)); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
	if v := readReplay(t, args...); v.Alerts[1] != 0 || v.Alerts[2] != 1 {
		t.Errorf("alerts of the second run: %v", v.Alerts)
	}
}

func TestReplayDataSetsThatCannotBeSaved(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{
		"my.rules": `alert tcp any any -> any any (ip.dst; dataset:set,servers,type ipv4,save taken; sid:1;)`,
		"away":     `alert tcp any any -> any any (ip.dst; dataset:set,servers,type ipv4,save ../taken; sid:1;)`,
	})
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(filepath.Join(data, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	for rules, says := range map[string]string{
		"my.rules": `save data set "servers" to taken: in ` + data + `: put the new file in place:`,
		"away":     `data sets are saved below one directory; "../taken" leads out of it`,
	} {
		code, _, stderr := replay(t, "--rules", filepath.Join(dir, rules), "--data-dir", data, capture)
		if code != ExitError || !strings.Contains(stderr, says) {
			t.Errorf("%s: %d, %s", rules, code, stderr)
		}
	}
	// Who only looks at rules writes nothing, so nothing fails.
	if code, out, errs := rulesRun(t, "", "check", "--data-dir", data, filepath.Join(dir, "my.rules")); code != ExitOK {
		t.Errorf("rules check: %d, %s%s", code, out, errs)
	}
}

// A policy may use what AWS refuses where its gateway lets it.
func TestReplayPolicyBeyondAWS(t *testing.T) {
	dir, capture := replayFiles(t, map[string]string{
		"policy.json": `{"StatelessDefaultActions": ["aws:forward_to_sfe"], "StatelessFragmentDefaultActions": ["aws:forward_to_sfe"],
			"StatefulRuleGroupReferences": [{"ResourceArn": "group"}]}`,
		"group.json": `{"RuleGroupName": "group", "Type": "STATEFUL", "Capacity": 10, "RuleGroup": {"RulesSource": {"RulesString":
			"alert tcp any any -> any any (content:\"hello\"; ip.dst; dataset:isset,listed,type ip,load near.lst; sid:1;)\nalert tcp any any -> any any (content:\"world\"; ip.src; dataset:set,seen,type ip,state seen.lst; sid:2;)\nalert ip any any -> any any (iprep:dst,Bad,>,30; sid:3;)"}}}`,
		"near.lst":   "192.0.2.1\n",
		"categories": "1,Bad,known to attack\n",
		"list":       "192.0.2.0/24,1,31\n",
	})
	args := []string{"--policy", dir, "--data-dir", filepath.Join(dir, "data"), "--reputation-categories", filepath.Join(dir, "categories"), "--reputation", filepath.Join(dir, "list"), capture}
	if code, _, stderr := replay(t, args...); code != ExitError || !strings.Contains(stderr, "RuleOptions dataset is not supported") {
		t.Errorf("as on AWS: %d, %s", code, stderr)
	}
	if v := readReplay(t, append(args, "--beyond-aws")...); v.Alerts[1] != 1 || v.Alerts[2] != 1 || v.Alerts[3] == 0 {
		t.Errorf("alerts: %v", v.Alerts)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "data", "seen.lst")); err != nil || string(got) != "192.0.2.1\n" {
		t.Errorf("seen.lst has %q, %v", got, err)
	}
}
