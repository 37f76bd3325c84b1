package oracle

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/rule"
)

// TestRuleKinds compares how Suricata and Sluice sort the generated rules that both can run: what a
// pass or a drop decides depends on it.
func TestRuleKinds(t *testing.T) {
	suricata := needSuricata(t)
	seed, r := seeded(t)
	rules := make([]string, number("SLUICE_RULES", 3000))
	for i := range rules {
		if r.IntN(2) == 0 {
			rules[i] = randomRule(r, "alert", i+1)
		} else {
			rules[i] = syntaxRule(r, i+1)
		}
	}
	// One rule that it does not take, or takes with a warning, ends Suricata's analysis.
	for line := range testRules(t, suricata, rules) {
		rules[line-1] = ""
	}
	ours := map[int]string{}
	for i, text := range rules {
		// Suricata passes over replace where it cannot replace, as here.
		if kind := kindOf(text); kind != "" && !strings.Contains(text, "app-layer-event") && !strings.Contains(text, "replace") {
			ours[i+1] = kind
		} else {
			rules[i] = ""
		}
	}
	theirs := analysis(t, suricata, rules)
	same := 0
	for i, text := range rules {
		if text == "" {
			continue
		}
		if ours[i+1] == theirs[i+1] {
			same++
		} else if i-same < 3000 {
			t.Errorf("Suricata says %s, Sluice %s: %s", theirs[i+1], ours[i+1], text)
		}
	}
	t.Logf("SLUICE_SEED=%d: %d of %d rules are of the same kind", seed, same, len(ours))
	if len(ours) < len(rules)/4 || same < len(ours) {
		t.Errorf("%d of %d rules were compared, and %d are of the same kind", len(ours), len(rules), same)
	}
}

// kindOf returns the kind of a rule, or "" when Sluice does not run it.
func kindOf(text string) string {
	parsed, err := rule.Parse(text)
	if err != nil || parsed.Unmet != "" {
		return ""
	}
	set, err := detect.Compile([]detect.Source{{Rule: parsed, Lookup: syntaxVariables{}}}, detect.Options{})
	if err != nil {
		return ""
	}
	return set.Rules()[0].Kind.String()
}

// analysis returns the kinds of rules by their sid.
func analysis(t *testing.T, suricata string, rules []string) map[int]string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "rules")
	writeFile(t, file, rules)
	config, err := filepath.Abs("testdata/suricata.yaml")
	if err != nil {
		t.Fatal(err)
	}
	output, _ := exec.CommandContext(t.Context(), suricata, "--engine-analysis", "-c", config, "-S", file, "-l", dir).CombinedOutput()
	text, err := os.ReadFile(filepath.Join(dir, "rules.json"))
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	kinds := map[int]string{}
	for line := range bytes.Lines(text) {
		var r struct {
			ID   int
			Type string
		}
		if err := json.Unmarshal(line, &r); err == nil {
			kinds[r.ID] = r.Type
		}
	}
	return kinds
}
