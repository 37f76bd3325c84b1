package detect

import (
	"math"
	"testing"

	"github.com/sluicefw/sluice/engine/applayer"
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

// TestFileSizes: of a file that may still grow only what has no upper end can be said.
func TestFileSizes(t *testing.T) {
	for _, test := range []struct {
		want     rule.Numbers
		size     uint64
		is, open bool
	}{
		{rule.Numbers{From: 10, To: 10}, 10, true, false},
		{rule.Numbers{To: 10}, 10, true, false},
		{rule.Numbers{From: 10, To: math.MaxUint64}, 10, true, true},
		{rule.Numbers{From: 11, To: math.MaxUint64}, 10, false, false},
		{rule.Numbers{From: 11, To: math.MaxUint64, Negated: true}, 10, true, false},
	} {
		if is, open := sizeIn(test.want, test.size), sizeIn(test.want, test.size|applayer.Growing); is != test.is || open != test.open {
			t.Errorf("%d in %+v: %v, while open %v; want %v, %v", test.size, test.want, is, open, test.is, test.open)
		}
	}
}
