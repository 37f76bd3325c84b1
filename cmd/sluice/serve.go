package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/sluicefw/sluice/audit"
	"github.com/sluicefw/sluice/awsapi"
	"github.com/sluicefw/sluice/awsapi/credentials"
	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/cli"
	"github.com/sluicefw/sluice/config"
	"github.com/sluicefw/sluice/control"
	"github.com/sluicefw/sluice/delivery"
	"github.com/sluicefw/sluice/iam"
	"github.com/sluicefw/sluice/internal/certificate"
	"github.com/sluicefw/sluice/metrics"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
	"github.com/sluicefw/sluice/supervise"
)

const devFlag = "dev"

// How long the parts have to stop.
const (
	drainTime  = 10 * time.Second // requests that are being answered
	engineTime = 30 * time.Second // the engine, to log its flows
)

// newServe returns the command that serves the API and keeps an engine running.
func newServe(env cli.Env, build cli.BuildInfo) *cobra.Command {
	var noEngine bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and keep a packet engine running",
		Long: `Serve the AWS Network Firewall API, keep its resources in an embedded etcd, and
keep one engine process running that packets go through.

SIGTERM stops everything in order. A crash leaves the engine running, and the
next serve adopts it. SIGHUP reopens the log files and reads the TLS certificate again.`,
		Example: `  sluice serve
  eval "$(sluice keys)" && aws network-firewall list-firewalls`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), env, c, build, !noEngine)
		},
	}
	addConfigFlags(cmd.Flags())
	cmd.Flags().Bool(devFlag, false, "accept every access key, unverified (loopback addresses only)")
	cmd.Flags().BoolVar(&noEngine, "no-engine", false, "serve the API only")
	return cmd
}

