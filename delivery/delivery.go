// Package delivery carries log records to Amazon S3, CloudWatch Logs and Kinesis
// Data Firehose, or to compatible services.
//
// A [Destination] is an [eve.Sink]. A record that it takes goes through a buffer
// in memory, within milliseconds, to a spool on disk, and from there in batches
// to the service. The spool is bounded: while it is full new records are refused
// and counted, and what was taken before stays. A batch leaves the spool when the
// service has acknowledged it, until then it is sent again and again.
//
// What survives what:
//   - A service that is away, slow or refuses: every record in the spool waits.
//   - The end of the process, kill -9 included: every record in the spool, which
//     is all but those of the last milliseconds. The next process goes on.
//   - A power failure: every record that was synced, which is done each second,
//     by Flush and by Close. Only synced records are sent.
//
// Delivery is at least once: a process that ends between the acknowledgement and
// the note of it sends that batch again. On S3 the second object has the name of
// the first and replaces it; the other services keep both.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/sluicefw/sluice/eve"
)

// The types of destinations, as the API has them.
const (
	S3                  = "S3"
	CloudWatchLogs      = "CloudWatchLogs"
	KinesisDataFirehose = "KinesisDataFirehose"
)

// DefaultSpoolLimit is the size of a spool that has none configured, in bytes.
const DefaultSpoolLimit = 1 << 30

// minSpoolLimit leaves room for a few segments.
const minSpoolLimit = 1 << 20

// Options are the settings of a Destination.
type Options struct {
	Type     string            // S3, CloudWatchLogs or KinesisDataFirehose
	Target   map[string]string // AWS: the LogDestination: bucketName and prefix, logGroup, or deliveryStream
	LogType  string            // "ALERT", "FLOW" or "TLS"
	Account  string            // of the firewall, 12 digits
	Region   string            // of the firewall
	Firewall string            // name

	SpoolDir   string // made if need be; of this destination alone
	SpoolLimit int64  // bytes on disk, at least 1 MiB; 0: DefaultSpoolLimit

	ServiceRegion string // of the service; empty: Region
	Endpoint      string // URL of the service; empty: AWS's, or what AWS_ENDPOINT_URL and its kin say

	// The key to sign with. Without one AWS's usual chain is asked: the
	// environment, the shared files, the roles of containers and instances.
	AccessKeyID, SecretAccessKey, SessionToken string

	HTTPClient *http.Client // nil: the SDK's
	Logger     *slog.Logger // nil: slog.Default()
}

// Stats are the state of a Destination. Counts are of records, since it was
// opened. At any moment of rest
//
//	Recovered + Accepted = Delivered + Rejected + Damaged + Waiting
type Stats struct {
	Recovered uint64 // found in the spool when it was opened
	Accepted  uint64 // taken by Log
	Dropped   uint64 // refused by Log: the spool was full, the disk too slow, or the destination closed
	TooLarge  uint64 // refused by Log: longer than the service takes
	Delivered uint64 // acknowledged by the service
	Rejected  uint64 // refused by the service for ever: too old for the log group
	Damaged   uint64 // lost on disk: their checksums were wrong
	Waiting   uint64 // not yet acknowledged

	Failures    uint64    // attempts that failed
	Spooled     int64     // bytes of the spool on disk
	Oldest      time.Time // when the oldest record in the spool was taken; zero: none is there
	LastError   error     // of the last attempt; nil: it succeeded, or there was none
	LastSuccess time.Time // of an attempt; zero: none yet
}

// Destination is one log type of one firewall on its way to one service.
type Destination struct {
	name    string // for people
	logger  *slog.Logger
	service service
	spool   *spool
	maxLine int
	start   uint64 // number of the first record that Log took

	closing chan struct{} // closed by Close: what is left is tried once
	done    chan struct{} // closed when the shipping goroutine has ended
	cancel  context.CancelFunc
	closer  sync.Once
	closed  error // of Close; written by closer

	mu    sync.Mutex
	stats Stats     // guarded by mu; without what the spool knows
	told  time.Time // guarded by mu: of the last message about a failure
}

var _ eve.Sink = (*Destination)(nil)

