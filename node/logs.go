package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/delivery"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
	"github.com/sluicefw/sluice/resource"
)

// Rotation of log files: by size and by hour, kept for two weeks.
const (
	logFileBytes = 75 << 20
	logFileAge   = time.Hour
	logKeepFor   = 14 * 24 * time.Hour
)

// logs are where the records of all firewalls go: by default one directory for
// each log group, and two firewalls that name the same group write to the same
// file; or, with delivery, the services that the groups name.
//
// Accounts have log groups of their own: those of another account than home are
// below @<account>, which is the name of no group's directory and of no firewall.
type logs struct {
	root     string
	home     string            // account
	delivery *delivery.Options // a template; nil: files
	logger   *slog.Logger

	mu      sync.Mutex
	sinks   map[string]*logSink // guarded by mu: by key
	leaving map[string]*logSink // guarded by mu: services that are being closed, by key
	gone    eve.LoggerStats     // guarded by mu: counts of sinks that are closed
}

// logSink is an open file or service.
type logSink struct {
	eve.Sink
	stats func() eve.LoggerStats
	file  *eve.FileWriter // nil for a service
	key   string
	refs  int

	// Of a service that is being closed.
	giveUp context.CancelFunc // leaves in the spool what is not sent yet
	closed chan struct{}      // closed when it is
}

func newLogs(dir, home string, d *delivery.Options, logger *slog.Logger) *logs {
	return &logs{root: dir, home: home, delivery: d, logger: logger, sinks: map[string]*logSink{}, leaving: map[string]*logSink{}}
}

// destination is where one type of log goes, as the API has it.
type destination struct {
	kind   string            // a wire.LogDestinationType constant
	target map[string]string // its LogDestination
}

// group names the destination: the log group, the delivery stream, or the
// bucket with its prefix.
func (d destination) group() string {
	switch d.kind {
	case wire.LogDestinationTypeCloudWatchLogs:
		return d.target["logGroup"]
	case wire.LogDestinationTypeKinesisDataFirehose:
		return d.target["deliveryStream"]
	}
	if prefix := d.target["prefix"]; prefix != "" {
		return d.target["bucketName"] + "/" + prefix
	}
	return d.target["bucketName"]
}

func (d destination) equal(e destination) bool {
	return d.kind == e.kind && maps.Equal(d.target, e.target)
}

// of is the part of a directory that is an account's.
func (l *logs) of(account, dir string) string {
	if account == l.home {
		return dir
	}
	return filepath.Join(dir, "@"+account)
}

