package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// NewFlows returns the flows command. list, capture and a flush that asks for
// nothing more speak the AWS Network Firewall API only, so they work against AWS
// as well.
func NewFlows(env Env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "flows",
		Short: "List, watch, capture and flush the flows of a firewall",
		Long: `List, watch, capture and flush the flows that a firewall tracks now.

list, capture and flush use the AWS Network Firewall API. top and stale, and some
flags of flush, use operations that only Sluice has. All talk to the Sluice server on
this machine, unless --endpoint-url or AWS_ENDPOINT_URL names another;
--endpoint-url aws means AWS itself. Credentials and region come from where every AWS
client has them.

Exit codes: 0 done, also when nothing matched; 1 error; 2 wrong usage; 3 completed
with errors: some flows or zones may be missing.`,
	}, newList(env), newTop(env), newCapture(env), newFlush(env), newStale(env))
}

// flowsCommand is what the commands share.
type flowsCommand struct {
	env      Env
	connect  ConnectOptions
	firewall string
	zones    []string
	at       []string // endpoints
	filter   filterFlags
	format   string
	wait     time.Duration
	timeout  time.Duration
}

const (
	defaultWait    = time.Minute
	defaultTimeout = 10 * time.Minute
)

// flags defines the flags of a command that runs operations on chosen flows.
func (f *flowsCommand) flags(c *cobra.Command) {
	f.firewallFlags(c)
	f.chooseFlags(c)
	f.outputFlag(c)
	f.waitFlags(c)
	f.connectionFlags(c)
}

func (f *flowsCommand) firewallFlags(c *cobra.Command) {
	fl := c.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.firewall, "firewall", "", "name or ARN of the firewall (default: the only one there is)")
	fl.StringArrayVar(&f.zones, "zone", nil, "Availability Zone (default: all of the firewall); repeatable")
	fl.StringArrayVar(&f.at, "endpoint", nil, "instead of zones: an endpoint (vpce-...) or the ARN of an endpoint association; repeatable")
}

func (f *flowsCommand) chooseFlags(c *cobra.Command) {
	f.filter.flags(c, "")
	c.Flags().StringVar(&f.filter.minAge, "min-age", "", "leave out younger flows: seconds or a duration (5m)")
}

func (f *flowsCommand) outputFlag(c *cobra.Command) {
	c.Flags().StringVarP(&f.format, "output", "o", "table", "table, json, ndjson or csv")
}

func (f *flowsCommand) waitFlags(c *cobra.Command) {
	c.Flags().DurationVar(&f.wait, "wait", defaultWait, "how long to wait while another flow operation runs")
	c.Flags().DurationVar(&f.timeout, "timeout", defaultTimeout, "how long to wait for an operation to complete")
}

func (f *flowsCommand) connectionFlags(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.connect.Endpoint, "endpoint-url", "", `URL of the API, or "aws" (default: $AWS_ENDPOINT_URL, else `+LocalEndpoint+")")
	fl.StringVar(&f.connect.Region, "region", "", "region (default: $AWS_REGION or the profile's)")
	fl.StringVar(&f.connect.Profile, "profile", "", "profile of the AWS configuration (default: $AWS_PROFILE)")
}

const filterHelp = `Several values of one flag (repeated or with commas) are alternatives; different
flags must all hold. The source is the side that sent the flow's first packet.`

// begin checks the flags, connects and finds the firewall.
func (f *flowsCommand) begin(ctx context.Context) (*runner, *target, *selection, error) {
	if err := validFormat(f.format); err != nil {
		return nil, nil, nil, err
	}
	if err := checkPlaces(f.zones, f.at); err != nil {
		return nil, nil, nil, err
	}
	s, err := f.filter.parse()
	if err != nil {
		return nil, nil, nil, err
	}
	api, err := f.env.Connect(ctx, f.connect)
	if err != nil {
		return nil, nil, nil, err
	}
	r := &runner{env: f.env, api: api, wait: f.wait, timeout: f.timeout, progress: newProgress(f.env)}
	t, err := r.findFirewall(ctx, f.firewall, append(f.zones, f.at...))
	r.progress.clear()
	return r, t, s, err
}