// New opens a destination and goes on with what its spool holds. It does not
// talk to the service: see Check. The caller must Close it.
func New(ctx context.Context, o Options) (*Destination, error) {
	if o.SpoolLimit == 0 {
		o.SpoolLimit = DefaultSpoolLimit
	}
	if o.ServiceRegion == "" {
		o.ServiceRegion = o.Region
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	cfg, err := o.awsConfig(ctx)
	if err != nil {
		return nil, err
	}
	d := &Destination{closing: make(chan struct{}), done: make(chan struct{})}
	d.service = newService(cfg, &o)
	d.name = d.service.name()
	d.maxLine = min(d.service.limits().line, maxLine)
	d.logger = o.Logger.With(slog.String("destination", d.name), slog.String("firewall", o.Firewall), slog.String("log_type", o.LogType))
	d.spool, err = openSpool(o.SpoolDir, o.SpoolLimit, d.failed)
	if err != nil {
		return nil, err
	}
	d.start = d.spool.taken
	d.stats.Recovered, _, _ = d.spool.backlog()
	ctx, d.cancel = context.WithCancel(context.Background())
	go d.ship(ctx)
	return d, nil
}

func newService(cfg aws.Config, o *Options) service {
	switch o.Type {
	case S3:
		return newS3(cfg, o)
	case CloudWatchLogs:
		return newCloudWatch(cfg, o)
	}
	return newFirehose(cfg, o)
}

// Check says whether records could be written to a destination, without opening
// its spool. The error wraps ErrPermission or ErrNotFound where it is one of these.
func Check(ctx context.Context, o Options) error {
	if o.ServiceRegion == "" {
		o.ServiceRegion = o.Region
	}
	if key := targetKeys[o.Type]; key == "" || o.Target[key] == "" {
		return fmt.Errorf("delivery: %q is no type of destination, or its LogDestination is incomplete", o.Type)
	}
	cfg, err := o.awsConfig(ctx)
	if err != nil {
		return err
	}
	return newService(cfg, &o).check(ctx)
}

// targetKeys is the key of Target that each type must have.
var targetKeys = map[string]string{S3: "bucketName", CloudWatchLogs: "logGroup", KinesisDataFirehose: "deliveryStream"}

func (o *Options) validate() error {
	key := targetKeys[o.Type]
	switch {
	case key == "":
		return fmt.Errorf("delivery: %q is no type of destination: use %s, %s or %s", o.Type, S3, CloudWatchLogs, KinesisDataFirehose)
	case o.Target[key] == "":
		return fmt.Errorf("delivery: destination of type %s needs a %s", o.Type, key)
	case o.LogType != "ALERT" && o.LogType != "FLOW" && o.LogType != "TLS":
		return fmt.Errorf("delivery: %q is no log type: use ALERT, FLOW or TLS", o.LogType)
	case o.Account == "" || o.Region == "" || o.Firewall == "":
		return errors.New("delivery: account, Region and name of the firewall must be given: they are part of what is delivered")
	case o.SpoolDir == "":
		return errors.New("delivery: no directory for the spool is given")
	case o.SpoolLimit < minSpoolLimit:
		return fmt.Errorf("delivery: a spool of %d bytes is too small: use %d or more", o.SpoolLimit, minSpoolLimit)
	case (o.AccessKeyID == "") != (o.SecretAccessKey == ""):
		return errors.New("delivery: an access key needs both its id and its secret")
	}
	return nil
}

func (o *Options) awsConfig(ctx context.Context) (aws.Config, error) {
	load := []func(*config.LoadOptions) error{
		config.WithRegion(o.ServiceRegion),
		// Repeating is the shipping goroutine's: it also ends when the spool is closed.
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
	}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey, o.SessionToken)))
	}
	if o.HTTPClient != nil {
		load = append(load, config.WithHTTPClient(o.HTTPClient))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("delivery: read the AWS configuration: %w", err)
	}
	if o.Endpoint != "" {
		cfg.BaseEndpoint = &o.Endpoint
	}
	return cfg, nil
}

// Log implements [eve.Sink]. It waits for no disk and no network. That it returns
// true means that the record is in memory and will be in the spool within
// milliseconds; Flush waits for that.
func (d *Destination) Log(line []byte) bool {
	if len(line) == 0 || len(line) > d.maxLine {
		d.mu.Lock()
		d.stats.TooLarge++
		d.mu.Unlock()
		return false
	}
	return d.spool.put(line, time.Now().UnixNano())
}

// Flush implements [eve.Sink]: it returns when everything taken so far is in the
// spool and synced. It does not wait for the service.
func (d *Destination) Flush(ctx context.Context) error { return d.spool.flush(ctx) }

// Check asks the service whether the destination can be written: it tries each
// right without writing a record, as far as the service lets it. Errors match
// ErrNotFound or ErrPermission when the operator has to act.
func (d *Destination) Check(ctx context.Context) error { return d.service.check(ctx) }

// Close implements [eve.Sink]. What is in the spool is sent at once; the first
// failure, or the end of ctx, leaves the rest there for the next New with the
// same SpoolDir, and the error says so.
func (d *Destination) Close(ctx context.Context) error {
	d.closer.Do(func() {
		stop := context.AfterFunc(ctx, d.cancel)
		defer stop()
		d.spool.finish(ctx)
		close(d.closing)
		<-d.done
		d.cancel()
		var left error
		if s := d.Stats(); s.Waiting > 0 {
			left = fmt.Errorf("delivery: %d records for %s stay in %s until it is opened again: %w",
				s.Waiting, d.name, d.spool.dir, errors.Join(ctx.Err(), s.LastError))
		}
		d.closed = errors.Join(left, d.spool.release())
	})
	return d.closed
}

// Stats returns the state at this moment.
func (d *Destination) Stats() Stats {
	d.mu.Lock()
	st := d.stats
	d.mu.Unlock()
	s := d.spool
	s.mu.Lock()
	st.Accepted = s.taken - d.start
	st.Dropped = s.dropped
	st.Waiting = s.taken - min(s.taken, s.acked.record)
	st.Spooled = s.size
	s.mu.Unlock()
	if t, err := s.oldest(); err == nil {
		st.Oldest = time.Unix(0, t)
	}
	return st
}
