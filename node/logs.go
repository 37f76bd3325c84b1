package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicefw/sluice/awsapi/wire"
	"github.com/sluicefw/sluice/engine"
	"github.com/sluicefw/sluice/engine/packet"
	"github.com/sluicefw/sluice/eve"
)

// Rotation of log files: by size and by hour, kept for two weeks.
const (
	logFileBytes = 75 << 20
	logFileAge   = time.Hour
	logKeepFor   = 14 * 24 * time.Hour
)

// logs are the log files of all firewalls: one directory for each log group.
// Two firewalls that name the same group write to the same file.
type logs struct {
	dirs   eve.Dirs
	logger *slog.Logger

	mu    sync.Mutex
	files map[string]*logFile // guarded by mu: by group
	gone  eve.LoggerStats     // guarded by mu: counts of files that are closed
}

type logFile struct {
	*eve.Logger
	file *eve.FileWriter
	refs int
}

func newLogs(dir string, logger *slog.Logger) *logs {
	return &logs{dirs: eve.NewDirs(dir), logger: logger, files: map[string]*logFile{}}
}

// open returns the file of a group, which the caller must release.
func (l *logs) open(group string) (*logFile, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.files[group]; f != nil {
		f.refs++
		return f, nil
	}
	dir, err := l.dirs.Dir(group)
	if err != nil {
		return nil, err
	}
	file, err := eve.OpenFile(filepath.Join(dir, "eve.json"), eve.FileOptions{
		MaxBytes: logFileBytes, Every: logFileAge, KeepFor: logKeepFor,
		OnError: func(err error) {
			l.logger.Warn("log rotation failed; writing goes on in the old file", slog.String("group", group), slog.Any("error", err))
		},
	})
	if err != nil {
		return nil, err
	}
	f := &logFile{Logger: eve.NewLogger(file, eve.LoggerOptions{Log: l.logger}), file: file, refs: 1}
	l.files[group] = f
	return f, nil
}

func (l *logs) release(ctx context.Context, group string) error {
	l.mu.Lock()
	f := l.files[group]
	if f == nil {
		l.mu.Unlock()
		return nil
	}
	if f.refs--; f.refs > 0 {
		l.mu.Unlock()
		return nil
	}
	delete(l.files, group)
	l.mu.Unlock()
	err := f.Close(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := f.Stats()
	l.gone.Written += s.Written
	l.gone.Dropped += s.Dropped
	l.gone.Errors += s.Errors
	return err
}

// reopen makes every file new, after something outside has moved them.
func (l *logs) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		f.file.Reopen()
	}
}

func (l *logs) stats() eve.LoggerStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := l.gone
	for _, f := range l.files {
		s := f.Stats()
		sum.Written += s.Written
		sum.Dropped += s.Dropped
		sum.Errors += s.Errors
	}
	return sum
}

// destinations are the log groups of one firewall by log type.
type destinations map[string]string

// destinationsOf reads a logging configuration. Each kind of AWS destination
// becomes a directory, named as the destination is.
func destinationsOf(configs []wire.LogDestinationConfig) destinations {
	d := destinations{}
	for _, c := range configs {
		var group string
		switch wire.Val(c.LogDestinationType) {
		case wire.LogDestinationTypeCloudWatchLogs:
			group = c.LogDestination["logGroup"]
		case wire.LogDestinationTypeKinesisDataFirehose:
			group = c.LogDestination["deliveryStream"]
		case wire.LogDestinationTypeS3:
			group = c.LogDestination["bucketName"]
			if prefix := c.LogDestination["prefix"]; prefix != "" {
				group += "/" + prefix
			}
		}
		if group != "" {
			d[wire.Val(c.LogType)] = group
		}
	}
	return d
}

// sinks are what a firewall's records go to at the moment; nil where nobody reads them.
type sinks struct{ alert, flow *logFile }

// recorder is the logging of one firewall. It is swapped while traffic runs.
type recorder struct {
	logs     *logs
	envelope eve.Envelope
	sinks    atomic.Pointer[sinks]
	current  destinations // that are open; of configure's caller only
}

func newRecorder(l *logs, firewall, zone string) *recorder {
	r := &recorder{logs: l, envelope: eve.Envelope{FirewallName: firewall, AvailabilityZone: zone}}
	r.sinks.Store(&sinks{})
	return r
}

// configure points the recorder at d. On an error the destinations that could
// be opened are in use, and the next call tries the others again.
func (r *recorder) configure(ctx context.Context, d destinations) error {
	if maps.Equal(d, r.current) {
		return nil
	}
	var errs []error
	next, current := &sinks{}, maps.Clone(d)
	open := func(logType string) *logFile {
		group := d[logType]
		if group == "" {
			return nil
		}
		f, err := r.logs.open(group)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s log: %w", logType, err))
			delete(current, logType)
			return nil
		}
		return f
	}
	next.alert, next.flow = open(wire.LogTypeAlert), open(wire.LogTypeFlow)
	old := r.sinks.Swap(next)
	for logType, f := range map[string]*logFile{wire.LogTypeAlert: old.alert, wire.LogTypeFlow: old.flow} {
		if f != nil {
			errs = append(errs, r.logs.release(ctx, r.current[logType]))
		}
	}
	r.current = current
	return errors.Join(errs...)
}

// The recorder answers for all workers what is worth building.
var _ engine.Wants = (*recorder)(nil)

func (r *recorder) WantsAlerts() bool { return r.sinks.Load().alert != nil }
func (r *recorder) WantsFlows() bool  { return r.sinks.Load().flow != nil }
func (r *recorder) WantsDrops() bool  { return false } // AWS has no log of dropped packets

// records encodes for one worker.
type records struct {
	*recorder
	event, line []byte
}

func (r *recorder) newRecords() engine.Records { return &records{recorder: r} }

func (r *records) Alert(a *eve.Alert) {
	if s := r.sinks.Load().alert; s != nil {
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

func (r *records) Drop(*eve.Drop) {}

// Flush implements engine.Flusher for flow records.
func (r *records) Flush(ctx context.Context) error {
	if s := r.sinks.Load().flow; s != nil {
		return s.Flush(ctx)
	}
	return nil
}

func (r *records) write(s *logFile, time int64, arn string) {
	r.line = eve.AppendEnvelope(r.line[:0], &r.envelope, time, arn, r.event)
	s.Log(r.line)
}