// serve runs until ctx ends or a part fails for good.
//
// Start, each because the next needs it:
//  1. listeners, so that a taken port is known before anything else is touched
//  2. store
//  3. users and their keys, which are in the store with the reference sets, and the audit log
//  4. engine, which reads the store
//  5. API and pages, which read the store and ask the engine
//
// Stop, when asked to:
//  1. the API stops accepting and answers what it has: no new work
//  2. the engine logs its flows and withdraws its reports, which takes the store
//  3. the audit log, which has every call now
//  4. the store, when nobody writes any more
//
// When a part fails the engine is left running: packets come first, and the
// next serve adopts it.
func serve(ctx context.Context, env cli.Env, c *config.Config, build cli.BuildInfo, withEngine bool) (err error) {
	log := newLogger(env.Stderr, c.Log, "serve")
	api, pages, err := listen(c)
	if err != nil {
		return err
	}
	defer closeAll(api, pages)
	if err := makeDataDir(c.DataDir); err != nil {
		return err
	}
	cert, err := apiCertificate(c, log)
	if err != nil {
		return err
	}
	st, err := openStore(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()

	rules, err := ruleOptions(c)
	if err != nil {
		return err
	}
	service := func(account string) *control.Control {
		return control.New(control.Options{
			Store: st, Scope: resource.Scope{Account: account, Region: c.Region},
			Zone: c.Zone, SubnetZones: c.Subnets, RuleCheck: rules.Check(), CheckLogDestination: destinationCheck(c), Logger: log,
		})
	}
	if err := applyReferenceSets(ctx, service(c.Account), c.ReferenceSets, log); err != nil {
		return err
	}
	options := awsapi.Options{
		Region: c.Region, Account: c.Account, Dev: c.API.Dev, Logger: log,
		ServiceFor: func(account string) (any, error) { return service(account), nil },
	}
	if !c.API.Dev {
		if options.Users, err = users(ctx, c, st, log); err != nil {
			return err
		}
	}
	if options.Audit, err = audit.Open(filepath.Join(c.DataDir, "audit", "audit.json"), log); err != nil {
		return err
	}
	defer closeAudit(options.Audit, log)

	engine, err := startEngine(c, build, log, withEngine)
	if err != nil {
		return err
	}
	defer engine.release()

	registry := metrics.New("serve", metricsBuild(build))
	options.Observe = observer(registry)
	handler, err := awsapi.New(options)
	if err != nil {
		return err
	}
	ready := func(ctx context.Context) error { return errors.Join(st.Ping(ctx), engine.ready(ctx)) }
	failed := make(chan error, 2)
	var servers []*http.Server
	if pages == nil {
		handler = withPages(handler, registry.Handler(engine.metrics()...), ready)
	} else {
		page := withPages(http.NotFoundHandler(), registry.Handler(engine.metrics()...), ready)
		servers = append(servers, start(page, pages, nil, log, failed))
	}
	servers = append(servers, start(handler, api, cert, log, failed))

	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	log.Info("serving", slog.String("api", api.Addr().String()), slog.String("region", c.Region), slog.String("account", c.Account),
		slog.String("zone", c.Zone), slog.String("data_dir", c.DataDir), slog.String("version", build.Version))
	greet(env, c, api.Addr().String())

	for {
		select {
		case <-ctx.Done():
			log.Info("stopping")
			drain(servers, log)
			return engine.stop()
		case <-st.Failed():
			return fmt.Errorf("the store failed and the API with it; the engine goes on: %w", st.Err())
		case err := <-failed:
			return fmt.Errorf("the API failed; the engine goes on: %w", err)
		case <-hangup:
			if err := engine.reopen(ctx); err != nil {
				log.Error("log files are not reopened", slog.Any("error", err))
			}
			options.Audit.Reopen()
			if cert != nil {
				if err := cert.Reload(); err != nil {
					log.Error("the certificate in use stays", slog.Any("error", err))
				}
			}
		}
	}
}

// listen opens the API's listener and that of the pages, nil when they share it.
func listen(c *config.Config) (api, pages net.Listener, err error) {
	if api, err = net.Listen("tcp", c.API.Listen); err != nil {
		return nil, nil, fmt.Errorf("listen for the API: %w: choose another address with --listen, or stop what uses it", err)
	}
	if c.Metrics.Listen != "" {
		if pages, err = net.Listen("tcp", c.Metrics.Listen); err != nil {
			api.Close()
			return nil, nil, fmt.Errorf("listen for metrics: %w: choose another address with metrics.listen, or stop what uses it", err)
		}
	}
	return api, pages, nil
}

func closeAll(listeners ...net.Listener) {
	for _, l := range listeners {
		if l != nil {
			l.Close() // closed already when its server was drained
		}
	}
}

// users opens the directory of users. At the first start it has one, the
// administrator, with the key of the credentials file, which is made then.
func users(ctx context.Context, c *config.Config, st *store.Store, log *slog.Logger) (*iam.View, error) {
	keys, created, err := credentials.Open(c.CredentialsFile(), c.Account)
	if err != nil {
		return nil, err
	}
	if created {
		log.Info("made an access key", slog.String("file", c.CredentialsFile()))
	}
	directory, err := iam.Open(ctx, iam.Options{Store: st, KeyFile: c.SecretKeyFile()})
	if err != nil {
		return nil, err
	}
	if _, err := directory.Bootstrap(ctx, c.Account, keys.Keys()); err != nil {
		return nil, err
	}
	return directory.Watch(ctx, log)
}

// closeAudit writes what the audit log has in memory.
func closeAudit(a *audit.Log, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		log.Error("the audit log is not complete", slog.Any("error", err))
	}
}

// openStore connects to the configured etcd, or starts one.
func openStore(ctx context.Context, c *config.Config, log *slog.Logger) (*store.Store, error) {
	if len(c.Store.Endpoints) > 0 {
		return store.Dial(ctx, store.DialOptions{Endpoints: c.Store.Endpoints, Logger: log})
	}
	return store.Open(ctx, store.Options{Dir: c.StoreDir(), Logger: log})
}

// observer counts requests.
func observer(r *metrics.Registry) awsapi.Observer {
	var names []string
	for _, op := range wire.Operations() {
		names = append(names, op.Name)
	}
	requests := metrics.NewRequests(r, names...)
	return func(operation, code string, took time.Duration) {
		if code == "" {
			code = "OK"
		}
		requests.Observe(operation, code, took)
	}
}

// withPages adds the pages that need no signature to a handler.
func withPages(h, metrics http.Handler, ready func(context.Context) error) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /healthz", supervise.Probe(func(context.Context) error { return nil }))
	mux.Handle("GET /readyz", supervise.Probe(ready))
	mux.Handle("/", h)
	return mux
}

