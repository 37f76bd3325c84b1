package oracle

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicefw/sluice/engine/detect"
	"github.com/sluicefw/sluice/rule"
)

// requiredSyntax is how much of the generated rules both must take, or both refuse, in percent.
const requiredSyntax = 99

// TestRuleSyntax writes rules with every keyword, spoils a third of them, and compares
// which of them Suricata and Sluice take. A rule that Sluice understands and says it cannot
// run counts as taken. It is run as TestAgreement is; SLUICE_RULES is how many rules there are.
//
// Sluice is stricter on purpose where Suricata passes over what it does not understand (a line
// that begins with a space, an option without ), what follows a number, an unknown word of
// urilen, threshold or dataset), and takes what AWS documents (the protocol ssl, capitals in
// protocols, a negated http.method of a space) or later versions have (threshold's by_flow,
// names of flowints of one letter). Such rules are not made but by chance.
func TestRuleSyntax(t *testing.T) {
	suricata := needSuricata(t)
	seed, r := seeded(t)
	n := int(number("SLUICE_RULES", 3000))
	rules := make([]string, n)
	for i := range rules {
		rules[i] = syntaxRule(r, i+1)
	}
	theirs := testRules(t, suricata, rules)
	same, shown := 0, 0
	for i, text := range rules {
		ours := refusal1(text)
		switch why, refused := theirs[i+1]; {
		case refused == (ours != ""):
			same++
			continue
		case shown == 60:
			continue
		case refused:
			t.Logf("only Suricata refuses: %s\n\t%s", text, why)
		default:
			t.Logf("only Sluice refuses: %s\n\t%s", text, ours)
		}
		shown++
	}
	share := 100 * float64(same) / float64(n)
	t.Logf("SLUICE_SEED=%d: %d of %d rules taken or refused alike: %.2f%%", seed, same, n, share)
	if share < requiredSyntax {
		t.Errorf("agreement is below %d%%", requiredSyntax)
	}
}

// TestKeywordNames compares the list of keywords with Suricata's.
func TestKeywordNames(t *testing.T) {
	suricata := needSuricata(t)
	list, err := exec.CommandContext(t.Context(), suricata, "--list-keywords=csv").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		// template2 is there for those who write keywords.
		if name, _, ok := strings.Cut(line, ";"); ok && name != "name" && name != "template2" {
			if _, known := rule.Known(name); !known {
				t.Errorf("keyword %s is not known", name)
			}
		}
	}
}

// testRules lets Suricata load rules, and returns the lines that it refuses with the reason.
func testRules(t *testing.T, suricata string, rules []string) map[int]string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "rules")
	writeFile(t, file, rules)
	config, err := filepath.Abs("testdata/suricata.yaml")
	if err != nil {
		t.Fatal(err)
	}
	output, _ := exec.CommandContext(t.Context(), suricata, "-T", "-c", config, "-S", file, "-l", dir).CombinedOutput()
	refused := refusals("suricata", string(output))
	// The reasons stand in the lines before.
	reasons, last := map[string]string{}, ""
	for line := range strings.Lines(string(output)) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "error parsing signature") {
			reasons[line], last = last, ""
		} else {
			last = strings.TrimPrefix(last+"; "+line, "; ")
		}
	}
	for i, line := range refused {
		refused[i] = reasons[strings.TrimSpace(line)]
	}
	return refused
}

// refusal1 says why Sluice does not take a rule, or "".
func refusal1(text string) string {
	r, err := rule.Parse(text)
	if err != nil {
		return err.Error()
	}
	var wrong *detect.Error
	if err := detect.Check(r, syntaxVariables{}, detect.Options{}); errors.As(err, &wrong) && !wrong.Unsupported {
		return wrong.Error()
	}
	return ""
}

// syntaxVariables are those of testdata/suricata.yaml.
type syntaxVariables struct{}

func (syntaxVariables) Addrs(name string) (rule.Addrs, bool) {
	value, ok := map[string]string{"HOME_NET": "[10.0.0.0/8]", "EXTERNAL_NET": "!$HOME_NET"}[name]
	if !ok {
		return rule.Addrs{}, false
	}
	a, err := rule.ParseAddrs(value)
	return a, err == nil
}

func (syntaxVariables) Ports(name string) (rule.Ports, bool) {
	if name != "HTTP_PORTS" {
		return rule.Ports{}, false
	}
	p, err := rule.ParsePorts("80")
	return p, err == nil
}
