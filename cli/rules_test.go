package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rulesRun runs sluice rules in testdata/rules.
func rulesRun(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir("testdata/rules")
	var out, errs bytes.Buffer
	env := Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: time.Now}
	code = Execute(context.Background(), env, NewRoot(env, NewRules(env)), append([]string{"rules"}, args...))
	return code, out.String(), errs.String()
}

func TestRulesGolden(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
	}{
		"check.txt":   {[]string{"check", "--var", "HOME_NET=10.0.0.0/8", "check.rules"}, ExitError},
		"check.json":  {[]string{"check", "--json", "check.rules"}, ExitError},
		"explain.txt": {[]string{"explain", "check.rules"}, ExitError},
		"revs.txt":    {[]string{"check", "revs.rules"}, ExitError},
		"sets.txt":    {[]string{"check", "lists/sets.rules"}, ExitError},
	} {
		t.Run(name, func(t *testing.T) {
			code, got, _ := rulesRun(t, "", test.args...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(filepath.Clean(name))
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestRulesCodes(t *testing.T) {
	const fine, doubtful = `alert tcp any any -> any any (flow:established; content:"evil"; sid:1;)`, `drop tcp any any -> any 443 (sid:1;)`
	for _, test := range []struct {
		rules string
		args  []string
		code  int
	}{
		{fine, []string{"check", "-"}, ExitOK},
		{doubtful, []string{"check", "-"}, ExitOK},
		{doubtful, []string{"check", "--strict", "-"}, ExitError},
		{"nonsense", []string{"check", "-"}, ExitError},
		{fine, []string{"check"}, ExitUsage},
		{fine, []string{"check", "--order", "none", "-"}, ExitUsage},
		{fine, []string{"check", "--var", "x", "-"}, ExitUsage},
		{fine, []string{"check", "missing.rules"}, ExitError},
		{fine, []string{"explain", "-"}, ExitOK},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			if code, out, errs := rulesRun(t, test.rules, test.args...); code != test.code {
				t.Errorf("%s: exit code %d, want %d\n%s%s", test.rules, code, test.code, out, errs)
			}
		})
	}
}

// TestRulesJSON: no findings are a list, too.
func TestRulesJSON(t *testing.T) {
	_, out, _ := rulesRun(t, `alert ip any any -> any any (sid:1;)`, "check", "--json", "-")
	var v struct {
		Rules    int
		Findings []struct{ Code string }
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Rules != 1 || v.Findings == nil {
		t.Errorf("%s: %+v, %v", out, v, err)
	}
}
