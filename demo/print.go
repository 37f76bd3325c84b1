package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicefw/sluice/cli"
)

// printer writes text with or without colours.
type printer struct {
	w      io.Writer
	colour bool
	tty    bool // a line can be rewritten
}

func newPrinter(env cli.Env, noColor bool) *printer {
	capable := env.StdoutTTY && env.Getenv("TERM") != "dumb"
	return &printer{w: env.Stdout, colour: capable && !noColor && env.Getenv("NO_COLOR") == "", tty: capable}
}

// Attributes of text (ECMA-48 SGR).
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

// in returns text with an attribute.
func (p *printer) in(attribute, text string) string {
	if !p.colour || text == "" {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.w, format+"\n", args...) }

// pad fills text up to width columns; dots lead the eye over the gap.
func (p *printer) pad(text string, width int) string {
	gap := width - utf8.RuneCountInString(text)
	if gap < 3 {
		return text + " "
	}
	return text + " " + p.in(dim, strings.Repeat("·", gap-2)) + " "
}

// brief rounds a duration to what is worth reading.
func brief(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// plural counts things: "1 flow", "12 flows".
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return thousands(uint64(n)) + " " + thing + "s"
}

// thousands writes n with separators.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
