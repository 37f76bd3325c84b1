package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/config"
	"github.com/sluicefw/sluice/delivery"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/geoip"
	"github.com/sluicefw/sluice/engine/reputation"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/metrics"
	"github.com/sluicefw/sluice/node"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/pktio/nfqueue"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
	"github.com/sluicefw/sluice/supervise"
)

// newEngine returns the command that is the packet process.
func newEngine(env cli.Env, build cli.BuildInfo) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Run the process that packets go through (serve starts one itself)",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return runEngine(cmd.Context(), engineConfig(c), build, newLogger(env.Stderr, c.Log, "engine"))
		},
	}
	addConfigFlags(cmd.PersistentFlags())
	cmd.AddCommand(&cobra.Command{
		Use:   "stop",
		Short: "Make the running engine log its flows and end; serve starts a new one at once",
		Args:  cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return supervise.Stop(cmd.Context(), c.DataDir)
		},
	})
	return cmd
}

// engineConfig is the part of a configuration that an engine depends on, with
// the embedded store's socket where no etcd is named.
func engineConfig(c *config.Config) *config.Config {
	e := *c
	e.API, e.Metrics, e.Subnets, e.ReferenceSets = config.Default().API, config.Metrics{}, nil, nil
	if len(e.Store.Endpoints) == 0 {
		e.Store.Endpoints = []string{store.SocketEndpoint(c.StoreDir())}
	}
	return &e
}

// digest tells configurations apart.
func digest(c *config.Config) (string, error) {
	text, err := c.YAML()
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6]), err
}

// runEngine holds packets until ctx ends or a request on its socket asks it to.
//
// Start: the seat, so that no second engine touches the queues; the store's
// client, which connects when it can; the node, which opens the queues; the
// socket, once there is something to ask. Stop is the reverse: the node logs
// its flows and withdraws its reports, which takes the store; the seat goes
// last, because the next engine takes it as the sign to start.
func runEngine(ctx context.Context, c *config.Config, build cli.BuildInfo, log *slog.Logger) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Whoever read this process's messages may go away; packets go on.
	signal.Ignore(syscall.SIGPIPE)

	if err := makeDataDir(c.DataDir); err != nil {
		return err
	}
	id, err := nodeID(c.DataDir)
	if err != nil {
		return err
	}
	configDigest, err := digest(c)
	if err != nil {
		return err
	}
	seat, err := supervise.Claim(c.DataDir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, seat.Fail(err))
		}
		err = errors.Join(err, seat.Close())
	}()

	fragments, err := defrag.ParsePolicy(c.Fragments.Policy)
	if err != nil {
		return err
	}
	streams, err := stream.ParsePolicy(c.Streams.Policy)
	if err != nil {
		return err
	}
	limits, err := limitsOf(c)
	if err != nil {
		return err
	}
	rules, err := ruleOptions(c)
	if err != nil {
		return err
	}
	st, err := store.Dial(ctx, store.DialOptions{Endpoints: c.Store.Endpoints, Logger: log})
	if err != nil {
		return err
	}
	defer st.Close()

	n, err := node.New(node.Options{
		ID: id, Zone: c.Zone, Version: build.Version,
		Store: st, Scope: resource.Scope{Account: c.Account, Region: c.Region},
		Attach: attachments(c, log), LogDir: c.LogDir(),
		FlowLimit: c.Flows.Limit, Fragments: defrag.Options{Policy: fragments, Memory: c.Fragments.Memory}, Limits: limits, ResultLimit: c.Flows.ResultLimit, HomeNet: c.HomeNet, Rules: rules, DataSetsDir: setsDir(c),
		Streams: stream.Options{Policies: stream.Policies{Default: streams}, AsyncOneSide: c.Streams.AsyncOneSide}, StreamMemory: int64(c.Streams.Memory),
		Delivery: deliveryOf(c), Logger: log,
		Detail: detailOf(c), StatsEvery: time.Duration(c.Records.Stats) * time.Second,
	})
	if err != nil {
		return err
	}

	registry := metrics.New("engine", metricsBuild(build))
	registry.MustRegister(n.Collectors()...)
	identity := supervise.Identity{PID: os.Getpid(), Version: build.Version, Config: configDigest, Started: time.Now()}
	err = seat.Serve(identity, supervise.Pages{
		Metrics: registry.Handler(), Ready: n.Ready, Reopen: n.ReopenLogs, Stop: stop, Logger: log,
	})
	if err != nil {
		stop() // packets must not meet an engine that nobody can reach
		return errors.Join(err, n.Run(ctx))
	}

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	go func() {
		for range hangup {
			n.ReopenLogs()
		}
	}()

	log.Info("engine runs", slog.String("node", id), slog.String("zone", c.Zone), slog.Int("attachments", len(c.Attach)), slog.String("version", build.Version))
	err = n.Run(ctx)
	log.Info("engine ends")
	return err
}

