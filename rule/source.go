package rule

import (
	"sort"
	"strings"
)

// source is the text of one rule with the places that its parts had in the
// file: lines joined by a backslash are one text.
type source struct {
	text  string
	marks []mark // ascending offsets, the first is 0
}

// mark says that the text from off on, up to the next mark, stands in line
// from its first column.
type mark struct{ off, line int }

// error makes an Error of a fault in the text.
func (s *source) error(f *fault) *Error {
	line, col := s.position(f.off)
	return &Error{Line: line, Col: col, Msg: f.msg, Rule: strings.Trim(s.text, space)}
}

func (s *source) position(off int) (line, col int) {
	i := sort.Search(len(s.marks), func(i int) bool { return s.marks[i].off > off }) - 1
	return s.marks[i].line, off - s.marks[i].off + 1
}

// rules calls yield with the text of each rule in a file, without blank lines
// and comments, until it returns false.
//
// As in Suricata, a line whose last character other than white space is a
// backslash continues in the next line, and # makes a comment only at the
// start of a rule.
func rules(text string, yield func(*source) bool) {
	var joined strings.Builder
	var marks []mark
	for n := 1; text != ""; n++ {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		trimmed := strings.Trim(line, space)
		if marks == nil && (trimmed == "" || trimmed[0] == '#') {
			continue
		}
		marks = append(marks, mark{joined.Len(), n})
		if strings.HasSuffix(trimmed, `\`) && text != "" {
			joined.WriteString(line[:strings.LastIndexByte(line, '\\')])
			continue
		}
		src := &source{text: line, marks: marks}
		if len(marks) > 1 {
			joined.WriteString(line)
			src.text = joined.String()
		}
		if !yield(src) {
			return
		}
		joined.Reset()
		marks = nil
	}
}
