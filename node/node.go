// Package node is an engine's life beside the store: it registers the node,
// watches the firewalls of its zone with their policies and rule groups,
// compiles them and puts the programs in force, runs flow operations, and
// reports what it did.
//
// The store may go away at any time. Packets do not notice: engines go on with
// the programs they have, and the node catches up when the store is back.
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicefw/sluice/delivery"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/defrag"
	"github.com/sluicefw/sluice/engine/stream"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/metrics"
	"github.com/sluicefw/sluice/pktio"
	"github.com/sluicefw/sluice/policy"
	"github.com/sluicefw/sluice/resource"
	"github.com/sluicefw/sluice/store"
)

// leaseTTL is how long a node that has fallen silent counts as alive.
const leaseTTL = 5 * time.Second

// Attachment says which packets meet a firewall here.
type Attachment struct {
	Account  string // of the firewall; empty: that of Options.Scope
	Firewall string // name
	Endpoint string // one of the names that resource.Firewall and resource.EndpointAssociation give their endpoints
	Open     func() (pktio.Driver, error)
	FailOpen bool // packets pass while the firewall has no policy yet
}

// Options set a node up. ID, Zone, Store, Scope and LogDir are required.
type Options struct {
	ID      string // unique among the nodes of the store
	Zone    string
	Version string
	Store   *store.Store
	Scope   resource.Scope // firewalls of all accounts of its Region are served
	Attach  []Attachment
	LogDir  string // log groups become directories below it; those of other accounts than Scope's below @<account>

	// Delivery, if set, sends logs to the services that their destinations name
	// instead of files: a template, in which SpoolDir is the root of all spools.
	Delivery *delivery.Options

	FlowLimit     int                // per worker; 0 is the engine's default
	Fragments     defrag.Options     // how fragments are put together
	Streams       stream.Options     // how TCP connections are followed
	StreamMemory  int64              // bytes of streams under inspection, of one worker; 0 is the engine's default
	Limits        engine.Limits      // what happens to packets that the engine cannot follow
	ResultLimit   int                // flows kept of one operation; 0 is 1,000,000
	StoredFlows   int                // flows kept of all operations of 12 hours, about 24 bytes each; 0 is 20,000,000
	Detail        eve.Detail         // of records, beside what AWS's have
	StatsEvery    time.Duration      // between records of counters in the alert logs; 0: none
	HomeNet       []string           // HOME_NET where no policy sets it; empty is the private ranges
	Rules         policy.RuleOptions // what rules can ask
	DataSetsDir   string             // data sets of rules are read from and saved below it; empty: rules have no such files
	DataSetsEvery time.Duration      // between saves of what has changed; 0: a minute
	Logger        *slog.Logger
}

// Node serves the firewalls of a zone.
type Node struct {
	opt      Options
	logs     *logs
	counters engine.Counters
	latency  *metrics.Histogram
	custom   *engine.CustomActions
	started  time.Time
	synced   atomic.Bool // the configuration has been read once

	mu        sync.Mutex
	firewalls map[resource.FirewallID]*firewall // guarded by mu

	// Of the goroutine that watches the configuration.
	docs documents

	// Of the goroutines that run operations.
	opsMu sync.Mutex
	ops   map[string]context.CancelFunc // guarded by opsMu: operations taken up
	opsWG sync.WaitGroup

	results []result // guarded by opsMu: in the store, oldest first
	stored  int      // guarded by opsMu: flows in results

	dirty chan struct{} // holds a token: reports must be written
}

// New makes a node and opens its drivers. From then on packets meet it; they
// are dropped (or pass, as the attachment says) until Run has read a policy.
func New(opt Options) (*Node, error) {
	if opt.ResultLimit <= 0 {
		opt.ResultLimit = 1_000_000
	}
	if opt.StoredFlows <= 0 {
		opt.StoredFlows = 20_000_000
	}
	if len(opt.HomeNet) == 0 {
		opt.HomeNet = policy.DefaultHomeNet
	}
	if opt.DataSetsEvery <= 0 {
		opt.DataSetsEvery = dataSetsEvery
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	n := &Node{
		opt:       opt,
		logs:      newLogs(opt.LogDir, opt.Scope.Account, opt.Delivery, opt.Logger),
		counters:  engine.NewCounters(),
		latency:   engine.NewLatency(),
		custom:    &engine.CustomActions{},
		started:   time.Now(),
		firewalls: map[resource.FirewallID]*firewall{},
		docs:      newDocuments(),
		ops:       map[string]context.CancelFunc{},
		dirty:     make(chan struct{}, 1),
	}
	for _, a := range opt.Attach {
		fw := n.firewall(resource.FirewallID{Account: cmp.Or(a.Account, opt.Scope.Account), Name: a.Firewall}, a.FailOpen)
		driver, err := a.Open()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("attach firewall %q: %w", fw.label, err), n.closeDrivers())
		}
		if !slices.Contains(fw.attached, a.Endpoint) {
			fw.attached = append(fw.attached, a.Endpoint)
		}
		fw.drivers = append(fw.drivers, driver)
		fw.engine.AttachEndpoint(a.Endpoint, driver.Queues())
	}
	return n, nil
}