// open returns the sink of a firewall's log, which the caller must release.
func (l *logs) open(ctx context.Context, firewall resource.FirewallID, logType string, d destination) (*logSink, error) {
	key := firewall.Account + "\x00" + d.group()
	if l.delivery != nil {
		key = strings.Join([]string{firewall.String(), logType, d.kind, d.group()}, "\x00")
	}
	l.rejoin(key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sinks[key]; s != nil {
		s.refs++
		return s, nil
	}
	var s *logSink
	var err error
	if l.delivery != nil {
		s, err = l.openService(ctx, firewall, logType, d)
	} else {
		s, err = l.openFile(firewall.Account, d)
	}
	if err != nil {
		return nil, err
	}
	s.key, s.refs = key, 1
	l.sinks[key] = s
	return s, nil
}

func (l *logs) openFile(account string, d destination) (*logSink, error) {
	dir, err := eve.NewDirs(l.of(account, l.root)).Dir(d.group())
	if err != nil {
		return nil, err
	}
	file, err := eve.OpenFile(filepath.Join(dir, "eve.json"), eve.FileOptions{
		MaxBytes: logFileBytes, Every: logFileAge, KeepFor: logKeepFor,
		OnError: func(err error) {
			l.logger.Warn("log rotation failed; writing goes on in the old file", slog.String("group", d.group()), slog.Any("error", err))
		},
	})
	if err != nil {
		return nil, err
	}
	log := eve.NewLogger(file, eve.LoggerOptions{Log: l.logger})
	return &logSink{Sink: log, stats: log.Stats, file: file}, nil
}

// openService opens the way to a service. What an earlier process has left in
// the spool of the same destination is delivered too.
func (l *logs) openService(ctx context.Context, firewall resource.FirewallID, logType string, d destination) (*logSink, error) {
	o := *l.delivery
	o.Type, o.Target, o.LogType, o.Account, o.Firewall, o.Logger = d.kind, d.target, logType, firewall.Account, firewall.Name, l.logger
	var err error
	if o.SpoolDir, err = eve.NewDirs(filepath.Join(l.of(firewall.Account, o.SpoolDir), firewall.Name, strings.ToLower(logType))).Dir(d.kind + "/" + d.group()); err != nil {
		return nil, err
	}
	dest, err := delivery.New(ctx, o)
	if err != nil {
		return nil, err
	}
	return &logSink{Sink: dest, stats: func() eve.LoggerStats {
		s := dest.Stats()
		return eve.LoggerStats{Written: s.Delivered, Dropped: s.Dropped + s.TooLarge + s.Rejected + s.Damaged, Errors: s.Failures}
	}}, nil
}

// release gives a sink back. The last one closes it: a file at once, a service
// in the background, because what its spool holds is sent first, and a service
// that is away takes its time to say so.
func (l *logs) release(ctx context.Context, s *logSink) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	}
	delete(l.sinks, s.key)
	if s.file != nil {
		err := s.Close(ctx)
		l.gone = sum(l.gone, s.stats())
		return err
	}
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	s.giveUp, s.closed = giveUp, make(chan struct{})
	l.leaving[s.key] = s
	go func() {
		defer giveUp()
		if err := s.Close(sending); err != nil {
			l.logger.Warn("log records wait until their destination is configured again", slog.Any("error", err))
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.leaving, s.key)
		l.gone = sum(l.gone, s.stats())
		close(s.closed)
	}()
	return nil
}

// rejoin waits until a service that is being closed has let go of its spool. It
// is told to, so that is a matter of the disk.
func (l *logs) rejoin(key string) {
	l.mu.Lock()
	s := l.leaving[key]
	l.mu.Unlock()
	if s != nil {
		s.giveUp()
		<-s.closed
	}
}

// wait returns when every service that was released is closed. When ctx ends, it
// makes them leave in their spools what is not sent yet.
func (l *logs) wait(ctx context.Context) {
	l.mu.Lock()
	leaving := slices.Collect(maps.Values(l.leaving))
	l.mu.Unlock()
	for _, s := range leaving {
		stop := context.AfterFunc(ctx, s.giveUp)
		<-s.closed
		stop()
	}
}

// reopen makes every file new, after something outside has moved them.
func (l *logs) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sinks {
		if s.file != nil {
			s.file.Reopen()
		}
	}
}

func (l *logs) stats() eve.LoggerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.gone
	for _, sinks := range []map[string]*logSink{l.sinks, l.leaving} {
		for _, s := range sinks {
			all = sum(all, s.stats())
		}
	}
	return all
}

func sum(a, b eve.LoggerStats) eve.LoggerStats {
	return eve.LoggerStats{Written: a.Written + b.Written, Dropped: a.Dropped + b.Dropped, Errors: a.Errors + b.Errors}
}

// destinations are where the logs of one firewall go, by log type.
type destinations map[string]destination

// destinationsOf reads a logging configuration.
func destinationsOf(configs []wire.LogDestinationConfig) destinations {
	all := destinations{}
	for _, c := range configs {
		if d := (destination{wire.Val(c.LogDestinationType), c.LogDestination}); d.group() != "" {
			all[wire.Val(c.LogType)] = d
		}
	}
	return all
}

// sinks are what a firewall's records go to at the moment; nil where nobody reads them.
type sinks struct{ alert, flow *logSink }

