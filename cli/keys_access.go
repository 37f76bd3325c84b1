package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/iam"
)

// credential is a new key in the form that AWS's SDKs take from a program named
// by credential_process.
type credential struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string `json:",omitempty"`
	Expiration      string `json:",omitempty"` // RFC 3339
}

// show prints a new key, at the only time that its secret is known.
func (k *keysCommand) show(c credential) error {
	if k.format == "json" {
		c.Version = 1
		return k.json(c)
	}
	vars := [][2]string{{"AWS_ACCESS_KEY_ID", c.AccessKeyID}, {"AWS_SECRET_ACCESS_KEY", c.SecretAccessKey}}
	if c.SessionToken != "" {
		vars = append(vars, [2]string{"AWS_SESSION_TOKEN", c.SessionToken})
	}
	for _, v := range vars {
		if err := k.say("export %s=%s", v[0], v[1]); err != nil {
			return err
		}
	}
	return nil
}

const secretOnce = "The secret is shown once and cannot be shown again. "

const showHelp = `Output (-o):
  table  lines for a shell to evaluate: export AWS_ACCESS_KEY_ID=...
  json   what AWS's SDKs take from a credential_process`

func (k *keysCommand) create() *cobra.Command {
	return k.forUser(k.command(&cobra.Command{
		Use: "create", Short: "Make an access key for a user, who may have two",
		Long: "Make an access key for a user, who may have two.\n" + secretOnce + "\n\n" + showHelp,
	}, func(ctx context.Context, d Directory, _ []string) error {
		key, err := d.CreateKey(ctx, d.Account, k.user)
		if err != nil {
			return err
		}
		return k.show(credential{AccessKeyID: key.ID, SecretAccessKey: key.Secret})
	}))
}

func (k *keysCommand) rotate() *cobra.Command {
	return k.forUser(k.command(&cobra.Command{
		Use: "rotate", Short: "Make a new access key for a user and disable the old ones",
		Long: `Make a new access key for a user and disable the old ones at once. For a change
without a gap make a second key (keys create), let its clients use that, then
disable the first one (keys disable).
` + secretOnce + "\n\n" + showHelp,
	}, func(ctx context.Context, d Directory, _ []string) error {
		key, err := d.RotateKey(ctx, d.Account, k.user)
		if err != nil {
			return err
		}
		return k.show(credential{AccessKeyID: key.ID, SecretAccessKey: key.Secret})
	}))
}

func (k *keysCommand) issue() *cobra.Command {
	var duration time.Duration
	c := k.forUser(k.command(&cobra.Command{
		Use: "issue", Short: "Make a temporary access key that acts as a user",
		Long: `Make a temporary access key with a session token. It acts as the user, under the
user's policies as they are at each call, until it expires or the user is
deleted. It is stored nowhere.

` + showHelp,
		Example: `  eval "$(sluice keys issue --user ci --duration 1h)"`,
	}, func(ctx context.Context, d Directory, _ []string) error {
		s, err := d.IssueSession(ctx, d.Account, k.user, duration)
		if err != nil {
			return err
		}
		return k.show(credential{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.Secret, SessionToken: s.Token, Expiration: s.Expires.Format(time.RFC3339)})
	}))
	c.Flags().DurationVar(&duration, "duration", time.Hour, "how long it is good for, "+iam.MinSession.String()+" to "+iam.MaxSession.String())
	return c
}

// keyRow is an access key as scripts get it.
type keyRow struct {
	Account string `json:"account"`
	ID      string `json:"access_key_id"`
	User    string `json:"user"`
	Enabled bool   `json:"enabled"`
	Created string `json:"created"` // RFC 3339
}

func (k *keysCommand) list() *cobra.Command {
	c := k.command(&cobra.Command{Use: "list", Short: "List access keys"},
		func(ctx context.Context, d Directory, _ []string) error {
			keys, err := d.AccessKeys(ctx, d.Account, k.user)
			if err != nil {
				return err
			}
			rows := []keyRow{}
			var cells [][]string
			for _, key := range keys {
				r := keyRow{key.Account, key.ID, key.User, key.Enabled, key.Created.Format(time.RFC3339)}
				rows = append(rows, r)
				state := "enabled"
				if !r.Enabled {
					state = "disabled"
				}
				cells = append(cells, []string{r.ID, r.User, state, r.Created})
			}
			if k.format == "json" {
				return k.json(rows)
			}
			return k.table([]string{"ACCESS KEY", "USER", "STATE", "CREATED"}, cells)
		})
	c.Flags().StringVar(&k.user, "user", "", "only those of this user")
	return c
}

func (k *keysCommand) enable(verb string, enabled bool) *cobra.Command {
	short := map[bool]string{true: "Make a disabled access key work again", false: "Make an access key stop working, at once"}[enabled]
	return k.command(&cobra.Command{Use: verb + " KEY", Short: short, Args: oneArg("the access key's id")},
		func(ctx context.Context, d Directory, args []string) error {
			if err := d.EnableKey(ctx, d.Account, args[0], enabled); err != nil {
				return err
			}
			return k.say("%sd access key %s", verb, args[0])
		})
}

func (k *keysCommand) remove() *cobra.Command {
	return k.command(&cobra.Command{Use: "delete KEY", Short: "Delete an access key", Args: oneArg("the access key's id")},
		func(ctx context.Context, d Directory, args []string) error {
			if err := d.DeleteKey(ctx, d.Account, args[0]); err != nil {
				return err
			}
			return k.say("deleted access key %s", args[0])
		})
}