// firewall returns the firewall with that id, making it at first.
func (n *Node) firewall(id resource.FirewallID, failOpen bool) *firewall {
	n.mu.Lock()
	defer n.mu.Unlock()
	fw := n.firewalls[id]
	if fw == nil {
		rec := newRecorder(n.logs, id, n.opt.Zone)
		fw = &firewall{id: id, label: id.String(), recorder: rec}
		if id.Account == n.opt.Scope.Account {
			fw.label = id.Name
		}
		fw.rematch.Store(-1)
		fw.engine = engine.New(engine.Options{
			Account: id.Account, Firewall: id.Name, Zone: n.opt.Zone, FlowLimit: n.opt.FlowLimit, Fragments: n.opt.Fragments,
			Streams: n.opt.Streams, StreamMemory: n.opt.StreamMemory, Limits: n.opt.Limits,
			Inline: true, FailOpen: failOpen, VerifyChecksums: true, Tunnels: true,
			Counters: n.counters, Latency: n.latency, Custom: n.custom,
			NewRecords: rec.newRecords, Wants: rec, Detail: n.opt.Detail,
			Logger: n.opt.Logger.With(slog.String("firewall", fw.label)),
		})
		n.firewalls[id] = fw
	}
	return fw
}

// scope is that of an account in the node's Region.
func (n *Node) scope(account string) resource.Scope {
	return resource.Scope{Account: account, Region: n.opt.Scope.Region}
}

// all returns the firewalls as of now.
func (n *Node) all() []*firewall {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]*firewall, 0, len(n.firewalls))
	for _, fw := range n.firewalls {
		list = append(list, fw)
	}
	return list
}

// Run serves until ctx ends, then closes the drivers, logs the flows that were
// still there and withdraws the node's reports.
func (n *Node) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { n.watchConfig(ctx) })
	wg.Go(func() { n.watchOperations(ctx) })
	wg.Go(func() { n.watchQueries(ctx) })
	wg.Go(func() { n.watchReports(ctx) })
	wg.Go(func() { n.saveDataSets(ctx) })
	if n.opt.StatsEvery > 0 {
		wg.Go(func() { n.logStats(ctx) })
	}
	wg.Go(func() {
		n.opt.Store.Hold(ctx, leaseTTL, n.report)
	})
	<-ctx.Done()
	wg.Wait()
	n.opsWG.Wait()
	err := n.closeDrivers()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, fw := range n.all() {
		fw.engine.Wait()
		n.saveDataSetsOf(fw, fw.engine.Program())
		err = errors.Join(err, fw.recorder.configure(closing, destinations{}))
	}
	n.logs.wait(closing)
	return err
}

// logStats writes the counters of every firewall until ctx ends.
func (n *Node) logStats(ctx context.Context) {
	tick := time.NewTicker(n.opt.StatsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, fw := range n.all() {
				fw.recorder.stats(&eve.Stats{Time: now.UnixNano(), Uptime: int64(now.Sub(n.started) / time.Second), Counters: fw.engine.Stats()})
			}
		}
	}
}

func (n *Node) closeDrivers() error {
	var errs []error
	for _, fw := range n.all() {
		for _, d := range fw.drivers {
			errs = append(errs, d.Close())
		}
		fw.drivers = nil
	}
	return errors.Join(errs...)
}

// watchConfig follows the resources of all accounts.
func (n *Node) watchConfig(ctx context.Context) {
	updates := n.opt.Store.Watch(ctx, resource.Config, 0)
	again := time.NewTicker(n.opt.DataSetsEvery)
	defer again.Stop()
	for {
		select {
		case up, ok := <-updates:
			if !ok {
				return
			}
			if err := n.docs.update(n.opt.Scope.Region, up); err != nil {
				n.opt.Logger.Error("records of the store cannot be read and are left as they were", slog.Any("error", err))
			}
		case <-again.C:
			if !n.readAgain() {
				continue
			}
		}
		n.reconcile(ctx)
		n.synced.Store(true)
		n.markDirty()
	}
}

// markDirty has the reports written soon.
func (n *Node) markDirty() {
	select {
	case n.dirty <- struct{}{}:
	default:
	}
}

// report registers the node and keeps its reports up to date, under a lease
// that Hold keeps: what it wrote goes when the node does.
func (n *Node) report(ctx context.Context, lease store.Lease) {
	written := map[string]string{}
	registered := false
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.dirty:
		case <-retry.C:
		}
		if !registered {
			node := resource.Node{ID: n.opt.ID, Zone: n.opt.Zone, Version: n.opt.Version, Started: n.started}
			if _, err := n.opt.Store.Put(ctx, n.opt.Scope.Node(n.opt.Zone, n.opt.ID), node, lease); err != nil {
				n.opt.Logger.Warn("the node cannot register", slog.Any("error", err))
				retry.Reset(time.Second)
				continue
			}
			registered = true
		}
		if err := n.writeSyncs(ctx, lease, written); err != nil {
			n.opt.Logger.Warn("the node cannot report its state", slog.Any("error", err))
			retry.Reset(time.Second)
		}
	}
}