func newList(env Env) *cobra.Command {
	f := &flowsCommand{env: env}
	var sort, operationID string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List the flows that match",
		Long: "List captures the flows that match, in each zone, and prints them.\n\n" +
			filterHelp + "\n\n" + outputHelp,
		Example: `  sluice flows list --src 10.0.1.0/24 --proto tcp --sort bytes --limit 10
  sluice flows list --dport 22 --min-age 1h -o ndjson | jq -r .source_address
  sluice flows list --operation 3c9a5e71-2f04-4d8b-a6b3-8e1f7d0c4a10 --zone us-east-1a`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.checkOrder(sort, limit); err != nil {
				return err
			}
			if operationID != "" && (!f.filter.empty() || f.filter.minAge != "") {
				return usagef("--operation names flows that are captured already: leave out the filters")
			}
			r, t, s, err := f.begin(c.Context())
			if err != nil {
				return err
			}
			var ops []*operation
			if operationID != "" {
				if len(t.zones) > 1 {
					return usagef("say with --zone or --endpoint where operation %s ran (%s)", operationID, strings.Join(t.zones, ", "))
				}
				op := &operation{zone: t.zones[0], id: operationID}
				op.err = r.follow(c.Context(), t, op)
				r.progress.clear()
				ops = []*operation{op}
			} else {
				ops = r.run(c.Context(), wire.FlowOperationTypeFlowCapture, t, s)
			}
			rows, total := f.order(ops, sort, limit)
			if f.format != "table" || slices.ContainsFunc(ops, (*operation).done) {
				if err := writeFlows(env, f.format, t, ops, rows); err != nil {
					return fmt.Errorf("write flows: %w", err)
				}
			}
			if f.format == "table" && slices.ContainsFunc(ops, (*operation).done) {
				shown := ""
				if len(rows) < total {
					shown = fmt.Sprintf(", %d shown", len(rows))
				}
				fmt.Fprintf(env.Stderr, "%s%s\n", count(total, ops), shown)
			}
			return f.finish(c.Context(), t, ops)
		},
	}
	f.flags(c)
	c.Flags().StringVar(&sort, "sort", "age", "age, bytes, packets, src or dst")
	c.Flags().IntVar(&limit, "limit", 0, "print at most this many flows (default: all)")
	c.Flags().StringVar(&operationID, "operation", "", "print the flows of this earlier operation; results are kept for 12 hours")
	return c
}

func (f *flowsCommand) checkOrder(sort string, limit int) error {
	if sorts[sort] == nil {
		return usagef("--sort %s: choose one of %s", sort, strings.Join(slices.Sorted(maps.Keys(sorts)), ", "))
	}
	if limit < 0 {
		return usagef("--limit %d: must not be negative", limit)
	}
	return nil
}

// order returns the first limit flows and how many there are.
func (f *flowsCommand) order(ops []*operation, sort string, limit int) ([]flowRow, int) {
	rows := flowRows(ops)
	slices.SortStableFunc(rows, sorts[sort])
	total := len(rows)
	if limit > 0 && limit < total {
		rows = rows[:limit]
	}
	return rows, total
}

func newCapture(env Env) *cobra.Command {
	f := &flowsCommand{env: env}
	c := &cobra.Command{
		Use:   "capture",
		Short: "Capture the flows that match and print the operation",
		Long: "Capture takes the flows that match, in each zone, and prints the operations.\n" +
			"Their flows are kept for 12 hours: see 'sluice flows list --operation'.\n\n" +
			filterHelp + "\n\n" + outputHelp,
		Example: `  sluice flows capture --src 10.0.1.0/24 --dport 443 --min-age 60`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, t, s, err := f.begin(c.Context())
			if err != nil {
				return err
			}
			ops := r.run(c.Context(), wire.FlowOperationTypeFlowCapture, t, s)
			if err := f.writeOperations(t, ops); err != nil {
				return fmt.Errorf("write operations: %w", err)
			}
			return f.finish(c.Context(), t, ops)
		},
	}
	f.flags(c)
	return c
}

func (f *flowsCommand) writeOperations(t *target, ops []*operation) error {
	rows := operationRows(ops)
	switch f.format {
	case "json":
		return writeJSON(f.env.Stdout, t, ops, flowRows(ops))
	case "ndjson":
		return writeLines(f.env.Stdout, rows)
	case "csv":
		return writeCSV(f.env.Stdout, operationColumns, rows, (*operationRow).record)
	}
	tab := table{colour: f.env.colour(), columns: []column{{title: "ZONE"}, {title: "FLOWS", right: true}, {title: "STATUS"}, {title: "OPERATION"}}}
	for _, r := range rows {
		if r.ID == "" {
			r.ID, r.Status = "-", "NOT STARTED"
		}
		tab.rows = append(tab.rows, []string{r.Zone, fmt.Sprint(r.Flows), r.Status, r.ID})
	}
	return tab.write(f.env.Stdout)
}