// attachments are the drivers of a configuration, not yet opened.
func attachments(c *config.Config, log *slog.Logger) []node.Attachment {
	var attach []node.Attachment
	for _, a := range c.Attach {
		account, name := c.Target(a)
		attach = append(attach, node.Attachment{
			Account: account, Firewall: name, Endpoint: a.Endpoint, FailOpen: a.NFQueue.FailOpen,
			Open: func() (pktio.Driver, error) {
				queues, err := nfqueue.ParseQueues(a.NFQueue.Queues)
				if err != nil {
					return nil, err
				}
				d, err := nfqueue.Open(nfqueue.Options{Queues: queues, FailOpen: a.NFQueue.FailOpen, QueueLen: a.NFQueue.QueueLen, Logger: log})
				if err != nil {
					return nil, err // and no typed nil
				}
				return d, nil
			},
		})
	}
	return attach
}

// makeDataDir makes the data directory. Others may list it, for log shippers;
// what is secret has modes of its own.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the data directory: %w: choose one that this user can write, with --data-dir", err)
	}
	return nil
}

// nodeID is the name under which this node registers: the same at each start,
// because what is known of it in the store and in metrics goes by it.
func nodeID(dir string) (string, error) {
	path := filepath.Join(dir, "node_id")
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 1 && len(text) <= 64 {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the node's id: %w", err)
	}
	host, _ := os.Hostname()
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, strings.ToLower(host))
	id := strings.TrimPrefix(host[:min(len(host), 40)]+"-"+uuid.NewString()[:8], "-")
	if err := os.WriteFile(path, []byte(id+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("keep the node's id: %w", err)
	}
	return id, nil
}

func metricsBuild(b cli.BuildInfo) metrics.Build {
	return metrics.Build{Version: b.Version, Revision: b.Revision, Go: b.Go}
}

// detailOf is what records have beside what AWS's have.
func detailOf(c *config.Config) eve.Detail {
	r := &c.Records
	return eve.Detail{
		Payload: r.Payload, Printable: r.PayloadPrintable, Packet: r.Packet, Metadata: r.Metadata,
		CommunityID: r.CommunityID, Seed: uint16(r.CommunityIDSeed),
	}
}

// deliveryOf is how traffic logs reach the services of their destinations, or
// nil when they are files.
func deliveryOf(c *config.Config) *delivery.Options {
	if !c.Delivery.Services {
		return nil
	}
	return &delivery.Options{
		Account: c.Account, Region: c.Region, SpoolDir: filepath.Join(c.DataDir, "spool"), SpoolLimit: c.Delivery.SpoolLimit,
		ServiceRegion: c.Delivery.Region, Endpoint: c.Delivery.Endpoint,
	}
}

// ruleOptions reads what rules ask: a database of countries, lists of reputation.
func ruleOptions(c *config.Config) (o policy.RuleOptions, err error) {
	o.BeyondAWS = c.Rules.BeyondAWS
	if c.GeoIPDatabase != "" {
		db, err := geoip.Open(c.GeoIPDatabase)
		if err != nil {
			return o, fmt.Errorf("geoip_database: %w", err)
		}
		o.Countries = db
	}
	if o.BeyondAWS && c.Reputation.Categories != "" {
		table, err := reputation.Load(c.Reputation.Categories, c.Reputation.Lists)
		if err != nil {
			return o, fmt.Errorf("reputation: %w", err)
		}
		o.Reputation = table
	}
	return o, nil
}

// setsDir is where data sets are, if there can be any.
func setsDir(c *config.Config) string {
	if !c.Rules.BeyondAWS {
		return ""
	}
	return c.SetsDir()
}

// limitsOf are the policies of the configuration for what the engine cannot follow.
func limitsOf(c *config.Config) (limits engine.Limits, err error) {
	names := [engine.NumLimits]string{
		engine.LimitFlows: c.Limits.Flows, engine.LimitStreams: c.Limits.Streams,
		engine.LimitFragments: c.Limits.Fragments, engine.LimitParsers: c.Limits.Parsers,
	}
	for l, name := range names {
		if name == engine.LimitAuto.String() {
			name = c.Limits.Default
		}
		if limits[l], err = engine.ParseLimitPolicy(name); err != nil {
			return limits, err
		}
	}
	return limits, nil
}
