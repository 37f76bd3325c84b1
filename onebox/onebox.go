// Package onebox runs the whole product in one process: an embedded store, the
// control side, an engine node and the API on one listener. The demonstration
// and tests use it; a production set-up keeps the engine in a process of its own.
//
// Nothing is short-circuited: callers reach it over HTTP, the node sees only
// what is in the store.
package onebox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sluicefw/sluice/awsapi"
	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/control"
	"github.com/sluicefw/sluice/metrics"
	"github.com/sluicefw/sluice/node"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// nodeID is the name that the only node registers under. It is fixed, so that
// a box which starts on the data of one that crashed takes its place at once.
const nodeID = "onebox"

// Options configure Start. The zero value needs Dev or an access key.
type Options struct {
	Dir    string // data directory; "": a temporary one, removed by Close
	Listen string // TCP address of the API; "": a free port of 127.0.0.1

	Zone    string // "": us-east-1a
	Region  string // "": us-east-1
	Account string // 12 digits; "": 123456789012

	Dev                          bool        // any access key is accepted; for loopback addresses only
	AccessKeyID, SecretAccessKey string      // who may call unless Dev
	Others                       []AccessKey // of further accounts

	Attach       []node.Attachment // which packets meet which firewall
	FlowLimit    int               // see node.Options
	ResultLimit  int               // see node.Options
	HomeNet      []string          // see node.Options
	FlowDeadline time.Duration     // see control.Options

	Rules policy.RuleOptions // what rules can ask; files of data sets are below Dir

	Version string
	Logger  *slog.Logger // nil: discard
}

// AccessKey is who may call for an account.
type AccessKey struct{ ID, Secret, Account string }

func (o *Options) setDefaults() {
	for _, d := range []struct {
		value *string
		or    string
	}{
		{&o.Listen, "127.0.0.1:0"}, {&o.Zone, "us-east-1a"}, {&o.Region, "us-east-1"}, {&o.Account, "123456789012"},
	} {
		if *d.value == "" {
			*d.value = d.or
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Box is a running product. All methods may be called from any goroutine.
type Box struct {
	store *store.Store
	node  *node.Node
	url   string

	stops     []func() error // in the order that they were started in
	closeOnce sync.Once
	closeErr  error // set by closeOnce
}

// Start starts everything and returns when the API answers and the node has
// registered, so that a firewall created next is served. ctx bounds the start
// only; the box runs until Close.
func Start(ctx context.Context, o Options) (*Box, error) {
	o.setDefaults()
	b := &Box{}
	if err := b.start(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("start: %w", err), b.Close())
	}
	return b, nil
}

// onClose has Close call stop, before everything that was started earlier.
func (b *Box) onClose(stop func() error) { b.stops = append(b.stops, stop) }

func (b *Box) start(ctx context.Context, o Options) error {
	scope := resource.Scope{Account: o.Account, Region: o.Region}
	begun := time.Now()

	dir := o.Dir
	if dir == "" {
		temp, err := os.MkdirTemp("", "sluice-")
		if err != nil {
			return fmt.Errorf("make a temporary data directory: %w: set TMPDIR to one that can be written", err)
		}
		b.onClose(func() error { return os.RemoveAll(temp) })
		dir = temp
	}

	var err error
	if b.store, err = store.Open(ctx, store.Options{Dir: filepath.Join(dir, "store"), Logger: o.Logger}); err != nil {
		return err
	}
	b.onClose(b.store.Close)

	b.node, err = node.New(node.Options{
		ID: nodeID, Zone: o.Zone, Version: o.Version, Store: b.store, Scope: scope, Attach: o.Attach, LogDir: filepath.Join(dir, "logs"),
		FlowLimit: o.FlowLimit, HomeNet: o.HomeNet, ResultLimit: o.ResultLimit, Rules: o.Rules, DataSetsDir: filepath.Join(dir, "datasets"), Logger: o.Logger,
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan error, 1)
	go func() { stopped <- b.node.Run(running) }()
	b.onClose(func() error { stop(); return <-stopped })

	if err := b.serve(o, scope); err != nil {
		return err
	}
	return b.registered(ctx, scope.Node(o.Zone, nodeID), begun)
}

// serve starts the HTTP server.
func (b *Box) serve(o Options, scope resource.Scope) error {
	registry := metrics.New("onebox", metrics.Build{Version: o.Version})
	registry.MustRegister(b.node.Collectors()...)
	var names []string
	for _, op := range wire.Operations() {
		names = append(names, op.Name)
	}
	requests := metrics.NewRequests(registry, names...)

	if !o.Dev && o.AccessKeyID == "" {
		return errors.New("nobody may call the API: set an access key, or Dev")
	}
	api, err := awsapi.New(awsapi.Options{
		ServiceFor: func(account string) (any, error) {
			return control.New(control.Options{
				Store: b.store, Scope: resource.Scope{Account: account, Region: scope.Region}, Zone: o.Zone, RuleCheck: o.Rules.Check(),
				FlowDeadline: o.FlowDeadline, Logger: o.Logger,
			}), nil
		},
		Region: o.Region, Keys: append(keys{{o.AccessKeyID, o.SecretAccessKey, o.Account}}, o.Others...), Dev: o.Dev, Account: o.Account,
		Logger: o.Logger,
		Observe: func(operation, code string, took time.Duration) {
			if code == "" {
				code = "OK"
			}
			requests.Observe(operation, code, took)
		},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.Handle("/metrics", registry.Handler())
	mux.HandleFunc("/healthz", answer(func(context.Context) error { return b.store.Err() }))
	mux.HandleFunc("/readyz", answer(func(ctx context.Context) error {
		return errors.Join(b.store.Ping(ctx), b.node.Ready())
	}))

	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w: choose another address or port", err)
	}
	if o.Dev && !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
		return errors.Join(fmt.Errorf("listen on %v: without access keys only loopback addresses are served", l.Addr()), l.Close())
	}
	b.url = "http://" + l.Addr().String()
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the API has ended", slog.Any("error", err))
		}
	}()
	b.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err := server.Shutdown(ctx)
		if err != nil {
			err = errors.Join(err, server.Close())
		}
		<-ended
		return err
	})
	return nil
}

