package rule

import "fmt"

// Error is a mistake in the text of a rule.
type Error struct {
	Line, Col int    // where, from 1; Col counts bytes
	Msg       string // what is wrong and what would be right, one sentence
	Rule      string // the rule as read, continuations resolved
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Col, e.Msg)
}

// fault is a mistake at an offset of the text at hand; whoever knows where
// that text stands in the source makes an Error of it.
type fault struct {
	off int
	msg string
}

func faultf(off int, format string, args ...any) *fault {
	return &fault{off, fmt.Sprintf(format, args...)}
}

// shift moves a fault found in a part of the text that starts at off.
func (f *fault) shift(off int) *fault {
	if f != nil {
		f.off += off
	}
	return f
}

// clip shortens text of the user for a message.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
