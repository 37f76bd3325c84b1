package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/awsapi/wire"
)

func newStale(env Env) *cobra.Command {
	f := &flowsCommand{env: env}
	var flush, yes bool
	var exception string
	c := &cobra.Command{
		Use:   "stale",
		Short: "List or flush the flows that today's rules would not admit",
		Long: `Stale lists the live flows that began under older rules and that today's rules
would not admit, with the rule or default action that says so. With --flush it ends
them, and no others.

A flow is judged by what is known of it still: addresses, ports, protocol and host
name. A rule that looks into packets makes no flow stale.

` + liveHelp + `
With --flush the output is that of 'sluice flows flush'.`,
		Example: `  sluice flows stale
  sluice flows stale --flush --yes --exception reject`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case flush && !yes && !(env.StdinTTY && env.StderrTTY):
				return usagef("there is no terminal to ask on: say --yes to flush without a question")
			case !flush && (yes || exception != ""):
				return usagef("--yes and --exception are for --flush")
			}
			ex, err := parseException(exception)
			if err != nil {
				return err
			}
			r, t, s, err := f.begin(c.Context())
			if err != nil {
				return err
			}
			s.own = &ownFlush{stale: true, exception: ex}
			if !flush {
				return f.listStale(c.Context(), r, t)
			}
			if !yes {
				if ok, err := f.askStale(c.Context(), r, t, s); err != nil || !ok {
					return err
				}
			}
			return f.flush(c.Context(), r, t, s)
		},
	}
	f.firewallFlags(c)
	c.Flags().BoolVar(&flush, "flush", false, "flush these flows")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	exceptionFlag(c, &exception)
	f.outputFlag(c)
	f.waitFlags(c)
	f.connectionFlags(c)
	return c
}

// askStale shows the flows that are about to be flushed, and asks.
func (f *flowsCommand) askStale(ctx context.Context, r *runner, t *target, s *selection) (bool, error) {
	rows, err := r.staleFlows(ctx, t)
	if err != nil {
		return false, fmt.Errorf("the flows could not be counted, so nothing was flushed: %w", err)
	}
	if f.format == "table" && len(rows) > 0 {
		if err := writeLive(f.env, "table", t, int64(len(rows)), rows); err != nil {
			return false, fmt.Errorf("write flows: %w", err)
		}
	}
	return f.confirmFlush(ctx, t, s, len(rows), nil)
}

func (f *flowsCommand) listStale(ctx context.Context, r *runner, t *target) error {
	rows, err := r.staleFlows(ctx, t)
	if err != nil {
		return err
	}
	if f.format != "table" || len(rows) > 0 {
		if err := writeLive(f.env, f.format, t, int64(len(rows)), rows); err != nil {
			return fmt.Errorf("write flows: %w", err)
		}
	}
	if f.format == "table" {
		fmt.Fprintf(f.env.Stderr, "%s stale\n", plural(len(rows), "flow"))
	}
	return nil
}

// staleFlows reads all stale flows.
func (r *runner) staleFlows(ctx context.Context, t *target) ([]liveRow, error) {
	defer r.progress.clear()
	rows := []liveRow{}
	for _, zone := range t.zones {
		inZone, endpoint, association := scope(zone)
		in := &wire.GetStaleFlowsRequest{FirewallArn: &t.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, MaxResults: wire.Ptr[int32](pageSize)}
		for more := true; more; more = in.NextToken != nil {
			var out *wire.GetStaleFlowsResponse
			err := r.retry(ctx, where(zone), func() (err error) {
				out, err = r.api.GetStaleFlows(ctx, in)
				return onlySluice(err)
			})
			if err != nil {
				return nil, err
			}
			rows = append(rows, liveRows(zone, out.Flows)...)
			in.NextToken = out.NextToken
			r.progress.show("%d stale flows read", len(rows))
		}
	}
	return rows, nil
}