// apiCertificate is the API's certificate, nil without TLS.
func apiCertificate(c *config.Config, log *slog.Logger) (*certificate.Certificate, error) {
	switch {
	case !c.API.TLS.Enabled():
		return nil, nil
	case !c.API.TLS.SelfSigned:
		return certificate.Load(c.API.TLS.Cert, c.API.TLS.Key)
	}
	host, _, _ := net.SplitHostPort(c.API.Listen)
	if a, err := netip.ParseAddr(host); err != nil || a.IsUnspecified() {
		host, err = os.Hostname() // of all addresses, the one that does not change
		if err != nil {
			return nil, fmt.Errorf("name this host in its certificate: %w: let api.listen be one address", err)
		}
	}
	cert, made, err := certificate.SelfSigned(c.TLSDir(), []string{host}, time.Now())
	if err != nil {
		return nil, err
	}
	if made {
		log.Info("made a certificate for clients to trust", slog.String("file", cert.File()))
	}
	return cert, nil
}

// start serves h on l: HTTP/1.1, and with a certificate HTTPS, HTTP/2 included.
// What ends it other than Shutdown goes to failed.
func start(h http.Handler, l net.Listener, cert *certificate.Certificate, log *slog.Logger, failed chan<- error) *http.Server {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // 16 MiB at 2 Mbit/s
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute, // longer than SDKs keep idle connections
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	serve := func() error { return s.Serve(l) }
	if cert != nil {
		s.TLSConfig = cert.TLS()
		serve = func() error { return s.ServeTLS(l, "", "") }
	}
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return s
}

// drain lets servers finish what they are answering.
func drain(servers []*http.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if err := s.Shutdown(ctx); err != nil {
				log.Warn("requests were cut off", slog.Any("error", err))
				s.Close()
			}
		})
	}
	wg.Wait()
}

// greet tells a person how to use what now runs.
func greet(env cli.Env, c *config.Config, address string) {
	fmt.Fprintf(env.Stdout, "The AWS Network Firewall API is served at %s. In another terminal:\n\n  %s\n  aws network-firewall list-firewalls\n\n",
		clientURL(address, c.API.TLS.Enabled()), clientEnvironment(c, address))
}

// engineProcess is the supervised engine, or nothing with --no-engine.
type engineProcess struct {
	supervisor *supervise.Supervisor // nil: none
	dir        string
	release    func() // ends supervision and leaves the engine running
}

// startEngine begins to keep an engine running on c's data directory.
func startEngine(c *config.Config, build cli.BuildInfo, log *slog.Logger, wanted bool) (*engineProcess, error) {
	if !wanted {
		return &engineProcess{release: func() {}}, nil
	}
	ec := engineConfig(c)
	text, err := ec.YAML()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(c.DataDir, "engine.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the engine's configuration: %w", err)
	}
	id, err := digest(ec)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program to start the engine with: %w", err)
	}
	s := supervise.New(supervise.Options{
		Dir: c.DataDir, Version: build.Version, Config: id, Logger: log,
		Command: func() *exec.Cmd {
			cmd := exec.Command(self, "engine", "--config", file)
			cmd.Stderr = os.Stderr
			// The file has the outcome of the environment and of flags, which go before it.
			cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "SLUICE_") })
			return cmd
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	return &engineProcess{supervisor: s, dir: c.DataDir, release: func() { cancel(); running.Wait() }}, nil
}

// stop ends supervision and the engine.
func (e *engineProcess) stop() error {
	e.release()
	if e.supervisor == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineTime)
	defer cancel()
	return e.supervisor.Stop(ctx)
}

func (e *engineProcess) ready(ctx context.Context) error {
	if e.supervisor == nil {
		return nil
	}
	return e.supervisor.Ready(ctx)
}

func (e *engineProcess) reopen(ctx context.Context) error {
	if e.supervisor == nil {
		return nil
	}
	return e.supervisor.Reopen(ctx)
}

// metrics gathers the engine's page.
func (e *engineProcess) metrics() []prometheus.Gatherer {
	if e.supervisor == nil {
		return nil
	}
	return []prometheus.Gatherer{metrics.NewRemote(supervise.Client(e.dir), supervise.URL("/metrics"), 0)}
}

// destinationCheck asks the service of a new log destination whether records
// can be written there; files need no such question.
func destinationCheck(c *config.Config) func(ctx context.Context, kind string, target map[string]string) error {
	template := deliveryOf(c)
	if template == nil {
		return nil
	}
	return func(ctx context.Context, kind string, target map[string]string) error {
		o := *template
		o.Type, o.Target = kind, target
		return delivery.Check(ctx, o)
	}
}
