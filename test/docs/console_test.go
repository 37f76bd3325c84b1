package docs_test

import (
	"fmt"
	"regexp"
	"strings"
)

// block is a console session of a document that is to be run.
type block struct {
	line  int    // of its first line in the document
	ready string // a URL that must answer 200 before the next block begins, or ""
	steps []step
}

// step is a command and what it prints, by the document.
type step struct {
	command string
	output  []string
}

// marker tags a block. A block that starts something in the background names
// where to see that it is up: <!-- run: ready http://127.0.0.1:4580/readyz -->.
var marker = regexp.MustCompile(`^<!-- run(?:: ready (\S+))? -->$`)

// parseBlocks finds the blocks
//
//	<!-- run -->
//	```console
//	$ command
//	> its next line
//	what it prints
//	```
//
// of a document. Everything else in it is not looked at.
func parseBlocks(text string) ([]block, error) {
	var blocks []block
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		m := marker.FindStringSubmatch(lines[i])
		if m == nil {
			if strings.HasPrefix(lines[i], "<!-- run") {
				return nil, fmt.Errorf("line %d: %q is not of the form <!-- run --> or <!-- run: ready URL -->", i+1, lines[i])
			}
			continue
		}
		if i++; i == len(lines) || lines[i] != "```console" {
			return nil, fmt.Errorf("line %d: a ```console block must follow <!-- run -->", i+1)
		}
		b := block{line: i + 2, ready: m[1]}
		for i++; ; i++ {
			if i == len(lines) {
				return nil, fmt.Errorf("line %d: the block does not end", b.line)
			}
			if lines[i] == "```" {
				break
			}
			last := len(b.steps) - 1
			if command, ok := strings.CutPrefix(lines[i], "$ "); ok {
				b.steps = append(b.steps, step{command: command})
			} else if last < 0 {
				return nil, fmt.Errorf("line %d: the block begins without a command", i+1)
			} else if more, ok := strings.CutPrefix(lines[i], "> "); (ok || lines[i] == ">") && b.steps[last].output == nil {
				b.steps[last].command += "\n" + strings.TrimPrefix(more, ">")
			} else {
				b.steps[last].output = append(b.steps[last].output, lines[i])
			}
		}
		if len(b.steps) == 0 {
			return nil, fmt.Errorf("line %d: the block has no command", b.line)
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// fleeting is what differs from run to run: UUIDs, times and durations.
var fleeting = []struct {
	pattern *regexp.Regexp
	as      string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`(\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`), "<time>"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)? ?(ns|µs|us|ms|s)\b`), "<duration>"},
}

// normal makes lines comparable: fleeting values have a fixed text, white space
// is one space, and blank lines are gone.
func normal(lines []string) []string {
	var out []string
	for _, l := range lines {
		for _, f := range fleeting {
			l = f.pattern.ReplaceAllString(l, f.as)
		}
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// differs says how what was printed departs from the document, or returns "". In
// the document "..." stands for any text in a line and, as a line of its own,
// for any lines.
func differs(document, printed []string) string {
	want, got := normal(document), normal(printed)
	// reach[i][j]: want[i:] matches got[j:].
	reach := make([][]bool, len(want)+1)
	for i := len(want); i >= 0; i-- {
		reach[i] = make([]bool, len(got)+1)
		for j := len(got); j >= 0; j-- {
			switch {
			case i == len(want):
				reach[i][j] = j == len(got)
			case want[i] == "...":
				reach[i][j] = reach[i+1][j] || j < len(got) && reach[i][j+1]
			default:
				reach[i][j] = j < len(got) && lineMatches(want[i], got[j]) && reach[i+1][j+1]
			}
		}
	}
	if reach[0][0] {
		return ""
	}
	return fmt.Sprintf("the document says\n\t%s\nand it prints\n\t%s", strings.Join(document, "\n\t"), strings.Join(printed, "\n\t"))
}

// lineMatches compares two lines; "..." of want stands for any text.
func lineMatches(want, got string) bool {
	parts := strings.Split(want, "...")
	if len(parts) == 1 {
		return want == got
	}
	for i, p := range parts {
		at := strings.Index(got, strings.TrimSpace(p))
		if at < 0 || i == 0 && !strings.HasPrefix(got, strings.TrimSpace(p)) {
			return false
		}
		got = got[at+len(strings.TrimSpace(p)):]
	}
	return parts[len(parts)-1] == "" || got == ""
}