func newFlush(env Env) *cobra.Command {
	f := &flowsCommand{env: env}
	var yes, all, dryRun bool
	var own ownFlags
	c := &cobra.Command{
		Use:   "flush",
		Short: "Flush the flows that match",
		Long: `Flush ends the flows that match, at once, in each zone. Packets of a flushed TCP
flow meet the policy's stream exception policy; a new connection is decided by the
rules of today. A flush cannot be cancelled or undone.

On a terminal flush first captures the flows and asks; scripts say --yes. Flows
that begin between the question and the flush may be flushed as well.

The flags --protect-..., --both-directions and --exception use an operation that
only Sluice has; without them, flush uses AWS's.

` + filterHelp + "\n\n" + outputHelp + `
The flows written are those that were flushed (with --dry-run: would be). As a table
only their number is printed.`,
		Example: `  sluice flows flush --src 10.0.1.0/24 --dport 443
  sluice flows flush --dst 192.0.2.80 --yes -o json
  sluice flows flush --all --zone us-east-1a --dry-run
  sluice flows flush --dport 443 --protect-src 10.0.9.0/24 --exception reject`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.filter.empty() && !all:
				return usagef("say which flows: --src, --dst, --sport, --dport, --proto, or --all for all of them")
			case !f.filter.empty() && all:
				return usagef("--all and filters exclude each other")
			case !yes && !dryRun && !(env.StdinTTY && env.StderrTTY):
				return usagef("there is no terminal to ask on: say --yes to flush without a question, or --dry-run to see what would be flushed")
			}
			ownFlush, err := own.parse()
			if err != nil {
				return err
			}
			r, t, s, err := f.begin(c.Context())
			if err != nil {
				return err
			}
			s.own = ownFlush
			if dryRun {
				return f.dryRun(c.Context(), r, t, s)
			}
			if !yes {
				if ok, err := f.ask(c.Context(), r, t, s); err != nil || !ok {
					return err
				}
			}
			return f.flush(c.Context(), r, t, s)
		},
	}
	f.flags(c)
	own.flags(c)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().BoolVar(&all, "all", false, "flush all flows; needed when there is no filter")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print the flows that would be flushed, and flush nothing")
	return c
}

func (f *flowsCommand) dryRun(ctx context.Context, r *runner, t *target, s *selection) error {
	ops := f.matching(ctx, r, t, s)
	rows, total := f.order(ops, "age", 0)
	if f.format != "table" || total > 0 {
		if err := writeFlows(f.env, f.format, t, ops, rows); err != nil {
			return fmt.Errorf("write flows: %w", err)
		}
	}
	if slices.ContainsFunc(ops, (*operation).done) {
		fmt.Fprintf(f.env.Stderr, "Would flush %s%s\n", count(total, ops), f.where(t, s))
	}
	return f.finish(ctx, t, ops)
}

// matching reads the flows that a flush would take now.
func (f *flowsCommand) matching(ctx context.Context, r *runner, t *target, s *selection) []*operation {
	if s.own != nil {
		return r.liveOperations(ctx, t, s)
	}
	return r.run(ctx, wire.FlowOperationTypeFlowCapture, t, s)
}

// where continues "37 flows" with what they match and where they are.
func (f *flowsCommand) where(t *target, s *selection) string {
	matching := ""
	switch {
	case s.own != nil && s.own.stale:
		matching = " that today's rules would not admit,"
	case s.words != "":
		matching = " matching " + s.words
	}
	if s.own != nil && s.own.spared != "" {
		matching += " except " + s.own.spared
	}
	places := in(strings.Join(t.zones, ", "))
	if len(t.zones) > 1 {
		places = strings.NewReplacer("in zone ", "in zones ", "at endpoint ", "at endpoints ").Replace(places)
	}
	return printable(fmt.Sprintf("%s of firewall %s %s", matching, t.name, places))
}

// ask counts the flows and asks whether to flush them. It says so when there
// are none, and then there is no question.
func (f *flowsCommand) ask(ctx context.Context, r *runner, t *target, s *selection) (bool, error) {
	if s.own != nil {
		total, err := r.preview(ctx, t, s)
		if err != nil {
			return false, fmt.Errorf("the flows could not be counted, so nothing was flushed: %w", err)
		}
		return f.confirmFlush(ctx, t, s, total, nil)
	}
	ops := r.run(ctx, wire.FlowOperationTypeFlowCapture, t, s)
	total := 0
	for _, op := range ops {
		total += len(op.flows)
		if op.err != nil || !op.done() {
			f.finish(ctx, t, ops)
			return false, errors.New("the flows could not be counted, so nothing was flushed; --yes flushes without counting")
		}
	}
	return f.confirmFlush(ctx, t, s, total, ops)
}