// recorder is the logging of one firewall. It is swapped while traffic runs.
type recorder struct {
	logs     *logs
	firewall resource.FirewallID
	envelope eve.Envelope
	sinks    atomic.Pointer[sinks]
	current  destinations // that are open; of configure's caller only
}

func newRecorder(l *logs, firewall resource.FirewallID, zone string) *recorder {
	r := &recorder{logs: l, firewall: firewall, envelope: eve.Envelope{FirewallName: firewall.Name, AvailabilityZone: zone}}
	r.sinks.Store(&sinks{})
	return r
}

// configure points the recorder at d. On an error the destinations that could
// be opened are in use, and the next call tries the others again.
func (r *recorder) configure(ctx context.Context, d destinations) error {
	if maps.EqualFunc(d, r.current, destination.equal) {
		return nil
	}
	var errs []error
	next, current := &sinks{}, maps.Clone(d)
	open := func(logType string) *logSink {
		to, ok := d[logType]
		if !ok {
			return nil
		}
		f, err := r.logs.open(ctx, r.firewall, logType, to)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s log: %w", logType, err))
			delete(current, logType)
			return nil
		}
		return f
	}
	next.alert, next.flow = open(wire.LogTypeAlert), open(wire.LogTypeFlow)
	old := r.sinks.Swap(next)
	for _, s := range []*logSink{old.alert, old.flow} {
		if s != nil {
			errs = append(errs, r.logs.release(ctx, s))
		}
	}
	r.current = current
	return errors.Join(errs...)
}

// The recorder answers for all workers what is worth building.
var _ engine.Wants = (*recorder)(nil)

func (r *recorder) Wants(k engine.Kind) bool {
	switch k {
	case engine.Alerts:
		return r.sinks.Load().alert != nil
	case engine.Flows:
		return r.sinks.Load().flow != nil
	}
	return false // AWS has no log of anything else
}

// records encodes for one worker.
type records struct {
	*recorder
	event, line []byte
}

func (r *recorder) newRecords() engine.Records { return &records{recorder: r} }

func (r *records) Alert(a *eve.Alert) {
	if s := r.sinks.Load().alert; s != nil {
		if a.Passed {
			a.Verdict = "pass" // Suricata's would be "alert"
		}
		a.Tunnel = nil // AWS's records have none
		r.event = eve.AppendAlert(r.event[:0], a)
		r.write(s, a.Time, a.ResourceARN)
	}
}

func (r *records) Flow(f *eve.Flow) {
	s := r.sinks.Load().flow
	if s == nil {
		return
	}
	r.event = eve.AppendAWSNetflow(r.event[:0], f, packet.ToServer)
	r.write(s, f.Time, "")
	if f.ToClient.Packets > 0 {
		r.event = eve.AppendAWSNetflow(r.event[:0], f, packet.ToClient)
		r.write(s, f.Time, "")
	}
}

// stats logs the counters of the firewall.
func (r *recorder) stats(s *eve.Stats) {
	if sink := r.sinks.Load().alert; sink != nil {
		sink.Log(eve.AppendEnvelope(nil, &r.envelope, s.Time, "", eve.AppendStats(nil, s)))
	}
}

func (r *records) Drop(*eve.Drop)       {}
func (r *records) Anomaly(*eve.Anomaly) {}
func (r *records) App(*eve.App)         {}
func (r *records) Tagged(*eve.Tagged)   {}
func (r *records) Captured(*eve.Tuple)  {}

// Flush implements engine.Flusher for flow records.
func (r *records) Flush(ctx context.Context) error {
	if s := r.sinks.Load().flow; s != nil {
		return s.Flush(ctx)
	}
	return nil
}

func (r *records) write(s *logSink, time int64, arn string) {
	r.line = eve.AppendEnvelope(r.line[:0], &r.envelope, time, arn, r.event)
	s.Log(r.line)
}