// writeSyncs writes the sync records that differ from what is written.
func (n *Node) writeSyncs(ctx context.Context, lease store.Lease, written map[string]string) error {
	served := map[string]bool{}
	for _, fw := range n.all() {
		sync, ok := fw.sync(n.opt.ID, n.opt.Zone)
		if !ok {
			continue
		}
		key := n.scope(fw.id.Account).Sync(fw.id.Name, n.opt.Zone, n.opt.ID)
		served[key] = true
		text := fmt.Sprint(sync)
		if written[key] == text {
			continue
		}
		if _, err := n.opt.Store.Put(ctx, key, sync, lease); err != nil {
			return err
		}
		written[key] = text
	}
	for key := range written {
		if !served[key] {
			if err := n.opt.Store.Delete(ctx, key); err != nil {
				return err
			}
			delete(written, key)
		}
	}
	return nil
}

// Ready returns nil when the node has read its configuration and every
// attached firewall has a program, else an error that says what is missing.
func (n *Node) Ready() error {
	if !n.synced.Load() {
		return errors.New("the configuration has not been read from the store yet")
	}
	var waiting []string
	for _, fw := range n.all() {
		if len(fw.attached) > 0 && fw.engine.Program() == nil {
			waiting = append(waiting, fw.label)
		}
	}
	if len(waiting) > 0 {
		return fmt.Errorf("no policy is in force for the attached firewalls %s: create them through the API", strings.Join(waiting, ", "))
	}
	return nil
}

// ReopenLogs begins new log files, after something outside has moved them.
func (n *Node) ReopenLogs() { n.logs.reopen() }

// Collectors are the node's metrics.
func (n *Node) Collectors() []prometheus.Collector {
	perFirewall := func(name, help string, kind prometheus.ValueType, value func(*firewall) float64) prometheus.Collector {
		return metrics.Func(metrics.Desc{Name: name, Help: help, Labels: []string{"account", "firewall", "zone"}, Type: kind}, func(emit func(float64, ...string)) {
			for _, fw := range n.all() {
				emit(value(fw), fw.id.Account, fw.id.Name, n.opt.Zone)
			}
		})
	}
	return []prometheus.Collector{
		n.counters, n.latency,
		perFirewall("sluice_flows", "Flows in the flow table.", prometheus.GaugeValue, func(fw *firewall) float64 { return float64(fw.engine.Flows()) }),
		perFirewall("sluice_driver_lost_packets_total", "Packets that drivers lost before the engine saw them.", prometheus.CounterValue, func(fw *firewall) float64 { return float64(fw.engine.Lost()) }),
		perFirewall("sluice_data_set_files_written_total", "Times that a file of a data set was written.", prometheus.CounterValue, func(fw *firewall) float64 { return float64(fw.setsSaved.Load()) }),
		perFirewall("sluice_data_set_save_failures_total", "Times that changed data sets could not be saved.", prometheus.CounterValue, func(fw *firewall) float64 { return float64(fw.setsFailed.Load()) }),
		perFirewall("sluice_data_set_bytes", "What data sets hold, as memcap counts it.", prometheus.GaugeValue, func(fw *firewall) float64 { bytes, _ := fw.setUse(); return float64(bytes) }),
		perFirewall("sluice_data_set_values_refused_total", "Values of packets that no data set had room for.", prometheus.CounterValue, func(fw *firewall) float64 { _, refused := fw.setUse(); return float64(refused) }),
		perFirewall("sluice_generation", "Number of the program in force.", prometheus.GaugeValue, func(fw *firewall) float64 {
			if p := fw.engine.Program(); p != nil {
				return float64(p.Generation)
			}
			return 0
		}),
		metrics.Func(metrics.Desc{Name: "sluice_stale_flows", Help: "Flows that the program in force would not admit any more, counted when it came into force, for firewalls that rematch.", Labels: []string{"account", "firewall", "zone"}, Type: prometheus.GaugeValue}, func(emit func(float64, ...string)) {
			for _, fw := range n.all() {
				if stale := fw.rematch.Load(); stale >= 0 {
					emit(float64(stale), fw.id.Account, fw.id.Name, n.opt.Zone)
				}
			}
		}),
		metrics.Func(metrics.Desc{Name: "sluice_custom_action_packets_total", Help: "Packets that a stateless custom action counted.", Labels: []string{"custom_action"}, Type: prometheus.CounterValue}, func(emit func(float64, ...string)) {
			for name, packets := range n.custom.All {
				emit(float64(packets), name)
			}
		}),
		metrics.Func(metrics.Desc{Name: "sluice_log_records_total", Help: "Log records by what became of them.", Labels: []string{"result"}, Type: prometheus.CounterValue}, func(emit func(float64, ...string)) {
			s := n.logs.stats()
			emit(float64(s.Written), "written")
			emit(float64(s.Dropped), "dropped")
		}),
		metrics.Func(metrics.Desc{Name: "sluice_log_write_errors_total", Help: "Failed writes to log files.", Type: prometheus.CounterValue}, func(emit func(float64, ...string)) {
			emit(float64(n.logs.stats().Errors))
		}),
	}
}
