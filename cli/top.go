package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/awsapi/wire"
)

// topOrder is a way to sort live flows; the largest come first.
type topOrder struct {
	key   string // of the API
	value func(*liveRow) int64
}

// topOrders are the values of --sort. Their first letters are keys of top.
var topOrders = map[string]topOrder{
	"age":     {wire.FlowSortKeyAge, func(f *liveRow) int64 { return f.Age }},
	"bytes":   {wire.FlowSortKeyBytes, func(f *liveRow) int64 { return f.Bytes }},
	"idle":    {wire.FlowSortKeyIdle, func(f *liveRow) int64 { return f.Idle }},
	"packets": {wire.FlowSortKeyPackets, func(f *liveRow) int64 { return f.Packets }},
}

const (
	shortestInterval = 100 * time.Millisecond
	topLines         = 20 // flows that are printed without a terminal
)

// top is one run of the command.
type top struct {
	*flowsCommand
	runner   *runner
	target   *target
	filters  *selection
	sort     string
	limit    int // 0: what fits
	interval time.Duration
}

func newTop(env Env) *cobra.Command {
	t := &top{flowsCommand: &flowsCommand{env: env}}
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch the largest, oldest or idlest flows",
		Long: `Top shows the live flows that come first, and shows them anew every second until
q or Ctrl-C. The keys b, p, a and i sort by bytes, packets, age and idle time.
Without a terminal, or with another output than a table, it prints once.

` + filterHelp + "\n\n" + liveHelp,
		Example: `  sluice flows top --sort packets --proto udp
  sluice flows top --sort idle --limit 100 -o ndjson`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			switch {
			case topOrders[t.sort].key == "":
				return usagef("--sort %s: choose one of %s", t.sort, strings.Join(slices.Sorted(maps.Keys(topOrders)), ", "))
			case t.limit < 0 || t.limit > pageSize:
				return usagef("--limit %d: choose 1 to %d", t.limit, pageSize)
			case t.interval < shortestInterval:
				return usagef("--interval %s: choose %s or more", t.interval, shortestInterval)
			}
			if t.runner, t.target, t.filters, err = t.begin(c.Context()); err != nil {
				return err
			}
			if t.format == "table" && env.StdinTTY && env.StdoutTTY && env.Screen != nil && env.Getenv("TERM") != "dumb" {
				return t.watch(c.Context())
			}
			rows, total, err := t.read(c.Context(), cmp.Or(t.limit, topLines))
			if err != nil {
				return err
			}
			if err := writeLive(env, t.format, t.target, total, rows); err != nil {
				return fmt.Errorf("write flows: %w", err)
			}
			return nil
		},
	}
	t.firewallFlags(c)
	t.chooseFlags(c)
	c.Flags().StringVar(&t.sort, "sort", "bytes", "bytes, packets, age or idle")
	c.Flags().IntVar(&t.limit, "limit", 0, fmt.Sprintf("show at most this many flows (default: what fits the terminal, else %d)", topLines))
	c.Flags().DurationVar(&t.interval, "interval", time.Second, "how often to look")
	t.outputFlag(c)
	t.connectionFlags(c)
	return c
}

// read returns the first flows of all zones together, and how many match.
func (t *top) read(ctx context.Context, limit int) (rows []liveRow, total int64, err error) {
	order := topOrders[t.sort]
	rows = []liveRow{}
	for _, zone := range t.target.zones {
		inZone, endpoint, association := scope(zone)
		out, err := t.runner.api.ListFlows(ctx, &wire.ListFlowsRequest{
			FirewallArn: &t.target.arn, AvailabilityZone: inZone, VpcEndpointId: endpoint, VpcEndpointAssociationArn: association, FlowFilters: t.filters.filters, MinimumFlowAgeInSeconds: t.filters.minAge,
			SortBy: &order.key, SortOrder: wire.Ptr(wire.SortOrderDescending), MaxResults: wire.Ptr(int32(limit)),
		})
		if err != nil {
			return nil, 0, onlySluice(err)
		}
		total += wire.Val(out.FlowCount)
		rows = append(rows, liveRows(zone, out.Flows)...)
	}
	slices.SortStableFunc(rows, func(a, b liveRow) int { return cmp.Compare(order.value(&b), order.value(&a)) })
	return rows[:min(limit, len(rows))], total, nil
}

