// Package cli has the commands of sluice. Each is built by a function that takes
// an Env, so that tests run the real command against their own terminal,
// clock and API.
package cli

import (
	"context"
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

	Now     func() time.Time
	Sleep   func(ctx context.Context, d time.Duration) error // returns ctx's error when that ends first
	Connect func(ctx context.Context, o ConnectOptions) (API, error)
}

// System is the Env of this process; connect reaches the API.
func System(connect func(context.Context, ConnectOptions) (API, error)) Env {
	return Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv:   os.Getenv,
		StdinTTY: columns(os.Stdin) >= 0, StdoutTTY: columns(os.Stdout) >= 0, StderrTTY: columns(os.Stderr) >= 0,
		Width:   max(columns(os.Stdout), 0),
		Now:     time.Now,
		Sleep:   sleep,
		Connect: connect,
	}
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