// confirmFlush asks whether to flush the flows that were counted; ops, if any, say
// whether the number is exact.
func (f *flowsCommand) confirmFlush(ctx context.Context, t *target, s *selection, total int, ops []*operation) (bool, error) {
	if total == 0 && !slices.ContainsFunc(ops, func(op *operation) bool { return !op.whole() }) {
		fmt.Fprintf(f.env.Stderr, "No flows%s; nothing was flushed\n", f.where(t, s))
		return false, nil
	}
	ok, err := confirm(ctx, f.env, fmt.Sprintf("Flush %s%s?", count(total, ops), f.where(t, s)))
	if err != nil {
		return false, fmt.Errorf("interrupted; nothing was flushed: %w", err)
	}
	if !ok {
		fmt.Fprintln(f.env.Stderr, "Nothing was flushed")
	}
	return ok, nil
}

// flush flushes and says in the last lines what happened, zone by zone.
func (f *flowsCommand) flush(ctx context.Context, r *runner, t *target, s *selection) error {
	ops := r.run(ctx, wire.FlowOperationTypeFlowFlush, t, s)
	out := f.env.Stdout
	if f.format != "table" {
		rows, _ := f.order(ops, "age", 0)
		if err := writeFlows(f.env, f.format, t, ops, rows); err != nil {
			return fmt.Errorf("the flush was carried out, but its flows cannot be written: %w", err)
		}
		out = f.env.Stderr
	}
	for i, op := range ops {
		if op.done() {
			fmt.Fprintf(out, "Flushed %s %s (operation %s)\n", count(len(op.flows), ops[i:i+1]), printable(in(op.zone)), printable(op.id))
		}
	}
	return f.finish(ctx, t, ops)
}

// count is the number of flows of ops in words. It is a lower bound when
// something went wrong.
func count(n int, ops []*operation) string {
	if slices.ContainsFunc(ops, func(op *operation) bool { return !op.whole() }) {
		return "at least " + plural(n, "flow")
	}
	return plural(n, "flow")
}

// finish reports what went wrong in each zone, and chooses the exit code.
func (f *flowsCommand) finish(ctx context.Context, t *target, ops []*operation) error {
	whole, done := 0, 0
	for _, op := range ops {
		if op.done() {
			done++
		}
		switch {
		case op.whole():
			whole++
		case op.err != nil:
			f.complain(ctx, t, op)
		case op.done():
			f.notice("%s: operation %s completed with errors%s: flows may be missing", where(op.zone), op.id, because(op.message))
		default:
			f.notice("%s: operation %s failed%s", where(op.zone), op.id, because(op.message))
		}
	}
	switch {
	case whole == len(ops):
		return nil
	case done == 0:
		return &exitError{code: ExitError}
	}
	return &exitError{code: ExitPartial}
}

// complain explains why an operation was not followed to its end, and where its
// end can be seen.
func (f *flowsCommand) complain(ctx context.Context, t *target, op *operation) {
	interrupted := ctx.Err() != nil && errors.Is(op.err, context.Canceled)
	flush := op.kind == wire.FlowOperationTypeFlowFlush
	reason := op.err.Error()
	if interrupted {
		reason = "interrupted"
	}
	switch {
	case op.id == "" && interrupted && flush:
		f.notice("%s: interrupted; a request that was under way may still have started a flush", where(op.zone))
		f.notice("  look with: aws network-firewall list-flow-operations --firewall-arn %s %s%s", t.arn, awsFlag(op.zone), f.connectFlags())
	case op.id == "":
		f.notice("%s: not started: %s", where(op.zone), reason)
	default:
		switch {
		case flush && op.done():
			reason = "the flush is complete, but its flows were not all read: " + reason
		case flush:
			reason += "; a flush cannot be cancelled, it goes on"
		}
		f.notice("%s: operation %s: %s", where(op.zone), op.id, reason)
		if op.status == "" {
			return // it was never seen, and asking again would not show it
		}
		f.notice("  look with: sluice flows list --operation %s %s --firewall %s%s", op.id, placeFlag(op.zone), t.name, f.connectFlags())
	}
}

// connectFlags repeats how the user reached the API. The flags are the aws
// command's as well.
func (f *flowsCommand) connectFlags() string {
	s := ""
	for _, flag := range []struct{ name, value string }{
		{"endpoint-url", f.connect.Endpoint}, {"region", f.connect.Region}, {"profile", f.connect.Profile},
	} {
		if flag.value != "" {
			s += " --" + flag.name + " " + flag.value
		}
	}
	return s
}

func (f *flowsCommand) notice(format string, args ...any) {
	fmt.Fprintln(f.env.Stderr, printable(fmt.Sprintf(format, args...)))
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return " (" + message + ")"
}
