package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// BuildInfo says which source a binary was built from.
type BuildInfo struct {
	Version  string // of the module, or "devel"
	Revision string // of the version control system; "" when unknown
	Modified bool   // the source had changes which were not committed
	Go       string // version of the compiler
	Platform string // "linux/amd64"
}

// ReadBuild returns what the Go tool has recorded in this binary.
func ReadBuild() BuildInfo {
	b := BuildInfo{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the build in one line.
func (b BuildInfo) String() string {
	s := "sluice " + b.Version
	if b.Revision != "" {
		s += " " + b.Revision
		if b.Modified {
			s += "+changes"
		}
	}
	return s + " " + b.Go + " " + b.Platform
}

// NewVersion returns the command that prints b.
func NewVersion(env Env, b BuildInfo) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print what this binary was built from",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(env.Stdout, b)
			return err
		},
	}
}
