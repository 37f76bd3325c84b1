package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/iam"
)

// Directory is where the keys commands find users and access keys.
type Directory struct {
	*iam.Directory
	Account string       // whose users are meant unless --account says otherwise
	Close   func() error // called when the command has ended
}

// OpenDirectory opens the directory that a command's flags and environment point at.
type OpenDirectory func(ctx context.Context, c *cobra.Command) (Directory, error)

// keysCommand is what the keys commands share: one run of one of them.
type keysCommand struct {
	env  Env
	open OpenDirectory

	format  string
	account string
	user    string
}

// NewKeys returns the commands that manage users, their access keys and their
// policies, to be put below "keys".
func NewKeys(env Env, open OpenDirectory) []*cobra.Command {
	k := &keysCommand{env: env, open: open}
	return []*cobra.Command{
		group(&cobra.Command{Use: "users", Short: "Manage the users of an account"}, k.usersList(), k.usersCreate(), k.usersDelete()),
		group(&cobra.Command{Use: "policy", Short: "Manage what a user may do"}, k.policySet(), k.policyGet(), k.policyRemove()),
		k.create(), k.list(), k.enable("enable", true), k.enable("disable", false), k.remove(), k.rotate(), k.issue(),
	}
}

// command makes a command of do, which gets the open directory and the arguments.
func (k *keysCommand) command(c *cobra.Command, do func(ctx context.Context, d Directory, args []string) error) *cobra.Command {
	if c.Args == nil {
		c.Args = noArgs
	}
	fl := c.Flags()
	fl.StringVar(&k.account, "account", "", "account of 12 digits (default: that of the configuration)")
	fl.StringVarP(&k.format, "output", "o", "table", "table or json")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if k.format != "table" && k.format != "json" {
			return usagef("-o %s: choose table or json", k.format)
		}
		d, err := k.open(c.Context(), c)
		if err != nil {
			return err
		}
		defer func() {
			if cerr := d.Close(); err == nil {
				err = cerr
			}
		}()
		if k.account != "" {
			d.Account = k.account
		}
		return do(c.Context(), d, args)
	}
	return c
}

// forUser adds --user, which is required.
func (k *keysCommand) forUser(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&k.user, "user", "", "name of the user")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if k.user == "" {
			return usagef("%s needs --user", c.CommandPath())
		}
		return nil
	}
	return c
}

// oneArg takes exactly one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes one argument, %s", c.CommandPath(), what)
		}
		return nil
	}
}

