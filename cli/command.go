package cli

import "github.com/spf13/cobra"

// What commands outside of this package need to behave like those in it.

// Usagef is an error in the command line: Execute returns ExitUsage for it.
func Usagef(format string, args ...any) error { return usagef(format, args...) }

// NoArgs refuses arguments that are no flags; see cobra.Command.Args.
func NoArgs(c *cobra.Command, args []string) error { return noArgs(c, args) }

// Group makes c a command that only holds others: alone it prints its help, and
// an unknown name below it is a usage error.
func Group(c *cobra.Command, commands ...*cobra.Command) *cobra.Command { return group(c, commands...) }
