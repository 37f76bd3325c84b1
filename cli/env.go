// Package cli has the commands of sluice. Each is built by a function that takes
// an Env, so that tests run the real command against their own terminal,
// clock and API.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Env is what a command touches of the outside world.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string

	// Which streams are terminals: prompts need the first, colours the second,
	// progress the third.
	StdinTTY, StdoutTTY, StderrTTY bool
	Width                          int // columns of the terminal of Stdout; 0: unlimited

	// Of commands that own the terminal for a while; nil without one.
	Screen func() (columns, lines int)        // how large the terminal of Stdout is now
	Keys   func() (restore func(), err error) // has Stdin hand over keys at once, and not show them

	Now     func() time.Time
	Sleep   func(ctx context.Context, d time.Duration) error // returns ctx's error when that ends first
	Connect func(ctx context.Context, o ConnectOptions) (API, error)
}

// System is the Env of this process; connect reaches the API.
func System(connect func(context.Context, ConnectOptions) (API, error)) Env {
	e := Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv:   os.Getenv,
		StdinTTY: columns(os.Stdin) >= 0, StdoutTTY: columns(os.Stdout) >= 0, StderrTTY: columns(os.Stderr) >= 0,
		Width:   max(columns(os.Stdout), 0),
		Now:     time.Now,
		Sleep:   sleep,
		Connect: connect,
	}
	if e.StdoutTTY {
		e.Screen = func() (int, int) { return screen(os.Stdout) }
	}
	if e.StdinTTY {
		e.Keys = func() (func(), error) { return keyMode(os.Stdin) }
	}
	return e
}

// screen is the size of a terminal, zeros when it does not tell.
func screen(f *os.File) (columns, lines int) {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, 0
	}
	return int(ws.Col), int(ws.Row)
}

// keyMode turns off line editing and echo; Ctrl-C still interrupts.
func keyMode(f *os.File) (restore func(), err error) {
	fd := int(f.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read the terminal's mode: %w", err)
	}
	keys := *before
	keys.Lflag &^= unix.ICANON | unix.ECHO
	keys.Cc[unix.VMIN], keys.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &keys); err != nil {
		return nil, fmt.Errorf("set the terminal's mode: %w", err)
	}
	return func() { unix.IoctlSetTermios(fd, unix.TCSETS, before) }, nil
}

// columns is the width of a terminal, 0 when it does not tell, or -1 when f is none.
func columns(f *os.File) int {
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return -1
	}
	return int(ws.Col)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// colour says whether Stdout may have colours; see no-color.org.
func (e Env) colour() bool {
	return e.StdoutTTY && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}
