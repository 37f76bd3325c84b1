package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/config"
)

// newKeys returns the command that prints how clients reach this installation.
func newKeys(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Print the environment that makes AWS clients use this installation",
		Example: `  eval "$(sluice keys)"
  aws network-firewall list-firewalls`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.Stdout, clientEnvironment(c, c.API.Listen))
			return err
		},
	}
	addConfigFlags(cmd.Flags())
	return cmd
}

// clientEnvironment is a shell command after which AWS's command line, SDKs
// and "sluice flows" call the API that listens on address.
func clientEnvironment(c *config.Config, address string) string {
	vars := [][2]string{
		{"AWS_ENDPOINT_URL_NETWORK_FIREWALL", clientURL(address)},
		{"AWS_REGION", c.Region},
		{"AWS_DEFAULT_REGION", c.Region}, // what botocore reads
	}
	if c.API.Dev {
		vars = append(vars, [2]string{"AWS_ACCESS_KEY_ID", "dev"}, [2]string{"AWS_SECRET_ACCESS_KEY", "dev"})
	} else {
		vars = append(vars, [2]string{"AWS_SHARED_CREDENTIALS_FILE", c.CredentialsFile()})
	}
	var b strings.Builder
	b.WriteString("export")
	for _, v := range vars {
		b.WriteString(" " + v[0] + "=" + shellQuote(v[1]))
	}
	return b.String()
}

// clientURL is where clients on this machine reach a listener.
func clientURL(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if a, err := netip.ParseAddr(host); err != nil || a.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// shellQuote quotes s for POSIX shells if it needs that.
func shellQuote(s string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:[]", r)
	}
	if strings.TrimFunc(s, safe) == "" && !strings.ContainsAny(s, "[]") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
