// Command sluice is a stateful network firewall with the API of AWS Network
// Firewall: server, packet engine and tools in one binary.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/demo"
)

// version is set by the linker: -ldflags "-X main.version=v1.2.3".
var version string

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal asks to stop in order; from then on signals end the process at once.
	context.AfterFunc(ctx, restore)
	env := cli.System(cli.Connect)
	os.Exit(cli.Execute(ctx, env, newRoot(env, readBuild()), os.Args[1:]))
}

func readBuild() cli.BuildInfo {
	b := cli.ReadBuild()
	if version != "" {
		b.Version = version
	}
	return b
}

// newRoot returns the command with all sub-commands, in the order of the manual.
func newRoot(env cli.Env, build cli.BuildInfo) *cobra.Command {
	return cli.NewRoot(env,
		newServe(env, build),
		newEngine(env, build),
		demo.New(env),
		cli.NewReplay(env),
		cli.NewRules(env),
		cli.NewFlows(env),
		newKeys(env),
		newConfig(env),
		cli.NewVersion(env, build),
	)
}
