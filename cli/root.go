package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes of all commands.
const (
	ExitOK      = 0
	ExitError   = 1 // nothing, or not everything that was asked for, could be done
	ExitUsage   = 2 // the command line is wrong; nothing was tried
	ExitPartial = 3 // completed with errors: results may be missing
)

// exitError is an error with an exit code of its own. A nil err exits silently:
// everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usagef is an error in the command line.
func usagef(format string, args ...any) error {
	return &exitError{ExitUsage, fmt.Errorf(format, args...)}
}

// NewRoot returns the sluice command with the given sub-commands.
func NewRoot(env Env, commands ...*cobra.Command) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "sluice",
		Short: "Stateful network firewall with the API of AWS Network Firewall",
		Long: `Sluice is a stateful network firewall: packets go through it, Suricata-compatible
rules decide them, and its flows can be listed and flushed while traffic runs.

Exit codes: 0 done; 1 error; 2 wrong usage; 3 completed with errors.`,
		Example: `  sluice flows list --src 10.0.1.0/24          what runs from this subnet now
  sluice flows flush --dst 192.0.2.80          cut what runs to this host`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}, commands...)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exitError{ExitUsage, err} })
	return root
}

// group makes c a command that only holds others: alone it prints its help, and
// an unknown name below it is a usage error.
func group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	c.AddCommand(commands...)
	c.SuggestionsMinimumDistance = 2
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			hint = "; did you mean " + strings.Join(s, " or ") + "?"
		}
		return usagef("unknown command %q for %q%s", args[0], c.CommandPath(), hint)
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	return c
}

// noArgs refuses arguments that are no flags.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q", c.CommandPath(), args)
	}
	return nil
}

// Execute runs root with args, says what failed on env.Stderr, and returns the
// exit code. Commands stop early when ctx ends: pass one that ends on SIGINT.
func Execute(ctx context.Context, env Env, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	code := ExitError
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
		if exit.err == nil {
			return code
		}
	}
	fmt.Fprintf(env.Stderr, "sluice: %s\n", printable(err.Error()))
	if code == ExitUsage {
		fmt.Fprintf(env.Stderr, "See '%s --help'.\n", c.CommandPath())
	}
	return code
}
