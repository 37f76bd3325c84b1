package detect

import (
	"testing"

	"github.com/sluicefw/sluice/rule"
)

// TestDerivedContents: the older keywords about names of files look for them in any case, and at the end where
// they are about extensions.
func TestDerivedContents(t *testing.T) {
	for _, test := range []struct {
		keyword, value, text string
		want                 bool
	}{
		{"filename", `"Report"`, "old-report.pdf", true},
		{"filename", "report", "repor.pdf", false},
		{"filename", `!"report"`, "x.pdf", true},
		{"fileext", `"pdf"`, "report.PDF", true},
		{"fileext", "pdf", ".pdf", true},
		{"fileext", "pdf", "reportpdf", false},
		{"fileext", "pdf", "x.pdf.exe", false},
		{"fileext", "!pdf", "x.pdf", false},
	} {
		args, ok, err := derived(&rule.Option{Name: test.keyword, Value: test.value})
		if !ok || err != nil || len(args) != 1 {
			t.Fatalf("%s: %v, %v, %v", test.keyword, args, ok, err)
		}
		c := args[0].(*rule.Content)
		if c.Buffer != "file.name" {
			t.Errorf("%s looks into %s", test.keyword, c.Buffer)
		}
		if got := matches(compiled([]*rule.Content{c}), []byte(test.text)); got != test.want {
			t.Errorf("%s:%s in %q: %v", test.keyword, test.value, test.text, got)
		}
	}
}
