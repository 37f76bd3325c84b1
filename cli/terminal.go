package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// printable replaces what could steer a terminal: text from a server or a
// packet is not trusted. Line breaks stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

// progress is one line on the terminal that is rewritten while the user waits.
// It shows nothing when stderr is no terminal, or one that
// cannot rewrite a line.
type progress struct {
	w     io.Writer // nil: silent
	now   func() time.Time
	began time.Time
	frame int
	shown bool
}

func newProgress(env Env) *progress {
	p := &progress{now: env.Now, began: env.Now()}
	if env.StderrTTY && env.Getenv("TERM") != "dumb" {
		p.w = env.Stderr
	}
	return p
}

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// eraseLine puts the cursor at the start of an empty line (ECMA-48 EL).
const eraseLine = "\r\x1b[K"

func (p *progress) show(format string, args ...any) {
	if p.w == nil {
		return
	}
	elapsed := p.now().Sub(p.began).Round(time.Second)
	fmt.Fprintf(p.w, "%s%s %s (%s)", eraseLine, spinner[p.frame%len(spinner)], printable(fmt.Sprintf(format, args...)), elapsed)
	p.frame++
	p.shown = true
}

// clear removes the line, so that something else can be written.
func (p *progress) clear() {
	if p.shown {
		io.WriteString(p.w, eraseLine)
		p.shown = false
	}
}

// confirm asks on stderr and reads one line. Only y and yes are a yes; the end
// of the input is a no.
func confirm(ctx context.Context, env Env, question string) (bool, error) {
	fmt.Fprintf(env.Stderr, "%s [y/N] ", printable(question))
	type answer struct {
		line string
		err  error
	}
	// A read from a terminal cannot be interrupted; on SIGINT it is left behind,
	// as the process is about to end.
	got := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(env.Stdin).ReadString('\n')
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		if a.err != nil && a.err != io.EOF {
			return false, fmt.Errorf("read answer: %w", a.err)
		}
		if a.err == io.EOF {
			fmt.Fprintln(env.Stderr)
		}
		yes := strings.ToLower(strings.TrimSpace(a.line))
		return yes == "y" || yes == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(env.Stderr)
		return false, ctx.Err()
	}
}
