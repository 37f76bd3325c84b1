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
		"my.rules": `save data set "servers" to taken: put the new file in place:`,
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
