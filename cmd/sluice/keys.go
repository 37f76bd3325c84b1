package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/config"
	"github.com/sluicefw/sluice/iam"
	"github.com/sluicefw/sluice/internal/certificate"
	"github.com/sluicefw/sluice/store"
)

// newKeys returns the command that prints how clients reach this installation.
func newKeys(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Print the environment that makes AWS clients use this installation; manage users and keys",
		Example: `  eval "$(sluice keys)"
  aws network-firewall list-firewalls`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			if err := checkCredentials(c); err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.Stdout, clientEnvironment(c, c.API.Listen))
			return err
		},
	}
	addConfigFlags(cmd.PersistentFlags())
	cmd.AddCommand(cli.NewKeys(env, openDirectory)...)
	return cmd
}

// openDirectory reaches the users of the installation that the configuration names.
func openDirectory(ctx context.Context, cmd *cobra.Command) (cli.Directory, error) {
	c, err := loadConfig(cmd)
	if err != nil {
		return cli.Directory{}, err
	}
	at := c.Store.Endpoints
	if len(at) == 0 {
		at = []string{store.SocketEndpoint(c.StoreDir())}
	}
	d, done, err := iam.Connect(ctx, at, c.SecretKeyFile())
	if err != nil {
		return cli.Directory{}, err
	}
	return cli.Directory{Directory: d, Account: c.Account, Close: done}, nil
}

// checkCredentials reports with a remedy why clients of this user could not read
// the access key that clientEnvironment points at.
func checkCredentials(c *config.Config) error {
	if c.API.Dev {
		return nil
	}
	f, err := os.Open(c.CredentialsFile())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no key at %s yet: start sluice serve first, or name its --data-dir", c.CredentialsFile())
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot read %s: permission denied: run it with sudo, or make a user's own key with 'sluice keys create --user U'", c.CredentialsFile())
	case err != nil:
		return fmt.Errorf("read the access key: %w", err)
	}
	return f.Close()
}

// clientEnvironment is a shell command after which AWS's command line, SDKs
// and "sluice flows" call the API that listens on address.
func clientEnvironment(c *config.Config, address string) string {
	vars := [][2]string{
		{"AWS_ENDPOINT_URL_NETWORK_FIREWALL", clientURL(address, c.API.TLS.Enabled())},
		{"AWS_REGION", c.Region},
		{"AWS_DEFAULT_REGION", c.Region}, // what botocore reads
	}
	if c.API.TLS.SelfSigned {
		vars = append(vars, [2]string{"AWS_CA_BUNDLE", filepath.Join(c.TLSDir(), certificate.CertFile)})
	}
	if c.API.Dev {
		vars = append(vars, [2]string{"AWS_ACCESS_KEY_ID", "dev"}, [2]string{"AWS_SECRET_ACCESS_KEY", "dev"})
	} else {
		vars = append(vars, [2]string{"AWS_SHARED_CREDENTIALS_FILE", c.CredentialsFile()})
	}
	var b strings.Builder
	if !c.API.Dev { // these go before the file
		b.WriteString("unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE; ")
	}
	b.WriteString("export")
	for _, v := range vars {
		b.WriteString(" " + v[0] + "=" + shellQuote(v[1]))
	}
	return b.String()
}

// clientURL is where clients on this machine reach a listener.
func clientURL(address string, tls bool) string {
	host, port, _ := net.SplitHostPort(address)
	if a, err := netip.ParseAddr(host); err != nil || a.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, port)
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