// Control sequences of xterm and its kin: the second screen, so that what was on
// the terminal is there again at the end, without a cursor.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	homeCursor  = "\x1b[H"
	eraseRight  = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

// watch shows frame after frame until the user ends it. A frame that cannot be
// read is shown as what went wrong, unless it is the first.
func (t *top) watch(ctx context.Context) error {
	columns, lines := t.size()
	rows, total, err := t.read(ctx, t.fit(lines))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	keys, restore, err := t.keys(ctx)
	if err != nil {
		return err
	}
	defer restore()
	io.WriteString(t.env.Stdout, enterScreen)
	defer io.WriteString(t.env.Stdout, leaveScreen)
	for {
		if _, err := t.env.Stdout.Write(t.frame(columns, lines, rows, total, err)); err != nil {
			return fmt.Errorf("write flows: %w", err)
		}
		key, ended := t.pause(ctx, keys)
		if ended || key == 'q' {
			return nil
		}
		for name := range topOrders {
			if key == name[0] {
				t.sort = name
			}
		}
		columns, lines = t.size()
		var fresh []liveRow
		var n int64
		if fresh, n, err = t.read(ctx, t.fit(lines)); err == nil {
			rows, total = fresh, n
		}
		if errors.Is(err, context.Canceled) {
			return nil
		}
	}
}

// size is that of the terminal, or of the smallest usual one.
func (t *top) size() (columns, lines int) {
	columns, lines = t.env.Screen()
	return cmp.Or(columns, 80), cmp.Or(lines, 24)
}

// fit is how many flows a frame has room for, below two lines and the titles.
func (t *top) fit(lines int) int {
	n := min(max(lines-3, 1), pageSize)
	if t.limit > 0 {
		n = min(n, t.limit)
	}
	return n
}

// frame writes over the frame before, in one piece so that nothing flickers.
func (t *top) frame(columns, lines int, rows []liveRow, total int64, problem error) []byte {
	now := t.env.Now().Format(time.TimeOnly)
	head := []string{
		fmt.Sprintf("%s  %s  %s by %s", now, t.target.name, plural(int(total), "flow"), t.sort),
		"sort by b bytes, p packets, a age, i idle; q ends",
	}
	if problem != nil {
		head[1] = "not fresh: " + problem.Error()
	}
	var b, body bytes.Buffer
	b.WriteString(homeCursor)
	for _, line := range head {
		b.WriteString(ellipsis(strings.ReplaceAll(printable(line), "\n", " "), columns))
		b.WriteString(eraseRight + "\n")
	}
	// A buffer takes everything. The size may have changed since rows were read.
	liveTable(&body, t.env.colour(), columns, rows[:min(len(rows), t.fit(lines))], len(t.target.zones) > 1, strings.ToUpper(t.sort))
	b.WriteString(strings.ReplaceAll(strings.TrimSuffix(body.String(), "\n"), "\n", eraseRight+"\n"))
	b.WriteString(eraseRight + eraseBelow)
	return b.Bytes()
}

// keys reads keys until ctx ends. The read that is then under way is left behind,
// as the process is about to end.
func (t *top) keys(ctx context.Context) (keys <-chan byte, restore func(), err error) {
	restore = func() {}
	if t.env.Keys != nil {
		if restore, err = t.env.Keys(); err != nil {
			return nil, nil, err
		}
	}
	c := make(chan byte)
	go func() {
		var b [1]byte
		for {
			if _, err := t.env.Stdin.Read(b[:]); err != nil {
				return
			}
			select {
			case c <- b[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c, restore, nil
}

// pause waits for the interval, a key, or the end.
func (t *top) pause(ctx context.Context, keys <-chan byte) (key byte, ended bool) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		t.env.Sleep(waiting, t.interval) // whether it ended early shows in ctx
	}()
	select {
	case key = <-keys:
		stop()
		<-waited
	case <-waited:
	}
	return key, ctx.Err() != nil
}