// json prints v.
func (k *keysCommand) json(v any) error {
	e := json.NewEncoder(k.env.Stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows below titles.
func (k *keysCommand) table(titles []string, rows [][]string) error {
	t := table{rows: rows, colour: k.env.colour()}
	for _, title := range titles {
		t.columns = append(t.columns, column{title: title})
	}
	return t.write(k.env.Stdout)
}

// say prints what was done, unless a program reads the output.
func (k *keysCommand) say(format string, args ...any) error {
	if k.format == "json" {
		return nil
	}
	_, err := fmt.Fprintf(k.env.Stdout, format+"\n", args...)
	return err
}

// userRow is a user as scripts get it.
type userRow struct {
	Account  string   `json:"account"`
	Name     string   `json:"name"`
	ID       string   `json:"id"`
	ARN      string   `json:"arn"`
	Created  string   `json:"created"` // RFC 3339
	Policies []string `json:"policies"`
}

func userRowOf(u *iam.User) userRow {
	policies := slices.Sorted(maps.Keys(u.Policies))
	if policies == nil {
		policies = []string{} // never null in JSON
	}
	return userRow{u.Account, u.Name, u.ID, u.ARN(), u.Created.Format(time.RFC3339), policies}
}

func (k *keysCommand) usersList() *cobra.Command {
	return k.command(&cobra.Command{Use: "list", Short: "List users and the names of their policies"},
		func(ctx context.Context, d Directory, _ []string) error {
			users, err := d.Users(ctx, d.Account)
			if err != nil {
				return err
			}
			rows := []userRow{}
			var cells [][]string
			for i := range users {
				r := userRowOf(&users[i])
				rows = append(rows, r)
				cells = append(cells, []string{r.Name, r.ARN, r.Created, strings.Join(r.Policies, ", ")})
			}
			if k.format == "json" {
				return k.json(rows)
			}
			return k.table([]string{"USER", "ARN", "CREATED", "POLICIES"}, cells)
		})
}

func (k *keysCommand) usersCreate() *cobra.Command {
	admin := false
	c := k.command(&cobra.Command{
		Use: "create USER", Short: "Make a user, who may do nothing unless told so", Args: oneArg("the user's name"),
		Example: `  sluice keys users create anna
  sluice keys policy set --user anna --file policy.json
  sluice keys create --user anna`,
	}, func(ctx context.Context, d Directory, args []string) error {
		u, err := d.CreateUser(ctx, d.Account, args[0])
		if err != nil {
			return err
		}
		if admin {
			if err := d.SetPolicy(ctx, d.Account, u.Name, iam.AdministratorName, []byte(iam.Administrator)); err != nil {
				return err
			}
			u.Policies = map[string]string{iam.AdministratorName: iam.Administrator}
		}
		if k.format == "json" {
			return k.json(userRowOf(&u))
		}
		return k.say("made %s", u.ARN())
	})
	c.Flags().BoolVar(&admin, "admin", false, "attach a policy that allows everything")
	return c
}

func (k *keysCommand) usersDelete() *cobra.Command {
	return k.command(&cobra.Command{
		Use: "delete USER", Short: "Delete a user with all access keys and sessions", Args: oneArg("the user's name"),
	}, func(ctx context.Context, d Directory, args []string) error {
		if err := d.DeleteUser(ctx, d.Account, args[0]); err != nil {
			return err
		}
		return k.say("deleted user %s", args[0])
	})
}

func (k *keysCommand) policySet() *cobra.Command {
	var file, name string
	c := k.forUser(k.command(&cobra.Command{
		Use: "set", Short: "Attach a policy to a user, or replace it",
		Example: `  sluice keys policy set --user anna --file policy.json`,
	}, func(ctx context.Context, d Directory, _ []string) error {
		text, err := k.read(file)
		if err != nil {
			return err
		}
		if err := d.SetPolicy(ctx, d.Account, k.user, name, text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		return k.say("user %s has policy %s", k.user, name)
	}))
	c.Flags().StringVar(&file, "file", "-", "the policy document; - is standard input")
	policyName(c, &name)
	return c
}

// policyName adds --name: most users have one policy, and need not name it.
func policyName(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "name", "default", "name of the policy")
}

// maxDocument bounds what is read of a policy document: more than the most
// that is taken, so that the error is about its length.
const maxDocument = 1 << 20

func (k *keysCommand) read(file string) ([]byte, error) {
	in := k.env.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read the policy: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxDocument))
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	return text, nil
}

func (k *keysCommand) policyGet() *cobra.Command {
	var name string
	c := k.forUser(k.command(&cobra.Command{Use: "get", Short: "Print a policy of a user"},
		func(ctx context.Context, d Directory, _ []string) error {
			u, err := d.User(ctx, d.Account, k.user)
			if err != nil {
				return err
			}
			text, ok := u.Policies[name]
			if !ok {
				return fmt.Errorf("user %s has no policy %s; there are: %s", k.user, name, strings.Join(slices.Sorted(maps.Keys(u.Policies)), ", "))
			}
			_, err = fmt.Fprintln(k.env.Stdout, strings.TrimSuffix(text, "\n"))
			return err
		}))
	policyName(c, &name)
	return c
}

func (k *keysCommand) policyRemove() *cobra.Command {
	var name string
	c := k.forUser(k.command(&cobra.Command{Use: "rm", Short: "Take a policy from a user"},
		func(ctx context.Context, d Directory, _ []string) error {
			if err := d.DeletePolicy(ctx, d.Account, k.user, name); err != nil {
				return err
			}
			return k.say("user %s has no policy %s any more", k.user, name)
		}))
	policyName(c, &name)
	return c
}
