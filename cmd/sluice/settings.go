package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/config"
)

// systemFile is the configuration file when none is named, if it exists.
const systemFile = "/etc/sluice/sluice.yaml"

// configFlags are the flags that set keys of the configuration.
var configFlags = []struct{ name, key, usage string }{
	{"data-dir", "data_dir", "directory of everything that is kept"},
	{"region", "region", "Region that this installation is"},
	{"zone", "zone", "Availability Zone of this node"},
	{"listen", "api.listen", "IP address and port of the API"},
	{"log-level", "log.level", "debug, info, warn or error"},
}

// addConfigFlags adds --config and those of configFlags to a command.
func addConfigFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "configuration file (default $SLUICE_CONFIG, else "+systemFile+" if it exists)")
	for _, f := range configFlags {
		flags.String(f.name, "", f.usage)
	}
}

// loadConfig reads the configuration that a command's flags and environment
// point at. What is wrong in it is an error in the use of the command.
func loadConfig(cmd *cobra.Command) (*config.Config, error) {
	source := config.Source{Lookup: os.LookupEnv, Flags: map[string]config.Flag{}}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, c := range configFlags {
			if c.name == f.Name {
				source.Flags[c.key] = config.Flag{Name: "--" + f.Name, Value: f.Value.String()}
			}
		}
		if f.Name == devFlag {
			source.Flags["api.dev"] = config.Flag{Name: "--" + f.Name, Value: f.Value.String()}
		}
	})
	source.File, _ = cmd.Flags().GetString("config")
	if source.File == "" {
		source.File = os.Getenv("SLUICE_CONFIG")
	}
	if source.File == "" {
		if _, err := os.Stat(systemFile); !errors.Is(err, os.ErrNotExist) {
			source.File = systemFile
		}
	}
	c, err := source.Load()
	if err != nil {
		return nil, cli.Usagef("%w", err)
	}
	return c, nil
}

// newLogger writes to w as configured; process ("serve", "engine") stands in every line.
func newLogger(w io.Writer, c config.Log, process string) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		panic(err) // the configuration has been validated
	}
	options := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if c.Format == "json" {
		h = slog.NewJSONHandler(w, options)
	}
	return slog.New(h).With(slog.String("process", process))
}

// newConfig returns the commands about configuration files.
func newConfig(env cli.Env) *cobra.Command {
	check := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong in a configuration file",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.Usagef("%s takes the path of one file", c.CommandPath())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := (config.Source{File: args[0]}).Load(); err != nil {
				return err
			}
			_, err := fmt.Fprintf(env.Stdout, "%s: ok\n", args[0])
			return err
		},
	}
	keys := &cobra.Command{
		Use:   "keys",
		Short: "List the keys of a configuration file and their environment variables",
		Args:  cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, k := range config.Keys() {
				if _, err := fmt.Fprintf(env.Stdout, "%-20s %s\n", k.Name, k.Env); err != nil {
					return err
				}
			}
			return nil
		},
	}
	return cli.Group(&cobra.Command{Use: "config", Short: "Check configuration files"}, check, keys)
}