// answer is the handler of a probe: 200 while check returns nil, else 503 and why.
func answer(check func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

// registered waits for the node's record at key. One from before begun was
// left by a box that crashed.
func (b *Box) registered(ctx context.Context, key string, begun time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for up := range b.store.Watch(ctx, key, 0) {
		for _, ev := range up.Events {
			if ev.Deleted {
				continue
			}
			n, err := store.Decode[resource.Node](ev.KV)
			if err == nil && !n.Started.Before(begun) {
				return nil
			}
		}
	}
	if err := b.store.Err(); err != nil {
		return fmt.Errorf("wait for the node to register: %w", err)
	}
	return fmt.Errorf("wait for the node to register: %w", ctx.Err())
}

// URL is where the API is, without a slash at the end. /metrics, /healthz and
// /readyz are below it.
func (b *Box) URL() string { return b.url }

// Store is the embedded store.
func (b *Box) Store() *store.Store { return b.store }

// Node is the engine node.
func (b *Box) Node() *node.Node { return b.node }

// Close stops the API, then the node with its drivers, then the store: each
// part still has what it needs to end in order. No goroutine is left.
func (b *Box) Close() error {
	b.closeOnce.Do(func() {
		var errs []error
		for i := len(b.stops) - 1; i >= 0; i-- {
			errs = append(errs, b.stops[i]())
		}
		b.closeErr = errors.Join(errs...)
	})
	return b.closeErr
}

// keys are all that there are.
type keys []AccessKey

func (k keys) Secret(id string) (secret, account string, ok bool) {
	for _, key := range k {
		if id != "" && key.ID == id {
			return key.Secret, key.Account, true
		}
	}
	return "", "", false
}
